// Package interop proves by programs that nobody here wrote what the tests of the other packages can
// only claim: that the simulator is a FHIR server and a token endpoint to other people's clients, that
// our clients get on with other people's servers, and that the generated charts are FHIR to other
// people's validators.
//
// It holds tests only. Each starts one side in Go, runs a short script (*.mjs) with the peer in it, and
// compares. What each proves, and what not, is in README.md.
//
// The peers come from npm (package-lock.json), Node 22 with them. Without them the tests are skipped,
// and fail where ANDIRON_REQUIRE_PEERS is set; make test installs them, and Chromium, and sets it.
package interop
