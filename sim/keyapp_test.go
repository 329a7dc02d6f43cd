package sim_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/andironhq/andiron/sim"
)

// TestKeyAppProvesItselfOnEveryGrant: each refusal leaves the code or the refresh token good, since the
// client was not the app.
func TestKeyAppProvesItselfOnEveryGrant(t *testing.T) { // T2, T6
	c := newClinic(t, sim.Knobs{})
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h := &hospital{Server: c.Server, t: t, origin: c.origin, app: "key-app", key: key, kid: "k1", alg: jose.ES384}
	h.publish(jose.JSONWebKey{Key: &key.PublicKey, KeyID: h.kid, Use: "sig"})
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(h.keys.Load().([]byte)) }))
	defer keys.Close()
	if err := c.Register(sim.App{ClientID: "key-app", Kind: sim.Standalone, RedirectURIs: []string{redirect}, JWKSURL: keys.URL, Persistent: true}); err != nil {
		t.Fatal(err)
	}
	with := func(jwt string) url.Values {
		v := h.assertion(jwt)
		v.Del("grant_type")
		return v
	}
	fresh := func() url.Values { return with(h.sign(h.claims(nil), nil)) }
	used := h.sign(h.claims(nil), nil)
	first := c.code("key-app", "simtheo", nil)
	status, v := c.exchange("key-app", first, with(used))
	if status != http.StatusOK {
		t.Fatalf("a good assertion draws %d (%s)", status, c.reason())
	}
	refresh := v["refresh_token"].(string)
	code := c.code("key-app", "simtheo", nil)
	for _, row := range []struct {
		rule  string
		edits url.Values
	}{
		{"no assertion", url.Values{}},
		{"a jti seen before", with(used)},
		{"another audience", with(h.sign(h.claims(map[string]any{"aud": c.base()}), nil))},
		{"an assertion longer than five minutes", with(h.sign(h.claims(map[string]any{"exp": h.Now().Unix() + 400}), nil))},
		{"another app's name", with(h.sign(h.claims(map[string]any{"iss": "patient-app", "sub": "patient-app"}), nil))},
		{"a secret in place of the assertion", url.Values{"client_secret": {"x"}}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			if status, v := c.exchange("key-app", code, row.edits); status != http.StatusBadRequest || v["error"] != "invalid_client" {
				t.Errorf("code: %d %v (%s), want 400 invalid_client", status, v["error"], c.reason())
			}
			if status, v := c.refresh("key-app", refresh, row.edits); status != http.StatusBadRequest || v["error"] != "invalid_client" {
				t.Errorf("refresh: %d %v (%s), want 400 invalid_client", status, v["error"], c.reason())
			}
		})
	}
	if status, _ := c.exchange("key-app", code, fresh()); status != http.StatusOK {
		t.Errorf("the code after refusals answers %d (%s)", status, c.reason())
	}
	if status, _ := c.refresh("key-app", refresh, fresh()); status != http.StatusOK {
		t.Errorf("the refresh after refusals answers %d (%s)", status, c.reason())
	}
}
