package sim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andironhq/andiron/sim"
)

type manifest struct {
	TransactionTime     string
	Request             string
	RequiresAccessToken json.RawMessage
	Output, Error       []struct{ Type, URL string }
}

// kick starts an export and returns its status URL.
func (h *hospital) kick(path string) string {
	h.t.Helper()
	a := h.get(path, "Prefer", "respond-async")
	if a.status != 202 || a.body != "" {
		h.t.Fatalf("kick-off %s: %d %s (%s)", path, a.status, a.body, h.lastReason())
	}
	return a.header.Get("Content-Location")
}

// finish polls until the manifest comes.
func (h *hospital) finish(status string) manifest {
	h.t.Helper()
	for range 20 {
		a := h.get(status)
		if a.status == 202 {
			continue
		}
		var m manifest
		if err := json.Unmarshal([]byte(a.body), &m); a.status != 200 || err != nil {
			h.t.Fatalf("%s: %d %s", status, a.status, a.body)
		}
		return m
	}
	h.t.Fatalf("%s never ends", status)
	return manifest{}
}

// lines fetches the files of a type.
func (h *hospital) lines(m manifest, typ string) []string {
	h.t.Helper()
	var list []string
	for _, f := range append(m.Output, m.Error...) {
		if f.Type == typ {
			a := h.get(f.URL)
			if a.status != 200 || !strings.HasSuffix(a.body, "\n") {
				h.t.Fatalf("%s: %d %.200s", f.URL, a.status, a.body)
			}
			list = append(list, strings.Split(strings.TrimSuffix(a.body, "\n"), "\n")...)
		}
	}
	return list
}

func (h *hospital) groupExport(query string) string { return "Group/" + h.Group() + "/$export" + query }

// The whole wire flow of Epic's group export: 202 with an absolute status URL below BulkRequest,
// without R4; empty 202s with X-Progress; a manifest whose requiresAccessToken is a string and
// which has neither count nor deleted; files of one type; DELETE 202 (Epic's bulk tutorial and
// one captured manifest of 2024, medium).
func TestGroupExport(t *testing.T) {
	clock := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	h := open(t, func(s *sim.Server) {
		s.Clock = func() time.Time { return clock }
		s.Knobs.BulkPolls = 2
		s.Knobs.BulkFileMax = 4
	})
	status := h.kick(h.groupExport("?_type=patient,observation"))
	if want := regexp.MustCompile(`^` + regexp.QuoteMeta(h.origin) + `/interconnect-fhir-oauth/api/FHIR/BulkRequest/0{10}[0-9A-F]{22}$`); !want.MatchString(status) {
		t.Errorf("Content-Location is %s", status)
	}
	for i, progress := range []string{"Searched 0 of 2 patients", "Searched 1 of 2 patients"} {
		a := h.get(status)
		if a.status != 202 || a.body != "" || a.header.Get("X-Progress") != progress || a.header.Get("Retry-After") != "" {
			t.Errorf("poll %d: %d %q X-Progress %q, want an empty 202 with %q", i, a.status, a.body, a.header.Get("X-Progress"), progress)
		}
	}
	a := h.get(status, "Accept", "application/json")
	var m manifest
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatal(err)
	}
	start := `{"transactionTime":"2026-11-24T10:00:00Z","request":"` + h.base() + "/" + h.groupExport("?_type=patient,observation") + `","requiresAccessToken":"true","output":[{"type":"Patient","url":"` + status + `/`
	if !strings.HasPrefix(a.body, start) || !strings.HasSuffix(a.body, `],"error":[]}`) || a.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("the manifest is %s\nwant %s…", a.body, start)
	}
	var types []string
	for _, f := range m.Output {
		types = append(types, f.Type)
		if id := strings.TrimPrefix(f.URL, status+"/"); len(id) != 24 {
			t.Errorf("file id %s has %d characters, want 24", id, len(id))
		}
	}
	if want := []string{"Patient", "Observation", "Observation", "Observation"}; !slices.Equal(types, want) {
		t.Errorf("files are %v, want %v: 10 observations in files of 4", types, want)
	}
	stored, err := os.ReadFile(filepath.Join(h.Data, "Observation.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(h.lines(m, "Observation"), "\n") + "\n"; got != string(stored) {
		t.Error("the exported lines are not the stored bytes")
	}
	if a := h.do("GET", m.Output[0].URL, nil, ""); a.status != 401 {
		t.Errorf("a file without token: %d, want 401", a.status)
	}
	if a := h.do("DELETE", status, http.Header{"Authorization": {"Bearer " + h.token}}, ""); a.status != 202 {
		t.Errorf("DELETE: %d, want 202", a.status)
	}
	if a := h.get(status); a.status != 404 || codesOf(a.body) == nil {
		t.Errorf("a deleted export: %d %s, want 404 with an OperationOutcome", a.status, a.body)
	}
	if a := h.get(m.Output[0].URL); a.status != 404 {
		t.Errorf("a file of a deleted export: %d, want 404", a.status)
	}
}

