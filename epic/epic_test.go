package epic_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/r4"
)

func TestCodesAreFoundByNumber(t *testing.T) {
	all := epic.Codes()
	for i, c := range all {
		got, ok := epic.LookupCode(c.Number)
		if !ok || got != c {
			t.Errorf("LookupCode(%q) = %+v, %t: the table is not in the order of its numbers", c.Number, got, ok)
		}
		if i > 0 && all[i-1].Number == c.Number {
			t.Errorf("%s stands twice in the table", c.Number)
		}
		if !slices.Contains([]string{"fatal", "warning", "information"}, c.Severity) {
			t.Errorf("%s has severity %q, which Epic never sends", c.Number, c.Severity)
		}
		if c.Severity == "fatal" && c.Retryable && c.Number != epic.CodeInternal {
			t.Errorf("%s is a decision and must not be retried", c.Number)
		}
		if c.Meaning == "" || c.Issue == "" || c.Status == 0 {
			t.Errorf("%s lacks meaning, issue type or status: %+v", c.Number, c)
		}
		if c.Severity != "fatal" && c.Status != 200 {
			t.Errorf("%s is no failure and yet has status %d", c.Number, c.Status)
		}
	}
	if _, ok := epic.LookupCode("1"); ok {
		t.Error(`LookupCode("1") found something`)
	}
}

func outcome(system string, numbers ...string) *r4.OperationOutcome {
	o := &r4.OperationOutcome{}
	for _, n := range numbers {
		c, _ := epic.LookupCode(n)
		o.Issue = append(o.Issue, r4.OperationOutcomeIssue{
			Severity: c.Severity, Code: c.Issue,
			Details: &r4.CodeableConcept{Coding: []r4.Coding{{System: system, Code: n}}},
		})
	}
	return o
}

func TestCodesInFindsAnyCustomersCodes(t *testing.T) {
	tests := []struct {
		name, system string
		want         []string
	}{
		{"the sandbox's system", epic.SandboxCodeSystem, []string{"59204", "4101"}},
		{"a hospital's production system", "urn:oid:1.2.840.114350.1.13.297.2.7.2.657369", []string{"59204", "4101"}},
		{"a hospital's test system", "urn:oid:1.2.840.114350.1.13.297.3.7.2.657369", []string{"59204", "4101"}},
		{"another OID of Epic's", "urn:oid:1.2.840.114350.1.13.0.1.7.2.768282", nil},
		{"somebody else's codes", "http://example.com/codes", nil},
		{"the right end under another root", "urn:oid:1.2.3.7.2.657369", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := epic.CodesIn(outcome(tt.system, "59204", "4101", "59204")); !slices.Equal(got, tt.want) {
				t.Errorf("CodesIn with system %s = %v, want %v", tt.system, got, tt.want)
			}
		})
	}
	if got := epic.CodesIn(nil); got != nil {
		t.Errorf("CodesIn(nil) = %v, want nothing", got)
	}
}

func TestWhatMayBeAskedAgain(t *testing.T) {
	tests := []struct {
		name    string
		numbers []string
		want    bool
	}{
		{"an unexpected error inside the server", []string{"59177"}, true},
		{"more than 100 patients is an answer", []string{"4127"}, false},
		{"the daily maximum lasts until tomorrow", []string{"4135"}, false},
		{"broken glass is a policy", []string{"4130"}, false},
		{"a warning alone says nothing", []string{"59100"}, false},
		{"a decision outweighs an accident", []string{"59177", "4118"}, false},
		{"a number that nobody knows", []string{"59999"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := epic.Retryable(outcome(epic.SandboxCodeSystem, tt.numbers...)); got != tt.want {
				t.Errorf("Retryable(%v) = %t, want %t", tt.numbers, got, tt.want)
			}
		})
	}
}

func TestTooRecentIsFoundWhereverItStands(t *testing.T) {
	in := func(i r4.OperationOutcomeIssue) *r4.OperationOutcome {
		return &r4.OperationOutcome{Issue: []r4.OperationOutcomeIssue{{Severity: "information"}, i}}
	}
	for name, o := range map[string]*r4.OperationOutcome{
		"in diagnostics":  in(r4.OperationOutcomeIssue{Diagnostics: epic.TooRecentText}),
		"in details.text": in(r4.OperationOutcomeIssue{Details: &r4.CodeableConcept{Text: epic.TooRecentText}}),
		"in a display":    in(r4.OperationOutcomeIssue{Details: &r4.CodeableConcept{Coding: []r4.Coding{{Display: epic.TooRecentText}}}}),
	} {
		if !epic.TooRecent(o) {
			t.Errorf("TooRecent misses the sentence %s", name)
		}
	}
	if epic.TooRecent(outcome(epic.SandboxCodeSystem, "59159")) {
		t.Error("TooRecent takes any broken rule for a cooldown")
	}
}

