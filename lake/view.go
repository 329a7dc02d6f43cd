package lake

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/andironhq/andiron/r4"
)

// view is one table and the way from a resource to its rows. Go column lists build the views
// of this package; whatever else can name its columns and turn a resource into rows (a compiled
// ViewDefinition of SQL on FHIR, say) can stand beside them.
type view struct {
	table    string // lower case, as analysts type it
	resource string // the resource type whose lines it reads
	about    string // one sentence, kept in the database as the table's comment
	key      string // the column that holds the resource's id
	revision int    // raise it when a value changes its meaning and the columns do not
	columns  []Column
	rows     func(r4.Resource) []row // none for a resource of another type
}

// row is the values of one row, as the driver takes them; the loader adds where it came from.
type row = []driver.Value

const provenanceColumns = 3

// hash changes with everything that makes rows loaded before differ from rows loaded now.
func (v *view) hash() string {
	h := sha256.New()
	fmt.Fprintln(h, v.table, v.resource, v.about, v.revision)
	for _, c := range v.columns {
		fmt.Fprintln(h, c.Name, c.Type, c.Path)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// views are the tables of this package, in the order in which Tables shows them.
func views() []*view {
	return []*view{
		patientView(), encounterView(), conditionView(), observationView(), observationComponentView(),
		medicationRequestView(), allergyIntoleranceView(), immunizationView(), diagnosticReportView(),
		documentReferenceView(), procedureView(), carePlanView(), appointmentView(),
	}
}

// column is one column over values of type T: the resource itself, or what a child table repeats.
type column[T any] struct {
	Column
	value func(*T) any // nil is NULL; string, bool, int64, float64, time.Time or []string otherwise
}

// columns is what the constructors below return, so that one line may stand for several columns.
type columns[T any] []column[T]

// perResource builds a view with exactly one row for each resource.
func perResource[T any, R r4.ResourcePtr[T]](table, about string, lists ...columns[T]) *view {
	var all columns[T]
	for _, l := range lists {
		all = append(all, l...)
	}
	v := &view{table: table, resource: R(new(T)).ResourceType(), about: about, key: "id"}
	for _, c := range all {
		v.columns = append(v.columns, c.Column)
	}
	v.rows = func(res r4.Resource) []row {
		r, ok := res.(R)
		if !ok {
			return nil
		}
		cells := make(row, len(all), len(all)+provenanceColumns)
		for i, c := range all {
			cells[i] = c.value((*T)(r))
		}
		return []row{cells}
	}
	return v
}

// item is one element of a repeating element, with the resource that it belongs to.
type item[T, E any] struct {
	resource *T
	position int // from 1
	element  *E
}

// perElement builds a child table: one row for each element that list finds in a resource. The
// first column, named key, holds the resource's id.
func perElement[T, E any, R r4.ResourcePtr[T]](
	table, about, key string, list func(*T) []E, lists ...columns[item[T, E]],
) *view {
	var all columns[item[T, E]]
	for _, l := range lists {
		all = append(all, l...)
	}
	v := &view{table: table, resource: R(new(T)).ResourceType(), about: about, key: key}
	for _, c := range all {
		v.columns = append(v.columns, c.Column)
	}
	v.rows = func(res r4.Resource) []row {
		r, ok := res.(R)
		if !ok {
			return nil
		}
		var rows []row
		elements := list((*T)(r))
		for n := range elements {
			it := &item[T, E]{resource: (*T)(r), position: n + 1, element: &elements[n]}
			cells := make(row, len(all), len(all)+provenanceColumns)
			for i, c := range all {
				cells[i] = c.value(it)
			}
			rows = append(rows, cells)
		}
		return rows
	}
	return v
}

// The SQL types in use.
const (
	sqlText    = "VARCHAR"
	sqlTexts   = "VARCHAR[]"
	sqlBoolean = "BOOLEAN"
	sqlInteger = "BIGINT"
	sqlDouble  = "DOUBLE"
	sqlInstant = "TIMESTAMP WITH TIME ZONE"
	sqlDay     = "DATE"
)

func one[T any](name, typ, path string, value func(*T) any) columns[T] {
	return columns[T]{{Column{Name: name, Type: typ, Path: path}, value}}
}

// text is a VARCHAR column; "" is NULL.
func text[T any, S ~string](name, path string, f func(*T) S) columns[T] {
	return one(name, sqlText, path, func(t *T) any { return orNull(string(f(t))) })
}

// texts is a VARCHAR[] column; an empty list is NULL, so that IS NULL finds it.
func texts[T any](name, path string, f func(*T) []string) columns[T] {
	return one(name, sqlTexts, path, func(t *T) any {
		if l := f(t); len(l) > 0 {
			return l
		}
		return nil
	})
}

// boolean is a BOOLEAN column.
func boolean[T any](name, path string, f func(*T) r4.Boolean) columns[T] {
	return one(name, sqlBoolean, path, func(t *T) any { return boolOrNull(f(t)) })
}

// integer is a BIGINT column; text that is no integer is NULL.
func integer[T any, S ~string](name, path string, f func(*T) S) columns[T] {
	return one(name, sqlInteger, path, func(t *T) any { return intOrNull(string(f(t))) })
}

// count is a BIGINT column that is never NULL.
func count[T any](name, path string, f func(*T) int) columns[T] {
	return one(name, sqlInteger, path, func(t *T) any { return int64(f(t)) })
}

// decimal is a DOUBLE column to calculate with.
func decimal[T any](name, path string, f func(*T) r4.Decimal) columns[T] {
	return one(name, sqlDouble, path, func(t *T) any { return floatOrNull(f(t)) })
}

// literal is decimal and, beside it, name_literal: the number as it was written.
func literal[T any](name, path string, f func(*T) r4.Decimal) columns[T] {
	return append(decimal(name, path, f), text(name+"_literal", path+" as written", f)...)
}

// moment is a TIMESTAMPTZ column and, beside it, name_text: the date as it was written, which may
// name no more than a year. The timestamp is the first instant that the text can mean.
func moment[T any, S ~string](name, path string, f func(*T) S) columns[T] {
	return append(instant(name, path, f), text(name+"_text", path+" as written", f)...)
}

// instant is a TIMESTAMPTZ column alone, for elements that are always written in full.
func instant[T any, S ~string](name, path string, f func(*T) S) columns[T] {
	return one(name, sqlInstant, path, func(t *T) any { return instantOrNull(string(f(t))) })
}

// day is a DATE column and name_text beside it. The day is the first one that the text can mean.
func day[T any, S ~string](name, path string, f func(*T) S) columns[T] {
	return append(
		one(name, sqlDay, path, func(t *T) any { return dayOrNull(string(f(t))) }),
		text(name+"_text", path+" as written", f)...)
}

// concept is three columns for one coded value: name, name_system and name_display. Of several
// codings the one in the first preferred system that occurs is taken, else the first with a code.
func concept[T any](name, path string, f func(*T) *r4.CodeableConcept, systems ...string) columns[T] {
	return columns[T]{
		{Column{name, sqlText, path + ".coding.code"}, func(t *T) any { return orNull(pick(f(t), systems).Code) }},
		{Column{name + "_system", sqlText, path + ".coding.system"}, func(t *T) any { return orNull(systemOf(pick(f(t), systems))) }},
		{Column{name + "_display", sqlText, path + ".coding.display, else .text"}, func(t *T) any { return orNull(display(f(t), systems)) }},
	}
}

// renamed gives the first of several columns another name.
func renamed[T any](l columns[T], name string) columns[T] {
	l[0].Name = name
	return l
}

// label is concept without the system, for coded values whose code system FHIR itself fixes.
func label[T any](name, path string, f func(*T) *r4.CodeableConcept, systems ...string) columns[T] {
	c := concept(name, path, f, systems...)
	return columns[T]{c[0], c[2]}
}

// subject is what a resource is about: the columns code, code_system, code_display, code_text and
// codings, the same five in each table.
func subject[T any](path string, f func(*T) *r4.CodeableConcept, systems ...string) columns[T] {
	c := concept("code", path, f, systems...)
	c = append(c, text("code_text", path+".text", func(t *T) string { return conceptText(f(t)) })...)
	return append(c, texts("codings", path+".coding as system|code", func(t *T) []string { return tokens(f(t)) })...)
}

// link is two columns for one reference: name_id, the id when the reference is to typ, and name,
// what the server calls the thing.
func link[T any](name, path, typ string, f func(*T) *r4.Reference) columns[T] {
	return append(
		text(name+"_id", path+".reference", func(t *T) string { return idOf(f(t), typ) }),
		text(name, path+".display", func(t *T) string { return called(f(t)) })...)
}

// id is one column for a reference to typ.
func id[T any](name, path, typ string, f func(*T) *r4.Reference) columns[T] {
	return text(name, path+".reference", func(t *T) string { return idOf(f(t), typ) })
}

// ids is a VARCHAR[] column of the ids of references to typ; "" takes any type.
func ids[T any](name, path, typ string, f func(*T) []r4.Reference) columns[T] {
	return texts(name, path+".reference", func(t *T) []string {
		var l []string
		refs := f(t)
		for i := range refs {
			if id := idOf(&refs[i], typ); id != "" {
				l = append(l, id)
			}
		}
		return l
	})
}

// quoted is a name as SQL takes it whatever it holds.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quotedText is a text literal of SQL.
func quotedText(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }
