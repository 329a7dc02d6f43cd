package sim

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// request is an authorization request that has been checked, on its way to a code.
type request struct {
	reg      *registration
	redirect string
	state    string
	hasState bool
	nonce    string
	// challenge is the PKCE challenge; empty if none was sent.
	challenge string
	asked     []string // scopes
	base      string   // FHIR base under which the request came

	ticket  *ticket // of an EHR launch
	who     *User
	patient string
	// browser is the cookie of the browser that began; only it may go on.
	browser string
	tries   int
}

// authorizeMax is the longest address and the largest form of the pages. Epic answers addresses that
// are too long with 404 or 500 (OAuth 2.0 specification, high); where the limit lies is unknown.
const authorizeMax = 16 << 10

// pendingLife is how long somebody may take to sign in and to consent (invented).
const pendingLife = 30 * time.Minute

// authorize answers the authorization endpoint. What is wrong with the client, the redirect address,
// the scope, the audience or the launch ends on a page, never in a redirect (OAuth 2.0 specification,
// high); what RFC 6749 section 4.1.2.1 tells the client goes back to it.
func (s *Server) authorize(w *recorder, r *http.Request) {
	pageHeaders(w, "")
	if len(r.URL.RequestURI()) > authorizeMax {
		s.notFoundPage(w)
		return
	}
	var params url.Values
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		var err error
		if params, err = url.ParseQuery(r.URL.RawQuery); err != nil {
			s.wrongPage(w, "the query cannot be read")
			return
		}
	case http.MethodPost:
		form, reason := pageForm(w, r)
		if reason != "" {
			s.wrongPage(w, reason)
			return
		}
		if r.URL.RawQuery != "" {
			s.wrongPage(w, "a posted authorization request has a query")
			return
		}
		params = form
	default:
		s.methodNotAllowed(w, r)
		return
	}
	q, wrong := s.checkRequest(w, r, params)
	if wrong {
		return
	}
	if q.ticket != nil {
		q.who, q.patient = q.ticket.who, q.ticket.Patient
		s.sendCode(w, q, 0)
		return
	}
	s.begin(w, r, q)
}

// pageForm reads a form of at most authorizeMax bytes.
func pageForm(w http.ResponseWriter, r *http.Request) (url.Values, string) {
	r.Body = http.MaxBytesReader(w, r.Body, 4*authorizeMax)
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return nil, "Content-Type is not application/x-www-form-urlencoded"
	}
	if err := r.ParseForm(); err != nil {
		return nil, "the body cannot be read as a form"
	}
	return r.PostForm, ""
}

var challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// checkRequest applies the rules of the authorization endpoint in the order in which an answer can be
// given: to the user first, then to the app. If something is wrong it has answered.
func (s *Server) checkRequest(w *recorder, r *http.Request, p url.Values) (*request, bool) {
	page := func(reason string) (*request, bool) {
		s.wrongPage(w, reason)
		return nil, true
	}
	if len(p["client_id"]) != 1 || len(p["redirect_uri"]) != 1 {
		return page("client_id or redirect_uri is missing or occurs twice")
	}
	reg, reason := s.apps.find(p.Get("client_id"), s.clock.now())
	if reg == nil {
		return page(reason)
	}
	w.x.Client = reg.ClientID
	if reg.kind() == Backend {
		return page("the app is registered for backend systems and signs nobody in")
	}
	q := &request{
		reg: reg, redirect: p.Get("redirect_uri"), state: p.Get("state"), hasState: p.Has("state"),
		nonce: p.Get("nonce"), challenge: p.Get("code_challenge"), asked: strings.Fields(p.Get("scope")), base: s.base(r),
	}
	if !slices.Contains(reg.RedirectURIs, q.redirect) {
		return page("redirect_uri is not registered, to the letter")
	}
	refuse := func(code, reason string) (*request, bool) {
		s.sendBack(w, q, url.Values{"error": {code}}, code+": "+reason)
		return nil, true
	}
	for name, values := range p {
		if len(values) > 1 {
			if name == "state" {
				q.hasState = false
			}
			return refuse("invalid_request", "parameter "+clip(name)+" occurs twice")
		}
	}
	launched := p.Get("launch") != ""
	switch {
	case p.Get("response_type") == "":
		return refuse("invalid_request", "response_type is missing")
	case p.Get("response_type") != "code":
		return refuse("unsupported_response_type", "response_type is not code")
	case s.knobs.StateRequired && q.state == "":
		return refuse("invalid_request", "state is missing")
	case p.Get("code_challenge_method") != "" && q.challenge == "":
		return refuse("invalid_request", "code_challenge_method without code_challenge")
	case q.challenge != "" && p.Get("code_challenge_method") != "S256":
		return refuse("invalid_request", "code_challenge_method is not S256")
	case q.challenge != "" && !challengeForm.MatchString(q.challenge):
		return refuse("invalid_request", "code_challenge is not 43 characters of base64url")
	case q.challenge == "" && (s.knobs.PKCERequired || p.Has("code_challenge")):
		return refuse("invalid_request", "code_challenge is missing")
	case !p.Has("aud") && !s.knobs.NoAudRequired:
		return page("aud is missing")
	case p.Has("aud") && strings.TrimSuffix(p.Get("aud"), "/") != q.base:
		// One trailing slash is let pass, since Epic's directories publish the base with it.
		return page("aud is not this server's FHIR base")
	case r.Method == http.MethodPost && !launched:
		return page("a standalone launch by POST; Epic takes POST only for EHR launch")
	case len(q.asked) == 0 && s.knobs.ScopeRequired && !launched:
		return page("scope is missing")
	case launched && !slices.Contains(q.asked, "launch"):
		return page("launch is given without the scope launch")
	case launched && reg.kind() != EHRLaunch:
		return page("invalid_launch_token: the app is not registered for EHR launch")
	}
	if unknown := s.unknownScopes(reg, q.asked); len(unknown) > 0 {
		if s.knobs.UnknownScope == "page" {
			return page("invalid_scope: scope " + clip(unknown[0]) + " is not registered for the app")
		}
		w.note("scopes dropped, not registered for the app: " + clip(strings.Join(unknown, " ")))
	}
	if launched {
		if q.ticket, reason = s.takeTicket(p.Get("launch"), reg, q.base); reason != "" {
			return page("invalid_launch_token: " + reason)
		}
	}
	return q, false
}

