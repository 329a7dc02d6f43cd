package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keysets keeps the key sets of the registered apps, each as long as its Cache-Control
// allows and at most JWKSMaxAge (Epic's OAuth 2.0 specification, high).
type keysets struct {
	mu   sync.Mutex
	byID map[string]*keyset
}

type keyset struct {
	mu    sync.Mutex // held while fetching: one fetch for all who wait
	keys  []jose.JSONWebKey
	until time.Time
}

func (k *keysets) forget(client string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.byID, client)
}

// get returns the app's keys and whether they were fetched just now.
func (k *keysets) get(ctx context.Context, s *Server, reg *registration, refetch bool) ([]jose.JSONWebKey, bool, error) {
	if reg.JWKSURL == "" {
		keys, err := parseKeys(reg.JWK)
		return keys, false, err
	}
	k.mu.Lock()
	if k.byID == nil {
		k.byID = map[string]*keyset{}
	}
	set := k.byID[reg.ClientID]
	if set == nil {
		set = &keyset{}
		k.byID[reg.ClientID] = set
	}
	k.mu.Unlock()

	set.mu.Lock()
	defer set.mu.Unlock()
	if !refetch && set.keys != nil && s.clock.now().Before(set.until) {
		return set.keys, false, nil
	}
	keys, age, err := s.fetchKeys(ctx, reg.JWKSURL)
	if err != nil {
		return nil, true, err
	}
	set.keys, set.until = keys, s.clock.now().Add(min(age, s.knobs.JWKSMaxAge))
	return keys, true, nil
}

// fetchKeys reads a registered URL, and no other: what an assertion names is only compared.
// No redirects, 5 seconds, 1 MB.
func (s *Server) fetchKeys(ctx context.Context, url string) ([]jose.JSONWebKey, time.Duration, error) {
	client := http.Client{Timeout: 5 * time.Second}
	if s.HTTP != nil {
		client = *s.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, errors.New("the JWK Set URL is not a URL")
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("the JWK Set URL is unreachable: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("the JWK Set URL answers %d", resp.StatusCode)
	}
	const most = 1 << 20
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, 0, errors.New("the JWK Set URL's answer breaks off")
	}
	if len(body) > most {
		return nil, 0, errors.New("the key set is larger than 1 MB")
	}
	keys, err := parseKeys(body)
	return keys, cacheAge(resp.Header.Get("Cache-Control")), err
}

// parseKeys reads a JWK Set, or a single JWK. Keys of unknown kinds are passed over.
func parseKeys(raw []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
		Kty  string            `json:"kty"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, errors.New("the key set is not JSON")
	}
	if set.Kty != "" {
		set.Keys = []json.RawMessage{raw}
	}
	keys := []jose.JSONWebKey{}
	for _, one := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(one) == nil && key.IsPublic() && key.Valid() {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the key set holds no usable public key")
	}
	return keys, nil
}

// cacheAge reads how long an answer may be kept. Without a word on it: as long as wanted.
func cacheAge(header string) time.Duration {
	age := time.Duration(1<<63 - 1)
	for _, part := range strings.Split(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(strings.ToLower(part)), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				age = time.Duration(n) * time.Second
			}
		}
	}
	return age
}
