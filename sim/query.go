package sim

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// query is a search as it came: parameters in order, names without regard to case.
type query struct {
	typ   string
	pairs []pair
}

type pair struct {
	name  string // lower case, without a modifier's colon cut off
	value string
	raw   string // as received, for the self link
}

// parseQuery keeps order and spelling. A pair that cannot be decoded is taken literally.
func parseQuery(typ, raw string) query {
	q := query{typ: typ}
	for _, one := range strings.Split(raw, "&") {
		if one == "" {
			continue
		}
		name, value, _ := strings.Cut(one, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		q.pairs = append(q.pairs, pair{strings.ToLower(name), value, one})
	}
	return q
}

// values returns what was given for a name, one for each repetition, without empty ones; a value
// of commas alone is empty.
func (q query) values(name string) []string {
	var list []string
	for _, p := range q.pairs {
		if p.name == name && strings.Trim(p.value, ",") != "" {
			list = append(list, p.value)
		}
	}
	return list
}

func (q query) has(name string) bool { return len(q.values(name)) > 0 }

func (q query) hasAny(names ...string) bool {
	for _, name := range names {
		if q.has(name) {
			return true
		}
	}
	return false
}

// self spells the search as Epic does in its self link: category before patient, _count last
// (captures, high).
func (q query) self() string {
	var first, rest, last []string
	seenPatient := false
	for _, p := range q.pairs {
		switch {
		case p.name == "_count":
			last = append(last, p.raw)
		case p.name == "category" && seenPatient:
			first = append(first, p.raw)
		default:
			if p.name == "patient" && !seenPatient {
				seenPatient = true
				first = append(first, rest...)
				rest = nil
			}
			rest = append(rest, p.raw)
		}
	}
	return strings.Join(append(append(first, rest...), last...), "&")
}

// alternatives splits a value at its commas; "\," is a comma that belongs to the value.
func alternatives(value string) []string {
	var list []string
	var one strings.Builder
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] == '\\' && i+1 < len(value) && strings.IndexByte(`,|$\`, value[i+1]) >= 0:
			i++
			one.WriteByte(value[i])
		case value[i] == ',':
			list = append(list, one.String())
			one.Reset()
		default:
			one.WriteByte(value[i])
		}
	}
	list = append(list, one.String())
	kept := list[:0]
	for _, v := range list {
		if v != "" {
			kept = append(kept, v)
		}
	}
	return kept
}

// searchQuery takes the search out of a GET or a POST. Since February 2026 a POST's query
// string is ignored but for _format; before, it made the body ignored (Epic, high).
func (s *Server) searchQuery(w *recorder, r *http.Request, c call) (query, bool) {
	if !c.post || s.knobs.PostSearch == "old" && r.URL.RawQuery != "" {
		return parseQuery(c.typ, r.URL.RawQuery), true
	}
	body := http.MaxBytesReader(w, r.Body, 1<<20)
	text, err := io.ReadAll(body)
	if err != nil {
		w.x.Reason = "the body of the search is larger than 1 MB or breaks off"
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return query{}, false
	}
	q := parseQuery(c.typ, string(text))
	w.x.Params = nil
	for _, p := range q.pairs {
		w.x.Params = append(w.x.Params, clip(p.name))
		if p.name == "_format" && w.x.format == "" {
			w.x.format = p.value
		}
	}
	return q, true
}

// pageSize reads _count: at most PageMax; nonsense counts as absent.
func (s *Server) pageSize(q query) int {
	for _, v := range q.values("_count") {
		if n, err := strconv.Atoi(v); err == nil && n > 0 {
			return min(n, s.knobs.PageMax)
		}
	}
	return min(s.knobs.PageSize, s.knobs.PageMax)
}
