package bulk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/fhir"
)

// maxManifest bounds a manifest: 100,000 files take some 30 MB.
const maxManifest = 64 << 20

// poll asks until the server is ready, and stores the manifest (Bulk Data Access, "Bulk Data
// Status Request").
func (r *runner) poll(ctx context.Context) error {
	var c patience
	for {
		if err := r.beforePoll(ctx); err != nil {
			return err
		}
		a := r.status(ctx, r.rec.statusURL)
		var next time.Duration
		switch verdict := r.judge(ctx, a); verdict {
		case stop:
			return wrap("status", a.err)
		case ready:
			m, pages, v, err := r.manifest(ctx, a)
			switch {
			case v == ready:
				return r.listed(ctx, m, pages)
			case v == stop || ctx.Err() != nil:
				return wrap("manifest", err)
			}
			a.err = err
			if next, err = r.disappointed(&c, v, a); err != nil {
				return err
			}
		case working:
			c = patience{polls: c.polls + 1}
			next = r.pace(a, c.polls)
			r.rec.progress = a.progress
			r.logStatus(a)
			r.emit(Event{Kind: KindStatus, Progress: a.progress, Text: "the server is at work"})
		case gone, refused, useless:
			var err error
			if next, err = r.disappointed(&c, verdict, a); err != nil {
				if over(err) {
					if e := r.end(ctx, err); e != nil {
						return wrap("ledger", e)
					}
				}
				return err
			}
		}
		r.rec.nextPoll = r.now().Add(next)
		if err := r.ledger.save(ctx, r.rec); err != nil {
			return wrap("ledger", err)
		}
		if limit := r.limit(); r.now().Sub(r.rec.sent) > limit {
			return wrap("status", ErrOverdue)
		}
	}
}

// over reports an error that says that the export has ended badly at the server.
func over(err error) bool { return errors.Is(err, ErrLost) || errors.Is(err, ErrFailed) }

// end records that it has.
func (r *runner) end(ctx context.Context, err error) error {
	r.rec.state = StateFailed
	if errors.Is(err, ErrLost) {
		r.rec.state = StateLost
	}
	r.rec.finished = r.now()
	return r.ledger.save(ctx, r.rec)
}

// beforePoll waits for the time of the next poll, as the ledger has it. A time farther off
// than any pause means that the clock was set, and is not waited for.
func (r *runner) beforePoll(ctx context.Context) error {
	d := r.rec.nextPoll.Sub(r.now())
	if d <= 0 || d > max(r.maxRetryAfter(), r.cap()) {
		return wrap("status", ctx.Err())
	}
	if r.NoWait {
		return &StillRunningError{Next: r.rec.nextPoll, Progress: r.rec.progress}
	}
	r.emit(Event{Kind: KindWait, Until: r.rec.nextPoll, Progress: r.rec.progress, Text: "next poll"})
	return wrap("status", r.pause(ctx, d))
}

// reply is the answer to a status request, or why there is none.
type reply struct {
	status   int           // of the export; 0 when there was no answer
	body     []byte        // when status is 200
	base     *http.Request // what was asked in the end, for relative links
	progress string
	wait     time.Duration // Retry-After
	expires  string
	header   http.Header
	err      error
}

// status asks once.
func (r *runner) status(ctx context.Context, url string) reply {
	resp, err := r.Client.Do(ctx, fhir.Request{
		Op: "status", URL: url, NoRetry: true, Idempotent: true, ForeignOK: true,
		Header: http.Header{"Accept": {"application/json"}},
	})
	if err != nil {
		a := reply{err: err}
		if fe, ok := errors.AsType[*fhir.Error](err); ok {
			a.status, a.wait = fe.Status, fe.RetryAfter
		}
		return a
	}
	defer resp.Body.Close()
	r.signedIn.Store(true)
	a := reply{
		status: resp.StatusCode, base: resp.Request, header: resp.Header, expires: resp.Header.Get("Expires"),
		progress: printable(resp.Header.Get("X-Progress")), wait: retryAfter(resp.Header, r.now()),
	}
	if a.status == http.StatusOK {
		a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxManifest+1))
		if err != nil {
			a.status, a.err = 0, &fhir.Error{Op: "status", Method: http.MethodGet, Tries: 1, Sent: true, Err: errors.New("answer ended early")}
			return a
		}
		if len(a.body) > maxManifest {
			a.err = fhir.ErrTooLarge
		}
	}
	// With the preference separate-export-status the status of the export stands in a header
	// of its own, and the HTTP status speaks of this request alone.
	if s, err := strconv.Atoi(strings.TrimSpace(resp.Header.Get("X-Export-Status"))); err == nil && s >= 100 && s < 600 {
		a.status = s
	}
	if a.status >= 300 {
		a.err = fmt.Errorf("export status %d", a.status)
	}
	return a
}

// verdict is what an answer means for the export.
type verdict int

const (
	ready   verdict = iota // 200
	working                // 202
	useless                // no answer, HTML, 5xx: ask again
	refused                // the server says in its own words that the export failed
	gone                   // 404, 410
	stop                   // nothing that asking again would change
)

