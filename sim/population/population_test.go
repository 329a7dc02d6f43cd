package population

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/r4"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestEqualConfigsGiveEqualBytes(t *testing.T) {
	config := Config{Seed: 7, Patients: 20}
	a, b := digest(New(config)), digest(New(config))
	if a != b {
		t.Error("two populations of one Config differ")
	}
	if c := digest(New(Config{Seed: 8, Patients: 20})); c == a {
		t.Error("another seed gives the same population")
	}
}

func TestAllYieldsTheDirectoryAndThenTheChartsInOrder(t *testing.T) {
	p := New(Config{Seed: 3, Patients: 25})
	want := slices.Clone(p.Directory())
	for k := range p.Len() {
		want = append(want, p.Chart(k)...)
	}
	var got []Resource
	for r := range p.All() {
		got = append(got, r)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("All yields %d resources, directory and charts one by one give %d, and they are not the same", len(got), len(want))
	}
}

// The bubble of synctest ends only when every goroutine in it has ended.
func TestAllCanBeLeftEarly(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		for range 5 {
			n := 0
			for range New(Config{Patients: 50}).All() {
				if n++; n > 150 {
					break
				}
			}
		}
	})
}

func TestPatientsDoNotDependOnTheSize(t *testing.T) {
	small, large := New(Config{Seed: 5, Patients: 20}), New(Config{Seed: 5, Patients: 2000})
	for k := range small.Len() {
		if !reflect.DeepEqual(small.Chart(k), large.Chart(k)) {
			t.Errorf("patient %d differs between 20 and 2000 patients", k)
		}
	}
	if id := large.PatientID(1999); id != large.Chart(1999)[0].ID {
		t.Errorf("PatientID says %s, the chart begins with %s", id, large.Chart(1999)[0].ID)
	}
}

func TestNamedPatientsAreTheSameUnderEverySeed(t *testing.T) {
	a, b := New(Config{Seed: 1}), New(Config{Seed: 99})
	for k := range People() {
		if !reflect.DeepEqual(a.Chart(k), b.Chart(k)) {
			t.Errorf("the chart of %s depends on the seed", People()[k].Given)
		}
	}
	if !reflect.DeepEqual(a.Directory(), b.Directory()) {
		t.Error("the directory depends on the seed")
	}
}

func TestTheGoldenPopulation(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the golden file was written on amd64; the last bit of a float may differ elsewhere")
	}
	counts, sums := map[string]int{}, map[string][]byte{}
	for r := range New(Config{Seed: 42, Patients: 12}).All() {
		counts[r.Type]++
		h := sha256.New()
		h.Write(sums[r.Type])
		h.Write([]byte(r.Patient + "|" + r.API + "|"))
		h.Write(r.JSON)
		sums[r.Type] = h.Sum(nil)
	}
	var b strings.Builder
	types := make([]string, 0, len(counts))
	for name := range counts {
		types = append(types, name)
	}
	slices.Sort(types)
	for _, name := range types {
		fmt.Fprintf(&b, "%s %d %x\n", name, counts[name], sums[name][:12])
	}
	path := filepath.Join("testdata", "golden.txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the population of seed 42 has changed. If that is meant, run go test -run Golden -update and say so in the changelog: users' fixtures change with it.\ngot:\n%swant:\n%s", b.String(), want)
	}
}

func TestEveryReferenceResolvesAndIsRelative(t *testing.T) {
	var limited []parsed
	for r := range New(Config{Seed: 2, Patients: 25, Scheme: Limited}).All() {
		limited = append(limited, parsed{r, parse(t, r.JSON)})
	}
	for scheme, all := range map[Scheme][]parsed{Unlimited: usualParsed(t), Limited: limited} {
		known := map[string]bool{}
		for _, r := range all {
			known[r.Type+"/"+r.ID] = true
		}
		references := 0
		for _, r := range all {
			walk(r.Type, r.m, func(path, key string, v any) {
				s, ok := v.(string)
				isAttachment := key == "url" && strings.HasSuffix(path, "attachment")
				if !ok || key != "reference" && !isAttachment {
					return
				}
				references++
				if !isRelative(s) || !known[s] {
					t.Errorf("%s: %s/%s: %s refers to %q, which is not in the population", scheme, r.Type, r.ID, path, s)
				}
			})
		}
		if references < 1000 {
			t.Errorf("%s: only %d references were found", scheme, references)
		}
	}
}

