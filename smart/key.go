package smart

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/go-jose/go-jose/v4"
)

// The algorithms that every SMART client must have; a server has at least one of them.
const (
	RS384 = "RS384"
	ES384 = "ES384"
)

// minRSABits is the smallest RSA key that servers accept (RFC 7518, section 3.3; Epic says so too).
// It is also what NewKey makes: SMART asks for no more, and longer keys are reported to fail
// without a word at some servers.
const minRSABits = 2048

// Key is a private key with its algorithm and its id. It prints as its algorithm and id, never as
// more.
//
// A Key is made by [NewKey], [ParseKey] or [LoadKey]; the zero value signs nothing. It does not
// change and may be shared.
type Key struct {
	signer crypto.Signer // *rsa.PrivateKey or *ecdsa.PrivateKey
	alg    string
	id     string
}

// NewKey makes a key for RS384 (RSA, 2048 bits) or ES384 (P-384). Its id is its thumbprint.
func NewKey(alg string) (*Key, error) {
	var (
		signer crypto.Signer
		err    error
	)
	switch alg {
	case RS384:
		signer, err = rsa.GenerateKey(rand.Reader, minRSABits)
	case ES384:
		signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		err = fmt.Errorf("algorithm must be %s or %s", RS384, ES384)
	}
	if err != nil {
		return nil, keyError(err)
	}
	return newKey(signer, alg, "")
}

// ParseKey reads one private key: PEM (PKCS #1, PKCS #8 or SEC 1), a private JWK, or a JWK Set with
// exactly one private key in it. RSA signs with RS384 unless the JWK's alg says RS256 or RS512,
// P-384 with ES384, P-256 with ES256. The id is the JWK's kid, else the thumbprint (RFC 7638).
//
// Errors say what is wrong with the form and hold nothing of the content. RSA below 2048 bits,
// other curves and encrypted PEM are refused.
func ParseKey(data []byte) (*Key, error) {
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff")))
	switch {
	case len(data) == 0:
		return nil, keyError(errors.New("empty"))
	case data[0] == '{':
		return parseJWK(data)
	default:
		return parsePEM(data)
	}
}

// Algorithm is the JWS algorithm: RS384, ES384, or RS256, RS512, ES256 where the key said so.
func (k Key) Algorithm() string { return k.alg }

// ID is the kid that assertions carry and the published key must have.
func (k Key) ID() string { return k.id }

// WithID is the same key under another id, for a server that has registered it so.
func (k Key) WithID(id string) *Key {
	k.id = id
	return &k
}

// Thumbprint is the key's RFC 7638 thumbprint: SHA-256, base64url without padding.
func (k Key) Thumbprint() string {
	if k.signer == nil {
		return ""
	}
	return thumbprint(k.signer.Public())
}

// Public is the public half, with alg, kid and use.
func (k Key) Public() JWK {
	if k.signer == nil {
		return JWK{}
	}
	jwk, _ := publicJWK(k.signer.Public()) // its kind was checked when the key was made
	jwk.KeyID, jwk.Algorithm, jwk.Use = k.id, k.alg, "sig"
	return jwk
}

