package fhir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/andironhq/andiron/r4"
)

func TestCutPage(t *testing.T) {
	tests := []struct {
		name, in string
		want     string // type, total, next, then each entry
	}{
		{"empty", `{"resourceType":"Bundle","type":"searchset","total":0}`, "Bundle 0 \"\""},
		{
			"members in any order", `{"entry":[{"search":{"mode":"match"},"resource":{"id":"a","resourceType":"P"},"fullUrl":"u"}],"link":[{"url":"n","relation":"next"}],"resourceType":"Bundle"}`,
			`Bundle -1 "n" [u match P a {"id":"a","resourceType":"P"}]`,
		},
		{"other links", `{"resourceType":"Bundle","link":[{"relation":"self","url":"s"},{"relation":"next","url":"n"},{"relation":"previous","url":"p"}]}`, `Bundle -1 "n"`},
		{"escapes in names and links", `{"resourceT\u0079pe":"Bundle","link":[{"relation":"next","url":"http:\/\/h\/?a=\u0026"}]}`, `Bundle -1 "http://h/?a=&"`},
		{
			"brackets and quotes in strings", `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"P","x":"]}\"\\","y":["\\\"{"]}}]}`,
			`Bundle -1 "" [  P  {"resourceType":"P","x":"]}\"\\","y":["\\\"{"]}]`,
		},
		{
			"a contained id is not the resource's", `{"resourceType":"Bundle","entry":[{"resource":{"contained":[{"resourceType":"Q","id":"c"}],"resourceType":"P","id":"a"}}]}`,
			`Bundle -1 "" [  P a {"contained":[{"resourceType":"Q","id":"c"}],"resourceType":"P","id":"a"}]`,
		},
		{"an object in place of an array", `{"resourceType":"Bundle","link":{"relation":"next","url":"n"},"entry":{"fullUrl":"u","resource":{}}}`, `Bundle -1 "n" [u    {}]`},
		{"null in place of an array", `{"resourceType":"Bundle","link":null,"entry":null}`, `Bundle -1 ""`},
		{"white space everywhere", " {\n\"resourceType\" : \"Bundle\" ,\t\"entry\" : [ { \"resource\" : {\"resourceType\":\"P\"} } , { } ] } ", `Bundle -1 "" [  P  {"resourceType":"P"}]`},
		{"a total that is none", `{"resourceType":"Bundle","total":"many"}`, `Bundle -1 ""`},
		{"another type", `{"resourceType":"OperationOutcome"}`, `OperationOutcome -1 ""`},
		{"no resource in an entry", `{"resourceType":"Bundle","entry":[{"resource":null},{}]}`, `Bundle -1 ""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := cutPage([]byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			fmt.Fprintf(&b, "%s %d %q", p.resourceType, p.total, p.next)
			for _, e := range p.entries {
				fmt.Fprintf(&b, " [%s %s %s %s %s]", e.FullURL, e.Mode, e.Type, e.ID, e.Raw)
			}
			if got := b.String(); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
	for name, in := range map[string]string{
		"cut":                     `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"P"`,
		"cut in a string":         `{"resourceType":"Bun`,
		"trailing data":           `{"resourceType":"Bundle"} x`,
		"trailing comma":          `{"resourceType":"Bundle",}`,
		"trailing comma in array": `{"resourceType":"Bundle","entry":[{},]}`,
		"missing comma":           `{"resourceType":"Bundle" "total":1}`,
		"missing colon":           `{"resourceType" "Bundle"}`,
		"an array":                `[]`,
		"nothing":                 ``,
		"entry twice":             `{"resourceType":"Bundle","entry":[],"entry":[]}`,
		"resource twice":          `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"P"},"resource":{"resourceType":"Q"}}]}`,
		"bad escape in a link":    `{"resourceType":"Bundle","link":[{"relation":"next","url":"\x"}]}`,
		"entry is a number":       `{"resourceType":"Bundle","entry":5}`,
		"deep":                    strings.Repeat(`{"a":`, 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := cutPage([]byte(in)); !errors.Is(err, ErrNotFHIR) {
				t.Errorf("got %+v, %v; want ErrNotFHIR", p, err)
			}
		})
	}
}

// FuzzCutPage holds our reading of a Bundle against that of encoding/json: where that finds
// a Bundle of the right shapes, ours finds the same.
func FuzzCutPage(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Bundle","total":1,"link":[{"relation":"next","url":"n"}],"entry":[{"fullUrl":"u","resource":{"resourceType":"P","id":"a","x":[{"y":"\"]"}]},"search":{"mode":"match"}}]}`))
	f.Add([]byte(`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"P"}},{}]}`))
	f.Add([]byte(`{"resourceType":"B\u0075ndle","\u0065ntry":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := cutPage(data)
		if !json.Valid(data) {
			return // what the resources hold is checked later
		}
		var want struct {
			ResourceType string `json:"resourceType"`
			Entry        []struct {
				Resource json.RawMessage `json:"resource"`
			} `json:"entry"`
		}
		if json.Unmarshal(data, &want) != nil || want.ResourceType != "Bundle" || hasTwins(data) {
			return
		}
		if err != nil {
			t.Fatalf("a valid Bundle was refused: %v", err)
		}
		var resources []json.RawMessage
		for _, e := range want.Entry {
			if len(e.Resource) > 0 && e.Resource[0] == '{' {
				resources = append(resources, e.Resource)
			}
		}
		if p.resourceType != "Bundle" || len(p.entries) != len(resources) {
			t.Fatalf("got %s with %d resources, want %d", p.resourceType, len(p.entries), len(resources))
		}
		for i, e := range p.entries {
			if !bytes.Equal(resources[i], e.Raw) {
				t.Fatalf("resource %d is %s, want %s", i, e.Raw, resources[i])
			}
		}
	})
}

