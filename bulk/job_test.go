package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/andironhq/andiron/fhir"
)

func TestRequest(t *testing.T) {
	tests := []struct {
		name    string
		job     Job
		dialect Dialect
		want    string // "" means ErrUnsupported
	}{
		{"a Group, whole", Job{Group: "g1"}, STU2, "Group/g1/$export"},
		{"a Group id is escaped, not interpreted", Job{Group: "a/b?c"}, STU2, "Group/a%2Fb%3Fc/$export"},
		{"types are one list with commas", Job{Group: "g", Types: []string{"Patient", "Condition", "Patient"}}, Epic, "Group/g/$export?_type=Patient,Condition"},
		{
			"commas inside a filter are escaped twice, between filters once not at all",
			Job{Group: "g", Types: []string{"Observation"}, TypeFilters: []string{"Observation?category=laboratory,vital-signs", "Observation?code=a b"}},
			Epic, "Group/g/$export?_type=Observation&_typeFilter=Observation%3Fcategory%3Dlaboratory%252Cvital-signs,Observation%3Fcode%3Da%20b",
		},
		{"Epic wants _type with _typeFilter", Job{Group: "g", TypeFilters: []string{"Observation?code=1"}}, Epic, ""},
		{"Epic has no _since", Job{Group: "g", Since: "2026-01-01T00:00:00Z"}, Epic, ""},
		{"2.0.0 has _since", Job{Group: "g", Since: "2026-01-01T00:00:00+01:00"}, STU2, "Group/g/$export?_since=2026-01-01T00%3A00%3A00%2B01%3A00"},
		{"2.0.0 has no _until", Job{Group: "g", Until: "2026-01-01T00:00:00Z"}, STU2, ""},
		{"3.0.0 has _until", Job{Group: "g", Until: "2026-01-01T00:00:00Z"}, STU3, "Group/g/$export?_until=2026-01-01T00%3A00%3A00Z"},
		{"1.0.1 has no _elements", Job{Group: "g", Elements: []string{"id"}}, STU1, ""},
		{"all patients", Job{Level: "patient"}, STU2, "Patient/$export"},
		{"the whole system", Job{Level: "system", Types: []string{"Patient"}}, STU2, "$export?_type=Patient"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.job.Client = &fhir.Client{Base: "https://x.example/R4"}
			got, err := request(tt.job.spec(), speeches[tt.dialect], tt.dialect)
			switch {
			case tt.want == "" && !errors.Is(err, ErrUnsupported):
				t.Errorf("got %q and %v, want ErrUnsupported", got, err)
			case tt.want != "" && got != tt.want:
				t.Errorf("got  %s\nwant %s (%v)", got, tt.want, err)
			}
		})
	}
}

func TestJobsThatCannotBeSent(t *testing.T) {
	for name, set := range map[string]func(*Job){
		"no Group":                        func(j *Job) { j.Group = "" },
		"a Group that climbs":             func(j *Job) { j.Group = ".." },
		"a Group with level system":       func(j *Job) { j.Level = "system" },
		"an unknown level":                func(j *Job) { j.Level = "planet" },
		"a type that is none":             func(j *Job) { j.Types = []string{"../../etc"} },
		"a filter without its type":       func(j *Job) { j.TypeFilters = []string{"category=laboratory"} },
		"an unknown dialect":              func(j *Job) { j.Dialect = "klingon" },
		"no folder":                       func(j *Job) { j.Dir = "" },
		"no client":                       func(j *Job) { j.Client = nil },
		"a parameter the dialect has not": func(j *Job) { j.Until = "2026-01-01T00:00:00Z" },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			set(b.Job)
			if _, err := b.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "bulk: ") {
				t.Errorf("got %v, want an error of this package", err)
			}
			if b.kickoffs()+b.asked("GET", "/fhir/R4/$export") != 0 {
				t.Error("a kick-off was sent")
			}
		})
	}
}

func TestDialectIsChosenAndAnnounced(t *testing.T) {
	tests := []struct {
		name   string
		epic   bool
		set    Dialect
		want   Dialect
		reason string
	}{
		{"Epic says so itself", true, Auto, Epic, "Epic"},
		{"anything else gets the common ground", false, Auto, STU2, "common ground"},
		{"the job's word comes first", true, STU3, STU3, "the job names it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.epic, b.Dialect = tt.epic, tt.set
			res, err := b.Run(t.Context())
			b.complete(t, res, err)
			said := b.said(KindDialect)
			if len(said) != 1 || said[0].Dialect != tt.want || !strings.Contains(said[0].Text, tt.reason) {
				t.Errorf("announced %+v, want %s because of %q", said, tt.want, tt.reason)
			}
			if first := b.log[slices.IndexFunc(b.log, func(q seen) bool { return strings.HasSuffix(q.path, "$export") })]; first.accept != "application/fhir+json" || first.prefer != "respond-async" {
				t.Errorf("kick-off sent Accept %q and Prefer %q", first.accept, first.prefer)
			}
		})
	}
	t.Run("no CapabilityStatement is no obstacle", func(t *testing.T) {
		b := newBench(t)
		inner := b.Config.Handler
		b.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/fhir/R4/metadata" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			inner.ServeHTTP(w, r)
		})
		res, err := b.Run(t.Context())
		b.complete(t, res, err)
	})
}

