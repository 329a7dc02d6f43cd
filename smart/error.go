package smart

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// What callers branch on, with errors.Is. Each comes inside an [*Error].
var (
	// ErrForeignBase: a token was asked for another FHIR base than the one it is for.
	ErrForeignBase = errors.New("token is for another FHIR base")
	// ErrInsecure: plain http to a host that is not this machine. Nothing was sent.
	ErrInsecure = errors.New("plain http refused")
	// ErrNotJSON: HTML, XML or garbage where JSON belongs.
	ErrNotJSON = errors.New("not JSON")
	// ErrRedirect: the answer is a redirect, which is not followed.
	ErrRedirect = errors.New("redirect not followed")
	// ErrNoEndpoint: neither discovery document names a usable token endpoint.
	ErrNoEndpoint = errors.New("no token endpoint")
	// ErrTooLarge: an answer is larger than anything sensible.
	ErrTooLarge = errors.New("answer too large")
)

// Error is how everything in this package fails. Error() and %v are fit for logs: they hold no
// token, no assertion, no key, no query and nothing of an answer but a known OAuth code.
type Error struct {
	// Op is what was being done: "secret", "key", "key set", "discover", "assertion", "launch",
	// "authorize", "callback", "token", "id_token", "session", "introspect", "revoke", "register".
	Op string
	// URL is scheme, host and path of the request that failed; "" if none was made.
	URL string
	// Status is the HTTP status; 0 when there was no answer.
	Status int
	// Code is the OAuth error code, such as "invalid_client"; "" if none came or it does not
	// look like one.
	Code string
	// Description is the server's own sentence, cut to 200 characters, with everything that
	// could be a token taken out. It is the server's text: keep it out of logs.
	Description string
	// RetryAfter is how long the server asked to be left alone; 0 if it did not.
	RetryAfter time.Duration
	// Date is the server's clock, from its Date header; zero without one.
	Date time.Time
	// Tries is how often the request was sent.
	Tries int
	// Findings are what could be checked from here of an assertion that was refused.
	Findings []Finding
	// Err is the cause; nil when status and code say it all.
	Err error
}

// Error is one line: operation, code, status, cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("smart: " + e.Op)
	sep := ": "
	if knownCodes[e.Code] {
		b.WriteString(sep + e.Code)
		if e.Status != 0 {
			fmt.Fprintf(&b, " (%d)", e.Status)
		}
		sep = ", "
	} else if e.Status != 0 {
		fmt.Fprintf(&b, "%s%d", sep, e.Status)
		sep = ", "
	}
	if e.Err != nil {
		b.WriteString(sep + e.Err.Error())
		sep = ", "
	}
	if e.Tries > 1 {
		fmt.Fprintf(&b, "%s%d tries", sep, e.Tries)
	}
	return b.String()
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// HTTPStatus is the status code; 0 when there was no answer.
func (e *Error) HTTPStatus() int { return e.Status }

// OAuthError is the OAuth error code and the server's description, both "" where none came.
func (e *Error) OAuthError() (code, description string) { return e.Code, e.Description }

// Checked lists the findings that speak for or against a cause, as pairs of "ok" or "fail" and a
// text; package epic shows them.
func (e *Error) Checked() [][2]string {
	var out [][2]string
	times := slices.ContainsFunc(e.Findings, func(f Finding) bool {
		return f.Severity == SeverityError && (f.Rule == "L8" || f.Rule == "L9")
	})
	for _, f := range e.Findings {
		switch {
		case f.Severity == SeverityOK:
			out = append(out, [2]string{"ok", f.Text})
		case f.Severity == SeverityError, f.Rule == "W5" && times: // clocks that differ are a cause then
			out = append(out, [2]string{"fail", f.Text})
		}
	}
	return out
}

// knownCodes may be printed: RFC 6749, sections 4.1.2.1 and 5.2, RFC 6750, section 3.1.
var knownCodes = func() map[string]bool {
	m := map[string]bool{}
	for c := range strings.FieldsSeq(`invalid_request invalid_client invalid_grant unauthorized_client
		unsupported_grant_type invalid_scope access_denied server_error temporarily_unavailable
		unsupported_response_type invalid_token insufficient_scope slow_down`) {
		m[c] = true
	}
	return m
}()

var codeForm = regexp.MustCompile(`^[a-zA-Z][a-zA-Z_]{0,39}$`)

// cleanCode lets through what looks like an OAuth error code.
func cleanCode(s string) string {
	if codeForm.MatchString(s) {
		return s
	}
	return ""
}

// tokenLike is every run of characters that could be a token, an assertion or a part of one.
var tokenLike = regexp.MustCompile(`[A-Za-z0-9+/_=.~-]{20,}`)

// cleanDescription makes a server's sentence short, printable and free of what it may have echoed.
func cleanDescription(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(tokenLike.ReplaceAllString(s, redacted))
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}

// networkError gives a failure below HTTP a text that quotes neither a URL nor bytes of the server:
// net/url and net/http put both into theirs.
type networkError struct {
	text string
	err  error
}

func (e *networkError) Error() string { return e.text }
func (e *networkError) Unwrap() error { return e.err }

// network returns the cause of a failed exchange, fit to print.
func network(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	if errors.Is(err, ErrTooLarge) || errors.Is(err, ErrNotJSON) || errors.Is(err, ErrRedirect) {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return &networkError{"stopped", err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &networkError{"no answer in time", err}
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return &networkError{"host name does not exist", err}
		}
		return &networkError{"host name cannot be looked up", err}
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return &networkError{"no TLS where https leads", err}
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return &networkError{"TLS refused", err}
	}
	if untrusted(err) {
		return &networkError{"certificate not trusted", err}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return &networkError{errno.Error(), err}
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return &networkError{"no answer in time", err}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &networkError{"connection ended early", err}
	}
	return &networkError{"exchange failed", err}
}

// untrusted reports what no repetition can mend.
func untrusted(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok { // no TLS at that port
		return true
	}
	_, ok := errors.AsType[tls.AlertError](err)
	return ok
}
