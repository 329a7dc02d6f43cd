package smart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Session is one launch: a person, a FHIR server, a patient, and the token for them. It satisfies
// what package fhir calls a TokenSource. Two launches in one browser are two Sessions.
//
// It prints without any of that. Its fields are those of the launch and never change; it is safe for
// use by several goroutines and must not be copied.
type Session struct {
	// ID is the handle in the session's path. [App.Session] finds the session by it; a browser
	// needs the cookie of the launch as well.
	ID string
	// Base is the FHIR base URL, as the issuer is configured.
	Base string
	// ClientID is the client that was launched.
	ClientID string
	// Patient and Encounter are ids; "" if not in context.
	Patient, Encounter string
	// User is who signed in.
	User User
	// Context is everything that the launch came with.
	Context Context
	// Target is where the person wanted to go, a path of the application.
	Target string
	// Created is when the person had signed in.
	Created time.Time

	app *App
	key string // in the Store
	now *current
}

// current is what of a session changes: the record as it was last read or written.
type current struct {
	mu      sync.Mutex
	data    sessionData
	version int64
}

// sessionData is the content of a session's record. Nobody prints it: secrets stand in it as texts,
// because a record must be written and read.
type sessionData struct {
	Base      string                     `json:"base"`
	ClientID  string                     `json:"client_id"`
	Binding   string                     `json:"binding"` // hash of the browser's secret
	Target    string                     `json:"target"`
	User      User                       `json:"user"`
	Context   map[string]json.RawMessage `json:"context"`
	Asked     string                     `json:"asked"`
	Created   time.Time                  `json:"created"`
	Ends      time.Time                  `json:"ends"`
	Granted   string                     `json:"granted"`
	Access    string                     `json:"access_token"`
	Refresh   string                     `json:"refresh_token,omitempty"`
	Had       bool                       `json:"had_refresh_token,omitempty"`
	RenewFrom time.Time                  `json:"renew_from"`
	Expires   time.Time                  `json:"expires"`
}

// String hides everything.
func (d sessionData) String() string { return redacted }

// Format prints String whatever the verb.
func (d sessionData) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// usable reports whether the token may be handed out.
func (d *sessionData) usable(now time.Time) bool {
	return d.Access != "" && now.Before(d.Expires) && now.Before(d.Ends)
}

// fresh reports whether it need not be renewed yet.
func (d *sessionData) fresh(now time.Time) bool {
	return d.usable(now) && (d.Refresh == "" || now.Before(d.RenewFrom))
}

type sessionKey struct{}

// FromContext is the session of a request that came through [App.Protect] or [App.Require]; nil for
// any other.
func FromContext(ctx context.Context) *Session {
	s, _ := ctx.Value(sessionKey{}).(*Session)
	return s
}

// Session finds a session by its ID: for command lines and workers, which have no browser. It fails
// with [ErrNoRecord] when the session has ended.
func (a *App) Session(ctx context.Context, id string) (*Session, error) {
	if id == "" || len(id) > 128 {
		return nil, &Error{Op: "session", Err: ErrNoRecord}
	}
	r, err := a.store().Get(ctx, sessionRecord(id))
	if err != nil {
		return nil, &Error{Op: "session", Err: stored(err)}
	}
	return a.session(id, r)
}

// session makes a Session of its record.
func (a *App) session(id string, r Record) (*Session, error) {
	var d sessionData
	if r.Kind != "session" || json.Unmarshal(r.Data, &d) != nil {
		return nil, &Error{Op: "session", Err: errors.New("record cannot be read")}
	}
	if !a.now().Before(d.Ends) {
		return nil, &Error{Op: "session", Err: ErrNoRecord}
	}
	c := readContext(d.Context)
	return &Session{
		ID: id, Base: d.Base, ClientID: d.ClientID, Patient: c.Patient, Encounter: c.Encounter,
		User: d.User, Context: c, Target: d.Target, Created: d.Created,
		app: a, key: sessionRecord(id), now: &current{data: d, version: r.Version},
	}, nil
}

// Path is where this launch lives, as the browser sees it: "/s/{ID}/", after the path of App.URL.
// Links and redirects within the application are relative, or begin with it: one to "/labs" leads out of
// the launch.
func (s *Session) Path() string { return s.app.mount() + sessionPath + s.ID + "/" }

// Granted is what the token is good for, as the server said last.
func (s *Session) Granted() Scopes { return ParseScopes(s.snapshot().Granted) }

// Asked is what the launch asked for.
func (s *Session) Asked() Scopes { return ParseScopes(s.snapshot().Asked) }

// Expires is the end of the token at hand. Token renews it before.
func (s *Session) Expires() time.Time { return s.snapshot().Expires }

// Ends is the absolute end of the session, which no renewal moves: then the person signs in again.
// Warn ahead of it.
func (s *Session) Ends() time.Time {
	d := s.snapshot()
	if d.Refresh == "" && d.Expires.Before(d.Ends) {
		return d.Expires
	}
	return d.Ends
}

// Renewable reports whether there is a refresh token.
func (s *Session) Renewable() bool { return s.snapshot().Refresh != "" }

func (s *Session) snapshot() sessionData {
	s.now.mu.Lock()
	defer s.now.mu.Unlock()
	return s.now.data
}

// adopt takes what the store holds, if it is newer.
func (s *Session) adopt(d sessionData, version int64) {
	s.now.mu.Lock()
	defer s.now.mu.Unlock()
	if version >= s.now.version {
		s.now.data, s.now.version = d, version
	}
}

// String hides everything.
func (s Session) String() string { return "session" }

// Format prints String whatever the verb.
func (s Session) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is String.
func (s Session) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, also in JSON: a Session lives in its Store.
func (s Session) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// End ends a session: it is deleted here, always, and then its tokens are revoked if the server has
// an endpoint for that (RFC 7009). An error is about the revocation or the Store.
func (a *App) End(ctx context.Context, s *Session) error {
	r, err := a.store().Take(ctx, s.key)
	a.abandon(ctx, s.key)
	switch {
	case errors.Is(err, ErrNoRecord):
		return nil
	case err != nil:
		// It could not be read; gone it must be.
		if derr := a.store().Delete(ctx, s.key); derr != nil {
			return &Error{Op: "session", Err: stored(derr)}
		}
		return &Error{Op: "session", Err: stored(err)}
	}
	var d sessionData
	if err := json.Unmarshal(r.Data, &d); err != nil {
		return nil //nolint:nilerr // it is gone, and holds nothing to revoke
	}
	return a.revoke(ctx, d)
}

// stored is an error of a Store, fit to print: texts of foreign stores may quote keys or data.
func stored(err error) error {
	for _, known := range []error{ErrNoRecord, ErrExists, ErrConflict, errFull} {
		if errors.Is(err, known) {
			return known
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return network(err)
	}
	return &networkError{"store failed", err}
}

// The keys of records: kind and hash.
func sessionRecord(id string) string   { return "session/" + hash(id) }
func launchRecord(state string) string { return "launch/" + hash(state) }

const sessionPath = "/s/"

// sessionIn splits a path "/s/{handle}/rest" into handle and "/rest".
func sessionIn(path string) (id, rest string, ok bool) {
	p, ok := strings.CutPrefix(path, sessionPath)
	if !ok {
		return "", "", false
	}
	id, rest, ok = strings.Cut(p, "/")
	return id, "/" + rest, ok && id != ""
}
