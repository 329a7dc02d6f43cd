package r4

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// LineChecker checks NDJSON while it passes: each line is one whole resource, strict JSON as in
// [CheckJSON], of the wanted type. Write it the stream in pieces of any size, then Close it. It holds no
// line: its memory is that of the member names of the objects that are open, whether a line has a kilobyte or a gigabyte.
//
// Blank lines, \r\n and a byte order mark at the beginning are tolerated. The first fault ends it: Write and
// Close return the same *[LineError] from then on. The zero LineChecker takes resources of any type.
type LineChecker struct {
	// Type is the resourceType that each line must have. Empty takes any, also OperationOutcome; else an
	// OperationOutcome is [ErrOutcome] and every other type a *[TypeError].
	Type string
	// OnLine, if set, is called after each good line. The strings are the callee's to keep.
	OnLine func(LineInfo)

	state  state
	err    error
	closed bool

	lines  int64 // good ones
	number int64 // of this line, from 0
	offset int64 // of this line in the stream
	pos    int64 // of the next piece in the stream

	stack []frame    // what is open
	names []openName // of the open objects
	arena []byte     // the text of names

	word    string // rest of true, false or null
	key     bool   // the string is a member name
	value   top    // the top-level member whose value comes
	capture []byte // that value
	long    bool   // it is too long to be kept
	typ, id string // found in this line
	hasType bool
	need    int  // bytes missing of a rune
	low     byte // least and greatest byte that may come next in the rune
	high    byte
	hex     int  // digits missing of \uXXXX
	code    rune // their number
	lead    rune // the first half of a surrogate pair, 0 if none
}

// LineInfo is what a [LineChecker] learned about a line.
type LineInfo struct {
	Number int64  // counts from 1, blank lines too
	Offset int64  // bytes before the line in the stream
	Length int64  // bytes of the line without its \n
	Type   string // its resourceType, empty if it is longer than 1024 bytes
	ID     string // its id, empty if it has none, or one that is no string or longer than 1024 bytes
}

// top is a member of the line's own object that LineChecker reads.
type top uint8

const (
	topOther top = iota
	topType
	topID
)

// longestCapture bounds what is kept of a value; R4 ids have 64 characters at most.
const longestCapture = 1024

// frame is an open object or array.
type frame struct {
	array bool
	names int // names and bytes of the arena that belong to the objects around
	arena int
	many  map[string]struct{} // the names of an object that has many
}

// openName is a member name of an open object.
type openName struct {
	prefix uint64 // its first bytes, which tell most names apart
	at     int    // in the arena
}

type state uint8

const (
	stateBOM   state = iota // at the very beginning
	stateBOM2               // after the first byte of a byte order mark
	stateBOM3               // after the second
	stateLine               // before a line's object
	stateEnd                // after it
	stateFirst              // after [
	stateValue              // before a value
	stateOpen               // after {
	stateName               // before a member name
	stateColon              // after a member name
	stateAfter              // after a value
	stateString
	stateEscape
	stateHex
	statePair  // before the \ of the second half of a surrogate pair
	statePairU // before its u
	stateWord
	stateMinus // in a number: after the sign
	stateZero  // after a leading zero
	stateInt
	statePoint
	stateFraction
	stateE
	stateESign
	stateExponent
)

// Lines returns how many good lines there were, blank ones not counted.
func (c *LineChecker) Lines() int64 { return c.lines }

// Write checks the next piece of the stream. It returns less than len(p) only with an error.
func (c *LineChecker) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	i := 0
	for i < len(p) {
		i = c.step(p, i)
		if c.err != nil {
			return i, c.err
		}
	}
	c.pos += int64(len(p))
	return len(p), nil
}

// Close ends the stream. A last line that is whole needs no end of line.
func (c *LineChecker) Close() error {
	if c.err != nil || c.closed {
		return c.err
	}
	c.closed = true
	switch c.state {
	case stateBOM, stateLine:
	case stateEnd:
		c.endLine(c.pos)
	default:
		c.fault(c.pos, ErrTruncated.Error()[len("r4: "):], ErrTruncated)
	}
	return c.err
}

func (c *LineChecker) fault(at int64, reason string, err error) {
	c.err = &LineError{Line: c.number + 1, Offset: c.offset, Column: at - c.offset, Reason: reason, Err: err}
}

// bad is a fault in the JSON itself, at byte i of the piece.
func (c *LineChecker) bad(i int, reason string) int {
	at := c.pos + int64(i)
	c.fault(at, reason, &SyntaxError{Offset: at - c.offset, Reason: reason})
	return i
}

