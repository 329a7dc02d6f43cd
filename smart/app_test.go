package smart_test

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/andironhq/andiron/smart"
)

func TestStandaloneLaunchLeadsBackToThePageThatWasAsked(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	b := newBrowser(t)
	body, at := b.signIn(a.url + "/labs/a%2Fb?days=30")
	want := "patient pat-1 user Practitioner/prac-1 path /labs/a%2Fb?days=30 method GET token true <nil>"
	if body != want {
		t.Errorf("the page says\n%s\nwant\n%s", body, want)
	}
	if strings.Contains(at.RawQuery, "code") || strings.Contains(at.RawQuery, "state") {
		t.Errorf("the page's URL holds what came back: %s", at)
	}
	if f := e.authz[0]; f.Get("aud") != e.base || f.Get("scope") != "launch/patient openid fhirUser patient/*.rs offline_access" {
		t.Errorf("asked with aud %q, scope %q", f.Get("aud"), f.Get("scope"))
	}
	body, _ = b.signIn(at.String()) // the page again, with its cookie
	if body != want {
		t.Errorf("the second time the page says %s", body)
	}
	if n := e.count("/authorize"); n != 1 {
		t.Errorf("%d sign-ins, want one", n)
	}
}

func TestEHRLaunchSendsTheIssuerAsReceived(t *testing.T) {
	for _, slash := range []string{"", "/"} {
		e := startEHR(t, newClock())
		a := single(t, e, nil)
		launch := "opaque." + strings.Repeat("x", 300)
		newBrowser(t).signIn(a.url + "/launch?" + url.Values{"iss": {e.base + slash}, "launch": {launch}}.Encode())
		f := e.authz[0]
		if f.Get("aud") != e.base+slash || f.Get("launch") != launch || !strings.HasPrefix(f.Get("scope"), "launch openid") {
			t.Errorf("asked with aud %q, scope %q, want iss and launch as they came", f.Get("aud"), f.Get("scope"))
		}
	}
}

func TestClientAuthenticationOnEveryGrant(t *testing.T) {
	keys, _ := smart.PublicSet(ecKey())
	tests := []struct {
		method, secret string
		issuer         func(i *smart.Issuer)
	}{
		{"none", "", func(*smart.Issuer) {}},
		{"client_secret_basic", "s3cret%/+ :", func(i *smart.Issuer) { i.Secret = smart.NewSecret("s3cret%/+ :") }},
		{"client_secret_basic", "s3cret%25%2F", func(i *smart.Issuer) { i.Secret, i.EncodeSecret = smart.NewSecret("s3cret%/"), true }},
		{"client_secret_post", "s3cret", func(i *smart.Issuer) { i.Secret, i.SecretPost = smart.NewSecret("s3cret"), true }},
		{"private_key_jwt", "", func(i *smart.Issuer) { i.Key = ecKey() }},
	}
	for _, tt := range tests {
		t.Run(tt.method, func(t *testing.T) {
			e := startEHR(t, newClock())
			e.method, e.secret, e.keys = tt.method, tt.secret, keys
			a := single(t, e, tt.issuer)
			_, at := newBrowser(t).signIn(a.url)
			s := a.sessionOf(t, at)
			first, err := s.Token(t.Context(), e.base, "")
			if err != nil {
				t.Fatal(err)
			}
			e.clock.advance(59 * time.Minute)
			second, err := s.Token(t.Context(), e.base, "")
			if err != nil || second == first || len(e.tokenReqs) != 2 {
				t.Errorf("the refresh was not authenticated as the exchange: %v", err)
			}
		})
	}
}

