//go:build cgo

package lake

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/andironhq/andiron/r4"
)

// fixed is a table that is not a view of one resource type.
type fixed struct {
	name, about string
	columns     []Column
	constraint  string
}

// provenance ends every row that came out of a file.
var provenance = []Column{
	{"source", sqlText, "the server that the resource came from: LoadOptions.Source, or the FHIR base URL in the manifest"},
	{"load_id", sqlInteger, "the load that brought it: load_file.load_id"},
	{"line", sqlInteger, "the line in that file, from 1"},
}

var fixedTables = []fixed{
	{
		name:  "resource",
		about: "Every resource of every type, its JSON byte for byte as it was received.",
		columns: append([]Column{
			{"type", sqlText, "resourceType"},
			{"id", sqlText, "id"},
			{"patient_id", sqlText, "the Patient that it is, or that its subject, patient or the like names"},
			{"json", sqlText, "the line, numbers as written; DuckDB's JSON functions take it, but round its numbers"},
			{"file", sqlText, "the file that it came from"},
		}, provenance...),
	},
	{
		name:  "load_file",
		about: "The files that were loaded, one row each time: the ledger by which a file is not loaded twice.",
		columns: []Column{
			{"load_id", sqlInteger, "counts up"},
			{"source", sqlText, "as in resource"},
			{"folder", sqlText, "absolute path"},
			{"file", sqlText, "name within the folder"},
			{"sha256", sqlText, "of the bytes on disk"},
			{"bytes", sqlInteger, "size on disk"},
			{"transaction_time", sqlInstant, "of the export, from the manifest"},
			{"deletions", sqlBoolean, "whether the file lists deleted resources"},
			{"lines", sqlInteger, "lines that are not blank"},
			{"resources", sqlInteger, "resources loaded, or deletions found"},
			{"quarantined", sqlInteger, "lines set aside, see load_quarantine"},
			{"loaded_at", sqlInstant, "when"},
		},
		constraint: "PRIMARY KEY (load_id)",
	},
	{
		name:  "load_quarantine",
		about: "Lines that could not be taken, of the files as they were last loaded.",
		columns: []Column{
			{"source", sqlText, "as in resource"},
			{"folder", sqlText, "as in load_file"},
			{"file", sqlText, "as in load_file"},
			{"line", sqlInteger, "from 1"},
			{"byte_offset", sqlInteger, "where the line starts in the uncompressed file"},
			{"reason", sqlText, "why"},
			{"load_id", sqlInteger, "load_file.load_id"},
		},
	},
	{
		name:  "load_deleted",
		about: "Deletions that an export reported, one row each.",
		columns: []Column{
			{"source", sqlText, "as in resource"},
			{"type", sqlText, "of the resource"},
			{"id", sqlText, "of the resource"},
			{"load_id", sqlInteger, "load_file.load_id"},
		},
	},
	{
		name:  "load_view",
		about: "The shape in which each table of a resource type was filled; another shape makes it anew.",
		columns: []Column{
			{"name", sqlText, "of the table"},
			{"hash", sqlText, "of its columns"},
		},
		constraint: "PRIMARY KEY (name)",
	},
}

// migrate brings the database to the tables of this package.
func (l *Lake) migrate(ctx context.Context) error {
	have := map[string]string{}
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return inTransaction(ctx, conn, func() error {
		var known int
		err := conn.QueryRowContext(ctx, `SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database()
			AND schema_name = 'main' AND table_name = 'load_view'`).Scan(&known)
		if err != nil {
			return err
		}
		if known > 0 {
			if err := eachRow(ctx, conn, `SELECT name, hash FROM load_view`, func(r *sql.Rows) error {
				var name, hash string
				err := r.Scan(&name, &hash)
				have[name] = hash
				return err
			}); err != nil {
				return err
			}
		} else {
			for _, t := range fixedTables {
				if err := createTable(ctx, conn, t.name, t.about, t.columns, t.constraint); err != nil {
					return err
				}
			}
		}
		for _, v := range views() {
			if have[v.table] == v.hash() {
				continue
			}
			// Only what is ours: a table of that name in somebody's own database is an error below.
			if _, ours := have[v.table]; ours {
				if _, err := conn.ExecContext(ctx, "DROP TABLE IF EXISTS "+quoted(v.table)); err != nil {
					return err
				}
			}
			if err := createTable(ctx, conn, v.table, v.about, slices.Concat(v.columns, provenance), ""); err != nil {
				return err
			}
			if known > 0 {
				if err := l.refill(ctx, conn, v); err != nil {
					return fmt.Errorf("table %s: %w", v.table, err)
				}
			}
			if _, err := conn.ExecContext(ctx, `INSERT OR REPLACE INTO load_view VALUES (?, ?)`, v.table, v.hash()); err != nil {
				return err
			}
		}
		return nil
	})
}

func createTable(ctx context.Context, conn *sql.Conn, name, about string, cols []Column, constraint string) error {
	defs := make([]string, 0, len(cols)+1)
	for _, c := range cols {
		def := quoted(c.Name) + " " + c.Type
		if name == "resource" && c.Name == "json" {
			def += " USING COMPRESSION zstd"
		}
		defs = append(defs, def)
	}
	if constraint != "" {
		defs = append(defs, constraint)
	}
	statements := []string{
		"CREATE TABLE " + quoted(name) + " (" + strings.Join(defs, ", ") + ")",
		"COMMENT ON TABLE " + quoted(name) + " IS " + quotedText(about),
	}
	for _, c := range cols {
		statements = append(statements, "COMMENT ON COLUMN "+quoted(name)+"."+quoted(c.Name)+" IS "+quotedText(c.Path))
	}
	for _, s := range statements {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
	}
	return nil
}

// refill fills one view's table out of the resources in the lake.
func (l *Lake) refill(ctx context.Context, conn *sql.Conn, v *view) error {
	reader, err := l.db.Conn(ctx) // sees what is committed, and that is all there is
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }()
	return withAppender(conn, v.table, func(a *duckdb.Appender) error {
		return eachRow(ctx, reader, `SELECT json, source, load_id, line FROM resource WHERE type = `+quotedText(v.resource),
			func(r *sql.Rows) error {
				var json []byte
				var source string
				var load, line int64
				if err := r.Scan(&json, &source, &load, &line); err != nil {
					return err
				}
				res, err := r4.Unmarshal(json)
				if err != nil {
					return err
				}
				for _, row := range v.rows(res) {
					if err := a.AppendRow(append(row, source, load, line)...); err != nil {
						return err
					}
				}
				return nil
			})
	})
}

// inTransaction commits what f did when f says that all is well.
func inTransaction(ctx context.Context, conn *sql.Conn, f func() error) error {
	if _, err := conn.ExecContext(ctx, "BEGIN TRANSACTION"); err != nil {
		return err
	}
	if err := f(); err != nil {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // the cause says more than a failed rollback
		return err
	}
	_, err := conn.ExecContext(ctx, "COMMIT")
	return err
}

func eachRow(ctx context.Context, conn *sql.Conn, query string, f func(*sql.Rows) error) error {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func withAppender(conn *sql.Conn, table string, f func(*duckdb.Appender) error) error {
	return conn.Raw(func(c any) error {
		a, err := duckdb.NewAppenderFromConn(c.(driver.Conn), "", table)
		if err != nil {
			return err
		}
		if err := f(a); err != nil {
			_ = a.Clear()
			_ = a.Close()
			return err
		}
		return a.Close()
	})
}