func TestReferencesCarryADisplay(t *testing.T) {
	with, without := 0, 0
	for _, r := range usualParsed(t) {
		walk(r.Type, r.m, func(_, _ string, v any) {
			if m, ok := v.(map[string]any); ok && m["reference"] != nil {
				if m["display"] != nil {
					with++
				} else {
					without++
				}
			}
		})
	}
	if without*50 > with {
		t.Errorf("%d references have a display, %d have none", with, without)
	}
}

func TestNothingThatEpicNeverSends(t *testing.T) {
	for _, r := range usualParsed(t) {
		for _, name := range []string{"meta", "contained", "implicitRules", "language"} {
			if _, there := r.m[name]; there {
				t.Errorf("%s/%s has a member %s", r.Type, r.ID, name)
			}
		}
		if _, there := r.m["text"]; there && r.Type != "CarePlan" {
			t.Errorf("%s/%s has a narrative", r.Type, r.ID)
		}
		if r.Type == "MedicationRequest" && (r.m["medicationCodeableConcept"] != nil || textOf(r.m, "medicationReference", "display") == "") {
			t.Errorf("MedicationRequest/%s names its medication otherwise than by a reference with a display", r.ID)
		}
	}
}

func TestResourcesDecodeAndEncodeToTheSameValue(t *testing.T) {
	for _, r := range usual() {
		decoded, err := r4.Unmarshal(r.JSON)
		if err != nil {
			t.Fatalf("%s/%s does not decode: %v", r.Type, r.ID, err)
		}
		if decoded.ResourceType() != r.Type || decoded.GetID() != r.ID {
			t.Fatalf("%s/%s decodes as %s/%s", r.Type, r.ID, decoded.ResourceType(), decoded.GetID())
		}
		encoded, err := r4.Marshal(decoded)
		if err != nil {
			t.Fatalf("%s/%s does not encode: %v", r.Type, r.ID, err)
		}
		if !bytes.Equal(encoded, r.JSON) && !reflect.DeepEqual(parse(t, encoded), parse(t, r.JSON)) {
			t.Fatalf("%s/%s changes when it is decoded and encoded:\n%s\n%s", r.Type, r.ID, r.JSON, encoded)
		}
	}
}

func TestIDsAreUniqueAndHaveTheFormOfTheirType(t *testing.T) {
	pattern := regexp.MustCompile(`^[A-Za-z0-9.-]+$`)
	for _, scheme := range []Scheme{Unlimited, Limited} {
		seen := map[string]bool{}
		lengths := map[string]map[int]bool{}
		for r := range New(Config{Seed: 1, Patients: 40, Scheme: scheme}).All() {
			if seen[r.Type+"/"+r.ID] {
				t.Errorf("%s: the id %s/%s occurs twice", scheme, r.Type, r.ID)
			}
			seen[r.Type+"/"+r.ID] = true
			if !pattern.MatchString(r.ID) {
				t.Errorf("%s: %s/%s has other characters than Epic uses", scheme, r.Type, r.ID)
			}
			if scheme == Limited && len(r.ID) > 64 {
				t.Errorf("%s/%s is longer than 64", r.Type, r.ID)
			}
			if lengths[r.Type] == nil {
				lengths[r.Type] = map[int]bool{}
			}
			lengths[r.Type][len(r.ID)] = true
		}
		want := map[string][]int{"Patient": {24}, "Encounter": {24}, "Practitioner": {24}, "Observation": {66, 130}, "Condition": {24, 45}, "AllergyIntolerance": {88}, "Medication": {66}, "MedicationRequest": {45}, "DocumentReference": {45}, "Binary": {45}}
		if scheme == Limited {
			want = map[string][]int{"Patient": {24}, "Observation": {45, 64}, "Condition": {24, 45}, "AllergyIntolerance": {24, 45}, "Medication": {24}, "Binary": {24, 45}, "DocumentReference": {24}}
		}
		for typ, list := range want {
			for _, n := range list {
				if !lengths[typ][n] {
					t.Errorf("%s: no %s has an id of %d characters", scheme, typ, n)
				}
			}
			if len(lengths[typ]) != len(list) {
				t.Errorf("%s: ids of %s have the lengths %v, not %v", scheme, typ, lengths[typ], list)
			}
		}
	}
	for _, p := range People() {
		if len(p.ID) != 24 || p.ID[0] != 'e' || p.ID[23] != '3' {
			t.Errorf("the id of %s has not the form of a Patient id: %s", p.Given, p.ID)
		}
	}
	if len(ImogenMergedID) != 24 {
		t.Error("the merged id has not the form of a Patient id")
	}
}

