package sim

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/andironhq/andiron/sim/population"
)

// generate fills the store with the generated population.
func (s *Server) generate(st *store) error {
	p := population.New(s.populationConfig())
	out := &spool{store: st, temp: s.TempDir, limit: memoryMax}
	for r := range p.All() {
		if len(st.entries) == math.MaxInt32 {
			return errors.New("sim: more resources than the index can hold")
		}
		segment, offset, err := out.add(r.JSON)
		if err != nil {
			return fmt.Errorf("sim: population: %w", err)
		}
		st.put(found{r.Type, r.ID, r.Patient}, segment, offset, len(r.JSON))
	}
	s.today = p.Now()
	for old, survivor := range p.Merged() {
		if s.Merged == nil {
			s.Merged = map[string]string{}
		}
		if _, set := s.Merged[old]; !set {
			s.Merged[old] = survivor
		}
	}
	return nil
}

func (s *Server) populationConfig() population.Config {
	c := population.Config{Seed: s.Seed, Patients: s.Patients, Now: s.Today, GuideExtensions: s.knobs.MergeStatus}
	if s.knobs.IDScheme == "limited64" {
		c.Scheme = population.Limited
	}
	return c
}

// todayIs is the day by which appointments are past or to come: that of the generated
// population, moved by Advance, or with data of the user's own that of the clock.
func (s *Server) todayIs() time.Time {
	if s.today.IsZero() {
		return s.clock.now()
	}
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	return s.today.Add(s.clock.advance)
}

// spool takes the resources of a generated population: into memory up to a limit, then into
// a file without a name.
type spool struct {
	store  *store
	temp   string
	limit  int64
	chunk  []byte
	number int // of the segment being filled, plus one
	total  int64
	file   *os.File
	offset int64
}

const (
	chunkSize = 8 << 20
	memoryMax = 128 << 20
)

// memory is a segment that may still grow; what was handed out does not change.
type memory struct{ b []byte }

// ReadAt serves [io.ReaderAt].
func (m *memory) ReadAt(p []byte, at int64) (int, error) {
	if at >= int64(len(m.b)) {
		return 0, io.EOF
	}
	n := copy(p, m.b[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (o *spool) add(b []byte) (segment int, offset int64, err error) {
	if len(b) > math.MaxUint32 {
		return 0, 0, errors.New("a resource is longer than 4 GB")
	}
	if o.total += int64(len(b)); o.total > o.limit {
		return o.addToFile(b)
	}
	st := o.store
	if o.number == 0 || len(o.chunk)+len(b) > cap(o.chunk) {
		o.chunk = make([]byte, 0, max(chunkSize, len(b)))
		st.segments = append(st.segments, &memory{})
		o.number = len(st.segments)
	}
	offset = int64(len(o.chunk))
	o.chunk = append(o.chunk, b...)
	st.segments[o.number-1] = &memory{o.chunk}
	return o.number - 1, offset, nil
}

func (o *spool) addToFile(b []byte) (int, int64, error) {
	if o.file == nil {
		file, err := os.CreateTemp(o.temp, "andiron-sim-*")
		if err != nil {
			return 0, 0, err
		}
		_ = os.Remove(file.Name())
		o.file = file
		o.store.closers = append(o.store.closers, file)
		o.store.segments = append(o.store.segments, file)
		o.number = len(o.store.segments)
	}
	at := o.offset
	n, err := o.file.WriteAt(b, at)
	o.offset += int64(n)
	return o.number - 1, at, err
}
