package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// code is what an authorization code stands for. It stays known for a while after its use, so that a
// second use can end what the first gave.
type code struct {
	*request
	family  *family
	expires time.Time
	used    bool
}

// codeMemory is how long a used code is remembered.
const codeMemory = time.Hour

// sendCode ends an authorization request well.
func (s *Server) sendCode(w *recorder, q *request, span time.Duration) {
	now := s.clock.now()
	f := &family{reg: q.reg, user: q.who.Reference, login: q.who.Login, scope: s.granted(q), state: q.state, base: q.base}
	f.scopes = parseScopes(f.scope)
	if q.ticket != nil {
		f.launch, f.ehr = q.ticket.Launch, true
	}
	f.launch.Patient = q.patient
	if q.persists() || q.reg.Dynamic {
		if span == 0 {
			span = s.knobs.RefreshLife
		}
		f.ends, f.span = now.Add(span), span
	}
	text := s.random.opaque()
	s.auth.mu.Lock()
	s.auth.codes.put(text, &code{request: q, family: f, expires: now.Add(s.knobs.CodeLife)}, now.Add(s.knobs.CodeLife+codeMemory), now)
	s.auth.mu.Unlock()
	s.sendBack(w, q, url.Values{"code": {text}}, "")
}

var verifierForm = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// exchange answers grant_type=authorization_code (RFC 6749 section 4.1.3, RFC 7636 section 4.6).
func (s *Server) exchange(w *recorder, r *http.Request, form url.Values) {
	reg, ok := s.authenticate(w, r, form)
	if !ok {
		return
	}
	if form.Get("code") == "" {
		s.refuseToken(w, "invalid_request", "code is missing")
		return
	}
	now := s.clock.now()
	s.auth.mu.Lock()
	c, known := s.auth.codes.get(form.Get("code"), now)
	var reason string
	switch {
	case !known:
		reason = "the code is unknown"
	case c.reg.ClientID != reg.ClientID:
		reason = "the code was given to another client"
	case c.used:
		reason = "the code was used before; what it gave is revoked"
	case !now.Before(c.expires):
		reason = "the code has expired"
	case c.redirect != form.Get("redirect_uri"):
		reason = "redirect_uri is not that of the authorization request"
	case c.base != s.base(r):
		reason = "the code was given under another base"
	default:
		reason = checkVerifier(c.challenge, form)
	}
	again := known && c.used && c.reg.ClientID == reg.ClientID
	if reason == "" {
		c.used = true
	}
	s.auth.mu.Unlock()
	if again {
		s.endFamily(c.family)
	}
	if reason != "" {
		s.refuseToken(w, "invalid_grant", reason)
		return
	}
	f := c.family
	refresh := ""
	if c.persists() {
		refresh = s.newRefresh(f)
	}
	id := ""
	if slices.Contains(c.asked, "openid") {
		id = s.idToken(r, f, c.nonce)
	}
	s.answerToken(w, f, refresh, id, true)
}

// checkVerifier compares what was sent with the challenge. Without a challenge there is nothing to
// prove, and a verifier that comes all the same is refused.
func checkVerifier(challenge string, form url.Values) string {
	verifier := form.Get("code_verifier")
	sum := sha256.Sum256([]byte(verifier))
	switch {
	case challenge == "" && !form.Has("code_verifier"):
		return ""
	case challenge == "":
		return "code_verifier without a code_challenge before"
	case verifier == "":
		return "code_verifier is missing"
	case !verifierForm.MatchString(verifier):
		return "code_verifier is not 43 to 128 unreserved characters"
	case !same(base64.RawURLEncoding.EncodeToString(sum[:]), challenge):
		return "code_verifier does not hash to the code_challenge"
	}
	return ""
}

// answerToken gives an access token and the launch's context, in the order of captured answers.
func (s *Server) answerToken(w *recorder, f *family, refresh, id string, first bool) {
	g := &grant{reg: f.reg, patient: f.launch.Patient, user: f.user, scope: f.scope, scopes: f.scopes, family: f, once: first && f.reg.Dynamic}
	token, ok := s.issueIn(g)
	if !ok {
		s.refuseToken(w, "invalid_grant", "the sign-in has been ended")
		return
	}
	var a answerBody
	a.add("access_token", token)
	a.add("token_type", "Bearer")
	a.add("expires_in", int(s.knobs.TokenLife/time.Second))
	a.add("scope", f.scope)
	a.text("refresh_token", refresh)
	a.text("id_token", id)
	a.text("__epic.dstu2.patient", s.dstu2(f.launch.Patient))
	l := f.launch
	a.text("patient", l.Patient)
	a.text("encounter", l.Encounter)
	a.text("location", l.Location)
	a.text("loginDepartment", l.LoginDepartment)
	a.text("appointment", l.Appointment)
	if first || f.reg.Dynamic {
		a.text("state", f.state)
	}
	if s.knobs.TokenPractitioner && strings.HasPrefix(f.user, "Practitioner/") {
		a.text("practitioner", strings.TrimPrefix(f.user, "Practitioner/"))
	}
	if f.ehr && first {
		s.addLaunch(&a, f)
	}
	w.sendJSON(http.StatusOK, "application/json", a.json())
}

// addLaunch adds what only a launch from the EHR has.
func (s *Server) addLaunch(a *answerBody, f *family) {
	l := f.launch
	banner := l.Banner != nil && *l.Banner
	if s.knobs.Banner == "bool" {
		a.add("need_patient_banner", banner)
	} else {
		a.add("need_patient_banner", map[bool]string{true: "true", false: "false"}[banner])
	}
	style := l.StyleURL
	if style == "" {
		style = strings.TrimSuffix(f.base, "/api/FHIR/R4") + "/" + stylePath
	}
	a.add("smart_style_url", style)
	a.text("intent", l.Intent)
	a.text("tenant", l.Tenant)
	if len(l.FHIRContext) > 0 {
		if s.knobs.FHIRContext == "references" {
			list := []string{}
			for _, c := range l.FHIRContext {
				if c.Reference != "" {
					list = append(list, c.Reference)
				}
			}
			a.add("fhirContext", list)
		} else {
			a.add("fhirContext", l.FHIRContext)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Extra)) {
		a.add(name, l.Extra[name])
	}
}

// dstu2 is the patient's id in the version before (OAuth 2.0 specification, high), if the record has it.
func (s *Server) dstu2(patient string) string {
	at, ok := s.store.find("Patient", patient)
	if patient == "" || !ok {
		return ""
	}
	resource, err := s.decode(at)
	if err != nil {
		return ""
	}
	list, _ := resource["identifier"].([]any)
	for _, one := range list {
		id, _ := one.(map[string]any)
		system, _ := id["system"].(string)
		value, _ := id["value"].(string)
		if strings.HasSuffix(system, "/patient-dstu2-fhir-id") {
			return value
		}
	}
	return ""
}

// answerBody is a JSON object whose members keep their order.
type answerBody struct {
	buf  bytes.Buffer
	seen []string
}

func (m *answerBody) add(name string, value any) {
	if slices.Contains(m.seen, name) {
		return
	}
	m.seen = append(m.seen, name)
	if m.buf.Len() > 0 {
		m.buf.WriteByte(',')
	}
	m.buf.Write(encode(name))
	m.buf.WriteByte(':')
	m.buf.Write(encode(value))
}

func (m *answerBody) text(name, value string) {
	if value != "" {
		m.add(name, value)
	}
}

func (m *answerBody) json() json.RawMessage {
	return json.RawMessage("{" + m.buf.String() + "}")
}
