package sim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// token answers the token endpoint: POST, form-encoded. Refusals are Epic's: status 400, a code, and no
// description (OAuth 2.0 specification, high). The reason goes to the log alone.
func (s *Server) token(w *recorder, r *http.Request) {
	tokenHeaders(w)
	if r.Method != http.MethodPost {
		s.methodNotAllowed(w, r)
		return
	}
	form, reason := tokenForm(w, r)
	if reason != "" {
		s.refuseToken(w, "invalid_request", reason)
		return
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		s.exchange(w, r, form)
	case "refresh_token":
		s.refreshGrant(w, r, form)
	case "client_credentials":
		s.clientCredentials(w, r, form)
	case jwtBearerGrant:
		s.jwtBearer(w, r, form)
	case "":
		s.refuseToken(w, "invalid_request", "grant_type is missing")
	default:
		s.refuseToken(w, "unsupported_grant_type", "the grant type is not modelled")
	}
}

func tokenHeaders(w http.ResponseWriter) {
	h := w.Header()
	h["Cache-Control"] = []string{"no-cache, no-store,no-store"}
	h.Set("Pragma", "no-cache")
	h.Set("X-Frame-Options", "sameorigin")
}

// tokenForm reads the body by the rules of RFC 6749 section 3.2: form-encoded, no parameter
// twice, nothing in the query.
func tokenForm(w http.ResponseWriter, r *http.Request) (url.Values, string) {
	if ct, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || ct != "application/x-www-form-urlencoded" {
		return nil, "Content-Type is not application/x-www-form-urlencoded"
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		return nil, "the body cannot be read as a form"
	}
	for name, values := range r.PostForm {
		if len(values) > 1 {
			return nil, "parameter " + clip(name) + " occurs twice"
		}
	}
	for _, name := range []string{"assertion", "client_assertion", "client_secret", "code", "code_verifier", "grant_type", "refresh_token", "token"} {
		if r.URL.Query().Has(name) {
			return nil, "parameter " + name + " stands in the query"
		}
	}
	return r.PostForm, ""
}

// denial is why a client did not sign in.
type denial struct{ code, reason string }

// authenticate signs the client in. If it cannot it has answered.
func (s *Server) authenticate(w *recorder, r *http.Request, form url.Values) (*registration, bool) {
	reg, refused := s.client(w, r, form)
	if refused != nil {
		s.refuseToken(w, refused.code, refused.reason)
		return nil, false
	}
	return reg, true
}

// client is who sends a form, by the registered method and no other (Epic's OAuth 2.0 specification,
// high): on every grant, that of refresh included.
func (s *Server) client(w *recorder, r *http.Request, form url.Values) (*registration, *denial) {
	const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" //nolint:gosec // a name, no credential
	scheme, basic, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	ways := 0
	for _, sent := range []bool{scheme != "", form.Has("client_secret"), form.Has("client_assertion")} {
		if sent {
			ways++
		}
	}
	find := func(id string) (*registration, string) {
		reg, reason := s.apps.find(id, s.clock.now())
		if reg != nil {
			w.x.Client = reg.ClientID
		}
		return reg, reason
	}
	invalid := func(reason string) (*registration, *denial) { return nil, &denial{"invalid_client", reason} }
	if ways > 1 {
		return nil, &denial{"invalid_request", "the client signs in by several methods at once"}
	}
	var reg *registration
	var reason string
	method := AuthNone
	switch {
	case form.Has("client_assertion"):
		method = AuthKey
		if form.Get("client_assertion_type") != jwtBearer {
			return nil, &denial{"invalid_request", "client_assertion_type is not jwt-bearer"}
		}
		if reg, reason = s.checkAssertion(r.Context(), form.Get("client_assertion"), s.origin(r)+s.TokenPath(), find); reason != "" {
			return invalid(reason)
		}
	case scheme != "":
		method = AuthSecret
		if !strings.EqualFold(scheme, "Basic") {
			return invalid("the Authorization scheme is not Basic")
		}
		if reg, reason = s.checkBasic(basic, find); reason != "" {
			return invalid(reason)
		}
	case form.Get("client_id") == "":
		return invalid("the client does not say who it is: no client_id, no Authorization, client_assertion is missing")
	default:
		if form.Has("client_secret") {
			method = AuthSecret
		}
		if reg, reason = find(form.Get("client_id")); reason != "" {
			return invalid(reason)
		}
		if method == AuthSecret && !same(reg.Secret, form.Get("client_secret")) {
			return invalid("wrong client secret")
		}
	}
	switch id := form.Get("client_id"); {
	case id != "" && id != reg.ClientID:
		return invalid("client_id differs from the client that signs in")
	case reg.auth() != method && method == AuthNone && reg.auth() == AuthKey:
		return invalid("client_assertion is missing")
	case reg.auth() != method:
		return invalid("the app is registered for " + reg.auth() + " and comes with " + method)
	}
	return reg, nil
}

