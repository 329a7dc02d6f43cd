package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/sim"
)

func (a *app) simCmd() *cobra.Command {
	return a.groupCmd("sim", "act", "Look into and disturb the simulated Epic",
		`Works on a running "andiron dev": what it was asked, what shall go wrong, what time it is,
which apps are registered. These commands reach simulators on this machine alone. "andiron help
simulator" says more.`,
		a.simLogCmd(), a.simFaultCmd(), a.simClockCmd(), a.simResetCmd(), a.simAppCmd())
}

// simulator is the origin of the simulator in use.
func (a *app) simulator() (string, error) {
	c, err := a.choose()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(c.FHIR)
	if err != nil || !loopback(u.Hostname()) {
		return "", usagef("%s is no simulator on this machine", c.title())
	}
	return u.Scheme + "://" + u.Host, nil
}

// control asks the simulator's own paths. Out is a JSON document or nil.
func (a *app) control(ctx context.Context, method, path string, in, out any) error {
	origin, err := a.simulator()
	if err != nil {
		return err
	}
	var body io.Reader
	if in != nil {
		data, err := marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, origin+"/_sim/"+path, body)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := readAll(resp.Body, 64<<20)
	if err != nil {
		return err
	}
	switch {
	case resp.StatusCode == http.StatusBadRequest:
		return usagef("%s", plain(strings.TrimPrefix(strings.TrimSpace(string(data)), "sim: ")))
	case resp.StatusCode >= 300:
		return &problem{Title: fmt.Sprintf("%s has no simulator's controls (%d)", origin, resp.StatusCode), Fix: []string{"andiron dev"}, Exit: exitNotFound}
	case out == nil:
		return nil
	}
	return json.Unmarshal(data, out)
}

func (a *app) simLogCmd() *cobra.Command {
	var reset bool
	var last int
	cmd := &cobra.Command{
		Use: "log", Short: "What the simulator was asked, and how it answered",
		Long: `Lists the exchanges that the simulator remembers, the last ones last, each refusal with its reason:
also those that Epic keeps to itself.`,
		Args: a.arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Exchanges []sim.Exchange `json:"exchanges"`
			}
			if err := a.control(cmd.Context(), http.MethodGet, "log", nil, &got); err != nil {
				return err
			}
			list := got.Exchanges
			if last > 0 && len(list) > last {
				if a.format() == "table" {
					a.say("the last %d of %d; --last 0 shows all", last, len(list))
				}
				list = list[len(list)-last:]
			}
			t := table{columns: []string{"seq", "time", "op", "method", "path", "status", "reason"}}
			docs := []sim.Exchange{}
			lines := []any{}
			for _, x := range list {
				t.add(strconv.FormatInt(x.Seq, 10), x.Time.UTC().Format("15:04:05.000"), x.Op, x.Method, x.Path, strconv.Itoa(x.Status), x.Reason)
				docs = append(docs, x)
				lines = append(lines, x)
			}
			if err := a.emit(t, docs, lines); err != nil {
				return err
			}
			if reset {
				return a.control(cmd.Context(), http.MethodDelete, "log", nil, nil)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&reset, "clear", false, "empty the log afterwards")
	cmd.Flags().IntVar(&last, "last", 50, "how many exchanges; 0 is all")
	a.addConnection(cmd)
	return cmd
}

