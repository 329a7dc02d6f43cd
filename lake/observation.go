package lake

import (
	"strings"

	"github.com/andironhq/andiron/r4"
)

func observationView() *view {
	return perResource("observation", "One row per Observation; the value stands in the columns of its kind, components in observation_component.",
		text("id", "Observation.id", func(o *r4.Observation) string { return o.ID }),
		id("patient_id", "Observation.subject", "Patient", func(o *r4.Observation) *r4.Reference { return o.Subject }),
		id("encounter_id", "Observation.encounter", "Encounter", func(o *r4.Observation) *r4.Reference { return o.Encounter }),
		text("status", "Observation.status", func(o *r4.Observation) string { return o.Status }),
		label("category", "Observation.category", func(o *r4.Observation) *r4.CodeableConcept { return pickIn(o.Category, observationCategory) }, observationCategory),
		subject("Observation.code", func(o *r4.Observation) *r4.CodeableConcept { return o.Code }, loinc, snomed),
		instant("effective", "Observation.effective.ofType(dateTime), .ofType(instant), .ofType(Period).start", func(o *r4.Observation) string { return start(o.Effective) }),
		text("effective_text", "Observation.effective[x] as written", func(o *r4.Observation) string { return when(o.Effective) }),
		moment("effective_end", "Observation.effective.ofType(Period).end", func(o *r4.Observation) string { return end(o.Effective) }),
		instant("issued", "Observation.issued", func(o *r4.Observation) r4.Instant { return o.Issued }),
		values("Observation",
			func(o *r4.Observation) any { return o.Value },
			func(o *r4.Observation) *r4.CodeableConcept { return absent(o, -1) },
			func(o *r4.Observation) int { return len(o.Component) }),
		interpretation("Observation", func(o *r4.Observation) []r4.CodeableConcept { return o.Interpretation }),
		referenceRange("Observation", func(o *r4.Observation) []r4.ObservationReferenceRange { return o.ReferenceRange }),
		decimal("systolic", "Observation.component(8480-6).value.ofType(Quantity).value, or the value itself", func(o *r4.Observation) r4.Decimal { return measured(o, "8480-6") }),
		decimal("diastolic", "Observation.component(8462-4).value.ofType(Quantity).value, or the value itself", func(o *r4.Observation) r4.Decimal { return measured(o, "8462-4") }),
		count("component_count", "Observation.component.count()", func(o *r4.Observation) int { return len(o.Component) }),
		concept("body_site", "Observation.bodySite", func(o *r4.Observation) *r4.CodeableConcept { return o.BodySite }, snomed),
		label("method", "Observation.method", func(o *r4.Observation) *r4.CodeableConcept { return o.Method }),
		link("performer", "Observation.performer(first)", "", func(o *r4.Observation) *r4.Reference { return first(o.Performer) }),
		id("specimen_id", "Observation.specimen", "Specimen", func(o *r4.Observation) *r4.Reference { return o.Specimen }),
		id("device_id", "Observation.device", "Device", func(o *r4.Observation) *r4.Reference { return o.Device }),
		ids("based_on_ids", "Observation.basedOn", "", func(o *r4.Observation) []r4.Reference { return o.BasedOn }),
		ids("member_ids", "Observation.hasMember", "Observation", func(o *r4.Observation) []r4.Reference { return o.HasMember }),
		ids("derived_from_ids", "Observation.derivedFrom", "", func(o *r4.Observation) []r4.Reference { return o.DerivedFrom }),
		text("note", "Observation.note.text, joined", func(o *r4.Observation) string { return notes(o.Note) }),
		texts("identifiers", "Observation.identifier as system|value", func(o *r4.Observation) []string { return identifiers(o.Identifier) }),
		instant("last_updated", "Observation.meta.lastUpdated", func(o *r4.Observation) string { return lastUpdated(o.Meta) }),
	)
}

const observationCategory = "http://terminology.hl7.org/CodeSystem/observation-category"

