package smart_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/andironhq/andiron/smart"
)

func TestAttackStateReplayed(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	b := newBrowser(t)
	callback := b.stopAt(a.url, "/callback")
	u, _ := url.Parse(callback)
	auth, err := a.Begin(t.Context(), smart.LaunchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{"state": {auth.State.Reveal()}, "code": {u.Query().Get("code")}}
	_, first := a.Finish(t.Context(), q, auth.Binding.Reveal())
	_, second := a.Finish(t.Context(), q, auth.Binding.Reveal())
	if first == nil || !errors.Is(second, smart.ErrLaunchUsed) {
		t.Errorf("the state was taken twice: %v, %v", first, second)
	}
}

// Of many callbacks with one state, one reaches the token endpoint.
func TestAttackStateReplayedAtOnce(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	auth, err := a.Begin(t.Context(), smart.LaunchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{"state": {auth.State.Reveal()}, "code": {"x"}}
	got := gather(t, 20, func() (string, error) {
		_, err := a.Finish(t.Context(), q, auth.Binding.Reveal())
		return "", err
	})
	if n := e.count("/token"); n != 1 {
		t.Errorf("%d exchanges, want one: %v", n, got)
	}
}

func TestAttackStateOfAnotherBrowser(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	attacker, victim := newBrowser(t), newBrowser(t)
	callback := attacker.stopAt(a.url, "/callback") // the attacker's own sign-in …
	victim.stopAt(a.url, "/callback")               // … given to a victim that has a launch under way
	if status, body, _ := victim.open(callback); status != http.StatusBadRequest || cause(body) != "browser" {
		t.Errorf("the victim was signed in as the attacker: %d %s", status, body)
	}
	if n := e.count("/token"); n != 0 {
		t.Errorf("%d codes were exchanged", n)
	}
	attacker.signIn(callback) // and it did not end the launch where it was begun
}

func TestAttackSessionFixation(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	b := newBrowser(t)
	_, first := b.signIn(a.url)
	root, _ := url.Parse(a.url)
	planted := b.c.Jar.Cookies(root)
	_, second := b.signIn(a.url)
	if first.Path == second.Path {
		t.Error("a second launch has the handle of the first")
	}
	secrets := map[string]bool{}
	for _, c := range b.c.Jar.Cookies(root) {
		if secrets[c.Value] {
			t.Error("two launches have one secret")
		}
		secrets[c.Value] = true
	}
	// A handle and a secret of somebody's choosing are never taken over.
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/s/chosen/", nil)
	for _, c := range planted {
		r.AddCookie(c)
	}
	a.Protect(http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized || len(w.Result().Cookies()) != 0 {
		t.Errorf("a chosen handle: status %d, cookies %v", w.Code, w.Result().Cookies())
	}
}

func TestAttackLeakedURLOfASession(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	_, at := newBrowser(t).signIn(a.url)
	thief := newBrowser(t)
	thief.signIn(a.url) // with a session of their own
	status, leaked, _ := thief.open(at.String())
	_, unknown, _ := thief.open(a.url + "/s/AAAAAAAAAAAAAAAAAAAAAA/")
	if status != http.StatusUnauthorized || leaked != unknown {
		t.Errorf("another browser with the URL: status %d; and it can tell a session from none: %t", status, leaked != unknown)
	}
}

// A code of the attacker's in the victim's callback: PKCE makes the server refuse it, the nonce us.
func TestAttackCodeInjection(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	theirs, _ := url.Parse(newBrowser(t).stopAt(a.url, "/callback"))
	victim := newBrowser(t)
	own, _ := url.Parse(victim.stopAt(a.url, "/callback"))
	q := url.Values{"state": {own.Query().Get("state")}, "code": {theirs.Query().Get("code")}}
	status, body, _ := victim.open(a.url + "/callback?" + q.Encode())
	if status != http.StatusBadGateway || cause(body) != "server" {
		t.Errorf("the injected code gave %d: %s", status, body)
	}
	// At a server that does not check PKCE the nonce is left.
	e.claims = func(c map[string]any) { c["nonce"] = "of another launch" }
	status, body, _ = newBrowser(t).open(a.url)
	if status != http.StatusBadGateway || cause(body) != "id-token" {
		t.Errorf("an id_token of another launch gave %d: %s", status, body)
	}
}

func TestAttackLaunchTampering(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	good := url.QueryEscape(e.base)
	for _, q := range []string{
		"", "iss=" + good, "launch=1", "iss=" + good + "&launch=", "iss=&launch=1",
		"iss=" + good + "&iss=" + good + "&launch=1", "iss=" + good + "&launch=1&launch=2", "iss=" + good + "&launch=%zz", "iss=" + good + ";launch=1",
	} {
		status, body, _ := newBrowser(t).open(a.url + "/launch?" + q)
		if status != http.StatusBadRequest || cause(body) != "launch-request" {
			t.Errorf("launch?%s: status %d, cause %q", q, status, cause(body))
		}
	}
	if len(e.requests) != 0 {
		t.Errorf("requests left: %v", e.requests)
	}
}

func TestAttackIssuerThatIsNotAllowed(t *testing.T) {
	evil := startEHR(t, newClock())
	e := startEHR(t, evil.clock)
	a := single(t, e, nil)
	status, body, _ := newBrowser(t).open(a.url + "/launch?launch=1&iss=" + url.QueryEscape(evil.base))
	if status != http.StatusForbidden || cause(body) != "issuer" || strings.Contains(body, evil.base) {
		t.Errorf("status %d: %s", status, body)
	}
	status, body, _ = newBrowser(t).open(a.url + "/page?iss=" + url.QueryEscape(evil.base))
	if status != http.StatusForbidden || cause(body) != "issuer" {
		t.Errorf("standalone: status %d: %s", status, body)
	}
	none := &smart.App{URL: "https://app.example"}
	if _, err := none.Begin(t.Context(), smart.LaunchRequest{Base: e.base, Launch: "1"}); !errors.Is(err, smart.ErrIssuer) {
		t.Errorf("without issuers: %v, want ErrIssuer", err)
	}
	if len(evil.requests)+len(e.requests) != 0 {
		t.Errorf("requests left: %v %v", evil.requests, e.requests)
	}
}

func TestAttackIssuerLookAlikes(t *testing.T) {
	const base = "https://ehr.example/api/FHIR/R4"
	tests := []struct {
		iss string
		ok  bool
	}{
		{base, true},
		{base + "/", true},
		{"https://EHR.example:443/api/FHIR/R4", true},
		{base + "//", false},
		{"http://ehr.example/api/FHIR/R4", false},
		{"https://ehr.example:8443/api/FHIR/R4", false},
		{"https://ehr.example/api/fhir/R4", false},
		{"https://ehr.example/api/FHIR", false},
		{"https://ehr.example/api/FHIR/R4/x", false},
		{"https://ehr.example/api/FHIR/R4/../R4", false},
		{"https://ehr.example/api/FHIR%2fR4", false},
		{"https://ehr.example/api/FHIR/%52%34", false},
		{"https://ehr.example.evil.example/api/FHIR/R4", false},
		{"https://ehr.example@evil.example/api/FHIR/R4", false},
		{"https://user@ehr.example/api/FHIR/R4", false},
		{"https://ehr.example/api/FHIR/R4?x=1", false},
		{"https://ehr.example/api/FHIR/R4?", false},
		{"https://ehr.example/api/FHIR/R4#x", false},
		{"https://ehr.example/api/FHIR/R4#", false},
		{"https://ehr.example./api/FHIR/R4", false},
		{"https://еhr.example/api/FHIR/R4", false}, // a Cyrillic letter
		{`https://ehr.example\@evil.example/api/FHIR/R4`, false},
		{"//ehr.example/api/FHIR/R4", false},
		{" " + base, false},
		{base + "\x00", false},
		{"javascript:alert(1)", false},
	}
	for _, tt := range tests {
		t.Run(tt.iss, func(t *testing.T) {
			sent := 0
			a := &smart.App{
				URL: "https://app.example", Issuers: []smart.Issuer{{Base: base, ClientID: "x", AuthorizeURL: "https://ehr.example/a", TokenURL: "https://ehr.example/t"}},
				HTTP: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { sent++; return nil, errors.New("no network") })},
			}
			_, err := a.Begin(t.Context(), smart.LaunchRequest{Base: tt.iss, Launch: "1"})
			if (err == nil) != tt.ok || !tt.ok && (!errors.Is(err, smart.ErrIssuer) || sent != 0) {
				t.Errorf("%v with %d requests; allowed: want %t", err, sent, tt.ok)
			}
		})
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAttackOpenRedirect(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	for _, target := range []string{
		"//evil.example", `/\evil.example`, `\\evil.example`, "https://evil.example", "https:evil.example", "evil.example", "/a\r\nLocation: x", "/../../evil", "/a/./b",
		"/%2e%2e/x", "//", "/a//b", "/a\tb", "/#x", "javascript:alert(1)", "/%5cevil.example", "/a?b\x00",
	} {
		if _, err := a.Begin(t.Context(), smart.LaunchRequest{Target: target}); !errors.Is(err, smart.ErrTarget) {
			t.Errorf("target %q: %v, want ErrTarget", target, err)
		}
	}
	// Whatever stands in a request, the browser stays with the application.
	b := newBrowser(t)
	for _, path := range []string{"//evil.example/x", "/%2f%2fevil.example", `/%5cevil.example`, "/x?redirect_uri=https://evil.example", "/x?next=//evil.example"} {
		_, at := b.signIn(a.url + path)
		root, _ := url.Parse(a.url)
		if at.Host != root.Host || !strings.HasPrefix(at.Path, "/s/") || strings.HasPrefix(at.Path[3:], "/") {
			t.Errorf("%s led to %s", path, at)
		}
	}
}

// An honest and a malicious server are both allowed; the malicious one sends the browser on to the
// honest one, to get its code.
func TestAttackMixUp(t *testing.T) {
	honest, evil := startEHR(t, newClock()), startEHR(t, newClock())
	a := serveApp(t, honest.clock, &smart.App{Issuers: []smart.Issuer{
		{Base: honest.base, ClientID: "my-app"},
		{Base: evil.base, ClientID: "my-app"},
	}})
	begin := func() (*smart.Authorization, url.Values) {
		auth, err := a.Begin(t.Context(), smart.LaunchRequest{Base: evil.base})
		if err != nil {
			t.Fatal(err)
		}
		return auth, url.Values{"state": {auth.State.Reveal()}, "code": {"CANARY-code-of-the-honest-server"}}
	}
	auth, q := begin()
	q.Set("iss", honest.issuer) // RFC 9207
	if _, err := a.Finish(t.Context(), q, auth.Binding.Reveal()); !errors.Is(err, smart.ErrMixUp) {
		t.Errorf("an answer with the issuer of another: %v, want ErrMixUp", err)
	}
	if n := evil.count("/token"); n != 0 {
		t.Error("the code was given to the wrong server")
	}
	evil.conf = func(m map[string]any) { m["authorization_response_iss_parameter_supported"] = true }
	evil.clock.advance(0)
	b := serveApp(t, honest.clock, &smart.App{Issuers: []smart.Issuer{{Base: evil.base, ClientID: "my-app"}}})
	auth, err := b.Begin(t.Context(), smart.LaunchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	q = url.Values{"state": {auth.State.Reveal()}, "code": {"x"}}
	if _, err := b.Finish(t.Context(), q, auth.Binding.Reveal()); !errors.Is(err, smart.ErrMixUp) {
		t.Errorf("an answer without the iss that is announced: %v, want ErrMixUp", err)
	}
}

// Where servers do not say who they are, a redirect URI for each tells them apart.
func TestAttackMixUpOfRedirectURIs(t *testing.T) {
	honest, evil := startEHR(t, newClock()), startEHR(t, newClock())
	a := serveApp(t, honest.clock, &smart.App{})
	a.Issuers = []smart.Issuer{
		{Base: honest.base, ClientID: "my-app", RedirectURI: a.url + "/callback/honest"},
		{Base: evil.base, ClientID: "my-app", RedirectURI: a.url + "/callback/evil"},
	}
	evil.redirect = a.url + "/callback/evil"
	b := newBrowser(t)
	callback := b.stopAt(a.url+"/launch?launch=1&iss="+url.QueryEscape(evil.base), "/callback")
	status, body, _ := b.open(strings.Replace(callback, "/callback/evil", "/callback/honest", 1))
	if status != http.StatusBadRequest || cause(body) != "mix-up" || evil.count("/token") != 0 {
		t.Errorf("status %d, cause %q, %d exchanges", status, cause(body), evil.count("/token"))
	}
	if _, at := b.signIn(a.url + "/launch?launch=1&iss=" + url.QueryEscape(evil.base)); at == nil {
		t.Error("a redirect URI of its own is not served")
	}
}

func TestAttackDuplicateParametersOfTheCallback(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	tests := []struct {
		name  string
		q     string // %s is the state
		cause string
	}{
		{"two states", "state=%s&state=x&code=1", "callback"},
		{"two codes", "state=%s&code=1&code=2", "callback"},
		{"two issuers", "state=%s&code=1&iss=a&iss=b", "callback"},
		{"two errors", "state=%s&error=a&error=b", "callback"},
		{"code and error", "state=%s&code=1&error=access_denied", "callback"},
		{"neither", "state=%s", "callback"},
		{"no state", "code=1", "callback"},
		{"a giant state", "code=1&state=" + strings.Repeat("x", 500), "callback"},
		{"not a query", "state=%s&code=%%zz", "callback"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBrowser(t)
			u, _ := url.Parse(b.stopAt(a.url, "/callback"))
			q := tt.q
			if strings.Contains(q, "%s") {
				q = fmt.Sprintf(q, u.Query().Get("state"))
			}
			status, body, _ := b.open(a.url + "/callback?" + q)
			if status != http.StatusBadRequest || cause(body) != tt.cause {
				t.Errorf("status %d, cause %q", status, cause(body))
			}
		})
	}
	if n := e.count("/token"); n != 0 {
		t.Errorf("%d codes were exchanged", n)
	}
}

func TestAttackAnswersOfTheTokenEndpoint(t *testing.T) {
	tests := []struct {
		name string
		do   func(w http.ResponseWriter)
	}{
		{"giant", func(w http.ResponseWriter) { fmt.Fprintf(w, `{"access_token":%q}`, strings.Repeat("x", 2<<20)) }},
		{"HTML", func(w http.ResponseWriter) { fmt.Fprint(w, "<!doctype html><p>CANARY") }},
		{"a redirect", func(w http.ResponseWriter) {
			w.Header().Set("Location", "/oauth2/elsewhere")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}},
		{"no token", func(w http.ResponseWriter) { fmt.Fprint(w, `{"token_type":"bearer"}`) }},
		{"another type", func(w http.ResponseWriter) { fmt.Fprint(w, `{"access_token":"x","token_type":"DPoP"}`) }},
		{"a token that breaks the header", func(w http.ResponseWriter) { fmt.Fprint(w, `{"access_token":"x\r\ny","token_type":"bearer"}`) }},
		{"a description with a token", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant","error_description":"CANARY"}`)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := startEHR(t, newClock())
			e.fault = func(_ string, w http.ResponseWriter) bool { tt.do(w); return true }
			a := single(t, e, nil)
			var got error
			a.Failed = func(w http.ResponseWriter, _ *http.Request, err error) {
				got = err
				w.WriteHeader(http.StatusTeapot)
			}
			status, _, _ := newBrowser(t).open(a.url)
			if status != http.StatusTeapot || got == nil || strings.Contains(got.Error(), "CANARY") {
				t.Errorf("status %d, error %v", status, got)
			}
			if e.count("/elsewhere") != 0 {
				t.Error("the redirect was followed, with the code in it")
			}
		})
	}
}
