package lake

import (
	"strings"

	"github.com/andironhq/andiron/r4"
)

func patientView() *view {
	return perResource("patient", "One row per Patient.",
		text("id", "Patient.id", func(p *r4.Patient) string { return p.ID }),
		text("mrn", "Patient.identifier (medical record number).value", mrn),
		boolean("active", "Patient.active", func(p *r4.Patient) r4.Boolean { return p.Active }),
		text("family", "Patient.name.family", func(p *r4.Patient) string { return patientName(p).Family }),
		text("given", "Patient.name.given, joined", func(p *r4.Patient) string { return strings.Join(patientName(p).Given, " ") }),
		text("name", "Patient.name, as one would write it", func(p *r4.Patient) string { return patientName(p).Display() }),
		text("gender", "Patient.gender", func(p *r4.Patient) string { return p.Gender }),
		text("birth_sex", "Patient.extension(us-core-birthsex).value", func(p *r4.Patient) string { return extensionCode(p.Extension, urlBirthSex) }),
		day("birth_date", "Patient.birthDate", func(p *r4.Patient) r4.Date { return p.BirthDate }),
		one("deceased", sqlBoolean, "Patient.deceased[x]: true for any date", deceased),
		moment("deceased_at", "Patient.deceased.ofType(dateTime)", func(p *r4.Patient) string { return dateTime(p.Deceased) }),
		text("phone", "Patient.telecom(phone).value", func(p *r4.Patient) string { return contactPoint(p.Telecom, "phone") }),
		text("email", "Patient.telecom(email).value", func(p *r4.Patient) string { return contactPoint(p.Telecom, "email") }),
		text("address_line", "Patient.address.line, joined", func(p *r4.Patient) string { return strings.Join(patientAddress(p).Line, ", ") }),
		text("address_city", "Patient.address.city", func(p *r4.Patient) string { return patientAddress(p).City }),
		text("address_district", "Patient.address.district (county)", func(p *r4.Patient) string { return patientAddress(p).District }),
		text("address_state", "Patient.address.state", func(p *r4.Patient) string { return patientAddress(p).State }),
		text("address_postal_code", "Patient.address.postalCode", func(p *r4.Patient) string { return patientAddress(p).PostalCode }),
		text("address_country", "Patient.address.country", func(p *r4.Patient) string { return patientAddress(p).Country }),
		text("race", "Patient.extension(us-core-race).extension(text).value", func(p *r4.Patient) string { return usCoreText(p.Extension, urlRace) }),
		texts("race_codes", "Patient.extension(us-core-race).extension(ombCategory).value.code", func(p *r4.Patient) []string { return usCoreCodes(p.Extension, urlRace) }),
		text("ethnicity", "Patient.extension(us-core-ethnicity).extension(text).value", func(p *r4.Patient) string { return usCoreText(p.Extension, urlEthnicity) }),
		texts("ethnicity_codes", "Patient.extension(us-core-ethnicity).extension(ombCategory).value.code", func(p *r4.Patient) []string { return usCoreCodes(p.Extension, urlEthnicity) }),
		label("language", "Patient.communication(preferred, else first).language", language),
		label("marital_status", "Patient.maritalStatus", func(p *r4.Patient) *r4.CodeableConcept { return p.MaritalStatus }),
		link("managing_organization", "Patient.managingOrganization", "Organization", func(p *r4.Patient) *r4.Reference { return p.ManagingOrganization }),
		link("general_practitioner", "Patient.generalPractitioner(first)", "", func(p *r4.Patient) *r4.Reference { return first(p.GeneralPractitioner) }),
		texts("identifiers", "Patient.identifier as system|value", func(p *r4.Patient) []string { return identifiers(p.Identifier) }),
		instant("last_updated", "Patient.meta.lastUpdated", func(p *r4.Patient) string { return lastUpdated(p.Meta) }),
	)
}

const (
	urlBirthSex  = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"
	urlRace      = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
	urlEthnicity = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity"
)

// mrn is the medical record number: the identifier typed MR, or the one whose system is Epic's
// enterprise patient id. Epic types its identifiers with text alone, so there the system decides
// (Epic on FHIR, Patient.Read R4: identifier).
func mrn(p *r4.Patient) string {
	if v := typedIdentifier(p.Identifier, "MR"); v != "" {
		return v
	}
	return epicIdentifier(p.Identifier, ".5.737384.14")
}

// patientName is the name in the records: the official one, else the usual one, else one that is
// not given up. (On a screen the usual one comes first, see [r4.PickName].)
func patientName(p *r4.Patient) *r4.HumanName {
	best, rank := &r4.HumanName{}, 0
	for i := range p.Name {
		n := &p.Name[i]
		r := 2
		switch n.Use {
		case "official":
			r = 4
		case "usual":
			r = 3
		case "old", "maiden":
			r = 1
		}
		if r > rank {
			best, rank = n, r
		}
	}
	return best
}

func patientAddress(p *r4.Patient) *r4.Address {
	best, rank := &r4.Address{}, 0
	for i := range p.Address {
		a := &p.Address[i]
		r := 2
		switch a.Use {
		case "home":
			r = 3
		case "old", "billing":
			r = 1
		}
		if r > rank {
			best, rank = a, r
		}
	}
	return best
}

func deceased(p *r4.Patient) any {
	switch d := p.Deceased.(type) {
	case r4.Boolean:
		return boolOrNull(d)
	case r4.DateTime:
		return true
	}
	return nil
}

func language(p *r4.Patient) *r4.CodeableConcept {
	for i := range p.Communication {
		if p.Communication[i].Preferred == r4.True {
			return p.Communication[i].Language
		}
	}
	if len(p.Communication) > 0 {
		return p.Communication[0].Language
	}
	return nil
}
