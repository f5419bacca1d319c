//go:build race

package chaos

// raceDetector says that this test, and so the program under test, is built
// with the race detector.
const raceDetector = true
