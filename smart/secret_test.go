package smart_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/andironhq/andiron/smart"
)

// everyWay prints a value in all the ways in which values get into logs.
func everyWay(t *testing.T, v any) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%T", "%U", "%z"} {
		out["fmt "+f] = fmt.Sprintf(f, v)
		out["fmt in a struct "+f] = fmt.Sprintf(f, struct {
			A any
			b any
		}{v, v})
		out["fmt in a slice "+f] = fmt.Sprintf(f, []any{v})
	}
	for name, h := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"slog JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var b bytes.Buffer
		slog.New(h(&b)).Info("x", "v", v, "group", slog.GroupValue(slog.Any("v", v)), "list", []any{v})
		out[name] = b.String()
	}
	if b, err := json.Marshal(map[string]any{"v": v}); err == nil {
		out["JSON"] = string(b)
	} else {
		out["JSON"] = err.Error()
	}
	if err, ok := v.(error); ok {
		for ; err != nil; err = errors.Unwrap(err) {
			out["error "+err.Error()] = err.Error()
		}
	}
	return out
}

func TestNothingPrintsASecret(t *testing.T) {
	s := serve(t, newClock(), ecKey())
	signedIn, _ := s.backend(ecKey())
	token(t, signedIn, "")
	refused, _ := s.backend(ecKey())
	refused.ClientID = "somebody else"
	_, refusal := refused.Token(t.Context(), refused.Base, "")
	if refusal == nil {
		t.Fatal("the wrong client id was let in")
	}

	secret := smart.NewSecret("CANARY-secret")
	wrapped := struct {
		Secret smart.Secret
		inner  smart.Secret
		Pair   [2]smart.Secret
		Map    map[string]smart.Secret
		inside struct{ s *smart.Secret }
	}{secret, secret, [2]smart.Secret{secret, secret}, map[string]smart.Secret{"a": secret}, struct{ s *smart.Secret }{&secret}}

	// What must not be seen: the texts, the private numbers of the key, the assertion's signature.
	private, err := ecKey().PEM()
	if err != nil {
		t.Fatal(err)
	}
	canaries := []string{"CANARY", strings.Split(string(private), "\n")[1]}
	for _, a := range s.asserted {
		canaries = append(canaries, strings.Split(a, ".")[2], strings.Split(a, ".")[1])
	}
	canaries = append(canaries, ecNumbers(t, private)...)
	values := map[string]any{
		"Secret": secret, "*Secret": &secret, "struct": wrapped, "*struct": &wrapped,
		"Key": *ecKey(), "*Key": ecKey(), "RSA key": rsaKey(), "key in a struct": struct {
			Key *smart.Key
			key smart.Key
		}{ecKey(), *ecKey()},
		"Backend": signedIn, "refused Backend": refused, "refusal": refusal,
		"wrapped refusal": fmt.Errorf("while asking: %w", refusal),
		"Lint":            smart.Lint{Assertion: secret, Key: ecKey()},
		"Assertion":       smart.Assertion{Key: ecKey(), ClientID: "x", Audience: "y"},
		"key set":         mustSet(t, rsaKey(), ecKey()),
	}
	for name, v := range values {
		for way, text := range everyWay(t, v) {
			for _, c := range canaries {
				if strings.Contains(text, c) || strings.Contains(text, fmt.Sprintf("%x", c)) {
					t.Errorf("%s by %s shows a secret: %.200s", name, way, text)
				}
			}
		}
	}
	// A search that cannot fail proves nothing.
	if leak := everyWay(t, struct{ a string }{"CANARY-leak"}); !strings.Contains(leak["fmt %v"], "CANARY") {
		t.Error("the search does not find a planted secret")
	}
}

