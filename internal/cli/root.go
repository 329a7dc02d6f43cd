package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const groupOfFlags = "andiron_group"

// root is the command tree.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "andiron",
		Short: "Epic's FHIR R4 API from a terminal",
		Long: `Andiron signs in to Epic, reads, exports whole populations into folders, and turns them into
tables. It brings a simulated Epic, so that all of this works offline and without an account.

Two commands to something real:

  andiron dev                   in one terminal: a simulated Epic with 200 patients
  andiron export out            in another: all of them into the folder "out"

Then "andiron load out" makes tables of it, and "andiron sql" asks questions. "andiron help guide"
goes on from there.`,
		SilenceUsage: true, SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error { return unknownCommand(cmd, args) },
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			a.current = cmd
			return a.begin(cmd)
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetHelpCommandGroupID("run")
	root.AddGroup(
		&cobra.Group{ID: "start", Title: "Start"},
		&cobra.Group{ID: "connect", Title: "Connect"},
		&cobra.Group{ID: "read", Title: "Read"},
		&cobra.Group{ID: "populations", Title: "Populations"},
		&cobra.Group{ID: "act", Title: "Act as Epic"},
		&cobra.Group{ID: "run", Title: "Run"},
	)
	flags := root.PersistentFlags()
	a.addKey(flags, "output", "o")
	flags.String("config", "", "configuration `FILE` (default: ./andiron.toml, then your own; see andiron config path)")
	flags.BoolVar(&a.allowCmd, "allow-cmd", false, "run cmd: references also from an andiron.toml found in the working directory")
	for _, f := range []string{"output", "config", "allow-cmd"} {
		_ = flags.SetAnnotation(f, groupOfFlags, []string{"Everywhere"})
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		a.current = cmd
		return &usageError{text: strings.TrimPrefix(err.Error(), "pflag: ")}
	})
	root.SetHelpCommand(a.helpCmd())
	root.SetUsageFunc(func(cmd *cobra.Command) error { return printUsage(cmd) })
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		text := cmd.Long
		if text == "" {
			text = sentence(cmd.Short)
		}
		fmt.Fprintln(cmd.OutOrStdout(), strings.TrimSpace(text))
		fmt.Fprintln(cmd.OutOrStdout())
		_ = printUsage(cmd)
	})
	root.AddCommand(
		a.devCmd(), a.doctorCmd(),
		a.connectionCmd(), a.loginCmd(), a.logoutCmd(), a.tokenCmd(), a.keysCmd(), a.registrationCmd(),
		a.getCmd(),
		a.exportCmd(), a.loadCmd(), a.sqlCmd(), a.tablesCmd(),
		a.launchCmd(), a.simCmd(),
		a.configCmd(), a.completionCmd(), a.versionCmd(),
	)
	return root
}

// begin reads the settings before a command runs.
func (a *app) begin(cmd *cobra.Command) error {
	if cmd.Annotations["settings"] == "none" {
		return nil
	}
	a.createsConfig = cmd.Annotations["settings"] == "create"
	s, err := a.loadSettings(cmd.Flags())
	if err != nil {
		return err
	}
	a.settings = s
	// Other commands say so at once; "config check" shows every mistake by itself.
	for _, f := range s.files {
		if wrong := f.check(); len(wrong) > 0 && cmd.CommandPath() != "andiron config check" && cmd.Annotations["settings"] != "lenient" {
			a.settings = nil
			return &usageError{text: wrong[0], fix: []string{"andiron config check"}}
		}
	}
	for _, k := range keys {
		v := s.get(k.name, "")
		if !k.perConn && k.values != nil && !slices.Contains(k.values, v.text) {
			a.settings = nil
			return usagef("%s (%s) is not one of: %s", k.name, v.origin, strings.Join(k.values, ", "))
		}
	}
	return nil
}

// addKey makes a key of the configuration a flag.
func (a *app) addKey(flags *pflag.FlagSet, name, short string) {
	k, ok := findKey(name)
	if !ok {
		panic("no key " + name)
	}
	about := k.about
	if k.def != "" && !k.isBool {
		about += fmt.Sprintf(" (default %s)", k.def)
	}
	if k.isBool {
		flags.BoolP(k.flag(), short, false, about)
	} else {
		flags.StringP(k.flag(), short, "", about)
	}
}

