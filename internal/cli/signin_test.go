package cli_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/andironhq/andiron/smart"
	"github.com/andironhq/andiron/store"
)

var openThis = regexp.MustCompile(`(?m)^  (http://\S+)\n`)

// signIn is the program "signin [-deny] LOGIN COMMAND...": it runs a command that prints an address
// to open, walks from there through the simulator's pages, and ends with the command's code. The
// command has the umask 0: what it keeps to itself must not hang on the user's habits.
func signIn(args []string) int {
	decision := "allow"
	if len(args) > 0 && args[0] == "-deny" {
		decision, args = "deny", args[1:]
	}
	if len(args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: signin [-deny] LOGIN COMMAND...")
		return 2
	}
	syscall.Umask(0)
	said := &addressWatch{walk: func(address string) {
		if err := walk(args[0], address, decision); err != nil {
			fmt.Fprintln(os.Stderr, "signin:", err)
		}
	}}
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, said
	err := cmd.Run()
	said.walks.Wait()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		fmt.Fprintln(os.Stderr, "signin:", err)
		return 2
	}
	return 0
}

// addressWatch passes standard error on and opens the first address in it.
type addressWatch struct {
	walk  func(address string)
	text  bytes.Buffer
	begun bool
	walks sync.WaitGroup
}

func (w *addressWatch) Write(p []byte) (int, error) {
	w.text.Write(p)
	if m := openThis.FindSubmatch(w.text.Bytes()); m != nil && !w.begun {
		w.begun = true
		address := string(m[1])
		w.walks.Go(func() { w.walk(address) })
	}
	return os.Stderr.Write(p)
}

// scriptFreePort sets a variable to a port that nothing listens at.
func scriptFreePort(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: freeport NAME")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	ts.Check(l.Close())
}

// scriptTakePort holds a port until the script ends.
func scriptTakePort(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: takeport NAME")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	ts.Defer(func() { _ = l.Close() })
}

// scriptRefreshToken opens the state folder with its key and writes the refresh token of a sign-in to
// a file: nothing that the program prints has it.
func scriptRefreshToken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: refreshtoken STATE CONNECTION FHIR CLIENT-ID FILE")
	}
	dir := ts.MkAbs(args[0])
	key, err := os.ReadFile(filepath.Join(dir, "seal.key"))
	ts.Check(err)
	seal, err := store.ParseSeal(smart.NewSecret(strings.TrimSpace(string(key))))
	ts.Check(err)
	ctx := context.Background()
	s, err := store.Open(ctx, "file:"+filepath.Join(dir, "state.db"), store.Options{Seal: seal})
	ts.Check(err)
	defer s.Close()
	record := func(key string, members any) {
		r, err := s.Smart().Get(ctx, key)
		ts.Check(err)
		ts.Check(json.Unmarshal(r.Data, members))
	}
	var login struct {
		ID string `json:"id"`
	}
	record(fmt.Sprintf("login/%x", sha256.Sum256([]byte(strings.Join(args[1:4], "\n")))), &login)
	var session struct {
		Refresh string `json:"refresh_token"`
	}
	record(fmt.Sprintf("session/%x", sha256.Sum256([]byte(login.ID))), &session)
	ts.Check(os.WriteFile(ts.MkAbs(args[4]), []byte(session.Refresh), 0o600))
}

// scriptNowhere fails when the content of a file stands in one of the others, or in a file below them.
func scriptNowhere(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: nowhere FILE PLACE...")
	}
	secret := []byte(strings.TrimSpace(ts.ReadFile(args[0])))
	if len(secret) < 16 {
		ts.Fatalf("%s holds no secret", args[0])
	}
	files := 0
	for _, place := range args[1:] {
		err := filepath.WalkDir(ts.MkAbs(place), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if files++; bytes.Contains(data, secret) {
				ts.Fatalf("%s holds the secret of %s", path, args[0])
			}
			return err
		})
		ts.Check(err)
	}
	if files == 0 {
		ts.Fatalf("there was no file to look into")
	}
}
