package epic_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/simtest"
	"github.com/andironhq/andiron/smart"
)

func names(a epic.Access) []string {
	var out []string
	for _, api := range a.APIs {
		out = append(out, api.Name)
	}
	return out
}

func TestAPIsFor(t *testing.T) {
	tests := []struct {
		name   string
		needs  epic.Needs
		apis   string // ", " between
		scopes string
	}{
		{
			"a type is read and searched",
			epic.Needs{Reads: []string{"Patient"}},
			"Patient.Read (R4), Patient.Search (R4)",
			"launch/patient openid fhirUser patient/Patient.rs",
		},
		{
			"a category needs its part alone",
			epic.Needs{Reads: []string{"Observation:laboratory"}, Audience: epic.AudienceClinicians, Interactions: "s"},
			"Observation.Search (Labs) (R4)",
			"launch openid fhirUser user/Observation.s?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
		},
		{
			"a split type without category needs all its parts",
			epic.Needs{Reads: []string{"Condition"}, Audience: epic.AudienceBackend, Interactions: "r"},
			"Condition.Read (Problems) (R4), Condition.Read (Encounter Diagnosis) (R4), Condition.Read (Health Concern) (R4)",
			"system/Condition.r",
		},
		{
			"the text of notes is a Binary of the same part",
			epic.Needs{Reads: []string{"DocumentReference:clinical-note"}, Interactions: "rs"},
			"DocumentReference.Read (Clinical Notes) (R4), DocumentReference.Search (Clinical Notes) (R4), Binary.Read (Clinical Notes) (R4)",
			"launch/patient openid fhirUser patient/DocumentReference.rs?category=clinical-note patient/Binary.r",
		},
		{
			"an export needs Search of each type and the four bulk APIs",
			epic.Needs{Reads: []string{"Patient", "Observation:vital-signs"}, Audience: epic.AudienceBackend, Interactions: "s", Bulk: true},
			"Patient.Search (R4), Observation.Search (Vital Signs) (R4), Bulk Data Kick-off, Bulk Data Status Request, Bulk Data File Request, Bulk Data Delete Request",
			"system/Patient.s system/Observation.s?category=http://terminology.hl7.org/CodeSystem/observation-category|vital-signs",
		},
		{
			"what is asked twice is needed once",
			epic.Needs{Reads: []string{"Patient", "Patient"}, Interactions: "r"},
			"Patient.Read (R4)",
			"launch/patient openid fhirUser patient/Patient.r",
		},
		{
			"a type that cannot be searched is read",
			epic.Needs{Reads: []string{"Provenance"}},
			"Provenance.Read (R4)",
			"launch/patient openid fhirUser patient/Provenance.r",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := epic.APIsFor(tt.needs)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(names(a), ", "); got != tt.apis {
				t.Errorf("APIs are\n%s, want\n%s", got, tt.apis)
			}
			if got := strings.Join(a.Scopes, " "); got != tt.scopes {
				t.Errorf("scopes are\n%s, want\n%s", got, tt.scopes)
			}
		})
	}
}

func TestReadsThatEpicHasNot(t *testing.T) {
	tests := []struct {
		name, read   string
		interactions string
		nearest      string
	}{
		{"a type in another case", "observation", "", "Observation"},
		{"a type misspelled, with its category", "Obsevation:laboratory", "", "Observation:laboratory"},
		{"the beginning of a category", "Observation:lab", "", "Observation:laboratory"},
		{"a category misspelled", "Observation:vital-sign", "", "Observation:vital-signs"},
		{"a category of a type without", "Patient:laboratory", "", "Patient"},
		{"a type that nothing is like", "Zzz", "", ""},
		{"nothing", "", "", ""},
		{"a search of what cannot be searched", "Provenance", "s", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := epic.APIsFor(epic.Needs{Reads: []string{"Patient", tt.read}, Interactions: tt.interactions})
			e, ok := errors.AsType[*epic.NeedError](err)
			if !ok {
				t.Fatalf("the error is %v, want a NeedError", err)
			}
			if e.Read != tt.read || e.Nearest != tt.nearest {
				t.Errorf("%q: nearest to %q is %q, want %q", e.Read, tt.read, e.Nearest, tt.nearest)
			}
		})
	}
}

