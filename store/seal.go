package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/andironhq/andiron/smart"
)

// Seal seals what a [Store] writes and opens what it reads. The first key of [ParseSeal] seals, all of
// them open. It prints without its keys.
type Seal struct{ keys []sealKey }

type sealKey struct {
	id     string // eight bytes
	secret []byte
}

// An envelope is the format's number, the id of the key, a salt, a nonce, and the sealed data with its tag.
const (
	sealFormat = 1
	idSize     = 8
	saltSize   = 16
	headSize   = 1 + idSize + saltSize
)

// NewSealKey makes a key for [ParseSeal]: 32 random bytes in base64.
func NewSealKey() smart.Secret {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return smart.NewSecret(base64.StdEncoding.EncodeToString(b))
}

// ParseSeal reads the key that seals from now on, and older ones that still open. A key is 32 random
// bytes in base64 (standard or URL alphabet, with or without padding), in hex, or as they are. It fails
// with [ErrBadKey]; a text of 32 characters is a passphrase and refused as well.
func ParseSeal(current smart.Secret, older ...smart.Secret) (*Seal, error) {
	s := &Seal{}
	for _, text := range append([]smart.Secret{current}, older...) {
		b := keyBytes(text.Reveal())
		if b == nil {
			return nil, &Error{Op: "seal", Err: ErrBadKey}
		}
		id, err := hkdf.Key(sha256.New, b, nil, "andiron seal key id", idSize)
		if err != nil {
			return nil, &Error{Op: "seal", Err: ErrBadKey}
		}
		s.keys = append(s.keys, sealKey{id: string(id), secret: b})
	}
	return s, nil
}

// keyBytes are the 32 bytes of a key, nil if they are not such.
func keyBytes(text string) []byte {
	var b []byte
	switch len(text) {
	case 32:
		b = []byte(text)
		if strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0 {
			return nil
		}
	case 64:
		b, _ = hex.DecodeString(text)
	default:
		plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
		b, _ = base64.RawStdEncoding.DecodeString(plain)
	}
	if len(b) != 32 {
		return nil
	}
	seen := map[byte]bool{}
	for _, c := range b {
		seen[c] = true
	}
	if len(seen) < 12 { // of 32 random bytes hardly two are equal
		return nil
	}
	return b
}

// String names the keys by their ids.
func (s *Seal) String() string {
	if s == nil {
		return "no seal"
	}
	var ids []string
	for _, k := range s.keys {
		ids = append(ids, hex.EncodeToString([]byte(k.id)))
	}
	return "seal " + strings.Join(ids, ", ")
}

// Format prints String whatever the verb.
func (s *Seal) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// bound is what an envelope is tied to.
type bound struct {
	table, key, kind string
	version, expires int64
}

func (b bound) bytes(head []byte) []byte {
	out := append([]byte("andiron store"), head...)
	for _, s := range []string{b.table, b.key, b.kind} {
		out = binary.BigEndian.AppendUint64(out, uint64(len(s)))
		out = append(out, s...)
	}
	out = binary.BigEndian.AppendUint64(out, uint64(b.version))
	return binary.BigEndian.AppendUint64(out, uint64(b.expires))
}

// current is the id of the key that seals, in hex.
func (s *Seal) current() string { return hex.EncodeToString([]byte(s.keys[0].id)) }

func (s *Seal) seal(data []byte, b bound) ([]byte, error) {
	head := make([]byte, headSize)
	head[0] = sealFormat
	copy(head[1:], s.keys[0].id)
	rand.Read(head[1+idSize:]) // never fails
	gcm, err := s.keys[0].gcm(head)
	if err != nil {
		return nil, err
	}
	return append(head, gcm.Seal(nil, nil, data, b.bytes(head))...), nil //nolint:gosec // the nonce is random, made by NewGCMWithRandomNonce, which takes none
}

func (s *Seal) open(envelope []byte, b bound) ([]byte, error) {
	if len(envelope) < headSize || envelope[0] != sealFormat {
		return nil, ErrSealed
	}
	head := envelope[:headSize]
	for _, k := range s.keys {
		if k.id != string(head[1:1+idSize]) {
			continue
		}
		gcm, err := k.gcm(head)
		if err != nil {
			return nil, err
		}
		if data, err := gcm.Open(nil, nil, envelope[headSize:], b.bytes(head)); err == nil {
			return data, nil
		}
	}
	return nil, ErrSealed
}

// gcm is the cipher for one envelope: its nonce is random and comes before the sealed data.
func (k sealKey) gcm(head []byte) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, k.secret, head[1+idSize:], "andiron seal record", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
