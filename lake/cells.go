package lake

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/andironhq/andiron/r4"
)

// Code systems that the views prefer when a concept has several codings.
const (
	loinc    = "http://loinc.org"
	snomed   = "http://snomed.info/sct"
	icd10    = "http://hl7.org/fhir/sid/icd-10-cm"
	icd10Int = "http://hl7.org/fhir/sid/icd-10"
	icd10PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
	rxNorm   = "http://www.nlm.nih.gov/research/umls/rxnorm"
	ndc      = "http://hl7.org/fhir/sid/ndc"
	cvx      = "http://hl7.org/fhir/sid/cvx"
	cpt      = "http://www.ama-assn.org/go/cpt"
	hcpcs    = "urn:oid:2.16.840.1.113883.6.285"
)

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func boolOrNull(b r4.Boolean) any {
	switch b {
	case r4.True:
		return true
	case r4.False:
		return false
	}
	return nil
}

func intOrNull(s string) any {
	if s == "" {
		return nil
	}
	n, err := r4.Integer(s).Int()
	if err != nil {
		return nil
	}
	return n
}

func floatOrNull(d r4.Decimal) any {
	if d == "" {
		return nil
	}
	f, err := d.Float64()
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return nil
	}
	return f
}

// instantOrNull is the first instant that a FHIR date of any precision can mean; UTC when it
// names no zone. Text that is no date is NULL here and stands in the column beside.
func instantOrNull(s string) any {
	t, ok := earliest(s)
	if !ok {
		return nil
	}
	return t
}

// dayOrNull is the first day that a FHIR date can mean, in its own zone.
func dayOrNull(s string) any {
	t, ok := earliest(s)
	if !ok {
		return nil
	}
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

// earliest is the first instant that the text can mean.
func earliest(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, false
	}
	t, err := r4.DateTime(s).Time(time.UTC)
	return t, err == nil
}

// first is the first element or nil.
func first[E any](l []E) *E {
	if len(l) == 0 {
		return nil
	}
	return &l[0]
}

// orZero makes chains of optional elements short.
func orZero[E any](e *E) *E {
	if e == nil {
		return new(E)
	}
	return e
}

func period(p *r4.Period) *r4.Period       { return orZero(p) }
func quantity(q *r4.Quantity) *r4.Quantity { return orZero(q) }
func coding(c *r4.Coding) *r4.Coding       { return orZero(c) }

func unit(q *r4.Quantity) string { return either(q.Unit, q.Code) }

// either is the first text that is not blank.
func either(options ...string) string {
	for _, s := range options {
		if strings.TrimSpace(s) != "" {
			return s
		}
	}
	return ""
}

func lastUpdated(m *r4.Meta) string { return string(orZero(m).LastUpdated) }

// pick chooses among codings: the first preferred system that occurs, else the first coding with
// a code, else the first. Never nil.
func pick(c *r4.CodeableConcept, systems []string) *r4.Coding {
	if c == nil || len(c.Coding) == 0 {
		return &r4.Coding{}
	}
	for _, s := range systems {
		for i := range c.Coding {
			if c.Coding[i].Code != "" && r4.SameSystem(c.Coding[i].System, s) {
				return &c.Coding[i]
			}
		}
	}
	for i := range c.Coding {
		if c.Coding[i].Code != "" {
			return &c.Coding[i]
		}
	}
	return &c.Coding[0]
}

// pickIn is the concept that has a coding in one of the systems, else the first.
func pickIn(l []r4.CodeableConcept, systems ...string) *r4.CodeableConcept {
	for _, s := range systems {
		for i := range l {
			if codeIn(&l[i], s) != "" {
				return &l[i]
			}
		}
	}
	return first(l)
}

// codeIn is the code in the first of the systems that occurs; without systems, the first code.
func codeIn(c *r4.CodeableConcept, systems ...string) string {
	if len(systems) == 0 {
		return pick(c, nil).Code
	}
	if p := pick(c, systems); slices.ContainsFunc(systems, func(s string) bool { return r4.SameSystem(p.System, s) }) {
		return p.Code
	}
	return ""
}

// display is what the chosen coding is called, else the concept's own text.
func display(c *r4.CodeableConcept, systems []string) string {
	return strings.TrimSpace(either(pick(c, systems).Display, conceptText(c)))
}

func conceptText(c *r4.CodeableConcept) string { return strings.TrimSpace(orZero(c).Text) }

// tokens are all codings in the form that FHIR's token search uses.
func tokens(c *r4.CodeableConcept) []string {
	if c == nil {
		return nil
	}
	var l []string
	for i := range c.Coding {
		if k := &c.Coding[i]; k.Code != "" {
			l = append(l, systemOf(k)+"|"+k.Code)
		}
	}
	return l
}

func identifiers(l []r4.Identifier) []string {
	var out []string
	for i := range l {
		if l[i].Value != "" {
			out = append(out, l[i].System+"|"+l[i].Value)
		}
	}
	return out
}

const identifierTypes = "http://terminology.hl7.org/CodeSystem/v2-0203"

func typedIdentifier(l []r4.Identifier, code string) string {
	for i := range l {
		if l[i].Type.Has(identifierTypes, code) && l[i].Value != "" {
			return strings.TrimSpace(l[i].Value)
		}
	}
	return ""
}

