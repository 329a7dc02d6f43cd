//go:build cgo

package lake_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/andironhq/andiron/lake"
	"github.com/andironhq/andiron/lake/laketest"
)

// TestMain plays the other process for the tests that need one.
func TestMain(m *testing.M) {
	if path := os.Getenv("LAKE_TEST_HOLD"); path != "" {
		otherProcess(path, os.Getenv("LAKE_TEST_LOAD"))
		return
	}
	os.Exit(m.Run())
}

// otherProcess opens the file, loads a folder if one is given, says so line by line and stays
// until its input ends.
func otherProcess(path, dir string) {
	l, err := lake.Open(path)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("open")
	if dir != "" {
		_, err := l.Load(context.Background(), dir, lake.LoadOptions{Progress: func(r lake.FileResult) { fmt.Println("loaded", r.File) }})
		fmt.Println("done", err)
	}
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	if err := l.Close(); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// start runs another process on the file until a line of its output has the prefix.
func start(t *testing.T, path, dir, until string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "LAKE_TEST_HOLD="+path, "LAKE_TEST_LOAD="+dir)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), until) {
			return cmd
		}
	}
	t.Fatalf("the other process ended before it said %q", until)
	return nil
}

func open(t *testing.T, path string) *lake.Lake {
	t.Helper()
	l, err := lake.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("closing the lake: %v", err)
		}
	})
	return l
}

