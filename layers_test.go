package andiron

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/andironhq/andiron/"

// layer says what one package may import. Tests of the package itself (package x_test) may also use
// sim/simtest and what that needs: the simulator over HTTP is everybody's test double.
type layer struct {
	own    []string // packages of this module
	others []string // modules of others, by prefix; nil means the standard library alone
	why    string   // what would be lost if the list grew
}

// layers is the import table. A package that is not in it fails the test: a new package needs a noun
// and an argument, and its line here is the place for both.
var layers = map[string]layer{
	"r4": {
		why: "everybody imports the model; whatever it imports, all of them carry",
	},
	"epic": {
		own: []string{"r4"},
		why: "facts about Epic are data; a client inside would tie portable code to them",
	},
	"smart": {
		others: []string{"github.com/go-jose/go-jose/v4", "github.com/coreos/go-oidc/v3"},
		why:    "any Go web application may sign people in with it, whether it uses our FHIR client or not",
	},
	"fhir": {
		own:    []string{"r4"},
		others: []string{"golang.org/x/time", "golang.org/x/sync"},
		why:    "a client for every FHIR server: what only Epic does reaches it through Dialect, sign-in through TokenSource",
	},
	"bulk": {
		own:    []string{"r4", "epic", "fhir"},
		others: []string{"modernc.org/sqlite", "golang.org/x/sync", "golang.org/x/sys"},
		why:    "the folder is the contract with lake: neither may know the other",
	},
	"lake": {
		own:    []string{"r4"},
		others: []string{"github.com/duckdb/duckdb-go/v2", "golang.org/x/sync"},
		why:    "a folder from Synthea or another exporter must load as well as one from bulk",
	},
	"lake/laketest": {
		own: []string{"r4", "lake"},
		why: "the suite that every backend of lake passes",
	},
	"sim": {
		own:    []string{"r4", "epic", "sim/population"},
		others: []string{"github.com/go-jose/go-jose/v4"},
		why:    "the simulator shares no logic with the clients, so that one misreading of a specification cannot pass on both sides",
	},
	"sim/population": {
		own: []string{"r4", "epic"},
		why: "as sim",
	},
	"sim/simtest": {
		own: []string{"r4", "epic", "sim", "sim/population", "smart", "fhir"},
		why: "the simulator in one line of a test, with a client that is signed in",
	},
	"store": {
		own:    []string{"smart"},
		others: []string{"github.com/jackc/pgx/v5", "github.com/pressly/goose/v3", "modernc.org/sqlite"},
		why:    "state behind the small interfaces that others declare; each of them works without it",
	},
	"store/storetest": {
		own: []string{"smart"},
		why: "the suite that every implementation of those interfaces passes, one of a user's own too",
	},
	"internal/pgtest": {
		why: "a real PostgreSQL for a test; any package's tests may ask for one",
	},
	"internal/chromium": {
		others: []string{"github.com/chromedp/chromedp", "github.com/chromedp/cdproto"},
		why:    "a real browser for a test; any package's tests may ask for one",
	},
	"internal/cli": {
		own: []string{
			"r4", "epic", "smart", "fhir", "bulk", "lake", "sim", "sim/population", "store", "internal/serve",
		},
		others: []string{
			"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/knadh/koanf",
			"github.com/pelletier/go-toml", "github.com/vbauerster/mpb",
			"golang.org/x/term", "golang.org/x/sys", "golang.org/x/sync",
		},
		why: "the command line draws what the packages return; nothing imports it but the command",
	},
	"cmd/andiron": {
		own: []string{"internal/cli"},
		why: "main says os.Exit(cli.Main()) and no more",
	},
}

// anyOf are packages under these folders: they may import everything that a user may.
var anyOf = []string{"examples/", "interop", "bench"}

type listed struct {
	ImportPath   string
	Name         string
	Doc          string
	Imports      []string
	TestImports  []string
	XTestImports []string
	GoFiles      []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Doc,Imports,TestImports,XTestImports,GoFiles", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
	if len(all) < 5 {
		t.Fatalf("go list found %d packages: run the test from the module's root", len(all))
	}
	return all
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if p.ImportPath == strings.TrimSuffix(module, "/") || slices.ContainsFunc(anyOf, func(s string) bool { return strings.HasPrefix(name, s) }) {
			continue
		}
		// What lives below internal belongs to the package above it and is bound by the same line.
		owner := name
		if i := strings.Index(name, "/internal/"); i > 0 {
			owner = name[:i]
		}
		l, ok := layers[owner]
		if !ok {
			t.Errorf("%s is not in the import table: a new package needs a noun, an argument and a line there", name)
			continue
		}
		for _, imp := range p.Imports {
			if inner, ours := strings.CutPrefix(imp, module); ours {
				if !slices.Contains(l.own, inner) && !strings.HasPrefix(inner, owner+"/internal/") {
					t.Errorf("%s imports %s: %s", name, inner, l.why)
				}
				continue
			}
			if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") {
				continue // the standard library
			}
			if !slices.ContainsFunc(l.others, func(s string) bool { return strings.HasPrefix(imp, s) }) {
				t.Errorf("%s imports %s: %s", name, imp, l.why)
			}
		}
	}
}

func TestSimulatorKnowsNoClient(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./sim").Output()
	if err != nil {
		t.Fatalf("go list -deps ./sim: %v", err)
	}
	for _, client := range []string{"smart", "fhir", "bulk", "lake", "cds"} {
		if slices.Contains(strings.Fields(string(out)), module+client) {
			t.Errorf("sim reaches %s, if only through another package: the two sides must not share their reading of a specification", client)
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", strings.TrimPrefix(p.ImportPath, module))
		}
	}
}
