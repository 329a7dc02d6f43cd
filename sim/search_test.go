package sim_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/andironhq/andiron/sim"
)

const (
	system = `urn:oid:1.2.840.114350.1.13.0.1.7.2.657369`
	text59 = "Content invalid against the specification or a profile."
	rule   = "The content/operation failed to pass a business rule, and so could not proceed."
	bad    = "An element value is invalid."
	needed = "A required element is missing."
)

// one spells an issue as the server does.
func one(severity, code, number, text, more string) string {
	return `{"severity":"` + severity + `","code":"` + code + `","details":{"coding":[{"system":"` + system + `","code":"` + number + `","display":"` + text + `"}],"text":"` + text + `"}` + more + `}`
}

func outcomeOf(issues ...string) string {
	return `{"resourceType":"OperationOutcome","issue":[` + strings.Join(issues, ",") + `]}`
}

func at(param string) string {
	return `,"location":["/f:` + param + `"],"expression":["` + param + `"]`
}

// The refusals that captures of Epic's sandbox record, word for word (April 2026 and December
// 2025, high).
func TestRecordedRefusals(t *testing.T) {
	bogus := one("information", "invalid", "59100", text59, `,"diagnostics":"Unknown parameter: TOTALLY-BOGUS-PARAM. Parameter has been ignored."`)
	demographics := one("fatal", "business-rule", "59159", rule, `,"diagnostics":"This resource requires demographics or _id parameter for searching."`+at("demographics/_id"))
	codeOrCategory := one("fatal", "required", "59108", needed, `,"diagnostics":"Must have either code or category."`+at("code/category"))
	tests := []struct {
		path string
		want string
	}{
		{"Patient?totally-bogus-param=foo", outcomeOf(bogus, demographics)},
		{"Observation?patient=eAlex3", outcomeOf(codeOrCategory)},
		{"Observation?patient=eAlex3&totally-bogus-param=foo", outcomeOf(bogus, codeOrCategory)},
		{"CarePlan?patient=eAlex3", outcomeOf(one("fatal", "business-rule", "59159", rule, `,"diagnostics":"This resource requires a category for searching. Use 38717003 for longitudinal, 734163000 for encounter, 736271009 for outpatient, 736353004 for inpatient, 738906000 for dental, 736378000 for oncology, 719091000000102 for questionnaires due, 959871000000107 for anticoagulation, inpatient-pathway for inpatient pathway, 409073007 for education, or care-path for Care Path."`+at("category")))},
		{"Observation?patient=eAlex3&category=symptom", outcomeOf(
			one("information", "value", "59109", bad, `,"diagnostics":"Invalid category: symptom"`+at("category")),
			one("fatal", "value", "59111", bad, `,"diagnostics":"Required search parameter is provided but has an invalid value"`))},
		{"Patient?birthdate=ge1970-01-01&birthdate=le1980-01-01", outcomeOf(
			one("information", "value", "59109", bad, `,"diagnostics":"A single valid date is required for birthdate"`+at("birthdate")), demographics)},
		{"Observation?patient=eAlex3&category=procedure", outcomeOf(
			one("warning", "suppressed", "59204", "The authenticated client's search request applies to a sub-resource that the client is not authorized for. Results of this sub-type will not be returned.", `,"diagnostics":"Client not authorized for Observation - SmartData Elements. Search results of this type have not been included."`),
			one("fatal", "invalid", "59022", "Combination of parameters is not valid for any authorized sub-resource. No search was performed.", ""))},
	}
	h := open(t, func(s *sim.Server) {
		s.Apps[0].APIs = []string{"Patient.Search", "Observation.Search (Labs)", "CarePlan.Search", "Observation.Search (Vital Signs)"}
	})
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			if a := h.get(tt.path); a.status != 400 || a.body != tt.want {
				t.Errorf("got %d\n%s\nwant 400\n%s", a.status, a.body, tt.want)
			}
		})
	}
}

