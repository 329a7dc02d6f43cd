package smart_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/andironhq/andiron/smart"
)

// installServer registers clients and exchanges their assertions. It judges with go-jose and shares no
// code with the package.
type installServer struct {
	url   string
	clock *clock
	skew  time.Duration

	mu         sync.Mutex
	listed     string // "discovery", "metadata" or "": where the registration endpoint is named
	first      string // the token that may register
	keys       map[string]jose.JSONWebKey
	jtis       map[string]bool
	registered int
	issued     int
	answer     func(w http.ResponseWriter) bool // in place of the token endpoint
}

func serveInstallations(t *testing.T, c *clock) *installServer {
	s := &installServer{clock: c, listed: "metadata", first: "first-token", keys: map[string]jose.JSONWebKey{}, jtis: map[string]bool{}}
	srv := httptest.NewServer(http.HandlerFunc(s.handle))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

func (s *installServer) handle(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.now().Add(s.skew)
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	refuse := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":%q,"error_description":null}`, code)
	}
	switch r.URL.Path {
	case "/fhir/.well-known/smart-configuration":
		extra := ""
		if s.listed == "discovery" {
			extra = fmt.Sprintf(`,"registration_endpoint":"%s/register"`, s.url)
		}
		fmt.Fprintf(w, `{"token_endpoint":"%s/token"%s}`, s.url, extra)
	case "/fhir/metadata":
		register := ""
		if s.listed == "metadata" && r.Header.Get("Epic-Client-Id") == "app" {
			register = fmt.Sprintf(`,{"url":"register","valueUri":"%s/register"}`, s.url)
		}
		fmt.Fprintf(w, `{"rest":[{"security":{"extension":[{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
			"extension":[{"url":"token","valueUri":"%s/token"}%s]}]}}]}`, s.url, register)
	case "/register":
		var body struct {
			SoftwareID string             `json:"software_id"`
			JWKS       jose.JSONWebKeySet `json:"jwks"`
		}
		if r.Header.Get("Authorization") != "Bearer "+s.first || s.first == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if json.NewDecoder(r.Body).Decode(&body) != nil || body.SoftwareID != "app" || len(body.JWKS.Keys) != 1 || !body.JWKS.Keys[0].IsPublic() {
			refuse("invalid_client_metadata")
			return
		}
		s.first = ""
		s.registered++
		id := fmt.Sprintf("G%d", s.registered)
		s.keys[id] = body.JWKS.Keys[0]
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"client_id":%q,"token_endpoint_auth_method":"none"}`, id)
	case "/token":
		if s.answer != nil && s.answer(w) {
			return
		}
		id := r.PostFormValue("client_id")
		key, known := s.keys[id]
		if !known || r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
			refuse("invalid_client")
			return
		}
		tok, err := jwt.ParseSigned(r.PostFormValue("assertion"), []jose.SignatureAlgorithm{jose.RS384, jose.ES384})
		var c jwt.Claims
		if err != nil || tok.Claims(key, &c) != nil || tok.Headers[0].KeyID != key.KeyID ||
			c.ValidateWithLeeway(jwt.Expected{Issuer: id, Subject: id, AnyAudience: jwt.Audience{s.url + "/token"}, Time: now}, 0) != nil ||
			c.Expiry.Time().Sub(now) > 5*time.Minute || s.jtis[c.ID] || c.ID == "" {
			refuse("invalid_grant")
			return
		}
		s.jtis[c.ID] = true
		s.issued++
		fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"Bearer","expires_in":3600,"scope":"patient/Patient.read","patient":"p1"}`, s.issued)
	default:
		http.NotFound(w, r)
	}
}

func (s *installServer) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func install(s *installServer, store smart.Store) *smart.Registered {
	// ES384 where the kind of key does not matter: RSA keys take long to make.
	return &smart.Registered{Base: s.url + "/fhir", SoftwareID: "app", Store: store, Algorithm: smart.ES384, Now: s.clock.now}
}

