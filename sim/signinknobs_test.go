package sim_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/population"
)

// launched walks an EHR launch to its token answer.
func (c *clinic) launched(l sim.Launch) map[string]any {
	c.t.Helper()
	l.ClientID = "chart-app"
	token, err := c.Launch(l)
	if err != nil {
		c.t.Fatal(err)
	}
	p := c.authorize(c.ask("chart-app", url.Values{"scope": {"launch openid fhirUser offline_access"}, "launch": {token}}))
	status, v := c.exchange("chart-app", p.location.Get("code"), nil)
	if status != http.StatusOK {
		c.t.Fatalf("the exchange answers %d (%s)", status, c.reason())
	}
	return v
}

func TestKnobsOfTheLaunchContext(t *testing.T) {
	yes := true
	l := sim.Launch{Patient: population.TheoID, Banner: &yes, FHIRContext: []sim.ContextReference{{Reference: "ImagingStudy/1", Role: "launch"}, {Canonical: "http://example.org/q"}}}
	for _, row := range []struct {
		rule, member, want string
		knobs              sim.Knobs
	}{
		{"the banner is a string", "need_patient_banner", `"true"`, sim.Knobs{}},
		{"knob banner=bool", "need_patient_banner", `true`, sim.Knobs{Banner: "bool"}},
		{"the context is objects", "fhirContext", `[{"reference":"ImagingStudy/1","role":"launch"},{"canonical":"http://example.org/q"}]`, sim.Knobs{}},
		{"knob fhir_context=references", "fhirContext", `["ImagingStudy/1"]`, sim.Knobs{FHIRContext: "references"}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			got, err := json.Marshal(newClinic(t, row.knobs).launched(l)[row.member])
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != row.want {
				t.Errorf("%s is %s, want %s", row.member, got, row.want)
			}
		})
	}
}

func TestKnobsOfTheIDToken(t *testing.T) {
	c := newClinic(t, sim.Knobs{Issuer: "base", FHIRUser: "relative"})
	v := c.launched(sim.Launch{Patient: population.TheoID})
	part := strings.Split(v["id_token"].(string), ".")
	payload, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if claims["iss"] != c.base() {
		t.Errorf("iss is %v, want the FHIR base", claims["iss"])
	}
	if user, _ := claims["fhirUser"].(string); !strings.HasPrefix(user, "Practitioner/") {
		t.Errorf("fhirUser is %q, want a relative reference", user)
	}
}

func TestKnobTokenErrorStatus(t *testing.T) {
	c := newClinic(t, sim.Knobs{TokenErrorStatus: http.StatusUnauthorized})
	status, v := c.exchange("patient-app", "x", url.Values{"client_secret": {"wrong"}})
	if status != http.StatusUnauthorized || v["error"] != "invalid_client" {
		t.Errorf("a wrong secret draws %d %v, want 401 invalid_client", status, v["error"])
	}
	if status, v = c.exchange("patient-app", "x", nil); status != http.StatusBadRequest || v["error"] != "invalid_grant" {
		t.Errorf("an invented code draws %d %v, want 400 invalid_grant", status, v["error"])
	}
}

func TestIndefiniteRefreshMovesTheEnd(t *testing.T) {
	c := newClinic(t, sim.Knobs{Refresh: "indefinite", RefreshLife: 3 * time.Hour})
	v := c.launched(sim.Launch{Patient: population.TheoID})
	for range 4 {
		c.Advance(2 * time.Hour)
		status, next := c.refresh("chart-app", v["refresh_token"].(string), nil)
		if status != http.StatusOK {
			t.Fatalf("a refresh within the moved end answers %d (%s)", status, c.reason())
		}
		v = next
	}
	c.Advance(4 * time.Hour)
	if status, _ := c.refresh("chart-app", v["refresh_token"].(string), nil); status != http.StatusBadRequest {
		t.Error("a sign-in lives on though nobody refreshed it in time")
	}
}

func TestOfTwoRacingRefreshesTheLoserEndsTheSignIn(t *testing.T) { // T7
	c := newClinic(t, sim.Knobs{})
	v := c.launched(sim.Launch{Patient: population.TheoID})
	var mu sync.Mutex
	var won []map[string]any
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if status, next := c.refresh("chart-app", v["refresh_token"].(string), nil); status == http.StatusOK {
				mu.Lock()
				defer mu.Unlock()
				won = append(won, next)
			}
		})
	}
	wg.Wait()
	if len(won) > 1 {
		t.Fatal("one refresh token is good for two")
	}
	if c.works(v["access_token"], population.TheoID) {
		t.Error("the first access token outlives the reuse of a refresh token")
	}
	for _, next := range won {
		if c.works(next["access_token"], population.TheoID) {
			t.Error("the winner's access token outlives the reuse")
		}
		if status, _ := c.refresh("chart-app", next["refresh_token"].(string), nil); status != http.StatusBadRequest {
			t.Error("the winner's refresh token outlives the reuse")
		}
	}
}

