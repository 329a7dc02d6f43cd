package smart

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"time"
)

// ErrSignInAgain is a session that cannot be renewed any more, or none. The person must sign in again.
// It comes inside an [*Error].
var ErrSignInAgain = errors.New("sign in again")

const (
	// leaseLife outlives what a renewal may take: discovery, a request and its repetition after
	// a correction of the clock.
	leaseLife = 3 * requestTimeout
	// leasePause is how often a process looks whether another has renewed.
	leasePause = 200 * time.Millisecond
	// writeTries is how often a new token is offered to the Store at once.
	writeTries = 3
)

// renewal is one refresh that any number of goroutines wait for.
type renewal struct {
	done    chan struct{}
	data    sessionData // set before done is closed, as are the following
	version int64
	err     error
}

// unsaved is an answer that the Store would not take: the refresh token in the Store may be dead, this
// one lives. It is offered again before anything else is done.
type unsaved struct {
	data    sessionData
	version int64
}

// Token returns the access token for the FHIR base; base must be the session's own ([ErrForeignBase]).
// It is renewed a minute or a tenth of its life before its end, whichever is shorter: of any number of
// callers, in this process and in others on the same Store, one sends the request. A new refresh token
// is stored before the new access token is handed out. A renewal that fails while the old token is good
// returns the old one.
//
// Refused is "" or the token that the server has just answered with 401, which is then renewed.
//
// [ErrSignInAgain] means that nothing but a new launch helps: the server has ended the grant, the
// absolute end has come, or the token has ended and there is no refresh token. Every other error may
// pass, and costs nothing that could be renewed later.
func (s *Session) Token(ctx context.Context, base, refused string) (string, error) {
	if !sameBase(s.Base, base) {
		return "", &Error{Op: "token", Err: ErrForeignBase}
	}
	for n := 0; ; n++ {
		now := s.app.now()
		s.now.mu.Lock()
		d := s.now.data
		s.now.mu.Unlock()
		dead := refused != "" && d.Access == refused
		if !dead && (d.fresh(now) || d.usable(now) && (s.app.pausing(s.key, now) || ctx.Err() != nil)) {
			return d.Access, nil //nolint:nilerr // the old token is good enough for a caller that has no time to wait
		}
		if ctx.Err() != nil {
			return "", &Error{Op: "token", Err: network(ctx.Err())}
		}
		if n == 2 { // twice renewed and still none: do not ask for ever
			return "", &Error{Op: "token", Err: ErrSignInAgain}
		}
		old := ""
		if dead || !d.usable(now) {
			old = d.Access // it does not do any more
		}
		f := s.app.renew(ctx, s.key, old)
		select {
		case <-f.done:
		case <-ctx.Done():
			continue
		}
		if f.err != nil {
			if errors.Is(f.err, ErrSignInAgain) || dead || !d.usable(s.app.now()) {
				return "", f.err
			}
			s.app.rest(s.key)
			continue
		}
		s.adopt(f.data, f.version)
	}
}

// renew joins the renewal of a session, and begins it if there is none. Old is the token that does not
// do any more, "" if it is renewed early.
func (a *App) renew(ctx context.Context, key, old string) *renewal {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f := a.renewals[key]; f != nil {
		return f
	}
	if a.renewals == nil {
		a.renewals = map[string]*renewal{}
	}
	f := &renewal{done: make(chan struct{})}
	a.renewals[key] = f
	// The values of the first caller's context, not its end: a renewal that is under way must be
	// written, whoever waits for it.
	ctx = context.WithoutCancel(ctx)
	go func() {
		d, version, err := a.renewNow(ctx, key, old)
		a.mu.Lock()
		defer a.mu.Unlock()
		f.data, f.version, f.err = d, version, err
		delete(a.renewals, key)
		close(f.done)
	}()
	return f
}

