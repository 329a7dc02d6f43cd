//go:build cgo && unix

package lake_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/andironhq/andiron/lake"
)

func TestFilesAreForTheOwnerAloneWhateverTheUmask(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir, data := t.TempDir(), t.TempDir()
	check := func(moment string) {
		t.Helper()
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || p == dir {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %s has mode %v", moment, filepath.Base(p), info.Mode())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	l := open(t, filepath.Join(dir, "lake.duckdb"))
	check("after Open")
	for i := range 3 {
		observations(t, data, fmt.Sprintf("%d.ndjson", i), 1000)
	}
	// A transaction that has written makes DuckDB write ahead instead of into the file.
	tx, err := l.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `UPDATE load_view SET hash = hash`); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Load(t.Context(), data, lake.LoadOptions{Progress: func(r lake.FileResult) { check("after " + r.File) }}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.DB().ExecContext(t.Context(), `CREATE TABLE mine AS SELECT * FROM observation`); err != nil {
		t.Fatal(err)
	}
	check("after a table of one's own, while somebody reads")
	if info, err := os.Stat(filepath.Join(dir, "lake.duckdb.wal")); err != nil || info.Size() == 0 {
		t.Errorf("there is no write-ahead log to look at: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.DB().ExecContext(t.Context(), `INSERT INTO mine SELECT * FROM observation`); err != nil {
		t.Fatal(err)
	}
	check("after more of it")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	check("after Close")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("after Close the folder holds %v, want the database alone", entries)
	}
	l = open(t, filepath.Join(dir, "lake.duckdb"))
	if n := number(t, l, `SELECT count(*) FROM mine`); n != 6000 {
		t.Errorf("the table of one's own has %d rows after reopening, want 6000", n)
	}
}
