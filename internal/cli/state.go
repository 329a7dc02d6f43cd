package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/andironhq/andiron/smart"
	"github.com/andironhq/andiron/store"
)

// state is what this program remembers between commands: sign-ins, sealed with a key that lies
// elsewhere if the setting seal says so.
type state struct {
	smart.Store
	close func() error
}

// login is a sign-in by connection: it leads to the session.
type login struct {
	ID string `json:"id"` // of the session
}

// stateDir is where the state lies. It is "" when there is no home.
func (a *app) stateDir() string {
	if dir := a.getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "andiron")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "state", "andiron")
}

// state opens the program's state, and makes it and its key when there is none. The folder is for
// the user alone, whatever the umask.
func (a *app) state(ctx context.Context) (*state, error) {
	if a.opened != nil {
		return a.opened, nil
	}
	dir := a.stateDir()
	if dir == "" {
		return nil, &problem{Title: "there is no folder to keep sign-ins in: neither HOME nor XDG_STATE_HOME is set", Exit: exitUsage}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &problem{Title: fmt.Sprintf("sign-ins cannot be kept in %s: %v", dir, cause(err)), Err: err}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := a.sealKey(ctx)
	if err != nil {
		return nil, err
	}
	seal, err := store.ParseSeal(key)
	if err != nil {
		return nil, &problem{
			Title: "the seal key is not 32 random bytes in base64 or hexadecimal",
			Why:   "Without the setting seal a key is made in the state folder.",
			More:  "secrets", Exit: exitUsage, Err: err,
		}
	}
	s, err := store.Open(ctx, "file:"+filepath.Join(dir, "state.db"), store.Options{Seal: seal, Now: a.now})
	if err != nil {
		return nil, &problem{
			Title: fmt.Sprintf("the sign-ins in %s cannot be opened: %s", dir, strings.TrimPrefix(err.Error(), "store: ")),
			Why:   "What lies there is another program's, or a later version's. Move it away, and the next sign-in begins anew.",
			More:  "secrets", Err: err,
		}
	}
	a.opened = &state{Store: s.Smart(), close: s.Close}
	return a.opened, nil
}

// closeState ends the use of the state, if there was any.
func (a *app) closeState() {
	if a.opened != nil {
		_ = a.opened.close()
		a.opened = nil
	}
}

// seal is where the seal's key is, and who says so.
func (a *app) seal() (reference, string) {
	if ref, origin := a.settings.reference("seal", ""); ref.text != "" {
		return ref, origin
	}
	return reference{text: "file:" + filepath.Join(a.stateDir(), "seal.key")}, "default"
}

// sealKey reads the seal's key. A file that does not exist is made, of mode 0600.
func (a *app) sealKey(ctx context.Context) (smart.Secret, error) {
	ref, _ := a.seal()
	if err := checkReferenceOf("seal", ref.text); err != nil {
		return smart.Secret{}, usagef("%v", err)
	}
	key, err := a.loadReference(ctx, ref)
	switch {
	case errors.Is(err, smart.ErrCommandRefused):
		return smart.Secret{}, a.commandRefused("seal key", err)
	case errors.Is(err, fs.ErrNotExist) && ref.path() != "":
		if err := makeSealKey(ref.path()); err != nil {
			return smart.Secret{}, &problem{Title: fmt.Sprintf("a seal key cannot be made at %s: %v", ref.path(), cause(err)), More: "secrets", Err: err}
		}
		a.say("made %s, the key that sign-ins are sealed with", ref.path())
		key, err = a.loadReference(ctx, ref)
	}
	if err != nil {
		return smart.Secret{}, &problem{Title: "the seal key cannot be read: " + keyCause(err), More: "secrets", Exit: exitUsage, Err: err}
	}
	return key, nil
}

// makeSealKey writes a new key. Of two processes that do so at once one wins, and both use its key.
func makeSealKey(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".andiron-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(store.NewSealKey().Reveal() + "\n")
	if err == nil {
		err = f.Chmod(0o600)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// loginKey is where the sign-in of a connection is noted. Another server, or another client id, is
// another sign-in, also under the same name.
func loginKey(c *connection) string {
	sum := sha256.Sum256([]byte(c.Name + "\n" + c.FHIR + "\n" + c.ClientID))
	return "login/" + hex.EncodeToString(sum[:])
}

// gone is a record that is not there, or that the present seal key does not open: without the key that
// sealed it, it is lost.
func gone(err error) bool {
	return errors.Is(err, smart.ErrNoRecord) || errors.Is(err, store.ErrSealed)
}

// signedIn finds the session of a connection; nil when there is none, or when it has ended.
func (s *state) signedIn(ctx context.Context, app *smart.App, c *connection) (*smart.Session, error) {
	r, err := s.Get(ctx, loginKey(c))
	if gone(err) {
		return nil, nil
	}
	var l login
	if err == nil {
		err = json.Unmarshal(r.Data, &l)
	}
	if err != nil {
		return nil, err
	}
	session, err := app.Session(ctx, l.ID)
	if gone(err) {
		return nil, nil
	}
	return session, err
}

// remember notes the session as the one of its connection, in place of the one before.
func (s *state) remember(ctx context.Context, c *connection, session *smart.Session) error {
	data, err := json.Marshal(login{session.ID})
	if err != nil {
		return err
	}
	if err := s.Delete(ctx, loginKey(c)); err != nil {
		return err
	}
	return s.Create(ctx, loginKey(c), smart.Record{Kind: "login", Data: data})
}
