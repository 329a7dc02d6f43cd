package fhir

import (
	"context"
	"net/http"
	"time"

	"github.com/andironhq/andiron/r4"
)

// capabilityCache holds a server's CapabilityStatement. Its lock is a channel, so that who
// waits for it can give up.
type capabilityCache struct {
	lock      chan struct{}
	statement *r4.CapabilityStatement
	fetched   time.Time
}

// capabilityAge is how long a CapabilityStatement counts as current.
const capabilityAge = time.Hour

// Capabilities is what the server says it can do. It is fetched without a token, as the
// specification has it, once an hour at most, and by one caller for all who wait. The value
// is shared: do not change it.
//
// FHIR R4, RESTful API, "capabilities".
func (c *Client) Capabilities(ctx context.Context) (*r4.CapabilityStatement, error) {
	fail := func(status int, err error) error {
		return &Error{Op: "capabilities", Method: http.MethodGet, Status: status, Err: err, path: "metadata"}
	}
	s, err := c.ready()
	if err != nil {
		return nil, err
	}
	cache := &s.capabilities
	select {
	case cache.lock <- struct{}{}:
		defer func() { <-cache.lock }()
	case <-ctx.Done():
		return nil, fail(0, network(ctx.Err()))
	}
	if cache.statement != nil && s.now().Sub(cache.fetched) < capabilityAge {
		return cache.statement, nil
	}
	a, err := s.send(ctx, Request{Op: "capabilities", URL: "metadata", Anonymous: true}, true)
	if err != nil {
		return nil, err
	}
	data, err := jsonOf(a)
	if err != nil {
		return nil, fail(a.StatusCode, err)
	}
	r, err := r4.Unmarshal(data)
	if err != nil {
		return nil, fail(a.StatusCode, broken(err))
	}
	statement, ok := r.(*r4.CapabilityStatement)
	if !ok {
		e := fail(a.StatusCode, ErrWrongType).(*Error) //nolint:errorlint // made two lines above
		e.outcome, _ = r.(*r4.OperationOutcome)
		return nil, e
	}
	cache.statement, cache.fetched = statement, s.now()
	return statement, nil
}
