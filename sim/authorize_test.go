package sim_test

import (
	"encoding/json"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/population"
)

const (
	redirect  = "https://app.example/callback"
	verifier  = "abcdefghijklmnopqrstuvwxyz0123456789-._~ABCDEF"
	challenge = "YZ_PgqTsD1lXQE_8p676tPq50knVSjWE0f0FIgjN2Dg"
)

// clinic is a simulator with generated patients and an app of each sort, and a browser at it.
type clinic struct {
	*sim.Server
	t       testing.TB
	origin  string
	browser *http.Client
}

func newClinic(t testing.TB, knobs sim.Knobs) *clinic {
	t.Helper()
	c := &clinic{t: t, Server: &sim.Server{Patients: 8, Knobs: knobs, Apps: []sim.App{
		{ClientID: "patient-app", Kind: sim.Standalone, RedirectURIs: []string{redirect}, Secret: "s3cret-of-the-patient-app", Persistent: true},
		{ClientID: "public-app", Kind: sim.Standalone, RedirectURIs: []string{redirect}, Persistent: true},
		{ClientID: "narrow-app", Kind: sim.Standalone, RedirectURIs: []string{redirect}, APIs: []string{"Patient.Read (R4)", "Observation.Search (Labs) (R4)"}},
		{ClientID: "chart-app", Kind: sim.EHRLaunch, RedirectURIs: []string{redirect}, Secret: "s3cret-of-the-chart-app", Persistent: true, LaunchURL: "https://app.example/launch"},
		{ClientID: "other-app", Kind: sim.EHRLaunch, RedirectURIs: []string{redirect}},
		{ClientID: "dynamic-app", Kind: sim.Standalone, RedirectURIs: []string{redirect}, Dynamic: true},
	}}}
	server := httptest.NewServer(c.Server)
	t.Cleanup(server.Close)
	c.origin = server.URL
	c.fresh()
	return c
}

// fresh opens a browser without cookies. It stops before it leaves the simulator.
func (c *clinic) fresh() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.browser = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (c *clinic) base() string { return c.origin + c.BasePath() }

func (c *clinic) at(path string) string {
	return c.origin + strings.TrimSuffix(c.TokenPath(), "token") + path
}

// ask is a good authorization request of the app; edits override or, with nil, remove.
func (c *clinic) ask(app string, edits url.Values) url.Values {
	v := url.Values{
		"response_type": {"code"}, "client_id": {app}, "redirect_uri": {redirect}, "state": {"st/ate+ &=ü"},
		"scope": {"openid fhirUser profile launch/patient offline_access"}, "aud": {c.base()},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "nonce": {"n-1"},
	}
	maps.Copy(v, edits)
	for name, list := range v {
		if list == nil {
			delete(v, name)
		}
	}
	return v
}

type page struct {
	status   int
	header   http.Header
	location url.Values // the query of Location, nil without one
	text     string
}

func (c *clinic) result(resp *http.Response, err error) page {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	p := page{status: resp.StatusCode, header: resp.Header, text: string(body)}
	if to := resp.Header.Get("Location"); to != "" {
		u, err := url.Parse(to)
		if err != nil || !strings.HasPrefix(to, redirect+"?") {
			c.t.Fatalf("the browser is sent to an address that is not the registered one")
		}
		p.location = u.Query()
	}
	return p
}

func (c *clinic) authorize(v url.Values) page {
	c.t.Helper()
	return c.result(c.browser.Get(c.at("authorize?" + v.Encode())))
}

var hidden = regexp.MustCompile(`action="([^"]+)"[^>]*><input type="hidden" name="request" value="([^"]+)"`)

// submit sends the page's form.
func (c *clinic) submit(p page, v url.Values) page {
	c.t.Helper()
	m := hidden.FindStringSubmatch(p.text)
	if m == nil {
		c.t.Fatalf("no form on the page (status %d, reason %q)", p.status, c.reason())
	}
	v.Set("request", m[2])
	return c.result(c.browser.PostForm(c.origin+html.UnescapeString(m[1]), v))
}

func (c *clinic) signIn(p page, login string) page {
	c.t.Helper()
	return c.submit(p, url.Values{"username": {login}, "password": {sim.Password}})
}

// code walks a standalone sign-in to its code.
func (c *clinic) code(app, login string, edits url.Values) string {
	c.t.Helper()
	p := c.submit(c.signIn(c.authorize(c.ask(app, edits)), login), url.Values{"decision": {"allow"}})
	if p.location.Get("code") == "" {
		c.t.Fatalf("no code (status %d, reason %q)", p.status, c.reason())
	}
	return p.location.Get("code")
}

var secrets = map[string]string{"patient-app": "s3cret-of-the-patient-app", "chart-app": "s3cret-of-the-chart-app"}

