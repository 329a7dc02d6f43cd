package sim

import (
	"errors"
	"io"
	"sort"
)

// store holds the resources: their bytes in segments (memory or files), and an index of what
// lies where. It never changes after loading.
type store struct {
	segments []io.ReaderAt
	closers  []io.Closer
	entries  []entry
	typeName []string
	typeNo   map[string]uint16
	byID     map[key]int32
	byType   [][]int32
	// byPatient lists what belongs to a patient, by the patient's id, in loading order.
	byPatient map[string][]int32
	patients  []string // ids in loading order
	doubles   int      // lines whose (type, id) had come before
}

// entry locates one resource's bytes.
type entry struct {
	offset  int64
	id      string
	patient string
	length  uint32
	segment uint16
	typ     uint16
}

type key struct {
	typ uint16
	id  string
}

func newStore() *store {
	return &store{typeNo: map[string]uint16{}, byID: map[key]int32{}, byPatient: map[string][]int32{}}
}

// put adds a resource that lies in a segment.
func (s *store) put(f found, segment int, offset int64, length int) {
	no, ok := s.typeNo[f.typ]
	if !ok {
		no = uint16(len(s.typeName))
		s.typeNo[f.typ] = no
		s.typeName = append(s.typeName, f.typ)
		s.byType = append(s.byType, nil)
	}
	at := int32(len(s.entries))
	s.entries = append(s.entries, entry{
		offset: offset, length: uint32(length),
		id: f.id, patient: f.patient, segment: uint16(segment), typ: no,
	})
	s.byType[no] = append(s.byType[no], at)
	if f.patient != "" {
		s.byPatient[f.patient] = append(s.byPatient[f.patient], at)
	}
	k := key{no, f.id}
	if _, again := s.byID[k]; again {
		s.doubles++
	} else if f.typ == "Patient" {
		s.patients = append(s.patients, f.id)
	}
	s.byID[k] = at
}

// bytes reads a resource.
func (s *store) bytes(at int32) ([]byte, error) {
	e := s.entries[at]
	b := make([]byte, e.length)
	_, err := s.segments[e.segment].ReadAt(b, e.offset)
	if errors.Is(err, io.EOF) {
		err = nil // a read that ends at the end of a file may say so
	}
	return b, err
}

// find returns the place of a resource.
func (s *store) find(typ, id string) (int32, bool) {
	no, ok := s.typeNo[typ]
	if !ok {
		return 0, false
	}
	at, ok := s.byID[key{no, id}]
	return at, ok
}

// all lists the resources of a type in loading order.
func (s *store) all(typ string) []int32 {
	if no, ok := s.typeNo[typ]; ok {
		return s.byType[no]
	}
	return nil
}

// ofPatient lists the resources of a type that belong to a patient.
func (s *store) ofPatient(typ, patient string) []int32 {
	no, ok := s.typeNo[typ]
	if !ok {
		return nil
	}
	var list []int32
	for _, at := range s.byPatient[patient] {
		if s.entries[at].typ == no {
			list = append(list, at)
		}
	}
	return list
}

func (s *store) typeOf(at int32) string { return s.typeName[s.entries[at].typ] }

// types lists the types found, by name.
func (s *store) types() []string {
	list := append([]string(nil), s.typeName...)
	sort.Strings(list)
	return list
}

func (s *store) close() error {
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
