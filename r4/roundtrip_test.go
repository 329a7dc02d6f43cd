package r4_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/andironhq/andiron/r4"
)

// difference compares two JSON texts as values: order of members aside, numbers digit by digit. It says
// where they differ, and nothing if they do not.
func difference(a, b []byte) string {
	va, err := decodeLiteral(a)
	if err != nil {
		return "in: " + err.Error()
	}
	vb, err := decodeLiteral(b)
	if err != nil {
		return "out: " + err.Error()
	}
	return differ("$", va, vb)
}

func decodeLiteral(data []byte) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return v, dec.Decode(&v)
}

func differ(path string, a, b any) string {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok {
			return path + " is no object any more"
		}
		for k := range b {
			if _, ok := a[k]; !ok {
				return path + "." + k + " is new"
			}
		}
		for k, v := range a {
			w, ok := b[k]
			if !ok {
				return path + "." + k + " is gone"
			}
			if d := differ(path+"."+k, v, w); d != "" {
				return d
			}
		}
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return path + " is no list of the same length any more"
		}
		for i := range a {
			if d := differ(fmt.Sprintf("%s[%d]", path, i), a[i], b[i]); d != "" {
				return d
			}
		}
	default:
		if a != b {
			return fmt.Sprintf("%s was %v, is %v", path, a, b)
		}
	}
	return ""
}

// roundTrip reads and writes one resource and fails unless it is still the same.
func roundTrip(t *testing.T, name string, data []byte) {
	t.Helper()
	r, err := r4.Unmarshal(data)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	out, err := r4.Marshal(r)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if d := difference(data, out); d != "" {
		t.Errorf("%s is not the same after a round trip: %s", name, d)
	}
}

// shared finds the folder of shared data, beside the module or where ANDIRON_SHARED says.
func shared(t testing.TB, elem ...string) string {
	t.Helper()
	root := os.Getenv("ANDIRON_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "shared")
	}
	dir := filepath.Join(append([]string{root, "data"}, elem...)...)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: no shared data (%v); set ANDIRON_SHARED", err)
	}
	return dir
}

func TestPublishedExamplesSurviveARoundTrip(t *testing.T) {
	for _, set := range []string{"r4-examples", "uscore-8.0.0"} {
		t.Run(set, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(shared(t, set), "*.json"))
			if err != nil || len(files) < 100 {
				t.Fatalf("%d example files (%v), more than 100 expected", len(files), err)
			}
			for _, name := range files {
				if filepath.Base(name) == "MANIFEST.json" {
					continue
				}
				data, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				roundTrip(t, filepath.Base(name), data)
			}
		})
	}
}

func TestSyntheaSurvivesARoundTrip(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared(t, "synthea"), "*.ndjson.gz"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files (%v), more than 10 expected", len(files), err)
	}
	every := int64(1)
	if testing.Short() || raceEnabled {
		every = 101
	}
	total := 0
	for _, name := range files {
		eachLine(t, name, func(l r4.Line) {
			if l.Number%every == 1%every {
				total++
				roundTrip(t, fmt.Sprintf("%s:%d", filepath.Base(name), l.Number), l.Data)
			}
		})
	}
	t.Logf("%d resources", total)
}

// eachLine calls f for the lines of a gzipped NDJSON file.
func eachLine(t testing.TB, name string, f func(r4.Line)) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zr, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for l, err := range r4.Lines(zr) {
		if err != nil {
			t.Fatal(err)
		}
		f(l)
	}
}

