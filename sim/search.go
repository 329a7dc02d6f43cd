package sim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// search answers GET {base}/{Type}?… and POST {base}/{Type}/_search.
func (s *Server) search(w *recorder, r *http.Request, c call) {
	if !s.searchable(c.typ) {
		s.notFoundPage(w)
		return
	}
	g, ok := s.bearer(w, r)
	if !ok {
		return
	}
	if !g.may(c.typ, "Search") || s.matrixForbids(g, c.typ) {
		s.insufficientScope(w, "no API "+c.typ+".Search is registered, or no scope granted")
		return
	}
	q, ok := s.searchQuery(w, r, c)
	if !ok {
		return
	}
	if id := q.values("sessionid"); len(id) > 0 {
		s.nextPage(w, r, g, c.typ, id[0])
		return
	}
	p, refused := s.planSearch(q, g)
	if refused != nil {
		s.refuseSearch(w, r, refused)
		return
	}
	acc := g.access(c.typ, "Search")
	notices, refused := acc.notices(p)
	if refused != nil {
		refused.issues = append(p.info, refused.issues...)
		s.refuseSearch(w, r, refused)
		return
	}
	if !g.whole(c.typ, 's') && !acc.filters() && p.ids == nil {
		notices = append(notices, subAPI{typ: c.typ, name: otherName}.notice())
	}
	hits, refused := s.run(p, acc, g)
	if refused != nil {
		s.refuseSearch(w, r, refused)
		return
	}
	for _, i := range p.info {
		w.note(i.Diagnostics)
	}
	res := &result{
		query: q, hits: hits, post: p.post, size: s.pageSize(q), grant: g,
		notices: append(p.info, notices...), everyPage: s.knobs.OutcomePages == "every" || s.knobs.OutcomePages == "auto" && g.patientFacing(),
	}
	if slices.Contains(q.values("_summary"), "count") {
		s.sendCount(w, r, res)
		return
	}
	s.sendPage(w, r, res, s.firstOffset(q, res))
}

func (s *Server) refuseSearch(w *recorder, r *http.Request, refused *refusal) {
	w.x.Reason = "search refused: " + refused.issues.codes()
	s.sendResource(w, r, refused.status, refused.issues.json())
}

// notices makes the 59205 and 59204 of what the search touches and the client lacks. If that
// is all it touches, the search is refused with 59022 (captures, high).
func (a access) notices(p *plan) (outcome, *refusal) {
	if p.ids != nil {
		return nil, nil
	}
	granted, denied := a.searched(p.categories)
	var user, client outcome
	holding := false
	for _, sub := range denied {
		if sub.user {
			user = append(user, sub.notice())
		} else {
			client = append(client, sub.notice())
		}
		holding = holding || overlap(sub.categories, p.categories)
	}
	list := append(user, client...)
	if holding && len(granted) == 0 {
		return nil, &refusal{http.StatusBadRequest, append(list, say("59022"))}
	}
	return list, nil
}

// notice is what a search says of a sub-API that it touches and does not show.
func (sub subAPI) notice() issue {
	if sub.user {
		return say("59205", "User not authorized for "+sub.typ+" - "+sub.name+". Search results of this type have not been included.")
	}
	return say("59204", "Client not authorized for "+sub.typ+" - "+sub.name+". Search results of this type have not been included.")
}

// withheld notes, for a search by _id, why a resource is not shown. Other searches say beforehand
// what they touch.
func (p *plan) withheld(sub subAPI) {
	if p.ids == nil {
		return
	}
	n := sub.notice()
	if !slices.ContainsFunc(p.info, func(i issue) bool { return i.Diagnostics == n.Diagnostics }) {
		p.info = append(p.info, n)
	}
}

// run fetches what the native parameters select.
func (s *Server) run(p *plan, acc access, g *grant) ([]int32, *refusal) {
	if p.nothing {
		return nil, nil
	}
	typ := p.query.typ
	candidates, refused := s.candidates(p, g)
	if refused != nil {
		return nil, refused
	}
	var hits []int32
	for _, at := range candidates {
		v := s.judge(g, at, 's')
		if v == absent {
			continue // a search by _id has said so
		}
		if v == otherPart && !acc.filters() {
			p.withheld(subAPI{typ: typ, name: otherName})
			continue
		}
		if v == shown && len(p.native) == 0 && !s.matrixLimits(g, typ) {
			if acc.filters() {
				if sub, hidden := acc.withholds(s.categoriesAt(at)); hidden {
					p.withheld(sub)
					continue
				}
			}
			hits = append(hits, at)
			if p.limit > 0 && len(hits) > p.limit {
				return nil, &refusal{http.StatusBadRequest, outcome{say("4127")}}
			}
			continue
		}
		resource, err := s.decode(at)
		if err != nil {
			continue
		}
		if !all(p.native, resource) || !s.matrixShows(g, typ, resource) {
			continue
		}
		if sub, hidden := acc.withholds(categoriesOf(resource)); hidden {
			p.withheld(sub)
			continue
		}
		if v == otherPart {
			p.withheld(subAPI{typ: typ, name: otherName})
			continue
		}
		hits = append(hits, at)
		if p.limit > 0 && len(hits) > p.limit {
			return nil, &refusal{http.StatusBadRequest, outcome{say("4127")}}
		}
	}
	return hits, nil
}

