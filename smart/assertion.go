package smart

import (
	"encoding/base64"
	"errors"
	"io"
	"time"

	cryptorand "crypto/rand"

	"github.com/go-jose/go-jose/v4"
)

// Assertion is the signed statement with which a client authenticates (RFC 7523; SMART App Launch,
// "Client Authentication: Asymmetric"). Each request needs a fresh one, retries included.
//
// Key, ClientID and Audience must be set.
type Assertion struct {
	// Key signs; its id becomes the kid.
	Key *Key
	// ClientID becomes iss and sub.
	ClientID string
	// Audience becomes aud: the token endpoint's URL exactly as it was discovered. It is sent
	// as a string, never as a list.
	Audience string
	// JKU is the URL of the published key set, if it shall be named in the header. It must be
	// the registered one.
	JKU string
	// Now is the time of the server. Nil means time.Now.
	Now func() time.Time
	// Rand is the source of jti. Nil means crypto/rand.
	Rand io.Reader
}

// Servers refuse an assertion whose exp lies more than five minutes after their own clock, after
// iat or after nbf, and one whose iat or nbf lies ahead; Epic's OAuth 2.0 Specification documents
// no allowance for clocks. So both ends keep away from the edge: a server whose clock is 60 seconds
// behind ours still finds exp close enough, one that is 20 seconds behind finds iat in its past, one
// that is minutes ahead finds exp in its future, and exp - iat is 260 seconds of the 300.
const (
	assertionBack  = 20 * time.Second  // iat and nbf lie so far back
	assertionAhead = 240 * time.Second // exp lies so far ahead
)

// Sign makes the assertion: iat and nbf twenty seconds ago, exp in four minutes, jti of 128 random
// bits in 22 characters.
func (a Assertion) Sign() (Secret, error) {
	fail := func(err error) (Secret, error) { return Secret{}, &Error{Op: "assertion", Err: err} }
	switch {
	case a.Key == nil:
		return fail(errors.New("no key"))
	case a.ClientID == "":
		return fail(errors.New("no client id"))
	case a.Audience == "":
		return fail(errors.New("no audience"))
	}
	now := time.Now
	if a.Now != nil {
		now = a.Now
	}
	random := a.Rand
	if random == nil {
		random = cryptorand.Reader
	}
	var id [16]byte
	if _, err := io.ReadFull(random, id[:]); err != nil {
		return fail(errors.New("no randomness"))
	}
	at := now()
	claims := struct {
		Issuer    string `json:"iss"`
		Subject   string `json:"sub"`
		Audience  string `json:"aud"`
		ID        string `json:"jti"`
		Expires   int64  `json:"exp"`
		NotBefore int64  `json:"nbf"`
		IssuedAt  int64  `json:"iat"`
	}{
		a.ClientID, a.ClientID, a.Audience, base64.RawURLEncoding.EncodeToString(id[:]),
		at.Add(assertionAhead).Unix(), at.Add(-assertionBack).Unix(), at.Add(-assertionBack).Unix(),
	}
	header := map[jose.HeaderKey]any{}
	if a.JKU != "" {
		header["jku"] = a.JKU
	}
	jws, err := a.Key.sign(claims, header)
	if err != nil {
		return fail(err)
	}
	return NewSecret(jws), nil
}