type component = item[r4.Observation, r4.ObservationComponent]

func observationComponentView() *view {
	return perElement("observation_component", "One row per Observation.component, a blood pressure's two numbers for instance.", "observation_id",
		func(o *r4.Observation) []r4.ObservationComponent { return o.Component },
		text("observation_id", "Observation.id", func(c *component) string { return c.resource.ID }),
		count("position", "Observation.component, from 1", func(c *component) int { return c.position }),
		id("patient_id", "Observation.subject", "Patient", func(c *component) *r4.Reference { return c.resource.Subject }),
		subject("Observation.component.code", func(c *component) *r4.CodeableConcept { return c.element.Code }, loinc, snomed),
		values("Observation.component",
			func(c *component) any { return c.element.Value },
			func(c *component) *r4.CodeableConcept { return absent(c.resource, c.position-1) },
			func(*component) int { return 0 }),
		interpretation("Observation.component", func(c *component) []r4.CodeableConcept { return c.element.Interpretation }),
		referenceRange("Observation.component", func(c *component) []r4.ObservationReferenceRange { return c.element.ReferenceRange }),
	)
}

// values are the columns of value[x], by kind, and the reason for which there is none.
func values[T any](path string, value func(*T) any, reason func(*T) *r4.CodeableConcept, components func(*T) int) columns[T] {
	amount := func(t *T) *r4.Quantity {
		q, _ := value(t).(*r4.Quantity)
		return quantity(q)
	}
	coded := func(t *T) *r4.CodeableConcept {
		c, _ := value(t).(*r4.CodeableConcept)
		return c
	}
	between := func(t *T) (low, high *r4.Quantity) {
		switch v := value(t).(type) {
		case *r4.Range:
			return quantity(v.Low), quantity(v.High)
		case *r4.Ratio:
			return quantity(v.Numerator), quantity(v.Denominator)
		}
		return quantity(nil), quantity(nil)
	}
	ratio := func(t *T) bool { _, ok := value(t).(*r4.Ratio); return ok }
	x := path + ".value"
	var l columns[T]
	for _, c := range []columns[T]{
		text("value_kind", x+"[x]: its type in lower case; absent (a reason is given), components, or NULL for none of these", func(t *T) string {
			return kind(value(t), reason(t), components(t))
		}),
		text("value_text", x+"[x] as one would write it", func(t *T) string { return spoken(value(t)) }),
		decimal("value_quantity", x+".ofType(Quantity).value", func(t *T) r4.Decimal { return amount(t).Value }),
		text("value_literal", x+".ofType(Quantity).value, .ofType(integer) as written", func(t *T) string {
			if n, ok := value(t).(r4.Integer); ok {
				return string(n)
			}
			return string(amount(t).Value)
		}),
		text("value_comparator", x+".ofType(Quantity).comparator", func(t *T) string { return amount(t).Comparator }),
		text("value_unit", x+".ofType(Quantity).unit, else .code", func(t *T) string { return unit(amount(t)) }),
		text("value_unit_code", x+".ofType(Quantity).code", func(t *T) string { return amount(t).Code }),
		renamed(concept("value", x+".ofType(CodeableConcept)", coded, loinc, snomed), "value_code"),
		text("value_string", x+".ofType(string)", func(t *T) r4.String { s, _ := value(t).(r4.String); return s }),
		boolean("value_boolean", x+".ofType(boolean)", func(t *T) r4.Boolean { b, _ := value(t).(r4.Boolean); return b }),
		integer("value_integer", x+".ofType(integer)", func(t *T) r4.Integer { n, _ := value(t).(r4.Integer); return n }),
		instant("value_datetime", x+".ofType(dateTime), .ofType(Period).start", func(t *T) string { return start(value(t)) }),
		instant("value_datetime_end", x+".ofType(Period).end", func(t *T) string { return end(value(t)) }),
		decimal("value_low", x+".ofType(Range).low.value", func(t *T) r4.Decimal {
			if ratio(t) {
				return ""
			}
			low, _ := between(t)
			return low.Value
		}),
		decimal("value_high", x+".ofType(Range).high.value", func(t *T) r4.Decimal {
			if ratio(t) {
				return ""
			}
			_, high := between(t)
			return high.Value
		}),
		decimal("value_numerator", x+".ofType(Ratio).numerator.value", func(t *T) r4.Decimal {
			if !ratio(t) {
				return ""
			}
			n, _ := between(t)
			return n.Value
		}),
		decimal("value_denominator", x+".ofType(Ratio).denominator.value", func(t *T) r4.Decimal {
			if !ratio(t) {
				return ""
			}
			_, d := between(t)
			return d.Value
		}),
		label("data_absent_reason", path+".dataAbsentReason", reason, dataAbsentReason),
	} {
		l = append(l, c...)
	}
	return l
}

