//go:build cgo

package lake_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/andironhq/andiron/lake"
)

// shared is the folder of data that is not part of the module.
func shared(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("ANDIRON_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "shared")
	}
	p := filepath.Join(root, name)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("SKIPPED, NOT PASSED: %s is not here; ANDIRON_SHARED names the folder that holds it", name)
	}
	return p
}

func TestEverySyntheaResourceArrivesAsItWas(t *testing.T) {
	dir := shared(t, "data/synthea")
	var manifest struct {
		Files []struct {
			File, Type string
			Resources  int64
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "MANIFEST.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &manifest); err != nil {
		t.Fatal(err)
	}
	if underRace {
		// The race detector needs the code, not the mass.
		some := t.TempDir()
		var kept []struct {
			File, Type string
			Resources  int64
		}
		for _, f := range manifest.Files {
			if f.Resources < 2000 {
				if err := os.Symlink(absolute(t, filepath.Join(dir, f.File)), filepath.Join(some, f.File)); err != nil {
					t.Fatal(err)
				}
				kept = append(kept, f)
			}
		}
		dir, manifest.Files = some, kept
	}
	l := open(t, filepath.Join(t.TempDir(), "lake.duckdb"))
	r := load(t, l, dir)
	t.Logf("%d resources of %d types", r.Resources, len(r.Types))
	tables, err := l.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range manifest.Files {
		if got := r.Types[f.Type]; got != f.Resources {
			t.Errorf("%s: %d resources, the manifest says %d", f.Type, got, f.Resources)
		}
		for _, table := range tables {
			if table.Resource == f.Type && table.Name == strings.ToLower(f.Type) && table.Rows != f.Resources {
				t.Errorf("table %s has %d rows, the manifest says %d resources", table.Name, table.Rows, f.Resources)
			}
		}
		compare(t, l, dir, f.File, f.Resources)
	}
	if r := load(t, l, dir); r.Unchanged != len(manifest.Files) || r.Resources != 0 {
		t.Errorf("the second load took %d resources, want none", r.Resources)
	}
}

func absolute(t *testing.T, p string) string {
	t.Helper()
	abs, err := filepath.Abs(p)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// compare reads the file itself and holds each line against the lake's.
func compare(t *testing.T, l *lake.Lake, dir, name string, want int64) {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(z)
	rows, err := l.DB().QueryContext(t.Context(), `SELECT line, json FROM resource WHERE file = ? ORDER BY line`, name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	n := int64(0)
	for rows.Next() {
		n++
		var line int64
		var got string
		if err := rows.Scan(&line, &got); err != nil {
			t.Fatal(err)
		}
		source, err := lines.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if line != n || strings.TrimRight(source, "\r\n") != got {
			t.Errorf("%s line %d differs from what the lake has as line %d", name, n, line)
			return
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if n != want {
		t.Errorf("%s: %d lines in the lake, want %d", name, n, want)
	}
}
