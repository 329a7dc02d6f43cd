package interop

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andironhq/andiron/smart"
)

// recorder keeps the bodies of the token requests that pass through it.
type recorder struct {
	mu    sync.Mutex
	forms []string
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPost {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
		r.mu.Lock()
		r.forms = append(r.forms, string(body))
		r.mu.Unlock()
	}
	return http.DefaultTransport.RoundTrip(req)
}

func TestBackendSignsInAtOIDCProvider(t *testing.T) {
	for _, alg := range []string{smart.RS384, smart.ES384} {
		t.Run(alg, func(t *testing.T) {
			node(t)
			key, err := smart.NewKey(alg)
			if err != nil {
				t.Fatal(err)
			}
			set, err := smart.PublicSet(key)
			if err != nil {
				t.Fatal(err)
			}
			var at struct{ Base, TokenURL string }
			peerServer(t, "oidc-provider.mjs", map[string]any{"client": "andiron", "alg": alg, "jwks": set, "life": 10}, &at)

			rec := &recorder{}
			var ahead atomic.Int64
			b := &smart.Backend{
				Base: at.Base, ClientID: "andiron", Key: key, Scope: "system/*.rs", HTTP: &http.Client{Transport: rec},
				Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
			}

			// Many callers share one request.
			tokens := make([]string, 20)
			var wg sync.WaitGroup
			for i := range tokens {
				wg.Go(func() {
					token, err := b.Token(t.Context(), at.Base, "")
					if err != nil {
						t.Error(err)
					}
					tokens[i] = token
				})
			}
			wg.Wait()
			if t.Failed() {
				return
			}
			for _, token := range tokens {
				if token == "" || token != tokens[0] {
					t.Fatal("the callers got different tokens, or an empty one")
				}
			}
			if len(rec.forms) != 1 {
				t.Errorf("%d callers made %d token requests, want 1", len(tokens), len(rec.forms))
			}

			// The peer refuses our assertion the second time: it did look at the jti.
			form, err := url.ParseQuery(rec.forms[0])
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.PostForm(at.TokenURL, form)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("the peer answered %d to a replayed assertion, want 401", resp.StatusCode)
			}

			// A refused token is renewed, with an assertion of its own.
			second, err := b.Token(t.Context(), at.Base, tokens[0])
			if err != nil || second == tokens[0] {
				t.Errorf("after a 401: same token %v, error %v; want a new token", second == tokens[0], err)
			}

			// A token of ten seconds is renewed after nine and a half, by our clock.
			ahead.Store(int64(9500 * time.Millisecond))
			third, err := b.Token(t.Context(), at.Base, "")
			if err != nil || third == second {
				t.Errorf("near the end: same token %v, error %v; want a new token", third == second, err)
			}
			if len(rec.forms) != 3 {
				t.Errorf("%d token requests in all, want 3", len(rec.forms))
			}
		})
	}
}

func TestBackendIsToldWhyOIDCProviderRefuses(t *testing.T) {
	node(t)
	registered, err := smart.NewKey(smart.ES384)
	if err != nil {
		t.Fatal(err)
	}
	other, err := smart.NewKey(smart.ES384)
	if err != nil {
		t.Fatal(err)
	}
	set, err := smart.PublicSet(registered)
	if err != nil {
		t.Fatal(err)
	}
	var at struct{ Base, TokenURL string }
	peerServer(t, "oidc-provider.mjs", map[string]any{"client": "andiron", "alg": smart.ES384, "jwks": set, "life": 10}, &at)
	for _, c := range []struct {
		name string
		b    *smart.Backend
	}{
		{"a key that is not registered", &smart.Backend{Key: other}},
		{"another key under the registered id", &smart.Backend{Key: other.WithID(registered.ID())}},
		{"an audience that is not the peer", &smart.Backend{Key: registered, Audience: "https://elsewhere.example/token"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.b.Base, c.b.ClientID, c.b.Tries = at.Base, "andiron", 1
			_, err := c.b.Token(t.Context(), at.Base, "")
			refused(t, err, http.StatusUnauthorized, "invalid_client")
		})
	}
}

// refused fails the test unless err is the refusal with that status and OAuth code.
func refused(t *testing.T, err error, status int, code string) {
	t.Helper()
	var e *smart.Error
	if !errors.As(err, &e) || e.Status != status || e.Code != code {
		t.Errorf("got %v, want %s (%d)", err, code, status)
	}
}
