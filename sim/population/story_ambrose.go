package population

import (
	"fmt"
	"math"
	"time"
)

// ambrose: the chart in which everything interacts. Warfarin meets amiodarone and the INR climbs
// until the dose is cut; simvastatin and digoxin meet amiodarone too; oxycodone (40 mg a day, 60
// MME) meets lorazepam; the kidneys fail slowly. Heart failure brought him to hospital last
// winter.
func ambrose(c *chart) {
	failing := c.ago(6, 0, 0)
	rhythm := c.ago(8, 3, 0)
	kidney := c.ago(5, 0, 0)
	amiodarone := c.ago(1, 1, 0)
	c.problem("cad", c.ago(11, 0, 0), time.Time{})
	c.problem("hypertension", c.ago(19, 0, 0), time.Time{})
	c.problem("hyperlipidemia", c.ago(12, 0, 0), time.Time{})
	afib := c.problem("afib", rhythm, time.Time{})
	failure := c.problem("heart-failure", failing, time.Time{})
	c.problem("ckd3", kidney, time.Time{})
	pain := c.problem("chronic-pain", c.ago(4, 0, 0), time.Time{})
	c.problem("anxiety", c.ago(3, 0, 0), time.Time{})
	c.problem("knee-oa", c.ago(14, 0, 0), time.Time{})
	c.problem("gout", c.ago(7, 0, 0), c.ago(2, 0, 0))
	c.concern("fall-risk", c.ago(0, 10, 0))
	c.newBody()
	c.body.adultHeight = 175
	c.body.bmi = func(time.Time) float64 { return 27.5 }
	stay := at(c.now.AddDate(0, -7, -12), 9, 30) // last winter
	c.body.lab = map[string]curve{
		"inr": func(t time.Time) float64 {
			// Steady, then up after amiodarone, then down again with less warfarin.
			weeks := years(amiodarone, t) * 52
			if weeks < 0 {
				return 2.4
			}
			return 2.4 + 1.5*(weeks/6)*math.Exp(1-weeks/6)
		},
		"bnp": func(t time.Time) float64 {
			days := math.Abs(t.Sub(stay).Hours() / 24)
			return 1100 + 5200*math.Exp(-days/25)
		},
		"creatinine": func(t time.Time) float64 {
			return creatinineFor(56-3.6*max(0, years(kidney, t)), "male", c.age(t))
		},
	}
	c.insure()
	c.allergy("sulfa", "Rash", "mild", c.ago(15, 0, 0))
	c.allergy("shellfish", "Hives", "moderate", c.ago(15, 0, 0))
	c.related("CHILD", "Daughter", "Marguerite", "female")
	c.relative("FTH", "Father", "cad", "heart-failure")

	// Cardiology twice a year, primary care in between.
	given := map[string]bool{}
	var visits []*visit
	for i := range 12 {
		t := at(c.now.AddDate(-3, 3*i-1, -4), 14, 5*i)
		if !t.Before(addDays(c.now, -5)) {
			break
		}
		with, reason := "pcp3", []string{"ckd3", "chronic-pain", "hypertension"}[i%3]
		if i%2 == 0 {
			with, reason = "cardiology", "heart-failure"
		}
		v := c.visit("office", t, with, reason)
		visits = append(visits, v)
		c.vitals(v)
		c.order(v, "bmp")
		if i%2 == 0 {
			c.order(v, "bnp")
			c.perform(v, "ecg")
			c.ejection(v, 36-i/2)
		} else {
			c.order(v, "cbc")
			c.adultVaccines(v, given)
		}
		if i%4 == 0 {
			c.order(v, "lipid")
			c.perform(v, "echo")
			c.smokes(v, "former")
			c.score(v, "phq9", 6+i/2)
			c.score(v, "auditc", 1)
			c.food(v, false)
		}
		if i == 7 {
			c.order(v, "digoxin")
			c.order(v, "warfarin-genotype")
		}
		c.visitNote(v)
	}
	c.medicinesOfAmbrose(visits, amiodarone)

	// The anticoagulation clinic, every five weeks for two years.
	for i, t := 0, c.ago(2, 0, 0); t.Before(addDays(c.now, -6)); i, t = i+1, addDays(t, 35) {
		v := c.visit("anticoagulation", at(t, 13, 5*(i%12)), "pharmacist", "anticoagulation")
		c.order(v, "inr")
	}

	hospital := c.visit("inpatient", stay, "hospitalist", "heart-failure")
	c.vitals(hospital)
	for _, panel := range []string{"bnp", "cmp", "cbc", "inr", "type"} {
		c.order(hospital, panel)
	}
	c.perform(hospital, "ecg")
	c.perform(hospital, "chest-x-ray")
	c.perform(hospital, "echo")
	c.ejection(hospital, 28)
	c.note(hospital, "h-and-p", []string{
		fmt.Sprintf("%d-year-old man with ischemic heart failure, ten days of breathlessness, 4 kg up, sleeping in a chair.", int(c.age(stay))),
		"Atrial fibrillation on warfarin, kidney disease stage 3. On oxycodone and lorazepam at home.",
		"Plan: intravenous furosemide, daily weight, INR daily, hold naproxen.",
	})
	c.note(hospital, "consult", []string{"Cardiology: ejection fraction 28 %. Continue carvedilol and spironolactone. Watch digoxin with amiodarone and falling eGFR."})
	c.note(hospital, "discharge", []string{"Four days, 4.6 kg off. Discharged home on furosemide 40 mg.", "Follow-up in one week; INR in three days; consider naloxone and a taper of lorazepam."})
	c.plan("inpatient", hospital.at, hospital, "Heart failure admission", []string{"Daily weight", "Fluid restriction 1.5 L", "Fall precautions"}, failure, "")
	c.plan("pathway", hospital.at, hospital, "Heart Failure Pathway", []string{"Day 1: diuresis", "Day 2: echocardiogram", "Day 3: teaching", "Day 4: discharge"}, failure, "")
	c.plan("encounter", hospital.at, hospital, "Plan of the stay", []string{"Diuresis to dry weight", "Anticoagulation unchanged"}, failure, "")

	pacing := c.visit("inpatient", c.ago(2, 8, 0), "surgeon", "afib")
	c.perform(pacing, "pacemaker")
	c.implant("Pacemaker", "706004007", "Implantable cardiac pacemaker", pacing.at)

	last := visits[len(visits)-1]
	aim := c.goal("Systolic blood pressure below 130", last.at, "8480-6", "Systolic blood pressure", "130", "mm[Hg]", failure)
	c.goal("Walk to the mailbox every day", last.at, "", "", "", "", nil)
	c.plan("longitudinal", last.at, nil, "Heart failure plan", []string{"Weigh every morning", "Call at 1.5 kg in two days", "Two grams of sodium a day"}, failure, aim)
	c.plan("outpatient", last.at, last, "Outpatient plan", []string{"Kidney function every three months"}, failure, "")
	c.plan("anticoagulation", rhythm, nil, "Anticoagulation, INR goal 2.0 to 3.0", []string{"Warfarin as directed by the clinic", "INR every five weeks"}, afib, "")
	c.plan("education", hospital.until, hospital, "Heart failure teaching", []string{"Salt", "Weight diary", "When to call"}, failure, "")
	c.plan("care-path", last.at, nil, "Cardiac rehabilitation", []string{"Week 1 to 4: walking", "Week 5 to 12: supervised exercise"}, failure, "")
	c.plan("questionnaires", addDays(c.now, -5), nil, "Questionnaires due", []string{"Fall risk", "PHQ-9"}, nil, "")
	c.plan("oncology", c.ago(3, 0, 0), nil, "Surveillance after colon polyp", []string{"Colonoscopy every five years"}, nil, "")
	c.team(last.at, "cardiology", "pharmacist", "nurse")
	c.episode("Anticoagulation", rhythm, "pharmacist", afib)
	c.episode("Heart Failure", failing, "cardiology", failure)
	c.episode("Pain Management", c.ago(4, 0, 0), "pcp3", pain)
	c.document(c.ago(2, 0, 0), "Advance Directive")
	c.document(c.ago(4, 0, 0), "Opioid Agreement")
	c.summary(hospital)
	c.appoint("anticoagulation", "pharmacist", at(addDays(c.now, 9), 13, 15), "booked", "INR")
	c.appoint("office", "cardiology", at(addDays(c.now, 20), 14, 30), "booked", "Heart failure")
	c.appoint("office", "pcp3", at(addDays(c.now, 48), 16, 0), "booked", "Pain and kidney follow-up")
	c.appoint("office", "pcp3", at(addDays(c.now, -75), 16, 0), "cancelled", "Pain follow-up")
}

// medicinesOfAmbrose spreads the orders over the visits in which they were made.
func (c *chart) medicinesOfAmbrose(visits []*visit, amiodarone time.Time) {
	never := time.Time{}
	for _, d := range []string{"warfarin", "furosemide", "carvedilol", "spironolactone", "simvastatin", "potassium"} {
		c.prescribe(visits[0], d, never)
	}
	for _, d := range []string{"oxycodone", "gabapentin", "pantoprazole"} {
		c.prescribe(visits[1], d, never)
	}
	c.prescribe(visits[0], "hydrocodone-acetaminophen", visits[1].at)
	c.prescribe(visits[3], "lorazepam", never)
	c.prescribe(visits[3], "naproxen", visits[8].at)
	c.prescribe(visits[5], "allopurinol", visits[7].at)
	c.prescribe(visits[6], "digoxin", never)
	for _, v := range visits {
		if v.at.After(amiodarone) {
			c.prescribe(v, "amiodarone", never)
			break
		}
	}
}
