package fhir

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/andironhq/andiron/r4"
)

func packed(plain string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, plain)
	_ = z.Close()
	return b.Bytes()
}

func serve(contentType, encoding string, body []byte) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", contentType)
		if encoding != "" {
			rw.Header().Set("Content-Encoding", encoding)
		}
		_, _ = rw.Write(body)
	}
}

func TestPackedAnswers(t *testing.T) {
	const doc = `{"resourceType":"Patient","id":"a"}`
	two := append(packed(doc[:9]), packed(doc[9:])...)
	flipped := packed(doc)
	flipped[len(flipped)-6] ^= 1 // the checksum
	tests := []struct {
		name     string
		encoding string
		body     []byte
		want     error
	}{
		{"gzip", "gzip", packed(doc), nil},
		{"x-gzip", "x-gzip", packed(doc), nil},
		{"joined members", "gzip", two, nil},
		{"the header without the thing", "gzip", []byte(doc), nil},
		{"identity", "identity", []byte(doc), nil},
		{"wrong checksum", "gzip", flipped, gzip.ErrChecksum},
		{"cut", "gzip", packed(doc)[:20], io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, serve("application/fhir+json", tt.encoding, tt.body))
			_, err := Read[r4.Patient](t.Context(), w.c, "a")
			if !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
				t.Errorf("Read: got %v, want %v", err, tt.want)
			}
			if tt.want != nil && w.asked() != 5 {
				t.Errorf("asked %d times for a broken body, want 5", w.asked())
			}
			resp, err := w.c.Do(t.Context(), Request{URL: "Patient/a"})
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			data, err := io.ReadAll(resp.Body)
			if !errors.Is(err, tt.want) || tt.want == nil && string(data) != doc {
				t.Errorf("Do: got %q, %v", data, err)
			}
		})
	}
	t.Run("a refusal in an unknown encoding keeps its status", func(t *testing.T) {
		w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "br")
			reply(rw, http.StatusForbidden, "x")
		})
		_, err := Read[r4.Patient](t.Context(), w.c, "a")
		if e := asError(t, err); e.Status != http.StatusForbidden || errors.Is(err, ErrNotFHIR) {
			t.Errorf("got %v, want a plain 403", err)
		}
	})
	t.Run("who asks for an encoding gets it", func(t *testing.T) {
		w := newWorld(t, serve("application/fhir+ndjson", "gzip", packed(doc)))
		resp, err := w.c.Do(t.Context(), Request{URL: "Patient/a", Header: http.Header{"Accept-Encoding": {"gzip"}}})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if data, _ := io.ReadAll(resp.Body); !bytes.Equal(data, packed(doc)) {
			t.Errorf("got %q", data)
		}
	})
}

// zeros is 10 MB of gzip that open to 10 GB.
func zeros(rw http.ResponseWriter, _ *http.Request) {
	rw.Header().Set("Content-Type", "application/fhir+json")
	rw.Header().Set("Content-Encoding", "gzip")
	z, _ := gzip.NewWriterLevel(rw, gzip.BestSpeed)
	chunk := bytes.Repeat([]byte(" "), 1<<20)
	for range 10 << 10 {
		if _, err := z.Write(chunk); err != nil {
			return
		}
	}
}

func TestLargeAnswersEndInBoundedMemory(t *testing.T) {
	endless := func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/fhir+json")
		chunk := bytes.Repeat([]byte(" "), 1<<20)
		for range 10 << 10 {
			if _, err := rw.Write(chunk); err != nil {
				return
			}
		}
	}
	entries := func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(rw, `{"resourceType":"Bundle","entry":[{}`)
		chunk := strings.Repeat(`,{"resource":{"resourceType":"Patient"}}`, 10_000)
		for range 10_000 {
			if _, err := io.WriteString(rw, chunk); err != nil {
				return
			}
		}
	}
	tiny := func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/fhir+json")
		_, _ = io.WriteString(rw, `{"resourceType":"Bundle","entry":[{}`+strings.Repeat(`,{"resource":{}}`, 2_000_000)+`]}`)
	}
	for name, h := range map[string]http.HandlerFunc{"two million entries": tiny, "10 GB": endless, "gzip bomb": zeros, "a page without end": entries} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, h)
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrTooLarge) || w.asked() != 1 {
				t.Errorf("got %v after %d requests, want ErrTooLarge after 1", err, w.asked())
			}
			if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 160<<20 {
				t.Errorf("the heap grew by %d MB", grown>>20)
			}
		})
	}
	t.Run("gzip bomb in a stream", func(t *testing.T) {
		w := newWorld(t, zeros)
		resp, err := w.c.Do(t.Context(), Request{URL: "Binary/a"})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if !errors.Is(err, ErrTooLarge) || n > 40<<20 {
			t.Errorf("got %v after %d MB, want ErrTooLarge within 40", err, n>>20)
		}
	})
	t.Run("a large stream that is not packed is no bomb", func(t *testing.T) {
		w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
			line := []byte(strings.Repeat("x", 1<<20))
			for range 100 {
				_, _ = rw.Write(line)
			}
		})
		resp, err := w.c.Do(t.Context(), Request{URL: "Binary/a"})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); n != 100<<20 || err != nil {
			t.Errorf("got %d bytes, %v", n, err)
		}
	})
	t.Run("MaxBody", func(t *testing.T) {
		for size, want := range map[int]error{1000: nil, 1001: ErrTooLarge} {
			body := fmt.Sprintf(`{"resourceType":"Patient","id":"%s"}`, strings.Repeat("x", size-len(`{"resourceType":"Patient","id":""}`)))
			w := newWorld(t, serve("application/fhir+json", "", []byte(body)))
			w.c.Limits.MaxBody = 1000
			if _, err := Read[r4.Patient](t.Context(), w.c, "a"); !errors.Is(err, want) || (want == nil) != (err == nil) {
				t.Errorf("%d bytes: got %v, want %v", size, err, want)
			}
		}
	})
	t.Run("a refusal with an endless body", func(t *testing.T) {
		w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "application/fhir+json")
			rw.WriteHeader(http.StatusBadRequest)
			endless(rw, r)
		})
		_, err := Read[r4.Patient](t.Context(), w.c, "a")
		if e := asError(t, err); e.Status != 400 || e.Outcome() != nil {
			t.Errorf("got %v", err)
		}
	})
}
