package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) connectionCmd() *cobra.Command {
	return a.groupCmd("connection", "connect", "The servers you work with, by name",
		`Keeps connections in andiron.toml: address, client id and where the private key is. The key itself
never stands there. Comments in the file are kept.`,
		a.connectionAddCmd(), a.connectionListCmd(), a.connectionUseCmd(), a.connectionShowCmd(),
		a.connectionSetCmd(), a.connectionRemoveCmd())
}

func dirOf(path string) string { return filepath.Dir(path) }

func (a *app) connectionAddCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add NAME --fhir URL",
		Short: "Write a connection to your configuration",
		Long: `Adds a connection to your own andiron.toml ("andiron config path" names it). Nothing is sent;
"andiron doctor NAME" then tries it. A relative file: path of the key is made absolute.`,
		Example: `  andiron connection add mercy --kind production \
      --fhir https://epic.mercy.example/interconnect-prd/api/FHIR/R4 \
      --client-id 3f1c2a9e-0000-0000-0000-000000000000 --key file:keys/mercy.pem`,
		Args:        a.arguments(1, 1, "one NAME"),
		Annotations: map[string]string{"settings": "create"},
		RunE:        func(_ *cobra.Command, args []string) error { return a.addConnectionNamed(args[0]) },
	}
	for _, name := range connectionKeys() {
		a.addKey(cmd.Flags(), name, "")
	}
	return cmd
}

func (a *app) addConnectionNamed(name string) error {
	s := a.settings
	switch {
	case !validName(name):
		return usagef("a connection's name is made of letters, digits, - and _")
	case s.connectionFile(name) != nil:
		return &usageError{
			text: fmt.Sprintf("there is a connection %s already, in %s", name, s.connectionFile(name).path),
			fix:  []string{"andiron connection set " + name + " KEY=VALUE", "andiron connection remove " + name},
		}
	case !s.flags.Exists("fhir"):
		return usagef("a connection needs --fhir, the FHIR base URL")
	}
	values := map[string]string{}
	for _, k := range connectionKeys() {
		if s.flags.Exists(k) {
			values[k] = s.flags.String(k)
		}
	}
	c := &connection{
		Name: name, FHIR: strings.TrimRight(values["fhir"], "/"), Kind: values["kind"],
		Launch: values["launch"], SecretEncoding: values["secret_encoding"], RedirectURI: values["redirect_uri"],
	}
	if err := c.complete(values["rate"]); err != nil {
		return err
	}
	if err := checkMembers(values); err != nil {
		return err
	}
	values["kind"] = c.Kind
	first := len(s.connections()) == 0 && s.get("connection", "").text == ""
	path, err := a.edit(func(t *tomlFile, m map[string]any) {
		if first {
			t.set("", "connection", tomlString(name))
			m["connection"] = name
		}
		for _, k := range connectionKeys() {
			if v, ok := values[k]; ok {
				setMember(t, m, name, k, v)
			}
		}
	})
	if err != nil {
		return err
	}
	a.say("connection %s (%s) written to %s", name, c.Kind, path)
	if first {
		a.say("it is the default; andiron connection use NAME changes that")
	}
	switch {
	case c.Launch == launchStandalone && values["client_id"] != "":
		a.say("sign in: andiron login %s", name)
	case c.Launch == launchEHR && values["client_id"] != "":
		a.say("the EHR opens this application: andiron login %s --ehr waits for that", name)
	case c.Launch == launchBackend && values["key"] == "" && values["no_auth"] != "true":
		a.say("it has no key yet: andiron connection set %s key=file:PATH", name)
	default:
		a.say("try it: andiron doctor %s", name)
	}
	return nil
}

// checkMembers refuses values that cannot be, and makes the path of a key absolute.
func checkMembers(values map[string]string) error {
	for name, v := range values {
		k, _ := findKey(name)
		switch {
		case k.isRef:
			if err := checkReferenceOf(name, v); err != nil {
				return usagef("%v", err)
			}
			if path, ok := strings.CutPrefix(v, "file:"); ok && !strings.HasPrefix(path, "~/") {
				abs, err := filepath.Abs(path)
				if err != nil {
					return err
				}
				values[name] = "file:" + abs
			}
		case name == "redirect_uri":
			if err := checkRedirect(v); err != nil {
				return usagef("%v", err)
			}
		case name == "fhir":
			values["fhir"] = strings.TrimRight(v, "/")
		case name == "rate":
			if _, err := parseRate(v); err != nil {
				return usagef("%v", err)
			}
		case k.isBool && v != "true" && v != "false":
			return usagef("%s must be true or false", name)
		case k.values != nil && !slices.Contains(k.values, v):
			return usagef("%s must be one of: %s", name, strings.Join(k.values, ", "))
		}
	}
	return nil
}