// One export per group, client and 24 hours; deleting an unfinished one does not count (Epic's
// sentence high, the status unverified).
func TestBulkWindow(t *testing.T) {
	h := open(t, nil)
	status := h.kick(h.groupExport(""))
	again := h.get(h.groupExport(""), "Prefer", "respond-async")
	if again.status != 400 || !strings.Contains(again.body, `"diagnostics":"Error processing Bulk Data Kickoff request: Request not allowed: The Client requested this Group too recently."`) {
		t.Errorf("a second kick-off: %d %s", again.status, again.body)
	}
	h.do("DELETE", status, http.Header{"Authorization": {"Bearer " + h.token}}, "")
	status = h.kick(h.groupExport(""))
	h.finish(status)
	h.do("DELETE", status, http.Header{"Authorization": {"Bearer " + h.token}}, "")
	if a := h.get(h.groupExport(""), "Prefer", "respond-async"); a.status != 400 {
		t.Errorf("after deleting a finished export: %d, want 400", a.status)
	}
	if err := h.Register(sim.App{ClientID: "other", JWKSURL: h.jwks}); err != nil {
		t.Fatal(err)
	}
	first := h.app
	h.app = "other"
	h.signIn()
	h.kick(h.groupExport(""))
	h.app = first
	h.Advance(24 * time.Hour)
	h.signIn()
	h.kick(h.groupExport(""))

	free := open(t, func(s *sim.Server) { s.Knobs.BulkWindow = -1 })
	free.kick(free.groupExport(""))
	free.kick(free.groupExport(""))
}

func TestKickoffRefusals(t *testing.T) {
	h := open(t, nil)
	for _, tt := range []struct {
		name, path, prefer string
		status             int
		codes              string
	}{
		{"without Prefer", h.groupExport(""), "", 400, "59102"},
		{"Prefer for something else", h.groupExport(""), "return=minimal", 400, "59102"},
		{"an unknown group", "Group/eNobody/$export", "respond-async", 404, "59008"},
		{"_typeFilter needs _type (medium)", h.groupExport("?_typeFilter=Observation%3Fcode%3Dx"), "respond-async", 400, "59102"},
		{"the system level is the web server's 404 (high)", "$export", "respond-async", 404, ""},
		{"so is the patient level (low)", "Patient/$export", "respond-async", 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := h.get(tt.path, "Prefer", tt.prefer)
			if got := strings.Join(codesOf(a.body), " "); a.status != tt.status || got != tt.codes {
				t.Errorf("got %d %s, want %d %s", a.status, got, tt.status, tt.codes)
			}
		})
	}
	post := h.do("POST", h.base()+"/"+h.groupExport(""), http.Header{"Authorization": {"Bearer " + h.token}, "Prefer": {"respond-async"}}, "{}")
	if post.status != 405 {
		t.Errorf("a kick-off by POST: %d, want 405: GET alone", post.status)
	}
	h.kick(h.groupExport("")) // none of the refusals took the window
}

// What cannot be delivered stands in error[] with the type in the diagnostics: 59136, 59130,
// 59100 (medium).
func TestExportErrors(t *testing.T) {
	h := open(t, func(s *sim.Server) {
		s.Knobs.BulkPolls = -1
		s.Apps[0].APIs = append(sim.BulkAPIs(), "Patient.Search (R4)", "Observation.Search (Vital Signs) (R4)")
	})
	m := h.finish(h.kick(h.groupExport("?_type=Patient,Observation,Encounter,Spaceship&_since=2025-01-01")))
	if len(m.Error) != 1 || m.Error[0].Type != "OperationOutcome" {
		t.Fatalf("error[] is %v, want one file of OperationOutcome", m.Error)
	}
	got := strings.Join(h.lines(m, "OperationOutcome"), "\n")
	for _, want := range []string{`"code":"59100"`, "Unknown parameter: _SINCE", `"code":"59130"`, "Encounter", `"code":"59136"`, "Spaceship", "Observation - Labs"} {
		if !strings.Contains(got, want) {
			t.Errorf("the error file lacks %s: %s", want, got)
		}
	}
	if n := len(h.lines(m, "Observation")); n != 3 {
		t.Errorf("%d observations, want the 3 vital signs", n)
	}
}

