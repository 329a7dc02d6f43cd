package fhir_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/population"
	"github.com/andironhq/andiron/sim/simtest"
)

// These tests hold the client against a simulated Epic over HTTP.

func labs(patient string) fhir.Query {
	return fhir.Where("patient", patient).And("category", "laboratory")
}

// codes are Epic's codes in an outcome, in order.
func codes(o *r4.OperationOutcome) []string {
	var out []string
	if o == nil {
		return nil
	}
	for _, i := range o.Issue {
		if i.Details != nil {
			for _, c := range i.Details.Coding {
				out = append(out, c.Code)
			}
		}
	}
	return out
}

func TestEpicRefusals(t *testing.T) {
	epic := simtest.Start(t)
	c := epic.Backend(t)
	read := func(typ, id string) func(context.Context) error {
		return func(ctx context.Context) error { _, err := c.ReadRaw(ctx, typ, id); return err }
	}
	search := func(typ string, q fhir.Query) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := fhir.Collect(c.Entries(ctx, typ, q))
			return err
		}
	}
	tests := []struct {
		name   string
		do     func(context.Context) error
		status int
		code   string // "" = no OperationOutcome
		text   string
	}{
		{"an id that does not exist", read("Patient", "nonsense"), 404, "59008", "fhir: read Patient/…: 404 not-found 59008"},
		{"a type that Epic does not have", read("InsurancePlan", "x"), 404, "", "fhir: read InsurancePlan/…: 404"},
		{"search on a type without search", search("Provenance", fhir.Where("target", "x")), 404, "", "fhir: search Provenance, page 1: 404"},
		{"Observation without category or code", search("Observation", fhir.Where("patient", epic.Patient)), 400, "59108", "fhir: search Observation, page 1: 400 required 59108"},
		{"Patient without demographics", search("Patient", fhir.Where("totally-bogus-param", "foo")), 400, "59159", "fhir: search Patient, page 1: 400 business-rule 59159"},
		{"CarePlan without category", search("CarePlan", fhir.Where("patient", epic.Patient)), 400, "59159", "fhir: search CarePlan, page 1: 400 business-rule 59159"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.do(t.Context())
			e, ok := errors.AsType[*fhir.Error](err)
			if !ok {
				t.Fatalf("got %v, want a *fhir.Error", err)
			}
			if e.Status != tt.status || (tt.code == "") != (e.Outcome() == nil) || tt.code != "" && !slices.Contains(codes(e.Outcome()), tt.code) {
				t.Errorf("got %d with codes %v, want %d with %q", e.Status, codes(e.Outcome()), tt.status, tt.code)
			}
			if err.Error() != tt.text {
				t.Errorf("got %q, want %q", err, tt.text)
			}
		})
	}
}

func TestMergedPatientIsReadUnderTheOldID(t *testing.T) {
	epic := simtest.StartServer(t, &sim.Server{Patients: simtest.Patients, Merged: map[string]string{"eOld.Id": population.RosalindID}})
	p, err := fhir.Read[r4.Patient](t.Context(), epic.Backend(t), "eOld.Id")
	if err != nil || p.ID != population.RosalindID {
		t.Errorf("got %v, want the record that survives", err)
	}
}

func TestEveryPageSizeGivesTheSameResult(t *testing.T) {
	epic := simtest.Start(t)
	c := epic.Backend(t)
	var want []string
	for _, size := range []int{1000, 1, 2, 7, 50} {
		var got []string
		for obs, err := range fhir.Search[r4.Observation](t.Context(), c, labs(epic.Patient).And("_count", strconv.Itoa(size))) {
			if err != nil {
				t.Fatalf("pages of %d: %v", size, err)
			}
			got = append(got, obs.ID)
		}
		if want == nil {
			want = got
		}
		if len(got) < 10 || !slices.Equal(got, want) {
			t.Errorf("pages of %d give %d resources, other than the %d of one page", size, len(got), len(want))
		}
	}
	n, err := c.Count(t.Context(), "Observation", labs(epic.Patient))
	if err != nil || n != len(want) {
		t.Errorf("Count says %d, %v; %d came", n, err, len(want))
	}
}

