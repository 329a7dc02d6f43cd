package epic_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/smart"
)

// What fhir asks for, epic has.
var _ fhir.Dialect = epic.Dialect{}

var update = flag.Bool("update", false, "write the advice into testdata/explain")

// now is when every case happens.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestExplain reads testdata/explain: what was asked, the server's answer, a line of dashes, the
// advice. The clients are the real ones, over real HTTP. To add a case is to add a file and run the
// test with -update; read what it wrote before you commit it.
func TestExplain(t *testing.T) {
	files, err := filepath.Glob("testdata/explain/*.txt")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d case files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in, want, ok := strings.Cut(string(text), "----------\n")
			if !ok {
				t.Fatal("no line of ten dashes")
			}
			failure := provoke(t, in)
			advice, ok := epic.Explain(failure)
			got := advice.String() + "\n"
			if !ok {
				got = "no advice\n"
			}
			got = ports.Replace(got)
			if *update {
				if err := os.WriteFile(file, []byte(in+"----------\n"+got), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if got != want {
				t.Errorf("%v is explained as\n%s\nwant\n%s", failure, got, want)
			}
			judge(t, advice)
		})
	}
}

// judge is what every advice has to be.
func judge(t *testing.T, a epic.Advice) {
	t.Helper()
	whole, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{a.String(), string(whole)} {
		if strings.Contains(text, "CANARY") {
			t.Errorf("the advice quotes the request or the answer: %s", text)
		}
	}
	if len(a.Fix) > 2 {
		t.Errorf("%d fixes: the likelier two suffice", len(a.Fix))
	}
	for _, f := range a.Fix {
		if !strings.HasPrefix(f, "andiron ") {
			t.Errorf("fix %q cannot be pasted", f)
		}
	}
	if a.More != "" && !slices.Contains(epic.HelpTopics(), a.More) {
		t.Errorf("help topic %q is not in HelpTopics", a.More)
	}
	for _, c := range a.Checked {
		if !slices.Contains([]string{epic.CheckOK, epic.CheckFail, epic.CheckUnknown}, c.State) {
			t.Errorf("state %q of %q", c.State, c.Text)
		}
	}
	if strings.ContainsAny(a.Title+a.Why, "!\n") || strings.Contains(strings.ToLower(a.Title+a.Why), "please") {
		t.Errorf("tone: %s / %s", a.Title, a.Why)
	}
}

// ports makes addresses of test servers the same everywhere.
var ports = portReplacer{}

type portReplacer struct{}

func (portReplacer) Replace(s string) string {
	for {
		i := strings.Index(s, "127.0.0.1:")
		if i < 0 {
			return strings.ReplaceAll(s, "LOOPBACK", "127.0.0.1:PORT")
		}
		j := i + len("127.0.0.1:")
		for j < len(s) && s[j] >= '0' && s[j] <= '9' {
			j++
		}
		s = s[:i] + "LOOPBACK" + s[j:]
	}
}

var key = sync.OnceValue(func() *smart.Key {
	k, err := smart.NewKey(smart.ES384)
	if err != nil {
		panic(err)
	}
	return k.WithID("k1")
})

// provoke asks what the case asks and returns the client's error.
func provoke(t *testing.T, in string) error {
	t.Helper()
	request, answer, _ := strings.Cut(in, "\n")
	if kind, ok := strings.CutPrefix(request, "network "); ok {
		return provokeNetwork(t, kind)
	}
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(strings.Replace(answer, "\n\n", "\nConnection: close\n\n", 1))), nil)
	if err != nil {
		t.Fatalf("the answer cannot be read: %v", err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	answerWith := func(w http.ResponseWriter) {
		for k, v := range res.Header {
			if k != "Connection" {
				w.Header()[k] = v
			}
		}
		if w.Header().Get("Date") == "" {
			w.Header().Set("Date", now.Format(http.TimeFormat))
		}
		w.WriteHeader(res.StatusCode)
		_, _ = w.Write([]byte(strings.TrimSuffix(string(body), "\n")))
	}
	signIn, then, _ := strings.Cut(request, ", then ")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/R4/.well-known/smart-configuration":
			fmt.Fprint(w, `{"token_endpoint":"/token"}`)
		case r.URL.Path == "/token" && signIn != "sign in":
			fmt.Fprint(w, `{"access_token":"CANARY-token","token_type":"bearer","expires_in":3600}`)
		default:
			answerWith(w)
		}
	}))
	defer srv.Close()
	c := &clock{t: now}
	backend := &smart.Backend{
		Base: srv.URL + "/R4", ClientID: "client", Key: key(), Now: c.now, Wait: c.wait,
	}
	if signIn == "sign in" && then == "" {
		_, err := backend.Token(t.Context(), backend.Base, "")
		return err
	}
	if then == "" {
		then = request
	}
	return ask(t, &fhir.Client{
		Base: backend.Base, Auth: backend, Dialect: epic.Dialect{}, Now: c.now, Wait: c.wait,
		Limits: fhir.Limits{MaxTries: 2},
	}, then)
}

// clock jumps where others wait.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
	return ctx.Err()
}

