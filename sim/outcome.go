package sim

import "github.com/andironhq/andiron/epic"

// outcome is an OperationOutcome: its issues in order.
type outcome []issue

// issue has its members in Epic's order (captures, high). Location and expression are a pair.
type issue struct {
	Severity    string   `json:"severity"`
	Code        string   `json:"code"`
	Details     details  `json:"details"`
	Diagnostics string   `json:"diagnostics,omitempty"`
	Location    []string `json:"location,omitempty"`
	Expression  []string `json:"expression,omitempty"`
}

type details struct {
	Coding []coding `json:"coding,omitempty"`
	Text   string   `json:"text,omitempty"`
}

type coding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display"`
}

// json is the resource: {"resourceType":"OperationOutcome","issue":[…]}.
func (o outcome) json() []byte {
	return encode(struct {
		ResourceType string  `json:"resourceType"`
		Issue        []issue `json:"issue"`
	}{"OperationOutcome", o})
}

// say makes the issue of a code: display and details.text are the same (captures, high). Of the two
// optional arguments the first is the diagnostics, the second names the parameter for location and
// expression.
func say(code string, more ...string) issue {
	c, ok := epic.LookupCode(code)
	if !ok {
		c, _ = epic.LookupCode(epic.CodeInternal)
	}
	i := issue{
		Severity: c.Severity, Code: c.Issue,
		Details: details{Coding: []coding{{epic.SandboxCodeSystem, code, c.Display()}}, Text: c.Display()},
	}
	if len(more) > 0 {
		i.Diagnostics = more[0]
	}
	if len(more) > 1 {
		i.Location, i.Expression = []string{"/f:" + more[1]}, []string{more[1]}
	}
	return i
}

// as gives an issue another FHIR code and severity than the code usually has.
func (i issue) as(severity, code string) issue {
	i.Severity, i.Code = severity, code
	return i
}

// codes lists the Epic codes, for the log.
func (o outcome) codes() string {
	list := ""
	for _, i := range o {
		for _, c := range i.Details.Coding {
			if list != "" {
				list += " "
			}
			list += c.Code
		}
	}
	return list
}
