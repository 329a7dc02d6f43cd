package epic

import "strings"

// Extensions that Epic defines (captures, high unless marked).
const (
	ExtensionLegalSex        = extension + "legal-sex"
	ExtensionSexForClinical  = extension + "sex-for-clinical-use"
	ExtensionPronouns        = extension + "calculated-pronouns-to-use-for-text"
	ExtensionTemplateID      = extension + "template-id"
	ExtensionNoteAuthInstant = extension + "clinical-note-authentication-instant"
	ExtensionNoteAuthorType  = extension + "clinical-note-author-provider-type"
	ExtensionNoteService     = extension + "clinical-note-service"
	ExtensionSpecialty       = extension + "specialty"
	ExtensionObservationTime = extension + "observation-datetime"
	ExtensionAccidentRelated = extension + "accidentrelated" // medium
	ExtensionEpicID          = extension + "epic-id"         // medium
	ExtensionDepartmentID    = extension + "department-id"   // medium
	ExtensionFahrenheit      = "http://open.epic.com/FHIR/STU3/StructureDefinition/temperature-in-fahrenheit"
	ExtensionAdminAmount     = "https://open.epic.com/fhir/extensions/admin-amount" // 2020 samples
	ExtensionOrderedDose     = "https://open.epic.com/fhir/extensions/ordered-dose" // 2020 samples
	ExtensionPrefix          = structure                                            // all but the last two begin so
	ExtensionMergeUnmerge    = extension + "patient-merge-unmerge-status"           // third-party guides only: found nowhere
	extension                = structure + "extension/"
	structure                = "http://open.epic.com/FHIR/StructureDefinition/"
)

// Code and identifier systems that Epic defines (captures, high).
const (
	SystemFlowsheetID       = structure + "observation-flowsheet-id"
	SystemConditionCategory = structure + "condition-category"
	SystemDocumentCategory  = structure + "documentreference-category" // one of three spellings
	SystemDocumentCategory2 = structure + "document-reference-category"
	SystemDocumentClass     = structure + "document-reference-class"
	SystemDocumentID        = structure + "document-identifier"
	SystemDSTU2ID           = structure + "patient-dstu2-fhir-id"
	SystemFHIRID            = structure + "patient-fhir-id"                       // value: the R4 id
	SystemEncounterClass    = "urn:oid:1.2.840.114350.1.72.1.7.7.10.696784.13260" // Epic-wide
	SystemDoseRateType      = "http://epic.com/CodeSystem/dose-rate-type"
	SystemBeakerAccession   = "https://open.epic.com/FHIR/0/order-accession-number/Beaker"
)

// Leaves are the ends of Epic's OIDs, which are the same at every customer: compare with
// [HasLeaf], build with [SandboxOID] ("OAuth 2.0 Specification", ID Types; captures, high; the
// first number, the kind of record, medium for those from LeafCSN down).
const (
	LeafCode              = "2.657369"      // the numbers of the error table
	LeafMRN               = "5.737384.14"   // EPI: the medical record number
	LeafEPIC              = "5.737384.0"    // like E4007
	LeafExternal          = "2.698084"      // EXTERNAL and, left-padded with spaces, INTERNAL: like Z6129
	LeafMyChartLogin      = "3.878082.110"  // upper case
	LeafCEID              = "3.688884.100"  // Care Everywhere id; also facilities
	LeafCSN               = "3.698084.8"    // contact serial number of an encounter
	LeafEncounterType     = "10.698084.30"  // value set
	LeafOrder             = "2.798268"      // order
	LeafOrderType         = "10.798268.30"  // value set; "Lab" is the second category of laboratory results
	LeafProcedure         = "2.696580"      // procedure record (EAP)
	LeafComponent         = "2.768282"      // laboratory component
	LeafFlowsheetRow      = "2.707679"      // flowsheet row
	LeafFlowsheetTemplate = "2.707684"      // flowsheet template
	LeafNote              = "2.727879"      // clinical note
	LeafNoteType          = "4.737880.5010" // note type
	LeafScan              = "2.686783"      // scanned document
	LeafAccount           = "2.726582"      // hospital account
	LeafImmunization      = "2.768076"      // immunization record
)

// OIDs and URLs of the same code system are both found: up to November 2022 Epic sent OIDs
// (medium).
const (
	OIDSNOMED = "urn:oid:2.16.840.1.113883.6.96"
	OIDICD10  = "urn:oid:2.16.840.1.113883.6.90"
	OIDNDC    = "urn:oid:2.16.840.1.113883.6.69"
	OIDRxNorm = "urn:oid:2.16.840.1.113883.6.88"
)

const oidPrefix = "urn:oid:1.2.840.114350.1.13."

// Environment is the part of an Epic OID that tells real from test.
type Environment string

// The environments of "OAuth 2.0 Specification", ID Types (high).
const (
	EnvironmentEpic          Environment = "1" // Epic's own, such as the sandbox
	EnvironmentProduction    Environment = "2"
	EnvironmentNonProduction Environment = "3"
)

// OID is an Epic OID taken apart: 1.2.840.114350.1.13.{Customer}.{Environment}.7.{Leaf}.
type OID struct {
	// Customer is the number of the organisation; "0" is Epic.
	Customer string
	// Environment tells whether the record is real.
	Environment Environment
	// Leaf is what it identifies, such as [LeafMRN].
	Leaf string
}

// ParseOID takes a system "urn:oid:1.2.840.114350.1.13.…" apart. Systems below
// 1.2.840.114350.1.72 (Epic-wide) and foreign ones give false.
func ParseOID(system string) (OID, bool) {
	rest, ok := strings.CutPrefix(system, oidPrefix)
	if !ok {
		return OID{}, false
	}
	p := strings.SplitN(rest, ".", 4)
	if len(p) < 4 || p[0] == "" || p[1] == "" || p[2] != "7" || p[3] == "" {
		return OID{}, false
	}
	return OID{Customer: p[0], Environment: Environment(p[1]), Leaf: p[3]}, true
}

// HasLeaf reports whether a system is the Epic OID with that end, at any customer. The leaf may
// be given without the kind of record: "737384.14".
func HasLeaf(system, leaf string) bool {
	o, ok := ParseOID(system)
	return ok && (o.Leaf == leaf || strings.HasSuffix(o.Leaf, "."+leaf))
}

// SandboxOID is the system that a leaf has in Epic's sandbox.
func SandboxOID(leaf string) string { return oidPrefix + "0.1.7." + leaf }