func TestNothingHappensAfterTodayOrBeforeBirth(t *testing.T) {
	later := map[string]bool{ // what may lie ahead
		"Appointment.start": true, "Appointment.end": true, "Appointment.participant.period.start": true, "Appointment.participant.period.end": true,
		"Goal.target.dueDate": true, "MedicationRequest.dispenseRequest.validityPeriod.end": true, "MedicationRequest.dosageInstruction.timing.repeat.boundsPeriod.end": true,
	}
	pattern := regexp.MustCompile(`^\d{4}-\d\d-\d\d(T.*)?$`)
	birth, died := map[string]time.Time{}, map[string]time.Time{}
	dates := 0
	for _, r := range usualParsed(t) {
		if r.Type == "Patient" {
			birth[r.ID] = when(t, textOf(r.m, "birthDate"))
			if d := textOf(r.m, "deceasedDateTime"); d != "" {
				died[r.ID] = when(t, d)
			}
		}
		walk(r.Type, r.m, func(path, key string, v any) {
			s, ok := v.(string)
			if !ok || !pattern.MatchString(s) || later[path+"."+key] {
				return
			}
			dates++
			at := when(t, s)
			if at.After(DefaultNow) {
				t.Errorf("%s/%s: %s.%s is %s, after the population's today", r.Type, r.ID, path, key, s)
			}
			if b, ok := birth[r.Patient]; ok && at.Before(b) {
				t.Errorf("%s/%s: %s.%s is %s, and the patient was born on %s", r.Type, r.ID, path, key, s, b.Format(time.DateOnly))
			}
			if d, ok := died[r.Patient]; ok && at.After(d) {
				t.Errorf("%s/%s: %s.%s is %s, and the patient died on %s", r.Type, r.ID, path, key, s, d.Format(time.DateOnly))
			}
		})
	}
	if dates < 10000 {
		t.Errorf("only %d dates were found", dates)
	}
}

func TestPatientsHaveEpicsShape(t *testing.T) {
	p := New(Config{Patients: 40})
	for k := range p.Len() {
		m := parse(t, p.Chart(k)[0].JSON)
		var urls []string
		for _, e := range m["extension"].([]any) {
			url := textOf(e, "url")
			urls = append(urls, url[strings.LastIndexByte(url, '/')+1:])
		}
		if got := strings.Join(urls, " "); got != "legal-sex sex-for-clinical-use us-core-race us-core-ethnicity us-core-sex calculated-pronouns-to-use-for-text" {
			t.Fatalf("extensions of patient %d: %s", k, got)
		}
		found := map[string]map[string]any{}
		for _, x := range m["identifier"].([]any) {
			id := x.(map[string]any)
			if id["use"] != "usual" {
				t.Errorf("patient %d: identifier with use %v", k, id["use"])
			}
			found[textOf(id, "type", "text")] = id
		}
		if v := textOf(found["INTERNAL"], "value"); len(v) != 10 || v[0] != ' ' {
			t.Errorf("patient %d: INTERNAL is %q, not padded to ten", k, v)
		}
		if textOf(found["INTERNAL"], "system") != textOf(found["EXTERNAL"], "system") {
			t.Errorf("patient %d: INTERNAL and EXTERNAL have different systems", k)
		}
		if textOf(found["EPI"], "system") != MRNSystem || textOf(found["EPI"], "value") != mrnOf(k) {
			t.Errorf("patient %d: the medical record number is %v", k, found["EPI"])
		}
		if textOf(found["FHIR STU3"], "value") != p.PatientID(k) {
			t.Errorf("patient %d: FHIR STU3 is %v", k, found["FHIR STU3"])
		}
		ssn := found[""]
		if ssn["value"] != nil || !regexp.MustCompile(`^xxx-xx-\d{4}$`).MatchString(textOf(ssn, "_value", "extension", "valueString")) {
			t.Errorf("patient %d: the social security number is %v", k, ssn)
		}
	}
}

