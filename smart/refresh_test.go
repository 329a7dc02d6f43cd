package smart_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andironhq/andiron/smart"
)

// signedIn is a session of an application with one issuer.
func signedIn(t testing.TB, e *ehr, change func(a *smart.App)) (*app, *smart.Session) {
	t.Helper()
	a := single(t, e, nil)
	if change != nil {
		change(a.App)
	}
	_, at := newBrowser(t).signIn(a.url)
	return a, a.sessionOf(t, at)
}

// twin is the same application in another process: nothing shared but the store.
func twin(a *app) *smart.App {
	return &smart.App{URL: a.URL, Issuers: a.Issuers, Store: a.Store, Now: a.Now, Wait: a.Wait}
}

// announcedStore says when its one lease ends, so that a test can wait for that and not for the time.
type announcedStore struct {
	smart.Store
	mu    sync.Mutex
	ended chan struct{} // closed at the end of the lease; nil while nobody has it
}

func (a *announcedStore) Lease(ctx context.Context, key, holder string, d time.Duration) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ok, err := a.Store.Lease(ctx, key, holder, d)
	if ok {
		a.ended = make(chan struct{})
	}
	return ok, err
}

func (a *announcedStore) Release(ctx context.Context, key, holder string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.Store.Release(ctx, key, holder)
	if a.ended != nil {
		close(a.ended)
		a.ended = nil
	}
	return err
}

