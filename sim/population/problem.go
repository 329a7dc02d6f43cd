package population

import (
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/r4"
)

// problem is an entry of the problem list.
type problem struct {
	of       *condition
	onset    time.Time
	resolved time.Time
	id       string
	drugs    []string
	treated  bool // its drugs are ordered
}

var (
	statusActive      = clinicalStatus("active", "Active")
	statusResolved    = clinicalStatus("resolved", "Resolved")
	verificationFirm  = &r4.CodeableConcept{Coding: []r4.Coding{{System: terminology + "condition-ver-status", Version: "4.0.0", Code: "confirmed", Display: "Confirmed"}}, Text: "Confirmed"}
	categoryProblem   = conditionCategory("problem-list-item", "Problem List Item")
	categoryConcern   = []r4.CodeableConcept{{Coding: []r4.Coding{{System: "http://hl7.org/fhir/us/core/CodeSystem/condition-category", Code: "health-concern", Display: "Health Concern"}}, Text: "Health Concern"}}
	categoryEncounter = append(conditionCategory("encounter-diagnosis", "Encounter Diagnosis"), r4.CodeableConcept{
		Coding: []r4.Coding{coding(epic.SystemConditionCategory, "visit-diagnosis", "Visit Diagnosis")}, Text: "Visit Diagnosis",
	})
	severityModerate = concept("Moderate", coding(systemSNOMED, "6736007", "Moderate"))
)

func clinicalStatus(code, display string) *r4.CodeableConcept {
	return &r4.CodeableConcept{Coding: []r4.Coding{{System: terminology + "condition-clinical", Version: "4.0.0", Code: code, Display: display}}, Text: display}
}

func conditionCategory(code, display string) []r4.CodeableConcept {
	return concepts(concept(display, coding(terminology+"condition-category", code, display)))
}

// problem puts a condition on the problem list. A zero resolved means that it is still there.
func (c *chart) problem(key string, onset, resolved time.Time) *problem {
	p := &problem{of: conditionByKey[key], onset: onset, resolved: resolved, id: c.id("Condition")}
	c.problems = append(c.problems, p)
	res := &r4.Condition{
		ID:                 p.id,
		ClinicalStatus:     statusActive,
		VerificationStatus: verificationFirm,
		Category:           categoryProblem,
		Code:               p.of.code,
		Subject:            c.subject,
		Onset:              r4.DateTime(date(onset)),
		RecordedDate:       r4.DateTime(date(onset)),
	}
	if !resolved.IsZero() {
		res.ClinicalStatus = statusResolved
		res.Abatement = r4.DateTime(date(resolved))
	}
	if c.serial["Condition"]%7 == 3 {
		res.Severity = severityModerate
	}
	c.add("Problems", res)
	return p
}

// has tells whether the patient has a problem at a time.
func (c *chart) has(key string, t time.Time) bool {
	for _, p := range c.problems {
		if p.of.key == key && !p.onset.After(t) && (p.resolved.IsZero() || p.resolved.After(t)) {
			return true
		}
	}
	return false
}

// since is the onset of a problem, and whether there is one.
func (c *chart) since(key string) (time.Time, bool) {
	for _, p := range c.problems {
		if p.of.key == key {
			return p.onset, true
		}
	}
	return time.Time{}, false
}

func (c *chart) encounterDiagnosis(v *visit, of *condition) {
	v.diagnoses = append(v.diagnoses, of.text)
	res := &r4.Condition{
		ID:                 c.id(kindEncounterDx),
		VerificationStatus: verificationFirm,
		Category:           categoryEncounter,
		Code:               of.code,
		Subject:            c.subject,
		Encounter:          v.reference,
		RecordedDate:       r4.DateTime(date(v.at)),
	}
	if c.chance(0.3) {
		res.ClinicalStatus = statusActive
	}
	c.add("Encounter Diagnosis", res)
}

// concern is something that is no disease and still matters, such as not enough food.
func (c *chart) concern(key string, t time.Time) {
	c.add("Health Concern", &r4.Condition{
		ID:                 c.id("Condition"),
		ClinicalStatus:     statusActive,
		VerificationStatus: verificationFirm,
		Category:           categoryConcern,
		Code:               conditionByKey[key].code,
		Subject:            c.subject,
		Onset:              r4.DateTime(date(t)),
		RecordedDate:       r4.DateTime(date(t)),
	})
}
