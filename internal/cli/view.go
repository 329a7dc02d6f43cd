package cli

import (
	"strings"

	"github.com/andironhq/andiron/r4"
)

// view is how resources of one type look in a table.
type view struct {
	columns []string
	row     func(r4.Resource) []string
}

// viewOf is a type's view; types without one show what all resources have.
func viewOf(typ string) view {
	if v, ok := views[typ]; ok {
		return v
	}
	return view{[]string{"id", "type"}, func(r r4.Resource) []string { return []string{r.GetID(), r.ResourceType()} }}
}

// as makes a view of a function over the type itself.
func as[R r4.Resource](columns string, row func(R) []string) view {
	names := strings.Fields(columns)
	return view{names, func(r r4.Resource) []string {
		x, ok := r.(R)
		if !ok { // another type than asked for
			return append([]string{r.GetID()}, make([]string, len(names)-1)...)
		}
		return row(x)
	}}
}

var views = map[string]view{
	"Patient": as("id name birthdate gender mrn", func(p *r4.Patient) []string {
		mrn := ""
		for _, i := range p.Identifier {
			if i.Type != nil && (i.Type.Text == "MRN" || hasCode(i.Type, "MR")) {
				mrn = i.Value
				break
			}
		}
		return []string{p.ID, names(p.Name), string(p.BirthDate), p.Gender, mrn}
	}),
	"Observation": as("date code value interpretation status id", func(o *r4.Observation) []string {
		return []string{moment(o.Effective), concept(o.Code), observed(o), concepts(o.Interpretation), o.Status, o.ID}
	}),
	"Condition": as("onset code clinical category id", func(c *r4.Condition) []string {
		onset := moment(c.Onset)
		if onset == "" {
			onset = string(c.RecordedDate)
		}
		return []string{onset, concept(c.Code), code(c.ClinicalStatus), concepts(c.Category), c.ID}
	}),
	"MedicationRequest": as("authored medication dosage status id", func(m *r4.MedicationRequest) []string {
		dosage := ""
		if len(m.DosageInstruction) > 0 {
			dosage = m.DosageInstruction[0].Text
			if dosage == "" {
				dosage = m.DosageInstruction[0].PatientInstruction
			}
		}
		return []string{string(m.AuthoredOn), medication(m.Medication), dosage, m.Status, m.ID}
	}),
	"AllergyIntolerance": as("recorded code reaction criticality clinical id", func(x *r4.AllergyIntolerance) []string {
		var reactions []string
		for _, r := range x.Reaction {
			reactions = append(reactions, concepts(r.Manifestation))
		}
		return []string{string(x.RecordedDate), concept(x.Code), strings.Join(reactions, "; "), x.Criticality, code(x.ClinicalStatus), x.ID}
	}),
	"Immunization": as("date vaccine status id", func(i *r4.Immunization) []string {
		return []string{moment(i.Occurrence), concept(i.VaccineCode), i.Status, i.ID}
	}),
	"Encounter": as("start class type status id", func(e *r4.Encounter) []string {
		class := ""
		if e.Class != nil {
			class = first(e.Class.Display, e.Class.Code)
		}
		return []string{start(e.Period), class, concepts(e.Type), e.Status, e.ID}
	}),
	"DiagnosticReport": as("date code conclusion status id", func(d *r4.DiagnosticReport) []string {
		return []string{moment(d.Effective), concept(d.Code), d.Conclusion, d.Status, d.ID}
	}),
	"DocumentReference": as("date type description status id", func(d *r4.DocumentReference) []string {
		return []string{string(d.Date), concept(d.Type), d.Description, first(d.DocStatus, d.Status), d.ID}
	}),
	"Procedure": as("date code status id", func(p *r4.Procedure) []string {
		return []string{moment(p.Performed), concept(p.Code), p.Status, p.ID}
	}),
	"CarePlan": as("start title category status id", func(c *r4.CarePlan) []string {
		return []string{start(c.Period), first(c.Title, c.Description), concepts(c.Category), c.Status, c.ID}
	}),
	"Appointment": as("start description type status id", func(x *r4.Appointment) []string {
		return []string{string(x.Start), x.Description, first(concept(x.AppointmentType), concepts(x.ServiceType)), x.Status, x.ID}
	}),
	"Practitioner": as("id name gender", func(p *r4.Practitioner) []string {
		return []string{p.ID, names(p.Name), p.Gender}
	}),
	"Organization": as("id name type", func(o *r4.Organization) []string {
		return []string{o.ID, o.Name, concepts(o.Type)}
	}),
	"Location": as("id name status", func(l *r4.Location) []string {
		return []string{l.ID, l.Name, l.Status}
	}),
	"Medication": as("id code form", func(m *r4.Medication) []string {
		return []string{m.ID, concept(m.Code), concept(m.Form)}
	}),
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// concept is what people call a code: its text, a display, or the code itself.
func concept(c *r4.CodeableConcept) string {
	if c == nil {
		return ""
	}
	if c.Text != "" {
		return c.Text
	}
	for _, x := range c.Coding {
		if x.Display != "" {
			return x.Display
		}
	}
	return code(c)
}

func concepts(list []r4.CodeableConcept) string {
	var out []string
	for i := range list {
		if s := concept(&list[i]); s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, "; ")
}

// code is the first code of a concept.
func code(c *r4.CodeableConcept) string {
	if c == nil {
		return ""
	}
	for _, x := range c.Coding {
		if x.Code != "" {
			return x.Code
		}
	}
	return c.Text
}

func hasCode(c *r4.CodeableConcept, code string) bool {
	for _, x := range c.Coding {
		if x.Code == code {
			return true
		}
	}
	return false
}

// names is the official name, or the first.
func names(list []r4.HumanName) string {
	if len(list) == 0 {
		return ""
	}
	n := list[0]
	for _, x := range list {
		if x.Use == "official" || x.Use == "usual" && n.Use != "official" {
			n = x
		}
	}
	return first(n.Text, strings.TrimSpace(strings.Join(n.Given, " ")+" "+n.Family))
}

func start(p *r4.Period) string {
	if p == nil {
		return ""
	}
	return string(p.Start)
}

// moment is when something was, whatever type says so.
func moment(v any) string {
	switch v := v.(type) {
	case r4.DateTime:
		return string(v)
	case r4.Instant:
		return string(v)
	case r4.String:
		return string(v)
	case *r4.Period:
		return start(v)
	case *r4.Age:
		return strings.TrimSpace(string(v.Value) + " " + v.Unit)
	}
	return ""
}

func medication(v r4.MedicationRequestMedication) string {
	switch v := v.(type) {
	case *r4.CodeableConcept:
		return concept(v)
	case *r4.Reference:
		return first(v.Display, v.Reference)
	}
	return ""
}

// observed is an observation's result, or why there is none; panels show their components.
func observed(o *r4.Observation) string {
	if s := measured(o.Value); s != "" {
		return s
	}
	if s := concept(o.DataAbsentReason); s != "" {
		return "(" + s + ")"
	}
	var parts []string
	for i := range o.Component {
		c := &o.Component[i]
		s := measured(c.Value)
		if s == "" {
			continue
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " / ")
}

func measured(v any) string {
	switch v := v.(type) {
	case *r4.Quantity:
		return strings.TrimSpace(v.Comparator + string(v.Value) + " " + first(v.Unit, v.Code))
	case *r4.CodeableConcept:
		return concept(v)
	case r4.String:
		return string(v)
	case r4.Boolean:
		return string(v)
	case r4.Integer:
		return string(v)
	case r4.DateTime:
		return string(v)
	case r4.Time:
		return string(v)
	case *r4.Period:
		return start(v)
	case *r4.Range:
		return quantity(v.Low) + " - " + quantity(v.High)
	case *r4.Ratio:
		return quantity(v.Numerator) + " : " + quantity(v.Denominator)
	}
	return ""
}

func quantity(q *r4.Quantity) string {
	if q == nil {
		return ""
	}
	return measured(q)
}
