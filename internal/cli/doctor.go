package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/smart"
)

func (a *app) doctorCmd() *cobra.Command {
	var patient, assertion string
	var list bool
	cmd := &cobra.Command{
		Use: "doctor [CONNECTION]", GroupID: "start",
		Short: "Try a connection step by step, name the cause and what mends it",
		Long: `Tries a connection from end to end: name, certificate, discovery, clock, key and published key
set, the signed statement by every rule, redirect URI, sign-in, scopes, metadata, a first read
and search of each usual resource type, and whether the app may export. Nothing is written and
no export is started.

Each step is ok, warn, FAIL, off (not registered for the app) or waiting for another one. Then
come the causes, each with an id that stays ("andiron help causes" lists them): certain where it
can be seen from here; where the server's silence leaves several, the likelier first. The exit
code is 10 when something failed.

--assertion checks a signed JWT that another program made, a file with one or more of them (- is
standard input). It is sent nowhere.`,
		Example: `  andiron doctor
  andiron doctor mercy -o json
  andiron doctor mercy --assertion jwt.txt
  andiron doctor --assertion - --client-id ID --token-url URL --jwks URL`,
		Args: a.arguments(0, 1, "one name of a connection"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if list {
				return a.listCauses()
			}
			if err := a.nameConnection(cmd, args); err != nil {
				return err
			}
			return a.doctor(cmd.Context(), patient, assertion)
		},
		ValidArgsFunction: a.completeConnections,
	}
	cmd.Flags().StringVar(&patient, "patient", "", "`ID` of a patient to read")
	cmd.Flags().StringVar(&assertion, "assertion", "", "check the signed JWTs in this `FILE` instead (- is standard input)")
	cmd.Flags().BoolVar(&list, "list", false, "list the causes that doctor can name")
	a.addConnection(cmd)
	return cmd
}

// listCauses is the catalogue as data.
func (a *app) listCauses() error {
	type row struct {
		ID    string `json:"id"`
		Title string `json:"title"`
		Why   string `json:"why,omitempty"`
		Site  string `json:"site,omitempty"`
		More  string `json:"more"`
	}
	t := table{columns: []string{"id", "title"}}
	var docs []row
	var lines []any
	for _, c := range causes {
		r := row{c.id, c.title, c.why, c.site, c.more}
		t.add(c.id, c.title)
		docs = append(docs, r)
		lines = append(lines, r)
	}
	return a.emit(t, docs, lines)
}

// The states of a step.
const (
	stepOK      = "ok"
	stepWarn    = "warn"
	stepFail    = "fail"
	stepOff     = "off" // not registered for the app: no fault
	stepWaiting = "waiting"
)

// step is one line of doctor.
type step struct {
	Check    string   `json:"check"`
	State    string   `json:"state"`
	Text     string   `json:"text"`
	Resource string   `json:"resource,omitempty"`
	Rule     string   `json:"rule,omitempty"`
	Cause    string   `json:"cause,omitempty"`
	Why      string   `json:"why,omitempty"`
	Fix      []string `json:"fix,omitempty"`
	More     string   `json:"more,omitempty"`
}

