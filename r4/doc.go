// Package r4 is FHIR R4 (4.0.1) as Go values: a struct for each of the 146 resource types and for each
// datatype, generated from the definitions, and a JSON codec that loses nothing.
//
// # Reading a value
//
// [Unmarshal] returns a [Resource], whichever the text holds; switch on its type, or ask for the type with
// encoding/json into a struct:
//
//	r, err := r4.Unmarshal(data)
//	switch r := r.(type) {
//	case *r4.Patient:     // r.DisplayName(), r.BirthDate …
//	case *r4.Observation: // r.Status == "final" …
//	case *r4.Unknown:     // a type that R4 does not have, kept as it came
//	}
//
// Field names are the element's names with a capital first letter: name.given is Name[0].Given. The
// struct of a nested element has the path as its name: Patient.contact is a [PatientContact].
//
// # Primitives
//
// A primitive is the text that was received, and the empty string is an absent one: no pointers, nothing
// rounded. Strings, codes, ids, URLs and their like are Go strings. [Boolean], [Integer], [Decimal], [Date],
// [DateTime], [Instant] and [Time] are strings with methods: 1.10 stays "1.10", "1970-06" stays a month,
// and Float64, Rat, Int, Bool, Range or Precision say what it means. Constants need no conversion:
//
//	r4.Quantity{Value: "7.2", Unit: "g/dL"}
//
// In a list of primitives an empty string holds the place of one that has only extensions.
//
// # Choices
//
// An element such as value[x] is one field of an interface type that only its types satisfy; nil is absent:
//
//	switch v := obs.Value.(type) {
//	case *r4.Quantity:        // v.Value, v.Unit
//	case *r4.CodeableConcept: // v.Label()
//	case r4.String:           // string(v)
//	case nil:                 // obs.DataAbsentReason
//	}
//
// Primitives there have a type of their own, [String] or [Code], so that the switch can tell them apart.
// [Observation.Readings] goes through an observation's value and those of its components, with the reasons of the absent ones.
//
// # What is kept
//
// The JSON must be right, see [CheckJSON]: a member name twice or half a surrogate pair is an error, as in
// go-json-experiment. The content need not be. Ids and extensions of primitives (_birthDate), members that
// R4 does not know, an object where a list belongs, a number in quotes, null: all are read as far as
// they make sense, kept in the Extra field of the struct where they stood, and written back by [Marshal] as they came,
// unless the field was given another value. Only white space and the order of members are not kept.
//
// # NDJSON
//
// [Lines] cuts a stream into lines of any length. A [LineChecker] is an io.Writer that checks each line while
// a file is being copied and holds none of them.
//
// # Memory
//
// The strings of a resource are pieces of one copy of its text. Whoever keeps a small field of many
// resources should [strings.Clone] it.
package r4
