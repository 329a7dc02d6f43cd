package laketest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/andironhq/andiron/lake"
)

// cases are the rules, each in a sentence.
var cases = []struct {
	name string
	run  func(*harness)
}{
	{"every type has its table and every resource one row", oneRowEach},
	{"the JSON is kept byte for byte", literalJSON},
	{"an observation's value stands in the columns of its kind", valueKinds},
	{"numbers keep the digits that were sent", literalNumbers},
	{"dates keep their precision and can be calculated with", partialDates},
	{"a blood pressure has its two numbers and a row for each component", components},
	{"an Epic patient's columns", epicPatient},
	{"the usual code system is taken whatever the order of the codings", codings},
	{"references are ids whether relative or absolute", references},
	{"a file loaded twice is there once", twice},
	{"a folder that grew loads what is new", grown},
	{"a file that changed is loaded again and its old rows give way", changed},
	{"of two lines with one id the last one stays", twiceInOneFile},
	{"a later load replaces what an earlier one brought", laterLoad},
	{"a later export wins in whichever order they are loaded", laterExport},
	{"a new version without components leaves none behind", componentsGone},
	{"sources keep their resources apart", sources},
	{"deletions come last and outlast an older export", deletions},
	{"a bad line is set aside with its place and the others are loaded", badLine},
	{"a file cut short in compression is left out whole", truncated},
	{"an unfinished export is refused", unfinished},
	{"a file that the manifest does not describe is refused", mismatch},
	{"a folder without NDJSON is an error", empty},
	{"what is hidden, temporary or foreign is passed over", passedOver},
	{"compression is recognised by its bytes, not by the name", magic},
	{"text of every kind survives", text},
	{"a line longer than any buffer is one row", longLine},
	{"a failed load leaves nothing behind", nothingHalf},
}

const (
	patient1 = `{"resourceType":"Patient","id":"p1","name":[{"family":"Kessler","given":["Ada","M"]}],"gender":"female","birthDate":"1970-06"}`
	patient2 = `{"resourceType":"Patient","id":"p2","name":[{"family":"Brandt"}],"gender":"male","birthDate":"1969-12-31"}`
)

// oneOfEach is a resource of each of the twelve types, and of two that have no table of their own.
var oneOfEach = []string{
	patient1,
	`{"resourceType":"Encounter","id":"e1","status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},"subject":{"reference":"Patient/p1"},"identifier":[{"system":"urn:oid:1.2.840.114350.1.13.0.1.7.3.698084.8","value":"27541"}],"period":{"start":"2024-05-01T08:00:00Z","end":"2024-05-01T08:30:00Z"}}`,
	`{"resourceType":"Condition","id":"c1","clinicalStatus":{"coding":[{"code":"active"}]},"code":{"coding":[{"system":"urn:oid:2.16.840.1.113883.6.90","code":"E11.9"},{"system":"urn:oid:2.16.840.1.113883.6.96","code":"44054006","display":"Type 2 diabetes"}]},"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"},"onsetDateTime":"2011"}`,
	`{"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"718-7"}]},"subject":{"reference":"Patient/p1"},"valueQuantity":{"value":7.20,"unit":"g/dL"}}`,
	`{"resourceType":"MedicationRequest","id":"m1","status":"active","intent":"order","medicationReference":{"reference":"Medication/x","display":"metformin 500 mg"},"subject":{"reference":"Patient/p1"},"authoredOn":"2024-05-01"}`,
	`{"resourceType":"AllergyIntolerance","id":"a1","patient":{"reference":"Patient/p1"},"code":{"text":"Peanut"},"category":["food"],"reaction":[{"manifestation":[{"text":"Hives"}],"severity":"mild"},{"manifestation":[{"text":"Wheeze"}],"severity":"severe"}]}`,
	`{"resourceType":"Immunization","id":"i1","status":"completed","vaccineCode":{"coding":[{"system":"http://hl7.org/fhir/sid/cvx","code":"140"}]},"patient":{"reference":"Patient/p1"},"occurrenceDateTime":"2023-10-02","doseQuantity":{"value":0.50,"unit":"mL"}}`,
	`{"resourceType":"DiagnosticReport","id":"d1","status":"final","code":{"text":"CBC"},"subject":{"reference":"Patient/p1"},"result":[{"reference":"Observation/o1"}]}`,
	`{"resourceType":"DocumentReference","id":"n1","status":"current","type":{"text":"Progress note"},"subject":{"reference":"Patient/p1"},"context":{"encounter":[{"reference":"Encounter/e1"}]},"content":[{"attachment":{"contentType":"text/html","url":"Binary/h"}},{"attachment":{"contentType":"text/rtf","url":"Binary/r"}}]}`,
	`{"resourceType":"Procedure","id":"r1","status":"completed","code":{"text":"Colonoscopy"},"subject":{"reference":"Patient/p1"},"performedPeriod":{"start":"2020-02-29","end":"2020-03"}}`,
	`{"resourceType":"CarePlan","id":"k1","status":"active","intent":"plan","subject":{"reference":"Patient/p1"},"activity":[{"detail":{"code":{"text":"Walk daily"},"status":"in-progress"}}]}`,
	`{"resourceType":"Appointment","id":"t1","status":"booked","start":"2024-06-01T09:00:00Z","end":"2024-06-01T09:20:00Z","minutesDuration":20,"participant":[{"actor":{"reference":"Practitioner/dr","display":"Dr. Lind"},"status":"accepted"},{"actor":{"reference":"Patient/p1"},"status":"accepted"}]}`,
	`{"resourceType":"Organization","id":"g1","name":"North Clinic"}`,
	`{"resourceType":"Claim","id":"l1","status":"active","patient":{"reference":"Patient/p1"}}`,
}

