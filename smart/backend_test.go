package smart_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andironhq/andiron/smart"
	"pgregory.net/rapid"
)

func TestSignsInWithEveryKindOfKey(t *testing.T) {
	for _, key := range []*smart.Key{rsaKey(), ecKey(), parse(t, p256PEM(t)), ecKey().WithID("k2")} {
		t.Run(key.Algorithm(), func(t *testing.T) {
			s := serve(t, newClock(), key)
			b, _ := s.backend(key)
			if got := token(t, b, ""); got != "CANARY-token-1" {
				t.Errorf("token is %q", got)
			}
			scope, expires, ok := b.Granted()
			if !ok || scope != "system/Patient.read" || !expires.Equal(start.Add(time.Hour)) {
				t.Errorf("Granted = %q, %v, %t; want the server's scope until an hour from now", scope, expires, ok)
			}
		})
	}
}

func TestScopeAndHeaderAreSent(t *testing.T) {
	s := serve(t, newClock(), ecKey())
	s.scope = "system/*.rs"
	b, _ := s.backend(ecKey())
	b.Scope = "system/*.rs"
	const odd = "authorization" // as a caller may spell it who fills the map by hand
	b.Header = http.Header{"Epic-Client-Id": {"x"}, odd: {"Basic CANARY"}}
	token(t, b, "")
	if got := map[string][]string(b.Header)[odd]; len(got) != 1 || got[0] != "Basic CANARY" {
		t.Error("the caller's header was changed")
	}
}

func TestTokenIsKeptAndRenewedBeforeItsEnd(t *testing.T) {
	tests := []struct {
		name     string
		lifetime any
		kept     time.Duration // the last moment at which the first token is still used
	}{
		{"an hour: a minute before", 3600, 59*time.Minute - time.Second},
		{"five minutes: a tenth before", 300, 270*time.Second - time.Second},
		{"a number in a string", "3600", 59*time.Minute - time.Second},
		{"a number with a point", 3600.0, 59*time.Minute - time.Second},
		{"not said: five minutes", nil, 270*time.Second - time.Second},
		{"nonsense: five minutes", "soon", 270*time.Second - time.Second},
		{"negative: five minutes", -5, 270*time.Second - time.Second},
		{"a hundred years: a day", 3.2e9, 24*time.Hour - time.Minute - time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			s := serve(t, c, ecKey())
			s.lifetime = tt.lifetime
			b, _ := s.backend(ecKey())
			first := token(t, b, "")
			c.advance(tt.kept)
			if got := token(t, b, ""); got != first {
				t.Errorf("after %v the token was renewed, too early", tt.kept)
			}
			c.advance(time.Second)
			if got := token(t, b, ""); got == first {
				t.Errorf("after %v the token was not renewed", tt.kept+time.Second)
			}
			if n, _ := s.counts(); n != 2 {
				t.Errorf("%d requests, want 2", n)
			}
		})
	}
}

// gather lets n goroutines ask at once and returns their tokens.
func gather(t *testing.T, n int, ask func() (string, error)) map[string]int {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[string]int{}
	begin := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-begin
			tok, err := ask()
			if err != nil {
				tok = err.Error()
			}
			mu.Lock()
			got[tok]++
			mu.Unlock()
		})
	}
	close(begin)
	wg.Wait()
	return got
}

func TestHundredCallersAtExpiryMakeOneRequest(t *testing.T) {
	for _, at := range []struct {
		name string
		d    time.Duration
	}{{"before the end", 59*time.Minute + 30*time.Second}, {"after the end", 2 * time.Hour}} {
		t.Run(at.name, func(t *testing.T) {
			c := newClock()
			s := serve(t, c, ecKey())
			b, _ := s.backend(ecKey())
			token(t, b, "")
			c.advance(at.d)
			got := gather(t, 100, func() (string, error) { return b.Token(t.Context(), b.Base, "") })
			if n, issued := s.counts(); n != 2 || issued != 2 || got["CANARY-token-2"] != 100 {
				t.Errorf("%d requests, %d tokens, callers got %v; want one renewal for all hundred", n, issued, got)
			}
		})
	}
}

