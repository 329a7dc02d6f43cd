package smart_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/andironhq/andiron/smart"
)

// ehr is a FHIR server with a strict authorization server for people, who consent to everything at
// once. It is written from RFC 6749, 7636 and SMART App Launch 2.2 and shares no code with the package.
type ehr struct {
	t      testing.TB
	clock  *clock
	srv    *httptest.Server
	base   string
	issuer string

	mu       sync.Mutex
	method   string // none, client_secret_basic, client_secret_post, private_key_jwt
	secret   string
	keys     smart.KeySet
	redirect string
	patient  string // of the next launch
	rotate   bool
	ends     time.Time // of every grant, told by introspection
	reuse    bool      // reuse of an old refresh token ends the grant

	codes     map[string]*granted
	families  []*family
	jtis      map[string]bool
	serial    int
	requests  []string // path of every request
	tokenReqs []url.Values
	revoked   []string
	authz     []url.Values

	// conf changes the discovery document, answer the token answer, claims the id_token's.
	conf   func(m map[string]any)
	answer func(grant string, m map[string]any)
	claims func(c map[string]any)
	// sign makes the id_token in place of the server.
	sign func(c map[string]any) string
	// fault answers a token request in place of the server, and says whether it did.
	fault func(grant string, w http.ResponseWriter) bool
	// back changes what goes back to the application.
	back func(q url.Values)
	hold func()
}

type granted struct {
	form   url.Values
	family *family
}

type family struct {
	refresh string // the live one
	old     []string
	dead    bool
	patient string
	access  []string
}

// idKey signs id_tokens in all tests.
var idKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func startEHR(t testing.TB, c *clock) *ehr {
	t.Helper()
	e := &ehr{t: t, clock: c, method: "none", patient: "pat-1", rotate: true, reuse: true, codes: map[string]*granted{}, jtis: map[string]bool{}}
	e.srv = httptest.NewServer(http.HandlerFunc(e.handle))
	t.Cleanup(e.srv.Close)
	e.base, e.issuer = e.srv.URL+"/api/FHIR/R4", e.srv.URL+"/oauth2"
	return e
}

func (e *ehr) handle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", e.clock.now().UTC().Format(http.TimeFormat))
	e.mu.Lock()
	e.requests = append(e.requests, r.URL.Path)
	e.mu.Unlock()
	switch r.URL.Path {
	case "/api/FHIR/R4/.well-known/smart-configuration":
		e.discovery(w)
	case "/oauth2/authorize":
		e.authorize(w, r)
	case "/oauth2/token":
		e.token(w, r)
	case "/oauth2/keys":
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: idKey().Public(), KeyID: "k+/=", Algorithm: "RS256", Use: "sig"}}})
	case "/oauth2/introspect":
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.ends.IsZero() || !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer CANARY-access") || !strings.HasPrefix(r.PostFormValue("token"), "CANARY-refresh") {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"active":true,"exp":%d}`, e.ends.Unix())
	case "/oauth2/revoke":
		e.mu.Lock()
		e.revoked = append(e.revoked, r.PostFormValue("token"))
		e.mu.Unlock()
	default:
		http.NotFound(w, r)
	}
}

func (e *ehr) discovery(w http.ResponseWriter) {
	m := map[string]any{
		"issuer": e.issuer, "jwks_uri": e.issuer + "/keys", "authorization_endpoint": e.issuer + "/authorize",
		"token_endpoint": e.issuer + "/token", "revocation_endpoint": e.issuer + "/revoke",
		"capabilities": []string{"launch-ehr", "launch-standalone", "authorize-post"}, "code_challenge_methods_supported": []string{"S256"},
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conf != nil {
		e.conf(m)
	}
	_ = json.NewEncoder(w).Encode(m)
}

func (e *ehr) authorize(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	e.mu.Lock()
	defer e.mu.Unlock()
	f := r.Form
	e.authz = append(e.authz, f)
	page := func(why string) { http.Error(w, "Something went wrong: "+why, http.StatusBadRequest) }
	for _, name := range []string{"response_type", "client_id", "redirect_uri", "scope", "state", "aud", "code_challenge", "code_challenge_method"} {
		if len(f[name]) != 1 || f.Get(name) == "" {
			page(name)
			return
		}
	}
	switch {
	case f.Get("client_id") != "my-app" || f.Get("redirect_uri") != e.redirect:
		page("client or redirect URI")
		return
	case strings.TrimSuffix(f.Get("aud"), "/") != e.base:
		page("aud")
		return
	case f.Get("response_type") != "code" || f.Get("code_challenge_method") != "S256" || len(f.Get("code_challenge")) != 43:
		page("PKCE")
		return
	case slices.Contains(strings.Fields(f.Get("scope")), "openid") != f.Has("nonce"):
		page("nonce")
		return
	case slices.Contains(strings.Fields(f.Get("scope")), "launch") != f.Has("launch"):
		page("launch")
		return
	}
	e.serial++
	code := fmt.Sprintf("CANARY-code-%d", e.serial)
	e.codes[code] = &granted{form: f, family: &family{patient: e.patient}}
	q := url.Values{"code": {code}, "state": {f.Get("state")}}
	if e.back != nil {
		e.back(q)
	}
	http.Redirect(w, r, f.Get("redirect_uri")+"?"+q.Encode(), http.StatusFound)
}

func (e *ehr) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	grant := r.PostForm.Get("grant_type")
	e.mu.Lock()
	e.tokenReqs = append(e.tokenReqs, r.PostForm)
	fault, hold := e.fault, e.hold
	e.mu.Unlock()
	if hold != nil {
		hold()
	}
	if fault != nil && fault(grant, w) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	m, err := e.grant(r, grant)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": err.Error(), "error_description": nil})
		return
	}
	e.mu.Lock()
	answer := e.answer
	e.mu.Unlock()
	if answer != nil {
		answer(grant, m)
	}
	_ = json.NewEncoder(w).Encode(m)
}

