//go:build cgo

package lake

import (
	"context"
	"database/sql"
	"slices"
)

// Tables describes every table of the database with its rows counted: first those of the resource
// types, then resource and load_…, then whatever else somebody made.
func (l *Lake) Tables(ctx context.Context) ([]Table, error) {
	fail := func(err error) ([]Table, error) { return nil, &Error{Op: "tables", Err: err} }
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = conn.Close() }()
	var tables []Table
	err = eachRow(ctx, conn, `SELECT table_name, coalesce(comment, '') FROM duckdb_tables()
		WHERE database_name = current_database() AND schema_name = 'main' AND NOT internal ORDER BY table_name`,
		func(r *sql.Rows) error {
			var t Table
			err := r.Scan(&t.Name, &t.About)
			tables = append(tables, t)
			return err
		})
	if err != nil {
		return fail(err)
	}
	order := map[string]int{}
	resource := map[string]string{}
	for i, v := range views() {
		order[v.table], resource[v.table] = i-1000, v.resource
	}
	for i, t := range fixedTables {
		order[t.name] = i - 500
	}
	slices.SortStableFunc(tables, func(a, b Table) int { return order[a.Name] - order[b.Name] })
	for i := range tables {
		t := &tables[i]
		t.Resource = resource[t.Name]
		if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM "+quoted(t.Name)).Scan(&t.Rows); err != nil {
			return fail(err)
		}
		err := eachRow(ctx, conn, `SELECT column_name, data_type, coalesce(comment, '') FROM duckdb_columns()
			WHERE database_name = current_database() AND schema_name = 'main' AND table_name = `+quotedText(t.Name)+` ORDER BY column_index`,
			func(r *sql.Rows) error {
				var c Column
				err := r.Scan(&c.Name, &c.Type, &c.Path)
				t.Columns = append(t.Columns, c)
				return err
			})
		if err != nil {
			return fail(err)
		}
	}
	return tables, nil
}