// wait is an App's pause while another process renews.
func (a *announcedStore) wait(ctx context.Context, _ time.Duration) error {
	a.mu.Lock()
	ended := a.ended
	a.mu.Unlock()
	if ended == nil {
		return ctx.Err()
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (e *ehr) refreshes() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, f := range e.tokenReqs {
		if f.Get("grant_type") == "refresh_token" {
			n++
		}
	}
	return n
}

func TestSessionTokenIsRenewedBeforeItsEnd(t *testing.T) {
	e := startEHR(t, newClock())
	_, s := signedIn(t, e, nil)
	ask := func() string {
		t.Helper()
		got, err := s.Token(t.Context(), e.base+"/", "")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := ask()
	e.clock.advance(58*time.Minute + 59*time.Second)
	if ask() != first {
		t.Error("renewed earlier than a minute before the end")
	}
	e.clock.advance(time.Second)
	second := ask()
	if second == first {
		t.Error("not renewed a minute before the end")
	}
	e.clock.advance(2 * time.Hour)
	if third := ask(); third == second || e.refreshes() != 2 {
		t.Errorf("%d refreshes, want 2", e.refreshes())
	}
}

func TestSessionTokenIsForItsBaseAlone(t *testing.T) {
	e := startEHR(t, newClock())
	_, s := signedIn(t, e, nil)
	for _, base := range []string{"https://evil.example/api/FHIR/R4", e.base + "/x", strings.Replace(e.base, "R4", "r4", 1), e.srv.URL, ""} {
		if got, err := s.Token(t.Context(), base, ""); !errors.Is(err, smart.ErrForeignBase) || got != "" {
			t.Errorf("for %q: %v, want ErrForeignBase", base, err)
		}
	}
}

func TestHundredCallersOfOneSessionMakeOneRefresh(t *testing.T) {
	for _, refused := range []bool{false, true} {
		t.Run(fmt.Sprintf("refused %t", refused), func(t *testing.T) {
			e := startEHR(t, newClock())
			a, s := signedIn(t, e, nil)
			old := ""
			if refused {
				old, _ = s.Token(t.Context(), e.base, "")
			} else {
				e.clock.advance(2 * time.Hour)
			}
			got := gather(t, 100, func() (string, error) {
				own, err := a.Session(t.Context(), s.ID) // as each request of a browser has its own
				if err != nil {
					return "", err
				}
				return own.Token(t.Context(), e.base, old)
			})
			if e.refreshes() != 1 || len(got) != 1 || got[old] != 0 {
				t.Errorf("%d refreshes, callers got %v; want one for all", e.refreshes(), got)
			}
		})
	}
}

func TestTwoProcessesOnOneStoreMakeOneRefresh(t *testing.T) {
	e := startEHR(t, newClock())
	leases := &announcedStore{Store: &smart.MemoryStore{Now: e.clock.now}}
	a, s := signedIn(t, e, func(a *smart.App) { a.Store, a.Wait = leases, leases.wait })
	e.clock.advance(2 * time.Hour)
	apps := []*smart.App{a.App, twin(a), twin(a)}
	var mu sync.Mutex
	n := 0
	got := gather(t, 60, func() (string, error) {
		mu.Lock()
		own := apps[n%len(apps)]
		n++
		mu.Unlock()
		sess, err := own.Session(t.Context(), s.ID)
		if err != nil {
			return "", err
		}
		return sess.Token(t.Context(), e.base, "")
	})
	if e.refreshes() != 1 || len(got) != 1 {
		t.Errorf("%d refreshes, callers got %v; want one for all processes", e.refreshes(), got)
	}
}

func TestRotatedRefreshTokenIsStoredBeforeTheAccessTokenIsUsed(t *testing.T) {
	e := startEHR(t, newClock())
	a, s := signedIn(t, e, func(a *smart.App) { a.Store = &smart.MemoryStore{Now: e.clock.now} })
	e.clock.advance(2 * time.Hour)
	access, err := s.Token(t.Context(), e.base, "")
	if err != nil {
		t.Fatal(err)
	}
	// Another process, knowing the store alone, finds both.
	other, err := twin(a).Session(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := other.Token(t.Context(), e.base, ""); got != access {
		t.Error("the store does not hold the access token that was handed out")
	}
	e.clock.advance(2 * time.Hour)
	if _, err := other.Token(t.Context(), e.base, ""); err != nil {
		t.Errorf("the store does not hold the rotated refresh token: %v", err)
	}
}

func TestRefreshTokenIsKeptWhenTheAnswerOmitsIt(t *testing.T) {
	e := startEHR(t, newClock())
	e.rotate = false
	_, s := signedIn(t, e, nil)
	for range 3 {
		e.clock.advance(2 * time.Hour)
		if _, err := s.Token(t.Context(), e.base, ""); err != nil {
			t.Fatalf("after an answer without refresh token: %v", err)
		}
	}
	if s.Patient != "pat-1" || s.Granted().String() == "" {
		t.Error("context or scope were lost on the way")
	}
}

// What may pass costs no refresh token.
func TestRefreshTokenIsDroppedOnInvalidGrantAlone(t *testing.T) {
	say := func(status int, body string) func(string, http.ResponseWriter) bool {
		return func(_ string, w http.ResponseWriter) bool {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}
	}
	tests := []struct {
		name  string
		fault func(string, http.ResponseWriter) bool
		lost  bool
	}{
		{"invalid_grant", say(400, `{"error":"invalid_grant"}`), true},
		{"invalid_client", say(401, `{"error":"invalid_client"}`), false},
		{"invalid_request", say(400, `{"error":"invalid_request"}`), false},
		{"no reason", say(400, ``), false},
		{"unwell", say(500, `invalid_grant`), false},
		{"gone for a while", say(503, ``), false},
		{"too many requests", say(429, `{}`), false},
		{"a redirect", say(302, ``), false},
		{"HTML", say(200, `<html>maintenance</html>`), false},
		{"half an answer", say(200, `{"access_token":"x","tok`), false},
		{"a giant answer", say(200, `{"x":"`+strings.Repeat("x", 2<<20)+`"}`), false},
		{"another type of token", say(200, `{"access_token":"x","token_type":"mac"}`), false},
		{"the connection breaks", func(_ string, w http.ResponseWriter) bool {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				c.Close()
			}
			return true
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := startEHR(t, newClock())
			a, s := signedIn(t, e, nil)
			e.clock.advance(2 * time.Hour)
			e.set(func() { e.fault = tt.fault })
			_, err := s.Token(t.Context(), e.base, "")
			if err == nil || errors.Is(err, smart.ErrSignInAgain) != tt.lost || strings.Contains(err.Error(), "CANARY") {
				t.Fatalf("the error is %v; sign in again: want %t", err, tt.lost)
			}
			e.set(func() { e.fault = nil })
			own, err := a.Session(t.Context(), s.ID)
			if err != nil {
				t.Fatal(err)
			}
			n := e.refreshes()
			if _, err = own.Token(t.Context(), e.base, ""); errors.Is(err, smart.ErrSignInAgain) != tt.lost || !tt.lost && err != nil {
				t.Errorf("later: %v; want the session to be over: %t", err, tt.lost)
			}
			if tt.lost && e.refreshes() != n {
				t.Error("a refresh token that is dead was sent again")
			}
		})
	}
}

func TestAFailedEarlyRenewalUsesTheOldTokenOn(t *testing.T) {
	for _, code := range []string{"temporarily_unavailable", "invalid_grant"} {
		t.Run(code, func(t *testing.T) {
			e := startEHR(t, newClock())
			a, s := signedIn(t, e, nil)
			first, _ := s.Token(t.Context(), e.base, "")
			e.clock.advance(59*time.Minute + 10*time.Second)
			e.set(func() {
				e.fault = func(_ string, w http.ResponseWriter) bool {
					w.WriteHeader(http.StatusBadRequest)
					fmt.Fprintf(w, `{"error":%q}`, code)
					return true
				}
			})
			for range 5 {
				s, err := a.Session(t.Context(), s.ID) // as each request has its own
				if err != nil {
					t.Fatal(err)
				}
				if got, err := s.Token(t.Context(), e.base, ""); got != first || err != nil {
					t.Fatalf("while the old token is good: %v", err)
				}
			}
			if e.refreshes() != 1 {
				t.Errorf("%d refreshes within ten seconds, want one", e.refreshes())
			}
			e.clock.advance(time.Minute)
			if _, err := s.Token(t.Context(), e.base, ""); err == nil {
				t.Error("a token was handed out after its end")
			}
		})
	}
}

func TestSessionWithoutRefreshTokenEndsWithItsToken(t *testing.T) {
	e := startEHR(t, newClock())
	a := single(t, e, func(i *smart.Issuer) { i.Scope = "openid fhirUser patient/*.rs" })
	_, at := newBrowser(t).signIn(a.url)
	s := a.sessionOf(t, at)
	if !s.Ends().Equal(start.Add(time.Hour)) || s.Renewable() {
		t.Errorf("the session ends at %v, want with its token", s.Ends())
	}
	if first, err := s.Token(t.Context(), e.base, ""); err != nil {
		t.Fatal(err)
	} else if _, err = s.Token(t.Context(), e.base, first); !errors.Is(err, smart.ErrSignInAgain) {
		t.Errorf("a refused token: %v, want ErrSignInAgain", err)
	}
	e.clock.advance(time.Hour)
	if _, err := s.Token(t.Context(), e.base, ""); !errors.Is(err, smart.ErrSignInAgain) {
		t.Errorf("after the end: %v, want ErrSignInAgain", err)
	}
}

func TestTheAbsoluteEndIsNotMovedByRotation(t *testing.T) {
	tests := []struct {
		name   string
		change func(e *ehr, a *smart.App)
		ends   time.Duration
	}{
		{"set for the issuer", func(_ *ehr, a *smart.App) { a.Issuers[0].GrantLife = 3 * time.Hour }, 3 * time.Hour},
		{"set for the application", func(_ *ehr, a *smart.App) { a.SessionLife = 3 * time.Hour }, 3 * time.Hour},
		{"named by the server", func(e *ehr, _ *smart.App) {
			e.answer = func(_ string, m map[string]any) { m["refresh_expires_in"] = 10800 }
		}, 3 * time.Hour},
		{"told by introspection", func(e *ehr, _ *smart.App) { e.ends = start.Add(3 * time.Hour) }, 3 * time.Hour},
		{"nobody says", func(*ehr, *smart.App) {}, 180 * 24 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := startEHR(t, newClock())
			_, s := signedIn(t, e, func(a *smart.App) { tt.change(e, a) })
			for d := 50 * time.Minute; d < min(tt.ends, 4*time.Hour); d += 50 * time.Minute {
				e.clock.advance(50 * time.Minute)
				if _, err := s.Token(t.Context(), e.base, ""); err != nil {
					t.Fatal(err)
				}
			}
			if !s.Ends().Equal(start.Add(tt.ends)) {
				t.Errorf("the end is %v, want %v after the launch", s.Ends(), tt.ends)
			}
			e.clock.advance(tt.ends)
			if _, err := s.Token(t.Context(), e.base, ""); !errors.Is(err, smart.ErrSignInAgain) {
				t.Errorf("after the end: %v, want ErrSignInAgain", err)
			}
		})
	}
}

func TestATokenForAnotherPatientEndsTheSession(t *testing.T) {
	e := startEHR(t, newClock())
	_, s := signedIn(t, e, nil)
	e.set(func() {
		e.answer = func(grant string, m map[string]any) {
			if grant == "refresh_token" {
				m["patient"] = "pat-2"
			}
		}
	})
	e.clock.advance(2 * time.Hour)
	for range 2 {
		if got, err := s.Token(t.Context(), e.base, ""); !errors.Is(err, smart.ErrSignInAgain) || got != "" {
			t.Errorf("a token of another patient: %v, want ErrSignInAgain", err)
		}
	}
	if e.refreshes() != 1 {
		t.Errorf("%d refreshes, want one", e.refreshes())
	}
	if len(e.revoked) != 2 {
		t.Errorf("revoked %d tokens, want the two that came for somebody else", len(e.revoked))
	}
}

// faultyStore is a store whose writes fail, or succeed and say that they failed.
type faultyStore struct {
	smart.Store
	mu      sync.Mutex
	refuse  int // so many Replace fail
	after   bool
	deleted bool // the record goes before the write
}

var errStore = errors.New("CANARY the disk is gone")

func (f *faultyStore) Replace(ctx context.Context, key string, r smart.Record) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deleted {
		_ = f.Delete(ctx, key)
	}
	if f.refuse > 0 {
		f.refuse--
		if f.after {
			_, _ = f.Store.Replace(ctx, key, r)
		}
		return 0, errStore
	}
	return f.Store.Replace(ctx, key, r)
}

