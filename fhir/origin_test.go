package fhir

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/andironhq/andiron/r4"
)

func TestBaseThatIsRefused(t *testing.T) {
	tests := []struct{ name, base string }{
		{"empty", ""},
		{"relative", "/api/FHIR/R4"},
		{"host without scheme", "good.example.com/api"},
		{"opaque", "https:good.example.com"},
		{"no host", "https:///api"},
		{"port without host", "https://:443/api"},
		{"user information", "https://good.example.com@evil.example.com/"},
		{"query", "https://good.example.com/api?x=1"},
		{"empty query", "https://good.example.com/api?"},
		{"fragment", "https://good.example.com/api#x"},
		{"empty fragment", "https://good.example.com/api#"},
		{"plain http", "http://good.example.com/api"},
		{"plain http to a name that looks like loopback", "http://127.0.0.1.example.com/"},
		{"other scheme", "ftp://good.example.com/"},
		{"letters outside ASCII", "https://gööd.example.com/"},
		{"control character", "https://good.example.com/\x00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &Client{Base: tt.base, HTTP: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				t.Error("a request left")
				return nil, io.EOF
			})}}
			if _, err := Read[r4.Patient](t.Context(), c, "a"); err == nil {
				t.Error("accepted")
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBaseThatIsAccepted(t *testing.T) {
	tests := []struct {
		name, base string
		insecure   bool
		want       string // the URL that Read asks
	}{
		{"https", "https://a.example/fhir", false, "https://a.example/fhir/Patient/1"},
		{"slash at the end", "https://a.example/fhir/", false, "https://a.example/fhir/Patient/1"},
		{"no path", "https://a.example", false, "https://a.example/Patient/1"},
		{"capitals", "HTTPS://A.Example:443/FHIR", false, "https://a.example:443/FHIR/Patient/1"},
		{"IPv4 loopback", "http://127.0.0.1:8080/fhir", false, "http://127.0.0.1:8080/fhir/Patient/1"},
		{"IPv6 loopback", "http://[::1]:8080/fhir", false, "http://[::1]:8080/fhir/Patient/1"},
		{"localhost", "http://localhost/fhir", false, "http://localhost/fhir/Patient/1"},
		{"InsecureHTTP", "http://a.example/fhir", true, "http://a.example/fhir/Patient/1"},
		{"encoded slash in the path", "https://a.example/x%2Fy/fhir", false, "https://a.example/x%2Fy/fhir/Patient/1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got string
			c := &Client{Base: tt.base, InsecureHTTP: tt.insecure, Limits: Limits{MaxTries: 1}, HTTP: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				got = r.URL.String()
				return nil, io.EOF
			})}}
			_, _ = Read[r4.Patient](t.Context(), c, "1")
			if got != tt.want {
				t.Errorf("asked %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSameOrigin(t *testing.T) {
	tests := []struct {
		name, a, b string
		want       bool
	}{
		{"default port of https", "https://h/x", "https://h:443/y", true},
		{"default port of http", "http://h", "http://h:80", true},
		{"empty port", "https://h", "https://h:/", true},
		{"case of scheme and host", "https://h", "HTTPS://H", true},
		{"other port", "https://h", "https://h:8443", false},
		{"other scheme", "https://h", "http://h", false},
		{"other scheme, same port", "https://h:443", "http://h:443", false},
		{"trailing dot", "https://h.example", "https://h.example.", false},
		{"subdomain", "https://h.example", "https://x.h.example", false},
		{"suffix", "https://h.example", "https://h.example.evil", false},
		{"Kelvin sign is no k", "https://k.example", "https://\u212a.example", false},
		{"full-width letters", "https://h.example", "https://ｈ.example", false},
		{"leading zero in the port", "https://h:443", "https://h:0443", false},
		{"IPv6", "https://[::1]", "https://[::1]:443", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, errA := url.Parse(tt.a)
			b, errB := url.Parse(tt.b)
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			if got := originOf(a) == originOf(b); got != tt.want {
				t.Errorf("%s and %s: same origin %t, want %t", tt.a, tt.b, got, tt.want)
			}
		})
	}
}

func TestLinksAreResolvedAndKeptAsGiven(t *testing.T) {
	const at = goodBase + "/Patient?name=x"
	tests := []struct{ name, link, want string }{
		{"absolute", goodBase + "/Patient?sessionID=12-ABC", goodBase + "/Patient?sessionID=12-ABC"},
		{"odd but legal bytes", goodBase + "/Patient?a=%7C|'(%2b+%20&&=", goodBase + "/Patient?a=%7C|'(%2b+%20&&="},
		{"encoded slash", goodBase + "/a%2Fb?x", goodBase + "/a%2Fb?x"},
		{"relative to the base", "Patient?page=2", goodBase + "/Patient?page=2"},
		{"relative to the request", "page?n=2", goodBase + "/page?n=2"},
		{"a space in the query", "Patient?name=a b\u00e9", goodBase + "/Patient?name=a%20b%C3%A9"},
		{"query alone", "?page=2", goodBase + "/Patient?page=2"},
		{"absolute path", "/other?page=2", goodOrigin + "/other?page=2"},
		{"fragment is dropped", goodBase + "/Patient?p=2#frag", goodBase + "/Patient?p=2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, _ := url.Parse(goodBase)
			from, _ := url.Parse(at)
			u, err := resolve(base, from, tt.link)
			if err != nil || u.String() != tt.want {
				t.Errorf("got %v, %v; want %s", u, err, tt.want)
			}
		})
	}
}