// setMember changes one key of a connection in the file and in what the file must then say.
func setMember(t *tomlFile, m map[string]any, conn, name, v string) {
	text, parsed := tomlString(v), any(v)
	if k, _ := findKey(name); k.isBool {
		text, parsed = v, v == "true"
	}
	t.set("connections."+conn, name, text)
	subtable(m, "connections", conn)[name] = parsed
}

// subtable is the table at a path, made where it is missing.
func subtable(m map[string]any, path ...string) map[string]any {
	for _, p := range path {
		next, ok := m[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[p] = next
		}
		m = next
	}
	return m
}

// edit changes the user's configuration file and returns its path.
func (a *app) edit(change func(t *tomlFile, m map[string]any)) (string, error) {
	path := a.settings.write
	if path == "" {
		return "", usagef("there is no configuration folder for this user; name a file with --config")
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	text, err := editTOML(string(data), change)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // a link into somebody's dotfiles stays a link
	}
	return path, writePrivate(path, []byte(text))
}

// own refuses to change a connection that stands in another file than the one we write.
func (a *app) own(name string) error {
	f := a.settings.connectionFile(name)
	switch {
	case f == nil:
		return &usageError{
			text: fmt.Sprintf("there is no connection %q%s", name, didYouMean(name, a.settings.connections())),
			fix:  []string{"andiron connection list"},
		}
	case f.path != a.settings.write:
		return &usageError{
			text: fmt.Sprintf("connection %s stands in %s, which is not your own configuration", name, f.path),
			fix:  []string{a.again() + " --config " + shellQuote(f.path)},
		}
	}
	return nil
}

func (a *app) connectionSetCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "set NAME KEY=VALUE...",
		Short: "Change keys of a connection",
		Long: `Changes keys of a connection; KEY= with nothing behind it removes the key. The keys:
` +
			strings.Join(wrap(strings.Join(connectionKeys(), ", "), 96), "\n") + `.`,
		Example: `  andiron connection set mercy rate=50/m kid=k1`,
		Args:    a.arguments(2, 100, "a NAME and KEY=VALUE"),
		RunE: func(_ *cobra.Command, args []string) error {
			name := args[0]
			if err := a.own(name); err != nil {
				return err
			}
			values := map[string]string{}
			var removed []string
			for _, arg := range args[1:] {
				k, v, ok := strings.Cut(arg, "=")
				k = strings.ReplaceAll(k, "-", "_")
				if !ok || !slices.Contains(connectionKeys(), k) {
					return usagef("%q is not KEY=VALUE with a key of a connection%s", k, didYouMean(k, connectionKeys()))
				}
				if v == "" {
					removed = append(removed, k)
				} else {
					values[k] = v
				}
			}
			if slices.Contains(removed, "fhir") {
				return usagef("a connection needs fhir")
			}
			if err := checkMembers(values); err != nil {
				return err
			}
			path, err := a.edit(func(t *tomlFile, m map[string]any) {
				for k, v := range values {
					setMember(t, m, name, k, v)
				}
				for _, k := range removed {
					t.unset("connections."+name, k)
					delete(subtable(m, "connections", name), k)
				}
			})
			if err == nil {
				a.say("connection %s changed in %s", name, path)
			}
			return err
		},
	}
}

func (a *app) connectionRemoveCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a connection from your configuration",
		Long:  `Removes a connection from your configuration. Its key, folders and tables stay.`,
		Args:  a.arguments(1, 1, "one NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			name := args[0]
			if err := a.own(name); err != nil {
				return err
			}
			v := a.settings.get("connection", "")
			path, err := a.edit(func(t *tomlFile, m map[string]any) {
				t.unset("connections."+name, "")
				delete(subtable(m, "connections"), name)
				if v.text == name && m["connection"] == name {
					t.unset("", "connection")
					delete(m, "connection")
				}
			})
			if err == nil {
				a.say("connection %s removed from %s", name, path)
			}
			return err
		},
	}
}

func (a *app) connectionUseCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "use NAME",
		Short: "Make a connection the default",
		Long:  `Makes a connection the one that commands use when none is named.`,
		Args:  a.arguments(1, 1, "one NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			name := args[0]
			if a.settings.connectionFile(name) == nil {
				return a.own(name)
			}
			path, err := a.edit(func(t *tomlFile, m map[string]any) {
				t.set("", "connection", tomlString(name))
				m["connection"] = name
			})
			if err == nil {
				a.say("%s is now the default connection (%s)", name, path)
			}
			return err
		},
	}
}

