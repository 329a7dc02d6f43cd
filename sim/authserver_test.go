package sim_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/andironhq/andiron/sim"
	"github.com/andironhq/andiron/sim/population"
)

func TestAuthorizationRules(t *testing.T) {
	for _, row := range []struct {
		rule  string
		knobs sim.Knobs
		edits url.Values
		code  string // the error told to the app; "page" for a page without redirect, "" for the sign-in page
	}{
		{"A1 unknown client", sim.Knobs{}, url.Values{"client_id": {"nobody"}}, "page"},
		{"A1 redirect off by one character", sim.Knobs{}, url.Values{"redirect_uri": {redirect + "/"}}, "page"},
		{"A1 redirect of another host", sim.Knobs{}, url.Values{"redirect_uri": {"https://app.example.evil/callback"}}, "page"},
		{"A1 redirect with a query added", sim.Knobs{}, url.Values{"redirect_uri": {redirect + "?next=evil"}}, "page"},
		{"A1 redirect in other case", sim.Knobs{}, url.Values{"redirect_uri": {"https://APP.example/callback"}}, "page"},
		{"A1 two redirects", sim.Knobs{}, url.Values{"redirect_uri": {redirect, redirect}}, "page"},
		{"A1 no redirect", sim.Knobs{}, url.Values{"redirect_uri": nil}, "page"},
		{"A2 no response type", sim.Knobs{}, url.Values{"response_type": nil}, "invalid_request"},
		{"A2 implicit flow", sim.Knobs{}, url.Values{"response_type": {"token"}}, "unsupported_response_type"},
		{"A2 scope twice", sim.Knobs{}, url.Values{"scope": {"openid", "openid"}}, "invalid_request"},
		{"A2 state twice", sim.Knobs{}, url.Values{"state": {"a", "b"}}, "invalid_request"},
		{"A3 another server's audience", sim.Knobs{}, url.Values{"aud": {"https://other.example/api/FHIR/R4"}}, "page"},
		{"A3 no audience", sim.Knobs{}, url.Values{"aud": nil}, "page"},
		{"A3 no audience, knob aud_required off", sim.Knobs{NoAudRequired: true}, url.Values{"aud": nil}, ""},
		{"A3 wrong audience, knob aud_required off", sim.Knobs{NoAudRequired: true}, url.Values{"aud": {"x"}}, "page"},
		{"A4 plain challenge", sim.Knobs{}, url.Values{"code_challenge_method": {"plain"}}, "invalid_request"},
		{"A4 method left out", sim.Knobs{}, url.Values{"code_challenge_method": nil}, "invalid_request"},
		{"A4 short challenge", sim.Knobs{}, url.Values{"code_challenge": {"short"}}, "invalid_request"},
		{"A4 no challenge", sim.Knobs{}, url.Values{"code_challenge": nil, "code_challenge_method": nil}, ""},
		{"A4 no challenge, knob pkce_required", sim.Knobs{PKCERequired: true}, url.Values{"code_challenge": nil, "code_challenge_method": nil}, "invalid_request"},
		{"A5 no state", sim.Knobs{}, url.Values{"state": nil}, ""},
		{"A5 no state, knob state_required", sim.Knobs{StateRequired: true}, url.Values{"state": nil}, "invalid_request"},
		{"A6 invented launch token", sim.Knobs{}, url.Values{"client_id": {"chart-app"}, "launch": {"x"}, "scope": {"launch"}}, "page"},
		{"A7 unregistered scope", sim.Knobs{}, url.Values{"scope": {"openid patient/Nonsense.rs"}}, ""},
		{"A7 unregistered scope, knob unknown_scope", sim.Knobs{UnknownScope: "page"}, url.Values{"scope": {"openid patient/Nonsense.rs"}}, "page"},
		{"A7 no scope", sim.Knobs{}, url.Values{"scope": nil}, ""},
		{"A7 no scope, knob scope_required", sim.Knobs{ScopeRequired: true}, url.Values{"scope": nil}, "page"},
		{"A8 over-long address", sim.Knobs{}, url.Values{"nonce": {strings.Repeat("n", 17<<10)}}, "404"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			c := newClinic(t, row.knobs)
			p := c.authorize(c.ask("patient-app", row.edits))
			switch row.code {
			case "page":
				if p.location != nil || p.status != http.StatusBadRequest || !strings.Contains(p.text, "Something went wrong") || c.reason() == "" {
					t.Errorf("status %d, redirect %v, reason %q, want the error page without redirect", p.status, p.location != nil, c.reason())
				}
			case "404":
				if p.status != http.StatusNotFound {
					t.Errorf("status %d, want 404", p.status)
				}
			case "":
				if p.status != http.StatusOK || !strings.Contains(p.text, `id="sign-in"`) {
					t.Errorf("status %d (%s), want the sign-in page", p.status, c.reason())
				}
			default:
				if p.location.Get("error") != row.code || c.reason() == "" || p.location.Has("code") {
					t.Errorf("the app is told %q (%s), want %q", p.location.Get("error"), c.reason(), row.code)
				}
				if row.edits["state"] == nil && !strings.Contains(row.rule, "A5") && p.location.Get("state") != "st/ate+ &=ü" {
					t.Error("A5: state is not echoed with the error")
				}
			}
		})
	}
}

