package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/smart"
)

// connection is one way into one server.
type connection struct {
	Name     string // "" when it is made of flags or variables, or is the running dev
	Kind     string // sim, sandbox, production
	FHIR     string
	ClientID string
	Key      reference
	KID      string
	TokenURL string
	Scope    string
	JWKS     string
	Group    string
	NoAuth   bool

	// Who signs in, and how the app proves itself where that is not its key.
	Launch         string    // launchBackend, launchStandalone or launchEHR
	RedirectURI    string    // registered; login listens there
	Secret         reference // the client secret
	SecretEncoding string    // raw or encoded
	Persistent     bool      // ask for offline_access

	PerMinute int // -1: no budget

	dev     *devRuntime // the running dev that it is, or nil
	devApp  *devApp     // which of its apps, nil for the backend one
	adHoc   []string    // the flags that made it, for commands that we advise
	origins map[string]string
}

// choose decides which connection is meant, in this order: --connection, --fhir, their
// environment variables, the configuration's default, the only one configured, a running dev.
// Where nothing was named, it says on standard error what it took.
func (a *app) choose() (*connection, error) {
	if a.connection != nil {
		return a.connection, nil
	}
	s := a.settings
	named, fhirURL := s.flags.Exists("connection"), s.flags.Exists("fhir")
	switch {
	case named && fhirURL:
		return nil, usagef("--connection and --fhir exclude each other: one names a connection, the other makes one")
	case named:
		return a.named(s.flags.String("connection"))
	case fhirURL:
		return a.build("")
	}
	if s.env.Exists("connection") && s.env.Exists("fhir") {
		return nil, usagef("ANDIRON_CONNECTION and ANDIRON_FHIR exclude each other: one names a connection, the other makes one")
	}
	if s.env.Exists("connection") {
		return a.named(s.env.String("connection"))
	}
	if s.env.Exists("fhir") {
		return a.build("")
	}
	if v := s.get("connection", ""); v.text != "" {
		if v.file != nil && !v.file.own {
			a.say("using connection %s of %s", v.text, v.file.path)
		}
		return a.named(v.text)
	}
	switch names := s.connections(); len(names) {
	case 0:
	case 1:
		a.say("using connection %s, the only one configured", names[0])
		return a.named(names[0])
	default:
		return nil, &usageError{
			text: "several connections are configured and none is the default: " + strings.Join(names, ", "),
			fix:  []string{"andiron connection use " + names[0]},
		}
	}
	if d := a.runningDev(); d != nil {
		a.say("using the simulated Epic at %s (andiron dev, process %d)", d.Console, d.PID)
		return a.fromDev(d, "dev")
	}
	return nil, &problem{
		Title: "no connection is named or configured, and no simulated Epic is running",
		Fix:   []string{"andiron dev", "andiron connection add NAME --fhir URL --client-id ID --key file:PATH"},
		More:  "connections", Exit: exitUsage,
	}
}

// named is a connection of the configuration.
func (a *app) named(name string) (*connection, error) {
	if a.settings.connectionFile(name) == nil {
		names := a.settings.connections()
		if name == "dev" || strings.HasPrefix(name, "dev-") {
			if d := a.runningDev(); d != nil && (name == "dev" || d.app(name) != nil) {
				return a.fromDev(d, name)
			}
		}
		e := &usageError{text: fmt.Sprintf("there is no connection %q%s", name, didYouMean(name, names))}
		if len(names) == 0 {
			e.fix = []string{"andiron connection add " + shellQuote(name) + " --fhir URL --client-id ID --key file:PATH"}
		} else {
			e.fix = []string{"andiron connection list"}
		}
		return nil, e
	}
	return a.build(name)
}

