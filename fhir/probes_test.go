package fhir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andironhq/andiron/r4"
)

// The probes that other FHIR clients were measured with, one test each: what goes wrong at
// the server, what must come out here.

func TestNextLinkToAnotherOriginIsNotFollowed(t *testing.T) {
	for _, next := range []string{
		"https://evil.example.com/x/api/FHIR/R4/Patient?page=2",
		"https://good.example.com:8443/x/api/FHIR/R4/Patient?page=2",
		"http://good.example.com/x/api/FHIR/R4/Patient?page=2",
		"//evil.example.com/x/api/FHIR/R4/Patient?page=2",
	} {
		t.Run(next, func(t *testing.T) {
			w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
				reply(rw, 200, patients(-1, next, "a"))
			})
			got, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
			e := asError(t, err)
			if !errors.Is(err, ErrForeignOrigin) || e.Page != 2 {
				t.Errorf("got error %v, page %d; want ErrForeignOrigin for page 2", err, e.Page)
			}
			if host := strings.Split(strings.SplitN(next, "//", 2)[1], "/")[0]; !strings.Contains(err.Error(), host) {
				t.Errorf("the error %q does not name the origin %s", err, host)
			}
			if ids(t, got) != "a" {
				t.Errorf("page 1 gave %q before the error, want a", ids(t, got))
			}
			if w.asked() != 1 {
				t.Errorf("the server was asked %d times, want 1", w.asked())
			}
			w.noEvil()
		})
	}
}

func TestRedirectToAnotherOrigin(t *testing.T) {
	for _, to := range []string{
		"https://evil.example.com/secret", // another hostname
		"https://good.example.com:8443/",  // another port
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprintf("%d to %s", status, to), func(t *testing.T) {
				w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, to, status) })
				_, err := Read[r4.Patient](t.Context(), w.c, "a")
				if !errors.Is(err, ErrForeignOrigin) {
					t.Errorf("Read: got %v, want ErrForeignOrigin", err)
				}
				w.noEvil()
				resp, err := w.c.Do(t.Context(), Request{URL: "Patient/a", ForeignOK: true, Header: http.Header{
					"Authorization": {"canary-basic"}, "Cookie": {"canary=1"}, "X-Api-Key": {"canary-key"}, "Range": {"bytes=0-"},
				}})
				if err != nil {
					t.Fatalf("Do with ForeignOK: %v", err)
				}
				resp.Body.Close()
				if len(w.evil) != 1 || w.evil[0].Header.Get("Range") != "bytes=0-" {
					t.Errorf("the other origin was asked %d times, want once, with the Range header", len(w.evil))
				}
				w.noSecrets()
			})
		}
	}
	t.Run("https to http is refused even with ForeignOK", func(t *testing.T) {
		for _, to := range []string{"http://evil.example.com/", "http://good.example.com/", "http://127.0.0.1:99/"} {
			w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, to, http.StatusFound) })
			if _, err := w.c.Do(t.Context(), Request{URL: "Patient/a", ForeignOK: true}); !errors.Is(err, ErrInsecure) {
				t.Errorf("%s: got %v, want ErrInsecure", to, err)
			}
			w.noEvil()
		}
	})
	t.Run("a redirect back brings no token", func(t *testing.T) {
		w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "start") {
				http.Redirect(rw, r, "https://evil.example.com/?back="+goodBase+"/Patient/deleted", http.StatusFound)
				return
			}
			reply(rw, 200, `{}`)
		})
		resp, err := w.c.Do(t.Context(), Request{URL: "start", ForeignOK: true})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if last := w.good[len(w.good)-1]; len(w.good) != 2 || last.Header.Get("Authorization") != "" || last.Header.Get("Epic-Client-Id") != "" {
			t.Errorf("after %d requests the last one, which another origin asked for, carried Authorization %q", len(w.good), last.Header.Get("Authorization"))
		}
	})
	t.Run("a write never goes to another origin", func(t *testing.T) {
		w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "https://evil.example.com/", http.StatusTemporaryRedirect)
		})
		_, err := w.c.Do(t.Context(), Request{Method: "POST", URL: "Patient", Body: []byte(`{"canary":1}`), ForeignOK: true})
		if !errors.Is(err, ErrForeignOrigin) {
			t.Errorf("got %v, want ErrForeignOrigin", err)
		}
		w.noEvil()
	})
}

