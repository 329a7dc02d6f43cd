package epic

import (
	"slices"
	"strings"
)

// Rule is what a search of one type must name before the server looks for anything.
type Rule struct {
	// Type is the resource type.
	Type string
	// Clauses must all be met, in the order in which the server complains. A search with _id
	// needs none of them.
	Clauses []Clause
	// Combinations, for Patient, are the sets of parameters that identify somebody. A search
	// that meets the clauses and none of these is answered with 200, no match and 4101 or
	// the 59133 family (captures, high).
	Combinations [][]string
	// Only lists the accepted values of parameters that have a closed list.
	Only map[string][]string
	// Values, true, says that an unknown category is refused (59111) and not ignored.
	Values bool
	// IDOnly says that _id is the only parameter.
	IDOnly bool
	// Inferred says that the rule is by analogy with its neighbours (low); the others are on
	// record (high).
	Inferred bool
}

// Clause is one condition of a Rule: any of some parameters has to have a value.
type Clause struct {
	// Any are the parameters of which one suffices.
	Any []string
	// Code, Status, Diagnostics and Parameter make the refusal: the Epic number (its severity
	// and issue type stand in its [Code]), the HTTP status, the diagnostics letter for
	// letter ("" where not on record) and what location and expression name.
	Code, Diagnostics, Parameter string
	// Status is the HTTP status of the refusal.
	Status int
}

// LookupRule finds the rule of a type. Every type that can be searched has one; the zero Rule
// and false mean that it cannot be searched.
func LookupRule(resourceType string) (Rule, bool) {
	r, ok := LookupResource(resourceType)
	if !ok || !r.Does("search-type") {
		return Rule{}, false
	}
	for _, rule := range rules {
		if rule.Type == resourceType {
			return rule, true
		}
	}
	if len(r.Native)+len(r.PostFilter) == 0 {
		return Rule{Type: resourceType, IDOnly: true, Clauses: []Clause{
			{Any: []string{"_id"}, Code: CodeBusinessRule, Status: 400},
		}}, true
	}
	// By analogy: a type with a patient wants it, or what leads to one.
	var anchors []string
	for _, a := range words("patient subject beneficiary identifier encounter context study epic-group-id") {
		if slices.Contains(r.Native, a) {
			anchors = append(anchors, a)
		}
	}
	if len(anchors) == 0 {
		anchors = slices.Clone(r.Native)
	}
	return Rule{Type: resourceType, Inferred: true, Clauses: []Clause{
		{Any: anchors, Code: CodeBusinessRule, Status: 400},
	}}, true
}

// Missing lists the clauses that a search does not meet. Has tells whether a parameter is there
// with a value; modifiers, chains and case are the caller's to take off.
func (r Rule) Missing(has func(parameter string) bool) []Clause {
	if has("_id") {
		return nil
	}
	var out []Clause
	for _, c := range r.Clauses {
		if !slices.ContainsFunc(c.Any, has) {
			out = append(out, c)
		}
	}
	return out
}

// Identifies reports whether a search names enough to identify somebody: true for rules without
// Combinations.
func (r Rule) Identifies(has func(parameter string) bool) bool {
	if len(r.Combinations) == 0 || has("_id") {
		return true
	}
	for _, set := range r.Combinations {
		if !slices.ContainsFunc(set, func(p string) bool { return !has(p) }) {
			return true
		}
	}
	return false
}

// demographics are what a Patient search may begin with ("API Specifications", high).
const demographics = "identifier family given name own-name partner-name birthdate gender legal-sex telecom " +
	"address address-city address-postalcode address-state"

// patientOr is the clause of a type whose searches need a patient: refused with 59159 or 59108
// (captures, high for the status, part of the numbers inferred).
func patientOr(number string) Clause {
	return Clause{Any: []string{"patient", "subject"}, Code: number, Status: 400}
}

// patientAlone is patientOr for types that declare no subject.
func patientAlone(number string) Clause {
	return Clause{Any: []string{"patient"}, Code: number, Status: 400}
}

