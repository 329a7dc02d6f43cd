package smart_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/andironhq/andiron/smart"
)

// site answers for a FHIR base at /a/FHIR/R4: one handler for each path below it.
func site(t *testing.T, paths map[string]http.HandlerFunc) (base string, hits map[string]int) {
	t.Helper()
	hits = map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, below := strings.CutPrefix(r.URL.Path, "/a/FHIR/R4")
		hits[path]++
		if h := paths[path]; below && h != nil {
			h(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<!DOCTYPE html><title>404 - File or directory not found.</title>`)
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/a/FHIR/R4", hits
}

func body(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

const wellKnown = "/.well-known/smart-configuration"

const oldMetadata = `{"resourceType":"CapabilityStatement","rest":[{"mode":"server","security":{"extension":[
	{"url":"http://example.com/other","valueUri":"x"},
	{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris","extension":[
		{"valueUri":"https://auth.example/authorize","url":"authorize"},
		{"valueUri":"https://auth.example/token","url":"token"}]}]},"resource":[{"type":"Patient"}]}]}`

func TestDiscoverReadsWhatServersSay(t *testing.T) {
	tests := []struct {
		name  string
		paths map[string]http.HandlerFunc
		want  smart.Configuration
	}{
		{
			"a full document",
			map[string]http.HandlerFunc{wellKnown: body(`{"authorization_endpoint":"https://h.example/oauth2/authorize",
				"token_endpoint":"https://h.example/oauth2/token","issuer":"https://h.example/oauth2","jwks_uri":"https://h.example/keys",
				"token_endpoint_auth_methods_supported":["private_key_jwt"],"token_endpoint_auth_signing_alg_values_supported":["RS384"],
				"capabilities":["launch-ehr","permission-v2"],"code_challenge_methods_supported":["S256"],"scopes_supported":["openid"],
				"grant_types_supported":["client_credentials"],"response_types_supported":["code"],"x":{"y":[1]}}`)},
			smart.Configuration{
				AuthorizationEndpoint: "https://h.example/oauth2/authorize", TokenEndpoint: "https://h.example/oauth2/token",
				Issuer: "https://h.example/oauth2", JWKSURI: "https://h.example/keys", AuthMethods: []string{"private_key_jwt"},
				SigningAlgorithms: []string{"RS384"}, Capabilities: []string{"launch-ehr", "permission-v2"},
				CodeChallengeMethods: []string{"S256"}, Scopes: []string{"openid"}, GrantTypes: []string{"client_credentials"}, ResponseTypes: []string{"code"},
			},
		},
		{
			"relative URLs begin at the base",
			map[string]http.HandlerFunc{wellKnown: body(`{"token_endpoint":"oauth/token","authorization_endpoint":"/authorize"}`)},
			smart.Configuration{TokenEndpoint: "BASE/oauth/token", AuthorizationEndpoint: "HOST/authorize"},
		},
		{
			"a string where a list belongs, a list where a string belongs, nulls",
			map[string]http.HandlerFunc{wellKnown: body(
				`{"token_endpoint":["https://h.example/t"],"capabilities":"launch-ehr","scopes_supported":null,"issuer":null,"grant_types_supported":[1,"a"]}`)},
			smart.Configuration{TokenEndpoint: "https://h.example/t", Capabilities: []string{"launch-ehr"}, GrantTypes: []string{"a"}},
		},
		{
			"an old server has only /metadata",
			map[string]http.HandlerFunc{"/metadata": body(oldMetadata)},
			smart.Configuration{TokenEndpoint: "https://auth.example/token", AuthorizationEndpoint: "https://auth.example/authorize", Fallback: true},
		},
		{
			"a sign-in page in place of the document",
			map[string]http.HandlerFunc{wellKnown: body("<html>"), "/metadata": body(oldMetadata)},
			smart.Configuration{TokenEndpoint: "https://auth.example/token", AuthorizationEndpoint: "https://auth.example/authorize", Fallback: true},
		},
		{
			"a document without token endpoint is completed",
			map[string]http.HandlerFunc{wellKnown: body(`{"capabilities":["launch-ehr"]}`), "/metadata": body(oldMetadata)},
			smart.Configuration{TokenEndpoint: "https://auth.example/token", AuthorizationEndpoint: "https://auth.example/authorize", Capabilities: []string{"launch-ehr"}, Fallback: true},
		},
		{
			"a document without anything",
			map[string]http.HandlerFunc{wellKnown: body(`{}`)},
			smart.Configuration{},
		},
		{
			"endpoints that must not be used are left out",
			map[string]http.HandlerFunc{wellKnown: body(`{"token_endpoint":"https://h.example/t",
				"authorization_endpoint":"http://h.example/a","jwks_uri":"https://u:p@h.example/k","issuer":"https://h.example","introspection_endpoint":5,
				"revocation_endpoint":"javascript:alert(1)"}`)},
			smart.Configuration{
				TokenEndpoint: "https://h.example/t", Issuer: "https://h.example",
				Problems: []string{"jwks_uri: holds a user", "authorization_endpoint: plain http refused", "introspection_endpoint: not a URL", "revocation_endpoint: not a URL"},
			},
		},
		{
			"a redirect on the same origin",
			map[string]http.HandlerFunc{
				wellKnown: func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, "/a/FHIR/R4/moved", http.StatusFound)
				},
				"/moved": body(`{"token_endpoint":"https://h.example/t"}`),
			},
			smart.Configuration{TokenEndpoint: "https://h.example/t"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, _ := site(t, tt.paths)
			for _, b := range []string{base, base + "/"} {
				got, err := smart.Discover(t.Context(), nil, b)
				if err != nil {
					t.Fatalf("%s: %v", b, err)
				}
				if got.Date.IsZero() {
					t.Error("the server's clock was not kept")
				}
				want := tt.want
				full := strings.NewReplacer("BASE", base, "HOST", strings.TrimSuffix(base, "/a/FHIR/R4"))
				want.TokenEndpoint = full.Replace(want.TokenEndpoint)
				want.AuthorizationEndpoint = full.Replace(want.AuthorizationEndpoint)
				want.Raw, want.Date = got.Raw, got.Date
				if !reflect.DeepEqual(*got, want) {
					t.Errorf("got  %+v\nwant %+v", *got, want)
				}
			}
		})
	}
}

func TestDiscoverKeepsUnknownMembers(t *testing.T) {
	base, _ := site(t, map[string]http.HandlerFunc{wellKnown: body(`{"token_endpoint":"https://h.example/t","x_vendor":{"a":1.10}}`)})
	c, err := smart.Discover(t.Context(), nil, base)
	if err != nil || string(c.Raw["x_vendor"]) != `{"a":1.10}` || c.Has("launch-ehr") {
		t.Errorf("x_vendor is %s, error %v", c.Raw["x_vendor"], err)
	}
}

func TestDiscoverFails(t *testing.T) {
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a foreign origin was asked") }))
	defer evil.Close()
	status := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) }
	}
	tests := []struct {
		name  string
		paths map[string]http.HandlerFunc
		want  string
		is    error
		asked int // of /metadata
	}{
		{"nothing there", nil, "smart: discover: 404", nil, 1},
		{"HTML", map[string]http.HandlerFunc{wellKnown: body("<!doctype html><p>x")}, "smart: discover: 200, HTML where JSON belongs", smart.ErrNotJSON, 1},
		{"XML", map[string]http.HandlerFunc{wellKnown: body(`<?xml version="1.0"?><CapabilityStatement/>`)}, "smart: discover: 200, XML where JSON belongs", smart.ErrNotJSON, 1},
		{"nothing", map[string]http.HandlerFunc{wellKnown: body("")}, "smart: discover: 200, an empty answer where JSON belongs", smart.ErrNotJSON, 1},
		{"JSON of another kind", map[string]http.HandlerFunc{wellKnown: body("null")}, "smart: discover: 200, not JSON", smart.ErrNotJSON, 1},
		{"a server that is unwell is not asked twice", map[string]http.HandlerFunc{wellKnown: status(503), "/metadata": body(oldMetadata)}, "smart: discover: 503", nil, 0},
		{"a gigantic document", map[string]http.HandlerFunc{wellKnown: body(`{"a":"` + strings.Repeat("x", 2<<20) + `"}`), "/metadata": body(oldMetadata)}, "smart: discover: answer too large", smart.ErrTooLarge, 0},
		{"a redirect to another origin", map[string]http.HandlerFunc{wellKnown: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, evil.URL, http.StatusFound)
		}}, "smart: discover: 302, redirect not followed", smart.ErrRedirect, 1},
		{"a redirect in a circle", map[string]http.HandlerFunc{wellKnown: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}}, "smart: discover: redirect not followed", smart.ErrRedirect, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, hits := site(t, tt.paths)
			_, err := smart.Discover(t.Context(), nil, base)
			if err == nil || err.Error() != tt.want || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error is %q, want %q", err, tt.want)
			}
			if hits["/metadata"] != tt.asked {
				t.Errorf("/metadata was asked %d times, want %d", hits["/metadata"], tt.asked)
			}
		})
	}
	for base, want := range map[string]string{
		"http://h.example/R4":        "smart: discover: plain http refused",
		"https://u:CANARY@h.example": "smart: discover: base URL holds a user",
		"https://h.example/R4?a=b":   "smart: discover: base URL holds a query",
		"ftp://h.example":            "smart: discover: base URL is neither https nor http",
		"h.example":                  "smart: discover: base URL is not absolute",
		"https://h.example:CANARY":   "smart: discover: base URL cannot be parsed",
	} {
		if _, err := smart.Discover(t.Context(), nil, base); err == nil || err.Error() != want {
			t.Errorf("%s: error is %q, want %q", base, err, want)
		}
	}
}

// A hospital's discovery document must not make us talk to a service of this machine.
func TestDiscoveryCannotPointAtThisMachine(t *testing.T) {
	hc := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		text := `{"token_endpoint":"http://127.0.0.1:8500/v1/agent"}`
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
	})}
	c, err := smart.Discover(t.Context(), hc, "https://h.example/R4")
	if err != nil || c.TokenEndpoint != "" || len(c.Problems) == 0 || c.Problems[0] != "token_endpoint: leads to this machine" {
		t.Errorf("got %+v, %v", c, err)
	}
	b := &smart.Backend{Base: "https://h.example/R4", ClientID: "x", Key: ecKey(), HTTP: hc}
	if _, err := b.Token(t.Context(), b.Base, ""); !errors.Is(err, smart.ErrNoEndpoint) ||
		err.Error() != "smart: discover: token_endpoint: leads to this machine" {
		t.Errorf("error is %v", err)
	}
}

func TestDiscoverStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	base, _ := site(t, map[string]http.HandlerFunc{wellKnown: func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}})
	if _, err := smart.Discover(ctx, nil, base); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want the context's", err)
	}
}