func TestRevokedClientMustSignInAnew(t *testing.T) {
	c := newClinic(t, sim.Knobs{})
	v := c.launched(sim.Launch{Patient: population.TheoID})
	_, other := c.exchange("patient-app", c.code("patient-app", "simtheo", nil), nil)
	if n := c.Revoke("chart-app"); n != 1 {
		t.Errorf("%d access tokens ended, want 1", n)
	}
	if c.works(v["access_token"], population.TheoID) {
		t.Error("the access token outlives the revocation")
	}
	if status, _ := c.refresh("chart-app", v["refresh_token"].(string), nil); status != http.StatusBadRequest {
		t.Error("the refresh token outlives the revocation")
	}
	if status, _ := c.refresh("patient-app", other["refresh_token"].(string), nil); status != http.StatusOK {
		t.Error("another client's refresh token was ended too")
	}
	c.launched(sim.Launch{Patient: population.TheoID})
}

func TestProxySignsInForTheChild(t *testing.T) {
	c := newClinic(t, sim.Knobs{})
	var proxy sim.User
	for _, u := range c.UserList() {
		if u.Login == "simproxy" {
			proxy = u
		}
	}
	if !strings.HasPrefix(proxy.Reference, "RelatedPerson/") || len(proxy.Patients) != 1 {
		t.Fatalf("simproxy is %q with %d patients, want a related person with one", proxy.Reference, len(proxy.Patients))
	}
	status, v := c.exchange("patient-app", c.code("patient-app", "simproxy", nil), nil)
	if status != http.StatusOK || v["patient"] != proxy.Patients[0] {
		t.Errorf("the exchange answers %d for patient %v (%s)", status, v["patient"], c.reason())
	}
}

func TestProxyOfTwoPicksOne(t *testing.T) {
	c := newClinic(t, sim.Knobs{})
	c.Users = []sim.User{{Name: "Kin", Login: "kin", Password: sim.Password, Reference: "RelatedPerson/x", Patients: []string{population.WrenID, population.TheoID}}}
	picker := c.signIn(c.authorize(c.ask("patient-app", nil)), "kin")
	if !strings.Contains(picker.text, `id="patient-`+population.WrenID+`"`) || strings.Contains(picker.text, population.RosalindID) {
		t.Fatalf("the picker does not offer just the proxy's patients (%s)", c.reason())
	}
	if p := c.submit(picker, url.Values{"patient": {population.RosalindID}}); p.status != http.StatusBadRequest {
		t.Error("a proxy picks somebody else's chart")
	}
}

func TestRedirectURIsThatRegistrationRefuses(t *testing.T) {
	c := newClinic(t, sim.Knobs{})
	for address, good := range map[string]bool{
		"https://app.example/cb": true, "http://127.0.0.1:7401/cb": true, "http://localhost/cb": true, "com.example.app:/cb": true,
		"http://app.example/cb": false, "https://app.example/cb#x": false, "/cb": false, "javascript:alert(1)": false, "data:text/html,x": false, "https:///cb": false, "https://app.example/a b": false,
	} {
		err := c.Register(sim.App{ClientID: "one", Kind: sim.Standalone, RedirectURIs: []string{address}})
		if (err == nil) != good {
			t.Errorf("redirect URI %s: %v", address, err)
		}
	}
}

func (c *clinic) control(method, path, body string) (int, string) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.origin+"/_sim/"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var text bytes.Buffer
	_, _ = text.ReadFrom(resp.Body)
	return resp.StatusCode, text.String()
}

