//go:build race

package r4_test

// raceEnabled makes long tests look at a sample: the race detector is slow, and the codec has no goroutines.
const raceEnabled = true
