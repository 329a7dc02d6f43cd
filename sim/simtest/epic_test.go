package simtest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/simtest"
)

func TestReadsOnAfterTokenExpires(t *testing.T) {
	epic := simtest.Start(t)
	c := epic.Backend(t)
	for _, wait := range []time.Duration{0, 61 * time.Minute} {
		epic.Advance(wait)
		p, err := fhir.Read[r4.Patient](t.Context(), c, epic.Patient)
		if err != nil {
			t.Fatalf("%v after sign-in: %v", wait, err)
		}
		if p.ID != epic.Patient {
			t.Errorf("read %s, want %s", p.ID, epic.Patient)
		}
	}
	if n := epic.Count("token"); n != 2 {
		t.Errorf("%d token requests, want 2", n)
	}
}

func TestSearchFollowsEveryPage(t *testing.T) {
	epic := simtest.Start(t)
	c := epic.Backend(t)
	var notices int
	c.Notice = func(*r4.OperationOutcome) { notices++ }
	q := fhir.Where("patient", epic.Patient).And("category", "laboratory").And("_count", "3")
	n := 0
	for _, err := range fhir.Search[r4.Observation](t.Context(), c, q) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if pages := epic.Count("search"); n <= 3 || pages != (n+2)/3 {
		t.Errorf("%d observations on %d pages of 3", n, pages)
	}
	if notices == 0 {
		t.Error("the outcome entry on the last page reached nobody")
	}
}

func TestFaultReachesTheClient(t *testing.T) {
	epic := simtest.Start(t)
	epic.Fail(sim.Fault{Op: "read", Code: "4131", Status: http.StatusForbidden})
	c := epic.Backend(t)
	if _, err := fhir.Read[r4.Patient](t.Context(), c, epic.Patient); err == nil {
		t.Error("break-the-glass went unnoticed")
	}
	epic.Heal()
	if _, err := fhir.Read[r4.Patient](t.Context(), c, epic.Patient); err != nil {
		t.Errorf("after healing: %v", err)
	}
}

func TestBrowserSignsInAndComesBackWithACode(t *testing.T) {
	epic := simtest.Start(t)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "error="+r.FormValue("error")+" state="+r.FormValue("state")+" code="+strconv.FormatBool(r.FormValue("code") != ""))
	}))
	defer app.Close()
	back := app.URL + "/callback"
	epic.AddApp(t, sim.App{ClientID: "patient", Kind: sim.Standalone, RedirectURIs: []string{back}})
	epic.AddApp(t, sim.App{ClientID: "chart", Kind: sim.EHRLaunch, RedirectURIs: []string{back}})
	ask := func(client, scope, launch string) string {
		v := url.Values{"response_type": {"code"}, "client_id": {client}, "redirect_uri": {back}, "state": {"s1"}, "scope": {scope}, "aud": {epic.URL}}
		if launch != "" {
			v.Set("launch", launch)
		}
		return strings.TrimSuffix(epic.Origin+epic.Server.TokenPath(), "token") + "authorize?" + v.Encode()
	}
	for _, row := range []struct {
		rule, address, login, want string
		deny                       bool
	}{
		{"a patient allows", ask("patient", "openid", ""), "simtheo", "error= state=s1 code=true", false},
		{"a patient refuses", ask("patient", "openid", ""), "simtheo", "error=access_denied state=s1 code=false", true},
		{"a clinician picks a patient", ask("chart", "openid launch/patient", ""), "simclinician", "error= state=s1 code=true", false},
		{"the EHR opens the app", ask("chart", "launch", epic.Launch(t, sim.Launch{ClientID: "chart", Patient: epic.Patient})), "", "error= state=s1 code=true", false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			b := epic.Browser(t)
			b.Deny = row.deny
			text, err := io.ReadAll(b.SignIn(t, row.address, row.login).Body)
			if err != nil || string(text) != row.want {
				t.Errorf("the app sees %q (%v), want %q", text, err, row.want)
			}
		})
	}
}
