package fhir

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// body is a response body under watch: it ends with ErrStalled when the server stalls or
// drips, and it frees what the exchange holds when it is closed.
type body struct {
	inner  io.ReadCloser
	cancel context.CancelCauseFunc
	ctx    context.Context
	idle   time.Duration // 0: no limit
	timer  *time.Timer
	spent  time.Duration // waited since progress was last seen
	got    int           // bytes since then
	err    error         // sticky
	closed func()
}

// progress is how many bytes reset the idle time. A server that sends one byte now and then
// to keep the connection open makes none.
const progress = 1 << 10

func newBody(ctx context.Context, cancel context.CancelCauseFunc, inner io.ReadCloser, idle time.Duration, closed func()) *body {
	b := &body{inner: inner, cancel: cancel, ctx: ctx, closed: closed}
	if idle > 0 {
		b.idle = idle
		b.timer = time.AfterFunc(idle, func() { cancel(ErrStalled) })
		b.timer.Stop()
	}
	return b
}

// Read counts only the time in which somebody waits for data.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	var start time.Time
	if b.timer != nil {
		start = time.Now()
		b.timer.Reset(b.idle - b.spent)
	}
	n, err := b.inner.Read(p)
	if b.timer != nil {
		b.timer.Stop()
		b.spent += time.Since(start)
		if b.got += n; b.got >= progress {
			b.got, b.spent = 0, 0
		}
	}
	if err != nil {
		// An end after the deadline is none: the server may have ended the body because we
		// hung up.
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
	}
	b.err = err
	return n, err
}

// Close frees what the exchange holds.
func (b *body) Close() error {
	if b.timer != nil {
		b.timer.Stop()
	}
	err := b.inner.Close()
	b.cancel(context.Canceled)
	if b.closed != nil {
		b.closed()
		b.closed = nil
	}
	return err
}

// unpack turns a gzip-encoded answer into a plain one, with a bound on how far it may
// expand. It looks at the first bytes, not only at the header: servers send one without
// the other. It reads nothing before the caller does.
func unpack(resp *http.Response) error {
	switch enc := asciiLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); enc {
	case "", "identity":
		return nil
	case "gzip", "x-gzip":
	default:
		return errors.New("unknown content encoding")
	}
	resp.Body = &gzipBody{packed: resp.Body}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	resp.ContentLength = -1
	resp.Uncompressed = true
	return nil
}

type gzipBody struct {
	packed io.ReadCloser
	count  *countingReader
	plain  io.Reader
	out    int64
	err    error
}

// Deflate cannot pack better than 1 to 1032, and a bomb is close to that. NDJSON of FHIR
// resources is below 1 to 100; what is small may have any ratio.
const (
	maxRatio   = 250
	ratioFrom  = 32 << 20
	gzipMagic0 = 0x1f
	gzipMagic1 = 0x8b
)

func (g *gzipBody) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	if g.plain == nil {
		if g.err = g.open(); g.err != nil {
			return 0, g.err
		}
	}
	n, err := g.plain.Read(p)
	g.out += int64(n)
	if g.out > ratioFrom && g.out/maxRatio > g.count.n {
		err = ErrTooLarge
	}
	g.err = err
	return n, err
}

func (g *gzipBody) open() error {
	g.count = &countingReader{r: g.packed}
	br := bufio.NewReader(g.count)
	magic, err := br.Peek(2)
	switch {
	case len(magic) == 2 && magic[0] == gzipMagic0 && magic[1] == gzipMagic1:
		g.plain, err = gzip.NewReader(br)
		return err
	case err == nil || errors.Is(err, io.EOF):
		g.plain = br
		return nil
	}
	return err
}

// Close closes the packed body.
func (g *gzipBody) Close() error { return g.packed.Close() }

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// readAll reads up to limit bytes; limit below 0 means no bound. length is the Content-Length,
// -1 if unknown; expect is a guess at the size, 0 for none.
func readAll(r io.Reader, length int64, expect int, limit int64) ([]byte, error) {
	if limit < 0 {
		limit = 1<<63 - 2
	}
	if length > limit {
		return nil, ErrTooLarge
	}
	first := max(int64(expect), 16<<10)
	if length > 0 {
		first = min(length, 8<<20) // a Content-Length is only a claim
	}
	first = min(first, limit)
	buf := make([]byte, 0, first+1)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return nil, ErrTooLarge
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return nil, err
		case len(buf) == cap(buf):
			grown := make([]byte, len(buf), min(2*int64(cap(buf)), limit+1))
			copy(grown, buf)
			buf = grown
		}
	}
}

// endsEarly reports JSON that was cut and then ended as if it were whole: without a length
// a proxy that gives up looks just like the end.
func endsEarly(h http.Header, data []byte) bool {
	data = bytes.TrimSpace(data)
	return len(data) > 0 && data[0] == '{' && data[len(data)-1] != '}' && isJSON(h, data)
}

// isJSON tells by the media type. Epic answers with the name it was asked by, such as
// application/json+fhir. No Content-Type at all is judged by the first byte.
func isJSON(h http.Header, data []byte) bool {
	ct := h.Get("Content-Type")
	mt, _, err := mime.ParseMediaType(ct)
	switch {
	case err == nil && strings.Contains(mt, "json"):
		return true
	case ct == "" || err != nil || mt == "text/plain" || mt == "application/octet-stream":
		for _, c := range data {
			if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
				return c == '{'
			}
		}
	}
	return false
}
