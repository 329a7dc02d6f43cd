package sim

import (
	"net/http"
	"slices"
	"strings"

	"github.com/andironhq/andiron/epic"
)

// known tells whether the server has a type: Epic's 59, and with data of the user's own every
// type found there.
func (s *Server) known(typ string) bool {
	if _, ok := epic.LookupResource(typ); ok {
		return true
	}
	if s.Data == "" {
		return false
	}
	_, ok := s.store.typeNo[typ]
	return ok
}

// types lists the known types by name.
func (s *Server) types() []string {
	var list []string
	for _, r := range epic.Resources() {
		list = append(list, r.Type)
	}
	if s.Data != "" {
		for _, typ := range s.store.types() {
			if !slices.Contains(list, typ) {
				list = append(list, typ)
			}
		}
		slices.Sort(list)
	}
	return list
}

func (s *Server) searchable(typ string) bool {
	r, ok := epic.LookupResource(typ)
	return !ok && s.known(typ) || ok && r.Does("search-type")
}

func (s *Server) declares(typ, interaction string) bool {
	r, ok := epic.LookupResource(typ)
	return ok && r.Does(interaction)
}

func (s *Server) nativeParams(typ string) []string {
	r, _ := epic.LookupResource(typ)
	return r.Native
}

func (s *Server) declaresParam(typ, name string) bool {
	r, ok := epic.LookupResource(typ)
	return ok && (slices.Contains(r.Native, name) || slices.Contains(r.PostFilter, name))
}

// metadata answers the CapabilityStatement with the members and the order of the sandbox's
// (captured metadata of July 2026, high). It needs no token.
func (s *Server) metadata(w *recorder, r *http.Request) {
	s.sendResource(w, r, http.StatusOK, encode(s.capabilityStatement(r)))
}

type capabilityStatement struct {
	ResourceType   string         `json:"resourceType"`
	Status         string         `json:"status"`
	Experimental   bool           `json:"experimental"`
	Date           string         `json:"date"`
	Copyright      string         `json:"copyright"`
	Kind           string         `json:"kind"`
	Instantiates   []string       `json:"instantiates"`
	Software       software       `json:"software"`
	Implementation implementation `json:"implementation"`
	FHIRVersion    string         `json:"fhirVersion"`
	Format         []string       `json:"format"`
	Rest           []rest         `json:"rest"`
}

type software struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	ReleaseDate string `json:"releaseDate"`
}

type implementation struct {
	Description string `json:"description"`
	URL         string `json:"url"`
}

type rest struct {
	Mode     string         `json:"mode"`
	Security security       `json:"security"`
	Resource []restResource `json:"resource"`
}

type security struct {
	Extension []oauthURIs `json:"extension"`
	CORS      bool        `json:"cors"`
	Service   []service   `json:"service"`
}

type oauthURIs struct {
	Extension []oauthURI `json:"extension"`
	URL       string     `json:"url"`
}

// oauthURI has value before url, as Epic serialises extensions (captures, high).
type oauthURI struct {
	Value string `json:"valueUri"`
	URL   string `json:"url"`
}

type service struct {
	Coding []serviceCoding `json:"coding"`
}

type serviceCoding struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

type restResource struct {
	Type              string        `json:"type"`
	SupportedProfile  []string      `json:"supportedProfile,omitempty"`
	Interaction       []interaction `json:"interaction"`
	ReadHistory       bool          `json:"readHistory"`
	UpdateCreate      bool          `json:"updateCreate"`
	ConditionalCreate bool          `json:"conditionalCreate"`
	ConditionalRead   string        `json:"conditionalRead"`
	ConditionalUpdate bool          `json:"conditionalUpdate"`
	ConditionalDelete string        `json:"conditionalDelete"`
	SearchInclude     []string      `json:"searchInclude"`
	SearchRevInclude  []string      `json:"searchRevInclude"`
	SearchParam       []searchParam `json:"searchParam,omitempty"`
	Operation         []operation   `json:"operation,omitempty"`
}

