package smart_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/andironhq/andiron/smart"
)

func parse(t *testing.T, data []byte) *smart.Key {
	t.Helper()
	k, err := smart.ParseKey(data)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func block(kind string, der []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func p256PEM(t *testing.T) []byte {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(k)
	return block("EC PRIVATE KEY", der, err)
}

func jwk(key any, kid, alg, use string) []byte {
	b, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: kid, Algorithm: alg, Use: use})
	if err != nil {
		panic(err)
	}
	return b
}

func TestParseKeyReadsWhatPeopleHave(t *testing.T) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(k any) []byte { der, err := x509.MarshalPKCS8PrivateKey(k); return block("PRIVATE KEY", der, err) }
	sec1, err := x509.MarshalECPrivateKey(e)
	ec := block("EC PRIVATE KEY", sec1, err)
	rsaID, ecID := parse(t, pkcs8(r)).Thumbprint(), parse(t, ec).Thumbprint()
	public := jwk(e.Public(), "pub", "ES384", "sig")
	set := func(keys ...[]byte) []byte {
		s := make([]string, len(keys))
		for i, k := range keys {
			s[i] = string(k)
		}
		return []byte(`{"keys":[` + strings.Join(s, ",") + `]}`)
	}
	tests := []struct {
		name    string
		data    []byte
		alg, id string
	}{
		{"PKCS #1", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r), nil), "RS384", rsaID},
		{"PKCS #8, RSA", pkcs8(r), "RS384", rsaID},
		{"PKCS #8, EC", pkcs8(e), "ES384", ecID},
		{"SEC 1", ec, "ES384", ecID},
		{"SEC 1 behind its parameters, as openssl writes it", append(block("EC PARAMETERS", []byte{6, 0}, nil), ec...), "ES384", ecID},
		{"a text and a certificate around it", []byte("Bag Attributes\n" + string(block("CERTIFICATE", []byte{1}, nil)) + string(ec) + "\r\n"), "ES384", ecID},
		{"a byte order mark", append([]byte("\ufeff\n"), ec...), "ES384", ecID},
		{"P-256", p256PEM(t), "ES256", ""},
		{"JWK", jwk(e, "", "", ""), "ES384", ecID},
		{"JWK with kid", jwk(e, "k1", "ES384", "sig"), "ES384", "k1"},
		{"RSA JWK that wants RS256", jwk(r, "k1", "RS256", ""), "RS256", "k1"},
		{"RSA JWK without alg", jwk(r, "k1", "", ""), "RS384", "k1"},
		{"set with one private key among public ones", set(public, jwk(e, "k3", "", "")), "ES384", "k3"},
		{"set with a key that nobody knows", set([]byte(`{"kty":"FUTURE","x":"y"}`), jwk(e, "k3", "", "")), "ES384", "k3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, err := smart.ParseKey(tt.data)
			if err != nil {
				t.Fatal(err)
			}
			if k.Algorithm() != tt.alg || tt.id != "" && k.ID() != tt.id {
				t.Errorf("%s with id %s, want %s with id %s", k.Algorithm(), k.ID(), tt.alg, tt.id)
			}
		})
	}

	ed := func() any { _, k, _ := ed25519.GenerateKey(rand.Reader); return k }()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(e.Public())
	pubPEM := block("PUBLIC KEY", pub, err)
	refused := []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "smart: key: empty"},
		{"a text", []byte("CANARY"), "smart: key: neither PEM nor JWK"},
		{"a public key", pubPEM, "smart: key: PEM holds a public key or certificate and no private key"},
		{"an encrypted key", block("ENCRYPTED PRIVATE KEY", []byte("CANARY"), nil), "smart: key: PEM is encrypted: decrypt it first"},
		{"two keys", append(ec, ec...), "smart: key: PEM holds several private keys"},
		{"broken PEM", block("PRIVATE KEY", []byte("CANARY"), nil), `smart: key: PEM block "PRIVATE KEY" cannot be read`},
		{"RSA with 1024 bits", pkcs8(small), "smart: key: RSA key has 1024 bits, must have 2048"},
		{"P-521", pkcs8(p521), "smart: key: curve must be P-384 or P-256"},
		{"Ed25519", pkcs8(ed), "smart: key: kind must be RSA or EC"},
		{"broken JSON", []byte(`{"kty":"RSA","d":"CANARY"`), "smart: key: JWK is no valid JSON"},
		{"a public JWK", public, "smart: key: JWK or set holds 0 private keys, must hold one"},
		{"two private JWKs", set(jwk(e, "a", "", ""), jwk(r, "b", "", "")), "smart: key: JWK or set holds 2 private keys, must hold one"},
		{"a JWK for encryption", jwk(r, "k", "", "enc"), "smart: key: JWK is not for signing"},
		{"an algorithm of another kind", jwk(r, "k", "ES384", ""), "smart: key: alg does not fit the kind of key"},
		{"no signature at all", jwk(r, "k", "none", ""), "smart: key: alg does not fit the kind of key"},
		{"a private member that is none", []byte(`{"kty":"EC","crv":"P-384","x":"CANARY","y":"CANARY","d":"CANARY"}`), "smart: key: JWK cannot be read"},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			_, err := smart.ParseKey(tt.data)
			if err == nil || err.Error() != tt.want {
				t.Errorf("error is %q, want %q", err, tt.want)
			}
		})
	}
}

