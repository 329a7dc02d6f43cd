package cli_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sharedData is the folder of Synthea patients, where this machine has it.
func sharedData(t *testing.T) string {
	t.Helper()
	root := os.Getenv("ANDIRON_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	dir, err := filepath.Abs(filepath.Join(root, "data", "synthea"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "MANIFEST.json")); err != nil {
		t.Skipf("SKIPPED: the Synthea patients are not here (%s); set ANDIRON_SHARED", dir)
	}
	return dir
}

// digest is a hash of a JSON value that keeps what the value is: members in any order, but
// numbers as they are written.
func digest(line []byte) ([sha256.Size]byte, string, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return [sha256.Size]byte{}, "", err
	}
	o, ok := v.(map[string]any)
	if !ok {
		return [sha256.Size]byte{}, "", fmt.Errorf("no object")
	}
	canonical, err := json.Marshal(v) // members sorted, json.Number verbatim
	return sha256.Sum256(canonical), fmt.Sprint(o["resourceType"], "/", o["id"]), err
}

// eachLine calls f with every line of a folder's NDJSON files.
func eachLine(t *testing.T, dir string, f func(file string, line []byte)) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.ndjson*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if filepath.Base(name) == "log.ndjson" {
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		var r io.Reader = file
		if strings.HasSuffix(name, ".gz") {
			if r, err = gzip.NewReader(file); err != nil {
				t.Fatal(err)
			}
		}
		lines := bufio.NewReaderSize(r, 1<<20)
		for err == nil {
			var line []byte
			line, err = lines.ReadBytes('\n')
			if line = bytes.TrimSpace(line); len(line) > 0 {
				f(filepath.Base(name), line)
			}
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		file.Close()
	}
}

// rawLines counts a folder's lines by their bytes.
func rawLines(t *testing.T, dir string) map[[sha256.Size]byte]int {
	t.Helper()
	all := map[[sha256.Size]byte]int{}
	eachLine(t, dir, func(_ string, line []byte) { all[sha256.Sum256(line)]++ })
	return all
}

// values are the resources of a folder by type and id, without the lines in skip.
func values(t *testing.T, dir string, skip map[[sha256.Size]byte]int) map[string][sha256.Size]byte {
	t.Helper()
	all := map[string][sha256.Size]byte{}
	eachLine(t, dir, func(file string, line []byte) {
		if skip[sha256.Sum256(line)] > 0 {
			return
		}
		d, id, err := digest(line)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if _, twice := all[id]; twice {
			t.Fatalf("%s has a resource that was there already", file)
		}
		all[id] = d
	})
	return all
}

// sameFolders fails unless both hold the same resources with the same values. Lines that are the
// same to the byte need no closer look.
func sameFolders(t *testing.T, got, want string) {
	t.Helper()
	gotRaw, wantRaw := rawLines(t, got), rawLines(t, want)
	total := func(m map[[sha256.Size]byte]int) (n int) {
		for _, c := range m {
			n += c
		}
		return n
	}
	if g, w := total(gotRaw), total(wantRaw); g != w || w == 0 {
		t.Errorf("%d resources arrived, the source has %d", g, w)
	}
	for h, n := range gotRaw {
		if w := wantRaw[h]; w > 0 && w != n {
			t.Errorf("a line arrived %d times that the source has %d times", n, w)
		}
	}
	sameResources(t, values(t, got, wantRaw), values(t, want, gotRaw))
}

// sameResources fails unless both hold the same resources with the same values.
func sameResources(t *testing.T, got, want map[string][sha256.Size]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d resources arrived, the source has %d", len(got), len(want))
	}
	wrong := 0
	for id, d := range want {
		g, ok := got[id]
		if !ok || g != d {
			if wrong++; wrong <= 5 {
				t.Errorf("%s is not what the source has (arrived: %t)", id, ok)
			}
		}
	}
}

// counts are rows by type in the table resource, and in the typed tables.
func (m *machine) counts() map[string]int64 {
	m.t.Helper()
	out := m.must("sql", "-o", "json", "select type, count(*) as n from resource group by type")
	var rows []struct {
		Type string
		N    int64
	}
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		m.t.Fatalf("sql -o json: %v", err)
	}
	n := map[string]int64{}
	for _, r := range rows {
		n[r.Type] = r.N
	}
	var tables []struct {
		Table string
		Rows  int64
	}
	if err := json.Unmarshal([]byte(m.must("tables", "-o", "json")), &tables); err != nil {
		m.t.Fatalf("tables -o json: %v", err)
	}
	byName := map[string]int64{}
	for _, x := range tables {
		byName[x.Table] = x.Rows
	}
	for typ, want := range n {
		if got, typed := byName[strings.ToLower(typ)]; typed && got != want {
			m.t.Errorf("tables shows %d rows of %s, the table resource has %d", got, strings.ToLower(typ), want)
		}
	}
	return n
}

func TestSyntheaArrivesWholeAndUnchanged(t *testing.T) {
	dir := sharedData(t)
	data, err := os.ReadFile(filepath.Join(dir, "MANIFEST.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Resources int64
		Files     []struct {
			Type      string
			Resources int64
		}
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	m.dev("--data", dir)
	m.must("export", "out")
	m.must("load", "out")
	got := m.counts()
	for _, f := range manifest.Files {
		if got[f.Type] != f.Resources {
			t.Errorf("%d of %s arrived in the tables, MANIFEST.json says %d", got[f.Type], f.Type, f.Resources)
		}
		delete(got, f.Type)
	}
	for typ, n := range got {
		t.Errorf("%d of %s arrived, and MANIFEST.json has none", n, typ)
	}
	sameFolders(t, filepath.Join(m.dir, "out"), dir)
}

// The same on generated data, everywhere: what the simulator serves from a folder is what a
// second export of that folder brings, and what the tables hold.
func TestGeneratedPatientsArriveWholeAndUnchanged(t *testing.T) {
	m := newMachine(t)
	first := m.dev("--patients", "25", "--seed", "3")
	m.must("export", "first")
	first.stop()
	m.dev("--data", "first")
	m.must("export", "second")
	m.must("load", "second")
	sameFolders(t, filepath.Join(m.dir, "second"), filepath.Join(m.dir, "first"))
	want := values(t, filepath.Join(m.dir, "first"), nil)
	byType := map[string]int64{}
	for id := range want {
		typ, _, _ := strings.Cut(id, "/")
		byType[typ]++
	}
	got := m.counts()
	for typ, n := range byType {
		if got[typ] != n {
			t.Errorf("%d of %s are in the tables, the folder has %d", got[typ], typ, n)
		}
	}
	// The table resource holds the literal JSON.
	out := m.must("sql", "-o", "ndjson", "select json from resource")
	stored := map[string][sha256.Size]byte{}
	for line := range strings.Lines(out) {
		var row struct{ JSON json.RawMessage }
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		text := row.JSON
		if len(text) > 0 && text[0] == '"' {
			var s string
			if err := json.Unmarshal(text, &s); err != nil {
				t.Fatal(err)
			}
			text = json.RawMessage(s)
		}
		d, id, err := digest(text)
		if err != nil {
			t.Fatal(err)
		}
		stored[id] = d
	}
	sameResources(t, stored, want)
}
