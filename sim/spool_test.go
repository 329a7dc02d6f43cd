package sim

import (
	"fmt"
	"os"
	"testing"
)

// What does not fit into memory goes to a file without a name; reading tells no difference.
func TestSpoolOverflowsIntoAFile(t *testing.T) {
	temp := t.TempDir()
	st := newStore()
	out := &spool{store: st, temp: temp, limit: 500}
	text := func(i int) string { return fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, i) }
	for i := range 40 {
		segment, offset, err := out.add([]byte(text(i)))
		if err != nil {
			t.Fatal(err)
		}
		st.put(found{"Patient", fmt.Sprint("p", i), ""}, segment, offset, len(text(i)))
	}
	if len(st.closers) != 1 {
		t.Errorf("%d files, want 1", len(st.closers))
	}
	for i := range 40 {
		at, ok := st.find("Patient", fmt.Sprint("p", i))
		if b, err := st.bytes(at); !ok || err != nil || string(b) != text(i) {
			t.Errorf("p%d reads %q, %v", i, b, err)
		}
	}
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("%d files are left in the folder", len(left))
	}
	if err := st.close(); err != nil {
		t.Error(err)
	}
}