func (a access) filters() bool {
	return slices.ContainsFunc(a.denied, func(sub subAPI) bool { return len(sub.categories) > 0 })
}

func all(conditions []condition, resource map[string]any) bool {
	for _, c := range conditions {
		if !c.matches(resource, c.values) {
			return false
		}
	}
	return true
}

// candidates are what the index alone selects.
func (s *Server) candidates(p *plan, g *grant) ([]int32, *refusal) {
	typ := p.query.typ
	if p.ids == nil {
		switch {
		case g.confined(typ, 's') && typ == "Patient":
			return s.store.ofPatient(typ, g.patient), nil
		case p.patient != "":
			return s.store.ofPatient(typ, p.patient), nil
		}
		return s.store.all(typ), nil
	}
	var hits []int32
	seen := map[int32]bool{}
	var missing outcome
	for _, id := range p.ids {
		at, ok := s.store.find(typ, id)
		if !ok || s.judge(g, at, 's') == absent {
			missing = append(missing, say("59008", "Invalid FHIR ID provided", "_id").as("information", "not-found"))
			continue
		}
		if !seen[at] {
			seen[at] = true
			hits = append(hits, at)
		}
	}
	if len(hits) == 0 {
		return nil, &refusal{http.StatusBadRequest, append(missing, say("59111", "Required search parameter is provided but has an invalid value", "_id"))}
	}
	p.info = append(p.info, missing...)
	return hits, nil
}

// decode reads a resource into maps, for comparing.
func (s *Server) decode(at int32) (map[string]any, error) {
	b, err := s.store.bytes(at)
	if err != nil {
		return nil, err
	}
	var v map[string]any
	err = json.Unmarshal(b, &v)
	return v, err
}

// included finds what _include names for these matches: Type:parameter or Type:element, and
// perhaps a target type. "*" is every reference. There is no iteration, and nothing comes that the
// app could not read.
func (s *Server) included(g *grant, q query, matches []int32) []int32 {
	var list []int32
	seen := map[int32]bool{}
	for _, at := range matches {
		seen[at] = true
	}
	add := func(at int32) {
		if typ := s.store.typeOf(at); seen[at] || !g.may(typ, "Read") || s.matrixForbids(g, typ) {
			return
		}
		seen[at] = true
		if _, _, ok := s.readable(at, g); ok {
			list = append(list, at)
		}
	}
	for _, form := range q.values("_include") {
		parts := strings.Split(form, ":")
		if form != "*" && (len(parts) < 2 || parts[0] != q.typ) {
			continue
		}
		for _, at := range matches {
			resource, err := s.decode(at)
			if err != nil {
				continue
			}
			for _, ref := range referencesOf(q.typ, resource, form, parts) {
				typ, id, ok := strings.Cut(lastTwo(ref), "/")
				if !ok || len(parts) > 2 && parts[2] != typ {
					continue
				}
				if target, ok := s.store.find(typ, id); ok {
					add(target)
				}
			}
		}
	}
	if slices.ContainsFunc(q.values("_revinclude"), func(v string) bool { return strings.EqualFold(v, "Provenance:target") }) {
		for _, at := range matches {
			for _, provenance := range s.provenanceOf(at) {
				add(provenance)
			}
		}
	}
	return list
}

func referencesOf(typ string, resource map[string]any, form string, parts []string) []string {
	var found []any
	if form == "*" || parts[1] == "*" {
		collectReferences(resource, &found)
	} else {
		paths := []string{parts[1]}
		if p, ok := searchParams[typ][strings.ToLower(parts[1])]; ok && p.kind == 'r' {
			paths = p.paths
		}
		for _, path := range paths {
			found = append(found, walk(resource, strings.Split(path, "."))...)
		}
	}
	var list []string
	for _, v := range found {
		if o, ok := v.(map[string]any); ok {
			if ref, ok := o["reference"].(string); ok {
				list = append(list, ref)
			}
		}
	}
	return list
}

func collectReferences(v any, to *[]any) {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			collectReferences(one, to)
		}
	case map[string]any:
		if _, ok := v["reference"].(string); ok {
			*to = append(*to, v)
		}
		for name, one := range v {
			if name != "contained" {
				collectReferences(one, to)
			}
		}
	}
}

// provenanceOf lists the Provenance resources whose target is the resource.
func (s *Server) provenanceOf(at int32) []int32 {
	s.provenanceOnce.Do(func() {
		s.provenance = map[string][]int32{}
		for _, p := range s.store.all("Provenance") {
			resource, err := s.decode(p)
			if err != nil {
				continue
			}
			for _, v := range walk(resource, []string{"target", "reference"}) {
				if ref, ok := v.(string); ok {
					s.provenance[lastTwo(ref)] = append(s.provenance[lastTwo(ref)], p)
				}
			}
		}
	})
	return s.provenance[s.store.typeOf(at)+"/"+s.store.entries[at].id]
}
