package epic

import (
	"slices"
	"strings"

	"github.com/andironhq/andiron/r4"
)

// MRN finds a patient's medical record number: the identifier whose system ends in [LeafMRN]
// (captures, high). Where a hospital numbers its records under another system it takes what is
// marked as one: type code MR (FHIR) or type text EPI or MRN. No such identifier: false.
//
// Its own identifiers come first; leading and trailing spaces are taken off.
func MRN(p *r4.Patient) (string, bool) {
	if p == nil {
		return "", false
	}
	for _, is := range []func(r4.Identifier) bool{isEPI, isMarkedMRN} {
		for _, i := range p.Identifier {
			if v := strings.TrimSpace(i.Value); v != "" && i.Use != "old" && is(i) {
				return v, true
			}
		}
	}
	return "", false
}

func isEPI(i r4.Identifier) bool { return HasLeaf(i.System, LeafMRN) }

func isMarkedMRN(i r4.Identifier) bool {
	if i.Type == nil {
		return false
	}
	switch strings.ToUpper(strings.TrimSpace(i.Type.Text)) {
	case "EPI", "MRN":
		return true
	}
	return slices.ContainsFunc(i.Type.Coding, func(c r4.Coding) bool {
		return c.Code == "MR" && c.System == "http://terminology.hl7.org/CodeSystem/v2-0203"
	})
}
