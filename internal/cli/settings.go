package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// configName is the file's name, in the user's configuration folder and in the working
// directory.
const configName = "andiron.toml"

// key is one setting. Each is a flag (--client-id), an environment variable
// (ANDIRON_CLIENT_ID) and a line of andiron.toml (client_id = "…").
type key struct {
	name    string
	about   string // the flag's help
	def     string
	perConn bool     // stands in [connections.NAME]
	values  []string // the words allowed; nil is any text
	isBool  bool
	isRef   bool // where a secret is, never the secret itself
}

// Who a connection signs in: the setting launch.
const (
	launchBackend    = "backend"    // the program itself, with its key
	launchStandalone = "standalone" // a patient, at MyChart; or whoever signs in at the server
	launchEHR        = "ehr"        // a clinician, whose EHR opens the application
)

var launches = []string{launchBackend, launchStandalone, launchEHR}

func (k key) flag() string { return strings.ReplaceAll(k.name, "_", "-") }
func (k key) env() string  { return "ANDIRON_" + strings.ToUpper(k.name) }

// keys is the whole configuration.
var keys = []key{
	{name: "connection", about: "the connection to use, by `NAME`"},
	{name: "output", about: "output `FORMAT`: table, json, ndjson or csv", def: "table", values: formats},
	{name: "progress", about: "progress on standard error: auto, plain, json or none", def: "auto", values: []string{"auto", "plain", "json", "none"}},
	{name: "lake", about: "the DuckDB `FILE` with the tables", def: "andiron.duckdb"},
	{name: "seal", isRef: true, about: "the key that sign-ins are sealed with: file:PATH, env:NAME or cmd:COMMAND (default: seal.key beside them)"},

	{name: "kind", perConn: true, values: []string{"sim", "sandbox", "production"}, about: "what the server is: sim, sandbox or production (default: by its address)"},
	{name: "fhir", perConn: true, about: "FHIR base `URL`, such as https://HOST/INSTANCE/api/FHIR/R4"},
	{name: "client_id", perConn: true, about: "the app's client `ID` at this server"},
	{name: "key", perConn: true, isRef: true, about: "the private key: file:PATH, env:NAME or cmd:COMMAND (PEM or JWK)"},
	{name: "kid", perConn: true, about: "the key's `ID` in the published key set (default: the key's own)"},
	{name: "secret", perConn: true, isRef: true, about: "the client secret, for an app without a key: file:PATH, env:NAME or cmd:COMMAND"},
	{name: "secret_encoding", perConn: true, def: "raw", values: []string{"raw", "encoded"}, about: "how id and secret are sent: raw, or encoded (URL-encoded first)"},
	{name: "launch", perConn: true, def: launchBackend, values: launches, about: "who signs in: backend (the program), standalone (a patient), ehr (a clinician, in the chart)"},
	{name: "redirect_uri", perConn: true, def: "http://127.0.0.1:7401/callback", about: "registered redirect `URI`; login listens there"},
	{name: "persistent", perConn: true, isBool: true, def: "false", about: "ask for access that outlasts the visit (offline_access)"},
	{name: "token_url", perConn: true, about: "token endpoint `URL` (default: the server's discovery document)"},
	{name: "scope", perConn: true, about: "`SCOPES` to ask for (Epic ignores them)"},
	{name: "jwks", perConn: true, about: "`URL` of the published key set; doctor compares it with the key"},
	{name: "no_auth", perConn: true, isBool: true, def: "false", about: "send no token"},
	{name: "rate", perConn: true, about: "request budget, such as 100/m, or none (default: 100/m; none for a simulator)"},
	{name: "group", perConn: true, about: "`ID` of the Group to export"},
}

func findKey(name string) (key, bool) {
	i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
	if i < 0 {
		return key{}, false
	}
	return keys[i], true
}

// settings answers what a key is and where that was said: flag, environment, connection,
// file, default, in that order.
type settings struct {
	flags *koanf.Koanf
	env   *koanf.Koanf
	files []*configFile // the stronger first
	write string        // the file that connection add and set write to
}

