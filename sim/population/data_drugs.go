package population

import "github.com/andironhq/andiron/r4"

// ingredient is an RxNorm ingredient (term type IN).
type ingredient struct{ rxcui, name string }

// drug is one product as it is ordered, with the codings that an Epic Medication carries down to
// the ingredients.
type drug struct {
	key, order string // order is Epic's way to write the product
	// rxcui and name are the RxNorm clinical drug (term type SCD). Empty: only the ingredient
	// is certain, and only that is coded.
	rxcui, name string
	ingredients []ingredient
	form        string // key of doseForms

	// dose is the amount of the first ingredient in one administration, amount the number of
	// units given (tablets, puffs), each in its unit.
	dose     float64
	doseUnit string
	amount   float64
	per      string

	// timesADay is the frequency; 0 with everyDays gives one administration in so many days.
	timesADay int
	everyDays int
	asNeeded  string // the reason, when it is taken as needed
	sig       string

	// days is a course; 0 is continuous.
	days     int
	quantity int

	concept *r4.CodeableConcept
}

var (
	inAcetaminophen = ingredient{"161", "acetaminophen"}
	inFluticasone   = ingredient{"41126", "fluticasone"}
	inAmoxicillin   = ingredient{"723", "amoxicillin"}
)

// drugs: RxNorm clinical drugs and ingredients.
var drugs = []*drug{
	{key: "metformin-500", order: "metFORMIN 500 mg tablet", rxcui: "861007", name: "metformin hydrochloride 500 MG Oral Tablet", ingredients: []ingredient{{"6809", "metformin"}}, form: "tablet", dose: 500, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 2, sig: "Take 1 tablet (500 mg total) by mouth 2 times daily with meals.", quantity: 180},
	{key: "metformin-1000", order: "metFORMIN 1,000 mg tablet", rxcui: "861004", name: "metformin hydrochloride 1000 MG Oral Tablet", ingredients: []ingredient{{"6809", "metformin"}}, form: "tablet", dose: 1000, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 2, sig: "Take 1 tablet (1,000 mg total) by mouth 2 times daily with meals.", quantity: 180},
	{key: "glipizide", order: "glipiZIDE 5 mg tablet", rxcui: "310490", name: "glipizide 5 MG Oral Tablet", ingredients: []ingredient{{"4821", "glipizide"}}, form: "tablet", dose: 5, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (5 mg total) by mouth daily before breakfast.", quantity: 90},
	{key: "empagliflozin", order: "empagliflozin 10 mg tablet", rxcui: "1545658", name: "empagliflozin 10 MG Oral Tablet", ingredients: []ingredient{{"1545653", "empagliflozin"}}, form: "tablet", dose: 10, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (10 mg total) by mouth every morning.", quantity: 90},
	{key: "glargine", order: "insulin glargine 100 unit/mL injection", rxcui: "311041", name: "insulin glargine 100 UNT/ML Injectable Solution", ingredients: []ingredient{{"274783", "insulin glargine"}}, form: "solution", dose: 20, doseUnit: "Units", amount: 0.2, per: "mL", timesADay: 1, sig: "Inject 20 Units under the skin nightly.", quantity: 10},
	{key: "lisinopril", order: "lisinopril 10 mg tablet", rxcui: "314076", name: "lisinopril 10 MG Oral Tablet", ingredients: []ingredient{{"29046", "lisinopril"}}, form: "tablet", dose: 10, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (10 mg total) by mouth daily.", quantity: 90},
	{key: "lisinopril-20", order: "lisinopril 20 mg tablet", rxcui: "314077", name: "lisinopril 20 MG Oral Tablet", ingredients: []ingredient{{"29046", "lisinopril"}}, form: "tablet", dose: 20, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (20 mg total) by mouth daily.", quantity: 90},
	{key: "losartan", order: "losartan 50 mg tablet", rxcui: "979492", name: "losartan potassium 50 MG Oral Tablet", ingredients: []ingredient{{"52175", "losartan"}}, form: "tablet", dose: 50, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (50 mg total) by mouth daily.", quantity: 90},
	{key: "amlodipine", order: "amLODIPine 5 mg tablet", rxcui: "197361", name: "amlodipine 5 MG Oral Tablet", ingredients: []ingredient{{"17767", "amlodipine"}}, form: "tablet", dose: 5, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (5 mg total) by mouth daily.", quantity: 90},
	{key: "hydrochlorothiazide", order: "hydroCHLOROthiazide 25 mg tablet", rxcui: "310798", name: "hydrochlorothiazide 25 MG Oral Tablet", ingredients: []ingredient{{"5487", "hydrochlorothiazide"}}, form: "tablet", dose: 25, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (25 mg total) by mouth daily.", quantity: 90},
	{key: "atorvastatin-20", order: "atorvastatin 20 mg tablet", rxcui: "617310", name: "atorvastatin 20 MG Oral Tablet", ingredients: []ingredient{{"83367", "atorvastatin"}}, form: "tablet", dose: 20, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (20 mg total) by mouth nightly.", quantity: 90},
	{key: "atorvastatin-40", order: "atorvastatin 40 mg tablet", rxcui: "617311", name: "atorvastatin 40 MG Oral Tablet", ingredients: []ingredient{{"83367", "atorvastatin"}}, form: "tablet", dose: 40, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (40 mg total) by mouth nightly.", quantity: 90},
	{key: "simvastatin", order: "simvastatin 20 mg tablet", rxcui: "312961", name: "simvastatin 20 MG Oral Tablet", ingredients: []ingredient{{"36567", "simvastatin"}}, form: "tablet", dose: 20, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (20 mg total) by mouth nightly.", quantity: 90},
	{key: "aspirin", order: "aspirin 81 mg chewable tablet", rxcui: "318272", name: "aspirin 81 MG Chewable Tablet", ingredients: []ingredient{{"1191", "aspirin"}}, form: "tablet", dose: 81, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (81 mg total) by mouth daily.", quantity: 90},
	{key: "clopidogrel", order: "clopidogrel 75 mg tablet", rxcui: "309362", name: "clopidogrel 75 MG Oral Tablet", ingredients: []ingredient{{"32968", "clopidogrel"}}, form: "tablet", dose: 75, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (75 mg total) by mouth daily.", quantity: 90},
	{key: "metoprolol", order: "metoprolol succinate XL 50 mg 24 hr tablet", rxcui: "866436", name: "24 HR metoprolol succinate 50 MG Extended Release Oral Tablet", ingredients: []ingredient{{"6918", "metoprolol"}}, form: "tablet", dose: 50, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (50 mg total) by mouth daily. Do not crush or chew.", quantity: 90},
	{key: "carvedilol", order: "carvedilol 12.5 mg tablet", rxcui: "200032", name: "carvedilol 12.5 MG Oral Tablet", ingredients: []ingredient{{"20352", "carvedilol"}}, form: "tablet", dose: 12.5, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 2, sig: "Take 1 tablet (12.5 mg total) by mouth 2 times daily with meals.", quantity: 180},
	{key: "furosemide", order: "furosemide 40 mg tablet", rxcui: "313988", name: "furosemide 40 MG Oral Tablet", ingredients: []ingredient{{"4603", "furosemide"}}, form: "tablet", dose: 40, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (40 mg total) by mouth daily.", quantity: 90},
	{key: "spironolactone", order: "spironolactone 25 mg tablet", rxcui: "313096", name: "spironolactone 25 MG Oral Tablet", ingredients: []ingredient{{"9997", "spironolactone"}}, form: "tablet", dose: 25, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (25 mg total) by mouth daily.", quantity: 90},
	{key: "warfarin", order: "warfarin 5 mg tablet", rxcui: "855332", name: "warfarin sodium 5 MG Oral Tablet", ingredients: []ingredient{{"11289", "warfarin"}}, form: "tablet", dose: 5, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (5 mg total) by mouth every evening, or as directed by the anticoagulation clinic.", quantity: 90},
	{key: "apixaban", order: "apixaban 5 mg tablet", rxcui: "1364445", name: "apixaban 5 MG Oral Tablet", ingredients: []ingredient{{"1364430", "apixaban"}}, form: "tablet", dose: 5, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 2, sig: "Take 1 tablet (5 mg total) by mouth 2 times daily.", quantity: 180},
	{key: "amiodarone", order: "amiodarone 200 mg tablet", rxcui: "833528", name: "amiodarone hydrochloride 200 MG Oral Tablet", ingredients: []ingredient{{"703", "amiodarone"}}, form: "tablet", dose: 200, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (200 mg total) by mouth daily.", quantity: 90},
	{key: "digoxin", order: "digoxin 125 mcg tablet", rxcui: "197604", name: "digoxin 0.125 MG Oral Tablet", ingredients: []ingredient{{"3407", "digoxin"}}, form: "tablet", dose: 125, doseUnit: "mcg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (125 mcg total) by mouth daily.", quantity: 90},
	{key: "potassium", order: "potassium chloride ER 20 mEq tablet", ingredients: []ingredient{{"8591", "potassium chloride"}}, form: "tablet", dose: 20, doseUnit: "mEq", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (20 mEq total) by mouth daily with food.", quantity: 90},
	{key: "levothyroxine", order: "levothyroxine 75 mcg tablet", rxcui: "966222", name: "levothyroxine sodium 0.075 MG Oral Tablet", ingredients: []ingredient{{"10582", "levothyroxine"}}, form: "tablet", dose: 75, doseUnit: "mcg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (75 mcg total) by mouth every morning before breakfast.", quantity: 90},
	{key: "omeprazole", order: "omeprazole 20 mg delayed release capsule", rxcui: "198051", name: "omeprazole 20 MG Delayed Release Oral Capsule", ingredients: []ingredient{{"7646", "omeprazole"}}, form: "capsule", dose: 20, doseUnit: "mg", amount: 1, per: "capsule", timesADay: 1, sig: "Take 1 capsule (20 mg total) by mouth daily before breakfast.", quantity: 90},
	{key: "pantoprazole", order: "pantoprazole 40 mg EC tablet", rxcui: "314200", name: "pantoprazole 40 MG Delayed Release Oral Tablet", ingredients: []ingredient{{"40790", "pantoprazole"}}, form: "tablet", dose: 40, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (40 mg total) by mouth daily.", quantity: 90},
	{key: "sertraline", order: "sertraline 50 mg tablet", rxcui: "312941", name: "sertraline 50 MG Oral Tablet", ingredients: []ingredient{{"36437", "sertraline"}}, form: "tablet", dose: 50, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (50 mg total) by mouth daily.", quantity: 90},
	{key: "escitalopram", order: "escitalopram 10 mg tablet", rxcui: "349332", name: "escitalopram 10 MG Oral Tablet", ingredients: []ingredient{{"321988", "escitalopram"}}, form: "tablet", dose: 10, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (10 mg total) by mouth daily.", quantity: 90},
	{key: "fluoxetine", order: "FLUoxetine 20 mg capsule", rxcui: "310385", name: "fluoxetine 20 MG Oral Capsule", ingredients: []ingredient{{"4493", "fluoxetine"}}, form: "capsule", dose: 20, doseUnit: "mg", amount: 1, per: "capsule", timesADay: 1, sig: "Take 1 capsule (20 mg total) by mouth daily.", quantity: 90},
	{key: "trazodone", order: "traZODone 50 mg tablet", rxcui: "856377", name: "trazodone hydrochloride 50 MG Oral Tablet", ingredients: []ingredient{{"10737", "trazodone"}}, form: "tablet", dose: 50, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (50 mg total) by mouth nightly.", quantity: 90},
	{key: "lorazepam", order: "LORazepam 0.5 mg tablet", rxcui: "197900", name: "lorazepam 0.5 MG Oral Tablet", ingredients: []ingredient{{"6470", "lorazepam"}}, form: "tablet", dose: 0.5, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, asNeeded: "anxiety", sig: "Take 1 tablet (0.5 mg total) by mouth nightly as needed for anxiety.", quantity: 30},
	{key: "albuterol", order: "albuterol HFA 90 mcg/actuation inhaler", rxcui: "745679", name: "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler", ingredients: []ingredient{{"435", "albuterol"}}, form: "inhaler", dose: 180, doseUnit: "mcg", amount: 2, per: "puff", timesADay: 4, asNeeded: "wheezing", sig: "Inhale 2 puffs every 6 hours as needed for wheezing.", quantity: 1},
	{key: "fluticasone", order: "fluticasone 44 mcg/actuation inhaler", rxcui: "895994", name: "120 ACTUAT fluticasone propionate 0.044 MG/ACTUAT Metered Dose Inhaler", ingredients: []ingredient{inFluticasone}, form: "inhaler", dose: 88, doseUnit: "mcg", amount: 2, per: "puff", timesADay: 2, sig: "Inhale 2 puffs 2 times daily. Rinse mouth after use.", quantity: 1},
	{key: "fluticasone-salmeterol", order: "fluticasone-salmeterol 250-50 mcg/dose diskus inhaler", rxcui: "896209", name: "60 ACTUAT fluticasone propionate 0.25 MG/ACTUAT / salmeterol 0.05 MG/ACTUAT Dry Powder Inhaler", ingredients: []ingredient{inFluticasone, {"36117", "salmeterol"}}, form: "inhaler", dose: 250, doseUnit: "mcg", amount: 1, per: "puff", timesADay: 2, sig: "Inhale 1 puff 2 times daily. Rinse mouth after use.", quantity: 1},
	{key: "montelukast", order: "montelukast 10 mg tablet", rxcui: "200224", name: "montelukast 10 MG Oral Tablet", ingredients: []ingredient{{"88249", "montelukast"}}, form: "tablet", dose: 10, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (10 mg total) by mouth nightly.", quantity: 90},
	{key: "oxycodone", order: "oxyCODONE 5 mg immediate release tablet", rxcui: "1049621", name: "oxycodone hydrochloride 5 MG Oral Tablet", ingredients: []ingredient{{"7804", "oxycodone"}}, form: "tablet", dose: 10, doseUnit: "mg", amount: 2, per: "tablet", timesADay: 4, sig: "Take 2 tablets (10 mg total) by mouth every 6 hours.", quantity: 240},
	{key: "hydrocodone-acetaminophen", order: "HYDROcodone-acetaminophen 5-325 mg tablet", rxcui: "857002", name: "acetaminophen 325 MG / hydrocodone bitartrate 5 MG Oral Tablet", ingredients: []ingredient{{"5489", "hydrocodone"}, inAcetaminophen}, form: "tablet", dose: 5, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 4, asNeeded: "pain", sig: "Take 1 tablet by mouth every 6 hours as needed for pain.", quantity: 60},
	{key: "tramadol", order: "traMADol 50 mg tablet", rxcui: "835603", name: "tramadol hydrochloride 50 MG Oral Tablet", ingredients: []ingredient{{"10689", "tramadol"}}, form: "tablet", dose: 50, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 3, asNeeded: "pain", sig: "Take 1 tablet (50 mg total) by mouth every 8 hours as needed for pain.", quantity: 60},
	{key: "gabapentin", order: "gabapentin 300 mg capsule", rxcui: "310431", name: "gabapentin 300 MG Oral Capsule", ingredients: []ingredient{{"25480", "gabapentin"}}, form: "capsule", dose: 300, doseUnit: "mg", amount: 1, per: "capsule", timesADay: 3, sig: "Take 1 capsule (300 mg total) by mouth 3 times daily.", quantity: 270},
	{key: "acetaminophen", order: "acetaminophen 325 mg tablet", rxcui: "313782", name: "acetaminophen 325 MG Oral Tablet", ingredients: []ingredient{inAcetaminophen}, form: "tablet", dose: 650, doseUnit: "mg", amount: 2, per: "tablet", timesADay: 4, asNeeded: "pain", sig: "Take 2 tablets (650 mg total) by mouth every 6 hours as needed for pain.", quantity: 100},
	{key: "ibuprofen", order: "ibuprofen 600 mg tablet", rxcui: "197806", name: "ibuprofen 600 MG Oral Tablet", ingredients: []ingredient{{"5640", "ibuprofen"}}, form: "tablet", dose: 600, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 3, asNeeded: "pain", sig: "Take 1 tablet (600 mg total) by mouth every 8 hours as needed for pain. Take with food.", quantity: 90},
	{key: "naproxen", order: "naproxen 500 mg tablet", rxcui: "198014", name: "naproxen 500 MG Oral Tablet", ingredients: []ingredient{{"7258", "naproxen"}}, form: "tablet", dose: 500, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 2, asNeeded: "pain", sig: "Take 1 tablet (500 mg total) by mouth 2 times daily as needed for pain. Take with food.", quantity: 60},
	{key: "sumatriptan", order: "SUMAtriptan 50 mg tablet", ingredients: []ingredient{{"37418", "sumatriptan"}}, form: "tablet", dose: 50, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, asNeeded: "migraine", sig: "Take 1 tablet (50 mg total) by mouth once as needed for migraine. May repeat once after 2 hours.", quantity: 9},
	{key: "alendronate", order: "alendronate 70 mg tablet", rxcui: "904431", name: "alendronic acid 70 MG Oral Tablet", ingredients: []ingredient{{"46041", "alendronic acid"}}, form: "tablet", dose: 70, doseUnit: "mg", amount: 1, per: "tablet", everyDays: 7, sig: "Take 1 tablet (70 mg total) by mouth every 7 days with a full glass of water.", quantity: 12},
	{key: "allopurinol", order: "allopurinol 100 mg tablet", rxcui: "197319", name: "allopurinol 100 MG Oral Tablet", ingredients: []ingredient{{"519", "allopurinol"}}, form: "tablet", dose: 100, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (100 mg total) by mouth daily.", quantity: 90},
	{key: "tamsulosin", order: "tamsulosin 0.4 mg capsule", rxcui: "863669", name: "tamsulosin hydrochloride 0.4 MG Oral Capsule", ingredients: []ingredient{{"77492", "tamsulosin"}}, form: "capsule", dose: 0.4, doseUnit: "mg", amount: 1, per: "capsule", timesADay: 1, sig: "Take 1 capsule (0.4 mg total) by mouth daily after the same meal.", quantity: 90},
	{key: "methylphenidate", order: "methylphenidate 20 mg tablet", rxcui: "1091392", name: "methylphenidate hydrochloride 20 MG Oral Tablet", ingredients: []ingredient{{"6901", "methylphenidate"}}, form: "tablet", dose: 20, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (20 mg total) by mouth every morning.", quantity: 30},
	{key: "ferrous-sulfate", order: "ferrous sulfate 325 mg (65 mg iron) tablet", rxcui: "310325", name: "ferrous sulfate 325 MG Oral Tablet", ingredients: []ingredient{{"24947", "ferrous sulfate"}}, form: "tablet", dose: 325, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (325 mg total) by mouth daily.", quantity: 90},
	{key: "cetirizine", order: "cetirizine 10 mg tablet", rxcui: "1014678", name: "cetirizine hydrochloride 10 MG Oral Tablet", ingredients: []ingredient{{"20610", "cetirizine"}}, form: "tablet", dose: 10, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (10 mg total) by mouth daily.", quantity: 90},
	{key: "loratadine", order: "loratadine 10 mg tablet", rxcui: "311372", name: "loratadine 10 MG Oral Tablet", ingredients: []ingredient{{"28889", "loratadine"}}, form: "tablet", dose: 10, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 1 tablet (10 mg total) by mouth daily.", quantity: 90},
	{key: "hydrocortisone", order: "hydrocortisone 1 % cream", rxcui: "106258", name: "hydrocortisone 10 MG/ML Topical Cream", ingredients: []ingredient{{"5492", "hydrocortisone"}}, form: "cream", dose: 1, doseUnit: "application", amount: 1, per: "application", timesADay: 2, asNeeded: "rash", sig: "Apply 1 application to the affected area 2 times daily as needed for rash.", quantity: 28},
	{key: "amoxicillin", order: "amoxicillin 500 mg tablet", rxcui: "308192", name: "amoxicillin 500 MG Oral Tablet", ingredients: []ingredient{inAmoxicillin}, form: "tablet", dose: 500, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 3, sig: "Take 1 tablet (500 mg total) by mouth 3 times daily for 10 days.", days: 10, quantity: 30},
	{key: "amoxicillin-clavulanate", order: "amoxicillin-clavulanate 875-125 mg tablet", rxcui: "562508", name: "amoxicillin 875 MG / clavulanate 125 MG Oral Tablet", ingredients: []ingredient{inAmoxicillin, {"48203", "clavulanate"}}, form: "tablet", dose: 875, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 2, sig: "Take 1 tablet by mouth 2 times daily for 7 days.", days: 7, quantity: 14},
	{key: "azithromycin", order: "azithromycin 250 mg tablet", rxcui: "308460", name: "azithromycin 250 MG Oral Tablet", ingredients: []ingredient{{"18631", "azithromycin"}}, form: "tablet", dose: 250, doseUnit: "mg", amount: 1, per: "tablet", timesADay: 1, sig: "Take 2 tablets on day 1, then 1 tablet daily for 4 days.", days: 5, quantity: 6},
	{key: "doxycycline", order: "doxycycline hyclate 100 mg capsule", rxcui: "1649988", name: "doxycycline hyclate 100 MG Oral Capsule", ingredients: []ingredient{{"3640", "doxycycline"}}, form: "capsule", dose: 100, doseUnit: "mg", amount: 1, per: "capsule", timesADay: 2, sig: "Take 1 capsule (100 mg total) by mouth 2 times daily for 7 days.", days: 7, quantity: 14},
	{key: "nitrofurantoin", order: "nitrofurantoin (macrocrystal-monohydrate) 100 mg capsule", ingredients: []ingredient{{"7454", "nitrofurantoin"}}, form: "capsule", dose: 100, doseUnit: "mg", amount: 1, per: "capsule", timesADay: 2, sig: "Take 1 capsule (100 mg total) by mouth 2 times daily for 5 days.", days: 5, quantity: 10},
	{key: "prednisone", order: "predniSONE 20 mg tablet", rxcui: "312615", name: "prednisone 20 MG Oral Tablet", ingredients: []ingredient{{"8640", "prednisone"}}, form: "tablet", dose: 40, doseUnit: "mg", amount: 2, per: "tablet", timesADay: 1, sig: "Take 2 tablets (40 mg total) by mouth daily for 5 days.", days: 5, quantity: 10},
}

// doseForms are the forms with their route (SNOMED CT).
var doseForms = map[string]struct {
	text          string
	route, method string
	routeCode     string
}{
	"tablet":   {"Tablet", "Oral", "Take", "26643006"},
	"capsule":  {"Capsule", "Oral", "Take", "26643006"},
	"inhaler":  {"Inhaler", "Inhalation", "Inhale", "447694001"},
	"solution": {"Injectable Solution", "Subcutaneous", "Inject", "34206005"},
	"cream":    {"Cream", "Topical", "Apply", "6064005"},
}

var drugByKey = func() map[string]*drug {
	m := make(map[string]*drug, len(drugs))
	for _, d := range drugs {
		codings := []r4.Coding{ownCode(systemMedication, 5, d.order)}
		if d.rxcui != "" {
			codings = append(codings, coding(systemRxNorm, d.rxcui, d.name))
		}
		for _, in := range d.ingredients {
			codings = append(codings, coding(systemRxNorm, in.rxcui, in.name))
		}
		d.concept = concept(d.order, codings...)
		m[d.key] = d
	}
	return m
}()
