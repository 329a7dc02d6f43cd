package smart_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/andironhq/andiron/smart"
)

const labs = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"

func TestParseScopes(t *testing.T) {
	tests := []struct {
		name string
		text string
		want string // the shortest form in version 2
	}{
		{"nothing", "", ""},
		{"words of version 1 stand for letters", "patient/Observation.read user/Condition.write system/Group.*", "patient/Observation.rs system/Group.cruds user/Condition.cud"},
		{"the star of version 1 works for every type", "patient/*.*", "patient/*.cruds"},
		{"one-letter scopes combine", "system/Account.r system/Account.s", "system/Account.rs"},
		{"letters of two answers come in order", "system/Claim.cu system/Claim.r", "system/Claim.cru"},
		{"letters out of order are read", "patient/Patient.sr", "patient/Patient.rs"},
		{"case and duplicates, as Epic writes them", "user/Binary.Read user/Binary.read", "user/Binary.rs"},
		{"spaces at the end and in between", "Patient.read Patient.search ", "Patient.read Patient.search"},
		{"tabs and line ends separate", "openid\tlaunch\r\nfhirUser", "fhirUser launch openid"},
		{"a filter is a scope of its own", "patient/Observation.r?category=" + labs + " patient/Observation.s", "patient/Observation.s patient/Observation.r?category=" + labs},
		{"filters are spelled one way", "patient/Observation.rs?category=b,a&code=x patient/Observation.rs?code=x&category=a,b,a", "patient/Observation.rs?category=a,b&code=x"},
		{"escapes in filters are taken off", "patient/Observation.rs?category=http%3A%2F%2Fterminology.hl7.org%2FCodeSystem%2Fobservation-category%7Claboratory", "patient/Observation.rs?category=" + labs},
		{"an escaped comma stays one", "patient/Observation.rs?code=a%2Cb", "patient/Observation.rs?code=a%2Cb"},
		{"a filter that says nothing is no resource scope", "patient/Observation.rs? patient/Observation.rs?category= patient/Observation.rs?category=%zz", "patient/Observation.rs? patient/Observation.rs?category= patient/Observation.rs?category=%zz"},
		{"URIs of scopes are scopes", "http://smarthealthit.org/fhir/scopes/patient/Observation.rs http://smarthealthit.org/fhir/scopes/launch/patient", "launch/patient patient/Observation.rs"},
		{"other URIs stay", "https://h.example/scopes/x http://smarthealthit.org/fhir/scopes/other", "http://smarthealthit.org/fhir/scopes/other https://h.example/scopes/x"},
		{"names of servers' own stay", "epic.scanning.dmsusername __acme.thing user/CriteriaReview.read", "__acme.thing epic.scanning.dmsusername user/CriteriaReview.rs"},
		{"the APIs of Epic's CDS Hooks tokens are one name each", "Observation.Read (Labs) (R4) Observation.Search (Vital Signs) (R4) openid", "Observation.Read (Labs) (R4) Observation.Search (Vital Signs) (R4) openid"},
		{"a parenthesis that is not closed belongs to nothing", "Observation.Read (Labs openid", "(Labs Observation.Read openid"},
		{"what only looks like a resource scope stays text", "patient/observation.rs patient/Observation.rx tenant/Observation.rs patient/Observation.", "patient/Observation. patient/Observation.rx patient/observation.rs tenant/Observation.rs"},
		{"what no scope may hold is left out", "openid \x1b[31m pat\u00efent/Patient.rs", "openid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := smart.ParseScopes(tt.text).String(); got != tt.want {
				t.Errorf("%q means\n%s, want\n%s", tt.text, got, tt.want)
			}
		})
	}
}

func TestScopesInVersion1(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"letters become words", "patient/Patient.rs user/Task.cud system/Group.cruds", "patient/Patient.read system/Group.* user/Task.write"},
		{"single letters become the word that holds them", "patient/Patient.r patient/Task.su", "patient/Patient.read patient/Task.*"},
		{"filters are dropped and what is left combines", "patient/Observation.rs?category=a patient/Observation.rs?category=b", "patient/Observation.read"},
		{"other scopes stay", "launch openid offline_access", "launch offline_access openid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := smart.ParseScopes(tt.text).Version1(); got != tt.want {
				t.Errorf("%q in version 1 is %s, want %s", tt.text, got, tt.want)
			}
		})
	}
}

