package population

import "github.com/andironhq/andiron/r4"

// lab is one laboratory component: what is measured, in which unit, and how a result looks.
type lab struct {
	key, name      string
	loinc, display string

	// unit is the UCUM code and unitText what people read. An empty unit with a unitText gives
	// the {value,unit} form, both empty the bare {value}.
	unit, unitText string
	decimals       int

	// low and high are the reference range (0,0: none); femaleLow and femaleHigh replace them
	// where they differ. rangeText is a range in words only, as Epic sends it for some tests.
	low, high             float64
	femaleLow, femaleHigh float64
	rangeText             string

	// mean, person and noise describe people without a disease that moves the value: the
	// average, the spread between people and the spread within one.
	mean, person, noise float64

	// answers are the results of a test that has no number; see the weights beside them.
	answers []answer

	// plausible bounds every value that is ever generated.
	plausible [2]float64

	code *r4.CodeableConcept
}

// answer is a coded result (snomed or epic code) or, without any code, a plain string.
type answer struct {
	text, snomed, snomedDisplay string
	weight                      int
	value                       r4.ObservationValue
}

var positive = answer{text: "Positive", snomed: "10828004", snomedDisplay: "Positive"}

func answers(list ...answer) []answer { return list }

func coded(text, snomed, display string, weight int) answer {
	return answer{text: text, snomed: snomed, snomedDisplay: display, weight: weight}
}

func words(text string, weight int) answer { return answer{text: text, weight: weight} }

