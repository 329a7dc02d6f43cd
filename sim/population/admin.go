package population

import (
	"fmt"
	"time"

	"github.com/andironhq/andiron/r4"
)

var (
	appointmentCategory = concepts(concept("Appointment", coding(epicStructure+"appointment-service-category", "appointment", "Appointment")))
	relationshipSelf    = concept("Self", coding(terminology+"subscriber-relationship", "self", "Self"))
)

// appoint books a visit (status booked, after today), or records that one was kept or not
// (fulfilled, cancelled, noshow).
func (c *chart) appoint(kind, practitionerKey string, start time.Time, status, reason string) {
	k := visitKinds[kind]
	p := c.practitioner(practitionerKey)
	place := c.directory.locations[p.location]
	period := &r4.Period{Start: r4.DateTime(instant(start)), End: r4.DateTime(instant(start.Add(time.Duration(k.minutes) * time.Minute)))}
	answer := "accepted"
	if status == "cancelled" {
		answer = "declined"
	}
	a := &r4.Appointment{
		ID:              c.id("Appointment"),
		Identifier:      []r4.Identifier{{Use: "usual", System: systemCSN, Value: "3" + c.number("csn", 8)}},
		Status:          status,
		ServiceCategory: appointmentCategory,
		ServiceType:     concepts(concept(k.display, coding(systemVisitType, k.visitType, k.display))),
		Start:           r4.Instant(instant(start)),
		End:             r4.Instant(instant(start.Add(time.Duration(k.minutes) * time.Minute))),
		MinutesDuration: r4.Integer(integer(k.minutes)),
		Created:         r4.DateTime(instant(c.within(start.AddDate(0, 0, -40)))),
		Participant: []r4.AppointmentParticipant{
			{Actor: c.subject, Required: "required", Status: answer, Period: period},
			{Actor: p.reference, Required: "required", Status: "accepted", Period: period},
			{Actor: place.reference, Required: "required", Status: "accepted", Period: period},
		},
	}
	if reason != "" {
		a.ReasonCode = concepts(&r4.CodeableConcept{Text: reason})
	}
	if status == "cancelled" {
		a.CancelationReason = concept("Patient", coding(terminology+"appointment-cancellation-reason", "pat", "Patient"))
	}
	c.add("", a)
}

// insure records the patient's coverage: Medicare at 65, else by the chart's dice.
func (c *chart) insure() {
	payer, kind := "commercial", "Commercial"
	switch age := c.age(c.now); {
	case age >= 65:
		payer, kind = "medicare", "Medicare"
	case c.chance(0.25):
		payer, kind = "medicaid", "Medicaid"
	}
	year := c.now.Year()
	if !c.who.died.IsZero() {
		year = c.who.died.Year()
	}
	member := "SIM" + c.number("member", 9)
	c.add("", &r4.Coverage{
		ID:           c.id("Coverage"),
		Identifier:   []r4.Identifier{{Use: "usual", System: epicOID("2.726582.1"), Value: member, Type: concept("Member Number", coding(terminology+"v2-0203", "MB", "Member Number"))}},
		Status:       "active",
		Type:         &r4.CodeableConcept{Text: kind},
		Subscriber:   c.subject,
		SubscriberID: member,
		Beneficiary:  c.subject,
		Relationship: relationshipSelf,
		Period:       &r4.Period{Start: r4.DateTime(date(c.within(time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC))))},
		Payor:        []r4.Reference{*c.directory.organizations[payer]},
	})
}

// relative is a family member's illness.
func (c *chart) relative(role, roleText string, keys ...string) {
	f := &r4.FamilyMemberHistory{
		ID:           c.id("FamilyMemberHistory"),
		Status:       "completed",
		Patient:      c.subject,
		Date:         r4.DateTime(date(c.within(c.now.AddDate(-1, 0, 0)))),
		Relationship: concept(roleText, coding(terminology+"v3-RoleCode", role, roleText)),
	}
	for _, key := range keys {
		f.Condition = append(f.Condition, r4.FamilyMemberHistoryCondition{Code: conditionByKey[key].code})
	}
	c.add("", f)
}

// related is somebody close: a parent of a child, a daughter or son of an old person.
func (c *chart) related(role, roleText, givenName, sex string) {
	c.add("", &r4.RelatedPerson{
		ID:           c.id("RelatedPerson"),
		Identifier:   []r4.Identifier{{Use: "usual", System: epicOID("2.827665"), Value: c.number("related", 7)}},
		Active:       r4.True,
		Patient:      c.subject,
		Relationship: concepts(concept(roleText, coding(terminology+"v3-RoleCode", role, roleText))),
		Name:         []r4.HumanName{{Use: "usual", Text: givenName + " " + c.who.family, Family: c.who.family, Given: []string{givenName}}},
		Telecom:      []r4.ContactPoint{{System: "phone", Value: fmt.Sprintf("608-555-01%02d", hashString(c.who.id+role)%100), Use: "mobile"}},
		Gender:       sex,
		Address:      []r4.Address{c.address()},
	})
}

