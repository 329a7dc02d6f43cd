package bulk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/andironhq/andiron/bulk"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/simtest"
)

// job exports the simulated Epic's group of all patients. Waiting moves the server's clock.
func job(t *testing.T, e *simtest.Epic, dir string) *bulk.Job {
	t.Helper()
	return &bulk.Job{
		Client: e.Backend(t), Dir: dir, Group: e.Group, Now: e.Now,
		Wait: func(ctx context.Context, d time.Duration) error { e.Advance(d); return ctx.Err() },
	}
}

func count(t *testing.T, dir string) map[string]int {
	t.Helper()
	m, err := bulk.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, f := range m.Output {
		file, err := os.Open(filepath.Join(dir, f.File))
		if err != nil {
			t.Fatal(err)
		}
		for line, err := range r4.Lines(file) {
			if err != nil {
				t.Fatal(err)
			}
			res, err := r4.Unmarshal(line.Data)
			if err != nil {
				t.Fatalf("%s, line %d: %v", f.File, line.Number, err)
			}
			out[res.ResourceType()]++
		}
		file.Close()
	}
	return out
}

func TestExportFromEpic(t *testing.T) {
	e := simtest.Start(t)
	dir := filepath.Join(t.TempDir(), "out")
	var dialect bulk.Event
	j := job(t, e, dir)
	j.Progress = func(ev bulk.Event) {
		if ev.Kind == bulk.KindDialect {
			dialect = ev
		}
	}
	start := e.Now()
	res, err := j.Run(t.Context())
	if err != nil {
		t.Fatalf("%v; issues: %+v", err, res)
	}
	if dialect.Dialect != bulk.Epic {
		t.Errorf("dialect %q because %q, want epic", dialect.Dialect, dialect.Text)
	}
	if n := count(t, dir)["Patient"]; n != simtest.Patients {
		t.Errorf("%d patients, want %d", n, simtest.Patients)
	}
	if waited := e.Now().Sub(start); waited < 10*time.Minute {
		t.Errorf("waited %v in all: Epic advises 10 minutes between polls", waited)
	}
	if e.Count("kickoff") != 1 || e.Count("delete") != 1 {
		t.Errorf("%d kick-offs and %d deletes, want one of each", e.Count("kickoff"), e.Count("delete"))
	}
	if rep, err := bulk.Verify(t.Context(), dir); err != nil || !rep.OK() {
		t.Errorf("the folder should verify: %v %+v", err, rep)
	}
	files := e.Count("file")
	if res, err := job(t, e, dir).Run(t.Context()); err != nil || !res.Already || e.Count("file") != files {
		t.Errorf("a second run should do nothing: %v", err)
	}

	next := job(t, e, dir)
	next.New = true
	var cool *bulk.CoolDownError
	if _, err := next.Run(t.Context()); !errors.As(err, &cool) {
		t.Fatalf("within Epic's window: got %v, want a cool-down", err)
	}
	kickoffs := e.Count("kickoff")
	if _, err := next.Run(t.Context()); !errors.Is(err, bulk.ErrCoolDown) || e.Count("kickoff") != kickoffs {
		t.Errorf("the window is known now, and all the same the server was asked: %v", err)
	}
	e.Advance(cool.Until.Sub(e.Now()))
	if res, err := next.Run(t.Context()); err != nil || res.Run != 2 {
		t.Errorf("after the window: %v", err)
	}
}

func TestExportOfChosenTypes(t *testing.T) {
	e := simtest.Start(t)
	dir := filepath.Join(t.TempDir(), "out")
	j := job(t, e, dir)
	j.Types = []string{"Patient", "Observation"}
	j.TypeFilters = []string{"Observation?category=laboratory,vital-signs"}
	res, err := j.Run(t.Context())
	if err != nil {
		t.Fatalf("%v: %+v", err, res)
	}
	var types []string
	for typ, n := range count(t, dir) {
		if n > 0 {
			types = append(types, typ)
		}
	}
	slices.Sort(types)
	if !slices.Equal(types, []string{"Observation", "Patient"}) {
		t.Errorf("types %v came", types)
	}
}

// TestFaultsOfEpic plays faults of the simulator that the stub of this package does not have
// in the same form.
func TestFaultsOfEpic(t *testing.T) {
	tests := []struct {
		name  string
		fault sim.Fault
	}{
		{"files break off, each once", sim.Fault{Op: "file", Cut: sim.CutReset, After: 1000, Times: 3}},
		{"files end early, each once", sim.Fault{Op: "file", Cut: sim.CutShort, After: 1000, Times: 3}},
		{"status answers 500 twice", sim.Fault{Op: "status", Status: 500, Times: 2}},
		{"status answers HTML twice", sim.Fault{Op: "status", Status: 503, Body: "html", Times: 2}},
		{"status answers HTML with 200 once", sim.Fault{Op: "status", Status: 200, Body: "html", Times: 1}},
		{"files answer 503 twice", sim.Fault{Op: "file", Status: 503, RetryAfter: "3", Times: 2}},
		{"a file is HTML once", sim.Fault{Op: "file", Status: 200, Body: "html", Times: 1}},
		{"status has an epoch as Retry-After", sim.Fault{Op: "status", Status: 429, RetryAfter: "1777622400000", Times: 1}},
		{"delete fails", sim.Fault{Op: "delete", Status: 500}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := simtest.Start(t)
			e.Fail(tt.fault)
			dir := filepath.Join(t.TempDir(), "out")
			j := job(t, e, dir)
			j.Types = []string{"Patient", "Condition", "Observation"}
			c := j.Client
			c.Wait = j.Wait
			res, err := j.Run(t.Context())
			if err != nil || !res.Complete {
				t.Fatalf("the run should be complete: %v %+v", err, res)
			}
			if rep, err := bulk.Verify(t.Context(), dir); err != nil || !rep.OK() {
				t.Errorf("the folder should verify: %v %+v", err, rep)
			}
			if e.Count("kickoff") != 1 {
				t.Errorf("%d kick-offs, want one", e.Count("kickoff"))
			}
		})
	}
}

func TestGuideDialect(t *testing.T) {
	e := simtest.StartServer(t, &sim.Server{Patients: 5, Knobs: sim.GuideDialect()})
	dir := filepath.Join(t.TempDir(), "out")
	j := job(t, e, dir)
	j.Group, j.Level = "", "system"
	j.Types = []string{"Patient", "Condition"}
	j.Client.Wait = j.Wait
	if res, err := j.Run(t.Context()); err != nil || count(t, dir)["Patient"] != 5 {
		t.Errorf("the system-level export of the guide's dialect: %v %+v", err, res)
	}
}

func Example() {
	t := &testingT{}
	defer t.end()
	server := simtest.Start(t) // a simulated Epic; any FHIR server will do
	dir, err := os.MkdirTemp("", "export")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	j := &bulk.Job{
		Client: server.Backend(t),
		Dir:    filepath.Join(dir, "diabetes"),
		Group:  server.Group,
		Types:  []string{"Patient", "Condition"},
		Poll:   bulk.Poll{Floor: time.Millisecond}, // Epic's pace is ten minutes
	}
	res, err := j.Run(context.Background())
	if err != nil {
		fmt.Println(err) // run it again: it goes on
		return
	}
	for _, f := range res.Output {
		if f.Type == "Patient" {
			fmt.Println(f.File, f.Count)
		}
	}
	// Output: 001.Patient.ndjson 12
}
