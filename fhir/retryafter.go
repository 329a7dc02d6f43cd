package fhir

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryAfter is how long a server asks to be left alone: Retry-After (RFC 9110, section
// 10.2.3: seconds or a date), else RateLimit or RateLimit-Reset when nothing of the budget
// remains. It is 0 when the server says nothing of the kind, and a nanosecond when it says
// "now". It is as long as the server says, up to a year: some send the time of day where a
// span belongs, so clamp it. A date is read against the server's own clock where the answer
// shows one, else against now.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	if v := strings.TrimSpace(h.Get("Retry-After")); v != "" {
		if t, err := http.ParseTime(v); err == nil {
			if d := date(h); !d.IsZero() {
				now = d
			}
			return span(t.Sub(now))
		}
		if d := seconds(v); d > 0 {
			return d
		}
	}
	return rateLimited(h, now)
}

// rateLimited reads the RateLimit field of the IETF draft in both its forms
// (`"name";r=0;t=60` and `limit=9, remaining=0, reset=60`) and the older RateLimit-Reset,
// which some servers give as a time of day.
func rateLimited(h http.Header, now time.Time) time.Duration {
	if d := rateLimit(h.Values("RateLimit")); d != 0 {
		return d
	}
	for _, prefix := range []string{"RateLimit-", "X-RateLimit-"} {
		if strings.TrimSpace(h.Get(prefix+"Remaining")) != "0" {
			continue
		}
		v := strings.TrimSpace(h.Get(prefix + "Reset"))
		if epoch, err := strconv.ParseInt(v, 10, 64); err == nil && time.Duration(epoch) > absurdWait/time.Second && epoch < 1<<40 {
			return span(time.Unix(epoch, 0).Sub(now))
		}
		if d := seconds(v); d > 0 {
			return d
		}
	}
	return 0
}

// absurdWait is the bound beyond which a number cannot be meant as a pause.
const absurdWait = 366 * 24 * time.Hour

// seconds reads a number of seconds. Fractions are tolerated; a negative number is now.
func seconds(v string) time.Duration {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsNaN(f) {
		return 0
	}
	return span(time.Duration(min(max(f, 0), absurdWait.Seconds()) * float64(time.Second)))
}

// span keeps "at once" apart from "nothing said", which is 0.
func span(d time.Duration) time.Duration {
	return min(max(d, 1), absurdWait)
}

// rateLimit reads the RateLimit field and returns the longest wait of the policies of which
// nothing remains.
func rateLimit(values []string) time.Duration {
	var longest time.Duration
	for _, v := range values {
		if remaining, reset, ok := flatRateLimit(v); ok {
			if remaining == "0" {
				longest = max(longest, seconds(reset))
			}
			continue
		}
		for item := range strings.SplitSeq(v, ",") {
			var r, t string
			for param := range strings.SplitSeq(item, ";") {
				name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
				switch name {
				case "r":
					r = value
				case "t":
					t = value
				}
			}
			if r == "0" {
				longest = max(longest, seconds(t))
			}
		}
	}
	return longest
}

// flatRateLimit reads the form of the draft's earlier versions, one dictionary.
func flatRateLimit(v string) (remaining, reset string, ok bool) {
	for item := range strings.SplitSeq(v, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		switch name {
		case "remaining":
			remaining = value
		case "reset":
			reset = value
		}
	}
	return remaining, reset, remaining != ""
}
