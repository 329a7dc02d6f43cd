package population

import (
	"fmt"
	"strings"
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/r4"
)

// person is who a chart is about.
type person struct {
	id, mrn, login        string
	given, middle, family string
	sex                   string // female or male
	birth                 time.Time
	died                  time.Time
	race, ethnicity       int // index into races, ethnicities
	married               bool
	pcp                   string // key of a practitioner
	spanish               bool
	town                  int
	street                string
	display               string // "Last, First M", as Epic displays a patient
}

func (p *person) finish() {
	p.display = p.family + ", " + p.given
	if p.middle != "" {
		p.display += " " + p.middle[:1]
	}
}

var (
	sexCodes = map[string]struct{ text, legal, snomed, loinc, pronoun string }{
		"female": {"Female", "female", "248152002", "LA29519-8", "she/her/her/hers/herself"},
		"male":   {"Male", "male", "248153007", "LA29518-0", "he/him/his/his/himself"},
	}
	raceSystem = "urn:oid:2.16.840.1.113883.6.238"
)

// patient writes the Patient resource; everything else refers to it, so it comes first.
func (c *chart) patient(who person) {
	who.finish()
	c.who = who
	c.subject = reference("Patient", who.id, who.display)
	sex := sexCodes[who.sex]
	sexConcept := concept(sex.text, coding(systemSexClinical, sex.legal, sex.text))

	p := &r4.Patient{
		ID: who.id,
		Extension: []r4.Extension{
			{URL: epic.ExtensionLegalSex, Value: sexConcept},
			{URL: epic.ExtensionSexForClinical, Value: sexConcept},
			raceExtension(who.race),
			ethnicityExtension(who.ethnicity),
			{URL: usCore + "us-core-sex", Value: r4.Code(sex.snomed)},
			{URL: epic.ExtensionPronouns, Value: concept("", coding(systemLOINC, sex.loinc, sex.pronoun))},
		},
		Identifier: c.identifiers(),
		Active:     r4.True,
		Name: []r4.HumanName{
			{Use: "official", Text: fullName(who), Family: who.family, Given: given(who)},
			{Use: "usual", Text: fullName(who), Family: who.family, Given: given(who)},
		},
		Telecom:              c.telecom(),
		Gender:               who.sex,
		BirthDate:            r4.Date(date(who.birth)),
		Deceased:             r4.False,
		Address:              []r4.Address{c.address()},
		ManagingOrganization: c.directory.organizations["health"],
		Communication: []r4.PatientCommunication{{
			Language:  concept("English", coding("urn:ietf:bcp:47", "en", "English")),
			Preferred: r4.True,
		}},
	}
	if c.population.config.GuideExtensions {
		p.Extension = append(p.Extension, r4.Extension{URL: epic.ExtensionMergeUnmerge, Value: r4.String("Active")})
	}
	if !who.died.IsZero() {
		p.Deceased = r4.DateTime(instant(who.died))
	}
	if who.spanish {
		p.Communication[0].Language = concept("Spanish", coding("urn:ietf:bcp:47", "es", "Spanish"))
	}
	switch {
	case c.age(c.now) < 18:
	case who.married:
		p.MaritalStatus = concept("Married", coding(terminology+"v3-MaritalStatus", "M", "Married"))
	default:
		p.MaritalStatus = concept("Single", coding(terminology+"v3-MaritalStatus", "S", "Never Married"))
	}
	if who.pcp != "" {
		p.GeneralPractitioner = []r4.Reference{*c.practitioner(who.pcp).reference}
	}
	c.add("", p)
}

func fullName(p person) string { return strings.Join(append(given(p), p.family), " ") }

func given(p person) []string {
	if p.middle == "" {
		return []string{p.given}
	}
	return []string{p.given, p.middle}
}

