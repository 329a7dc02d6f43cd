package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/bulk"
	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
)

// exportOptions are export's flags.
type exportOptions struct {
	level    string
	types    []string
	filters  []string
	since    string
	elements []string
	include  []string
	fresh    bool
	dryRun   bool
	noWait   bool
	parallel int
	tries    int
	dialect  string
	curl     bool
}

func (a *app) exportCmd() *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use: "export DIR", GroupID: "populations",
		Short: "Copy a population into a folder ($export)",
		Long: `Asks the server for an export of a Group, waits for it, brings its files into DIR, and checks every
line. DIR then holds NNN.Type.ndjson files, manifest.json with their counts and checksums,
log.ndjson, and ledger.db with the state.

Stopped at any moment, the same command goes on where it was: no checked file is fetched
twice. A finished export run again does nothing and says so; --new starts the next one. It
returns when everything is there, or with --no-wait when the server has to be waited for.

Without --group the connection's group is exported; a running "andiron dev" has one with all
its patients. At Epic, Groups come from registries and reports, and no API lists their ids:
the site tells them. Epic advises at most 1000 patients a group and allows one export of a
group per client and day.`,
		Example: `  andiron export out
  andiron export out --group e3iab... --type Patient,Condition,Observation
  andiron export out --dry-run
  andiron export status out`,
		Args: func(cmd *cobra.Command, args []string) error {
			return a.arguments(1, 1, "one folder, DIR")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			explicit := false
			for _, name := range []string{"level", "group", "type", "type-filter", "since", "elements", "include"} {
				explicit = explicit || cmd.Flags().Changed(name)
			}
			return a.export(cmd.Context(), args[0], o, explicit)
		},
	}
	f := cmd.Flags()
	a.addKey(f, "group", "")
	a.addKey(f, "progress", "")
	f.StringVar(&o.level, "level", "group", "what to export: group, patient or system (Epic has group alone)")
	f.StringSliceVar(&o.types, "type", nil, "resource `TYPES`, by comma (default: what the server gives)")
	f.StringArrayVar(&o.filters, "type-filter", nil, "narrow a type by a `SEARCH` such as 'Observation?category=laboratory'; repeatable")
	f.StringVar(&o.since, "since", "", "what changed since this `TIME` (not at Epic)")
	f.StringSliceVar(&o.elements, "elements", nil, "only these `ELEMENTS` of each resource (not at Epic)")
	f.StringSliceVar(&o.include, "include", nil, "associated `DATA`, such as LatestProvenanceResources")
	f.BoolVar(&o.fresh, "new", false, "start the next export where the last one is over")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the request that would start the export, and send nothing")
	f.BoolVar(&o.curl, "curl", false, "with --dry-run: print it for curl")
	f.BoolVar(&o.noWait, "no-wait", false, "do not wait for the server: end with exit code 8 while it is at work")
	f.IntVar(&o.parallel, "parallel", 4, "how many files are read at one time")
	f.IntVar(&o.tries, "tries", 5, "how often one file is asked for before it is given up for now")
	f.StringVar(&o.dialect, "dialect", "auto", "auto, epic, stu1, stu2 or stu3 (Bulk Data Access 1.0, 2.0, 3.0)")
	_ = cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(r4.ResourceTypes(), cobra.ShellCompDirectiveNoFileComp))
	a.addConnection(cmd)
	cmd.AddCommand(a.exportStatusCmd(), a.exportListCmd(), a.exportCancelCmd(), a.exportVerifyCmd())
	return cmd
}