func TestRedirectWithinTheOriginKeepsTheToken(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/merged") {
			rw.Header().Set("Location", "Patient/survivor")
			rw.WriteHeader(http.StatusFound)
			return
		}
		reply(rw, 200, `{"resourceType":"Patient","id":"survivor"}`)
	})
	p, err := Read[r4.Patient](t.Context(), w.c, "merged")
	if err != nil || p.ID != "survivor" {
		t.Fatalf("got %v, %v; want the patient that the record was merged into", p, err)
	}
	if got := w.good[1].Header.Get("Authorization"); got != "Bearer "+token {
		t.Errorf("the second request carried %q, want the token", got)
	}
	if got := w.good[1].URL.Path; got != "/x/api/FHIR/R4/Patient/survivor" {
		t.Errorf("the relative Location led to %s", got)
	}
}

func TestRedirectLoopEnds(t *testing.T) {
	t.Run("to itself", func(t *testing.T) {
		w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, r.URL.Path, http.StatusFound) })
		if _, err := Read[r4.Patient](t.Context(), w.c, "a"); !errors.Is(err, ErrLoop) || w.asked() != 1 {
			t.Errorf("got %v after %d requests, want ErrLoop after 1", err, w.asked())
		}
	})
	t.Run("always onwards", func(t *testing.T) {
		w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, r.URL.Path+"x", http.StatusFound) })
		if _, err := Read[r4.Patient](t.Context(), w.c, "a"); !errors.Is(err, ErrLoop) || w.asked() > 12 {
			t.Errorf("got %v after %d requests, want ErrLoop after about 10", err, w.asked())
		}
	})
}

func TestNextLoopIsAnErrorThatNamesThePage(t *testing.T) {
	t.Run("next points to itself", func(t *testing.T) {
		w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
			reply(rw, 200, patients(-1, goodOrigin+r.URL.String(), "a"))
		})
		_, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
		if e := asError(t, err); !errors.Is(err, ErrLoop) || e.Page != 2 || w.asked() != 1 {
			t.Errorf("got %v, page %d, after %d requests; want ErrLoop, page 2, after 1", err, e.Page, w.asked())
		}
	})
	t.Run("page 3 leads back to page 2", func(t *testing.T) {
		w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
			n, _ := strconv.Atoi(r.URL.Query().Get("page"))
			reply(rw, 200, patients(-1, fmt.Sprintf("%s/Patient?page=%d", goodBase, n%2+1), fmt.Sprintf("p%d", n)))
		})
		_, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
		if e := asError(t, err); !errors.Is(err, ErrLoop) || e.Page != 4 {
			t.Errorf("got %v, page %d; want ErrLoop, page 4", err, e.Page)
		}
	})
	t.Run("links always new, resources always the same", func(t *testing.T) {
		var n atomic.Int64
		w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
			reply(rw, 200, patients(-1, fmt.Sprintf("%s/Patient?page=%d", goodBase, n.Add(1)), "a", "b"))
		})
		got, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
		if !errors.Is(err, ErrLoop) || len(got) != 2 || w.asked() > 20 {
			t.Errorf("got %d resources and %v after %d requests; want 2 and ErrLoop within 20", len(got), err, w.asked())
		}
	})
	t.Run("more pages than allowed", func(t *testing.T) {
		var n atomic.Int64
		w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
			i := n.Add(1)
			reply(rw, 200, patients(-1, fmt.Sprintf("%s/Patient?page=%d", goodBase, i), strconv.FormatInt(i, 10)))
		})
		w.c.Limits.MaxPages = 7
		_, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
		if e := asError(t, err); !errors.Is(err, ErrLoop) || e.Page != 7 {
			t.Errorf("got %v, want ErrLoop at page 7", err)
		}
	})
}

