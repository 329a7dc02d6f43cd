package smart

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Configuration is what a server says about its sign-in. Every member may be missing: old servers
// leave out most, and a capability that is not listed is unknown, not absent.
type Configuration struct {
	Issuer                string `json:"issuer,omitempty"`
	JWKSURI               string `json:"jwks_uri,omitempty"`
	AuthorizationEndpoint string `json:"authorization_endpoint,omitempty"`
	TokenEndpoint         string `json:"token_endpoint,omitempty"`
	IntrospectionEndpoint string `json:"introspection_endpoint,omitempty"`
	RevocationEndpoint    string `json:"revocation_endpoint,omitempty"`
	RegistrationEndpoint  string `json:"registration_endpoint,omitempty"`
	ManagementEndpoint    string `json:"management_endpoint,omitempty"`

	AuthMethods          []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	SigningAlgorithms    []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	GrantTypes           []string `json:"grant_types_supported,omitempty"`
	ResponseTypes        []string `json:"response_types_supported,omitempty"`
	Scopes               []string `json:"scopes_supported,omitempty"` // never exhaustive
	Capabilities         []string `json:"capabilities,omitempty"`
	CodeChallengeMethods []string `json:"code_challenge_methods_supported,omitempty"`

	// Raw holds every member as it came, these and unknown ones. Nil when Fallback is true.
	Raw map[string]json.RawMessage `json:"-"`
	// Fallback says that the endpoints come from the oauth-uris extension in /metadata,
	// because the server has no usable .well-known/smart-configuration.
	Fallback bool `json:"-"`
	// Problems names members that were left out and why, such as "token_endpoint: plain http
	// refused".
	Problems []string `json:"-"`
	// Date is the server's clock when it answered; zero without one.
	Date time.Time `json:"-"`
}

// Has reports whether a capability is listed, such as "client-confidential-asymmetric".
func (c *Configuration) Has(capability string) bool {
	return slices.Contains(c.Capabilities, capability)
}

// Discover asks a FHIR base how to sign in: {base}/.well-known/smart-configuration, and where that
// leads to no token endpoint the deprecated oauth-uris extension in {base}/metadata. A nil client
// means a careful one of this package's own. Relative URLs are resolved against the base.
//
// The base must be https, except on this machine. Redirects are followed within its origin only.
// Server errors and network errors are returned without trying the second document.
func Discover(ctx context.Context, hc *http.Client, base string) (*Configuration, error) {
	d := discovery{caller: caller{http: hc, now: time.Now}}
	return d.run(ctx, base)
}

type discovery struct {
	caller
	header http.Header // added to both requests

	// authorize says that an answer without authorization endpoint is not enough either.
	authorize bool
}

const (
	maxConfiguration = 1 << 20
	maxMetadata      = 32 << 20 // Epic's has about one megabyte
)

func (d discovery) run(ctx context.Context, base string) (*Configuration, error) {
	u, err := parseBase(base)
	if err != nil {
		return nil, &Error{Op: "discover", Err: err}
	}
	c, first := d.wellKnown(ctx, u)
	if first == nil && c.TokenEndpoint != "" && (c.AuthorizationEndpoint != "" || !d.authorize) {
		return c, nil
	}
	if first != nil && !d.noSuchDocument(first) {
		return nil, first
	}
	if f, err := d.metadata(ctx, u); err == nil && f.TokenEndpoint != "" {
		if c != nil { // keep what the first document did say
			c.Fallback = true
			if c.TokenEndpoint == "" {
				c.TokenEndpoint = f.TokenEndpoint
			}
			c.Problems = append(c.Problems, f.Problems...)
			if c.AuthorizationEndpoint == "" {
				c.AuthorizationEndpoint = f.AuthorizationEndpoint
			}
			return c, nil
		}
		return f, nil
	}
	if ctx.Err() != nil {
		return nil, &Error{Op: "discover", Err: network(ctx.Err())}
	}
	if first == nil {
		return c, nil // a document without token endpoint is still an answer
	}
	return nil, first
}

// noSuchDocument reports whether an error means that the server has no smart-configuration, and not
// that it is unwell.
func (d discovery) noSuchDocument(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Status == 0 {
		return false
	}
	return e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests ||
		errors.Is(err, ErrNotJSON) || errors.Is(err, ErrRedirect)
}

func (d discovery) wellKnown(ctx context.Context, base *url.URL) (*Configuration, error) {
	a, err := d.get(ctx, base, "/.well-known/smart-configuration", "application/json", maxConfiguration)
	if err != nil {
		return nil, err
	}
	c := &Configuration{Date: a.date}
	if err := json.Unmarshal(a.body, &c.Raw); err != nil || c.Raw == nil {
		return nil, a.fail("discover", notJSON(a.body))
	}
	list := func(name string) []string { return stringsIn(c.Raw[name]) }
	one := func(name string) string {
		s := stringsIn(c.Raw[name])
		if len(s) != 1 {
			return ""
		}
		return s[0]
	}
	c.Issuer = one("issuer")
	c.AuthMethods = list("token_endpoint_auth_methods_supported")
	c.SigningAlgorithms = list("token_endpoint_auth_signing_alg_values_supported")
	c.GrantTypes = list("grant_types_supported")
	c.ResponseTypes = list("response_types_supported")
	c.Scopes = list("scopes_supported")
	c.Capabilities = list("capabilities")
	c.CodeChallengeMethods = list("code_challenge_methods_supported")
	for _, m := range []struct {
		name string
		to   *string
	}{
		{"jwks_uri", &c.JWKSURI},
		{"authorization_endpoint", &c.AuthorizationEndpoint},
		{"token_endpoint", &c.TokenEndpoint},
		{"introspection_endpoint", &c.IntrospectionEndpoint},
		{"revocation_endpoint", &c.RevocationEndpoint},
		{"registration_endpoint", &c.RegistrationEndpoint},
		{"management_endpoint", &c.ManagementEndpoint},
	} {
		*m.to = d.endpoint(c, base, m.name, one(m.name))
	}
	return c, nil
}

