package fhir

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"github.com/andironhq/andiron/r4"
)

// Search yields the resources of type T that match q, over all pages, each once and in the
// server's order. The next page is fetched while the last one is read, and nothing more
// after the loop is left.
//
// Included resources are left out ([Client.Entries] has them), and what the server says
// beside its results goes to Client.Notice: an empty search with a notice may well mean
// "not shown to you" and not "no data". An error is an [*Error] that names the page, and it
// is the last thing the loop sees.
//
//	for obs, err := range fhir.Search[r4.Observation](ctx, c, fhir.Where("patient", id).And("category", "laboratory")) {
//
// FHIR R4, Search, "Managing Returned Resources" and "Paging".
func Search[T any, R r4.ResourcePtr[T]](ctx context.Context, c *Client, q Query) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		want := R(new(T)).ResourceType()
		for e, err := range c.entries(ctx, want, q) {
			if err != nil {
				yield(nil, err)
				return
			}
			if e.Mode != "match" || e.Type != want {
				continue
			}
			r, err := decode[T, R](e.Raw)
			if err != nil {
				yield(nil, &Error{Op: "search", Method: http.MethodGet, Status: http.StatusOK, Page: e.page, Err: err, path: want})
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Entries is Search for a type known by name, with included resources and literal bytes,
// each checked to be strict JSON. An empty type searches the whole system, where the server
// has that.
func (c *Client) Entries(ctx context.Context, resourceType string, q Query) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for e, err := range c.entries(ctx, resourceType, q) {
			if err == nil {
				if err = r4.CheckJSON(e.Raw); err != nil {
					err = &Error{Op: "search", Method: http.MethodGet, Status: http.StatusOK, Page: e.page, Err: broken(err), path: resourceType}
					e = Entry{}
				}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// entries leaves the resources themselves unchecked, for those who decode them anyway.
func (c *Client) entries(ctx context.Context, resourceType string, q Query) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		s, err := c.ready()
		if err == nil {
			err = checkSearch("search", resourceType, q)
		}
		if err != nil {
			yield(Entry{}, err)
			return
		}
		if c.Dialect != nil {
			c.notify(c.Dialect.SearchWarnings(resourceType, q.byName()))
		}
		p := s.pager(ctx, resourceType, q)
		defer p.stop()
		for {
			pg, err := p.next()
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if pg == nil {
				return
			}
			for _, e := range pg.entries {
				if !yield(e, nil) {
					return
				}
				p.ahead() // somebody wants more than the first
			}
		}
	}
}

// Count asks the server how many resources match, with _summary=count.
func (c *Client) Count(ctx context.Context, resourceType string, q Query) (int, error) {
	s, err := c.ready()
	if err == nil {
		err = checkSearch("count", resourceType, q)
	}
	if err != nil {
		return 0, err
	}
	a, err := s.send(ctx, s.searchRequest("count", resourceType, q.And("_summary", "count")), true)
	if err != nil {
		return 0, err
	}
	pg, err := bundle(a)
	if err == nil && (pg.resourceType != "Bundle" || pg.total < 0) {
		err = ErrWrongType
	}
	if err != nil {
		return 0, &Error{Op: "count", Method: http.MethodGet, Status: a.StatusCode, Err: err, path: resourceType}
	}
	p := s.pager(ctx, resourceType, q)
	defer p.stop()
	p.sort(pg) // outcomes go to Notice here too
	return pg.total, nil
}

// Collect reads a whole search into memory. With an error it returns what came before it.
func Collect[R any](seq iter.Seq2[R, error]) ([]R, error) {
	var all []R
	for r, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, r)
	}
	return all, nil
}

// First is the first result of a search; found is false when there is none. No second page
// is asked for.
func First[R any](seq iter.Seq2[R, error]) (first R, found bool, err error) {
	for r, err := range seq {
		if err != nil {
			return first, false, err
		}
		return r, true, nil
	}
	return first, false, nil
}

// searchRequest is a search as GET, or as POST with all parameters in the body and none in the URL:
// servers that get both read the one or the other (FHIR R4, Search, "Using POST"; Epic changed its
// mind in February 2026).
func (s *state) searchRequest(op, resourceType string, q Query) Request {
	form := q.Encode()
	if s.PostSearch && resourceType != "" {
		return Request{
			Op: op, Method: http.MethodPost, URL: resourceType + "/_search", Body: []byte(form), asks: true,
			Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		}
	}
	r := Request{Op: op, URL: resourceType}
	if form != "" {
		r.URL += "?" + form
	}
	return r
}

// checkSearch refuses a search that must not be sent.
func checkSearch(op, resourceType string, q Query) error {
	err := q.check()
	if err == nil && !plainType(resourceType) {
		err = fmt.Errorf("%w: no resource type", ErrQuery)
	}
	if err != nil {
		return &Error{Op: op, Method: http.MethodGet, Err: err}
	}
	return nil
}

// plainType keeps a type given by name from reaching into path or query.
func plainType(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" && len(s) <= 64
}

// decode reads one resource of a known type. Every type of r4 decodes itself; going through
// encoding/json would check each byte twice.
func decode[T any, R r4.ResourcePtr[T]](data []byte) (R, error) {
	r := R(new(T))
	if err := any(r).(json.Unmarshaler).UnmarshalJSON(data); err != nil {
		return nil, broken(err)
	}
	return r, nil
}
