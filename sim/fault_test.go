package sim_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/andironhq/andiron/sim"
)

func (h *hospital) fail(f sim.Fault) {
	h.t.Helper()
	if err := h.Fail(f); err != nil {
		h.t.Fatal(err)
	}
}

// body fetches and returns what arrived with the error that ended it.
func (h *hospital) body(target string) (string, error) {
	h.t.Helper()
	req, _ := http.NewRequest(http.MethodGet, target, nil)
	req.Header.Set("Authorization", "Bearer "+h.token)
	req.Header.Set("Accept", "application/fhir+json")
	resp, err := (&http.Client{Timeout: 300 * time.Millisecond}).Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func TestFaultsAnswerInPlace(t *testing.T) {
	h := open(t, nil)
	h.signIn()
	h.fail(sim.Fault{Op: "read", Type: "Patient", Status: 503, RetryAfter: "2", Times: 2, Skip: 1})
	var got []int
	for range 4 {
		got = append(got, h.get("Patient/eAlex3").status)
	}
	if got[0] != 200 || got[1] != 503 || got[2] != 503 || got[3] != 200 {
		t.Errorf("statuses are %v, want 200 503 503 200", got)
	}
	h.Heal()
	h.fail(sim.Fault{Op: "search", Type: "DocumentReference", Code: "4135"})
	if a := h.get("DocumentReference?patient=eAlex3"); a.status != 403 || codesOf(a.body)[0] != "4135" {
		t.Errorf("the daily maximum: %d %s", a.status, a.body)
	}
	h.fail(sim.Fault{Op: "read", Body: "html", Status: 502})
	if a := h.get("Patient/eAlex3"); a.status != 502 || a.header.Get("Content-Type") != "text/html" {
		t.Errorf("HTML in place of JSON: %d %s", a.status, a.header.Get("Content-Type"))
	}
	h.Heal()
	h.fail(sim.Fault{Path: "/metadata", RetryAfter: "Wed, 21 Oct 2026 07:28:00 GMT", Status: 429, Header: map[string]string{"RateLimit": `"requests";r=0;t=60`}})
	if a := h.get("metadata"); a.status != 429 || a.header.Get("Retry-After") != "Wed, 21 Oct 2026 07:28:00 GMT" || a.header.Get("RateLimit") == "" {
		t.Errorf("429: %d %v", a.status, a.header)
	}
	list := h.Requests()
	if x := list[len(list)-1]; x.Fault != "unnamed" || x.Status != 429 {
		t.Errorf("the log shows %+v, want the fault", x)
	}
}

func TestFaultsOnBulkFiles(t *testing.T) {
	h := open(t, func(s *sim.Server) { s.Knobs.BulkPolls, s.Knobs.BulkFileMax = -1, 4 })
	m := h.finish(h.kick(h.groupExport("?_type=Observation")))
	whole, err := h.body(m.Output[1].URL)
	if err != nil {
		t.Fatal(err)
	}
	h.fail(sim.Fault{Op: "file", Type: "Observation", File: 2, Cut: sim.CutReset, After: 100, Times: 1})
	if got, err := h.body(m.Output[0].URL); err != nil || len(got) < 100 {
		t.Errorf("another file is cut too: %d bytes, %v", len(got), err)
	}
	if got, err := h.body(m.Output[1].URL); err == nil || len(got) > 100 {
		t.Errorf("reset: %d bytes and error %v, want at most 100 and an error", len(got), err)
	}
	if got, err := h.body(m.Output[1].URL); err != nil || got != whole {
		t.Errorf("after the one time: %d bytes, %v, want all", len(got), err)
	}
	h.fail(sim.Fault{Op: "file", File: 2, Cut: sim.CutShort, After: 150})
	if got, err := h.body(m.Output[1].URL); err != nil || got != whole[:150] {
		t.Errorf("cut short: %d bytes and %v, want 150 and a clean end", len(got), err)
	}
	h.Heal()
	h.fail(sim.Fault{Op: "file", File: 2, Cut: sim.CutStall, After: 150})
	if got, err := h.body(m.Output[1].URL); err == nil || got != whole[:150] {
		t.Errorf("stall: %d bytes and %v, want 150 and the client's own deadline", len(got), err)
	}
	h.Heal()
	h.fail(sim.Fault{Op: "file", Body: "outcome"})
	if a := h.get(m.Output[0].URL); a.status != 200 || codesOf(a.body) == nil {
		t.Errorf("an outcome as a file: %d %s", a.status, a.body)
	}
	h.Heal()
	h.fail(sim.Fault{Op: "status", Status: 503, Body: "html", Times: 1})
	if a := h.get(h.base() + "/../BulkRequest/0"); a.status == 503 {
		t.Error("a path that only looks like a status URL met the fault")
	}
}

func TestFaultOfABodyWithALength(t *testing.T) {
	h := open(t, nil)
	h.signIn()
	target := h.base() + "/Patient/eAlex3"
	h.fail(sim.Fault{Op: "read", Cut: sim.CutShort, After: 10, Times: 1})
	if got, err := h.body(target); err != nil || len(got) != 10 {
		t.Errorf("cut short: %d bytes and %v, want 10 and a clean end", len(got), err)
	}
	h.fail(sim.Fault{Op: "read", Cut: sim.CutReset, After: 0, Times: 1})
	if _, err := h.body(target); err == nil {
		t.Error("a reset before the first byte went unnoticed")
	}
}

func TestChanceRepeatsBySeed(t *testing.T) {
	pattern := func() string {
		h := open(t, func(s *sim.Server) { s.Seed = 7 })
		h.signIn()
		h.fail(sim.Fault{Op: "read", Status: 500, Probability: 0.5})
		var b strings.Builder
		for range 24 {
			b.WriteString(map[int]string{200: ".", 500: "x"}[h.get("Patient/eAlex3").status])
		}
		return b.String()
	}
	first, second := pattern(), pattern()
	if first != second || strings.Count(first, "x") < 4 || strings.Count(first, ".") < 4 {
		t.Errorf("two runs of one seed: %s and %s", first, second)
	}
}

func TestFaultsThatMakeNoSenseAreRefused(t *testing.T) {
	h := open(t, nil)
	for name, f := range map[string]sim.Fault{
		"nothing":     {},
		"cut":         {Cut: "saw"},
		"status":      {Status: 99},
		"code":        {Code: "1"},
		"probability": {Status: 500, Probability: 2},
	} {
		if h.Fail(f) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func (h *hospital) control(method, path, body string) answer {
	h.t.Helper()
	return h.do(method, h.origin+"/_sim/"+path, nil, body)
}

func TestControls(t *testing.T) {
	h := open(t, nil)
	token := h.signIn()
	h.get("Patient?family=Secretname")
	h.get("Condition?bogus=Secretname")

	a := h.control("GET", "log", "")
	for _, secret := range []string{token, "Secretname", "client_assertion", "eyJ"} {
		if strings.Contains(a.body, secret) {
			t.Errorf("the log shows %q", secret)
		}
	}
	var log struct{ Exchanges []sim.Exchange }
	if err := json.Unmarshal([]byte(a.body), &log); err != nil || len(log.Exchanges) != 3 {
		t.Fatalf("the log: %v, %d exchanges, want 3", err, len(log.Exchanges))
	}
	if x := log.Exchanges[2]; x.Op != "search" || x.Type != "Condition" || x.Status != 400 || x.Reason == "" || x.Client != h.app || x.Token == "" || !x.Bearer {
		t.Errorf("the last exchange is %+v", x)
	}
	if a := h.control("GET", "log?since=2", ""); strings.Count(a.body, `"seq"`) != 1 {
		t.Errorf("log since 2: %s", a.body)
	}

	if a := h.control("POST", "faults", `{"op":"read","status":500,"latency":"1ms","times":1}`); a.status != 200 {
		t.Errorf("setting a fault: %d %s", a.status, a.body)
	}
	if a := h.control("GET", "faults", ""); !strings.Contains(a.body, `{"faults":[{"op":"read","times":1,"status":500,"latency":"1ms"}]}`) {
		t.Errorf("faults: %s", a.body)
	}
	if a := h.get("Patient/eAlex3"); a.status != 500 {
		t.Errorf("the fault set by control: %d, want 500", a.status)
	}
	for _, wrong := range []string{`{"op":"read"}`, `{"oops":1,"status":500}`, `nonsense`, `{"status":500,"latency":"soon"}`} {
		if a := h.control("POST", "faults", wrong); a.status != 400 {
			t.Errorf("fault %s: %d, want 400", wrong, a.status)
		}
	}
	if a := h.control("DELETE", "faults", ""); a.status != 204 || len(h.Faults()) != 0 {
		t.Errorf("healing: %d, %d faults left", a.status, len(h.Faults()))
	}

	if a := h.control("POST", "clock", `{"advance":"61m"}`); !strings.Contains(a.body, `"advance":"1h1m0s"`) {
		t.Errorf("clock: %s", a.body)
	}
	if a := h.get("Patient/eAlex3"); a.status != 401 {
		t.Errorf("61 minutes later: %d, want 401", a.status)
	}
	if a := h.control("POST", "clock", `{"advance":"yesterday"}`); a.status != 400 {
		t.Errorf("a clock set to yesterday: %d, want 400", a.status)
	}
	h.signIn()
	if a := h.control("POST", "revoke", `{"client_id":"`+h.app+`"}`); !strings.Contains(a.body, `{"revoked":2}`) {
		t.Errorf("revoke: %s", a.body)
	}
	h.signIn()
	if a := h.control("GET", "knobs", ""); !strings.Contains(a.body, `{"name":"bulk_window","default":"24h","value":"24h0m0s"`) {
		t.Errorf("knobs: %.300s", a.body)
	}
	if a := h.control("POST", "reset", ""); a.status != 204 || len(h.Requests()) != 0 {
		t.Errorf("reset: %d, %d exchanges left", a.status, len(h.Requests()))
	}
	if a := h.get("Patient/eAlex3"); a.status != 401 {
		t.Errorf("a token from before the reset: %d, want 401", a.status)
	}
	if a := h.control("GET", "nothing", ""); a.status != 404 {
		t.Errorf("an unknown control: %d", a.status)
	}
}

// The controls are for programs on this machine: not for other hosts, and not for a web page that
// uses its reader's browser, by a request across sites or by rebinding a name to loopback.
func TestControlsAreLocal(t *testing.T) {
	s := &sim.Server{Data: charts(t)}
	defer func() { _ = s.Close() }()
	for _, tt := range []struct {
		name, remote, host string
		header             http.Header
		status             int
	}{
		{"loopback", "127.0.0.1:5555", "127.0.0.1:7400", nil, 200},
		{"loopback, version 6", "[::1]:5555", "[::1]:7400", nil, 200},
		{"localhost", "127.0.0.1:5555", "localhost:7400", nil, 200},
		{"another machine", "192.0.2.7:5555", "127.0.0.1:7400", nil, 403},
		{"a rebound name", "127.0.0.1:5555", "evil.example", nil, 403},
		{"a foreign page", "127.0.0.1:5555", "127.0.0.1:7400", http.Header{"Origin": {"https://evil.example"}}, 403},
		{"a foreign page's image", "127.0.0.1:5555", "127.0.0.1:7400", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"no address at all", "", "127.0.0.1:7400", nil, 403},
	} {
		r := httptest.NewRequest(http.MethodGet, "/_sim/log", nil)
		r.RemoteAddr, r.Host = tt.remote, tt.host
		for name, v := range tt.header {
			r.Header[name] = v
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, w.Code, tt.status)
		}
	}
	open := &sim.Server{Data: s.Data, InsecureRemoteControl: true}
	defer func() { _ = open.Close() }()
	w := httptest.NewRecorder()
	open.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/_sim/log", nil))
	if w.Code != 200 {
		t.Errorf("InsecureRemoteControl: %d, want 200", w.Code)
	}
}

func TestOpenTellsWhatIsWrongWithData(t *testing.T) {
	var s sim.Server
	s.Data = t.TempDir()
	if err := s.Open(); err == nil || !strings.Contains(err.Error(), "no .ndjson") {
		t.Errorf("an empty folder: %v", err)
	}
	if errors.Is(s.Open(), nil) {
		t.Error("the second Open forgets the error")
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != 500 {
		t.Errorf("serving without data: %d, want 500", w.Code)
	}
}
