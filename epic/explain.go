package epic

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/andironhq/andiron/r4"
)

// Explain says what an error means at an Epic server and what to do about it.
//
// It looks through the error chain for any of these methods, so that errors of packages smart,
// fhir and bulk are understood, and anybody else's that has them:
//
//	HTTPStatus() int                          // 0 when there was no answer
//	OAuthError() (code, description string)   // of a token endpoint
//	Outcome() *r4.OperationOutcome            // of a FHIR answer
//	Challenge() string                        // the error code of WWW-Authenticate
//	ResourceType() string                     // the type that was asked for
//	Checked() [][2]string                     // what the package checked itself: state, text
//
// Below HTTP it knows the errors of package net and crypto/tls. The second result is false for
// nil, for a context that the caller ended, and for what it knows nothing about: print the error
// itself then.
func Explain(err error) (Advice, bool) {
	if err == nil || errors.Is(err, context.Canceled) {
		return Advice{}, false
	}
	e := evidence(err)
	for _, explain := range []func(answer) (Advice, bool){
		explainSignIn, explainNetwork, explainOutcome, explainStatus,
	} {
		if a, ok := explain(e); ok {
			return a, true
		}
	}
	return Advice{}, false
}

// answer is what an error tells of the server's answer.
type answer struct {
	err       error
	status    int
	oauth     string
	signIn    bool // the error is a token endpoint's
	outcome   *r4.OperationOutcome
	challenge string
	resource  string // resource type, "" if unknown
	checked   []Check
}

// evidence collects from the whole chain: an error of fhir that could not sign in wraps one of smart,
// and the status is the latter's.
func evidence(err error) answer {
	e := answer{err: err}
	walk(err, func(err error) {
		if x, ok := err.(interface {
			OAuthError() (code, description string)
		}); ok && !e.signIn {
			e.oauth, _ = x.OAuthError()
			e.signIn = true
		}
		if x, ok := err.(interface{ HTTPStatus() int }); ok && e.status == 0 {
			e.status = x.HTTPStatus()
		}
		if x, ok := err.(interface{ Outcome() *r4.OperationOutcome }); ok && e.outcome == nil {
			e.outcome = x.Outcome()
		}
		if x, ok := err.(interface{ Challenge() string }); ok && e.challenge == "" {
			e.challenge = x.Challenge()
		}
		if x, ok := err.(interface{ ResourceType() string }); ok && e.resource == "" {
			e.resource = x.ResourceType()
		}
		if x, ok := err.(interface{ Checked() [][2]string }); ok && e.checked == nil {
			for _, c := range x.Checked() {
				e.checked = append(e.checked, Check{State: c[0], Text: c[1]})
			}
		}
	})
	if e.resource == "" {
		e.resource = typeIn(err.Error())
	}
	return e
}

