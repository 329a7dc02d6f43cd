package bulk

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMemory exports a lot with a child process and looks at the anonymous memory it takes:
// 60 MB is the bound, however much comes and however long the lines are.
func TestMemory(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("the race detector's own memory would be measured")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("NOT CHECKED: there is no /proc to read the memory of a process from")
	}
	const limit = 60 << 20
	total := 200 << 20
	if os.Getenv("ANDIRON_SOAK") != "" {
		total = 1 << 30
	}
	observation := `{"resourceType":"Observation","id":"` + strings.Repeat("a", 40) + `","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"718-7","display":"Hemoglobin"}],"text":"Hgb"},"subject":{"reference":"Patient/e1","display":"Doe, J"},"effectiveDateTime":"2026-05-01T08:00:00Z","valueQuantity":{"value":7.20,"unit":"g/dL","system":"http://unitsofmeasure.org","code":"g/dL"}` + "}\n"
	long := `{"resourceType":"Binary","contentType":"application/pdf","data":"` + strings.Repeat("QUJDREVG", 50<<20/8) + "\"}\n"
	tests := []struct {
		name  string
		line  string
		typ   string
		files int
	}{
		{"lines of half a kilobyte", observation, "Observation", 8},
		{"lines of 50 MB", long, "Binary", 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines := total / len(tt.line) / tt.files
			chunk := []byte(tt.line)
			if len(chunk) < 64<<10 {
				chunk = []byte(strings.Repeat(tt.line, 64<<10/len(tt.line)))
			}
			chunks := max(lines*len(tt.line)/len(chunk), 1)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "$export"):
					w.Header().Set("Content-Location", "/jobs/J")
					w.WriteHeader(http.StatusAccepted)
				case r.URL.Path == "/jobs/J" && r.Method == http.MethodGet:
					var entries []string
					for i := range tt.files {
						entries = append(entries, fmt.Sprintf(`{"type":%q,"url":"/files/%d"}`, tt.typ, i))
					}
					fmt.Fprintf(w, `{"transactionTime":"2026-05-01T08:00:00Z","requiresAccessToken":false,"output":[%s]}`, strings.Join(entries, ","))
				case strings.HasPrefix(r.URL.Path, "/files/"):
					for range chunks {
						w.Write(chunk)
					}
				case r.Method == http.MethodDelete:
				default:
					http.NotFound(w, r)
				}
			}))
			defer srv.Close()
			b := &bench{stub: &stub{Server: srv}}
			dir := filepath.Join(t.TempDir(), "out")
			start := time.Now()
			cmd, done := child(t, b, dir)
			var peak int64
			for running := true; running; {
				select {
				case <-done:
					running = false
				case <-time.After(5 * time.Millisecond):
					peak = max(peak, anonymous(cmd.Process.Pid))
				}
			}
			took := time.Since(start)
			m, err := ReadManifest(dir)
			if err != nil || !m.Complete {
				t.Fatalf("the export should be complete: %v", err)
			}
			var size int64
			for _, f := range m.Output {
				size += f.Bytes
			}
			t.Logf("%d MB in %v (%.0f MB/s), at most %d MB of anonymous memory", size>>20, took.Round(time.Millisecond), float64(size)/1e6/took.Seconds(), peak>>20)
			if size < int64(total)*9/10 {
				t.Errorf("%d MB were exported, %d were to be", size>>20, total>>20)
			}
			if peak == 0 || peak > limit {
				t.Errorf("%d MB of anonymous memory, want at most %d", peak>>20, limit>>20)
			}
		})
	}
}

// anonymous is the RssAnon of a process; 0 when it cannot be read.
func anonymous(pid int) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return 0
			}
			return kb << 10
		}
	}
	return 0
}
