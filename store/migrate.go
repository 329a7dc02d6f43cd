package store

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed migrations
var migrations embed.FS

const versionTable = "andiron_version"

// migrate brings the tables up to date, in one transaction: of several processes one does it, the others
// wait, and a failure leaves nothing behind.
func (s *Store) migrate(ctx context.Context) error {
	dialect, dir := goose.DialectSQLite3, "migrations/sqlite"
	if s.postgres {
		dialect, dir = goose.DialectPostgres, "migrations/postgres"
	}
	files, err := fs.Sub(migrations, dir)
	if err != nil {
		return err
	}
	table, err := database.NewStore(dialect, versionTable)
	if err != nil {
		return err
	}
	lock := &migration{table: table, begin: "BEGIN IMMEDIATE", postgres: s.postgres}
	if s.postgres {
		lock.begin = "BEGIN"
	}
	p, err := goose.NewProvider("", s.db, files, goose.WithStore(table),
		goose.WithSessionLocker(lock), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	sources := p.ListSources()
	lock.known = sources[len(sources)-1].Version
	// Most times there is nothing to do, and perhaps no right to do it.
	if has, err := s.version(ctx, lock); err != nil || has == lock.known {
		return err
	}
	if _, err = p.Up(ctx); err != nil {
		return fail(ctx, "migrate", err)
	}
	return nil
}

// version is that of the tables, 0 if there are none.
func (s *Store) version(ctx context.Context, m *migration) (int64, error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }() // it goes back to the pool
	return m.version(ctx, conn)
}

// migration is goose's lock: the transaction in which the migrations run. They are marked NO TRANSACTION,
// so that goose begins none of its own.
type migration struct {
	table    database.Store
	begin    string
	postgres bool
	known    int64
}

// migrationLock is the number of the advisory lock: "Andi".
const migrationLock = `SELECT pg_advisory_xact_lock(1097753705)`

// SessionLock begins.
func (m *migration) SessionLock(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, m.begin); err != nil {
		return err
	}
	err := m.prepare(ctx, conn)
	if err != nil {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // err says why
	}
	return err
}

func (m *migration) prepare(ctx context.Context, conn *sql.Conn) error {
	if m.postgres {
		if _, err := conn.ExecContext(ctx, migrationLock); err != nil {
			return err
		}
	}
	exists, err := m.exists(ctx, conn)
	if err != nil {
		return err
	}
	if exists {
		_, err = m.version(ctx, conn) // newer?
		return err
	}
	if err := m.table.CreateVersionTable(ctx, conn); err != nil {
		return err
	}
	return m.table.Insert(ctx, conn, database.InsertRequest{Version: 0})
}

// SessionUnlock commits when all has been done, else it undoes all of it.
func (m *migration) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	if v, err := m.version(ctx, conn); err != nil || v != m.known {
		_, undo := conn.ExecContext(ctx, "ROLLBACK")
		return undo
	}
	_, err := conn.ExecContext(ctx, "COMMIT")
	return err
}

func (m *migration) version(ctx context.Context, conn *sql.Conn) (int64, error) {
	exists, err := m.exists(ctx, conn)
	if err != nil || !exists {
		return 0, err
	}
	v, err := m.table.GetLatestVersion(ctx, conn)
	if err == nil && v > m.known {
		err = ErrNewer
	}
	return v, err
}

func (m *migration) exists(ctx context.Context, conn *sql.Conn) (bool, error) {
	query := `SELECT count(*) FROM sqlite_schema WHERE name = 'andiron_version'`
	if m.postgres {
		query = `SELECT count(*) FROM (SELECT to_regclass('andiron_version') AS t) AS x WHERE t IS NOT NULL`
	}
	var n int
	err := conn.QueryRowContext(ctx, query).Scan(&n)
	return n > 0, err
}