// grant judges a token request; the error is the OAuth code.
func (e *ehr) grant(r *http.Request, grant string) (map[string]any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := r.PostForm
	if r.Method != http.MethodPost || r.URL.RawQuery != "" || !e.authentic(r) {
		return nil, errors.New("invalid_client")
	}
	var fam *family
	scope, nonce := "", ""
	switch grant {
	case "authorization_code":
		g := e.codes[f.Get("code")]
		if g == nil {
			return nil, errors.New("invalid_grant")
		}
		delete(e.codes, f.Get("code"))
		sum := sha256.Sum256([]byte(f.Get("code_verifier")))
		if f.Get("redirect_uri") != g.form.Get("redirect_uri") || len(f.Get("code_verifier")) < 43 ||
			base64.RawURLEncoding.EncodeToString(sum[:]) != g.form.Get("code_challenge") {
			return nil, errors.New("invalid_grant")
		}
		fam, scope, nonce = g.family, g.form.Get("scope"), g.form.Get("nonce")
		if strings.Contains(scope, "offline_access") {
			fam.refresh = e.next("refresh")
		}
		e.families = append(e.families, fam)
	case "refresh_token":
		for _, g := range e.families {
			if slices.Contains(g.old, f.Get("refresh_token")) && e.reuse {
				g.dead = true
			}
			if g.refresh == f.Get("refresh_token") && g.refresh != "" && !g.dead {
				fam = g
			}
		}
		if fam == nil {
			return nil, errors.New("invalid_grant")
		}
		if e.rotate {
			fam.old = append(fam.old, fam.refresh)
			fam.refresh = e.next("refresh")
		}
	default:
		return nil, errors.New("unsupported_grant_type")
	}
	access := e.next("access")
	fam.access = append(fam.access, access)
	m := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": "3600"}
	if scope != "" {
		m["scope"], m["patient"], m["state"] = scope, fam.patient, "CANARY-state"
		m["need_patient_banner"], m["__epic.dstu2.patient"] = "false", fam.patient
	}
	if fam.refresh != "" && (e.rotate || grant == "authorization_code") {
		m["refresh_token"] = fam.refresh
	}
	if nonce != "" {
		m["id_token"] = e.idToken(nonce)
	}
	return m, nil
}

func (e *ehr) next(kind string) string {
	e.serial++
	return fmt.Sprintf("CANARY-%s-%d", kind, e.serial)
}

func (e *ehr) idToken(nonce string) string {
	now := e.clock.now().Unix()
	c := map[string]any{
		"iss": e.issuer, "sub": "u1", "aud": "my-app", "exp": now + 300, "iat": now, "nonce": nonce,
		"fhirUser": e.base + "/Practitioner/prac-1", "name": "CANARY-name",
	}
	if e.claims != nil {
		e.claims(c)
	}
	if e.sign != nil {
		return e.sign(c)
	}
	return signID(e.t, jose.RS256, idKey(), "k+/=", c)
}

func signID(t testing.TB, alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Error(err)
		return ""
	}
	raw, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Error(err)
	}
	return raw
}