// endLine takes the line that ends before byte end of the stream.
func (c *LineChecker) endLine(end int64) {
	if !c.hasType {
		c.fault(end, "no resourceType", ErrNoResourceType)
		return
	}
	c.lines++
	if c.OnLine != nil {
		c.OnLine(LineInfo{Number: c.number + 1, Offset: c.offset, Length: end - c.offset, Type: c.typ, ID: c.id})
	}
}

// newLine begins the line after the \n at byte i.
func (c *LineChecker) newLine(i int) {
	c.number++
	c.offset = c.pos + int64(i) + 1
	c.state = stateLine
	c.typ, c.id, c.hasType = "", "", false
}

// step consumes at least one byte of p from i on, and returns where it stopped.
func (c *LineChecker) step(p []byte, i int) int {
	b := p[i]
	switch c.state {
	case stateString:
		return c.str(p, i)
	case stateBOM:
		c.state = stateLine
		if b == bom[0] {
			c.state = stateBOM2
			return i + 1
		}
		return i
	case stateBOM2, stateBOM3:
		if b != bom[1+c.state-stateBOM2] {
			return c.bad(i, "not JSON")
		}
		if c.state++; c.state == stateLine {
			c.offset = c.pos + int64(i) + 1
		}
		return i + 1
	case stateLine:
		switch b {
		case ' ', '\t', '\r':
		case '\n':
			c.newLine(i)
		case '{':
			return c.open(i, false)
		case '[', '"', 't', 'f', 'n', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			c.fault(c.pos+int64(i), "not an object", ErrNoResourceType)
			return i
		default:
			return c.bad(i, "not JSON")
		}
		return i + 1
	case stateEnd:
		switch b {
		case ' ', '\t', '\r':
		case '\n':
			if c.endLine(c.pos + int64(i)); c.err == nil {
				c.newLine(i)
			}
		default:
			return c.bad(i, reasonTrailing)
		}
		return i + 1
	case stateEscape, stateHex, statePair, statePairU:
		return c.escape(b, i)
	case stateWord:
		if b != c.word[0] {
			return c.inside(b, i, reasonValue)
		}
		if c.word = c.word[1:]; c.word == "" {
			c.state = stateAfter
		}
		return i + 1
	case stateMinus, stateZero, stateInt, statePoint, stateFraction, stateE, stateESign, stateExponent:
		return c.num(p, i)
	}
	// What is left stands between tokens.
	for b <= ' ' {
		if b != ' ' && b != '\t' && b != '\r' {
			return c.inside(b, i, reasonControl)
		}
		if i++; i == len(p) {
			return i
		}
		b = p[i]
	}
	switch c.state {
	case stateFirst:
		if b == ']' {
			return c.shut(i)
		}
		return c.begin(b, i)
	case stateValue:
		return c.begin(b, i)
	case stateOpen:
		if b == '}' {
			return c.shut(i)
		}
		fallthrough
	case stateName:
		if b != '"' {
			return c.bad(i, reasonName)
		}
		c.key, c.state = true, stateString
		c.names = append(c.names, openName{at: len(c.arena)})
	case stateColon:
		if b != ':' {
			return c.bad(i, reasonColon)
		}
		c.state = stateValue
	case stateAfter:
		switch array := c.stack[len(c.stack)-1].array; {
		case b == ',' && array:
			c.state = stateValue
		case b == ',':
			c.state = stateName
		case b == ']' && array, b == '}' && !array:
			return c.shut(i)
		case array:
			return c.bad(i, reasonArray)
		default:
			return c.bad(i, reasonObject)
		}
	}
	return i + 1
}

// inside is a byte that does not belong there; a line that ends too early is reported as that.
func (c *LineChecker) inside(b byte, i int, reason string) int {
	if b == '\n' {
		return c.bad(i, "the line ends within a value")
	}
	return c.bad(i, reason)
}

// begin is the first byte of a value.
func (c *LineChecker) begin(b byte, i int) int {
	if c.value == topType && b != '"' {
		c.fault(c.pos+int64(i), "resourceType is not a string", ErrNoResourceType)
		return i
	}
	switch {
	case b == '"':
		c.key, c.state = false, stateString
		c.capture = c.capture[:0]
		c.long = false
		return i + 1
	case b == '{' || b == '[':
		c.value = topOther
		return c.open(i, b == '[')
	case b == 't':
		c.state, c.word = stateWord, "true"[1:]
	case b == 'f':
		c.state, c.word = stateWord, "false"[1:]
	case b == 'n':
		c.state, c.word = stateWord, "null"[1:]
	case b == '-':
		c.state = stateMinus
	case b == '0':
		c.state = stateZero
	case '1' <= b && b <= '9':
		c.state = stateInt
	default:
		return c.bad(i, reasonValue)
	}
	c.value = topOther
	return i + 1
}

