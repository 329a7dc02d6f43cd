package epic

import (
	"fmt"
	"slices"
)

// Confidence is how sure a fact is; see the package's comment.
type Confidence string

// The confidences.
const (
	ConfidenceHigh   Confidence = "high"   // Epic's own text or a raw recording
	ConfidenceMedium Confidence = "medium" // a copy of Epic's text, or one practitioner's observation
	ConfidenceLow    Confidence = "low"    // an inference
)

// Fact is one sentence with its source.
type Fact struct {
	Text       string     `json:"text"`
	Source     string     `json:"source"`
	Confidence Confidence `json:"confidence"`
	// Guides is what integration guides commonly say of the same, where that is something else;
	// "" where they agree or are silent.
	Guides string `json:"guides,omitempty"`
}

// Path is whose app it is.
type Path string

// The paths.
const (
	PathVendor    Path = "vendor"     // an app of another company
	PathHomeGrown Path = "home-grown" // an app of the health system's own
)

// Plan is what an app needs to be registered as.
type Plan struct {
	// Audience is who uses it. Empty means patients.
	Audience Audience
	// Path is whose it is. Empty means a vendor's.
	Path Path
	// Production asks for what a customer's production takes; false for the sandbox.
	Production bool
	// Confidential says that the app keeps a secret or key. Programs always do.
	Confidential bool
	// Persistent says that access outlives the session (offline_access).
	Persistent bool
	// Bulk says that the app exports groups.
	Bulk bool
}

// Field is one field of the form at fhir.epic.com, "Build Apps", "Create".
type Field struct {
	// Name is the form's word.
	Name string `json:"name"`
	// Answer is what to put in, as far as it follows from the plan.
	Answer string `json:"answer"`
	// Freezes says that it cannot be changed once the app is marked ready for production; a
	// change is a new version.
	Freezes bool `json:"freezes"`
	Fact    Fact `json:"fact"`
}

// Step is one thing to do, in order.
type Step struct {
	// Who does it: "developer", "health system" or "Epic".
	Who string `json:"who"`
	// What is the thing.
	What string `json:"what"`
	// Takes is how long it takes, and where Guides of it differs, what is commonly said.
	Takes Fact `json:"takes"`
}

// Registration is what one needs at Epic's portal and at the health system.
type Registration struct {
	Audience   Audience `json:"audience"`
	Path       Path     `json:"path"`
	Production bool     `json:"production"`
	// Fields are those of the form, in its order.
	Fields []Field `json:"fields"`
	// Steps lead from no account to the first token.
	Steps []Step `json:"steps"`
	// Checks are what must be true before the first sign-in in that environment.
	Checks []Fact `json:"checks"`
	// Facts are what is to be known beside that.
	Facts []Fact `json:"facts"`
}

const (
	sourceRequest  = "Epic, App Creation & Request Process"
	sourceOAuth    = "Epic, OAuth 2.0 Specification"
	sourceTutorial = "Epic, OAuth 2.0 Tutorial"
	sourceBulk     = "Epic, FHIR Bulk Data Access Tutorial"
	sourceOpen     = "open.epic, Developer Resources"
	sourceCatalog  = "open.epic, interface catalogue"
	sourceField    = "practitioners"
)

// NewRegistration is the sheet for a plan. It fails for plans that Epic's form cannot hold.
func NewRegistration(p Plan) (Registration, error) {
	if p.Audience == "" {
		p.Audience = AudiencePatients
	}
	if p.Path == "" {
		p.Path = PathVendor
	}
	switch {
	case !slices.Contains([]Audience{AudiencePatients, AudienceClinicians, AudienceBackend}, p.Audience):
		return Registration{}, fmt.Errorf("epic: unknown audience %q", p.Audience)
	case p.Path != PathVendor && p.Path != PathHomeGrown:
		return Registration{}, fmt.Errorf("epic: unknown path %q", p.Path)
	case p.Bulk && p.Audience != AudienceBackend:
		return Registration{}, fmt.Errorf("epic: bulk export is for the audience %q alone", AudienceBackend)
	}
	if p.Audience == AudienceBackend {
		p.Confidential, p.Persistent = true, false
	}
	return Registration{
		Audience: p.Audience, Path: p.Path, Production: p.Production,
		Fields: p.fields(), Steps: p.steps(), Checks: p.checks(), Facts: p.facts(),
	}, nil
}

