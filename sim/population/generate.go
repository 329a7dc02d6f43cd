package population

import (
	"slices"
	"time"
)

// generate makes a chart from dice: who, what ails them, and the visits of the last years.
func (c *chart) generate() {
	c.patient(c.somebody())
	c.ailments()
	c.newBody()
	c.insure()

	window := c.now.AddDate(-1, -c.between(6, 26), 0)
	if !c.who.died.IsZero() && window.After(c.who.died.AddDate(-2, 0, 0)) {
		window = c.who.died.AddDate(-2, 0, 0)
	}
	if window.Before(c.who.birth) {
		window = c.who.birth
	}
	plans := c.schedule(window)
	if len(plans) == 0 {
		plans = []planned{{c.onlyVisit(), "office", c.who.pcp, ""}}
	}
	c.habits(plans[0].at)
	g := &generator{chart: c, given: map[string]bool{}, lastPanel: map[string]time.Time{}}
	for i, p := range plans {
		g.contact(p, i == 0)
	}
	g.afterwards()
}

// onlyVisit is when somebody came whom the schedule gave no visit: within the last year, the
// day after birth at the earliest, and while alive.
func (c *chart) onlyVisit() time.Time {
	end := c.now
	if !c.who.died.IsZero() {
		end = c.who.died
	}
	t := end.AddDate(0, -c.between(1, 11), 0)
	if t.Before(c.who.birth) {
		t = addDays(c.who.birth, 1)
	}
	return at(t, 15, 0)
}

// somebody draws a person. The shares of the ages are those of people who see doctors.
func (c *chart) somebody() person {
	bands := [][2]int{{0, 17}, {18, 39}, {40, 64}, {65, 79}, {80, 94}}
	band := bands[c.pickWeighted([]int{19, 24, 32, 19, 6})]
	age := c.between(band[0], band[1])
	k := c.index
	who := person{
		id:        c.population.PatientID(k),
		mrn:       mrnOf(k),
		sex:       "female",
		birth:     addDays(c.now.Truncate(24*time.Hour).AddDate(-age, 0, 0), -c.between(3, 364)),
		race:      c.pickWeighted([]int{60, 14, 7, 2, 1, 16}),
		ethnicity: c.pickWeighted([]int{78, 18, 4}),
		family:    pick(&c.rng, familyNames),
		town:      c.below(len(towns)),
		street:    integer(c.between(1, 998)) + " " + pick(&c.rng, streets),
		married:   c.chance(0.5),
	}
	if c.chance(0.48) {
		who.sex = "male"
	}
	names := map[string][]string{"female": femaleNames, "male": maleNames}[who.sex]
	who.given = pick(&c.rng, names)
	if c.chance(0.6) {
		who.middle = pick(&c.rng, names)
	}
	who.spanish = ethnicities[who.ethnicity].code == "2135-2" && c.chance(0.4)
	who.pcp = pick(&c.rng, []string{"pcp1", "pcp2", "pcp3", "pcp4"})
	if age < 18 {
		who.pcp = pick(&c.rng, []string{"peds1", "peds2"})
	}
	if c.chance(0.45) {
		who.login = who.given[:1] + who.family + who.mrn[len(who.mrn)-3:]
	}
	if age >= 66 && c.chance(0.09) {
		who.died = at(c.now.AddDate(0, -c.between(2, 10), -c.below(28)), 3+c.below(20), 0)
	}
	return who
}

// band is the age band that prevalences are given for.
func band(age float64) int {
	switch {
	case age < 18:
		return 0
	case age < 40:
		return 1
	case age < 65:
		return 2
	}
	return 3
}

