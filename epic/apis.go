package epic

import (
	"fmt"
	"slices"
	"strings"
)

// Audience is who uses an app: the first question of Epic's form. It decides which APIs can be picked
// and cannot be changed later ("App Creation & Request Process", high).
type Audience string

// The audiences in the form's words.
const (
	AudiencePatients   Audience = "Patients"
	AudienceClinicians Audience = "Clinicians or Administrative Users"
	AudienceBackend    Audience = "Backend Systems"
)

// level is the level of the audience's resource scopes.
func (a Audience) level() string {
	switch a {
	case AudienceClinicians:
		return "user"
	case AudienceBackend:
		return "system"
	}
	return "patient"
}

// API is one entry of Epic's catalogue, the unit that an app registers: "Patient.Read (R4)".
type API struct {
	// Name is the catalogue's spelling. Notes in parentheses are the part of the type and the
	// version of FHIR.
	Name string `json:"name"`
	// ID is the number of its specification; 0 where it is not on record.
	ID int `json:"id,omitempty"`
}

// Needs are what an app reads.
type Needs struct {
	// Reads are resource types, each with a category if not all of the type is read: "Patient",
	// "Observation:laboratory", "DocumentReference:clinical-note".
	Reads []string
	// Audience is who uses the app. Empty means patients.
	Audience Audience
	// Interactions are "r" (read by id), "s" (search) or "rs". Empty means "rs". Bulk export
	// needs "s".
	Interactions string
	// Bulk says that the app exports groups; it must be one for backend systems.
	Bulk bool
}

// Access is the least that an app must register and ask for.
type Access struct {
	// APIs are the catalogue's entries, in the order of the reads, the bulk APIs last.
	APIs []API `json:"apis"`
	// Scopes are the scopes to ask for, in version 2: what the kind of sign-in needs, then one
	// for each read. Programs need not ask: Epic gives them what is registered.
	Scopes []string `json:"scopes"`
	// Notes say what is to be known about single reads.
	Notes []string `json:"notes,omitempty"`
}

// NeedError is a read that Epic has not, or not so.
type NeedError struct {
	// Read is the text that was given.
	Read string
	// Reason is what is wrong with it, in a few words.
	Reason string
	// Nearest is the known text that is most like it; "" when nothing is.
	Nearest string
}

// Error is one line, with the nearest known text.
func (e *NeedError) Error() string {
	s := fmt.Sprintf("epic: read %q: %s", e.Read, e.Reason)
	if e.Nearest != "" {
		s += fmt.Sprintf(", nearest is %q", e.Nearest)
	}
	return s
}

// APIsFor returns the least that an app with these needs must register and ask for. A type, category
// or combination that Epic's server does not have is a [*NeedError].
//
// The unit of Epic's authorisation is the API; scopes follow from the APIs (interface catalogue, high).
// Where a type is split, each part of it is an API of its own, and a read without a category takes all
// ordinary parts. Records from outside and parts that search names without a category are extra APIs:
// see [SubAPIs].
func APIsFor(n Needs) (Access, error) {
	if n.Audience == "" {
		n.Audience = AudiencePatients
	}
	if n.Interactions == "" {
		n.Interactions = "rs"
	}
	switch {
	case n.Audience != AudiencePatients && n.Audience != AudienceClinicians && n.Audience != AudienceBackend:
		return Access{}, fmt.Errorf("epic: unknown audience %q", n.Audience)
	case strings.Trim(n.Interactions, "rs") != "":
		return Access{}, fmt.Errorf("epic: interactions are %q, must be r, s or rs", n.Interactions)
	case n.Bulk && n.Audience != AudienceBackend:
		return Access{}, fmt.Errorf("epic: bulk export is for the audience %q alone", AudienceBackend)
	case len(n.Reads) == 0:
		return Access{}, fmt.Errorf("epic: no reads")
	}
	if n.Bulk && !strings.Contains(n.Interactions, "s") {
		n.Interactions += "s"
	}
	b := accessBuilder{needs: n}
	switch n.Audience {
	case AudiencePatients:
		b.scopes("launch/patient", "openid", "fhirUser")
	case AudienceClinicians:
		b.scopes("launch", "openid", "fhirUser")
	}
	for _, read := range n.Reads {
		if err := b.read(read); err != nil {
			return Access{}, err
		}
	}
	if n.Bulk {
		b.out.APIs = append(b.out.APIs, BulkAPIs()...)
	}
	return b.out, nil
}

