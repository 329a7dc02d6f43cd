package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Kind is an app's audience, which Epic calls its intended users.
type Kind string

// The audiences of Epic's app registration.
const (
	// Backend apps sign in by themselves (client_credentials).
	Backend Kind = "backend"
	// Standalone apps sign a patient in at MyChart.
	Standalone Kind = "standalone"
	// EHRLaunch apps are opened by a clinician inside the chart.
	EHRLaunch Kind = "ehr-launch"
)

// How an app signs in at the token endpoint.
const (
	// AuthKey is private_key_jwt: an assertion signed with a key of the app's key set.
	AuthKey = "private_key_jwt"
	// AuthSecret is client_secret_basic or client_secret_post.
	AuthSecret = "client_secret"
	// AuthNone is a public app: it names its client id and proves nothing.
	AuthNone = "none"
)

// App is the registration of a client application.
type App struct {
	// ClientID is the id that the app signs in with.
	ClientID string `json:"client_id"`

	// Name is shown in the log and on pages.
	Name string `json:"name,omitempty"`

	// Kind is the audience. Empty means Backend.
	Kind Kind `json:"kind,omitempty"`

	// RedirectURIs are the addresses to which the authorization endpoint sends a browser back. They
	// are compared as strings, to the letter. Apps that sign users in need at least one.
	RedirectURIs []string `json:"redirect_uris,omitempty"`

	// LaunchURL is what the EHR opens. Server.Launch does not need it; POST /_sim/launch makes the
	// address to open from it.
	LaunchURL string `json:"launch_url,omitempty"`

	// Auth is how the app signs in at the token endpoint: AuthKey, AuthSecret or AuthNone. Empty
	// means AuthKey with a key set (and for backend apps), AuthSecret with a Secret, else AuthNone.
	Auth string `json:"auth,omitempty"`

	// Secret is the client secret of AuthSecret, sent by HTTP Basic or in the body.
	Secret string `json:"secret,omitempty"`

	// Persistent is the setting "persistent access": with it a confidential app that asks for
	// offline_access gets refresh tokens.
	Persistent bool `json:"persistent,omitempty"`

	// Dynamic lets a sign-in at the app register dynamic clients (RFC 7591).
	Dynamic bool `json:"dynamic,omitempty"`

	// Origins are the web origins whose pages may read token and FHIR answers, such as
	// "https://app.example". They count with the knob cors=registered.
	Origins []string `json:"origins,omitempty"`

	// JWKSURL is the registered JWK Set URL: https, or http on loopback.
	JWKSURL string `json:"jwks_url,omitempty"`

	// JWK is an uploaded public key (one JWK, or a JWK Set). It counts only with the knob
	// StaticKeys, and then without JWKSURL.
	JWK json.RawMessage `json:"jwk,omitempty"`

	// APIs are the registered APIs in the spelling of Epic's catalogue, such as
	// "Patient.Read (R4)", "Observation.Search (Labs) (R4)" or "Bulk Data Kick-off". A type's
	// API without a sub-type in brackets stands for all its sub-types. Nil means every API
	// there is; see [BulkAPIs].
	APIs []string `json:"apis,omitempty"`

	// ScopeVersion is the SMART scope version of the token answer: "v2" (default) or "v1".
	ScopeVersion string `json:"scope_version,omitempty"`

	// NoBackgroundUser makes token requests fail with unauthorized_client, as they do until
	// the customer has mapped a user to the app.
	NoBackgroundUser bool `json:"no_background_user,omitempty"`
}

func (a *App) kind() Kind {
	if a.Kind == "" {
		return Backend
	}
	return a.Kind
}

// auth is the registered way to sign in at the token endpoint.
func (a *App) auth() string {
	switch {
	case a.Auth != "":
		return a.Auth
	case a.kind() == Backend || a.JWKSURL != "" || a.JWK != nil:
		return AuthKey
	case a.Secret != "":
		return AuthSecret
	}
	return AuthNone
}

