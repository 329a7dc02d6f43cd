// Command patient is a web application for patients: they sign in at their hospital, consent, and see
// their laboratory results and problems.
//
// It reads ANDIRON_FHIR and ANDIRON_CLIENT_ID; with ANDIRON_KEY (such as file:key.pem) it is a confidential
// client. Its redirect URI is http://127.0.0.1:8000/callback.
package main

import (
	"context"
	_ "embed"
	"errors"
	"html/template"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/smart"
)

//go:embed page.html
var source string
var page = template.Must(template.New("page").Parse(source))

const scope = "openid fhirUser launch/patient patient/Patient.r patient/Observation.rs patient/Condition.rs"

func main() {
	hospital := smart.Issuer{Base: os.Getenv("ANDIRON_FHIR"), ClientID: os.Getenv("ANDIRON_CLIENT_ID"), Scope: scope}
	if ref := os.Getenv("ANDIRON_KEY"); ref != "" {
		key, err := smart.LoadKey(context.Background(), ref, smart.SecretOptions{})
		if err != nil {
			log.Fatal(err)
		}
		hospital.Key = key
	}
	app := &smart.App{URL: "http://127.0.0.1:8000", Issuers: []smart.Issuer{hospital}}
	server := &http.Server{Addr: "127.0.0.1:8000", Handler: app.Protect(http.HandlerFunc(chart)), ReadHeaderTimeout: time.Minute}
	log.Fatal(server.ListenAndServe())
}

func chart(w http.ResponseWriter, r *http.Request) {
	s := smart.FromContext(r.Context())
	c, own := &fhir.Client{Base: s.Base, Auth: s}, fhir.Where("patient", s.Patient)
	patient, err1 := fhir.Read[r4.Patient](r.Context(), c, s.Patient)
	labs, err2 := fhir.Collect(fhir.Search[r4.Observation](r.Context(), c, own.And("category", "laboratory")))
	problems, err3 := fhir.Collect(fhir.Search[r4.Condition](r.Context(), c, own.And("category", "problem-list-item")))
	if err := errors.Join(err1, err2, err3); err != nil {
		log.Print(err)
		http.Error(w, "The chart cannot be read now.", http.StatusBadGateway)
	} else if err := page.Execute(w, map[string]any{"Patient": patient, "Labs": labs, "Problems": problems}); err != nil {
		log.Print(err)
	}
}