// absent is why an observation or one of its components (from 0) has no value, in the element for it
// or in the extension of a value that has nothing else.
func absent(o *r4.Observation, component int) *r4.CodeableConcept {
	if component < 0 && o.DataAbsentReason != nil {
		return o.DataAbsentReason
	}
	for r := range o.Readings() {
		if r.Component == component {
			return r.Absent
		}
	}
	return nil
}

const dataAbsentReason = "http://terminology.hl7.org/CodeSystem/data-absent-reason"

// kind names the type of the value, as FHIR names it but in lower case.
func kind(value any, reason *r4.CodeableConcept, components int) string {
	switch value.(type) {
	case *r4.Quantity:
		return "quantity"
	case *r4.CodeableConcept:
		return "codeableconcept"
	case r4.String:
		return "string"
	case r4.Boolean:
		return "boolean"
	case r4.Integer:
		return "integer"
	case *r4.Range:
		return "range"
	case *r4.Ratio:
		return "ratio"
	case *r4.SampledData:
		return "sampleddata"
	case r4.Time:
		return "time"
	case r4.DateTime:
		return "datetime"
	case *r4.Period:
		return "period"
	}
	switch {
	case components > 0:
		return "components"
	case reason != nil:
		return "absent"
	}
	return ""
}

func interpretation[T any](path string, f func(*T) []r4.CodeableConcept) columns[T] {
	return label("interpretation", path+".interpretation(first)", func(t *T) *r4.CodeableConcept { return first(f(t)) },
		"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation")
}

// referenceRange is the normal range: the first one that names a type of normal or none at all,
// for a treatment or critical range beside it would be another question's answer.
func referenceRange[T any](path string, f func(*T) []r4.ObservationReferenceRange) columns[T] {
	normal := func(t *T) *r4.ObservationReferenceRange {
		ranges := f(t)
		for i := range ranges {
			if typ := codeIn(ranges[i].Type); typ == "" || typ == "normal" {
				return &ranges[i]
			}
		}
		return orZero(first(ranges))
	}
	var l columns[T]
	for _, c := range []columns[T]{
		literal("ref_low", path+".referenceRange(normal).low.value", func(t *T) r4.Decimal { return quantity(normal(t).Low).Value }),
		literal("ref_high", path+".referenceRange(normal).high.value", func(t *T) r4.Decimal { return quantity(normal(t).High).Value }),
		text("ref_text", path+".referenceRange(normal).text", func(t *T) string { return strings.TrimSpace(normal(t).Text) }),
	} {
		l = append(l, c...)
	}
	return l
}

// measured is the number recorded under a LOINC code, in a component or as the value.
func measured(o *r4.Observation, code string) r4.Decimal {
	for i := range o.Component {
		c := &o.Component[i]
		if q, ok := c.Value.(*r4.Quantity); ok && c.Code.Has(loinc, code) {
			return q.Value
		}
	}
	if q, ok := o.Value.(*r4.Quantity); ok && o.Code.Has(loinc, code) {
		return q.Value
	}
	return ""
}