// sendBack redirects the browser to the app. The address is a registered one; what is added to its
// query is escaped.
func (s *Server) sendBack(w *recorder, q *request, v url.Values, reason string) {
	w.x.Reason = reason
	if q.hasState {
		v.Set("state", q.state)
	}
	sep := "?"
	if strings.Contains(q.redirect, "?") {
		sep = "&"
	}
	h := w.Header()
	h.Set("Location", q.redirect+sep+v.Encode())
	h.Del("Content-Type")
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusFound)
}

// begin shows the sign-in page and remembers the request until the browser comes back.
func (s *Server) begin(w *recorder, r *http.Request, q *request) {
	q.browser = s.browser(w, r)
	id := s.random.opaque()
	now := s.clock.now()
	s.auth.mu.Lock()
	s.auth.pending.put(id, q, now.Add(pendingLife), now)
	s.auth.mu.Unlock()
	s.signInPage(w, r, q, id, "")
}

const browserCookie = "sim-browser"

// browser names the browser by a cookie that scripts and other sites' forms do not have.
func (s *Server) browser(w *recorder, r *http.Request) string {
	if c, err := r.Cookie(browserCookie); err == nil && len(c.Value) == 43 {
		return c.Value
	}
	value := s.random.opaque()
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure whenever the connection is
		Name: browserCookie, Value: value, Path: s.knobs.InstancePath + "/oauth2",
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(s.origin(r), "https:"),
	})
	return value
}

// step answers the forms of the pages: who signs in, for whom, and whether the app may.
func (s *Server) step(w *recorder, r *http.Request, name string) {
	pageHeaders(w, "")
	if r.Method != http.MethodPost {
		s.methodNotAllowed(w, r)
		return
	}
	form, reason := pageForm(w, r)
	if reason != "" {
		s.wrongPage(w, reason)
		return
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		s.wrongPage(w, "the form was sent from another site")
		return
	}
	id := form.Get("request")
	cookie, err := r.Cookie(browserCookie)
	s.auth.mu.Lock()
	q, ok := s.auth.pending.get(id, s.clock.now())
	var copied request
	if ok {
		copied = *q
	}
	s.auth.mu.Unlock()
	switch {
	case !ok:
		s.wrongPage(w, "the sign-in is unknown, finished or too old")
		return
	case err != nil || subtle.ConstantTimeCompare([]byte(cookie.Value), []byte(copied.browser)) != 1:
		s.wrongPage(w, "the form comes from another browser than the request")
		return
	}
	q = &copied
	w.x.Client = q.reg.ClientID
	switch {
	case name == "sign-in" && q.who == nil:
		s.signIn(w, r, q, id, form)
	case name == "patient" && q.who != nil && q.patient == "":
		s.choose(w, r, q, id, form)
	case name == "consent" && q.who != nil && (q.patient != "" || !s.needsPatient(q)):
		s.consent(w, q, id, form)
	default:
		s.wrongPage(w, "the form is not the one that was shown")
	}
}

// keepPending writes the request back as it has become.
func (s *Server) keepPending(id string, q *request) {
	now := s.clock.now()
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	if _, ok := s.auth.pending.get(id, now); ok {
		s.auth.pending.put(id, q, now.Add(pendingLife), now)
	}
}

// takePending takes the request out, once.
func (s *Server) takePending(id string) bool {
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	_, ok := s.auth.pending.get(id, s.clock.now())
	s.auth.pending.drop(id)
	return ok
}
