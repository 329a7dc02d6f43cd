package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/andironhq/andiron/fhir"
)

// Job is one export into one folder. Client and Dir must be set, and for the Group level
// Group; the zero values of all other fields are the careful choice.
//
// The fields Level to Elements say what is asked. A Job that leaves all of them empty goes on
// with whatever the folder was asked for; one that sets them differently from the unfinished
// export in the folder is refused with [ErrDifferent].
type Job struct {
	// Client is the connection. Its Limits bound the requests of kick-off, polls and files
	// together.
	Client *fhir.Client

	// Dir is the folder, made if absent. It must be empty of data files or hold a ledger.
	Dir string

	// Level is "group", "patient" or "system". Empty means group. Epic documents the Group
	// level alone (Epic's bulk data tutorial).
	Level string

	// Group is the id of the Group, as the server's operator told it. It is opaque.
	Group string

	// Types are the resource types to ask for (_type). Empty means all that the server
	// gives by default; at Epic these are the USCDI types.
	Types []string

	// TypeFilters are searches of one type each that narrow what comes, such as
	// "Observation?category=laboratory". They need Types at Epic. Servers may ignore them.
	TypeFilters []string

	// Since asks for what changed at or after this time (_since), where the dialect has it:
	// the transactionTime of an earlier run, never a time of one's own clock.
	Since string

	// Until asks for what changed before this time (_until; Bulk Data Access 3.0.0).
	Until string

	// Elements restricts resources to these elements (_elements), where the dialect has it.
	Elements []string

	// IncludeAssociatedData is sent as includeAssociatedData, where the dialect has it, such
	// as "LatestProvenanceResources".
	IncludeAssociatedData []string

	// Dialect is how to speak with this server. Auto reads its CapabilityStatement.
	Dialect Dialect

	// ClientID names the registered client in the ledger: a window of "too recently" is the
	// client's own. It is not sent. Empty is a name too.
	ClientID string

	// New starts the next run where the last one is over: done, cancelled, expired, failed,
	// or unknown. An unfinished one goes on all the same. A new run can use up the window in
	// which the server permits one export (at Epic a day for each Group).
	New bool

	// NoWait ends with ErrStillRunning or ErrCoolDown where Run would pause for the server.
	NoWait bool

	// Parallel is the number of files that are read at one time. Zero means 4.
	Parallel int

	// Tries is how often one file is asked for in one Run. Zero means 5.
	Tries int

	// Poll is the pace of asking whether the server is ready.
	Poll Poll

	// Window is how long "too recently" lasts where the server does not say. Zero means the
	// dialect's: 24 hours at Epic, an hour elsewhere.
	Window time.Duration

	// Progress receives what happens, one event at a time, and must not call the Job. Nil
	// means nobody watches.
	Progress func(Event)

	// Now is the clock. Nil means time.Now. Windows and limits of days are read from it,
	// pauses are not.
	Now func() time.Time

	// Wait pauses. It returns the context's error when that ends first. Nil means a timer
	// that also ends when the machine wakes from sleep after the pause was over.
	Wait func(ctx context.Context, d time.Duration) error

	// Rand is a number in [0,1) that spreads the pauses before repetitions. Nil means
	// math/rand/v2.
	Rand func() float64

	// hook stops the steps of the folder and the ledger; tests alone set it.
	hook func(op, name string) error
}

// Poll is the pace of asking whether the server is ready. A Retry-After of the server comes
// first, bounded by MaxRetryAfter.
type Poll struct {
	// Floor is the first pause where the server names none; the following ones grow by half.
	// Zero means the dialect's: 10 minutes at Epic, as its tutorial advises, a second elsewhere.
	Floor time.Duration
	// Cap is the longest pause where the server names none. Zero means 30 minutes at Epic,
	// 15 minutes elsewhere.
	Cap time.Duration
	// MaxRetryAfter bounds what the server may name. Zero means an hour. What exceeds it is
	// taken for a mistake, such as the time of day in seconds in place of a span.
	MaxRetryAfter time.Duration
	// Limit is how long an export may take in all, by the clock. Zero means 30 days.
	Limit time.Duration
	// Failures is how many useless answers in a row end the Run with ErrUnavailable. The
	// next Run asks again. Zero means 12, which takes about half an hour.
	Failures int
}

// spec is what a Job asks for, in a form that compares.
type spec struct {
	Base     string   `json:"base"`
	Level    string   `json:"level"`
	Group    string   `json:"group,omitempty"`
	Types    []string `json:"types,omitempty"`
	Filters  []string `json:"filters,omitempty"`
	Since    string   `json:"since,omitempty"`
	Until    string   `json:"until,omitempty"`
	Elements []string `json:"elements,omitempty"`
	Include  []string `json:"include,omitempty"`
}

