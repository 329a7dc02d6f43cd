package smart

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

	// unknownLifetime is what a token lives when the answer does not say: SMART asks servers
	// to give no more.
	unknownLifetime = 5 * time.Minute
	// longestLifetime bounds what is believed.
	longestLifetime = 24 * time.Hour
	// configurationAge is how long discovery is believed.
	configurationAge = 24 * time.Hour
	// maxTokenAnswer is generous: tokens with 150 scopes have some ten kilobytes.
	maxTokenAnswer = 1 << 20
	// maxSkew bounds how far a server's Date may move the times in an assertion.
	maxSkew = time.Hour
)

var (
	errNoClientID = errors.New("no client id")
	errNoKey      = errors.New("no key")
)

// signIn tries until there is a token, the refusal is final or the tries are used up. A renewal
// before the end has one try. The turn is held.
func (b *Backend) signIn(ctx context.Context, early, renewal bool) (held, error) {
	tries := b.Tries
	if tries <= 0 {
		tries = 4
	}
	if early {
		tries = 1
	}
	maxWait := b.MaxWait
	if maxWait <= 0 {
		maxWait = 2 * time.Minute
	}
	corrected := false
	for n := 1; ; n++ {
		h, err := b.try(ctx)
		if err == nil {
			b.log(ctx, slog.LevelDebug, "signed in", "expires", h.expires, "tries", n)
			return h, nil
		}
		err.Tries = n
		if ctx.Err() != nil {
			return held{}, err
		}
		if !corrected && b.correctClock(err) {
			corrected = true
			b.log(ctx, slog.LevelWarn, "clocks differ: signing in again by the server's", "by", b.skew)
			continue
		}
		pause := b.backoff(n)
		if err.RetryAfter > 0 {
			pause = err.RetryAfter
		}
		if n >= tries || pause > maxWait || !b.passing(err, renewal) {
			return held{}, err
		}
		b.log(ctx, slog.LevelWarn, "sign-in failed", "err", err, "again_in", pause)
		if werr := b.wait(ctx, pause); werr != nil {
			return held{}, err
		}
	}
}

// passing reports whether a failure may be gone the next time.
//
// A server that let the client in before and now refuses it with a bare 400 or invalid_client has
// often only failed to read the key set (Epic is known for it): renewals are tried again, a first
// sign-in is not.
func (b *Backend) passing(e *Error, renewal bool) bool {
	switch {
	case errors.Is(e, ErrInsecure), errors.Is(e, ErrTooLarge), untrusted(e.Err):
		return false
	case e.Status == 0:
		if e.URL == "" || errors.Is(e, ErrNoEndpoint) {
			return false
		}
		dns, ok := errors.AsType[*net.DNSError](e.Err)
		return renewal || !ok || !dns.IsNotFound
	case e.Status == http.StatusTooManyRequests, e.Status == http.StatusRequestTimeout:
		return true
	case e.Status >= 500:
		return e.Status != http.StatusNotImplemented
	}
	switch e.Code {
	case "temporarily_unavailable", "server_error", "slow_down":
		return true
	case "", "invalid_client":
		return renewal
	}
	return false
}

// backoff is one, two, four seconds and so on to half a minute, less up to half of it.
func (b *Backend) backoff(n int) time.Duration {
	d := min(time.Second<<min(n-1, 10), 30*time.Second)
	var r [2]byte
	if _, err := io.ReadFull(b.random(), r[:]); err != nil {
		return d
	}
	return d - time.Duration(float64(d)/2*float64(uint(r[0])<<8|uint(r[1]))/65536)
}

// correctClock looks at the server's clock after a refusal. If it differs so much that the assertion
// was bound to be refused, the next one goes by it.
func (b *Backend) correctClock(e *Error) bool {
	skew, off := clockOff(e, b.now(), b.skew)
	if off {
		b.skew = skew
	}
	return off
}

// clockOff is how far the server's clock is ahead of ours, and whether that differs so much from what
// was reckoned with that an assertion was bound to be refused.
func clockOff(e *Error, now time.Time, reckoned time.Duration) (skew time.Duration, off bool) {
	if e.Op != "token" || e.Date.IsZero() || e.Status != http.StatusBadRequest && e.Status != http.StatusUnauthorized {
		return 0, false
	}
	skew = e.Date.Sub(now)
	d := skew - reckoned
	if d > -assertionBack && d < assertionAhead-30*time.Second || skew.Abs() > maxSkew {
		return 0, false
	}
	return skew, true
}