func TestPlanSendsNothing(t *testing.T) {
	b := newBench(t)
	b.epic = true
	b.Types = []string{"Patient"}
	p, err := b.Plan(t.Context())
	if err != nil || p.Method != http.MethodGet || p.URL != b.base()+"/Group/g1/$export?_type=Patient" || p.Dialect != Epic || len(p.Notes) != 1 {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := os.Stat(b.Dir); err == nil || b.kickoffs() != 0 {
		t.Error("planning made a folder or a kick-off")
	}
}

func TestPace(t *testing.T) {
	waits := func(t *testing.T, set func(*bench)) []time.Duration {
		b := newBench(t)
		set(b)
		res, err := b.Run(t.Context())
		b.complete(t, res, err)
		return b.clock.took()
	}
	tests := []struct {
		name string
		set  func(*bench)
		want []time.Duration
	}{
		{"Epic, few patients: 10 minutes and more", func(b *bench) { b.epic, b.polls = true, 3 }, []time.Duration{10 * time.Minute, 15 * time.Minute, 22*time.Minute + 30*time.Second}},
		{"Epic, many patients: 30 minutes", func(b *bench) {
			b.epic = true
			b.status = times(2, status(202, "", "X-Progress", "Searched 7 of 900 patients"))
		}, []time.Duration{30 * time.Minute, 30 * time.Minute}},
		{"Epic with a Retry-After: what it says", func(b *bench) {
			b.epic = true
			b.status = times(2, status(202, "", "Retry-After", "1"))
		}, []time.Duration{time.Second, time.Second}},
		{"others: a second and more", func(b *bench) { b.polls = 3 }, []time.Duration{time.Second, 1500 * time.Millisecond, 2250 * time.Millisecond}},
		{"a Retry-After of the kick-off counts for the first poll", func(b *bench) {
			b.kickoff = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				w.Header().Set("Retry-After", "30")
				return false
			}
		}, []time.Duration{30 * time.Second}},
		{"a Retry-After below a second is a second", func(b *bench) { b.status = times(1, status(202, "", "Retry-After", "0.01")) }, []time.Duration{time.Second}},
		{"a Retry-After that is no number is none", func(b *bench) { b.status = times(1, status(202, "", "Retry-After", "soon")) }, []time.Duration{time.Second}},
		{"ten minutes are honoured", func(b *bench) { b.status = times(1, status(202, "", "Retry-After", "600")) }, []time.Duration{10 * time.Minute}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := waits(t, tt.set); !slices.Equal(got, tt.want) {
				t.Errorf("waited %v, want %v", got, tt.want)
			}
		})
	}
}

func TestNoWait(t *testing.T) {
	b := newBench(t)
	b.NoWait, b.polls = true, 1
	_, err := b.Run(t.Context())
	var running *StillRunningError
	if !errors.As(err, &running) || !running.Next.Equal(b.clock.Now().Add(time.Second)) || running.Progress != "Searched 0 of 2 patients" {
		t.Fatalf("got %#v, want the time of the next poll and the server's words", err)
	}
	before := b.total()
	if _, err := b.again().Run(t.Context()); !errors.Is(err, ErrStillRunning) || b.total() != before {
		t.Errorf("before the time: got %v after %d requests, want none", err, b.total()-before)
	}
	b.clock.Advance(time.Second)
	res, err := b.again().Run(t.Context())
	b.complete(t, res, err)
	if len(b.clock.took()) != 0 {
		t.Errorf("waited %v", b.clock.took())
	}
}

