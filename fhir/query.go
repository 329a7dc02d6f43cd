package fhir

import (
	"fmt"
	"iter"
	"net/url"
	"slices"
	"strings"
)

// Query is the parameters of a search, in order. It is a value: And returns a longer one
// and leaves the first as it was. The zero Query has no parameters.
//
// A parameter that stands twice means AND, several values of one parameter mean OR (FHIR R4,
// Search, "Composite Search Parameters"):
//
//	fhir.Where("patient", id).
//		And("category", "laboratory", "vital-signs"). // one or the other
//		And("date", "ge2024-01-01").                  // and since then
//		And("date", "lt2025-01-01").                  // and before that
//		And("code:in", valueSet)                      // a modifier is part of the name
//
// A value is written in search syntax, in which | and $ separate and a backslash makes the
// next character plain. Text that comes from people goes through [Escape], a code and its
// system through [Token]. A comma is always part of the value, and no value can become two.
type Query struct {
	params []parameter
}

type parameter struct {
	name   string
	values []string // in search syntax; no bare comma
}

// Where begins a query with one parameter.
func Where(name string, values ...string) Query {
	return Query{}.And(name, values...)
}

// And adds one parameter. A search with a parameter that has no name, no value or an empty
// value is refused with [ErrQuery] before it is sent: an id that was never set must not
// become a search over everybody.
func (q Query) And(name string, values ...string) Query {
	p := parameter{name: name, values: make([]string, len(values))}
	for i, v := range values {
		p.values[i] = oneValue(v)
	}
	return Query{params: append(slices.Clip(q.params), p)}
}

// Escape makes text that may hold any character one plain value.
func Escape(text string) string {
	return escaper.Replace(text)
}

var escaper = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `$`, `\$`, `|`, `\|`)

// Token is the value that means a code in a system. An empty system means a code that has
// none ("|code"); for a code in any system write the code alone, through [Escape].
func Token(system, code string) string {
	return Escape(system) + "|" + Escape(code)
}

// oneValue makes sure that a value stays one: bare commas are escaped, and a lone backslash
// at the end is doubled, so that it cannot escape what follows.
func oneValue(v string) string {
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		switch {
		case v[i] == '\\' && i+1 < len(v):
			b.WriteByte(v[i])
			i++
			b.WriteByte(v[i])
			continue
		case v[i] == '\\', v[i] == ',':
			b.WriteByte('\\')
		}
		b.WriteByte(v[i])
	}
	return b.String()
}

// All yields the parameters in order, each with its values in search syntax.
func (q Query) All() iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		for _, p := range q.params {
			if !yield(p.name, slices.Clone(p.values)) {
				return
			}
		}
	}
}

// Encode is the query as it stands in a URL, without "?". Everything but letters, digits
// and a few harmless characters is percent-encoded: "+" too, which servers read as a space.
func (q Query) Encode() string {
	var b strings.Builder
	for i, p := range q.params {
		if i > 0 {
			b.WriteByte('&')
		}
		percent(&b, p.name)
		b.WriteByte('=')
		for j, v := range p.values {
			if j > 0 {
				b.WriteByte(',')
			}
			percent(&b, v)
		}
	}
	return b.String()
}

// String is Encode. It holds what was searched for: keep it out of logs.
func (q Query) String() string { return q.Encode() }

const hexDigits = "0123456789ABCDEF"

func percent(b *strings.Builder, s string) {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_.~:", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
}

// ParseQuery reads a search as people write it and URLs hold it, such as
// "Observation?patient=x&category=laboratory", and returns the resource type ("" when s
// begins with "?") and the query. A comma separates values unless a backslash precedes it;
// an encoded comma does the same as a bare one, as on a server. "+" is a space. The error
// says where it is, not what it found there.
func ParseQuery(s string) (resourceType string, q Query, err error) {
	resourceType, raw, found := strings.Cut(s, "?")
	if strings.ContainsAny(resourceType, "/&=#% ") {
		return "", Query{}, fmt.Errorf("fhir: query: %q is expected after one resource type", "?")
	}
	if !found {
		return resourceType, Query{}, nil
	}
	number := 0
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		number++
		name, value, _ := strings.Cut(part, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return "", Query{}, fmt.Errorf("fhir: query: parameter %d has a bad percent escape", number)
		}
		q.params = append(q.params, parameter{name: name, values: splitValues(value)})
	}
	return resourceType, q, nil
}

// splitValues cuts at bare commas.
func splitValues(s string) []string {
	var out []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ',':
			out = append(out, oneValue(s[start:i]))
			start = i + 1
		}
	}
	return append(out, oneValue(s[start:]))
}

// check refuses what must not be sent. It names parameters by number: the name comes from
// the caller too.
func (q Query) check() error {
	for i, p := range q.params {
		if p.name == "" {
			return fmt.Errorf("%w: parameter %d has no name", ErrQuery, i+1)
		}
		if len(p.values) == 0 || slices.Contains(p.values, "") {
			return fmt.Errorf("%w: parameter %d has no value", ErrQuery, i+1)
		}
	}
	return nil
}

// byName is the query as a Dialect sees it.
func (q Query) byName() map[string][]string {
	m := make(map[string][]string, len(q.params))
	for _, p := range q.params {
		m[p.name] = append(m[p.name], p.values...)
	}
	return m
}
