// Package smart signs an application in to a FHIR server: SMART App Launch 2.2, Backend Services.
//
// It knows no FHIR: what it hands out is an access token, through one method,
//
//	Token(ctx context.Context, base, refused string) (string, error)
//
// which is all that package fhir asks for.
//
// # A web application
//
// An [App] signs people in: patients who open the application themselves, clinicians whose EHR opens
// it. Wrap the pages in [App.Protect]; each request then has its launch, and the launch is what signs
// a client in:
//
//	app := &smart.App{URL: "https://labs.example", Issuers: []smart.Issuer{{Base: base, ClientID: id, Key: key}}}
//	http.ListenAndServe(addr, app.Protect(pages))
//	…
//	s := smart.FromContext(r.Context())
//	c := &fhir.Client{Base: s.Base, Auth: s} // reads s.Patient
//
// Every launch lives under a path of its own, [Session.Path], and has a cookie of its own: two tabs
// with two patients never mix, and a URL that leaks is of no use to another browser. Links between
// pages are relative or begin with that path. [App.Launch], [App.SignIn], [App.Callback] and
// [App.Require] are the same in pieces, for those who route by themselves.
//
// A session survives the process in a [Store]; package store has SQLite and PostgreSQL, and several
// processes may share one: they renew a token once.
//
// # A command line
//
// [App.Begin] says where to send the browser, [App.Finish] takes what came back, [App.Session] finds the
// session again, [App.End] signs out.
//
// # Many hospitals
//
// List them all in App.Issuers, each with the client id, the method and the scopes that are registered
// there. An EHR's iss chooses among them, by exact comparison and before any request leaves. FHIR ids
// are unique within one base only: keep base, type and id together. Where servers do not say who they
// are in their answer (RFC 9207), give each issuer a RedirectURI of its own.
//
// # In a frame
//
// An EHR often shows applications in a frame of its own. Set App.Embedded: cookies are then sent in
// frames of other sites (SameSite=None; Secure; Partitioned), which takes https. Let your pages be framed
// by the EHR and nobody else, with Content-Security-Policy: frame-ancestors and its address; the same
// list in App.Ancestors is for the pages of this package. At Epic's Hyperdrive the application must
// also be on the customer's browser allow-list, and several launches are open in one browser at once.
// Sign-in pages of Epic cannot be framed: there only EHR launches work. Where a browser refuses cookies
// altogether no launch can be finished, and a page says so.
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
// A token is for one FHIR base. Asked for another one, Token answers [ErrForeignBase]. The context of
// a launch does not change with what the user of the EHR does next. Requests to the token endpoint
// follow no redirect, and plain http is refused except on loopback.
//
// Specification: SMART App Launch 2.2.0; OpenID Connect Core 1.0; RFC 6749, 7009, 7515, 7517, 7523, 7636,
// 7638, 7662, 9207.
package smart
