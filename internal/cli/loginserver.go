package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/andironhq/andiron/smart"
)

// waitingRoom is the small web server that login runs at the redirect URI: the browser starts there,
// goes to the server's sign-in pages and comes back. What is said and checked on the way is smart.App's.
type waitingRoom struct {
	a      *app
	c      *connection
	ehr    bool
	origin string
	once   string // the path that starts a standalone sign-in
	begun  atomic.Bool
	server *http.Server
	result chan result
}

type result struct {
	session *smart.Session
	err     error
}

// waiting opens the redirect URI's port.
func (a *app) waiting(ctx context.Context, c *connection, app *smart.App, o loginOptions) (*waitingRoom, error) {
	address, origin, path, err := loopbackRedirect(c)
	if err != nil {
		return nil, err
	}
	listener, err := a.redirectListener(ctx, c, address)
	if err != nil {
		return nil, err
	}
	w := &waitingRoom{a: a, c: c, ehr: o.ehr, origin: origin, once: "/start/" + rand.Text(), result: make(chan result, 1)}
	app.Failed = w.failed
	mux := http.NewServeMux()
	if path == "/" {
		path = "/{$}"
	}
	mux.Handle("GET "+path, app.Callback())
	mux.Handle("GET /s/", app.Require(http.HandlerFunc(w.signedIn)))
	if o.ehr {
		mux.Handle("GET /launch", w.launch(app.Launch()))
	} else {
		// Discovery now: whoever is to sign in must not learn in the browser that there is no server.
		if _, err := smart.Discover(ctx, nil, c.FHIR); err != nil {
			_ = listener.Close()
			return nil, err
		}
		mux.Handle("GET "+w.once, w.first(app.SignIn()))
	}
	w.server = &http.Server{
		Handler: w.guard(mux), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() { _ = w.server.Serve(listener) }()
	return w, nil
}

// guard answers what names this machine alone, so that no other host name leads here.
func (w *waitingRoom) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if "http://"+r.Host != w.origin {
			http.Error(rw, "this address is "+w.origin, http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

// close lets the last page reach the browser.
func (w *waitingRoom) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if w.server.Shutdown(ctx) != nil {
		_ = w.server.Close()
	}
}

// start is the address to open.
func (w *waitingRoom) start() string { return w.origin + w.once }

// first lets the first browser through: the address starts one sign-in.
func (w *waitingRoom) first(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.begun.Swap(true) {
			page(rw, http.StatusGone, "This address was used", "It starts one sign-in, once. Run the command again to start another.")
			return
		}
		next.ServeHTTP(rw, r)
	})
}

// launch says that somebody opens the application. An EHR may do so more than once.
func (w *waitingRoom) launch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.a.say("a launch has come in a browser")
		next.ServeHTTP(rw, r)
	})
}

// signedIn is the page of a session: where a browser comes to that has signed in.
func (w *waitingRoom) signedIn(rw http.ResponseWriter, r *http.Request) {
	page(rw, http.StatusOK, "You are signed in", "You can close this window and go back to the terminal.")
	w.end(result{session: smart.FromContext(r.Context())})
}

// failed answers what was refused. What is not the answer that is waited for does not end the waiting.
func (w *waitingRoom) failed(rw http.ResponseWriter, _ *http.Request, err error) {
	switch {
	case errors.Is(err, smart.ErrLaunchRequest):
		page(rw, http.StatusBadRequest, "This is no launch", "An EHR opens this address with the parameters iss and launch.")
	case errors.Is(err, smart.ErrCallback), errors.Is(err, smart.ErrLaunchUsed), errors.Is(err, smart.ErrOtherBrowser),
		errors.Is(err, smart.ErrSignInAgain):
		page(rw, http.StatusBadRequest, "This is not the sign-in that the terminal waits for",
			"It is from an earlier sign-in, from another browser, or was finished already. The terminal goes on waiting.")
		w.a.say("a browser came back with %s; still waiting", strayAnswer(err))
	default:
		page(rw, http.StatusForbidden, "You are not signed in", "The sign-in was refused. The terminal says more; you can close this window.")
		w.end(result{err: w.a.refusedLogin(w.c, err)})
	}
}

func strayAnswer(err error) string {
	switch {
	case errors.Is(err, smart.ErrOtherBrowser):
		return "a sign-in that was begun in another browser (or this one keeps no cookies)"
	case errors.Is(err, smart.ErrLaunchUsed):
		return "a sign-in that this command did not begin, or that is finished"
	}
	return "something that is no answer of a sign-in"
}

func (w *waitingRoom) end(r result) {
	select {
	case w.result <- r:
	default:
	}
}

func (w *waitingRoom) wait(ctx context.Context, d time.Duration) (*smart.Session, error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case r := <-w.result:
		return r.session, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
	}
	p := &problem{
		Title: fmt.Sprintf("nobody came back within %v: the sign-in was given up", d),
		Why: "Where the browser shows an error of the server, client id or redirect URI are not as they are registered: " +
			w.c.RedirectURI + " must be, to the letter.",
		Fix: []string{w.a.again()}, More: "launches", Exit: exitRefused,
	}
	if w.ehr {
		p.Title = fmt.Sprintf("no EHR opened this application within %v", d)
		p.Why = "Its launch URL must be " + w.origin + "/launch."
	}
	return nil, p
}

var loginPage = template.Must(template.New("login").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title><style>` + landingStyle + `</style></head>
<body><h1>{{.Title}}</h1><p>{{.Text}}</p></body></html>
`))

// page answers a browser; nothing on it is from the request.
func page(rw http.ResponseWriter, status int, title, text string) {
	h := rw.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+landingStyleHash+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	rw.WriteHeader(status)
	_ = loginPage.Execute(rw, map[string]string{"Title": title, "Text": text})
}
