package smart

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Severity is how bad a [Finding] is.
type Severity string

// The severities.
const (
	SeverityOK      Severity = "ok"      // looked at and right
	SeverityWarning Severity = "warning" // works now, may not always
	SeverityError   Severity = "error"   // a server refuses this
	SeverityUnknown Severity = "unknown" // could not be looked at
)

// Finding is what one rule found. Its text holds no token and no key.
type Finding struct {
	// Rule is L1 to L10 or W1 to W6 of an assertion and its keys: typ and alg (L1), kid (L2),
	// the published key (L3), how it is published (L4), jku (L5), iss and sub (L6), aud (L7),
	// exp (L8), iat and nbf (L9), jti (L10); exp too near its limit (W1), members that help
	// (W2), kinds of keys that fail at some servers (W3), Cache-Control and keys that are not
	// published yet (W4), clocks (W5), a proxy before the token endpoint (W6). S1 to S13 are
	// about scopes, see [ScopeLint].
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	// Text says what was found, in one line.
	Text string `json:"text"`
	// Instead is what to write in place of what was found; "" where that is not known.
	Instead string `json:"instead,omitempty"`
}

// Lint checks from here what a server checks of an assertion, and tells nobody. What is not given is
// not checked.
//
// Servers answer a refused assertion with a bare invalid_client; this says what it was not, and
// often what it was.
type Lint struct {
	// Assertion is the JWT. Without it only the key and its publication are checked.
	Assertion Secret
	// ClientID is what iss and sub must be.
	ClientID string
	// Audience is what aud must be: the token endpoint's URL.
	Audience string
	// Algorithms are those that the server announces. Empty: any of the usual ones.
	Algorithms []string
	// Key is the signing key.
	Key *Key
	// KeySetURL is the registered URL of the published keys; jku must equal it.
	KeySetURL string
	// Published is what lies at that URL, and PublishedErr why it could not be fetched; see
	// [FetchKeySet]. Both nil: not looked at.
	Published    *PublishedSet
	PublishedErr error
	// Others are further keys of a rotation that must be published beside Key.
	Others []*Key
	// Static says that the server knows the key itself and not the URL of a set: nothing is
	// published, and Epic then takes RSA alone.
	Static bool
	// Dynamic says that the key is one of a dynamically registered client.
	Dynamic bool
	// TokenURL is where the assertion is sent, if that is not Audience.
	TokenURL string
	// Now is the time by our clock. Zero means time.Now.
	Now time.Time
	// ServerTime is the server's Date header. Zero: times are judged by Now.
	ServerTime time.Time
	// UsedIDs reports whether a jti was used before. Nil: not looked at.
	UsedIDs func(jti string) bool
}

const (
	lintLifetime = 300 * time.Second // SMART App Launch: exp at most five minutes ahead
	lintMaxID    = 151               // the shortest limit known, Epic's
	lintMaxAge   = 29 * time.Hour    // the longest that a server is known to keep a set, Epic's
	lintSkew     = 5 * time.Second
)

// Findings runs all rules, in their order.
func (l Lint) Findings() []Finding {
	if l.Now.IsZero() {
		l.Now = time.Now()
	}
	r := &report{}
	kid := ""
	if l.Key != nil {
		kid = l.Key.ID()
	}
	if !l.Assertion.IsZero() {
		header, claims, err := openAssertion(l.Assertion)
		if err != nil {
			r.fail("L1", "the assertion is no JWT")
			return r.found
		}
		kid, _ = header["kid"].(string)
		l.header(r, header)
		l.published(r, kid)
		l.identity(r, claims)
		l.times(r, claims)
		l.id(r, claims)
	} else {
		l.published(r, kid)
	}
	l.key(r)
	l.proxy(r)
	if !l.ServerTime.IsZero() {
		if d := l.ServerTime.Sub(l.Now); d.Abs() > lintSkew+time.Second { // Date has whole seconds
			r.warn("W5", "the server's clock is "+against(d))
		} else {
			r.ok("W5", "our clock and the server's agree")
		}
	}
	return r.found
}

