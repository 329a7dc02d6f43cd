package fhir

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/andironhq/andiron/r4"
)

// canary is in every id, value, token, header and answer of these tests. It must come out
// of no error, log record or trace, in none of the forms that software writes text in.
const canary = "Canary7Quux"

func forms(s string) []string {
	out := []string{s, strings.ToLower(s), url.QueryEscape(s), hex.EncodeToString([]byte(s)), fmt.Sprintf("%q", s)[1 : len(s)+1]}
	for shift := range 3 { // base64 at its three alignments
		e := base64.StdEncoding.EncodeToString(append(make([]byte, shift), s...))
		out = append(out, e[4:len(e)-4])
	}
	return out
}

func leaks(text string) bool {
	for _, f := range forms(canary) {
		if strings.Contains(strings.ToLower(text), strings.ToLower(f)) {
			return true
		}
	}
	return false
}

func TestNothingPrivateInErrorsLogsOrTraces(t *testing.T) {
	outcome := `{"resourceType":"OperationOutcome","id":"` + canary + `","issue":[{"severity":"fatal","code":"` + canary + `","diagnostics":"` + canary + `",
		"details":{"text":"` + canary + `","coding":[{"code":"` + canary + `"}]}}]}`
	raw := func(answer string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(rw).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}
	faults := map[string]http.HandlerFunc{
		"outcome":        func(rw http.ResponseWriter, _ *http.Request) { reply(rw, 400, outcome) },
		"outcome as 200": func(rw http.ResponseWriter, _ *http.Request) { reply(rw, 200, outcome) },
		"header": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("WWW-Authenticate", `Bearer error="`+canary+`", error_description="`+canary+`", scope="`+canary+`"`)
			rw.WriteHeader(http.StatusForbidden)
		},
		"echo": func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "text/html")
			rw.WriteHeader(http.StatusInternalServerError)
			_ = r.Header.Write(rw)
			_, _ = io.WriteString(rw, r.URL.String())
		},
		"html": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(rw, canary)
		},
		"broken JSON": func(rw http.ResponseWriter, _ *http.Request) {
			reply(rw, 200, `{"resourceType":"Patient","`+canary+`":"`+canary+`","`+canary+`":1}`)
		},
		"bad string": func(rw http.ResponseWriter, _ *http.Request) {
			reply(rw, 200, `{"resourceType":"Patient","id":"`+canary+`\x"}`)
		},
		"broken entry": func(rw http.ResponseWriter, _ *http.Request) {
			reply(rw, 200, `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"`+canary+`",]}}]}`)
		},
		"type": func(rw http.ResponseWriter, _ *http.Request) { reply(rw, 200, `{"resourceType":"`+canary+`"}`) },
		"redirect": func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "https://evil.example.com/"+canary+"?"+canary, http.StatusFound)
		},
		"bad redirect": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Location", "https://%zz"+canary)
			rw.WriteHeader(http.StatusFound)
		},
		"user in redirect": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Location", "https://"+canary+":"+canary+"@evil.example.com/")
			rw.WriteHeader(http.StatusFound)
		},
		"next": func(rw http.ResponseWriter, _ *http.Request) {
			reply(rw, 200, patients(-1, "https://evil.example.com/"+canary+"?"+canary, "a"))
		},
		"bad next": func(rw http.ResponseWriter, _ *http.Request) { reply(rw, 200, patients(-1, "https://%zz"+canary, "a")) },
		"next loop": func(rw http.ResponseWriter, r *http.Request) {
			reply(rw, 200, patients(-1, goodOrigin+r.URL.String(), canary))
		},
		"encoding":        func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("Content-Encoding", canary) },
		"status line":     raw("HTTP/1.1 " + canary + "\r\n\r\n"),
		"no HTTP":         raw(canary + " " + canary),
		"header line":     raw("HTTP/1.1 200 OK\r\n" + canary + "\r\n\r\n"),
		"content length":  raw("HTTP/1.1 200 OK\r\nContent-Length: " + canary + "\r\n\r\n"),
		"transfer coding": raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + canary + "\r\n\r\n"),
		"chunk":           raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + canary + "\r\n"),
		"throttled": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", canary)
			rw.WriteHeader(http.StatusTooManyRequests)
		},
		"hang up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	seen := 0
	for name, h := range faults {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, h)
			w.c.Auth = staticToken("token-" + canary)
			w.c.Header = http.Header{"Epic-Client-Id": {canary}}
			w.c.Limits.MaxTries = 2
			check := func(what string, err error) {
				t.Helper()
				if err == nil {
					return
				}
				seen++
				for _, text := range []string{err.Error(), fmt.Sprintf("%v", err), fmt.Sprintf("%+v", err), fmt.Sprintf("%s", err), fmt.Sprintf("%q", err)} {
					if leaks(text) {
						t.Errorf("%s: the error holds what is private: %s", what, text)
					}
				}
			}
			_, err := Read[r4.Patient](t.Context(), w.c, canary)
			check("Read", err)
			_, err = Collect(Search[r4.Patient](t.Context(), w.c, Where("family", canary).And(canary, canary)))
			check("Search", err)
			_, err = w.c.Count(t.Context(), "Patient", Where("family", canary))
			check("Count", err)
			_, err = w.c.Capabilities(t.Context())
			check("Capabilities", err)
			for _, r := range []Request{
				{URL: "Group/" + canary + "/$export?x=" + canary},
				{URL: goodOrigin + "/elsewhere/" + canary + "?" + canary},
				{URL: "https://evil.example.com/" + canary},
				{URL: "https://" + canary + ":" + canary + "@good.example.com/"},
				{URL: "$" + canary + "1/%" + canary},
				{Method: "POST", URL: "Patient", Body: []byte(canary)},
				{Method: "DELETE", URL: "Patient/" + canary},
				{URL: "Patient/" + canary + "/_history/" + canary},
			} {
				resp, err := w.c.Do(t.Context(), r)
				check("Do", err)
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if leaks(fmt.Sprintf("%v", resp.Request.Header)) {
						t.Error("the answer's Request holds the token")
					}
				}
			}
			if s := fmt.Sprintf("%v %+v %s", w.c, w.c, w.c); leaks(s) {
				t.Errorf("a client prints itself as %s", s)
			}
			if log := w.log.String(); leaks(log) || !strings.Contains(log, "fhir exchange") {
				t.Errorf("the log holds what is private, or nothing:\n%s", log)
			}
			if leaks(fmt.Sprintf("%+v", w.traces)) || len(w.traces) == 0 {
				t.Errorf("the traces hold what is private, or nothing: %+v", w.traces)
			}
		})
	}
	if seen < 5*len(faults) {
		t.Errorf("only %d errors were looked at", seen)
	}
	// The controls: a search that cannot find proves nothing.
	for _, text := range []string{"x" + canary, url.QueryEscape("a " + canary), base64.StdEncoding.EncodeToString([]byte("ab" + canary + "cd")), hex.EncodeToString([]byte(canary))} {
		if !leaks(text) {
			t.Errorf("the planted leak %q is not found", text)
		}
	}
}

