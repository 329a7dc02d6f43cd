package fhir_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"testing"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/sim/simtest"
)

// example stands in for the test that an Example is not.
type example struct {
	testing.TB
	cleanups []func()
}

func (e *example) Helper()                        {}
func (e *example) Fatal(args ...any)              { log.Panic(args...) }
func (e *example) Fatalf(format string, a ...any) { log.Panicf(format, a...) }
func (e *example) Cleanup(f func())               { e.cleanups = append(e.cleanups, f) }

func (e *example) end() {
	for i := len(e.cleanups) - 1; i >= 0; i-- {
		e.cleanups[i]()
	}
}

// connect is a client of a simulated Epic. Against a real one it is a struct with two
// fields: &fhir.Client{Base: …, Auth: …}.
func connect() (c *fhir.Client, patient string, end func()) {
	e := &example{}
	epic := simtest.Start(e)
	return epic.Backend(e), epic.Patient, e.end
}

func ExampleRead() {
	c, id, end := connect()
	defer end()

	patient, err := fhir.Read[r4.Patient](context.Background(), c, id)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(patient.Name[0].Family, patient.BirthDate)
	// Output:
	// Emberley 1968-03-14
}

func ExampleSearch() {
	c, id, end := connect()
	defer end()

	n := 0
	labs := fhir.Where("patient", id).And("category", "laboratory").And("code", fhir.Token("http://loinc.org", "4548-4"))
	for obs, err := range fhir.Search[r4.Observation](context.Background(), c, labs) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if q, ok := obs.Value.(*r4.Quantity); ok {
			fmt.Println(q.Value, q.Unit)
		}
		if n++; n == 3 {
			break // no further page is fetched
		}
	}
	// Output:
	// 10.1 %
	// 9.4 %
	// 8.7 %
}

func ExampleError() {
	c, id, end := connect()
	defer end()

	// Epic wants a category or a code with every search for observations.
	_, err := fhir.Collect(fhir.Search[r4.Observation](context.Background(), c, fhir.Where("patient", id)))
	fmt.Println(err)
	if e, ok := errors.AsType[*fhir.Error](err); ok {
		fmt.Println(e.Status, e.Outcome().Issue[0].Diagnostics)
	}
	// Output:
	// fhir: search Observation, page 1: 400 required 59108
	// 400 Must have either code or category.
}

func ExampleClient_notice() {
	c, _, end := connect()
	defer end()

	c.Notice = func(o *r4.OperationOutcome) {
		for _, issue := range o.Issue {
			if issue.Details != nil {
				fmt.Println(issue.Severity+":", issue.Details.Text)
			}
		}
	}
	nobody, err := fhir.Collect(fhir.Search[r4.Patient](context.Background(), c, fhir.Where("family", "Nobody").And("given", "At All").And("birthdate", "1901-01-01")))
	fmt.Println(len(nobody), err)
	// Output:
	// warning: Resource request returns no results.
	// 0 <nil>
}

func ExampleWhere() {
	q := fhir.Where("patient", "eq081-VQEgP8drUUqCWzHfw3").
		And("category", "laboratory", "vital-signs"). // one or the other
		And("date", "ge2024-01-01").                  // and since then
		And("date", "lt2025-01-01")                   // and before that
	fmt.Println(q.Encode())
	fmt.Println(fhir.Where("family", fhir.Escape("O,Neill|Smith")).Encode())
	// Output:
	// patient=eq081-VQEgP8drUUqCWzHfw3&category=laboratory,vital-signs&date=ge2024-01-01&date=lt2025-01-01
	// family=O%5C%2CNeill%5C%7CSmith
}

func ExampleParseQuery() {
	typ, q, err := fhir.ParseQuery("Observation?patient=eRosalind&code=http://loinc.org|4548-4,2345-7")
	fmt.Println(typ, err)
	for name, values := range q.All() {
		fmt.Println(name, len(values))
	}
	// Output:
	// Observation <nil>
	// patient 1
	// code 2
}
