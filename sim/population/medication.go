package population

import (
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/r4"
)

var (
	categoryMedication = concepts(concept("Outpatient",
		coding(terminology+"medicationrequest-category", "outpatient", "Outpatient"),
		coding(epicOID("10.798268.7040"), "1", "Outpatient")))
	courseContinuous = concept("Long-term", coding(terminology+"medicationrequest-course-of-therapy", "continuous", "Continuous long term therapy"))
	courseAcute      = concept("Short course (acute) therapy", coding(terminology+"medicationrequest-course-of-therapy", "acute", "Short course (acute) therapy"))
	rateCalculated   = concept("calculated", coding(epic.SystemDoseRateType, "calculated", "calculated"))
	rateAdmin        = concept("admin-amount", coding(epic.SystemDoseRateType, "admin-amount", "admin-amount"))
	rateOrdered      = concept("ordered", coding(epic.SystemDoseRateType, "ordered", "ordered"))
	frequencies      = map[int]string{0: "Every 7 days", 1: "Daily", 2: "2 times daily", 3: "3 times daily", 4: "Every 6 hours"}
	ucumOfDose       = map[string]string{"mg": "mg", "mcg": "ug", "mEq": "meq", "Units": "[iU]", "mL": "mL"}
)

// prescribe orders a drug at a visit. A zero stop means that the patient still takes it; a
// course ends by itself.
func (c *chart) prescribe(v *visit, drugKey string, stop time.Time) {
	d := drugByKey[drugKey]
	form := doseForms[d.form]
	m := &r4.MedicationRequest{
		ID:                  c.id("MedicationRequest"),
		Identifier:          []r4.Identifier{identifier(systemOrder, "ORD", c.number("order", 9))},
		Status:              "active",
		Intent:              "order",
		Category:            categoryMedication,
		Medication:          c.directory.medications[drugKey],
		Subject:             c.subject,
		Encounter:           v.reference,
		AuthoredOn:          r4.DateTime(date(v.at)),
		Requester:           v.by.reference,
		Recorder:            v.by.reference,
		CourseOfTherapyType: courseContinuous,
	}
	if v.reason != nil {
		m.ReasonCode = concepts(v.reason.code)
	}
	start := v.at
	bounds := &r4.Period{Start: r4.DateTime(date(start))}
	switch {
	case d.days > 0:
		end := addDays(start, d.days)
		m.CourseOfTherapyType = courseAcute
		bounds.End = r4.DateTime(date(end))
		if end.Before(c.now) {
			m.Status = "completed"
		}
	case !stop.IsZero() && stop.Before(c.now):
		m.Status = "stopped"
		bounds.End = r4.DateTime(date(stop))
	}

	repeat := &r4.TimingRepeat{Bounds: bounds, Frequency: r4.Integer(integer(d.timesADay)), Period: "1", PeriodUnit: "d"}
	if d.everyDays > 0 {
		repeat.Frequency, repeat.Period = "1", r4.Decimal(integer(d.everyDays))
	}
	dosage := r4.Dosage{
		Text:               d.sig,
		PatientInstruction: d.sig,
		Timing:             &r4.Timing{Repeat: repeat, Code: &r4.CodeableConcept{Text: frequencies[d.timesADay]}},
		Route:              concept(form.route, coding(systemSNOMED, form.routeCode, form.route), ownCode(epicOID("4.798268.7025"), 3, form.route)),
		Method:             concept(form.method, ownCode(epicOID("4.798268.8600"), 3, form.method)),
		DoseAndRate: []r4.DosageDoseAndRate{
			{Type: rateCalculated, Dose: doseQuantity(d.dose, d.doseUnit)},
			{Type: rateAdmin, Dose: doseQuantity(d.amount, d.per)},
			{Type: rateOrdered, Dose: doseQuantity(d.dose, d.doseUnit)},
		},
	}
	dosage.AsNeeded = r4.False
	if d.asNeeded != "" {
		dosage.AsNeeded = concept(d.asNeeded)
	}
	m.DosageInstruction = []r4.Dosage{dosage}
	m.DispenseRequest = &r4.MedicationRequestDispenseRequest{
		ValidityPeriod:         &r4.Period{Start: r4.DateTime(date(start)), End: r4.DateTime(date(start.AddDate(1, 0, 0)))},
		NumberOfRepeatsAllowed: "3",
		Quantity:               &r4.Quantity{Value: r4.Decimal(integer(d.quantity)), Unit: d.per},
	}
	if d.days > 0 {
		m.DispenseRequest.NumberOfRepeatsAllowed = "0"
		m.DispenseRequest.ExpectedSupplyDuration = &r4.Duration{Value: r4.Decimal(integer(d.days)), Unit: "Day", System: systemUCUM, Code: "d"}
	}
	c.add("", m)
}

func doseQuantity(amount float64, unit string) *r4.Quantity {
	q := &r4.Quantity{Value: shortest(amount), Unit: unit}
	if code := ucumOfDose[unit]; code != "" {
		q.System, q.Code = systemUCUM, code
	}
	return q
}
