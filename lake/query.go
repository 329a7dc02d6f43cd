//go:build cgo

package lake

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

// Rows is the answer to a query. It must be closed, and until then it keeps a connection.
type Rows struct {
	columns []Column
	json    []bool // columns of type JSON, read as text
	conn    *sql.Conn
	stmt    driver.Stmt
	rows    driver.Rows
}

// Query runs one SQL statement and gives its rows as values that print and marshal literally:
// nothing is rounded on the way. Several statements, separated by semicolons, all run; the rows
// are the last one's.
//
// A value is nil, bool, string, []byte, [json.Number] (every number: DECIMAL with the zeros of its
// scale, DOUBLE in the shortest form that reads back the same), [json.RawMessage] (JSON as it
// stands), []any (a list) or map[string]any (a struct). Dates are strings such as 2024-05-01,
// timestamps with time zone strings such as 2024-05-01T08:00:00Z.
func (l *Lake) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return nil, &Error{Op: "query", Err: err}
	}
	r := &Rows{conn: conn}
	if err := r.start(ctx, query, args); err != nil {
		return nil, &Error{Op: "query", Err: errors.Join(err, r.Close())}
	}
	return r, nil
}

func (r *Rows) start(ctx context.Context, query string, args []any) error {
	var duck *duckdb.Conn
	if err := r.conn.Raw(func(c any) error {
		var ok bool
		if duck, ok = c.(*duckdb.Conn); !ok {
			return fmt.Errorf("unexpected driver connection %T", c)
		}
		return nil
	}); err != nil {
		return err
	}
	named := make([]driver.NamedValue, len(args))
	for i, a := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
		if err := duck.CheckNamedValue(&named[i]); errors.Is(err, driver.ErrSkip) {
			if named[i].Value, err = driver.DefaultParameterConverter.ConvertValue(a); err != nil {
				return err
			}
		}
	}
	// The connection is ours until Close, and rows are read from it without database/sql, whose
	// values would be converted once more.
	stmt, err := duck.PrepareContext(ctx, query)
	if err != nil {
		return err
	}
	r.stmt = stmt
	names, err := r.asText(ctx, duck, query)
	if err != nil {
		return err
	}
	rows, err := r.stmt.(driver.StmtQueryContext).QueryContext(ctx, named)
	if err != nil {
		return err
	}
	r.rows = rows
	if names == nil {
		names = rows.Columns()
	}
	types, _ := rows.(driver.RowsColumnTypeDatabaseTypeName)
	for i, name := range names {
		c := Column{Name: name, Type: types.ColumnTypeDatabaseTypeName(i)}
		switch {
		case r.json != nil && r.json[i]:
			c.Type = "JSON"
		case c.Type == "TIMESTAMPTZ":
			c.Type = sqlInstant
		}
		r.columns = append(r.columns, c)
	}
	return nil
}

// asText puts a cast around a query that yields JSON: the driver parses JSON into float64 and would
// round its numbers. It returns the columns' names when it did so.
func (r *Rows) asText(ctx context.Context, duck *duckdb.Conn, query string) ([]string, error) {
	stmt, ok := r.stmt.(*duckdb.Stmt)
	if !ok {
		return nil, nil
	}
	if kind, err := stmt.StatementType(); err != nil || kind != duckdb.STATEMENT_TYPE_SELECT {
		return nil, nil //nolint:nilerr // a statement of unknown kind is run as it is
	}
	n, err := stmt.ColumnCount()
	if err != nil {
		return nil, nil //nolint:nilerr // as above
	}
	names, aliases, exprs := make([]string, n), make([]string, n), make([]string, n)
	isJSON, found := make([]bool, n), false
	for i := range n {
		if names[i], err = stmt.ColumnName(i); err != nil {
			return nil, nil //nolint:nilerr // as above
		}
		aliases[i] = "c" + strconv.Itoa(i)
		exprs[i] = aliases[i]
		if t, err := stmt.ColumnTypeInfo(i); err == nil && t.Alias() == "JSON" {
			isJSON[i], found = true, true
			exprs[i] = "CAST(" + aliases[i] + " AS VARCHAR)"
		}
	}
	if !found {
		return nil, nil
	}
	// The second form takes what the first cannot, a comment after the semicolon for one; it takes
	// no parameters.
	prefix, suffix := "SELECT "+strings.Join(exprs, ", ")+" FROM ", " AS q("+strings.Join(aliases, ", ")+")"
	wrapped, err := duck.PrepareContext(ctx, prefix+"(\n"+strings.TrimRight(query, "; \t\r\n")+"\n)"+suffix)
	if err != nil {
		wrapped, err = duck.PrepareContext(ctx, prefix+"query("+quotedText(query)+")"+suffix)
	}
	if err != nil {
		return nil, nil //nolint:nilerr // several statements, or what SELECT cannot select from
	}
	err = r.stmt.Close()
	r.stmt, r.json = wrapped, isJSON
	return names, err
}

