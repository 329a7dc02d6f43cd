package population

import (
	"fmt"
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/r4"
)

var (
	categoryLab = concepts(
		concept("Laboratory", coding(terminology+"observation-category", "laboratory", "Laboratory")),
		concept("Lab", coding(systemOrderClass, "Lab", "Lab")),
	)
	categoryReport   = concepts(concept("Lab", coding(systemOrderClass, "Lab", "Lab"), coding(terminology+"v2-0074", "LAB", "Laboratory")))
	categoryLabOrder = concepts(concept("Lab", coding(systemSNOMED, "108252007", "Laboratory procedure"), coding(systemOrderClass, "Lab", "Lab")))
	notPerformed     = concept("Not Performed", coding(terminology+"data-absent-reason", "not-performed", "Not Performed"))
	specimenSite     = concept("Arm", coding(systemSNOMED, "40983000", "Upper arm structure"))
)

// result is the outcome of one component before it becomes an Observation.
type result struct {
	value   r4.ObservationValue
	number  float64
	numeric bool
	failed  bool // no value: the specimen could not be used
	odd     bool // outside the reference range
	text    string
}

// order places a laboratory order at a visit and files its results: a ServiceRequest, a
// Specimen, one Observation a component, and the DiagnosticReport that lists them.
func (c *chart) order(v *visit, panelKey string) {
	p := panelByKey[panelKey]
	collected := v.at.Add(time.Duration(12+c.below(20)) * time.Minute)
	issued := collected.Add(time.Duration(2+c.below(20)) * time.Hour)
	if issued.After(c.now) {
		issued = c.now
	}
	orderID, orderNumber := c.id("ServiceRequest"), c.number("order", 9)
	orderRef := []r4.Reference{*reference("ServiceRequest", orderID, p.name)}
	specimenID := c.id("Specimen")
	specimenType := specimens[p.specimen]

	request := &r4.ServiceRequest{
		ID:         orderID,
		Identifier: []r4.Identifier{identifier(systemOrder, "ORD", orderNumber)},
		Status:     "completed",
		Intent:     "order",
		Category:   categoryLabOrder,
		Code:       p.code,
		Subject:    c.subject,
		Encounter:  v.reference,
		Occurrence: r4.DateTime(instant(collected)),
		AuthoredOn: r4.DateTime(instant(v.at)),
		Requester:  v.by.reference,
		Specimen:   []r4.Reference{*reference("Specimen", specimenID, specimenType.Text)},
	}
	if v.reason != nil {
		request.ReasonCode = concepts(v.reason.code)
	}
	c.add("", request)

	accession := "26" + c.number("accession", 8)
	specimen := &r4.Specimen{
		ID:                  specimenID,
		Identifier:          []r4.Identifier{{System: epicOID("3.798268.320"), Value: accession}},
		AccessionIdentifier: &r4.Identifier{System: epic.SystemBeakerAccession, Value: accession},
		Type:                specimenType,
		Subject:             c.subject,
		ReceivedTime:        r4.DateTime(instant(collected.Add(30 * time.Minute))),
		Request:             orderRef,
		Collection:          &r4.SpecimenCollection{Collected: r4.DateTime(instant(collected))},
	}
	if p.specimen == "blood" {
		specimen.Collection.BodySite = specimenSite
	}
	c.add("", specimen)

	report := &r4.DiagnosticReport{
		ID: c.id("DiagnosticReport"),
		Identifier: []r4.Identifier{
			{Use: "official", System: epic.SystemBeakerAccession, Value: accession, Type: &r4.CodeableConcept{Text: "Beaker Accession"}},
			identifier(systemOrder, "ORD", orderNumber),
		},
		BasedOn:   orderRef,
		Status:    "final",
		Category:  categoryReport,
		Code:      p.code,
		Subject:   c.subject,
		Encounter: v.reference,
		Effective: r4.DateTime(instant(collected)),
		Issued:    r4.Instant(instant(issued)),
		Performer: []r4.Reference{*c.directory.organizations["lab"]},
		Specimen:  []r4.Reference{*reference("Specimen", specimenID, specimenType.Text)},
	}
	// One blood draw in fifty is hemolyzed: the potassium cannot be reported.
	hemolyzed := p.specimen == "blood" && c.chance(0.02)
	numbers := map[string]float64{}
	for n, key := range p.labs {
		l := labByKey[key]
		r := c.measure(l, collected, numbers, v)
		if hemolyzed && key == "potassium" {
			r = result{failed: true}
		}
		numbers[key] = r.number
		o := c.labObservation(l, r)
		o.BasedOn = orderRef
		o.Encounter = v.reference
		o.Effective = r4.DateTime(instant(collected))
		o.Issued = r4.Instant(instant(issued))
		o.Specimen = &report.Specimen[0]
		c.add("Labs", o)
		report.Result = append(report.Result, *reference("Observation", o.ID, fmt.Sprintf("Component (%d): %s", n+1, l.name)))
	}
	c.add("", report)
}