// try is one request for a token, with what must be known before it.
func (b *Backend) try(ctx context.Context) (held, *Error) {
	endpoint, failed := b.endpoint(ctx)
	if failed != nil {
		return held{}, failed
	}
	audience := b.Audience
	if audience == "" {
		audience = endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return held{}, &Error{Op: "token", Err: errors.New("token endpoint is no usable URL")}
	}
	assertion, err := Assertion{
		Key: b.Key, ClientID: b.ClientID, Audience: audience, JKU: b.JKU, Rand: b.random(),
		Now: func() time.Time { return b.now().Add(b.skew) },
	}.Sign()
	if err != nil {
		return held{}, asError("assertion", err)
	}
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {assertionType},
		"client_assertion":      {assertion.Reveal()},
	}
	if b.Scope != "" {
		form.Set("scope", b.Scope)
	}
	sent := b.now()
	a, err := b.caller().do(ctx, "token", u, maxTokenAnswer, func(r *http.Request) {
		post(r, form, b.Header)
	})
	if err != nil {
		return held{}, asError("token", err)
	}
	if a.status < 200 || a.status > 299 {
		return held{}, b.refusal(a, assertion, audience)
	}
	g, err := readGrant(a.body)
	if err != nil {
		return held{}, a.fail("token", err)
	}
	life := g.lifetime
	return held{
		token: g.token, scope: g.scope, ever: true,
		expires: sent.Add(life), renew: sent.Add(life - min(time.Minute, life/10)),
	}, nil
}

// endpoint is the token endpoint: given, remembered or discovered.
func (b *Backend) endpoint(ctx context.Context) (string, *Error) {
	if b.TokenURL != "" {
		return b.TokenURL, nil
	}
	if b.config != nil && b.now().Sub(b.configAt) < configurationAge {
		return b.config.TokenEndpoint, nil
	}
	c, err := discovery{caller: b.caller(), header: b.Header}.run(ctx, b.Base)
	switch {
	case err != nil && b.config != nil:
		return b.config.TokenEndpoint, nil // better than nothing
	case err != nil:
		return "", asError("discover", err)
	case c.TokenEndpoint == "":
		cause := ErrNoEndpoint
		for _, p := range c.Problems {
			if strings.HasPrefix(p, "token") {
				cause = &networkError{p, ErrNoEndpoint}
			}
		}
		return "", &Error{Op: "discover", URL: b.Base, Date: c.Date, Err: cause}
	}
	b.config, b.configAt = c, b.now()
	return c.TokenEndpoint, nil
}

// refusal is the error that a token endpoint's answer means.
func (b *Backend) refusal(a *response, assertion Secret, audience string) *Error {
	e := refused(a)
	if a.status < 400 || a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed || a.status == http.StatusGone {
		b.config = nil // the endpoint may have moved: ask again
	}
	if a.status == http.StatusBadRequest || a.status == http.StatusUnauthorized {
		e.Findings = Lint{
			Assertion: assertion, ClientID: b.ClientID, Audience: audience, KeySetURL: b.JKU,
			Key: b.Key, Now: b.now().Add(b.skew), ServerTime: a.date,
		}.Findings()
	}
	return e
}

// post makes a request the form's.
func post(r *http.Request, form url.Values, header http.Header) {
	body := form.Encode()
	r.Method = http.MethodPost
	r.ContentLength = int64(len(body))
	r.Body = io.NopCloser(strings.NewReader(body))
	// No GetBody: net/http must not send the same assertion twice on its own.
	for k, v := range header {
		r.Header[http.CanonicalHeaderKey(k)] = v
	}
	r.Header.Del("Authorization")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
}

// grant is a token endpoint's good answer.
type grant struct {
	token    Secret
	scope    string
	lifetime time.Duration
	members  map[string]json.RawMessage // all of it, the tokens too
}

// readGrant reads the answer by the names of its members, letter for letter.
func readGrant(body []byte) (grant, error) {
	var m map[string]json.RawMessage
	if json.Unmarshal(body, &m) != nil {
		return grant{}, notJSON(body)
	}
	var token, kind, scope string
	for name, to := range map[string]*string{"access_token": &token, "token_type": &kind, "scope": &scope} {
		_ = json.Unmarshal(m[name], to) // another kind of value is none
	}
	switch {
	case token == "":
		return grant{}, errors.New("answer holds no access token")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return grant{}, errors.New("access token has characters that no header can carry")
	case asciiLower(kind) != "bearer":
		return grant{}, errors.New("token type is not bearer")
	}
	return grant{NewSecret(token), scope, lifetime(m["expires_in"]), m}, nil
}

// lifetime reads expires_in, a number or a string with one.
func lifetime(raw json.RawMessage) time.Duration {
	text := strings.Trim(strings.TrimSpace(string(raw)), `"`)
	s, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(s) || s <= 0 {
		return unknownLifetime
	}
	return time.Duration(min(s, longestLifetime.Seconds()) * float64(time.Second))
}

// asError makes sure that what is returned is ours.
func asError(op string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Op: op, Err: network(err)}
}
