package sim

import "net/http"

// revoke answers the revocation endpoint (RFC 7009), which Epic does not have: knob revocation.
func (s *Server) revoke(w *recorder, r *http.Request) {
	tokenHeaders(w)
	if r.Method != http.MethodPost {
		s.methodNotAllowed(w, r)
		return
	}
	form, reason := tokenForm(w, r)
	if reason != "" {
		s.refuseToken(w, "invalid_request", reason)
		return
	}
	reg, ok := s.authenticate(w, r, form)
	if !ok {
		return
	}
	if form.Get("token") == "" {
		s.refuseToken(w, "invalid_request", "token is missing")
		return
	}
	g, f, _ := s.lookup(form.Get("token"))
	switch {
	case f != nil && f.reg.ClientID == reg.ClientID:
		s.endFamily(f)
	case g != nil && g.family == nil && g.reg.ClientID == reg.ClientID:
		s.tokens.mu.Lock()
		for id, have := range s.tokens.byID {
			if have == g {
				delete(s.tokens.byID, id)
			}
		}
		s.tokens.mu.Unlock()
	default:
		w.x.Reason = "nothing to revoke: the token is unknown or another client's"
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}
