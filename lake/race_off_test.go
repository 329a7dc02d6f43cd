//go:build !race

package lake_test

const underRace = false
