package sim_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andironhq/andiron/sim"
)

// Every page has a new sessionID, the original parameters are gone from the next link and still
// stand in self, and total counts the page's own matches (captures, high).
func TestPaging(t *testing.T) {
	h := open(t, nil)
	form := regexp.MustCompile(`^/interconnect-fhir-oauth/api/FHIR/R4/Observation\?sessionID=\d{2}-[0-9A-F]{12}11F1[89AB][0-9A-F]{3}[0-9A-F]{12}$`)
	self := h.base() + "/Observation?category=laboratory&patient=eAlex3&_count=3"
	path := "Observation?patient=eAlex3&_count=3&category=laboratory"
	var got, sessions []string
	var totals []int
	for path != "" {
		b := h.bundle(path)
		got = append(got, b.ids("match")...)
		totals = append(totals, b.Total)
		last := b.Link[len(b.Link)-1]
		if last.Relation != "self" || last.URL != self {
			t.Errorf("self is %s, want %s after next", last.URL, self)
		}
		if more := b.next() != ""; more == (b.codes() != nil) {
			t.Errorf("page %d: next %t and outcome %v: a backend's outcome stands on the last page alone", len(totals), more, b.codes())
		}
		if path = b.next(); path != "" {
			if !form.MatchString(strings.TrimPrefix(path, h.origin)) {
				t.Errorf("next is %s", path)
			}
			if slices.Contains(sessions, path) {
				t.Errorf("the sessionID of %s came before", path)
			}
			sessions = append(sessions, path)
		}
	}
	if want := "fLab1 fLab2 fLab3 fLab4 fLab5 fLab6 fLab7"; strings.Join(got, " ") != want {
		t.Errorf("the pages hold %v, want %s", got, want)
	}
	if !slices.Equal(totals, []int{3, 3, 1}) {
		t.Errorf("totals are %v, want 3 3 1", totals)
	}
	node := func(url string) string { return url[len(url)-12:] }
	if node(sessions[0]) != node(sessions[1]) {
		t.Error("the last 12 digits of the sessionID change, they are the server's")
	}
	if again := h.bundle(sessions[0]); strings.Join(again.ids("match"), " ") != "fLab4 fLab5 fLab6" {
		t.Errorf("a page asked for again holds %v", again.ids("match"))
	}
	if count := h.bundle("Observation?patient=eAlex3&category=laboratory&_summary=count&_count=3"); count.Total != 7 || count.Entry != nil {
		t.Errorf("_summary=count: total %d and %d entries, want the true total, 7, and none", count.Total, len(count.Entry))
	}
}

// Post-filter parameters work after the page was cut: short and empty pages have a next link
// (Epic's search page, high; empty pages low).
func TestPostFilterLeavesShortPages(t *testing.T) {
	h := open(t, nil)
	path := "Observation?patient=eAlex3&category=laboratory&_count=1&status=amended"
	var sizes []int
	for path != "" {
		b := h.bundle(path)
		sizes = append(sizes, len(b.ids("match")))
		path = b.next()
	}
	if want := []int{0, 1, 0, 1, 0, 1, 0}; !slices.Equal(sizes, want) {
		t.Errorf("the pages hold %v, want %v", sizes, want)
	}
	if b := h.bundle("Observation?patient=eAlex3&category=laboratory&status=amended&_summary=count"); b.Total != 3 {
		t.Errorf("_summary=count is %d, want 3", b.Total)
	}
}

func TestSessionEnds(t *testing.T) {
	h := open(t, nil)
	next := h.bundle("Observation?patient=eAlex3&category=laboratory&_count=3").next()
	if a := h.get(strings.Replace(next, "/Observation?", "/Condition?", 1)); a.status != 400 {
		t.Errorf("a session of another type: %d, want 400", a.status)
	}
	h.Advance(30 * time.Minute)
	if a := h.get(next); a.status != 400 || !slices.Equal(codesOf(a.body), []string{"4113"}) {
		t.Errorf("after 30 minutes: %d %v, want 400 with 4113", a.status, codesOf(a.body))
	}
	next = h.bundle("Observation?patient=eAlex3&category=laboratory&_count=3").next()
	if err := h.Register(sim.App{ClientID: "other", JWKSURL: h.jwks}); err != nil {
		t.Fatal(err)
	}
	h.app = "other"
	h.signIn()
	if a := h.get(next); a.status != 400 {
		t.Errorf("another client's session: %d, want 400", a.status)
	}
}

// Without _count a page has 1000 matches (captures, high); more than 100 patients are refused
// with 4127 (Epic's error-code table, high).
func TestDefaultPageAndTooManyPatients(t *testing.T) {
	dir := t.TempDir()
	var observations, patients strings.Builder
	for i := range 1005 {
		fmt.Fprintf(&observations, `{"resourceType":"Observation","id":"o%d","status":"final","category":[{"coding":[{"code":"laboratory"}]}],"subject":{"reference":"Patient/p0"}}`+"\n", i)
	}
	for i := range 101 {
		fmt.Fprintf(&patients, `{"resourceType":"Patient","id":"p%d","name":[{"family":"Doe","given":["Alex"]}],"birthDate":"1980-01-01"}`+"\n", i)
	}
	for name, text := range map[string]string{"Observation": observations.String(), "Patient": patients.String()} {
		if err := os.WriteFile(filepath.Join(dir, name+".ndjson"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := open(t, func(s *sim.Server) { s.Data = dir })
	first := h.bundle("Observation?patient=p0&category=laboratory")
	if first.Total != 1000 || first.next() == "" {
		t.Errorf("total is %d and next %q, want 1000 and a link", first.Total, first.next())
	}
	if rest := h.bundle(first.next()); rest.Total != 5 || rest.next() != "" {
		t.Errorf("the second page has %d, want 5", rest.Total)
	}
	if b := h.bundle("Observation?patient=p0&category=laboratory&_count=99999999999999999999"); len(b.ids("match")) != 1000 {
		t.Errorf("a _count beyond all numbers gives %d, want the default", len(b.ids("match")))
	}
	if a := h.get("Patient?family=doe&given=alex&birthdate=1980-01-01"); a.status != 400 || !slices.Equal(codesOf(a.body), []string{"4127"}) {
		t.Errorf("101 patients: %d %v, want 400 with 4127", a.status, codesOf(a.body))
	}
}