type report struct{ found []Finding }

func (r *report) add(rule string, s Severity, text string) {
	r.found = append(r.found, Finding{Rule: rule, Severity: s, Text: text})
}
func (r *report) ok(rule, text string)      { r.add(rule, SeverityOK, text) }
func (r *report) warn(rule, text string)    { r.add(rule, SeverityWarning, text) }
func (r *report) fail(rule, text string)    { r.add(rule, SeverityError, text) }
func (r *report) unknown(rule, text string) { r.add(rule, SeverityUnknown, text) }

// usualAlgorithms are those of SMART and Epic.
var usualAlgorithms = []string{RS384, ES384, "RS256", "RS512", "ES256"}

func (l Lint) header(r *report, header map[string]any) {
	alg, _ := header["alg"].(string)
	typ, _ := header["typ"].(string)
	allowed := l.Algorithms
	if len(allowed) == 0 {
		allowed = usualAlgorithms
	}
	switch {
	case !slices.Contains(usualAlgorithms, alg):
		r.fail("L1", "alg is "+quote(alg)+", must be "+RS384+" or "+ES384)
	case !slices.Contains(allowed, alg):
		r.fail("L1", "alg is "+alg+", the server announces "+strings.Join(allowed, ", "))
	case typ != "JWT":
		r.fail("L1", "typ is "+quote(typ)+`, must be "JWT"`)
	case l.Key != nil && alg != l.Key.Algorithm():
		r.fail("L1", "alg is "+alg+", the key is for "+l.Key.Algorithm())
	default:
		r.ok("L1", "signed "+alg+", typ JWT")
	}
	if jku, given := header["jku"]; given {
		if l.KeySetURL != "" && jku != l.KeySetURL {
			r.fail("L5", "jku is not the registered key set URL")
		}
	} else if l.KeySetURL != "" {
		r.warn("W2", "no jku, though a key set URL is registered")
	}
}

func (l Lint) identity(r *report, claims map[string]any) {
	iss, _ := claims["iss"].(string)
	sub, _ := claims["sub"].(string)
	switch {
	case iss == "" || sub == "":
		r.fail("L6", "iss or sub is missing")
	case iss != sub:
		r.fail("L6", "iss and sub differ")
	case l.ClientID != "" && iss != l.ClientID:
		r.fail("L6", "iss and sub are not the client id")
	case l.ClientID != "":
		r.ok("L6", "iss and sub are the client id")
	}
	aud, isText := claims["aud"].(string)
	switch {
	case claims["aud"] == nil:
		r.fail("L7", "aud is missing")
	case !isText:
		r.fail("L7", "aud is a list, must be one string")
	case l.Audience == "":
	case aud == l.Audience:
		r.ok("L7", "aud is the token endpoint")
	case strings.TrimSuffix(aud, "/") == strings.TrimSuffix(l.Audience, "/"):
		r.fail("L7", "aud and the token endpoint differ by a trailing slash")
	default:
		what := "another URL"
		a, err1 := url.Parse(aud)
		b, err2 := url.Parse(l.Audience)
		if err1 == nil && err2 == nil && originOf(a) != originOf(b) {
			what = "on another host, port or scheme"
		}
		r.fail("L7", "aud is "+what+", must be the token endpoint")
	}
}

