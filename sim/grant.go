package sim

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"sync"
	"time"
)

// grant is what one access token stands for.
type grant struct {
	reg     *registration
	expires time.Time
	// patient is the patient in context; empty for backend tokens and for users without one.
	patient string
	// user is the reference of who signed in, such as "Practitioner/e…3"; empty for backend.
	user string
	// scopes are those told in the token answer, scope their spelling there.
	scopes scopeSet
	scope  string
	// family is the sign-in that the token comes from; nil for backend tokens.
	family *family
	// once tells that the token may still register a dynamic client.
	once bool
	// print is a short fingerprint for the log.
	print string

	window  time.Time // of the rate limit
	counted int
}

// family is one sign-in: everything that one authorization code gave ends together.
type family struct {
	reg  *registration
	user string
	// scope is the granted scope in its spelling, scopes the same understood.
	scope  string
	scopes scopeSet
	// launch is the context; ehr tells that it came from a launch token.
	launch Launch
	ehr    bool
	login  string // of the user
	state  string // of the authorization request
	base   string // FHIR base of the authorization request
	// ends is the absolute end of refreshing, span its distance from the sign-in; zero without a
	// refresh token.
	ends time.Time
	span time.Duration
	// ended is set, under the lock of the tokens, when the sign-in is over.
	ended bool
	// first is the sign-in of which this is a narrower copy.
	first *family
}

// narrower is the sign-in as one of its tokens sees it: for another client or with fewer scopes.
func (f *family) narrower(reg *registration, scope string) *family {
	return &family{
		reg: reg, user: f.user, scope: scope, scopes: parseScopes(scope), launch: f.launch, ehr: f.ehr,
		login: f.login, state: f.state, base: f.base, first: f.root(),
	}
}

// root is the sign-in itself.
func (f *family) root() *family {
	if f.first != nil {
		return f.first
	}
	return f
}

type tokens struct {
	mu   sync.Mutex
	byID map[[32]byte]*grant
	key  *ecdsa.PrivateKey
}

// authState is what the authorization server remembers between requests.
type authState struct {
	mu       sync.Mutex
	launches vault[*ticket]
	pending  vault[*request]
	codes    vault[*code]
	refresh  vault[*refreshToken]
	dynamic  vault[*registration]
}

func (a *authState) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.launches.byID, a.pending.byID, a.codes.byID, a.refresh.byID, a.dynamic.byID = nil, nil, nil, nil, nil
}

// vaultMax is how many things of one kind are remembered at once.
const vaultMax = 20_000

// vault keeps things under the hash of a secret until they expire, and at most vaultMax of them:
// then the next to expire goes. Its owner's lock guards it.
type vault[T any] struct {
	byID map[[32]byte]kept[T]
}

type kept[T any] struct {
	is    T
	until time.Time
}

func (v *vault[T]) put(secret string, is T, until, now time.Time) {
	if v.byID == nil {
		v.byID = map[[32]byte]kept[T]{}
	}
	if len(v.byID) >= vaultMax {
		v.sweep(now)
	}
	v.byID[sha256.Sum256([]byte(secret))] = kept[T]{is, until}
}

// sweep makes room: what has expired goes, and if that is nothing, the eighth that expires first.
func (v *vault[T]) sweep(now time.Time) {
	for id, k := range v.byID {
		if !now.Before(k.until) {
			delete(v.byID, id)
		}
	}
	if len(v.byID) < vaultMax {
		return
	}
	ends := make([]time.Time, 0, len(v.byID))
	for _, k := range v.byID {
		ends = append(ends, k.until)
	}
	slices.SortFunc(ends, time.Time.Compare)
	last := ends[len(ends)/8]
	for id, k := range v.byID {
		if !k.until.After(last) {
			delete(v.byID, id)
		}
	}
}

func (v *vault[T]) get(secret string, now time.Time) (T, bool) {
	k, ok := v.byID[sha256.Sum256([]byte(secret))]
	if !ok || !now.Before(k.until) {
		var none T
		return none, false
	}
	return k.is, true
}

func (v *vault[T]) drop(secret string) { delete(v.byID, sha256.Sum256([]byte(secret))) }

func (v *vault[T]) dropIf(gone func(T) bool) {
	for id, k := range v.byID {
		if gone(k.is) {
			delete(v.byID, id)
		}
	}
}

// issueIn makes an access token within a sign-in, unless that has been ended.
func (s *Server) issueIn(g *grant) (string, bool) {
	token := s.issue(g)
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	if g.family.root().ended {
		delete(s.tokens.byID, sha256.Sum256([]byte(token)))
		return "", false
	}
	return token, true
}

// issue makes the access token of a grant, whose reg and scope are set. It is known by its hash, so
// neither memory nor log holds it.
func (s *Server) issue(g *grant) string {
	now := s.clock.now()
	var token string
	if s.knobs.AccessToken == "opaque" {
		token = base64.RawURLEncoding.EncodeToString(s.random.bytes(48))
	} else {
		token = s.jwt(g, now)
	}
	sum := sha256.Sum256([]byte(token))
	g.expires, g.print = now.Add(s.knobs.TokenLife), hex.EncodeToString(sum[:4])
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	if s.tokens.byID == nil {
		s.tokens.byID = map[[32]byte]*grant{}
	}
	if len(s.tokens.byID) > 10_000 {
		for id, g := range s.tokens.byID {
			if !now.Before(g.expires) {
				delete(s.tokens.byID, id)
			}
		}
	}
	s.tokens.byID[sum] = g
	return token
}

// Revoke ends all that the client was given, or all clients if clientID is empty, as a customer's
// administrator can: access tokens, refresh tokens, unused codes and dynamic clients. The client
// stays registered and may sign in anew. It returns how many access tokens there were.
func (s *Server) Revoke(clientID string) int {
	s.setup()
	is := func(id string) bool { return clientID == "" || id == clientID }
	families := map[*family]bool{}
	s.auth.mu.Lock()
	s.auth.codes.dropIf(func(c *code) bool {
		if is(c.reg.ClientID) {
			families[c.family.root()] = true
		}
		return is(c.reg.ClientID)
	})
	s.auth.refresh.dropIf(func(t *refreshToken) bool {
		if is(t.family.reg.ClientID) {
			families[t.family.root()] = true
		}
		return is(t.family.reg.ClientID)
	})
	s.auth.dynamic.dropIf(func(d *registration) bool { return is(d.ClientID) || is(d.family.root().reg.ClientID) })
	s.auth.mu.Unlock()
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	for f := range families {
		f.ended = true
	}
	n := 0
	for id, g := range s.tokens.byID {
		if is(g.reg.ClientID) || g.family != nil && is(g.family.root().reg.ClientID) {
			if g.family != nil {
				g.family.root().ended = true
			}
			delete(s.tokens.byID, id)
			n++
		}
	}
	return n
}
