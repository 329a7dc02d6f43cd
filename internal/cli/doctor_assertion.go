package cli

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/andironhq/andiron/smart"
)

// jwtParts is a foreign assertion as far as it can be read.
type jwtParts struct {
	raw            string
	header, claims map[string]any
	kid, jti       string
}

func readJWT(raw string) jwtParts {
	p := jwtParts{raw: raw}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return p
	}
	for i, to := range []*map[string]any{&p.header, &p.claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(b, to) != nil {
			return jwtParts{raw: raw}
		}
	}
	p.kid, _ = p.header["kid"].(string)
	p.jti, _ = p.claims["jti"].(string)
	return p
}

// verifies reports whether the signature is that of the published key with the id: the linter is
// shown that key alone, under the id that the assertion names.
func (p jwtParts) verifies(keys []smart.JWK, id string) bool {
	for _, k := range keys {
		if k.KeyID != id || p.kid == "" {
			continue
		}
		k.KeyID = p.kid
		body, err := json.Marshal(smart.KeySet{Keys: []smart.JWK{k}})
		if err != nil {
			continue
		}
		lint := smart.Lint{Assertion: smart.NewSecret(p.raw), Published: &smart.PublishedSet{Body: body}}
		if slices.ContainsFunc(lint.Findings(), func(f smart.Finding) bool { return f.Rule == "L3" && f.Severity == smart.SeverityOK }) {
			return true
		}
	}
	return false
}

// skewed reports whether the server's clock and ours differ by more than a header's rounding.
func (d *examination) skewed() bool {
	return d.conf != nil && !d.conf.Date.IsZero() && d.a.now().Sub(d.conf.Date).Abs() > 6*time.Second
}

