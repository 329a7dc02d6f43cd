package population

import (
	"time"

	"github.com/andironhq/andiron/r4"
)

var (
	categorySocial    = concepts(concept("Social History", coding(terminology+"observation-category", "social-history", "Social History")))
	categorySurvey    = concepts(concept("Survey", coding(terminology+"observation-category", "survey", "Survey")))
	categorySDOH      = append(concepts(concept("SDOH", coding("http://hl7.org/fhir/us/core/CodeSystem/us-core-category", "sdoh", "SDOH"))), categorySurvey...)
	categoryProcedure = concepts(concept("Procedure", coding(terminology+"observation-category", "procedure", "Procedure")))

	codeSmoking = concept("Smoking Tobacco Use", coding(systemLOINC, "72166-2", "Tobacco smoking status"))
	smoking     = map[string]*r4.CodeableConcept{
		"never":   concept("Never", coding(systemSNOMED, "266919005", "Never smoked tobacco")),
		"former":  concept("Former", coding(systemSNOMED, "8517006", "Ex-smoker")),
		"current": concept("Every Day", coding(systemSNOMED, "449868002", "Smokes tobacco daily")),
	}

	// scores are questionnaires with a number.
	scores = map[string]struct {
		code *r4.CodeableConcept
		most int
	}{
		"phq9":   {concept("PHQ-9 Total Score", coding(systemLOINC, "44261-6", "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]")), 27},
		"gad7":   {concept("GAD-7 Total Score", coding(systemLOINC, "70274-6", "Generalized anxiety disorder 7 item (GAD-7) total score [Reported.PHQ]")), 21},
		"auditc": {concept("AUDIT-C Score", coding(systemLOINC, "75626-2", "Total score [AUDIT-C]")), 12},
	}

	codeFood     = concept("Food Insecurity: Worried", coding(systemLOINC, "88122-7", "Within the past 12 months we worried whether our food would run out before we got money to buy more [U.S. FSS]"))
	foodNever    = concept("Never true", coding(systemLOINC, "LA28398-8", "Never true"))
	foodSometime = concept("Sometimes true", coding(systemLOINC, "LA6729-3", "Sometimes true"))

	codeEjection = concept("LVEF", coding(systemSmartData, "EPIC#99001", "LVEF"), coding(systemLOINC, "10230-1", "Left ventricular Ejection fraction"))
)

func (c *chart) observation(v *visit, category []r4.CodeableConcept, code *r4.CodeableConcept, value r4.ObservationValue) *r4.Observation {
	return &r4.Observation{
		ID:        c.id("Observation"),
		Status:    "final",
		Category:  category,
		Code:      code,
		Subject:   c.subject,
		Encounter: v.reference,
		Effective: r4.DateTime(instant(v.at)),
		Issued:    r4.Instant(instant(v.at.Add(8 * time.Minute))),
		Value:     value,
	}
}

// smokes records the smoking status: never, former or current.
func (c *chart) smokes(v *visit, status string) {
	o := c.observation(v, categorySocial, codeSmoking, smoking[status])
	o.Performer = []r4.Reference{*v.by.reference}
	c.add("Social History", o)
}

// score records a questionnaire's total.
func (c *chart) score(v *visit, key string, n int) {
	s := scores[key]
	n = min(s.most, max(0, n))
	c.add("Assessments", c.observation(v, categorySurvey, s.code, quantity(r4.Decimal(integer(n)), "{score}", "{score}")))
}

// food records the first question of the Hunger Vital Sign.
func (c *chart) food(v *visit, insecure bool) {
	value := foodNever
	if insecure {
		value = foodSometime
	}
	c.add("SDOH Assessments", c.observation(v, categorySDOH, codeFood, value))
}

// ejection records the ejection fraction of an echocardiogram, which lives in a SmartData
// element.
func (c *chart) ejection(v *visit, percent int) {
	c.add("SmartData Elements", c.observation(v, categoryProcedure, codeEjection, quantity(r4.Decimal(integer(percent)), "%", "%")))
}