var labs = []*lab{
	{key: "a1c", name: "Hemoglobin A1c", loinc: "4548-4", display: "Hemoglobin A1c/Hemoglobin.total in Blood", unit: "%", unitText: "%", decimals: 1, low: 4.0, high: 5.6, mean: 5.3, person: 0.15, noise: 0.08, plausible: [2]float64{3.5, 15}},
	{key: "estimated-glucose", name: "Estimated Average Glucose", loinc: "27353-2", display: "Glucose mean value [Mass/volume] in Blood Estimated from glycated hemoglobin", unitText: "mg/dL", mean: 105, plausible: [2]float64{50, 400}},

	{key: "sodium", name: "Sodium", loinc: "2951-2", display: "Sodium [Moles/volume] in Serum or Plasma", unit: "mmol/L", unitText: "mmol/L", low: 136, high: 145, mean: 140, person: 1.2, noise: 1.4, plausible: [2]float64{120, 155}},
	{key: "potassium", name: "Potassium", loinc: "2823-3", display: "Potassium [Moles/volume] in Serum or Plasma", unit: "mmol/L", unitText: "mmol/L", decimals: 1, low: 3.5, high: 5.1, mean: 4.3, person: 0.2, noise: 0.25, plausible: [2]float64{2.8, 6.3}},
	{key: "chloride", name: "Chloride", loinc: "2075-0", display: "Chloride [Moles/volume] in Serum or Plasma", unit: "mmol/L", unitText: "mmol/L", low: 98, high: 107, mean: 103, person: 1.1, noise: 1.4, plausible: [2]float64{85, 120}},
	{key: "co2", name: "Carbon Dioxide", loinc: "2028-9", display: "Carbon dioxide, total [Moles/volume] in Serum or Plasma", unit: "mmol/L", unitText: "mmol/L", low: 22, high: 29, mean: 25.5, person: 1, noise: 1.1, plausible: [2]float64{14, 38}},
	{key: "glucose", name: "Glucose", loinc: "2345-7", display: "Glucose [Mass/volume] in Serum or Plasma", unit: "mg/dL", unitText: "mg/dL", low: 70, high: 99, mean: 90, person: 5, noise: 6, plausible: [2]float64{45, 480}},
	{key: "bun", name: "Urea Nitrogen (BUN)", loinc: "3094-0", display: "Urea nitrogen [Mass/volume] in Serum or Plasma", unit: "mg/dL", unitText: "mg/dL", low: 7, high: 20, mean: 13, person: 2, noise: 2, plausible: [2]float64{3, 110}},
	{key: "creatinine", name: "Creatinine", loinc: "2160-0", display: "Creatinine [Mass/volume] in Serum or Plasma", unit: "mg/dL", unitText: "mg/dL", decimals: 2, low: 0.70, high: 1.30, femaleLow: 0.50, femaleHigh: 1.10, mean: 0.9, person: 0.1, noise: 0.04, plausible: [2]float64{0.15, 6}},
	{key: "egfr", name: "eGFR (CKD-EPI 2021)", loinc: "98979-8", display: "Glomerular filtration rate [Volume Rate/Area] in Serum, Plasma or Blood by Creatinine-based formula (CKD-EPI 2021)/1.73 sq M", unit: "mL/min/{1.73_m2}", unitText: "mL/min/1.73 m2", rangeText: ">=60", mean: 95, plausible: [2]float64{8, 150}},
	{key: "calcium", name: "Calcium", loinc: "17861-6", display: "Calcium [Mass/volume] in Serum or Plasma", unit: "mg/dL", unitText: "mg/dL", decimals: 1, low: 8.6, high: 10.3, mean: 9.5, person: 0.2, noise: 0.2, plausible: [2]float64{7, 12.5}},
	{key: "protein", name: "Total Protein", loinc: "2885-2", display: "Protein [Mass/volume] in Serum or Plasma", unit: "g/dL", unitText: "g/dL", decimals: 1, low: 6.0, high: 8.3, mean: 7.1, person: 0.3, noise: 0.2, plausible: [2]float64{4.5, 10}},
	{key: "albumin", name: "Albumin", loinc: "1751-7", display: "Albumin [Mass/volume] in Serum or Plasma", unit: "g/dL", unitText: "g/dL", decimals: 1, low: 3.5, high: 5.0, mean: 4.3, person: 0.2, noise: 0.15, plausible: [2]float64{2, 6}},
	{key: "bilirubin", name: "Total Bilirubin", loinc: "1975-2", display: "Bilirubin.total [Mass/volume] in Serum or Plasma", unit: "mg/dL", unitText: "mg/dL", decimals: 1, low: 0.1, high: 1.2, mean: 0.6, person: 0.15, noise: 0.1, plausible: [2]float64{0.1, 4}},
	{key: "alp", name: "Alkaline Phosphatase", loinc: "6768-6", display: "Alkaline phosphatase [Enzymatic activity/volume] in Serum or Plasma", unit: "U/L", unitText: "U/L", low: 40, high: 129, mean: 74, person: 13, noise: 6, plausible: [2]float64{20, 400}},
	{key: "ast", name: "AST", loinc: "1920-8", display: "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma", unit: "U/L", unitText: "U/L", low: 10, high: 40, mean: 23, person: 4, noise: 4, plausible: [2]float64{5, 200}},
	{key: "alt", name: "ALT", loinc: "1742-6", display: "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma", unit: "U/L", unitText: "U/L", low: 7, high: 56, mean: 25, person: 6, noise: 5, plausible: [2]float64{4, 250}},

	{key: "wbc", name: "WBC", loinc: "6690-2", display: "Leukocytes [#/volume] in Blood by Automated count", unit: "10*3/uL", unitText: "K/uL", decimals: 1, low: 4.0, high: 11.0, mean: 6.8, person: 1.1, noise: 0.9, plausible: [2]float64{1.5, 25}},
	{key: "rbc", name: "RBC", loinc: "789-8", display: "Erythrocytes [#/volume] in Blood by Automated count", unit: "10*6/uL", unitText: "M/uL", decimals: 2, low: 4.50, high: 5.90, femaleLow: 4.00, femaleHigh: 5.20, mean: 4.8, plausible: [2]float64{2.2, 7}},
	{key: "hemoglobin", name: "Hemoglobin", loinc: "718-7", display: "Hemoglobin [Mass/volume] in Blood", unit: "g/dL", unitText: "g/dL", decimals: 1, low: 13.5, high: 17.5, femaleLow: 12.0, femaleHigh: 16.0, mean: 14.4, person: 0.6, noise: 0.4, plausible: [2]float64{6, 19}},
	{key: "hematocrit", name: "Hematocrit", loinc: "4544-3", display: "Hematocrit [Volume Fraction] of Blood by Automated count", unit: "%", unitText: "%", decimals: 1, low: 41.0, high: 53.0, femaleLow: 36.0, femaleHigh: 46.0, mean: 43, plausible: [2]float64{18, 58}},
	{key: "mcv", name: "MCV", loinc: "787-2", display: "MCV [Entitic volume] by Automated count", unit: "fL", unitText: "fL", decimals: 1, low: 80.0, high: 100.0, mean: 90, person: 2.5, noise: 1, plausible: [2]float64{60, 115}},
	{key: "platelets", name: "Platelets", loinc: "777-3", display: "Platelets [#/volume] in Blood by Automated count", unit: "10*3/uL", unitText: "K/uL", low: 150, high: 400, mean: 250, person: 38, noise: 18, plausible: [2]float64{40, 700}},

	{key: "cholesterol", name: "Cholesterol, Total", loinc: "2093-3", display: "Cholesterol [Mass/volume] in Serum or Plasma", unitText: "mg/dL", rangeText: "<=200", mean: 185, plausible: [2]float64{80, 420}},
	{key: "triglycerides", name: "Triglycerides", loinc: "2571-8", display: "Triglyceride [Mass/volume] in Serum or Plasma", unitText: "mg/dL", rangeText: "<150", mean: 120, person: 28, noise: 16, plausible: [2]float64{25, 800}},
	{key: "hdl", name: "HDL Cholesterol", loinc: "2085-9", display: "Cholesterol in HDL [Mass/volume] in Serum or Plasma", unitText: "mg/dL", rangeText: ">=40", mean: 52, person: 8, noise: 3, plausible: [2]float64{18, 120}},
	{key: "ldl", name: "LDL Cholesterol, Calculated", loinc: "13457-7", display: "Cholesterol in LDL [Mass/volume] in Serum or Plasma by calculation", unitText: "mg/dL", rangeText: "<100", mean: 108, person: 18, noise: 8, plausible: [2]float64{25, 320}},

	{key: "tsh", name: "TSH", loinc: "3016-3", display: "Thyrotropin [Units/volume] in Serum or Plasma", unit: "m[IU]/L", unitText: "mIU/L", decimals: 2, low: 0.40, high: 4.50, mean: 2.0, person: 0.5, noise: 0.3, plausible: [2]float64{0.02, 60}},
	{key: "inr", name: "INR", loinc: "6301-6", display: "INR in Platelet poor plasma by Coagulation assay", decimals: 1, rangeText: "0.9-1.1; on warfarin 2.0-3.0", mean: 1.0, person: 0.03, noise: 0.04, plausible: [2]float64{0.8, 7}},
	{key: "pt", name: "Prothrombin Time", loinc: "5902-2", display: "Prothrombin time (PT)", unit: "s", unitText: "sec", decimals: 1, low: 9.4, high: 12.5, mean: 11, plausible: [2]float64{8, 90}},
	{key: "bnp", name: "NT-proBNP", loinc: "33762-6", display: "Natriuretic peptide.B prohormone N-Terminal [Mass/volume] in Serum or Plasma", unit: "pg/mL", unitText: "pg/mL", rangeText: "<125", mean: 70, person: 20, noise: 10, plausible: [2]float64{10, 20000}},
	{key: "microalbumin-ratio", name: "Microalbumin/Creatinine Ratio, Urine", loinc: "9318-7", display: "Albumin/Creatinine [Mass Ratio] in Urine", unit: "mg/g", unitText: "mg/g", rangeText: "<30", mean: 12, person: 4, noise: 3, plausible: [2]float64{1, 3000}},
	{key: "ferritin", name: "Ferritin", loinc: "2276-4", display: "Ferritin [Mass/volume] in Serum or Plasma", unit: "ng/mL", unitText: "ng/mL", low: 24, high: 336, femaleLow: 11, femaleHigh: 307, mean: 95, person: 25, noise: 10, plausible: [2]float64{2, 900}},
	{key: "vitamin-d", name: "Vitamin D, 25-Hydroxy", loinc: "1989-3", display: "25-hydroxyvitamin D3 [Mass/volume] in Serum or Plasma", unit: "ng/mL", unitText: "ng/mL", decimals: 1, low: 30.0, high: 100.0, mean: 36, person: 5, noise: 3, plausible: [2]float64{4, 120}},
	{key: "uric-acid", name: "Uric Acid", loinc: "3084-1", display: "Urate [Mass/volume] in Serum or Plasma", unit: "mg/dL", unitText: "mg/dL", decimals: 1, low: 3.4, high: 7.0, femaleLow: 2.4, femaleHigh: 6.0, mean: 5.2, person: 0.5, noise: 0.3, plausible: [2]float64{1.5, 13}},
	{key: "psa", name: "PSA", loinc: "2857-1", display: "Prostate specific Ag [Mass/volume] in Serum or Plasma", unit: "ng/mL", unitText: "ng/mL", decimals: 2, rangeText: "<=4.00", mean: 1.4, person: 0.4, noise: 0.1, plausible: [2]float64{0.1, 20}},
	{key: "digoxin", name: "Digoxin", loinc: "10535-3", display: "Digoxin [Mass/volume] in Serum or Plasma", unit: "ng/mL", unitText: "ng/mL", decimals: 2, low: 0.50, high: 0.90, mean: 0.7, person: 0.05, noise: 0.08, plausible: [2]float64{0.2, 3}},
	{key: "lead", name: "Lead, Blood", loinc: "5671-3", display: "Lead [Mass/volume] in Blood", unit: "ug/dL", unitText: "ug/dL", decimals: 1, rangeText: "<3.5", mean: 1.4, person: 0.3, noise: 0.2, plausible: [2]float64{0.5, 20}},

	// Results without a number.
	{
		key: "sars-cov-2", name: "SARS-CoV-2 RNA, NAA", loinc: "94500-6", display: "SARS-CoV-2 (COVID-19) RNA [Presence] in Respiratory system specimen by NAA with probe detection", rangeText: "Negative",
		answers: answers(positive, coded("Negative", "260385009", "Negative", 1)),
	},
	{
		key: "strep-a", name: "Strep A Antigen, Rapid", loinc: "78012-2", display: "Streptococcus pyogenes Ag [Presence] in Throat by Rapid immunoassay", rangeText: "Negative",
		answers: answers(positive, coded("Negative", "260385009", "Negative", 1)),
	},
	{
		key: "fit", name: "Fecal Immunochemical Test", loinc: "57905-2", display: "Hemoglobin.gastrointestinal [Presence] in Stool by Immunologic method", rangeText: "Negative",
		answers: answers(coded("Negative", "260385009", "Negative", 93), coded("Positive", "10828004", "Positive", 7)),
	},
	{
		key: "abo", name: "ABO Group", loinc: "883-9", display: "ABO group [Type] in Blood",
		answers: answers(coded("O", "58460004", "Blood group O", 45), coded("A", "112144000", "Blood group A", 40), coded("B", "112149005", "Blood group B", 11), coded("AB", "165743006", "Blood group AB", 4)),
	},
	{
		key: "rh", name: "Rh Type", loinc: "10331-7", display: "Rh [Type] in Blood",
		answers: answers(coded("Positive", "165747007", "RhD positive", 85), coded("Negative", "165746003", "RhD negative", 15)),
	},
	{
		key: "hcv", name: "Hepatitis C Antibody", loinc: "13955-0", display: "Hepatitis C virus Ab [Presence] in Serum or Plasma by Immunoassay", rangeText: "Non-reactive",
		answers: answers(words("Non-reactive", 90), words("Indeterminate", 7), words("Reactive", 3)),
	},
	{
		key: "ua-color", name: "Color, Urine", loinc: "5778-6", display: "Color of Urine", rangeText: "Yellow",
		answers: answers(words("Yellow", 80), words("Amber", 15), words("Straw", 5)),
	},
	{
		key: "ua-clarity", name: "Clarity, Urine", loinc: "32167-9", display: "Clarity of Urine", rangeText: "Clear",
		answers: answers(words("Cloudy", 60), words("Clear", 40)),
	},
	{key: "ua-gravity", name: "Specific Gravity, Urine", loinc: "5811-5", display: "Specific gravity of Urine by Test strip", decimals: 3, low: 1.005, high: 1.030, mean: 1.017, person: 0.003, noise: 0.003, plausible: [2]float64{1.0, 1.04}},
	{key: "ua-ph", name: "pH, Urine", loinc: "5803-2", display: "pH of Urine by Test strip", decimals: 1, low: 5.0, high: 8.0, mean: 6.2, person: 0.3, noise: 0.3, plausible: [2]float64{4.5, 9}},
	{
		key: "ua-protein", name: "Protein, Urine", loinc: "5804-0", display: "Protein [Mass/volume] in Urine by Test strip", rangeText: "Negative",
		answers: answers(words("Negative", 70), words("Trace", 25), words("30 mg/dL", 5)),
	},
	{
		key: "ua-esterase", name: "Leukocyte Esterase, Urine", loinc: "5799-2", display: "Leukocyte esterase [Presence] in Urine by Test strip", rangeText: "Negative",
		answers: answers(coded("Positive", "10828004", "Positive", 85), coded("Negative", "260385009", "Negative", 15)),
	},
	{
		key: "ua-nitrite", name: "Nitrite, Urine", loinc: "5802-4", display: "Nitrite [Presence] in Urine by Test strip", rangeText: "Negative",
		answers: answers(coded("Positive", "10828004", "Positive", 55), coded("Negative", "260385009", "Negative", 45)),
	},
	{
		key: "urine-culture", name: "Urine Culture", loinc: "630-4", display: "Bacteria identified in Urine by Culture",
		answers: answers(words(">100,000 CFU/mL Escherichia coli", 55), words("No growth", 25), words("Mixed flora, see comment", 20)),
	},
	{
		key: "genotype", name: "Genotype:", display: "",
		answers: answers(answer{text: "See comment", weight: 1}),
	},
}

