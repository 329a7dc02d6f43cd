package sim_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/andironhq/andiron/sim"
)

// A knob that has words or statuses to choose from takes no other, and a number that cannot be
// negative is not: the server would otherwise start and behave like nothing that is documented.
func TestKnobRefusesValuesThatItDoesNotList(t *testing.T) {
	for name, value := range map[string]string{
		"no_accept": "yaml", "page_links": "Page", "bulk_token_flag": "boolean", "merge_redirect_status": "1",
		"bulk_expired": "200", "page_size": "-1", "page_max": "-5", "rest_429": "-1", "token_life": "-1s",
		"bulk_file_max": "-1", "bulk_retry_after": "-1s",
	} {
		var knobs sim.Knobs
		if knobs.Set(name, value) == nil {
			t.Errorf("%s=%s was taken", name, value)
		}
	}
	for name, value := range map[string]string{"bulk_window": "-1s", "bulk_polls": "-1", "rest_429": "100", "page_links": "page"} {
		var knobs sim.Knobs
		if err := knobs.Set(name, value); err != nil {
			t.Errorf("%s=%s was refused: %v", name, value, err)
		}
	}
}

func TestFaultWithANegativeNumberIsRefused(t *testing.T) {
	h := open(t, nil)
	for name, body := range map[string]string{
		"after":   `{"cut":"short","after":-1}`,
		"skip":    `{"status":500,"skip":-1}`,
		"times":   `{"status":500,"times":-1}`,
		"file":    `{"status":500,"file":-1}`,
		"latency": `{"latency":"-1s"}`,
	} {
		if a := h.control("POST", "faults", body); a.status != 400 {
			t.Errorf("%s: %d, want 400", name, a.status)
		}
	}
}

// A page number that no result reaches is an empty page, however large it is.
func TestPageNumberOfAnySizeIsAnswered(t *testing.T) {
	h := guideHospital(t)
	for _, page := range []string{"461168601842738791", "9223372036854775807"} {
		b := h.bundle("Observation?patient=eAlex3&category=laboratory&_count=20&_page=" + page)
		if got := b.ids("match"); len(got) != 0 {
			t.Errorf("page %s holds %v, want nothing", page, got)
		}
	}
}

// Epic names both sub-APIs for either category (captures, high).
func TestSurveyAndSDOHTouchTheSameSubAPIs(t *testing.T) {
	h := open(t, func(s *sim.Server) {
		s.Apps[0].APIs = []string{"Observation.Search (Labs) (R4)"}
	})
	for _, category := range []string{"survey", "sdoh"} {
		a := h.get("Observation?patient=eAlex3&category=" + category)
		if got := strings.Join(codesOf(a.body), " "); a.status != 400 || got != "59204 59204 59022" {
			t.Errorf("%s: %d with %s, want 400 with 59204 59204 59022", category, a.status, got)
		}
		for _, name := range []string{"Observation - Assessments.", "Observation - SDOH Assessments."} {
			if !strings.Contains(a.body, name) {
				t.Errorf("%s: %q is not named", category, name)
			}
		}
	}
}

// Some encoders escape the slash, and "Patient\/p1" is the same JSON string as "Patient/p1".
func TestReferenceWithEscapedSlashBelongsToThePatient(t *testing.T) {
	dir := t.TempDir()
	writeData(t, filepath.Join(dir, "a.ndjson"), `{"resourceType":"Patient","id":"p1"}
{"resourceType":"Condition","id":"c1","subject":{"reference":"Patient\/p1"}}
{"resourceType":"Condition","id":"c2","subject":{"reference":"https:\/\/ehr.example\/fhir\/Patient\/p1"}}`)
	h := open(t, func(s *sim.Server) { s.Data = dir })
	if got := strings.Join(h.bundle("Condition?patient=p1").ids("match"), " "); got != "c1 c2" {
		t.Errorf("the patient's conditions are %q, want c1 c2", got)
	}
}
