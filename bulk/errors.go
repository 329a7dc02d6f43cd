package bulk

import (
	"errors"
	"fmt"
	"time"
)

// What callers branch on, with errors.Is.
var (
	// ErrIncomplete: the run ended, but not everything that was asked for lies verified in
	// the folder. The Result says what is missing. Running the Job again asks for that alone.
	ErrIncomplete = errors.New("incomplete")
	// ErrStillRunning: the server is still at work and the Job was told not to wait. It
	// comes as a [*StillRunningError].
	ErrStillRunning = errors.New("still running")
	// ErrCoolDown: the server refuses another export for now. It comes as a [*CoolDownError].
	ErrCoolDown = errors.New("cooling down")
	// ErrBusy: another process works in the folder. It comes as a [*BusyError].
	ErrBusy = errors.New("folder is in use")
	// ErrUnknownKickoff: a kick-off was sent and nobody knows whether it started an export:
	// its answer never came, or was a 408 or a 5xx without an OperationOutcome (not 501, 503
	// and 505, which say that nothing was done). Another one is sent only by a Job with New.
	ErrUnknownKickoff = errors.New("a kick-off was sent and it is not known whether it started an export")
	// ErrLost: the server no longer knows the export: it expired or was deleted there, and
	// files are missing. Those whose URLs still worked were brought all the same. What was
	// verified stays; a Job with New starts the next one.
	ErrLost = errors.New("the server no longer knows this export")
	// ErrFailed: the server said that the export failed, and said so again.
	ErrFailed = errors.New("the server reports that the export failed")
	// ErrCancelled: the export in this folder was cancelled.
	ErrCancelled = errors.New("the export was cancelled")
	// ErrOverdue: the server did not finish within Poll.Limit.
	ErrOverdue = errors.New("the server did not finish in time")
	// ErrDifferent: the folder holds another export than the one asked for.
	ErrDifferent = errors.New("the folder holds another export")
	// ErrForeignFolder: the folder holds data files but no ledger: it is not ours to fill.
	ErrForeignFolder = errors.New("the folder holds data that no ledger knows")
	// ErrNoLedger: there is no export in the folder.
	ErrNoLedger = errors.New("no export in this folder")
	// ErrFolder: the folder cannot be written: it is full, read-only, or failing.
	ErrFolder = errors.New("the folder cannot be written")
	// ErrUnsupported: the dialect does not have what was asked for. Nothing was sent.
	ErrUnsupported = errors.New("not part of this dialect")
	// ErrUnavailable: the server did not answer usefully, too often in a row.
	ErrUnavailable = errors.New("the server does not answer")
	// ErrNoStatusURL: a kick-off was accepted without saying where its status is.
	ErrNoStatusURL = errors.New("kick-off accepted without Content-Location")
	// ErrManifest: an answer that should be the manifest is none.
	ErrManifest = errors.New("no manifest")
)

// Why one file is not verified. Each comes inside an [*Error] with the file's name.
var (
	// ErrOutcome: an OperationOutcome or other answer came in place of the file.
	ErrOutcome = errors.New("an OperationOutcome in place of the file")
	// ErrNotNDJSON: HTML or XML came in place of the file.
	ErrNotNDJSON = errors.New("not NDJSON")
	// ErrDamaged: a line is not valid, or not of the file's type.
	ErrDamaged = errors.New("damaged line")
	// ErrCut: the file ended inside a line, or before its announced length.
	ErrCut = errors.New("cut short")
	// ErrCount: each line is valid, but their number or size is not what the manifest says.
	ErrCount = errors.New("not what the manifest announces")
	// ErrBomb: the file unpacks to an absurd size.
	ErrBomb = errors.New("unpacks to an absurd size")
)

// Error is how every failed step is reported. Its text holds no token, no query, no part of
// an answer's body and nothing of a patient.
type Error struct {
	// Op is the step: "setup", "lock", "ledger", "kick-off", "status", "manifest",
	// "download", "check", "keep", "verify", "cancel".
	Op string
	// File is the name in the folder that the step was about; "" when it was about none.
	File string
	// Err is the cause.
	Err error
}

// Error is one line: step, file, cause.
func (e *Error) Error() string {
	s := "bulk: " + e.Op
	if e.File != "" {
		s += " " + e.File
	}
	return s + ": " + e.Err.Error()
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// StillRunningError says when to ask again. It is an [ErrStillRunning].
type StillRunningError struct {
	// Next is the earliest time for the next poll.
	Next time.Time
	// Progress is the server's own words (X-Progress), "" if it had none.
	Progress string
}

// Error is one line with the time of the next poll, without the server's words.
func (e *StillRunningError) Error() string {
	return "bulk: still running, next poll at " + e.Next.UTC().Format(time.RFC3339)
}

// Is makes it an ErrStillRunning.
func (e *StillRunningError) Is(target error) bool { return target == ErrStillRunning }

// CoolDownError says until when the server wants no other kick-off. It is an [ErrCoolDown].
type CoolDownError struct {
	// Until is the end of the window, by the local clock.
	Until time.Time
	// Err is the refusal; nil when no request was made because the window is known.
	Err error
}

// Error is one line with the end of the window, without the refusal.
func (e *CoolDownError) Error() string {
	return "bulk: kick-off: cooling down until " + e.Until.UTC().Format(time.RFC3339)
}

// Is makes it an ErrCoolDown.
func (e *CoolDownError) Is(target error) bool { return target == ErrCoolDown }

// Unwrap is the server's refusal.
func (e *CoolDownError) Unwrap() error { return e.Err }

// BusyError names the process that holds the folder. It is an [ErrBusy].
type BusyError struct {
	// PID is its process id; 0 if unknown.
	PID int
	// Host is the machine it runs on.
	Host string
}

// Error is one line with the holder, as far as it is known.
func (e *BusyError) Error() string {
	if e.PID == 0 {
		return "bulk: lock: folder is in use by another process"
	}
	return fmt.Sprintf("bulk: lock: folder is in use by process %d on %s", e.PID, e.Host)
}

// Is makes it an ErrBusy.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }
