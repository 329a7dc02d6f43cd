package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/knadh/koanf/parsers/toml/v2"
)

// tomlFile changes single lines of a TOML file and leaves all others, comments included, as
// they are. It knows as much TOML as andiron.toml needs: tables with plain names and values on
// one line. Where a file has more than that, set notices and refuses.
type tomlFile struct {
	lines []string
}

func newTOMLFile(text string) *tomlFile {
	if text == "" {
		return &tomlFile{}
	}
	return &tomlFile{lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
}

func (t *tomlFile) String() string {
	if len(t.lines) == 0 {
		return ""
	}
	return strings.Join(t.lines, "\n") + "\n"
}

// header is the name in "[name]", or "" on any other line.
func header(line string) string {
	line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "[") || strings.HasPrefix(line, "[[") || !strings.HasSuffix(line, "]") {
		return ""
	}
	parts := strings.Split(line[1:len(line)-1], ".")
	for i, p := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(p), `"'`)
	}
	return strings.Join(parts, ".")
}

// span is the lines of a table: from its header (-1 for the file's beginning) to the one
// before the next header. ok is false when there is no such table.
func (t *tomlFile) span(table string) (head, end int, ok bool) {
	head = -1
	ok = table == ""
	for i, line := range t.lines {
		h := header(line)
		switch {
		case h == "":
		case ok:
			return head, i, true
		case h == table:
			head, ok = i, true
		}
	}
	return head, len(t.lines), ok
}

// find is the index of "name = …" in a table, or -1.
func (t *tomlFile) find(table, name string) int {
	head, end, ok := t.span(table)
	if !ok {
		return -1
	}
	for i := head + 1; i < end; i++ {
		left, _, found := strings.Cut(t.lines[i], "=")
		if found && strings.Trim(strings.TrimSpace(left), `"'`) == name {
			return i
		}
	}
	return -1
}

// line is the number of the line, from 1, of a key or, with name "", of a table's header; 0
// when it is not found.
func (t *tomlFile) line(table, name string) int {
	if name == "" {
		head, _, ok := t.span(table)
		if !ok {
			return 0
		}
		return head + 1
	}
	return t.find(table, name) + 1
}

// set gives a key in a table a value, and makes the table when there is none.
func (t *tomlFile) set(table, name, value string) {
	assignment := name + " = " + value
	if i := t.find(table, name); i >= 0 {
		if comment := trailingComment(t.lines[i]); comment != "" {
			assignment += " " + comment
		}
		t.lines[i] = assignment
		return
	}
	head, end, ok := t.span(table)
	if !ok {
		if len(t.lines) > 0 && strings.TrimSpace(t.lines[len(t.lines)-1]) != "" {
			t.lines = append(t.lines, "")
		}
		t.lines = append(t.lines, "["+table+"]", assignment)
		return
	}
	// After the table's last key; what follows it belongs to the next table's comment.
	at := head + 1
	for i := head + 1; i < end; i++ {
		if s := strings.TrimSpace(t.lines[i]); s != "" && !strings.HasPrefix(s, "#") {
			at = i + 1
		}
	}
	if head < 0 && at == 0 { // nothing but comments so far: the file's opening comment stays on top
		for at < end && strings.HasPrefix(strings.TrimSpace(t.lines[at]), "#") {
			at++
		}
	}
	t.lines = append(t.lines[:at], append([]string{assignment}, t.lines[at:]...)...)
}

// unset removes a key, or with name "" a whole table.
func (t *tomlFile) unset(table, name string) {
	if name != "" {
		if i := t.find(table, name); i >= 0 {
			t.lines = append(t.lines[:i], t.lines[i+1:]...)
		}
		return
	}
	head, end, ok := t.span(table)
	if !ok || head < 0 {
		return
	}
	// Comments directly above the next header belong to that one.
	for end > head+1 && end < len(t.lines) {
		s := strings.TrimSpace(t.lines[end-1])
		if !strings.HasPrefix(s, "#") {
			break
		}
		end--
	}
	t.lines = append(t.lines[:head], t.lines[end:]...)
	for len(t.lines) > 0 && strings.TrimSpace(t.lines[len(t.lines)-1]) == "" {
		t.lines = t.lines[:len(t.lines)-1]
	}
}

// trailingComment is the comment behind a value on one line.
func trailingComment(line string) string {
	var quote rune
	escaped := false
	for i, c := range line {
		switch {
		case escaped:
			escaped = false
		case quote == '"' && c == '\\':
			escaped = true
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#':
			return line[i:]
		}
	}
	return ""
}

// editTOML changes a text. change makes the change twice: in the file's lines, and in what they
// must say afterwards. Where the two differ the file is left alone.
func editTOML(text string, change func(t *tomlFile, want map[string]any)) (string, error) {
	want, err := parseTOML(text)
	if err != nil {
		return "", err
	}
	t := newTOMLFile(text)
	change(t, want)
	got, err := parseTOML(t.String())
	if err != nil || fmt.Sprintf("%#v", prune(got)) != fmt.Sprintf("%#v", prune(want)) {
		return "", usagef("the file is written in a way that this command cannot change; edit it by hand")
	}
	return t.String(), nil
}

func parseTOML(text string) (map[string]any, error) {
	m, err := toml.Parser().Unmarshal([]byte(text))
	if err != nil {
		return nil, usagef("the configuration file is not TOML")
	}
	if m == nil {
		m = map[string]any{}
	}
	return m, nil
}

// prune drops empty tables, which mean nothing in andiron.toml.
func prune(m map[string]any) map[string]any {
	for k, v := range m {
		if t, ok := v.(map[string]any); ok {
			if len(prune(t)) == 0 {
				delete(m, k)
			}
		}
	}
	return m
}

// tomlString is a text as TOML writes it.
func tomlString(s string) string {
	if strings.ContainsAny(s, "\\\"\n\r\t") || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		if !strings.ContainsAny(s, "'\n\r") && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' && c != '\t' }) {
			return "'" + s + "'"
		}
		return strconv.QuoteToASCII(s)
	}
	return `"` + s + `"`
}
