package bulk

import "testing"

func TestPair(t *testing.T) {
	f := func(url string, count int64) *row { return &row{url: url, count: count} }
	tests := []struct {
		name       string
		old, fresh []*row
		sure       bool
		want       []int // for each fresh file the old one's place
	}{
		{"the same URLs in another order", []*row{f("a", -1), f("b", -1)}, []*row{f("b", -1), f("a", -1)}, true, []int{1, 0}},
		{"the same URLs, signed anew", []*row{f("a?s=1", -1), f("b?s=1", -1)}, []*row{f("a?s=2", -1), f("b?s=2", -1)}, true, []int{0, 1}},
		{"other URLs, counts that differ", []*row{f("a", 1), f("b", 2)}, []*row{f("x", 2), f("y", 1)}, true, []int{1, 0}},
		{"URLs that differ in the query alone, counts that differ", []*row{f("a?n=1", 1), f("a?n=2", 2)}, []*row{f("a?n=3", 2), f("a?n=4", 1)}, true, []int{1, 0}},
		{"a single file", []*row{f("a", -1)}, []*row{f("x", -1)}, true, []int{0}},
		{"a single file with another count", []*row{f("a", 3)}, []*row{f("x", 4)}, false, nil},
		{"other URLs, no counts", []*row{f("a", -1), f("b", -1)}, []*row{f("x", -1), f("y", -1)}, false, nil},
		{"other URLs, the same count twice", []*row{f("a", 3), f("b", 3)}, []*row{f("x", 3), f("y", 3)}, false, nil},
		{"one URL twice", []*row{f("a", -1), f("b", -1)}, []*row{f("a", -1), f("a", -1)}, false, nil},
		{"one more file", []*row{f("a", -1)}, []*row{f("a", -1), f("b", -1)}, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pairs, sure := pair(tt.old, tt.fresh)
			if sure != tt.sure {
				t.Fatalf("sure is %t, want %t", sure, tt.sure)
			}
			for i, o := range tt.want {
				if pairs[i] != tt.old[o] {
					t.Errorf("fresh file %d is not taken for old file %d", i, o)
				}
			}
		})
	}
}