func TestWithheldTellsEmptyFromNothing(t *testing.T) {
	if got := epic.Withheld(outcome(epic.SandboxCodeSystem, "59204", "4101", "4119")); !slices.Equal(got, []string{"59204", "4119"}) {
		t.Errorf("Withheld = %v, want 59204 and 4119", got)
	}
	if got := epic.Withheld(outcome(epic.SandboxCodeSystem, "4101")); got != nil {
		t.Errorf("Withheld = %v for a plain empty result, want nothing", got)
	}
}

// The counts are those of the sandbox's CapabilityStatement, May 2026.
func TestResourceTableMatchesTheCapabilityStatement(t *testing.T) {
	all := epic.Resources()
	count := map[string]int{}
	for _, r := range all {
		if !r4.IsResourceType(r.Type) {
			t.Errorf("%s is no R4 type", r.Type)
		}
		for _, i := range []string{"create", "read", "search-type", "update", "delete", "vread", ""} {
			if r.Does(i) {
				count[i]++
			}
		}
		if !r.Does("search-type") && r.Parameters() != nil {
			t.Errorf("%s has parameters and no search", r.Type)
		}
	}
	for i, want := range map[string]int{"create": 11, "read": 59, "search-type": 56, "update": 7, "delete": 0, "vread": 0, "": 0} {
		if count[i] != want {
			t.Errorf("%d types have %q, the CapabilityStatement says %d", count[i], i, want)
		}
	}
	if len(all) != 59 || !slices.IsSortedFunc(all, func(a, b epic.Resource) int { return strings.Compare(a.Type, b.Type) }) {
		t.Errorf("%d types, sorted or not; want 59 in alphabetical order", len(all))
	}
	obs, _ := epic.LookupResource("Observation")
	if len(obs.Profiles) != 22 || obs.Profiles[0] != "http://hl7.org/fhir/us/core/StructureDefinition/head-occipital-frontal-circumference-percentile" {
		t.Errorf("Observation has %d profiles, the first %q", len(obs.Profiles), obs.Profiles[0])
	}
	if got := strings.Join(obs.Parameters()[:11], " "); got != "based-on category code date focus issued patient subject _count _id combo-code" {
		t.Errorf("Observation's parameters begin %q", got)
	}
	for name, want := range map[string]bool{"code": true, "CODE": true, "patient:Patient": true, "patient.identifier": true, "bogus": false} {
		if obs.Declares(name) != want {
			t.Errorf("Observation declares %q: got %t, want %t", name, !want, want)
		}
	}
}

// query reads an example into what SearchWarnings takes.
func query(t *testing.T, search string) (string, url.Values) {
	t.Helper()
	typ, q, _ := strings.Cut(search, "?")
	v, err := url.ParseQuery(q)
	if err != nil {
		t.Fatalf("%s is no search: %v", search, err)
	}
	return typ, v
}

func TestEveryTypesExampleMeetsItsOwnRule(t *testing.T) {
	for _, r := range epic.Resources() {
		rule, ok := epic.LookupRule(r.Type)
		if ok != r.Does("search-type") {
			t.Errorf("%s: search is %t, rule is %t", r.Type, r.Does("search-type"), ok)
		}
		if !ok {
			continue
		}
		_, q := query(t, rule.Example())
		has := func(p string) bool { return q.Get(p) != "" }
		if m := rule.Missing(has); len(m) > 0 || !rule.Identifies(has) {
			t.Errorf("%s does not meet the rule of its type: %+v", rule.Example(), m)
		}
		if o := (epic.Dialect{}).SearchWarnings(r.Type, q); o != nil {
			t.Errorf("%s draws a warning: %s", rule.Example(), o.Issue[0].Diagnostics)
		}
		for _, c := range rule.Clauses {
			if _, ok := epic.LookupCode(c.Code); !ok || c.Status < 400 || len(c.Any) == 0 {
				t.Errorf("%s: clause %+v is incomplete", r.Type, c)
			}
			for _, p := range c.Any {
				if !r.Declares(p) && p != "subject" {
					t.Errorf("%s: the rule wants %s, which the type does not declare", r.Type, p)
				}
			}
		}
	}
}

