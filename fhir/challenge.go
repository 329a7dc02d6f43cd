package fhir

import (
	"net/http"
	"strings"
)

// Challenge is the WWW-Authenticate header of a refusal (RFC 6750, section 3). Epic answers
// many refusals with an empty body and says the reason only here.
type Challenge struct {
	// Scheme is the authentication scheme in lower case, usually "bearer"; "" without header.
	Scheme string
	// Error is the error code, such as "invalid_token" or "insufficient_scope".
	Error string
	// Description is the server's own sentence. It is the server's text: keep it out of logs.
	Description string
	// Scope is the scope that the server would have wanted, when it says so.
	Scope string
}

// parseChallenge takes the first Bearer challenge, else the first of any scheme. It never
// fails: what cannot be read is left out.
func parseChallenge(h http.Header) Challenge {
	var first Challenge
	for _, v := range h.Values("WWW-Authenticate") {
		for _, c := range splitChallenges(v) {
			if c.Scheme == "bearer" {
				return c
			}
			if first.Scheme == "" {
				first = c
			}
		}
	}
	return first
}

// splitChallenges reads one header value, which may hold several challenges (RFC 9110,
// section 11.6.1): a word that no "=" follows begins the next one.
func splitChallenges(v string) []Challenge {
	var out []Challenge
	for v != "" {
		v = strings.TrimLeft(v, " \t,")
		word := v[:tokenLen(v)]
		if word == "" {
			return out
		}
		v = strings.TrimLeft(v[len(word):], " \t")
		if !strings.HasPrefix(v, "=") {
			out = append(out, Challenge{Scheme: asciiLower(word)})
			continue
		}
		var value string
		value, v = paramValue(strings.TrimLeft(v[1:], " \t"))
		if len(out) == 0 {
			continue
		}
		c := &out[len(out)-1]
		switch asciiLower(word) {
		case "error":
			c.Error = value
		case "error_description":
			c.Description = value
		case "scope":
			c.Scope = value
		}
	}
	return out
}

func paramValue(v string) (value, rest string) {
	if !strings.HasPrefix(v, `"`) {
		n := tokenLen(v)
		if n == 0 && v != "" {
			n = 1 // step over what is no token, so that every turn gets ahead
		}
		return v[:n], v[n:]
	}
	var b strings.Builder
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '"':
			return b.String(), v[i+1:]
		case '\\':
			if i++; i < len(v) {
				b.WriteByte(v[i])
			}
		default:
			b.WriteByte(v[i])
		}
	}
	return b.String(), "" // the closing quote is missing
}

// tokenLen is how much of s is a token or token68 (RFC 9110, section 5.6.2), without "=".
func tokenLen(s string) int {
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ', c >= 0x7f, c == '"', c == ',', c == '=', c == '\\', c == ';':
			return i
		}
	}
	return len(s)
}
