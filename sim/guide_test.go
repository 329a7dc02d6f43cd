package sim_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/andironhq/andiron/sim"
)

// guideHospital runs the dialect in which the integration guide's own code works: a public JWK
// is uploaded, and the app signs RS384 with it.
func guideHospital(t *testing.T) *hospital {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: &key.PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	h := open(t, func(s *sim.Server) {
		s.Knobs = sim.GuideDialect()
		s.Apps = []sim.App{{ClientID: "YOUR_CLIENT_ID", JWK: jwk}}
	})
	h.app, h.key, h.alg = "YOUR_CLIENT_ID", key, jose.RS384
	return h
}

// createClientAssertion is the guide's create_client_assertion, step 2: iss, sub, aud, jti,
// exp = now + 300, RS384, and nothing else.
func createClientAssertion(t *testing.T, clientID, tokenEndpoint string, privateKey *rsa.PrivateKey) string {
	t.Helper()
	payload, err := json.Marshal(map[string]any{
		"iss": clientID,
		"sub": clientID,
		"aud": tokenEndpoint,
		"jti": fmt.Sprint("uuid4-", unique.Add(1)),
		"exp": time.Now().Unix() + 300, // 5 minute expiry
	})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS384, Key: privateKey}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// getBackendToken is the guide's get_backend_token: response.json()["access_token"].
func getBackendToken(t *testing.T, h *hospital) map[string]any {
	t.Helper()
	endpoint := h.tokenURL()
	resp, err := http.PostForm(endpoint, url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {createClientAssertion(t, h.app, endpoint, h.key.(*rsa.PrivateKey))},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var v map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || v["access_token"] == nil {
		t.Fatalf("no access_token: %v %v (%s)", v, err, h.lastReason())
	}
	return v
}

func TestGuideStep2BackendToken(t *testing.T) {
	h := guideHospital(t)
	v := getBackendToken(t, h)
	if v["expires_in"] != 3600.0 {
		t.Errorf("expires_in is %v, want 3600", v["expires_in"])
	}
	if v["practitioner"] != "eGP3" {
		t.Errorf("practitioner is %v, want the background user's id", v["practitioner"])
	}
}

// epicFHIRClient is the guide's EpicFHIRClient, step 4.
type epicFHIRClient struct {
	t       *testing.T
	baseURL string
	headers http.Header
}

func newEpicFHIRClient(t *testing.T, baseURL, accessToken string) *epicFHIRClient {
	return &epicFHIRClient{t, strings.TrimRight(baseURL, "/"), http.Header{
		"Authorization": {"Bearer " + accessToken},
		"Accept":        {"application/fhir+json"},
		"Content-Type":  {"application/fhir+json"},
	}}
}

func (c *epicFHIRClient) get(target string) map[string]any {
	c.t.Helper()
	req, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header = c.headers
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 400 { // response.raise_for_status()
		c.t.Fatalf("%s: %d", target, resp.StatusCode)
	}
	var v map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		c.t.Fatal(err)
	}
	return v
}

func (c *epicFHIRClient) getPatient(id string) map[string]any {
	return c.get(c.baseURL + "/Patient/" + id)
}

func (c *epicFHIRClient) searchObservations(patientID, loincCode, dateFrom string) (results []any, pages []string) {
	params := url.Values{"patient": {patientID}, "code": {"http://loinc.org|" + loincCode}}
	if dateFrom != "" {
		params.Set("date", "ge"+dateFrom)
	}
	target := c.baseURL + "/Observation?" + params.Encode()
	for target != "" {
		pages = append(pages, target)
		bundle := c.get(target)
		// Extract resources from Bundle.entry
		entries, _ := bundle["entry"].([]any)
		for _, entry := range entries {
			results = append(results, entry.(map[string]any)["resource"])
		}
		// Follow pagination links
		target = ""
		links, _ := bundle["link"].([]any)
		for _, link := range links {
			if l := link.(map[string]any); l["relation"] == "next" {
				target = l["url"].(string)
				break
			}
		}
	}
	return results, pages
}

func TestGuideStep4Client(t *testing.T) {
	h := guideHospital(t)
	token := getBackendToken(t, h)["access_token"].(string)
	c := newEpicFHIRClient(t, h.base()+"/", token)

	patient := c.getPatient("eAlex3")
	first := patient["extension"].([]any)[0].(map[string]any)
	if first["url"] != "http://open.epic.com/FHIR/StructureDefinition/extension/patient-merge-unmerge-status" || first["valueString"] != "Active" {
		t.Errorf("the patient's first extension is %v", first)
	}
	if n := len(patient["extension"].([]any)); n != 2 {
		t.Errorf("%d extensions, want the guide's and the patient's own", n)
	}
	plain := c.getPatient("eKim3")
	if n := len(plain["extension"].([]any)); n != 1 {
		t.Errorf("a patient without extensions now has %d, want 1", n)
	}
	results, _ := c.searchObservations("eAlex3", "4548-4", "2025-02-01")
	found := 0
	for _, r := range results {
		if r.(map[string]any)["resourceType"] == "Observation" {
			found++
		}
	}
	if found != 3 {
		t.Errorf("search_observations found %d, want 3", found)
	}
}

