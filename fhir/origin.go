package fhir

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/andironhq/andiron/r4"
)

// origin is scheme, host and effective port: what a token is bound to. A different port of
// the same host is another origin, and so is the same host spelled with a trailing dot.
type origin struct {
	scheme, host, port string
}

// String is the origin as it may be printed: no user, path or query.
func (o origin) String() string {
	host := o.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if o.port != "" && o.port != defaultPort(o.scheme) {
		host += ":" + o.port
	}
	return o.scheme + "://" + host
}

// loopback reports whether the origin can only be this machine.
func (o origin) loopback() bool {
	if o.host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(o.host)
	return err == nil && ip.IsLoopback()
}

// originOf is exact: host names are compared as ASCII without case, and nothing is decoded,
// mapped or looked up. What would need any of that is another origin.
func originOf(u *url.URL) origin {
	o := origin{scheme: asciiLower(u.Scheme), host: asciiLower(u.Hostname()), port: u.Port()}
	if o.port == "" {
		o.port = defaultPort(o.scheme)
	}
	return o
}

func defaultPort(scheme string) string {
	switch scheme {
	case "https":
		return "443"
	case "http":
		return "80"
	}
	return ""
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

// parseBase checks a FHIR base URL and returns it without a trailing slash.
func parseBase(base string, insecureHTTP bool) (*url.URL, error) {
	if base == "" {
		return nil, errors.New("base URL is empty")
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, errors.New("base URL cannot be parsed") // the parser's own text quotes the URL
	}
	switch {
	case u.Opaque != "" || u.Host == "" || u.Hostname() == "":
		return nil, errors.New("base URL is not absolute")
	case u.User != nil:
		return nil, errors.New("base URL holds user information")
	case u.RawQuery != "" || u.ForceQuery:
		return nil, errors.New("base URL has a query")
	case u.Fragment != "" || strings.Contains(base, "#"):
		return nil, errors.New("base URL has a fragment")
	case !isASCII(u.Host):
		return nil, errors.New("base URL has a host name outside ASCII; write it as punycode")
	}
	o := originOf(u)
	if err := secure(o, insecureHTTP); err != nil {
		return nil, fmt.Errorf("base URL: %w", err)
	}
	u.Scheme, u.Host = o.scheme, strings.TrimSuffix(asciiLower(u.Host), ":")
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}

// secure refuses what would send a request in the clear over a network.
func secure(o origin, insecureHTTP bool) error {
	switch o.scheme {
	case "https":
		return nil
	case "http":
		if o.loopback() || insecureHTTP {
			return nil
		}
		return ErrInsecure
	}
	return errors.New("scheme is neither https nor http")
}

// resolve makes a URL that a caller or a server named absolute. The path and the query keep
// the bytes they came with. at is the request whose answer holds the link; nil for a
// caller's own URL, which is relative to the base.
//
// A relative link that begins with a resource type is relative to the service base, as in
// all of FHIR and as in the Location of Epic's servers; any other is relative to the request
// it answers, as in HTTP (RFC 9110, section 10.2.2).
func resolve(base, at *url.URL, ref string) (*url.URL, error) {
	if len(ref) > maxURL {
		return nil, errBadURL
	}
	if strings.ContainsAny(ref, "\\\r\n\t") {
		return nil, errBadURL // a backslash is a slash to browsers and a letter to others
	}
	u, err := url.Parse(ref)
	if err != nil || u.Opaque != "" {
		return nil, errBadURL
	}
	u.Fragment, u.RawFragment = "", ""
	u.RawQuery = printable(u.RawQuery)
	from := base
	if at != nil {
		from = at
	}
	switch {
	case u.Scheme != "":
		if u.Host == "" {
			return nil, errBadURL
		}
	case u.Host != "" || strings.HasPrefix(u.Path, "/"):
		u = from.ResolveReference(u)
	case u.Path == "":
		next := *from
		next.RawQuery, next.ForceQuery = u.RawQuery, u.ForceQuery
		u = &next
	case at != nil && !r4.IsResourceType(firstSegment(u.Path)):
		u = at.ResolveReference(u)
	default:
		dir := *base
		dir.Path += "/"
		if dir.RawPath != "" {
			dir.RawPath += "/"
		}
		u = dir.ResolveReference(u)
	}
	if u.User != nil || u.Hostname() == "" {
		return nil, errBadURL
	}
	return u, nil
}

// maxURL is far above what any server takes, and far below what one could send us.
const maxURL = 64 << 10

var errBadURL = errors.New("malformed URL")

func firstSegment(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}

// printable escapes what would break a request line, and nothing else.
func printable(query string) string {
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
