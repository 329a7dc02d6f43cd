package sim

import (
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawnScope is a scope before it is spelled: the oracle never reads one.
type drawnScope struct {
	level, typ, actions, category string
}

func (d drawnScope) text() string {
	text := d.level + "/" + d.typ + "." + d.actions
	if d.category != "" {
		text += "?category=" + d.category
	}
	return text
}

// chartFact is what the oracle knows of a resource in the ward, by heart.
type chartFact struct {
	typ, id, owner, category string
	kept                     bool // from the patient
}

var chartFacts = []chartFact{
	{"Patient", "eAnn3", "Ann", "", false},
	{"Patient", "eBob3", "Bob", "", false},
	{"Observation", "lab1Ann", "Ann", "laboratory", false},
	{"Observation", "lab2Bob", "Bob", "laboratory", false},
	{"Observation", "vitalAnn", "Ann", "vital-signs", false},
	{"Observation", "vitalBob", "Bob", "vital-signs", false},
	{"Condition", "problemAnn", "Ann", "problem-list-item", false},
	{"Condition", "problemBob", "Bob", "problem-list-item", false},
	{"DocumentReference", "noteAnn", "Ann", "clinical-note", false},
	{"DocumentReference", "secretAnn", "Ann", "clinical-note", true},
	{"DocumentReference", "noteBob", "Bob", "clinical-note", false},
	{"Binary", "notetextAnn", "Ann", "", false},
	{"Binary", "secrettextAnn", "Ann", "", true},
	{"Binary", "notetextBob", "Bob", "", false},
	{"Provenance", "provAnn", "Ann", "", false},
	{"Provenance", "provBoth", "Ann and Bob", "", false},
	{"Practitioner", "eDoc3", "", "", false},
}

// ruling is the rules' decision on one resource, straight from their wording.
func ruling(scopes []drawnScope, f chartFact, clinician bool, letter string) string {
	says := map[string]string{"read": "rs", "READ": "rs", "write": "cud", "*": "cruds"}
	about, seen := false, false
	for _, d := range scopes {
		letters := says[d.actions]
		if letters == "" {
			letters = d.actions
		}
		if d.level == "system" || d.typ != "*" && d.typ != f.typ || !strings.Contains(letters, letter) || d.actions == "sr" {
			continue
		}
		about = true
		switch {
		case f.kept && !clinician, f.owner != "" && f.owner != "Ann" && (!clinician || d.level == "patient"):
			continue // not there, for this scope
		case d.category == "" || d.category[strings.Index(d.category, "|")+1:] == f.category:
			return "shown"
		}
		seen = true
	}
	switch {
	case seen:
		return "other part"
	case about:
		return "absent"
	}
	return "no scope"
}

func TestScopesDecideLikeTheRulesReadAloud(t *testing.T) {
	w := newWard(t, Knobs{})
	one := rapid.Custom(func(t *rapid.T) drawnScope {
		return drawnScope{
			rapid.SampledFrom([]string{"patient", "patient", "user", "system"}).Draw(t, "level"),
			rapid.SampledFrom([]string{"*", "Patient", "Observation", "Observation", "Condition", "DocumentReference", "Binary", "Provenance", "Practitioner"}).Draw(t, "type"),
			rapid.SampledFrom([]string{"r", "s", "rs", "cud", "cruds", "read", "READ", "write", "*", "sr", "crs"}).Draw(t, "actions"),
			rapid.SampledFrom([]string{"", "", "laboratory", "vital-signs", "any|laboratory", "problem-list-item", "clinical-note", "nothing"}).Draw(t, "category"),
		}
	})
	reached := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		scopes := rapid.SliceOfN(one, 0, 5).Draw(rt, "scopes")
		clinician := rapid.Bool().Draw(rt, "clinician")
		user, words := ofAnn, []string{"openid"}
		if clinician {
			user = ofDoc
		}
		for _, d := range scopes {
			words = append(words, d.text())
		}
		token := w.token(user, strings.Join(words, " "))
		for _, f := range chartFacts {
			want := ruling(scopes, f, clinician, "r")
			reached[want]++
			a := w.get(f.typ+"/"+f.id, token)
			status := map[string]int{"shown": 200, "other part": 403, "absent": 404, "no scope": 403}[want]
			if a.status != status || a.has("59203") != (want == "other part") {
				rt.Fatalf("%s/%s to %s with %q: %d, want %s", f.typ, f.id, user, words, a.status, want)
			}
			if f.typ == "Binary" || f.typ == "Provenance" { // have no search by id
				continue
			}
			want = ruling(scopes, f, clinician, "s")
			a = w.get(f.typ+"?_id="+f.id, token)
			found := strings.Contains(a.text, `"id":"`+f.id+`"`)
			if found != (want == "shown") || want == "no scope" && a.status != http.StatusForbidden {
				rt.Fatalf("the search for %s/%s by %s with %q: status %d, found %v, want %s", f.typ, f.id, user, words, a.status, found, want)
			}
		}
	})
	for _, one := range []string{"shown", "other part", "absent", "no scope"} {
		if reached[one] == 0 {
			t.Errorf("no draw reached the decision %q", one)
		}
	}
}