// ailments puts long-lasting problems on the list, by age and sex, and with what they bring along.
func (c *chart) ailments() {
	age := c.age(c.now)
	for _, d := range conditions {
		share := float64(d.percent[band(age)]) / 100
		factor := d.female
		if c.who.sex == "male" {
			factor = d.male
		}
		if factor != 0 {
			share *= max(0, float64(factor)/100)
		}
		switch {
		case d.key == "prediabetes" && c.has("diabetes2", c.now):
			share = 0
		case d.key == "ckd3" && c.has("diabetes2", c.now), d.key == "cad" && c.has("hyperlipidemia", c.now):
			share *= 1.8
		case d.key == "heart-failure" && c.has("cad", c.now), d.key == "hyperlipidemia" && c.has("diabetes2", c.now):
			share *= 1.7
		case d.key == "diabetes2" && c.has("obesity", c.now):
			share *= 2
		}
		if share == 0 || age < float64(d.onset)+0.5 || !c.chance(share) {
			continue
		}
		// Most began in the last dozen years.
		longest := min(12, age-float64(d.onset))
		onset := c.now.AddDate(0, 0, -int(365.25*longest*(0.05+0.95*c.float()))-20)
		if !c.who.died.IsZero() && onset.After(c.who.died.AddDate(-1, 0, 0)) {
			onset = c.who.died.AddDate(-1, 0, 0)
		}
		p := c.problem(d.key, onset, time.Time{})
		if d.treatments != nil {
			p.drugs = pick(&c.rng, d.treatments)
		}
	}
	if onset, ok := c.since("diabetes2"); ok && c.now.Sub(onset) > 5*365*24*time.Hour && c.chance(0.3) {
		c.problem("neuropathy", onset.AddDate(4, 0, 0), time.Time{})
	}
}

// planned is a visit that has not been written yet.
type planned struct {
	at                 time.Time
	kind, with, reason string
}

// schedule lays out the visits of a window in order.
func (c *chart) schedule(from time.Time) []planned {
	var list []planned
	until := addDays(c.now, -2)
	if !c.who.died.IsZero() {
		until = addDays(c.who.died, -3)
	}
	put := func(t time.Time, kind, with, reason string) {
		t = at(t, 13+c.below(8), 5*c.below(12))
		if c.age(t) < 18 && c.age(c.now) >= 18 && (kind == "office" || kind == "physical") {
			kind, reason = "well-child", "child-exam" // grown up since
		}
		if t.After(from) && t.Before(until) {
			list = append(list, planned{t, kind, with, reason})
		}
	}

	if c.age(c.now) < 18 {
		for _, months := range []int{1, 2, 4, 6, 9, 12, 15, 18, 24, 30, 36, 48, 60, 72, 84, 96, 108, 120, 132, 144, 156, 168, 180, 192, 204} {
			if c.chance(0.9) {
				put(c.who.birth.AddDate(0, months, c.below(9)), "well-child", c.who.pcp, "child-exam")
			}
		}
	} else {
		var chronic []*problem
		for _, p := range c.problems {
			if p.of.key != "obesity" && p.of.key != "nicotine" {
				chronic = append(chronic, p)
			}
		}
		step := []int{12, 7, 6, 5, 4}[min(4, len(chronic))]
		physical := c.below(12 / min(12, step))
		for i, t := 0, from.AddDate(0, c.below(step)+1, c.below(28)); t.Before(until); i, t = i+1, t.AddDate(0, step, c.below(21)-10) {
			switch {
			case len(chronic) == 0 || i%max(1, 12/step) == physical:
				if len(chronic) > 0 || c.chance(0.75) {
					put(t, "physical", c.who.pcp, "adult-exam")
				}
			case c.chance(0.12):
				put(t, "video", c.who.pcp, chronic[c.below(len(chronic))].of.key)
			default:
				put(t, "office", c.who.pcp, chronic[c.below(len(chronic))].of.key)
			}
		}
	}
	c.unplanned(from, until, put)
	slices.SortStableFunc(list, func(a, b planned) int { return a.at.Compare(b.at) })
	return list
}