func TestNetworkFailuresHavePlainWords(t *testing.T) {
	dial := func(f func() (net.Conn, error)) *Client {
		return &Client{Base: goodBase, Limits: Limits{MaxTries: 2}, Wait: newClock().Wait, HTTP: &http.Client{Transport: &http.Transport{
			DialTLSContext: func(_ context.Context, _, _ string) (net.Conn, error) { return f() },
		}}}
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := closed.Addr().String()
	closed.Close()
	tests := []struct {
		name string
		c    *Client
		want string
	}{
		{"nobody listens", dial(func() (net.Conn, error) { return net.Dial("tcp", addr) }), "fhir: read Patient/…: connection refused, 2 tries"},
		{
			"no such host", dial(func() (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: canary, IsNotFound: true}}
			}),
			"fhir: read Patient/…: host name does not exist, 2 tries",
		},
		{"name server fails", dial(func() (net.Conn, error) { return nil, &net.DNSError{Name: canary} }), "fhir: read Patient/…: host name cannot be looked up, 2 tries"},
		{"something else", dial(func() (net.Conn, error) { return nil, errors.New(canary) }), "fhir: read Patient/…: exchange failed, 2 tries"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read[r4.Patient](t.Context(), tt.c, "1")
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if e := asError(t, err); e.Sent || e.Status != 0 {
				t.Errorf("a request that found nobody counts as sent")
			}
		})
	}
	t.Run("a certificate that is not trusted is not tried again", func(t *testing.T) {
		server := httptest.NewTLSServer(nil)
		defer server.Close()
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		c := &Client{Base: server.URL, Limits: Limits{MaxTries: 3}, Wait: newClock().Wait}
		_, err := Read[r4.Patient](t.Context(), c, "1")
		if err == nil || err.Error() != "fhir: read Patient/…: certificate of an unknown authority" {
			t.Errorf("got %v", err)
		}
		c.inner.transport.(*http.Transport).CloseIdleConnections()
	})
	t.Run("a server without TLS", func(t *testing.T) {
		server := httptest.NewServer(nil)
		defer server.Close()
		c := &Client{Base: strings.Replace(server.URL, "http:", "https:", 1), Limits: Limits{MaxTries: 3}, Wait: newClock().Wait}
		_, err := Read[r4.Patient](t.Context(), c, "1")
		if err == nil || err.Error() != "fhir: read Patient/…: the server does not speak TLS here" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a token that cannot be a header", func(t *testing.T) {
		w := newWorld(t, nil)
		w.c.Auth = staticToken(canary + "\r\nX: y")
		_, err := Read[r4.Patient](t.Context(), w.c, "1")
		if err == nil || err.Error() != "fhir: read Patient/…: header value with a line break" || w.asked() != 0 {
			t.Errorf("got %v after %d requests", err, w.asked())
		}
	})
	t.Run("the caller's deadline", func(t *testing.T) {
		w := newWorld(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := Read[r4.Patient](ctx, w.c, "1")
		if err == nil || err.Error() != "fhir: read Patient/…: stopped by its context" || w.asked() != 1 {
			t.Errorf("got %v after %d requests", err, w.asked())
		}
	})
}
