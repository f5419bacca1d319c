package payments_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/payments/oracle"
)

// entryText returns an audit entry as one line.
func entryText(e payments.AuditEntry) string {
	return fmt.Sprintf("%s %s %s [%s] (%s): %s -> %s", e.Who, e.Action, e.Target, e.OrderID, e.Why, e.Before, e.After)
}

func TestAudit(t *testing.T) {
	paid := order("e1", 0, orderSuccess)
	for name, test := range map[string]struct {
		updates []*payrelayv1.Update
		how     payments.Resolution
		later   int // hours until the decision
		want    string
	}{
		"an accepted contradiction": {
			[]*payrelayv1.Update{paid, order("e2", 1, orderFailed)}, payments.Accepted, 0,
			`ann accept dead letter 1, order event "e2" of generic [o1] (a test): open: contradiction; order success -> accepted: applied; order failed`,
		},
		"a discarded contradiction": {
			[]*payrelayv1.Update{paid, order("e2", 1, orderFailed)}, payments.Discarded, 0,
			`ann discard dead letter 1, order event "e2" of generic [o1] (a test): open: contradiction; order success -> discarded; order success`,
		},
		"a replay that is refused again": {
			[]*payrelayv1.Update{paid, order("e2", 1, orderFailed)}, payments.Replayed, 0,
			`ann replay dead letter 1, order event "e2" of generic [o1] (a test): open: contradiction; order success -> open: contradiction; order success`,
		},
		"a replay of a time that has come": {
			[]*payrelayv1.Update{order("e2", 0, orderSuccess, ahead(30))}, payments.Replayed, 10,
			`ann replay dead letter 1, order event "e2" of generic [o1] (a test): open: future_time; no order -> replayed: applied; order success`,
		},
		"an accepted outcome of a dispute": {
			[]*payrelayv1.Update{dispute("d1", 0, disputeLost, disputeID("x")), dispute("d2", 0, disputeWon, disputeID("x"))}, payments.Accepted, 0,
			`ann accept dead letter 1, dispute event "d2" of generic [o1] (a test): open: contradiction; dispute lost -> accepted: applied; dispute won`,
		},
		"an accepted conflict": {
			[]*payrelayv1.Update{order("e1", 0, orderCreated), order("e1", 1, orderFailed)}, payments.Accepted, 0,
			`ann accept dead letter 1, order event "e1" of generic [o1] (a test): open: conflict; order created -> accepted: applied; order failed`,
		},
		"a discarded conflict": {
			[]*payrelayv1.Update{order("e1", 0, orderCreated), order("e1", 1, orderFailed)}, payments.Discarded, 0,
			`ann discard dead letter 1, order event "e1" of generic [o1] (a test): open: conflict -> discarded`,
		},
		"a conflict of notes": {
			[]*payrelayv1.Update{note("n1", 0, "comment"), note("n1", 0, "fraud_warning")}, payments.Accepted, 0,
			`ann accept dead letter 1, note event "n1" of generic [o1] (a test): open: conflict -> accepted: applied`,
		},
		"a discarded Kafka record": {
			nil, payments.Discarded, 0,
			`ann discard dead letter 1, "17" of orders/3 [] (a test): open: undecodable -> discarded`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			if test.updates == nil {
				if err := b.DeadLetter(t.Context(), &payrelayv1.UndecodableRecord{Topic: "orders", Partition: 3, Offset: 17}); err != nil {
					t.Fatal(err)
				}
			} else {
				b.apply(test.updates...)
			}
			b.now = b.now.Add(time.Duration(test.later) * time.Hour)
			if r := b.decide(test.how, 1)[0]; r.Err != nil {
				t.Fatal(r.Err)
			}
			if len(b.store.audit) != 1 || entryText(b.store.audit[0]) != test.want || !b.store.audit[0].At.Equal(b.now) {
				t.Errorf("audit log %+v, want\n%s", b.store.audit, test.want)
			}
			before := b.store.dump()
			if test.how != payments.Replayed {
				b.decide(test.how, 1)
				wantLines(t, "after the same decision again", b.store.dump(), before)
			}
		})
	}
}

