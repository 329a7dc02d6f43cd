package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/smart"
)

func (a *app) doctorCmd() *cobra.Command {
	var patient string
	cmd := &cobra.Command{
		Use: "doctor [CONNECTION]", GroupID: "start",
		Short: "Try a connection step by step, and say what mends it",
		Long: `Tries discovery, key, token, metadata and a first read. Every step runs, and each is ok, FAIL, or
waiting for another one that failed; after a failure stands the command that mends it. The exit
code is 10 when something failed.

With the URL of the published key set (jwks) it also compares that with the key. The first read
asks for a Patient that cannot exist, unless --patient names one: that a server answers 404 and
not 401 or 403 is the good news. Nothing is written anywhere.`,
		Example: `  andiron doctor
  andiron doctor mercy -o json`,
		Args: a.arguments(0, 1, "one name of a connection"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				if a.settings.flags.Exists("connection") || a.settings.flags.Exists("fhir") {
					return usagef("name the connection once: as an argument or with a flag")
				}
				if err := cmd.Flags().Set("connection", args[0]); err != nil {
					return err
				}
				s, err := a.loadSettings(cmd.Flags())
				if err != nil {
					return err
				}
				a.settings = s
			}
			return a.doctor(cmd.Context(), patient)
		},
		ValidArgsFunction: a.completeConnections,
	}
	cmd.Flags().StringVar(&patient, "patient", "", "`ID` of a patient to read")
	a.addConnection(cmd)
	return cmd
}

// The states of a step.
const (
	stepOK      = "ok"
	stepFail    = "fail"
	stepWaiting = "waiting"
)

// step is one line of doctor.
type step struct {
	Check string   `json:"check"`
	State string   `json:"state"`
	Text  string   `json:"text"`
	Why   string   `json:"why,omitempty"`
	Fix   []string `json:"fix,omitempty"`
	More  string   `json:"more,omitempty"`
}

