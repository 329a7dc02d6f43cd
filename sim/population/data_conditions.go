package population

import "github.com/andironhq/andiron/r4"

// condition is one diagnosis with its codes and, for long-lasting ones, how common it is.
type condition struct {
	key, text string

	snomed, snomedDisplay string
	icd10, icd10Display   string

	// percent is the share of people who have it, by age band: below 18, 18 to 39, 40 to 64,
	// 65 and older. All zero: an acute or administrative diagnosis that visits choose.
	percent [4]int
	// female and male scale the share, in percent; 0 means 100.
	female, male int
	// onset is the youngest age at which it begins.
	onset int
	// treatments are alternatives of which a patient gets one; each is one drug or several.
	treatments [][]string
	// panels are the laboratory orders that following it up takes.
	panels []string

	code *r4.CodeableConcept
}

// conditions: SNOMED CT and ICD-10-CM (2026). Shares are rounded figures of the order that US
// surveys report; they make charts plausible and prove nothing.
var conditions = []*condition{
	// Long-lasting.
	{
		key: "hypertension", text: "Essential hypertension", snomed: "59621000", snomedDisplay: "Essential hypertension", icd10: "I10", icd10Display: "Essential (primary) hypertension",
		percent: [4]int{0, 8, 36, 62}, onset: 28, treatments: [][]string{{"lisinopril"}, {"lisinopril", "hydrochlorothiazide"}, {"amlodipine"}, {"losartan"}, {"amlodipine", "losartan"}}, panels: []string{"bmp"},
	},
	{
		key: "hyperlipidemia", text: "Hyperlipidemia", snomed: "55822004", snomedDisplay: "Hyperlipidemia", icd10: "E78.5", icd10Display: "Hyperlipidemia, unspecified",
		percent: [4]int{0, 6, 34, 52}, onset: 30, treatments: [][]string{{"atorvastatin-20"}, {"atorvastatin-40"}, {"simvastatin"}}, panels: []string{"lipid"},
	},
	{
		key: "diabetes2", text: "Type 2 diabetes mellitus", snomed: "44054006", snomedDisplay: "Type 2 diabetes mellitus", icd10: "E11.9", icd10Display: "Type 2 diabetes mellitus without complications",
		percent: [4]int{0, 3, 13, 22}, onset: 34, treatments: [][]string{{"metformin-500"}, {"metformin-1000"}, {"metformin-1000", "glipizide"}, {"metformin-1000", "empagliflozin"}, {"metformin-1000", "glargine"}}, panels: []string{"a1c", "bmp", "microalbumin"},
	},
	{
		key: "prediabetes", text: "Prediabetes", snomed: "714628002", snomedDisplay: "Prediabetes", icd10: "R73.03", icd10Display: "Prediabetes",
		percent: [4]int{0, 4, 16, 14}, onset: 30, panels: []string{"a1c"},
	},
	{
		key: "ckd3", text: "Chronic kidney disease, stage 3", snomed: "433144002", snomedDisplay: "Chronic kidney disease stage 3", icd10: "N18.30", icd10Display: "Chronic kidney disease, stage 3 unspecified",
		percent: [4]int{0, 0, 5, 18}, onset: 50, panels: []string{"bmp", "microalbumin", "cbc"},
	},
	{
		key: "obesity", text: "Obesity", snomed: "414916001", snomedDisplay: "Obesity", icd10: "E66.9", icd10Display: "Obesity, unspecified",
		percent: [4]int{8, 22, 32, 24}, onset: 10,
	},
	{
		key: "cad", text: "Coronary artery disease", snomed: "53741008", snomedDisplay: "Coronary arteriosclerosis", icd10: "I25.10", icd10Display: "Atherosclerotic heart disease of native coronary artery without angina pectoris",
		percent: [4]int{0, 0, 5, 18}, female: 60, onset: 48, treatments: [][]string{{"aspirin", "metoprolol"}, {"clopidogrel", "metoprolol"}}, panels: []string{"lipid"},
	},
	{
		key: "afib", text: "Atrial fibrillation", snomed: "49436004", snomedDisplay: "Atrial fibrillation", icd10: "I48.91", icd10Display: "Unspecified atrial fibrillation",
		percent: [4]int{0, 0, 2, 10}, onset: 55, treatments: [][]string{{"apixaban", "metoprolol"}, {"warfarin", "metoprolol"}}, panels: []string{"bmp"},
	},
	{
		key: "heart-failure", text: "Chronic systolic heart failure", snomed: "441481004", snomedDisplay: "Chronic systolic heart failure", icd10: "I50.22", icd10Display: "Chronic systolic (congestive) heart failure",
		percent: [4]int{0, 0, 1, 7}, onset: 58, treatments: [][]string{{"furosemide", "carvedilol"}, {"furosemide", "carvedilol", "spironolactone"}}, panels: []string{"bnp", "bmp"},
	},
	{
		key: "asthma", text: "Asthma", snomed: "195967001", snomedDisplay: "Asthma", icd10: "J45.909", icd10Display: "Unspecified asthma, uncomplicated",
		percent: [4]int{9, 9, 8, 6}, onset: 3, treatments: [][]string{{"albuterol"}, {"albuterol", "fluticasone"}, {"albuterol", "montelukast"}},
	},
	{
		key: "copd", text: "Chronic obstructive pulmonary disease", snomed: "13645005", snomedDisplay: "Chronic obstructive pulmonary disease", icd10: "J44.9", icd10Display: "Chronic obstructive pulmonary disease, unspecified",
		percent: [4]int{0, 0, 6, 13}, onset: 45, treatments: [][]string{{"albuterol", "fluticasone-salmeterol"}},
	},
	{
		key: "depression", text: "Major depressive disorder", snomed: "370143000", snomedDisplay: "Major depressive disorder", icd10: "F32.9", icd10Display: "Major depressive disorder, single episode, unspecified",
		percent: [4]int{3, 12, 11, 8}, female: 130, male: 70, onset: 13, treatments: [][]string{{"sertraline"}, {"escitalopram"}, {"fluoxetine"}, {"sertraline", "trazodone"}},
	},
	{
		key: "anxiety", text: "Anxiety disorder", snomed: "197480006", snomedDisplay: "Anxiety disorder", icd10: "F41.9", icd10Display: "Anxiety disorder, unspecified",
		percent: [4]int{5, 14, 11, 7}, female: 130, male: 70, onset: 10, treatments: [][]string{{"escitalopram"}, {}},
	},
	{
		key: "gerd", text: "Gastroesophageal reflux disease", snomed: "235595009", snomedDisplay: "Gastroesophageal reflux disease", icd10: "K21.9", icd10Display: "Gastro-esophageal reflux disease without esophagitis",
		percent: [4]int{1, 9, 18, 22}, onset: 16, treatments: [][]string{{"omeprazole"}, {"pantoprazole"}},
	},
	{
		key: "hypothyroidism", text: "Hypothyroidism", snomed: "40930008", snomedDisplay: "Hypothyroidism", icd10: "E03.9", icd10Display: "Hypothyroidism, unspecified",
		percent: [4]int{0, 3, 8, 13}, female: 160, male: 40, onset: 20, treatments: [][]string{{"levothyroxine"}}, panels: []string{"tsh"},
	},
	{
		key: "sleep-apnea", text: "Obstructive sleep apnea", snomed: "78275009", snomedDisplay: "Obstructive sleep apnea syndrome", icd10: "G47.33", icd10Display: "Obstructive sleep apnea (adult) (pediatric)",
		percent: [4]int{0, 2, 9, 9}, female: 60, male: 140, onset: 30,
	},
	{
		key: "knee-oa", text: "Osteoarthritis of knee", snomed: "239873007", snomedDisplay: "Osteoarthritis of knee", icd10: "M17.9", icd10Display: "Osteoarthritis of knee, unspecified",
		percent: [4]int{0, 1, 12, 28}, onset: 42, treatments: [][]string{{"acetaminophen"}, {"naproxen"}, {"ibuprofen"}},
	},
	{
		key: "back-pain", text: "Low back pain", snomed: "279039007", snomedDisplay: "Low back pain", icd10: "M54.50", icd10Display: "Low back pain, unspecified",
		percent: [4]int{0, 9, 14, 12}, onset: 20, treatments: [][]string{{"ibuprofen"}, {"naproxen"}, {}},
	},
	{
		key: "chronic-pain", text: "Chronic pain", snomed: "82423001", snomedDisplay: "Chronic pain", icd10: "G89.29", icd10Display: "Other chronic pain",
		percent: [4]int{0, 1, 4, 5}, onset: 25, treatments: [][]string{{"gabapentin"}, {"tramadol"}, {"hydrocodone-acetaminophen", "gabapentin"}},
	},
	{
		key: "osteoporosis", text: "Osteoporosis", snomed: "64859006", snomedDisplay: "Osteoporosis", icd10: "M81.0", icd10Display: "Age-related osteoporosis without current pathological fracture",
		percent: [4]int{0, 0, 2, 16}, female: 170, male: 30, onset: 55, treatments: [][]string{{"alendronate"}},
	},
	{
		key: "migraine", text: "Migraine", snomed: "37796009", snomedDisplay: "Migraine", icd10: "G43.909", icd10Display: "Migraine, unspecified, not intractable, without status migrainosus",
		percent: [4]int{2, 11, 9, 3}, female: 150, male: 50, onset: 12, treatments: [][]string{{"sumatriptan"}},
	},
	{
		key: "allergic-rhinitis", text: "Allergic rhinitis", snomed: "61582004", snomedDisplay: "Allergic rhinitis", icd10: "J30.9", icd10Display: "Allergic rhinitis, unspecified",
		percent: [4]int{13, 14, 12, 9}, onset: 4, treatments: [][]string{{"cetirizine"}, {"loratadine"}, {}},
	},
	{
		key: "eczema", text: "Atopic dermatitis", snomed: "24079001", snomedDisplay: "Atopic dermatitis", icd10: "L20.9", icd10Display: "Atopic dermatitis, unspecified",
		percent: [4]int{11, 6, 4, 3}, onset: 1, treatments: [][]string{{"hydrocortisone"}},
	},
	{
		key: "gout", text: "Gout", snomed: "90560007", snomedDisplay: "Gout", icd10: "M10.9", icd10Display: "Gout, unspecified",
		percent: [4]int{0, 1, 5, 8}, female: 40, male: 160, onset: 35, treatments: [][]string{{"allopurinol"}}, panels: []string{"uric-acid"},
	},
	{
		key: "iron-deficiency", text: "Iron deficiency anemia", snomed: "87522002", snomedDisplay: "Iron deficiency anemia", icd10: "D50.9", icd10Display: "Iron deficiency anemia, unspecified",
		percent: [4]int{1, 6, 4, 4}, female: 170, male: 30, onset: 12, treatments: [][]string{{"ferrous-sulfate"}}, panels: []string{"cbc", "ferritin"},
	},
	{
		key: "bph", text: "Benign prostatic hyperplasia", snomed: "266569009", snomedDisplay: "Benign prostatic hyperplasia", icd10: "N40.0", icd10Display: "Benign prostatic hyperplasia without lower urinary tract symptoms",
		percent: [4]int{0, 0, 14, 38}, female: -1, onset: 48, treatments: [][]string{{"tamsulosin"}, {}}, panels: []string{"psa"},
	},
	{
		key: "vitamin-d", text: "Vitamin D deficiency", snomed: "34713006", snomedDisplay: "Vitamin D deficiency", icd10: "E55.9", icd10Display: "Vitamin D deficiency, unspecified",
		percent: [4]int{2, 6, 9, 11}, onset: 10, panels: []string{"vitamin-d"},
	},
	{
		key: "nicotine", text: "Nicotine dependence, cigarettes", snomed: "56294008", snomedDisplay: "Nicotine dependence", icd10: "F17.210", icd10Display: "Nicotine dependence, cigarettes, uncomplicated",
		percent: [4]int{0, 10, 13, 8}, onset: 17,
	},
	{
		key: "adhd", text: "Attention deficit hyperactivity disorder", snomed: "406506008", snomedDisplay: "Attention deficit hyperactivity disorder", icd10: "F90.9", icd10Display: "Attention-deficit hyperactivity disorder, unspecified type",
		percent: [4]int{8, 4, 1, 0}, female: 60, male: 140, onset: 6, treatments: [][]string{{"methylphenidate"}, {}},
	},
	{key: "neuropathy", text: "Diabetic peripheral neuropathy", snomed: "368581000119106", snomedDisplay: "Neuropathy due to type 2 diabetes mellitus", icd10: "E11.42", icd10Display: "Type 2 diabetes mellitus with diabetic polyneuropathy"},

	// Acute.
	{key: "uri", text: "Upper respiratory infection", snomed: "54150009", snomedDisplay: "Upper respiratory infection", icd10: "J06.9", icd10Display: "Acute upper respiratory infection, unspecified"},
	{key: "sinusitis", text: "Acute sinusitis", snomed: "15805002", snomedDisplay: "Acute sinusitis", icd10: "J01.90", icd10Display: "Acute sinusitis, unspecified"},
	{key: "bronchitis", text: "Acute bronchitis", snomed: "10509002", snomedDisplay: "Acute bronchitis", icd10: "J20.9", icd10Display: "Acute bronchitis, unspecified"},
	{key: "uti", text: "Urinary tract infection", snomed: "68566005", snomedDisplay: "Urinary tract infectious disease", icd10: "N39.0", icd10Display: "Urinary tract infection, site not specified"},
	{key: "otitis-media", text: "Acute otitis media", snomed: "3110003", snomedDisplay: "Acute otitis media", icd10: "H66.90", icd10Display: "Otitis media, unspecified, unspecified ear"},
	{key: "strep", text: "Streptococcal pharyngitis", snomed: "43878008", snomedDisplay: "Streptococcal sore throat", icd10: "J02.0", icd10Display: "Streptococcal pharyngitis"},
	{key: "gastroenteritis", text: "Viral gastroenteritis", snomed: "111843007", snomedDisplay: "Viral gastroenteritis", icd10: "A08.4", icd10Display: "Viral intestinal infection, unspecified"},
	{key: "ankle-sprain", text: "Sprain of ankle", snomed: "44465007", snomedDisplay: "Sprain of ankle", icd10: "S93.409A", icd10Display: "Sprain of unspecified ligament of unspecified ankle, initial encounter"},
	{key: "covid", text: "COVID-19", snomed: "840539006", snomedDisplay: "Disease caused by severe acute respiratory syndrome coronavirus 2", icd10: "U07.1", icd10Display: "COVID-19"},
	{key: "contact-dermatitis", text: "Contact dermatitis", snomed: "40275004", snomedDisplay: "Contact dermatitis", icd10: "L25.9", icd10Display: "Unspecified contact dermatitis, unspecified cause"},
	{key: "conjunctivitis", text: "Conjunctivitis", snomed: "9826008", snomedDisplay: "Conjunctivitis", icd10: "H10.9", icd10Display: "Unspecified conjunctivitis"},
	{key: "pneumonia", text: "Pneumonia", snomed: "233604007", snomedDisplay: "Pneumonia", icd10: "J18.9", icd10Display: "Pneumonia, unspecified organism"},

	// Reasons that are no disease.
	{key: "adult-exam", text: "Routine general medical examination", snomed: "162673000", snomedDisplay: "General examination of patient", icd10: "Z00.00", icd10Display: "Encounter for general adult medical examination without abnormal findings"},
	{key: "child-exam", text: "Well child check", snomed: "410620009", snomedDisplay: "Well child visit", icd10: "Z00.129", icd10Display: "Encounter for routine child health examination without abnormal findings"},
	{key: "anticoagulation", text: "Long term current use of anticoagulant", snomed: "711150003", snomedDisplay: "Long-term current use of anticoagulant", icd10: "Z79.01", icd10Display: "Long term (current) use of anticoagulants"},

	// Health concerns.
	{key: "food-insecurity", text: "Food insecurity", snomed: "733423003", snomedDisplay: "Food insecurity", icd10: "Z59.41", icd10Display: "Food insecurity"},
	{key: "fall-risk", text: "At risk for falls", snomed: "129839007", snomedDisplay: "At risk for falls", icd10: "Z91.81", icd10Display: "History of falling"},
	{key: "stress", text: "Stress", snomed: "73595000", snomedDisplay: "Stress", icd10: "Z73.3", icd10Display: "Stress, not elsewhere classified"},
}

