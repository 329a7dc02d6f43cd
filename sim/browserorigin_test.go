package sim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestPreflightOfRegisteredOriginMaySendAuthorization(t *testing.T) {
	w := newWard(t, Knobs{CORS: "registered"})
	for _, path := range []string{ofAnn, "Observation?patient=eAnn3&category=laboratory", "Observation/_search"} {
		for origin, want := range map[string]string{"https://app.example": "https://app.example", "https://evil.example": "", "https://app.example.evil": "", "null": ""} {
			a := w.send(http.MethodOptions, path, "", "", "Origin", origin, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
			allowed := strings.Split(strings.ToLower(a.header.Get("Access-Control-Allow-Headers")), ", ")
			if a.status != http.StatusOK || a.header.Get("Access-Control-Allow-Origin") != want || !slices.Contains(allowed, "authorization") || !slices.Contains(a.header.Values("Vary"), "Origin") {
				t.Errorf("the preflight of %s from %s answers %d and allows %q, want %q", path, origin, a.status, a.header.Get("Access-Control-Allow-Origin"), want)
			}
			if got := w.send(http.MethodGet, path, w.token(ofAnn, "patient/*.rs"), "", "Origin", origin); got.header.Get("Access-Control-Allow-Origin") != want {
				t.Errorf("the answer to %s from %s allows %q, want %q", path, origin, got.header.Get("Access-Control-Allow-Origin"), want)
			}
		}
	}
}

func TestRegisterEndpointShowsOnlyToDynamicApp(t *testing.T) {
	w := newWard(t, Knobs{})
	for client, want := range map[string]bool{"dynamic": true, "all": false, "nobody": false, "": false} {
		a := w.send(http.MethodGet, "metadata", "", "", "Epic-Client-ID", client)
		var c capabilityStatement
		if err := json.Unmarshal([]byte(a.text), &c); err != nil {
			t.Fatal(err)
		}
		list := c.Rest[0].Security.Extension[0].Extension
		shown := slices.ContainsFunc(list, func(e oauthURI) bool {
			return e.URL == "register" && strings.HasSuffix(e.Value, "/oauth2/register") && strings.HasPrefix(e.Value, w.origin)
		})
		if shown != want || len(list) < 2 {
			t.Errorf("with Epic-Client-ID %q register is shown: %v, want %v", client, shown, want)
		}
	}
}
