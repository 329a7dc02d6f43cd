package smart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const redacted = "[redacted]"

// Secret holds a text that must not be printed. Every way of printing it (fmt, log/slog, JSON,
// text) says "[redacted]", also when it sits deep inside of something else; only [Secret.Reveal]
// gives it out. The zero value is no secret.
//
// Two Secrets are compared by what they reveal, never with ==.
type Secret struct {
	// A pointer, because fmt reads the unexported fields of foreign structs without asking
	// for String, and then prints an address.
	text *string
}

// NewSecret hides a text. The empty text is no secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal is the text itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.text == nil }

// String is "[redacted]", or "" when there is no secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// Format prints String whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String: a Secret does not survive being written and read.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText hides a text that was read.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// SecretOptions say what a reference to a secret may do. The zero value allows files and
// environment variables.
type SecretOptions struct {
	// Commands allows "cmd:…". Set it only where the reference comes from the user: a
	// configuration file found in the working directory could run anything.
	Commands bool
	// Dir is where relative file names begin. Empty means the working directory.
	Dir string
	// LookupEnv reads environment variables. Nil means os.LookupEnv.
	LookupEnv func(name string) (string, bool)
	// Stderr receives what a command says to its user, such as a question for a passphrase.
	// Nil drops it.
	Stderr io.Writer
}

// ErrCommandRefused is a reference "cmd:…" where SecretOptions.Commands is off.
var ErrCommandRefused = errors.New("commands are not allowed here")

var errTooLong = fmt.Errorf("larger than %d kB: not a secret", maxSecret>>10)

// maxSecret is the size of the largest secret: a key set fits, a mistaken file does not.
const maxSecret = 256 << 10

// LoadSecret fetches what a reference points at, without the line end:
//
//	file:PATH   the content of a file
//	env:NAME    an environment variable
//	cmd:LINE    the output of a command, run by the shell; needs SecretOptions.Commands
//
// Errors name the file or the variable. They never quote a reference of another form, which may
// well be the secret itself, nor a command, which may hold one.
func LoadSecret(ctx context.Context, ref string, o SecretOptions) (Secret, error) {
	fail := func(err error) (Secret, error) { return Secret{}, &Error{Op: "secret", Err: err} }
	scheme, rest, ok := strings.Cut(ref, ":")
	if !ok || rest == "" {
		return fail(errors.New("reference must be file:PATH, env:NAME or cmd:LINE"))
	}
	var text string
	var err error
	switch scheme {
	case "file":
		text, err = readSecretFile(rest, o.Dir)
	case "env":
		lookup := o.LookupEnv
		if lookup == nil {
			lookup = os.LookupEnv
		}
		var set bool
		if text, set = lookup(rest); !set {
			err = fmt.Errorf("environment variable %s is not set", rest)
		}
	case "cmd":
		if !o.Commands {
			return fail(ErrCommandRefused)
		}
		text, err = runSecretCommand(ctx, rest, o)
	default:
		return fail(errors.New("reference must be file:PATH, env:NAME or cmd:LINE"))
	}
	if err != nil {
		return fail(err)
	}
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		return fail(fmt.Errorf("%s reference leads to nothing", scheme))
	}
	return NewSecret(text), nil
}

// LoadKey is [LoadSecret] and [ParseKey].
func LoadKey(ctx context.Context, ref string, o SecretOptions) (*Key, error) {
	s, err := LoadSecret(ctx, ref, o)
	if err != nil {
		return nil, err
	}
	return ParseKey([]byte(s.Reveal()))
}

func readSecretFile(name, dir string) (string, error) {
	if !filepath.IsAbs(name) && dir != "" {
		name = filepath.Join(dir, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return readCapped(f)
}

func readCapped(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxSecret {
		return "", errTooLong
	}
	return string(b), nil
}

func runSecretCommand(ctx context.Context, line string, o SecretOptions) (string, error) {
	name, args := "sh", []string{"-c", line}
	if runtime.GOOS == "windows" {
		name, args = "cmd", []string{"/C", line}
	}
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // running the user's own command is the purpose, and off by default
	cmd.Dir = o.Dir
	cmd.Stderr = o.Stderr
	cmd.WaitDelay = time.Second
	out := &cappedBuffer{limit: maxSecret}
	cmd.Stdout = out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if out.over {
			return "", errTooLong
		}
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return "", fmt.Errorf("command ended with status %d", exit.ExitCode())
		}
		return "", errors.New("command could not be run")
	}
	return out.String(), nil
}

// cappedBuffer refuses what goes beyond its limit. It does not embed bytes.Buffer: io.Copy would find
// its ReadFrom and never come by Write.
type cappedBuffer struct {
	text  bytes.Buffer
	limit int
	over  bool
}

func (b *cappedBuffer) Write(p []byte) (int, error) {
	if b.text.Len()+len(p) > b.limit {
		b.over = true
		return 0, errTooLong
	}
	return b.text.Write(p)
}

func (b *cappedBuffer) String() string { return b.text.String() }
