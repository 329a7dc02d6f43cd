package bulk

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the ledger's database
)

// ledger is the state of the runs of one folder, written before each step and after it.
//
// It is one SQLite file with a rollback journal and synchronous=EXTRA: each change is on the
// disk before the run proceeds, there is no second file to lose, and it works on network
// file systems, where a write-ahead log does not.
type ledger struct {
	db   *sql.DB
	step func(op, name string) error
}

// State is how far a run has come.
type State string

// The states of a run, in their usual order.
const (
	// StatePlanned: nothing was sent, or the server refused and has started nothing.
	StatePlanned State = "planned"
	// StateSent: the kick-off is about to be sent. Found later, it means StateUnknown.
	StateSent State = "sent"
	// StateUnknown: a kick-off was sent and it is not known whether it started an export.
	StateUnknown State = "unknown"
	// StateRunning: the server works on it; the status URL is stored.
	StateRunning State = "running"
	// StateListed: the manifest is stored; files are on their way or failed.
	StateListed State = "listed"
	// StateDone: every file that the manifest lists is verified.
	StateDone State = "done"
	// StateCancelled: somebody cancelled it.
	StateCancelled State = "cancelled"
	// StateLost: the server no longer knows it.
	StateLost State = "lost"
	// StateFailed: the server says that it failed.
	StateFailed State = "failed"
)

// over reports a run that no further Run brings forward.
func (s State) over() bool {
	switch s {
	case StateDone, StateCancelled, StateLost, StateFailed, StateUnknown:
		return true
	}
	return false
}

// FileState is how far one file has come.
type FileState string

// The states of a file.
const (
	// FileListed: not asked for yet.
	FileListed FileState = "listed"
	// FileDownloading: asked for. Found later, it means that a run was stopped there.
	FileDownloading FileState = "downloading"
	// FileVerified: in place, each line checked.
	FileVerified FileState = "verified"
	// FileMismatch: in place, each line checked, but not as many as the manifest announces,
	// twice the same.
	FileMismatch FileState = "mismatch"
	// FileFailed: given up for this run; the next Run asks again.
	FileFailed FileState = "failed"
)

const schemaVersion = 1

const schema = `
CREATE TABLE run (
	id INTEGER PRIMARY KEY,
	spec TEXT NOT NULL,                    -- what was asked, canonical JSON
	base TEXT NOT NULL, level TEXT NOT NULL, grp TEXT NOT NULL, client TEXT NOT NULL,
	dialect TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '',
	software TEXT NOT NULL DEFAULT '',     -- JSON: what the server says of itself
	request TEXT NOT NULL DEFAULT '',      -- the exact request, below base
	state TEXT NOT NULL,
	started TEXT NOT NULL, sent TEXT NOT NULL DEFAULT '', finished TEXT NOT NULL DEFAULT '',
	status_url TEXT NOT NULL DEFAULT '',
	next_poll TEXT NOT NULL DEFAULT '', progress TEXT NOT NULL DEFAULT '',
	transaction_time TEXT NOT NULL DEFAULT '', server_request TEXT NOT NULL DEFAULT '',
	expires TEXT NOT NULL DEFAULT '', needs_token INTEGER NOT NULL DEFAULT 1,
	placed INTEGER NOT NULL DEFAULT 0,     -- the run before has made room; files may have names
	result TEXT NOT NULL DEFAULT '',       -- JSON: what the last Run reported
	deleted TEXT NOT NULL DEFAULT ''       -- 'yes', or 'failed'
) STRICT;
CREATE TABLE manifest (
	run INTEGER NOT NULL, reading INTEGER NOT NULL, page INTEGER NOT NULL,
	at TEXT NOT NULL, body BLOB NOT NULL,  -- the bytes as received
	PRIMARY KEY (run, reading, page)
) STRICT;
CREATE TABLE file (
	run INTEGER NOT NULL, list TEXT NOT NULL, n INTEGER NOT NULL,
	type TEXT NOT NULL, url TEXT NOT NULL, count INTEGER NOT NULL, size INTEGER NOT NULL,
	name TEXT NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0,
	reason TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT '',
	bytes INTEGER NOT NULL DEFAULT 0, lines INTEGER NOT NULL DEFAULT 0,
	sha256 TEXT NOT NULL DEFAULT '', checked TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (run, list, n)
) STRICT;
CREATE TABLE cooldown (
	base TEXT NOT NULL, client TEXT NOT NULL, grp TEXT NOT NULL,
	refused TEXT NOT NULL, until TEXT NOT NULL,
	PRIMARY KEY (base, client, grp)
) STRICT;
`

// record is one run, as the ledger holds it.
type record struct {
	id                           int
	spec                         string
	base, level, group, client   string
	dialect                      Dialect
	why, software, request       string
	state                        State
	started, sent, finished      time.Time
	statusURL                    string
	nextPoll                     time.Time
	progress                     string
	transactionTime, serverAsked string
	expires                      string
	needsToken, placed           bool
	result, deleted              string
}

