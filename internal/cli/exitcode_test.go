package cli

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/andironhq/andiron/bulk"
	"github.com/andironhq/andiron/fhir"
)

// An export ends with the code of its state, which the next command finds too, and not with the
// code of whatever went wrong on the way there.
func TestExportStatesHaveOneExitCode(t *testing.T) {
	causes := []struct {
		name string
		err  error
	}{
		{"found in the ledger", nil},
		{"a gateway's timeout", &fhir.Error{Op: "kick-off", Status: 504}},
		{"a refusal", &fhir.Error{Op: "status", Status: 403}},
		{"a lost connection", &fhir.Error{Op: "kick-off", Err: &net.OpError{Op: "read", Err: errors.New("reset")}}},
	}
	states := []struct {
		err  error
		want int
	}{
		{bulk.ErrUnknownKickoff, exitFailed},
		{bulk.ErrFailed, exitFailed},
		{bulk.ErrLost, exitNotFound},
	}
	a := &app{}
	for _, s := range states {
		for _, c := range causes {
			t.Run(s.err.Error()+"/"+c.name, func(t *testing.T) {
				err := s.err
				if c.err != nil {
					err = fmt.Errorf("%w: %w", s.err, c.err)
				}
				err = a.exportProblem(t.Context(), "out", &bulk.Error{Op: "status", Err: err})
				if got := exitCode(err); got != s.want {
					t.Errorf("the exit code is %d, want %d", got, s.want)
				}
			})
		}
	}
}
