package bulk

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/andironhq/andiron/fhir"
)

// only lets a handler act on one file.
func only(name string, f func(http.ResponseWriter, *http.Request, int) bool) func(http.ResponseWriter, *http.Request, string, int) bool {
	return func(w http.ResponseWriter, r *http.Request, asked string, n int) bool {
		return asked == name && f(w, r, n)
	}
}

// times lets a handler act on the first requests of its kind.
func times(k int, f http.HandlerFunc) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, r *http.Request, n int) bool {
		if n > k {
			return false
		}
		f(w, r)
		return true
	}
}

const always = 1 << 30

func status(code int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		w.Write([]byte(body))
	}
}

// torn sends the first half of a file and drops the connection.
func torn(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		chunked(w, body[:len(body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func body(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { chunked(w, s) }
}

func packed(s string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.Bytes()
}

const outcome = `{"resourceType":"OperationOutcome","issue":[{"severity":%q,"code":%q,"diagnostics":"about Jane Canary"}]}`

// The rows are those of the fault table that this project holds bulk clients against: what
// was injected into three other clients, and what nobody had tried.
func TestFaults(t *testing.T) {
	tests := []struct {
		name string
		set  func(t *testing.T, b *bench)
		// check sees the end of the first Run. Nil demands a complete run.
		check func(t *testing.T, b *bench, res *Result, err error)
	}{
		{
			name: "1: a file whose connection always breaks is given up, the others are kept, a rerun asks for it alone",
			set:  func(_ *testing.T, b *bench) { b.file = only("c1", times(always, torn(b.files["c1"]))) },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.incomplete(t, res, err)
				if got, want := data(t, b.Dir), []string{"001.Patient.ndjson", "003.Observation.ndjson"}; !slices.Equal(got, want) {
					t.Errorf("the folder holds %v, want %v", got, want)
				}
				if len(res.Absent) != 1 || res.Absent[0].File != "002.Condition.ndjson" || !strings.Contains(res.Absent[0].Reason, "cut short") {
					t.Errorf("the result should name the file and why: %+v", res.Absent)
				}
				b.file = nil
				kickoffs, others := b.kickoffs(), b.asked("GET", "/files/p1")+b.asked("GET", "/files/o1")
				res, err = b.again().Run(t.Context())
				b.complete(t, res, err)
				if b.kickoffs() != kickoffs || b.asked("GET", "/files/p1")+b.asked("GET", "/files/o1") != others {
					t.Error("the rerun asked for more than the missing file")
				}
			},
		},
		{
			name: "2: a connection that breaks once costs one more request",
			set:  func(_ *testing.T, b *bench) { b.file = only("c1", times(1, torn(b.files["c1"]))) },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				if n := b.asked("GET", "/files/"); n != 4 {
					t.Errorf("%d file requests, want 4", n)
				}
			},
		},
		{
			name: "3: a file that ends inside a line is never accepted",
			set: func(_ *testing.T, b *bench) {
				b.file = only("c1", times(always, body(b.files["c1"][:len(b.files["c1"])-20])))
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.incomplete(t, res, err)
				if _, err := os.Stat(filepath.Join(b.Dir, "002.Condition.ndjson")); err == nil {
					t.Error("a cut file has its final name")
				}
				if a := res.Absent[0]; !strings.Contains(a.Reason, "cut short") || a.Kept != "" || b.asked("GET", "/files/c1") != 5 {
					t.Errorf("a cut file is asked for again and not kept: %+v", a)
				}
			},
		},
		{
			name: "3: a cut between two lines shows by the count",
			set: func(_ *testing.T, b *bench) {
				b.counts["c1"] = "5"
				b.file = only("c1", times(1, body(lines("Condition", 2))))
			},
		},
		{
			name: "3: without count or length a file is recorded as checked by its lines alone",
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				for _, f := range res.Output {
					if f.Checked != "lines" {
						t.Errorf("%s: checked by %q, want lines: nothing else was there", f.File, f.Checked)
					}
				}
			},
		},
		{
			name: "3: a Content-Length is held to",
			set: func(_ *testing.T, b *bench) {
				b.file = func(w http.ResponseWriter, _ *http.Request, name string, n int) bool {
					w.Header().Set("Content-Length", strconv.Itoa(len(b.files[name])))
					if n == 1 {
						io := b.files[name]
						w.Write([]byte(io[:strings.LastIndex(io[:len(io)-1], "\n")+1]))
						panic(http.ErrAbortHandler)
					}
					w.Write([]byte(b.files[name]))
					return true
				}
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				if res.Output[0].Checked != "length" {
					t.Errorf("checked by %q, want length", res.Output[0].Checked)
				}
			},
		},
		{
			name: "4: an OperationOutcome served as a file fails it with its code, not with its text",
			set: func(_ *testing.T, b *bench) {
				b.file = only("c1", times(always, body(fmt.Sprintf(outcome, "error", "not-found"))))
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.incomplete(t, res, err)
				if r := res.Absent[0].Reason; !strings.Contains(r, "OperationOutcome") || !strings.Contains(r, "not-found") || strings.Contains(r, "Canary") {
					t.Errorf("the reason is %q", r)
				}
				if n := b.asked("GET", "/files/c1"); n != 1 {
					t.Errorf("asked %d times, want once: the server's answer was final", n)
				}
			},
		},
		{
			name: "4: an indented OperationOutcome is seen too",
			set: func(_ *testing.T, b *bench) {
				b.file = only("c1", times(always, body("{\n  \"resourceType\": \"OperationOutcome\",\n  \"issue\": [{\"severity\":\"error\",\"code\":\"processing\"}]\n}\n")))
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.incomplete(t, res, err)
				if r := res.Absent[0].Reason; !strings.Contains(r, "OperationOutcome") {
					t.Errorf("the reason is %q", r)
				}
			},
		},
		{
			name: "4: a transient OperationOutcome is asked again",
			set: func(_ *testing.T, b *bench) {
				b.file = only("c1", times(2, body(fmt.Sprintf(outcome, "error", "transient"))))
			},
		},
		{
			name: "4: HTML served as a file is asked again, then fails",
			set: func(_ *testing.T, b *bench) {
				b.file = only("c1", times(always, body("\n<!DOCTYPE html><html>down</html>")))
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.incomplete(t, res, err)
				if n := b.asked("GET", "/files/c1"); n != 5 || !strings.Contains(res.Absent[0].Reason, "not NDJSON") {
					t.Errorf("asked %d times, reason %q", n, res.Absent[0].Reason)
				}
			},
		},
		{
			name: "5: a 500 once per file passes",
			set: func(_ *testing.T, b *bench) {
				b.file = func(w http.ResponseWriter, r *http.Request, _ string, n int) bool {
					return times(1, status(500, "oops"))(w, r, n)
				}
			},
		},
		{
			name: "5: a file that is never served leaves no doubt about an outcome: asking for it changes nothing",
			set:  func(_ *testing.T, b *bench) { b.file = only("c1", times(always, status(500, ""))) },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.incomplete(t, res, err)
				if len(res.Absent) != 1 || !strings.Contains(res.Absent[0].Reason, "500") || strings.Contains(res.Absent[0].Reason, "outcome unknown") {
					t.Errorf("the result should give the status as the reason, and no more: %+v", res.Absent)
				}
			},
		},
		{
			name: "6: a 404 makes the manifest be read again",
			set: func(_ *testing.T, b *bench) {
				b.file = func(w http.ResponseWriter, r *http.Request, _ string, n int) bool {
					return times(1, status(404, ""))(w, r, n)
				}
			},
		},
		{
			name: "6: new URLs of a second reading are used",
			set: func(_ *testing.T, b *bench) {
				b.urlOf = func(name string) string {
					return fmt.Sprintf("%s/files/%s?sig=secret-%d", b.URL, name, b.asked("GET", "/jobs/"))
				}
				b.file = func(w http.ResponseWriter, r *http.Request, _ string, _ int) bool {
					if r.URL.RawQuery == "sig=secret-1" {
						w.WriteHeader(http.StatusForbidden)
						return true
					}
					return false
				}
			},
		},
		{
			name: "7: 429 on status: the header is honoured",
			set:  func(_ *testing.T, b *bench) { b.status = times(2, status(429, "", "Retry-After", "7")) },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				if got := b.clock.took(); !slices.Equal(got, []time.Duration{7 * time.Second, 7 * time.Second}) {
					t.Errorf("waited %v, want twice 7s", got)
				}
			},
		},
		{name: "8: 500 on status passes", set: func(_ *testing.T, b *bench) { b.status = times(2, status(500, "")) }},
		{
			name: "8: an OperationOutcome that repeats itself is believed",
			set: func(_ *testing.T, b *bench) {
				b.status = times(always, status(500, fmt.Sprintf(outcome, "fatal", "processing"), "Content-Type", "application/fhir+json"))
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				if !errors.Is(err, ErrFailed) || res != nil || strings.Contains(err.Error(), "Canary") {
					t.Errorf("want ErrFailed without the server's text, got %v", err)
				}
				if n := b.asked("DELETE", "/"); n != 0 {
					t.Error("a failed job was deleted")
				}
				if _, err := b.again().Run(t.Context()); !errors.Is(err, ErrFailed) || b.kickoffs() != 1 {
					t.Errorf("the rerun should say the same and send nothing, got %v", err)
				}
			},
		},
		{
			name: "9: 503 with HTML on status passes",
			set: func(_ *testing.T, b *bench) {
				b.status = times(2, status(503, "<html>maintenance</html>", "Content-Type", "text/html"))
			},
		},
		{
			name: "10: kick-off 429 with Retry-After: wait, ask once more",
			set:  func(_ *testing.T, b *bench) { b.kickoff = times(1, status(429, "", "Retry-After", "2")) },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				if got := b.clock.took(); len(got) != 1 || got[0] != 2*time.Second || b.kickoffs() != 2 {
					t.Errorf("waited %v for %d kick-offs, want 2s and 2", got, b.kickoffs())
				}
			},
		},
		{
			name: "10: kick-off 429 without end: cool-down, no third request",
			set:  func(_ *testing.T, b *bench) { b.kickoff = times(always, status(429, "", "Retry-After", "2")) },
			check: func(t *testing.T, b *bench, _ *Result, err error) {
				if !errors.Is(err, ErrCoolDown) || b.kickoffs() != 2 {
					t.Errorf("got %v after %d kick-offs, want ErrCoolDown after 2", err, b.kickoffs())
				}
			},
		},
		{
			name: "11: Retry-After as a date is read against the server's clock",
			set: func(_ *testing.T, b *bench) {
				b.status = times(1, func(w http.ResponseWriter, _ *http.Request) {
					at := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC) // not ours
					w.Header().Set("Date", at.Format(http.TimeFormat))
					w.Header().Set("Retry-After", at.Add(5*time.Second).Format(http.TimeFormat))
					w.WriteHeader(http.StatusAccepted)
				})
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				if got := b.clock.took(); !slices.Equal(got, []time.Duration{5 * time.Second}) {
					t.Errorf("waited %v, want 5s", got)
				}
			},
		},
		{
			name: "12: an epoch in Retry-After is no span, and is noted once",
			set: func(_ *testing.T, b *bench) {
				b.status = times(2, status(202, "", "Retry-After", "1777622400000"))
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				if got := b.clock.took(); !slices.Equal(got, []time.Duration{time.Hour, time.Hour}) {
					t.Errorf("waited %v, want twice an hour", got)
				}
				if notes := b.said(KindNote); len(notes) != 1 || !strings.Contains(notes[0].Text, "Retry-After") {
					t.Errorf("noted %v, want one note", notes)
				}
			},
		},
		{
			name: "13: requiresAccessToken false: files are asked for without a token",
			set:  func(_ *testing.T, b *bench) { b.needs = "false" },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				b.filesWithToken(t, false)
			},
		},
		{
			name: "14: a token that dies early is renewed once for everybody",
			set: func(_ *testing.T, b *bench) {
				b.tokens.onNew = func(token string) { b.stub.mu.Lock(); b.valid = token; b.stub.mu.Unlock() }
				b.status = func(http.ResponseWriter, *http.Request, int) bool {
					b.stub.mu.Lock()
					defer b.stub.mu.Unlock()
					b.valid = "none" // every file sees the dead token
					return false
				}
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				if b.tokens.n != 2 {
					t.Errorf("%d tokens were made, want 2", b.tokens.n)
				}
			},
		},
		{
			name: "15: a type that FHIR does not know is kept under its name",
			set:  func(_ *testing.T, b *bench) { b.names, b.files["z"] = append(b.names, "z"), lines("Zebra", 2) },
			check: func(t *testing.T, b *bench, _ *Result, err error) {
				if err != nil || read(t, b.Dir, "004.Zebra.ndjson") != b.files["z"] {
					t.Errorf("the file should be there: %v", err)
				}
			},
		},
		{
			name: "15, 30: a line of another type than the file's is kept as damaged, and the run is incomplete",
			set:  func(_ *testing.T, b *bench) { b.damage("c1", lines("Condition", 2)+lines("Patient", 1)) },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.damaged(t, res, err, "line 3")
			},
		},
		{
			name: "16: a line of 12 MB",
			set: func(_ *testing.T, b *bench) {
				b.files["c1"] = `{"resourceType":"Condition","data":"` + strings.Repeat("QUJD", 3<<20) + "\"}\n"
			},
		},
		{
			name: "17: 20,000 lines that are not ASCII come through byte for byte",
			set: func(_ *testing.T, b *bench) {
				b.files["c1"] = strings.Repeat(`{"resourceType":"Condition","note":"Łódź 東京 – ‘é’ 🜂"}`+"\n", 20_000)
			},
		},
		{
			name: "17: bad UTF-8 is reported, not repaired",
			set:  func(_ *testing.T, b *bench) { b.damage("c1", "{\"resourceType\":\"Condition\",\"note\":\"\xff\"}\n") },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.damaged(t, res, err, "line 1")
			},
		},
		{
			name: "18: decimals stay as they are written",
			set: func(_ *testing.T, b *bench) {
				b.files["c1"] = `{"resourceType":"Condition", "a":1.10,"b":12345678901234567890.123456789, "c":1e+2}` + "\n"
			},
		},
		{
			name: "19: a missing last newline is added",
			set: func(_ *testing.T, b *bench) {
				b.file = only("c1", times(always, body(strings.TrimSuffix(b.files["c1"], "\n"))))
			},
		},
		{
			name: "19: further newlines at the end are not kept",
			set:  func(_ *testing.T, b *bench) { b.file = only("c1", times(always, body(b.files["c1"]+"\n\n"))) },
		},
		{
			name: "21: too recently: the window is kept, and nothing is asked before its end",
			set: func(_ *testing.T, b *bench) {
				b.epic = true
				b.kickoff = times(1, status(400, `{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"business-rule","diagnostics":"Error processing Bulk Data Kickoff request: Request not allowed: The Client requested this Group too recently."}]}`, "Content-Type", "application/fhir+json"))
			},
			check: func(t *testing.T, b *bench, _ *Result, err error) {
				var cool *CoolDownError
				if !errors.As(err, &cool) || !cool.Until.Equal(newClock().t.Add(24*time.Hour+time.Minute)) {
					t.Fatalf("want a cool-down of 24 hours and a minute, got %v", err)
				}
				before := b.total()
				b.clock.Advance(23 * time.Hour)
				if _, err := b.again().Run(t.Context()); !errors.Is(err, ErrCoolDown) || b.total() != before {
					t.Errorf("within the window: got %v after %d requests, want none", err, b.total()-before)
				}
				b.clock.Advance(time.Hour + time.Minute)
				res, err := b.again().Run(t.Context())
				b.complete(t, res, err)
			},
		},
		{
			name: "22: the answer to a kick-off is lost: unknown, and never a second one unasked",
			set: func(_ *testing.T, b *bench) {
				b.kickoff = times(1, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
			},
			check: func(t *testing.T, b *bench, _ *Result, err error) {
				for range 3 {
					if !errors.Is(err, ErrUnknownKickoff) || b.kickoffs() != 1 {
						t.Fatalf("got %v after %d kick-offs, want ErrUnknownKickoff after one", err, b.kickoffs())
					}
					_, err = b.again().Run(t.Context())
				}
				j := b.again()
				j.New = true
				if res, err := j.Run(t.Context()); err != nil || !res.Complete || b.kickoffs() != 2 {
					t.Errorf("a new run should be complete: %v", err)
				}
			},
		},
		{
			name: "22: a gateway's timeout is not the server's answer",
			set:  func(_ *testing.T, b *bench) { b.kickoff = times(1, status(504, "<html>")) },
			check: func(t *testing.T, b *bench, _ *Result, err error) {
				if !errors.Is(err, ErrUnknownKickoff) {
					t.Errorf("got %v, want ErrUnknownKickoff", err)
				}
			},
		},
		{
			name: "22: a refusal starts nothing, and the next run asks again",
			set:  func(_ *testing.T, b *bench) { b.kickoff = times(1, status(403, "")) },
			check: func(t *testing.T, b *bench, _ *Result, err error) {
				fe, ok := errors.AsType[*fhir.Error](err)
				if !ok || fe.Status != 403 {
					t.Fatalf("got %v, want the 403", err)
				}
				res, err := b.again().Run(t.Context())
				b.complete(t, res, err)
			},
		},
		{
			name: "23: 202 without Content-Location: an error, and nothing is started again",
			set:  func(_ *testing.T, b *bench) { b.kickoff = times(1, status(202, "")) },
			check: func(t *testing.T, b *bench, _ *Result, err error) {
				if !errors.Is(err, ErrNoStatusURL) {
					t.Errorf("got %v, want ErrNoStatusURL", err)
				}
				if _, err := b.again().Run(t.Context()); !errors.Is(err, ErrUnknownKickoff) || b.kickoffs() != 1 {
					t.Errorf("rerun: got %v after %d kick-offs", err, b.kickoffs())
				}
			},
		},
		{
			name: "22: an accepted kick-off is one, whatever its body is packed with",
			set: func(_ *testing.T, b *bench) {
				b.kickoff = times(1, status(202, "{}", "Content-Location", "/jobs/J1", "Content-Encoding", "br"))
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				if b.kickoffs() != 1 {
					t.Errorf("%d kick-offs, want one", b.kickoffs())
				}
			},
		},
		{
			name: "23: a relative Content-Location is resolved",
			set:  func(_ *testing.T, b *bench) { b.kickoff = times(1, status(202, "", "Content-Location", "/jobs/J1")) },
		},
		{name: "24: 200 with an empty body is asked again", set: func(_ *testing.T, b *bench) { b.status = times(2, status(200, "")) }},
		{
			name: "24: 200 with HTML for ever ends the run, and the job goes on later",
			set:  func(_ *testing.T, b *bench) { b.status = times(12, status(200, "<html>")) },
			check: func(t *testing.T, b *bench, _ *Result, err error) {
				if !errors.Is(err, ErrUnavailable) {
					t.Fatalf("got %v, want ErrUnavailable", err)
				}
				res, err := b.again().Run(t.Context())
				b.complete(t, res, err)
			},
		},
		{
			name: "25: a status URL that is gone twice: lost, and said so",
			set:  func(_ *testing.T, b *bench) { b.status = times(always, status(410, "")) },
			check: func(t *testing.T, b *bench, _ *Result, err error) {
				if !errors.Is(err, ErrLost) || b.kickoffs() != 1 {
					t.Errorf("got %v, want ErrLost", err)
				}
				b.status = nil
				if _, err := b.again().Run(t.Context()); !errors.Is(err, ErrLost) {
					t.Errorf("rerun: got %v, want ErrLost", err)
				}
			},
		},
		{name: "25: a single 404 of a status URL is not believed", set: func(_ *testing.T, b *bench) { b.status = times(1, status(404, "")) }},
		{
			name: "25: the job expires during the download: what is verified stays",
			set: func(_ *testing.T, b *bench) {
				b.Parallel = 1
				b.file = func(w http.ResponseWriter, _ *http.Request, name string, _ int) bool {
					if name == "o1" {
						b.status = times(always, status(404, ""))
						w.WriteHeader(http.StatusNotFound)
						return true
					}
					return false
				}
			},
			check: func(t *testing.T, b *bench, _ *Result, err error) {
				if !errors.Is(err, ErrLost) || b.whole(t) {
					t.Errorf("got %v, want ErrLost and a manifest that is not complete", err)
				}
				if got := data(t, b.Dir); len(got) != 2 {
					t.Errorf("the folder holds %v, want the two verified files", got)
				}
			},
		},
		{
			name: `26: requiresAccessToken "true", a string`,
			set:  func(_ *testing.T, b *bench) { b.needs = `"true"` },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				b.filesWithToken(t, true)
			},
		},
		{
			name: `26: requiresAccessToken "false", a string`,
			set:  func(_ *testing.T, b *bench) { b.needs = `"false"` },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				b.filesWithToken(t, false)
			},
		},
		{
			name: "26: requiresAccessToken is missing: own files get the token, foreign ones do not, and it is noted",
			set: func(_ *testing.T, b *bench) {
				b.needs = ""
				b.urlOf = func(name string) string {
					if name == "o1" {
						return b.evil.URL + "/blob/" + name
					}
					return b.URL + "/files/" + name
				}
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				b.filesWithToken(t, true)
				if len(b.said(KindNote)) != 1 {
					t.Error("nothing was noted")
				}
			},
		},
		{
			name: "27: a file that redirects to another host is followed there without the token",
			set: func(_ *testing.T, b *bench) {
				b.file = func(w http.ResponseWriter, r *http.Request, name string, _ int) bool {
					http.Redirect(w, r, b.evil.URL+"/blob/"+name, http.StatusTemporaryRedirect)
					return true
				}
			},
		},
		{
			name: "27: a redirect loop fails the file",
			set: func(_ *testing.T, b *bench) {
				b.file = only("c1", func(w http.ResponseWriter, r *http.Request, _ int) bool {
					http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
					return true
				})
			},
			check: func(t *testing.T, b *bench, res *Result, err error) { b.incomplete(t, res, err) },
		},
		{
			name: "28: a wrong count: the file is kept and marked, the run is incomplete",
			set:  func(_ *testing.T, b *bench) { b.counts["c1"] = `"7"` },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.incomplete(t, res, err)
				if read(t, b.Dir, "002.Condition.ndjson") != b.files["c1"] || !strings.Contains(res.Output[1].Problem, "7 announced, 5 came") {
					t.Errorf("the file should be kept and marked: %+v", res.Output[1])
				}
				if n := b.asked("GET", "/files/c1"); n != 2 {
					t.Errorf("asked %d times, want twice: the same bytes twice are meant", n)
				}
			},
		},
		{
			name: "29: a resource twice stays twice",
			set:  func(_ *testing.T, b *bench) { b.files["c1"] = lines("Condition", 2) + lines("Condition", 2) },
		},
		{
			name: "30: blank lines, CRLF and a BOM are tolerated and kept",
			set: func(_ *testing.T, b *bench) {
				b.files["c1"] = "\ufeff" + strings.ReplaceAll(lines("Condition", 3), "\n", "\r\n\r\n\n") + "{\"resourceType\":\"Condition\"}\r\n"
			},
		},
		{
			name: "30: null as a line is damage",
			set:  func(_ *testing.T, b *bench) { b.damage("c1", lines("Condition", 1)+"null\n"+lines("Condition", 1)) },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.damaged(t, res, err, "line 2")
			},
		},
		{
			name: "30: an array as a line is damage",
			set:  func(_ *testing.T, b *bench) { b.damage("c1", "[{\"resourceType\":\"Condition\"}]\n") },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.damaged(t, res, err, "line 1")
			},
		},
		{
			name: "31: gzip without the header",
			set: func(_ *testing.T, b *bench) {
				b.file = only("c1", times(always, func(w http.ResponseWriter, _ *http.Request) { chunked(w, string(packed(b.files["c1"]))) }))
			},
		},
		{
			name: "31: the header without gzip",
			set: func(_ *testing.T, b *bench) {
				b.file = only("c1", times(always, status(200, b.files["c1"], "Content-Encoding", "gzip")))
			},
		},
		{
			name: "31: gzip with the header, and its checksum counts",
			set: func(_ *testing.T, b *bench) {
				b.file = only("c1", times(always, status(200, string(packed(b.files["c1"])), "Content-Encoding", "gzip")))
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				if res.Output[1].Checked != "gzip" {
					t.Errorf("checked by %q, want gzip", res.Output[1].Checked)
				}
			},
		},
		{
			name: "31: gzip with a flipped bit is fetched again",
			set: func(_ *testing.T, b *bench) {
				bad := packed(b.files["c1"])
				bad[len(bad)/2] ^= 4
				b.file = only("c1", times(1, status(200, string(bad), "Content-Encoding", "gzip")))
			},
		},
		{
			name: "31: gzip without its trailer is fetched again",
			set: func(_ *testing.T, b *bench) {
				z := packed(b.files["c1"])
				b.file = only("c1", times(1, status(200, string(z[:len(z)-4]), "Content-Encoding", "gzip")))
			},
		},
		{
			name: "31: joined gzip members are read through",
			set: func(_ *testing.T, b *bench) {
				half := len(lines("Condition", 2))
				z := append(packed(b.files["c1"][:half]), packed(b.files["c1"][half:])...)
				b.file = only("c1", times(always, status(200, string(z), "Content-Encoding", "gzip")))
			},
		},
		{
			name: "32: a full disk is found out before the kick-off",
			set: func(_ *testing.T, b *bench) {
				b.hook = func(op, name string) error {
					if op == "write" && name == ".probe" {
						return syscall.ENOSPC
					}
					return nil
				}
			},
			check: func(t *testing.T, b *bench, _ *Result, err error) {
				if !errors.Is(err, ErrFolder) || !errors.Is(err, syscall.ENOSPC) || b.kickoffs() != 0 {
					t.Errorf("got %v after %d kick-offs, want ErrFolder after none", err, b.kickoffs())
				}
				res, err := b.again().Run(t.Context())
				b.complete(t, res, err)
			},
		},
		{
			name: "32: a disk that fills up during the download stops the run, and nothing is marked done",
			set: func(_ *testing.T, b *bench) {
				b.hook = func(op, name string) error {
					if op == "write" && strings.Contains(name, "Observation") {
						return syscall.ENOSPC
					}
					return nil
				}
			},
			check: func(t *testing.T, b *bench, _ *Result, err error) {
				if !errors.Is(err, ErrFolder) || b.whole(t) {
					t.Fatalf("got %v, want ErrFolder", err)
				}
				res, err := b.again().Run(t.Context())
				b.complete(t, res, err)
				if b.kickoffs() != 1 {
					t.Error("there was a second kick-off")
				}
			},
		},
		{
			name: "34: information and warnings in the error list change nothing",
			set: func(_ *testing.T, b *bench) {
				b.errors = []string{"e1"}
				b.files["e1"] = fmt.Sprintf(outcome, "information", "informational") + "\n" + fmt.Sprintf(outcome, "warning", "processing") + "\n"
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				if err != nil || !res.Complete || len(res.Issues) != 2 || res.Issues[0].Severity != "warning" {
					t.Errorf("want success with two issues, the warning first: %v %+v", err, res)
				}
				if read(t, b.Dir, "error/001.OperationOutcome.ndjson") != b.files["e1"] {
					t.Error("the error file should be kept")
				}
			},
		},
		{
			name: "34: an error in the error list: everything is fetched, the job is deleted, the run is incomplete",
			set: func(_ *testing.T, b *bench) {
				b.errors = []string{"e1"}
				b.files["e1"] = fmt.Sprintf(outcome, "error", "forbidden") + "\n" + fmt.Sprintf(outcome, "error", "forbidden") + "\n"
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				if !errors.Is(err, ErrIncomplete) || len(res.Absent) != 0 || len(res.Issues) != 1 || res.Issues[0].Count != 2 {
					t.Errorf("want ErrIncomplete with one issue, twice: %v %+v", err, res)
				}
				if b.asked("DELETE", "/jobs/") != 1 {
					t.Error("the job should be deleted: there is nothing more to fetch")
				}
				before := b.total()
				if res, err := b.again().Run(t.Context()); !errors.Is(err, ErrIncomplete) || !res.Already || b.total() != before {
					t.Errorf("the rerun should do nothing and say the same: %v", err)
				}
			},
		},
		{
			name: "35: read again: other URLs in another order, told apart by their counts",
			set: func(_ *testing.T, b *bench) {
				b.Parallel = 1
				b.names, b.files["o2"] = append(b.names, "o2"), lines("Observation", 7)
				b.counts["o1"], b.counts["o2"] = "400", "7"
				b.rename()
			},
			check: func(t *testing.T, b *bench, _ *Result, err error) {
				if err != nil {
					t.Fatal(err)
				}
				if read(t, b.Dir, "003.Observation.ndjson") != b.files["o1"] || read(t, b.Dir, "004.Observation.ndjson") != b.files["o2"] {
					t.Error("the files were mixed up")
				}
			},
		},
		{
			name: "35: read again: other URLs without counts: the type's files are brought again, none is lost",
			set: func(_ *testing.T, b *bench) {
				b.Parallel = 1
				b.names, b.files["o2"] = append(b.names, "o2"), lines("Observation", 7)
				b.rename()
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				if err != nil || len(res.Output) != 4 {
					t.Fatalf("want four files: %v %+v", err, res)
				}
				got := []string{read(t, b.Dir, res.Output[2].File), read(t, b.Dir, res.Output[3].File)}
				slices.SortFunc(got, func(x, y string) int { return len(y) - len(x) })
				if got[0] != b.files["o1"] || got[1] != b.files["o2"] {
					t.Error("a part is missing or there twice")
				}
				if rep, err := Verify(t.Context(), b.Dir); err != nil || !rep.OK() {
					t.Errorf("the folder should verify: %v %+v", err, rep)
				}
			},
		},
		{
			name: "36: deleted lists are kept beside the data, whatever they name",
			set: func(_ *testing.T, b *bench) {
				b.deleted = []string{"d1"}
				b.files["d1"] = `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"https://x.example/fhir/Zebra/1"}},{"request":{"method":"DELETE","url":"Patient/2"}}]}` + "\n"
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				if err != nil || len(res.Deleted) != 1 || read(t, b.Dir, "deleted/001.Bundle.ndjson") != b.files["d1"] {
					t.Errorf("the deleted file should be kept: %v", err)
				}
			},
		},
		{
			name: "37: a Group id is opaque, case-sensitive and of any length",
			set: func(_ *testing.T, b *bench) {
				b.Group = "eAb.C-" + strings.Repeat("x", 120) + "B"
			},
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				if b.asked("GET", "/fhir/R4/Group/"+b.Group+"/$export") != 1 {
					t.Error("the id did not arrive as it is")
				}
			},
		},
		{
			name: "38: a sign-in refused on renewal is tried again",
			set: func(_ *testing.T, b *bench) {
				b.tokens.onNew = func(token string) { b.stub.mu.Lock(); b.valid = token; b.stub.mu.Unlock() }
				b.tokens.fail = func(n int) error {
					if n == 2 || n == 3 {
						return oauthError{}
					}
					return nil
				}
				b.Parallel = 1
				b.status = func(http.ResponseWriter, *http.Request, int) bool {
					b.stub.mu.Lock()
					defer b.stub.mu.Unlock()
					b.valid = "none"
					return false
				}
			},
		},
		{
			name: "38: a sign-in refused at first is final, and nothing was sent",
			set:  func(_ *testing.T, b *bench) { b.tokens.fail = func(int) error { return oauthError{} } },
			check: func(t *testing.T, b *bench, _ *Result, err error) {
				if _, ok := errors.AsType[oauthError](err); !ok || b.kickoffs() != 0 || len(b.clock.took()) != 0 {
					t.Errorf("got %v, want the refusal at once", err)
				}
				b.tokens.fail = nil
				res, err := b.again().Run(t.Context())
				b.complete(t, res, err)
			},
		},
		{
			name: "39: a DELETE that fails is a warning",
			set:  func(_ *testing.T, b *bench) { b.remove = times(always, status(400, "")) },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				if res.ServerDeleted || len(b.said(KindWarning)) != 1 {
					t.Errorf("want one warning and a result that says so: %+v", b.said(KindWarning))
				}
			},
		},
		{name: "39: a job that is gone already counts as deleted", set: func(_ *testing.T, b *bench) { b.remove = times(always, status(404, "")) }},
		{
			name: "42: a type that was asked for and not delivered is named",
			set:  func(_ *testing.T, b *bench) { b.Types = []string{"Patient", "Condition", "Observation", "Goal"} },
			check: func(t *testing.T, b *bench, res *Result, err error) {
				b.complete(t, res, err)
				if !slices.Equal(res.Missing, []string{"Goal"}) {
					t.Errorf("missing is %v, want Goal", res.Missing)
				}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if tt.set != nil {
				tt.set(t, b)
			}
			res, err := b.Run(t.Context())
			if tt.check == nil {
				b.complete(t, res, err)
				return
			}
			tt.check(t, b, res, err)
			b.noLeak(t)
		})
	}
}

