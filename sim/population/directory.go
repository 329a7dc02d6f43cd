package population

import (
	"fmt"

	"github.com/andironhq/andiron/r4"
)

// directorySeed makes ids that are the same in every population of one scheme.
var directorySeed = hashString("andiron directory")

// organization, location and practitioner are the entries of the directory; all are made up.
type organization struct {
	key, name, kind, city, zip, street string
	parent                             string
	id                                 string
}

type location struct {
	key, name, kind, org string
	id                   string
	reference            *r4.Reference
	service              *r4.CodeableConcept
}

type practitioner struct {
	key, given, family, sex string
	suffix                  string
	specialty, taxonomy     string // NUCC provider taxonomy
	location                string
	id, display             string
	reference               *r4.Reference
}

var organizations = []organization{
	{key: "health", name: "Hearthstone Health", kind: "prov", street: "100 Andiron Way", city: "Hearthstone", zip: "00001"},
	{key: "hospital", name: "Hearthstone General Hospital", kind: "prov", street: "200 Andiron Way", city: "Hearthstone", zip: "00001", parent: "health"},
	{key: "clinics", name: "Hearthstone Clinics", kind: "prov", street: "7 Ember Street", city: "Cinder Falls", zip: "00002", parent: "health"},
	{key: "lab", name: "Hearthstone Laboratory", kind: "dept", street: "210 Andiron Way", city: "Hearthstone", zip: "00001", parent: "hospital"},
	{key: "commercial", name: "Mantelpiece Mutual (Synthetic Payer)", kind: "pay", street: "1 Mantel Place", city: "Ember Grove", zip: "00003"},
	{key: "medicare", name: "Synthetic Medicare", kind: "pay", street: "2 Mantel Place", city: "Ember Grove", zip: "00003"},
	{key: "medicaid", name: "Synthetic Medicaid", kind: "pay", street: "3 Mantel Place", city: "Ember Grove", zip: "00003"},
}

var locations = []location{
	{key: "family", name: "HC Family Medicine", kind: "Family Medicine", org: "clinics"},
	{key: "internal", name: "HC Internal Medicine", kind: "Internal Medicine", org: "clinics"},
	{key: "pediatrics", name: "HC Pediatrics", kind: "Pediatrics", org: "clinics"},
	{key: "cardiology", name: "HC Cardiology", kind: "Cardiology", org: "clinics"},
	{key: "anticoagulation", name: "HC Anticoagulation Clinic", kind: "Anticoagulation", org: "clinics"},
	{key: "urgent", name: "HC Urgent Care", kind: "Urgent Care", org: "clinics"},
	{key: "dental", name: "HC Dental", kind: "Dental", org: "clinics"},
	{key: "oncology", name: "HC Oncology", kind: "Oncology", org: "clinics"},
	{key: "emergency", name: "HGH Emergency Department", kind: "Emergency Medicine", org: "hospital"},
	{key: "ward", name: "HGH 4 West", kind: "Medical-Surgical", org: "hospital"},
	{key: "surgery", name: "HGH Main Operating Room", kind: "Surgery", org: "hospital"},
	{key: "lab", name: "HGH Core Laboratory", kind: "Laboratory", org: "lab"},
}

