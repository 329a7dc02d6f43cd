// Package population makes the patients of the simulated Epic: charts as a health system keeps
// them, in the shapes that Epic's FHIR R4 server gives them, and not one of them a real person.
//
// # The same everywhere
//
// A [Population] is a pure function of its [Config]. Equal Seed, Patients and Now give equal
// bytes (in theory another processor architecture may round a measured value the other way).
// Patient k does not depend on how many patients there are, so the first 200 of 1000 are
// the 200. The first patients are [People] with fixed ids and a story each, the same under
// every seed; practitioners, places and drugs are the same too.
//
// # What a chart holds
//
// Visits over the last years, and what follows from them: vital signs, problems, orders, results
// with trends, notes, plans. Diseases move what they move in life: diabetes the HbA1c, kidney
// disease the eGFR, a statin the LDL, warfarin the INR. It is made for software, and no use for
// medicine: shares and trends are plausible, not measured.
//
// # What is Epic's about it
//
// No meta. References are relative and carry a display. Codes come with the customer's own under
// [OIDRoot]. Results are quantities (with a full unit, a unit text, or no unit), codes, strings,
// or absent for a stated reason; decimals are literal, 7.0 stays 7.0. Ids have the length and
// form of their type, see [Scheme].
//
// # Speed
//
// Charts are made when asked for. [Population.Chart] makes one, [Population.All] makes all of
// them on every processor and yields them in order.
package population

import (
	"iter"
	"runtime"
	"time"

	"github.com/andironhq/andiron/r4"
)

// DefaultPatients is the size of a population whose Config does not say.
const DefaultPatients = 200

// DefaultNow is the day on which a population ends when its Config does not say. It is fixed so
// that examples and tests see the same dates for ever.
var DefaultNow = time.Date(2026, time.September, 1, 12, 0, 0, 0, time.UTC)

// Config says which population. The zero value is 200 patients of seed 0 at [DefaultNow].
type Config struct {
	// Seed picks the generated patients. The named ones do not change with it.
	Seed uint64

	// Patients is the size, the named patients included, who always come first. Zero means
	// [DefaultPatients]; below zero means none, only practitioners, places and drugs.
	Patients int

	// Now is the population's today: nothing has happened after it, except that appointments
	// are booked. Ages follow it, those of the named patients too: a birthday keeps its day and
	// moves by whole years. Zero means [DefaultNow].
	Now time.Time

	// Scheme is the form of the ids. Empty means [Unlimited].
	Scheme Scheme

	// GuideExtensions puts the extension patient-merge-unmerge-status on every Patient. An
	// integration guide describes it; no recording of Epic shows it, so it is off by default.
	GuideExtensions bool
}

// Resource is one resource as the server holds it.
type Resource struct {
	// Type and ID are those of the resource.
	Type, ID string

	// Patient is the id of the patient whose chart holds it, a Patient's own id for that
	// resource, and empty for what belongs to nobody: practitioners, places, payers, drugs.
	Patient string

	// API is the part of the type that Epic licenses by itself, such as "Labs" of Observation
	// or "Clinical Notes" of DocumentReference and Binary. Empty where a type is not divided.
	API string

	// JSON is the resource, compact. It is shared: do not change it.
	JSON []byte
}

// Population is a set of charts. Its methods may be called from several goroutines.
type Population struct {
	config    Config
	directory *directory
}

// New describes a population. It makes no chart yet.
func New(config Config) *Population {
	if config.Patients == 0 {
		config.Patients = DefaultPatients
	}
	if config.Now.IsZero() {
		config.Now = DefaultNow
	}
	config.Now = config.Now.UTC().Truncate(time.Second)
	if config.Scheme == "" {
		config.Scheme = Unlimited
	}
	p := &Population{config: config}
	p.directory = newDirectory(config.Scheme)
	return p
}

// Len is the number of patients.
func (p *Population) Len() int { return max(0, p.config.Patients) }

// Now is the population's today, see [Config].
func (p *Population) Now() time.Time { return p.config.Now }

// PatientID is the id of patient k, 0 <= k < Len. It makes no chart.
func (p *Population) PatientID(k int) string {
	if k < len(people) {
		return people[k].ID
	}
	return makeID(shortForm, mix(p.config.Seed, uint64(k), hashString("Patient")))
}

// Directory is what no patient owns: organizations, locations, practitioners and their roles,
// medications. Charts refer to it.
func (p *Population) Directory() []Resource { return p.directory.resources }

// Chart makes the chart of patient k, 0 <= k < Len: first the Patient, then the rest.
func (p *Population) Chart(k int) []Resource {
	c := newChart(p, k)
	if k < len(people) {
		people[k].build(c)
	} else {
		c.generate()
	}
	return c.resources
}

// Merged maps the id of a patient record that was merged away to the id that survived. The
// former has no chart: Epic answers its read with 4107 and a redirect.
func (p *Population) Merged() map[string]string {
	merged := map[string]string{}
	for k := range min(p.Len(), len(people)) {
		for _, id := range people[k].merged {
			merged[id] = people[k].ID
		}
	}
	return merged
}

// All yields the directory and then every chart in order. Charts are made ahead on as many
// processors as there are; it holds few of them at a time.
func (p *Population) All() iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		for _, r := range p.Directory() {
			if !yield(r) {
				return
			}
		}
		for chart := range p.charts() {
			for _, r := range chart {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// charts yields chart after chart. Each has a channel of its own, and so their order does not
// depend on which worker is faster.
func (p *Population) charts() iter.Seq[[]Resource] {
	return func(yield func([]Resource) bool) {
		type job struct {
			k    int
			done chan []Resource
		}
		workers := runtime.GOMAXPROCS(0)
		jobs := make(chan job)
		order := make(chan chan []Resource, 4*workers)
		stop := make(chan struct{})
		defer close(stop)

		for range workers {
			go func() {
				for j := range jobs {
					j.done <- p.Chart(j.k)
				}
			}()
		}
		go func() {
			defer close(jobs)
			defer close(order)
			for k := range p.Len() {
				done := make(chan []Resource, 1)
				select {
				case order <- done:
				case <-stop:
					return
				}
				select {
				case jobs <- job{k, done}:
				case <-stop:
					return
				}
			}
		}()
		for done := range order {
			if !yield(<-done) {
				return
			}
		}
	}
}

// writer encodes resources one behind the other into chunks, which spares an allocation and a
// copy for each.
type writer struct{ chunk []byte }

const (
	chunkSize = 32 << 10
	chunkRest = 4 << 10 // less than this left: begin another chunk
)

func (w *writer) write(patient, api string, resource r4.Resource) Resource {
	if cap(w.chunk)-len(w.chunk) < chunkRest {
		w.chunk = make([]byte, 0, chunkSize)
	}
	start := len(w.chunk)
	data, err := r4.Append(w.chunk, resource)
	if err != nil {
		panic("population: a generated " + resource.ResourceType() + " does not encode: " + err.Error())
	}
	w.chunk = data
	return Resource{Type: resource.ResourceType(), ID: resource.GetID(), Patient: patient, API: api, JSON: data[start:len(data):len(data)]}
}
