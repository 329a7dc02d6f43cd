package sim

import (
	"net/http"
	"net/url"
	"sort"
	"strings"
	"sync"
	"time"
)

// Exchange is one request and its answer, as the simulator remembers it: without the access
// token, without bodies, and in its JSON form without the values of parameters.
type Exchange struct {
	// Seq counts the exchanges from 1, in the order of their answers.
	Seq int64 `json:"seq"`
	// Time is the server's clock at the request.
	Time time.Time `json:"time"`
	// Method and Path are those of the request; Path holds at most opaque ids.
	Method string `json:"method"`
	Path   string `json:"path"`
	// Op is what the request was taken for: "authorize", "token", "introspect", "register",
	// "revoke", "style", "read", "search", "kickoff", "status",
	// "file", "delete", "metadata", "discovery", "keys" or "other".
	Op string `json:"op"`
	// Type is the resource type that the request was for.
	Type string `json:"type,omitempty"`
	// Params are the names of the query's parameters, in order of name.
	Params []string `json:"params,omitempty"`
	// Query is the query as received, empty for the OAuth endpoints, where it holds state and codes.
	// It stays out of the JSON form: values can be PHI.
	Query string `json:"-"`
	// Header is the request's header without Authorization, Cookie and the like. It stays out
	// of the JSON form.
	Header http.Header `json:"-"`
	// Client is the client id of the app, where it is known.
	Client string `json:"client,omitempty"`
	// Bearer tells whether an Authorization header came; Token is a short fingerprint that
	// tells one accepted token from another and cannot be turned back.
	Bearer bool   `json:"bearer"`
	Token  string `json:"token,omitempty"`
	// Status and Bytes describe the answer. A broken connection leaves what was sent so far.
	Status int   `json:"status"`
	Bytes  int64 `json:"bytes"`
	// Duration is how long the answer took.
	Duration time.Duration `json:"duration_ns"`
	// Reason says why the simulator refused, in words that Epic never sends.
	Reason string `json:"reason,omitempty"`
	// Notes are remarks: parameters that were ignored, say.
	Notes []string `json:"notes,omitempty"`
	// Fault names the fault that was played.
	Fault string `json:"fault,omitempty"`

	format  string // the parameter _format
	started time.Time
}

// logMax is how many exchanges are kept.
const logMax = 2000

// traffic is the log: the last exchanges.
type traffic struct {
	mu   sync.Mutex
	seq  int64
	list []*Exchange
}

func (t *traffic) begin(w http.ResponseWriter, r *http.Request, c call, now time.Time) *recorder {
	query := r.URL.Query()
	x := &Exchange{
		Time: now, Method: clip(r.Method), Path: r.URL.EscapedPath(), Op: c.op, Type: c.typ,
		Query: r.URL.RawQuery, Bearer: r.Header.Get("Authorization") != "",
		format: query.Get("_format"), started: time.Now(),
	}
	x.Params = names(query)
	x.Header = r.Header.Clone()
	switch c.op {
	case "authorize", "token", "introspect", "register", "revoke":
		x.Query = "" // state, launch, code, challenge
	}
	for _, secret := range []string{"Authorization", "Cookie", "Proxy-Authorization", "Referer"} {
		x.Header.Del(secret)
	}
	return &recorder{ResponseWriter: w, x: x, log: t}
}

func names(v url.Values) []string {
	list := make([]string, 0, len(v))
	for name := range v {
		list = append(list, clip(name))
	}
	sort.Strings(list)
	return list
}

// note puts an exchange into the log as it stands, or brings its entry up to date. That happens
// before each part of an answer leaves and at the end, so that whoever has the answer finds it.
func (t *traffic) note(rec *recorder, leaving int) Exchange {
	x := *rec.x
	x.Status, x.Bytes, x.Duration = rec.status, rec.sent+int64(leaving), time.Since(x.started)
	t.mu.Lock()
	defer t.mu.Unlock()
	if rec.entry != nil {
		x.Seq = rec.entry.Seq
		*rec.entry = x
		return x
	}
	t.seq++
	x.Seq = t.seq
	if len(t.list) >= logMax {
		t.list = append(t.list[:0], t.list[len(t.list)-logMax/2:]...)
	}
	rec.entry = &x
	t.list = append(t.list, rec.entry)
	return x
}

// Requests returns the last exchanges (up to 2,000), oldest first, controls apart.
func (s *Server) Requests() []Exchange {
	s.traffic.mu.Lock()
	defer s.traffic.mu.Unlock()
	list := make([]Exchange, 0, len(s.traffic.list))
	for _, x := range s.traffic.list {
		list = append(list, *x)
	}
	return list
}

// ForgetRequests empties the log.
func (s *Server) ForgetRequests() {
	s.traffic.mu.Lock()
	defer s.traffic.mu.Unlock()
	s.traffic.list = nil
}

// recorder counts what an answer sends, and cuts it where a fault says so.
type recorder struct {
	http.ResponseWriter
	x      *Exchange
	log    *traffic
	entry  *Exchange // in the log
	status int
	sent   int64
	cut    *cut
}

// Unwrap serves [http.ResponseController].
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the status of an answer; the first one counts.
func (w *recorder) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	if w.cut != nil && w.cut.kind == CutShort {
		w.Header().Del("Content-Length") // ended cleanly, so that nothing gives it away
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts what is sent, and cuts it where a fault says so.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.cut != nil {
		w.log.note(w, 0)
		return w.cut.write(w, b)
	}
	w.log.note(w, len(b))
	n, err := w.ResponseWriter.Write(b) //nolint:gosec // the content types are set; nothing echoes markup as HTML
	w.sent += int64(n)
	return n, err
}

// flushHeader gives a handler that wrote nothing its status.
func (w *recorder) flushHeader() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
}

func (w *recorder) note(text string) {
	if !strings.Contains(strings.Join(w.x.Notes, "\n"), text) {
		w.x.Notes = append(w.x.Notes, text)
	}
}
