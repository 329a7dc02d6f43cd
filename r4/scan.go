package r4

import (
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may nest, as in go-json-experiment.
const maxDepth = 10000

// SyntaxError says where a text stops being JSON. It quotes nothing of the text, which may hold
// what patients told their doctor.
type SyntaxError struct {
	Offset int64  // bytes before the fault
	Reason string // what is wrong there, in a few fixed words
}

func (e *SyntaxError) Error() string {
	return "r4: invalid JSON at byte " + strconv.FormatInt(e.Offset, 10) + ": " + e.Reason
}

// The reasons of a SyntaxError. LineChecker gives the same ones.
const (
	reasonEnd       = "the text ends within a value"
	reasonTrailing  = "data after the value"
	reasonValue     = "a value is expected"
	reasonName      = "a member name is expected"
	reasonColon     = "a colon is expected"
	reasonObject    = "a comma or } is expected"
	reasonArray     = "a comma or ] is expected"
	reasonNumber    = "not a JSON number"
	reasonControl   = "a control character in a string"
	reasonUTF8      = "invalid UTF-8"
	reasonEscape    = "not a JSON escape"
	reasonSurrogate = "half a surrogate pair"
	reasonDuplicate = "a member name twice in one object"
	reasonDepth     = "nested deeper than 10000"
)

// CheckJSON reports whether data is one strict JSON value (RFC 8259 and I-JSON): valid UTF-8, no half
// surrogate pairs, no member name twice in an object, nothing after the value. The error is a *[SyntaxError].
// [Unmarshal] makes the same checks by itself.
func CheckJSON(data []byte) error {
	c := scanner{s: string(data)}
	c.space()
	c.skip()
	return c.finish()
}

// scanner walks over one JSON text. After a fault it stands at the end and every call does nothing.
type scanner struct {
	s     string
	i     int
	depth int
	err   error
	names []string // member names of the objects that skip has open

	// ends, when not nil, is where objects and arrays end that skip has passed without a fault; it
	// jumps over those that it knows.
	ends map[int]int
}

func (c *scanner) fail(at int, reason string) {
	if c.err == nil {
		c.err = &SyntaxError{Offset: int64(at), Reason: reason}
	}
	c.i = len(c.s)
}

// unexpected reports what was to stand here: the end of the text explains more than a missing comma.
func (c *scanner) unexpected(reason string) {
	if c.i >= len(c.s) {
		reason = reasonEnd
	}
	c.fail(c.i, reason)
}

// finish ends the text: only white space may follow.
func (c *scanner) finish() error {
	if c.err == nil && (c.space() != 0 || c.i < len(c.s)) {
		c.fail(c.i, reasonTrailing)
	}
	return c.err
}

// space skips white space and returns the byte that follows, 0 at the end.
func (c *scanner) space() byte {
	for i := c.i; i < len(c.s); i++ {
		b := c.s[i]
		if b > ' ' || b != ' ' && b != '\n' && b != '\r' && b != '\t' {
			c.i = i
			return b
		}
	}
	c.i = len(c.s)
	return 0
}

// plain are the bytes that stand for themselves in a string.
var plain = func() (t [256]bool) {
	for b := 0x20; b < 0x80; b++ {
		t[b] = b != '"' && b != '\\'
	}
	return t
}()

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks the bytes of w that do not stand for themselves in a string. Only the lowest mark is exact.
func special(w uint64) uint64 {
	quote := w ^ '"'*ones
	slash := w ^ '\\'*ones
	return (w | (w-0x20*ones)&^w | (quote-ones)&^quote | (slash-ones)&^slash) & highs
}

// load reads eight bytes, the first one lowest.
func load(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// str reads the string at the scanner. Without escapes it is a piece of the text, not a copy.
func (c *scanner) str() string {
	start := c.i + 1
	i := start
	for i+8 <= len(c.s) {
		if m := special(load(c.s[i : i+8])); m != 0 {
			i += bits.TrailingZeros64(m) / 8
			if c.s[i] == '"' {
				c.i = i + 1
				return c.s[start:i]
			}
			break
		}
		i += 8
	}
	for i < len(c.s) && plain[c.s[i]] {
		i++
	}
	if i < len(c.s) && c.s[i] == '"' {
		c.i = i + 1
		return c.s[start:i]
	}
	return c.strSlow(start, i)
}

// strSlow goes on at i with a string that holds more than plain ASCII.
func (c *scanner) strSlow(start, i int) string {
	escaped := false
	for {
		for i < len(c.s) && plain[c.s[i]] {
			i++
		}
		if i == len(c.s) {
			c.fail(i, reasonEnd)
			return ""
		}
		switch b := c.s[i]; {
		case b == '"':
			c.i = i + 1
			if escaped {
				return unescape(c.s[start:i])
			}
			return c.s[start:i]
		case b == '\\':
			escaped = true
			n, reason := escapeLen(c.s[i:])
			if reason != "" {
				c.fail(i, reason)
				return ""
			}
			i += n
		case b < 0x20:
			c.fail(i, reasonControl)
			return ""
		default:
			r, n := utf8.DecodeRuneInString(c.s[i:])
			if r == utf8.RuneError && n == 1 {
				c.fail(i, reasonUTF8)
				return ""
			}
			i += n
		}
	}
}

// escapeLen measures the escape that s begins with, both halves of a surrogate pair together.
func escapeLen(s string) (n int, reason string) {
	if len(s) < 2 {
		return 0, reasonEnd
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, ""
	case 'u':
	default:
		return 0, reasonEscape
	}
	r, ok := hex4(s)
	switch {
	case !ok && len(s) < 6:
		return 0, reasonEnd
	case !ok:
		return 0, reasonEscape
	case r < 0xd800 || r > 0xdfff:
		return 6, ""
	}
	low, ok := hex4(s[6:])
	if r > 0xdbff || !ok || low < 0xdc00 || low > 0xdfff {
		return 0, reasonSurrogate
	}
	return 12, ""
}

// hex4 reads the number of a \uXXXX at the beginning of s.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for i := 2; i < 6; i++ {
		h := unhex(s[i])
		if h < 0 {
			return 0, false
		}
		r = r<<4 | rune(h)
	}
	return r, true
}

