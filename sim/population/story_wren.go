package population

import "time"

// wren: every well-child visit since birth, with lengths, weights, head circumferences and
// percentiles. Past the second birthday the weight-for-length chart ends, and its percentile is
// kept with a reason in place of a value.
func wren(c *chart) {
	asthma := c.problem("asthma", c.who.birth.AddDate(4, 2, 0), time.Time{})
	c.problem("eczema", c.who.birth.AddDate(0, 14, 0), c.who.birth.AddDate(5, 0, 0))
	c.newBody()
	c.body.heightZ, c.body.weightZ = 0.4, -0.3
	c.insure()
	c.allergy("peanut", "Hives", "moderate", c.who.birth.AddDate(1, 8, 0))
	c.related("MTH", "Mother", "Calla", "female")
	c.related("FTH", "Father", "Idris", "male")

	given := map[string]bool{}
	var last *visit
	for i, months := range []int{0, 1, 2, 4, 6, 9, 12, 15, 18, 24, 30, 36, 48, 60, 72, 84, 96, 108, 120, 132, 144} {
		t := at(c.who.birth.AddDate(0, months, 6), 14+i%6, 5*(i%12))
		if t.After(addDays(c.now, -2)) {
			break
		}
		v := c.visit("well-child", t, "peds1", "child-exam")
		last = v
		c.vitals(v)
		if months >= 24 && months <= 36 {
			c.percentile(v, "weight-for-length", v.at.Add(6*time.Minute), 0, true)
		}
		c.childVaccines(v, given)
		switch months {
		case 12, 24:
			c.order(v, "lead")
		case 48:
			c.prescribe(v, "albuterol", time.Time{})
		case 60:
			c.prescribe(v, "fluticasone", time.Time{})
		}
		c.visitNote(v)
	}

	for i, months := range []int{16, 27, 33, 52, 75, 91} {
		t := at(c.who.birth.AddDate(0, months, 11), 17, 10*i%60)
		if t.After(addDays(c.now, -2)) {
			break
		}
		reason := []string{"otitis-media", "otitis-media", "otitis-media", "gastroenteritis", "covid", "strep"}[i]
		v := c.visit("urgent", t, "np", reason)
		c.vitals(v)
		switch reason {
		case "otitis-media":
			c.prescribe(v, "amoxicillin", time.Time{})
		case "covid":
			c.order(v, "covid")
		case "strep":
			c.order(v, "strep")
			c.prescribe(v, "amoxicillin", time.Time{})
		}
		c.visitNote(v)
	}
	tubes := c.visit("inpatient", at(c.who.birth.AddDate(0, 35, 2), 13, 0), "surgeon", "otitis-media")
	c.perform(tubes, "tympanostomy")

	c.plan("longitudinal", last.at, nil, "Asthma action plan", []string{"Green: fluticasone every day", "Yellow: albuterol every four hours", "Red: albuterol and call"}, asthma, "")
	c.plan("dental", last.at, nil, "Dental plan", []string{"Cleaning twice a year", "Sealants on the molars"}, nil, "")
	c.plan("education", last.at, last, "Inhaler technique", []string{"Spacer with mask", "Rinse after fluticasone"}, asthma, "")
	c.team(last.at, "nurse")
	c.document(last.at, "School Health Form")
	c.appoint("well-child", "peds1", at(addDays(c.now, 61), 15, 0), "booked", "Well child")
}
