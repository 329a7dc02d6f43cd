package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/smart"
)

func (a *app) keysCmd() *cobra.Command {
	return a.groupCmd("keys", "connect", "Key pairs for signing in",
		`A backend app signs in with a private key; the server fetches the public one from the key set URL
that was registered for the app.`,
		a.keysNewCmd(), a.keysListCmd(), a.keysJWKSCmd(), a.keysPublishCmd(), a.keysCheckCmd(), a.keysServeCmd())
}

func (a *app) keysNewCmd() *cobra.Command {
	var alg, kid string
	cmd := &cobra.Command{
		Use:   "new [PATH]",
		Short: "Make a key pair: write the private key, print the public one",
		Long: `Makes a private key, writes it to PATH (default andiron-key.pem) with mode 0600, and prints its
public half as a JWK. A file that exists is never overwritten.

Publish the public key in the key set whose URL you registered for the app ("andiron keys jwks"
prints the set), and keep the private one to yourself.`,
		Example: `  andiron keys new keys/mercy.pem
  andiron keys jwks keys/mercy.pem > jwks.json`,
		Args: a.arguments(0, 1, "one PATH"),
		RunE: func(_ *cobra.Command, args []string) error {
			path := "andiron-key.pem"
			if len(args) > 0 {
				path = args[0]
			}
			return a.newKey(path, alg, kid)
		},
	}
	cmd.Flags().StringVar(&alg, "alg", smart.RS384, "algorithm: RS384 (RSA, 2048 bits) or ES384 (P-384)")
	cmd.Flags().StringVar(&kid, "kid", "", "key `ID` (default: the key's thumbprint)")
	return cmd
}

func (a *app) newKey(path, alg, kid string) error {
	if alg != smart.RS384 && alg != smart.ES384 {
		return usagef("--alg is one of: RS384, ES384")
	}
	key, err := smart.NewKey(alg)
	if err != nil {
		return err
	}
	if kid != "" {
		key = key.WithID(kid)
	}
	data, err := key.PEM()
	if err != nil {
		return err
	}
	if dir := filepath.Dir(path); dir != "." {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("the folder %s cannot be made: %w", dir, cause(err))
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return &problem{
			Title: fmt.Sprintf("%s exists, and a key is never overwritten", path),
			Fix:   []string{"andiron keys jwks " + shellQuote(path)}, Err: err,
		}
	case err != nil:
		return fmt.Errorf("the key cannot be written to %s: %w", path, cause(err))
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		_ = os.Remove(path)
		return fmt.Errorf("the key cannot be written to %s: %w", path, cause(err))
	}
	a.say("private key written to %s (0600); its reference is file:%s", path, path)
	if kid != "" {
		a.say("a PEM file holds no key id: give --kid %s wherever the key is used", shellQuote(kid))
	}
	return a.emitKeys([]smart.JWK{key.Public()}, key.Public())
}

func (a *app) keysJWKSCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "jwks [KEY...]",
		Short: "Print the public keys as a key set, to publish",
		Long: `Prints the JWK Set with the public halves of the private KEYs: what belongs under the URL that is
registered for the app. A KEY is a path, or a reference (file:PATH, env:NAME, cmd:COMMAND).
Without KEY it is the connection's. While a key is exchanged for another the set holds both.`,
		Example: `  andiron keys jwks keys/old.pem keys/new.pem > jwks.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := a.publicSet(cmd.Context(), args)
			if err != nil {
				return err
			}
			return a.emitKeys(set.Keys, set)
		},
	}
	a.addConnection(cmd)
	return cmd
}

// emitKeys prints public keys. Their natural form is JSON, so that is what table means here.
func (a *app) emitKeys(keys []smart.JWK, doc any) error {
	t := table{columns: []string{"kid", "kty", "alg", "use"}}
	var lines []any
	for _, k := range keys {
		t.add(k.KeyID, k.KeyType, k.Algorithm, k.Use)
		lines = append(lines, k)
	}
	if a.format() == "csv" {
		return a.emit(t, nil, nil)
	}
	if a.format() == "ndjson" {
		return a.emit(t, nil, lines)
	}
	return a.asJSON(doc)
}
