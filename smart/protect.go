package smart

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
)

// Protect is an application in one handler: LaunchPath and the redirect URIs are this package's, and
// next sees requests of signed-in people alone. Each launch lives under a path of its own, Session.Path;
// next sees paths without it, and finds the launch with [FromContext].
//
// Whoever opens another page without a launch is sent to sign in, standalone, if there is exactly one
// issuer or the parameter iss names one, and comes back to the page; else a page with status 401 says
// to sign in.
func (a *App) Protect(next http.Handler) http.Handler {
	launch, callback, require := a.Launch(), a.Callback(), a.Require(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == a.launchPath():
			launch.ServeHTTP(w, r)
		case a.isCallback(path):
			callback.ServeHTTP(w, r)
		case inSession(path) || !opensPage(r):
			require.ServeHTTP(w, r)
		case r.URL.Query().Has("iss") || len(a.Issuers) == 1:
			a.standalone(w, r, wanted(r.URL))
		default:
			require.ServeHTTP(w, r)
		}
	})
}

// Require lets requests through that belong to a launch of this browser: the path names it and the
// browser has its cookie. All others are answered with status 401, alike whether there is such a
// launch or not. Answers get Cache-Control: no-store and Referrer-Policy: same-origin unless next says
// otherwise.
func (a *App) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, rest, err := a.of(r)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "same-origin")
		r2 := r.WithContext(context.WithValue(r.Context(), sessionKey{}, s))
		u := *r.URL
		u.Path, u.RawPath = rest.Path, rest.RawPath
		r2.URL = &u
		next.ServeHTTP(w, r2)
	})
}

// of finds the launch that a request belongs to and the path below it.
func (a *App) of(r *http.Request) (*Session, *url.URL, error) {
	refuse := &Error{Op: "session", Err: ErrSignInAgain}
	id, path, ok := sessionIn(r.URL.Path)
	if !ok {
		return nil, nil, refuse
	}
	rest := &url.URL{Path: path}
	if r.URL.RawPath != "" {
		_, raw, ok := sessionIn(r.URL.RawPath)
		if !ok {
			return nil, nil, refuse
		}
		rest.RawPath = raw
	}
	secret := cookieValue(r, a.cookieName(sessionCookie, id))
	if secret == "" {
		return nil, nil, refuse
	}
	s, err := a.Session(r.Context(), id)
	switch {
	case errors.Is(err, ErrNoRecord):
		return nil, nil, refuse
	case err != nil:
		return nil, nil, err
	case !same(s.snapshot().Binding, hash(secret)):
		return nil, nil, refuse
	}
	return s, rest, nil
}

// same compares two hashes in constant time.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func inSession(path string) bool {
	_, _, ok := sessionIn(path)
	return ok
}

// opensPage tells a person who opens a page from a script, an image or a prefetch, which no sign-in
// could help.
func opensPage(r *http.Request) bool {
	if r.Method != http.MethodGet || r.Header.Get("Sec-Purpose") != "" {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "document", "iframe", "frame":
		return r.URL.Path != "/favicon.ico"
	}
	return false
}

// wanted is the page that was asked for, without iss; "/" if it is none that we would go to.
func wanted(u *url.URL) string {
	q := u.Query()
	q.Del("iss")
	target := u.EscapedPath()
	if enc := q.Encode(); enc != "" {
		target += "?" + enc
	}
	if clean, err := cleanTarget(target); err == nil {
		return clean
	}
	return "/"
}

// isCallback reports whether a path is that of a redirect URI.
func (a *App) isCallback(path string) bool {
	if path == a.callbackPath() {
		return true
	}
	for i := range a.Issuers {
		if a.Issuers[i].RedirectURI != "" && a.redirectPath(a.Issuers[i].RedirectURI) == path {
			return true
		}
	}
	return false
}

// redirectPath is the path of a redirect URI as a handler sees it; "" if it does not lead here.
func (a *App) redirectPath(redirect string) string {
	u, err1 := url.Parse(redirect)
	root, err2 := parseBase(a.URL)
	if err1 != nil || err2 != nil || originOf(u) != originOf(root) {
		return ""
	}
	if mount := root.Path; len(u.Path) >= len(mount) && u.Path[:len(mount)] == mount {
		return u.Path[len(mount):]
	}
	return ""
}
