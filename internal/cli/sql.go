package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/lake"
)

// queryLimit bounds a statement read from standard input, in bytes.
const queryLimit = 16 << 20

func (a *app) sqlCmd() *cobra.Command {
	var write bool
	cmd := &cobra.Command{
		Use: "sql [QUERY]", GroupID: "populations",
		Short: "Ask questions of the tables, in SQL",
		Long: `Runs one SQL statement (DuckDB's SQL) on the tables that "andiron load" filled, and prints its
rows. Without QUERY the statement is read from standard input.

The database is opened for reading alone, unless --write is given. Numbers come out as they
were written in the resource: 7.0 stays 7.0. "andiron tables" lists tables and columns.`,
		Example: `  andiron sql 'select code, count(*) from observation group by code order by 2 desc limit 10'
  andiron sql -o csv < report.sql > report.csv`,
		Args: a.arguments(0, 1, "one query; put it between quotation marks"),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := strings.Join(args, "")
			if query == "" || query == "-" {
				if isTerminal(a.in) {
					a.say("reading a statement from the terminal; Ctrl-D ends it")
				}
				data, err := readAll(a.in, queryLimit)
				if err != nil {
					return fmt.Errorf("the query cannot be read: %w", err)
				}
				query = string(data)
			}
			if strings.Trim(query, " \t\r\n;") == "" {
				return usagef("there is no query: give one as an argument or on standard input")
			}
			return a.sql(cmd.Context(), query, write)
		},
	}
	a.addKey(cmd.Flags(), "lake", "")
	cmd.Flags().BoolVar(&write, "write", false, "open the database for writing too")
	return cmd
}

func (a *app) sql(ctx context.Context, query string, write bool) error {
	l, err := a.openLake(write)
	if err != nil {
		return err
	}
	defer l.Close()
	rows, err := l.Query(ctx, query)
	if err != nil {
		return sqlProblem(err)
	}
	defer rows.Close()
	var columns []string
	for _, c := range rows.Columns() {
		columns = append(columns, c.Name)
	}
	out := a.rows("[", columns...)
	cells := make([]string, len(columns))
	for row, err := range rows.All() {
		if err != nil {
			return errors.Join(out.end("]"), sqlProblem(err))
		}
		for i, v := range row {
			cells[i] = sqlText(v)
		}
		var doc json.RawMessage
		if a.speaksJSON() {
			if doc, err = sqlObject(columns, row); err != nil {
				return err
			}
		}
		if err := out.add(cells, doc); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return errors.Join(out.end("]"), ctx.Err())
		}
	}
	if err := out.end("]"); err != nil {
		return err
	}
	if out.rows == 0 && a.format() == "table" {
		a.say("no rows")
	}
	return nil
}

// sqlText is a value as a cell.
func sqlText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return fmt.Sprintf("%x", v)
	case json.Number:
		return v.String()
	case json.RawMessage:
		return string(v)
	case bool:
		return fmt.Sprint(v)
	}
	data, err := marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

// sqlObject is a row as a JSON object, its members in the order of the columns.
func sqlObject(columns []string, row []any) (json.RawMessage, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, v := range row {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := marshal(columns[i])
		if err != nil {
			return nil, err
		}
		value, err := marshal(v)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// marshal is json.Marshal without escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// openLake opens the database that --lake names.
func (a *app) openLake(write bool) (*lake.Lake, error) {
	path := a.settings.get("lake", "").text
	open := lake.OpenReadOnly
	if write {
		open = lake.Open
	}
	l, err := open(path)
	if err == nil {
		return l, nil
	}
	return nil, a.lakeProblem(path, err)
}

// lakeProblem says what keeps a database from being opened.
func (a *app) lakeProblem(path string, err error) error {
	var locked *lake.LockedError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fix := "andiron load DIR"
		if path != "andiron.duckdb" {
			fix += " --lake " + shellQuote(path)
		}
		return &problem{
			Title: fmt.Sprintf("there is no database %s here", path),
			Why:   "It is made out of an exported folder.",
			Fix:   []string{fix}, Exit: exitNotFound, Err: err,
		}
	case errors.As(err, &locked):
		holder := "another process"
		if locked.PID != 0 {
			holder = fmt.Sprintf("process %d", locked.PID)
		}
		return &problem{
			Title: fmt.Sprintf("%s is in use by %s", path, holder),
			Why:   "One process at a time can write to it, and none can read meanwhile. Wait for it, or stop it.",
			Err:   err,
		}
	case errors.Is(err, lake.ErrUnsupported):
		return &problem{
			Title: "this andiron was built without cgo, and so without DuckDB",
			Why:   "Everything but load, sql and tables works. A build with CGO_ENABLED=1 and a C++ compiler has them.",
			Err:   err,
		}
	}
	return err
}

// sqlProblem shows what the database said about the statement: it is the user's own.
func sqlProblem(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	text := strings.TrimSpace(cause(err).Error())
	return &problem{
		Title: "the database refused the statement", Why: text,
		Fix: []string{"andiron tables"}, Err: err,
	}
}
