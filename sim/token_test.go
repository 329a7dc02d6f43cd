package sim_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/andironhq/andiron/sim"
)

// The rules of Epic's OAuth 2.0 specification for backend services (high), one row each. The
// refusal is always the same words; the reason shows in the log alone.
func TestAssertionRules(t *testing.T) {
	h := open(t, nil)
	now := func(d time.Duration) int64 { return h.Now().Add(d).Unix() }
	text := func(n int) string { return strings.Repeat("j", n) }
	tests := []struct {
		name   string
		claims map[string]any
		header map[jose.HeaderKey]any
		reason string // "" = accepted
	}{
		{name: "a good assertion is accepted"},
		{name: "nbf and iat may be absent", claims: map[string]any{"nbf": nil, "iat": nil}},
		{name: "typ may be absent", header: map[jose.HeaderKey]any{"typ": nil}},
		{name: "kid may be absent with one key", header: map[jose.HeaderKey]any{"kid": nil}},
		{name: "jku may name the registered URL", header: map[jose.HeaderKey]any{"jku": h.jwks}},
		{name: "a jti of 151 characters is accepted", claims: map[string]any{"jti": text(151)}},
		{name: "exp exactly 5 minutes ahead is accepted", claims: map[string]any{"exp": now(5 * time.Minute), "nbf": nil, "iat": nil}},
		{name: "typ other than JWT", header: map[jose.HeaderKey]any{"typ": "at+jwt"}, reason: "typ is not JWT"},
		{name: "kid that is not in the set", header: map[jose.HeaderKey]any{"kid": "k2"}, reason: "kid k2 is not"},
		{name: "jku of another place", header: map[jose.HeaderKey]any{"jku": "http://169.254.169.254/keys"}, reason: "jku is not"},
		{name: "unknown client", claims: map[string]any{"iss": "nobody", "sub": "nobody"}, reason: "no registered client"},
		{name: "sub that differs from iss", claims: map[string]any{"sub": "somebody"}, reason: "sub differs"},
		{name: "iss missing", claims: map[string]any{"iss": nil}, reason: "iss is missing"},
		{name: "aud of the FHIR base", claims: map[string]any{"aud": h.base()}, reason: "aud is not"},
		{name: "aud with a trailing slash", claims: map[string]any{"aud": h.tokenURL() + "/"}, reason: "aud is not"},
		{name: "aud as an array", claims: map[string]any{"aud": []string{h.tokenURL()}}, reason: "aud is not a string"},
		{name: "jti missing", claims: map[string]any{"jti": nil}, reason: "jti is missing"},
		{name: "jti empty", claims: map[string]any{"jti": ""}, reason: "jti is missing"},
		{name: "jti a number", claims: map[string]any{"jti": 7}, reason: "jti is not a string"},
		{name: "jti of 152 characters", claims: map[string]any{"jti": text(152)}, reason: "jti has 152"},
		{name: "exp missing", claims: map[string]any{"exp": nil}, reason: "exp is missing"},
		{name: "exp as text", claims: map[string]any{"exp": "soon"}, reason: "exp is not a number"},
		{name: "exp null", claims: map[string]any{"exp": json.RawMessage("null")}, reason: "exp is not a number"},
		{name: "exp past", claims: map[string]any{"exp": now(-time.Second)}, reason: "past"},
		{name: "exp more than 5 minutes ahead", claims: map[string]any{"exp": now(6 * time.Minute), "nbf": nil, "iat": nil}, reason: "more than 5 minutes"},
		{name: "exp absurdly far", claims: map[string]any{"exp": 1e18}, reason: "exp is not a number"},
		{name: "nbf in the future", claims: map[string]any{"nbf": now(30 * time.Second)}, reason: "nbf lies"},
		{name: "iat in the future", claims: map[string]any{"iat": now(30 * time.Second)}, reason: "iat lies"},
		{name: "exp more than 5 minutes after nbf", claims: map[string]any{"nbf": now(-2 * time.Minute)}, reason: "after nbf"},
		{name: "exp more than 5 minutes after iat", claims: map[string]any{"iat": now(-2 * time.Minute)}, reason: "after iat"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := h.postToken(h.assertion(h.sign(h.claims(tt.claims), tt.header)))
			checkTokenAnswer(t, h, a, "invalid_client", tt.reason)
		})
	}
}

