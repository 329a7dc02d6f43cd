package sim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// keysPath is where the OIDC keys lie (live in 2026, high). It changes: clients go by jwks_uri.
const keysPath = "api/epic/2019/Security/Open/PublicKeys/530027/OIDC"

// smartConfiguration answers .well-known/smart-configuration: one line, with the members, the
// order and the absences of the sandbox's (July 2026, high).
func (s *Server) smartConfiguration(w *recorder, r *http.Request) {
	root := s.origin(r) + s.knobs.InstancePath
	revoke := ""
	if s.knobs.Revocation {
		revoke = root + "/oauth2/revoke"
	}
	w.Header().Set("Cache-Control", "no-cache,no-store")
	w.sendJSON(http.StatusOK, "application/json", struct {
		Authorize    string   `json:"authorization_endpoint"`
		Token        string   `json:"token_endpoint"`
		Auth         []string `json:"token_endpoint_auth_methods_supported"`
		Scopes       []string `json:"scopes_supported"`
		Response     []string `json:"response_types_supported"`
		Capabilities []string `json:"capabilities"`
		Grants       []string `json:"grant_types_supported"`
		PKCE         []string `json:"code_challenge_methods_supported"`
		Issuer       string   `json:"issuer"`
		JWKS         string   `json:"jwks_uri"`
		Revoke       string   `json:"revocation_endpoint,omitempty"`
	}{
		root + "/oauth2/authorize", root + "/oauth2/token",
		[]string{"client_secret_post", "client_secret_basic", "private_key_jwt"},
		[]string{"epic.scanning.dmsusername", "fhirUser", "launch", "openid", "profile"},
		[]string{"code"},
		[]string{
			"launch-ehr", "launch-standalone", "client-public", "client-confidential-symmetric",
			"client-confidential-asymmetric", "context-banner", "context-style", "context-ehr-patient",
			"context-ehr-encounter", "context-standalone-patient", "permission-offline", "permission-patient",
			"permission-user", "permission-v1", "permission-v2", "sso-openid-connect", "authorize-post",
		},
		[]string{
			"authorization_code", "refresh_token", "client_credentials",
			"urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-type:token-exchange",
		},
		[]string{"S256"},
		s.issuer(r), root + "/" + keysPath, revoke,
	})
}

// cors narrows who may read an answer. Every capture says anybody (high); the knob cors=registered
// leaves that to discovery and opens token and FHIR answers to the origins of registered apps, as SMART
// App Launch 2.2 has it. The pages of a sign-in are for nobody's scripts.
func (s *Server) cors(w *recorder, r *http.Request, c call) {
	h := w.Header()
	switch {
	case c.op == "authorize":
		for _, name := range []string{"Origin", "Credentials", "Methods", "Headers"} {
			h.Del("Access-Control-Allow-" + name)
		}
	case s.knobs.CORS != "registered" || c.op == "discovery" || c.op == "metadata" || c.op == "keys" || c.op == "style":
	default:
		h.Del("Access-Control-Allow-Origin")
		h.Add("Vary", "Origin")
		if origin := r.Header.Get("Origin"); origin != "" && s.apps.hasOrigin(origin) {
			h.Set("Access-Control-Allow-Origin", origin)
		}
	}
}

// openidConfiguration answers both places of the OpenID discovery document.
func (s *Server) openidConfiguration(w *recorder, r *http.Request) {
	root := s.origin(r) + s.knobs.InstancePath
	w.Header().Set("Cache-Control", "no-cache,no-store")
	w.sendJSON(http.StatusOK, "application/json", struct {
		Authorize string   `json:"authorization_endpoint"`
		Token     string   `json:"token_endpoint"`
		Issuer    string   `json:"issuer"`
		JWKS      string   `json:"jwks_uri"`
		Response  []string `json:"response_types_supported"`
		Modes     []string `json:"response_modes_supported"`
		Subjects  []string `json:"subject_types_supported"`
		Algs      []string `json:"id_token_signing_alg_values_supported"`
	}{
		root + "/oauth2/authorize", root + "/oauth2/token", s.issuer(r), root + "/" + keysPath,
		[]string{"code"},
		[]string{"query"},
		[]string{"public"},
		[]string{"RS256"},
	})
}

// signingKey is the key of id_tokens. It is made when somebody first asks for it.
type signingKey struct {
	once sync.Once
	key  *rsa.PrivateKey
	kid  string
}

func (k *signingKey) get() (*rsa.PrivateKey, string) {
	k.once.Do(func() {
		k.key, _ = rsa.GenerateKey(rand.Reader, 2048)
		if k.key != nil {
			sum := sha256.Sum256(k.key.N.Bytes())
			k.kid = base64.StdEncoding.EncodeToString(sum[:])
		}
	})
	return k.key, k.kid
}

// oidcKeys publishes the server's key set.
func (s *Server) oidcKeys(w *recorder) {
	key, kid := s.signing.get()
	set := jose.JSONWebKeySet{}
	if key != nil {
		set.Keys = []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: kid, Use: "sig", Algorithm: "RS256"}}
	}
	w.sendJSON(http.StatusOK, "application/json", set)
}
