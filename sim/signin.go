package sim

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// triesMax is how many wrong passwords end a sign-in.
const triesMax = 10

// signIn checks login and password. Apps for patients take users of MyChart, apps for clinicians those
// of Epic.
func (s *Server) signIn(w *recorder, r *http.Request, q *request, id string, form url.Values) {
	var who *User
	for _, u := range s.UserList() {
		if u.Login == form.Get("username") && same(u.Password, form.Get("password")) && u.Login != "" {
			who = &u
		}
	}
	if who == nil || !fitsAudience(q.reg, who) {
		reason := "wrong login or password"
		if who != nil {
			reason = "the user is not of the app's audience"
		}
		w.x.Reason = reason
		if q.tries++; q.tries >= triesMax {
			s.takePending(id)
			s.wrongPage(w, "too many wrong passwords")
			return
		}
		s.keepPending(id, q)
		s.signInPage(w, r, q, id, "Sign-in failed: "+reason+".")
		return
	}
	q.who = who
	if len(who.Patients) == 1 && isMyChart(who) {
		q.patient = who.Patients[0]
	}
	s.keepPending(id, q)
	s.askNext(w, q, id)
}

// askNext shows what is still to be asked.
func (s *Server) askNext(w *recorder, q *request, id string) {
	if q.patient == "" && s.needsPatient(q) {
		s.patientPage(w, q, id)
		return
	}
	s.consentPage(w, q, id)
}

// choose takes the patient whom the user picked, of those whom the user may pick.
func (s *Server) choose(w *recorder, _ *http.Request, q *request, id string, form url.Values) {
	patient := form.Get("patient")
	if !slices.Contains(s.choices(q.who), patient) {
		s.wrongPage(w, "the patient is not among those of the user")
		return
	}
	q.patient = patient
	s.keepPending(id, q)
	s.askNext(w, q, id)
}

// needsPatient tells whether a patient belongs into the context: always at MyChart, else when asked.
func (s *Server) needsPatient(q *request) bool {
	return isMyChart(q.who) || slices.Contains(q.asked, "launch/patient")
}

// choices are the ids of the patients whom a user may bring into context.
func (s *Server) choices(u *User) []string {
	if isMyChart(u) {
		return u.Patients
	}
	return s.store.patients[:min(len(s.store.patients), 200)]
}

func isMyChart(u *User) bool { return !strings.HasPrefix(u.Reference, "Practitioner") }

func fitsAudience(reg *registration, u *User) bool {
	return isMyChart(u) == (reg.kind() == Standalone)
}

// same compares secrets in constant time, whatever their lengths.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
