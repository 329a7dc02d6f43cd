package bulk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andironhq/andiron/fhir"
)

// stub is a bulk data server over real HTTP that does what a test tells it to. It shares
// nothing with the package under test.
type stub struct {
	*httptest.Server
	evil *httptest.Server // another origin; it serves the same files and remembers what it was sent

	mu      sync.Mutex
	log     []seen
	leaks   []string // credentials that reached the other origin
	names   []string // files in the manifest's order
	files   map[string]string
	polls   int                      // 202 answers before the manifest
	epic    bool                     // what /metadata says
	needs   string                   // requiresAccessToken, as JSON; "" leaves it out
	counts  map[string]string        // count, as JSON, by file
	errors  []string                 // names in the error list
	deleted []string                 // names in the deleted list
	valid   string                   // the token that is accepted; "" takes any
	urlOf   func(name string) string // where the manifest says that a file is
	kickoff func(http.ResponseWriter, *http.Request, int) bool
	status  func(http.ResponseWriter, *http.Request, int) bool
	file    func(http.ResponseWriter, *http.Request, string, int) bool
	remove  func(http.ResponseWriter, *http.Request, int) bool
	tamper  func(map[string]any) // a last hand on the manifest
	n       map[string]int
}

type seen struct{ method, path, query, auth, accept, prefer string }

func lines(typ string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"resourceType":%q,"id":"%s-%d","n":1.%d0}`+"\n", typ, strings.ToLower(typ), i, i)
	}
	return b.String()
}

func newStub(t testing.TB) *stub {
	t.Helper()
	s := &stub{
		names: []string{"p1", "c1", "o1"},
		files: map[string]string{"p1": lines("Patient", 3), "c1": lines("Condition", 5), "o1": lines("Observation", 400)},
		needs: "true", counts: map[string]string{}, n: map[string]int{},
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	s.evil = httptest.NewServer(http.HandlerFunc(s.foreign))
	t.Cleanup(s.Close)
	t.Cleanup(s.evil.Close)
	return s
}

func (s *stub) base() string { return s.URL + "/fhir/R4" }

func (s *stub) foreign(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	for name, values := range r.Header {
		for _, v := range values {
			if strings.Contains(v, "secret-") {
				s.leaks = append(s.leaks, name+" at "+r.URL.Path)
			}
		}
	}
	if strings.Contains(r.URL.String(), "secret-") {
		s.leaks = append(s.leaks, "URL "+r.URL.Path)
	}
	body, ok := s.files[strings.TrimPrefix(r.URL.Path, "/blob/")]
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	chunked(w, body)
}

// chunked answers without a length.
func chunked(w http.ResponseWriter, body string) {
	w.WriteHeader(http.StatusOK)
	http.NewResponseController(w).Flush()
	w.Write([]byte(body))
}

func (s *stub) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.log = append(s.log, seen{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Authorization"), r.Header.Get("Accept"), r.Header.Get("Prefer")})
	key := r.Method + " " + r.URL.Path
	s.n[key]++
	n := s.n[key]
	bad := s.valid != "" && r.URL.Path != "/fhir/R4/metadata" && r.Header.Get("Authorization") != "Bearer "+s.valid &&
		(s.needs != "false" || !strings.HasPrefix(r.URL.Path, "/files/"))
	s.mu.Unlock()
	if bad {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/files/")
	switch {
	case r.URL.Path == "/fhir/R4/metadata":
		w.Header().Set("Content-Type", "application/fhir+json")
		software := "Stub"
		if s.epic {
			software = "Epic"
		}
		fmt.Fprintf(w, `{"resourceType":"CapabilityStatement","status":"active","kind":"instance","fhirVersion":"4.0.1","software":{"name":%q,"version":"1"}}`, software)
	case strings.HasSuffix(r.URL.Path, "/$export"):
		if s.kickoff != nil && s.kickoff(w, r, n) {
			return
		}
		w.Header().Set("Content-Location", s.URL+"/jobs/J1?cap=secret-cap")
		w.WriteHeader(http.StatusAccepted)
	case strings.HasPrefix(r.URL.Path, "/jobs/") && r.Method == http.MethodDelete:
		if s.remove != nil && s.remove(w, r, n) {
			return
		}
		w.WriteHeader(http.StatusAccepted)
	case strings.HasPrefix(r.URL.Path, "/jobs/"):
		if s.status != nil && s.status(w, r, n) {
			return
		}
		if n <= s.polls {
			w.Header().Set("X-Progress", fmt.Sprintf("Searched %d of 2 patients", n-1))
			w.WriteHeader(http.StatusAccepted)
			return
		}
		s.manifest(w, r)
	case strings.HasPrefix(r.URL.Path, "/files/"):
		if s.file != nil && s.file(w, r, name, n) {
			return
		}
		s.mu.Lock()
		body, ok := s.files[name]
		s.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		chunked(w, body)
	default:
		http.NotFound(w, r)
	}
}

func (s *stub) manifest(w http.ResponseWriter, r *http.Request) {
	entry := func(name, typ string) map[string]any {
		u := s.URL + "/files/" + name
		if s.urlOf != nil {
			u = s.urlOf(name)
		}
		e := map[string]any{"type": typ, "url": u}
		if c, ok := s.counts[name]; ok {
			e["count"] = json.RawMessage(c)
		}
		return e
	}
	m := map[string]any{"transactionTime": "2026-05-01T08:00:00Z", "request": s.URL + r.URL.Path, "x-unknown": []int{1}}
	output := []any{}
	for _, name := range s.names {
		output = append(output, entry(name, typeOf(s.files[name])))
	}
	m["output"] = output
	var list []any
	for _, name := range s.errors {
		list = append(list, entry(name, "OperationOutcome"))
	}
	m["error"] = append([]any{}, list...)
	if s.deleted != nil {
		var list []any
		for _, name := range s.deleted {
			list = append(list, entry(name, "Bundle"))
		}
		m["deleted"] = list
	}
	if s.needs != "" {
		m["requiresAccessToken"] = json.RawMessage(s.needs)
	}
	if s.tamper != nil {
		s.tamper(m)
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(m); err != nil {
		panic(err)
	}
}

func typeOf(body string) string {
	_, rest, _ := strings.Cut(body, `"resourceType":"`)
	typ, _, _ := strings.Cut(rest, `"`)
	return typ
}

