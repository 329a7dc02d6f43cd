package smart_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/simtest"
	"github.com/andironhq/andiron/smart"
)

// atTheSimulator runs an application at the simulated Epic.
func atTheSimulator(t *testing.T, epic *simtest.Epic, registered sim.App, i smart.Issuer) (*smart.App, string) {
	t.Helper()
	var h http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	registered.ClientID, registered.RedirectURIs = "app", []string{srv.URL + "/callback"}
	epic.AddApp(t, registered)
	i.Base, i.ClientID = epic.URL, "app"
	a := &smart.App{URL: srv.URL, Issuers: []smart.Issuer{i}, Now: epic.Now}
	h = a.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := smart.FromContext(r.Context())
		_, err := s.Token(r.Context(), epic.URL, "")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, s.Patient+" "+s.User.Type)
	}))
	return a, srv.URL
}

// The simulator's authorization server is written from the specification by somebody else.
func TestSignsAPatientInAtTheSimulatedEpic(t *testing.T) {
	epic := simtest.Start(t)
	a, root := atTheSimulator(t, epic, sim.App{Kind: sim.Standalone, Auth: "client_secret", Secret: "s3cret", Persistent: true},
		smart.Issuer{Secret: smart.NewSecret("s3cret"), Scope: "openid fhirUser offline_access patient/Patient.r patient/Observation.rs", RequireUser: true})
	b := epic.Browser(t)
	page := b.SignIn(t, root+"/labs", "simrosalind")
	body := readAll(page)
	if page.StatusCode != http.StatusOK || !strings.HasSuffix(body, " Patient") {
		t.Fatalf("sign-in ended at %s with %d: %s", page.Request.URL.Path, page.StatusCode, body)
	}
	s, err := a.Session(t.Context(), handleForm.FindStringSubmatch(page.Request.URL.Path)[1])
	if err != nil {
		t.Fatal(err)
	}
	first, _ := s.Token(t.Context(), epic.URL, "")
	for range 3 {
		epic.Advance(2 * time.Hour)
		next, err := s.Token(t.Context(), epic.URL, "")
		if err != nil || next == first {
			t.Fatalf("renewal: %v", err)
		}
		first = next
	}
	if err := a.End(t.Context(), s); err != nil {
		t.Errorf("End: %v", err)
	}
	if _, err := a.Session(t.Context(), s.ID); !errors.Is(err, smart.ErrNoRecord) {
		t.Errorf("after End: %v", err)
	}
}

func TestOpensForAClinicianOfTheSimulatedEpic(t *testing.T) {
	epic := simtest.Start(t)
	key := ecKey()
	set, err := smart.PublicSet(key)
	if err != nil {
		t.Fatal(err)
	}
	keys := httptest.NewServer(set)
	defer keys.Close()
	_, root := atTheSimulator(t, epic, sim.App{Kind: sim.EHRLaunch, Auth: "private_key_jwt", JWKSURL: keys.URL},
		smart.Issuer{Key: key, Scope: "openid fhirUser patient/Patient.r", RequireUser: true})
	token := epic.Launch(t, sim.Launch{ClientID: "app", Patient: epic.Patient})
	page := epic.Browser(t).Get(root + "/launch?iss=" + url.QueryEscape(epic.URL) + "&launch=" + url.QueryEscape(token))
	if body := readAll(page); page.StatusCode != http.StatusOK || body != epic.Patient+" Practitioner" {
		t.Errorf("the launch ended at %s with %d: %s", page.Request.URL.Path, page.StatusCode, body)
	}
}