func (j *Job) spec() spec {
	level := j.Level
	if level == "" {
		level = "group"
	}
	return spec{
		Base: strings.TrimRight(j.Client.Base, "/"), Level: level, Group: j.Group,
		Types: j.Types, Filters: j.TypeFilters, Since: j.Since, Until: j.Until,
		Elements: j.Elements, Include: j.IncludeAssociatedData,
	}
}

// silent reports a Job that asks for nothing of its own.
func (j *Job) silent() bool {
	return j.Level == "" && j.Group == "" && len(j.Types) == 0 && len(j.TypeFilters) == 0 && j.Since == "" &&
		j.Until == "" && len(j.Elements) == 0 && len(j.IncludeAssociatedData) == 0
}

func (s spec) text() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings alone
	}
	return string(b)
}

// same compares without regard to order.
func (s spec) same(stored string) bool {
	var o spec
	if json.Unmarshal([]byte(stored), &o) != nil {
		return false
	}
	return s.sorted().text() == o.sorted().text()
}

func (s spec) sorted() spec {
	for _, list := range []*[]string{&s.Types, &s.Filters, &s.Elements, &s.Include} {
		*list = slices.Sorted(slices.Values(*list))
		*list = slices.Compact(*list)
	}
	return s
}

// check refuses what can never be sent.
func (s spec) check() error {
	switch s.Level {
	case "group":
		if s.Group == "" {
			return errors.New("no Group given")
		}
		if s.Group == "." || s.Group == ".." || strings.ContainsFunc(s.Group, func(r rune) bool { return r < ' ' }) {
			return errors.New("no possible Group id")
		}
	case "patient", "system":
		if s.Group != "" {
			return fmt.Errorf("a Group with level %s", s.Level)
		}
	default:
		return errors.New("level is none of group, patient, system")
	}
	for _, t := range s.Types {
		if !wellFormed(t) {
			return errors.New("a type is no resource type's name")
		}
	}
	for _, f := range s.Filters {
		if t, _, ok := strings.Cut(f, "?"); !ok || !wellFormed(t) {
			return errors.New("a type filter is not of the form Type?search")
		}
	}
	return nil
}