func checkTokenAnswer(t *testing.T, h *hospital, a answer, code, reason string) {
	t.Helper()
	if reason == "" {
		if a.status != 200 {
			t.Errorf("got %d %s (%s), want a token", a.status, a.body, h.lastReason())
		}
		return
	}
	if want := `{"error":"` + code + `","error_description":null}`; a.status != 400 || a.body != want {
		t.Errorf("got %d %s, want 400 %s", a.status, a.body, want)
	}
	if !strings.Contains(h.lastReason(), reason) {
		t.Errorf("the log says %q, want it to contain %q", h.lastReason(), reason)
	}
}

func TestAssertionIsUsedOnce(t *testing.T) {
	h := open(t, nil)
	jwt := h.sign(h.claims(nil), nil)
	checkTokenAnswer(t, h, h.postToken(h.assertion(jwt)), "", "")
	checkTokenAnswer(t, h, h.postToken(h.assertion(jwt)), "invalid_client", "jti was used before")
}

func TestAssertionIsUsedOnceUnderARace(t *testing.T) {
	h := open(t, nil)
	form := h.assertion(h.sign(h.claims(nil), nil))
	var mu sync.Mutex
	good := 0
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if h.postToken(form).status == 200 {
				mu.Lock()
				good++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if good != 1 {
		t.Errorf("%d of 16 equal assertions were accepted, want 1", good)
	}
}

// A refused assertion must not use up its jti, or a client could be locked out by a forgery.
func TestForgedAssertionDoesNotBurnTheJTI(t *testing.T) {
	h := open(t, nil)
	claims := h.claims(nil)
	jwt := h.sign(claims, nil)
	forged := jwt[:len(jwt)-8] + "AAAAAAAA"
	checkTokenAnswer(t, h, h.postToken(h.assertion(forged)), "invalid_client", "signature")
	checkTokenAnswer(t, h, h.postToken(h.assertion(jwt)), "", "")
}

func TestAssertionZoo(t *testing.T) {
	h := open(t, nil)
	enc := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	payload, _ := json.Marshal(h.claims(nil))
	signed := h.sign(h.claims(nil), nil)
	parts := strings.Split(signed, ".")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	hs, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: rsaKey.N.Bytes()}, (&jose.SignerOptions{}).WithHeader("kid", h.kid))
	if err != nil {
		t.Fatal(err)
	}
	mac, _ := hs.Sign(payload)
	confused, _ := mac.CompactSerialize()
	tests := map[string]string{
		"alg none":                      enc(`{"alg":"none","kid":"k1"}`) + "." + enc(string(payload)) + ".",
		"HMAC with the public key":      confused,
		"empty":                         " ",
		"two parts":                     parts[0] + "." + parts[1],
		"four parts":                    signed + ".x",
		"not base64":                    "!." + parts[1] + "." + parts[2],
		"JSON serialisation":            `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"header an array":               enc(`["alg"]`) + "." + parts[1] + "." + parts[2],
		"payload null":                  parts[0] + "." + enc(`null`) + "." + parts[2],
		"payload an array":              parts[0] + "." + enc(`[]`) + "." + parts[2],
		"another's payload":             parts[0] + "." + enc(string(payload)) + "." + parts[2],
		"no signature":                  parts[0] + "." + parts[1] + ".",
		"key in the header":             enc(`{"alg":"ES384","kid":"k1","jwk":{"kty":"EC"}}`) + "." + parts[1] + "." + parts[2],
		"x5u in the header":             enc(`{"alg":"ES384","kid":"k1","x5u":"http://169.254.169.254/"}`) + "." + parts[1] + "." + parts[2],
		"critical extension":            enc(`{"alg":"ES384","kid":"k1","crit":["b64"],"b64":false}`) + "." + parts[1] + "." + parts[2],
		"alg of another key type":       enc(`{"alg":"RS384","kid":"k1","typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
		"alg that is only nearly right": enc(`{"alg":"es384","kid":"k1"}`) + "." + parts[1] + "." + parts[2],
		"a megabyte of header":          enc(`{"alg":"ES384","kid":"`+strings.Repeat("k", 300_000)+`"}`) + "." + parts[1] + "." + parts[2],
	}
	for name, jwt := range tests {
		t.Run(name, func(t *testing.T) {
			a := h.postToken(h.assertion(jwt))
			if a.status != 400 || a.body != `{"error":"invalid_client","error_description":null}` {
				t.Errorf("got %d %.200s, want a bare invalid_client", a.status, a.body)
			}
		})
	}
	if n := len(h.Requests()); n != len(tests) {
		t.Errorf("the log holds %d exchanges, want %d", n, len(tests))
	}
}

