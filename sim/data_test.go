package sim_test

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andironhq/andiron/sim"
)

// shared finds the sample data that lie beside a checkout, or skips.
func shared(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("ANDIRON_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared")
	}
	dir = filepath.Join(dir, "data", name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("SKIPPED: no sample data in %s; set ANDIRON_SHARED", dir)
	}
	return dir
}

// A population of Synthea comes out of an export byte for byte. By default it is that of the
// smaller types (unpacking takes its time under the race detector); ANDIRON_SOAK=1 takes all.
func TestSyntheaComesOutAsItWentIn(t *testing.T) {
	dir, err := filepath.Abs(shared(t, "synthea"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "MANIFEST.json"))
	if err != nil {
		t.Fatal(err)
	}
	type file struct {
		File, Type, SHA256 string
		Resources          int
		Bytes              int64
	}
	var source struct{ Files []file }
	if err := json.Unmarshal(raw, &source); err != nil {
		t.Fatal(err)
	}
	data := dir
	if os.Getenv("ANDIRON_SOAK") == "" {
		data = t.TempDir()
		source.Files = slices.DeleteFunc(source.Files, func(f file) bool { return f.Bytes > 5<<20 })
		for _, f := range source.Files {
			if err := os.Symlink(filepath.Join(dir, f.File), filepath.Join(data, f.File)); err != nil {
				t.Fatal(err)
			}
		}
	}
	start := time.Now()
	h := open(t, func(s *sim.Server) { s.Data, s.Knobs.BulkPolls = data, -1 })
	if err := h.Open(); err != nil {
		t.Fatal(err)
	}
	loaded := time.Since(start)
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if mb := m.HeapAlloc >> 20; mb > 100 {
		t.Errorf("the index takes %d MB, want at most 100", mb)
	}
	start = time.Now()
	export := h.finish(h.kick(h.groupExport("")))
	kicked := time.Since(start)
	for _, want := range source.Files {
		sum, lines, files := sha256.New(), 0, 0
		for _, f := range export.Output {
			if f.Type != want.Type {
				continue
			}
			files++
			n := h.stream(f.URL, sum)
			if lines += n; n > 3000 {
				t.Errorf("a file of %s has %d lines, want at most 3000", f.Type, n)
			}
		}
		if got := hex.EncodeToString(sum.Sum(nil)); lines != want.Resources || got != want.SHA256 {
			t.Errorf("%s: %d lines with hash %.8s in %d files, want %d with %.8s", want.Type, lines, got, files, want.Resources, want.SHA256)
		}
	}
	t.Logf("loaded in %v, %d MB; export collected in %v, downloaded in %v", loaded, m.HeapAlloc>>20, kicked, time.Since(start)-kicked)
}

