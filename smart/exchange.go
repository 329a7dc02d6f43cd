package smart

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

var errNoAuthorize = errors.New("no authorization endpoint")

// server is what an App knows of an issuer's server.
type server struct {
	mu     sync.Mutex
	config *Configuration
	at     time.Time
	asking *asking // the discovery under way, nil if none
	skew   time.Duration
	keys   signingKeys
}

// asking is one discovery that any number of callers wait for.
type asking struct {
	done chan struct{}
	err  error // set before done is closed
}

func (a *App) server(base string) *server {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.servers == nil {
		a.servers = map[string]*server{}
	}
	s := a.servers[base]
	if s == nil {
		s = &server{}
		a.servers[base] = s
	}
	return s
}

// configuration is what the issuer's server says about sign-in, asked once a day. An old answer is
// better than none.
func (a *App) configuration(ctx context.Context, iss *Issuer) (*Configuration, error) {
	s := a.server(iss.Base)
	for {
		s.mu.Lock()
		if s.config != nil && a.now().Sub(s.at) < configurationAge {
			c := s.config
			s.mu.Unlock()
			return iss.override(c), nil
		}
		w := s.asking
		if w == nil {
			w = &asking{done: make(chan struct{})}
			s.asking = w
			go a.discover(context.WithoutCancel(ctx), iss, s, w)
		}
		s.mu.Unlock()
		select {
		case <-w.done:
		case <-ctx.Done():
			return nil, &Error{Op: "discover", Err: network(ctx.Err())}
		}
		if w.err == nil {
			continue
		}
		if iss.AuthorizeURL != "" && iss.TokenURL != "" { // then nothing hangs on it
			return iss.override(&Configuration{}), nil
		}
		return nil, w.err
	}
}

// discover asks; each request has its own time limit.
func (a *App) discover(ctx context.Context, iss *Issuer, s *server, w *asking) {
	c, err := discovery{caller: a.caller(), header: iss.Header, authorize: true}.run(ctx, iss.Base)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.config, s.at = c, a.now()
	case s.config != nil:
		s.at = a.now().Add(time.Minute - configurationAge) // ask again in a minute
	default:
		w.err = err
	}
	s.asking = nil
	close(w.done)
}

// override puts the configured endpoints in.
func (i *Issuer) override(c *Configuration) *Configuration {
	if i.AuthorizeURL == "" && i.TokenURL == "" {
		return c
	}
	out := *c
	if i.AuthorizeURL != "" {
		out.AuthorizationEndpoint = i.AuthorizeURL
	}
	if i.TokenURL != "" {
		out.TokenEndpoint = i.TokenURL
	}
	return &out
}

// tokenRequest sends one grant to the token endpoint with the client's authentication, and once more
// if the server's clock explains the refusal of an assertion.
func (a *App) tokenRequest(ctx context.Context, iss *Issuer, form url.Values) (*response, error) {
	conf, err := a.configuration(ctx, iss)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(conf.TokenEndpoint)
	if conf.TokenEndpoint == "" || err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return nil, &Error{Op: "token", Err: ErrNoEndpoint}
	}
	s := a.server(iss.Base)
	for corrected := false; ; corrected = true {
		s.mu.Lock()
		skew := s.skew
		s.mu.Unlock()
		audience := iss.Audience
		if audience == "" {
			audience = conf.TokenEndpoint
		}
		body, assertion, basic, err := iss.authenticate(form, audience, a, skew)
		if err != nil {
			return nil, err
		}
		res, err := a.caller().do(ctx, "token", u, maxTokenAnswer, func(r *http.Request) {
			post(r, body, iss.Header)
			if basic != "" {
				r.Header.Set("Authorization", basic)
			}
		})
		if err != nil {
			return nil, err
		}
		if res.status >= 200 && res.status < 300 {
			return res, nil
		}
		e := refused(res)
		if res.status < 400 || res.status == http.StatusNotFound || res.status == http.StatusMethodNotAllowed || res.status == http.StatusGone {
			s.mu.Lock()
			s.config = nil // the endpoint may have moved: ask again
			s.mu.Unlock()
		}
		if !assertion.IsZero() && e.Code != "invalid_grant" && (res.status == http.StatusBadRequest || res.status == http.StatusUnauthorized) {
			if fresh, off := clockOff(e, a.now(), skew); off && !corrected {
				s.mu.Lock()
				s.skew = fresh
				s.mu.Unlock()
				a.log(ctx, slog.LevelWarn, "clocks differ: asking again by the server's", "by", fresh)
				continue
			}
			e.Findings = Lint{
				Assertion: assertion, ClientID: iss.ClientID, Audience: audience, KeySetURL: iss.JKU,
				Key: iss.Key, Now: a.now().Add(skew), ServerTime: res.date,
			}.Findings()
		}
		return nil, e
	}
}

