package population

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/r4"
)

// labOf finds the component that an Observation is of, by the customer's code.
func labOf(o *r4.Observation) *lab {
	for _, l := range labs {
		for _, c := range l.code.Coding {
			if c.System == systemComponent && hasCode(o.Code, systemComponent, c.Code) {
				return l
			}
		}
	}
	return nil
}

func decode[T any, R r4.ResourcePtr[T]](t *testing.T, typ string, list []Resource) []R {
	t.Helper()
	var out []R
	for _, r := range list {
		if r.Type != typ {
			continue
		}
		decoded, err := r4.Unmarshal(r.JSON)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, decoded.(R))
	}
	return out
}

func TestLaboratoryResultsArePlausible(t *testing.T) {
	kinds := map[string]int{}
	seen := map[string]bool{}
	for _, r := range usual() {
		if r.API != "Labs" {
			continue
		}
		decoded, err := r4.Unmarshal(r.JSON)
		if err != nil {
			t.Fatal(err)
		}
		o := decoded.(*r4.Observation)
		l := labOf(o)
		if l == nil {
			t.Fatalf("Observation/%s is of no known component", r.ID)
		}
		seen[l.key] = true
		if len(o.Category) != 2 {
			t.Errorf("%s: a result has %d categories, Epic sends two", l.name, len(o.Category))
		}
		switch v := o.Value.(type) {
		case *r4.Quantity:
			n, err := strconv.ParseFloat(string(v.Value), 64)
			if err != nil || n < l.plausible[0] || n > l.plausible[1] {
				t.Errorf("%s of %s is not plausible", l.name, v.Value)
			}
			if _, decimals, _ := strings.Cut(string(v.Value), "."); v.Comparator == "" && len(decimals) != l.decimals {
				t.Errorf("%s: %s has not %d decimals", l.name, v.Value, l.decimals)
			}
			switch {
			case v.Code != "":
				kinds["quantity with a UCUM unit"]++
			case v.Unit != "":
				kinds["quantity with a unit text"]++
			default:
				kinds["bare quantity"]++
			}
			if v.Comparator != "" {
				kinds["comparator"]++
			}
		case *r4.CodeableConcept:
			kinds["code"]++
		case r4.String:
			kinds["string "+string(v)]++
		case nil:
			kinds["absent"]++
			if o.DataAbsentReason == nil {
				t.Errorf("%s has neither a value nor a reason", l.name)
			}
		default:
			t.Errorf("%s has a value of type %T", l.name, v)
		}
		for _, rr := range o.ReferenceRange {
			if rr.Low == nil && rr.High == nil {
				kinds["range in words"]++
			} else {
				kinds["range in numbers"]++
			}
		}
		for _, i := range o.Interpretation {
			kinds["interpretation "+i.Text]++
		}
	}
	for _, k := range []string{
		"quantity with a UCUM unit", "quantity with a unit text", "bare quantity", "comparator", "code", "absent", "string Indeterminate", "string See comment",
		"range in words", "range in numbers", "interpretation High", "interpretation Low", "interpretation Abnormal", "interpretation (NONE)",
	} {
		if kinds[k] == 0 {
			t.Errorf("the population has no result of the kind %q", k)
		}
	}
	for _, l := range labs {
		if !seen[l.key] {
			t.Errorf("nobody has a result of %s", l.name)
		}
	}
}

func TestTheCustomersOwnCodesAreUnique(t *testing.T) {
	seen := map[string]string{}
	check := func(c *r4.CodeableConcept, systems ...string) {
		for _, x := range c.Coding {
			if slices.Contains(systems, x.System) {
				key := x.System + "|" + x.Code
				if other, twice := seen[key]; twice && other != c.Text {
					t.Errorf("%s and %s have the same code %s", other, c.Text, key)
				}
				seen[key] = c.Text
			}
		}
	}
	for _, l := range labs {
		check(l.code, systemComponent, systemLOINC)
	}
	for _, p := range panels {
		check(p.code, systemProcedure)
	}
	for _, c := range conditions {
		check(c.code, systemDiagnosis, systemSNOMED, systemICD10)
	}
	for _, d := range drugs {
		check(d.concept, systemMedication)
	}
	for _, v := range vitals {
		check(v.code, systemFlowsheet, epic.SystemFlowsheetID)
	}
	for _, v := range vaccines {
		check(v.code, systemCVX)
	}
}

