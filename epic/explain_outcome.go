package epic

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/andironhq/andiron/r4"
)

// explainOutcome goes by Epic's numbers: the worst issue speaks.
func explainOutcome(e answer) (Advice, bool) {
	if e.outcome == nil {
		return Advice{}, false
	}
	if TooRecent(e.outcome) {
		return Advice{
			Title: "this client exported this group too recently",
			Why: "Epic runs one export for each group, client and 24 hours, finished or not; only an unfinished job that was " +
				"deleted does not count. Asking again earlier changes nothing. Reading patient by patient is not bound by it.",
			Fix:  []string{"andiron export DIR --mode crawl"},
			More: topicBulk,
		}, true
	}
	for _, n := range byWeight(e.outcome) {
		if explain, ok := byNumber[n]; ok {
			return explain(e, n), true
		}
		if c, ok := LookupCode(n); ok && c.Severity == "fatal" {
			a := Advice{
				Title: fmt.Sprintf("the server refused%s (%s)", of(e.resource), numbered(e.status, n)),
				Why:   c.Meaning,
				More:  topicWrites,
			}
			if !e.write() {
				a.Fix, a.More = exampleFix(e.resource), topicSearch
			}
			return a, true
		}
	}
	return Advice{}, false
}

// byWeight lists the numbers of fatal issues, then the others, each in order. Of two fatal ones
// the first tells more: 4100 before the summary.
func byWeight(o *r4.OperationOutcome) []string {
	var fatal, other []string
	for _, i := range o.Issue {
		n := issueNumber(i)
		switch {
		case n == "":
		case i.Severity == "fatal" || i.Severity == "error":
			fatal = append(fatal, n)
		default:
			other = append(other, n)
		}
	}
	return append(fatal, other...)
}