func TestScopesCover(t *testing.T) {
	tests := []struct {
		name          string
		granted, need string
		missing       string
	}{
		{"version 1 covers version 2", "patient/Observation.read", "patient/Observation.rs", ""},
		{"version 2 covers version 1", "patient/Observation.rs", "patient/Observation.read", ""},
		{"letters from several grants", "system/Account.r system/Account.s", "system/Account.read", ""},
		{"a letter is missing", "system/Account.r", "system/Account.read", "system/Account.s"},
		{"every type covers one", "patient/*.rs", "patient/Observation.rs", ""},
		{"one type does not cover every", "patient/Observation.rs", "patient/*.rs", "patient/*.rs"},
		{"no filter covers any filter", "patient/Observation.rs", "patient/Observation.rs?category=" + labs, ""},
		{"a filter does not cover the whole", "patient/Observation.rs?category=" + labs, "patient/Observation.rs", "patient/Observation.rs"},
		{"filters never add up to the whole", "patient/Observation.rs?category=a patient/Observation.rs?category=b", "patient/Observation.rs", "patient/Observation.rs"},
		{"filters do not add up to a list of values either", "patient/Observation.rs?category=a patient/Observation.rs?category=b", "patient/Observation.rs?category=a,b", "patient/Observation.rs?category=a,b"},
		{"a list of values covers one of them", "patient/Observation.rs?category=a,b", "patient/Observation.rs?category=b", ""},
		{"one value does not cover a list", "patient/Observation.rs?category=b", "patient/Observation.rs?category=a,b", "patient/Observation.rs?category=a,b"},
		{"a need may be narrower by another parameter", "patient/Observation.rs?category=a", "patient/Observation.rs?category=a&code=x", ""},
		{"a grant with two parameters needs both", "patient/Observation.rs?category=a&code=x", "patient/Observation.rs?category=a", "patient/Observation.rs?category=a"},
		{"a filter may cover one letter and none the other", "patient/Observation.r patient/Observation.s?category=a", "patient/Observation.rs?category=a", ""},
		{"levels do not replace each other", "user/Observation.rs system/Observation.rs", "patient/Observation.rs", "patient/Observation.rs"},
		{"other scopes are compared as text", "openid launch/patient", "openid launch/patient launch", "launch"},
		{"nothing granted", "", "openid patient/Patient.r", "openid patient/Patient.r"},
		{"nothing needed", "", "", ""},
		{"a grant that cannot be read covers nothing", "patient/Observation.rs?category=", "patient/Observation.rs", "patient/Observation.rs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			granted, need := smart.ParseScopes(tt.granted), smart.ParseScopes(tt.need)
			if got := granted.Missing(need).String(); got != tt.missing {
				t.Errorf("of %q, %q lacks %q, want %q", tt.need, tt.granted, got, tt.missing)
			}
			all := true
			for _, n := range need {
				all = all && granted.Covers(n)
			}
			if all != (tt.missing == "") {
				t.Errorf("Covers says %v of %q under %q, and Missing is %q", all, tt.need, tt.granted, tt.missing)
			}
		})
	}
}

func TestNothingIsCoveredByAndCoversNoScope(t *testing.T) {
	if (smart.Scopes{{}}).Covers(smart.Scope{}) || (smart.Scopes{}).Covers(smart.Scope{}) {
		t.Error("the zero Scope must be covered by nothing")
	}
	broken := smart.Scope{Level: "patient", Type: "Observation", Actions: "rs", Query: "category"}
	if (smart.Scopes{broken}).Covers(smart.Scope{Level: "patient", Type: "Observation", Actions: "rs"}) {
		t.Error("a filter that cannot be read must cover nothing")
	}
	if (smart.Scopes{{Level: "patient", Type: "Observation", Actions: "rs"}}).Covers(smart.Scope{Level: "patient", Type: "Observation"}) {
		t.Error("a scope without letters must not count as covered")
	}
}

// The answer of Epic's sandbox to a program (April 2026) has 151 scopes, mostly of one letter.
func TestOneLetterScopesOfAWholeServerCombine(t *testing.T) {
	types := strings.Fields("Account Appointment Binary CarePlan Claim Condition Observation Patient Task")
	var granted []string
	for _, typ := range types {
		granted = append(granted, "system/"+typ+".r", "system/"+typ+".s")
	}
	slices.Reverse(granted)
	got := smart.ParseScopes(strings.Join(granted, " "))
	for _, typ := range types {
		if !got.Covers(smart.Scope{Level: "system", Type: typ, Actions: "rs"}) {
			t.Errorf("system/%s.r and .s together do not cover .rs", typ)
		}
	}
	if n := len(got.Shortest()); n != len(types) {
		t.Errorf("the shortest form has %d scopes, want one for each of %d types", n, len(types))
	}
}

