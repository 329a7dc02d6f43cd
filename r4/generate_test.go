package r4_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGeneratedFilesAreUpToDate runs the generator into an empty folder: its files are those of the repository, byte for byte.
func TestGeneratedFilesAreUpToDate(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOT TESTED: -short")
	}
	args := []string{"run", "./internal/gen", "-out", t.TempDir()}
	dir := args[3]
	if from := os.Getenv("ANDIRON_R4_DEFINITIONS"); from != "" {
		args = append(args, "-from", from)
	} else if _, err := exec.LookPath("npm"); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: no npm to fetch the definitions with (%v); ANDIRON_R4_DEFINITIONS may name the unpacked package", err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("fetch ")) && os.Getenv("ANDIRON_REQUIRE_PEERS") == "" {
			t.Skipf("SKIPPED, NOT TESTED: npm could not fetch the definitions\n%s", out)
		}
		t.Fatalf("the generator: %v\n%s", err, out)
	}
	made, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob("gen_*.go")
	if err != nil || len(made) < 147 || len(made) != len(kept) {
		t.Errorf("%d files generated, %d in the repository (%v)", len(made), len(kept), err)
	}
	for _, name := range made {
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Base(name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator makes (%v): run go generate ./r4", filepath.Base(name), err)
		}
	}
}
