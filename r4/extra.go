package r4

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Extra keeps what a FHIR object can say and the fields of its struct cannot: ids and extensions of
// primitives (the members that begin with _), members that R4 does not know, and values that came in a
// wrong shape. It is written back with the object. The zero Extra holds nothing.
//
// Members go by their JSON names: "birthDate", not "BirthDate".
type Extra struct {
	held *held
}

// held is behind a pointer because nearly all objects hold nothing.
type held struct {
	list []kept
}

// kept is one member.
type kept struct {
	name string
	raw  string
	form bool // the field holds the value, and raw the form it came in
	self bool // the whole object came as this, which is no object
}

func (x *Extra) add(k kept) {
	if k.raw == "" { // after a fault
		return
	}
	if x.held == nil {
		x.held = new(held)
	}
	x.held.list = append(x.held.list, k)
}

func (x Extra) find(name string) int {
	if x.held == nil {
		return -1
	}
	return slices.IndexFunc(x.held.list, func(k kept) bool { return !k.self && !k.form && k.name == name })
}

// Names lists the JSON members that are kept, in the order in which they came, _birthDate among them.
func (x Extra) Names() []string {
	var out []string
	if x.held != nil {
		for _, k := range x.held.list {
			if !k.self && !k.form {
				out = append(out, k.name)
			}
		}
	}
	return out
}

// Raw returns the JSON text that is kept under a member name, nil if there is none. It is what the
// struct's field could not hold, not the field.
func (x Extra) Raw(name string) json.RawMessage {
	if i := x.find(name); i >= 0 {
		return json.RawMessage(x.held.list[i].raw)
	}
	return nil
}

// SetRaw keeps a JSON value under a member name; nil removes it. A field of the struct wins over a
// value of the same name. Invalid JSON is refused with a *[SyntaxError].
func (x *Extra) SetRaw(name string, value json.RawMessage) error {
	if value != nil {
		if err := CheckJSON(value); err != nil {
			return err
		}
	}
	// Values that share the list, by a copy of the struct, must not see the change.
	var list []kept
	if x.held != nil {
		list = slices.Clone(x.held.list)
	}
	i := x.find(name)
	switch raw := string(bytes.TrimSpace(value)); {
	case value == nil && i >= 0:
		list = slices.Delete(list, i, i+1)
	case value == nil:
		return nil
	case i >= 0:
		list[i].raw = raw
	default:
		list = append(list, kept{name: name, raw: raw})
	}
	x.held = nil
	if len(list) > 0 {
		x.held = &held{list: list}
	}
	return nil
}

// Element returns the id and the extensions of a primitive: Element("birthDate") is what _birthDate holds.
// Nil means that it has none. For a choice element the name is the one in JSON, "valueString". The result
// is a copy; [Extra.SetElement] writes.
func (x Extra) Element(name string) *Element { return x.ElementAt(name, 0) }

// ElementAt is [Extra.Element] for a primitive that repeats, whose field is a slice: ElementAt("given", 1)
// belongs to the second given name.
func (x Extra) ElementAt(name string, index int) *Element {
	list := x.elements(name)
	if index < 0 || index >= len(list) {
		return nil
	}
	return list[index]
}

// SetElement sets the id and the extensions of a primitive; nil removes them.
func (x *Extra) SetElement(name string, e *Element) error {
	if e == nil {
		return x.SetRaw("_"+name, nil)
	}
	data, err := marshal(e)
	if err != nil {
		return err
	}
	return x.SetRaw("_"+name, data)
}

// SetElementAt is [Extra.SetElement] for a primitive that repeats. A value that is absent and has only
// extensions is the empty string in the field's slice.
func (x *Extra) SetElementAt(name string, index int, e *Element) error {
	if index < 0 {
		return fmt.Errorf("r4: element %d of %s", index, name)
	}
	list := x.elements(name)
	for len(list) <= index {
		list = append(list, nil)
	}
	list[index] = e
	if !slices.ContainsFunc(list, func(e *Element) bool { return e != nil }) {
		return x.SetRaw("_"+name, nil)
	}
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return x.SetRaw("_"+name, data)
}

func (x Extra) elements(name string) []*Element {
	raw := x.Raw("_" + name)
	if raw == nil {
		return nil
	}
	if raw[0] != '[' {
		raw = slices.Concat([]byte("["), raw, []byte("]"))
	}
	var list []*Element
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil
	}
	return list
}

// Equal reports whether both keep the same members with the same JSON text. Cmp and its kin use it.
func (x Extra) Equal(y Extra) bool {
	if x.held == nil || y.held == nil {
		return x.held == y.held
	}
	return slices.EqualFunc(x.held.list, y.held.list, func(a, b kept) bool { return a == b })
}
