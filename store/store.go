package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/andironhq/andiron/smart"
)

// Options say how a [Store] is opened. One of Seal and InsecureUnsealed must be set.
type Options struct {
	// Seal seals and opens the data.
	Seal *Seal
	// InsecureUnsealed writes tokens to the disk in clear for all who can read the file or the
	// database. Together with Seal it seals what is written and also reads what was written
	// unsealed, which Reseal then seals.
	InsecureUnsealed bool
	// Password is that of the PostgreSQL role. Zero means the one in the URL, or as libpq finds it.
	Password smart.Secret
	// InsecurePlaintext permits PostgreSQL on another machine without TLS.
	InsecurePlaintext bool
	// Now is the clock that ends records and leases. Nil means the database's own clock for
	// PostgreSQL and time.Now for SQLite.
	Now func() time.Time
}

// Store is an open database. It is safe for use by several goroutines, and several processes may have
// the same database open.
type Store struct {
	db       *sql.DB
	pool     *pgxpool.Pool // nil for SQLite
	postgres bool
	o        Options
}

// Open opens a store and brings its tables up to date; of several processes that start at once, one
// does. The URL is
//
//	file:PATH, or a plain path    SQLite; made when missing, 0600 in folders of 0700
//	postgres://…                  PostgreSQL, as libpq reads it; TLS is required but for this machine
//
// A file that is something else is refused with [ErrForeign] and left as it is; tables of a newer
// program with [ErrNewer].
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	if !o.InsecureUnsealed && (o.Seal == nil || len(o.Seal.keys) == 0) {
		return nil, &Error{Op: "open", Err: ErrNoSeal}
	}
	s := &Store{o: o}
	var err error
	switch path, isFile := strings.CutPrefix(url, "file:"); {
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		s.postgres = true
		err = s.openPostgres(ctx, url)
	case isFile:
		err = s.openSQLite(ctx, strings.TrimPrefix(path, "//"))
	case strings.Contains(url, "://"):
		err = ErrURL
	default:
		err = s.openSQLite(ctx, url)
	}
	if err == nil {
		err = s.migrate(ctx)
	}
	if err != nil {
		_ = s.close() // err says why
		return nil, fail(ctx, "open", err)
	}
	return s, nil
}

// Close ends the connections. Leases stay until they end.
func (s *Store) Close() error {
	if err := s.close(); err != nil {
		return fail(context.Background(), "close", err)
	}
	return nil
}

func (s *Store) close() error {
	var err error
	if s.db != nil {
		err = s.db.Close()
	}
	if s.pool != nil {
		s.pool.Close()
	}
	return err
}

// sql puts a statement, written with ?1 for the first parameter, into the words of the database. {now} is
// the time in microseconds, and ?1 is its parameter: null means the database's clock.
func (s *Store) sql(text string) string {
	if !s.postgres {
		return strings.ReplaceAll(text, "{now}", "?1")
	}
	text = strings.ReplaceAll(text, "{now}", "COALESCE(CAST(?1 AS BIGINT), CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT))")
	return strings.ReplaceAll(text, "?", "$")
}

func (s *Store) now() any {
	switch {
	case s.o.Now != nil:
		return s.o.Now().UnixMicro()
	case s.postgres:
		return nil
	}
	return time.Now().UnixMicro()
}
