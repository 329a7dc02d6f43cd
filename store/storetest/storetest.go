// Package storetest is the suite that every smart.Store passes: those of this module and one of your
// own.
//
//	func TestMyStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T, now func() time.Time) storetest.Opened {
//			…
//		})
//	}
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andironhq/andiron/smart"
)

// Opened is a new and empty store.
type Opened struct {
	// Store is the store under test. It goes by the clock that it was opened with.
	Store smart.Store
	// Again opens the same data as another process would. Nil where that cannot be, as with
	// memory.
	Again func(t *testing.T) smart.Store
}

// Open makes a new and empty store that goes by the clock now. What it opens it closes with t.Cleanup.
type Open func(t *testing.T, now func() time.Time) Opened

// clock stands still until it is moved.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// suite is one test's store, from one side and, where it can be, from another.
type suite struct {
	t     *testing.T
	ctx   context.Context //nolint:containedctx // it lives as long as the test
	clock *clock
	smart.Store
	other smart.Store // the same data as another process sees it, or Store itself
}

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*suite)
	}{
		{"what was created is read back byte for byte", (*suite).roundTrip},
		{"a key is created once", (*suite).once},
		{"an expired record is gone, and its key is free", (*suite).expiry},
		{"of many who take a record one gets it", (*suite).take},
		{"a record is replaced only at the version that was read", (*suite).replace},
		{"of many who replace a version one does", (*suite).race},
		{"a deleted record is gone, and deleting again is no error", (*suite).remove},
		{"a lease keeps others out until it is released or ends", (*suite).lease},
		{"of many who want a lease one has it", (*suite).leaseRace},
		{"purging removes what has expired and nothing else", (*suite).purge},
		{"data may be empty, binary, and a megabyte", (*suite).sizes},
		{"keys may hold any text", (*suite).keys},
		{"an ended context ends the call", (*suite).cancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			clk := &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
			o := open(t, clk.now)
			s := &suite{t: t, ctx: t.Context(), clock: clk, Store: o.Store, other: o.Store}
			if o.Again != nil {
				s.other = o.Again(t)
			}
			c.test(s)
		})
	}
}

func record(data string) smart.Record { return smart.Record{Kind: "session", Data: []byte(data)} }

