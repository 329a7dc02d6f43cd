package smart

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	cryptorand "crypto/rand"
)

// Backend signs a program in, without a user (SMART App Launch, "Backend Services"): an assertion
// signed with its key buys an access token, which it keeps and renews.
//
// Base, ClientID and Key must be set; the zero values of all other fields are the careful choice. A
// Backend is safe for use by several goroutines. Its fields must not change after the first call of
// Token, and it must not be copied.
type Backend struct {
	// Base is the FHIR base URL that the token is for. It must be https, except on this
	// machine.
	Base string
	// ClientID is the id that the server knows the client by. At Epic production and
	// non-production have different ones.
	ClientID string
	// Key signs the assertions. Its public half must be published where the server looks.
	Key *Key

	// TokenURL is the token endpoint. Empty means what discovery says, asked once and again
	// after a day or when the endpoint has gone.
	TokenURL string
	// Audience is the aud of assertions. Empty means the token endpoint's URL; another value
	// is for servers behind a proxy that know themselves by another name.
	Audience string
	// JKU is the URL of the published key set for the header jku; it must be the registered
	// one. Empty leaves the member out.
	JKU string
	// Scope is sent when it is not empty. The specification requires system/ scopes; Epic
	// ignores them and gives what is registered for the app.
	Scope string
	// Header is added to discovery and token requests, for instance Epic-Client-ID.
	Header http.Header

	// HTTP carries the requests. Only its Transport is used: no redirect is followed, no
	// cookie kept, and each request has 30 seconds. Nil means a transport of this package's
	// own, which asks for TLS 1.2 or newer.
	HTTP *http.Client
	// InsecureHTTP permits plain http to hosts other than this machine. Assertions and tokens
	// then cross the network for all to read.
	InsecureHTTP bool
	// Tries is how often one sign-in is tried in all. Zero means 4.
	Tries int
	// MaxWait is the longest pause that the server may ask for with Retry-After; a longer one
	// ends the sign-in. Zero means two minutes.
	MaxWait time.Duration
	// Log receives a record per sign-in, without tokens. Nil means no log.
	Log *slog.Logger

	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Rand is the source of jti and jitter. Nil means crypto/rand.
	Rand io.Reader
	// Wait pauses before a repetition. It returns the context's error when that ends first.
	// Nil means a timer.
	Wait func(ctx context.Context, d time.Duration) error

	mu     sync.Mutex
	held   held
	flight *flight // the sign-in under way, nil if none

	turn     sync.Mutex // held for the length of a flight; guards what follows
	config   *Configuration
	configAt time.Time
	skew     time.Duration // how far the server's clock is ahead of ours, as far as it matters
}

// held is the token at hand.
type held struct {
	token   Secret
	scope   string
	expires time.Time // by our clock
	renew   time.Time // from here on it is to be renewed
	ever    bool      // there has been a token before
}

// usable reports whether the token may still be handed out.
func (h held) usable(now time.Time) bool { return !h.token.IsZero() && now.Before(h.expires) }

// flight is one sign-in that any number of callers wait for.
type flight struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiters int
	early   bool  // the old token was still good: one try, no repetitions
	err     error // set before done is closed
}

// renewPause is how long a token that could not be renewed early is used on before the next try.
const renewPause = 10 * time.Second

