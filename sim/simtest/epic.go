package simtest

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/population"
	"github.com/andironhq/andiron/smart"
)

// Patients is how many patients the server of [Start] has: the named ones and a few more.
const Patients = 12

// Epic is a simulated Epic that runs until its test ends.
type Epic struct {
	// URL is the FHIR base.
	URL string
	// Origin is scheme, host and port, below which lie all paths.
	Origin string
	// Patient is the id of the first patient, with generated data population.RosalindID.
	Patient string
	// Group is the id of the group that holds all patients.
	Group string
	// ClientID and Key are those of the registered backend app.
	ClientID string
	Key      *smart.Key
	// JWKS is the URL under which the app publishes its key.
	JWKS string
	// Server is the simulator itself.
	Server *sim.Server

	t testing.TB
}

// Start runs a server with [Patients] generated patients and the strict defaults.
func Start(t testing.TB) *Epic {
	t.Helper()
	return StartServer(t, &sim.Server{Patients: Patients})
}

// StartServer runs a server of one's own. A backend app with every API is added to its Apps.
func StartServer(t testing.TB, s *sim.Server) *Epic {
	t.Helper()
	key, err := smart.NewKey("ES384")
	if err != nil {
		t.Fatalf("simtest: %v", err)
	}
	set, err := smart.PublicSet(key)
	if err != nil {
		t.Fatalf("simtest: %v", err)
	}
	set.MaxAge = 29 * time.Hour
	keys := httptest.NewServer(set)
	t.Cleanup(keys.Close)

	e := &Epic{ClientID: "5f0d0a6e-simtest-backend", Key: key, JWKS: keys.URL, Server: s, t: t}
	s.Apps = append(s.Apps, sim.App{ClientID: e.ClientID, Name: "simtest", JWKSURL: keys.URL})
	if err := s.Open(); err != nil {
		t.Fatalf("simtest: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	e.Origin, e.URL = server.URL, server.URL+s.BasePath()

	groups, err := s.Groups()
	if err != nil {
		t.Fatalf("simtest: %v", err)
	}
	e.Group, e.Patient = groups[0].ID, groups[0].Patients[0]
	if s.Data == "" {
		e.Patient = population.People()[0].ID
	}
	return e
}

// TokenSource signs the registered app in, by the server's clock.
func (e *Epic) TokenSource() *smart.Backend {
	return &smart.Backend{Base: e.URL, ClientID: e.ClientID, Key: e.Key, Now: e.Now}
}

// Backend is a client of the registered app: it signs in by itself, keeps to no request budget
// and goes by the server's clock.
func (e *Epic) Backend(t testing.TB) *fhir.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &fhir.Client{
		Base: e.URL, Auth: e.TokenSource(), Dialect: epic.Dialect{}, Now: e.Now,
		HTTP: &http.Client{Transport: transport}, Limits: fhir.Limits{PerMinute: -1},
	}
}

// Now is the server's clock.
func (e *Epic) Now() time.Time { return e.Server.Now() }

// Advance moves the clock of the server, and with it that of its clients.
func (e *Epic) Advance(d time.Duration) { e.Server.Advance(d) }

// Fail plays a fault from now on.
func (e *Epic) Fail(f sim.Fault) {
	e.t.Helper()
	if err := e.Server.Fail(f); err != nil {
		e.t.Fatal(err)
	}
}

// Heal ends all faults.
func (e *Epic) Heal() { e.Server.Heal() }

// Requests returns what was asked so far, oldest first.
func (e *Epic) Requests() []sim.Exchange { return e.Server.Requests() }

// Count tells how many requests of a kind there were, as [sim.Fault] names them in Op: "authorize",
// "token", "read", "search", "kickoff" and so on.
func (e *Epic) Count(op string) int {
	n := 0
	for _, x := range e.Requests() {
		if x.Op == op {
			n++
		}
	}
	return n
}
