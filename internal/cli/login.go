package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/smart"
)

// loginOptions are login's flags.
type loginOptions struct {
	noBrowser bool
	ehr       bool
	wait      time.Duration
}

func (a *app) loginCmd() *cobra.Command {
	var o loginOptions
	cmd := &cobra.Command{
		Use: "login [CONNECTION]", GroupID: "connect",
		Short: "Sign in as a patient or a clinician, in a browser",
		Long: `Opens the server's sign-in page in your browser, waits until you come back, and keeps the
sign-in for the commands that follow: get, export and the rest then see what you may see.

It listens at the connection's redirect_uri meanwhile, which must be registered for the app to the
letter and lie on this machine. What comes back is taken from the browser that was sent away, once.

The tokens lie sealed in your state folder and are renewed where the server permits that (persistent
access); "andiron token" shows them, "andiron logout" ends them.

An application for clinicians is opened by the EHR. With --ehr this command is that application: it
waits at /launch beside the redirect_uri until the EHR, or "andiron launch", opens it.`,
		Example: `  andiron login mercy
  andiron login mercy --no-browser
  andiron login chart --ehr`,
		Args: a.arguments(0, 1, "one name of a connection"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.nameConnection(cmd, args); err != nil {
				return err
			}
			return a.login(cmd.Context(), o)
		},
		ValidArgsFunction: a.completeConnections,
	}
	f := cmd.Flags()
	f.BoolVar(&o.noBrowser, "no-browser", false, "print the address to open, and open nothing")
	f.BoolVar(&o.ehr, "ehr", false, "wait until an EHR opens this application")
	f.DurationVar(&o.wait, "timeout", 5*time.Minute, "how long to wait for the browser")
	a.addConnection(cmd)
	return cmd
}

// nameConnection takes a connection's name from the arguments.
func (a *app) nameConnection(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if a.settings.flags.Exists("connection") || a.settings.flags.Exists("fhir") {
		return usagef("name the connection once: as an argument or with a flag")
	}
	if err := cmd.Flags().Set("connection", args[0]); err != nil {
		return err
	}
	s, err := a.loadSettings(cmd.Flags())
	if err == nil {
		a.settings = s
	}
	return err
}

func (a *app) login(ctx context.Context, o loginOptions) error {
	if o.wait <= 0 || o.wait > time.Hour {
		return usagef("--timeout is between 1s and 1h")
	}
	c, err := a.choose()
	if err != nil {
		return err
	}
	name := c.Name
	if name == "" {
		name = strings.TrimSpace(a.connectionFlags())
	}
	switch {
	case c.NoAuth:
		return usagef("%s is asked without a token (no_auth): there is nothing to sign in to", c.title())
	case c.Launch == launchBackend:
		return &problem{
			Title: fmt.Sprintf("%s signs in by itself with its key (launch = backend): nobody is asked", c.title()),
			Why:   "To sign people in, the app must be registered for that, and the connection say so: launch=standalone for patients, launch=ehr for clinicians.",
			Fix:   []string{strings.TrimSpace("andiron token " + name)},
			More:  "launches", Exit: exitUsage,
		}
	case c.Launch == launchEHR && !o.ehr:
		return &problem{
			Title: fmt.Sprintf("%s is opened by the EHR (launch = ehr): a sign-in begins in the chart", c.title()),
			Why:   "With --ehr this command waits to be opened there. \"andiron launch\" opens an application as the simulated Epic.",
			Fix:   []string{strings.TrimSpace("andiron login "+name) + " --ehr"},
			More:  "launches", Exit: exitUsage,
		}
	case c.Launch == launchStandalone && o.ehr:
		return usagef("%s is no application that an EHR opens (launch = standalone)", c.title())
	}
	app, err := a.application(ctx, c)
	if err != nil {
		return err
	}
	w, err := a.waiting(ctx, c, app, o)
	if err != nil {
		return err
	}
	defer w.close()
	before, err := a.opened.signedIn(ctx, app, c)
	if err != nil {
		return err
	}
	switch {
	case o.ehr:
		a.say("waiting at %s for the EHR to open this application (Ctrl-C ends that)", w.origin+"/launch")
	case o.noBrowser:
		a.say("open this address in a browser on this machine:")
		fmt.Fprintln(a.err, "  "+w.start())
	default:
		if err := a.browse(ctx, w.start()); err != nil {
			a.say("no browser could be opened (%v); open this address yourself:", err)
			fmt.Fprintln(a.err, "  "+w.start())
		} else {
			a.say("the browser shows the sign-in page of %s; waiting for you there", host(c.FHIR))
		}
	}
	session, err := w.wait(ctx, o.wait)
	if err != nil {
		return err
	}
	if err := a.opened.remember(ctx, c, session); err != nil {
		return err
	}
	if before != nil {
		if err := app.End(ctx, before); err != nil {
			a.say("note: the sign-in before is forgotten here, but could not be ended at the server")
		}
	}
	return a.printSession(describeSession(c, session))
}

