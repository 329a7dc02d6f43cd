// Package epic knows what only Epic does: its error codes, its search rules, its identifiers
// and limits, and what to do about an answer that one did not want.
//
// Facts here are tables, and each table says where it comes from and how sure it is. Nothing
// in this package sends anything.
//
// # Something failed
//
// [Explain] takes the error of any package of this module (or any error with the same small
// methods) and returns what it means, what was checked and the command that mends it.
//
// # What did the server say
//
// [CodesIn] finds Epic's numbers in an OperationOutcome, whatever the customer's coding system
// is called; [LookupCode] tells what a number means and whether asking again can help. An
// empty list that comes with 59204, 59205, 4118 or 4119 is not "no data": see [Withheld].
//
// # May I ask that
//
// [LookupResource] has each type's interactions and search parameters, [LookupRule] what a search
// must name, [Categories] the words it may use. [Dialect] puts the same rules at the
// service of fhir.Client.
//
// # Who is this
//
// [MRN] finds the medical record number by its system, [IsEpic] and [Release] tell which
// server answers, [ParseOID] whose OID it is.
//
// # How sure
//
// Comments name the source: Epic's own documents by their titles ("OAuth 2.0 Specification",
// "API Specifications", "FHIR Tutorial", "Bulk Data Access Tutorial"), "the sandbox's
// CapabilityStatement" (May 2026), or "captures" for recorded answers of Epic's public
// sandbox. High means Epic's own text or a raw recording, medium a copy of Epic's text or one
// practitioner's observation, low an inference. Hospitals differ: /metadata decides.
package epic