var practitioners = []practitioner{
	{key: "pcp1", given: "Marta", family: "Fireside", sex: "female", suffix: "MD", specialty: "Family Medicine", taxonomy: "207Q00000X", location: "family"},
	{key: "pcp2", given: "Tobias", family: "Grate", sex: "male", suffix: "MD", specialty: "Family Medicine", taxonomy: "207Q00000X", location: "family"},
	{key: "pcp3", given: "Noor", family: "Lamplight", sex: "female", suffix: "DO", specialty: "Internal Medicine", taxonomy: "207R00000X", location: "internal"},
	{key: "pcp4", given: "Henrik", family: "Bellows", sex: "male", suffix: "MD", specialty: "Internal Medicine", taxonomy: "207R00000X", location: "internal"},
	{key: "peds1", given: "Saskia", family: "Candlewick", sex: "female", suffix: "MD", specialty: "Pediatrics", taxonomy: "208000000X", location: "pediatrics"},
	{key: "peds2", given: "Jun", family: "Tinder", sex: "male", suffix: "MD", specialty: "Pediatrics", taxonomy: "208000000X", location: "pediatrics"},
	{key: "cardiology", given: "Adaeze", family: "Chimneyford", sex: "female", suffix: "MD", specialty: "Cardiovascular Disease", taxonomy: "207RC0000X", location: "cardiology"},
	{key: "nurse", given: "Pia", family: "Kindling", sex: "female", suffix: "RN", specialty: "Registered Nurse", taxonomy: "163W00000X", location: "family"},
	{key: "np", given: "Rory", family: "Embersley", sex: "male", suffix: "NP", specialty: "Nurse Practitioner, Family", taxonomy: "363LF0000X", location: "urgent"},
	{key: "pharmacist", given: "Ilse", family: "Mantelby", sex: "female", suffix: "PharmD", specialty: "Pharmacist", taxonomy: "183500000X", location: "anticoagulation"},
	{key: "emergency", given: "Bram", family: "Sparkwell", sex: "male", suffix: "MD", specialty: "Emergency Medicine", taxonomy: "207P00000X", location: "emergency"},
	{key: "hospitalist", given: "Odile", family: "Ashcroftson", sex: "female", suffix: "MD", specialty: "Hospitalist", taxonomy: "208M00000X", location: "ward"},
	{key: "surgeon", given: "Viggo", family: "Pokerstone", sex: "male", suffix: "MD", specialty: "Surgery", taxonomy: "208600000X", location: "surgery"},
	{key: "orthopedics", given: "Wanda", family: "Fenderby", sex: "female", suffix: "MD", specialty: "Orthopaedic Surgery", taxonomy: "207X00000X", location: "surgery"},
	{key: "dentist", given: "Cleo", family: "Trivetson", sex: "female", suffix: "DDS", specialty: "Dentist", taxonomy: "122300000X", location: "dental"},
	{key: "oncology", given: "Anselm", family: "Flueworth", sex: "male", suffix: "MD", specialty: "Medical Oncology", taxonomy: "207RX0202X", location: "oncology"},
	{key: "dietitian", given: "Gwen", family: "Hobley", sex: "female", suffix: "RD", specialty: "Dietitian, Registered", taxonomy: "133V00000X", location: "family"},
}

// directory is the reference data of one population.
type directory struct {
	resources     []Resource
	out           writer
	organizations map[string]*r4.Reference
	locations     map[string]*location
	practitioners map[string]*practitioner
	medications   map[string]*r4.Reference
}

func newDirectory(scheme Scheme) *directory {
	d := &directory{
		organizations: map[string]*r4.Reference{},
		locations:     map[string]*location{},
		practitioners: map[string]*practitioner{},
		medications:   map[string]*r4.Reference{},
	}
	for i := range organizations {
		d.organization(i, organizations[i])
	}
	for i := range locations {
		d.location(i, locations[i])
	}
	for i := range practitioners {
		d.practitioner(i, practitioners[i])
	}
	for _, m := range drugs {
		d.medication(scheme, m)
	}
	return d
}

func (d *directory) add(r r4.Resource) { d.resources = append(d.resources, d.out.write("", "", r)) }

func directoryID(form idForm, resourceType, key string) string {
	return makeID(form, mix(directorySeed, hashString(resourceType), hashString(key)))
}

func (d *directory) organization(i int, o organization) {
	o.id = directoryID(shortForm, "Organization", o.key)
	d.organizations[o.key] = reference("Organization", o.id, o.name)
	kind := map[string]string{"prov": "Healthcare Provider", "dept": "Hospital Department", "pay": "Payer"}[o.kind]
	number := integer(9900 + i)
	org := &r4.Organization{
		ID: o.id,
		Identifier: []r4.Identifier{
			{Use: "usual", System: systemNPI, Value: fmt.Sprintf("99998%05d", 1+i)},
			{Use: "usual", System: "urn:ietf:rfc:3986", Value: "urn:oid:" + OIDRoot + ".7.2.688879." + number},
			identifier(systemFacility, "EXTERNAL", number),
			identifier(systemFacility, "INTERNAL", fmt.Sprintf("%10s", number)),
		},
		Active:  r4.True,
		Type:    concepts(concept(kind, coding(terminology+"organization-type", o.kind, kind))),
		Name:    o.name,
		Telecom: []r4.ContactPoint{{System: "phone", Value: fmt.Sprintf("608-555-01%02d", i), Use: "work"}},
		Address: []r4.Address{{Use: "work", Line: []string{o.street}, City: o.city, State: "WI", PostalCode: o.zip, Country: "US"}},
	}
	if o.parent != "" {
		org.PartOf = d.organizations[o.parent]
	}
	d.add(org)
}

