package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/andironhq/andiron/epic"
)

// How a fault cuts an answer's body; see Fault.Cut.
const (
	// CutReset breaks the connection (TCP reset where possible).
	CutReset = "reset"
	// CutShort ends the answer cleanly, as if it were whole.
	CutShort = "short"
	// CutStall sends nothing more and keeps the connection open.
	CutStall = "stall"
)

// Fault is something that goes wrong. Its first group of fields says with which requests,
// the second when, the third what happens. Empty matches everything. Without Status, Code and
// Body the true answer is given, cut or late.
type Fault struct {
	// Name is shown in the log.
	Name string `json:"name,omitempty"`

	// Op is the kind of request, as in Exchange.Op: "authorize", "token", "introspect", "register",
	// "revoke", "style", "read", "search", "kickoff", "status", "file", "delete", "metadata",
	// "discovery", "keys".
	Op string `json:"op,omitempty"`
	// Type is the resource type of a read, a search or a bulk file.
	Type string `json:"type,omitempty"`
	// Path is a part of the request's path.
	Path string `json:"path,omitempty"`
	// Method is the HTTP method.
	Method string `json:"method,omitempty"`
	// File is the position of a bulk file in its manifest, from 1.
	File int `json:"file,omitempty"`

	// Skip lets so many matching requests pass first.
	Skip int `json:"skip,omitempty"`
	// Times is how often the fault happens. Zero means always.
	Times int `json:"times,omitempty"`
	// Probability is between 0 and 1; zero means 1. Chance goes by the server's seed.
	Probability float64 `json:"probability,omitempty"`

	// Latency delays the answer, in real time.
	Latency time.Duration `json:"-"`
	// Status is the status of an answer given in place of the true one.
	Status int `json:"status,omitempty"`
	// Code answers with the OperationOutcome of that Epic code, such as "4131" for
	// break-the-glass or "4135" for the daily document maximum. Status is then 403 if not set.
	Code string `json:"code,omitempty"`
	// Body is the body of the answer; the words "html" and "outcome" stand for a page of
	// HTML and for an OperationOutcome.
	Body string `json:"body,omitempty"`
	// ContentType goes with Body. Empty means text/html, application/fhir+json or text/plain,
	// by Body.
	ContentType string `json:"content_type,omitempty"`
	// Header is added to the answer.
	Header map[string]string `json:"header,omitempty"`
	// RetryAfter is the value of Retry-After, whatever it is.
	RetryAfter string `json:"retry_after,omitempty"`

	// Cut breaks the body after After bytes: CutReset, CutShort, CutStall.
	Cut   string `json:"cut,omitempty"`
	After int64  `json:"after,omitempty"`
}

type faultJSON Fault

// MarshalJSON writes Latency as text, such as "1.5s".
func (f Fault) MarshalJSON() ([]byte, error) {
	latency := ""
	if f.Latency != 0 {
		latency = f.Latency.String()
	}
	return json.Marshal(struct {
		faultJSON
		Latency string `json:"latency,omitempty"`
	}{faultJSON(f), latency})
}

// UnmarshalJSON reads Latency as text, such as "1.5s".
func (f *Fault) UnmarshalJSON(b []byte) error {
	v := struct {
		*faultJSON
		Latency string `json:"latency"`
	}{faultJSON: (*faultJSON)(f)}
	strict := json.NewDecoder(bytes.NewReader(b))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&v); err != nil {
		return err
	}
	if v.Latency == "" {
		return nil
	}
	d, err := time.ParseDuration(v.Latency)
	f.Latency = d
	return err
}

func (f Fault) check() error {
	switch {
	case f.Cut != "" && f.Cut != CutReset && f.Cut != CutShort && f.Cut != CutStall:
		return fmt.Errorf("sim: fault: cut is %q, not reset, short or stall", f.Cut)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("sim: fault: status %d is not an HTTP status from 200 to 599", f.Status)
	case f.Code != "" && !knownCode(f.Code):
		return fmt.Errorf("sim: fault: no Epic code %q", f.Code)
	case f.Probability < 0 || f.Probability > 1:
		return fmt.Errorf("sim: fault: probability %v is not between 0 and 1", f.Probability)
	case f.After < 0 || f.Skip < 0 || f.Times < 0 || f.File < 0 || f.Latency < 0:
		return errors.New("sim: fault: after, skip, times, file and latency cannot be negative")
	case f.Status == 0 && f.Code == "" && f.Body == "" && f.Cut == "" && f.Latency == 0 && f.RetryAfter == "" && f.Header == nil:
		return errors.New("sim: fault: it does nothing")
	}
	return nil
}

func knownCode(number string) bool {
	_, ok := epic.LookupCode(number)
	return ok
}

