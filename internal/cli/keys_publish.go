package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/smart"
)

// argumentKeys reads the keys that a command line names, or the connection's.
func (a *app) argumentKeys(ctx context.Context, args []string) ([]*smart.Key, error) {
	if len(args) == 0 {
		c, err := a.choose()
		if err != nil {
			return nil, err
		}
		key, err := a.privateKey(ctx, c)
		return []*smart.Key{key}, err
	}
	var list []*smart.Key
	for _, arg := range args {
		if checkReference(arg) != nil {
			arg = "file:" + arg
		}
		key, err := a.readKey(ctx, reference{text: arg})
		if err != nil {
			return nil, err
		}
		if kid := a.settings.flags.String("kid"); kid != "" && len(args) == 1 {
			key = key.WithID(kid)
		}
		list = append(list, key)
	}
	return list, nil
}

func (a *app) publicSet(ctx context.Context, args []string) (smart.KeySet, error) {
	list, err := a.argumentKeys(ctx, args)
	if err != nil {
		return smart.KeySet{}, err
	}
	set, err := smart.PublicSet(list...)
	if err != nil {
		return set, usagef("%s", keyCause(err))
	}
	return set, nil
}

func (a *app) keysPublishCmd() *cobra.Command {
	var remove []string
	cmd := &cobra.Command{
		Use:   "publish FILE [KEY...]",
		Short: "Add keys to a key set file, beside those that are in it",
		Long: `Writes the public halves of the KEYs into the key set FILE, which is made if it is not there. Keys
that are in it stay: while one key follows another the set holds both. The file is replaced whole
or not at all, and never holds anything private. What is printed says what comes next, and when.

A change of keys, in this order (Epic keeps a key set for up to 29 hours):
  1. andiron keys new new.pem
  2. andiron keys publish jwks.json new.pem      old and new are in the set
  3. after 29 hours: sign with the new one       andiron connection set NAME key=file:new.pem
  4. five minutes later: andiron keys publish jwks.json --remove OLD-KID`,
		Example: `  andiron keys publish jwks.json keys/new.pem
  andiron keys publish jwks.json --remove k1`,
		Args: a.arguments(1, 100, "a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.publish(cmd.Context(), args[0], args[1:], remove)
		},
	}
	cmd.Flags().StringArrayVar(&remove, "remove", nil, "take the key with this `KID` out of the set; repeatable")
	a.addConnection(cmd)
	return cmd
}

