package cli

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/smart"
)

func (d *examination) metadata(client *fhir.Client) {
	cs, err := client.Capabilities(d.ctx)
	if err != nil {
		d.fail("metadata", netCause(err), err)
		return
	}
	text := "FHIR " + plain(cs.FhirVersion)
	if cs.Software != nil {
		text += ", " + plain(strings.TrimSpace(cs.Software.Name+" "+cs.Software.Version))
	}
	types := 0
	for _, rest := range cs.Rest {
		types += len(rest.Resource)
	}
	text += ", " + count(types, "resource type", "resource types")
	if !strings.HasPrefix(cs.FhirVersion, "4.0") {
		s := d.add("metadata", stepFail, text)
		d.blame(s, "base-wrong", true, d.setFix("fhir", "URL")...)
		return
	}
	d.add("metadata", stepOK, text)
}

// usual are the twelve types of integration guides, with a search that Epic takes, and the kinds of
// sign-in for which they call the support limited or absent: there a refusal is no fault.
var usual = []struct{ typ, search, unsure string }{
	{"Patient", "", ""},
	{"Encounter", "patient=", ""},
	{"Condition", "category=problem-list-item&patient=", ""},
	{"Observation", "category=laboratory&patient=", ""},
	{"MedicationRequest", "patient=", ""},
	{"AllergyIntolerance", "patient=", ""},
	{"Immunization", "patient=", ""},
	{"DiagnosticReport", "patient=", ""},
	{"DocumentReference", "category=clinical-note&patient=", launchStandalone},
	{"Procedure", "patient=", ""},
	{"CarePlan", "category=38717003&patient=", launchStandalone},
	{"Appointment", "patient=", launchStandalone + " " + launchBackend},
}

// madeUp is an id that nothing has.
const madeUp = "andiron-doctor-asks-for-nobody"

// resources reads and searches each usual type once. Without a patient a made-up one shows whether
// the app may ask: that the server answers 404 and not 403 is the good news.
func (d *examination) resources(client *fhir.Client, granted smart.Scopes) {
	patient := d.patient
	if patient == "" {
		patient = madeUp
	}
	gone := map[string]bool{}
	for _, u := range usual {
		if d.ctx.Err() != nil {
			return
		}
		id := madeUp
		if u.typ == "Patient" {
			id = patient
		}
		gone[u.typ] = !d.ask(client, "read", u.typ, u.typ+"/"+id, u.unsure, granted)
	}
	for _, u := range usual {
		if u.search == "" || gone[u.typ] || d.ctx.Err() != nil {
			continue
		}
		d.ask(client, "search", u.typ, u.typ+"?"+u.search+patient+"&_count=1", u.unsure, granted)
	}
}

// ask sends one request and notes whether the app may. False: it may not.
func (d *examination) ask(client *fhir.Client, check, typ, path, unsure string, granted smart.Scopes) bool {
	resp, err := client.Do(d.ctx, fhir.Request{Op: check, URL: path})
	if resp != nil {
		_ = resp.Body.Close()
	}
	var answer *fhir.Error
	status := 0
	if errors.As(err, &answer) {
		status = answer.Status
	}
	note := func(state, text string) *step {
		s := d.add(check, state, text)
		s.Resource = typ
		return s
	}
	letter := "r"
	if check == "search" {
		letter = "s"
	}
	switch {
	case err == nil:
		note(stepOK, typ+" answers")
	case status == http.StatusNotFound, status == http.StatusGone, status == http.StatusBadRequest:
		note(stepOK, fmt.Sprintf("the server lets the app ask for %s (it answered %d for a made-up id)", typ, status))
	case status == http.StatusForbidden && (!gives(granted, typ, letter) || strings.Contains(unsure, d.c.Launch)):
		note(stepOff, typ+" is not registered for the app")
		return false
	case status == http.StatusForbidden:
		s := note(stepFail, "the server gives a scope for "+typ+" and refuses it (403)")
		d.blame(s, "api-not-registered", true)
		return false
	default:
		d.fail(check, netCause(err), err)
		d.steps[len(d.steps)-1].Resource = typ
		return false
	}
	return true
}

// gives reports whether a type was granted in any form, at any level.
func gives(granted smart.Scopes, typ, letter string) bool {
	return slices.ContainsFunc(granted, func(s smart.Scope) bool {
		return s.Level != "" && (s.Type == typ || s.Type == "*") && strings.Contains(s.Actions, letter)
	})
}

// export asks for an export of a group that cannot exist: that starts nothing, and a server that
// knows no such group has let the app ask.
func (d *examination) export(client *fhir.Client, _ smart.Scopes) {
	resp, err := client.Do(d.ctx, fhir.Request{
		Op: "export", URL: "Group/" + madeUp + "/$export", NoRetry: true, Header: http.Header{"Prefer": {"respond-async"}},
	})
	if resp != nil {
		_ = resp.Body.Close()
	}
	var answer *fhir.Error
	switch {
	case errors.As(err, &answer) && (answer.Status == http.StatusForbidden || answer.Status == http.StatusUnauthorized):
		if d.c.Group == "" {
			d.add("export", stepOff, "the app may not export groups")
			return
		}
		s := d.add("export", stepFail, "a group is configured and the app may not export")
		d.blame(s, "export-not-registered", true)
	case errors.As(err, &answer) && answer.Status >= 400 && answer.Status < 500:
		d.add("export", stepOK, fmt.Sprintf("the app may export groups (it answered %d for a made-up one; none was started)", answer.Status))
	case err != nil:
		d.fail("export", netCause(err), err)
	default:
		d.add("export", stepOff, "the server's answer to a made-up group tells nothing")
	}
}
