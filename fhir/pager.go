package fhir

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"sync"

	"github.com/andironhq/andiron/r4"
)

// pager walks the pages of one search, at most one ahead of its reader.
type pager struct {
	*state
	ctx    context.Context
	cancel context.CancelFunc
	typ    string
	first  Request // the search itself
	method string

	url     string // of the next page to fetch; "" = no more
	at      *url.URL
	number  int // of the page fetched last
	size    int // of it, in bytes
	pending chan fetched
	work    sync.WaitGroup

	seed     maphash.Seed
	visited  map[uint64]bool // URLs
	recent   window          // resources
	total    int             // of the first page; -1: not given
	counted  int             // matches that arrived
	repeated bool            // a repeated resource was mentioned
	stale    int             // pages in a row with nothing but known resources
	empty    int             // pages in a row without any match
	pages    int             // fetched in all, repeated ones too
	restart  restart
}

type fetched struct {
	page *page
	at   *url.URL
	size int
	err  error
}

// A search that brings nothing new for so many pages has lost its way.
const (
	maxStale = 10
	maxEmpty = 1000
)

func (s *state) pager(ctx context.Context, resourceType string, q Query) *pager {
	p := &pager{state: s, typ: resourceType, total: -1, seed: maphash.MakeSeed(), visited: map[uint64]bool{}}
	p.first = s.searchRequest("search", resourceType, q)
	p.url, p.method = p.first.URL, p.first.withDefaults().Method
	p.ctx, p.cancel = context.WithCancel(ctx)
	return p
}

// stop ends the request that may be under way for a page nobody wants any more.
func (p *pager) stop() {
	p.cancel()
	p.work.Wait()
}

// ahead begins to fetch the next page while the reader is busy with this one.
func (p *pager) ahead() {
	if p.pending != nil || p.url == "" {
		return
	}
	ch := make(chan fetched, 1)
	p.pending = ch
	url, at, number, expect := p.url, p.at, p.number+1, p.size+p.size/8
	p.work.Go(func() { ch <- p.fetch(url, at, number, expect) })
}

// next is the next page, nil after the last one.
func (p *pager) next() (*page, error) {
	if p.url == "" {
		p.finish()
		return nil, nil
	}
	p.ahead()
	f := <-p.pending
	p.pending = nil
	if errors.Is(f.err, ErrPagingExpired) && p.again() {
		return p.next()
	}
	if f.err != nil {
		return nil, f.err
	}
	p.number++
	p.pages++
	p.url, p.at, p.size = f.page.next, f.at, min(f.size, 1<<20)
	p.sort(f.page)
	if p.stale >= maxStale || p.empty >= maxEmpty || p.limits.MaxPages > 0 && p.pages >= p.limits.MaxPages && p.url != "" {
		return nil, p.fail(p.number, fmt.Errorf("%w: the pages do not end", ErrLoop))
	}
	return f.page, nil
}

// fetch asks for one page. Links are followed as they stand; the origin is checked on the
// way, before a token is fetched.
func (p *pager) fetch(link string, from *url.URL, number, expect int) fetched {
	u, err := resolve(p.base, from, link)
	if err != nil {
		return fetched{err: p.fail(number, fmt.Errorf("next link: %w", err))}
	}
	key := maphash.String(p.seed, u.String())
	if p.visited[key] {
		return fetched{err: p.fail(number, fmt.Errorf("%w: next leads back to a page already seen", ErrLoop))}
	}
	p.visited[key] = true
	req := Request{Op: "search", URL: u.String()}
	if number == 1 {
		req = p.first
	}
	req.expect = expect
	a, err := p.send(p.ctx, req, true)
	if err != nil {
		return fetched{err: p.blame(number, err)}
	}
	pg, err := bundle(a)
	if err != nil {
		e := p.fail(number, err)
		e.Status = a.StatusCode
		return fetched{err: e}
	}
	if pg.resourceType != "Bundle" {
		e := p.fail(number, ErrWrongType)
		e.Status = a.StatusCode
		if r, err := r4.Unmarshal(a.data); err == nil {
			e.outcome, _ = r.(*r4.OperationOutcome)
		}
		return fetched{err: e}
	}
	return fetched{page: pg, at: a.Request.URL, size: len(a.data)}
}