// TestTokenNeverLeavesItsOrigin is the property that everything else rests on: whatever a
// server writes into a link or a redirect, and whatever a caller passes on from it, no other
// listener hears a credential; and none hears anything unless the caller permits it.
func TestTokenNeverLeavesItsOrigin(t *testing.T) {
	shapes := 10_000
	if testing.Short() {
		shapes = 1_000
	}
	var evilURL atomic.Value
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		link, _ := evilURL.Load().(string)
		switch r.URL.Query().Get("how") {
		case "next":
			reply(rw, 200, fmt.Sprintf(`{"resourceType":"Bundle","link":[{"relation":"next","url":%s}]}`, jsonString(link)))
		case "redirect":
			rw.Header()["Location"] = []string{strings.Map(headerSafe, link)}
			rw.WriteHeader(http.StatusTemporaryRedirect)
		default:
			reply(rw, 200, `{"resourceType":"Bundle"}`)
		}
	})
	w.c.Log = nil
	w.c.Limits.MaxTries = 1
	rng := rand.New(rand.NewPCG(1, 2)) // a seed that can be repeated
	permitted := 0
	for i := range shapes {
		link := urlShape(rng)
		evilURL.Store(link)
		before := len(w.evil)
		mayAsk := false
		switch i % 4 {
		case 0:
			_, _ = Collect(w.c.Entries(t.Context(), "Patient", Where("how", "next")))
		case 1:
			do(t, w.c, Request{URL: "Patient?how=redirect"})
		case 2:
			do(t, w.c, Request{URL: link})
		case 3:
			mayAsk = true
			do(t, w.c, Request{URL: link, ForeignOK: true})
			do(t, w.c, Request{URL: "Patient?how=redirect", ForeignOK: true})
		}
		if n := len(w.evil) - before; n > 0 {
			permitted += n
			if !mayAsk {
				t.Fatalf("shape %d, %q: another origin was asked for %s", i, link, w.evil[len(w.evil)-1].Host)
			}
		}
	}
	w.noSecrets()
	for _, r := range w.good {
		if h := asciiLower(r.Host); h != "good.example.com" && h != "good.example.com:443" && h != "good.example.com:" && r.Header.Get("Authorization") != "" {
			t.Errorf("the token went out under the name %s", r.Host)
		}
	}
	if permitted < shapes/50 {
		t.Errorf("only %d of %d shapes reached another origin when permitted: the shapes prove nothing", permitted, shapes)
	}
	// The control: a client that does what many do must be caught by these listeners.
	leaky := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token)
		return w.c.HTTP.Transport.RoundTrip(r)
	})}
	resp, err := leaky.Get("https://evil.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if last := w.evil[len(w.evil)-1]; last.Header.Get("Authorization") == "" {
		t.Error("the listener did not see the token of a client that leaks it")
	}
}