// epicIdentifier finds an identifier by the end of its system: every Epic customer has an OID arc
// of its own under 1.2.840.114350, and what the number means stands in the last arcs.
func epicIdentifier(l []r4.Identifier, suffix string) string {
	for i := range l {
		if s := l[i].System; strings.HasPrefix(s, "urn:oid:1.2.840.114350.") && strings.HasSuffix(s, suffix) && l[i].Value != "" {
			return strings.TrimSpace(l[i].Value)
		}
	}
	return ""
}

func contactPoint(l []r4.ContactPoint, system string) string {
	best := ""
	rank := int64(math.MaxInt64)
	for i := range l {
		if l[i].System != system || l[i].Value == "" || l[i].Use == "old" {
			continue
		}
		r := rank - 1 // no rank of its own: after all that have one, in the order given
		if n, ok := intOrNull(string(l[i].Rank)).(int64); ok {
			r = n
		} else if best != "" {
			continue
		}
		if r < rank {
			best, rank = l[i].Value, r
		}
	}
	return best
}

func extensionCode(l []r4.Extension, url string) string {
	e := r4.FindExtension(l, url)
	if e == nil {
		return ""
	}
	switch v := e.Value.(type) {
	case r4.Code:
		return string(v)
	case r4.String:
		return string(v)
	case *r4.Coding:
		return v.Code
	case *r4.CodeableConcept:
		return codeIn(v)
	}
	return ""
}

// usCoreText is the text of a US Core race or ethnicity, else what its categories are called.
func usCoreText(l []r4.Extension, url string) string {
	if text := r4.FindExtension(l, url, "text").Label(); text != "" {
		return text
	}
	e := r4.FindExtension(l, url)
	if e == nil {
		return ""
	}
	var categories []string
	for i := range e.Extension {
		if x := &e.Extension[i]; x.URL == "ombCategory" && x.Label() != "" {
			categories = append(categories, x.Label())
		}
	}
	return strings.Join(categories, ", ")
}

func usCoreCodes(l []r4.Extension, url string) []string {
	e := r4.FindExtension(l, url)
	if e == nil {
		return nil
	}
	var codes []string
	for i := range e.Extension {
		x := &e.Extension[i]
		if c, ok := x.Value.(*r4.Coding); ok && x.URL == "ombCategory" && c.Code != "" {
			codes = append(codes, c.Code)
		}
	}
	return codes
}

func notes(l []r4.Annotation) string {
	var parts []string
	for i := range l {
		if l[i].Text != "" {
			parts = append(parts, l[i].Text)
		}
	}
	return strings.Join(parts, "\n")
}

// idOf is the id in a reference to typ ("" takes any type); "" for a contained resource, a urn or
// a conditional reference, whose id nobody knows without more than the reference.
func idOf(r *r4.Reference, typ string) string {
	if r == nil || r.Reference == "" {
		return ""
	}
	t, id := target(r.Reference)
	if typ != "" && t != typ {
		return ""
	}
	return id
}

// target is the type and id of a relative or absolute reference.
func target(reference string) (typ, id string) {
	ref, err := r4.ParseReference(reference)
	if err != nil || (ref.Kind != r4.RefRelative && ref.Kind != r4.RefAbsolute) {
		return "", ""
	}
	return ref.Type, ref.ID
}

func called(r *r4.Reference) string { return strings.TrimSpace(orZero(r).Display) }

// start is the first moment of a choice of dateTime, instant and Period.
func start(v any) string {
	if p, ok := v.(*r4.Period); ok && p != nil {
		return string(p.Start)
	}
	return dateTime(v)
}

func end(v any) string {
	if p, ok := v.(*r4.Period); ok && p != nil {
		return string(p.End)
	}
	return ""
}

func dateTime(v any) string {
	switch d := v.(type) {
	case r4.DateTime:
		return string(d)
	case r4.Instant:
		return string(d)
	case r4.Date:
		return string(d)
	}
	return ""
}

// when is a choice element as it was written, whichever type it has.
func when(v any) string {
	if c, ok := v.(*r4.CodeableConcept); ok {
		return either(conceptText(c), display(c, nil), codeIn(c))
	}
	return spoken(v)
}

// spoken is a value as one would write it, numbers literally.
func spoken(v any) string {
	switch v := v.(type) {
	case *r4.Quantity:
		return amount(v.Comparator, v.Value, either(v.Unit, v.Code))
	case *r4.Age:
		return amount(v.Comparator, v.Value, either(v.Unit, v.Code))
	case *r4.CodeableConcept:
		return either(conceptText(v), display(v, nil), codeIn(v))
	case *r4.Range:
		switch low, high := spoken(quantity(v.Low)), spoken(quantity(v.High)); {
		case low != "" && high != "":
			return low + " - " + high
		case low != "":
			return ">= " + low
		case high != "":
			return "<= " + high
		}
		return ""
	case *r4.Ratio:
		return spoken(quantity(v.Numerator)) + " / " + spoken(quantity(v.Denominator))
	case *r4.Period:
		return string(v.Start) + "/" + string(v.End)
	case *r4.SampledData:
		return v.Data
	case r4.String:
		return string(v)
	case r4.Boolean:
		return string(v)
	case r4.Integer:
		return string(v)
	case r4.PositiveInt:
		return string(v)
	case r4.Time:
		return string(v)
	case r4.DateTime, r4.Instant, r4.Date:
		return dateTime(v)
	}
	return ""
}

func amount(comparator string, value r4.Decimal, unit string) string {
	return strings.TrimSpace(comparator + string(value) + " " + unit)
}

func systemOf(c *r4.Coding) string { return r4.CanonicalSystem(c.System) }