// failFirst answers the first n requests with fail, then with a patient.
func failFirst(n int64, fail http.HandlerFunc) http.HandlerFunc {
	var count atomic.Int64
	return func(rw http.ResponseWriter, r *http.Request) {
		if count.Add(1) <= n {
			fail(rw, r)
			return
		}
		reply(rw, 200, `{"resourceType":"Patient","id":"a"}`)
	}
}

func TestThrottledReadWaitsAsTold(t *testing.T) {
	date := func(rw http.ResponseWriter) { rw.Header().Set("Date", "Sun, 01 Mar 2026 11:50:00 GMT") } // ten minutes slow
	tests := []struct {
		name     string
		headers  func(http.ResponseWriter)
		min, max time.Duration
	}{
		{"seconds", func(rw http.ResponseWriter) { rw.Header().Set("Retry-After", "1") }, 2 * time.Second, 3 * time.Second},
		{"date, by the server's clock", func(rw http.ResponseWriter) {
			date(rw)
			rw.Header().Set("Retry-After", "Sun, 01 Mar 2026 11:50:05 GMT")
		}, 10 * time.Second, 12 * time.Second},
		{"RateLimit", func(rw http.ResponseWriter) { rw.Header().Set("RateLimit", `"x";r=0;t=60`) }, 120 * time.Second, 123 * time.Second},
		{"RateLimit-Reset", func(rw http.ResponseWriter) {
			rw.Header().Set("RateLimit-Remaining", "0")
			rw.Header().Set("RateLimit-Reset", "7")
		}, 14 * time.Second, 16 * time.Second},
		{"an epoch in milliseconds is clamped", func(rw http.ResponseWriter) { rw.Header().Set("Retry-After", "1772366400000") }, 10 * time.Minute, 11 * time.Minute},
		{"zero is not a busy loop", func(rw http.ResponseWriter) { rw.Header().Set("Retry-After", "0") }, 200 * time.Millisecond, time.Second},
		{"nothing said", func(http.ResponseWriter) {}, 200 * time.Millisecond, 3 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, failFirst(2, func(rw http.ResponseWriter, _ *http.Request) {
				tt.headers(rw)
				rw.WriteHeader(http.StatusTooManyRequests)
			}))
			if _, err := Read[r4.Patient](t.Context(), w.c, "a"); err != nil {
				t.Fatal(err)
			}
			if d := w.clock.waited(); d < tt.min || d > tt.max {
				t.Errorf("waited %s for two refusals, want %s to %s", d, tt.min, tt.max)
			}
			if w.asked() != 3 {
				t.Errorf("asked %d times, want 3", w.asked())
			}
		})
	}
	t.Run("an absurd value is mentioned once", func(t *testing.T) {
		w := newWorld(t, failFirst(3, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", "1772366400")
			rw.WriteHeader(http.StatusTooManyRequests)
		}))
		if _, err := Read[r4.Patient](t.Context(), w.c, "a"); err != nil {
			t.Fatal(err)
		}
		if n := len(w.noticed()); n != 1 {
			t.Errorf("got %d notices, want 1", n)
		}
	})
}