func TestCodeRules(t *testing.T) {
	for _, row := range []struct {
		rule, code string
		edits      url.Values
		wait       time.Duration
	}{
		{"A9 after a minute", "invalid_grant", nil, 61 * time.Second},
		{"A9 invented", "invalid_grant", url.Values{"code": {"x"}}, 0},
		{"T2 no secret", "invalid_client", url.Values{"client_secret": nil}, 0},
		{"T2 wrong secret", "invalid_client", url.Values{"client_secret": {"x"}}, 0},
		{"T2 unknown client", "invalid_client", url.Values{"client_id": {"nobody"}}, 0},
		{"T2 nobody", "invalid_client", url.Values{"client_id": nil, "client_secret": nil}, 0},
		{"T3 another app's code", "invalid_grant", url.Values{"client_id": {"public-app"}, "client_secret": nil}, 0},
		{"T4 another redirect", "invalid_grant", url.Values{"redirect_uri": {redirect + "/"}}, 0},
		{"T4 no redirect", "invalid_grant", url.Values{"redirect_uri": nil}, 0},
		{"T5 no verifier", "invalid_grant", url.Values{"code_verifier": nil}, 0},
		{"T5 blank verifier", "invalid_grant", url.Values{"code_verifier": {""}}, 0},
		{"T5 wrong verifier", "invalid_grant", url.Values{"code_verifier": {strings.Repeat("a", 43)}}, 0},
		{"T5 verifier equal to the challenge", "invalid_grant", url.Values{"code_verifier": {challenge}}, 0},
		{"T9 unknown grant", "unsupported_grant_type", url.Values{"grant_type": {"password"}}, 0},
		{"T1 no code", "invalid_request", url.Values{"code": nil}, 0},
	} {
		t.Run(row.rule, func(t *testing.T) {
			c := newClinic(t, sim.Knobs{})
			code := c.code("patient-app", "simtheo", nil)
			c.Advance(row.wait)
			status, v := c.exchange("patient-app", code, row.edits)
			if status != http.StatusBadRequest || v["error"] != row.code || c.reason() == "" {
				t.Errorf("status %d, error %v (%s), want 400 %s", status, v["error"], c.reason(), row.code)
			}
			if d, ok := v["error_description"]; !ok || d != nil || len(v) != 2 {
				t.Error("the refusal says more than Epic's: an error and no description")
			}
		})
	}
}

func TestSecondUseOfCodeEndsWhatTheFirstGave(t *testing.T) { // A9
	c := newClinic(t, sim.Knobs{})
	code := c.code("patient-app", "simtheo", nil)
	_, v := c.exchange("patient-app", code, nil)
	if status, _ := c.exchange("patient-app", code, nil); status != http.StatusBadRequest {
		t.Errorf("the second use answers %d", status)
	}
	if c.works(v["access_token"], population.TheoID) {
		t.Error("the access token outlives the second use of its code")
	}
	if status, _ := c.refresh("patient-app", v["refresh_token"].(string), nil); status != http.StatusBadRequest {
		t.Error("the refresh token outlives the second use of its code")
	}
}

func TestRacingExchangesLeaveNoToken(t *testing.T) { // A9
	c := newClinic(t, sim.Knobs{})
	code := c.code("patient-app", "simtheo", nil)
	var mu sync.Mutex
	var tokens []any
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if status, v := c.exchange("patient-app", code, nil); status == http.StatusOK {
				mu.Lock()
				defer mu.Unlock()
				tokens = append(tokens, v["access_token"])
			}
		})
	}
	wg.Wait()
	if len(tokens) > 1 {
		t.Errorf("%d exchanges of one code won", len(tokens))
	}
	for _, token := range tokens {
		if c.works(token, population.TheoID) {
			t.Error("the winner's token is good though others tried the code")
		}
	}
}