// A process that ends between the server's answer and the write leaves one try with the old token: a
// strict server refuses it and ends the grant, a lenient one renews.
func TestACrashBetweenAnswerAndWriteHasOneOfTwoEnds(t *testing.T) {
	for _, strict := range []bool{true, false} {
		t.Run(fmt.Sprintf("strict %t", strict), func(t *testing.T) {
			e := startEHR(t, newClock())
			e.reuse = strict
			e.rotate = strict // a lenient server keeps the token that it gave
			f := &faultyStore{Store: &smart.MemoryStore{Now: e.clock.now}}
			a, s := signedIn(t, e, func(a *smart.App) { a.Store = f })
			e.clock.advance(2 * time.Hour)
			f.refuse = 1 << 30
			got, err := s.Token(t.Context(), e.base, "")
			if got != "" || err == nil || errors.Is(err, smart.ErrSignInAgain) || strings.Contains(err.Error(), "CANARY") {
				t.Fatalf("a token that could not be stored was handed out, or the error is wrong: %v", err)
			}
			f.mu.Lock()
			f.refuse = 0
			f.mu.Unlock()
			e.clock.advance(3 * time.Minute) // the dead process cannot end its lease
			other, err := twin(a).Session(t.Context(), s.ID)
			if err != nil {
				t.Fatal(err)
			}
			_, err = other.Token(t.Context(), e.base, "")
			if errors.Is(err, smart.ErrSignInAgain) != strict || !strict && err != nil {
				t.Errorf("after the crash: %v; want the launch to be over: %t", err, strict)
			}
		})
	}
}