func TestHundredRefusalsOfOneTokenMakeOneRenewal(t *testing.T) {
	s := serve(t, newClock(), ecKey())
	b, _ := s.backend(ecKey())
	old := token(t, b, "")
	got := gather(t, 100, func() (string, error) { return b.Token(t.Context(), b.Base, old) })
	if n, _ := s.counts(); n != 2 || got["CANARY-token-2"] != 100 {
		t.Errorf("%d requests, callers got %v; want one renewal", n, got)
	}
	if got := token(t, b, old); got != "CANARY-token-2" {
		t.Errorf("a late refusal of the old token gave %s, want the current one", got)
	}
	if n, _ := s.counts(); n != 2 {
		t.Error("a late refusal of the old token renewed the new one")
	}
}

func TestRefusedTokenIsNeverHandedOutAgain(t *testing.T) {
	s := serve(t, newClock(), ecKey())
	b, _ := s.backend(ecKey())
	old := token(t, b, "")
	s.answer = func(_ int, w http.ResponseWriter) bool { w.WriteHeader(http.StatusInternalServerError); return true }
	for _, refused := range []string{old, ""} {
		if got, err := b.Token(t.Context(), b.Base, refused); err == nil {
			t.Errorf("refused %q: got %q, want an error: the only token was refused", refused, got)
		}
	}
}

func TestForeignBasesGetNoToken(t *testing.T) {
	s := serve(t, newClock(), ecKey())
	b, _ := s.backend(ecKey())
	b.Base = "https://good.example/api/FHIR/R4"
	b.TokenURL = s.tokenURL
	if got := token(t, b, ""); got == "" {
		t.Fatal("no token for the own base")
	}
	for _, same := range []string{
		"https://good.example/api/FHIR/R4/", "HTTPS://GOOD.example/api/FHIR/R4", "https://good.example:443/api/FHIR/R4",
	} {
		if _, err := b.Token(t.Context(), same, ""); err != nil {
			t.Errorf("%s is the same base and was refused: %v", same, err)
		}
	}
	for _, foreign := range []string{
		"", "good.example/api/FHIR/R4", "//good.example/api/FHIR/R4", "https:good.example/api/FHIR/R4",
		"https://evil.example/api/FHIR/R4", "https://good.example@evil.example/api/FHIR/R4",
		"https://good.example:443@evil.example/api/FHIR/R4", "https://user@good.example/api/FHIR/R4",
		"https://good.example./api/FHIR/R4", "https://good.example.evil.example/api/FHIR/R4",
		"https://evilgood.example/api/FHIR/R4", "https://good.example:8443/api/FHIR/R4", "https://good.example:80/api/FHIR/R4",
		"http://good.example/api/FHIR/R4", "http://good.example:443/api/FHIR/R4", "https://good.example/api/FHIR/r4",
		"https://good.example/api/FHIR/R4//", "https://good.example//api/FHIR/R4", "https://good.example/api/FHIR/R4/Patient",
		"https://good.example/api/FHIR", "https://good.example/api/FHIR/R4?x=1", "https://good.example/api/FHIR/R4?",
		"https://good.example/api/FHIR/R4#", "https://good.example/api/FHIR/R4#x", "https://good.example/api/FHIR/x/../R4",
		"https://good.example/api/FHIR/R%34", "https://good.example\\@evil.example/api/FHIR/R4", "https://good.example\\.evil.example/api/FHIR/R4",
		"https:\\\\good.example/api/FHIR/R4", "https:///good.example/api/FHIR/R4", "https://ｇood.example/api/FHIR/R4",
		"https://xn--good.example/api/FHIR/R4", "https://good。example/api/FHIR/R4", " https://good.example/api/FHIR/R4",
		"https://good.example/api/FHIR/R4\n", "https://good.example\t/api/FHIR/R4", "https://GOOD.EXAMPLE\u212a/api/FHIR/R4",
		"https://good%2eexample/api/FHIR/R4", "https://good.example%00/api/FHIR/R4", "https://good.example%2f@evil.example/api/FHIR/R4",
	} {
		if got, err := b.Token(t.Context(), foreign, ""); err == nil || got != "" {
			t.Errorf("%q was given a token", foreign)
		} else if !errors.Is(err, smart.ErrForeignBase) {
			t.Errorf("%q: error is %v, want ErrForeignBase", foreign, err)
		}
	}
	if n, _ := s.counts(); n != 1 {
		t.Errorf("%d requests, want 1: foreign bases send nothing", n)
	}
}