// renewNow renews with the lease of the session, or waits for whoever has it.
func (a *App) renewNow(ctx context.Context, key, old string) (sessionData, int64, error) {
	holder, err := a.newSecret(16)
	if err != nil {
		return sessionData{}, 0, &Error{Op: "token", Err: errors.New("no randomness")}
	}
	for waited := time.Duration(0); ; waited += leasePause {
		ok, err := a.store().Lease(ctx, key, holder, leaseLife)
		if err != nil {
			return sessionData{}, 0, &Error{Op: "token", Err: stored(err)}
		}
		if ok {
			break
		}
		if d, version, err := a.read(ctx, key); err != nil || d.Access != old && d.fresh(a.now()) {
			return d, version, err
		}
		if waited > leaseLife+requestTimeout {
			return sessionData{}, 0, &Error{Op: "token", Err: errors.New("another process renews and does not finish")}
		}
		if err := a.wait(ctx, leasePause); err != nil {
			return sessionData{}, 0, &Error{Op: "token", Err: network(err)}
		}
	}
	defer func() {
		if err := a.store().Release(ctx, key, holder); err != nil {
			a.log(ctx, slog.LevelWarn, "lease not released", "err", stored(err))
		}
	}()
	return a.refresh(ctx, key, old)
}

// read is the session as the Store has it. One that is gone is over.
func (a *App) read(ctx context.Context, key string) (sessionData, int64, error) {
	var d sessionData
	r, err := a.store().Get(ctx, key)
	switch {
	case errors.Is(err, ErrNoRecord):
		return d, 0, &Error{Op: "token", Err: ErrSignInAgain}
	case err != nil:
		return d, 0, &Error{Op: "token", Err: stored(err)}
	case json.Unmarshal(r.Data, &d) != nil:
		return d, 0, &Error{Op: "token", Err: errors.New("record cannot be read")}
	case !a.now().Before(d.Ends):
		return d, 0, &Error{Op: "token", Err: ErrSignInAgain}
	}
	return d, r.Version, nil
}

// refresh is one refresh request and what follows from its answer. The lease is held.
func (a *App) refresh(ctx context.Context, key, old string) (sessionData, int64, error) {
	again := func() (sessionData, int64, error) {
		return sessionData{}, 0, &Error{Op: "token", Err: ErrSignInAgain}
	}
	d, version, err := a.read(ctx, key)
	if errors.Is(err, ErrSignInAgain) {
		a.abandon(ctx, key) // the session is over, and so is what was kept back of it
	}
	if err != nil {
		return d, 0, err
	}
	if u := a.keptBack(key); u != nil { // an answer from before that could not be written
		if version == u.version {
			return a.write(ctx, key, u.data, version)
		}
		a.forget(key) // somebody wrote meanwhile: theirs stays
	}
	now := a.now()
	switch {
	case d.Access != old && d.fresh(now):
		return d, version, nil // somebody else has renewed
	case d.Refresh == "" && d.Access != old && d.usable(now):
		return d, version, nil
	case d.Refresh == "":
		return again()
	}
	iss, err := a.issuer(d.Base)
	if err != nil || iss.ClientID != d.ClientID {
		return sessionData{}, 0, &Error{Op: "token", Err: ErrIssuer}
	}
	res, err := a.tokenRequest(ctx, iss, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {d.Refresh}})
	if err != nil {
		e := asError("token", err)
		a.log(ctx, slog.LevelWarn, "renewal failed", "base", iss.String(), "err", e)
		if e.Code != "invalid_grant" {
			return sessionData{}, 0, e // the refresh token stays: this may pass
		}
		return a.dropped(ctx, key, d, old, e)
	}
	ans, err := readAnswer(res.body)
	if err != nil {
		return sessionData{}, 0, res.fail("token", err)
	}
	next := d
	if p := text(ans.members["patient"]); p != "" && p != text(d.Context["patient"]) {
		// A token for somebody else must not be used under this patient's name, nor live on.
		got := next
		got.Access, got.Refresh = ans.token.Reveal(), ans.refresh
		next.Access, next.Refresh = "", ""
		if _, _, err := a.write(ctx, key, next, version); err != nil {
			return sessionData{}, 0, err
		}
		a.log(ctx, slog.LevelError, "renewal is for another patient: session ended", "base", iss.String())
		if err := a.revoke(ctx, got); err != nil {
			a.log(ctx, slog.LevelWarn, "token of an ended session not revoked", "err", err)
		}
		return again()
	}
	next.setToken(ans.grant, now)
	if ans.scoped && ans.scope != "" {
		next.Granted = ans.scope
	}
	if ans.refresh != "" {
		next.Refresh = ans.refresh
	}
	out, version, err := a.write(ctx, key, next, version)
	if err == nil {
		a.log(ctx, slog.LevelDebug, "renewed", "base", iss.String(), "expires", out.Expires, "rotated", ans.refresh != "")
	}
	return out, version, err
}

