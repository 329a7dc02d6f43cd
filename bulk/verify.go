package bulk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Report is what [Verify] found.
type Report struct {
	// Manifest is the folder's manifest.json.
	Manifest *Manifest
	// Files, Resources and Bytes count what was read.
	Files            int
	Resources, Bytes int64
	// Problems are what is wrong with the folder; none means that every file is what it was
	// when it was verified.
	Problems []Problem
}

// OK reports a folder that is whole: no problem, and the manifest says complete.
func (r *Report) OK() bool { return len(r.Problems) == 0 && r.Manifest.Complete }

// Problem is one thing that is wrong with a folder.
type Problem struct {
	// File is the name in the folder.
	File string `json:"file"`
	// Kind is "missing", "changed", "damaged", "extra" or "ledger".
	Kind string `json:"kind"`
	// Text is one line without patient data.
	Text string `json:"text"`
}

// Verify reads every file of a folder again and holds it against manifest.json and, where it
// is there, the ledger: length, checksum, each line, and whether there is a file too many or
// too few. It needs no network, and changes nothing.
func Verify(ctx context.Context, dir string) (*Report, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	v := &verifier{folder: folder{dir: dir}}
	if err := v.open(ctx, m); err != nil {
		return nil, wrap("verify", err)
	}
	m = v.Manifest
	known := map[string]bool{}
	for _, list := range [][]File{m.Output, m.Error, m.Deleted} {
		for _, f := range list {
			if !filepath.IsLocal(filepath.FromSlash(f.File)) {
				v.add(f.File, "changed", "its name leads out of the folder")
				continue
			}
			if known[f.File] {
				v.add(f.File, "changed", "listed twice")
				continue
			}
			known[f.File] = true
			if err := v.file(ctx, f); err != nil {
				return nil, &Error{Op: "verify", File: f.File, Err: err}
			}
		}
	}
	for _, a := range m.Absent {
		if a.Kept != "" {
			known[a.Kept] = true
		}
	}
	if err := v.extra(known); err != nil {
		return nil, wrap("verify", err)
	}
	v.ledger()
	return v.Report, nil
}

type verifier struct {
	folder folder
	rows   []*row // what the ledger knows; nil without one
	*Report
}

// open reads the ledger. For a run that is not finished the ledger knows more than
// manifest.json, which is written at the end of a Run.
func (v *verifier) open(ctx context.Context, m *Manifest) error {
	v.Report = &Report{Manifest: m}
	l, err := openLedger(ctx, v.folder, false)
	if errors.Is(err, ErrNoLedger) {
		return nil // a folder that was copied without it
	}
	if err != nil {
		return err
	}
	defer l.close()
	if v.rows, err = l.files(ctx, m.Run); err != nil || m.Complete {
		return err
	}
	runs, err := l.runs(ctx)
	if err != nil {
		return err
	}
	for _, rec := range runs {
		if rec.id != m.Run || rec.state == StateDone || !rec.placed {
			continue
		}
		r := &runner{Job: &Job{}, folder: v.folder, rec: rec}
		if res, err := r.result(v.rows); err == nil {
			res.Complete = false
			v.Manifest = &res.Manifest
		}
	}
	return nil
}

func (v *verifier) add(file, kind, text string) {
	v.Problems = append(v.Problems, Problem{File: file, Kind: kind, Text: text})
}

func (v *verifier) file(ctx context.Context, f File) error {
	file, err := os.Open(v.folder.path(f.File))
	if errors.Is(err, fs.ErrNotExist) {
		v.add(f.File, "missing", "listed and not there")
		return nil
	}
	if err != nil {
		return local(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return local(err)
	}
	s, err := copyChecked(io.Discard, reader{ctx, file}, f.Type)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		v.add(f.File, "damaged", "cannot be read to its end")
		return nil
	}
	v.Files++
	v.Resources += s.lines
	v.Bytes += s.bytes
	switch {
	case s.problem != nil:
		v.add(f.File, "damaged", s.problem.Error())
	case s.lines != f.Count:
		v.add(f.File, "changed", fmt.Sprintf("%d resources, %d when it was verified", s.lines, f.Count))
	case info.Size() != f.Bytes || s.bytes != f.Bytes:
		v.add(f.File, "changed", fmt.Sprintf("%d bytes, %d when it was verified", info.Size(), f.Bytes))
	case s.sha256 != f.SHA256:
		v.add(f.File, "changed", "the checksum differs")
	}
	return nil
}

// extra looks for files that a loader might take for data and that no list names.
func (v *verifier) extra(known map[string]bool) error {
	for _, sub := range []string{"", errorDir, deletedDir} {
		entries, err := os.ReadDir(v.folder.path(sub))
		if errors.Is(err, fs.ErrNotExist) && sub != "" {
			continue
		}
		if err != nil {
			return local(err)
		}
		for _, e := range entries {
			name := e.Name()
			if sub != "" {
				name = sub + "/" + name
			}
			switch {
			case e.IsDir() || strings.HasPrefix(e.Name(), ".") || known[name]:
			case sub == "" && (name == manifestName || name == logName):
			case looksLikeData(name):
				v.add(name, "extra", "there and not listed")
			}
		}
	}
	return nil
}

// ledger compares manifest.json with what the ledger knows of the run that it is about:
// whoever changes a file can change the manifest too.
func (v *verifier) ledger() {
	listed := slices.Concat(v.Manifest.Output, v.Manifest.Error, v.Manifest.Deleted)
	for _, f := range v.rows {
		i := slices.IndexFunc(listed, func(m File) bool { return m.File == f.name })
		switch {
		case f.state != FileVerified && f.state != FileMismatch:
			if i >= 0 {
				v.add(f.name, "ledger", "listed, but not verified by the ledger")
			}
		case i < 0:
			v.add(f.name, "ledger", "verified by the ledger, but not listed")
		case listed[i].SHA256 != f.sha256 || listed[i].Count != f.lines || listed[i].Bytes != f.bytes:
			v.add(f.name, "ledger", "ledger and manifest.json differ")
		}
		if i >= 0 {
			listed = slices.Delete(listed, i, i+1)
		}
	}
	for _, m := range listed {
		if len(v.rows) > 0 {
			v.add(m.File, "ledger", "listed, but unknown to the ledger")
		}
	}
}
