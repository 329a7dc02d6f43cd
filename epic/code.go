package epic

import (
	"slices"
	"strings"

	"github.com/andironhq/andiron/r4"
)

// Code is one number of Epic's, as found in OperationOutcome.issue.details.coding.
type Code struct {
	// Number is the coding's code, such as "4101".
	Number string
	// Severity is "fatal", "warning" or "information". Epic never sends "error".
	Severity string
	// Issue is the FHIR issue type (OperationOutcome.issue.code) that comes with the number.
	Issue string
	// Text is Epic's display, letter for letter; "" where no record of it is at hand.
	Text string
	// Meaning says the same in our words.
	Meaning string
	// Status is the HTTP status of an answer whose worst issue this is; 200 for what travels
	// inside a good answer.
	Status int
	// Retryable reports whether the same request may succeed when sent again soon. Nearly
	// nothing here may: these are decisions, not accidents.
	Retryable bool
	// Documented reports whether the number stands in Epic's own table. The others were seen.
	Documented bool
}

// Display is Epic's text where it is known, else ours.
func (c Code) Display() string {
	if c.Text != "" {
		return c.Text
	}
	return c.Meaning
}

// The numbers that programs branch on.
const (
	CodeNoResults        = "4101"  // the search found nothing
	CodeDeleted          = "4103"  // the resource was deleted
	CodeMerged           = "4107"  // the patient was merged into another
	CodeTwoPatients      = "4112"  // parameters contradict each other
	CodeSessionExpired   = "4113"  // the result that a next link belongs to is gone
	CodeUserRefused      = "4118"  // the user's own security refuses
	CodeMoreMayExist     = "4119"  // patient-facing answers may be incomplete
	CodeTooManyPatients  = "4127"  // a Patient search hit more than 100
	CodeGlassDenied      = "4130"  // Break-the-Glass denies access
	CodeGlassRequired    = "4131"  // the glass must be broken first
	CodeGlassRestricted  = "4134"  // the patient is restricted
	CodeDailyMaximum     = "4135"  // no more document queries today
	CodeFileRefused      = "59007" // a bulk file is asked for by another client or user
	CodeIDNotFound       = "59008" // no resource has this id
	CodeNoSubResource    = "59022" // no sub-API that the search touches is registered
	CodeUnknownParameter = "59100" // a parameter was ignored
	CodeRequired         = "59108" // a required element or parameter is missing
	CodeOptionalInvalid  = "59109" // an optional value was ignored
	CodeRequiredInvalid  = "59111" // a required value is not valid
	CodeBulkTypeRefused  = "59130" // bulk: the type is not authorised
	CodeTooFewElements   = "59133" // a Patient search is too weak
	CodeBulkType         = "59136" // bulk: the type is not supported
	CodeDuplicate        = "59141" // the record exists already
	CodeBusinessRule     = "59159" // a rule of this resource is broken
	CodeBulkTooLarge     = "59176" // bulk: a resource does not fit a line
	CodeInternal         = "59177" // an unexpected error inside the server
	CodeClientReadSub    = "59203" // read: the client lacks the sub-API
	CodeClientSearchSub  = "59204" // search: the client lacks a sub-API; its results are left out
	CodeUserSearchSub    = "59205" // search: the user lacks it; its results are left out
)

// SandboxCodeSystem is the coding system of Epic's numbers in the sandbox (captures, high).
// Customers have their own: see [IsCodeSystem].
const SandboxCodeSystem = "urn:oid:1.2.840.114350.1.13.0.1.7.2.657369"

// IsCodeSystem reports whether a coding system is the one of Epic's numbers, at any customer:
// customer and environment differ, the end does not (captures, high).
func IsCodeSystem(system string) bool {
	return strings.HasPrefix(system, oidPrefix) && strings.HasSuffix(system, ".7.2.657369")
}

// LookupCode finds a number.
func LookupCode(number string) (Code, bool) {
	i, ok := slices.BinarySearchFunc(codes, number, func(c Code, n string) int {
		return compareNumbers(c.Number, n)
	})
	if !ok {
		return Code{}, false
	}
	return codes[i], true
}

// Codes is the whole table by number. The slice is the caller's.
func Codes() []Code { return slices.Clone(codes) }

