//go:build cgo

package lake

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/duckdb/duckdb-go/v2"
)

// Lake is an open DuckDB database with the tables of this package. It may be used by several
// goroutines; loads take turns.
type Lake struct {
	db       *sql.DB
	path     string // absolute; "" in memory
	readOnly bool
	held     *holding
	closed   sync.Once
}

// Open opens the database file at path and creates it, with mode 0600 whatever the umask, when
// there is none; "" and ":memory:" stand for a database in memory that ends with Close. The tables
// exist afterwards, with their columns described. Where this version of the package shows a table
// differently from the one that filled it, the table is made anew out of the resources in the
// lake, which takes about as long as loading them did.
//
// One process at a time can hold a file: while another has it open, Open fails with a
// [LockedError]. Several can read it with [OpenReadOnly].
func Open(path string) (*Lake, error) { return open(path, false) }

// OpenReadOnly opens an existing database file for queries alone. Any number of processes may do
// so at once, but none while one holds the file with [Open]. It creates nothing: a missing file is
// fs.ErrNotExist.
func OpenReadOnly(path string) (*Lake, error) { return open(path, true) }

func open(path string, readOnly bool) (*Lake, error) {
	fail := func(err error) (*Lake, error) { return nil, &Error{Op: "open", Path: path, Err: err} }
	l := &Lake{readOnly: readOnly}
	if path != "" && path != ":memory:" {
		abs, err := absolute(path)
		if err != nil {
			return fail(err)
		}
		l.path = abs
	}
	if l.path == "" && readOnly {
		return fail(errors.New("a database in memory is not read-only"))
	}
	if _, err := url.Parse(l.path); err != nil || strings.ContainsAny(l.path, "?#") {
		return fail(errors.New("the driver takes the path for a URL: %, ? and # cannot stand in it"))
	}
	l.held = hold(l.path)
	if err := l.start(); err != nil {
		l.tidy(l.held.release())
		return fail(err)
	}
	return l, nil
}

// absolute is the one path of a file, whatever links lead to it: two names for one file would be
// two databases to DuckDB.
func absolute(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if file, err := filepath.EvalSymlinks(abs); err == nil {
		return file, nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs)) // the file is yet to be made
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(abs)), nil
}

func (l *Lake) start() error {
	l.held.setup.Lock()
	defer l.held.setup.Unlock()
	dsn := ":memory:"
	if l.path != "" {
		if err := l.prepareFile(); err != nil {
			return err
		}
		dsn = l.path
		if l.readOnly {
			dsn += "?access_mode=READ_ONLY"
		}
	}
	connector, err := duckdb.NewConnector(dsn, func(c driver.ExecerContext) error {
		_, err := c.ExecContext(context.Background(), "SET TimeZone = 'UTC'", nil)
		return err
	})
	if err != nil {
		return lockedOr(err)
	}
	l.db = sql.OpenDB(connector)
	ctx := context.Background()
	if err := l.configure(ctx); err != nil {
		return errors.Join(err, l.db.Close())
	}
	if !l.readOnly {
		if err := l.migrate(ctx); err != nil {
			return errors.Join(err, l.db.Close())
		}
	}
	return nil
}

// Close writes what is pending into the file and lets go of it. Closing twice does no harm.
func (l *Lake) Close() error {
	var err error
	l.closed.Do(func() {
		err = l.db.Close()
		l.tidy(l.held.release())
	})
	if err != nil {
		return &Error{Op: "close", Path: l.path, Err: err}
	}
	return nil
}

// tidy removes what Open put beside the file, when nobody in this process needs it any more.
func (l *Lake) tidy(last bool) {
	if l.path == "" || l.readOnly || !last {
		return
	}
	_ = os.Remove(l.path + ".tmp") // nothing happens when it is not empty
	if info, err := os.Stat(l.path + ".wal"); err == nil && info.Size() == 0 {
		_ = os.Remove(l.path + ".wal")
	}
}

// DB is the database itself, for any SQL that DuckDB knows. It is closed by Close.
func (l *Lake) DB() *sql.DB { return l.db }

