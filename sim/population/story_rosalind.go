package population

import (
	"math"
	"time"
)

// rosalind: type 2 diabetes found late, treated well, and then the thread was lost. She was in
// touch two months ago by telephone, and nobody noticed that the last HbA1c is 14 months old.
func rosalind(c *chart) {
	found := c.ago(7, 0, 0)
	pressure := c.problem("hypertension", c.ago(9, 2, 0), time.Time{})
	diabetes := c.problem("diabetes2", found, time.Time{})
	c.problem("hyperlipidemia", c.ago(6, 6, 0), time.Time{})
	c.problem("obesity", c.ago(9, 2, 0), time.Time{})
	c.problem("neuropathy", c.ago(2, 3, 0), time.Time{})
	c.newBody()
	c.body.lab = map[string]curve{
		"a1c": func(t time.Time) float64 { return 6.8 + 3.3*math.Exp(-0.6*years(found, t)) },
	}
	c.body.adultHeight = 164
	c.body.bmi = func(t time.Time) float64 { return 34.5 - 0.5*years(found, t) }
	c.insure()
	c.noKnownAllergies(c.ago(9, 2, 0))

	first := c.visit("office", found, "pcp1", "diabetes2")
	c.vitals(first)
	c.smokes(first, "former")
	for _, panel := range []string{"a1c", "cmp", "lipid", "cbc", "tsh", "microalbumin"} {
		c.order(first, panel)
	}
	c.prescribe(first, "metformin-500", found.AddDate(0, 5, 0))
	c.prescribe(first, "lisinopril-20", time.Time{})
	c.visitNote(first)

	// Every six months a visit with an HbA1c, the last one 14 months ago.
	lastMeasured := c.ago(1, 2, 0)
	given := map[string]bool{}
	for i, t := 1, found.AddDate(0, 5, 3); t.Before(lastMeasured.AddDate(0, -3, 0)); i, t = i+1, t.AddDate(0, 6, 0) {
		v := c.visit("office", at(t, 15, 5*(i%12)), "pcp1", "diabetes2")
		c.diabetesVisit(v, i, given)
	}
	last := c.visit("office", lastMeasured, "pcp1", "diabetes2")
	c.diabetesVisit(last, 2, given)
	c.goalsOfDiabetes(last, diabetes, pressure)

	c.appoint("office", "pcp1", at(c.now.AddDate(0, -8, 4), 15, 30), "noshow", "Diabetes follow-up")
	c.appoint("office", "pcp1", at(c.now.AddDate(0, -5, 9), 16, 0), "cancelled", "Diabetes follow-up")
	call := c.visit("telephone", c.ago(0, 2, 0), "nurse", "")
	c.note(call, "telephone", []string{"Called for refills. Says she feels fine and has been busy at work.", "Refills sent. Asked to book a visit; laboratory tests were not discussed."})
	c.appoint("office", "pcp1", at(addDays(c.now, 23), 15, 30), "booked", "Diabetes follow-up")
	c.relative("MTH", "Mother", "diabetes2")
	c.relative("FTH", "Father", "hypertension", "cad")
	c.document(c.ago(3, 0, 0), "Insurance Card")
	c.summary(last)
}

func (c *chart) diabetesVisit(v *visit, i int, given map[string]bool) {
	c.vitals(v)
	c.order(v, "a1c")
	c.order(v, "bmp")
	if i%2 == 0 {
		c.order(v, "lipid")
		c.order(v, "microalbumin")
		c.perform(v, "eye-exam")
		c.smokes(v, "former")
		c.score(v, "phq9", 2+i%3)
	}
	switch i {
	case 1:
		c.prescribe(v, "metformin-1000", time.Time{})
		c.prescribe(v, "atorvastatin-40", time.Time{})
	case 3:
		c.prescribe(v, "empagliflozin", time.Time{})
	}
	c.adultVaccines(v, given)
	c.visitNote(v)
}

func (c *chart) goalsOfDiabetes(v *visit, diabetes, pressure *problem) {
	a1c := c.goal("Hemoglobin A1c below 7 %", v.at, "4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "7.0", "%", diabetes)
	c.goal("Blood pressure below 130/80", v.at, "8480-6", "Systolic blood pressure", "130", "mm[Hg]", pressure)
	c.plan("longitudinal", v.at, nil, "Diabetes plan", []string{"Metformin and empagliflozin every day", "HbA1c every six months", "Eye examination every year"}, diabetes, a1c)
	c.plan("outpatient", v.at, v, "Outpatient plan", []string{"Walk 30 minutes after supper", "Check feet every evening"}, diabetes, "")
	c.plan("education", v.at, v, "Living with diabetes", []string{"Carbohydrate counting", "Signs of low blood sugar"}, diabetes, "")
	c.plan("questionnaires", addDays(c.now, -10), nil, "Questionnaires due", []string{"PHQ-9", "Diabetes distress"}, nil, "")
	c.team(v.at, "dietitian", "nurse")
}