func TestSearchWarnings(t *testing.T) {
	tests := []struct {
		name, search string
		want         string // a part of the only warning; "" for none
	}{
		{"a good search is silent", "Observation?patient=x&category=laboratory", ""},
		{"a system before the word changes nothing", "Observation?patient=x&category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory", ""},
		{"_id needs nothing else", "Observation?_id=x", ""},
		{"common parameters are understood", "Condition?patient=x&_count=50&_include=*&_revinclude=Provenance:target&_summary=count", ""},
		{"a modifier is judged by its parameter", "Condition?patient:Patient=x", ""},
		{"neither category nor code", "Observation?patient=x", "it needs code or category"},
		{"a parameter without value is none", "Observation?patient=x&category=", "it needs code or category"},
		{"no patient", "Condition?category=health-concern", "it needs patient or subject"},
		{"an unknown parameter is dropped silently", "Condition?patient=x&bogus=1", `no Condition parameter "bogus"`},
		{"sorting is dropped silently", "Condition?patient=x&_sort=-recorded-date", `"_sort"`},
		{"_lastUpdated is for two types only", "Condition?patient=x&_lastUpdated=ge2026", `"_lastupdated"`},
		{"one of those two", "DocumentReference?patient=x&_lastUpdated=ge2026", ""},
		{"an unknown category is refused", "Observation?patient=x&category=labresults", "an unknown category is refused"},
		{"an unknown category of Condition is ignored", "Condition?patient=x&category=math", ""},
		{"one weak demographic finds nobody", "Patient?family=Lopez", "with no match"},
		{"three together do", "Patient?family=Lopez&given=Camila&birthdate=1987-09-12", ""},
		{"an identifier does", "Patient?identifier=MRN|203713", ""},
		{"a range of birth dates is refused", "Patient?family=Lopez&given=Camila&birthdate=ge1987-09-12", "one full date"},
		{"only active allergies", "AllergyIntolerance?patient=x&clinical-status=inactive", "only active for clinical-status"},
		{"a type without search", "Provenance?target=x", "no search for Provenance"},
		{"a rule by analogy says nothing", "Appointment?status=booked", ""},
		{"a type that the table lacks says nothing", "Slot?schedule=x", ""},
		{"a next link is followed as given", "Observation?sessionID=16-0A", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			typ, q := query(t, tt.search)
			o := (epic.Dialect{}).SearchWarnings(typ, q)
			switch {
			case tt.want == "" && o == nil:
			case tt.want == "":
				t.Errorf("%s draws %q, want silence", tt.search, o.Issue[0].Diagnostics)
			case o == nil:
				t.Errorf("%s is silent, want a warning with %q", tt.search, tt.want)
			case len(o.Issue) != 1 || !strings.Contains(o.Issue[0].Diagnostics, tt.want):
				t.Errorf("%s draws %d warnings, the first %q; want one with %q", tt.search, len(o.Issue), o.Issue[0].Diagnostics, tt.want)
			}
		})
	}
}

func TestSearchWarningsHoldNoValues(t *testing.T) {
	for _, r := range epic.Resources() {
		q := url.Values{"bogus": {"CANARY"}}
		for _, p := range r.Parameters() {
			if p != "_id" {
				q[p] = []string{"CANARY", "x|CANARY"}
			}
		}
		if o := (epic.Dialect{}).SearchWarnings(r.Type, q); o != nil {
			for _, i := range o.Issue {
				if strings.Contains(i.Diagnostics, "CANARY") {
					t.Errorf("%s: a warning quotes a search value: %q", r.Type, i.Diagnostics)
				}
			}
		}
	}
}

func TestPagingExpired(t *testing.T) {
	d := epic.Dialect{}
	if !d.PagingExpired(400, outcome("urn:oid:1.2.840.114350.1.13.297.2.7.2.657369", "4113")) {
		t.Error("4113 is not taken for an expired paging session")
	}
	if d.PagingExpired(400, outcome(epic.SandboxCodeSystem, "59159")) || d.PagingExpired(404, nil) {
		t.Error("another refusal is taken for an expired paging session")
	}
}

