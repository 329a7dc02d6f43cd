package population

import (
	"fmt"
	"time"

	"github.com/andironhq/andiron/r4"
)

// immunize records a dose at a visit.
func (c *chart) immunize(v *visit, key string) {
	vac := vaccineByKey[key]
	c.add("", &r4.Immunization{
		ID:            c.id("Immunization"),
		Identifier:    []r4.Identifier{{Use: "usual", System: systemImmunization, Value: c.number("immunization", 7)}},
		Status:        "completed",
		VaccineCode:   vac.code,
		Patient:       c.subject,
		Encounter:     v.reference,
		Occurrence:    r4.DateTime(date(v.at)),
		PrimarySource: r4.True,
		Location:      v.place.reference,
		Manufacturer:  &r4.Reference{Display: vac.manufacturer},
		LotNumber:     fmt.Sprintf("SIM%04d", c.below(10000)),
		DoseQuantity:  &r4.Quantity{Value: r4.Decimal(vac.dose), Unit: "mL", System: systemDoseUnit, Code: "1"},
	})
}

// adultVaccines gives what is due at a visit of an adult.
func (c *chart) adultVaccines(v *visit, given map[string]bool) {
	age := c.age(v.at)
	if m := v.at.Month(); m >= time.September || m <= time.January {
		season := "flu " + integer(v.at.AddDate(0, -6, 0).Year())
		if !given[season] && c.chance(0.7) {
			given[season] = true
			if age >= 65 {
				c.immunize(v, "influenza-high")
			} else {
				c.immunize(v, "influenza")
			}
		}
	}
	once := func(key string, from float64, share float64) {
		if age >= from && !given[key] && c.chance(share) {
			given[key] = true
			c.immunize(v, key)
		}
	}
	once("tdap", 19, 0.35)
	once("covid", 18, 0.3)
	once("zoster", 50, 0.35)
	once("ppsv23", 65, 0.5)
}

// childVaccines gives the doses of the schedule that are due at a well-child visit.
func (c *chart) childVaccines(v *visit, given map[string]bool) {
	months := c.ageInMonths(v.at) + 0.7
	for _, s := range childSchedule {
		for dose, due := range s.months {
			key := s.key + integer(dose)
			if float64(due) <= months && !given[key] {
				given[key] = true
				// A dose that was due long ago was given elsewhere, before this chart began.
				if float64(due) > months-14 {
					c.immunize(v, s.key)
				}
			}
		}
	}
	if m := v.at.Month(); (m >= time.September || m <= time.January) && months >= 6 && c.chance(0.6) {
		c.immunize(v, "influenza")
	}
}
