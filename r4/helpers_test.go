package r4_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/andironhq/andiron/r4"
)

func read[T any, R r4.ResourcePtr[T]](t *testing.T, data string) R {
	t.Helper()
	r, err := r4.Unmarshal([]byte(data))
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return r.(R)
}

func write(t *testing.T, r r4.Resource) string {
	t.Helper()
	data, err := r4.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWhatCameInAWrongShapeIsReadAsFarAsItMakesSense(t *testing.T) {
	p := read[r4.Patient](t, `{"resourceType":"Patient","id":5,"active":"true","name":{"family":1.50,"given":"A"},"maritalStatus":[{"text":"m"}],
		"multipleBirthInteger":"2","communication":[null,{"preferred":true}],"telecom":"x","gender":["female"]}`)
	got := []string{p.ID, string(p.Active), p.Name[0].Family, p.Name[0].Given[0], p.MaritalStatus.Text, p.Gender, string(p.MultipleBirth.(r4.Integer))}
	want := []string{"5", "true", "1.50", "A", "m", "female", "2"}
	if !slices.Equal(got, want) {
		t.Errorf("the fields are %q, want %q", got, want)
	}
	if len(p.Communication) != 2 || p.Communication[1].Preferred != r4.True {
		t.Errorf("a null in a list moved the others: %d communications", len(p.Communication))
	}
	if p.Telecom != nil || string(p.Extra.Raw("telecom")) != `"x"` {
		t.Errorf("a string for a list of objects is %v, Extra has %s", p.Telecom, p.Extra.Raw("telecom"))
	}
}

func TestAFieldThatIsSetWinsOverWhatCame(t *testing.T) {
	tests := []struct {
		name, in, want string
		change         func(*r4.Patient)
	}{
		{
			"a number in quotes", `{"resourceType":"Patient","multipleBirthInteger":"2"}`, `{"resourceType":"Patient","multipleBirthInteger":3}`,
			func(p *r4.Patient) { p.MultipleBirth = r4.Integer("3") },
		},
		{
			"a number for a string", `{"resourceType":"Patient","id":5}`, `{"resourceType":"Patient","id":"6"}`,
			func(p *r4.Patient) { p.ID = "6" },
		},
		{
			"null", `{"resourceType":"Patient","gender":null,"name":null}`, `{"resourceType":"Patient","name":[{"family":"A"}],"gender":"male"}`,
			func(p *r4.Patient) { p.Gender, p.Name = "male", []r4.HumanName{{Family: "A"}} },
		},
		{
			"an object for a list that has grown", `{"resourceType":"Patient","name":{"family":"A"}}`, `{"resourceType":"Patient","name":[{"family":"A"},{"family":"B"}]}`,
			func(p *r4.Patient) { p.Name = append(p.Name, r4.HumanName{Family: "B"}) },
		},
		{
			"an object for a list, removed", `{"resourceType":"Patient","name":{"family":"A"},"id":5,"maritalStatus":[{}]}`, `{"resourceType":"Patient"}`,
			func(p *r4.Patient) { p.Name, p.ID, p.MaritalStatus = nil, "", nil },
		},
		{
			"an element of a list that was none", `{"resourceType":"Patient","name":[null,{"family":"A"}]}`, `{"resourceType":"Patient","name":[{"family":"B"},{"family":"A"}]}`,
			func(p *r4.Patient) { p.Name[0].Family = "B" },
		},
		{
			"a list of strings", `{"resourceType":"Patient","name":[{"given":["A",5]}]}`, `{"resourceType":"Patient","name":[{"given":["A","6"]}]}`,
			func(p *r4.Patient) { p.Name[0].Given[1] = "6" },
		},
		{
			"a string for an object", `{"resourceType":"Patient","maritalStatus":"M"}`, `{"resourceType":"Patient","maritalStatus":{"text":"M"}}`,
			func(p *r4.Patient) {
				p.MaritalStatus = &r4.CodeableConcept{Text: string(p.Extra.Raw("maritalStatus")[1:2])}
			},
		},
		{
			"a second value of a choice", `{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}`, `{"resourceType":"Patient","deceasedDateTime":"2021"}`,
			func(p *r4.Patient) { p.Deceased = r4.DateTime("2021") },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := read[r4.Patient](t, tt.in)
			if d := difference([]byte(tt.in), []byte(write(t, p))); d != "" {
				t.Fatalf("not kept before the change: %s", d)
			}
			tt.change(p)
			if got := write(t, p); got != tt.want {
				t.Errorf("after the change it is %s, want %s", got, tt.want)
			}
		})
	}
}