func TestControlsOfAppsUsersAndLaunch(t *testing.T) {
	c := newClinic(t, sim.Knobs{})
	status, text := c.control(http.MethodGet, "apps", "")
	if status != http.StatusOK || !strings.Contains(text, "chart-app") || strings.Contains(text, "s3cret") {
		t.Errorf("apps answers %d, or tells a secret", status)
	}
	if status, text = c.control(http.MethodGet, "users", ""); status != http.StatusOK || !strings.Contains(text, "simclinician") {
		t.Errorf("users answers %d without the clinician", status)
	}
	if status, _ = c.control(http.MethodPost, "apps", `{"client_id":"x","kind":"no such kind"}`); status != http.StatusBadRequest {
		t.Errorf("a wrong registration is answered %d", status)
	}
	if status, _ = c.control(http.MethodPost, "launch", `{"client_id":"nobody"}`); status != http.StatusBadRequest {
		t.Errorf("a launch of an unknown app is answered %d", status)
	}
	status, text = c.control(http.MethodPost, "launch", `{"client_id":"chart-app","patient":"`+population.TheoID+`"}`)
	var v struct{ Launch, URL string }
	if err := json.Unmarshal([]byte(text), &v); err != nil || status != http.StatusOK {
		t.Fatalf("the launch answers %d", status)
	}
	u, err := url.Parse(v.URL)
	if err != nil || u.Query().Get("iss") != c.base() || u.Query().Get("launch") != v.Launch || !strings.HasPrefix(v.URL, "https://app.example/launch?") {
		t.Error("the launch's address does not open the app with iss and launch")
	}
	if p := c.authorize(c.ask("chart-app", url.Values{"scope": {"launch"}, "launch": {v.Launch}})); p.location.Get("code") == "" {
		t.Errorf("the control's launch token gives no code (%s)", c.reason())
	}
}

func TestServerLogHoldsNoSecret(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	c := newClinic(t, sim.Knobs{})
	c.Log = slog.New(slog.NewJSONHandler(writer(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(b)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	code := c.code("patient-app", "simtheo", nil)
	_, v := c.exchange("patient-app", code, nil)
	_, _ = c.exchange("patient-app", code, url.Values{"client_secret": {"wr0ng-secret"}})
	_, _ = c.refresh("patient-app", v["refresh_token"].(string), nil)
	_, requests := c.control(http.MethodGet, "log", "")
	mu.Lock()
	defer mu.Unlock()
	if log.Len() == 0 {
		t.Fatal("nothing is logged")
	}
	for name, secret := range map[string]string{
		"code": code, "verifier": verifier, "password": sim.Password, "client secret": secrets["patient-app"], "wrong secret": "wr0ng-secret", "state": "st/ate", "escaped state": "st%2Fate",
		"access token": v["access_token"].(string), "refresh token": v["refresh_token"].(string), "id_token": v["id_token"].(string),
	} {
		if strings.Contains(log.String(), secret) || strings.Contains(requests, secret) {
			t.Errorf("the %s stands in the log", name)
		}
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func FuzzAuthorizeQuery(f *testing.F) {
	c := newClinic(f, sim.Knobs{})
	f.Add(c.ask("patient-app", nil).Encode())
	f.Add("client_id=patient-app&redirect_uri=" + url.QueryEscape(redirect) + "&state=%0d%0aX:y&response_type=x")
	f.Add("%zz;a=b&&=")
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, c.at("authorize"), nil)
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		to := w.Header().Get("Location")
		if w.Code >= 500 || to != "" && !strings.HasPrefix(to, redirect+"?") || strings.ContainsAny(to, "\r\n") {
			t.Errorf("status %d, redirected elsewhere: %v", w.Code, to != "")
		}
	})
}

func TestKnobCORSKeepsAnswersToRegisteredOrigins(t *testing.T) {
	for _, row := range []struct {
		rule, origin, path, want string
		knobs                    sim.Knobs
	}{
		{"a registered origin reads token answers", "https://app.example", "token", "https://app.example", sim.Knobs{CORS: "registered"}},
		{"another origin does not", "https://other.example", "token", "", sim.Knobs{CORS: "registered"}},
		{"nobody reads the pages", "https://app.example", "authorize", "", sim.Knobs{CORS: "registered"}},
		{"nobody reads the pages with the knob off either", "https://app.example", "authorize", "", sim.Knobs{}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			c := newClinic(t, row.knobs)
			if err := c.Register(sim.App{ClientID: "page-app", Kind: sim.Standalone, RedirectURIs: []string{redirect}, Origins: []string{"https://app.example"}}); err != nil {
				t.Fatal(err)
			}
			req, err := http.NewRequest(http.MethodPost, c.at(row.path), strings.NewReader(""))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Origin", row.origin)
			resp, err := http.DefaultClient.Do(req)
			if got := c.result(resp, err).header.Get("Access-Control-Allow-Origin"); got != row.want {
				t.Errorf("Access-Control-Allow-Origin is %q, want %q", got, row.want)
			}
		})
	}
}