// Refusals of which status and codes are known (high unless marked).
func TestRefusals(t *testing.T) {
	h := open(t, nil)
	for _, tt := range []struct {
		path   string
		status int
		codes  string
	}{
		{"Observation?category=laboratory", 400, "59159"},
		{"Observation?code=4548-4", 400, "59159"},
		{"Condition?category=problem-list-item", 400, "59159"},
		{"DiagnosticReport?category=LAB", 400, "59159"},
		{"Encounter?date=ge2025", 400, "59159"},
		{"Immunization?status=completed", 400, "59159"},
		{"MedicationRequest?status=active", 400, "59159"},
		{"DocumentReference?category=clinical-note", 400, "59108"},
		{"Procedure?date=ge2025", 400, "59108"},
		{"AllergyIntolerance?clinical-status=active", 403, "4118"},
		{"Encounter?class=AMB", 400, "59109 59159"},
		{"Observation?_id=eAlex3", 400, "59008 59111"},
		{"MedicationRequest?patient=fakepatientid", 400, "59102"},
		{"Condition?patient=eAlex3&patient=eKim3", 400, "4112"},
		{"Condition?patient=eAlex3&subject=eKim3", 400, "4112"},
		{"Condition?patient=eAlex3,eKim3", 400, "4112"},
		{"EpisodeOfCare?patient=eAlex3&type=x", 400, "59159"},
		{"Organization", 400, "4110"},
		{"Organization?name=Example", 400, "59100 59102"},
		{"Practitioner?given=Fay", 400, "59159"},
		{"PractitionerRole?active=true", 400, "59159"},
		{"PractitionerRole?specialty=abc", 400, "59159"},   // its system is required
		{"PractitionerRole?identifier=1234", 400, "59159"}, // a URN is required
		{"QuestionnaireResponse?status=completed", 400, "59159"},
		{"Patient", 400, "59159"},
		{"Patient?active=true", 400, "59159"},
		{"Patient?birthdate=1987", 400, "59109 59159"},
		{"Observation?sessionID=1-FF", 400, "4113"},
		{"Observation?patient=eAlex3&code=,,", 400, "59108"}, // commas alone are no value
	} {
		t.Run(tt.path, func(t *testing.T) {
			a := h.get(tt.path)
			if got := strings.Join(codesOf(a.body), " "); a.status != tt.status || got != tt.codes {
				t.Errorf("got %d with %s, want %d with %s\n%s", a.status, got, tt.status, tt.codes, a.body)
			}
		})
	}
}

