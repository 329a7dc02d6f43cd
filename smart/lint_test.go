package smart_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/andironhq/andiron/smart"
)

// forge signs any claims under any header, as a client with a bug would.
type forge struct {
	alg    jose.SignatureAlgorithm
	key    any
	header map[jose.HeaderKey]any
	claims map[string]any
}

func (f forge) sign(t *testing.T) smart.Secret {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: f.alg, Key: f.key}, &jose.SignerOptions{ExtraHeaders: f.header})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(f.claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return smart.NewSecret(text)
}

func TestLint(t *testing.T) {
	const aud = "https://h.example/oauth2/token"
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	published := func(cache string, keys ...[]byte) *smart.PublishedSet {
		parts := make([]string, len(keys))
		for i, k := range keys {
			parts[i] = string(k)
		}
		return &smart.PublishedSet{Body: []byte(`{"keys":[` + strings.Join(parts, ",") + `]}`), CacheControl: cache}
	}
	public := jwk(private.Public(), "k1", "ES384", "sig")
	at := func(d time.Duration) int64 { return start.Add(d).Unix() }

	tests := []struct {
		name   string
		change func(*forge, *smart.Lint)
		want   string // the errors and warnings, "; " between
	}{
		{"a good assertion", func(*forge, *smart.Lint) {}, ""},
		{"L1: no typ", func(f *forge, _ *smart.Lint) { delete(f.header, "typ") }, `L1 error: typ is "", must be "JWT"`},
		{"L1: HMAC", func(f *forge, l *smart.Lint) {
			f.alg, f.key, l.Published = jose.HS256, []byte(strings.Repeat("k", 32)), nil
		}, `L1 error: alg is "HS256", must be RS384 or ES384`},
		{"L1: not among the server's", func(_ *forge, l *smart.Lint) { l.Algorithms = []string{"RS384"} }, "L1 error: alg is ES384, the server announces RS384"},
		{"L2: no kid", func(f *forge, _ *smart.Lint) { delete(f.header, "kid") }, "L2 error: kid is missing"},
		{"L2: not published", func(f *forge, _ *smart.Lint) { f.header["kid"] = "k2" }, `L2 error: kid "k2" is not in the published key set, which has "k1"`},
		{"L2: published twice", func(_ *forge, l *smart.Lint) { l.Published = published("max-age=60", public, public) }, `L2 error: kid "k1" matches 2 published keys, must match one`},
		{"L2: nothing published", func(_ *forge, l *smart.Lint) { l.Published = published("max-age=60") }, `L2 error: kid "k1" is not in the published key set, which has no key`},
		{"L3: another key under the same kid", func(_ *forge, l *smart.Lint) {
			l.Published = published("max-age=60", jwk(other.Public(), "k1", "ES384", "sig"))
		}, "L3 error: the published key with this kid is another one than the one that signs"},
		{"L3: the private key is published", func(_ *forge, l *smart.Lint) {
			l.Published = published("max-age=60", jwk(private, "k1", "ES384", "sig"))
		}, "L3 error: a published key has private members: it must never be used again"},
		{"L4: no key set", func(_ *forge, l *smart.Lint) { l.Published.Body = []byte(`[]`) }, "L4 error: what is published is no JWK Set"},
		{"L4: plain http", func(_ *forge, l *smart.Lint) { l.KeySetURL = "http://h.example/jwks" }, "L5 error: jku is not the registered key set URL; L4 error: the key set URL is not https"},
		{"L4: out of reach", func(_ *forge, l *smart.Lint) {
			l.Published, l.PublishedErr = nil, &smart.Error{Op: "key set", Status: 403}
		}, "L4 error: the key set cannot be fetched: status 403"},
		{"L4: slow", func(_ *forge, l *smart.Lint) { l.Published.Took = 6 * time.Second }, "L4 error: the key set took 6s to come: servers do not wait that long"},
		{"L5: another jku", func(f *forge, _ *smart.Lint) { f.header["jku"] = "https://evil.example" }, "L5 error: jku is not the registered key set URL"},
		{"W2: no jku", func(f *forge, _ *smart.Lint) { delete(f.header, "jku") }, "W2 warning: no jku, though a key set URL is registered"},
		{"L6: iss is not sub", func(f *forge, _ *smart.Lint) { f.claims["sub"] = "x" }, "L6 error: iss and sub differ"},
		{"L6: another client", func(f *forge, _ *smart.Lint) { f.claims["sub"], f.claims["iss"] = "x", "x" }, "L6 error: iss and sub are not the client id"},
		{"L6: no iss", func(f *forge, _ *smart.Lint) { delete(f.claims, "iss") }, "L6 error: iss or sub is missing"},
		{"L7: a list", func(f *forge, _ *smart.Lint) { f.claims["aud"] = []string{aud} }, "L7 error: aud is a list, must be one string"},
		{"L7: a trailing slash", func(f *forge, _ *smart.Lint) { f.claims["aud"] = aud + "/" }, "L7 error: aud and the token endpoint differ by a trailing slash"},
		{"L7: another host", func(f *forge, _ *smart.Lint) { f.claims["aud"] = "https://x.example/oauth2/token" }, "L7 error: aud is on another host, port or scheme, must be the token endpoint"},
		{"L7: the FHIR base", func(f *forge, _ *smart.Lint) { f.claims["aud"] = "https://h.example/api/FHIR/R4" }, "L7 error: aud is another URL, must be the token endpoint"},
		{"L7: none", func(f *forge, _ *smart.Lint) { delete(f.claims, "aud") }, "L7 error: aud is missing"},
		{"L8: past", func(f *forge, _ *smart.Lint) { f.claims["exp"] = at(-time.Second) }, "L8 error: exp is 1s in the past by the server's clock"},
		{"L8: too far", func(f *forge, _ *smart.Lint) {
			f.claims["exp"], f.claims["iat"], f.claims["nbf"] = at(301*time.Second), at(0), at(0)
		}, "L8 error: exp is 5m1s ahead by the server's clock, may be 5m0s; L9 error: exp is 5m1s after iat, may be 5m0s; L9 error: exp is 5m1s after nbf, may be 5m0s"},
		{"L8: none", func(f *forge, _ *smart.Lint) { delete(f.claims, "exp") }, "L8 error: exp is missing"},
		{"L8: a string", func(f *forge, _ *smart.Lint) { f.claims["exp"] = "tomorrow" }, "L8 error: exp is missing"},
		{"W1: exactly five minutes", func(f *forge, _ *smart.Lint) {
			f.claims["exp"], f.claims["iat"], f.claims["nbf"] = at(300*time.Second), at(0), at(0)
		}, "W1 warning: exp is so near to its limit that a small difference of clocks breaks it; four minutes are safe"},
		{"L9: iat ahead", func(f *forge, _ *smart.Lint) { f.claims["iat"] = at(3 * time.Second) }, "L9 error: iat is 3s in the future by the server's clock"},
		{"L9: lives too long", func(f *forge, _ *smart.Lint) { f.claims["nbf"] = at(-100 * time.Second) }, "L9 error: exp is 5m40s after nbf, may be 5m0s"},
		{"W2: no iat, no nbf", func(f *forge, _ *smart.Lint) { delete(f.claims, "iat"); delete(f.claims, "nbf") }, "W2 warning: no iat; W2 warning: no nbf"},
		{"L10: no jti", func(f *forge, _ *smart.Lint) { delete(f.claims, "jti") }, "L10 error: jti is missing"},
		{"L10: a number", func(f *forge, _ *smart.Lint) { f.claims["jti"] = 5 }, "L10 error: jti is not a string"},
		{"L10: 152 characters", func(f *forge, _ *smart.Lint) { f.claims["jti"] = strings.Repeat("x", 152) }, "L10 error: jti has 152 characters, may have 151"},
		{"L10: used before", func(_ *forge, l *smart.Lint) { l.UsedIDs = func(string) bool { return true } }, "L10 error: jti was used before"},
		{"W2: no alg in the published key", func(_ *forge, l *smart.Lint) {
			l.Published = published("max-age=60", jwk(private.Public(), "k1", "", ""))
		}, "W2 warning: the published key has no alg"},
		{"W4: no Cache-Control", func(_ *forge, l *smart.Lint) { l.Published.CacheControl = "" }, "W4 warning: the key set says nothing of Cache-Control: servers may keep it for 29 hours"},
		{"W4: a week", func(_ *forge, l *smart.Lint) { l.Published.CacheControl = "public, max-age=604800" }, "W4 warning: Cache-Control lets servers keep the key set for 168h0m0s"},
		{"W5: clocks", func(_ *forge, l *smart.Lint) { l.Now = start.Add(10 * time.Second) }, "W5 warning: the server's clock is 10s behind ours"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &forge{
				alg: jose.ES384, key: private,
				header: map[jose.HeaderKey]any{"typ": "JWT", "kid": "k1", "jku": "https://keys.example/jwks"},
				claims: map[string]any{"iss": "c", "sub": "c", "aud": aud, "jti": "1", "exp": at(240 * time.Second), "iat": at(-5 * time.Second), "nbf": at(-5 * time.Second)},
			}
			l := &smart.Lint{
				ClientID: "c", Audience: aud, KeySetURL: "https://keys.example/jwks", Now: start, ServerTime: start,
				Published: published("max-age=3600", public),
			}
			tt.change(f, l)
			l.Assertion = f.sign(t)
			var got []string
			ok := 0
			for _, finding := range l.Findings() {
				if finding.Severity == smart.SeverityOK {
					ok++
					continue
				}
				got = append(got, fmt.Sprintf("%s %s: %s", finding.Rule, finding.Severity, finding.Text))
			}
			if s := strings.Join(got, "; "); s != tt.want {
				t.Errorf("findings are %q, want %q", s, tt.want)
			}
			if ok == 0 {
				t.Error("nothing was found good: a check that cannot pass proves nothing")
			}
		})
	}
}

