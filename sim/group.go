package sim

import (
	"encoding/binary"
	"hash/fnv"
	"strings"
)

// Group is a set of patients that can be exported. At Epic groups come from registries and
// reports, their ids arrive out of band, and no API lists them (medium); so it is here.
type Group struct {
	// ID is the id in Epic's form.
	ID string
	// Name says what the group is.
	Name string
	// Patients are the ids of its members.
	Patients []string
}

// groupID is the id of a named group: the same for one seed, in the form of 45 characters that
// recorded group ids have.
func groupID(seed uint64, name string) string {
	h := fnv.New128a()
	_ = binary.Write(h, binary.BigEndian, seed)
	_, _ = h.Write([]byte(name))
	first := h.Sum(nil)
	_, _ = h.Write([]byte(name))
	return epicID(h.Sum(first), 45)
}

// registries are groups by diagnosis, as a health system keeps them: members have a Condition
// with one of the codes (the beginning of an ICD-10-CM code, or a whole SNOMED CT code).
var registries = []struct {
	name   string
	icd    string
	snomed []string
}{
	{"Diabetes registry", "E11", []string{"44054006"}},
	{"Hypertension registry", "I10", []string{"38341003", "59621000"}},
}

// Group is the id of the group that holds all patients.
func (s *Server) Group() string { return groupID(s.Seed, "All patients") }

// Groups lists the groups: all patients, and a registry for each of two diagnoses where the
// population has it.
func (s *Server) Groups() ([]Group, error) {
	if err := s.Open(); err != nil {
		return nil, err
	}
	s.groupsOnce.Do(func() {
		s.groups = []Group{{s.Group(), "All patients", s.store.patients}}
		members := make([]map[string]bool, len(registries))
		for _, at := range s.store.all("Condition") {
			resource, err := s.decode(at)
			if err != nil {
				continue
			}
			for _, v := range walk(resource, []string{"code", "coding"}) {
				for i := range registries {
					if o, ok := v.(map[string]any); ok && registryHas(i, o) {
						if members[i] == nil {
							members[i] = map[string]bool{}
						}
						members[i][s.store.entries[at].patient] = true
					}
				}
			}
		}
		for i, set := range members {
			if len(set) == 0 {
				continue
			}
			g := Group{ID: groupID(s.Seed, registries[i].name), Name: registries[i].name}
			for _, id := range s.store.patients {
				if set[id] {
					g.Patients = append(g.Patients, id)
				}
			}
			s.groups = append(s.groups, g)
		}
	})
	return s.groups, nil
}

func registryHas(i int, coding map[string]any) bool {
	system, _ := coding["system"].(string)
	code, _ := coding["code"].(string)
	switch {
	case sameSystem(system, "http://hl7.org/fhir/sid/icd-10-cm"):
		return strings.HasPrefix(code, registries[i].icd)
	case sameSystem(system, "http://snomed.info/sct"):
		for _, one := range registries[i].snomed {
			if code == one {
				return true
			}
		}
	}
	return false
}

func (s *Server) group(id string) (Group, bool) {
	if id == s.Group() { // without looking for the registries
		return Group{id, "All patients", s.store.patients}, true
	}
	groups, _ := s.Groups()
	for _, g := range groups {
		if g.ID == id {
			return g, true
		}
	}
	return Group{}, false
}

// backgroundUser is the Practitioner that backend apps act as: the first of the population.
func (s *Server) backgroundUser() string {
	if list := s.store.all("Practitioner"); len(list) > 0 {
		return s.store.entries[list[0]].id
	}
	return epicID([]byte("background user of the sim"), 24)
}