func TestDecimalsKeepTheirZeros(t *testing.T) {
	zeros := 0
	for _, r := range usual() {
		if r.API == "Labs" && (strings.Contains(string(r.JSON), `.0,"unit"`) || strings.Contains(string(r.JSON), `0,"unit":"mg/dL","system"`)) {
			zeros++
		}
	}
	if zeros < 50 {
		t.Errorf("only %d results end in a zero after the point", zeros)
	}
}

func TestReportsListTheirResults(t *testing.T) {
	for _, d := range decode[r4.DiagnosticReport](t, "DiagnosticReport", usual()) {
		if len(d.Result) == 0 || len(d.BasedOn) != 1 {
			t.Fatalf("DiagnosticReport/%s has %d results and %d orders", d.ID, len(d.Result), len(d.BasedOn))
		}
		for i, r := range d.Result {
			if want := "Component (" + strconv.Itoa(i+1) + "): "; !strings.HasPrefix(r.Display, want) {
				t.Errorf("a result is displayed as %q", r.Display)
			}
		}
	}
}

// A panel is consistent in itself: what follows from other components was computed from them.
func TestComponentsThatFollowFromOthersAgreeWithThem(t *testing.T) {
	type draw struct{ patient, at string }
	values := map[draw]map[string]float64{}
	for _, r := range usual() {
		if r.API != "Labs" {
			continue
		}
		decoded, err := r4.Unmarshal(r.JSON)
		if err != nil {
			t.Fatal(err)
		}
		o := decoded.(*r4.Observation)
		q, ok := o.Value.(*r4.Quantity)
		if !ok {
			continue
		}
		n, _ := strconv.ParseFloat(string(q.Value), 64)
		d := draw{r.Patient, string(o.Effective.(r4.DateTime))}
		if values[d] == nil {
			values[d] = map[string]float64{}
		}
		values[d][labOf(o).key] = n
	}
	lipids, sugars := 0, 0
	for _, v := range values {
		if total, ok := v["cholesterol"]; ok {
			lipids++
			if math.Abs(total-v["ldl"]-v["hdl"]-v["triglycerides"]/5) > 2 {
				t.Errorf("cholesterol %v is not LDL %v + HDL %v + triglycerides %v / 5", total, v["ldl"], v["hdl"], v["triglycerides"])
			}
		}
		if a1c, ok := v["a1c"]; ok {
			sugars++
			if math.Abs(28.7*a1c-46.7-v["estimated-glucose"]) > 2.5 {
				t.Errorf("HbA1c %v and estimated glucose %v do not agree", a1c, v["estimated-glucose"])
			}
		}
	}
	if lipids < 50 || sugars < 50 {
		t.Errorf("only %d lipid panels and %d HbA1c were compared", lipids, sugars)
	}
}

func TestVitalSignsAreCodedFiveTimes(t *testing.T) {
	keys := map[string]int{}
	absent := 0
	for _, r := range usual() {
		if r.API != "Vital Signs" {
			continue
		}
		decoded, err := r4.Unmarshal(r.JSON)
		if err != nil {
			t.Fatal(err)
		}
		o := decoded.(*r4.Observation)
		var def *vital
		for _, v := range vitals {
			if hasCode(o.Code, systemFlowsheet, v.row) && hasCode(o.Code, systemLOINC, v.loinc) && hasCode(o.Code, systemVitalsFi, v.loinc) &&
				hasCode(o.Code, systemLOINC, "8716-3") && len(o.Code.Coding) >= 5 {
				def = v
			}
		}
		if def == nil {
			t.Fatalf("Observation/%s is coded otherwise than Epic codes vital signs: %+v", r.ID, o.Code)
		}
		keys[def.key]++
		if len(o.Extension) == 0 || o.Extension[0].URL != epic.ExtensionTemplateID {
			t.Errorf("Observation/%s has no template-id", r.ID)
		}
		switch v := o.Value.(type) {
		case *r4.Quantity:
			if n, err := strconv.ParseFloat(string(v.Value), 64); err != nil || n < def.plausible[0] || n > def.plausible[1] {
				t.Errorf("%s of %s is not plausible", def.text, v.Value)
			}
		case nil:
			if def.key == "bp" && len(o.Component) == 2 {
				s, _ := strconv.ParseFloat(string(o.Component[0].Value.(*r4.Quantity).Value), 64)
				d, _ := strconv.ParseFloat(string(o.Component[1].Value.(*r4.Quantity).Value), 64)
				if s <= d || s > 230 || d < 35 {
					t.Errorf("blood pressure %v/%v", s, d)
				}
				continue
			}
			absent++
			if !def.percentile || !hasCode(o.DataAbsentReason, terminology+"data-absent-reason", "not-applicable") {
				t.Errorf("%s without a value", def.text)
			}
		}
		if def.key == "temperature" && len(o.Extension) != 2 {
			t.Error("a temperature has no Fahrenheit beside it")
		}
	}
	for _, v := range vitals {
		if keys[v.key] == 0 {
			t.Errorf("nobody has %s", v.text)
		}
	}
	if absent == 0 {
		t.Error("no percentile is absent")
	}
}

