package population

import (
	"encoding/base64"
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/andironhq/andiron/epic"
	"github.com/andironhq/andiron/r4"
)

// noteType is a kind of clinical note with Epic's number and LOINC's code.
type noteType struct{ epic, text, loinc, display string }

var noteTypes = map[string]noteType{
	"progress":  {"1", "Progress Notes", "11506-3", "Progress note"},
	"telephone": {"7", "Telephone Encounter", "34748-4", "Telephone encounter Note"},
	"discharge": {"5", "Discharge Summary", "18842-5", "Discharge summary"},
	"h-and-p":   {"4", "H&P", "34117-2", "History and physical note"},
	"consult":   {"2", "Consults", "11488-4", "Consult note"},
	"emergency": {"6", "ED Provider Notes", "34111-5", "Emergency department Note"},
}

var (
	categoryNote = concepts(concept("Clinical Note", coding("http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note", "Clinical Note")))
	formatPlain  = &r4.Coding{System: "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode", Code: "urn:ihe:iti:xds:2017:mimeTypeSufficient", Display: "mimeType Sufficient"}
	formatCDA    = &r4.Coding{System: "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode", Code: "urn:hl7-org:sdwg:ccda-structuredBody:2.1", Display: "C-CDA 2.1 structured body"}
	notDisclosed = concepts(concept("No disclosure to patient", coding(terminology+"v3-ActCode", "NOPAT", "no disclosure to patient, family or caregivers without attending provider's authorization")))
)

// note writes a clinical note of a visit: a DocumentReference with two contents, HTML and RTF of
// the same text, and the two Binary resources that they name.
func (c *chart) note(v *visit, kind string, paragraphs []string) {
	t := noteTypes[kind]
	written := v.until
	htmlID := c.binary("Binary", "text/html", "Clinical Notes", noteHTML(t.text, paragraphs))
	rtfID := c.binary(kindRTF, "text/rtf", "Clinical Notes", noteRTF(t.text, paragraphs))
	content := func(contentType, id string) r4.DocumentReferenceContent {
		return r4.DocumentReferenceContent{
			Attachment: &r4.Attachment{ContentType: contentType, URL: "Binary/" + id},
			Format:     formatPlain,
		}
	}
	doc := &r4.DocumentReference{
		ID:         c.id("DocumentReference"),
		Identifier: []r4.Identifier{{System: systemNote, Value: c.number("note", 9)}},
		Status:     "current",
		DocStatus:  "final",
		Type: concept(t.text, coding(systemNoteType, t.epic, t.text),
			r4.Coding{System: systemLOINC, Code: t.loinc, Display: t.display, UserSelected: r4.True}),
		Category:      categoryNote,
		Subject:       c.subject,
		Date:          r4.Instant(instant(written)),
		Author:        []r4.Reference{*v.by.reference},
		Authenticator: &r4.Reference{Extension: []r4.Extension{{URL: epic.ExtensionNoteAuthInstant, Value: r4.DateTime(instant(c.within(written.Add(20 * time.Minute))))}}, Reference: v.by.reference.Reference, Type: "Practitioner", Display: v.by.display},
		Custodian:     c.custodian(),
		Content:       []r4.DocumentReferenceContent{content("text/html", htmlID), content("text/rtf", rtfID)},
		Context: &r4.DocumentReferenceContext{
			Extension: []r4.Extension{
				{URL: epic.ExtensionNoteAuthorType, Value: concept(v.by.specialty, ownCode(epicOID("4.836982.1040"), 3, v.by.specialty))},
				{URL: epic.ExtensionNoteService, Value: v.place.service},
			},
			Encounter: []r4.Reference{*v.reference},
			Period:    &r4.Period{Start: r4.DateTime(instant(v.at)), End: r4.DateTime(instant(v.until))},
		},
	}
	if c.chance(0.04) {
		doc.SecurityLabel = notDisclosed
	}
	c.add("Clinical Notes", doc)
}