func TestRefreshRules(t *testing.T) { // T7
	c := newClinic(t, sim.Knobs{})
	_, v := c.exchange("patient-app", c.code("patient-app", "simtheo", nil), nil)
	first := v["refresh_token"].(string)
	if status, _ := c.refresh("patient-app", first, url.Values{"client_secret": nil}); status != http.StatusBadRequest {
		t.Error("T2: a refresh without client authentication is answered")
	}
	if _, e := c.refresh("patient-app", first, url.Values{"scope": {"openid user/Patient.r"}}); e["error"] != "invalid_scope" {
		t.Errorf("a wider scope is answered with %v", e["error"])
	}
	status, narrow := c.refresh("patient-app", first, url.Values{"scope": {"patient/Patient.r"}})
	if status != http.StatusOK || narrow["scope"] != "patient/Patient.r" {
		t.Errorf("a narrower scope is answered %d (%s)", status, c.reason())
	}
	second := narrow["refresh_token"].(string)
	if _, e := c.refresh("patient-app", first, nil); e["error"] != "invalid_grant" {
		t.Error("an old refresh token is good twice")
	}
	if _, e := c.refresh("patient-app", second, nil); e["error"] != "invalid_grant" {
		t.Error("the reuse of an old refresh token leaves the new one good")
	}
	if c.works(narrow["access_token"], population.TheoID) {
		t.Error("the reuse of an old refresh token leaves the access token good")
	}
}

func TestRotationKeepsAbsoluteEnd(t *testing.T) { // T7
	c := newClinic(t, sim.Knobs{RefreshLife: 3 * time.Hour})
	token, err := c.Launch(sim.Launch{ClientID: "chart-app", Patient: population.TheoID})
	if err != nil {
		t.Fatal(err)
	}
	p := c.authorize(c.ask("chart-app", url.Values{"scope": {"launch offline_access"}, "launch": {token}}))
	_, v := c.exchange("chart-app", p.location.Get("code"), nil)
	for range 2 {
		c.Advance(time.Hour)
		status, next := c.refresh("chart-app", v["refresh_token"].(string), nil)
		if status != http.StatusOK {
			t.Fatalf("the refresh before the end answers %d (%s)", status, c.reason())
		}
		v = next
	}
	c.Advance(time.Hour)
	if _, e := c.refresh("chart-app", v["refresh_token"].(string), nil); e["error"] != "invalid_grant" {
		t.Error("rotation extends the absolute end")
	}
}

func TestRefreshTokensOnlyForConfidentialPersistentAppsThatAsk(t *testing.T) {
	c := newClinic(t, sim.Knobs{})
	_, v := c.exchange("public-app", c.code("public-app", "simtheo", nil), nil)
	if v["access_token"] == nil || v["refresh_token"] != nil {
		t.Error("a public app gets a refresh token, or no access token")
	}
	_, v = c.exchange("patient-app", c.code("patient-app", "simtheo", url.Values{"scope": {"openid"}}), nil)
	if v["access_token"] == nil || v["refresh_token"] != nil {
		t.Error("an app that did not ask for offline_access gets a refresh token, or no access token")
	}
}

func TestRefreshWithoutNewToken(t *testing.T) {
	c := newClinic(t, sim.Knobs{Refresh: "same"})
	_, v := c.exchange("patient-app", c.code("patient-app", "simtheo", nil), nil)
	for range 2 {
		status, again := c.refresh("patient-app", v["refresh_token"].(string), nil)
		if status != http.StatusOK || again["refresh_token"] != nil {
			t.Errorf("the refresh answers %d with a refresh token %v", status, again["refresh_token"] != nil)
		}
	}
}

func TestBasicDecodeKnob(t *testing.T) { // T2
	const secret = "a+b%20c/=:d"
	for _, row := range []struct {
		knob         string
		raw, encoded bool
	}{{"raw", true, false}, {"encoded", false, true}, {"both", true, true}} {
		c := newClinic(t, sim.Knobs{BasicDecode: row.knob})
		if err := c.Register(sim.App{ClientID: "basic", Kind: sim.Standalone, RedirectURIs: []string{redirect}, Secret: secret}); err != nil {
			t.Fatal(err)
		}
		for _, way := range []struct {
			text string
			want bool
		}{{"basic:" + secret, row.raw}, {"basic:" + url.QueryEscape(secret), row.encoded}} {
			v := url.Values{"grant_type": {"authorization_code"}, "code": {c.code("basic", "simtheo", nil)}, "redirect_uri": {redirect}, "code_verifier": {verifier}}
			header := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(way.text))}}
			if status, _ := c.post("token", v, header); (status == http.StatusOK) != way.want {
				t.Errorf("knob %s: status %d (%s)", row.knob, status, c.reason())
			}
		}
	}
}

