package sim

import "strings"

// param is how a search parameter is evaluated: what it compares and where the values lie.
type param struct {
	kind  byte // 't' token, 'd' date, 'r' reference, 's' string
	paths []string
}

// searchParams are the parameters that the simulator evaluates, by type: the native ones of the
// CapabilityStatement for the types that occur in a population, and the cheap ones of the
// others. In "name=k:path|path", k is the kind; [x] in a path stands for any type of a choice.
// Parameters that Epic declares and that are missing here are reported and ignored.
var searchParams = parseParams(`
AllergyIntolerance clinical-status=t:clinicalStatus patient=r:patient category=t:category code=t:code|reaction.substance criticality=t:criticality date=d:recordedDate identifier=t:identifier last-date=d:lastOccurrence manifestation=t:reaction.manifestation onset=d:reaction.onset recorder=r:recorder asserter=r:asserter route=t:reaction.exposureRoute severity=t:reaction.severity type=t:type verification-status=t:verificationStatus
Appointment date=d:start identifier=t:identifier patient=r:participant.actor service-category=t:serviceCategory status=t:status actor=r:participant.actor appointment-type=t:appointmentType based-on=r:basedOn location=r:participant.actor part-status=t:participant.status practitioner=r:participant.actor reason-code=t:reasonCode reason-reference=r:reasonReference service-type=t:serviceType slot=r:slot specialty=t:specialty supporting-info=r:supportingInformation
CarePlan category=t:category patient=r:subject subject=r:subject status=t:status encounter=r:encounter part-of=r:partOf activity-date=d:activity.detail.scheduled[x] activity-code=t:activity.detail.code care-team=r:careTeam condition=r:addresses date=d:period goal=r:goal identifier=t:identifier intent=t:intent
CareTeam patient=r:subject subject=r:subject status=t:status category=t:category date=d:period encounter=r:encounter identifier=t:identifier participant=r:participant.member
Condition abatement-date=d:abatement[x] category=t:category clinical-status=t:clinicalStatus code=t:code encounter=r:encounter onset-date=d:onset[x] patient=r:subject recorded-date=d:recordedDate subject=r:subject asserter=r:asserter body-site=t:bodySite evidence=t:evidence.code evidence-detail=r:evidence.detail identifier=t:identifier severity=t:severity stage=t:stage.summary verification-status=t:verificationStatus
Consent category=t:category patient=r:patient subject=r:patient status=t:status date=d:dateTime identifier=t:identifier
Coverage beneficiary=r:beneficiary patient=r:beneficiary identifier=t:identifier payor=r:payor policy-holder=r:policyHolder status=t:status subscriber=r:subscriber type=t:type
Device device-name=s:deviceName.name manufacturer=s:manufacturer model=s:modelNumber patient=r:patient udi-di=s:udiCarrier.deviceIdentifier udi-carrier=s:udiCarrier.carrierHRF identifier=t:identifier location=r:location organization=r:owner status=t:status type=t:type
DiagnosticReport category=t:category code=t:code date=d:effective[x] identifier=t:identifier patient=r:subject subject=r:subject based-on=r:basedOn conclusion=t:conclusionCode encounter=r:encounter issued=d:issued media=r:media.link performer=r:performer result=r:result results-interpreter=r:resultsInterpreter specimen=r:specimen status=t:status
DocumentReference author=r:author category=t:category date=d:date docstatus=t:docStatus encounter=r:context.encounter patient=r:subject period=d:context.period status=t:status subject=r:subject type=t:type authenticator=r:authenticator contenttype=t:content.attachment.contentType custodian=r:custodian description=s:description event=t:context.event facility=t:context.facilityType format=t:content.format identifier=t:masterIdentifier|identifier language=t:content.attachment.language related=r:context.related relation=t:relatesTo.code relatesto=r:relatesTo.target security-label=t:securityLabel setting=t:context.practiceSetting
Encounter class=t:class date=d:period identifier=t:identifier patient=r:subject subject=r:subject account=r:account appointment=r:appointment based-on=r:basedOn diagnosis=r:diagnosis.condition episode-of-care=r:episodeOfCare location=r:location.location location-period=d:location.period part-of=r:partOf participant=r:participant.individual participant-type=t:participant.type practitioner=r:participant.individual reason-code=t:reasonCode reason-reference=r:reasonReference service-provider=r:serviceProvider special-arrangement=t:hospitalization.specialArrangement status=t:status type=t:type
EpisodeOfCare patient=r:patient status=t:status type=t:type date=d:period identifier=t:identifier organization=r:managingOrganization condition=r:diagnosis.condition care-manager=r:careManager
ExplanationOfBenefit billable-period-start=d:billablePeriod.start created=d:created identifier=t:identifier patient=r:patient service-date=d:item.serviced[x] service-start-date=d:item.servicedPeriod.start|item.servicedDate type=t:type use=t:use claim=r:claim coverage=r:insurance.coverage provider=r:provider status=t:status facility=r:facility encounter=r:item.encounter enterer=r:enterer care-team=r:careTeam.provider payee=r:payee.party disposition=s:disposition
FamilyMemberHistory patient=r:patient code=t:condition.code date=d:date identifier=t:identifier relationship=t:relationship sex=t:sex status=t:status
Flag category=t:category encounter=r:encounter patient=r:subject subject=r:subject status=t:status author=r:author date=d:period identifier=t:identifier
Goal category=t:category lifecycle-status=t:lifecycleStatus patient=r:subject subject=r:subject start-date=d:start[x] achievement-status=t:achievementStatus identifier=t:identifier target-date=d:target.due[x]
ImagingStudy identifier=t:identifier patient=r:subject subject=r:subject basedon=r:basedOn bodysite=t:series.bodySite dicom-class=t:series.instance.sopClass encounter=r:encounter endpoint=r:endpoint|series.endpoint instance=t:series.instance.uid interpreter=r:interpreter modality=t:series.modality performer=r:series.performer.actor reason=t:reasonCode referrer=r:referrer series=t:series.uid started=d:started status=t:status
Immunization date=d:occurrence[x] patient=r:patient status=t:status identifier=t:identifier location=r:location lot-number=s:lotNumber manufacturer=r:manufacturer performer=r:performer.actor reaction=r:reaction.detail reaction-date=d:reaction.date reason-code=t:reasonCode reason-reference=r:reasonReference series=s:protocolApplied.series status-reason=t:statusReason target-disease=t:protocolApplied.targetDisease vaccine-code=t:vaccineCode
ImmunizationRecommendation patient=r:patient date=d:date identifier=t:identifier status=t:recommendation.forecastStatus vaccine-type=t:recommendation.vaccineCode target-disease=t:recommendation.targetDisease
List code=t:code encounter=r:encounter identifier=t:identifier patient=r:subject subject=r:subject date=d:date empty-reason=t:emptyReason item=r:entry.item source=r:source status=t:status title=s:title
Location type=t:type address=s:address address-city=s:address.city address-country=s:address.country address-postalcode=s:address.postalCode address-state=s:address.state address-use=t:address.use endpoint=r:endpoint identifier=t:identifier name=s:name|alias operational-status=t:operationalStatus organization=r:managingOrganization partof=r:partOf status=t:status
MedicationAdministration context=r:context effective-time=d:effective[x] patient=r:subject performer=r:performer.actor request=r:request status=t:status subject=r:subject code=t:medicationCodeableConcept device=r:device identifier=t:identifier medication=r:medicationReference reason-given=t:reasonCode reason-not-given=t:statusReason
MedicationDispense category=t:category patient=r:subject subject=r:subject code=t:medicationCodeableConcept context=r:context destination=r:destination identifier=t:identifier medication=r:medicationReference performer=r:performer.actor prescription=r:authorizingPrescription receiver=r:receiver responsibleparty=r:substitution.responsibleParty status=t:status type=t:type whenhandedover=d:whenHandedOver whenprepared=d:whenPrepared
MedicationRequest category=t:category date=d:dosageInstruction.timing.event|authoredOn intent=t:intent patient=r:subject status=t:status subject=r:subject authoredon=d:authoredOn code=t:medicationCodeableConcept encounter=r:encounter identifier=t:identifier intended-dispenser=r:dispenseRequest.performer intended-performer=r:performer intended-performertype=t:performerType medication=r:medicationReference priority=t:priority requester=r:requester
Observation based-on=r:basedOn category=t:category code=t:code date=d:effective[x] focus=r:focus issued=d:issued patient=r:subject subject=r:subject combo-code=t:code|component.code combo-data-absent-reason=t:dataAbsentReason|component.dataAbsentReason combo-value-concept=t:valueCodeableConcept|component.valueCodeableConcept component-code=t:component.code component-data-absent-reason=t:component.dataAbsentReason component-value-concept=t:component.valueCodeableConcept data-absent-reason=t:dataAbsentReason derived-from=r:derivedFrom device=r:device encounter=r:encounter has-member=r:hasMember identifier=t:identifier method=t:method part-of=r:partOf performer=r:performer specimen=r:specimen status=t:status value-concept=t:valueCodeableConcept value-date=d:valueDateTime|valuePeriod value-string=s:valueString
Patient address=s:address address-city=s:address.city address-postalcode=s:address.postalCode address-state=s:address.state birthdate=d:birthDate family=s:name.family gender=t:gender given=s:name.given identifier=t:identifier name=s:name telecom=t:telecom active=t:active address-country=s:address.country address-use=t:address.use death-date=d:deceasedDateTime email=t:telecom general-practitioner=r:generalPractitioner language=t:communication.language link=r:link.other organization=r:managingOrganization phone=t:telecom
Practitioner address=s:address address-city=s:address.city address-postalcode=s:address.postalCode address-state=s:address.state family=s:name.family given=s:name.given identifier=t:identifier name=s:name active=t:active address-country=s:address.country address-use=t:address.use communication=t:communication email=t:telecom gender=t:gender phone=t:telecom telecom=t:telecom
PractitionerRole email=t:telecom identifier=t:identifier location=r:location organization=r:organization phone=t:telecom practitioner=r:practitioner role=t:code specialty=t:specialty telecom=t:telecom active=t:active date=d:period endpoint=r:endpoint service=r:healthcareService
Procedure category=t:category code=t:code date=d:performed[x] identifier=t:identifier patient=r:subject subject=r:subject based-on=r:basedOn encounter=r:encounter location=r:location part-of=r:partOf performer=r:performer.actor reason-code=t:reasonCode reason-reference=r:reasonReference status=t:status
QuestionnaireResponse encounter=r:encounter patient=r:subject subject=r:subject author=r:author authored=d:authored based-on=r:basedOn identifier=t:identifier part-of=r:partOf source=r:source status=t:status
RelatedPerson patient=r:patient active=t:active address=s:address address-city=s:address.city address-country=s:address.country address-postalcode=s:address.postalCode address-state=s:address.state address-use=t:address.use birthdate=d:birthDate email=t:telecom gender=t:gender identifier=t:identifier name=s:name phone=t:telecom relationship=t:relationship telecom=t:telecom
ServiceRequest authored=d:authoredOn category=t:category code=t:code encounter=r:encounter identifier=t:identifier patient=r:subject requester=r:requester status=t:status subject=r:subject based-on=r:basedOn body-site=t:bodySite intent=t:intent occurrence=d:occurrence[x] performer=r:performer performer-type=t:performerType priority=t:priority replaces=r:replaces requisition=t:requisition specimen=r:specimen
Task code=t:code encounter=r:encounter focus=r:focus patient=r:for status=t:status subject=r:for authored-on=d:authoredOn based-on=r:basedOn business-status=t:businessStatus group-identifier=t:groupIdentifier identifier=t:identifier intent=t:intent modified=d:lastModified owner=r:owner part-of=r:partOf performer=t:performerType period=d:executionPeriod priority=t:priority requester=r:requester
`)

func parseParams(table string) map[string]map[string]param {
	types := map[string]map[string]param{}
	for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
		fields := strings.Fields(line)
		params := map[string]param{}
		for _, field := range fields[1:] {
			name, rest, _ := strings.Cut(field, "=")
			kind, paths, _ := strings.Cut(rest, ":")
			params[name] = param{kind[0], strings.Split(paths, "|")}
		}
		types[fields[0]] = params
	}
	return types
}

// patientParams name the patient, by type; "subject" is the same by another name.
func isPatientParam(typ, name string) bool {
	switch name {
	case "patient":
		return typ != "Patient"
	case "subject":
		return typ != "ResearchSubject"
	case "beneficiary":
		return typ == "Coverage"
	}
	return false
}