func (p Plan) fields() []Field {
	person := p.Audience != AudienceBackend
	out := []Field{
		{"Application Audience", string(p.Audience), true, Fact{
			Text: "decides which APIs can be picked", Source: sourceRequest, Confidence: ConfidenceHigh,
		}},
		{"Incoming APIs", "the APIs of this sheet and no more", true, Fact{
			Text: "the unit of authorisation is the API; scopes follow from it", Source: sourceCatalog, Confidence: ConfidenceHigh,
			Guides: "scopes are configured",
		}},
	}
	if person {
		out = append(out, Field{"Endpoint URI", "the redirect URI, letter for letter; one for each customer where that is possible", false, Fact{
			Text: "compared exactly, with case; https, plain http for tests alone; no fragment", Source: sourceOAuth, Confidence: ConfidenceHigh,
		}})
	}
	out = append(out,
		Field{"SMART on FHIR Version", "R4", true, Fact{
			Text: "fhirUser is given to apps of R4 alone", Source: sourceOAuth, Confidence: ConfidenceHigh,
		}},
		Field{"SMART Scope Version", "v2", true, Fact{
			Text: "v2 for servers from about August to November 2024 on, older ones give v1; read both", Source: sourceOAuth, Confidence: ConfidenceMedium,
		}},
		Field{"FHIR ID Generation Scheme", "unconstrained", true, Fact{
			Text: "ids may be longer than 64 characters", Source: sourceRequest, Confidence: ConfidenceMedium,
		}},
	)
	if person {
		out = append(out, Field{"Is this app a confidential client?", yes(p.Confidential), true, Fact{
			Text: "only confidential apps with persistent access are given refresh tokens", Source: sourceOAuth, Confidence: ConfidenceHigh,
			Guides: "refresh tokens come with every sign-in",
		}})
		if p.Confidential {
			out = append(
				out,
				Field{"Requires Persistent Access", yes(p.Persistent), true, Fact{
					Text: "asks for offline_access; a patient then chooses how long", Source: sourceOAuth, Confidence: ConfidenceHigh,
				}},
				Field{"Rolling refresh", yes(p.Persistent), true, Fact{
					Text: "each refresh gives a new refresh token with the same absolute end", Source: sourceOAuth, Confidence: ConfidenceHigh,
				}},
			)
		}
		if p.Audience == AudiencePatients && !p.Confidential {
			out = append(out, Field{"Can register dynamic clients", yes(p.Persistent), true, Fact{
				Text: "lasting access without a secret: a key for each installation, registered with the first token", Source: sourceOAuth, Confidence: ConfidenceHigh,
			}})
		}
	}
	if p.Confidential {
		out = append(out,
			Field{"Non-Production JWK Set URL", "https, public, no redirect; not the URL of production", false, Fact{
				Text: "a URL is mandatory for backend apps, uploaded keys are retired; it is read when the form is saved", Source: sourceOAuth, Confidence: ConfidenceHigh,
				Guides: "a public key is uploaded",
			}},
			Field{"Production JWK Set URL", "https, public, no redirect, with a key of its own", false, Fact{
				Text: "separate keys and URLs for production; kept for up to 29 hours, less if Cache-Control says so", Source: sourceOAuth, Confidence: ConfidenceHigh,
			}},
		)
	}
	return out
}

func (p Plan) steps() []Step {
	out := []Step{
		{"developer", "create an account at fhir.epic.com", Fact{
			Text: "minutes, without charge", Source: sourceOpen, Confidence: ConfidenceHigh,
			Guides: "an App Orchard account; App Orchard is a retired name",
		}},
		{"developer", "fill in the form and save it: there are a non-production and a production client id at once", Fact{
			Text: "minutes", Source: sourceRequest, Confidence: ConfidenceHigh,
		}},
		{"Epic", "carry the app to the sandbox", Fact{
			Text: "30 minutes for APIs, about an hour for ids and redirect URIs, up to 2 hours for keys", Source: sourceTutorial + "; " + sourceField, Confidence: ConfidenceMedium,
			Guides: "immediately",
		}},
	}
	if !p.Production {
		return out
	}
	review := Fact{
		Text: "no review: the app's owner does it", Source: sourceRequest, Confidence: ConfidenceHigh,
		Guides: "Epic's review takes 4 to 8 weeks, production access 2 to 4 months in all",
	}
	if p.Path == PathHomeGrown {
		review.Guides = "home-grown apps have a streamlined approval, significantly faster than the standard review of vendors"
	}
	out = append(out, Step{"developer", "mark the app ready for production: all but redirect URIs and JWK Set URLs freezes", review})
	customer := Fact{
		Text: "as long as the health system takes", Source: sourceRequest, Confidence: ConfidenceHigh,
		Guides: "entirely the health system's decision and timeline",
	}
	if p.Audience == AudiencePatients {
		out = append(out, Step{"health system", "nothing, for read-only apps of USCDI without refresh tokens or with credentials for each organisation; else as below", Fact{
			Text: "such apps reach about 500 organisations by themselves", Source: sourceField, Confidence: ConfidenceMedium,
		}})
	}
	signs := "sign the subscription agreement and download the client record by its production id"
	if p.Path == PathHomeGrown {
		signs = "download the client record by its production id; security and privacy reviews are the organisation's own"
	}
	out = append(out, Step{"health system", signs, customer})
	if p.Confidential {
		out = append(out, Step{"developer", `activate keys or secrets under "Review & Manage Downloads", for each health system`, Fact{
			Text: "minutes", Source: sourceRequest, Confidence: ConfidenceHigh,
		}})
	}
	switch p.Audience {
	case AudienceBackend:
		out = append(out, Step{"health system", "map the client to a background user, who must be allowed what the app reads", Fact{
			Text: "minutes; without it the answer is unauthorized_client", Source: sourceOAuth, Confidence: ConfidenceHigh,
		}})
	case AudienceClinicians:
		out = append(out, Step{"health system", "build the launch: its URL, the parameters of the launch, the place in Hyperspace; put the app on the Browser Allowlist if it is embedded", Fact{
			Text: "hours to weeks of an analyst", Source: sourceTutorial, Confidence: ConfidenceMedium,
		}})
	}
	if p.Bulk {
		out = append(out, Step{"health system", "build the group and say its id: no API lists groups", Fact{
			Text: "days; 1000 patients at most are recommended", Source: sourceBulk, Confidence: ConfidenceMedium,
		}})
	}
	return append(out, Step{"Epic", "carry the client record to the health system's servers", Fact{
		Text: "up to 12 hours, in the field up to 24", Source: sourceRequest + "; " + sourceField, Confidence: ConfidenceMedium,
	}})
}

