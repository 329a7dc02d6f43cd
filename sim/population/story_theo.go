package population

import "time"

// theo: hives after a penicillin, documented on the day two and a half years before the
// population's today (2024-03-01 at DefaultNow). Now he is in urgent care with acute sinusitis and
// no antibiotic has been ordered yet: an order of amoxicillin is the example that decision
// support is shown with.
func theo(c *chart) {
	c.problem("allergic-rhinitis", c.ago(11, 0, 0), time.Time{})
	c.newBody()
	c.insure()
	reacted := at(c.now.AddDate(-2, -6, 0), 16, 20)
	c.allergy("penicillin", "Hives", "moderate", reacted)
	c.allergic = append(c.allergic, "penicillin")

	earlier := c.visit("urgent", reacted.Add(-80*time.Minute), "np", "contact-dermatitis")
	c.vitals(earlier)
	c.note(earlier, "progress", []string{
		"Widespread hives two hours after the third tablet of amoxicillin, which he had left over at home. No swelling of lips or tongue, no wheeze.",
		"Plan: stop amoxicillin, cetirizine daily, penicillin allergy entered with hives.",
	})
	c.prescribe(earlier, "cetirizine", time.Time{})

	physical := c.visit("physical", c.ago(1, 4, 0), "pcp2", "adult-exam")
	c.vitals(physical)
	c.smokes(physical, "never")
	c.order(physical, "cbc")
	c.order(physical, "lipid")
	c.order(physical, "hcv")
	c.order(physical, "type")
	c.score(physical, "phq9", 1)
	c.food(physical, false)
	c.adultVaccines(physical, map[string]bool{})
	c.visitNote(physical)

	cold := c.visit("urgent", at(addDays(c.now, -9), 18, 10), "np", "uri")
	c.vitals(cold)
	c.order(cold, "covid")
	c.visitNote(cold)

	today := c.visit("urgent", c.now.Add(-15*time.Minute), "np", "sinusitis")
	c.vitals(today)
	c.note(today, "progress", []string{
		"Nine days of congestion, worse again since three days: facial pain on the right, fever at home, purulent discharge.",
		"Right maxillary tenderness. Lungs clear.",
		"Acute bacterial sinusitis likely. Antibiotic to be ordered; check allergies first.",
	})
	c.appoint("office", "pcp2", at(addDays(c.now, 14), 17, 0), "booked", "Check after sinusitis")
	c.document(c.ago(1, 4, 0), "Insurance Card")
}
