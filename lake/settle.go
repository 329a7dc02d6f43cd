//go:build cgo

package lake

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The rows of a new file are in their tables; now each resource must be left with one version.
// Everything here is one transaction with the appending, so nobody ever sees two.

// settle removes what the new rows supersede, and those of the new rows that are themselves
// superseded; it fills in the counts of what stayed.
func (ld *load) settle(ctx context.Context, d *dataFile, id int64, types map[string]int64, r *FileResult) error {
	if d.deleted {
		return ld.applyDeletions(ctx, id, r, nil)
	}
	s := &settling{load: ld, ctx: ctx, id: id, types: slices.Sorted(maps.Keys(types))}
	if err := s.run(); err != nil {
		return err
	}
	ld.result.Replaced += s.replaced
	ld.result.Outdated += s.outdated
	rows, err := ld.conn.QueryContext(ctx, `SELECT type, count(*) FROM resource WHERE load_id = ? GROUP BY type`, id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var typ string
		var n int64
		if err := rows.Scan(&typ, &n); err != nil {
			return err
		}
		r.Resources += n
		ld.result.Types[typ] += n
		ld.result.Resources += n
	}
	return rows.Err()
}

type settling struct {
	*load
	ctx      context.Context //nolint:containedctx // lives as long as one call of run
	id       int64
	types    []string
	replaced int64
	outdated int64
}

func (s *settling) run() error {
	if len(s.types) == 0 {
		return nil
	}
	older, later, twice, err := s.look()
	if err != nil {
		return err
	}
	if twice {
		// The last line of a file is its latest word.
		n, err := s.remove(`load_id = $id AND line IN (SELECT line FROM (
			SELECT line, max(line) OVER (PARTITION BY type, id) AS last FROM resource WHERE load_id = $id) WHERE line < last)`)
		if err != nil {
			return err
		}
		s.replaced += n
	}
	notLater := ""
	if later {
		// Loads of a later export; the rows and deletions that they brought outlast ours.
		const laterLoads = `(SELECT load_id FROM load_file WHERE source = $source AND transaction_time > $time)`
		n, err := s.remove(`load_id = $id AND $key IN (
			SELECT id FROM resource WHERE source = $source AND type = $type AND load_id IN ` + laterLoads + `
			UNION ALL
			SELECT id FROM load_deleted WHERE source = $source AND type = $type AND load_id IN ` + laterLoads + `)`)
		if err != nil {
			return err
		}
		s.outdated += n
		notLater = ` AND load_id NOT IN ` + laterLoads
	}
	if older {
		n, err := s.remove(`source = $source AND load_id <> $id` + notLater + ` AND $key IN (
			SELECT id FROM resource WHERE load_id = $id AND type = $type)`)
		if err != nil {
			return err
		}
		s.replaced += n
	}
	return nil
}

// look asks what there is to do, so that the common case, a first load, does none of it.
func (s *settling) look() (older, later, twice bool, err error) {
	err = s.conn.QueryRowContext(s.ctx, s.sql(`SELECT
		EXISTS (SELECT 1 FROM resource WHERE source = $source AND load_id <> $id AND type IN $types),
		EXISTS (SELECT 1 FROM load_file WHERE source = $source AND transaction_time > $time),
		EXISTS (SELECT 1 FROM resource WHERE load_id = $id GROUP BY type, id HAVING count(*) > 1)`, "", "")).
		Scan(&older, &later, &twice)
	return older, later, twice, err
}

// remove deletes the rows that where describes from the tables of each type and, last, from
// resource, on which the conditions lean. It returns how many resources went.
func (s *settling) remove(where string) (int64, error) {
	var n int64
	for _, typ := range s.types {
		for _, v := range s.views[typ] {
			//nolint:gosec // names and texts are quoted, and DuckDB takes no parameters for a table's name
			if _, err := s.conn.ExecContext(s.ctx, "DELETE FROM "+quoted(v.table)+" WHERE "+s.sql(where, typ, quoted(v.key))); err != nil {
				return 0, fmt.Errorf("table %s: %w", v.table, err)
			}
		}
		//nolint:gosec // as above
		res, err := s.conn.ExecContext(s.ctx, "DELETE FROM resource WHERE type = "+quotedText(typ)+" AND "+s.sql(where, typ, "id"))
		if err != nil {
			return 0, fmt.Errorf("table resource: %w", err)
		}
		gone, err := res.RowsAffected()
		if err != nil {
			return 0, err
		}
		n += gone
	}
	return n, nil
}

// sql fills in what the conditions name.
func (s *settling) sql(text, typ, key string) string {
	types := make([]string, len(s.types))
	for i, t := range s.types {
		types[i] = quotedText(t)
	}
	at := "NULL"
	if t := s.folder.transactionTime; !t.IsZero() {
		at = "TIMESTAMPTZ " + quotedText(t.UTC().Format("2006-01-02 15:04:05.999999+00"))
	}
	return strings.NewReplacer(
		"$types", "("+strings.Join(types, ", ")+")",
		"$type", quotedText(typ),
		"$key", key,
		"$source", quotedText(s.source),
		"$time", at,
		"$id", strconv.FormatInt(s.id, 10),
	).Replace(text)
}

// applyDeletions removes what the Bundles of load id name. Rows of a later export stay. When the
// deletions were in the lake before, only what this call loaded (ids) is looked through again.
func (ld *load) applyDeletions(ctx context.Context, id int64, r *FileResult, ids []int64) error {
	types, err := ld.column(ctx, `SELECT DISTINCT type FROM load_deleted WHERE load_id = `+strconv.FormatInt(id, 10))
	if err != nil {
		return err
	}
	s := &settling{load: ld, ctx: ctx, id: id, types: types}
	where := `source = $source AND $key IN (SELECT id FROM load_deleted WHERE load_id = $id AND type = $type)`
	if !ld.folder.transactionTime.IsZero() {
		where += ` AND load_id NOT IN (SELECT load_id FROM load_file WHERE source = $source AND transaction_time > $time)`
	}
	if ids != nil {
		l := make([]string, len(ids))
		for i, id := range ids {
			l[i] = strconv.FormatInt(id, 10)
		}
		where += ` AND load_id IN (` + strings.Join(l, ", ") + `)`
	}
	n, err := s.remove(where)
	if err != nil {
		return err
	}
	r.Resources += n
	ld.result.Deleted += n
	return nil
}

func (ld *load) column(ctx context.Context, query string) ([]string, error) {
	rows, err := ld.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var l []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		l = append(l, s)
	}
	return l, rows.Err()
}
