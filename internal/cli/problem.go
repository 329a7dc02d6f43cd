package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/andironhq/andiron/epic"
)

// problem is an error as people meet it: what, why, what was checked, the command that mends
// it. A command returns one where it knows more than the error's type says; the rest are made
// by explain.
type problem struct {
	Title   string       // whose refusal, and the protocol's word in brackets
	Why     string       // what it means; "" when the title says it all
	Checked []epic.Check // what was looked at, the good ones too
	Fix     []string     // commands that can be pasted, the likelier first; or whom to ask
	More    string       // a help topic
	Try     string       // for usage errors: the help that shows the right form
	Exit    int          // 0: by the type of Err
	Err     error
}

func (p *problem) Error() string { return p.Title }
func (p *problem) Unwrap() error { return p.Err }

// usageError is a mistake in the command line or in the configuration.
type usageError struct {
	text string
	fix  []string
}

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...)}
}

// explain makes a problem of any error.
func (a *app) explain(err error) *problem {
	var p *problem
	if !errors.As(err, &p) {
		p = a.fromError(err)
	}
	out := *p
	out.Exit = exitCode(err)
	out.Fix = nil
	for _, fix := range p.Fix {
		if fix = a.fillIn(fix); fix != "" && !slices.Contains(out.Fix, fix) {
			out.Fix = append(out.Fix, fix)
		}
	}
	return &out
}

func (a *app) fromError(err error) *problem {
	var u *usageError
	if errors.As(err, &u) {
		return &problem{Title: u.text, Fix: u.fix, Try: a.helpCommand(), Err: err}
	}
	if p := a.ownAdvice(err); p != nil {
		return p
	}
	if advice, ok := epic.Explain(err); ok {
		return &problem{
			Title: advice.Title, Why: advice.Why, Checked: advice.Checked, Fix: advice.Fix, More: advice.More, Err: err,
		}
	}
	return &problem{Title: err.Error(), Err: err}
}

// print draws the problem for people.
func (p *problem) print(w io.Writer) {
	fmt.Fprintf(w, "error: %s\n", p.Title)
	for _, line := range wrap(p.Why, 96) {
		fmt.Fprintf(w, "  %s\n", line)
	}
	var checked, unknown []string
	for _, c := range p.Checked {
		switch c.State {
		case epic.CheckUnknown:
			unknown = append(unknown, c.Text)
		case epic.CheckFail:
			checked = append(checked, "FAIL  "+c.Text)
		default:
			checked = append(checked, "ok    "+c.Text)
		}
	}
	if len(checked)+len(unknown) > 0 {
		fmt.Fprintln(w)
	}
	if len(checked) > 0 {
		fmt.Fprintln(w, "  checked from here:")
		for _, text := range checked {
			fmt.Fprintf(w, "    %s\n", strings.Join(wrap(text, 90), "\n          "))
		}
	}
	for i, text := range unknown {
		if i == 0 {
			fmt.Fprintln(w, "  not checkable from here:")
		}
		fmt.Fprintf(w, "    -     %s\n", strings.Join(wrap(text, 86), "\n          "))
	}
	if len(checked)+len(unknown) > 0 {
		fmt.Fprintln(w)
	}
	for i, fix := range p.Fix {
		label := "fix:"
		if i > 0 {
			label = "or:"
		}
		fmt.Fprintf(w, "  %-6s %s\n", label, fix)
	}
	if p.Try != "" {
		fmt.Fprintf(w, "  %-6s %s\n", "try:", p.Try)
	}
	if p.More != "" {
		fmt.Fprintf(w, "  %-6s %s\n", "more:", "andiron help "+p.More)
	}
}

// wrap breaks lines that are longer than width at spaces, and keeps the breaks that are there.
func wrap(text string, width int) []string {
	var out []string
	if text == "" {
		return nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		for utf8.RuneCountInString(line) > width {
			at := strings.LastIndexByte(line[:width], ' ')
			if at <= 0 { // a word that is too long has a line of its own
				if at = strings.IndexByte(line[1:], ' ') + 1; at == 0 {
					break
				}
			}
			out = append(out, line[:at])
			line = line[at+1:]
		}
		out = append(out, line)
	}
	return out
}

// printJSON draws the same members on one line.
func (p *problem) printJSON(w io.Writer) {
	type check struct {
		State string `json:"state"`
		Text  string `json:"text"`
	}
	out := struct {
		Error   string   `json:"error"`
		Why     string   `json:"why,omitempty"`
		Checked []check  `json:"checked,omitempty"`
		Fix     []string `json:"fix,omitempty"`
		Try     string   `json:"try,omitempty"`
		More    string   `json:"more,omitempty"`
		Exit    int      `json:"exit"`
		Reason  string   `json:"reason"`
	}{Error: p.Title, Why: p.Why, Fix: p.Fix, Try: p.Try, More: p.More, Exit: p.Exit, Reason: exitWord(p.Exit)}
	for _, c := range p.Checked {
		out.Checked = append(out.Checked, check{c.State, c.Text})
	}
	_ = writeJSON(w, out)
}

// writeJSON writes one compact document and a newline, with < and > as they are.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
