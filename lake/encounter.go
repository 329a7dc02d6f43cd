package lake

import "github.com/andironhq/andiron/r4"

func encounterView() *view {
	return perResource("encounter", "One row per Encounter.",
		text("id", "Encounter.id", func(e *r4.Encounter) string { return e.ID }),
		id("patient_id", "Encounter.subject", "Patient", func(e *r4.Encounter) *r4.Reference { return e.Subject }),
		text("csn", "Encounter.identifier (contact serial or visit number).value", csn),
		text("status", "Encounter.status", func(e *r4.Encounter) string { return e.Status }),
		text("class", "Encounter.class.code", func(e *r4.Encounter) string { return coding(e.Class).Code }),
		text("class_display", "Encounter.class.display", func(e *r4.Encounter) string { return coding(e.Class).Display }),
		concept("type", "Encounter.type(first)", func(e *r4.Encounter) *r4.CodeableConcept { return first(e.Type) }, snomed, cpt),
		label("service_type", "Encounter.serviceType", func(e *r4.Encounter) *r4.CodeableConcept { return e.ServiceType }),
		label("priority", "Encounter.priority", func(e *r4.Encounter) *r4.CodeableConcept { return e.Priority }),
		moment("period_start", "Encounter.period.start", func(e *r4.Encounter) r4.DateTime { return period(e.Period).Start }),
		moment("period_end", "Encounter.period.end", func(e *r4.Encounter) r4.DateTime { return period(e.Period).End }),
		concept("reason", "Encounter.reasonCode(first)", func(e *r4.Encounter) *r4.CodeableConcept { return first(e.ReasonCode) }, snomed, icd10),
		link("provider", "Encounter.participant(first with a person).individual", "", encounterProvider),
		link("location", "Encounter.location(first).location", "Location", encounterLocation),
		link("service_provider", "Encounter.serviceProvider", "Organization", func(e *r4.Encounter) *r4.Reference { return e.ServiceProvider }),
		label("admit_source", "Encounter.hospitalization.admitSource", func(e *r4.Encounter) *r4.CodeableConcept { return hospitalization(e).AdmitSource }),
		label("discharge_disposition", "Encounter.hospitalization.dischargeDisposition", func(e *r4.Encounter) *r4.CodeableConcept { return hospitalization(e).DischargeDisposition }),
		ids("appointment_ids", "Encounter.appointment", "Appointment", func(e *r4.Encounter) []r4.Reference { return e.Appointment }),
		ids("account_ids", "Encounter.account", "Account", func(e *r4.Encounter) []r4.Reference { return e.Account }),
		id("part_of_id", "Encounter.partOf", "Encounter", func(e *r4.Encounter) *r4.Reference { return e.PartOf }),
		texts("identifiers", "Encounter.identifier as system|value", func(e *r4.Encounter) []string { return identifiers(e.Identifier) }),
		instant("last_updated", "Encounter.meta.lastUpdated", func(e *r4.Encounter) string { return lastUpdated(e.Meta) }),
	)
}

// csn is Epic's contact serial number, or what another server types as a visit number.
func csn(e *r4.Encounter) string {
	if v := epicIdentifier(e.Identifier, ".698084.8"); v != "" {
		return v
	}
	return typedIdentifier(e.Identifier, "VN")
}

func encounterProvider(e *r4.Encounter) *r4.Reference {
	for i := range e.Participant {
		if r := e.Participant[i].Individual; r != nil {
			return r
		}
	}
	return nil
}

func encounterLocation(e *r4.Encounter) *r4.Reference {
	for i := range e.Location {
		if r := e.Location[i].Location; r != nil {
			return r
		}
	}
	return nil
}

func hospitalization(e *r4.Encounter) *r4.EncounterHospitalization {
	return orZero(e.Hospitalization)
}
