package population

import "strconv"

// Scheme is the form that resource ids take. At Epic it follows a setting of the application
// ("64-Character-Limited FHIR IDs for USCDI"), so one server shows one resource under different
// ids to different applications; a population has one scheme.
type Scheme string

const (
	// Unlimited is the default: ids up to 130 characters, as an application sees them that did
	// not ask for the limit.
	Unlimited Scheme = "unlimited"
	// Limited keeps every id within the 64 characters that FHIR allows.
	Limited Scheme = "limited64"
)

// idForm is the visible form of an id: its first and last character and its length.
type idForm struct {
	first, last byte
	length      int
}

// Kinds whose ids differ from those of the other resources of their type.
const (
	kindPercentile    = "Observation/percentile"
	kindEncounterDx   = "Condition/encounter-diagnosis"
	kindNotOnFile     = "AllergyIntolerance/not-on-file"
	kindRTF           = "Binary/rtf"
	alphabet          = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"
	lengthOfShortID   = 24
	lengthOfMiddleID  = 45
	lengthOfObsID     = 66
	lengthOfAllergyID = 88
	lengthOfPctID     = 130
)

var shortForm = idForm{'e', '3', lengthOfShortID}

// idForms are the forms seen in public recordings of Epic's sandbox, by kind; a kind that is
// missing has the short form (24 characters, e…3).
var idForms = map[Scheme]map[string]idForm{
	Unlimited: {
		"MedicationRequest":  {'e', '3', lengthOfMiddleID},
		"ServiceRequest":     {'e', '3', lengthOfMiddleID},
		"DiagnosticReport":   {'e', '3', lengthOfMiddleID},
		"Specimen":           {'e', '3', lengthOfMiddleID},
		"Appointment":        {'e', '3', lengthOfMiddleID},
		"DocumentReference":  {'f', '4', lengthOfMiddleID},
		"Binary":             {'f', '4', lengthOfMiddleID},
		kindRTF:              {'f', '4', lengthOfMiddleID},
		"Procedure":          {'f', '4', lengthOfMiddleID},
		kindEncounterDx:      {'f', '4', lengthOfMiddleID},
		"Observation":        {'e', '3', lengthOfObsID},
		"Medication":         {'e', '3', lengthOfObsID},
		"AllergyIntolerance": {'e', '3', lengthOfAllergyID},
		kindNotOnFile:        {'e', '3', lengthOfAllergyID},
		kindPercentile:       {'e', '3', lengthOfPctID},
	},
	Limited: {
		"MedicationRequest": {'e', '3', lengthOfMiddleID},
		"ServiceRequest":    {'e', '3', lengthOfMiddleID},
		"DiagnosticReport":  {'e', '3', lengthOfMiddleID},
		"Appointment":       {'e', '3', lengthOfMiddleID},
		"Medication":        {'f', '4', lengthOfShortID},
		"Binary":            {'f', '4', lengthOfShortID},
		kindRTF:             {'f', '4', lengthOfMiddleID},
		"Observation":       {'f', '4', lengthOfMiddleID},
		"Procedure":         {'f', '4', lengthOfMiddleID},
		kindEncounterDx:     {'f', '4', lengthOfMiddleID},
		kindNotOnFile:       {'f', '4', lengthOfMiddleID},
		kindPercentile:      {'y', '7', 64},
	},
}

func formOf(scheme Scheme, kind string) idForm {
	if f, ok := idForms[scheme][kind]; ok {
		return f
	}
	return shortForm
}

// makeID returns an id in the given form. Equal seeds give equal ids.
func makeID(form idForm, seed uint64) string {
	var buf [lengthOfPctID]byte
	r := rng{seed}
	var word uint64
	for i := 1; i < form.length-1; i++ {
		if i%10 == 1 {
			word = r.next()
		}
		buf[i] = alphabet[word&63]
		word >>= 6
	}
	buf[0], buf[form.length-1] = form.first, form.last
	return string(buf[:form.length])
}

// number returns a decimal record number of the given width whose digits follow from the seed.
// The first digit is never zero.
func number(width int, seed uint64) string {
	low := uint64(1)
	for range width - 1 {
		low *= 10
	}
	return strconv.FormatUint(low+scramble(seed)%(9*low), 10)
}