func TestClockJumps(t *testing.T) {
	t.Run("40: a clock that was ahead does not make a poll wait for it", func(t *testing.T) {
		b := newBench(t)
		b.NoWait, b.polls = true, 1
		b.clock.Advance(400 * 24 * time.Hour)
		if _, err := b.Run(t.Context()); !errors.Is(err, ErrStillRunning) {
			t.Fatal(err)
		}
		b.clock.Advance(-400 * 24 * time.Hour)
		res, err := b.again().Run(t.Context())
		b.complete(t, res, err)
	})
	t.Run("40: a clock that was ahead does not make a window longer than it is", func(t *testing.T) {
		b := newBench(t)
		b.kickoff = times(1, status(400, `{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"business-rule","details":{"text":"requested this Group Too Recently"}}]}`, "Content-Type", "application/fhir+json"))
		b.clock.Advance(400 * 24 * time.Hour)
		if _, err := b.Run(t.Context()); !errors.Is(err, ErrCoolDown) {
			t.Fatal(err)
		}
		b.clock.Advance(-400 * 24 * time.Hour)
		var cool *CoolDownError
		if _, err := b.again().Run(t.Context()); !errors.As(err, &cool) || cool.Until.Sub(b.clock.Now()) > time.Hour+time.Minute {
			t.Errorf("got %v, want at most the window from now", err)
		}
	})
	t.Run("30 days end the waiting, not the job", func(t *testing.T) {
		b := newBench(t)
		b.polls = 10_000
		b.Poll.Floor = 24 * time.Hour
		b.Poll.Cap = 24 * time.Hour
		if _, err := b.Run(t.Context()); !errors.Is(err, ErrOverdue) {
			t.Fatalf("got %v, want ErrOverdue", err)
		}
		if n := b.asked("GET", "/jobs/"); n < 29 || n > 32 {
			t.Errorf("%d polls in 30 days at one a day", n)
		}
		b.polls = 0
		res, err := b.again().Run(t.Context())
		b.complete(t, res, err)
	})
}

