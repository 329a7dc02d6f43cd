package r4_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/andironhq/andiron/r4"
)

// The comparator is what one would write by hand: plain structs with the members that the sample uses, decoded by
// encoding/json. It keeps neither decimals nor extensions of primitives nor unknown members.
type (
	plainCoding struct {
		System  string `json:"system,omitempty"`
		Version string `json:"version,omitempty"`
		Code    string `json:"code,omitempty"`
		Display string `json:"display,omitempty"`
	}
	plainConcept struct {
		Coding []plainCoding `json:"coding,omitempty"`
		Text   string        `json:"text,omitempty"`
	}
	plainReference struct {
		Reference string `json:"reference,omitempty"`
		Type      string `json:"type,omitempty"`
		Display   string `json:"display,omitempty"`
	}
	plainQuantity struct {
		Value      *float64 `json:"value,omitempty"`
		Comparator string   `json:"comparator,omitempty"`
		Unit       string   `json:"unit,omitempty"`
		System     string   `json:"system,omitempty"`
		Code       string   `json:"code,omitempty"`
	}
	plainMeta struct {
		VersionID   string   `json:"versionId,omitempty"`
		LastUpdated string   `json:"lastUpdated,omitempty"`
		Profile     []string `json:"profile,omitempty"`
	}
	plainExtension struct {
		Extension      []plainExtension `json:"extension,omitempty"`
		URL            string           `json:"url"`
		ValueString    string           `json:"valueString,omitempty"`
		ValueCode      string           `json:"valueCode,omitempty"`
		ValueCoding    *plainCoding     `json:"valueCoding,omitempty"`
		ValueDecimal   *float64         `json:"valueDecimal,omitempty"`
		ValueReference *plainReference  `json:"valueReference,omitempty"`
	}
	plainIdentifier struct {
		Use    string        `json:"use,omitempty"`
		Type   *plainConcept `json:"type,omitempty"`
		System string        `json:"system,omitempty"`
		Value  string        `json:"value,omitempty"`
	}
	plainRange struct {
		Low  *plainQuantity `json:"low,omitempty"`
		High *plainQuantity `json:"high,omitempty"`
		Text string         `json:"text,omitempty"`
	}
	plainComponent struct {
		Code                 *plainConcept  `json:"code,omitempty"`
		ValueQuantity        *plainQuantity `json:"valueQuantity,omitempty"`
		ValueCodeableConcept *plainConcept  `json:"valueCodeableConcept,omitempty"`
		ValueString          string         `json:"valueString,omitempty"`
		DataAbsentReason     *plainConcept  `json:"dataAbsentReason,omitempty"`
	}
	plainObservation struct {
		ResourceType         string            `json:"resourceType"`
		ID                   string            `json:"id,omitempty"`
		Meta                 *plainMeta        `json:"meta,omitempty"`
		Extension            []plainExtension  `json:"extension,omitempty"`
		Identifier           []plainIdentifier `json:"identifier,omitempty"`
		BasedOn              []plainReference  `json:"basedOn,omitempty"`
		Status               string            `json:"status,omitempty"`
		Category             []plainConcept    `json:"category,omitempty"`
		Code                 *plainConcept     `json:"code,omitempty"`
		Subject              *plainReference   `json:"subject,omitempty"`
		Encounter            *plainReference   `json:"encounter,omitempty"`
		EffectiveDateTime    string            `json:"effectiveDateTime,omitempty"`
		Issued               string            `json:"issued,omitempty"`
		Performer            []plainReference  `json:"performer,omitempty"`
		ValueQuantity        *plainQuantity    `json:"valueQuantity,omitempty"`
		ValueCodeableConcept *plainConcept     `json:"valueCodeableConcept,omitempty"`
		ValueString          string            `json:"valueString,omitempty"`
		DataAbsentReason     *plainConcept     `json:"dataAbsentReason,omitempty"`
		Interpretation       []plainConcept    `json:"interpretation,omitempty"`
		ReferenceRange       []plainRange      `json:"referenceRange,omitempty"`
		Component            []plainComponent  `json:"component,omitempty"`
	}
	plainName struct {
		Use    string   `json:"use,omitempty"`
		Text   string   `json:"text,omitempty"`
		Family string   `json:"family,omitempty"`
		Given  []string `json:"given,omitempty"`
		Prefix []string `json:"prefix,omitempty"`
		Suffix []string `json:"suffix,omitempty"`
	}
	plainTelecom struct {
		System string `json:"system,omitempty"`
		Value  string `json:"value,omitempty"`
		Use    string `json:"use,omitempty"`
	}
	plainAddress struct {
		Extension  []plainExtension `json:"extension,omitempty"`
		Use        string           `json:"use,omitempty"`
		Line       []string         `json:"line,omitempty"`
		City       string           `json:"city,omitempty"`
		District   string           `json:"district,omitempty"`
		State      string           `json:"state,omitempty"`
		PostalCode string           `json:"postalCode,omitempty"`
		Country    string           `json:"country,omitempty"`
	}
	plainNarrative struct {
		Status string `json:"status,omitempty"`
		Div    string `json:"div,omitempty"`
	}
	plainCommunication struct {
		Language  *plainConcept `json:"language,omitempty"`
		Preferred *bool         `json:"preferred,omitempty"`
	}
	plainPatient struct {
		ResourceType         string               `json:"resourceType"`
		ID                   string               `json:"id,omitempty"`
		Meta                 *plainMeta           `json:"meta,omitempty"`
		Text                 *plainNarrative      `json:"text,omitempty"`
		Extension            []plainExtension     `json:"extension,omitempty"`
		Identifier           []plainIdentifier    `json:"identifier,omitempty"`
		Active               *bool                `json:"active,omitempty"`
		Name                 []plainName          `json:"name,omitempty"`
		Telecom              []plainTelecom       `json:"telecom,omitempty"`
		Gender               string               `json:"gender,omitempty"`
		BirthDate            string               `json:"birthDate,omitempty"`
		DeceasedBoolean      *bool                `json:"deceasedBoolean,omitempty"`
		DeceasedDateTime     string               `json:"deceasedDateTime,omitempty"`
		Address              []plainAddress       `json:"address,omitempty"`
		MaritalStatus        *plainConcept        `json:"maritalStatus,omitempty"`
		MultipleBirthBoolean *bool                `json:"multipleBirthBoolean,omitempty"`
		MultipleBirthInteger *int                 `json:"multipleBirthInteger,omitempty"`
		Communication        []plainCommunication `json:"communication,omitempty"`
		GeneralPractitioner  []plainReference     `json:"generalPractitioner,omitempty"`
		ManagingOrganization *plainReference      `json:"managingOrganization,omitempty"`
	}
)

