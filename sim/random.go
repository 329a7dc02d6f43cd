package sim

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"
	"sync"
)

// random hands out identifiers from one source, one reader at a time.
type random struct {
	mu     sync.Mutex
	source io.Reader
}

func (r *random) bytes(n int) []byte {
	b := make([]byte, n)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := io.ReadFull(r.source, b); err != nil {
		// A source given for a test has run dry; the system's never does.
		_, _ = rand.Read(b)
	}
	return b
}

func (r *random) hex(n int) string { return strings.ToUpper(hex.EncodeToString(r.bytes(n))) }

// uuid returns a random (version 4) UUID.
func (r *random) uuid() string {
	b := r.bytes(16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// opaque returns a secret of 256 bits.
func (r *random) opaque() string { return base64.RawURLEncoding.EncodeToString(r.bytes(32)) }

// id returns an identifier of n characters in Epic's form: e…3.
func (r *random) id(n int) string { return epicID(r.bytes(n), n) }

// epicID spells bytes as an identifier of n characters: letters, digits, dot and hyphen,
// beginning with e and ending in 3.
func epicID(b []byte, n int) string {
	s := base64.RawURLEncoding.EncodeToString(b)
	s = strings.ReplaceAll(s, "_", ".")
	for len(s) < n {
		s += s
	}
	return "e" + s[:n-2] + "3"
}
