package smart

import (
	"cmp"
	"slices"
	"strings"
)

// Scopes are a list of scopes. Lists are compared by what they cover, never as texts: servers answer
// with other versions, one letter at a time, in another order, with more or with less.
type Scopes []Scope

// String is the list in its shortest form in version 2: one scope for each level, type and filter.
// What is not a resource scope comes first; both parts are sorted.
func (s Scopes) String() string { return s.join(Scope.String) }

// Version1 is the list in words of version 1, for servers without the capability permission-v2. It may
// say more than the list: r or s alone become read, c, u or d alone become write, and there are no
// filters.
func (s Scopes) Version1() string {
	var wide Scopes
	for _, one := range s {
		if one.Level != "" {
			var letters string
			if strings.ContainsAny(one.Actions, "rs") {
				letters = "rs"
			}
			if strings.ContainsAny(one.Actions, "cud") {
				letters += "cud"
			}
			one = Scope{Level: one.Level, Type: one.Type, Actions: letters}
		}
		wide = append(wide, one)
	}
	return wide.join(func(one Scope) string {
		for word, letters := range versionOne {
			if one.Level != "" && one.Actions == letters {
				return one.Level + "/" + one.Type + "." + word
			}
		}
		return one.String()
	})
}

func (s Scopes) join(write func(Scope) string) string {
	var words []string
	for _, one := range s.Shortest() {
		words = append(words, write(one))
	}
	return strings.Join(words, " ")
}

// Shortest is the list with one scope for each level, type and filter, in the order of String.
func (s Scopes) Shortest() Scopes {
	at := map[Scope]int{}
	var out Scopes
	for _, one := range s {
		k := one.key()
		letters := k.Actions
		k.Actions = ""
		if k == (Scope{}) || k.Level != "" && letters == "" {
			continue
		}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, k)
		}
		out[i].Actions = inOrder(out[i].Actions + letters)
	}
	slices.SortFunc(out, func(a, b Scope) int {
		return cmp.Or(strings.Compare(a.Level, b.Level), strings.Compare(a.Type, b.Type),
			strings.Compare(a.Query, b.Query), strings.Compare(a.Text, b.Text))
	})
	return out
}

// Has reports whether the list holds a scope that is not a resource scope, such as "openid" or
// "launch/patient".
func (s Scopes) Has(text string) bool {
	return text != "" && slices.ContainsFunc(s, func(one Scope) bool { return one.Level == "" && one.Text == text })
}

// Covers reports whether the list, as granted, is enough for a scope that is needed: for each of its
// letters there is one of the same level, of the type or of every type, that has the letter and no
// filter that the needed one does not fulfil.
//
// Filters never add up: laboratory and vital signs together do not cover all observations. Levels do
// not replace each other. A read of a single resource under a filter may still be refused.
func (s Scopes) Covers(need Scope) bool {
	if need.Level == "" {
		return s.Has(need.Text)
	}
	letters := inOrder(need.Actions)
	return letters != "" && s.uncovered(need) == ""
}

// Missing is the part of what is needed that the list does not cover, letter by letter.
func (s Scopes) Missing(need Scopes) Scopes {
	var out Scopes
	for _, n := range need {
		if n.Level != "" {
			if letters := s.uncovered(n); letters != "" {
				out = append(out, n.only(letters))
			}
		} else if !s.Has(n.Text) {
			out = append(out, n)
		}
	}
	return out.Shortest()
}

// uncovered are the letters of a resource scope that the list does not cover.
func (s Scopes) uncovered(need Scope) string {
	want, readable := filterOf(need)
	letters := inOrder(need.Actions)
	if !readable {
		return letters
	}
	for _, g := range s {
		if g.Level != need.Level || g.Type != need.Type && g.Type != "*" {
			continue
		}
		if f, ok := filterOf(g); ok && f.admits(want) {
			letters = without(letters, g.Actions)
		}
	}
	return letters
}

func common(a, b string) string { return without(a, without(a, b)) }

func without(letters, less string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(less, r) {
			return -1
		}
		return r
	}, letters)
}

// ScopeDiff is what was asked for against what was granted. Each part of what was asked for and is not
// covered stands in one of Missing, Narrower, Elsewhere and Unsaid.
type ScopeDiff struct {
	// Missing was not granted in any form.
	Missing Scopes `json:"missing,omitempty"`
	// Extra was granted and not asked for. Epic adds what is registered for the app.
	Extra Scopes `json:"extra,omitempty"`
	// Narrower was granted in part: under a filter, or for some types of "*".
	Narrower []ScopePart `json:"narrower,omitempty"`
	// Elsewhere was granted at another level, such as user in place of patient: a request may
	// succeed, and shows other people's data.
	Elsewhere []ScopePart `json:"elsewhere,omitempty"`
	// Unsaid is what the answer does not repeat and need not: launch, launch/…, openid,
	// fhirUser, profile, offline_access, online_access. Whether they took effect shows in the
	// rest of the answer.
	Unsaid Scopes `json:"unsaid,omitempty"`
}

// ScopePart is a scope that was asked for and what was granted in its place.
type ScopePart struct {
	Asked   Scope  `json:"asked"`
	Granted Scopes `json:"granted"`
}

// Full reports whether everything that was asked for is covered, or need not be repeated.
func (d ScopeDiff) Full() bool {
	return len(d.Missing) == 0 && len(d.Narrower) == 0 && len(d.Elsewhere) == 0
}

// DiffScopes compares what was asked for with what was granted.
func DiffScopes(asked, granted Scopes) ScopeDiff {
	var d ScopeDiff
	granted = granted.Shortest()
	explained := slices.Clone(asked)
	for _, lack := range granted.Missing(asked) {
		if lack.Level == "" {
			if knownText(lack.Text) {
				d.Unsaid = append(d.Unsaid, lack)
			} else {
				d.Missing = append(d.Missing, lack)
			}
			continue
		}
		left := lack.Actions
		if part, letters := granted.parts(lack, left, narrower); letters != "" {
			d.Narrower = append(d.Narrower, ScopePart{lack.only(letters), part})
			left = without(left, letters)
		}
		if part, letters := granted.parts(lack, left, elsewhere); letters != "" {
			d.Elsewhere = append(d.Elsewhere, ScopePart{lack.only(letters), part})
			explained = append(explained, part...)
			left = without(left, letters)
		}
		if left != "" {
			d.Missing = append(d.Missing, lack.only(left))
		}
	}
	d.Extra = explained.Missing(granted)
	return d
}

// parts are the grants that stand in for some of the letters of what lacks, and those letters.
func (s Scopes) parts(lack Scope, letters string, fits func(grant, lack Scope) bool) (part Scopes, found string) {
	for _, g := range s {
		both := common(letters, g.Actions)
		if g.Level != "" && both != "" && fits(g, lack) {
			part = append(part, g.only(both))
			found = inOrder(found + both)
		}
	}
	return part, found
}

// narrower reports whether a grant is a part of what lacks: it would be covered by it, or overlaps it
// under another filter.
func narrower(g, lack Scope) bool {
	return g.Level == lack.Level && (g.Type == lack.Type || lack.Type == "*" || g.Type == "*")
}

// elsewhere reports whether a grant would cover what lacks if levels did not matter.
func elsewhere(g, lack Scope) bool {
	if g.Level == lack.Level {
		return false
	}
	g.Level = lack.Level
	return Scopes{g}.uncovered(lack.only(g.Actions)) == ""
}