// build puts a connection together out of flags, variables and the table of its name.
func (a *app) build(name string) (*connection, error) {
	s := a.settings
	c := &connection{Name: name, origins: map[string]string{}}
	text := func(k string) string {
		v := s.get(k, name)
		if k == "fhir" && name != "" { // the address of a named connection is its own
			f := s.connectionFile(name)
			v = value{text: f.k.String("connections." + name + ".fhir"), origin: f.place("connections."+name, "fhir"), file: f}
		}
		c.origins[k] = v.origin
		return v.text
	}
	c.FHIR = strings.TrimRight(text("fhir"), "/")
	c.Kind, c.ClientID, c.KID, c.TokenURL = text("kind"), text("client_id"), text("kid"), text("token_url")
	c.Scope, c.JWKS, c.Group = text("scope"), text("jwks"), text("group")
	c.NoAuth, c.Persistent = text("no_auth") == "true", text("persistent") == "true"
	c.Launch, c.RedirectURI, c.SecretEncoding = text("launch"), text("redirect_uri"), text("secret_encoding")
	if f := s.connectionFile(name); name != "" && !f.own && !a.settings.flags.Exists("connection") {
		a.say("connection %s is from %s", name, f.path)
	}
	c.Key, c.origins["key"] = s.reference("key", name)
	c.Secret, c.origins["secret"] = s.reference("secret", name)
	if name == "" {
		for _, k := range append(connectionKeys(), "connection") {
			if s.flags.Exists(k) && k != "group" {
				key, _ := findKey(k)
				if key.isBool {
					c.adHoc = append(c.adHoc, "--"+key.flag())
				} else {
					c.adHoc = append(c.adHoc, "--"+key.flag(), shellQuote(s.flags.String(k)))
				}
			}
		}
	}
	if err := c.complete(text("rate")); err != nil {
		return nil, err
	}
	a.connection = c
	return c, nil
}

// complete fills what has a default that depends on the rest, and refuses what cannot work.
func (c *connection) complete(rate string) error {
	u, err := url.Parse(c.FHIR)
	switch {
	case c.FHIR == "":
		return usagef("the connection has no FHIR base URL (fhir)")
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return usagef("the FHIR base URL (fhir) is not a URL such as https://HOST/INSTANCE/api/FHIR/R4")
	}
	local := loopback(u.Hostname())
	if c.Kind == "" {
		switch {
		case local:
			c.Kind = "sim"
		case u.Hostname() == "fhir.epic.com" || u.Hostname() == "vendorservices.epic.com":
			c.Kind = "sandbox"
		default:
			c.Kind = "production"
		}
	}
	if c.Launch == "" {
		c.Launch = launchBackend
	}
	for name, v := range map[string]string{"kind": c.Kind, "launch": c.Launch, "secret_encoding": c.SecretEncoding} {
		if k, _ := findKey(name); v != "" && !slices.Contains(k.values, v) {
			return usagef("%s is not one of: %s", name, strings.Join(k.values, ", "))
		}
	}
	if c.RedirectURI != "" {
		if err := checkRedirect(c.RedirectURI); err != nil {
			return usagef("%v", err)
		}
	}
	if rate == "" {
		c.PerMinute = 100
		if local || c.Kind == "sim" {
			c.PerMinute = -1
		}
		return nil
	}
	c.PerMinute, err = parseRate(rate)
	if err != nil {
		return usagef("%v", err)
	}
	return nil
}

// checkRedirect refuses what no server registers as a redirect URI.
func checkRedirect(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Fragment != "" {
		return errors.New("redirect_uri must be a whole URL without #, such as http://127.0.0.1:7401/callback")
	}
	return nil
}

// parseRate reads "100/m", "2/s", "3000/h" or "none" as requests a minute; -1 is none.
func parseRate(s string) (int, error) {
	if s == "none" {
		return -1, nil
	}
	number, unit, _ := strings.Cut(s, "/")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > 1_000_000 {
		return 0, fmt.Errorf("rate must be a number of requests and a unit, such as 100/m, or none")
	}
	switch unit {
	case "s":
		return n * 60, nil
	case "m":
		return n, nil
	case "h":
		return max(1, n/60), nil
	}
	return 0, fmt.Errorf("rate must be a number of requests and a unit (s, m or h), such as 100/m, or none")
}