func TestScopesInCommonAllowWhatBothAllow(t *testing.T) {
	for _, row := range []struct{ asked, registered, version, want string }{
		{"patient/Observation.rs", "patient/Observation.r patient/Observation.s", "v2", "patient/Observation.r patient/Observation.s"},
		{"patient/*.read", "patient/Patient.r patient/Condition.s?category=a|b", "v2", "patient/Patient.r patient/Condition.s?category=a|b"},
		{"patient/Patient.cruds", "patient/Patient.read", "v1", "patient/Patient.read"},
		{"patient/Patient.r", "patient/Patient.read", "v1", "patient/Patient.r"},
		{"patient/Patient.*", "patient/*.cud", "v1", "patient/Patient.write"},
		{"patient/Observation.rs?category=a|b", "patient/Observation.rs", "v2", "patient/Observation.rs?category=a|b"},
		{"patient/Observation.rs?category=a%7Cb", "patient/Observation.s?category=a|b", "v2", "patient/Observation.s?category=a%7Cb"},
		{"patient/Observation.rs?category=a|b", "patient/Observation.rs?category=a|c", "v2", ""},
		{"user/Patient.rs", "patient/Patient.rs", "v2", ""},
		{"patient/Patient.r patient/Patient.read", "patient/Patient.r", "v2", "patient/Patient.r"},
		{"patient/Patient.sr openid nonsense", "patient/Patient.rs", "v2", ""},
		{"patient/Condition.d", "patient/Condition.rs", "v2", ""},
	} {
		var got []string
		for _, r := range parseScopes(row.asked).within(parseScopes(row.registered)) {
			got = append(got, r.spell(row.version))
		}
		if text := strings.Join(got, " "); text != row.want {
			t.Errorf("%q and %q have %q in common, want %q", row.asked, row.registered, text, row.want)
		}
	}
}

// Consent and enforcement share one reading; it takes these for scopes and those for none.
func TestOddSpellingsOfScopes(t *testing.T) {
	for _, text := range []string{
		"patient/Patient.Read", "patient/Patient.READ", "patient/Patient.RS", "patient/*.*", "user/Binary.read", "patient/Patient.cruds",
		"patient/Observation.rs?category=a|b", "patient/Observation.rs?category=a%7Cb&code=x", "system/*.Write",
	} {
		if _, ok := parseScope(text); !ok {
			t.Errorf("%q is not read as a scope", text)
		}
	}
	for _, text := range []string{
		"patient/Patient", "Patient.r", "patient/.r", "patient/Patient.", "PATIENT/Patient.r", "patient/Pat1ent.r", "launch/patient",
		"patient/Patient.r?", "", "patient/Patient.sr", "patient/Patient.rr", "patient/Patient.x", "patient/patient.r",
		"patient/Patient.r?category", "patient/Patient.r?category=", "patient/Patient.r*",
	} {
		if set := parseScopes(text); len(set.rules) != 0 {
			t.Errorf("%q allows something", text)
		}
	}
}
