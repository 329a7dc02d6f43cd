package cli

import (
	"context"

	"github.com/andironhq/andiron/smart"
)

// introspect asks the server what it makes of the token; nil where it does not say. The status is
// worth showing without it.
func (a *app) introspect(ctx context.Context, c *connection, token string) *serverJSON {
	conf, err := smart.Discover(ctx, nil, c.FHIR)
	if err != nil {
		return nil
	}
	got, err := smart.Introspect(ctx, smart.TokenQuery{
		Configuration: conf, Token: smart.NewSecret(token), Hint: "access_token", Bearer: smart.NewSecret(token),
		Issuer: smart.Issuer{Base: c.FHIR, ClientID: c.ClientID}, Now: a.now,
	})
	if err != nil {
		return nil
	}
	return &serverJSON{Active: got.Active, Scope: smart.ParseScopes(got.Scope).String(), Expires: inUTC(got.Expires)}
}
