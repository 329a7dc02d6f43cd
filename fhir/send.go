package fhir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/andironhq/andiron/r4"
)

// answer is a good response. For buffered requests data is its whole body.
type answer struct {
	*http.Response
	data []byte
}

// call is one request on its way through tries, redirects and renewals.
type call struct {
	*state
	req      Request
	buffered bool
	tries    int
	token    string // what the last exchange carried
	refused  string // what the server did not accept
	sent     bool   // this try may have reached the server
	unbound  func() // lifts the limit on the total time of the last exchange
}

// send repeats a request until it is answered or it is time to stop.
func (s *state) send(ctx context.Context, req Request, buffered bool) (*answer, error) {
	c := &call{state: s, req: req.withDefaults(), buffered: buffered}
	target, err := resolve(s.base, nil, req.URL)
	if err != nil {
		return nil, &Error{Op: c.req.Op, Method: c.req.Method, Err: err}
	}
	for {
		c.tries++
		c.sent = false
		a, e := c.try(ctx, target)
		if e == nil {
			s.gate.earn()
			return a, nil
		}
		if c.renew(e) {
			c.tries--
			continue
		}
		e.Tries = c.tries
		wait, again := c.again(ctx, e)
		if !again {
			c.settle(e)
			return nil, e
		}
		if err := s.gate.wait(ctx, wait); err != nil {
			c.settle(e)
			e.Err = network(err)
			return nil, e
		}
	}
}

// renew reports whether a refused token deserves one more attempt with a new one. The
// server did nothing with the request, so any method may be repeated.
func (c *call) renew(e *Error) bool {
	if e.Status != http.StatusUnauthorized || c.token == "" || c.refused != "" {
		return false
	}
	c.refused = c.token
	return true
}

// again decides on a repetition and on the wait before it. It tells the other users of the
// client when the server wants a pause.
func (c *call) again(ctx context.Context, e *Error) (time.Duration, bool) {
	asked := e.RetryAfter > 0
	wait := c.gate.backoff(c.tries)
	busy := e.Status == http.StatusTooManyRequests
	if asked {
		wait = c.clamp(e.RetryAfter)
	}
	if !e.foreign && (busy || asked && e.Status == http.StatusServiceUnavailable) {
		c.gate.pause(max(wait, minPause))
	}
	// A 429 was turned away at the door, and what was never sent has no effect: both may be
	// repeated whatever the method.
	harmless := c.req.reads() || c.req.Idempotent || busy || !e.Sent
	switch {
	case c.req.NoRetry, !e.transient, !harmless, c.tries >= c.limits.MaxTries, ctx.Err() != nil:
		return 0, false
	case !asked && !busy && !c.gate.spend():
		return 0, false
	}
	return wait, true
}

// settle marks the write of which nobody knows whether it was carried out.
func (c *call) settle(e *Error) {
	starts := !c.req.reads() || c.req.NoRetry && !c.req.Idempotent
	if starts && e.Sent && (e.Status == 0 || e.transient && e.Status >= 400 && e.Status != http.StatusTooManyRequests) {
		if e.Err == nil {
			e.Err = ErrOutcomeUnknown
		} else {
			e.Err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, e.Err)
		}
	}
}

// minPause keeps a server's "Retry-After: 0" from becoming a busy loop.
const minPause = 100 * time.Millisecond

// clamp bounds a pause that the server asked for, and says so once when the server asked
// for more.
func (s *state) clamp(d time.Duration) time.Duration {
	d = max(d, minPause)
	if s.limits.MaxWait < 0 || d <= s.limits.MaxWait {
		return d
	}
	if s.absurd.CompareAndSwap(false, true) {
		s.remark("information", "throttled", fmt.Sprintf("the server asked for a pause of %s; waiting %s, and so for each longer one",
			d.Round(time.Second), s.limits.MaxWait))
	}
	return s.limits.MaxWait
}

const maxRedirects = 10

// try sends the request once and follows its redirects by hand.
func (c *call) try(ctx context.Context, target *url.URL) (*answer, *Error) {
	at := hop{url: target, method: c.req.Method, body: c.req.Body, scheme: c.base.Scheme}
	seen := map[string]bool{}
	for {
		if err := c.admit(&at); err != nil {
			return nil, c.failed(at, err)
		}
		key := at.method + " " + at.url.String()
		if seen[key] || len(seen) > maxRedirects {
			return nil, c.failed(at, fmt.Errorf("%w of redirects", ErrLoop))
		}
		seen[key] = true
		resp, err := c.exchange(ctx, at)
		if err != nil {
			e := c.failed(at, err)
			e.transient = repeatable(ctx, err)
			return nil, e
		}
		next, ok := at.redirect(resp)
		if !ok {
			return c.finish(ctx, at, resp)
		}
		location := resp.Header.Get("Location")
		drop(resp)
		if next.url, err = resolve(c.base, at.url, location); err != nil {
			e := c.failed(at, fmt.Errorf("redirect: %w", err))
			e.Status = resp.StatusCode
			return nil, e
		}
		at = next
	}
}

