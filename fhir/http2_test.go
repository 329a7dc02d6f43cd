package fhir

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andironhq/andiron/r4"
)

// HTTP/2 breaks in other ways than HTTP/1: by reset streams, over a connection that lives on.
func TestHTTP2(t *testing.T) {
	start := func(t *testing.T, h http.HandlerFunc) *Client {
		t.Helper()
		server := httptest.NewUnstartedServer(h)
		server.EnableHTTP2 = true
		server.StartTLS()
		transport := server.Client().Transport.(*http.Transport).Clone() //nolint:forcetypeassert // httptest says so
		t.Cleanup(func() {
			transport.CloseIdleConnections()
			server.Close()
		})
		return &Client{Base: server.URL, HTTP: &http.Client{Transport: transport}, Wait: newClock().Wait, Limits: Limits{PerMinute: -1, IdleTimeout: 400 * time.Millisecond}}
	}
	patient := func(rw http.ResponseWriter) { reply(rw, 200, `{"resourceType":"Patient","id":"a"}`) }

	t.Run("a GET that starts something is sent once, without a body", func(t *testing.T) {
		var n atomic.Int64
		c := start(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 2 {
				t.Errorf("spoke %s", r.Proto)
			}
			if r.URL.Path != "/Group/g/$export" {
				patient(rw)
				return
			}
			if body, err := io.ReadAll(r.Body); len(body) > 0 || err != nil {
				t.Errorf("the body is %q, %v", body, err)
			}
			if n.Add(1) == 1 {
				panic(http.ErrAbortHandler)
			}
			rw.WriteHeader(http.StatusAccepted)
		})
		if _, err := Read[r4.Patient](t.Context(), c, "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Do(t.Context(), Request{URL: "Group/g/$export", NoRetry: true}); !errors.Is(err, ErrOutcomeUnknown) || n.Load() != 1 {
			t.Errorf("got %v after %d starts, want ErrOutcomeUnknown after 1", err, n.Load())
		}
		resp, err := c.Do(t.Context(), Request{URL: "Group/g/$export", NoRetry: true})
		if err != nil || resp.StatusCode != http.StatusAccepted {
			t.Fatalf("got %v", err)
		}
		resp.Body.Close()
	})
	t.Run("a reset stream is asked for again", func(t *testing.T) {
		var n atomic.Int64
		c := start(t, func(rw http.ResponseWriter, _ *http.Request) {
			if n.Add(1) < 3 {
				rw.Header().Set("Content-Type", "application/fhir+json")
				_, _ = io.WriteString(rw, `{"resourceType":`)
				_ = http.NewResponseController(rw).Flush()
				panic(http.ErrAbortHandler)
			}
			patient(rw)
		})
		if _, err := Read[r4.Patient](t.Context(), c, "a"); err != nil || n.Load() != 3 {
			t.Errorf("got %v after %d requests", err, n.Load())
		}
	})
	t.Run("a stalled stream ends", func(t *testing.T) {
		c := start(t, func(rw http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(rw, "x")
			_ = http.NewResponseController(rw).Flush()
			<-r.Context().Done()
		})
		resp, err := c.Do(t.Context(), Request{URL: "Binary/a"})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, ErrStalled) {
			t.Errorf("got %v, want ErrStalled", err)
		}
	})
}