// BulkAPIs are the four APIs of an export; the Search of each exported type comes to them (interface
// catalogue, high).
func BulkAPIs() []API {
	return []API{
		{"Bulk Data Kick-off", 10169},
		{"Bulk Data Status Request", 10170},
		{"Bulk Data File Request", 10171},
		{"Bulk Data Delete Request", 10172},
	}
}

// specIDs are the numbers on record (interface catalogue, high).
var specIDs = map[string]int{
	"Patient.Read (R4)":                     931,
	"Patient.Search (R4)":                   932,
	"Observation.Search (Labs) (R4)":        999,
	"Observation.Search (Vital Signs) (R4)": 973,
}

// part is a piece of a type with APIs of its own, and the categories that lead to it.
type part struct {
	name       string
	categories []string
}

// splitTypes are the types whose APIs are split, with their ordinary parts (captures and interface
// catalogue: Labs, Vital Signs, Clinical Notes and the parts of Condition, high; the others medium).
var splitTypes = map[string][]part{
	"Condition": {
		{"Problems", words("problem-list-item")},
		{"Encounter Diagnosis", words("encounter-diagnosis")},
		{"Health Concern", words("health-concern")},
	},
	"Observation": {
		{"Labs", words("laboratory")},
		{"Vital Signs", words("vital-signs")},
		{"Social History", words("social-history")},
		{"Core Characteristics", words("core-characteristics")},
		{"LDA", words("LDA LDA-property LDA-assessment")},
		{"Functional Mental Status", words("functional-mental-status")},
		{"Labor Delivery", words("labor-delivery newborn-delivery")},
		{"Obstetrics and Gynecology", words("obstetrics-gynecology")},
		{"Periodontal", words("periodontal")},
		{"Assessments", words("survey")},
		{"SDOH Assessments", words("sdoh")},
		{"SmartData Elements", words("procedure therapy activity smartdata")},
		{"Study Finding", words("imaging exam")},
		{"Phenotype", words("phenotype")},
	},
	"DocumentReference": {
		{"Clinical Notes", words("clinical-note")},
		{"Document Information", words("document-information")},
		{"External CDAs", words("summary-document")},
		{"Radiology Results", words("imaging-result")},
	},
	"CarePlan": {
		{"Longitudinal CarePlan", words("38717003")},
		{"Encounter CarePlan", words("734163000")},
		{"Outpatient CarePlan", words("736271009")},
		{"Inpatient CarePlan", words("736353004")},
		{"Dental CarePlan", words("738906000")},
		{"Oncology", words("736378000")},
		{"Questionnaires Due", words("719091000000102")},
		{"Anticoagulation CarePlan", words("959871000000107")},
		{"Inpatient Pathway", words("inpatient-pathway")},
		{"Patient Education", words("409073007")},
		{"Care Path", words("care-path")},
	},
}