func TestNeedsThatContradictThemselves(t *testing.T) {
	for name, n := range map[string]epic.Needs{
		"an export for patients": {Reads: []string{"Patient"}, Bulk: true},
		"an unknown audience":    {Reads: []string{"Patient"}, Audience: "Doctors"},
		"an unknown interaction": {Reads: []string{"Patient"}, Interactions: "x"},
		"nothing that is read":   {},
	} {
		if _, err := epic.APIsFor(n); err == nil || !strings.HasPrefix(err.Error(), "epic: ") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

// Every category word of every type leads to APIs, and to no other type's.
func TestEveryKnownCategoryHasAPIs(t *testing.T) {
	for _, r := range epic.Resources() {
		for _, c := range epic.Categories(r.Type) {
			a, err := epic.APIsFor(epic.Needs{Reads: []string{r.Type + ":" + c.Code}})
			if err != nil {
				t.Errorf("%s:%s: %v", r.Type, c.Code, err)
				continue
			}
			for _, n := range names(a) {
				if !strings.HasPrefix(n, r.Type+".") && !strings.HasPrefix(n, "Binary.") {
					t.Errorf("%s:%s needs %s", r.Type, c.Code, n)
				}
			}
		}
	}
}

// An app that registers exactly what the sheet names can do at the simulator what it declared, and
// nothing else.
func TestTheSimulatorTakesTheAPIs(t *testing.T) {
	a, err := epic.APIsFor(epic.Needs{
		Reads:    []string{"Patient", "Observation:laboratory", "Condition:problem-list-item", "DocumentReference:clinical-note", "AllergyIntolerance"},
		Audience: epic.AudienceBackend,
	})
	if err != nil {
		t.Fatal(err)
	}
	key, err := smart.NewKey(smart.ES384)
	if err != nil {
		t.Fatal(err)
	}
	set, err := smart.PublicSet(key)
	if err != nil {
		t.Fatal(err)
	}
	keys := httptest.NewServer(set)
	t.Cleanup(keys.Close)
	e := simtest.StartServer(t, &sim.Server{
		Patients: simtest.Patients,
		Apps:     []sim.App{{ClientID: "least", Name: "least", JWKSURL: keys.URL, APIs: names(a)}},
	})
	auth := &smart.Backend{Base: e.URL, ClientID: "least", Key: key, Now: e.Now}
	get := func(query string) (int, int) {
		t.Helper()
		token, err := auth.Token(t.Context(), e.URL, "")
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL+"/"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Accept", "application/fhir+json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var b struct {
			Entry []struct {
				Search struct {
					Mode string `json:"mode"`
				} `json:"search"`
			} `json:"entry"`
		}
		_ = json.NewDecoder(res.Body).Decode(&b) // an empty body is an answer
		matches := 0
		for _, entry := range b.Entry {
			if entry.Search.Mode == "match" {
				matches++
			}
		}
		return res.StatusCode, matches
	}
	patient := e.Patient
	for _, q := range []string{"Patient?_id=", "Observation?category=laboratory&patient=", "Condition?category=problem-list-item&patient=", "DocumentReference?category=clinical-note&patient="} {
		if status, n := get(q + patient); status != http.StatusOK || n == 0 {
			t.Errorf("GET %s… is declared and answers %d with %d matches", q, status, n)
		}
	}
	if status, _ := get("AllergyIntolerance?patient=" + patient); status != http.StatusOK {
		t.Errorf("AllergyIntolerance is declared and answers %d", status)
	}
	for _, q := range []string{"Observation?category=vital-signs&patient=", "Condition?category=encounter-diagnosis&patient=", "Immunization?patient="} {
		if status, n := get(q + patient); status == http.StatusOK && n > 0 {
			t.Errorf("GET %s… is not declared and answers %d matches", q, n)
		}
	}
}

func ExampleAPIsFor() {
	a, err := epic.APIsFor(epic.Needs{
		Reads:    []string{"Patient", "Observation:laboratory"},
		Audience: epic.AudiencePatients,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, api := range a.APIs {
		fmt.Println(api.Name, api.ID)
	}
	fmt.Println(slices.Contains(a.Scopes, "patient/Patient.rs"))
	_, err = epic.APIsFor(epic.Needs{Reads: []string{"Observation:lab"}})
	fmt.Println(err)
	// Output:
	// Patient.Read (R4) 931
	// Patient.Search (R4) 932
	// Observation.Read (Labs) (R4) 0
	// Observation.Search (Labs) (R4) 999
	// true
	// epic: read "Observation:lab": no such category of the type is on record, nearest is "Observation:laboratory"
}
