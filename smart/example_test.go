package smart_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/andironhq/andiron/smart"
)

// A program without a user: it is registered with the URL of its key set, and signs in with the key.
func ExampleBackend() {
	key, err := smart.NewKey(smart.ES384) // made once, kept in a file: see LoadKey
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			fmt.Fprint(w, `{"access_token":"opaque","token_type":"bearer","expires_in":3600}`)
			return
		}
		fmt.Fprint(w, `{"token_endpoint":"/oauth2/token"}`)
	}))
	defer srv.Close()

	b := &smart.Backend{Base: srv.URL + "/api/FHIR/R4", ClientID: "my-client", Key: key}
	ctx := context.Background()
	token, err := b.Token(ctx, b.Base, "") // fhir.Client does this: Auth: b
	fmt.Println(token, err)
	_, err = b.Token(ctx, "https://evil.example/api/FHIR/R4", "")
	fmt.Println(err)
	// Output:
	// opaque <nil>
	// smart: token: token is for another FHIR base
}

// During a rotation the old and the new key are published together.
func ExamplePublicSet() {
	older, _ := smart.NewKey(smart.ES384)
	newer, _ := smart.NewKey(smart.ES384)
	set, err := smart.PublicSet(older.WithID("2025"), newer.WithID("2026"))
	if err != nil {
		fmt.Println(err)
		return
	}
	set.MaxAge = 10 * time.Minute
	w := httptest.NewRecorder()
	set.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/jwks.json", nil))
	fmt.Println(w.Code, w.Header().Get("Cache-Control"), len(set.Keys), set.Keys[1].KeyID)
	// Output: 200 public, max-age=600 2 2026
}

// What a server that answers invalid_client does not say.
func ExampleLint() {
	key, _ := smart.NewKey(smart.ES384)
	assertion, err := smart.Assertion{Key: key.WithID("k2"), ClientID: "my-client", Audience: "https://h.example/token/"}.Sign()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("assertion:", assertion)
	l := smart.Lint{
		Assertion: assertion, ClientID: "my-client", Audience: "https://h.example/token",
		Published: &smart.PublishedSet{Body: []byte(`{"keys":[{"kty":"EC","kid":"k1"}]}`), CacheControl: "max-age=3600"},
	}
	for _, f := range l.Findings() {
		if f.Severity == smart.SeverityError {
			fmt.Println(f.Rule, f.Text)
		}
	}
	// Output:
	// assertion: [redacted]
	// L2 kid "k2" is not in the published key set, which has "k1"
	// L7 aud and the token endpoint differ by a trailing slash
}

func ExampleKey() {
	key, _ := smart.NewKey(smart.ES384)
	key = key.WithID("k1")
	fmt.Println(key)
	fmt.Printf("%+v %#v\n", *key, key)
	// Output:
	// ES384 key k1
	// ES384 key k1 ES384 key k1
}