// Property over 10,000 shapes: only respellings of scheme, host, port and the last slash are given
// the token.
func TestForeignBasesProperty(t *testing.T) {
	s := serve(t, newClock(), ecKey())
	b, _ := s.backend(ecKey())
	b.Base = "https://good.example/api/FHIR/R4"
	b.TokenURL = s.tokenURL
	token(t, b, "")
	shape := [][]string{
		{"https", "https", "http", "HTTPS", "hTtps", "", "ftp", "javascript"},
		{"://", "://", "://", ":", "//", ":///", ":\\\\", "://\\", ":/"},
		{"", "", "", "", "good.example@", "good.example:443@", "a:b@", "good.example%2f@", "good.example\\@", "@"},
		{"good.example", "good.example", "GOOD.EXAMPLE", "evil.example", "good.example.", "good.example.evil.example", "evil-good.example", "xn--good.example", "127.0.0.1", "[::1]", "good.example%2eevil.example", "ɡood.example"},
		{"", "", "", ":443", ":443", ":0443", ":80", ":8443", ":", ":443:443"},
		{"/api/FHIR/R4", "/api/FHIR/R4", "/api/FHIR/R4/", "/api/FHIR/R4//", "/api/fhir/R4", "/api/FHIR", "/./api/FHIR/R4", "/%61pi/FHIR/R4", "/api/FHIR/R4/..", "\\api\\FHIR\\R4"},
		{"", "", "", "", "?", "?a=b", "#", "#f", "@evil.example", "\x00", " ", "\n"},
	}
	own := regexp.MustCompile(`^(?i:https://good\.example(:(443)?)?)/api/FHIR/R4/?$`)
	given := 0
	rapid.Check(t, func(rt *rapid.T) {
		for range 100 {
			drawn := make([]string, len(shape))
			for i, parts := range shape {
				drawn[i] = rapid.SampledFrom(parts).Draw(rt, "part")
			}
			u := strings.Join(drawn, "")
			tok, err := b.Token(t.Context(), u, "")
			if own.MatchString(u) != (err == nil) {
				rt.Fatalf("%q: own base is %t, error is %v", u, own.MatchString(u), err)
			}
			if tok != "" {
				given++
			}
		}
	})
	if n, _ := s.counts(); n != 1 || given == 0 {
		t.Errorf("%d requests, want 1; the token was given %d times, want some", n, given)
	}
}

