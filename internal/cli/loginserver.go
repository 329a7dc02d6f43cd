package cli

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/andironhq/andiron/smart"
)

// waitingRoom is the small web server that login runs at the redirect URI: the browser starts there,
// goes to the server's sign-in pages and comes back.
type waitingRoom struct {
	a      *app
	c      *connection
	app    *smart.App
	ehr    bool
	origin string
	once   string // the path that starts a standalone sign-in
	server *http.Server

	mu      sync.Mutex
	started *smart.Authorization // the standalone sign-in that was begun
	result  chan result
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
	w := &waitingRoom{a: a, c: c, app: app, ehr: o.ehr, origin: origin, once: "/start/" + rand.Text(), result: make(chan result, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path, w.callback)
	if o.ehr {
		mux.HandleFunc("GET /launch", w.launch)
	} else {
		// Discovery now: whoever is to sign in must not learn in the browser that there is no server.
		if w.started, err = app.Begin(ctx, smart.LaunchRequest{}); err != nil {
			_ = listener.Close()
			return nil, err
		}
		mux.HandleFunc("GET "+w.once, w.begin)
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

// begin ties the sign-in to the browser that comes first, and sends it to the server.
func (w *waitingRoom) begin(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	auth := w.started
	w.started = nil
	w.mu.Unlock()
	if auth == nil {
		page(rw, http.StatusGone, "This address was used", "It starts one sign-in, once. Run the command again to start another.")
		return
	}
	w.send(rw, r, auth)
}

// launch is where the EHR opens the application. It may do so more than once.
func (w *waitingRoom) launch(rw http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if len(q["iss"]) != 1 || len(q["launch"]) != 1 || q.Get("iss") == "" || q.Get("launch") == "" {
		page(rw, http.StatusBadRequest, "This is no launch", "An EHR opens this address with the parameters iss and launch.")
		return
	}
	auth, err := w.app.Begin(r.Context(), smart.LaunchRequest{Base: q.Get("iss"), Launch: q.Get("launch")})
	if err != nil {
		page(rw, http.StatusForbidden, "The launch was refused", "The terminal says why.")
		w.end(result{err: w.a.refusedLogin(w.c, err)})
		return
	}
	w.a.say("launched by %s; sending the browser to its sign-in", host(w.c.FHIR))
	w.send(rw, r, auth)
}

// binding is the name of the cookie that ties a launch to a browser: one each, so that two tabs do
// not take it from each other.
func binding(state string) string {
	sum := sha256.Sum256([]byte(state))
	return "andiron_" + hex.EncodeToString(sum[:8])
}

func (w *waitingRoom) send(rw http.ResponseWriter, r *http.Request, auth *smart.Authorization) {
	http.SetCookie(rw, &http.Cookie{ //nolint:gosec // plain http on loopback: no Secure
		Name: binding(auth.State.Reveal()), Value: auth.Binding.Reveal(), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Expires: auth.Expires,
	})
	rw.Header().Set("Cache-Control", "no-store")
	rw.Header().Set("Referrer-Policy", "no-referrer")
	if auth.Form == nil {
		http.Redirect(rw, r, auth.URL, http.StatusSeeOther)
		return
	}
	nonce := rand.Text()
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+nonce+"'; base-uri 'none'; frame-ancestors 'none'")
	_ = postPage.Execute(rw, map[string]any{"URL": auth.URL, "Form": auth.Form, "Nonce": nonce})
}

// callback is the redirect URI.
func (w *waitingRoom) callback(rw http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	secret := ""
	if cookie, err := r.Cookie(binding(q.Get("state"))); err == nil {
		secret = cookie.Value
	}
	session, err := w.app.Finish(r.Context(), q, secret)
	switch {
	case err == nil:
		page(rw, http.StatusOK, "You are signed in", "You can close this window and go back to the terminal.")
		w.end(result{session: session})
	case errors.Is(err, smart.ErrCallback), errors.Is(err, smart.ErrLaunchUsed), errors.Is(err, smart.ErrOtherBrowser):
		// Not the answer that is waited for: a page of an earlier sign-in, or somebody else's.
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

var postPage = template.Must(template.New("post").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Signing in</title></head>
<body><form id="launch" method="post" action="{{.URL}}">
{{range $name, $values := .Form}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}">
{{end}}{{end}}<button>Go on to the sign-in</button></form>
<script nonce="{{.Nonce}}">document.getElementById("launch").submit()</script></body></html>
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