// walk visits an error and what it wraps, outermost first.
func walk(err error, visit func(error)) {
	if err == nil {
		return
	}
	visit(err)
	switch u := err.(type) { //nolint:errorlint // this is the walk
	case interface{ Unwrap() error }:
		walk(u.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, err := range u.Unwrap() {
			walk(err, visit)
		}
	}
}

// write reports whether something was to be written.
func (e answer) write() bool {
	operation, _, _ := strings.Cut(requestLine(e.err.Error()), " ")
	switch operation {
	case "create", "update", "POST", "PUT", "PATCH", "DELETE":
		return true
	}
	return false
}

// requestLine is what fhir prints of a request, "search Observation" or "GET Group/…/$export": the
// part of an error's line between "fhir: " and the next colon.
func requestLine(line string) string {
	_, line, found := strings.Cut(line, "fhir: ")
	if !found {
		return ""
	}
	line, _, _ = strings.Cut(line, ": ")
	return line
}

// typeIn finds the resource type that a request was about; fhir prints nothing else of the path.
func typeIn(line string) string {
	for w := range strings.FieldsFuncSeq(requestLine(line), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		if r4.IsResourceType(w) && w != "OperationOutcome" && w != "Bundle" {
			return w
		}
	}
	return ""
}

// says reports whether an error of the chain has exactly this text. It tells apart the sentinels
// of packages that this one must not import.
func says(err error, text string) bool {
	found := false
	walk(err, func(err error) { found = found || err.Error() == text })
	return found
}

// explainStatus is what status and challenge alone tell. Epic often says no more: the body of
// its 403 is empty, that of its 401 two quotation marks (captures, high).
func explainStatus(e answer) (Advice, bool) {
	what := "the request"
	if e.resource != "" {
		what = "the request for " + e.resource
	}
	switch {
	case e.status == http.StatusUnauthorized || e.challenge == "invalid_token":
		return Advice{
			Title: "the server does not accept the access token (" + word("401", e.challenge) + ")",
			Why: "A fresh token was refused too, or none could be had. A token is good for one FHIR base only, and only " +
				"while the app is active there.",
			Checked: []Check{unknown("whether the app was deactivated, or its keys changed, at this site")},
			Fix:     []string{"andiron doctor"},
			More:    topicSignIn,
		}, true
	case e.status == http.StatusForbidden && e.challenge == "insufficient_scope":
		a := Advice{
			Title: "the server lets the app in but not to this (403 insufficient_scope)",
			Why: "At Epic the APIs that are registered for the app decide, not the scope that was asked for: this one is not " +
				"among them, or the site has not taken it over. Add it at fhir.epic.com under Build Apps.",
			Checked: []Check{unknown("a change reaches the sandbox within an hour, a hospital within 12 to 24 hours")},
			More:    topicPermissions,
		}
		if e.resource != "" {
			a.Title = "the server lets the app in but not to " + e.resource + " (403 insufficient_scope)"
			a.Checked = append([]Check{interactionCheck(e.resource)}, a.Checked...)
		}
		return a, true
	case e.status == http.StatusForbidden:
		return Advice{
			Title: "the server forbids " + what + " (403)",
			Why:   "It gave no reason. An AllergyIntolerance search without patient is answered like this too.",
			Fix:   exampleFix(e.resource),
			More:  topicPermissions,
		}, true
	case e.status == http.StatusNotFound:
		return explainNotFound(e), true
	case e.status == http.StatusMethodNotAllowed:
		return Advice{
			Title: "the server does not do that to " + or(e.resource, "this path") + " (405)",
			Why:   "Epic has no delete, no patch and no transaction, and create or update only for a few types.",
			More:  topicWrites,
		}, true
	case e.status == http.StatusTooManyRequests:
		return Advice{
			Title: "the server is throttling (429)",
			Why: "More requests were sent than it takes, by this client or by others that share its limit. Epic publishes no " +
				"rate; the site or a gateway in front of it sets one.",
			Fix:  []string{"andiron connection set NAME rate=50/m"},
			More: topicRate,
		}, true
	case e.status == http.StatusServiceUnavailable || e.status == http.StatusBadGateway || e.status == http.StatusGatewayTimeout:
		return Advice{
			Title: fmt.Sprintf("the server is not available (%d)", e.status),
			Why: "It is being maintained, overloaded, or the gateway in front of it finds it gone. Later the same command goes on " +
				"where this one stopped.",
			Fix:  []string{"andiron doctor"},
			More: topicRate,
		}, true
	case e.status >= 500:
		return Advice{
			Title: fmt.Sprintf("the server failed (%d)", e.status),
			Why:   "The fault is on its side. If it stays, send the site's team the time and the path.",
			Fix:   []string{"andiron doctor"},
			More:  topicNetwork,
		}, true
	case says(e.err, "not FHIR JSON") || says(e.err, "not JSON"):
		return Advice{
			Title: "something other than a FHIR server answered (no JSON)",
			Why: "HTML or XML came where JSON belongs: a sign-in page, a proxy, or a base URL that is off by a segment. At " +
				"Epic the base ends in /api/FHIR/R4.",
			Fix:  []string{"andiron doctor"},
			More: topicNetwork,
		}, true
	case e.status == http.StatusBadRequest:
		a := Advice{
			Title: "the server refused " + what + " (400)",
			Why:   "It gave no reason that is known here: its OperationOutcome, if there is one, is not Epic's.",
			More:  topicWrites,
		}
		if !e.write() {
			a.Fix, a.More = exampleFix(e.resource), topicSearch
		}
		return a, true
	case e.status >= 300:
		return Advice{Title: fmt.Sprintf("the server answered %d to %s", e.status, what), More: topicNetwork}, true
	}
	return Advice{}, false
}

// explainNotFound is a 404 without an OperationOutcome: at Epic the web server in front answered,
// in HTML, and the FHIR layer was never reached (captures, high).
func explainNotFound(e answer) Advice {
	if e.resource == "" {
		return Advice{
			Title: "the server has no such path (404)",
			Why: "The web server answered and not the FHIR server. Either the base URL is wrong (at Epic it ends in " +
				"/api/FHIR/R4; the path before is each site's own, and its case matters), or the path is one that Epic " +
				"does not have, such as an export of the whole system.",
			Fix:  []string{"andiron doctor"},
			More: topicNetwork,
		}
	}
	a := Advice{
		Title:   "the server has no such path for " + e.resource + " (404)",
		Why:     "The web server answered and not the FHIR server.",
		Checked: []Check{interactionCheck(e.resource)},
		More:    topicSearch,
	}
	if _, known := LookupResource(e.resource); known {
		a.Checked = append(a.Checked, unknown("whether the base URL is right: at Epic it ends in /api/FHIR/R4"))
		a.Fix = []string{"andiron doctor"}
	}
	return a
}

// interactionCheck says what Epic's sandbox does with a type.
func interactionCheck(resourceType string) Check {
	r, known := LookupResource(resourceType)
	if !known {
		text := "Epic's R4 server has no " + resourceType
		if resourceType == "Schedule" || resourceType == "Slot" {
			text += ": it is served in STU3 alone"
		}
		return fail(text)
	}
	var does []string
	for _, i := range []string{"read", "search-type", "create", "update"} {
		if r.Does(i) {
			does = append(does, strings.TrimSuffix(i, "-type"))
		}
	}
	text := "Epic's R4 server has " + resourceType + ": " + strings.Join(does, ", ")
	if !r.Does("search-type") {
		text += "; no search"
	}
	return ok(text)
}

// exampleFix is a search of the type that meets its rule.
func exampleFix(resourceType string) []string {
	rule, ok := LookupRule(resourceType)
	if !ok || resourceType == "Group" { // a Group in a request means an export
		return nil
	}
	return []string{"andiron get '" + rule.Example() + "'"}
}

func word(status, challenge string) string {
	if challenge == "invalid_token" || challenge == "invalid_request" {
		return status + " " + challenge
	}
	return status
}

func or(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}
