package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
)

// Manifest is manifest.json: what lies in the folder. Its names are relative to the folder.
// Unknown members must be ignored: later versions will have more.
type Manifest struct {
	// TransactionTime is the server's time of the export, as it wrote it: what a next
	// export's Since may start from. Our own clock never is.
	TransactionTime string `json:"transactionTime"`
	// Request is the kick-off's URL, without the parameter patient.
	Request string `json:"request"`
	// Complete reports that every file which the server listed is verified and that it
	// reported no errors. A loader should not take a folder for whole without it.
	Complete bool `json:"complete"`
	// Base is the FHIR server.
	Base string `json:"base"`
	// Dialect is how the server was spoken with.
	Dialect Dialect `json:"dialect"`
	// Run is the number of this run in the folder.
	Run int `json:"run"`
	// Started and Finished are times of our clock; Finished is zero while work goes on.
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished,omitzero"`
	// Output are the verified files of resources, in the server's order.
	Output []File `json:"output"`
	// Error are the files in which the server reports what it could not export, or remarks.
	Error []File `json:"error"`
	// Deleted are files of transaction Bundles with what has gone since the last export.
	Deleted []File `json:"deleted"`
	// Absent are the files that the server listed and that are not here, with the reason.
	Absent []Absent `json:"absent,omitempty"`
	// Missing are the types that were asked for and of which no file was listed. A type
	// without data has none, so this alone is no failure.
	Missing []string `json:"missing,omitempty"`
	// IssueCounts counts what the files of Error say, by severity.
	IssueCounts map[string]int `json:"issues,omitempty"`
}

// File is one file of the folder.
type File struct {
	// Type is the resource type of its lines, "" when the server named none.
	Type string `json:"type,omitempty"`
	// File is its name, with "/" for a folder below.
	File string `json:"file"`
	// Count is the number of resources.
	Count int64 `json:"count"`
	// Bytes is its size.
	Bytes int64 `json:"bytes"`
	// SHA256 is its checksum in hex.
	SHA256 string `json:"sha256"`
	// Checked is what its completeness rests on: "count" or "size" of the server's manifest,
	// "length" or "gzip" of the transfer, or "lines" alone: then a cut between two lines
	// would not have been seen.
	Checked string `json:"checked"`
	// Problem is set when the lines are valid and something else is not as announced.
	Problem string `json:"problem,omitempty"`
}

// Absent is a file that the server listed and that could not be had.
type Absent struct {
	// Type is its resource type.
	Type string `json:"type,omitempty"`
	// File is the name that it would have.
	File string `json:"file"`
	// Reason is one line without patient data.
	Reason string `json:"reason"`
	// Tries is how often it was asked for, over all Runs.
	Tries int `json:"tries"`
	// Kept is the name under which damaged bytes lie, if they do.
	Kept string `json:"kept,omitempty"`
}

// Result is what a Run has come to.
type Result struct {
	Manifest
	// Already reports that the run was finished before and nothing was done.
	Already bool
	// Resources and Bytes sum up Output.
	Resources, Bytes int64
	// Issues are what the server reported in its error files, the worst first, each
	// different one once, at most 1,000. The text is the server's and may name a patient.
	Issues []Issue
	// ServerDeleted reports that the server was told to forget the job, and has agreed.
	ServerDeleted bool
}

// Issue is something that the server reported beside the data.
type Issue struct {
	// Severity is fatal, error, warning or information.
	Severity string `json:"severity"`
	// Code is FHIR's issue type.
	Code string `json:"code"`
	// Detail is the code of a list of the server's own, such as Epic's 59130; "" without one.
	Detail string `json:"detail,omitempty"`
	// Text is the server's. It may name a patient.
	Text string `json:"text,omitempty"`
	// Count is how often it came.
	Count int `json:"count"`
}

// ReadManifest reads manifest.json of a folder.
func ReadManifest(dir string) (*Manifest, error) {
	data, err := os.ReadFile(folder{dir: dir}.path(manifestName))
	if err != nil {
		return nil, wrap("manifest", local(err))
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, wrap("manifest", ErrManifest)
	}
	return &m, nil
}

