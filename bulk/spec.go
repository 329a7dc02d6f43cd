package bulk

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// spec is what a Job asks for, in a form that compares.
type spec struct {
	Base     string   `json:"base"`
	Level    string   `json:"level"`
	Group    string   `json:"group,omitempty"`
	Types    []string `json:"types,omitempty"`
	Filters  []string `json:"filters,omitempty"`
	Since    string   `json:"since,omitempty"`
	Until    string   `json:"until,omitempty"`
	Elements []string `json:"elements,omitempty"`
	Include  []string `json:"include,omitempty"`
}

func (j *Job) spec() spec {
	level := j.Level
	if level == "" {
		level = "group"
	}
	return spec{
		Base: strings.TrimRight(j.Client.Base, "/"), Level: level, Group: j.Group,
		Types: j.Types, Filters: j.TypeFilters, Since: j.Since, Until: j.Until,
		Elements: j.Elements, Include: j.IncludeAssociatedData,
	}
}

// silent reports a Job that asks for nothing of its own.
func (j *Job) silent() bool {
	return j.Level == "" && j.Group == "" && len(j.Types) == 0 && len(j.TypeFilters) == 0 && j.Since == "" &&
		j.Until == "" && len(j.Elements) == 0 && len(j.IncludeAssociatedData) == 0
}

func (s spec) text() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings alone
	}
	return string(b)
}

// same compares without regard to order.
func (s spec) same(stored string) bool {
	var o spec
	if json.Unmarshal([]byte(stored), &o) != nil {
		return false
	}
	return s.sorted().text() == o.sorted().text()
}

func (s spec) sorted() spec {
	for _, list := range []*[]string{&s.Types, &s.Filters, &s.Elements, &s.Include} {
		*list = slices.Sorted(slices.Values(*list))
		*list = slices.Compact(*list)
	}
	return s
}

// check refuses what can never be sent.
func (s spec) check() error {
	switch s.Level {
	case "group":
		if s.Group == "" {
			return errors.New("no Group given")
		}
		if s.Group == "." || s.Group == ".." || strings.ContainsFunc(s.Group, func(r rune) bool { return r < ' ' }) {
			return errors.New("no possible Group id")
		}
	case "patient", "system":
		if s.Group != "" {
			return fmt.Errorf("a Group with level %s", s.Level)
		}
	default:
		return errors.New("level is none of group, patient, system")
	}
	for _, t := range s.Types {
		if !wellFormed(t) {
			return errors.New("a type is no resource type's name")
		}
	}
	for _, f := range s.Filters {
		if t, _, ok := strings.Cut(f, "?"); !ok || !wellFormed(t) {
			return errors.New("a type filter is not of the form Type?search")
		}
	}
	return nil
}

// wellFormed reports a name that a resource type could have, known or not.
func wellFormed(t string) bool {
	if t == "" || len(t) > 64 || t[0] < 'A' || t[0] > 'Z' {
		return false
	}
	for i := range len(t) {
		if c := t[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}