func (s *suite) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *suite) wants(err, want error, what string) {
	s.t.Helper()
	if !errors.Is(err, want) {
		s.t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func (s *suite) roundTrip() {
	ends := s.clock.now().Add(time.Hour)
	s.must(s.Create(s.ctx, "k", smart.Record{Kind: "launch", Data: []byte("one"), Version: 17, Expires: ends}))
	got, err := s.other.Get(s.ctx, "k")
	s.must(err)
	if got.Kind != "launch" || string(got.Data) != "one" || got.Version != 1 || !got.Expires.Equal(ends) {
		s.t.Errorf("got kind %q, %d bytes, version %d, end %v; want launch, 3, 1, %v", got.Kind, len(got.Data), got.Version, got.Expires, ends)
	}
	_, err = s.Get(s.ctx, "other")
	s.wants(err, smart.ErrNoRecord, "reading what is not there")
	s.must(s.Create(s.ctx, "forever", record("x")))
	if got, err := s.other.Get(s.ctx, "forever"); err != nil || !got.Expires.IsZero() {
		s.t.Errorf("a record without an end came back with %v, %v", got.Expires, err)
	}
}

func (s *suite) once() {
	s.must(s.Create(s.ctx, "k", record("first")))
	s.wants(s.other.Create(s.ctx, "k", record("second")), smart.ErrExists, "creating again")
	if got, err := s.Get(s.ctx, "k"); err != nil || string(got.Data) != "first" {
		s.t.Errorf("the first record did not stay: %v", err)
	}
}

func (s *suite) expiry() {
	r := record("x")
	r.Expires = s.clock.now().Add(time.Minute)
	s.must(s.Create(s.ctx, "k", r))
	s.clock.move(time.Minute)
	for name, f := range map[string]func() error{
		"Get":     func() error { _, err := s.Get(s.ctx, "k"); return err },
		"Take":    func() error { _, err := s.other.Take(s.ctx, "k"); return err },
		"Replace": func() error { _, err := s.Replace(s.ctx, "k", smart.Record{Kind: "session", Version: 1}); return err },
	} {
		s.wants(f(), smart.ErrNoRecord, name+" of an expired record")
	}
	s.must(s.Create(s.ctx, "k", record("new")))
	if got, err := s.Get(s.ctx, "k"); err != nil || string(got.Data) != "new" || got.Version != 1 {
		s.t.Errorf("the new record is not there: %v", err)
	}
}

// many lets n callers do the same at once, from both sides, and counts those for whom it went well.
func (s *suite) many(n int, f func(store smart.Store, i int) (bool, error)) int {
	var won atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		store := s.Store
		if i%2 == 1 {
			store = s.other
		}
		wg.Go(func() {
			<-start
			ok, err := f(store, i)
			if err != nil {
				s.t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(won.Load())
}

func (s *suite) take() {
	for round := range 5 {
		key := fmt.Sprint("k", round)
		s.must(s.Create(s.ctx, key, record("x")))
		won := s.many(20, func(store smart.Store, _ int) (bool, error) {
			_, err := store.Take(s.ctx, key)
			if errors.Is(err, smart.ErrNoRecord) {
				return false, nil
			}
			return err == nil, err
		})
		if won != 1 {
			s.t.Errorf("%d callers took the record, want one", won)
		}
	}
	_, err := s.Get(s.ctx, "k0")
	s.wants(err, smart.ErrNoRecord, "reading what was taken")
}

func (s *suite) replace() {
	s.must(s.Create(s.ctx, "k", record("one")))
	r := record("two")
	r.Version = 1
	r.Expires = s.clock.now().Add(time.Hour)
	version, err := s.other.Replace(s.ctx, "k", r)
	s.must(err)
	if version <= 1 {
		s.t.Errorf("the new version is %d, want more than 1", version)
	}
	got, err := s.Get(s.ctx, "k")
	if err != nil || string(got.Data) != "two" || got.Version != version || !got.Expires.Equal(r.Expires) {
		s.t.Errorf("got version %d, end %v, %v; want the replacement", got.Version, got.Expires, err)
	}
	_, err = s.Replace(s.ctx, "k", r)
	s.wants(err, smart.ErrConflict, "replacing an old version")
	_, err = s.Replace(s.ctx, "none", r)
	s.wants(err, smart.ErrNoRecord, "replacing what is not there")
}

func (s *suite) race() {
	s.must(s.Create(s.ctx, "k", record("one")))
	for version := int64(1); version < 4; {
		var next atomic.Int64
		won := s.many(10, func(store smart.Store, i int) (bool, error) {
			r := record(fmt.Sprint(i))
			r.Version = version
			v, err := store.Replace(s.ctx, "k", r)
			if errors.Is(err, smart.ErrConflict) {
				return false, nil
			}
			next.Store(v)
			return err == nil, err
		})
		if won != 1 {
			s.t.Fatalf("%d callers replaced version %d, want one", won, version)
		}
		version = next.Load()
	}
}

func (s *suite) remove() {
	s.must(s.Create(s.ctx, "k", record("x")))
	s.must(s.other.Delete(s.ctx, "k"))
	_, err := s.Get(s.ctx, "k")
	s.wants(err, smart.ErrNoRecord, "reading what was deleted")
	s.must(s.Delete(s.ctx, "k"))
}

func (s *suite) holds(store smart.Store, holder string, want bool, when string) {
	s.t.Helper()
	got, err := store.Lease(s.ctx, "k", holder, time.Minute)
	if err != nil || got != want {
		s.t.Errorf("%s: %s asks for the lease: %v, %v; want %v", when, holder, got, err, want)
	}
}

func (s *suite) lease() {
	s.holds(s.Store, "a", true, "at first")
	s.holds(s.other, "b", false, "while a has it")
	s.clock.move(40 * time.Second)
	s.holds(s.other, "a", true, "a again, before its end")
	s.clock.move(40 * time.Second)
	s.holds(s.Store, "b", false, "since a has asked again")
	s.must(s.Release(s.ctx, "k", "b"))
	s.holds(s.Store, "b", false, "after a release by another than its holder")
	s.must(s.other.Release(s.ctx, "k", "a"))
	s.holds(s.Store, "b", true, "after a release by its holder")
	s.clock.move(time.Minute)
	s.holds(s.other, "c", true, "when b's has ended")
	s.holds(s.Store, "b", false, "after that")
	if got, err := s.Lease(s.ctx, "another", "b", time.Minute); err != nil || !got {
		s.t.Errorf("a lease of another key: %v, %v", got, err)
	}
}

func (s *suite) leaseRace() {
	won := s.many(20, func(store smart.Store, i int) (bool, error) {
		return store.Lease(s.ctx, "k", fmt.Sprint("holder", i), time.Minute)
	})
	if won != 1 {
		s.t.Errorf("%d callers have the lease, want one", won)
	}
}

func (s *suite) purge() {
	short, long := record("x"), record("x")
	short.Expires, long.Expires = s.clock.now().Add(time.Minute), s.clock.now().Add(time.Hour)
	s.must(s.Create(s.ctx, "short", short))
	s.must(s.Create(s.ctx, "short too", short))
	s.must(s.Create(s.ctx, "long", long))
	s.must(s.Create(s.ctx, "forever", record("x")))
	s.clock.move(2 * time.Minute)
	if n, err := s.other.Purge(s.ctx); err != nil || n != 2 {
		s.t.Errorf("purged %d records, %v; want 2", n, err)
	}
	for _, key := range []string{"long", "forever"} {
		if _, err := s.Get(s.ctx, key); err != nil {
			s.t.Errorf("%s is gone: %v", key, err)
		}
	}
	if n, err := s.Purge(s.ctx); err != nil || n != 0 {
		s.t.Errorf("purged %d records the second time, %v; want none", n, err)
	}
}

func (s *suite) sizes() {
	binary := make([]byte, 1<<20)
	for i := range binary {
		binary[i] = byte(i * 7)
	}
	for name, data := range map[string][]byte{"empty": {}, "binary": binary} {
		s.must(s.Create(s.ctx, name, smart.Record{Kind: "session", Data: data}))
		got, err := s.other.Get(s.ctx, name)
		if err != nil || !bytes.Equal(got.Data, data) {
			s.t.Errorf("%s data came back as %d bytes, %v; want %d", name, len(got.Data), err, len(data))
		}
	}
}

func (s *suite) keys() {
	for i, key := range []string{"session/0f", "", "'; DROP TABLE record; --", "ключ/鍵", "a b\tc", "NOW $1 %s ?"} {
		s.must(s.Create(s.ctx, key, record(fmt.Sprint(i))))
		got, err := s.other.Get(s.ctx, key)
		if err != nil || string(got.Data) != fmt.Sprint(i) {
			s.t.Errorf("key %q: %v", key, err)
		}
	}
}

func (s *suite) cancelled() {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	err := s.Create(ctx, "k", record("x"))
	s.wants(err, context.Canceled, "creating with an ended context")
	_, err = s.Get(ctx, "k")
	s.wants(err, context.Canceled, "reading with an ended context")
}
