package lake

import "github.com/andironhq/andiron/r4"

func carePlanView() *view {
	return perResource("careplan", "One row per CarePlan.",
		text("id", "CarePlan.id", func(c *r4.CarePlan) string { return c.ID }),
		id("patient_id", "CarePlan.subject", "Patient", func(c *r4.CarePlan) *r4.Reference { return c.Subject }),
		id("encounter_id", "CarePlan.encounter", "Encounter", func(c *r4.CarePlan) *r4.Reference { return c.Encounter }),
		text("status", "CarePlan.status", func(c *r4.CarePlan) string { return c.Status }),
		text("intent", "CarePlan.intent", func(c *r4.CarePlan) string { return c.Intent }),
		concept("category", "CarePlan.category(first)", func(c *r4.CarePlan) *r4.CodeableConcept { return first(c.Category) }),
		texts("categories", "CarePlan.category.coding as system|code", func(c *r4.CarePlan) []string {
			var l []string
			for i := range c.Category {
				l = append(l, tokens(&c.Category[i])...)
			}
			return l
		}),
		text("title", "CarePlan.title", func(c *r4.CarePlan) string { return c.Title }),
		text("description", "CarePlan.description", func(c *r4.CarePlan) string { return c.Description }),
		moment("period_start", "CarePlan.period.start", func(c *r4.CarePlan) r4.DateTime { return period(c.Period).Start }),
		moment("period_end", "CarePlan.period.end", func(c *r4.CarePlan) r4.DateTime { return period(c.Period).End }),
		moment("created", "CarePlan.created", func(c *r4.CarePlan) r4.DateTime { return c.Created }),
		link("author", "CarePlan.author", "", func(c *r4.CarePlan) *r4.Reference { return c.Author }),
		ids("care_team_ids", "CarePlan.careTeam", "CareTeam", func(c *r4.CarePlan) []r4.Reference { return c.CareTeam }),
		ids("condition_ids", "CarePlan.addresses", "Condition", func(c *r4.CarePlan) []r4.Reference { return c.Addresses }),
		ids("goal_ids", "CarePlan.goal", "Goal", func(c *r4.CarePlan) []r4.Reference { return c.Goal }),
		count("activity_count", "CarePlan.activity.count()", func(c *r4.CarePlan) int { return len(c.Activity) }),
		texts("activities", "CarePlan.activity: what each is called", activities),
		text("note", "CarePlan.note.text, joined", func(c *r4.CarePlan) string { return notes(c.Note) }),
		texts("identifiers", "CarePlan.identifier as system|value", func(c *r4.CarePlan) []string { return identifiers(c.Identifier) }),
		instant("last_updated", "CarePlan.meta.lastUpdated", func(c *r4.CarePlan) string { return lastUpdated(c.Meta) }),
	)
}

func activities(c *r4.CarePlan) []string {
	var l []string
	for i := range c.Activity {
		a := &c.Activity[i]
		d := orZero(a.Detail)
		if s := either(conceptText(d.Code), display(d.Code, nil), d.Description, called(a.Reference)); s != "" {
			l = append(l, s)
		}
	}
	return l
}
