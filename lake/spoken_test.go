package lake

import (
	"testing"

	"github.com/andironhq/andiron/r4"
)

// A range that is open at one end says which: "- 10 mg" would read as minus ten.
func TestRangeThatIsOpenAtOneEndIsSpokenSo(t *testing.T) {
	low, high := &r4.Quantity{Value: "5.0", Unit: "mg"}, &r4.Quantity{Value: "10", Unit: "mg"}
	for _, tt := range []struct {
		name string
		in   r4.Range
		want string
	}{
		{"closed", r4.Range{Low: low, High: high}, "5.0 mg - 10 mg"},
		{"open below", r4.Range{High: high}, "<= 10 mg"},
		{"open above", r4.Range{Low: low}, ">= 5.0 mg"},
		{"empty", r4.Range{}, ""},
	} {
		if got := spoken(&tt.in); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
