//go:build !race

package program

// RaceDetector: see race_on.go.
const RaceDetector = false
