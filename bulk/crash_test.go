package bulk

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andironhq/andiron/fhir"
)

var errCrash = errors.New("power cut")

// crash makes the n-th step of folder and ledger fail, and every one after it: what a kill
// leaves behind, at a known place.
func crash(n int64, steps *atomic.Int64) func(op, name string) error {
	return func(string, string) error {
		if steps.Add(1) >= n {
			return errCrash
		}
		return nil
	}
}

// TestEveryCrashPoint ends a run before each of its steps in turn. Nothing torn may lie under
// a final name, the manifest may name only what is there, and the next run must come to the
// same files as an undisturbed one, without a second kick-off and without fetching a finished
// file twice.
func TestEveryCrashPoint(t *testing.T) {
	undisturbed := newBench(t)
	undisturbed.Parallel = 1
	withErrors(undisturbed)
	if res, err := undisturbed.Run(t.Context()); err != nil || !res.Complete {
		t.Fatalf("the undisturbed run should be complete: %v", err)
	}
	want := hashes(t, undisturbed.Dir)

	b := newBench(t)
	withErrors(b)
	var unknown int
	for n := int64(1); ; n++ {
		b.reset()
		b.Job = b.job(filepath.Join(fastDir(t), strconv.FormatInt(n, 10)))
		b.Parallel = 1
		var steps atomic.Int64
		b.hook = crash(n, &steps)
		_, err := b.Run(t.Context())
		if err == nil && steps.Load() < n {
			if n < 60 {
				t.Errorf("a run has %d steps: the harness does not see them", n-1)
			}
			t.Logf("%d crash points, %d of them in the window of the kick-off", n-1, unknown)
			break
		}
		b.whole3(t, n)
		before := b.counts3()
		kickoffs := b.kickoffs()
		res, err := b.again().Run(t.Context())
		if errors.Is(err, ErrUnknownKickoff) {
			if unknown++; b.kickoffs() != kickoffs {
				t.Errorf("crash point %d: unknown, and all the same there was a second kick-off", n)
			}
			j := b.again()
			j.New = true
			res, err = j.Run(t.Context())
		} else if b.kickoffs() != 1 {
			t.Errorf("crash point %d: %d kick-offs, want one", n, b.kickoffs())
		}
		if err != nil || !res.Complete {
			t.Fatalf("crash point %d: the next run should be complete: %v", n, err)
		}
		if got := hashes(t, b.Dir); !maps.Equal(got, want) {
			t.Errorf("crash point %d: the files differ from an undisturbed run's: %v", n, got)
		}
		for name, finished := range before {
			if finished && b.asked("GET", "/files/"+name) != 1 {
				t.Errorf("crash point %d: %s was finished and fetched again", n, name)
			}
		}
		if rep, err := Verify(t.Context(), b.Dir); err != nil || !rep.OK() {
			t.Errorf("crash point %d: the folder should verify: %v %+v", n, err, rep)
		}
		b.noLeak(t)
	}
	if unknown == 0 || unknown > 6 {
		t.Errorf("%d crash points end unknown: want the few between the intent and the answer", unknown)
	}
}

