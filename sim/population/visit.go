package population

import (
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/r4"
)

// visitKind is how a contact is coded.
type visitKind struct {
	display          string // the visit type, which references to the encounter show
	class, classText string
	encType, encText string // Epic's encounter type
	visitType        string
	minutes          int
	inpatient        bool
	noVitals         bool
}

var visitKinds = map[string]visitKind{
	"office":          {display: "Office Visit", class: "13", classText: "Support OP Encounter", encType: "101", encText: "Office Visit", visitType: "1004", minutes: 30},
	"physical":        {display: "Annual Physical", class: "13", classText: "Support OP Encounter", encType: "101", encText: "Office Visit", visitType: "1006", minutes: 45},
	"well-child":      {display: "Well Child", class: "13", classText: "Support OP Encounter", encType: "101", encText: "Office Visit", visitType: "1010", minutes: 30},
	"urgent":          {display: "Urgent Care", class: "13", classText: "Support OP Encounter", encType: "101", encText: "Office Visit", visitType: "1020", minutes: 25},
	"anticoagulation": {display: "Anticoagulation Visit", class: "13", classText: "Support OP Encounter", encType: "2502", encText: "Anti-coag visit", visitType: "1040", minutes: 15, noVitals: true},
	"telephone":       {display: "Telephone", class: "5", classText: "Telephone Encounter", encType: "70", encText: "Telephone", minutes: 10, noVitals: true},
	"video":           {display: "Telemedicine", class: "13", classText: "Support OP Encounter", encType: "76", encText: "Telemedicine", visitType: "1050", minutes: 20, noVitals: true},
	"lab":             {display: "Lab", class: "13", classText: "Support OP Encounter", encType: "3", encText: "Hospital Encounter", visitType: "1060", minutes: 10, noVitals: true},
	"emergency":       {display: "ED", class: "4", classText: "HOV", encType: "3", encText: "Hospital Encounter", minutes: 240},
	"inpatient":       {display: "Hospital Encounter", class: "4", classText: "HOV", encType: "3", encText: "Hospital Encounter", minutes: 4 * 24 * 60, inpatient: true},
}

// visit is one contact; what happens in it refers to it.
type visit struct {
	kind      visitKind
	at, until time.Time
	open      bool // still going on at the population's today
	by        *practitioner
	place     *location
	reason    *condition
	id, csn   string
	reference *r4.Reference
	diagnoses []string // displays of the encounter's diagnoses
	findings  findings
}

// visit records a contact of a kind at a time with a practitioner. The reason may be empty; with
// one, it becomes the encounter's diagnosis as well.
func (c *chart) visit(kind string, t time.Time, practitionerKey, reason string) *visit {
	k := visitKinds[kind]
	v := &visit{kind: k, at: t, by: c.practitioner(practitionerKey), csn: "3" + c.number("csn", 8), id: c.id("Encounter")}
	v.until = t.Add(time.Duration(k.minutes) * time.Minute)
	if v.until.After(c.now) {
		v.until, v.open = c.now, true
	}
	v.place = c.directory.locations[v.by.location]
	if kind == "lab" {
		v.place = c.directory.locations["lab"]
	}
	v.reference = &r4.Reference{
		Reference:  "Encounter/" + v.id,
		Identifier: &r4.Identifier{Use: "usual", System: systemCSN, Value: v.csn},
		Display:    k.display,
	}
	if reason != "" {
		v.reason = conditionByKey[reason]
	}
	c.encounter(v)
	if v.reason != nil {
		c.encounterDiagnosis(v, v.reason)
	}
	return v
}

func (c *chart) encounter(v *visit) {
	k := v.kind
	period := &r4.Period{Start: r4.DateTime(instant(v.at)), End: r4.DateTime(instant(v.until))}
	e := &r4.Encounter{
		ID:          v.id,
		Identifier:  []r4.Identifier{{Use: "usual", System: systemCSN, Value: v.csn}},
		Status:      "finished",
		Class:       &r4.Coding{System: epic.SystemEncounterClass, Code: k.class, Display: k.classText},
		Type:        concepts(concept(k.encText, coding(systemEncType, k.encType, k.encText))),
		ServiceType: v.place.service,
		Subject:     c.subject,
		Participant: []r4.EncounterParticipant{{
			Type:       concepts(concept("Primary Provider", coding(terminology+"v3-ParticipationType", "PPRF", "primary performer"))),
			Period:     period,
			Individual: v.by.reference,
		}},
		Period:          period,
		Location:        []r4.EncounterLocation{{Location: v.place.reference, Status: "completed", Period: period}},
		ServiceProvider: c.directory.organizationOf(v.place),
	}
	if v.open {
		e.Status, period.End = "in-progress", ""
		e.Location[0].Status = "active"
	}
	if k.visitType != "" {
		e.Type = append(e.Type, *concept(k.display, coding(systemVisitType, k.visitType, k.display)))
	}
	if v.reason != nil {
		e.ReasonCode = concepts(&r4.CodeableConcept{Text: v.reason.text})
	}
	if k.class == "4" {
		account := c.number("account", 7)
		e.Account = []r4.Reference{{Identifier: &r4.Identifier{System: systemAccount, Value: account}, Display: c.who.display}}
		e.Hospitalization = &r4.EncounterHospitalization{
			AdmitSource:          concept("Home or Self Care", coding(epicOID("10.698084.10310"), "1", "Home or Self Care")),
			DischargeDisposition: concept("Home or Self Care", coding(epicOID("10.698084.18888"), "1", "Home or Self Care")),
		}
	}
	c.add("", e)
}
