// Command pipeline copies a population out of an Epic into a folder, loads it into tables and asks one
// question. Run it again after anything: it goes on where it stopped.
//
// It reads ANDIRON_FHIR, ANDIRON_CLIENT_ID, ANDIRON_KEY (such as file:key.pem) and ANDIRON_GROUP; the line
// that `andiron dev -o json` prints has a value for each.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/andironhq/andiron/bulk"
	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/lake"
	"github.com/andironhq/andiron/smart"
)

func main() {
	ctx := context.Background()
	key, err := smart.LoadKey(ctx, os.Getenv("ANDIRON_KEY"), smart.SecretOptions{})
	if err != nil {
		log.Fatal(err)
	}
	base := os.Getenv("ANDIRON_FHIR")
	client := &fhir.Client{Base: base, Auth: &smart.Backend{Base: base, ClientID: os.Getenv("ANDIRON_CLIENT_ID"), Key: key}}
	if err := run(ctx, client, os.Getenv("ANDIRON_GROUP"), "export", "lake.duckdb", os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, client *fhir.Client, group, dir, file string, out io.Writer) error {
	job := &bulk.Job{Client: client, Dir: dir, Group: group, Types: []string{"Patient", "Observation"}}
	if _, err := job.Run(ctx); err != nil {
		return err
	}
	tables, err := lake.Open(file)
	if err != nil {
		return err
	}
	defer tables.Close()
	if _, err := tables.Load(ctx, dir, lake.LoadOptions{}); err != nil {
		return err
	}
	var patients int
	row := tables.DB().QueryRowContext(ctx, `SELECT count(DISTINCT patient_id) FROM observation WHERE code = '4548-4' AND value_quantity >= 9`)
	if err := row.Scan(&patients); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d patients had an HbA1c of 9 %% or more\n", patients)
	return err
}
