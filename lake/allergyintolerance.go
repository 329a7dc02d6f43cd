package lake

import "github.com/andironhq/andiron/r4"

func allergyIntoleranceView() *view {
	return perResource("allergyintolerance", "One row per AllergyIntolerance; \"no known allergies\" and \"not asked\" are rows too.",
		text("id", "AllergyIntolerance.id", func(a *r4.AllergyIntolerance) string { return a.ID }),
		id("patient_id", "AllergyIntolerance.patient", "Patient", func(a *r4.AllergyIntolerance) *r4.Reference { return a.Patient }),
		id("encounter_id", "AllergyIntolerance.encounter", "Encounter", func(a *r4.AllergyIntolerance) *r4.Reference { return a.Encounter }),
		label("clinical_status", "AllergyIntolerance.clinicalStatus", func(a *r4.AllergyIntolerance) *r4.CodeableConcept { return a.ClinicalStatus }),
		label("verification_status", "AllergyIntolerance.verificationStatus", func(a *r4.AllergyIntolerance) *r4.CodeableConcept { return a.VerificationStatus }),
		text("type", "AllergyIntolerance.type", func(a *r4.AllergyIntolerance) string { return a.Type }),
		texts("categories", "AllergyIntolerance.category", func(a *r4.AllergyIntolerance) []string { return a.Category }),
		text("criticality", "AllergyIntolerance.criticality", func(a *r4.AllergyIntolerance) string { return a.Criticality }),
		subject("AllergyIntolerance.code", func(a *r4.AllergyIntolerance) *r4.CodeableConcept { return a.Code }, rxNorm, snomed),
		instant("onset", "AllergyIntolerance.onset.ofType(dateTime), .ofType(Period).start", func(a *r4.AllergyIntolerance) string { return start(a.Onset) }),
		text("onset_text", "AllergyIntolerance.onset[x] as written", func(a *r4.AllergyIntolerance) string { return when(a.Onset) }),
		moment("recorded_date", "AllergyIntolerance.recordedDate", func(a *r4.AllergyIntolerance) r4.DateTime { return a.RecordedDate }),
		moment("last_occurrence", "AllergyIntolerance.lastOccurrence", func(a *r4.AllergyIntolerance) r4.DateTime { return a.LastOccurrence }),
		link("recorder", "AllergyIntolerance.recorder", "", func(a *r4.AllergyIntolerance) *r4.Reference { return a.Recorder }),
		link("asserter", "AllergyIntolerance.asserter", "", func(a *r4.AllergyIntolerance) *r4.Reference { return a.Asserter }),
		texts("reactions", "AllergyIntolerance.reaction.manifestation: what each is called", reactions),
		text("reaction_severity", "AllergyIntolerance.reaction.severity: the worst", reactionSeverity),
		text("note", "AllergyIntolerance.note.text, joined", func(a *r4.AllergyIntolerance) string { return notes(a.Note) }),
		texts("identifiers", "AllergyIntolerance.identifier as system|value", func(a *r4.AllergyIntolerance) []string { return identifiers(a.Identifier) }),
		instant("last_updated", "AllergyIntolerance.meta.lastUpdated", func(a *r4.AllergyIntolerance) string { return lastUpdated(a.Meta) }),
	)
}

func reactions(a *r4.AllergyIntolerance) []string {
	var l []string
	for i := range a.Reaction {
		for j := range a.Reaction[i].Manifestation {
			m := &a.Reaction[i].Manifestation[j]
			if s := either(conceptText(m), display(m, []string{snomed}), codeIn(m)); s != "" {
				l = append(l, s)
			}
		}
	}
	return l
}

func reactionSeverity(a *r4.AllergyIntolerance) string {
	rank := map[string]int{"mild": 1, "moderate": 2, "severe": 3}
	worst := ""
	for i := range a.Reaction {
		if s := a.Reaction[i].Severity; worst == "" || rank[s] > rank[worst] {
			worst = s
		}
	}
	return worst
}
