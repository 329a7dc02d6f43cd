//go:build !race

package r4_test

const raceEnabled = false
