package sim_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/andironhq/andiron/sim"
)

// Precedence: _format, Accept, Content-Type, then XML; the type comes back under its own name;
// never 406 (captures and Epic's FHIR tutorial, high).
func TestContentNegotiation(t *testing.T) {
	h := open(t, nil)
	tests := []struct{ name, query, accept, contentType, want string }{
		{"nothing at all is XML", "", "", "", "application/xml; charset=utf-8"},
		{"anything is XML", "", "*/*", "", "application/xml; charset=utf-8"},
		{"something unknown is XML", "", "image/png", "", "application/xml; charset=utf-8"},
		{"FHIR JSON", "", "application/fhir+json", "", "application/fhir+json; charset=utf-8"},
		{"the old name comes back as the old name", "", "application/json+fhir", "", "application/json+fhir; charset=utf-8"},
		{"plain JSON", "", "application/json", "", "application/json; charset=utf-8"},
		{"FHIR XML", "", "application/fhir+xml", "", "application/fhir+xml; charset=utf-8"},
		{"the first known of a list", "", "text/html, application/fhir+json;q=0.9", "", "application/fhir+json; charset=utf-8"},
		{"Content-Type stands in for Accept", "", "", "application/fhir+json", "application/fhir+json; charset=utf-8"},
		{"Accept goes before Content-Type", "", "application/xml", "application/fhir+json", "application/xml; charset=utf-8"},
		{"_format goes before Accept", "?_format=json", "application/xml", "", "application/fhir+json; charset=utf-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{}
			if tt.accept != "" {
				header.Set("Accept", tt.accept)
			}
			if tt.contentType != "" {
				header.Set("Content-Type", tt.contentType)
			}
			a := h.do("GET", h.base()+"/metadata"+tt.query, header, "")
			if got := a.header.Get("Content-Type"); a.status != 200 || got != tt.want {
				t.Errorf("got %d %s, want 200 %s", a.status, got, tt.want)
			}
			if isXML := strings.HasPrefix(a.body, "<?xml"); isXML != strings.Contains(tt.want, "xml") {
				t.Errorf("the body begins %.30q", a.body)
			}
		})
	}
	json := open(t, func(s *sim.Server) { s.Knobs.NoAccept = "json" })
	if a := json.do("GET", json.base()+"/metadata", nil, ""); !strings.HasPrefix(a.body, "{") {
		t.Error("the knob no_accept=json is not heeded")
	}
}

func TestXMLIsFHIR(t *testing.T) {
	h := open(t, nil)
	a := h.get("Patient/eAlex3", "Accept", "application/fhir+xml")
	want := `<?xml version="1.0" encoding="utf-8"?><Patient xmlns="http://hl7.org/fhir"><id value="eAlex3"/>` +
		`<extension url="http://hl7.org/fhir/us/core/StructureDefinition/us-core-sex"><valueCode value="248152002"/></extension>`
	if !strings.HasPrefix(a.body, want) {
		t.Errorf("got  %.300s\nwant %s…", a.body, want)
	}
	for _, path := range []string{"metadata", "Patient/eAlex3", "Observation?patient=eAlex3&category=laboratory", "Patient/nobody"} {
		body := h.get(path, "Accept", "application/fhir+xml").body
		d := xml.NewDecoder(strings.NewReader(body))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s as XML is not well formed: %v", path, err)
				break
			}
		}
	}
}

// Headers that captures of 2024 and 2025 show (high).
func TestHeaders(t *testing.T) {
	h := open(t, nil)
	a := h.get("Observation/fLab1")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":      "*",
		"Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods":     "GET, HEAD, POST, PUT, DELETE, TRACE, OPTIONS",
		"Strict-Transport-Security":        "max-age=31536000; includeSubDomains",
		"Cache-Control":                    "no-cache,no-store",
		"Pragma":                           "no-cache",
		"Expires":                          "-1",
		"E-Tag":                            "",
		"ETag":                             "",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	var metrics map[string]float64
	if err := json.Unmarshal([]byte(a.header.Get("Servermetrics")), &metrics); err != nil {
		t.Errorf("Servermetrics is no object of numbers: %v", err)
	}
	if tag := h.get("Patient/eAlex3").header.Get("E-Tag"); tag == "" || strings.Trim(tag, "0123456789") != "" {
		t.Errorf("E-Tag on a Patient read is %q, want a bare integer", tag)
	}
}