func TestRecordsAreSeenToBeSynthetic(t *testing.T) {
	phone := regexp.MustCompile(`^608-555-01\d\d$`)
	for _, r := range usualParsed(t) {
		walk(r.Type, r.m, func(path, key string, v any) {
			if key != "telecom" {
				return
			}
			for _, x := range v.([]any) {
				value := textOf(x, "value")
				if !phone.MatchString(value) && !strings.HasSuffix(value, "@example.org") {
					t.Errorf("%s/%s: %s is no number of fiction", r.Type, r.ID, value)
				}
			}
		})
	}
}

func TestTheGuidesExtensionIsAKnob(t *testing.T) {
	url := epic.ExtensionMergeUnmerge
	for _, on := range []bool{false, true} {
		p := New(Config{Patients: 10, GuideExtensions: on})
		for k := range p.Len() {
			if got := bytes.Contains(p.Chart(k)[0].JSON, []byte(url)); got != on {
				t.Errorf("GuideExtensions %v: patient %d has the extension: %v", on, k, got)
			}
		}
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct{ patients, want int }{{0, DefaultPatients}, {3, 3}, {-1, 0}} {
		p := New(Config{Patients: c.patients})
		if p.Len() != c.want {
			t.Errorf("Patients %d gives %d", c.patients, p.Len())
		}
	}
	n := 0
	for r := range New(Config{Patients: -1}).All() {
		if r.Patient != "" {
			t.Errorf("a population of nobody has %s/%s", r.Type, r.ID)
		}
		n++
	}
	if n != len(New(Config{}).Directory()) {
		t.Errorf("a population of nobody yields %d resources, not its directory", n)
	}
	if got := New(Config{Patients: 3}).Merged(); len(got) != 0 {
		t.Errorf("three patients, Imogen not among them, have merges: %v", got)
	}
	if got := New(Config{}).Merged(); got[ImogenMergedID] != ImogenID || len(got) != 1 {
		t.Errorf("Merged() = %v", got)
	}
}

func TestAnotherTodayMovesTheCharts(t *testing.T) {
	now := time.Date(2031, time.February, 3, 9, 30, 0, 0, time.UTC)
	p := New(Config{Patients: 40, Now: now})
	wren := chartOf[r4.Patient](t, p, WrenID)[0]
	if wren.BirthDate != "2023-05-09" {
		t.Errorf("Wren was born on %s and is no longer the child of the story", wren.BirthDate)
	}
	latest := time.Time{}
	for k := range p.Len() {
		for _, r := range p.Chart(k) {
			if r.Type == "Encounter" {
				at := when(t, textOf(parse(t, r.JSON), "period", "start"))
				if at.After(now) {
					t.Errorf("an encounter begins at %v, after today", at)
				}
				if at.After(latest) {
					latest = at
				}
			}
		}
	}
	if now.Sub(latest) > time.Hour {
		t.Errorf("the last encounter is of %v, nobody is seen today", latest)
	}
}

func digest(p *Population) string {
	h := sha256.New()
	for r := range p.All() {
		_, _ = h.Write([]byte(r.Type + "|" + r.ID + "|" + r.Patient + "|" + r.API + "|"))
		_, _ = h.Write(r.JSON)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func BenchmarkPopulation(b *testing.B) {
	b.ReportAllocs()
	for range b.N {
		n, size := 0, 0
		for r := range New(Config{Seed: 1}).All() {
			n++
			size += len(r.JSON)
		}
		b.ReportMetric(float64(n), "resources")
		b.ReportMetric(float64(size)/1e6, "MB")
	}
}