// configFile is one andiron.toml.
type configFile struct {
	path string
	own  bool // the user's own or named by the user; not merely found in the working directory
	text string
	k    *koanf.Koanf
}

// value is a setting and where it stands.
type value struct {
	text   string
	origin string
	file   *configFile // nil when it is not from a file
}

// configPaths are the files that are read, the stronger first, and the one that is written.
func (a *app) configPaths(named string) (paths []string, write string, err error) {
	if named == "" {
		named = a.getenv("ANDIRON_CONFIG")
	}
	if named != "" {
		return []string{named}, named, nil
	}
	if here, err := filepath.Abs(configName); err == nil {
		paths = append(paths, here)
	}
	dir, err := os.UserConfigDir()
	if err == nil {
		write = filepath.Join(dir, "andiron", configName)
		if !slices.Contains(paths, write) {
			paths = append(paths, write)
		}
	}
	return paths, write, nil
}

// loadSettings reads all sources. A file that is not TOML is a usage error.
func (a *app) loadSettings(flags *pflag.FlagSet) (*settings, error) {
	named := ""
	if f := flags.Lookup("config"); f != nil {
		named = f.Value.String()
	}
	paths, write, err := a.configPaths(named)
	if err != nil {
		return nil, err
	}
	s := &settings{flags: koanf.New("."), env: koanf.New("."), write: write}
	for _, path := range paths {
		f, err := readConfig(path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && (len(paths) > 1 || a.createsConfig):
			continue
		case errors.Is(err, fs.ErrNotExist):
			return nil, usagef("the configuration file %s does not exist", path)
		case err != nil:
			return nil, err
		}
		f.own = path == write
		s.files = append(s.files, f)
	}
	if err := s.env.Load(env.Provider(".", env.Opt{
		Prefix: "ANDIRON_", EnvironFunc: a.environ,
		TransformFunc: func(k, v string) (string, any) {
			name := strings.ToLower(strings.TrimPrefix(k, "ANDIRON_"))
			if _, ok := findKey(name); !ok || v == "" {
				return "", nil
			}
			return name, v
		},
	}), nil); err != nil {
		return nil, err
	}
	only := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		if _, ok := findKey(strings.ReplaceAll(f.Name, "-", "_")); ok && f.Changed {
			only.AddFlag(f)
		}
	})
	err = s.flags.Load(posflag.ProviderWithFlag(only, ".", nil, func(f *pflag.Flag) (string, any) {
		return strings.ReplaceAll(f.Name, "-", "_"), f.Value.String()
	}), nil)
	return s, err
}

func readConfig(path string) (*configFile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &configFile{path: path, text: string(data), k: koanf.New(".")}
	if err := f.k.Load(rawbytes.Provider(data), toml.Parser()); err != nil {
		where := ""
		var pos interface{ Position() (row, column int) }
		if errors.As(err, &pos) {
			row, _ := pos.Position()
			where = fmt.Sprintf(" line %d", row)
		}
		// The parser quotes the line that it cannot read, which might be a secret.
		return nil, &usageError{text: fmt.Sprintf("%s%s is not TOML", path, where)}
	}
	return f, nil
}

// get is the value of a key for a connection; conn is "" when there is none by name.
func (s *settings) get(name, conn string) value {
	k, _ := findKey(name)
	if s.flags.Exists(name) {
		return value{text: s.flags.String(name), origin: "flag --" + k.flag()}
	}
	if s.env.Exists(name) {
		return value{text: s.env.String(name), origin: "environment " + k.env()}
	}
	if k.perConn {
		if f := s.connectionFile(conn); f != nil {
			path := "connections." + conn + "." + name
			if f.k.Exists(path) {
				return value{text: f.k.String(path), origin: f.place("connections."+conn, name), file: f}
			}
		}
	} else {
		for _, f := range s.files {
			if f.k.Exists(name) {
				return value{text: f.k.String(name), origin: f.place("", name), file: f}
			}
		}
	}
	if k.def != "" {
		return value{text: k.def, origin: "default"}
	}
	return value{}
}