func TestNewKeySurvivesItsFile(t *testing.T) {
	for _, k := range []*smart.Key{rsaKey(), ecKey()} {
		data, err := k.PEM()
		if err != nil {
			t.Fatal(err)
		}
		again := parse(t, data)
		if again.Public() != k.Public() || again.ID() != k.Thumbprint() {
			t.Errorf("%s: written and read it is another key", k)
		}
	}
	if _, err := smart.NewKey("HS256"); err == nil {
		t.Error("NewKey makes keys for HS256")
	}
	if _, err := (smart.Key{}).PEM(); err == nil {
		t.Error("the zero Key has a PEM form")
	}
}

// RFC 7638, section 3.1, has this key and this thumbprint.
func TestThumbprintIsThatOfTheSpecification(t *testing.T) {
	const n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	var k jose.JSONWebKey
	if err := json.Unmarshal([]byte(`{"kty":"RSA","n":"`+n+`","e":"AQAB"}`), &k); err != nil {
		t.Fatal(err)
	}
	if got := smart.Thumbprint(k.Key); got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("thumbprint is %s", got)
	}
}

func TestPublishedKeysHaveNoPrivateMember(t *testing.T) {
	set, err := smart.PublicSet(rsaKey(), ecKey().WithID("second"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(set)
	defer srv.Close()
	res, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var got struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if len(got.Keys) != 2 {
		t.Fatalf("%d keys, want 2", len(got.Keys))
	}
	for _, k := range got.Keys {
		for m := range k {
			if !regexp.MustCompile(`^(kty|kid|alg|use|n|e|crv|x|y)$`).MatchString(m) {
				t.Errorf("member %q is published", m)
			}
		}
		if k["use"] != "sig" || k["alg"] == "" || k["kid"] == "" {
			t.Errorf("key %v lacks use, alg or kid", k["kid"])
		}
	}
	if cc := res.Header.Get("Cache-Control"); cc != "public, max-age=3600" {
		t.Errorf("Cache-Control is %q", cc)
	}
	if ct := res.Header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type is %q", ct)
	}
	res, err = http.Post(srv.URL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST is answered %d", res.StatusCode)
	}
	for age, want := range map[time.Duration]string{time.Minute: "public, max-age=60", -1: "no-store"} {
		w := httptest.NewRecorder()
		smart.KeySet{MaxAge: age}.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if w.Header().Get("Cache-Control") != want || strings.TrimSpace(w.Body.String()) != `{"keys":[]}` {
			t.Errorf("MaxAge %v: %q, body %s", age, w.Header().Get("Cache-Control"), w.Body)
		}
	}
	if _, err := smart.PublicSet(ecKey(), ecKey()); err == nil {
		t.Error("two keys with one id are published")
	}
}

// ecNumbers are the private number of a key in the spellings in which it could leak.
func ecNumbers(t *testing.T, data []byte) []string {
	t.Helper()
	b, _ := pem.Decode(data)
	k, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	ec, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatal("no EC key")
	}
	d, err := ec.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	n := new(big.Int).SetBytes(d)
	return []string{n.String(), n.Text(16), strings.ToUpper(n.Text(16)), base64.StdEncoding.EncodeToString(d), base64.RawURLEncoding.EncodeToString(d)}
}
