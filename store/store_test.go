package store_test

import (
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/andironhq/andiron/internal/pgtest"
	"github.com/andironhq/andiron/smart"
	"github.com/andironhq/andiron/store"
	"github.com/andironhq/andiron/store/storetest"
)

func seal(t *testing.T) *store.Seal {
	t.Helper()
	s, err := store.ParseSeal(store.NewSealKey())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t *testing.T, url string, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// databases are the two kinds, each new and empty.
var databases = map[string]func(t *testing.T) string{
	"SQLite":     func(t *testing.T) string { return "file:" + filepath.Join(t.TempDir(), "state.db") },
	"PostgreSQL": func(t *testing.T) string { return pgtest.Start(t) },
}

func TestStores(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		storetest.Run(t, func(_ *testing.T, now func() time.Time) storetest.Opened {
			return storetest.Opened{Store: &smart.MemoryStore{Now: now}}
		})
	})
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, now func() time.Time) storetest.Opened {
				url, o := database(t), store.Options{Seal: seal(t), Now: now}
				return storetest.Opened{
					Store: open(t, url, o).Smart(),
					Again: func(t *testing.T) smart.Store { return open(t, url, o).Smart() },
				}
			})
		})
	}
}

// each runs a test for both kinds of database.
func each(t *testing.T, f func(t *testing.T, url string)) {
	for name, database := range databases {
		t.Run(name, func(t *testing.T) { f(t, database(t)) })
	}
}

// tables opens a database beside the store, as a thief would.
func tables(t *testing.T, url string) *sql.DB {
	t.Helper()
	driver := "pgx"
	if path, ok := strings.CutPrefix(url, "file:"); ok {
		driver, url = "sqlite", path
	}
	db, err := sql.Open(driver, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

const canary = "canary-refresh-token-7f3a"

func TestDataIsSealedAndBoundToItsPlace(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{Seal: seal(t)}).Smart()
		for _, key := range []string{"a", "b"} {
			if err := s.Create(t.Context(), key, smart.Record{Kind: "session", Data: []byte(canary)}); err != nil {
				t.Fatal(err)
			}
		}
		db := tables(t, url)
		var data []byte
		if err := db.QueryRowContext(t.Context(), `SELECT data FROM andiron_smart_record WHERE key = $1`, []byte("a")).Scan(&data); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), canary) || len(data) < len(canary) {
			t.Errorf("the data lies there as it is: %d bytes", len(data))
		}
		for name, attack := range map[string]string{
			"another row's data": `UPDATE andiron_smart_record SET data = (SELECT data FROM andiron_smart_record WHERE key = $2) WHERE key = $1`,
			"another kind":       `UPDATE andiron_smart_record SET kind = 'launch' WHERE key = $1 AND key <> $2`,
			"another version":    `UPDATE andiron_smart_record SET version = version + 1 WHERE key = $1 AND key <> $2`,
		} {
			if _, err := db.ExecContext(t.Context(), attack, []byte("a"), []byte("b")); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(t.Context(), "a"); !errors.Is(err, store.ErrSealed) {
				t.Errorf("%s: got %v, want ErrSealed", name, err)
			}
			if _, err := db.ExecContext(t.Context(), `UPDATE andiron_smart_record SET kind = 'session', version = 1, data = $1 WHERE key = $2`,
				data, []byte("a")); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(t.Context(), "a"); err != nil {
				t.Fatalf("put back as it was: %v", err)
			}
		}
		for i := range data {
			changed := append([]byte(nil), data...)
			changed[i] ^= 1
			if _, err := db.ExecContext(t.Context(), `UPDATE andiron_smart_record SET data = $1 WHERE key = $2`, changed, []byte("a")); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(t.Context(), "a"); !errors.Is(err, store.ErrSealed) {
				t.Fatalf("byte %d changed: got %v, want ErrSealed", i, err)
			}
		}
	})
}

func TestKeysRotate(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		older, newer := store.NewSealKey(), store.NewSealKey()
		parse := func(keys ...smart.Secret) *store.Seal {
			s, err := store.ParseSeal(keys[0], keys[1:]...)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		if err := open(t, url, store.Options{Seal: parse(older)}).Smart().Create(t.Context(), "k", smart.Record{Kind: "x", Data: []byte("1")}); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, url, store.Options{Seal: parse(newer)}).Smart().Get(t.Context(), "k"); !errors.Is(err, store.ErrSealed) {
			t.Errorf("the new key alone: got %v, want ErrSealed", err)
		}
		both := open(t, url, store.Options{Seal: parse(newer, older)})
		if r, err := both.Smart().Get(t.Context(), "k"); err != nil || string(r.Data) != "1" {
			t.Errorf("both keys: %v", err)
		}
		for want := 1; want >= 0; want-- {
			if n, err := both.Reseal(t.Context()); n != want || err != nil {
				t.Errorf("resealed %d, %v; want %d", n, err, want)
			}
		}
		if r, err := open(t, url, store.Options{Seal: parse(newer)}).Smart().Get(t.Context(), "k"); err != nil || string(r.Data) != "1" {
			t.Errorf("the new key alone, after Reseal: %v", err)
		}
	})
}