func TestReadIsRepeatedAfterServerFailure(t *testing.T) {
	for _, status := range []int{408, 500, 502, 503, 504} {
		w := newWorld(t, failFirst(2, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(status) }))
		if _, err := Read[r4.Patient](t.Context(), w.c, "a"); err != nil || w.asked() != 3 {
			t.Errorf("%d twice: %v after %d requests, want success at the third", status, err, w.asked())
		}
	}
	for _, status := range []int{400, 403, 404, 410, 422, 501} {
		w := newWorld(t, failFirst(2, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(status) }))
		if _, err := Read[r4.Patient](t.Context(), w.c, "a"); err == nil || w.asked() != 1 {
			t.Errorf("%d: %v after %d requests, want an error after the first", status, err, w.asked())
		}
	}
	t.Run("the number of tries has an end", func(t *testing.T) {
		w := newWorld(t, failFirst(99, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) }))
		_, err := Read[r4.Patient](t.Context(), w.c, "a")
		if e := asError(t, err); e.Tries != 5 || w.asked() != 5 || e.Status != 503 {
			t.Errorf("got %v after %d requests, want 503 after 5", err, w.asked())
		}
	})
	t.Run("a failing server is not asked twice as often", func(t *testing.T) {
		w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) })
		for range 100 {
			_, _ = Read[r4.Patient](t.Context(), w.c, "a")
		}
		if n := w.asked(); n != 100+retryBudget {
			t.Errorf("100 reads became %d requests, want %d", n, 100+retryBudget)
		}
	})
}

func TestCreateIsNeverRepeatedBlindly(t *testing.T) {
	create := Request{Op: "create", Method: "POST", URL: "Patient", Body: []byte(`{"resourceType":"Patient"}`)}
	hangUp := func(rw http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	for _, tt := range []struct {
		name string
		fail http.HandlerFunc
	}{
		{"503", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusServiceUnavailable) }},
		{"503 with Retry-After", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", "1")
			rw.WriteHeader(http.StatusServiceUnavailable)
		}},
		{"504", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusGatewayTimeout) }},
		{"connection lost", hangUp},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, failFirst(2, tt.fail))
			_, err := w.c.Do(t.Context(), create)
			if !errors.Is(err, ErrOutcomeUnknown) || w.asked() != 1 {
				t.Errorf("got %v after %d POSTs, want ErrOutcomeUnknown after 1", err, w.asked())
			}
			if !strings.Contains(err.Error(), "outcome unknown") {
				t.Errorf("the error %q does not say so", err)
			}
			idempotent := create
			idempotent.Idempotent = true
			resp, err := w.c.Do(t.Context(), idempotent)
			if err != nil || w.asked() != 3 {
				t.Fatalf("declared idempotent: %v after %d POSTs, want success at the third", err, w.asked())
			}
			resp.Body.Close()
		})
	}
	t.Run("429 was turned away at the door", func(t *testing.T) {
		w := newWorld(t, failFirst(2, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusTooManyRequests) }))
		resp, err := w.c.Do(t.Context(), create)
		if err != nil || w.asked() != 3 {
			t.Fatalf("got %v after %d POSTs, want success at the third", err, w.asked())
		}
		resp.Body.Close()
	})
	t.Run("4xx is an answer", func(t *testing.T) {
		w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusUnprocessableEntity) })
		if _, err := w.c.Do(t.Context(), create); errors.Is(err, ErrOutcomeUnknown) || err == nil {
			t.Errorf("got %v, want a plain 422", err)
		}
	})
	t.Run("nobody listens: nothing was sent", func(t *testing.T) {
		w := newWorld(t, nil)
		w.c.HTTP = &http.Client{Transport: &http.Transport{DialTLSContext: refuse}}
		_, err := w.c.Do(t.Context(), create)
		if e := asError(t, err); errors.Is(err, ErrOutcomeUnknown) || e.Sent || e.Tries != 5 {
			t.Errorf("got %v, sent %t, %d tries; want it tried 5 times and not called unknown", err, e.Sent, e.Tries)
		}
	})
	t.Run("NoRetry: a GET that starts something is sent once", func(t *testing.T) {
		w := newWorld(t, failFirst(1, hangUp))
		// A connection that has been used before: there net/http itself would repeat a GET.
		warm, err := w.c.Do(t.Context(), Request{URL: "Patient", NoRetry: true})
		if err == nil {
			warm.Body.Close()
		}
		ok, err := w.c.Do(t.Context(), Request{URL: "Patient"})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, ok.Body)
		ok.Body.Close()
		before := w.asked()
		w2 := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("start") != "" {
				panic(http.ErrAbortHandler)
			}
			reply(rw, 200, `{}`)
		})
		for range 3 {
			ok, err := w2.c.Do(t.Context(), Request{URL: "Patient"})
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, ok.Body)
			ok.Body.Close()
		}
		_, err = w2.c.Do(t.Context(), Request{URL: "Group/g/$export?start=1", NoRetry: true})
		if !errors.Is(err, ErrOutcomeUnknown) || w2.asked() != 4 || before != 2 {
			t.Errorf("got %v after %d requests, want ErrOutcomeUnknown and the start sent once", err, w2.asked()-3)
		}
		_, err = w2.c.Do(t.Context(), Request{URL: "jobs/1?start=1", NoRetry: true, Idempotent: true})
		if err == nil || errors.Is(err, ErrOutcomeUnknown) || w2.asked() != 5 {
			t.Errorf("got %v after %d requests, want a question that starts nothing to be sent once and to leave nothing in doubt", err, w2.asked()-4)
		}
	})
}

