package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/simtest"
)

func TestPipelineRunsAgainWithoutAskingAgain(t *testing.T) {
	epic := simtest.StartServer(t, &sim.Server{Patients: simtest.Patients, Knobs: sim.Knobs{BulkPolls: -1}}) // ready at once
	dir := t.TempDir()
	var first, second strings.Builder
	for _, out := range []*strings.Builder{&first, &second} {
		err := run(t.Context(), epic.Backend(t), epic.Group, filepath.Join(dir, "export"), filepath.Join(dir, "lake.duckdb"), out)
		if err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() || !strings.Contains(first.String(), "HbA1c") {
		t.Errorf("first run: %q, second: %q", first.String(), second.String())
	}
	if strings.HasPrefix(first.String(), "0 ") {
		t.Errorf("nobody had a high HbA1c: the named diabetic should")
	}
	if n := epic.Count("kickoff"); n != 1 {
		t.Errorf("%d kick-offs for two runs, want 1", n)
	}
}
