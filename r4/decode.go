package r4

import "errors"

// ErrNoResourceType means that a JSON text is no resource: it is not an object, or its resourceType
// is missing or not a string.
var ErrNoResourceType = errors.New("r4: not a resource: no resourceType")

// TypeError means that a resource of one type arrived where another was asked for.
type TypeError struct {
	Want string // the resource type of the Go value
	Got  string // what resourceType says
}

func (e *TypeError) Error() string {
	got := "another resource"
	if IsResourceType(e.Got) { // what is no type's name may be anything
		got = e.Got
	}
	return "r4: " + got + " where " + e.Want + " is wanted"
}

// Unmarshal reads one resource, whichever its resourceType says; a type that R4 does not know becomes
// an [*Unknown].
//
// Malformed JSON is refused as [CheckJSON] does (*[SyntaxError]), and so is what is no resource
// ([ErrNoResourceType]). Content is not judged: an unknown code or member, an id that is too long, an
// object where a list belongs are all taken, and [Marshal] writes them back as they came.
//
// The strings of the result are pieces of one copy of data: whoever keeps a single field of many large
// resources for long should [strings.Clone] it.
func Unmarshal(data []byte) (Resource, error) {
	d := decoder{scanner: scanner{s: string(data)}}
	if d.space() != '{' {
		if err := CheckJSON(data); err != nil {
			return nil, err
		}
		return nil, ErrNoResourceType
	}
	r := d.resource()
	if err := d.finish(); err != nil {
		return nil, err
	}
	if r.ResourceType() == "" {
		return nil, ErrNoResourceType
	}
	return r, nil
}

// unmarshal reads data into one value of a known type.
func unmarshal(data []byte, n node) error {
	d := decoder{scanner: scanner{s: string(data)}}
	if d.space() == 'n' { // null changes nothing, by the convention of encoding/json
		d.literal("null")
		return d.finish()
	}
	d.extra = new(Extra)
	d.item(n)
	return d.finish()
}

// node is a generated struct.
type node interface {
	// node returns the JSON members that the type knows, in order, and the place for all others.
	node() ([]string, *Extra)
	// decode reads the value of the member with that number.
	decode(d *decoder, member int)
	// encode writes the fields that are set.
	encode(e *encoder)
}

// shape is what JSON form a primitive has.
type shape uint8

const (
	isText shape = iota
	isNumber
	isBoolean
)

// decoder fills structs from one JSON text.
type decoder struct {
	scanner
	// Of the object that is being read:
	extra   *Extra
	members []string
	member  int // the one that is being read

	// ends are where objects and arrays end that a look ahead has passed. Without them resources that
	// contain resources and name their types last would be read once for each level.
	ends map[int]int
}

// name is the JSON name of the member that is being read.
func (d *decoder) name() string { return d.members[d.member] }

// object reads the object at the decoder into n.
func (d *decoder) object(n node) {
	if !d.down() {
		return
	}
	members, extra := n.node()
	outer, outerMembers := d.extra, d.members
	d.extra, d.members = extra, members
	var seen [4]uint64 // by member number
	var others nameSet // names that are no members of the type
	others.from = len(d.names)
	next := 0
	if d.space() == '}' {
		d.i++
	} else {
		for d.err == nil {
			at := d.i
			name := d.key()
			if m := find(members, name, next); m >= 0 {
				if seen[m/64]&(1<<(m%64)) != 0 {
					d.fail(at, reasonDuplicate)
				}
				seen[m/64] |= 1 << (m % 64)
				d.member = m
				n.decode(d, m)
				next = m + 1
			} else if d.err == nil {
				if !others.add(&d.names, name) {
					d.fail(at, reasonDuplicate)
				}
				extra.add(kept{name: name, raw: d.raw()})
			}
			b := byte(0)
			if d.i < len(d.s) {
				if b = d.s[d.i]; b <= ' ' {
					b = d.space()
				}
			}
			if b == ',' {
				d.i++
				if d.i >= len(d.s) || d.s[d.i] <= ' ' {
					d.space()
				}
				continue
			}
			if b == '}' {
				d.i++
				break
			}
			d.unexpected(reasonObject)
		}
	}
	d.names = d.names[:others.from]
	d.extra, d.members = outer, outerMembers
	d.depth--
}

