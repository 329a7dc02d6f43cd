package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/smart"
)

// unreachable reports a failure below HTTP: nobody answered, or not to the end.
func unreachable(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	var timeout net.Error
	return errors.As(err, &op) || errors.As(err, &dns) || errors.As(err, &timeout) && timeout.Timeout() ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, fhir.ErrStalled) ||
		errors.Is(err, context.DeadlineExceeded)
}

// ownAdvice is what the command line knows better than package epic: what it checked itself.
func (a *app) ownAdvice(err error) *problem {
	switch {
	case errors.Is(err, fhir.ErrQuery):
		return &problem{
			Title: "the search is incomplete, and nothing was sent: " + strings.TrimPrefix(cutFrom(err.Error(), "query is incomplete"), "query is incomplete: "),
			More:  "search-rules", Try: a.helpCommand(), Err: err,
		}
	case errors.Is(err, fhir.ErrInsecure), errors.Is(err, smart.ErrInsecure):
		return &problem{
			Title: "plain http is refused to other machines: token and patient data would cross the network for all to read",
			Why:   "Nothing was sent. Give the https address.",
			More:  "network", Exit: exitUsage, Err: err,
		}
	case errors.Is(err, fhir.ErrForeignOrigin):
		return &problem{
			Title: "the server's answer leads to another host, and the token goes to its own alone: nothing was sent there",
			Why:   "If both are the same server under two names, give the base URL that its links use.",
			More:  "network", Err: err,
		}
	}
	return a.refusedKey(err)
}

// refusedKey holds the key against the published set when the server refused the sign-in: the
// commonest cause, and the one that can be checked from here.
func (a *app) refusedKey(err error) *problem {
	var oauth interface {
		OAuthError() (code, description string)
	}
	if !errors.As(err, &oauth) || a.connection == nil || a.connection.JWKS == "" {
		return nil
	}
	if code, _ := oauth.OAuthError(); code != "invalid_client" {
		return nil
	}
	advice, ok := epic.Explain(err)
	if !ok {
		return nil
	}
	p := &problem{Title: advice.Title, Why: advice.Why, Checked: advice.Checked, Fix: advice.Fix, More: advice.More, Err: err}
	key, keyErr := a.privateKey(context.Background(), a.connection)
	if keyErr != nil {
		return p
	}
	checks, fix := a.published(context.Background(), a.connection, key)
	known := slices.IndexFunc(p.Checked, func(c epic.Check) bool { return c.State == epic.CheckUnknown })
	if known < 0 {
		known = len(p.Checked)
	}
	p.Checked = slices.Insert(slices.Clone(p.Checked), known, checks...)
	if len(fix) > 0 {
		p.Fix = append(fix, p.Fix...)[:min(2, len(fix)+len(p.Fix))]
	}
	return p
}

func cutFrom(s, mark string) string {
	if i := strings.Index(s, mark); i >= 0 {
		return s[i:]
	}
	return s
}

// fillIn makes a command that can be pasted here and now out of advice: with the connection in
// use, the folder at hand, and a patient of the simulator where one is wanted. It is "" for what
// this program cannot do.
func (a *app) fillIn(fix string) string {
	if !strings.HasPrefix(fix, "andiron ") {
		return fix
	}
	command, comment, _ := strings.Cut(fix, "   # ")
	words := shellWords(command)
	if c := a.connection; c != nil {
		if c.Name != "" && !slices.Contains(words, "add") {
			command = strings.ReplaceAll(command, " NAME ", " "+c.Name+" ")
		}
		if c.dev != nil && len(c.dev.Patients) > 0 {
			command = strings.ReplaceAll(command, "=ID", "="+c.dev.Patients[0].ID)
			command = strings.ReplaceAll(command, "/ID", "/"+c.dev.Patients[0].ID)
		}
	}
	if a.dir != "" {
		command = strings.ReplaceAll(command, " DIR", " "+shellQuote(a.dir))
	}
	if len(words) > 1 && slices.Contains([]string{"doctor", "get", "export"}, words[1]) && !strings.Contains(command, "--connection") && !strings.Contains(command, "--fhir") {
		command += a.connectionFlags()
	}
	words = shellWords(command)
	if strings.HasPrefix(command, "andiron connection set NAME") || !runs(words[1:]) {
		return ""
	}
	if comment != "" {
		command += "   # " + comment
	}
	return command
}

// runs reports whether this program has the command and its flags.
func runs(args []string) bool {
	root := (&app{environ: func() []string { return nil }}).root()
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	if len(args) > 0 && args[0] == "help" {
		return true
	}
	cmd, rest, err := root.Find(args)
	if err != nil || cmd == root {
		return false
	}
	return cmd.ParseFlags(rest) == nil && (cmd.Annotations["group"] == "" || len(rest) == 0) && hasRun(cmd)
}

func hasRun(cmd *cobra.Command) bool { return cmd.RunE != nil || cmd.Run != nil }

// shellWords splits a command that we wrote ourselves: words, single quotes, no more.
func shellWords(s string) []string {
	var words []string
	var word strings.Builder
	quoted, begun := false, false
	flush := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, c := range s {
		switch {
		case c == '\'':
			quoted, begun = !quoted, true
		case c == ' ' && !quoted:
			flush()
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	flush()
	return words
}

// connectionFlags are the words that name this connection on a command line that we advise; none
// where the next command would choose it by itself.
func (a *app) connectionFlags() string {
	switch c := a.connection; {
	case c == nil:
		return ""
	case c.Name != "" && a.settings.flags.Exists("connection"):
		return " --connection " + c.Name
	case len(c.adHoc) > 0:
		return " " + strings.Join(c.adHoc, " ")
	}
	return ""
}

// connectionFlagsWith is connectionFlags with one flag changed.
func (a *app) connectionFlagsWith(flag, value string) string {
	flags := slices.Clone(a.connection.adHoc)
	if i := slices.Index(flags, "--"+flag); i >= 0 && i+1 < len(flags) {
		flags[i+1] = shellQuote(value)
	} else {
		flags = append(flags, "--"+flag, shellQuote(value))
	}
	return " " + strings.Join(flags, " ")
}
