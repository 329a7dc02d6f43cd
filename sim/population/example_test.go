package population_test

import (
	"fmt"

	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/sim/population"
)

// The named patients come first, with the same ids under every seed.
func ExamplePeople() {
	p := population.New(population.Config{Seed: 7, Patients: 50})
	for k, person := range population.People()[:4] {
		fmt.Println(person.ID == p.PatientID(k), person.MRN, person.Given, person.Family, person.BirthDate)
	}
	// Output:
	// true 9000001 Rosalind Emberley 1968-03-14
	// true 9000002 Theo Marchbanks 1991-11-02
	// true 9000003 Wren Halloway 2018-05-09
	// true 9000004 Ambrose Kettlewell 1946-08-21
}

// A chart is made when it is asked for, however large the population.
func ExamplePopulation_Chart() {
	p := population.New(population.Config{Patients: 1_000_000})
	for _, r := range p.Chart(1) {
		if r.Type != "AllergyIntolerance" {
			continue
		}
		decoded, err := r4.Unmarshal(r.JSON)
		if err != nil {
			panic(err)
		}
		allergy := decoded.(*r4.AllergyIntolerance)
		fmt.Println(allergy.Code.Text, allergy.Reaction[0].Manifestation[0].Text, allergy.RecordedDate)
	}
	// Output: PENICILLINS Hives 2024-03-01T16:20:00Z
}
