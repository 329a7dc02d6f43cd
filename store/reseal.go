package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/andironhq/andiron/smart"
)

// Reseal seals anew, with the first key, what older keys have sealed, and returns how many records that
// were. It may run at any time, and again after any end. Versions stay; a record that somebody writes
// meanwhile is left to them. It fails with [ErrSealed] at the first record that no key at hand opens,
// once the others are done.
func (s *Store) Reseal(ctx context.Context) (int, error) {
	if s.o.Seal == nil {
		return 0, &Error{Op: "reseal", Err: ErrNoSeal}
	}
	done := 0
	var broken error
	for after := []byte(nil); ; {
		old, err := s.sealedBefore(ctx, after)
		if err != nil {
			return done, fail(ctx, "reseal", err)
		}
		if len(old) == 0 {
			break
		}
		for _, o := range old {
			after = []byte(o.key)
			data, err := s.unseal(o.key, o.record, o.seal)
			if err != nil {
				broken = err
				continue
			}
			r := o.record
			r.Data = data
			sealed, id, err := s.shut(o.key, r)
			if err != nil {
				return done, fail(ctx, "reseal", err)
			}
			res, err := s.db.ExecContext(ctx, s.sql(`UPDATE andiron_smart_record SET seal = ?1, data = ?2
				WHERE key = ?3 AND version = ?4 AND data = ?5`), id, sealed, []byte(o.key), r.Version, o.record.Data)
			if err != nil {
				return done, fail(ctx, "reseal", err)
			}
			if n, err := res.RowsAffected(); err == nil {
				done += int(n)
			}
		}
	}
	if broken != nil {
		return done, fail(ctx, "reseal", broken)
	}
	return done, nil
}

type sealedRecord struct {
	key    string
	seal   string
	record smart.Record
}

// sealedBefore are up to 100 records, by key, that another key than the first has sealed.
func (s *Store) sealedBefore(ctx context.Context, after []byte) ([]sealedRecord, error) {
	query := `SELECT key, kind, version, expires, seal, data FROM andiron_smart_record WHERE seal <> ?1`
	args := []any{s.o.Seal.current()}
	if after != nil {
		query += ` AND key > ?2`
		args = append(args, after)
	}
	rows, err := s.db.QueryContext(ctx, s.sql(query+` ORDER BY key LIMIT 100`), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []sealedRecord
	for rows.Next() {
		var o sealedRecord
		var key []byte
		var expires sql.NullInt64
		if err := rows.Scan(&key, &o.record.Kind, &o.record.Version, &expires, &o.seal, &o.record.Data); err != nil {
			return nil, err
		}
		o.key = string(key)
		if expires.Valid {
			o.record.Expires = time.UnixMicro(expires.Int64)
		}
		out = append(out, o)
	}
	return out, rows.Err()
}