func TestTokenRequestForm(t *testing.T) {
	h := open(t, nil)
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	good := func() url.Values { return h.assertion(h.sign(h.claims(nil), nil)) }
	with := func(name, value string) url.Values {
		v := good()
		if value == "" {
			v.Del(name)
		} else {
			v.Set(name, value)
		}
		return v
	}
	tests := []struct {
		name         string
		target       string
		header       http.Header
		body         string
		code, reason string
	}{
		{"a scope is ignored", h.tokenURL(), form, with("scope", "system/*.cruds nonsense").Encode(), "", ""},
		{"client_id beside the assertion is tolerated", h.tokenURL(), form, with("client_id", h.app).Encode(), "", ""},
		{"JSON", h.tokenURL(), http.Header{"Content-Type": {"application/json"}}, `{"grant_type":"client_credentials"}`, "invalid_request", "Content-Type"},
		{"no Content-Type", h.tokenURL(), nil, good().Encode(), "invalid_request", "Content-Type"},
		{"a parameter twice", h.tokenURL(), form, good().Encode() + "&scope=a&scope=b", "invalid_request", "twice"},
		{"the assertion in the query", h.tokenURL() + "?" + good().Encode(), form, "grant_type=client_credentials", "invalid_request", "query"},
		{"no grant_type", h.tokenURL(), form, with("grant_type", "").Encode(), "invalid_request", "grant_type"},
		{"an unknown grant", h.tokenURL(), form, with("grant_type", "password").Encode(), "unsupported_grant_type", "not modelled"},
		{"no assertion", h.tokenURL(), form, with("client_assertion", "").Encode(), "invalid_client", "client_assertion is missing"},
		{"another assertion type", h.tokenURL(), form, with("client_assertion_type", "saml").Encode(), "invalid_request", "client_assertion_type"},
		{"another client_id", h.tokenURL(), form, with("client_id", "x").Encode(), "invalid_client", "client_id differs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := h.do("POST", tt.target, tt.header, tt.body)
			checkTokenAnswer(t, h, a, tt.code, tt.reason)
			if got := a.header.Get("Cache-Control"); got != "no-cache, no-store,no-store" {
				t.Errorf("Cache-Control is %q", got)
			}
			if got := a.header.Get("X-Frame-Options"); got != "sameorigin" {
				t.Errorf("X-Frame-Options is %q", got)
			}
		})
	}
	if a := h.do("GET", h.tokenURL(), nil, ""); a.status != 405 {
		t.Errorf("GET on the token endpoint: %d, want 405", a.status)
	}
}

// The answer has access_token, token_type, expires_in 3600 and a v2 scope with one letter each
// and category queries; no refresh token (capture of April 2026, high).
func TestTokenAnswer(t *testing.T) {
	h := open(t, nil)
	a := h.postToken(h.assertion(h.sign(h.claims(nil), nil)))
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatal(err)
	}
	if len(v) != 4 || v["token_type"] != "Bearer" || v["expires_in"] != 3600.0 {
		t.Errorf("the answer's members are wrong: %.200s", a.body)
	}
	if parts := strings.Split(v["access_token"].(string), "."); len(parts) != 3 {
		t.Errorf("the access token has %d parts, want the form of a JWT", len(parts))
	}
	scopes := strings.Fields(v["scope"].(string))
	for _, want := range []string{
		"system/Patient.r", "system/Patient.s",
		"system/Observation.r?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
		"system/Condition.s?category=http://terminology.hl7.org/CodeSystem/condition-category|problem-list-item",
	} {
		if !slices.Contains(scopes, want) {
			t.Errorf("the scope lacks %s", want)
		}
	}
	if slices.Contains(scopes, "system/Provenance.s") {
		t.Error("the scope grants the search of a type that has none")
	}
	if first, second := h.signIn(), h.signIn(); first == second {
		t.Error("two requests gave one token, want distinct ones")
	}
}

func TestScopeFollowsTheRegisteredAPIs(t *testing.T) {
	for version, want := range map[string]string{
		"v2": "system/Observation.s?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory system/Patient.r",
		"v1": "system/Observation.read system/Patient.read",
	} {
		h := open(t, func(s *sim.Server) {
			s.Apps[0].APIs = []string{"Patient.Read (R4)", "Observation.Search (Labs) (R4)", "not an API"}
			s.Apps[0].ScopeVersion = version
		})
		a := h.postToken(h.assertion(h.sign(h.claims(nil), nil)))
		var v struct{ Scope string }
		if err := json.Unmarshal([]byte(a.body), &v); err != nil || v.Scope != want {
			t.Errorf("%s: scope is %q, want %q", version, v.Scope, want)
		}
	}
}

