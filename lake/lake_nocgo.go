//go:build !cgo

package lake

import (
	"context"
	"database/sql"
	"iter"
)

// Lake is a DuckDB database, which this program cannot open: it was built with CGO_ENABLED=0, and
// DuckDB is a C++ library. Everything else of the module works without it.
type Lake struct{}

// Open fails with ErrUnsupported.
func Open(path string) (*Lake, error) {
	return nil, &Error{Op: "open", Path: path, Err: ErrUnsupported}
}

// OpenReadOnly fails with ErrUnsupported.
func OpenReadOnly(path string) (*Lake, error) { return Open(path) }

// Close does nothing.
func (*Lake) Close() error { return nil }

// DB is nil.
func (*Lake) DB() *sql.DB { return nil }

// Path is "".
func (*Lake) Path() string { return "" }

// Load fails with ErrUnsupported.
func (*Lake) Load(_ context.Context, dir string, _ LoadOptions) (*LoadResult, error) {
	return nil, &Error{Op: "load", Path: dir, Err: ErrUnsupported}
}

// Tables fails with ErrUnsupported.
func (*Lake) Tables(context.Context) ([]Table, error) {
	return nil, &Error{Op: "tables", Err: ErrUnsupported}
}

// Query fails with ErrUnsupported.
func (*Lake) Query(context.Context, string, ...any) (*Rows, error) {
	return nil, &Error{Op: "query", Err: ErrUnsupported}
}

// Rows is the answer to a query; there are none.
type Rows struct{}

// Columns is empty.
func (*Rows) Columns() []Column { return nil }

// All yields nothing.
func (*Rows) All() iter.Seq2[[]any, error] { return func(func([]any, error) bool) {} }

// Close does nothing.
func (*Rows) Close() error { return nil }
