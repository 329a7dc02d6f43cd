package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// knownCause is one thing that can be wrong with a connection. Its id is an interface: scripts may
// branch on it.
type knownCause struct {
	id, title string
	why       string
	site      string // what to do at the server's side when it is an Epic
	more      string // a topic of help
}

// causes is the catalogue, in the order in which "andiron help causes" lists it.
var causes = []knownCause{
	{"unreachable", "no server answers at the address", "Name, port, firewall, proxy or certificate: nothing of the server's was seen.", "", "network"},
	{"base-wrong", "the address leads to no FHIR R4 server", "At Epic the base ends in /api/FHIR/R4; the path before is each site's own, and its case matters.", "", "network"},
	{"no-token-endpoint", "the server names no token endpoint", "Neither its smart-configuration nor its /metadata has one.", "", "sign-in"},
	{"client-id-missing", "the connection has no client id", "It is the id that the app got when it was registered.", "", "connections"},
	{"key-missing", "there is no usable private key", "A backend app signs each sign-in with its private key.", "", "key-sets"},
	{"secret-missing", "the connection has neither key nor secret for an app that has one", "", "", "secrets"},

	{"kid-wrong", "the key is published, under another id than it signs with", "The server looks a key up by its id (kid) and finds none.", "", "key-sets"},
	{"key-unpublished", "the key that signs is not in the published key set", "The server has nothing to check the signature with.", "Publish the key under the JWK Set URL that is registered for the app.", "key-sets"},
	{"key-differs", "the id is published, with another key", "The signature cannot be checked with that key.", "Publish the key that signs, under an id of its own.", "key-sets"},
	{"kid-missing", "the assertion names no key (kid)", "A server with several keys cannot tell which one to take.", "", "key-sets"},
	{"kid-ambiguous", "several published keys have the same id", "Most servers refuse all of them.", "", "key-sets"},
	{"key-weak", "the key is too short", "RSA keys must have 2048 bits or more.", "", "key-sets"},
	{"private-key-published", "the key set shows a private key to the world", "Whoever has read it can sign in as the app: that key must never be used again.", "", "key-sets"},
	{"jwks-insecure", "the key set URL is not https", "Epic fetches key sets over https alone; plain http is for this machine.", "", "key-sets"},
	{"jwks-unreachable", "the key set cannot be fetched", "The server has to fetch it without signing in, over https, quickly.", "", "key-sets"},
	{"jwks-invalid", "what lies at the key set URL is no key set", "", "", "key-sets"},
	{"jku-wrong", "the assertion names another key set URL (jku) than the registered one", "", "", "key-sets"},

	{"not-a-jwt", "that is no signed JWT", "Wanted are three parts of base64url with dots between them.", "", "invalid-client"},
	{"alg-wrong", "the assertion is signed with an algorithm that the server does not take", "RS384 and ES384 are what SMART asks for; HS256 and none are refused everywhere.", "", "invalid-client"},
	{"typ-wrong", "the assertion's typ is not JWT", "", "", "invalid-client"},
	{"issuer-wrong", "iss and sub are not both the client id", "", "", "invalid-client"},
	{"audience-wrong", "aud is not the token endpoint", "It must be that URL exactly, as one string.", "", "invalid-client"},
	{"expiry-missing", "the assertion has no end (exp)", "", "", "invalid-client"},
	{"assertion-expired", "the assertion's time is over", "If it was younger when it was sent, that was not the cause: check a fresh one.", "", "invalid-client"},
	{"lifetime-too-long", "the assertion is good for more than five minutes", "exp may lie 300 seconds after the server's clock, after iat and after nbf.", "", "invalid-client"},
	{"clock-ahead", "the assertion comes from the future: the clock that made it is ahead of the server's", "iat and nbf must lie in the server's past; no allowance is documented.", "", "invalid-client"},
	{"jti-wrong", "the assertion's id (jti) is missing, no text or too long", "It is a text of at most 151 characters at Epic.", "", "invalid-client"},
	{"jti-replayed", "the assertion, or its id (jti), was used before", "Each request needs a new one, also a repetition.", "", "invalid-client"},

	{"client-unknown", "the server does not know the client id", "A digit wrong, or an app of another server.", "Compare it with the app's page at fhir.epic.com.", "invalid-client"},
	{"environment-wrong", "the client id is the other environment's", "The sandbox and hospitals' test systems take the non-production id, production the other.", "Both ids stand on the app's page.", "invalid-client"},
	{"sync-pending", "the app, or its change, has not reached the server yet", "The sandbox takes up to an hour, for a key up to two; a hospital 12 to 24 hours.", "Wait that long once, and run this again.", "invalid-client"},
	{"key-cached", "the server still uses an older copy of the key set", "Epic keeps a set for up to 29 hours unless its Cache-Control says less.", "", "key-sets"},
	{"jwks-blocked", "the server cannot fetch the key set that can be fetched from here", "A firewall, a sign-in page or a slow host may stand in between.", "", "key-sets"},
	{"app-not-activated", "the site has not downloaded the app, or its keys are not activated there", "", "Ask the site; then activate the keys under Review & Manage Downloads.", "invalid-client"},
	{"audience-proxied", "the server knows its token endpoint under another URL than it is asked at", "A proxy in front changes what aud must be.", "The site can allow the other audience.", "invalid-client"},
	{"background-user-missing", "no background user is mapped to the app", "A backend app acts as a user, whom the site chooses.", "Ask the site's Epic team to map a background user to the client id.", "sign-in"},
	{"app-kind-wrong", "the app is registered for another kind of sign-in", "", "The audience is chosen when the app is made: Patients, Clinicians or Backend Systems.", "sign-in"},
	{"redirect-unregistered", "the redirect URI is not the registered one, to the letter", "A slash, a port, a capital letter, http in place of https: all count.", "Add it on the app's page under Redirect URI; also for apps in production.", "sign-in"},
	{"secret-encoding", "the secret is encoded in the other way than the server reads it", "In HTTP Basic a secret with characters such as + or / is either sent raw or URL-encoded first.", "", "sign-in"},
	{"secret-wrong", "the secret is not the app's at this site", "", "Each site has a secret of its own; make a new one under Review & Manage Downloads.", "secrets"},

	{"scope-not-granted", "not everything that was asked for was granted", "At Epic the APIs that are registered for the app decide, not the scopes that it asks for.", "Add the APIs to the app's Incoming APIs, save, and wait for the change to arrive.", "permissions"},
	{"scope-broad", "the scopes ask for more than is needed", "Sites look at that before they allow an app.", "", "permissions"},
	{"api-not-registered", "the server gives a scope and refuses what it is for", "", "Add the APIs to the app's Incoming APIs; at a site the user's own rights may be the bound.", "permissions"},
	{"export-not-registered", "the app may not export", "It needs the four bulk APIs, and the Search API of each type.", "Add the Bulk Data APIs to the app's Incoming APIs.", "permissions"},
	{"session-ended", "the stored sign-in is over", "", "", "sign-in"},
	{"server-trouble", "the server has trouble of its own", "Later may work.", "", "network"},

	{"expiry-near-limit", "the assertion lives almost five minutes", "A small difference of clocks breaks it; four minutes are safe.", "", "invalid-client"},
	{"members-missing", "members are missing that help the server", "", "", "invalid-client"},
	{"key-uploaded", "the key does not go with how it is registered", "ES384 needs a key set URL at Epic.", "", "key-sets"},
	{"key-set-cached-long", "the key set says nothing of how long it may be kept, or too long", "A change of keys then takes 29 hours or more to arrive.", "", "key-sets"},
	{"key-next-unpublished", "the key that is to follow is not in the published key set", "It can sign only when no server can still hold a set without it.", "Publish it beside the key that signs.", "key-sets"},
	{"clocks-differ", "this machine's clock and the server's differ", "Andiron reckons with it. Other programs fail when the difference grows.", "", "invalid-client"},
}

