package sim_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/andironhq/andiron/sim"
)

// hospital is a simulated Epic over HTTP and one registered backend app, spoken to with
// nothing but net/http, so that no client of this module can share a mistake with it.
type hospital struct {
	*sim.Server
	t      testing.TB
	origin string
	app    string
	key    any
	kid    string
	alg    jose.SignatureAlgorithm

	keys    atomic.Value // []byte: what the app publishes
	caching atomic.Value // string: Cache-Control of it
	fetches atomic.Int64
	jwks    string
	token   string
}

// open starts a server over two small charts and signs its app up. Change edits the server
// before its first use.
func open(t testing.TB, change func(*sim.Server)) *hospital {
	t.Helper()
	h := &hospital{t: t, app: "0f1e2d3c-backend", kid: "k1", alg: jose.ES384}
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h.key = key
	h.publish(jose.JSONWebKey{Key: &key.PublicKey, KeyID: h.kid, Use: "sig"})
	h.caching.Store("")
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h.fetches.Add(1)
		if c := h.caching.Load().(string); c != "" {
			w.Header().Set("Cache-Control", c)
		}
		_, _ = w.Write(h.keys.Load().([]byte))
	}))
	t.Cleanup(keys.Close)
	h.jwks = keys.URL
	h.Server = &sim.Server{Data: charts(t), Apps: []sim.App{{ClientID: h.app, JWKSURL: keys.URL}}}
	if change != nil {
		change(h.Server)
	}
	server := httptest.NewServer(h.Server)
	t.Cleanup(server.Close)
	t.Cleanup(func() { _ = h.Close() })
	h.origin = server.URL
	return h
}

func (h *hospital) publish(keys ...jose.JSONWebKey) {
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		h.t.Fatal(err)
	}
	h.keys.Store(set)
}

func (h *hospital) base() string     { return h.origin + h.BasePath() }
func (h *hospital) tokenURL() string { return h.origin + h.TokenPath() }

// claims are those of a good assertion; edits override or, with nil, remove.
func (h *hospital) claims(edits map[string]any) map[string]any {
	now := h.Now().Unix()
	c := map[string]any{
		"iss": h.app, "sub": h.app, "aud": h.tokenURL(), "jti": fmt.Sprintf("jti-%d", unique.Add(1)),
		"iat": now - 5, "nbf": now - 5, "exp": now + 240,
	}
	maps.Copy(c, edits)
	for name, v := range c {
		if v == nil {
			delete(c, name)
		}
	}
	return c
}

var unique atomic.Int64

// sign makes a JWT. Header values override or, with nil, remove.
func (h *hospital) sign(claims map[string]any, header map[jose.HeaderKey]any) string {
	h.t.Helper()
	opts := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", h.kid)
	for name, v := range header {
		if v == nil {
			delete(opts.ExtraHeaders, name)
		} else {
			opts.WithHeader(name, v)
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: h.alg, Key: h.key}, opts)
	if err != nil {
		h.t.Fatal(err)
	}
	payload, _ := json.Marshal(claims)
	signed, err := signer.Sign(payload)
	if err != nil {
		h.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (h *hospital) postToken(form url.Values) answer {
	h.t.Helper()
	return h.do("POST", h.tokenURL(), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, form.Encode())
}

func (h *hospital) assertion(jwt string) url.Values {
	return url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {jwt},
	}
}

// signIn gets a token and keeps it for get.
func (h *hospital) signIn() string {
	h.t.Helper()
	a := h.postToken(h.assertion(h.sign(h.claims(nil), nil)))
	var v struct {
		Token string `json:"access_token"`
	}
	if a.status != 200 || json.Unmarshal([]byte(a.body), &v) != nil || v.Token == "" {
		h.t.Fatalf("no token: %d %s (%s)", a.status, a.body, h.lastReason())
	}
	h.token = v.Token
	return v.Token
}

func (h *hospital) lastReason() string {
	list := h.Requests()
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1].Reason
}

