package smart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// MemoryStore is a [Store] in the memory of one process: everybody is signed out when it ends. The
// zero value is ready for use; it must not be copied.
type MemoryStore struct {
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Max is how many records of one kind it holds. Zero means 100,000. Whoever can open an
	// application can begin launches, each a record for ten minutes: they take no room from
	// sessions.
	Max int

	mu      sync.Mutex
	records map[string]*Record
	kinds   map[string]int // how many of each
	leases  map[string]lease
	purged  time.Time
}

type lease struct {
	holder string
	until  time.Time
}

// errFull is a MemoryStore at its limit.
var errFull = errors.New("smart: store is full")

// Create adds a record.
func (m *MemoryStore) Create(ctx context.Context, key string, r Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if m.live(key, now) != nil {
		return ErrExists
	}
	most := m.Max
	if most <= 0 {
		most = 100_000
	}
	if now.Sub(m.purged) >= time.Minute || m.kinds[r.Kind] >= most {
		m.purge(now)
	}
	if m.kinds[r.Kind] >= most {
		return errFull
	}
	r.Version, r.Data = 1, slices.Clone(r.Data)
	m.put(key, &r)
	return nil
}

// put writes a record, and removes what was under the key; nil removes. The lock is held.
func (m *MemoryStore) put(key string, r *Record) {
	if m.records == nil {
		m.records, m.kinds = map[string]*Record{}, map[string]int{}
	}
	if old := m.records[key]; old != nil {
		m.kinds[old.Kind]--
		delete(m.records, key)
	}
	if r != nil {
		m.kinds[r.Kind]++
		m.records[key] = r
	}
}

// Get reads a record.
func (m *MemoryStore) Get(ctx context.Context, key string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.live(key, m.now())
	if r == nil {
		return Record{}, ErrNoRecord
	}
	out := *r
	out.Data = slices.Clone(r.Data)
	return out, nil
}

// Take reads a record and deletes it.
func (m *MemoryStore) Take(ctx context.Context, key string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.live(key, m.now())
	if r == nil {
		return Record{}, ErrNoRecord
	}
	m.put(key, nil)
	return *r, nil
}

// Replace writes over the version that the record names.
func (m *MemoryStore) Replace(ctx context.Context, key string, r Record) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.live(key, m.now())
	switch {
	case old == nil:
		return 0, ErrNoRecord
	case old.Version != r.Version:
		return 0, ErrConflict
	}
	r.Version, r.Data = r.Version+1, slices.Clone(r.Data)
	m.put(key, &r)
	return r.Version, nil
}

// Delete removes a record.
func (m *MemoryStore) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(key, nil)
	return nil
}

// Lease gives the key to a holder for some time.
func (m *MemoryStore) Lease(ctx context.Context, key, holder string, d time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if l, held := m.leases[key]; held && l.holder != holder && now.Before(l.until) {
		return false, nil
	}
	if m.leases == nil {
		m.leases = map[string]lease{}
	}
	m.leases[key] = lease{holder, now.Add(d)}
	return true, nil
}

// Release ends the holder's lease.
func (m *MemoryStore) Release(ctx context.Context, key, holder string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leases[key].holder == holder {
		delete(m.leases, key)
	}
	return nil
}

// Purge deletes what has expired.
func (m *MemoryStore) Purge(ctx context.Context) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.purge(m.now()), nil
}

// purge is Purge with the lock held.
func (m *MemoryStore) purge(now time.Time) int {
	m.purged = now
	n := 0
	for key := range m.records {
		if m.live(key, now) == nil {
			m.put(key, nil)
			n++
		}
	}
	for key, l := range m.leases {
		if !now.Before(l.until) {
			delete(m.leases, key)
		}
	}
	return n
}

// live is the record under a key, nil if there is none or it has expired. The lock is held.
func (m *MemoryStore) live(key string, now time.Time) *Record {
	r := m.records[key]
	if r == nil || !r.Expires.IsZero() && !now.Before(r.Expires) {
		return nil
	}
	return r
}

func (m *MemoryStore) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

// String says how many records there are.
func (m *MemoryStore) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("%d records in memory", len(m.records))
}

// Format prints String whatever the verb.
func (m *MemoryStore) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, m.String()) }
