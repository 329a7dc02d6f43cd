package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/fhir"
	"github.com/andironhq/andiron/r4"
)

type getOptions struct {
	all   bool
	limit int
	curl  bool
}

func (a *app) getCmd() *cobra.Command {
	var o getOptions
	cmd := &cobra.Command{
		Use: "get TYPE/ID | 'TYPE?SEARCH'", GroupID: "read",
		Short: "Read a resource, or search",
		Long: `Reads one resource by type and id, or searches one type. A search shows the first 20 matches and
says how many there are; --all follows every page.

In a table each type has columns of its own; -o json and ndjson bring the resources byte for
byte as the server sent them. What the server says beside its results (parts that are left out,
parameters that it ignores) goes to standard error: an empty list with such a notice is not "no
data".`,
		Example: `  andiron get Patient/eq081-VQEgP8drUUqCWzHfw3
  andiron get 'Observation?patient=ID&category=laboratory' --all -o csv
  andiron get 'Condition?patient=ID' --curl`,
		Args: a.arguments(1, 1, "TYPE/ID or 'TYPE?SEARCH' (in quotation marks)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.all && cmd.Flags().Changed("limit") {
				return usagef("--all and --limit exclude each other")
			}
			return a.get(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.all, "all", false, "all matches, over every page")
	f.IntVar(&o.limit, "limit", 20, "how many matches to show")
	f.BoolVar(&o.curl, "curl", false, "print the request for curl, and send nothing")
	a.addConnection(cmd)
	return cmd
}

// target is what get was asked for: an id, or a search.
type target struct {
	typ, id string
	query   fhir.Query
}

func parseTarget(arg, base string) (target, error) {
	var t target
	arg = strings.TrimPrefix(arg, base+"/")
	path, _, search := strings.Cut(arg, "?")
	if strings.Contains(path, "://") {
		return t, usagef("get asks the connection's own server (%s) alone", base)
	}
	t.typ, t.id, _ = strings.Cut(path, "/")
	if !r4.IsResourceType(t.typ) {
		return t, usagef("%q is no resource type of FHIR R4%s", t.typ, didYouMean(t.typ, r4.ResourceTypes()))
	}
	switch {
	case t.id == "" && !search && strings.Contains(path, "/"):
		return t, usagef("there is no id after %s/", t.typ)
	case strings.Contains(t.id, "/"):
		return t, usagef("get reads TYPE/ID or searches 'TYPE?SEARCH'; there is more than that in the path")
	case t.id != "" && search:
		return t, usagef("an id and a search do not go together; to search by id write '%s?_id=ID'", t.typ)
	case t.id != "":
		id, err := url.PathUnescape(t.id)
		if err != nil {
			return t, usagef("the id has a bad percent escape")
		}
		t.id = id
		return t, nil
	}
	var err error
	if _, t.query, err = fhir.ParseQuery(arg); err != nil {
		return t, usagef("%s", strings.TrimPrefix(err.Error(), "fhir: "))
	}
	return t, nil
}

func (a *app) get(ctx context.Context, arg string, o getOptions) error {
	if o.limit < 1 {
		return usagef("--limit must be 1 or more; --all has no limit")
	}
	c, err := a.choose()
	if err != nil {
		return err
	}
	t, err := parseTarget(arg, c.FHIR)
	if err != nil {
		return err
	}
	if !o.all && t.id == "" && !hasParameter(t.query, "_count") {
		t.query = t.query.And("_count", fmt.Sprint(o.limit+1)) // one more, to know whether there is more
	}
	if o.curl {
		fmt.Fprintln(a.out, curlCommand(http.MethodGet, t.url(c.FHIR), http.Header{"Accept": {"application/fhir+json"}}, !c.NoAuth))
		return nil
	}
	client, err := a.client(ctx, c)
	if err != nil {
		return err
	}
	client.Limits.MaxTries = 3 // somebody waits at a terminal
	notes := &notices{a: a}
	client.Notice = notes.add
	if t.id != "" {
		return a.getOne(ctx, client, t, notes)
	}
	return a.search(ctx, client, t, o, notes)
}

func hasParameter(q fhir.Query, name string) bool {
	for n := range q.All() {
		if n == name {
			return true
		}
	}
	return false
}

func (t target) url(base string) string {
	if t.id != "" {
		return base + "/" + t.typ + "/" + url.PathEscape(t.id)
	}
	if q := t.query.Encode(); q != "" {
		return base + "/" + t.typ + "?" + q
	}
	return base + "/" + t.typ
}

// curlCommand is a request for curl; the token in it is a variable.
func curlCommand(method, target string, header http.Header, token bool) string {
	words := []string{"curl"}
	if method != http.MethodGet {
		words = append(words, "-X", method)
	}
	if token {
		words = append(words, "-H", `"Authorization: Bearer $TOKEN"`)
	}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		words = append(words, "-H", "'"+name+": "+header.Get(name)+"'")
	}
	return strings.Join(append(words, "'"+strings.ReplaceAll(target, "'", "%27")+"'"), " ")
}