func refuse(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("refused")
}

func TestRefusalWithOperationOutcome(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Date", "Sun, 01 Mar 2026 12:00:00 GMT")
		reply(rw, 400, `{"resourceType":"OperationOutcome","issue":[
			{"severity":"information","code":"invalid","details":{"coding":[{"code":"59100"}]},"diagnostics":"canary-diagnostics"},
			{"severity":"fatal","code":"required","details":{"coding":[{"system":"urn:oid:1.2.840.114350.1.13.0.1.7.2.657369","code":"59108"}],"text":"canary-text"}}]}`)
	})
	_, err := Collect(Search[r4.Observation](t.Context(), w.c, Where("patient", "canary-id")))
	e := asError(t, err)
	if e.Status != 400 || e.HTTPStatus() != 400 || e.Outcome() == nil || len(e.Outcome().Issue) != 2 {
		t.Errorf("got status %d and outcome %v, want 400 and two issues", e.Status, e.Outcome())
	}
	if want := "fhir: search Observation, page 1: 400 required 59108"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if e.URL != goodBase+"/Observation" || e.Date.IsZero() {
		t.Errorf("got URL %q and date %s", e.URL, e.Date)
	}
}

func TestRefusalInTheHeaderOnly(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", error_description="The access token provided is valid, but is not authorized for this service"`)
		rw.WriteHeader(http.StatusForbidden)
	})
	_, err := Read[r4.Patient](t.Context(), w.c, "canary-id")
	e := asError(t, err)
	if e.Status != 403 || e.Challenge() != "insufficient_scope" || !strings.HasPrefix(e.Bearer.Description, "The access token") {
		t.Errorf("got %d, %+v", e.Status, e.Bearer)
	}
	if want := "fhir: read Patient/…: 403 insufficient_scope"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestHTMLIsNeitherParsedNorQuoted(t *testing.T) {
	html := func(status int) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "text/html")
			rw.WriteHeader(status)
			_, _ = io.WriteString(rw, "<html><title>404 - canary</title></html>")
		}
	}
	t.Run("404", func(t *testing.T) {
		w := newWorld(t, html(404))
		_, err := Read[r4.Patient](t.Context(), w.c, "a")
		if e := asError(t, err); e.Status != 404 || e.Outcome() != nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("got %v", err)
		}
	})
	for name, h := range map[string]http.HandlerFunc{
		"200 with a sign-in page": html(200),
		"200 with XML": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/fhir+xml")
			_, _ = io.WriteString(rw, `<Patient/>`)
		},
		"204":                  func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNoContent) },
		"200 with two quotes":  func(rw http.ResponseWriter, _ *http.Request) { reply(rw, 200, `""`) },
		"200 with broken JSON": func(rw http.ResponseWriter, _ *http.Request) { reply(rw, 200, `{"resourceType":"Patient","canary":}`) },
		"unknown encoding": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "br")
			reply(rw, 200, `x`)
		},
		"HTML called JSON":        func(rw http.ResponseWriter, _ *http.Request) { reply(rw, 200, `<html>canary</html>`) },
		"JSON with trailing data": func(rw http.ResponseWriter, _ *http.Request) { reply(rw, 200, `{"resourceType":"Patient"}{}`) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, h)
			_, err := Read[r4.Patient](t.Context(), w.c, "a")
			if !errors.Is(err, ErrNotFHIR) || strings.Contains(err.Error(), "canary") || w.asked() != 1 {
				t.Errorf("Read: got %v after %d requests, want ErrNotFHIR after 1", err, w.asked())
			}
			_, err = Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
			if !errors.Is(err, ErrNotFHIR) && !errors.Is(err, ErrWrongType) || strings.Contains(err.Error(), "canary") {
				t.Errorf("Search: got %v, want ErrNotFHIR", err)
			}
		})
	}
	t.Run("names of JSON that servers use are accepted", func(t *testing.T) {
		for _, ct := range []string{"application/json+fhir; charset=utf-8", "application/json", "text/json", ""} {
			w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header()["Content-Type"] = nil
				if ct != "" {
					rw.Header().Set("Content-Type", ct)
				}
				_, _ = io.WriteString(rw, "\xef\xbb\xbf"+`{"resourceType":"Patient","id":"a"}`)
			})
			if _, err := Read[r4.Patient](t.Context(), w.c, "a"); err != nil {
				t.Errorf("%q: %v", ct, err)
			}
		}
	})
}

