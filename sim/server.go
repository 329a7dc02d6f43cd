package sim

import (
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Server is a simulated Epic. It is an [http.Handler] for the root of an origin of its own;
// its FHIR base is {origin}/interconnect-fhir-oauth/api/FHIR/R4. The zero value works: 200
// generated patients and no registered app. Set the fields before first use; what may be
// changed later has a method.
type Server struct {
	// Seed makes the generated population. The same seed gives the same patients.
	Seed uint64

	// Patients is how many patients are generated. Zero means 200. Ignored with Data.
	Patients int

	// Today is the day on which the generated population ends. Zero means
	// population.DefaultNow, so that the charts are the same for ever.
	Today time.Time

	// Data is a folder of NDJSON files (*.ndjson, *.ndjson.gz) to serve in place of a
	// generated population. Every resource is served as the bytes of its line.
	Data string

	// Knobs are the points on which Epic's behaviour is uncertain or varies.
	Knobs Knobs

	// Apps are the registered apps. More can be added with Register.
	Apps []App

	// Users are those who can sign in. Nil means, with generated data, a user of MyChart for each
	// named patient, a proxy, and two practitioners; see UserList.
	Users []User

	// Merged maps the id of a patient that was merged away to the id that survives.
	Merged map[string]string

	// Origin is the scheme and host under which the server is reached, such as
	// "https://sim.example". Empty means that of each request.
	Origin string

	// Clock tells the time. Nil means time.Now.
	Clock func() time.Time

	// Rand is the source of tokens and identifiers. Nil means crypto/rand.
	Rand io.Reader

	// HTTP fetches registered key sets. Nil means a client with a timeout of 5 seconds.
	// Redirects are never followed, whatever it says.
	HTTP *http.Client

	// TempDir holds what of Data must be unpacked, in files without a name. Empty means
	// the system's temporary folder.
	TempDir string

	// Log receives one line for each refusal with its reason. Nil means no log.
	Log *slog.Logger

	// InsecureRemoteControl opens the controls under /_sim/ to other machines. They can
	// read the traffic and break the server; by default only loopback reaches them.
	InsecureRemoteControl bool

	setupOnce sync.Once
	openOnce  sync.Once
	openErr   error

	knobs    Knobs
	clock    clock
	random   *random
	store    *store
	apps     apps
	tokens   tokens
	auth     authState
	keysets  keysets
	replay   replay
	sessions sessions
	jobs     jobs
	faults   faults
	traffic  traffic
	signing  signingKey

	usersOnce      sync.Once
	users          []User
	classesOnce    sync.Once
	classes        map[string]bool // of the encounters
	provenanceOnce sync.Once
	provenance     map[string][]int32 // by "Type/id" of the target
	groupsOnce     sync.Once
	groups         []Group
	today          time.Time // of the generated population
}

// setup makes ready what needs no data.
func (s *Server) setup() {
	s.setupOnce.Do(func() {
		s.knobs = s.Knobs.withDefaults()
		s.clock.base = s.Clock
		if s.clock.base == nil {
			s.clock.base = time.Now
		}
		source := s.Rand
		if source == nil {
			source = rand.Reader
		}
		s.random = &random{source: source}
		s.apps.setup(s.Apps)
		s.faults.seed(s.Seed)
	})
}

// Open generates or reads the population. The first request does it otherwise; Open tells
// the error, and a program can say "ready" after it.
func (s *Server) Open() error {
	s.setup()
	s.openOnce.Do(func() {
		s.openErr = s.load()
	})
	return s.openErr
}

// Close releases what Open unpacked. The server is of no use afterwards.
func (s *Server) Close() error {
	if s.store == nil {
		return nil
	}
	return s.store.close()
}

// BasePath is the path of the FHIR base, without a trailing slash.
func (s *Server) BasePath() string {
	s.setup()
	return s.knobs.InstancePath + "/api/FHIR/R4"
}

// TokenPath is the path of the token endpoint.
func (s *Server) TokenPath() string {
	s.setup()
	return s.knobs.InstancePath + "/oauth2/token"
}

// origin is the scheme and host under which this request came.
func (s *Server) origin(r *http.Request) string {
	if s.Origin != "" {
		return s.Origin
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func (s *Server) base(r *http.Request) string { return s.origin(r) + s.BasePath() }

// ServeHTTP answers as Epic would, after any fault that has been set, and records the
// exchange. Paths under /_sim/ are the simulator's own controls.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.Open(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if isControl(r.URL.Path) {
		s.control(w, r)
		return
	}
	c := s.classify(r)
	rec := s.traffic.begin(w, r, c, s.clock.now())
	defer s.finish(rec)
	if s.faultBefore(rec, r, c) {
		return
	}
	s.dispatch(rec, r, c)
}

func (s *Server) finish(rec *recorder) {
	rec.flushHeader()
	x := s.traffic.note(rec, 0)
	if s.Log != nil && x.Reason != "" {
		s.Log.Info("sim: refused", "method", x.Method, "path", x.Path, "status", x.Status, "reason", x.Reason)
	}
}

var errNoPatients = errors.New("sim: the population holds no patient")