var byNumber = map[string]func(e answer, number string) Advice{
	CodeBusinessRule:    searchRule,
	CodeRequired:        searchRule,
	"4110":              searchRule,
	"4111":              searchRule,
	CodeRequiredInvalid: invalidValue,
	"4115":              invalidValue,
	"59101":             invalidValue,
	"59102":             invalidID,
	"4100":              invalidID,
	CodeIDNotFound:      notFound,
	"4102":              notFound,
	CodeNoSubResource:   noSubResource,
	CodeClientReadSub:   noSubResource,
	CodeClientSearchSub: noSubResource,

	CodeTwoPatients: func(e answer, n string) Advice {
		return Advice{
			Title: "the parameters of this search contradict each other (" + numbered(e.status, n) + ")",
			Why:   "patient and subject name two patients, or patient was given twice.",
			Fix:   exampleFix(e.resource),
			More:  topicSearch,
		}
	},
	CodeDeleted: func(e answer, n string) Advice {
		return Advice{
			Title: "the resource was deleted (" + numbered(e.status, n) + ")",
			More:  topicFHIRIDs,
		}
	},
	CodeMerged: func(e answer, n string) Advice {
		return Advice{
			Title: "this patient was merged into another (" + numbered(e.status, n) + ")",
			Why: "Two records turned out to be one person. The answer redirects to the surviving record; use its id from now on, " +
				"and look over what is stored under the old one.",
			More: topicFHIRIDs,
		}
	},
	CodeSessionExpired: func(e answer, n string) Advice {
		return Advice{
			Title: "the server no longer keeps the result that this page belongs to (" + numbered(e.status, n) + ")",
			Why: "A next link is good for a limited time, which Epic does not publish. The search has to begin again; the same " +
				"command does that. Fewer pages help: leave _count away, and Epic sends 1000 at a time.",
			More: topicSearch,
		}
	},
	CodeUserRefused: func(e answer, n string) Advice {
		a := Advice{
			Title: "the user may not see this (" + numbered(e.status, n) + ")",
			Why: "The app is allowed, the user is not: for a backend app that is the background user that the site mapped to it. " +
				"Ask the site's Epic team to widen that user's security. Asking again changes nothing.",
			More: topicPermissions,
		}
		if e.resource == "AllergyIntolerance" {
			a.Checked = []Check{unknown("whether the search named a patient: without one the answer is the same")}
			a.Fix = exampleFix(e.resource)
		}
		return a
	},
	CodeTooManyPatients: func(e answer, n string) Advice {
		return Advice{
			Title: "more than 100 patients match (" + numbered(e.status, n) + ")",
			Why:   "Epic does not list patients. Name more of the one that is meant; asking again changes nothing.",
			Fix:   exampleFix("Patient"),
			More:  topicSearch,
		}
	},
	CodeGlassDenied:     brokenGlass,
	CodeGlassRequired:   brokenGlass,
	CodeGlassRestricted: brokenGlass,
	CodeDailyMaximum: func(e answer, n string) Advice {
		return Advice{
			Title: "no more document queries today (" + numbered(e.status, n) + ")",
			Why:   "The site's daily maximum is reached. It ends tomorrow; asking again today changes nothing.",
			More:  topicRate,
		}
	},
	CodeInternal: func(e answer, n string) Advice {
		return Advice{
			Title: "the server failed (" + numbered(e.status, n) + ")",
			Why:   "An unexpected error on its side. If it stays, send the site's team the time and the path.",
			Fix:   []string{"andiron doctor"},
			More:  topicNetwork,
		}
	},
	CodeFileRefused: func(e answer, n string) Advice {
		return Advice{
			Title: "the server refuses this export's file to this client (" + numbered(e.status, n) + ")",
			Why: "Files belong to the client and the user that began the export. The connection was changed since, or its " +
				"background user was.",
			Fix:  []string{"andiron export DIR --new"},
			More: topicBulk,
		}
	},
	CodeBulkTypeRefused: func(e answer, n string) Advice {
		return Advice{
			Title: "a type is missing from the export: the app lacks its Search API (" + n + ")",
			Why:   "An export holds only types whose R4 Search API is registered for the app. The other types are whole.",
			More:  topicBulk,
		}
	},
	CodeBulkType: func(e answer, n string) Advice {
		return Advice{
			Title: "a type is missing from the export: the server does not export it (" + n + ")",
			Why:   "Leave it out, or read it patient by patient.",
			Fix:   []string{"andiron export DIR --mode crawl"},
			More:  topicBulk,
		}
	},
	CodeBulkTooLarge: func(e answer, n string) Advice {
		return Advice{
			Title: "a resource is missing from the export: it is too large for a line (" + n + ")",
			Why:   "It is a document; read the Binary by itself.",
			Fix:   []string{"andiron get Binary/ID"},
			More:  topicBulk,
		}
	},
	CodeDuplicate: func(e answer, n string) Advice {
		return Advice{
			Title: "the record exists already (" + numbered(e.status, n) + ")",
			Why:   "Nothing was written. Epic has no key against doubles: look before writing again.",
			More:  topicWrites,
		}
	},
	"59012": func(e answer, n string) Advice {
		return Advice{
			Title: "the server does not take a value of this " + or(e.resource, "resource") + " (" + numbered(e.status, n) + ")",
			Why:   "The element is named in the outcome's expression. A problem, for one, must be sent with verificationStatus provisional.",
			More:  topicWrites,
		}
	},
	"59105": func(e answer, n string) Advice {
		return Advice{
			Title: "the server cannot read what was sent (" + numbered(e.status, n) + ")",
			Why:   "It is no valid FHIR JSON.",
			More:  topicWrites,
		}
	},
	"59144": func(e answer, n string) Advice {
		return Advice{
			Title: "a reference leads nowhere (" + numbered(e.status, n) + ")",
			Why:   "What it points to, often a document's Binary, is not there.",
			More:  topicFHIRIDs,
		}
	},
}

