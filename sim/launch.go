package sim

import (
	"encoding/json"
	"errors"
	"strings"
)

// Launch is the context in which the EHR opens an app: what a launch token stands for, and what
// the token answer tells of it. Empty members are not in context.
type Launch struct {
	// ClientID is the app that is opened.
	ClientID string `json:"client_id"`

	// User is the login of who has the chart open. Empty means the first practitioner of the users.
	User string `json:"user,omitempty"`

	// Patient and Encounter are ids of resources.
	Patient   string `json:"patient,omitempty"`
	Encounter string `json:"encounter,omitempty"`

	// Location, LoginDepartment and Appointment are Epic's own members: ids of resources.
	Location        string `json:"location,omitempty"`
	LoginDepartment string `json:"loginDepartment,omitempty"`
	Appointment     string `json:"appointment,omitempty"`

	// Intent is what the app is opened for, such as "reconcile-medications".
	Intent string `json:"intent,omitempty"`

	// Tenant is an opaque id of the organization.
	Tenant string `json:"tenant,omitempty"`

	// StyleURL is the member smart_style_url. Empty means the server's own style document.
	StyleURL string `json:"smart_style_url,omitempty"`

	// FHIRContext are further resources in context.
	FHIRContext []ContextReference `json:"fhirContext,omitempty"`

	// Banner is need_patient_banner. Nil means false in an EHR launch, and no member in a
	// standalone one.
	Banner *bool `json:"need_patient_banner,omitempty"`

	// Extra are members of the token answer under any name, as customers can add them.
	Extra map[string]any `json:"extra,omitempty"`
}

// ContextReference is a member of fhirContext (SMART App Launch 2.2, Scopes and Launch Context).
type ContextReference struct {
	// Reference is relative, such as "ImagingStudy/123".
	Reference string `json:"reference,omitempty"`
	// Canonical is the URL of a canonical resource.
	Canonical string `json:"canonical,omitempty"`
	// Identifier is a FHIR Identifier.
	Identifier json.RawMessage `json:"identifier,omitempty"`
	// Type is the resource type.
	Type string `json:"type,omitempty"`
	// Role is a URI; empty means "launch".
	Role string `json:"role,omitempty"`
}

// Launch makes a launch token, as the EHR does when it opens an app: opaque, good once, for a few
// minutes (knob launch_life), for this app alone; under whichever base of this server, since no request
// names one (a token made by POST /_sim/launch is good under the base that its answer names). The address
// to open is the app's LaunchURL with the query parameters iss, the FHIR base, and launch, the token. It
// refuses an app that is not registered for EHR launch, and a user, a patient or an encounter that does
// not exist.
func (s *Server) Launch(l Launch) (string, error) {
	if err := s.Open(); err != nil {
		return "", err
	}
	return s.newLaunch(l, "")
}

// ticket is what a launch token stands for.
type ticket struct {
	Launch
	who  *User
	base string // of the EHR that made it, where it is known
}

func (s *Server) newLaunch(l Launch, base string) (string, error) {
	now := s.clock.now()
	reg, reason := s.apps.find(l.ClientID, now)
	switch {
	case reg == nil:
		return "", errors.New("sim: launch: " + reason)
	case reg.kind() != EHRLaunch:
		return "", errors.New("sim: launch: the app is not registered for EHR launch")
	}
	who := s.launchUser(l.User)
	if who == nil {
		return "", errors.New("sim: launch: no practitioner among the users has that login")
	}
	for _, in := range []struct{ typ, id string }{
		{"Patient", l.Patient}, {"Encounter", l.Encounter}, {"Location", l.Location}, {"Appointment", l.Appointment},
	} {
		if _, ok := s.store.find(in.typ, in.id); in.id != "" && !ok {
			return "", errors.New("sim: launch: there is no such " + in.typ)
		}
	}
	token := s.random.opaque()
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	s.auth.launches.put(token, &ticket{l, who, base}, now.Add(s.knobs.LaunchLife), now)
	return token, nil
}

// launchUser finds a practitioner by login; without one, the first.
func (s *Server) launchUser(login string) *User {
	for _, u := range s.UserList() {
		if strings.HasPrefix(u.Reference, "Practitioner/") && (login == "" || login == u.Login) {
			return &u
		}
	}
	return nil
}

// takeTicket takes a launch token out. One that is presented by the wrong client stays good for the right one.
func (s *Server) takeTicket(token string, reg *registration, base string) (*ticket, string) {
	now := s.clock.now()
	s.auth.mu.Lock()
	defer s.auth.mu.Unlock()
	t, ok := s.auth.launches.get(token, now)
	switch {
	case !ok:
		return nil, "the launch token is unknown, used or expired"
	case t.ClientID != reg.ClientID:
		return nil, "the launch token was made for another client"
	case t.base != "" && t.base != base:
		return nil, "the launch token was made under another base"
	}
	s.auth.launches.drop(token)
	return t, ""
}