// find looks a name up, first where the definition's order puts it.
func find(members []string, name string, next int) int {
	for i := next; i < len(members); i++ {
		if members[i] == name {
			return i
		}
	}
	if next > len(members) {
		next = len(members)
	}
	for i := range next {
		if members[i] == name {
			return i
		}
	}
	return -1
}

// first is the byte that a value begins with.
func (d *decoder) first() byte {
	if d.i < len(d.s) {
		return d.s[d.i]
	}
	return 0
}

// keep sets the value aside: the field cannot hold it.
func (d *decoder) keep() {
	d.extra.add(kept{name: d.name(), raw: d.raw()})
}

// text reads a string, number a JSON number, boolean true or false, each as the text it is.

func (d *decoder) text(p *string) {
	if d.first() == '"' {
		at := d.i
		if *p = d.str(); *p != "" {
			return
		}
		d.i = at
		if d.err != nil {
			d.i = len(d.s)
			return
		}
	}
	d.odd(p)
}

func (d *decoder) number(p *string) {
	if b := d.first(); '0' <= b && b <= '9' || b == '-' {
		*p = d.num()
		return
	}
	d.odd(p)
}

func (d *decoder) boolean(p *string) {
	switch d.first() {
	case 't':
		d.literal("true")
		*p = "true"
	case 'f':
		d.literal("false")
		*p = "false"
	default:
		d.odd(p)
	}
}

// odd reads a primitive that came in a form of its own: a number as a string, a list of one.
func (d *decoder) odd(p *string) {
	raw := d.raw()
	if d.err != nil {
		return
	}
	*p = scalar(raw)
	d.extra.add(kept{name: d.name(), raw: raw, form: *p != ""})
}

// scalar is the text of any primitive, or of the only one in a list; empty for everything else.
func scalar(raw string) string {
	c := scanner{s: raw}
	if raw[0] == '[' {
		c.i++
		c.space()
	}
	start := c.i
	switch c.first() {
	case '"':
		if s := c.str(); c.alone(raw) {
			return s
		}
	case '{', '[', ']', 'n':
	default:
		if c.skip(); c.alone(raw) {
			return raw[start:c.i]
		}
	}
	return ""
}

func (c *scanner) first() byte { return c.s[c.i] }

// alone reports whether nothing but the end of a list follows.
func (c *scanner) alone(raw string) bool {
	at := c.i
	end := c.space()
	c.i = at
	return raw[0] != '[' || end == ']'
}

// texts reads a list of primitives. A null in it, which holds the place of an extension, is empty text.
func texts[T ~string](d *decoder, p *[]T, s shape) {
	start := d.i
	if d.first() != '[' {
		var v string
		d.odd(&v)
		if v != "" {
			*p = append(*p, T(v))
		}
		return
	}
	odd := false
	for l := d.list(); l.next(d); {
		var v string
		switch b := d.first(); {
		case b == '"' && s == isText:
			v = d.str()
			odd = odd || v == ""
		case s == isNumber && ('0' <= b && b <= '9' || b == '-'):
			v = d.num()
		case b == 'n':
			d.literal("null")
		default:
			if raw := d.raw(); d.err == nil {
				v = scalar(raw)
			}
			odd = true
		}
		*p = append(*p, T(v))
	}
	if odd && d.err == nil {
		d.extra.add(kept{name: d.name(), raw: d.s[start:d.i], form: true})
	}
}

// one reads an object into n. It reports false when the value is something else, which is then set aside.
func (d *decoder) one(n node) bool {
	if d.first() == '{' {
		d.object(n)
		return true
	}
	start, name := d.i, d.name()
	raw := d.raw()
	if d.err != nil {
		return false
	}
	end := d.i
	if raw[0] == '[' { // a list of one object is taken for the object
		d.i = start + 1
		if d.space() == '{' {
			if d.object(n); d.space() == ']' && d.i+1 == end {
				d.i = end
				d.extra.add(kept{name: name, raw: raw, form: true})
				return true
			}
		}
		d.i = end
	}
	d.extra.add(kept{name: name, raw: raw})
	return false
}

// list is the place in a JSON list.
type list struct {
	state  listState
	start  int
	member int
}

type listState uint8

