package fhir

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name string
		h    map[string]string
		want time.Duration
	}{
		{"nothing said", nil, 0},
		{"seconds", map[string]string{"Retry-After": "120"}, 2 * time.Minute},
		{"fraction", map[string]string{"Retry-After": "0.5"}, 500 * time.Millisecond},
		{"now", map[string]string{"Retry-After": "0"}, 1},
		{"negative", map[string]string{"Retry-After": "-5"}, 1},
		{"words", map[string]string{"Retry-After": "soon"}, 0},
		{"not a number", map[string]string{"Retry-After": "NaN"}, 0},
		{"infinite", map[string]string{"Retry-After": "Inf"}, absurdWait},
		{"date by our clock", map[string]string{"Retry-After": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30 * time.Second},
		{"date by the server's clock", map[string]string{"Retry-After": "Sun, 01 Mar 2026 12:00:30 GMT", "Date": "Sun, 01 Mar 2026 12:00:20 GMT"}, 10 * time.Second},
		{"date in the past", map[string]string{"Retry-After": "Sun, 01 Mar 2020 12:00:30 GMT"}, 1},
		{"date in RFC 850 form", map[string]string{"Retry-After": "Sunday, 01-Mar-26 12:00:30 GMT"}, 30 * time.Second},
		{"epoch in seconds", map[string]string{"Retry-After": "1772366400"}, absurdWait},
		{"epoch in milliseconds", map[string]string{"Retry-After": "1772366400000"}, absurdWait},
		{"RateLimit, nothing remains", map[string]string{"RateLimit": `"x";r=0;t=60`}, time.Minute},
		{"RateLimit, some remains", map[string]string{"RateLimit": `"x";r=3;t=60`}, 0},
		{"RateLimit, two policies", map[string]string{"RateLimit": `"burst";r=0;t=1, "day";r=0;t=9`}, 9 * time.Second},
		{"RateLimit, older form", map[string]string{"RateLimit": `limit=100, remaining=0, reset=50`}, 50 * time.Second},
		{"RateLimit, older form, some remains", map[string]string{"RateLimit": `limit=100, remaining=1, reset=50`}, 0},
		{"RateLimit-Reset", map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "50"}, 50 * time.Second},
		{"RateLimit-Reset without remaining", map[string]string{"RateLimit-Reset": "50"}, 0},
		{"X-RateLimit-Reset as time of day", map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1772366430"}, 30 * time.Second},
		{"Retry-After comes first", map[string]string{"Retry-After": "1", "RateLimit": `"x";r=0;t=60`}, time.Second},
		{"broken Retry-After, good RateLimit", map[string]string{"Retry-After": "?", "RateLimit": `"x";r=0;t=60`}, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			for k, v := range tt.h {
				h.Set(k, v)
			}
			if got := RetryAfter(h, now); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"1", "Sun, 01 Mar 2026 12:00:30 GMT", `"x";r=0;t=60`, "remaining=0,reset=5", "1e400", "0x1p9", "-"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, retryAfter, rateLimit string) {
		h := http.Header{"Retry-After": {retryAfter}, "Ratelimit": {rateLimit}, "Ratelimit-Remaining": {"0"}, "Ratelimit-Reset": {retryAfter}}
		if d := RetryAfter(h, time.Unix(1e9, 0)); d < 0 || d > absurdWait {
			t.Errorf("%q and %q gave %s", retryAfter, rateLimit, d)
		}
	})
}

func TestChallenge(t *testing.T) {
	tests := []struct {
		name   string
		header []string
		want   Challenge
	}{
		{"none", nil, Challenge{}},
		{"scheme alone", []string{"Bearer"}, Challenge{Scheme: "bearer"}},
		{
			"quoted",
			[]string{`Bearer error="invalid_token", error_description="The access token provided is not valid"`},
			Challenge{Scheme: "bearer", Error: "invalid_token", Description: "The access token provided is not valid"},
		},
		{"bare words, odd spaces", []string{`bearer  error = insufficient_scope ,scope="a b"`}, Challenge{Scheme: "bearer", Error: "insufficient_scope", Scope: "a b"}},
		{"quotes within", []string{`Bearer error_description="say \"a, b\"", error="x"`}, Challenge{Scheme: "bearer", Error: "x", Description: `say "a, b"`}},
		{"Bearer among others in one line", []string{`Basic realm="x, y", Bearer error="invalid_token"`}, Challenge{Scheme: "bearer", Error: "invalid_token"}},
		{"Bearer among others in two lines", []string{`Negotiate abc==`, `Bearer error="invalid_token"`}, Challenge{Scheme: "bearer", Error: "invalid_token"}},
		{"another scheme", []string{`Basic realm="x"`}, Challenge{Scheme: "basic"}},
		{"unclosed quote", []string{`Bearer error="invalid`}, Challenge{Scheme: "bearer", Error: "invalid"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseChallenge(http.Header{"Www-Authenticate": tt.header}); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer error="invalid_token", error_description="a \" b"`)
	f.Add(`Basic realm=x,,=,"`)
	f.Fuzz(func(_ *testing.T, s string) {
		parseChallenge(http.Header{"Www-Authenticate": {s}}) // must end
	})
}