// Pages hold 20 by default and 100 at most, and next is the search with &_page=2 (the guide's
// "Pagination Is Mandatory").
func TestGuidePaging(t *testing.T) {
	h := guideHospital(t)
	b := h.bundle("Observation?patient=eAlex3&category=laboratory&_count=3")
	var got []string
	for page := 2; ; page++ {
		got = append(got, b.ids("match")...)
		next := b.next()
		if next == "" {
			break
		}
		if want := h.base() + fmt.Sprintf("/Observation?category=laboratory&patient=eAlex3&_count=3&_page=%d", page); next != want {
			t.Fatalf("next is %s, want %s", next, want)
		}
		b = h.bundle(next)
	}
	if strings.Join(got, " ") != "fLab1 fLab2 fLab3 fLab4 fLab5 fLab6 fLab7" {
		t.Errorf("the pages hold %v", got)
	}
	if b := h.bundle("Observation?patient=eAlex3&category=laboratory&_page=99"); len(b.ids("match")) != 0 {
		t.Errorf("a page beyond the end holds %v", b.ids("match"))
	}
	if b := h.bundle("Observation?patient=eAlex3&category=laboratory&_page=-1"); len(b.ids("match")) != 7 {
		t.Errorf("page -1 holds %v, want the first", b.ids("match"))
	}
}

func TestGuideStep6Export(t *testing.T) {
	h := guideHospital(t)
	token := getBackendToken(t, h)["access_token"].(string)

	// start_bulk_export(base_url, token, resource_types)
	params := url.Values{"_type": {strings.Join([]string{"Patient", "Observation"}, ",")}}
	req, err := http.NewRequest(http.MethodGet, h.base()+"/$export?"+params.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		"Authorization": {"Bearer " + token},
		"Accept":        {"application/fhir+json"},
		"Prefer":        {"respond-async"}, // Required for bulk export
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("kick-off: %d, want 202", resp.StatusCode)
	}
	statusURL := resp.Header.Get("Content-Location")

	// poll_export_status(status_url, token): no Accept, as in the guide
	var result map[string]any
	for polls := 0; result == nil; polls++ {
		req, _ := http.NewRequest(http.MethodGet, statusURL, nil)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case resp.StatusCode == http.StatusAccepted && polls < 10:
			if resp.Header.Get("X-Progress") == "" {
				t.Error("no X-Progress while the export runs")
			}
		case resp.StatusCode == http.StatusOK:
			if err := json.NewDecoder(resp.Body).Decode(&result); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatalf("export failed: %d", resp.StatusCode)
		}
		_ = resp.Body.Close()
	}
	if result["requiresAccessToken"] != true {
		t.Errorf("requiresAccessToken is %v, want true", result["requiresAccessToken"])
	}
	h.token = token
	total := 0
	for _, f := range result["output"].([]any) {
		file := f.(map[string]any)
		for _, line := range strings.Split(strings.TrimSpace(h.get(file["url"].(string)).body), "\n") {
			var r struct{ ResourceType string }
			if err := json.Unmarshal([]byte(line), &r); err != nil || r.ResourceType != file["type"] {
				t.Errorf("a line of a %s file: %.80s", file["type"], line)
			}
			total++
		}
	}
	if total != 12 {
		t.Errorf("%d resources, want 2 patients and 10 observations", total)
	}
	if a := h.get("Patient/$export", "Prefer", "respond-async"); a.status != 202 {
		t.Errorf("Patient/$export in the guide's dialect: %d, want 202", a.status)
	}
}

// 100 requests a minute and access token, then 429 with Retry-After.
func TestGuideRateLimit(t *testing.T) {
	h := guideHospital(t)
	h.signIn()
	for i := range 100 {
		if a := h.get("Patient/eAlex3"); a.status != 200 {
			t.Fatalf("request %d: %d, want 200", i+1, a.status)
		}
	}
	a := h.get("Patient/eAlex3")
	wait, err := time.ParseDuration(a.header.Get("Retry-After") + "s")
	if a.status != 429 || err != nil || wait < time.Second || wait > time.Minute {
		t.Fatalf("request 101: %d with Retry-After %q, want 429 and at most a minute", a.status, a.header.Get("Retry-After"))
	}
	first := h.token
	h.signIn()
	if a := h.get("Patient/eAlex3"); a.status != 200 {
		t.Errorf("another token: %d, want 200: the limit goes by token", a.status)
	}
	h.token = first
	h.Advance(wait)
	if a := h.get("Patient/eAlex3"); a.status != 200 {
		t.Errorf("after Retry-After: %d, want 200", a.status)
	}
}

// The guide's table for backend apps: everything but past appointments ("Limited").
func TestGuideMatrix(t *testing.T) {
	h := guideHospital(t)
	h.Advance(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC).Sub(h.Now()))
	if got := strings.Join(h.bundle("Appointment?patient=eAlex3").ids("match"), " "); got != "eNext3" {
		t.Errorf("appointments are %q, want the one to come", got)
	}
	if a := h.get("Appointment/ePast3"); a.status != 403 || !strings.Contains(a.body, "Client not authorized for Appointment - Past Appointments") {
		t.Errorf("a past appointment: %d %s", a.status, a.body)
	}
	m := h.finish(h.kick("$export?_type=Appointment"))
	if got := h.lines(m, "Appointment"); len(got) != 1 {
		t.Errorf("the export holds %d appointments, want 1", len(got))
	}
	if got := h.bundle("CarePlan?patient=eAlex3&category=38717003").ids("match"); !slices.Equal(got, []string{"ePlan3"}) {
		t.Errorf("care plans are %v", got)
	}
	matrix := sim.Matrix()
	if len(matrix) != 12 || matrix["CarePlan"][sim.Standalone] != sim.None || matrix["DocumentReference"][sim.Standalone] != sim.Limited || matrix["Appointment"][sim.EHRLaunch] != sim.Full {
		t.Errorf("the table is %v", matrix)
	}
}
