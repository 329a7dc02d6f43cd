//go:build cgo

package lake

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/andironhq/andiron/r4"
)

// Load brings a folder's resources into the lake: the files that its manifest.json names, in that
// order, or without a manifest every .ndjson and .ndjson.gz file in the order of their names, and
// last the Bundles of deletions under deleted/. Hidden and temporary files (.part, .tmp) and
// log.ndjson are passed over; what else is ignored stands in the result's Notes.
//
// Each file is one transaction. A file that the lake has already is not read again but for its
// hash, so loading a folder twice changes nothing. Of two versions of a resource (the same source,
// type and id) the one loaded later stays, unless both folders state a transactionTime: then the
// later export's does, whichever is loaded first.
//
// A line that is no FHIR resource is set aside in load_quarantine and the rest of the file is
// loaded; a file that cannot be read to its end is left out whole. Load goes on in both cases and
// returns the result with an [IncompleteError]. It loads nothing and returns ErrUnfinished or
// ErrMismatch when the manifest says that the folder is not whole, see
// [LoadOptions.AllowIncomplete].
func (l *Lake) Load(ctx context.Context, dir string, opts LoadOptions) (*LoadResult, error) {
	fail := func(err error) (*LoadResult, error) { return nil, &Error{Op: "load", Path: dir, Err: err} }
	if l.readOnly {
		return fail(errors.New("the lake is open for reading alone"))
	}
	l.held.loads.Lock()
	defer l.held.loads.Unlock()

	f, err := readFolder(dir)
	if err != nil {
		return fail(err)
	}
	if n := len(f.wrong); n > 0 && !opts.AllowIncomplete {
		if n > 1 {
			return fail(fmt.Errorf("%w (and %d more)", f.wrong[0], n-1))
		}
		return fail(f.wrong[0])
	}
	for _, w := range f.wrong {
		f.note("allowed: %v", w)
	}
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = conn.Close() }()

	ld := &load{
		lake: l, conn: conn, folder: f, opts: opts, now: opts.Now, workers: opts.Workers,
		source: either(opts.Source, f.source),
		views:  map[string][]*view{},
	}
	ld.result = &LoadResult{Source: ld.source, Types: map[string]int64{}}
	if ld.now == nil {
		ld.now = time.Now
	}
	if ld.workers <= 0 {
		ld.workers = min(runtime.GOMAXPROCS(0), 4)
	}
	for _, v := range views() {
		ld.views[v.resource] = append(ld.views[v.resource], v)
	}
	restore, err := ld.limitMemory(ctx)
	if err != nil {
		return fail(err)
	}
	defer restore()
	err = ld.run(ctx)
	ld.result.Notes = f.notes
	if err != nil {
		return ld.result, &Error{Op: "load", Path: dir, Err: err}
	}
	if bad := ld.incomplete(); bad != nil {
		return ld.result, &Error{Op: "load", Path: dir, Err: bad}
	}
	return ld.result, nil
}

// load is one Load under way.
type load struct {
	lake    *Lake
	conn    *sql.Conn
	folder  *folder
	source  string
	opts    LoadOptions
	workers int
	now     func() time.Time
	views   map[string][]*view // by resource type
	result  *LoadResult
	ids     []int64 // of the files that this call loaded
}

// run takes file after file. Its error is the database's or the context's; a file's own trouble
// stands in the result.
func (ld *load) run(ctx context.Context) error {
	for _, d := range ld.folder.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		began := time.Now()
		r := FileResult{File: d.name, Bytes: d.size}
		err := ld.file(ctx, d, &r)
		var unreadable *fileError
		switch {
		case errors.As(err, &unreadable):
			r = FileResult{File: d.name, Bytes: d.size, Err: &Error{Op: "load", Path: d.name, Err: unreadable.err}}
		case err != nil:
			return fmt.Errorf("%s: %w", d.name, err)
		}
		if !r.Unchanged {
			r.Elapsed = time.Since(began)
		}
		ld.result.Files = append(ld.result.Files, r)
		ld.result.Quarantined += r.Quarantined
		if ld.opts.Progress != nil {
			ld.opts.Progress(r)
		}
	}
	return nil
}

func (ld *load) incomplete() error {
	bad := &IncompleteError{Lines: ld.result.Quarantined}
	for _, r := range ld.result.Files {
		if r.Err != nil {
			bad.Files = append(bad.Files, r.Err)
		}
	}
	if bad.Lines == 0 && len(bad.Files) == 0 {
		return nil
	}
	return bad
}

// fileError is trouble with the file itself: its transaction is undone and the next file's turn
// comes.
type fileError struct{ err error }

