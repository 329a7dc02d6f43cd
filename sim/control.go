package sim

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const controlPrefix = "/_sim/"

func isControl(path string) bool {
	return path == "/_sim" || strings.HasPrefix(path, controlPrefix)
}

// control answers the simulator's own paths:
//
//	GET /_sim/log[?since=SEQ]   exchanges, redacted        DELETE empties the log
//	GET, POST, DELETE /_sim/faults   list, set one, heal all
//	GET, POST /_sim/clock   {"now","advance","skew"}; POST {"advance":"61m"}, {"skew":"10m"}
//	POST /_sim/revoke   {"client_id":…}; ends its access and refresh tokens
//	POST /_sim/reset    faults, log, tokens, sessions, exports, clock as at the start
//	GET /_sim/knobs     every knob with default and value
//	GET, POST /_sim/apps   registrations without secrets; POST registers or replaces one
//	GET /_sim/users     who can sign in, passwords included
//	POST /_sim/launch   a Launch; answers {"launch","url"}, what the EHR would open
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	if !s.InsecureRemoteControl && !localRequest(r) {
		http.Error(w, "sim: the controls answer loopback only", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	w.Header().Set("Cache-Control", "no-store")
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, controlPrefix) {
	case "GET log":
		s.controlLog(w, r)
	case "DELETE log":
		s.ForgetRequests()
		w.WriteHeader(http.StatusNoContent)
	case "GET faults":
		writeControl(w, map[string]any{"faults": s.Faults()})
	case "POST faults":
		var f Fault
		if !readControl(w, r, &f) {
			return
		}
		if err := s.Fail(f); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeControl(w, map[string]any{"faults": s.Faults()})
	case "DELETE faults":
		s.Heal()
		w.WriteHeader(http.StatusNoContent)
	case "GET clock":
		s.writeClock(w)
	case "POST clock":
		s.controlClock(w, r)
	case "POST revoke":
		var v struct {
			ClientID string `json:"client_id"`
		}
		if readControl(w, r, &v) {
			writeControl(w, map[string]any{"revoked": s.Revoke(v.ClientID)})
		}
	case "POST reset":
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	case "GET knobs":
		s.writeKnobs(w)
	case "GET apps":
		s.writeApps(w)
	case "POST apps":
		var app App
		if !readControl(w, r, &app) {
			return
		}
		if err := s.Register(app); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.writeApps(w)
	case "GET users":
		writeControl(w, map[string]any{"users": s.UserList()})
	case "POST launch":
		s.controlLaunch(w, r)
	default:
		http.Error(w, "sim: no such control", http.StatusNotFound)
	}
}

// localRequest tells whether a program on this machine asks, and not a web page through its
// reader's browser: the peer and the Host header are loopback, and no page's origin shows.
func localRequest(r *http.Request) bool {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !loopbackHost(peer) {
		return false
	}
	host := (&url.URL{Host: r.Host}).Hostname()
	if !loopbackHost(host) {
		return false
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return r.Header.Get("Origin") == "" && (site == "" || site == "same-origin" || site == "none")
}

func (s *Server) writeApps(w http.ResponseWriter) {
	list := s.Registered()
	for i := range list {
		list[i].Secret = ""
	}
	writeControl(w, map[string]any{"apps": list})
}

// controlLaunch makes a launch token and the address that opens the app with it.
func (s *Server) controlLaunch(w http.ResponseWriter, r *http.Request) {
	var l Launch
	if !readControl(w, r, &l) {
		return
	}
	token, err := s.newLaunch(l, s.base(r))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	address := ""
	if reg, _ := s.apps.find(l.ClientID, s.clock.now()); reg != nil && reg.LaunchURL != "" {
		sep := "?"
		if strings.Contains(reg.LaunchURL, "?") {
			sep = "&"
		}
		address = reg.LaunchURL + sep + url.Values{"iss": {s.base(r)}, "launch": {token}}.Encode()
	}
	writeControl(w, map[string]any{"launch": token, "url": address})
}

func (s *Server) controlLog(w http.ResponseWriter, r *http.Request) {
	since, _ := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
	list := []Exchange{}
	for _, x := range s.Requests() {
		if x.Seq > since {
			list = append(list, x)
		}
	}
	writeControl(w, map[string]any{"exchanges": list})
}

func (s *Server) controlClock(w http.ResponseWriter, r *http.Request) {
	var v struct {
		Advance string `json:"advance"`
		Skew    string `json:"skew"`
	}
	if !readControl(w, r, &v) {
		return
	}
	advance, errA := parseSpan(v.Advance)
	skew, errS := parseSpan(v.Skew)
	if errA != nil || errS != nil || advance < 0 {
		http.Error(w, "sim: clock: a duration such as 61m or 24h is wanted", http.StatusBadRequest)
		return
	}
	s.Advance(advance)
	if v.Skew != "" {
		s.Skew(skew)
	}
	s.writeClock(w)
}

func parseSpan(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	return time.ParseDuration(text)
}

func (s *Server) writeClock(w http.ResponseWriter) {
	s.clock.mu.Lock()
	advance, skew := s.clock.advance, s.clock.skew
	s.clock.mu.Unlock()
	writeControl(w, map[string]any{"now": s.Now().UTC(), "advance": advance.String(), "skew": skew.String()})
}

func (s *Server) writeKnobs(w http.ResponseWriter) {
	type row struct {
		Name    string `json:"name"`
		Default string `json:"default"`
		Value   any    `json:"value"`
		Values  string `json:"values"`
		Doc     string `json:"doc"`
	}
	list := []row{}
	knobs := s.knobs
	for _, k := range ListKnobs() {
		var value any
		switch p := k.field(&knobs).(type) {
		case *string:
			value = *p
		case *int:
			value = *p
		case *bool:
			value = *p
		case *negated:
			value = !bool(*p)
		case *time.Duration:
			value = p.String()
		}
		list = append(list, row{k.Name, k.Default, value, k.Values, k.Doc})
	}
	writeControl(w, map[string]any{"knobs": list})
}

// Reset forgets faults, log, tokens, sign-ins, launches, dynamic clients, used assertions, key sets, paging sessions and exports,
// and sets the clock right. Apps and population stay.
func (s *Server) Reset() {
	s.setup()
	s.Heal()
	s.ForgetRequests()
	s.Revoke("")
	s.auth.clear()
	s.replay.mu.Lock()
	s.replay.seen = nil
	s.replay.mu.Unlock()
	s.keysets.mu.Lock()
	s.keysets.byID = nil
	s.keysets.mu.Unlock()
	s.sessions.clear()
	s.jobs.clear()
	s.clock.mu.Lock()
	s.clock.advance, s.clock.skew = 0, 0
	s.clock.mu.Unlock()
}

func readControl(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		http.Error(w, "sim: the body is not the JSON this control wants: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func writeControl(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(append(encode(v), '\n'))
}
