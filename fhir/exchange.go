package fhir

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// errToken marks what a TokenSource returned: repeating the request would not mend it.
var errToken = errors.New("no token")

// errHeader is a header that cannot be sent. net/http would refuse it each time anew.
var errHeader = errors.New("header value with a line break")

// tokenError is the error of a TokenSource, marked with errToken.
type tokenError struct{ error }

// Unwrap is the TokenSource's own error.
func (e tokenError) Unwrap() error { return e.error }

// Is makes errors.Is(err, errToken) true.
func (e tokenError) Is(target error) bool { return target == errToken }

// exchange is one HTTP request and the headers of its answer. The origin has been checked.
func (c *call) exchange(ctx context.Context, at hop) (*http.Response, error) {
	if err := c.gate.enter(ctx); err != nil {
		return nil, network(stopped(ctx, err))
	}
	header, err := c.header(ctx, at) // not before: a token ages while one waits
	if err != nil {
		c.gate.leave()
		return nil, err
	}
	var reached atomic.Bool
	if _, std := c.transport.(*http.Transport); !std {
		reached.Store(true) // only the standard transport tells when it has a connection
	}
	parent := ctx
	ctx, cancel := context.WithCancelCause(parent)
	stop := c.deadlines(cancel)
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { reached.Store(true) },
	})
	start, began := c.gate.now(), time.Now()
	resp, err := c.transport.RoundTrip(c.request(traced, at, header))
	if err != nil {
		if context.Cause(ctx) == ErrStalled { //nolint:errorlint // the very value set by deadlines
			err = ErrStalled
		}
		err = network(stopped(parent, err))
	}
	c.sent = c.sent || reached.Load()
	c.observe(ctx, at, resp, err, start, time.Since(began))
	if err != nil {
		stop.headers()
		stop.body()
		cancel(context.Canceled)
		c.gate.leave()
		return nil, err
	}
	stop.headers()
	leave := sync.OnceFunc(c.gate.leave)
	if !c.buffered {
		leave() // who holds many streams open must still get answers
	}
	resp.Body = newBody(ctx, cancel, resp.Body, max(0, c.limits.IdleTimeout), func() { stop.body(); leave() })
	c.unbound = stop.body
	resp.Request = bare(at)
	return resp, nil
}

// stops ends the timers of one exchange.
type stops struct{ headers, body func() }

func (c *call) deadlines(cancel context.CancelCauseFunc) stops {
	after := func(d time.Duration) func() {
		if d <= 0 {
			return func() {}
		}
		t := time.AfterFunc(d, func() { cancel(ErrStalled) })
		return func() { t.Stop() }
	}
	return stops{headers: after(c.limits.HeaderTimeout), body: after(c.limits.TotalTimeout)}
}

// request builds what net/http sends. A request that must not be sent twice gets a body
// that cannot be rewound, since net/http by itself repeats a GET whose connection broke.
func (c *call) request(ctx context.Context, at hop, header http.Header) *http.Request {
	r := (&http.Request{Method: at.method, URL: at.url, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	switch {
	case len(at.body) > 0:
		r.Body = io.NopCloser(bytes.NewReader(at.body))
		r.ContentLength = int64(len(at.body))
	case c.req.NoRetry:
		r.Body = io.NopCloser(bytes.NewReader(nil))
		r.ContentLength = -1
	}
	return r
}

// bare is the request as callers may see it, and log it: without headers.
func bare(at hop) *http.Request {
	return &http.Request{Method: at.method, URL: at.url, Host: at.url.Host, Header: http.Header{}}
}

const mediaType = "application/fhir+json"

// elsewhere lists what of Request.Header may go to another origin. A list of what may not
// would never be complete.
var elsewhere = []string{"Accept", "Accept-Language", "If-Modified-Since", "If-None-Match", "If-Range", "Range"}

// header is where the token is added: after the origin check, for this one exchange.
func (c *call) header(ctx context.Context, at hop) (http.Header, error) {
	h := http.Header{"Accept": {mediaType}, "User-Agent": {"andiron"}}
	if len(at.body) > 0 {
		h.Set("Content-Type", mediaType)
	}
	if at.foreign {
		h.Set("Accept", "*/*")
		for _, name := range elsewhere {
			if v := c.req.Header.Values(name); len(v) > 0 {
				h[name] = v
			}
		}
	} else {
		merge(h, c.Header)
		merge(h, c.req.Header)
	}
	if h.Get("Accept-Encoding") == "" && h.Get("Range") == "" && at.method != http.MethodHead {
		h.Set("Accept-Encoding", "gzip")
	}
	c.token = ""
	switch {
	case at.foreign || c.req.Anonymous:
		h.Del("Authorization")
	case c.Auth != nil:
		token, err := c.Auth.Token(ctx, c.Base, c.refused)
		if err != nil {
			return nil, tokenError{err}
		}
		if c.token = token; token != "" {
			h.Set("Authorization", "Bearer "+token)
		}
	}
	for _, values := range h {
		for _, v := range values {
			if strings.ContainsAny(v, "\r\n\x00") {
				return nil, errHeader
			}
		}
	}
	return h, nil
}

func merge(h, from http.Header) {
	for name, values := range from {
		h[http.CanonicalHeaderKey(name)] = append([]string(nil), values...)
	}
}

// observe tells Trace and Log what happened, without ids, queries or tokens.
func (c *call) observe(ctx context.Context, at hop, resp *http.Response, err error, start time.Time, took time.Duration) {
	if c.Trace == nil && c.Log == nil {
		return
	}
	x := Exchange{
		Op: c.req.Op, Method: at.method, Origin: printableOrigin(originOf(at.url)), Path: template(c.base, at.url, "{id}"),
		Try: c.tries, Start: start, Duration: took, Err: err,
	}
	if resp != nil {
		x.Status = resp.StatusCode
	}
	if c.Trace != nil {
		c.Trace(x)
	}
	if c.Log != nil {
		attrs := []slog.Attr{
			slog.String("op", x.Op), slog.String("method", x.Method), slog.String("origin", x.Origin),
			slog.String("path", x.Path), slog.Int("try", x.Try), slog.Int("status", x.Status),
			slog.Duration("took", x.Duration),
		}
		if err != nil {
			attrs = append(attrs, slog.String("error", err.Error()))
		}
		c.Log.LogAttrs(ctx, slog.LevelDebug, "fhir exchange", attrs...)
	}
}

// drop closes a body that nobody reads, leaving the connection in use if that is cheap.
func drop(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	_ = resp.Body.Close()
}
