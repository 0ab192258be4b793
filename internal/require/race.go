//go:build race

package require

// Race reports that tests run with the race detector, with which compiling large guests
// takes minutes.
const Race = true
