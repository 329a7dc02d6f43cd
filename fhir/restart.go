package fhir

import "fmt"

// restart is what a search needs to begin again when the server has forgotten its result: the
// resources that the reader has had already, each as one number.
//
// Epic keeps the result of a paged search for a while and then answers its next link with 4113
// (API Specifications, "Search"). The search is then asked anew and what was given before is left
// out. A resource that appeared meanwhile is given, one that vanished before its page came is not:
// that is what the server's list says now.
type restart struct {
	all    []uint64            // given so far; known aside
	known  map[uint64]struct{} // given before the present round; nil in the first
	rounds int
	fresh  bool // this round has given something new
}

// given reports whether an entry was given in an earlier round, and else remembers it.
func (r *restart) given(key uint64) bool {
	if _, ok := r.known[key]; ok {
		return true
	}
	r.all, r.fresh = append(r.all, key), true
	return false
}

// again begins the search anew, unless the last round has brought nothing.
func (p *pager) again() bool {
	r := &p.restart
	if !r.fresh {
		return false
	}
	if r.known == nil {
		r.known = make(map[uint64]struct{}, len(r.all))
	}
	for _, key := range r.all {
		r.known[key] = struct{}{}
	}
	r.all, r.fresh = r.all[:0], false
	if r.rounds++; r.rounds == 1 {
		p.remark("information", "incomplete", fmt.Sprintf(
			"the server forgot the result after page %d; the search was begun again, and what had come is not given twice", p.number))
	}
	p.url, p.at, p.number = p.first.URL, nil, 0
	clear(p.visited)
	return true
}