// filesWithToken demands that all file requests at the FHIR server had a token, or none.
func (b *bench) filesWithToken(t *testing.T, want bool) {
	t.Helper()
	b.stub.mu.Lock()
	defer b.stub.mu.Unlock()
	for _, q := range b.log {
		if strings.HasPrefix(q.path, "/files/") && (q.auth != "") != want {
			t.Errorf("%s: token sent is %t, want %t", q.path, q.auth != "", want)
		}
	}
}

// damage serves other bytes for a file, always.
func (b *bench) damage(name, content string) {
	b.file = only(name, times(always, body(content)))
}

func (b *bench) damaged(t *testing.T, res *Result, err error, where string) {
	t.Helper()
	b.incomplete(t, res, err)
	if len(res.Absent) != 1 || res.Absent[0].Kept != "002.Condition.ndjson.damaged" || !strings.Contains(res.Absent[0].Reason, where) {
		t.Errorf("the damaged file should be kept and %s named: %+v", where, res.Absent)
	}
	if n := b.asked("GET", "/files/c1"); n != 2 {
		t.Errorf("asked %d times, want twice: the same bytes twice are meant", n)
	}
	b.file = nil
	res, err = b.again().Run(t.Context())
	b.complete(t, res, err)
}

// rename makes the server forget its URLs when the last file is asked for, and list the same
// files under other URLs, the last type's in reverse.
func (b *bench) rename() {
	var second bool
	var mu sync.Mutex
	b.urlOf = func(name string) string {
		mu.Lock()
		defer mu.Unlock()
		if second {
			return b.URL + "/files/again/" + name
		}
		return b.URL + "/files/" + name
	}
	b.file = func(w http.ResponseWriter, r *http.Request, name string, _ int) bool {
		mu.Lock()
		defer mu.Unlock()
		rest, renamed := strings.CutPrefix(name, "again/")
		if renamed {
			chunked(w, b.files[rest])
			return true
		}
		if name == "o2" && !second {
			second = true
			n := len(b.names)
			b.names = append(slices.Clone(b.names[:n-2]), b.names[n-1], b.names[n-2])
		}
		if second {
			w.WriteHeader(http.StatusGone)
		}
		return second
	}
}

