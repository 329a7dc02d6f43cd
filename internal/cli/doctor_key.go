package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/andironhq/andiron/smart"
)

// credentials looks at what the app signs in with: its key and where that is published, or its
// secret. True means that a sign-in can be tried.
func (d *examination) credentials() bool {
	switch {
	case d.c.ClientID == "":
		d.certain("client", "client-id-missing", d.c.title()+" has no client id (client_id)", d.setFix("client_id", "ID")...)
		return false
	case d.c.Key.text == "" && d.c.Launch != launchBackend:
		if d.c.Secret.text == "" {
			d.add("client", stepOK, "a public app: neither key nor secret")
			return true
		}
		if _, err := d.a.readSecret(d.ctx, d.c.Secret); err != nil {
			d.fail("client", "secret-missing", err)
			return false
		}
		d.add("client", stepOK, "the secret can be read")
		return true
	}
	key, err := d.a.privateKey(d.ctx, d.c)
	if err != nil {
		d.fail("key", "key-missing", err)
		return false
	}
	d.auth = &smart.Backend{
		Base: d.c.FHIR, ClientID: d.c.ClientID, Key: key, TokenURL: d.c.TokenURL, Scope: d.c.Scope, Tries: 2, Now: d.a.now,
	}
	defer d.ownAssertion(key)
	if d.c.JWKS == "" {
		static := smart.Lint{Key: key, Static: d.isEpic(), Now: d.a.now()}
		d.judge("key", static.Findings(), key, jwtParts{kid: key.ID()})
		d.add("key", stepOK, fmt.Sprintf("%s, kid %s (no jwks is configured to compare it with)", key.Algorithm(), key.ID()))
		return true
	}
	d.fetchSet()
	before := len(d.steps)
	d.judgeKey(key)
	if len(d.steps) == before {
		d.add("key", stepOK, fmt.Sprintf("%s, kid %s is in the published key set", key.Algorithm(), key.ID()))
	}
	return true
}

// ownAssertion holds what this connection would sign against every rule. It is sent nowhere.
func (d *examination) ownAssertion(key *smart.Key) {
	if d.tokenURL() == "" {
		return
	}
	lint := smart.Lint{ClientID: d.c.ClientID, Audience: d.tokenURL(), Key: key, Now: d.a.now()}
	if d.conf != nil {
		lint.Algorithms = d.conf.SigningAlgorithms
	}
	now := d.a.now
	if d.skewed() { // the sign-in goes by the server's clock then
		lint.ServerTime = d.conf.Date
		now = func() time.Time { return d.conf.Date }
	}
	var err error
	if lint.Assertion, err = (smart.Assertion{Key: key, ClientID: d.c.ClientID, Audience: d.tokenURL(), Now: now}).Sign(); err != nil {
		d.fail("assertion", "key-missing", err)
		return
	}
	before := len(d.steps)
	d.judge("assertion", lint.Findings(), key, jwtParts{kid: key.ID()})
	if len(d.steps) == before {
		d.add("assertion", stepOK, "what the connection signs keeps every rule")
	}
}

func (d *examination) fetchSet() {
	if d.c.JWKS != "" {
		d.set, d.setErr = smart.FetchKeySet(d.ctx, nil, d.a.now, d.c.JWKS)
	}
}

// judgeKey holds the connection's key against the published set by every rule of its own.
func (d *examination) judgeKey(key *smart.Key, others ...*smart.Key) {
	lint := smart.Lint{Key: key, Others: others, KeySetURL: d.c.JWKS, Published: d.set, PublishedErr: d.setErr, Now: d.a.now()}
	if d.conf != nil {
		lint.Algorithms = d.conf.SigningAlgorithms
	}
	d.judge("key", lint.Findings(), key, jwtParts{kid: key.ID()})
}

// judge makes steps and causes out of findings.
func (d *examination) judge(check string, findings []smart.Finding, key *smart.Key, jwt jwtParts) (failed bool) {
	for _, f := range findings {
		if f.Severity != smart.SeverityError && f.Severity != smart.SeverityWarning || f.Rule == "W5" {
			continue
		}
		id, fix := d.causeOf(f, key, jwt)
		if f.Severity == smart.SeverityWarning {
			if f.Rule == "W2" && strings.Contains(f.Text, "jku") { // optional, and rarely sent
				continue
			}
			d.warn(check, id, f.Text, fix...)
			d.steps[len(d.steps)-1].Rule = f.Rule
			continue
		}
		failed, d.quiet = true, true
		s := d.certain(check, id, f.Text, fix...)
		s.Rule = f.Rule
	}
	return failed
}

