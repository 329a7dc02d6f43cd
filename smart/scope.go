package smart

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Scope is one scope: a resource scope such as patient/Observation.rs, taken apart, or any other,
// kept as text. The zero value is no scope; it covers nothing and nothing covers it.
type Scope struct {
	// Level is "patient", "user" or "system"; "" for everything that is not a resource scope.
	Level string
	// Type is the resource type, or "*" for every type.
	Type string
	// Actions are letters of "cruds": create, read, update, delete, search. The words of
	// version 1 stand for several: read for rs, write for cud, * for cruds.
	Actions string
	// Query is the filter after the question mark in one spelling, such as
	// "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory": parameters
	// and values sorted, escaped only where they must be. "" is no filter. Commas separate values
	// of which one suffices.
	Query string
	// Text is the scope as it was written. It is all there is of what is not a resource scope:
	// "openid", "launch/patient", a URI, or a name of the server's own.
	Text string
}

// scopePrefix stands before scopes that are written as URIs (SMART App Launch 2.2, "Scopes and Launch
// Context": scopes as URIs).
const scopePrefix = "http://smarthealthit.org/fhir/scopes/"

const allActions = "cruds"

// versionOne are the words of version 1 and what they stand for in version 2.
var versionOne = map[string]string{"read": "rs", "write": "cud", "*": allActions}

var (
	typeForm = regexp.MustCompile(`^(\*|[A-Z][A-Za-z]*)$`)
	// apiForm is the name of an API in Epic's catalogue as CDS Hooks tokens list it; notes in
	// parentheses, with spaces in them, follow.
	apiForm = regexp.MustCompile(`^[A-Z][A-Za-z]*\.[A-Za-z]+$`)
)

// ParseScopes reads a list of scopes as servers and people write it: white space of any amount
// between scopes, versions 1 and 2 mixed, words and letters in any case, the URI form, duplicates. What
// is none of that is kept as text, names of Epic's APIs with their notes in parentheses as one. Only
// what holds control or non-ASCII characters, which no scope may (RFC 6749, section 3.3), is left out.
//
// It never fails. The result has the order of the text; see [Scopes.String] for the shortest form.
func ParseScopes(s string) Scopes {
	var out Scopes
	seen := map[Scope]bool{}
	words := strings.Fields(s)
	for i := 0; i < len(words); i++ {
		text := words[i]
		if apiForm.MatchString(text) {
			for n := note(words[i+1:]); n > 0; n = note(words[i+1:]) {
				text += " " + strings.Join(words[i+1:i+1+n], " ")
				i += n
			}
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			continue
		}
		one := parseScope(text)
		if k := one.key(); !seen[k] {
			seen[k] = true
			out = append(out, one)
		}
	}
	return out
}

// note is how many of the words are a note in parentheses: "(Labs)", "(Vital Signs)".
func note(words []string) int {
	for i, w := range words {
		if i == 0 != strings.HasPrefix(w, "(") {
			return 0
		}
		if strings.HasSuffix(w, ")") {
			return i + 1
		}
	}
	return 0
}

func parseScope(text string) Scope {
	other := Scope{Text: text}
	short, isURI := strings.CutPrefix(text, scopePrefix)
	level, rest, ok := strings.Cut(short, "/")
	if !ok || level != "patient" && level != "user" && level != "system" {
		if isURI && knownText(short) {
			other.Text = short
		}
		return other
	}
	rest, query, filtered := strings.Cut(rest, "?")
	typ, actions, ok := strings.Cut(rest, ".")
	actions = asciiLower(actions)
	if letters, isWord := versionOne[actions]; isWord {
		actions = letters
	}
	if !ok || !typeForm.MatchString(typ) || actions == "" || strings.Trim(actions, allActions) != "" {
		return other
	}
	if filtered {
		f, ok := parseFilter(query)
		if !ok {
			return other // a filter that cannot be read must not be taken for none
		}
		query = f.String()
	}
	return Scope{Level: level, Type: typ, Actions: inOrder(actions), Query: query, Text: text}
}