func (c *LineChecker) open(i int, array bool) int {
	if len(c.stack) == maxDepth {
		return c.bad(i, reasonDepth)
	}
	c.stack = append(c.stack, frame{array: array, names: len(c.names), arena: len(c.arena)})
	c.state = stateOpen
	if array {
		c.state = stateFirst
	}
	return i + 1
}

func (c *LineChecker) shut(i int) int {
	f := &c.stack[len(c.stack)-1]
	c.names, c.arena = c.names[:f.names], c.arena[:f.arena]
	f.many = nil
	c.stack = c.stack[:len(c.stack)-1]
	c.state = stateAfter
	if len(c.stack) == 0 {
		c.state = stateEnd
	}
	return i + 1
}

// str goes through a string, in pieces of plain ASCII.
func (c *LineChecker) str(p []byte, i int) int {
	if c.need > 0 {
		return c.runeByte(p, i)
	}
	start := i
	for i+8 <= len(p) {
		if m := special(binary.LittleEndian.Uint64(p[i:])); m != 0 {
			i += bits.TrailingZeros64(m) / 8
			break
		}
		i += 8
	}
	for i < len(p) && plain[p[i]] {
		i++
	}
	if i > start {
		c.collect(p[start:i])
	}
	if i == len(p) {
		return i
	}
	switch b := p[i]; {
	case b == '"':
		return c.endString(i)
	case b == '\\':
		c.state = stateEscape
	case b < 0x20:
		return c.inside(b, i, reasonControl)
	default:
		if !c.runeStart(b) {
			return c.bad(i, reasonUTF8)
		}
		c.collect(p[i : i+1])
	}
	return i + 1
}

// collect keeps a piece of a string if anybody wants it.
func (c *LineChecker) collect(piece []byte) {
	switch {
	case c.key:
		c.arena = append(c.arena, piece...)
	case c.value != topOther:
		if c.long = c.long || len(c.capture)+len(piece) > longestCapture; !c.long {
			c.capture = append(c.capture, piece...)
		}
	}
}

// runeStart begins a rune of several bytes (RFC 3629, section 4).
func (c *LineChecker) runeStart(b byte) bool {
	c.low, c.high = 0x80, 0xbf
	switch {
	case 0xc2 <= b && b <= 0xdf:
		c.need = 1
	case 0xe0 <= b && b <= 0xef:
		c.need = 2
		switch b {
		case 0xe0:
			c.low = 0xa0
		case 0xed:
			c.high = 0x9f
		}
	case 0xf0 <= b && b <= 0xf4:
		c.need = 3
		switch b {
		case 0xf0:
			c.low = 0x90
		case 0xf4:
			c.high = 0x8f
		}
	default:
		return false
	}
	return true
}

func (c *LineChecker) runeByte(p []byte, i int) int {
	if b := p[i]; b < c.low || b > c.high {
		return c.bad(i, reasonUTF8)
	}
	c.low, c.high = 0x80, 0xbf
	c.need--
	c.collect(p[i : i+1])
	return i + 1
}

// escape takes one byte of an escape.
func (c *LineChecker) escape(b byte, i int) int {
	switch c.state {
	case stateEscape:
		var plain byte
		switch b {
		case '"', '\\', '/':
			plain = b
		case 'b':
			plain = '\b'
		case 'f':
			plain = '\f'
		case 'n':
			plain = '\n'
		case 'r':
			plain = '\r'
		case 't':
			plain = '\t'
		case 'u':
			c.state, c.hex, c.code = stateHex, 4, 0
			return i + 1
		default:
			return c.inside(b, i, reasonEscape)
		}
		c.state = stateString
		c.collect([]byte{plain})
	case statePair:
		if b != '\\' {
			return c.inside(b, i, reasonSurrogate)
		}
		c.state = statePairU
	case statePairU:
		if b != 'u' {
			return c.inside(b, i, reasonSurrogate)
		}
		c.state, c.hex, c.code = stateHex, 4, 0
	case stateHex:
		h := unhex(b)
		if h < 0 {
			return c.inside(b, i, reasonEscape)
		}
		c.code = c.code<<4 | rune(h)
		if c.hex--; c.hex > 0 {
			return i + 1
		}
		r, half := c.code, 0xd800 <= c.code && c.code <= 0xdfff
		switch {
		case c.lead != 0 && half && r >= 0xdc00:
			r = (c.lead-0xd800)<<10 + (r - 0xdc00) + 0x10000
			c.lead = 0
		case c.lead != 0 || half && r >= 0xdc00:
			return c.bad(i, reasonSurrogate)
		case half:
			c.lead, c.state = r, statePair
			return i + 1
		}
		c.state = stateString
		c.collect(utf8.AppendRune(nil, r))
	}
	return i + 1
}