// In a long history, the audit log has the state after the fold.
func TestAuditOfALongHistory(t *testing.T) {
	b := newFixture(t)
	b.Limit(16, 8, 16, 1000)
	longOrder(b, 200)
	b.apply(order("paid", 1000, orderSuccess), order("failed", 1001, orderFailed), order("later", 1002, orderCreated))
	b.decide(payments.Accepted, 1)
	want := "open: contradiction; order success -> accepted: applied; order failed"
	if got := entryText(b.store.audit[0]); !strings.HasSuffix(got, want) {
		t.Errorf("audit entry %q, want it with %q", got, want)
	}
}

// The audit log has one entry for each dead letter that an operator settled, and no other
// entry of a settlement, whatever happens at the same time and whichever commit fails.
func TestAuditHasExactlyTheSettlements(t *testing.T) {
	settled, refusedAgain := 0, 0
	for seed := range uint64(150) {
		b := troubled(t, seed)
		store := b.store
		var mu sync.Mutex
		fail := rand.New(rand.NewPCG(seed, 60))
		broken := func() error {
			mu.Lock()
			defer mu.Unlock()
			if fail.IntN(10) == 0 {
				return errBroken
			}
			return nil
		}
		store.beforeCommit, store.afterCommit = broken, broken
		letters := int64(len(store.sequence))
		more := oracle.RandomHistory(rand.New(rand.NewPCG(seed, 61)), "", 40)
		var writers sync.WaitGroup
		for operator := range uint64(3) {
			writers.Go(func() {
				rng := rand.New(rand.NewPCG(seed, 70+operator))
				ledger := payments.NewLedgerAt(store, func() time.Time { return today })
				for n := range 8 {
					ids := make([]int64, 1+rng.IntN(20))
					for i := range ids {
						ids[i] = 1 + rng.Int64N(letters+1)
					}
					d := payments.Decision{Resolution: resolutions[rng.IntN(3)], By: fmt.Sprint("operator ", operator), Why: fmt.Sprint("decision ", n)}
					if _, err := ledger.Decide(context.Background(), ids, d); err != nil && !errors.Is(err, payments.ErrRaced) && !errors.Is(err, errBroken) {
						t.Error(err)
					}
				}
			})
		}
		writers.Go(func() {
			ledger := payments.NewLedgerAt(store, func() time.Time { return today })
			for _, u := range more {
				untilBatchDone(t, ledger, []*payrelayv1.Update{u})
			}
		})
		writers.Wait()
		want := make(map[string]int)
		for _, s := range store.settled {
			if s.Resolution != payments.Reapplied {
				want[fmt.Sprintf("%s %s %s %q of %s", s.By, s.Why, s.Resolution, s.Key.EventID, s.Key.Source)]++
				settled++
			}
		}
		got, decisions := make(map[string]int), make(map[string]int)
		for _, e := range store.audit {
			decisions[entryText(payments.AuditEntry{Who: e.Who, Why: e.Why, Target: e.Target})]++
			how, _, _ := strings.Cut(strings.Split(e.After, ";")[0], ":")
			if how == "open" {
				refusedAgain++
				continue
			}
			_, event, _ := strings.Cut(e.Target, `"`)
			got[fmt.Sprintf(`%s %s %s "%s`, e.Who, e.Why, how, event)]++
		}
		wantCounts(t, "settlements in the audit log", got, want)
		for decision, n := range decisions {
			if n > 1 {
				t.Errorf("%s is in the audit log %d times, want once", decision, n)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if settled < 500 || refusedAgain < 100 {
		t.Errorf("%d settled and %d refused again: too few", settled, refusedAgain)
	}
}
