package r4

import (
	"math/big"
	"strconv"
	"strings"
)

// The primitives of FHIR that are more than a string keep the text that was received.
type (
	// String is a FHIR string in a choice element; a plain field is a Go string.
	String string
	// Code is a FHIR code in a choice element; a plain field is a Go string.
	Code string
	// URI is a FHIR uri in a choice element; a plain field is a Go string.
	URI string
	// URL is a FHIR url in a choice element; a plain field is a Go string.
	URL string
	// Canonical is a FHIR canonical, a URL with an optional |version, in a choice element; a plain field is a Go string.
	Canonical string
	// ID is a FHIR id in a choice element; a plain field is a Go string.
	ID string
	// OID is a FHIR oid, "urn:oid:1.2.3", in a choice element; a plain field is a Go string.
	OID string
	// UUID is a FHIR uuid, "urn:uuid:…", in a choice element; a plain field is a Go string.
	UUID string
	// Markdown is FHIR markdown in a choice element; a plain field is a Go string.
	Markdown string
	// Base64Binary is FHIR base64Binary, still encoded, in a choice element; a plain field is a Go string.
	Base64Binary string
	// Boolean is a FHIR boolean as it is written, "true" or "false"; empty is absent.
	Boolean string
	// Integer is a FHIR integer, positiveInt or unsignedInt as it is written; empty is absent.
	Integer string
	// PositiveInt is a FHIR positiveInt in a choice element; a plain field is an [Integer].
	PositiveInt string
	// UnsignedInt is a FHIR unsignedInt in a choice element; a plain field is an [Integer].
	UnsignedInt string
	// Decimal is a FHIR decimal as it is written, "1.10" with its precision; empty is absent.
	Decimal string
	// Date is a FHIR date, "1970", "1970-06" or "1970-06-13"; empty is absent.
	Date string
	// DateTime is a FHIR dateTime: a [Date], or a date with time and time zone; empty is absent.
	DateTime string
	// Instant is a FHIR instant, to the second or finer and with a time zone; empty is absent.
	Instant string
	// Time is a FHIR time of day, "14:30:00"; empty is absent.
	Time string
)

// The values of a [Boolean].
const (
	True  Boolean = "true"
	False Boolean = "false"
)

// ValueError means that the text of a primitive is not of its FHIR type. It does not quote the text.
type ValueError struct {
	Type string // the FHIR type: "dateTime"
}

func (e *ValueError) Error() string { return "r4: not a FHIR " + e.Type }

// BooleanOf is the Boolean of a Go bool.
func BooleanOf(v bool) Boolean { return Boolean(strconv.FormatBool(v)) }

// Bool reports whether b is true. Absent and false are both false; b == "" tells them apart.
func (b Boolean) Bool() bool { return b == True }

// IntegerOf is the Integer of a Go integer.
func IntegerOf(v int64) Integer { return Integer(strconv.FormatInt(v, 10)) }

// Int returns the number. The error is a *[ValueError], also for an absent one.
func (i Integer) Int() (int64, error) { return parseInt(string(i), "integer") }

// Int returns the number. The error is a *[ValueError], also for an absent one.
func (i PositiveInt) Int() (int64, error) { return parseInt(string(i), "positiveInt") }

// Int returns the number. The error is a *[ValueError], also for an absent one.
func (i UnsignedInt) Int() (int64, error) { return parseInt(string(i), "unsignedInt") }

func parseInt(s, typ string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || s[0] == '+' {
		return 0, &ValueError{Type: typ}
	}
	return n, nil
}

// Float64 returns the nearest float64, which may have fewer digits than d. The error is a *[ValueError],
// also for an absent decimal and for one that is out of range.
func (d Decimal) Float64() (float64, error) {
	if !isNumberText(string(d)) {
		return 0, &ValueError{Type: "decimal"}
	}
	f, err := strconv.ParseFloat(string(d), 64)
	if err != nil {
		return 0, &ValueError{Type: "decimal"}
	}
	return f, nil
}

// largestExponent keeps Rat from building numbers of gigabytes out of a few bytes.
const largestExponent = 10000

// Rat returns the exact number. The error is a *[ValueError], also for an absent decimal and for an
// exponent beyond 10000.
func (d Decimal) Rat() (*big.Rat, error) {
	s := string(d)
	ok := isNumberText(s)
	if e := strings.IndexAny(s, "eE"); ok && e >= 0 {
		n, err := strconv.Atoi(s[e+1:])
		ok = err == nil && -largestExponent <= n && n <= largestExponent
	}
	if !ok {
		return nil, &ValueError{Type: "decimal"}
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, &ValueError{Type: "decimal"}
	}
	return r, nil
}

// isNumberText reports whether s is one JSON number.
func isNumberText(s string) bool { return s != "" && numberLen(s) == len(s) }

// The numbers and booleans are those of JSON also where encoding/json writes them by themselves.

// MarshalJSON writes true or false, null if absent.
func (b Boolean) MarshalJSON() ([]byte, error) { return marshalScalar(string(b), isBoolean) }

// MarshalJSON writes the number as it stands, null if absent.
func (i Integer) MarshalJSON() ([]byte, error) { return marshalScalar(string(i), isNumber) }

// MarshalJSON writes the number as it stands, null if absent.
func (i PositiveInt) MarshalJSON() ([]byte, error) { return marshalScalar(string(i), isNumber) }

// MarshalJSON writes the number as it stands, null if absent.
func (i UnsignedInt) MarshalJSON() ([]byte, error) { return marshalScalar(string(i), isNumber) }

// MarshalJSON writes the number as it stands, null if absent.
func (d Decimal) MarshalJSON() ([]byte, error) { return marshalScalar(string(d), isNumber) }

func marshalScalar(v string, s shape) ([]byte, error) {
	if v == "" {
		return []byte("null"), nil
	}
	var e encoder
	e.scalar(v, s)
	return e.buf, e.err
}

// UnmarshalJSON reads true or false, or a string that says so.
func (b *Boolean) UnmarshalJSON(data []byte) error { return unmarshalScalar(data, (*string)(b)) }

// UnmarshalJSON reads a number, or a string that holds one.
func (i *Integer) UnmarshalJSON(data []byte) error { return unmarshalScalar(data, (*string)(i)) }

// UnmarshalJSON reads a number, or a string that holds one.
func (i *PositiveInt) UnmarshalJSON(data []byte) error { return unmarshalScalar(data, (*string)(i)) }

// UnmarshalJSON reads a number, or a string that holds one.
func (i *UnsignedInt) UnmarshalJSON(data []byte) error { return unmarshalScalar(data, (*string)(i)) }

// UnmarshalJSON reads a number, or a string that holds one.
func (d *Decimal) UnmarshalJSON(data []byte) error { return unmarshalScalar(data, (*string)(d)) }

func unmarshalScalar(data []byte, p *string) error {
	c := scanner{s: string(data)}
	c.space()
	raw := c.raw()
	if err := c.finish(); err != nil {
		return err
	}
	*p = scalar(raw)
	return nil
}
