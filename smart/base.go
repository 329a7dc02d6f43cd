package smart

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// parseBase checks a FHIR base URL and returns it without a trailing slash. Nothing is decoded,
// cleaned or looked up: what would need that is another base.
func parseBase(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, errors.New("base URL cannot be parsed") // the parser's own text quotes it
	}
	switch {
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("base URL is not absolute")
	case u.User != nil:
		return nil, errors.New("base URL holds a user")
	case u.RawQuery != "" || u.ForceQuery:
		return nil, errors.New("base URL holds a query")
	case u.Fragment != "" || strings.Contains(base, "#"):
		return nil, errors.New("base URL holds a fragment")
	}
	if s := asciiLower(u.Scheme); s != "https" && s != "http" {
		return nil, errors.New("base URL is neither https nor http")
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	if u.Path, err = url.PathUnescape(path); err != nil {
		return nil, errors.New("base URL cannot be parsed")
	}
	u.RawPath = path
	return u, nil
}

// sameBase reports whether two bases are the same: scheme and host without case, the port with its
// default, the path letter for letter, one trailing slash aside.
func sameBase(a, b string) bool {
	ua, err := parseBase(a)
	if err != nil {
		return false
	}
	ub, err := parseBase(b)
	if err != nil {
		return false
	}
	return originOf(ua) == originOf(ub) && ua.EscapedPath() == ub.EscapedPath()
}

// originOf is scheme, host and port in one spelling.
func originOf(u *url.URL) string {
	scheme, port := asciiLower(u.Scheme), u.Port()
	if port == "" {
		switch scheme {
		case "https":
			port = "443"
		case "http":
			port = "80"
		}
	}
	return scheme + "://" + asciiLower(u.Hostname()) + ":" + port
}

// secure refuses plain http, except to this machine and where it was asked for.
func secure(u *url.URL, insecureHTTP bool) error {
	switch asciiLower(u.Scheme) {
	case "https":
		return nil
	case "http":
		if insecureHTTP || loopback(u) {
			return nil
		}
	}
	return ErrInsecure
}

func loopback(u *url.URL) bool {
	host := asciiLower(u.Hostname())
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// asciiLower leaves all but A to Z alone: Unicode folding would make the Kelvin sign a "k".
func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// printable is a URL as errors show it: scheme, host and path.
func printable(u *url.URL) string {
	c := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return c.String()
}
