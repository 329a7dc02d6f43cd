package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/population"
	"github.com/andironhq/andiron/smart"
)

// devClientID is the client id of the app that dev registers for its user. Epic's are GUIDs too.
const devClientID = "a0d1c0de-0000-4000-8000-000000000001"

// The applications that people sign in to, registered for the default redirect_uri of connections.
const (
	devPatientApp    = "dev-patient"
	devClinicianApp  = "dev-clinician"
	devPatientClient = "a0d1c0de-0000-4000-8000-000000000002"
	devClinicClient  = "a0d1c0de-0000-4000-8000-000000000003"
)

// devApps are the registrations as dev announces them.
func devApps() []devApp {
	redirect, _ := findKey("redirect_uri")
	launch := strings.TrimSuffix(redirect.def, "/callback") + "/launch"
	return []devApp{
		{Name: "dev", ClientID: devClientID, Launch: launchBackend},
		{Name: devPatientApp, ClientID: devPatientClient, Launch: launchStandalone, RedirectURI: redirect.def},
		{Name: devClinicianApp, ClientID: devClinicClient, Launch: launchEHR, RedirectURI: redirect.def, LaunchURL: launch},
	}
}

// registerDev registers dev's applications at the simulator, all with the one key.
func registerDev(server *sim.Server, d *devRuntime) error {
	kinds := map[string]sim.Kind{launchBackend: sim.Backend, launchStandalone: sim.Standalone, launchEHR: sim.EHRLaunch}
	for _, x := range d.Apps {
		app := sim.App{ClientID: x.ClientID, Name: "andiron " + x.Name, Kind: kinds[x.Launch], JWKSURL: d.JWKS, LaunchURL: x.LaunchURL}
		if x.RedirectURI != "" {
			app.RedirectURIs = []string{x.RedirectURI}
			app.Persistent = true
		}
		if err := server.Register(app); err != nil {
			return err
		}
	}
	return nil
}

// devOptions are dev's flags.
type devOptions struct {
	port     int
	patients int
	seed     uint64
	data     string
	keep     string
	dialect  string
	faithful bool
	knobs    []string
}

func (a *app) devCmd() *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use: "dev", GroupID: "start",
		Short: "A simulated Epic on this machine, with patients",
		Long: `Runs a simulated Epic in this process until Ctrl-C: sign-in for backend services, FHIR R4 reads
and searches with Epic's rules and refusals, and population export. It listens on 127.0.0.1
alone and needs neither network nor account.

The patients are generated, the same ones for the same --seed. Four of them always have the
same names, ids and stories. With --data a folder of NDJSON files (.ndjson, .ndjson.gz) is
served instead, each resource as its line stands.

Three apps are registered with a key of its own, so that other commands work at once. While dev
runs, a command that names no connection, and finds none configured, uses the first and says so;
the others go by these names:

  dev            signs in by itself, sees all patients
  dev-patient    a patient signs in: andiron login dev-patient
  dev-clinician  opened in the chart: andiron login dev-clinician --ehr, then andiron launch

Who can sign in, and with which password, stands in what dev prints.

Everything is kept in memory and gone afterwards. --keep DIR keeps the app's key, so that what
you configured goes on working after a restart; the patients follow from the seed.

Exports are quick here: bulk_retry_after is 1s and bulk_window is 0, so one can be asked for
again at once. --faithful brings Epic's own pace back: no Retry-After, and one export of a
group per client and day.`,
		Example: `  andiron dev
  andiron dev --patients 1000 --seed 7
  andiron dev --data ./synthea --port 0
  andiron dev --dialect guide        behave as integration guides say Epic does`,
		Args: a.arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.dev(cmd.Context(), o, cmd.Flags().Changed) },
	}
	f := cmd.Flags()
	f.IntVar(&o.port, "port", 7400, "port on 127.0.0.1; 0 picks a free one")
	f.IntVar(&o.patients, "patients", 200, "how many patients are generated")
	f.Uint64Var(&o.seed, "seed", 1, "which patients: the same number, the same patients")
	f.StringVar(&o.data, "data", "", "serve the NDJSON files of this `DIR` instead")
	f.StringVar(&o.keep, "keep", "", "keep the app's key in this `DIR` over restarts")
	f.StringVar(&o.dialect, "dialect", "epic", "epic (as recorded), or guide (as the integration guide describes it)")
	f.BoolVar(&o.faithful, "faithful", false, "keep Epic's pace for exports: no Retry-After, one export of a group per day")
	f.StringArrayVar(&o.knobs, "knob", nil, "set one of the simulator's knobs, `NAME=VALUE` (see andiron help simulator); repeatable")
	return cmd
}

func (o devOptions) check(changed func(string) bool) error {
	switch {
	case o.port < 0 || o.port > 65535:
		return usagef("--port must be between 0 and 65535")
	case o.patients < 1 || o.patients > 1_000_000:
		return usagef("--patients must be between 1 and 1,000,000")
	case o.dialect != "epic" && o.dialect != "guide":
		return usagef("--dialect is one of: epic, guide")
	case o.data != "" && (changed("patients") || changed("seed")):
		return usagef("--data serves the patients of a folder: --patients and --seed do not go with it")
	}
	return nil
}