func TestAStoreThatFailsForAWhileCostsNothing(t *testing.T) {
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("written all the same %t", after), func(t *testing.T) {
			e := startEHR(t, newClock())
			f := &faultyStore{Store: &smart.MemoryStore{Now: e.clock.now}, after: after}
			_, s := signedIn(t, e, func(a *smart.App) { a.Store = f })
			e.clock.advance(2 * time.Hour)
			f.refuse = 3
			_, first := s.Token(t.Context(), e.base, "")
			got, err := s.Token(t.Context(), e.base, "")
			if err != nil || got == "" || e.refreshes() != 1 {
				t.Errorf("first %v, then %v with %d refreshes; want the answer to be written late and used", first, err, e.refreshes())
			}
			e.clock.advance(2 * time.Hour)
			if _, err := s.Token(t.Context(), e.base, ""); err != nil {
				t.Errorf("the next renewal: %v", err)
			}
		})
	}
}

// What the Store did not take lives in the process alone. It must not outlive its session there.
func TestWhatWasKeptBackIsRevokedWithItsSession(t *testing.T) {
	for name, end := range map[string]func(a *smart.App, s *smart.Session, base string) error{
		"ended here": func(a *smart.App, s *smart.Session, _ string) error { return a.End(t.Context(), s) },
		"ended by another process": func(a *smart.App, s *smart.Session, base string) error {
			other := &smart.App{URL: a.URL, Issuers: a.Issuers, Store: a.Store, HTTP: a.HTTP, Now: a.Now}
			theirs, err := other.Session(t.Context(), s.ID)
			if err == nil {
				err = other.End(t.Context(), theirs)
			}
			if _, terr := s.Token(t.Context(), base, ""); !errors.Is(terr, smart.ErrSignInAgain) {
				t.Errorf("Token: %v, want ErrSignInAgain", terr)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEHR(t, newClock())
			f := &faultyStore{Store: &smart.MemoryStore{Now: e.clock.now}}
			a, s := signedIn(t, e, func(a *smart.App) { a.Store = f })
			e.clock.advance(2 * time.Hour)
			f.refuse = 3
			if _, err := s.Token(t.Context(), e.base, ""); err == nil {
				t.Fatal("the store took the answer: the test tests nothing")
			}
			if err := end(a.App, s, e.base); err != nil {
				t.Fatal(err)
			}
			if len(e.revoked) != 4 {
				t.Errorf("revoked %d tokens, want access and refresh token of the record, and those that it never got", len(e.revoked))
			}
		})
	}
}

