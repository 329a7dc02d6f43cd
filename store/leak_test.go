package store_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/simtest"
	"github.com/andironhq/andiron/smart"
	"github.com/andironhq/andiron/store"
)

// watch sees everything: it learns the secrets on the wire of the application, and keeps all text that
// may not hold them.
type watch struct {
	mu      sync.Mutex
	secrets map[string]map[string]bool // kind to values
	hay     map[string]*bytes.Buffer   // name to text
}

func newWatch() *watch {
	return &watch{secrets: map[string]map[string]bool{}, hay: map[string]*bytes.Buffer{}}
}

func (w *watch) learn(kind, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if value == "" {
		return
	}
	if w.secrets[kind] == nil {
		w.secrets[kind] = map[string]bool{}
	}
	w.secrets[kind][value] = true
}

func (w *watch) keep(name string, text []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hay[name] == nil {
		w.hay[name] = &bytes.Buffer{}
	}
	w.hay[name].Write(text)
	w.hay[name].WriteByte('\n')
}

// fails keeps an error as every verb prints it, and all that it wraps.
func (w *watch) fails(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, though one was provoked", what)
	}
	for ; err != nil; err = errors.Unwrap(err) {
		w.keep("errors", fmt.Appendf(nil, "%v\n%+v\n%#v\n%s\n%q", err, err, err, err, err))
	}
}

// anyOf is one learnt secret of a kind.
func (w *watch) anyOf(kind string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for v := range w.secrets[kind] {
		return v
	}
	return ""
}

// found lists kind and haystack of every secret that lies in the open, in any usual spelling.
func (w *watch) found() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for kind, values := range w.secrets {
		for value := range values {
			for _, spelling := range spellings(value) {
				for name, text := range w.hay {
					if bytes.Contains(text.Bytes(), []byte(spelling)) {
						list = append(list, kind+" in "+name)
					}
				}
			}
		}
	}
	return list
}

func spellings(value string) []string {
	list := []string{
		value, url.QueryEscape(value), url.PathEscape(value),
		hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))),
	}
	// In the middle of a longer text base64 has three phases; the letters that the neighbours
	// share in are left out.
	for shift := range 3 {
		shifted := append(make([]byte, shift), value...)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := enc.EncodeToString(shifted)
			list = append(list, text[(shift*8+5)/6:len(shifted)*8/6])
		}
	}
	return list
}

// wire is the application's own way to the server.
type wire struct {
	*watch
	next http.RoundTripper
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.keep("URLs that the application requested", []byte(r.URL.String()))
	if kind, value, _ := strings.Cut(r.Header.Get("Authorization"), " "); kind == "Bearer" {
		w.learn("access token", value)
	}
	if _, secret, ok := r.BasicAuth(); ok {
		w.learn("client secret", secret)
	}
	if r.Body != nil {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(text))
		if form, err := url.ParseQuery(string(text)); err == nil {
			w.learn("code", form.Get("code"))
			w.learn("verifier", form.Get("code_verifier"))
			w.learn("refresh token", form.Get("refresh_token"))
			w.learn("assertion", form.Get("client_assertion"))
		}
	}
	resp, err := w.next.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/token") {
		return resp, err
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), failing{err}), resp.Body}
	var answer struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		ID      string `json:"id_token"`
	}
	_ = json.Unmarshal(text, &answer) // a cut answer teaches nothing
	w.learn("access token", answer.Access)
	w.learn("refresh token", answer.Refresh)
	w.learn("id_token", answer.ID)
	return resp, nil
}

// failing ends a body as it ended on the wire.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// sights is the browser's: every address it opens or is sent to. In the callback's address the
// parameters code and state are the protocol's own, and left out there and nowhere else.
type sights struct {
	*watch
	next http.RoundTripper
}