// wellFormed reports a name that a resource type could have, known or not.
func wellFormed(t string) bool {
	if t == "" || len(t) > 64 || t[0] < 'A' || t[0] > 'Z' {
		return false
	}
	for i := range len(t) {
		if c := t[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// runner is a Job at work: its folder locked, its ledger open.
type runner struct {
	*Job
	folder folder
	ledger *ledger
	rec    *record
	began  time.Time

	resumed  bool
	seq      sync.Mutex  // one event at a time
	signedIn atomic.Bool // a request of this Run was accepted: a later refusal to sign in may pass
	absurd   sync.Once

	logging   sync.Mutex // one line at a time
	logBroken bool       // said once
}

// Run brings the export forward as far as it goes: to the end, to a failure, or, with
// NoWait, to the next pause. It may be called again after anything.
//
// With a nil error everything that was asked for lies verified in the folder. With
// [ErrIncomplete] the Result says what does not. All other errors come without a Result; what
// was verified before stays.
func (j *Job) Run(ctx context.Context) (*Result, error) {
	r, closeAll, err := j.open(ctx)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	if err := r.begin(ctx); err != nil {
		return nil, wrap("setup", err)
	}
	for {
		switch r.rec.state {
		case StatePlanned:
			err = r.kickoff(ctx)
		case StateSent: // found, not set by this Run: a process ended before it knew the answer
			r.rec.state = StateUnknown
			err = r.ledger.save(ctx, r.rec)
		case StateUnknown:
			err = wrap("kick-off", ErrUnknownKickoff)
		case StateRunning:
			err = r.poll(ctx)
		case StateListed:
			return r.bring(ctx)
		case StateDone:
			return r.already(ctx)
		case StateLost:
			err = wrap("status", ErrLost)
		case StateFailed:
			err = wrap("status", ErrFailed)
		case StateCancelled:
			err = wrap("setup", ErrCancelled)
		default:
			err = wrap("ledger", errors.New("a state that this program does not know"))
		}
		if err != nil {
			return nil, wrap("ledger", err)
		}
	}
}

// wrap names the step of an error that does not name one yet.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{ErrStillRunning, ErrCoolDown, ErrBusy} {
		if errors.Is(err, known) {
			return err
		}
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{Op: op, Err: err}
}

// open locks the folder and opens its ledger.
func (j *Job) open(ctx context.Context) (*runner, func(), error) {
	switch {
	case j.Client == nil:
		return nil, nil, wrap("setup", errors.New("no client"))
	case j.Dir == "":
		return nil, nil, wrap("setup", errors.New("no folder"))
	}
	if _, ok := speeches[j.Dialect]; !ok && j.Dialect != Auto {
		return nil, nil, wrap("setup", errors.New("unknown dialect"))
	}
	f := folder{dir: j.Dir, hook: j.hook}
	if err := f.prepare(); err != nil {
		return nil, nil, wrap("setup", err)
	}
	if !f.exists(ledgerName) {
		ours, others, err := f.dataFiles()
		if err != nil {
			return nil, nil, wrap("setup", err)
		}
		if len(ours)+len(others) > 0 || f.exists(manifestName) {
			return nil, nil, wrap("setup", ErrForeignFolder)
		}
	}
	release, err := f.lock()
	if err != nil {
		return nil, nil, wrap("lock", err)
	}
	l, err := openLedger(ctx, f, true)
	if err != nil {
		release()
		return nil, nil, wrap("ledger", err)
	}
	r := &runner{Job: j, folder: f, ledger: l}
	r.began = r.now()
	return r, func() { l.close(); release() }, nil
}

// begin finds the run to go on with, or plans a new one.
func (r *runner) begin(ctx context.Context) error {
	last, err := r.ledger.last(ctx)
	if err != nil {
		return err
	}
	want := r.spec()
	if last != nil && r.silent() {
		base := want.Base
		if err := json.Unmarshal([]byte(last.spec), &want); err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
		if want.Base != base {
			return ErrDifferent
		}
	}
	if err := want.check(); err != nil {
		return err
	}
	if last != nil && !(r.New && last.state.over()) {
		r.rec = last
		if !want.same(last.spec) {
			if last.state != StatePlanned {
				return ErrDifferent
			}
			r.ask(want) // nothing was started: another question is free
		}
		if last.state != StatePlanned {
			r.resumed = true
			r.emit(Event{Kind: KindResume, Text: string(last.state), Dialect: last.dialect})
		}
		if r.New {
			r.note("the run in this folder is not over and goes on; cancel it to start another")
		}
		return nil
	}
	r.rec = &record{state: StatePlanned, started: r.began, needsToken: true}
	if last != nil {
		r.rec.dialect = last.dialect // for the window; it is chosen anew before anything is sent
	}
	r.ask(want)
	return r.ledger.save(ctx, r.rec)
}

func (r *runner) ask(s spec) {
	r.rec.spec, r.rec.base, r.rec.level, r.rec.group, r.rec.client = s.text(), s.Base, s.Level, s.Group, r.ClientID
	r.rec.why, r.rec.request = "", ""
}

func (r *runner) emit(e Event) {
	if r.Progress == nil {
		return
	}
	r.seq.Lock()
	defer r.seq.Unlock()
	e.Time = r.now()
	if r.rec != nil {
		e.Run = r.rec.id
	}
	r.Progress(e)
}

func (r *runner) note(text string) { r.emit(Event{Kind: KindNote, Text: text}) }

func (j *Job) now() time.Time {
	if j.Now != nil {
		return j.Now()
	}
	return time.Now()
}

func (j *Job) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	if j.Wait != nil {
		return j.Wait(ctx, d)
	}
	return sleep(ctx, d)
}

// sleep waits by the monotonic clock, which stands still while a machine sleeps, and looks at
// the other one now and then, so that a laptop asks at once when it wakes late.
func sleep(ctx context.Context, d time.Duration) error {
	const look = 20 * time.Second
	end := time.Now().Add(d).Round(0)
	for d > 0 {
		step := min(d, look)
		t := time.NewTimer(step)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
		d -= step
		if !time.Now().Round(0).Before(end) {
			return nil
		}
	}
	return nil
}

// jitter spreads a pause so that many do not come back together.
func (j *Job) jitter(d time.Duration) time.Duration {
	random := rand.Float64 //nolint:gosec // jitter, not a secret
	if j.Rand != nil {
		random = j.Rand
	}
	return d - d/8 + time.Duration(random()*float64(d/4))
}

func (j *Job) parallel() int {
	if j.Parallel > 0 {
		return j.Parallel
	}
	return 4
}

func (j *Job) tries() int {
	if j.Tries > 0 {
		return j.Tries
	}
	return 5
}
