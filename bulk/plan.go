package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
)

// Plan is the kick-off that a Job would send.
type Plan struct {
	// Method is the HTTP method.
	Method string
	// URL is absolute. It holds no secret.
	URL string
	// Header is what is sent beside the token.
	Header http.Header
	// Dialect is the dialect in use, and Reason why.
	Dialect Dialect
	Reason  string
	// Notes are what to know about this request before it leaves.
	Notes []string

	request  string // below Base
	software software
}

// software is what a server says about itself, for the log.
type software struct {
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
	Release string `json:"release,omitempty"`
	FHIR    string `json:"fhir,omitempty"`
}

// Plan returns what Run would send to start an export, without sending it and without
// touching the folder. It may read the server's CapabilityStatement to choose the dialect.
func (j *Job) Plan(ctx context.Context) (*Plan, error) {
	if j.Client == nil {
		return nil, wrap("setup", errors.New("no client"))
	}
	s := j.spec()
	if err := s.check(); err != nil {
		return nil, wrap("setup", err)
	}
	p, err := j.plan(ctx, s)
	return p, wrap("kick-off", err)
}

func (j *Job) plan(ctx context.Context, s spec) (*Plan, error) {
	p := &Plan{Method: http.MethodGet, Dialect: j.Dialect, Reason: "the job names it"}
	if j.Dialect == Auto {
		cs, err := j.Client.Capabilities(ctx)
		fe, ok := errors.AsType[*fhir.Error](err)
		switch {
		case err == nil:
			p.software = softwareOf(cs)
		case ok && fe.Status >= 400 && fe.Status < 500 && fe.Status != http.StatusTooManyRequests:
			cs = nil // a server that does not show it to us still exports
		default:
			return nil, err
		}
		p.Dialect, p.Reason = chooseDialect(cs)
	}
	sp, ok := speeches[p.Dialect]
	if !ok {
		return nil, errors.New("unknown dialect")
	}
	var err error
	if p.request, err = request(s, sp, p.Dialect); err != nil {
		return nil, err
	}
	p.URL = s.Base + "/" + p.request
	p.Header = http.Header{"Accept": {"application/fhir+json"}, "Prefer": {"respond-async"}}
	if p.Dialect == Epic && s.Level != "group" {
		p.Notes = append(p.Notes, "Epic documents exports of a Group alone; level "+s.Level+" is tried all the same")
	}
	if p.Dialect == Epic && len(s.Types) == 1 && s.Types[0] == "Patient" {
		p.Notes = append(p.Notes, "one report has Epic refuse an export of Patient alone (59159): if it does, name a second type")
	}
	return p, nil
}

func softwareOf(cs *r4.CapabilityStatement) software {
	if cs == nil {
		return software{}
	}
	s := software{FHIR: cs.FhirVersion}
	if cs.Software != nil {
		s.Name, s.Version, s.Release = cs.Software.Name, cs.Software.Version, string(cs.Software.ReleaseDate)
	}
	return s
}

// request builds the kick-off's URL below the base (Bulk Data Access, "Bulk Data Kick-off
// Request").
func request(s spec, sp speech, d Dialect) (string, error) {
	var path string
	switch s.Level {
	case "group":
		path = "Group/" + url.PathEscape(s.Group) + "/$export"
	case "patient":
		path = "Patient/$export"
	case "system":
		path = "$export"
	}
	// A comma stands between filters, and between the values of one: the inner ones are
	// written as %2C before the whole value is encoded, which every server seems to read.
	var filters []string
	for _, f := range s.Filters {
		filters = append(filters, strings.ReplaceAll(f, ",", "%2C"))
	}
	var query []string
	for _, p := range []struct{ name, value string }{
		{"_type", strings.Join(dedupe(s.Types), ",")},
		{"_typeFilter", strings.Join(dedupe(filters), ",")},
		{"_since", s.Since},
		{"_until", s.Until},
		{"_elements", strings.Join(dedupe(s.Elements), ",")},
		{"includeAssociatedData", strings.Join(dedupe(s.Include), ",")},
	} {
		if p.value == "" {
			continue
		}
		if !sp.has(p.name) {
			return "", fmt.Errorf("%s in dialect %s: %w", p.name, d, ErrUnsupported)
		}
		query = append(query, p.name+"="+encode(p.value))
	}
	if d == Epic && len(s.Filters) > 0 && len(s.Types) == 0 {
		return "", fmt.Errorf("_typeFilter without _type in dialect %s: %w", d, ErrUnsupported)
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	return path, nil
}

// encode escapes a query value, with %20 for a space and plain commas, as people expect to
// see them in a list of types.
func encode(v string) string {
	v = strings.ReplaceAll(url.QueryEscape(v), "+", "%20")
	return strings.ReplaceAll(v, "%2C", ",")
}

func dedupe(list []string) []string {
	var out []string
	for _, v := range list {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func (s software) text() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings alone
	}
	return string(b)
}
