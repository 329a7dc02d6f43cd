package simtest

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/andironhq/andiron/sim"
)

// AddApp registers an app with the simulator, or replaces the one with the same client id:
//
//	epic.AddApp(t, sim.App{ClientID: "app", Kind: sim.Standalone, RedirectURIs: []string{app.URL + "/callback"}})
func (e *Epic) AddApp(t testing.TB, app sim.App) {
	t.Helper()
	if err := e.Server.Register(app); err != nil {
		t.Fatalf("simtest: %v", err)
	}
}

// Launch makes a launch token, as the EHR does when it opens an app:
//
//	token := epic.Launch(t, sim.Launch{ClientID: "app", Patient: epic.Patient})
//	b.Get(app.URL + "/launch?iss=" + url.QueryEscape(epic.URL) + "&launch=" + token)
func (e *Epic) Launch(t testing.TB, l sim.Launch) string {
	t.Helper()
	token, err := e.Server.Launch(l)
	if err != nil {
		t.Fatalf("simtest: %v", err)
	}
	return token
}

// Browser is a browser without scripts: cookies, redirects and the simulator's forms. It is for one
// goroutine.
type Browser struct {
	// Client follows redirects and keeps cookies.
	Client *http.Client
	// Deny makes SignIn refuse consent.
	Deny bool
	// Patient is the id that SignIn picks from a list of patients. Empty means the first.
	Patient string
	// Duration is what SignIn chooses for persistent access: "1h", "1d", "1w", "30d", "90d", "180d".
	// Empty leaves the page's choice.
	Duration string

	e *Epic
	t testing.TB
}

// Browser opens a browser with an empty cookie jar:
//
//	b := epic.Browser(t)
//	page := b.SignIn(t, app.URL+"/", "simrosalind") // back at the application
func (e *Epic) Browser(t testing.TB) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatalf("simtest: %v", err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &Browser{Client: &http.Client{Jar: jar, Transport: transport}, e: e, t: t}
}

// Get opens an address and follows its redirects. The body is closed when the test ends.
func (b *Browser) Get(address string) *http.Response {
	b.t.Helper()
	return b.send(http.MethodGet, address, nil)
}

// Submit sends the form of a page with the values given in place of its own. It reads the page.
func (b *Browser) Submit(page *http.Response, values url.Values) *http.Response {
	b.t.Helper()
	text, err := io.ReadAll(page.Body)
	if err != nil {
		b.t.Fatalf("simtest: the page cannot be read: %v", err)
	}
	action, form := parseForm(string(text))
	if action == "" {
		b.t.Fatalf("simtest: the page at %s with status %d has no form", page.Request.URL.Path, page.StatusCode)
	}
	for name, v := range values {
		form[name] = v
	}
	address, err := page.Request.URL.Parse(action)
	if err != nil {
		b.t.Fatalf("simtest: the form's action is no address: %v", err)
	}
	return b.send(http.MethodPost, address.String(), form)
}

// send asks for an address, with a form if there is one.
func (b *Browser) send(method, address string, form url.Values) *http.Response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatalf("simtest: the browser's address is none: %v", withoutQuery(err))
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.Client.Do(req)
	if err != nil {
		b.t.Fatalf("simtest: the browser's request failed: %v", withoutQuery(err))
	}
	b.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// withoutQuery keeps codes and states out of a failing test's message.
func withoutQuery(err error) string {
	return regexp.MustCompile(`\?[^"\s]*`).ReplaceAllString(err.Error(), "?…")
}

// SignIn opens the address and walks through the simulator's pages as the user of that login: sign-in,
// choice of a patient, consent, until the browser is somewhere else. It returns the page there, with its
// body unread. An EHR launch shows no page, and SignIn returns at once.
func (b *Browser) SignIn(t testing.TB, address, login string) *http.Response {
	t.Helper()
	password := ""
	for _, u := range b.e.Server.UserList() {
		if u.Login == login {
			password = u.Password
		}
	}
	page := b.Get(address)
	for range 6 {
		if "http://"+page.Request.URL.Host != b.e.Origin || !strings.Contains(page.Request.URL.Path, "/oauth2/authorize") {
			return page
		}
		text, err := io.ReadAll(page.Body)
		if err != nil {
			t.Fatalf("simtest: the page cannot be read: %v", err)
		}
		page.Body = io.NopCloser(strings.NewReader(string(text)))
		switch {
		case strings.Contains(string(text), `id="error"`):
			t.Fatalf("simtest: %s cannot sign in here: %s", login, b.lastReason())
		case strings.Contains(string(text), `id="sign-in"`):
			page = b.Submit(page, url.Values{"username": {login}, "password": {password}})
		case strings.Contains(string(text), `id="choose"`):
			patient := b.Patient
			if m := regexp.MustCompile(`id="patient-([^"]+)"`).FindStringSubmatch(string(text)); patient == "" && m != nil {
				patient = m[1]
			}
			page = b.Submit(page, url.Values{"patient": {patient}})
		case strings.Contains(string(text), `id="allow"`):
			v := url.Values{"decision": {map[bool]string{false: "allow", true: "deny"}[b.Deny]}}
			if b.Duration != "" {
				v.Set("duration", b.Duration)
			}
			page = b.Submit(page, v)
		default:
			t.Fatalf("simtest: the simulator refused the sign-in: %s", b.lastReason())
		}
	}
	t.Fatal("simtest: the sign-in does not end")
	return nil
}

func (b *Browser) lastReason() string {
	reason := "no reason in the log"
	for _, x := range b.e.Requests() {
		if x.Op == "authorize" && x.Reason != "" {
			reason = x.Reason
		}
	}
	return reason
}

var (
	formTag  = regexp.MustCompile(`<form[^>]*\baction="([^"]*)"`)
	inputTag = regexp.MustCompile(`<input[^>]*\btype="hidden"[^>]*>`)
	nameAttr = regexp.MustCompile(`\bname="([^"]*)"`)
	valAttr  = regexp.MustCompile(`\bvalue="([^"]*)"`)
	selected = regexp.MustCompile(`<option value="([^"]*)" selected>`)
)

// parseForm reads the first form of a page: its action and its hidden fields, and the duration chosen.
func parseForm(page string) (string, url.Values) {
	m := formTag.FindStringSubmatch(page)
	if m == nil {
		return "", nil
	}
	form := url.Values{}
	for _, tag := range inputTag.FindAllString(page, -1) {
		name, value := nameAttr.FindStringSubmatch(tag), valAttr.FindStringSubmatch(tag)
		if name != nil && value != nil {
			form.Set(html.UnescapeString(name[1]), html.UnescapeString(value[1]))
		}
	}
	if m := selected.FindStringSubmatch(page); m != nil {
		form.Set("duration", m[1])
	}
	return html.UnescapeString(m[1]), form
}