func TestLintOfOwnAssertionsIsClean(t *testing.T) {
	for _, key := range []*smart.Key{rsaKey(), ecKey()} {
		set := mustSet(t, key)
		body, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		a, err := smart.Assertion{Key: key, ClientID: "c", Audience: "https://h/t", JKU: "https://k/j", Now: newClock().now}.Sign()
		if err != nil {
			t.Fatal(err)
		}
		l := smart.Lint{
			Assertion: a, ClientID: "c", Audience: "https://h/t", KeySetURL: "https://k/j", Key: key, Now: start, ServerTime: start,
			Published: &smart.PublishedSet{Body: body, CacheControl: "max-age=3600"},
		}
		for _, f := range l.Findings() {
			if f.Severity != smart.SeverityOK {
				t.Errorf("%s: %s %s: %s", key, f.Rule, f.Severity, f.Text)
			}
		}
	}
	for _, garbage := range []string{"x", "a.b", "a.b.c", "!.!.!", "e30.e30", "bnVsbA.bnVsbA.x"} {
		f := smart.Lint{Assertion: smart.NewSecret(garbage)}.Findings()
		if len(f) == 0 || f[0].Rule != "L1" || f[0].Severity != smart.SeverityError {
			t.Errorf("%q is linted as %v", garbage, f)
		}
	}
}