func TestUnmappedUserIsUnauthorizedClient(t *testing.T) {
	h := open(t, func(s *sim.Server) { s.Apps[0].NoBackgroundUser = true })
	checkTokenAnswer(t, h, h.postToken(h.assertion(h.sign(h.claims(nil), nil))), "unauthorized_client", "background user")
	h = open(t, func(s *sim.Server) { s.Apps[0].Kind = sim.Standalone })
	checkTokenAnswer(t, h, h.postToken(h.assertion(h.sign(h.claims(nil), nil))), "unauthorized_client", "backend")
}

func TestKeys(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skipf("this Go makes no weak keys: %v", err)
	}
	strong, _ := rsa.GenerateKey(rand.Reader, 2048)
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	for _, tt := range []struct {
		name   string
		alg    jose.SignatureAlgorithm
		sign   any
		public any
		reason string
	}{
		{"RS256", jose.RS256, strong, &strong.PublicKey, ""},
		{"RS384", jose.RS384, strong, &strong.PublicKey, ""},
		{"RS512", jose.RS512, strong, &strong.PublicKey, ""},
		{"ES256", jose.ES256, p256, &p256.PublicKey, ""},
		{"ES384", jose.ES384, p384, &p384.PublicKey, ""},
		{"PS256 is not among Epic's algorithms", jose.PS256, strong, &strong.PublicKey, "alg is not"},
		{"an RSA key below 2048 bits", jose.RS256, weak, &weak.PublicKey, "2048"},
		{"another RSA key of the same kid", jose.RS256, strong, &weak.PublicKey, "2048"},
		{"a curve that does not fit", jose.ES384, p384, &p256.PublicKey, "no key for ES384"},
		{"a published private key", jose.ES384, p384, p384, "no usable public key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t, nil)
			h.alg, h.key = tt.alg, tt.sign
			h.publish(jose.JSONWebKey{Key: tt.public, KeyID: h.kid})
			checkTokenAnswer(t, h, h.postToken(h.assertion(h.sign(h.claims(nil), nil))), "invalid_client", tt.reason)
		})
	}
}

// Key sets are kept by Cache-Control, 29 hours at most, and fetched again once when no key
// verifies (Epic's OAuth 2.0 specification, high).
func TestKeySetCache(t *testing.T) {
	h := open(t, nil)
	expect := func(step string, fetches int64) {
		t.Helper()
		h.signIn()
		if got := h.fetches.Load(); got != fetches {
			t.Errorf("%s: %d fetches of the key set, want %d", step, got, fetches)
		}
	}
	expect("the first assertion fetches", 1)
	expect("the second does not", 1)
	h.Advance(28 * time.Hour)
	expect("28 hours later neither", 1)
	h.Advance(2 * time.Hour)
	expect("after 29 hours it is fetched again", 2)

	next, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	h.key, h.kid = next, "k2"
	h.publish(jose.JSONWebKey{Key: &next.PublicKey, KeyID: "k2"})
	expect("a new kid makes it fetch once", 3)
	checkTokenAnswer(t, h, h.postToken(h.assertion(h.sign(h.claims(nil), map[jose.HeaderKey]any{"kid": "k3"}))), "invalid_client", "kid k3")
	if got := h.fetches.Load(); got != 4 {
		t.Errorf("an unknown kid: %d fetches, want one more, 4", got)
	}
	h.caching.Store("max-age=60, public")
	h.Advance(30 * time.Hour)
	expect("now with max-age", 5)
	h.Advance(61 * time.Second)
	expect("a shorter max-age wins", 6)
	h.caching.Store("no-store")
	h.Advance(61 * time.Second)
	expect("no-store is kept", 7)
	expect("by not keeping", 8)
}