func TestManifestsOfEveryVersion(t *testing.T) {
	tests := []struct {
		name   string
		tamper func(map[string]any)
	}{
		{"counts as strings", func(m map[string]any) {
			for _, e := range m["output"].([]any) {
				e.(map[string]any)["count"] = map[string]string{"Patient": "3", "Condition": "5", "Observation": "400"}[e.(map[string]any)["type"].(string)]
			}
		}},
		{"extension as an object", func(m map[string]any) { m["extension"] = map[string]any{"http://x.example": true} }},
		{"extension as an array", func(m map[string]any) { m["extension"] = []any{map[string]any{"url": "http://x.example"}} }},
		{"no error list", func(m map[string]any) { delete(m, "error") }},
		{"error is null", func(m map[string]any) { m["error"] = nil }},
		{"outcome in place of error (4.0.0)", func(m map[string]any) { delete(m, "error"); m["outcome"] = []any{} }},
		{"fileSize (4.0.0)", func(m map[string]any) {
			for _, e := range m["output"].([]any) {
				if o := e.(map[string]any); o["type"] == "Patient" {
					o["fileSize"] = len(lines("Patient", 3))
				}
			}
		}},
		{"no transactionTime", func(m map[string]any) { delete(m, "transactionTime") }},
		{"URLs relative to the status URL", func(m map[string]any) {
			for _, e := range m["output"].([]any) {
				o := e.(map[string]any)
				u := o["url"].(string)
				o["url"] = "../files" + u[strings.LastIndex(u, "/"):]
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.tamper = tt.tamper
			res, err := b.Run(t.Context())
			b.complete(t, res, err)
		})
	}
	t.Run("an empty output is success", func(t *testing.T) {
		b := newBench(t)
		b.names = nil
		if res, err := b.Run(t.Context()); err != nil || !res.Complete || len(res.Output) != 0 {
			t.Errorf("got %v", err)
		}
	})
	for name, tamper := range map[string]func(map[string]any){
		"manifestType": func(m map[string]any) { m["manifestType"] = "bulk-export" },
		"outcome":      func(m map[string]any) { delete(m, "error"); m["outcome"] = []any{} },
	} {
		t.Run("no output beside "+name+" (4.0.0) is success", func(t *testing.T) {
			b := newBench(t)
			b.tamper = func(m map[string]any) { delete(m, "output"); tamper(m) }
			if res, err := b.Run(t.Context()); err != nil || !res.Complete || len(res.Output) != 0 {
				t.Errorf("got %v, want a complete run without files", err)
			}
		})
	}
	t.Run("an entry without a URL makes the run incomplete", func(t *testing.T) {
		b := newBench(t)
		b.tamper = func(m map[string]any) { m["output"] = append(m["output"].([]any), map[string]any{"type": "Goal"}) }
		res, err := b.Run(t.Context())
		b.incomplete(t, res, err)
	})
	for name, tamper := range map[string]func(map[string]any){
		"an output with something that is no file": func(m map[string]any) { m["output"] = append(m["output"].([]any), "x") },
		"an output that is no list":                func(m map[string]any) { m["output"] = "none" },
		"an error list that is none":               func(m map[string]any) { m["error"] = 1 },
		"links that are none":                      func(m map[string]any) { m["link"] = []any{"next"} },
		"a first page without output":              func(m map[string]any) { delete(m, "output") },
	} {
		t.Run(name+" is no manifest, and not an empty one", func(t *testing.T) {
			b := newBench(t)
			b.tamper = tamper
			if _, err := b.Run(t.Context()); !errors.Is(err, ErrManifest) || len(data(t, b.Dir)) > 0 {
				t.Fatalf("got %v, want ErrManifest and no file", err)
			}
			b.tamper = nil
			res, err := b.again().Run(t.Context())
			b.complete(t, res, err)
		})
	}
	t.Run("the bytes are kept as they came", func(t *testing.T) {
		b := newBench(t)
		raw := fmt.Sprintf(`{ "transactionTime":"2026-05-01T08:00:00.10Z","requiresAccessToken":"true", "output":[{"type":"Patient","url":"%s/files/p1"}],"error":[],"new":1.10}`, b.URL)
		b.status = times(1, status(200, raw, "Content-Type", "application/json"))
		if _, err := b.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		l, err := openLedger(t.Context(), folder{dir: b.Dir}, false)
		if err != nil {
			t.Fatal(err)
		}
		defer l.close()
		var got string
		if err := l.db.QueryRow(`SELECT body FROM manifest`).Scan(&got); err != nil || got != raw {
			t.Errorf("the ledger holds %q, %v", got, err)
		}
	})
}

func TestManifestPages(t *testing.T) {
	page := func(b *bench, next, name, typ string) string {
		link := ""
		if next != "" {
			link = fmt.Sprintf(`,"link":[{"relation":"next","url":%q}]`, next)
		}
		return fmt.Sprintf(`{"transactionTime":"2026-05-01T08:00:00Z","requiresAccessToken":true,"output":[{"type":%q,"url":"%s/files/%s"}],"error":[]%s}`, typ, b.URL, name, link)
	}
	t.Run("next links are followed, also through a bad answer", func(t *testing.T) {
		b := newBench(t)
		b.status = func(w http.ResponseWriter, r *http.Request, n int) bool {
			switch {
			case r.URL.Path == "/jobs/J1":
				w.Write([]byte(page(b, "/jobs/J1/2", "p1", "Patient")))
			case r.URL.Path == "/jobs/J1/2" && n == 1:
				w.WriteHeader(http.StatusBadGateway)
			case r.URL.Path == "/jobs/J1/2":
				w.Write([]byte(page(b, b.URL+"/jobs/J1/3", "c1", "Condition")))
			default:
				w.Write([]byte(page(b, "", "o1", "Observation")))
			}
			return true
		}
		res, err := b.Run(t.Context())
		b.complete(t, res, err)
	})
	for _, code := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		t.Run(fmt.Sprintf("a further page that is refused with %d is reported at once", code), func(t *testing.T) {
			b := newBench(t)
			var open atomic.Bool
			b.status = func(w http.ResponseWriter, r *http.Request, _ int) bool {
				switch {
				case open.Load():
					return false
				case r.URL.Path == "/jobs/J1":
					w.Write([]byte(page(b, "/jobs/J1/2", "p1", "Patient")))
				default:
					w.WriteHeader(code)
				}
				return true
			}
			_, err := b.Run(t.Context())
			if fe, ok := errors.AsType[*fhir.Error](err); !ok || fe.Status != code || errors.Is(err, ErrUnavailable) {
				t.Errorf("got %v, want the %d", err, code)
			}
			if n := b.asked("GET", "/jobs/J1"); n > 3 { // the client renews a refused token once
				t.Errorf("%d requests, want each page asked for once", n)
			}
			open.Store(true)
			res, err := b.again().Run(t.Context())
			b.complete(t, res, err)
		})
	}
	t.Run("a next link that is not secure is reported at once", func(t *testing.T) {
		b := newBench(t)
		b.status = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.Write([]byte(page(b, "http://bulk.example/2", "p1", "Patient")))
			return true
		}
		if _, err := b.Run(t.Context()); !errors.Is(err, fhir.ErrInsecure) || errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v, want ErrInsecure", err)
		}
		if n := b.asked("GET", "/jobs/J1"); n != 1 {
			t.Errorf("the status URL was asked %d times, want once", n)
		}
	})
	t.Run("a further page without output is an empty one", func(t *testing.T) {
		b := newBench(t)
		b.status = func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if r.URL.Path != "/jobs/J1" {
				w.Write([]byte(`{"transactionTime":"2026-05-01T08:00:00Z","requiresAccessToken":true}`))
				return true
			}
			w.Write([]byte(page(b, "/jobs/J1/2", "p1", "Patient")))
			return true
		}
		if res, err := b.Run(t.Context()); err != nil || len(res.Output) != 1 {
			t.Errorf("got %v, want the first page's file", err)
		}
	})
	t.Run("next links that run in a circle end", func(t *testing.T) {
		b := newBench(t)
		b.status = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.Write([]byte(page(b, "/jobs/J1", "p1", "Patient")))
			return true
		}
		if _, err := b.Run(t.Context()); !errors.Is(err, ErrManifest) {
			t.Errorf("got %v, want ErrManifest", err)
		}
	})
	t.Run("a next link to another host gets no token", func(t *testing.T) {
		b := newBench(t)
		b.status = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.Write([]byte(page(b, b.evil.URL+"/blob/m2", "p1", "Patient")))
			return true
		}
		b.files["m2"] = page(b, "", "c1", "Condition")
		if _, err := b.Run(t.Context()); err != nil {
			t.Error(err)
		}
		b.noLeak(t)
	})
}

