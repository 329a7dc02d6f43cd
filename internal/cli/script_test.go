package cli_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/andironhq/andiron/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(cleaning{m}, map[string]func(){
		"andiron": func() { os.Exit(cli.Main(os.Args[1:])) },
		"browser": func() { os.Exit(browse(os.Args[1:])) },
		"signin":  func() { os.Exit(signIn(os.Args[1:])) },
	})
}

// cleaning removes the program that newMachine may have built.
type cleaning struct{ m *testing.M }

func (c cleaning) Run() int {
	code := c.m.Run()
	if built.Load() {
		if program, err := plain(); err == nil {
			_ = os.RemoveAll(filepath.Dir(program))
		}
	}
	return code
}

// TestScripts runs testdata/script/*.txtar: the whole program, in processes of its own. Beside
// testscript's own commands there are
//
//	dev [FLAGS]              start "andiron dev -o json" and set $FHIR, $CLIENT_ID, $KEY, $JWKS, $GROUP, $CONSOLE, $CDS
//	stopdev                  end it with SIGINT
//	exits CODE CMD...        run a command that must end with this code
//	runfix [N] [WORD=VALUE]  run the N-th of the fix: and or: commands that were printed last
//	stub KIND                start a server that is no Epic and set $STUB
//	mode OCTAL FILE          the file has these permissions
//	same A B                 two folders hold the same data files
//	freeport NAME            set $NAME to a port that nothing listens at
//	takeport NAME            set $NAME to a port that is held until the end
//	refreshtoken STATE CONNECTION FHIR CLIENT-ID FILE   take a sign-in's refresh token out of the state
//	nowhere FILE PLACE...    the content of FILE stands in none of these files and folders
//
// and the programs browser (for $BROWSER) and signin.
//
// A script fails when a fix was printed in it and never run.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "HOME", "XDG_CACHE_HOME"} {
				dir := filepath.Join(env.WorkDir, ".dirs", strings.ToLower(name))
				if err := os.MkdirAll(dir, 0o700); err != nil {
					return err
				}
				env.Setenv(name, dir)
			}
			env.Values["fixes"] = &fixes{}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"dev": scriptDev, "stopdev": scriptStopDev, "exits": scriptExits, "runfix": scriptRunFix,
			"stub": scriptStub, "mode": scriptMode, "same": scriptSame,
			"freeport": scriptFreePort, "takeport": scriptTakePort, "nowhere": scriptNowhere,
			"refreshtoken": scriptRefreshToken,
		},
	})
}

// fixes are the commands that a script's output offered, and those that it ran.
type fixes struct {
	printed, ran []string
	last         []string // of the last output that had any
	watched      bool
}

var fixLine = regexp.MustCompile(`(?m)^\s+(?:fix|or):\s+(andiron .*)$`)

// look remembers the fixes in the last output.
func (f *fixes) look(ts *testscript.TestScript) []string {
	if !f.watched {
		f.watched = true
		ts.Defer(func() {
			for _, p := range f.printed {
				if !slices.Contains(f.ran, p) {
					ts.Logf("offered and never run: %s", p)
					defer ts.Fatalf("every fix that is printed must be run: use runfix")
				}
			}
		})
	}
	var now []string
	for _, m := range fixLine.FindAllStringSubmatch(ts.ReadFile("stdout")+"\n"+ts.ReadFile("stderr"), -1) {
		command, _, _ := strings.Cut(m[1], "   # ")
		now = append(now, command)
		if !slices.Contains(f.printed, command) {
			f.printed = append(f.printed, command)
		}
	}
	if len(now) > 0 {
		f.last = now
	}
	return now
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE CMD ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	run(ts, want, args[1:])
}

