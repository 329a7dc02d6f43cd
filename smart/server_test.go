package smart_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/andironhq/andiron/smart"
)

// start is when every test begins.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: start} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// authServer is a FHIR base with a strict token endpoint. It judges assertions with go-jose and
// rules of its own, written from SMART App Launch, "Client Authentication: Asymmetric" and Epic's
// OAuth 2.0 Specification, and shares no code with the package.
type authServer struct {
	t        testing.TB
	url      string // FHIR base
	tokenURL string
	clientID string
	scope    string // what must be asked for; "" anything
	clock    *clock
	skew     time.Duration // its clock against the test's

	mu       sync.Mutex
	keys     smart.KeySet
	jtis     map[string]bool
	issued   int
	attempts int
	asserted []string // the assertions seen
	lifetime any      // of expires_in; nil leaves it out
	// answer, if set, may answer the n-th token request (from 1) in place of the server.
	answer func(n int, w http.ResponseWriter) bool
	// hold, if set, is called before an answer is given.
	hold func(ctx context.Context)
	// discovery, if set, answers every other path.
	discovery http.HandlerFunc
	discovers int
}

func serve(t testing.TB, c *clock, keys ...*smart.Key) *authServer {
	t.Helper()
	s := &authServer{t: t, clientID: "3f1c-client", clock: c, jtis: map[string]bool{}, lifetime: 3600}
	s.keys, _ = smart.PublicSet(keys...)
	srv := httptest.NewServer(http.HandlerFunc(s.handle))
	t.Cleanup(srv.Close)
	s.url = srv.URL + "/interconnect/api/FHIR/R4"
	s.tokenURL = srv.URL + "/interconnect/oauth2/token"
	return s
}

func (s *authServer) now() time.Time { return s.clock.now().Add(s.skew) }

func (s *authServer) handle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	if r.URL.Path != "/interconnect/oauth2/token" {
		s.mu.Lock()
		s.discovers++
		d := s.discovery
		s.mu.Unlock()
		if d == nil {
			d = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/interconnect/api/FHIR/R4/.well-known/smart-configuration" {
					http.NotFound(w, r)
					return
				}
				fmt.Fprintf(w, `{"token_endpoint":%q,"capabilities":["client-confidential-asymmetric"]}`, s.tokenURL)
			}
		}
		d(w, r)
		return
	}
	s.mu.Lock()
	s.attempts++
	n, answer, hold := s.attempts, s.answer, s.hold
	s.asserted = append(s.asserted, r.PostFormValue("client_assertion"))
	s.mu.Unlock()
	if hold != nil {
		hold(r.Context())
	}
	if answer != nil && answer(n, w) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := s.judge(r); err != nil {
		s.t.Logf("the server refuses: %v", err)
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"invalid_client","error_description":null}`)
		return
	}
	s.mu.Lock()
	s.issued++
	body := map[string]any{"access_token": fmt.Sprintf("CANARY-token-%d", s.issued), "token_type": "bearer", "scope": "system/Patient.read"}
	if s.lifetime != nil {
		body["expires_in"] = s.lifetime
	}
	s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(body)
}

// judge is the strict part.
func (s *authServer) judge(r *http.Request) error {
	if r.Method != http.MethodPost || r.URL.RawQuery != "" {
		return errors.New("not a plain POST")
	}
	if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return errors.New("not a form")
	}
	if r.Header.Get("Authorization") != "" || r.PostFormValue("client_id") != "" {
		return errors.New("a second way of authentication")
	}
	if r.PostFormValue("grant_type") != "client_credentials" ||
		r.PostFormValue("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return errors.New("wrong grant")
	}
	if s.scope != "" && r.PostFormValue("scope") != s.scope {
		return errors.New("wrong scope")
	}
	raw := r.PostFormValue("client_assertion")
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS384, jose.ES384, jose.RS256, jose.RS512, jose.ES256})
	if err != nil {
		return err
	}
	h := token.Headers[0]
	if h.ExtraHeaders["typ"] != "JWT" || h.KeyID == "" {
		return errors.New("typ or kid")
	}
	s.mu.Lock()
	published, _ := json.Marshal(s.keys)
	s.mu.Unlock()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(published, &set); err != nil {
		return err
	}
	keys := set.Key(h.KeyID)
	if len(keys) != 1 || keys[0].Algorithm != h.Algorithm {
		return fmt.Errorf("%d keys have the kid", len(keys))
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience any    `json:"aud"`
		ID       string `json:"jti"`
		Exp      int64  `json:"exp"`
		Nbf      int64  `json:"nbf"`
		Iat      int64  `json:"iat"`
	}
	if err := token.Claims(keys[0].Key, &claims); err != nil {
		return err
	}
	now := s.now().Unix()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case claims.Issuer != s.clientID || claims.Subject != s.clientID:
		return errors.New("iss or sub")
	case claims.Audience != s.tokenURL:
		return errors.New("aud")
	case claims.ID == "" || len(claims.ID) > 151 || s.jtis[claims.ID]:
		return errors.New("jti")
	case claims.Exp <= now || claims.Exp > now+300:
		return fmt.Errorf("exp is %d s ahead", claims.Exp-now)
	case claims.Nbf > now || claims.Iat > now:
		return fmt.Errorf("nbf or iat is %d s ahead", claims.Iat-now)
	case claims.Exp-claims.Nbf > 300 || claims.Exp-claims.Iat > 300 || claims.Nbf == 0 || claims.Iat == 0:
		return errors.New("lifetime")
	}
	s.jtis[claims.ID] = true
	return nil
}

// counts are the numbers of token requests and of tokens given.
func (s *authServer) counts() (attempts, issued int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempts, s.issued
}

// backend is a client of the server whose pauses are written down and take no time.
func (s *authServer) backend(key *smart.Key) (*smart.Backend, *pauses) {
	p := &pauses{clock: s.clock}
	return &smart.Backend{Base: s.url, ClientID: s.clientID, Key: key, Now: s.clock.now, Wait: p.wait}, p
}

type pauses struct {
	clock *clock
	mu    sync.Mutex
	all   []time.Duration
}

func (p *pauses) wait(ctx context.Context, d time.Duration) error {
	p.mu.Lock()
	p.all = append(p.all, d)
	p.mu.Unlock()
	p.clock.advance(d)
	return ctx.Err()
}

func (p *pauses) list() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Duration(nil), p.all...)
}

// ecKey is one key for all tests that do not care: making an RSA key takes long.
var ecKey = sync.OnceValue(func() *smart.Key {
	k, err := smart.NewKey(smart.ES384)
	if err != nil {
		panic(err)
	}
	return k
})

var rsaKey = sync.OnceValue(func() *smart.Key {
	k, err := smart.NewKey(smart.RS384)
	if err != nil {
		panic(err)
	}
	return k
})

// token asks and fails the test on an error.
func token(t *testing.T, b *smart.Backend, refused string) string {
	t.Helper()
	got, err := b.Token(t.Context(), b.Base, refused)
	if err != nil {
		t.Fatalf("Token: %v", err)
	}
	return got
}
