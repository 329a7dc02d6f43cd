package epic_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/andironhq/andiron/epic"
)

func fieldNames(r epic.Registration) string {
	var out []string
	for _, f := range r.Fields {
		out = append(out, f.Name)
	}
	return strings.Join(out, ", ")
}

func text(facts []epic.Fact) string {
	var b strings.Builder
	for _, f := range facts {
		b.WriteString(f.Text + "\n")
	}
	return b.String()
}

func TestEveryFactOfARegistrationHasSourceAndConfidence(t *testing.T) {
	for _, audience := range []epic.Audience{epic.AudiencePatients, epic.AudienceClinicians, epic.AudienceBackend} {
		for _, path := range []epic.Path{epic.PathVendor, epic.PathHomeGrown} {
			for n := range 8 {
				p := epic.Plan{Audience: audience, Path: path, Production: n&1 != 0, Confidential: n&2 != 0, Persistent: n&4 != 0, Bulk: audience == epic.AudienceBackend}
				r, err := epic.NewRegistration(p)
				if err != nil {
					t.Fatal(err)
				}
				facts := append(append([]epic.Fact{}, r.Checks...), r.Facts...)
				for _, f := range r.Fields {
					if f.Name == "" || f.Answer == "" {
						t.Errorf("%+v: field %+v has no name or answer", p, f)
					}
					facts = append(facts, f.Fact)
				}
				for _, s := range r.Steps {
					if s.What == "" || s.Who != "developer" && s.Who != "health system" && s.Who != "Epic" {
						t.Errorf("%+v: step %+v", p, s)
					}
					facts = append(facts, s.Takes)
				}
				for _, f := range facts {
					if f.Text == "" || f.Source == "" || f.Confidence == "" {
						t.Errorf("%+v: a fact lacks text, source or confidence: %+v", p, f)
					}
				}
			}
		}
	}
}

func TestNewRegistration(t *testing.T) {
	sheet := func(p epic.Plan) epic.Registration {
		t.Helper()
		r, err := epic.NewRegistration(p)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Run("programs have no redirect URI and always a key set URL", func(t *testing.T) {
		f := fieldNames(sheet(epic.Plan{Audience: epic.AudienceBackend}))
		if strings.Contains(f, "Endpoint URI") || !strings.Contains(f, "Production JWK Set URL") {
			t.Errorf("fields are %s", f)
		}
	})
	t.Run("public apps of patients have no key set and may register dynamic clients", func(t *testing.T) {
		f := fieldNames(sheet(epic.Plan{Persistent: true}))
		if strings.Contains(f, "JWK") || !strings.Contains(f, "dynamic clients") {
			t.Errorf("fields are %s", f)
		}
	})
	t.Run("redirect URIs and key set URLs alone stay open", func(t *testing.T) {
		for _, f := range sheet(epic.Plan{Confidential: true}).Fields {
			open := f.Name == "Endpoint URI" || strings.HasSuffix(f.Name, "JWK Set URL")
			if f.Freezes == open {
				t.Errorf("field %s freezes: %v", f.Name, f.Freezes)
			}
		}
	})
	t.Run("the sandbox needs no health system", func(t *testing.T) {
		for _, s := range sheet(epic.Plan{Audience: epic.AudienceClinicians}).Steps {
			if s.Who == "health system" {
				t.Errorf("step %q", s.What)
			}
		}
	})
	t.Run("programs in production need a background user, with bulk a group", func(t *testing.T) {
		r := sheet(epic.Plan{Audience: epic.AudienceBackend, Production: true, Bulk: true})
		if c := text(r.Checks); !strings.Contains(c, "background user") || !strings.Contains(c, "group's id") {
			t.Errorf("checks are\n%s", c)
		}
	})
	t.Run("what guides say stands beside the record", func(t *testing.T) {
		vendor, own := sheet(epic.Plan{Production: true}), sheet(epic.Plan{Production: true, Path: epic.PathHomeGrown})
		find := func(r epic.Registration) string {
			for _, s := range r.Steps {
				if strings.Contains(s.What, "ready for production") {
					return s.Takes.Guides
				}
			}
			return ""
		}
		if !strings.Contains(find(vendor), "4 to 8 weeks") || !strings.Contains(find(own), "streamlined") {
			t.Errorf("guides say %q for vendors and %q for home-grown apps", find(vendor), find(own))
		}
	})
	t.Run("impossible plans are refused", func(t *testing.T) {
		for _, p := range []epic.Plan{{Bulk: true}, {Audience: "x"}, {Path: "x"}} {
			if _, err := epic.NewRegistration(p); err == nil {
				t.Errorf("%+v is taken", p)
			}
		}
	})
}

func ExampleNewRegistration() {
	r, err := epic.NewRegistration(epic.Plan{Audience: epic.AudienceBackend, Production: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range r.Fields {
		if !f.Freezes {
			fmt.Println("stays open:", f.Name)
		}
	}
	last := r.Steps[len(r.Steps)-1]
	fmt.Printf("%s: %s (%s, %s)\n", last.Who, last.What, last.Takes.Text, last.Takes.Confidence)
	// Output:
	// stays open: Non-Production JWK Set URL
	// stays open: Production JWK Set URL
	// Epic: carry the client record to the health system's servers (up to 12 hours, in the field up to 24, medium)
}
