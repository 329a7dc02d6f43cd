package population

import (
	"math"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/r4"
)

// vital is one flowsheet row. Epic codes it five ways: its own row, the row's opaque id, an OID
// that repeats the LOINC code without a display, LOINC itself, and LOINC 8716-3 for vital signs.
type vital struct {
	key, text      string
	row            string // Epic's flowsheet row
	loinc, display string
	second         string // a second LOINC code that Epic adds to some rows
	secondDisplay  string
	unit, unitText string
	decimals       int
	plausible      [2]float64
	percentile     bool // derived from a growth chart

	code *r4.CodeableConcept
}

var vitals = []*vital{
	{key: "bp", text: "BP", row: "5", loinc: "85354-9", display: "Blood pressure panel with all children optional", second: "55284-4", secondDisplay: "Blood pressure systolic and diastolic"},
	{key: "temperature", text: "Temp", row: "6", loinc: "8310-5", display: "Body temperature", unit: "Cel", unitText: "Cel", decimals: 1, plausible: [2]float64{35, 41}},
	{key: "pulse", text: "Pulse", row: "8", loinc: "8867-4", display: "Heart rate", unit: "/min", unitText: "/min", plausible: [2]float64{40, 190}},
	{key: "respirations", text: "Resp", row: "9", loinc: "9279-1", display: "Respiratory rate", unit: "/min", unitText: "/min", plausible: [2]float64{8, 60}},
	{key: "spo2", text: "SpO2", row: "10", loinc: "59408-5", display: "Oxygen saturation in Arterial blood by Pulse oximetry", second: "2708-6", secondDisplay: "Oxygen saturation in Arterial blood", unit: "%", unitText: "%", plausible: [2]float64{82, 100}},
	{key: "height", text: "Height", row: "11", loinc: "8302-2", display: "Body height", unit: "cm", unitText: "cm", decimals: 1, plausible: [2]float64{42, 210}},
	{key: "weight", text: "Weight", row: "14", loinc: "29463-7", display: "Body weight", unit: "kg", unitText: "kg", decimals: 2, plausible: [2]float64{2, 200}},
	{key: "bmi", text: "BMI (Calculated)", row: "301070", loinc: "39156-5", display: "Body mass index (BMI) [Ratio]", unit: "kg/m2", unitText: "kg/m2", decimals: 1, plausible: [2]float64{9, 65}},
	{key: "head", text: "Head Circumference", row: "16", loinc: "9843-4", display: "Head Occipital-frontal circumference", unit: "cm", unitText: "cm", decimals: 1, plausible: [2]float64{30, 56}},
	{key: "bmi-percentile", text: "BMI Percentile", row: "301640", loinc: "59576-9", display: "Body mass index (BMI) [Percentile] Per age and sex", unit: "%", unitText: "%", decimals: 2, plausible: [2]float64{0, 100}, percentile: true},
	{key: "weight-for-length", text: "Weight-for-Length Percentile", row: "301650", loinc: "77606-2", display: "Weight-for-length Per age and sex", unit: "%", unitText: "%", decimals: 2, plausible: [2]float64{0, 100}, percentile: true},
	{key: "head-percentile", text: "Head Circumference Percentile", row: "301660", loinc: "8289-1", display: "Head Occipital-frontal circumference Percentile", unit: "%", unitText: "%", decimals: 2, plausible: [2]float64{0, 100}, percentile: true},
}

var vitalByKey = func() map[string]*vital {
	m := make(map[string]*vital, len(vitals))
	for _, v := range vitals {
		codings := []r4.Coding{
			coding(systemFlowsheet, v.row, v.text),
			coding(epic.SystemFlowsheetID, makeID(idForm{'t', '0', 24}, hashString("flowsheet "+v.key)), v.text),
			coding(systemVitalsFi, v.loinc, ""),
			coding(systemLOINC, v.loinc, v.display),
		}
		if v.second != "" {
			codings = append(codings, coding(systemLOINC, v.second, v.secondDisplay))
		}
		codings = append(codings, coding(systemLOINC, "8716-3", "Vital signs"))
		v.code = concept(v.text, codings...)
		m[v.key] = v
	}
	return m
}()

