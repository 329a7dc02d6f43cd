package epic

import (
	"slices"
	"strings"
)

// Resource is one type of Epic's R4 server as its sandbox declares it.
//
// A hospital's own /metadata decides: versions differ, and what an app may use depends on the
// APIs that it registered.
type Resource struct {
	// Type is the resource type, such as "Observation".
	Type string
	// Interactions are the letters c (create), r (read), s (search-type), u (update) that
	// apply, in this order. No type has delete, patch, vread or history.
	Interactions string
	// Native are the search parameters by which the server fetches.
	Native []string
	// PostFilter are those by which it then drops entries from pages already cut: a page may
	// be short or even empty while a next link exists ("API Specifications", high; which
	// parameter is which is read off the declared order, low).
	PostFilter []string
	// Profiles are the declared supportedProfile URLs.
	Profiles []string
	// Operations are the names of declared operations, such as "match" for $match.
	Operations []string
}

// Resources are the 59 types by name. The slice and what hangs on it are the caller's to
// read, not to change.
func Resources() []Resource { return slices.Clone(resources) }

// LookupResource finds a type. The name is compared with case, as in a URL.
func LookupResource(resourceType string) (Resource, bool) {
	i, ok := slices.BinarySearchFunc(resources, resourceType, func(r Resource, t string) int {
		return strings.Compare(r.Type, t)
	})
	if !ok {
		return Resource{}, false
	}
	return resources[i], true
}

// Does reports whether the type has an interaction: "create", "read", "search-type" or
// "update".
func (r Resource) Does(interaction string) bool {
	if interaction == "" {
		return false
	}
	return strings.Contains("create read search-type update", interaction) &&
		strings.Contains(r.Interactions, interaction[:1])
}

// Parameters are the search parameters in declared order: native ones, _count, _id, post-filter
// ones. A type that cannot be searched has none.
func (r Resource) Parameters() []string {
	if !r.Does("search-type") {
		return nil
	}
	return slices.Concat(r.Native, []string{"_count", "_id"}, r.PostFilter)
}

// Declares reports whether a search parameter is declared, without regard to case (names are
// declared in lower case and quoted in upper case; that case never matters is an inference,
// medium). Modifiers and chains are judged by the parameter that they hang on.
func (r Resource) Declares(parameter string) bool {
	name, _, _ := strings.Cut(strings.ToLower(parameter), ":")
	name, _, _ = strings.Cut(name, ".")
	return slices.Contains(r.Parameters(), name)
}

// CommonParameters are understood on every search though no type declares all of them: paging,
// included resources, the count of hits, the answer's format ("API Specifications" and
// captures, high). _sort, _elements and other values of _summary are declared nowhere.
func CommonParameters() []string {
	return []string{"_count", "_id", "_include", "_revinclude", "_summary", "_format"}
}

// Constants of the sandbox's CapabilityStatement, May 2026 (raw copy, high).
const (
	SoftwareName    = "Epic"                                                                  // software.name, at every customer
	SoftwareVersion = "May 2026"                                                              // software.version, of the sandbox
	SoftwareDate    = "2026-05-11"                                                            // software.releaseDate, of the sandbox
	Copyright       = "Copyright Epic 1979-2026"                                              // copyright
	FHIRVersion     = "4.0.1"                                                                 // fhirVersion; two hospitals of 554 say 4.0.0
	SandboxBase     = SandboxHost + "/api/FHIR/R4"                                            // the sandbox's FHIR base
	SandboxHost     = "https://fhir.epic.com" + SandboxPath                                   // the sandbox's instance
	SandboxPath     = "/interconnect-fhir-oauth"                                              // its path: arbitrary, and different at each customer
	OAuthURIs       = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris" // extension of rest.security
	SecurityService = "http://terminology.hl7.org/CodeSystem/restful-security-service"        // system of rest.security.service
	BulkDataGuide   = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"         // instantiates
	USCoreServer    = "http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server|6.1.0"  // instantiates
	USCoreVersion   = "6.1.0"                                                                 // of the profiles
)