func TestNothingIsSentWhenSomethingIsMissing(t *testing.T) {
	key := ecKey()
	tests := []struct {
		name string
		b    *smart.Backend
		want string
	}{
		{"the zero value", &smart.Backend{}, "smart: token: base URL is not absolute"},
		{"no client id", &smart.Backend{Base: "https://a.example", Key: key}, "smart: token: no client id"},
		{"no key", &smart.Backend{Base: "https://a.example", ClientID: "x"}, "smart: token: no key"},
		{"an empty key", &smart.Backend{Base: "https://a.example", ClientID: "x", Key: &smart.Key{}}, "smart: token: no key"},
		{"plain http", &smart.Backend{Base: "http://a.example", ClientID: "x", Key: key}, "smart: token: plain http refused"},
		{"a token endpoint in plain http", &smart.Backend{Base: "https://a.example", ClientID: "x", Key: key, TokenURL: "http://a.example/token"}, "smart: token: plain http refused"},
		{"a token endpoint that is none", &smart.Backend{Base: "https://a.example", ClientID: "x", Key: key, TokenURL: "token"}, "smart: token: token endpoint is no usable URL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.b.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				t.Errorf("a request left for %s", r.URL)
				return nil, errors.New("no")
			})}
			_, err := tt.b.Token(t.Context(), tt.b.Base, "")
			if err == nil || err.Error() != tt.want {
				t.Errorf("error is %q, want %q", err, tt.want)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// refuse answers the given token requests with a status and a body.
func refuse(status int, body string, header map[string]string, which ...int) func(int, http.ResponseWriter) bool {
	return func(n int, w http.ResponseWriter) bool {
		for _, i := range which {
			if i == n {
				for k, v := range header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(status)
				fmt.Fprint(w, body)
				return true
			}
		}
		return false
	}
}

func TestWhatIsTriedAgain(t *testing.T) {
	const bare = `{"error":null}`
	const invalid = `{"error":"invalid_client","error_description":null}`
	tests := []struct {
		name            string
		status          int
		body            string
		first, renewals int // requests until it gives up or succeeds, when only the first fails
	}{
		{"500", 500, "", 2, 2},
		{"501 is final", 501, "", 1, 1},
		{"503 with HTML", 503, "<html>", 2, 2},
		{"429", 429, "", 2, 2},
		{"408", 408, "", 2, 2},
		{"a bare 400 is final at first and passes at a renewal", 400, bare, 1, 2},
		{"an empty 400", 400, "", 1, 2},
		{"invalid_client is final at first: at a renewal the key set may have been out of reach", 400, invalid, 1, 2},
		{"invalid_client as 401", 401, invalid, 1, 2},
		{"unauthorized_client is final", 400, `{"error":"unauthorized_client"}`, 1, 1},
		{"invalid_scope is final", 400, `{"error":"invalid_scope"}`, 1, 1},
		{"temporarily_unavailable", 400, `{"error":"temporarily_unavailable"}`, 2, 2},
		{"a web page with 200 is final at first", 200, "<html>sign in</html>", 1, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			s := serve(t, c, ecKey())
			s.answer = refuse(tt.status, tt.body, nil, 1)
			b, _ := s.backend(ecKey())
			_, err := b.Token(t.Context(), b.Base, "")
			if n, _ := s.counts(); n != tt.first || (err == nil) != (tt.first == 2) {
				t.Errorf("first sign-in: %d requests, error %v; want %d", n, err, tt.first)
			}

			s.answer = nil
			old := token(t, b, "")
			before, _ := s.counts()
			s.answer = refuse(tt.status, tt.body, nil, before+1)
			_, err = b.Token(t.Context(), b.Base, old)
			if n, _ := s.counts(); n-before != tt.renewals || (err == nil) != (tt.renewals == 2) {
				t.Errorf("renewal: %d requests, error %v; want %d", n-before, err, tt.renewals)
			}
		})
	}
}

func TestRepetitionsBackOffAndEnd(t *testing.T) {
	s := serve(t, newClock(), ecKey())
	s.answer = func(_ int, w http.ResponseWriter) bool { w.WriteHeader(http.StatusServiceUnavailable); return true }
	b, p := s.backend(ecKey())
	_, err := b.Token(t.Context(), b.Base, "")
	if err == nil || err.Error() != "smart: token: 503, 4 tries" {
		t.Errorf("error is %v, want it to say 503 and 4 tries", err)
	}
	waits := p.list()
	if len(waits) != 3 {
		t.Fatalf("waited %v, want three pauses between four tries", waits)
	}
	for i, d := range waits {
		if top := time.Second << i; d > top || d < top/2 {
			t.Errorf("pause %d is %v, want between %v and %v", i+1, d, top/2, top)
		}
	}
	if seen := map[string]bool{}; true {
		for _, a := range s.asserted {
			if seen[a] {
				t.Error("an assertion was sent twice")
			}
			seen[a] = true
		}
	}
}