func mustSet(t *testing.T, keys ...*smart.Key) smart.KeySet {
	t.Helper()
	s, err := smart.PublicSet(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSecretKeepsItsText(t *testing.T) {
	s := smart.NewSecret("a")
	if s.Reveal() != "a" || s.IsZero() || s.String() != "[redacted]" {
		t.Errorf("secret %v reveals %q", s, s.Reveal())
	}
	var zero smart.Secret
	if !zero.IsZero() || zero.Reveal() != "" || zero.String() != "" || !smart.NewSecret("").IsZero() {
		t.Error("the zero Secret is something")
	}
	var read struct{ S smart.Secret }
	if err := json.Unmarshal([]byte(`{"S":"b"}`), &read); err != nil || read.S.Reveal() != "b" {
		t.Errorf("read %q, %v", read.S.Reveal(), err)
	}
}

func TestLoadSecret(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the commands of this test are those of a Unix shell")
	}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("key", "CANARY\r\n")
	write("empty", "\n")
	write("big", strings.Repeat("x", 300<<10))
	env := func(name string) (string, bool) { return "CANARY", name == "SET" }
	o := smart.SecretOptions{Dir: dir, LookupEnv: env, Commands: true}
	off := o
	off.Commands = false
	tests := []struct {
		name, ref string
		o         smart.SecretOptions
		want      string // what is revealed, or the error
	}{
		{"a file", "file:key", o, "CANARY"},
		{"a file by its full name", "file:" + filepath.Join(dir, "key"), smart.SecretOptions{}, "CANARY"},
		{"a variable", "env:SET", o, "CANARY"},
		{"a command", "cmd:printf CANARY", o, "CANARY"},
		{"a command in the folder", "cmd:cat key", o, "CANARY"},
		{"commands are off unless allowed", "cmd:printf CANARY", off, "smart: secret: commands are not allowed here"},
		{"a variable that is not set", "env:UNSET", o, "smart: secret: environment variable UNSET is not set"},
		{"an empty file", "file:empty", o, "smart: secret: file reference leads to nothing"},
		{"a file that is no secret", "file:big", o, "smart: secret: larger than 256 kB: not a secret"},
		{"a command that fails", "cmd:echo CANARY; exit 3", o, "smart: secret: command ended with status 3"},
		{"a command that never ends its output", "cmd:yes CANARY", o, "smart: secret: larger than 256 kB: not a secret"},
		{"the secret itself is not quoted", "CANARY", o, "smart: secret: reference must be file:PATH, env:NAME or cmd:LINE"},
		{"the secret itself, with a colon", "CANARY:x", o, "smart: secret: reference must be file:PATH, env:NAME or cmd:LINE"},
		{"nothing behind the colon", "file:", o, "smart: secret: reference must be file:PATH, env:NAME or cmd:LINE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := smart.LoadSecret(t.Context(), tt.ref, tt.o)
			got := s.Reveal()
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("%s gives %q, want %q", tt.ref, got, tt.want)
			}
		})
	}
	_, err := smart.LoadSecret(t.Context(), "file:none", o)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "none") {
		t.Errorf("a missing file: error is %v, want it to name the file", err)
	}
	data, err := ecKey().PEM()
	if err != nil {
		t.Fatal(err)
	}
	write("pem", string(data))
	k, err := smart.LoadKey(t.Context(), "file:pem", o)
	if err != nil || k.ID() != ecKey().ID() {
		t.Errorf("LoadKey: %v, %v", k, err)
	}
	if _, err := smart.LoadKey(t.Context(), "file:key", o); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("a file that is no key: error is %v", err)
	}
}

func TestErrorsBelowHTTPQuoteNoURL(t *testing.T) {
	b := &smart.Backend{Base: "https://h.example/R4", ClientID: "x", Key: ecKey(), TokenURL: "https://h.example/token?CANARY=1", Tries: 1}
	b.HTTP = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("CANARY") })}
	_, err := b.Token(t.Context(), b.Base, "")
	if err == nil || err.Error() != "smart: token: exchange failed" {
		t.Errorf("error is %v", err)
	}
	if e, _ := errors.AsType[*smart.Error](err); e == nil || e.URL != "https://h.example/token" {
		t.Errorf("URL is %v, want it without query", e)
	}
}
