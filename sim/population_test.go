package sim_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/population"
)

// generated opens a server over a small generated population.
func generated(t testing.TB, change func(*sim.Server)) *hospital {
	return open(t, func(s *sim.Server) {
		s.Data, s.Patients, s.Seed = "", 8, 1
		s.Knobs.BulkPolls = -1
		if change != nil {
			change(s)
		}
	})
}

// What is exported is what can be read one by one, and what a search patient by patient finds:
// the same bytes under the same ids, for each type that a search needs no more than a patient for.
func TestExportReadAndSearchAgree(t *testing.T) {
	h := generated(t, nil)
	m := h.finish(h.kick(h.groupExport("")))
	if len(m.Error) != 0 {
		t.Errorf("error[] is %v", m.Error)
	}
	byType := map[string]map[string]string{}
	for _, f := range m.Output {
		if byType[f.Type] != nil {
			continue
		}
		byType[f.Type] = map[string]string{}
		for _, line := range h.lines(m, f.Type) {
			var r struct{ ID string }
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			byType[f.Type][r.ID] = line
		}
	}
	for typ, all := range byType {
		n := 0
		for id, line := range all {
			if n++; n > 5 {
				break
			}
			if a := h.get(typ + "/" + id); a.status != 200 || a.body != line {
				t.Errorf("%s/%s: read and export differ (%d)", typ, id, a.status)
			}
		}
	}
	searches := map[string][]string{
		"Condition": {""}, "Encounter": {""}, "MedicationRequest": {""}, "AllergyIntolerance": {""}, "Immunization": {""},
		"DiagnosticReport": {""}, "DocumentReference": {""}, "Procedure": {""}, "Appointment": {""},
		"Observation": {"&category=laboratory", "&category=vital-signs", "&category=social-history", "&category=survey", "&category=sdoh", "&category=smartdata", "&category=procedure"},
		"CarePlan":    {},
	}
	for _, c := range epic.Categories("CarePlan") {
		searches["CarePlan"] = append(searches["CarePlan"], "&category="+c.Code)
	}
	for typ, forms := range searches {
		found := map[string]string{}
		for patient := range byType["Patient"] {
			for _, form := range forms {
				path := typ + "?patient=" + patient + form
				for path != "" {
					b := h.bundle(path)
					for _, e := range b.Entry {
						var r struct{ ID string }
						if e.Search.Mode == "match" && json.Unmarshal(e.Resource, &r) == nil {
							found[r.ID] = string(e.Resource)
						}
					}
					path = b.next()
				}
			}
		}
		if len(found) != len(byType[typ]) {
			t.Errorf("%s: %d by search, %d by export", typ, len(found), len(byType[typ]))
		}
		for id, body := range found {
			if byType[typ][id] != body {
				t.Errorf("%s/%s: search and export differ", typ, id)
			}
		}
	}
}

func TestGeneratedPopulation(t *testing.T) {
	h := generated(t, nil)
	person := population.People()[0]
	if a := h.get("Patient/" + person.ID); a.status != 200 || !strings.Contains(a.body, person.Family) {
		t.Errorf("%s %s: %d", person.Given, person.Family, a.status)
	}
	groups, err := h.Groups()
	if err != nil || len(groups[0].Patients) != 8 {
		t.Errorf("groups: %v, %v", groups, err)
	}
	for old, survivor := range h.Merged {
		if a := h.get("Patient/" + old); a.status != 302 || !strings.HasSuffix(a.header.Get("Location"), survivor) {
			t.Errorf("the merged %s: %d to %s, want a redirect to %s", old, a.status, a.header.Get("Location"), survivor)
		}
	}
	if len(h.Merged) == 0 {
		t.Error("nobody was merged")
	}
}

func TestGuideExtensionInTheGeneratedData(t *testing.T) {
	h := generated(t, func(s *sim.Server) { s.Knobs = sim.GuideDialect() })
	_ = h.Register(sim.App{ClientID: h.app, JWKSURL: h.jwks})
	for _, line := range h.lines(h.finish(h.kick("$export?_type=Patient")), "Patient") {
		if strings.Count(line, "patient-merge-unmerge-status") != 1 {
			t.Errorf("a patient with %d such extensions, want 1", strings.Count(line, "patient-merge-unmerge-status"))
		}
	}
}

// The same seed gives the same bytes in the same files, whenever it is asked.
func TestExportRepeatsBySeed(t *testing.T) {
	text := func() string {
		h := generated(t, func(s *sim.Server) { s.Knobs.BulkFileMax = 100 })
		m := h.finish(h.kick(h.groupExport("")))
		var b strings.Builder
		for _, f := range m.Output {
			b.WriteString(f.Type + "\n" + h.get(f.URL).body)
		}
		return b.String()
	}
	if first, second := text(), text(); first != second {
		t.Error("two exports of one seed differ")
	}
}

// BenchmarkOpen is how long "ready" takes with the default population.
func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		s := &sim.Server{}
		if err := s.Open(); err != nil {
			b.Fatal(err)
		}
		_ = s.Close()
	}
}
