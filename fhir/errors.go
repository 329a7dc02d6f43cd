package fhir

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/andironhq/andiron/r4"
)

// What callers branch on, with errors.Is. Each comes inside an [*Error].
var (
	// ErrForeignOrigin: a link, redirect or reference leads to another origin than Base.
	// Nothing was sent there.
	ErrForeignOrigin = errors.New("another origin")
	// ErrInsecure: plain http where https is required. Nothing was sent.
	ErrInsecure = errors.New("plain http refused")
	// ErrLoop: next links or redirects come back to where they were, or never end.
	ErrLoop = errors.New("loop")
	// ErrNotFHIR: the answer is no FHIR JSON: HTML, XML, an empty body, broken JSON.
	ErrNotFHIR = errors.New("not FHIR JSON")
	// ErrWrongType: FHIR JSON of another type than was asked for, such as an
	// OperationOutcome under status 200.
	ErrWrongType = errors.New("another resource type than asked for")
	// ErrOutcomeUnknown: a write may or may not have been carried out. It was not repeated.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrStalled: the server stopped sending, or drips.
	ErrStalled = errors.New("no data within the time limit")
	// ErrTooLarge: an answer is larger than Limits.MaxBody, or unpacks to absurd size.
	ErrTooLarge = errors.New("answer too large")
	// ErrPagingExpired: the server no longer keeps the result that a next link belongs to.
	ErrPagingExpired = errors.New("paging session expired")
	// ErrQuery: a search that must not be sent: a parameter without a value.
	ErrQuery = errors.New("query is incomplete")
)

// Error is how every failed request is reported. Error() and %v are fit for logs: they hold
// no body, no query, no id and no token. The fields hold what a program needs.
type Error struct {
	// Op is what was being done, such as "read", "search" or "GET".
	Op string
	// Method is the HTTP method of the request that failed.
	Method string
	// URL is origin and path of that request, without query. A path can hold a patient's id:
	// keep it out of logs.
	URL string
	// Page is the page of a search, from 1; 0 outside of searches.
	Page int
	// Tries is how many attempts were made; 0 when the request was refused here.
	Tries int
	// Status is the HTTP status; 0 when there was no answer.
	Status int
	// Bearer is the WWW-Authenticate header of a refusal.
	Bearer Challenge
	// RetryAfter is how long the server asked to be left alone, unclamped; 0 if it did not.
	RetryAfter time.Duration
	// Date is the server's clock, from its Date header; zero without one. A clock that is off
	// is a common cause of refused sign-ins.
	Date time.Time
	// Sent reports whether the request may have reached the server.
	Sent bool
	// Err is the cause: one of the sentinels of this package, a network error, what the
	// TokenSource returned. Nil when the status says it all.
	Err error

	path      string // what Error() shows of the URL
	outcome   *r4.OperationOutcome
	transient bool // may be gone the next time
	foreign   bool // another origin said so, where ForeignOK allowed it
}

