package sim

import (
	"strings"

	"github.com/andironhq/andiron/sim/population"
)

// User is somebody who can sign in.
type User struct {
	// Name is shown on the pages, such as "Rosalind Emberley".
	Name string `json:"name"`

	// Login and Password are what the sign-in page asks for. They are simulated: the page shows
	// them, and so does the list of users.
	Login    string `json:"login"`
	Password string `json:"password"`

	// Reference is who signs in: "Patient/ID" for a patient of MyChart, "RelatedPerson/ID" for a
	// proxy, "Practitioner/ID" for a user of Epic.
	Reference string `json:"reference"`

	// Patients are the ids of the patients whom a proxy may choose. A patient has itself, and a
	// practitioner every patient.
	Patients []string `json:"patients,omitempty"`

	// Role is the id of the practitioner's PractitionerRole, if there is one. Not everybody has.
	Role string `json:"role,omitempty"`
}

// Password is that of every user that the server makes by itself.
const Password = "hearth-and-home"

// UserList returns those who can sign in: Users if set. Otherwise a user of MyChart for each named
// patient who has a login (simrosalind, simtheo, …), the proxy of the child among them (simproxy), and a
// practitioner, simclinician, who has a PractitionerRole; the password of all is [Password]. With data
// from a folder they are the first patients, simpatient1 to simpatient5, the first practitioner with
// a PractitionerRole (simclinician) and the first without (simvisitor), where they are there: every
// generated practitioner has a role.
func (s *Server) UserList() []User {
	if s.Open() != nil {
		return nil
	}
	s.usersOnce.Do(func() {
		s.users = s.Users
		if s.users == nil {
			s.users = s.madeUsers()
		}
	})
	return append([]User(nil), s.users...)
}

func (s *Server) madeUsers() []User {
	var list []User
	if s.Data == "" {
		for _, p := range population.People() {
			if _, ok := s.store.find("Patient", p.ID); ok && p.Login != "" {
				list = append(list, User{Name: p.Given + " " + p.Family, Login: p.Login, Reference: "Patient/" + p.ID, Patients: []string{p.ID}})
			}
		}
	} else {
		for i, id := range s.store.patients[:min(5, len(s.store.patients))] {
			list = append(list, User{Login: "simpatient" + string(rune('1'+i)), Reference: "Patient/" + id, Patients: []string{id}})
		}
	}
	list = append(list, s.madeProxy()...)
	list = append(list, s.madePractitioners()...)
	for i := range list {
		list[i].Password = Password
		if list[i].Name == "" {
			list[i].Name = s.nameOf(list[i].Reference)
		}
	}
	return list
}

// madeProxy is the first related person of the first child, or of anybody.
func (s *Server) madeProxy() []User {
	related := s.store.all("RelatedPerson")
	related = append(s.store.ofPatient("RelatedPerson", population.WrenID), related...)
	if len(related) == 0 {
		return nil
	}
	e := s.store.entries[related[0]]
	return []User{{Login: "simproxy", Reference: "RelatedPerson/" + e.id, Patients: []string{e.patient}}}
}

// madePractitioners are the first practitioner with a role and the first without.
func (s *Server) madePractitioners() []User {
	roles := map[string]string{}
	for _, at := range s.store.all("PractitionerRole") {
		role, err := s.decode(at)
		if err != nil {
			continue
		}
		who, _ := role["practitioner"].(map[string]any)
		reference, _ := who["reference"].(string)
		if _, id, ok := strings.Cut(reference, "Practitioner/"); ok && roles[id] == "" {
			roles[id] = s.store.entries[at].id
		}
	}
	var list []User
	with, without := false, false
	for _, at := range s.store.all("Practitioner") {
		id := s.store.entries[at].id
		role, ok := roles[id]
		switch {
		case ok && !with:
			with = true
			list = append(list, User{Login: "simclinician", Reference: "Practitioner/" + id, Role: role})
		case !ok && !without:
			without = true
			list = append(list, User{Login: "simvisitor", Reference: "Practitioner/" + id})
		}
	}
	return list
}

// nameOf is how a patient, a related person or a practitioner is called.
func (s *Server) nameOf(reference string) string {
	typ, id, _ := strings.Cut(reference, "/")
	at, ok := s.store.find(typ, id)
	if !ok {
		return ""
	}
	resource, err := s.decode(at)
	if err != nil {
		return ""
	}
	names, _ := resource["name"].([]any)
	for _, name := range names {
		n, _ := name.(map[string]any)
		if text, _ := n["text"].(string); text != "" {
			return text
		}
		var parts []string
		given, _ := n["given"].([]any)
		for _, v := range append(given, n["family"]) {
			if text, ok := v.(string); ok {
				parts = append(parts, text)
			}
		}
		if len(parts) > 0 {
			return strings.Join(parts, " ")
		}
	}
	return ""
}