func (a *app) doctor(ctx context.Context, patient, assertion string) error {
	c, err := a.chooseFor(assertion)
	if err != nil {
		return err
	}
	if patient == "" && c.dev != nil && len(c.dev.Patients) > 0 {
		patient = c.dev.Patients[0].ID
	}
	if patient == "" && c.Kind == "sandbox" {
		patient = epic.SandboxPatient
	}
	d := &examination{a: a, c: c, ctx: ctx, patient: patient}
	switch {
	case assertion != "":
		if err := d.foreign(assertion); err != nil {
			return err
		}
	case c.NoAuth:
		client := d.client()
		d.metadata(client)
		d.resources(client, nil)
	default:
		d.all()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return d.conclude()
}

// conclude prints what was found; a failed step is the exit code 10.
func (d *examination) conclude() error {
	failed := slices.ContainsFunc(d.steps, func(s step) bool { return s.State == stepFail })
	if err := d.emit(!failed); err != nil {
		return err
	}
	if failed {
		return &exitError{exitDoctor}
	}
	return nil
}

// chooseFor is choose; for a foreign assertion a token URL and a client id are enough.
func (a *app) chooseFor(assertion string) (*connection, error) {
	f := a.settings.flags
	if assertion != "" && !f.Exists("connection") && !f.Exists("fhir") && f.Exists("token_url") {
		c := &connection{
			Kind: "production", ClientID: f.String("client_id"), TokenURL: f.String("token_url"), JWKS: f.String("jwks"),
			Launch: launchBackend, origins: map[string]string{},
		}
		c.Key = reference{text: f.String("key")}
		a.connection = c
		return c, nil
	}
	return a.choose()
}

// examination is one run of doctor.
type examination struct {
	a       *app
	c       *connection
	ctx     context.Context //nolint:containedctx // it lives as long as one command
	patient string
	steps   []step
	found   diagnoses
	conf    *smart.Configuration
	auth    *smart.Backend
	set     *smart.PublishedSet
	setErr  error
	quiet   bool // a cause that was found explains a refusal of the client
}

func (d *examination) add(check, state, text string) *step {
	d.steps = append(d.steps, step{Check: check, State: state, Text: text})
	return &d.steps[len(d.steps)-1]
}

// certain fails a step for a cause that is known from here.
func (d *examination) certain(check, id, found string, fix ...string) *step {
	s := d.add(check, stepFail, found)
	d.blame(s, id, true, fix...)
	return s
}

func (d *examination) blame(s *step, id string, certain bool, fix ...string) {
	x := d.found.add(id, certain, false, s.Text, fix...)
	if s.Cause == "" {
		s.Cause, s.Why, s.More = id, x.Why, x.More
	}
	s.Fix = append(s.Fix, fix...)
}

// warn notes what works now and may not always.
func (d *examination) warn(check, id, found string, fix ...string) {
	s := d.add(check, stepWarn, found)
	x := d.found.add(id, true, true, found, fix...)
	s.Cause, s.Why, s.More, s.Fix = id, x.Why, x.More, fix
}

// fail explains an error as a cause; advice to run doctor is of no use here.
func (d *examination) fail(check, id string, err error) {
	p := d.a.explain(err)
	s := d.add(check, stepFail, p.Title)
	for _, x := range p.Checked {
		if x.State == epic.CheckFail {
			s.Text += "\n" + x.Text
		}
	}
	d.blame(s, id, true, slices.DeleteFunc(slices.Clone(p.Fix), func(f string) bool { return strings.HasPrefix(f, "andiron doctor") })...)
	if p.Why != "" {
		s.Why = p.Why
	}
}

// netCause is the cause of an error that came before or in place of an answer.
func netCause(err error) string {
	var status interface{ HTTPStatus() int }
	switch {
	case errors.As(err, &status) && status.HTTPStatus() >= 500, errors.As(err, &status) && status.HTTPStatus() == http.StatusTooManyRequests:
		return "server-trouble"
	case errors.As(err, &status) && status.HTTPStatus() != 0, errors.Is(err, smart.ErrNotJSON):
		return "base-wrong"
	case errors.Is(err, smart.ErrNoEndpoint):
		return "no-token-endpoint"
	}
	return "unreachable"
}

func (d *examination) all() {
	d.reach()
	discovered := d.discovery()
	ready := d.credentials()
	client := d.client()
	switch {
	case !ready:
		d.add("token", stepWaiting, "for the key")
	case !discovered && d.c.TokenURL == "":
		d.add("token", stepWaiting, "for discovery")
	case d.c.Launch == launchBackend:
		ready = d.token()
		d.metadata(client)
		if !ready {
			d.add("read", stepWaiting, "for the token")
			return
		}
		client.Auth = d.auth
		scope, _, _ := d.auth.Granted()
		granted := smart.ParseScopes(scope)
		d.scopes(smart.ParseScopes(d.c.Scope), granted)
		d.resources(client, granted)
		d.export(client, granted)
		return
	default:
		d.person(client)
		return
	}
	d.metadata(client)
	d.add("read", stepWaiting, "for the token")
}

// setFix is the command that changes this connection: by name, or the command with another flag.
func (d *examination) setFix(name, value string) []string {
	switch {
	case d.c.dev != nil:
	case d.c.Name != "":
		if value == "" {
			return []string{"andiron connection set " + d.c.Name + " " + name + "="}
		}
		return []string{"andiron connection set " + d.c.Name + " " + name + "=" + shellQuote(value)}
	case len(d.c.adHoc) > 0 && value != "":
		k, _ := findKey(name)
		return []string{"andiron doctor" + d.a.connectionFlagsWith(k.flag(), value)}
	}
	return nil
}

func (d *examination) isEpic() bool { return d.c.Kind != "sim" }

func (d *examination) client() *fhir.Client {
	client := &fhir.Client{
		Base: d.c.FHIR, Now: d.a.now, Limits: fhir.Limits{PerMinute: d.c.PerMinute, MaxTries: 2, HeaderTimeout: 30 * time.Second, TotalTimeout: time.Minute},
	}
	if d.c.ClientID != "" {
		client.Header = http.Header{"Epic-Client-ID": {d.c.ClientID}}
	}
	return client
}

// reach is the way to the server, before anything is asked of it. Behind an outgoing proxy it is the
// proxy that resolves and connects, and nothing is looked at from here.
func (d *examination) reach() {
	u, err := url.Parse(d.c.FHIR)
	if err != nil {
		return
	}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err != nil || proxy != nil {
		return
	}
	for _, r := range reachable(d.ctx, d.c.FHIR, nil, d.a.now) {
		if r.state == stepFail {
			d.certain(r.check, "unreachable", r.text)
			continue
		}
		d.add(r.check, r.state, r.text)
	}
}

func (d *examination) discovery() bool {
	conf, err := smart.Discover(d.ctx, nil, d.c.FHIR)
	if err != nil {
		d.fail("discovery", netCause(err), err)
		return false
	}
	d.conf = conf
	if conf.TokenEndpoint == "" {
		s := d.add("discovery", stepFail, "the server names no token endpoint")
		d.blame(s, "no-token-endpoint", true, d.setFix("token_url", "URL")...)
		return false
	}
	text := "token endpoint " + conf.TokenEndpoint
	if conf.Fallback {
		text += " (by way of /metadata: the server has no usable smart-configuration)"
	}
	d.add("discovery", stepOK, text)
	if !conf.Date.IsZero() {
		d.clock(conf.Date)
	}
	proxy := smart.Lint{Audience: conf.TokenEndpoint, TokenURL: d.c.TokenURL}
	d.judge("discovery", proxy.Findings(), nil, jwtParts{})
	return true
}

// clock compares the clocks; a Date has whole seconds.
func (d *examination) clock(server time.Time) {
	diff := d.a.now().Sub(server).Round(time.Second)
	if diff.Abs() <= 6*time.Second {
		d.add("clock", stepOK, "this machine's clock and the server's agree")
		return
	}
	text := fmt.Sprintf("this machine's clock is %s ahead of the server's", diff)
	if diff < 0 {
		text = fmt.Sprintf("this machine's clock is %s behind the server's", -diff)
	}
	d.warn("clock", "clocks-differ", text, d.clockFix()...)
}

// clockFix sets clocks right: a simulator's by its control, this machine's by its own means.
func (d *examination) clockFix() []string {
	if d.c.Kind == "sim" {
		return []string{"andiron sim clock --skew=0s" + d.a.connectionFlags()}
	}
	return []string{"timedatectl set-ntp true   # or what else sets this machine's clock"}
}

// tokenURL is where the app signs in.
func (d *examination) tokenURL() string {
	if d.c.TokenURL != "" || d.conf == nil {
		return d.c.TokenURL
	}
	return d.conf.TokenEndpoint
}

// published holds a key against the key set under the connection's URL, and says what mends a
// difference.
func (a *app) published(ctx context.Context, c *connection, key *smart.Key) (checks []epic.Check, fix []string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	bad := func(text string, fix ...string) ([]epic.Check, []string) {
		return []epic.Check{{State: epic.CheckFail, Text: text}}, fix
	}
	set, err := smart.FetchKeySet(ctx, nil, a.now, c.JWKS)
	if err != nil {
		return bad("the key set cannot be fetched from " + c.JWKS + ": " + strings.TrimPrefix(err.Error(), "smart: key set: "))
	}
	var published smart.KeySet
	if err := json.Unmarshal(set.Body, &published); err != nil {
		return bad("what lies at " + c.JWKS + " is no key set")
	}
	mine := key.Public()
	same := func(k smart.JWK) bool { return k.N == mine.N && k.E == mine.E && k.X == mine.X && k.Y == mine.Y }
	var ids []string
	for _, k := range published.Keys {
		ids = append(ids, fmt.Sprintf("%q", k.KeyID))
		if k.KeyID == mine.KeyID && same(k) {
			return []epic.Check{{State: epic.CheckOK, Text: fmt.Sprintf("kid %q is in the published key set, and is this key", mine.KeyID)}}, nil
		}
	}
	has := "nothing"
	if len(ids) > 0 {
		has = strings.Join(ids[:min(len(ids), 8)], ", ")
	}
	where := fmt.Sprintf("\n%s  has: %s", c.JWKS, plain(has))
	if i := slices.IndexFunc(published.Keys, same); i >= 0 {
		id := published.Keys[i].KeyID
		text := fmt.Sprintf("kid %q is not in the published key set; this key stands there as %q%s", mine.KeyID, plain(id), where)
		switch {
		case c.Name != "":
			return bad(text, "andiron connection set "+c.Name+" kid="+shellQuote(id))
		case len(c.adHoc) > 0:
			return bad(text, "andiron doctor"+a.connectionFlagsWith("kid", id))
		}
		return bad(text)
	}
	text := fmt.Sprintf("kid %q is not in the published key set, nor is this key under another id%s", mine.KeyID, where)
	var fixes []string
	if d := a.runningDev(); d != nil && d.FHIR == c.FHIR {
		switch {
		case c.Name != "":
			fixes = append(fixes, "andiron connection set "+c.Name+" key="+shellQuote(d.Key))
		case len(c.adHoc) > 0:
			fixes = append(fixes, "andiron doctor"+a.connectionFlagsWith("key", d.Key))
		}
	} else if c.Key.text != "" && !strings.HasPrefix(c.Key.text, "cmd:") {
		ref := c.Key.text
		if path := c.Key.path(); path != "" {
			ref = "file:" + path
		}
		fixes = append(fixes, "andiron keys jwks "+shellQuote(ref)+"   # prints what to publish there")
	}
	return bad(text, fixes...)
}

func (d *examination) emit(ok bool) error {
	a := d.a
	if a.format() == "table" {
		for i := 0; i < len(d.steps); i++ {
			s := d.steps[i]
			text := s.Text
			if s.Resource != "" { // what went well for many types is one line
				var types []string
				for j := i; j < len(d.steps) && d.steps[j].Check == s.Check && d.steps[j].State == s.State && s.State != stepFail && s.State != stepWarn; j++ {
					types, i = append(types, d.steps[j].Resource), j
				}
				if len(types) > 0 {
					text = map[string]string{stepOK: "", stepOff: "not registered for the app: "}[s.State] + strings.Join(types, ", ")
				}
			}
			state := s.State
			if state == stepFail {
				state = "FAIL"
			}
			lines := strings.Join(wrap(text, 96), "\n")
			fmt.Fprintf(a.out, "%-8s %-10s %s\n", state, s.Check, strings.ReplaceAll(lines, "\n", "\n                    "))
		}
		d.found.print(a.out, d.isEpic(), !ok)
		return nil
	}
	causes := d.found.sorted()
	if causes == nil {
		causes = []*diagnosis{}
	}
	doc := struct {
		Connection string       `json:"connection"`
		FHIR       string       `json:"fhir"`
		Launch     string       `json:"launch"`
		OK         bool         `json:"ok"`
		Checks     []step       `json:"checks"`
		Causes     []*diagnosis `json:"causes"`
	}{d.c.title(), d.c.FHIR, d.c.Launch, ok, d.steps, causes}
	t := table{columns: []string{"check", "state", "text", "cause", "fix"}}
	var lines []any
	for _, s := range d.steps {
		t.add(s.Check, s.State, s.Text, s.Cause, strings.Join(s.Fix, "; "))
		lines = append(lines, s)
	}
	return a.emit(t, doc, lines)
}
