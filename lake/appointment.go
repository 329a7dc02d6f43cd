package lake

import (
	"strings"

	"github.com/andironhq/andiron/r4"
)

func appointmentView() *view {
	return perResource("appointment", "One row per Appointment.",
		text("id", "Appointment.id", func(a *r4.Appointment) string { return a.ID }),
		text("patient_id", "Appointment.participant.actor(Patient).reference", func(a *r4.Appointment) string { return idOf(actor(a, "Patient"), "Patient") }),
		text("status", "Appointment.status", func(a *r4.Appointment) string { return a.Status }),
		label("cancellation_reason", "Appointment.cancelationReason", func(a *r4.Appointment) *r4.CodeableConcept { return a.CancelationReason }),
		label("service_category", "Appointment.serviceCategory(first)", func(a *r4.Appointment) *r4.CodeableConcept { return first(a.ServiceCategory) }),
		subject("Appointment.serviceType(first)", func(a *r4.Appointment) *r4.CodeableConcept { return first(a.ServiceType) }),
		label("specialty", "Appointment.specialty(first)", func(a *r4.Appointment) *r4.CodeableConcept { return first(a.Specialty) }),
		label("appointment_type", "Appointment.appointmentType", func(a *r4.Appointment) *r4.CodeableConcept { return a.AppointmentType }),
		concept("reason", "Appointment.reasonCode(first)", func(a *r4.Appointment) *r4.CodeableConcept { return first(a.ReasonCode) }, snomed, icd10),
		ids("reason_ids", "Appointment.reasonReference", "", func(a *r4.Appointment) []r4.Reference { return a.ReasonReference }),
		integer("priority", "Appointment.priority", func(a *r4.Appointment) r4.Integer { return a.Priority }),
		text("description", "Appointment.description", func(a *r4.Appointment) string { return a.Description }),
		instant("start_time", "Appointment.start", func(a *r4.Appointment) r4.Instant { return a.Start }),
		instant("end_time", "Appointment.end", func(a *r4.Appointment) r4.Instant { return a.End }),
		integer("minutes", "Appointment.minutesDuration", func(a *r4.Appointment) r4.Integer { return a.MinutesDuration }),
		moment("created", "Appointment.created", func(a *r4.Appointment) r4.DateTime { return a.Created }),
		text("comment", "Appointment.comment", func(a *r4.Appointment) string { return a.Comment }),
		text("patient_instruction", "Appointment.patientInstruction", func(a *r4.Appointment) string { return a.PatientInstruction }),
		link("provider", "Appointment.participant.actor(Practitioner)", "", func(a *r4.Appointment) *r4.Reference { return actor(a, "Practitioner", "PractitionerRole") }),
		link("location", "Appointment.participant.actor(Location)", "Location", func(a *r4.Appointment) *r4.Reference { return actor(a, "Location") }),
		count("participant_count", "Appointment.participant.count()", func(a *r4.Appointment) int { return len(a.Participant) }),
		ids("based_on_ids", "Appointment.basedOn", "", func(a *r4.Appointment) []r4.Reference { return a.BasedOn }),
		ids("slot_ids", "Appointment.slot", "Slot", func(a *r4.Appointment) []r4.Reference { return a.Slot }),
		texts("identifiers", "Appointment.identifier as system|value", func(a *r4.Appointment) []string { return identifiers(a.Identifier) }),
		instant("last_updated", "Appointment.meta.lastUpdated", func(a *r4.Appointment) string { return lastUpdated(a.Meta) }),
	)
}

// actor is the first participant of one of the types.
func actor(a *r4.Appointment, types ...string) *r4.Reference {
	for i := range a.Participant {
		ref := a.Participant[i].Actor
		for _, typ := range types {
			if ref != nil && (idOf(ref, typ) != "" || strings.EqualFold(ref.Type, typ)) {
				return ref
			}
		}
	}
	return nil
}
