package interop

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/sim/population"
	"github.com/andironhq/andiron/sim/simtest"
)

// complaint is what a validator says against so many resources, and the id of one of them.
type complaint struct {
	Count   int
	Example string
}

// validate lets both validators judge lines of NDJSON. Complaints are by rule, see validate.mjs.
func validate(t *testing.T, lines []byte) map[string]complaint {
	t.Helper()
	file := filepath.Join(t.TempDir(), "resources.ndjson")
	if err := os.WriteFile(file, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Judged     int
		Complaints map[string]complaint
	}
	peer(t, "validate.mjs", map[string]string{"file": file}, &got)
	if want := bytes.Count(lines, []byte("\n")); got.Judged != want || want == 0 {
		t.Fatalf("the validators judged %d of %d resources", got.Judged, want)
	}
	return got.Complaints
}

// judge fails the test for every complaint. So far none had to be excused as the validator's own mistake.
func judge(t *testing.T, lines []byte) {
	t.Helper()
	for rule, c := range validate(t, lines) {
		t.Errorf("%d resources, such as %q, are not valid: %s", c.Count, c.Example, rule)
	}
}

// charts is the generated population as NDJSON.
func charts() []byte {
	var b bytes.Buffer
	for r := range population.New(population.Config{Patients: 16}).All() {
		b.Write(r.JSON)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func TestPopulationIsValidR4(t *testing.T) {
	node(t)
	judge(t, charts())
}

func TestCodecKeepsResourcesValid(t *testing.T) {
	node(t)
	var b bytes.Buffer
	for _, line := range bytes.Split(bytes.TrimSpace(charts()), []byte("\n")) {
		res, err := r4.Unmarshal(line)
		if err != nil {
			t.Fatal(err)
		}
		again, err := r4.Marshal(res)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(again)
		b.WriteByte('\n')
	}
	judge(t, b.Bytes())
}

func TestServerAnswersAreValidR4(t *testing.T) {
	node(t)
	epic := simtest.Start(t)
	c := epic.Backend(t)
	var b bytes.Buffer
	// raw adds an answer as the server sent it, compact as it is.
	raw := func(url string, wantStatus int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, epic.URL+"/"+url, nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := c.Auth.Token(t.Context(), epic.URL, "")
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Accept", "application/fhir+json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != wantStatus {
			t.Fatalf("%s was answered %d, want %d", url, resp.StatusCode, wantStatus)
		}
		res, err := r4.Unmarshal(body)
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		line, err := r4.Marshal(res)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	p := fhir.Where("patient", epic.Patient).Encode()
	raw("metadata", http.StatusOK)
	raw("Patient/eNobody.Of.This.Name3", http.StatusNotFound)
	raw("Observation", http.StatusBadRequest)
	raw("Observation?category=laboratory&_count=7&"+p, http.StatusOK)
	raw("Observation?category=laboratory&"+p, http.StatusOK)
	raw("MedicationRequest?_include=MedicationRequest:medication&"+p, http.StatusOK)
	for _, typ := range []string{"Condition", "Encounter", "AllergyIntolerance", "Immunization", "DocumentReference", "Procedure"} {
		raw(typ+"?"+p, http.StatusOK)
	}
	raw("Condition?patient="+population.BasilID, http.StatusOK)
	judge(t, b.Bytes())
}

// The validators must be able to say no, or their silence means nothing.
func TestValidatorsSeeWhatIsWrong(t *testing.T) {
	node(t)
	for _, c := range []struct{ name, resource, judge string }{
		{"a required element is missing", `{"resourceType":"Observation","status":"final"}`, "medplum"},
		{"an element is unknown", `{"resourceType":"Patient","nick":"x"}`, "medplum"},
		{"a date is no date", `{"resourceType":"Patient","birthDate":"1970-13-40"}`, "medplum"},
		{"a required code is wrong", `{"resourceType":"Patient","gender":"f"}`, "fhir"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for rule := range validate(t, []byte(c.resource+"\n")) {
				if strings.HasPrefix(rule, c.judge+" ") {
					return
				}
			}
			t.Errorf("%s did not notice", c.judge)
		})
	}
}
