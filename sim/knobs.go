package sim

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Knobs are the points on which the public record of Epic's behaviour is silent, contradicts
// itself, or differs from site to site. The zero value of each field means the default that
// its comment names. Durations that can be switched off are switched off by a negative value.
//
// The comments cite the document that evidences the default and how sure it is: high is
// Epic's own text or a raw capture, medium a secondary copy or one practitioner's
// observation, low an inference.
type Knobs struct {
	// InstancePath stands between the origin and /api/FHIR/R4. Default
	// "/interconnect-fhir-oauth", the public sandbox. Customers choose any path, in any
	// case (Epic's published endpoint directory, high).
	InstancePath string

	// SoftwareVersion is software.version of the CapabilityStatement. Default "May 2026",
	// the sandbox in July 2026 (captured metadata, high).
	SoftwareVersion string

	// NoAccept is the format without _format, Accept and Content-Type: "xml" (default) or
	// "json". Epic's FHIR tutorial and captures agree on XML (high).
	NoAccept string

	// ETag says where the header E-Tag (so spelled) appears: "patient-read" (default, the
	// only place captured, high) or "off".
	ETag string

	// MergeRedirectStatus answers the read of a patient in Server.Merged. Default 302.
	// Epic's error-code table promises a redirect with code 4107 (high); the status is unknown.
	MergeRedirectStatus int

	// RateLimit is the number of requests a minute that one access token may make before it
	// draws 429 with Retry-After. Default 0, no limit: Epic publishes none, and none was
	// observed in captures (high as absence). The integration guide says 100.
	RateLimit int

	// OutcomePages says on which pages of a search the outcome entry stands: "auto"
	// (default: every page for a patient's token, else the last), "every", "last".
	// Captures of the two kinds of token differ (high).
	OutcomePages string

	// SessionTTL is how long a paging session lives. Default 30m (invented: unpublished).
	// Afterwards its link draws status 400 with code 4113 (the code high, the status low).
	SessionTTL time.Duration

	// PageSize is the number of matches on a page when _count is absent. Default 1000
	// (captures, high). The integration guide says 20 to 100.
	PageSize int

	// PageMax is the largest _count that is honoured. Default 1000 (worked live, high).
	PageMax int

	// PageLinks is the form of next links: "session" (default, ?sessionID=…, captures,
	// high) or "page" (the search again with &_page=2, as the integration guide shows).
	PageLinks string

	// PostSearch is what a POST to _search reads when it has a query string too:
	// "feb2026" (default: the body; of the query only _format) or "old" (the query; the
	// body is ignored). Epic's release note on FHIR search (high).
	PostSearch string

	// AccessToken is the form of access tokens: "jwt" (default, captures, high) or "opaque".
	AccessToken string

	// TokenLife is the lifetime of access tokens. Default 1h (every capture, high).
	TokenLife time.Duration

	// LaunchLife, CodeLife and IDTokenLife are how long launch tokens, authorization codes and
	// id_tokens are good. Default 10m (invented), 60s (invented; SMART App Launch recommends one
	// minute) and 5m (Epic's OAuth 2.0 specification, high).
	LaunchLife, CodeLife, IDTokenLife time.Duration

	// RefreshLife is the absolute end of a sign-in with refresh tokens, where its user chose none.
	// Default 4320h, about six months (one capture, medium).
	RefreshLife time.Duration

	// Refresh says what a refresh gives: "rolling" (default: a new refresh token with the same
	// absolute end, capture of December 2025, high), "same" (none: the old one stays good, as in
	// documented examples) or "indefinite" (a new one whose end moves along, if the customer
	// allows it, medium).
	Refresh string

	// NoAudRequired lets an authorization request do without aud. Default off: Epic requires it
	// since May 2023 (OAuth 2.0 specification, high). One that is sent is always compared.
	NoAudRequired bool

	// PKCERequired refuses authorization requests without code_challenge. Default off: Epic calls
	// it optional (OAuth 2.0 specification, high), one summary required (medium).
	PKCERequired bool

	// StateRequired refuses authorization requests without state. Default off: optional at Epic
	// (OAuth 2.0 specification, high); SMART App Launch requires it.
	StateRequired bool

	// ScopeRequired refuses standalone authorization requests without scope. Default off: reports
	// conflict (medium).
	ScopeRequired bool

	// UnknownScope is what becomes of a requested scope that the app's registration does not
	// hold: "drop" (default) or "page", the error page. Reports conflict (low).
	UnknownScope string

	// ScopeGrant says which scopes a user's sign-in grants: "registered" (default: those of the
	// registered APIs, asked for or not, Epic's OAuth 2.0 tutorial, high) or "asked" (those
	// asked for, as far as they are registered).
	ScopeGrant string

	// BasicDecode says how HTTP Basic at the token endpoint is read: "both" (default), "encoded"
	// (id and secret URL-encoded before base64, as RFC 6749 and Epic's text have it) or "raw" (as a
	// practitioner found). Only a secret with reserved characters tells them apart (medium).
	BasicDecode string

	// TokenErrorStatus is the status of invalid_client at the token endpoint: 400 (default, Epic's
	// OAuth 2.0 specification, high) or 401 (seen too, and RFC 6749's).
	TokenErrorStatus int

	// Banner is the form of need_patient_banner: "string" (default, "false" in quotation marks,
	// Epic's OAuth 2.0 tutorial, high) or "bool".
	Banner string

	// FHIRContext is the form of fhirContext: "objects" (default, SMART App Launch 2.2) or
	// "references" (2.0: a list of reference strings).
	FHIRContext string

	// FHIRUser is the form of fhirUser in id_tokens: "absolute" (default, OAuth 2.0
	// specification, high) or "relative".
	FHIRUser string

	// Issuer is the issuer of id_tokens: "oauth2" (default, {root}/oauth2, high) or "base", the
	// FHIR base, as at other servers.
	Issuer string

	// Revocation opens {root}/oauth2/revoke (RFC 7009) and names it in discovery. Default off: no
	// evidence of one at Epic.
	Revocation bool

	// CORS says which web origins may read token and FHIR answers: "any" (default, captures, high)
	// or "registered", those of the registered apps. Discovery is open to all.
	CORS string

	// JWKSMaxAge is the longest time that a fetched key set is kept. Default 29h (Epic's
	// OAuth 2.0 specification, high). A shorter Cache-Control wins.
	JWKSMaxAge time.Duration

	// SyncDelay is how long a newly registered app stays unknown to the server. Default 0.
	// In the field minutes to 12 hours (medium).
	SyncDelay time.Duration

	// IDScheme is the form of generated ids: "unlimited" (default) or "limited64". At Epic each
	// app chooses (FHIR ID Generation Scheme, high); here it holds for the whole server.
	IDScheme string

	// StaticKeys lets an app register a public JWK in place of a JWK Set URL. Default off:
	// Epic has retired uploaded keys for backend apps (OAuth 2.0 specification, high). The
	// integration guide describes an upload.
	StaticKeys bool

	// TokenPractitioner adds the member "practitioner" to the token answer. Default off:
	// Epic does not send it (OAuth 2.0 specification, high); the integration guide says so.
	TokenPractitioner bool

	// LaunchMatrix enforces the integration guide's table of resource types by kind of
	// launch (see Matrix). Default off: support follows the registered APIs (high).
	LaunchMatrix bool

	// MergeStatus adds the extension patient-merge-unmerge-status to every Patient served.
	// Default off: it was found nowhere but in the integration guide.
	MergeStatus bool

	// SystemExport opens {base}/$export and Patient/$export. Default off: both end in an
	// HTML 404 (the system level captured, high; the patient level low).
	SystemExport bool

	// BulkTooRecent is the status of a second kick-off within BulkWindow. Default 400; the
	// text is known, the status is not.
	BulkTooRecent int

	// BulkWindow is the time in which one client may export one group once. Default 24h
	// (the site setting FHIR_BULK_CLIENT_REQUEST_WINDOW_TBL, high). Negative: no window.
	BulkWindow time.Duration

	// BulkRetryAfter is the Retry-After of a poll that is answered 202. Default none; 120s
	// was reported once (low). Sent in whole seconds, rounded up.
	BulkRetryAfter time.Duration

	// BulkPolls is how many polls are answered 202 before a job is done. Default 1.
	// Negative: done at once. Invented; Epic takes minutes to days.
	BulkPolls int

	// BulkTime is how long, by the server's clock, a job runs at least. Default 0.
	BulkTime time.Duration

	// BulkTokenFlag is requiresAccessToken in the manifest: "string" (default, the JSON
	// string "true", one captured manifest, medium) or "bool".
	BulkTokenFlag string

	// BulkExpired answers the poll of an expired, deleted or unknown job. Default 404 with
	// an OperationOutcome (low); 410 is the alternative.
	BulkExpired int

	// BulkPatientOnlyFails makes an export of _type=Patient alone end in an error entry
	// with code 59159, as one report has it. Default off, since others rely on it (medium).
	BulkPatientOnlyFails bool

	// BulkFileMax is the number of resources in one file. Default 3000 (Epic's bulk
	// tutorial, medium).
	BulkFileMax int

	// BulkFileTTL is how long files stay after completion. Default 336h, 14 days (Epic's
	// bulk tutorial, medium).
	BulkFileTTL time.Duration
}

