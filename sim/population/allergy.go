package population

import (
	"time"

	"github.com/andironhq/andiron/r4"
)

// allergen is a substance with its codings and the reactions that people report.
type allergen struct {
	key, text, category string
	codings             []r4.Coding
	reactions           []string
	weight              int
}

var allergens = []allergen{
	{key: "penicillin", text: "PENICILLINS", category: "medication", weight: 30, reactions: []string{"Hives", "Rash"}, codings: []r4.Coding{
		coding(systemRxNorm, "70618", "penicillin"), coding(systemRxNorm, "7980", "penicillin G"), coding(systemRxNorm, "7984", "penicillin V"),
		coding(systemSNOMED, "91936005", "Allergy to penicillin"),
	}},
	{key: "sulfa", text: "SULFA (SULFONAMIDE ANTIBIOTICS)", category: "medication", weight: 18, reactions: []string{"Rash", "Hives"}, codings: []r4.Coding{
		coding(systemRxNorm, "10180", "sulfamethoxazole"), coding(systemSNOMED, "91939003", "Allergy to sulfonamide"),
	}},
	{key: "codeine", text: "CODEINE", category: "medication", weight: 10, reactions: []string{"Nausea", "Itching"}, codings: []r4.Coding{coding(systemRxNorm, "2670", "codeine")}},
	{key: "nsaid", text: "IBUPROFEN", category: "medication", weight: 8, reactions: []string{"Hives", "Nausea"}, codings: []r4.Coding{coding(systemRxNorm, "5640", "ibuprofen")}},
	{key: "peanut", text: "PEANUT", category: "food", weight: 10, reactions: []string{"Anaphylaxis", "Hives"}, codings: []r4.Coding{coding(systemSNOMED, "91935009", "Allergy to peanut")}},
	{key: "shellfish", text: "SHELLFISH DERIVED", category: "food", weight: 8, reactions: []string{"Hives", "Anaphylaxis"}, codings: []r4.Coding{coding(systemSNOMED, "300913006", "Allergy to shellfish")}},
	{key: "latex", text: "LATEX", category: "environment", weight: 7, reactions: []string{"Rash"}, codings: []r4.Coding{coding(systemSNOMED, "300916003", "Latex allergy")}},
	{key: "pollen", text: "GRASS POLLEN", category: "environment", weight: 9, reactions: []string{"Itching"}, codings: []r4.Coding{coding(systemSNOMED, "418689008", "Allergy to grass pollen")}},
}

// manifestations are coded in SNOMED CT, except that Epic sometimes has a word where the code
// belongs.
var manifestations = map[string]r4.Coding{
	"Hives":       coding(systemSNOMED, "247472004", "Wheal"),
	"Rash":        coding(systemSNOMED, "Rash", "Rash"),
	"Nausea":      coding(systemSNOMED, "422587007", "Nausea"),
	"Itching":     coding(systemSNOMED, "418290006", "Itching"),
	"Anaphylaxis": coding(systemSNOMED, "39579001", "Anaphylaxis"),
}

var (
	allergyActive      = &r4.CodeableConcept{Coding: []r4.Coding{{System: terminology + "allergyintolerance-clinical", Version: "4.0.0", Code: "active", Display: "Active"}}, Text: "Active"}
	allergyConfirmed   = &r4.CodeableConcept{Coding: []r4.Coding{{System: terminology + "allergyintolerance-verification", Version: "4.0.0", Code: "confirmed", Display: "Confirmed"}}, Text: "Confirmed"}
	allergyUnconfirmed = &r4.CodeableConcept{Coding: []r4.Coding{{System: terminology + "allergyintolerance-verification", Version: "4.0.0", Code: "unconfirmed", Display: "Unconfirmed"}}, Text: "Unconfirmed"}
)

// allergy documents an allergy with one reaction.
func (c *chart) allergy(key, manifestation, severity string, t time.Time) {
	a := allergenByKey(key)
	t = c.within(t)
	criticality := "low"
	if severity == "severe" || manifestation == "Anaphylaxis" {
		criticality = "high"
	}
	codings := append(append([]r4.Coding{}, a.codings...), ownCode(systemAllergen, 3, a.text))
	c.add("", &r4.AllergyIntolerance{
		ID:                 c.id("AllergyIntolerance"),
		ClinicalStatus:     allergyActive,
		VerificationStatus: allergyConfirmed,
		Type:               "allergy",
		Category:           []string{a.category},
		Criticality:        criticality,
		Code:               concept(a.text, codings...),
		Patient:            c.subject,
		Onset:              r4.DateTime(date(t)),
		RecordedDate:       r4.DateTime(instant(t)),
		Reaction: []r4.AllergyIntoleranceReaction{{
			Manifestation: concepts(concept(manifestation, manifestations[manifestation])),
			Description:   manifestation,
			Severity:      severity,
		}},
	})
}

func allergenByKey(key string) allergen {
	for _, a := range allergens {
		if a.key == key {
			return a
		}
	}
	panic("population: no allergen " + key)
}

// noKnownAllergies says that somebody asked and there are none; notOnFile, that nobody asked.
// Epic answers the second with a resource too.
func (c *chart) noKnownAllergies(t time.Time) {
	c.add("", &r4.AllergyIntolerance{
		ID:                 c.id("AllergyIntolerance"),
		ClinicalStatus:     allergyActive,
		VerificationStatus: allergyConfirmed,
		Code:               concept("No Known Allergies", coding(systemSNOMED, "716186003", "No known allergy")),
		Patient:            c.subject,
		RecordedDate:       r4.DateTime(instant(t)),
	})
}

func (c *chart) notOnFile() {
	c.add("", &r4.AllergyIntolerance{
		ID:                 c.id(kindNotOnFile),
		ClinicalStatus:     allergyActive,
		VerificationStatus: allergyUnconfirmed,
		Code:               concept("Not on File", coding(systemSNOMED, "1631000175102", "Patient not asked")),
		Patient:            c.subject,
	})
}
