package sim

import (
	"regexp"
	"strings"
)

// BulkAPIs are the four APIs that a bulk export needs beside the Search API of each type
// (Epic's interface catalogue, ids 10169 to 10172; high).
func BulkAPIs() []string {
	return []string{"Bulk Data Kick-off", "Bulk Data Status Request", "Bulk Data File Request", "Bulk Data Delete Request"}
}

// grantedAPIs is what an app may call. The unit of Epic's authorisation is the API, not the
// scope (high): scopes are derived from it.
type grantedAPIs struct {
	all  bool
	set  map[string]map[string]bool // "Observation.Search" to sub-types; "" is all of them
	bulk map[string]bool
}

var apiForm = regexp.MustCompile(`^([A-Z][A-Za-z]+)\.([A-Z][a-z]+)(?: \(([^()]+)\))?(?: \((R4)\))?$`)

// parseAPIs reads the catalogue's spelling. What it cannot read grants nothing.
func parseAPIs(list []string) grantedAPIs {
	if list == nil {
		return grantedAPIs{all: true}
	}
	g := grantedAPIs{set: map[string]map[string]bool{}, bulk: map[string]bool{}}
	for _, name := range list {
		if rest, ok := strings.CutPrefix(name, "Bulk Data "); ok {
			g.bulk[strings.ToLower(rest)] = true
			continue
		}
		m := apiForm.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		sub := m[3]
		if sub == "R4" {
			sub = ""
		}
		key := m[1] + "." + m[2]
		if g.set[key] == nil {
			g.set[key] = map[string]bool{}
		}
		g.set[key][sub] = true
	}
	return g
}

// may tells whether any API of that type and interaction is granted.
func (g grantedAPIs) may(typ, interaction string) bool {
	return g.all || len(g.set[typ+"."+interaction]) > 0
}

// maySub tells whether the API of a sub-type is granted.
func (g grantedAPIs) maySub(typ, interaction, sub string) bool {
	if g.all {
		return true
	}
	subs := g.set[typ+"."+interaction]
	return subs[""] || subs[sub]
}

func (g grantedAPIs) mayBulk(api string) bool { return g.all || g.bulk[api] }

// subAPI is a part of a type's Search and Read that Epic licenses by itself.
type subAPI struct {
	typ, name string
	// categories are the codes of the category element that it holds. None: it holds
	// nothing here (outside records, say) and only appears in notices.
	categories []string
	// touched are the categories whose search touches it though it holds none of them. "*" is
	// every search of the type.
	touched []string
	// unlicensed sub-APIs are not part of "every API" nor of a type's API: the sandbox's
	// recorded backend app lacks them, which puts a 59204 on nearly every result.
	unlicensed bool
	// user marks what the background user lacks, not the client: 59205.
	user bool
}

