package sim

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"
	"time"
)

// lookup finds a token of either kind: the grant of an access token, the sign-in of both. What has
// expired or was used up is not found. The time is its end.
func (s *Server) lookup(token string) (*grant, *family, time.Time) {
	now := s.clock.now()
	s.tokens.mu.Lock()
	g := s.tokens.byID[sha256.Sum256([]byte(token))]
	s.tokens.mu.Unlock()
	if g != nil && now.Before(g.expires) {
		return g, g.family, g.expires
	}
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	if t, ok := s.auth.refresh.get(token, now); ok && !t.used && now.Before(t.family.ends) {
		return nil, t.family, t.family.ends
	}
	return nil, nil, time.Time{}
}

// introspect answers the endpoint that discovery does not name (RFC 7662): authorized by an access
// token, about tokens of the same client. The members and their order are a capture's (high).
func (s *Server) introspect(w *recorder, r *http.Request) {
	if r.Method != http.MethodPost {
		tokenHeaders(w)
		s.methodNotAllowed(w, r)
		return
	}
	own, ok := s.bearer(w, r)
	if !ok {
		return
	}
	tokenHeaders(w)
	form, reason := tokenForm(w, r)
	if reason == "" && form.Get("token") == "" {
		reason = "token is missing"
	}
	if reason != "" {
		s.refuseToken(w, "invalid_request", reason)
		return
	}
	g, f, ends := s.lookup(form.Get("token"))
	var a answerBody
	if g == nil && f == nil || g != nil && g.reg.ClientID != own.reg.ClientID || g == nil && f.reg.ClientID != own.reg.ClientID {
		w.x.Reason = "the token is unknown, expired, used up or another client's"
		a.add("active", false)
		w.sendJSON(http.StatusOK, "application/json", a.json())
		return
	}
	scope, user := "", ""
	if f != nil {
		scope, user = f.scope, f.user
	}
	if g != nil {
		scope, user = g.scope, g.user
	}
	a.add("active", true)
	a.add("scope", scope)
	a.add("client_id", own.reg.ClientID)
	if f != nil {
		a.text("username", f.login)
	}
	a.add("exp", ends.Unix())
	_, sub, _ := strings.Cut(user, "/")
	a.text("sub", sub)
	a.add("iss", s.issuer(r))
	a.add("jti", s.random.uuid())
	if f != nil {
		kind := "EMP"
		if !strings.HasPrefix(user, "Practitioner") {
			kind = "WPR"
		}
		a.add("epic_user_type", kind)
		a.text("patient", f.launch.Patient)
		a.text("encounter", f.launch.Encounter)
		if slices.Contains(strings.Fields(f.scope), "fhirUser") {
			a.add("fhirUser", s.base(r)+"/"+user)
		}
	}
	w.sendJSON(http.StatusOK, "application/json", a.json())
}
