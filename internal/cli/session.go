package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/andironhq/andiron/smart"
)

// application is the connection as an application that people sign in to; it remembers sign-ins.
func (a *app) application(ctx context.Context, c *connection) (*smart.App, error) {
	app, err := a.unremembered(ctx, c)
	if err != nil {
		return nil, err
	}
	s, err := a.state(ctx)
	if err != nil {
		return nil, err
	}
	app.Store = s.Store
	return app, nil
}

// unremembered is the application with a memory of its own, for a sign-in that is only tried.
func (a *app) unremembered(ctx context.Context, c *connection) (*smart.App, error) {
	if c.ClientID == "" {
		return nil, noClientID(c)
	}
	u, err := url.Parse(c.RedirectURI)
	if err != nil {
		return nil, usagef("redirect_uri is not a URL")
	}
	iss := smart.Issuer{
		Base: c.FHIR, ClientID: c.ClientID, Scope: c.scope(), RedirectURI: c.RedirectURI, TokenURL: c.TokenURL,
		Header: http.Header{"Epic-Client-ID": {c.ClientID}},
	}
	switch {
	case c.Key.text != "" && c.Secret.text != "":
		return nil, &problem{
			Title: fmt.Sprintf("%s has both a key and a secret, and an app has one of them", c.title()),
			Fix:   c.fixes("andiron connection set NAME secret=", "andiron connection set NAME key="),
			More:  "secrets", Exit: exitUsage,
		}
	case c.Key.text != "":
		if iss.Key, err = a.privateKey(ctx, c); err != nil {
			return nil, err
		}
	case c.Secret.text != "":
		if iss.Secret, err = a.readSecret(ctx, c.Secret); err != nil {
			return nil, err
		}
		iss.EncodeSecret = c.SecretEncoding == "encoded"
	}
	return &smart.App{URL: u.Scheme + "://" + u.Host, CallbackPath: u.Path, Issuers: []smart.Issuer{iss}, Now: a.now}, nil
}

// fixes are commands that change a named connection; none where it has no name.
func (c *connection) fixes(list ...string) []string {
	if c.Name == "" || c.dev != nil {
		return nil
	}
	for i := range list {
		list[i] = strings.ReplaceAll(list[i], "NAME", c.Name)
	}
	return list
}

// scope is what a sign-in asks for. Epic adds what is registered for the app.
func (c *connection) scope() string {
	scope := c.Scope
	if scope == "" {
		scope = "openid fhirUser"
		if c.Launch == launchStandalone {
			scope += " launch/patient"
		}
	}
	if c.Persistent && !strings.Contains(" "+scope+" ", " offline_access ") {
		scope += " offline_access"
	}
	return scope
}

func noClientID(c *connection) error {
	return &problem{
		Title: fmt.Sprintf("%s has no client id (client_id)", c.title()),
		Why:   "It is the id that the app got when it was registered; --no-auth sends no token.",
		Exit:  exitUsage, More: "connections",
	}
}