// knownText reports whether a text is a scope that SMART defines beside the resource scopes.
func knownText(s string) bool {
	switch s {
	case "openid", "fhirUser", "profile", "online_access", "offline_access", "launch":
		return true
	}
	return strings.HasPrefix(s, "launch/")
}

// inOrder are the letters among "cruds", each once, in that order.
func inOrder(letters string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(letters, r) {
			return r
		}
		return -1
	}, allActions)
}

// key is the scope without its spelling.
func (s Scope) key() Scope {
	if s.Level == "" {
		return Scope{Text: s.Text}
	}
	return Scope{Level: s.Level, Type: s.Type, Actions: inOrder(s.Actions), Query: s.Query}
}

// only is the resource scope with some of its letters.
func (s Scope) only(letters string) Scope {
	s.Actions, s.Text = inOrder(letters), ""
	return s
}

// String is the scope in version 2, letters in order; text as it is.
func (s Scope) String() string {
	if s.Level == "" {
		return s.Text
	}
	t := s.Level + "/" + s.Type + "." + inOrder(s.Actions)
	if s.Query != "" {
		t += "?" + s.Query
	}
	return t
}

// MarshalText is String.
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads one scope; it never fails.
func (s *Scope) UnmarshalText(text []byte) error {
	*s = Scope{}
	if list := ParseScopes(string(text)); len(list) > 0 {
		*s = list[0]
	}
	return nil
}

// writtenV1 reports whether a resource scope was written with a word of version 1.
func (s Scope) writtenV1() bool {
	rest, _, _ := strings.Cut(s.Text, "?")
	i := strings.LastIndexByte(rest, '.')
	return i >= 0 && versionOne[asciiLower(rest[i+1:])] != ""
}

// filter is the query of a scope: all clauses must hold, in each one value suffices.
type filter []clause

type clause struct {
	name   string
	values []string
}

// parseFilter reads a query. A parameter without name or value, or with a broken escape, makes all of
// it unreadable. A plus is a plus: the scope is no form.
func parseFilter(s string) (filter, bool) {
	var f filter
	for part := range strings.SplitSeq(s, "&") {
		name, list, _ := strings.Cut(part, "=")
		name, err := url.PathUnescape(name)
		if err != nil || name == "" {
			return nil, false
		}
		c := clause{name: name}
		for v := range strings.SplitSeq(list, ",") {
			v, err := url.PathUnescape(v)
			if err != nil || v == "" {
				return nil, false
			}
			c.values = append(c.values, v)
		}
		slices.Sort(c.values)
		c.values = slices.Compact(c.values)
		f = append(f, c)
	}
	slices.SortFunc(f, clause.compare)
	return slices.CompactFunc(f, func(a, b clause) bool { return a.compare(b) == 0 }), true
}

func (c clause) compare(d clause) int {
	return cmp.Or(strings.Compare(c.name, d.name), slices.Compare(c.values, d.values))
}

func (f filter) String() string {
	var b strings.Builder
	for i, c := range f {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(escape(c.name, "%&,\"\\="))
		b.WriteByte('=')
		for j, v := range c.values {
			if j > 0 {
				b.WriteByte(',')
			}
			b.WriteString(escape(v, "%&,\"\\"))
		}
	}
	return b.String()
}

// escape percent-encodes what a scope cannot hold and what stands for something here.
func escape(s, special string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || strings.IndexByte(special, c) >= 0 {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// admits reports whether everything that the needed filter lets through, this one lets through: for
// each clause here there is one of the same name there whose values are among its own.
func (f filter) admits(need filter) bool {
	for _, c := range f {
		if !slices.ContainsFunc(need, func(n clause) bool {
			return n.name == c.name && !slices.ContainsFunc(n.values, func(v string) bool { return !slices.Contains(c.values, v) })
		}) {
			return false
		}
	}
	return true
}

// filterOf is the filter of a scope; not ok: it has one that cannot be read.
func filterOf(s Scope) (filter, bool) {
	if s.Query == "" {
		return nil, true
	}
	return parseFilter(s.Query)
}
