package sim

import (
	"bytes"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// pageHeaders make a page safe to show: nobody frames it, nothing runs in it, its forms go here and,
// by redirect, to the app.
func pageHeaders(w http.ResponseWriter, app string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src '"+pageStyleHash+"'; form-action 'self'"+app+"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
}

// sourceOf is the origin of an address as a source of a content security policy: a browser applies
// form-action to the redirects that follow a form.
func sourceOf(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return ""
	case u.Host == "":
		return " " + u.Scheme + ":"
	}
	return " " + u.Scheme + "://" + u.Host
}

var pages = template.Must(template.New("").Parse(`
{{define "head"}}<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{{.Title}}</title><style>` + pageStyle + `</style></head>
<body><header>{{.Place}}<small>simulated, no real patients</small></header><main>{{end}}
{{define "foot"}}</main></body></html>
{{end}}
{{define "wrong"}}{{template "head" .}}<h1 id="wrong">Something went wrong trying to authorize the client. Please try logging in again.</h1>
{{template "foot"}}{{end}}
{{define "signin"}}{{template "head" .}}<h1>Sign in</h1><p class="quiet">to continue to <b>{{.App}}</b></p>
{{with .Error}}<p class="wrong" id="error">{{.}}</p>{{end}}
<form method="post" action="{{.Action}}" autocomplete="off"><input type="hidden" name="request" value="{{.ID}}">
<label class="field" for="username">User name</label><input type="text" id="username" name="username" required autofocus>
<label class="field" for="password">Password</label><input type="password" id="password" name="password" required>
<button id="sign-in" type="submit">Sign in</button></form>
<section><h2 class="quiet">Simulated users</h2><table><tr><th>Name</th><th>User name</th><th>Password</th></tr>
{{range .Users}}<tr><td>{{.Name}}</td><td><code>{{.Login}}</code></td><td><code>{{.Password}}</code></td></tr>
{{end}}</table></section>{{template "foot"}}{{end}}
{{define "patient"}}{{template "head" .}}<h1>Choose a patient</h1><p class="quiet">whose record <b>{{.App}}</b> opens</p>
<form method="post" action="{{.Action}}"><input type="hidden" name="request" value="{{.ID}}">
{{range .Patients}}<div class="choice"><input type="radio" name="patient" id="patient-{{.ID}}" value="{{.ID}}" required><label for="patient-{{.ID}}">{{.Name}}</label></div>
{{end}}<button id="choose" type="submit">Continue</button></form>{{template "foot"}}{{end}}
{{define "consent"}}{{template "head" .}}<h1>Allow <b>{{.App}}</b>?</h1>
<p class="quiet">Signed in as {{.User}}{{with .Patient}}, record of {{.}}{{end}}.</p>
<p>The application will be able to see:</p>
<details{{if .Few}} open{{end}}><summary>{{len .Scopes}} permissions</summary><ul>{{range .Scopes}}<li><code>{{.}}</code></li>{{end}}</ul></details>
<form method="post" action="{{.Action}}"><input type="hidden" name="request" value="{{.ID}}">
{{if .Durations}}<label class="field" for="duration">For how long?</label><select id="duration" name="duration">{{range .Durations}}<option value="{{.Value}}"{{if eq .Value "90d"}} selected{{end}}>{{.Text}}</option>{{end}}</select>
{{end}}<button id="allow" type="submit" name="decision" value="allow">Allow access</button><button id="deny" class="second" type="submit" name="decision" value="deny">Deny</button></form>{{template "foot"}}{{end}}
`))

// pageData is what the pages show.
type pageData struct {
	Title, Place, App, ID, Action, Error, User, Patient string
	Users                                               []User
	Patients                                            []choice
	Scopes                                              []string
	Few                                                 bool
	Durations                                           any
}

type choice struct{ ID, Name string }

func (s *Server) page(w *recorder, status int, name string, d pageData) {
	if d.Place == "" {
		d.Place = "Andiron simulator"
	}
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, d); err != nil {
		http.Error(w, "sim: page", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// wrongPage is Epic's answer to what it will not redirect (OAuth 2.0 specification, high; its status is
// unknown).
func (s *Server) wrongPage(w *recorder, reason string) {
	w.x.Reason = reason
	s.page(w, http.StatusBadRequest, "wrong", pageData{Title: "Error"})
}

func (s *Server) pageFor(w *recorder, q *request, id, title, step string) pageData {
	pageHeaders(w, sourceOf(q.redirect))
	place := "MyChart"
	if q.reg.kind() != Standalone {
		place = "Epic"
	}
	app := q.reg.Name
	if app == "" {
		app = q.reg.ClientID
	}
	return pageData{Title: title, Place: place, App: app, ID: id, Action: s.knobs.InstancePath + "/oauth2/authorize/" + step}
}

func (s *Server) signInPage(w *recorder, _ *http.Request, q *request, id, wrong string) {
	d := s.pageFor(w, q, id, "Sign in", "sign-in")
	d.Error = wrong
	for _, u := range s.UserList() {
		if fitsAudience(q.reg, &u) {
			d.Users = append(d.Users, u)
		}
	}
	s.page(w, http.StatusOK, "signin", d)
}

func (s *Server) patientPage(w *recorder, q *request, id string) {
	d := s.pageFor(w, q, id, "Choose a patient", "patient")
	for _, patient := range s.choices(q.who) {
		d.Patients = append(d.Patients, choice{patient, s.nameOf("Patient/" + patient)})
	}
	s.page(w, http.StatusOK, "patient", d)
}

func (s *Server) consentPage(w *recorder, q *request, id string) {
	d := s.pageFor(w, q, id, "Allow access", "consent")
	d.User, d.Patient = q.who.Name, s.nameOf("Patient/"+q.patient)
	d.Scopes = strings.Fields(s.granted(q))
	d.Few = len(d.Scopes) <= 12
	if q.persists() || q.reg.Dynamic {
		d.Durations = durations
	}
	s.page(w, http.StatusOK, "consent", d)
}