// dropped is a refresh that the server answered with invalid_grant. If another process has rotated the
// token meanwhile, its token counts; if not, the grant is over, and an access token that was only
// renewed early is used to its end.
func (a *App) dropped(ctx context.Context, key string, sent sessionData, old string, cause *Error) (sessionData, int64, error) {
	d, version, err := a.read(ctx, key)
	if err != nil {
		return d, 0, err
	}
	if d.Refresh != sent.Refresh && d.Access != old && d.usable(a.now()) {
		return d, version, nil
	}
	if d.Refresh != sent.Refresh {
		return sessionData{}, 0, cause // renewed by another, and ended as well: try again
	}
	d.Refresh = ""
	if d.Access == old {
		d.Access = ""
	}
	d, version, err = a.write(ctx, key, d, version)
	if err != nil {
		return d, 0, err
	}
	if d.Access != old && d.usable(a.now()) {
		return d, version, nil
	}
	return sessionData{}, 0, &Error{
		Op: "token", URL: cause.URL, Status: cause.Status, Code: cause.Code, Description: cause.Description,
		Date: cause.Date, Err: ErrSignInAgain,
	}
}

// write puts a session into the Store over the version that was read, before anybody uses its token. A
// Store that does not answer is asked again, and what it does not take is kept back in this process.
func (a *App) write(ctx context.Context, key string, d sessionData, version int64) (sessionData, int64, error) {
	r, err := d.record()
	if err != nil {
		return sessionData{}, 0, &Error{Op: "token", Err: err}
	}
	if d.Access == "" { // kept for the length of its grant, so that it can say what happened
		r.Expires = d.Ends
	}
	r.Version = version
	for n := 1; ; n++ {
		next, err := a.store().Replace(ctx, key, r)
		switch {
		case err == nil:
			a.forget(key)
			return d, next, nil
		case errors.Is(err, ErrConflict): // somebody wrote though we had the lease: theirs stays
			a.forget(key)
			return a.read(ctx, key)
		case errors.Is(err, ErrNoRecord): // signed out meanwhile: nothing comes back to life
			a.forget(key)
			if rerr := a.revoke(ctx, d); rerr != nil {
				a.log(ctx, slog.LevelWarn, "token of an ended session not revoked", "err", rerr)
			}
			return sessionData{}, 0, &Error{Op: "token", Err: ErrSignInAgain}
		}
		if n == writeTries || a.wait(ctx, time.Duration(n)*leasePause) != nil {
			a.keepBack(key, d, version)
			return sessionData{}, 0, &Error{Op: "token", Err: stored(err)}
		}
	}
}

// pausing reports whether a renewal has failed just now: each request of a browser is a Session of its
// own, and not each of them shall wait for a server that is unwell.
func (a *App) pausing(key string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	until, there := a.paused[key]
	if there && !now.Before(until) {
		delete(a.paused, key)
	}
	return now.Before(until)
}

// rest begins a pause, and ends those that nobody came back for.
func (a *App) rest(key string) {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.paused == nil {
		a.paused = map[string]time.Time{}
	}
	for k, until := range a.paused {
		if !now.Before(until) {
			delete(a.paused, k)
		}
	}
	a.paused[key] = now.Add(renewPause)
}

func (a *App) keptBack(key string) *unsaved {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unsaved[key]
}

func (a *App) keepBack(key string, d sessionData, version int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unsaved == nil {
		a.unsaved = map[string]*unsaved{}
	}
	for k, u := range a.unsaved {
		if !a.now().Before(u.data.Ends) {
			delete(a.unsaved, k)
		}
	}
	a.unsaved[key] = &unsaved{d, version}
}

// abandon revokes what was kept back of a session that is over.
func (a *App) abandon(ctx context.Context, key string) {
	u := a.keptBack(key)
	if u == nil {
		return
	}
	a.forget(key)
	if err := a.revoke(ctx, u.data); err != nil {
		a.log(ctx, slog.LevelWarn, "token of an ended session not revoked", "err", err)
	}
}

func (a *App) forget(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.unsaved, key)
}
