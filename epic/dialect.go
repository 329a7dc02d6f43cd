package epic

import (
	"fmt"
	"slices"
	"strings"

	"github.com/andironhq/andiron/r4"
)

// Dialect is what fhir.Client asks about the server it talks to. The zero value is ready:
//
//	c := &fhir.Client{Base: base, Auth: backend, Dialect: epic.Dialect{}}
type Dialect struct{}

// PagingExpired reports whether a next link was refused because the server has dropped the
// result that it belongs to (4113). The search has to be made again from the start.
func (Dialect) PagingExpired(_ int, outcome *r4.OperationOutcome) bool {
	return HasCode(outcome, CodeSessionExpired)
}

// SearchWarnings tells what Epic would not tell, or only by refusing: a parameter that it drops
// without a word, a search that names too little, a value that it does not know. Nil means that
// there is nothing to say. It names parameters and never their values.
//
// Rules that are only inferred and types that are not in the table draw no warning: a hospital
// may well differ.
func (Dialect) SearchWarnings(resourceType string, params map[string][]string) *r4.OperationOutcome {
	res, ok := LookupResource(resourceType)
	if !ok {
		return nil
	}
	var o r4.OperationOutcome
	warn := func(code, text, parameter string) {
		issue := r4.OperationOutcomeIssue{Severity: "warning", Code: code, Diagnostics: text}
		if parameter != "" {
			issue.Expression = []string{parameter}
		}
		o.Issue = append(o.Issue, issue)
	}
	if !res.Does("search-type") {
		warn("not-supported", "Epic has no search for "+resourceType+".", "")
		return &o
	}

	given := map[string]bool{}
	for _, name := range sortedNames(params) {
		base := baseName(name)
		if slices.ContainsFunc(params[name], func(v string) bool { return v != "" }) {
			given[base] = true
		}
		if !res.Declares(name) && !slices.Contains(CommonParameters(), base) && base != "_has" && base != "sessionid" {
			warn("not-supported", fmt.Sprintf("Epic declares no %s parameter %q and drops it silently: the result will be wider than asked for.", resourceType, base), base)
		}
	}
	if given["sessionid"] {
		return nonEmpty(o)
	}

	rule, _ := LookupRule(resourceType)
	has := func(p string) bool { return given[p] }
	if !rule.Inferred {
		missing := rule.Missing(has)
		for _, c := range missing {
			warn("required", fmt.Sprintf("Epic refuses this %s search: it needs %s.", resourceType, orList(c.Any)), c.Any[0])
		}
		if len(missing) == 0 && !rule.Identifies(has) {
			warn("incomplete", "Epic answers a Patient search that names too little with no match: name _id, identifier, or family, given and birthdate.", "")
		}
	}
	for _, p := range sortedNames(rule.Only) {
		if v := unknownValue(params, p, func(v string) bool { return slices.Contains(rule.Only[p], v) }); v {
			warn("value", fmt.Sprintf("Epic takes only %s for %s.", orList(rule.Only[p]), p), p)
		}
	}
	if rule.Values && unknownValue(params, "category", func(v string) bool { return KnowsCategory(resourceType, v) }) {
		warn("value", fmt.Sprintf("Epic's published %s categories do not hold this one; an unknown category is refused.", resourceType), "category")
	}
	if resourceType == "Patient" {
		for _, v := range valuesOf(params, "birthdate") {
			if len(v) != len("2006-01-02") {
				warn("value", "Epic takes one full date for birthdate, without a prefix.", "birthdate")
				break
			}
		}
	}
	return nonEmpty(o)
}

func nonEmpty(o r4.OperationOutcome) *r4.OperationOutcome {
	if len(o.Issue) == 0 {
		return nil
	}
	return &o
}

// baseName is a parameter without modifier and chain, in lower case.
func baseName(name string) string {
	name, _, _ = strings.Cut(strings.ToLower(name), ":")
	name, _, _ = strings.Cut(name, ".")
	return name
}

func sortedNames(m map[string][]string) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// valuesOf are the single values of a parameter: commas separate alternatives.
func valuesOf(params map[string][]string, parameter string) []string {
	var out []string
	for _, name := range sortedNames(params) {
		if baseName(name) != parameter {
			continue
		}
		for _, v := range params[name] {
			for one := range strings.SplitSeq(v, ",") {
				if one != "" {
					out = append(out, one)
				}
			}
		}
	}
	return out
}

// unknownValue reports whether any value of a token parameter is not known, its system aside.
func unknownValue(params map[string][]string, parameter string, known func(string) bool) bool {
	return slices.ContainsFunc(valuesOf(params, parameter), func(v string) bool {
		if i := strings.LastIndexByte(v, '|'); i >= 0 {
			v = v[i+1:]
		}
		return v != "" && !known(v)
	})
}

// orList is "a", "a or b", "a, b or c"; long lists are cut.
func orList(words []string) string {
	if len(words) > 6 {
		words = append(slices.Clone(words[:6]), "another of its kind")
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