// check refuses what can be refused before anything is sent.
func (o exportOptions) check() error {
	for _, t := range o.types {
		if !r4.IsResourceType(t) {
			return usagef("--type: %q is no resource type of FHIR R4%s", t, didYouMean(t, r4.ResourceTypes()))
		}
	}
	for _, f := range o.filters {
		if t, _, ok := strings.Cut(f, "?"); !ok || !r4.IsResourceType(t) {
			return usagef("--type-filter is of the form TYPE?SEARCH, such as 'Observation?category=laboratory'")
		}
	}
	switch {
	case !slices.Contains([]string{"group", "patient", "system"}, o.level):
		return usagef("--level is one of: group, patient, system")
	case !slices.Contains([]string{"auto", "epic", "stu1", "stu2", "stu3"}, o.dialect):
		return usagef("--dialect is one of: auto, epic, stu1, stu2, stu3")
	case o.parallel < 1 || o.parallel > 64:
		return usagef("--parallel must be between 1 and 64")
	case o.tries < 1 || o.tries > 100:
		return usagef("--tries must be between 1 and 100")
	case o.curl && !o.dryRun:
		return usagef("--curl goes with --dry-run: it sends nothing")
	}
	return nil
}

func (a *app) export(ctx context.Context, dir string, o exportOptions, explicit bool) error {
	a.dir = dir
	if err := o.check(); err != nil {
		return err
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return usagef("%s is a file; export writes into a folder", dir)
	}
	c, client, err := a.connect(ctx)
	if err != nil {
		return err
	}
	notes := &notices{a: a}
	client.Notice = notes.add
	job := &bulk.Job{
		Client: client, Dir: dir, ClientID: c.ClientID, New: o.fresh, NoWait: o.noWait, Parallel: o.parallel, Tries: o.tries, Now: a.now,
	}
	if o.dialect != "auto" {
		job.Dialect = bulk.Dialect(o.dialect)
	}
	// A folder that has an export goes on with what it was asked for, whatever the default group
	// is by now.
	_, statusErr := bulk.Status(ctx, dir)
	if explicit || statusErr != nil {
		if o.level == "group" {
			if c.Group == "" {
				return noGroup(c)
			}
			job.Group = c.Group
		}
		job.Level, job.Types, job.TypeFilters = o.level, o.types, o.filters
		job.Since, job.Elements, job.IncludeAssociatedData = o.since, o.elements, o.include
	}
	if o.dryRun {
		return a.exportPlan(ctx, job, o)
	}
	if c.Kind != "sim" {
		a.say("using $export of %s (the per-patient way, for servers where it does not suit, is not part of this version)", c.title())
	}
	p := a.startProgress()
	job.Progress = p.exported
	a.interrupted = func() string { return p.interruptedExport(dir) }
	result, err := job.Run(ctx)
	p.stop()
	if result == nil {
		return a.exportProblem(ctx, dir, err)
	}
	if e := a.emitExport(dir, result); e != nil {
		return e
	}
	switch {
	case err != nil:
		return a.incompleteExport(dir, result, err)
	case result.Already:
		a.say("nothing to do: the export in %s is finished; --new starts the next one", dir)
	case len(result.Missing) > 0:
		a.say("no file came for: %s (a type without data has none)", strings.Join(result.Missing, ", "))
	}
	if err == nil && !result.Already && a.format() == "table" {
		a.say("%s in %s, every line checked. Next: andiron load %s", count(result.Resources, "resource", "resources"), dir, shellQuote(dir))
	}
	return nil
}

func noGroup(c *connection) error {
	p := &problem{
		Title: "there is no Group to export: name one with --group",
		Why: "At Epic no API lists Groups: the site tells the id of the registry or report that was\n" +
			"made a Group for your app.",
		More: "bulk", Exit: exitUsage,
	}
	if c.Name != "" {
		p.Fix = []string{"andiron connection set " + c.Name + " group=ID"}
	}
	return p
}

func (p *progress) interruptedExport(dir string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	safe := "nothing has been fetched yet"
	if p.files > 0 {
		safe = fmt.Sprintf("%d of %s are whole in %s", p.done, count(p.files, "file", "files"), dir)
	}
	return safe + "; the same command goes on from there"
}