// GuideDialect returns the knobs under which the server behaves as the integration guide
// describes Epic, where that differs from the record: pages of 20 (at most 100) with _page
// links, 100 requests a minute and token, an export of the whole system, a boolean
// requiresAccessToken, uploaded keys, a practitioner in the token answer, the table of
// resource types by launch, and the merge-status extension. The guide knows no 24-hour
// window.
func GuideDialect() Knobs {
	return Knobs{
		PageSize: 20, PageMax: 100, PageLinks: "page",
		RateLimit:         100,
		SystemExport:      true,
		BulkTokenFlag:     "bool",
		BulkWindow:        -1,
		StaticKeys:        true,
		TokenPractitioner: true,
		LaunchMatrix:      true,
		MergeStatus:       true,
	}
}

// Knob is one knob as a command line shows it.
type Knob struct {
	// Name is the knob's name, such as "bulk_window".
	Name string
	// Default is the value that the zero value of the field stands for.
	Default string
	// Values says what else may be set.
	Values string
	// Doc is one line on what it does.
	Doc string

	field func(*Knobs) any
}

// ListKnobs returns every knob in the order of its name.
func ListKnobs() []Knob {
	list := []Knob{
		{"instance_path", "/interconnect-fhir-oauth", "any path", "path before /api/FHIR/R4", func(k *Knobs) any { return &k.InstancePath }},
		{"software_version", "May 2026", "any text", "software.version in /metadata", func(k *Knobs) any { return &k.SoftwareVersion }},
		{"no_accept", "xml", "xml, json", "format when the request names none", func(k *Knobs) any { return &k.NoAccept }},
		{"e_tag", "patient-read", "patient-read, off", "where the header E-Tag appears", func(k *Knobs) any { return &k.ETag }},
		{"merge_redirect_status", "302", "301, 302, 307", "status for the read of a merged patient", func(k *Knobs) any { return &k.MergeRedirectStatus }},
		{"rest_429", "0", "requests a minute and token, 0 off", "requests a minute and token before 429", func(k *Knobs) any { return &k.RateLimit }},
		{"outcome_pages", "auto", "auto, every, last", "pages that carry the outcome entry", func(k *Knobs) any { return &k.OutcomePages }},
		{"session_ttl", "30m", "duration", "life of a paging session", func(k *Knobs) any { return &k.SessionTTL }},
		{"page_size", "1000", "number", "matches on a page without _count", func(k *Knobs) any { return &k.PageSize }},
		{"page_max", "1000", "number", "largest _count honoured", func(k *Knobs) any { return &k.PageMax }},
		{"page_links", "session", "session, page", "form of next links", func(k *Knobs) any { return &k.PageLinks }},
		{"post_search", "feb2026", "feb2026, old", "what a POST _search reads", func(k *Knobs) any { return &k.PostSearch }},
		{"access_token", "jwt", "jwt, opaque", "form of access tokens", func(k *Knobs) any { return &k.AccessToken }},
		{"token_life", "1h", "duration", "life of an access token", func(k *Knobs) any { return &k.TokenLife }},
		{"launch_life", "10m", "duration", "life of a launch token", func(k *Knobs) any { return &k.LaunchLife }},
		{"code_life", "60s", "duration", "life of an authorization code", func(k *Knobs) any { return &k.CodeLife }},
		{"id_token_life", "5m", "duration", "life of an id_token", func(k *Knobs) any { return &k.IDTokenLife }},
		{"refresh_life", "4320h", "duration", "absolute end of a sign-in with refresh tokens", func(k *Knobs) any { return &k.RefreshLife }},
		{"refresh", "rolling", "rolling, same, indefinite", "what a refresh gives", func(k *Knobs) any { return &k.Refresh }},
		{"aud_required", "true", "true, false", "authorization requests need aud", func(k *Knobs) any { return (*negated)(&k.NoAudRequired) }},
		{"pkce_required", "false", "true, false", "authorization requests need code_challenge", func(k *Knobs) any { return &k.PKCERequired }},
		{"state_required", "false", "true, false", "authorization requests need state", func(k *Knobs) any { return &k.StateRequired }},
		{"scope_required", "false", "true, false", "standalone authorization requests need scope", func(k *Knobs) any { return &k.ScopeRequired }},
		{"unknown_scope", "drop", "drop, page", "a requested scope that is not registered", func(k *Knobs) any { return &k.UnknownScope }},
		{"scope_grant", "registered", "registered, asked", "scopes that a user's sign-in grants", func(k *Knobs) any { return &k.ScopeGrant }},
		{"basic_decode", "both", "both, encoded, raw", "how Basic client authentication is read", func(k *Knobs) any { return &k.BasicDecode }},
		{"token_error_status", "400", "400, 401", "status of invalid_client", func(k *Knobs) any { return &k.TokenErrorStatus }},
		{"banner", "string", "string, bool", "form of need_patient_banner", func(k *Knobs) any { return &k.Banner }},
		{"fhir_context", "objects", "objects, references", "form of fhirContext", func(k *Knobs) any { return &k.FHIRContext }},
		{"fhir_user", "absolute", "absolute, relative", "form of fhirUser in id_tokens", func(k *Knobs) any { return &k.FHIRUser }},
		{"issuer", "oauth2", "oauth2, base", "issuer of id_tokens", func(k *Knobs) any { return &k.Issuer }},
		{"revocation", "false", "true, false", "a revocation endpoint", func(k *Knobs) any { return &k.Revocation }},
		{"cors", "any", "any, registered", "web origins that may read token and FHIR answers", func(k *Knobs) any { return &k.CORS }},
		{"jwks_max_age", "29h", "duration", "longest time a key set is kept", func(k *Knobs) any { return &k.JWKSMaxAge }},
		{"sync_delay", "0s", "duration", "time until a new app is known", func(k *Knobs) any { return &k.SyncDelay }},
		{"id_scheme", "unlimited", "unlimited, limited64", "form of generated ids", func(k *Knobs) any { return &k.IDScheme }},
		{"static_keys", "false", "true, false", "apps may register a JWK in place of a URL", func(k *Knobs) any { return &k.StaticKeys }},
		{"token_practitioner", "false", "true, false", "practitioner id in the token answer", func(k *Knobs) any { return &k.TokenPractitioner }},
		{"launch_matrix", "false", "true, false", "the guide's table of types by launch", func(k *Knobs) any { return &k.LaunchMatrix }},
		{"merge_status", "false", "true, false", "extension patient-merge-unmerge-status", func(k *Knobs) any { return &k.MergeStatus }},
		{"system_export", "false", "true, false", "{base}/$export and Patient/$export", func(k *Knobs) any { return &k.SystemExport }},
		{"bulk_too_recent", "400", "400, 429", "status of a second export within bulk_window", func(k *Knobs) any { return &k.BulkTooRecent }},
		{"bulk_window", "24h", "duration, negative off", "one export per group and client in this time", func(k *Knobs) any { return &k.BulkWindow }},
		{"bulk_retry_after", "0s", "duration, 0 none", "Retry-After while an export runs", func(k *Knobs) any { return &k.BulkRetryAfter }},
		{"bulk_polls", "1", "number, negative none", "polls answered 202 before the manifest", func(k *Knobs) any { return &k.BulkPolls }},
		{"bulk_time", "0s", "duration", "least time that an export takes", func(k *Knobs) any { return &k.BulkTime }},
		{"bulk_token_flag", "string", "string, bool", "form of requiresAccessToken", func(k *Knobs) any { return &k.BulkTokenFlag }},
		{"bulk_expired", "404", "404, 410", "status of an expired or unknown export", func(k *Knobs) any { return &k.BulkExpired }},
		{"bulk_patient_only_fails", "false", "true, false", "_type=Patient alone fails with 59159", func(k *Knobs) any { return &k.BulkPatientOnlyFails }},
		{"bulk_file_max", "3000", "number", "resources in one file", func(k *Knobs) any { return &k.BulkFileMax }},
		{"bulk_file_ttl", "336h", "duration", "life of the files", func(k *Knobs) any { return &k.BulkFileTTL }},
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// Set gives the knob of that name a value in the spelling that [ListKnobs] shows. It refuses a
// name that is no knob's and a value that the knob does not take, and then changes nothing.
func (k *Knobs) Set(name, value string) error {
	for _, knob := range ListKnobs() {
		if knob.Name != name {
			continue
		}
		if !knob.takes(value) {
			return fmt.Errorf("sim: knob %s: not one of: %s", name, knob.Values)
		}
		var err error
		switch p := knob.field(k).(type) {
		case *string:
			*p = value
		case *int:
			err = parseInto(p, value, strconv.Atoi)
		case *bool:
			err = parseInto(p, value, strconv.ParseBool)
		case *negated:
			var on bool
			if err = parseInto(&on, value, strconv.ParseBool); err == nil {
				*p = negated(!on)
			}
		case *time.Duration:
			err = parseInto(p, value, time.ParseDuration)
			if err == nil && *p == 0 && name == "bulk_window" {
				*p = -1 // "0" as people write it: no window
			}
		}
		if err != nil {
			return fmt.Errorf("sim: knob %s: %w", name, err)
		}
		return nil
	}
	return fmt.Errorf("sim: no knob %q", name)
}

// negated is a field that says the opposite of its knob, so that its zero value is the default.
type negated bool

func parseInto[T any](p *T, text string, parse func(string) (T, error)) error {
	v, err := parse(text)
	if err == nil {
		*p = v
	}
	return err
}

// takes tells whether the value is one of those that Values lists, if it lists words or numbers
// and does not describe them, and that it is negative only where that has a meaning.
func (k Knob) takes(value string) bool {
	switch k.field(new(Knobs)).(type) {
	case *bool, *negated:
		return true // the spelling is strconv's
	}
	list := strings.Split(k.Values, ", ")
	if len(list) > 1 && !strings.Contains(strings.Join(list, ""), " ") {
		return slices.Contains(list, value)
	}
	return !strings.HasPrefix(value, "-") || strings.Contains(k.Values, "negative")
}

// withDefaults returns k with each zero field replaced by its default.
func (k Knobs) withDefaults() Knobs {
	for _, knob := range ListKnobs() {
		switch p := knob.field(&k).(type) {
		case *string:
			if *p == "" {
				*p = knob.Default
			}
		case *int:
			if *p == 0 {
				*p, _ = strconv.Atoi(knob.Default)
			}
		case *time.Duration:
			if *p == 0 {
				*p, _ = time.ParseDuration(knob.Default)
			}
		}
	}
	return k
}
