package interop

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/andironhq/andiron/internal/chromium"
	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/simtest"
	"github.com/andironhq/andiron/smart"
)

func TestMain(m *testing.M) { os.Exit(chromium.Main(m)) }

// What fhirclient runs in: launch.html begins, index.html reads the chart and writes what it
// found as JSON. Everything between is the peer's.
const launchPage = `<!DOCTYPE html><link rel="icon" href="data:,"><script src="/fhir-client.js"></script>
<script>FHIR.oauth2.authorize(%s)</script>`

const chartPage = `<!DOCTYPE html><link rel="icon" href="data:,"><script src="/fhir-client.js"></script><pre id="out"></pre>
<script>
(async () => {
  const client = await FHIR.oauth2.ready();
  const patient = await client.patient.read();
  const ids = [];
  let pages = 0;
  const query = new URLSearchParams({ patient: client.patient.id, category: 'laboratory', _count: '7' });
  await client.request('Observation?' + query, { pageLimit: 0, onPage: (bundle) => {
    pages++;
    for (const e of bundle.entry ?? []) if (e.search?.mode === 'match') ids.push(e.resource.id);
  } });
  const user = await client.user.read();
  let again = '';
  if (client.state.tokenResponse.refresh_token) {
    const before = client.state.tokenResponse.access_token;
    await client.refresh();
    again = String(before !== client.state.tokenResponse.access_token && (await client.patient.read()).id === patient.id);
  }
  document.getElementById('out').textContent = 'DONE ' + JSON.stringify({
    patient: patient.id, birthDate: patient.birthDate, user: user.resourceType, encounter: client.encounter.id, ids, pages, again,
    pkce: !!client.state.codeVerifier, asked: client.state.scope,
  });
})().catch((e) => console.error(String(e)));
</script>`

// serveFHIRClient is a web page with fhirclient in it, as its authors build it for browsers.
func serveFHIRClient(t *testing.T) (origin string, begin func(options map[string]any)) {
	t.Helper()
	node(t)
	var options []byte
	mux := http.NewServeMux()
	mux.HandleFunc("/fhir-client.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "node_modules/fhirclient/build/fhir-client.js")
	})
	mux.HandleFunc("/launch.html", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, launchPage, options) })
	mux.HandleFunc("/index.html", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, chartPage) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, func(o map[string]any) {
		var err error
		if options, err = json.Marshal(o); err != nil {
			t.Fatal(err)
		}
	}
}

// privateJWK is a key as WebCrypto takes it.
func privateJWK(t *testing.T, key *smart.Key) map[string]any {
	t.Helper()
	text, err := key.PEM()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(jose.JSONWebKey{Key: private, KeyID: key.ID(), Algorithm: key.Algorithm()})
	if err != nil {
		t.Fatal(err)
	}
	jwk := map[string]any{}
	if err := json.Unmarshal(b, &jwk); err != nil {
		t.Fatal(err)
	}
	jwk["key_ops"] = []string{"sign"}
	return jwk
}

func TestFHIRClientInABrowserSignsInAtSimulator(t *testing.T) {
	const patientScope = "openid fhirUser launch/patient patient/Patient.rs patient/Observation.rs"
	const clinicianScope = "openid fhirUser launch user/Patient.rs user/Observation.rs user/Practitioner.r"
	for _, c := range []struct {
		name  string
		kind  sim.Kind
		scope string
		auth  string
	}{
		{"standalone, public", sim.Standalone, patientScope, sim.AuthNone},
		{"standalone, secret, refreshed", sim.Standalone, patientScope + " offline_access", sim.AuthSecret},
		{"standalone, key", sim.Standalone, patientScope, sim.AuthKey},
		{"EHR launch, public", sim.EHRLaunch, clinicianScope, sim.AuthNone},
		{"EHR launch, key", sim.EHRLaunch, clinicianScope, sim.AuthKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			origin, begin := serveFHIRClient(t)
			epic := simtest.Start(t)
			app := sim.App{
				ClientID: "peer", Name: "fhirclient", Kind: c.kind, Auth: c.auth,
				RedirectURIs: []string{origin + "/index.html"}, Origins: []string{origin},
			}
			options := map[string]any{
				"client_id": "peer", "scope": c.scope, "redirect_uri": origin + "/index.html", "pkceMode": "required",
			}
			switch c.auth {
			case sim.AuthSecret:
				app.Secret, app.Persistent = secret, true
				options["clientSecret"] = secret
			case sim.AuthKey:
				app.JWKSURL = epic.JWKS
				options["clientPrivateJwk"] = privateJWK(t, epic.Key)
			}
			epic.AddApp(t, app)

			b := chromium.Start(t)
			var tab *chromium.Tab
			user := "Patient"
			if c.kind == sim.EHRLaunch {
				user = "Practitioner"
				begin(options)
				token := epic.Launch(t, sim.Launch{ClientID: "peer", Patient: epic.Patient})
				tab = b.Open(origin + "/launch.html?" + url.Values{"iss": {epic.URL}, "launch": {token}}.Encode())
			} else {
				options["iss"] = epic.URL
				begin(options)
				tab = b.Open(origin + "/launch.html")
				tab.Fill("username", "simrosalind")
				tab.Fill("password", sim.Password)
				tab.Click("sign-in")
				tab.Click("allow")
			}
			text := tab.Wait("DONE ")
			var got struct {
				Patient, BirthDate, User, Again string
				IDs                             []string
				Pages                           int
				PKCE                            bool
			}
			if err := json.Unmarshal([]byte(text[len("DONE "):]), &got); err != nil {
				t.Fatalf("the page wrote no JSON: %v", err)
			}
			if got.Patient != epic.Patient || got.User != user || !got.PKCE {
				t.Errorf("the peer has patient %s, user %s, PKCE %v", got.Patient, got.User, got.PKCE)
			}
			if want := map[bool]string{true: "true"}[c.auth == sim.AuthSecret]; got.Again != want {
				t.Errorf("refreshed and read again: %q, want %q", got.Again, want)
			}
			sameWalk(t, epic, got.BirthDate, got.IDs, got.Pages)
		})
	}
}