// knobsOf are the simulator's settings, and what to say about those that are not Epic's.
func (o devOptions) knobsOf() (sim.Knobs, []string, error) {
	var k sim.Knobs
	var say []string
	if o.dialect == "guide" {
		k = sim.GuideDialect()
		say = append(say, "dialect guide: pages of 20 with _page links, 100 requests a minute per token, /$export, and more (andiron help simulator)")
	}
	if !o.faithful {
		k.BulkRetryAfter, k.BulkWindow = time.Second, -1
		say = append(say, "bulk_retry_after is 1s and bulk_window is 0, so that exports are quick and can be repeated; --faithful keeps Epic's pace")
	}
	for _, text := range o.knobs {
		name, v, ok := strings.Cut(text, "=")
		if !ok {
			return k, nil, usagef("--knob is of the form NAME=VALUE")
		}
		if err := k.Set(name, v); err != nil {
			return k, nil, usagef("--knob: %s", strings.TrimPrefix(err.Error(), "sim: "))
		}
		say = append(say, text)
	}
	return k, say, nil
}

// dev runs the simulated Epic until it is told to stop.
func (a *app) dev(ctx context.Context, o devOptions, changed func(string) bool) error {
	if err := o.check(changed); err != nil {
		return err
	}
	knobs, said, err := o.knobsOf()
	if err != nil {
		return err
	}
	// The port first: whoever waits for patients to learn that it is taken has waited in vain.
	listener, err := a.listen(ctx, o.port)
	if err != nil {
		return err
	}
	defer listener.Close()

	type made struct {
		key *smart.Key
		err error
	}
	keyReady := make(chan made, 1)
	dir, temporary, err := devFolder(o.keep)
	if err != nil {
		return err
	}
	if temporary {
		defer os.RemoveAll(dir)
	}
	keyPath := filepath.Join(dir, "client.pem")
	go func() {
		key, err := devKey(keyPath)
		keyReady <- made{key, err}
	}()
	server := &sim.Server{Seed: o.seed, Patients: o.patients, Data: o.data, Knobs: knobs}
	defer func() { _ = server.Close() }()
	if err := server.Open(); err != nil {
		p := &problem{Title: "the simulated Epic cannot start: " + strings.TrimPrefix(err.Error(), "sim: "), More: "simulator", Err: err}
		if o.data != "" {
			p.Exit = exitNotFound
		}
		return p
	}
	ready := <-keyReady
	if ready.err != nil {
		return fmt.Errorf("the app's key: %w", ready.err)
	}
	set, err := smart.PublicSet(ready.key)
	if err != nil {
		return err
	}
	set.MaxAge = -1 // a key made anew by the next dev is seen at once

	origin := "http://" + listener.Addr().String()
	d := &devRuntime{
		PID: os.Getpid(), Console: origin, FHIR: origin + server.BasePath(), ClientID: devClientID,
		Key: "file:" + keyPath, JWKS: origin + "/jwks.json", Group: server.Group(), CDS: origin + "/cds",
	}
	if o.data == "" {
		for _, p := range population.People() {
			d.Patients = append(d.Patients, devPatient{ID: p.ID, Name: p.Given + " " + p.Family, Story: p.Story})
		}
	}
	d.Apps = devApps()
	if err := registerDev(server, d); err != nil {
		return err
	}
	for _, u := range server.UserList() {
		d.Users = append(d.Users, devUser{Name: u.Name, Login: u.Login, Password: u.Password, Reference: u.Reference})
	}
	page, err := landingPage(d, o, said)
	if err != nil {
		return err
	}
	handler := http.NewServeMux()
	handler.Handle("/", server)
	handler.HandleFunc("GET /{$}", page)
	handler.Handle("/jwks.json", set)
	handler.HandleFunc("GET /cds/cds-services", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"services":[]}`+"\n")
	})
	web := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	if err := a.writeRuntime(d); err != nil {
		a.say("note: other commands will not find this one by themselves: %v", cause(err))
	}
	defer a.removeRuntime(d)
	if err := a.banner(d, o, said); err != nil {
		return err
	}
	select {
	case err = <-failed:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if web.Shutdown(stop) != nil {
		_ = web.Close()
	}
	a.say("stopped")
	return nil
}

// banner says that dev is ready: one line of JSON, or what a newcomer wants to know.
func (a *app) banner(d *devRuntime, o devOptions, said []string) error {
	if a.speaksJSON() {
		return writeJSON(a.out, struct {
			Console  string `json:"console"`
			FHIR     string `json:"fhir"`
			ClientID string `json:"client_id"`
			Key      string `json:"key"`
			JWKS     string `json:"jwks"`
			Group    string `json:"group"`
			CDS      string `json:"cds"`

			Apps  []devApp  `json:"apps"`
			Users []devUser `json:"users"`
		}{d.Console, d.FHIR, d.ClientID, d.Key, d.JWKS, d.Group, d.CDS, d.Apps, d.Users})
	}
	_, err := io.WriteString(a.out, bannerText(d, o, said))
	return err
}

func bannerText(d *devRuntime, o devOptions, said []string) string {
	var b strings.Builder
	what := fmt.Sprintf("%s, seed %d", count(o.patients, "generated patient", "generated patients"), o.seed)
	if o.data != "" {
		what = "the patients of " + o.data
	}
	fmt.Fprintf(&b, "Simulated Epic with %s. Ctrl-C stops it.\n\n", what)
	for _, row := range [][2]string{
		{"page", d.Console},
		{"fhir", d.FHIR},
		{"client id", d.ClientID},
		{"key", d.Key},
		{"jwks", d.JWKS},
		{"group", d.Group + "   (all patients)"},
		{"cds", d.CDS + "   (no services yet)"},
	} {
		fmt.Fprintf(&b, "  %-10s %s\n", row[0], row[1])
	}
	if len(d.Patients) > 0 {
		b.WriteString("\nPatients with a story:\n")
		for _, p := range d.Patients {
			fmt.Fprintf(&b, "  %-26s %s: %s\n", p.ID, p.Name, p.Story)
		}
	}
	if len(d.Users) > 0 {
		fmt.Fprintf(&b, "\nPeople who can sign in, all with the password %s:\n", d.Users[0].Password)
		for _, u := range d.Users {
			fmt.Fprintf(&b, "  %-14s %-26s %s\n", u.Login, u.Name, strings.Split(u.Reference, "/")[0])
		}
	}
	b.WriteString("\nIn another terminal:\n")
	for _, c := range nextCommands(d) {
		fmt.Fprintf(&b, "  %s\n", c)
	}
	if len(said) > 0 {
		b.WriteString("\nNot Epic's way:\n")
		for _, s := range said {
			fmt.Fprintf(&b, "  %s\n", s)
		}
	}
	return b.String()
}

// nextCommands are what to do first; each works as it stands while dev runs.
func nextCommands(d *devRuntime) []string {
	list := []string{"andiron doctor"}
	if len(d.Patients) > 0 {
		list = append(list, "andiron get 'Observation?patient="+d.Patients[0].ID+"&category=laboratory'")
	}
	if len(d.Users) > 0 {
		list = append(list, "andiron login "+devPatientApp)
	}
	return append(list, "andiron export out", "andiron load out", "andiron sql 'select count(*) from patient'")
}

// listen opens the port on loopback, or says what holds it.
func (a *app) listen(ctx context.Context, port int) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err == nil {
		return l, nil
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return nil, &problem{Title: fmt.Sprintf("port %d cannot be opened on 127.0.0.1: %v", port, cause(err)), Fix: []string{"andiron dev --port 0"}, Exit: exitFailed, Err: err}
	}
	holder := "another program"
	if d := a.runningDev(); d != nil && strings.HasSuffix(d.Console, ":"+strconv.Itoa(port)) {
		holder = fmt.Sprintf("another andiron dev (process %d), which other commands can use as it is", d.PID)
	} else if name, pid := portHolder(port); pid > 0 {
		holder = fmt.Sprintf("%s (process %d)", name, pid)
	}
	return nil, &problem{
		Title: fmt.Sprintf("port %d on 127.0.0.1 is taken by %s", port, holder),
		Why:   "Port 0 picks a free one, and dev says which.",
		Fix:   []string{"andiron dev --port 0"}, Exit: exitFailed, Err: err,
	}
}

// portHolder finds the process that listens on a port, where the system tells (Linux).
func portHolder(port int) (name string, pid int) {
	var inodes []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inodes = append(inodes, "socket:["+f[9]+"]")
			}
		}
	}
	if len(inodes) == 0 {
		return "", 0
	}
	processes, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range processes {
		if target, err := os.Readlink(fd); err != nil || !slices.Contains(inodes, target) {
			continue
		}
		part := strings.Split(fd, "/")
		pid, _ = strconv.Atoi(part[2])
		comm, _ := os.ReadFile(filepath.Join("/proc", part[2], "comm"))
		return plain(string(bytes.TrimSpace(comm))), pid
	}
	return "", 0
}

// devFolder is where the app's key lies: the kept folder, or one that goes with the process.
func devFolder(keep string) (dir string, temporary bool, err error) {
	if keep == "" {
		dir, err = os.MkdirTemp("", "andiron-dev-")
		return dir, true, err
	}
	dir, err = filepath.Abs(keep)
	if err != nil {
		return "", false, err
	}
	_, err = os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(dir, 0o700); err == nil {
			err = os.Chmod(dir, 0o700)
		}
	}
	return dir, false, err
}

// devKey reads the app's private key, or makes one (RSA, as Epic's own samples have it).
func devKey(path string) (*smart.Key, error) {
	data, err := os.ReadFile(path)
	if err == nil {
		return smart.ParseKey(data)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	key, err := smart.NewKey(smart.RS384)
	if err != nil {
		return nil, err
	}
	if data, err = key.PEM(); err != nil {
		return nil, err
	}
	return key, writePrivate(path, data)
}
