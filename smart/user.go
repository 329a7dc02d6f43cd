package smart

import (
	"net/url"
	"regexp"
	"strings"
)

// User is the person who signed in, from the verified id_token. The zero value is nobody: the server
// sent no id_token.
type User struct {
	// Subject is the server's own name for the person, unique within Issuer.
	Subject string
	// Issuer is who says so: at Epic not the FHIR base.
	Issuer string
	// Type is "Patient", "Practitioner", "PractitionerRole", "RelatedPerson" or "Person"; ""
	// if fhirUser is missing or names none of these.
	Type string
	// ID is the id of that resource.
	ID string
	// URL is fhirUser made absolute.
	URL string
	// Foreign says that URL is not below the FHIR base: it must not be read with the token.
	Foreign bool
	// Name is the claim name, Login the claim preferred_username; "" without them.
	Name, Login string
}

// IsZero reports whether nobody is known.
func (u User) IsZero() bool { return u.Subject == "" }

// String is the type alone: the rest is about a person.
func (u User) String() string {
	switch {
	case u.IsZero():
		return "no user"
	case u.Type == "":
		return "user"
	}
	return u.Type
}

var userForm = regexp.MustCompile(`^(?:.*/)?(Patient|Practitioner|PractitionerRole|RelatedPerson|Person)/([A-Za-z0-9\-.]+)$`)

// setFHIRUser reads a fhirUser, absolute or relative to the FHIR base.
func (u *User) setFHIRUser(base, value string) {
	ref, err := url.Parse(value)
	if value == "" || err != nil || ref.User != nil || ref.RawQuery != "" || ref.Fragment != "" || ref.Opaque != "" {
		return
	}
	own := strings.TrimSuffix(base, "/")
	switch {
	case ref.IsAbs():
		u.URL = value
	case ref.Host != "" || strings.HasPrefix(value, "/"):
		return // neither absolute nor relative to the base
	default:
		u.URL = own + "/" + value
	}
	m := userForm.FindStringSubmatch(ref.EscapedPath())
	if m == nil {
		u.Foreign = true
		return
	}
	u.Type, u.ID = m[1], m[2]
	u.Foreign = !sameBase(strings.TrimSuffix(u.URL, "/"+u.Type+"/"+u.ID), own)
}