func TestExportStatusHeader(t *testing.T) {
	t.Run("the job is at work although the request went well", func(t *testing.T) {
		b := newBench(t)
		b.status = times(2, status(200, "", "X-Export-Status", "202", "Retry-After", "3"))
		res, err := b.Run(t.Context())
		b.complete(t, res, err)
		if got := b.clock.took(); !slices.Equal(got, []time.Duration{3 * time.Second, 3 * time.Second}) {
			t.Errorf("waited %v", got)
		}
	})
	t.Run("the job has failed although the request went well", func(t *testing.T) {
		b := newBench(t)
		b.status = times(always, status(200, fmt.Sprintf(outcome, "fatal", "processing"), "X-Export-Status", "500"))
		if _, err := b.Run(t.Context()); !errors.Is(err, ErrFailed) {
			t.Errorf("got %v, want ErrFailed", err)
		}
	})
}

func TestNamesAreOurs(t *testing.T) {
	for _, typ := range []string{
		"../../../../tmp/evil", "/etc/passwd", "..", ".", "Patient/../x", `Patient\..\x`, "Patient\x00", "patient", "P/", "%2e%2e%2f", "", strings.Repeat("A", 300), "Patient.ndjson", "CON:", "Pätient",
	} {
		t.Run(fmt.Sprintf("%.20q", typ), func(t *testing.T) {
			b := newBench(t)
			b.names = []string{"p1"}
			b.tamper = func(m map[string]any) { m["output"].([]any)[0].(map[string]any)["type"] = typ }
			res, err := b.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := data(t, b.Dir); len(got) != 1 || got[0] != "001.Resource.ndjson" || res.Output[0].File != got[0] {
				t.Errorf("the folder holds %q", got)
			}
			if entries, err := os.ReadDir(filepath.Dir(b.Dir)); err != nil || len(entries) != 1 {
				t.Errorf("something was written outside: %v %v", entries, err)
			}
		})
	}
}

func TestTokenStaysHome(t *testing.T) {
	tests := []struct {
		name string
		set  func(b *bench)
	}{
		{"the status URL is elsewhere", func(b *bench) {
			b.kickoff = func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				w.Header().Set("Content-Location", b.evil.URL+"/blob/m")
				w.WriteHeader(http.StatusAccepted)
				return true
			}
			b.files["m"] = fmt.Sprintf(`{"transactionTime":"x","requiresAccessToken":true,"output":[{"type":"Patient","url":"%s/blob/p1"}]}`, b.evil.URL)
		}},
		{"a file is elsewhere although a token is required", func(b *bench) {
			b.urlOf = func(name string) string { return b.evil.URL + "/blob/" + name }
		}},
		{"a host name that only begins like ours", func(b *bench) {
			b.urlOf = func(name string) string {
				return strings.Replace(b.evil.URL, "127.0.0.1", "localhost", 1) + "/blob/" + name
			}
		}},
		{"user information before the host", func(b *bench) {
			b.urlOf = func(name string) string {
				return strings.Replace(b.evil.URL, "http://", b.URL+"@", 1) + "/blob/" + name
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			tt.set(b)
			_, err := b.Run(t.Context())
			t.Logf("ended with %v", err)
			b.noLeak(t)
		})
	}
}