func (s *sights) RoundTrip(r *http.Request) (*http.Response, error) {
	s.keep("URLs in the browser", []byte(withoutAnswer(r.URL)))
	resp, err := s.next.RoundTrip(r)
	if err == nil && resp.Header.Get("Location") != "" {
		if to, err := resp.Location(); err == nil {
			s.keep("URLs in the browser", []byte(withoutAnswer(to)))
		}
	}
	return resp, err
}

func withoutAnswer(u *url.URL) string {
	if !strings.HasSuffix(u.Path, "/callback") {
		return u.String()
	}
	c, q := *u, u.Query()
	q.Del("code")
	q.Del("state")
	c.RawQuery = q.Encode()
	return c.String()
}

// page keeps what the application answers, status, headers and body. Set-Cookie is in it, too: the
// cookie ties a browser to its launch and is none of the secrets that are looked for.
func (w *watch) page(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		var head bytes.Buffer
		_ = rec.Header().Write(&head)
		w.keep("pages", append(head.Bytes(), rec.Body.Bytes()...))
		for name, values := range rec.Header() {
			rw.Header()[name] = values
		}
		rw.WriteHeader(rec.Code)
		_, _ = rw.Write(rec.Body.Bytes())
	})
}

// writer is a log's.
type writer struct{ w *watch }

func (w writer) Write(p []byte) (int, error) {
	w.w.keep("log", p)
	return len(p), nil
}

// old is a token that is not renewed.
type old string

func (o old) Token(context.Context, string, string) (string, error) { return string(o), nil }

// soon is a pause that takes no time.
func soon(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// site is an application at the simulator.
type site struct {
	*watch
	t      *testing.T
	epic   *simtest.Epic
	app    *smart.App
	root   string
	http   *http.Client
	log    *slog.Logger
	issuer smart.Issuer
}

func (w *watch) site(t *testing.T, sims *simtest.Epic, s smart.Store, registered sim.App, i smart.Issuer) *site {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	x := &site{
		watch: w, t: t, epic: sims, http: &http.Client{Transport: &wire{w, transport}},
		log: slog.New(slog.NewJSONHandler(writer{w}, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})),
	}
	var h http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	x.root = srv.URL
	registered.RedirectURIs = []string{srv.URL + "/callback"}
	sims.AddApp(t, registered)
	i.Base, i.ClientID = sims.URL, registered.ClientID
	x.issuer = i
	x.app = &smart.App{URL: srv.URL, Issuers: []smart.Issuer{i}, Store: s, HTTP: x.http, Log: x.log, Now: sims.Now, Wait: soon}
	h = w.page(x.app.Protect(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		s := smart.FromContext(r.Context())
		p, err := fhir.Read[r4.Patient](r.Context(), x.client(s), s.Patient)
		if err != nil {
			t.Errorf("the page cannot read its patient: %v", err)
			return
		}
		x.log.Info("page", "session", s, "patient", p.ID != "")
		_, _ = fmt.Fprintf(rw, "%v %+v %#v", s, s, *s)
	})))
	return x
}

func (x *site) client(auth fhir.TokenSource) *fhir.Client {
	return &fhir.Client{
		Base: x.epic.URL, Auth: auth, Dialect: epic.Dialect{}, HTTP: x.http, Log: x.log, Now: x.epic.Now,
		Limits: fhir.Limits{PerMinute: -1}, Wait: soon,
	}
}

func (x *site) browser() *simtest.Browser {
	b := x.epic.Browser(x.t)
	b.Client.Transport = &sights{x.watch, b.Client.Transport}
	return b
}

// arrived checks that a sign-in came to its page, and returns the session.
func (x *site) arrived(page *http.Response) *smart.Session {
	x.t.Helper()
	if page.StatusCode != http.StatusOK {
		x.t.Fatalf("the sign-in ended at %s with status %d", page.Request.URL.Path, page.StatusCode)
	}
	s, err := x.app.Session(x.t.Context(), strings.Split(page.Request.URL.Path, "/")[2])
	if err != nil {
		x.t.Fatal(err)
	}
	return s
}

