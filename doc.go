// Package andiron is a toolkit for integrating with Epic's FHIR R4 API. The root holds no code:
// import the package for the job at hand.
//
//   - r4: FHIR R4 as Go values, with nothing lost on the way through
//   - smart: signing in (SMART on FHIR)
//   - fhir: asking (read, search, page)
//   - bulk: a population into a folder
//   - lake: a folder into tables
//   - epic: what one has to know about Epic, as data
//   - sim: a simulated Epic, so that all of it runs offline
//
// The command andiron, in cmd/andiron, does the same from a terminal.
package andiron