func TestLongRequestsOfEHRLaunchesArePosted(t *testing.T) {
	tests := []struct {
		name      string
		launch    string
		announced bool
		always    bool
		post      bool
	}{
		{"short", "l", true, false, false},
		{"long", strings.Repeat("l", 3000), true, false, true},
		{"long at a server that does not announce it", strings.Repeat("l", 3000), false, false, false},
		{"short, but set so", "l", false, true, true},
		{"standalone", "", true, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := startEHR(t, newClock())
			e.conf = func(m map[string]any) {
				m["authorization_endpoint"] = e.issuer + "/authorize?tenant=a%20b"
				if !tt.announced {
					delete(m, "capabilities")
				}
			}
			a := single(t, e, func(i *smart.Issuer) { i.PostAuthorize = tt.always })
			auth, err := a.Begin(t.Context(), smart.LaunchRequest{Base: e.base, Launch: tt.launch})
			if err != nil {
				t.Fatal(err)
			}
			if (auth.Form != nil) != tt.post {
				t.Fatalf("posted is %t, want %t", auth.Form != nil, tt.post)
			}
			u, _ := url.Parse(auth.URL)
			if u.Query().Get("tenant") != "a b" || u.Query().Has("state") == tt.post {
				t.Errorf("the URL has the query %q", u.RawQuery)
			}
		})
	}
}

func TestThePostingPageRunsNothingButItsOwnScript(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, func(i *smart.Issuer) { i.PostAuthorize = true })
	b := newBrowser(t)
	res, err := b.c.Get(a.url + "/launch?" + url.Values{"iss": {e.base}, "launch": {`"><script>x</script>`}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	buf := new(strings.Builder)
	_, _ = fmt.Fprint(buf, readAll(res))
	page, policy := buf.String(), res.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "script-src 'nonce-") || strings.Contains(page, "<script>x") {
		t.Errorf("policy %q, page %s", policy, page)
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Error("the page may be kept, or be named to others")
	}
	f := url.Values{}
	for _, m := range fieldForm.FindAllStringSubmatch(page, -1) {
		f.Set(m[1], htmlUnescape(m[2]))
	}
	res, err = b.c.PostForm(e.issuer+"/authorize", f)
	if err != nil {
		t.Fatal(err)
	}
	if body := readAll(res); !strings.HasPrefix(body, "patient pat-1") {
		t.Errorf("the posted request ended at %s", body)
	}
}

func TestTwoTabsWithTwoPatientsNeverMix(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	b := newBrowser(t)
	// Both launches are under way at once, and finish in the other order.
	e.set(func() { e.patient = "pat-1" })
	first := b.stopAt(a.url+"/launch?iss="+url.QueryEscape(e.base)+"&launch=1", "/callback")
	e.set(func() { e.patient = "pat-2" })
	second := b.stopAt(a.url+"/launch?iss="+url.QueryEscape(e.base)+"&launch=2", "/callback")
	body2, tab2 := b.signIn(second)
	body1, tab1 := b.signIn(first)
	for range 2 {
		if !strings.HasPrefix(body1, "patient pat-1 ") || !strings.HasPrefix(body2, "patient pat-2 ") || tab1.Path == tab2.Path {
			t.Fatalf("the tabs show\n%s\n%s", body1, body2)
		}
		body1, _ = b.signIn(tab1.String())
		body2, _ = b.signIn(tab2.String())
	}
}