func TestRegistered(t *testing.T) {
	begin := func(t *testing.T) (*installServer, *smart.MemoryStore, *smart.Registered) {
		c := newClock()
		s := serveInstallations(t, c)
		store := &smart.MemoryStore{Now: c.now}
		return s, store, install(s, store)
	}
	register := func(t *testing.T, r *smart.Registered) {
		t.Helper()
		if _, err := r.Register(t.Context(), smart.NewSecret("first-token")); err != nil {
			t.Fatal(err)
		}
	}
	token := func(t *testing.T, r *smart.Registered) string {
		t.Helper()
		tok, err := r.Token(t.Context(), r.Base, "")
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}

	t.Run("the first token registers a key, whose assertions buy the others", func(t *testing.T) {
		s, _, r := begin(t)
		if _, err := r.Token(t.Context(), r.Base, ""); !errors.Is(err, smart.ErrNotRegistered) {
			t.Errorf("before the registration the error is %v", err)
		}
		register(t, r)
		if got := token(t, r) + token(t, r); got != "token-1token-1" {
			t.Errorf("the tokens are %s, want one that is kept", got)
		}
		s.clock.advance(59*time.Minute + time.Second)
		if got := token(t, r); got != "token-2" {
			t.Errorf("a minute before its end the token is %s, want a new one", got)
		}
		if got, err := r.Token(t.Context(), r.Base, "token-2"); err != nil || got != "token-3" {
			t.Errorf("for a refused token there is %s, %v", got, err)
		}
		info, err := r.Registration(t.Context())
		if err != nil || info.ClientID != "G1" || info.Patient != "p1" || !info.Made.Equal(start) || !info.Ended.IsZero() {
			t.Errorf("the registration is %+v, %v", info, err)
		}
	})

	t.Run("the registration outlives the process", func(t *testing.T) {
		s, store, r := begin(t)
		register(t, r)
		if got := token(t, install(s, store)); got != "token-1" {
			t.Errorf("after a restart the token is %s", got)
		}
	})

	t.Run("installations of other names and bases have keys of their own", func(t *testing.T) {
		s, store, r := begin(t)
		register(t, r)
		other := install(s, store)
		other.Name = "other device"
		if _, err := other.Token(t.Context(), other.Base, ""); !errors.Is(err, smart.ErrNotRegistered) {
			t.Errorf("the error is %v", err)
		}
	})

	t.Run("the key for Epic is RSA with 2048 bits", func(t *testing.T) {
		s, _, r := begin(t)
		r.Algorithm = ""
		register(t, r)
		set, _ := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.keys["G1"]}})
		var read smart.KeySet
		if err := json.Unmarshal(set, &read); err != nil || len(read.Keys) != 1 || read.Keys[0].KeyType != "RSA" || len(read.Keys[0].N) != 342 {
			t.Errorf("the key is %+v, %v", read.Keys, err)
		}
		_ = token(t, r)
	})

	t.Run("discovery names the endpoint, else metadata for this client, else it is not offered", func(t *testing.T) {
		s, _, r := begin(t)
		s.set(func() { s.listed = "" })
		if _, err := r.Register(t.Context(), smart.NewSecret("first-token")); !errors.Is(err, smart.ErrNotOffered) {
			t.Errorf("the error is %v", err)
		}
		s.set(func() { s.listed = "discovery" })
		register(t, r)
	})

	t.Run("a refused registration leaves the old one", func(t *testing.T) {
		s, _, r := begin(t)
		register(t, r)
		_, err := r.Register(t.Context(), smart.NewSecret("first-token"))
		e, ok := errors.AsType[*smart.Error](err)
		if !ok || e.Op != "register" || e.Status != http.StatusUnauthorized || strings.Contains(err.Error(), "first-token") {
			t.Errorf("the error is %v", err)
		}
		if got := token(t, r); got != "token-1" {
			t.Errorf("the token is %s", got)
		}
		s.set(func() { s.first = "second" })
		if _, err := r.Register(t.Context(), smart.NewSecret("second")); err != nil {
			t.Fatal(err)
		}
		if info, err := r.Registration(t.Context()); err != nil || info.ClientID != "G2" {
			t.Errorf("registered again: %+v, %v", info, err)
		}
	})

	t.Run("invalid_grant is the end, also after a restart", func(t *testing.T) {
		s, store, r := begin(t)
		register(t, r)
		s.set(func() {
			s.answer = func(w http.ResponseWriter) bool {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"error":"invalid_grant"}`)
				return true
			}
		})
		if _, err := r.Token(t.Context(), r.Base, ""); !errors.Is(err, smart.ErrRegistrationEnded) {
			t.Errorf("the error is %v", err)
		}
		s.set(func() { s.answer = nil })
		if _, err := install(s, store).Token(t.Context(), r.Base, ""); !errors.Is(err, smart.ErrRegistrationEnded) {
			t.Errorf("after a restart the error is %v", err)
		}
		if info, err := r.Registration(t.Context()); err != nil || info.Ended.IsZero() {
			t.Errorf("the registration is %+v, %v", info, err)
		}
	})

	t.Run("other refusals change nothing, and the old token goes on", func(t *testing.T) {
		s, _, r := begin(t)
		register(t, r)
		_ = token(t, r)
		s.clock.advance(59*time.Minute + time.Second)
		for _, status := range []int{500, 503, 429, 400} {
			s.set(func() {
				s.answer = func(w http.ResponseWriter) bool {
					w.WriteHeader(status)
					fmt.Fprint(w, `{"error":"invalid_client"}`)
					return true
				}
			})
			s.clock.advance(11 * time.Second)
			if got := token(t, r); got != "token-1" {
				t.Errorf("after a %d the token is %s", status, got)
			}
		}
		s.clock.advance(time.Minute)
		if _, err := r.Token(t.Context(), r.Base, ""); err == nil || errors.Is(err, smart.ErrRegistrationEnded) {
			t.Errorf("once the old token has ended the error is %v", err)
		}
		s.set(func() { s.answer = nil })
		if got := token(t, r); got != "token-2" {
			t.Errorf("when the server is well again the token is %s", got)
		}
	})

	t.Run("a wrong clock is not taken for the end", func(t *testing.T) {
		s, _, r := begin(t)
		register(t, r)
		s.set(func() { s.skew = 20 * time.Minute })
		if got := token(t, r); got != "token-1" {
			t.Errorf("the token is %s", got)
		}
	})

	t.Run("of many callers one asks", func(t *testing.T) {
		s, _, r := begin(t)
		register(t, r)
		var wg sync.WaitGroup
		got := make([]string, 20)
		for i := range got {
			wg.Go(func() { got[i], _ = r.Token(context.Background(), r.Base, "") })
		}
		wg.Wait()
		if slices.Sort(got); got[0] != "token-1" || got[19] != "token-1" || s.issued != 1 {
			t.Errorf("the callers have %v, the server gave %d", got, s.issued)
		}
	})

	t.Run("another base gets nothing", func(t *testing.T) {
		_, _, r := begin(t)
		register(t, r)
		if _, err := r.Token(t.Context(), "https://evil.example/fhir", ""); !errors.Is(err, smart.ErrForeignBase) {
			t.Errorf("the error is %v", err)
		}
	})

	t.Run("what is forgotten is gone", func(t *testing.T) {
		_, _, r := begin(t)
		register(t, r)
		_ = token(t, r)
		if err := r.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Token(t.Context(), r.Base, ""); !errors.Is(err, smart.ErrNotRegistered) {
			t.Errorf("the error is %v", err)
		}
	})
}