// causeOf is the cause that a finding of the linter speaks of, and what mends it.
func (d *examination) causeOf(f smart.Finding, key *smart.Key, jwt jwtParts) (id string, fix []string) {
	foreign := jwt.raw != ""
	set := func(part, name, value string) []string {
		if !foreign {
			return nil
		}
		return []string{"in the program that signs, set " + part + " " + name + " to " + value}
	}
	published := d.publishedIDs()
	switch f.Rule {
	case "L1":
		switch {
		case foreign && jwt.header == nil:
			return "not-a-jwt", nil
		case strings.HasPrefix(f.Text, "typ"):
			return "typ-wrong", set("header", "typ", `"JWT"`)
		}
		return "alg-wrong", set("header", "alg", d.wantedAlg())
	case "L2":
		switch {
		case jwt.kid == "":
			return "kid-missing", set("header", "kid", orText(published, `the "kid" of the published key`))
		case strings.Contains(f.Text, "matches") || strings.HasPrefix(f.Text, "several"):
			return "kid-ambiguous", d.publishFix()
		case foreign:
			if key == nil && len(published) == 1 && d.verifiesWith(jwt, published[0]) {
				return "kid-wrong", set("header", "kid", fmt.Sprintf("%q", published[0]))
			}
			if other := d.publishedAs(key); other != "" {
				return "kid-wrong", set("header", "kid", fmt.Sprintf("%q", other))
			}
			return "key-unpublished", d.publishFix()
		}
		if other := d.publishedAs(key); other != "" {
			return "kid-wrong", d.setFix("kid", other)
		}
		return "key-unpublished", d.unpublishedFix()
	case "L3":
		switch {
		case strings.Contains(f.Text, "private"):
			return "private-key-published", d.publishFix()
		case strings.Contains(f.Text, "bits"):
			return "key-weak", []string{"andiron keys new key.pem"}
		}
		return "key-differs", d.unpublishedFix()
	case "L4":
		switch {
		case strings.Contains(f.Text, "not https"):
			return "jwks-insecure", nil
		case strings.Contains(f.Text, "no JWK Set"), strings.Contains(f.Text, "JSON belongs"):
			return "jwks-invalid", d.publishFix()
		}
		return "jwks-unreachable", d.serveFix()
	case "L5":
		return "jku-wrong", set("header", "jku", fmt.Sprintf("%q", d.c.JWKS))
	case "L6":
		return "issuer-wrong", append(set("claim", "iss", fmt.Sprintf("%q", d.c.ClientID)), set("claim", "sub", fmt.Sprintf("%q", d.c.ClientID))...)
	case "L7":
		return "audience-wrong", set("claim", "aud", fmt.Sprintf("%q", d.tokenURL()))
	case "L8", "L9":
		times := append(set("claim", "iat", "now - 20"), set("claim", "nbf", "now - 20")...)
		times = append(times, set("claim", "exp", "now + 240")...)
		switch {
		case strings.Contains(f.Text, "missing"):
			return "expiry-missing", set("claim", "exp", "now + 240")
		case strings.Contains(f.Text, "past"):
			return "assertion-expired", times
		case strings.Contains(f.Text, "future"):
			if foreign && d.skewed() {
				return "clock-ahead", d.clockFix()
			}
			return "clock-ahead", append(times, "set the clock of the machine that signs")
		}
		return "lifetime-too-long", times
	case "L10":
		if strings.Contains(f.Text, "before") {
			return "jti-replayed", set("claim", "jti", "a new random text")
		}
		return "jti-wrong", set("claim", "jti", "a new random text")
	case "W1":
		return "expiry-near-limit", set("claim", "exp", "now + 240")
	case "W3":
		return "key-uploaded", nil
	case "W4":
		if strings.Contains(f.Text, "not published yet") {
			return "key-next-unpublished", nil
		}
		return "key-set-cached-long", nil
	case "W6":
		return "audience-proxied", d.setFix("token_url", "")
	}
	return "members-missing", nil
}

func orText(ids []string, text string) string {
	if len(ids) == 1 {
		return fmt.Sprintf("%q", ids[0])
	}
	return text
}

// wantedAlg is what the published key signs.
func (d *examination) wantedAlg() string {
	for _, k := range d.publishedKeys() {
		if k.Algorithm != "" {
			return fmt.Sprintf("%q", k.Algorithm)
		}
	}
	return `"RS384", or "ES384" for a key on P-384`
}

func (d *examination) publishedKeys() []smart.JWK {
	var set smart.KeySet
	if d.set != nil {
		_ = json.Unmarshal(d.set.Body, &set)
	}
	return set.Keys
}

func (d *examination) publishedIDs() []string {
	var ids []string
	for _, k := range d.publishedKeys() {
		ids = append(ids, plain(k.KeyID))
	}
	return ids
}

// publishedAs is the id under which the key is published, "" when it is not.
func (d *examination) publishedAs(key *smart.Key) string {
	if key == nil {
		return ""
	}
	mine := key.Public()
	i := slices.IndexFunc(d.publishedKeys(), func(k smart.JWK) bool { return k.N == mine.N && k.E == mine.E && k.X == mine.X && k.Y == mine.Y })
	if i < 0 {
		return ""
	}
	return plain(d.publishedKeys()[i].KeyID)
}

// verifiesWith reports whether a foreign assertion was signed with the published key of that id: the
// linter finds no fault in L3 when the assertion's own kid is left out of account.
func (d *examination) verifiesWith(jwt jwtParts, id string) bool {
	return jwt.verifies(d.publishedKeys(), id)
}

// unpublishedFix is what mends a key that is not published: the running dev's own key, or publishing.
func (d *examination) unpublishedFix() []string {
	if r := d.a.runningDev(); r != nil && r.FHIR == d.c.FHIR && r.JWKS == d.c.JWKS {
		return d.setFix("key", r.Key)
	}
	return d.publishFix()
}

// keyWord is the key as an argument of keys commands; "" where it cannot be said.
func (d *examination) keyWord() string {
	if path := d.c.Key.path(); path != "" {
		return " " + shellQuote(path)
	}
	if strings.HasPrefix(d.c.Key.text, "env:") {
		return " " + d.c.Key.text
	}
	return ""
}

func (d *examination) publishFix() []string {
	if word := d.keyWord(); word != "" {
		return []string{"andiron keys publish jwks.json" + word + "   # then put jwks.json where the URL leads"}
	}
	return nil
}

func (d *examination) serveFix() []string {
	if listen, ok := loopbackAddress(d.c.JWKS); ok && d.keyWord() != "" {
		return []string{"andiron keys serve" + d.keyWord() + " --listen " + listen}
	}
	return d.publishFix()
}