// Path is the absolute path of the database file; "" in memory.
func (l *Lake) Path() string { return l.path }

// prepareFile makes sure that the file exists and that it and what DuckDB puts beside it are for
// the owner alone. DuckDB creates files with the umask's mode and refuses an empty one, so a new
// database is made in a folder of mode 0700 and moved to its place.
func (l *Lake) prepareFile() error {
	info, err := os.Stat(l.path)
	switch {
	case err == nil && info.IsDir():
		return errors.New("a folder, not a database file")
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist) || l.readOnly:
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(l.path), ".new-lake-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	name := filepath.Join(dir, "lake")
	// The oldest storage version that has zstd, without which the JSON would be most of the file.
	connector, err := duckdb.NewConnector(name+"?storage_compatibility_version=v1.2.0", nil)
	if err != nil {
		return err
	}
	if err := connector.Close(); err != nil {
		return err
	}
	if err := os.Chmod(name, 0o600); err != nil {
		return err
	}
	// Link, unlike rename, does not overwrite what somebody else put there meanwhile.
	if err := os.Link(name, l.path); err != nil && !errors.Is(err, fs.ErrExist) {
		return os.Rename(name, l.path)
	}
	return nil
}

// keepPrivate sees to it that the write-ahead log, if one comes to be, has mode 0600: DuckDB
// appends to an existing file and creates one with the umask's mode otherwise.
func (l *Lake) keepPrivate() error {
	if l.path == "" {
		return nil
	}
	f, err := os.OpenFile(l.path+".wal", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

func (l *Lake) configure(ctx context.Context) error {
	settings := []string{
		// Nothing is fetched from the network unless somebody asks for it by name.
		"SET autoinstall_known_extensions = false",
	}
	switch {
	case l.path == "":
		settings = append(settings, "SET temp_directory = ''")
	case l.readOnly:
	default:
		tmp := l.path + ".tmp"
		if l.held.count() == 1 {
			// We hold the file, so what lies here is from a process that was killed.
			if err := os.RemoveAll(tmp); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(tmp, 0o700); err != nil {
			return err
		}
		if err := l.keepPrivate(); err != nil {
			return err
		}
		settings = append(settings,
			"SET temp_directory = "+quotedText(tmp),
			// Each commit goes into the database file itself. The write-ahead log is then only
			// written while another connection is in the middle of reading.
			"SET checkpoint_threshold = '1B'",
			"SET auto_checkpoint_skip_wal_threshold = 0")
	}
	for _, s := range settings {
		if _, err := l.db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

var holder = regexp.MustCompile(`lock is held in (.*?) \(PID (\d+)\)|held in PID (\d+)`)

// lockedOr recognises DuckDB's message for a file that another process has open.
func lockedOr(err error) error {
	if !strings.Contains(err.Error(), "Could not set lock on file") {
		return err
	}
	locked := &LockedError{}
	if m := holder.FindStringSubmatch(err.Error()); m != nil {
		locked.Program = m[1]
		locked.PID, _ = strconv.Atoi(m[2] + m[3])
	}
	return locked
}

// holding is what the Lakes on one file share inside one process, where DuckDB gives them one
// instance: loads must take turns, and only the last to go tidies up.
type holding struct {
	path  string
	refs  int
	setup sync.Mutex // while one opens the file
	loads sync.Mutex // during a load
}

var (
	holdingsMu sync.Mutex
	holdings   = map[string]*holding{}
)

func hold(path string) *holding {
	if path == "" {
		return &holding{refs: 1}
	}
	holdingsMu.Lock()
	defer holdingsMu.Unlock()
	h := holdings[path]
	if h == nil {
		h = &holding{path: path}
		holdings[path] = h
	}
	h.refs++
	return h
}

func (h *holding) count() int {
	holdingsMu.Lock()
	defer holdingsMu.Unlock()
	return h.refs
}

// release tells whether this was the last one.
func (h *holding) release() bool {
	holdingsMu.Lock()
	defer holdingsMu.Unlock()
	h.refs--
	if h.refs == 0 && h.path != "" {
		delete(holdings, h.path)
	}
	return h.refs == 0
}