func oneRowEach(h *harness) {
	for i, line := range oneOfEach {
		h.write(fmt.Sprintf("%03d.ndjson", i), line)
	}
	r := h.load(lake.LoadOptions{})
	if r.Resources != int64(len(oneOfEach)) || len(r.Types) != len(oneOfEach) {
		h.Errorf("the result counts %d resources of %d types, want %d of each", r.Resources, len(r.Types), len(oneOfEach))
	}
	tables, err := h.store.Tables(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	rows := map[string]int64{}
	for _, t := range tables {
		rows[t.Name] = t.Rows
		if t.About == "" {
			h.Errorf("table %s does not say what it is", t.Name)
		}
		for _, c := range t.Columns {
			if c.Path == "" {
				h.Errorf("column %s.%s does not say where its value comes from", t.Name, c.Name)
			}
		}
	}
	for _, name := range []string{
		"patient", "encounter", "condition", "observation", "medicationrequest", "allergyintolerance", "immunization",
		"diagnosticreport", "documentreference", "procedure", "careplan", "appointment",
	} {
		if rows[name] != 1 {
			h.Errorf("table %s has %d rows, want 1", name, rows[name])
		}
	}
	if rows["resource"] != int64(len(oneOfEach)) {
		h.Errorf("table resource has %d rows, want %d", rows["resource"], len(oneOfEach))
	}
	h.expect(`SELECT count(*) FROM resource WHERE patient_id = 'p1'`, "13")
	h.expect(`SELECT csn, class, status, period_start, patient_id FROM encounter`, "27541|AMB|finished|2024-05-01T08:00:00Z|p1")
	h.expect(`SELECT code, code_system, code_display, icd10_code, clinical_status, onset, onset_text, encounter_id FROM condition`,
		"44054006|http://snomed.info/sct|Type 2 diabetes|E11.9|active|2011-01-01|2011|e1")
	h.expect(`SELECT medication, medication_id, code, authored_on FROM medicationrequest`, "metformin 500 mg|x|NULL|2024-05-01")
	h.expect(`SELECT code_display, reaction_severity FROM allergyintolerance`, "Peanut|severe")
	h.expect(`SELECT code, occurrence, dose, dose_literal FROM immunization`, "140|2023-10-02|0.5|0.50")
	h.expect(`SELECT code_text, result_count FROM diagnosticreport`, "CBC|1")
	h.expect(`SELECT code_text, encounter_id, content_type, content_url FROM documentreference`, "Progress note|e1|text/html|Binary/h")
	h.expect(`SELECT performed_start, performed_end, performed_end_text FROM procedure`, "2020-02-29|2020-03-01|2020-03")
	h.expect(`SELECT activity_count FROM careplan`, "1")
	h.expect(`SELECT patient_id, provider, provider_id, minutes, start_time FROM appointment`, "p1|Dr. Lind|dr|20|2024-06-01T09:00:00Z")
}

func literalJSON(h *harness) {
	lines := []string{
		`{ "resourceType" : "Basic", "id":"b1", "n": 1.10, "big": 123456789012345678.12345, "e": 1E-3 }`,
		`{"id":"o1","resourceType":"Observation","status":"final","code":{"text":"<b>& \u00e9 \/ é"},"unknown":{"z":1,"a":[1.0,null]},"valueQuantity":{"value":1.10}}`,
	}
	h.write("a.ndjson", lines...)
	h.load(lake.LoadOptions{})
	h.expect(`SELECT json FROM resource ORDER BY line`, lines...)
}

func observation(id, rest string) string {
	return `{"resourceType":"Observation","id":"` + id + `","status":"final","code":{"text":"x"},` + rest + `}`
}

func valueKinds(h *harness) {
	h.write("a.ndjson",
		observation("01", `"valueQuantity":{"value":95,"unit":"mg/dL","code":"mg/dL","comparator":"<"}`),
		observation("02", `"valueCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":"10828004","display":"Positive"}],"text":"POS"}`),
		observation("03", `"valueString":"clear, yellow"`),
		observation("04", `"dataAbsentReason":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","code":"not-applicable"}]}`),
		observation("05", `"valueBoolean":false`),
		observation("06", `"valueInteger":3`),
		observation("07", `"valueRange":{"low":{"value":1.0},"high":{"value":2.50,"unit":"mm"}}`),
		observation("08", `"valueRatio":{"numerator":{"value":1},"denominator":{"value":128}}`),
		observation("09", `"valueTime":"10:15:00"`),
		observation("10", `"valueDateTime":"2024-05"`),
		observation("11", `"valuePeriod":{"start":"2024-05-01","end":"2024-05-03"}`),
		observation("12", `"valueSampledData":{"origin":{"value":0},"period":10,"dimensions":1,"data":"1 2 3"}`),
		observation("13", `"component":[{"code":{"text":"a"},"valueInteger":1}]`),
		observation("14", `"hasMember":[{"reference":"Observation/01"}]`),
		observation("15", `"_valueString":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}`),
	)
	h.load(lake.LoadOptions{})
	h.expect(`SELECT id, value_kind, value_text FROM observation ORDER BY id`,
		"01|quantity|<95 mg/dL", "02|codeableconcept|POS", "03|string|clear, yellow", "04|absent|NULL", "05|boolean|false", "06|integer|3",
		"07|range|1.0 - 2.50 mm", "08|ratio|1 / 128", "09|time|10:15:00", "10|datetime|2024-05", "11|period|2024-05-01/2024-05-03",
		"12|sampleddata|1 2 3", "13|components|NULL", "14|NULL|NULL", "15|absent|NULL")
	h.expect(`SELECT data_absent_reason FROM observation WHERE id = '15'`, "masked")
	h.expect(`SELECT value_quantity, value_literal, value_unit, value_unit_code, value_comparator FROM observation WHERE id = '01'`, "95|95|mg/dL|mg/dL|<")
	h.expect(`SELECT value_code, value_system, value_display FROM observation WHERE id = '02'`, "10828004|http://snomed.info/sct|Positive")
	h.expect(`SELECT value_string FROM observation WHERE id = '03'`, "clear, yellow")
	h.expect(`SELECT data_absent_reason, value_quantity FROM observation WHERE id = '04'`, "not-applicable|NULL")
	h.expect(`SELECT value_boolean FROM observation WHERE id = '05'`, "false")
	h.expect(`SELECT value_integer, value_literal FROM observation WHERE id = '06'`, "3|3")
	h.expect(`SELECT value_low, value_high, value_numerator FROM observation WHERE id = '07'`, "1|2.5|NULL")
	h.expect(`SELECT value_numerator, value_denominator, value_low FROM observation WHERE id = '08'`, "1|128|NULL")
	h.expect(`SELECT value_datetime FROM observation WHERE id = '10'`, "2024-05-01")
	h.expect(`SELECT value_datetime, value_datetime_end FROM observation WHERE id = '11'`, "2024-05-01|2024-05-03")
}

func literalNumbers(h *harness) {
	var lines, want []string
	for i, n := range []string{"1.10", "0.00", "-3.50", "1e3", "1.0E-7", "123456789012345678.12345", "100", "1e999"} {
		lines = append(lines, observation(strconv.Itoa(i), `"valueQuantity":{"value":`+n+`},"referenceRange":[{"low":{"value":`+n+`}}]`))
		want = append(want, n+"|"+n)
	}
	h.write("a.ndjson", lines...)
	h.load(lake.LoadOptions{})
	h.expect(`SELECT value_literal, ref_low_literal FROM observation ORDER BY id`, want...)
	h.expect(`SELECT value_quantity FROM observation WHERE id IN ('0', '3', '7') ORDER BY id`, "1.1", "1000", "NULL")
}

func partialDates(h *harness) {
	effective := func(id, s string) string { return observation(id, `"effectiveDateTime":"`+s+`"`) }
	h.write("a.ndjson",
		patient1, patient2, `{"resourceType":"Patient","id":"p3","birthDate":"1958","deceasedDateTime":"2020-11"}`,
		`{"resourceType":"Patient","id":"p4","birthDate":"31.12.1969","deceasedBoolean":false}`,
		effective("1", "2024"), effective("2", "2024-02"), effective("3", "2024-02-29"), effective("4", "2024-02-29T23:30:00-05:00"),
		effective("5", "2024-02-29T23:30:00.123Z"), effective("6", "2024-02-30"),
		observation("7", `"effectivePeriod":{"start":"2024-01-02","end":"2024-01-03T04:05:06Z"}`))
	h.load(lake.LoadOptions{})
	h.expect(`SELECT birth_date, birth_date_text, deceased, deceased_at, deceased_at_text FROM patient ORDER BY id`,
		"1970-06-01|1970-06|NULL|NULL|NULL", "1969-12-31|1969-12-31|NULL|NULL|NULL", "1958-01-01|1958|true|2020-11-01|2020-11",
		"NULL|31.12.1969|false|NULL|NULL")
	h.expect(`SELECT effective, effective_text, effective_end FROM observation ORDER BY id`,
		"2024-01-01|2024|NULL", "2024-02-01|2024-02|NULL", "2024-02-29|2024-02-29|NULL",
		"2024-03-01T04:30:00Z|2024-02-29T23:30:00-05:00|NULL", "2024-02-29T23:30:00.123Z|2024-02-29T23:30:00.123Z|NULL",
		"NULL|2024-02-30|NULL", "2024-01-02|2024-01-02/2024-01-03T04:05:06Z|2024-01-03T04:05:06Z")
}

const bloodPressure = `{"resourceType":"Observation","id":"bp","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},"subject":{"reference":"Patient/p1"},` +
	`"component":[{"code":{"coding":[{"system":"urn:oid:1.2.3","code":"t1"},{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":118.0,"unit":"mm[Hg]"}},` +
	`{"code":{"coding":[{"system":"urn:oid:2.16.840.1.113883.6.1","code":"8462-4"}]},"valueQuantity":{"value":76,"unit":"mm[Hg]"}},{"code":{"text":"arm"},"dataAbsentReason":{"text":"not asked"}}]}`

func components(h *harness) {
	h.write("a.ndjson", bloodPressure)
	h.load(lake.LoadOptions{})
	h.expect(`SELECT value_kind, systolic, diastolic, component_count FROM observation`, "components|118|76|3")
	h.expect(`SELECT observation_id, position, patient_id, code, code_system, value_kind, value_literal, value_unit FROM observation_component ORDER BY position`,
		"bp|1|p1|8480-6|http://loinc.org|quantity|118.0|mm[Hg]", "bp|2|p1|8462-4|http://loinc.org|quantity|76|mm[Hg]", "bp|3|p1|NULL|NULL|absent|NULL|NULL")
}

func epicPatient(h *harness) {
	h.write("a.ndjson", `{"resourceType":"Patient","id":"eSim.1","extension":[`+
		`{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"ombCategory","valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2106-3","display":"White"}},{"url":"text","valueString":"White"}]},`+
		`{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity","extension":[{"url":"text","valueString":"Not Hispanic"}]}],`+
		`"identifier":[{"use":"usual","type":{"text":"INTERNAL"},"system":"urn:oid:1.2.840.114350.1.13.0.1.7.2.698084","value":"     Z6129"},`+
		`{"use":"usual","type":{"text":"EPI"},"system":"urn:oid:1.2.840.114350.1.13.0.1.7.5.737384.14","value":"203711"}],`+
		`"active":true,"name":[{"use":"old","family":"Smith"},{"use":"usual","family":"Kessler","given":["Addie"]},{"use":"official","family":"Kessler","given":["Ada","M"],"suffix":["Jr."]}],`+
		`"telecom":[{"system":"phone","value":"555-2","use":"work","rank":2},{"system":"phone","value":"555-1","use":"home","rank":1},{"system":"email","value":"ada@example.org"}],`+
		`"gender":"female","birthDate":"1970-06-05","address":[{"use":"old","city":"Elsewhere"},{"use":"home","line":["1 Main St","Apt 2"],"city":"Madison","district":"DANE","state":"WI","postalCode":"53703","country":"USA"}],`+
		`"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M"}],"text":"Married"},`+
		`"communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"en"}],"text":"English"},"preferred":true}],`+
		`"managingOrganization":{"reference":"Organization/org","display":"North Clinic"},"generalPractitioner":[{"reference":"Practitioner/dr","type":"Practitioner","display":"Lind, MD"}]}`)
	h.load(lake.LoadOptions{})
	h.expect(`SELECT mrn, active, family, given, name, gender, birth_date, phone, email FROM patient`,
		"203711|true|Kessler|Ada M|Ada M Kessler Jr.|female|1970-06-05|555-1|ada@example.org")
	h.expect(`SELECT address_line, address_city, address_district, address_state, address_postal_code, address_country FROM patient`,
		"1 Main St, Apt 2|Madison|DANE|WI|53703|USA")
	h.expect(`SELECT race, ethnicity, language, language_display, marital_status, managing_organization_id, managing_organization, general_practitioner FROM patient`,
		"White|Not Hispanic|en|English|M|org|North Clinic|Lind, MD")
}

func codings(h *harness) {
	h.write("a.ndjson",
		observation("1", `"category":[{"coding":[{"system":"urn:oid:1.2.3","code":"Lab"}]},{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}],"text":"Laboratory"}]`),
		`{"resourceType":"Observation","id":"2","status":"final","code":{"coding":[{"system":"urn:oid:1.2.840.114350.1.13.0.1.7.2.768282","code":"9990001","display":"GLU"},{"system":"http://loinc.org","code":"2345-7"}],"text":"Glucose  "}}`,
		`{"resourceType":"Observation","id":"3","status":"final","code":{"coding":[{"display":"no code"},{"system":"urn:oid:1.2.840.114350.1.13.0.1.7.2.768282","code":"9990002","display":"Genotype:"}]}}`)
	h.load(lake.LoadOptions{})
	h.expect(`SELECT category FROM observation WHERE id = '1'`, "laboratory")
	h.expect(`SELECT code, code_system, code_display, code_text FROM observation WHERE id IN ('2', '3') ORDER BY id`,
		"2345-7|http://loinc.org|Glucose|Glucose", "9990002|urn:oid:1.2.840.114350.1.13.0.1.7.2.768282|Genotype:|NULL")
}

func references(h *harness) {
	ref := func(id, s string) string { return observation(id, `"subject":{"reference":"`+s+`"}`) }
	h.write("a.ndjson", ref("1", "Patient/p1"), ref("2", "https://ehr.example/api/FHIR/R4/Patient/p1"), ref("3", "Patient/p1/_history/2"),
		ref("4", "#p1"), ref("5", "urn:uuid:0d5c3b1e-0000-4000-8000-000000000000"), ref("6", "Patient?identifier=x"), ref("7", "Group/p1"))
	h.load(lake.LoadOptions{})
	h.expect(`SELECT patient_id FROM observation ORDER BY id`, "p1", "p1", "p1", "NULL", "NULL", "NULL", "NULL")
	h.expect(`SELECT patient_id FROM resource ORDER BY id`, "p1", "p1", "p1", "NULL", "NULL", "NULL", "NULL")
}

func twice(h *harness) {
	h.write("a.ndjson", patient1, patient2)
	h.write("b.ndjson.gz", bloodPressure)
	h.load(lake.LoadOptions{})
	before := h.rows(`SELECT * FROM resource ORDER BY id`)
	r := h.load(lake.LoadOptions{})
	if r.Unchanged != 2 || r.Resources != 0 || r.Replaced != 0 {
		h.Errorf("the second load took %d resources, replaced %d and found %d files unchanged, want 0, 0 and 2", r.Resources, r.Replaced, r.Unchanged)
	}
	h.expect(`SELECT * FROM resource ORDER BY id`, before...)
	h.expect(`SELECT count(*) FROM patient`, "2")
	h.expect(`SELECT count(*) FROM observation_component`, "3")
}

func grown(h *harness) {
	h.write("a.ndjson", patient1)
	h.load(lake.LoadOptions{})
	h.write("b.ndjson", patient2)
	if r := h.load(lake.LoadOptions{}); r.Unchanged != 1 || r.Resources != 1 {
		h.Errorf("the second load took %d resources and found %d files unchanged, want 1 and 1", r.Resources, r.Unchanged)
	}
	h.expect(`SELECT count(*) FROM patient`, "2")
}

func changed(h *harness) {
	h.write("a.ndjson", patient1, "{broken")
	h.loadFails(lake.LoadOptions{}, lake.ErrIncomplete)
	h.write("a.ndjson", strings.Replace(patient1, "Kessler", "Changed", 1), patient2)
	if r := h.load(lake.LoadOptions{}); r.Replaced != 1 {
		h.Errorf("%d resources were replaced, want 1", r.Replaced)
	}
	h.expect(`SELECT id, family FROM patient ORDER BY id`, "p1|Changed", "p2|Brandt")
	h.expect(`SELECT count(*) FROM load_quarantine`, "0")
	// Back to the first content: the ledger knows the hash, but it is not what the lake holds now.
	h.write("a.ndjson", patient1)
	h.load(lake.LoadOptions{})
	h.expect(`SELECT id, family FROM patient ORDER BY id`, "p1|Kessler", "p2|Brandt")
}

func twiceInOneFile(h *harness) {
	h.write("a.ndjson", patient1, bloodPressure, strings.Replace(patient1, "Kessler", "Last", 1), strings.Replace(bloodPressure, "118.0", "119.0", 1))
	r := h.load(lake.LoadOptions{})
	if r.Resources != 2 {
		h.Errorf("%d resources loaded, want 2", r.Resources)
	}
	h.expect(`SELECT family FROM patient`, "Last")
	h.expect(`SELECT systolic FROM observation`, "119")
	h.expect(`SELECT count(*) FROM observation_component`, "3")
	h.expect(`SELECT count(*) FROM resource`, "2")
}

func laterLoad(h *harness) {
	h.write("a.ndjson", patient1, patient2)
	h.load(lake.LoadOptions{})
	h.folder()
	h.write("a.ndjson", strings.Replace(patient1, "Kessler", "Later", 1))
	if r := h.load(lake.LoadOptions{}); r.Replaced != 1 {
		h.Errorf("%d resources were replaced, want 1", r.Replaced)
	}
	h.expect(`SELECT id, family FROM patient ORDER BY id`, "p1|Later", "p2|Brandt")
	h.expect(`SELECT count(*) FROM resource`, "2")
}

func laterExport(h *harness) {
	h.write("a.ndjson", strings.Replace(patient1, "Kessler", "March", 1))
	h.manifest("2024-03-01T00:00:00Z", nil, "a.ndjson")
	if r := h.load(lake.LoadOptions{}); r.Source != "https://ehr.example/api/FHIR/R4" {
		h.Errorf("the source is %q, want the FHIR base of the manifest's request", r.Source)
	}
	h.folder()
	h.write("a.ndjson", strings.Replace(patient1, "Kessler", "January", 1), patient2)
	h.manifest("2024-01-01T00:00:00Z", nil, "a.ndjson")
	if r := h.load(lake.LoadOptions{}); r.Outdated != 1 || r.Resources != 1 || r.Replaced != 0 {
		h.Errorf("the older export brought %d resources, replaced %d, and %d were outdated, want 1, 0 and 1", r.Resources, r.Replaced, r.Outdated)
	}
	h.expect(`SELECT id, family FROM patient ORDER BY id`, "p1|March", "p2|Brandt")
	h.folder()
	h.write("a.ndjson", strings.Replace(patient1, "Kessler", "May", 1))
	h.manifest("2024-05-01T00:00:00Z", nil, "a.ndjson")
	h.load(lake.LoadOptions{})
	h.expect(`SELECT id, family FROM patient ORDER BY id`, "p1|May", "p2|Brandt")
	h.expect(`SELECT count(*) FROM resource`, "2")
}

func componentsGone(h *harness) {
	h.write("a.ndjson", bloodPressure)
	h.load(lake.LoadOptions{})
	h.folder()
	h.write("a.ndjson", observation("bp", `"valueString":"not taken"`))
	h.load(lake.LoadOptions{})
	h.expect(`SELECT count(*) FROM observation_component`, "0")
	h.expect(`SELECT value_kind FROM observation`, "string")
}

func sources(h *harness) {
	h.write("a.ndjson", patient1)
	h.load(lake.LoadOptions{Source: "north"})
	h.load(lake.LoadOptions{Source: "south"})
	h.expect(`SELECT source, id FROM patient ORDER BY source`, "north|p1", "south|p1")
}

func deletions(h *harness) {
	deleted := `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Observation/bp"}},{"request":{"method":"DELETE","url":"Patient/unknown"}}]}`
	h.write("a.ndjson", patient1, bloodPressure)
	h.write("deleted/d.ndjson", deleted)
	h.manifest("2024-03-01T00:00:00Z", nil, "a.ndjson", "deleted/d.ndjson")
	if r := h.load(lake.LoadOptions{}); r.Deleted != 1 {
		h.Errorf("%d resources were deleted, want 1", r.Deleted)
	}
	gone := func() {
		h.Helper()
		h.expect(`SELECT type, id FROM resource`, "Patient|p1")
		h.expect(`SELECT count(*) FROM observation`, "0")
		h.expect(`SELECT count(*) FROM observation_component`, "0")
	}
	gone()
	h.load(lake.LoadOptions{})
	gone()
	h.folder()
	h.write("a.ndjson", bloodPressure)
	h.manifest("2024-01-01T00:00:00Z", nil, "a.ndjson")
	h.load(lake.LoadOptions{})
	gone()
	h.folder()
	h.write("a.ndjson", bloodPressure)
	h.manifest("2024-05-01T00:00:00Z", nil, "a.ndjson")
	h.load(lake.LoadOptions{})
	h.expect(`SELECT count(*) FROM observation`, "1")
}

func badLine(h *harness) {
	h.write("a.ndjson", patient1, `{"resourceType":"Patient","id":"x",}`, "", `<html>`, `{"resourceType":"Patient"}`,
		`{"resourceType":"OperationOutcome","id":"oo","issue":[]}`, `null`, `{"id":"x"}`, patient2)
	r := h.loadFails(lake.LoadOptions{}, lake.ErrIncomplete)
	if r == nil || r.Quarantined != 6 || r.Resources != 2 {
		h.Fatalf("the result is %+v, want 6 lines set aside and 2 resources", r)
	}
	h.expect(`SELECT id FROM patient ORDER BY id`, "p1", "p2")
	h.expect(`SELECT file, line FROM load_quarantine ORDER BY line`, "a.ndjson|2", "a.ndjson|4", "a.ndjson|5", "a.ndjson|6", "a.ndjson|7", "a.ndjson|8")
	h.expect(`SELECT count(*) FROM load_quarantine WHERE reason IS NULL OR reason = ''`, "0")
	h.expect(`SELECT byte_offset FROM load_quarantine WHERE line = 2`, strconv.Itoa(len(patient1)+1))
	// Loading again is quick, and no less incomplete.
	if r := h.loadFails(lake.LoadOptions{}, lake.ErrIncomplete); r.Unchanged != 1 || r.Quarantined != 6 {
		h.Errorf("the second load is %+v, want one file unchanged and 6 lines set aside", r)
	}
	h.expect(`SELECT count(*) FROM load_quarantine`, "6")
}

func truncated(h *harness) {
	var lines []string
	for i := range 5000 {
		lines = append(lines, observation(fmt.Sprintf("%x", i*7919), fmt.Sprintf(`"valueQuantity":{"value":%d.%d}`, i*31, i)))
	}
	whole := compress(h.T, []byte(strings.Join(lines, "\n")+"\n"))
	h.writeRaw("a.ndjson.gz", whole[:len(whole)*2/3])
	h.write("b.ndjson", patient1)
	r := h.loadFails(lake.LoadOptions{}, lake.ErrIncomplete)
	if len(r.Files) != 2 || r.Files[0].Err == nil || r.Files[1].Err != nil {
		h.Errorf("the result's files are %+v, want the first one failed", r.Files)
	}
	h.expect(`SELECT count(*) FROM observation`, "0")
	h.expect(`SELECT count(*) FROM resource`, "1")
	h.writeRaw("a.ndjson.gz", whole)
	h.load(lake.LoadOptions{})
	h.expect(`SELECT count(*) FROM observation`, "5000")
}

func unfinished(h *harness) {
	h.write("a.ndjson", patient1)
	h.manifest("2024-03-01T00:00:00Z", func(m map[string]any) { m["complete"] = false }, "a.ndjson")
	h.loadFails(lake.LoadOptions{}, lake.ErrUnfinished)
	h.expect(`SELECT count(*) FROM resource`, "0")
	if r := h.load(lake.LoadOptions{AllowIncomplete: true}); r.Resources != 1 || len(r.Notes) == 0 {
		h.Errorf("with AllowIncomplete the result is %+v, want one resource and a note", r)
	}

	h.folder()
	h.write("a.ndjson", patient1)
	h.write("b.ndjson", patient2)
	h.manifest("2024-03-01T00:00:00Z", nil, "a.ndjson", "b.ndjson")
	if err := os.Remove(filepath.Join(h.dir, "b.ndjson")); err != nil {
		h.Fatal(err)
	}
	h.loadFails(lake.LoadOptions{}, lake.ErrUnfinished)
}

func mismatch(h *harness) {
	h.write("a.ndjson", patient1)
	h.write("b.ndjson", patient2)
	h.manifest("2024-03-01T00:00:00Z", nil, "a.ndjson", "b.ndjson")
	h.write("b.ndjson", strings.Replace(patient2, "Brandt", "Forged", 1))
	h.loadFails(lake.LoadOptions{}, lake.ErrMismatch)
	h.expect(`SELECT count(*) FROM resource`, "0")
	h.load(lake.LoadOptions{AllowIncomplete: true})
	h.expect(`SELECT count(*) FROM resource`, "2")

	h.folder()
	h.write("a.ndjson", patient1)
	h.manifest("2024-04-01T00:00:00Z", func(m map[string]any) {
		f := m["output"].([]any)[0].(map[string]any)
		delete(f, "sha256")
		f["count"] = "2"
	}, "a.ndjson")
	if r := h.loadFails(lake.LoadOptions{}, lake.ErrMismatch); r == nil || !errors.Is(r.Files[0].Err, lake.ErrMismatch) {
		h.Errorf("the result is %+v, want the file refused for its count", r)
	}
}

func empty(h *harness) {
	h.write("readme.txt", "nothing")
	h.loadFails(lake.LoadOptions{}, lake.ErrEmpty)
}

func passedOver(h *harness) {
	h.write("a.ndjson", patient1)
	for _, n := range []string{".hidden.ndjson", "b.ndjson.part", "c.tmp", "log.ndjson"} {
		h.write(n, "not a resource")
	}
	h.write("readme.txt", "hello")
	h.write("error/e.ndjson", `{"resourceType":"OperationOutcome","issue":[]}`)
	r := h.load(lake.LoadOptions{})
	if r.Resources != 1 || len(r.Files) != 1 {
		h.Errorf("the result is %+v, want one resource of one file", r)
	}
	want := []string{"error/ ignored: a folder", "readme.txt ignored: not NDJSON"}
	if len(r.Notes) != 3 || !slices.Equal(r.Notes[:2], want) || !strings.HasPrefix(r.Notes[2], "no manifest.json") {
		h.Errorf("the notes are %q, want %q and that there is no manifest", r.Notes, want)
	}
}

func magic(h *harness) {
	h.writeRaw("a.ndjson", compress(h.T, []byte(patient1+"\n")))
	h.writeRaw("b.ndjson.gz", []byte("\uFEFF"+patient2+"\r\n\r\n"))
	h.load(lake.LoadOptions{})
	h.expect(`SELECT id FROM patient ORDER BY id`, "p1", "p2")
	h.expect(`SELECT json FROM resource ORDER BY id`, patient1, patient2)
}

func text(h *harness) {
	h.write("a.ndjson", `{"resourceType":"Patient","id":"p'1","name":[{"family":"O'Néill \"☃\" \\ 𝄞","given":["a\u0000b"]}],"address":[{"line":["x\r\ny"]}]}`)
	h.load(lake.LoadOptions{})
	h.expect(`SELECT id, family, given, address_line FROM patient`, "p'1|O'Néill \"☃\" \\ 𝄞|a\x00b|x\r\ny")
}

func longLine(h *harness) {
	line := `{"resourceType":"Binary","id":"b","contentType":"text/plain","data":"` + strings.Repeat("QUJD", 1<<20) + `"}`
	h.write("a.ndjson", line, patient1)
	h.load(lake.LoadOptions{})
	h.expect(`SELECT length(json) FROM resource WHERE type = 'Binary'`, strconv.Itoa(len(line)))
	h.expect(`SELECT count(*) FROM patient`, "1")
}

func nothingHalf(h *harness) {
	good := bytes.Repeat([]byte(patient1+"\n"), 3)
	z := compress(h.T, good)
	z[len(z)-6] ^= 0xff // the checksum: every line is read before it shows
	h.writeRaw("a.ndjson.gz", z)
	h.loadFails(lake.LoadOptions{}, lake.ErrIncomplete)
	for _, table := range []string{"resource", "patient", "load_file", "load_quarantine"} {
		h.expect(`SELECT count(*) FROM `+table, "0")
	}
}