func (l Lint) times(r *report, claims map[string]any) {
	now := l.Now
	clock := "our"
	if !l.ServerTime.IsZero() {
		now, clock = l.ServerTime, "the server's"
	}
	exp, given := when(claims, "exp")
	left := exp.Sub(now)
	switch {
	case !given:
		r.fail("L8", "exp is missing")
		return
	case left <= 0:
		r.fail("L8", fmt.Sprintf("exp is %s in the past by %s clock", short(-left), clock))
	case left > lintLifetime:
		r.fail("L8", fmt.Sprintf("exp is %s ahead by %s clock, may be %s", short(left), clock, short(lintLifetime)))
	default:
		r.ok("L8", fmt.Sprintf("expires in %s by %s clock", short(left), clock))
		if left > lintLifetime-lintSkew {
			r.warn("W1", "exp is so near to its limit that a small difference of clocks breaks it; four minutes are safe")
		}
	}
	good := true
	for _, name := range []string{"iat", "nbf"} {
		t, given := when(claims, name)
		switch {
		case !given:
			r.warn("W2", "no "+name)
		case t.After(now):
			good = false
			r.fail("L9", fmt.Sprintf("%s is %s in the future by %s clock", name, short(t.Sub(now)), clock))
		case exp.Sub(t) > lintLifetime:
			good = false
			r.fail("L9", fmt.Sprintf("exp is %s after %s, may be %s", short(exp.Sub(t)), name, short(lintLifetime)))
		}
	}
	if good {
		r.ok("L9", "iat and nbf lie in the past")
	}
}

func (l Lint) id(r *report, claims map[string]any) {
	jti, isText := claims["jti"].(string)
	switch {
	case claims["jti"] == nil || isText && jti == "":
		r.fail("L10", "jti is missing")
	case !isText:
		r.fail("L10", "jti is not a string")
	case len(jti) > lintMaxID:
		r.fail("L10", fmt.Sprintf("jti has %d characters, may have %d", len(jti), lintMaxID))
	case l.UsedIDs != nil && l.UsedIDs(jti):
		r.fail("L10", "jti was used before")
	default:
		r.ok("L10", "jti has a good form")
	}
}

// key judges the signing key by itself.
func (l Lint) key(r *report) {
	if l.Key == nil || l.Key.signer == nil {
		return
	}
	switch p := l.Key.signer.Public().(type) {
	case *rsa.PublicKey:
		if p.N.BitLen() < minRSABits {
			r.fail("L3", fmt.Sprintf("the RSA key has %d bits, must have %d", p.N.BitLen(), minRSABits))
		} else {
			r.ok("L3", fmt.Sprintf("the key is RSA with %d bits", p.N.BitLen()))
		}
		if l.Dynamic && p.N.BitLen() > minRSABits {
			r.warn("W3", fmt.Sprintf("the RSA key has %d bits: for dynamic clients of Epic more than %d are reported to fail", p.N.BitLen(), minRSABits))
		}
	case *ecdsa.PublicKey:
		r.ok("L3", "the key is "+p.Curve.Params().Name)
		if l.Static {
			r.warn("W3", "Epic takes "+l.Key.Algorithm()+" only from clients with a key set URL")
		}
	}
}

// proxy warns where the token endpoint is reached under another name than the server's own.
func (l Lint) proxy(r *report) {
	if l.TokenURL == "" || l.Audience == "" || l.TokenURL == l.Audience {
		return
	}
	sent, err1 := url.Parse(l.TokenURL)
	own, err2 := url.Parse(l.Audience)
	what := "another URL than its audience"
	if err1 == nil && err2 == nil && originOf(sent) != originOf(own) {
		what = "another host, port or scheme than its audience names"
	}
	r.warn("W6", "the assertion is sent to "+what+": behind a proxy the server may expect the other one")
}