// row is one file, as the ledger holds it.
type row struct {
	list    string // output, error, deleted
	n       int    // position in its list, from 1
	typ     string
	url     string
	count   int64 // -1: the manifest has none
	size    int64 // -1: the manifest has none
	name    string
	state   FileState
	tries   int
	reason  string // fit for everybody
	detail  string // the server's own text: for those who may see the data
	bytes   int64
	lines   int64
	sha256  string
	checked string

	dropped bool // a later reading of the manifest replaced it
	mayCome bool // given up in this Run for something that may pass
}

func openLedger(ctx context.Context, f folder, create bool) (*ledger, error) {
	path := f.path(ledgerName)
	if create {
		if err := f.step("ledger create", ledgerName); err != nil {
			return nil, local(err)
		}
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, local(err)
		}
		err = errors.Join(file.Chmod(0o600), file.Close(), syncPath(f.dir))
		if err != nil {
			return nil, local(err)
		}
	} else if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNoLedger
		}
		return nil, local(err)
	}
	l := &ledger{step: f.step}
	var err error
	if l.db, err = openDB(path, "rw"); err != nil {
		return nil, local(err)
	}
	var version int
	if err = l.db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil && !create {
		// A folder that may only be read: nobody writes the ledger, so it can be taken as it is.
		l.db.Close()
		if l.db, err = openDB(path, "ro"); err == nil {
			err = l.db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version)
		}
	}
	switch {
	case err != nil:
	case version == schemaVersion:
	case version > schemaVersion:
		err = fmt.Errorf("ledger of version %d, this program knows %d", version, schemaVersion)
	case !create:
		err = ErrNoLedger // the file is there, its first transaction is not
	default:
		err = l.change(ctx, "schema", func(ctx context.Context, tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, schema); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion))
			return err
		})
	}
	if err != nil {
		l.db.Close()
		if errors.Is(err, ErrNoLedger) {
			return nil, err
		}
		return nil, local(err)
	}
	return l, nil
}

func openDB(path, mode string) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	q := url.Values{"mode": {mode}, "_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "synchronous(EXTRA)", "temp_store(MEMORY)", "cache_size(-2000)",
	}}
	if mode == "ro" {
		q.Del("_txlock")
		q.Set("immutable", "1")
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(abs), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func (l *ledger) close() { l.db.Close() }

// change carries out one durable change: when it returns nil, the change is on the disk.
// It is not given up halfway when the context ends, so that what was done is never forgotten.
func (l *ledger) change(ctx context.Context, what string, f func(context.Context, *sql.Tx) error) error {
	if err := l.step("ledger", what); err != nil {
		return local(err)
	}
	ctx = context.WithoutCancel(ctx)
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return local(err)
	}
	defer tx.Rollback() // does nothing after Commit
	if err := f(ctx, tx); err != nil {
		return local(err)
	}
	if err := l.step("ledger commit", what); err != nil {
		return local(err)
	}
	if err := tx.Commit(); err != nil {
		return local(err)
	}
	return local(l.step("ledger committed", what))
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000000Z07:00") // sorts as text
}