// Columns are the names and types of the columns.
func (r *Rows) Columns() []Column { return r.columns }

// All yields the rows once. The first error ends it. A row is the caller's to keep.
func (r *Rows) All() iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		if r.rows == nil {
			return // closed
		}
		raw := make([]driver.Value, len(r.rows.Columns()))
		for {
			err := r.rows.Next(raw)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, &Error{Op: "query", Err: err})
				return
			}
			out := make([]any, len(raw))
			for i, v := range raw {
				out[i] = r.value(i, v)
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}

// Close ends the query.
func (r *Rows) Close() error {
	var errs []error
	if r.rows != nil {
		errs = append(errs, r.rows.Close())
		r.rows = nil
	}
	if r.stmt != nil {
		errs = append(errs, r.stmt.Close())
		r.stmt = nil
	}
	if r.conn != nil {
		errs = append(errs, r.conn.Close())
		r.conn = nil
	}
	return errors.Join(errs...)
}

// value turns what the driver gives into what Query promises.
func (r *Rows) value(i int, v any) any {
	if text, ok := v.(string); ok && r.json != nil && r.json[i] {
		return json.RawMessage(text)
	}
	return plainValue(v, r.columns[i].Type)
}

func plainValue(v any, typ string) any {
	switch v := v.(type) {
	case nil, bool, string:
		return v
	case []byte:
		if typ == "UUID" && len(v) == 16 {
			var u duckdb.UUID
			copy(u[:], v)
			return u.String()
		}
		return v
	case int8, int16, int32, int64, int, uint8, uint16, uint32, uint64, uint:
		return json.Number(fmt.Sprint(v))
	case *big.Int:
		return json.Number(v.String())
	case float32:
		return float(float64(v), 32)
	case float64:
		return float(v, 64)
	case duckdb.Decimal:
		return json.Number(decimalText(v))
	case time.Time:
		return timeText(v, typ)
	case duckdb.Interval:
		return fmt.Sprintf("%d months %d days %s", v.Months, v.Days, time.Duration(v.Micros)*time.Microsecond)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plainValue(e, strings.TrimSuffix(typ, "[]"))
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = plainValue(e, "")
		}
		return out
	}
	return fmt.Sprint(v)
}

// float is a JSON number, and text for what JSON has no number for.
func float(f float64, bits int) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Sprint(f)
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return json.Number(strconv.FormatFloat(f, format, -1, bits))
}

// decimalText keeps the zeros that the scale asks for; the driver's own String drops them.
func decimalText(d duckdb.Decimal) string {
	digits := new(big.Int).Abs(d.Value).String()
	if n := int(d.Scale) + 1 - len(digits); n > 0 {
		digits = strings.Repeat("0", n) + digits
	}
	if d.Scale > 0 {
		point := len(digits) - int(d.Scale)
		digits = digits[:point] + "." + digits[point:]
	}
	if d.Value.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

func timeText(t time.Time, typ string) string {
	switch typ {
	case sqlDay:
		return t.Format("2006-01-02")
	case "TIME", "TIMETZ":
		return t.Format("15:04:05.999999")
	case sqlInstant:
		return t.UTC().Format("2006-01-02T15:04:05.999999Z07:00")
	}
	return t.Format("2006-01-02T15:04:05.999999")
}