func TestAuthenticationFailures(t *testing.T) {
	h := open(t, func(s *sim.Server) {
		s.Apps[0].APIs = []string{"Patient.Read (R4)", "Observation.Read (Vital Signs) (R4)", "Encounter.Search (R4)"}
	})
	h.signIn()
	const (
		invalid      = `Bearer error="invalid_token", error_description="The access token provided is not valid"`
		insufficient = `Bearer error="insufficient_scope", error_description="The access token provided is valid, but is not authorized for this service"`
	)
	tests := []struct {
		name, path, authorization string
		status                    int
		challenge, contentType    string
		body                      string
	}{
		{"a bad bearer (capture, high)", "Patient/eAlex3", "Bearer nonsense", 401, invalid, "application/json; charset=utf-8", `""`},
		{"Basic", "Patient/eAlex3", "Basic eDp5", 401, invalid, "application/json; charset=utf-8", `""`},
		{"no Authorization (medium)", "Patient/eAlex3", "", 401, "Bearer", "", ""},
		{"a type that is not on the app: read (high)", "Encounter/eVisit3", "Bearer " + h.token, 403, insufficient, "", ""},
		{"a type that is not on the app: search (high)", "Condition?patient=eAlex3", "Bearer " + h.token, 403, insufficient, "", ""},
		{
			"a sub-type that the app lacks (high)", "Observation/fLab1", "Bearer " + h.token, 403, "", "application/fhir+json; charset=utf-8",
			`{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"forbidden","details":{"coding":[{"system":"urn:oid:1.2.840.114350.1.13.0.1.7.2.657369","code":"59203","display":"The authenticated client is not authorized to access the requested resource sub-type."}],"text":"The authenticated client is not authorized to access the requested resource sub-type."},"diagnostics":"Client not authorized for Observation - Labs"}]}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{"Accept": {"application/fhir+json"}}
			if tt.authorization != "" {
				header.Set("Authorization", tt.authorization)
			}
			a := h.do("GET", h.base()+"/"+tt.path, header, "")
			if a.status != tt.status || a.body != tt.body {
				t.Errorf("got %d %s\nwant %d %s", a.status, a.body, tt.status, tt.body)
			}
			if got := a.header.Get("WWW-Authenticate"); got != tt.challenge {
				t.Errorf("WWW-Authenticate is %q, want %q", got, tt.challenge)
			}
			if got := a.header.Get("Content-Type"); got != tt.contentType {
				t.Errorf("Content-Type is %q, want %q", got, tt.contentType)
			}
		})
	}
	if a := h.get("Observation/fVital1"); a.status != 200 {
		t.Errorf("the sub-type that the app has: %d, want 200", a.status)
	}
}

// Where the FHIR layer is never reached the web server answers: XHTML of 1,245 bytes (captures,
// high).
func TestWebServersOwn404(t *testing.T) {
	h := open(t, nil)
	h.signIn()
	for _, path := range []string{
		h.base() + "/FakeType", h.base() + "/Person/1", h.base() + "/Slot?start=2025", h.base() + "/Schedule/x", h.base() + "/InsurancePlan",
		h.base() + "/Provenance?patient=eAlex3", h.base() + "/ValueSet?url=x",
		h.base() + "/$export", h.base() + "/Patient/$export", h.base() + "/Patient/eAlex3/$everything", h.base() + "/Observation/$lastn",
		h.base() + "/Patient/eAlex3/_history", h.base() + "/_history", h.base(), h.base() + "/patient/eAlex3",
		h.base() + "/Patient/..%2f..%2fetc", h.base() + "/Patient/a%2Fb", h.base() + "/Patient/%5c", h.base() + "//Patient",
		h.origin + "/interconnect-fhir-oauth/api/FHIR/STU3/Patient/eAlex3", h.origin + "/interconnect-fhir-oauth/api/FHIR/DSTU2/metadata",
		h.origin + "/interconnect-fhir-oauth/.well-known/oauth-authorization-server", h.origin + "/Interconnect-FHIR-OAuth/api/FHIR/R4/metadata", h.origin + "/",
	} {
		a := h.get(path)
		if a.status != 404 || a.header.Get("Content-Type") != "text/html" || len(a.body) != 1245 ||
			!strings.Contains(a.body, "<title>404 - File or directory not found.</title>") || !strings.Contains(a.body, "XHTML 1.0 Strict") {
			t.Errorf("%s: %d %s %d bytes, want the HTML page", path, a.status, a.header.Get("Content-Type"), len(a.body))
		}
		if got := a.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control is %q, want no-store", path, got)
		}
	}
}

func TestWritesAreRefused(t *testing.T) {
	h := open(t, nil)
	h.signIn()
	header := http.Header{"Authorization": {"Bearer " + h.token}}
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"POST", "MedicationRequest", 405}, // no create there (medium)
		{"POST", "ServiceRequest", 403},    // a create, but not on the app (medium)
		{"PUT", "Task/x", 403},
		{"PUT", "Patient/eAlex3", 405},
		{"DELETE", "Patient/eAlex3", 405},
		{"PATCH", "Patient/eAlex3", 405},
		{"POST", "metadata", 405},
	} {
		a := h.do(tt.method, h.base()+"/"+tt.path, header, "{}")
		if a.status != tt.status {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, a.status, tt.status)
		}
		if want := "The requested resource does not support http method '" + tt.method + "'."; tt.status == 405 && a.body != want {
			t.Errorf("%s %s says %q, want %q", tt.method, tt.path, a.body, want)
		}
	}
}

func TestReads(t *testing.T) {
	h := open(t, func(s *sim.Server) { s.Merged = map[string]string{"eOld3": "eAlex3"} })
	a := h.get("Patient/nobody")
	want := `{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"not-found","details":{"coding":[{"system":"urn:oid:1.2.840.114350.1.13.0.1.7.2.657369","code":"59008","display":"The FHIR ID provided was not found."}],"text":"The FHIR ID provided was not found."},"diagnostics":"Invalid FHIR ID provided","location":["/f:id"],"expression":["id"]}]}`
	if a.status != 404 || a.body != want {
		t.Errorf("an unknown id (capture, high): got %d %s\nwant 404 %s", a.status, a.body, want)
	}
	if a := h.get("Patient/ealex3"); a.status != 404 {
		t.Errorf("an id in another case: %d, want 404: ids are case-sensitive", a.status)
	}
	a = h.get("Patient/eOld3")
	if a.status != 302 || a.header.Get("Location") != h.base()+"/Patient/eAlex3" || !slices.Equal(codesOf(a.body), []string{"4107"}) {
		t.Errorf("a merged patient: %d to %q with %v, want a redirect to the survivor with 4107", a.status, a.header.Get("Location"), codesOf(a.body))
	}
	if a := h.get("Observation/fLab1"); !strings.Contains(a.body, `"value":7.00,`) {
		t.Errorf("a decimal was rewritten: %s", a.body)
	}
	if a := h.get("Binary/eNote3", "Accept", "text/html"); a.body != "<div>OK</div>" || a.header.Get("Content-Type") != "text/html" {
		t.Errorf("Binary by its own type: %s %q", a.header.Get("Content-Type"), a.body)
	}
	if a := h.get("Binary/eNote3"); !strings.Contains(a.body, `"data":"PGRpdj5PSzwvZGl2Pg=="`) {
		t.Errorf("Binary as FHIR: %s", a.body)
	}
	if a := h.get("Binary/none"); a.status != 404 || !slices.Equal(codesOf(a.body), []string{"59144"}) {
		t.Errorf("a missing Binary: %d %v, want 404 with 59144", a.status, codesOf(a.body))
	}
}

func TestDiscovery(t *testing.T) {
	h := open(t, nil)
	root := h.origin + "/interconnect-fhir-oauth"
	a := h.do("GET", h.base()+"/.well-known/smart-configuration", nil, "")
	want := `{"authorization_endpoint":"` + root + `/oauth2/authorize","token_endpoint":"` + root + `/oauth2/token","token_endpoint_auth_methods_supported":["client_secret_post","client_secret_basic","private_key_jwt"],"scopes_supported":["epic.scanning.dmsusername","fhirUser","launch","openid","profile"],"response_types_supported":["code"],"capabilities":["launch-ehr","launch-standalone","client-public","client-confidential-symmetric","client-confidential-asymmetric","context-banner","context-style","context-ehr-patient","context-ehr-encounter","context-standalone-patient","permission-offline","permission-patient","permission-user","permission-v1","permission-v2","sso-openid-connect","authorize-post"],"grant_types_supported":["authorization_code","refresh_token","client_credentials","urn:ietf:params:oauth:grant-type:jwt-bearer","urn:ietf:params:oauth:grant-type:token-exchange"],"code_challenge_methods_supported":["S256"],"issuer":"` + root + `/oauth2","jwks_uri":"` + root + `/api/epic/2019/Security/Open/PublicKeys/530027/OIDC"}`
	if a.status != 200 || a.body != want || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Errorf("smart-configuration (captured July 2026, high):\ngot  %s\nwant %s", a.body, want)
	}
	for _, path := range []string{"/oauth2/.well-known/openid-configuration", "/api/FHIR/R4/.well-known/openid-configuration"} {
		var v struct {
			Issuer string
			Algs   []string `json:"id_token_signing_alg_values_supported"`
			JWKS   string   `json:"jwks_uri"`
		}
		if err := json.Unmarshal([]byte(h.do("GET", root+path, nil, "").body), &v); err != nil || v.Issuer != root+"/oauth2" || !slices.Equal(v.Algs, []string{"RS256"}) {
			t.Errorf("%s: %+v, %v", path, v, err)
		}
		var keys struct{ Keys []map[string]any }
		if err := json.Unmarshal([]byte(h.do("GET", v.JWKS, nil, "").body), &keys); err != nil || len(keys.Keys) != 1 || keys.Keys[0]["d"] != nil {
			t.Errorf("the key set at %s: %v, %v", v.JWKS, keys, err)
		}
	}
}

// The CapabilityStatement's members stand in the order of the sandbox's, July 2026 (high).
func TestMetadata(t *testing.T) {
	h := open(t, nil)
	a := h.do("GET", h.base()+"/metadata", http.Header{"Accept": {"application/fhir+json"}}, "")
	wantOrder := []string{`"resourceType"`, `"status":"active"`, `"experimental":true`, `"date"`, `"copyright":"Copyright Epic 1979-2026"`, `"kind":"instance"`, `"instantiates"`, `"software":{"name":"Epic","version":"May 2026","releaseDate":"2026-05-11"}`, `"implementation":{"description":"FHIR Sandbox FHIR Server","url":"` + h.base() + `"}`, `"fhirVersion":"4.0.1"`, `"format":["xml","json"]`, `"rest":[{"mode":"server","security":{"extension"`}
	at := 0
	for _, member := range wantOrder {
		i := strings.Index(a.body[at:], member)
		if i < 0 {
			t.Fatalf("%s is missing or out of order in %.600s", member, a.body)
		}
		at += i
	}
	var c struct {
		Rest []struct {
			Interaction, Operation []any
			Resource               []struct {
				Type        string
				Interaction []struct{ Code string }
				SearchParam []struct{ Name, Type string }
				Operation   []struct{ Name, Definition string }
			}
		}
	}
	if err := json.Unmarshal([]byte(a.body), &c); err != nil {
		t.Fatal(err)
	}
	if n := len(c.Rest[0].Resource); n != 59 {
		t.Errorf("%d types, want 59", n)
	}
	if c.Rest[0].Interaction != nil || c.Rest[0].Operation != nil {
		t.Error("rest declares interactions or operations, the sandbox does not")
	}
	count := map[string]int{}
	for _, r := range c.Rest[0].Resource {
		for _, i := range r.Interaction {
			count[i.Code]++
		}
		if r.Type == "Appointment" && (r.SearchParam[0].Name != "date" || r.SearchParam[6].Name != "_count" || r.SearchParam[7].Name != "_id" || r.SearchParam[8].Name != "actor") {
			t.Errorf("Appointment's parameters are out of order: %v", r.SearchParam)
		}
		for _, o := range r.Operation {
			if o.Definition == "" {
				t.Errorf("%s $%s has no definition", r.Type, o.Name)
			}
		}
	}
	if count["read"] != 59 || count["search-type"] != 56 || count["create"] != 11 || count["update"] != 7 || len(count) != 4 {
		t.Errorf("interactions are %v, want read 59, search-type 56, create 11, update 7", count)
	}
}
