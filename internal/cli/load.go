package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/lake"
)

func (a *app) loadCmd() *cobra.Command {
	var o lake.LoadOptions
	cmd := &cobra.Command{
		Use: "load DIR", GroupID: "populations",
		Short: "Turn an exported folder into tables",
		Long: `Reads the NDJSON files of DIR into a DuckDB database: one table for each of the common resource
types, one row a resource, and the table "resource" with every resource as it stands. The
folder may come from "andiron export" or from anything else that writes NDJSON (.ndjson,
.ndjson.gz).

A file that is in the database already is not read again, so the same command twice changes
nothing. Of two versions of a resource the one from the later export stays. A line that is no
resource is set aside in load_quarantine, and the command ends with exit code 3.

A folder whose export is not finished is refused; --allow-incomplete loads what is there.`,
		Example: `  andiron load out
  andiron load out --lake diabetes.duckdb`,
		Args: a.arguments(1, 1, "a folder of NDJSON files, DIR"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.load(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	a.addKey(f, "lake", "")
	a.addKey(f, "progress", "")
	f.StringVar(&o.Source, "source", "", "`NAME` of the server that the resources come from (default: the manifest's)")
	f.BoolVar(&o.AllowIncomplete, "allow-incomplete", false, "load also what is not complete")
	f.IntVar(&o.Workers, "workers", 0, "how many threads parse (default: one for each processor, four at most)")
	return cmd
}

// loadJSON is load's output.
type loadJSON struct {
	Dir         string           `json:"dir"`
	Lake        string           `json:"lake"`
	Source      string           `json:"source,omitempty"`
	Resources   int64            `json:"resources"`
	Types       map[string]int64 `json:"types"`
	Replaced    int64            `json:"replaced"`
	Outdated    int64            `json:"outdated"`
	Deleted     int64            `json:"deleted"`
	Quarantined int64            `json:"quarantined"`
	Unchanged   int              `json:"files_unchanged"`
	Files       []loadFileJSON   `json:"files"`
	Notes       []string         `json:"notes"`
}

type loadFileJSON struct {
	File        string `json:"file"`
	Resources   int64  `json:"resources"`
	Quarantined int64  `json:"quarantined"`
	Bytes       int64  `json:"bytes"`
	Unchanged   bool   `json:"unchanged"`
	Error       string `json:"error,omitempty"`
}

func (a *app) load(ctx context.Context, dir string, o lake.LoadOptions) error {
	a.dir = dir
	a.interrupted = func() string {
		return "each file is in the database whole or not at all; the same command loads the rest"
	}
	path := a.settings.get("lake", "").text
	l, err := lake.Open(path)
	if err != nil {
		return a.lakeProblem(path, err)
	}
	defer l.Close()
	p := a.startProgress()
	o.Now = a.now
	o.Progress = p.loaded
	result, err := l.Load(ctx, dir, o)
	p.stop()
	if result != nil { // what an export leaves beside its data is no news
		result.Notes = slices.DeleteFunc(result.Notes, func(n string) bool { return strings.HasPrefix(n, "ledger.db ") || strings.HasPrefix(n, "previous-") })
	}
	if err != nil && (result == nil || !errors.Is(err, lake.ErrIncomplete)) {
		return a.loadProblem(dir, path, err)
	}
	if e := a.emitLoad(dir, path, result); e != nil {
		return e
	}
	for _, n := range result.Notes {
		a.say("note: %s", n)
	}
	if result.Unchanged > 0 && result.Resources > 0 {
		a.say("%s in the database already", count(result.Unchanged, "file was", "files were"))
	}
	if err != nil {
		return incompleteLoad(path, result, err)
	}
	if result.Resources == 0 && result.Unchanged > 0 && result.Deleted == 0 {
		a.say("nothing to do: all of %s is in %s already", dir, path)
	}
	return nil
}

func (a *app) emitLoad(dir, path string, r *lake.LoadResult) error {
	doc := loadJSON{
		Dir: dir, Lake: path, Source: r.Source, Resources: r.Resources, Types: r.Types, Replaced: r.Replaced,
		Outdated: r.Outdated, Deleted: r.Deleted, Quarantined: r.Quarantined, Unchanged: r.Unchanged,
		Files: []loadFileJSON{}, Notes: append([]string{}, r.Notes...),
	}
	if doc.Types == nil {
		doc.Types = map[string]int64{}
	}
	for _, f := range r.Files {
		x := loadFileJSON{File: f.File, Resources: f.Resources, Quarantined: f.Quarantined, Bytes: f.Bytes, Unchanged: f.Unchanged}
		if f.Err != nil {
			x.Error = cause(f.Err).Error()
		}
		doc.Files = append(doc.Files, x)
	}
	t := table{columns: []string{"type", "loaded"}}
	var lines []any
	for _, typ := range slices.Sorted(maps.Keys(r.Types)) {
		t.add(typ, strconv.FormatInt(r.Types[typ], 10))
		lines = append(lines, map[string]any{"type": typ, "loaded": r.Types[typ]})
	}
	if lines == nil {
		lines = []any{}
	}
	return a.emit(t, doc, lines)
}

// loadProblem says why nothing was loaded.
func (a *app) loadProblem(dir, path string, err error) error {
	name := shellQuote(dir)
	switch {
	case errors.Is(err, lake.ErrUnfinished):
		return &problem{
			Title: fmt.Sprintf("the export in %s is not finished, and nothing was loaded", dir),
			Fix:   []string{"andiron export " + name, "andiron load " + name + " --allow-incomplete"},
			More:  "bulk-export", Err: err,
		}
	case errors.Is(err, lake.ErrMismatch):
		return &problem{
			Title: fmt.Sprintf("a file in %s is not the one that was exported, and nothing was loaded", dir),
			Why:   strings.TrimPrefix(err.Error(), "lake: load "),
			Fix:   []string{"andiron export verify " + name, "andiron load " + name + " --allow-incomplete"},
			More:  "bulk-export", Exit: exitIncomplete, Err: err,
		}
	case errors.Is(err, lake.ErrEmpty):
		return &problem{
			Title: fmt.Sprintf("there is no NDJSON file in %s", dir),
			Fix:   []string{"andiron export " + name}, Err: err,
		}
	case exitCode(err) == exitNotFound:
		return &problem{
			Title: fmt.Sprintf("there is no folder %s", dir),
			Fix:   []string{"andiron export " + name}, Err: err,
		}
	}
	return a.lakeProblem(path, err)
}

// incompleteLoad says what is not in the database.
func incompleteLoad(path string, r *lake.LoadResult, err error) error {
	p := &problem{Title: "not all of the folder could be loaded", Err: err}
	var why []string
	if r.Quarantined > 0 {
		why = append(why, count(r.Quarantined, "line is no resource and was", "lines are no resources and were")+" set aside in load_quarantine")
		p.Fix = append(p.Fix, "andiron sql 'select * from load_quarantine'")
		if path != "andiron.duckdb" {
			p.Fix[0] = "andiron sql --lake " + shellQuote(path) + " 'select * from load_quarantine'"
		}
	}
	for _, f := range r.Files {
		if f.Err != nil {
			why = append(why, f.File+" was left out: "+cause(f.Err).Error())
		}
	}
	p.Why = strings.Join(why, "\n")
	return p
}