func TestBodyThatEndsEarlyIsFetchedAgain(t *testing.T) {
	half := func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/fhir+json")
		rw.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(rw, `{"resourceType":"Patient",`)
	}
	w := newWorld(t, failFirst(2, half))
	if _, err := Read[r4.Patient](t.Context(), w.c, "a"); err != nil || w.asked() != 3 {
		t.Errorf("got %v after %d requests, want success at the third", err, w.asked())
	}
	w = newWorld(t, failFirst(9, half))
	if _, err := Read[r4.Patient](t.Context(), w.c, "a"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want ErrUnexpectedEOF", err)
	}
	t.Run("even when it pretends to be whole", func(t *testing.T) {
		w := newWorld(t, failFirst(2, func(rw http.ResponseWriter, _ *http.Request) { reply(rw, 200, `{"resourceType":"Patient",`) }))
		if _, err := Read[r4.Patient](t.Context(), w.c, "a"); err != nil || w.asked() != 3 {
			t.Errorf("got %v after %d requests, want success at the third", err, w.asked())
		}
	})
	t.Run("in a stream it is the caller's", func(t *testing.T) {
		w := newWorld(t, failFirst(1, half))
		resp, err := w.c.Do(t.Context(), Request{URL: "Patient/a"})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v, want ErrUnexpectedEOF", err)
		}
	})
}

