package cli

import (
	"context"
	"net/url"
	"time"

	"github.com/andironhq/andiron/smart"
	"github.com/andironhq/andiron/store"
)

// openSealed opens the state at path, of mode 0600.
func openSealed(ctx context.Context, path string, key smart.Secret, now func() time.Time) (*state, error) {
	seal, err := store.ParseSeal(key)
	if err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, "file:"+(&url.URL{Path: path}).EscapedPath(), store.Options{Seal: seal, Now: now})
	if err != nil {
		return nil, err
	}
	return &state{Store: s.Smart(), close: s.Close}, nil
}
