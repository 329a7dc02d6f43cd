package epic

import "slices"

// Category is one word of a search parameter that Epic knows.
type Category struct {
	// Code is the value as it is sent.
	Code string
	// Name is what it stands for, in Epic's words where they are on record; else "".
	Name string
	// System is its code system; "" where Epic's own or not on record.
	System string
	// SubAPIs are the only sub-APIs that it reaches. An app without any of them is answered
	// 400 with 59204 for each and 59022. Empty: ordinary data.
	SubAPIs []string
}

// Categories are the values of a type's category parameter, in Epic's order. Nil: the type has
// none on record, which is not to say that it takes none.
func Categories(resourceType string) []Category { return slices.Clone(categories[resourceType]) }

// KnowsCategory reports whether a category word is known for a type; types without a list know
// every word.
func KnowsCategory(resourceType, code string) bool {
	list, ok := categories[resourceType]
	return !ok || slices.ContainsFunc(list, func(c Category) bool { return c.Code == code })
}

// Values are the words of other parameters that have a list: "clinical-status" of Condition,
// "status" of EpisodeOfCare and ServiceRequest, "code" of List and Task, "service-category" of
// Appointment ("API Specifications", high). Nil: no list on record.
func Values(resourceType, parameter string) []string {
	return slices.Clone(values[resourceType+"."+parameter])
}

const (
	systemSNOMED              = "http://snomed.info/sct"
	systemObservationCategory = "http://terminology.hl7.org/CodeSystem/observation-category"
	systemConditionCategory   = "http://terminology.hl7.org/CodeSystem/condition-category"
	systemDiagnosticService   = "http://terminology.hl7.org/CodeSystem/v2-0074"
)

var categories = map[string][]Category{
	"CarePlan": carePlanCategories,
	// Captures, high.
	"Condition": {
		{Code: "problem-list-item", Name: "Problem List Item", System: systemConditionCategory},
		{Code: "encounter-diagnosis", Name: "Encounter Diagnosis", System: systemConditionCategory},
		{Code: "health-concern", Name: "Health Concern", System: "http://hl7.org/fhir/us/core/CodeSystem/condition-category"},
	},
	// Capture, high; others exist.
	"DiagnosticReport": {{Code: "LAB", Name: "Laboratory", System: systemDiagnosticService}},
	// "API Specifications", high; more exist.
	"MedicationRequest":  {{Code: "inpatient"}, {Code: "outpatient"}, {Code: "community"}, {Code: "discharge"}},
	"MedicationDispense": {{Code: "inpatient"}, {Code: "outpatient"}, {Code: "community"}, {Code: "discharge"}},
	"Procedure": {
		{Code: "103693007", System: systemSNOMED, Name: "Diagnostic procedure"},
		{Code: "387713003", System: systemSNOMED, Name: "Surgical procedure"},
		{Code: "410606002", System: systemSNOMED, Name: "Social service procedure"},
	},
	// "API Specifications", high. The words from procedure on are recognised (captures, high;
	// in June 2025 three were still reported as errors) and reach sub-APIs alone.
	"Observation": {
		{Code: "laboratory", Name: "Laboratory", System: systemObservationCategory},
		{Code: "vital-signs", Name: "Vital Signs", System: systemObservationCategory},
		{Code: "social-history", Name: "Social History", System: systemObservationCategory},
		{Code: "core-characteristics"},
		{Code: "LDA"},
		{Code: "LDA-property"},
		{Code: "LDA-assessment"},
		{Code: "functional-mental-status"},
		{Code: "periodontal", SubAPIs: []string{"Periodontal"}},
		{Code: "labor-delivery"},
		{Code: "newborn-delivery"},
		{Code: "obstetrics-gynecology", SubAPIs: []string{"Obstetrics and Gynecology"}},
		{Code: "survey", Name: "Survey", System: systemObservationCategory, SubAPIs: []string{"Assessments", "SDOH Assessments"}},
		{Code: "sdoh", System: "http://hl7.org/fhir/us/core/CodeSystem/us-core-category", SubAPIs: []string{"Assessments", "SDOH Assessments"}},
		{Code: "imaging", Name: "Imaging", System: systemObservationCategory, SubAPIs: []string{"SmartData Elements", "Study Finding", "DICOM Image Characteristics"}},
		{Code: "384821006", System: systemSNOMED},
		{Code: "118228005", System: systemSNOMED},
		{Code: "252275004", System: systemSNOMED},
		{Code: "275711006", System: systemSNOMED},
		{Code: "68793005", System: systemSNOMED},
		{Code: "395124008", System: systemSNOMED},
		{Code: "314076009", System: systemSNOMED},
		{Code: "19851009", System: systemSNOMED},
		{Code: "405825005", System: systemSNOMED},
		{Code: "procedure", Name: "Procedure", System: systemObservationCategory, SubAPIs: []string{"SmartData Elements"}},
		{Code: "exam", Name: "Exam", System: systemObservationCategory, SubAPIs: []string{"SmartData Elements", "Study Finding"}},
		{Code: "therapy", Name: "Therapy", System: systemObservationCategory, SubAPIs: []string{"SmartData Elements"}},
		{Code: "activity", Name: "Activity", System: systemObservationCategory, SubAPIs: []string{"SmartData Elements"}},
		{Code: "phenotype", SubAPIs: []string{"Phenotype"}},
		{Code: "smartdata", SubAPIs: []string{"SmartData Elements"}},
	},
}

// carePlanCategories in the order in which Epic lists them (capture, high). Each reaches one
// sub-API.
var carePlanCategories = []Category{
	{Code: "38717003", Name: "longitudinal", System: systemSNOMED},
	{Code: "734163000", Name: "encounter", System: systemSNOMED},
	{Code: "736271009", Name: "outpatient", System: systemSNOMED, SubAPIs: []string{"Outpatient CarePlan"}},
	{Code: "736353004", Name: "inpatient", System: systemSNOMED, SubAPIs: []string{"Inpatient CarePlan"}},
	{Code: "738906000", Name: "dental", System: systemSNOMED, SubAPIs: []string{"Dental CarePlan"}},
	{Code: "736378000", Name: "oncology", System: systemSNOMED, SubAPIs: []string{"Oncology"}},
	{Code: "719091000000102", Name: "questionnaires due", System: systemSNOMED, SubAPIs: []string{"Questionnaires Due"}},
	{Code: "959871000000107", Name: "anticoagulation", System: systemSNOMED, SubAPIs: []string{"Anticoagulation CarePlan"}},
	{Code: "inpatient-pathway", Name: "inpatient pathway", SubAPIs: []string{"Inpatient Pathway"}},
	{Code: "409073007", Name: "education", System: systemSNOMED, SubAPIs: []string{"Patient Education"}},
	{Code: "care-path", Name: "Care Path", SubAPIs: []string{"Care Path"}},
}

var values = map[string][]string{
	"Appointment.service-category": words("surgery appointment"),
	"Condition.clinical-status":    words("active inactive resolved"),
	"EpisodeOfCare.status":         words("active finished cancelled"),
	"List.code":                    words("medications allergies immunizations problems pedigree-list hospital-problems patients"),
	"ServiceRequest.status":        words("draft active completed revoked unknown"),
	"Task.code":                    words("community-resource episode-checklist"),
}