func (c *clinic) post(path string, form url.Values, header http.Header) (int, map[string]any) {
	c.t.Helper()
	req, err := http.NewRequest(http.MethodPost, c.at(path), strings.NewReader(form.Encode()))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	maps.Copy(req.Header, header)
	resp, err := http.DefaultClient.Do(req)
	p := c.result(resp, err)
	var v map[string]any
	if p.text != "" && json.Unmarshal([]byte(p.text), &v) != nil {
		c.t.Fatalf("%s answers no JSON (status %d)", path, p.status)
	}
	if path == "token" && (!strings.Contains(p.header.Get("Cache-Control"), "no-store") || p.header.Get("Pragma") != "no-cache") {
		c.t.Error("T1: a token answer may be cached")
	}
	return p.status, v
}

// exchange brings a code; edits override or, with nil, remove.
func (c *clinic) exchange(app, code string, edits url.Values) (int, map[string]any) {
	c.t.Helper()
	v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier}, "client_id": {app}}
	if secret := secrets[app]; secret != "" {
		v.Set("client_secret", secret)
	}
	maps.Copy(v, edits)
	for name, list := range v {
		if list == nil {
			delete(v, name)
		}
	}
	return c.post("token", v, nil)
}

func (c *clinic) refresh(app, token string, edits url.Values) (int, map[string]any) {
	c.t.Helper()
	v := url.Values{"code": nil, "redirect_uri": nil, "code_verifier": nil, "grant_type": {"refresh_token"}, "refresh_token": {token}}
	maps.Copy(v, edits)
	return c.exchange(app, "", v)
}

// reason is why the last request was refused.
func (c *clinic) reason() string {
	list := c.Requests()
	return list[len(list)-1].Reason
}

// works tells whether the access token reads its patient.
func (c *clinic) works(token any, patient string) bool {
	c.t.Helper()
	req, err := http.NewRequest(http.MethodGet, c.base()+"/Patient/"+patient, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	text, _ := token.(string)
	req.Header.Set("Authorization", "Bearer "+text)
	resp, err := http.DefaultClient.Do(req)
	return c.result(resp, err).status == http.StatusOK
}

func TestStandaloneSignInGivesTokenForThatPatient(t *testing.T) {
	c := newClinic(t, sim.Knobs{})
	code := c.code("patient-app", "simrosalind", nil)
	status, v := c.exchange("patient-app", code, nil)
	if status != http.StatusOK {
		t.Fatalf("the exchange answers %d (%s)", status, c.reason())
	}
	if v["patient"] != population.RosalindID {
		t.Errorf("patient is %v, want Rosalind", v["patient"])
	}
	for _, name := range []string{"access_token", "refresh_token", "id_token", "scope", "__epic.dstu2.patient", "state"} {
		if text, _ := v[name].(string); text == "" {
			t.Errorf("%s is missing in the token answer", name)
		}
	}
	for _, name := range []string{"practitioner", "encounter", "need_patient_banner"} {
		if _, ok := v[name]; ok {
			t.Errorf("%s is in the answer of a standalone launch", name)
		}
	}
	if v["state"] != "st/ate+ &=ü" {
		t.Error("state is not echoed byte for byte in the token answer")
	}
	if !c.works(v["access_token"], population.RosalindID) {
		t.Errorf("the token does not read its patient: %s", c.reason())
	}
	if c.works(v["access_token"], population.TheoID) {
		t.Error("the token reads another patient")
	}
	status, again := c.refresh("patient-app", v["refresh_token"].(string), nil)
	if status != http.StatusOK || again["refresh_token"] == v["refresh_token"] || again["patient"] != population.RosalindID {
		t.Errorf("the refresh answers %d (%s)", status, c.reason())
	}
	if !c.works(again["access_token"], population.RosalindID) {
		t.Errorf("the refreshed token does not read: %s", c.reason())
	}
}

func TestEHRLaunchNeedsNoPage(t *testing.T) {
	c := newClinic(t, sim.Knobs{})
	token, err := c.Launch(sim.Launch{ClientID: "chart-app", Patient: population.TheoID, Intent: "summary", Tenant: "t1", Extra: map[string]any{"customer": 7}})
	if err != nil {
		t.Fatal(err)
	}
	ask := c.ask("chart-app", url.Values{"scope": {"launch openid fhirUser"}, "launch": {token}})
	p := c.result(c.browser.PostForm(c.at("authorize"), ask))
	if p.location.Get("code") == "" {
		t.Fatalf("A8: a posted EHR launch gives no code (%d, %s)", p.status, c.reason())
	}
	status, v := c.exchange("chart-app", p.location.Get("code"), nil)
	if status != http.StatusOK || v["patient"] != population.TheoID || v["need_patient_banner"] != "false" || v["intent"] != "summary" || v["tenant"] != "t1" || v["customer"] != 7.0 {
		t.Errorf("the exchange answers %d without the launch's context (%s)", status, c.reason())
	}
	if p := c.authorize(ask); p.location != nil {
		t.Error("A6: a launch token is good twice")
	}
}
