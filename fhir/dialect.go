package fhir

import "github.com/andironhq/andiron/r4"

// Dialect is what a Client must know about one vendor's servers beyond FHIR itself. Package
// epic has one for Epic. Nil is plain FHIR.
type Dialect interface {
	// PagingExpired reports whether the refusal of a next link means that the server has
	// forgotten the result, and not that something is wrong with the search.
	PagingExpired(status int, outcome *r4.OperationOutcome) bool

	// SearchWarnings is what an experienced user would say about a search before it leaves:
	// parameters that this server ignores, needs, or alone understands. It goes to
	// Client.Notice; the search is sent all the same. Nil is silence. The map holds the
	// values of each parameter as they will be sent, unencoded.
	SearchWarnings(resourceType string, params map[string][]string) *r4.OperationOutcome
}
