package smart

import (
	"slices"
	"time"
)

// KeyTimes is one key of a rotation and what happened to it. Zero times mean: not yet.
type KeyTimes struct {
	// ID is the kid.
	ID string `json:"kid"`
	// Made is when the key was generated.
	Made time.Time `json:"made,omitzero"`
	// Published is since when the key set that servers read has had it.
	Published time.Time `json:"published,omitzero"`
	// Signing is since when it has signed.
	Signing time.Time `json:"signing,omitzero"`
	// Replaced is since when another key has signed in its place.
	Replaced time.Time `json:"replaced,omitzero"`
	// Removed is since when the key set has been without it again.
	Removed time.Time `json:"removed,omitzero"`
}

// Rotation is the change from one signing key to the next without a refused sign-in. It is data and
// does nothing by itself: [Rotation.Plan] says what to do.
//
// The order (Epic's OAuth 2.0 Specification, JWK Set URLs, high): generate; publish old and new; wait
// until no server can still hold the set without the new key; sign with the new key; wait until no
// assertion of the old key is valid; remove the old key.
type Rotation struct {
	// Keys are all keys, also those that are not published yet or no longer.
	Keys []KeyTimes
	// CacheTime is how long servers may keep a key set: what Cache-Control says. Zero means 29
	// hours, what Epic takes without it; more than that counts as 29 hours.
	CacheTime time.Duration
	// Skew is how far clocks may differ. Zero means one minute.
	Skew time.Duration
	// Now is the time. Zero means time.Now.
	Now time.Time
}

// RotationStep is what is to be done next.
type RotationStep string

// The steps in their order.
const (
	StepGenerate RotationStep = "generate" // there is no key
	StepPublish  RotationStep = "publish"  // put the key into the set, leaving the others in it
	StepSign     RotationStep = "sign"     // sign with the key from now on
	StepRemove   RotationStep = "remove"   // take the key out of the set
	StepNone     RotationStep = "none"     // nothing: one key, published and signing
)

// RotationPlan is the state of a rotation.
type RotationPlan struct {
	// Sign is the id of the key that signs now; "" when there is none.
	Sign string `json:"sign,omitempty"`
	// Publish are the ids of the keys that must be in the set now, oldest first.
	Publish []string `json:"publish"`
	// Next is the next step, Key the key that it is about.
	Next RotationStep `json:"next"`
	Key  string       `json:"key,omitempty"`
	// At is the earliest time for the step: Now or later. Zero when there is no step.
	At time.Time `json:"at,omitzero"`
}

// Due reports whether the next step can be taken at a time.
func (p RotationPlan) Due(now time.Time) bool { return p.Next != StepNone && !now.Before(p.At) }

// Plan says which key signs, which ones must be published, and what comes next and when. A key that has
// signed goes on signing until the next one has been published for the cache time; the first key of all
// signs as soon as it is published, since no server holds a set without it.
func (r Rotation) Plan() RotationPlan {
	if r.Now.IsZero() {
		r.Now = time.Now()
	}
	if r.CacheTime <= 0 || r.CacheTime > lintMaxAge {
		r.CacheTime = lintMaxAge
	}
	if r.Skew <= 0 {
		r.Skew = time.Minute
	}
	keys := slices.Clone(r.Keys)
	slices.SortStableFunc(keys, func(a, b KeyTimes) int { return a.Made.Compare(b.Made) })
	keys = slices.DeleteFunc(keys, func(k KeyTimes) bool { return !k.Removed.IsZero() && !k.Removed.After(r.Now) })
	p := RotationPlan{Publish: []string{}, Next: StepNone}
	var live, old []KeyTimes
	for _, k := range keys {
		if k.Replaced.IsZero() {
			live = append(live, k)
		} else {
			old = append(old, k)
		}
	}
	for _, k := range keys {
		if k.Replaced.IsZero() || r.Now.Before(r.gone(k)) {
			p.Publish = append(p.Publish, k.ID)
		}
	}
	if len(live) == 0 {
		p.Next, p.At = StepGenerate, r.Now
		return p
	}
	signer := signing(live)
	first := signer < 0
	if first {
		signer = 0
	}
	p.Sign = live[signer].ID
	for _, k := range live {
		if k.Published.IsZero() {
			p.Next, p.Key, p.At = StepPublish, k.ID, r.Now
			return p
		}
	}
	if first {
		at := r.Now
		if len(old) > 0 { // servers may hold a set with the old keys alone
			at = later(at, live[0].Published.Add(r.CacheTime))
		}
		p.Next, p.Key, p.At = StepSign, live[0].ID, at
		if at.After(r.Now) {
			p.Sign = old[len(old)-1].ID
			if !slices.Contains(p.Publish, p.Sign) {
				p.Sign = "" // nothing that servers are sure to know
			}
		}
		return p
	}
	if newest := len(live) - 1; newest != signer {
		k := live[newest]
		p.Next, p.Key, p.At = StepSign, k.ID, later(r.Now, k.Published.Add(r.CacheTime))
		return p
	}
	for _, k := range slices.Concat(old, live[:signer]) {
		if !k.Published.IsZero() {
			p.Next, p.Key, p.At = StepRemove, k.ID, later(r.Now, r.gone(k))
			return p
		}
	}
	return p
}

// signing is the key that took over last; -1 when none has signed.
func signing(live []KeyTimes) int {
	at := -1
	for i, k := range live {
		if !k.Signing.IsZero() && (at < 0 || !k.Signing.Before(live[at].Signing)) {
			at = i
		}
	}
	return at
}

// gone is when the last assertion of a replaced key has expired everywhere.
func (r Rotation) gone(k KeyTimes) time.Time { return k.Replaced.Add(lintLifetime + r.Skew) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
