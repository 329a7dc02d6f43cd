package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/andironhq/andiron/smart"
)

// reference is where a private key is: "file:PATH", "env:NAME" or "cmd:COMMAND". A key is
// never a flag's value and never stands in a configuration file.
type reference struct {
	text  string
	dir   string // what a relative path is relative to; "" is the working directory
	found bool   // from an andiron.toml found in the working directory: cmd: is not run
}

// checkReference is checkReferenceOf a private key.
func checkReference(text string) error { return checkReferenceOf("key", text) }

// checkReferenceOf refuses what is no reference, without quoting it: it may be the secret. Name
// is the setting: key, secret or seal.
func checkReferenceOf(name, text string) error {
	kind, rest, ok := strings.Cut(text, ":")
	switch {
	case strings.Contains(text, "-----BEGIN") || strings.HasPrefix(strings.TrimSpace(text), "{"):
		return fmt.Errorf("%s holds a key; it must say where the key is: file:PATH, env:NAME or cmd:COMMAND", name)
	case !ok || rest == "" || kind != "file" && kind != "env" && kind != "cmd":
		what := map[string]string{"key": "private key", "secret": "client secret"}[name]
		if what == "" {
			what = "key"
		}
		return fmt.Errorf("%s must say where the %s is: file:PATH, env:NAME or cmd:COMMAND", name, what)
	}
	return nil
}

// readKey fetches and parses a private key. Its errors name the place and never the content.
func (a *app) readKey(ctx context.Context, ref reference) (*smart.Key, error) {
	if err := checkReference(ref.text); err != nil {
		return nil, usagef("%v", err)
	}
	secret, err := a.loadReference(ctx, ref)
	switch {
	case errors.Is(err, smart.ErrCommandRefused):
		return nil, a.commandRefused("key", err)
	case errors.Is(err, fs.ErrNotExist):
		return nil, &problem{
			Title: fmt.Sprintf("there is no private key at %s", ref.path()),
			Fix:   []string{"andiron keys new " + shellQuote(ref.path())},
			More:  "key-sets", Exit: exitUsage, Err: err,
		}
	case err != nil:
		return nil, &problem{Title: "the private key cannot be read: " + keyCause(err), More: "secrets", Exit: exitUsage, Err: err}
	}
	key, err := smart.ParseKey([]byte(secret.Reveal()))
	if err != nil {
		return nil, &problem{
			Title: fmt.Sprintf("%s holds no usable private key: %s", ref.place(), keyCause(err)),
			Why:   "Wanted is a PEM file or a private JWK: RSA of 2048 bits or more, or EC on P-384 or P-256.",
			More:  "key-sets", Exit: exitUsage, Err: err,
		}
	}
	return key, nil
}

// loadReference reads what a reference leads to. Its errors name the place and never the content.
func (a *app) loadReference(ctx context.Context, ref reference) (smart.Secret, error) {
	text := ref.text
	if path := ref.path(); path != "" {
		text = "file:" + path
	}
	return smart.LoadSecret(ctx, text, smart.SecretOptions{
		Commands: !ref.found || a.allowCmd, Dir: ref.dir, Stderr: a.err,
		LookupEnv: func(name string) (string, bool) { v := a.getenv(name); return v, v != "" },
	})
}

func (a *app) commandRefused(name string, err error) error {
	return &problem{
		Title: fmt.Sprintf("the %s is a cmd: reference in an andiron.toml found in the working directory, and such commands are not run", name),
		Why:   "Whoever writes that file could run anything as you. Your own configuration may hold cmd: references.",
		Fix:   []string{a.again() + " --allow-cmd"},
		More:  "secrets", Exit: exitUsage, Err: err,
	}
}

// readSecret fetches the client secret.
func (a *app) readSecret(ctx context.Context, ref reference) (smart.Secret, error) {
	if err := checkReferenceOf("secret", ref.text); err != nil {
		return smart.Secret{}, usagef("%v", err)
	}
	secret, err := a.loadReference(ctx, ref)
	switch {
	case errors.Is(err, smart.ErrCommandRefused):
		return smart.Secret{}, a.commandRefused("client secret", err)
	case err != nil:
		return smart.Secret{}, &problem{
			Title: "the client secret cannot be read: " + keyCause(err),
			Why:   "Wanted is the secret alone, as the portal showed it, in a file of mode 0600 or in a variable.",
			More:  "secrets", Exit: exitUsage, Err: err,
		}
	case secret.IsZero():
		return smart.Secret{}, &problem{Title: "the client secret is empty", More: "secrets", Exit: exitUsage}
	}
	return secret, nil
}

// place names where the key is, as far as that can be said: a command may hold a secret.
func (r reference) place() string {
	if strings.HasPrefix(r.text, "cmd:") {
		return "the output of the key's command"
	}
	return r.text
}

// path is the file of a file: reference, "" for the others.
func (r reference) path() string {
	path, ok := strings.CutPrefix(r.text, "file:")
	if !ok {
		return ""
	}
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if !filepath.IsAbs(path) && r.dir != "" {
		return filepath.Join(r.dir, path)
	}
	return path
}

// keyCause is what package smart said, without saying again that it was about a secret.
func keyCause(err error) string {
	text := err.Error()
	for _, prefix := range []string{"smart: secret: ", "smart: key: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// cause is the innermost error: "permission denied" rather than "open keys/a.pem: permission
// denied", where the path has been said already.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// shellQuote makes a word safe to paste into a shell.
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
