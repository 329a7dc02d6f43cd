package population

import (
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/r4"
)

// findings are a visit's measurements in words, for its note.
type findings struct{ bp, pulse, temperature, weight string }

var (
	categoryVitals  = concepts(concept("Vital Signs", coding(terminology+"observation-category", "vital-signs", "Vital Signs")))
	templateID      = r4.Extension{URL: epic.ExtensionTemplateID, Value: &r4.Identifier{System: systemTemplate, Value: "2100000001"}}
	codeSystolic    = concept("Systolic blood pressure", coding(systemLOINC, "8480-6", "Systolic blood pressure"))
	codeDiastolic   = concept("Diastolic blood pressure", coding(systemLOINC, "8462-4", "Diastolic blood pressure"))
	notApplicable   = concept("Not Applicable", coding(terminology+"data-absent-reason", "not-applicable", "Not Applicable"))
	interpretNormal = concepts(concept("Normal", coding(terminology+"v3-ObservationInterpretation", "N", "Normal")))
	interpretHigh   = concepts(concept("High", coding(terminology+"v3-ObservationInterpretation", "H", "High")))
	interpretLow    = concepts(concept("Low", coding(terminology+"v3-ObservationInterpretation", "L", "Low")))
	interpretNone   = []r4.CodeableConcept{{Text: "(NONE)"}}
	interpretAbnorm = concepts(concept("Abnormal", coding(terminology+"v3-ObservationInterpretation", "A", "Abnormal")))
	vitalsAPI       = "Vital Signs"
)

// vitals takes the usual measurements of a visit, what is usual for the age.
func (c *chart) vitals(v *visit) {
	at := v.at.Add(6 * time.Minute)
	months := c.ageInMonths(at)

	if months >= 36 {
		c.bloodPressure(v, at)
	}
	c.temperature(v, at)
	pulse := 74 + 4*c.normal()
	if months < 144 {
		pulse += 45 * (1 - months/144)
	}
	v.findings.pulse = string(c.vital(v, "pulse", at, pulse+3*c.normal()))
	respirations := 16 + c.normal()
	if months < 72 {
		respirations += 18 * (1 - months/72)
	}
	if c.chance(0.6) || months < 72 {
		c.vital(v, "respirations", at, respirations)
	}
	if c.chance(0.55) {
		saturation := min(100, 98+0.8*c.normal())
		if c.has("copd", at) || c.has("heart-failure", at) {
			saturation -= 3
		}
		c.vital(v, "spo2", at, saturation)
	}
	c.size(v, at)
}

// size measures height, weight and what follows from them.
func (c *chart) size(v *visit, at time.Time) {
	months := c.ageInMonths(at)
	weight := c.weight(at) * (1 + 0.006*c.normal())
	v.findings.weight = string(c.vital(v, "weight", at, weight))
	if months >= 240 && c.chance(0.45) {
		return // adults are not measured each time
	}
	height := c.height(at) + 0.3*c.normal()
	c.vital(v, "height", at, height)
	if months >= 24 {
		c.vital(v, "bmi", at, weight*10000/(height*height))
		if months < 240 {
			c.percentile(v, "bmi-percentile", at, percentileOf(c.body.weightZ+0.1*c.normal()), false)
		}
		return
	}
	c.vital(v, "head", at, c.head(at)+0.2*c.normal())
	c.percentile(v, "head-percentile", at, percentileOf(c.body.heightZ+0.15*c.normal()), false)
	c.percentile(v, "weight-for-length", at, percentileOf(c.body.weightZ+0.15*c.normal()), false)
}

func (c *chart) newVital(v *visit, key, idKind string, at time.Time) *r4.Observation {
	return &r4.Observation{
		ID:        c.id(idKind),
		Extension: []r4.Extension{templateID},
		Status:    "final",
		Category:  categoryVitals,
		Code:      vitalByKey[key].code,
		Subject:   c.subject,
		Encounter: v.reference,
		Effective: r4.DateTime(instant(at)),
		Issued:    r4.Instant(instant(at.Add(time.Minute))),
		Performer: []r4.Reference{*c.practitioner("nurse").reference},
	}
}

func (c *chart) vital(v *visit, key string, at time.Time, value float64) r4.Decimal {
	def := vitalByKey[key]
	value = min(def.plausible[1], max(def.plausible[0], value))
	written := decimal(value, def.decimals)
	o := c.newVital(v, key, "Observation", at)
	o.Value = quantity(written, def.unitText, def.unit)
	if c.chance(0.16) {
		o.Interpretation = interpretNormal
	}
	c.add(vitalsAPI, o)
	return written
}

// temperature is in Celsius; the Fahrenheit that the nurse typed stands in an extension.
func (c *chart) temperature(v *visit, at time.Time) {
	celsius := 36.7 + 0.18*c.normal()
	if v.reason != nil {
		switch v.reason.key {
		case "covid", "strep", "pneumonia", "otitis-media":
			celsius += 1.4
		}
	}
	written := decimal(celsius, 1)
	o := c.newVital(v, "temperature", "Observation", at)
	o.Extension = append([]r4.Extension{templateID}, r4.Extension{
		URL:   epic.ExtensionFahrenheit,
		Value: quantity(decimal(celsius*1.8+32, 1), "degF", "[degF]"),
	})
	o.Value = quantity(written, "Cel", "Cel")
	c.add(vitalsAPI, o)
	v.findings.temperature = string(written)
}

func (c *chart) bloodPressure(v *visit, at time.Time) {
	systolic, diastolic := c.body.systolic(at), c.body.diastolic(at)
	if months := c.ageInMonths(at); months < 216 {
		systolic, diastolic = 88+0.15*months, 54+0.1*months
	}
	systolic = min(210, max(78, systolic+5*c.normal()))
	diastolic = min(systolic-18, max(42, diastolic+4*c.normal()))
	o := c.newVital(v, "bp", "Observation", at)
	s, d := decimal(systolic, 0), decimal(diastolic, 0)
	o.Component = []r4.ObservationComponent{
		{Code: codeSystolic, Value: quantity(s, "mm[Hg]", "mm[Hg]")},
		{Code: codeDiastolic, Value: quantity(d, "mm[Hg]", "mm[Hg]")},
	}
	if systolic >= 140 || diastolic >= 90 {
		o.Interpretation = interpretHigh
	}
	c.add(vitalsAPI, o)
	v.findings.bp = string(s) + "/" + string(d)
}

// percentile is derived from a growth chart. Where the chart does not reach, Epic keeps the
// observation and says not-applicable in place of a value.
func (c *chart) percentile(v *visit, key string, at time.Time, value float64, absent bool) {
	o := c.newVital(v, key, kindPercentile, at)
	if absent {
		o.DataAbsentReason = notApplicable
	} else {
		o.Value = quantity(decimal(value, 2), "%", "%")
	}
	c.add(vitalsAPI, o)
}
