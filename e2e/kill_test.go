package e2e

import "testing"

// between is how many webhooks are accepted before, between and after strikes.
const between = 200

// TestKill: whatever is killed while webhooks come in, none that was answered
// 2xx is lost, and none takes effect twice.
func TestKill(t *testing.T) {
	inEvery(t, everySetup, func(t *testing.T, s setup) {
		strikeUnderLoad(t, s, (*process).kill)
	})
}

// TestTerminate: a clean stop under load takes seconds, succeeds, and loses
// nothing either.
func TestTerminate(t *testing.T) {
	inEvery(t, everySetup, func(t *testing.T, s setup) {
		strikeUnderLoad(t, s, (*process).terminate)
	})
}

// strikeUnderLoad strikes every role in its turn, those of one process twice,
// and starts it again.
func strikeUnderLoad(t *testing.T, s setup, strike func(*process, *testing.T)) {
	c := startCluster(t, s, options{edge: impatient})
	l := startLoad(t, c)
	for range 2 {
		for _, role := range s.roles() {
			l.awaitAcked(t, between)
			strike(c.running[role], t)
			c.start(t, role)
		}
	}
	l.awaitAcked(t, between)
	l.finish(t)
	l.check(t, c)
}
