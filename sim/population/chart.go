package population

import (
	"time"

	"github.com/andironhq/andiron/r4"
)

// chart is one patient's record in the making. Stories and the generator drive it through its
// verbs (visit, vitals, results, prescribe, write …); each verb adds finished resources.
type chart struct {
	rng
	population *Population
	directory  *directory
	now        time.Time
	seed       uint64 // of the ids

	who     person
	subject *r4.Reference
	body    body

	resources []Resource
	out       writer
	serial    map[string]uint64
	problems  []*problem
	allergic  []string // keys of documented allergens
	index     int
}

func newChart(p *Population, k int) *chart {
	seed := mix(p.config.Seed, uint64(k))
	if k < len(people) {
		// A named patient is the same under every seed.
		seed = mix(directorySeed, uint64(k))
	}
	return &chart{
		rng:        rng{mix(seed, 1)},
		population: p,
		directory:  p.directory,
		now:        p.config.Now,
		seed:       mix(seed, 2),
		resources:  make([]Resource, 0, 160),
		serial:     make(map[string]uint64, 24),
		index:      k,
	}
}

// id makes the next id of a kind: a resource type, or one of the kinds with a form of their own.
func (c *chart) id(kind string) string {
	c.serial[kind]++
	return makeID(formOf(c.population.config.Scheme, kind), mix(c.seed, hashString(kind), c.serial[kind]))
}

// number makes the next record number of a kind, such as a contact serial number.
func (c *chart) number(kind string, width int) string {
	c.serial[kind]++
	return number(width, mix(c.seed, hashString(kind), c.serial[kind]))
}

func (c *chart) add(api string, r r4.Resource) {
	c.resources = append(c.resources, c.out.write(c.who.id, api, r))
}

func (c *chart) practitioner(key string) *practitioner { return c.directory.practitioners[key] }

// ago is a time before the population's today, at a clock time in working hours (UTC).
func (c *chart) ago(yearsAgo, months, days int) time.Time {
	t := c.now.AddDate(-yearsAgo, -months, -days)
	return at(t, 14+c.below(7), 5*c.below(12))
}

// within keeps a time between the patient's birth and the population's today.
func (c *chart) within(t time.Time) time.Time {
	if t.Before(c.who.birth) {
		return c.who.birth
	}
	if t.After(c.now) {
		return c.now
	}
	return t
}

func at(t time.Time, hour, minute int) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), hour, minute, 0, 0, time.UTC)
}

// age is the patient's age in years at a time.
func (c *chart) age(t time.Time) float64 { return years(c.who.birth, t) }

func (c *chart) ageInMonths(t time.Time) float64 { return 12 * c.age(t) }