func run(ts *testscript.TestScript, want int, words []string) {
	got := 0
	err := ts.Exec(words[0], words[1:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	ts.Value("fixes").(*fixes).look(ts)
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// shellSplit is as much of a shell as our own advice needs: words and single quotes.
func shellSplit(s string) []string {
	var words []string
	for _, m := range regexp.MustCompile(`(?:'[^']*'|[^\s'])+`).FindAllString(s, -1) {
		words = append(words, strings.ReplaceAll(m, "'", ""))
	}
	return words
}

func scriptRunFix(ts *testscript.TestScript, neg bool, args []string) {
	f := ts.Value("fixes").(*fixes)
	f.look(ts)
	now := f.last
	n, want := 1, 0
	var replace []string
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		switch {
		case name == "exits" && ok:
			want, _ = strconv.Atoi(value)
		case ok:
			replace = append(replace, name, value)
		default:
			n, _ = strconv.Atoi(arg)
		}
	}
	if neg || n < 1 || n > len(now) {
		ts.Fatalf("there is no fix number %d", n)
	}
	f.ran = append(f.ran, now[n-1])
	command := strings.NewReplacer(replace...).Replace(now[n-1])
	ts.Logf("[fix] %s", command)
	words := shellSplit(command)
	if slices.Contains(words, "dev") {
		scriptDev(ts, false, words[2:])
		return
	}
	run(ts, want, words)
}

// devProcess is an "andiron dev" that runs beside a test.
type devProcess struct {
	cmd  *exec.Cmd
	line map[string]string
	text string // the line as it came
}

// startDev starts a dev with its environment and waits until it is ready.
func startDev(program, dir string, env []string, args ...string) (*devProcess, error) {
	cmd := exec.Command(program, append([]string{"dev", "--port", "0", "-o", "json"}, args...)...)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &devProcess{cmd: cmd}
	text, _ := bufio.NewReader(out).ReadString('\n')
	var members map[string]any
	d.text = text
	err = json.Unmarshal([]byte(text), &members)
	d.line = map[string]string{}
	for name, v := range members {
		if one, ok := v.(string); ok { // the lists of applications and users are read where they are tested
			d.line[name] = one
		}
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("dev did not say that it is ready: %q %s", text, stderr.String())
	}
	return d, nil
}

// stop ends it as Ctrl-C does and returns its exit code.
func (d *devProcess) stop() int {
	_ = d.cmd.Process.Signal(syscall.SIGINT)
	timer := time.AfterFunc(10*time.Second, func() { _ = d.cmd.Process.Kill() })
	defer timer.Stop()
	_ = d.cmd.Wait()
	return d.cmd.ProcessState.ExitCode()
}

func scriptDev(ts *testscript.TestScript, _ bool, args []string) {
	if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--patients") || strings.HasPrefix(a, "--data") }) {
		args = append([]string{"--patients", "12"}, args...)
	}
	var env []string
	for _, name := range []string{"PATH", "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR", "GOCOVERDIR"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	for i, a := range args { // the harness's own --port 0 comes first; a script's wins
		if a == "--port" && i+1 < len(args) && args[i+1] == "0" {
			args = slices.Delete(slices.Clone(args), i, i+2)
			break
		}
	}
	d, err := startDev("andiron", ts.MkAbs("."), env, args...)
	ts.Check(err)
	for k, v := range d.line {
		ts.Setenv(strings.ToUpper(k), v)
	}
	ts.Setenv("DEVPID", strconv.Itoa(d.cmd.Process.Pid))
	stopped := false
	ts.Setenv("PORT", d.line["console"][strings.LastIndex(d.line["console"], ":")+1:])
	running.add(d)
	ts.Defer(func() {
		if !stopped && running.take(d) {
			d.stop()
		}
	})
}

// running are the devs of scripts, by process.
var running devs

type devs struct{ list chan map[*devProcess]bool }

func (r *devs) with(f func(map[*devProcess]bool) bool) bool {
	m := <-r.list
	defer func() { r.list <- m }()
	return f(m)
}

func (r *devs) add(d *devProcess) {
	r.with(func(m map[*devProcess]bool) bool { m[d] = true; return true })
}

func (r *devs) take(d *devProcess) bool {
	return r.with(func(m map[*devProcess]bool) bool { had := m[d]; delete(m, d); return had })
}

func (r *devs) byPID(pid string) *devProcess {
	var found *devProcess
	r.with(func(m map[*devProcess]bool) bool {
		for d := range m {
			if strconv.Itoa(d.cmd.Process.Pid) == pid {
				found = d
			}
		}
		return true
	})
	return found
}

func init() {
	running.list = make(chan map[*devProcess]bool, 1)
	running.list <- map[*devProcess]bool{}
}

func scriptStopDev(ts *testscript.TestScript, _ bool, _ []string) {
	d := running.byPID(ts.Getenv("DEVPID"))
	if d == nil || !running.take(d) {
		ts.Fatalf("no dev runs")
	}
	if code := d.stop(); code != 0 {
		ts.Fatalf("dev ended with code %d after Ctrl-C, want 0", code)
	}
}

func scriptStub(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: stub html|closed")
	}
	switch args[0] {
	case "html":
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>")
		}))
		ts.Defer(s.Close)
		ts.Setenv("STUB", s.URL+"/api/FHIR/R4")
	case "closed":
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		ts.Check(err)
		ts.Setenv("STUB", "http://"+l.Addr().String()+"/api/FHIR/R4")
		ts.Check(l.Close())
	default:
		ts.Fatalf("no stub %q", args[0])
	}
}

func scriptMode(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// dataFiles are a folder's data files by name, with their content.
func dataFiles(dir string) (map[string]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.ndjson"))
	out := map[string]string{}
	for _, name := range names {
		if base := filepath.Base(name); base != "log.ndjson" {
			data, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			out[base] = string(data)
		}
	}
	return out, err
}

func scriptSame(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: same DIR DIR")
	}
	a, err := dataFiles(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err := dataFiles(ts.MkAbs(args[1]))
	ts.Check(err)
	if len(a) == 0 || len(a) != len(b) {
		ts.Fatalf("%s has %d data files, %s has %d", args[0], len(a), args[1], len(b))
	}
	for name := range a {
		if a[name] != b[name] {
			ts.Fatalf("%s differs", name)
		}
	}
}