func TestIDToken(t *testing.T) { // I3
	c := newClinic(t, sim.Knobs{})
	_, v := c.exchange("patient-app", c.code("patient-app", "simtheo", nil), nil)
	resp := c.result(http.Get(c.origin + strings.TrimSuffix(c.TokenPath(), "oauth2/token") + "api/epic/2019/Security/Open/PublicKeys/530027/OIDC"))
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(resp.text), &set); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(v["id_token"].(string), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	if jws.Signatures[0].Header.KeyID != set.Keys[0].KeyID || set.Keys[0].KeyID == "" {
		t.Error("kid is not that of the published key")
	}
	payload, err := jws.Verify(set.Keys[0].Key)
	if err != nil {
		t.Fatalf("the published key does not verify the id_token: %v", err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"iss": strings.TrimSuffix(c.at(""), "/"), "aud": "patient-app", "sub": population.TheoID, "nonce": "n-1",
		"fhirUser": c.base() + "/Patient/" + population.TheoID, "preferred_username": "simtheo",
	}
	for name, value := range want {
		if claims[name] != value {
			t.Errorf("%s is %v, want %v", name, claims[name], value)
		}
	}
	if claims["exp"].(float64)-claims["iat"].(float64) != 300 {
		t.Error("the id_token does not live for five minutes")
	}
}

func TestIntrospection(t *testing.T) { // I1
	c := newClinic(t, sim.Knobs{})
	_, v := c.exchange("patient-app", c.code("patient-app", "simtheo", nil), nil)
	bearer := http.Header{"Authorization": {"Bearer " + v["access_token"].(string)}}
	for _, name := range []string{"access_token", "refresh_token"} {
		status, a := c.post("introspect", url.Values{"token": {v[name].(string)}}, bearer)
		if status != http.StatusOK || a["active"] != true || a["scope"] != v["scope"] || a["patient"] != population.TheoID || a["epic_user_type"] != "WPR" || a["client_id"] != "patient-app" {
			t.Errorf("%s: status %d, active %v (%s)", name, status, a["active"], c.reason())
		}
	}
	if _, a := c.post("introspect", url.Values{"token": {"x"}}, bearer); a["active"] != false || len(a) != 1 {
		t.Error("an unknown token draws more than active=false")
	}
	req, err := http.NewRequest(http.MethodPost, c.at("introspect"), strings.NewReader("token=x"))
	if err != nil {
		t.Fatal(err)
	}
	if p := c.result(http.DefaultClient.Do(req)); p.status != http.StatusUnauthorized {
		t.Errorf("introspection without a bearer token answers %d", p.status)
	}
	_, other := c.exchange("public-app", c.code("public-app", "simtheo", nil), nil)
	if _, a := c.post("introspect", url.Values{"token": {other["access_token"].(string)}}, bearer); a["active"] != false {
		t.Error("another client's token is told about")
	}
}

func TestRevocation(t *testing.T) { // I2
	c := newClinic(t, sim.Knobs{Revocation: true})
	_, v := c.exchange("patient-app", c.code("patient-app", "simtheo", nil), nil)
	status, _ := c.post("revoke", url.Values{"token": {v["refresh_token"].(string)}, "client_id": {"public-app"}}, nil)
	if status != http.StatusOK || !c.works(v["access_token"], population.TheoID) {
		t.Error("another client revokes the token, or learns of it")
	}
	status, _ = c.post("revoke", url.Values{"token": {v["refresh_token"].(string)}, "client_id": {"patient-app"}, "client_secret": {secrets["patient-app"]}}, nil)
	if status != http.StatusOK || c.works(v["access_token"], population.TheoID) {
		t.Errorf("revocation answers %d and leaves the access token good", status)
	}
	off := newClinic(t, sim.Knobs{})
	if p := off.result(http.Post(off.at("revoke"), "application/x-www-form-urlencoded", strings.NewReader("token=x"))); p.status != http.StatusNotFound {
		t.Errorf("Epic has no revocation endpoint; it answers %d", p.status)
	}
}

func TestDynamicClientRegistersOnceAndSignsInByAssertion(t *testing.T) {
	c := newClinic(t, sim.Knobs{})
	_, v := c.exchange("dynamic-app", c.code("dynamic-app", "simtheo", nil), nil)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"software_id": "dynamic-app", "jwks": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "d"}}}})
	if err != nil {
		t.Fatal(err)
	}
	register := func() page {
		req, err := http.NewRequest(http.MethodPost, c.at("register"), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+v["access_token"].(string))
		req.Header.Set("Content-Type", "application/json")
		return c.result(http.DefaultClient.Do(req))
	}
	p := register()
	var client struct {
		ID string `json:"client_id"`
	}
	if json.Unmarshal([]byte(p.text), &client) != nil || p.status != http.StatusCreated || !strings.HasPrefix(client.ID, "G") {
		t.Fatalf("registration answers %d (%s)", p.status, c.reason())
	}
	if p := register(); p.status == http.StatusCreated {
		t.Error("the first token registers two clients")
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "d"))
	if err != nil {
		t.Fatal(err)
	}
	assertion := func(jti string) string {
		now := c.Now().Unix()
		claims, _ := json.Marshal(map[string]any{"iss": client.ID, "sub": client.ID, "aud": c.at("token"), "jti": jti, "exp": now + 240, "iat": now - 5})
		signed, err := signer.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := signed.CompactSerialize()
		return text
	}
	one := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion("1")}, "client_id": {client.ID}}
	status, token := c.post("token", one, nil)
	if status != http.StatusOK || token["patient"] != population.TheoID || !c.works(token["access_token"], population.TheoID) {
		t.Errorf("the dynamic client's assertion answers %d (%s)", status, c.reason())
	}
	if status, e := c.post("token", one, nil); status != http.StatusBadRequest || e["error"] != "invalid_grant" {
		t.Error("T6: an assertion is good twice")
	}
}