// authentic judges the client's authentication: exactly the one that is registered.
func (e *ehr) authentic(r *http.Request) bool {
	f, header := r.PostForm, r.Header.Get("Authorization")
	switch e.method {
	case "none":
		return f.Get("client_id") == "my-app" && header == "" && !f.Has("client_secret") && !f.Has("client_assertion")
	case "client_secret_basic":
		return !f.Has("client_id") && header == "Basic "+base64.StdEncoding.EncodeToString([]byte("my-app:"+e.secret))
	case "client_secret_post":
		return f.Get("client_id") == "my-app" && header == "" && f.Get("client_secret") == e.secret
	}
	if header != "" || f.Has("client_id") {
		return false
	}
	token, err := jwt.ParseSigned(f.Get("client_assertion"), []jose.SignatureAlgorithm{jose.ES384})
	if err != nil {
		return false
	}
	published, _ := json.Marshal(e.keys)
	var set jose.JSONWebKeySet
	_ = json.Unmarshal(published, &set)
	var c jwt.Claims
	if token.Claims(set.Keys[0].Key, &c) != nil || e.jtis[c.ID] || c.ID == "" {
		return false
	}
	e.jtis[c.ID] = true
	return c.Issuer == "my-app" && c.Subject == "my-app" && len(c.Audience) == 1 && c.Audience[0] == e.issuer+"/token" &&
		c.Expiry.Time().After(e.clock.now()) && !c.Expiry.Time().After(e.clock.now().Add(5*time.Minute))
}

// count is how many requests came to a path that ends so.
func (e *ehr) count(suffix string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, p := range e.requests {
		if strings.HasSuffix(p, suffix) {
			n++
		}
	}
	return n
}

func (e *ehr) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// app is an application under test with the server that it runs on.
type app struct {
	*smart.App
	url   string
	clock *clock
}

// serveApp runs the application: its pages say who and where.
func serveApp(t testing.TB, c *clock, a *smart.App) *app {
	t.Helper()
	var h http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	a.URL, a.Now = srv.URL, c.now
	if a.Wait == nil {
		a.Wait = func(ctx context.Context, d time.Duration) error { c.advance(d); return ctx.Err() }
	}
	h = a.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := smart.FromContext(r.Context())
		token, err := s.Token(r.Context(), s.Base, "")
		fmt.Fprintf(w, "patient %s user %s/%s path %s method %s token %t %v", s.Patient, s.User.Type, s.User.ID, r.URL.RequestURI(), r.Method, token != "", err)
	}))
	return &app{a, srv.URL, c}
}

// single is an application with one issuer, the ehr.
func single(t testing.TB, e *ehr, change func(i *smart.Issuer)) *app {
	t.Helper()
	i := smart.Issuer{Base: e.base, ClientID: "my-app", Scope: "openid fhirUser patient/*.rs offline_access"}
	if change != nil {
		change(&i)
	}
	a := serveApp(t, e.clock, &smart.App{Issuers: []smart.Issuer{i}})
	e.redirect = a.url + "/callback"
	return a
}

// browser keeps cookies and follows redirects, and remembers where it has been.
type browser struct {
	t    testing.TB
	c    *http.Client
	seen []string
}

func newBrowser(t testing.TB) *browser {
	jar, _ := cookiejar.New(nil)
	b := &browser{t: t}
	b.c = &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		b.seen = append(b.seen, r.URL.String())
		return nil
	}}
	return b
}

// stopAt makes the browser stay before a path that begins so, and return that URL.
func (b *browser) stopAt(start, path string) string {
	b.t.Helper()
	c := *b.c
	at := ""
	c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.Path, path) {
			at = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	res, err := c.Get(start)
	if err != nil {
		b.t.Fatal(err)
	}
	res.Body.Close()
	if at == "" {
		b.t.Fatalf("the browser never came to %s; status %d", path, res.StatusCode)
	}
	return at
}

// open is status, body and the URL where it ended.
func (b *browser) open(u string) (int, string, *url.URL) {
	b.t.Helper()
	res, err := b.c.Get(u)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body), res.Request.URL
}

// signIn opens a URL and fails the test unless it ends on a page of the application.
func (b *browser) signIn(u string) (string, *url.URL) {
	b.t.Helper()
	status, body, at := b.open(u)
	if status != http.StatusOK || !strings.HasPrefix(body, "patient ") {
		b.t.Fatalf("sign-in ended with %d: %s", status, body)
	}
	return body, at
}

var handleForm = regexp.MustCompile(`^/s/([^/]+)/`)

// sessionOf is the session of a page's URL.
func (a *app) sessionOf(t testing.TB, at *url.URL) *smart.Session {
	t.Helper()
	m := handleForm.FindStringSubmatch(at.Path)
	if m == nil {
		t.Fatalf("%s is no page of a session", at.Path)
	}
	s, err := a.Session(t.Context(), m[1])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var causeForm = regexp.MustCompile(`data-cause="([^"]+)"`)

// cause is what a page of ours says went wrong.
func cause(body string) string {
	if m := causeForm.FindStringSubmatch(body); m != nil {
		return m[1]
	}
	return ""
}
