package sim

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// durations are what a patient may choose for persistent access: from an hour to months (medium).
var durations = []struct {
	Value, Text string
	span        time.Duration
}{
	{"1h", "1 hour", time.Hour},
	{"1d", "1 day", 24 * time.Hour},
	{"1w", "1 week", 7 * 24 * time.Hour},
	{"30d", "30 days", 30 * 24 * time.Hour},
	{"90d", "90 days", 90 * 24 * time.Hour},
	{"180d", "6 months", 180 * 24 * time.Hour},
}

// consent takes the user's decision.
func (s *Server) consent(w *recorder, q *request, id string, form url.Values) {
	span := time.Duration(0)
	for _, d := range durations {
		if d.Value == form.Get("duration") {
			span = d.span
		}
	}
	switch form.Get("decision") {
	case "allow":
		if s.takePending(id) {
			s.sendCode(w, q, span)
			return
		}
		s.wrongPage(w, "the sign-in is unknown, finished or too old")
	case "deny":
		s.takePending(id)
		s.sendBack(w, q, url.Values{"error": {"access_denied"}}, "access_denied: the user refused")
	default:
		s.wrongPage(w, "neither allow nor deny")
	}
}

// persists tells whether the sign-in gives refresh tokens: a confidential app with persistent access
// that asked for offline_access (Epic's OAuth 2.0 specification, high).
func (q *request) persists() bool {
	return q.reg.auth() != AuthNone && q.reg.Persistent && slices.Contains(q.asked, "offline_access")
}

var plainScopes = []string{"openid", "fhirUser", "profile", "launch", "launch/patient", "launch/encounter", "online_access", "offline_access"}

// dynamicScope lets the token of a sign-in register a dynamic client (medium).
const dynamicScope = "system/dynamicClient.register"

// unknownScopes are those asked for that the registration does not hold.
func (s *Server) unknownScopes(reg *registration, asked []string) []string {
	var list []string
	have := parseScopes(strings.Join(s.scopeList(reg, "patient"), " "))
	for _, text := range asked {
		if slices.Contains(plainScopes, text) || text == dynamicScope && reg.Dynamic {
			continue
		}
		a, ok := parseScope(text)
		if !ok || a.level == "system" || !slices.ContainsFunc(have.rules, func(b scopeRule) bool {
			return a.typ == "*" || a.typ == b.typ && strings.ContainsAny(a.letters, b.letters)
		}) {
			list = append(list, text)
		}
	}
	return list
}

// granted spells the scopes of a sign-in: of the words those that have an effect, and of the registered
// APIs' scopes all (or, with the knob scope_grant=asked, those asked for).
func (s *Server) granted(q *request) string {
	var list []string
	add := func(scope string) {
		if !slices.Contains(list, scope) {
			list = append(list, scope)
		}
	}
	for _, text := range q.asked {
		switch text {
		case "openid", "fhirUser", "profile":
			add(text)
		case "launch":
			if q.ticket != nil {
				add(text)
			}
		case "launch/patient":
			if q.patient != "" {
				add(text)
			}
		case "launch/encounter":
			if q.ticket != nil && q.ticket.Encounter != "" {
				add(text)
			}
		case "offline_access":
			if q.persists() {
				add(text)
			}
		case dynamicScope:
			if q.reg.Dynamic {
				add(text)
			}
		}
	}
	own := "user"
	if isMyChart(q.who) {
		own = "patient"
	}
	if s.knobs.ScopeGrant == "registered" {
		for _, scope := range s.scopeList(q.reg, own) {
			add(scope)
		}
	}
	for _, a := range parseScopes(strings.Join(q.asked, " ")).rules {
		if a.level == "system" || a.level == "user" && own == "patient" || a.level == "patient" && q.patient == "" {
			continue
		}
		registered := parseScopes(strings.Join(s.scopeList(q.reg, a.level), " "))
		for _, r := range (scopeSet{rules: []scopeRule{a}}).within(registered) {
			add(r.spell(q.reg.ScopeVersion))
		}
	}
	return strings.Join(list, " ")
}