// asked counts the requests of a method whose path begins so.
func (s *stub) asked(method, prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int
	for _, q := range s.log {
		if q.method == method && strings.HasPrefix(q.path, prefix) {
			n++
		}
	}
	return n
}

func (s *stub) kickoffs() int { return s.asked("GET", "/fhir/R4/Group/") }

func (s *stub) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.log)
}

// clock is a time that moves when somebody waits, and remembers how long.
type clock struct {
	mu    sync.Mutex
	t     time.Time
	waits []time.Duration
	stop  func(n int) bool // the n-th wait ends as if interrupted
}

func newClock() *clock { return &clock{t: time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func (c *clock) Wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
	c.waits = append(c.waits, d)
	if c.stop != nil && c.stop(len(c.waits)) {
		return context.Canceled
	}
	return ctx.Err()
}

// gate is the client's own waiting: it moves the time and is not counted.
func (c *clock) gate(ctx context.Context, d time.Duration) error {
	c.Advance(d)
	return ctx.Err()
}

func (c *clock) took() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.waits)
}

// tokens is a token source that counts, and fails when it is told to.
type tokens struct {
	mu    sync.Mutex
	n     int
	fail  func(n int) error
	onNew func(token string)
	asks  int
}

func (k *tokens) Token(_ context.Context, _, refused string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.n == 0 || refused == k.current() {
		k.asks++
		if k.fail != nil {
			if err := k.fail(k.asks); err != nil {
				return "", err
			}
		}
		k.n++
		if k.onNew != nil {
			k.onNew(k.current())
		}
	}
	return k.current(), nil
}

func (k *tokens) current() string { return "secret-" + strconv.Itoa(k.n) }

// oauthError looks like the sign-in errors of package smart.
type oauthError struct{}

func (oauthError) Error() string                { return "smart: token: invalid_client (400)" }
func (oauthError) OAuthError() (string, string) { return "invalid_client", "" }

// bench is a job, its server, its clock and everything it said.
type bench struct {
	*stub
	*Job
	clock  *clock
	tokens *tokens
	mu     sync.Mutex
	events []Event
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{stub: newStub(t), clock: newClock(), tokens: &tokens{}}
	b.Job = b.job(filepath.Join(fastDir(t), "out"))
	return b
}