func TestAPersonIsToldWhatHappened(t *testing.T) {
	tests := []struct {
		name  string
		cause string
		do    func(t *testing.T, e *ehr, a *app, b *browser, callback string) (int, string)
	}{
		{"comes back hours later", "expired", func(_ *testing.T, e *ehr, _ *app, b *browser, callback string) (int, string) {
			e.clock.advance(3 * time.Hour)
			status, body, _ := b.open(callback)
			return status, body
		}},
		{"comes back twice", "used", func(_ *testing.T, _ *ehr, _ *app, b *browser, callback string) (int, string) {
			b.open(callback)
			status, body, _ := b.open(callback)
			return status, body
		}},
		{"comes back in another browser", "browser", func(t *testing.T, _ *ehr, _ *app, _ *browser, callback string) (int, string) {
			status, body, _ := newBrowser(t).open(callback)
			return status, body
		}},
		{"says no", "denied", func(_ *testing.T, _ *ehr, a *app, b *browser, callback string) (int, string) {
			u, _ := url.Parse(callback)
			status, body, _ := b.open(a.url + "/callback?error=access_denied&state=" + url.QueryEscape(u.Query().Get("state")))
			return status, body
		}},
		{"opens the page of a session that is over", "session", func(_ *testing.T, e *ehr, _ *app, b *browser, callback string) (int, string) {
			_, at := b.signIn(callback)
			e.clock.advance(200 * 24 * time.Hour)
			status, body, _ := b.open(at.String())
			return status, body
		}},
		{"comes back with nothing", "callback", func(_ *testing.T, _ *ehr, a *app, b *browser, _ string) (int, string) {
			status, body, _ := b.open(a.url + "/callback")
			return status, body
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := startEHR(t, newClock())
			a := single(t, e, nil)
			b := newBrowser(t)
			status, body := tt.do(t, e, a, b, b.stopAt(a.url, "/callback"))
			if status < 400 || cause(body) != tt.cause || strings.Contains(body, "CANARY") || strings.Contains(body, "pat-1") {
				t.Errorf("the page has status %d and cause %q, want %q:\n%s", status, cause(body), tt.cause, body)
			}
		})
	}
}

func TestOnlyWhoOpensAPageIsSentToSignIn(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	for _, h := range []map[string]string{{"Sec-Fetch-Dest": "image"}, {"Sec-Fetch-Dest": "empty"}, {"Sec-Purpose": "prefetch"}} {
		req, _ := http.NewRequest(http.MethodGet, a.url+"/labs", nil)
		for k, v := range h {
			req.Header.Set(k, v)
		}
		res, err := newBrowser(t).c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%v: status %d, want 401", h, res.StatusCode)
		}
	}
	res, err := newBrowser(t).c.PostForm(a.url+"/labs", nil)
	if err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a POST without a session: %v, want 401", res.StatusCode)
	}
	if len(e.requests) != 0 {
		t.Errorf("requests left: %v", e.requests)
	}
}

func TestCookiesOfAnEmbeddedApplication(t *testing.T) {
	e := startEHR(t, newClock())
	tests := []struct {
		name, url string
		embedded  bool
		want      []string
		not       string
	}{
		{"https", "https://app.example", false, []string{"__Host-andiron-launch-", "; Path=/;", "HttpOnly", "Secure", "SameSite=Lax"}, "Partitioned"},
		{"in a frame", "https://app.example", true, []string{"__Host-andiron-launch-", "; Path=/;", "HttpOnly", "Secure", "SameSite=None", "Partitioned"}, "Domain"},
		{"http on this machine", "http://127.0.0.1:7401", true, []string{"andiron-launch-", "HttpOnly", "SameSite=Lax"}, "Secure"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &smart.App{URL: tt.url, Embedded: tt.embedded, Issuers: []smart.Issuer{{Base: e.base, ClientID: "my-app"}}, Now: e.clock.now}
			w := httptest.NewRecorder()
			a.SignIn().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			got := w.Header().Get("Set-Cookie")
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("the cookie %q lacks %q", got, want)
				}
			}
			if strings.Contains(got, tt.not) {
				t.Errorf("the cookie %q has %q", got, tt.not)
			}
		})
	}
}

func TestOldCookiesMakeRoom(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for i := range 33 {
		r.AddCookie(&http.Cookie{Name: fmt.Sprintf("andiron-launch-%02d", i), Value: "x"})
	}
	a.SignIn().ServeHTTP(w, r)
	var dropped []string
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			dropped = append(dropped, c.Name)
		}
	}
	if len(dropped) != 2 || dropped[0] != "andiron-launch-00" {
		t.Errorf("dropped %v, want the two oldest", dropped)
	}
}

