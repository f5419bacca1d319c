//go:build race

package program

// RaceDetector says that whoever imports this, and so the program under test, is
// built with the race detector.
const RaceDetector = true
