package sim

import (
	"strings"
	"time"
)

// matches tells whether a decoded resource satisfies one parameter. Several values are
// alternatives.
func (p param) matches(resource map[string]any, values []string) bool {
	for _, path := range p.paths {
		for _, v := range walk(resource, strings.Split(path, ".")) {
			for _, want := range values {
				if p.matchOne(v, want) {
					return true
				}
			}
		}
	}
	return false
}

func (p param) matchOne(v any, want string) bool {
	switch p.kind {
	case 't':
		return matchToken(v, want)
	case 'd':
		return matchDate(v, want)
	case 'r':
		return matchReference(v, want)
	}
	return matchString(v, want)
}

// walk returns the values at a path. Arrays are entered wherever they occur; a segment that
// ends in [x] takes every member of the choice.
func walk(v any, path []string) []any {
	switch v := v.(type) {
	case []any:
		var list []any
		for _, one := range v {
			list = append(list, walk(one, path)...)
		}
		return list
	case map[string]any:
		if len(path) == 0 {
			return []any{v}
		}
		step, further := path[0], path[1:]
		prefix, choice := strings.CutSuffix(step, "[x]")
		if !choice {
			if next, ok := v[step]; ok {
				return walk(next, further)
			}
			return nil
		}
		var list []any
		for name, next := range v {
			if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z' {
				list = append(list, walk(next, further)...)
			}
		}
		return list
	}
	if len(path) == 0 && v != nil {
		return []any{v}
	}
	return nil
}

// matchToken compares code, system|code, system| and |code with a code, Coding,
// CodeableConcept, Identifier, ContactPoint or boolean. Epic's words before the bar that are
// no URI ("MRN|203713") name an identifier by its type's text.
func matchToken(v any, want string) bool {
	system, code, hasBar := strings.Cut(want, "|")
	if !hasBar {
		system, code = "", want
	}
	switch v := v.(type) {
	case string:
		return (!hasBar || system == "") && v == code
	case bool:
		return code == "true" && v || code == "false" && !v
	case map[string]any:
		if list, ok := v["coding"].([]any); ok {
			for _, c := range list {
				if matchToken(c, want) {
					return true
				}
			}
		}
		got, _ := v["code"].(string)
		if got == "" {
			got, _ = v["value"].(string)
			got = strings.TrimLeft(got, " ")
		}
		if got == "" || code != "" && got != code {
			return false
		}
		has, _ := v["system"].(string)
		switch {
		case !hasBar:
			return true
		case system == "":
			return has == ""
		case sameSystem(has, system):
			return true
		}
		kind, _ := v["type"].(map[string]any)
		text, _ := kind["text"].(string)
		return text != "" && strings.EqualFold(text, system)
	}
	return false
}

// systemNames are the two spellings of one code system that Epic uses (captures, high).
var systemNames = map[string]string{
	"urn:oid:2.16.840.1.113883.6.96": "http://snomed.info/sct",
	"urn:oid:2.16.840.1.113883.6.90": "http://hl7.org/fhir/sid/icd-10-cm",
	"urn:oid:2.16.840.1.113883.6.1":  "http://loinc.org",
	"urn:oid:2.16.840.1.113883.6.88": "http://www.nlm.nih.gov/research/umls/rxnorm",
}

func sameSystem(a, b string) bool {
	if n, ok := systemNames[a]; ok {
		a = n
	}
	if n, ok := systemNames[b]; ok {
		b = n
	}
	return a == b
}

// matchReference compares "Type/id", "id" and absolute URLs by their end.
func matchReference(v any, want string) bool {
	o, ok := v.(map[string]any)
	if !ok {
		return false
	}
	ref, _ := o["reference"].(string)
	if ref == "" {
		return false
	}
	want = lastTwo(want)
	got := lastTwo(ref)
	if strings.Contains(want, "/") {
		return got == want
	}
	return got[strings.LastIndexByte(got, '/')+1:] == want
}

// lastTwo cuts a reference down to "Type/id".
func lastTwo(ref string) string {
	last := strings.LastIndexByte(ref, '/')
	if last < 0 {
		return ref
	}
	return ref[strings.LastIndexByte(ref[:last], '/')+1:]
}

// matchString compares without case from the start of a text, or of any text in a name or an
// address (FHIR R4, Search, string).
func matchString(v any, want string) bool {
	switch v := v.(type) {
	case string:
		return len(v) >= len(want) && strings.EqualFold(v[:len(want)], want)
	case []any:
		for _, one := range v {
			if matchString(one, want) {
				return true
			}
		}
	case map[string]any:
		for _, name := range []string{"family", "given", "text", "line", "city", "district", "state", "postalCode", "country"} {
			if matchString(v[name], want) {
				return true
			}
		}
	}
	return false
}

// span is an instant or a period: from start, to before end. A zero time is open.
type span struct{ start, end time.Time }

// parseDate reads a date of any precision. Without a zone it is the server's: UTC.
func parseDate(text string) (span, bool) {
	for _, form := range []struct {
		layout string
		length int
		add    func(time.Time) time.Time
	}{
		{"2006", 4, func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
		{"2006-01", 7, func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
		{"2006-01-02", 10, func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
		{"2006-01-02T15:04", 16, func(t time.Time) time.Time { return t.Add(time.Minute) }},
		{"2006-01-02T15:04:05", 19, func(t time.Time) time.Time { return t.Add(time.Second) }},
	} {
		if len(text) == form.length {
			t, err := time.Parse(form.layout, text)
			return span{t, form.add(t)}, err == nil
		}
	}
	for _, layout := range []string{"2006-01-02T15:04Z07:00", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			unit := time.Second
			if strings.Contains(text, ".") {
				unit = time.Millisecond
			} else if layout != time.RFC3339 {
				unit = time.Minute
			}
			return span{t, t.Add(unit)}, true
		}
	}
	return span{}, false
}

// cutPrefix takes the comparison off a date: eq, lt, le, gt, ge and no other are known
// (captured and documented, high and medium).
func cutPrefix(want string) (string, string) {
	if len(want) > 2 {
		switch want[:2] {
		case "eq", "lt", "le", "gt", "ge":
			return want[:2], want[2:]
		}
	}
	return "eq", want
}

func validDate(want string) bool {
	_, text := cutPrefix(want)
	_, ok := parseDate(strings.ReplaceAll(text, " ", "+"))
	return ok
}

func matchDate(v any, want string) bool {
	op, text := cutPrefix(want)
	asked, ok := parseDate(strings.ReplaceAll(text, " ", "+"))
	if !ok {
		return false
	}
	got, ok := dateOf(v)
	if !ok {
		return false
	}
	switch op {
	case "lt":
		return got.start.Before(asked.start)
	case "le":
		return got.start.Before(asked.end)
	case "gt":
		return got.end.IsZero() || got.end.After(asked.end)
	case "ge":
		return got.end.IsZero() || got.end.After(asked.start)
	}
	return !got.start.Before(asked.start) && !got.end.IsZero() && !got.end.After(asked.end)
}

// dateOf reads a date, a Period, or a Timing's events.
func dateOf(v any) (span, bool) {
	switch v := v.(type) {
	case string:
		return parseDate(v)
	case map[string]any:
		start, hasStart := v["start"].(string)
		end, hasEnd := v["end"].(string)
		var s span
		if hasStart {
			first, ok := parseDate(start)
			if !ok {
				return span{}, false
			}
			s.start = first.start
		}
		if hasEnd {
			last, ok := parseDate(end)
			if !ok {
				return span{}, false
			}
			s.end = last.end
		}
		return s, hasStart || hasEnd
	}
	return span{}, false
}