func TestFormsAreBoundToTheirBrowser(t *testing.T) { // A8
	c := newClinic(t, sim.Knobs{})
	p := c.authorize(c.ask("patient-app", nil))
	csp := p.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self' https://app.example;"} {
		if !strings.Contains(csp+";", want) {
			t.Errorf("the policy lacks %q", want)
		}
	}
	cookie := p.header.Get("Set-Cookie")
	if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
		t.Error("the cookie is open to scripts or to other sites' forms")
	}
	mine := c.browser
	c.fresh()
	if p := c.signIn(p, "simtheo"); p.status != http.StatusBadRequest || strings.Contains(p.text, `id="allow"`) {
		t.Error("a form is taken from a browser that did not begin")
	}
	c.browser = mine
	consent := c.signIn(p, "simtheo")
	if !strings.Contains(consent.text, `id="allow"`) || !strings.Contains(consent.text, `id="duration"`) {
		t.Fatal("no consent page with a duration")
	}
	denied := c.submit(consent, url.Values{"decision": {"deny"}})
	if denied.location.Get("error") != "access_denied" {
		t.Error("a refusal does not reach the app")
	}
	if p := c.submit(consent, url.Values{"decision": {"allow"}}); p.location != nil {
		t.Error("a finished sign-in goes on")
	}
}

func TestConsentCannotBeReachedWithoutPassword(t *testing.T) {
	c := newClinic(t, sim.Knobs{})
	p := c.authorize(c.ask("patient-app", nil))
	jump := page{text: strings.Replace(p.text, "/sign-in\"", "/consent\"", 1)}
	if p := c.submit(jump, url.Values{"decision": {"allow"}}); p.location != nil || p.status != http.StatusBadRequest {
		t.Error("consent is taken from somebody who has not signed in")
	}
	for range 9 {
		p = c.submit(p, url.Values{"username": {"simtheo"}, "password": {"guess"}})
	}
	if p = c.submit(p, url.Values{"username": {"simtheo"}, "password": {"guess"}}); p.status != http.StatusBadRequest {
		t.Error("ten wrong passwords do not end the sign-in")
	}
}

func TestPatientPickerTakesOnlyOffered(t *testing.T) {
	c := newClinic(t, sim.Knobs{})
	c.fresh()
	ask := c.ask("chart-app", url.Values{"scope": {"openid launch/patient"}})
	picker := c.signIn(c.authorize(ask), "simclinician")
	if !strings.Contains(picker.text, `id="patient-`+population.TheoID+`"`) {
		t.Fatalf("a clinician's standalone launch shows no picker (%s)", c.reason())
	}
	if p := c.submit(picker, url.Values{"patient": {"nobody"}}); p.status != http.StatusBadRequest {
		t.Error("a patient who is not offered is taken")
	}
	p := c.submit(c.submit(picker, url.Values{"patient": {population.TheoID}}), url.Values{"decision": {"allow"}})
	status, v := c.exchange("chart-app", p.location.Get("code"), nil)
	if status != http.StatusOK || v["patient"] != population.TheoID {
		t.Errorf("the exchange answers %d (%s)", status, c.reason())
	}
}

