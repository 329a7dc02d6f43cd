package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/smart"
)

// token signs the program in.
func (d *examination) token() bool {
	_, err := d.auth.Token(d.ctx, d.c.FHIR, "")
	var oauth *smart.Error
	switch {
	case err == nil:
		text := "signed in"
		if scope, expires, ok := d.auth.Granted(); ok {
			text += fmt.Sprintf(", for %s", expires.Sub(d.a.now()).Round(time.Minute))
			if n := len(strings.Fields(scope)); n > 0 {
				text += ", " + count(n, "scope", "scopes")
			}
		}
		d.add("token", stepOK, text)
		return true
	case !errors.As(err, &oauth) || oauth.Code == "":
		d.fail("token", netCause(err), err)
	case oauth.Code == "invalid_client":
		s := d.add("token", stepFail, "the server refused the client (invalid_client) and gave no reason")
		d.explained(s)
		d.rankClient()
	case oauth.Code == "unauthorized_client":
		s := d.add("token", stepFail, "the server knows the app and lets it not in (unauthorized_client)")
		s.Cause = "background-user-missing"
		d.found.add("background-user-missing", false, false, s.Text)
		d.found.add("app-kind-wrong", false, false, "")
	default:
		id := "app-kind-wrong"
		if oauth.Code == "invalid_scope" {
			id = "scope-not-granted"
		}
		d.fail("token", id, err)
	}
	return false
}

// explained points a refusal to the cause that was found before it.
func (d *examination) explained(s *step) {
	for _, x := range d.found.sorted() {
		if x.Certain && !x.Warning {
			s.Cause = x.ID
			return
		}
	}
}

// person goes through the sign-in of people as far as it goes without one, and on with the stored
// sign-in where there is one.
func (d *examination) person(client *fhir.Client) {
	known := d.probeClient()
	d.probeRedirect(known)
	d.metadata(client)
	if d.found.has(false) {
		d.add("read", stepWaiting, "for the app to be let in")
		return
	}
	_, session, err := d.a.session(d.ctx, d.c)
	if err != nil {
		p := d.a.explain(err)
		text := "for somebody to sign in"
		if len(p.Fix) > 0 {
			text += ": " + p.Fix[0]
		}
		d.add("read", stepWaiting, text)
		return
	}
	if _, err := session.Token(d.ctx, d.c.FHIR, ""); err != nil {
		d.fail("session", "session-ended", err)
		d.add("read", stepWaiting, "for the sign-in")
		return
	}
	d.add("session", stepOK, "somebody is signed in")
	client.Auth = visitor{d.a, d.c, session}
	if session.Patient != "" {
		d.patient = session.Patient
	}
	granted := session.Granted()
	d.scopes(session.Asked(), granted)
	d.resources(client, granted)
}

// probeClient asks for a token with a made-up code: invalid_grant says that the server knows the
// client and believes it, invalid_client that it does not.
func (d *examination) probeClient() bool {
	code, err := d.madeUpCode(d.c.SecretEncoding == "encoded")
	secret := d.c.Secret.text != "" && d.c.Key.text == ""
	switch {
	case err != nil:
		d.fail("client", netCause(err), err)
	case code == "invalid_grant":
		d.add("client", stepOK, "the server knows the app and believes it (it refused a made-up code, and the code alone)")
		return true
	case code == "invalid_client" && secret:
		s := d.add("client", stepFail, "the server refused the client (invalid_client) and gave no reason")
		other, err := d.madeUpCode(d.c.SecretEncoding != "encoded")
		if err == nil && other == "invalid_grant" {
			to := "encoded"
			if d.c.SecretEncoding == "encoded" {
				to = "raw"
			}
			s.Text = "the server refuses the secret as it is sent, and takes it " + map[string]string{"raw": "raw", "encoded": "URL-encoded"}[to]
			d.blame(s, "secret-encoding", true, d.setFix("secret_encoding", to)...)
			return false
		}
		d.rankClient()
	case code == "invalid_client":
		s := d.add("client", stepFail, "the server refused the client (invalid_client) and gave no reason")
		d.explained(s)
		d.rankClient()
	case code == "unauthorized_client":
		s := d.add("client", stepFail, "the app may not sign people in (unauthorized_client)")
		d.blame(s, "app-kind-wrong", false)
	default:
		d.add("client", stepOK, "the server's answer to a made-up code tells nothing about the app")
	}
	return false
}

// madeUpCode is the server's word for a code that nobody has issued: "" if it has none. The request is
// the one of a sign-in.
func (d *examination) madeUpCode(encode bool) (string, error) {
	app, auth, err := d.attempt()
	if err != nil {
		return "", err
	}
	app.Issuers[0].EncodeSecret = encode
	issuer := d.c.FHIR
	if d.conf != nil && d.conf.Issuer != "" {
		issuer = d.conf.Issuer
	}
	_, err = app.Finish(d.ctx, url.Values{
		"state": {auth.State.Reveal()}, "code": {"andiron-doctor-" + rand.Text()}, "iss": {issuer},
	}, auth.Binding.Reveal())
	var refused *smart.Error
	if errors.As(err, &refused) && refused.Op == "token" && refused.Status != 0 {
		return refused.Code, nil
	}
	return "", err
}

