package fhir

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andironhq/andiron/r4"
)

// benchServer plays pages of 100 Observations on loopback, of the size that other clients
// were measured with (about 84 kB a page).
func benchServer(tb testing.TB, resources int) *Client {
	tb.Helper()
	const per = 100
	const entry = `{"link":[{"relation":"self","url":"https://epic.example/api/FHIR/R4/Observation/e########XyZ"}],"fullUrl":"https://epic.example/api/FHIR/R4/Observation/e########XyZ","resource":{"resourceType":"Observation","id":"e########XyZ","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}],"text":"Laboratory"}],"code":{"coding":[{"system":"http://loinc.org","code":"4548-4","display":"Hemoglobin A1c/Hemoglobin.total in Blood"}],"text":"Hemoglobin A1c"},"subject":{"reference":"Patient/erXuFYUfucBZaryVksYEcMg3","display":"Lopez, Camila"},"effectiveDateTime":"2024-05-01T08:00:00Z","issued":"2024-05-01T09:00:00Z","valueQuantity":{"value":7.20,"unit":"%","system":"http://unitsofmeasure.org","code":"%"}},"search":{"mode":"match"}}`
	entries := strings.Repeat(entry+",", per)
	entries = entries[:len(entries)-1]
	// The server only copies and numbers, so that the client is what is measured.
	page := func(w io.Writer, n int, next string) {
		_, _ = io.WriteString(w, `{"resourceType":"Bundle","type":"searchset","total":100,"link":[`)
		if next != "" {
			_, _ = fmt.Fprintf(w, `{"relation":"next","url":%q},`, next)
		}
		_, _ = io.WriteString(w, `{"relation":"self","url":"x"}],"entry":[`)
		body := []byte(entries)
		at := 0
		for i := range 3 * per {
			at += bytes.IndexByte(body[at:], '#')
			for d, v := 7, n*per+i/3; d >= 0; d, v = d-1, v/10 {
				body[at+d] = byte('0' + v%10)
			}
		}
		_, _ = w.Write(append(body, "]}"...))
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/fhir+json")
		if strings.Contains(r.URL.Path, "/Patient/") {
			_, _ = io.WriteString(rw, `{"resourceType":"Patient","id":"a","name":[{"family":"Lopez","given":["Camila"]}],"birthDate":"1987-09-12"}`)
			return
		}
		n, _ := strconv.Atoi(r.URL.Query().Get("page"))
		next := ""
		if (n+1)*per < resources {
			next = fmt.Sprintf("http://%s/fhir/Observation?page=%d", r.Host, n+1)
		}
		page(rw, n, next)
	}))
	c := &Client{Base: server.URL + "/fhir", Auth: staticToken("t"), Limits: Limits{PerMinute: -1, Concurrency: -1}}
	tb.Cleanup(func() {
		if c.inner != nil {
			c.inner.transport.(*http.Transport).CloseIdleConnections()
		}
		server.Close()
	})
	return c
}

// BenchmarkSearch pages through 100,000 Observations, decoded and as bytes. The server runs
// in the same process and shares its cores and its heap.
func BenchmarkSearch(b *testing.B) {
	const n = 100_000
	b.Run("decoded", func(b *testing.B) {
		c := benchServer(b, n)
		measure(b, func() (got int, first time.Duration) {
			start := time.Now()
			for _, err := range Search[r4.Observation](b.Context(), c, Where("patient", "x")) {
				if err != nil {
					b.Fatal(err)
				}
				if got++; got == 1 {
					first = time.Since(start)
				}
			}
			return got, first
		}, n)
	})
	b.Run("bytes", func(b *testing.B) {
		c := benchServer(b, n)
		measure(b, func() (got int, first time.Duration) {
			start := time.Now()
			for _, err := range c.Entries(b.Context(), "Observation", Where("patient", "x")) {
				if err != nil {
					b.Fatal(err)
				}
				if got++; got == 1 {
					first = time.Since(start)
				}
			}
			return got, first
		}, n)
	})
}

func measure(b *testing.B, run func() (int, time.Duration), want int) {
	b.Helper()
	var first time.Duration
	total := 0
	var peak uint64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		t := time.NewTicker(5 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				peak = max(peak, rssAnon())
			case <-stop:
				return
			}
		}
	})
	for b.Loop() {
		got, f := run()
		if got != want {
			b.Fatalf("got %d resources, want %d", got, want)
		}
		total += got
		first += f
	}
	close(stop)
	wg.Wait()
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "resources/s")
	b.ReportMetric(float64(first.Microseconds())/float64(b.N), "first-µs")
	b.ReportMetric(float64(peak)/(1<<20), "peak-anon-MB")
}

// rssAnon is the anonymous memory of this process; 0 where /proc is not.
func rssAnon() uint64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, _ := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}

// BenchmarkRead reads single patients, one by one and 16 at once.
func BenchmarkRead(b *testing.B) {
	c := benchServer(b, 1)
	for _, parallel := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d at once", parallel), func(b *testing.B) {
			b.SetParallelism((parallel + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			if parallel == 1 {
				for b.Loop() {
					if _, err := Read[r4.Patient](b.Context(), c, "a"); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := Read[r4.Patient](b.Context(), c, "a"); err != nil {
							b.Error(err)
						}
					}
				})
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
		})
	}
}

// BenchmarkCutPage is the cost of splitting one page, without network or decoding.
func BenchmarkCutPage(b *testing.B) {
	c := benchServer(b, 100)
	resp, err := c.Do(b.Context(), Request{URL: "Observation?page=0"})
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cutPage(data); err != nil {
			b.Fatal(err)
		}
	}
}
