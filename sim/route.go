package sim

import (
	"net/http"
	"net/url"
	"strings"
)

// call is a request as the router understands it. Faults match on it and the log shows it.
type call struct {
	// op is one of "discovery", "metadata", "authorize", "token", "introspect", "register",
	// "revoke", "style", "keys", "read", "search", "kickoff",
	// "status", "file", "delete", "other".
	op  string
	typ string // resource type in the path, or of a bulk file
	id  string
	job string
	// file is the position of a bulk file in its manifest, from 1.
	file int
	doc  string // which discovery document, or which page of a sign-in
	ask  string // "group", "patient" or "system": level of a kick-off
	post bool   // a search by POST
}

// classify reads the path. It is compared byte for byte: Epic's paths are case-sensitive.
func (s *Server) classify(r *http.Request) call {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), s.knobs.InstancePath+"/")
	if !ok {
		return call{op: "other"}
	}
	switch path {
	case "oauth2/token":
		return call{op: "token"}
	case "oauth2/authorize":
		return call{op: "authorize"}
	case "oauth2/authorize/sign-in", "oauth2/authorize/patient", "oauth2/authorize/consent":
		return call{op: "authorize", doc: strings.TrimPrefix(path, "oauth2/authorize/")}
	case "oauth2/introspect":
		return call{op: "introspect"}
	case "oauth2/register":
		return call{op: "register"}
	case "oauth2/revoke":
		if s.knobs.Revocation {
			return call{op: "revoke"}
		}
		return call{op: "other"}
	case stylePath:
		return call{op: "style"}
	case "api/FHIR/R4/.well-known/smart-configuration":
		return call{op: "discovery", doc: "smart"}
	case "oauth2/.well-known/openid-configuration", "api/FHIR/R4/.well-known/openid-configuration":
		return call{op: "discovery", doc: "openid"}
	case keysPath:
		return call{op: "keys"}
	case "api/FHIR/R4/metadata":
		return call{op: "metadata"}
	}
	if rest, ok := strings.CutPrefix(path, "api/FHIR/BulkRequest/"); ok {
		job, file, isFile := strings.Cut(rest, "/")
		c := call{op: "status", job: job}
		if isFile {
			c.op, c.id = "file", file
			c.typ, c.file = s.jobs.fileOf(job, file)
		} else if r.Method == http.MethodDelete {
			c.op = "delete"
		}
		return c
	}
	rest, ok := strings.CutPrefix(path, "api/FHIR/R4/")
	if !ok {
		return call{op: "other"}
	}
	return s.classifyFHIR(r, strings.Split(strings.TrimSuffix(rest, "/"), "/"))
}

func (s *Server) classifyFHIR(r *http.Request, seg []string) call {
	for i := range seg {
		plain, err := url.PathUnescape(seg[i])
		if err != nil || plain == "" || strings.ContainsAny(plain, "/\\") {
			return call{op: "other"}
		}
		seg[i] = plain
	}
	typ := seg[0]
	switch {
	case len(seg) == 1 && typ == "$export":
		if s.knobs.SystemExport {
			return call{op: "kickoff", ask: "system"}
		}
	case len(seg) == 2 && typ == "Patient" && seg[1] == "$export":
		if s.knobs.SystemExport {
			return call{op: "kickoff", ask: "patient"}
		}
	case len(seg) == 3 && typ == "Group" && seg[2] == "$export":
		return call{op: "kickoff", ask: "group", typ: "Group", id: seg[1]}
	case !s.known(typ):
	case len(seg) == 1:
		return call{op: "search", typ: typ}
	case len(seg) == 2 && seg[1] == "_search" && r.Method == http.MethodPost:
		return call{op: "search", typ: typ, post: true}
	case len(seg) == 2 && !strings.HasPrefix(seg[1], "$") && !strings.HasPrefix(seg[1], "_"):
		return call{op: "read", typ: typ, id: seg[1]}
	}
	return call{op: "other", typ: typ}
}

// dispatch answers a call.
func (s *Server) dispatch(w *recorder, r *http.Request, c call) {
	s.commonHeaders(w)
	s.cors(w, r, c)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusOK)
		return
	}
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch c.op {
	case "token":
		s.token(w, r)
	case "authorize":
		if c.doc == "" {
			s.authorize(w, r)
		} else {
			s.step(w, r, c.doc)
		}
	case "introspect":
		s.introspect(w, r)
	case "register":
		s.dynamicClient(w, r)
	case "revoke":
		s.revoke(w, r)
	case "discovery", "keys", "metadata", "style":
		if !get {
			s.methodNotAllowed(w, r)
			return
		}
		switch {
		case c.op == "metadata":
			s.metadata(w, r)
		case c.op == "keys":
			s.oidcKeys(w)
		case c.op == "style":
			s.style(w)
		case c.doc == "smart":
			s.smartConfiguration(w, r)
		default:
			s.openidConfiguration(w, r)
		}
	case "read":
		if !get {
			s.refuseWrite(w, r, c)
			return
		}
		s.read(w, r, c)
	case "search":
		switch {
		case get || c.post:
			s.search(w, r, c)
		default:
			s.refuseWrite(w, r, c)
		}
	case "kickoff":
		if !get {
			s.methodNotAllowed(w, r)
			return
		}
		s.kickoff(w, r, c)
	case "status", "delete":
		if !get && r.Method != http.MethodDelete {
			s.methodNotAllowed(w, r)
			return
		}
		s.bulkStatus(w, r, c)
	case "file":
		if !get {
			s.methodNotAllowed(w, r)
			return
		}
		s.bulkFile(w, r, c)
	default:
		s.notFoundPage(w)
	}
}

// refuseWrite answers what is neither read nor search. Creates and updates are not modelled:
// where Epic declares one, the app lacks the API (403, as captured for ServiceRequest); else
// the verb is refused (405).
func (s *Server) refuseWrite(w *recorder, r *http.Request, c call) {
	declared := r.Method == http.MethodPost && c.op == "search" && s.declares(c.typ, "create") ||
		r.Method == http.MethodPut && c.op == "read" && s.declares(c.typ, "update")
	if !declared {
		s.methodNotAllowed(w, r)
		return
	}
	if _, ok := s.bearer(w, r); ok {
		s.insufficientScope(w, "creates and updates are not modelled")
	}
}
