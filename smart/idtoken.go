package smart

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// Why there is no user, for errors.Is. Each comes inside an [*Error].
var (
	// ErrIDToken: an id_token that does not pass. The cause says which rule.
	ErrIDToken = errors.New("id_token refused")
	// ErrNoUser: there is no id_token that could be verified, though Issuer.RequireUser asks
	// for one.
	ErrNoUser = errors.New("no id_token")
)

// identityLeeway is how far clocks may differ.
const identityLeeway = time.Minute

// signingAlgorithms are those that an id_token may have if the server announces them; RS256 it may
// have always (OpenID Connect Core, section 3.1.3.7). None and HMAC are not among them.
var signingAlgorithms = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"}

// user verifies an id_token. Without one, or at a server that names neither issuer nor keys, there is
// no user.
func (a *App) user(ctx context.Context, iss *Issuer, conf *Configuration, raw, nonce string) (User, error) {
	if raw == "" {
		return User{}, nil
	}
	id, err := a.identity(ctx, iss, conf, raw)
	if err != nil {
		return User{}, err
	}
	if id.jwks == "" {
		a.log(ctx, slog.LevelWarn, "id_token cannot be verified: the server names no issuer or no keys", "base", iss.String())
		return User{}, nil
	}
	now := a.now()
	keys := &a.server(iss.Base).keys
	var unread *Error // the keys could not be had; the verifier keeps only the text of it
	verifier := oidc.NewVerifier(id.issuer, keySetOf(func(ctx context.Context, jwt string) ([]byte, error) {
		payload, err := keys.verify(ctx, a, id, jwt)
		unread, _ = errors.AsType[*Error](err)
		return payload, err
	}), &oidc.Config{
		ClientID: iss.ClientID, SupportedSigningAlgs: id.algorithms,
		Now: func() time.Time { return now.Add(-identityLeeway) },
	})
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		if unread != nil {
			return User{}, unread
		}
		return User{}, badIDToken(whyNot(err))
	}
	var c struct {
		Party     any    `json:"azp"`
		NotBefore any    `json:"nbf"`
		FHIRUser  string `json:"fhirUser"`
		Profile   string `json:"profile"`
		Name      string `json:"name"`
		Login     string `json:"preferred_username"`
	}
	if token.Claims(&c) != nil {
		return User{}, badIDToken("its claims cannot be read")
	}
	switch notBefore, _ := c.NotBefore.(float64); {
	case c.Party != nil && c.Party != any(iss.ClientID), len(token.Audience) > 1 && c.Party == nil:
		return User{}, badIDToken("it was made for another party")
	case token.IssuedAt.IsZero() || token.IssuedAt.Unix() <= 0:
		return User{}, badIDToken("it does not say when it was issued")
	case token.IssuedAt.After(now.Add(identityLeeway)), notBefore > float64(now.Add(identityLeeway).Unix()):
		return User{}, badIDToken("it is from the future")
	case token.Subject == "" || len(token.Subject) > 255:
		return User{}, badIDToken("it names no subject")
	case !same(hash(token.Nonce), hash(nonce)):
		return User{}, badIDToken("its nonce is not this launch's")
	}
	u := User{Subject: token.Subject, Issuer: token.Issuer, Name: c.Name, Login: c.Login}
	u.setFHIRUser(iss.Base, c.FHIRUser)
	if c.FHIRUser == "" { // servers of the first SMART specification
		if userForm.MatchString(c.Profile) {
			u.setFHIRUser(iss.Base, c.Profile)
		}
	}
	return u, nil
}

func badIDToken(why string) *Error {
	return &Error{Op: "id_token", Err: &networkError{why, ErrIDToken}}
}

// whyNot says in our words, without its values, what the verifier found.
func whyNot(err error) string {
	if _, ok := errors.AsType[*oidc.TokenExpiredError](err); ok {
		return "it has expired"
	}
	text := err.Error()
	for _, w := range [][2]string{
		{"issued by a different provider", "it is another issuer's"},
		{"expected audience", "it is for another client"},
		{"verify signature", "its signature does not verify"},
		{"malformed jwt", "it is no JWT with an allowed algorithm"},
		{"not before", "it is from the future"},
	} {
		if strings.Contains(text, w[0]) {
			return w[1]
		}
	}
	return "it is not valid"
}

type keySetOf func(ctx context.Context, jwt string) ([]byte, error)

// VerifySignature calls f.
func (f keySetOf) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	return f(ctx, jwt)
}

// identity is whose id_tokens are believed.
type identity struct {
	issuer     string
	jwks       string
	algorithms []string
}