func TestLaunchTokenIsBoundAndExpires(t *testing.T) { // A6
	c := newClinic(t, sim.Knobs{})
	launch := func() string {
		token, err := c.Launch(sim.Launch{ClientID: "chart-app", Patient: population.TheoID})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	token := launch()
	if p := c.authorize(c.ask("other-app", url.Values{"scope": {"launch"}, "launch": {token}})); p.location != nil {
		t.Error("another app's launch token is taken")
	}
	if p := c.authorize(c.ask("chart-app", url.Values{"scope": {"openid"}, "launch": {token}})); p.location != nil {
		t.Error("a launch without the scope launch is taken")
	}
	c.Advance(11 * time.Minute)
	if p := c.authorize(c.ask("chart-app", url.Values{"scope": {"launch"}, "launch": {token}})); p.location != nil {
		t.Error("an expired launch token is taken")
	}
	for _, l := range []sim.Launch{{ClientID: "nobody"}, {ClientID: "patient-app"}, {ClientID: "chart-app", Patient: "nobody"}, {ClientID: "chart-app", User: "simtheo"}} {
		if _, err := c.Launch(l); err == nil {
			t.Errorf("a launch of %s for %q by %q is made", l.ClientID, l.Patient, l.User)
		}
	}
}

func TestGrantStaysWithinRegistration(t *testing.T) { // A7
	c := newClinic(t, sim.Knobs{ScopeGrant: "asked"})
	_, v := c.exchange("narrow-app", c.code("narrow-app", "simtheo", url.Values{"scope": {"patient/Patient.rs patient/Condition.rs user/Patient.r"}}), nil)
	if v["scope"] != "patient/Patient.r" {
		t.Errorf("granted %v, want patient/Patient.r", v["scope"])
	}
	c = newClinic(t, sim.Knobs{})
	_, v = c.exchange("narrow-app", c.code("narrow-app", "simtheo", url.Values{"scope": {"openid"}}), nil)
	const want = "openid patient/Observation.s?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory patient/Patient.r"
	if v["scope"] != want {
		t.Errorf("granted %v, want the scopes of the registered APIs", v["scope"])
	}
}

func TestNoSecretReachesTheLog(t *testing.T) {
	c := newClinic(t, sim.Knobs{Revocation: true})
	code := c.code("patient-app", "simtheo", nil)
	_, v := c.exchange("patient-app", code, nil)
	_, _ = c.exchange("patient-app", code, url.Values{"code_verifier": {"wrong"}})
	_, _ = c.refresh("patient-app", v["refresh_token"].(string), nil)
	secret := []string{code, verifier, challenge, sim.Password, secrets["patient-app"], "st/ate", "st%2Fate", v["access_token"].(string), v["refresh_token"].(string), v["id_token"].(string)}
	log := fmt.Sprintf("%+v", c.Requests())
	control, err := json.Marshal(c.Requests())
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range secret {
		if strings.Contains(log, s) || strings.Contains(string(control), s) {
			t.Errorf("secret %d stands in the log", i)
		}
	}
}

func TestResetEndsSignIns(t *testing.T) {
	c := newClinic(t, sim.Knobs{})
	_, v := c.exchange("patient-app", c.code("patient-app", "simtheo", nil), nil)
	code := c.code("patient-app", "simtheo", nil)
	c.Reset()
	if status, _ := c.refresh("patient-app", v["refresh_token"].(string), nil); status != http.StatusBadRequest {
		t.Error("a refresh token outlives the reset")
	}
	if status, _ := c.exchange("patient-app", code, nil); status != http.StatusBadRequest {
		t.Error("a code outlives the reset")
	}
}

func FuzzTokenForm(f *testing.F) {
	c := newClinic(f, sim.Knobs{})
	f.Add("grant_type=authorization_code&code=x&client_id=public-app")
	f.Add("grant_type=refresh_token&refresh_token=&client_id=%00")
	f.Fuzz(func(t *testing.T, form string) {
		resp, err := http.Post(c.at("token"), "application/x-www-form-urlencoded", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("status %d for a form that proves nothing", resp.StatusCode)
		}
	})
}
