// Package smart signs an application in to a FHIR server: SMART App Launch 2.2, Backend Services.
//
// It knows no FHIR: what it hands out is an access token, through one method,
//
//	Token(ctx context.Context, base, refused string) (string, error)
//
// which is all that package fhir asks for.
//
// # A program signs in
//
// Fill in a [Backend] and give it to a client. It finds the token endpoint, signs an assertion for
// each request, keeps the token and renews it before it ends, with one request however many callers
// wait:
//
//	key, err := smart.LoadKey(ctx, "file:keys/mercy.pem", smart.SecretOptions{})
//	…
//	auth := &smart.Backend{Base: base, ClientID: id, Key: key}
//
// # Keys
//
// [NewKey] makes a [Key], [ParseKey] and [LoadKey] read one (PEM or JWK), [PublicSet] is what must
// be published under the URL that is registered for the client; it is an http.Handler.
//
// # Why it is refused
//
// Errors are [*Error] and tell operation, status and OAuth code, never a token, an assertion or a
// key. A refusal of a signed assertion carries what could be checked from here, see [Lint].
//
// # What it does not do
//
// A token is for one FHIR base. Asked for another one, Token answers [ErrForeignBase]. Requests to
// the token endpoint follow no redirect, and plain http is refused except on loopback.
//
// Specification: SMART App Launch 2.2.0, "Backend Services" and "Client Authentication: Asymmetric";
// RFC 6749, 7515, 7517, 7523, 7638.
package smart
