package population

import "time"

// juniper was seen once, and nobody asked about allergies.
func juniper(c *chart) {
	c.newBody()
	c.notOnFile()
	v := c.visit("urgent", c.ago(0, 4, 0), "np", "ankle-sprain")
	c.vitals(v)
	c.prescribe(v, "ibuprofen", addDays(v.at, 14))
	c.visitNote(v)
}

// imogen has an ordinary small chart; what matters is the id that leads to it.
func imogen(c *chart) {
	c.problem("hypothyroidism", c.ago(4, 0, 0), time.Time{})
	c.problem("migraine", c.ago(10, 0, 0), time.Time{})
	c.newBody()
	c.insure()
	c.noKnownAllergies(c.ago(4, 0, 0))
	given := map[string]bool{}
	for i := range 3 {
		v := c.visit("office", c.ago(3-i, 1, 0), "pcp1", "hypothyroidism")
		c.vitals(v)
		c.order(v, "tsh")
		if i == 0 {
			c.prescribe(v, "levothyroxine", time.Time{})
			c.prescribe(v, "sumatriptan", time.Time{})
		}
		c.adultVaccines(v, given)
		c.visitNote(v)
	}
	c.appoint("office", "pcp1", at(addDays(c.now, 33), 15, 0), "booked", "Thyroid")
}