// What each search finds. Names are the rules.
func TestSearches(t *testing.T) {
	h := open(t, nil)
	for _, tt := range []struct{ name, path, want string }{
		{"a category", "Observation?patient=eAlex3&category=vital-signs", "fVital1 fVital2 fVital3"},
		{"a reference may carry its type", "Observation?patient=Patient/eAlex3&category=vital-signs", "fVital1 fVital2 fVital3"},
		{"subject is patient by another name", "Observation?subject=Patient/eAlex3&category=vital-signs", "fVital1 fVital2 fVital3"},
		{"parameter names have no case (medium)", "Observation?PATIENT=eAlex3&Category=vital-signs", "fVital1 fVital2 fVital3"},
		{"a category with its system", "Observation?patient=eAlex3&category=http://terminology.hl7.org/CodeSystem/observation-category%7Claboratory&code=2345-7", "fLab5 fLab6 fLab7"},
		{"a comma is or", "Observation?patient=eAlex3&code=2345-7,8867-4", "fLab5 fLab6 fLab7 fVital1 fVital2 fVital3"},
		{"a code with its system", "Observation?patient=eAlex3&code=http://loinc.org%7C2345-7", "fLab5 fLab6 fLab7"},
		{"a code with another system", "Observation?patient=eAlex3&code=http://example.org%7C2345-7", ""},
		{"one of two categories is unknown", "Observation?patient=eAlex3&category=vital-signs,nonsense", "fVital1 fVital2 fVital3"},
		{"date ge", "Observation?patient=eAlex3&category=laboratory&date=ge2025-06-10", "fLab6 fLab7"},
		{"date gt a day excludes it", "Observation?patient=eAlex3&category=laboratory&date=gt2025-06-10", "fLab7"},
		{"date lt", "Observation?patient=eAlex3&category=laboratory&date=lt2025-02", "fLab1"},
		{"two dates are a range", "Observation?patient=eAlex3&category=laboratory&date=ge2025-02&date=lt2025-04", "fLab2 fLab3"},
		{"a bare date is eq", "Observation?patient=eAlex3&category=laboratory&date=2025-03-10", "fLab3"},
		{"an invalid optional date is ignored", "Observation?patient=eAlex3&category=vital-signs&date=ne2025", "fVital1 fVital2 fVital3"},
		{"a post-filter parameter", "Observation?patient=eAlex3&category=laboratory&status=amended", "fLab2 fLab4 fLab6"},
		{"two spellings of one code system", "Condition?patient=eAlex3&code=http://snomed.info/sct%7C44054006", "eProblem3"},
		{"patient alone suffices for Condition", "Condition?patient=eAlex3", "eProblem3"},
		{"a chain by a dot works (medium)", "Condition?patient.identifier=203713", "eProblem3"},
		{"a period within a range", "Encounter?patient=eAlex3&date=ge2025-03-01&date=le2025-03-01", "eVisit3"},
		{"an encounter by its CSN", "Encounter?identifier=27001", "eVisit3"},
		{"appointments of a participant", "Appointment?patient=eAlex3&status=booked", "eNext3"},
		{"an unknown parameter is dropped (high)", "Condition?patient=eAlex3&bogus=x", "eProblem3"},
		{"_sort is ignored (low)", "Condition?patient=eAlex3&_sort=-date", "eProblem3"},
		{"_id alone", "Observation?_id=fLab1,fLab3", "fLab1 fLab3"},
		{"with _id everything else is ignored (high)", "Observation?_id=fLab1&patient=eKim3&status=amended", "fLab1"},
		{"a patient by MRN", "Patient?identifier=urn:oid:1.2.840.114350.1.13.0.1.7.5.737384.14%7C203713", "eAlex3"},
		{"a patient by a bare identifier (high)", "Patient?identifier=203713", "eAlex3"},
		{"a patient by an identifier's type", "Patient?identifier=EPI%7C203713", "eAlex3"},
		{"demographics together", "Patient?family=doe&given=alex&birthdate=1987-09-12", "eAlex3"},
		{"demographics that differ", "Patient?family=doe&given=alex&birthdate=1987-09-13", ""},
		{"name is ignored beside family (high)", "Patient?family=doe&given=alex&birthdate=1987-09-12&name=nobody", "eAlex3"},
		{"family alone is too weak (high)", "Patient?family=Doe", ""},
		{"gender alone is too weak (high)", "Patient?gender=female", ""},
		{"birthdate alone is too weak (high)", "Patient?birthdate=1987-09-12", ""},
		{"a practitioner by name", "Practitioner?family=Pract", "eGP3"},
		{"an organization by id", "Organization?_id=eOrg3", "eOrg3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := h.bundle(tt.path)
			if got := strings.Join(b.ids("match"), " "); got != tt.want {
				t.Errorf("%s found %q, want %q", tt.path, got, tt.want)
			}
			if b.Total != len(b.ids("match")) {
				t.Errorf("total is %d, want %d: a result of one page has the true count", b.Total, len(b.ids("match")))
			}
		})
	}
}