func TestNotesHaveTwoContentsOfTheSameText(t *testing.T) {
	binaries := map[string]*r4.Binary{}
	for _, b := range decode[r4.Binary](t, "Binary", usual()) {
		binaries["Binary/"+b.ID] = b
	}
	notes := 0
	for _, d := range decode[r4.DocumentReference](t, "DocumentReference", usual()) {
		if !hasCode(&d.Category[0], "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note") {
			continue
		}
		notes++
		if len(d.Content) != 2 || d.Content[0].Attachment.ContentType != "text/html" || d.Content[1].Attachment.ContentType != "text/rtf" {
			t.Fatalf("a note has other contents than HTML and RTF: %+v", d.Content)
		}
		var text [2]string
		for i, c := range d.Content {
			data, err := base64.StdEncoding.DecodeString(binaries[c.Attachment.URL].Data)
			if err != nil {
				t.Fatal(err)
			}
			text[i] = string(data)
		}
		if !strings.HasPrefix(text[0], "<div") || !strings.HasPrefix(text[1], `{\rtf1`) || !strings.HasSuffix(text[1], "}") {
			t.Errorf("a note is neither HTML nor RTF: %q %q", text[0][:20], text[1][:20])
		}
	}
	if notes < 300 {
		t.Errorf("only %d notes", notes)
	}
}

func TestNobodyGetsWhatTheyAreAllergicTo(t *testing.T) {
	allergic := map[string]bool{}
	for _, r := range usualParsed(t) {
		if r.Type == "AllergyIntolerance" && textOf(r.m, "code", "text") == "PENICILLINS" {
			allergic[r.Patient] = true
		}
	}
	for _, r := range usualParsed(t) {
		if r.Type == "MedicationRequest" && allergic[r.Patient] && strings.HasPrefix(textOf(r.m, "medicationReference", "display"), "amoxicillin") {
			t.Errorf("Patient/%s is allergic to penicillin and got amoxicillin", r.Patient)
		}
	}
	if len(allergic) < 3 {
		t.Errorf("only %d people are allergic to penicillin", len(allergic))
	}
}