// SecurityServices are the codes of rest.security.service, in order (raw copy, high).
func SecurityServices() []string { return []string{"OAuth", "SMART-on-FHIR", "Basic"} }

func words(s string) []string { return strings.Fields(s) }

func usCore(s string) []string {
	names := words(s)
	for i, n := range names {
		names[i] = "http://hl7.org/fhir/us/core/StructureDefinition/" + n
	}
	return names
}

// resources is rest.resource of the sandbox's CapabilityStatement (May 2026; raw copy, high; the
// split into native and post-filter parameters by their position around _count and _id, low).
var resources = []Resource{
	{Type: "Account", Interactions: "rs"},
	{Type: "AdverseEvent", Interactions: "rs", Native: words(`research-subject seriousness study subject`), PostFilter: words(`actuality category date event location recorder resultingcondition severity substance`)},
	{Type: "AllergyIntolerance", Interactions: "crs", Native: words(`clinical-status patient`), PostFilter: words(`asserter category code criticality date identifier last-date manifestation onset recorder route severity type verification-status`), Profiles: usCore(`us-core-allergyintolerance`)},
	{Type: "Appointment", Interactions: "rs", Native: words(`date identifier onlyscannable patient service-category status`), PostFilter: words(`actor appointment-type based-on location part-status practitioner reason-code reason-reference service-type slot specialty supporting-info`)},
	{Type: "Binary", Interactions: "rs"},
	{Type: "BodyStructure", Interactions: "crsu", Native: words(`identifier location morphology patient subject`)},
	{Type: "CarePlan", Interactions: "rs", Native: words(`activity-date category encounter part-of patient status subject`), PostFilter: words(`activity-code activity-reference based-on care-team condition date goal identifier instantiates-canonical intent performer replaces`), Profiles: usCore(`us-core-careplan`)},
	{Type: "CareTeam", Interactions: "rs", Native: words(`patient status subject`), PostFilter: words(`category date encounter identifier participant`), Profiles: usCore(`us-core-careteam`)},
	{Type: "Claim", Interactions: "rs"},
	{Type: "Communication", Interactions: "crs", Native: words(`based-on category encounter part-of patient subject`), PostFilter: words(`identifier instantiates-canonical medium received recipient sender sent status`)},
	{Type: "ConceptMap", Interactions: "cr"},
	{Type: "Condition", Interactions: "crs", Native: words(`abatement-date category clinical-status code encounter onset-date patient recorded-date subject`), PostFilter: words(`abatement-string asserter body-site evidence evidence-detail identifier onset-info severity stage verification-status`), Profiles: usCore(`us-core-condition-encounter-diagnosis us-core-condition-problems-health-concerns`)},
	{Type: "Consent", Interactions: "rs", Native: words(`category patient status subject`), PostFilter: words(`action actor consentor data date identifier organization period purpose scope security-label source-reference`)},
	{Type: "Contract", Interactions: "rs"},
	{Type: "Coverage", Interactions: "rs", Native: words(`beneficiary patient`), PostFilter: words(`class-type class-value dependent identifier payor policy-holder status subscriber type`), Profiles: usCore(`us-core-coverage`)},
	{Type: "Device", Interactions: "rs", Native: words(`device-name manufacturer model patient udi-carrier udi-di`), PostFilter: words(`identifier location organization status type`), Profiles: usCore(`us-core-implantable-device`)},
	{Type: "DeviceRequest", Interactions: "rs", Native: words(`patient status`), PostFilter: words(`authored-on based-on code device encounter event-date group-identifier identifier instantiates-canonical insurance intent performer prior-request requester subject`)},
	{Type: "DeviceUseStatement", Interactions: "rs", Native: words(`patient subject`), PostFilter: words(`device identifier`)},
	{Type: "DiagnosticReport", Interactions: "rsu", Native: words(`category code date identifier patient subject`), PostFilter: words(`based-on conclusion encounter issued media performer result results-interpreter specimen status`), Profiles: usCore(`us-core-diagnosticreport-lab us-core-diagnosticreport-note`)},
	{Type: "DocumentReference", Interactions: "crsu", Native: words(`author category date docstatus encounter patient period status subject type`), PostFilter: words(`_lastupdated authenticator contenttype custodian description event facility format identifier language related relatesto relation security-label setting`), Profiles: usCore(`us-core-documentreference`)},
	{Type: "Encounter", Interactions: "rs", Native: words(`class date identifier onlyscannable patient subject`), PostFilter: words(`account appointment based-on diagnosis episode-of-care location location-period part-of participant participant-type practitioner reason-code reason-reference service-provider special-arrangement status type`), Profiles: usCore(`us-core-encounter`)},
	{Type: "Endpoint", Interactions: "rs"},
	{Type: "EpisodeOfCare", Interactions: "rs", Native: words(`patient status type`), PostFilter: words(`care-manager condition date identifier incoming-referral organization`)},
	{Type: "ExplanationOfBenefit", Interactions: "rs", Native: words(`billable-period-start created identifier patient service-date service-start-date type use`), PostFilter: words(`care-team claim coverage detail-udi disposition encounter enterer facility item-udi payee procedure-udi provider status subdetail-udi`)},
	{Type: "FamilyMemberHistory", Interactions: "rs", Native: words(`patient`), PostFilter: words(`code date identifier instantiates-canonical relationship sex status`)},
	{Type: "Flag", Interactions: "rs", Native: words(`category encounter patient status subject`), PostFilter: words(`author date identifier`)},
	{Type: "Goal", Interactions: "rs", Native: words(`category lifecycle-status patient start-date subject`), PostFilter: words(`achievement-status identifier target-date`), Profiles: usCore(`us-core-goal`)},
	{Type: "Group", Interactions: "rs", Operations: words(`group-export`)},
	{Type: "ImagingStudy", Interactions: "rs", Native: words(`identifier patient subject`), PostFilter: words(`basedon bodysite dicom-class encounter endpoint instance interpreter modality performer reason referrer series started status`)},
	{Type: "Immunization", Interactions: "rs", Native: words(`date patient status`), PostFilter: words(`identifier location lot-number manufacturer performer reaction reaction-date reason-code reason-reference series status-reason target-disease vaccine-code`), Profiles: usCore(`us-core-immunization`)},
	{Type: "ImmunizationRecommendation", Interactions: "rs", Native: words(`patient`), PostFilter: words(`date identifier information status support target-disease vaccine-type`)},
	{Type: "List", Interactions: "rs", Native: words(`code encounter identifier patient subject`), PostFilter: words(`date empty-reason item notes source status title`)},
	{Type: "Location", Interactions: "rs", Native: words(`type`), PostFilter: words(`address address-city address-country address-postalcode address-state address-use endpoint identifier name operational-status organization partof status`)},
	{Type: "Measure", Interactions: "rs"},
	{Type: "MeasureReport", Interactions: "rs", Native: words(`epic-group-id patient subject`), PostFilter: words(`_lastupdated date evaluated-resource identifier measure period reporter status`)},
	{Type: "Media", Interactions: "rs"},
	{Type: "Medication", Interactions: "rs", Profiles: usCore(`us-core-medication`)},
	{Type: "MedicationAdministration", Interactions: "rs", Native: words(`context effective-time patient performer request status subject`), PostFilter: words(`code device identifier medication reason-given reason-not-given`)},
	{Type: "MedicationDispense", Interactions: "rs", Native: words(`category patient subject`), PostFilter: words(`code context destination identifier medication performer prescription receiver responsibleparty status type whenhandedover whenprepared`), Profiles: usCore(`us-core-medicationdispense`)},
	{Type: "MedicationRequest", Interactions: "rs", Native: words(`category date intent patient status subject`), PostFilter: words(`authoredon code encounter identifier intended-dispenser intended-performer intended-performertype medication priority requester`), Profiles: usCore(`us-core-medicationrequest`)},
	{Type: "NutritionOrder", Interactions: "rs", Native: words(`patient`), PostFilter: words(`additive datetime encounter formula identifier instantiates-canonical oraldiet provider status supplement`)},
	{Type: "Observation", Interactions: "crsu", Native: words(`based-on category code date focus issued patient subject`), PostFilter: words(`combo-code combo-data-absent-reason combo-value-concept component-code component-data-absent-reason component-value-concept data-absent-reason derived-from device encounter has-member identifier method part-of performer specimen status value-concept value-date value-string`), Profiles: usCore(`head-occipital-frontal-circumference-percentile pediatric-bmi-for-age pediatric-weight-for-height us-core-blood-pressure us-core-bmi us-core-body-height us-core-body-temperature us-core-body-weight us-core-head-circumference us-core-heart-rate us-core-observation-clinical-result us-core-observation-lab us-core-observation-occupation us-core-observation-pregnancyintent us-core-observation-pregnancystatus us-core-observation-screening-assessment us-core-observation-sexual-orientation us-core-pulse-oximetry us-core-respiratory-rate us-core-simple-observation us-core-smokingstatus us-core-vital-signs`)},
	{Type: "Organization", Interactions: "rs", Profiles: usCore(`us-core-organization`)},
	{Type: "Patient", Interactions: "crs", Native: words(`address address-city address-postalcode address-state birthdate doc-type family gender given identifier legal-sex name own-name own-prefix partner-name partner-prefix telecom`), PostFilter: words(`active address-country address-use death-date email general-practitioner language link organization phone phonetic`), Profiles: usCore(`us-core-patient`), Operations: words(`match summary`)},
	{Type: "Practitioner", Interactions: "rs", Native: words(`address address-city address-postalcode address-state family given identifier name`), PostFilter: words(`active address-country address-use communication email gender phone phonetic telecom`), Profiles: usCore(`us-core-practitioner`)},
	{Type: "PractitionerRole", Interactions: "rs", Native: words(`email identifier location organization phone practitioner role specialty telecom`), PostFilter: words(`active date endpoint service`), Profiles: usCore(`us-core-practitionerrole`)},
	{Type: "Procedure", Interactions: "crsu", Native: words(`category code date identifier patient subject`), PostFilter: words(`based-on encounter instantiates-canonical location part-of performer reason-code reason-reference status`), Profiles: usCore(`us-core-procedure`)},
	{Type: "Provenance", Interactions: "r", Profiles: usCore(`us-core-provenance`)},
	{Type: "Questionnaire", Interactions: "rs"},
	{Type: "QuestionnaireResponse", Interactions: "crs", Native: words(`encounter patient subject`), PostFilter: words(`author authored based-on identifier part-of questionnaire source status`)},
	{Type: "RelatedPerson", Interactions: "rs", Native: words(`patient`), PostFilter: words(`active address address-city address-country address-postalcode address-state address-use birthdate email gender identifier name phone phonetic relationship telecom`), Profiles: usCore(`us-core-relatedperson`)},
	{Type: "RequestGroup", Interactions: "rs"},
	{Type: "ResearchStudy", Interactions: "rs", Native: words(`identifier status`), PostFilter: words(`category date focus keyword location partof principalinvestigator protocol site sponsor title`)},
	{Type: "ResearchSubject", Interactions: "rs", Native: words(`patient status study`), PostFilter: words(`date identifier`)},
	{Type: "ServiceRequest", Interactions: "crsu", Native: words(`authored category code encounter identifier onlyscannable patient requester status subject`), PostFilter: words(`based-on body-site instantiates-canonical intent occurrence performer performer-type priority replaces requisition specimen`), Profiles: usCore(`us-core-servicerequest`)},
	{Type: "Specimen", Interactions: "rs", Profiles: usCore(`us-core-specimen`)},
	{Type: "Substance", Interactions: "rs"},
	{Type: "Task", Interactions: "rsu", Native: words(`code encounter focus patient status subject`), PostFilter: words(`authored-on based-on business-status group-identifier identifier intent modified owner part-of performer period priority requester`)},
	{Type: "ValueSet", Interactions: "r"},
}
