package smart

import (
	"net/http"
	"strings"
)

// Cookies are named for one launch or one session each, so that several live in one browser. With
// https they carry the prefix __Host-: no other host, a sibling under the same domain included, can
// set them.
const (
	launchCookie  = "andiron-launch-"
	sessionCookie = "andiron-session-"
	// mostCookies of one kind are kept in a browser; the oldest go first.
	mostCookies = 32
)

// cookieName is prefix, kind and what tells one launch from another without being it.
func (a *App) cookieName(kind, of string) string {
	name := kind + hash(kind + of)[:16]
	if a.https() {
		name = "__Host-" + name
	}
	return name
}

func (a *App) cookie(name, value string, seconds int) *http.Cookie {
	c := &http.Cookie{ //nolint:gosec // Secure but for http on this machine, where browsers would not send it
		Name: name, Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true, Secure: a.https(), SameSite: http.SameSiteLaxMode,
	}
	if a.Embedded && a.https() {
		c.SameSite, c.Partitioned = http.SameSiteNoneMode, true
	}
	return c
}

func (a *App) setLaunchCookie(w http.ResponseWriter, r *http.Request, auth *Authorization) {
	a.dropOldest(w, r, launchCookie)
	name := a.cookieName(launchCookie, auth.State.Reveal())
	http.SetCookie(w, a.cookie(name, auth.Binding.Reveal(), int(a.launchLife().Seconds())))
}

// setSessionCookie takes the place of the launch's: it ends with the browser.
func (a *App) setSessionCookie(w http.ResponseWriter, r *http.Request, s *Session, secret Secret) {
	a.dropOldest(w, r, sessionCookie)
	http.SetCookie(w, a.cookie(a.cookieName(sessionCookie, s.ID), secret.Reveal(), 0))
}

func (a *App) dropCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, a.cookie(name, "", -1))
}

// cookieValue is the value of the one cookie of that name; "" for none or several.
func cookieValue(r *http.Request, name string) string {
	found := r.CookiesNamed(name)
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// dropOldest makes room: browsers and proxies refuse headers that are too long. Browsers send the
// oldest cookies first.
func (a *App) dropOldest(w http.ResponseWriter, r *http.Request, kind string) {
	var names []string
	for _, c := range r.Cookies() {
		if strings.HasPrefix(strings.TrimPrefix(c.Name, "__Host-"), kind) {
			names = append(names, c.Name)
		}
	}
	for len(names) >= mostCookies {
		a.dropCookie(w, names[0])
		names = names[1:]
	}
}
