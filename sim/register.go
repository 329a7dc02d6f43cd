package sim

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
)

// jwtBearerGrant is the grant of dynamic clients (RFC 7523 section 2.1).
const jwtBearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer" //nolint:gosec // a name, no credential

// dynamicClient answers the registration endpoint (Epic's OAuth 2.0 specification, high): the first
// token of a sign-in at an app that may, good once.
func (s *Server) dynamicClient(w *recorder, r *http.Request) {
	if r.Method != http.MethodPost {
		tokenHeaders(w)
		s.methodNotAllowed(w, r)
		return
	}
	g, ok := s.bearer(w, r)
	if !ok {
		return
	}
	tokenHeaders(w)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	var v struct {
		SoftwareID string          `json:"software_id"`
		JWKS       json.RawMessage `json:"jwks"`
	}
	if err != nil || json.Unmarshal(body, &v) != nil {
		s.refuseToken(w, "invalid_client_metadata", "the body is not JSON of the expected form")
		return
	}
	keys, err := parseKeys(v.JWKS)
	switch {
	case !g.reg.Dynamic:
		s.refuseToken(w, "unauthorized_client", "the app is not registered for dynamic clients")
		return
	case v.SoftwareID != g.reg.ClientID:
		s.refuseToken(w, "invalid_client_metadata", "software_id is not the client id of the token's app")
		return
	case err != nil:
		s.refuseToken(w, "invalid_client_metadata", "jwks: "+err.Error())
		return
	case len(keys) != 1:
		s.refuseToken(w, "invalid_client_metadata", "jwks holds more than one key")
		return
	}
	s.tokens.mu.Lock()
	first := g.once && g.family != nil && !g.family.root().ended
	g.once = false
	s.tokens.mu.Unlock()
	if !first {
		s.refuseToken(w, "invalid_token", "the token has registered a client before, or is not the first of its sign-in")
		return
	}
	f := g.family.root()
	now := s.clock.now()
	app := App{
		ClientID: "G" + s.random.uuid(), Name: g.reg.Name, Kind: g.reg.kind(), JWK: v.JWKS, Auth: AuthNone,
		APIs: g.reg.APIs, ScopeVersion: g.reg.ScopeVersion, RedirectURIs: g.reg.RedirectURIs,
	}
	dynamic := &registration{App: app, grants: g.reg.grants, family: f}
	s.auth.mu.Lock()
	s.auth.dynamic.put(app.ClientID, dynamic, f.ends, now)
	s.auth.mu.Unlock()
	w.sendJSON(http.StatusCreated, "application/json", struct {
		RedirectURIs []string        `json:"redirect_uris"`
		Auth         string          `json:"token_endpoint_auth_method"`
		Grants       []string        `json:"grant_types"`
		SoftwareID   string          `json:"software_id"`
		ClientID     string          `json:"client_id"`
		IssuedAt     int64           `json:"client_id_issued_at"`
		JWKS         json.RawMessage `json:"jwks"`
	}{g.reg.RedirectURIs, "none", []string{jwtBearerGrant}, v.SoftwareID, app.ClientID, now.Unix(), v.JWKS})
}

// findDynamic finds a dynamic client whose sign-in has not ended.
func (s *Server) findDynamic(id string) (*registration, string) {
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	reg, ok := s.auth.dynamic.get(id, s.clock.now())
	if !ok {
		return nil, "no dynamic client has this id, or its time is over"
	}
	return reg, ""
}

// jwtBearer answers the grant of dynamic clients: an assertion in place of a user.
func (s *Server) jwtBearer(w *recorder, r *http.Request, form url.Values) {
	if form.Get("assertion") == "" {
		s.refuseToken(w, "invalid_request", "assertion is missing")
		return
	}
	reg, reason := s.checkAssertion(r.Context(), form.Get("assertion"), s.origin(r)+s.TokenPath(), s.findDynamic)
	if reg != nil {
		w.x.Client = reg.ClientID
	}
	if reason != "" {
		s.refuseToken(w, "invalid_grant", reason)
		return
	}
	if form.Get("client_id") != reg.ClientID {
		s.refuseToken(w, "invalid_client", "client_id is missing or differs from the assertion's iss")
		return
	}
	s.answerToken(w, reg.family.narrower(reg, reg.family.scope), "", "", false)
}
