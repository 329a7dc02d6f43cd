package bulk

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// maxPages bounds a chain of manifests.
const maxPages = 10_000

// manifest is what a server delivers, whatever version of the specification it speaks: what
// is read goes by the presence of members (Bulk Data Access, "Output Manifest").
type manifest struct {
	transactionTime string
	request         string
	needsToken      *bool // nil: it does not say
	lists           map[string][]entry
	next            string
	begins          bool // has what the first page of a manifest must have
	notes           []string
}

// entry is one file.
type entry struct {
	typ   string // "" when it has none, or none that could be a type's name
	url   string // absolute; "" when it has none
	count int64  // -1: none
	size  int64  // -1: none
}

// The lists of a manifest, in the order in which they are worked off.
var lists = []string{"output", "error", "deleted"}

// parseManifest reads one page. Unknown members are tolerated, and so are booleans and
// numbers written as strings: both occur (Epic sends "requiresAccessToken": "true").
func parseManifest(body []byte, base *url.URL) (*manifest, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return nil, ErrManifest
	}
	// An OperationOutcome is JSON too, and so is whatever a gateway says.
	if _, ok := members["transactionTime"]; !ok && members["output"] == nil && members["requiresAccessToken"] == nil {
		return nil, ErrManifest
	}
	m := &manifest{
		transactionTime: text(members["transactionTime"]),
		request:         text(members["request"]),
		lists:           map[string][]entry{},
	}
	// Up to 3.0.0 output is required, also when it is empty. The ballot of 4.0.0 lets it be
	// absent, and has members of its own.
	m.begins = members["output"] != nil || members["manifestType"] != nil || members["outcome"] != nil
	if b, ok := boolean(members["requiresAccessToken"]); ok {
		m.needsToken = &b
	}
	parts := map[string][]map[string]json.RawMessage{}
	for _, name := range []string{"output", "error", "deleted", "outcome", "link"} {
		list, ok := objects(members[name])
		if !ok { // taken for an empty list it would lose what it holds
			return nil, fmt.Errorf("%w: %s is no list of objects", ErrManifest, name)
		}
		parts[name] = list
	}
	for _, list := range lists {
		m.lists[list] = m.entries(list, parts[list], base)
	}
	m.lists["error"] = append(m.lists["error"], m.entries("outcome", parts["outcome"], base)...) // error's name in 4.0.0
	for _, l := range parts["link"] {
		if text(l["relation"]) != "next" {
			continue
		}
		u, err := base.Parse(text(l["url"]))
		if err != nil || text(l["url"]) == "" {
			return nil, fmt.Errorf("%w: next link without URL", ErrManifest)
		}
		m.next = u.String()
	}
	return m, nil
}

func (m *manifest) entries(list string, files []map[string]json.RawMessage, base *url.URL) []entry {
	var out []entry
	for _, o := range files {
		e := entry{typ: text(o["type"]), count: number(o["count"]), size: number(o["fileSize"])}
		if u, err := base.Parse(text(o["url"])); err == nil && text(o["url"]) != "" && (u.Scheme == "http" || u.Scheme == "https") {
			e.url = u.String()
		}
		if e.typ == "" {
			switch list {
			case "error", "outcome":
				e.typ = "OperationOutcome"
			case "deleted":
				e.typ = "Bundle"
			}
		}
		if e.typ != "" && !wellFormed(e.typ) {
			m.notes = append(m.notes, "a file of the list "+list+" has a type that is no resource type's name: its lines are checked without it")
			e.typ = ""
		}
		out = append(out, e)
	}
	return out
}

// objects reads a list of objects, or a single one. Absent and null are an empty list; ok is
// false for whatever else.
func objects(raw json.RawMessage) (list []map[string]json.RawMessage, ok bool) {
	if len(raw) == 0 {
		return nil, true
	}
	if json.Unmarshal(raw, &list) == nil {
		return list, true
	}
	var one map[string]json.RawMessage
	if json.Unmarshal(raw, &one) != nil {
		return nil, false
	}
	return []map[string]json.RawMessage{one}, true
}

