package smart

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	cryptorand "crypto/rand"
)

const jwtBearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer" //nolint:gosec // a name, no credential

// Why there is no token, for errors.Is.
var (
	// ErrNotRegistered: the installation has no client of its own yet; see [Registered.Register].
	ErrNotRegistered = errors.New("installation is not registered")
	// ErrRegistrationEnded: the server gives the client no more tokens, since the time that the
	// person chose has passed or the access was withdrawn. A new sign-in and registration are
	// needed.
	ErrRegistrationEnded = errors.New("registration has ended")
)

// Registered is an installation of an app that has a client of its own at a server (Epic's OAuth 2.0
// Specification, dynamic client registration for patients' apps; RFC 7591, RFC 7523 section 2.1). It
// is how apps that can keep no secret get lasting access: the person signs in once, the first access
// token pays for the registration of a key made here, and from then on an assertion signed with the
// key is exchanged for each further token, until the time that the person chose has passed.
//
// Base, SoftwareID and Store must be set. A Registered is safe for use by several goroutines. Its
// fields must not change after the first call, and it must not be copied.
type Registered struct {
	// Base is the FHIR base URL that the tokens are for.
	Base string
	// SoftwareID is the app's client id, with which the person signs in.
	SoftwareID string
	// Name tells installations apart that share a Store: one for each person and device. Empty
	// is a name as well.
	Name string
	// Store keeps the client id and the private key. It must outlive the process, and seal what it
	// writes.
	Store Store

	// RegisterURL and TokenURL are the endpoints. Empty means what the server says: discovery,
	// and for registration the extension oauth-uris in /metadata, which Epic gives to those who send
	// the header Epic-Client-ID with the id of an app that may register.
	RegisterURL, TokenURL string
	// Algorithm is that of the key to be made. Empty means RS384 with 2048 bits, which is what
	// Epic's dynamic clients are known to work with.
	Algorithm string

	// HTTP, InsecureHTTP, Log, Now and Rand are as in [Backend].
	HTTP         *http.Client
	InsecureHTTP bool
	Log          *slog.Logger
	Now          func() time.Time
	Rand         io.Reader

	setUp sync.Once
	turn  chan struct{} // holds one value; whoever has it may ask for a token
	mu    sync.Mutex
	held  held
}

// Registration is what is known of a registered client. It holds no key.
type Registration struct {
	// ClientID is the id that the server gave.
	ClientID string `json:"client_id"`
	// KeyID is the kid of its key.
	KeyID string `json:"kid"`
	// Made is when it was registered.
	Made time.Time `json:"made"`
	// Ended is since when the server refuses it; zero while it does not.
	Ended time.Time `json:"ended,omitzero"`
	// Patient is the patient that its tokens are for; "" until a token came that says so.
	Patient string `json:"patient,omitempty"`
}

// registered is the record in the Store.
type registered struct {
	Registration
	Key string `json:"key"` // PKCS #8 PEM
}