// subAPIs follows the recorded notices of the sandbox (backend token, April 2026; patient's
// token, December 2025; high) and, where Epic has more APIs than the captures show, its
// interface catalogue.
var subAPIs = []subAPI{
	{typ: "AllergyIntolerance", name: "Outside Record", touched: []string{"*"}, unlicensed: true},
	{typ: "Encounter", name: "Outside Record", touched: []string{"*"}, unlicensed: true},
	{typ: "Immunization", name: "Outside Record", touched: []string{"*"}, unlicensed: true},
	{typ: "MedicationRequest", name: "Outside Record", touched: []string{"*"}, unlicensed: true},
	{typ: "Procedure", name: "External Radiotherapy Summary", touched: []string{"*"}, unlicensed: true, user: true},
	{typ: "Procedure", name: "Outside Record", touched: []string{"*"}, unlicensed: true},
	{typ: "DiagnosticReport", name: "Outside Record Results", touched: []string{"LAB"}, unlicensed: true},

	{typ: "Condition", name: "Problems", categories: []string{"problem-list-item"}},
	{typ: "Condition", name: "Encounter Diagnosis", categories: []string{"encounter-diagnosis"}},
	{typ: "Condition", name: "Health Concern", categories: []string{"health-concern"}},
	{typ: "Condition", name: "Outside Record Problems", touched: []string{"problem-list-item", "health-concern"}, unlicensed: true},
	{typ: "Condition", name: "Outside Record Health Concern", touched: []string{"health-concern"}, unlicensed: true},
	{typ: "Condition", name: "Outside Record Encounter Diagnosis", touched: []string{"encounter-diagnosis"}, unlicensed: true},

	{typ: "Observation", name: "Labs", categories: []string{"laboratory"}},
	{typ: "Observation", name: "Vital Signs", categories: []string{"vital-signs"}},
	{typ: "Observation", name: "Social History", categories: []string{"social-history"}},
	{typ: "Observation", name: "Core Characteristics", categories: []string{"core-characteristics"}},
	{typ: "Observation", name: "LDA", categories: []string{"LDA", "LDA-property", "LDA-assessment"}},
	{typ: "Observation", name: "Functional Mental Status", categories: []string{"functional-mental-status"}},
	{typ: "Observation", name: "Labor Delivery", categories: []string{"labor-delivery", "newborn-delivery"}},
	{typ: "Observation", name: "Obstetrics and Gynecology", categories: []string{"obstetrics-gynecology"}},
	{typ: "Observation", name: "Periodontal", categories: []string{"periodontal"}},
	{typ: "Observation", name: "Assessments", categories: []string{"survey"}, touched: []string{"sdoh"}},
	{typ: "Observation", name: "SDOH Assessments", categories: []string{"sdoh"}, touched: []string{"survey"}},
	{typ: "Observation", name: "SmartData Elements", categories: []string{"procedure", "therapy", "activity", "smartdata"}, touched: []string{"imaging", "exam"}},
	{typ: "Observation", name: "Study Finding", categories: []string{"imaging", "exam"}},
	{typ: "Observation", name: "DICOM Image Characteristics", touched: []string{"imaging"}, unlicensed: true},
	{typ: "Observation", name: "Phenotype", categories: []string{"phenotype"}},
	{typ: "Observation", name: "Outside Record Results", touched: []string{"laboratory"}, unlicensed: true},
	{typ: "Observation", name: "Outside Record Vital Signs", touched: []string{"vital-signs"}, unlicensed: true},

	{typ: "DocumentReference", name: "Clinical Notes", categories: []string{"clinical-note"}},
	{typ: "DocumentReference", name: "Document Information", categories: []string{"document-information"}},
	{typ: "DocumentReference", name: "External CDAs", categories: []string{"summary-document"}},
	{typ: "DocumentReference", name: "Radiology Results", categories: []string{"imaging-result"}},

	{typ: "CarePlan", name: "Longitudinal CarePlan", categories: []string{"38717003"}},
	{typ: "CarePlan", name: "Encounter CarePlan", categories: []string{"734163000"}},
	{typ: "CarePlan", name: "Outpatient CarePlan", categories: []string{"736271009"}},
	{typ: "CarePlan", name: "Inpatient CarePlan", categories: []string{"736353004"}},
	{typ: "CarePlan", name: "Dental CarePlan", categories: []string{"738906000"}},
	{typ: "CarePlan", name: "Oncology", categories: []string{"736378000"}},
	{typ: "CarePlan", name: "Questionnaires Due", categories: []string{"719091000000102"}},
	{typ: "CarePlan", name: "Anticoagulation CarePlan", categories: []string{"959871000000107"}},
	{typ: "CarePlan", name: "Inpatient Pathway", categories: []string{"inpatient-pathway"}},
	{typ: "CarePlan", name: "Patient Education", categories: []string{"409073007"}},
	{typ: "CarePlan", name: "Care Path", categories: []string{"care-path"}},
}

// access is what one token sees of one type by one interaction ("Read" or "Search").
type access struct {
	typ     string
	granted []subAPI // sub-APIs that hold something and may be used
	denied  []subAPI // the others, held or not
}

// access sorts the type's sub-APIs.
func accessTo(g grantedAPIs, typ, interaction string) access {
	a := access{typ: typ}
	for _, sub := range subAPIs {
		if sub.typ != typ {
			continue
		}
		ok := g.maySub(typ, interaction, sub.name)
		if sub.unlicensed {
			ok = g.set[typ+"."+interaction][sub.name]
		}
		if ok {
			a.granted = append(a.granted, sub)
		} else {
			a.denied = append(a.denied, sub)
		}
	}
	return a
}

// withholds names the sub-API for lack of which a resource with these category codes is not
// shown: it belongs to sub-APIs, and none of them is granted.
func (a access) withholds(categories []string) (subAPI, bool) {
	for _, sub := range a.granted {
		if overlap(sub.categories, categories) {
			return subAPI{}, false
		}
	}
	for _, sub := range a.denied {
		if overlap(sub.categories, categories) {
			return sub, true
		}
	}
	return subAPI{}, false
}

// searched splits what a search for these categories touches. No categories: everything.
func (a access) searched(categories []string) (granted, denied []subAPI) {
	touches := func(sub subAPI) bool {
		return len(categories) == 0 || overlap(sub.touched, []string{"*"}) ||
			overlap(sub.categories, categories) || overlap(sub.touched, categories)
	}
	for _, sub := range a.granted {
		if touches(sub) {
			granted = append(granted, sub)
		}
	}
	for _, sub := range a.denied {
		if touches(sub) {
			denied = append(denied, sub)
		}
	}
	return granted, denied
}

func overlap(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}