func (b *bench) job(dir string) *Job {
	return &Job{
		Client: &fhir.Client{
			Base: b.base(), Auth: b.tokens, Now: b.clock.Now, Wait: b.clock.gate,
			Limits: fhir.Limits{PerMinute: -1},
		},
		Dir: dir, Group: "g1", Now: b.clock.Now, Wait: b.clock.Wait,
		Progress: func(e Event) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.events = append(b.events, e)
		},
	}
}

// again is the same job in a process of its own.
func (b *bench) again() *Job {
	j := b.job(b.Dir)
	j.Types, j.NoWait = b.Types, b.NoWait
	return j
}

func (b *bench) said(k Kind) []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Event
	for _, e := range b.events {
		if e.Kind == k {
			out = append(out, e)
		}
	}
	return out
}

func read(t testing.TB, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatalf("%s should be in the folder: %v", name, err)
	}
	return string(data)
}

// data are the names in the folder that a loader could take for data.
func data(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		switch {
		case d.IsDir() || rel == ".lock" || strings.HasPrefix(rel, ledgerName) || rel == logName || rel == manifestName:
		default:
			out = append(out, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// hashes are the data files and their checksums.
func hashes(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range data(t, dir) {
		sum := sha256.Sum256([]byte(read(t, dir, name)))
		out[name] = hex.EncodeToString(sum[:])
	}
	return out
}

// complete demands a run that ended well, with the standard three files as the server has them.
func (b *bench) complete(t testing.TB, res *Result, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("the run should be complete: %v", err)
	}
	if !res.Complete || !b.whole(t) {
		t.Fatalf("the run should say complete: %+v", res)
	}
	for i, name := range []string{"001.Patient.ndjson", "002.Condition.ndjson", "003.Observation.ndjson"} {
		if got, want := read(t, b.Dir, name), b.files[b.names[i]]; got != want {
			t.Errorf("%s has %d bytes and differs from the server's %d", name, len(got), len(want))
		}
	}
	if got := data(t, b.Dir); len(got) != 3 {
		t.Errorf("the folder holds %v, want three files", got)
	}
	if n := b.asked("DELETE", "/jobs/"); n != 1 {
		t.Errorf("the server's job was deleted %d times, want once", n)
	}
	b.noLeak(t)
}

func (b *bench) whole(t testing.TB) bool {
	t.Helper()
	m, err := ReadManifest(b.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return m.Complete
}

// incomplete demands ErrIncomplete, a manifest that says so, and a server that keeps the job.
func (b *bench) incomplete(t testing.TB, res *Result, err error) {
	t.Helper()
	if !errors.Is(err, ErrIncomplete) || res == nil {
		t.Fatalf("the run should end incomplete, got %v", err)
	}
	if res.Complete || b.whole(t) {
		t.Error("result and manifest.json should not say complete")
	}
	if n := b.asked("DELETE", "/jobs/"); n != 0 {
		t.Errorf("the server's job was deleted although a file is missing")
	}
	for _, name := range data(t, b.Dir) {
		if strings.HasSuffix(name, ".part") {
			t.Errorf("%s was left behind", name)
		}
	}
	b.noLeak(t)
}

// noLeak demands that no credential reached another origin, and that none stands in the log,
// in the manifest or in an event.
func (b *bench) noLeak(t testing.TB) {
	t.Helper()
	b.stub.mu.Lock()
	for _, l := range b.leaks {
		t.Errorf("a token reached another origin: %s", l)
	}
	b.stub.mu.Unlock()
	for _, name := range []string{logName, manifestName} {
		if text, err := os.ReadFile(filepath.Join(b.Dir, name)); err == nil && strings.Contains(string(text), "secret-") {
			t.Errorf("%s holds a token or a capability URL's query", name)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if text := fmt.Sprintf("%+v %v", e, e.Err); strings.Contains(text, "secret-") {
			t.Errorf("an event holds a token or a capability URL's query: %s", text)
		}
	}
}

// fastDir is a folder in memory where there is one: hundreds of runs in a row would otherwise
// wait for the disk most of the time. What is synced and in which order has a test of its own.
func fastDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "bulk") //nolint:usetesting // TempDir is on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