func TestFinishedRunDoesNothing(t *testing.T) {
	b := newBench(t)
	res, err := b.Run(t.Context())
	b.complete(t, res, err)
	before, was := b.total(), hashes(t, b.Dir)
	res, err = b.again().Run(t.Context())
	if err != nil || !res.Already || !res.Complete || b.total() != before || len(res.Output) != 3 {
		t.Errorf("the second run should do nothing and say so: %v %+v", err, res)
	}
	for name, sum := range hashes(t, b.Dir) {
		if was[name] != sum {
			t.Errorf("%s has changed", name)
		}
	}
	t.Run("a job that asks for nothing of its own agrees", func(t *testing.T) {
		j := b.again()
		j.Group = ""
		if res, err := j.Run(t.Context()); err != nil || !res.Already {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another question is refused", func(t *testing.T) {
		j := b.again()
		j.Types = []string{"Patient"}
		if _, err := j.Run(t.Context()); !errors.Is(err, ErrDifferent) {
			t.Errorf("got %v, want ErrDifferent", err)
		}
		j = b.again()
		j.Client = &fhir.Client{Base: "http://127.0.0.1:1/other"}
		if _, err := j.Run(t.Context()); !errors.Is(err, ErrDifferent) {
			t.Errorf("another server: got %v, want ErrDifferent", err)
		}
	})
	t.Run("a file that was removed is not passed over in silence", func(t *testing.T) {
		os.Remove(filepath.Join(b.Dir, "001.Patient.ndjson"))
		if _, err := b.again().Run(t.Context()); err == nil || !strings.Contains(err.Error(), "001.Patient.ndjson") {
			t.Errorf("got %v, want the file's name", err)
		}
	})
}

func TestNewRunReplacesTheOldOne(t *testing.T) {
	b := newBench(t)
	res, err := b.Run(t.Context())
	b.complete(t, res, err)
	old := hashes(t, b.Dir)
	b.files["p1"] = lines("Patient", 9)
	b.names = []string{"p1", "c1"}
	j := b.again()
	j.New = true
	b.kickoff = times(3, status(400, `{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"business-rule","diagnostics":"too recently"}]}`, "Content-Type", "application/fhir+json"))
	if _, err := j.Run(t.Context()); !errors.Is(err, ErrCoolDown) {
		t.Fatal(err)
	}
	if got := data(t, b.Dir); !slices.Equal(got, []string{".log.ndjson", "001.Patient.ndjson", "002.Condition.ndjson", "003.Observation.ndjson"}) || !b.whole(t) {
		t.Errorf("a refused kick-off should leave the old run in place: %v", got)
	}
	b.kickoff = nil
	b.clock.Advance(48 * time.Hour)
	j = b.again()
	j.New = true
	if res, err = j.Run(t.Context()); err != nil || res.Run != 2 || len(res.Output) != 2 {
		t.Fatalf("the new run should be complete: %v %+v", err, res)
	}
	if read(t, b.Dir, "001.Patient.ndjson") != b.files["p1"] {
		t.Error("the folder should hold the new run")
	}
	for name := range old {
		if _, err := os.Stat(filepath.Join(b.Dir, "previous-001", name)); err != nil {
			t.Errorf("the old run's %s is gone", name)
		}
	}
	for _, dir := range []string{b.Dir, filepath.Join(b.Dir, "previous-001")} {
		if rep, err := Verify(t.Context(), dir); err != nil || !rep.OK() {
			t.Errorf("%s should verify: %v %+v", dir, err, rep)
		}
	}
	if runs, err := Runs(t.Context(), b.Dir); err != nil || len(runs) != 2 || runs[0].State != StateDone || runs[1].State != StateDone {
		t.Errorf("two finished runs should be listed: %v %+v", err, runs)
	}
	for _, dir := range []string{b.Dir, filepath.Join(b.Dir, "previous-001")} {
		if n := strings.Count(read(t, dir, logName), `"eventId":"export_complete"`); n != 1 {
			t.Errorf("the log of %s tells of %d exports, want one", filepath.Base(dir), n)
		}
	}
}

func TestNewRunWithoutFilesIsNotCompleteBeforeTheOldOnesAreGone(t *testing.T) {
	b := newBench(t)
	res, err := b.Run(t.Context())
	b.complete(t, res, err)
	b.names = nil
	j := b.again()
	j.New = true
	j.hook = func(op, name string) error {
		if op == "rename" && strings.HasPrefix(name, "previous-001/002") {
			return syscall.EIO
		}
		return nil
	}
	if _, err := j.Run(t.Context()); !errors.Is(err, ErrFolder) || b.whole(t) {
		t.Errorf("got %v, and the folder with half of the old files should not say complete", err)
	}
	if res, err := b.again().Run(t.Context()); err != nil || !res.Complete || len(data(t, filepath.Join(b.Dir, "previous-001"))) != 3 {
		t.Errorf("the next run should put it right: %v, %v", err, data(t, b.Dir))
	}
}

func TestNewGoesOnWithAnUnfinishedRun(t *testing.T) {
	b := newBench(t)
	b.NoWait, b.polls = true, 1
	if _, err := b.Run(t.Context()); !errors.Is(err, ErrStillRunning) {
		t.Fatal(err)
	}
	b.clock.Advance(time.Minute)
	j := b.again()
	j.New = true
	res, err := j.Run(t.Context())
	b.complete(t, res, err)
	if b.kickoffs() != 1 {
		t.Errorf("%d kick-offs: New repeated after a kill must not cost a second export", b.kickoffs())
	}
}

func TestForeignFolder(t *testing.T) {
	for _, name := range []string{"001.Patient.ndjson", "Patient.ndjson.gz", "manifest.json", "x.ndjson"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			if err := os.MkdirAll(b.Dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(b.Dir, name), []byte("{}\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Run(t.Context()); !errors.Is(err, ErrForeignFolder) || b.total() != 0 {
				t.Errorf("got %v, want ErrForeignFolder and no request", err)
			}
			if _, err := os.Stat(filepath.Join(b.Dir, ledgerName)); err == nil {
				t.Error("a ledger was put into a folder that is not ours")
			}
		})
	}
}

func TestModesWhateverTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o777} {
		func() {
			b := newBench(t)
			withErrors(b)
			defer syscall.Umask(syscall.Umask(mask))
			b.damage("c1", "null\n")
			if _, err := b.Run(t.Context()); !errors.Is(err, ErrIncomplete) {
				t.Fatal(err)
			}
			err := filepath.WalkDir(b.Dir, func(path string, d os.DirEntry, err error) error {
				if err != nil {
					return err
				}
				info, err := d.Info()
				if err != nil {
					return err
				}
				want := os.FileMode(0o600)
				if d.IsDir() {
					want = 0o700
				}
				if got := info.Mode().Perm(); got != want {
					t.Errorf("umask %o: %s is %o, want %o", mask, filepath.Base(path), got, want)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}()
	}
}

func TestVerify(t *testing.T) {
	change := func(name string, f func([]byte) []byte) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			old, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, f(old), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name, file, kind string
		spoil            func(t *testing.T, dir string)
	}{
		{"a flipped byte", "003.Observation.ndjson", "changed", change("003.Observation.ndjson", func(b []byte) []byte {
			i := strings.Index(string(b), `"n":1.`)
			b[i+6] = '7'
			return b
		})},
		{"a missing file", "002.Condition.ndjson", "missing", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "002.Condition.ndjson")) }},
		{"an added line", "001.Patient.ndjson", "changed", change("001.Patient.ndjson", func(b []byte) []byte { return append(b, lines("Patient", 1)...) })},
		{"a removed line", "001.Patient.ndjson", "changed", change("001.Patient.ndjson", func(b []byte) []byte { return b[strings.IndexByte(string(b), '\n')+1:] })},
		{"half a line", "001.Patient.ndjson", "damaged", change("001.Patient.ndjson", func(b []byte) []byte { return b[:len(b)-9] })},
		{"a newline too many", "001.Patient.ndjson", "changed", change("001.Patient.ndjson", func(b []byte) []byte { return append(b, '\n') })},
		{"an extra file", "004.Goal.ndjson", "extra", func(t *testing.T, dir string) {
			os.WriteFile(filepath.Join(dir, "004.Goal.ndjson"), []byte(lines("Goal", 1)), 0o600)
		}},
		{"an extra packed file", "x.ndjson.gz", "extra", func(t *testing.T, dir string) {
			os.WriteFile(filepath.Join(dir, "x.ndjson.gz"), packed(lines("Goal", 1)), 0o600)
		}},
		{"a manifest that was changed with its file", "001.Patient.ndjson", "ledger", func(t *testing.T, dir string) {
			content := lines("Patient", 1)
			os.WriteFile(filepath.Join(dir, "001.Patient.ndjson"), []byte(content), 0o600)
			m, _ := ReadManifest(dir)
			m.Output[0].Count, m.Output[0].Bytes = 1, int64(len(content))
			m.Output[0].SHA256 = hashes(t, dir)["001.Patient.ndjson"]
			data, _ := json.Marshal(m)
			os.WriteFile(filepath.Join(dir, manifestName), data, 0o600)
		}},
		{"a name in the manifest that leads out", "../x.ndjson", "changed", func(t *testing.T, dir string) {
			m, _ := ReadManifest(dir)
			m.Output[0].File = "../x.ndjson"
			data, _ := json.Marshal(m)
			os.WriteFile(filepath.Join(dir, manifestName), data, 0o600)
		}},
	}
	b := newBench(t)
	res, err := b.Run(t.Context())
	b.complete(t, res, err)
	if rep, err := Verify(t.Context(), b.Dir); err != nil || !rep.OK() || rep.Files != 3 || rep.Resources != 408 {
		t.Fatalf("an untouched folder should verify: %v %+v", err, rep)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "copy")
			if err := os.CopyFS(dir, os.DirFS(b.Dir)); err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, dir)
			rep, err := Verify(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if rep.OK() || !slices.ContainsFunc(rep.Problems, func(p Problem) bool { return p.File == tt.file && p.Kind == tt.kind }) {
				t.Errorf("want %s to be found %s, got %+v", tt.file, tt.kind, rep.Problems)
			}
		})
	}
	t.Run("an unfinished folder is not OK", func(t *testing.T) {
		b := newBench(t)
		b.file = only("c1", times(always, torn(b.files["c1"])))
		b.Run(t.Context())
		if rep, err := Verify(t.Context(), b.Dir); err != nil || rep.OK() || len(rep.Problems) != 0 {
			t.Errorf("what is there is whole, but not all is there: %v %+v", err, rep)
		}
	})
}

