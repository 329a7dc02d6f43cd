package lake

import "github.com/andironhq/andiron/r4"

func conditionView() *view {
	return perResource("condition", "One row per Condition: problems and encounter diagnoses.",
		text("id", "Condition.id", func(c *r4.Condition) string { return c.ID }),
		id("patient_id", "Condition.subject", "Patient", func(c *r4.Condition) *r4.Reference { return c.Subject }),
		id("encounter_id", "Condition.encounter", "Encounter", func(c *r4.Condition) *r4.Reference { return c.Encounter }),
		label("clinical_status", "Condition.clinicalStatus", func(c *r4.Condition) *r4.CodeableConcept { return c.ClinicalStatus }),
		label("verification_status", "Condition.verificationStatus", func(c *r4.Condition) *r4.CodeableConcept { return c.VerificationStatus }),
		label("category", "Condition.category", func(c *r4.Condition) *r4.CodeableConcept { return pickIn(c.Category, conditionCategory) }, conditionCategory),
		concept("severity", "Condition.severity", func(c *r4.Condition) *r4.CodeableConcept { return c.Severity }, snomed),
		subject("Condition.code", func(c *r4.Condition) *r4.CodeableConcept { return c.Code }, snomed, icd10, icd10Int),
		text("snomed_code", "Condition.code.coding(SNOMED CT).code", func(c *r4.Condition) string { return codeIn(c.Code, snomed) }),
		text("icd10_code", "Condition.code.coding(ICD-10-CM, else ICD-10).code", func(c *r4.Condition) string { return codeIn(c.Code, icd10, icd10Int) }),
		concept("body_site", "Condition.bodySite(first)", func(c *r4.Condition) *r4.CodeableConcept { return first(c.BodySite) }, snomed),
		instant("onset", "Condition.onset.ofType(dateTime), .ofType(Period).start", func(c *r4.Condition) string { return start(c.Onset) }),
		text("onset_text", "Condition.onset[x] as written", func(c *r4.Condition) string { return when(c.Onset) }),
		instant("abatement", "Condition.abatement.ofType(dateTime), .ofType(Period).start", func(c *r4.Condition) string { return start(c.Abatement) }),
		text("abatement_text", "Condition.abatement[x] as written", func(c *r4.Condition) string { return when(c.Abatement) }),
		moment("recorded_date", "Condition.recordedDate", func(c *r4.Condition) r4.DateTime { return c.RecordedDate }),
		link("recorder", "Condition.recorder", "", func(c *r4.Condition) *r4.Reference { return c.Recorder }),
		link("asserter", "Condition.asserter", "", func(c *r4.Condition) *r4.Reference { return c.Asserter }),
		text("note", "Condition.note.text, joined", func(c *r4.Condition) string { return notes(c.Note) }),
		texts("identifiers", "Condition.identifier as system|value", func(c *r4.Condition) []string { return identifiers(c.Identifier) }),
		instant("last_updated", "Condition.meta.lastUpdated", func(c *r4.Condition) string { return lastUpdated(c.Meta) }),
	)
}

const conditionCategory = "http://terminology.hl7.org/CodeSystem/condition-category"