// identity is what discovery says, and where that is not enough what the issuer's own document says
// (OpenID Connect Discovery 1.0). A server without issuer may be its FHIR base.
func (a *App) identity(ctx context.Context, iss *Issuer, conf *Configuration, raw string) (identity, error) {
	id := identity{issuer: conf.Issuer, jwks: conf.JWKSURI, algorithms: []string{"RS256"}}
	if id.issuer != "" && id.jwks != "" && signedWith(raw) == "RS256" {
		return id, nil
	}
	at := id.issuer
	if at == "" {
		at = strings.TrimSuffix(iss.Base, "/")
	}
	u, err := parseBase(at)
	if err != nil {
		return id, &Error{Op: "discover", Err: errors.New("issuer is no usable URL")}
	}
	d := discovery{caller: a.caller(), header: iss.Header}
	res, err := d.get(ctx, u, "/.well-known/openid-configuration", "application/json", maxConfiguration)
	if err != nil {
		if d.noSuchDocument(err) {
			if id.issuer == "" {
				id.jwks = "" // keys of nobody
			}
			return id, nil
		}
		return id, err
	}
	c := &Configuration{}
	if json.Unmarshal(res.body, &c.Raw) != nil || c.Raw == nil {
		return id, res.fail("discover", notJSON(res.body))
	}
	if text(c.Raw["issuer"]) != at {
		return id, res.fail("discover", errors.New("issuer is not the one that was asked"))
	}
	id.issuer = at
	if id.jwks == "" {
		id.jwks = d.endpoint(c, u, "jwks_uri", text(c.Raw["jwks_uri"]))
	}
	for _, alg := range stringsIn(c.Raw["id_token_signing_alg_values_supported"]) {
		if slices.Contains(signingAlgorithms, alg) && !slices.Contains(id.algorithms, alg) {
			id.algorithms = append(id.algorithms, alg)
		}
	}
	return id, nil
}

// signedWith reads the algorithm of a JWT's header, which decides nothing but whether to ask further.
func signedWith(raw string) string {
	var all []jose.SignatureAlgorithm
	for _, alg := range signingAlgorithms {
		all = append(all, jose.SignatureAlgorithm(alg))
	}
	jws, err := jose.ParseSignedCompact(raw, all)
	if err != nil {
		return "RS256" // the verifier will refuse it
	}
	return jws.Signatures[0].Header.Algorithm
}

// signingKeys are the keys of an issuer, kept as long as Cache-Control says, an hour without.
type signingKeys struct {
	mu    sync.Mutex
	url   string
	keys  []jose.JSONWebKey
	until time.Time
}

const (
	keysAge     = time.Hour
	mostKeysAge = 24 * time.Hour
)

// verify checks the signature with the keys that fit; when none does, the set is fetched once anew,
// for servers that have changed their keys.
func (s *signingKeys) verify(ctx context.Context, a *App, id identity, raw string) ([]byte, error) {
	var algs []jose.SignatureAlgorithm
	for _, alg := range id.algorithms {
		algs = append(algs, jose.SignatureAlgorithm(alg))
	}
	jws, err := jose.ParseSignedCompact(raw, algs)
	if err != nil {
		return nil, errors.New("malformed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.url == id.jwks && a.now().Before(s.until)
	if kept {
		if payload, ok := s.try(jws); ok {
			return payload, nil
		}
	}
	if err := s.fetch(ctx, a, id.jwks); err != nil {
		return nil, err
	}
	if payload, ok := s.try(jws); ok {
		return payload, nil
	}
	return nil, errors.New("no key verifies it")
}

// try verifies with each key of the kid, or with the only fitting one if the token names none.
func (s *signingKeys) try(jws *jose.JSONWebSignature) ([]byte, bool) {
	h := jws.Signatures[0].Header
	var fits []jose.JSONWebKey
	for _, k := range s.keys {
		if (h.KeyID == "" || k.KeyID == h.KeyID) && (k.Algorithm == "" || k.Algorithm == h.Algorithm) {
			fits = append(fits, k)
		}
	}
	if h.KeyID == "" && len(fits) != 1 {
		return nil, false
	}
	for _, k := range fits {
		if payload, err := jws.Verify(k.Key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// fetch reads the set: capped, over https, without redirects. Keys of unknown kinds, private ones and
// those for encryption are left out. The lock is held.
func (s *signingKeys) fetch(ctx context.Context, a *App, at string) error {
	u, err := url.Parse(at)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return &Error{Op: "key set", Err: errors.New("no usable URL")}
	}
	res, err := a.caller().do(ctx, "key set", u, maxConfiguration, func(r *http.Request) {
		r.Header.Set("Accept", "application/json")
	})
	switch {
	case err != nil:
		return err
	case res.status >= 300 && res.status < 400:
		return res.fail("key set", ErrRedirect)
	case res.status != http.StatusOK:
		return res.fail("key set", nil)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(res.body, &set) != nil {
		return res.fail("key set", notJSON(res.body))
	}
	s.url, s.keys = at, nil
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if json.Unmarshal(raw, &k) == nil && k.Valid() && k.IsPublic() && k.Use != "enc" {
			s.keys = append(s.keys, k)
		}
	}
	age, known := (&PublishedSet{CacheControl: res.header.Get("Cache-Control")}).maxAge()
	if !known {
		age = keysAge
	}
	s.until = a.now().Add(min(age, mostKeysAge))
	return nil
}
