package cli_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/andironhq/andiron/smart"
)

// doctorReport is what doctor -o json prints, as far as these tests look.
type doctorReport struct {
	OK     bool `json:"ok"`
	Checks []struct {
		Check, State, Text, Cause string
	} `json:"checks"`
	Causes []struct {
		ID      string   `json:"id"`
		Certain bool     `json:"certain"`
		Rank    int      `json:"rank"`
		Warning bool     `json:"warning"`
		Fix     []string `json:"fix"`
	} `json:"causes"`
}

func (m *machine) doctor(args ...string) (doctorReport, int) {
	m.t.Helper()
	out, errs, code := m.run(append([]string{"doctor", "-o", "json"}, args...)...)
	var r doctorReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		m.t.Fatalf("doctor %v ended with code %d and printed no report: %v\n%s", args, code, err, errs)
	}
	return r, code
}

// healthy fails unless doctor finds nothing to say against a connection.
func (m *machine) healthy(name string) {
	m.t.Helper()
	r, code := m.doctor(name)
	if code != 0 || !r.OK || len(r.Causes) > 0 {
		m.t.Errorf("after the fix doctor %s ended with code %d and found %+v in %+v", name, code, r.Causes, r.Checks)
	}
}

// foreign is a program that signs in by itself and makes mistakes.
type foreign struct {
	m        *machine
	key      *smart.Key
	signer   any
	clientID string
	tokenURL string
	jwks     string
	header   map[string]any
	claims   map[string]any
}

func (f *foreign) sign() string {
	f.m.t.Helper()
	alg := jose.SignatureAlgorithm(f.header["alg"].(string))
	signer := f.signer
	if alg == jose.HS256 {
		signer = []byte("a secret of thirty-two characters")
	}
	o := (&jose.SignerOptions{}).WithType("JWT")
	if kid, ok := f.header["kid"]; ok {
		o = o.WithHeader("kid", kid)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: signer}, o)
	if err != nil {
		f.m.t.Fatal(err)
	}
	payload, _ := json.Marshal(f.claims)
	jws, err := s.Sign(payload)
	if err != nil {
		f.m.t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		f.m.t.Fatal(err)
	}
	return text
}

// good sets header and claims as they should be.
func (f *foreign) good() {
	now := time.Now()
	f.header = map[string]any{"alg": "RS384", "kid": f.key.ID()}
	f.claims = map[string]any{
		"iss": f.clientID, "sub": f.clientID, "aud": f.tokenURL, "jti": rand.Text(),
		"iat": now.Add(-20 * time.Second).Unix(), "nbf": now.Add(-20 * time.Second).Unix(), "exp": now.Add(4 * time.Minute).Unix(),
	}
}

// post is the sign-in, at the simulator over HTTP.
func (f *foreign) post(jwt string) (int, string) {
	f.m.t.Helper()
	resp, err := http.PostForm(f.tokenURL, url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {jwt},
	})
	if err != nil {
		f.m.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(body))
}

const refusal = `{"error":"invalid_client","error_description":null}`

var setLine = regexp.MustCompile(`^in the program that signs, set (header|claim) (\w+) to (.+)$`)

// follow does what a fix says: it runs a command, or changes the foreign program.
func (f *foreign) follow(fix string) {
	f.m.t.Helper()
	m := setLine.FindStringSubmatch(fix)
	if m == nil {
		f.m.fix(fix)
		return
	}
	part := f.claims
	if m[1] == "header" {
		part = f.header
	}
	var text string
	if n, ok := strings.CutPrefix(m[3], "now "); ok {
		seconds, err := strconv.Atoi(strings.ReplaceAll(n, " ", ""))
		if err != nil {
			f.m.t.Fatalf("the fix %q cannot be followed", fix)
		}
		part[m[2]] = time.Now().Unix() + int64(seconds)
	} else if m[3] == "a new random text" {
		part[m[2]] = rand.Text()
	} else if json.Unmarshal([]byte(m[3]), &text) == nil {
		part[m[2]] = text
	} else {
		f.m.t.Fatalf("the fix %q cannot be followed", fix)
	}
}

