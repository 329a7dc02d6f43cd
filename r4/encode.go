package r4

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// errUTF8 refuses a string that no JSON text can hold.
var errUTF8 = errors.New("r4: a string is not valid UTF-8")

// Marshal writes a resource as compact JSON: the members in the order of the definition, then what
// the fields cannot hold. A value that came in an unusual form goes out in it unless its field was
// changed. Numbers are written as they stand; text in a numeric field that is no number goes out as a string.
func Marshal(r Resource) ([]byte, error) { return Append(nil, r) }

// Append is [Marshal] into dst, for writing many resources without an allocation for each.
func Append(dst []byte, r Resource) ([]byte, error) {
	e := encoder{buf: dst}
	e.resource(r)
	if e.err != nil {
		return dst, e.err
	}
	return e.buf, nil
}

func marshal(n node) ([]byte, error) {
	var e encoder
	e.object(n)
	return e.buf, e.err
}

// encoder writes structs to one JSON text.
type encoder struct {
	buf   []byte
	extra []kept // of the object that is being written
	done  []bool // which of extra are written, or replaced by a field
	err   error
}

// object writes n. The fields come first, then what is kept beside them.
func (e *encoder) object(n node) {
	_, x := n.node()
	extra, done := e.extra, e.done
	e.extra, e.done = nil, nil
	start := len(e.buf)
	e.buf = append(e.buf, '{')
	if x.held != nil {
		e.extra = x.held.list
		e.done = make([]bool, len(e.extra))
	}
	n.encode(e)
	for i, k := range e.extra {
		switch {
		case e.done[i] || k.form:
		case k.self:
			if len(e.buf) == start+1 {
				e.buf = e.buf[:start]
				e.raw(k.raw)
				e.extra, e.done = extra, done
				return
			}
		default:
			e.name(k.name)
			e.raw(k.raw)
		}
	}
	e.extra, e.done = extra, done
	e.buf = append(e.buf, '}')
}

// raw writes JSON as it came, but for white space: the result must fit on a line of NDJSON.
func (e *encoder) raw(s string) {
	if !strings.ContainsAny(s, " \t\r\n") {
		e.buf = append(e.buf, s...)
		return
	}
	quoted := false
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b == '"':
			quoted = !quoted
		case b == '\\': // only in a string; what follows it ends none
			e.buf = append(e.buf, b)
			i++
		case !quoted && b <= ' ':
			continue
		}
		e.buf = append(e.buf, s[i])
	}
}

// name writes a member's name. What is kept under it is then no longer wanted.
func (e *encoder) name(name string) {
	for i := range e.extra {
		if e.extra[i].name == name {
			e.done[i] = true
		}
	}
	if e.buf[len(e.buf)-1] != '{' {
		e.buf = append(e.buf, ',')
	}
	if len(e.extra) > 0 { // it may be a name that arrived, with anything in it
		e.string(name)
		e.buf = append(e.buf, ':')
		return
	}
	e.buf = append(e.buf, '"')
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, '"', ':')
}

// form is the text in which the member arrived, if that is not the form of its field.
func (e *encoder) form(name string) string {
	for i := range e.extra {
		if k := &e.extra[i]; k.form && k.name == name {
			return k.raw
		}
	}
	return ""
}

func (e *encoder) text(name, v string)    { e.primitive(name, v, isText) }
func (e *encoder) number(name, v string)  { e.primitive(name, v, isNumber) }
func (e *encoder) boolean(name, v string) { e.primitive(name, v, isBoolean) }

func (e *encoder) primitive(name, v string, s shape) {
	if v == "" {
		return
	}
	raw := ""
	if e.extra != nil {
		raw = e.form(name)
	}
	e.name(name)
	if raw != "" && scalar(raw) == v {
		e.raw(raw)
		return
	}
	e.scalar(v, s)
}

// scalar writes one primitive. The text of a number or boolean that is none is written as a string.
func (e *encoder) scalar(v string, s shape) {
	if s == isNumber && isNumberText(v) || s == isBoolean && (v == "true" || v == "false") {
		e.buf = append(e.buf, v...)
		return
	}
	e.string(v)
}

