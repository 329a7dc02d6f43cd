package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// model is what the definitions say, in Go's terms.
type model struct {
	types     []*goType // structs; a type's backbone elements follow it
	unions    []*union
	byPath    map[string]*goType
	resources map[string]bool // resource type names
}

// goType is one struct: a resource, a datatype or a backbone element.
type goType struct {
	name     string
	path     string // FHIR path: "Patient", "Patient.contact"
	file     string // the resource it belongs to, or "datatypes"
	short    string
	resource bool
	fields   []*field
}

// field is one element, and so one struct field.
type field struct {
	element
	json   string // member name; for a choice the part before the type's name
	name   string // Go name
	list   bool
	kind   kind
	typ    string // Go type without slice or pointer
	choice *union
}

type kind int

const (
	text     kind = iota // a JSON string: string, code, uri, date …
	number               // a JSON number: integer, decimal …
	boolean              // true or false
	object               // a struct
	resource             // any resource
	choice               // value[x]
)

// union is the sealed interface of one choice element.
type union struct {
	name    string
	path    string
	file    string
	short   string
	members []member
}

// member is one type that a choice element may have.
type member struct {
	suffix string // what follows the element's name in JSON: "Quantity", "DateTime"
	typ    string // Go type, without the pointer
	kind   kind
}

// element is an ElementDefinition as far as it is read.
type element struct {
	Path             string `json:"path"`
	Short            string `json:"short"`
	Min              int    `json:"min"`
	Max              string `json:"max"`
	ContentReference string `json:"contentReference"`
	Type             []struct {
		Code          string   `json:"code"`
		TargetProfile []string `json:"targetProfile"`
	} `json:"type"`
	Binding struct {
		Strength string `json:"strength"`
		ValueSet string `json:"valueSet"`
	} `json:"binding"`
}

// definition is a StructureDefinition as far as it is read.
type definition struct {
	ResourceType string `json:"resourceType"`
	Name         string `json:"name"`
	FHIRVersion  string `json:"fhirVersion"`
	Kind         string `json:"kind"`
	Derivation   string `json:"derivation"`
	Abstract     bool   `json:"abstract"`
	Snapshot     struct {
		Element []element `json:"element"`
	} `json:"snapshot"`
}

// systemString is how the definitions write the type of an id and of an extension's url.
const systemString = "http://hl7.org/fhirpath/System.String"

// primitives maps each FHIR primitive to its kind, the Go type of a field and the Go type in a choice.
var primitives = map[string]struct {
	kind          kind
	field, choice string
}{
	systemString:   {text, "string", "String"},
	"string":       {text, "string", "String"},
	"code":         {text, "string", "Code"},
	"id":           {text, "string", "ID"},
	"uri":          {text, "string", "URI"},
	"url":          {text, "string", "URL"},
	"canonical":    {text, "string", "Canonical"},
	"oid":          {text, "string", "OID"},
	"uuid":         {text, "string", "UUID"},
	"markdown":     {text, "string", "Markdown"},
	"base64Binary": {text, "string", "Base64Binary"},
	"xhtml":        {text, "string", ""},
	"date":         {text, "Date", "Date"},
	"dateTime":     {text, "DateTime", "DateTime"},
	"instant":      {text, "Instant", "Instant"},
	"time":         {text, "Time", "Time"},
	"boolean":      {boolean, "Boolean", "Boolean"},
	"integer":      {number, "Integer", "Integer"},
	"positiveInt":  {number, "Integer", "PositiveInt"},
	"unsignedInt":  {number, "Integer", "UnsignedInt"},
	"decimal":      {number, "Decimal", "Decimal"},
}

func readModel(files [][]byte) (*model, error) {
	m := &model{byPath: map[string]*goType{}, resources: map[string]bool{}}
	var defs []definition
	for _, data := range files {
		var bundle struct {
			Entry []struct {
				Resource definition `json:"resource"`
			} `json:"entry"`
		}
		if err := json.Unmarshal(data, &bundle); err != nil {
			return nil, err
		}
		for _, e := range bundle.Entry {
			d := e.Resource
			// Element is abstract, but it is what a primitive's id and extensions are.
			use := !d.Abstract && d.Derivation == "specialization" || d.Name == "Element"
			if d.ResourceType == "StructureDefinition" && d.FHIRVersion == "4.0.1" && use && (d.Kind == "resource" || d.Kind == "complex-type") {
				defs = append(defs, d)
			}
		}
	}
	slices.SortFunc(defs, func(a, b definition) int { return cmp.Compare(a.Name, b.Name) })
	for _, d := range defs {
		if d.Kind == "resource" {
			m.resources[d.Name] = true
		}
	}
	if n := len(m.resources); n != 146 {
		return nil, fmt.Errorf("%d resource types, R4 has 146", n)
	}
	for _, d := range defs {
		m.declare(d)
	}
	for _, d := range defs {
		if err := m.fill(d); err != nil {
			return nil, err
		}
	}
	return m, m.check()
}