// unplanned adds what nobody plans: infections, sprains, telephone calls, emergencies.
func (c *chart) unplanned(from, until time.Time, put func(time.Time, string, string, string)) {
	yearsLong := years(from, until)
	acute := int(yearsLong*0.7 + c.float())
	if c.age(c.now) < 7 {
		acute += int(yearsLong)
	}
	day := func() time.Time { return addDays(from, c.below(max(1, int(until.Sub(from).Hours()/24)))) }
	for range acute {
		t := day()
		if reason := c.acuteReason(t); reason != "" {
			put(t, "urgent", "np", reason)
		}
	}
	if c.chance(0.12 * yearsLong) {
		put(day(), "telephone", "nurse", "")
	}
	if onset, ok := c.since("heart-failure"); ok && onset.Before(until) && c.chance(0.5) {
		put(addDays(until, -c.between(20, 300)), "inpatient", "hospitalist", "heart-failure")
	} else if c.chance(0.05 * yearsLong) {
		if reason := c.acuteReason(until); reason != "" {
			put(day(), "emergency", "emergency", reason)
		}
	}
}

func (c *chart) acuteReason(t time.Time) string {
	age := int(c.age(t))
	weights := make([]int, len(acuteReasons))
	total := 0
	for i, a := range acuteReasons {
		if age >= a.from && age <= a.to {
			weights[i] = a.weight
			if c.who.sex == "female" {
				weights[i] *= a.femaleFactor
			}
			total += weights[i]
		}
	}
	if total == 0 {
		return ""
	}
	return acuteReasons[c.pickWeighted(weights)].key
}

// habits are what is asked once: allergies.
func (c *chart) habits(first time.Time) {
	switch {
	case c.chance(0.04):
		c.notOnFile()
	case c.chance(0.70):
		c.noKnownAllergies(first)
	default:
		weights := make([]int, len(allergens))
		for i, a := range allergens {
			weights[i] = a.weight
		}
		seen := map[string]bool{}
		for range 1 + c.pickWeighted([]int{7, 2, 1}) {
			a := allergens[c.pickWeighted(weights)]
			if !seen[a.key] {
				seen[a.key] = true
				c.allergy(a.key, pick(&c.rng, a.reactions), pick(&c.rng, []string{"mild", "moderate", "moderate", "severe"}), first.AddDate(-c.below(3), -c.below(11), 0))
				c.allergic = append(c.allergic, a.key)
			}
		}
	}
}

// generator writes the visits of one generated chart.
type generator struct {
	*chart
	given     map[string]bool // vaccines and once-only tests
	lastPanel map[string]time.Time
	smoked    time.Time
	last      *visit
}

func (g *generator) contact(p planned, first bool) {
	v := g.visit(p.kind, p.at, p.with, p.reason)
	g.last = v
	if v.kind.noVitals {
		if p.kind == "telephone" {
			g.note(v, "telephone", []string{g.who.given + " called with a question about medicines. Answered; no change. Call back if symptoms worsen."})
		} else {
			g.visitNote(v)
			g.treat(v)
		}
		return
	}
	g.vitals(v)
	if p.kind != "urgent" && p.kind != "emergency" {
		g.treat(v) // who looks after a problem orders its drugs, not whoever is on duty
	}
	if age := g.age(v.at); age >= 13 && v.at.Sub(g.smoked) > 300*24*time.Hour {
		g.smoked = v.at
		g.smokes(v, g.smokingStatus())
	}

	switch p.kind {
	case "physical":
		g.checkup(v)
	case "well-child":
		g.childVaccines(v, g.given)
		if months := g.ageInMonths(v.at); (months > 11 && months < 14) || (months > 23 && months < 26) {
			g.order(v, "lead")
		}
	case "office":
		g.followUp(v)
	case "urgent", "emergency":
		g.acute(v)
	case "inpatient":
		g.admission(v)
	}
	if first || g.chance(0.75) || p.kind == "urgent" {
		g.visitNote(v)
	}
}