// exportPlan prints the request that would be sent.
func (a *app) exportPlan(ctx context.Context, job *bulk.Job, o exportOptions) error {
	plan, err := job.Plan(ctx)
	if err != nil {
		return a.exportProblem(ctx, job.Dir, err)
	}
	for _, n := range plan.Notes {
		a.say("note: %s", n)
	}
	if o.curl {
		fmt.Fprintln(a.out, curlCommand(plan.Method, plan.URL, plan.Header, job.Client.Auth != nil))
		return nil
	}
	type planJSON struct {
		Method  string            `json:"method"`
		URL     string            `json:"url"`
		Header  map[string]string `json:"header"`
		Dialect string            `json:"dialect"`
		Reason  string            `json:"reason"`
		Notes   []string          `json:"notes"`
	}
	doc := planJSON{plan.Method, plan.URL, map[string]string{}, string(plan.Dialect), plan.Reason, append([]string{}, plan.Notes...)}
	for k := range plan.Header {
		doc.Header[k] = plan.Header.Get(k)
	}
	t := table{columns: []string{"method", "url", "dialect", "reason"}}
	t.add(doc.Method, doc.URL, doc.Dialect, doc.Reason)
	if a.format() == "table" {
		a.say("nothing was sent; this would start the export (dialect %s: %s):", doc.Dialect, doc.Reason)
		fmt.Fprintf(a.out, "%s %s\n", doc.Method, doc.URL)
		return nil
	}
	return a.emit(t, doc, nil)
}

type exportJSON struct {
	Dir             string         `json:"dir"`
	Complete        bool           `json:"complete"`
	Already         bool           `json:"already"`
	Run             int            `json:"run"`
	TransactionTime string         `json:"transaction_time"`
	Request         string         `json:"request"`
	Dialect         string         `json:"dialect"`
	Resources       int64          `json:"resources"`
	Bytes           int64          `json:"bytes"`
	Files           []fileJSON     `json:"files"`
	Absent          []absentJSON   `json:"absent"`
	Missing         []string       `json:"missing"`
	Issues          []issueJSON    `json:"issues"`
	Counts          map[string]int `json:"issue_counts"`
	ServerDeleted   bool           `json:"server_deleted"`
}

type fileJSON struct {
	Type    string `json:"type"`
	File    string `json:"file"`
	Count   int64  `json:"count"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"`
	Checked string `json:"checked"`
	Problem string `json:"problem,omitempty"`
}

type absentJSON struct {
	Type   string `json:"type"`
	File   string `json:"file"`
	Reason string `json:"reason"`
	Tries  int    `json:"tries"`
}

type issueJSON struct {
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Detail   string `json:"detail,omitempty"`
	Text     string `json:"text,omitempty"`
	Count    int    `json:"count"`
}

func (a *app) emitExport(dir string, r *bulk.Result) error {
	doc := exportJSON{
		Dir: dir, Complete: r.Complete, Already: r.Already, Run: r.Run, TransactionTime: r.TransactionTime,
		Request: r.Request, Dialect: string(r.Dialect), Resources: r.Resources, Bytes: r.Bytes,
		Files: []fileJSON{}, Absent: []absentJSON{}, Missing: append([]string{}, r.Missing...), Issues: []issueJSON{},
		Counts: r.IssueCounts, ServerDeleted: r.ServerDeleted,
	}
	if doc.Counts == nil {
		doc.Counts = map[string]int{}
	}
	t := table{columns: []string{"type", "files", "resources", "bytes"}}
	type sum struct{ files, resources, bytes int64 }
	sums := map[string]*sum{}
	var order []string
	lines := []any{}
	for _, f := range r.Output {
		x := fileJSON{f.Type, f.File, f.Count, f.Bytes, f.SHA256, f.Checked, f.Problem}
		doc.Files = append(doc.Files, x)
		lines = append(lines, x)
		if sums[f.Type] == nil {
			sums[f.Type] = &sum{}
			order = append(order, f.Type)
		}
		s := sums[f.Type]
		s.files, s.resources, s.bytes = s.files+1, s.resources+f.Count, s.bytes+f.Bytes
	}
	for _, x := range r.Absent {
		doc.Absent = append(doc.Absent, absentJSON{x.Type, x.File, x.Reason, x.Tries})
	}
	for _, i := range r.Issues {
		doc.Issues = append(doc.Issues, issueJSON{i.Severity, i.Code, i.Detail, i.Text, i.Count})
	}
	slices.Sort(order)
	for _, typ := range order {
		s := sums[typ]
		t.add(typ, strconv.FormatInt(s.files, 10), strconv.FormatInt(s.resources, 10), strconv.FormatInt(s.bytes, 10))
	}
	return a.emit(t, doc, lines)
}