// CodesIn lists Epic's numbers in an OperationOutcome, in order, each once. Numbers that are
// not in the table are listed too. A nil outcome has none.
func CodesIn(o *r4.OperationOutcome) []string {
	if o == nil {
		return nil
	}
	var out []string
	for _, issue := range o.Issue {
		if n := issueNumber(issue); n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// HasCode reports whether an OperationOutcome holds any of the numbers.
func HasCode(o *r4.OperationOutcome, numbers ...string) bool {
	for _, n := range CodesIn(o) {
		if slices.Contains(numbers, n) {
			return true
		}
	}
	return false
}

// Withheld lists the numbers in an outcome that say that a result is not the whole record:
// sub-types that the client (59204) or the user (59205) may not see, a refusal (4118), the
// standing note on patient-facing answers (4119), a restricted patient (4134). With any of
// them an empty list does not mean "no data".
func Withheld(o *r4.OperationOutcome) []string {
	var out []string
	for _, n := range CodesIn(o) {
		switch n {
		case CodeClientSearchSub, CodeUserSearchSub, CodeUserRefused, CodeMoreMayExist, CodeGlassRestricted:
			out = append(out, n)
		}
	}
	return out
}

// Retryable reports whether the request that was answered with this outcome may be sent again
// unchanged. Epic's numbers decide; an outcome without any is not retryable.
func Retryable(o *r4.OperationOutcome) bool {
	found := false
	for _, n := range CodesIn(o) {
		c, ok := LookupCode(n)
		if ok && c.Severity != "fatal" {
			continue
		}
		if !ok || !c.Retryable {
			return false
		}
		found = true
	}
	return found && !TooRecent(o)
}

// TooRecent reports whether a bulk kick-off was refused because this client exported this
// group within the last 24 hours. Epic's sentence is on record (high), the HTTP status is not;
// any 4xx with it is a cooldown and no accident.
func TooRecent(o *r4.OperationOutcome) bool {
	if o == nil {
		return false
	}
	for _, issue := range o.Issue {
		texts := []string{issue.Diagnostics}
		if issue.Details != nil {
			texts = append(texts, issue.Details.Text)
			for _, c := range issue.Details.Coding {
				texts = append(texts, c.Display)
			}
		}
		for _, t := range texts {
			if strings.Contains(t, tooRecent) {
				return true
			}
		}
	}
	return false
}

const tooRecent = "requested this Group too recently"

// TooRecentText is what Epic says to a second export of a group within the window (practitioners'
// recordings, high).
const TooRecentText = "Error processing Bulk Data Kickoff request: Request not allowed: The Client " + tooRecent + "."

// issueNumber is the Epic number of one issue, "" without one.
func issueNumber(issue r4.OperationOutcomeIssue) string {
	if issue.Details == nil {
		return ""
	}
	for _, c := range issue.Details.Coding {
		if IsCodeSystem(c.System) {
			return c.Code
		}
	}
	return ""
}

// compareNumbers orders numbers by value: 4135 before 40000.
func compareNumbers(a, b string) int {
	if d := len(a) - len(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

// codes is Epic's error-code table ("API Specifications", high for number, severity and
// meaning) and what captures and practitioners add (each marked). Issue types, texts and
// statuses are those of captures where there are any; the rest is inferred (low): an id that
// is not found 404, a bad request 400, permission 403, everything else inside a 200.
var codes = []Code{
	{Number: "4100", Severity: "fatal", Issue: "value", Status: 400, Documented: true, Meaning: "The request has an invalid parameter, such as a patient id that does not exist."},
	{Number: "4101", Severity: "warning", Issue: "processing", Status: 200, Documented: true, Text: "Resource request returns no results.", Meaning: "The search found nothing."}, // captures, high
	{Number: "4102", Severity: "fatal", Issue: "not-found", Status: 404, Documented: true, Meaning: "The id of a read is not valid."},
	{Number: "4103", Severity: "fatal", Issue: "deleted", Status: 404, Documented: true, Meaning: "The resource was deleted."},
	{Number: "4104", Severity: "fatal", Issue: "required", Status: 200, Documented: true, Meaning: "An element that FHIR requires cannot be supplied."},
	{Number: "4107", Severity: "fatal", Issue: "processing", Status: 302, Documented: true, Meaning: "The patient was merged into another; the answer also redirects there."}, // that it redirects: high; with which status: unknown
	{Number: "4110", Severity: "fatal", Issue: "required", Status: 400, Documented: true, Meaning: "The search has no parameter."},
	{Number: "4111", Severity: "fatal", Issue: "required", Status: 400, Documented: true, Meaning: "A required search parameter is missing."},
	{Number: "4112", Severity: "fatal", Issue: "invalid", Status: 400, Documented: true, Meaning: "The combination of parameters is invalid, such as two patients."},
	{Number: "4113", Severity: "fatal", Issue: "processing", Status: 400, Documented: true, Meaning: "The session id of a kept search result has expired."},
	{Number: "4115", Severity: "fatal", Issue: "value", Status: 400, Documented: true, Meaning: "A required search parameter has an invalid value."},
	{Number: "4116", Severity: "fatal", Issue: "invalid", Status: 400, Documented: true, Meaning: "The query changed within a paging session (DSTU2)."},
	{Number: "4117", Severity: "warning", Issue: "processing", Status: 200, Documented: true, Meaning: "An immunization has no CVX code."},
	{Number: "4118", Severity: "fatal", Issue: "processing", Status: 403, Documented: true, Text: "The authenticated user is not authorized to view the requested data.", Meaning: "The user's own security refuses this record."},                                                                                                       // captures, high
	{Number: "4119", Severity: "warning", Issue: "processing", Status: 200, Documented: true, Text: "This response includes information available to the authorized user at the time of the request. It may not contain the entire record available in the system.", Meaning: "More data may exist than a patient-facing answer shows."}, // captures, high
	{Number: "4122", Severity: "warning", Issue: "processing", Status: 200, Documented: true, Meaning: "A query parameter is unknown."},
	{Number: "4127", Severity: "fatal", Issue: "too-costly", Status: 400, Documented: true, Meaning: "A Patient search found more than 100 patients."},
	{Number: "4130", Severity: "fatal", Issue: "suppressed", Status: 403, Documented: true, Meaning: "Break-the-Glass security denies access to the patient."},
	{Number: "4131", Severity: "fatal", Issue: "suppressed", Status: 403, Documented: true, Meaning: "The glass must be broken before the patient can be viewed."},
	{Number: "4134", Severity: "information", Issue: "suppressed", Status: 200, Documented: true, Meaning: "The patient is restricted; break the glass to view."},
	{Number: "4135", Severity: "fatal", Issue: "throttled", Status: 400, Documented: true, Meaning: "The daily maximum of document queries was reached. Please try again tomorrow."}, // the last sentence is Epic's, high
	{Number: "40000", Severity: "fatal", Issue: "processing", Status: 400, Documented: true, Meaning: "A mapping table of the customer's build refused an incoming value."},
	{Number: "59007", Severity: "fatal", Issue: "forbidden", Status: 403, Meaning: "Bulk: the file belongs to another client or user."},                                                                                                                                                                                                                  // Bulk Data Access Tutorial, medium
	{Number: "59008", Severity: "fatal", Issue: "not-found", Status: 404, Text: "The FHIR ID provided was not found.", Meaning: "No resource of this type has this id."},                                                                                                                                                                                 // captures, high
	{Number: "59011", Severity: "fatal", Issue: "multiple-matches", Status: 400, Meaning: "$match found several patients."},                                                                                                                                                                                                                              // live tests, medium
	{Number: "59012", Severity: "fatal", Issue: "not-supported", Status: 422, Meaning: "A value is not supported here."},                                                                                                                                                                                                                                 // live tests, medium
	{Number: "59013", Severity: "fatal", Issue: "processing", Status: 400, Meaning: "$match is not sure enough of the patient."},                                                                                                                                                                                                                         // live tests, medium
	{Number: "59022", Severity: "fatal", Issue: "invalid", Status: 400, Text: "Combination of parameters is not valid for any authorized sub-resource. No search was performed.", Meaning: "The app has none of the APIs that this search touches."},                                                                                                     // captures, high
	{Number: "59100", Severity: "information", Issue: "invalid", Status: 200, Documented: true, Text: "Content invalid against the specification or a profile.", Meaning: "A parameter or element is unknown and was ignored."},                                                                                                                          // captures, high
	{Number: "59101", Severity: "warning", Issue: "invalid", Status: 200, Documented: true, Text: "Content invalid against the specification or a profile.", Meaning: "A category is unknown and was ignored."},                                                                                                                                          // text by analogy with 59100
	{Number: "59102", Severity: "fatal", Issue: "invalid", Status: 400, Documented: true, Text: "Content invalid against the specification or a profile.", Meaning: "A parameter or element is invalid, such as a patient id that does not exist."},                                                                                                      // captures, high
	{Number: "59105", Severity: "fatal", Issue: "structure", Status: 400, Documented: true, Meaning: "The content cannot be read: invalid JSON or XML."},                                                                                                                                                                                                 // issue type inferred
	{Number: "59108", Severity: "fatal", Issue: "required", Status: 400, Documented: true, Text: "A required element is missing.", Meaning: "A required element or search parameter is missing."},                                                                                                                                                        // captures, high
	{Number: "59109", Severity: "information", Issue: "value", Status: 200, Documented: true, Text: "An element value is invalid.", Meaning: "An optional value is invalid and was ignored."},                                                                                                                                                            // captures, high
	{Number: "59111", Severity: "fatal", Issue: "value", Status: 400, Documented: true, Text: "An element value is invalid.", Meaning: "A required value is invalid."},                                                                                                                                                                                   // captures, high
	{Number: "59130", Severity: "fatal", Issue: "forbidden", Status: 200, Meaning: "Bulk: the app lacks the Search API of this type."},                                                                                                                                                                                                                   // Bulk Data Access Tutorial, medium; in an error file
	{Number: "59133", Severity: "information", Issue: "processing", Status: 200, Documented: true, Meaning: "A Patient search has too few data elements, or found more than 100 patients."},                                                                                                                                                              // issue type inferred
	{Number: "59134", Severity: "information", Issue: "processing", Status: 200, Meaning: "Seen beside 59133; what tells them apart is not on record."},                                                                                                                                                                                                  // live tests, medium
	{Number: "59136", Severity: "fatal", Issue: "not-supported", Status: 200, Meaning: "Bulk: this type cannot be exported."},                                                                                                                                                                                                                            // Bulk Data Access Tutorial, medium; in an error file
	{Number: "59138", Severity: "fatal", Issue: "not-supported", Status: 400, Meaning: "$match takes onlyCertainMatches only as true."},                                                                                                                                                                                                                  // live tests, medium
	{Number: "59141", Severity: "fatal", Issue: "duplicate", Status: 400, Documented: true, Meaning: "The record exists already."},                                                                                                                                                                                                                       // status inferred
	{Number: "59144", Severity: "fatal", Issue: "not-found", Status: 404, Documented: true, Meaning: "A reference leads nowhere, such as a Binary that is missing."},                                                                                                                                                                                     // status inferred
	{Number: "59159", Severity: "fatal", Issue: "business-rule", Status: 400, Documented: true, Text: "The content/operation failed to pass a business rule, and so could not proceed.", Meaning: "A rule of this resource is broken: usually a search that names too little."},                                                                          // captures, high
	{Number: "59176", Severity: "warning", Issue: "too-long", Status: 200, Meaning: "Bulk: a resource is too large for NDJSON; read it by itself."},                                                                                                                                                                                                      // Bulk Data Access Tutorial, medium
	{Number: "59177", Severity: "fatal", Issue: "exception", Status: 500, Documented: true, Retryable: true, Meaning: "An unexpected error inside the server."},                                                                                                                                                                                          // status inferred
	{Number: "59187", Severity: "fatal", Issue: "business-rule", Status: 400, Documented: true, Meaning: "Observation.Create: patient-entered flowsheets are not accepted."},                                                                                                                                                                             // status inferred
	{Number: "59188", Severity: "fatal", Issue: "business-rule", Status: 400, Documented: true, Meaning: "Observation.Create: the code does not lead to a single flowsheet row."},                                                                                                                                                                        // status inferred
	{Number: "59189", Severity: "fatal", Issue: "business-rule", Status: 400, Documented: true, Meaning: "Observation.Create: the reading could not be filed; one for the same instant may exist."},                                                                                                                                                      // live tests, medium
	{Number: "59203", Severity: "fatal", Issue: "forbidden", Status: 403, Text: "The authenticated client is not authorized to access the requested resource sub-type.", Meaning: "The app lacks the sub-API that this record belongs to."},                                                                                                              // captures, high
	{Number: "59204", Severity: "warning", Issue: "suppressed", Status: 200, Text: "The authenticated client's search request applies to a sub-resource that the client is not authorized for. Results of this sub-type will not be returned.", Meaning: "The app lacks a sub-API that the search touches; its results are left out."},                   // captures, high
	{Number: "59205", Severity: "warning", Issue: "suppressed", Status: 200, Text: "The authenticated user's search request applies to a sub-resource that the user is not authorized for. Results of this sub-type will not be returned.", Meaning: "The user (not the app) may not see a sub-type that the search touches; its results are left out."}, // captures, medium
}
