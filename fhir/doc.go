// Package fhir reads a FHIR R4 server: one resource, a whole search, or anything at all
// over its own protocol, without losing results, tokens or the server's patience.
//
//	c := &fhir.Client{Base: "https://epic.example/interconnect-fhir-oauth/api/FHIR/R4", Auth: backend}
//	patient, err := fhir.Read[r4.Patient](ctx, c, id)
//	labs := fhir.Search[r4.Observation](ctx, c, fhir.Where("patient", id).And("category", "laboratory"))
//	for obs, err := range labs { … }
//
// The package knows FHIR and no vendor. What only Epic does comes in through
// [Client].Dialect; package epic has it.
//
// # Signing in
//
// [Client].Auth is anything that has a token: smart.Backend for services, a smart session for
// users. When the server refuses a token with 401, the source is told which one, and the
// request is sent once more with the next. A second 401 is an error.
//
// # What the token never does
//
// It never goes to another origin than Base's, where an origin is scheme, host and port, and
// neither do the client's own headers. The token is added to one exchange at a time, after
// the origin was checked, so it makes no difference who names the other place: a next link, a
// redirect, a reference, a Content-Location, a manifest or an attachment. Such a request does
// not leave at all, and the error wraps [ErrForeignOrigin]; only [Request].ForeignOK lets a
// GET go there, bare. From https nothing ever goes on in plain http.
//
// # Searching
//
// [Where] and [Query.And] build a query; a repeated name means AND, several values mean OR.
// Text from people goes through [Escape], a code and its system through [Token]. A parameter
// without a value is an error before anything is sent: an id that was never set must not
// become a search over everybody. [ParseQuery] reads what people type.
//
// # Paging
//
// [Search] follows every next link as the server wrote it, until there is none: over short
// pages and empty ones, and without belief in Bundle.total. One page is fetched ahead, and
// the loop may be left at any time. Links that come back to a page already seen, and pages
// that bring nothing new, end in [ErrLoop]. [Client.Entries] is the same for types known by
// name, with included resources and the server's bytes.
//
// # Notices
//
// Servers say in the result itself that something is missing from it: results of a type this
// client may not see, a parameter that was ignored. These OperationOutcomes never appear
// among the results; they go to [Client].Notice, and so does what the client noticed by
// itself. Set it. A list that is empty with such a notice is not "no data".
//
// # Errors
//
// All are [*Error], with status, OperationOutcome, the WWW-Authenticate challenge, and a cause
// that errors.Is finds. The text is fit for a log: it has no body, no query, no id and no
// token. Advice is not in it; epic.Explain gives that.
//
// # Rate
//
// [Limits] holds the budget. Its zero value is 100 requests a minute, five at once. A 429 or
// a 503 with Retry-After, or a RateLimit header that says nothing is left, stops every user
// of the client until the moment the server named, within [Limits].MaxWait.
//
// # Retries
//
// GET and HEAD are repeated after 408, 429, 500, 502, 503, 504, network errors and bodies
// that end early, with exponential backoff and full jitter, up to Limits.MaxTries times and
// within a budget that a failing server uses up. Writes are not, unless the request never
// left, was turned away with 429, or is declared [Request].Idempotent: what is left in doubt
// says so with [ErrOutcomeUnknown].
//
// # Limits on the server
//
// A server that does not begin to answer, stalls or drips ends in [ErrStalled]; one that
// sends too much, packed or not, in [ErrTooLarge]; one that sends HTML, XML or broken JSON in
// [ErrNotFHIR].
package fhir
