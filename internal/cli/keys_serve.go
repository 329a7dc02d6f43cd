package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/smart"
)

// loopbackAddress is host:port of a plain http URL on this machine whose path is /jwks.json.
func loopbackAddress(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || !loopback(u.Hostname()) || u.Port() == "" || u.Path != "/jwks.json" {
		return "", false
	}
	return u.Host, true
}

func (a *app) keysServeCmd() *cobra.Command {
	var listen, cert, certKey, file string
	var maxAge time.Duration
	cmd := &cobra.Command{
		Use:   "serve [KEY...]",
		Short: "Serve the key set over HTTP until Ctrl-C",
		Long: `Serves the public halves of the KEYs (or the connection's key) as a key set at /jwks.json, with
Cache-Control. With --file it serves a key set written by "andiron keys publish", read anew at
each request, so that a change of keys needs no restart.

It listens on this machine alone, in plain http, which serves a simulator here. Epic fetches key
sets over https only and from outside: give --tls-cert and --tls-key and a public address, or put
the file on any web server.`,
		Example: `  andiron keys serve keys/mercy.pem
  andiron keys serve --file jwks.json --listen 0.0.0.0:443 --tls-cert c.pem --tls-key k.pem`,
		RunE: func(cmd *cobra.Command, args []string) error {
			host, _, err := net.SplitHostPort(listen)
			switch {
			case err != nil:
				return usagef("--listen is HOST:PORT")
			case (cert == "") != (certKey == ""):
				return usagef("--tls-cert and --tls-key go together")
			case cert == "" && !loopback(host):
				return usagef("plain http is for this machine alone: give --tls-cert and --tls-key for another address")
			case file != "" && len(args) > 0:
				return usagef("--file serves what stands in it: KEYs do not go with it")
			}
			var handler http.Handler = fileSet{file, maxAge}
			if file == "" {
				set, err := a.publicSet(cmd.Context(), args)
				if err != nil {
					return err
				}
				set.MaxAge = maxAge
				handler = set
			} else if _, err := readSet(file); err != nil {
				return err
			}
			return a.serveKeys(cmd.Context(), handler, listen, cert, certKey)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:7402", "`ADDRESS` to listen on; port 0 picks a free one")
	cmd.Flags().StringVar(&cert, "tls-cert", "", "certificate `FILE` (PEM) for https")
	cmd.Flags().StringVar(&certKey, "tls-key", "", "`FILE` with the certificate's private key (PEM)")
	cmd.Flags().StringVar(&file, "file", "", "serve this key set `FILE`")
	cmd.Flags().DurationVar(&maxAge, "max-age", time.Hour, "how long a server may keep the set")
	a.addConnection(cmd)
	return cmd
}

// fileSet serves a key set that stands in a file.
type fileSet struct {
	path   string
	maxAge time.Duration
}

func (f fileSet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	set, err := readSet(f.path)
	if err != nil {
		http.Error(w, "the key set cannot be read", http.StatusInternalServerError)
		return
	}
	set.MaxAge = f.maxAge
	set.ServeHTTP(w, r)
}

// readSet reads a key set; what could be private in it is an error and goes no further.
func readSet(path string) (smart.KeySet, error) {
	var set smart.KeySet
	data, err := os.ReadFile(path)
	if err != nil {
		return set, fmt.Errorf("the key set cannot be read from %s: %w", path, cause(err))
	}
	var raw struct {
		Keys []map[string]any `json:"keys"`
	}
	if json.Unmarshal(data, &raw) != nil || json.Unmarshal(data, &set) != nil || set.Keys == nil {
		return set, usagef("%s is no key set", path)
	}
	for _, k := range raw.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, leaked := k[private]; leaked {
				return set, &problem{Title: path + " holds a private key, which must not be published", More: "key-sets", Exit: exitFailed}
			}
		}
	}
	return set, nil
}

func (a *app) serveKeys(ctx context.Context, set http.Handler, listen, cert, certKey string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return &problem{Title: fmt.Sprintf("%s cannot be opened: %v", listen, cause(err)), Exit: exitFailed, Err: err}
	}
	mux := http.NewServeMux()
	mux.Handle("/jwks.json", set)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	scheme := "http"
	if cert != "" {
		scheme = "https"
	}
	address := scheme + "://" + l.Addr().String() + "/jwks.json"
	failed := make(chan error, 1)
	go func() {
		if cert != "" {
			failed <- web.ServeTLS(l, cert, certKey)
		} else {
			failed <- web.Serve(l)
		}
	}()
	if a.speaksJSON() {
		err = writeJSON(a.out, map[string]string{"jwks": address})
	} else {
		_, err = fmt.Fprintln(a.out, address)
	}
	if err != nil {
		return err
	}
	if scheme == "http" {
		a.say("plain http, for this machine alone: Epic needs https. Ctrl-C stops it")
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := web.Shutdown(stop); err != nil && !errors.Is(err, http.ErrServerClosed) {
			_ = web.Close()
		}
		a.say("stopped")
		return nil
	}
}