func TestDiscoveryIsAskedOnceForAllLaunches(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	begin := func() (string, error) {
		_, err := a.Begin(t.Context(), smart.LaunchRequest{})
		return "begun", err
	}
	if got := gather(t, 50, begin); got["begun"] != 50 {
		t.Fatalf("launches: %v", got)
	}
	if n := e.count("smart-configuration"); n != 1 {
		t.Errorf("discovery was asked %d times for 50 launches", n)
	}
	e.clock.advance(25 * time.Hour)
	if _, err := begin(); err != nil || e.count("smart-configuration") != 2 {
		t.Errorf("after a day discovery was asked %d times in all, %v; want 2", e.count("smart-configuration"), err)
	}
}

func TestAnOldServerIsFoundByItsMetadata(t *testing.T) {
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	mux.HandleFunc("/fhir/.well-known/smart-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"token_endpoint":"%s/token"}`, srv.URL)
	})
	mux.HandleFunc("/fhir/metadata", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"rest":[{"security":{"extension":[{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
			"extension":[{"url":"token","valueUri":"/old/token"},{"url":"authorize","valueUri":"/old/authorize"}]}]}}]}`)
	})
	a := &smart.App{URL: "https://app.example", Issuers: []smart.Issuer{{Base: srv.URL + "/fhir", ClientID: "my-app"}}}
	auth, err := a.Begin(t.Context(), smart.LaunchRequest{})
	if err != nil || !strings.HasPrefix(auth.URL, srv.URL+"/old/authorize?") {
		t.Errorf("authorization at %v, %v", auth, err)
	}
}

func TestContextIsReadInEveryForm(t *testing.T) {
	e := startEHR(t, newClock())
	e.answer = func(_ string, m map[string]any) {
		m["fhirContext"] = []any{"ImagingStudy/1", map[string]any{"reference": "Task/2", "role": "https://x.example/role"}, 7, map[string]any{}}
		m["encounter"], m["need_patient_banner"], m["loginDepartment"], m["smart_style_url"] = "enc-1", true, "dep-1", "https://x.example/style"
	}
	a := single(t, e, nil)
	_, at := newBrowser(t).signIn(a.url)
	c := a.sessionOf(t, at).Context
	if len(c.FHIRContext) != 2 || c.FHIRContext[0].Reference != "ImagingStudy/1" || c.FHIRContext[0].Role != "launch" || c.FHIRContext[1].Reference != "Task/2" {
		t.Errorf("fhirContext is %+v", c.FHIRContext)
	}
	if c.NeedPatientBanner == nil || !*c.NeedPatientBanner || c.Encounter != "enc-1" || c.LoginDepartment != "dep-1" || string(c.Raw["__epic.dstu2.patient"]) != `"pat-1"` {
		t.Errorf("context is %+v", c)
	}
	for _, name := range []string{"access_token", "refresh_token", "id_token", "state"} {
		if _, there := c.Raw[name]; there {
			t.Errorf("Raw holds %s", name)
		}
	}
}

func TestNothingOfALaunchPrintsASecret(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, func(i *smart.Issuer) { i.Secret = smart.NewSecret("CANARY-secret") })
	e.method, e.secret = "client_secret_basic", "CANARY-secret"
	var log strings.Builder
	a.Log = textLog(&log)
	b := newBrowser(t)
	_, at := b.signIn(a.url)
	s := a.sessionOf(t, at)
	auth, err := a.Begin(t.Context(), smart.LaunchRequest{Base: e.base, Launch: "CANARY-launch"})
	if err != nil {
		t.Fatal(err)
	}
	e.clock.advance(2 * time.Hour)
	if _, err := s.Token(t.Context(), e.base, ""); err != nil {
		t.Fatal(err)
	}
	memory := &smart.MemoryStore{}
	_ = memory.Create(t.Context(), "k", smart.Record{Data: []byte("CANARY")})
	record, _ := memory.Get(t.Context(), "k")
	for name, v := range map[string]any{
		"session": s, "session value": *s, "issuer": a.Issuers[0], "issuers": a.Issuers, "authorization": auth, "record": record, "memory": memory,
	} {
		if out := everyPrint(v); strings.Contains(out, "CANARY") || strings.Contains(out, "pat-1") || strings.Contains(out, s.ID) {
			t.Errorf("%s prints %s", name, out)
		}
	}
	if strings.Contains(log.String(), "CANARY") || strings.Contains(log.String(), "pat-1") || log.Len() == 0 {
		t.Errorf("the log says %s", log.String())
	}
	for _, u := range b.seen {
		if strings.Contains(u, "CANARY-access") || strings.Contains(u, "CANARY-refresh") {
			t.Errorf("a token stands in the URL %s", u)
		}
	}
}

func TestEndRevokesAndForgets(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, nil)
	b := newBrowser(t)
	_, at := b.signIn(a.url)
	s := a.sessionOf(t, at)
	if err := a.End(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if len(e.revoked) != 2 || !strings.Contains(e.revoked[0], "refresh") || !strings.Contains(e.revoked[1], "access") {
		t.Errorf("revoked %v, want the refresh token and then the access token", e.revoked)
	}
	if status, body, _ := b.open(at.String()); status != http.StatusUnauthorized || cause(body) != "session" {
		t.Errorf("the page of the ended session has status %d", status)
	}
	if err := a.End(t.Context(), s); err != nil {
		t.Errorf("ending twice: %v", err)
	}
}

func TestUsersOfIDTokens(t *testing.T) {
	tests := []struct {
		name, fhirUser string // %s is the base
		typ, id        string
		foreign        bool
	}{
		{"absolute", "%s/Practitioner/a.b-1", "Practitioner", "a.b-1", false},
		{"relative", "Patient/7", "Patient", "7", false},
		{"another host", "https://evil.example/api/FHIR/R4/Patient/7", "Patient", "7", true},
		{"beside the base", "%s/../DSTU2/Patient/7", "Patient", "7", true},
		{"another kind", "%s/Device/7", "", "", true},
		{"no URL", "::", "", "", false},
		{"the host alone", "//evil.example/Patient/7", "", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := startEHR(t, newClock())
			e.claims = func(c map[string]any) { c["fhirUser"] = strings.ReplaceAll(tt.fhirUser, "%s", e.base) }
			a := single(t, e, nil)
			_, at := newBrowser(t).signIn(a.url)
			u := a.sessionOf(t, at).User
			if u.Subject != "u1" || u.Type != tt.typ || u.ID != tt.id || u.Foreign != tt.foreign {
				t.Errorf("user is %s/%s, foreign %t", u.Type, u.ID, u.Foreign)
			}
		})
	}
}

func TestWithoutIDTokenThereIsNoUser(t *testing.T) {
	e := startEHR(t, newClock())
	e.answer = func(_ string, m map[string]any) { delete(m, "id_token") }
	a := single(t, e, nil)
	_, at := newBrowser(t).signIn(a.url)
	if u := a.sessionOf(t, at).User; !u.IsZero() {
		t.Errorf("user is %s", u)
	}
	strict := single(t, e, func(i *smart.Issuer) { i.RequireUser = true })
	status, body, _ := newBrowser(t).open(strict.url)
	if status != http.StatusBadGateway || cause(body) != "no-user" {
		t.Errorf("where a user is required: status %d, cause %q", status, cause(body))
	}
}

func TestKeysThatCannotBeHadAreNotAForgery(t *testing.T) {
	e := startEHR(t, newClock())
	e.conf = func(m map[string]any) { m["jwks_uri"] = e.issuer + "/gone" }
	a := single(t, e, nil)
	if _, body, _ := newBrowser(t).open(a.url); cause(body) != "server" {
		t.Errorf("cause %q, want server", cause(body))
	}
}

// Every way in which an id_token can be wrong.
func TestAForgedIDTokenIsRefused(t *testing.T) {
	public := x509.MarshalPKCS1PublicKey(&idKey().PublicKey)
	claim := func(name string, v any) func(e *ehr) {
		return func(e *ehr) {
			e.claims = func(c map[string]any) {
				if v == nil {
					delete(c, name)
				} else {
					c[name] = v
				}
			}
		}
	}
	at := func(name string, d time.Duration) func(e *ehr) { return claim(name, start.Add(d).Unix()) }
	tests := []struct {
		name string
		do   func(e *ehr)
		ok   bool
	}{
		{"good", func(*ehr) {}, true},
		{"alg none", func(e *ehr) {
			e.sign = func(c map[string]any) string {
				raw := strings.Split(signID(e.t, jose.RS256, idKey(), "k+/=", c), ".")
				return "eyJhbGciOiJub25lIn0." + raw[1] + "."
			}
		}, false},
		{"HS256 with the public key", func(e *ehr) {
			e.conf = func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"HS256"} }
			e.sign = func(c map[string]any) string { return signID(e.t, jose.HS256, public, "k+/=", c) }
		}, false},
		{"another key with the kid", func(e *ehr) {
			e.sign = func(c map[string]any) string { return signID(e.t, jose.RS256, otherRSA(), "k+/=", c) }
		}, false},
		{"unknown kid", func(e *ehr) {
			e.sign = func(c map[string]any) string { return signID(e.t, jose.RS256, idKey(), "other", c) }
		}, false},
		{"an algorithm that is not announced", func(e *ehr) {
			e.sign = func(c map[string]any) string { return signID(e.t, jose.RS512, idKey(), "k+/=", c) }
		}, false},
		{"a payload that was changed", func(e *ehr) {
			e.sign = func(c map[string]any) string {
				a := strings.Split(signID(e.t, jose.RS256, idKey(), "k+/=", c), ".")
				c["sub"] = "admin"
				b := strings.Split(signID(e.t, jose.RS256, idKey(), "k+/=", c), ".")
				return a[0] + "." + b[1] + "." + a[2]
			}
		}, false},
		{"no JWT", func(e *ehr) { e.sign = func(map[string]any) string { return "x" } }, false},
		{"another issuer", claim("iss", "https://evil.example"), false},
		{"the FHIR base as issuer", func(e *ehr) { claim("iss", e.base)(e) }, false},
		{"another audience", claim("aud", "other-app"), false},
		{"several audiences with azp", func(e *ehr) {
			e.claims = func(c map[string]any) { c["aud"], c["azp"] = []string{"my-app", "x"}, "my-app" }
		}, true},
		{"several audiences without azp", claim("aud", []string{"my-app", "x"}), false},
		{"another azp", claim("azp", "other-app"), false},
		{"another nonce", claim("nonce", "x"), false},
		{"no nonce", claim("nonce", nil), false},
		{"no subject", claim("sub", nil), false},
		{"a subject too long", claim("sub", strings.Repeat("x", 256)), false},
		{"no exp", claim("exp", nil), false},
		{"no iat", claim("iat", nil), false},
		{"expired 50 seconds ago", at("exp", -50*time.Second), true},
		{"expired 70 seconds ago", at("exp", -70*time.Second), false},
		{"issued in 50 seconds", at("iat", 50*time.Second), true},
		{"issued in 70 seconds", at("iat", 70*time.Second), false},
		{"valid in 70 seconds", at("nbf", 70*time.Second), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := startEHR(t, newClock())
			tt.do(e)
			a := single(t, e, nil)
			status, body, _ := newBrowser(t).open(a.url)
			if ok := status == http.StatusOK; ok != tt.ok || !ok && cause(body) != "id-token" {
				t.Errorf("accepted is %t, want %t; status %d, cause %q", ok, tt.ok, status, cause(body))
			}
			if n := e.count("/keys"); n > 2 {
				t.Errorf("the keys were fetched %d times", n)
			}
		})
	}
}