// rules are those on record: "API Specifications" and captures of 2026, high unless marked.
var rules = []Rule{
	{
		Type:    "AllergyIntolerance",
		Clauses: []Clause{{Any: []string{"patient"}, Code: CodeUserRefused, Status: 403}}, // 403 fatal/processing, high; that it is 4118: inferred
		Only:    map[string][]string{"clinical-status": {"active"}},
	},
	{
		Type: "CarePlan",
		Clauses: []Clause{
			patientOr(CodeBusinessRule),
			{Any: []string{"category"}, Code: CodeBusinessRule, Status: 400, Diagnostics: carePlanDiagnostics(), Parameter: "category"},
		},
	},
	{
		Type:    "CareTeam",
		Clauses: []Clause{patientOr(CodeBusinessRule)},
		Only:    map[string][]string{"status": {"active"}},
	},
	{Type: "Condition", Clauses: []Clause{patientOr(CodeBusinessRule)}},
	{Type: "Device", Clauses: []Clause{patientAlone(CodeBusinessRule)}},
	{Type: "DiagnosticReport", Clauses: []Clause{patientOr(CodeBusinessRule)}},
	{Type: "DocumentReference", Clauses: []Clause{patientOr(CodeRequired)}},
	{Type: "Encounter", Clauses: []Clause{patientOr(CodeBusinessRule)}},
	{
		Type: "EpisodeOfCare", // type as system|code; practitioners' code, high
		Clauses: []Clause{
			patientAlone(CodeBusinessRule),
			{Any: []string{"type"}, Code: CodeBusinessRule, Status: 400, Parameter: "type"},
		},
	},
	{Type: "FamilyMemberHistory", Clauses: []Clause{patientAlone(CodeBusinessRule)}},
	{Type: "Goal", Clauses: []Clause{patientOr(CodeBusinessRule)}},
	{Type: "Immunization", Clauses: []Clause{patientAlone(CodeBusinessRule)}},
	{Type: "MedicationRequest", Clauses: []Clause{patientOr(CodeBusinessRule)}},
	{
		Type: "Observation",
		Clauses: []Clause{
			patientOr(CodeBusinessRule),
			{Any: []string{"code", "category"}, Code: CodeRequired, Status: 400, Diagnostics: "Must have either code or category.", Parameter: "code/category"},
		},
		Values: true,
	},
	{
		Type: "Patient",
		Clauses: []Clause{{
			Any: words(demographics), Code: CodeBusinessRule, Status: 400,
			Diagnostics: "This resource requires demographics or _id parameter for searching.", Parameter: "demographics/_id",
		}},
		// Which phone and address combinations suffice is a customer's setting (medium).
		Combinations: [][]string{
			{"identifier"},
			{"family", "given", "birthdate"},
			{"name", "birthdate", "gender"},
			{"given", "birthdate", "telecom"},
			{"family", "birthdate", "telecom"},
			{"name", "birthdate", "telecom"},
			{"family", "given", "telecom"},
			{"family", "given", "address-postalcode"},
			{"family", "given", "address"},
			{"family", "given", "address-city", "address-state"},
		},
	},
	{
		Type:    "Practitioner",
		Clauses: []Clause{{Any: []string{"family", "name", "identifier"}, Code: CodeBusinessRule, Status: 400}},
	},
	{
		Type:    "PractitionerRole",
		Clauses: []Clause{{Any: []string{"practitioner", "organization", "location", "specialty", "identifier"}, Code: CodeBusinessRule, Status: 400}},
	},
	{Type: "Procedure", Clauses: []Clause{patientOr(CodeRequired)}},
	{
		Type:    "QuestionnaireResponse",
		Clauses: []Clause{{Any: []string{"encounter", "patient", "subject"}, Code: CodeBusinessRule, Status: 400}},
	},
}

// carePlanDiagnostics is what a CarePlan search without category hears: the categories in order
// (capture, high).
func carePlanDiagnostics() string {
	var b strings.Builder
	b.WriteString("This resource requires a category for searching. Use ")
	list := carePlanCategories
	for i, c := range list {
		switch {
		case i == len(list)-1:
			b.WriteString(", or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(c.Code + " for " + c.Name)
	}
	return b.String() + "."
}

// Example is a search that meets the rule, such as "Observation?patient=ID&category=laboratory".
// Words in capitals are to be filled in.
func (r Rule) Example() string {
	if r.IDOnly {
		return r.Type + "?_id=ID"
	}
	if len(r.Combinations) > 1 {
		return r.Type + "?family=NAME&given=NAME&birthdate=1970-01-31"
	}
	var parts []string
	for _, c := range r.Clauses {
		name := c.Any[0]
		switch {
		case slices.Contains(c.Any, "category"):
			value := "CATEGORY"
			if list := Categories(r.Type); len(list) > 0 {
				value = list[0].Code
			}
			parts = append(parts, "category="+value)
		case name == "type" && r.Type == "EpisodeOfCare":
			parts = append(parts, "type=SYSTEM|CODE")
		case name == "family":
			parts = append(parts, "family=NAME")
		default:
			parts = append(parts, name+"=ID")
		}
	}
	return r.Type + "?" + strings.Join(parts, "&")
}
