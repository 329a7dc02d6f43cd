package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// machine is a place to run andiron in: a working directory and the user's folders, all new.
type machine struct {
	t       *testing.T
	program string
	dir     string
	env     []string
}

// plain is the program without the race detector, built once: with it these tests would take
// minutes. The scripts, which cover the same commands, run with it.
var plain = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "andiron-plain-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "andiron")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/andiron").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return program, nil
})

var built atomic.Bool

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir := t.TempDir()
	m := &machine{t: t, program: "andiron", dir: dir, env: []string{"PATH=" + os.Getenv("PATH")}}
	if raceEnabled {
		built.Store(true)
		program, err := plain()
		if err != nil {
			t.Fatal(err)
		}
		m.program, m.env = program, []string{"PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH")}
	}
	for _, name := range []string{"HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "TMPDIR"} {
		sub := filepath.Join(dir, ".dirs", strings.ToLower(name))
		if err := os.MkdirAll(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		m.env = append(m.env, name+"="+sub)
	}
	m.env = append(m.env, "BROWSER=browser simrosalind")
	if cover := os.Getenv("GOCOVERDIR"); cover != "" {
		m.env = append(m.env, "GOCOVERDIR="+cover)
	}
	return m
}

// dev starts a simulated Epic that ends with the test.
func (m *machine) dev(args ...string) *devProcess {
	m.t.Helper()
	d, err := startDev(m.program, m.dir, m.env, args...)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { d.stop() })
	return d
}

// command is andiron with these words, not started.
func (m *machine) command(args ...string) *exec.Cmd {
	cmd := exec.Command(m.program, args...)
	cmd.Dir, cmd.Env = m.dir, m.env
	return cmd
}

// run runs andiron to its end.
func (m *machine) run(args ...string) (stdout, stderr string, code int) {
	m.t.Helper()
	cmd := m.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatalf("andiron %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must is run for what has to end with 0.
func (m *machine) must(args ...string) string {
	m.t.Helper()
	out, errs, code := m.run(args...)
	if code != 0 {
		m.t.Fatalf("andiron %s ended with code %d:\n%s", strings.Join(args, " "), code, errs)
	}
	return out
}