func load(t *testing.T, l *lake.Lake, dir string) *lake.LoadResult {
	t.Helper()
	r, err := l.Load(t.Context(), dir, lake.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func number(t *testing.T, l *lake.Lake, query string) int {
	t.Helper()
	var n int
	if err := l.DB().QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// observations writes a file of n Observations.
func observations(t *testing.T, dir, name string, n int) {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"resourceType":"Observation","id":"%s-%d","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"718-7"}]},`+
			`"subject":{"reference":"Patient/p%d"},"valueQuantity":{"value":%d.10,"unit":"g/dL"},`+
			`"component":[{"code":{"text":"c"},"valueString":"%d"}]}`+"\n", strings.TrimSuffix(name, ".ndjson"), i, i%100, i, i)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLakeInMemoryPassesTheSuite(t *testing.T) {
	laketest.Exercise(t, func(t *testing.T) laketest.Store {
		l, err := lake.Open("")
		if err != nil {
			t.Fatal(err)
		}
		return l
	})
}

func TestLakeInAFilePassesTheSuite(t *testing.T) {
	if underRace {
		t.Skip("the suite in memory runs the same code under the race detector")
	}
	laketest.Exercise(t, func(t *testing.T) laketest.Store {
		l, err := lake.Open(filepath.Join(t.TempDir(), "lake.duckdb"))
		if err != nil {
			t.Fatal(err)
		}
		return l
	})
}

func TestAFileHeldElsewhereIsLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lake.duckdb")
	other := start(t, path, "", "open")
	for name, open := range map[string]func(string) (*lake.Lake, error){"Open": lake.Open, "OpenReadOnly": lake.OpenReadOnly} {
		_, err := open(path)
		var locked *lake.LockedError
		if !errors.As(err, &locked) || !errors.Is(err, lake.ErrLocked) {
			t.Fatalf("%s of a held file: got %v, want ErrLocked", name, err)
		}
		if locked.PID != other.Process.Pid {
			t.Errorf("%s says that pid %d holds the file, want %d", name, locked.PID, other.Process.Pid)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error has more than one line: %q", name, err)
		}
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	open(t, path)
}

func TestReadOnlyNeitherCreatesNorLoads(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lake.duckdb")
	if _, err := lake.OpenReadOnly(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: got %v, want fs.ErrNotExist", err)
	}
	observations(t, dir, "a.ndjson", 10)
	l := open(t, path)
	load(t, l, dir)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // two at once
		r, err := lake.OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		if n := number(t, r, `SELECT count(*) FROM observation`); n != 10 {
			t.Errorf("%d observations, want 10", n)
		}
		if _, err := r.Load(t.Context(), dir, lake.LoadOptions{}); err == nil {
			t.Error("a lake that is open for reading took a load")
		}
		if _, err := r.DB().ExecContext(t.Context(), `DROP TABLE observation`); err == nil {
			t.Error("a lake that is open for reading dropped a table")
		}
		if tables, err := r.Tables(t.Context()); err != nil || len(tables) < 13 {
			t.Errorf("%d tables, %v", len(tables), err)
		}
	}
}

func TestEveryColumnCanBeNamedWithoutQuotes(t *testing.T) {
	l := open(t, "")
	tables, err := l.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		for _, c := range table.Columns {
			if _, err := l.DB().ExecContext(t.Context(), "SELECT "+c.Name+" FROM "+table.Name+" WHERE "+c.Name+" IS NOT NULL"); err != nil {
				t.Errorf("%s.%s: %v", table.Name, c.Name, err)
			}
		}
	}
}

func TestAQueryGivesValuesAsTheyStand(t *testing.T) {
	l := open(t, "")
	tests := []struct{ query, want string }{
		{`SELECT 1.10::DECIMAL(9,2), 0::DECIMAL(4,3), -0.05::DECIMAL(4,2), 12::DECIMAL(9,0)`, `["1.10","0.000","-0.05","12"]`},
		{`SELECT 95::DOUBLE, 0.1::DOUBLE, 1e300::DOUBLE, 1e-9::DOUBLE, 0.1::FLOAT`, `["95","0.1","1e+300","1e-09","0.1"]`},
		{`SELECT 170141183460469231731687303715884105727::HUGEINT, 9223372036854775807, 7::UTINYINT`, `["170141183460469231731687303715884105727","9223372036854775807","7"]`},
		{`SELECT '{"a":1.10,"b":123456789012345678.12345}'::JSON AS j, 1 AS n ORDER BY 2; -- a comment`, `["{\"a\":1.10,\"b\":123456789012345678.12345}","1"]`},
		{`SELECT DATE '2024-02-29', TIMESTAMPTZ '2024-05-01 08:00:00+02', TIMESTAMP '2024-05-01 08:00:00.5', TIME '10:00:00'`, `["2024-02-29","2024-05-01T06:00:00Z","2024-05-01T08:00:00.5","10:00:00"]`},
		{`SELECT ['a', NULL], {'x': 1.50::DECIMAL(3,2)}, NULL, true, 'text'`, `["[a null]","map[x:1.50]","null","true","text"]`},
		{`CREATE TABLE two AS SELECT 1 AS a; INSERT INTO two VALUES (2); SELECT count(*) FROM two`, `["2"]`},
		{`SELECT 'x'::JSON IS NULL OR $1 = 7`, ``},
		{`SELECT $1::INTEGER + 1`, `["8"]`},
	}
	for _, tt := range tests {
		var args []any
		if strings.Contains(tt.query, "$1") {
			args = []any{7}
		}
		rows, err := l.Query(t.Context(), tt.query, args...)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%s: no error", tt.query)
				_ = rows.Close()
			} else if strings.HasSuffix(err.Error(), "\n") {
				t.Errorf("%s: the error ends in a line break", tt.query)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.query, err)
			continue
		}
		n := 0
		for row, err := range rows.All() {
			if err != nil {
				t.Errorf("%s: %v", tt.query, err)
				break
			}
			n++
			var cells []string
			for _, v := range row {
				switch v := v.(type) {
				case nil:
					cells = append(cells, "null")
				case json.RawMessage:
					cells = append(cells, string(v))
				case []any:
					cells = append(cells, strings.ReplaceAll(fmt.Sprint(v), "<nil>", "null"))
				default:
					cells = append(cells, fmt.Sprint(v))
				}
			}
			got, err := json.Marshal(cells)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("%s\ngives %s\nwant  %s", tt.query, got, tt.want)
			}
			if _, err := json.Marshal(row); err != nil {
				t.Errorf("%s: the row does not marshal: %v", tt.query, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d rows, want 1", tt.query, n)
		}
		if len(rows.Columns()) == 0 || rows.Columns()[0].Name == "" || rows.Columns()[0].Type == "" {
			t.Errorf("%s: the columns are %v", tt.query, rows.Columns())
		}
		if err := rows.Close(); err != nil {
			t.Errorf("%s: closing: %v", tt.query, err)
		}
	}
}

