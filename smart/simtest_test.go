package smart_test

import (
	"errors"
	"testing"
	"time"

	"github.com/andironhq/andiron/sim/simtest"
	"github.com/andironhq/andiron/smart"
)

// The simulated Epic judges assertions by its own reading of the specification.
func TestSignsInAtTheSimulatedEpic(t *testing.T) {
	epic := simtest.Start(t)
	b := epic.TokenSource()
	first, err := b.Token(t.Context(), epic.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	epic.Advance(59 * time.Minute)
	second, err := b.Token(t.Context(), epic.URL+"/", "")
	if err != nil || second == first {
		t.Errorf("a minute before its end the token was not renewed: %v", err)
	}

	stranger := epic.TokenSource()
	stranger.Key = ecKey()
	_, err = stranger.Token(t.Context(), epic.URL, "")
	e, ok := errors.AsType[*smart.Error](err)
	if !ok || e.Code != "invalid_client" {
		t.Errorf("a key that nobody published: %v, want invalid_client", err)
	}

	published, err := smart.FetchKeySet(t.Context(), nil, nil, epic.JWKS)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, f := range (smart.Lint{Key: ecKey(), Published: published}).Findings() {
		found = found || f.Rule == "L2" && f.Severity == smart.SeverityError
	}
	if !found {
		t.Error("the linter does not find out that the key is not published")
	}
}

func TestDiscoversTheSimulatedEpic(t *testing.T) {
	epic := simtest.Start(t)
	c, err := smart.Discover(t.Context(), nil, epic.URL)
	if err != nil || c.TokenEndpoint == "" || c.Fallback || !c.Has("client-confidential-asymmetric") || len(c.Problems) > 0 {
		t.Errorf("discovered %+v, %v", c, err)
	}
}
