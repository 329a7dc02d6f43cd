package smart

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"sort"
	"strings"
)

// bare are the headers of every answer of ours: it is kept nowhere, says nowhere where the browser
// was, and is nothing but what it says it is.
func bare(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}

// framing is the frame-ancestors of our pages.
func (a *App) framing() string {
	switch {
	case !a.Embedded:
		return "'none'"
	case len(a.Ancestors) == 0:
		return "https:"
	}
	return strings.Join(a.Ancestors, " ")
}

func (a *App) pageHeaders(h http.Header, policy string) {
	bare(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors "+a.framing()+policy)
}

var postTemplate = template.Must(template.New("post").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Signing in</title></head>
<body><form id="authorize" method="post" action="{{.URL}}">
{{range .Fields}}<input type="hidden" name="{{.Name}}" value="{{.Value}}">
{{end}}<noscript><p>Your browser runs no scripts.</p></noscript>
<button id="continue" type="submit">Continue to sign in</button></form>
<script nonce="{{.Nonce}}">document.getElementById("authorize").submit()</script></body></html>
`))

// postPage posts the authorization request. There is no form-action in its policy: browsers apply it
// to the redirects that follow as well, and where those lead is the server's affair.
func (a *App) postPage(w http.ResponseWriter, auth *Authorization) {
	nonce, err := a.newSecret(16)
	if err != nil {
		http.Error(w, "no randomness", http.StatusInternalServerError)
		return
	}
	type field struct{ Name, Value string }
	var fields []field
	for name, values := range auth.Form {
		for _, v := range values {
			fields = append(fields, field{name, v})
		}
	}
	sort.Slice(fields, func(i, j int) bool { return fields[i].Name < fields[j].Name })
	a.pageHeaders(w.Header(), "; script-src 'nonce-"+nonce+"'")
	_ = postTemplate.Execute(w, struct {
		URL    string
		Fields []field
		Nonce  string
	}{auth.URL, fields, nonce}) // a browser that has left is nobody to tell
}

var failedTemplate = template.Must(template.New("failed").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}</title></head>
<body><main id="failed" data-cause="{{.Cause}}"><h1>{{.Title}}</h1><p>{{.Text}}</p>
{{if .Again}}<p><a id="again" href="{{.Again}}">Sign in again</a></p>{{end}}</main></body></html>
`))

// verdict is what a person is told.
type verdict struct {
	is     error
	status int
	cause  string
	title  string
	text   string
}

var verdicts = []verdict{
	{
		ErrIssuer, http.StatusForbidden, "issuer", "This server may not open the application",
		"The application was opened by a system that it does not know. Nothing was sent to it.",
	},
	{
		ErrLaunchRequest, http.StatusBadRequest, "launch-request", "The application was not opened properly",
		"The address that opened it is incomplete. Open the application again from where you came.",
	},
	{
		ErrTarget, http.StatusBadRequest, "target", "There is no such page",
		"The address does not belong to the application.",
	},
	{
		ErrLaunchExpired, http.StatusBadRequest, "expired", "Signing in took too long",
		"For your safety a sign-in must be finished within minutes. Open the application again.",
	},
	{
		ErrLaunchUsed, http.StatusBadRequest, "used", "This sign-in was finished before",
		"Each sign-in works once. If the application is open in another tab, go on there; otherwise open it again.",
	},
	{
		ErrOtherBrowser, http.StatusBadRequest, "browser", "This sign-in was begun elsewhere",
		"It was begun in another browser, or this browser keeps no cookies for the application.",
	},
	{
		ErrCallback, http.StatusBadRequest, "callback", "The sign-in came back damaged",
		"The answer of the sign-in server cannot be used. Open the application again.",
	},
	{
		ErrMixUp, http.StatusBadRequest, "mix-up", "The sign-in came back from the wrong place",
		"The answer is not from the server that was asked. Open the application again.",
	},
	{
		ErrIDToken, http.StatusBadGateway, "id-token", "We could not make sure who you are",
		"The sign-in server's statement about you could not be verified.",
	},
	{
		ErrNoUser, http.StatusBadGateway, "no-user", "We could not learn who you are",
		"The sign-in server did not say who signed in, and the application needs to know.",
	},
	{
		ErrSignInAgain, http.StatusUnauthorized, "session", "Please sign in",
		"You are not signed in here, or the session has ended.",
	},
	{
		ErrNoRecord, http.StatusUnauthorized, "session", "Please sign in",
		"You are not signed in here, or the session has ended.",
	},
}

var (
	declined = verdict{
		nil, http.StatusForbidden, "denied", "Access was not granted",
		"You, or the sign-in server, did not let the application in.",
	}
	unwell = verdict{
		nil, http.StatusBadGateway, "server", "Signing in did not work",
		"The sign-in server refused or did not answer. Try again in a while.",
	}
)

// fail answers a launch or a request that was refused.
func (a *App) fail(w http.ResponseWriter, r *http.Request, err error) {
	if a.Failed != nil {
		bare(w.Header())
		a.Failed(w, r, err)
		return
	}
	v := unwell
	e, ours := errors.AsType[*Error](err)
	if ours && e.Op == "authorize" && e.Code == "access_denied" {
		v = declined
	}
	for _, known := range verdicts {
		if errors.Is(err, known.is) {
			v = known
			break
		}
	}
	again := ""
	if len(a.Issuers) == 1 && (v.status == http.StatusUnauthorized || v.status == http.StatusBadRequest) {
		again = (&url.URL{Path: "/"}).String()
		if m := a.mount(); m != "" {
			again = m + "/"
		}
	}
	a.pageHeaders(w.Header(), "; form-action 'none'")
	w.WriteHeader(v.status)
	_ = failedTemplate.Execute(w, struct{ Title, Text, Cause, Again string }{v.title, v.text, v.cause, again}) // as above
}
