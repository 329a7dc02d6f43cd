package sim

import (
	"net/http"
	"slices"
	"strings"

	"github.com/andironhq/andiron/epic"
)

// plan is a search that passed the rules: what to fetch, what to filter afterwards.
type plan struct {
	query      query
	ids        []string // of _id; then nothing else counts
	patient    string   // the one patient, if any
	categories []string
	native     []condition // decide what is fetched
	post       []condition // filter what was fetched, page by page
	nothing    bool        // too weak a search: answered with no result
	limit      int         // more results than this are refused; 0 is no limit
	info       outcome     // to be said beside the results
}

type condition struct {
	param
	values []string
}

// refusal is a search that did not pass.
type refusal struct {
	status int
	issues outcome
}

// generalParams are understood, or ignored without a word, for every type.
var generalParams = []string{"_id", "_count", "_include", "_revinclude", "_summary", "_format", "_elements", "_sort", "_pretty", "_total"}

// planSearch applies the rules of Epic's search: required parameters, values, unknown names.
func (s *Server) planSearch(q query, g *grant) (*plan, *refusal) {
	p := &plan{query: q}
	contextPatient := g.patient
	unknown := s.unknownParams(q)
	fail := func(status int, issues ...issue) (*plan, *refusal) {
		return nil, &refusal{status, append(append(unknown, p.info...), issues...)}
	}
	if q.has("_id") {
		for _, v := range q.values("_id") {
			for _, id := range alternatives(v) {
				p.ids = append(p.ids, lastSegment(id))
			}
		}
		return p, nil
	}
	if len(q.pairs) == 0 || !slices.ContainsFunc(q.pairs, func(x pair) bool { return !slices.Contains(generalParams, x.name) }) {
		if contextPatient == "" && q.typ != "Patient" && len(s.nativeParams(q.typ)) == 0 {
			return fail(http.StatusBadRequest, say("4110"))
		}
	}
	if len(s.nativeParams(q.typ)) == 0 {
		for _, x := range q.pairs {
			if !slices.Contains(generalParams, x.name) && !slices.ContainsFunc(unknown, func(i issue) bool { return strings.Contains(i.Diagnostics, strings.ToUpper(x.name)) }) {
				unknown = append(unknown, unknownParam(x.name))
			}
		}
		return fail(http.StatusBadRequest, say("59102", "Only an _ID search is allowed."))
	}
	if r := s.planPatient(p, g); r != nil {
		return fail(r.status, r.issues...)
	}
	if r := s.planCategory(p); r != nil {
		return fail(r.status, r.issues...)
	}
	if r := s.planRequired(p); r != nil {
		return fail(r.status, r.issues...)
	}
	s.planConditions(p)
	return p, nil
}

func unknownParam(name string) issue {
	return say("59100", "Unknown parameter: "+strings.ToUpper(clip(name))+". Parameter has been ignored.")
}

// unknownParams makes the 59100 of each parameter that the type does not declare. They are
// only said when the search fails for another reason (captures, 8 of 8 types, high).
func (s *Server) unknownParams(q query) outcome {
	var list outcome
	for _, x := range q.pairs {
		if !slices.Contains(generalParams, x.name) && !s.declaresParam(q.typ, x.name) && x.name != "patient.identifier" {
			list = append(list, unknownParam(x.name))
		}
	}
	return list
}