type connectionJSON struct {
	Name       string `json:"name"`
	Kind       string `json:"kind"`
	FHIR       string `json:"fhir"`
	ClientID   string `json:"client_id,omitempty"`
	Key        string `json:"key,omitempty"`
	KID        string `json:"kid,omitempty"`
	Secret     string `json:"secret,omitempty"`
	Encoding   string `json:"secret_encoding,omitempty"`
	Launch     string `json:"launch"`
	Redirect   string `json:"redirect_uri,omitempty"`
	Persistent bool   `json:"persistent"`
	TokenURL   string `json:"token_url,omitempty"`
	Scope      string `json:"scope,omitempty"`
	JWKS       string `json:"jwks,omitempty"`
	Group      string `json:"group,omitempty"`
	NoAuth     bool   `json:"no_auth"`
	Rate       string `json:"rate"`
	Default    bool   `json:"default"`
	File       string `json:"file"`
}

// described reads a connection as its file has it, without flags and environment.
func (a *app) described(name string) (connectionJSON, error) {
	f := a.settings.connectionFile(name)
	text := func(k string) string { return f.k.String("connections." + name + "." + k) }
	c := &connection{Name: name, FHIR: strings.TrimRight(text("fhir"), "/"), Kind: text("kind"), Launch: text("launch"), RedirectURI: text("redirect_uri")}
	if err := c.complete(text("rate")); err != nil {
		return connectionJSON{}, fmt.Errorf("%s: connection %s: %w", f.path, name, err)
	}
	return connectionJSON{
		Name: name, Kind: c.Kind, FHIR: c.FHIR, ClientID: text("client_id"), Key: text("key"), KID: text("kid"),
		Secret: text("secret"), Encoding: text("secret_encoding"), Launch: c.Launch, Redirect: c.RedirectURI,
		Persistent: f.k.Bool("connections." + name + ".persistent"),
		TokenURL:   text("token_url"), Scope: text("scope"), JWKS: text("jwks"), Group: text("group"),
		NoAuth: f.k.Bool("connections." + name + ".no_auth"), Rate: rateText(c.PerMinute),
		Default: a.settings.get("connection", "").text == name, File: f.path,
	}, nil
}

func (a *app) connectionListCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "The connections, the default marked",
		Long:  `Lists the connections of all configuration files.`,
		Args:  a.arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			t := table{columns: []string{"name", "kind", "fhir", "default"}}
			docs := []connectionJSON{}
			lines := []any{}
			for _, name := range a.settings.connections() {
				c, err := a.described(name)
				if err != nil {
					return err
				}
				mark := ""
				if c.Default {
					mark = "default"
				}
				t.add(c.Name, c.Kind, c.FHIR, mark)
				docs = append(docs, c)
				lines = append(lines, c)
			}
			if err := a.emit(t, docs, lines); err != nil {
				return err
			}
			if len(docs) == 0 && a.format() == "table" {
				a.say("no connection is configured; andiron help connections says how")
			}
			return nil
		},
	}
}

func (a *app) connectionShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "show [NAME]",
		Short: "What a connection holds",
		Long:  `Shows a connection as its file has it. Without NAME it is the default one.`,
		Args:  a.arguments(0, 1, "one NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			name := a.settings.get("connection", "").text
			if len(args) > 0 {
				name = args[0]
			}
			if name == "" {
				return usagef("no connection is the default: name one")
			}
			if a.settings.connectionFile(name) == nil {
				return a.own(name)
			}
			c, err := a.described(name)
			if err != nil {
				return err
			}
			t := table{columns: []string{"key", "value"}}
			for _, row := range [][2]string{
				{"name", c.Name},
				{"kind", c.Kind},
				{"fhir", c.FHIR},
				{"client_id", c.ClientID},
				{"key", c.Key},
				{"kid", c.KID},
				{"secret", c.Secret},
				{"secret_encoding", c.Encoding},
				{"launch", c.Launch},
				{"redirect_uri", c.Redirect},
				{"persistent", fmt.Sprint(c.Persistent)},
				{"token_url", c.TokenURL},
				{"scope", c.Scope},
				{"jwks", c.JWKS},
				{"group", c.Group},
				{"no_auth", fmt.Sprint(c.NoAuth)},
				{"rate", c.Rate},
				{"default", yesNo(c.Default)},
				{"file", c.File},
			} {
				if row[1] != "" {
					t.add(row[0], row[1])
				}
			}
			return a.emit(t, c, nil)
		},
	}
}
