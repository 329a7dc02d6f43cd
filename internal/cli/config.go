package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) configCmd() *cobra.Command {
	return a.groupCmd("config", "run", "What is configured, and where",
		`Shows, checks and finds the configuration. "andiron help configuration" explains it, and
"andiron connection" changes it.`,
		a.configShowCmd(), a.configCheckCmd(), a.configPathCmd())
}

func (a *app) configShowCmd() *cobra.Command {
	var origin bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "The settings in force, and with --origin where each was said",
		Long: `Lists every setting with the value in force: flag, environment, connection, default, in this order.
--origin says which of them it was. The keys of a connection are those of the connection that a
command would use now; give --connection for another.`,
		Example: `  andiron config show --origin
  andiron config show --connection mercy --rate 50/m --origin`,
		Args: a.arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error { return a.configShow(origin) },
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "say where each value comes from")
	a.addConnection(cmd)
	for _, name := range []string{"progress", "lake", "group"} {
		a.addKey(cmd.Flags(), name, "")
	}
	return cmd
}

type settingJSON struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin,omitempty"`
}

func (a *app) configShow(origin bool) error {
	c, err := a.choose()
	if err != nil && exitCode(err) != exitUsage {
		return err
	}
	if err != nil && (a.settings.flags.Exists("connection") || a.settings.flags.Exists("fhir")) {
		return err
	}
	t := table{columns: []string{"key", "value"}}
	if origin {
		t.columns = append(t.columns, "origin")
	}
	docs := []settingJSON{}
	var lines []any
	for _, k := range keys {
		name := ""
		if c != nil {
			name = c.Name
		}
		v := a.settings.get(k.name, name)
		if c != nil {
			v = c.value(k.name, v)
		}
		if k.name == "seal" && v.text == "" {
			ref, from := a.seal()
			v = value{text: ref.text, origin: from}
		}
		cells := []string{k.name, v.text}
		doc := settingJSON{Key: k.name, Value: v.text}
		if origin {
			doc.Origin = v.origin
			cells = append(cells, v.origin)
		}
		t.add(cells...)
		docs = append(docs, doc)
		lines = append(lines, doc)
	}
	return a.emit(t, docs, lines)
}

// value is a setting as this connection has it, defaults that depend on the server included.
func (c *connection) value(name string, v value) value {
	text := map[string]string{
		"connection": c.Name, "kind": c.Kind, "fhir": c.FHIR, "client_id": c.ClientID, "key": c.Key.text, "kid": c.KID,
		"token_url": c.TokenURL, "scope": c.Scope, "jwks": c.JWKS, "group": c.Group, "rate": rateText(c.PerMinute),
		"launch": c.Launch, "redirect_uri": c.RedirectURI, "secret": c.Secret.text, "secret_encoding": c.SecretEncoding,
	}
	known, ok := text[name]
	if !ok || known == v.text {
		return v
	}
	switch {
	case name == "fhir" && strings.TrimRight(v.text, "/") == known:
		return value{text: known, origin: v.origin}
	case c.origins[name] != "":
		return value{text: known, origin: c.origins[name]}
	case name == "connection":
		return value{text: known, origin: "the only one configured"}
	case name == "kind":
		return value{text: known, origin: "by the address"}
	case name == "rate" && v.text == "":
		return value{text: known, origin: "default for kind " + c.Kind}
	case name == "rate":
		return v
	}
	return value{text: known, origin: v.origin}
}

func rateText(perMinute int) string {
	if perMinute < 0 {
		return "none"
	}
	return fmt.Sprintf("%d/m", perMinute)
}

func (a *app) configCheckCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Find mistakes in andiron.toml, without contacting anybody",
		Long: `Reads the configuration files and reports unknown keys, values that cannot be, keys and secrets that
stand in the file themselves instead of a reference, and files of keys and secrets that are missing
or that others can read. The exit code is 2 when there is a mistake.`,
		Args: a.arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error { return a.configCheck() },
	}
}

func (a *app) configCheck() error {
	t := table{columns: []string{"file", "problem"}}
	type finding struct {
		File    string `json:"file"`
		Problem string `json:"problem"`
	}
	found := []finding{}
	var lines []any
	for _, f := range a.settings.files {
		for _, wrong := range append(f.check(), a.checkKeyFiles(f)...) {
			t.add(f.path, strings.TrimPrefix(wrong, f.path+":"))
			found = append(found, finding{f.path, wrong})
			lines = append(lines, finding{f.path, wrong})
		}
	}
	if lines == nil {
		lines = []any{}
	}
	if a.format() == "table" {
		for _, f := range found {
			fmt.Fprintln(a.out, f.Problem)
		}
	} else if err := a.emit(t, found, lines); err != nil {
		return err
	}
	switch {
	case len(found) > 0:
		return &problem{Title: count(len(found), "mistake", "mistakes") + " in the configuration", More: "configuration", Exit: exitUsage}
	case len(a.settings.files) == 0:
		a.say("there is no configuration file, so nothing is wrong with it")
	default:
		for _, f := range a.settings.files {
			a.say("ok: %s", f.path)
		}
	}
	return nil
}

// checkKeyFiles looks at the keys and secrets that a file refers to.
func (a *app) checkKeyFiles(f *configFile) []string {
	var wrong []string
	look := func(table, name, what string) {
		path := name
		if table != "" {
			path = table + "." + name
		}
		ref := reference{text: f.k.String(path), dir: dirOf(f.path)}
		if strings.HasPrefix(ref.text, "cmd:") && !f.own {
			wrong = append(wrong, f.place(table, name)+": cmd: is not run from a file found in the working directory, except with --allow-cmd")
		}
		file := ref.path()
		if file == "" {
			return
		}
		info, err := os.Stat(file)
		switch {
		case name == "seal" && errors.Is(err, fs.ErrNotExist): // made when it is first needed
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("%s: the %s %s: %v", f.place(table, name), what, file, cause(err)))
		case info.Mode().Perm()&0o077 != 0:
			wrong = append(wrong, fmt.Sprintf("%s: others can read the %s %s (chmod 600 %s)", f.place(table, name), what, file, shellQuote(file)))
		}
	}
	look("", "seal", "seal key")
	for _, name := range f.k.MapKeys("connections") {
		look("connections."+name, "key", "private key")
		look("connections."+name, "secret", "client secret")
	}
	return wrong
}

func (a *app) configPathCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "path",
		Short: "Which files are read, the stronger first",
		Args:  a.arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			named := cmd.Flags().Lookup("config").Value.String()
			paths, write, err := a.configPaths(named)
			if err != nil {
				return err
			}
			type entry struct {
				Path    string `json:"path"`
				Exists  bool   `json:"exists"`
				Written bool   `json:"written"`
			}
			docs := []entry{}
			t := table{columns: []string{"path", "exists", "written"}}
			var lines []any
			for _, p := range paths {
				_, err := os.Stat(p)
				e := entry{p, err == nil, p == write}
				docs = append(docs, e)
				lines = append(lines, e)
				t.add(p, yesNo(e.Exists), yesNo(e.Written))
			}
			return a.emit(t, docs, lines)
		},
	}
	cmd.Long = `Lists the configuration files in the order in which they count, whether they exist, and which of
them "andiron connection add" writes.`
	cmd.Annotations = map[string]string{"settings": "create"}
	return cmd
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
