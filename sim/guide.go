package sim

import (
	"bytes"
	"strings"
	"time"
)

// support is a cell of the integration guide's table of resource types by kind of launch.
type support string

// The cells of [Matrix]. "Limited" is not explained by the guide; here it means that a part
// of the type is shown and the rest is treated as a sub-type that the app lacks: 403 with
// 59203 on read, left out of searches and exports. Of Appointment the part is what has not
// begun before today, of DocumentReference clinical notes.
const (
	Full    support = "full"
	Limited support = "limited"
	None    support = "none"
)

// Matrix is the integration guide's table: which types are supported for apps of which kind.
// With the knob LaunchMatrix it is enforced; types that it does not list are not restricted by it.
func Matrix() map[string]map[Kind]support {
	full := func() map[Kind]support {
		return map[Kind]support{Standalone: Full, EHRLaunch: Full, Backend: Full}
	}
	m := map[string]map[Kind]support{}
	for _, typ := range []string{
		"Patient", "Encounter", "Condition", "Observation", "MedicationRequest", "AllergyIntolerance",
		"Immunization", "DiagnosticReport", "DocumentReference", "Procedure", "CarePlan", "Appointment",
	} {
		m[typ] = full()
	}
	m["DocumentReference"][Standalone] = Limited
	m["CarePlan"][Standalone] = None
	m["Appointment"][Standalone] = Limited
	m["Appointment"][Backend] = Limited
	return m
}

var matrix = Matrix()

func (s *Server) matrixForbids(g *grant, typ string) bool {
	return s.knobs.LaunchMatrix && matrix[typ][g.reg.kind()] == None
}

func (s *Server) matrixLimits(g *grant, typ string) bool {
	return s.knobs.LaunchMatrix && matrix[typ][g.reg.kind()] == Limited
}

// matrixShows tells whether a resource lies in the part of a limited type that is shown.
func (s *Server) matrixShows(g *grant, typ string, resource map[string]any) bool {
	if !s.matrixLimits(g, typ) {
		return true
	}
	if typ == "DocumentReference" {
		return overlap(categoriesOf(resource), []string{"clinical-note"})
	}
	start, _ := resource["start"].(string)
	when, ok := parseDate(start)
	today := s.todayIs().UTC().Truncate(24 * time.Hour)
	return ok && !when.start.Before(today)
}

func matrixLimitName(typ string) string {
	if typ == "DocumentReference" {
		return "Other than Clinical Notes"
	}
	return "Past Appointments"
}

// mergeStatus is the extension of the integration guide, in its spelling.
const mergeStatus = `{"url":"http://open.epic.com/FHIR/StructureDefinition/extension/patient-merge-unmerge-status","valueString":"Active"}`

// withMergeStatus puts the extension before the others of a patient that has none of the kind.
func withMergeStatus(patient []byte) []byte {
	if bytes.Contains(patient, []byte("patient-merge-unmerge-status")) {
		return patient
	}
	at, list := -1, false
	_ = members(patient, func(name, value []byte, start int) error {
		switch string(name) {
		case "extension":
			if len(value) > 0 && value[0] == '[' {
				at, list = start+1, true
			}
		case "id":
			if !list {
				at = start + len(value)
			}
		}
		return nil
	})
	if at < 0 {
		return patient
	}
	var b strings.Builder
	b.Write(patient[:at])
	switch {
	case list && bytes.HasPrefix(bytes.TrimLeft(patient[at:], " \t\r\n"), []byte("]")):
		b.WriteString(mergeStatus)
	case list:
		b.WriteString(mergeStatus + ",")
	default:
		b.WriteString(`,"extension":[` + mergeStatus + `]`)
	}
	b.Write(patient[at:])
	return []byte(b.String())
}