func (p Plan) checks() []Fact {
	id := "the client id is the non-production one; the sandbox and customers' test systems share it"
	if p.Production {
		id = "the client id is the production one"
	}
	out := []Fact{
		{Text: id + "; the other gives a bare invalid_client", Source: sourceOAuth, Confidence: ConfidenceHigh},
		{Text: "the FHIR base is the environment's own and its discovery answers", Source: sourceOAuth, Confidence: ConfidenceHigh},
	}
	if p.Audience != AudienceBackend {
		out = append(
			out,
			Fact{Text: "the redirect URI is registered letter for letter", Source: sourceOAuth, Confidence: ConfidenceHigh},
			Fact{Text: "aud is sent: the FHIR base", Source: sourceOAuth, Confidence: ConfidenceHigh},
		)
	}
	if p.Audience == AudienceClinicians {
		out = append(out,
			Fact{Text: "the launch page takes the hospital's FHIR base for an allowed issuer", Source: sourceOAuth, Confidence: ConfidenceHigh},
			Fact{Text: "pages may be framed by Hyperdrive (frame-ancestors) if the app is embedded, and several launches at once work in one browser", Source: sourceTutorial, Confidence: ConfidenceHigh},
		)
	}
	if p.Confidential {
		out = append(out,
			Fact{Text: "the JWK Set URL answers from outside: https, no sign-in, no redirect, quickly", Source: sourceOAuth, Confidence: ConfidenceHigh},
			Fact{Text: "kid and key that sign are in the published set; RSA has 2048 bits or more", Source: sourceOAuth, Confidence: ConfidenceHigh},
			Fact{Text: "the clock is right to a few seconds", Source: sourceOAuth, Confidence: ConfidenceHigh},
		)
	}
	if p.Audience == AudienceBackend && p.Production {
		out = append(out, Fact{Text: "a background user is mapped", Source: sourceOAuth, Confidence: ConfidenceHigh})
	}
	if p.Bulk {
		out = append(out, Fact{Text: "all four bulk APIs and the Search of each exported type are registered", Source: sourceCatalog, Confidence: ConfidenceHigh})
		if p.Production {
			out = append(out, Fact{Text: "the group's id is known, and no export of it ran in the last 24 hours", Source: sourceBulk, Confidence: ConfidenceMedium})
		}
	}
	return out
}

func (p Plan) facts() []Fact {
	out := []Fact{
		{
			Text: "hospitals get the app as it was when they downloaded it: further APIs are a new version, and each hospital downloads it again", Source: sourceRequest, Confidence: ConfidenceMedium,
		},
		{
			Text: "no limit of requests is published; Epic asks for at most 1 % of the database's resources by day and 5 % by night, and for apps that can slow themselves down", Source: sourceOpen, Confidence: ConfidenceHigh,
			Guides: "100 requests per minute and token, more in an enhanced tier",
		},
		{
			Text: "Showroom and Connection Hub are optional listings; Vendor Services is paid and has further APIs", Source: sourceOpen, Confidence: ConfidenceMedium,
			Guides: "App Orchard, App Market",
		},
		{
			Text: "releases come in February, May, August and November, and each customer upgrades on its own date", Source: sourceOAuth, Confidence: ConfidenceHigh,
			Guides: "one table of supported resources",
		},
	}
	if !p.Production {
		out = append(out, Fact{Text: "the sandbox is shared, writable, and emptied of writes on Sundays", Source: sourceField, Confidence: ConfidenceMedium})
	}
	if p.Audience == AudienceBackend {
		out = append(out, Fact{Text: "scopes need not be asked for: all that is registered is given", Source: sourceField, Confidence: ConfidenceMedium})
	}
	return out
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