func TestUnmarshalRefusesWhatIsNoResource(t *testing.T) {
	for _, in := range []string{`null`, `[]`, `"Patient"`, `5`, `{}`, `{"id":"x"}`, `{"resourceType":5}`, `{"resourceType":""}`, `{"resourceType":null}`} {
		if r, err := r4.Unmarshal([]byte(in)); !errors.Is(err, r4.ErrNoResourceType) {
			t.Errorf("%s: %v, %v; want ErrNoResourceType", in, r, err)
		}
	}
	var syntax *r4.SyntaxError
	for in, at := range map[string]int64{`{"resourceType":"Patient",}`: 26, `<html>`: 0, ``: 0, `[1`: 2, `{"resourceType":"Patient"} x`: 27, `{"resourceType":"Patient","id":"a","id":"b"}`: 35} {
		if _, err := r4.Unmarshal([]byte(in)); !errors.As(err, &syntax) || syntax.Offset != at {
			t.Errorf("%s: %v, want a SyntaxError at byte %d", in, err, at)
		}
	}
	var wrong *r4.TypeError
	err := json.Unmarshal([]byte(`{"resourceType":"Observation"}`), new(r4.Patient))
	if !errors.As(err, &wrong) || wrong.Want != "Patient" || wrong.Got != "Observation" {
		t.Errorf("an Observation into a Patient: %v, want a TypeError", err)
	}
	if got := (&r4.TypeError{Want: "Patient", Got: "Jane Doe"}).Error(); got != "r4: another resource where Patient is wanted" {
		t.Errorf("an error quotes what came: %s", got)
	}
}

func TestMarshalRefusesWhatCannotBeJSON(t *testing.T) {
	if data, err := r4.Marshal(&r4.Patient{ID: "\xff"}); err == nil {
		t.Errorf("invalid UTF-8 is written as %q", data)
	}
	if data, err := r4.Marshal(&r4.Unknown{Type: "X", Raw: []byte(`{"a":`)}); err == nil {
		t.Errorf("half an Unknown is written as %q", data)
	}
	var extra r4.Extra
	if err := extra.SetRaw("x", []byte(`{"a":1,"a":2}`)); err == nil {
		t.Error("SetRaw takes a member name twice")
	}
}

