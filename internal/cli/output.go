package cli

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// formats are the values of --output.
var formats = []string{"table", "json", "ndjson", "csv"}

// tableSample is how many rows are held back to find the width of the columns. What follows
// is written as it comes.
const tableSample = 500

// cellLimit is the width of a cell on a terminal. Elsewhere cells are never shortened.
const cellLimit = 60

// rowWriter draws rows as they come, in the format that was asked for. In table and csv a row
// is its cells; in json and ndjson it is its document.
type rowWriter struct {
	format  string
	w       *bufio.Writer
	columns []string
	head    string // json: what stands before the first document, such as "["
	limit   int    // table: cells longer than this are cut; 0 never
	live    []int  // each row is written at once; table: the least widths of the columns

	rows   int
	held   [][]string
	widths []int
	csv    *csv.Writer
}

// rows begins an output of many rows. head is what stands before the documents in JSON.
func (a *app) rows(head string, columns ...string) *rowWriter {
	r := &rowWriter{format: a.format(), w: bufio.NewWriter(a.out), columns: columns, head: head}
	if a.outIsTerminal() {
		r.limit = cellLimit
	}
	if r.format == "csv" {
		r.csv = csv.NewWriter(r.w)
	}
	return r
}

// add draws one row.
func (r *rowWriter) add(cells []string, doc json.RawMessage) error {
	if err := r.draw(cells, doc); err != nil || r.live == nil {
		return err
	}
	if r.csv != nil {
		r.csv.Flush()
	}
	return r.w.Flush()
}

func (r *rowWriter) draw(cells []string, doc json.RawMessage) error {
	first := r.rows == 0
	r.rows++
	switch r.format {
	case "json":
		if first {
			r.w.WriteString(r.head)
		} else {
			r.w.WriteString(",")
		}
		r.w.WriteString("\n")
		_, err := r.w.Write(doc)
		return err
	case "ndjson":
		r.w.Write(doc)
		_, err := r.w.WriteString("\n")
		return err
	case "csv":
		if first {
			if err := r.csv.Write(r.columns); err != nil {
				return err
			}
		}
		return r.csv.Write(cells)
	}
	if r.widths == nil {
		if r.held = append(r.held, slices.Clone(cells)); r.live == nil && len(r.held) < tableSample {
			return nil
		}
		return r.release()
	}
	return r.line(cells)
}

// end finishes the output. tail closes what head opened.
func (r *rowWriter) end(tail string) error {
	switch r.format {
	case "json":
		if r.rows == 0 {
			r.w.WriteString(r.head)
		} else {
			r.w.WriteString("\n")
		}
		r.w.WriteString(tail + "\n")
	case "csv":
		if r.rows == 0 {
			if err := r.csv.Write(r.columns); err != nil {
				return err
			}
		}
		r.csv.Flush()
		if err := r.csv.Error(); err != nil {
			return err
		}
	case "table":
		if r.widths == nil && len(r.held) > 0 {
			if err := r.release(); err != nil {
				return err
			}
		}
	}
	return r.w.Flush()
}

func (r *rowWriter) release() error {
	r.widths = make([]int, len(r.columns))
	for i, c := range r.columns {
		r.widths[i] = utf8.RuneCountInString(c)
		if i < len(r.live) {
			r.widths[i] = max(r.widths[i], r.live[i])
		}
	}
	for _, cells := range r.held {
		for i, c := range cells {
			r.widths[i] = max(r.widths[i], utf8.RuneCountInString(r.cell(c)))
		}
	}
	head := make([]string, len(r.columns))
	for i, c := range r.columns {
		head[i] = strings.ToUpper(c)
	}
	if err := r.line(head); err != nil {
		return err
	}
	for _, cells := range r.held {
		if err := r.line(cells); err != nil {
			return err
		}
	}
	r.held = nil
	return nil
}

func (r *rowWriter) line(cells []string) error {
	var b strings.Builder
	for i, c := range cells {
		c = r.cell(c)
		b.WriteString(c)
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", max(0, r.widths[i]-utf8.RuneCountInString(c))+2))
		}
	}
	_, err := r.w.WriteString(strings.TrimRight(b.String(), " ") + "\n")
	return err
}

// cell is text that cannot move the cursor, break the line or run across the screen.
func (r *rowWriter) cell(s string) string {
	s = plain(s)
	if r.limit > 0 && utf8.RuneCountInString(s) > r.limit {
		return string([]rune(s)[:r.limit-1]) + "…"
	}
	return s
}

// plain replaces control characters by spaces: what a server sends must not steer a terminal.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s)
}

// table is a small result, drawn at once.
type table struct {
	columns []string
	rows    [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// emit draws a result that fits in memory: t for table and csv, doc for json. In ndjson there
// is one line for each of lines, or doc on one line where lines is nil.
func (a *app) emit(t table, doc any, lines []any) error {
	switch a.format() {
	case "json":
		return a.asJSON(doc)
	case "ndjson":
		if lines == nil {
			lines = []any{doc}
		}
		for _, l := range lines {
			if err := writeJSON(a.out, l); err != nil {
				return err
			}
		}
		return nil
	}
	w := a.rows("", t.columns...)
	for _, cells := range t.rows {
		if err := w.add(cells, nil); err != nil {
			return err
		}
	}
	return w.end("")
}

// asJSON writes one document for people and programs.
func (a *app) asJSON(doc any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

// say writes one line to the people at the terminal. It is not data. With output in JSON it is
// JSON as well, so that standard error can be read by programs.
func (a *app) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if a.speaksJSON() {
		_ = writeJSON(a.err, map[string]string{"note": text})
		return
	}
	fmt.Fprintln(a.err, text)
}

// number is n with a comma between the thousands.
func number[N int | int64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count is a number and its noun.
func count[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1000)
	case n < 1000*1000*1000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}

// readAll is io.ReadAll with a limit in bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %s", size(limit))
	}
	return data, err
}
