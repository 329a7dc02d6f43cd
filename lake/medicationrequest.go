package lake

import "github.com/andironhq/andiron/r4"

func medicationRequestView() *view {
	return perResource("medicationrequest", "One row per MedicationRequest: orders and prescriptions.",
		text("id", "MedicationRequest.id", func(m *r4.MedicationRequest) string { return m.ID }),
		id("patient_id", "MedicationRequest.subject", "Patient", func(m *r4.MedicationRequest) *r4.Reference { return m.Subject }),
		id("encounter_id", "MedicationRequest.encounter", "Encounter", func(m *r4.MedicationRequest) *r4.Reference { return m.Encounter }),
		text("status", "MedicationRequest.status", func(m *r4.MedicationRequest) string { return m.Status }),
		label("status_reason", "MedicationRequest.statusReason", func(m *r4.MedicationRequest) *r4.CodeableConcept { return m.StatusReason }),
		text("intent", "MedicationRequest.intent", func(m *r4.MedicationRequest) string { return m.Intent }),
		label("category", "MedicationRequest.category(first)", func(m *r4.MedicationRequest) *r4.CodeableConcept {
			return pickIn(m.Category, medicationRequestCategory)
		}, medicationRequestCategory),
		text("priority", "MedicationRequest.priority", func(m *r4.MedicationRequest) string { return m.Priority }),
		text("medication", "MedicationRequest.medication[x]: what it is called", medicationName),
		text("medication_id", "MedicationRequest.medication.ofType(Reference).reference", func(m *r4.MedicationRequest) string {
			ref, _ := m.Medication.(*r4.Reference)
			return idOf(ref, "Medication")
		}),
		subject("MedicationRequest.medication.ofType(CodeableConcept)", medicationConcept, rxNorm, ndc, snomed),
		moment("authored_on", "MedicationRequest.authoredOn", func(m *r4.MedicationRequest) r4.DateTime { return m.AuthoredOn }),
		link("requester", "MedicationRequest.requester", "", func(m *r4.MedicationRequest) *r4.Reference { return m.Requester }),
		link("recorder", "MedicationRequest.recorder", "", func(m *r4.MedicationRequest) *r4.Reference { return m.Recorder }),
		boolean("reported", "MedicationRequest.reported.ofType(boolean)", func(m *r4.MedicationRequest) r4.Boolean {
			b, _ := m.Reported.(r4.Boolean)
			return b
		}),
		concept("reason", "MedicationRequest.reasonCode(first)", func(m *r4.MedicationRequest) *r4.CodeableConcept { return first(m.ReasonCode) }, snomed, icd10),
		ids("reason_ids", "MedicationRequest.reasonReference", "", func(m *r4.MedicationRequest) []r4.Reference { return m.ReasonReference }),
		label("course_of_therapy", "MedicationRequest.courseOfTherapyType", func(m *r4.MedicationRequest) *r4.CodeableConcept { return m.CourseOfTherapyType }),
		text("dosage_text", "MedicationRequest.dosageInstruction(first): text, else patientInstruction", func(m *r4.MedicationRequest) string {
			d := dosage(m)
			return either(d.Text, d.PatientInstruction)
		}),
		literal("dose", "MedicationRequest.dosageInstruction(first).doseAndRate.dose.ofType(Quantity).value", func(m *r4.MedicationRequest) r4.Decimal { return dose(m).Value }),
		text("dose_unit", "MedicationRequest.dosageInstruction(first).doseAndRate.dose.ofType(Quantity).unit", func(m *r4.MedicationRequest) string { return unit(dose(m)) }),
		label("route", "MedicationRequest.dosageInstruction(first).route", func(m *r4.MedicationRequest) *r4.CodeableConcept { return dosage(m).Route }, snomed),
		integer("frequency", "MedicationRequest.dosageInstruction(first).timing.repeat.frequency", func(m *r4.MedicationRequest) r4.Integer { return repeat(m).Frequency }),
		decimal("frequency_period", "MedicationRequest.dosageInstruction(first).timing.repeat.period", func(m *r4.MedicationRequest) r4.Decimal { return repeat(m).Period }),
		text("frequency_period_unit", "MedicationRequest.dosageInstruction(first).timing.repeat.periodUnit", func(m *r4.MedicationRequest) string { return repeat(m).PeriodUnit }),
		one("as_needed", sqlBoolean, "MedicationRequest.dosageInstruction(first).asNeeded[x]: true for any code", asNeeded),
		literal("dispense_quantity", "MedicationRequest.dispenseRequest.quantity.value", func(m *r4.MedicationRequest) r4.Decimal { return quantity(dispense(m).Quantity).Value }),
		text("dispense_unit", "MedicationRequest.dispenseRequest.quantity.unit", func(m *r4.MedicationRequest) string { return unit(quantity(dispense(m).Quantity)) }),
		integer("refills", "MedicationRequest.dispenseRequest.numberOfRepeatsAllowed", func(m *r4.MedicationRequest) r4.Integer { return dispense(m).NumberOfRepeatsAllowed }),
		decimal("supply_duration", "MedicationRequest.dispenseRequest.expectedSupplyDuration.value", func(m *r4.MedicationRequest) r4.Decimal { return orZero(dispense(m).ExpectedSupplyDuration).Value }),
		text("supply_duration_unit", "MedicationRequest.dispenseRequest.expectedSupplyDuration.unit", func(m *r4.MedicationRequest) string {
			d := orZero(dispense(m).ExpectedSupplyDuration)
			return either(d.Unit, d.Code)
		}),
		moment("validity_start", "MedicationRequest.dispenseRequest.validityPeriod.start", func(m *r4.MedicationRequest) r4.DateTime { return period(dispense(m).ValidityPeriod).Start }),
		moment("validity_end", "MedicationRequest.dispenseRequest.validityPeriod.end", func(m *r4.MedicationRequest) r4.DateTime { return period(dispense(m).ValidityPeriod).End }),
		text("note", "MedicationRequest.note.text, joined", func(m *r4.MedicationRequest) string { return notes(m.Note) }),
		texts("identifiers", "MedicationRequest.identifier as system|value", func(m *r4.MedicationRequest) []string { return identifiers(m.Identifier) }),
		instant("last_updated", "MedicationRequest.meta.lastUpdated", func(m *r4.MedicationRequest) string { return lastUpdated(m.Meta) }),
	)
}

