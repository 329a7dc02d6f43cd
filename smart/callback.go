package smart

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// What a sign-in that came back is refused with, for errors.Is. Each comes inside an [*Error].
var (
	// ErrCallback: the parameters are not one answer: a state missing or twice, both code and
	// error, neither, or one of them twice.
	ErrCallback = errors.New("not an authorization response")
	// ErrLaunchExpired: the person took longer than LaunchLife.
	ErrLaunchExpired = errors.New("launch has expired")
	// ErrLaunchUsed: the state is unknown or was used before.
	ErrLaunchUsed = errors.New("launch is unknown or was finished")
	// ErrOtherBrowser: the launch was begun in another browser, or this one keeps no cookies.
	// It can still be finished where it was begun.
	ErrOtherBrowser = errors.New("launch was begun in another browser")
	// ErrMixUp: the answer is from another authorization server than the one that was asked
	// (RFC 9207), or came to the redirect URI of another.
	ErrMixUp = errors.New("answer is from another authorization server")
)

// Finish takes what came back to the redirect URI and returns the session: the state is known, unused
// and bound to the browser that has the binding; the code is exchanged; an id_token is verified. The
// launch is over whatever comes of it, except for [ErrOtherBrowser].
//
// A server's own refusal is an [*Error] with Op "authorize" and its Code, such as "access_denied".
func (a *App) Finish(ctx context.Context, params url.Values, binding string) (*Session, error) {
	s, _, err := a.finish(ctx, params, binding, "")
	return s, err
}

// finish is Finish with the path that the browser came to, "" if it is not known, and the secret for
// the browser's session.
func (a *App) finish(ctx context.Context, params url.Values, binding, path string) (*Session, Secret, error) {
	fail := func(err error) (*Session, Secret, error) {
		return nil, Secret{}, &Error{Op: "callback", Err: err}
	}
	for _, name := range []string{"state", "code", "error", "iss"} {
		if len(params[name]) > 1 {
			return fail(ErrCallback)
		}
	}
	state := params.Get("state")
	if state == "" || len(state) > 128 {
		return fail(ErrCallback)
	}
	// Looked at before it is taken: somebody else's browser must not end the launch.
	p, err := a.pending(ctx, state, a.store().Get)
	if err != nil {
		return fail(err)
	}
	if binding == "" || !same(p.Binding, hash(binding)) {
		return fail(ErrOtherBrowser)
	}
	if p, err = a.pending(ctx, state, a.store().Take); err != nil {
		return fail(err)
	}
	if !a.now().Before(p.Created.Add(a.launchLife())) {
		return fail(ErrLaunchExpired)
	}
	iss, err := a.issuer(p.Issuer)
	if err != nil || iss.ClientID != p.ClientID { // the configuration has changed
		return fail(ErrIssuer)
	}
	if own := a.redirectPath(p.Redirect); path != "" && own != "" && own != path {
		return fail(ErrMixUp)
	}
	conf, err := a.configuration(ctx, iss)
	if err != nil {
		return nil, Secret{}, err
	}
	if err := sameServer(conf, iss, params); err != nil {
		return fail(err)
	}
	code, refusal := params.Get("code"), params.Get("error")
	switch {
	case (code == "") == (refusal == ""):
		return fail(ErrCallback)
	case refusal != "":
		return nil, Secret{}, &Error{
			Op: "authorize", Code: cleanCode(refusal), Description: cleanDescription(params.Get("error_description")),
			Err: errRefusedThere,
		}
	}
	return a.exchange(ctx, iss, conf, p, code)
}

var errRefusedThere = errors.New("refused by the authorization server")

// pending reads a launch's record.
func (a *App) pending(ctx context.Context, state string, read func(context.Context, string) (Record, error)) (pending, error) {
	var p pending
	r, err := read(ctx, launchRecord(state))
	if errors.Is(err, ErrNoRecord) {
		if t := stateTime(state); !t.IsZero() && !a.now().Before(t.Add(a.launchLife())) {
			return p, ErrLaunchExpired
		}
		return p, ErrLaunchUsed
	}
	if err != nil {
		return p, stored(err)
	}
	if r.Kind != "launch" || json.Unmarshal(r.Data, &p) != nil {
		return p, ErrLaunchUsed
	}
	return p, nil
}

// sameServer judges the parameter iss (RFC 9207): it must be the server's, and be there if the server
// announces it.
func sameServer(conf *Configuration, iss *Issuer, params url.Values) error {
	var announced bool
	_ = json.Unmarshal(conf.Raw["authorization_response_iss_parameter_supported"], &announced)
	got := params.Get("iss")
	want := conf.Issuer
	if want == "" {
		want = iss.Base
	}
	if got == "" && !announced || got == want {
		return nil
	}
	return ErrMixUp
}