// stream fetches a file into w and counts its lines.
func (h *hospital) stream(target string, w io.Writer) int {
	h.t.Helper()
	req, _ := http.NewRequest(http.MethodGet, target, nil)
	req.Header.Set("Authorization", "Bearer "+h.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	count := &lineCounter{}
	if _, err := io.Copy(io.MultiWriter(w, count), resp.Body); err != nil {
		h.t.Fatal(err)
	}
	return count.lines
}

type lineCounter struct{ lines int }

func (c *lineCounter) Write(b []byte) (int, error) {
	c.lines += strings.Count(string(b), "\n")
	return len(b), nil
}

// A folder is read leniently where lines are concerned (blank lines, CRLF, BOM, a missing last
// newline, lines of any length) and strictly where resources are.
func TestDataFolder(t *testing.T) {
	patient := `{"resourceType":"Patient","id":"p1"}`
	long := `{"resourceType":"Binary","id":"b1","contentType":"text/plain","data":"` + strings.Repeat("QUJD", 1<<20) + `"}`
	tests := []struct {
		name  string
		files map[string]string
		types string // types exported, or
		err   string // what the error names
	}{
		{"plain and packed files", map[string]string{"a.ndjson": patient, "b.ndjson.gz": `{"resourceType":"Organization","id":"o1"}`}, "Organization Patient", ""},
		{"blank lines, CRLF, BOM", map[string]string{"a.ndjson": "\ufeff\r\n\n" + patient + "\r\n\r\n"}, "Patient", ""},
		{"several types in a file, and types that Epic lacks", map[string]string{"a.ndjson": patient + "\n" + `{"resourceType":"Slot","id":"s1"}` + "\n"}, "Patient Slot", ""},
		{"members in any order, spaces, escapes", map[string]string{"a.ndjson": "\t{ \"id\" : \"p\\u0031\" , \"x\":[{\"a\":\"}]\\\\\"}], \"resourceType\" : \"Patient\" } "}, "Patient", ""},
		{"a line of 4 MB", map[string]string{"a.ndjson": patient + "\n" + long}, "Patient", ""},
		{"the log that an export leaves is no data", map[string]string{"a.ndjson": patient, "log.ndjson": `{"exportId":"x"}`, "README.md": "x"}, "Patient", ""},
		{"a line that is no JSON", map[string]string{"a.ndjson": patient + "\n" + `{"resourceType":`}, "", "a.ndjson line 2"},
		{"a line without type", map[string]string{"a.ndjson": `{"id":"x"}`}, "", "no resourceType"},
		{"a line without id", map[string]string{"a.ndjson": `{"resourceType":"Patient"}`}, "", "no id"},
		{"an array", map[string]string{"a.ndjson": `[]`}, "", "not a JSON object"},
		{"two objects on a line", map[string]string{"a.ndjson": patient + patient}, "", "something follows"},
		{"no patient at all", map[string]string{"a.ndjson": `{"resourceType":"Organization","id":"o1"}`}, "", "no patient"},
		{"a packed file that is not packed", map[string]string{"a.ndjson.gz.ndjson.gz": "raw:x"}, "", "a.ndjson.gz"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tt.files {
				writeData(t, filepath.Join(dir, name), text)
			}
			h := open(t, func(s *sim.Server) { s.Data, s.Knobs.BulkPolls = dir, -1 })
			err := h.Open()
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("the error is %v, want it to name %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var types []string
			for _, f := range h.finish(h.kick(h.groupExport(""))).Output {
				types = append(types, f.Type)
			}
			if got := strings.Join(types, " "); got != tt.types {
				t.Errorf("exported %s, want %s", got, tt.types)
			}
			if a := h.get("Patient/p1"); a.status != 200 {
				t.Errorf("the patient: %d", a.status)
			}
		})
	}
}

func writeData(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	raw, isRaw := strings.CutPrefix(text, "raw:")
	if !strings.HasSuffix(path, ".gz") || isRaw {
		_, _ = io.WriteString(f, raw)
		return
	}
	z := gzip.NewWriter(f)
	_, _ = io.WriteString(z, text)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

// The unpacked data leave nothing behind, and nobody else can read them.
func TestUnpackedDataLeaveNothingBehind(t *testing.T) {
	dir, temp := t.TempDir(), t.TempDir()
	writeData(t, filepath.Join(dir, "a.ndjson.gz"), `{"resourceType":"Patient","id":"p1"}`)
	h := open(t, func(s *sim.Server) { s.Data, s.TempDir = dir, temp })
	if a := h.get("Patient/p1"); a.status != 200 {
		t.Fatalf("the patient: %d", a.status)
	}
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("%d files are left in the temporary folder", len(left))
	}
}

func BenchmarkSearch(b *testing.B) {
	h := open(b, nil)
	h.signIn()
	for b.Loop() {
		h.get("Observation?patient=eAlex3&category=laboratory")
	}
}

func ExampleListKnobs() {
	for _, k := range sim.ListKnobs()[:3] {
		fmt.Printf("%s = %s (%s): %s\n", k.Name, k.Default, k.Values, k.Doc)
	}
	// Output:
	// access_token = jwt (jwt, opaque): form of access tokens
	// aud_required = true (true, false): authorization requests need aud
	// banner = string (string, bool): form of need_patient_banner
}
