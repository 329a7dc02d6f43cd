package fhir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/andironhq/andiron/r4"
)

// Read fetches one resource by its id:
//
//	patient, err := fhir.Read[r4.Patient](ctx, c, id)
//
// The id is opaque: any length, any case. A redirect within the server, as for a patient
// who was merged into another, is followed, so the id of the answer can differ. Errors are
// [*Error]; Status 404 and 410 mean that there is no such resource.
//
// FHIR R4, RESTful API, "read".
func Read[T any, R r4.ResourcePtr[T]](ctx context.Context, c *Client, id string) (R, error) {
	want := R(new(T)).ResourceType()
	data, e := c.read(ctx, want, id)
	if e != nil {
		return nil, e
	}
	r, err := decode[T, R](data)
	if err != nil {
		return nil, &Error{Op: "read", Method: http.MethodGet, Status: http.StatusOK, Err: err, path: want + "/…"}
	}
	return r, nil
}

// ReadRaw is Read for a type known by name, with the resource as the server sent it.
func (c *Client) ReadRaw(ctx context.Context, resourceType, id string) (Entry, error) {
	data, e := c.read(ctx, resourceType, id)
	if e != nil {
		return Entry{}, e
	}
	if err := r4.CheckJSON(data); err != nil {
		return Entry{}, &Error{Op: "read", Method: http.MethodGet, Status: http.StatusOK, Err: broken(err), path: resourceType + "/…"}
	}
	s := &scanner{data: data}
	_, got := s.resource()
	return Entry{Mode: "match", Type: resourceType, ID: got, Raw: data}, nil
}

func (c *Client) read(ctx context.Context, resourceType, id string) ([]byte, error) {
	fail := func(status int, err error) *Error {
		return &Error{Op: "read", Method: http.MethodGet, Status: status, Err: err, path: resourceType + "/…"}
	}
	s, err := c.ready()
	if err != nil {
		return nil, err
	}
	switch {
	case resourceType == "" || !plainType(resourceType):
		return nil, fail(0, errors.New("no resource type"))
	case id == "" || id == "." || id == "..":
		return nil, fail(0, errors.New("no id")) // it would read, or search, something else
	}
	a, err := s.send(ctx, Request{Op: "read", URL: resourceType + "/" + url.PathEscape(id)}, true)
	if err != nil {
		return nil, err
	}
	data, err := jsonOf(a)
	if err != nil {
		return nil, fail(a.StatusCode, err)
	}
	scan := &scanner{data: data}
	got, _ := scan.resource()
	if scan.bad {
		return nil, fail(a.StatusCode, fmt.Errorf("%w: byte %d", ErrNotFHIR, scan.pos))
	}
	if got != resourceType {
		e := fail(a.StatusCode, ErrWrongType)
		if r, err := r4.Unmarshal(data); err == nil {
			e.outcome, _ = r.(*r4.OperationOutcome)
		}
		return nil, e
	}
	return data, nil
}

// jsonOf is the body of an answer that must be FHIR JSON. HTML, as of a sign-in page, is
// neither parsed nor quoted.
func jsonOf(a *answer) ([]byte, error) {
	data := bytes.TrimPrefix(a.data, []byte("\xef\xbb\xbf"))
	if !isJSON(a.Header, data) {
		return nil, ErrNotFHIR
	}
	return data, nil
}