// exchange buys a token for the code and makes the session.
func (a *App) exchange(ctx context.Context, iss *Issuer, conf *Configuration, p pending, code string) (*Session, Secret, error) {
	sent := a.now()
	res, err := a.tokenRequest(ctx, iss, url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code},
		"redirect_uri":  {p.Redirect},
		"code_verifier": {p.Verifier},
	})
	if err != nil {
		return nil, Secret{}, err
	}
	ans, err := readAnswer(res.body)
	if err != nil {
		return nil, Secret{}, res.fail("token", err)
	}
	var user User
	if p.Nonce != "" { // openid was asked for
		if user, err = a.user(ctx, iss, conf, ans.idToken, p.Nonce); err != nil {
			return nil, Secret{}, err
		}
	}
	if iss.RequireUser && user.IsZero() {
		return nil, Secret{}, &Error{Op: "id_token", Err: ErrNoUser}
	}
	for _, name := range notContext {
		delete(ans.members, name)
	}
	now := a.now()
	d := sessionData{
		Base: iss.Base, ClientID: iss.ClientID, Target: p.Target, User: user, Context: ans.members,
		Asked: p.Scope, Created: now, Granted: p.Scope, Refresh: ans.refresh, Had: ans.refresh != "",
	}
	if ans.scoped {
		d.Granted = ans.scope
	}
	d.setToken(ans.grant, sent)
	d.Ends = a.ends(iss, d, ans.ends)
	if end := a.grantEnd(ctx, iss, conf, d); !end.IsZero() && end.Before(d.Ends) && end.After(now) {
		d.Ends = end
	}

	id, err1 := a.newSecret(16)
	secret, err2 := a.newSecret(32)
	if err := errors.Join(err1, err2); err != nil {
		return nil, Secret{}, &Error{Op: "session", Err: errors.New("no randomness")}
	}
	d.Binding = hash(secret)
	r, err := d.record()
	if err != nil {
		return nil, Secret{}, &Error{Op: "session", Err: err}
	}
	if err := a.store().Create(ctx, sessionRecord(id), r); err != nil {
		return nil, Secret{}, &Error{Op: "session", Err: stored(err)}
	}
	r.Version = 1
	s, err := a.session(id, r)
	if err != nil {
		return nil, Secret{}, err
	}
	a.log(ctx, slog.LevelInfo, "signed in", "base", iss.String(), "user", user.String(), "patient", s.Patient != "",
		"expires", d.Expires, "ends", d.Ends, "renewable", d.Refresh != "")
	return s, NewSecret(secret), nil
}

// setToken puts a new access token in.
func (d *sessionData) setToken(g grant, sent time.Time) {
	d.Access = g.token.Reveal()
	d.Expires = sent.Add(g.lifetime)
	d.RenewFrom = d.Expires.Add(-min(time.Minute, g.lifetime/10))
}

// ends is the absolute end, set once.
func (a *App) ends(iss *Issuer, d sessionData, server time.Duration) time.Time {
	life := a.SessionLife
	switch {
	case life > 0:
	case d.Refresh != "" && hasWord(d.Asked, "offline_access"):
		life = 180 * 24 * time.Hour
	default:
		life = 12 * time.Hour
	}
	if iss.GrantLife > 0 {
		life = min(life, iss.GrantLife)
	}
	if server > 0 {
		life = min(life, server)
	}
	return d.Created.Add(life)
}

// record is the session for the Store. One that cannot be renewed ends with its token.
func (d *sessionData) record() (Record, error) {
	data, err := json.Marshal(d) //nolint:gosec // the Store seals it, as it must
	if err != nil {
		return Record{}, err
	}
	expires := d.Ends
	if d.Refresh == "" && d.Expires.Before(expires) {
		expires = d.Expires
	}
	return Record{Kind: "session", Data: data, Expires: expires}, nil
}

// Callback is the handler of the redirect URI. It finishes the launch, gives the browser the cookie
// of its session and sends it to the target below Session.Path, never to a place named in the request.
func (a *App) Callback() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !getOnly(w, r) {
			return
		}
		q, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			a.fail(w, r, &Error{Op: "callback", Err: ErrCallback})
			return
		}
		name := a.cookieName(launchCookie, q.Get("state"))
		s, secret, err := a.finish(r.Context(), q, cookieValue(r, name), r.URL.Path)
		if !errors.Is(err, ErrOtherBrowser) {
			a.dropCookie(w, name)
		}
		if err != nil {
			a.log(r.Context(), slog.LevelWarn, "launch failed", "err", err)
			a.fail(w, r, err)
			return
		}
		a.setSessionCookie(w, r, s, secret)
		bare(w.Header())
		w.Header().Set("Location", s.Path()+s.Target[1:]) // Target begins with a slash
		w.WriteHeader(http.StatusSeeOther)
	})
}