func TestAssertionIsFreshAndComplete(t *testing.T) {
	for name, a := range map[string]smart.Assertion{
		"no key":      {ClientID: "c", Audience: "a"},
		"no client":   {Key: ecKey(), Audience: "a"},
		"no audience": {Key: ecKey(), ClientID: "c"},
		"an empty key": {
			Key: &smart.Key{}, ClientID: "c", Audience: "a",
		},
		"no randomness": {Key: ecKey(), ClientID: "c", Audience: "a", Rand: strings.NewReader("short")},
	} {
		if s, err := a.Sign(); err == nil || !s.IsZero() {
			t.Errorf("%s: an assertion was signed", name)
		}
	}
	seen := map[string]bool{}
	for range 50 {
		s, err := smart.Assertion{Key: ecKey(), ClientID: "c", Audience: "a"}.Sign()
		if err != nil {
			t.Fatal(err)
		}
		claims := strings.Split(s.Reveal(), ".")[1]
		if seen[claims] {
			t.Fatal("two assertions have the same claims")
		}
		seen[claims] = true
	}
}

func TestFetchKeySet(t *testing.T) {
	fetch := func(h http.HandlerFunc) (*smart.PublishedSet, error) {
		srv := httptest.NewServer(h)
		defer srv.Close()
		return smart.FetchKeySet(t.Context(), nil, nil, srv.URL)
	}
	got, err := fetch(mustSet(t, ecKey()).ServeHTTP)
	if err != nil || !strings.Contains(string(got.Body), ecKey().ID()) || got.CacheControl != "public, max-age=3600" {
		t.Errorf("fetched %v, %v", got, err)
	}
	for name, tt := range map[string]struct {
		h    http.HandlerFunc
		want error
		text string
	}{
		"a redirect":       {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }, smart.ErrRedirect, "smart: key set: 302, redirect not followed"},
		"a page":           {body("<html>"), smart.ErrNotJSON, "smart: key set: 200, HTML where JSON belongs"},
		"a sign-in needed": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, nil, "smart: key set: 401"},
	} {
		_, err := fetch(tt.h)
		if err == nil || err.Error() != tt.text || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: error is %v, want %s", name, err, tt.text)
		}
	}
	for _, u := range []string{"http://h.example/jwks", "x", "https://u@h.example"} {
		if _, err := smart.FetchKeySet(context.Background(), nil, nil, u); err == nil {
			t.Errorf("%s was fetched", u)
		}
	}
}
