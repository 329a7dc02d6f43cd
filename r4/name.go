package r4

import "strings"

// Display returns the name as one line: its text, or else prefixes, given names, family name and suffixes. Empty for nil.
func (x *HumanName) Display() string {
	if x == nil {
		return ""
	}
	if x.Text != "" {
		return x.Text
	}
	var parts []string
	for _, list := range [][]string{x.Prefix, x.Given, {x.Family}, x.Suffix} {
		for _, s := range list {
			if s = strings.TrimSpace(s); s != "" {
				parts = append(parts, s)
			}
		}
	}
	return strings.Join(parts, " ")
}

// nameUses is which of several names to show: the higher, the rather. A name by which nobody is called any more comes last.
var nameUses = map[string]int{"usual": 6, "official": 5, "": 4, "temp": 3, "nickname": 2, "anonymous": 1, "maiden": -1, "old": -2}

// PickName returns the name to show: the usual one, else the official one, else one without a use; former names only
// if there is nothing else. A name that has ended comes after one that has not. Nil if no name has any text.
func PickName(names []HumanName) *HumanName {
	var best *HumanName
	bestRank := 0
	for i := range names {
		n := &names[i]
		rank := nameUses[n.Use]
		if n.Period != nil && n.Period.End != "" {
			rank -= 10
		}
		if n.Display() != "" && (best == nil || rank > bestRank) {
			best, bestRank = n, rank
		}
	}
	return best
}

// DisplayName returns the patient's name as one line, see [PickName]; empty if there is none.
func (x *Patient) DisplayName() string {
	if x == nil {
		return ""
	}
	return PickName(x.Name).Display()
}

// DisplayName returns the practitioner's name as one line, see [PickName]; empty if there is none.
func (x *Practitioner) DisplayName() string {
	if x == nil {
		return ""
	}
	return PickName(x.Name).Display()
}
