package smart

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Issuer is one FHIR server that may launch an [App], with the client that is registered there. A
// client with a Key signs an assertion for every request (private_key_jwt), one with a Secret sends
// that (client_secret_basic), one with neither is public. It prints without secrets.
//
// Base and ClientID must be set.
type Issuer struct {
	// Base is the FHIR base URL: what an EHR sends as iss, and the aud of a launch. Scheme,
	// host, port and path must be the same letter for letter, one slash at the end aside.
	Base string
	// ClientID is the id that this server knows the application by.
	ClientID string

	// Key signs assertions.
	Key *Key
	// JKU is the registered URL of the published key set for the header jku. Empty leaves the
	// member out.
	JKU string
	// Audience is the aud of assertions. Empty means the token endpoint's URL.
	Audience string

	// Secret is the client's password.
	Secret Secret
	// SecretPost sends it in the form (client_secret_post) instead of the header.
	SecretPost bool
	// EncodeSecret URL-encodes id and secret before base64, as RFC 6749, section 2.3.1, has it
	// and many servers do not. A secret of letters and digits is the same either way.
	EncodeSecret bool

	// Scope is what is asked for. Empty means "openid fhirUser". In an EHR launch "launch" is
	// added; in a standalone launch without any context scope "launch/patient" is added when
	// Scope is empty or has patient/ scopes.
	Scope string
	// EHRScope takes the place of Scope in EHR launches when it is not empty.
	EHRScope string
	// RedirectURI is what is registered if it is not URL + CallbackPath. A path of its own for
	// each server keeps their answers apart even where servers do not say who they are.
	RedirectURI string
	// RequireUser fails a launch whose answer has no id_token that can be verified. Otherwise
	// Session.User is then empty.
	RequireUser bool
	// PostAuthorize posts every EHR launch's authorization request. Otherwise only those are
	// posted that make a long URL, and only if the server announces authorize-post. Standalone
	// launches are never posted: Epic takes POST in EHR launches alone.
	PostAuthorize bool

	// AuthorizeURL and TokenURL take the place of what discovery says.
	AuthorizeURL, TokenURL string
	// Header is added to discovery and token requests, for instance Epic-Client-ID.
	Header http.Header
	// GrantLife is how long what the person granted lasts, from the launch, however often it is
	// renewed; see Session.Ends. Zero means that the server tells or nobody knows.
	GrantLife time.Duration
}

// String names base and method.
func (i Issuer) String() string {
	base := "no usable base"
	if u, err := parseBase(i.Base); err == nil {
		base = printable(u)
	}
	return fmt.Sprintf("issuer %s (%s)", base, i.method())
}

// Format prints String whatever the verb.
func (i Issuer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, i.String()) }

// LogValue is String.
func (i Issuer) LogValue() slog.Value { return slog.StringValue(i.String()) }

// MarshalText is String.
func (i Issuer) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// method is the way of authentication in the words of RFC 7591.
func (i Issuer) method() string {
	switch {
	case i.Key != nil:
		return "private_key_jwt"
	case i.Secret.IsZero():
		return "none"
	case i.SecretPost:
		return "client_secret_post"
	}
	return "client_secret_basic"
}

// check refuses what cannot work.
func (i *Issuer) check(insecureHTTP bool) error {
	u, err := parseBase(i.Base)
	switch {
	case err != nil:
		return err
	case secure(u, insecureHTTP) != nil:
		return ErrInsecure
	case i.ClientID == "":
		return errNoClientID
	case i.Key != nil && i.Key.signer == nil:
		return errNoKey
	case i.Key != nil && !i.Secret.IsZero():
		return errors.New("issuer has both key and secret")
	}
	return nil
}

// issuer finds the issuer of a base by comparing URLs, never beginnings of them. "" is the only one.
func (a *App) issuer(base string) (*Issuer, error) {
	if base == "" {
		if len(a.Issuers) != 1 {
			return nil, ErrIssuer
		}
		return &a.Issuers[0], nil
	}
	for i := range a.Issuers {
		if sameBase(a.Issuers[i].Base, base) {
			return &a.Issuers[i], nil
		}
	}
	return nil, ErrIssuer
}

// scope is what a launch asks for.
func (i *Issuer) scope(ehr bool) string {
	scope := i.Scope
	if ehr && i.EHRScope != "" {
		scope = i.EHRScope
	}
	bare := strings.TrimSpace(scope) == ""
	if bare {
		scope = "openid fhirUser"
	}
	var words []string
	context, patient := false, bare
	for w := range strings.FieldsSeq(scope) {
		switch {
		case w == "launch":
			continue // added below, where it belongs
		case strings.HasPrefix(w, "launch/"):
			context = true
		case strings.HasPrefix(w, "patient/"):
			patient = true
		}
		words = append(words, w)
	}
	switch {
	case ehr:
		words = append([]string{"launch"}, words...)
	case patient && !context:
		words = append([]string{"launch/patient"}, words...)
	}
	return strings.Join(words, " ")
}
