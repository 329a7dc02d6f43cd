package sim

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// matrixCharts is one chart with two resources of each type of the guide's table: the second lies in
// the part that "limited" hides.
func matrixCharts(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	about := `"subject":{"reference":"Patient/eAnn3"}`
	for typ, lines := range map[string][]string{
		"Patient":            {`"birthDate":"1980-01-02"`},
		"Encounter":          {`"status":"finished",` + about},
		"Condition":          {`"category":[{"coding":[{"code":"problem-list-item"}]}],` + about},
		"Observation":        {`"status":"final","category":[{"coding":[{"code":"laboratory"}]}],` + about},
		"MedicationRequest":  {`"status":"active",` + about},
		"AllergyIntolerance": {`"patient":{"reference":"Patient/eAnn3"}`},
		"Immunization":       {`"status":"completed","patient":{"reference":"Patient/eAnn3"}`},
		"DiagnosticReport":   {`"status":"final",` + about},
		"DocumentReference": {
			`"status":"current","category":[{"coding":[{"code":"clinical-note"}]}],` + about,
			`"status":"current","category":[{"coding":[{"code":"imaging-result"}]}],` + about,
		},
		"Procedure": {`"status":"completed",` + about},
		"CarePlan":  {`"status":"active","category":[{"coding":[{"code":"38717003"}]}],` + about},
		"Appointment": {
			`"status":"booked","start":"2026-12-02T09:00:00Z","participant":[{"actor":{"reference":"Patient/eAnn3"}}]`,
			`"status":"fulfilled","start":"2026-01-02T09:00:00Z","participant":[{"actor":{"reference":"Patient/eAnn3"}}]`,
		},
	} {
		text := ""
		for i, line := range lines {
			id := []string{"eIn3", "eOut3"}[i]
			if typ == "Patient" {
				id = "eAnn3"
			}
			text += `{"resourceType":"` + typ + `","id":"` + id + `",` + line + "}\n"
		}
		if err := os.WriteFile(filepath.Join(dir, typ+".ndjson"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLaunchMatrixCellByCell(t *testing.T) {
	const table = `
Patient            full    full full
Encounter          full    full full
Condition          full    full full
Observation        full    full full
MedicationRequest  full    full full
AllergyIntolerance full    full full
Immunization       full    full full
DiagnosticReport   full    full full
DocumentReference  limited full full
Procedure          full    full full
CarePlan           none    full full
Appointment        limited full limited`
	data := matrixCharts(t)
	for _, on := range []bool{true, false} {
		w := serveWard(t, &Server{
			Data: data, Clock: func() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) },
			Knobs: Knobs{LaunchMatrix: on}, Apps: wardApps(),
		})
		tokens := []string{
			w.issue(w.grant("all", ofAnn, "patient/*.rs")), w.issue(w.grant("chart", ofDoc, "user/*.rs")), w.issue(w.grant("backend", "", "")),
		}
		for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
			f := strings.Fields(line)
			for i, kind := range []string{"standalone", "EHR", "backend"} {
				cell := f[i+1]
				if !on {
					cell = "full"
				}
				in, out := "eIn3", "eOut3"
				if f[0] == "Patient" {
					in = "eAnn3"
				}
				want := map[string]int{"full": 200, "limited": 200, "none": 403}[cell]
				if a := w.get(f[0]+"/"+in, tokens[i]); a.status != want {
					t.Errorf("%s by a %s app (%s) draws %d, want %d", f[0], kind, cell, a.status, want)
				}
				found := w.get(f[0]+"?_id="+in, tokens[i])
				if found.status != want {
					t.Errorf("a search of %s by a %s app (%s) draws %d, want %d", f[0], kind, cell, found.status, want)
				}
				if f[0] != "DocumentReference" && f[0] != "Appointment" {
					continue
				}
				want = map[string]int{"full": http.StatusOK, "limited": http.StatusForbidden}[cell]
				if a := w.get(f[0]+"/"+out, tokens[i]); a.status != want || want == http.StatusForbidden && !a.has("59203") {
					t.Errorf("the other part of %s by a %s app (%s) draws %d, want %d", f[0], kind, cell, a.status, want)
				}
				both := w.get(f[0]+"?_id=eIn3,eOut3", tokens[i])
				if n := len(both.entries(t)); n != map[string]int{"full": 2, "limited": 1}[cell] {
					t.Errorf("a %s app (%s) finds %d of %s", kind, cell, n, f[0])
				}
			}
		}
	}
}
