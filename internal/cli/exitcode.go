package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/andironhq/andiron/bulk"
	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/lake"
	"github.com/andironhq/andiron/smart"
)

// The exit codes. They are an interface: a script may rely on them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitIncomplete  = 3
	exitRefused     = 4
	exitNotFound    = 5
	exitForbidden   = 6
	exitUnavailable = 7
	exitRunning     = 8
	exitDoctor      = 10
	exitInterrupted = 130
)

// exitCodes is the table behind "andiron help exit-codes" and the member "exit" of errors in
// JSON; no code exists outside it.
var exitCodes = []struct {
	code int
	word string // the member "reason" in JSON
	when string
}{
	{exitOK, "ok", "done, all of it"},
	{exitFailed, "failed", "failed for a reason that no other code names"},
	{exitUsage, "usage", "the command line or the configuration is wrong; nothing was sent"},
	{exitIncomplete, "incomplete", "done, but not everything that was asked for is there; the output says what is missing"},
	{exitRefused, "sign-in refused", "the server refused the sign-in, or a token that it had issued"},
	{exitNotFound, "not found", "the resource, the folder, the table or the address does not exist"},
	{exitForbidden, "not permitted", "signed in, but this app or user may not do that"},
	{exitUnavailable, "unavailable", "no useful answer, or throttled, after all retries; later may work"},
	{exitRunning, "still running", "the server is still at work, or wants no other export yet; the same command goes on later"},
	{exitDoctor, "problem found", "doctor found a problem"},
	{exitInterrupted, "interrupted", "stopped by Ctrl-C or a termination signal; nothing that was whole is lost"},
}

func exitWord(code int) string {
	for _, c := range exitCodes {
		if c.code == code {
			return c.word
		}
	}
	return exitCodes[1].word
}

func printExitCodes(w io.Writer) {
	fmt.Fprintln(w, "The exit code says how a command ended. Scripts may rely on it; treat a code that is not in")
	fmt.Fprintln(w, "this list as a failure.")
	fmt.Fprintln(w)
	for _, c := range exitCodes {
		fmt.Fprintf(w, "  %3d  %-16s %s\n", c.code, c.word, c.when)
	}
}

// exitCode follows from the error's type. What a command knows better it says with a problem.
func exitCode(err error) int {
	var p *problem
	var status interface{ HTTPStatus() int }
	var oauth interface {
		OAuthError() (code, description string)
	}
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &p) && p.Exit != 0:
		return p.Exit
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case isUsage(err):
		return exitUsage
	case errors.Is(err, bulk.ErrStillRunning), errors.Is(err, bulk.ErrCoolDown):
		return exitRunning
	case errors.Is(err, bulk.ErrUnavailable):
		return exitUnavailable
	case errors.Is(err, bulk.ErrIncomplete), errors.Is(err, lake.ErrIncomplete), errors.Is(err, lake.ErrUnfinished):
		return exitIncomplete
	case errors.Is(err, bulk.ErrNoLedger), errors.Is(err, bulk.ErrLost), errors.Is(err, lake.ErrEmpty), errors.Is(err, fs.ErrNotExist):
		return exitNotFound
	}
	if errors.As(err, &oauth) {
		if code, _ := oauth.OAuthError(); code != "" {
			return exitRefused
		}
	}
	if errors.As(err, &status) {
		switch status.HTTPStatus() {
		case http.StatusUnauthorized:
			return exitRefused
		case http.StatusForbidden:
			return exitForbidden
		case http.StatusNotFound, http.StatusGone:
			return exitNotFound
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return exitUnavailable
		}
	}
	if e, ok := errors.AsType[*smart.Error](err); ok && e.Op == "token" && e.Status >= 400 && e.Status < 500 {
		return exitRefused
	}
	if unreachable(err) {
		return exitUnavailable
	}
	return exitFailed
}

// isUsage tells mistakes in what was asked from failures to do it.
func isUsage(err error) bool {
	var u *usageError
	return errors.As(err, &u) || errors.Is(err, fhir.ErrQuery) || errors.Is(err, fhir.ErrInsecure) || errors.Is(err, bulk.ErrUnsupported)
}
