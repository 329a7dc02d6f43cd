package lake

import "github.com/andironhq/andiron/r4"

func procedureView() *view {
	return perResource("procedure", "One row per Procedure.",
		text("id", "Procedure.id", func(p *r4.Procedure) string { return p.ID }),
		id("patient_id", "Procedure.subject", "Patient", func(p *r4.Procedure) *r4.Reference { return p.Subject }),
		id("encounter_id", "Procedure.encounter", "Encounter", func(p *r4.Procedure) *r4.Reference { return p.Encounter }),
		text("status", "Procedure.status", func(p *r4.Procedure) string { return p.Status }),
		label("status_reason", "Procedure.statusReason", func(p *r4.Procedure) *r4.CodeableConcept { return p.StatusReason }),
		label("category", "Procedure.category", func(p *r4.Procedure) *r4.CodeableConcept { return p.Category }, snomed),
		subject("Procedure.code", func(p *r4.Procedure) *r4.CodeableConcept { return p.Code }, cpt, snomed, hcpcs, icd10PCS, loinc),
		text("snomed_code", "Procedure.code.coding(SNOMED CT).code", func(p *r4.Procedure) string { return codeIn(p.Code, snomed) }),
		text("cpt_code", "Procedure.code.coding(CPT).code", func(p *r4.Procedure) string { return codeIn(p.Code, cpt) }),
		instant("performed_start", "Procedure.performed.ofType(dateTime), .ofType(Period).start", func(p *r4.Procedure) string { return start(p.Performed) }),
		text("performed_text", "Procedure.performed[x] as written", func(p *r4.Procedure) string { return when(p.Performed) }),
		moment("performed_end", "Procedure.performed.ofType(Period).end", func(p *r4.Procedure) string { return end(p.Performed) }),
		link("performer", "Procedure.performer(first).actor", "", func(p *r4.Procedure) *r4.Reference { return orZero(first(p.Performer)).Actor }),
		link("recorder", "Procedure.recorder", "", func(p *r4.Procedure) *r4.Reference { return p.Recorder }),
		link("location", "Procedure.location", "Location", func(p *r4.Procedure) *r4.Reference { return p.Location }),
		concept("reason", "Procedure.reasonCode(first)", func(p *r4.Procedure) *r4.CodeableConcept { return first(p.ReasonCode) }, snomed, icd10),
		ids("reason_ids", "Procedure.reasonReference", "", func(p *r4.Procedure) []r4.Reference { return p.ReasonReference }),
		concept("body_site", "Procedure.bodySite(first)", func(p *r4.Procedure) *r4.CodeableConcept { return first(p.BodySite) }, snomed),
		label("outcome", "Procedure.outcome", func(p *r4.Procedure) *r4.CodeableConcept { return p.Outcome }, snomed),
		label("complication", "Procedure.complication(first)", func(p *r4.Procedure) *r4.CodeableConcept { return first(p.Complication) }, snomed),
		ids("based_on_ids", "Procedure.basedOn", "", func(p *r4.Procedure) []r4.Reference { return p.BasedOn }),
		ids("report_ids", "Procedure.report", "", func(p *r4.Procedure) []r4.Reference { return p.Report }),
		text("note", "Procedure.note.text, joined", func(p *r4.Procedure) string { return notes(p.Note) }),
		texts("identifiers", "Procedure.identifier as system|value", func(p *r4.Procedure) []string { return identifiers(p.Identifier) }),
		instant("last_updated", "Procedure.meta.lastUpdated", func(p *r4.Procedure) string { return lastUpdated(p.Meta) }),
	)
}
