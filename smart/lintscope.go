package smart

import (
	"slices"
	"strings"
)

// LaunchKind is how an application comes by its token.
type LaunchKind string

// The kinds of sign-in.
const (
	LaunchStandalone LaunchKind = "standalone" // the person opens the application
	LaunchEHR        LaunchKind = "ehr"        // the EHR opens it
	LaunchBackend    LaunchKind = "backend"    // there is no person
)

// ScopeLint checks what an application asks for before a server does, and tells nobody. What is not
// given is not checked. Rules, all of them warnings (SMART App Launch 2.2, "Scopes and Launch Context",
// and good sense):
//
//	S1   every type is asked for
//	S2   letters that write, and nobody declared a write
//	S3   versions 1 and 2 for one type
//	S4   fhirUser without openid, which gives no id_token
//	S5   no launch in an EHR launch
//	S6   patient/ scopes without launch or launch/patient
//	S7   offline_access for a public client: Epic gives it no refresh token
//	S8   online_access in a standalone launch
//	S9   a declared need that no scope covers
//	S10  more than the declared needs
//	S11  what looks like a resource scope and is none, letters out of order
//	S12  letters of version 2 at a server that lists permission-v1 alone
//	S13  a level that this kind of sign-in cannot give
type ScopeLint struct {
	// Asked is what is asked for, from ParseScopes: its texts are judged as well.
	Asked Scopes
	// Declared is what the application does: resource scopes. Nil: not known.
	Declared Scopes
	// Launch is the kind of sign-in. Empty: not known.
	Launch LaunchKind
	// Public says that the client has neither key nor secret.
	Public bool
	// Configuration is what discovery said. Nil: not known.
	Configuration *Configuration
}

// Findings runs all rules, in their order. None: nothing to say. Instead is the shortest form of what
// to ask for in place of the scope, or of all that is asked for.
func (l ScopeLint) Findings() []Finding {
	r := &report{}
	for _, s := range l.Asked.Shortest() {
		if s.Type == "*" {
			l.warn(r, "S1", s.String()+" asks for every type", l.needed(s))
		}
	}
	l.needs(r)
	l.versions(r)
	l.words(r)
	for _, s := range l.Asked {
		l.spelling(r, s)
		l.level(r, s)
	}
	slices.SortStableFunc(r.found, func(a, b Finding) int {
		return len(a.Rule)*100 - len(b.Rule)*100 + strings.Compare(a.Rule, b.Rule)
	})
	return r.found
}

func (l ScopeLint) warn(r *report, rule, text, instead string) {
	for _, f := range r.found {
		if f.Rule == rule && f.Text == text {
			return
		}
	}
	r.found = append(r.found, Finding{Rule: rule, Severity: SeverityWarning, Text: text, Instead: instead})
}

// needed is the part of the declared needs for which a scope was meant.
func (l ScopeLint) needed(s Scope) string {
	var out Scopes
	for _, d := range l.Declared {
		if d.Level == "" || d.Level != s.Level || s.Type != "*" && s.Type != d.Type {
			continue
		}
		if both := common(s.Actions, d.Actions); both != "" {
			out = append(out, d.only(both))
		}
	}
	return l.write(out)
}

// write is a list in the version that is asked in: words where only words were written.
func (l ScopeLint) write(s Scopes) string {
	words := false
	for _, a := range l.Asked {
		if a.Level != "" && !a.writtenV1() {
			return s.String()
		}
		words = words || a.Level != ""
	}
	if words {
		return s.Version1()
	}
	return s.String()
}

// with is all that is asked for and one scope more.
func (l ScopeLint) with(text string) string {
	return l.write(append(slices.Clone(l.Asked), Scope{Text: text}))
}

func (l ScopeLint) but(text string) string {
	return l.write(slices.DeleteFunc(slices.Clone(l.Asked), func(s Scope) bool { return s.Level == "" && s.Text == text }))
}

// needs compares with what was declared: S2, S9, S10.
func (l ScopeLint) needs(r *report) {
	if l.Declared == nil {
		return
	}
	for _, s := range l.Asked.Shortest() {
		if s.Level == "" {
			continue
		}
		over := s.Actions
		if s.Type != "*" {
			over = l.Declared.uncovered(s)
		}
		if writes := without(common(s.Actions, "cud"), l.declared(s)); writes != "" {
			l.warn(r, "S2", s.String()+" asks to write ("+writes+"), and no need to write was declared", l.needed(s))
		}
		reads := without(over, "cud")
		if s.Type == "*" && slices.ContainsFunc(l.Declared, func(d Scope) bool { return d.Level == s.Level && d.Type == "*" }) {
			reads = without(l.Declared.uncovered(s), "cud")
		}
		if reads != "" {
			l.warn(r, "S10", s.String()+" is more than the declared needs", l.needed(s))
		}
	}
	for _, d := range l.Asked.Missing(resourceScopes(l.Declared)) {
		l.warn(r, "S9", d.String()+" is needed, and nothing that is asked for covers it", l.write(append(slices.Clone(l.Asked), d)))
	}
}

