package population

import (
	"strconv"
	"time"
)

// Ids of the named patients. They are the same under every seed and every id scheme.
const (
	// RosalindID has type 2 diabetes. Her HbA1c came down over the years and is overdue now.
	RosalindID = "eRosalind.Emberley.SimA3"
	// TheoID has a documented penicillin allergy and sits in a sinusitis visit at this moment.
	TheoID = "eTheo.Marchbanks.SimPop3"
	// WrenID is a child with vital signs from birth on, growth percentiles and vaccines.
	WrenID = "eWren.Halloway.SimChild3"
	// AmbroseID is an old man with heart failure, warfarin, an opioid and interacting drugs.
	AmbroseID = "eAmbrose.Kettlewell.Sim3"
	// JuniperID was never asked about allergies: "Not on File".
	JuniperID = "eJuniper.Saltmarsh.SimE3"
	// BasilID is registered and nothing else: every search of his chart is empty.
	BasilID = "eBasil.Thornquist.Empty3"
	// ImogenID survived a merge with ImogenMergedID.
	ImogenID = "eImogen.Farrow.Survivor3"
	// ImogenMergedID was merged into ImogenID and has no chart of its own.
	ImogenMergedID = "eImogen.Farrow.MergedIn3"
)

// Person is one of the named patients, for banners, documentation and tests.
type Person struct {
	// ID is the Patient id, MRN the medical record number (in the identifier of [MRNSystem]).
	ID, MRN string
	// Given, Family and Gender (male, female) as in the Patient.
	Given, Family, Gender string
	// BirthDate as it is at [DefaultNow], YYYY-MM-DD.
	BirthDate string
	// Login is the name at the simulated MyChart; the simulator decides on passwords.
	Login string
	// Story is the chart in one sentence.
	Story string
}

// People are the named patients in the order of the population: People()[k] is patient k.
func People() []Person {
	list := make([]Person, len(people))
	for i := range people {
		list[i] = people[i].Person
	}
	return list
}

// namedPerson is a Person with the way to make the chart.
type namedPerson struct {
	Person
	born   [3]int // year at DefaultNow, month, day
	more   person // what Person does not say
	merged []string
	story  func(c *chart)
}

var people = func() []namedPerson {
	list := []namedPerson{
		{
			Person: Person{ID: RosalindID, Given: "Rosalind", Family: "Emberley", Gender: "female", Login: "simrosalind", Story: "Type 2 diabetes for seven years: HbA1c from 10 down to 7 on metformin and empagliflozin, last measured 14 months ago and so overdue."},
			born:   [3]int{1968, 3, 14}, more: person{middle: "June", race: 0, pcp: "pcp1", town: 0, street: "12 Hearth Street", married: true}, story: rosalind,
		},
		{
			Person: Person{ID: TheoID, Given: "Theo", Family: "Marchbanks", Gender: "male", Login: "simtheo", Story: "Penicillin allergy with hives, documented two and a half years ago; in urgent care with acute sinusitis right now."},
			born:   [3]int{1991, 11, 2}, more: person{race: 1, pcp: "pcp2", town: 1, street: "4 Fender Road"}, story: theo,
		},
		{
			Person: Person{ID: WrenID, Given: "Wren", Family: "Halloway", Gender: "female", Login: "simwren", Story: "Child with asthma: every well-child visit since birth, growth percentiles (one of them not applicable) and a full vaccine record."},
			born:   [3]int{2018, 5, 9}, more: person{middle: "Ivy", race: 2, ethnicity: 0, pcp: "peds1", town: 2, street: "88 Kindling Drive"}, story: wren,
		},
		{
			Person: Person{ID: AmbroseID, Given: "Ambrose", Family: "Kettlewell", Gender: "male", Login: "simambrose", Story: "Heart failure, atrial fibrillation and kidney disease; warfarin with amiodarone, 60 MME of oxycodone a day with lorazepam, a hospital stay last winter and plans of many kinds."},
			born:   [3]int{1946, 8, 21}, more: person{middle: "Cole", race: 0, pcp: "pcp3", town: 3, street: "1 Mantel Place", married: true}, story: ambrose,
		},
		{
			Person: Person{ID: JuniperID, Given: "Juniper", Family: "Saltmarsh", Gender: "female", Login: "simjuniper", Story: "Seen once for a sprained ankle; allergies \"Not on File\"."},
			born:   [3]int{1999, 1, 27}, more: person{race: 5, ethnicity: 1, spanish: true, pcp: "pcp4", town: 4, street: "30 Flue Avenue"}, story: juniper,
		},
		{
			Person: Person{ID: BasilID, Given: "Basil", Family: "Thornquist", Gender: "male", Story: "Registered and never seen: a Patient and nothing else."},
			born:   [3]int{1985, 7, 19}, more: person{race: 0, ethnicity: 2, town: 0, street: "9 Poker Alley"},
		},
		{
			Person: Person{ID: ImogenID, Given: "Imogen", Family: "Farrow", Gender: "female", Login: "simimogen", Story: "Two records of her were merged; the other id answers with a redirect to this one."},
			born:   [3]int{1979, 12, 5}, more: person{middle: "Blythe", race: 0, pcp: "pcp1", town: 1, street: "17 Bellows Lane"}, merged: []string{ImogenMergedID}, story: imogen,
		},
	}
	for k := range list {
		list[k].MRN = mrnOf(k)
		list[k].BirthDate = date(list[k].birth(DefaultNow))
	}
	return list
}()

// mrnOf is the medical record number of patient k.
func mrnOf(k int) string { return "9" + strconv.Itoa(1000001 + k)[1:] }

// birth keeps the birthday and moves by whole years with the population's today, so that a
// child stays a child.
func (p *namedPerson) birth(now time.Time) time.Time {
	year := p.born[0] + now.Year() - DefaultNow.Year()
	return time.Date(year, time.Month(p.born[1]), p.born[2], 0, 0, 0, 0, time.UTC)
}

func (p *namedPerson) build(c *chart) {
	who := p.more
	who.id, who.mrn, who.login = p.ID, p.MRN, p.Login
	who.given, who.family, who.sex = p.Given, p.Family, p.Gender
	who.birth = p.birth(c.now)
	c.patient(who)
	if p.story != nil {
		p.story(c)
	}
}