// check refuses a registration that Epic's form would refuse.
func (a *App) check(k Knobs) error {
	switch {
	case a.ClientID == "":
		return errors.New("sim: app without a client id")
	case a.kind() != Backend && a.kind() != Standalone && a.kind() != EHRLaunch:
		return fmt.Errorf("sim: app %s: the kind is not one of backend, standalone, ehr-launch", a.ClientID)
	case a.Auth != "" && a.Auth != AuthKey && a.Auth != AuthSecret && a.Auth != AuthNone:
		return fmt.Errorf("sim: app %s: auth is not one of private_key_jwt, client_secret, none", a.ClientID)
	case a.kind() == Backend && a.auth() != AuthKey:
		return fmt.Errorf("sim: app %s: a backend app signs in with a key", a.ClientID)
	case a.auth() == AuthSecret && a.Secret == "":
		return fmt.Errorf("sim: app %s: client_secret without a secret", a.ClientID)
	case a.kind() != Backend && a.auth() == AuthKey && a.JWKSURL == "" && a.JWK == nil:
		return fmt.Errorf("sim: app %s: private_key_jwt needs a JWK Set URL", a.ClientID)
	case a.JWKSURL == "" && a.JWK == nil && a.kind() == Backend:
		return fmt.Errorf("sim: app %s: a backend app needs a JWK Set URL", a.ClientID)
	case a.JWKSURL == "" && a.JWK != nil && !k.StaticKeys:
		return fmt.Errorf("sim: app %s: an uploaded key needs the knob static_keys; register a JWK Set URL", a.ClientID)
	case a.JWKSURL != "":
		u, err := url.Parse(a.JWKSURL)
		if err != nil || u.Host == "" {
			return fmt.Errorf("sim: app %s: the JWK Set URL is not a URL", a.ClientID)
		}
		if u.Scheme != "https" && (u.Scheme != "http" || !loopbackHost(u.Hostname())) {
			return fmt.Errorf("sim: app %s: the JWK Set URL must be https (http only on loopback)", a.ClientID)
		}
	}
	return a.checkRedirects()
}

// checkRedirects wants absolute addresses without a fragment, http only for testing (OAuth 2.0
// specification, high) and so on loopback, and no address that a browser would run as a script.
func (a *App) checkRedirects() error {
	for _, text := range a.RedirectURIs {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Scheme == "" || strings.ContainsAny(text, "#\r\n "):
			return fmt.Errorf("sim: app %s: a redirect URI is not an absolute URL without fragment", a.ClientID)
		case u.Scheme == "https" && u.Host != "":
		case u.Scheme == "http" && loopbackHost(u.Hostname()):
		case !strings.Contains(u.Scheme, "."): // a private scheme is a reversed domain name, RFC 8252 section 7.1
			return fmt.Errorf("sim: app %s: a redirect URI is neither https, nor http on loopback, nor of a private scheme", a.ClientID)
		}
	}
	return nil
}

func loopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// apps are the registrations by client id.
type apps struct {
	mu   sync.RWMutex
	byID map[string]*registration
	list []*registration
}

type registration struct {
	App
	grants grantedAPIs
	from   time.Time // known to the server from here on
	family *family   // of a dynamic client: the sign-in that registered it
}

func (a *apps) setup(list []App) {
	a.byID = map[string]*registration{}
	for _, app := range list {
		a.add(app, time.Time{})
	}
}

func (a *apps) add(app App, from time.Time) {
	reg := &registration{App: app, grants: parseAPIs(app.APIs), from: from}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, again := a.byID[app.ClientID]; !again {
		a.list = append(a.list, reg)
	} else {
		for i := range a.list {
			if a.list[i].ClientID == app.ClientID {
				a.list[i] = reg
			}
		}
	}
	a.byID[app.ClientID] = reg
}

// Register adds an app, or replaces the one with the same client id. After the knob
// SyncDelay the server knows it.
func (s *Server) Register(app App) error {
	s.setup()
	if err := app.check(s.knobs); err != nil {
		return err
	}
	s.apps.add(app, s.clock.now().Add(s.knobs.SyncDelay))
	s.keysets.forget(app.ClientID)
	return nil
}

// Registered lists the apps in the order of their registration.
func (s *Server) Registered() []App {
	s.setup()
	s.apps.mu.RLock()
	defer s.apps.mu.RUnlock()
	var list []App
	for _, reg := range s.apps.list {
		list = append(list, reg.App)
	}
	return list
}

// find returns the registration, or nil and the reason why there is none.
func (a *apps) find(id string, now time.Time) (*registration, string) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	reg := a.byID[id]
	if reg == nil {
		return nil, "no registered client has this client id"
	}
	if now.Before(reg.from) {
		return nil, "the app is not yet known to the server (sync_delay)"
	}
	return reg, ""
}

// hasOrigin tells whether some app registered the web origin.
func (a *apps) hasOrigin(origin string) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, reg := range a.list {
		if slices.Contains(reg.Origins, origin) {
			return true
		}
	}
	return false
}
