package smart

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ErrNotOffered is a server that names no endpoint for what was asked: introspection, revocation or
// registration.
var ErrNotOffered = errors.New("server has no such endpoint")

// TokenQuery asks a server about a token, or to end it.
type TokenQuery struct {
	// Configuration is what discovery said; see [Discover].
	Configuration *Configuration
	// Token is the access or refresh token that it is about.
	Token Secret
	// Hint is "access_token", "refresh_token" or "".
	Hint string
	// Bearer authorises an introspection: an access token, usually one of the same sign-in.
	// Empty means that the issuer's client authentication does, as at servers that follow RFC
	// 7662 to the letter.
	Bearer Secret
	// Issuer is the client that asks: it authenticates a revocation, and an introspection without
	// Bearer. Its Base is not needed.
	Issuer Issuer

	// HTTP, InsecureHTTP and Now are as in [App].
	HTTP         *http.Client
	InsecureHTTP bool
	Now          func() time.Time
}

// Introspection is what a server says of a token (RFC 7662; SMART App Launch 2.2, "Token
// Introspection"). Members that did not come are zero. It has neither the token nor anything to use in
// its place, but it names people: keep it out of logs.
type Introspection struct {
	// Active is whether the token is good. An inactive one has nothing else.
	Active bool
	// Scope is what it is good for, as the server wrote it.
	Scope string
	// ClientID is the client that it was given to.
	ClientID string
	// Username is the name that the person signs in with.
	Username string
	// Expires is when it ends. For a refresh token of Epic that is the end of the whole grant,
	// which cannot be learnt in another way.
	Expires time.Time
	// Subject, Issuer and ID are sub, iss and jti.
	Subject, Issuer, ID string
	// UserType is Epic's epic_user_type, such as "WPR" for a MyChart user.
	UserType string
	// Patient and Encounter are the context of the launch, FHIR ids.
	Patient, Encounter string
	// FHIRUser is the URL of who signed in.
	FHIRUser string
	// Raw holds every member as it came.
	Raw map[string]json.RawMessage
}

// IntrospectionURL is where a server introspects: what discovery says, else the token endpoint with
// "introspect" in place of a last "token". Epic does not list the endpoint and has it there (recorded
// traffic of its sandbox, high). "" means that there is nothing to try.
func IntrospectionURL(c *Configuration) string {
	if c == nil {
		return ""
	}
	if c.IntrospectionEndpoint != "" {
		return c.IntrospectionEndpoint
	}
	u, err := url.Parse(c.TokenEndpoint)
	if err != nil || u.RawQuery != "" || u.RawPath != "" || !strings.HasSuffix(u.Path, "/oauth2/token") {
		return ""
	}
	u.Path = strings.TrimSuffix(u.Path, "token") + "introspect"
	return u.String()
}

// Introspect asks what a token is. Errors are [*Error] with Op "introspect": [ErrNotOffered] where
// [IntrospectionURL] is empty; status 401 when Bearer is no longer good.
func Introspect(ctx context.Context, q TokenQuery) (*Introspection, error) {
	a, err := q.send(ctx, "introspect", IntrospectionURL(q.Configuration), q.Bearer)
	if err != nil {
		return nil, err
	}
	out := &Introspection{}
	if json.Unmarshal(a.body, &out.Raw) != nil || out.Raw == nil {
		return nil, a.fail("introspect", notJSON(a.body))
	}
	if json.Unmarshal(out.Raw["active"], &out.Active) != nil {
		return nil, a.fail("introspect", errors.New("answer does not say whether the token is active"))
	}
	if !out.Active {
		return out, nil
	}
	for name, to := range map[string]*string{
		"scope": &out.Scope, "client_id": &out.ClientID, "username": &out.Username, "sub": &out.Subject, "iss": &out.Issuer,
		"jti": &out.ID, "epic_user_type": &out.UserType, "patient": &out.Patient, "encounter": &out.Encounter, "fhirUser": &out.FHIRUser,
	} {
		_ = json.Unmarshal(out.Raw[name], to) // another kind of member stays in Raw
	}
	var exp json.Number
	if json.Unmarshal(out.Raw["exp"], &exp) == nil {
		if s, err := exp.Float64(); err == nil && s > 0 && s < 1e11 {
			out.Expires = time.Unix(int64(s), 0)
		}
	}
	return out, nil
}

// Revoke ends a token (RFC 7009), as the client q.Issuer. A server that does not know the token answers
// as if it had ended it. Errors are [*Error] with Op "revoke": [ErrNotOffered] where discovery names
// no revocation_endpoint, which is never guessed. [App.End] does this for sessions.
func Revoke(ctx context.Context, q TokenQuery) error {
	endpoint := ""
	if q.Configuration != nil {
		endpoint = q.Configuration.RevocationEndpoint
	}
	_, err := q.send(ctx, "revoke", endpoint, Secret{})
	return err
}

func (q TokenQuery) send(ctx context.Context, op, endpoint string, bearer Secret) (*response, error) {
	fail := func(err error) (*response, error) { return nil, &Error{Op: op, Err: err} }
	switch {
	case endpoint == "":
		return fail(ErrNotOffered)
	case q.Token.IsZero():
		return fail(errors.New("no token"))
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return fail(errors.New("endpoint is no usable URL"))
	}
	form := url.Values{"token": {q.Token.Reveal()}}
	if q.Hint != "" {
		form.Set("token_type_hint", q.Hint)
	}
	now := q.Now
	if now == nil {
		now = time.Now
	}
	authorization := "Bearer " + bearer.Reveal()
	if bearer.IsZero() {
		if q.Issuer.ClientID == "" {
			return fail(errNoClientID)
		}
		audience := q.Issuer.Audience
		if audience == "" {
			audience = q.Configuration.TokenEndpoint
		}
		form, _, authorization, err = q.Issuer.authenticate(form, audience, &App{Now: now}, 0)
		if err != nil {
			return nil, asError(op, err)
		}
	}
	a, err := caller{http: q.HTTP, now: now, insecureHTTP: q.InsecureHTTP}.do(ctx, op, u, maxTokenAnswer, func(r *http.Request) {
		post(r, form, q.Issuer.Header)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
	})
	if err != nil {
		return nil, asError(op, err)
	}
	if a.status < 200 || a.status > 299 {
		e := refused(a)
		e.Op = op
		return nil, e
	}
	return a, nil
}