const medicationRequestCategory = "http://terminology.hl7.org/CodeSystem/medicationrequest-category"

// medicationConcept is the code inside the order. Epic sends a reference instead, and then the
// code stands in the Medication; the name is known all the same (medicationName).
func medicationConcept(m *r4.MedicationRequest) *r4.CodeableConcept {
	c, _ := m.Medication.(*r4.CodeableConcept)
	return c
}

func medicationName(m *r4.MedicationRequest) string {
	if ref, ok := m.Medication.(*r4.Reference); ok {
		return called(ref)
	}
	c := medicationConcept(m)
	return either(conceptText(c), display(c, []string{rxNorm}))
}

func dosage(m *r4.MedicationRequest) *r4.Dosage { return orZero(first(m.DosageInstruction)) }

func dose(m *r4.MedicationRequest) *r4.Quantity {
	dr := dosage(m).DoseAndRate
	for i := range dr {
		if q, ok := dr[i].Dose.(*r4.Quantity); ok {
			return quantity(q)
		}
	}
	return &r4.Quantity{}
}

func repeat(m *r4.MedicationRequest) *r4.TimingRepeat {
	return orZero(orZero(dosage(m).Timing).Repeat)
}

func asNeeded(m *r4.MedicationRequest) any {
	switch a := dosage(m).AsNeeded.(type) {
	case r4.Boolean:
		return boolOrNull(a)
	case *r4.CodeableConcept:
		return true
	}
	return nil
}

func dispense(m *r4.MedicationRequest) *r4.MedicationRequestDispenseRequest {
	return orZero(m.DispenseRequest)
}