func TestTypeFilter(t *testing.T) {
	for filter, want := range map[string]int{
		"Observation%3Fcategory%3Dvital-signs":                                                 3,
		"Observation%3Fcode%3D2345-7%252C8867-4":                                               6, // an inner comma as %2C, encoded again
		`Observation%3Fcode%3D2345-7%5C%2C8867-4`:                                              6, // or with a backslash
		"Observation%3Fcategory%3Dvital-signs%2CObservation%3Fcode%3D2345-7":                   6, // two filters: or
		"Observation%3Fcategory%3Dlaboratory%26date%3Dge2025-06-01":                            2,
		"Observation%3Fcategory%3Dvital-signs&_typeFilter=Observation%3Fstatus%3Damended":      6,
		"Observation%3Fcategory%3Dlaboratory%26status%3Damended%26date%3Dle2025-04-01":         1,
		url.QueryEscape("Observation?category=laboratory&code=http://loinc.org|2345-7"):        3,
		url.QueryEscape("Observation?") + url.QueryEscape(url.QueryEscape("code=2345-7")) + "": 3,
	} {
		h := open(t, func(s *sim.Server) { s.Knobs.BulkPolls = -1 })
		m := h.finish(h.kick(h.groupExport("?_type=Patient,Observation&_typeFilter=" + filter)))
		if n := len(h.lines(m, "Observation")); n != want {
			t.Errorf("_typeFilter=%s: %d observations, want %d (errors %v)", filter, n, want, h.lines(m, "OperationOutcome"))
		}
		if n := len(h.lines(m, "Patient")); n != 2 {
			t.Errorf("a type without filter has %d resources, want all 2", n)
		}
	}
}

