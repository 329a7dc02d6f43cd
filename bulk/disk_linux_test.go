package bulk

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// mount puts a file system of its own at a new place, which only root may do.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("NOT CHECKED: mounting a file system is not permitted here: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// TestRealFullDisk: row 32 of the fault table on a file system that is really full.
func TestRealFullDisk(t *testing.T) {
	b := newBench(t)
	disk := mount(t, "size=4m")
	b.Dir = filepath.Join(disk, "out")
	b.files["o1"] = strings.Repeat(lines("Observation", 1), 100_000)
	_, err := b.Run(t.Context())
	if !errors.Is(err, ErrFolder) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want ErrFolder with ENOSPC", err)
	}
	if _, err := os.Stat(filepath.Join(b.Dir, "003.Observation.ndjson")); err == nil || b.whole(t) {
		t.Error("something half-written was taken for whole")
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	res, err := b.again().Run(t.Context())
	b.complete(t, res, err)
	if b.kickoffs() != 1 {
		t.Errorf("%d kick-offs, want one", b.kickoffs())
	}
	t.Run("too full for a beginning: no kick-off", func(t *testing.T) {
		b := newBench(t)
		b.Dir = filepath.Join(mount(t, "size=300k"), "out")
		if _, err := b.Run(t.Context()); !errors.Is(err, ErrFolder) || b.kickoffs() != 0 {
			t.Errorf("got %v after %d kick-offs, want ErrFolder after none", err, b.kickoffs())
		}
	})
}

// TestReadOnlyFolder: row 32, with a file system that takes no writes.
func TestReadOnlyFolder(t *testing.T) {
	b := newBench(t)
	disk := mount(t, "size=16m")
	b.Dir = filepath.Join(disk, "out")
	res, err := b.Run(t.Context())
	b.complete(t, res, err)
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("NOT CHECKED: %v", err)
	}
	if rep, err := Verify(t.Context(), b.Dir); err != nil || !rep.OK() {
		t.Errorf("a folder that may only be read should verify: %v %+v", err, rep)
	}
	if run, err := Status(t.Context(), b.Dir); err != nil || run.State != StateDone {
		t.Errorf("its status should be readable: %v %+v", err, run)
	}
	kickoffs := b.kickoffs()
	j := b.again()
	j.New = true
	if _, err := j.Run(t.Context()); !errors.Is(err, ErrFolder) || b.kickoffs() != kickoffs {
		t.Errorf("got %v after %d kick-offs, want ErrFolder after none", err, b.kickoffs()-kickoffs)
	}
	j = b.again()
	j.Dir = filepath.Join(disk, "other")
	if _, err := j.Run(t.Context()); !errors.Is(err, ErrFolder) || b.kickoffs() != kickoffs {
		t.Errorf("a new folder: got %v, want ErrFolder before any kick-off", err)
	}
}