func (g *generator) smokingStatus() string {
	if g.has("nicotine", g.now) {
		return "current"
	}
	// A person's past does not change between visits.
	if personal := (rng{mix(g.seed, 77)}); personal.chance(0.22) && g.age(g.now) > 30 {
		return "former"
	}
	return "never"
}

// checkup is the yearly visit: screening by age, the follow-up of what is known, vaccines.
func (g *generator) checkup(v *visit) {
	age := g.age(v.at)
	if age >= 40 || g.chance(0.3) {
		g.panel(v, "cmp", 200)
		g.panel(v, "lipid", 200)
	}
	if g.chance(0.5) {
		g.panel(v, "cbc", 200)
	}
	g.followUp(v)
	if !g.given["hcv"] && age < 80 && g.chance(0.25) {
		g.given["hcv"] = true
		g.order(v, "hcv")
	}
	if !g.given["type"] && g.chance(0.06) {
		g.given["type"] = true
		g.order(v, "type")
	}
	if age >= 45 && age < 76 {
		if g.chance(0.25) {
			g.order(v, "fit")
		} else if g.chance(0.05) {
			g.perform(v, "colonoscopy")
		}
	}
	if g.who.sex == "female" && age >= 50 && age < 75 && g.chance(0.35) {
		g.perform(v, "mammogram")
	}
	depressed := g.has("depression", v.at)
	phq := g.below(5)
	if depressed {
		phq = g.between(5, 15)
	}
	g.score(v, "phq9", phq)
	if g.has("anxiety", v.at) {
		g.score(v, "gad7", g.between(4, 14))
	}
	if g.chance(0.4) {
		insecure := g.chance(0.09)
		g.food(v, insecure)
		if insecure && !g.given["food"] {
			g.given["food"] = true
			g.concern("food-insecurity", v.at)
			g.perform(v, "social-support")
		}
	}
	g.adultVaccines(v, g.given)
}

// followUp orders what the problems call for, no test sooner than it is useful.
func (g *generator) followUp(v *visit) {
	for _, p := range g.problems {
		if p.onset.After(v.at) {
			continue
		}
		for _, key := range p.of.panels {
			wait := 150
			switch key {
			case "a1c":
				wait = 80
				if p.of.key == "prediabetes" {
					wait = 300
				}
			case "lipid", "microalbumin", "psa", "ferritin", "vitamin-d", "cbc":
				wait = 300
			}
			g.panel(v, key, wait)
		}
	}
	if g.takes("warfarin", v.at) {
		g.panel(v, "inr", 25)
	}
	if g.has("diabetes2", v.at) && g.chance(0.2) {
		g.perform(v, "eye-exam")
	}
	if g.has("copd", v.at) && g.chance(0.2) {
		g.perform(v, "spirometry")
	}
	if v.kind.display == "Office Visit" {
		g.adultVaccines(v, g.given)
	}
}

// panel orders a test unless it was done within the last days. A comprehensive panel counts for
// the basic one.
func (g *generator) panel(v *visit, key string, days int) {
	last, done := g.lastPanel[key]
	if done && v.at.Sub(last) < time.Duration(days)*24*time.Hour {
		return
	}
	g.lastPanel[key] = v.at
	if key == "cmp" {
		g.lastPanel["bmp"] = v.at
	}
	g.order(v, key)
}

// acute treats what somebody came for, and does not give a penicillin to those who must not
// have it.
func (g *generator) acute(v *visit) {
	switch v.reason.key {
	case "covid", "uri":
		g.order(v, "covid")
	case "strep":
		g.order(v, "strep")
	case "uti":
		g.order(v, "urinalysis")
		if g.chance(0.6) {
			g.order(v, "urine-culture")
		}
	case "pneumonia":
		g.perform(v, "chest-x-ray")
	}
	for _, a := range acuteReasons {
		if a.key != v.reason.key || a.antibiotic == "" {
			continue
		}
		choice := a.antibiotic
		if slices.Contains(g.allergic, "penicillin") && (choice == "amoxicillin" || choice == "amoxicillin-clavulanate") {
			choice = "azithromycin"
		}
		g.prescribe(v, choice, time.Time{})
	}
	if v.reason.key == "ankle-sprain" && !slices.Contains(g.allergic, "nsaid") {
		g.prescribe(v, "ibuprofen", addDays(v.at, 14))
	}
}

