package cli

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/andironhq/andiron/lake"
)

func (a *app) tablesCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tables [NAME]", GroupID: "populations",
		Short: "The tables and their columns",
		Long: `Lists the tables of the database with their rows counted. With NAME it lists that table's
columns, and for each where in the resource its value stands.`,
		Example: `  andiron tables
  andiron tables observation`,
		Args: a.arguments(0, 1, "one name of a table"),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := a.openLake(false)
			if err != nil {
				return err
			}
			defer l.Close()
			tables, err := l.Tables(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return a.listTables(tables)
			}
			return a.describeTable(tables, args[0])
		},
	}
	a.addKey(cmd.Flags(), "lake", "")
	return cmd
}

type tableJSON struct {
	Table   string       `json:"table"`
	Rows    int64        `json:"rows"`
	About   string       `json:"about,omitempty"`
	Columns []columnJSON `json:"columns,omitempty"`
}

type columnJSON struct {
	Column string `json:"column"`
	Type   string `json:"type"`
	From   string `json:"from,omitempty"`
}

func (a *app) listTables(tables []lake.Table) error {
	t := table{columns: []string{"table", "rows", "about"}}
	docs := []tableJSON{}
	var lines []any
	for _, x := range tables {
		t.add(x.Name, strconv.FormatInt(x.Rows, 10), x.About)
		doc := tableJSON{Table: x.Name, Rows: x.Rows, About: x.About}
		docs = append(docs, doc)
		lines = append(lines, doc)
	}
	return a.emit(t, docs, lines)
}

func (a *app) describeTable(tables []lake.Table, name string) error {
	i := slices.IndexFunc(tables, func(t lake.Table) bool { return t.Name == name })
	if i < 0 {
		var names []string
		for _, t := range tables {
			names = append(names, t.Name)
		}
		return &problem{
			Title: fmt.Sprintf("there is no table %q%s", name, didYouMean(name, names)),
			Fix:   []string{"andiron tables"}, Exit: exitNotFound,
		}
	}
	x := tables[i]
	t := table{columns: []string{"column", "type", "from"}}
	doc := tableJSON{Table: x.Name, Rows: x.Rows, About: x.About}
	var lines []any
	for _, c := range x.Columns {
		t.add(c.Name, c.Type, c.Path)
		col := columnJSON{c.Name, c.Type, c.Path}
		doc.Columns = append(doc.Columns, col)
		lines = append(lines, col)
	}
	if a.format() == "table" {
		a.say("%s (%s): %s", x.Name, count(x.Rows, "row", "rows"), x.About)
	}
	return a.emit(t, doc, lines)
}
