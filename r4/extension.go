package r4

// FindExtension returns the first extension with that URL, nil if there is none. More URLs lead on into
// the extensions of the one found, as US Core nests them:
//
//	r4.FindExtension(p.Extension, "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "text")
func FindExtension(exts []Extension, url string, nested ...string) *Extension {
	for i := range exts {
		if exts[i].URL != url {
			continue
		}
		if len(nested) == 0 {
			return &exts[i]
		}
		if x := FindExtension(exts[i].Extension, nested[0], nested[1:]...); x != nil {
			return x
		}
	}
	return nil
}

// Label returns the extension's value as text: a primitive as it stands, the label of a concept, a coding's display or
// code, the quantity with its unit, the display of a reference. Empty for nil and for values that have no such text.
func (x *Extension) Label() string {
	if x == nil {
		return ""
	}
	return label(x.Value)
}

// label is the text of a value of any choice element.
func label(v choice) string {
	if v == nil {
		return ""
	}
	switch v := v.(type) {
	case *CodeableConcept:
		return v.Label()
	case *Coding:
		if v != nil {
			if v.Display != "" {
				return v.Display
			}
			return v.Code
		}
	case *Quantity:
		return v.Label()
	case *Reference:
		if v != nil {
			return v.Display
		}
	case *Range:
		if v != nil {
			return between(v.Low.Label(), v.High.Label())
		}
	case *Ratio:
		if v != nil && v.Numerator != nil && v.Denominator != nil {
			return v.Numerator.Label() + " : " + v.Denominator.Label()
		}
	case *Period:
		if v != nil {
			return between(string(v.Start), string(v.End))
		}
	}
	return v.variant().text
}

// between joins the two ends of a range of which one may be open.
func between(low, high string) string {
	switch {
	case low == "" && high == "":
		return ""
	case low == "":
		return "≤ " + high
	case high == "":
		return "≥ " + low
	}
	return low + " – " + high
}

// Label returns the quantity as people write it, "< 7.2 g/dL": its comparator, the value as received, the unit or else its code. Empty for nil.
func (x *Quantity) Label() string {
	if x == nil || x.Value == "" {
		return ""
	}
	s := string(x.Value)
	if x.Comparator != "" {
		s = x.Comparator + " " + s
	}
	switch {
	case x.Unit != "":
		s += " " + x.Unit
	case x.Code != "" && x.Code != "1":
		s += " " + x.Code
	}
	return s
}
