package sim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/andironhq/andiron/epic"
)

// moreConditionCategories are recognised beside those of the record: the names of Epic's
// sub-APIs of Condition (medium).
var moreConditionCategories = []string{"infection", "medical-history", "reason-for-visit", "genomics", "dental-finding"}

// carePlanRefusal lists the categories as Epic does in its refusal (capture, high).
func carePlanRefusal() string {
	var list []string
	for _, c := range epic.Categories("CarePlan") {
		list = append(list, c.Code+" for "+c.Name)
	}
	last := len(list) - 1
	return "This resource requires a category for searching. Use " + strings.Join(list[:last], ", ") + ", or " + list[last] + "."
}

// vocabulary returns the categories that a type's search recognises; nil means any.
func vocabulary(typ string) []string {
	var list []string
	switch typ {
	case "Condition":
		list = append(list, moreConditionCategories...)
	case "Observation", "MedicationRequest", "MedicationDispense", "CarePlan":
	default:
		return nil
	}
	for _, c := range epic.Categories(typ) {
		list = append(list, c.Code)
	}
	return list
}

// planCategory reads the categories of a search. An unknown one is a remark; if none is
// left where a category is required, the search fails (captures, high). MedicationRequest has a
// code of its own for it (Epic's error-code page, high).
func (s *Server) planCategory(p *plan) *refusal {
	q := p.query
	known := vocabulary(q.typ)
	values := q.values("category")
	if len(values) == 0 || !s.declaresParam(q.typ, "category") {
		return nil
	}
	p.categories = []string{}
	var bad []string
	for _, v := range values {
		for _, one := range alternatives(v) {
			if word := lastToken(one); known == nil || slices.Contains(known, word) {
				p.categories = append(p.categories, word)
			} else {
				bad = append(bad, word)
			}
		}
	}
	for _, word := range bad {
		i := say("59109", "Invalid category: "+clip(word), "category")
		if q.typ == "MedicationRequest" || q.typ == "MedicationDispense" {
			i = say("59101", "Invalid category: "+clip(word), "category")
		}
		p.info = append(p.info, i)
	}
	needed := q.typ == "CarePlan" || q.typ == "Observation" && !q.has("code")
	if len(p.categories) == 0 && needed && p.patient != "" {
		return &refusal{http.StatusBadRequest, outcome{
			say("59111", "Required search parameter is provided but has an invalid value"),
		}}
	}
	return nil
}

// categoryValues drops the unknown ones from a value.
func (s *Server) categoryValues(p *plan, value string) []string {
	var list []string
	for _, one := range alternatives(value) {
		if slices.Contains(p.categories, lastToken(one)) {
			list = append(list, one)
		}
	}
	return list
}

// categoriesAt reads the category codes without decoding the rest.
func (s *Server) categoriesAt(at int32) []string {
	b, err := s.store.bytes(at)
	if err != nil {
		return nil
	}
	var category any
	_ = members(b, func(name, value []byte, _ int) error {
		if string(name) == "category" {
			return json.Unmarshal(value, &category)
		}
		return nil
	})
	if category == nil {
		return nil
	}
	return categoriesOf(map[string]any{"category": category})
}

// categoriesOf collects the category codes of a resource.
func categoriesOf(resource map[string]any) []string {
	var list []string
	for _, path := range []string{"category.coding.code", "category.text"} {
		for _, v := range walk(resource, strings.Split(path, ".")) {
			if text, ok := v.(string); ok {
				list = append(list, text)
			}
		}
	}
	return list
}
