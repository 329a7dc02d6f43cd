package sim

import (
	"slices"
	"strings"
)

// scopeSet is what a token's scopes allow (SMART App Launch 2.2, Scopes and Launch Context).
type scopeSet struct {
	rules []scopeRule
	// plain are the words that name no resource, and what could not be understood. They allow nothing
	// here.
	plain []string
}

// scopeRule is a resource scope taken apart.
type scopeRule struct {
	level   string // "patient", "user" or "system"
	typ     string // a type, or "*"
	letters string // in the order of "cruds"
	query   []pair // search parameters, all of which a resource must match
}

// parseScopes reads a scope parameter: words between white space, each once. Letters and the words
// of version 1 are read without regard to case, types with it. Letters out of order make a scope that
// is not understood, and allows nothing.
func parseScopes(text string) scopeSet {
	var set scopeSet
	seen := map[string]bool{}
	for _, word := range strings.Fields(text) {
		if seen[word] {
			continue
		}
		seen[word] = true
		if rule, ok := parseScope(word); ok {
			set.rules = append(set.rules, rule)
		} else {
			set.plain = append(set.plain, word)
		}
	}
	return set
}

func parseScope(word string) (scopeRule, bool) {
	name, search, asked := strings.Cut(word, "?")
	level, rest, ok := strings.Cut(name, "/")
	typ, actions, dotted := strings.Cut(rest, ".")
	if !ok || !dotted || level != "patient" && level != "user" && level != "system" {
		return scopeRule{}, false
	}
	if typ != "*" && (typ == "" || typ[0] < 'A' || typ[0] > 'Z' || strings.Trim(typ, asciiLetters) != "") {
		return scopeRule{}, false
	}
	rule := scopeRule{level: level, typ: typ, letters: scopeLetters(actions)}
	if rule.letters == "" {
		return scopeRule{}, false
	}
	if asked {
		for _, p := range parseQuery(typ, search).pairs {
			if p.value == "" {
				return scopeRule{}, false
			}
			rule.query = append(rule.query, p)
		}
		if len(rule.query) == 0 {
			return scopeRule{}, false
		}
	}
	return rule, true
}

const asciiLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// scopeLetters reads the words of version 1 before letters: "read" is rs, "write" is cud.
func scopeLetters(actions string) string {
	actions = strings.ToLower(actions)
	switch actions {
	case "read":
		return "rs"
	case "write":
		return "cud"
	case "*":
		return "cruds"
	}
	at := 0
	for _, letter := range actions {
		n := strings.IndexRune("cruds"[at:], letter)
		if n < 0 {
			return ""
		}
		at += n + 1
	}
	return actions
}

// spell writes the rule as an app of the scope version would read it: with the words of version 1 where
// they say the same and the version is "v1", otherwise letters in the order of "cruds". The query
// stays as it came.
func (r scopeRule) spell(version string) string {
	actions := r.letters
	if word := map[string]string{"rs": "read", "cud": "write", "cruds": "*"}[actions]; version == "v1" && word != "" {
		actions = word
	}
	text := r.level + "/" + r.typ + "." + actions
	for i, p := range r.query {
		text += string("?&"[min(i, 1)]) + p.raw
	}
	return text
}

// within is what two scopes of one level both allow, with the type and the letters that they share
// and, where only one of them has a query, that. Of two different queries nothing is said to be shared: a
// resource may match both, but no scope of a server says so.
func (r scopeRule) within(other scopeRule) (scopeRule, bool) {
	both := r
	switch {
	case r.level != other.level || r.typ != other.typ && r.typ != "*" && other.typ != "*":
		return scopeRule{}, false
	case r.typ == "*":
		both.typ = other.typ
	}
	both.letters = strings.Map(func(letter rune) rune {
		if strings.ContainsRune(other.letters, letter) {
			return letter
		}
		return -1
	}, r.letters)
	switch {
	case both.letters == "":
		return scopeRule{}, false
	case len(r.query) == 0:
		both.query = other.query
	case len(other.query) > 0 && !slices.EqualFunc(r.query, other.query, samePair):
		return scopeRule{}, false
	}
	return both, true
}

func samePair(a, b pair) bool { return a.name == b.name && a.value == b.value }

// within lists what both sets allow, each once, in the order of the first.
func (set scopeSet) within(other scopeSet) []scopeRule {
	var list []scopeRule
	seen := map[string]bool{}
	for _, a := range set.rules {
		for _, b := range other.rules {
			both, ok := a.within(b)
			if ok && !seen[both.spell("")] {
				seen[both.spell("")] = true
				list = append(list, both)
			}
		}
	}
	return list
}