// admission is a stay in hospital for heart failure.
func (g *generator) admission(v *visit) {
	g.order(v, "bnp")
	g.order(v, "cmp")
	g.order(v, "cbc")
	g.perform(v, "ecg")
	g.perform(v, "chest-x-ray")
	g.perform(v, "echo")
	g.ejection(v, g.between(24, 44))
	g.note(v, "h-and-p", []string{"Admitted with breathlessness and swelling of the legs over one week.", "Plan: intravenous diuretic, daily weight, echocardiogram."})
	g.note(v, "discharge", []string{"Improved with diuresis. Discharged home with follow-up in one week.", "Weigh yourself every morning and call if up by more than 1.5 kg in two days."})
	p := g.problemOf("heart-failure")
	g.plan("inpatient", v.at, v, "Heart failure admission", []string{"Daily weight", "Strict intake and output", "Low-sodium diet"}, p, "")
	g.plan("pathway", v.at, v, "Heart Failure Pathway", []string{"Day 1: diuresis", "Day 2: echocardiogram", "Day 3: teaching", "Day 4: discharge"}, p, "")
}

func (c *chart) problemOf(key string) *problem {
	for _, p := range c.problems {
		if p.of.key == key {
			return p
		}
	}
	return nil
}

// treat starts the drugs of problems that are known by now. Some first try another, which is
// stopped again.
func (g *generator) treat(v *visit) {
	for _, p := range g.problems {
		if p.onset.After(v.at) || p.treated {
			continue
		}
		p.treated = true
		for _, d := range p.drugs {
			if (d == "naproxen" || d == "ibuprofen") && slices.Contains(g.allergic, "nsaid") {
				continue
			}
			stop := time.Time{}
			if g.chance(0.12) {
				stop = v.at.AddDate(0, g.between(2, 18), 0)
			}
			g.prescribe(v, d, stop)
		}
	}
}

// afterwards writes what stands beside the visits: plans, people, papers, appointments.
func (g *generator) afterwards() {
	v := g.last
	g.treat(v) // what no planned visit has ordered
	age := g.age(g.now)
	if g.who.died.IsZero() && len(g.problems) > 0 && g.chance(0.75) {
		g.carePlans(v)
	}
	if len(g.problems) >= 2 && g.chance(0.6) {
		g.team(v.at, "nurse")
	}
	if g.chance(0.35) {
		g.document(v.at.AddDate(0, -1, 0), pick(&g.rng, papers[:2+2*min(1, band(age))]))
	}
	if g.chance(0.3) {
		g.summary(v)
	}
	if age < 18 {
		g.related("MTH", "Mother", pick(&g.rng, femaleNames), "female")
	} else if age > 75 && g.chance(0.4) {
		g.related("CHILD", "Child", pick(&g.rng, femaleNames), "female")
	}
	if g.chance(0.25) {
		g.relative("FTH", "Father", pick(&g.rng, []string{"diabetes2", "hypertension", "cad"}))
	}
	if g.chance(0.25) {
		g.relative("MTH", "Mother", pick(&g.rng, []string{"diabetes2", "hypertension", "hypothyroidism", "osteoporosis"}))
	}
	if p := g.problemOf("knee-oa"); p != nil && age > 60 && g.chance(0.15) {
		if t := p.onset.AddDate(1, 0, 0); t.Before(v.at) {
			surgery := g.visit("inpatient", at(t, 13, 0), "orthopedics", "knee-oa")
			g.perform(surgery, "knee")
			g.implant("Knee prosthesis", "109228008", "Knee joint prosthesis", t)
		}
	}
	if age > 75 && g.chance(0.3) {
		g.concern("fall-risk", v.at)
	}
	if g.problemOf("heart-failure") != nil && g.chance(0.7) {
		g.episode("Heart Failure", g.problemOf("heart-failure").onset, "cardiology", g.problemOf("heart-failure"))
	}
	if g.takes("warfarin", g.now) {
		g.episode("Anticoagulation", g.problemOf("afib").onset, "pharmacist", g.problemOf("afib"))
	}
	if !g.who.died.IsZero() {
		return
	}
	kind := "office"
	if age < 18 {
		kind = "well-child"
	}
	for range g.pickWeighted([]int{3, 5, 2}) {
		g.appoint(kind, g.who.pcp, at(addDays(g.now, g.between(3, 170)), 13+g.below(8), 15*g.below(4)), "booked", "")
	}
	if age > 2 && g.chance(0.15) {
		g.appoint(kind, g.who.pcp, at(addDays(g.now, -g.between(10, 300)), 13+g.below(8), 15*g.below(4)), pick(&g.rng, []string{"cancelled", "noshow"}), "")
	}
}

