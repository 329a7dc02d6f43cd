package lake

import (
	"errors"
	"fmt"
)

// What callers branch on. Each of them is wrapped by an [Error] or by the types below.
var (
	// ErrLocked: another process holds the database file. The error is a [LockedError].
	ErrLocked = errors.New("held by another process")

	// ErrIncomplete: everything that could be loaded is loaded, but lines were quarantined or
	// files could not be read to their end. The error is an [IncompleteError].
	ErrIncomplete = errors.New("loaded incompletely")

	// ErrUnfinished: the folder's manifest says that its export is not complete, or names a
	// file that is not there. Nothing was loaded.
	ErrUnfinished = errors.New("the export in this folder is not complete")

	// ErrMismatch: a file is not the one that the folder's manifest describes. Nothing was loaded.
	ErrMismatch = errors.New("not the file that the manifest describes")

	// ErrEmpty: the folder holds no NDJSON file, and no manifest says that this is right.
	ErrEmpty = errors.New("no NDJSON file in this folder")

	// ErrUnsupported: this program was built without cgo, and DuckDB needs it.
	ErrUnsupported = errors.New("built without cgo, so without DuckDB")
)

// Error is a failure of one operation. It names the operation and the file or folder, never what
// stands in the data.
type Error struct {
	Op   string // open, load, rebuild, query, tables
	Path string // the database, the folder or the file in it; "" when none is meant
	Line int64  // the line in the file, from 1; 0 when none is meant
	Err  error
}

func (e *Error) Error() string {
	s := "lake: " + e.Op
	if e.Path != "" {
		s += " " + e.Path
	}
	if e.Line > 0 {
		s += fmt.Sprintf(" line %d", e.Line)
	}
	return s + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// LockedError says who holds the database file, as far as the operating system tells.
// errors.Is(err, ErrLocked) finds it.
type LockedError struct {
	PID     int    // 0 when unknown
	Program string // path of the holder's program; "" when unknown
}

func (e *LockedError) Error() string {
	switch {
	case e.PID != 0 && e.Program != "":
		return fmt.Sprintf("%v: %s (pid %d)", ErrLocked, e.Program, e.PID)
	case e.PID != 0:
		return fmt.Sprintf("%v: pid %d", ErrLocked, e.PID)
	}
	return ErrLocked.Error()
}

// Unwrap makes errors.Is(err, ErrLocked) true.
func (e *LockedError) Unwrap() error { return ErrLocked }

// IncompleteError counts what a Load could not take. errors.Is(err, ErrIncomplete) finds it; the
// [LoadResult] that comes with it names each file, the table load_quarantine each line.
type IncompleteError struct {
	Lines int64   // lines that were set aside
	Files []error // one for each file that is not in the lake, each an *Error
}

func (e *IncompleteError) Error() string {
	s := ErrIncomplete.Error()
	if e.Lines > 0 {
		s += fmt.Sprintf(", %d %s set aside", e.Lines, plural(e.Lines, "line", "lines"))
	}
	if n := int64(len(e.Files)); n > 0 {
		s += fmt.Sprintf(", %d %s left out", n, plural(n, "file", "files"))
	}
	return s
}

// Unwrap makes errors.Is(err, ErrIncomplete) true, and each file's cause can be found as well.
func (e *IncompleteError) Unwrap() []error { return append([]error{ErrIncomplete}, e.Files...) }

func plural(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
