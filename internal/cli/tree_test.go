package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/bulk"
	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/lake"
	"github.com/andironhq/andiron/smart"
)

func walk(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, c := range cmd.Commands() {
		walk(c, f)
	}
}

func tree() *cobra.Command {
	return (&app{environ: func() []string { return nil }}).root()
}

func TestEveryCommandSaysWhatItDoes(t *testing.T) {
	walk(tree(), func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: its one line %q must say something, without a full stop", c.CommandPath(), c.Short)
		}
		if c.Name() != "help" && c.Long == "" {
			t.Errorf("%s has no help of its own", c.CommandPath())
		}
		for line := range strings.Lines(c.Long) {
			if len(line) > 102 {
				t.Errorf("%s: a line of its help is too wide for a terminal: %s", c.CommandPath(), line)
			}
		}
	})
}

func TestEveryExampleIsACommandOfOurs(t *testing.T) {
	n := 0
	walk(tree(), func(c *cobra.Command) {
		example := strings.ReplaceAll(c.Example, "\\\n", " ")
		for line := range strings.Lines(example) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "    ")
			line, _, _ = strings.Cut(line, " > ")
			line, _, _ = strings.Cut(line, " < ")
			if !strings.HasPrefix(line, "andiron ") {
				continue
			}
			if n++; !runs(shellWords(line)[1:]) {
				t.Errorf("%s shows an example that does not parse: %s", c.CommandPath(), line)
			}
		}
	})
	if n < 15 {
		t.Errorf("only %d examples were found", n)
	}
}

func TestEveryAdvisedTopicHasAPage(t *testing.T) {
	pages := map[string]bool{}
	for _, topic := range topics {
		pages[topic.name] = true
		var b strings.Builder
		if err := topic.write(&b); err != nil || len(b.String()) < 100 {
			t.Errorf("help %s says nothing: %v", topic.name, err)
		}
		for line := range strings.Lines(b.String()) {
			if topic.name != "search-rules" && topic.name != "exit-codes" && len([]rune(line)) > 102 {
				t.Errorf("help %s: a line is too wide for a terminal: %s", topic.name, line)
			}
		}
		for _, c := range tree().Commands() {
			if c.Name() == topic.name {
				t.Errorf("%s is both a command and a topic: help could not show both", topic.name)
			}
		}
	}
	for _, name := range epic.HelpTopics() {
		if !pages[name] {
			t.Errorf("advice points to help %s, which does not exist", name)
		}
	}
}

type status int

func (s status) Error() string   { return fmt.Sprint("status ", int(s)) }
func (s status) HTTPStatus() int { return int(s) }

func TestExitCodeFollowsFromTheErrorsType(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("somewhere: %w", err) }
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"nothing went wrong", nil, 0},
		{"no other code names it", errors.New("odd"), 1},
		{"a mistake in the command line", usagef("no"), 2},
		{"a search parameter without a value", wrap(fhir.ErrQuery), 2},
		{"an export without one file", wrap(bulk.ErrIncomplete), 3},
		{"lines set aside by a load", wrap(&lake.IncompleteError{Lines: 1}), 3},
		{"a refused assertion", wrap(&smart.Error{Op: "token", Status: 400, Code: "invalid_client"}), 4},
		{"a token endpoint that gives no code", wrap(&smart.Error{Op: "token", Status: 401}), 4},
		{"a token that is refused", wrap(status(401)), 4},
		{"no such resource", wrap(status(404)), 5},
		{"a resource that was deleted", wrap(status(410)), 5},
		{"no such folder", wrap(fs.ErrNotExist), 5},
		{"no export in the folder", wrap(bulk.ErrNoLedger), 5},
		{"not for this app", wrap(status(403)), 6},
		{"throttled", wrap(status(429)), 7},
		{"down for maintenance", wrap(status(503)), 7},
		{"nobody listens", wrap(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), 7},
		{"exported too recently", wrap(&bulk.CoolDownError{}), 8},
		{"the server is at work", wrap(&bulk.StillRunningError{}), 8},
		{"stopped", wrap(context.Canceled), 130},
		{"a file that exists is no network failure", &fs.PathError{Op: "open", Err: syscall.EEXIST}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitCode(tt.err); got != tt.want {
				t.Errorf("exit code %d, want %d", got, tt.want)
			}
			if tt.want != 0 && exitWord(tt.want) == exitWord(0) {
				t.Errorf("code %d is not in the table", tt.want)
			}
		})
	}
}

func TestTOMLIsChangedByLineOrNotAtAll(t *testing.T) {
	set := func(table, name, v string) func(*tomlFile, map[string]any) {
		return func(f *tomlFile, m map[string]any) {
			f.set(table, name, tomlString(v))
			if table != "" {
				m = subtable(m, strings.Split(table, ".")...)
			}
			m[name] = v
		}
	}
	tests := []struct {
		name, text string
		change     func(*tomlFile, map[string]any)
		want       string // "" means refused
	}{
		{"a new file", "", set("connections.a", "fhir", "u"), "[connections.a]\nfhir = \"u\"\n"},
		{"a key keeps its comment", "x = \"1\" # why\n", set("", "x", "2"), "x = \"2\" # why\n"},
		{"a # within quotes is no comment", "x = \"a#b\"\n", set("", "x", "2"), "x = \"2\"\n"},
		{"a top key goes above the tables", "# ours\n\n[a]\nb = 1\n", set("", "x", "1"), "# ours\nx = \"1\"\n\n[a]\nb = 1\n"},
		{"a comment above the next table stays with it", "[a]\nb = \"1\"\n\n# two\n[c]\n", set("a", "d", "2"), "[a]\nb = \"1\"\nd = \"2\"\n\n# two\n[c]\n"},
		{"an inline table is left alone", "connections = { a = { fhir = \"u\" } }\n", set("connections.a", "kid", "k"), ""},
		{"a value over several lines is left alone", "x = \"\"\"\na\n\"\"\"\n", set("", "x", "2"), ""},
		{"quotes in a value", "", set("", "x", `a"b`), "x = 'a\"b'\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := editTOML(tt.text, tt.change)
			if (err != nil) != (tt.want == "") || got != tt.want {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
}

func TestOutputCannotSteerATerminal(t *testing.T) {
	if got := plain("a\x1b[2Jb\nc\td\u009b"); strings.ContainsAny(got, "\x1b\n\t\u009b") {
		t.Errorf("control characters came through: %q", got)
	}
}
