package r4_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"strings"
	"time"

	"github.com/andironhq/andiron/r4"
)

func Example() {
	r, err := r4.Unmarshal([]byte(`{"resourceType":"Observation","id":"eK1","status":"final",
		"code":{"coding":[{"system":"urn:oid:2.16.840.1.113883.6.1","code":"718-7"}],"text":"Hemoglobin"},
		"effectiveDateTime":"2024-05-01","valueQuantity":{"value":11.10,"unit":"g/dL"}}`))
	if err != nil {
		log.Fatal(err)
	}
	obs := r.(*r4.Observation)
	fmt.Println(obs.Status, obs.Code.Label(), "LOINC", obs.Code.CodeIn("http://loinc.org"))
	switch v := obs.Value.(type) {
	case *r4.Quantity:
		fmt.Println(v.Value, v.Unit)
	case *r4.CodeableConcept:
		fmt.Println(v.Label())
	case nil:
		fmt.Println("no value:", obs.DataAbsentReason.Label())
	}
	// Output:
	// final Hemoglobin LOINC 718-7
	// 11.10 g/dL
}

func ExampleMarshal() {
	data, err := r4.Marshal(&r4.Observation{
		Status:    "final",
		Code:      &r4.CodeableConcept{Coding: []r4.Coding{{System: "http://loinc.org", Code: "718-7"}}},
		Subject:   &r4.Reference{Reference: "Patient/eP1"},
		Effective: r4.DateTime("2024-05-01T08:00:00Z"),
		Value:     &r4.Quantity{Value: "7.20", Unit: "g/dL"},
	})
	fmt.Println(string(data), err)
	// Output: {"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"718-7"}]},"subject":{"reference":"Patient/eP1"},"effectiveDateTime":"2024-05-01T08:00:00Z","valueQuantity":{"value":7.20,"unit":"g/dL"}} <nil>
}

func ExampleUnmarshal_kept() {
	r, err := r4.Unmarshal([]byte(`{"resourceType":"Patient","name":{"family":"Lin"},"_birthDate":
		{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]},"chart":{"row":1.0}}`))
	if err != nil {
		log.Fatal(err)
	}
	p := r.(*r4.Patient)
	fmt.Println(p.Name[0].Family) // an object came where a list belongs
	why := r4.FindExtension(p.Extra.Element("birthDate").Extension, r4.DataAbsentReasonURL)
	fmt.Println("birth date", why.Label())
	fmt.Println("unknown to R4:", string(p.Extra.Raw("chart")))
	data, err := r4.Marshal(p)
	fmt.Println(string(data), err)
	// Output:
	// Lin
	// birth date unknown
	// unknown to R4: {"row":1.0}
	// {"resourceType":"Patient","name":{"family":"Lin"},"_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]},"chart":{"row":1.0}} <nil>
}

func ExampleExtra_SetElement() {
	p := &r4.Patient{Name: []r4.HumanName{{Given: []string{"Zoë", "M"}}}}
	err := errors.Join(
		p.Extra.SetElement("birthDate", &r4.Element{Extension: []r4.Extension{{URL: r4.DataAbsentReasonURL, Value: r4.Code("unknown")}}}),
		p.Name[0].Extra.SetElementAt("given", 1, &r4.Element{ID: "initial"}),
	)
	if err != nil {
		log.Fatal(err)
	}
	data, err := r4.Marshal(p)
	fmt.Println(string(data), err)
	// Output: {"resourceType":"Patient","name":[{"given":["Zoë","M"],"_given":[null,{"id":"initial"}]}],"_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]}} <nil>
}

func ExampleObservation_Readings() {
	r, err := r4.Unmarshal([]byte(`{"resourceType":"Observation","status":"final","code":{"text":"Blood pressure"},"component":[
		{"code":{"text":"Systolic"},"valueQuantity":{"value":142,"unit":"mm[Hg]"}},
		{"code":{"text":"Diastolic"},"dataAbsentReason":{"text":"Not performed"}}]}`))
	if err != nil {
		log.Fatal(err)
	}
	for reading := range r.(*r4.Observation).Readings() {
		fmt.Println(reading.Code.Label(), reading.Label())
	}
	// Output:
	// Systolic 142 mm[Hg]
	// Diastolic (Not performed)
}