func TestOddGoValuesAreWrittenAsJSON(t *testing.T) {
	var nobody *r4.Patient
	tests := []struct {
		name string
		in   r4.Resource
		want string
	}{
		{"nil", nil, `null`},
		{"a nil pointer", nobody, `null`},
		{"a nil pointer in a choice", &r4.Observation{Value: (*r4.Quantity)(nil)}, `{"resourceType":"Observation"}`},
		{"an empty primitive in a choice", &r4.Observation{Value: r4.String("")}, `{"resourceType":"Observation"}`},
		{"nil among contained", &r4.Patient{Contained: []r4.Resource{nil, nobody, &r4.Group{ID: "g"}}}, `{"resourceType":"Patient","contained":[null,null,{"resourceType":"Group","id":"g"}]}`},
		{"empty slices", &r4.Patient{Name: []r4.HumanName{}, Contained: []r4.Resource{}}, `{"resourceType":"Patient"}`},
		{"a decimal that is none", &r4.Observation{Value: &r4.Quantity{Value: "<5"}}, `{"resourceType":"Observation","valueQuantity":{"value":"<5"}}`},
		{"a boolean that is none", &r4.Patient{Active: "yes"}, `{"resourceType":"Patient","active":"yes"}`},
		{"an unknown resource that was made", &r4.Unknown{Type: "SubscriptionTopic", ID: "t"}, `{"resourceType":"SubscriptionTopic","id":"t"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := write(t, tt.in); got != tt.want {
				t.Errorf("written as %s, want %s", got, tt.want)
			}
		})
	}
}

func TestEncodingJSONSeesTheSameValue(t *testing.T) {
	const in = `{"resourceType":"Observation","status":"final","valueQuantity":{"value":1.10}}`
	var o r4.Observation
	if err := json.Unmarshal([]byte(in), &o); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{"value": o, "pointer": &o, "field": struct{ R r4.Resource }{&o}} {
		data, err := json.Marshal(v)
		want := in
		if name == "field" {
			want = `{"R":` + in + `}`
		}
		if err != nil || string(data) != want {
			t.Errorf("json.Marshal of a %s is %s, %v", name, data, err)
		}
	}
	data, err := json.Marshal(map[string]any{"a": r4.Decimal("1.10"), "b": r4.True, "c": r4.Integer(""), "d": r4.Date("1970")})
	if want := `{"a":1.10,"b":true,"c":null,"d":"1970"}`; err != nil || string(data) != want {
		t.Errorf("primitives by themselves are %s, %v; want %s", data, err, want)
	}
	var back struct {
		A r4.Decimal
		B r4.Boolean
		C r4.Integer
		D *r4.HumanName
	}
	if err := json.Unmarshal([]byte(`{"A":1.10,"B":true,"C":null,"D":null}`), &back); err != nil || back.A != "1.10" || back.B != r4.True || back.C != "" || back.D != nil {
		t.Errorf("primitives by themselves are read as %+v, %v", back, err)
	}
}

func TestAResourceIsWrittenOnOneLine(t *testing.T) {
	in := "{\"resourceType\":\"Patient\",\n\"x\": [ 1,\r\n\t\"a \\\" b\\\\\" ],\"contained\":[{ \"resourceType\" : \"X\" }],\"name\":[\nnull ,[ ]],\"gender\":[ \"male\" ]}"
	want := `{"resourceType":"Patient","contained":[{"resourceType":"X"}],"name":[null,[]],"gender":["male"],"x":[1,"a \" b\\"]}`
	if got := write(t, read[r4.Patient](t, in)); got != want {
		t.Errorf("it is written as %s, want %s", got, want)
	}
}

func TestUnmarshalReplacesTheWholeValue(t *testing.T) {
	p := r4.Patient{Gender: "male", Name: []r4.HumanName{{Family: "A"}}}
	if err := json.Unmarshal([]byte(`{"resourceType":"Patient","id":"x"}`), &p); err != nil {
		t.Fatal(err)
	}
	if got, want := write(t, &p), `{"resourceType":"Patient","id":"x"}`; got != want {
		t.Errorf("the value is %s, want %s", got, want)
	}
}

func TestResourcesCanBeCompared(t *testing.T) {
	const in = `{"resourceType":"Patient","_birthDate":{"id":"b"},"name":[{"family":"A","x":1}]}`
	a, b := read[r4.Patient](t, in), read[r4.Patient](t, in)
	if d := cmp.Diff(a, b); d != "" {
		t.Errorf("two readings of one text differ: %s", d)
	}
	if err := b.Extra.SetElement("birthDate", nil); err != nil || cmp.Equal(a, b) {
		t.Errorf("without _birthDate it is still equal (%v)", err)
	}
}

func TestExtra(t *testing.T) {
	p := read[r4.Patient](t, `{"resourceType":"Patient","foo":1,"id":5,"name":[{"given":["A","B"],"_given":[null,{"id":"b"}]}]}`)
	other := *p // shares what is kept
	if got := p.Extra.Names(); !slices.Equal(got, []string{"foo"}) {
		t.Errorf("Names are %q, want foo alone: id has its field", got)
	}
	if e := p.Name[0].Extra.ElementAt("given", 1); e == nil || e.ID != "b" {
		t.Errorf("the second given name has %v", e)
	}
	for name, e := range map[string]*r4.Element{"first given": p.Name[0].Extra.ElementAt("given", 0), "third given": p.Name[0].Extra.ElementAt("given", 2), "id": p.Extra.Element("id")} {
		if e != nil {
			t.Errorf("%s has an element: %v", name, e)
		}
	}
	if err := errors.Join(p.Extra.SetRaw("foo", []byte(" [2] ")), p.Extra.SetRaw("bar", []byte("null")), p.Extra.SetRaw("none", nil)); err != nil {
		t.Fatal(err)
	}
	if err := p.Name[0].Extra.SetElementAt("given", 1, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := write(t, p), `{"resourceType":"Patient","id":5,"name":[{"given":["A","B"]}],"foo":[2],"bar":null}`; got != want {
		t.Errorf("after the changes it is %s, want %s", got, want)
	}
	if got := string(other.Extra.Raw("foo")); got != "1" {
		t.Errorf("a copy made before sees foo as %s", got)
	}
}

func TestSystemsGoBySeveralNames(t *testing.T) {
	tests := []struct {
		name, a, b string
		want       bool
	}{
		{"SNOMED by OID", "urn:oid:2.16.840.1.113883.6.96", "http://snomed.info/sct", true},
		{"a bare OID", "2.16.840.1.113883.6.1", "http://loinc.org", true},
		{"two OIDs of one system", "urn:oid:2.16.840.1.113883.6.103", "2.16.840.1.113883.6.104", true},
		{"an unknown OID with and without urn", "urn:oid:1.2.840.114350.1", "1.2.840.114350.1", true},
		{"an older URL of HL7", "http://hl7.org/fhir/v3/MaritalStatus", "urn:oid:2.16.840.1.113883.5.2", true},
		{"an older URL of a v2 table", "http://hl7.org/fhir/v2/0203", "http://terminology.hl7.org/CodeSystem/v2-0203", true},
		{"a slash too many", "http://loinc.org/", "http://loinc.org", true},
		{"different systems", "http://loinc.org", "http://snomed.info/sct", false},
		{"an OID that begins alike", "urn:oid:2.16.840.1.113883.6.9", "http://snomed.info/sct", false},
		{"upper case is another URL", "http://LOINC.org", "http://loinc.org", false},
		{"a version is no OID", "1.2", "urn:oid:1.2", false},
		{"none", "", "http://loinc.org", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := r4.SameSystem(tt.a, tt.b); got != tt.want {
				t.Errorf("%q and %q are the same: %t, want %t", tt.a, tt.b, got, tt.want)
			}
		})
	}
	c := &r4.CodeableConcept{Coding: []r4.Coding{{System: "urn:oid:2.16.840.1.113883.6.90", Code: "E11.9"}, {System: "http://snomed.info/sct", Code: "44054006", Display: "Diabetes"}}}
	if !c.Has("http://hl7.org/fhir/sid/icd-10-cm", "E11.9") || c.Has("http://snomed.info/sct", "E11.9") || c.CodeIn("2.16.840.1.113883.6.96") != "44054006" {
		t.Errorf("codings are not found by a synonym of their system")
	}
	var none *r4.CodeableConcept
	if none.CodingIn("x") != nil || none.Has("x", "y") || none.Label() != "" || none.CodeIn("x") != "" {
		t.Error("a nil concept has a coding")
	}
}

func TestLabelOfAConcept(t *testing.T) {
	tests := []struct {
		name string
		in   r4.CodeableConcept
		want string
	}{
		{"its text", r4.CodeableConcept{Text: "a", Coding: []r4.Coding{{Display: "b"}}}, "a"},
		{"the first display", r4.CodeableConcept{Coding: []r4.Coding{{Code: "x"}, {Display: "b"}, {Display: "c"}}}, "b"},
		{"the display that the user chose", r4.CodeableConcept{Coding: []r4.Coding{{Display: "b"}, {Display: "c", UserSelected: "true"}}}, "c"},
		{"the first code", r4.CodeableConcept{Coding: []r4.Coding{{System: "s"}, {Code: "x"}, {Code: "y"}}}, "x"},
		{"nothing", r4.CodeableConcept{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.Label(); got != tt.want {
				t.Errorf("the label is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLabelOfAValue(t *testing.T) {
	tests := []struct {
		name string
		in   r4.ExtensionValue
		want string
	}{
		{"a quantity", &r4.Quantity{Value: "7.20", Unit: "g/dL"}, "7.20 g/dL"},
		{"a quantity with comparator and code", &r4.Quantity{Value: "5", Comparator: "<", Code: "mg"}, "< 5 mg"},
		{"a number without unit", &r4.Quantity{Value: "5", Code: "1"}, "5"},
		{"a range", &r4.Range{Low: &r4.Quantity{Value: "1"}, High: &r4.Quantity{Value: "2", Unit: "kg"}}, "1 – 2 kg"},
		{"an open range", &r4.Range{High: &r4.Quantity{Value: "2"}}, "≤ 2"},
		{"a ratio", &r4.Ratio{Numerator: &r4.Quantity{Value: "1"}, Denominator: &r4.Quantity{Value: "128"}}, "1 : 128"},
		{"a period", &r4.Period{Start: "2020"}, "≥ 2020"},
		{"a coding", &r4.Coding{Code: "a"}, "a"},
		{"a reference", &r4.Reference{Display: "Dr. A"}, "Dr. A"},
		{"a boolean", r4.True, "true"},
		{"a nil pointer", (*r4.Range)(nil), ""},
		{"what has no text", &r4.Timing{}, ""},
		{"none", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := (&r4.Extension{Value: tt.in}).Label(); got != tt.want {
				t.Errorf("the label is %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPartialDates(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	tests := []struct {
		name      string
		in        r4.DateTime
		loc       *time.Location
		precision r4.Precision
		from, to  string // RFC 3339; empty for an error
	}{
		{"a year", "1970", nil, r4.PrecisionYear, "1970-01-01T00:00:00Z", "1971-01-01T00:00:00Z"},
		{"a month at the end of the year", "1970-12", nil, r4.PrecisionMonth, "1970-12-01T00:00:00Z", "1971-01-01T00:00:00Z"},
		{"a day in another time zone", "2024-02-29", berlin, r4.PrecisionDay, "2024-02-29T00:00:00+01:00", "2024-03-01T00:00:00+01:00"},
		{"a second", "2024-05-01T08:00:00Z", berlin, r4.PrecisionSecond, "2024-05-01T08:00:00Z", "2024-05-01T08:00:01Z"},
		{"an offset", "2024-05-01T08:00:00-05:30", nil, r4.PrecisionSecond, "2024-05-01T08:00:00-05:30", "2024-05-01T08:00:01-05:30"},
		{"milliseconds", "2024-05-01T08:00:00.250Z", nil, r4.PrecisionFraction, "2024-05-01T08:00:00.25Z", "2024-05-01T08:00:00.251Z"},
		{"more digits than nanoseconds", "2024-05-01T08:00:00.1234567899Z", nil, r4.PrecisionFraction, "2024-05-01T08:00:00.123456789Z", "2024-05-01T08:00:00.12345679Z"},
		{"no seconds", "2024-05-01T08:30Z", nil, r4.PrecisionMinute, "2024-05-01T08:30:00Z", "2024-05-01T08:31:00Z"},
		{"no time zone", "2024-05-01T08:00:00", berlin, r4.PrecisionSecond, "2024-05-01T08:00:00+01:00", "2024-05-01T08:00:01+01:00"},
		{"a leap second", "2016-12-31T23:59:60Z", nil, r4.PrecisionSecond, "2017-01-01T00:00:00Z", "2017-01-01T00:00:01Z"},
		{"no such day", "2023-02-29", nil, r4.PrecisionNone, "", ""},
		{"no such month", "2023-13", nil, r4.PrecisionNone, "", ""},
		{"no such hour", "2023-01-01T24:00:00Z", nil, r4.PrecisionNone, "", ""},
		{"a space for the T", "2023-01-01 10:00:00Z", nil, r4.PrecisionNone, "", ""},
		{"a fraction without digits", "2023-01-01T10:00:00.Z", nil, r4.PrecisionNone, "", ""},
		{"something behind", "2023-01-01T10:00:00Zx", nil, r4.PrecisionNone, "", ""},
		{"too short", "202", nil, r4.PrecisionNone, "", ""},
		{"absent", "", nil, r4.PrecisionNone, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.Precision(); got != tt.precision {
				t.Errorf("the precision is %s, want %s", got, tt.precision)
			}
			from, to, err := tt.in.Range(tt.loc)
			var bad *r4.ValueError
			if tt.from == "" {
				if !errors.As(err, &bad) || bad.Type != "dateTime" {
					t.Errorf("the error is %v, want a ValueError of a dateTime", err)
				}
				return
			}
			if got := from.Format(time.RFC3339Nano); err != nil || got != tt.from {
				t.Errorf("it begins %s (%v), want %s", got, err, tt.from)
			}
			if got := to.Format(time.RFC3339Nano); got != tt.to {
				t.Errorf("it ends before %s, want %s", got, tt.to)
			}
		})
	}
	if _, _, err := r4.Date("2024-05-01T08:00:00Z").Range(nil); err == nil {
		t.Error("a date takes a time")
	}
	if got, err := r4.Instant("2024-05-01T08:00:00.5+02:00").Time(); err != nil || !got.Equal(time.Date(2024, 5, 1, 6, 0, 0, 5e8, time.UTC)) {
		t.Errorf("the instant is %v, %v", got, err)
	}
	for _, in := range []r4.Instant{"2024-05-01", "2024-05-01T08:00:00", ""} {
		if got, err := in.Time(); err == nil {
			t.Errorf("%q is the instant %v", in, got)
		}
	}
	if got, err := r4.Time("14:30:05.5").Duration(); err != nil || got != 14*time.Hour+30*time.Minute+5500*time.Millisecond {
		t.Errorf("the time of day is %v, %v", got, err)
	}
	if got, err := r4.Time("14:30:00Z").Duration(); err == nil {
		t.Errorf("a time of day takes a zone: %v", got)
	}
	at := time.Date(2024, 5, 1, 8, 0, 0, 5e6, berlin)
	if d, dt, i := r4.DateOf(at), r4.DateTimeOf(at.Truncate(time.Second)), r4.InstantOf(at); d != "2024-05-01" || dt != "2024-05-01T08:00:00+01:00" || i != "2024-05-01T08:00:00.005+01:00" {
		t.Errorf("a time is written %s, %s, %s", d, dt, i)
	}
}

func TestNumbers(t *testing.T) {
	if f, err := r4.Decimal("1.10").Float64(); err != nil || f != 1.1 {
		t.Errorf("1.10 is %v, %v", f, err)
	}
	if r, err := r4.Decimal("12345678901234567890.123456789").Rat(); err != nil || r.FloatString(9) != "12345678901234567890.123456789" {
		t.Errorf("a long decimal is %v, %v", r, err)
	}
	if r, err := r4.Decimal("-1.5e-2").Rat(); err != nil || r.Cmp(big.NewRat(-3, 200)) != 0 {
		t.Errorf("-1.5e-2 is %v, %v", r, err)
	}
	for _, in := range []r4.Decimal{"", "x", "0x10", "1_0", "1/2", "Inf", "NaN", "+1", "1.", ".5", "1e999999999", "1e-999999999", "1e99999999999999999999"} {
		if r, err := in.Rat(); err == nil {
			t.Errorf("%q is the number %v", in, r)
		}
		if f, err := in.Float64(); err == nil && in != "1e-999999999" {
			t.Errorf("%q is the number %v", in, f)
		}
	}
	if n, err := r4.Integer("-5").Int(); err != nil || n != -5 {
		t.Errorf("-5 is %v, %v", n, err)
	}
	for _, in := range []r4.Integer{"", "1.0", "+1", "1e3", "99999999999999999999"} {
		if n, err := in.Int(); err == nil {
			t.Errorf("%q is the integer %d", in, n)
		}
	}
	if !r4.True.Bool() || r4.False.Bool() || r4.Boolean("").Bool() || r4.BooleanOf(false) != r4.False || r4.IntegerOf(-7) != "-7" {
		t.Error("booleans and integers do not convert")
	}
}

func TestReferences(t *testing.T) {
	tests := []struct {
		in   string
		want r4.Ref
	}{
		{"Patient/1", r4.Ref{Kind: r4.RefRelative, Type: "Patient", ID: "1"}},
		{"Patient/e-.9/_history/3", r4.Ref{Kind: r4.RefRelative, Type: "Patient", ID: "e-.9", Version: "3"}},
		{"https://h/api/FHIR/R4/Patient/1", r4.Ref{Kind: r4.RefAbsolute, Base: "https://h/api/FHIR/R4", Type: "Patient", ID: "1"}},
		{"https://h/Patient/1/_history/2", r4.Ref{Kind: r4.RefAbsolute, Base: "https://h", Type: "Patient", ID: "1", Version: "2"}},
		{"https://h/file.pdf", r4.Ref{Kind: r4.RefAbsolute, Base: "https://h/file.pdf"}},
		{"https://Patient/1", r4.Ref{Kind: r4.RefAbsolute, Base: "https://Patient/1"}},
		{"#p1", r4.Ref{Kind: r4.RefContained, ID: "p1"}},
		{"#", r4.Ref{Kind: r4.RefContained}},
		{"urn:oid:1.2.3", r4.Ref{Kind: r4.RefURN, URN: "urn:oid:1.2.3"}},
		{"Patient?identifier=a|b/c", r4.Ref{Kind: r4.RefConditional, Type: "Patient", Query: "identifier=a|b/c"}},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := r4.ParseReference(tt.in)
			if err != nil || got != tt.want {
				t.Errorf("it is %+v (%v), want %+v", got, err, tt.want)
			}
			if got.String() != tt.in {
				t.Errorf("written again it is %s", got)
			}
		})
	}
	if got, err := r4.ParseReference("/Patient/1"); err != nil || got.String() != "Patient/1" {
		t.Errorf("with a leading slash it is %v, %v", got, err)
	}
	var none *r4.Reference
	if _, err := none.Target(); err == nil {
		t.Error("a nil reference has a target")
	}
	var bad *r4.RefError
	for _, in := range []string{"", "Patient", "Patient/", "/1", "patient/1", "a/Patient/1", "Patient/1/x", "Patient/1/_history/", "Patient/a b", "https://", "https:///Patient/1", "?a=b"} {
		if got, err := r4.ParseReference(in); !errors.As(err, &bad) {
			t.Errorf("%q is %+v, %v; want a RefError", in, got, err)
		}
	}
	contained := []r4.Resource{nil, &r4.Organization{ID: "o"}, &r4.Unknown{Type: "X", ID: "x"}}
	for ref, want := range map[string]r4.Resource{"#o": contained[1], "#x": contained[2], "#": nil, "o": nil, "#y": nil} {
		if got := r4.FindContained(contained, ref); got != want {
			t.Errorf("%s is %v, want %v", ref, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	tests := []struct {
		name  string
		names []r4.HumanName
		want  string
	}{
		{"usual before official", []r4.HumanName{{Use: "official", Text: "O"}, {Use: "usual", Text: "U"}}, "U"},
		{"official before none", []r4.HumanName{{Text: "N"}, {Use: "official", Text: "O"}}, "O"},
		{"maiden only if there is nothing else", []r4.HumanName{{Use: "maiden", Text: "M"}, {Use: "nickname", Text: "K"}}, "K"},
		{"old if there is nothing else", []r4.HumanName{{Use: "old", Text: "P"}}, "P"},
		{"one that has ended comes after", []r4.HumanName{{Use: "usual", Text: "U", Period: &r4.Period{End: "2020"}}, {Use: "nickname", Text: "K"}}, "K"},
		{"one without text is none", []r4.HumanName{{Use: "usual"}, {Use: "old", Family: "P"}}, "P"},
		{"the parts in order", []r4.HumanName{{Family: "Doe", Given: []string{"Jane", "", " Q "}, Prefix: []string{"Dr."}, Suffix: []string{"MD", "PhD"}}}, "Dr. Jane Q Doe MD PhD"},
		{"none", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := (&r4.Patient{Name: tt.names}).DisplayName(); got != tt.want {
				t.Errorf("the patient is called %q, want %q", got, tt.want)
			}
			if got := (&r4.Practitioner{Name: tt.names}).DisplayName(); got != tt.want {
				t.Errorf("the practitioner is called %q, want %q", got, tt.want)
			}
		})
	}
}

func TestReadings(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"a value", `"valueString":"a"`, []string{"-1 a"}},
		{"no value and no reason", `"code":{}`, []string{"-1 "}},
		{"a reason", `"dataAbsentReason":{"text":"unknown"}`, []string{"-1 (unknown)"}},
		{"a reason in the extension of a primitive", `"_valueDateTime":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}`, []string{"-1 (masked)"}},
		{"a panel", `"component":[{"valueInteger":1},{"valueBoolean":false}]`, []string{"0 1", "1 false"}},
		{"a value and components", `"valueCodeableConcept":{"text":"high"},"component":[{"valueQuantity":{"value":1.0,"unit":"x"}}]`, []string{"-1 high", "0 1.0 x"}},
		{"a value beside a reason", `"valueString":"a","dataAbsentReason":{"text":"unknown"}`, []string{"-1 a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for r := range read[r4.Observation](t, `{"resourceType":"Observation",`+tt.in+`}`).Readings() {
				got = append(got, string(r4.IntegerOf(int64(r.Component)))+" "+r.Label())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("the readings are %q, want %q", got, tt.want)
			}
		})
	}
}
