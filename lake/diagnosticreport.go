package lake

import "github.com/andironhq/andiron/r4"

func diagnosticReportView() *view {
	return perResource("diagnosticreport", "One row per DiagnosticReport; result_ids joins to observation.",
		text("id", "DiagnosticReport.id", func(d *r4.DiagnosticReport) string { return d.ID }),
		id("patient_id", "DiagnosticReport.subject", "Patient", func(d *r4.DiagnosticReport) *r4.Reference { return d.Subject }),
		id("encounter_id", "DiagnosticReport.encounter", "Encounter", func(d *r4.DiagnosticReport) *r4.Reference { return d.Encounter }),
		text("status", "DiagnosticReport.status", func(d *r4.DiagnosticReport) string { return d.Status }),
		label("category", "DiagnosticReport.category", func(d *r4.DiagnosticReport) *r4.CodeableConcept { return pickIn(d.Category, diagnosticSection, loinc) }, diagnosticSection, loinc),
		subject("DiagnosticReport.code", func(d *r4.DiagnosticReport) *r4.CodeableConcept { return d.Code }, loinc),
		instant("effective", "DiagnosticReport.effective.ofType(dateTime), .ofType(Period).start", func(d *r4.DiagnosticReport) string { return start(d.Effective) }),
		text("effective_text", "DiagnosticReport.effective[x] as written", func(d *r4.DiagnosticReport) string { return when(d.Effective) }),
		moment("effective_end", "DiagnosticReport.effective.ofType(Period).end", func(d *r4.DiagnosticReport) string { return end(d.Effective) }),
		instant("issued", "DiagnosticReport.issued", func(d *r4.DiagnosticReport) r4.Instant { return d.Issued }),
		link("performer", "DiagnosticReport.performer(first)", "", func(d *r4.DiagnosticReport) *r4.Reference { return first(d.Performer) }),
		link("interpreter", "DiagnosticReport.resultsInterpreter(first)", "", func(d *r4.DiagnosticReport) *r4.Reference { return first(d.ResultsInterpreter) }),
		ids("result_ids", "DiagnosticReport.result", "Observation", func(d *r4.DiagnosticReport) []r4.Reference { return d.Result }),
		count("result_count", "DiagnosticReport.result.count()", func(d *r4.DiagnosticReport) int { return len(d.Result) }),
		id("specimen_id", "DiagnosticReport.specimen(first)", "Specimen", func(d *r4.DiagnosticReport) *r4.Reference { return first(d.Specimen) }),
		ids("based_on_ids", "DiagnosticReport.basedOn", "", func(d *r4.DiagnosticReport) []r4.Reference { return d.BasedOn }),
		text("conclusion", "DiagnosticReport.conclusion", func(d *r4.DiagnosticReport) string { return d.Conclusion }),
		concept("conclusion_code", "DiagnosticReport.conclusionCode(first)", func(d *r4.DiagnosticReport) *r4.CodeableConcept { return first(d.ConclusionCode) }, snomed),
		text("content_type", "DiagnosticReport.presentedForm(first).contentType", func(d *r4.DiagnosticReport) string { return orZero(first(d.PresentedForm)).ContentType }),
		text("content_url", "DiagnosticReport.presentedForm(first).url", func(d *r4.DiagnosticReport) string { return orZero(first(d.PresentedForm)).URL }),
		texts("identifiers", "DiagnosticReport.identifier as system|value", func(d *r4.DiagnosticReport) []string { return identifiers(d.Identifier) }),
		instant("last_updated", "DiagnosticReport.meta.lastUpdated", func(d *r4.DiagnosticReport) string { return lastUpdated(d.Meta) }),
	)
}

const diagnosticSection = "http://terminology.hl7.org/CodeSystem/v2-0074"
