package fhir

import (
	"errors"
	"time"
)

// Limits is how hard a Client may press one server, and how much it takes from it. The zero
// value is cautious.
type Limits struct {
	// PerMinute is the request budget, shared by all that use this Client. No minute ever
	// holds more. Zero means 100; -1 means no limit. Epic publishes no figure and each site
	// sets its own: ask before raising it.
	PerMinute int

	// Burst is how many of these requests may leave at once after a pause. Zero means a
	// tenth of PerMinute. A larger burst makes the steady rate smaller, so that a minute
	// which begins with the burst stays within PerMinute.
	Burst int

	// Concurrency is how many requests may be waiting for an answer at one time. Zero means
	// 5; -1 means no limit. A body that [Client.Do] handed out does not count.
	Concurrency int

	// MaxTries is how often one request is sent at most when it is safe to repeat. Zero
	// means 5; 1 means never again.
	MaxTries int

	// MaxWait bounds a single pause that the server asks for with Retry-After or RateLimit.
	// Zero means 5 minutes; -1 means no bound, and then one faulty header can stop a job
	// for years.
	MaxWait time.Duration

	// HeaderTimeout is how long a server may take to begin its answer. Zero means 2 minutes,
	// -1 means no limit.
	HeaderTimeout time.Duration

	// IdleTimeout is how long a body may bring less than a kilobyte: it ends a body that
	// stalls and one that drips. The time in which nobody reads does not count. Zero means
	// 30 seconds, -1 means no limit.
	IdleTimeout time.Duration

	// TotalTimeout bounds one try of a request whose answer is read as a whole (Read, Search,
	// Capabilities), from the first byte sent to the last received. Zero means 10 minutes, -1
	// means no limit. The streams of [Client.Do] have no such bound; their context has.
	TotalTimeout time.Duration

	// MaxBody is the size in bytes up to which one answer is read as a whole, unpacked.
	// Zero means 32 MiB; -1 means no limit.
	MaxBody int64

	// MaxPages is after how many pages a search is given up as endless. Zero means 100,000;
	// -1 means no limit.
	MaxPages int
}

// withDefaults fills what is zero; afterwards -1 stands for "no limit".
func (l Limits) withDefaults() (Limits, error) {
	def(&l.PerMinute, 100)
	def(&l.Burst, max(1, l.PerMinute/10))
	def(&l.Concurrency, 5)
	def(&l.MaxTries, 5)
	def(&l.MaxWait, 5*time.Minute)
	def(&l.HeaderTimeout, 2*time.Minute)
	def(&l.IdleTimeout, 30*time.Second)
	def(&l.TotalTimeout, 10*time.Minute)
	def(&l.MaxBody, 32<<20)
	def(&l.MaxPages, 100_000)
	switch {
	case l.MaxTries < 1:
		return l, errors.New("Limits.MaxTries is negative")
	case l.PerMinute > 0 && (l.Burst < 1 || l.Burst > l.PerMinute):
		return l, errors.New("Limits.Burst is outside 1 to PerMinute")
	}
	return l, nil
}

func def[N int | int64 | time.Duration](v *N, d N) {
	if *v == 0 {
		*v = d
	}
}