func TestASessionEndedDuringItsRenewalStaysEnded(t *testing.T) {
	e := startEHR(t, newClock())
	f := &faultyStore{Store: &smart.MemoryStore{Now: e.clock.now}}
	a, s := signedIn(t, e, func(a *smart.App) { a.Store = f })
	e.clock.advance(2 * time.Hour)
	f.deleted = true
	if got, err := s.Token(t.Context(), e.base, ""); !errors.Is(err, smart.ErrSignInAgain) || got != "" {
		t.Errorf("Token: %v, want ErrSignInAgain", err)
	}
	if _, err := a.Session(t.Context(), s.ID); !errors.Is(err, smart.ErrNoRecord) {
		t.Errorf("the session is back: %v", err)
	}
	if len(e.revoked) != 2 {
		t.Errorf("revoked %d tokens, want the two that came too late", len(e.revoked))
	}
}

// Another process rotates while our request is under way, although we have the lease: the version
// tells, and theirs stays.
func TestAnotherProcessThatWroteMeanwhileIsBelieved(t *testing.T) {
	e := startEHR(t, newClock())
	a, s := signedIn(t, e, func(a *smart.App) { a.Store = &smart.MemoryStore{Now: e.clock.now} })
	e.clock.advance(2 * time.Hour)
	e.reuse = false
	var theirs string
	e.set(func() {
		e.hold = func() {
			e.set(func() { e.hold = nil })   // theirs goes through
			e.clock.advance(5 * time.Minute) // our lease runs out
			other, err := twin(a).Session(context.Background(), s.ID)
			if err != nil {
				t.Error(err)
				return
			}
			theirs, err = other.Token(context.Background(), e.base, "")
			if err != nil {
				t.Error(err)
			}
		}
	})
	got, err := s.Token(t.Context(), e.base, "")
	if err != nil || got != theirs || got == "" {
		t.Errorf("our late renewal gave %v; want the token that the other process had stored", err)
	}
}

func TestACallerThatGivesUpDoesNotStopTheRenewal(t *testing.T) {
	e := startEHR(t, newClock())
	a, s := signedIn(t, e, nil)
	e.clock.advance(2 * time.Hour)
	arrived, leave := make(chan struct{}), make(chan struct{})
	e.set(func() { e.hold = func() { close(arrived); <-leave } })
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := s.Token(ctx, e.base, "")
		gone <- err
	}()
	<-arrived
	cancel()
	if err := <-gone; err == nil || !errors.Is(err, context.Canceled) {
		t.Errorf("the caller that gave up got %v", err)
	}
	e.set(func() { e.hold = nil })
	close(leave)
	own, _ := a.Session(t.Context(), s.ID)
	if _, err := own.Token(t.Context(), e.base, ""); err != nil || e.refreshes() != 1 {
		t.Errorf("afterwards %v with %d refreshes; want the one renewal to count", err, e.refreshes())
	}
}

func TestClocksThatDifferAreMendedOnce(t *testing.T) {
	keys, _ := smart.PublicSet(ecKey())
	e := startEHR(t, newClock())
	e.method, e.keys = "private_key_jwt", keys
	a := single(t, e, func(i *smart.Issuer) { i.Key = ecKey() })
	a.Now = func() time.Time { return e.clock.now().Add(-10 * time.Minute) }
	e.claims = func(c map[string]any) { c["iat"], c["exp"] = start.Add(-10*time.Minute).Unix(), start.Unix() }
	// The code survives a failed authentication, as RFC 6749 lets servers choose.
	newBrowser(t).signIn(a.url)
	if len(e.tokenReqs) != 2 {
		t.Errorf("%d token requests, want a refusal and a repetition by the server's clock", len(e.tokenReqs))
	}
}
