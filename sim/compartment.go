package sim

import (
	"bytes"
	"strings"
)

// patientCompartment lists the elements that place a resource in a patient's compartment: the search
// parameters of CompartmentDefinition/patient (FHIR R4, 4.0.1) as paths. Types that are missing belong to
// no patient by that definition.
var patientCompartment = parseCompartment(`
Account subject
AdverseEvent subject
AllergyIntolerance patient recorder asserter
Appointment participant.actor
AppointmentResponse actor
AuditEvent agent.who entity.what
Basic subject author
BodyStructure patient
CarePlan subject activity.detail.performer
CareTeam subject participant.member
ChargeItem subject
Claim patient payee.party
ClaimResponse patient
ClinicalImpression subject
Communication subject sender recipient
CommunicationRequest subject sender recipient requester
Composition subject author attester.party
Condition subject asserter
Consent patient
Coverage policyHolder subscriber beneficiary payor
CoverageEligibilityRequest patient
CoverageEligibilityResponse patient
DetectedIssue patient
DeviceRequest subject performer
DeviceUseStatement subject
DiagnosticReport subject
DocumentManifest subject author recipient
DocumentReference subject author
Encounter subject
EnrollmentRequest candidate
EpisodeOfCare patient
ExplanationOfBenefit patient payee.party
FamilyMemberHistory patient
Flag subject
Goal subject
Group member.entity
ImagingStudy subject
Immunization patient
ImmunizationEvaluation patient
ImmunizationRecommendation patient
Invoice subject recipient
List subject source
MeasureReport subject
Media subject
MedicationAdministration subject performer.actor
MedicationDispense subject receiver
MedicationRequest subject
MedicationStatement subject
MolecularSequence patient
NutritionOrder patient
Observation subject performer
Patient link.other
Person link.target
Procedure subject performer.actor
Provenance target
QuestionnaireResponse subject author
RelatedPerson patient
RequestGroup subject action.participant
ResearchSubject individual
RiskAssessment subject
Schedule actor
ServiceRequest subject performer
Specimen subject
SupplyDelivery patient
SupplyRequest deliverTo
Task for focus
VisionPrescription patient
`)

func parseCompartment(table string) map[string][]string {
	types := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
		fields := strings.Fields(line)
		types[fields[0]] = fields[1:]
	}
	return types
}

// inCompartment tells whether a resource belongs to the patient, by any of the definition's elements.
func (s *Server) inCompartment(at int32, patient string) bool {
	typ := s.store.typeOf(at)
	e := s.store.entries[at]
	if patient == "" {
		return false
	}
	if typ == "Patient" && e.id == patient {
		return true
	}
	b, err := s.store.bytes(at)
	if err != nil || !bytes.Contains(b, []byte(patient)) {
		return false
	}
	resource, err := s.decode(at)
	if err != nil {
		return false
	}
	for _, path := range patientCompartment[typ] {
		for _, v := range walk(resource, strings.Split(path+".reference", ".")) {
			if ref, ok := v.(string); ok && lastTwo(ref) == "Patient/"+patient {
				return true
			}
		}
	}
	return false
}

// reaches tells whether a token that is confined to one patient reaches a resource: what lies in the
// compartment, and what is about no patient (practitioners, places, drugs). Beyond the definition, which
// leaves them out or in too freely:
//
//   - Binary: as far as a document or a report that the token may see holds it
//   - Provenance: if all its targets are reached
//   - Group: if it has no other patient, since it names its members
//   - Device and others that name a patient: by that patient
func (s *Server) reaches(g *grant, at int32) bool {
	e := s.store.entries[at]
	switch typ := s.store.typeOf(at); typ {
	case "Binary":
		for _, holder := range s.holdersOf(g.patient, e.id) {
			if s.reaches(g, holder) && (!g.patientFacing() || !s.undisclosed(holder)) {
				return true
			}
		}
		return false
	case "Provenance":
		return s.reachesAll(g, at, "target")
	case "Group":
		return s.reachesAll(g, at, "member.entity")
	default:
		if _, ok := patientCompartment[typ]; ok {
			return s.inCompartment(at, g.patient)
		}
		return e.patient == "" || e.patient == g.patient
	}
}

// reachesAll tells whether there are references at a path and the token reaches each of them.
func (s *Server) reachesAll(g *grant, at int32, path string) bool {
	resource, err := s.decode(at)
	if err != nil {
		return false
	}
	found := false
	for _, v := range walk(resource, strings.Split(path+".reference", ".")) {
		ref, _ := v.(string)
		typ, id, ok := strings.Cut(lastTwo(ref), "/")
		target, known := s.store.find(typ, id)
		if !ok || !known || typ == "Provenance" || typ == "Group" || !s.reaches(g, target) || g.patientFacing() && s.undisclosed(target) {
			return false
		}
		found = true
	}
	return found
}

// undisclosed tells whether a document is kept from the patient: its security label is NOPAT (high).
func (s *Server) undisclosed(at int32) bool {
	if s.store.typeOf(at) != "DocumentReference" {
		return false
	}
	b, err := s.store.bytes(at)
	if err != nil || !bytes.Contains(b, []byte("NOPAT")) {
		return false
	}
	resource, err := s.decode(at)
	if err != nil {
		return true
	}
	for _, v := range walk(resource, []string{"securityLabel", "coding", "code"}) {
		if v == "NOPAT" {
			return true
		}
	}
	return false
}

// holdersOf lists the patient's documents and reports with an attachment in a Binary.
func (s *Server) holdersOf(patient, binary string) []int32 {
	var list []int32
	for _, kind := range []struct{ typ, path string }{
		{"DocumentReference", "content.attachment.url"}, {"DiagnosticReport", "presentedForm.url"},
	} {
		for _, at := range s.store.ofPatient(kind.typ, patient) {
			b, err := s.store.bytes(at)
			if err != nil || !bytes.Contains(b, []byte(binary)) {
				continue
			}
			resource, err := s.decode(at)
			if err != nil {
				continue
			}
			for _, v := range walk(resource, strings.Split(kind.path, ".")) {
				if url, ok := v.(string); ok && lastTwo(url) == "Binary/"+binary {
					list = append(list, at)
				}
			}
		}
	}
	return list
}