func (e *fileError) Error() string { return e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

func (ld *load) file(ctx context.Context, d *dataFile, r *FileResult) error {
	known, err := ld.ledger(ctx, d, r)
	if err != nil {
		return err
	}
	if known != 0 {
		r.Unchanged = true
		ld.result.Unchanged++
		if d.deleted && len(ld.ids) > 0 {
			return ld.transaction(ctx, func() error { return ld.applyDeletions(ctx, known, r, ld.ids) })
		}
		return nil
	}
	content, verify, file, err := d.open()
	if err != nil {
		return &fileError{err}
	}
	defer file.Close()
	var id int64
	err = ld.transaction(ctx, func() error {
		if err := ld.conn.QueryRowContext(ctx, `SELECT coalesce(max(load_id), 0) + 1 FROM load_file`).Scan(&id); err != nil {
			return err
		}
		if _, err := ld.conn.ExecContext(ctx, `DELETE FROM load_quarantine WHERE source = ? AND folder = ? AND file = ?`,
			ld.source, ld.folder.dir, d.name); err != nil {
			return err
		}
		in := &intake{load: ld, ctx: ctx, file: d, id: id, result: r, appenders: map[string]*duckdb.Appender{}, types: map[string]int64{}}
		if err := ld.conn.Raw(func(c any) error { return in.run(c.(driver.Conn), content) }); err != nil {
			return err
		}
		if err := verify(); err != nil {
			return &fileError{err}
		}
		if d.wantLines >= 0 && d.wantLines != r.Lines {
			if d.wantSHA256 == "" && !ld.opts.AllowIncomplete {
				return &fileError{fmt.Errorf("%w: %d lines, the manifest says %d", ErrMismatch, r.Lines, d.wantLines)}
			}
			ld.folder.note("%s: %d lines, the manifest says %d", d.name, r.Lines, d.wantLines)
		}
		if err := ld.settle(ctx, d, id, in.types, r); err != nil {
			return err
		}
		_, err := ld.conn.ExecContext(ctx, `INSERT INTO load_file BY NAME SELECT ? AS load_id, ? AS source, ? AS folder, ? AS file,
			? AS sha256, ? AS bytes, ? AS transaction_time, ? AS deletions, ? AS lines, ? AS resources, ? AS quarantined, ? AS loaded_at`,
			id, ld.source, ld.folder.dir, d.name, d.sha256, d.size, timeOrNull(ld.folder.transactionTime), d.deleted,
			r.Lines, r.Resources, r.Quarantined, ld.now().UTC())
		return err
	})
	if err == nil {
		ld.ids = append(ld.ids, id)
	}
	return err
}

func (ld *load) transaction(ctx context.Context, f func() error) error {
	if err := ld.lake.keepPrivate(); err != nil {
		return err
	}
	return inTransaction(ctx, ld.conn, f)
}

// ledger tells whether the lake has the file already, and then the id of that load: the last one
// from this place was of the same bytes, or the same export brought the same bytes from elsewhere.
func (ld *load) ledger(ctx context.Context, d *dataFile, r *FileResult) (id int64, err error) {
	var sha string
	var at sql.NullTime
	scan := func(row *sql.Row) error { return row.Scan(&id, &sha, &at, &r.Lines, &r.Quarantined) }
	const find = `SELECT load_id, sha256, transaction_time, lines, quarantined FROM load_file WHERE source = ? AND deletions = ? AND `
	t := ld.folder.transactionTime
	err = scan(ld.conn.QueryRowContext(ctx, find+`folder = ? AND file = ? ORDER BY load_id DESC LIMIT 1`,
		ld.source, d.deleted, ld.folder.dir, d.name))
	if errors.Is(err, sql.ErrNoRows) && !t.IsZero() {
		err = scan(ld.conn.QueryRowContext(ctx, find+`transaction_time = ? AND sha256 = ? ORDER BY load_id DESC LIMIT 1`,
			ld.source, d.deleted, t, d.sha256))
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	same := sha == d.sha256 && at.Valid != t.IsZero() && (!at.Valid || at.Time.Equal(t.Truncate(time.Microsecond)))
	if err == nil && same {
		return id, nil
	}
	r.Lines, r.Quarantined = 0, 0
	return 0, nil
}

// intake is the way of one file's lines into the tables, before anything older gives way.
type intake struct {
	*load
	ctx       context.Context //nolint:containedctx // lives as long as one call of run
	file      *dataFile
	id        int64
	result    *FileResult
	conn      driver.Conn
	appenders map[string]*duckdb.Appender
	types     map[string]int64
	pending   int // bytes appended since the last flush
}

// flushBytes bounds what the appenders hold back: they would count rows, and a row may be long.
const flushBytes = 8 << 20

func (in *intake) run(conn driver.Conn, content io.Reader) (err error) {
	in.conn = conn
	defer func() {
		for _, a := range in.appenders {
			if err != nil {
				_ = a.Clear()
			}
			if cerr := a.Close(); cerr != nil && err == nil {
				err = cerr
			}
		}
	}()
	each := shred(in.views)
	if in.file.deleted {
		each = parseDeletions
	}
	for b, perr := range parse(in.ctx, content, in.workers, each) {
		if perr != nil {
			if in.ctx.Err() != nil {
				return in.ctx.Err()
			}
			return &fileError{perr}
		}
		for i := range b.entries {
			if err := in.take(&b.entries[i]); err != nil {
				return err
			}
		}
		if in.pending += len(b.data); in.pending >= flushBytes {
			in.pending = 0
			for _, a := range in.appenders {
				if err := a.Flush(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (in *intake) take(e *entry) error {
	in.result.Lines++
	switch {
	case e.reason != "":
		in.result.Quarantined++
		return in.append("load_quarantine", row{in.source, in.folder.dir, in.file.name, e.number, e.offset, e.reason, in.id})
	case in.file.deleted:
		for _, d := range deletions(e.resource) {
			if err := in.append("load_deleted", row{in.source, d[0], d[1], in.id}); err != nil {
				return err
			}
			in.types[d[0]]++
		}
		return nil
	}
	typ := e.resource.ResourceType()
	in.types[typ]++
	for _, t := range e.rows {
		for _, cells := range t.rows {
			if err := in.append(t.view.table, append(cells, in.source, in.id, e.number)); err != nil {
				return err
			}
		}
	}
	return in.append("resource", row{typ, e.resource.GetID(), orNull(e.patient), e.data, in.file.name, in.source, in.id, e.number})
}

func (in *intake) append(table string, cells row) error {
	a := in.appenders[table]
	if a == nil {
		var err error
		if a, err = duckdb.NewAppenderFromConn(in.conn, "", table); err != nil {
			return err
		}
		in.appenders[table] = a
	}
	if err := a.AppendRow(cells...); err != nil {
		return fmt.Errorf("table %s: %w", table, err)
	}
	return nil
}

// parseDeletions accepts a Bundle and nothing else.
func parseDeletions(e *entry) {
	res, err := r4.Unmarshal(e.data)
	if err != nil {
		e.reason = err.Error()
		return
	}
	if _, ok := res.(*r4.Bundle); !ok {
		e.reason = "not a Bundle of deletions"
		return
	}
	e.resource = res
}

// deletions are the types and ids that a Bundle asks to delete (Bulk Data Access, Output Manifest:
// deleted).
func deletions(res r4.Resource) [][2]string {
	b, ok := res.(*r4.Bundle)
	if !ok {
		return nil
	}
	var l [][2]string
	for i := range b.Entry {
		if req := b.Entry[i].Request; req != nil && req.Method == "DELETE" { //nolint:usestdlibvars // a code of FHIR, not of net/http
			if typ, id := target(req.URL); id != "" {
				l = append(l, [2]string{typ, id})
			}
		}
	}
	return l
}

func timeOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// limitMemory bounds what DuckDB may hold during the load, for a file alone: what a database in
// memory holds is the data. A limit that somebody set lower stays.
func (ld *load) limitMemory(ctx context.Context) (restore func(), err error) {
	restore = func() {}
	if ld.lake.path == "" {
		return restore, nil
	}
	var before string
	if err := ld.conn.QueryRowContext(ctx, `SELECT current_setting('memory_limit')`).Scan(&before); err != nil {
		return restore, err
	}
	if mebibytes(before) <= loadMemory {
		return restore, nil
	}
	set := func(ctx context.Context, v string) error {
		_, err := ld.conn.ExecContext(ctx, `SET memory_limit = `+quotedText(v))
		return err
	}
	if set(ctx, fmt.Sprintf("%dMiB", loadMemory)) != nil {
		return restore, nil //nolint:nilerr // more is in use this moment, and then it stays so
	}
	return func() { _ = set(context.WithoutCancel(ctx), before) }, nil
}

// loadMemory, in MiB, is enough for hundreds of thousands of rows under way; beyond it DuckDB
// spills beside the file.
const loadMemory = 512

// mebibytes reads DuckDB's spelling of a size, such as 18.8 GiB.
func mebibytes(s string) float64 {
	var n float64
	var unit string
	if _, err := fmt.Sscan(s, &n, &unit); err != nil {
		return math.Inf(1)
	}
	switch unit {
	case "bytes":
		return n / (1 << 20)
	case "KiB":
		return n / (1 << 10)
	case "GiB":
		return n * (1 << 10)
	case "TiB":
		return n * (1 << 20)
	}
	return n
}
