// Command chart prints a patient's laboratory results: the part of an application that comes after the
// sign-in, with the four forms that a result can have.
//
// It reads ANDIRON_FHIR, ANDIRON_CLIENT_ID and ANDIRON_KEY; the patient's id is its argument.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
	"github.com/andironhq/andiron/smart"
)

func main() {
	ctx := context.Background()
	if len(os.Args) != 2 {
		log.Fatal("usage: chart PATIENT-ID")
	}
	key, err := smart.LoadKey(ctx, os.Getenv("ANDIRON_KEY"), smart.SecretOptions{})
	if err != nil {
		log.Fatal(err)
	}
	base := os.Getenv("ANDIRON_FHIR")
	client := &fhir.Client{Base: base, Auth: &smart.Backend{Base: base, ClientID: os.Getenv("ANDIRON_CLIENT_ID"), Key: key}}
	if err := run(ctx, client, os.Args[1], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, client *fhir.Client, patient string, out io.Writer) error {
	labs := fhir.Where("patient", patient).And("category", "laboratory")
	for obs, err := range fhir.Search[r4.Observation](ctx, client, labs) {
		if err != nil {
			return err
		}
		var result string
		switch v := obs.Value.(type) {
		case *r4.Quantity:
			result = string(v.Value) + " " + v.Unit // the number as it was written: 7.0 stays 7.0
		case *r4.CodeableConcept:
			result = v.Text
		case r4.String:
			result = string(v)
		case nil:
			result = "no value"
			if obs.DataAbsentReason != nil {
				result += ": " + obs.DataAbsentReason.Text
			}
		}
		if _, err := fmt.Fprintf(out, "%-24s %s\n", obs.Code.Text, result); err != nil {
			return err
		}
	}
	return nil
}
