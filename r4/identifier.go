package r4

import "strings"

// FindIdentifier returns the first identifier of a system, whichever of its names the system goes by; nil if there is none.
func FindIdentifier(list []Identifier, system string) *Identifier {
	for i := range list {
		if SameSystem(list[i].System, system) {
			return &list[i]
		}
	}
	return nil
}

// FindIdentifierType returns the first identifier whose type has that text or code, upper and lower case alike:
// "MRN", "EPI". Nil if there is none. Which system a hospital's own numbers have differs from one to the next, their type does not.
func FindIdentifierType(list []Identifier, typ string) *Identifier {
	for i := range list {
		t := list[i].Type
		if t == nil {
			continue
		}
		if strings.EqualFold(t.Text, typ) {
			return &list[i]
		}
		for k := range t.Coding {
			if strings.EqualFold(t.Coding[k].Code, typ) {
				return &list[i]
			}
		}
	}
	return nil
}
