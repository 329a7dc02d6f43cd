package lake

import "github.com/andironhq/andiron/r4"

func immunizationView() *view {
	return perResource("immunization", "One row per Immunization, given or not given.",
		text("id", "Immunization.id", func(i *r4.Immunization) string { return i.ID }),
		id("patient_id", "Immunization.patient", "Patient", func(i *r4.Immunization) *r4.Reference { return i.Patient }),
		id("encounter_id", "Immunization.encounter", "Encounter", func(i *r4.Immunization) *r4.Reference { return i.Encounter }),
		text("status", "Immunization.status", func(i *r4.Immunization) string { return i.Status }),
		label("status_reason", "Immunization.statusReason", func(i *r4.Immunization) *r4.CodeableConcept { return i.StatusReason }),
		subject("Immunization.vaccineCode", func(i *r4.Immunization) *r4.CodeableConcept { return i.VaccineCode }, cvx, ndc),
		instant("occurrence", "Immunization.occurrence.ofType(dateTime)", func(i *r4.Immunization) string { return dateTime(i.Occurrence) }),
		text("occurrence_text", "Immunization.occurrence[x] as written", func(i *r4.Immunization) string { return when(i.Occurrence) }),
		moment("recorded", "Immunization.recorded", func(i *r4.Immunization) r4.DateTime { return i.Recorded }),
		boolean("primary_source", "Immunization.primarySource", func(i *r4.Immunization) r4.Boolean { return i.PrimarySource }),
		link("location", "Immunization.location", "Location", func(i *r4.Immunization) *r4.Reference { return i.Location }),
		text("manufacturer", "Immunization.manufacturer.display", func(i *r4.Immunization) string { return called(i.Manufacturer) }),
		text("lot_number", "Immunization.lotNumber", func(i *r4.Immunization) string { return i.LotNumber }),
		day("expiration_date", "Immunization.expirationDate", func(i *r4.Immunization) r4.Date { return i.ExpirationDate }),
		label("site", "Immunization.site", func(i *r4.Immunization) *r4.CodeableConcept { return i.Site }),
		label("route", "Immunization.route", func(i *r4.Immunization) *r4.CodeableConcept { return i.Route }),
		literal("dose", "Immunization.doseQuantity.value", func(i *r4.Immunization) r4.Decimal { return quantity(i.DoseQuantity).Value }),
		text("dose_unit", "Immunization.doseQuantity.unit", func(i *r4.Immunization) string { return unit(quantity(i.DoseQuantity)) }),
		link("performer", "Immunization.performer(first).actor", "", func(i *r4.Immunization) *r4.Reference {
			return orZero(first(i.Performer)).Actor
		}),
		concept("reason", "Immunization.reasonCode(first)", func(i *r4.Immunization) *r4.CodeableConcept { return first(i.ReasonCode) }, snomed),
		text("series", "Immunization.protocolApplied(first).series", func(i *r4.Immunization) string { return orZero(first(i.ProtocolApplied)).Series }),
		text("dose_number", "Immunization.protocolApplied(first).doseNumber[x] as written", func(i *r4.Immunization) string {
			return when(orZero(first(i.ProtocolApplied)).DoseNumber)
		}),
		text("note", "Immunization.note.text, joined", func(i *r4.Immunization) string { return notes(i.Note) }),
		texts("identifiers", "Immunization.identifier as system|value", func(i *r4.Immunization) []string { return identifiers(i.Identifier) }),
		instant("last_updated", "Immunization.meta.lastUpdated", func(i *r4.Immunization) string { return lastUpdated(i.Meta) }),
	)
}