// hasTwins reports names that occur twice in one object, or that encoding/json takes for
// one another because it ignores case.
func hasTwins(data []byte) bool {
	d := json.NewDecoder(bytes.NewReader(data))
	type level struct {
		names map[string]bool
		name  bool
	}
	var stack []*level
	for {
		tok, err := d.Token()
		if err != nil {
			return false
		}
		top := len(stack) - 1
		switch v := tok.(type) {
		case json.Delim:
			switch v {
			case '{':
				stack = append(stack, &level{names: map[string]bool{}, name: true})
				continue
			case '[':
				stack = append(stack, &level{})
				continue
			default:
				stack = stack[:top]
				top--
			}
		case string:
			if top >= 0 && stack[top].names != nil && stack[top].name {
				key := strings.ToLower(v)
				if stack[top].names[key] || key != v && strings.Contains("resourcetype entry resource", key) && v != "resourceType" {
					return true
				}
				stack[top].names[key] = true
				stack[top].name = false
				continue
			}
		}
		if top >= 0 && stack[top].names != nil {
			stack[top].name = true
		}
	}
}

func TestShortAndEmptyPagesAreFollowed(t *testing.T) {
	pages := []string{
		patients(2, goodBase+"/Patient?sessionID=1", "a", "b"),
		patients(0, goodBase+"/Patient?sessionID=2"),
		`{"resourceType":"Bundle","link":[{"relation":"next","url":"` + goodBase + `/Patient?sessionID=3"}]}`,
		patients(1, "", "c"),
	}
	w := newWorld(t, nil)
	n := 0
	w.c.HTTP.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		rec := newRecorder()
		rec.body = pages[n]
		if n > 0 && r.URL.RawQuery != fmt.Sprintf("sessionID=%d", n) {
			t.Errorf("page %d was asked for with %s", n+1, r.URL.RawQuery)
		}
		n++
		return rec.response(r), nil
	})
	got, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
	if err != nil || ids(t, got) != "a b c" {
		t.Errorf("got %q, %v; want a b c", ids(t, got), err)
	}
	if notices := w.noticed(); len(notices) != 1 || notices[0].Issue[0].Details.Text != "3 resources arrived; the server's total said 2" {
		t.Errorf("got %d notices, want one about the total", len(notices))
	}
}

