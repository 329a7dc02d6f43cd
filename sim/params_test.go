package sim

import (
	"slices"
	"strings"
	"testing"

	"github.com/andironhq/andiron/epic"
)

// unmodelled are the native parameters, of types that this package has a table for, that it does
// not evaluate; a search that uses one is told so.
var unmodelled = map[string]string{
	"Appointment":    "onlyscannable", // only from a Hyperspace launch
	"Encounter":      "onlyscannable",
	"ServiceRequest": "onlyscannable",
	"Patient":        "doc-type legal-sex own-name own-prefix partner-name partner-prefix",
}

func TestNativeParametersAreEvaluatedOrKnownNotToBe(t *testing.T) {
	for typ, params := range searchParams {
		r, ok := epic.LookupResource(typ)
		if !ok {
			t.Errorf("the table has %s, Epic does not", typ)
			continue
		}
		var missing []string
		for _, name := range r.Native {
			if _, ok := params[name]; !ok {
				missing = append(missing, name)
			}
		}
		if got := strings.Join(missing, " "); got != unmodelled[typ] {
			t.Errorf("%s: not evaluated are %q, want %q", typ, got, unmodelled[typ])
		}
		for name, p := range params {
			if !slices.Contains(r.Native, name) && !slices.Contains(r.PostFilter, name) {
				t.Errorf("%s.%s: Epic does not declare it", typ, name)
			}
			if !strings.ContainsRune("tdrs", rune(p.kind)) || len(p.paths) == 0 || p.paths[0] == "" {
				t.Errorf("%s.%s: the table's entry is malformed", typ, name)
			}
		}
	}
}