func ExampleFindExtension() {
	p := &r4.Patient{Extension: []r4.Extension{{
		URL: "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
		Extension: []r4.Extension{
			{URL: "ombCategory", Value: &r4.Coding{Code: "2106-3", Display: "White"}},
			{URL: "text", Value: r4.String("White")},
		},
	}}}
	fmt.Println(r4.FindExtension(p.Extension, "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "text").Label())
	fmt.Println(r4.FindExtension(p.Extension, "http://example.org/none", "text") == nil)
	// Output:
	// White
	// true
}

func ExampleParseReference() {
	for _, s := range []string{"Patient/eP1", "https://fhir.example.org/api/FHIR/R4/Patient/eP1/_history/2", "#p1", "urn:uuid:0b4b1f8e-5d0c-4a0e-9a3c-3f1f5b0f8a11"} {
		ref, err := r4.ParseReference(s)
		fmt.Printf("%s: type %q id %q %v\n", ref.Kind, ref.Type, ref.ID, err)
	}
	// Output:
	// relative: type "Patient" id "eP1" <nil>
	// absolute: type "Patient" id "eP1" <nil>
	// contained: type "" id "p1" <nil>
	// urn: type "" id "" <nil>
}

func ExampleDate_Range() {
	d := r4.Date("1970-06")
	from, to, err := d.Range(nil)
	fmt.Println(d.Precision(), from.Format(time.DateOnly), to.Format(time.DateOnly), err)
	// Output: month 1970-06-01 1970-07-01 <nil>
}

func ExamplePatient_DisplayName() {
	p := &r4.Patient{Name: []r4.HumanName{
		{Use: "maiden", Family: "Barrios", Given: []string{"Mayte"}},
		{Use: "official", Family: "Escobar", Given: []string{"Mayte"}, Prefix: []string{"Mrs."}},
	}}
	fmt.Println(p.DisplayName())
	// Output: Mrs. Mayte Escobar
}

func ExampleFindIdentifierType() {
	ids := []r4.Identifier{
		{Type: &r4.CodeableConcept{Text: "EPI"}, System: "urn:oid:1.2.840.114350.1.13.0.1.7.5.737384.0", Value: "E1"},
		{Type: &r4.CodeableConcept{Text: "MRN"}, System: "urn:oid:1.2.840.114350.1.13.0.1.7.5.737384.14", Value: "203713"},
	}
	fmt.Println(r4.FindIdentifierType(ids, "MRN").Value)
	fmt.Println(r4.FindIdentifier(ids, "1.2.840.114350.1.13.0.1.7.5.737384.0").Value)
	// Output:
	// 203713
	// E1
}

func ExampleBundle_LinkURL() {
	b := &r4.Bundle{
		Link:  []r4.BundleLink{{Relation: "self", URL: "https://fhir.example.org/Patient"}, {Relation: "next", URL: "https://fhir.example.org/?sessionID=3"}},
		Entry: []r4.BundleEntry{{Resource: &r4.Patient{ID: "a"}}, {Resource: &r4.OperationOutcome{ID: "o"}}},
	}
	for r := range b.Resources() {
		fmt.Println(r.ResourceType(), r.GetID())
	}
	fmt.Println(b.LinkURL("next"))
	// Output:
	// Patient a
	// OperationOutcome o
	// https://fhir.example.org/?sessionID=3
}

func ExampleLines() {
	for l, err := range r4.Lines(strings.NewReader("{\"resourceType\":\"Patient\",\"id\":\"a\"}\n\n{\"resourceType\":\"Patient\",\"id\":\"b\"}\n")) {
		if err != nil {
			log.Fatal(err)
		}
		r, err := r4.Unmarshal(l.Data)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(l.Number, l.Offset, r.GetID())
	}
	// Output:
	// 1 0 a
	// 3 37 b
}

func ExampleLineChecker() {
	file := new(strings.Builder)
	check := &r4.LineChecker{Type: "Patient"}
	body := strings.NewReader("{\"resourceType\":\"Patient\",\"id\":\"a\"}\n{\"resourceType\":\"Patient\",\"id\"")
	_, err := io.Copy(io.MultiWriter(file, check), body)
	if err == nil {
		err = check.Close()
	}
	fmt.Println(check.Lines(), err, errors.Is(err, r4.ErrTruncated))
	// Output: 1 r4: line 2, byte 30: the last line is incomplete true
}

func ExampleResourcePtr() {
	read := func(id string) string { return readURL[r4.Patient](id) }
	fmt.Println(read("eP1"))
	// Output: Patient/eP1
}

// readURL shows how a function is generic over resource types.
func readURL[T any, R r4.ResourcePtr[T]](id string) string {
	return R(new(T)).ResourceType() + "/" + id
}
