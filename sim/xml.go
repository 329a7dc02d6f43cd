package sim

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
)

const xmlHead = `<?xml version="1.0" encoding="utf-8"?>`

// toXML writes a resource in FHIR's XML form: members become elements in the order in which
// they stand, primitives become attributes "value", id and an extension's url become
// attributes, div is taken over as it is (FHIR R4, XML Representation).
func toXML(resource []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(resource))
	d.UseNumber()
	v, err := readOrdered(d, 0)
	if err != nil {
		return nil, fmt.Errorf("sim: xml: %w", err)
	}
	o, ok := v.(*object)
	if !ok {
		return nil, errors.New("sim: xml: not a resource")
	}
	var b bytes.Buffer
	b.WriteString(xmlHead)
	if err := writeResource(&b, o, true); err != nil {
		return nil, fmt.Errorf("sim: xml: %w", err)
	}
	return b.Bytes(), nil
}

// object is a JSON object whose members keep their order.
type object struct {
	names  []string
	values map[string]any
}

var errTooDeep = errors.New("nested too deep")

func readOrdered(d *json.Decoder, depth int) (any, error) {
	if depth > 200 {
		return nil, errTooDeep
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := &object{values: map[string]any{}}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := readOrdered(d, depth+1)
			if err != nil {
				return nil, err
			}
			key, _ := name.(string)
			if _, again := o.values[key]; !again {
				o.names = append(o.names, key)
			}
			o.values[key] = v
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := readOrdered(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return t, nil
}

func writeResource(b *bytes.Buffer, o *object, root bool) error {
	typ, _ := o.values["resourceType"].(string)
	if !xmlName(typ) {
		return errors.New("an object without resourceType")
	}
	b.WriteString("<" + typ)
	if root {
		b.WriteString(` xmlns="http://hl7.org/fhir"`)
	}
	b.WriteString(">")
	for _, name := range o.names {
		if name == "resourceType" {
			continue
		}
		if err := writeMember(b, o, name); err != nil {
			return err
		}
	}
	b.WriteString("</" + typ + ">")
	return nil
}

// writeMember writes one member, once for each element of an array. What a primitive's
// shadow member (_name) adds goes inside.
func writeMember(b *bytes.Buffer, o *object, name string) error {
	shadow, isShadow := strings.CutPrefix(name, "_")
	if isShadow {
		if _, hasValue := o.values[shadow]; hasValue {
			return nil
		}
		name = shadow
	}
	if !xmlName(name) {
		return errors.New("a member that cannot be an element")
	}
	values, extras := asList(o.values[name]), asList(o.values["_"+name])
	for i := range max(len(values), len(extras)) {
		var value, extra any
		if i < len(values) {
			value = values[i]
		}
		if i < len(extras) {
			extra = extras[i]
		}
		if err := writeElement(b, name, value, extra); err != nil {
			return err
		}
	}
	return nil
}

func writeElement(b *bytes.Buffer, name string, value, extra any) error {
	more, _ := extra.(*object)
	switch v := value.(type) {
	case *object:
		if _, ok := v.values["resourceType"]; ok {
			b.WriteString("<" + name + ">")
			if err := writeResource(b, v, false); err != nil {
				return err
			}
			b.WriteString("</" + name + ">")
			return nil
		}
		return writeComplex(b, name, v, "")
	case nil:
		if more == nil {
			return nil
		}
		return writeComplex(b, name, more, "")
	case string:
		if name == "div" && strings.HasPrefix(v, "<div") {
			b.WriteString(v)
			return nil
		}
		return writePrimitive(b, name, v, more)
	default:
		return writePrimitive(b, name, fmt.Sprint(v), more)
	}
}

func writePrimitive(b *bytes.Buffer, name, value string, more *object) error {
	attr := " value=\"" + escapeXML(value) + "\""
	if more == nil {
		b.WriteString("<" + name + attr + "/>")
		return nil
	}
	return writeComplex(b, name, more, attr)
}

func writeComplex(b *bytes.Buffer, name string, o *object, attr string) error {
	b.WriteString("<" + name)
	isAttr := func(member string) bool {
		_, isText := o.values[member].(string)
		return isText && (member == "id" || member == "url" && (name == "extension" || name == "modifierExtension"))
	}
	for _, member := range []string{"id", "url"} {
		if isAttr(member) {
			b.WriteString(" " + member + "=\"" + escapeXML(o.values[member].(string)) + "\"")
		}
	}
	b.WriteString(attr + ">")
	for _, member := range o.names {
		if isAttr(member) {
			continue
		}
		if err := writeMember(b, o, member); err != nil {
			return err
		}
	}
	b.WriteString("</" + name + ">")
	return nil
}

func asList(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

func escapeXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

// xmlName tells whether a member's name can be an element's.
func xmlName(s string) bool {
	for i, r := range s {
		if (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