var conditionByKey = func() map[string]*condition {
	m := make(map[string]*condition, len(conditions))
	for _, c := range conditions {
		c.code = concept(c.text,
			coding(systemSNOMED, c.snomed, c.snomedDisplay),
			coding(systemICD10, c.icd10, c.icd10Display),
			ownCode(systemDiagnosis, 6, c.text))
		m[c.key] = c
	}
	return m
}()

// acuteReasons are what people come with unannounced, by the age band that they suit, with weights.
var acuteReasons = []struct {
	key          string
	from, to     int
	weight       int
	antibiotic   string
	femaleFactor int
}{
	{"uri", 0, 120, 20, "", 1},
	{"otitis-media", 0, 12, 18, "amoxicillin", 1},
	{"strep", 4, 30, 8, "amoxicillin", 1},
	{"sinusitis", 14, 120, 10, "amoxicillin-clavulanate", 1},
	{"bronchitis", 18, 120, 7, "azithromycin", 1},
	{"uti", 16, 120, 4, "nitrofurantoin", 4},
	{"gastroenteritis", 0, 120, 8, "", 1},
	{"ankle-sprain", 9, 70, 6, "", 1},
	{"covid", 0, 120, 8, "", 1},
	{"contact-dermatitis", 2, 120, 5, "", 1},
	{"conjunctivitis", 0, 60, 4, "", 1},
	{"pneumonia", 50, 120, 2, "doxycycline", 1},
}