func unstamp(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

const runColumns = `id, spec, base, level, grp, client, dialect, why, software, request, state, started, sent,
	finished, status_url, next_poll, progress, transaction_time, server_request, expires, needs_token, placed, result, deleted`

func scanRun(scan func(...any) error) (*record, error) {
	var r record
	var started, sent, finished, next string
	err := scan(&r.id, &r.spec, &r.base, &r.level, &r.group, &r.client, &r.dialect, &r.why, &r.software, &r.request,
		&r.state, &started, &sent, &finished, &r.statusURL, &next, &r.progress, &r.transactionTime, &r.serverAsked,
		&r.expires, &r.needsToken, &r.placed, &r.result, &r.deleted)
	if err != nil {
		return nil, err
	}
	r.started, r.sent, r.finished, r.nextPoll = unstamp(started), unstamp(sent), unstamp(finished), unstamp(next)
	return &r, nil
}

// last is the latest run; nil if there is none.
func (l *ledger) last(ctx context.Context) (*record, error) {
	r, err := scanRun(l.db.QueryRowContext(ctx, `SELECT `+runColumns+` FROM run ORDER BY id DESC LIMIT 1`).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return r, wrapLocal(err)
}

func (l *ledger) runs(ctx context.Context) ([]*record, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT `+runColumns+` FROM run ORDER BY id`)
	if err != nil {
		return nil, local(err)
	}
	defer rows.Close()
	var all []*record
	for rows.Next() {
		r, err := scanRun(rows.Scan)
		if err != nil {
			return nil, local(err)
		}
		all = append(all, r)
	}
	return all, wrapLocal(rows.Err())
}

func wrapLocal(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return local(err)
}

// save writes the whole record of a run, a new one when id is 0.
func (l *ledger) save(ctx context.Context, r *record) error {
	return l.change(ctx, "run "+string(r.state), func(ctx context.Context, tx *sql.Tx) error { return saveRun(ctx, tx, r) })
}

func saveRun(ctx context.Context, tx *sql.Tx, r *record) error {
	var id any
	if r.id != 0 {
		id = r.id
	}
	res, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO run (`+runColumns+`)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		id, r.spec, r.base, r.level, r.group, r.client, r.dialect, r.why, r.software, r.request, r.state,
		stamp(r.started), stamp(r.sent), stamp(r.finished), r.statusURL, stamp(r.nextPoll), r.progress,
		r.transactionTime, r.serverAsked, r.expires, r.needsToken, r.placed, r.result, r.deleted)
	if err != nil {
		return err
	}
	if r.id == 0 {
		n, err := res.LastInsertId()
		if err != nil {
			return err
		}
		r.id = int(n)
	}
	return nil
}

const fileColumns = `list, n, type, url, count, size, name, state, tries, reason, detail, bytes, lines, sha256, checked`

// files returns the files of a run in the order of the manifest: output, error, deleted.
func (l *ledger) files(ctx context.Context, run int) ([]*row, error) {
	rows, err := l.db.QueryContext(ctx, `SELECT `+fileColumns+` FROM file WHERE run = ?
		ORDER BY CASE list WHEN 'output' THEN 0 WHEN 'error' THEN 1 ELSE 2 END, n`, run)
	if err != nil {
		return nil, wrapLocal(err)
	}
	defer rows.Close()
	var all []*row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.list, &r.n, &r.typ, &r.url, &r.count, &r.size, &r.name, &r.state, &r.tries,
			&r.reason, &r.detail, &r.bytes, &r.lines, &r.sha256, &r.checked); err != nil {
			return nil, wrapLocal(err)
		}
		all = append(all, &r)
	}
	return all, wrapLocal(rows.Err())
}

func saveRow(ctx context.Context, tx *sql.Tx, run int, r *row) error {
	_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO file (run, `+fileColumns+`)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`, run, r.list, r.n, r.typ, r.url, r.count, r.size, r.name, r.state,
		r.tries, r.reason, r.detail, r.bytes, r.lines, r.sha256, r.checked)
	return err
}

func (l *ledger) saveFile(ctx context.Context, run int, r *row) error {
	return l.change(ctx, "file "+string(r.state), func(ctx context.Context, tx *sql.Tx) error { return saveRow(ctx, tx, run, r) })
}

// keepManifest stores a reading of the manifest as it came, with the files it lists and what
// it says of the run: all or nothing.
func (l *ledger) keepManifest(ctx context.Context, r *record, at time.Time, pages [][]byte, files []*row) error {
	return l.change(ctx, "manifest", func(ctx context.Context, tx *sql.Tx) error {
		var reading int
		err := tx.QueryRowContext(ctx, `SELECT coalesce(max(reading), 0) + 1 FROM manifest WHERE run = ?`, r.id).Scan(&reading)
		if err != nil {
			return err
		}
		for i, body := range pages {
			if _, err := tx.ExecContext(ctx, `INSERT INTO manifest VALUES (?,?,?,?,?)`, r.id, reading, i+1, stamp(at), body); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM file WHERE run = ?`, r.id); err != nil {
			return err
		}
		for _, f := range files {
			if err := saveRow(ctx, tx, r.id, f); err != nil {
				return err
			}
		}
		return saveRun(ctx, tx, r)
	})
}

// refused remembers that the server wants no kick-off before until, or for the length of its
// window when until is zero.
func (l *ledger) refused(ctx context.Context, r *record, at, until time.Time) error {
	return l.change(ctx, "cool-down", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO cooldown VALUES (?,?,?,?,?)`,
			r.base, r.client, r.group, stamp(at), stamp(until))
		if err != nil {
			return err
		}
		return saveRun(ctx, tx, r)
	})
}

// coolDown is the time before which no kick-off may be sent; zero if there is none. The
// window counts from the last kick-off that was accepted, where this folder knows it.
func (l *ledger) coolDown(ctx context.Context, base, client, group string, window time.Duration) (time.Time, error) {
	var refused, until string
	err := l.db.QueryRowContext(ctx, `SELECT refused, until FROM cooldown WHERE base = ? AND client = ? AND grp = ?`,
		base, client, group).Scan(&refused, &until)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, wrapLocal(err)
	}
	if until != "" {
		return unstamp(until), nil
	}
	from := unstamp(refused)
	var sent string
	err = l.db.QueryRowContext(ctx, `SELECT coalesce(max(sent), '') FROM run
		WHERE base = ? AND client = ? AND grp = ? AND status_url <> ''`, base, client, group).Scan(&sent)
	if err != nil {
		return time.Time{}, wrapLocal(err)
	}
	if t := unstamp(sent); !t.IsZero() && t.Before(from) && t.Add(window).After(from) {
		from = t
	}
	return from.Add(window), nil
}