func (r *runner) judge(ctx context.Context, a reply) verdict {
	fe, _ := errors.AsType[*fhir.Error](a.err)
	var outcome bool
	var transient bool
	if fe != nil {
		outcome, transient = fe.Outcome() != nil, isTransient(fe.Outcome())
	} else if a.err != nil && len(a.body) > 0 { // X-Export-Status with the reason as body
		if o, ok := asOutcome(a.body); ok {
			outcome, transient = true, isTransient(o)
		}
	}
	switch {
	case ctx.Err() != nil:
		return stop
	case a.err == nil && a.status == http.StatusOK:
		return ready
	case a.err == nil && a.status < 300:
		return working
	case final(a.err):
		return stop
	case signIn(a.err):
		if r.signedIn.Load() {
			return useless // a token endpoint that was well a moment ago
		}
		return stop
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return stop
	case transient:
		return useless
	case a.status == http.StatusNotFound || a.status == http.StatusGone:
		return gone
	case a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout:
		return useless
	case outcome || a.status >= 400 && a.status < 500:
		return refused
	}
	return useless
}

// final reports an error that lies in what was asked, not in the answer.
func final(err error) bool {
	fe, ok := errors.AsType[*fhir.Error](err)
	return ok && (fe.Op == "setup" || errors.Is(err, fhir.ErrInsecure) || errors.Is(err, fhir.ErrForeignOrigin) || errors.Is(err, fhir.ErrLoop))
}

// signIn reports that the token endpoint refused. Some refuse a renewal now and then without
// a reason.
func signIn(err error) bool {
	_, ok := errors.AsType[interface {
		error
		OAuthError() (string, string)
	}](err)
	return ok
}

// patience counts what went wrong in a row.
type patience struct{ polls, failures, gone, refused int }

// How often a final answer must be repeated before it is believed: a lost export costs a day.
const (
	goneTwice   = 2
	refusedOver = 3
)

// disappointed says how long to wait after a useless answer, or ends the Run.
func (r *runner) disappointed(c *patience, v verdict, a reply) (time.Duration, error) {
	c.failures++
	switch v {
	case gone:
		c.gone++
	case refused:
		c.refused++
	}
	limit := r.Poll.Failures
	if limit <= 0 {
		limit = 12
	}
	err := a.err
	if err == nil {
		err = ErrManifest
	}
	switch {
	case c.gone >= goneTwice:
		r.logStatusError(a)
		return 0, wrap("status", fmt.Errorf("%w: %w", ErrLost, err))
	case c.refused >= refusedOver:
		r.logStatusError(a)
		return 0, wrap("status", fmt.Errorf("%w: %w", ErrFailed, err))
	case c.failures >= limit:
		return 0, wrap("status", fmt.Errorf("%w: %w", ErrUnavailable, err))
	}
	d := r.bounded(a.wait)
	if d <= 0 {
		d = backoff(c.failures)
	}
	r.emit(Event{Kind: KindRetry, Text: "status", Err: err, Until: r.now().Add(d), Try: c.failures})
	return d, nil
}

// backoff is 1, 2, 4 … seconds, at most 5 minutes.
func backoff(n int) time.Duration {
	return min(time.Second<<min(n-1, 10), 5*time.Minute)
}

// pace is the pause after the n-th 202.
func (r *runner) pace(a reply, n int) time.Duration {
	if d := r.bounded(a.wait); d > 0 {
		return d
	}
	d := r.Poll.Floor
	if d <= 0 {
		d = speeches[r.rec.dialect].floor
		if r.rec.dialect == Epic && patients(a.progress) > epic.BulkSmallGroup {
			d = epic.BulkPollLarge
		}
	}
	for i := 1; i < n && d < r.cap(); i++ {
		d += d / 2
	}
	return min(d, r.cap())
}

// patients reads "Searched 0 of 2 patients", Epic's X-Progress. It is free text: 0 when it
// says anything else.
func patients(progress string) int {
	words := strings.Fields(progress)
	for i := range words {
		if words[i] == "of" && i+2 < len(words) && strings.HasPrefix(words[i+2], "patient") {
			n, err := strconv.Atoi(words[i+1])
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}

func (r *runner) cap() time.Duration {
	if r.Poll.Cap > 0 {
		return r.Poll.Cap
	}
	if s, ok := speeches[r.rec.dialect]; ok {
		return s.cap
	}
	return speeches[STU2].cap
}

func (r *runner) limit() time.Duration {
	if r.Poll.Limit > 0 {
		return r.Poll.Limit
	}
	return 30 * 24 * time.Hour
}

func (r *runner) maxRetryAfter() time.Duration {
	if r.Poll.MaxRetryAfter > 0 {
		return r.Poll.MaxRetryAfter
	}
	return time.Hour
}

// bounded is the server's pause within reason: at least a second, at most MaxRetryAfter.
// Some servers send the time of day, in seconds or milliseconds, where a span belongs.
func (r *runner) bounded(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	if longest := r.maxRetryAfter(); d > longest {
		r.absurd.Do(func() {
			r.note("the server's Retry-After is longer than " + longest.String() + " and is taken for that")
		})
		return longest
	}
	return max(d, time.Second)
}

// retryAfter reads the header (RFC 9110, section 10.2.3): seconds, or a date, which is read
// against the server's own clock where it shows one. 0 when it says nothing.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if f, err := strconv.ParseFloat(v, 64); err == nil {
		if math.IsNaN(f) || f < 0 {
			return 0
		}
		if f > 1e9 {
			return 1e9 * time.Second
		}
		return max(time.Duration(f*float64(time.Second)), 1)
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	if d, err := http.ParseTime(h.Get("Date")); err == nil {
		now = d
	}
	return max(t.Sub(now), 1)
}

// printable keeps a header fit for a terminal.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\ufffd' { // terminals obey both sets of controls
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200])
	}
	return s
}