// readCategories are the categories that a read of a type may name.
func readCategories(typ string) []string {
	var out []string
	for _, c := range categories[typ] {
		out = append(out, c.Code)
	}
	for _, p := range splitTypes[typ] {
		for _, c := range p.categories {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

type accessBuilder struct {
	needs Needs
	out   Access
}

func (b *accessBuilder) read(read string) error {
	typ, category, filtered := strings.Cut(read, ":")
	r, ok := LookupResource(typ)
	if !ok {
		types := make([]string, 0, len(resources))
		for _, r := range resources {
			types = append(types, r.Type)
		}
		e := &NeedError{Read: read, Reason: "Epic has no such resource type", Nearest: nearest(typ, types)}
		if filtered && e.Nearest != "" {
			e.Nearest += ":" + category
		}
		return e
	}
	known := readCategories(typ)
	if filtered && !slices.Contains(known, category) {
		e := &NeedError{Read: read, Reason: "no such category of the type is on record"}
		if len(known) == 0 {
			e.Reason, e.Nearest = "the type has no categories on record", typ
		} else if near := nearest(category, known); near != "" {
			e.Nearest = typ + ":" + near
		}
		return e
	}
	letters := ""
	for _, i := range []string{"r", "s"} {
		if strings.Contains(b.needs.Interactions, i) && strings.Contains(r.Interactions, i) {
			letters += i
		}
	}
	if letters == "" {
		return &NeedError{Read: read, Reason: "the type cannot be searched"}
	}
	parts := b.parts(typ, category)
	for _, p := range parts {
		b.api(typ, letters, p)
	}
	scope := b.needs.Audience.level() + "/" + typ + "." + letters
	if filtered {
		scope += "?category=" + categoryToken(typ, category)
	}
	b.scopes(scope)
	b.about(read, typ, parts, filtered)
	return nil
}

// parts are the names of the pieces that a read needs; "" is the whole type.
func (b *accessBuilder) parts(typ, category string) []string {
	split := splitTypes[typ]
	var names []string
	for _, p := range split {
		if category == "" || slices.Contains(p.categories, category) {
			names = append(names, p.name)
		}
	}
	if len(names) > 0 {
		return names
	}
	if len(split) > 0 { // a category of several parts, such as a SNOMED code of observations
		return b.parts(typ, "")
	}
	return []string{""}
}

// about notes what else a read needs.
func (b *accessBuilder) about(read, typ string, parts []string, filtered bool) {
	switch typ {
	case "DocumentReference":
		if !strings.Contains(b.needs.Interactions, "r") && !b.needs.Bulk {
			break
		}
		for _, p := range parts { // the text of a document is a Binary of the same part
			b.api("Binary", "r", p)
		}
		b.scopes(b.needs.Audience.level() + "/Binary.r")
		b.note("the text of a document is a Binary: each part needs its Binary.Read as well")
		if b.needs.Bulk {
			b.note("an export has Binary only when _type names it")
		}
	case "CarePlan":
		if b.needs.Audience == AudiencePatients {
			b.note("CarePlan: integration guides say that patients' apps do not get it; the hospital's /metadata and the granted scopes decide")
		}
	}
	if !filtered && len(splitTypes[typ]) > 0 {
		b.note(read + ": without a category all ordinary parts are needed; name the categories that are read, as " + typ + ":" + splitTypes[typ][0].categories[0])
	}
}

func (b *accessBuilder) api(typ, letters, part string) {
	for _, i := range []struct{ letter, name string }{{"r", "Read"}, {"s", "Search"}} {
		if !strings.Contains(letters, i.letter) {
			continue
		}
		name := typ + "." + i.name
		if part != "" {
			name += " (" + part + ")"
		}
		name += " (R4)"
		a := API{name, specIDs[name]}
		if !slices.Contains(b.out.APIs, a) {
			b.out.APIs = append(b.out.APIs, a)
		}
	}
}

func (b *accessBuilder) scopes(list ...string) {
	for _, s := range list {
		if !slices.Contains(b.out.Scopes, s) {
			b.out.Scopes = append(b.out.Scopes, s)
		}
	}
}

func (b *accessBuilder) note(s string) {
	if !slices.Contains(b.out.Notes, s) {
		b.out.Notes = append(b.out.Notes, s)
	}
}

// categoryToken is a category as a search writes it, with its system where that is on record.
func categoryToken(typ, code string) string {
	for _, c := range categories[typ] {
		if c.Code == code && c.System != "" {
			return c.System + "|" + code
		}
	}
	return code
}

// nearest is the word that differs least, if it differs little: by a third of its letters at most. A
// word of which the other is the beginning is near as well.
func nearest(word string, known []string) string {
	best, least := "", 0
	w := strings.ToLower(word)
	for _, k := range known {
		l := strings.ToLower(k)
		d := editDistance(w, l)
		if d > max(len(w), len(l))/3 {
			if len(w) < 3 || !strings.HasPrefix(l, w) {
				continue
			}
			d = len(l)
		}
		if best == "" || d < least {
			best, least = k, d
		}
	}
	return best
}

// editDistance counts letters to insert, delete or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