func TestServerThatStallsEndsWithErrStalled(t *testing.T) {
	block := func(r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(10 * time.Second):
		}
	}
	tests := []struct {
		name string
		h    http.HandlerFunc
	}{
		{"header", func(_ http.ResponseWriter, r *http.Request) { block(r) }},
		{"body", func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "application/fhir+json")
			_, _ = io.WriteString(rw, `{"resourceType":`)
			_ = http.NewResponseController(rw).Flush()
			block(r)
		}},
		{"dripping", func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "application/fhir+json")
			for r.Context().Err() == nil {
				if _, err := io.WriteString(rw, " "); err != nil {
					return
				}
				_ = http.NewResponseController(rw).Flush()
				time.Sleep(5 * time.Millisecond) // the fault itself, in real time
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.h)
			w.c.Limits.MaxTries = 2
			w.c.Limits.HeaderTimeout = 400 * time.Millisecond
			w.c.Limits.IdleTimeout = 400 * time.Millisecond
			start := time.Now()
			_, err := Read[r4.Patient](t.Context(), w.c, "a")
			if !errors.Is(err, ErrStalled) || w.asked() != 2 {
				t.Errorf("got %v after %d requests, want ErrStalled after 2", err, w.asked())
			}
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("took %s", d)
			}
			if tt.name == "header" {
				return
			}
			resp, err := w.c.Do(t.Context(), Request{URL: "Patient/a"})
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadAll(resp.Body); !errors.Is(err, ErrStalled) {
				t.Errorf("stream: got %v, want ErrStalled", err)
			}
		})
	}
	t.Run("a reader that takes its time is no stall", func(t *testing.T) {
		w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) { reply(rw, 200, strings.Repeat("x", 200_000)) })
		w.c.Limits.IdleTimeout = 500 * time.Millisecond
		resp, err := w.c.Do(t.Context(), Request{URL: "Binary/a"})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		buf := make([]byte, 50_000)
		for range 3 {
			if _, err := io.ReadFull(resp.Body, buf); err != nil {
				t.Fatal(err)
			}
			time.Sleep(600 * time.Millisecond) // slower than the idle time
		}
	})
	t.Run("total time of a buffered answer", func(t *testing.T) {
		w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "application/fhir+json")
			for r.Context().Err() == nil {
				if _, err := io.WriteString(rw, strings.Repeat(" ", 2000)); err != nil {
					return
				}
				_ = http.NewResponseController(rw).Flush()
				time.Sleep(5 * time.Millisecond)
			}
		})
		w.c.Limits.MaxTries, w.c.Limits.TotalTimeout = 1, 300*time.Millisecond
		if _, err := Read[r4.Patient](t.Context(), w.c, "a"); !errors.Is(err, ErrStalled) {
			t.Errorf("got %v, want ErrStalled", err)
		}
	})
}

func TestOutcomesInResultsGoToNotice(t *testing.T) {
	outcome := func(id, code string) string {
		return fmt.Sprintf(`{"resourceType":"OperationOutcome"%s,"issue":[{"severity":"warning","code":"suppressed","details":{"coding":[{"code":%q}]}}]}`, id, code)
	}
	w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
		reply(rw, 200, `{"resourceType":"Bundle","total":1,"entry":[
			{"resource":{"resourceType":"Patient","id":"a"},"search":{"mode":"match"}},
			{"resource":{"resourceType":"Organization","id":"o"},"search":{"mode":"include"}},
			{"resource":{"resourceType":"Organization","id":"p"}},
			{"fullUrl":"urn:uuid:1","resource":`+outcome("", "59204")+`,"search":{"mode":"outcome"}},
			{"resource":`+outcome("", "4119")+`},
			{"resource":`+outcome("", "4101")+`,"search":{"mode":"match"}}]}`)
	})
	got, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
	if err != nil || ids(t, got) != "a" {
		t.Errorf("got %q, %v; want the patient alone", ids(t, got), err)
	}
	var codes []string
	for _, o := range w.noticed() {
		codes = append(codes, o.Issue[0].Details.Coding[0].Code)
	}
	if s := strings.Join(codes, " "); s != "59204 4119 4101" {
		t.Errorf("notices %q, want the three outcomes and nothing about the total", s)
	}
	var modes []string
	for e, err := range w.c.Entries(t.Context(), "Patient", Where("family", "x")) {
		if err != nil {
			t.Fatal(err)
		}
		modes = append(modes, e.Type+" "+e.Mode)
	}
	if s := strings.Join(modes, ", "); s != "Patient match, Organization include, Organization include" {
		t.Errorf("entries: %s", s)
	}
}

