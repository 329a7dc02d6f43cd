package fhir

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/andironhq/andiron/r4"
)

// forgetful is a server that keeps a paged result for a number of requests, cuts its pages as it
// likes, shows some entries twice and has pages without any.
type forgetful struct {
	ids      []string
	sizes    []int // of pages, in turn; 0 is an empty page
	overlap  int   // entries of the page before that are shown again
	lives    []int // how many next links each session answers, in turn; negative: all
	sessions int
	left     map[int]int // session → next links still answered
}

func (f *forgetful) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	session, page, start := 0, 0, 0
	if s := r.URL.Query().Get("session"); s != "" {
		if _, err := fmt.Sscanf(s, "%d-%d-%d", &session, &page, &start); err != nil {
			rw.WriteHeader(http.StatusNotFound)
			return
		}
		if f.left[session] == 0 {
			rw.WriteHeader(http.StatusBadRequest) // what the dialect takes for an expired session
			return
		}
		f.left[session]--
	} else {
		session = f.sessions
		f.left[session] = f.lives[session%len(f.lives)]
		f.sessions++
	}
	end := min(len(f.ids), start+f.sizes[page%len(f.sizes)])
	shown := f.ids[max(0, start-f.overlap):end]
	if start == end {
		shown = nil
	}
	next := ""
	if end < len(f.ids) {
		next = fmt.Sprintf("?session=%d-%d-%d", session, page+1, end)
	}
	reply(rw, 200, patients(-1, next, shown...))
}

func TestSearchGivesEachResourceOnceWhateverTheServerForgets(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 30).Draw(rt, "resources")
		f := &forgetful{left: map[int]int{}, overlap: rapid.IntRange(0, 3).Draw(rt, "overlap")}
		for i := range n {
			f.ids = append(f.ids, "p"+strconv.Itoa(i))
		}
		f.sizes = append(rapid.SliceOfN(rapid.IntRange(0, 5), 0, 6).Draw(rt, "sizes"), 3)
		f.lives = rapid.SliceOfN(rapid.IntRange(-1, 12), 1, 5).Draw(rt, "lives")
		w := newWorld(t, f.ServeHTTP)
		defer w.c.HTTP.Transport.(*http.Transport).CloseIdleConnections()
		w.c.Dialect = expiring{}
		var got []string
		var last error
		for p, err := range Search[r4.Patient](t.Context(), w.c, Where("family", "x")) {
			if last = err; err == nil {
				got = append(got, p.ID)
			}
		}
		switch {
		case last == nil && !slices.Equal(got, f.ids):
			rt.Fatalf("got %v without an error, want all of %d", got, n)
		case last != nil && !errors.Is(last, ErrPagingExpired):
			rt.Fatalf("got %v, want ErrPagingExpired or none", last)
		case !slices.Equal(got, f.ids[:len(got)]):
			rt.Fatalf("got %v, want the first %d once and in order", got, len(got))
		case last != nil && f.lives[(f.sessions-1)%len(f.lives)] > len(f.ids)+len(f.sizes)*len(f.ids):
			rt.Fatalf("gave up although the last session answered all its links")
		}
	})
}

func TestSearchBeginsAgainWhenTheResultIsForgotten(t *testing.T) {
	f := &forgetful{ids: []string{"a", "b", "c", "d", "e", "f", "g"}, sizes: []int{2}, lives: []int{1, 2, -1}, left: map[int]int{}}
	w := newWorld(t, f.ServeHTTP)
	w.c.Dialect = expiring{}
	got, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
	if err != nil || ids(t, got) != "a b c d e f g" {
		t.Errorf("got %s, %v; want all seven once and in order", ids(t, got), err)
	}
	if f.sessions != 3 {
		t.Errorf("searched %d times, want 3: the first and two beginnings anew", f.sessions)
	}
	if len(w.noticed()) != 1 {
		t.Errorf("%d notices, want one that says the search began again", len(w.noticed()))
	}
}

func TestSearchGivesUpWhenBeginningAgainBringsNothing(t *testing.T) {
	f := &forgetful{ids: []string{"a", "b", "c"}, sizes: []int{1}, lives: []int{0}, left: map[int]int{}}
	w := newWorld(t, f.ServeHTTP)
	w.c.Dialect = expiring{}
	got, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
	if e := asError(t, err); !errors.Is(err, ErrPagingExpired) || e.Page != 2 || ids(t, got) != "a" {
		t.Errorf("got %s and %v, want the first and ErrPagingExpired on page 2", ids(t, got), err)
	}
	if f.sessions != 2 {
		t.Errorf("searched %d times, want twice", f.sessions)
	}
}

func TestIncludedResourcesComeOnceWhenTheSearchBeginsAgain(t *testing.T) {
	session := 0
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		entry := func(id, typ, mode string) string {
			return fmt.Sprintf(`{"resource":{"resourceType":%q,"id":%q},"search":{"mode":%q}}`, typ, id, mode)
		}
		switch p := r.URL.Query().Get("p"); {
		case p == "":
			session++
			reply(rw, 200, `{"resourceType":"Bundle","link":[{"relation":"next","url":"?p=2"}],"entry":[`+
				entry("a", "Observation", "match")+","+entry("dr", "Practitioner", "include")+`]}`)
		case session == 1:
			rw.WriteHeader(http.StatusBadRequest)
		default:
			reply(rw, 200, `{"resourceType":"Bundle","entry":[`+entry("b", "Observation", "match")+`]}`)
		}
	})
	w.c.Dialect = expiring{}
	var got []string
	for e, err := range w.c.Entries(t.Context(), "Observation", Where("patient", "x")) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.ID)
	}
	if strings.Join(got, " ") != "a dr b" {
		t.Errorf("got %v, want a, dr and b once each", got)
	}
}

func TestPostedSearchLeavesNothingInTheURL(t *testing.T) {
	tries := 0
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			reply(rw, 200, patients(-1, "", "b"))
			return
		}
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		switch {
		case r.Method != http.MethodPost || r.URL.RawQuery != "" || !strings.HasSuffix(r.URL.Path, "/Patient/_search"):
			t.Errorf("asked with %s %s, want POST Patient/_search without a query", r.Method, r.URL)
		case r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || form.Get("family") != "canary":
			t.Errorf("the body is %s of %s, want the parameters as a form", body, r.Header.Get("Content-Type"))
		}
		if form.Has("_summary") {
			reply(rw, 200, `{"resourceType":"Bundle","total":2}`)
			return
		}
		if tries++; tries == 1 {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		reply(rw, 200, patients(-1, goodBase+"/Patient?session=1", "a"))
	})
	w.c.PostSearch = true
	got, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "canary")))
	if err != nil || ids(t, got) != "a b" || tries != 2 {
		t.Errorf("got %s, %v after %d tries; want both pages, and the 503 repeated like a GET's", ids(t, got), err, tries)
	}
	if n, err := w.c.Count(t.Context(), "Patient", Where("family", "canary")); n != 2 || err != nil {
		t.Errorf("Count says %d, %v; want 2", n, err)
	}
}

func TestFailedPostedSearchIsNoDoubtfulWrite(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	w.c.PostSearch, w.c.Limits.MaxTries = true, 2
	_, err := Collect(Search[r4.Patient](t.Context(), w.c, Where("family", "x")))
	if e := asError(t, err); errors.Is(err, ErrOutcomeUnknown) || e.Method != http.MethodPost || e.Tries != 2 {
		t.Errorf("got %v (%s, %d tries), want a plain 502 of a POST, tried twice", err, e.Method, e.Tries)
	}
}