// authenticate is the form with what the client's method adds, and the header for Basic.
func (i *Issuer) authenticate(form url.Values, audience string, a *App, skew time.Duration) (body url.Values, assertion Secret, basic string, err error) {
	body = url.Values{}
	for k, v := range form {
		body[k] = v
	}
	switch i.method() {
	case "private_key_jwt":
		assertion, err = Assertion{
			Key: i.Key, ClientID: i.ClientID, Audience: audience, JKU: i.JKU, Rand: a.random(),
			Now: func() time.Time { return a.now().Add(skew) },
		}.Sign()
		if err != nil {
			return nil, Secret{}, "", err
		}
		body.Set("client_assertion_type", assertionType)
		body.Set("client_assertion", assertion.Reveal())
	case "client_secret_basic":
		id, secret := i.ClientID, i.Secret.Reveal()
		if i.EncodeSecret {
			id, secret = url.QueryEscape(id), url.QueryEscape(secret)
		}
		basic = "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
	case "client_secret_post":
		body.Set("client_id", i.ClientID)
		body.Set("client_secret", i.Secret.Reveal())
	default:
		body.Set("client_id", i.ClientID)
	}
	return body, assertion, basic, nil
}

// refused is the error that a token endpoint's answer means.
func refused(a *response) *Error {
	e := a.fail("token", nil)
	switch {
	case a.status < 400:
		e.Err = ErrRedirect
	case len(a.body) > 0:
		var body struct {
			Error       any `json:"error"`
			Description any `json:"error_description"`
		}
		if json.Unmarshal(a.body, &body) != nil {
			e.Err = notJSON(a.body)
		}
		code, _ := body.Error.(string)
		description, _ := body.Description.(string)
		e.Code, e.Description = cleanCode(code), cleanDescription(description)
	}
	return e
}

// answer is a token endpoint's good answer to a person's grant.
type answer struct {
	grant
	scoped           bool // a scope was named
	refresh, idToken string
	ends             time.Duration // of the refresh token, as some servers say; 0 unknown
}

func readAnswer(body []byte) (answer, error) {
	g, err := readGrant(body)
	if err != nil {
		return answer{}, err
	}
	out := answer{grant: g}
	_, out.scoped = out.members["scope"]
	out.refresh, out.idToken = text(out.members["refresh_token"]), text(out.members["id_token"])
	for _, name := range []string{"refresh_expires_in", "refresh_token_expires_in"} {
		if n, err := strconv.ParseInt(text(out.members[name]), 10, 32); err == nil && n > 0 {
			out.ends = time.Duration(n) * time.Second
		}
	}
	return out, nil
}

// revoke ends what a session held, the refresh token first, where the server has an endpoint for it.
func (a *App) revoke(ctx context.Context, d sessionData) error {
	iss, err := a.issuer(d.Base)
	if err != nil || iss.ClientID != d.ClientID {
		return nil //nolint:nilerr // an issuer that is no longer configured cannot be asked
	}
	conf, err := a.configuration(ctx, iss)
	if err != nil {
		return err
	}
	if conf.RevocationEndpoint == "" {
		return nil
	}
	var failed error
	for _, t := range []struct{ hint, token string }{{"refresh_token", d.Refresh}, {"access_token", d.Access}} {
		if t.token != "" {
			q := a.query(iss, conf, t.token, t.hint)
			failed = errors.Join(failed, Revoke(ctx, q))
		}
	}
	return failed
}

// query is a question about a token to the issuer's server.
func (a *App) query(iss *Issuer, conf *Configuration, token, hint string) TokenQuery {
	return TokenQuery{
		Configuration: conf, Token: NewSecret(token), Hint: hint, Issuer: *iss,
		HTTP: a.HTTP, InsecureHTTP: a.InsecureHTTP, Now: a.now,
	}
}

// grantEnd asks for the end of a refresh token where nothing else tells: at Epic introspection is the
// only way to learn it. Zero means unknown; no sign-in fails or waits long for it.
func (a *App) grantEnd(ctx context.Context, iss *Issuer, conf *Configuration, d sessionData) time.Time {
	if d.Refresh == "" || iss.GrantLife > 0 || IntrospectionURL(conf) == "" {
		return time.Time{}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	q := a.query(iss, conf, d.Refresh, "refresh_token")
	q.Bearer = NewSecret(d.Access)
	in, err := Introspect(ctx, q)
	if err != nil || !in.Active {
		a.log(ctx, slog.LevelDebug, "the end of the grant is unknown", "base", iss.String(), "err", err)
		return time.Time{}
	}
	return in.Expires
}
