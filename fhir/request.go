package fhir

import (
	"context"
	"net/http"
	"strings"
)

// Request is one request in the protocol's own terms, for what Read and Search do not cover.
type Request struct {
	// Op names the operation in errors and traces. Empty means the method.
	Op string

	// Method is the HTTP method. Empty means GET.
	Method string

	// URL is absolute, or relative to the client's Base, such as "Group/x/$export?_type=Patient".
	// Path and query are sent as they are written.
	URL string

	// Header overrides the client's own headers. Accept is application/fhir+json unless set
	// here. With an Accept-Encoding of its own the answer's body is not unpacked.
	Header http.Header

	// Body is sent with each try. Its type is application/fhir+json unless Header says
	// otherwise.
	Body []byte

	// Anonymous sends no token.
	Anonymous bool

	// ForeignOK permits URL, and the redirects it leads to, to name another origin. Only GET
	// and HEAD go there, with no token, none of the client's headers, and of Header only what
	// cannot hold a credential. From there nothing comes back to Base's origin with a token.
	ForeignOK bool

	// Idempotent says that a repetition of this POST, PUT, PATCH or DELETE does no harm, for
	// instance because it carries If-None-Exist. GET and HEAD always count as such.
	Idempotent bool

	// NoRetry sends the request once, whatever happens: for a GET that starts something.
	// One renewal of a refused token stays: what was refused did not start. A failure in which
	// it may have started is an [ErrOutcomeUnknown], unless Idempotent says that it starts
	// nothing and the caller merely repeats at a pace of its own.
	NoRetry bool

	expect int  // bytes of answer to make room for; a guess
	asks   bool // a POST that changes nothing
}

func (r Request) withDefaults() Request {
	r.Method = strings.ToUpper(r.Method)
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	if r.Op == "" {
		r.Op = r.Method
	}
	return r
}

func (r Request) reads() bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.asks
}

// Do sends a request and returns the answer when its status is 2xx, or 304 to a conditional
// request. Everything else is an [*Error]. Limits, retries, redirects and renewal of the
// token are taken care of. The body is a stream: it must be closed, it ends with
// [ErrStalled] when the server stalls, and a break in it is the caller's to mend. It is
// unpacked if the server packed it. The answer's Request shows what was asked in the end,
// without its token.
func (c *Client) Do(ctx context.Context, req Request) (*http.Response, error) {
	s, err := c.ready()
	if err != nil {
		return nil, err
	}
	a, err := s.send(ctx, req, false)
	if err != nil {
		return nil, err
	}
	return a.Response, nil
}
