package smart_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/andironhq/andiron/smart"
)

// A web application: its pages are reached by signed-in people alone, and each launch has its patient.
func ExampleApp_Protect() {
	app := &smart.App{
		URL: "https://labs.example",
		Issuers: []smart.Issuer{{
			Base: "https://ehr.example/api/FHIR/R4", ClientID: "3f1c-client",
			Scope: "openid fhirUser patient/Observation.rs",
		}},
	}
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := smart.FromContext(r.Context())
		fmt.Fprintf(w, "labs of %s, for %s", s.Patient, s.User.Name)
	})
	h := app.Protect(pages) // http.ListenAndServe(…, h)

	// A server that is not among the issuers opens nothing.
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/launch?iss=https://ehr.example.evil.example/api/FHIR/R4&launch=x", nil))
	fmt.Println(w.Code, w.Header().Get("Cache-Control"))
	// Output: 403 no-store
}

// Without a web framework, as a command line signs in: Begin says where to send the browser, Finish
// takes what came back.
func ExampleApp_Begin() {
	app := &smart.App{
		URL: "http://127.0.0.1:7401",
		Issuers: []smart.Issuer{{
			Base: "https://ehr.example/api/FHIR/R4", ClientID: "3f1c-client",
			AuthorizeURL: "https://ehr.example/oauth2/authorize", TokenURL: "https://ehr.example/oauth2/token",
		}},
		HTTP: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("no network in this example")
		})},
	}
	ctx := context.Background()
	auth, err := app.Begin(ctx, smart.LaunchRequest{Target: "/labs"})
	if err != nil {
		fmt.Println(err)
		return
	}
	u, _ := url.Parse(auth.URL)
	q := u.Query()
	fmt.Println(auth)
	fmt.Println(q.Get("redirect_uri"), q.Get("code_challenge_method"), q.Get("aud"))
	fmt.Println(q.Get("scope"))

	// What comes back from another browser is refused, and so is what comes back twice.
	back := url.Values{"state": {auth.State.Reveal()}, "error": {"access_denied"}}
	_, err = app.Finish(ctx, back, "another browser's")
	fmt.Println(err)
	_, err = app.Finish(ctx, back, auth.Binding.Reveal())
	fmt.Println(err)
	_, err = app.Finish(ctx, back, auth.Binding.Reveal())
	fmt.Println(err)
	// Output:
	// authorization at https://ehr.example/oauth2/authorize
	// http://127.0.0.1:7401/callback S256 https://ehr.example/api/FHIR/R4
	// launch/patient openid fhirUser
	// smart: callback: launch was begun in another browser
	// smart: authorize: access_denied, refused by the authorization server
	// smart: callback: launch is unknown or was finished
}
