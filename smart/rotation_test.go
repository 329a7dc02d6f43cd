package smart_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/andironhq/andiron/smart"
)

func TestRotationPlan(t *testing.T) {
	ago := func(d time.Duration) time.Time { return start.Add(-d) }
	const day = 24 * time.Hour
	a := smart.KeyTimes{ID: "a", Made: ago(90 * day), Published: ago(90 * day), Signing: ago(89 * day)}
	replaced := func(k smart.KeyTimes, d time.Duration) smart.KeyTimes { k.Replaced = ago(d); return k }
	removed := func(k smart.KeyTimes, d time.Duration) smart.KeyTimes { k.Removed = ago(d); return k }
	tests := []struct {
		name  string
		cache time.Duration
		keys  []smart.KeyTimes
		want  string // who signs; what is published; the step, its key and when
	}{
		{"no key", 0, nil, "; ; generate  now"},
		{"the first key must be published", 0, []smart.KeyTimes{{ID: "a", Made: start}}, "a; a; publish a now"},
		{"the first key signs at once: nobody holds a set without it", 0, []smart.KeyTimes{{ID: "a", Made: start, Published: start}}, "a; a; sign a now"},
		{"one key that signs: nothing to do", 0, []smart.KeyTimes{a}, "a; a; none "},
		{"a new key is published beside the old", 0, []smart.KeyTimes{a, {ID: "b", Made: start}}, "a; a b; publish b now"},
		{"it waits for the longest cache", 0, []smart.KeyTimes{a, {ID: "b", Made: ago(time.Hour), Published: ago(time.Hour)}}, "a; a b; sign b 28h0m0s"},
		{"less if Cache-Control says so", 2 * time.Hour, []smart.KeyTimes{a, {ID: "b", Made: ago(time.Hour), Published: ago(time.Hour)}}, "a; a b; sign b 1h0m0s"},
		{"never more than 29 hours", 300 * time.Hour, []smart.KeyTimes{a, {ID: "b", Made: ago(time.Hour), Published: ago(time.Hour)}}, "a; a b; sign b 28h0m0s"},
		{"then it signs", 0, []smart.KeyTimes{a, {ID: "b", Made: ago(2 * day), Published: ago(29 * time.Hour)}}, "a; a b; sign b now"},
		{"the old key stays while its assertions live", 0, []smart.KeyTimes{replaced(a, time.Minute), {ID: "b", Made: ago(2 * day), Published: ago(2 * day), Signing: ago(time.Minute)}}, "b; a b; remove a 5m0s"},
		{"then it goes", 0, []smart.KeyTimes{replaced(a, 6*time.Minute), {ID: "b", Made: ago(2 * day), Published: ago(2 * day), Signing: ago(6 * time.Minute)}}, "b; b; remove a now"},
		{"and is done with", 0, []smart.KeyTimes{removed(replaced(a, day), time.Hour), {ID: "b", Made: ago(2 * day), Published: ago(2 * day), Signing: ago(day)}}, "b; b; none "},
		{"an old key whose end was not written down goes as well", 0, []smart.KeyTimes{a, {ID: "b", Made: ago(3 * day), Published: ago(3 * day), Signing: ago(day)}}, "b; a b; remove a now"},
		{"after all keys were replaced a new one must be made", 0, []smart.KeyTimes{replaced(a, day)}, "; ; generate  now"},
		{"a key that follows a gap waits too", 0, []smart.KeyTimes{replaced(a, time.Minute), {ID: "b", Made: ago(time.Minute), Published: ago(time.Minute)}}, "a; a b; sign b 28h59m0s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := smart.Rotation{Keys: tt.keys, CacheTime: tt.cache, Now: start}.Plan()
			when := ""
			switch {
			case p.Due(start):
				when = "now"
			case p.Next != smart.StepNone:
				when = p.At.Sub(start).String()
			}
			if got := fmt.Sprintf("%s; %s; %s %s %s", p.Sign, strings.Join(p.Publish, " "), p.Next, p.Key, when); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(tt.want), " ") {
				t.Errorf("the plan is %q, want %q", got, tt.want)
			}
		})
	}
}

// Whoever takes each step when it is due always signs with a key that every server knows, whatever copy
// of the set it holds.
func TestStepsInOrderNeverSignWithAnUnknownKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cache := time.Duration(rapid.IntRange(1, 40).Draw(t, "cache")) * time.Hour
		now := start
		keys := []smart.KeyTimes{{ID: "k0", Made: now, Published: now, Signing: now}}
		type moment struct {
			at  time.Time
			set []string
		}
		history := []moment{{now, []string{"k0"}}}
		for n := range rapid.IntRange(10, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 600).Draw(t, "minutes")) * time.Minute)
			p := smart.Rotation{Keys: keys, CacheTime: cache, Now: now}.Plan()
			i := slices.IndexFunc(keys, func(k smart.KeyTimes) bool { return k.ID == p.Key })
			switch {
			case p.Next == smart.StepNone:
				keys = append(keys, smart.KeyTimes{ID: fmt.Sprintf("k%d", n+1), Made: now})
			case !p.Due(now):
			case p.Next == smart.StepPublish:
				keys[i].Published = now
			case p.Next == smart.StepSign:
				for j := range keys {
					if j != i && keys[j].Replaced.IsZero() && !keys[j].Signing.IsZero() {
						keys[j].Replaced = now
					}
				}
				keys[i].Signing = now
			case p.Next == smart.StepRemove:
				keys[i].Removed = now
			default:
				t.Fatalf("unexpected step %s", p.Next)
			}
			var set []string
			for _, k := range keys {
				if !k.Published.IsZero() && k.Removed.IsZero() {
					set = append(set, k.ID)
				}
			}
			history = append(history, moment{now, set})
			sign := smart.Rotation{Keys: keys, CacheTime: cache, Now: now}.Plan().Sign
			oldest := now.Add(-min(cache, 29*time.Hour))
			for j, m := range history {
				current := j == len(history)-1 || history[j+1].at.After(oldest) // a server may hold this copy
				if current && !slices.Contains(m.set, sign) {
					t.Fatalf("at %s %s signs, and a server may hold the set %v of %s", now, sign, m.set, m.at)
				}
			}
		}
	})
}

func ExampleRotation() {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := smart.Rotation{Now: now, Keys: []smart.KeyTimes{
		{ID: "2025", Made: now.AddDate(-1, 0, 0), Published: now.AddDate(-1, 0, 0), Signing: now.AddDate(-1, 0, 0)},
		{ID: "2026", Made: now.Add(-time.Hour), Published: now.Add(-time.Hour)},
	}}
	p := r.Plan()
	fmt.Println("signs now:", p.Sign)
	fmt.Println("published:", p.Publish)
	fmt.Println("next:", p.Next, p.Key, "in", p.At.Sub(now))
	// Output:
	// signs now: 2025
	// published: [2025 2026]
	// next: sign 2026 in 28h0m0s
}