func ask(t *testing.T, c *fhir.Client, request string) error {
	t.Helper()
	verb, rest, _ := strings.Cut(request, " ")
	var err error
	switch verb {
	case "read":
		typ, id, _ := strings.Cut(rest, " ")
		_, err = c.ReadRaw(t.Context(), typ, id)
	case "search":
		typ, q, perr := fhir.ParseQuery(rest)
		if perr != nil {
			t.Fatal(perr)
		}
		for _, err = range c.Entries(t.Context(), typ, q) {
			break
		}
	case "create":
		var res *http.Response
		res, err = c.Do(t.Context(), fhir.Request{Method: http.MethodPost, URL: rest, Body: []byte(`{"resourceType":"` + rest + `"}`)})
		if err == nil {
			res.Body.Close()
		}
	case "get":
		var res *http.Response
		res, err = c.Do(t.Context(), fhir.Request{URL: rest})
		if err == nil {
			res.Body.Close()
		}
	default:
		t.Fatalf("what is %q", request)
	}
	if err == nil {
		t.Fatalf("%s did not fail", request)
	}
	return err
}

// provokeNetwork fails below HTTP: with real sockets where that is possible everywhere, with the
// error that the system would give where it is not.
func provokeNetwork(t *testing.T, kind string) error {
	t.Helper()
	dial := func(err error) *http.Client {
		return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, err }}}
	}
	c := &fhir.Client{Base: "https://epic.example/api/FHIR/R4", Limits: fhir.Limits{MaxTries: 1}}
	switch kind {
	case "dns":
		c.HTTP = dial(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "epic.example", IsNotFound: true}})
	case "dns-server":
		c.HTTP = dial(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "server misbehaving", Name: "epic.example", IsTemporary: true}})
	case "timeout":
		c.HTTP = dial(context.DeadlineExceeded)
	case "reset":
		c.HTTP = dial(&net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)})
	case "refused":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c.Base = "http://" + l.Addr().String()
		l.Close()
	case "tls":
		srv := httptest.NewTLSServer(http.NotFoundHandler())
		defer srv.Close()
		srv.Config.ErrorLog = nil
		c.Base = srv.URL
	case "not-tls":
		srv := httptest.NewServer(http.NotFoundHandler())
		defer srv.Close()
		c.Base = strings.Replace(srv.URL, "http:", "https:", 1)
	default:
		t.Fatalf("what is network %q", kind)
	}
	return ask(t, c, "read Patient CANARY")
}

func TestExplainKnowsItsLimits(t *testing.T) {
	for name, err := range map[string]error{
		"no error":                     nil,
		"a caller that ended its work": fmt.Errorf("fhir: read: %w", context.Canceled),
		"an error from elsewhere":      errors.New("disk full"),
	} {
		if a, ok := epic.Explain(err); ok {
			t.Errorf("%s is explained: %s", name, a)
		}
	}
}

// Every number of Epic's table that fails a request is explained, and none of the explanations holds
// the server's text.
func TestExplainHasAdviceForEveryCode(t *testing.T) {
	for _, c := range epic.Codes() {
		if c.Severity != "fatal" {
			continue
		}
		o := outcome(epic.SandboxCodeSystem, c.Number)
		o.Issue[0].Diagnostics = "CANARY"
		o.Issue[0].Details.Text = "CANARY"
		a, ok := epic.Explain(&refusedError{c.Status, o})
		if !ok || !strings.Contains(a.Title, c.Number) && c.Number != epic.CodeBusinessRule {
			t.Errorf("%s: advice %t, title %q, want the number in it", c.Number, ok, a.Title)
		}
		judge(t, a)
	}
}

// Of several statuses in a chain the outermost counts: it is what the request ended with.
func TestExplainTakesTheOutermostStatus(t *testing.T) {
	inner := &refusedError{http.StatusServiceUnavailable, nil}
	outer := &becauseError{refusedError{http.StatusTooManyRequests, nil}, inner}
	if a, ok := epic.Explain(fmt.Errorf("load: %w", outer)); !ok || !strings.Contains(a.Title, "429") {
		t.Errorf("title is %q, want the 429 of the request and not the 503 below it", a.Title)
	}
	outer.status = 0 // never answered: the reason lies below
	if a, ok := epic.Explain(errors.Join(errors.New("x"), outer)); !ok || !strings.Contains(a.Title, "503") {
		t.Errorf("title is %q, want the 503", a.Title)
	}
}

type becauseError struct {
	refusedError
	cause error
}

func (r *becauseError) Unwrap() error { return r.cause }

// refusedError is an error as small as Explain allows.
type refusedError struct {
	status  int
	outcome *r4.OperationOutcome
}

func (r *refusedError) Error() string                 { return "refused" }
func (r *refusedError) HTTPStatus() int               { return r.status }
func (r *refusedError) Outcome() *r4.OperationOutcome { return r.outcome }

func ExampleExplain() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/fhir+json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"required","details":{"coding":[
			{"system":"urn:oid:1.2.840.114350.1.13.0.1.7.2.657369","code":"59108"}]},"expression":["code/category"]}]}`)
	}))
	defer srv.Close()

	c := &fhir.Client{Base: srv.URL, Dialect: epic.Dialect{}}
	for _, err := range fhir.Search[r4.Observation](context.Background(), c, fhir.Where("patient", "eAB3")) {
		if advice, ok := epic.Explain(err); ok {
			fmt.Println(advice)
		}
	}
	// Output:
	// error: the server refused the Observation search: it names neither code nor category (400, 59108)
	//   A search for Observation needs _id, or patient or subject, and also code or category.
	//   fix:   andiron get 'Observation?patient=ID&category=laboratory'
	//   more:  andiron help search-rules
}
