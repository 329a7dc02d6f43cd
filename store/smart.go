package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/andironhq/andiron/smart"
)

// Smart is the store as package smart wants it: launches on their way and sessions, sealed.
func (s *Store) Smart() smart.Store { return &smartStore{s} }

type smartStore struct{ *Store }

const live = `(expires IS NULL OR expires > {now})`

// Create adds a record, also over one that has expired.
func (s *smartStore) Create(ctx context.Context, key string, r smart.Record) error {
	r.Version = 1
	data, seal, err := s.shut(key, r)
	if err != nil {
		return fail(ctx, "create", err)
	}
	n, err := s.change(ctx, `INSERT INTO andiron_smart_record AS old (key, kind, version, expires, seal, data)
		VALUES (?2, ?3, 1, ?4, ?5, ?6)
		ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, version = 1, expires = excluded.expires,
			seal = excluded.seal, data = excluded.data
		WHERE old.expires <= {now}`, []byte(key), r.Kind, micros(r.Expires), seal, data)
	if err != nil {
		return fail(ctx, "create", err)
	}
	if n == 0 {
		return smart.ErrExists
	}
	return nil
}

// Get reads a record.
func (s *smartStore) Get(ctx context.Context, key string) (smart.Record, error) {
	return s.read(ctx, "get", key, `SELECT kind, version, expires, seal, data FROM andiron_smart_record
		WHERE key = ?2 AND `+live)
}

// Take reads a record and deletes it.
func (s *smartStore) Take(ctx context.Context, key string) (smart.Record, error) {
	return s.read(ctx, "take", key, `DELETE FROM andiron_smart_record WHERE key = ?2 AND `+live+`
		RETURNING kind, version, expires, seal, data`)
}

func (s *smartStore) read(ctx context.Context, op, key, query string) (smart.Record, error) {
	rows, err := s.db.QueryContext(ctx, s.sql(query), s.now(), []byte(key))
	if err != nil {
		return smart.Record{}, fail(ctx, op, err)
	}
	defer rows.Close()
	var r smart.Record
	var expires sql.NullInt64
	var seal string
	found := false
	// To the end, for there a DELETE is committed, and its failure told.
	for rows.Next() {
		found = true
		if err := rows.Scan(&r.Kind, &r.Version, &expires, &seal, &r.Data); err != nil {
			return smart.Record{}, fail(ctx, op, err)
		}
	}
	if err := rows.Err(); err != nil {
		return smart.Record{}, fail(ctx, op, err)
	}
	if !found {
		return smart.Record{}, smart.ErrNoRecord
	}
	if expires.Valid {
		r.Expires = time.UnixMicro(expires.Int64)
	}
	if r.Data, err = s.unseal(key, r, seal); err != nil {
		return smart.Record{}, fail(ctx, op, err)
	}
	return r, nil
}

// Replace writes over the version that the record names.
func (s *smartStore) Replace(ctx context.Context, key string, r smart.Record) (int64, error) {
	old := r.Version
	r.Version++
	data, seal, err := s.shut(key, r)
	if err != nil {
		return 0, fail(ctx, "replace", err)
	}
	n, err := s.change(ctx, `UPDATE andiron_smart_record SET kind = ?3, version = ?4, expires = ?5, seal = ?6, data = ?7
		WHERE key = ?2 AND version = ?8 AND `+live, []byte(key), r.Kind, r.Version, micros(r.Expires), seal, data, old)
	if err != nil {
		return 0, fail(ctx, "replace", err)
	}
	if n == 1 {
		return r.Version, nil
	}
	var there int
	err = s.db.QueryRowContext(ctx, s.sql(`SELECT count(*) FROM andiron_smart_record WHERE key = ?2 AND `+live),
		s.now(), []byte(key)).Scan(&there)
	switch {
	case err != nil:
		return 0, fail(ctx, "replace", err)
	case there == 0:
		return 0, smart.ErrNoRecord
	}
	return 0, smart.ErrConflict
}

// Delete removes a record.
func (s *smartStore) Delete(ctx context.Context, key string) error {
	query := `DELETE FROM andiron_smart_record WHERE key = ?1`
	if _, err := s.db.ExecContext(ctx, s.sql(query), []byte(key)); err != nil {
		return fail(ctx, "delete", err)
	}
	return nil
}

// Lease gives the key to a holder for some time. The second half of the condition ends a lease that a
// clock which was set back would keep.
func (s *smartStore) Lease(ctx context.Context, key, holder string, d time.Duration) (bool, error) {
	n, err := s.change(ctx, `INSERT INTO andiron_smart_lease AS old (key, holder, expires, life)
		VALUES (?2, ?3, {now} + CAST(?4 AS BIGINT), CAST(?4 AS BIGINT))
		ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, expires = excluded.expires, life = excluded.life
		WHERE old.holder = excluded.holder OR old.expires <= {now} OR old.expires - 2 * old.life > {now}`,
		[]byte(key), []byte(holder), d.Microseconds())
	if err != nil {
		return false, fail(ctx, "lease", err)
	}
	return n == 1, nil
}

// Release ends the holder's lease.
func (s *smartStore) Release(ctx context.Context, key, holder string) error {
	query := `DELETE FROM andiron_smart_lease WHERE key = ?1 AND holder = ?2`
	if _, err := s.db.ExecContext(ctx, s.sql(query), []byte(key), []byte(holder)); err != nil {
		return fail(ctx, "release", err)
	}
	return nil
}

// Purge deletes what has expired.
func (s *smartStore) Purge(ctx context.Context) (int, error) {
	n, err := s.change(ctx, `DELETE FROM andiron_smart_record WHERE expires <= {now}`)
	if err == nil {
		_, err = s.change(ctx, `DELETE FROM andiron_smart_lease WHERE expires <= {now}`)
	}
	if err != nil {
		return 0, fail(ctx, "purge", err)
	}
	return int(n), nil
}

// change runs a statement whose first parameter is the time.
func (s *Store) change(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := s.db.ExecContext(ctx, s.sql(query), append([]any{s.now()}, args...)...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// shut seals a record's data; seal is the id of the key.
func (s *Store) shut(key string, r smart.Record) (data []byte, seal string, err error) {
	if s.o.Seal == nil {
		return append([]byte{}, r.Data...), "", nil
	}
	data, err = s.o.Seal.seal(r.Data, boundOf(key, r))
	return data, s.o.Seal.current(), err
}

// unseal opens a record's data.
func (s *Store) unseal(key string, r smart.Record, seal string) ([]byte, error) {
	switch {
	case seal == "" && s.o.InsecureUnsealed:
		return r.Data, nil
	case seal == "" || s.o.Seal == nil:
		return nil, ErrSealed
	}
	return s.o.Seal.open(r.Data, boundOf(key, r))
}

func boundOf(key string, r smart.Record) bound {
	b := bound{table: "smart", key: key, kind: r.Kind, version: r.Version}
	if !r.Expires.IsZero() {
		b.expires = r.Expires.UnixMicro()
	}
	return b
}

// micros is a time as it is stored.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}
