package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// lockedBuffer collects the output of a process that still runs.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// bulkServer exports size bytes of Observations in files of 50 MB, made as they are sent.
func bulkServer(t *testing.T, size int64) *httptest.Server {
	const fileSize = 50 << 20
	note := strings.Repeat("lorem ipsum dolor sit amet ", 30)
	chunk := func(from int) []byte {
		var b bytes.Buffer
		for i := range 100 {
			fmt.Fprintf(&b, `{"resourceType":"Observation","id":"o%d","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.10},"note":[{"text":%q}]}`+"\n", from+i, note)
		}
		return b.Bytes()
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("GET /fhir/metadata", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		io.WriteString(w, `{"resourceType":"CapabilityStatement","status":"active","kind":"instance","fhirVersion":"4.0.1","format":["json"]}`)
	})
	mux.HandleFunc("GET /fhir/Group/g/$export", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Location", server.URL+"/job")
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("GET /job", func(w http.ResponseWriter, _ *http.Request) {
		var files []string
		for i := range (size + fileSize - 1) / fileSize {
			files = append(files, fmt.Sprintf(`{"type":"Observation","url":"%s/file/%d"}`, server.URL, i))
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"transactionTime":"2026-01-01T00:00:00Z","request":"%s/fhir/Group/g/$export","requiresAccessToken":false,"output":[%s],"error":[]}`, server.URL, strings.Join(files, ","))
	})
	mux.HandleFunc("DELETE /job", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	mux.HandleFunc("GET /file/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("n"))
		w.Header().Set("Content-Type", "application/fhir+ndjson")
		for sent := 0; sent < fileSize; {
			b := chunk(n*10_000_000 + sent)
			if _, err := w.Write(b); err != nil {
				return
			}
			sent += len(b)
		}
	})
	return server
}

// anonymous is a process's anonymous memory in bytes (RssAnon); 0 when it has gone.
func anonymous(pid int) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "RssAnon:" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// An export's memory does not grow with its size: the peak stays below 60 MB.
func TestExportOfAGigabyteStaysSmall(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("SKIPPED: this system does not tell a process's anonymous memory")
	}
	size := int64(200 << 20)
	if soak() {
		size = 1 << 30
	}
	server := bulkServer(t, size)
	m := newMachine(t)
	cmd := m.command("export", "out", "--fhir", server.URL+"/fhir", "--no-auth", "--group", "g")
	var errs lockedBuffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var peak int64
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-tick.C:
			peak = max(peak, anonymous(cmd.Process.Pid))
		}
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("export ended with code %d:\n%s", code, errs.String())
	}
	t.Logf("%d MB in %s, peak of anonymous memory %.1f MB", size>>20, time.Since(began).Round(100*time.Millisecond), float64(peak)/1e6)
	if peak == 0 || peak > 60e6 {
		t.Errorf("the export of %d MB peaked at %.1f MB of anonymous memory, want below 60 MB", size>>20, float64(peak)/1e6)
	}
}