// checkBasic reads id and secret of HTTP Basic. Epic's text wants both URL-encoded before base64, a
// practitioner found that they must not be: the knob basic_decode decides.
func (s *Server) checkBasic(basic string, find func(string) (*registration, string)) (*registration, string) {
	raw, err := base64.StdEncoding.DecodeString(basic)
	id, secret, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok {
		return nil, "the Basic header is not base64 of id:secret"
	}
	var lastReason string
	for _, form := range []string{"raw", "encoded"} {
		if s.knobs.BasicDecode != "both" && s.knobs.BasicDecode != form {
			continue
		}
		id, secret := id, secret
		if form == "encoded" {
			var bad1, bad2 error
			id, bad1 = url.QueryUnescape(id)
			secret, bad2 = url.QueryUnescape(secret)
			if bad1 != nil || bad2 != nil {
				continue
			}
		}
		reg, reason := find(id)
		switch {
		case reg == nil:
			lastReason = reason
		case reg.auth() != AuthSecret:
			return reg, "the app is registered for " + reg.auth() + " and comes with a secret"
		case same(reg.Secret, secret):
			return reg, ""
		default:
			lastReason = "wrong client secret, or its encoding is not what the server reads (knob basic_decode=" + s.knobs.BasicDecode + ")"
		}
	}
	if lastReason == "" {
		lastReason = "the Basic header cannot be decoded"
	}
	return nil, lastReason
}

func (s *Server) clientCredentials(w *recorder, r *http.Request, form url.Values) {
	if form.Get("client_assertion") == "" {
		s.refuseToken(w, "invalid_client", "client_assertion is missing")
		return
	}
	reg, ok := s.authenticate(w, r, form)
	if !ok {
		return
	}
	if reg.kind() != Backend {
		s.refuseToken(w, "unauthorized_client", "the app is not registered for backend systems")
		return
	}
	if reg.NoBackgroundUser {
		s.refuseToken(w, "unauthorized_client", "no background user is mapped to the app")
		return
	}
	// The scope parameter is optional and ignored: none, v1, v2 and wildcards all gave the
	// registered set (live tests of 2026, medium).
	scope := s.scope(reg)
	answer := struct {
		AccessToken  string `json:"access_token"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int    `json:"expires_in"`
		Scope        string `json:"scope"`
		Practitioner string `json:"practitioner,omitempty"`
	}{s.issue(&grant{reg: reg, scope: scope, scopes: parseScopes(scope)}), "Bearer", int(s.knobs.TokenLife / time.Second), scope, ""}
	if s.knobs.TokenPractitioner {
		answer.Practitioner = s.backgroundUser()
	}
	w.sendJSON(http.StatusOK, "application/json", answer)
}

func (s *Server) refuseToken(w *recorder, code, reason string) {
	w.x.Reason = code + ": " + reason
	status := http.StatusBadRequest
	if code == "invalid_client" && s.knobs.TokenErrorStatus == http.StatusUnauthorized {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", "Basic")
	}
	w.sendJSON(status, "application/json", struct {
		Error       string  `json:"error"`
		Description *string `json:"error_description"`
	}{code, nil})
}

// scope spells the registered APIs as the scopes of a backend token.
func (s *Server) scope(reg *registration) string {
	return strings.Join(s.scopeList(reg, "system"), " ")
}

// scopeList spells the registered APIs as scopes of a level: v2 with one letter each and category queries
// for licensed sub-types (capture of April 2026, high), or v1.
func (s *Server) scopeList(reg *registration, level string) []string {
	var list []string
	seen := map[string]bool{}
	add := func(scope string) {
		if !seen[scope] {
			seen[scope] = true
			list = append(list, scope)
		}
	}
	for _, typ := range s.types() {
		for _, do := range []struct{ name, v1, letter string }{{"Read", "read", "r"}, {"Search", "read", "s"}} {
			if !reg.grants.may(typ, do.name) || do.name == "Search" && !s.searchable(typ) {
				continue
			}
			if reg.ScopeVersion == "v1" {
				add(level + "/" + typ + "." + do.v1)
				continue
			}
			queries := 0
			for _, sub := range accessTo(reg.grants, typ, do.name).granted {
				system := categorySystems[typ]
				for _, category := range sub.categories {
					if system != "" {
						add(level + "/" + typ + "." + do.letter + "?category=" + system + "|" + category)
						queries++
					}
				}
			}
			if queries == 0 {
				add(level + "/" + typ + "." + do.letter)
			}
		}
	}
	return list
}

// categorySystems are those of the types that Epic grants by category query.
var categorySystems = map[string]string{
	"Observation": "http://terminology.hl7.org/CodeSystem/observation-category",
	"Condition":   "http://terminology.hl7.org/CodeSystem/condition-category",
}

// jwt spells an access token with the claims that captured ones have. To a client it is
// opaque; the key is made at the first token and published nowhere.
func (s *Server) jwt(g *grant, now time.Time) string {
	s.tokens.mu.Lock()
	if s.tokens.key == nil {
		s.tokens.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	key := s.tokens.key
	s.tokens.mu.Unlock()
	_, sub, _ := strings.Cut(g.user, "/")
	if sub == "" {
		sub = s.backgroundUser()
	}
	claims, _ := json.Marshal(map[string]any{
		"aud":            "urn:oid:1.2.840.114350.1.13.0.1.7.3.688884.100",
		"client_id":      g.reg.ClientID,
		"epic.eci":       "urn:epic:Open.Epic-current",
		"epic.metadata":  s.random.hex(64),
		"epic.tokentype": "access",
		"exp":            now.Add(s.knobs.TokenLife).Unix(),
		"iat":            now.Unix(),
		"iss":            "urn:oid:1.2.840.114350.1.13.0.1.7.3.688884.100",
		"jti":            s.random.uuid(),
		"nbf":            now.Unix(),
		"sub":            sub,
	})
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err == nil {
		if signed, err := signer.Sign(claims); err == nil {
			if token, err := signed.CompactSerialize(); err == nil {
				return token
			}
		}
	}
	return s.random.hex(64)
}

// clip keeps foreign text in a log line short and printable.
func clip(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