func findCause(id string) knownCause {
	i := slices.IndexFunc(causes, func(c knownCause) bool { return c.id == id })
	if i < 0 {
		panic("no cause " + id)
	}
	return causes[i]
}

// diagnosis is a cause that fits what was seen.
type diagnosis struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Certain bool     `json:"certain"`
	Rank    int      `json:"rank,omitempty"` // 1 is the likeliest; none for what is certain
	Warning bool     `json:"warning,omitempty"`
	Found   string   `json:"found,omitempty"` // what was seen from here
	Why     string   `json:"why,omitempty"`
	Site    string   `json:"site,omitempty"`
	Fix     []string `json:"fix,omitempty"`
	More    string   `json:"more,omitempty"`
}

// diagnoses are the causes of one run, each once.
type diagnoses struct{ list []*diagnosis }

func (d *diagnoses) has(certainOnly bool) bool {
	return slices.ContainsFunc(d.list, func(x *diagnosis) bool { return !x.Warning && (x.Certain || !certainOnly) })
}

// add notes a cause; the second time the same one is named its fixes are kept and nothing else.
func (d *diagnoses) add(id string, certain, warning bool, found string, fix ...string) *diagnosis {
	c := findCause(id)
	i := slices.IndexFunc(d.list, func(x *diagnosis) bool { return x.ID == id })
	if i < 0 {
		i = len(d.list)
		d.list = append(d.list, &diagnosis{ID: id, Title: c.title, Warning: warning, Certain: certain, Found: found, Why: c.why, Site: c.site, More: c.more})
	}
	x := d.list[i]
	x.Certain, x.Warning = x.Certain || certain, x.Warning && warning
	for _, f := range fix {
		if f != "" && !slices.Contains(x.Fix, f) {
			x.Fix = append(x.Fix, f)
		}
	}
	return x
}