// metadata reads the one extension that matters out of a CapabilityStatement, in JSON:
// rest.security.extension oauth-uris with the extensions token, authorize and others.
func (d discovery) metadata(ctx context.Context, base *url.URL) (*Configuration, error) {
	a, err := d.get(ctx, base, "/metadata", "application/fhir+json", maxMetadata)
	if err != nil {
		return nil, err
	}
	var statement struct {
		Rest []struct {
			Security struct {
				Extension []oauthURIs `json:"extension"`
			} `json:"security"`
		} `json:"rest"`
	}
	if err := json.Unmarshal(a.body, &statement); err != nil {
		return nil, a.fail("discover", notJSON(a.body))
	}
	c := &Configuration{Fallback: true, Date: a.date}
	for _, r := range statement.Rest {
		for _, e := range r.Security.Extension {
			if e.URL != "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris" {
				continue
			}
			for _, x := range e.Extension {
				switch x.URL {
				case "token":
					c.TokenEndpoint = d.endpoint(c, base, "token", x.ValueURI)
				case "authorize":
					c.AuthorizationEndpoint = d.endpoint(c, base, "authorize", x.ValueURI)
				case "register":
					c.RegistrationEndpoint = d.endpoint(c, base, "register", x.ValueURI)
				case "introspect":
					c.IntrospectionEndpoint = d.endpoint(c, base, "introspect", x.ValueURI)
				case "revoke":
					c.RevocationEndpoint = d.endpoint(c, base, "revoke", x.ValueURI)
				case "manage":
					c.ManagementEndpoint = d.endpoint(c, base, "manage", x.ValueURI)
				}
			}
		}
	}
	return c, nil
}

type oauthURIs struct {
	URL       string `json:"url"`
	Extension []struct {
		URL      string `json:"url"`
		ValueURI string `json:"valueUri"`
	} `json:"extension"`
}

// endpoint is a URL of a discovery document made absolute, or "" with a problem noted.
func (d discovery) endpoint(c *Configuration, base *url.URL, name, value string) string {
	if value == "" {
		if _, there := c.Raw[name]; there {
			c.Problems = append(c.Problems, name+": not a URL")
		}
		return ""
	}
	problem := func(text string) string {
		c.Problems = append(c.Problems, name+": "+text)
		return ""
	}
	u, err := url.Parse(strings.TrimSpace(value))
	if err != nil {
		return problem("not a URL")
	}
	if !u.IsAbs() {
		from := *base
		from.Path, from.RawPath = base.Path+"/", base.EscapedPath()+"/"
		u = from.ResolveReference(u)
	}
	switch {
	case u.Opaque != "" || u.Hostname() == "":
		return problem("not a URL")
	case u.User != nil:
		return problem("holds a user")
	case u.Fragment != "":
		return problem("holds a fragment")
	}
	// A server elsewhere does not get to name a service of this machine.
	if loopback(u) && !loopback(base) {
		return problem("leads to this machine")
	}
	if secure(u, d.insecureHTTP) != nil {
		return problem("plain http refused")
	}
	return u.String()
}

// stringsIn reads a string or a list of them; whatever else is not there.
func stringsIn(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil && one != "" {
		return []string{one}
	}
	var many []any
	if json.Unmarshal(raw, &many) != nil {
		return nil
	}
	var out []string
	for _, v := range many {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// get fetches a document of the base and follows redirects within its origin.
func (d discovery) get(ctx context.Context, base *url.URL, path, accept string, limit int64) (*response, error) {
	u := *base
	u.RawPath = base.EscapedPath() + path
	u.Path += path
	at := &u
	for range 5 {
		a, err := d.do(ctx, "discover", at, limit, func(r *http.Request) {
			for k, v := range d.header {
				r.Header[http.CanonicalHeaderKey(k)] = v
			}
			r.Header.Del("Authorization") // discovery is public: no credential belongs there
			r.Header.Set("Accept", accept)
		})
		if err != nil {
			return nil, err
		}
		switch {
		case a.status == http.StatusOK:
			return a, nil
		case a.status < 300 || a.status > 399 || a.header.Get("Location") == "":
			return nil, a.fail("discover", nil)
		}
		next, err := at.Parse(a.header.Get("Location"))
		if err != nil || next.User != nil || originOf(next) != originOf(base) {
			return nil, a.fail("discover", ErrRedirect)
		}
		at = next
	}
	return nil, &Error{Op: "discover", URL: printable(at), Err: ErrRedirect}
}