func (a *app) simFaultCmd() *cobra.Command {
	var f sim.Fault
	var heal bool
	cmd := &cobra.Command{
		Use: "fault", Short: "Let something go wrong",
		Long: `Sets a fault: which requests (--op, --type, --file), when (--skip, --times, --probability), and
what happens (--status, --code, --body, --cut, --latency). Without flags it lists the faults;
--heal ends them all.`,
		Example: `  andiron sim fault --op search --status 503 --times 2
  andiron sim fault --op file --type Observation --cut short --cut-after 1000 --times 1
  andiron sim fault --op file --body outcome
  andiron sim fault --heal`,
		Args: a.arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Faults []sim.Fault `json:"faults"`
			}
			var err error
			switch {
			case heal:
				err = a.control(cmd.Context(), http.MethodDelete, "faults", nil, nil)
			case f.Status == 0 && f.Code == "" && f.Body == "" && f.Cut == "" && f.Latency == 0:
				if f.Op != "" || f.Type != "" {
					return usagef("what shall go wrong? give --status, --code, --body, --cut or --latency")
				}
				err = a.control(cmd.Context(), http.MethodGet, "faults", nil, &got)
			default:
				err = a.control(cmd.Context(), http.MethodPost, "faults", f, &got)
			}
			if err != nil {
				return err
			}
			t := table{columns: []string{"fault"}}
			docs := []sim.Fault{}
			lines := []any{}
			for _, x := range got.Faults {
				text, err := marshal(x)
				if err != nil {
					return err
				}
				t.add(string(text))
				docs = append(docs, x)
				lines = append(lines, x)
			}
			if err := a.emit(t, docs, lines); err != nil {
				return err
			}
			if len(docs) == 0 && a.format() == "table" {
				a.say("nothing goes wrong")
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.Op, "op", "", "`KIND` of request: token, read, search, kickoff, status, file, delete, metadata, discovery, keys")
	fl.StringVar(&f.Type, "type", "", "resource `TYPE`")
	fl.IntVar(&f.File, "file", 0, "`NUMBER` of a bulk file in its manifest, from 1")
	fl.IntVar(&f.Skip, "skip", 0, "let so many requests pass first")
	fl.IntVar(&f.Times, "times", 0, "how often; 0 is always")
	fl.Float64Var(&f.Probability, "probability", 0, "how likely, between 0 and 1; 0 means certain")
	fl.IntVar(&f.Status, "status", 0, "answer with this HTTP `STATUS`")
	fl.StringVar(&f.Code, "code", "", "answer with this Epic `CODE`, such as 4131")
	fl.StringVar(&f.Body, "body", "", "answer with this `TEXT`; html and outcome stand for a page and an OperationOutcome")
	fl.StringVar(&f.Cut, "cut", "", "cut the answer: reset, short or stall")
	fl.Int64Var(&f.After, "cut-after", 0, "after so many bytes")
	fl.StringVar(&f.RetryAfter, "retry-after", "", "Retry-After `HEADER` of that answer")
	fl.DurationVar(&f.Latency, "latency", 0, "wait so long before answering, such as 2s")
	fl.BoolVar(&heal, "heal", false, "end all faults")
	a.addConnection(cmd)
	return cmd
}

func (a *app) simClockCmd() *cobra.Command {
	var in struct {
		Advance string `json:"advance,omitempty"`
		Skew    string `json:"skew,omitempty"`
	}
	cmd := &cobra.Command{
		Use: "clock", Short: "The simulator's time",
		Long: `Shows the simulator's clock, and moves it: --advance lets time pass, so that tokens expire and
windows end; --skew makes the clock wrong, as a server's can be.`,
		Example: `  andiron sim clock --advance 61m
  andiron sim clock --skew=-10m`,
		Args: a.arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var got struct {
				Now     string `json:"now"`
				Advance string `json:"advance"`
				Skew    string `json:"skew"`
			}
			method, body := http.MethodGet, any(nil)
			if in.Advance != "" || in.Skew != "" {
				method, body = http.MethodPost, in
			}
			if err := a.control(cmd.Context(), method, "clock", body, &got); err != nil {
				return err
			}
			t := table{columns: []string{"now", "advance", "skew"}}
			t.add(got.Now, got.Advance, got.Skew)
			return a.emit(t, got, nil)
		},
	}
	cmd.Flags().StringVar(&in.Advance, "advance", "", "let this `TIME` pass, such as 61m or 24h")
	cmd.Flags().StringVar(&in.Skew, "skew", "", "let the clock be wrong by this `TIME`")
	a.addConnection(cmd)
	return cmd
}

func (a *app) simResetCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "reset", Short: "Faults, log, tokens, exports and clock as at the start",
		Long: `Brings the simulator back to its start: no faults, empty log, no tokens, no exports, the right
time. Patients and apps stay.`,
		Args: a.arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.control(cmd.Context(), http.MethodPost, "reset", nil, nil); err != nil {
				return err
			}
			a.say("the simulator is as at its start")
			return nil
		},
	}
	a.addConnection(cmd)
	return cmd
}
