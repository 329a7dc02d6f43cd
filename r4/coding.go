package r4

import "strings"

// systems maps OIDs to the URL by which FHIR knows the same code or identifier system (FHIR R4, "Code Systems" and
// "Identifier Systems" of the terminology section; OIDs of HL7's own systems from their definitions).
var systems = map[string]string{
	"2.16.840.1.113883.6.96":   "http://snomed.info/sct",
	"2.16.840.1.113883.6.1":    "http://loinc.org",
	"2.16.840.1.113883.6.88":   "http://www.nlm.nih.gov/research/umls/rxnorm",
	"2.16.840.1.113883.6.8":    "http://unitsofmeasure.org",
	"2.16.840.1.113883.6.3":    "http://hl7.org/fhir/sid/icd-10",
	"2.16.840.1.113883.6.90":   "http://hl7.org/fhir/sid/icd-10-cm",
	"2.16.840.1.113883.6.4":    "http://www.cms.gov/Medicare/Coding/ICD10",
	"2.16.840.1.113883.6.103":  "http://hl7.org/fhir/sid/icd-9-cm",
	"2.16.840.1.113883.6.104":  "http://hl7.org/fhir/sid/icd-9-cm",
	"2.16.840.1.113883.6.12":   "http://www.ama-assn.org/go/cpt",
	"2.16.840.1.113883.6.69":   "http://hl7.org/fhir/sid/ndc",
	"2.16.840.1.113883.12.292": "http://hl7.org/fhir/sid/cvx",
	"2.16.840.1.113883.12.227": "http://hl7.org/fhir/sid/mvx",
	"2.16.840.1.113883.4.9":    "http://fdasis.nlm.nih.gov",
	"2.16.840.1.113883.6.101":  "http://nucc.org/provider-taxonomy",
	"2.16.840.1.113883.4.1":    "http://hl7.org/fhir/sid/us-ssn",
	"2.16.840.1.113883.4.6":    "http://hl7.org/fhir/sid/us-npi",
	"2.16.840.1.113883.5.1":    "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender",
	"2.16.840.1.113883.5.2":    "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus",
	"2.16.840.1.113883.5.4":    "http://terminology.hl7.org/CodeSystem/v3-ActCode",
	"2.16.840.1.113883.5.8":    "http://terminology.hl7.org/CodeSystem/v3-ActReason",
	"2.16.840.1.113883.5.25":   "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
	"2.16.840.1.113883.5.83":   "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
	"2.16.840.1.113883.5.90":   "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
	"2.16.840.1.113883.5.111":  "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
	"2.16.840.1.113883.5.112":  "http://terminology.hl7.org/CodeSystem/v3-RouteOfAdministration",
	"2.16.840.1.113883.5.1008": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
	"2.16.840.1.113883.18.29":  "http://terminology.hl7.org/CodeSystem/v2-0074",
	"2.16.840.1.113883.18.58":  "http://terminology.hl7.org/CodeSystem/v2-0131",
	"2.16.840.1.113883.18.108": "http://terminology.hl7.org/CodeSystem/v2-0203",
}

// CanonicalSystem returns the one form of a system that has several: the URL for a known OID, with or
// without urn:oid:; urn:oid:… for an unknown bare OID; R4's URL for HL7's v2 and v3 tables by their older URLs;
// no slash at the end of a known URL. Everything else comes back unchanged.
func CanonicalSystem(system string) string {
	oid, isURN := strings.CutPrefix(system, "urn:oid:")
	if url, ok := systems[oid]; ok {
		return url
	}
	if !isURN && isOID(system) {
		return "urn:oid:" + system
	}
	for _, table := range []string{"v2", "v3"} { // STU3's URLs
		if name, ok := strings.CutPrefix(system, "http://hl7.org/fhir/"+table+"/"); ok && !strings.Contains(name, "/") {
			return "http://terminology.hl7.org/CodeSystem/" + table + "-" + name
		}
	}
	if url, ok := strings.CutSuffix(system, "/"); ok {
		for _, known := range systems {
			if url == known {
				return url
			}
		}
	}
	return system
}

// isOID reports whether s is numbers and dots as an OID has them.
func isOID(s string) bool {
	return strings.Count(s, ".") >= 2 && strings.Trim(s, "0123456789.") == "" &&
		s[0] != '.' && s[len(s)-1] != '.' && !strings.Contains(s, "..")
}

// SameSystem reports whether two systems are one under different names, as urn:oid:2.16.840.1.113883.6.1 and http://loinc.org are.
func SameSystem(a, b string) bool { return a == b || CanonicalSystem(a) == CanonicalSystem(b) }

// Is reports whether the coding is that code of that system, whichever of its names the system goes by. A nil coding is none.
func (x *Coding) Is(system, code string) bool {
	return x != nil && x.Code == code && SameSystem(x.System, system)
}

// CodingIn returns the first coding of a system, whichever of its names it goes by; nil if there is none.
func (x *CodeableConcept) CodingIn(system string) *Coding {
	if x != nil {
		for i := range x.Coding {
			if SameSystem(x.Coding[i].System, system) {
				return &x.Coding[i]
			}
		}
	}
	return nil
}

// CodeIn returns the first code of a system, empty if there is none.
func (x *CodeableConcept) CodeIn(system string) string {
	if c := x.CodingIn(system); c != nil {
		return c.Code
	}
	return ""
}

// Has reports whether one of the codings is that code of that system.
func (x *CodeableConcept) Has(system, code string) bool {
	if x != nil {
		for i := range x.Coding {
			if x.Coding[i].Is(system, code) {
				return true
			}
		}
	}
	return false
}

// Label returns what to call the concept: its text, else the display of the coding that the user chose or
// of the first that has one, else the first code. Empty for nil.
func (x *CodeableConcept) Label() string {
	if x == nil {
		return ""
	}
	if x.Text != "" {
		return x.Text
	}
	display, code := "", ""
	for i := range x.Coding {
		c := &x.Coding[i]
		if c.Display != "" && c.UserSelected == True {
			return c.Display
		}
		if display == "" {
			display = c.Display
		}
		if code == "" {
			code = c.Code
		}
	}
	if display != "" {
		return display
	}
	return code
}