// faults are the active ones, in the order in which they were set.
type faults struct {
	mu   sync.Mutex
	list []*activeFault
	rand *rand.Rand
	init uint64
}

type activeFault struct {
	Fault
	seen, played int
}

func (f *faults) seed(n uint64) {
	f.init = n
	f.rand = rand.New(rand.NewPCG(n, 0xfa017))
}

// Fail sets a fault. Several can be active; the first that applies happens.
func (s *Server) Fail(f Fault) error {
	s.setup()
	if err := f.check(); err != nil {
		return err
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = append(s.faults.list, &activeFault{Fault: f})
	return nil
}

// Faults lists the active faults.
func (s *Server) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	list := []Fault{}
	for _, f := range s.faults.list {
		list = append(list, f.Fault)
	}
	return list
}

// Heal ends all faults, and winds their chance back to the seed.
func (s *Server) Heal() {
	s.setup()
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = nil
	s.faults.seed(s.faults.init)
}

// take returns the fault for this request, if any.
func (f *faults) take(r *http.Request, c call) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.list {
		if !a.matches(r, c) {
			continue
		}
		a.seen++
		if a.seen <= a.Skip || a.Times > 0 && a.played >= a.Times {
			continue
		}
		if a.Probability > 0 && f.rand.Float64() >= a.Probability {
			continue
		}
		a.played++
		return &a.Fault
	}
	return nil
}

func (f *Fault) matches(r *http.Request, c call) bool {
	return (f.Op == "" || f.Op == c.op) &&
		(f.Type == "" || f.Type == c.typ) &&
		(f.Method == "" || strings.EqualFold(f.Method, r.Method)) &&
		(f.File == 0 || f.File == c.file) &&
		(f.Path == "" || strings.Contains(r.URL.Path, f.Path))
}

// faultBefore plays the fault for this request. It tells whether that was the answer.
func (s *Server) faultBefore(w *recorder, r *http.Request, c call) bool {
	f := s.faults.take(r, c)
	if f == nil {
		return false
	}
	w.x.Fault = f.Name
	if f.Name == "" {
		w.x.Fault = "unnamed"
	}
	if f.Latency > 0 {
		timer := time.NewTimer(f.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return true
		}
	}
	h := w.Header()
	for name, value := range f.Header {
		h.Set(name, value)
	}
	if f.RetryAfter != "" {
		h.Set("Retry-After", f.RetryAfter)
	}
	if f.Cut != "" {
		w.cut = &cut{kind: f.Cut, left: f.After, done: r.Context()}
	}
	if f.Status == 0 && f.Code == "" && f.Body == "" {
		return false
	}
	s.commonHeaders(w)
	f.answer(w)
	return true
}

func (f *Fault) answer(w *recorder) {
	status, contentType, body := f.Status, f.ContentType, []byte(f.Body)
	fallback := "text/plain; charset=utf-8"
	switch {
	case f.Code != "":
		body, fallback = outcome{say(f.Code)}.json(), "application/fhir+json; charset=utf-8"
		if status == 0 {
			status = http.StatusForbidden
		}
	case f.Body == "html":
		body, fallback = []byte("<!DOCTYPE html>\n<html><head><title>Service unavailable</title></head><body><h1>Service unavailable</h1></body></html>\n"), "text/html"
	case f.Body == "outcome":
		body, fallback = outcome{say("59177")}.json(), "application/fhir+json; charset=utf-8"
	}
	if status == 0 {
		status = http.StatusOK
	}
	if contentType == "" {
		contentType = fallback
	}
	h := w.Header()
	if h.Get("Content-Type") == "" && len(body) > 0 {
		h.Set("Content-Type", contentType)
	}
	if h.Get("Content-Length") == "" && status != http.StatusNoContent && status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// cut ends a body early.
type cut struct {
	kind string
	left int64
	done context.Context
}

func (c *cut) write(w *recorder, b []byte) (int, error) {
	whole := len(b)
	if int64(len(b)) < c.left {
		n, err := w.ResponseWriter.Write(b) //nolint:gosec // as below
		w.sent += int64(n)
		c.left -= int64(n)
		return n, err
	}
	n, err := w.ResponseWriter.Write(b[:c.left]) //nolint:gosec // a fault serves what its setter wants
	w.sent += int64(n)
	if err != nil {
		return n, err
	}
	c.left = 0
	switch c.kind {
	case CutShort:
		return whole, nil // the rest is swallowed
	case CutStall:
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		<-c.done.Done()
		return 0, c.done.Err()
	}
	control := http.NewResponseController(w.ResponseWriter)
	_ = control.Flush()
	if conn, _, err := control.Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
		return 0, net.ErrClosed
	}
	panic(http.ErrAbortHandler)
}
