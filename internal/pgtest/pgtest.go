// Package pgtest gives a test a real PostgreSQL: a cluster of its own, that lives as long as the test
// binary and listens on a socket in a folder of its own alone.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// cluster is the one of this test binary.
type cluster struct {
	dir  string
	bin  string
	cred *syscall.Credential
	hold io.Closer // the server's life
	err  error
}

var (
	start = sync.OnceValue(newCluster)
	count atomic.Int64
)

// Start returns the address of a new and empty database. The server is started at the first call and
// dies with the test binary. Without PostgreSQL on the machine the test is skipped; with
// ANDIRON_REQUIRE_PEERS it fails.
func Start(t testing.TB) string {
	t.Helper()
	c := start()
	if c.bin == "" {
		if os.Getenv("ANDIRON_REQUIRE_PEERS") != "" {
			t.Fatal("PostgreSQL is not installed, and ANDIRON_REQUIRE_PEERS demands it (make databases does it)")
		}
		t.Skip("NOTHING IS PROVED HERE: PostgreSQL is not installed (make databases does it)")
	}
	if c.err != nil {
		t.Fatal(c.err)
	}
	name := fmt.Sprintf("t%d", count.Add(1))
	if out, err := c.run("psql", "-h", c.dir, "-U", "postgres", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", "CREATE DATABASE "+name).CombinedOutput(); err != nil {
		t.Fatalf("creating a database: %v\n%s", err, out)
	}
	return (&url.URL{Scheme: "postgres", Path: "/" + name, RawQuery: url.Values{"host": {c.dir}, "user": {"postgres"}}.Encode()}).String()
}

func newCluster() *cluster {
	c := &cluster{bin: find()}
	if c.bin == "" {
		return c
	}
	c.err = c.start()
	return c
}

// find is the folder of the server's programs; "" where there are none.
func find() string {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.Sort(dirs)
	slices.Reverse(dirs)
	if path, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir
		}
	}
	return ""
}

// start makes the cluster and runs it. The server refuses to be root, so it gets a user of its own
// then.
func (c *cluster) start() error {
	var err error
	if c.dir, err = os.MkdirTemp("", "pgtest-"); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return fmt.Errorf("tests run as root and there is no user postgres for the server: %w", err)
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		c.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(c.dir, int(uid), int(gid)); err != nil {
			return err
		}
	}
	data := filepath.Join(c.dir, "data")
	if out, err := c.run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync").CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	// The shell holds the server and reads a pipe that nobody writes to. It ends with this process,
	// however that goes, and then the server is stopped and the folder removed.
	said := &banner{ready: make(chan struct{})}
	server := c.command("/bin/sh", "-c", `"$1" -D "$2" -k "$3" -c listen_addresses= -c fsync=off -c max_connections=200 </dev/null &
		read -r _; kill -QUIT $!; wait; rm -rf "$3"`, "sh", filepath.Join(c.bin, "postgres"), data, c.dir)
	server.Stdout, server.Stderr = said, said
	if c.hold, err = server.StdinPipe(); err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	select {
	case <-said.ready:
		return nil
	case err = <-ended:
	case <-time.After(time.Minute):
		err = errors.New("not ready within a minute")
	}
	_ = c.hold.Close()
	return fmt.Errorf("the PostgreSQL server does not start: %w\n%s", err, said)
}

// banner keeps what the server says, and tells when it has said that it is ready.
type banner struct {
	mu    sync.Mutex
	text  []byte
	ready chan struct{}
	once  sync.Once
}

func (b *banner) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	if bytes.Contains(b.text, []byte("ready to accept connections")) {
		b.once.Do(func() { close(b.ready) })
	}
	return len(p), nil
}

func (b *banner) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

func (c *cluster) run(name string, args ...string) *exec.Cmd {
	return c.command(filepath.Join(c.bin, name), args...)
}

// command runs a program as the server's user. Its group is its own, so that Ctrl-C reaches the tests
// and not the server.
func (c *cluster) command(path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), path, args...) //nolint:gosec // the programs of PostgreSQL, found where they are installed
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.cred, Setpgid: true}
	return cmd
}