func TestCarePlanRefusalIsEpicsOwnSentence(t *testing.T) {
	rule, _ := epic.LookupRule("CarePlan")
	got := rule.Clauses[1].Diagnostics
	for _, part := range []string{
		"This resource requires a category for searching. Use 38717003 for longitudinal, 734163000 for encounter, ",
		", inpatient-pathway for inpatient pathway, 409073007 for education, or care-path for Care Path.",
	} {
		if !strings.Contains(got, part) {
			t.Errorf("diagnostics %q lack %q", got, part)
		}
	}
}

func TestMRNIsFoundBySystem(t *testing.T) {
	id := func(system, text, value string) r4.Identifier {
		return r4.Identifier{Use: "usual", System: system, Value: value, Type: &r4.CodeableConcept{Text: text}}
	}
	tests := []struct {
		name string
		ids  []r4.Identifier
		want string
	}{
		{"the sandbox's EPI among its other identifiers", []r4.Identifier{
			id(epic.SandboxOID(epic.LeafEPIC), "EPIC", "E4007"),
			id(epic.SandboxOID(epic.LeafExternal), "INTERNAL", "     Z6129"),
			id(epic.SandboxOID(epic.LeafMRN), "EPI", "203713"),
		}, "203713"},
		{"another customer's number", []r4.Identifier{id("urn:oid:1.2.840.114350.1.13.297.2.7.5.737384.14", "EPI", "77")}, "77"},
		{"the system wins over the text", []r4.Identifier{
			id("http://other.example", "MRN", "1"), id(epic.SandboxOID(epic.LeafMRN), "anything", "2"),
		}, "2"},
		{"another server's MR", []r4.Identifier{{System: "http://other.example", Value: "9", Type: &r4.CodeableConcept{
			Coding: []r4.Coding{{System: "http://terminology.hl7.org/CodeSystem/v2-0203", Code: "MR"}},
		}}}, "9"},
		{"padding is no part of it", []r4.Identifier{id(epic.SandboxOID(epic.LeafMRN), "EPI", "  203713 ")}, "203713"},
		{"an old number is not taken", []r4.Identifier{{Use: "old", System: epic.SandboxOID(epic.LeafMRN), Value: "1"}}, ""},
		{"none", []r4.Identifier{id(epic.SandboxOID(epic.LeafCEID), "CEID", "X")}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := epic.MRN(&r4.Patient{Identifier: tt.ids})
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("MRN = %q, %t; want %q", got, ok, tt.want)
			}
		})
	}
}

func TestOIDTellsRealFromTest(t *testing.T) {
	o, ok := epic.ParseOID("urn:oid:1.2.840.114350.1.13.297.2.7.5.737384.14")
	if !ok || o.Customer != "297" || o.Environment != epic.EnvironmentProduction || o.Leaf != epic.LeafMRN {
		t.Errorf("ParseOID = %+v, %t", o, ok)
	}
	for _, s := range []string{"", "urn:oid:1.2.840.114350.1.72.1.7.7.10.696784.13260", "urn:oid:1.2.840.114350.1.13.", "urn:oid:1.2.840.114350.1.13.0.1.7.", "http://snomed.info/sct"} {
		if o, ok := epic.ParseOID(s); ok {
			t.Errorf("ParseOID(%q) = %+v, want false", s, o)
		}
	}
	if !epic.HasLeaf("urn:oid:1.2.840.114350.1.13.0.1.7.3.698084.8", "698084.8") || epic.HasLeaf("urn:oid:1.2.840.114350.1.13.0.1.7.3.698084.80", "698084.8") {
		t.Error("HasLeaf does not compare whole numbers")
	}
}

func TestIsEpicGoesBySoftwareName(t *testing.T) {
	cs := &r4.CapabilityStatement{Software: &r4.CapabilityStatementSoftware{Name: "Epic", Version: "May 2026"}}
	if !epic.IsEpic(cs) || epic.Release(cs) != "May 2026" {
		t.Errorf("IsEpic %t, release %q", epic.IsEpic(cs), epic.Release(cs))
	}
	for _, cs := range []*r4.CapabilityStatement{nil, {}, {Software: &r4.CapabilityStatementSoftware{Name: "HAPI FHIR Server", Version: "8"}}} {
		if epic.IsEpic(cs) || epic.Release(cs) != "" {
			t.Errorf("%+v is taken for Epic", cs)
		}
	}
}