// declared are the letters that declared needs of the scope's level and type have.
func (l ScopeLint) declared(s Scope) string {
	letters := ""
	for _, d := range l.Declared {
		if d.Level == s.Level && (d.Type == s.Type || d.Type == "*" || s.Type == "*") {
			letters += d.Actions
		}
	}
	return inOrder(letters)
}

func resourceScopes(s Scopes) Scopes {
	return slices.DeleteFunc(slices.Clone(s), func(one Scope) bool { return one.Level == "" })
}

// versions finds mixed ones, and those that the server lacks: S3, S12.
func (l ScopeLint) versions(r *report) {
	v1, v2 := map[string]bool{}, map[string]bool{}
	for _, s := range l.Asked {
		if s.Level == "" || s.Text == "" {
			continue
		}
		if s.writtenV1() {
			v1[s.Type] = true
		} else {
			v2[s.Type] = true
		}
	}
	for _, s := range l.Asked.Shortest() {
		if s.Level == "" {
			continue
		}
		if v1[s.Type] && v2[s.Type] {
			l.warn(r, "S3", s.Type+" is asked for in version 1 and version 2", l.Asked.ofType(s.Type).String())
		}
		if c := l.Configuration; v2[s.Type] && c != nil && c.Has("permission-v1") && !c.Has("permission-v2") {
			l.warn(r, "S12", "the server lists scopes of version 1 alone", l.Asked.Version1())
		}
	}
}

func (s Scopes) ofType(typ string) Scopes {
	return slices.DeleteFunc(slices.Clone(s), func(one Scope) bool { return one.Level == "" || one.Type != typ })
}

// words judges what is not a resource scope: S4 to S8.
func (l ScopeLint) words(r *report) {
	patient := slices.ContainsFunc(l.Asked, func(s Scope) bool { return s.Level == "patient" })
	context := slices.ContainsFunc(l.Asked, func(s Scope) bool {
		return s.Level == "" && (s.Text == "launch" || s.Text == "launch/patient" || strings.HasPrefix(s.Text, "launch/patient?"))
	})
	if l.Asked.Has("fhirUser") && !l.Asked.Has("openid") {
		l.warn(r, "S4", "fhirUser without openid tells nothing", l.with("openid"))
	}
	missing := l.Launch == LaunchEHR && !l.Asked.Has("launch")
	if missing {
		l.warn(r, "S5", "launch is missing in an EHR launch", l.with("launch"))
	}
	if patient && !context && !missing && l.Launch != LaunchBackend {
		l.warn(r, "S6", "patient/ scopes without launch or launch/patient: there may be no patient", l.with("launch/patient"))
	}
	if l.Public && l.Asked.Has("offline_access") {
		l.warn(r, "S7", "offline_access for a public client: Epic gives it no refresh token", l.but("offline_access"))
	}
	if l.Launch == LaunchStandalone && l.Asked.Has("online_access") {
		l.warn(r, "S8", "online_access in a standalone launch: there is no session of the EHR that it could follow", l.but("online_access"))
	}
}

// spelling finds what is read here and perhaps not there: S11.
func (l ScopeLint) spelling(r *report, s Scope) {
	if s.Level == "" {
		head, _, _ := strings.Cut(s.Text, "/")
		if head == "patient" || head == "user" || head == "system" {
			l.warn(r, "S11", quote(s.Text)+" is no resource scope", "")
		}
		return
	}
	body, _, _ := strings.Cut(s.Text, "?")
	letters := body[strings.LastIndexByte(body, '.')+1:]
	if s.Text != "" && !s.writtenV1() && letters != s.Actions {
		l.warn(r, "S11", s.Text+" has letters in an order or case that servers may refuse", s.String())
	}
}

// level finds levels that a sign-in of the kind has not: S13.
func (l ScopeLint) level(r *report, s Scope) {
	switch {
	case s.Level == "" || l.Launch == "":
	case l.Launch == LaunchBackend && s.Level != "system":
		s.Level = "system"
		l.warn(r, "S13", "a program without a person gets system/ scopes alone", l.write(Scopes{s}))
	case l.Launch != LaunchBackend && s.Level == "system":
		l.warn(r, "S13", "system/ scopes are for programs without a person", "")
	}
}
