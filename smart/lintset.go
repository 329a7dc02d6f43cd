package smart

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// publishedKey is one entry of a published set as a server reads it.
type publishedKey struct {
	raw                json.RawMessage
	id, kind, alg, use string
	private            bool
	jwk                *jose.JSONWebKey // nil: not readable
}

type publishedKeys []publishedKey

func readPublished(raw []json.RawMessage) publishedKeys {
	var out publishedKeys
	for _, one := range raw {
		var m map[string]any
		if json.Unmarshal(one, &m) != nil {
			continue
		}
		k := publishedKey{raw: one}
		k.id, _ = m["kid"].(string)
		k.kind, _ = m["kty"].(string)
		k.alg, _ = m["alg"].(string)
		k.use, _ = m["use"].(string)
		for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, leaked := m[name]; leaked {
				k.private = true
			}
		}
		var jwk jose.JSONWebKey
		if json.Unmarshal(one, &jwk) == nil && jwk.Valid() {
			public := jwk.Public()
			k.jwk = &public
		}
		out = append(out, k)
	}
	return out
}

func (p publishedKeys) withID(id string) publishedKeys {
	var out publishedKeys
	for _, k := range p {
		if k.id == id && id != "" {
			out = append(out, k)
		}
	}
	return out
}

func (p publishedKeys) ids() []string {
	var out []string
	for _, k := range p {
		out = append(out, quote(k.id))
	}
	return out
}

// fits are the algorithms of a kind of key.
var fits = map[string][]string{"RSA": {RS384, "RS256", "RS512"}, "EC": {ES384, "ES256"}}

// set judges the published set as a whole, and the keys of a rotation in it. A server that finds a fault
// in one key may refuse the whole set.
func (l Lint) set(r *report, found publishedKeys, kid string) {
	counted := map[string]int{}
	for _, k := range found {
		counted[k.id]++
		name := "published key " + quote(k.id)
		if k.private {
			r.fail("L3", "a published key has private members: it must never be used again")
		}
		switch {
		case k.id == "":
			r.warn("L2", "a published key has no kid: no assertion can name it")
		case counted[k.id] == 2 && k.id != kid: // the signing key's own count follows
			r.fail("L2", "several published keys have kid "+quote(k.id))
		}
		if k.use != "" && k.use != "sig" {
			r.fail("L3", name+" has use "+quote(k.use)+`, must be "sig"`)
		}
		switch {
		case k.alg == "" && k.id == kid:
			r.warn("W2", "the published key has no alg")
		case k.alg != "" && fits[k.kind] != nil && !slices.Contains(fits[k.kind], k.alg):
			r.fail("L1", name+" has alg "+quote(k.alg)+", which does not fit its kty "+quote(k.kind))
		case k.alg != "" && l.Key != nil && k.id == l.Key.ID() && k.alg != l.Key.Algorithm():
			r.fail("L1", name+" has alg "+quote(k.alg)+", the key signs "+l.Key.Algorithm())
		}
		if k.jwk == nil {
			if k.id != kid {
				r.warn("L3", name+" cannot be read")
			}
			continue
		}
		switch p := k.jwk.Key.(type) {
		case *rsa.PublicKey:
			if p.N.BitLen() < minRSABits {
				r.fail("L3", fmt.Sprintf("%s is RSA with %d bits, must have %d", name, p.N.BitLen(), minRSABits))
			}
		case *ecdsa.PublicKey:
			if k.alg == ES384 && p.Curve.Params().BitSize != 384 || k.alg == "ES256" && p.Curve.Params().BitSize != 256 {
				r.fail("L1", name+" has alg "+k.alg+" and curve "+p.Curve.Params().Name)
			}
		}
		if l.Key != nil && l.Key.signer != nil && k.id != l.Key.ID() && thumbprint(k.jwk.Key) == l.Key.Thumbprint() {
			r.fail("L2", "the signing key is published under kid "+quote(k.id)+" and signs as "+quote(l.Key.ID()))
		}
	}
	for _, o := range l.Others {
		if o == nil || o.signer == nil || l.Key != nil && o.ID() == l.Key.ID() {
			continue
		}
		matches := found.withID(o.ID())
		switch {
		case len(matches) == 0:
			r.warn("W4", "kid "+quote(o.ID())+" is not published yet: it cannot take over")
		case len(matches) == 1 && (matches[0].jwk == nil || thumbprint(matches[0].jwk.Key) != o.Thumbprint()):
			r.fail("L3", "the published key with kid "+quote(o.ID())+" is another one than ours")
		}
	}
}
