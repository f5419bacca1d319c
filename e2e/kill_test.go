package e2e

import (
	"maps"
	"slices"
	"testing"
)

// between is the number of webhooks that are accepted before, between and after
// strikes.
const between = 200

// TestKill: whichever process is killed under load, no webhook that was answered
// 2xx is lost, and none takes effect twice.
func TestKill(t *testing.T) {
	inEvery(t, everySetup, func(t *testing.T, s setup) {
		strikeUnderLoad(t, s, options{edge: impatient, own: true}, (*cluster).kill)
	})
}

// TestTerminate: a clean stop under load succeeds within seconds, and loses nothing.
func TestTerminate(t *testing.T) {
	inEvery(t, everySetup, func(t *testing.T, s setup) {
		strikeUnderLoad(t, s, options{edge: impatient}, (*cluster).terminate)
	})
}

// strikeUnderLoad strikes each of the deployment's processes and own servers twice,
// in turn, and starts it again.
func strikeUnderLoad(t *testing.T, s setup, o options, strike func(*cluster, *testing.T, string)) {
	c := startCluster(t, s, o)
	l := startLoad(t, c)
	for range 2 {
		for _, member := range append(slices.Sorted(maps.Keys(c.servers)), s.members()...) {
			l.awaitAcked(t, between)
			strike(c, t, member)
			c.start(t, member)
		}
	}
	l.awaitAcked(t, between)
	l.finish(t)
	l.check(t, c)
}
