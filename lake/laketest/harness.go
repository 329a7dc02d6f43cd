package laketest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andironhq/andiron/lake"
)

// harness is one test's store and folder.
type harness struct {
	*testing.T
	store Store
	dir   string
}

// folder starts another folder, empty.
func (h *harness) folder() { h.dir = h.TempDir() }

// write puts lines into a file of the folder, and gzips what is named so.
func (h *harness) write(name string, lines ...string) {
	h.Helper()
	h.writeBytes(name, []byte(strings.Join(lines, "\n")+"\n"))
}

func (h *harness) writeBytes(name string, b []byte) {
	h.Helper()
	if strings.HasSuffix(name, ".gz") {
		b = compress(h.T, b)
	}
	h.writeRaw(name, b)
}

func (h *harness) writeRaw(name string, b []byte) {
	h.Helper()
	p := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(p, b, 0o600); err != nil {
		h.Fatal(err)
	}
}

func compress(t *testing.T, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// manifest writes a manifest of the named files as they now are; edit may spoil it.
func (h *harness) manifest(transactionTime string, edit func(map[string]any), files ...string) {
	h.Helper()
	m := map[string]any{
		"transactionTime": transactionTime, "request": "https://ehr.example/api/FHIR/R4/Group/g1/$export?_type=Patient",
		"requiresAccessToken": "true", "error": []any{}, "complete": true,
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(h.dir, f))
		if err != nil {
			h.Fatal(err)
		}
		sum := sha256.Sum256(b)
		entry := map[string]any{"type": "Patient", "file": f, "bytes": len(b), "sha256": hex.EncodeToString(sum[:])}
		list := "output"
		if strings.HasPrefix(f, "deleted/") {
			list = "deleted"
		}
		l, _ := m[list].([]any)
		m[list] = append(l, entry)
	}
	if edit != nil {
		edit(m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		h.Fatal(err)
	}
	h.writeRaw("manifest.json", b)
}

// load loads the folder and fails the test unless that went well.
func (h *harness) load(opts lake.LoadOptions) *lake.LoadResult {
	h.Helper()
	r, err := h.store.Load(h.Context(), h.dir, opts)
	if err != nil {
		h.Fatalf("loading the folder: %v", err)
	}
	return r
}

// loadFails loads the folder and fails the test unless that ends in an error that is want.
func (h *harness) loadFails(opts lake.LoadOptions, want error) *lake.LoadResult {
	h.Helper()
	r, err := h.store.Load(h.Context(), h.dir, opts)
	if !errors.Is(err, want) {
		h.Fatalf("loading the folder: got %v, want %v", err, want)
	}
	return r
}

// expect compares the rows that a query gives, one line a row, columns separated by |.
func (h *harness) expect(query string, want ...string) {
	h.Helper()
	got := h.rows(query)
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		h.Errorf("%s\ngives\n%s\nwant\n%s", query, indent(g), indent(w))
	}
}

func indent(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") }

func (h *harness) rows(query string) []string {
	h.Helper()
	rows, err := h.store.DB().QueryContext(h.Context(), query)
	if err != nil {
		h.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		h.Fatal(err)
	}
	var out []string
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			h.Fatalf("%s: %v", query, err)
		}
		cells := make([]string, len(columns))
		for i, v := range values {
			cells[i] = cell(v)
		}
		out = append(out, strings.Join(cells, "|"))
	}
	if err := rows.Err(); err != nil {
		h.Fatalf("%s: %v", query, err)
	}
	return out
}

func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case time.Time:
		if v.Equal(v.Truncate(24 * time.Hour)) {
			return v.UTC().Format("2006-01-02")
		}
		return v.UTC().Format(time.RFC3339Nano)
	case []byte:
		return string(v)
	}
	return fmt.Sprint(v)
}
