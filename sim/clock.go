package sim

import (
	"sync"
	"time"
)

// clock is the server's notion of time: the clock it was given, moved by Advance, and its
// deviation from everybody else's, set by Skew.
type clock struct {
	mu      sync.Mutex
	base    func() time.Time
	advance time.Duration
	skew    time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base().Add(c.advance + c.skew)
}

// Now is the server's time: Clock, moved by [Server.Advance] and [Server.Skew]. The Date
// header of every answer, the life of tokens, sessions and exports go by it.
func (s *Server) Now() time.Time {
	s.setup()
	return s.clock.now()
}

// Advance moves the server's clock forward by d, as if everybody had waited so long. The
// assertions of clients whose own clock stayed behind go on being accepted: both readings
// of the clock are tried, so that tokens and windows can be aged beneath a client that runs
// in real time. A difference between the clocks is what [Server.Skew] makes.
func (s *Server) Advance(d time.Duration) {
	s.setup()
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	s.clock.advance += d
}

// Skew makes the server's clock deviate by d from the true one, which shows in the Date
// header and in the refusal of assertions. It replaces an earlier deviation.
func (s *Server) Skew(d time.Duration) {
	s.setup()
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	s.clock.skew = d
}

// assertionTimes are the readings at which a client's assertion may be valid.
func (c *clock) assertionTimes() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.base().Add(c.skew)
	if c.advance == 0 {
		return []time.Time{t}
	}
	return []time.Time{t.Add(c.advance), t}
}
