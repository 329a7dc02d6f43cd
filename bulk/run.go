package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

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
	if last != nil && (!r.New || !last.state.over()) {
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
