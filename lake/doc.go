// Package lake turns a folder of FHIR resources into tables in a DuckDB database.
//
//	l, err := lake.Open("andiron.duckdb")
//	…
//	result, err := l.Load(ctx, "export", lake.LoadOptions{})
//	rows, err := l.DB().QueryContext(ctx, `SELECT code_display, avg(value_quantity) FROM observation …`)
//
// # Loading
//
// [Lake.Load] takes any folder of NDJSON, plain or gzip, one resource a line: what package bulk
// wrote, what Synthea wrote, what another exporter wrote. A manifest.json in the Bulk Data form,
// with a file name and a SHA-256 for each output, makes it strict: a folder whose export is not
// complete, or whose files are not the ones described, is refused. Lines are parsed strictly; one
// that is no resource is set aside in load_quarantine, with its place and the reason, and Load says
// that it is incomplete. A file is loaded whole or not at all.
//
// # Tables
//
// One table for each of twelve resource types, named as the type in lower case and with one row a
// resource: patient, encounter, condition, observation, medicationrequest, allergyintolerance,
// immunization, diagnosticreport, documentreference, procedure, careplan, appointment. Every column
// carries a comment that says where in the resource it comes from ([Lake.Tables], or duckdb_columns()
// in SQL). Beside them observation_component has a row for each component, and
// resource has every resource of every type with its JSON.
//
// The same names mean the same everywhere: patient_id and encounter_id for joins; code, code_system,
// code_display, code_text and codings for what a row is about; x_id and x for a reference and what
// it is called. Of several codings the one in the usual system is taken (LOINC for observations,
// SNOMED CT for problems, RxNorm for medications, CVX for vaccines); codings lists all of them as
// system|code. Systems are written as URLs even where a server sends the OID.
//
// An observation's value stands in the columns of its kind: value_kind says which ('quantity',
// 'codeableconcept', 'string', …), 'absent' where data_absent_reason says why there is none, and
// 'components' where the numbers are in observation_component. systolic and diastolic are there
// because everybody asks for them.
//
// # Numbers and dates as written
//
// FHIR's decimals are text: 1.10 is not 1.1. A column to calculate with is a DOUBLE, and beside it
// stands x_literal (value_literal for an observation) with the digits as they were sent.
//
// FHIR's dates may name a year or a month alone. The column x is a DATE or TIMESTAMP WITH TIME
// ZONE, the first day or instant that the date can mean, in UTC when it names no zone; x_text
// beside it is the date as it was sent, so length(x_text) tells how exact it is.
//
// # Loading twice
//
// A resource is known by source, type and id. The source is the server's base URL from the
// manifest, or what LoadOptions says, and the same for each export of one server: so a newer export
// replaces what it brings again and leaves the rest. A file that is here already is recognised by
// its hash and skipped. Where exports state their transactionTime the later one wins in whichever
// order they are loaded; otherwise the later load does. Deletions that an export reports are applied
// last.
//
// # Traps of DuckDB for SQL of one's own
//
//   - JSON functions round: resource.json holds 1.10, but json ->> '$.value' says 1.1, and
//     read_ndjson rounds in the same way even into VARCHAR. The x_literal columns do not.
//   - read_ndjson with ignore_errors makes a row of NULLs out of a malformed line, and without it
//     still takes a trailing comma. Load does neither.
//   - One process holds a database file: while it is open for writing nobody else can read it
//     ([ErrLocked]). [OpenReadOnly] lets many read at once.
//   - end is a reserved word, which is why no column is called so.
//   - In database/sql a JSON column arrives parsed, its numbers as float64. [Lake.Query] gives it
//     as text.
//
// DuckDB is C++: with CGO_ENABLED=0 the package builds and [Open] returns [ErrUnsupported].
//
// Specification: HL7 FHIR R4; Bulk Data Access, "Output Manifest".
package lake
