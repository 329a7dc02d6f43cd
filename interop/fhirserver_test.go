package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
)

// shelf is what the peer holds: identifiers and names with every character that search syntax uses.
func shelf() []r4.Resource {
	var all []r4.Resource
	for i, v := range []string{"plain", "a,b", "a", "b", "c$d", "c", "e|f", "e", `g\h`, "a+b c&d=e%20"} {
		all = append(all, &r4.Patient{
			Identifier: []r4.Identifier{{System: "urn:x", Value: v}},
			Name:       []r4.HumanName{{Family: "Fam" + v}},
			BirthDate:  r4.Date(fmt.Sprintf("19%d0-01-01", i)),
		})
	}
	for i := range 9 {
		all = append(all, &r4.Observation{
			Status:    "final",
			Code:      &r4.CodeableConcept{Coding: []r4.Coding{{System: "http://loinc.org", Code: "4548-4"}}},
			Subject:   &r4.Reference{Reference: fmt.Sprintf("Patient/p%d", i%2)},
			Effective: r4.DateTime(fmt.Sprintf("2024-05-0%dT08:00:00+02:00", i+1)),
		})
	}
	return all
}

type router struct {
	Base, Oracle string
	IDs          []string
}

func startRouter(t *testing.T) (router, *fhir.Client) {
	t.Helper()
	var resources []json.RawMessage
	for _, r := range shelf() {
		b, err := r4.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		resources = append(resources, b)
	}
	var at router
	peerServer(t, "fhir-router.mjs", map[string]any{"resources": resources}, &at)
	return at, &fhir.Client{Base: at.Base, Limits: fhir.Limits{PerMinute: -1}}
}

// ask is the peer's own search, by its repository and not by a URL of ours.
func (r router) ask(t *testing.T, typ string, params map[string][]string) []string {
	t.Helper()
	q, err := json.Marshal(map[string]any{"type": typ, "params": params})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(r.Oracle + "?ask=" + url.QueryEscape(string(q)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var got struct{ IDs []string }
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	return got.IDs
}

func TestClientReadsFHIRRouter(t *testing.T) {
	node(t)
	at, c := startRouter(t)
	p, err := fhir.Read[r4.Patient](t.Context(), c, at.IDs[1])
	if err != nil {
		t.Fatal(err)
	}
	if p.Identifier[0].Value != "a,b" || p.BirthDate != "1910-01-01" {
		t.Errorf("read %q born %s, want a,b born 1910-01-01", p.Identifier[0].Value, p.BirthDate)
	}
	_, err = fhir.Read[r4.Patient](t.Context(), c, "00000000-0000-4000-8000-000000000000")
	var e *fhir.Error
	if !errors.As(err, &e) || e.Status != http.StatusNotFound || e.Outcome() == nil {
		t.Errorf("reading nobody: %v, want a 404 with the peer's OperationOutcome", err)
	}
}

func TestClientPagesThroughFHIRRouter(t *testing.T) {
	node(t)
	at, c := startRouter(t)
	all, err := fhir.Collect(fhir.Search[r4.Observation](t.Context(), c, fhir.Where("status", "final").And("_count", "2")))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, o := range all {
		ids = append(ids, o.ID)
	}
	if want := at.IDs[len(at.IDs)-9:]; !sameSet(ids, want) {
		t.Errorf("pages of 2 brought %d observations, the peer holds %d", len(ids), len(want))
	}
}

func TestClientSearchesAsFHIRRouterUnderstands(t *testing.T) {
	node(t)
	at, c := startRouter(t)
	for _, s := range []struct {
		name, typ string
		q         fhir.Query
		params    map[string][]string
		want      int
	}{
		{"token", "Patient", fhir.Where("identifier", "urn:x|plain"), map[string][]string{"identifier": {"urn:x|plain"}}, 1},
		{"two values mean or", "Patient", fhir.Where("identifier", "urn:x|plain", "urn:x|c$d"), map[string][]string{"identifier": {"urn:x|plain,urn:x|c$d"}}, 2},
		{"comma in a value", "Patient", fhir.Where("identifier", "urn:x|"+fhir.Escape("a,b")), map[string][]string{"identifier": {`urn:x|a\,b`}}, 1},
		{"bar in a value", "Patient", fhir.Where("identifier", "urn:x|"+fhir.Escape("e|f")), map[string][]string{"identifier": {`urn:x|e\|f`}}, 1},
		{"dollar, escaped", "Patient", fhir.Where("identifier", "urn:x|"+fhir.Escape("c$d")), map[string][]string{"identifier": {`urn:x|c\$d`}}, 1},
		{"dollar", "Patient", fhir.Where("identifier", "urn:x|c$d"), map[string][]string{"identifier": {"urn:x|c$d"}}, 1},
		{"plus, space, ampersand, percent", "Patient", fhir.Where("identifier", "urn:x|a+b c&d=e%20"), map[string][]string{"identifier": {"urn:x|a+b c&d=e%20"}}, 1},
		{"date from", "Observation", fhir.Where("date", "ge2024-05-04T00:00:00+02:00"), map[string][]string{"date": {"ge2024-05-04T00:00:00+02:00"}}, 6},
		{"date between", "Observation", fhir.Where("date", "ge2024-05-04").And("date", "lt2024-05-06"), map[string][]string{"date": {"ge2024-05-04", "lt2024-05-06"}}, 2},
		{"reference", "Observation", fhir.Where("subject", "Patient/p1"), map[string][]string{"subject": {"Patient/p1"}}, 4},
		{"code with system", "Observation", fhir.Where("code", fhir.Token("http://loinc.org", "4548-4")), map[string][]string{"code": {"http://loinc.org|4548-4"}}, 9},
	} {
		t.Run(s.name, func(t *testing.T) {
			var got []string
			for e, err := range c.Entries(t.Context(), s.typ, s.q) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, e.ID)
			}
			if want := at.ask(t, s.typ, s.params); !sameSet(got, want) || len(got) != s.want {
				t.Errorf("through the client %d, by the peer's own search %d, want %d", len(got), len(want), s.want)
			}
		})
	}
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}