func TestUnreachableKeySet(t *testing.T) {
	h := open(t, nil)
	for name, keys := range map[string]string{"HTML": "<html>", "no keys": `{"keys":[]}`, "null": "null"} {
		h.keys.Store([]byte(keys))
		if a := h.postToken(h.assertion(h.sign(h.claims(nil), nil))); a.status != 400 {
			t.Errorf("%s in place of a key set: %d, want 400", name, a.status)
		}
	}
	if err := h.Register(sim.App{ClientID: "far", JWKSURL: "http://203.0.113.1/keys"}); err == nil {
		t.Error("a JWK Set URL over plain http to another machine was accepted")
	}
	h = open(t, nil)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			_, _ = w.Write([]byte(`{"keys":[],"x":"` + strings.Repeat("x", 2<<20) + `"}`))
			return
		}
		http.Redirect(w, r, h.jwks, http.StatusFound)
	}))
	defer elsewhere.Close()
	for path, reason := range map[string]string{"/redirect": "answers 302", "/large": "larger than 1 MB"} {
		if err := h.Register(sim.App{ClientID: h.app, JWKSURL: elsewhere.URL + path}); err != nil {
			t.Fatal(err)
		}
		checkTokenAnswer(t, h, h.postToken(h.assertion(h.sign(h.claims(nil), nil))), "invalid_client", reason)
	}
}

func TestUploadedKeyNeedsItsKnob(t *testing.T) {
	key, _ := rsa.GenerateKey(rand.Reader, 2048)
	jwk, _ := json.Marshal(jose.JSONWebKey{Key: &key.PublicKey})
	app := sim.App{ClientID: "uploaded", JWK: jwk}
	strict := open(t, nil)
	if err := strict.Register(app); err == nil {
		t.Error("an uploaded key was accepted without the knob")
	}
	h := open(t, func(s *sim.Server) { s.Knobs.StaticKeys = true })
	if err := h.Register(app); err != nil {
		t.Fatal(err)
	}
	h.app, h.key, h.alg = app.ClientID, key, jose.RS384
	checkTokenAnswer(t, h, h.postToken(h.assertion(h.sign(h.claims(nil), nil))), "", "")
	ec, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	h.key, h.alg = ec, jose.ES384
	checkTokenAnswer(t, h, h.postToken(h.assertion(h.sign(h.claims(nil), nil))), "invalid_client", "ES384 needs a JWK Set URL")
}

func TestTokenEndsByTheClockAndByRevocation(t *testing.T) {
	h := open(t, nil)
	h.signIn()
	if a := h.get("Patient/eAlex3"); a.status != 200 {
		t.Fatalf("a fresh token: %d", a.status)
	}
	h.Advance(time.Hour)
	if a := h.get("Patient/eAlex3"); a.status != 401 || !strings.Contains(h.lastReason(), "expired") {
		t.Errorf("after an hour: %d (%s), want 401, expired", a.status, h.lastReason())
	}
	h.signIn()
	if n := h.Revoke(h.app); n != 2 {
		t.Errorf("revoked %d tokens, want 2", n)
	}
	if a := h.get("Patient/eAlex3"); a.status != 401 {
		t.Errorf("after revocation: %d, want 401", a.status)
	}
}

// Advance ages the server beneath a client that stays in real time; Skew makes clocks differ.
func TestAdvanceAndSkew(t *testing.T) {
	h := open(t, nil)
	before := time.Now()
	h.Advance(48 * time.Hour)
	stale := h.claims(map[string]any{"iat": before.Unix() - 5, "nbf": before.Unix() - 5, "exp": before.Unix() + 240})
	checkTokenAnswer(t, h, h.postToken(h.assertion(h.sign(stale, nil))), "", "")
	h.Skew(10 * time.Minute)
	stale["jti"] = "another"
	a := h.postToken(h.assertion(h.sign(stale, nil)))
	checkTokenAnswer(t, h, a, "invalid_client", "past")
	date, err := http.ParseTime(a.header.Get("Date"))
	if err != nil || date.Sub(before) < 48*time.Hour+9*time.Minute {
		t.Errorf("Date is %s, want the server's clock", a.header.Get("Date"))
	}
}

func TestNewAppIsKnownAfterTheSyncDelay(t *testing.T) {
	h := open(t, func(s *sim.Server) { s.Knobs.SyncDelay = 12 * time.Hour })
	if err := h.Register(sim.App{ClientID: "new", JWKSURL: h.jwks}); err != nil {
		t.Fatal(err)
	}
	h.app = "new"
	checkTokenAnswer(t, h, h.postToken(h.assertion(h.sign(h.claims(nil), nil))), "invalid_client", "sync_delay")
	h.Advance(12 * time.Hour)
	checkTokenAnswer(t, h, h.postToken(h.assertion(h.sign(h.claims(nil), nil))), "", "")
}