func TestATableOfAnotherShapeIsMadeAnewFromTheResources(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lake.duckdb")
	observations(t, dir, "a.ndjson", 3000)
	l := open(t, path)
	load(t, l, dir)
	const sum = `SELECT count(*) + sum(value_quantity)::BIGINT + count(DISTINCT line) + sum(load_id) FROM observation`
	want, components := number(t, l, sum), number(t, l, `SELECT count(*) FROM observation_component`)
	for _, s := range []string{
		`UPDATE load_view SET hash = 'of another version' WHERE name LIKE 'observation%'`,
		`DROP TABLE observation`, `CREATE TABLE observation (id INTEGER)`, `DROP TABLE observation_component`,
	} {
		if _, err := l.DB().ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, path)
	if got := number(t, l, sum); got != want {
		t.Errorf("the table made anew sums to %d, want %d", got, want)
	}
	if got := number(t, l, `SELECT count(*) FROM observation_component`); got != components {
		t.Errorf("%d components, want %d", got, components)
	}
	if r := load(t, l, dir); r.Unchanged != 1 {
		t.Errorf("loading the folder again took %d resources, want the file found unchanged", r.Resources)
	}
}

func TestACancelledLoadKeepsWholeFilesOnly(t *testing.T) {
	dir := t.TempDir()
	for i := range 4 {
		observations(t, dir, fmt.Sprintf("%d.ndjson", i), 2000)
	}
	l := open(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	_, err := l.Load(ctx, dir, lake.LoadOptions{Progress: func(lake.FileResult) {
		if n++; n == 2 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the cancelled load: got %v, want context.Canceled", err)
	}
	if got := number(t, l, `SELECT count(*) FROM observation`); got != 4000 {
		t.Errorf("%d observations, want the 4000 of two whole files", got)
	}
	if r := load(t, l, dir); r.Unchanged != 2 || r.Resources != 4000 {
		t.Errorf("the next load took %d resources and found %d files unchanged, want 4000 and 2", r.Resources, r.Unchanged)
	}
}

func TestALoadThatIsKilledKeepsWholeFilesOnly(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(t.TempDir(), "lake.duckdb")
	for i := range 3 {
		observations(t, dir, fmt.Sprintf("%d.ndjson", i), 4000)
	}
	other := start(t, path, dir, "loaded 0")
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	l := open(t, path)
	got := number(t, l, `SELECT count(*) FROM observation`)
	if got == 0 || got%4000 != 0 || got != number(t, l, `SELECT sum(resources) FROM load_file`) {
		t.Errorf("after the kill the table has %d rows, want whole files of 4000, at least one, as the ledger says", got)
	}
	load(t, l, dir)
	if got := number(t, l, `SELECT count(*) FROM observation`); got != 12000 {
		t.Errorf("after the next load the table has %d rows, want 12000", got)
	}
	if got := number(t, l, `SELECT count(DISTINCT id) FROM resource`); got != 12000 {
		t.Errorf("%d resources, want 12000", got)
	}
}

func TestLoadsOfOneFileTakeTurns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lake.duckdb")
	dir := t.TempDir()
	observations(t, dir, "a.ndjson", 2000)
	var wg sync.WaitGroup
	for range 3 {
		l := open(t, path) // one instance underneath, three Lakes
		wg.Go(func() {
			if _, err := l.Load(t.Context(), dir, lake.LoadOptions{}); err != nil {
				t.Errorf("loading at the same time: %v", err)
			}
		})
	}
	wg.Wait()
	l := open(t, path)
	if got := number(t, l, `SELECT count(*) FROM resource`); got != 2000 {
		t.Errorf("%d resources, want 2000", got)
	}
	if got := number(t, l, `SELECT count(*) FROM load_file`); got != 1 {
		t.Errorf("the ledger has %d rows, want 1", got)
	}
}