// connectionFile is the file that defines a connection. A connection is never put together
// from two files: a file found in a working directory could otherwise lend somebody else's
// address to the user's own key.
func (s *settings) connectionFile(name string) *configFile {
	if name == "" {
		return nil
	}
	for _, f := range s.files {
		if f.k.Exists("connections." + name) {
			return f
		}
	}
	return nil
}

// connections are the names of all connections, sorted.
func (s *settings) connections() []string {
	var names []string
	for _, f := range s.files {
		names = append(names, f.k.MapKeys("connections")...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// place says where a key stands: path and line.
func (f *configFile) place(tableName, name string) string {
	if n := newTOMLFile(f.text).line(tableName, name); n > 0 {
		return fmt.Sprintf("%s:%d", f.path, n)
	}
	return f.path
}

// check finds what is wrong in a file: unknown keys, words that are none, secrets.
func (f *configFile) check() []string {
	var wrong []string
	bad := func(tableName, name, format string, args ...any) {
		wrong = append(wrong, f.place(tableName, name)+": "+fmt.Sprintf(format, args...))
	}
	one := func(tableName string, k key, v any) {
		text := fmt.Sprint(v)
		switch {
		case k.isBool:
			if _, ok := v.(bool); !ok {
				bad(tableName, k.name, "%s must be true or false", k.name)
			}
		case k.values != nil && !slices.Contains(k.values, text):
			bad(tableName, k.name, "%s must be one of: %s", k.name, strings.Join(k.values, ", "))
		case k.isRef:
			if err := checkReferenceOf(k.name, text); err != nil {
				bad(tableName, k.name, "%v", err)
			}
		case k.name == "redirect_uri":
			if err := checkRedirect(text); err != nil {
				bad(tableName, k.name, "%v", err)
			}
		case k.name == "rate":
			if _, err := parseRate(text); err != nil {
				bad(tableName, k.name, "%v", err)
			}
		}
	}
	for name, v := range f.k.Raw() {
		switch k, ok := findKey(name); {
		case name == "connections", name == "exports":
			tables, ok := v.(map[string]any)
			if !ok {
				bad("", name, "%s must be tables, [%s.NAME]", name, name)
				continue
			}
			for conn, t := range tables {
				members, ok := t.(map[string]any)
				if !ok {
					bad(name, conn, "must be a table, [%s.%s]", name, conn)
					continue
				}
				where := name + "." + conn
				if !validName(conn) {
					bad(where, "", "a name is made of letters, digits, - and _")
				}
				for member, v := range members {
					k, ok := findKey(member)
					switch {
					case name == "exports" && slices.Contains(exportKeys, member):
					case name == "connections" && ok && k.perConn:
						one(where, k, v)
					default:
						bad(where, member, "unknown key %q%s", member, didYouMean(member, connectionKeys()))
					}
				}
				if name == "connections" && members["fhir"] == nil {
					bad(where, "", "a connection needs fhir, the FHIR base URL")
				}
			}
		case !ok || k.perConn:
			bad("", name, "unknown key %q%s", name, didYouMean(name, topKeys()))
		default:
			one("", k, v)
		}
	}
	slices.Sort(wrong)
	return wrong
}

// exportKeys are the members of [exports.NAME], which describe an export that is repeated.
var exportKeys = []string{"connection", "group", "types", "every", "into"}

func topKeys() []string {
	names := []string{"connections", "exports"}
	for _, k := range keys {
		if !k.perConn {
			names = append(names, k.name)
		}
	}
	return names
}

func connectionKeys() []string {
	var names []string
	for _, k := range keys {
		if k.perConn {
			names = append(names, k.name)
		}
	}
	return names
}

// validName is what may be the name of a connection.
func validName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// didYouMean names the nearest of the words, or says nothing.
func didYouMean(word string, words []string) string {
	best, distance := "", 3
	for _, w := range words {
		if d := editDistance(strings.ToLower(word), strings.ToLower(w)); d < distance {
			best, distance = w, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance counts the letters to add, drop or change (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above+1, row[j]+1, diagonal+cost)
			diagonal = above
		}
	}
	return row[len(b)]
}