func (a *app) publish(ctx context.Context, path string, args, remove []string) error {
	set, err := readSet(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	first := len(set.Keys) == 0
	var fresh smart.KeySet
	if len(args) > 0 || len(remove) == 0 {
		if fresh, err = a.publicSet(ctx, args); err != nil {
			return err
		}
	}
	added := 0
	for _, k := range fresh.Keys {
		i := slices.IndexFunc(set.Keys, func(x smart.JWK) bool { return x.KeyID == k.KeyID })
		switch {
		case i < 0:
			set.Keys = append(set.Keys, k)
			added++
		case set.Keys[i].N != k.N || set.Keys[i].X != k.X || set.Keys[i].Y != k.Y:
			return usagef("%s has another key with the id %s: give this one another with --kid", path, k.KeyID)
		}
	}
	for _, kid := range remove {
		i := slices.IndexFunc(set.Keys, func(x smart.JWK) bool { return x.KeyID == kid })
		switch {
		case i < 0:
			return usagef("%s has no key %q", path, kid)
		case len(set.Keys) == 1:
			return usagef("%s is the only key in %s: publish the next one first", kid, path)
		}
		set.Keys = slices.Delete(set.Keys, i, i+1)
	}
	data, err := json.MarshalIndent(set, "", "  ")
	if err != nil {
		return err
	}
	if err := writePublic(path, append(data, '\n')); err != nil {
		return fmt.Errorf("the key set cannot be written to %s: %w", path, cause(err))
	}
	var next string
	var at time.Time
	switch {
	case added > 0 && !first:
		at = a.now().Add(epic.JWKSMaxAge).UTC().Truncate(time.Minute)
		next = "go on signing with the old key; sign with the new one when no server can still hold the old set"
	case added > 0:
		next = "put the file where the app's JWK Set URL leads; the first key signs at once"
	case len(remove) > 0:
		next = "nothing: put the file where the app's JWK Set URL leads"
	default:
		next = "nothing: the set holds the key"
	}
	doc := struct {
		File string     `json:"file"`
		Kids []string   `json:"kids"`
		Next string     `json:"next"`
		At   *time.Time `json:"at,omitempty"`
	}{File: path, Next: next}
	for _, k := range set.Keys {
		doc.Kids = append(doc.Kids, k.KeyID)
	}
	when := "now"
	if !at.IsZero() {
		doc.At, when = &at, "from "+at.Format(time.RFC3339)+" on (29 hours), sooner if Cache-Control says less"
	}
	t := table{columns: []string{"kid", "alg"}}
	for _, k := range set.Keys {
		t.add(k.KeyID, k.Algorithm)
	}
	if err := a.emit(t, doc, nil); err != nil {
		return err
	}
	if a.format() == "table" {
		a.say("%s holds %s", path, count(len(set.Keys), "key", "keys"))
		a.say("next: %s (%s)", next, when)
	}
	return nil
}

// writePublic writes a file that a web server can read, beside its place, and renames it.
func writePublic(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".andiron-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func (a *app) keysListCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [KEY...]",
		Short: "The keys of the connections, and of files",
		Long: `Lists the private keys of the configured connections, and those given: algorithm, id, thumbprint,
and whether the published set has them. A key that cannot be read is listed with the reason.`,
		Example: `  andiron keys list
  andiron keys list keys/new.pem`,
		Annotations: map[string]string{"settings": "create"},
		RunE: func(cmd *cobra.Command, args []string) error {
			type row struct {
				Used       string `json:"used"`
				Key        string `json:"key"`
				Algorithm  string `json:"alg,omitempty"`
				KeyID      string `json:"kid,omitempty"`
				Thumbprint string `json:"thumbprint,omitempty"`
				State      string `json:"state"`
			}
			docs := []row{}
			one := func(used string, ref reference, kid, jwks string) {
				r := row{Used: used, Key: ref.place()}
				key, err := a.readKey(cmd.Context(), ref)
				if err != nil {
					r.State = "unreadable"
					docs = append(docs, r)
					return
				}
				if kid != "" {
					key = key.WithID(kid)
				}
				r.Algorithm, r.KeyID, r.Thumbprint, r.State = key.Algorithm(), key.ID(), key.Thumbprint(), "not compared"
				if jwks != "" {
					d := &examination{a: a, c: &connection{JWKS: jwks}, ctx: cmd.Context()}
					d.fetchSet()
					switch other := d.publishedAs(key); {
					case d.setErr != nil:
						r.State = "key set unreachable"
					case other == key.ID():
						r.State = "published"
						if len(d.publishedKeys()) > 1 {
							r.State = "published, one of several"
						}
					case other != "":
						r.State = "published as " + other
					default:
						r.State = "not published"
					}
				}
				docs = append(docs, r)
			}
			for _, name := range a.settings.connections() {
				ref, _ := a.settings.reference("key", name)
				if ref.text != "" {
					one(name, ref, a.settings.get("kid", name).text, a.settings.get("jwks", name).text)
				}
			}
			for _, arg := range args {
				if checkReference(arg) != nil {
					arg = "file:" + arg
				}
				one("-", reference{text: arg}, "", "")
			}
			t := table{columns: []string{"used", "key", "alg", "kid", "thumbprint", "state"}}
			lines := []any{}
			for _, r := range docs {
				t.add(r.Used, r.Key, r.Algorithm, r.KeyID, r.Thumbprint, r.State)
				lines = append(lines, r)
			}
			return a.emit(t, docs, lines)
		},
	}
	return cmd
}

func (a *app) keysCheckCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [KEY [NEXT...]]",
		Short: "Compare key, id and published set as Epic would see them",
		Long: `Fetches the key set under the connection's jwks (or --jwks) as a server would, and holds the key
against it: id, key, algorithm, size, nothing private, Cache-Control. The first KEY signs; those
that are to follow it (NEXT) must stand beside it. The exit code is 10 when a server would refuse.`,
		Example: `  andiron keys check --connection mercy
  andiron keys check keys/mercy.pem --jwks https://app.example/jwks.json
  andiron keys check keys/old.pem keys/new.pem --jwks https://app.example/jwks.json`,
		Args: a.arguments(0, 100, "KEYs"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c := &connection{Kind: "production", origins: map[string]string{}}
			if len(args) == 0 {
				var err error
				if c, err = a.choose(); err != nil {
					return err
				}
			} else {
				c.Key = reference{text: args[0]}
				if checkReference(args[0]) != nil {
					c.Key.text = "file:" + args[0]
				}
				c.KID, c.JWKS = a.settings.get("kid", "").text, a.settings.get("jwks", "").text
			}
			if c.JWKS == "" {
				return usagef("there is no key set to compare with: give --jwks URL")
			}
			key, err := a.privateKey(cmd.Context(), c)
			if err != nil {
				return err
			}
			var others []*smart.Key
			if len(args) > 1 {
				if others, err = a.argumentKeys(cmd.Context(), args[1:]); err != nil {
					return err
				}
			}
			d := &examination{a: a, c: c, ctx: cmd.Context()}
			d.fetchSet()
			d.judgeKey(key, others...)
			if len(d.steps) == 0 {
				d.add("key", stepOK, fmt.Sprintf("%s, kid %s is in the published key set, and every rule is kept", key.Algorithm(), key.ID()))
			}
			return d.conclude()
		},
	}
	a.addConnection(cmd)
	return cmd
}
