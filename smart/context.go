package smart

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Context is what a launch is about (SMART App Launch 2.2, "Scopes and Launch Context"). It does not
// change: when the user of an EHR turns to another patient, the application is not told.
type Context struct {
	// Patient and Encounter are ids; "" if not in context.
	Patient, Encounter string
	// FHIRContext are further resources.
	FHIRContext []ContextReference
	// NeedPatientBanner says whether the application must show who the patient is; nil if the
	// server does not say.
	NeedPatientBanner *bool
	// Intent is what the user wants to do; unknown values mean the usual view.
	Intent string
	// Tenant is the organization, opaque.
	Tenant string
	// StyleURL leads to colours and fonts as JSON. It is the server's text: check before use.
	StyleURL string
	// Location, LoginDepartment and Appointment are ids that Epic adds.
	Location, LoginDepartment, Appointment string
	// Raw holds every member of the answer, the tokens aside, as it came.
	Raw map[string]json.RawMessage
}

// ContextReference is one entry of fhirContext. Of Reference, Canonical and Identifier one is set.
type ContextReference struct {
	// Reference is relative to the FHIR base, such as "ImagingStudy/123".
	Reference string `json:"reference,omitempty"`
	// Canonical is the URL of a definition.
	Canonical string `json:"canonical,omitempty"`
	// Identifier is a FHIR Identifier.
	Identifier json.RawMessage `json:"identifier,omitempty"`
	// Type is the resource type; "" if not said.
	Type string `json:"type,omitempty"`
	// Role is a URI; "launch" if not said.
	Role string `json:"role,omitempty"`
}

// notContext are the members of a token answer that are nobody's business outside of this package.
var notContext = []string{"access_token", "refresh_token", "id_token", "state"}

// readContext takes the launch context out of a token answer.
func readContext(members map[string]json.RawMessage) Context {
	c := Context{
		Patient:         text(members["patient"]),
		Encounter:       text(members["encounter"]),
		Intent:          text(members["intent"]),
		Tenant:          text(members["tenant"]),
		StyleURL:        text(members["smart_style_url"]),
		Location:        text(members["location"]),
		LoginDepartment: text(members["loginDepartment"]),
		Appointment:     text(members["appointment"]),
		Raw:             map[string]json.RawMessage{},
	}
	if b, err := strconv.ParseBool(asciiLower(text(members["need_patient_banner"]))); err == nil {
		c.NeedPatientBanner = &b // Epic documents it as a string
	}
	var list []json.RawMessage
	_ = json.Unmarshal(members["fhirContext"], &list)
	for _, raw := range list {
		var ref ContextReference
		if s := text(raw); s != "" && raw[0] == '"' { // SMART App Launch 2.0
			ref.Reference = s
		} else if json.Unmarshal(raw, &ref) != nil || ref.Reference == "" && ref.Canonical == "" && ref.Identifier == nil {
			continue
		}
		if ref.Role == "" {
			ref.Role = "launch"
		}
		c.FHIRContext = append(c.FHIRContext, ref)
	}
	for name, raw := range members {
		c.Raw[name] = raw
	}
	for _, name := range notContext {
		delete(c.Raw, name)
	}
	return c
}

// text is a JSON string, or the literal of a number or boolean.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return strings.TrimSpace(s)
	}
	if len(raw) == 0 || strings.ContainsRune(`{["n`, rune(raw[0])) {
		return ""
	}
	return string(raw)
}
