package bulk

import (
	"context"
	"time"

	"github.com/andironhq/andiron/fhir"
)

// Run is one run of a folder, as its ledger has it.
type Run struct {
	// ID counts the runs of the folder from 1.
	ID int `json:"run"`
	// State is how far it has come.
	State State `json:"state"`
	// Base, Level and Group say what was asked of whom; Request is the exact request below
	// Base, "" while none was made.
	Base    string `json:"base"`
	Level   string `json:"level"`
	Group   string `json:"group,omitempty"`
	Request string `json:"request,omitempty"`
	// Dialect is how the server is spoken with, and Reason why.
	Dialect Dialect `json:"dialect,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	// Started is when the run was planned, Sent when its last kick-off was, Finished when it
	// ended or was last given up; zero where it has not come to that.
	Started  time.Time `json:"started"`
	Sent     time.Time `json:"sent,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
	// NextPoll is the earliest time for the next question, while the server is at work, and
	// Progress what it said last.
	NextPoll time.Time `json:"nextPoll,omitzero"`
	Progress string    `json:"progress,omitempty"`
	// CoolDown is the time before which the server wants no kick-off for this Group; zero if
	// it never said so.
	CoolDown time.Time `json:"coolDown,omitzero"`
	// TransactionTime is the server's time of the export.
	TransactionTime string `json:"transactionTime,omitempty"`
	// ServerDeleted is "yes" when the server was told to forget the job, "failed" when it
	// was told in vain.
	ServerDeleted string `json:"serverDeleted,omitempty"`
	// Files are the files of the manifest; nil before there is one. Runs leaves it nil.
	Files []FileStatus `json:"files,omitempty"`
}

// FileStatus is one file of a run.
type FileStatus struct {
	// List is output, error or deleted.
	List string `json:"list"`
	// File and Type are its name in the folder and its resource type.
	File string `json:"file"`
	Type string `json:"type,omitempty"`
	// State is how far it has come, Tries how often it was asked for, Reason why not more.
	State  FileState `json:"state"`
	Tries  int       `json:"tries"`
	Reason string    `json:"reason,omitempty"`
	// Announced is the count of the server's manifest, -1 where it has none.
	Announced int64 `json:"announced"`
	// Bytes, Lines and SHA256 are of the verified file.
	Bytes  int64  `json:"bytes"`
	Lines  int64  `json:"lines"`
	SHA256 string `json:"sha256,omitempty"`
}

// Status is the latest run of a folder with its files. It may be asked while a Job is at
// work there. [ErrNoLedger] means that there is none.
func Status(ctx context.Context, dir string) (*Run, error) {
	l, err := openLedger(ctx, folder{dir: dir}, false)
	if err != nil {
		return nil, wrap("ledger", err)
	}
	defer l.close()
	rec, err := l.last(ctx)
	if err != nil {
		return nil, wrap("ledger", err)
	}
	if rec == nil {
		return nil, wrap("ledger", ErrNoLedger)
	}
	run := rec.public()
	window := speeches[Epic].window
	if s, ok := speeches[rec.dialect]; ok {
		window = s.window
	}
	if run.CoolDown, err = l.coolDown(ctx, rec.base, rec.client, rec.group, window+margin); err != nil {
		return nil, wrap("ledger", err)
	}
	rows, err := l.files(ctx, rec.id)
	if err != nil {
		return nil, wrap("ledger", err)
	}
	for _, f := range rows {
		run.Files = append(run.Files, FileStatus{
			List: f.list, File: f.name, Type: f.typ, State: f.state, Tries: f.tries, Reason: f.reason,
			Announced: f.count, Bytes: f.bytes, Lines: f.lines, SHA256: f.sha256,
		})
	}
	return run, nil
}

// Runs are the runs of a folder, the first one first.
func Runs(ctx context.Context, dir string) ([]Run, error) {
	l, err := openLedger(ctx, folder{dir: dir}, false)
	if err != nil {
		return nil, wrap("ledger", err)
	}
	defer l.close()
	recs, err := l.runs(ctx)
	if err != nil {
		return nil, wrap("ledger", err)
	}
	var out []Run
	for _, rec := range recs {
		out = append(out, *rec.public())
	}
	return out, nil
}

func (r *record) public() *Run {
	return &Run{
		ID: r.id, State: r.state, Base: r.base, Level: r.level, Group: r.group, Request: r.request,
		Dialect: r.dialect, Reason: r.why, Started: r.started, Sent: r.sent, Finished: r.finished,
		NextPoll: r.nextPoll, Progress: r.progress, TransactionTime: r.transactionTime, ServerDeleted: r.deleted,
	}
}

// Cancel tells the server to forget the unfinished export of a folder, and closes its run.
// What is verified stays. It fails with [ErrBusy] while a Job is at work there and with
// [ErrUnknownKickoff] where nobody knows what to delete. An export that is over already, or
// was never started, needs no cancelling: then nothing is done and nothing is wrong.
func Cancel(ctx context.Context, client *fhir.Client, dir string) error {
	j := &Job{Client: client, Dir: dir}
	f := folder{dir: dir}
	if !f.exists(ledgerName) {
		return wrap("cancel", ErrNoLedger)
	}
	r, closeAll, err := j.open(ctx)
	if err != nil {
		return err
	}
	defer closeAll()
	if r.rec, err = r.ledger.last(ctx); err != nil {
		return wrap("ledger", err)
	}
	switch {
	case r.rec == nil:
		return wrap("cancel", ErrNoLedger)
	case r.rec.base != j.spec().Base:
		return wrap("cancel", ErrDifferent)
	case r.rec.state == StateSent || r.rec.state == StateUnknown:
		return wrap("cancel", ErrUnknownKickoff)
	case r.rec.state.over():
		return nil
	}
	if r.rec.statusURL != "" {
		if err := r.deleteJob(ctx, client); err != nil {
			return wrap("cancel", err)
		}
		r.rec.deleted = "yes"
	}
	r.rec.state, r.rec.finished = StateCancelled, r.now()
	return wrap("ledger", r.ledger.save(ctx, r.rec))
}