// growthPoint is a median of the growth charts (WHO below two years, CDC above; rounded).
type growthPoint struct {
	months               float64
	height, weight, head float64
}

var growthCharts = map[string][]growthPoint{
	"male": {
		{0, 49.9, 3.3, 34.5},
		{1, 54.7, 4.5, 37.3},
		{2, 58.4, 5.6, 39.1},
		{4, 63.9, 7.0, 41.6},
		{6, 67.6, 7.9, 43.3},
		{9, 72.0, 8.9, 45.0},
		{12, 75.7, 9.6, 46.1},
		{15, 79.1, 10.3, 46.8},
		{18, 82.3, 10.9, 47.4},
		{24, 87.1, 12.2, 48.3},
		{36, 95.3, 14.3, 49.5},
		{48, 102.5, 16.3, 50.3},
		{60, 109.2, 18.5, 51},
		{72, 115.7, 20.8, 51.5},
		{84, 122.0, 23.1, 52},
		{96, 128.1, 25.6, 52},
		{108, 133.7, 28.6, 52},
		{120, 138.8, 32.1, 53},
		{132, 143.7, 36.1, 53},
		{144, 149.3, 40.7, 54},
		{156, 156.4, 45.8, 54},
		{168, 163.9, 51.2, 54},
		{180, 170.1, 56.5, 55},
		{192, 173.6, 61.1, 55},
		{204, 175.3, 64.7, 55},
		{216, 176.1, 67.3, 55},
		{240, 176.8, 70.6, 55},
	},
	"female": {
		{0, 49.1, 3.2, 33.9},
		{1, 53.7, 4.2, 36.5},
		{2, 57.1, 5.1, 38.3},
		{4, 62.1, 6.4, 40.6},
		{6, 65.7, 7.3, 42.2},
		{9, 70.1, 8.2, 43.8},
		{12, 74.0, 8.9, 44.9},
		{15, 77.5, 9.6, 45.7},
		{18, 80.7, 10.2, 46.2},
		{24, 85.9, 11.5, 47.2},
		{36, 94.2, 13.9, 48.5},
		{48, 100.8, 15.9, 49.3},
		{60, 107.9, 18.0, 50},
		{72, 115.0, 20.3, 50.5},
		{84, 121.8, 22.9, 51},
		{96, 127.8, 25.8, 51},
		{108, 133.1, 29.0, 52},
		{120, 138.2, 32.9, 52},
		{132, 144.8, 37.2, 52},
		{144, 151.5, 41.7, 53},
		{156, 157.1, 46.0, 53},
		{168, 160.4, 49.4, 53},
		{180, 161.9, 52.0, 54},
		{192, 162.5, 53.9, 54},
		{204, 163.0, 55.2, 54},
		{216, 163.1, 56.2, 54},
		{240, 163.3, 58.2, 54},
	},
}

// growth interpolates the medians for a sex and an age in months.
func growth(sex string, months float64) growthPoint {
	chart := growthCharts[sex]
	months = max(0, months)
	for i := 1; i < len(chart); i++ {
		if months <= chart[i].months {
			a, b := chart[i-1], chart[i]
			f := (months - a.months) / (b.months - a.months)
			between := func(x, y float64) float64 { return x + f*(y-x) }
			return growthPoint{months, between(a.height, b.height), between(a.weight, b.weight), between(a.head, b.head)}
		}
	}
	return chart[len(chart)-1]
}

// percentileOf is the share of the normal distribution below z, in percent.
func percentileOf(z float64) float64 {
	p := 50 * (1 + math.Erf(z/math.Sqrt2))
	return min(99.99, max(0.01, p))
}