// incompleteExport says what is not in the folder.
func (a *app) incompleteExport(dir string, r *bulk.Result, err error) error {
	p := &problem{Title: fmt.Sprintf("the export in %s is not complete", dir), More: "bulk", Err: err}
	var why []string
	for i, x := range r.Absent {
		if i == 5 {
			why = append(why, fmt.Sprintf("and %d more", len(r.Absent)-i))
			break
		}
		why = append(why, fmt.Sprintf("%s: %s (asked for %s)", x.File, x.Reason, times(x.Tries)))
	}
	for _, f := range r.Output {
		if f.Problem != "" {
			why = append(why, f.File+": "+f.Problem)
		}
	}
	for _, i := range r.Issues {
		if i.Severity != "error" && i.Severity != "fatal" {
			continue
		}
		text := "the server reports " + i.Severity + "/" + i.Code
		if code, ok := epic.LookupCode(i.Detail); ok {
			text += " " + code.Number + ": " + code.Meaning
		}
		why = append(why, text+" ("+times(i.Count)+"; the text is in "+dir+"/error)")
	}
	p.Why = strings.Join(why, "\n")
	if len(r.Absent) > 0 {
		p.Fix = []string{a.exportAgain(dir, "")}
	} else {
		p.Fix = []string{"andiron load " + shellQuote(dir) + " --allow-incomplete", a.exportAgain(dir, " --new")}
	}
	return p
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// exportAgain is the command that goes on in a folder.
func (a *app) exportAgain(dir, flags string) string {
	return "andiron export " + shellQuote(dir) + flags + a.connectionFlags()
}

// exportProblem says why an export stopped, where package bulk knows; the rest is explained as
// everywhere.
func (a *app) exportProblem(ctx context.Context, dir string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p := &problem{More: "bulk", Err: err}
	var running *bulk.StillRunningError
	var cool *bulk.CoolDownError
	var busy *bulk.BusyError
	var step *bulk.Error
	errors.As(err, &step)
	switch {
	case errors.As(err, &running):
		p.Title = "the server is still at work on the export"
		if running.Progress != "" {
			p.Title += " (" + plain(running.Progress) + ")"
		}
		p.Why = "Ask again from " + when(running.Next) + " on; the same command goes on."
		p.Fix = []string{a.again()}
	case errors.As(err, &cool):
		p.Title = "the server permits no export of this Group before " + when(cool.Until)
		p.Why = "It was exported too recently. Epic allows one export of a Group per client and day, unless the\nsite says otherwise. The same command then starts it."
		if c := a.connection; c != nil && c.dev != nil {
			p.Fix = []string{"andiron sim clock --advance 24h"}
		}
	case errors.As(err, &busy):
		p.Title = fmt.Sprintf("another command is at work in %s", dir)
		if busy.PID != 0 {
			p.Title = fmt.Sprintf("process %d on %s is at work in %s", busy.PID, busy.Host, dir)
		}
		p.Fix = []string{"andiron export status " + shellQuote(dir)}
	case errors.Is(err, bulk.ErrUnknownKickoff):
		p.Title = "an export was asked for, and no answer says whether the server began it (unknown)"
		p.Why = "It is not asked for again by itself, since that could start a second export, or use up the only one\nof the day. Ask the site whether an export runs for your client, or let its window pass (24 hours at\nEpic). Then start the next one:"
		p.Fix = []string{a.exportAgain(dir, " --new")}
		p.Exit = exitFailed // not the cause's, such as "unavailable": later does not work by itself
	case errors.Is(err, bulk.ErrLost):
		p.Title = "the server no longer knows this export (404)"
		p.Why = "It has expired or was deleted there. What was verified stays in the folder until the next one is ready."
		p.Fix = []string{a.exportAgain(dir, " --new")}
	case errors.Is(err, bulk.ErrFailed):
		p.Title = "the server reports that the export failed"
		p.Fix = []string{a.exportAgain(dir, " --new")}
		p.Exit = exitFailed
	case errors.Is(err, bulk.ErrCancelled):
		p.Title = fmt.Sprintf("the export in %s was cancelled", dir)
		p.Fix = []string{a.exportAgain(dir, " --new")}
		p.Exit = exitFailed
	case errors.Is(err, bulk.ErrOverdue):
		p.Title = "the server did not finish the export in time"
		p.Fix = []string{a.exportAgain(dir, ""), "andiron export cancel " + shellQuote(dir) + a.connectionFlags()}
		p.Exit = exitUnavailable
	case errors.Is(err, bulk.ErrDifferent):
		p.Title = fmt.Sprintf("%s holds another export than the one asked for", dir)
		p.Why = "An export keeps its server, Group and types until it is over. Take another folder for another question."
		p.Fix = []string{"andiron export status " + shellQuote(dir)}
		p.Exit = exitUsage
	case errors.Is(err, bulk.ErrForeignFolder):
		p.Title = fmt.Sprintf("%s holds data that no export of andiron's put there", dir)
		p.Why = "Nothing was sent and nothing changed. Take an empty folder, or load what is there:"
		p.Fix = []string{"andiron load " + shellQuote(dir)}
		p.Exit = exitUsage
	case errors.Is(err, bulk.ErrNoLedger):
		p.Title = fmt.Sprintf("there is no export in %s", dir)
		p.Fix = []string{"andiron export " + shellQuote(dir)}
	case errors.Is(err, bulk.ErrFolder):
		p.Title = fmt.Sprintf("the folder %s cannot be written: %v", dir, cause(err))
		p.Why = "What was verified before is safe. With room and permission the same command goes on."
		if errors.Is(err, fs.ErrNotExist) {
			p.Exit = exitNotFound
		}
	case errors.Is(err, bulk.ErrUnsupported):
		p.Title = "this server's dialect does not have what was asked for: " + strings.TrimSuffix(strings.TrimPrefix(err.Error(), "bulk: kick-off: "), ": "+bulk.ErrUnsupported.Error())
		p.Why = "Nothing was sent. Leave it out, or name another dialect with --dialect."
	case errors.Is(err, bulk.ErrManifest), errors.Is(err, bulk.ErrNoStatusURL):
		p.Title = "the server's answer about the export cannot be used: " + cause(err).Error()
		p.Fix = []string{"andiron doctor" + a.connectionFlags()}
	case errors.Is(err, bulk.ErrUnavailable):
		p.Title = "the server did not answer usefully, too often in a row"
		p.Why = "The export may still run there. The same command asks again."
		p.Fix = []string{a.exportAgain(dir, ""), "andiron doctor" + a.connectionFlags()}
	case step != nil && step.Op == "check" && step.File != "":
		p.Title = fmt.Sprintf("%s/%s is not as it was when the export was finished", dir, step.File)
		p.Fix = []string{"andiron export verify " + shellQuote(dir), a.exportAgain(dir, " --new")}
		p.Exit = exitIncomplete
	default:
		var sent *fhir.Error
		if step != nil && !errors.As(err, &sent) && step.Op == "setup" {
			return usagef("%s", strings.TrimPrefix(err.Error(), "bulk: setup: "))
		}
		return err
	}
	return p
}

func when(t time.Time) string {
	if t.IsZero() {
		return "now"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func (a *app) exportStatusCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "status DIR",
		Short: "How far the export in a folder has come",
		Long:  `Reads the ledger of DIR; it asks no server, and may be used while an export is at work there.`,
		Args:  a.arguments(1, 1, "one folder, DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := bulk.Status(cmd.Context(), args[0])
			if err != nil {
				return a.exportProblem(cmd.Context(), args[0], err)
			}
			return a.emitStatus(args[0], run)
		},
	}
}

type statusJSON struct {
	Dir       string           `json:"dir"`
	Run       int              `json:"run"`
	State     string           `json:"state"`
	Base      string           `json:"base"`
	Level     string           `json:"level"`
	Group     string           `json:"group,omitempty"`
	Dialect   string           `json:"dialect,omitempty"`
	Started   string           `json:"started,omitempty"`
	Sent      string           `json:"sent,omitempty"`
	Finished  string           `json:"finished,omitempty"`
	NextPoll  string           `json:"next_poll,omitempty"`
	Progress  string           `json:"progress,omitempty"`
	CoolDown  string           `json:"cool_down,omitempty"`
	Files     int              `json:"files"`
	Verified  int              `json:"verified"`
	Resources int64            `json:"resources"`
	Bytes     int64            `json:"bytes"`
	List      []statusFileJSON `json:"list"`
}

type statusFileJSON struct {
	File   string `json:"file"`
	Type   string `json:"type"`
	State  string `json:"state"`
	Tries  int    `json:"tries"`
	Count  int64  `json:"count"`
	Bytes  int64  `json:"bytes"`
	Reason string `json:"reason,omitempty"`
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func statusOf(dir string, run *bulk.Run) statusJSON {
	doc := statusJSON{
		Dir: dir, Run: run.ID, State: string(run.State), Base: run.Base, Level: run.Level, Group: run.Group,
		Dialect: string(run.Dialect), Started: stamp(run.Started), Sent: stamp(run.Sent), Finished: stamp(run.Finished),
		NextPoll: stamp(run.NextPoll), Progress: run.Progress, CoolDown: stamp(run.CoolDown), List: []statusFileJSON{},
	}
	for _, f := range run.Files {
		doc.Files++
		if f.State == bulk.FileVerified {
			doc.Verified++
			if f.List == "output" {
				doc.Resources += f.Lines
			}
			doc.Bytes += f.Bytes
		}
		doc.List = append(doc.List, statusFileJSON{f.File, f.Type, string(f.State), f.Tries, f.Lines, f.Bytes, f.Reason})
	}
	return doc
}

func (a *app) emitStatus(dir string, run *bulk.Run) error {
	doc := statusOf(dir, run)
	t := table{columns: []string{"run", "state", "files", "verified", "resources", "bytes", "started"}}
	t.add(strconv.Itoa(doc.Run), doc.State, strconv.Itoa(doc.Files), strconv.Itoa(doc.Verified),
		strconv.FormatInt(doc.Resources, 10), strconv.FormatInt(doc.Bytes, 10), doc.Started)
	if err := a.emit(t, doc, nil); err != nil {
		return err
	}
	if a.format() != "table" {
		return nil
	}
	for _, f := range doc.List {
		if f.Reason != "" {
			a.say("%s: %s: %s", f.File, f.State, f.Reason)
		}
	}
	if doc.NextPoll != "" && run.State == bulk.StateRunning {
		a.say("the server is at work; it is asked again from %s on", doc.NextPoll)
	}
	return nil
}

func (a *app) exportListCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "list DIR",
		Short: "The exports that a folder has seen",
		Long:  `Lists the runs of DIR, the first one first: the present one, and those that --new replaced.`,
		Args:  a.arguments(1, 1, "one folder, DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			runs, err := bulk.Runs(cmd.Context(), args[0])
			if err != nil {
				return a.exportProblem(cmd.Context(), args[0], err)
			}
			type runJSON struct {
				Run             int    `json:"run"`
				State           string `json:"state"`
				Base            string `json:"base"`
				Group           string `json:"group,omitempty"`
				Started         string `json:"started"`
				Finished        string `json:"finished,omitempty"`
				TransactionTime string `json:"transaction_time,omitempty"`
			}
			t := table{columns: []string{"run", "state", "started", "finished", "transaction_time"}}
			docs := []runJSON{}
			lines := []any{}
			for _, r := range runs {
				d := runJSON{r.ID, string(r.State), r.Base, r.Group, stamp(r.Started), stamp(r.Finished), r.TransactionTime}
				docs = append(docs, d)
				lines = append(lines, d)
				t.add(strconv.Itoa(d.Run), d.State, d.Started, d.Finished, d.TransactionTime)
			}
			return a.emit(t, docs, lines)
		},
	}
}

