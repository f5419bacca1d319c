//go:build !race

package program

// RaceDetector reports whether this package, and so the program under test, is built
// with the race detector.
const RaceDetector = false
