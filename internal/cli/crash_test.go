package cli_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/andironhq/andiron/bulk"
)

func soak() bool { return os.Getenv("ANDIRON_SOAK") != "" }

// hashes are a folder's files with their checksums, as its manifest says and as they lie there.
func hashes(t *testing.T, dir string) map[string]string {
	t.Helper()
	m, err := bulk.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !m.Complete {
		t.Errorf("the manifest of %s does not say complete", filepath.Base(dir))
	}
	out := map[string]string{}
	for _, f := range m.Output {
		out[f.File] = f.SHA256
	}
	return out
}

// The export is killed at random moments, twenty times; then a last run makes the folder what
// an undisturbed run makes it, and no kick-off was sent twice.
func TestKilledExportEndsLikeAnUndisturbedOne(t *testing.T) {
	kills := 20
	if soak() {
		kills = 100
	}
	m := newMachine(t)
	// Files of 100 resources, so that there are many moments; served slowly enough to be hit.
	m.dev("--patients", "12", "--knob", "bulk_file_max=100")
	m.must("export", "calm")
	m.must("sim", "reset")
	m.must("sim", "fault", "--op", "file", "--latency", "40ms")

	random := rand.New(rand.NewPCG(1, 2))
	killed, unknown := 0, 0
	began := time.Now()
	for try := 0; killed < kills && try < 20*kills; try++ {
		args := []string{"export", "wild", "--parallel", "2", "--progress", "none"}
		cmd := m.command(args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case <-time.After(time.Duration(random.IntN(350)) * time.Millisecond):
			_ = cmd.Process.Signal(syscall.SIGKILL)
			<-done
			killed++
		case <-done: // it was faster, or ended "unknown"
			var status struct{ State string }
			_ = json.Unmarshal([]byte(m.must("export", "status", "wild", "-o", "json")), &status)
			if status.State == "unknown" {
				// The one window: killed between kick-off and its answer. A person decides.
				unknown++
				m.run("export", "wild", "--new", "--no-wait", "--progress", "none")
				continue
			}
			if status.State == "done" {
				if err := os.RemoveAll(filepath.Join(m.dir, "wild")); err != nil { // the next round
					t.Fatal(err)
				}
			}
		}
	}
	if killed < kills {
		t.Fatalf("only %d of %d kills hit a running export", killed, kills)
	}
	m.must("sim", "fault", "--heal")
	_, errs, code := m.run("export", "wild")
	if strings.Contains(errs, "unknown") && code != 0 {
		unknown++
		_, errs, code = m.run("export", "wild", "--new")
	}
	if code != 0 {
		t.Fatalf("the last run ended with code %d:\n%s", code, errs)
	}
	t.Logf("%d kills in %s, %d of them between kick-off and answer", killed, time.Since(began).Round(time.Second), unknown)

	calm, wild := hashes(t, filepath.Join(m.dir, "calm")), hashes(t, filepath.Join(m.dir, "wild"))
	if len(calm) < 15 || len(calm) != len(wild) {
		t.Fatalf("the disturbed folder has %d files, the undisturbed one %d", len(wild), len(calm))
	}
	for name, sum := range calm {
		if wild[name] != sum {
			t.Errorf("%s differs from the undisturbed run's", name)
		}
	}
	a, err := dataFiles(filepath.Join(m.dir, "calm"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := dataFiles(filepath.Join(m.dir, "wild"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range a {
		if a[name] != b[name] {
			t.Errorf("the bytes of %s differ", name)
		}
	}
	left, err := filepath.Glob(filepath.Join(m.dir, "wild", ".*.part"))
	if err != nil || len(left) > 0 {
		t.Errorf("unfinished files are left: %v %v", left, err)
	}
	m.must("export", "verify", "wild")
}

// The window that nobody can close: the process dies after the kick-off was sent and before
// its answer came. It ends "unknown", says what to do, and asks again only when told to.
func TestLostKickoffIsNeverRepeatedByItself(t *testing.T) {
	m := newMachine(t)
	m.dev("--patients", "12")
	m.must("sim", "fault", "--op", "kickoff", "--latency", "30s", "--times", "1")
	cmd := m.command("export", "out", "--progress", "none")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		out, _, _ := m.run("export", "status", "out", "-o", "json")
		if strings.Contains(out, `"state": "sent"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the export did not come to its kick-off: %s", out)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()

	for range 2 {
		_, errs, code := m.run("export", "out")
		if code != 1 || !strings.Contains(errs, "(unknown)") || !strings.Contains(errs, "fix:   andiron export out --new") {
			t.Fatalf("after a lost kick-off: code %d, want 1 and advice:\n%s", code, errs)
		}
	}
	if n := kickoffs(m); n > 1 {
		t.Errorf("%d kick-offs were sent, want at most the one that was lost", n)
	}
	before := kickoffs(m)
	m.must("export", "out", "--new")
	m.must("export", "verify", "out")
	if n := kickoffs(m); n != before+1 {
		t.Errorf("--new sent %d kick-offs, want 1", n-before)
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(3 * time.Millisecond) // another process works meanwhile
	}
}

// kickoffs counts the kick-offs in the simulator's log.
func kickoffs(m *machine) int {
	m.t.Helper()
	n := 0
	for line := range strings.Lines(m.must("sim", "log", "--last", "0", "-o", "ndjson")) {
		if strings.Contains(line, `"op":"kickoff"`) {
			n++
		}
	}
	return n
}

// Ctrl-C ends with 130, says what is safe and what the same command will do; and it does.
func TestInterruptedExportSaysWhatIsSafe(t *testing.T) {
	m := newMachine(t)
	m.dev("--patients", "12")
	m.must("sim", "fault", "--op", "file", "--latency", "10s", "--skip", "3")
	cmd := m.command("export", "out", "--parallel", "1")
	var errs lockedBuffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the third file", func() bool { return strings.Contains(errs.String(), "(3 of ") })
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d after Ctrl-C, want 130", code)
	}
	if want := "interrupted: 3 of 26 files are whole in out; the same command goes on from there"; !strings.Contains(errs.String(), want) {
		t.Errorf("after Ctrl-C it should say %q:\n%s", want, errs.String())
	}
	m.must("sim", "fault", "--heal")
	_, again, code := m.run("export", "out")
	if code != 0 || !strings.Contains(again, "going on where the last run stopped") {
		t.Errorf("the same command: code %d\n%s", code, again)
	}
	lines := slices.Collect(strings.Lines(again))
	if n := len(slices.DeleteFunc(lines, func(l string) bool { return !strings.Contains(l, " of 26)") })); n != 23 {
		t.Errorf("the same command fetched %d files, want the 23 that were missing", n)
	}
}