// Token returns an access token for the FHIR base. It is kept until a minute or a tenth of its life
// before its end, whichever is shorter, and then renewed; of any number of callers one request is
// made, and a caller that gives up does not disturb the others. A renewal that fails while the old
// token is still good returns the old one.
//
// Refused is "" or the token that the server has just answered with 401: if it is the one at hand a
// new one is had, else the one at hand is newer and is returned.
//
// A base other than Base fails with [ErrForeignBase] before anything is sent.
func (b *Backend) Token(ctx context.Context, base, refused string) (string, error) {
	if err := b.check(base); err != nil {
		return "", &Error{Op: "token", Err: err}
	}
	for {
		b.mu.Lock()
		now := b.now()
		if refused != "" && b.held.token.Reveal() == refused {
			b.held.token, refused = Secret{}, ""
		}
		ended := context.Cause(ctx) // the old token is good enough for a caller that has no time to wait
		if b.held.usable(now) && (ended != nil || now.Before(b.held.renew)) {
			token := b.held.token.Reveal()
			b.mu.Unlock()
			return token, nil //nolint:nilerr // see above
		}
		if ended != nil {
			b.mu.Unlock()
			return "", &Error{Op: "token", Err: network(ctx.Err())}
		}
		f := b.join(ctx)
		b.mu.Unlock()

		select {
		case <-f.done:
			b.leave(f)
		case <-ctx.Done():
			b.leave(f)
			continue // the old token if it is still good, else the context's error
		}
		if token, settled, err := b.outcome(f); settled {
			return token, err
		}
	}
}

// Granted is what the token at hand is good for: the scope as the server wrote it, and its end.
// False means that there is none.
func (b *Backend) Granted() (scope string, expires time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held.scope, b.held.expires, b.held.usable(b.now())
}

// join takes part in the flight, and begins it if there is none. The lock is held.
func (b *Backend) join(ctx context.Context) *flight {
	if b.flight == nil {
		// The values of the first caller's context, not its end: the others wait as well.
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f := &flight{done: make(chan struct{}), cancel: cancel, early: b.held.usable(b.now())}
		b.flight = f
		go b.fly(ctx, f, b.held.ever)
	}
	b.flight.waiters++
	return b.flight
}

// leave ends a caller's part; a flight that nobody waits for is called off.
func (b *Backend) leave(f *flight) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		f.cancel()
		if b.flight == f {
			b.flight = nil // whoever comes now begins anew
		}
	}
}

// fly signs in and keeps what came of it.
func (b *Backend) fly(ctx context.Context, f *flight, renewal bool) {
	defer f.cancel()
	b.turn.Lock() // a flight that was called off may not have landed yet
	defer b.turn.Unlock()
	fresh, err := b.signIn(ctx, f.early, renewal)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		b.held = fresh
	case b.held.usable(b.now()):
		b.held.renew = b.now().Add(renewPause)
	}
	f.err = err
	if b.flight == f {
		b.flight = nil
	}
	close(f.done)
}

// outcome is what a finished flight means for a caller. Not settled: look again, since the token was
// refused or has ended in the meantime.
func (b *Backend) outcome(f *flight) (token string, settled bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case f.err == nil:
		return b.held.token.Reveal(), !b.held.token.IsZero(), nil
	case b.held.usable(b.now()):
		return b.held.token.Reveal(), true, nil
	case f.early: // the old token ended meanwhile: now it is in earnest
		return "", false, nil
	}
	return "", true, f.err
}

// check refuses what must not happen before anything is sent.
func (b *Backend) check(base string) error {
	own, err := parseBase(b.Base)
	switch {
	case err != nil:
		return err
	case secure(own, b.InsecureHTTP) != nil:
		return ErrInsecure
	case b.ClientID == "":
		return errNoClientID
	case b.Key == nil || b.Key.signer == nil:
		return errNoKey
	case !sameBase(b.Base, base):
		return ErrForeignBase
	}
	return nil
}

func (b *Backend) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now()
}

func (b *Backend) random() io.Reader {
	if b.Rand != nil {
		return b.Rand
	}
	return cryptorand.Reader
}

func (b *Backend) wait(ctx context.Context, d time.Duration) error {
	if b.Wait != nil {
		return b.Wait(ctx, d)
	}
	return pause(ctx, d)
}

// pause waits with a timer.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *Backend) caller() caller {
	return caller{http: b.HTTP, now: b.now, insecureHTTP: b.InsecureHTTP}
}

func (b *Backend) log(ctx context.Context, level slog.Level, msg string, args ...any) {
	if b.Log != nil {
		b.Log.Log(ctx, level, msg, args...)
	}
}