// finish closes a run: our manifest first, then the log, then the ledger, and at the very
// end the server's copy.
func (r *runner) finish(ctx context.Context, rows []*row) (*Result, error) {
	res, err := r.result(rows)
	if err != nil {
		return nil, wrap("check", err)
	}
	whole := !slices.ContainsFunc(rows, func(f *row) bool { return f.state != FileVerified })
	r.rec.finished = r.now()
	res.Finished = r.rec.finished
	if err := r.writeManifest(&res.Manifest); err != nil {
		return nil, wrap("keep", err)
	}
	if !whole {
		if err := r.ledger.save(ctx, r.rec); err != nil {
			return nil, wrap("ledger", err)
		}
		r.emit(Event{Kind: KindDone, Text: "incomplete", Files: len(rows), Done: len(rows) - len(res.Absent)})
		return res, wrap("export", ErrIncomplete)
	}
	r.logExport(res)
	r.rec.state = StateDone
	if err := r.ledger.save(ctx, r.rec); err != nil {
		return nil, wrap("ledger", err)
	}
	return r.close(ctx, res)
}

// unfinished writes what there is when a run cannot go on.
func (r *runner) unfinished(_ context.Context, rows []*row) error {
	res, err := r.result(rows)
	if err != nil {
		return err
	}
	return r.writeManifest(&res.Manifest)
}

// close tells the server that its copy is no longer needed (Bulk Data Access, "Bulk Data
// Delete Request"). That it fails is no failure of the export.
func (r *runner) close(ctx context.Context, res *Result) (*Result, error) {
	if r.rec.deleted == "" {
		err := r.deleteJob(ctx, r.Client)
		switch {
		case err == nil:
			r.rec.deleted = "yes"
		case ctx.Err() == nil: // else the next Run tells the server
			r.rec.deleted = "failed"
		}
		if err != nil {
			r.emit(Event{Kind: KindWarning, Err: wrap("delete", err), Text: "the server was not told to forget the job"})
		}
		if err := r.ledger.save(ctx, r.rec); err != nil {
			return nil, wrap("ledger", err)
		}
	}
	res.ServerDeleted = r.rec.deleted == "yes"
	end := "complete"
	if !res.Complete {
		end = "incomplete"
	}
	if res.Already {
		end = "nothing to do"
	}
	r.emit(Event{Kind: KindDone, Text: end, Files: len(res.Output), Done: len(res.Output)})
	if !res.Complete {
		return res, wrap("export", ErrIncomplete)
	}
	return res, nil
}

// already answers a Run on a finished folder.
func (r *runner) already(ctx context.Context) (*Result, error) {
	rows, err := r.ledger.files(ctx, r.rec.id)
	if err != nil {
		return nil, wrap("ledger", err)
	}
	for _, f := range rows {
		if info, err := os.Lstat(r.folder.path(f.name)); err != nil || info.Size() != f.bytes {
			return nil, &Error{Op: "check", File: f.name, Err: errors.New("changed or removed since the export was finished")}
		}
	}
	res, err := r.result(rows)
	if err != nil {
		return nil, wrap("check", err)
	}
	res.Already = true
	return r.close(ctx, res)
}