// The outcome entry stands at the end, with the issues in Epic's order and no link (captures of
// April 2026, backend token, high).
func TestOutcomeEntry(t *testing.T) {
	h := open(t, nil)
	for _, tt := range []struct {
		path  string
		codes string
		names string
	}{
		{"Procedure?patient=eAlex3", "59205 59204 4101", "External Radiotherapy Summary,Outside Record"},
		{"Encounter?patient=eAlex3", "59204", "Outside Record"},
		{"Observation?patient=eAlex3&category=laboratory", "59204", "Outside Record Results"},
		{"Observation?patient=eAlex3&category=vital-signs", "59204", "Outside Record Vital Signs"},
		{"Condition?patient=eAlex3&category=problem-list-item", "59204", "Outside Record Problems"},
		{"Condition?patient=eAlex3&category=health-concern", "59204 59204 4101", "Outside Record Problems,Outside Record Health Concern"},
		{"Condition?patient=eAlex3&category=encounter-diagnosis", "59204 4101", "Outside Record Encounter Diagnosis"},
		{"DocumentReference?patient=eAlex3", "", ""},
		{"CarePlan?patient=eKim3&category=38717003", "4101", ""},
		{"Encounter?patient=eAlex3&class=math", "59109 59204", "Outside Record"},
		{"MedicationRequest?patient=eAlex3&category=homemeds", "59101 59204", "Outside Record"},
		{"Patient?family=Doe", "4101", ""},
		{"Observation?_id=fLab1", "", ""},
	} {
		t.Run(tt.path, func(t *testing.T) {
			b := h.bundle(tt.path)
			if got := strings.Join(b.codes(), " "); got != tt.codes {
				t.Errorf("codes are %q, want %q", got, tt.codes)
			}
			if tt.codes == "" {
				return
			}
			last := b.Entry[len(b.Entry)-1]
			if last.Search.Mode != "outcome" || !strings.HasPrefix(last.FullURL, "urn:uuid:") {
				t.Errorf("the last entry is %s %s, want the outcome under a urn:uuid", last.Search.Mode, last.FullURL)
			}
			var o struct {
				Issue []struct{ Diagnostics string }
			}
			_ = json.Unmarshal(last.Resource, &o)
			at := 0
			for _, name := range strings.Split(tt.names, ",") {
				found := slices.IndexFunc(o.Issue[at:], func(i struct{ Diagnostics string }) bool {
					return strings.Contains(i.Diagnostics, " - "+name+". ") || name == ""
				})
				if found < 0 {
					t.Errorf("no issue names %q in order: %+v", name, o.Issue)
					continue
				}
				at += found
			}
		})
	}
	a := h.get("Encounter?patient=eAlex3")
	if !strings.Contains(a.body, `,{"fullUrl":"urn:uuid:`) || strings.Count(a.body, `"link":[`) != 2 {
		t.Errorf("the outcome entry has a link, or misses its place: %s", a.body)
	}
}

