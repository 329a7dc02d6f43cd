package smart

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// What a launch is refused with, for errors.Is. Each comes inside an [*Error].
var (
	// ErrIssuer: the FHIR server is not among the App's Issuers. Nothing was sent.
	ErrIssuer = errors.New("issuer is not allowed")
	// ErrLaunchRequest: the request that opened the application is not one launch.
	ErrLaunchRequest = errors.New("not a launch request")
	// ErrTarget: the place to go to is no path of the application.
	ErrTarget = errors.New("target is no path of the application")

	errAppURL = errors.New("URL of the application is not usable")
)

// LaunchRequest begins a launch.
type LaunchRequest struct {
	// Base is the FHIR base: iss exactly as the EHR sent it. Empty means the only issuer.
	Base string
	// Launch is the EHR's launch value, opaque. Empty means a standalone launch.
	Launch string
	// Target is where to go after sign-in: a path of the application with its query, such as
	// "/labs?days=30". Empty means "/". Anything that could lead elsewhere is refused.
	Target string
	// Scope takes the place of the issuer's for this launch when it is not empty.
	Scope string
}

// Authorization is what sends a browser to the authorization server. It prints without its values.
type Authorization struct {
	// URL is where to send the browser.
	URL string
	// Form, if not nil, is to be posted to URL; nil means a redirect.
	Form url.Values
	// Binding is the secret that ties the launch to one browser: keep it there, in a cookie
	// that scripts cannot read, and hand it to [App.Finish].
	Binding Secret
	// State is the value that comes back as state.
	State Secret
	// Expires is when the launch is given up.
	Expires time.Time
}

// String is scheme, host and path.
func (a Authorization) String() string {
	u, err := url.Parse(a.URL)
	if err != nil {
		return "authorization"
	}
	return "authorization at " + printable(u)
}

// Format prints String whatever the verb.
func (a Authorization) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue is String.
func (a Authorization) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalText is String.
func (a Authorization) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// pending is the content of a launch's record.
type pending struct {
	Base     string    `json:"base"` // as received: the aud
	Issuer   string    `json:"issuer"`
	ClientID string    `json:"client_id"`
	Redirect string    `json:"redirect_uri"`
	Verifier string    `json:"verifier"`
	Nonce    string    `json:"nonce,omitempty"`
	Binding  string    `json:"binding"` // hash of the browser's secret
	Scope    string    `json:"scope"`
	Target   string    `json:"target"`
	Created  time.Time `json:"created"`
}

// postFrom is the length of a URL from which a POST is better: some servers stop at 2048.
const postFrom = 2000

// Begin begins a launch: it finds the issuer, asks it how to sign in, remembers the launch and returns
// where to send the browser. State has 136 random bits and is good once, for LaunchLife; PKCE with S256
// and aud are always sent, a nonce whenever openid is asked for.
//
// It fails before any request is made if the base is not an issuer's ([ErrIssuer]).
func (a *App) Begin(ctx context.Context, q LaunchRequest) (*Authorization, error) {
	iss, err := a.issuer(q.Base)
	if err != nil {
		return nil, &Error{Op: "launch", Err: err}
	}
	if err := iss.check(a.InsecureHTTP); err != nil {
		return nil, &Error{Op: "launch", Err: err}
	}
	target, err := cleanTarget(q.Target)
	if err != nil {
		return nil, &Error{Op: "launch", Err: err}
	}
	redirect, err := a.redirectURI(iss)
	if err != nil {
		return nil, &Error{Op: "launch", Err: err}
	}
	conf, err := a.configuration(ctx, iss)
	if err != nil {
		return nil, err
	}
	endpoint, err := url.Parse(conf.AuthorizationEndpoint)
	if conf.AuthorizationEndpoint == "" || err != nil || endpoint.Hostname() == "" || endpoint.User != nil || endpoint.Fragment != "" {
		return nil, &Error{Op: "discover", URL: iss.Base, Err: errNoAuthorize}
	}
	if err := secure(endpoint, a.InsecureHTTP); err != nil {
		return nil, &Error{Op: "launch", Err: err}
	}

	base := q.Base
	if base == "" {
		base = iss.Base
	}
	scope := q.Scope
	if scope == "" {
		scope = iss.scope(q.Launch != "")
	}
	now := a.now()
	state, err1 := a.newState(now)
	binding, err2 := a.newSecret(32)
	verifier, err3 := a.newSecret(32)
	nonce, err4 := a.newSecret(16)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, &Error{Op: "launch", Err: errors.New("no randomness")}
	}
	challenge := sha256.Sum256([]byte(verifier))
	form := url.Values{
		"response_type":         {"code"},
		"client_id":             {iss.ClientID},
		"redirect_uri":          {redirect},
		"scope":                 {scope},
		"state":                 {state},
		"aud":                   {base},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"code_challenge_method": {"S256"},
	}
	p := pending{
		Base: base, Issuer: iss.Base, ClientID: iss.ClientID, Redirect: redirect, Verifier: verifier,
		Binding: hash(binding), Scope: scope, Target: target, Created: now,
	}
	if hasWord(scope, "openid") {
		p.Nonce = nonce
		form.Set("nonce", nonce)
	}
	if q.Launch != "" {
		form.Set("launch", q.Launch)
	}
	data, err := json.Marshal(p)
	if err != nil {
		return nil, &Error{Op: "launch", Err: err}
	}
	expires := now.Add(a.launchLife())
	if err := a.store().Create(ctx, launchRecord(state), Record{Kind: "launch", Data: data, Expires: expires}); err != nil {
		return nil, &Error{Op: "launch", Err: stored(err)}
	}
	a.purge(ctx, now)
	out := &Authorization{Binding: NewSecret(binding), State: NewSecret(state), Expires: expires}
	out.URL = withQuery(endpoint, form)
	if q.Launch != "" && (iss.PostAuthorize || len(out.URL) > postFrom && conf.Has("authorize-post")) {
		out.URL, out.Form = endpoint.String(), form
	}
	a.log(ctx, slog.LevelDebug, "launch begun", "base", iss.String(), "ehr", q.Launch != "", "post", out.Form != nil)
	return out, nil
}

