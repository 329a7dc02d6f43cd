package sim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andironhq/andiron/sim"
)

// Everything at once, for the race detector: nothing panics, and every answer has a status that
// the request can have.
func TestEverythingAtOnce(t *testing.T) {
	h := open(t, func(s *sim.Server) { s.Knobs.BulkWindow, s.Knobs.BulkPolls = -1, -1 })
	token := h.signIn()
	ask := func(method, target string) int {
		req, _ := http.NewRequest(method, target, nil)
		req.Header = http.Header{"Authorization": {"Bearer " + token}, "Accept": {"application/fhir+json"}, "Prefer": {"respond-async"}}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0
		}
		defer func() { _ = resp.Body.Close() }()
		var b bundle
		body, _ := io.ReadAll(resp.Body)
		if json.Unmarshal(body, &b) == nil && b.next() != "" {
			req.URL, _ = url.Parse(b.next())
			if again, err := http.DefaultClient.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, again.Body)
				_ = again.Body.Close()
			}
		}
		if status := resp.Header.Get("Content-Location"); status != "" {
			req.URL, _ = url.Parse(status)
			for _, m := range []string{http.MethodGet, http.MethodDelete} {
				req.Method = m
				if again, err := http.DefaultClient.Do(req); err == nil {
					_, _ = io.Copy(io.Discard, again.Body)
					_ = again.Body.Close()
				}
			}
		}
		return resp.StatusCode
	}
	work := []func(){
		func() { ask("GET", h.base()+"/Patient/eAlex3") },
		func() { ask("GET", h.base()+"/Observation?patient=eAlex3&category=laboratory&_count=2") },
		func() { ask("GET", h.base()+"/Encounter?patient=eAlex3&class=13&_revinclude=Provenance:target") },
		func() { ask("GET", h.base()+"/metadata?_format=xml") },
		func() { ask("GET", h.base()+"/Group/"+h.Group()+"/$export?_type=Observation") },
		func() { h.postToken(h.assertion(h.sign(h.claims(nil), nil))) },
		func() { _ = h.Fail(sim.Fault{Op: "read", Status: 500, Probability: 0.3}) },
		func() { h.Heal() },
		func() { h.Advance(time.Millisecond) },
		func() { h.Requests() },
		func() { _ = h.Register(sim.App{ClientID: "other", JWKSURL: h.jwks}) },
		func() { _, _ = h.Groups() },
		func() { ask("GET", h.origin+"/_sim/log") },
	}
	var wg sync.WaitGroup
	for _, one := range work {
		wg.Go(func() {
			for range 15 {
				one()
			}
		})
	}
	wg.Wait()
	h.Reset()
	if got := ask("GET", h.base()+"/Patient/eAlex3"); got != 401 {
		t.Errorf("after the reset: %d, want 401", got)
	}
}

// Whatever the request line and the parameters are, there is an answer: 200, a refusal, or the
// web server's 404; never 500, and never a long wait.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"Patient/eAlex3", "Observation?patient=eAlex3&category=laboratory", "Observation?patient=eAlex3&code=%7C%7C,,%5C,%2C&date=ge&date=lt9999-99-99",
		"Patient?identifier=%00&name=%ff", "Observation?_id=,,,&_count=-1", "Condition?patient=eAlex3&_include=*:*:*:*&_revinclude=",
		"Group/x/$export?_type=,,&_typeFilter=Observation?%3F%253F", "Observation?sessionID=", "Observation?patient=eAlex3&category=laboratory&_page=99999999999",
		"Binary/eNote3?_format=xml", "Patient/%2e%2e/x", "Patient/" + strings.Repeat("a", 5000), "?", "$export?", "Encounter?patient.identifier=27001&class=%7c",
		"Observation?patient=eAlex3&category=" + strings.Repeat("laboratory,", 3000), "Appointment?patient=eAlex3&date=" + strings.Repeat("ge2025,", 2000),
	} {
		f.Add(seed)
	}
	h := open(f, func(s *sim.Server) { s.Knobs.BulkWindow, s.Knobs.BulkPolls, s.Knobs.SystemExport = -1, -1, true })
	h.signIn()
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI("/interconnect-fhir-oauth/api/FHIR/R4/" + path)
		if err != nil {
			return // no request could carry that
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL, r.Host, r.RequestURI = u, "sim.example", u.RequestURI()
		r.Header = http.Header{"Authorization": {"Bearer " + h.token}, "Accept": {"application/fhir+json"}, "Prefer": {"respond-async"}}
		w := httptest.NewRecorder()
		start := time.Now()
		h.ServeHTTP(w, r)
		switch w.Code {
		case 200, 202, 400, 403, 404:
		default:
			t.Errorf("%s: %d", path, w.Code)
		}
		if body := w.Body.Bytes(); strings.Contains(w.Header().Get("Content-Type"), "json") && !json.Valid(body) {
			t.Errorf("%s: the answer is no JSON: %.200s", path, body)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s took %v", path, d)
		}
	})
}

// An assertion is foreign text from an unknown sender.
func FuzzAssertion(f *testing.F) {
	h := open(f, nil)
	good := h.sign(h.claims(nil), nil)
	f.Add(good)
	f.Add(good[:40] + "." + good[50:])
	f.Add("e30.e30.e30")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, jwt string) {
		r := httptest.NewRequest(http.MethodPost, h.TokenPath(), strings.NewReader(h.assertion(jwt).Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			t.Errorf("a token for %q, which was signed for another origin", jwt)
		}
		if got := w.Body.String(); w.Code != 400 || got != `{"error":"invalid_client","error_description":null}` && got != `{"error":"invalid_request","error_description":null}` {
			t.Errorf("got %d %s", w.Code, got)
		}
	})
}

// Large requests are refused or answered, and do not fill the memory.
func TestLargeRequests(t *testing.T) {
	h := open(t, nil)
	h.signIn()
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {"Bearer " + h.token}}
	big := "patient=eAlex3&category=" + strings.Repeat("x,", 1<<20)
	if a := h.do("POST", h.base()+"/Observation/_search", form, big); a.status != 413 {
		t.Errorf("a search of 2 MB: %d, want 413", a.status)
	}
	if a := h.do("POST", h.tokenURL(), form, "client_assertion="+strings.Repeat("x", 2<<20)); a.status != 400 {
		t.Errorf("a token request of 2 MB: %d, want 400", a.status)
	}
	if a := h.do("POST", h.origin+"/_sim/faults", nil, `{"body":"`+strings.Repeat("x", 2<<20)+`"}`); a.status != 400 {
		t.Errorf("a fault of 2 MB: %d, want 400", a.status)
	}
	start := time.Now()
	many := "patient=eAlex3&code=" + strings.Repeat("http://loinc.org|1-1,", 40_000)
	if a := h.do("POST", h.base()+"/Observation/_search?_format=json", form, many); a.status != 200 && a.status != 400 {
		t.Errorf("40,000 alternatives: %d", a.status)
	}
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("40,000 alternatives took %v", d)
	}
	for i := range 2500 {
		h.get(fmt.Sprintf("Patient/none%d", i))
	}
	if n := len(h.Requests()); n > 2000 {
		t.Errorf("the log holds %d exchanges, want at most 2000", n)
	}
}
