package population

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andironhq/andiron/r4"
)

// parsed is a resource with its JSON read generically, literal numbers kept.
type parsed struct {
	Resource
	m map[string]any
}

func parse(t testing.TB, data []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatalf("a generated resource is not JSON: %v\n%s", err, data)
	}
	return m
}

// usualSize is large enough for rare things to occur and small enough for the race detector.
const usualSize = 120

// usual is the population that most tests look at, made once.
var usual = sync.OnceValue(func() []Resource {
	var all []Resource
	for r := range New(Config{Seed: 1, Patients: usualSize}).All() {
		all = append(all, r)
	}
	return all
})

var usualOnce = sync.OnceValue(func() []parsed {
	var list []parsed
	for _, r := range usual() {
		d := json.NewDecoder(bytes.NewReader(r.JSON))
		d.UseNumber()
		p := parsed{Resource: r}
		if err := d.Decode(&p.m); err != nil {
			panic(err)
		}
		list = append(list, p)
	}
	return list
})

// usualParsed is usual, read generically; it is shared and must not be changed.
func usualParsed(t testing.TB) []parsed {
	t.Helper()
	return usualOnce()
}

// walk visits every member of a JSON value with its path (array positions left out).
func walk(path string, v any, visit func(path, key string, v any)) {
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			visit(path, k, child)
			walk(path+"."+k, child, visit)
		}
	case []any:
		for _, child := range v {
			walk(path, child, visit)
		}
	}
}

// chartOf decodes the resources of one type in a patient's chart.
func chartOf[T any, R r4.ResourcePtr[T]](t testing.TB, p *Population, id string) []R {
	t.Helper()
	var list []R
	for k := range p.Len() {
		if p.PatientID(k) != id {
			continue
		}
		for _, r := range p.Chart(k) {
			decoded, err := r4.Unmarshal(r.JSON)
			if err != nil {
				t.Fatalf("%s/%s does not decode: %v", r.Type, r.ID, err)
			}
			if typed, ok := decoded.(R); ok {
				list = append(list, typed)
			}
		}
		return list
	}
	t.Fatalf("there is no patient %s", id)
	return nil
}

func hasCode(c *r4.CodeableConcept, system, code string) bool {
	if c == nil {
		return false
	}
	for _, x := range c.Coding {
		if x.System == system && x.Code == code {
			return true
		}
	}
	return false
}

func when(t testing.TB, s string) time.Time {
	t.Helper()
	for _, layout := range []string{time.RFC3339, "2006-01-02"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at
		}
	}
	t.Fatalf("%q is no date", s)
	return time.Time{}
}

func textOf(v any, path ...string) string {
	for _, p := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[p]
		case []any:
			if len(x) == 0 {
				return ""
			}
			v = x[0]
			if m, ok := v.(map[string]any); ok {
				v = m[p]
			}
		default:
			return ""
		}
	}
	switch x := v.(type) {
	case string:
		return x
	case json.Number:
		return x.String()
	}
	return ""
}

func isRelative(reference string) bool {
	return strings.Count(reference, "/") == 1 && !strings.Contains(reference, ":")
}
