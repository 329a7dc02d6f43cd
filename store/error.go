package store

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// What callers branch on, with errors.Is. Each comes inside an *Error.
var (
	// ErrNoSeal: neither Options.Seal nor Options.InsecureUnsealed is set.
	ErrNoSeal = errors.New("no seal key")
	// ErrBadKey: a seal key is not 32 random bytes.
	ErrBadKey = errors.New("seal key is not 32 random bytes")
	// ErrSealed: a record cannot be opened: it was sealed with a key that is not at hand, or changed.
	ErrSealed = errors.New("record does not open with the keys at hand")
	// ErrForeign: the file is there and is not a store.
	ErrForeign = errors.New("file is not a store")
	// ErrNewer: a newer program has changed the tables.
	ErrNewer = errors.New("tables are of a newer version than this program knows")
	// ErrURL: the store's URL is neither file: nor postgres:, or cannot be read.
	ErrURL = errors.New("store must be file:PATH or postgres://…")
	// ErrPlaintext: the URL permits a connection without TLS to another machine.
	ErrPlaintext = errors.New("PostgreSQL without TLS refused")
)

// Error is how everything in this package fails, but for the answers that an interface names, such as
// smart.ErrNoRecord. It holds no data, no key and no password, and nothing of the database's own
// sentences, which may.
type Error struct {
	// Op is what was being done: "open", "migrate", "create", "get", "take" …
	Op string
	// Code is the database's code: an SQLSTATE such as "42501", or SQLite's "(5) database is locked".
	// "" if the database said none.
	Code string
	// Err is the cause; nil when the code says it all.
	Err error
}

// Error is one line: operation, code, cause.
func (e *Error) Error() string {
	s := "store: " + e.Op
	if e.Code != "" {
		s += ": " + e.Code
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

var errDatabase = errors.New("database failed")

// fail makes an Error of what a database or the operating system said, and keeps of it what is known
// to hold no data.
func fail(ctx context.Context, op string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	out := &Error{Op: op}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		out.Code = "SQLSTATE " + e.Code
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		out.Code = sqlite.ErrorCodeString[e.Code()]
		if out.Code == "" {
			out.Code = sqlite.ErrorCodeString[e.Code()&0xff]
		}
	}
	path, isPath := errors.AsType[*fs.PathError](err)
	dns, isDNS := errors.AsType[*net.DNSError](err)
	errno, isErrno := errors.AsType[syscall.Errno](err)
	switch {
	case ctx.Err() != nil:
		out.Err = ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		out.Err = context.DeadlineExceeded
	case isPath:
		out.Err = path
	case isDNS:
		out.Err = errors.New(dns.Err)
	case isErrno:
		out.Err = errno
	case out.Code == "":
		out.Err = errDatabase
		for _, known := range []error{ErrNoSeal, ErrBadKey, ErrSealed, ErrForeign, ErrNewer, ErrURL, ErrPlaintext} {
			if errors.Is(err, known) {
				out.Err = known
			}
		}
	}
	return out
}