// papers are what gets scanned; children have the first two.
var papers = []string{"Insurance Card", "Consent Form", "Driver's License", "Advance Directive"}

// carePlans spreads the categories over patients by what they have.
func (g *generator) carePlans(v *visit) {
	first := g.problems[0]
	goal := ""
	if p := g.problemOf("diabetes2"); p != nil {
		first = p
		goal = g.goal("Hemoglobin A1c below 7 %", v.at, "4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "7.0", "%", p)
	} else if p := g.problemOf("hypertension"); p != nil {
		first = p
		goal = g.goal("Blood pressure below 130/80", v.at, "8480-6", "Systolic blood pressure", "130", "mm[Hg]", p)
	} else if g.chance(0.5) {
		goal = g.goal("Walk 30 minutes five days a week", v.at, "", "", "", "", nil)
	}
	g.plan("longitudinal", v.at, nil, "Plan for "+first.of.text, []string{"Take medicines as prescribed", "Keep appointments", "Call with new symptoms"}, first, goal)
	if g.chance(0.3) {
		g.plan("outpatient", v.at, v, "Outpatient plan", []string{"Laboratory tests before the next visit"}, first, "")
	}
	if g.chance(0.25) {
		g.plan("education", v.at, v, "Learning about "+first.of.text, []string{"Handout given", "Teach-back done"}, first, "")
	}
	if g.chance(0.2) {
		g.plan("questionnaires", g.now, nil, "Questionnaires due", []string{"PHQ-9", "Hunger Vital Sign"}, nil, "")
	}
	if g.takes("warfarin", g.now) {
		g.plan("anticoagulation", v.at, nil, "Anticoagulation, INR goal 2.0 to 3.0", []string{"Warfarin as directed", "INR every four weeks"}, g.problemOf("afib"), "")
	}
	if g.chance(0.06) {
		g.plan("dental", v.at, nil, "Dental treatment plan", []string{"Cleaning twice a year", "Filling, lower left"}, nil, "")
	}
	if g.chance(0.06) {
		g.plan("care-path", v.at, nil, "Smart choices care path", []string{"Week 1: set a goal", "Week 4: check in"}, nil, "")
	}
	if g.chance(0.03) && g.age(g.now) > 40 {
		g.plan("oncology", v.at, nil, "Oncology surveillance", []string{"Imaging once a year", "Visit every six months"}, nil, "")
	}
	if g.chance(0.1) {
		g.plan("encounter", v.at, v, "Plan of this visit", []string{"Rest", "Return if worse"}, nil, "")
	}
}
