package sim

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// assertionAlgs are the algorithms of Epic's OAuth 2.0 specification (high). ES256 and ES384
// need a JWK Set URL.
var assertionAlgs = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384}

// longest lifetime of an assertion (OAuth 2.0 specification, high).
const assertionLife = 5 * time.Minute

// longest jti (OAuth 2.0 specification, high).
const jtiMax = 151

// assertion is a client's JWT, taken apart but not yet believed.
type assertion struct {
	jws    *jose.JSONWebSignature
	header struct {
		Alg jose.SignatureAlgorithm
		Kid string
		Jku string
	}
	iss, sub, aud, jti string
	exp                time.Time
	nbf, iat           *time.Time
}

// checkAssertion applies every rule of Epic's OAuth 2.0 specification for backend services.
// It returns the app, as far as it is known, and the reason of a refusal.
func (s *Server) checkAssertion(ctx context.Context, raw, tokenURL string, find func(id string) (*registration, string)) (*registration, string) {
	a, err := parseAssertion(raw)
	if err != nil {
		return nil, err.Error()
	}
	reg, reason := find(a.iss)
	if reg == nil {
		return nil, reason
	}
	if reg.family == nil {
		if err := reg.check(s.knobs); err != nil {
			return reg, err.Error()
		}
	}
	switch {
	case a.sub != a.iss:
		return reg, "sub differs from iss"
	case a.aud != tokenURL:
		return reg, "aud is not the token URL " + tokenURL
	case a.jti == "":
		return reg, "jti is missing"
	case len(a.jti) > jtiMax:
		return reg, fmt.Sprintf("jti has %d characters, more than %d", len(a.jti), jtiMax)
	case a.header.Jku != "" && a.header.Jku != reg.JWKSURL:
		return reg, "jku is not the registered JWK Set URL"
	case reg.JWKSURL == "" && strings.HasPrefix(string(a.header.Alg), "ES"):
		return reg, string(a.header.Alg) + " needs a JWK Set URL"
	}
	if reason := a.checkTimes(s.clock.assertionTimes()); reason != "" {
		return reg, reason
	}
	if reason := s.verify(ctx, reg, a); reason != "" {
		return reg, reason
	}
	if !s.replay.first(reg.ClientID, a.jti, s.clock.now()) {
		return reg, "jti was used before"
	}
	return reg, ""
}

func parseAssertion(raw string) (*assertion, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, errors.New("client_assertion is not a JWT in compact form")
	}
	head, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		return nil, errors.New("the JWT's header is not base64url")
	}
	var h struct {
		Typ *string `json:"typ"`
		Alg string  `json:"alg"`
		Kid string  `json:"kid"`
		Jku string  `json:"jku"`
		JWK any     `json:"jwk"`
		X5u any     `json:"x5u"`
		Cri any     `json:"crit"`
	}
	if err := json.Unmarshal(head, &h); err != nil {
		return nil, errors.New("the JWT's header is not the JSON object it should be")
	}
	if h.JWK != nil || h.X5u != nil || h.Cri != nil {
		return nil, errors.New("the JWT's header carries jwk, x5u or crit")
	}
	if h.Typ != nil && *h.Typ != "JWT" {
		return nil, errors.New("typ is not JWT")
	}
	a := &assertion{}
	a.header.Alg, a.header.Kid, a.header.Jku = jose.SignatureAlgorithm(h.Alg), h.Kid, h.Jku
	if a.jws, err = jose.ParseSignedCompact(raw, assertionAlgs); err != nil {
		return nil, errors.New("alg is not one of RS256, RS384, RS512, ES256, ES384, or the JWT is damaged")
	}
	return a, a.parseClaims(a.jws.UnsafePayloadWithoutVerification())
}

func (a *assertion) parseClaims(payload []byte) error {
	var c map[string]json.RawMessage
	if err := json.Unmarshal(payload, &c); err != nil || c == nil {
		return errors.New("the JWT's payload is not a JSON object")
	}
	for _, claim := range []struct {
		name string
		to   *string
	}{{"iss", &a.iss}, {"sub", &a.sub}, {"aud", &a.aud}, {"jti", &a.jti}} {
		raw, ok := c[claim.name]
		if !ok {
			return errors.New(claim.name + " is missing")
		}
		if !bytes.HasPrefix(raw, []byte(`"`)) || json.Unmarshal(raw, claim.to) != nil {
			return errors.New(claim.name + " is not a string")
		}
	}
	exp, err := numericDate(c, "exp")
	if err != nil {
		return err
	}
	if exp == nil {
		return errors.New("exp is missing")
	}
	a.exp = *exp
	if a.nbf, err = numericDate(c, "nbf"); err != nil {
		return err
	}
	a.iat, err = numericDate(c, "iat")
	return err
}