const (
	listDone   listState = iota // nothing to come
	listFirst                   // before the first of several
	listNext                    // after one of several
	listSingle                  // before the only one, which came without its list
	listEnd                     // after it
)

// list begins a list. What is neither list nor object is set aside, and so is an empty list.
func (d *decoder) list() list {
	l := list{start: d.i, member: d.member}
	switch d.first() {
	case '[':
		if !d.down() {
			return l
		}
		if d.space() == ']' {
			d.i++
			d.depth--
			d.extra.add(kept{name: d.name(), raw: "[]"})
			return l
		}
		l.state = listFirst
	case '{':
		l.state = listSingle
	default:
		d.keep()
	}
	return l
}

// next reports whether the decoder stands at another value of the list.
func (l *list) next(d *decoder) bool {
	if d.err != nil {
		return false
	}
	switch l.state {
	case listFirst:
		l.state = listNext
		return true
	case listNext:
		switch d.space() {
		case ',':
			d.i++
			d.space()
			return true
		case ']':
			d.i++
			d.depth--
		default:
			d.unexpected(reasonArray)
		}
	case listSingle:
		l.state = listEnd
		return true
	case listEnd:
		d.extra.add(kept{name: d.members[l.member], raw: d.s[l.start:d.i], form: true})
	}
	l.state = listDone
	return false
}

// grow makes room for one more value. Most lists have only one. It is not inlined because there are
// some thousand calls, and few types.
//
//go:noinline
func grow[T any](s *[]T) *T {
	if *s == nil {
		*s = make([]T, 1)
		return &(*s)[0]
	}
	var zero T
	*s = append(*s, zero)
	return &(*s)[len(*s)-1]
}

// item reads an object of a list into n. What is no object is kept with n, so that the others keep their places.
func (d *decoder) item(n node) {
	if d.first() == '{' {
		d.object(n)
		return
	}
	_, extra := n.node()
	extra.add(kept{raw: d.raw(), self: true})
}

// pick reads one type of a choice element. When the element already has a value, this one is set aside.
func (d *decoder) pick(taken bool, n node) bool {
	if taken {
		d.keep()
		return false
	}
	return d.one(n)
}

func (d *decoder) pickText(taken bool) (v string, ok bool) {
	if taken {
		d.keep()
		return "", false
	}
	d.text(&v)
	return v, v != ""
}

func (d *decoder) pickNumber(taken bool) (v string, ok bool) {
	if taken {
		d.keep()
		return "", false
	}
	d.number(&v)
	return v, v != ""
}

func (d *decoder) pickBoolean(taken bool) (v string, ok bool) {
	if taken {
		d.keep()
		return "", false
	}
	d.boolean(&v)
	return v, v != ""
}

// resourceType reads the member of that name; another type than the struct's is an error.
func (d *decoder) resourceType(want string) {
	if d.first() != '"' {
		d.skip()
		if d.err == nil {
			d.err, d.i = ErrNoResourceType, len(d.s)
		}
		return
	}
	if got := d.str(); d.err == nil && got != want {
		d.err, d.i = &TypeError{Want: want, Got: got}, len(d.s)
	}
}

// resource reads any resource; what is none becomes an Unknown without a type.
func (d *decoder) resource() Resource {
	if d.first() == '{' {
		if r := newResource(d.typeOf()); r != nil {
			d.object(r.(node))
			return r
		}
	}
	return unknown(d.raw())
}

// oneResource reads a resource where a list of them makes no sense.
func (d *decoder) oneResource() Resource {
	if d.first() != '{' {
		d.keep()
		return nil
	}
	return d.resource()
}

// typeOf looks ahead for the resourceType of the object at the decoder; empty if it has none.
func (d *decoder) typeOf() string {
	c := scanner{s: d.s, i: d.i + 1, depth: d.depth}
	if c.space() != '"' {
		return ""
	}
	for c.err == nil {
		if name := c.key(); name == "resourceType" {
			if c.i < len(c.s) && c.s[c.i] == '"' {
				return c.str()
			}
			return ""
		}
		if c.i < len(c.s) && (c.s[c.i] == '{' || c.s[c.i] == '[') {
			if d.ends == nil {
				d.ends = make(map[int]int)
			}
			c.ends = d.ends
		}
		c.skip()
		if c.space() != ',' {
			return ""
		}
		c.i++
		c.space()
	}
	return ""
}