// quirks are things that servers send and R4 does not foresee, or that no plain struct can hold. Each must come back as it came.
var quirks = []struct{ name, in string }{
	{"trailing zeros of a decimal", `{"resourceType":"Observation","valueQuantity":{"value":1.10}}`},
	{"more digits than a float64", `{"resourceType":"Observation","valueQuantity":{"value":12345678901234567890.123456789}}`},
	{"a decimal with an exponent", `{"resourceType":"Observation","valueQuantity":{"value":1e3},"component":[{"valueQuantity":{"value":-0.50E-2}}]}`},
	{"negative zero", `{"resourceType":"Observation","valueQuantity":{"value":-0.0}}`},
	{"extension of a primitive", `{"resourceType":"Patient","birthDate":"1970","_birthDate":{"id":"b","extension":[{"url":"u","valueDateTime":"1970-01-01T01:02:03Z"}]}}`},
	{"extension without a primitive", `{"resourceType":"Patient","_birthDate":{"extension":[{"url":"u","valueCode":"unknown"}]}}`},
	{"extensions in a list of primitives", `{"resourceType":"Patient","name":[{"given":["A",null,"C"],"_given":[null,{"extension":[{"url":"u","valueString":"x"}]},{"id":"i"}]}]}`},
	{"only nulls in a list of primitives", `{"resourceType":"Patient","name":[{"given":[null],"_given":[{"id":"i"}]}]}`},
	{"extension of a choice", `{"resourceType":"Patient","deceasedBoolean":true,"_deceasedBoolean":{"id":"d"}}`},
	{"extension of a choice without value", `{"resourceType":"Patient","_deceasedDateTime":{"extension":[{"url":"u","valueCode":"unknown"}]}}`},
	{"contained resources, one of an unknown type", `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"N"},{"resourceType":"SubscriptionStatus","x":{"y":[1.0]}}]}`},
	{"a contained resource without a type", `{"resourceType":"Patient","contained":[{"id":"o"},null,"x",7]}`},
	{"a contained resource whose type comes last", `{"resourceType":"Patient","contained":[{"id":"o","name":"N","resourceType":"Organization"}]}`},
	{"an unknown resource type", `{"resourceType":"SubscriptionTopic","id":"x","value":[1.00,{"a":null}]}`},
	{"resourceType is not first", `{"id":"x","active":true,"resourceType":"Patient"}`},
	{"unknown members", `{"resourceType":"Patient","id":"x","foo":{"bar":[1.0,null,true]},"name":[{"fhir_comments":["c"],"":0}]}`},
	{"a member in another case is unknown", `{"resourceType":"Patient","ID":"x","Name":[{"family":"A"}],"id":"y"}`},
	{"object for a list", `{"resourceType":"Patient","name":{"family":"A","given":["B"]}}`},
	{"list for an object", `{"resourceType":"Patient","maritalStatus":[{"text":"m"}]}`},
	{"a longer list for an object", `{"resourceType":"Patient","maritalStatus":[{"text":"m"},{"text":"n"}]}`},
	{"an empty list for an object", `{"resourceType":"Patient","maritalStatus":[ ]}`},
	{"a list of lists for an object", `{"resourceType":"Patient","maritalStatus":[[{"text":"m"}]]}`},
	{"string for an object", `{"resourceType":"Patient","maritalStatus":"M","name":"A B"}`},
	{"object for a contained list", `{"resourceType":"Patient","contained":{"resourceType":"Patient","id":"c"}}`},
	{"list for a resource", `{"resourceType":"Bundle","entry":[{"resource":[{"resourceType":"Patient"}]},{"resource":"x"},{"resource":null}]}`},
	{"number for a string", `{"resourceType":"Patient","id":5,"name":[{"family":1.50,"given":[1,"a",true]}]}`},
	{"boolean for a string", `{"resourceType":"Patient","gender":true}`},
	{"object for a string", `{"resourceType":"Patient","gender":{"code":"male"},"name":[{"given":{"a":1}}]}`},
	{"list for a string", `{"resourceType":"Patient","gender":["male"],"birthDate":[],"language":["a","b"],"implicitRules":[["a"]]}`},
	{"string for a list of strings", `{"resourceType":"Patient","name":[{"given":"A","prefix":5,"suffix":null}]}`},
	{"odd things in a list of strings", `{"resourceType":"Patient","name":[{"given":["A","",null,{},["x"],[]]}]}`},
	{"string for a boolean", `{"resourceType":"Patient","active":"true","deceasedBoolean":"no"}`},
	{"number for a boolean", `{"resourceType":"Patient","active":1}`},
	{"string for a number", `{"resourceType":"Observation","valueQuantity":{"value":"1.10"},"component":[{"valueInteger":"x"}]}`},
	{"string for a number in a list", `{"resourceType":"Claim","item":[{"sequence":"1","careTeamSequence":["1",2,null]}]}`},
	{"null for everything", `{"resourceType":"Patient","id":null,"active":null,"name":null,"maritalStatus":null,"deceasedBoolean":null,"contained":null,"foo":null}`},
	{"null in lists", `{"resourceType":"Patient","name":[null,{"family":"A"},null,5,"x",[]]}`},
	{"empty string", `{"resourceType":"Patient","id":"","name":[{"family":"","given":[""]}],"deceasedDateTime":""}`},
	{"empty objects and lists", `{"resourceType":"Patient","maritalStatus":{},"name":[{}],"telecom":[],"contained":[{}],"deceasedDateTime":{}}`},
	{"two values for one choice", `{"resourceType":"Observation","valueString":"a","valueQuantity":{"value":1.0},"valueBoolean":true,"_valueString":{"id":"x"}}`},
	{"choice of a type R4 does not allow", `{"resourceType":"Observation","valueAttachment":{"url":"u"},"valueDecimal":1.0}`},
	{"escapes and runes", `{"resourceType":"Patient","name":[{"family":"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t\u0000é😀"}],"n\u0061me2":"x"}`},
	{"an escaped member name", `{"resourceType":"Patient","b\u0069rthDate":"1970"}`},
	{"white space everywhere", " {\n\t\"resourceType\" : \"Patient\" , \"name\" : [ { \"given\" : [ \"A\" , \"B\" ] } , { } ] , \"x\" : [ 1 , 2 ] }\r\n"},
	{"xhtml", `{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a &amp; b</div>"}}`},
	{"bundle with an outcome", `{"resourceType":"Bundle","entry":[{"response":{"status":"400","outcome":{"resourceType":"OperationOutcome","issue":[{"severity":"error"}]}}}]}`},
}

func TestNothingIsLost(t *testing.T) {
	for _, tt := range quirks {
		t.Run(tt.name, func(t *testing.T) { roundTrip(t, tt.name, []byte(tt.in)) })
	}
}

func TestEveryResourceTypeReadsAndWrites(t *testing.T) {
	types := r4.ResourceTypes()
	if len(types) != 146 || !slices.IsSorted(types) {
		t.Fatalf("%d resource types, 146 sorted ones expected", len(types))
	}
	for _, name := range types {
		r := r4.New(name)
		if r == nil || r.ResourceType() != name || !r4.IsResourceType(name) {
			t.Fatalf("New(%s) is %v", name, r)
		}
		data, err := r4.Marshal(r)
		if want := `{"resourceType":"` + name + `"}`; err != nil || string(data) != want {
			t.Errorf("an empty %s is %s (%v), want %s", name, data, err, want)
		}
		in := `{"resourceType":"` + name + `","id":"x","extension":[{"url":"u","valueString":"v"}],"` + strings.ToLower(name) + `":1}`
		if name == "Bundle" || name == "Binary" || name == "Parameters" {
			in = `{"resourceType":"` + name + `","id":"x"}`
		}
		roundTrip(t, name, []byte(in))
	}
}