func TestRetryAfter(t *testing.T) {
	tests := []struct {
		name, header string
		want         time.Duration // the pause; 0 means that it gave up
	}{
		{"seconds", "17", 17 * time.Second},
		{"a date", start.Add(42 * time.Second).Format(http.TimeFormat), 42 * time.Second},
		{"longer than MaxWait ends it", "121", 0},
		{"absurd ends it", "99999999999999", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, newClock(), ecKey())
			s.answer = refuse(429, "", map[string]string{"Retry-After": tt.header}, 1)
			b, p := s.backend(ecKey())
			_, err := b.Token(t.Context(), b.Base, "")
			waits := p.list()
			if tt.want == 0 {
				if err == nil || len(waits) > 0 {
					t.Errorf("waited %v, error %v; want it to give up at once", waits, err)
				}
				if e, ok := errors.AsType[*smart.Error](err); !ok || e.RetryAfter == 0 {
					t.Errorf("error %v does not tell how long the server wants to be left alone", err)
				}
				return
			}
			if err != nil || len(waits) != 1 || waits[0] != tt.want {
				t.Errorf("waited %v, error %v; want %v", waits, err, tt.want)
			}
		})
	}
}

func TestNetworkFailureIsTriedAgain(t *testing.T) {
	s := serve(t, newClock(), ecKey())
	b, _ := s.backend(ecKey())
	var n atomic.Int32
	b.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost && n.Add(1) == 1 {
			return nil, errors.New("dial CANARY: broken")
		}
		return http.DefaultTransport.RoundTrip(r)
	})}
	token(t, b, "")
	if n.Load() != 2 {
		t.Errorf("%d tries, want 2", n.Load())
	}
}

func TestEarlyRenewalThatFailsGivesTheOldToken(t *testing.T) {
	c := newClock()
	s := serve(t, c, ecKey())
	b, p := s.backend(ecKey())
	old := token(t, b, "")
	s.answer = func(_ int, w http.ResponseWriter) bool { w.WriteHeader(http.StatusServiceUnavailable); return true }
	c.advance(59*time.Minute + 5*time.Second)
	for range 5 {
		if got := token(t, b, ""); got != old {
			t.Fatalf("got %q, want the old token, which is good for 55 s more", got)
		}
	}
	if n, _ := s.counts(); n != 2 || len(p.list()) != 0 {
		t.Errorf("%d requests and pauses %v, want one try and no pause while the old token is good", n, p.list())
	}
	c.advance(11 * time.Second)
	token(t, b, "")
	if n, _ := s.counts(); n != 3 {
		t.Errorf("%d requests, want another try after ten seconds", n)
	}
	c.advance(45 * time.Second)
	if got, err := b.Token(t.Context(), b.Base, ""); err == nil {
		t.Errorf("got %q after the old token's end, want the error", got)
	}
	if n, _ := s.counts(); n != 7 {
		t.Errorf("%d requests, want four tries in earnest after the end", n)
	}
}