func numericDate(c map[string]json.RawMessage, name string) (*time.Time, error) {
	raw, ok := c[name]
	if !ok {
		return nil, nil
	}
	var f *float64
	if json.Unmarshal(raw, &f) != nil || f == nil || math.Abs(*f) > 1e11 {
		return nil, errors.New(name + " is not a number of seconds")
	}
	whole, part := math.Modf(*f)
	t := time.Unix(int64(whole), int64(part*1e9))
	return &t, nil
}

// checkTimes tries each reading of the clock and returns the reason of the first.
func (a *assertion) checkTimes(readings []time.Time) string {
	var first string
	for i, now := range readings {
		reason := a.checkTime(now)
		if reason == "" {
			return ""
		}
		if i == 0 {
			first = reason
		}
	}
	return first
}

func (a *assertion) checkTime(now time.Time) string {
	switch {
	case !a.exp.After(now):
		return fmt.Sprintf("exp is %v past", now.Sub(a.exp).Round(time.Second))
	case a.exp.Sub(now) > assertionLife:
		return fmt.Sprintf("exp is %v ahead, more than 5 minutes", a.exp.Sub(now).Round(time.Millisecond))
	case a.nbf != nil && a.nbf.After(now):
		return "nbf lies in the future"
	case a.iat != nil && a.iat.After(now):
		return "iat lies in the future"
	case a.nbf != nil && a.exp.Sub(*a.nbf) > assertionLife:
		return "exp is more than 5 minutes after nbf"
	case a.iat != nil && a.exp.Sub(*a.iat) > assertionLife:
		return "exp is more than 5 minutes after iat"
	}
	return ""
}

// verify finds the key among the app's. Its set is fetched at most once: when none is kept,
// or when no kept key verifies.
func (s *Server) verify(ctx context.Context, reg *registration, a *assertion) string {
	keys, fresh, err := s.keysets.get(ctx, s, reg, false)
	if err != nil {
		return err.Error()
	}
	reason := a.verifyWith(keys)
	if reason == "" || fresh || reg.JWKSURL == "" {
		return reason
	}
	if keys, _, err = s.keysets.get(ctx, s, reg, true); err != nil {
		return err.Error()
	}
	return a.verifyWith(keys)
}

// verifyWith tries the keys that fit. Several keys of one kid are tolerated (medium); without
// a kid the key must be the only one that fits.
func (a *assertion) verifyWith(keys []jose.JSONWebKey) string {
	var fitting []jose.JSONWebKey
	var weak, otherKid bool
	for _, k := range keys {
		if !a.fits(k) {
			continue
		}
		if a.header.Kid != "" && k.KeyID != a.header.Kid && k.KeyID != "" {
			otherKid = true
			continue
		}
		if pub, ok := k.Key.(*rsa.PublicKey); ok && pub.N.BitLen() < 2048 {
			weak = true
			continue
		}
		fitting = append(fitting, k)
	}
	switch {
	case len(fitting) == 0 && weak:
		return "the RSA key has fewer than 2048 bits"
	case len(fitting) == 0 && otherKid:
		return "kid " + clip(a.header.Kid) + " is not in the client's key set"
	case len(fitting) == 0:
		return "the client's key set has no key for " + string(a.header.Alg)
	case a.header.Kid == "" && len(fitting) > 1:
		return "kid is missing and several keys fit"
	}
	for _, k := range fitting {
		if _, err := a.jws.Verify(k.Key); err == nil {
			return ""
		}
	}
	return "the signature does not verify with the client's key"
}

func (a *assertion) fits(k jose.JSONWebKey) bool {
	if k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != string(a.header.Alg) {
		return false
	}
	switch pub := k.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(string(a.header.Alg), "RS")
	case *ecdsa.PublicKey:
		return a.header.Alg == jose.ES256 && pub.Curve.Params().BitSize == 256 ||
			a.header.Alg == jose.ES384 && pub.Curve.Params().BitSize == 384
	}
	return false
}

// replay remembers the jti values of accepted assertions for as long as they could be used
// again.
type replay struct {
	mu   sync.Mutex
	seen map[string]time.Time
	next time.Time
}

// first tells whether the client uses this jti for the first time, and remembers it.
func (p *replay) first(client, jti string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = map[string]time.Time{}
	}
	if now.After(p.next) {
		for k, until := range p.seen {
			if now.After(until) {
				delete(p.seen, k)
			}
		}
		p.next = now.Add(time.Minute)
	}
	key := client + "\x00" + jti
	if _, again := p.seen[key]; again {
		return false
	}
	p.seen[key] = now.Add(2 * assertionLife)
	return true
}
