package r4

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
