//go:build !cgo

package lake_test

import (
	"errors"
	"testing"

	"github.com/andironhq/andiron/lake"
)

func TestWithoutCgoOpenSaysWhatIsMissing(t *testing.T) {
	if _, err := lake.Open(""); !errors.Is(err, lake.ErrUnsupported) {
		t.Errorf("Open without cgo: got %v, want ErrUnsupported", err)
	}
}