// panel is an orderable test: one or several components from one specimen.
type panel struct {
	key, name      string
	loinc, display string
	specimen       string // key of specimens
	labs           []string

	code *r4.CodeableConcept
}

var panels = []*panel{
	{key: "a1c", name: "Hemoglobin A1c", loinc: "4548-4", display: "Hemoglobin A1c/Hemoglobin.total in Blood", specimen: "blood", labs: []string{"a1c", "estimated-glucose"}},
	{key: "bmp", name: "Basic Metabolic Panel", loinc: "51990-0", display: "Basic metabolic panel - Blood", specimen: "blood", labs: []string{"sodium", "potassium", "chloride", "co2", "glucose", "bun", "creatinine", "egfr", "calcium"}},
	{key: "cmp", name: "Comprehensive Metabolic Panel", loinc: "24323-8", display: "Comprehensive metabolic 2000 panel - Serum or Plasma", specimen: "blood", labs: []string{"sodium", "potassium", "chloride", "co2", "glucose", "bun", "creatinine", "egfr", "calcium", "protein", "albumin", "bilirubin", "alp", "ast", "alt"}},
	{key: "cbc", name: "CBC", loinc: "58410-2", display: "CBC panel - Blood by Automated count", specimen: "blood", labs: []string{"wbc", "rbc", "hemoglobin", "hematocrit", "mcv", "platelets"}},
	{key: "lipid", name: "Lipid Panel", loinc: "57698-3", display: "Lipid panel with direct LDL - Serum or Plasma", specimen: "blood", labs: []string{"cholesterol", "triglycerides", "hdl", "ldl"}},
	{key: "tsh", name: "TSH", loinc: "3016-3", display: "Thyrotropin [Units/volume] in Serum or Plasma", specimen: "blood", labs: []string{"tsh"}},
	{key: "inr", name: "Protime-INR", loinc: "34528-0", display: "PT panel - Platelet poor plasma by Coagulation assay", specimen: "blood", labs: []string{"pt", "inr"}},
	{key: "bnp", name: "NT-proBNP", loinc: "33762-6", display: "Natriuretic peptide.B prohormone N-Terminal [Mass/volume] in Serum or Plasma", specimen: "blood", labs: []string{"bnp"}},
	{key: "microalbumin", name: "Microalbumin, Urine, Random", loinc: "9318-7", display: "Albumin/Creatinine [Mass Ratio] in Urine", specimen: "urine", labs: []string{"microalbumin-ratio"}},
	{key: "ferritin", name: "Ferritin", loinc: "2276-4", display: "Ferritin [Mass/volume] in Serum or Plasma", specimen: "blood", labs: []string{"ferritin"}},
	{key: "vitamin-d", name: "Vitamin D, 25-Hydroxy", loinc: "1989-3", display: "25-hydroxyvitamin D3 [Mass/volume] in Serum or Plasma", specimen: "blood", labs: []string{"vitamin-d"}},
	{key: "uric-acid", name: "Uric Acid", loinc: "3084-1", display: "Urate [Mass/volume] in Serum or Plasma", specimen: "blood", labs: []string{"uric-acid"}},
	{key: "psa", name: "PSA, Screening", loinc: "2857-1", display: "Prostate specific Ag [Mass/volume] in Serum or Plasma", specimen: "blood", labs: []string{"psa"}},
	{key: "digoxin", name: "Digoxin Level", loinc: "10535-3", display: "Digoxin [Mass/volume] in Serum or Plasma", specimen: "blood", labs: []string{"digoxin"}},
	{key: "lead", name: "Lead, Venous", loinc: "5671-3", display: "Lead [Mass/volume] in Blood", specimen: "blood", labs: []string{"lead", "hemoglobin"}},
	{key: "covid", name: "SARS-CoV-2, PCR", loinc: "94500-6", display: "SARS-CoV-2 (COVID-19) RNA [Presence] in Respiratory system specimen by NAA with probe detection", specimen: "swab", labs: []string{"sars-cov-2"}},
	{key: "strep", name: "Rapid Strep A", loinc: "78012-2", display: "Streptococcus pyogenes Ag [Presence] in Throat by Rapid immunoassay", specimen: "swab", labs: []string{"strep-a"}},
	{key: "fit", name: "Fecal Immunochemical Test", loinc: "57905-2", display: "Hemoglobin.gastrointestinal [Presence] in Stool by Immunologic method", specimen: "stool", labs: []string{"fit"}},
	{key: "type", name: "ABO/Rh", loinc: "34530-6", display: "ABO and Rh panel - Blood", specimen: "blood", labs: []string{"abo", "rh"}},
	{key: "hcv", name: "Hepatitis C Antibody, Screen", loinc: "13955-0", display: "Hepatitis C virus Ab [Presence] in Serum or Plasma by Immunoassay", specimen: "blood", labs: []string{"hcv"}},
	{key: "urinalysis", name: "Urinalysis, Dipstick", loinc: "24357-6", display: "Urinalysis macro (dipstick) panel - Urine", specimen: "urine", labs: []string{"ua-color", "ua-clarity", "ua-gravity", "ua-ph", "ua-protein", "ua-esterase", "ua-nitrite"}},
	{key: "urine-culture", name: "Urine Culture", loinc: "630-4", display: "Bacteria identified in Urine by Culture", specimen: "urine", labs: []string{"urine-culture"}},
	{key: "warfarin-genotype", name: "Warfarin Sensitivity Genotype", specimen: "blood", labs: []string{"genotype"}},
}