// declare makes the structs of a definition, still empty, so that references find them.
func (m *model) declare(d definition) {
	file := "datatypes"
	if d.Kind == "resource" {
		file = d.Name
	}
	els := d.Snapshot.Element
	for i, e := range els {
		parent := i == 0 || i+1 < len(els) && strings.HasPrefix(els[i+1].Path, e.Path+".")
		if !parent {
			continue
		}
		t := &goType{name: goName(strings.Split(e.Path, ".")...), path: e.Path, file: file, short: e.Short, resource: i == 0 && d.Kind == "resource"}
		m.types = append(m.types, t)
		m.byPath[e.Path] = t
	}
}

func (m *model) fill(d definition) error {
	for _, e := range d.Snapshot.Element[1:] {
		dot := strings.LastIndexByte(e.Path, '.')
		owner, last := m.byPath[e.Path[:dot]], e.Path[dot+1:]
		if owner == nil {
			return fmt.Errorf("%s: its parent is not a struct", e.Path)
		}
		f := &field{element: e, json: strings.TrimSuffix(last, "[x]"), list: e.Max != "1"}
		f.name = goName(f.json)
		if err := m.typeOf(f, owner, strings.HasSuffix(last, "[x]")); err != nil {
			return err
		}
		owner.fields = append(owner.fields, f)
	}
	return nil
}

func (m *model) typeOf(f *field, owner *goType, isChoice bool) error {
	switch own := m.byPath[f.Path]; {
	case isChoice:
		if f.list {
			return fmt.Errorf("%s: a choice that repeats", f.Path)
		}
		return m.union(f, owner)
	case f.ContentReference != "":
		ref := m.byPath[strings.TrimPrefix(f.ContentReference, "#")]
		if ref == nil {
			return fmt.Errorf("%s refers to %s, which is no struct", f.Path, f.ContentReference)
		}
		f.kind, f.typ = object, ref.name
	case own != nil:
		f.kind, f.typ = object, own.name
	case len(f.Type) != 1:
		return fmt.Errorf("%s has %d types", f.Path, len(f.Type))
	default:
		code := f.Type[0].Code
		if p, ok := primitives[code]; ok {
			f.kind, f.typ = p.kind, p.field
		} else if code == "Resource" || m.resources[code] {
			// An element that names one resource type still arrives with a resourceType of its own.
			f.kind, f.typ = resource, "Resource"
		} else if t := m.byPath[code]; t != nil {
			f.kind, f.typ = object, t.name
		} else {
			return fmt.Errorf("%s has the unknown type %s", f.Path, code)
		}
	}
	return nil
}

func (m *model) union(f *field, owner *goType) error {
	u := &union{name: owner.name + f.name, path: f.Path, file: owner.file, short: f.Short}
	for _, t := range f.Type {
		mem := member{suffix: strings.ToUpper(t.Code[:1]) + t.Code[1:]}
		if p, ok := primitives[t.Code]; ok {
			mem.kind, mem.typ = p.kind, p.choice
		} else if o := m.byPath[t.Code]; o != nil {
			mem.kind, mem.typ = object, o.name
		} else {
			return fmt.Errorf("%s may be of the unknown type %s", f.Path, t.Code)
		}
		if !slices.Contains(u.members, mem) {
			u.members = append(u.members, mem)
		}
	}
	f.kind, f.typ, f.choice = choice, u.name, u
	m.unions = append(m.unions, u)
	return nil
}

// check refuses two things of one name: FHIR does not promise that joined paths are unique.
func (m *model) check() error {
	seen := map[string]string{}
	claim := func(name, path string) error {
		if other, ok := seen[name]; ok {
			return fmt.Errorf("%s and %s are both called %s", other, path, name)
		}
		seen[name] = path
		return nil
	}
	for _, t := range m.types {
		if err := claim(t.name, t.path); err != nil {
			return err
		}
		names := map[string]bool{"Extra": true}
		for _, f := range t.fields {
			if names[f.name] {
				return fmt.Errorf("%s has two fields %s", t.path, f.name)
			}
			names[f.name] = true
		}
		if n := len(t.members()); n > 256 {
			return fmt.Errorf("%s has %d members, the decoder's set holds 256", t.path, n)
		}
	}
	for _, u := range m.unions {
		if err := claim(u.name, u.path); err != nil {
			return err
		}
	}
	return nil
}

// initialisms are the words that Go writes in capitals.
var initialisms = map[string]string{"Id": "ID", "Url": "URL", "Uri": "URI", "Oid": "OID", "Uuid": "UUID"}

// goName joins element names to one exported identifier.
func goName(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		for _, w := range words(p) {
			if up, ok := initialisms[w]; ok {
				w = up
			}
			b.WriteString(w)
		}
	}
	return b.String()
}

// words cuts a camel-case name at its capitals, and capitalises the first word.
func words(s string) []string {
	var out []string
	start := 0
	for i, r := range s {
		if i > 0 && unicode.IsUpper(r) {
			out = append(out, s[start:i])
			start = i
		}
	}
	out = append(out, s[start:])
	out[0] = strings.ToUpper(out[0][:1]) + out[0][1:]
	return out
}

func sortMembers(all []member) {
	slices.SortFunc(all, func(a, b member) int { return cmp.Compare(a.typ, b.typ) })
}