func (h *hospital) do(method, target string, header http.Header, body string) answer {
	h.t.Helper()
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	client := &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// get asks for a path below the FHIR base, or a URL, signed in and as JSON.
func (h *hospital) get(path string, more ...string) answer {
	h.t.Helper()
	if h.token == "" {
		h.signIn()
	}
	header := http.Header{"Accept": {"application/fhir+json"}, "Authorization": {"Bearer " + h.token}}
	for i := 0; i+1 < len(more); i += 2 {
		header.Set(more[i], more[i+1])
	}
	if !strings.HasPrefix(path, "http") {
		path = h.base() + "/" + path
	}
	return h.do("GET", path, header, "")
}

type bundle struct {
	ResourceType string
	Type         string
	Total        int
	Link         []struct{ Relation, URL string }
	Entry        []struct {
		FullURL  string `json:"fullUrl"`
		Resource json.RawMessage
		Search   struct{ Mode string }
	}
}

func (b bundle) next() string {
	for _, l := range b.Link {
		if l.Relation == "next" {
			return l.URL
		}
	}
	return ""
}

// ids lists the ids of the entries of a mode.
func (b bundle) ids(mode string) []string {
	list := []string{}
	for _, e := range b.Entry {
		var r struct{ ID string }
		if e.Search.Mode == mode && json.Unmarshal(e.Resource, &r) == nil {
			list = append(list, r.ID)
		}
	}
	return list
}

// codes lists the Epic codes of the outcome entry.
func (b bundle) codes() []string {
	for _, e := range b.Entry {
		if e.Search.Mode == "outcome" {
			return codesOf(string(e.Resource))
		}
	}
	return nil
}

func codesOf(outcome string) []string {
	var o struct {
		Issue []struct {
			Details struct{ Coding []struct{ Code string } }
		}
	}
	_ = json.Unmarshal([]byte(outcome), &o)
	var list []string
	for _, i := range o.Issue {
		for _, c := range i.Details.Coding {
			list = append(list, c.Code)
		}
	}
	return list
}

func (h *hospital) bundle(path string) bundle {
	h.t.Helper()
	a := h.get(path)
	var b bundle
	if a.status != 200 || json.Unmarshal([]byte(a.body), &b) != nil || b.ResourceType != "Bundle" {
		h.t.Fatalf("%s: %d %.300s", path, a.status, a.body)
	}
	return b
}

// charts writes two small charts: Alex Doe with a full one, Kim Roe with next to nothing.
func charts(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string][]string{}
	add := func(typ, format string, args ...any) {
		files[typ] = append(files[typ], `{"resourceType":"`+typ+`",`+fmt.Sprintf(format, args...)+`}`)
	}
	add("Patient", `"id":"eAlex3","extension":[{"valueCode":"248152002","url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-sex"}],"identifier":[{"use":"usual","type":{"text":"EPI"},"system":"urn:oid:1.2.840.114350.1.13.0.1.7.5.737384.14","value":"203713"}],"active":true,"name":[{"use":"official","text":"Alex Doe","family":"Doe","given":["Alex"]}],"gender":"female","birthDate":"1987-09-12","generalPractitioner":[{"reference":"Practitioner/eGP3","display":"Fay Practitioner, MD"}]`)
	add("Patient", `"id":"eKim3","name":[{"family":"Roe","given":["Kim"]}],"gender":"male","birthDate":"1973-06"`)
	add("Practitioner", `"id":"eGP3","name":[{"family":"Practitioner","given":["Fay"]}]`)
	add("Organization", `"id":"eOrg3","name":"Example Hospital"`)
	subject := `"subject":{"reference":"Patient/%s","display":"Doe, Alex"}`
	for i := range 7 {
		add("Observation", `"id":"fLab%d","status":"%s","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"%s"}]},`+subject+`,"effectiveDateTime":"2025-0%d-10T08:00:00Z","valueQuantity":{"value":7.%d0,"unit":"%%"}`,
			i+1, []string{"final", "amended"}[i%2], []string{"4548-4", "2345-7"}[i/4], "eAlex3", i+1, i)
	}
	for i := range 3 {
		add("Observation", `"id":"fVital%d","status":"final","category":[{"coding":[{"code":"vital-signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},`+subject+`,"effectiveDateTime":"2025-05-0%dT08:00:00Z","valueQuantity":{"value":70}`, i+1, "eAlex3", i+1)
	}
	add("Condition", `"id":"eProblem3","clinicalStatus":{"coding":[{"code":"active"}]},"category":[{"coding":[{"code":"problem-list-item"}]}],"code":{"coding":[{"system":"urn:oid:2.16.840.1.113883.6.96","code":"44054006"}]},`+subject, "eAlex3")
	add("Encounter", `"id":"eVisit3","identifier":[{"system":"urn:oid:1.2.840.114350.1.13.0.1.7.3.698084.8","value":"27001"}],"status":"finished","class":{"code":"13"},`+subject+`,"period":{"start":"2025-03-01T09:00:00Z","end":"2025-03-01T09:30:00Z"}`, "eAlex3")
	add("MedicationRequest", `"id":"eOrder3","status":"active","intent":"order","category":[{"coding":[{"code":"community"}]}],"medicationReference":{"reference":"Medication/fDrug4"},`+subject+`,"authoredOn":"2025-03-01"`, "eAlex3")
	add("Medication", `"id":"fDrug4","code":{"text":"metformin"}`)
	add("AllergyIntolerance", `"id":"eAllergy3","clinicalStatus":{"coding":[{"code":"active"}]},"patient":{"reference":"Patient/eAlex3"}`)
	add("CarePlan", `"id":"ePlan3","status":"active","intent":"plan","category":[{"coding":[{"system":"http://snomed.info/sct","code":"38717003"}]}],`+subject, "eAlex3")
	add("Appointment", `"id":"ePast3","status":"fulfilled","start":"2026-01-02T09:00:00Z","participant":[{"actor":{"reference":"Patient/eAlex3"},"status":"accepted"}]`)
	add("Appointment", `"id":"eNext3","status":"booked","start":"2026-12-02T09:00:00Z","participant":[{"actor":{"reference":"Patient/eAlex3"},"status":"accepted"}]`)
	add("Provenance", `"id":"eProv3","target":[{"reference":"Encounter/eVisit3"}],"recorded":"2025-03-01T09:00:00Z"`)
	add("Binary", `"id":"eNote3","contentType":"text/html","data":"PGRpdj5PSzwvZGl2Pg=="`)
	add("DocumentReference", `"id":"eDoc3","status":"current","category":[{"coding":[{"code":"clinical-note"}]}],`+subject+`,"content":[{"attachment":{"contentType":"text/html","url":"Binary/eNote3"}}]`, "eAlex3")
	add("DocumentReference", `"id":"eScan3","status":"current","category":[{"coding":[{"code":"imaging-result"}]}],`+subject, "eAlex3")
	for typ, lines := range files {
		if err := os.WriteFile(filepath.Join(dir, typ+".ndjson"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
