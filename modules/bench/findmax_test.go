package bench

import (
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/bench/report"
)

func TestSearchFindsTheHighestRate(t *testing.T) {
	for _, c := range []struct{ first, highest float64 }{{1000, 3000}, {1000, 100}, {2900, 3000}, {3100, 3000}} {
		rate, good, bad, probes := c.first, 0.0, 0.0, 0
		for ; probes < maxProbes && undecided(good, bad); probes++ {
			if rate <= c.highest {
				good = rate
			} else {
				bad = rate
			}
			rate = next(good, bad)
		}
		if good > c.highest || good < c.highest/resolution || probes == maxProbes {
			t.Errorf("from %v, a highest rate of %v is found as %v after %d probes", c.first, c.highest, good, probes)
		}
	}
}

func TestBrokenLimits(t *testing.T) {
	tr := &trial{bench: &bench{Config: Config{P99Limit: 25 * time.Millisecond}}}
	good := report.Run{Sent: 1000, Accepted: 1000, Ack: report.Latency{P99: 25}, Drain: report.Drain{Backlog: 50}}
	if broke := tr.broke(good); broke != "" {
		t.Errorf("broke(a good run) = %q, want none", broke)
	}
	for name, change := range map[string]func(*report.Run){
		"slow":   func(r *report.Run) { r.Ack.P99 = 25.1 },
		"behind": func(r *report.Run) { r.Drain.Backlog = 51 },
		"errors": func(r *report.Run) { r.Errors = map[string]int64{"503 overloaded": 1} },
	} {
		run := good
		change(&run)
		if tr.broke(run) == "" {
			t.Errorf("%s: broke() returns none", name)
		}
	}
}