// Error is one line: operation, type of resource, status, codes, cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("fhir: " + e.Op)
	if e.path != "" {
		b.WriteString(" " + e.path)
	}
	if e.Page > 0 {
		fmt.Fprintf(&b, ", page %d", e.Page)
	}
	sep := ": "
	if e.Status != 0 {
		fmt.Fprintf(&b, "%s%d", sep, e.Status)
		sep = ", "
		if c := printableCode(e.Bearer.Error); c != "" {
			b.WriteString(" " + c)
		}
		for _, c := range outcomeCodes(e.outcome) {
			b.WriteString(" " + c)
		}
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

// Outcome is the server's OperationOutcome; nil when its answer held none.
func (e *Error) Outcome() *r4.OperationOutcome { return e.outcome }

// Challenge is the error code of the WWW-Authenticate header; "" without one.
func (e *Error) Challenge() string { return e.Bearer.Error }

// outcomeCodes is what may be printed of an OperationOutcome: the first issue of the
// highest severity, its issue type and its numeric code. All other text is the server's.
func outcomeCodes(o *r4.OperationOutcome) []string {
	if o == nil || len(o.Issue) == 0 {
		return nil
	}
	rank := map[string]int{"fatal": 4, "error": 3, "warning": 2, "information": 1}
	worst := o.Issue[0]
	for _, i := range o.Issue[1:] {
		if rank[i.Severity] > rank[worst.Severity] {
			worst = i
		}
	}
	var out []string
	if c := printableCode(worst.Code); c != "" {
		out = append(out, c)
	}
	if worst.Details != nil {
		for _, coding := range worst.Details.Coding {
			if c := coding.Code; c != "" && len(c) <= 6 && strings.Trim(c, "0123456789") == "" {
				return append(out, c)
			}
		}
	}
	return out
}

// printableCode lets only words of closed lists into error texts: whatever else a server
// puts where a code belongs could be a token or a name.
func printableCode(code string) string {
	if knownCodes[code] {
		return code
	}
	return ""
}

// knownCodes: FHIR R4 value set issue-type; RFC 6750, section 3.1, and RFC 6749, section 5.2.
var knownCodes = func() map[string]bool {
	m := map[string]bool{}
	for c := range strings.FieldsSeq(`invalid structure required value invariant security login unknown
		expired forbidden suppressed processing not-supported duplicate multiple-matches not-found deleted
		too-long code-invalid extension too-costly business-rule conflict transient lock-error no-store
		exception timeout incomplete throttled informational
		invalid_request invalid_token insufficient_scope invalid_client invalid_grant unauthorized_client
		unsupported_grant_type invalid_scope`) {
		m[c] = true
	}
	return m
}()

// networkError gives a failure below HTTP a text that quotes neither a URL nor bytes of the
// server: net/url and net/http put both into theirs.
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
	for _, own := range []error{ErrStalled, ErrTooLarge, ErrNotFHIR, ErrForeignOrigin, ErrInsecure, ErrLoop} {
		if errors.Is(err, own) {
			return err
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &networkError{"stopped by its context", err}
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		text := "host name cannot be looked up"
		if dns.IsNotFound {
			text = "host name does not exist"
		}
		return &networkError{text, err}
	}
	if text := tlsFailure(err); text != "" {
		return &networkError{text, err}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		text := "network error"
		if errno, ok := errors.AsType[syscall.Errno](op.Err); ok {
			text = errno.Error()
		} else if op.Timeout() {
			text = "network timeout"
		}
		return &networkError{text, err}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &networkError{"connection ended early", err}
	}
	return &networkError{"exchange failed", err}
}

// tlsFailure names what is wrong between the two ends of a TLS connection, which no
// repetition mends; "" for all other errors.
func tlsFailure(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "certificate of an unknown authority"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "certificate for another host name"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "certificate expired or not yet valid"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "certificate not trusted"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the server does not speak TLS here"
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return "the server refused the TLS handshake"
	}
	return ""
}

// template is the path of a URL below the base with everything elided that could be an id:
// what may stand in logs, metrics and error texts. Other origins keep nothing of their path.
func template(base, u *url.URL, elision string) string {
	path, below := strings.CutPrefix(u.EscapedPath(), base.EscapedPath())
	if originOf(u) != originOf(base) || !below {
		return elision
	}
	segments := strings.Split(strings.Trim(path, "/"), "/")
	for i, s := range segments {
		if s == "" || s == "metadata" || strings.HasPrefix(s, "$") && plainWord(s[1:]) ||
			s == "_search" || s == "_history" || r4.IsResourceType(s) {
			continue
		}
		segments[i] = elision
	}
	return strings.Join(segments, "/")
}

// plainWord tells the name of an operation from whatever else could follow a dollar sign.
func plainWord(s string) bool {
	return len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == ""
}

// date is the server's clock.
func date(h http.Header) time.Time {
	t, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return t
}