// published judges the key set that the server will read.
func (l Lint) published(r *report, kid string) {
	if !l.Assertion.IsZero() && kid == "" {
		r.fail("L2", "kid is missing")
	}
	if l.KeySetURL != "" {
		if u, err := url.Parse(l.KeySetURL); err != nil || secure(u, false) != nil {
			r.fail("L4", "the key set URL is not https")
		}
	}
	if l.PublishedErr != nil {
		text := "the key set cannot be fetched"
		if e, ok := errors.AsType[*Error](l.PublishedErr); ok {
			switch {
			case e.Err != nil:
				text += ": " + e.Err.Error()
			case e.Status != 0:
				text += fmt.Sprintf(": status %d", e.Status)
			}
		}
		r.fail("L4", text)
	}
	if l.Published == nil {
		if l.PublishedErr == nil && l.KeySetURL == "" && kid != "" {
			r.unknown("L2", "whether kid "+quote(kid)+" is in the key set that the server reads")
		}
		return
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(l.Published.Body, &set) != nil || set.Keys == nil {
		r.fail("L4", "what is published is no JWK Set")
		return
	}
	found := readPublished(set.Keys)
	l.set(r, found, kid)
	matches := found.withID(kid)
	switch {
	case kid == "":
	case len(matches) == 0:
		r.fail("L2", "kid "+quote(kid)+" is not in the published key set, which has "+orNothing(found.ids()))
	case len(matches) > 1:
		r.fail("L2", fmt.Sprintf("kid %s matches %d published keys, must match one", quote(kid), len(matches)))
	default:
		r.ok("L2", "kid "+quote(kid)+" is in the published key set")
		l.sameKey(r, matches[0].raw)
	}
	l.Published.lint(r)
}

// sameKey looks whether the published key is the one that signed.
func (l Lint) sameKey(r *report, raw json.RawMessage) {
	var jwk jose.JSONWebKey
	if json.Unmarshal(raw, &jwk) != nil || !jwk.Valid() {
		r.fail("L3", "the published key cannot be read")
		return
	}
	public := jwk.Public()
	same := true
	if l.Key != nil && l.Key.signer != nil {
		same = thumbprint(public.Key) == l.Key.Thumbprint()
	}
	if same && !l.Assertion.IsZero() {
		if alg, err := assertionAlgorithm(l.Assertion); err == nil {
			jws, err := jose.ParseSignedCompact(l.Assertion.Reveal(), []jose.SignatureAlgorithm{alg})
			if err == nil {
				_, err = jws.Verify(public)
			}
			same = err == nil
		}
	}
	if same {
		r.ok("L3", "the published key is the one that signs")
	} else {
		r.fail("L3", "the published key with this kid is another one than the one that signs")
	}
}

func assertionAlgorithm(assertion Secret) (jose.SignatureAlgorithm, error) {
	header, _, err := openAssertion(assertion)
	if err != nil {
		return "", err
	}
	alg, _ := header["alg"].(string)
	if !slices.Contains(usualAlgorithms, alg) {
		return "", errors.New("unusual algorithm")
	}
	return jose.SignatureAlgorithm(alg), nil
}

// openAssertion reads header and claims and verifies nothing.
func openAssertion(s Secret) (header, claims map[string]any, err error) {
	parts := strings.Split(s.Reveal(), ".")
	if len(parts) != 3 {
		return nil, nil, errors.New("not three parts")
	}
	for i, to := range []*map[string]any{&header, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, nil, errors.New("not base64url")
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if err := d.Decode(to); err != nil {
			return nil, nil, errors.New("not JSON")
		}
	}
	return header, claims, nil
}

func when(claims map[string]any, name string) (time.Time, bool) {
	n, ok := claims[name].(json.Number)
	if !ok {
		return time.Time{}, false
	}
	f, err := n.Float64()
	if err != nil || f < 0 || f > 1e11 {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0), true
}

func short(d time.Duration) string { return d.Round(time.Second).String() }

func against(d time.Duration) string {
	if d < 0 {
		return short(-d) + " behind ours"
	}
	return short(d) + " ahead of ours"
}

// quote shows an id of somebody else's making: short and printable.
func quote(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	return fmt.Sprintf("%q", s)
}

func orNothing(ids []string) string {
	if len(ids) == 0 {
		return "no key"
	}
	if len(ids) > 8 {
		ids = append(slices.Clone(ids[:8]), "…")
	}
	return strings.Join(ids, ", ")
}
