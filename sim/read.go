package sim

import (
	"encoding/base64"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
)

// read answers GET {base}/{Type}/{id} with the resource's bytes.
func (s *Server) read(w *recorder, r *http.Request, c call) {
	g, ok := s.bearer(w, r)
	if !ok {
		return
	}
	if !g.may(c.typ, "Read") || s.matrixForbids(g, c.typ) {
		s.insufficientScope(w, "no API "+c.typ+".Read is registered, or no scope granted")
		return
	}
	if c.typ == "Patient" && s.Merged[c.id] != "" && (!g.confined(c.typ, 'r') || s.Merged[c.id] == g.patient) {
		// Epic's error-code table promises 4107 with a redirect to the survivor (high).
		w.x.Reason = "the patient was merged"
		w.Header().Set("Location", s.base(r)+"/Patient/"+s.Merged[c.id])
		s.sendResource(w, r, s.knobs.MergeRedirectStatus, outcome{say("4107")}.json())
		return
	}
	at, ok := s.store.find(c.typ, c.id)
	var b []byte
	if ok {
		var reason string
		b, reason, ok = s.readable(at, g)
		if reason != "" {
			w.x.Reason = "sub-type not registered: " + reason
			s.sendResource(w, r, http.StatusForbidden, outcome{say("59203", "Client not authorized for "+c.typ+" - "+reason)}.json())
			return
		}
	}
	if !ok {
		w.x.Reason = "no such resource"
		code := "59008"
		if c.typ == "Binary" {
			code = "59144"
		}
		s.sendResource(w, r, http.StatusNotFound, outcome{say(code, "Invalid FHIR ID provided", "id")}.json())
		return
	}
	if c.typ == "Binary" && s.rawBinary(w, r, b) {
		return
	}
	if c.typ == "Patient" && s.knobs.ETag == "patient-read" {
		// So spelled, with a bare integer, and on this read alone (captures, high).
		sum := fnv.New32a()
		_, _ = sum.Write(b)
		w.Header()["E-Tag"] = []string{strconv.Itoa(int(sum.Sum32() % 1000))}
	}
	s.sendResource(w, r, http.StatusOK, b)
}

// readable returns a resource's bytes, unless a sub-API or the guide's table hides it.
func (s *Server) readable(at int32, g *grant) ([]byte, string, bool) {
	typ := s.store.typeOf(at)
	v := s.judge(g, at, 'r')
	if v == absent {
		return nil, "", false
	}
	b, err := s.resource(at)
	if err != nil {
		return nil, "", false
	}
	acc := g.access(typ, "Read")
	if v == shown && !acc.filters() && !s.matrixLimits(g, typ) {
		return b, "", true
	}
	resource, err := s.decode(at)
	if err != nil {
		return b, "", true
	}
	if sub, hidden := acc.withholds(categoriesOf(resource)); hidden {
		return nil, sub.name, false
	}
	if v == otherPart {
		return nil, otherName, false
	}
	if !s.matrixShows(g, typ, resource) {
		return nil, matrixLimitName(typ), false
	}
	return b, "", true
}

// otherName stands for the part of a type that no sub-API of Epic names and a scope's query leaves
// out (the wording is ours).
const otherName = "Other"

// rawBinary answers with the attachment itself when Accept names its type (FHIR R4, Binary; low
// for Epic).
func (s *Server) rawBinary(w *recorder, r *http.Request, b []byte) bool {
	accept := strings.TrimSpace(r.Header.Get("Accept"))
	if accept == "" || formatType(accept) != "" || formatType(w.x.format) != "" {
		return false
	}
	var contentType, data string
	_ = members(b, func(name, value []byte, _ int) error {
		switch string(name) {
		case "contentType":
			contentType = plainString(value)
		case "data":
			data = plainString(value)
		}
		return nil
	})
	if contentType == "" || !strings.EqualFold(contentType, accept) {
		return false
	}
	raw, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return false
	}
	fhirHeaders(w)
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(raw)
	return true
}

// resource returns the bytes that are served: those stored, but for the guide's extension.
func (s *Server) resource(at int32) ([]byte, error) {
	b, err := s.store.bytes(at)
	if err == nil && s.knobs.MergeStatus && s.store.typeOf(at) == "Patient" {
		b = withMergeStatus(b)
	}
	return b, err
}
