package cli

import (
	"context"
	"encoding/json"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// devRuntime is what a running "andiron dev" leaves for other commands: a file of mode 0600 in
// a folder of the user's own, gone when dev ends.
type devRuntime struct {
	PID      int          `json:"pid"`
	Console  string       `json:"console"`
	FHIR     string       `json:"fhir"`
	ClientID string       `json:"client_id"`
	Key      string       `json:"key"`
	JWKS     string       `json:"jwks"`
	Group    string       `json:"group"`
	CDS      string       `json:"cds"`
	Patients []devPatient `json:"patients,omitempty"`
	Apps     []devApp     `json:"apps,omitempty"`
	Users    []devUser    `json:"users,omitempty"`
}

// devApp is an application that dev has registered; its name is that of a connection while dev runs.
type devApp struct {
	Name        string `json:"name"`
	ClientID    string `json:"client_id"`
	Launch      string `json:"launch"` // backend, standalone or ehr
	RedirectURI string `json:"redirect_uri,omitempty"`
	LaunchURL   string `json:"launch_url,omitempty"`
}

// devUser is somebody who can sign in at dev. The passwords are no secret: nobody is real.
type devUser struct {
	Name      string `json:"name"`
	Login     string `json:"login"`
	Password  string `json:"password"`
	Reference string `json:"reference"`
}

// app finds an application by name.
func (d *devRuntime) app(name string) *devApp {
	for i := range d.Apps {
		if d.Apps[i].Name == name {
			return &d.Apps[i]
		}
	}
	return nil
}

// devPatient is a patient of the simulated Epic whom the banner introduces.
type devPatient struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Story string `json:"story"`
}

// runtimePath is where the file lies; "" when the user has no such folder.
func (a *app) runtimePath() string {
	if dir := a.getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "andiron", "dev.json")
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "andiron", "dev.json")
}

// runningDev is the dev that runs now, or nil.
func (a *app) runningDev() *devRuntime {
	d := a.readRuntime()
	if d == nil || !d.alive() {
		return nil
	}
	return d
}

func (a *app) readRuntime() *devRuntime {
	data, err := os.ReadFile(a.runtimePath())
	if err != nil {
		return nil
	}
	var d devRuntime
	if json.Unmarshal(data, &d) != nil {
		return nil
	}
	return &d
}

// alive tells whether the process is there and something listens at its address, which must
// be on this machine.
func (d *devRuntime) alive() bool {
	u, err := url.Parse(d.FHIR)
	if err != nil || !loopback(u.Hostname()) || d.PID <= 0 {
		return false
	}
	if p, err := os.FindProcess(d.PID); err != nil || p.Signal(syscall.Signal(0)) != nil {
		return false
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", u.Host)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// writeRuntime announces this dev. The last one started counts.
func (a *app) writeRuntime(d *devRuntime) error {
	path := a.runtimePath()
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return writePrivate(path, append(data, '\n'))
}

// removeRuntime takes the announcement back, unless another dev has made its own since.
func (a *app) removeRuntime(d *devRuntime) {
	if now := a.readRuntime(); now != nil && now.PID == d.PID && now.FHIR == d.FHIR {
		_ = os.Remove(a.runtimePath())
	}
}

// fromDev is the connection to one of a running dev's applications; "dev" is the backend one.
func (a *app) fromDev(d *devRuntime, name string) (*connection, error) {
	c := &connection{
		Kind: "sim", FHIR: d.FHIR, ClientID: d.ClientID, Key: reference{text: d.Key}, JWKS: d.JWKS, Group: d.Group,
		Launch: launchBackend, PerMinute: -1, dev: d, origins: map[string]string{},
	}
	if app := d.app(name); app != nil && name != "dev" {
		c.Name, c.devApp, c.ClientID, c.Launch, c.RedirectURI = name, app, app.ClientID, app.Launch, app.RedirectURI
	}
	for k, p := range map[string]*string{
		"client_id": &c.ClientID, "key": &c.Key.text, "kid": &c.KID, "scope": &c.Scope, "token_url": &c.TokenURL, "jwks": &c.JWKS,
		"group": &c.Group, "redirect_uri": &c.RedirectURI, "launch": &c.Launch, "secret": &c.Secret.text, "secret_encoding": &c.SecretEncoding,
	} {
		switch v := a.settings.get(k, ""); {
		case v.text != "" && (v.origin != "default" || *p == ""):
			*p = v.text
			c.origins[k] = v.origin
		case *p != "":
			c.origins[k] = "the running andiron dev"
		}
	}
	if c.Secret.text != "" && strings.HasPrefix(c.origins["key"], "the running") {
		c.Key = reference{} // a secret was given in place of dev's own key
	}
	c.Persistent = a.settings.get("persistent", "").text == "true" || name == devPatientApp && c.Scope == ""
	if v := a.settings.get("rate", ""); v.text != "" {
		n, err := parseRate(v.text)
		if err != nil {
			return nil, usagef("%v", err)
		}
		c.PerMinute = n
	}
	c.NoAuth = a.settings.get("no_auth", "").text == "true"
	a.connection = c
	return c, nil
}

// writePrivate writes a file of mode 0600, whatever the umask, beside its place and renames it.
func writePrivate(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".andiron-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o600)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
