package epic

import (
	"fmt"
	"net/http"
	"slices"
)

// explainSignIn is what a token endpoint's answer means ("OAuth 2.0 Specification",
// Troubleshooting: names and shape high, causes medium). The description never helps.
func explainSignIn(e answer) (Advice, bool) {
	switch e.oauth {
	case "invalid_client":
		a := Advice{
			Title: "the server refused the app's signed token (invalid_client) and gave no reason",
			Why:   "Epic gives this one answer to nearly everything that can be wrong with a client.",
			Checked: []Check{
				unknown("a new or changed app takes up to an hour to reach the sandbox, a new key two, a hospital 12 to 24 hours"),
				unknown("whether the client id is the one of this environment: sandbox and hospitals' test systems use the non-production id"),
				unknown("whether the site has downloaded the app and its keys are activated there"),
				unknown("whether Epic can fetch the registered JWK Set URL, and sees the key that signed"),
			},
			Fix:  []string{"andiron doctor"},
			More: topicInvalid,
		}
		if slices.ContainsFunc(e.checked, func(c Check) bool { return c.State == CheckFail }) {
			a.Title = "the server refused the app's signed token (invalid_client); a cause was found"
			a.Checked = nil
		}
		a.Checked = append(slices.Clone(e.checked), a.Checked...)
		return a, true
	case "unauthorized_client":
		return Advice{
			Title: "the server knows the app but has no user for it (unauthorized_client)",
			Why: "A backend app acts as a background user. In the sandbox it is mapped by itself; at a hospital an administrator " +
				"maps one. Ask the hospital's Epic team to map a background user to this client id.",
			Checked: []Check{unknown("whether the app is of the kind Backend Systems")},
			More:    topicSignIn,
		}, true
	case "invalid_grant":
		return Advice{
			Title: "the server refused what was given for a token (invalid_grant)",
			Why: "A code is good once and for a minute or so, with the redirect URI and the verifier of the same sign-in. A refresh " +
				"token ends when it was rotated, used twice, or its time is over. Sign in again.",
			More: topicSignIn,
		}, true
	case "invalid_scope":
		return Advice{
			Title: "the server refused the scope (invalid_scope)",
			Why: "At Epic a backend app needs no scope: the registered APIs decide. Other servers want system/ scopes that were " +
				"granted beforehand.",
			Fix:  []string{"andiron doctor"},
			More: topicPermissions,
		}, true
	case "unsupported_grant_type":
		return Advice{
			Title: "the server does not sign in this kind of app (unsupported_grant_type)",
			Why:   "A backend app has to be registered as Backend Systems, with a JWK Set URL.",
			Fix:   []string{"andiron doctor"},
			More:  topicSignIn,
		}, true
	case "invalid_request":
		return Advice{
			Title: "the server could not read the sign-in request (invalid_request)",
			Why:   "A proxy may have changed it, or the token URL is another one.",
			Fix:   []string{"andiron doctor"},
			More:  topicSignIn,
		}, true
	}
	if !e.signIn || e.status == 0 {
		return Advice{}, false
	}
	switch {
	case e.status == http.StatusTooManyRequests || e.status >= 500:
		return Advice{}, false // as everywhere
	case e.status == http.StatusNotFound:
		return Advice{
			Title: "there is no sign-in at this address (404)",
			Why: "The FHIR base leads to no discovery document or no token endpoint. At Epic the base ends in /api/FHIR/R4; the " +
				"path before is each site's own, and its case matters.",
			Fix:  []string{"andiron doctor"},
			More: topicSignIn,
		}, true
	case e.status >= 400:
		return Advice{
			Title:   fmt.Sprintf("the server refused the sign-in without saying why (%d)", e.status),
			Why:     "No OAuth error came with the answer: it may be a proxy's, or the token URL is another one.",
			Checked: slices.Clone(e.checked),
			Fix:     []string{"andiron doctor"},
			More:    topicSignIn,
		}, true
	}
	return Advice{}, false
}