// attempt begins a sign-in that nobody will finish.
func (d *examination) attempt() (*smart.App, *smart.Authorization, error) {
	app, err := d.a.unremembered(d.ctx, d.c)
	if err != nil {
		return nil, nil, err
	}
	auth, err := app.Begin(d.ctx, smart.LaunchRequest{Scope: "openid"})
	return app, auth, err
}

// probeRedirect opens the sign-in page without signing in: a server that does not know the redirect
// URI shows an error page and sends nobody back.
func (d *examination) probeRedirect(known bool) {
	if d.conf == nil || d.conf.AuthorizationEndpoint == "" {
		d.add("redirect", stepWaiting, "for discovery")
		return
	}
	_, auth, err := d.attempt()
	if err != nil {
		d.add("redirect", stepWaiting, "for a sign-in that can be begun")
		return
	}
	req, err := http.NewRequestWithContext(d.ctx, http.MethodGet, auth.URL, nil)
	if err != nil {
		return
	}
	req.Header.Set("Accept", "text/html")
	resp, err := quietClient().Do(req)
	if err != nil {
		d.fail("redirect", "unreachable", cause(err))
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 256<<10))
	page := strings.ToLower(string(body))
	refused := strings.Contains(page, "something went wrong") || resp.StatusCode >= 400 && resp.StatusCode < 500
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400, strings.Contains(page, "password") && !refused:
		d.add("redirect", stepOK, "the server takes the redirect URI and offers its sign-in page")
	case refused && (known || d.found.has(false)):
		s := d.add("redirect", stepFail, "the server answers with an error page in place of its sign-in page")
		if known {
			d.blame(s, "redirect-unregistered", true, d.redirectFix()...)
		} else {
			d.explained(s)
		}
	case refused:
		s := d.add("redirect", stepFail, "the server answers with an error page in place of its sign-in page")
		s.Cause = "redirect-unregistered"
		d.found.add("redirect-unregistered", false, false, s.Text, d.redirectFix()...)
		d.rankClient()
	default:
		d.add("redirect", stepOK, fmt.Sprintf("the server answered %d; whether that is its sign-in page cannot be told", resp.StatusCode))
	}
}

// redirectFix is the registered redirect URI where it is known: the running dev tells.
func (d *examination) redirectFix() []string {
	var fix []string
	if r := d.a.runningDev(); r != nil && r.FHIR == d.c.FHIR {
		for _, app := range r.Apps {
			if app.ClientID == d.c.ClientID && app.RedirectURI != "" && app.RedirectURI != d.c.RedirectURI {
				fix = append(fix, d.setFix("redirect_uri", app.RedirectURI)...)
			}
		}
	}
	// The command gives the whole list: what is registered stays beside the new one, as at the portal.
	flags := []string{"--redirect", shellQuote(d.c.RedirectURI)}
	var known simApps
	if d.c.Kind == "sim" && d.a.control(d.ctx, http.MethodGet, "apps", nil, &known) == nil {
		for _, app := range known.Apps {
			if app.ClientID == d.c.ClientID {
				for _, uri := range app.RedirectURIs {
					flags = append(flags, "--redirect", shellQuote(uri))
				}
			}
		}
	}
	return append(fix, d.portal("set", flags...)...)
}

// scopes compares what was asked for with what was granted, and judges what was asked for.
func (d *examination) scopes(asked, granted smart.Scopes) {
	if len(granted) == 0 {
		d.add("scopes", stepOK, "the server does not say what it granted")
		return
	}
	diff := smart.DiffScopes(asked, granted)
	if len(diff.Missing) > 0 {
		var fix []string
		if rest := without(asked, diff.Missing); rest != "" {
			fix = d.setFix("scope", rest)
		}
		fix = append(d.apiFix(diff.Missing), fix...)
		d.certain("scopes", "scope-not-granted", "asked for and not granted: "+diff.Missing.String(), fix...)
		return
	}
	lint := smart.ScopeLint{Asked: asked, Launch: smart.LaunchKind(d.c.Launch), Configuration: d.conf, Public: d.c.Key.text == "" && d.c.Secret.text == ""}
	findings := lint.Findings()
	for _, f := range findings {
		var fix []string
		if f.Instead != "" {
			fix = d.setFix("scope", f.Instead)
		}
		d.warn("scopes", "scope-broad", f.Text, fix...)
		d.steps[len(d.steps)-1].Rule = f.Rule
	}
	if len(findings) == 0 {
		text := count(len(granted.Shortest()), "scope", "scopes") + " granted"
		if len(asked) > 0 {
			text += ", all that was asked for among them"
		}
		d.add("scopes", stepOK, text)
	}
}

// apiFix registers at a simulator what a scope stands for, beside all that the app has.
func (d *examination) apiFix(missing smart.Scopes) []string {
	for _, s := range missing {
		if _, known := epic.LookupResource(s.Type); !known && s.Type != "*" {
			return nil // no API gives that
		}
	}
	return d.portal("set", "--api", "all")
}

// without is what was asked for less what is missing.
func without(asked, missing smart.Scopes) string {
	var rest smart.Scopes
	for _, s := range asked {
		if missing.Covers(s) || missing.Has(s.String()) {
			continue
		}
		rest = append(rest, s)
	}
	return rest.String()
}
