package population

import "github.com/andironhq/andiron/r4"

// vaccine is a product with its CVX code.
type vaccine struct {
	key, name, cvx, manufacturer string
	dose                         string // mL
	code                         *r4.CodeableConcept
}

var vaccines = []*vaccine{
	{key: "hepb", name: "Hepatitis B, Ped/Adol", cvx: "08", manufacturer: "Merck", dose: "0.5"},
	{key: "rotavirus", name: "Rotavirus, Monovalent", cvx: "119", manufacturer: "GlaxoSmithKline", dose: "1.5"},
	{key: "dtap", name: "DTaP", cvx: "20", manufacturer: "Sanofi Pasteur", dose: "0.5"},
	{key: "hib", name: "Hib (PRP-OMP)", cvx: "49", manufacturer: "Merck", dose: "0.5"},
	{key: "pcv13", name: "Pneumococcal Conjugate 13-Valent", cvx: "133", manufacturer: "Pfizer", dose: "0.5"},
	{key: "ipv", name: "Polio (IPV)", cvx: "10", manufacturer: "Sanofi Pasteur", dose: "0.5"},
	{key: "mmr", name: "MMR", cvx: "03", manufacturer: "Merck", dose: "0.5"},
	{key: "varicella", name: "Varicella", cvx: "21", manufacturer: "Merck", dose: "0.5"},
	{key: "hepa", name: "Hepatitis A, Ped/Adol, 2 Dose", cvx: "83", manufacturer: "GlaxoSmithKline", dose: "0.5"},
	{key: "tdap", name: "Tdap", cvx: "115", manufacturer: "Sanofi Pasteur", dose: "0.5"},
	{key: "td", name: "Td, Preservative Free", cvx: "113", manufacturer: "Sanofi Pasteur", dose: "0.5"},
	{key: "hpv9", name: "HPV, 9-Valent", cvx: "165", manufacturer: "Merck", dose: "0.5"},
	{key: "menacwy", name: "Meningococcal MCV4P", cvx: "114", manufacturer: "Sanofi Pasteur", dose: "0.5"},
	{key: "influenza", name: "Influenza, Preservative Free", cvx: "140", manufacturer: "Seqirus", dose: "0.5"},
	{key: "influenza-high", name: "Influenza, High-Dose", cvx: "135", manufacturer: "Sanofi Pasteur", dose: "0.5"},
	{key: "zoster", name: "Zoster Recombinant", cvx: "187", manufacturer: "GlaxoSmithKline", dose: "0.5"},
	{key: "ppsv23", name: "Pneumococcal Polysaccharide 23-Valent", cvx: "33", manufacturer: "Merck", dose: "0.5"},
	{key: "covid", name: "SARS-COV-2 (COVID-19) Vaccine, mRNA", cvx: "208", manufacturer: "Pfizer", dose: "0.3"},
}

// childSchedule is the routine schedule: the age in months of each dose.
var childSchedule = []struct {
	key    string
	months []int
}{
	{"hepb", []int{0, 1, 6}},
	{"rotavirus", []int{2, 4}},
	{"dtap", []int{2, 4, 6, 15, 50}},
	{"hib", []int{2, 4, 12}},
	{"pcv13", []int{2, 4, 6, 12}},
	{"ipv", []int{2, 4, 15, 50}},
	{"mmr", []int{12, 50}},
	{"varicella", []int{12, 50}},
	{"hepa", []int{12, 18}},
	{"tdap", []int{134}},
	{"hpv9", []int{134, 140}},
	{"menacwy", []int{134, 194}},
}

var vaccineByKey = func() map[string]*vaccine {
	m := make(map[string]*vaccine, len(vaccines))
	for _, v := range vaccines {
		// Epic sends the CVX code without a display; the name stands in the text.
		v.code = concept(v.name, coding(systemCVX, v.cvx, ""))
		m[v.key] = v
	}
	return m
}()