// foreign judges assertions that another program made. They are sent nowhere.
func (d *examination) foreign(file string) error {
	var data []byte
	var err error
	if file == "-" {
		data, err = readAll(d.a.in, 1<<20)
	} else {
		var f *os.File
		if f, err = os.Open(file); err == nil {
			data, err = io.ReadAll(io.LimitReader(f, 1<<20))
			_ = f.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("the assertion cannot be read from %s: %w", file, cause(err))
	}
	tokens := strings.Fields(string(data))
	if len(tokens) == 0 {
		return usagef("%s holds no assertion", file)
	}
	if d.c.FHIR != "" {
		d.discovery()
	}
	var key *smart.Key
	if d.c.Key.text != "" {
		if key, err = d.a.privateKey(d.ctx, d.c); err != nil {
			d.fail("key", "key-missing", err)
			key = nil
		}
	}
	d.fetchSet()
	failed := false
	used := map[string]bool{}
	for n, raw := range tokens {
		name := "assertion"
		if len(tokens) > 1 {
			name = fmt.Sprintf("jwt %d", n+1)
		}
		jwt := readJWT(raw)
		lint := smart.Lint{
			Assertion: smart.NewSecret(raw), ClientID: d.c.ClientID, Audience: d.tokenURL(), KeySetURL: d.c.JWKS,
			Published: d.set, PublishedErr: d.setErr, Now: d.a.now(), ServerTime: d.serverTime(),
			UsedIDs: func(jti string) bool { return used[jti] },
		}
		if d.conf != nil {
			lint.Algorithms = d.conf.SigningAlgorithms
		}
		before := len(d.steps)
		bad := d.judge(name, lint.Findings(), key, jwt)
		failed = failed || bad
		used[jwt.jti] = true
		if len(d.steps) == before {
			d.add(name, stepOK, "every rule that can be checked from here is kept")
		}
	}
	if failed {
		return nil
	}
	// Whatever the app itself can do with the same key rules out what both would suffer from.
	proven := false
	if key != nil && d.tokenURL() != "" && d.c.FHIR != "" {
		d.auth = &smart.Backend{Base: d.c.FHIR, ClientID: d.c.ClientID, Key: key, TokenURL: d.c.TokenURL, Tries: 2, Now: d.a.now}
		if _, err := d.auth.Token(d.ctx, d.c.FHIR, ""); err == nil {
			proven = true
			d.add("token", stepOK, "the same client and key sign in from here with a fresh assertion")
		}
	}
	d.found.add("jti-replayed", false, false, "", "in the program that signs, set claim jti to a new random text")
	if !proven {
		d.rankClient()
	}
	return nil
}

func (d *examination) serverTime() time.Time {
	if d.conf != nil {
		return d.conf.Date
	}
	if d.c.TokenURL == "" {
		return time.Time{}
	}
	req, err := http.NewRequestWithContext(d.ctx, http.MethodHead, d.c.TokenURL, nil)
	if err != nil || !safeURL(req.URL) {
		return time.Time{}
	}
	resp, err := quietClient().Do(req)
	if err != nil {
		return time.Time{}
	}
	_ = resp.Body.Close()
	t, _ := http.ParseTime(resp.Header.Get("Date"))
	return t
}

// safeURL is https, or this machine.
func safeURL(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

// quietClient follows no redirect and keeps nothing.
func quietClient() *http.Client {
	return &http.Client{
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// rankClient lists what may stand behind a bare invalid_client, the likelier first.
func (d *examination) rankClient() {
	if d.quiet {
		return
	}
	rank := func(id string, fix ...string) { d.found.add(id, false, false, "", fix...) }
	unknown := func() { rank("client-unknown", d.unknownFix()...) }
	secret := d.c.Secret.text != "" && d.c.Key.text == ""
	switch d.c.Kind {
	case "sim":
		unknown()
		if secret {
			rank("secret-wrong")
		} else {
			rank("jti-replayed")
		}
		rank("key-cached")
	case "sandbox":
		rank("sync-pending")
		rank("environment-wrong")
		unknown()
		rank("key-cached")
		rank("jwks-blocked", d.checkFix()...)
	default:
		rank("app-not-activated")
		rank("sync-pending")
		rank("environment-wrong")
		rank("key-cached")
		rank("jwks-blocked", d.checkFix()...)
		unknown()
		rank("audience-proxied")
	}
	if secret && d.c.Kind != "sim" {
		rank("secret-wrong")
	}
}

func (d *examination) checkFix() []string {
	if d.c.Name == "" || d.c.JWKS == "" {
		return nil
	}
	return []string{"andiron keys check --connection " + d.c.Name}
}

// unknownFix names the client id that the running dev knows.
func (d *examination) unknownFix() []string {
	if r := d.a.runningDev(); r != nil && r.FHIR == d.c.FHIR && d.c.ClientID != r.ClientID {
		if fix := d.setFix("client_id", r.ClientID); fix != nil && d.c.Launch == launchBackend {
			return append(fix, d.portal("add")...)
		}
	}
	return d.portal("add")
}

// portal is what stands in for Epic's portal at a simulator: the registration of this app, changed.
func (d *examination) portal(verb string, flags ...string) []string {
	if d.c.Kind != "sim" {
		return nil
	}
	if verb == "set" && d.c.Secret.text != "" && d.c.Key.text == "" {
		flags = append(flags, "--client-secret", shellQuote(d.c.Secret.text)) // the simulator does not tell the one it has
	}
	if verb == "add" {
		switch d.c.Launch {
		case launchStandalone:
			flags = append(flags, "--for", "patients", "--redirect", shellQuote(d.c.RedirectURI))
		case launchEHR:
			flags = append(flags, "--for", "clinicians", "--redirect", shellQuote(d.c.RedirectURI))
		}
		switch {
		case d.c.JWKS != "":
			flags = append(flags, "--jwks-url", shellQuote(d.c.JWKS))
		case d.c.Secret.text != "":
			flags = append(flags, "--client-secret", shellQuote(d.c.Secret.text))
		case d.c.Launch == launchBackend:
			return nil
		}
	}
	return []string{"andiron sim app " + verb + " " + shellQuote(d.c.ClientID) + " " + strings.Join(flags, " ") + d.a.connectionFlags()}
}