// Every type found comes out, whatever it is and whoever owns it; Binary only when it is named.
func TestExportOfAllTypes(t *testing.T) {
	h := open(t, nil)
	m := h.finish(h.kick(h.groupExport("")))
	files, err := filepath.Glob(filepath.Join(h.Data, "*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		typ := strings.TrimSuffix(filepath.Base(f), ".ndjson")
		want, _ := os.ReadFile(f)
		got := strings.Join(h.lines(m, typ), "\n")
		if typ == "Binary" {
			want = nil
		}
		if got != strings.TrimSuffix(string(want), "\n") {
			t.Errorf("%s differs from its source", typ)
		}
	}
	if m.Error == nil || len(m.Error) != 0 {
		t.Errorf("error[] is %v, want an empty array", m.Error)
	}
}

func TestExportOfARegistry(t *testing.T) {
	h := open(t, func(s *sim.Server) { s.Knobs.BulkPolls = -1 })
	groups, err := h.Groups()
	if err != nil || len(groups) != 2 || groups[0].ID != h.Group() || len(groups[0].Patients) != 2 {
		t.Fatalf("groups are %v, %v; want all patients and the diabetes registry", groups, err)
	}
	if len(groups[0].ID) != 45 || groups[0].ID[0] != 'e' || groups[0].ID[44] != '3' {
		t.Errorf("the group's id is %s, want 45 characters, e…3", groups[0].ID)
	}
	m := h.finish(h.kick("Group/" + groups[1].ID + "/$export?_type=Patient,Practitioner"))
	if got := h.lines(m, "Patient"); len(got) != 1 || !strings.Contains(got[0], "eAlex3") {
		t.Errorf("the registry exports %v, want Alex alone", got)
	}
	if got := h.lines(m, "Practitioner"); len(got) != 1 {
		t.Errorf("%d practitioners, want 1: what no patient owns goes with every group", len(got))
	}
}

// The same client must download (59007, medium); files vanish 14 days after completion (medium).
func TestFilesBelongToTheirClientAndEnd(t *testing.T) {
	h := open(t, nil)
	status := h.kick(h.groupExport(""))
	m := h.finish(status)
	mine := h.token
	if err := h.Register(sim.App{ClientID: "other", JWKSURL: h.jwks}); err != nil {
		t.Fatal(err)
	}
	h.app, h.token = "other", ""
	for _, target := range []string{m.Output[0].URL, status} {
		if a := h.get(target); a.status != 403 || !slices.Equal(codesOf(a.body), []string{"59007"}) {
			t.Errorf("another client at %s: %d %v, want 403 with 59007", target, a.status, codesOf(a.body))
		}
	}
	h.app, h.token = "0f1e2d3c-backend", mine
	h.Advance(14*24*time.Hour - time.Minute)
	h.signIn() // a renewed token of the same client will do
	if a := h.get(m.Output[0].URL); a.status != 200 {
		t.Errorf("just before 14 days: %d, want 200", a.status)
	}
	h.Advance(time.Minute)
	if a := h.get(m.Output[0].URL); a.status != 404 {
		t.Errorf("after 14 days: %d, want 404", a.status)
	}
}

func TestBulkKnobs(t *testing.T) {
	h := open(t, func(s *sim.Server) {
		s.Knobs.BulkTime = time.Hour
		s.Knobs.BulkPolls = -1
		s.Knobs.BulkRetryAfter = 1500 * time.Millisecond
		s.Knobs.BulkTokenFlag = "bool"
		s.Knobs.BulkExpired = 410
		s.Knobs.BulkPatientOnlyFails = true
		s.Knobs.BulkTooRecent = 429
	})
	status := h.kick(h.groupExport("?_type=Patient"))
	a := h.get(status)
	if a.status != 202 || a.header.Get("Retry-After") != "2" {
		t.Errorf("a poll: %d with Retry-After %q, want 202 with 2, rounded up", a.status, a.header.Get("Retry-After"))
	}
	h.Advance(30 * time.Minute)
	if got := h.get(status).header.Get("X-Progress"); got != "Searched 1 of 2 patients" {
		t.Errorf("half way: %q", got)
	}
	h.Advance(29 * time.Minute)
	if a := h.get(status); a.status != 202 {
		t.Errorf("before bulk_time has passed: %d, want 202", a.status)
	}
	h.Advance(time.Minute)
	h.signIn()
	m := h.finish(status)
	if string(m.RequiresAccessToken) != "true" {
		t.Errorf("requiresAccessToken is %s, want a boolean", m.RequiresAccessToken)
	}
	if len(m.Output) != 0 || !strings.Contains(strings.Join(h.lines(m, "OperationOutcome"), ""), `"code":"59159"`) {
		t.Errorf("_type=Patient alone gave %v, want an error with 59159", m.Output)
	}
	if a := h.get(h.groupExport(""), "Prefer", "respond-async"); a.status != 429 {
		t.Errorf("too recently: %d, want 429", a.status)
	}
	if a := h.get(h.origin + "/interconnect-fhir-oauth/api/FHIR/BulkRequest/00"); a.status != 410 {
		t.Errorf("an unknown export: %d, want 410", a.status)
	}
}

// Each of the four bulk APIs must be registered (Epic's interface catalogue, high).
func TestBulkAPIsAreNeeded(t *testing.T) {
	for i, path := range []string{"kickoff", "status", "file", "delete"} {
		apis := slices.Delete(sim.BulkAPIs(), i, i+1)
		h := open(t, func(s *sim.Server) { s.Apps[0].APIs = append(apis, "Patient.Search (R4)") })
		job := fmt.Sprintf("%s/interconnect-fhir-oauth/api/FHIR/BulkRequest/%032d", h.origin, 1)
		h.signIn()
		header := http.Header{"Authorization": {"Bearer " + h.token}, "Prefer": {"respond-async"}}
		var a answer
		switch path {
		case "kickoff":
			a = h.do("GET", h.base()+"/"+h.groupExport(""), header, "")
		case "status":
			a = h.do("GET", job, header, "")
		case "file":
			a = h.do("GET", job+"/x", header, "")
		case "delete":
			a = h.do("DELETE", job, header, "")
		}
		if a.status != 403 || a.body != "" {
			t.Errorf("%s without its API: %d %q, want an empty 403", path, a.status, a.body)
		}
	}
}
