package fhir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/andironhq/andiron/r4"
)

// Entry is one entry of a search's result, with the resource as the server sent it.
type Entry struct {
	// FullURL is Bundle.entry.fullUrl, as it came.
	FullURL string
	// Mode is "match" for what was searched for and "include" for what came with it. A
	// server that does not say is judged by the type of the resource.
	Mode string
	// Type is the resource's type.
	Type string
	// ID is the resource's id.
	ID string
	// Raw is the resource, byte for byte. It shares memory with the page it came on.
	Raw []byte

	page int // it came on
}

// Resource decodes Raw. The error wraps [ErrNotFHIR] and holds nothing of the content.
func (e Entry) Resource() (r4.Resource, error) {
	r, err := r4.Unmarshal(e.Raw)
	if err != nil {
		return nil, broken(err)
	}
	return r, nil
}

// broken is a decoding error. Only the text of a SyntaxError is known to quote nothing of the
// document.
func broken(err error) error {
	if syntax, ok := errors.AsType[*r4.SyntaxError](err); ok {
		return fmt.Errorf("%w: %w", ErrNotFHIR, syntax)
	}
	return &networkError{ErrNotFHIR.Error(), errors.Join(ErrNotFHIR, err)}
}

// page is a Bundle, cut up once. Its resources are decoded later, and only those that
// somebody looks at.
type page struct {
	resourceType string
	total        int // -1: not given
	next         string
	entries      []Entry
}

// maxEntries bounds what a page of tiny entries can grow to in memory. Epic's largest page
// has 1,000.
const maxEntries = 100_000

// cutPage finds the parts of a Bundle. It is strict about the JSON around the resources;
// what is inside them is checked when they are decoded.
func cutPage(data []byte) (*page, error) {
	s := &scanner{data: data}
	p := &page{total: -1}
	var seen [4]bool
	once := func(i int) {
		if seen[i] {
			s.fail()
		}
		seen[i] = true
	}
	s.object(func(name []byte) {
		switch string(name) {
		case "resourceType":
			once(0)
			p.resourceType = s.text()
		case "total":
			once(1)
			if n, err := strconv.Atoi(string(s.value())); err == nil && n >= 0 {
				p.total = n
			}
		case "link":
			once(2)
			s.each(func() {
				relation, url := s.link()
				if relation == "next" && p.next == "" {
					p.next = url
				}
			})
		case "entry":
			once(3)
			s.each(func() {
				e := s.entry()
				if e.Raw == nil {
					return
				}
				if len(p.entries) == maxEntries {
					s.many = true
					s.fail()
					return
				}
				p.entries = append(p.entries, e)
			})
		default:
			s.value()
		}
	})
	s.space()
	if !s.bad && s.pos != len(data) {
		s.fail()
	}
	if s.many {
		return nil, fmt.Errorf("%w: more than %d entries on a page", ErrTooLarge, maxEntries)
	}
	if s.bad {
		return nil, fmt.Errorf("%w: byte %d", ErrNotFHIR, s.pos)
	}
	return p, nil
}

// link reads a Bundle.link.
func (s *scanner) link() (relation, url string) {
	s.object(func(name []byte) {
		switch string(name) {
		case "relation":
			relation = s.text()
		case "url":
			url = s.text()
		default:
			s.value()
		}
	})
	return relation, url
}

// entry reads a Bundle.entry.
func (s *scanner) entry() Entry {
	var e Entry
	s.object(func(name []byte) {
		switch string(name) {
		case "fullUrl":
			e.FullURL = s.text()
		case "search":
			if s.peek() != '{' {
				s.value()
				return
			}
			s.object(func(name []byte) {
				if string(name) == "mode" {
					e.Mode = s.word()
				} else {
					s.value()
				}
			})
		case "resource":
			if e.Raw != nil {
				s.fail()
			}
			if s.peek() != '{' {
				s.value()
				return
			}
			start := s.pos
			e.Type, e.ID = s.resource()
			e.Raw = s.data[start:s.pos:s.pos]
		default:
			s.value()
		}
	})
	return e
}

