package smart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// PublishedSet is a key set as the world sees it.
type PublishedSet struct {
	// Body is the document, at most 1 MB.
	Body []byte
	// CacheControl is the header of that name; "" without one.
	CacheControl string
	// ContentType is the header of that name.
	ContentType string
	// Took is how long the answer took.
	Took time.Duration
	// Date is the clock of whoever serves it; zero without one.
	Date time.Time
}

// FetchKeySet fetches a published key set as an authorization server would: without credentials,
// over https (plain http on this machine alone), following no redirect. A nil client means one of
// this package's own, a nil now means time.Now.
func FetchKeySet(ctx context.Context, hc *http.Client, now func() time.Time, keySetURL string) (*PublishedSet, error) {
	u, err := url.Parse(keySetURL)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return nil, &Error{Op: "key set", Err: errors.New("no usable URL")}
	}
	if now == nil {
		now = time.Now
	}
	began := now()
	a, err := caller{http: hc, now: now}.do(ctx, "key set", u, 1<<20, func(r *http.Request) {
		r.Header.Set("Accept", "application/json")
	})
	switch {
	case err != nil:
		return nil, err
	case a.status >= 300 && a.status < 400:
		return nil, a.fail("key set", ErrRedirect)
	case a.status != http.StatusOK:
		return nil, a.fail("key set", nil)
	case !json.Valid(a.body):
		return nil, a.fail("key set", notJSON(a.body))
	}
	return &PublishedSet{
		Body: a.body, CacheControl: a.header.Get("Cache-Control"), ContentType: a.header.Get("Content-Type"),
		Took: a.at.Sub(began), Date: a.date,
	}, nil
}

// maxAge is how long a reader may keep the set, as far as Cache-Control says.
func (p *PublishedSet) maxAge() (time.Duration, bool) {
	for d := range strings.SplitSeq(strings.ToLower(p.CacheControl), ",") {
		d = strings.TrimSpace(d)
		if d == "no-store" || d == "no-cache" {
			return 0, true
		}
		if v, ok := strings.CutPrefix(d, "max-age="); ok {
			if n, err := strconv.Atoi(strings.Trim(v, `"`)); err == nil && n >= 0 {
				return time.Duration(min(n, 10*365*86400)) * time.Second, true
			}
		}
	}
	return 0, false
}

func (p *PublishedSet) lint(r *report) {
	if p.Took > 5*time.Second {
		r.fail("L4", fmt.Sprintf("the key set took %s to come: servers do not wait that long", short(p.Took)))
	}
	age, known := p.maxAge()
	switch {
	case !known:
		r.warn("W4", "the key set says nothing of Cache-Control: servers may keep it for 29 hours")
	case age > lintMaxAge:
		r.warn("W4", "Cache-Control lets servers keep the key set for "+short(age))
	}
}
