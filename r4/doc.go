// Package r4 is FHIR R4 (4.0.1) as Go values.
package r4