func TestExpiredPagingSessionBeginsAgainWithoutGapsOrDuplicates(t *testing.T) {
	epic := simtest.Start(t)
	c := epic.Backend(t)
	want, err := fhir.Collect(fhir.Search[r4.Observation](t.Context(), c, labs(epic.Patient)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for obs, err := range fhir.Search[r4.Observation](t.Context(), c, labs(epic.Patient).And("_count", "2")) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, obs.ID); len(got) == 1 || len(got) == 7 {
			epic.Advance(3 * time.Hour) // the server's paging sessions live half an hour
		}
	}
	if len(got) != len(want) || len(want) < 10 {
		t.Fatalf("%d resources came, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i].ID {
			t.Fatalf("resource %d is another than without the expiry", i)
		}
	}
}

func TestWhatEpicSaysBesideTheResultsReachesNotice(t *testing.T) {
	epic := simtest.Start(t)
	c := epic.Backend(t)
	var heard []string
	c.Notice = func(o *r4.OperationOutcome) { heard = append(heard, codes(o)...) }
	got, err := fhir.Collect(fhir.Search[r4.Patient](t.Context(), c, fhir.Where("family", "Nobody")))
	if err != nil || len(got) != 0 {
		t.Fatalf("got %d patients, %v", len(got), err)
	}
	if len(heard) == 0 {
		t.Error("an empty result came without its reason")
	}
}

func TestFaultsOfTheServer(t *testing.T) {
	tests := []struct {
		name  string
		fault sim.Fault
		reads int // requests until success
	}{
		{"throttled twice", sim.Fault{Op: "read", Times: 2, Status: http.StatusTooManyRequests, RetryAfter: "30"}, 3},
		{"unavailable with HTML twice", sim.Fault{Op: "read", Times: 2, Status: http.StatusServiceUnavailable, Body: "html"}, 3},
		{"the token is refused once", sim.Fault{Op: "read", Times: 1, Status: http.StatusUnauthorized}, 2},
		{"the connection breaks in the body", sim.Fault{Op: "read", Times: 1, Cut: sim.CutReset, After: 20}, 2},
		{"the body is short", sim.Fault{Op: "read", Times: 1, Cut: sim.CutShort, After: 20}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			epic := simtest.Start(t)
			c := epic.Backend(t)
			c.Wait = func(_ context.Context, d time.Duration) error { epic.Advance(d); return nil }
			epic.Fail(tt.fault)
			if _, err := fhir.Read[r4.Patient](t.Context(), c, epic.Patient); err != nil {
				t.Fatal(err)
			}
			if n := epic.Count("read"); n != tt.reads {
				t.Errorf("%d reads, want %d", n, tt.reads)
			}
		})
	}
	t.Run("break-the-glass is final", func(t *testing.T) {
		epic := simtest.Start(t)
		epic.Fail(sim.Fault{Op: "read", Code: "4131"})
		_, err := fhir.Read[r4.Patient](t.Context(), epic.Backend(t), epic.Patient)
		e, ok := errors.AsType[*fhir.Error](err)
		if !ok || e.Status != http.StatusForbidden || !slices.Contains(codes(e.Outcome()), "4131") || epic.Count("read") != 1 {
			t.Errorf("got %v after %d reads, want 403 with 4131 after 1", err, epic.Count("read"))
		}
	})
}

func TestCapabilitiesOfEpic(t *testing.T) {
	epic := simtest.Start(t)
	c := epic.Backend(t)
	s, err := c.Capabilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.FhirVersion != "4.0.1" || len(s.Rest) != 1 || len(s.Rest[0].Resource) < 12 {
		t.Errorf("FHIR version %q with %d rest parts", s.FhirVersion, len(s.Rest))
	}
	if epic.Count("token") != 0 {
		t.Error("a token was fetched for what anybody may see")
	}
}
