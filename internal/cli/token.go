package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/smart"
)

func (a *app) tokenCmd() *cobra.Command {
	var reveal, refresh bool
	cmd := &cobra.Command{
		Use: "token [CONNECTION]", GroupID: "connect",
		Short: "The state of a sign-in, and the token for scripts",
		Long: `Shows how a connection is signed in: as whom, for which patient, what was asked for and granted,
and until when. The token itself is not among it.

A connection that signs in by itself (launch = backend) does so now. For one that people sign in to
it is what "andiron login" keeps.

--reveal prints the access token alone, for a script. Whoever has it sees what it may see until it
ends: it does not belong into a file, a log or a message.`,
		Example: `  andiron token mercy
  curl -H "Authorization: Bearer $(andiron token mercy --reveal)" https://HOST/api/FHIR/R4/Patient/ID
  andiron token mercy --refresh`,
		Args: a.arguments(0, 1, "one name of a connection"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.nameConnection(cmd, args); err != nil {
				return err
			}
			return a.token(cmd.Context(), reveal, refresh)
		},
		ValidArgsFunction: a.completeConnections,
	}
	cmd.Flags().BoolVar(&reveal, "reveal", false, "print the access token itself, and nothing else")
	cmd.Flags().BoolVar(&refresh, "refresh", false, "renew the token now")
	a.addConnection(cmd)
	return cmd
}

func (a *app) token(ctx context.Context, reveal, refresh bool) error {
	c, err := a.choose()
	switch {
	case err != nil:
		return err
	case c.NoAuth:
		return usagef("%s is asked without a token (no_auth)", c.title())
	}
	if c.Launch == launchBackend {
		return a.backendToken(ctx, c, reveal)
	}
	_, s, err := a.session(ctx, c)
	if err != nil {
		return err
	}
	as := visitor{a, c, s}
	token, err := as.Token(ctx, c.FHIR, "")
	if err != nil {
		return err
	}
	if refresh {
		if !s.Renewable() {
			return a.signInFirst(c, "the sign-in at "+c.title()+" has no refresh token: it cannot be renewed, only repeated", nil)
		}
		if token, err = as.Token(ctx, c.FHIR, token); err != nil {
			return err
		}
	}
	if reveal {
		return a.reveal(token)
	}
	d := describeSession(c, s)
	d.Server = a.introspect(ctx, c, token)
	return a.printSession(d)
}

// backendToken signs in now.
func (a *app) backendToken(ctx context.Context, c *connection, reveal bool) error {
	client, err := a.client(ctx, c)
	if err != nil {
		return err
	}
	b, ok := client.Auth.(*smart.Backend)
	if !ok {
		return errors.New("the connection does not sign in")
	}
	token, err := b.Token(ctx, c.FHIR, "")
	if err != nil {
		return err
	}
	if reveal {
		return a.reveal(token)
	}
	scope, expires, _ := b.Granted()
	return a.printSession(sessionJSON{
		Connection: c.title(), FHIR: c.FHIR, ClientID: c.ClientID, Launch: c.Launch, Asked: c.Scope,
		Granted: smart.ParseScopes(scope).String(), Expires: inUTC(expires), Renewable: true,
	})
}

// reveal prints a token. It is the one place where this program does.
func (a *app) reveal(token string) error {
	a.say("the line on standard output is a secret: whoever has it is signed in")
	_, err := fmt.Fprintln(a.out, token)
	return err
}

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
