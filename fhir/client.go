package fhir

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/andironhq/andiron/r4"
)

// Client asks one FHIR R4 server. Only Base must be set; the zero values of all other
// fields are the careful choice. A Client is safe for use by several goroutines, which then
// share its limits. Its fields must not change after the first request, and it must not be
// copied.
type Client struct {
	// Base is the service base URL, such as
	// https://epic.example/interconnect-fhir-oauth/api/FHIR/R4. It must be https, except on
	// a loopback address, and may hold neither user information nor a query nor a fragment.
	// Its origin is the only one that ever sees a token.
	Base string

	// Auth provides the access token. Nil sends none.
	Auth TokenSource

	// Dialect knows the vendor's ways; see package epic. Nil is plain FHIR.
	Dialect Dialect

	// HTTP carries the requests. Only its Transport is used: redirects are followed by hand,
	// cookies are not kept, and the time limits are those of Limits. Nil means a transport
	// of this client's own.
	HTTP *http.Client

	// Header is added to every request to Base's origin, for instance Epic-Client-ID. It
	// never goes to another origin.
	Header http.Header

	// Limits is the request budget, retries, timeouts and sizes. Zero is cautious.
	Limits Limits

	// PostSearch sends each search as POST {type}/_search with its parameters in the body, so
	// that neither URLs nor the logs between here and the server hold what was searched for.
	// Next links are followed as the server writes them.
	PostSearch bool

	// InsecureHTTP permits plain http to hosts other than loopback. Tokens and patient data
	// then cross the network for all to read.
	InsecureHTTP bool

	// Notice receives what a server says beside its results, such as "results of this type
	// are left out", and what this client noticed itself. It may be called from several
	// goroutines. The text is for people who may see the data: it can name what was asked
	// for. Nil drops notices.
	Notice func(*r4.OperationOutcome)

	// Log receives one debug record per exchange, without ids, queries or tokens. Nil means
	// no log.
	Log *slog.Logger

	// Trace receives every exchange when its headers have arrived or it failed. It may be
	// called from several goroutines. Nil means none.
	Trace func(Exchange)

	// Now is the clock for pauses, budgets and caches. Nil means time.Now.
	Now func() time.Time

	// Wait pauses before a repetition or while the budget is spent. It returns the context's
	// error when that ends first. Nil means a timer.
	Wait func(ctx context.Context, d time.Duration) error

	// Rand is a number in [0,1) for jitter. Nil means math/rand/v2.
	Rand func() float64

	mu    sync.Mutex
	inner *state
}

// String names the server and nothing else: a Client that is printed shows no header.
func (c *Client) String() string {
	u, err := url.Parse(c.Base)
	if err != nil || u.Host == "" {
		return "fhir.Client"
	}
	return "fhir.Client(" + printableOrigin(originOf(u)) + ")"
}

// TokenSource provides access tokens. The types of package smart are token sources.
type TokenSource interface {
	// Token returns the access token for the FHIR server at base, and must refuse any base
	// that it was not made for. refused is "" or a token that the server has just answered
	// with 401: if it is still the current one, a new one is fetched.
	Token(ctx context.Context, base, refused string) (string, error)
}

// Exchange is one HTTP exchange, as Trace sees it: no ids, no query, no headers.
type Exchange struct {
	// Op is the operation that the exchange belongs to, such as "read".
	Op string
	// Method is the HTTP method.
	Method string
	// Origin is the scheme, host and port asked.
	Origin string
	// Path is the path below Base with each id replaced by "{id}".
	Path string
	// Try is 1 for the first time this request was sent, and counts repetitions.
	Try int
	// Start is when the request left, by Client.Now.
	Start time.Time
	// Duration is the time until the headers had arrived.
	Duration time.Duration
	// Status is the HTTP status; 0 if there was no answer.
	Status int
	// Err is why there was no answer.
	Err error
}

// state is what a Client works with, made at its first use.
type state struct {
	*Client
	base   *url.URL
	origin origin
	limits Limits
	gate   *gate

	transport http.RoundTripper

	absurd       atomic.Bool // a senseless Retry-After is mentioned once
	capabilities capabilityCache
}

// ready checks the configuration once. Its error has the operation "setup".
func (c *Client) ready() (*state, error) {
	s, err := c.setup()
	if err != nil {
		return nil, &Error{Op: "setup", Err: err}
	}
	return s, nil
}

func (c *Client) setup() (*state, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner != nil {
		return c.inner, nil
	}
	s := &state{Client: c, capabilities: capabilityCache{lock: make(chan struct{}, 1)}}
	var err error
	if s.base, err = parseBase(c.Base, c.InsecureHTTP); err != nil {
		return nil, err
	}
	if s.limits, err = c.Limits.withDefaults(); err != nil {
		return nil, err
	}
	s.origin = originOf(s.base)
	s.gate = newGate(s.limits, s.now, s.wait, s.rand)
	if c.HTTP != nil {
		s.transport = c.HTTP.Transport
	}
	if s.transport == nil {
		s.transport = ownTransport()
	}
	c.inner = s
	return s, nil
}

// ownTransport is the standard one with room for the connections that Limits allows.
func ownTransport() http.RoundTripper {
	std, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport // replaced by the program: its choice
	}
	t := std.Clone()
	t.MaxIdleConnsPerHost = 32
	t.MaxResponseHeaderBytes = 1 << 20
	return t
}

func (s *state) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *state) wait(ctx context.Context, d time.Duration) error {
	if s.Wait != nil {
		return s.Wait(ctx, d)
	}
	return sleep(ctx, d)
}

func (s *state) rand() float64 {
	if s.Rand != nil {
		return s.Rand()
	}
	return rand.Float64() // jitter, not a secret
}

// notify passes an OperationOutcome to the caller's Notice.
func (c *Client) notify(o *r4.OperationOutcome) {
	if c.Notice != nil && o != nil {
		c.Notice(o)
	}
}

// remark is a notice of this client's own.
func (c *Client) remark(severity, code, text string) {
	c.notify(&r4.OperationOutcome{Issue: []r4.OperationOutcomeIssue{{
		Severity:    severity,
		Code:        code,
		Details:     &r4.CodeableConcept{Text: text},
		Diagnostics: "andiron",
	}}})
}
