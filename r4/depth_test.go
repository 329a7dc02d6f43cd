package r4

import (
	"strings"
	"testing"
)

// A look ahead for a resourceType that stands last must not read what it passes again at every level
// below: the work would grow with the square of the depth, and a line of a megabyte would take seconds.
func TestNestedResourcesAreReadOnce(t *testing.T) {
	const levels = 200
	line := strings.Repeat(`{"contained":[`, levels) + `{"id":"x"}` + strings.Repeat(`],"resourceType":"Patient"}`, levels)
	d := &decoder{scanner: scanner{s: line}}
	if got := d.typeOf(); got != "Patient" {
		t.Fatalf("the type that stands last is read as %q", got)
	}
	// Each level has an array with an object in it.
	if want := 2 * levels; len(d.ends) != want {
		t.Errorf("the look ahead remembers %d ends, want %d", len(d.ends), want)
	}
	r, err := Unmarshal([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	out, err := Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(out), `"resourceType":"Patient"`); n != levels {
		t.Errorf("%d of %d levels came through", n, levels)
	}
}

func BenchmarkNestedResources(b *testing.B) {
	const levels = 3000
	line := []byte(strings.Repeat(`{"contained":[`, levels) + `{"id":"x"}` + strings.Repeat(`],"resourceType":"Patient"}`, levels))
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, err := Unmarshal(line); err != nil {
			b.Fatal(err)
		}
	}
}
