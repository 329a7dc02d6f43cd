//go:build cgo

package lake_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/andironhq/andiron/lake"
)

// A folder of NDJSON becomes tables, and a number stays what it was.
func Example() {
	dir, err := os.MkdirTemp("", "export")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	line := `{"resourceType":"Observation","id":"o1","status":"final","subject":{"reference":"Patient/p1"},` +
		`"code":{"coding":[{"system":"http://loinc.org","code":"718-7"}],"text":"Hemoglobin"},"valueQuantity":{"value":7.20,"unit":"g/dL"}}` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "Observation.ndjson"), []byte(line), 0o600); err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	l, err := lake.Open("") // in memory; a path names a file
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	for range 2 { // the second time there is nothing to do
		result, err := l.Load(ctx, dir, lake.LoadOptions{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.Resources, "resources,", result.Unchanged, "files unchanged")
	}

	rows, err := l.Query(ctx, `SELECT patient_id, code, code_display, value_quantity * 2 AS twice, value_literal FROM observation`)
	if err != nil {
		log.Fatal(err)
	}
	defer rows.Close()
	for row, err := range rows.All() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(row...)
	}
	// Output:
	// 1 resources, 0 files unchanged
	// 0 resources, 1 files unchanged
	// p1 718-7 Hemoglobin 14.4 7.20
}
