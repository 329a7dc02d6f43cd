package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/sim"
)

// launchOptions are launch's flags.
type launchOptions struct {
	sim.Launch
	noBrowser bool
	follow    bool
	wait      time.Duration
}

func (a *app) launchCmd() *cobra.Command {
	var o launchOptions
	cmd := &cobra.Command{
		Use: "launch [APP-URL]", GroupID: "act",
		Short: "Open an application as the EHR does, and watch it sign in",
		Long: `Acts as Epic's own window towards a running "andiron dev": asks it for a launch token and opens the
application's launch URL with iss and launch in your browser. Without APP-URL it is the launch URL
that the app is registered with.

It then shows each step of the sign-in as the simulated Epic sees it, with the reason where it
refuses, and ends when the application has asked for data and nothing more comes. Tokens are not
shown, and neither is what the application reads.

The app is the one of the connection dev-clinician, unless --client-id names another.`,
		Example: `  andiron launch http://127.0.0.1:8080/launch
  andiron launch --patient ID --intent reconcile-medications --no-browser`,
		Args: a.arguments(0, 1, "the APP-URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			target := ""
			if len(args) > 0 {
				target = args[0]
			}
			return a.launch(cmd.Context(), target, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.User, "user", "", "`LOGIN` of the clinician who has the chart open (default: the first)")
	f.StringVar(&o.Patient, "patient", "", "`ID` of the patient whose chart is open (default: the first with a story)")
	f.StringVar(&o.Encounter, "encounter", "", "`ID` of the encounter")
	f.StringVar(&o.Location, "location", "", "`ID` of the location")
	f.StringVar(&o.LoginDepartment, "department", "", "`ID` of the department that the clinician is signed in to")
	f.StringVar(&o.Appointment, "appointment", "", "`ID` of the appointment")
	f.StringVar(&o.Intent, "intent", "", "what the application is opened for, a `WORD`")
	f.StringVar(&o.Tenant, "tenant", "", "`ID` of the organization")
	f.BoolVar(&o.noBrowser, "no-browser", false, "print the address to open, and open nothing")
	f.BoolVar(&o.follow, "follow", true, "show each step until the application has what it wants")
	f.DurationVar(&o.wait, "timeout", 2*time.Minute, "how long to follow")
	for _, name := range []string{"connection", "fhir", "client_id"} {
		a.addKey(f, name, "")
	}
	return cmd
}

// launchPlace is the simulator to act in, and the client id to open.
func (a *app) launchPlace() (*connection, string, error) {
	id := a.settings.flags.String("client_id")
	if !a.settings.flags.Exists("connection") && !a.settings.flags.Exists("fhir") {
		d := a.runningDev()
		if d == nil {
			return nil, "", &problem{
				Title: "no simulated Epic is running, and only that can be acted for",
				Why:   "A real EHR opens applications itself.",
				Fix:   []string{"andiron dev"}, More: "launches", Exit: exitNotFound,
			}
		}
		c, err := a.fromDev(d, devClinicianApp)
		if err != nil {
			return nil, "", err
		}
		return c, c.ClientID, nil
	}
	c, err := a.choose()
	if err != nil {
		return nil, "", err
	}
	if id == "" {
		id = c.ClientID
	}
	return c, id, nil
}

func (a *app) launch(ctx context.Context, target string, o launchOptions) error {
	if o.wait <= 0 || o.wait > time.Hour {
		return usagef("--timeout is between 1s and 1h")
	}
	c, id, err := a.launchPlace()
	if err != nil {
		return err
	}
	o.ClientID = id
	if o.Patient == "" && c.dev != nil && len(c.dev.Patients) > 0 {
		o.Patient = c.dev.Patients[0].ID
	}
	var seen struct {
		Exchanges []sim.Exchange `json:"exchanges"`
	}
	if err := a.control(ctx, http.MethodGet, "log", nil, &seen); err != nil {
		return err
	}
	var since int64
	for _, x := range seen.Exchanges {
		since = max(since, x.Seq)
	}
	var got struct {
		Launch string `json:"launch"`
		URL    string `json:"url"`
	}
	if err := a.control(ctx, http.MethodPost, "launch", o.Launch, &got); err != nil {
		return err
	}
	address, err := launchAddress(target, got.URL, c.FHIR, got.Launch)
	if err != nil {
		return err
	}
	// The launch token is good once, for minutes, at a simulator: it may be shown.
	switch {
	case a.speaksJSON() && !o.follow:
		return writeJSON(a.out, map[string]string{"url": address})
	case o.noBrowser:
		a.say("open this address in a browser on this machine:")
		fmt.Fprintln(a.err, "  "+address)
	default:
		if err := a.browse(ctx, address); err != nil {
			a.say("no browser could be opened (%v); open this address yourself:", err)
			fmt.Fprintln(a.err, "  "+address)
		}
	}
	if !o.follow {
		return nil
	}
	return a.followLaunch(ctx, c, id, since, o.wait)
}

// launchAddress is what the EHR opens.
func launchAddress(target, registered, base, launch string) (string, error) {
	if target == "" {
		if registered == "" {
			return "", usagef("the app has no registered launch URL: give the APP-URL")
		}
		return registered, nil
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
		return "", usagef("APP-URL is the application's launch URL, such as http://127.0.0.1:8080/launch")
	}
	q := u.Query()
	q.Set("iss", base)
	q.Set("launch", launch)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// launchStep is one step of a sign-in as the simulator saw it.
type launchStep struct {
	Step    string `json:"step"`
	Method  string `json:"method"`
	Path    string `json:"path"`
	Status  int    `json:"status"`
	Millis  int64  `json:"ms"`
	Reason  string `json:"reason,omitempty"`
	Refused bool   `json:"refused"`
}

const (
	followPause = 200 * time.Millisecond
	followQuiet = 3 * time.Second // nothing more after the first data: the application has what it wants
	followReads = 12
)

// followLaunch shows the steps from the simulator's log.
func (a *app) followLaunch(ctx context.Context, c *connection, id string, since int64, wait time.Duration) error {
	out := a.rows("[", "step", "request", "status", "ms", "reason")
	out.live = []int{16, 48, 6, 5} // the browser moves now: show each step when it happens
	deadline := a.now().Add(wait)
	last := a.now()
	token, data, refused := false, 0, ""
	finish := func() error {
		if out.rows == 0 && a.format() == "table" {
			return nil
		}
		return out.end("]")
	}
	for {
		var got struct {
			Exchanges []sim.Exchange `json:"exchanges"`
		}
		if err := a.control(ctx, http.MethodGet, "log?since="+strconv.FormatInt(since, 10), nil, &got); err != nil {
			return errors.Join(finish(), err)
		}
		for _, x := range got.Exchanges {
			since = max(since, x.Seq)
			if x.Client != "" && x.Client != id {
				continue // another application of this simulator
			}
			s := launchStep{Step: stepName(x), Method: x.Method, Path: x.Path, Status: x.Status, Millis: x.Duration.Milliseconds(), Reason: x.Reason, Refused: x.Status >= 400}
			doc, err := json.Marshal(s)
			if err != nil {
				return err
			}
			last = a.now()
			if err := out.add([]string{s.Step, s.Method + " " + s.Path, strconv.Itoa(s.Status), strconv.FormatInt(s.Millis, 10), s.Reason}, doc); err != nil {
				return err
			}
			switch {
			case x.Op == "token" && x.Status == http.StatusOK:
				token = true
			case token && (x.Op == "read" || x.Op == "search"):
				data++
			case s.Refused && (x.Op == "token" || x.Op == "authorize"):
				refused = s.Reason
				if refused == "" {
					refused = "status " + strconv.Itoa(s.Status)
				}
			}
		}
		now := a.now()
		switch {
		case refused != "":
			if err := finish(); err != nil {
				return err
			}
			return &problem{Title: "the sign-in was refused: " + plain(refused), More: "launches", Exit: exitRefused}
		case data >= followReads, token && now.Sub(last) >= followQuiet:
			if err := finish(); err != nil {
				return err
			}
			a.say("the application is signed in%s", map[bool]string{true: " and reads", false: "; it has asked for no data yet"}[data > 0])
			return nil
		case !now.Before(deadline):
			if err := finish(); err != nil {
				return err
			}
			return &problem{
				Title: fmt.Sprintf("the application was not signed in within %v", wait),
				Why:   "Where no step is shown, nothing answers at the launch URL, or the application never asked this Epic. A step that is missing is the one that it hangs at.",
				More:  "launches", Exit: exitUnavailable,
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(finish(), ctx.Err())
		case <-time.After(followPause):
		}
	}
}

// stepName is a step in the words of a launch.
func stepName(x sim.Exchange) string {
	switch x.Op {
	case "discovery", "metadata":
		return "discovery"
	case "read", "search":
		if x.Type != "" {
			return x.Op + " " + x.Type
		}
	}
	return x.Op
}
