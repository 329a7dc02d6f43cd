package smart_test

import (
	"testing"
	"time"

	"github.com/andironhq/andiron/smart"
)

// That it is a Store at all is shown by the suite in package store.
func TestMemoryStoreHasALimit(t *testing.T) {
	c := newClock()
	m := &smart.MemoryStore{Now: c.now, Max: 2}
	create := func(key string) error {
		return m.Create(t.Context(), key, smart.Record{Expires: c.now().Add(time.Hour)})
	}
	if create("a") != nil || create("b") != nil || create("c") == nil {
		t.Error("a third record fits where two are the limit")
	}
	if err := m.Create(t.Context(), "d", smart.Record{Kind: "session"}); err != nil {
		t.Errorf("records of another kind take room from sessions: %v", err)
	}
	c.advance(2 * time.Hour)
	if err := create("c"); err != nil {
		t.Errorf("expired records take room: %v", err)
	}
}
