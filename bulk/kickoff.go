package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
)

// grace is how long an interrupted Run still listens for the answer to a kick-off: whoever
// hangs up too early has started an export that nobody can fetch.
const grace = 20 * time.Second

// shortWait is up to which pause a kick-off waits by itself when the server asks for one.
const shortWait = 10 * time.Minute

// kickoff starts the export on the server, once (Bulk Data Access, "Bulk Data Kick-off
// Request"). Before the request leaves, the ledger knows of it; before kickoff returns, the
// ledger knows what came of it.
func (r *runner) kickoff(ctx context.Context) error {
	if err := r.coolDown(ctx, nil); err != nil {
		return err
	}
	var s spec
	if err := json.Unmarshal([]byte(r.rec.spec), &s); err != nil {
		return wrap("ledger", err)
	}
	p, err := r.plan(ctx, s)
	if err != nil {
		return wrap("kick-off", err)
	}
	r.rec.dialect, r.rec.why, r.rec.request, r.rec.software = p.Dialect, p.Reason, p.request, p.software.text()
	for _, n := range p.Notes {
		r.note(n)
	}
	r.emit(Event{Kind: KindDialect, Dialect: r.rec.dialect, Text: r.rec.why})
	if err := r.folder.probe(); err != nil {
		return wrap("setup", err)
	}
	for try := 1; ; try++ {
		refusal, err := r.startOnce(ctx)
		if err != nil || refusal == nil {
			return err
		}
		if try == 2 {
			return r.coolDownError(ctx, refusal)
		}
		if err := r.coolDown(ctx, refusal); err != nil {
			return err
		}
	}
}

// startOnce sends one kick-off. refusal is set when the server may be asked again later.
func (r *runner) startOnce(ctx context.Context) (refusal, err error) {
	if err := ctx.Err(); err != nil {
		return nil, wrap("kick-off", err)
	}
	r.rec.state, r.rec.sent = StateSent, r.now()
	if err := r.ledger.save(ctx, r.rec); err != nil {
		return nil, wrap("ledger", err)
	}
	sending, cancel := linger(ctx)
	defer cancel()
	resp, err := r.Client.Do(sending, fhir.Request{
		Op: "kick-off", URL: r.rec.request, NoRetry: true,
		Header: http.Header{
			"Accept": {"application/fhir+json"}, "Prefer": {"respond-async"},
			// The answer is its status and headers: no packing of its body may make it count as none.
			"Accept-Encoding": {"identity"},
		},
	})
	if err != nil {
		r.logKickoff(nil, err)
		return r.notStarted(ctx, err)
	}
	drain(resp)
	r.signedIn.Store(true)
	location := resp.Header.Get("Content-Location")
	if location != "" {
		u, perr := resp.Request.URL.Parse(location)
		if perr == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
			r.rec.statusURL = u.String()
		}
	}
	if r.rec.statusURL == "" {
		// The server is at work, and where it can be asked is not known.
		r.rec.state = StateUnknown
		r.logKickoff(resp.Header, ErrNoStatusURL)
		if err := r.ledger.save(ctx, r.rec); err != nil {
			return nil, wrap("ledger", err)
		}
		return nil, wrap("kick-off", fmt.Errorf("%w (%d)", ErrNoStatusURL, resp.StatusCode))
	}
	r.rec.state = StateRunning
	r.rec.nextPoll = time.Time{}
	if d := r.bounded(retryAfter(resp.Header, r.now())); d > 0 {
		r.rec.nextPoll = r.now().Add(d)
	}
	if err := r.ledger.save(ctx, r.rec); err != nil {
		return nil, wrap("ledger", err)
	}
	r.logKickoff(resp.Header, nil)
	r.emit(Event{Kind: KindKickoff, Dialect: r.rec.dialect, Text: "the server has accepted the export"})
	return nil, nil
}