// redirectURI is what the issuer's registration says.
func (a *App) redirectURI(iss *Issuer) (string, error) {
	redirect := iss.RedirectURI
	if redirect == "" {
		if _, err := a.root(); err != nil {
			return "", err
		}
		redirect = strings.TrimSuffix(a.URL, "/") + a.callbackPath()
	}
	u, err := url.Parse(redirect)
	if err != nil || u.Hostname() == "" || u.Fragment != "" || u.User != nil {
		return "", errAppURL
	}
	return redirect, secure(u, a.InsecureHTTP)
}

// purge deletes what has expired now and then.
func (a *App) purge(ctx context.Context, now time.Time) {
	a.mu.Lock()
	due := now.Sub(a.purgedAt) >= 10*time.Minute
	if due {
		a.purgedAt = now
	}
	a.mu.Unlock()
	if !due {
		return
	}
	if _, err := a.store().Purge(ctx); err != nil {
		a.log(ctx, slog.LevelWarn, "purge failed", "err", stored(err))
	}
}

// withQuery adds parameters to a URL that may have some.
func withQuery(u *url.URL, form url.Values) string {
	c := *u
	if c.RawQuery != "" {
		c.RawQuery += "&"
	}
	c.RawQuery += form.Encode()
	c.ForceQuery = false
	return c.String()
}

// cleanTarget lets through a path of this site with its query, and nothing that a browser could take
// for another place: "//host", "/\host", "https:", control characters.
func cleanTarget(target string) (string, error) {
	if target == "" {
		return "/", nil
	}
	if len(target) > 8192 || target[0] != '/' || strings.HasPrefix(target, "//") || strings.ContainsFunc(target, func(r rune) bool {
		return r <= ' ' || r == '\\' || r == 0x7f || r == '#'
	}) {
		return "", ErrTarget
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.Fragment != "" {
		return "", ErrTarget
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if part == ".." || part == "." { // browsers would climb out of the launch
			return "", ErrTarget
		}
	}
	if strings.Contains(u.Path, "//") || strings.Contains(u.Path, `\`) {
		return "", ErrTarget
	}
	return target, nil
}

// newSecret is n random bytes in base64url.
func (a *App) newSecret(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(a.random(), b); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// newState is 136 random bits after four bytes of time: the time lets a page say "too late" where a
// store only knows "gone". It is believed for nothing else.
func (a *App) newState(now time.Time) (string, error) {
	b := make([]byte, 21)
	if _, err := io.ReadFull(a.random(), b[4:]); err != nil {
		return "", err
	}
	binary.BigEndian.PutUint32(b, uint32(now.Unix()))
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// stateTime is when a state says it was made.
func stateTime(state string) time.Time {
	b, err := base64.RawURLEncoding.DecodeString(state)
	if err != nil || len(b) != 21 {
		return time.Time{}
	}
	return time.Unix(int64(binary.BigEndian.Uint32(b)), 0)
}

// hash is what is kept of a secret that only has to be recognized.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// hasWord reports whether a list of words has one.
func hasWord(list, word string) bool {
	for w := range strings.FieldsSeq(list) {
		if w == word {
			return true
		}
	}
	return false
}

// Launch is the handler of LaunchPath, where an EHR opens the application with exactly one iss and one
// launch (SMART App Launch 2.2, "Launch App: EHR Launch").
func (a *App) Launch() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !getOnly(w, r) {
			return
		}
		q, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil || len(q["iss"]) != 1 || len(q["launch"]) != 1 || q.Get("iss") == "" || q.Get("launch") == "" {
			a.fail(w, r, &Error{Op: "launch", Err: ErrLaunchRequest})
			return
		}
		a.begin(w, r, LaunchRequest{Base: q.Get("iss"), Launch: q.Get("launch")})
	})
}

// SignIn is a handler that begins a standalone launch: with the only issuer, or with the one that
// the parameter iss names. The person comes to the application's "/" then.
func (a *App) SignIn() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if getOnly(w, r) {
			a.standalone(w, r, "/")
		}
	})
}

// standalone begins a standalone launch.
func (a *App) standalone(w http.ResponseWriter, r *http.Request, target string) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(q["iss"]) > 1 {
		a.fail(w, r, &Error{Op: "launch", Err: ErrLaunchRequest})
		return
	}
	a.begin(w, r, LaunchRequest{Base: q.Get("iss"), Target: target})
}

// begin sends the browser away.
func (a *App) begin(w http.ResponseWriter, r *http.Request, q LaunchRequest) {
	auth, err := a.Begin(r.Context(), q)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.setLaunchCookie(w, r, auth)
	if auth.Form != nil {
		a.postPage(w, auth)
		return
	}
	bare(w.Header())
	w.Header().Set("Location", auth.URL)
	w.WriteHeader(http.StatusFound)
}

// getOnly answers other methods.
func getOnly(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet {
		return true
	}
	w.Header().Set("Allow", http.MethodGet)
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	return false
}
