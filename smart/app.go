package smart

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	cryptorand "crypto/rand"
)

// App signs people in: patients by standalone launch, clinicians by EHR launch, at one FHIR server or
// at many (SMART App Launch 2.2). Wrap a handler in [App.Protect] and find the launch with
// [FromContext]; [App.Begin] and [App.Finish] are the same without a web framework.
//
// URL and Issuers must be set; the zero values of all other fields are the careful choice. An App is
// safe for use by several goroutines and must not be copied or changed after its first use. Several
// processes may serve one application if they share a Store.
type App struct {
	// URL is the public root of the application: https, or http on this machine. The redirect
	// URI is URL + CallbackPath and must be registered letter for letter. Handlers see paths
	// below it: mount them with http.StripPrefix where URL has a path.
	URL string
	// LaunchPath is where an EHR opens the application. Empty means "/launch".
	LaunchPath string
	// CallbackPath is where the authorization server sends the browser back to. Empty means
	// "/callback".
	CallbackPath string
	// Issuers are the FHIR servers that may launch the application, and no others: their bases
	// are compared exactly, before any request is made. None refuses every launch.
	Issuers []Issuer
	// Store keeps launches and sessions. Nil means the memory of this process.
	Store Store

	// Embedded lets the application live in a frame of another site, as in an EHR's own
	// window: cookies become SameSite=None; Secure; Partitioned. It needs https.
	Embedded bool
	// Ancestors are the sites that may frame the pages of this package when Embedded is set,
	// as in a Content-Security-Policy: "https://ehr.example". None means any https site. Pages
	// of the application itself need a frame-ancestors of their own.
	Ancestors []string
	// Failed answers a launch or a request that was refused. Nil means a plain page. The error
	// holds no token and nothing of the request, but what it means for a user is for the page
	// to say: see the errors of this package. Its status and headers are not set yet.
	Failed func(w http.ResponseWriter, r *http.Request, err error)

	// LaunchLife is how long a person may take to sign in. Zero means ten minutes.
	LaunchLife time.Duration
	// SessionLife is the absolute end of a session, whatever is renewed in it. Zero means
	// twelve hours, or 180 days where offline_access was asked for and a refresh token came.
	// An earlier end that the server names counts.
	SessionLife time.Duration

	// HTTP carries the requests to servers; see Backend.HTTP.
	HTTP *http.Client
	// InsecureHTTP permits plain http to and from hosts other than this machine. Codes, tokens
	// and cookies then cross the network for all to read.
	InsecureHTTP bool
	// Log receives a record per launch and renewal, without tokens, names or ids of patients.
	// Nil means no log.
	Log *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Rand is the source of every secret. Nil means crypto/rand.
	Rand io.Reader
	// Wait pauses while another process renews. Nil means a timer.
	Wait func(ctx context.Context, d time.Duration) error

	once   sync.Once
	memory MemoryStore // the Store when none is given

	mu       sync.Mutex
	servers  map[string]*server   // by base, as configured
	renewals map[string]*renewal  // under way, by key of the session
	unsaved  map[string]*unsaved  // what the Store did not take, by key
	paused   map[string]time.Time // no renewal before this while the old token is good, by key
	purgedAt time.Time
}

func (a *App) store() Store {
	if a.Store != nil {
		return a.Store
	}
	a.once.Do(func() { a.memory.Now = a.Now })
	return &a.memory
}

func (a *App) launchPath() string {
	if a.LaunchPath != "" {
		return a.LaunchPath
	}
	return "/launch"
}

func (a *App) callbackPath() string {
	if a.CallbackPath != "" {
		return a.CallbackPath
	}
	return "/callback"
}

func (a *App) launchLife() time.Duration {
	if a.LaunchLife > 0 {
		return a.LaunchLife
	}
	return 10 * time.Minute
}

// root is URL taken apart, without a slash at the end.
func (a *App) root() (*url.URL, error) {
	u, err := parseBase(a.URL)
	if err != nil {
		return nil, errAppURL
	}
	if secure(u, a.InsecureHTTP) != nil {
		return nil, ErrInsecure
	}
	return u, nil
}

// mount is the path of URL: what stands before every path that a handler sees.
func (a *App) mount() string {
	u, err := parseBase(a.URL)
	if err != nil {
		return ""
	}
	return u.EscapedPath()
}

// https reports whether browsers reach the application so; else cookies cannot be Secure.
func (a *App) https() bool { return strings.HasPrefix(asciiLower(a.URL), "https:") }

func (a *App) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

func (a *App) random() io.Reader {
	if a.Rand != nil {
		return a.Rand
	}
	return cryptorand.Reader
}

func (a *App) wait(ctx context.Context, d time.Duration) error {
	if a.Wait != nil {
		return a.Wait(ctx, d)
	}
	return pause(ctx, d)
}

func (a *App) caller() caller {
	return caller{http: a.HTTP, now: a.now, insecureHTTP: a.InsecureHTTP}
}

func (a *App) log(ctx context.Context, level slog.Level, msg string, args ...any) {
	if a.Log != nil {
		a.Log.Log(ctx, level, msg, args...)
	}
}