func TestBytesAreKept(t *testing.T) {
	const body = `{"resourceType":"Observation","id":"a" , "valueQuantity":{"value":1.00},"x":12345678901234567890.12345}`
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/a") {
			reply(rw, 200, body)
			return
		}
		reply(rw, 200, `{"resourceType":"Bundle","entry":[{"resource": `+body+` }]}`)
	})
	e, err := w.c.ReadRaw(t.Context(), "Observation", "a")
	if err != nil || string(e.Raw) != body || e.ID != "a" {
		t.Errorf("ReadRaw gave %s, %v", e.Raw, err)
	}
	for e, err := range w.c.Entries(t.Context(), "Observation", Where("patient", "p")) {
		if err != nil || string(e.Raw) != body {
			t.Errorf("Entries gave %s, %v", e.Raw, err)
		}
	}
}

func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	unauthorized := func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		rw.WriteHeader(http.StatusUnauthorized)
	}
	t.Run("a new token is tried", func(t *testing.T) {
		w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer canary-2" {
				unauthorized(rw, r)
				return
			}
			reply(rw, 200, `{"resourceType":"Patient","id":"a"}`)
		})
		auth := &countedTokens{}
		w.c.Auth = auth
		if _, err := Read[r4.Patient](t.Context(), w.c, "a"); err != nil || w.asked() != 2 {
			t.Fatalf("got %v after %d requests", err, w.asked())
		}
		resp, err := w.c.Do(t.Context(), Request{Method: "POST", URL: "Patient", Body: []byte("{}")})
		if err != nil || w.asked() != 3 {
			t.Fatalf("got %v after %d requests", err, w.asked())
		}
		resp.Body.Close()
		if auth.base != goodBase || auth.refused != "canary-1" {
			t.Errorf("the source was asked for base %q after %q was refused", auth.base, auth.refused)
		}
	})
	t.Run("the second refusal is final", func(t *testing.T) {
		w := newWorld(t, unauthorized)
		w.c.Auth = &countedTokens{}
		_, err := Read[r4.Patient](t.Context(), w.c, "a")
		if e := asError(t, err); e.Status != 401 || e.Challenge() != "invalid_token" || w.asked() != 2 {
			t.Errorf("got %v after %d requests, want 401 after 2", err, w.asked())
		}
	})
	t.Run("an anonymous request has nothing to renew", func(t *testing.T) {
		w := newWorld(t, unauthorized)
		_, err := w.c.Do(t.Context(), Request{URL: "metadata", Anonymous: true, Header: http.Header{"Authorization": {"x"}}})
		if e := asError(t, err); e.Status != 401 || w.asked() != 1 || w.good[0].Header.Get("Authorization") != "" {
			t.Errorf("got %v after %d requests", err, w.asked())
		}
	})
	t.Run("no token is no request", func(t *testing.T) {
		w := newWorld(t, unauthorized)
		fail := errors.New("smart: token: invalid_client (400)")
		w.c.Auth = tokenFunc(func() (string, error) { return "", fail })
		_, err := Read[r4.Patient](t.Context(), w.c, "a")
		if !errors.Is(err, fail) || w.asked() != 0 || err.Error() != "fhir: read Patient/…: smart: token: invalid_client (400)" {
			t.Errorf("got %v after %d requests", err, w.asked())
		}
	})
}

type countedTokens struct {
	n             int
	base, refused string
}

func (c *countedTokens) Token(_ context.Context, base, refused string) (string, error) {
	c.base = base
	if c.n == 0 || refused == fmt.Sprintf("canary-%d", c.n) {
		c.n++
	}
	if refused != "" {
		c.refused = refused
	}
	return fmt.Sprintf("canary-%d", c.n), nil
}

type tokenFunc func() (string, error)

func (f tokenFunc) Token(context.Context, string, string) (string, error) { return f() }
