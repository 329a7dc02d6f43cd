package sim

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// refreshToken is one link of a sign-in's chain.
type refreshToken struct {
	family *family
	used   bool
}

// newRefresh makes the next refresh token of a sign-in. Used ones stay known until the sign-in ends,
// so that their reuse is noticed.
func (s *Server) newRefresh(f *family) string {
	token := s.random.opaque()
	now := s.clock.now()
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	s.auth.refresh.put(token, &refreshToken{family: f}, f.ends, now)
	return token
}

// refreshGrant answers grant_type=refresh_token (RFC 6749 section 6). With rolling tokens the reuse of
// an old one ends the sign-in (RFC 9700 section 4.14.2).
func (s *Server) refreshGrant(w *recorder, r *http.Request, form url.Values) {
	reg, ok := s.authenticate(w, r, form)
	if !ok {
		return
	}
	if form.Get("refresh_token") == "" {
		s.refuseToken(w, "invalid_request", "refresh_token is missing")
		return
	}
	now := s.clock.now()
	s.auth.mu.Lock()
	t, known := s.auth.refresh.get(form.Get("refresh_token"), now)
	reason, code, again := "", "invalid_grant", false
	switch {
	case !known:
		reason = "the refresh token is unknown or expired"
	case t.family.reg.ClientID != reg.ClientID:
		reason = "the refresh token was given to another client"
	case !now.Before(t.family.ends):
		reason = "the sign-in has reached its absolute end"
	case t.used:
		reason, again = "the refresh token was used before; the sign-in is ended", true
	case !within(form.Get("scope"), t.family.scope):
		reason, code = "scope goes beyond what was granted", "invalid_scope"
	}
	if reason == "" && s.knobs.Refresh != "same" {
		t.used = true
		if s.knobs.Refresh == "indefinite" {
			t.family.ends = now.Add(t.family.span)
		}
	}
	s.auth.mu.Unlock()
	if again {
		s.endFamily(t.family)
	}
	if reason != "" {
		s.refuseToken(w, code, reason)
		return
	}
	f := t.family
	if narrowed := strings.Join(strings.Fields(form.Get("scope")), " "); narrowed != "" {
		f = f.narrower(reg, narrowed)
	}
	next := ""
	if s.knobs.Refresh != "same" {
		next = s.newRefresh(t.family)
	}
	s.answerToken(w, f, next, "", false)
}

// within tells whether each scope asked for at a refresh was granted before, on its own or as part of a
// wider one.
func within(asked, granted string) bool {
	need, have := parseScopes(asked), parseScopes(granted)
	for _, word := range need.plain {
		if !slices.Contains(have.plain, word) {
			return false
		}
	}
	for _, r := range need.rules {
		for _, letter := range r.letters {
			if !slices.ContainsFunc(have.rules, func(g scopeRule) bool {
				return g.level == r.level && (g.typ == r.typ || g.typ == "*") && strings.ContainsRune(g.letters, letter) &&
					(len(g.query) == 0 || slices.EqualFunc(g.query, r.query, samePair))
			}) {
				return false
			}
		}
	}
	return true
}

// endFamily ends a sign-in: its access tokens, its refresh tokens and its dynamic clients.
func (s *Server) endFamily(f *family) {
	f = f.root()
	s.tokens.mu.Lock()
	f.ended = true
	for id, g := range s.tokens.byID {
		if g.family != nil && g.family.root() == f {
			delete(s.tokens.byID, id)
		}
	}
	s.tokens.mu.Unlock()
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	s.auth.refresh.dropIf(func(t *refreshToken) bool { return t.family.root() == f })
	s.auth.dynamic.dropIf(func(d *registration) bool { return d.family.root() == f })
}