func (a *app) doctor(ctx context.Context, patient string) error {
	c, err := a.choose()
	if err != nil {
		return err
	}
	if patient == "" && c.dev != nil && len(c.dev.Patients) > 0 {
		patient = c.dev.Patients[0].ID
	}
	d := &examination{a: a, c: c, ctx: ctx}
	if c.NoAuth {
		d.plain(patient)
	} else {
		d.all(patient)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	failed := slices.ContainsFunc(d.steps, func(s step) bool { return s.State == stepFail })
	if err := d.emit(!failed); err != nil {
		return err
	}
	if failed {
		return &exitError{exitDoctor}
	}
	return nil
}

// examination is one run of doctor.
type examination struct {
	a     *app
	c     *connection
	ctx   context.Context //nolint:containedctx // it lives as long as one command
	steps []step
	auth  *smart.Backend
}

func (d *examination) add(check, state, text string) *step {
	d.steps = append(d.steps, step{Check: check, State: state, Text: text})
	return &d.steps[len(d.steps)-1]
}

// fail explains an error; advice to run doctor is of no use here.
func (d *examination) fail(check string, err error) {
	p := d.a.explain(err)
	s := d.add(check, stepFail, p.Title)
	s.Why, s.More = p.Why, p.More
	for _, x := range p.Checked {
		if x.State == epic.CheckFail {
			s.Why = strings.TrimSpace(s.Why + "\n" + x.Text)
		}
	}
	s.Fix = slices.DeleteFunc(slices.Clone(p.Fix), func(f string) bool { return strings.HasPrefix(f, "andiron doctor") })
}

func (d *examination) all(patient string) {
	discovered := d.discovery()
	key := d.key()
	signedIn := false
	switch {
	case key == nil:
		d.add("token", stepWaiting, "for the key")
	case !discovered && d.c.TokenURL == "":
		d.add("token", stepWaiting, "for discovery")
	case d.c.ClientID == "":
		d.fail("token", &problem{Title: d.c.title() + " has no client id (client_id)", Fix: d.setFix("client_id=ID")})
	default:
		signedIn = d.token(key)
	}
	client := d.client()
	d.metadata(client)
	if !signedIn {
		d.add("read", stepWaiting, "for the token")
		return
	}
	client.Auth = d.auth
	d.read(client, patient)
}

func (d *examination) plain(patient string) {
	client := d.client()
	d.metadata(client)
	d.read(client, patient)
}

// setFix is the command that changes a named connection; none for one made of flags.
func (d *examination) setFix(change string) []string {
	if d.c.Name == "" {
		return nil
	}
	return []string{"andiron connection set " + d.c.Name + " " + change}
}

func (d *examination) client() *fhir.Client {
	client := &fhir.Client{
		Base: d.c.FHIR, Now: d.a.now, Limits: fhir.Limits{PerMinute: d.c.PerMinute, MaxTries: 2, HeaderTimeout: 30 * time.Second, TotalTimeout: time.Minute},
	}
	if d.c.ClientID != "" {
		client.Header = http.Header{"Epic-Client-ID": {d.c.ClientID}}
	}
	return client
}

func (d *examination) discovery() bool {
	conf, err := smart.Discover(d.ctx, nil, d.c.FHIR)
	if err != nil {
		d.fail("discovery", err)
		return false
	}
	if conf.TokenEndpoint == "" {
		s := d.add("discovery", stepFail, "the server names no token endpoint")
		s.Why = "At Epic the base ends in /api/FHIR/R4; the path before is each site's own, and its case matters."
		s.Fix = d.setFix("token_url=URL")
		return false
	}
	text := "token endpoint " + conf.TokenEndpoint
	if conf.Fallback {
		text += " (by way of /metadata: the server has no usable smart-configuration)"
	}
	if skew := d.skew(conf.Date); skew != "" {
		text += "; " + skew
	}
	d.add("discovery", stepOK, text)
	return true
}

// skew speaks up when the clocks differ by more than an assertion bears.
func (d *examination) skew(server time.Time) string {
	if server.IsZero() {
		return ""
	}
	diff := d.a.now().Sub(server).Round(time.Second)
	if diff.Abs() < 30*time.Second {
		return ""
	}
	if diff > 0 {
		return fmt.Sprintf("this machine's clock is %s ahead of the server's", diff)
	}
	return fmt.Sprintf("this machine's clock is %s behind the server's", -diff)
}

func (d *examination) key() *smart.Key {
	key, err := d.a.privateKey(d.ctx, d.c)
	if err != nil {
		d.fail("key", err)
		return nil
	}
	if d.c.JWKS == "" {
		d.add("key", stepOK, fmt.Sprintf("%s, kid %s (no jwks is configured to compare it with)", key.Algorithm(), key.ID()))
		return key
	}
	checks, fix := d.a.published(d.ctx, d.c, key)
	for _, c := range checks {
		if c.State == epic.CheckFail {
			s := d.add("key", stepFail, c.Text)
			s.Fix, s.More = fix, "key-sets"
			return key // the token step shows whether the server minds
		}
	}
	d.add("key", stepOK, fmt.Sprintf("%s, kid %s is in the published key set", key.Algorithm(), key.ID()))
	return key
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

func (d *examination) token(key *smart.Key) bool {
	d.auth = &smart.Backend{
		Base: d.c.FHIR, ClientID: d.c.ClientID, Key: key, TokenURL: d.c.TokenURL, Scope: d.c.Scope, Tries: 2, Now: d.a.now,
	}
	if _, err := d.auth.Token(d.ctx, d.c.FHIR, ""); err != nil {
		d.fail("token", err)
		return false
	}
	text := "signed in"
	if scope, expires, ok := d.auth.Granted(); ok {
		text += fmt.Sprintf(", for %s", expires.Sub(d.a.now()).Round(time.Minute))
		if n := len(strings.Fields(scope)); n > 0 {
			text += ", " + count(n, "scope", "scopes")
		}
	}
	d.add("token", stepOK, text)
	return true
}

func (d *examination) metadata(client *fhir.Client) {
	cs, err := client.Capabilities(d.ctx)
	if err != nil {
		d.fail("metadata", err)
		return
	}
	text := "FHIR " + plain(cs.FhirVersion)
	if cs.Software != nil {
		text += ", " + plain(strings.TrimSpace(cs.Software.Name+" "+cs.Software.Version))
	}
	types := 0
	for _, rest := range cs.Rest {
		types += len(rest.Resource)
	}
	text += ", " + count(types, "resource type", "resource types")
	if !strings.HasPrefix(cs.FhirVersion, "4.0") {
		s := d.add("metadata", stepFail, text)
		s.Why = "Andiron speaks FHIR R4 (4.0). At Epic the base ends in /api/FHIR/R4."
		s.Fix = d.setFix("fhir=URL")
		return
	}
	d.add("metadata", stepOK, text)
}

// madeUp is an id that no patient has.
const madeUp = "andiron-doctor-asks-for-nobody"

func (d *examination) read(client *fhir.Client, patient string) {
	id := patient
	if id == "" {
		id = madeUp
	}
	_, err := fhir.Read[r4.Patient](d.ctx, client, id)
	var answer *fhir.Error
	switch {
	case err == nil:
		d.add("read", stepOK, "a Patient was read")
	case patient == "" && errors.As(err, &answer) && (answer.Status == http.StatusNotFound || answer.Status == http.StatusGone || answer.Status == http.StatusBadRequest):
		d.add("read", stepOK, fmt.Sprintf("the server lets the app read Patient (it answered %d for a made-up id)", answer.Status))
	default:
		d.fail("read", err)
	}
}

func (d *examination) emit(ok bool) error {
	a := d.a
	if a.format() == "table" {
		for _, s := range d.steps {
			state := s.State
			if state == stepFail {
				state = "FAIL"
			}
			fmt.Fprintf(a.out, "%-8s %-10s %s\n", state, s.Check, strings.ReplaceAll(s.Text, "\n", "\n                    "))
			for line := range strings.SplitSeq(s.Why, "\n") {
				if line != "" {
					fmt.Fprintf(a.out, "                    %s\n", line)
				}
			}
			for i, f := range s.Fix {
				label := "fix:"
				if i > 0 {
					label = "or:"
				}
				fmt.Fprintf(a.out, "                    %-6s %s\n", label, f)
			}
			if s.More != "" && s.State == stepFail {
				fmt.Fprintf(a.out, "                    more:  andiron help %s\n", s.More)
			}
		}
		return nil
	}
	doc := struct {
		Connection string `json:"connection"`
		FHIR       string `json:"fhir"`
		OK         bool   `json:"ok"`
		Checks     []step `json:"checks"`
	}{d.c.title(), d.c.FHIR, ok, d.steps}
	t := table{columns: []string{"check", "state", "text", "fix"}}
	var lines []any
	for _, s := range d.steps {
		t.add(s.Check, s.State, s.Text, strings.Join(s.Fix, "; "))
		lines = append(lines, s)
	}
	return a.emit(t, doc, lines)
}
