package fhir

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/andironhq/andiron/r4"
)

func TestNoMinuteHoldsMoreThanItsBudget(t *testing.T) {
	for _, l := range []Limits{{}, {PerMinute: 1}, {PerMinute: 7}, {PerMinute: 100, Burst: 100}, {PerMinute: 60, Burst: 1}, {PerMinute: 1000, Burst: 300}} {
		l, err := l.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		clock := newClock()
		g := newGate(l, clock.Now, clock.Wait, func() float64 { return 0 })
		var sent []time.Time
		for range 5 * l.PerMinute {
			if err := g.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
			sent = append(sent, clock.Now())
			g.leave()
		}
		for i, from := range sent {
			n := 0
			for _, s := range sent[i:] {
				// A nanosecond of slack for the limiter's floating point.
				if s.Sub(from) < time.Minute-time.Nanosecond {
					n++
				}
			}
			if n > l.PerMinute {
				t.Fatalf("%d a minute, burst %d: %d requests within one minute", l.PerMinute, l.Burst, n)
			}
		}
		// And it is not much slower than it may be: the burst costs what it costs.
		ideal := time.Duration(float64(4*l.PerMinute) / float64(l.PerMinute-l.Burst+1) * float64(time.Minute))
		if took := sent[len(sent)-1].Sub(sent[0]); took > ideal+2*time.Minute {
			t.Errorf("%d a minute, burst %d: %d requests took %s", l.PerMinute, l.Burst, len(sent), took)
		}
	}
}

func TestThrottlingPausesEveryUserOfTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var banned, asked atomic.Int64
		var until time.Time
		var mu sync.Mutex
		server := roundTripper(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			asked.Add(1)
			rec := newRecorder()
			switch {
			case until.IsZero():
				until = time.Now().Add(30 * time.Second)
				rec.header.Set("Retry-After", "30")
				rec.status = 429
			case time.Now().Before(until):
				banned.Add(1)
				rec.status = 429
			default:
				rec.body = `{"resourceType":"Patient","id":"a"}`
			}
			return rec.response(r), nil
		})
		c := &Client{Base: "https://good.example.com", HTTP: &http.Client{Transport: server}, Limits: Limits{PerMinute: -1, Concurrency: 1}}
		if _, err := Read[r4.Patient](t.Context(), c, "first"); err != nil {
			t.Fatal(err)
		}
		until = time.Time{}
		asked.Store(0)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := Read[r4.Patient](t.Context(), c, "a"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if banned.Load() != 0 || asked.Load() != 21 {
			t.Errorf("%d of %d requests came before the server had said", banned.Load(), asked.Load())
		}
	})
}

func TestPauseThatBeginsWhileTheBudgetIsAwaitedIsKept(t *testing.T) {
	l, err := Limits{PerMinute: 60, Burst: 1}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	clock := newClock()
	var g *gate
	once := sync.OnceFunc(func() { g.pause(time.Minute) })
	g = newGate(l, clock.Now, func(ctx context.Context, d time.Duration) error {
		once() // somebody else is told to wait, while we do
		return clock.Wait(ctx, d)
	}, func() float64 { return 0 })
	start := clock.Now()
	for range 2 {
		if err := g.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.leave()
	}
	if d := clock.Now().Sub(start); d < time.Minute {
		t.Errorf("the second request left after %s, in the middle of the pause", d)
	}
}

func TestUsedUpBudgetIsWaitedOutBeforeTheRefusal(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("RateLimit", `"x";r=0;t=20`)
		reply(rw, 200, `{"resourceType":"Patient","id":"a"}`)
	})
	for range 2 {
		if _, err := Read[r4.Patient](t.Context(), w.c, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if d := w.clock.waited(); d < 20*time.Second || d > 21*time.Second {
		t.Errorf("waited %s before the second request, want 20s", d)
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	var now, most, arrived atomic.Int64
	three := make(chan struct{})
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if arrived.Add(1) == 3 {
			close(three)
		}
		select { // the first three are answered together, which only works when three may be under way
		case <-three:
		case <-r.Context().Done():
		}
		now.Add(-1)
		reply(rw, 200, `{"resourceType":"Patient","id":"a"}`)
	})
	w.c.Limits.Concurrency = 3
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if _, err := Read[r4.Patient](t.Context(), w.c, "a"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() != 3 {
		t.Errorf("%d requests at once, want 3", most.Load())
	}
}

func TestOpenStreamsDoNotBlockOtherRequests(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) { reply(rw, 200, `{"resourceType":"Patient"}`) })
	w.c.Limits.Concurrency = 1
	for range 3 {
		resp, err := w.c.Do(t.Context(), Request{URL: "Patient/a"})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := Read[r4.Patient](ctx, w.c, "a"); err != nil {
		t.Error(err)
	}
}

func TestCallersOwnCauseIsKept(t *testing.T) {
	cause := errors.New("the user left")
	ctx, cancel := context.WithCancelCause(t.Context())
	w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel(cause)
		<-r.Context().Done()
	})
	_, err := Read[r4.Patient](ctx, w.c, "a")
	if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) || err.Error() != "fhir: read Patient/…: stopped by its context" || w.asked() != 1 {
		t.Errorf("got %v after %d requests, want the context's error with its cause after 1", err, w.asked())
	}
}

func TestAnotherOriginCannotPauseTheClient(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) { reply(rw, 200, `{"resourceType":"Patient"}`) })
	w.evilStatus = http.StatusTooManyRequests
	if _, err := w.c.Do(t.Context(), Request{URL: "https://files.example.com/1.ndjson", ForeignOK: true, NoRetry: true}); asError(t, err).Status != 429 {
		t.Fatal(err)
	}
	if _, err := Read[r4.Patient](t.Context(), w.c, "a"); err != nil || w.clock.waited() != 0 {
		t.Errorf("the server was asked only after %s, %v", w.clock.waited(), err)
	}
}

func TestCancelledCallerStopsWaiting(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Retry-After", "60")
		rw.WriteHeader(http.StatusTooManyRequests)
	})
	w.c.Wait = nil // real time: it must not be waited for
	ctx, cancel := context.WithCancel(t.Context())
	w.c.Trace = func(Exchange) { cancel() }
	start := time.Now()
	_, err := Read[r4.Patient](ctx, w.c, "a")
	if !errors.Is(err, context.Canceled) && asError(t, err).Status != 429 || time.Since(start) > 5*time.Second {
		t.Errorf("got %v after %s", err, time.Since(start))
	}
	// The slot is free again, and so is the budget.
	ctx2, cancel2 := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel2()
	if _, err := Read[r4.Patient](ctx2, w.c, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline during the pause", err)
	}
}
