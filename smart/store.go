package smart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// What a [Store] answers, for errors.Is.
var (
	// ErrNoRecord: there is no record under the key, or it has expired.
	ErrNoRecord = errors.New("smart: no record")
	// ErrExists: there is a record under the key already.
	ErrExists = errors.New("smart: record exists")
	// ErrConflict: the record is not the version that was to be replaced.
	ErrConflict = errors.New("smart: record was changed by another")
)

// Store keeps what an [App] must remember between requests: launches on their way, and sessions with
// their tokens. A nil Store in an App is the memory of one process; package store has SQLite and
// PostgreSQL. A store of your own must pass store/storetest.
//
// Keys say their kind and a hash ("session/…"): who reads the keys alone can use none of them. Data
// holds tokens in clear: whatever writes it to a disk seals it first.
//
// All methods are atomic and safe for use by many goroutines and processes. An expired record is as
// good as gone, whether Purge has run or not.
type Store interface {
	// Create adds a record; its version becomes 1. It fails with ErrExists if there is one
	// under the key that has not expired.
	Create(ctx context.Context, key string, r Record) error
	// Get reads a record, or fails with ErrNoRecord.
	Get(ctx context.Context, key string) (Record, error)
	// Take reads a record and deletes it in one step: of any number of callers one gets it,
	// the others ErrNoRecord.
	Take(ctx context.Context, key string) (Record, error)
	// Replace writes a record over version r.Version and returns the new version, which is
	// greater. It fails with ErrConflict if the stored version is another one, and with
	// ErrNoRecord if there is none.
	Replace(ctx context.Context, key string, r Record) (version int64, err error)
	// Delete removes a record. It is no error if there is none.
	Delete(ctx context.Context, key string) error
	// Lease gives the key to holder for d, unless another holder has it: then it returns
	// false. A holder that asks again has d from now. A lease needs no record.
	Lease(ctx context.Context, key, holder string, d time.Duration) (bool, error)
	// Release ends the holder's lease; that of another stays.
	Release(ctx context.Context, key, holder string) error
	// Purge deletes what has expired and returns how many records that were.
	Purge(ctx context.Context) (int, error)
}

// Record is one entry of a [Store]. It prints without its data, also as JSON: a store writes its
// fields.
type Record struct {
	// Kind is "launch", "session" or another word for what Data is.
	Kind string
	// Data is the content, JSON. It holds secrets.
	Data []byte
	// Version counts the writes, from 1; the Store sets it.
	Version int64
	// Expires is when the record ends. Zero means never.
	Expires time.Time
}

// String is kind and version.
func (r Record) String() string {
	return fmt.Sprintf("%s record, version %d", r.Kind, r.Version)
}

// Format prints String whatever the verb.
func (r Record) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue is String.
func (r Record) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalText is String.
func (r Record) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
