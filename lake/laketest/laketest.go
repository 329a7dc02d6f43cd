// Package laketest is what a store for a folder's resources must do, as one suite of tests.
//
// A store passes when [Exercise] does, called with a function that opens an empty one:
//
//	func TestStore(t *testing.T) {
//		laketest.Exercise(t, func(t *testing.T) laketest.Store { … })
//	}
//
// The suite writes its own folders, invented data in the shapes that Epic and others send, and
// asks in plain SQL that any store understands.
package laketest

import (
	"context"
	"database/sql"
	"testing"

	"github.com/andironhq/andiron/lake"
)

// Store is what the suite drives. [*lake.Lake] is one.
type Store interface {
	// Load is [lake.Lake.Load].
	Load(ctx context.Context, dir string, opts lake.LoadOptions) (*lake.LoadResult, error)

	// Tables is [lake.Lake.Tables].
	Tables(ctx context.Context) ([]lake.Table, error)

	// DB answers SQL about what was loaded.
	DB() *sql.DB

	// Close lets go of the store.
	Close() error
}

// Exercise runs the suite. open is called once for each test and gives an empty store; the suite
// closes it.
func Exercise(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("closing the store: %v", err)
				}
			})
			c.run(&harness{T: t, store: s, dir: t.TempDir()})
		})
	}
}