// Diseases show in the results, and their absence too.
func TestDiseasesMoveTheirResults(t *testing.T) {
	has := map[string]map[string]bool{} // condition text -> patients
	age := map[string]float64{}
	for _, r := range usualParsed(t) {
		if r.Type == "Condition" && r.API == "Problems" {
			text := textOf(r.m, "code", "text")
			if has[text] == nil {
				has[text] = map[string]bool{}
			}
			has[text][r.Patient] = true
		}
		if r.Type == "Patient" {
			age[r.ID] = years(when(t, textOf(r.m, "birthDate")), DefaultNow)
		}
	}
	mean := func(loinc string, in func(patient string) bool) (float64, int) {
		sum, n := 0.0, 0
		for _, r := range usualParsed(t) {
			if r.API == "Labs" && textOf(r.m, "code", "coding", "code") == loinc && in(r.Patient) {
				v, err := strconv.ParseFloat(textOf(r.m, "valueQuantity", "value"), 64)
				if err == nil {
					sum, n = sum+v, n+1
				}
			}
		}
		return sum / float64(max(1, n)), n
	}
	for _, c := range []struct {
		name, loinc, condition string
		above                  bool
		by                     float64
	}{
		{"HbA1c in diabetes", "4548-4", "Type 2 diabetes mellitus", true, 1},
		{"glucose in diabetes", "2345-7", "Type 2 diabetes mellitus", true, 30},
		{"eGFR in kidney disease", "98979-8", "Chronic kidney disease, stage 3", false, 20},
		{"triglycerides in obesity", "2571-8", "Obesity", true, 20},
	} {
		sick, n := mean(c.loinc, func(p string) bool { return has[c.condition][p] })
		well, m := mean(c.loinc, func(p string) bool { return !has[c.condition][p] })
		if n < 8 || m < 8 {
			t.Errorf("%s: only %d and %d results to compare", c.name, n, m)
		}
		difference := sick - well
		if !c.above {
			difference = -difference
		}
		if difference < c.by {
			t.Errorf("%s: mean %.1f with the disease, %.1f without", c.name, sick, well)
		}
	}
	for patient := range has["Type 2 diabetes mellitus"] {
		if age[patient] < 18 {
			t.Errorf("Patient/%s has type 2 diabetes at %.0f", patient, age[patient])
		}
	}
}

func TestTheDistributionIsThatOfAClinic(t *testing.T) {
	counts, apis := map[string]int{}, map[string]int{}
	perPatient := map[string]int{}
	children, women, old, dead := 0, 0, 0, 0
	plans := map[string]int{}
	for _, r := range usualParsed(t) {
		counts[r.Type]++
		apis[r.Type+"|"+r.API]++
		if r.Patient != "" {
			perPatient[r.Patient]++
		}
		switch r.Type {
		case "Patient":
			age := years(when(t, textOf(r.m, "birthDate")), DefaultNow)
			if age < 18 {
				children++
			}
			if age >= 65 {
				old++
			}
			if textOf(r.m, "gender") == "female" {
				women++
			}
			if r.m["deceasedDateTime"] != nil {
				dead++
			}
		case "CarePlan":
			plans[textOf(r.m, "category", "coding", "code")]++
		}
	}
	within := func(what string, got, low, high int) {
		if got < low || got > high {
			t.Errorf("%s: %d, not between %d and %d", what, got, low, high)
		}
	}
	total := 0
	for _, n := range perPatient {
		total += n
	}
	within("patients", counts["Patient"], usualSize, usualSize)
	within("resources per patient, mean", total/counts["Patient"], 110, 260)
	within("children", children, 12, 36)
	within("people of 65 and more", old, 18, 48)
	within("women and girls", women, 48, 76)
	within("dead", dead, 1, 9)
	within("encounters per patient, mean", counts["Encounter"]/usualSize, 4, 14)
	for _, typ := range []string{
		"AllergyIntolerance", "Appointment", "Binary", "CarePlan", "CareTeam", "Condition", "Coverage", "Device", "DiagnosticReport", "DocumentReference",
		"Encounter", "EpisodeOfCare", "FamilyMemberHistory", "Goal", "Immunization", "Location", "Medication", "MedicationRequest", "Observation",
		"Organization", "Patient", "Practitioner", "PractitionerRole", "Procedure", "RelatedPerson", "ServiceRequest", "Specimen",
	} {
		if counts[typ] == 0 {
			t.Errorf("the population has no %s", typ)
		}
	}
	for _, p := range planCategories {
		if plans[p.code] == 0 {
			t.Errorf("nobody has a care plan of the category %s (%s)", p.code, p.display)
		}
	}
	for _, api := range []string{
		"Observation|Labs", "Observation|Vital Signs", "Observation|Social History", "Observation|Assessments", "Observation|SDOH Assessments", "Observation|SmartData Elements",
		"Condition|Problems", "Condition|Encounter Diagnosis", "Condition|Health Concern", "DocumentReference|Clinical Notes", "DocumentReference|Document Information",
		"DocumentReference|External CDAs", "Binary|Clinical Notes", "Binary|External CDAs",
	} {
		if apis[api] == 0 {
			t.Errorf("nothing belongs to the API %s", api)
		}
	}
	if testing.Verbose() {
		names := make([]string, 0, len(counts))
		for n := range counts {
			names = append(names, n)
		}
		slices.Sort(names)
		for _, n := range names {
			t.Logf("%-22s %6d", n, counts[n])
		}
	}
}

