package sim_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/andironhq/andiron/sim"
)

func TestEveryKnobIsListedAndSettable(t *testing.T) {
	list := sim.ListKnobs()
	if fields := reflect.TypeFor[sim.Knobs]().NumField(); len(list) != fields {
		t.Errorf("%d knobs are listed, the struct has %d", len(list), fields)
	}
	for _, k := range list {
		var knobs sim.Knobs
		if k.Doc == "" || k.Values == "" {
			t.Errorf("%s has no text", k.Name)
		}
		value := map[string]string{"any text": "x", "any path": "/x"}[k.Values]
		if value == "" {
			value = k.Default
		}
		if err := knobs.Set(k.Name, value); err != nil {
			t.Errorf("%s does not take %q: %v", k.Name, value, err)
		}
	}
	var knobs sim.Knobs
	for name, value := range map[string]string{"nonsense": "1", "bulk_window": "soon", "page_size": "many", "launch_matrix": "perhaps"} {
		if knobs.Set(name, value) == nil {
			t.Errorf("%s=%s was taken", name, value)
		}
	}
	if err := knobs.Set("bulk_window", "0"); err != nil || knobs.BulkWindow >= 0 {
		t.Errorf("bulk_window=0 gives %v, %v; want no window", knobs.BulkWindow, err)
	}
	if err := knobs.Set("bulk_retry_after", "1s"); err != nil || knobs.BulkRetryAfter != time.Second {
		t.Errorf("bulk_retry_after=1s gives %v, %v", knobs.BulkRetryAfter, err)
	}
}

func TestInstancePathIsAnyPath(t *testing.T) {
	h := open(t, func(s *sim.Server) { s.Knobs.InstancePath = "/clinical/apex/FHIRProxy" })
	if a := h.get("Patient/eAlex3"); a.status != 200 || h.base() != h.origin+"/clinical/apex/FHIRProxy/api/FHIR/R4" {
		t.Errorf("%s: %d", h.base(), a.status)
	}
	if a := h.get(h.origin + "/interconnect-fhir-oauth/api/FHIR/R4/Patient/eAlex3"); a.status != 404 {
		t.Errorf("the default path: %d, want 404", a.status)
	}
}