// measure takes one component's value. Components that follow from others (eGFR from
// creatinine, the estimated glucose from the HbA1c, total cholesterol from its parts) are
// computed, so that a report is consistent in itself.
func (c *chart) measure(l *lab, t time.Time, numbers map[string]float64, v *visit) result {
	if l.answers != nil {
		return c.answer(l, v)
	}
	noise := l.noise * c.normal()
	var n float64
	switch l.key {
	case "estimated-glucose":
		n = 28.7*numbers["a1c"] - 46.7
	case "glucose":
		a1c := c.level(labByKey["a1c"], t)
		if a1c < 5.7 {
			n = c.level(l, t) + noise
		} else {
			n = 28.7*a1c - 46.7 - 14 + 2.5*noise
		}
	case "creatinine":
		level := c.level(l, t)
		n = level * (1 + 0.04*c.normal())
	case "egfr":
		if c.age(t) < 18 {
			return result{value: r4.String("See comment"), text: "See comment"}
		}
		n = ckdEPI(numbers["creatinine"], c.who.sex, c.age(t))
	case "hematocrit":
		n = 2.98*numbers["hemoglobin"] + 0.4*c.normal()
	case "rbc":
		hemoglobin := c.level(labByKey["hemoglobin"], t)
		n = hemoglobin * 29.8 / c.level(labByKey["mcv"], t)
	case "cholesterol":
		triglycerides, hdl, ldl := c.lipids(t)
		n = triglycerides/5 + hdl + ldl
	case "triglycerides":
		n, _, _ = c.lipids(t)
	case "hdl":
		_, n, _ = c.lipids(t)
	case "ldl":
		_, _, n = c.lipids(t)
	case "pt":
		n = 11 * c.inr(t)
	case "inr":
		n = c.inr(t)
	default:
		n = c.level(l, t) + noise
	}
	return c.rounded(l, n)
}

// lipids gives one draw's triglycerides, HDL and LDL. The noise hangs on the time, so that each
// component of a panel sees the same draw.
func (c *chart) lipids(t time.Time) (triglycerides, hdl, ldl float64) {
	draw := rng{mix(c.seed, uint64(t.Unix()))}
	component := func(key string) float64 {
		l := labByKey[key]
		return max(l.plausible[0], c.level(l, t)+l.noise*draw.normal())
	}
	return component("triglycerides"), component("hdl"), component("ldl")
}

func (c *chart) inr(t time.Time) float64 {
	draw := rng{mix(c.seed, uint64(t.Unix()))}
	level := c.level(labByKey["inr"], t)
	if level > 1.5 {
		return max(1.1, level+0.3*draw.normal())
	}
	return level + 0.04*draw.normal()
}

// rounded rounds and bounds a number and forms the quantity that the component has.
func (c *chart) rounded(l *lab, n float64) result {
	n = min(l.plausible[1], max(l.plausible[0], n))
	r := result{number: n, numeric: true}
	q := &r4.Quantity{Value: decimal(n, l.decimals), Unit: l.unitText}
	if l.unit != "" {
		q.System, q.Code = systemUCUM, l.unit
	}
	if l.key == "microalbumin-ratio" && n < 7 {
		q.Value, q.Comparator, n = "7", "<", 7
		r.number = n
	}
	r.value = q
	r.text = string(q.Value)
	return r
}

// answer picks a result that is no number. Infections show in their tests.
func (c *chart) answer(l *lab, v *visit) result {
	weights := make([]int, len(l.answers))
	for i, a := range l.answers {
		weights[i] = a.weight
	}
	chosen := l.answers[c.pickWeighted(weights)]
	if l.key == "sars-cov-2" || l.key == "strep-a" {
		chosen = l.answers[1]
		if v.reason != nil && (v.reason.key == "covid" || v.reason.key == "strep") {
			chosen = l.answers[0]
		}
	}
	expected := l.rangeText == "Negative" || l.rangeText == "Non-reactive"
	odd := expected && chosen.text != l.rangeText
	return result{value: chosen.value, text: chosen.text, odd: odd}
}

func (c *chart) labObservation(l *lab, r result) *r4.Observation {
	o := &r4.Observation{
		ID:       c.id("Observation"),
		Status:   "final",
		Category: categoryLab,
		Code:     l.code,
		Subject:  c.subject,
		Value:    r.value,
	}
	if r.failed {
		o.DataAbsentReason = notPerformed
		o.Note = []r4.Annotation{{Text: "Specimen hemolyzed. Test not performed; recollection advised."}}
	}
	low, high := l.low, l.high
	if c.who.sex == "female" && l.femaleHigh != 0 {
		low, high = l.femaleLow, l.femaleHigh
	}
	switch {
	case high != 0:
		unit := func(v float64) *r4.Quantity {
			q := &r4.Quantity{Value: decimal(v, l.decimals), Unit: l.unitText}
			if l.unit != "" {
				q.System, q.Code = systemUCUM, l.unit
			}
			return q
		}
		lowQ, highQ := unit(low), unit(high)
		text := string(lowQ.Value) + " - " + string(highQ.Value)
		if l.unitText != "" {
			text += " " + l.unitText
		}
		o.ReferenceRange = []r4.ObservationReferenceRange{{Low: lowQ, High: highQ, Text: text}}
	case l.rangeText != "":
		o.ReferenceRange = []r4.ObservationReferenceRange{{Text: l.rangeText}}
	}
	switch {
	case r.odd:
		o.Interpretation = interpretAbnorm
	case r.numeric && high != 0 && r.number > high:
		o.Interpretation = interpretHigh
	case r.numeric && high != 0 && r.number < low:
		o.Interpretation = interpretLow
	case r.numeric && l.key == "egfr" && r.number < 60:
		o.Interpretation = interpretLow
	case c.chance(0.05):
		o.Interpretation = interpretNone
	}
	if l.key == "egfr" && !r.numeric {
		o.Note = []r4.Annotation{{Text: "The CKD-EPI 2021 equation is not validated below 18 years."}}
	}
	if l.key == "genotype" {
		o.Note = []r4.Annotation{{Text: "CYP2C9 *1/*3, VKORC1 -1639 G/A: increased warfarin sensitivity."}}
	}
	return o
}