// result draws up what lies in the folder.
func (r *runner) result(rows []*row) (*Result, error) {
	res := &Result{Manifest: Manifest{
		TransactionTime: r.rec.transactionTime, Request: withoutPatient(r.rec.base + "/" + r.rec.request),
		Base: r.rec.base, Dialect: r.rec.dialect, Run: r.rec.id, Started: r.rec.started, Finished: r.rec.finished,
		Output: []File{}, Error: []File{}, Deleted: []File{},
	}}
	res.Complete = r.rec.state == StateListed || r.rec.state == StateDone
	delivered := map[string]bool{}
	counts := map[Issue]int{}
	severities := map[string]int{}
	for _, f := range rows {
		delivered[strings.ToLower(f.typ)] = true
		if f.state != FileVerified && f.state != FileMismatch {
			a := Absent{Type: f.typ, File: f.name, Reason: f.reason, Tries: f.tries}
			if a.Reason == "" {
				a.Reason = "not fetched yet"
			}
			if r.folder.exists(f.name + damagedExt) {
				a.Kept = f.name + damagedExt
			}
			res.Absent = append(res.Absent, a)
			res.Complete = false
			continue
		}
		file := File{Type: f.typ, File: f.name, Count: f.lines, Bytes: f.bytes, SHA256: f.sha256, Checked: f.checked}
		if f.state == FileMismatch {
			file.Problem = f.reason
			res.Complete = false
		}
		switch f.list {
		case "output":
			res.Output = append(res.Output, file)
			res.Resources += f.lines
			res.Bytes += f.bytes
		case "error":
			res.Error = append(res.Error, file)
			if err := r.readIssues(f.name, counts, severities); err != nil {
				return nil, err
			}
		case "deleted":
			res.Deleted = append(res.Deleted, file)
		}
	}
	for i, n := range counts {
		i.Count = n
		res.Issues = append(res.Issues, i)
	}
	slices.SortFunc(res.Issues, func(a, b Issue) int {
		if d := rank(b.Severity) - rank(a.Severity); d != 0 {
			return d
		}
		return strings.Compare(a.Code+a.Detail+a.Text, b.Code+b.Detail+b.Text)
	})
	if len(severities) > 0 {
		res.IssueCounts = severities
	}
	if severities["error"]+severities["fatal"] > 0 {
		res.Complete = false
	}
	var s spec
	if json.Unmarshal([]byte(r.rec.spec), &s) == nil {
		for _, t := range dedupe(s.Types) {
			if !delivered[strings.ToLower(t)] {
				res.Missing = append(res.Missing, t)
			}
		}
	}
	return res, nil
}

// rank orders severities (FHIR R4, issue-severity). What is no word of that list counts as an
// error: better a run too many called incomplete than one too few.
func rank(severity string) int {
	switch severity {
	case "fatal":
		return 4
	case "warning":
		return 2
	case "information", "success":
		return 1
	}
	return 3
}

const maxIssues = 1000

func (r *runner) readIssues(name string, counts map[Issue]int, severities map[string]int) error {
	file, err := os.Open(r.folder.path(name))
	if err != nil {
		return local(err)
	}
	defer file.Close()
	for line, err := range r4.Lines(file) {
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		o, ok := asOutcome(line.Data)
		if !ok || len(o.Issue) == 0 {
			severities["error"]++ // the server reports something that cannot be read
			continue
		}
		for _, i := range o.Issue {
			severity := i.Severity
			if rank(severity) == 3 {
				severity = "error"
			}
			severities[severity]++
			issue := Issue{Severity: severity, Code: i.Code, Text: outcomeText(&r4.OperationOutcome{Issue: []r4.OperationOutcomeIssue{i}})}
			if i.Details != nil {
				for _, c := range i.Details.Coding {
					if c.Code != "" {
						issue.Detail = c.Code
						break
					}
				}
			}
			if _, known := counts[issue]; known || len(counts) < maxIssues {
				counts[issue]++
			}
		}
	}
	return nil
}

func (r *runner) writeManifest(m *Manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return r.folder.writeAtomic(manifestName, append(data, '\n'))
}

func withoutPatient(u string) string {
	before, query, ok := strings.Cut(u, "?")
	if !ok {
		return u
	}
	var kept []string
	for _, p := range strings.Split(query, "&") {
		name, _, _ := strings.Cut(p, "=")
		if n, err := url.QueryUnescape(name); err != nil || n != "patient" {
			kept = append(kept, p)
		}
	}
	if len(kept) == 0 {
		return before
	}
	return before + "?" + strings.Join(kept, "&")
}

// deleteJob sends DELETE to the status URL. Some servers have deleted the job by themselves:
// not knowing it is as good as having deleted it.
func (r *runner) deleteJob(ctx context.Context, c *fhir.Client) error {
	u, err := url.Parse(r.rec.statusURL)
	if err != nil {
		return errors.New("malformed status URL")
	}
	resp, err := c.Do(ctx, fhir.Request{
		Op: "delete", Method: http.MethodDelete, URL: u.String(), Idempotent: true,
		Header: http.Header{"Accept": {"application/fhir+json"}},
	})
	if err == nil {
		drain(resp)
		return nil
	}
	if fe, ok := errors.AsType[*fhir.Error](err); ok && (fe.Status == http.StatusNotFound || fe.Status == http.StatusGone) {
		return nil
	}
	return err
}
