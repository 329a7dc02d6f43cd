package lake

import (
	"strings"

	"github.com/andironhq/andiron/r4"
)

func documentReferenceView() *view {
	return perResource("documentreference", "One row per DocumentReference; a note's forms (HTML, RTF) stand in the lists.",
		text("id", "DocumentReference.id", func(d *r4.DocumentReference) string { return d.ID }),
		id("patient_id", "DocumentReference.subject", "Patient", func(d *r4.DocumentReference) *r4.Reference { return d.Subject }),
		id("encounter_id", "DocumentReference.context.encounter(first)", "Encounter", func(d *r4.DocumentReference) *r4.Reference { return first(documentContext(d).Encounter) }),
		text("status", "DocumentReference.status", func(d *r4.DocumentReference) string { return d.Status }),
		text("doc_status", "DocumentReference.docStatus", func(d *r4.DocumentReference) string { return d.DocStatus }),
		label("category", "DocumentReference.category", func(d *r4.DocumentReference) *r4.CodeableConcept { return pickIn(d.Category, documentCategory) }, documentCategory),
		subject("DocumentReference.type", func(d *r4.DocumentReference) *r4.CodeableConcept { return d.Type }, loinc),
		instant("date", "DocumentReference.date", func(d *r4.DocumentReference) r4.Instant { return d.Date }),
		link("author", "DocumentReference.author(first)", "", func(d *r4.DocumentReference) *r4.Reference { return first(d.Author) }),
		link("authenticator", "DocumentReference.authenticator", "", func(d *r4.DocumentReference) *r4.Reference { return d.Authenticator }),
		link("custodian", "DocumentReference.custodian", "Organization", func(d *r4.DocumentReference) *r4.Reference { return d.Custodian }),
		text("description", "DocumentReference.description", func(d *r4.DocumentReference) string { return d.Description }),
		text("content_type", "DocumentReference.content(first).attachment.contentType", func(d *r4.DocumentReference) string { return document(d).ContentType }),
		text("content_url", "DocumentReference.content(first).attachment.url", func(d *r4.DocumentReference) string { return document(d).URL }),
		integer("content_size", "DocumentReference.content(first).attachment.size", func(d *r4.DocumentReference) r4.Integer { return document(d).Size }),
		text("content_title", "DocumentReference.content(first).attachment.title", func(d *r4.DocumentReference) string { return document(d).Title }),
		texts("content_types", "DocumentReference.content.attachment.contentType", func(d *r4.DocumentReference) []string {
			return attachments(d, func(a *r4.Attachment) string { return a.ContentType })
		}),
		texts("content_urls", "DocumentReference.content.attachment.url", func(d *r4.DocumentReference) []string {
			return attachments(d, func(a *r4.Attachment) string { return a.URL })
		}),
		text("format", "DocumentReference.content(first).format.code", func(d *r4.DocumentReference) string {
			return coding(orZero(first(d.Content)).Format).Code
		}),
		text("security_label", "DocumentReference.securityLabel(first): code, else text", func(d *r4.DocumentReference) string {
			l := first(d.SecurityLabel)
			return either(codeIn(l), conceptText(l))
		}),
		moment("period_start", "DocumentReference.context.period.start", func(d *r4.DocumentReference) r4.DateTime { return period(documentContext(d).Period).Start }),
		moment("period_end", "DocumentReference.context.period.end", func(d *r4.DocumentReference) r4.DateTime { return period(documentContext(d).Period).End }),
		label("facility_type", "DocumentReference.context.facilityType", func(d *r4.DocumentReference) *r4.CodeableConcept { return documentContext(d).FacilityType }),
		label("practice_setting", "DocumentReference.context.practiceSetting", func(d *r4.DocumentReference) *r4.CodeableConcept { return documentContext(d).PracticeSetting }),
		texts("identifiers", "DocumentReference.identifier as system|value", func(d *r4.DocumentReference) []string { return identifiers(d.Identifier) }),
		instant("last_updated", "DocumentReference.meta.lastUpdated", func(d *r4.DocumentReference) string { return lastUpdated(d.Meta) }),
	)
}

const documentCategory = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category"

func documentContext(d *r4.DocumentReference) *r4.DocumentReferenceContext { return orZero(d.Context) }

func document(d *r4.DocumentReference) *r4.Attachment {
	return orZero(orZero(first(d.Content)).Attachment)
}

func attachments(d *r4.DocumentReference, f func(*r4.Attachment) string) []string {
	var l []string
	for i := range d.Content {
		if s := f(orZero(d.Content[i].Attachment)); strings.TrimSpace(s) != "" {
			l = append(l, s)
		}
	}
	return l
}