// Register makes a key and registers it with the first access token of a sign-in, which is good for
// this once. A registration that there is already, ended or not, is replaced. Errors are [*Error] with
// Op "register": [ErrNotOffered] where the server names no endpoint for it.
func (r *Registered) Register(ctx context.Context, first Secret) (*Registration, error) {
	if err := r.check(r.Base); err != nil {
		return nil, &Error{Op: "register", Err: err}
	}
	if first.IsZero() {
		return nil, &Error{Op: "register", Err: errors.New("no access token")}
	}
	release, err := r.take(ctx)
	if err != nil {
		return nil, &Error{Op: "register", Err: err}
	}
	defer release()
	endpoint, err := r.registerURL(ctx)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return nil, &Error{Op: "register", Err: errors.New("endpoint is no usable URL")}
	}
	alg := r.Algorithm
	if alg == "" {
		alg = RS384
	}
	key, err := NewKey(alg)
	if err != nil {
		return nil, err
	}
	set, err := PublicSet(key)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{"software_id": r.SoftwareID, "jwks": set})
	if err != nil {
		return nil, &Error{Op: "register", Err: errors.New("request cannot be written")}
	}
	a, err := r.caller().do(ctx, "register", u, maxTokenAnswer, func(q *http.Request) {
		q.Method = http.MethodPost
		q.Body, q.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		q.Header.Set("Content-Type", "application/json")
		q.Header.Set("Accept", "application/json")
		q.Header.Set("Authorization", "Bearer "+first.Reveal())
	})
	if err != nil {
		return nil, asError("register", err)
	}
	if a.status != http.StatusCreated && a.status != http.StatusOK {
		e := refused(a)
		e.Op = "register"
		return nil, e
	}
	var answer struct {
		ClientID string `json:"client_id"`
	}
	if json.Unmarshal(a.body, &answer) != nil {
		return nil, a.fail("register", notJSON(a.body))
	}
	if answer.ClientID == "" || strings.ContainsFunc(answer.ClientID, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, a.fail("register", errors.New("answer holds no client id"))
	}
	secret, err := key.PEM()
	if err != nil {
		return nil, err
	}
	rec := registered{Registration: Registration{ClientID: answer.ClientID, KeyID: key.ID(), Made: r.now().UTC().Truncate(time.Second)}, Key: string(secret)}
	if err := r.save(ctx, rec, true); err != nil {
		return nil, &Error{Op: "register", Err: err}
	}
	r.mu.Lock()
	r.held = held{}
	r.mu.Unlock()
	r.log(ctx, slog.LevelInfo, "registered", "client", answer.ClientID)
	return &rec.Registration, nil
}

// Registration is what is known of the client, or [ErrNotRegistered].
func (r *Registered) Registration(ctx context.Context) (*Registration, error) {
	if err := r.check(r.Base); err != nil {
		return nil, &Error{Op: "register", Err: err}
	}
	rec, _, err := r.load(ctx)
	if err != nil {
		return nil, &Error{Op: "register", Err: err}
	}
	return &rec.Registration, nil
}

// Forget deletes the key and the client id here. The server is not told: there is no way to.
func (r *Registered) Forget(ctx context.Context) error {
	if err := r.check(r.Base); err != nil {
		return &Error{Op: "register", Err: err}
	}
	release, err := r.take(ctx)
	if err != nil {
		return &Error{Op: "register", Err: err}
	}
	defer release()
	r.mu.Lock()
	r.held = held{}
	r.mu.Unlock()
	if err := r.Store.Delete(ctx, r.key()); err != nil {
		return &Error{Op: "register", Err: err}
	}
	return nil
}

// Token returns an access token for the FHIR base, as [Backend.Token] does: kept and renewed before
// its end, one request for any number of callers, the old one while a renewal fails. It fails with
// [ErrNotRegistered] before Register, and with [ErrRegistrationEnded] from the first invalid_grant
// on, also after a restart; every other failure may pass and changes nothing.
func (r *Registered) Token(ctx context.Context, base, refused string) (string, error) {
	if err := r.check(base); err != nil {
		return "", &Error{Op: "token", Err: err}
	}
	if t, ok := r.current(refused, true); ok {
		return t, nil
	}
	release, err := r.take(ctx)
	if err != nil {
		if t, ok := r.current(refused, false); ok {
			return t, nil
		}
		return "", &Error{Op: "token", Err: err}
	}
	defer release()
	if t, ok := r.current(refused, true); ok { // another caller has had one meanwhile
		return t, nil
	}
	fresh, err := r.renew(ctx)
	if err != nil {
		if t, ok := r.current(refused, false); ok && !errors.Is(err, ErrRegistrationEnded) {
			r.mu.Lock()
			r.held.renew = r.now().Add(renewPause)
			r.mu.Unlock()
			return t, nil
		}
		return "", err
	}
	r.mu.Lock()
	r.held = fresh
	r.mu.Unlock()
	return fresh.token.Reveal(), nil
}

// current is the token at hand if it is good and not the refused one; early: and not yet to be renewed.
func (r *Registered) current(refused string, early bool) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if !r.held.usable(now) || r.held.token.Reveal() == refused || early && !now.Before(r.held.renew) {
		return "", false
	}
	return r.held.token.Reveal(), true
}