func (a *app) exportCancelCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cancel DIR",
		Short: "Tell the server to forget an unfinished export",
		Long: `Ends an export that is not finished: the server is told to delete it, and the folder keeps what was
verified. At Epic a deleted unfinished export does not count against the day's one.`,
		Args: a.arguments(1, 1, "one folder, DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := args[0]
			if _, err := bulk.Status(cmd.Context(), dir); err != nil {
				return a.exportProblem(cmd.Context(), dir, err)
			}
			_, client, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			if err := bulk.Cancel(cmd.Context(), client, dir); err != nil {
				return a.exportProblem(cmd.Context(), dir, err)
			}
			run, err := bulk.Status(cmd.Context(), dir)
			if err != nil {
				return a.exportProblem(cmd.Context(), dir, err)
			}
			return a.emitStatus(dir, run)
		},
	}
	a.addConnection(cmd)
	return cmd
}

func (a *app) exportVerifyCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "verify DIR",
		Short: "Check a folder again, without a network",
		Long: `Reads every file of DIR again and holds it against manifest.json: length, checksum, each line, and
whether a file is missing or too many. The exit code is 3 when the folder is not whole.`,
		Args: a.arguments(1, 1, "one folder, DIR"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.exportVerify(cmd.Context(), args[0]) },
	}
}

