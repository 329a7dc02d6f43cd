package fhir

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/andironhq/andiron/r4"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// goodOrigin has a path on purpose: a client that forgets the base's path shows.
const (
	goodOrigin = "https://good.example.com"
	goodBase   = goodOrigin + "/x/api/FHIR/R4"
	token      = "canary-token-7f3a"
)

// world is one FHIR server that a handler plays, and around it everything else: each
// connection to any other name or port ends at a listener that records what it is told.
type world struct {
	t     *testing.T
	clock *clock
	c     *Client

	mu      sync.Mutex
	good    []*http.Request // what the server was asked
	evil    []*http.Request // what anybody else was asked
	notices []*r4.OperationOutcome
	traces  []Exchange
	log     strings.Builder

	evilStatus int // 0: 200
}

func newWorld(t *testing.T, h http.HandlerFunc) *world {
	t.Helper()
	w := &world{t: t, clock: newClock()}
	good := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.good = append(w.good, r)
		w.mu.Unlock()
		h(rw, r)
	}))
	evilHandler := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.evil = append(w.evil, r)
		w.mu.Unlock()
		if loc := r.URL.Query().Get("back"); loc != "" {
			http.Redirect(rw, r, loc, http.StatusFound)
			return
		}
		rw.Header().Set("Content-Type", "application/fhir+json")
		if w.evilStatus != 0 {
			rw.Header().Set("Retry-After", "60")
			rw.WriteHeader(w.evilStatus)
		}
		_, _ = io.WriteString(rw, `{"resourceType":"Patient","id":"evil"}`)
	})
	evilTLS := httptest.NewTLSServer(evilHandler)
	evil := httptest.NewServer(evilHandler)
	for _, s := range []*httptest.Server{good, evilTLS, evil} {
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	}
	var d net.Dialer
	transport := &http.Transport{
		MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.DialContext(ctx, network, evil.Listener.Addr().String())
		},
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			to := evilTLS.Listener.Addr().String()
			if asciiLower(addr) == "good.example.com:443" {
				to = good.Listener.Addr().String()
			}
			conn, err := d.DialContext(ctx, network, to)
			if err != nil {
				return nil, err
			}
			return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}), nil // whatever the name, the listener shall hear it
		},
	}
	w.c = &Client{
		Base:   goodBase,
		Auth:   staticToken(token),
		HTTP:   &http.Client{Transport: transport},
		Header: http.Header{"Epic-Client-Id": {"canary-client-id"}},
		Limits: Limits{PerMinute: -1},
		Now:    w.clock.Now, Wait: w.clock.Wait, Rand: func() float64 { return 0.5 },
		Notice: func(o *r4.OperationOutcome) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.notices = append(w.notices, o)
		},
		Trace: func(x Exchange) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.traces = append(w.traces, x)
		},
		Log: slog.New(slog.NewTextHandler(&lockedWriter{w: &w.log, mu: &w.mu}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		good.Close()
		evilTLS.Close()
		evil.Close()
	})
	return w
}

type lockedWriter struct {
	w  io.Writer
	mu *sync.Mutex
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (w *world) asked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.good)
}

func (w *world) noticed() []*r4.OperationOutcome {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*r4.OperationOutcome(nil), w.notices...)
}

// noEvil fails if anybody but the server was asked anything.
func (w *world) noEvil() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.evil {
		w.t.Errorf("another origin (%s) was asked for %s, Authorization %q", r.Host, r.URL, r.Header.Get("Authorization"))
	}
}

// noSecrets fails if anybody but the server was told something that identifies us.
func (w *world) noSecrets() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.evil {
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, " "), "canary") {
				w.t.Errorf("another origin (%s) received the header %s", r.Host, name)
			}
		}
	}
}

type staticToken string

func (s staticToken) Token(context.Context, string, string) (string, error) { return string(s), nil }

// clock stands still until somebody waits.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Wait(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d > 0 {
		c.now = c.now.Add(d)
		c.waits = append(c.waits, d)
	}
	return nil
}

func (c *clock) waited() (sum time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.waits {
		sum += d
	}
	return sum
}

func reply(rw http.ResponseWriter, status int, body string) {
	rw.Header().Set("Content-Type", "application/fhir+json;charset=utf-8")
	rw.WriteHeader(status)
	_, _ = io.WriteString(rw, body)
}

// patients is a page of a searchset.
func patients(total int, next string, ids ...string) string {
	var b strings.Builder
	b.WriteString(`{"resourceType":"Bundle","type":"searchset"`)
	if total >= 0 {
		fmt.Fprintf(&b, `,"total":%d`, total)
	}
	if next != "" {
		fmt.Fprintf(&b, `,"link":[{"relation":"next","url":%q}]`, next)
	}
	b.WriteString(`,"entry":[`)
	for i, id := range ids {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `{"fullUrl":"%s/Patient/%s","resource":{"resourceType":"Patient","id":%q},"search":{"mode":"match"}}`, goodBase, id, id)
	}
	b.WriteString("]}")
	return b.String()
}

func ids(t *testing.T, list []*r4.Patient) string {
	t.Helper()
	var out []string
	for _, p := range list {
		out = append(out, p.ID)
	}
	return strings.Join(out, " ")
}

// asError is the *Error in err, or the end of the test.
func asError(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := err.(*Error) //nolint:errorlint // the outermost error must be ours
	if !ok {
		t.Fatalf("got %v (%T), want an *Error", err, err)
	}
	return e
}

// recorder is an answer without a network, for tests whose clock is a bubble's.
type recorder struct {
	status int
	header http.Header
	body   string
}

func newRecorder() *recorder {
	return &recorder{status: 200, header: http.Header{"Content-Type": {"application/fhir+json"}}}
}

func (r *recorder) response(req *http.Request) *http.Response {
	return &http.Response{StatusCode: r.status, Header: r.header, Body: io.NopCloser(strings.NewReader(r.body)), ContentLength: int64(len(r.body)), Request: req}
}