func TestCancel(t *testing.T) {
	b := newBench(t)
	b.NoWait, b.polls = true, 9
	if err := Cancel(t.Context(), b.Client, b.Dir); !errors.Is(err, ErrNoLedger) {
		t.Errorf("no export: got %v, want ErrNoLedger", err)
	}
	if _, err := b.Run(t.Context()); !errors.Is(err, ErrStillRunning) {
		t.Fatal(err)
	}
	if err := Cancel(t.Context(), b.Client, b.Dir); err != nil || b.asked("DELETE", "/jobs/J1") != 1 {
		t.Errorf("cancel: %v", err)
	}
	if run, err := Status(t.Context(), b.Dir); err != nil || run.State != StateCancelled {
		t.Errorf("the state should say so: %v %+v", err, run)
	}
	if _, err := b.again().Run(t.Context()); !errors.Is(err, ErrCancelled) || b.kickoffs() != 1 {
		t.Errorf("rerun: got %v", err)
	}
	b.polls = 0
	j := b.again()
	j.New = true
	if res, err := j.Run(t.Context()); err != nil || !res.Complete {
		t.Errorf("a new run should be complete: %v", err)
	}
}

func TestStatusTellsOfEveryFile(t *testing.T) {
	b := newBench(t)
	b.file = only("c1", times(always, torn(b.files["c1"])))
	if _, err := b.Run(t.Context()); !errors.Is(err, ErrIncomplete) {
		t.Fatal(err)
	}
	run, err := Status(t.Context(), b.Dir)
	if err != nil || len(run.Files) != 3 || run.State != StateListed {
		t.Fatalf("%v %+v", err, run)
	}
	if f := run.Files[1]; f.State != FileFailed || f.Tries != 5 || f.Reason == "" {
		t.Errorf("the failed file: %+v", f)
	}
	if f := run.Files[0]; f.State != FileVerified || f.Lines != 3 || f.SHA256 == "" {
		t.Errorf("the verified file: %+v", f)
	}
	if _, err := Status(t.Context(), t.TempDir()); !errors.Is(err, ErrNoLedger) {
		t.Errorf("an empty folder: got %v, want ErrNoLedger", err)
	}
}

// TestLog holds log.ndjson against the format that other tools read.
func TestLog(t *testing.T) {
	b := newBench(t)
	b.polls = 1
	b.urlOf = func(name string) string { return b.URL + "/files/" + name + "?sig=secret-sig" }
	b.file = only("c1", times(1, status(500, "Jane Canary")))
	b.Parallel = 1
	b.Types = []string{"Patient", "Condition", "Observation"}
	res, err := b.Run(t.Context())
	b.complete(t, res, err)
	var events []string
	ids := map[string]bool{}
	for line := range strings.Lines(read(t, b.Dir, logName)) {
		var e struct {
			ExportID    string         `json:"exportId"`
			Timestamp   time.Time      `json:"timestamp"`
			EventID     string         `json:"eventId"`
			EventDetail map[string]any `json:"eventDetail"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Timestamp.IsZero() || e.EventDetail == nil {
			t.Errorf("bad line %q: %v", line, err)
		}
		events = append(events, e.EventID)
		ids[e.ExportID] = true
		if strings.Contains(line, "Canary") {
			t.Errorf("the log quotes an answer: %s", line)
		}
		if e.EventID == "kickoff" && e.EventDetail["requestParameters"].(map[string]any)["_type"] != "Patient,Condition,Observation" {
			t.Errorf("kickoff: %v", e.EventDetail)
		}
		if e.EventID == "export_complete" && (e.EventDetail["files"] != 3.0 || e.EventDetail["resources"] != 408.0) {
			t.Errorf("export_complete: %v", e.EventDetail)
		}
	}
	want := []string{
		"kickoff", "status_progress", "status_page_complete", "status_complete", "manifest_complete",
		"download_request", "download_complete", "download_request", "download_error", "download_request", "download_complete",
		"download_request", "download_complete", "export_complete",
	}
	if !slices.Equal(events, want) {
		t.Errorf("events are\n%v, want\n%v", events, want)
	}
	if len(ids) != 1 {
		t.Errorf("export ids differ: %v", ids)
	}
}

func TestUnreachableHost(t *testing.T) {
	b := newBench(t)
	b.Close()
	_, err := b.Run(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "bulk: ") {
		t.Fatalf("got %v", err)
	}
	if run, err := Status(t.Context(), b.Dir); err != nil || run.State != StatePlanned {
		t.Errorf("nothing was started, the state is %+v, %v", run, err)
	}
}

// TestSleepEndsWithItsContext: the pause of the real clock.
func TestSleepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := sleep(t.Context(), time.Millisecond); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestServersWordsCannotSteerATerminal(t *testing.T) {
	if got := printable("5% \x1b[2J\u009b2Jdone\x7f"); got != "5% [2J2Jdone" {
		t.Errorf("got %q, want no control character of either set", got)
	}
}