func (a *app) getOne(ctx context.Context, client *fhir.Client, t target, notes *notices) error {
	e, err := client.ReadRaw(ctx, t.typ, t.id)
	if err != nil {
		return err
	}
	defer notes.print()
	switch a.format() {
	case "json":
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, e.Raw, "", "  "); err != nil {
			return err
		}
		_, err := a.out.Write(append(bytes.TrimRight(pretty.Bytes(), "\n"), '\n'))
		return err
	case "ndjson":
		_, err := a.out.Write(append(compact(e.Raw), '\n'))
		return err
	}
	r, err := e.Resource()
	if err != nil {
		return err
	}
	view := viewOf(t.typ)
	if a.format() == "csv" {
		out := a.rows("", view.columns...)
		if err := out.add(view.row(r), nil); err != nil {
			return err
		}
		return out.end("")
	}
	cells := view.row(r)
	for i, name := range view.columns {
		if cells[i] != "" {
			fmt.Fprintf(a.out, "%-12s %s\n", name, plain(cells[i]))
		}
	}
	if a.outIsTerminal() {
		a.say("-o json shows all of it")
	}
	return nil
}

// compact is JSON on one line, its values as they were.
func compact(raw []byte) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

func (a *app) search(ctx context.Context, client *fhir.Client, t target, o getOptions, notes *notices) error {
	asJSON := a.speaksJSON()
	view := viewOf(t.typ)
	head, err := marshal(t.typ)
	if err != nil {
		return err
	}
	out := a.rows(`{"type":`+string(head)+`,"resources":[`, view.columns...)
	matches, included, more := 0, 0, false
	for e, err := range client.Entries(ctx, t.typ, t.query) {
		if err != nil {
			if out.rows == 0 {
				return err
			}
			// What has been shown is finished properly, and the error says that it is not all.
			tail, _ := searchTail(matches, true, -1, notes)
			_ = out.end(tail)
			notes.print()
			return err
		}
		if e.Mode == "match" {
			if !o.all && matches == o.limit {
				more = true
				break
			}
			matches++
		} else {
			included++
			if !asJSON {
				continue
			}
		}
		var cells []string
		var doc json.RawMessage
		if asJSON {
			doc = e.Raw
			if a.format() == "ndjson" {
				doc = compact(e.Raw)
			}
		} else {
			r, err := e.Resource()
			if err != nil {
				return err
			}
			cells = view.row(r)
		}
		if err := out.add(cells, doc); err != nil {
			return err
		}
	}
	total := matches
	if more {
		total = -1
		if n, err := client.Count(ctx, t.typ, withoutCount(t.query)); err == nil && n > matches {
			total = n
		}
	}
	tail, err := searchTail(matches, more, total, notes)
	if err != nil {
		return err
	}
	if err := out.end(tail); err != nil {
		return err
	}
	switch {
	case more && total > 0:
		a.say("%s of %s; --all shows the rest", number(matches), number(total))
	case more:
		a.say("the first %s, and there are more; --all shows them", number(matches))
	case matches == 0:
		a.say("no match")
	}
	if included > 0 && !asJSON {
		a.say("%s came with them; -o json shows them", count(included, "included resource", "included resources"))
	}
	notes.print()
	return nil
}

// searchTail closes the JSON document of a search.
func searchTail(matches int, more bool, total int, notes *notices) (string, error) {
	notes.mu.Lock()
	defer notes.mu.Unlock()
	tail := struct {
		Count   int      `json:"count"`
		More    bool     `json:"more"`
		Total   *int     `json:"total,omitempty"`
		Notices []notice `json:"notices"`
	}{Count: matches, More: more, Notices: append([]notice{}, notes.list...)}
	if total >= 0 {
		tail.Total = &total
	}
	data, err := marshal(tail)
	return "]," + strings.TrimPrefix(string(data), "{"), err
}

func withoutCount(q fhir.Query) fhir.Query {
	var out fhir.Query
	for name, values := range q.All() {
		if name != "_count" {
			out = out.And(name, values...)
		}
	}
	return out
}

// withheldCodes are notices that mean: the list is not all there is (Epic, API Specifications).
var withheldCodes = []string{"59204", "59205", "4118", "4119"}

// print says what the server said beside its results.
func (n *notices) print() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range n.list {
		label := "note"
		switch {
		case slices.Contains(withheldCodes, x.Code):
			label = "incomplete"
		case x.Code == "4101":
			continue // "no results": said already
		case x.Severity == "warning":
			label = "warning"
		}
		text := plain(x.Text)
		if x.Code != "" {
			text += " (" + x.Code + ")"
		}
		n.a.say("%s: %s", label, text)
	}
}