// provoke makes everything fail that holds a secret at the moment when it fails.
func (x *site) provoke(b *simtest.Browser, s *smart.Session) {
	t, ctx := x.t, x.t.Context()
	token, err := s.Token(ctx, x.epic.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Token(ctx, "https://other.example/"+token, "")
	x.fails(t, "a token for another server", err)
	x.epic.Advance(2 * time.Hour)
	_, err = fhir.Read[r4.Patient](ctx, x.client(old(token)), s.Patient)
	x.fails(t, "an expired token", err)

	if s.Renewable() {
		if _, err := s.Token(ctx, x.epic.URL, ""); err != nil {
			t.Errorf("renewal: %v", err)
		}
		x.epic.Fail(sim.Fault{Op: "token", Cut: sim.CutReset, After: 40})
		x.epic.Advance(2 * time.Hour)
		_, err = s.Token(ctx, x.epic.URL, "")
		x.fails(t, "an answer with tokens, cut off", err)
		x.epic.Heal()
	}

	code := x.anyOf("code")
	if page := b.Get(x.root + "/callback?code=" + url.QueryEscape(code) + "&state=replayed"); page.StatusCode < 400 {
		t.Errorf("a replayed code: status %d", page.StatusCode)
	}
	a, err := x.app.Begin(ctx, smart.LaunchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	x.keep("errors", fmt.Appendf(nil, "%v %+v %#v", a, a, a))
	_, err = x.app.Finish(ctx, url.Values{"code": {code}, "state": {a.State.Reveal()}}, a.Binding.Reveal())
	x.fails(t, "a code of another launch", err)
	_, err = x.app.Finish(ctx, url.Values{"code": {code}, "state": {a.State.Reveal()}}, a.Binding.Reveal())
	x.fails(t, "a state that was used", err)

	// A code that comes a second time ends what the first one gave (RFC 6749 §4.1.2).
	x.epic.Advance(2 * time.Hour)
	_, err = s.Token(ctx, x.epic.URL, "")
	x.fails(t, "a refresh that the server refuses", err)
	if !errors.Is(err, smart.ErrSignInAgain) {
		t.Errorf("a session whose grant has ended: %v, want ErrSignInAgain", err)
	}
}

func (w *watch) files(t *testing.T, dbURL string) {
	t.Helper()
	if path, ok := strings.CutPrefix(dbURL, "file:"); ok {
		names, _ := filepath.Glob(path + "*")
		if len(names) < 2 {
			t.Errorf("%d files of the store, want the database and its write-ahead log", len(names))
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			w.keep("store", text)
		}
		return
	}
	db := tables(t, dbURL)
	var names string
	if err := db.QueryRowContext(t.Context(), `SELECT string_agg(quote_ident(tablename), ' ') FROM pg_tables WHERE schemaname = 'public'`).Scan(&names); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(names, "andiron_smart_record") {
		t.Errorf("the tables are %s, without that of the records", names)
	}
	for table := range strings.FieldsSeq(names) {
		rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		columns, _ := rows.Columns()
		for rows.Next() {
			values, to := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				to[i] = &values[i]
			}
			if err := rows.Scan(to...); err != nil {
				t.Fatal(err)
			}
			for _, v := range values {
				if b, ok := v.([]byte); ok {
					w.keep("store", b)
				} else {
					w.keep("store", fmt.Append(nil, v))
				}
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// A program may be watched by whoever reads logs, error texts, browser histories, proxies' URLs, pages
// and backups. None of them may find what signs a request.
func TestTokenBytesAppearInNoLogErrorURLPageOrFileUnsealed(t *testing.T) {
	each(t, func(t *testing.T, dbURL string) {
		w, sims := newWatch(), simtest.Start(t)
		st := open(t, dbURL, store.Options{Seal: seal(t), Now: sims.Now}).Smart()

		patients := w.site(t, sims, st, sim.App{ClientID: "patients", Kind: sim.Standalone, Auth: "client_secret", Secret: "cl1ent+secret/of~the-test=9f", Persistent: true},
			smart.Issuer{Secret: smart.NewSecret("cl1ent+secret/of~the-test=9f"), Scope: "openid fhirUser offline_access patient/Patient.r", RequireUser: true})
		b := patients.browser()
		s := patients.arrived(b.SignIn(t, patients.root+"/", "simrosalind"))
		if !s.Renewable() {
			t.Error("offline_access brought no refresh token")
		}
		patients.provoke(b, s)

		key, err := smart.NewKey(smart.ES384)
		if err != nil {
			t.Fatal(err)
		}
		set, err := smart.PublicSet(key)
		if err != nil {
			t.Fatal(err)
		}
		keys := httptest.NewServer(set)
		defer keys.Close()
		clinic := w.site(t, sims, st, sim.App{ClientID: "clinic", Kind: sim.EHRLaunch, Auth: "private_key_jwt", JWKSURL: keys.URL},
			smart.Issuer{Key: key, Scope: "openid fhirUser patient/Patient.r", RequireUser: true})
		b = clinic.browser()
		launch := sims.Launch(t, sim.Launch{ClientID: "clinic", Patient: sims.Patient})
		s = clinic.arrived(b.Get(clinic.root + "/launch?iss=" + url.QueryEscape(sims.URL) + "&launch=" + url.QueryEscape(launch)))
		w.files(t, dbURL) // sessions are in it now
		clinic.provoke(b, s)

		backend := sims.TokenSource()
		backend.HTTP, backend.Wait = clinic.http, soon
		if _, err := fhir.Read[r4.Patient](t.Context(), clinic.client(backend), sims.Patient); err != nil {
			t.Errorf("backend: %v", err)
		}
		sims.Fail(sim.Fault{Op: "token", Cut: sim.CutReset, After: 40})
		sims.Advance(2 * time.Hour)
		_, err = backend.Token(t.Context(), sims.URL, "")
		w.fails(t, "an assertion whose answer was cut off", err)
		sims.Heal()
		w.keep("errors", fmt.Appendf(nil, "%v %+v %#v %+v %#v", patients.issuer, patients.issuer, patients.issuer, key, key))

		w.files(t, dbURL)
		text, err := json.Marshal(sims.Requests())
		if err != nil {
			t.Fatal(err)
		}
		w.keep("the simulator's log", text)

		// The test is worth something only if it knew what to look for, and where.
		for kind, least := range map[string]int{"access token": 4, "refresh token": 1, "id_token": 2, "code": 2, "verifier": 2, "assertion": 2, "client secret": 1} {
			if n := len(w.secrets[kind]); n < least {
				t.Errorf("%d values of kind %s were seen, want at least %d", n, kind, least)
			}
		}
		for _, name := range []string{"log", "errors", "pages", "store", "URLs in the browser", "URLs that the application requested", "the simulator's log"} {
			if w.hay[name] == nil || w.hay[name].Len() < 200 {
				t.Errorf("nothing was kept of: %s", name)
			}
		}
		for _, leak := range w.found() {
			t.Errorf("in the open: %s", leak)
		}

		token := w.anyOf("refresh token")
		for name, planted := range map[string]string{
			"raw": token, "base64": base64.StdEncoding.EncodeToString([]byte("app:" + token + "x")), "base64url": base64.RawURLEncoding.EncodeToString([]byte("a" + token)),
			"percent-encoded": url.QueryEscape(w.anyOf("client secret")), "hexadecimal": hex.EncodeToString([]byte(token)),
		} {
			control := newWatch()
			control.secrets = w.secrets
			control.keep("control", []byte("… "+planted+" …"))
			if len(control.found()) == 0 {
				t.Errorf("a planted secret, %s, is not found", name)
			}
		}
	})
}
