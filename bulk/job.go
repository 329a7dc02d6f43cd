package bulk

import (
	"context"
	"math/rand/v2"
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
	// or unknown (it is not known whether its kick-off started an export). An unfinished one goes on all the same. A new run can use up the window in
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
	random := rand.Float64
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