// TestWhatARefusedKickoffMeans: a second kick-off is sent unasked only where the first one
// surely started nothing.
func TestWhatARefusedKickoffMeans(t *testing.T) {
	refusal := fmt.Sprintf(outcome, "fatal", "processing")
	tests := []struct {
		name   string
		answer http.HandlerFunc
		state  State
	}{
		{"a bare 408 may have been carried out", status(408, ""), StateUnknown},
		{"a bare 500 may have been carried out", status(500, "<html>"), StateUnknown},
		{"a bare 502 may have been carried out", status(502, ""), StateUnknown},
		{"a bare 504 may have been carried out", status(504, ""), StateUnknown},
		{"a 524 of a proxy may have been carried out", status(524, ""), StateUnknown},
		{"Retry-After does not make a 500 a refusal", status(500, "", "Retry-After", "5"), StateUnknown},
		{"a 500 with the server's own words was not carried out", status(500, refusal, "Content-Type", "application/fhir+json"), StatePlanned},
		{"a 501 was not carried out", status(501, ""), StatePlanned},
		{"a bare 503 was not carried out", status(503, "<html>"), StatePlanned},
		{"a bare 400 was not carried out", status(400, ""), StatePlanned},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.kickoff = times(1, tt.answer)
			_, err := b.Run(t.Context())
			unknown := tt.state == StateUnknown
			if err == nil || errors.Is(err, ErrUnknownKickoff) != unknown || !unknown && errors.Is(err, fhir.ErrOutcomeUnknown) {
				t.Errorf("got %v; that nobody knows should be said: %v", err, unknown)
			}
			if fe, ok := errors.AsType[*fhir.Error](err); !ok || fe.Status == 0 {
				t.Errorf("got %v, want the status in it", err)
			}
			if run, err := Status(t.Context(), b.Dir); err != nil || run.State != tt.state {
				t.Errorf("the run is %+v, want the state %s: %v", run, tt.state, err)
			}
			res, err := b.again().Run(t.Context())
			if !unknown {
				b.complete(t, res, err)
				return
			}
			if !errors.Is(err, ErrUnknownKickoff) || b.kickoffs() != 1 {
				t.Errorf("rerun: got %v after %d kick-offs, want ErrUnknownKickoff after one", err, b.kickoffs())
			}
		})
	}
	t.Run("a 503 with Retry-After is asked again after it", func(t *testing.T) {
		b := newBench(t)
		b.kickoff = times(1, status(503, "", "Retry-After", "3"))
		res, err := b.Run(t.Context())
		b.complete(t, res, err)
		if got := b.clock.took(); b.kickoffs() != 2 || !slices.Equal(got, []time.Duration{3 * time.Second}) {
			t.Errorf("%d kick-offs after waiting %v, want 2 and 3s", b.kickoffs(), got)
		}
	})
	t.Run("a long Retry-After of a 503 does not say that nobody knows", func(t *testing.T) {
		b := newBench(t)
		b.kickoff = times(1, status(503, "", "Retry-After", "1800"))
		if _, err := b.Run(t.Context()); !errors.Is(err, ErrCoolDown) || errors.Is(err, fhir.ErrOutcomeUnknown) {
			t.Errorf("got %v, want a cool-down alone", err)
		}
	})
}