// notStarted records what a failed kick-off means.
func (r *runner) notStarted(ctx context.Context, err error) (refusal, fatal error) {
	fe, ok := errors.AsType[*fhir.Error](err)
	r.rec.state = StatePlanned
	switch {
	case ok && fe.Status == 0 && !fe.Sent:
		// It never left.
	case !ok || fe.Status == 0 || unclear(fe):
		r.rec.state = StateUnknown
		err = fmt.Errorf("%w: %w", ErrUnknownKickoff, err)
	case tooRecent(fe), fe.Status == http.StatusTooManyRequests, fe.Status == http.StatusServiceUnavailable && fe.RetryAfter > 0:
		now := r.now()
		var until time.Time
		switch d := r.bounded(fe.RetryAfter); {
		case d > 0 && (!tooRecent(fe) || fe.RetryAfter <= d):
			until = now.Add(d)
		case !tooRecent(fe) && r.rec.dialect != Epic:
			until = now.Add(time.Minute)
		}
		if serr := r.ledger.refused(ctx, r.rec, now, until); serr != nil {
			return nil, wrap("ledger", serr)
		}
		return certain(fe), nil
	default:
		err = certain(fe)
	}
	if serr := r.ledger.save(ctx, r.rec); serr != nil {
		return nil, wrap("ledger", serr)
	}
	return nil, wrap("kick-off", err)
}

// unclear reports an answer behind which the export may be at work all the same: the server
// gave up halfway or a gateway did not wait for it, and neither said in an OperationOutcome
// that nothing was started. What was turned away (429, 503) or is not there (501, 505) was not
// carried out (RFC 9110, section 15.6).
func unclear(e *fhir.Error) bool {
	if e.Outcome() != nil {
		return false
	}
	switch e.Status {
	case http.StatusNotImplemented, http.StatusServiceUnavailable, http.StatusHTTPVersionNotSupported:
		return false
	}
	return e.Status == http.StatusRequestTimeout || e.Status >= 500
}

// certain is a refusal that started nothing. Package fhir, which knows nothing of exports,
// may call the outcome of its status unknown.
func certain(e *fhir.Error) error {
	if e.Err == fhir.ErrOutcomeUnknown { //nolint:errorlint // nothing but that is to be dropped
		known := *e
		known.Err = nil
		return &known
	}
	return e
}

// margin is added to a window that we reckon ourselves: the server's began a moment after our
// request left, and asking a moment too early may cost another whole window.
const margin = time.Minute

// coolDown waits out a short pause, and refuses to go on before the end of a long one.
func (r *runner) coolDown(ctx context.Context, refusal error) error {
	until, err := r.until(ctx)
	if err != nil {
		return err
	}
	d := until.Sub(r.now())
	switch {
	case d <= 0:
		return nil
	case d > shortWait || r.NoWait:
		return &CoolDownError{Until: until, Err: refusal}
	}
	r.emit(Event{Kind: KindWait, Until: until, Text: "the server wants no export before then"})
	return wrap("kick-off", r.pause(ctx, d))
}

func (r *runner) coolDownError(ctx context.Context, refusal error) error {
	until, err := r.until(ctx)
	if err != nil {
		return err
	}
	return &CoolDownError{Until: until, Err: refusal}
}

// until is the end of the window. A clock that was set back does not make it longer than the
// window is.
func (r *runner) until(ctx context.Context) (time.Time, error) {
	window := r.Window
	if window <= 0 {
		if window = speeches[r.rec.dialect].window; window == 0 {
			window = speeches[Epic].window
		}
	}
	window += margin
	until, err := r.ledger.coolDown(ctx, r.rec.base, r.rec.client, r.rec.group, window)
	if err != nil {
		return until, wrap("ledger", err)
	}
	if latest := r.now().Add(max(window, r.maxRetryAfter())); until.After(latest) {
		until = latest
	}
	return until, nil
}

// tooRecent reports Epic's refusal of a second export of a Group within the site's window.
// The text is known, the status is not: any 4xx (Epic's bulk data troubleshooting notes, as
// quoted by smart-fetch and cumulus-etl).
func tooRecent(e *fhir.Error) bool {
	return e.Status >= 400 && e.Status < 500 && strings.Contains(strings.ToLower(outcomeText(e.Outcome())), "too recently")
}

// outcomeText is everything that an OperationOutcome says, for looking into and for the
// ledger: it is the server's text and may name a patient.
func outcomeText(o *r4.OperationOutcome) string {
	if o == nil {
		return ""
	}
	var parts []string
	for _, i := range o.Issue {
		if i.Details != nil {
			parts = append(parts, i.Details.Text)
			for _, c := range i.Details.Coding {
				parts = append(parts, c.Display)
			}
		}
		parts = append(parts, i.Diagnostics)
	}
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "; ")
}

// linger is ctx, but for a while deaf to its end.
func linger(ctx context.Context) (context.Context, func()) {
	deaf, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-deaf.Done():
		}
	})
	return deaf, func() { stop(); cancel() }
}

// drain reads what little there may be, so that the connection can be used again.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // the status has said it all
	resp.Body.Close()
}
