package interop

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/smart"
)

// wire carries the application's own requests: it keeps the token requests, and spoils what a test says.
type wire struct {
	mu    sync.Mutex
	forms []url.Values
	spoil func(url.Values)
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPost {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		w.mu.Lock()
		if w.spoil != nil {
			w.spoil(form)
		}
		w.forms = append(w.forms, form)
		w.mu.Unlock()
		text := form.Encode()
		req = req.Clone(req.Context())
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader([]byte(text))), int64(len(text))
		req.GetBody = nil
	}
	return http.DefaultTransport.RoundTrip(req)
}

// last is the newest token request with that grant.
func (w *wire) last(t *testing.T, grant string) url.Values {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.forms) - 1; i >= 0; i-- {
		if w.forms[i].Get("grant_type") == grant {
			return w.forms[i]
		}
	}
	t.Fatalf("no token request with grant %s was made", grant)
	return nil
}

// kind is a way to sign in at the token endpoint.
type kind struct {
	id     string
	method string
	alg    string
	key    *smart.Key
}

const secret = "s3cret-of-letters-and-digits"

func (k kind) issuer(base string) smart.Issuer {
	i := smart.Issuer{Base: base, ClientID: k.id, Key: k.key, Scope: "openid fhirUser offline_access launch/patient patient/Patient.r patient/Observation.rs", RequireUser: true}
	i.EHRScope = strings.Replace(i.Scope, "launch/patient", "launch", 1)
	if strings.HasPrefix(k.method, "client_secret") {
		i.Secret, i.SecretPost = smart.NewSecret(secret), k.method == "client_secret_post"
	}
	return i
}

// peers is the server from npm with an application of ours for each kind of client.
type peers struct {
	Base, TokenURL string
	Patients       []string

	apps map[string]*application
}

type application struct {
	*smart.App
	kind kind
	wire *wire
}

// launchPeers starts the server once a test: all kinds of clients are registered there.
func launchPeers(t *testing.T) *peers {
	t.Helper()
	node(t)
	p := &peers{apps: map[string]*application{}}
	var clients []map[string]any
	for _, k := range []kind{
		{id: "public", method: "none"},
		{id: "basic", method: "client_secret_basic"},
		{id: "post", method: "client_secret_post"},
		{id: "rs384", method: "private_key_jwt", alg: smart.RS384},
		{id: "es384", method: "private_key_jwt", alg: smart.ES384},
	} {
		a := &application{kind: k, wire: &wire{}}
		var h http.Handler
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
		t.Cleanup(server.Close)
		a.App = &smart.App{URL: server.URL, HTTP: &http.Client{Transport: a.wire}}
		client := map[string]any{
			"client_id": k.id, "token_endpoint_auth_method": k.method, "redirect_uris": []string{server.URL + "/callback"},
			"grant_types": []string{"authorization_code", "refresh_token"},
		}
		switch {
		case strings.HasPrefix(k.method, "client_secret"):
			client["client_secret"] = secret
		case k.alg != "":
			key, err := smart.NewKey(k.alg)
			if err != nil {
				t.Fatal(err)
			}
			set, err := smart.PublicSet(key)
			if err != nil {
				t.Fatal(err)
			}
			published := httptest.NewServer(set)
			t.Cleanup(published.Close)
			a.kind.key = key
			client["jwks_uri"], client["token_endpoint_auth_signing_alg"] = published.URL, k.alg
			client["grant_types"] = []string{"authorization_code", "refresh_token", "client_credentials"}
		}
		clients = append(clients, client)
		p.apps[k.id] = a
		h = a.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := smart.FromContext(r.Context())
			c := &fhir.Client{Base: s.Base, Auth: s}
			patient, err := fhir.Read[r4.Patient](r.Context(), c, s.Patient)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			labs, err := fhir.Collect(fhir.Search[r4.Observation](r.Context(), c, fhir.Where("subject", "Patient/"+s.Patient)))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			fmt.Fprintf(w, "%s|%s|%s|%s|", patient.Name[0].Text, s.Encounter, s.User.Type, s.User.ID)
			for _, lab := range labs {
				fmt.Fprint(w, lab.Code.Text)
			}
		}))
	}
	launches := map[string]int{}
	for id := range p.apps {
		launches["launch-"+id] = 1
	}
	peerServer(t, "smart-server.mjs", map[string]any{"clients": clients, "patients": []string{"Ada", "Grace"}, "launches": launches}, p)
	for _, a := range p.apps {
		a.Issuers = []smart.Issuer{a.kind.issuer(p.Base)}
	}
	return p
}