// trend is a component's values of one patient, oldest first.
func trend(t *testing.T, p *Population, id, loinc string) (at []time.Time, values []float64) {
	t.Helper()
	type point struct {
		at time.Time
		v  float64
	}
	var points []point
	for _, o := range chartOf[r4.Observation](t, p, id) {
		if q, ok := o.Value.(*r4.Quantity); ok && hasCode(o.Code, systemLOINC, loinc) {
			n, _ := strconv.ParseFloat(string(q.Value), 64)
			points = append(points, point{when(t, string(o.Effective.(r4.DateTime))), n})
		}
	}
	slices.SortFunc(points, func(a, b point) int { return a.at.Compare(b.at) })
	for _, x := range points {
		at, values = append(at, x.at), append(values, x.v)
	}
	return at, values
}

func TestRosalindsHbA1cCameDownAndIsOverdue(t *testing.T) {
	p := New(Config{Patients: 1})
	at, a1c := trend(t, p, RosalindID, "4548-4")
	if len(a1c) < 10 {
		t.Fatalf("Rosalind has %d HbA1c results", len(a1c))
	}
	if first, last := a1c[0], a1c[len(a1c)-1]; first < 9.5 || last > 7.3 {
		t.Errorf("HbA1c from %v to %v is not the story", first, last)
	}
	for i := 1; i < len(a1c); i++ {
		if a1c[i] > a1c[i-1]+0.35 {
			t.Errorf("HbA1c rises from %v to %v", a1c[i-1], a1c[i])
		}
	}
	if last := at[len(at)-1]; last.After(DefaultNow.AddDate(-1, 0, 0)) {
		t.Errorf("the last HbA1c is of %v and not overdue", last)
	}
	active := map[string]bool{}
	for _, m := range chartOf[r4.MedicationRequest](t, p, RosalindID) {
		if m.Status == "active" {
			active[m.Medication.(*r4.Reference).Display] = true
		}
	}
	if !active["metFORMIN 1,000 mg tablet"] || !active["empagliflozin 10 mg tablet"] {
		t.Errorf("Rosalind takes %v", active)
	}
}

func TestTheoIsAllergicToPenicillinAndIsSeenForSinusitisNow(t *testing.T) {
	p := New(Config{Patients: 2})
	allergies := chartOf[r4.AllergyIntolerance](t, p, TheoID)
	if len(allergies) != 1 {
		t.Fatalf("Theo has %d allergies", len(allergies))
	}
	a := allergies[0]
	if !hasCode(a.Code, systemRxNorm, "7980") || a.Reaction[0].Manifestation[0].Text != "Hives" || !strings.HasPrefix(string(a.RecordedDate), "2024-03-01") {
		t.Errorf("Theo's allergy is %+v", a)
	}
	open := 0
	for _, e := range chartOf[r4.Encounter](t, p, TheoID) {
		if e.Status == "in-progress" {
			open++
			if e.ReasonCode[0].Text != "Acute sinusitis" || e.Period.End != "" {
				t.Errorf("Theo's visit of today is %+v", e)
			}
		}
	}
	if open != 1 {
		t.Errorf("Theo has %d visits going on", open)
	}
	for _, m := range chartOf[r4.MedicationRequest](t, p, TheoID) {
		if strings.Contains(m.Medication.(*r4.Reference).Display, "cillin") {
			t.Error("Theo has already got a penicillin")
		}
	}
}

