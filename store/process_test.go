package store_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/andironhq/andiron/smart"
	"github.com/andironhq/andiron/store"
)

// TestMain makes this program the second process that some tests start.
func TestMain(m *testing.M) {
	if url := os.Getenv("ANDIRON_STORE_PEER"); url != "" {
		if err := serve(url, os.Getenv("ANDIRON_STORE_PEER_KEY"), os.Stdin, os.Stdout); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve does what each line of in says, operation and key, and answers with a line.
func serve(url, key string, in io.Reader, out io.Writer) error {
	ctx := context.Background()
	seal, err := store.ParseSeal(smart.NewSecret(key))
	if err != nil {
		return err
	}
	opened, err := store.Open(ctx, url, store.Options{Seal: seal})
	if err != nil {
		return err
	}
	defer opened.Close()
	s, me := opened.Smart(), fmt.Sprint("process ", os.Getpid())
	if _, err := fmt.Fprintln(out, "ready"); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		op, key, _ := strings.Cut(lines.Text(), " ")
		var won bool
		var err error
		switch op {
		case "take":
			_, err = s.Take(ctx, key)
			won = err == nil
		case "replace":
			_, err = s.Replace(ctx, key, smart.Record{Kind: "x", Data: []byte(me), Version: 1})
			won = err == nil
		case "lease":
			won, err = s.Lease(ctx, key, me, time.Minute)
		case "write":
			return write(ctx, s, out)
		default:
			return fmt.Errorf("no such operation: %s", op)
		}
		if err != nil && !errors.Is(err, smart.ErrNoRecord) && !errors.Is(err, smart.ErrConflict) {
			return err
		}
		if _, err := fmt.Fprintln(out, won); err != nil {
			return err
		}
	}
	return nil
}

// slots is how many records a writer goes round.
const slots = 7

// content is what version v of a record holds: long enough for several pages of the file.
func content(v int64) []byte { return bytes.Repeat(fmt.Appendf(nil, "version %d;", v), 2000) }

// write writes for ever, and says after each record which version is stored.
func write(ctx context.Context, s smart.Store, out io.Writer) error {
	for i := 0; ; i = (i + 1) % slots {
		key := fmt.Sprint("slot", i)
		old, err := s.Get(ctx, key)
		next := smart.Record{Kind: "x", Version: old.Version, Data: content(old.Version + 1)}
		if errors.Is(err, smart.ErrNoRecord) {
			err = s.Create(ctx, key, next)
		} else if err == nil {
			_, err = s.Replace(ctx, key, next)
		}
		if err == nil {
			_, err = fmt.Fprintln(out, i, old.Version+1)
		}
		if err != nil {
			return err
		}
	}
}

// peer is a second process with the same store.
type peer struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err bytes.Buffer
}

func newPeer(t *testing.T, url string, key smart.Secret) *peer {
	t.Helper()
	p := &peer{t: t, cmd: exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")}
	p.cmd.Env = append(os.Environ(), "ANDIRON_STORE_PEER="+url, "ANDIRON_STORE_PEER_KEY="+key.Reveal())
	p.cmd.Stderr = &p.err
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		p.in, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	t.Cleanup(p.kill)
	if got := p.line(); got != "ready" {
		t.Fatalf("the second process says %q", got)
	}
	return p
}

// kill ends the process as a power cut would: nothing of it runs any more.
func (p *peer) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func (p *peer) ask(op, key string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, op, key); err != nil {
		p.t.Fatalf("the second process hears nothing: %v\n%s", err, p.err.String())
	}
}

func (p *peer) line() string {
	p.t.Helper()
	text, err := p.out.ReadString('\n')
	if err != nil {
		p.kill()
		p.t.Fatalf("the second process says nothing: %v\n%s", err, p.err.String())
	}
	return strings.TrimSuffix(text, "\n")
}

func TestOfTwoProcessesOneWins(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		key := store.NewSealKey()
		seal, err := store.ParseSeal(key)
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, url, store.Options{Seal: seal}).Smart()
		peers := []*peer{newPeer(t, url, key), newPeer(t, url, key)}
		rounds := 30
		if os.Getenv("ANDIRON_SOAK") != "" {
			rounds = 1000
		}
		for round := range rounds {
			for _, op := range []string{"take", "replace", "lease"} {
				name := fmt.Sprint(op, round)
				if err := s.Create(t.Context(), name, smart.Record{Kind: "x", Data: []byte("one")}); err != nil {
					t.Fatal(err)
				}
				first := round % 2 // neither is always asked first
				peers[first].ask(op, name)
				peers[1-first].ask(op, name)
				if a, b := peers[0].line(), peers[1].line(); (a == "true") == (b == "true") {
					t.Fatalf("%s, round %d: won %s and %s, want one of the two", op, round, a, b)
				}
			}
		}
	})
}

func TestLeaseOfAKilledProcessEndsByTime(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		key := store.NewSealKey()
		seal, err := store.ParseSeal(key)
		if err != nil {
			t.Fatal(err)
		}
		ahead := time.Duration(0)
		s := open(t, url, store.Options{Seal: seal, Now: func() time.Time { return time.Now().Add(ahead) }}).Smart()
		p := newPeer(t, url, key)
		p.ask("lease", "k")
		if got := p.line(); got != "true" {
			t.Fatalf("the second process did not get the lease: %s", got)
		}
		p.kill()
		for _, c := range []struct {
			ahead time.Duration
			want  bool
		}{{0, false}, {2 * time.Minute, true}} {
			ahead = c.ahead
			if got, err := s.Lease(t.Context(), "k", "heir", time.Minute); err != nil || got != c.want {
				t.Errorf("%v after its holder was killed the lease of a minute is to be had: %v, %v; want %v", c.ahead, got, err, c.want)
			}
		}
	})
}

func TestRecordsOfAKilledWriterAreWhole(t *testing.T) {
	url, key := databases["SQLite"](t), store.NewSealKey()
	seal, err := store.ParseSeal(key)
	if err != nil {
		t.Fatal(err)
	}
	kills := 4
	if os.Getenv("ANDIRON_SOAK") != "" {
		kills = 50
	}
	stored := [slots]int64{}
	for round := range kills {
		p := newPeer(t, url, key)
		p.ask("write", "")
		for range slots + 5*round%23 {
			var slot int
			var version int64
			if _, err := fmt.Sscan(p.line(), &slot, &version); err != nil {
				t.Fatal(err)
			}
			stored[slot] = version
		}
		p.kill()

		o := open(t, url, store.Options{Seal: seal})
		for slot, version := range stored {
			r, err := o.Smart().Get(t.Context(), fmt.Sprint("slot", slot))
			if err != nil || r.Version < version || !bytes.Equal(r.Data, content(r.Version)) {
				t.Errorf("kill %d: slot %d has version %d with %d bytes, %v; want at least version %d, whole", round+1, slot, r.Version, len(r.Data), err, version)
			}
		}
		var verdict string
		if err := tables(t, url).QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
			t.Errorf("kill %d: SQLite finds the file %s, %v", round+1, verdict, err)
		}
		_ = o.Close()
	}
}
