package epic

import (
	"slices"
	"strings"
)

// Advice is what to make of an error. It holds no answer's text, no identifier of a patient and
// no token: it may be printed and sent on.
type Advice struct {
	// Title says in one line whose refusal it is, with the protocol's own word in brackets.
	Title string `json:"title"`
	// Why says what it means, and whom to ask where no command helps. May be empty.
	Why string `json:"why,omitempty"`
	// Checked is what is known about the possible causes, the good news too.
	Checked []Check `json:"checked,omitempty"`
	// Fix are commands that can be pasted, the likelier first, at most two. Words in capitals
	// (ID, NAME, DIR) are to be filled in. Empty where no command mends it.
	Fix []string `json:"fix,omitempty"`
	// More is a topic of andiron help, one of [HelpTopics].
	More string `json:"more,omitempty"`
}

// Check is one possible cause, looked at.
type Check struct {
	// State is [CheckOK], [CheckFail] or [CheckUnknown].
	State string `json:"state"`
	// Text is the finding, in a fail with expected and found.
	Text string `json:"text"`
}

// The states of a [Check].
const (
	CheckOK      = "ok"      // not the cause
	CheckFail    = "fail"    // a cause
	CheckUnknown = "unknown" // cannot be known from here
)

// Topics of andiron help that an [Advice] may name.
const (
	topicBulk        = "bulk"
	topicFHIRIDs     = "ids"
	topicInvalid     = "invalid-client"
	topicNetwork     = "network"
	topicPermissions = "permissions"
	topicRate        = "rate-limits"
	topicSearch      = "search-rules"
	topicSignIn      = "sign-in"
	topicWrites      = "writes"
)

// HelpTopics are the topics that [Advice.More] may name. Whoever prints advice must have a page
// for each.
func HelpTopics() []string {
	return []string{
		topicBulk, topicFHIRIDs, topicInvalid, topicNetwork, topicPermissions,
		topicRate, topicSearch, topicSignIn, topicWrites,
	}
}

// String draws the advice as a terminal shows it, without colours and without a last newline:
//
//	error: the server refused the app's signed token (invalid_client) and gave no reason
//
//	  checked from here:
//	    ok    signed RS384, aud is the token endpoint
//	    FAIL  kid "k2" is not in the published key set
//	  not checkable from here:
//	          a new app can take an hour to reach the sandbox
//
//	  fix:   andiron doctor
//	  more:  andiron help invalid-client
func (a Advice) String() string {
	var b strings.Builder
	b.WriteString("error: " + a.Title + "\n")
	if a.Why != "" {
		for _, line := range wrap(a.Why, 96) {
			b.WriteString("  " + line + "\n")
		}
	}
	known := slices.DeleteFunc(slices.Clone(a.Checked), func(c Check) bool { return c.State == CheckUnknown })
	unknown := slices.DeleteFunc(slices.Clone(a.Checked), func(c Check) bool { return c.State != CheckUnknown })
	if len(a.Checked) > 0 {
		b.WriteString("\n")
	}
	if len(known) > 0 {
		b.WriteString("  checked from here:\n")
		for _, c := range known {
			mark := "ok    "
			if c.State == CheckFail {
				mark = "FAIL  "
			}
			list(&b, mark, c.Text)
		}
	}
	if len(unknown) > 0 {
		b.WriteString("  not checkable from here:\n")
		for _, c := range unknown {
			list(&b, "-     ", c.Text)
		}
	}
	if len(a.Checked) > 0 && len(a.Fix)+len(a.More) > 0 {
		b.WriteString("\n")
	}
	for i, f := range a.Fix {
		label := "  fix:   "
		if i > 0 {
			label = "  or:    "
		}
		b.WriteString(label + f + "\n")
	}
	if a.More != "" {
		b.WriteString("  more:  andiron help " + a.More + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// list writes one mark and its text, hanging.
func list(b *strings.Builder, mark, text string) {
	for i, line := range wrap(text, 86) {
		if i > 0 {
			mark = "      "
		}
		b.WriteString("    " + mark + line + "\n")
	}
}

// wrap breaks a text at spaces into lines of at most width characters.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for w := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = w
		case len([]rune(line))+1+len([]rune(w)) <= width:
			line += " " + w
		default:
			lines = append(lines, line)
			line = w
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// ok, fail and unknown make checks.
func ok(text string) Check      { return Check{CheckOK, text} }
func fail(text string) Check    { return Check{CheckFail, text} }
func unknown(text string) Check { return Check{CheckUnknown, text} }