func TestWrenHasGrowthFromBirthOn(t *testing.T) {
	p := New(Config{Patients: 3})
	_, heights := trend(t, p, WrenID, "8302-2")
	if len(heights) < 15 || heights[0] > 56 || heights[len(heights)-1] < 115 {
		t.Errorf("Wren's heights are %v", heights)
	}
	absent, percentiles, vitals := 0, 0, 0
	for _, o := range chartOf[r4.Observation](t, p, WrenID) {
		if hasCode(&o.Category[0], terminology+"observation-category", "vital-signs") {
			vitals++
		}
		if len(o.ID) == lengthOfPctID {
			percentiles++
			if o.DataAbsentReason != nil {
				absent++
			}
		}
	}
	if vitals < 120 || percentiles < 20 || absent == 0 {
		t.Errorf("Wren has %d vital signs, %d percentiles, %d of them absent", vitals, percentiles, absent)
	}
	if n := len(chartOf[r4.Immunization](t, p, WrenID)); n < 20 {
		t.Errorf("Wren has %d immunizations", n)
	}
	if n := len(chartOf[r4.RelatedPerson](t, p, WrenID)); n != 2 {
		t.Errorf("Wren has %d parents", n)
	}
}

func TestAmbroseHasEverything(t *testing.T) {
	p := New(Config{Patients: 4})
	at, inr := trend(t, p, AmbroseID, "6301-6")
	if len(inr) < 15 || slices.Max(inr) < 3.3 || inr[len(inr)-1] > 3.2 || slices.Min(inr) < 1.5 {
		t.Errorf("Ambrose's INR is %v", inr)
	}
	if DefaultNow.Sub(at[len(at)-1]) > 45*24*time.Hour {
		t.Errorf("Ambrose's last INR is of %v", at[len(at)-1])
	}
	_, egfr := trend(t, p, AmbroseID, "98979-8")
	if first, last := egfr[0], egfr[len(egfr)-1]; last > first-4 || last < 28 {
		t.Errorf("Ambrose's eGFR goes from %v to %v", first, last)
	}
	active := map[string]*r4.MedicationRequest{}
	for _, m := range chartOf[r4.MedicationRequest](t, p, AmbroseID) {
		if m.Status == "active" {
			active[strings.Fields(m.Medication.(*r4.Reference).Display)[0]] = m
		}
	}
	for _, name := range []string{"warfarin", "amiodarone", "simvastatin", "digoxin", "oxyCODONE", "LORazepam", "furosemide"} {
		if active[name] == nil {
			t.Fatalf("Ambrose does not take %s", name)
		}
	}
	// 10 mg of oxycodone four times a day, factor 1.5: 60 MME.
	d := active["oxyCODONE"].DosageInstruction[0]
	dose, _ := strconv.ParseFloat(string(d.DoseAndRate[0].Dose.(*r4.Quantity).Value), 64)
	times, _ := strconv.Atoi(string(d.Timing.Repeat.Frequency))
	if mme := dose * float64(times) * 1.5; mme != 60 || d.Timing.Repeat.PeriodUnit != "d" {
		t.Errorf("the oxycodone makes %v MME", mme)
	}
	plans := map[string]bool{}
	for _, c := range chartOf[r4.CarePlan](t, p, AmbroseID) {
		plans[c.Category[0].Coding[0].Code] = true
	}
	if len(plans) < 7 {
		t.Errorf("Ambrose has care plans of %d categories", len(plans))
	}
	booked := 0
	for _, a := range chartOf[r4.Appointment](t, p, AmbroseID) {
		if a.Status == "booked" {
			booked++
		}
	}
	if booked < 2 {
		t.Errorf("Ambrose has %d appointments", booked)
	}
}

func TestTheOtherNamedPatients(t *testing.T) {
	p := New(Config{Patients: 10})
	allergies := chartOf[r4.AllergyIntolerance](t, p, JuniperID)
	if len(allergies) != 1 || allergies[0].Code.Text != "Not on File" || !hasCode(allergies[0].Code, systemSNOMED, "1631000175102") {
		t.Errorf("Juniper's allergies are %+v", allergies)
	}
	for k, person := range People() {
		chart := p.Chart(k)
		if chart[0].ID != person.ID || chart[0].Type != "Patient" {
			t.Errorf("patient %d is %s/%s, not %s", k, chart[0].Type, chart[0].ID, person.ID)
		}
		if person.ID == BasilID && len(chart) != 1 {
			t.Errorf("Basil has %d resources", len(chart))
		}
		patient := chartOf[r4.Patient](t, p, person.ID)[0]
		if string(patient.BirthDate) != person.BirthDate || patient.Gender != person.Gender || patient.Name[0].Family != person.Family {
			t.Errorf("the Patient of %s %s does not say what People says", person.Given, person.Family)
		}
	}
}
