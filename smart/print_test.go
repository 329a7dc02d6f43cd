package smart_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
)

var fieldForm = regexp.MustCompile(`name="([^"]+)" value="([^"]*)"`)

func htmlUnescape(s string) string { return html.UnescapeString(s) }

func readAll(res *http.Response) string {
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return string(b)
}

func textLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// everyPrint is a value in every way of printing it, also from inside of something else.
func everyPrint(v any) string {
	var b strings.Builder
	wrapped := struct{ V any }{v}
	fmt.Fprintf(&b, "%v %+v %#v %s %q %v %+v\n", v, v, v, v, v, wrapped, wrapped)
	j, _ := json.Marshal(wrapped)
	b.Write(j)
	textLog(&b).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "v", v)
	return b.String()
}

// otherRSA is a key that nobody published.
var otherRSA = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})
