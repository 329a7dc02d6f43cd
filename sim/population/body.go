package population

import (
	"math"
	"time"
)

// curve is how a value of one person runs through time.
type curve func(t time.Time) float64

// body is what measurements measure. A story may set the curves; where one is nil, the
// problems and the drugs on the chart decide.
type body struct {
	heightZ, weightZ float64 // where the person stands between people, in standard deviations
	adultHeight      float64 // cm
	bmi              curve
	systolic         curve
	diastolic        curve
	lab              map[string]curve
}

// newBody draws a body for the patient. It comes after the problem list, since that shapes it.
func (c *chart) newBody() {
	b := &c.body
	b.heightZ, b.weightZ = c.normal(), c.normal()
	b.adultHeight = growth(c.who.sex, 240).height + 6.5*b.heightZ
	base := 25.2 + 2.6*b.weightZ
	if c.has("obesity", c.now) {
		base = 33 + 2*math.Abs(b.weightZ)
	}
	drift := 0.25 * c.normal()
	b.bmi = func(t time.Time) float64 { return max(17, base-drift*years(t, c.now)) }

	b.systolic = func(t time.Time) float64 {
		s := 112 + 0.18*c.age(t) + 3*b.weightZ
		if onset, ok := c.since("hypertension"); ok {
			// Untreated it is high; treatment brings it down within a year.
			s += 8 + 20*math.Exp(-2.5*max(0, years(onset, t)))
		}
		return s
	}
	b.diastolic = func(t time.Time) float64 { return 0.36*b.systolic(t) + 29 }
}

// height and weight of a person at a time: growth charts for the young, BMI for adults.
func (c *chart) height(t time.Time) float64 {
	if months := c.ageInMonths(t); months < 228 {
		return growth(c.who.sex, months).height * (1 + 0.04*c.body.heightZ)
	}
	return c.body.adultHeight
}

func (c *chart) weight(t time.Time) float64 {
	h := c.height(t)
	if months := c.ageInMonths(t); months < 228 {
		relative := h / growth(c.who.sex, months).height
		return growth(c.who.sex, months).weight * relative * relative * (1 + 0.11*c.body.weightZ)
	}
	return c.body.bmi(t) * h * h / 10000
}

func (c *chart) head(t time.Time) float64 {
	return growth(c.who.sex, c.ageInMonths(t)).head * (1 + 0.025*c.body.heightZ)
}

// level is the true value of a laboratory component at a time; noise is added when it is
// measured.
func (c *chart) level(l *lab, t time.Time) float64 {
	if f, ok := c.body.lab[l.key]; ok {
		return f(t)
	}
	personal := rng{mix(c.seed, hashString(l.key))}
	usual := l.mean + l.person*personal.normal()

	switch l.key {
	case "a1c":
		if onset, ok := c.since("diabetes2"); ok {
			// From diagnosis down to what the person reaches, and from then on up and down
			// over a year or two, as life goes.
			start, target := 8.6+personal.float(), 6.7+1.2*personal.float()
			wave := 0.45 * math.Sin(2*math.Pi*(years(onset, t)/(1+personal.float())+personal.float()))
			return target + wave + (start-target)*math.Exp(-1.1*max(0, years(onset, t)))
		}
		if c.has("prediabetes", t) {
			return 5.8 + 0.5*personal.float()
		}
	case "creatinine":
		if onset, ok := c.since("ckd3"); ok && c.age(t) >= 18 {
			loss := 1 + 2.5*personal.float()
			return creatinineFor(max(14, 58-loss*max(0, years(onset, t))), c.who.sex, c.age(t))
		}
		if c.age(t) < 18 {
			return 0.25 + 0.035*c.age(t)
		}
		if c.who.sex == "female" {
			return usual - 0.16
		}
	case "bun":
		if c.has("ckd3", t) {
			return usual + 14
		}
	case "hemoglobin":
		switch {
		case c.has("iron-deficiency", t):
			onset, _ := c.since("iron-deficiency")
			usual = 12.4 - 2.6*math.Exp(-2*max(0, years(onset, t)))
		case c.age(t) < 12:
			usual = 12.6
		}
		if c.who.sex == "female" && c.age(t) >= 12 {
			usual -= 1.2
		}
		if c.has("ckd3", t) {
			usual -= 1.1
		}
	case "mcv":
		if c.has("iron-deficiency", t) {
			return 78
		}
	case "ferritin":
		if onset, ok := c.since("iron-deficiency"); ok {
			return 42 - 34*math.Exp(-1.5*max(0, years(onset, t)))
		}
	case "ldl":
		if onset, ok := c.since("hyperlipidemia"); ok {
			// A statin takes a good third off within months.
			untreated := 158 + 14*personal.normal()
			return untreated * (0.62 + 0.38*math.Exp(-4*max(0, years(onset, t))))
		}
	case "hdl":
		if c.who.sex == "female" {
			usual += 7
		}
		if c.has("obesity", t) {
			usual -= 6
		}
	case "triglycerides":
		if c.has("diabetes2", t) || c.has("obesity", t) {
			usual += 55
		}
	case "tsh":
		if onset, ok := c.since("hypothyroidism"); ok {
			return 2.4 + 7*math.Exp(-2.2*max(0, years(onset, t)))
		}
	case "bnp":
		if onset, ok := c.since("heart-failure"); ok {
			return 620 + 1500*math.Exp(-1.3*max(0, years(onset, t))) + 120*personal.float()
		}
	case "microalbumin-ratio":
		if c.has("diabetes2", t) || c.has("ckd3", t) {
			return 5 + 60*personal.float()
		}
	case "vitamin-d":
		if onset, ok := c.since("vitamin-d"); ok {
			return 33 - 16*math.Exp(-1.5*max(0, years(onset, t)))
		}
	case "uric-acid":
		if onset, ok := c.since("gout"); ok {
			return 5.8 + 2.6*math.Exp(-1.5*max(0, years(onset, t)))
		}
	case "inr":
		if c.takes("warfarin", t) {
			return 2.5
		}
	}
	return usual
}

// takes tells whether a problem's treatment includes a drug.
func (c *chart) takes(drugKey string, t time.Time) bool {
	for _, p := range c.problems {
		if p.onset.After(t) {
			continue
		}
		for _, d := range p.drugs {
			if d == drugKey {
				return true
			}
		}
	}
	return false
}

// CKD-EPI 2021: eGFR = 142 · min(Scr/κ,1)^α · max(Scr/κ,1)^-1.200 · 0.9938^age · 1.012 [female].
func ckdEPI(creatinine float64, sex string, age float64) float64 {
	kappa, alpha, factor := 0.9, -0.302, 1.0
	if sex == "female" {
		kappa, alpha, factor = 0.7, -0.241, 1.012
	}
	ratio := creatinine / kappa
	return 142 * math.Pow(min(ratio, 1), alpha) * math.Pow(max(ratio, 1), -1.2) * math.Pow(0.9938, age) * factor
}

// creatinineFor is the creatinine that gives an eGFR, for values above κ (reduced function).
func creatinineFor(egfr float64, sex string, age float64) float64 {
	kappa, factor := 0.9, 1.0
	if sex == "female" {
		kappa, factor = 0.7, 1.012
	}
	return kappa * math.Pow(142*math.Pow(0.9938, age)*factor/egfr, 1/1.2)
}
