package cli

import (
	"embed"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/epic"
)

//go:embed topics/*.txt
var topicFiles embed.FS

// topic is a page of "andiron help". Those without a file are printed from the table they
// describe.
type topic struct {
	name, short string
	print       func(io.Writer)
}

// topics in the order in which help lists them.
var topics = []topic{
	{name: "guide", short: "from nothing to tables, step by step"},
	{name: "connections", short: "how a connection is chosen, and what it holds"},
	{name: "configuration", short: "andiron.toml, environment and flags", print: printConfigTopic},
	{name: "key-sets", short: "key pairs, key ids and published key sets"},
	{name: "secrets", short: "where private keys are, and how commands find them"},
	{name: "sign-in", short: "how a program signs in, and what refusals mean"},
	{name: "invalid-client", short: "the server refused the app's signed statement"},
	{name: "launches", short: "how people sign in, and applications that an EHR opens"},
	{name: "permissions", short: "what decides what an app may see"},
	{name: "ids", short: "resource ids, and finding a patient without one"},
	{name: "search-rules", short: "what Epic wants in a search", print: printSearchRules},
	{name: "bulk", short: "how a population is exported, stopped and gone on with"},
	{name: "rate-limits", short: "budgets, throttling and retries"},
	{name: "network", short: "when no FHIR server answers"},
	{name: "writes", short: "creating and updating"},
	{name: "output", short: "formats, and what goes where"},
	{name: "causes", short: "what doctor can find, by id", print: printCauses},
	{name: "exit-codes", short: "what the exit code says", print: printExitCodes},
	{name: "simulator", short: "what andiron dev plays, and what it does not"},
}

func (a *app) helpCmd() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND | TOPIC]", Short: "Help on a command or a topic",
		Annotations: map[string]string{"settings": "none"},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if len(args) == 0 {
				for _, t := range topics {
					names = append(names, t.name)
				}
				for _, c := range cmd.Root().Commands() {
					names = append(names, c.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				for _, t := range topics {
					if t.name == args[0] {
						return t.write(a.out)
					}
				}
			}
			found, rest, err := cmd.Root().Find(args)
			if found == nil || err != nil || len(rest) > 0 || len(args) > 0 && found == cmd.Root() {
				names := []string{}
				for _, t := range topics {
					names = append(names, t.name)
				}
				for _, c := range cmd.Root().Commands() {
					names = append(names, c.Name())
				}
				a.current = nil
				return usagef("there is no command or topic %q%s", strings.Join(args, " "), didYouMean(args[0], names))
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

func (t topic) write(w io.Writer) error {
	if t.print != nil {
		t.print(w)
		return nil
	}
	text, err := topicFiles.ReadFile("topics/" + t.name + ".txt")
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// printConfigTopic is printed from the table of keys.
func printConfigTopic(w io.Writer) {
	fmt.Fprint(w, `Every setting is a flag, an environment variable and a line of andiron.toml. The first of these
that says something counts:

  1. the flag
  2. the environment variable
  3. andiron.toml: the connection's table for the keys of a connection, the top for the others
  4. the default

Two files are read: ./andiron.toml and your own ("andiron config path" names it); --config FILE
reads that one alone. For a key in both, the working directory's counts. A connection is taken
whole from one file, never put together from two.

  key             flag               environment              default
`)
	for _, k := range keys {
		def := k.def
		if def == "" {
			def = "-"
		}
		fmt.Fprintf(w, "  %-15s --%-16s %-24s %s\n", k.name, k.flag(), k.env(), def)
	}
	fmt.Fprint(w, `
All but the first five belong to a connection and stand in its table:

  connection = "mercy"

  [connections.mercy]
  kind = "production"
  fhir = "https://epic.mercy.example/interconnect-prd/api/FHIR/R4"
  client_id = "3f1c2a9e-0000-0000-0000-000000000000"
  key = "file:keys/mercy.pem"      # relative to this file
  rate = "100/m"

"andiron config show --origin" says what is in force and where it was said; "andiron config
check" finds mistakes. Tables [exports.NAME] are checked and kept for exports that repeat.
`)
}

// printSearchRules is printed from the rules that requests are checked by.
func printSearchRules(w io.Writer) {
	fmt.Fprint(w, `Epic refuses searches that name too little, most often without a patient. What each type needs,
unless _id is given, and a search that has it:

`)
	for _, r := range epic.Resources() {
		rule, ok := epic.LookupRule(r.Type)
		if !ok || rule.IDOnly {
			continue
		}
		var needs []string
		for _, c := range rule.Clauses {
			if len(c.Any) > 5 {
				needs = append(needs, "enough to identify somebody")
			} else {
				needs = append(needs, strings.Join(c.Any, " or "))
			}
		}
		fmt.Fprintf(w, "  %-22s %s\n  %-22s   %s\n", r.Type, strings.Join(needs, ", and "), "", rule.Example())
	}
	var rest []string
	for _, r := range epic.Resources() {
		if rule, ok := epic.LookupRule(r.Type); ok && rule.IDOnly {
			rest = append(rest, r.Type)
		}
	}
	fmt.Fprintf(w, "\nBy _id alone: %s.\n", strings.Join(rest, ", "))
	var words []string
	for _, c := range epic.Categories("Observation") {
		words = append(words, c.Code)
	}
	fmt.Fprintf(w, `
Categories of Observation: %s.
An unknown category is refused. Other parameters that Epic does not know it drops without a word,
and "andiron get" warns of them.

An empty list beside a notice such as 59204 is not "no data": a part of the type is not registered
for the app ("andiron help permissions").
`, strings.Join(words, ", "))
}