func raceExtension(i int) r4.Extension {
	race := races[i]
	system := raceSystem
	if race.code == "UNK" {
		system = terminology + "v3-NullFlavor"
	}
	code := coding(system, race.code, race.text)
	return r4.Extension{URL: usCore + "us-core-race", Extension: []r4.Extension{
		{URL: "ombCategory", Value: &code},
		{URL: "text", Value: r4.String(race.text)},
	}}
}

func ethnicityExtension(i int) r4.Extension {
	ethnicity := ethnicities[i]
	ext := r4.Extension{URL: usCore + "us-core-ethnicity"}
	if ethnicity.code != "" {
		code := coding(raceSystem, ethnicity.code, ethnicity.text)
		ext.Extension = append(ext.Extension, r4.Extension{URL: "ombCategory", Value: &code})
	}
	ext.Extension = append(ext.Extension, r4.Extension{URL: "text", Value: r4.String(ethnicity.text)})
	return ext
}

// identifiers are Epic's, by type text, without a coded type. INTERNAL has the system of
// EXTERNAL and its value is padded with spaces to ten characters. The social security number is
// shown by its last four digits and nothing more.
func (c *chart) identifiers() []r4.Identifier {
	who := c.who
	external := "Z" + who.mrn
	ids := []r4.Identifier{
		identifier(systemCEID, "CEID", fmt.Sprintf("SIM%012d", hashString(who.id)%1e12)),
		identifier(systemEPIC, "EPIC", "E"+who.mrn),
		{
			Use: "usual", Value: external, System: systemExternal,
			Type: &r4.CodeableConcept{
				Coding: []r4.Coding{coding("http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBIdentifierType", "um", "Unique Member ID")},
				Text:   "EXTERNAL",
			},
		},
		identifier(epic.SystemDSTU2ID, "FHIR", makeID(idForm{'T', 'B', lengthOfMiddleID}, hashString(who.id))),
		identifier(epic.SystemFHIRID, "FHIR STU3", who.id),
		identifier(systemExternal, "INTERNAL", fmt.Sprintf("%10s", external)),
		identifier(MRNSystem, "EPI", who.mrn),
	}
	if who.login != "" {
		ids = append(ids, identifier(systemMyChart, "MYCHARTLOGIN", strings.ToUpper(who.login)))
	}
	ids = append(ids, identifier(systemWPR, "WPRINTERNAL", who.mrn[2:]))
	return append(ids, maskedSSN(fmt.Sprintf("xxx-xx-%04d", hashString(who.mrn)%10000)))
}

func (c *chart) telecom() []r4.ContactPoint {
	h := hashString(c.who.id)
	phone := func(n uint64) string { return fmt.Sprintf("608-555-01%02d", n%100) }
	mail := strings.ToLower(c.who.given + "." + c.who.family + c.who.mrn[len(c.who.mrn)-4:] + "@example.org")
	return []r4.ContactPoint{
		{System: "phone", Value: phone(h), Use: "home"},
		{System: "phone", Value: phone(h / 100), Use: "mobile", Rank: "1"},
		{System: "email", Value: mail, Rank: "1"},
	}
}

func (c *chart) address() r4.Address {
	town := towns[c.who.town]
	return r4.Address{
		Use:        "home",
		Text:       c.who.street + "\r\n" + town.city + " WI " + town.zip,
		Line:       []string{c.who.street},
		City:       town.city,
		District:   town.county,
		State:      "WI",
		PostalCode: town.zip,
		Country:    "US",
		Period:     &r4.Period{Start: r4.DateTime(date(c.who.birth))},
	}
}

// maskedSSN has no value, only what may be shown of it.
func maskedSSN(shown string) r4.Identifier {
	id := r4.Identifier{Use: "usual", System: systemSSN}
	rendered := r4.Extension{URL: "http://hl7.org/fhir/StructureDefinition/rendered-value", Value: r4.String(shown)}
	if err := id.Extra.SetElement("value", &r4.Element{Extension: []r4.Extension{rendered}}); err != nil {
		panic("population: " + err.Error())
	}
	return id
}