// of returns the rules about a type and a letter. Scopes of level system belong to backend tokens
// and say nothing to a user's.
func (set scopeSet) of(typ string, letter byte) []scopeRule {
	var list []scopeRule
	for _, r := range set.rules {
		if r.level != "system" && (r.typ == typ || r.typ == "*") && strings.IndexByte(r.letters, letter) >= 0 {
			list = append(list, r)
		}
	}
	return list
}

// matches tells whether a resource satisfies each parameter of the scope's query. A parameter that
// the server does not know matches nothing, so that it widens nothing.
func (r scopeRule) matches(typ string, resource map[string]any) bool {
	for _, p := range r.query {
		if p.name == "category" {
			if !overlap(scopeCategories(p.value), categoriesOf(resource)) {
				return false
			}
			continue
		}
		how, ok := searchParams[typ][p.name]
		if !ok || !how.matches(resource, alternatives(p.value)) {
			return false
		}
	}
	return true
}

// scopeCategories are the codes of a category query. Epic's sub-APIs are told apart by code, whatever
// system a site files it under.
func scopeCategories(value string) []string {
	var list []string
	for _, one := range alternatives(value) {
		list = append(list, lastToken(one))
	}
	return list
}

// touches tells whether the scope reaches something of a sub-API.
func (r scopeRule) touches(sub subAPI) bool {
	for _, p := range r.query {
		if p.name == "category" && !overlap(scopeCategories(p.value), sub.categories) {
			return false
		}
	}
	return true
}

// byUser tells whether somebody has signed in for the token.
func (g *grant) byUser() bool { return g.user != "" }

// patientFacing tells whether the token is a patient's or a proxy's.
func (g *grant) patientFacing() bool {
	return g.byUser() && !strings.HasPrefix(g.user, "Practitioner")
}

// letterOf is the letter of a read or a search.
func letterOf(interaction string) byte {
	if interaction == "Search" {
		return 's'
	}
	return 'r'
}

// may tells whether the token can be used for an interaction ("Read" or "Search") on a type: the app
// has an API for it, and a user's token a scope. What backend tokens may do is decided by the APIs
// alone, from which their scopes are derived.
func (g *grant) may(typ, interaction string) bool {
	return g.reg.grants.may(typ, interaction) && (!g.byUser() || len(g.scopes.of(typ, letterOf(interaction))) > 0)
}

// confined tells whether the token sees one patient only of a type: there is no scope of level user,
// or the user is no clinician.
func (g *grant) confined(typ string, letter byte) bool {
	return g.byUser() && (g.patientFacing() ||
		!slices.ContainsFunc(g.scopes.of(typ, letter), func(r scopeRule) bool { return r.level == "user" }))
}

// whole tells whether no query narrows what the scopes show of a type.
func (g *grant) whole(typ string, letter byte) bool {
	return !g.byUser() || slices.ContainsFunc(g.scopes.of(typ, letter), func(r scopeRule) bool { return len(r.query) == 0 })
}

// access sorts the type's sub-APIs by what the app's APIs and the token's scopes leave.
func (g *grant) access(typ, interaction string) access {
	all := accessTo(g.reg.grants, typ, interaction)
	if !g.byUser() {
		return all
	}
	rules := g.scopes.of(typ, letterOf(interaction))
	a := access{typ: typ, denied: all.denied}
	for _, sub := range all.granted {
		if slices.ContainsFunc(rules, func(r scopeRule) bool { return r.touches(sub) }) {
			a.granted = append(a.granted, sub)
		} else {
			a.denied = append(a.denied, sub)
		}
	}
	return a
}

// verdict is what a token's scopes say of one resource.
type verdict int

const (
	absent    verdict = iota // the token is not to learn that it exists
	otherPart                // it exists, in a part of the type that the scopes leave out
	shown
)

// judge applies the token's scopes to one resource: those of level patient reach the compartment of
// the patient in context, those of level user what the user may see. For a clinician that is everything,
// for a patient and a proxy the same compartment.
func (s *Server) judge(g *grant, at int32, letter byte) verdict {
	if !g.byUser() {
		return shown
	}
	typ := s.store.typeOf(at)
	if g.patientFacing() && s.undisclosed(at) {
		return absent
	}
	v := absent
	inside, asked := false, false
	for _, r := range g.scopes.of(typ, letter) {
		if r.level == "patient" || g.patientFacing() {
			if !asked {
				inside, asked = s.reaches(g, at), true
			}
			if !inside {
				continue
			}
		}
		if len(r.query) == 0 {
			return shown
		}
		v = otherPart
		if resource, err := s.decode(at); err == nil && r.matches(typ, resource) {
			return shown
		}
	}
	return v
}