func (a *app) exportVerify(ctx context.Context, dir string) error {
	report, err := bulk.Verify(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return &problem{
			Title: fmt.Sprintf("there is no finished export in %s (no manifest.json)", dir),
			Fix:   []string{"andiron export " + shellQuote(dir)}, Exit: exitNotFound, Err: err,
		}
	}
	if err != nil {
		return a.exportProblem(ctx, dir, err)
	}
	type verifyJSON struct {
		Dir       string         `json:"dir"`
		OK        bool           `json:"ok"`
		Complete  bool           `json:"complete"`
		Files     int            `json:"files"`
		Resources int64          `json:"resources"`
		Bytes     int64          `json:"bytes"`
		Problems  []bulk.Problem `json:"problems"`
	}
	doc := verifyJSON{dir, report.OK(), report.Manifest.Complete, report.Files, report.Resources, report.Bytes, append([]bulk.Problem{}, report.Problems...)}
	t := table{columns: []string{"files", "resources", "bytes", "complete", "problems"}}
	t.add(strconv.Itoa(doc.Files), strconv.FormatInt(doc.Resources, 10), strconv.FormatInt(doc.Bytes, 10), yesNo(doc.Complete), strconv.Itoa(len(doc.Problems)))
	if err := a.emit(t, doc, nil); err != nil {
		return err
	}
	if report.OK() {
		return nil
	}
	p := &problem{Title: fmt.Sprintf("the folder %s is not whole", dir), More: "bulk", Exit: exitIncomplete, Err: bulk.ErrIncomplete}
	var why []string
	for i, x := range report.Problems {
		if i == 10 {
			why = append(why, fmt.Sprintf("and %d more", len(report.Problems)-i))
			break
		}
		why = append(why, x.File+": "+x.Text)
	}
	p.Fix = []string{a.exportAgain(dir, " --new")}
	if !report.Manifest.Complete {
		why = append(why, "the export is not complete")
		p.Fix = []string{a.exportAgain(dir, "")}
	}
	p.Why = strings.Join(why, "\n")
	return p
}
