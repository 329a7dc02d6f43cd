package fhir

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// gate is what all requests of one Client pass: the pause that the server asked for, the
// request budget, the number of requests under way, and the budget of repetitions.
type gate struct {
	now   func() time.Time
	wait  func(context.Context, time.Duration) error
	rand  func() float64
	rate  *rate.Limiter // nil: no limit
	slots chan struct{} // nil: no limit

	mu      sync.Mutex
	until   time.Time // nobody sends before
	retries float64   // repetitions that are still allowed
}

// The budget of repetitions keeps a client from doubling the load on a server that is
// failing: each success earns half a repetition, and a full budget holds 50. Pauses that
// the server asks for cost nothing.
const (
	retryBudget = 50
	retryEarned = 0.5
)

func newGate(l Limits, now func() time.Time, wait func(context.Context, time.Duration) error, rnd func() float64) *gate {
	g := &gate{now: now, wait: wait, rand: rnd, retries: retryBudget}
	if l.PerMinute > 0 {
		// A minute that begins with a full burst must end within PerMinute.
		perMinute := l.PerMinute - (l.Burst - 1)
		g.rate = rate.NewLimiter(rate.Limit(float64(perMinute)/60), l.Burst)
	}
	if l.Concurrency > 0 {
		g.slots = make(chan struct{}, l.Concurrency)
	}
	return g
}

// enter waits for leave to send one request. The slot it takes is given back by leave.
func (g *gate) enter(ctx context.Context) error {
	if g.slots != nil {
		select {
		case g.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := g.turn(ctx); err != nil {
		g.leave()
		return err
	}
	return nil
}

func (g *gate) leave() {
	if g.slots != nil {
		<-g.slots
	}
}

// turn waits out the server's pause and the request budget. A pause that began while the
// budget was awaited is waited out too.
func (g *gate) turn(ctx context.Context) error {
	if err := g.sleepPaused(ctx); err != nil {
		return err
	}
	if g.rate != nil {
		now := g.now()
		r := g.rate.ReserveN(now, 1)
		if d := r.DelayFrom(now); d > 0 {
			if err := g.wait(ctx, d); err != nil {
				r.CancelAt(g.now())
				return err
			}
		}
	}
	return g.sleepPaused(ctx)
}

func (g *gate) sleepPaused(ctx context.Context) error {
	for {
		d := g.paused()
		if d <= 0 {
			return ctx.Err()
		}
		// Those who waited for the same moment do not all start in it.
		d += time.Duration(g.rand() * float64(min(d/10, time.Second)))
		if err := g.wait(ctx, d); err != nil {
			return err
		}
	}
}

func (g *gate) paused() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until.Sub(g.now())
}

// pause keeps every user of the client from sending for d.
func (g *gate) pause(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.now().Add(d); t.After(g.until) {
		g.until = t
	}
}

func (g *gate) earn() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retries = min(retryBudget, g.retries+retryEarned)
}

func (g *gate) spend() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.retries < 1 {
		return false
	}
	g.retries--
	return true
}

// backoff is how long to wait before try n+1 when the server said nothing: exponential with
// full jitter, from half a second to half a minute.
func (g *gate) backoff(n int) time.Duration {
	ceiling := 500 * time.Millisecond << min(n-1, 6)
	return time.Duration(g.rand() * float64(min(ceiling, 32*time.Second)))
}

// sleep is the default of Client.Wait.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