func TestInterruptionsKeepTheJob(t *testing.T) {
	t.Run("41: while waiting for the server", func(t *testing.T) {
		b := newBench(t)
		b.polls = 3
		b.clock.stop = func(n int) bool { return n == 2 }
		if _, err := b.Run(t.Context()); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want the interruption", err)
		}
		b.clock.stop = nil
		res, err := b.again().Run(t.Context())
		b.complete(t, res, err)
		if b.kickoffs() != 1 {
			t.Errorf("%d kick-offs, want one", b.kickoffs())
		}
	})
	t.Run("41: during a download", func(t *testing.T) {
		b := newBench(t)
		b.Parallel = 1
		ctx, cancel := context.WithCancel(t.Context())
		b.file = only("c1", times(1, func(w http.ResponseWriter, r *http.Request) {
			chunked(w, b.files["c1"][:10])
			http.NewResponseController(w).Flush()
			cancel()
			<-r.Context().Done()
		}))
		if _, err := b.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want the interruption", err)
		}
		if got := data(t, b.Dir); !slices.Equal(got, []string{"001.Patient.ndjson"}) {
			t.Errorf("the folder holds %v", got)
		}
		res, err := b.again().Run(t.Context())
		b.complete(t, res, err)
		if b.asked("GET", "/files/p1") != 1 || b.kickoffs() != 1 {
			t.Error("a finished file was fetched again, or there was a second kick-off")
		}
	})
	t.Run("41: during the kick-off, its answer is still heard", func(t *testing.T) {
		b := newBench(t)
		ctx, cancel := context.WithCancel(t.Context())
		b.kickoff = func(http.ResponseWriter, *http.Request, int) bool { cancel(); return false }
		if _, err := b.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, want the interruption", err)
		}
		b.kickoff = nil
		res, err := b.again().Run(t.Context())
		b.complete(t, res, err)
		if b.kickoffs() != 1 {
			t.Errorf("%d kick-offs, want one", b.kickoffs())
		}
	})
}