// source is where benchmark lines come from.
type source struct {
	name  string
	lines func(b *testing.B, typ string) [][]byte
}

var sources = []source{{"sample", sampleLines}, {"synthea", syntheaLines}}

// sampleLines makes lines of the shapes that hospitals send most.
func sampleLines(_ *testing.B, typ string) (lines [][]byte) {
	const (
		observation = `{"resourceType":"Observation","id":"eK%06dxVq3","identifier":[{"use":"official","system":"urn:oid:1.2.840.114350.1.13.0.1.7.6.798268","value":"%d"}],` +
			`"basedOn":[{"reference":"ServiceRequest/eR%06d","display":"CBC and differential"}],"status":"final","category":[{"coding":[{"system":` +
			`"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}],"text":"Laboratory"}],` +
			`"code":{"coding":[{"system":"http://loinc.org","code":"718-7","display":"Hemoglobin [Mass/volume] in Blood"}],"text":"HEMOGLOBIN"},` +
			`"subject":{"reference":"Patient/eP%04d","display":"Lin, Derrick"},"encounter":{"reference":"Encounter/eE%06d"},"effectiveDateTime":"2024-05-01T08:%02d:00Z",` +
			`"issued":"2024-05-01T09:12:00Z","performer":[{"reference":"Practitioner/ePr1","type":"Practitioner","display":"Physician Family Medicine, MD"}],%s,` +
			`"interpretation":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"L","display":"Low"}],"text":"Low"}],` +
			`"referenceRange":[{"low":{"value":12.0,"unit":"g/dL"},"high":{"value":16.0,"unit":"g/dL"},"text":"12.0 - 16.0 g/dL"}]}`
		patient = `{"resourceType":"Patient","id":"eP%06d","extension":[{"extension":[{"valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2106-3","display":"White"},` +
			`"url":"ombCategory"},{"valueString":"White","url":"text"}],"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"},{"valueCode":"F","url":` +
			`"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"}],"identifier":[{"use":"usual","type":{"text":"EPI"},"system":"urn:oid:1.2.840.114350.1.13.0.1.7.5.737384.0",` +
			`"value":"E%06d"},{"use":"usual","type":{"text":"MRN"},"system":"urn:oid:1.2.840.114350.1.13.0.1.7.5.737384.14","value":"%d"}],"active":true,"name":[{"use":"official",` +
			`"text":"Zoë Ångström-%d","family":"Ångström-%d","given":["Zoë","Marie"]},{"use":"usual","text":"Zoë Ångström","family":"Ångström","given":["Zoë"]}],"telecom":[{"system":"phone",` +
			`"value":"608-555-%04d","use":"home"},{"system":"email","value":"zoe@example.org"}],"gender":"female","birthDate":"1987-06-%02d","deceasedBoolean":false,"address":[{"use":"home",` +
			`"line":["%d Main Street"],"city":"Madison","district":"DANE","state":"WI","postalCode":"53706","country":"US"}],"maritalStatus":{"text":"Married"},"communication":[{"language":` +
			`{"coding":[{"system":"urn:ietf:bcp:47","code":"en","display":"English"}],"text":"English"},"preferred":true}],"generalPractitioner":[{"reference":"Practitioner/ePr1",` +
			`"type":"Practitioner","display":"Physician Family Medicine, MD"}],"managingOrganization":{"reference":"Organization/eO1","display":"Example Health System"}}`
	)
	values := []string{
		`"valueQuantity":{"value":11.%d0,"unit":"g/dL","system":"http://unitsofmeasure.org","code":"g/dL"}`,
		`"valueCodeableConcept":{"coding":[{"system":"http://snomed.info/sct","code":"10828004","display":"Positive"}],"text":"Positive %d"}`,
		`"valueString":"No growth after %d days of incubation\nFinal"`,
		`"dataAbsentReason":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","code":"unknown","display":"Unknown"}],"text":"Unknown %d"}`,
	}
	for i := range 100 {
		line := fmt.Sprintf(patient, i, i, 200000+i, i, i, i, i%28+1, i)
		if typ == "Observation" {
			value := fmt.Sprintf(values[max(0, i%8-4)], i%10)
			line = fmt.Sprintf(observation, i, i, i, i, i, i%60, value)
		}
		lines = append(lines, []byte(line))
	}
	return lines
}