func TestProcessesThatStartAtOnceMakeTheTablesOnce(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		o := store.Options{Seal: seal(t)}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				s, err := store.Open(t.Context(), url, o)
				if err != nil {
					t.Error(err)
					return
				}
				_ = s.Close()
			})
		}
		wg.Wait()
		if err := open(t, url, o).Smart().Create(t.Context(), "k", smart.Record{Kind: "x"}); err != nil {
			t.Error(err)
		}
	})
}

func TestStoreOfALaterVersionIsRefused(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		o := store.Options{Seal: seal(t)}
		_ = open(t, url, o).Close()
		insert := `INSERT INTO andiron_version (version_id, is_applied) VALUES (99, true)`
		if _, err := tables(t, url).ExecContext(t.Context(), insert); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(t.Context(), url, o); !errors.Is(err, store.ErrNewer) {
			t.Errorf("got %v, want ErrNewer", err)
		}
	})
}

func TestFilesOfOthersAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign.db")
	if _, err := tables(t, "file:"+foreign).ExecContext(t.Context(), `CREATE TABLE theirs (x)`); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, foreign} {
		before, _ := os.ReadFile(path)
		if _, err := store.Open(t.Context(), path, store.Options{Seal: seal(t)}); !errors.Is(err, store.ErrForeign) {
			t.Errorf("%s: got %v, want ErrForeign", filepath.Base(path), err)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Errorf("%s was written to", filepath.Base(path))
		}
	}
}

func TestFilesAreTheirOwnersAlone(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "state.db"), store.Options{Seal: seal(t)})
	if err := s.Smart().Create(t.Context(), "k", smart.Record{Kind: "x"}); err != nil {
		t.Fatal(err)
	}
	files, _ := os.ReadDir(dir)
	if len(files) < 2 {
		t.Errorf("%d files, want the database and its write-ahead log", len(files))
	}
	for _, f := range files {
		if info, _ := f.Info(); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", f.Name(), info.Mode().Perm())
		}
	}
}

func TestOpenWithoutASealIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if _, err := store.Open(t.Context(), path, store.Options{}); !errors.Is(err, store.ErrNoSeal) {
		t.Errorf("got %v, want ErrNoSeal", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file was made all the same")
	}
	s := open(t, path, store.Options{InsecureUnsealed: true}).Smart()
	if err := s.Create(t.Context(), "k", smart.Record{Kind: "x", Data: []byte("1")}); err != nil {
		t.Error(err)
	}
}

func TestSealKeysAreReadInTheUsualSpellings(t *testing.T) {
	good := store.NewSealKey().Reveal()
	raw, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text string
		good bool
	}{
		"base64":               {good, true},
		"base64 without pad":   {strings.TrimRight(good, "="), true},
		"base64url":            {base64.RawURLEncoding.EncodeToString(raw), true},
		"hexadecimal":          {hex.EncodeToString(raw), true},
		"empty":                {"", false},
		"31 bytes":             {hex.EncodeToString(raw[1:]), false},
		"33 bytes":             {hex.EncodeToString(append([]byte{7}, raw...)), false},
		"a password":           {"correct horse battery staple", false},
		"a password of 32":     {"correct horse battery staple 32!", false},
		"64 letters, not hex":  {strings.Repeat("zz", 32), false},
		"base64 with a middle": {good[:20] + "=" + good[21:], false},
	} {
		_, err := store.ParseSeal(smart.NewSecret(c.text))
		if (err == nil) != c.good {
			t.Errorf("%s: got %v", name, err)
		}
		if err != nil && (!errors.Is(err, store.ErrBadKey) || c.text != "" && strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: got %v, want ErrBadKey without the text", name, err)
		}
	}
}

func TestErrorsNameNoAddressAndNoPassword(t *testing.T) {
	for _, url := range []string{
		"postgres://app:canary-password@127.0.0.1:1/db",
		"postgres://app:canary-password@127.0.0.1:not-a-port/db",
		"postgres://app:canary-password@host.invalid/db?sslmode=nonsense",
	} {
		_, err := store.Open(t.Context(), url, store.Options{Seal: seal(t)})
		if err == nil {
			t.Fatalf("%s opened", url)
		}
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v %#v", err, err), fmt.Sprint(errors.Unwrap(err))} {
			if strings.Contains(text, "canary") || strings.Contains(text, "127.0.0.1") {
				t.Errorf("the error says %s", text)
			}
		}
	}
}

func TestSealPrintsNoKey(t *testing.T) {
	key := store.NewSealKey()
	s, err := store.ParseSeal(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if text := fmt.Sprintf(verb, s); !strings.HasPrefix(text, "seal ") || len(text) != len("seal ")+16 {
			t.Errorf("%s prints %s, want the key's id", verb, text)
		}
	}
}