// A renewal before the end has one try. If the old token is refused or ends while that try is under
// way, its failure is not the last word.
func TestEarlyRenewalThatFailsTooLateIsMadeInEarnest(t *testing.T) {
	c := newClock()
	s := serve(t, c, ecKey())
	b, _ := s.backend(ecKey())
	token(t, b, "")
	c.advance(59*time.Minute + 30*time.Second)
	s.answer = func(n int, w http.ResponseWriter) bool {
		if n > 3 {
			return false
		}
		c.advance(time.Minute) // beyond the old token's end
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	if got := token(t, b, ""); got != "CANARY-token-2" {
		t.Errorf("got %q, want the token of the fourth request", got)
	}
}

// A caller whose context has ended gets the old token while it is good, and nothing is sent.
func TestEndedContextSendsNothing(t *testing.T) {
	c := newClock()
	s := serve(t, c, ecKey())
	b, _ := s.backend(ecKey())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Token(ctx, b.Base, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("without a token: error is %v, want the context's", err)
	}
	old := token(t, b, "")
	c.advance(59*time.Minute + 30*time.Second)
	if got, err := b.Token(ctx, b.Base, ""); got != old || err != nil {
		t.Errorf("with a token that is still good: %q, %v", got, err)
	}
	if n, _ := s.counts(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestOneCallerGivingUpDoesNotDisturbTheOthers(t *testing.T) {
	s := serve(t, newClock(), ecKey())
	arrived, release := make(chan struct{}), make(chan struct{})
	s.hold = func(context.Context) { close(arrived); <-release }
	b, _ := s.backend(ecKey())

	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := b.Token(ctx, b.Base, "")
		gone <- err
	}()
	<-arrived
	stays := make(chan string)
	go func() {
		tok, err := b.Token(t.Context(), b.Base, "")
		if err != nil {
			tok = err.Error()
		}
		stays <- tok
	}()
	// The second caller has joined when the first one's leaving does not end the request.
	for !b.Waiting(2) {
		runtime.Gosched()
	}
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller that gave up got %v, want its context's error", err)
	}
	close(release)
	if got := <-stays; got != "CANARY-token-1" {
		t.Errorf("the other caller got %q, want the token", got)
	}
	if n, _ := s.counts(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestFlightThatNobodyWaitsForIsCalledOff(t *testing.T) {
	s := serve(t, newClock(), ecKey())
	ended := make(chan struct{})
	var once sync.Once
	ctx, cancel := context.WithCancel(t.Context())
	s.hold = func(request context.Context) {
		once.Do(func() {
			cancel()
			<-request.Done()
			close(ended)
		})
	}
	b, _ := s.backend(ecKey())
	if _, err := b.Token(ctx, b.Base, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want the context's", err)
	}
	<-ended // the request was cancelled
	if got := token(t, b, ""); got == "" {
		t.Error("no token afterwards")
	}
}

func TestTokenEndpointRedirectIsNotFollowed(t *testing.T) {
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer evil.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := serve(t, newClock(), ecKey())
		s.answer = refuse(status, "", map[string]string{"Location": evil.URL}, 1)
		b, _ := s.backend(ecKey())
		_, err := b.Token(t.Context(), b.Base, "")
		if !errors.Is(err, smart.ErrRedirect) {
			t.Errorf("%d: error is %v, want ErrRedirect", status, err)
		}
	}
}

func TestAnswersThatAreNoToken(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"no token", `{"token_type":"bearer"}`, "smart: token: 200, answer holds no access token"},
		{"a token that is a number", `{"access_token":5,"token_type":"bearer"}`, "smart: token: 200, answer holds no access token"},
		{"a line break in the token", `{"access_token":"a\r\nX: y","token_type":"bearer"}`, "smart: token: 200, access token has characters that no header can carry"},
		{"another type of token", `{"access_token":"CANARY","token_type":"mac"}`, "smart: token: 200, token type is not bearer"},
		{"no type of token", `{"access_token":"CANARY"}`, "smart: token: 200, token type is not bearer"},
		{"HTML", `<!DOCTYPE html><p>CANARY`, "smart: token: 200, HTML where JSON belongs"},
		{"nothing", ``, "smart: token: 200, an empty answer where JSON belongs"},
		{"too much", `{"x":"` + strings.Repeat("a", 2<<20) + `"}`, "smart: token: answer too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, newClock(), ecKey())
			s.answer = refuse(200, tt.body, nil, 1, 2, 3, 4)
			b, _ := s.backend(ecKey())
			_, err := b.Token(t.Context(), b.Base, "")
			if err == nil || err.Error() != tt.want {
				t.Errorf("error is %q, want %q", err, tt.want)
			}
		})
	}
	s := serve(t, newClock(), ecKey())
	s.answer = refuse(200, `{"access_token":"x","token_type":"BeArEr","unknown":{}}`, nil, 1)
	b, _ := s.backend(ecKey())
	if got := token(t, b, ""); got != "x" {
		t.Errorf("token type BeArEr: got %q", got)
	}
}