// TestEveryCrashPointOfTheNextRun ends a second run in a folder before each of its steps. At
// no moment may the folder hold files of both runs under a manifest that says complete.
func TestEveryCrashPointOfTheNextRun(t *testing.T) {
	b := newBench(t)
	first, second := lines("Observation", 400), lines("Observation", 41)
	b.files["o1"] = first
	if _, err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	finished := b.Dir
	old := hashes(t, finished)
	b.files["o1"] = second
	for n := int64(1); ; n++ {
		b.reset()
		b.Job = b.job(filepath.Join(fastDir(t), strconv.FormatInt(n, 10)))
		if err := os.CopyFS(b.Dir, os.DirFS(finished)); err != nil {
			t.Fatal(err)
		}
		var steps atomic.Int64
		j := b.again()
		j.New, j.Parallel, j.hook = true, 1, crash(n, &steps)
		_, err := j.Run(t.Context())
		if err == nil && steps.Load() < n {
			t.Logf("%d crash points", n-1)
			break
		}
		if m, err := ReadManifest(b.Dir); err != nil {
			t.Errorf("crash point %d: the folder has lost its manifest: %v", n, err)
		} else if m.Complete {
			if rep, err := Verify(t.Context(), b.Dir); err != nil || !rep.OK() {
				t.Errorf("crash point %d: manifest.json says complete, and the folder does not verify: %v %+v", n, err, rep)
			}
		}
		for range 2 { // the first may find the window of the kick-off
			if _, err = b.again().Run(t.Context()); !errors.Is(err, ErrUnknownKickoff) {
				break
			}
			j := b.again()
			j.New = true
			if _, err = j.Run(t.Context()); err == nil {
				break
			}
		}
		if err != nil {
			t.Fatalf("crash point %d: the next run should be complete: %v", n, err)
		}
		if run, err := Status(t.Context(), b.Dir); err != nil {
			t.Fatal(err)
		} else if run.ID == 1 {
			continue // it stopped before there was a second run: the first is still complete
		}
		if got := read(t, b.Dir, "003.Observation.ndjson"); got != second {
			t.Errorf("crash point %d: the folder does not hold the second run", n)
		}
		for name := range old {
			if _, err := os.Stat(filepath.Join(b.Dir, "previous-001", name)); err != nil {
				t.Errorf("crash point %d: the first run's %s is gone", n, name)
			}
		}
		for _, dir := range []string{b.Dir, filepath.Join(b.Dir, "previous-001")} {
			if rep, err := Verify(t.Context(), dir); err != nil || !rep.OK() {
				t.Errorf("crash point %d: %s should verify: %v %+v", n, filepath.Base(dir), err, rep)
			}
			if m, err := ReadManifest(dir); err != nil || !m.Complete {
				t.Errorf("crash point %d: %s should be complete", n, filepath.Base(dir))
			}
		}
	}
}

func withErrors(b *bench) {
	b.errors, b.deleted = []string{"e1"}, []string{"d1"}
	b.files["e1"] = fmt.Sprintf(outcome, "information", "informational") + "\n"
	b.files["d1"] = `{"resourceType":"Bundle"}` + "\n"
}

// reset forgets what the server has seen.
func (b *bench) reset() {
	b.stub.mu.Lock()
	defer b.stub.mu.Unlock()
	b.log, b.n = nil, map[string]int{}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = nil
}

var finalNames = map[string]string{
	"001.Patient.ndjson": "p1", "002.Condition.ndjson": "c1", "003.Observation.ndjson": "o1",
	"error/001.OperationOutcome.ndjson": "e1", "deleted/001.Bundle.ndjson": "d1",
}

// whole3 demands that whatever has a final name is whole, and that manifest.json names
// nothing else.
func (b *bench) whole3(t *testing.T, n int64) {
	t.Helper()
	for final, name := range finalNames {
		got, err := os.ReadFile(filepath.Join(b.Dir, final))
		if err == nil && string(got) != b.files[name] {
			t.Errorf("crash point %d: %s is torn", n, final)
		}
	}
	m, err := ReadManifest(b.Dir)
	if err != nil {
		return
	}
	for _, list := range [][]File{m.Output, m.Error, m.Deleted} {
		for _, f := range list {
			if _, err := os.Stat(filepath.Join(b.Dir, f.File)); err != nil {
				t.Errorf("crash point %d: manifest.json names %s, which is not there", n, f.File)
			}
		}
	}
	if m.Complete && len(m.Output) != 3 {
		t.Errorf("crash point %d: manifest.json says complete with %d files", n, len(m.Output))
	}
}

// counts3 says which files have their final name.
func (b *bench) counts3() map[string]bool {
	out := map[string]bool{}
	for final, name := range finalNames {
		_, err := os.Stat(filepath.Join(b.Dir, final))
		out[name] = err == nil
	}
	return out
}

// TestCrashHarnessSeesTornFiles is the control: the same harness over a writer that writes
// in place finds files torn. Without it, that none is found above would mean nothing.
func TestCrashHarnessSeesTornFiles(t *testing.T) {
	content := lines("Patient", 30_000)
	var torn, points int
	for n := int64(1); ; n++ {
		dir := t.TempDir()
		var steps atomic.Int64
		f := folder{dir: dir, hook: crash(n, &steps)}
		err := func() error {
			p, err := f.create("001.Patient.ndjson") // in place: the final name from the start
			if err != nil {
				return err
			}
			if _, err := p.Write([]byte(content)); err != nil {
				return err
			}
			return p.sync()
		}()
		if err == nil {
			break
		}
		points++
		if got, err := os.ReadFile(filepath.Join(dir, "001.Patient.ndjson")); err == nil && string(got) != content {
			torn++
		}
	}
	if torn == 0 {
		t.Errorf("%d crash points of a writer in place, and no torn file was seen", points)
	}
}

