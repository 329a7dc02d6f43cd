package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// applicationID marks our files, in SQLite's header: "Andi".
const applicationID = 0x416e6469

func (s *Store) openSQLite(ctx context.Context, path string) error {
	if path == "" {
		return ErrURL
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if err := makeFile(path); err != nil {
		return err
	}
	if err := ours(ctx, path); err != nil {
		return err
	}
	// What a crash of a program with another idea of modes has left is narrowed, too.
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Chmod(name, 0o600); err != nil && (name == path || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	s.db, err = openFile(path, url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(20000)", "synchronous(FULL)", "temp_store(MEMORY)", "cache_size(-2000)",
	}})
	if err != nil {
		return err
	}
	if err := s.mark(ctx); err != nil {
		return err
	}
	// SQLite changes the journal's mode only when nobody else is there, and does not wait for that.
	for {
		var mode string
		err := s.db.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode)
		if e, ok := errors.AsType[*sqlite.Error](err); !ok || e.Code()&0xff != lib.SQLITE_BUSY {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func openFile(path string, q url.Values) (*sql.DB, error) {
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer; waiting here is fairer and cheaper than its retries
	return db, nil
}

// makeFile makes the file and the folders above it, where they are missing, for their owner alone.
func makeFile(path string) error {
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // never opened here: closing it would end the locks that this process has on it
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

func makeFolder(dir string) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeFolder(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); errors.Is(err, fs.ErrExist) {
		return nil // another process was faster
	} else if err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// ours looks at a file without locking or changing it, and fails with ErrForeign if it is neither
// empty nor a store.
func ours(ctx context.Context, path string) error {
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return err
	}
	db, err := openFile(path, url.Values{"mode": {"ro"}, "immutable": {"1"}})
	if err != nil {
		return err
	}
	defer db.Close()
	return checkMark(ctx, db)
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// errNew is a database without anything in it.
var errNew = errors.New("empty database")

func checkMark(ctx context.Context, q querier) error {
	err := markOf(ctx, q)
	if errors.Is(err, errNew) {
		return nil
	}
	return err
}

func markOf(ctx context.Context, q querier) error {
	var id, tables, version int64
	err := q.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id)
	if err == nil && id == applicationID {
		return nil
	}
	if err == nil {
		err = q.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version)
	}
	if err == nil {
		err = q.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code()&0xff == lib.SQLITE_NOTADB {
		return ErrForeign
	}
	if err != nil {
		return err
	}
	if id != 0 || version != 0 || tables != 0 {
		return ErrForeign
	}
	return errNew
}

// mark makes an empty file a store.
func (s *Store) mark(ctx context.Context) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if err := markOf(ctx, tx); !errors.Is(err, errNew) {
		return err
	}
	if _, err := tx.ExecContext(ctx, `PRAGMA application_id = 0x416e6469`); err != nil {
		return err
	}
	return tx.Commit()
}