// encodeTexts writes a list of primitives.
func encodeTexts[T ~string](e *encoder, name string, list []T, s shape) {
	if len(list) == 0 {
		return
	}
	raw := ""
	if e.extra != nil {
		raw = e.form(name)
	}
	e.name(name)
	if raw != "" {
		d := decoder{scanner: scanner{s: raw}, extra: new(Extra), members: []string{name}}
		var came []T
		texts(&d, &came, s)
		if slices.Equal(came, list) {
			e.raw(raw)
			return
		}
	}
	e.buf = append(e.buf, '[')
	for i, v := range list {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		if v == "" {
			e.buf = append(e.buf, "null"...)
			continue
		}
		e.scalar(string(v), s)
	}
	e.buf = append(e.buf, ']')
}

// one writes an object, in a list if it came in one.
func (e *encoder) one(name string, n node) {
	wrapped := e.extra != nil && e.form(name) != ""
	e.name(name)
	if wrapped {
		e.buf = append(e.buf, '[')
	}
	e.object(n)
	if wrapped {
		e.buf = append(e.buf, ']')
	}
}

// item writes the object that is number i of n in a list, and around the first and the last the list itself.
func (e *encoder) item(name string, i, n int, x node) {
	bare := n == 1 && e.extra != nil && e.form(name) != ""
	if i == 0 {
		e.name(name)
		if !bare {
			e.buf = append(e.buf, '[')
		}
	} else {
		e.buf = append(e.buf, ',')
	}
	e.object(x)
	if i == n-1 && !bare {
		e.buf = append(e.buf, ']')
	}
}

// choice writes a choice element under the name that its type gives it.
func (e *encoder) choice(name string, c choice) {
	if c == nil {
		return
	}
	switch v := c.variant(); {
	case v.node != nil:
		e.one(name+v.suffix, v.node)
	case v.text != "":
		e.primitive(name+v.suffix, v.text, v.shape)
	}
}

// choice is a value of a choice element.
type choice interface {
	variant() variant
}

// variant is how a value of a choice element is written. The zero variant, of a nil pointer, is absent.
type variant struct {
	suffix string
	node   node
	text   string
	shape  shape
}

func (e *encoder) resourceType(name string) {
	e.name("resourceType")
	e.string(name)
}

func (e *encoder) resources(name string, list []Resource) {
	if len(list) == 0 {
		return
	}
	bare := len(list) == 1 && e.extra != nil && e.form(name) != ""
	e.name(name)
	if bare {
		e.resource(list[0])
		return
	}
	e.buf = append(e.buf, '[')
	for i, r := range list {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.resource(r)
	}
	e.buf = append(e.buf, ']')
}

func (e *encoder) oneResource(name string, r Resource) {
	if r != nil {
		e.name(name)
		e.resource(r)
	}
}

// resource writes any resource, null for nil.
func (e *encoder) resource(r Resource) {
	switch r := r.(type) {
	case nil:
		e.buf = append(e.buf, "null"...)
	case *Unknown:
		e.unknown(r)
	case node:
		if reflect.ValueOf(r).IsNil() {
			e.buf = append(e.buf, "null"...)
			return
		}
		e.object(r)
	}
}

func (e *encoder) unknown(u *Unknown) {
	if u == nil {
		e.buf = append(e.buf, "null"...)
		return
	}
	if len(u.Raw) == 0 {
		e.buf = append(e.buf, `{"resourceType":`...)
		e.string(u.Type)
		if u.ID != "" {
			e.buf = append(e.buf, `,"id":`...)
			e.string(u.ID)
		}
		e.buf = append(e.buf, '}')
		return
	}
	if err := CheckJSON(u.Raw); err != nil {
		e.err = errors.Join(e.err, err)
		return
	}
	e.raw(string(u.Raw))
}

// string writes a JSON string with the escapes that JSON demands and no others.
func (e *encoder) string(s string) {
	const hex = "0123456789abcdef"
	e.buf = append(e.buf, '"')
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if plain[b] {
			i++
			continue
		}
		if b >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 && e.err == nil {
				e.err = errUTF8
			}
			i += n
			continue
		}
		e.buf = append(e.buf, s[start:i]...)
		switch b {
		case '"', '\\':
			e.buf = append(e.buf, '\\', b)
		case '\n':
			e.buf = append(e.buf, '\\', 'n')
		case '\r':
			e.buf = append(e.buf, '\\', 'r')
		case '\t':
			e.buf = append(e.buf, '\\', 't')
		default:
			e.buf = append(e.buf, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		}
		i++
		start = i
	}
	e.buf = append(e.buf, s[start:]...)
	e.buf = append(e.buf, '"')
}
