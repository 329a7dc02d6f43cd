package bulk

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestOneDeadFileDoesNotStopTheOthers: a file's URL is dead, and so is the export itself, while
// other files are on their way or in the queue. Their URLs still work.
func TestOneDeadFileDoesNotStopTheOthers(t *testing.T) {
	ends := []struct {
		name  string
		end   http.HandlerFunc // what the status URL says by then
		want  error
		state State
	}{
		{"the server no longer knows the export", status(404, ""), ErrLost, StateLost},
		{
			"the server says that the export failed",
			status(500, fmt.Sprintf(outcome, "fatal", "processing"), "Content-Type", "application/fhir+json"), ErrFailed, StateFailed,
		},
	}
	for _, tt := range ends {
		t.Run(tt.name, func(t *testing.T) {
			b := dying(t, tt.end)
			given := make(chan struct{})
			b.onFailed(func() { close(given) })
			b.file = func(w http.ResponseWriter, r *http.Request, name string, _ int) bool {
				switch name {
				case "c1":
					http.NotFound(w, r)
					return true
				case "p1": // on its way all the time
					chunked(w, b.files["p1"][:10])
					select {
					case <-given:
						w.Write([]byte(b.files["p1"][10:]))
					case <-r.Context().Done():
					}
					return true
				}
				return false
			}
			_, err := b.Run(t.Context())
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			want := []string{"001.Condition.ndjson", "002.Patient.ndjson", "003.Observation.ndjson", "004.Encounter.ndjson", "005.Goal.ndjson"}
			if got := data(t, b.Dir); !slices.Equal(got, want[1:]) {
				t.Errorf("the folder holds %v, want all files but the dead one", got)
			}
			run, err := Status(t.Context(), b.Dir)
			if err != nil {
				t.Fatal(err)
			}
			if run.State != tt.state || run.Finished.IsZero() {
				t.Errorf("the run is %q, finished %v; want %q with a time", run.State, run.Finished, tt.state)
			}
			for i, f := range run.Files {
				if state := map[bool]FileState{true: FileFailed, false: FileVerified}[i == 0]; f.File != want[i] || f.State != state {
					t.Errorf("%s is %s, want %s", f.File, f.State, state)
				}
			}
			m, err := ReadManifest(b.Dir)
			if err != nil || m.Complete || len(m.Output) != 4 || len(m.Absent) != 1 || m.Absent[0].File != want[0] {
				t.Errorf("manifest.json should list four files and one absent, and not be complete: %+v, %v", m, err)
			}
			asked := b.total()
			if _, err := b.again().Run(t.Context()); !errors.Is(err, tt.want) || b.total() != asked {
				t.Errorf("rerun: got %v after %d requests, want %v after none", err, b.total()-asked, tt.want)
			}
			b.noLeak(t)
		})
	}

	t.Run("the status URL is asked for one of several dead files alone", func(t *testing.T) {
		b := dying(t, status(410, ""))
		b.file = func(w http.ResponseWriter, r *http.Request, name string, _ int) bool {
			if name != "o1" {
				http.NotFound(w, r)
			}
			return name != "o1"
		}
		if _, err := b.Run(t.Context()); !errors.Is(err, ErrLost) {
			t.Errorf("got %v, want ErrLost", err)
		}
		if n := b.asked("GET", "/jobs/"); n != 3 {
			t.Errorf("%d requests of the status URL, want one for the manifest and two that it is gone", n)
		}
		if got := data(t, b.Dir); !slices.Equal(got, []string{"003.Observation.ndjson"}) {
			t.Errorf("the folder holds %v, want the file whose URL works", got)
		}
	})

	t.Run("a file that may still come keeps the run open", func(t *testing.T) {
		b := dying(t, status(404, ""))
		var well atomic.Bool
		b.file = func(w http.ResponseWriter, r *http.Request, name string, _ int) bool {
			switch {
			case name == "c1":
				http.NotFound(w, r)
			case name == "o1" && !well.Load():
				w.WriteHeader(http.StatusServiceUnavailable)
			default:
				return false
			}
			return true
		}
		res, err := b.Run(t.Context())
		b.incomplete(t, res, err)
		well.Store(true)
		if _, err := b.again().Run(t.Context()); !errors.Is(err, ErrLost) {
			t.Errorf("rerun: got %v, want ErrLost", err)
		}
		if got := data(t, b.Dir); len(got) != 4 || slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "Condition") }) {
			t.Errorf("the folder holds %v, want all files but the dead one", got)
		}
	})
}

// dying is an export of five files of which the status URL answers once with the manifest,
// and then as told.
func dying(t *testing.T, end http.HandlerFunc) *bench {
	b := newBench(t)
	b.Parallel = 2
	b.names = []string{"c1", "p1", "o1", "e1", "g1"}
	b.files["e1"], b.files["g1"] = lines("Encounter", 4), lines("Goal", 2)
	b.status = func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n == 1 {
			return false
		}
		end(w, r)
		return true
	}
	return b
}

// onFailed calls f when the first file is given up.
func (b *bench) onFailed(f func()) {
	var once sync.Once
	tell := b.Progress
	b.Progress = func(e Event) {
		if tell(e); e.Kind == KindFailed {
			once.Do(f)
		}
	}
}
