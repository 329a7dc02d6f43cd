package cli_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// documented reads docs/json-output.md: for each heading its members, true for optional ones.
func documented(t *testing.T) map[string]map[string]bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "json-output.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]bool{}
	section := ""
	row := regexp.MustCompile("^\\| `([^`]+)` \\| .+ \\|$")
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "## "); ok {
			section = name
			out[section] = map[string]bool{}
		}
		if m := row.FindStringSubmatch(line); m != nil {
			name, optional := strings.CutSuffix(m[1], "?")
			out[section][name] = optional
		}
	}
	return out
}

// membersOf lists a document's members the way the page writes them. Members under maps are
// objects whose names are data.
func membersOf(v any, path string, known map[string]bool, out map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		if _, data := known[path+"{}"]; data {
			out[path+"{}"] = true
			return
		}
		for k, x := range v {
			name := k
			if path != "" {
				name = path + "." + k
			}
			membersOf(x, name, known, out)
		}
	case []any:
		if len(v) == 0 {
			out[path+"[]"] = true
		}
		for _, x := range v {
			if _, opaque := known[path+"[]"]; opaque {
				out[path+"[]"] = true
				continue
			}
			membersOf(x, path+"[]", known, out)
		}
	default:
		out[path] = true
	}
}

// compareJSON holds a document against its section. An empty list shows none of the members of
// its elements, so it demands none.
func compareJSON(t *testing.T, section string, known map[string]bool, doc string) {
	t.Helper()
	if len(known) == 0 {
		t.Errorf("docs/json-output.md has no table under %q", section)
		return
	}
	dec := json.NewDecoder(strings.NewReader(doc))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Errorf("%s: not JSON: %v\n%s", section, err, doc)
		return
	}
	got := map[string]bool{}
	membersOf(v, "", known, got)
	var empty []string
	for name := range got {
		if _, ok := known[name]; !ok {
			if list, isList := strings.CutSuffix(name, "[]"); isList {
				if slices.ContainsFunc(keysOf(known), func(k string) bool { return strings.HasPrefix(k, list+"[]") }) {
					empty = append(empty, list+"[]")
					continue
				}
			}
			t.Errorf("%s prints the member %q, which docs/json-output.md does not have", section, name)
		}
	}
	for name, optional := range known {
		if optional || got[name] || slices.ContainsFunc(empty, func(e string) bool { return strings.HasPrefix(name, e) }) {
			continue
		}
		t.Errorf("docs/json-output.md promises the member %q of %s, which was not printed", name, section)
	}
}

func keysOf(m map[string]bool) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

// launchedByNobody is what launch prints of an application that reads the discovery document and no more.
func launchedByNobody(m *machine, base string) string {
	m.t.Helper()
	ended := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		for {
			if resp, err := http.Get(base + "/.well-known/smart-configuration"); err == nil {
				_ = resp.Body.Close()
			}
			select {
			case <-ended:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	out, _, code := m.run("launch", "--no-browser", "--timeout", "1s", "-o", "json")
	close(ended)
	asking.Wait()
	if code != 7 {
		m.t.Errorf("an application that never signs in: exit code %d, want 7", code)
	}
	return out
}

func TestJSONOutputIsAsDocumented(t *testing.T) {
	docs := documented(t)
	m := newMachine(t)
	d := m.dev("--patients", "12")
	seen := map[string]bool{"get TYPE/ID": true, "sql QUERY": true, "keys jwks": true, "keys serve": true} // no members of ours
	check := func(section, doc string) {
		seen[section] = true
		compareJSON(t, section, docs[section], doc)
	}
	check("dev", d.text)
	check("token", m.must("token", "-o", "json"))
	check("sim app list", m.must("sim", "app", "list", "-o", "json"))
	check("launch", launchedByNobody(m, d.line["fhir"]))
	const patient = "eRosalind.Emberley.SimA3"
	check("get TYPE?SEARCH", m.must("get", "Condition?patient="+patient, "-o", "json", "--limit", "2"))
	check("get TYPE?SEARCH", m.must("get", "Condition?patient="+patient, "-o", "json", "--all"))
	check("export DIR --dry-run", m.must("export", "out", "--dry-run", "-o", "json"))
	check("export DIR", m.must("export", "out", "-o", "json"))
	check("export status DIR", m.must("export", "status", "out", "-o", "json"))
	check("export list DIR", m.must("export", "list", "out", "-o", "json"))
	check("export verify DIR", m.must("export", "verify", "out", "-o", "json"))
	check("load DIR", m.must("load", "out", "-o", "json"))
	check("tables", m.must("tables", "-o", "json"))
	check("tables NAME", m.must("tables", "observation", "-o", "json"))
	check("doctor", m.must("doctor", "-o", "json"))
	check("keys new", m.must("keys", "new", "a.pem"))
	check("keys publish FILE", m.must("keys", "publish", "jwks.json", "a.pem", "-o", "json"))
	m.must("keys", "new", "b.pem")
	check("keys publish FILE", m.must("keys", "publish", "jwks.json", "b.pem", "-o", "json"))
	check("keys list", m.must("keys", "list", "a.pem", "-o", "json"))
	check("doctor --list", m.must("doctor", "--list", "-o", "json"))
	check("keys check", m.must("keys", "check", "-o", "json"))
	check("registration", m.must("registration", "dev", "--read", "Patient,Observation:laboratory", "--scope", "patient/*.read", "-o", "json"))
	check("sim log", m.must("sim", "log", "-o", "json", "--last", "0"))
	check("sim clock", m.must("sim", "clock", "-o", "json"))
	check("version", m.must("version", "-o", "json"))
	check("config show", m.must("config", "show", "-o", "json", "--origin"))
	check("config path", m.must("config", "path", "-o", "json"))
	m.must("connection", "add", "x", "--fhir", d.line["fhir"], "--client-id", "wrong", "--key", d.line["key"], "--jwks", d.line["jwks"])
	check("connection list", m.must("connection", "list", "-o", "json"))
	out, _, _ := m.run("doctor", "-o", "json")
	check("doctor", out)
	check("config check", m.must("config", "check", "-o", "json"))

	// A refusal, an incomplete export, and every line on standard error.
	_, errs, code := m.run("get", "Patient/x", "-o", "json")
	if code != 4 {
		t.Errorf("a client id that nobody knows: exit code %d, want 4", code)
	}
	lines := strings.Split(strings.TrimSpace(errs), "\n")
	check("Standard error", lines[len(lines)-1])
	m.must("connection", "remove", "x")
	m.must("sim", "fault", "--op", "file", "--type", "Condition", "--body", "html", "--status", "200")
	out, errs, code = m.run("export", "broken", "--tries", "1", "-o", "json")
	if code != 3 {
		t.Errorf("an export without one file: exit code %d, want 3", code)
	}
	check("export DIR", out)
	for l := range strings.Lines(errs) {
		if !json.Valid(bytes.TrimSpace([]byte(l))) {
			t.Errorf("with -o json a line on standard error is no JSON: %s", l)
		}
	}
	for section := range docs {
		if !seen[section] {
			t.Errorf("nothing compares the section %q of docs/json-output.md with what is printed", section)
		}
	}
}