// TestOrderOfSteps holds the order that makes a crash harmless also when the power fails and
// takes with it what was not synced: contents, name, folder, ledger.
func TestOrderOfSteps(t *testing.T) {
	b := newBench(t)
	b.Parallel = 1
	var mu sync.Mutex
	var steps []string
	b.hook = func(op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		if op != "append" {
			steps = append(steps, op+" "+name)
		}
		return nil
	}
	if _, err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(steps, "\n")
	for _, order := range [][]string{
		{"ledger commit run sent", "ledger committed run sent", "ledger commit run running", "ledger commit manifest", "rename 001.Patient.ndjson"},
		{
			"ledger committed file downloading", "write .001.Patient.ndjson.part", "sync .001.Patient.ndjson.part", "rename 001.Patient.ndjson",
			"syncdir 001.Patient.ndjson", "ledger commit file verified",
		},
		{"rename 003.Observation.ndjson", "sync .manifest.json.part", "rename manifest.json", "syncdir manifest.json", "ledger commit run done"},
	} {
		at := 0
		for _, step := range order {
			i := strings.Index(all[at:], step)
			if i < 0 {
				t.Errorf("%q should come after the steps before it in %q", step, order)
				break
			}
			at += i + len(step)
		}
	}
	// Nothing is renamed between its last write and its sync.
	for i, s := range steps {
		if name, ok := strings.CutPrefix(s, "rename "); ok && i > 0 && steps[i-1] != "sync "+partName(name) {
			t.Errorf("%s was renamed after %q, not after its sync", name, steps[i-1])
		}
	}
}

// TestKill kills a child process at random moments, again and again, then lets a last one
// finish.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("kills child processes")
	}
	rounds := 1
	if os.Getenv("ANDIRON_SOAK") != "" {
		rounds = 10
	}
	for round := range rounds {
		killed(t, uint64(round))
	}
}

func killed(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	b := newBench(t)
	b.polls = 2
	b.names, b.files = nil, map[string]string{}
	for i := range 24 {
		name := fmt.Sprintf("o%d", i)
		b.names = append(b.names, name)
		b.files[name] = lines("Observation", 20+i*30)
	}
	started := make(chan struct{}, 1000)
	b.file = func(w http.ResponseWriter, r *http.Request, name string, _ int) bool {
		body := b.files[name]
		chunked(w, body[:len(body)/2])
		http.NewResponseController(w).Flush()
		started <- struct{}{}
		time.Sleep(time.Millisecond) // so that kills fall into transfers
		w.Write([]byte(body[len(body)/2:]))
		return true
	}
	undisturbed := b.job(filepath.Join(t.TempDir(), "undisturbed"))
	if _, err := undisturbed.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := hashes(t, undisturbed.Dir)
	b.reset()

	var windows, kills int
	for kills < 20 {
		dir := b.Dir
		cmd, done := child(t, b, dir)
		// A moment in the life of a child: by the clock, or when a file has begun to come.
		switch kills % 2 {
		case 0:
			time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
		case 1:
			for len(started) > 0 {
				<-started
			}
			select {
			case <-started:
			case <-done:
			case <-time.After(2 * time.Second):
			}
		}
		cmd.Process.Kill()
		<-done
		kills++
		for name, sum := range hashesOf(t, dir) {
			if strings.HasSuffix(name, ".part") || strings.HasPrefix(name, ".") {
				continue
			}
			if want[name] != sum {
				t.Fatalf("after kill %d: %s is torn", kills, name)
			}
		}
		if run, err := Status(t.Context(), dir); err == nil && (run.State == StateSent || run.State == StateUnknown) {
			// The one window: nothing may follow from here but a word from a human.
			windows++
			n := b.kickoffs()
			if _, err := b.again().Run(t.Context()); !errors.Is(err, ErrUnknownKickoff) || b.kickoffs() != n {
				t.Fatalf("in the window of the kick-off: got %v and %d more kick-offs", err, b.kickoffs()-n)
			}
			b.Dir = filepath.Join(t.TempDir(), "again")
			b.reset()
		}
	}
	res, err := b.again().Run(t.Context())
	if err != nil || !res.Complete {
		t.Fatalf("the last run should be complete: %v", err)
	}
	if got := hashes(t, b.Dir); !maps.Equal(got, want) {
		t.Errorf("the files differ from those of an undisturbed run")
	}
	if n := b.kickoffs(); n != 1 {
		t.Errorf("%d kick-offs in all, want one", n)
	}
	var twice int
	for _, name := range b.names {
		if n := b.asked("GET", "/files/"+name); n > 1 {
			twice += n - 1
		}
	}
	// A file that was under way when a kill came is asked for again: up to 4 of them a kill.
	if twice > 4*kills {
		t.Errorf("%d repeated requests after %d kills: finished files were fetched again", twice, kills)
	}
	finishedTwice(t, b)
	if rep, err := Verify(t.Context(), b.Dir); err != nil || !rep.OK() {
		t.Errorf("the folder should verify: %v %+v", err, rep)
	}
	t.Logf("%d kills, %d of them in the window of the kick-off, %d transfers repeated", kills, windows, twice)
}