type interaction struct {
	Code string `json:"code"`
}

type searchParam struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type operation struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`
}

var operationDefinitions = map[string]string{
	"group-export": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export",
	"match":        "http://hl7.org/fhir/OperationDefinition/Patient-match",
	"summary":      "http://hl7.org/fhir/uv/ips/OperationDefinition/summary",
}

func (s *Server) capabilityStatement(r *http.Request) capabilityStatement {
	root := s.origin(r) + s.knobs.InstancePath
	c := capabilityStatement{
		ResourceType: "CapabilityStatement", Status: "active", Experimental: true,
		Date: s.clock.now().UTC().Format("2006-01-02T15:04:05Z"), Copyright: epic.Copyright, Kind: "instance",
		Instantiates:   []string{epic.BulkDataGuide, epic.USCoreServer},
		Software:       software{epic.SoftwareName, s.knobs.SoftwareVersion, epic.SoftwareDate},
		Implementation: implementation{"FHIR Sandbox FHIR Server", s.base(r)},
		FHIRVersion:    epic.FHIRVersion, Format: []string{"xml", "json"},
	}
	endpoints := []oauthURI{{root + "/oauth2/authorize", "authorize"}, {root + "/oauth2/token", "token"}}
	if reg, _ := s.apps.find(r.Header.Get("Epic-Client-ID"), s.clock.now()); reg != nil && reg.Dynamic {
		// Shown only to an app that may register dynamic clients (Epic's OAuth 2.0 specification, high).
		endpoints = append(endpoints, oauthURI{root + "/oauth2/register", "register"})
	}
	sec := security{CORS: true, Extension: []oauthURIs{{URL: epic.OAuthURIs, Extension: endpoints}}}
	for _, code := range epic.SecurityServices() {
		sec.Service = append(sec.Service, service{[]serviceCoding{{epic.SecurityService, code}}})
	}
	one := rest{Mode: "server", Security: sec}
	for _, typ := range s.types() {
		one.Resource = append(one.Resource, s.restResource(typ))
	}
	c.Rest = []rest{one}
	return c
}

func (s *Server) restResource(typ string) restResource {
	rr := restResource{
		Type: typ, ConditionalRead: "not-supported", ConditionalDelete: "not-supported",
		SearchInclude: []string{"*"}, SearchRevInclude: []string{"Provenance:target"},
	}
	r, ok := epic.LookupResource(typ)
	if !ok { // a type of the user's own data
		rr.Interaction = []interaction{{"read"}, {"search-type"}}
		rr.SearchParam = []searchParam{{"_count", "number"}, {"_id", "token"}}
		return rr
	}
	rr.SupportedProfile = r.Profiles
	for _, code := range []string{"create", "read", "search-type", "update"} {
		if r.Does(code) {
			rr.Interaction = append(rr.Interaction, interaction{code})
		}
	}
	for _, name := range r.Parameters() {
		rr.SearchParam = append(rr.SearchParam, searchParam{name, paramType(typ, name)})
	}
	for _, name := range r.Operations {
		rr.Operation = append(rr.Operation, operation{name, operationDefinitions[name]})
	}
	if typ == "Patient" && s.knobs.SystemExport {
		rr.Operation = append(rr.Operation, operation{"patient-export", "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export"})
	}
	return rr
}

// paramType tells the type of a search parameter; where the simulator does not evaluate it, by
// its name.
func paramType(typ, name string) string {
	if p, ok := searchParams[typ][name]; ok {
		return map[byte]string{'t': "token", 'd': "date", 'r': "reference", 's': "string"}[p.kind]
	}
	switch {
	case name == "_count":
		return "number"
	case strings.Contains(name, "date") || strings.Contains(name, "time") || name == "period" || name == "issued":
		return "date"
	case name == "patient" || name == "subject" || name == "encounter" || name == "performer" || name == "requester":
		return "reference"
	case strings.HasPrefix(name, "address") || strings.Contains(name, "name") || name == "description":
		return "string"
	}
	return "token"
}