func (d *directory) location(i int, l location) {
	l.id = directoryID(shortForm, "Location", l.key)
	l.reference = reference("Location", l.id, l.name)
	l.service = concept(l.kind, ownCode(epicOID("10.698084.18886"), 3, l.kind))
	d.locations[l.key] = &l
	number := integer(990000100 + i)
	d.add(&r4.Location{
		ID: l.id,
		Identifier: []r4.Identifier{
			identifier(systemDepartment, "EXTERNAL", number),
			identifier(systemDepartment, "INTERNAL", fmt.Sprintf("%10s", number)),
		},
		Status:               "active",
		Name:                 l.name,
		Mode:                 "instance",
		Type:                 concepts(concept(l.kind, ownCode(epicOID("10.686980.110"), 3, l.kind))),
		Telecom:              []r4.ContactPoint{{System: "phone", Value: fmt.Sprintf("608-555-01%02d", 20+i), Use: "work"}},
		Address:              &r4.Address{Use: "work", Line: []string{"7 Ember Street"}, City: "Cinder Falls", State: "WI", PostalCode: "00002", Country: "US"},
		ManagingOrganization: d.organizations[l.org],
	})
}

func (d *directory) practitioner(i int, p practitioner) {
	p.id = directoryID(shortForm, "Practitioner", p.key)
	p.display = p.given + " " + p.family + ", " + p.suffix
	p.reference = &r4.Reference{Reference: "Practitioner/" + p.id, Type: "Practitioner", Display: p.display}
	d.practitioners[p.key] = &p
	number := integer(99000 + i)
	d.add(&r4.Practitioner{
		ID: p.id,
		Identifier: []r4.Identifier{
			identifier(systemNPI, "NPI", fmt.Sprintf("99999%05d", 1+i)),
			identifier(systemProvider, "INTERNAL", fmt.Sprintf("%10s", "E"+number)),
			identifier(systemProvider, "EXTERNAL", "E"+number),
			identifier(epicOID("5.737384.6"), "PROVID", number),
			identifier(epicStructure+"practitioner-dstu2-fhir-id", "FHIR", makeID(idForm{'T', 'B', lengthOfMiddleID}, hashString(p.id))),
			identifier(epicStructure+"practitioner-fhir-id", "FHIR STU3", p.id),
		},
		Active: r4.True,
		Name: []r4.HumanName{{
			Use: "usual", Text: p.display, Family: p.family, Given: []string{p.given}, Suffix: []string{p.suffix},
		}},
		Gender: p.sex,
	})
	place := d.locations[p.location]
	specialty := coding("http://nucc.org/provider-taxonomy", p.taxonomy, p.specialty)
	d.add(&r4.PractitionerRole{
		ID:           directoryID(shortForm, "PractitionerRole", p.key),
		Identifier:   []r4.Identifier{identifier(epicOID("3.697780.4000"), "", integer(7000+i))},
		Active:       r4.True,
		Practitioner: p.reference,
		Organization: d.organizationOf(place),
		Code:         concepts(concept(p.specialty, specialty)),
		Specialty:    concepts(concept(p.specialty, ownCode(epicOID("10.836982.1050"), 3, p.specialty), specialty)),
		Location:     []r4.Reference{*place.reference},
		Telecom:      []r4.ContactPoint{{System: "phone", Value: fmt.Sprintf("608-555-01%02d", 40+i), Use: "work"}},
	})
}

func (d *directory) organizationOf(l *location) *r4.Reference { return d.organizations[l.org] }

func (d *directory) medication(scheme Scheme, m *drug) {
	id := directoryID(formOf(scheme, "Medication"), "Medication", m.key)
	d.medications[m.key] = reference("Medication", id, m.order)
	form := doseForms[m.form]
	med := &r4.Medication{
		ID:         id,
		Identifier: []r4.Identifier{identifier(systemMedication, "EXTERNAL", m.concept.Coding[0].Code)},
		Code:       m.concept,
		Form:       concept(form.text, ownCode(epicOID("4.698288.50"), 3, form.text)),
	}
	for _, in := range m.ingredients {
		med.Ingredient = append(med.Ingredient, r4.MedicationIngredient{
			Item: concept(in.name, coding(systemRxNorm, in.rxcui, in.name)),
		})
	}
	d.add(med)
}