// renew exchanges an assertion for a token. The turn is held.
func (r *Registered) renew(ctx context.Context) (held, error) {
	rec, _, err := r.load(ctx)
	if err != nil {
		return held{}, &Error{Op: "token", Err: err}
	}
	if !rec.Ended.IsZero() {
		return held{}, &Error{Op: "token", Err: ErrRegistrationEnded}
	}
	key, err := ParseKey([]byte(rec.Key))
	if err != nil {
		return held{}, err
	}
	endpoint := r.TokenURL
	if endpoint == "" {
		c, err := discovery{caller: r.caller(), header: r.header()}.run(ctx, r.Base)
		if err != nil {
			return held{}, asError("discover", err)
		}
		if endpoint = c.TokenEndpoint; endpoint == "" {
			return held{}, &Error{Op: "discover", URL: r.Base, Err: ErrNoEndpoint}
		}
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return held{}, &Error{Op: "token", Err: errors.New("token endpoint is no usable URL")}
	}
	key = key.WithID(rec.KeyID)
	var skew time.Duration
	for corrected := false; ; corrected = true {
		a, sent, err := r.ask(ctx, u, endpoint, key, rec.ClientID, skew)
		if err != nil {
			return held{}, err
		}
		if a.status < 200 || a.status > 299 {
			e := refused(a)
			// A wrong clock is refused with the same word as the end of the access.
			if d, off := clockOff(e, r.now(), skew); off && !corrected {
				skew = d
				r.log(ctx, slog.LevelWarn, "clocks differ: asking again by the server's", "by", skew)
				continue
			}
			if e.Code == "invalid_grant" {
				e.Err = ErrRegistrationEnded
				rec.Ended = r.now().UTC().Truncate(time.Second)
				r.mu.Lock()
				r.held = held{}
				r.mu.Unlock()
				if err := r.save(ctx, rec, false); err != nil {
					r.log(ctx, slog.LevelWarn, "end of registration not kept", "err", err)
				}
			}
			return held{}, e
		}
		g, err := readGrant(a.body)
		if err != nil {
			return held{}, a.fail("token", err)
		}
		if patient := text(g.members["patient"]); patient != "" && patient != rec.Patient {
			rec.Patient = patient
			if err := r.save(ctx, rec, false); err != nil {
				r.log(ctx, slog.LevelWarn, "patient of registration not kept", "err", err)
			}
		}
		return held{
			token: g.token, scope: g.scope, ever: true,
			expires: sent.Add(g.lifetime), renew: sent.Add(g.lifetime - min(time.Minute, g.lifetime/10)),
		}, nil
	}
}

func (r *Registered) ask(ctx context.Context, u *url.URL, endpoint string, key *Key, client string, skew time.Duration) (*response, time.Time, error) {
	random := r.Rand
	if random == nil {
		random = cryptorand.Reader
	}
	assertion, err := Assertion{
		Key: key, ClientID: client, Audience: endpoint, Rand: random,
		Now: func() time.Time { return r.now().Add(skew) },
	}.Sign()
	if err != nil {
		return nil, time.Time{}, err
	}
	form := url.Values{"grant_type": {jwtBearerGrant}, "assertion": {assertion.Reveal()}, "client_id": {client}}
	sent := r.now()
	a, err := r.caller().do(ctx, "token", u, maxTokenAnswer, func(q *http.Request) { post(q, form, nil) })
	if err != nil {
		return nil, time.Time{}, asError("token", err)
	}
	return a, sent, nil
}

// Granted is what the token at hand is good for, as [Backend.Granted].
func (r *Registered) Granted() (scope string, expires time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held.scope, r.held.expires, r.held.usable(r.now())
}