func searchRule(e answer, n string) Advice {
	owner := ruleOwner(e.outcome)
	if e.resource == "Group" && owner == "Patient" {
		return Advice{
			Title: "the server refuses an export of Patient alone (" + numbered(e.status, n) + ")",
			Why:   "Some sites hold the export of this one type to the rule of its search. With a second type it passes.",
			Fix:   []string{"andiron export DIR --type Patient,Condition"},
			More:  topicBulk,
		}
	}
	if e.write() {
		return Advice{
			Title: fmt.Sprintf("the server refused to write this %s (%s)", or(e.resource, "resource"), numbered(e.status, n)),
			Why: "An element that this site requires is missing, or one of its rules is broken; the outcome's expression names " +
				"the element. What is required differs from site to site.",
			More: topicWrites,
		}
	}
	resource := or(owner, e.resource)
	rule, known := LookupRule(resource)
	if !known {
		return Advice{
			Title: "a rule of this resource is broken (" + numbered(e.status, n) + ")",
			Why:   "A search at Epic has to name enough, usually the patient; a write must hold all that the site requires.",
			More:  topicSearch,
		}
	}
	a := Advice{
		Title:   fmt.Sprintf("the server refused the %s search: it names too little (%s)", resource, numbered(e.status, n)),
		Checked: ignoredParameters(e.outcome),
		Fix:     exampleFix(resource),
		More:    topicSearch,
	}
	var needs []string
	for _, c := range rule.Clauses {
		needs = append(needs, orList(c.Any))
	}
	if len(rule.Combinations) > 0 {
		var sets []string
		for _, s := range rule.Combinations[:2] {
			sets = append(sets, strings.Join(s, " with "))
		}
		needs = []string{strings.Join(sets, ", or ") + ", or another combination that identifies somebody"}
	}
	a.Why = fmt.Sprintf("A search for %s needs _id, or %s.", resource, strings.Join(needs, ", and also "))
	if rule.IDOnly {
		a.Why = "Epic searches " + resource + " by _id alone."
	}
	if rule.Inferred {
		a.Why += " (By analogy with other types: Epic publishes the rule of each API on its page.)"
	}
	if c := refusedClause(rule, e.outcome); c != nil {
		a.Title = fmt.Sprintf("the server refused the %s search: it names %s (%s)", resource, neither(c.Any), numbered(e.status, n))
	}
	return a
}

// refusedClause finds the clause that the server named, by what its issue points at.
func refusedClause(rule Rule, o *r4.OperationOutcome) *Clause {
	for _, i := range o.Issue {
		for _, x := range i.Expression {
			for k, c := range rule.Clauses {
				if c.Parameter == x && len(c.Any) <= 2 {
					return &rule.Clauses[k]
				}
			}
		}
	}
	return nil
}

// ruleOwner tells the type by the sentence of a refusal, where only one type says it.
func ruleOwner(o *r4.OperationOutcome) string {
	for _, i := range o.Issue {
		for _, rule := range rules {
			for _, c := range rule.Clauses {
				if c.Diagnostics != "" && c.Diagnostics == i.Diagnostics {
					return rule.Type
				}
			}
		}
	}
	return ""
}

func invalidValue(e answer, n string) Advice {
	a := Advice{
		Title: fmt.Sprintf("the server does not know a value of this%s search (%s)", before(e.resource), numbered(e.status, n)),
		Why:   "An unknown value of an optional parameter is ignored; of a required one it is refused.",
		Fix:   exampleFix(e.resource),
		More:  topicSearch,
	}
	if list := Categories(e.resource); len(list) > 0 {
		var words []string
		numbers := false
		for _, c := range list {
			switch {
			case strings.Trim(c.Code, "0123456789") != "":
				words = append(words, c.Code)
			case c.Name != "":
				words = append(words, c.Code+" ("+c.Name+")")
			default:
				numbers = true
			}
		}
		if numbers {
			words = append(words, "some SNOMED CT numbers")
		}
		a.Why = "Categories that Epic knows for " + e.resource + ": " + strings.Join(words, ", ") + "."
	}
	return a
}

// idOnly is what some versions of Epic say to any other search of some types (capture, high).
const idOnly = "Only an _ID search is allowed."

