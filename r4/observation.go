package r4

import (
	"iter"
	"strings"
)

// DataAbsentReasonURL is the extension that says why a primitive has no value (FHIR R4, extension data-absent-reason).
const DataAbsentReasonURL = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

// Reading is one thing that an Observation found: its own value, or that of a component.
type Reading struct {
	// Code says what was observed.
	Code *CodeableConcept
	// Value is what was found, nil if nothing was. The types of a component's value are the same.
	Value ObservationValue
	// Absent is why there is no value, nil if nothing is said about it.
	Absent *CodeableConcept
	// Component is the number of the component in the Observation, -1 for its own value.
	Component int
}

// Readings goes through what the observation found: its own value, unless it has only components, then theirs.
// A panel like blood pressure has no value of its own and no reason for that; it is not a reading. An observation without
// any of this is one reading without value and reason.
func (x *Observation) Readings() iter.Seq[Reading] {
	return func(yield func(Reading) bool) {
		if x == nil {
			return
		}
		own := Reading{Code: x.Code, Value: x.Value, Component: -1}
		if x.Value == nil {
			own.Absent = absent(x.DataAbsentReason, &x.Extra)
		}
		if (own.Value != nil || own.Absent != nil || len(x.Component) == 0) && !yield(own) {
			return
		}
		for i := range x.Component {
			c := &x.Component[i]
			r := Reading{Code: c.Code, Component: i}
			if c.Value == nil {
				r.Absent = absent(c.DataAbsentReason, &c.Extra)
			} else {
				r.Value, _ = c.Value.(ObservationValue) // both elements have the same types
			}
			if !yield(r) {
				return
			}
		}
	}
}

// absent is the reason beside the value, or else the one in the extension of a primitive without value.
func absent(reason *CodeableConcept, extra *Extra) *CodeableConcept {
	if reason != nil {
		return reason
	}
	for _, name := range extra.Names() {
		name, ok := strings.CutPrefix(name, "_")
		if !ok || !strings.HasPrefix(name, "value") {
			continue
		}
		if e := extra.Element(name); e != nil {
			if x := FindExtension(e.Extension, DataAbsentReasonURL); x != nil && x.Value != nil {
				code := label(x.Value)
				return &CodeableConcept{Coding: []Coding{{System: "http://terminology.hl7.org/CodeSystem/data-absent-reason", Code: code}}}
			}
		}
	}
	return nil
}

// Label returns the value as people write it, "7.2 g/dL", or the reason for its absence in brackets, "(unknown)";
// empty if neither is given.
func (r Reading) Label() string {
	if r.Value != nil {
		return label(r.Value)
	}
	if s := r.Absent.Label(); s != "" {
		return "(" + s + ")"
	}
	return ""
}
