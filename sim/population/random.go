package population

import "math/bits"

// rng is a small generator of our own (SplitMix64), so that a population stays byte-identical
// when the standard library changes its generators.
type rng struct{ state uint64 }

// mix folds words into one seed. The order of the words matters.
func mix(words ...uint64) uint64 {
	h := uint64(0x9E3779B97F4A7C15)
	for _, w := range words {
		h = scramble(h ^ w)
	}
	return h
}

// hashString is FNV-1a, for seeds that come from a name.
func hashString(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

func scramble(z uint64) uint64 {
	z += 0x9E3779B97F4A7C15
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
	z = (z ^ (z >> 27)) * 0x94D049BB133111EB
	return z ^ (z >> 31)
}

func (r *rng) next() uint64 {
	z := scramble(r.state)
	r.state += 0x9E3779B97F4A7C15
	return z
}

// below returns a number in [0,n).
func (r *rng) below(n int) int {
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int(hi)
}

// between returns a number in [low,high].
func (r *rng) between(low, high int) int { return low + r.below(high-low+1) }

// float returns a number in [0,1).
func (r *rng) float() float64 { return float64(r.next()>>11) / (1 << 53) }

func (r *rng) chance(p float64) bool { return r.float() < p }

// normal returns a bell-shaped number with mean 0 and standard deviation 1, never beyond ±3:
// the sum of four uniform numbers, scaled. Real extremes are written into the stories instead.
func (r *rng) normal() float64 {
	sum := r.float() + r.float() + r.float() + r.float() - 2
	z := sum * 1.7320508075688772
	return min(3, max(-3, z))
}

func pick[T any](r *rng, from []T) T { return from[r.below(len(from))] }

// pickWeighted returns an index, with the chance that the weights give it.
func (r *rng) pickWeighted(weights []int) int {
	total := 0
	for _, w := range weights {
		total += w
	}
	n := r.below(total)
	for i, w := range weights {
		if n -= w; n < 0 {
			return i
		}
	}
	return len(weights) - 1
}