func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func boolean(raw json.RawMessage) (value, ok bool) {
	switch strings.ToLower(strings.Trim(strings.TrimSpace(string(raw)), `"`)) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

func number(raw json.RawMessage) int64 {
	n, err := strconv.ParseInt(strings.Trim(strings.TrimSpace(string(raw)), `"`), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// manifest reads the manifest that begins with the answer a, with all its further pages. The
// verdict is ready with a nil error, stop when reading it again would change nothing, else
// useless: what a page says of itself alone does not speak of the export.
func (r *runner) manifest(ctx context.Context, a reply) (*manifest, [][]byte, verdict, error) {
	whole, err := parseManifest(a.body, a.base.URL)
	if err != nil {
		return nil, nil, useless, err
	}
	if !whole.begins { // taken for an empty export it would lose all of it
		return nil, nil, useless, fmt.Errorf("%w: no output", ErrManifest)
	}
	pages := [][]byte{a.body}
	seen := map[string]bool{}
	for next := whole.next; next != ""; {
		if seen[next] || len(pages) >= maxPages {
			return nil, nil, useless, fmt.Errorf("%w: its next links do not end", ErrManifest)
		}
		seen[next] = true
		var page *manifest
		for try := 1; page == nil; try++ {
			p := r.status(ctx, next)
			v := r.judge(ctx, p)
			if v == ready {
				if page, err = parseManifest(p.body, p.base.URL); err == nil {
					pages = append(pages, p.body)
					break
				}
			} else if err = p.err; err == nil {
				err = ErrManifest
			}
			switch {
			case v == stop:
				return nil, nil, stop, err
			case v == gone || try >= r.tries():
				return nil, nil, useless, err
			}
			if err := r.pause(ctx, max(r.bounded(p.wait), backoff(try))); err != nil {
				return nil, nil, stop, err
			}
		}
		for _, list := range lists {
			whole.lists[list] = append(whole.lists[list], page.lists[list]...)
		}
		if page.needsToken != nil && whole.needsToken == nil {
			whole.needsToken = page.needsToken
		}
		whole.notes = append(whole.notes, page.notes...)
		next = page.next
	}
	return whole, pages, ready, nil
}

// listed stores the manifest and the files it lists.
func (r *runner) listed(ctx context.Context, m *manifest, pages [][]byte) error {
	r.rec.state = StateListed
	r.learn(m)
	rows := m.rows()
	if err := r.ledger.keepManifest(ctx, r.rec, r.now(), pages, rows); err != nil {
		return wrap("ledger", err)
	}
	for _, n := range m.notes {
		r.note(n)
	}
	if m.needsToken == nil {
		r.note("the manifest does not say whether its files need a token: the FHIR server's own files get one")
	}
	r.logManifest(m, len(pages))
	r.emit(Event{Kind: KindManifest, Files: len(rows), Text: "the server is ready"})
	return nil
}

func (r *runner) learn(m *manifest) {
	r.rec.transactionTime, r.rec.serverAsked = m.transactionTime, m.request
	r.rec.needsToken = m.needsToken == nil || *m.needsToken
}

// rows are the files with the names that they will have. A name is ours: the position, the
// type if it could be one, the extension; nothing of a URL.
func (m *manifest) rows() []*row {
	var out []*row
	for _, list := range lists {
		for i, e := range m.lists[list] {
			f := &row{list: list, n: i + 1, typ: e.typ, url: e.url, count: e.count, size: e.size, name: fileName(list, i+1, e.typ), state: FileListed}
			if e.url == "" {
				f.state, f.reason = FileFailed, "the manifest has no usable URL for it"
			}
			out = append(out, f)
		}
	}
	return out
}

func fileName(list string, n int, typ string) string {
	if typ == "" {
		typ = "Resource"
	}
	name := fmt.Sprintf("%03d.%s.ndjson", n, typ)
	if list != "output" {
		name = list + "/" + name
	}
	return name
}