func TestRepeatedResourcesAreGivenOnce(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("p") == "" {
			reply(rw, 200, patients(-1, "?p=2", "a", "b"))
			return
		}
		reply(rw, 200, patients(-1, "", "b", "c"))
	})
	got, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
	if err != nil || ids(t, got) != "a b c" || len(w.noticed()) != 1 {
		t.Errorf("got %q, %v and %d notices; want a b c and one", ids(t, got), err, len(w.noticed()))
	}
}

// TestSearchYieldsEachResourceOnceAndInOrder draws page sizes, empty pages and overlaps.
func TestSearchYieldsEachResourceOnceAndInOrder(t *testing.T) {
	var pages []string
	w := newWorld(t, nil)
	w.c.HTTP.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		n := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("p"), &n)
		rec := newRecorder()
		rec.body = pages[n]
		return rec.response(r), nil
	})
	w.c.Log, w.c.Trace = nil, nil
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 12).Draw(rt, "sizes")
		overlap := rapid.IntRange(0, 2).Draw(rt, "overlap")
		pages = nil
		var want []string
		for i, size := range sizes {
			var list []string
			for k := max(0, len(want)-overlap); k < len(want); k++ {
				list = append(list, want[k])
			}
			if size == 0 {
				list = nil
			}
			for range size {
				id := fmt.Sprintf("id-%d", len(want))
				want = append(want, id)
				list = append(list, id)
			}
			next := ""
			if i+1 < len(sizes) {
				next = fmt.Sprintf("Patient?p=%d", i+1)
			}
			pages = append(pages, patients(rapid.IntRange(-1, 9).Draw(rt, "total"), next, list...))
		}
		got, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
		if err != nil || ids(t, got) != strings.Join(want, " ") {
			rt.Fatalf("got %q, %v; want %q", ids(t, got), err, want)
		}
	})
}

func TestLeavingTheLoopStopsThePrefetch(t *testing.T) {
	released := make(chan struct{})
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("p") == "2" {
			<-r.Context().Done() // a page that never comes
			close(released)
			return
		}
		reply(rw, 200, patients(-1, "?p=2", "a", "b", "c"))
	})
	w.c.Limits.IdleTimeout, w.c.Limits.HeaderTimeout = -1, -1
	n := 0
	for _, err := range Search[r4.Patient](t.Context(), w.c, Where("family", "x")) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			for w.asked() < 2 { // until the second page is under way
			}
			break
		}
	}
	// The loop has ended, so the request has too: nothing of it runs on behind the caller.
	w.mu.Lock()
	if len(w.traces) != 2 || w.traces[1].Err == nil {
		t.Errorf("after the loop %d exchanges had ended, want 2, the second one cancelled", len(w.traces))
	}
	w.mu.Unlock()
	<-released
}

func TestFirstAsksForOnePage(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("family") == "nobody" {
			reply(rw, 200, patients(0, ""))
			return
		}
		reply(rw, 200, patients(-1, "?p=2", "a", "b"))
	})
	p, found, err := First(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
	if err != nil || !found || p.ID != "a" || w.asked() != 1 {
		t.Errorf("got %v, %t, %v after %d requests", p, found, err, w.asked())
	}
	if _, found, err := First(Search[r4.Patient](t.Context(), w.c, Where("family", "nobody"))); found || err != nil {
		t.Errorf("nobody was found: %t, %v", found, err)
	}
}

func TestOutcomeInPlaceOfABundleIsAnError(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) {
		reply(rw, 200, `{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"processing"}]}`)
	})
	_, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
	if e := asError(t, err); !errors.Is(err, ErrWrongType) || e.Outcome() == nil {
		t.Errorf("Search: got %v with outcome %v", err, e.Outcome())
	}
	_, err = Read[r4.Patient](t.Context(), w.c, "a")
	if e := asError(t, err); !errors.Is(err, ErrWrongType) || e.Outcome() == nil {
		t.Errorf("Read: got %v with outcome %v", err, e.Outcome())
	}
	if _, err = w.c.Capabilities(t.Context()); !errors.Is(err, ErrWrongType) {
		t.Errorf("Capabilities: got %v", err)
	}
}