// syntheaLines are the first lines of Synthea's file.
func syntheaLines(b *testing.B, typ string) (lines [][]byte) {
	eachLine(b, filepath.Join(shared(b, "synthea"), typ+".ndjson.gz"), func(l r4.Line) {
		if len(lines) < 1000 {
			lines = append(lines, bytes.Clone(l.Data))
		}
	})
	return lines
}

// eachSource runs f for both sources and both types.
func eachSource(b *testing.B, name string, f func(b *testing.B, typ string, lines [][]byte)) {
	for _, src := range sources {
		for _, typ := range []string{"Observation", "Patient"} {
			b.Run(src.name+"/"+typ+"/"+name, func(b *testing.B) {
				lines := src.lines(b, typ)
				size := int64(0)
				for _, l := range lines {
					size += int64(len(l))
				}
				b.SetBytes(size)
				b.ReportAllocs()
				f(b, typ, lines)
			})
		}
	}
}

// each runs f over all lines once per round.
func each(b *testing.B, lines [][]byte, f func([]byte) error) {
	for b.Loop() {
		for _, l := range lines {
			if err := f(l); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func plainValue(typ string) any {
	if typ == "Patient" {
		return new(plainPatient)
	}
	return new(plainObservation)
}

// BenchmarkDecode: r4 validates strictly and keeps everything; encoding-json fills plain structs. The bar is three times its speed.
func BenchmarkDecode(b *testing.B) {
	eachSource(b, "r4", func(b *testing.B, _ string, lines [][]byte) {
		each(b, lines, func(l []byte) error { _, err := r4.Unmarshal(l); return err })
	})
	eachSource(b, "encoding-json", func(b *testing.B, typ string, lines [][]byte) {
		each(b, lines, func(l []byte) error { return json.Unmarshal(l, plainValue(typ)) })
	})
}

func BenchmarkEncode(b *testing.B) {
	eachSource(b, "r4", func(b *testing.B, _ string, lines [][]byte) {
		var all []r4.Resource
		for _, l := range lines {
			r, err := r4.Unmarshal(l)
			if err != nil {
				b.Fatal(err)
			}
			all = append(all, r)
		}
		var buf []byte
		for b.Loop() {
			for _, r := range all {
				var err error
				if buf, err = r4.Append(buf[:0], r); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	eachSource(b, "encoding-json", func(b *testing.B, typ string, lines [][]byte) {
		var all []any
		for _, l := range lines {
			v := plainValue(typ)
			if err := json.Unmarshal(l, v); err != nil {
				b.Fatal(err)
			}
			all = append(all, v)
		}
		for b.Loop() {
			for _, v := range all {
				if _, err := json.Marshal(v); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkValidate: the whole line in memory, by us and by others, and a stream in pieces of 32 kB.
func BenchmarkValidate(b *testing.B) {
	eachSource(b, "CheckJSON", func(b *testing.B, _ string, lines [][]byte) { each(b, lines, r4.CheckJSON) })
	eachSource(b, "json.Valid", func(b *testing.B, _ string, lines [][]byte) {
		each(b, lines, func(l []byte) error { json.Valid(l); return nil })
	})
	eachSource(b, "jsontext", func(b *testing.B, _ string, lines [][]byte) {
		each(b, lines, func(l []byte) error { jsontext.Value(l).IsValid(); return nil })
	})
	eachSource(b, "LineChecker", func(b *testing.B, typ string, lines [][]byte) {
		stream := append(bytes.Join(lines, []byte("\n")), '\n')
		b.SetBytes(int64(len(stream)))
		for b.Loop() {
			c := r4.LineChecker{Type: typ}
			for p := stream; len(p) > 0; {
				n := min(len(p), 32<<10)
				if _, err := c.Write(p[:n]); err != nil {
					b.Fatal(err)
				}
				p = p[n:]
			}
			if err := c.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
