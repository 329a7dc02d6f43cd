package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// guideStep is one command of a page and what is shown below it.
type guideStep struct {
	at      string // page and line
	command string
	code    int
	output  []string
}

var exitCodeComment = regexp.MustCompile(`\s+# exit code (\d+)$`)

func guideSteps(t *testing.T, page string, atLeast int) []guideStep {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	var steps []guideStep
	inside, number := false, 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "```console":
			inside = true
		case strings.HasPrefix(line, "```"):
			inside = false
		case inside && strings.HasPrefix(line, "$ "):
			s := guideStep{at: fmt.Sprintf("%s, line %d", page, number), command: line[2:]}
			if m := exitCodeComment.FindStringSubmatch(s.command); m != nil {
				s.code, _ = strconv.Atoi(m[1])
				s.command = strings.TrimSuffix(s.command, m[0])
			}
			steps = append(steps, s)
		case inside && len(steps) > 0:
			steps[len(steps)-1].output = append(steps[len(steps)-1].output, line)
		}
	}
	if len(steps) < atLeast {
		t.Fatalf("%s has %d commands: are they still in console blocks?", page, len(steps))
	}
	return steps
}

// spaces makes one of several, so that columns may be wider here than there.
var spaces = regexp.MustCompile(` +`)

// shows fails unless the lines stand in the output in their order; "…" is anything.
func (s guideStep) shows(t *testing.T, output string) {
	t.Helper()
	have := strings.Split(output, "\n")
	at := 0
	for _, want := range s.output {
		if strings.TrimSpace(want) == "…" || want == "" {
			continue
		}
		pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(spaces.ReplaceAllString(want, " "))), "…", ".*")
		form := regexp.MustCompile("^" + pattern + "$")
		found := false
		for ; at < len(have) && !found; at++ {
			found = form.MatchString(strings.TrimSpace(spaces.ReplaceAllString(have[at], " ")))
		}
		if !found {
			t.Errorf("%s: %s\nshould print %q; it printed\n%s", s.at, s.command, want, output)
			return
		}
	}
}

// Every command of the guide is run; its exit code and the output that is shown are compared.
func TestGuideDoesWhatItSays(t *testing.T) {
	newMachine(t).follow(guideSteps(t, "docs/guide.md", 30), nil)
}

// The README's transcript is one of this program, with its numbers.
func TestReadmeDoesWhatItSays(t *testing.T) {
	m := newMachine(t)
	m.follow(guideSteps(t, "README.md", 5), m.dev())
}

// follow runs the steps, in their order, by a shell. dev is the one that already runs, if any.
func (m *machine) follow(steps []guideStep, dev *devProcess) {
	t := m.t
	t.Helper()
	console := ""
	if dev != nil {
		console = dev.line["console"]
	}
	for _, s := range steps {
		if words := strings.Fields(s.command); len(words) > 1 && words[1] == "dev" {
			if dev != nil {
				dev.stop()
			}
			s.shows(t, m.banner(words[2:]...))
			dev = m.dev(words[2:]...)
			console = dev.line["console"]
			continue
		}
		cmd := exec.Command("sh", "-c", s.command)
		cmd.Dir, cmd.Env = m.dir, m.env
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != s.code {
			t.Fatalf("%s: %s\nended with code %d, want %d:\n%s", s.at, s.command, got, s.code, out)
		}
		s.shows(t, strings.ReplaceAll(string(out), console, "http://127.0.0.1:7400"))
	}
}

// banner is what dev prints for people.
func (m *machine) banner(args ...string) string {
	m.t.Helper()
	cmd := m.command(append([]string{"dev", "--port", "0"}, args...)...)
	var out lockedBuffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}()
	waitFor(m.t, "the banner", func() bool { return strings.Contains(out.String(), "Not Epic's way") })
	return regexp.MustCompile(`http://127\.0\.0\.1:\d+`).ReplaceAllString(out.String(), "http://127.0.0.1:7400")
}