// endString is the closing quote.
func (c *LineChecker) endString(i int) int {
	if c.key {
		if !c.endName() {
			return c.bad(i, reasonDuplicate)
		}
		c.state = stateColon
		return i + 1
	}
	c.state = stateAfter
	switch c.value {
	case topType:
		c.hasType = true
		c.typ = ""
		if !c.long {
			c.typ = string(c.capture)
		}
		switch {
		case c.Type == "" || c.typ == c.Type:
		case c.typ == "OperationOutcome":
			c.fault(c.pos+int64(i), ErrOutcome.Error()[len("r4: "):], ErrOutcome)
			return i
		default:
			err := &TypeError{Want: c.Type, Got: c.typ}
			c.fault(c.pos+int64(i), "another resourceType than "+c.Type, err)
			return i
		}
	case topID:
		if !c.long && c.OnLine != nil {
			c.id = string(c.capture)
		}
	}
	c.value = topOther
	return i + 1
}

// endName takes the member name at the end of the arena, and reports false if its object has it already.
func (c *LineChecker) endName() bool {
	f := &c.stack[len(c.stack)-1]
	last := len(c.names) - 1
	name := c.arena[c.names[last].at:]
	if len(c.stack) == 1 {
		c.value = topOther
		if string(name) == "resourceType" {
			c.value = topType
		} else if string(name) == "id" {
			c.value = topID
		}
	}
	if f.many != nil {
		_, twice := f.many[string(name)]
		f.many[string(name)] = struct{}{}
		c.arena, c.names = c.arena[:c.names[last].at], c.names[:last]
		return !twice
	}
	var head [8]byte
	copy(head[:], name)
	prefix := binary.LittleEndian.Uint64(head[:])
	c.names[last].prefix = prefix
	mine := c.names[f.names:last]
	for k := range mine {
		if mine[k].prefix == prefix && string(c.nameAt(f.names+k)) == string(name) {
			return false
		}
	}
	if len(mine) == fewNames {
		f.many = make(map[string]struct{}, 2*fewNames)
		for k := range c.names[f.names:] {
			f.many[string(c.nameAt(f.names+k))] = struct{}{}
		}
		c.names, c.arena = c.names[:f.names], c.arena[:f.arena]
	}
	return true
}

// nameAt is the text of name number k.
func (c *LineChecker) nameAt(k int) []byte {
	end := len(c.arena)
	if k+1 < len(c.names) {
		end = c.names[k+1].at
	}
	return c.arena[c.names[k].at:end]
}

// num goes through a number as far as it reaches in p.
func (c *LineChecker) num(p []byte, i int) int {
	for ; i < len(p); i++ {
		b := p[i]
		digit := '0' <= b && b <= '9'
		switch {
		case digit && (c.state == stateInt || c.state == stateFraction || c.state == stateExponent):
		case digit && c.state == stateMinus && b == '0':
			c.state = stateZero
		case digit && c.state == stateMinus:
			c.state = stateInt
		case digit && c.state == statePoint:
			c.state = stateFraction
		case digit && (c.state == stateE || c.state == stateESign):
			c.state = stateExponent
		case b == '.' && (c.state == stateZero || c.state == stateInt):
			c.state = statePoint
		case (b == 'e' || b == 'E') && (c.state == stateZero || c.state == stateInt || c.state == stateFraction):
			c.state = stateE
		case (b == '+' || b == '-') && c.state == stateE:
			c.state = stateESign
		case c.state == stateZero || c.state == stateInt || c.state == stateFraction || c.state == stateExponent:
			c.state = stateAfter
			return i // the byte belongs to what follows
		default:
			return c.inside(b, i, reasonNumber)
		}
	}
	return i
}
