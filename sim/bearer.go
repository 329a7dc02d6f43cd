package sim

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// bearer finds the grant of the request's token. If there is none it has answered.
func (s *Server) bearer(w *recorder, r *http.Request) (*grant, bool) {
	header := r.Header.Get("Authorization")
	if header == "" {
		w.x.Reason = "no Authorization header"
		fhirHeaders(w)
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.WriteHeader(http.StatusUnauthorized)
		return nil, false
	}
	scheme, token, _ := strings.Cut(header, " ")
	sum := sha256.Sum256([]byte(token))
	now := s.clock.now()
	s.tokens.mu.Lock()
	g := s.tokens.byID[sum]
	limited, wait := false, time.Duration(0)
	if g != nil && now.Before(g.expires) {
		limited, wait = g.throttle(s.knobs.RateLimit, now)
	}
	s.tokens.mu.Unlock()
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		s.invalidToken(w, "the Authorization scheme is not Bearer")
	case g == nil:
		s.invalidToken(w, "the access token is unknown or revoked")
	case !now.Before(g.expires):
		w.x.Client, w.x.Token = g.reg.ClientID, g.print
		s.invalidToken(w, "the access token has expired")
	case limited:
		w.x.Client, w.x.Token = g.reg.ClientID, g.print
		s.tooMany(w, r, wait)
	default:
		w.x.Client, w.x.Token = g.reg.ClientID, g.print
		switch s.classify(r).op {
		case "kickoff", "status", "file", "delete":
			if g.byUser() { // bulk export is for backend systems (Epic's bulk tutorial, medium)
				s.insufficientScope(w, "a user's token is no use for bulk export")
				return nil, false
			}
		}
		return g, true
	}
	return nil, false
}

// invalidToken is the recorded 401: JSON by name, two quotation marks by content (capture, high).
func (s *Server) invalidToken(w *recorder, reason string) {
	w.x.Reason = reason
	fhirHeaders(w)
	h := w.Header()
	h.Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="The access token provided is not valid"`)
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", "2")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = w.Write([]byte(`""`))
}

// insufficientScope is the recorded 403: no body, no Content-Type (Epic's troubleshooting page
// and captures, high).
func (s *Server) insufficientScope(w *recorder, reason string) {
	w.x.Reason = reason
	h := w.Header()
	h.Set("WWW-Authenticate", `Bearer error="insufficient_scope", error_description="The access token provided is valid, but is not authorized for this service"`)
	h["Content-Type"] = nil
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusForbidden)
}

// throttle counts a request of the token in its current minute and tells how long to wait.
func (g *grant) throttle(perMinute int, now time.Time) (bool, time.Duration) {
	if perMinute <= 0 {
		return false, 0
	}
	if now.Sub(g.window) >= time.Minute || now.Before(g.window) {
		g.window, g.counted = now, 0
	}
	g.counted++
	return g.counted > perMinute, g.window.Add(time.Minute).Sub(now)
}

// tooMany is the integration guide's limit; Epic's record knows none.
func (s *Server) tooMany(w *recorder, r *http.Request, wait time.Duration) {
	w.x.Reason = "more requests in this minute than the knob rest_429 allows"
	w.Header().Set("Retry-After", strconv.Itoa(seconds(wait)))
	s.sendResource(w, r, http.StatusTooManyRequests, outcome{{
		Severity: "fatal", Code: "throttled", Details: details{Text: "Too many requests."},
	}}.json())
}

// seconds rounds a duration up to whole seconds, at least one.
func seconds(d time.Duration) int {
	return max(1, int((d+time.Second-1)/time.Second))
}
