package epic

import "slices"

// SubAPI is a part of a resource type that an app must register by itself, as Epic names it in
// the diagnostics of 59203, 59204 and 59205: "Client not authorized for {Resource} - {SubAPI}".
type SubAPI struct {
	// Resource is the type, Name the part.
	Resource, Name string
	// Categories are the category words whose search touches it; nil means every search.
	Categories []string
	// Context is the kind of token under which it was seen: "patient", "backend", or "" for
	// both.
	Context string
	// User says that it was the user's right that was missing (59205) and not the client's.
	User bool
}

// SubAPIs are the parts of a type that captures name (2024 to 2026, high). An app that registers
// only the type's main APIs lacks all of them.
func SubAPIs(resourceType string) []SubAPI {
	var out []SubAPI
	for _, s := range subAPIs {
		if s.Resource == resourceType {
			s.Categories = slices.Clone(s.Categories)
			out = append(out, s)
		}
	}
	return out
}

// subAPIs in the order in which one search names them.
var subAPIs = slices.Concat(
	parts("AllergyIntolerance", "backend", "", "Outside Record"),
	parts("Encounter", "backend", "", "Outside Record"),
	parts("Immunization", "backend", "", "Outside Record"),
	parts("MedicationRequest", "backend", "", "Outside Record"),
	parts("Procedure", "backend", "", "Outside Record"),
	[]SubAPI{{Resource: "Procedure", Name: "External Radiotherapy Summary", Context: "backend", User: true}},
	parts("Procedure", "patient", "", "Patient-Reported Surgical History", "SDOH Intervention", "External Radiotherapy Summary"),
	parts("DiagnosticReport", "backend", "LAB", "Outside Record Results"),
	parts("Observation", "backend", "laboratory", "Outside Record Results"),
	parts("Observation", "backend", "vital-signs", "Outside Record Vital Signs"),
	parts("Condition", "backend", "problem-list-item health-concern", "Outside Record Problems"),
	parts("Condition", "backend", "health-concern", "Outside Record Health Concern"),
	parts("Condition", "backend", "encounter-diagnosis", "Outside Record Encounter Diagnosis"),
	parts("Condition", "patient", "", "Encounter Diagnosis", "Genomics", "Dental Finding", "Infection", "Medical History", "Reason For Visit"),
	parts("DocumentReference", "patient", "", "Document Information", "OASIS", "HIS", "Handoff", "IRF-PAI", "Minimum Data Set",
		"External CDAs", "Clinical References", "Radiology Results", "Correspondences"),
	parts("Observation", "patient", "laboratory vital-signs procedure therapy activity smartdata imaging exam", "SmartData Elements"),
	parts("Observation", "patient", "imaging exam", "Study Finding"),
	parts("Observation", "patient", "imaging", "DICOM Image Characteristics"),
	parts("Observation", "", "survey sdoh", "Assessments", "SDOH Assessments"),
	parts("Observation", "", "obstetrics-gynecology", "Obstetrics and Gynecology"),
	parts("Observation", "", "periodontal", "Periodontal"),
	parts("Observation", "", "phenotype", "Phenotype"),
	parts("CarePlan", "", "736271009", "Outpatient CarePlan"),
	parts("CarePlan", "", "736353004", "Inpatient CarePlan"),
	parts("CarePlan", "", "738906000", "Dental CarePlan"),
	parts("CarePlan", "", "736378000", "Oncology"),
	parts("CarePlan", "", "719091000000102", "Questionnaires Due"),
	parts("CarePlan", "", "959871000000107", "Anticoagulation CarePlan"),
	parts("CarePlan", "", "inpatient-pathway", "Inpatient Pathway"),
	parts("CarePlan", "", "409073007", "Patient Education"),
	parts("CarePlan", "", "care-path", "Care Path"),
	parts("Binary", "", "", "Provider Photo"), // on read: 59203; "Provider Photos" in 2024
)

func parts(resource, context, categories string, names ...string) []SubAPI {
	var out []SubAPI
	for _, n := range names {
		out = append(out, SubAPI{Resource: resource, Name: n, Context: context, Categories: words(categories)})
	}
	return out
}