var action = regexp.MustCompile(`action="([^"]+)"`)

// walk opens an address and fills the peer's own pages, sign-in and consent, until the browser is back.
func walk(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	resp, err := browser.Get(address)
	return through(t, browser, resp, err)
}

// through fills the pages from the one that has come.
func through(t *testing.T, browser *http.Client, resp *http.Response, err error) (*http.Response, string) {
	t.Helper()
	for range 5 {
		if err != nil {
			t.Fatal(err)
		}
		body, err2 := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err2 != nil {
			t.Fatal(err2)
		}
		form := action.FindSubmatch(body)
		if !strings.HasPrefix(resp.Request.URL.Path, "/interaction/") || form == nil {
			return resp, string(body)
		}
		values := url.Values{"prompt": {"consent"}}
		if bytes.Contains(body, []byte(`name="login"`)) {
			values = url.Values{"prompt": {"login"}, "login": {"doc"}, "password": {"any"}}
		}
		resp, err = browser.PostForm(html.UnescapeString(string(form[1])), values)
	}
	t.Fatal("the peer's pages do not end")
	return nil, ""
}

// session is the launch that a page belongs to.
func (a *application) session(t *testing.T, page *http.Response) *smart.Session {
	t.Helper()
	parts := strings.Split(page.Request.URL.Path, "/")
	if len(parts) < 3 {
		t.Fatalf("the page at %s belongs to no launch", page.Request.URL.Path)
	}
	s, err := a.Session(t.Context(), parts[2])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// send makes a token request by hand, with the client's own authentication.
func (a *application) send(t *testing.T, p *peers, form url.Values) (status int, body string) {
	t.Helper()
	form = maps.Clone(form)
	req, err := http.NewRequest(http.MethodPost, p.TokenURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	switch a.kind.method {
	case "client_secret_basic":
		req.SetBasicAuth(a.kind.id, secret)
	case "private_key_jwt":
		assertion, err := smart.Assertion{Key: a.kind.key, ClientID: a.kind.id, Audience: p.TokenURL}.Sign()
		if err != nil {
			t.Fatal(err)
		}
		form.Set("client_assertion", assertion.Reveal())
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Body = io.NopCloser(strings.NewReader(form.Encode()))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func TestAppSignsInAtOIDCProvider(t *testing.T) {
	p := launchPeers(t)
	for id, a := range p.apps {
		t.Run(id, func(t *testing.T) {
			// Standalone: the application asks for a patient.
			page, body := walk(t, a.URL+"/")
			if want := "Ada||Practitioner|doc|lab of Ada"; body != want {
				t.Fatalf("the standalone launch ended with %d and %q, want %q", page.StatusCode, body, want)
			}

			// EHR launch: patient and encounter are those of the launch value, once.
			opened := a.URL + "/launch?" + url.Values{"iss": {p.Base}, "launch": {"launch-" + id}}.Encode()
			page, body = walk(t, opened)
			if want := "Grace|enc-1|Practitioner|doc|lab of Grace"; body != want {
				t.Fatalf("the EHR launch ended with %d and %q, want %q", page.StatusCode, body, want)
			}
			if again, body := walk(t, opened); again.StatusCode == http.StatusOK {
				t.Errorf("a launch value was good twice: %q", body)
			}

			// Refresh, twice, each time with the newest refresh token.
			s := a.session(t, page)
			tokens := []string{""}
			for range 3 {
				token, err := s.Token(t.Context(), p.Base, tokens[len(tokens)-1])
				if err != nil || token == tokens[len(tokens)-1] {
					t.Fatalf("renewal %d: same token %v, error %v", len(tokens), err == nil, err)
				}
				tokens = append(tokens, token)
			}
			newest := a.wire.last(t, "refresh_token")

			// The peer has rotated: the token that the last renewal used is spent, and to use it again
			// ends the grant, ours included.
			status, answer := a.send(t, p, newest)
			if status != http.StatusBadRequest || !strings.Contains(answer, "invalid_grant") {
				t.Fatalf("a spent refresh token was answered %d, want 400 invalid_grant", status)
			}
			_, err := s.Token(t.Context(), p.Base, tokens[len(tokens)-1])
			if !errors.Is(err, smart.ErrSignInAgain) {
				t.Errorf("after the grant was revoked: %v, want sign in again", err)
			}
		})
	}
}

func TestOIDCProviderRefusesWhatIsWrongWithALaunch(t *testing.T) {
	p := launchPeers(t)
	a := p.apps["public"]
	for _, c := range []struct {
		name  string
		spoil func(url.Values)
	}{
		{"verifier of another launch", func(f url.Values) { f.Set("code_verifier", strings.Repeat("v", 43)) }},
		{"no verifier", func(f url.Values) { f.Del("code_verifier") }},
		{"redirect URI off by one character", func(f url.Values) { f.Set("redirect_uri", f.Get("redirect_uri")+"/") }},
		{"client id of another application", func(f url.Values) { f.Set("client_id", "nobody") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.wire.spoil = c.spoil
			defer func() { a.wire.spoil = nil }()
			page, body := walk(t, a.URL+"/")
			if page.StatusCode == http.StatusOK || strings.Contains(body, "Ada") {
				t.Errorf("the launch ended with %d at %s", page.StatusCode, page.Request.URL.Path)
			}
		})
	}

	// With nothing spoilt it works, and the code of that is spent.
	if page, body := walk(t, a.URL+"/"); page.StatusCode != http.StatusOK {
		t.Fatalf("a correct launch ended with %d: %s", page.StatusCode, body)
	}
	status, answer := a.send(t, p, a.wire.last(t, "authorization_code"))
	if status != http.StatusBadRequest || !strings.Contains(answer, "invalid_grant") {
		t.Errorf("a replayed code was answered %d, want 400 invalid_grant", status)
	}

	t.Run("aud of another server", func(t *testing.T) {
		auth, err := a.Begin(t.Context(), smart.LaunchRequest{})
		if err != nil {
			t.Fatal(err)
		}
		address := strings.Replace(auth.URL, url.QueryEscape(p.Base), url.QueryEscape("https://elsewhere.example/fhir"), 1)
		if address == auth.URL {
			t.Fatal("the request holds no aud")
		}
		if page, _ := walk(t, address); page.StatusCode == http.StatusOK {
			t.Errorf("another aud led to %d at %s", page.StatusCode, page.Request.URL.Path)
		}
	})
}

func TestOIDCProviderTakesAPostedRequest(t *testing.T) {
	p := launchPeers(t)
	a := p.apps["public"]
	a.Issuers[0].PostAuthorize = true
	auth, err := a.Begin(t.Context(), smart.LaunchRequest{Base: p.Base, Launch: "launch-public"})
	if err != nil {
		t.Fatal(err)
	}
	if auth.Form == nil {
		t.Fatal("the request is not posted, though the issuer's settings say so")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	// This browser stops where it would enter the application: Finish takes what it brings.
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), a.URL) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := browser.PostForm(auth.URL, auth.Form)
	page, _ := through(t, browser, resp, err)
	back, err := page.Location()
	if err != nil {
		t.Fatalf("the peer sends the browser nowhere (%d): %v", page.StatusCode, err)
	}
	s, err := a.Finish(t.Context(), back.Query(), auth.Binding.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if s.Patient != p.Patients[1] || s.Encounter != "enc-1" || s.User.ID != "doc" {
		t.Errorf("the launch has patient %s, encounter %s, user %s", s.Patient, s.Encounter, s.User.ID)
	}
}

func TestBackendReadsBehindOIDCProvider(t *testing.T) {
	p := launchPeers(t)
	for _, id := range []string{"rs384", "es384"} {
		t.Run(id, func(t *testing.T) {
			k := p.apps[id].kind
			c := &fhir.Client{Base: p.Base, Auth: &smart.Backend{Base: p.Base, ClientID: id, Key: k.key, Scope: "system/*.rs"}}
			patient, err := fhir.Read[r4.Patient](t.Context(), c, p.Patients[1])
			if err != nil || patient.Name[0].Text != "Grace" {
				t.Fatalf("the backend service read %v, %v", patient, err)
			}
		})
	}
	other, err := smart.NewKey(smart.ES384)
	if err != nil {
		t.Fatal(err)
	}
	b := &smart.Backend{Base: p.Base, ClientID: "es384", Key: other, Scope: "system/*.rs", Tries: 1}
	_, err = b.Token(t.Context(), p.Base, "")
	refused(t, err, http.StatusUnauthorized, "invalid_client")
	anonymous := &fhir.Client{Base: p.Base}
	if _, err := fhir.Read[r4.Patient](t.Context(), anonymous, p.Patients[0]); err == nil {
		t.Error("the FHIR server answers without a token: the reads above prove nothing")
	}
}
