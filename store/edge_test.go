package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/andironhq/andiron/internal/pgtest"
	"github.com/andironhq/andiron/smart"
	"github.com/andironhq/andiron/store"
)

func TestKeysWithNULBytesAreKeysOfTheirOwn(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{Seal: seal(t)}).Smart()
		keys := []string{"a", "a\x00", "a\x00b", "\x00a", "\x00", "\xff\x00"}
		for _, key := range keys {
			if err := s.Create(t.Context(), key, smart.Record{Kind: "x", Data: []byte(key)}); err != nil {
				t.Fatalf("%q: %v", key, err)
			}
		}
		for _, key := range keys {
			if r, err := s.Take(t.Context(), key); err != nil || string(r.Data) != key {
				t.Errorf("%q holds %q, %v; want its own record", key, r.Data, err)
			}
			if got, err := s.Lease(t.Context(), key, "me\x00", time.Minute); err != nil || !got {
				t.Errorf("the lease of %q: %v, %v", key, got, err)
			}
			if got, err := s.Lease(t.Context(), key, "me", time.Minute); err != nil || got {
				t.Errorf("the lease of %q by another holder: %v, %v", key, got, err)
			}
		}
	})
}

func TestPostgreSQLJudgesEndsByItsOwnClock(t *testing.T) {
	url := pgtest.Start(t)
	s := open(t, url, store.Options{Seal: seal(t)}).Smart()
	var now time.Time
	if err := tables(t, url).QueryRowContext(t.Context(), `SELECT clock_timestamp()`).Scan(&now); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		end  time.Time
		want error
	}{
		"an hour ago": {now.Add(-time.Hour), smart.ErrNoRecord},
		"just now":    {now, smart.ErrNoRecord},
		"in an hour":  {now.Add(time.Hour), nil},
		"never":       {time.Time{}, nil},
	} {
		if err := s.Create(t.Context(), name, smart.Record{Kind: "x", Expires: c.end}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), name); !errors.Is(err, c.want) {
			t.Errorf("a record that ends %s: got %v, want %v", name, err, c.want)
		}
	}
	if n, err := s.Purge(t.Context()); err != nil || n != 2 {
		t.Errorf("purged %d records, %v; want the two that have ended", n, err)
	}
	if got, err := s.Lease(t.Context(), "k", "me", time.Minute); err != nil || !got {
		t.Fatalf("lease: %v, %v", got, err)
	}
	var left float64
	if err := tables(t, url).QueryRowContext(t.Context(),
		`SELECT expires / 1e6 - EXTRACT(EPOCH FROM clock_timestamp()) FROM andiron_smart_lease`).Scan(&left); err != nil {
		t.Fatal(err)
	}
	if left <= 0 || left > 60 {
		t.Errorf("by the database's clock %.1f seconds of the lease are left, want at most 60", left)
	}
}

// What is permitted gets a context that has ended, and so reaches for no other machine.
func TestPostgreSQLElsewhereWithoutTLSIsRefused(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		url      string
		insecure bool
		refused  bool
	}{
		"no TLS":                           {"postgres://db.invalid/x?sslmode=disable", false, true},
		"no TLS if it can be had":          {"postgres://db.invalid/x?sslmode=allow", false, true},
		"an address of a network":          {"postgres://192.0.2.1/x?sslmode=disable", false, true},
		"TLS":                              {"postgres://db.invalid/x?sslmode=require", false, false},
		"TLS, checked":                     {"postgres://db.invalid/x?sslmode=verify-full", false, false},
		"no TLS to this machine":           {"postgres://127.0.0.1:1/x?sslmode=disable", false, false},
		"no TLS to a socket":               {"postgres:///x?host=/nowhere&sslmode=disable", false, false},
		"no TLS, with InsecurePlaintext":   {"postgres://db.invalid/x?sslmode=disable", true, false},
		"allowed, with InsecurePlaintext":  {"postgres://db.invalid/x?sslmode=allow", true, false},
		"this machine by its name, no TLS": {"postgres://localhost:1/x?sslmode=disable", false, false},
	} {
		ctx, want := ended, context.Canceled
		if c.refused {
			ctx, want = t.Context(), store.ErrPlaintext
		}
		_, err := store.Open(ctx, c.url, store.Options{Seal: seal(t), InsecurePlaintext: c.insecure})
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
}