func TestBundleShape(t *testing.T) {
	h := open(t, nil)
	got := h.get("CarePlan?patient=eAlex3&category=38717003&_count=20&bogus=1").body
	self := h.base() + "/CarePlan?category=38717003&patient=eAlex3&bogus=1&_count=20"
	want := `{"resourceType":"Bundle","type":"searchset","total":1,"link":[{"relation":"self","url":"` + self + `"}],"entry":[` +
		`{"link":[{"relation":"self","url":"` + h.base() + `/CarePlan/ePlan3"}],"fullUrl":"` + h.base() + `/CarePlan/ePlan3","resource":` +
		`{"resourceType":"CarePlan","id":"ePlan3","status":"active","intent":"plan","category":[{"coding":[{"system":"http://snomed.info/sct","code":"38717003"}]}],"subject":{"reference":"Patient/eAlex3","display":"Doe, Alex"}}` +
		`,"search":{"mode":"match"}}]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestIncludes(t *testing.T) {
	h := open(t, nil)
	for path, want := range map[string]string{
		"Patient?_id=eAlex3&_include=Patient:generalPractitioner:Practitioner":   "eGP3",
		"Patient?_id=eAlex3&_include=Patient:general-practitioner":               "eGP3",
		"Patient?_id=eAlex3&_include=Patient:generalPractitioner:Organization":   "",
		"MedicationRequest?patient=eAlex3&_include=MedicationRequest:medication": "fDrug4",
		"MedicationRequest?patient=eAlex3&_include=*":                            "fDrug4 eAlex3",
		"Encounter?patient=eAlex3&_revinclude=Provenance:target":                 "eProv3",
		"Encounter?patient=eAlex3&_revinclude=Observation:encounter":             "",
	} {
		got := h.bundle(path).ids("include")
		slices.Sort(got)
		wanted := strings.Fields(want)
		slices.Sort(wanted)
		if !slices.Equal(got, wanted) {
			t.Errorf("%s includes %v, want %v", path, got, wanted)
		}
	}
}

// Since February 2026 a POST's query string is ignored but for _format; before, it made the
// body ignored (Epic, high).
func TestSearchByPost(t *testing.T) {
	for knob, want := range map[string]string{"feb2026": "fVital1 fVital2 fVital3", "old": "eNothing"} {
		h := open(t, func(s *sim.Server) { s.Knobs.PostSearch = knob })
		h.signIn()
		header := http.Header{"Authorization": {"Bearer " + h.token}, "Content-Type": {"application/x-www-form-urlencoded"}}
		a := h.do("POST", h.base()+"/Observation/_search?patient=eKim3&category=laboratory&_format=json", header, url.Values{"patient": {"eAlex3"}, "category": {"vital-signs"}}.Encode())
		var b bundle
		if err := json.Unmarshal([]byte(a.body), &b); err != nil {
			t.Fatalf("%s: %d %.200s", knob, a.status, a.body)
		}
		if got := strings.Join(b.ids("match"), " "); got != strings.ReplaceAll(want, "eNothing", "") {
			t.Errorf("%s: found %q, want %q", knob, got, want)
		}
	}
}

func TestSubAPIsLimitASearch(t *testing.T) {
	h := open(t, func(s *sim.Server) {
		s.Apps[0].APIs = []string{"Observation.Search (Labs) (R4)", "Patient.Search (R4)"}
	})
	b := h.bundle("Observation?patient=eAlex3&code=2345-7,8867-4")
	if got := strings.Join(b.ids("match"), " "); got != "fLab5 fLab6 fLab7" {
		t.Errorf("an app with Labs alone finds %q, want the labs", got)
	}
	if !slices.Contains(b.codes(), "59204") {
		t.Error("nothing says that vital signs were left out")
	}
	if b := h.bundle("Observation?_id=fVital1"); len(b.ids("match")) != 0 || strings.Join(b.codes(), " ") != "59204 4101" {
		t.Errorf("a vital sign by id: %v with %v, want nothing, 59204 and 4101", b.ids("match"), b.codes())
	}
	if b := h.bundle("Observation?_id=fLab1&_include=Observation:subject"); len(b.ids("include")) != 0 {
		t.Error("an app without Patient.Read gets a patient by _include")
	}
	if a := h.get("Observation?patient=eAlex3&category=vital-signs"); a.status != 400 || !slices.Contains(codesOf(a.body), "59022") {
		t.Errorf("a search for what the app lacks: %d %v, want 400 with 59022", a.status, codesOf(a.body))
	}
}

// A parameter that Epic declares and the simulator does not evaluate is said to be ignored, and
// never passes everything in silence.
func TestUnmodelledParameterIsReported(t *testing.T) {
	h := open(t, nil)
	b := h.bundle("Goal?patient=eAlex3&lifecycle-status=active")
	if slices.Contains(b.codes(), "59100") {
		t.Error("a modelled parameter is reported as not modelled")
	}
	b = h.bundle("CarePlan?patient=eAlex3&category=38717003&performer=x")
	if !slices.Contains(b.codes(), "59100") {
		t.Errorf("codes are %v, want 59100 for a parameter that is not modelled", b.codes())
	}
	if b := h.bundle("Condition?patient=eAlex3&code:text=x"); !slices.Contains(b.codes(), "59100") {
		t.Errorf("codes are %v, want 59100 for a modifier", b.codes())
	}
	h.get("CarePlan?patient=eAlex3&category=38717003&performer=x")
	list := h.Requests()
	if notes := list[len(list)-1].Notes; len(notes) != 1 || !strings.Contains(notes[0], "PERFORMER") {
		t.Errorf("the log notes %q, want the parameter's name", notes)
	}
}