// session is the sign-in of a connection that people sign in to.
func (a *app) session(ctx context.Context, c *connection) (*smart.App, *smart.Session, error) {
	app, err := a.application(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	s, err := a.opened.signedIn(ctx, app, c)
	if err != nil {
		return nil, nil, err
	}
	if s == nil {
		return nil, nil, a.signInFirst(c, "nobody is signed in at "+c.title()+", or the sign-in has ended", nil)
	}
	return app, s, nil
}

// signInFirst says that only a person can go on.
func (a *app) signInFirst(c *connection, title string, err error) error {
	command := "andiron login"
	switch {
	case c.Name != "":
		command += " " + shellQuote(c.Name)
	default:
		command += a.connectionFlags()
	}
	if c.Launch == launchEHR {
		command += " --ehr"
	}
	return &problem{Title: title, Fix: []string{command}, More: "launches", Exit: exitRefused, Err: err}
}

// visitor asks as the person who signed in at a connection. It satisfies what package fhir calls a
// TokenSource.
type visitor struct {
	a *app
	c *connection
	s *smart.Session
}

func (v visitor) Token(ctx context.Context, base, refused string) (string, error) {
	token, err := v.s.Token(ctx, base, refused)
	if errors.Is(err, smart.ErrSignInAgain) {
		return "", v.a.signInFirst(v.c, "the sign-in at "+v.c.title()+" has ended", err)
	}
	return token, err
}

// sessionJSON is a sign-in as login and token print it: everything but the token.
type sessionJSON struct {
	Connection string      `json:"connection"`
	FHIR       string      `json:"fhir"`
	ClientID   string      `json:"client_id"`
	Launch     string      `json:"launch"`
	User       string      `json:"user,omitempty"`
	Name       string      `json:"name,omitempty"`
	Patient    string      `json:"patient,omitempty"`
	Encounter  string      `json:"encounter,omitempty"`
	Asked      string      `json:"asked"`
	Granted    string      `json:"granted"`
	Missing    string      `json:"missing,omitempty"`
	Expires    *time.Time  `json:"expires,omitempty"`
	Renewable  bool        `json:"renewable"`
	Ends       *time.Time  `json:"ends,omitempty"`
	Server     *serverJSON `json:"server,omitempty"`
}

// serverJSON is what the server itself says of a token (RFC 7662).
type serverJSON struct {
	Active  bool       `json:"active"`
	Scope   string     `json:"scope,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
}

func inUTC(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

func describeSession(c *connection, s *smart.Session) sessionJSON {
	asked, granted := s.Asked(), s.Granted()
	d := sessionJSON{
		Connection: c.title(), FHIR: c.FHIR, ClientID: c.ClientID, Launch: c.Launch,
		Name: s.User.Name, Patient: s.Patient, Encounter: s.Encounter,
		Asked: asked.String(), Granted: granted.String(), Missing: smart.DiffScopes(asked, granted).Missing.String(),
		Expires: inUTC(s.Expires()), Renewable: s.Renewable(), Ends: inUTC(s.Ends()),
	}
	switch {
	case s.User.Type != "":
		d.User = s.User.Type + "/" + s.User.ID
	case !s.User.IsZero():
		d.User = s.User.Subject
	}
	return d
}

// print draws a sign-in.
func (a *app) printSession(d sessionJSON) error {
	if a.format() != "table" {
		t := table{columns: []string{"connection", "launch", "user", "patient", "granted", "expires", "renewable", "ends"}}
		t.add(d.Connection, d.Launch, d.User, d.Patient, d.Granted, clock(d.Expires), yesNo(d.Renewable), clock(d.Ends))
		return a.emit(t, d, nil)
	}
	now := a.now()
	row := func(name, text string) {
		if text == "" {
			return
		}
		for i, line := range wrap(plain(text), 82) {
			if i > 0 {
				name = ""
			}
			fmt.Fprintf(a.out, "%-13s %s\n", name, line)
		}
	}
	row("connection", d.Connection)
	row("launch", d.Launch)
	user := d.User
	if d.Name != "" {
		user += " (" + d.Name + ")"
	}
	row("user", user)
	row("patient", d.Patient)
	row("encounter", d.Encounter)
	row("asked", d.Asked)
	row("granted", d.Granted)
	row("not granted", d.Missing)
	if d.Expires != nil {
		row("token until", clock(d.Expires)+left(now, *d.Expires)+map[bool]string{true: ", renewed by itself"}[d.Renewable])
	}
	if d.Ends != nil && d.Launch != launchBackend {
		row("signed in", "until "+clock(d.Ends)+left(now, *d.Ends)+" at the latest")
	}
	if d.Server != nil {
		text := "the server says that the token is active"
		if !d.Server.Active {
			text = "the server says that the token is NOT active"
		}
		row("server", text)
	}
	return nil
}

func clock(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format("2006-01-02 15:04:05Z")
}

// left is how long something still lasts, in brackets.
func left(now, t time.Time) string {
	d := t.Sub(now)
	switch {
	case d <= 0:
		return " (over)"
	case d < 2*time.Hour:
		return fmt.Sprintf(" (%d min left)", int(d.Minutes()))
	case d < 72*time.Hour:
		return fmt.Sprintf(" (%d hours left)", int(d.Hours()))
	}
	return fmt.Sprintf(" (%d days left)", int(d.Hours()/24))
}