func (c *chart) custodian() *r4.Reference {
	org := *c.directory.organizations["health"]
	org.Identifier = &r4.Identifier{System: "urn:ietf:rfc:3986", Value: "urn:oid:" + OIDRoot + ".7.2.688879.9900"}
	return &org
}

func (c *chart) binary(kind, contentType, api, text string) string {
	id := c.id(kind)
	c.add(api, &r4.Binary{ID: id, ContentType: contentType, Data: base64.StdEncoding.EncodeToString([]byte(text))})
	return id
}

// noteHTML is a fragment, as Epic sends notes.
func noteHTML(title string, paragraphs []string) string {
	var b strings.Builder
	b.WriteString(`<div class="fmtConv" style="line-height:1"><div><span class="fmtConv" style="font-weight:bold">`)
	b.WriteString(html.EscapeString(title))
	b.WriteString("</span></div>")
	for _, p := range paragraphs {
		b.WriteString("<div><span>")
		b.WriteString(html.EscapeString(p))
		b.WriteString("</span></div>")
	}
	b.WriteString("</div>")
	return b.String()
}

func noteRTF(title string, paragraphs []string) string {
	escape := strings.NewReplacer(`\`, `\\`, `{`, `\{`, `}`, `\}`)
	var b strings.Builder
	b.WriteString(`{\rtf1\ansi\deff0{\fonttbl{\f0 Segoe UI;}}\f0\fs20 {\b `)
	b.WriteString(escape.Replace(title))
	b.WriteString(`\par}`)
	for _, p := range paragraphs {
		b.WriteByte('\n')
		b.WriteString(escape.Replace(p))
		b.WriteString(`\par`)
	}
	b.WriteString("}")
	return b.String()
}

// visitNote puts an ordinary visit into words from what the chart knows of it.
func (c *chart) visitNote(v *visit) {
	age := fmt.Sprintf("%.0f-year-old", c.age(v.at)-0.5)
	if months := c.ageInMonths(v.at); months < 24 {
		age = fmt.Sprintf("%.0f-month-old", months)
	}
	reason := "follow-up"
	if v.reason != nil {
		reason = strings.ToLower(v.reason.text[:1]) + v.reason.text[1:]
	}
	text := []string{
		fmt.Sprintf("Subjective: %s is a %s %s seen for %s.", c.who.given, age, c.who.sex, reason),
		pick(&c.rng, c.histories(v)),
	}
	if v.findings.weight != "" {
		objective := "Objective:"
		if v.findings.bp != "" {
			objective += " BP " + v.findings.bp + ","
		}
		text = append(text, fmt.Sprintf("%s pulse %s, temperature %s C, weight %s kg. %s", objective, v.findings.pulse, v.findings.temperature, v.findings.weight, pick(&c.rng, noteExams)))
	}
	var list []string
	for _, p := range c.problems {
		if !p.onset.After(v.at) && p.resolved.IsZero() {
			list = append(list, p.of.text)
		}
	}
	if len(list) > 0 {
		text = append(text, "Problems: "+strings.Join(list, "; ")+".")
	}
	kind := "progress"
	if v.kind.display == "ED" {
		kind = "emergency"
	}
	c.note(v, kind, append(text, "Plan: "+pick(&c.rng, notePlans)))
}

// histories are what people say, by what brings them.
func (c *chart) histories(v *visit) []string {
	switch {
	case v.kind.display == "Urgent Care" || v.kind.display == "ED":
		return historiesAcute
	case len(c.problems) > 0 && v.kind.display != "Well Child":
		return historiesChronic
	}
	return historiesWell
}

var (
	historiesWell = []string{
		"Feels well. No complaints today.",
		"No new complaints. Active most days. Appetite and sleep are good.",
	}
	historiesChronic = []string{
		"Feels well overall. No chest pain, no shortness of breath. Taking medicines as prescribed.",
		"Reports some tiredness, otherwise unchanged. Sleeping six to seven hours a night.",
		"Some missed doses in the last month; the reasons were discussed and a pill box suggested.",
	}
	historiesAcute = []string{
		"Symptoms began a few days ago and are slowly improving. No fever at home today.",
		"Began two days ago, about the same since. Eating and drinking.",
	}
	noteExams = []string{
		"Alert, in no distress. Heart regular, lungs clear. Abdomen soft. No edema.",
		"Well appearing. Lungs clear, no wheeze. Skin without rash.",
		"Comfortable at rest. Heart regular without murmur. Gait steady.",
	}
	notePlans = []string{
		"continue current medicines, laboratory tests as ordered, return in three to six months.",
		"supportive care, fluids and rest, call if not better within a week.",
		"diet and activity reviewed, vaccines as due, return in one year.",
		"adjust treatment as ordered today and recheck at the next visit.",
	}
)

// document files a scanned document: Epic tells that it exists and not what it holds.
func (c *chart) document(t time.Time, kind string) {
	c.add("Document Information", &r4.DocumentReference{
		ID:         c.id("DocumentReference"),
		Identifier: []r4.Identifier{{System: systemScanned, Value: c.number("scan", 8)}},
		Status:     "current",
		Type:       concept(kind, ownCode(epicOID("4.686783.40"), 3, kind)),
		Category:   concepts(concept("Document Information", coding(epic.SystemDocumentCategory2, "document-information", "Document Information"))),
		Subject:    c.subject,
		Date:       r4.Instant(instant(c.within(t))),
		Custodian:  c.custodian(),
		Content: []r4.DocumentReferenceContent{{Attachment: &r4.Attachment{
			Extension: []r4.Extension{{URL: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", Value: r4.Code("not-applicable")}},
		}}},
	})
}

// summary files a summary of care: a C-CDA document with an author who is a name only.
func (c *chart) summary(v *visit) {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	b.WriteString(`<ClinicalDocument xmlns="urn:hl7-org:v3"><realmCode code="US"/><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>`)
	b.WriteString(`<templateId root="2.16.840.1.113883.10.20.22.1.2" extension="2015-08-01"/><title>Summary of Care</title>`)
	fmt.Fprintf(&b, `<effectiveTime value="%s"/><component><structuredBody><component><section><title>Problems</title><text><list>`, v.until.Format("20060102150405")+"+0000")
	for _, p := range c.problems {
		if !p.onset.After(v.at) {
			b.WriteString("<item>" + html.EscapeString(p.of.text) + "</item>")
		}
	}
	b.WriteString("</list></text></section></component></structuredBody></component></ClinicalDocument>\n")
	id := c.binary("Binary", "application/xml", "External CDAs", b.String())
	c.add("External CDAs", &r4.DocumentReference{
		ID:         c.id("DocumentReference"),
		Identifier: []r4.Identifier{{System: epic.SystemDocumentID, Value: c.number("summary", 9)}},
		Status:     "current",
		DocStatus:  "final",
		Type:       concept("Summary of episode note", coding(systemLOINC, "34133-9", "Summary of episode note")),
		Category:   concepts(concept("Summary Document", coding(epic.SystemDocumentCategory2, "summary-document", "Summary Document"))),
		Subject:    c.subject,
		Date:       r4.Instant(instant(v.until)),
		Author:     []r4.Reference{{Display: "Hearthstone Health"}},
		Custodian:  c.custodian(),
		Content: []r4.DocumentReferenceContent{{
			Attachment: &r4.Attachment{ContentType: "application/xml", URL: "Binary/" + id},
			Format:     formatCDA,
		}},
		Context: &r4.DocumentReferenceContext{Period: &r4.Period{Start: r4.DateTime(instant(v.at)), End: r4.DateTime(instant(v.until))}},
	})
}
