// Command clinician is a web application that clinicians open from a patient's chart, at any of several
// hospitals. It shows the patient's laboratory results and problems.
//
// It reads ANDIRON_HOSPITALS, a list of BASE=CLIENT-ID with a space between, and ANDIRON_KEY (such as
// file:key.pem). The EHR opens http://127.0.0.1:8000/launch.
package main

import (
	"context"
	_ "embed"
	"errors"
	"html/template"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/smart"
)

//go:embed page.html
var source string
var page = template.Must(template.New("page").Parse(source))

const scope = "launch openid fhirUser user/Patient.r user/Observation.rs user/Condition.rs"

func main() {
	key, err := smart.LoadKey(context.Background(), os.Getenv("ANDIRON_KEY"), smart.SecretOptions{})
	if err != nil {
		log.Fatal(err)
	}
	app := &smart.App{URL: "http://127.0.0.1:8000"}
	for _, hospital := range strings.Fields(os.Getenv("ANDIRON_HOSPITALS")) {
		base, id, _ := strings.Cut(hospital, "=")
		app.Issuers = append(app.Issuers, smart.Issuer{Base: base, ClientID: id, Key: key, Scope: scope})
	}
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
	} else if err := page.Execute(w, map[string]any{"Patient": patient, "Labs": labs, "Problems": problems, "User": s.User}); err != nil {
		log.Print(err)
	}
}