func TestDiffScopes(t *testing.T) {
	tests := []struct {
		name           string
		asked, granted string
		want           string
	}{
		{"as asked", "openid patient/Patient.read", "patient/Patient.r patient/Patient.s openid", ""},
		{"less", "patient/Patient.rs patient/Observation.rs", "patient/Patient.rs patient/Observation.r", "missing patient/Observation.s"},
		{"more", "patient/Patient.rs", "patient/Patient.rs patient/Condition.rs user/Binary.read", "extra patient/Condition.rs user/Binary.rs"},
		{"at user level", "patient/Patient.rs", "user/Patient.rs", "patient/Patient.rs as user/Patient.rs"},
		{"one letter at user level, one not at all", "patient/Patient.rs", "user/Patient.r", "missing patient/Patient.s; patient/Patient.r as user/Patient.r"},
		{"under a filter", "patient/Observation.rs", "patient/Observation.rs?category=a patient/Observation.rs?category=b", "patient/Observation.rs only patient/Observation.rs?category=a patient/Observation.rs?category=b"},
		{"some types of all", "patient/*.read", "patient/Patient.read patient/Observation.read", "patient/*.rs only patient/Observation.rs patient/Patient.rs"},
		{"what answers do not repeat", "launch/patient openid offline_access patient/Patient.rs", "patient/Patient.rs", "unsaid launch/patient offline_access openid"},
		{"a name of the server's own", "epic.scanning.dmsusername", "", "missing epic.scanning.dmsusername"},
		{"nothing at all", "patient/Patient.rs", "", "missing patient/Patient.rs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := smart.DiffScopes(smart.ParseScopes(tt.asked), smart.ParseScopes(tt.granted))
			var got []string
			if len(d.Missing) > 0 {
				got = append(got, "missing "+d.Missing.String())
			}
			if len(d.Extra) > 0 {
				got = append(got, "extra "+d.Extra.String())
			}
			for _, p := range d.Narrower {
				got = append(got, p.Asked.String()+" only "+p.Granted.String())
			}
			for _, p := range d.Elsewhere {
				got = append(got, p.Asked.String()+" as "+p.Granted.String())
			}
			if len(d.Unsaid) > 0 {
				got = append(got, "unsaid "+d.Unsaid.String())
			}
			if s := strings.Join(got, "; "); s != tt.want {
				t.Errorf("asked %q, granted %q: got %q, want %q", tt.asked, tt.granted, s, tt.want)
			}
			if full := len(d.Missing)+len(d.Narrower)+len(d.Elsewhere) == 0; d.Full() != full {
				t.Errorf("Full is %v", d.Full())
			}
		})
	}
}

func TestScopesAreListsOfTextsInJSON(t *testing.T) {
	in := smart.ParseScopes("patient/Observation.read?category=a openid")
	b, err := json.Marshal(in)
	if err != nil || string(b) != `["patient/Observation.rs?category=a","openid"]` {
		t.Fatalf("JSON is %s, %v", b, err)
	}
	var out smart.Scopes
	if err := json.Unmarshal(b, &out); err != nil || out.String() != in.String() {
		t.Errorf("read back: %s, %v", out, err)
	}
}

// scopeText makes scopes of every kind, often alike.
var scopeText = rapid.Custom(func(t *rapid.T) string {
	if rapid.IntRange(0, 5).Draw(t, "kind") == 0 {
		return rapid.SampledFrom([]string{"openid", "launch", "launch/patient", "__x", "https://h.example/s", "Observation.Read (Labs) (R4)"}).Draw(t, "other")
	}
	s := rapid.SampledFrom([]string{"patient", "user", "system"}).Draw(t, "level") + "/" +
		rapid.SampledFrom([]string{"*", "Observation", "Patient"}).Draw(t, "type") + "." +
		rapid.SampledFrom([]string{"r", "s", "rs", "cud", "cruds", "read", "write", "*", "Read", "c"}).Draw(t, "actions")
	if q := rapid.SampledFrom([]string{"", "", "?category=a", "?category=a,b", "?category=b&code=x", "?code=x", "?category=a&category=a,b"}).Draw(t, "query"); q != "" {
		s += q
	}
	return s
})

var scopeList = rapid.Custom(func(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(scopeText, 0, 6).Draw(t, "scopes"), " ")
})

func coversAll(granted, need smart.Scopes) bool { return len(granted.Missing(need)) == 0 }

func TestScopeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := smart.ParseScopes(scopeList.Draw(t, "a"))
		b := smart.ParseScopes(scopeList.Draw(t, "b"))
		c := smart.ParseScopes(scopeList.Draw(t, "c"))
		both := slices.Concat(a, b)
		if !coversAll(a, a) {
			t.Fatalf("%s does not cover itself", a)
		}
		if coversAll(a, b) && coversAll(b, c) && !coversAll(a, c) {
			t.Fatalf("%s covers %s, which covers %s, but the first does not cover the last", a, b, c)
		}
		if coversAll(a, c) && !coversAll(both, c) {
			t.Fatalf("%s covers %s, and with %s added no longer", a, c, b)
		}
		if !coversAll(both, a) || !coversAll(both, b) {
			t.Fatalf("%s and %s together do not cover each", a, b)
		}
		if again := smart.ParseScopes(both.String()); !coversAll(again, both) || !coversAll(both, again) {
			t.Fatalf("the shortest form %s is not the same as the list", again)
		}
		if old := smart.ParseScopes(a.Version1()); !coversAll(old, a) {
			t.Fatalf("%s in version 1 is %s, which is less", a, old)
		}
		shuffled := slices.Clone(both)
		slices.Reverse(shuffled)
		if shuffled.String() != both.String() {
			t.Fatalf("the order of scopes matters: %s and %s", both, shuffled)
		}
		d := smart.DiffScopes(a, b)
		if d.Full() != (len(slices.DeleteFunc(b.Missing(a), func(s smart.Scope) bool { return slices.Contains(d.Unsaid, s) })) == 0) {
			t.Fatalf("asked %s, granted %s: the difference is %+v", a, b, d)
		}
	})
}

func TestVersionsAreEquivalent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := scopeList.Draw(t, "scopes")
		letters := strings.NewReplacer(".read", ".rs", ".Read", ".rs", ".write", ".cud", ".*", ".cruds").Replace(
			strings.ReplaceAll(list, "Observation.Read (Labs) (R4)", "")) // an API's name is no scope of version 1
		list = strings.ReplaceAll(list, "Observation.Read (Labs) (R4)", "")
		if got, want := smart.ParseScopes(list).String(), smart.ParseScopes(letters).String(); got != want {
			t.Fatalf("%q is %s, in letters %s", list, got, want)
		}
	})
}

func FuzzParseScopes(f *testing.F) {
	for _, s := range []string{
		"patient/Observation.rs?category=" + labs, "user/Binary.Read  openid ", "A.Read (B C) (D) (E", "(X A.Read foo (X)",
		"patient/*.*?a=b&a=c,%2C,%20", "http://smarthealthit.org/fhir/scopes/patient/*.read", "patient/Patient.rs?%3D=%26", "\xff\x00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := smart.ParseScopes(s)
		text := once.String()
		twice := smart.ParseScopes(text)
		if again := twice.String(); again != text {
			t.Fatalf("%q is %q, read again %q", s, text, again)
		}
		if !coversAll(once, twice) || !coversAll(twice, once) {
			t.Fatalf("%q and its shortest form %q differ", s, text)
		}
		_ = once.Version1()
	})
}

func ExampleScopes() {
	granted := smart.ParseScopes("system/Account.r system/Account.s user/Binary.Read patient/*.read")
	fmt.Println(granted)
	fmt.Println(granted.Covers(smart.Scope{Level: "patient", Type: "Observation", Actions: "rs"}))
	fmt.Println(granted.Missing(smart.ParseScopes("system/Account.rs system/Account.u user/Patient.read")))
	fmt.Println(granted.Version1())
	// Output:
	// patient/*.rs system/Account.rs user/Binary.rs
	// true
	// system/Account.u user/Patient.rs
	// patient/*.read system/Account.read user/Binary.read
}

func ExampleDiffScopes() {
	d := smart.DiffScopes(
		smart.ParseScopes("launch/patient patient/Patient.read patient/Observation.read patient/Condition.read"),
		smart.ParseScopes("patient/Patient.rs user/Condition.rs patient/Observation.rs?category=laboratory"))
	for _, p := range d.Narrower {
		fmt.Println(p.Asked, "only as", p.Granted)
	}
	for _, p := range d.Elsewhere {
		fmt.Println(p.Asked, "granted at another level:", p.Granted)
	}
	fmt.Println("not repeated:", d.Unsaid)
	// Output:
	// patient/Observation.rs only as patient/Observation.rs?category=laboratory
	// patient/Condition.rs granted at another level: user/Condition.rs
	// not repeated: launch/patient
}
