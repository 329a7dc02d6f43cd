package bulk_test

import (
	"context"
	"testing"
)

// testingT lets an example use simtest, which wants a testing.TB.
type testingT struct {
	testing.TB
	cleanups []func()
}

func (t *testingT) Helper()                  {}
func (t *testingT) Cleanup(f func())         { t.cleanups = append(t.cleanups, f) }
func (t *testingT) Context() context.Context { return context.Background() }
func (t *testingT) Fatal(args ...any)        { panic(args) }
func (t *testingT) Fatalf(f string, args ...any) {
	panic(f)
}

func (t *testingT) end() {
	for i := len(t.cleanups) - 1; i >= 0; i-- {
		t.cleanups[i]()
	}
}