func TestClockThatIsOffIsCorrectedByTheServers(t *testing.T) {
	for _, skew := range []time.Duration{-10 * time.Minute, -25 * time.Second, 10 * time.Minute, 50 * time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			s := serve(t, newClock(), ecKey())
			s.skew = skew
			b, p := s.backend(ecKey())
			token(t, b, "")
			if n, _ := s.counts(); n != 2 || len(p.list()) > 0 {
				t.Errorf("%d requests, pauses %v: want one refusal and one corrected try at once", n, p.list())
			}
			before, _ := s.counts()
			token(t, b, "CANARY-token-1")
			if n, _ := s.counts(); n != before+1 {
				t.Errorf("a renewal took %d requests, want the correction to be remembered", n-before)
			}
		})
	}
	s := serve(t, newClock(), ecKey())
	s.skew = 3 * time.Hour
	b, _ := s.backend(ecKey())
	_, err := b.Token(t.Context(), b.Base, "")
	e, ok := errors.AsType[*smart.Error](err)
	if !ok || e.Code != "invalid_client" || e.Tries != 1 {
		t.Fatalf("error is %v, want a final refusal: three hours are no skew", err)
	}
	if !strings.Contains(fmt.Sprint(e.Checked()), "in the past by the server's clock") {
		t.Errorf("findings %v do not tell that the clocks differ", e.Checked())
	}
}

func TestRefusalTellsWhatItWasNot(t *testing.T) {
	s := serve(t, newClock()) // knows no key
	b, _ := s.backend(ecKey())
	_, err := b.Token(t.Context(), b.Base, "")
	e, ok := errors.AsType[*smart.Error](err)
	if !ok || err.Error() != "smart: token: invalid_client (400)" {
		t.Fatalf("error is %v", err)
	}
	if code, _ := e.OAuthError(); code != "invalid_client" || e.HTTPStatus() != 400 || e.URL != s.tokenURL {
		t.Errorf("code %q, status %d, URL %q", code, e.HTTPStatus(), e.URL)
	}
	for _, c := range e.Checked() {
		if c[0] != "ok" {
			t.Errorf("finding %v: the package refuses its own assertion", c)
		}
	}
	if len(e.Checked()) < 6 {
		t.Errorf("only %d findings: %v", len(e.Checked()), e.Checked())
	}
}

func TestServersSentenceIsCutAndCleaned(t *testing.T) {
	s := serve(t, newClock(), ecKey())
	b, _ := s.backend(ecKey())
	s.answer = func(_ int, w http.ResponseWriter) bool {
		w.WriteHeader(http.StatusBadRequest)
		s.mu.Lock()
		sent := s.asserted[len(s.asserted)-1]
		s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]string{
			"error":             "invalid_client",
			"error_description": "your assertion " + sent + " is\r\n\x1b[31mbad" + strings.Repeat(" very", 200),
		})
		return true
	}
	_, err := b.Token(t.Context(), b.Base, "")
	e, _ := errors.AsType[*smart.Error](err)
	if e == nil || !strings.HasPrefix(e.Description, "your assertion [redacted] is") || len(e.Description) > 210 ||
		strings.ContainsAny(e.Description, "\r\n\x1b") {
		t.Errorf("description is %q", e.Description)
	}
	if strings.Contains(err.Error(), "assertion") {
		t.Errorf("the error line quotes the server: %q", err)
	}
}

func TestOddErrorCodesAreNotPrinted(t *testing.T) {
	for _, code := range []string{"CANARY", "a b", "eyJhbGciOiJub25lIn0.e30.x", strings.Repeat("x", 50)} {
		s := serve(t, newClock(), ecKey())
		body, _ := json.Marshal(map[string]string{"error": code})
		s.answer = refuse(400, string(body), nil, 1)
		b, _ := s.backend(ecKey())
		_, err := b.Token(t.Context(), b.Base, "")
		if err == nil || err.Error() != "smart: token: 400" {
			t.Errorf("code %q: error is %q", code, err)
		}
	}
}

func TestMovedTokenEndpointIsFoundAgain(t *testing.T) {
	c := newClock()
	s := serve(t, c, ecKey())
	b, _ := s.backend(ecKey())
	old := token(t, b, "")
	s.answer = refuse(404, "gone", nil, 2)
	if got := token(t, b, old); got != "CANARY-token-2" {
		t.Errorf("got %q", got)
	}
	if s.discovers != 2 {
		t.Errorf("discovery was read %d times, want again after the 404", s.discovers)
	}
}
