//go:build cgo

package lake_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/andironhq/andiron/lake"
	"github.com/andironhq/andiron/sim/population"
)

// The generated charts have Epic's shapes, and all twelve types.
func TestAGeneratedPopulationFillsTheTables(t *testing.T) {
	patients := 60
	if underRace {
		patients = 8
	}
	pop := population.New(population.Config{Seed: 1, Patients: patients})
	dir := t.TempDir()
	files, lines := map[string]*bufio.Writer{}, map[string]map[string]string{}
	for r := range pop.All() {
		w := files[r.Type]
		if w == nil {
			f, err := os.Create(filepath.Join(dir, r.Type+".ndjson"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			w = bufio.NewWriter(f)
			files[r.Type], lines[r.Type] = w, map[string]string{}
		}
		lines[r.Type][r.ID] = string(r.JSON)
		if _, err := w.WriteString(string(r.JSON) + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range files {
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	l := open(t, "")
	result := load(t, l, dir)
	for typ, want := range lines {
		if got := result.Types[typ]; got != int64(len(want)) {
			t.Errorf("%s: %d resources in the lake, want %d", typ, got, len(want))
		}
	}
	rows, err := l.Query(t.Context(), `SELECT type, id, json FROM resource`)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for row, err := range rows.All() {
		if err != nil {
			t.Fatal(err)
		}
		if n++; lines[row[0].(string)][row[1].(string)] != row[2] {
			t.Errorf("%v/%v is not what was generated", row[0], row[1])
		}
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	if int64(n) != result.Resources {
		t.Errorf("resource has %d rows, want %d", n, result.Resources)
	}
	tables, err := l.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if table.Name == strings.ToLower(table.Resource) && table.Rows != int64(len(lines[table.Resource])) {
			t.Errorf("table %s has %d rows, want %d", table.Name, table.Rows, len(lines[table.Resource]))
		}
	}
	if got := number(t, l, `SELECT count(*) FROM patient WHERE mrn IS NOT NULL AND family IS NOT NULL AND birth_date IS NOT NULL`); got != number(t, l, `SELECT count(*) FROM patient`) {
		t.Errorf("%d patients have a record number, a name and a birth date, want all", got)
	}
	for _, q := range []string{
		`SELECT count(*) FROM encounter WHERE csn IS NULL OR patient_id IS NULL OR class IS NULL`,
		`SELECT count(*) FROM observation WHERE patient_id NOT IN (SELECT id FROM patient) OR code IS NULL`,
		`SELECT count(*) FROM observation WHERE value_kind = 'quantity' AND (value_quantity IS NULL OR value_literal IS NULL)`,
		`SELECT count(*) FROM observation WHERE effective IS NULL`,
		`SELECT count(*) FROM medicationrequest WHERE medication IS NULL OR medication_id IS NULL`,
		`SELECT count(*) FROM condition WHERE code IS NULL OR patient_id IS NULL`,
		`SELECT count(*) FROM appointment WHERE start_time IS NULL OR patient_id IS NULL`,
		`SELECT count(*) FROM immunization WHERE code_system IS DISTINCT FROM 'http://hl7.org/fhir/sid/cvx'`,
	} {
		if got := number(t, l, q); got != 0 {
			t.Errorf("%s: %d, want 0", q, got)
		}
	}
	if kinds := number(t, l, `SELECT count(DISTINCT value_kind) FROM observation WHERE value_kind IN ('quantity', 'codeableconcept', 'string', 'absent', 'components')`); kinds < 4 && !underRace {
		t.Errorf("%d kinds of value, want at least 4", kinds)
	}
}

// A name or a link of another form is the same file.
func TestALinkLeadsToTheSameLake(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	observations(t, data, "a.ndjson", 5)
	l := open(t, filepath.Join(dir, "lake.duckdb"))
	if err := os.Symlink(filepath.Join(dir, "lake.duckdb"), filepath.Join(dir, "link.duckdb")); err != nil {
		t.Fatal(err)
	}
	load(t, l, data)
	again := open(t, filepath.Join(dir, "link.duckdb"))
	if got := number(t, again, `SELECT count(*) FROM observation`); got != 5 {
		t.Errorf("through the link there are %d observations, want 5", got)
	}
}

// Somebody's own DuckDB file with a table patient in it is no lake, and the table is theirs.
func TestATableThatIsNotOursIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "theirs.duckdb")
	l := open(t, path)
	tables, err := l.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if _, err := l.DB().ExecContext(t.Context(), `DROP TABLE `+table.Name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.DB().ExecContext(t.Context(), `CREATE TABLE patient AS SELECT 42 AS answer`); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := lake.Open(path); err == nil {
		t.Error("a database with a foreign table patient was opened as a lake")
	}
	r, err := lake.OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if got := number(t, r, `SELECT answer FROM patient`); got != 42 {
		t.Errorf("the foreign table holds %d, want 42", got)
	}
	if got := number(t, r, `SELECT count(*) FROM duckdb_tables() WHERE NOT internal`); got != 1 {
		t.Errorf("%d tables, want the foreign one alone", got)
	}
}
