package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Main runs the command line args, without the program's name, and returns the exit code.
func Main(args []string) int {
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ, now: time.Now}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		<-signals
		cancel()
		<-signals // once more: the user will not wait
		os.Exit(exitInterrupted)
	}()
	return a.run(ctx, args)
}

// app is one run of the program.
type app struct {
	in       io.Reader
	out, err io.Writer
	environ  func() []string
	now      func() time.Time

	args     []string // the command line as given
	settings *settings
	current  *cobra.Command // the command that runs, for the help that errors point to

	dir           string // the folder that the command works on
	allowCmd      bool
	createsConfig bool          // the command may name a configuration file that is not there yet
	connection    *connection   // the one in use, once a command asked for it
	opened        *state        // sign-ins, once a command needed them
	interrupted   func() string // what is safe and what the same command will do next
}

func (a *app) run(ctx context.Context, args []string) int {
	a.args = args
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	cmd, err := root.ExecuteContextC(ctx)
	a.closeState()
	if err == nil {
		return exitOK
	}
	if a.current == nil {
		a.current = cmd
	}
	var done *exitError
	if errors.As(err, &done) {
		return done.code
	}
	if ctx.Err() != nil {
		a.sayInterrupted()
		return exitInterrupted
	}
	if errors.Is(err, syscall.EPIPE) {
		return exitFailed // who read the output has gone, and there is nobody to tell
	}
	p := a.explain(err)
	if a.errorsAsJSON(args) {
		p.printJSON(a.err)
	} else {
		p.print(a.err)
	}
	return p.Exit
}

// exitError ends a command whose output has said everything.
type exitError struct{ code int }

func (e *exitError) Error() string { return exitWord(e.code) }

func (a *app) sayInterrupted() {
	text := "nothing was left half done"
	if a.interrupted != nil {
		text = a.interrupted()
	}
	if a.speaksJSON() {
		_ = writeJSON(a.err, map[string]any{
			"error": "interrupted", "why": text, "exit": exitInterrupted, "reason": exitWord(exitInterrupted),
		})
		return
	}
	a.say("interrupted: %s", text)
}

func (a *app) getenv(name string) string {
	for _, pair := range slices.Backward(a.environ()) {
		if len(pair) > len(name) && pair[len(name)] == '=' && pair[:len(name)] == name {
			return pair[len(name)+1:]
		}
	}
	return ""
}

// format is the output format in force.
func (a *app) format() string {
	if a.settings == nil {
		return "table"
	}
	return a.settings.get("output", "").text
}

// speaksJSON reports whether programs read the output.
func (a *app) speaksJSON() bool {
	f := a.format()
	return f == "json" || f == "ndjson"
}

// errorsAsJSON also holds where the command line could not be read to its end.
func (a *app) errorsAsJSON(args []string) bool {
	if a.settings != nil {
		return a.speaksJSON()
	}
	for i, arg := range args {
		if arg == "-o" || arg == "--output" {
			return i+1 < len(args) && (args[i+1] == "json" || args[i+1] == "ndjson")
		}
		if slices.Contains([]string{"-ojson", "-o=json", "--output=json", "-ondjson", "-o=ndjson", "--output=ndjson"}, arg) {
			return true
		}
	}
	return false
}

// helpCommand is the command that shows the right form of what was asked.
func (a *app) helpCommand() string {
	if a.current == nil {
		return "andiron help"
	}
	return a.current.CommandPath() + " --help"
}

// again is the command line as it was given, to be pasted.
func (a *app) again() string {
	words := []string{"andiron"}
	for _, w := range a.args {
		words = append(words, shellQuote(w))
	}
	return strings.Join(words, " ")
}

func (a *app) outIsTerminal() bool { return isTerminal(a.out) }
func (a *app) errIsTerminal() bool { return isTerminal(a.err) }

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