// episode spans the care of one problem.
func (c *chart) episode(kind string, start time.Time, careManager string, p *problem) {
	e := &r4.EpisodeOfCare{
		ID:                   c.id("EpisodeOfCare"),
		Identifier:           []r4.Identifier{{Use: "usual", System: epicOID("2.726668"), Value: c.number("episode", 7)}},
		Status:               "active",
		Type:                 concepts(concept(kind, ownCode(systemEpisodeType, 3, kind))),
		Patient:              c.subject,
		ManagingOrganization: c.directory.organizations["clinics"],
		Period:               &r4.Period{Start: r4.DateTime(date(start))},
		CareManager:          c.practitioner(careManager).reference,
	}
	if p != nil {
		e.Diagnosis = []r4.EpisodeOfCareDiagnosis{{Condition: reference("Condition", p.id, p.of.text)}}
	}
	c.add("", e)
}

// implant records a device in the body. Its carrier string is made of zeros: no such product.
func (c *chart) implant(kind, snomed, display string, t time.Time) {
	serial := "SIM" + c.number("device", 8)
	c.add("", &r4.Device{
		ID:         c.id("Device"),
		Identifier: []r4.Identifier{{Use: "usual", System: epicOID("2.698448"), Value: c.number("device", 6)}},
		UdiCarrier: []r4.DeviceUdiCarrier{{
			DeviceIdentifier: "00000000000000",
			Issuer:           "http://hl7.org/fhir/NamingSystem/gs1-di",
			CarrierHRF:       "(01)00000000000000(21)" + serial,
		}},
		Status:             "active",
		DistinctIdentifier: serial,
		Manufacturer:       "Synthetic Devices",
		ManufactureDate:    r4.DateTime(date(t.AddDate(0, -8, 0))),
		SerialNumber:       serial,
		DeviceName:         []r4.DeviceDeviceName{{Name: kind, Type: "user-friendly-name"}},
		ModelNumber:        "SIM-1",
		Type:               concept(kind, coding(systemSNOMED, snomed, display)),
		Patient:            c.subject,
	})
}

// procedureKind is something done to the patient.
type procedureKind struct {
	name, epic        string
	category          *r4.CodeableConcept
	snomed, snomedTxt string
}

var (
	procedureDiagnostic = concept("Diagnostic Procedure", coding(systemSNOMED, "103693007", "Diagnostic procedure"))
	procedureSurgical   = concept("Surgical Procedure", coding(systemSNOMED, "387713003", "Surgical procedure"))
	procedureKinds      = map[string]procedureKind{
		"echo":           {"TRANSTHORACIC ECHO (TTE) COMPLETE", "51301", procedureDiagnostic, "", ""},
		"ecg":            {"ECG 12-LEAD", "51302", procedureDiagnostic, "", ""},
		"chest-x-ray":    {"XR CHEST 2 VIEWS", "51303", procedureDiagnostic, "", ""},
		"mammogram":      {"MAMMO SCREENING BILATERAL", "51304", procedureDiagnostic, "", ""},
		"eye-exam":       {"RETINAL EYE EXAM", "51305", procedureDiagnostic, "", ""},
		"spirometry":     {"SPIROMETRY", "51306", procedureDiagnostic, "", ""},
		"colonoscopy":    {"COLONOSCOPY", "51401", procedureDiagnostic, "73761001", "Colonoscopy"},
		"appendectomy":   {"LAPAROSCOPIC APPENDECTOMY", "51402", procedureSurgical, "80146002", "Appendectomy"},
		"gallbladder":    {"LAPAROSCOPIC CHOLECYSTECTOMY", "51403", procedureSurgical, "45595009", "Laparoscopic cholecystectomy"},
		"knee":           {"TOTAL KNEE ARTHROPLASTY", "51404", procedureSurgical, "609588000", "Total knee replacement"},
		"pacemaker":      {"PACEMAKER INSERTION", "51405", procedureSurgical, "307280005", "Implantation of cardiac pacemaker"},
		"tympanostomy":   {"TYMPANOSTOMY TUBE PLACEMENT", "51406", procedureSurgical, "", ""},
		"social-support": {"FOOD PANTRY ASSISTANCE", "51501", concept("Social service procedure", coding(systemSNOMED, "410606002", "Social service procedure")), "467771000124109", "Assistance with application for food pantry program"},
	}
)

// perform records a procedure of a visit. Orders carry Epic's own code and no other; surgeries
// have SNOMED CT beside it.
func (c *chart) perform(v *visit, key string) {
	k := procedureKinds[key]
	p := &r4.Procedure{
		ID:         c.id("Procedure"),
		Identifier: []r4.Identifier{identifier(systemOrder, "ORD", c.number("order", 9)), identifier(systemProcedure, "EAP", k.epic)},
		Status:     "completed",
		Category:   k.category,
		Code:       concept(k.name, coding(systemProcedure, k.epic, k.name)),
		Subject:    c.subject,
		Encounter:  v.reference,
		Performed:  r4.DateTime(instant(v.at.Add(15 * time.Minute))),
		Performer:  []r4.ProcedurePerformer{{Actor: v.by.reference}},
	}
	if k.snomed != "" {
		p.Code.Coding = append(p.Code.Coding, coding(systemSNOMED, k.snomed, k.snomedTxt))
	}
	if v.reason != nil {
		p.ReasonCode = concepts(v.reason.code)
	}
	c.add("", p)
}