func lastSegment(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// planPatient finds the one patient that the search is about.
func (s *Server) planPatient(p *plan, g *grant) *refusal {
	q := p.query
	var given []string
	for _, x := range q.pairs {
		if isPatientParam(q.typ, x.name) && s.declaresParam(q.typ, x.name) {
			for _, v := range alternatives(x.value) {
				given = append(given, lastSegment(v))
			}
		}
	}
	// Chaining by a dot works, patient:identifier does not (smart-fetch, medium).
	if s.declaresParam(q.typ, "patient") {
		for _, v := range q.values("patient.identifier") {
			if id := s.patientByIdentifier(v); id != "" {
				given = append(given, id)
			} else {
				given = append(given, v)
			}
		}
	}
	if len(given) == 0 && g.patient != "" && q.typ != "Patient" && s.declaresParam(q.typ, "patient") {
		given = []string{g.patient}
	}
	for _, id := range given {
		if id != given[0] {
			return &refusal{http.StatusBadRequest, outcome{say("4112", "Only one patient can be searched for.")}}
		}
	}
	if len(given) == 0 {
		return nil
	}
	// A patient whom the token does not reach is answered like one who does not exist (the record is
	// silent; so nothing is learnt from the answer).
	if _, ok := s.store.find("Patient", given[0]); !ok || g.confined(q.typ, 's') && given[0] != g.patient {
		return &refusal{http.StatusBadRequest, outcome{say("59102", "Invalid patient ID", "patient")}}
	}
	p.patient = given[0]
	return nil
}

func (s *Server) patientByIdentifier(value string) string {
	ids := param{'t', []string{"identifier"}}
	for _, at := range s.store.all("Patient") {
		if resource, err := s.decode(at); err == nil && ids.matches(resource, []string{value}) {
			return s.store.entries[at].id
		}
	}
	return ""
}

// planRequired applies the required parameters of a type (Epic's per-API pages and captures,
// high unless a comment says otherwise).
func (s *Server) planRequired(p *plan) *refusal {
	q := p.query
	switch q.typ {
	case "Patient":
		return s.planDemographics(p)
	case "Practitioner":
		if !q.hasAny("family", "name", "identifier") {
			return business("This resource requires family, name, identifier or _id parameter for searching.", "family/name/identifier/_id")
		}
		return nil
	case "PractitionerRole":
		// specialty wants its system, identifier a URN (Epic's API specifications, high).
		specialty, identifier := q.values("specialty"), q.values("identifier")
		if !q.hasAny("practitioner", "organization", "location") &&
			(len(specialty) == 0 || !strings.Contains(specialty[0], "|")) &&
			(len(identifier) == 0 || !strings.HasPrefix(strings.ToLower(identifier[0]), "urn:oid:")) {
			return business("This resource requires practitioner, organization, location, specialty, identifier or _id parameter for searching.", "practitioner/organization/location/specialty/identifier/_id")
		}
		return nil
	case "QuestionnaireResponse":
		if !q.hasAny("encounter") && p.patient == "" {
			return business("This resource requires encounter, patient, subject or _id parameter for searching.", "encounter/patient/subject/_id")
		}
		return nil
	}
	if !s.declaresParam(q.typ, "patient") {
		return nil
	}
	if p.patient == "" {
		return s.withoutPatient(p)
	}
	switch q.typ {
	case "Observation":
		if !q.hasAny("category", "code") {
			return required("Must have either code or category.", "code/category")
		}
	case "CarePlan":
		if !q.has("category") {
			return &refusal{http.StatusBadRequest, outcome{say("59159", carePlanRefusal(), "category")}}
		}
	case "EpisodeOfCare":
		if v := q.values("type"); len(v) == 0 || !strings.Contains(v[0], "|") {
			return business("This resource requires type as system and code for searching.", "type")
		}
	}
	return nil
}

// withoutPatient refuses a search that names no patient. A native identifier is let through:
// it names one record (inference, low).
func (s *Server) withoutPatient(p *plan) *refusal {
	q := p.query
	if q.has("identifier") && slices.Contains(s.nativeParams(q.typ), "identifier") {
		return nil
	}
	switch q.typ {
	case "AllergyIntolerance":
		return &refusal{http.StatusForbidden, outcome{say("4118")}}
	case "DocumentReference", "Procedure":
		return required("Must have either patient or subject.", "patient/subject")
	case "Encounter":
		if q.has("class") {
			p.info = append(p.info, say("59109", "Invalid class: "+clip(q.values("class")[0]), "class"))
		}
	}
	return business("This resource requires patient or _id parameter for searching.", "patient/_id")
}

func business(diagnostics, where string) *refusal {
	return &refusal{http.StatusBadRequest, outcome{say("59159", diagnostics, where)}}
}

func required(diagnostics, where string) *refusal {
	return &refusal{http.StatusBadRequest, outcome{say("59108", diagnostics, where)}}
}

// planDemographics judges a search for patients: an identifier, or demographics that identify
// together. One weak parameter gives no result; none is refused (captures, high; which
// combinations suffice is read from Epic's page, medium).
func (s *Server) planDemographics(p *plan) *refusal {
	q := p.query
	p.limit = 100
	demographics := []string{"family", "given", "name", "birthdate", "gender", "legal-sex", "telecom", "address", "address-city", "address-postalcode", "address-state", "own-name", "partner-name"}
	if n := q.values("birthdate"); len(n) > 1 || len(n) == 1 && !fullDate(n[0]) {
		return &refusal{http.StatusBadRequest, outcome{
			say("59109", "A single valid date is required for birthdate", "birthdate"),
			say("59159", "This resource requires demographics or _id parameter for searching.", "demographics/_id"),
		}}
	}
	if q.has("identifier") {
		return nil
	}
	if !q.hasAny(demographics...) {
		return business("This resource requires demographics or _id parameter for searching.", "demographics/_id")
	}
	rule, _ := epic.LookupRule("Patient")
	p.nothing = !rule.Identifies(q.has)
	return nil
}

func fullDate(value string) bool {
	value = strings.TrimPrefix(value, "eq")
	_, ok := parseDate(value)
	return ok && len(value) == 10
}

// planConditions sorts the remaining parameters into native and post-filter ones. A value that
// cannot be is reported and ignored; so is a parameter that the simulator does not evaluate.
func (s *Server) planConditions(p *plan) {
	q := p.query
	params := searchParams[q.typ]
	native := s.nativeParams(q.typ)
	for i, x := range q.pairs {
		if base, _, cut := strings.Cut(strings.ReplaceAll(x.name, ".", ":"), ":"); cut && x.name != "patient.identifier" && s.declaresParam(q.typ, base) {
			p.info = append(p.info, notModelled(x.name)) // a modifier or a chain
		}
		if slices.Contains(generalParams, x.name) || isPatientParam(q.typ, x.name) || !s.declaresParam(q.typ, x.name) || x.value == "" {
			continue
		}
		if firstOnly[q.typ] && slices.ContainsFunc(q.pairs[:i], func(y pair) bool { return y.name == x.name }) {
			continue // only the first repetition counts
		}
		if q.typ == "Patient" && x.name == "name" && q.hasAny("family", "given") {
			continue // name is ignored beside family or given
		}
		if q.typ == "Practitioner" && x.name != "identifier" && q.has("identifier") {
			continue // all others are ignored beside identifier
		}
		how, ok := params[x.name]
		if !ok {
			p.info = append(p.info, notModelled(x.name))
			continue
		}
		values := alternatives(x.value)
		if x.name == "category" && p.categories != nil {
			values = s.categoryValues(p, x.value)
		}
		if bad := s.badValue(q.typ, x.name, how, values); bad != nil {
			p.info = append(p.info, *bad)
			continue
		}
		if len(values) == 0 {
			continue
		}
		c := condition{how, values}
		if slices.Contains(native, x.name) {
			p.native = append(p.native, c)
		} else {
			p.post = append(p.post, c)
		}
	}
}

// notModelled reports a parameter that Epic knows and the simulator does not evaluate.
func notModelled(name string) issue {
	return say("59100", "Parameter not modelled by the simulator: "+strings.ToUpper(clip(name))+". Parameter has been ignored.")
}

// firstOnly are the types of which only the first repetition of a parameter counts.
var firstOnly = map[string]bool{"Practitioner": true, "PractitionerRole": true}

// badValue is what an invalid value of an optional parameter draws: a remark, and the search
// goes on without it (Epic's error-code page, high).
func (s *Server) badValue(typ, name string, how param, values []string) *issue {
	invalid := func(word string) *issue {
		i := say("59109", "Invalid "+name+": "+clip(word), name)
		return &i
	}
	for _, v := range values {
		switch {
		case how.kind == 'd' && !validDate(v):
			return invalid(v)
		case (typ == "AllergyIntolerance" && name == "clinical-status" || typ == "CareTeam" && name == "status") && lastToken(v) != "active":
			return invalid(v)
		case typ == "Encounter" && name == "class" && !s.knownClass(lastToken(v)):
			return invalid(v)
		}
	}
	return nil
}

func lastToken(v string) string { return v[strings.LastIndexByte(v, '|')+1:] }

// knownClass tells whether the population has encounters of that class: Epic's classes are
// each site's own.
func (s *Server) knownClass(code string) bool {
	s.classesOnce.Do(func() {
		s.classes = map[string]bool{}
		for _, at := range s.store.all("Encounter") {
			if resource, err := s.decode(at); err == nil {
				for _, v := range walk(resource, []string{"class", "code"}) {
					if text, ok := v.(string); ok {
						s.classes[text] = true
					}
				}
			}
		}
	})
	return s.classes[code]
}