// fix runs a command that was advised.
func (m *machine) fix(fix string) {
	m.t.Helper()
	command, _, _ := strings.Cut(fix, "   # ")
	words := shellSplit(command)
	if words[0] != "andiron" {
		m.t.Fatalf("the fix is no command of ours: %s", fix)
	}
	if slices.Contains(words, "serve") {
		cmd := m.command(words[1:]...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			m.t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			m.t.Fatal(err)
		}
		d := &devProcess{cmd: cmd}
		m.t.Cleanup(func() { d.stop() })
		_, _ = out.Read(make([]byte, 200)) // the address, once it listens
		return
	}
	m.must(words[1:]...)
}

// Faults that only a foreign program would make: the simulator refuses as Epic does, doctor
// --assertion names the cause, the fix that it prints is followed, and the program signs in.
func TestMisconfiguredForeignAssertion(t *testing.T) {
	m := newMachine(t)
	d := m.dev("--patients", "12")
	f := &foreign{m: m, clientID: "foreign", tokenURL: strings.TrimSuffix(d.line["fhir"], "/api/FHIR/R4") + "/oauth2/token"}
	key, err := smart.NewKey(smart.RS384)
	if err != nil {
		t.Fatal(err)
	}
	f.key = key
	pemData, err := key.PEM()
	if err != nil {
		t.Fatal(err)
	}
	f.signer = privateOf(t, pemData)
	set, err := smart.PublicSet(key)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(set)
	defer web.Close()
	f.jwks = web.URL
	keyFile := filepath.Join(m.dir, "foreign.pem")
	if err := os.WriteFile(keyFile, pemData, 0o600); err != nil {
		t.Fatal(err)
	}
	m.must("sim", "app", "add", "foreign", "--jwks-url", f.jwks)
	m.must("connection", "add", "foreign", "--fhir", d.line["fhir"], "--client-id", "foreign", "--key", "file:"+keyFile, "--jwks", f.jwks)
	file := filepath.Join(m.dir, "jwt.txt")
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }

	for _, row := range []struct {
		name    string
		spoil   func()
		cause   string
		certain bool
	}{
		{"a kid that is not published", func() { f.header["kid"] = "k2" }, "kid-wrong", true},
		{"HS256 in place of RS384", func() { f.header["alg"] = "HS256" }, "alg-wrong", true},
		{"aud is the FHIR base", func() { f.claims["aud"] = d.line["fhir"] }, "audience-wrong", true},
		{"aud has a slash at its end", func() { f.claims["aud"] = f.tokenURL + "/" }, "audience-wrong", true},
		{"exp lies ten minutes ahead", func() { f.claims["exp"] = ago(-10 * time.Minute) }, "lifetime-too-long", true},
		{"the signing clock is two minutes ahead", func() {
			f.claims["iat"], f.claims["nbf"], f.claims["exp"] = ago(-2*time.Minute), ago(-2*time.Minute), ago(-4*time.Minute)
		}, "clock-ahead", true},
		{"iss is another client's id", func() { f.claims["iss"], f.claims["sub"] = "nobody", "nobody" }, "issuer-wrong", true},
		{"jti is longer than 151 characters", func() { f.claims["jti"] = strings.Repeat("j", 152) }, "jti-wrong", true},
		{"the same assertion again", func() { f.post(f.sign()) }, "jti-replayed", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			m.t, f.m.t = t, t
			f.good()
			row.spoil()
			jwt := f.sign()
			if status, body := f.post(jwt); status != 400 || body != refusal {
				t.Fatalf("the simulator answered %d %s, where Epic says 400 %s", status, body, refusal)
			}
			if err := os.WriteFile(file, []byte(jwt+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			report, code := m.doctor("foreign", "--assertion", file)
			if want := map[bool]int{true: 10, false: 0}[row.certain]; code != want {
				t.Errorf("doctor ended with code %d, want %d", code, want)
			}
			if len(report.Causes) == 0 || report.Causes[0].ID != row.cause || report.Causes[0].Certain != row.certain {
				t.Fatalf("doctor names %+v, want %s first", report.Causes, row.cause)
			}
			if !row.certain && report.Causes[0].Rank != 1 {
				t.Errorf("the likeliest cause has rank %d", report.Causes[0].Rank)
			}
			for _, fix := range report.Causes[0].Fix {
				if fix != "set the clock of the machine that signs" { // this machine's is right
					f.follow(fix)
				}
			}
			if status, body := f.post(f.sign()); status != 200 {
				t.Errorf("after the fix the simulator answered %d %s", status, body)
			}
		})
	}
	m.t = t
	f.good()
	if err := os.WriteFile(file, []byte(f.sign()), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, code := m.doctor("foreign", "--assertion", file); code != 0 || slices.ContainsFunc(r.Checks, func(c struct{ Check, State, Text, Cause string }) bool { return c.State != "ok" }) {
		t.Errorf("a good assertion: code %d, %+v", code, r.Checks)
	}
}

// Faults of a connection: each cause is named as the row says, the printed fix is run, and doctor
// then has nothing to say.
func TestMisconfiguredConnection(t *testing.T) {
	m := newMachine(t)
	d := m.dev("--patients", "12", "--knob", "basic_decode=raw")
	for _, name := range []string{"dev", "dev-patient", "dev-clinician"} {
		m.healthy(name)
	}
	m.must("keys", "new", "own.pem")
	own := "file:" + filepath.Join(m.dir, "own.pem")
	jwks := filepath.Join(m.dir, "jwks.json")
	m.must("keys", "publish", jwks, "own.pem")
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		data, _ := os.ReadFile(jwks)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data)
	}))
	defer web.Close()
	if err := os.WriteFile(filepath.Join(m.dir, "secret"), []byte("hearth+and/home=100%"), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := "file:" + filepath.Join(m.dir, "secret")
	const redirect = "http://127.0.0.1:7401/callback"
	m.must("sim", "app", "add", "own", "--jwks-url", web.URL)
	m.must("sim", "app", "add", "narrow", "--jwks-url", web.URL, "--api", "Patient.Read (R4)", "--api", "Patient.Search (R4)")
	m.must("sim", "app", "add", "portal", "--for", "patients", "--redirect", redirect, "--client-secret", secret)
	add := func(name string, args ...string) {
		m.must(append([]string{"connection", "add", name, "--fhir", d.line["fhir"]}, args...)...)
	}
	add("kid", "--client-id", "own", "--key", own, "--jwks", web.URL, "--kid", "k2")
	add("stranger", "--client-id", "stranger", "--key", own, "--jwks", web.URL)
	m.must("keys", "new", "fresh.pem")
	add("unpublished", "--client-id", "own", "--key", "file:"+filepath.Join(m.dir, "fresh.pem"), "--jwks", web.URL)
	closed := closedPort(t)
	m.must("sim", "app", "add", "dark", "--jwks-url", "http://"+closed+"/jwks.json")
	add("dark", "--client-id", "dark", "--key", own, "--jwks", "http://"+closed+"/jwks.json")
	add("scope", "--client-id", "narrow", "--key", own, "--jwks", web.URL, "--scope", "system/Patient.rs system/Immunization.rs")
	add("slash", "--client-id", "portal", "--secret", secret, "--launch", "standalone", "--redirect-uri", redirect+"/")
	add("encoded", "--client-id", "portal", "--secret", secret, "--launch", "standalone", "--redirect-uri", redirect, "--secret-encoding", "encoded")

	oauth := strings.TrimSuffix(d.line["fhir"], "/api/FHIR/R4") + "/oauth2"
	// signIn is what the connection sends, sent by the test.
	signIn := func(client, file, kid, scope string) func(*testing.T) answer {
		return func(t *testing.T) answer {
			t.Helper()
			data, err := os.ReadFile(filepath.Join(m.dir, file))
			if err != nil {
				t.Fatal(err)
			}
			key, err := smart.ParseKey(data)
			if err != nil {
				t.Fatal(err)
			}
			if kid != "" {
				key = key.WithID(kid)
			}
			jwt, err := smart.Assertion{Key: key, ClientID: client, Audience: oauth + "/token"}.Sign()
			if err != nil {
				t.Fatal(err)
			}
			form := url.Values{
				"grant_type":            {"client_credentials"},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {jwt.Reveal()},
			}
			if scope != "" {
				form.Set("scope", scope)
			}
			return exchange(t, oauth+"/token", form, "")
		}
	}

	for _, row := range []struct {
		name, connection, cause string
		certain                 bool
		fix                     int
		wire                    func(*testing.T) answer
		want                    answer
	}{
		{"wrong kid", "kid", "kid-wrong", true, 0, signIn("own", "own.pem", "k2", ""), answer{400, "application/json", refusal}},
		{"unknown client", "stranger", "client-unknown", false, 1, signIn("stranger", "own.pem", "", ""), answer{400, "application/json", refusal}},
		{"unpublished key", "unpublished", "key-unpublished", true, 0, signIn("own", "fresh.pem", "", ""), answer{400, "application/json", refusal}},
		{"key set unreachable", "dark", "jwks-unreachable", true, 0, signIn("dark", "own.pem", "", ""), answer{400, "application/json", refusal}},
		{"redirect off by one character", "slash", "redirect-unregistered", true, 0, func(t *testing.T) answer {
			t.Helper()
			return exchange(t, oauth+"/authorize?"+url.Values{
				"response_type": {"code"}, "client_id": {"portal"}, "redirect_uri": {redirect + "/"}, "state": {rand.Text()},
				"scope": {"launch/patient"}, "aud": {d.line["fhir"]},
			}.Encode(), nil, "")
		}, answer{400, "text/html", "<html"}},
		{"scope not granted", "scope", "scope-not-granted", true, 0, signIn("narrow", "own.pem", "", "system/Patient.rs system/Immunization.rs"), answer{200, "application/json", `"scope":"system/Patient.r`}},
		{"secret encoded wrongly", "encoded", "secret-encoding", true, 0, func(t *testing.T) answer {
			t.Helper()
			return exchange(t, oauth+"/token", url.Values{
				"grant_type": {"authorization_code"}, "code": {"none"}, "redirect_uri": {redirect},
			}, url.QueryEscape("hearth+and/home=100%"))
		}, answer{400, "application/json", refusal}},
	} {
		t.Run(row.name, func(t *testing.T) {
			m.t = t
			got := row.wire(t)
			if got.status != row.want.status || !strings.HasPrefix(got.kind, row.want.kind) || !strings.Contains(got.body, row.want.body) {
				t.Errorf("the simulator answered %d %s %s, where Epic says %d %s %s", got.status, got.kind, got.body, row.want.status, row.want.kind, row.want.body)
			}
			if strings.Contains(got.body, "Immunization") {
				t.Errorf("the scope that is not registered was granted: %s", got.body)
			}
			r, code := m.doctor(row.connection)
			if code != 10 || len(r.Causes) == 0 || r.Causes[0].ID != row.cause || r.Causes[0].Certain != row.certain {
				t.Fatalf("doctor ended with code %d and names %+v, want %s first; %+v", code, r.Causes, row.cause, r.Checks)
			}
			if len(r.Causes[0].Fix) <= row.fix {
				t.Fatalf("no fix is printed: %+v", r.Causes[0])
			}
			m.fix(r.Causes[0].Fix[row.fix])
			m.healthy(row.connection)
		})
	}
	m.t = t
}

// answer is what the simulator says on the wire.
type answer struct {
	status     int
	kind, body string
}

// exchange sends a form, with portal's secret by HTTP Basic if there is one, or fetches a page; no
// redirect is followed.
func exchange(t *testing.T, to string, form url.Values, secret string) answer {
	t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if secret != "" {
		req.SetBasicAuth("portal", secret)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header.Get("Content-Type"), strings.TrimSpace(string(body))}
}

// privateOf is a key for a signer of the test's own.
func privateOf(t *testing.T, data []byte) any {
	t.Helper()
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