func unhex(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10
	case 'A' <= b && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

// unescape resolves the escapes of s, which were checked before.
func unescape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for {
		plain, rest, found := strings.Cut(s, `\`)
		b.WriteString(plain)
		if !found {
			return b.String()
		}
		switch rest[0] {
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			at := s[len(plain):]
			r, _ := hex4(at)
			rest = rest[4:]
			if 0xd800 <= r && r <= 0xdfff {
				low, _ := hex4(at[6:])
				r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
				rest = rest[6:]
			}
			b.WriteRune(r)
		default:
			b.WriteByte(rest[0])
		}
		s = rest[1:]
	}
}

// num reads the number at the scanner, as it is written.
func (c *scanner) num() string {
	n := numberLen(c.s[c.i:])
	if n <= 0 {
		c.i -= n // n is minus the bytes that were right
		if c.i >= len(c.s) {
			c.fail(c.i, reasonEnd)
		} else {
			c.fail(c.i, reasonNumber)
		}
		return ""
	}
	start := c.i
	c.i += n
	return c.s[start:c.i]
}

// numberLen measures the JSON number that s begins with; if there is none, it is minus the length of
// what could have become one.
func numberLen(s string) int {
	i := 0
	digits := func() bool {
		from := i
		for i < len(s) && '0' <= s[i] && s[i] <= '9' {
			i++
		}
		return i > from
	}
	if i < len(s) && s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if !digits() {
		return -i
	}
	if i < len(s) && s[i] == '.' {
		i++
		if !digits() {
			return -i
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return -i
		}
	}
	return i
}

// literal reads true, false or null.
func (c *scanner) literal(word string) {
	for k := range len(word) {
		if c.i+k >= len(c.s) {
			c.fail(len(c.s), reasonEnd)
			return
		}
		if c.s[c.i+k] != word[k] {
			c.fail(c.i+k, reasonValue)
			return
		}
	}
	c.i += len(word)
}

// down enters an object or an array.
func (c *scanner) down() bool {
	if c.depth++; c.depth > maxDepth {
		c.fail(c.i, reasonDepth)
		return false
	}
	c.i++
	return true
}

// key reads a member name and its colon, and stands at the value.
func (c *scanner) key() string {
	if c.i >= len(c.s) || c.s[c.i] != '"' {
		c.unexpected(reasonName)
		return ""
	}
	name := c.str()
	if c.i < len(c.s) && c.s[c.i] == ':' {
		c.i++
		if c.i < len(c.s) && c.s[c.i] > ' ' {
			return name
		}
		c.space()
		return name
	}
	if c.space() != ':' {
		c.unexpected(reasonColon)
		return ""
	}
	c.i++
	c.space()
	return name
}

// raw reads any value and returns its text.
func (c *scanner) raw() string {
	start := c.i
	c.skip()
	if c.err != nil {
		return ""
	}
	return c.s[start:c.i]
}

// skip reads any value and checks it.
func (c *scanner) skip() {
	if c.i >= len(c.s) {
		c.unexpected(reasonValue)
		return
	}
	switch b := c.s[c.i]; b {
	case '"':
		c.str()
	case '{', '[':
		if end, ok := c.ends[c.i]; ok {
			c.i = end
			return
		}
		start := c.i
		if b == '{' {
			c.skipObject()
		} else {
			c.skipArray()
		}
		if c.ends != nil && c.err == nil {
			c.ends[start] = c.i
		}
	case 't':
		c.literal("true")
	case 'f':
		c.literal("false")
	case 'n':
		c.literal("null")
	default:
		if b != '-' && (b < '0' || b > '9') {
			c.unexpected(reasonValue)
			return
		}
		c.num()
	}
}

func (c *scanner) skipArray() {
	if !c.down() {
		return
	}
	if c.space() == ']' {
		c.i++
		c.depth--
		return
	}
	for c.err == nil {
		c.skip()
		switch c.space() {
		case ',':
			c.i++
			c.space()
		case ']':
			c.i++
			c.depth--
			return
		default:
			c.unexpected(reasonArray)
		}
	}
}

func (c *scanner) skipObject() {
	if !c.down() {
		return
	}
	if c.space() == '}' {
		c.i++
		c.depth--
		return
	}
	seen := nameSet{from: len(c.names)}
	for c.err == nil {
		at := c.i
		name := c.key()
		if c.err == nil && !seen.add(&c.names, name) {
			c.fail(at, reasonDuplicate)
		}
		c.skip()
		switch c.space() {
		case ',':
			c.i++
			c.space()
		case '}':
			c.i++
			c.depth--
			c.names = c.names[:seen.from]
			return
		default:
			c.unexpected(reasonObject)
		}
	}
}

// nameSet finds a name that an object has twice. A few names stand on a stack that all open objects
// share; the many names of a hostile object move to a map.
type nameSet struct {
	from int
	many map[string]struct{}
}

// fewNames is how many names are compared one by one.
const fewNames = 24

func (n *nameSet) add(stack *[]string, name string) bool {
	if n.many != nil {
		if _, twice := n.many[name]; twice {
			return false
		}
		n.many[name] = struct{}{}
		return true
	}
	mine := (*stack)[n.from:]
	for _, other := range mine {
		if other == name {
			return false
		}
	}
	if len(mine) < fewNames {
		*stack = append(*stack, name)
		return true
	}
	n.many = make(map[string]struct{}, 2*fewNames)
	for _, other := range mine {
		n.many[other] = struct{}{}
	}
	n.many[name] = struct{}{}
	return true
}