// resource steps over a resource and tells its type and id.
func (s *scanner) resource() (resourceType, id string) {
	s.object(func(name []byte) {
		switch string(name) {
		case "resourceType":
			resourceType = s.word()
		case "id":
			id = s.text()
		default:
			s.value()
		}
	})
	return resourceType, id
}

// scanner reads JSON once from front to back and copies nothing. After an error it stands
// still, so that callers need not look until the end.
type scanner struct {
	data  []byte
	pos   int
	bad   bool
	many  bool     // bad because of maxEntries
	words []string // seen, see word
}

func (s *scanner) fail() { s.bad = true }

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// peek is the next byte that is no white space; 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.bad || s.pos >= len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

// object calls member with each name; member must read the value.
func (s *scanner) object(member func(name []byte)) {
	if !s.take('{') {
		s.fail()
		return
	}
	if s.take('}') {
		return
	}
	for !s.bad {
		name := s.quoted()
		if s.bad || !s.take(':') {
			s.fail()
			return
		}
		if bytes.IndexByte(name, '\\') >= 0 {
			name = []byte(s.unquote(name))
		}
		member(name)
		if s.take('}') {
			return
		}
		if !s.take(',') {
			s.fail()
		}
	}
}

// each calls item for each element of an array. One object in place of an array is its one
// element, and null is none.
func (s *scanner) each(item func()) {
	switch s.peek() {
	case '{':
		item()
		return
	case '[':
		s.pos++
	default:
		if string(s.value()) != "null" {
			s.fail()
		}
		return
	}
	if s.take(']') {
		return
	}
	for !s.bad {
		item()
		if s.take(']') {
			return
		}
		if !s.take(',') {
			s.fail()
		}
	}
}

// text reads a string; a value of another kind is stepped over and counts as none.
func (s *scanner) text() string {
	if s.peek() != '"' {
		s.value()
		return ""
	}
	return s.unquote(s.quoted())
}

// word is text that repeats itself from entry to entry: most often it is the one before.
func (s *scanner) word() string {
	if s.peek() != '"' {
		return s.text()
	}
	raw := s.quoted()
	for _, w := range s.words { // none of them holds a backslash
		if string(raw) == w {
			return w
		}
	}
	w := s.unquote(raw)
	if len(s.words) < 8 && bytes.IndexByte(raw, '\\') < 0 {
		s.words = append(s.words, w)
	}
	return w
}

func (s *scanner) unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	quoted := make([]byte, 0, len(raw)+2)
	quoted = append(append(append(quoted, '"'), raw...), '"')
	var out string
	if err := json.Unmarshal(quoted, &out); err != nil {
		s.fail()
	}
	return out
}

// quoted reads a string and returns what stands between its quotes.
func (s *scanner) quoted() []byte {
	if !s.take('"') {
		s.fail()
		return nil
	}
	start := s.pos
	for {
		i := bytes.IndexByte(s.data[s.pos:], '"')
		if i < 0 {
			s.fail()
			return nil
		}
		end := s.pos + i
		s.pos = end + 1
		slashes := 0
		for end-1-slashes >= start && s.data[end-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return s.data[start:end]
		}
	}
}

// value steps over any value and returns it.
func (s *scanner) value() []byte {
	c := s.peek()
	start := s.pos
	switch c {
	case '"':
		s.quoted()
	case '{', '[':
		s.brackets()
	case 0, ',', ':', '}', ']':
		s.fail()
		return nil
	default:
		for s.pos < len(s.data) && !endsWord[s.data[s.pos]] {
			s.pos++
		}
	}
	return s.data[start:s.pos]
}

// brackets steps over an object or array by counting. It need not know one bracket from the
// other: what does not match is found when the resource is decoded.
func (s *scanner) brackets() {
	depth := 0
	data := s.data
	for s.pos < len(data) {
		switch data[s.pos] {
		case '"':
			if s.quoted(); s.bad {
				return
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.pos++
				return
			}
		}
		s.pos++
	}
	s.fail()
}

var endsWord = func() (t [256]bool) {
	for _, c := range " \t\r\n,:{}[]\"" {
		t[c] = true
	}
	return t
}()
