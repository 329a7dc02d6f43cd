// Command andiron brings Epic's FHIR R4 API to a terminal, with a simulated Epic so that all of
// it runs offline. "andiron help" lists what it does.
package main

import (
	"os"

	"github.com/andironhq/andiron/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
