package population

import (
	"strconv"
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/r4"
)

// OIDRoot is the root under which the simulated customer's own Epic code systems and identifier
// systems stand: customer 99999, environment 3 (non-production). Epic numbers its customers in
// this place; 99999 is nobody's.
const OIDRoot = "1.2.840.114350.1.13.99999.3"

// MRNSystem is the system of the medical record number (Epic's EPI id type) in Patient.identifier.
// Find the number by this system: its type text is "EPI", not "MRN".
const MRNSystem = "urn:oid:" + OIDRoot + ".7." + epic.LeafMRN

// Systems that several resources share.
const (
	systemLOINC   = "http://loinc.org"
	systemSNOMED  = "http://snomed.info/sct"
	systemICD10   = "http://hl7.org/fhir/sid/icd-10-cm"
	systemRxNorm  = "http://www.nlm.nih.gov/research/umls/rxnorm"
	systemCVX     = "http://hl7.org/fhir/sid/cvx"
	systemUCUM    = "http://unitsofmeasure.org"
	systemNPI     = "http://hl7.org/fhir/sid/us-npi"
	systemSSN     = "urn:oid:2.16.840.1.113883.4.1"
	terminology   = "http://terminology.hl7.org/CodeSystem/"
	epicStructure = epic.ExtensionPrefix
	usCore        = "http://hl7.org/fhir/us/core/StructureDefinition/"

	// systemVitalsFi is the OID that Epic puts beside LOINC on vital signs, with the same code
	// and without a display.
	systemVitalsFi = "urn:oid:1.2.246.537.6.96"
)

// Systems of the simulated customer. The numbers after .7. are Epic's: 2 a master file's records,
// 3 its items, 5 an ID type, 10 a value set.
var (
	systemEPIC         = epicOID(epic.LeafEPIC)
	systemExternal     = epicOID(epic.LeafExternal)
	systemCEID         = epicOID(epic.LeafCEID)
	systemMyChart      = epicOID(epic.LeafMyChartLogin)
	systemWPR          = epicOID("2.878082")
	systemCSN          = epicOID(epic.LeafCSN)
	systemAccount      = epicOID(epic.LeafAccount)
	systemEncType      = epicOID(epic.LeafEncounterType)
	systemVisitType    = epicOID("3.808267.11")
	systemSexClinical  = epicOID("10.698084.130.657370.19999000")
	systemOrder        = epicOID(epic.LeafOrder)
	systemOrderClass   = epicOID(epic.LeafOrderType)
	systemProcedure    = epicOID(epic.LeafProcedure)
	systemComponent    = epicOID(epic.LeafComponent)
	systemFlowsheet    = epicOID(epic.LeafFlowsheetRow)
	systemTemplate     = epicOID(epic.LeafFlowsheetTemplate)
	systemSmartData    = epicOID("2.727688")
	systemDiagnosis    = epicOID("2.696871")
	systemAllergen     = epicOID("2.726556")
	systemMedication   = epicOID("2.698288")
	systemImmunization = epicOID(epic.LeafImmunization)
	systemDoseUnit     = epicOID("4.698288.310")
	systemNote         = epicOID(epic.LeafNote)
	systemNoteType     = epicOID(epic.LeafNoteType)
	systemScanned      = epicOID(epic.LeafScan)
	systemProvider     = epicOID("2.697780")
	systemDepartment   = epicOID("2.686980")
	systemFacility     = epicOID(epic.LeafCEID)
	systemEpisodeType  = epicOID("10.726668.30")
)

func epicOID(leaf string) string { return "urn:oid:" + OIDRoot + ".7." + leaf }

func coding(system, code, display string) r4.Coding {
	return r4.Coding{System: system, Code: code, Display: display}
}

// ownCode is a code of the customer's own: a number of that many digits which follows from the
// text, so that a new entry in a table does not renumber the others.
func ownCode(system string, digits int, text string) r4.Coding {
	return coding(system, number(digits, hashString(system+text)), text)
}

// concept builds a CodeableConcept. Concepts that many resources share are built once and
// never changed afterwards.
func concept(text string, codings ...r4.Coding) *r4.CodeableConcept {
	return &r4.CodeableConcept{Coding: codings, Text: text}
}

func concepts(list ...*r4.CodeableConcept) []r4.CodeableConcept {
	out := make([]r4.CodeableConcept, len(list))
	for i, c := range list {
		out[i] = *c
	}
	return out
}

func identifier(system, kind, value string) r4.Identifier {
	id := r4.Identifier{Use: "usual", System: system, Value: value}
	if kind != "" {
		id.Type = &r4.CodeableConcept{Text: kind}
	}
	return id
}

func reference(resourceType, id, display string) *r4.Reference {
	return &r4.Reference{Reference: resourceType + "/" + id, Display: display}
}

// quantity has a full UCUM unit.
func quantity(value r4.Decimal, unit, code string) *r4.Quantity {
	return &r4.Quantity{Value: value, Unit: unit, System: systemUCUM, Code: code}
}

// decimal writes a value with exactly that many decimals: 7 with one decimal is "7.0". Epic sends
// literal decimals, and so readers must keep them.
func decimal(v float64, decimals int) r4.Decimal {
	return r4.Decimal(strconv.FormatFloat(v, 'f', decimals, 64))
}

func integer(n int) string { return strconv.Itoa(n) }

// instant and date are how Epic writes time: UTC with Z, and whole days for orders and onsets.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
func date(t time.Time) string    { return t.UTC().Format("2006-01-02") }

func years(from, to time.Time) float64 { return to.Sub(from).Hours() / (24 * 365.25) }

func addDays(t time.Time, days int) time.Time { return t.AddDate(0, 0, days) }

// shortest writes a number with as many decimals as it needs.
func shortest(v float64) r4.Decimal { return r4.Decimal(strconv.FormatFloat(v, 'f', -1, 64)) }
