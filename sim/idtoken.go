package sim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// issuer is that of id_tokens: not the FHIR base (OAuth 2.0 specification, high), unless the knob says so.
func (s *Server) issuer(r *http.Request) string {
	if s.knobs.Issuer == "base" {
		return s.base(r)
	}
	return s.origin(r) + s.knobs.InstancePath + "/oauth2"
}

// idToken tells the app who signed in (OpenID Connect Core section 2).
func (s *Server) idToken(r *http.Request, f *family, nonce string) string {
	now := s.clock.now()
	_, sub, _ := strings.Cut(f.user, "/")
	claims := map[string]any{
		"iss": s.issuer(r), "aud": f.reg.ClientID, "sub": sub,
		"iat": now.Unix(), "exp": now.Add(s.knobs.IDTokenLife).Unix(),
	}
	scopes := strings.Fields(f.scope)
	if slices.Contains(scopes, "fhirUser") {
		claims["fhirUser"] = s.base(r) + "/" + f.user
		if s.knobs.FHIRUser == "relative" {
			claims["fhirUser"] = f.user
		}
	}
	if slices.Contains(scopes, "profile") {
		claims["preferred_username"] = f.login
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	key, kid := s.signing.get()
	if key == nil {
		return ""
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid))
	if err != nil {
		return ""
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return ""
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return ""
	}
	text, _ := signed.CompactSerialize()
	return text
}