// hop is one station on the way of redirects.
type hop struct {
	url     *url.URL
	method  string
	body    []byte
	scheme  string // of the station before: https never becomes http
	foreign bool   // left Base's origin; it stays so, even if a redirect leads back
}

// redirect is the station that resp leads to. Only what keeps its meaning is followed: GET
// and HEAD always, other methods when the server says "same method" (307, 308) or "read
// there" (303).
func (h hop) redirect(resp *http.Response) (hop, bool) {
	reads := h.method == http.MethodGet || h.method == http.MethodHead
	next := hop{method: h.method, body: h.body, scheme: h.url.Scheme, foreign: h.foreign}
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound:
		if !reads {
			return hop{}, false
		}
	case http.StatusSeeOther:
		if !reads {
			next.method, next.body = http.MethodGet, nil
		}
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return hop{}, false
	}
	return next, resp.Header.Get("Location") != ""
}

// admit is the origin check. It runs before a token is even asked for.
func (c *call) admit(h *hop) error {
	o := originOf(h.url)
	if o != c.origin {
		h.foreign = true
		if !c.req.ForeignOK || !c.req.reads() {
			return fmt.Errorf("%w: %s", ErrForeignOrigin, printableOrigin(o))
		}
	}
	if h.scheme == "https" && o.scheme != "https" {
		return ErrInsecure
	}
	return secure(o, c.InsecureHTTP)
}

// printableOrigin keeps a hostile host name from writing into a log.
func printableOrigin(o origin) string {
	s := o.String()
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
}

// finish turns a response that is no redirect into an answer or an error.
func (c *call) finish(ctx context.Context, at hop, resp *http.Response) (*answer, *Error) {
	conditional := c.req.Header.Get("If-None-Match") != "" || c.req.Header.Get("If-Modified-Since") != ""
	good := resp.StatusCode/100 == 2 || resp.StatusCode == http.StatusNotModified && conditional
	if !good {
		defer drop(resp)
		return nil, c.refusal(at, resp)
	}
	if c.buffered || c.req.Header.Get("Accept-Encoding") == "" {
		if err := unpack(resp); err != nil {
			drop(resp)
			e := c.failed(at, fmt.Errorf("%w: %w", ErrNotFHIR, err))
			e.Status = resp.StatusCode
			return nil, e
		}
	}
	if t := rateLimited(resp.Header, c.gate.now()); t > 0 && !at.foreign {
		c.gate.pause(c.clamp(t)) // nothing remains of the budget: do not wait for the 429
	}
	if !c.buffered {
		c.unbound() // only now: redirects and refusals are read to their end here
		return &answer{Response: resp}, nil
	}
	defer resp.Body.Close()
	data, err := readAll(resp.Body, resp.ContentLength, c.req.expect, c.limits.MaxBody)
	if err == nil && endsEarly(resp.Header, data) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		e := c.failed(at, network(stopped(ctx, err)))
		e.Status = resp.StatusCode
		e.transient = repeatable(ctx, err)
		return nil, e
	}
	return &answer{Response: resp, data: data}, nil
}

// maxRefusal bounds the body of an error that is looked at.
const maxRefusal = 1 << 20

// refusal is the error for a status that is not good. Its body counts only when it is an
// OperationOutcome in JSON; Epic's servers also send nothing at all, `""` and HTML.
func (c *call) refusal(at hop, resp *http.Response) *Error {
	e := c.failed(at, nil)
	e.Status = resp.StatusCode
	e.Bearer = parseChallenge(resp.Header)
	e.Date = date(resp.Header)
	e.RetryAfter = RetryAfter(resp.Header, c.gate.now())
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e.transient = true
	}
	if at.foreign {
		return e
	}
	if unpack(resp) != nil {
		return e
	}
	data, err := readAll(resp.Body, resp.ContentLength, 0, maxRefusal)
	if err == nil && isJSON(resp.Header, data) {
		if r, err := r4.Unmarshal(data); err == nil {
			e.outcome, _ = r.(*r4.OperationOutcome)
		}
	}
	return e
}

// failed is an error at one station.
func (c *call) failed(at hop, err error) *Error {
	e := &Error{
		Op: c.req.Op, Method: at.method, Err: err, Sent: c.sent, Tries: c.tries,
		path: template(c.base, at.url, "…"), foreign: at.foreign,
	}
	if o := originOf(at.url); o == c.origin {
		e.URL = o.String() + at.url.EscapedPath()
	} else {
		e.URL = printableOrigin(o)
	}
	return e
}

// stopped makes sure that an exchange which ended with its context says so: net/http returns
// the context's cause, which can be any error.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return errors.Join(ctx.Err(), err)
}

// repeatable reports whether a failure below HTTP may be gone the next time.
func repeatable(ctx context.Context, err error) bool {
	if ctx.Err() != nil || tlsFailure(err) != "" {
		return false
	}
	for _, final := range []error{errToken, errHeader, ErrTooLarge, ErrNotFHIR, ErrInsecure, ErrForeignOrigin, ErrLoop} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}
