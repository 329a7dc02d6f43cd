package sim

import (
	"net/url"
	"slices"
	"strings"
)

// bulkParams are the parameters that Epic's kick-off knows. Others draw 59100 in the error
// file (medium).
var bulkParams = []string{"_type", "_typefilter", "includeassociateddata", "_format"}

// collect decides what an export holds.
func (s *Server) collect(j *job, g *grant, group Group, q query, grouped bool) {
	var errs []outcome
	complain := func(code, diagnostics string) {
		errs = append(errs, outcome{say(code, diagnostics)})
	}
	for _, p := range q.pairs {
		if !slices.Contains(bulkParams, p.name) {
			complain("59100", "Unknown parameter: "+strings.ToUpper(clip(p.name))+". Parameter has been ignored.")
		}
	}
	types, asked := s.bulkTypes(g, q, complain)
	filters := s.typeFilters(q, types, complain)
	if s.knobs.BulkPatientOnlyFails && asked && len(types) == 1 && types[0] == "Patient" {
		errs = append(errs, outcome{say("59159", "This resource requires demographics or _id parameter for searching.", "demographics/_id")})
		types = nil
	}
	var members map[string]bool
	if grouped && len(group.Patients) != len(s.store.patients) {
		members = map[string]bool{}
		for _, id := range group.Patients {
			members[id] = true
		}
	}
	for _, typ := range types {
		list, withheld := s.collectType(g, typ, members, filters[typ])
		for _, name := range withheld {
			complain("59130", "Client not authorized for "+typ+" - "+name)
		}
		for len(list) > 0 {
			n := min(len(list), s.knobs.BulkFileMax)
			j.output = append(j.output, &bulkFile{id: s.random.id(24), typ: typ, entries: list[:n:n]})
			list = list[n:]
		}
	}
	if len(errs) > 0 {
		j.errors = []*bulkFile{{id: s.random.id(24), typ: "OperationOutcome", lines: errs}}
	}
}

// bulkTypes reads _type, without regard to case, or takes every type found that the app may
// search. Binary comes only when it is named; so does Provenance of a generated population.
func (s *Server) bulkTypes(g *grant, q query, complain func(code, diagnostics string)) (types []string, asked bool) {
	may := func(typ string) bool { return g.reg.grants.may(typ, "Search") && !s.matrixForbids(g, typ) }
	for _, v := range q.values("_type") {
		asked = true
		for _, name := range alternatives(v) {
			typ := s.typeByName(strings.TrimSpace(name))
			switch {
			case typ == "":
				complain("59136", "Resource type not supported: "+clip(name))
			case !may(typ):
				complain("59130", "Client not authorized for "+typ)
			case !slices.Contains(types, typ):
				types = append(types, typ)
			}
		}
	}
	if asked {
		return types, true
	}
	withProvenance := s.Data != "" || slices.ContainsFunc(q.values("includeassociateddata"), func(v string) bool {
		return strings.EqualFold(v, "LatestProvenanceResources")
	})
	for _, typ := range s.store.types() {
		if typ == "Binary" || typ == "Provenance" && !withProvenance || !may(typ) {
			continue
		}
		types = append(types, typ)
	}
	return types, false
}

func (s *Server) typeByName(name string) string {
	for _, typ := range s.types() {
		if strings.EqualFold(typ, name) {
			return typ
		}
	}
	return ""
}

// typeFilters reads _typeFilter: searches separated by commas, each encoded once more, a literal
// comma written %2C or "\," (medium). The filters of one type are alternatives.
func (s *Server) typeFilters(q query, types []string, complain func(code, diagnostics string)) map[string][][]condition {
	filters := map[string][][]condition{}
	for _, v := range q.values("_typefilter") {
		for _, one := range alternatives(v) {
			name, search, _ := strings.Cut(one, "?")
			typ := s.typeByName(name)
			if typ == "" || !slices.Contains(types, typ) {
				complain("59100", "_typeFilter for a type that is not in _type: "+clip(name))
				continue
			}
			filters[typ] = append(filters[typ], s.typeFilter(typ, search, complain))
		}
	}
	return filters
}

func (s *Server) typeFilter(typ, search string, complain func(code, diagnostics string)) []condition {
	if !strings.Contains(search, "=") {
		if plain, err := url.QueryUnescape(search); err == nil {
			search = plain
		}
	}
	p := &plan{query: parseQuery(typ, search)}
	for _, i := range s.unknownParams(p.query) {
		complain("59100", i.Diagnostics)
	}
	if refused := s.planCategory(p); refused != nil || p.query.has("category") && len(p.categories) == 0 && vocabulary(typ) != nil {
		complain("59101", "Invalid category in _typeFilter for "+typ)
	}
	s.planConditions(p)
	return append(p.native, p.post...)
}

// collectType lists the resources of a type that an export holds, and names the sub-APIs for
// lack of which some are missing.
func (s *Server) collectType(g *grant, typ string, members map[string]bool, filters [][]condition) (list []int32, withheld []string) {
	acc := accessTo(g.reg.grants, typ, "Search")
	subs, limited := acc.filters(), s.matrixLimits(g, typ)
	if members == nil && !subs && !limited && len(filters) == 0 {
		return s.store.all(typ), nil
	}
	for _, at := range s.store.all(typ) {
		if owner := s.store.entries[at].patient; members != nil && owner != "" && !members[owner] {
			continue
		}
		if subs {
			if sub, hidden := acc.withholds(s.categoriesAt(at)); hidden {
				if !slices.Contains(withheld, sub.name) {
					withheld = append(withheld, sub.name)
				}
				continue
			}
		}
		if limited || len(filters) > 0 {
			resource, err := s.decode(at)
			if err != nil || !s.matrixShows(g, typ, resource) {
				continue
			}
			if len(filters) > 0 && !slices.ContainsFunc(filters, func(f []condition) bool { return all(f, resource) }) {
				continue
			}
		}
		list = append(list, at)
	}
	return list, withheld
}