// loopbackRedirect is the address to listen at for a redirect URI, which must be on this machine.
func loopbackRedirect(c *connection) (address, origin, path string, err error) {
	u, perr := url.Parse(c.RedirectURI)
	if perr != nil || u.Scheme != "http" || u.Port() == "" || u.Hostname() != "127.0.0.1" && u.Hostname() != "localhost" {
		return "", "", "", &problem{
			Title: "the browser cannot come back to this program: redirect_uri is not http://127.0.0.1:PORT/PATH or http://localhost:PORT/PATH",
			Why:   "Register such an address for the app as well, letter for letter the same.",
			Fix:   c.fixes("andiron connection set NAME redirect_uri=http://127.0.0.1:7401/callback"),
			More:  "launches", Exit: exitUsage,
		}
	}
	path = u.Path
	if path == "" {
		path = "/"
	}
	return net.JoinHostPort("127.0.0.1", u.Port()), u.Scheme + "://" + u.Host, path, nil
}

// redirectListener opens the redirect URI's port, or says what holds it.
func (a *app) redirectListener(ctx context.Context, c *connection, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", address)
	if err == nil {
		return l, nil
	}
	_, port, _ := net.SplitHostPort(address)
	p := &problem{
		Title: fmt.Sprintf("%s cannot be listened at, and the browser must come back there: %v", address, cause(err)),
		More:  "launches", Exit: exitFailed, Err: err,
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		holder := "another program"
		number := 0
		_, _ = fmt.Sscan(port, &number)
		if name, pid := portHolder(number); pid > 0 {
			holder = fmt.Sprintf("%s (process %d)", name, pid)
		}
		p.Title = fmt.Sprintf("port %s on 127.0.0.1 is taken by %s, and the browser must come back there", port, holder)
		p.Why = "Another login may be waiting: end it. Or register a second redirect URI with another port and give it with --redirect-uri."
	}
	return nil, p
}

// refusedLogin makes a problem of what ended a sign-in.
func (a *app) refusedLogin(c *connection, err error) error {
	var e *smart.Error
	again := "andiron login"
	if c.Name != "" {
		again += " " + shellQuote(c.Name)
	} else {
		again += a.connectionFlags()
	}
	if c.Launch == launchEHR {
		again += " --ehr"
	}
	p := &problem{Fix: []string{again}, More: "launches", Exit: exitRefused, Err: err}
	switch {
	case errors.As(err, &e) && e.Op == "authorize" && e.Code == "access_denied":
		p.Title = "the sign-in was refused in the browser (access_denied): consent was not given"
	case errors.As(err, &e) && e.Op == "authorize":
		p.Title = fmt.Sprintf("the server refused the sign-in (%s)", e.Code)
		p.Why = "The browser came back with that word. It speaks of the request: client id, redirect URI, scopes."
	case errors.Is(err, smart.ErrIssuer):
		p.Title = "the application was opened by a server that is not this connection's: refused before anything was sent"
		p.Why = "The address in the launch must be the connection's fhir, letter for letter."
	case errors.Is(err, smart.ErrIDToken):
		p.Title = "the server's statement of who signed in cannot be trusted: " + cause(err).Error()
	case errors.Is(err, smart.ErrMixUp):
		p.Title = "the answer came from another authorization server than the one that was asked"
	default:
		return err
	}
	return p
}

// logoutCmd ends a sign-in.
func (a *app) logoutCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "logout [CONNECTION]", GroupID: "connect",
		Short: "End a sign-in",
		Long: `Forgets the tokens of a connection, and revokes them where the server has a way to do so. Without
one they end by themselves, and nobody has them any more.`,
		Args: a.arguments(0, 1, "one name of a connection"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.nameConnection(cmd, args); err != nil {
				return err
			}
			return a.logout(cmd.Context())
		},
		ValidArgsFunction: a.completeConnections,
	}
	a.addConnection(cmd)
	return cmd
}

func (a *app) logout(ctx context.Context) error {
	c, err := a.choose()
	if err != nil {
		return err
	}
	if c.Launch == launchBackend {
		a.say("%s signs in by itself for each command: there is nothing to end", c.title())
		return nil
	}
	app, err := a.application(ctx, c)
	if err != nil {
		return err
	}
	s, err := a.opened.signedIn(ctx, app, c)
	if err != nil {
		return err
	}
	if err := a.opened.Delete(ctx, loginKey(c)); err != nil {
		return err
	}
	if s == nil {
		a.say("nobody was signed in at %s", c.title())
		return nil
	}
	if err := app.End(ctx, s); err != nil {
		a.say("the tokens are deleted here; the server could not be told, and they end there by themselves")
		return nil //nolint:nilerr // signed out is what was asked for, and that is done
	}
	a.say("signed out of %s", c.title())
	return nil
}
