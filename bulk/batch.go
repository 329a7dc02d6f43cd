package bulk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// batch is the files of one run on their way.
type batch struct {
	*runner
	mu       sync.Mutex // rows and what is in them
	rows     []*row
	reading  sync.Mutex // one rereading of the manifest at a time
	readings atomic.Int32
	ended    error // ErrLost or ErrFailed, found out by a rereading; reading guards it
}

// bring fetches what is not verified yet, then closes the run.
func (r *runner) bring(ctx context.Context) (*Result, error) {
	if !r.rec.placed {
		if err := r.makeRoom(ctx); err != nil {
			return nil, wrap("keep", err)
		}
	}
	rows, err := r.ledger.files(ctx, r.rec.id)
	if err != nil {
		return nil, wrap("ledger", err)
	}
	b := &batch{runner: r, rows: rows}
	for _, list := range []string{errorDir, deletedDir} {
		if len(b.list(list)) == 0 {
			continue
		}
		if err := r.folder.mkdir(list); err != nil {
			return nil, wrap("keep", err)
		}
	}
	if err := r.folder.sweep(); err != nil {
		return nil, wrap("keep", err)
	}
	if err := b.takeStock(ctx); err != nil {
		return nil, err
	}
	if r.resumed {
		r.emit(Event{Kind: KindResume, Text: string(StateListed), Files: len(b.rows), Done: b.done()})
	}
	for first := true; ; first = false {
		todo := b.todo(first)
		if len(todo) == 0 {
			break
		}
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(r.parallel())
		for _, f := range todo {
			g.Go(func() error { return b.fetch(gctx, f) })
		}
		if err := g.Wait(); err != nil {
			return nil, wrap("download", err)
		}
	}
	if b.hopeless() {
		if err := r.end(ctx, b.ended); err != nil {
			return nil, wrap("ledger", err)
		}
		return nil, errors.Join(wrap("status", b.ended), r.unfinished(ctx, b.rows))
	}
	return r.finish(ctx, b.rows)
}

// hopeless reports that another Run would bring nothing more: the export is over at the
// server, and no missing file is one whose URL may answer better the next time.
func (b *batch) hopeless() bool {
	return b.ended != nil && !slices.ContainsFunc(b.rows, func(f *row) bool { return f.mayCome })
}

func (b *batch) list(name string) []*row {
	var out []*row
	for _, f := range b.rows {
		if f.list == name {
			out = append(out, f)
		}
	}
	return out
}

func (b *batch) done() int {
	var n int
	for _, f := range b.rows {
		if f.state == FileVerified {
			n++
		}
	}
	return n
}

// todo is what to fetch in this round: at first everything that is not verified, later only
// what a new reading of the manifest has added.
func (b *batch) todo(first bool) []*row {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []*row
	for _, f := range b.rows {
		again := f.state == FileListed || first && f.state != FileVerified
		if again && f.url != "" {
			out = append(out, f)
		}
	}
	return out
}

// takeStock compares the ledger with the folder. A file that has its final name and no row
// that says so was renamed just before a crash: it is read and adopted. A verified file that
// has gone is asked for again.
func (b *batch) takeStock(ctx context.Context) error {
	for _, f := range b.rows {
		if err := ctx.Err(); err != nil {
			return wrap("check", err)
		}
		info, err := os.Lstat(b.folder.path(f.name))
		there := err == nil && info.Mode().IsRegular()
		switch {
		case f.state == FileVerified && there && info.Size() == f.bytes:
		case f.state == FileVerified || f.state == FileMismatch && !there:
			b.emit(Event{Kind: KindWarning, File: f.name, Text: "a verified file was changed or removed; it is asked for again"})
			f.state = FileListed
			if err := b.folder.remove(f.name); err != nil {
				return wrap("keep", err)
			}
			if err := b.ledger.saveFile(ctx, b.rec.id, f); err != nil {
				return wrap("ledger", err)
			}
		case there && (f.state == FileListed || f.state == FileDownloading):
			if err := b.adoptFile(ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// adoptFile verifies a file that lies in place already.
func (b *batch) adoptFile(ctx context.Context, f *row) error {
	file, err := os.Open(b.folder.path(f.name))
	if err != nil {
		return wrap("check", local(err))
	}
	defer file.Close()
	s, err := copyChecked(io.Discard, reader{ctx, file}, f.typ)
	if err != nil {
		return wrap("check", local(err))
	}
	info, err := file.Stat()
	if err != nil {
		return wrap("check", local(err))
	}
	checked, cerr := f.compare(s, "lines")
	if s.problem != nil || cerr != nil || s.gzip || info.Size() != s.bytes {
		return nil // not what a run of ours would have renamed; it is fetched again
	}
	f.keep(s, FileVerified, checked)
	if err := b.ledger.saveFile(ctx, b.rec.id, f); err != nil {
		return wrap("ledger", err)
	}
	b.emit(Event{Kind: KindFile, File: f.name, Type: f.typ, Bytes: f.bytes, Lines: f.lines, Done: b.done(), Files: len(b.rows), Text: "adopted"})
	return nil
}

// reader ends when its context does.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func (f *row) keep(s sums, state FileState, checked string) {
	f.state, f.bytes, f.lines, f.sha256, f.checked = state, s.bytes, s.lines, s.sha256, checked
	f.reason, f.detail = "", ""
}

// compare holds a file against what the manifest announces, and says what its completeness
// rests on: "count" and "size" of the manifest, the "length" or checksum ("gzip") of the
// transfer, or nothing but whole lines ("lines").
func (f *row) compare(s sums, transfer string) (checked string, err error) {
	checked = transfer
	if s.gzip {
		checked = "gzip"
	}
	if f.size >= 0 {
		if f.size != s.plain && f.size != s.packed && f.size != s.bytes {
			return checked, fmt.Errorf("%w: size", ErrCount)
		}
		checked = "size"
	}
	if f.count >= 0 {
		if f.count != s.lines {
			return checked, fmt.Errorf("%w: %d announced, %d came", ErrCount, f.count, s.lines)
		}
		checked = "count"
	}
	return checked, nil
}