// reference reads a setting that says where a secret is, and where that was said.
func (s *settings) reference(name, conn string) (reference, string) {
	v := s.get(name, conn)
	r := reference{text: v.text}
	if v.file != nil {
		r.dir, r.found = dirOf(v.file.path), !v.file.own
	}
	return r, v.origin
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// title is what people call it.
func (c *connection) title() string {
	switch {
	case c.Name != "":
		return c.Name
	case c.dev != nil:
		return "the simulated Epic"
	}
	return host(c.FHIR)
}

func host(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return "the server"
	}
	return u.Host
}

// privateKey reads the private key.
func (a *app) privateKey(ctx context.Context, c *connection) (*smart.Key, error) {
	if c.Key.text == "" {
		name := c.Name
		if name == "" {
			name = "NAME"
		}
		p := &problem{
			Title: fmt.Sprintf("%s has no private key to sign in with (key)", c.title()),
			More:  "secrets", Exit: exitUsage,
		}
		if c.Name != "" {
			p.Fix = []string{"andiron connection set " + name + " key=file:PATH"}
		} else {
			p.Why = "Give --key file:PATH, or --no-auth where no sign-in is wanted."
		}
		return nil, p
	}
	key, err := a.readKey(ctx, c.Key)
	if err != nil {
		return nil, err
	}
	if c.KID != "" {
		key = key.WithID(c.KID)
	}
	return key, nil
}

// client signs in and asks. Nothing is sent before the first request.
func (a *app) client(ctx context.Context, c *connection) (*fhir.Client, error) {
	client := &fhir.Client{
		Base: c.FHIR, Limits: fhir.Limits{PerMinute: c.PerMinute}, Now: a.now,
		Notice: (&notices{a: a}).add,
	}
	if c.Kind == "sim" {
		client.Limits.Concurrency = 16
	}
	if c.ClientID != "" {
		// Endpoints can be overridden for a client: Epic, OAuth 2.0 Specification.
		client.Header = http.Header{"Epic-Client-ID": {c.ClientID}}
	}
	if c.NoAuth {
		return client, nil
	}
	client.Dialect = epic.Dialect{}
	if c.ClientID == "" {
		return nil, noClientID(c)
	}
	if c.Launch != launchBackend {
		_, session, err := a.session(ctx, c)
		if err != nil {
			return nil, err
		}
		client.Auth = visitor{a, c, session}
		return client, nil
	}
	key, err := a.privateKey(ctx, c)
	if err != nil {
		return nil, err
	}
	client.Auth = &smart.Backend{
		Base: c.FHIR, ClientID: c.ClientID, Key: key, TokenURL: c.TokenURL, Scope: c.Scope, Now: a.now,
	}
	return client, nil
}

// connect chooses a connection and makes its client.
func (a *app) connect(ctx context.Context) (*connection, *fhir.Client, error) {
	c, err := a.choose()
	if err != nil {
		return nil, nil, err
	}
	client, err := a.client(ctx, c)
	return c, client, err
}

// notices prints what a server says beside its results, each thing once.
type notices struct {
	a    *app
	mu   sync.Mutex
	seen map[string]bool
	list []notice // for output in JSON
}

// notice is one issue of an OperationOutcome, as the JSON output has it.
type notice struct {
	Severity string `json:"severity"`
	Code     string `json:"code,omitempty"`
	Text     string `json:"text"`
}

func (n *notices) add(o *r4.OperationOutcome) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, issue := range o.Issue {
		text, code := issue.Diagnostics, ""
		if issue.Details != nil {
			for _, coding := range issue.Details.Coding {
				if _, known := epic.LookupCode(coding.Code); known {
					code = coding.Code
				}
			}
			if text == "" || text == "andiron" {
				text = issue.Details.Text
			}
		}
		if n.seen == nil {
			n.seen = map[string]bool{}
		}
		if key := code + text; !n.seen[key] {
			n.seen[key] = true
			n.list = append(n.list, notice{Severity: issue.Severity, Code: code, Text: text})
		}
	}
}