type expiring struct{}

func (expiring) PagingExpired(status int, _ *r4.OperationOutcome) bool { return status == 400 }

func (expiring) SearchWarnings(typ string, params map[string][]string) *r4.OperationOutcome {
	if typ == "Patient" && len(params["family"]) == 2 {
		return &r4.OperationOutcome{Issue: []r4.OperationOutcomeIssue{{Code: "informational"}}}
	}
	return nil
}

func TestDialect(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("p") == "2" {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		reply(rw, 200, patients(-1, "?p=2", "a"))
	})
	w.c.Dialect = expiring{}
	_, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x", "y")))
	if e := asError(t, err); !errors.Is(err, ErrPagingExpired) || e.Page != 2 {
		t.Errorf("got %v, want ErrPagingExpired on page 2", err)
	}
	if len(w.noticed()) != 2 {
		t.Errorf("got %d notices, want the warning about the search, and that it was begun again", len(w.noticed()))
	}
}

func TestCount(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "family=x&_summary=count" {
			t.Errorf("asked with %s", r.URL.RawQuery)
		}
		reply(rw, 200, `{"resourceType":"Bundle","total":42}`)
	})
	if n, err := w.c.Count(t.Context(), "Patient", Where("family", "x")); n != 42 || err != nil {
		t.Errorf("got %d, %v; want 42", n, err)
	}
}

func TestCapabilitiesAreFetchedOnce(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/x/api/FHIR/R4/metadata" || r.Header.Get("Authorization") != "" {
			t.Errorf("asked for %s with Authorization %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		reply(rw, 200, `{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1"}`)
	})
	for range 3 {
		if _, err := w.c.Capabilities(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if w.asked() != 1 {
		t.Errorf("asked %d times within the hour, want once", w.asked())
	}
	_ = w.clock.Wait(t.Context(), 2*capabilityAge)
	if _, err := w.c.Capabilities(t.Context()); err != nil || w.asked() != 2 {
		t.Errorf("after two hours: %v, %d requests", err, w.asked())
	}
}

func TestMalformedResourceIsFoundHoweverItIsRead(t *testing.T) {
	for name, resource := range map[string]string{
		"brackets that do not match": `{"resourceType":"Patient","id":"a","name":[}}`,
		"trailing comma within":      `{"resourceType":"Patient","id":"a","name":[{"family":"x",}]}`,
		"invalid UTF-8":              `{"resourceType":"Patient","id":"` + "\xff" + `"}`,
		"a name twice":               `{"resourceType":"Patient","id":"a","gender":"male","gender":"female"}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/a") {
					reply(rw, 200, resource)
					return
				}
				reply(rw, 200, `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"first"}},{"resource":`+resource+`}]}`)
			})
			got, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
			if !errors.Is(err, ErrNotFHIR) || len(got) != 1 && name != "brackets that do not match" {
				t.Errorf("Search: %d resources, %v; want the first and ErrNotFHIR", len(got), err)
			}
			if _, err := Collect(w.c.Entries(t.Context(), "Patient", Where("family", "x"))); !errors.Is(err, ErrNotFHIR) || asError(t, err).Page != 1 {
				t.Errorf("Entries: got %v, want ErrNotFHIR on page 1", err)
			}
			if _, err := Read[r4.Patient](t.Context(), w.c, "a"); !errors.Is(err, ErrNotFHIR) {
				t.Errorf("Read: got %v, want ErrNotFHIR", err)
			}
			if _, err := w.c.ReadRaw(t.Context(), "Patient", "a"); !errors.Is(err, ErrNotFHIR) {
				t.Errorf("ReadRaw: got %v, want ErrNotFHIR", err)
			}
		})
	}
}
