package smart

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// caller makes one HTTP request at a time: capped, without redirects, with a time limit.
type caller struct {
	http         *http.Client
	now          func() time.Time
	insecureHTTP bool
	timeout      time.Duration // 0 means requestTimeout
}

// requestTimeout is the limit for one request and its answer.
const requestTimeout = 30 * time.Second

// response is an answer that was read to its end.
type response struct {
	url    *url.URL
	status int
	header http.Header
	body   []byte
	date   time.Time // the server's clock
	at     time.Time // ours, when the answer had come
}

// do sends one request: GET, or what prepare makes of it. It fails for what is below HTTP; every
// status is an answer.
func (c caller) do(ctx context.Context, op string, u *url.URL, limit int64, prepare func(*http.Request)) (*response, error) {
	fail := func(err error) (*response, error) {
		return nil, &Error{Op: op, URL: printable(u), Err: err}
	}
	if err := secure(u, c.insecureHTTP); err != nil {
		return fail(err)
	}
	timeout := c.timeout
	if timeout == 0 {
		timeout = requestTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fail(errors.New("URL cannot be requested"))
	}
	prepare(req)
	req.Header.Del("Accept-Encoding") // the transport's own, which also unpacks
	res, err := c.client().Do(req)
	if err != nil {
		return fail(network(err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return fail(network(err))
	}
	if int64(len(body)) > limit {
		return fail(ErrTooLarge)
	}
	a := &response{url: u, status: res.StatusCode, header: res.Header, body: body, at: c.now()}
	a.date, _ = http.ParseTime(res.Header.Get("Date"))
	return a, nil
}

// fail is the error that an answer means.
func (a *response) fail(op string, err error) *Error {
	return &Error{
		Op: op, URL: printable(a.url), Status: a.status, Date: a.date, Err: err,
		RetryAfter: retryAfter(a.header.Get("Retry-After"), a.at),
	}
}

// client is the caller's own without its redirects, cookies and time limit, or ours.
func (c caller) client() *http.Client {
	hc := &http.Client{Transport: ownTransport()}
	if c.http != nil {
		hc.Transport = c.http.Transport
	}
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return hc
}

// ownTransport is one for all: connections to the same server are shared.
var ownTransport = sync.OnceValue(func() http.RoundTripper {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second}
	if usual, ok := http.DefaultTransport.(*http.Transport); ok { // a program may have replaced it
		t = usual.Clone()
	}
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.ResponseHeaderTimeout = requestTimeout
	t.MaxResponseHeaderBytes = 256 << 10
	return t
})

// retryAfter reads seconds or an HTTP date; 0 for what is neither, is past or is absurd.
func retryAfter(v string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		if n > int64(365*24*time.Hour/time.Second) {
			n = int64(365 * 24 * time.Hour / time.Second)
		}
		d = time.Duration(n) * time.Second
	} else if t, err := http.ParseTime(v); err == nil {
		d = t.Sub(now)
	}
	return max(d, 0)
}

// notJSON says what came in place of JSON.
func notJSON(body []byte) error {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	head := bytes.ToLower(body[:min(len(body), 512)])
	switch {
	case len(body) == 0:
		return &networkError{"an empty answer where JSON belongs", ErrNotJSON}
	case bytes.Contains(head, []byte("<html")) || bytes.Contains(head, []byte("<!doctype html")):
		return &networkError{"HTML where JSON belongs", ErrNotJSON}
	case head[0] == '<':
		return &networkError{"XML where JSON belongs", ErrNotJSON}
	}
	return ErrNotJSON
}