// PEM is the private key itself as PKCS #8, for a file that only its owner can read.
func (k Key) PEM() ([]byte, error) {
	if k.signer == nil {
		return nil, keyError(errors.New("no key"))
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.signer)
	if err != nil {
		return nil, keyError(errors.New("cannot be written as PKCS #8"))
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// String is algorithm and id: "RS384 key abc".
func (k Key) String() string {
	if k.signer == nil {
		return "no key"
	}
	return k.alg + " key " + k.id
}

// Format prints String whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText is String, also in JSON: a Key does not survive being written. Use PEM.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// sign makes a compact JWS with the given header members beside alg and kid.
func (k Key) sign(claims any, header map[jose.HeaderKey]any) (string, error) {
	if k.signer == nil {
		return "", errors.New("no key")
	}
	opts := &jose.SignerOptions{ExtraHeaders: header}
	opts.WithType("JWT")
	s, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(k.alg),
		Key:       jose.JSONWebKey{Key: k.signer, KeyID: k.id, Algorithm: k.alg},
	}, opts)
	if err != nil {
		return "", errors.New("key cannot sign")
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	jws, err := s.Sign(payload)
	if err != nil {
		return "", errors.New("key cannot sign")
	}
	return jws.CompactSerialize()
}

// newKey checks what every key must be. An empty alg means the kind's own.
func newKey(private any, alg, id string) (*Key, error) {
	var (
		signer crypto.Signer
		fits   []string // the first is the default
	)
	switch p := private.(type) {
	case *rsa.PrivateKey:
		if p.N.BitLen() < minRSABits {
			return nil, keyError(fmt.Errorf("RSA key has %d bits, must have %d", p.N.BitLen(), minRSABits))
		}
		signer, fits = p, []string{RS384, "RS256", "RS512"}
	case *ecdsa.PrivateKey:
		switch p.Curve {
		case elliptic.P384():
			signer, fits = p, []string{ES384}
		case elliptic.P256():
			signer, fits = p, []string{"ES256"}
		default:
			return nil, keyError(errors.New("curve must be P-384 or P-256"))
		}
	default:
		return nil, keyError(errors.New("kind must be RSA or EC"))
	}
	if alg == "" {
		alg = fits[0]
	}
	ok := false
	for _, f := range fits {
		ok = ok || f == alg
	}
	if !ok {
		return nil, keyError(errors.New("alg does not fit the kind of key"))
	}
	if id == "" {
		id = thumbprint(signer.Public())
	}
	return &Key{signer: signer, alg: alg, id: id}, nil
}

func parsePEM(data []byte) (*Key, error) {
	var key *Key
	seen := ""
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		var (
			private any
			err     error
		)
		switch block.Type {
		case "PRIVATE KEY":
			private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			if block.Headers["DEK-Info"] != "" {
				return nil, keyError(errors.New("PEM is encrypted: decrypt it first"))
			}
			private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			if block.Headers["DEK-Info"] != "" {
				return nil, keyError(errors.New("PEM is encrypted: decrypt it first"))
			}
			private, err = x509.ParseECPrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, keyError(errors.New("PEM is encrypted: decrypt it first"))
		case "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE":
			seen = "PEM holds a public key or certificate and no private key"
			continue
		default: // such as EC PARAMETERS before the key
			continue
		}
		if err != nil {
			return nil, keyError(fmt.Errorf("PEM block %q cannot be read", block.Type))
		}
		if key != nil {
			return nil, keyError(errors.New("PEM holds several private keys"))
		}
		if key, err = newKey(private, "", ""); err != nil {
			return nil, err
		}
	}
	switch {
	case key != nil:
		return key, nil
	case seen != "":
		return nil, keyError(errors.New(seen))
	}
	return nil, keyError(errors.New("neither PEM nor JWK"))
}

func parseJWK(data []byte) (*Key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, keyError(errors.New("JWK is no valid JSON"))
	}
	if set.Keys == nil {
		set.Keys = []json.RawMessage{data}
	}
	var private []json.RawMessage
	for _, raw := range set.Keys {
		var members struct {
			D json.RawMessage `json:"d"`
		}
		if json.Unmarshal(raw, &members) == nil && len(members.D) > 0 {
			private = append(private, raw)
		}
	}
	if len(private) != 1 {
		return nil, keyError(fmt.Errorf("JWK or set holds %d private keys, must hold one", len(private)))
	}
	var jwk jose.JSONWebKey
	if err := json.Unmarshal(private[0], &jwk); err != nil {
		return nil, keyError(errors.New("JWK cannot be read"))
	}
	if jwk.Use != "" && jwk.Use != "sig" {
		return nil, keyError(errors.New("JWK is not for signing"))
	}
	if !jwk.Valid() {
		return nil, keyError(errors.New("JWK is not valid"))
	}
	return newKey(jwk.Key, jwk.Algorithm, jwk.KeyID)
}

func thumbprint(public crypto.PublicKey) string {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

func keyError(err error) *Error { return &Error{Op: "key", Err: err} }