// sorted puts what is certain first, then what is possible by likelihood, then the warnings.
func (d *diagnoses) sorted() []*diagnosis {
	weight := func(x *diagnosis) int {
		switch {
		case x.Warning:
			return 2
		case !x.Certain:
			return 1
		}
		return 0
	}
	list := slices.Clone(d.list)
	slices.SortStableFunc(list, func(a, b *diagnosis) int { return weight(a) - weight(b) })
	rank := 0
	for _, x := range list {
		x.Rank = 0
		if weight(x) == 1 {
			rank++
			x.Rank = rank
		}
	}
	return list
}

// print draws the causes for people. Epic says whether the server is one, whose side has a portal.
func (d *diagnoses) print(w io.Writer, epic, refused bool) {
	head := ""
	for _, x := range d.sorted() {
		h := "Possible causes, the likelier first:"
		switch {
		case x.Warning:
			h = "Works, but:"
		case x.Certain:
			h = "The cause:"
		case !refused:
			h = "Nothing wrong is seen from here. If the server refused it all the same, the likelier first:"
		}
		if h != head {
			fmt.Fprintf(w, "\n%s\n", h)
			head = h
		}
		label := x.ID
		if x.Rank > 0 {
			label = fmt.Sprintf("%d. %s", x.Rank, x.ID)
		}
		fmt.Fprintf(w, "\n  %s: %s\n", label, x.Title)
		text := strings.TrimSpace(x.Found + "\n" + x.Why)
		if epic && x.Site != "" {
			text = strings.TrimSpace(text + "\nAt Epic: " + x.Site)
		}
		for _, line := range wrap(text, 92) {
			fmt.Fprintf(w, "    %s\n", line)
		}
		for i, f := range x.Fix {
			label := "fix:"
			if i > 0 && strings.HasPrefix(f, "andiron ") {
				label = "or:"
			}
			fmt.Fprintf(w, "    %-6s %s\n", label, f)
		}
		if x.More != "" {
			fmt.Fprintf(w, "    more:  andiron help %s\n", x.More)
		}
	}
}

// printCauses is the topic "causes", printed from the catalogue.
func printCauses(w io.Writer) {
	fmt.Fprint(w, `"andiron doctor" names what is wrong by these ids. They do not change. A cause is certain where it
can be seen from here; where the server's silence leaves several, the likelier stands first.

`)
	for _, c := range causes {
		fmt.Fprintf(w, "  %s\n", c.id)
		for _, line := range wrap(sentence(c.title)+" "+c.why, 92) {
			fmt.Fprintf(w, "      %s\n", line)
		}
	}
}