// addConnection makes the keys of a connection flags of a command.
func (a *app) addConnection(cmd *cobra.Command) {
	a.addKey(cmd.Flags(), "connection", "")
	names := []string{"connection"}
	for _, name := range connectionKeys() {
		if name == "group" {
			continue
		}
		a.addKey(cmd.Flags(), name, "")
		k, _ := findKey(name)
		names = append(names, k.flag())
	}
	for _, name := range names {
		_ = cmd.Flags().SetAnnotation(name, groupOfFlags, []string{"Connection"})
	}
	_ = cmd.RegisterFlagCompletionFunc("connection", a.completeConnections)
}

func (a *app) completeConnections(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	s, err := a.loadSettings(cmd.Flags())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return s.connections(), cobra.ShellCompDirectiveNoFileComp
}

// printUsage draws usage line, examples, commands and flags, each kind of flag by itself.
func printUsage(cmd *cobra.Command) error {
	w := cmd.OutOrStdout()
	fmt.Fprintln(w, "Usage:")
	if cmd.Runnable() && cmd.HasParent() && cmd.Annotations["group"] == "" {
		fmt.Fprintf(w, "  %s\n", cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s COMMAND\n", cmd.CommandPath())
	}
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", strings.TrimRight(cmd.Example, "\n"))
	}
	printSubcommands(cmd)
	section := map[string]*pflag.FlagSet{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "Flags"
		if g := f.Annotations[groupOfFlags]; len(g) > 0 {
			name = g[0]
		}
		if section[name] == nil {
			section[name] = pflag.NewFlagSet(name, pflag.ContinueOnError)
			section[name].SortFlags = false
		}
		section[name].AddFlag(f)
	})
	cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) {
		if section["Everywhere"] == nil {
			section["Everywhere"] = pflag.NewFlagSet("Everywhere", pflag.ContinueOnError)
		}
		if section["Everywhere"].Lookup(f.Name) == nil {
			section["Everywhere"].AddFlag(f)
		}
	})
	for _, name := range []string{"Flags", "Connection", "Everywhere"} {
		if section[name] != nil {
			fmt.Fprintf(w, "\n%s:\n%s", name, section[name].FlagUsages())
		}
	}
	if !cmd.HasParent() {
		fmt.Fprintf(w, "\nTopics:\n")
		for _, t := range topics {
			fmt.Fprintf(w, "  %-14s %s\n", t.name, t.short)
		}
		fmt.Fprintf(w, "\n\"andiron help COMMAND\" and \"andiron help TOPIC\" say more.\n")
	}
	return nil
}

func printSubcommands(cmd *cobra.Command) {
	w := cmd.OutOrStdout()
	list := func(group string) {
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() && c.GroupID == group || c.Name() == "help" && group == "run" && !cmd.HasParent() {
				fmt.Fprintf(w, "  %-14s %s\n", c.Name(), c.Short)
			}
		}
	}
	if len(cmd.Groups()) == 0 {
		if cmd.HasAvailableSubCommands() {
			fmt.Fprintf(w, "\nCommands:\n")
			list("")
		}
		return
	}
	for _, g := range cmd.Groups() {
		fmt.Fprintf(w, "\n%s:\n", g.Title)
		list(g.ID)
	}
}

// sentence is a Short with its full stop.
func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// unknownCommand refuses a word that is no command and names the nearest.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return usagef("%s has no command %q%s", cmd.CommandPath(), args[0], didYouMean(args[0], names))
}

// groupCmd is a command that only holds others.
func (a *app) groupCmd(use, group, short, long string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, GroupID: group, Short: short, Long: long,
		Annotations: map[string]string{"settings": "none", "group": "yes"},
		Args:        func(cmd *cobra.Command, args []string) error { a.current = cmd; return unknownCommand(cmd, args) },
		RunE:        func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(subs...)
	return cmd
}

// arguments checks the number of arguments; form is how they are called in the usage line.
func (a *app) arguments(least, most int, form string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		a.current = cmd
		switch {
		case len(args) < least:
			return usagef("%s needs %s", cmd.CommandPath(), form)
		case len(args) > most && form == "":
			return usagef("%s takes no argument, and got %q", cmd.CommandPath(), args[0])
		case len(args) > most:
			return usagef("%s takes %s, and got %q as well", cmd.CommandPath(), form, args[most])
		}
		return nil
	}
}
