package simtest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/simtest"
)

func TestReadsOnAfterTokenExpires(t *testing.T) {
	epic := simtest.Start(t)
	c := epic.Backend(t)
	for _, wait := range []time.Duration{0, 61 * time.Minute} {
		epic.Advance(wait)
		p, err := fhir.Read[r4.Patient](t.Context(), c, epic.Patient)
		if err != nil {
			t.Fatalf("%v after sign-in: %v", wait, err)
		}
		if p.ID != epic.Patient {
			t.Errorf("read %s, want %s", p.ID, epic.Patient)
		}
	}
	if n := epic.Count("token"); n != 2 {
		t.Errorf("%d token requests, want 2", n)
	}
}

func TestSearchFollowsEveryPage(t *testing.T) {
	epic := simtest.Start(t)
	c := epic.Backend(t)
	var notices int
	c.Notice = func(*r4.OperationOutcome) { notices++ }
	q := fhir.Where("patient", epic.Patient).And("category", "laboratory").And("_count", "3")
	n := 0
	for _, err := range fhir.Search[r4.Observation](t.Context(), c, q) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if pages := epic.Count("search"); n <= 3 || pages != (n+2)/3 {
		t.Errorf("%d observations on %d pages of 3", n, pages)
	}
	if notices == 0 {
		t.Error("the outcome entry on the last page reached nobody")
	}
}

func TestFaultReachesTheClient(t *testing.T) {
	epic := simtest.Start(t)
	epic.Fail(sim.Fault{Op: "read", Code: "4131", Status: http.StatusForbidden})
	c := epic.Backend(t)
	if _, err := fhir.Read[r4.Patient](t.Context(), c, epic.Patient); err == nil {
		t.Error("break-the-glass went unnoticed")
	}
	epic.Heal()
	if _, err := fhir.Read[r4.Patient](t.Context(), c, epic.Patient); err != nil {
		t.Errorf("after healing: %v", err)
	}
}