var (
	specimens = map[string]*r4.CodeableConcept{
		"blood": concept("Blood", coding(systemSNOMED, "122555007", "Venous blood specimen")),
		"urine": concept("Urine", coding(systemSNOMED, "122575003", "Urine specimen")),
		"stool": concept("Stool", coding(systemSNOMED, "119339001", "Stool specimen")),
		"swab":  concept("Swab", coding(systemSNOMED, "258500001", "Nasopharyngeal swab")),
	}

	labByKey = func() map[string]*lab {
		m := make(map[string]*lab, len(labs))
		for _, l := range labs {
			epic := ownCode(systemComponent, 7, l.name)
			l.code = concept(l.name, epic)
			if l.loinc != "" {
				l.code = concept(l.name, coding(systemLOINC, l.loinc, l.display), epic)
			}
			for j := range l.answers {
				l.answers[j].value = l.answers[j].fhir()
			}
			m[l.key] = l
		}
		return m
	}()

	panelByKey = func() map[string]*panel {
		m := make(map[string]*panel, len(panels))
		for _, p := range panels {
			epic := ownCode(systemProcedure, 6, p.name)
			p.code = concept(p.name, epic)
			if p.loinc != "" {
				p.code = concept(p.name, epic, coding(systemLOINC, p.loinc, p.display))
			}
			m[p.key] = p
		}
		return m
	}()
)

func (a answer) fhir() r4.ObservationValue {
	if a.snomed == "" {
		return r4.String(a.text)
	}
	return concept(a.text, coding(systemSNOMED, a.snomed, a.snomedDisplay))
}