func do(t *testing.T, c *Client, r Request) {
	t.Helper()
	resp, err := c.Do(t.Context(), r)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

func headerSafe(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

func jsonString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		fmt.Fprintf(&b, `\u%04x`, min(r, 0xffff))
	}
	b.WriteByte('"')
	return b.String()
}

// urlShape builds URLs from parts that parsers disagree about.
func urlShape(rng *rand.Rand) string {
	// The first of each list is the ordinary one; three times in four it is taken, so that
	// many shapes have one oddity and parse.
	pick := func(s ...string) string {
		if rng.IntN(4) > 0 {
			return s[0]
		}
		return s[rng.IntN(len(s))]
	}
	good, evil := "good.example.com", "evil.example.com"
	scheme := pick("https", "HTTPS", "http", "hTTps", "", "ftp", "javascript", "https\t", " https")
	sep := pick("://", "//", ":", ":/", ":///", `:\\`, `:/\`, ":////")
	if scheme == "" {
		sep = pick("//", "//", "/", "", `\\`, `/\`, "///", "?", "#")
	}
	user := pick("", good+"@", good+":443@", "a:b@", good+"%40", good+`\@`, good+"/@", good+"#@", "@", good+"%00@", good+"&@")
	host := []string{evil, good, good + "." + evil}[rng.IntN(3)]
	host = pick(host, good+"."+evil, good+".", strings.ToUpper(good), "GOOD.example.com.", evil+"#"+good,
		evil+"?"+good, evil+"/"+good, evil+`\`+good, "good%2eexample.com", "ｇｏｏｄ.example.com", "gooḋ.example.com",
		"good。example。com", "good.example.com%00."+evil, "xn--good-.example.com", "good.example.com;"+evil, "good.example.com,"+evil,
		"[::1]", "[::ffff:127.0.0.1]", "127.0.0.1", "0x7f.1", "2130706433", "[fe80::1%25eth0]", "", "%67ood.example.com", "good.example.com%20",
		"good.example.com\u200b", "good\u00ad.example.com", "good.example.comevil", "good-example.com", "..")
	port := pick("", "", "", ":443", ":443", ":8443", ":80", ":", ":0443", ":0", ":99999", ":-1", ":443@"+evil, ":443:443", ":４４３", ":443 ", ":x")
	path := pick("", "/", "/x/api/FHIR/R4/Patient", "/x/api/FHIR/R4/../../..//evil", "//"+evil, "/%2f%2f"+evil, `/\`+evil, "/;@"+evil, "/x y", "/\x00", "/é")
	query := pick("", "?a=b", "?https://"+good, "?@"+good, "#"+good, "?a=b#"+good, "??", "?\\")
	return scheme + sep + user + host + port + path + query
}

func TestReadRefusesIDsThatAreNone(t *testing.T) {
	w := newWorld(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.EscapedPath() != "/x/api/FHIR/R4/Patient/a%2F..%2F..%3Fb%23c" {
			t.Errorf("asked for %s", r.URL.EscapedPath())
		}
		reply(rw, 200, `{"resourceType":"Patient"}`)
	})
	for _, id := range []string{"", ".", ".."} {
		if _, err := Read[r4.Patient](t.Context(), w.c, id); err == nil {
			t.Errorf("id %q was accepted", id)
		}
	}
	if w.asked() != 0 {
		t.Errorf("%d requests left", w.asked())
	}
	if _, err := Read[r4.Patient](t.Context(), w.c, "a/../..?b#c"); err != nil {
		t.Error(err)
	}
	for _, typ := range []string{"Patient/../x", "Patient?x", "", "a b"} {
		if _, err := w.c.ReadRaw(t.Context(), typ, "1"); err == nil {
			t.Errorf("type %q was accepted", typ)
		}
	}
	if _, err := Collect(w.c.Entries(t.Context(), "Patient/1", Query{})); !errors.Is(err, ErrQuery) {
		t.Errorf("a path in place of a type: %v, want ErrQuery", err)
	}
}
