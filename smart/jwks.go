package smart

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// JWK is a public key (RFC 7517). It has no member that could hold a private one.
type JWK struct {
	KeyType   string `json:"kty"`
	KeyID     string `json:"kid,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	Use       string `json:"use,omitempty"`
	N         string `json:"n,omitempty"`   // RSA modulus
	E         string `json:"e,omitempty"`   // RSA exponent
	Curve     string `json:"crv,omitempty"` // EC curve
	X         string `json:"x,omitempty"`   // EC coordinate
	Y         string `json:"y,omitempty"`   // EC coordinate
}

// KeySet is a JWK Set of public keys: what is published under the URL that is registered for a
// client. It serves itself.
type KeySet struct {
	// Keys are the published keys. During a rotation both the old and the new one are in it.
	Keys []JWK `json:"keys"`
	// MaxAge is how long a reader may keep the set, in the Cache-Control of ServeHTTP. Zero
	// means one hour, negative "no-store". A new key must be published that long, and at a
	// server with a longer habit longer, before it signs.
	MaxAge time.Duration `json:"-"`
}

// PublicSet is the set of the keys' public halves. Keys with the same id would make a server refuse
// both: that is an error.
func PublicSet(keys ...*Key) (KeySet, error) {
	set := KeySet{Keys: []JWK{}}
	seen := map[string]bool{}
	for _, k := range keys {
		if k == nil || k.signer == nil {
			return KeySet{}, keyError(errors.New("no key"))
		}
		if seen[k.id] {
			return KeySet{}, keyError(errors.New("two keys of the set have the same id"))
		}
		seen[k.id] = true
		set.Keys = append(set.Keys, k.Public())
	}
	return set, nil
}

// ServeHTTP answers GET and HEAD with the set, to anybody: it is public, also for pages of other
// origins.
func (s KeySet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if s.Keys == nil {
		s.Keys = []JWK{}
	}
	body, err := json.Marshal(s)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", s.cacheControl())
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(append(body, '\n'))
}

func (s KeySet) cacheControl() string {
	switch {
	case s.MaxAge < 0:
		return "no-store"
	case s.MaxAge == 0:
		s.MaxAge = time.Hour
	}
	return fmt.Sprintf("public, max-age=%d", int64(s.MaxAge/time.Second))
}

// publicJWK writes a public key by way of go-jose, which knows the encodings.
func publicJWK(public crypto.PublicKey) (JWK, error) {
	var jwk JWK
	b, err := jose.JSONWebKey{Key: public}.MarshalJSON()
	if err != nil {
		return jwk, err
	}
	return jwk, json.Unmarshal(b, &jwk)
}
