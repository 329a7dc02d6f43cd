package epic

import "time"

// Sign-in ("OAuth 2.0 Specification", high unless marked).
const (
	// TokenLifetime is what an access token lives by default: every capture says 3600 s.
	// Examples of the code flow say 3240, CDS Hooks 300, and customers may lengthen it: go by
	// expires_in.
	TokenLifetime = time.Hour
	// CDSTokenLifetime is what the token in a CDS Hooks request lives.
	CDSTokenLifetime = 5 * time.Minute
	// AssertionLifetime is the most that exp may lie after receipt, iat and nbf. No allowance
	// for clocks is documented: stay below.
	AssertionLifetime = 5 * time.Minute
	// MaxJTI is the longest jti in characters.
	MaxJTI = 151
	// MinRSABits is the smallest RSA key.
	MinRSABits = 2048
	// JWKSMaxAge is how long Epic keeps a published key set at most, and how long when the
	// answer has no Cache-Control. A new key must be public that long before it signs.
	JWKSMaxAge = 29 * time.Hour
	// RotationGrace is how long the old key must stay public after the new one signs.
	RotationGrace = 5 * time.Minute
)

// How long a change takes to reach the server ("OAuth 2.0 Tutorial", practitioners; medium).
const (
	SandboxSync    = time.Hour      // a new or changed app in the sandbox: 30 minutes to an hour
	SandboxKeySync = 2 * time.Hour  // a new key in the sandbox
	ProductionSync = 12 * time.Hour // production client records (high); up to 24 h in the field
)

// Searching.
const (
	// DefaultPage is the page size without _count (captures, high).
	DefaultPage = 1000
	// MaxPage is the largest page that is known to work (capture, high); 999 on one page of
	// Epic's text (medium).
	MaxPage = 1000
	// MaxPatients is how many hits a Patient search may have before it is refused with 4127
	// ("API Specifications", high).
	MaxPatients = 100
	// PagingLifetime is what we take a paging session to live. Epic publishes no figure (low).
	PagingLifetime = 30 * time.Minute
	// MaxID is the longest id that must be allowed for. FHIR says 64; 130 has been seen
	// (captures, high).
	MaxID = 255
)

// RequestsPerMinute is a careful request budget per client. Epic publishes no figure and no
// 429 was ever recorded (high, as absence); third-party guides say 100 a minute. Epic does ask
// apps to be able to throttle themselves: at most 1 % of the database at peak, 5 % off-peak.
const RequestsPerMinute = 100

// Bulk export ("Bulk Data Access Tutorial" in condensed copies, medium unless marked).
const (
	// BulkWindow is how long one client must wait before it exports the same group again
	// (recordings, high).
	BulkWindow = 24 * time.Hour
	// BulkPoll and BulkPollLarge are the advised times between polls, for groups below
	// BulkSmallGroup patients and for larger ones.
	BulkPoll      = 10 * time.Minute
	BulkPollLarge = 30 * time.Minute
	// BulkSmallGroup is where the advice changes.
	BulkSmallGroup = 100
	// BulkMaxGroup is the advised largest group.
	BulkMaxGroup = 1000
	// BulkFileResources is about how many resources one file holds at most.
	BulkFileResources = 3000
	// BulkRetention is how long the files are kept after the job's end.
	BulkRetention = 14 * 24 * time.Hour
	// BulkVersion is the version of Bulk Data Access that Epic speaks (high).
	BulkVersion = "1.0.1"
)

// The ids that Epic gives the bulk APIs; an app needs all four and the Search API of each type
// (open.epic.com interface catalogue, high).
const (
	APIBulkKickoff = 10169
	APIBulkStatus  = 10170
	APIBulkFile    = 10171
	APIBulkDelete  = 10172
)

// Sandbox facts that people trip over (Epic's test-patient page and captures, high).
const (
	// SandboxGroup is the sandbox's bulk group. Access comes by itself, but only to an app
	// that selects all four bulk APIs and the Search API of each type.
	SandboxGroup = "e3iabhmS8rsueyz7vaimuiaSmfGvi.QwjVXJANlPOgR83"
	// SandboxPatient is Camila Lopez, the only test patient with several laboratory results.
	SandboxPatient = "erXuFYUfucBZaryVksYEcMg3"
	// SandboxPatientVitals is Derrick Lin: over a thousand vital signs, no laboratory result.
	SandboxPatientVitals = "eq081-VQEgP8drUUqCWzHfw3"
)