// finishedTwice holds the log against the requests: a file whose download was complete is
// asked for no more.
func finishedTwice(t *testing.T, b *bench) {
	t.Helper()
	completed := map[string]bool{}
	for _, line := range strings.Split(read(t, b.Dir, logName), "\n") {
		for _, name := range b.names {
			if !strings.Contains(line, "/files/"+name+`"`) {
				continue
			}
			if strings.Contains(line, `"download_request"`) && completed[name] {
				t.Errorf("%s was finished and asked for again", name)
			}
			completed[name] = completed[name] || strings.Contains(line, `"download_complete"`)
		}
	}
}

func hashesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	if _, err := os.Stat(dir); err != nil {
		return nil
	}
	return hashes(t, dir)
}

// child runs the job in a process of its own, with real time.
func child(t *testing.T, b *bench, dir string) (*exec.Cmd, chan struct{}) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), "BULK_CHILD="+dir, "BULK_BASE="+b.base())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		cmd.Wait()
		close(done)
	}()
	return cmd, done
}

// TestChild is the child of other tests.
func TestChild(t *testing.T) {
	dir := os.Getenv("BULK_CHILD")
	if dir == "" {
		t.Skip("runs as a child of other tests")
	}
	j := &Job{
		Client: &fhir.Client{Base: os.Getenv("BULK_BASE"), Auth: &tokens{}, Limits: fhir.Limits{PerMinute: -1}},
		Dir:    dir, Group: "g1", Poll: Poll{Floor: time.Millisecond, Cap: time.Millisecond},
	}
	if os.Getenv("BULK_HOLD") != "" {
		j.Progress = func(e Event) {
			if e.Kind == KindKickoff {
				select {} // until it is killed
			}
		}
	}
	res, err := j.Run(t.Context())
	fmt.Println("child:", res != nil, err)
}

// TestLock: row 33 of the fault table.
func TestLock(t *testing.T) {
	b := newBench(t)
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BULK_HOLD", "1")
	cmd, done := child(t, b, b.Dir)
	for b.kickoffs() == 0 {
		select {
		case <-done:
			t.Fatal("the child ended early")
		case <-time.After(5 * time.Millisecond):
		}
	}
	_, err := b.Run(t.Context())
	var busy *BusyError
	if !errors.As(err, &busy) || busy.PID != cmd.Process.Pid || busy.Host == "" {
		t.Errorf("got %v, want a BusyError that names process %d", err, cmd.Process.Pid)
	}
	if run, err := Status(t.Context(), b.Dir); err != nil || run.ID != 1 {
		t.Errorf("the status should be readable meanwhile: %v", err)
	}
	if err := Cancel(t.Context(), b.Client, b.Dir); !errors.Is(err, ErrBusy) {
		t.Errorf("cancel: got %v, want ErrBusy", err)
	}
	cmd.Process.Kill()
	<-done
	res, err := b.again().Run(t.Context())
	b.complete(t, res, err)
	if b.kickoffs() != 1 {
		t.Error("there was a second kick-off")
	}
}