// registerURL is given or what the server says.
func (r *Registered) registerURL(ctx context.Context) (string, error) {
	if r.RegisterURL != "" {
		return r.RegisterURL, nil
	}
	base, err := parseBase(r.Base)
	if err != nil {
		return "", &Error{Op: "register", Err: err}
	}
	d := discovery{caller: r.caller(), header: r.header()}
	c, err := d.wellKnown(ctx, base)
	if err == nil && c.RegistrationEndpoint != "" {
		return c.RegistrationEndpoint, nil
	}
	if err != nil && !d.noSuchDocument(err) {
		return "", asError("discover", err)
	}
	if c, err = d.metadata(ctx, base); err != nil {
		return "", asError("discover", err)
	}
	if c.RegistrationEndpoint == "" {
		return "", &Error{Op: "register", URL: printable(base), Err: ErrNotOffered}
	}
	return c.RegistrationEndpoint, nil
}

// header names the app to servers that tell some clients more than others.
func (r *Registered) header() http.Header {
	return http.Header{http.CanonicalHeaderKey("Epic-Client-ID"): {r.SoftwareID}}
}

func (r *Registered) check(base string) error {
	own, err := parseBase(r.Base)
	switch {
	case err != nil:
		return err
	case secure(own, r.InsecureHTTP) != nil:
		return ErrInsecure
	case r.SoftwareID == "":
		return errNoClientID
	case r.Store == nil:
		return errors.New("no store")
	case !sameBase(r.Base, base):
		return ErrForeignBase
	}
	return nil
}

// key is the record's name in the Store: a hash, so that names of people do not stand in it.
func (r *Registered) key() string {
	u, err := parseBase(r.Base)
	base := r.Base
	if err == nil {
		base = originOf(u) + u.EscapedPath()
	}
	h := sha256.New()
	for _, part := range []string{base, r.SoftwareID, r.Name} {
		_, _ = io.WriteString(h, strconv.Itoa(len(part))+":"+part)
	}
	return "registration/" + hex.EncodeToString(h.Sum(nil))
}

func (r *Registered) load(ctx context.Context) (registered, int64, error) {
	var rec registered
	stored, err := r.Store.Get(ctx, r.key())
	if errors.Is(err, ErrNoRecord) {
		return rec, 0, ErrNotRegistered
	}
	if err != nil {
		return rec, 0, err
	}
	if json.Unmarshal(stored.Data, &rec) != nil || rec.ClientID == "" {
		return rec, 0, errors.New("stored registration cannot be read")
	}
	return rec, stored.Version, nil
}

// save writes the record over that of the same client; anew: over whatever is there.
func (r *Registered) save(ctx context.Context, rec registered, anew bool) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return errors.New("registration cannot be written")
	}
	next := Record{Kind: "registration", Data: data}
	for {
		old, version, err := r.load(ctx)
		switch {
		case errors.Is(err, ErrNotRegistered) && !anew && ctx.Err() == nil:
			return nil // forgotten meanwhile
		case errors.Is(err, ErrNotRegistered):
			err = r.Store.Create(ctx, r.key(), next)
		case err != nil:
			return err
		case old.ClientID != rec.ClientID && !anew:
			return nil // another process has registered meanwhile
		default:
			next.Version = version
			_, err = r.Store.Replace(ctx, r.key(), next)
		}
		if errors.Is(err, ErrExists) || errors.Is(err, ErrConflict) || errors.Is(err, ErrNoRecord) {
			if ctx.Err() != nil {
				return network(ctx.Err())
			}
			continue
		}
		return err
	}
}

// take waits for the turn.
func (r *Registered) take(ctx context.Context) (release func(), err error) {
	r.setUp.Do(func() { r.turn = make(chan struct{}, 1) })
	select {
	case r.turn <- struct{}{}:
		return func() { <-r.turn }, nil
	case <-ctx.Done():
		return nil, network(ctx.Err())
	}
}

func (r *Registered) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

func (r *Registered) caller() caller {
	return caller{http: r.HTTP, now: r.now, insecureHTTP: r.InsecureHTTP}
}

func (r *Registered) log(ctx context.Context, level slog.Level, msg string, args ...any) {
	if r.Log != nil {
		r.Log.Log(ctx, level, msg, args...)
	}
}
