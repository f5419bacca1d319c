package payments_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/payments/oracle"
)

// tally adds up what a ledger reports.
type tally struct {
	commits                             int
	recorded, revised, letters, settled map[string]int
}

func (b *fixture) tally() *tally {
	n := &tally{recorded: map[string]int{}, revised: map[string]int{}, letters: map[string]int{}, settled: map[string]int{}}
	b.OnCommit(func(c *payments.Changes) {
		n.commits++
		for _, e := range c.Events {
			n.recorded[fmt.Sprint(e.Key.Kind, " ", payments.Verdicts.Name(e.Verdict))]++
		}
		for _, e := range c.Revised {
			n.revised[fmt.Sprint(e.Key.Kind, " ", payments.Verdicts.Name(e.Verdict))]++
		}
		for _, l := range c.DeadLetters {
			n.letters[payments.DeadLetterReasons.Name(l.Reason)]++
		}
		for _, s := range c.Settled {
			n.settled[string(s.Resolution)]++
		}
	})
	return n
}

func wantTally(t *testing.T, what string, got, want map[string]int) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// An update that a later one turns into a dead letter is counted.
func TestALateUpdateMakesADeadLetterOfAnEarlierOne(t *testing.T) {
	b := newFixture(t)
	n := b.tally()
	b.apply(order("e1", 10*3600, orderCreated, ahead(-13)))
	b.apply(order("e2", 12*3600, orderFailed, ahead(-11)))
	wantOutcomes(t, b.apply(order("e3", 11*3600, orderSuccess, ahead(-12))), verdict(applied))
	wantTally(t, "recorded", n.recorded, map[string]int{"order applied": 3})
	wantTally(t, "revised", n.revised, map[string]int{"order dead_lettered": 1})
	wantTally(t, "dead letters", n.letters, map[string]int{"contradiction": 1})
	b.accept(1)
	wantTally(t, "revised", n.revised, map[string]int{"order dead_lettered": 1, "order applied": 1})
	wantTally(t, "settled", n.settled, map[string]int{"accepted": 1})
	if n.commits != 4 {
		t.Errorf("%d commits are reported, want 4", n.commits)
	}
}

// Each commit is reported once, after it succeeded, whatever writes it.
func TestEveryCommitIsReportedOnce(t *testing.T) {
	for name, do := range map[string]func(*fixture){
		"a batch": func(b *fixture) { b.apply(order("e1", 0, orderCreated), note("n1", 0, "comment")) },
		"a Kafka record": func(b *fixture) {
			if err := b.DeadLetter(t.Context(), &payrelayv1.UndecodableRecord{Topic: "t"}); err != nil {
				t.Error(err)
			}
		},
		"an update that is set aside": func(b *fixture) {
			b.store.beforeCommitOf = func(c *payments.Changes) error {
				if len(c.Events) > 0 {
					return payments.ErrUnstorable
				}
				return nil
			}
			b.apply(order("e1", 0, orderCreated))
		},
		"a long history": func(b *fixture) {
			b.Limit(8, 4, 4, 8)
			longOrder(b, 100)
			b.apply(order("late", 1, orderUpdated, partOf("p9"), captured(5, "USD")))
		},
		"a race": func(b *fixture) {
			b.store.beforeCommit = func() error {
				b.store.beforeCommit = nil
				return payments.ErrRaced
			}
			b.apply(order("e1", 0, orderCreated))
		},
		"a duplicate": func(b *fixture) {
			b.apply(order("e1", 0, orderCreated))
			b.apply(order("e1", 0, orderCreated))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			n, written := b.tally(), 0
			b.store.afterCommit = func() error { written++; return nil }
			do(b)
			if written == 0 || n.commits != written {
				t.Errorf("%d commits are reported, want the %d that were written", n.commits, written)
			}
		})
	}
	t.Run("a failure", func(t *testing.T) {
		b := newFixture(t)
		n := b.tally()
		b.store.beforeCommit = func() error { return errBroken }
		if _, err := b.Apply(t.Context(), []*payrelayv1.Update{order("e1", 0, orderCreated)}); !errors.Is(err, errBroken) || n.commits != 0 {
			t.Errorf("Apply = %v with %d commits reported, want none", err, n.commits)
		}
	})
}

// The counters add up to what is stored.
func TestTheCountsAreThoseOfTheStore(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 80))
		b := newFixture(t)
		if seed%2 == 0 {
			b.Limit(1+rng.IntN(8), 1+rng.IntN(4), 1+rng.IntN(4), 1+rng.IntN(8))
		}
		n := b.tally()
		for _, u := range oracle.RandomHistory(rng, "", 40) {
			b.apply(u)
			if rng.IntN(8) == 0 {
				decideSome(t, rng, b)
			}
		}
		events := map[payments.Kind]int{}
		for key := range b.store.events {
			events[key.Kind]++
		}
		for kind, want := range events {
			got := 0
			for _, v := range payments.Verdicts.All() {
				got += n.recorded[fmt.Sprint(kind, " ", v)]
			}
			if got != want {
				t.Errorf("seed %d: %d events of kind %s are counted, want %d", seed, got, kind, want)
			}
		}
		settled := map[string]int{}
		for _, s := range b.store.settled {
			settled[string(s.Resolution)]++
		}
		wantTally(t, "settled", n.settled, settled)
		opened := 0
		for _, k := range n.letters {
			opened += k
		}
		for _, k := range settled {
			opened -= k
		}
		if open := len(b.store.openLetters()); opened < open || n.commits != b.store.commits {
			t.Errorf("seed %d: %d opened more than settled and %d commits, want at least %d and exactly %d", seed, opened, n.commits, open, b.store.commits)
		}
	}
}
