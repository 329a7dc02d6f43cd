package sim_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/andironhq/andiron/epic"
)

// The rules that package epic has as data, for advice, are those that the simulator enforces: a search
// that lacks what a clause wants is refused with that clause's status and code, and the example that
// the advice gives is not refused.
func TestRulesAreThoseOfPackageEpic(t *testing.T) {
	h := open(t, nil)
	fill := strings.NewReplacer("SYSTEM|CODE", "http://snomed.info/sct%7C1", "patient=ID", "patient=eAlex3", "ID", "eAlex3", "NAME", "Nobody")
	for _, r := range epic.Resources() {
		rule, ok := epic.LookupRule(r.Type)
		if !ok || rule.Inferred || rule.IDOnly {
			continue
		}
		t.Run(r.Type, func(t *testing.T) {
			given := "_count=5"
			for _, c := range rule.Clauses {
				a := h.get(r.Type + "?" + given)
				if codes := codesOf(a.body); a.status != c.Status || !slices.Contains(codes, c.Code) {
					t.Errorf("without %s: got %d with %v, package epic says %d with %s", strings.Join(c.Any, ", "), a.status, codes, c.Status, c.Code)
				}
				if slices.Contains(c.Any, "patient") {
					given += "&patient=eAlex3"
				}
			}
			if a := h.get(fill.Replace(rule.Example())); a.status != 200 {
				t.Errorf("the example %s is refused: %d with %v", rule.Example(), a.status, codesOf(a.body))
			}
		})
	}
}
