package main

import (
	"strings"
	"testing"

	"github.com/andironhq/andiron/sim/simtest"
)

func TestChartShowsEveryResult(t *testing.T) {
	epic := simtest.Start(t)
	var out strings.Builder
	if err := run(t.Context(), epic.Backend(t), epic.Patient, &out); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), "\n"); got < 10 {
		t.Errorf("the chart of the first patient has %d results, expected a long list:\n%s", got, out.String())
	}
	if !strings.Contains(out.String(), " %") {
		t.Errorf("no HbA1c among the results:\n%s", out.String())
	}
}