// bundle checks that an answer is JSON and cuts it.
func bundle(a *answer) (*page, error) {
	data, err := jsonOf(a)
	if err != nil {
		return nil, err
	}
	return cutPage(data)
}

// blame adds the page to an error, and tells a forgotten result from other refusals.
func (p *pager) blame(number int, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	e.Page = number
	if e.path == "" {
		e.path = p.typ
	}
	if number > 1 && e.Status != 0 && p.Dialect != nil && p.Dialect.PagingExpired(e.Status, e.outcome) {
		e.Err = ErrPagingExpired
	}
	return e
}

func (p *pager) fail(number int, err error) *Error {
	method := http.MethodGet
	if number <= 1 {
		method = p.method
	}
	return &Error{
		Op: "search", Method: method, URL: p.origin.String() + p.base.EscapedPath() + "/" + p.typ,
		Page: number, Err: err, path: p.typ,
	}
}

// sort tells matches, included resources and outcomes apart, keeps count, and drops what
// came before: a server that cuts pages from a changing list shows entries twice.
func (p *pager) sort(pg *page) {
	kept := pg.entries[:0]
	matches, fresh, replayed := 0, 0, false
	for _, e := range pg.entries {
		if e.Mode == "outcome" || e.Type == "OperationOutcome" && e.ID == "" {
			p.outcome(e)
			continue
		}
		if e.Mode != "match" && e.Mode != "include" {
			e.Mode = "include"
			if e.Type == p.typ || p.typ == "" {
				e.Mode = "match"
			}
		}
		if p.Dialect != nil && p.restart.given(p.key(e)) {
			if e.Mode == "match" {
				matches++
			}
			replayed = true
			continue
		}
		if e.Mode == "match" {
			matches++
			if e.ID != "" && p.recent.seen(maphash.String(p.seed, e.Type+"/"+e.ID)) {
				if !p.repeated {
					p.repeated = true
					p.remark("information", "duplicate", fmt.Sprintf("page %d repeats resources of earlier pages; each is given once", p.number))
				}
				continue
			}
			fresh++
		}
		e.page = p.number
		kept = append(kept, e)
	}
	clear(pg.entries[len(kept):])
	pg.entries = kept
	if p.number == 1 {
		p.total = pg.total
	}
	p.counted += fresh
	p.stale, p.empty = count(p.stale, matches > 0 && fresh == 0 && !replayed), count(p.empty, matches == 0)
}

// key stands for an entry in the memory of what was given.
func (p *pager) key(e Entry) uint64 {
	if e.ID == "" {
		return maphash.Bytes(p.seed, e.Raw)
	}
	return maphash.String(p.seed, e.Mode+" "+e.Type+"/"+e.ID)
}

func count(n int, more bool) int {
	if more {
		return n + 1
	}
	return 0
}

// outcome hands what the server says beside the results to Notice.
func (p *pager) outcome(e Entry) {
	r, err := e.Resource()
	if err != nil {
		// It is not worth failing a search that has results, nor may it vanish.
		p.remark("warning", "structure", fmt.Sprintf("page %d holds an OperationOutcome that cannot be read", p.number))
		return
	}
	if o, ok := r.(*r4.OperationOutcome); ok {
		p.notify(o)
	}
}

// finish compares the server's total with what came. Servers differ in what they put there:
// Epic's is the size of the page.
func (p *pager) finish() {
	if p.total >= 0 && p.total != p.counted {
		p.remark("information", "informational", fmt.Sprintf("%d resources arrived; the server's total said %d", p.counted, p.total))
		p.total = -1
	}
}

// window remembers the resources of late, in bounded memory.
type window struct{ now, before map[uint64]struct{} }

const windowSize = 1 << 16

func (w *window) seen(key uint64) bool {
	if _, ok := w.now[key]; ok {
		return true
	}
	_, ok := w.before[key]
	if w.now == nil || len(w.now) >= windowSize {
		w.before, w.now = w.now, make(map[uint64]struct{}, 1024)
	}
	w.now[key] = struct{}{}
	return ok
}
