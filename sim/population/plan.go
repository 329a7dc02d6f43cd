package population

import (
	"html"
	"strings"
	"time"

	"github.com/andironhq/andiron/r4"
)

// planCategory is one of the categories that Epic's CarePlan search asks for.
type planCategory struct {
	key, code, display, api string
	concept                 *r4.CodeableConcept
}

// planCategories in the order in which Epic names them; two have words for codes.
var planCategories = []*planCategory{
	{key: "longitudinal", code: "38717003", display: "Longitudinal", api: "Longitudinal CarePlan"},
	{key: "encounter", code: "734163000", display: "Encounter Level", api: "Encounter CarePlan"},
	{key: "outpatient", code: "736271009", display: "Outpatient", api: "Outpatient CarePlan"},
	{key: "inpatient", code: "736353004", display: "Inpatient", api: "Inpatient CarePlan"},
	{key: "dental", code: "738906000", display: "Dental", api: "Dental CarePlan"},
	{key: "oncology", code: "736378000", display: "Oncology", api: "Oncology"},
	{key: "questionnaires", code: "719091000000102", display: "Questionnaires Due", api: "Questionnaires Due"},
	{key: "anticoagulation", code: "959871000000107", display: "Anticoagulation", api: "Anticoagulation CarePlan"},
	{key: "pathway", code: "inpatient-pathway", display: "Inpatient Pathway", api: "Inpatient Pathway"},
	{key: "education", code: "409073007", display: "Patient Education", api: "Patient Education"},
	{key: "care-path", code: "care-path", display: "Care Path", api: "Care Path"},
}

var (
	planAssess = concept("Assessment and Plan of Treatment", coding("http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "assess-plan", "Assessment and Plan of Treatment"))

	planByKey = func() map[string]*planCategory {
		m := make(map[string]*planCategory, len(planCategories))
		for _, p := range planCategories {
			system := systemSNOMED
			if strings.Contains(p.code, "-") {
				system = epicStructure + "careplan-category"
			}
			p.concept = concept(p.display, coding(system, p.code, p.display))
			m[p.key] = p
		}
		return m
	}()

	teamCategory = concepts(concept("Longitudinal care-coordination focused care team", coding(systemLOINC, "LA28865-6", "Longitudinal care-coordination focused care team")))
	goalActive   = concept("In Progress", coding(terminology+"goal-achievement", "in-progress", "In Progress"))
	goalCategory = concepts(concept("Patient Goal", coding(epicOID("10.707160.50"), "1", "Patient Goal")))
)

// plan writes a care plan. It is the one resource of which Epic sends a narrative. The visit
// may be nil; a plan may address a problem and pursue a goal, both may be missing.
func (c *chart) plan(category string, start time.Time, v *visit, title string, lines []string, addresses *problem, goalID string) {
	p := planByKey[category]
	var div strings.Builder
	div.WriteString(`<div xmlns="http://www.w3.org/1999/xhtml"><p>` + html.EscapeString(title) + "</p><ul>")
	for _, line := range lines {
		div.WriteString("<li>" + html.EscapeString(line) + "</li>")
	}
	div.WriteString("</ul></div>")
	res := &r4.CarePlan{
		ID:       c.id("CarePlan"),
		Text:     &r4.Narrative{Status: "generated", Div: div.String()},
		Status:   "active",
		Intent:   "plan",
		Category: concepts(p.concept, planAssess),
		Title:    title,
		Subject:  c.subject,
		Period:   &r4.Period{Start: r4.DateTime(date(start))},
		Created:  r4.DateTime(instant(start)),
	}
	if v != nil {
		res.Encounter = v.reference
		res.Author = v.by.reference
		if p.key == "inpatient" || p.key == "pathway" || p.key == "encounter" {
			res.Status = "completed"
			res.Period.End = r4.DateTime(date(v.until))
		}
	}
	if addresses != nil {
		res.Addresses = []r4.Reference{*reference("Condition", addresses.id, addresses.of.text)}
	}
	if goalID != "" {
		res.Goal = []r4.Reference{*reference("Goal", goalID, "")}
	}
	c.add(p.api, res)
}

// goal sets an aim and returns its id. An empty LOINC code makes it an aim without a measure.
func (c *chart) goal(text string, start time.Time, loinc, display, target, unit string, addresses *problem) string {
	g := &r4.Goal{
		ID:                c.id("Goal"),
		LifecycleStatus:   "active",
		AchievementStatus: goalActive,
		Category:          goalCategory,
		Description:       &r4.CodeableConcept{Text: text},
		Subject:           c.subject,
		Start:             r4.Date(date(start)),
		StatusDate:        r4.Date(date(start)),
		ExpressedBy:       c.practitioner(c.who.pcp).reference,
	}
	if loinc != "" {
		g.Target = []r4.GoalTarget{{
			Measure: concept(display, coding(systemLOINC, loinc, display)),
			Detail:  &r4.Quantity{Value: r4.Decimal(target), Comparator: "<", Unit: unit, System: systemUCUM, Code: unit},
			Due:     r4.Date(date(start.AddDate(1, 0, 0))),
		}}
	}
	if addresses != nil {
		g.Addresses = []r4.Reference{*reference("Condition", addresses.id, addresses.of.text)}
	}
	c.add("", g)
	return g.ID
}

// team names the people who look after the patient, the primary care provider first.
func (c *chart) team(start time.Time, others ...string) {
	member := func(key, role string) r4.CareTeamParticipant {
		p := c.practitioner(key)
		return r4.CareTeamParticipant{
			Role:   concepts(concept(role, ownCode(epicOID("10.836982.3000"), 3, role))),
			Member: p.reference,
			Period: &r4.Period{Start: r4.DateTime(date(start))},
		}
	}
	t := &r4.CareTeam{
		ID:          c.id("CareTeam"),
		Status:      "active",
		Category:    teamCategory,
		Name:        "Care Team",
		Subject:     c.subject,
		Participant: []r4.CareTeamParticipant{member(c.who.pcp, "PCP - General")},
	}
	for _, key := range others {
		t.Participant = append(t.Participant, member(key, c.practitioner(key).specialty))
	}
	c.add("", t)
}