func invalidID(e answer, n string) Advice {
	for _, i := range e.outcome.Issue {
		if i.Diagnostics == idOnly && e.resource != "" {
			return Advice{
				Title:   fmt.Sprintf("this version of the server searches %s by _id alone (%s)", e.resource, numbered(e.status, n)),
				Checked: ignoredParameters(e.outcome),
				Fix:     []string{"andiron get '" + e.resource + "?_id=ID'"},
				More:    topicSearch,
			}
		}
	}
	return Advice{
		Title: fmt.Sprintf("the server does not know the patient or a parameter of this%s search (%s)", before(e.resource), numbered(e.status, n)),
		Why:   "Ids are opaque, case counts, and each site and environment has its own: an id of the sandbox is none at a hospital.",
		Fix:   exampleFix("Patient"),
		More:  topicFHIRIDs,
	}
}

func notFound(e answer, n string) Advice {
	return Advice{
		Title: "there is no " + or(e.resource, "resource") + " with this id (" + numbered(e.status, n) + ")",
		Why: "Ids are opaque, case counts, and each site and environment has its own: an id of the sandbox is none at a hospital. " +
			"Ids may also change when the app's setting for 64-character ids changes.",
		Fix:  exampleFix(e.resource),
		More: topicFHIRIDs,
	}
}

func noSubResource(e answer, n string) Advice {
	a := Advice{
		Title: "the app is not registered for this part of " + or(e.resource, "the record") + " (" + numbered(e.status, n) + ")",
		Why:   "Epic licenses types in parts. Add the API to the app at fhir.epic.com under Build Apps; a change reaches the sandbox within an hour, a hospital within 12 to 24.",
		More:  topicPermissions,
	}
	for _, p := range missingParts(e.outcome) {
		a.Checked = append(a.Checked, fail("not registered: "+p))
	}
	if n != CodeClientReadSub {
		a.Fix = exampleFix(e.resource)
	}
	return a
}

var ignoredForm = regexp.MustCompile(`^Unknown parameter: ([A-Z][A-Z_-]{0,39})\. Parameter has been ignored\.$`)

// ignoredParameters are the names that 59100 quotes in upper case; only what looks like a name passes.
func ignoredParameters(o *r4.OperationOutcome) []Check {
	var out []Check
	for _, i := range o.Issue {
		if m := ignoredForm.FindStringSubmatch(i.Diagnostics); m != nil {
			out = append(out, fail("parameter "+strings.ToLower(m[1])+" is unknown to the server and was ignored"))
		}
	}
	return out
}

var partForm = regexp.MustCompile(`^Client not authorized for ([A-Z][A-Za-z]{2,40}) - ([A-Z][A-Za-z -]{1,60}?)(?:\.|$)`)

// missingParts are the sub-APIs that diagnostics name, in order; only what looks like a name of
// Epic's catalogue passes.
func missingParts(o *r4.OperationOutcome) []string {
	var out []string
	for _, i := range o.Issue {
		if m := partForm.FindStringSubmatch(i.Diagnostics); m != nil {
			if p := m[1] + " - " + m[2]; !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

func brokenGlass(e answer, n string) Advice {
	return Advice{
		Title: "this patient's record is restricted (" + numbered(e.status, n) + ", Break-the-Glass)",
		Why: "The site protects this record: a clinician has to break the glass in Epic, with a reason. An app cannot, and " +
			"asking again changes nothing.",
		More: topicPermissions,
	}
}

// numbered is "400, 59108"; without an error status the number alone.
func numbered(status int, number string) string {
	if status < 300 {
		return number
	}
	return fmt.Sprintf("%d, %s", status, number)
}

func of(resource string) string {
	if resource == "" {
		return ""
	}
	return " a request for " + resource
}

func before(resource string) string {
	if resource == "" {
		return ""
	}
	return " " + resource
}

func neither(list []string) string {
	if len(list) == 1 {
		return "no " + list[0]
	}
	return "neither " + strings.Join(list, " nor ")
}
