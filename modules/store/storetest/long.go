package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/payments/oracle"
)

// historyPages reads histories in pages of every size: of an order, and of a dispute of
// one of two sources, beside events that are not in the history.
func historyPages(t *testing.T, d *db) {
	var updates []*payrelayv1.Update
	seconds := []int{5, 1, 1, 1, 1, 1, 1, 3, 3, 9, 2, 7, 7, 7}
	for i, second := range seconds {
		updates = append(updates,
			order(fmt.Sprint("e", i), second, orderUpdated), order(fmt.Sprint("x", i), second, orderUpdated, of("o2")),
			dispute(fmt.Sprint("e", i), second, disputeOpen, disputeID("d1"), from("a")),
			dispute(fmt.Sprint("e", i), second, disputeOpen, disputeID("d1"), from("b")),
			note(fmt.Sprint("n", i), second, "a note"))
	}
	d.apply(updates...)
	slices.Sort(seconds)
	for _, of := range []payments.Subject{{Order: "o1"}, {Dispute: payments.DisputeKey{Source: "b", ID: "d1"}}} {
		for limit := 1; limit <= len(seconds)+1; limit++ {
			for _, from := range []int{-1000, 1, 2, 4, 7, 9, 10} {
				want := slices.DeleteFunc(slices.Clone(seconds), func(second int) bool { return second < from })
				if got := readPages(d, of, from, limit); !slices.Equal(got, want) {
					t.Errorf("the pages of %v from second %d, %d events in each: got the seconds %v, want %v", of, from, limit, got, want)
				}
			}
		}
	}
	if page, err := d.HistoryPage(t.Context(), payments.Subject{Order: "?"}, time.Time{}, 10); err != nil || len(page.Events) > 0 || !page.Next.IsZero() {
		t.Errorf("HistoryPage of an unknown order = %+v, %v, want an empty page", page, err)
	}
}

// readPages returns the seconds of the events in all pages from a second on. It fails
// the test if an instant is in two pages, or an event is of another history.
func readPages(d *db, of payments.Subject, from, limit int) (seconds []int) {
	d.t.Helper()
	for next := after(from); !next.IsZero(); {
		page, err := d.HistoryPage(d.t.Context(), of, next, limit)
		d.check(err)
		for _, e := range page.Events {
			if got := (payments.Subject{Order: e.Update.GetOrderId()}); e.Key.Kind == payments.KindOrder && got != of ||
				e.Key.Kind == payments.KindDispute && (payments.Subject{Dispute: e.Dispute()}) != of || e.Key.Kind == payments.KindNote {
				d.t.Errorf("event %v is in the history of %v", e.Key, of)
			}
			when := e.Update.GetOccurredAt().AsTime()
			if when.Before(next) || !page.Next.IsZero() && !when.Before(page.Next) {
				d.t.Errorf("event %v of %v is in the page from %v to %v", e.Key, when, next, page.Next)
			}
			if len(e.Update.GetRawBody()) > 0 {
				d.t.Errorf("event %v has its body", e.Key)
			}
			seconds = append(seconds, int(when.Sub(noon).Seconds()))
		}
		if len(page.Events) == 0 && !page.Next.IsZero() {
			d.t.Fatalf("an empty page, and more after it")
		}
		next = page.Next
	}
	slices.Sort(seconds)
	return seconds
}

// limitedHistory reads a history that has more events than the limit.
func limitedHistory(t *testing.T, d *db) {
	for i := range 7 {
		d.apply(order(fmt.Sprint("e", i), i, orderUpdated), dispute(fmt.Sprint("c", i), i, disputeOpen, disputeID("d1")), order(fmt.Sprint("f", i), i, orderUpdated, of("o2")))
	}
	key := disputeKey("d1")
	read, err := d.History(t.Context(), payments.Subjects{Orders: []string{"o1", "o2"}, Disputes: []payments.DisputeKey{key}}, 5)
	d.check(err)
	for _, events := range [][]*payments.Event{read.Orders["o1"], read.Orders["o2"], read.Disputes[key]} {
		if len(events) != 5 {
			t.Errorf("read %d events of a history, want 5", len(events))
		}
	}
}

// checkpoints are read by their time, of their order or dispute only, and replaced.
func checkpoints(t *testing.T, d *db) {
	subjects := []payments.Subject{
		{Order: "o1"}, {Order: "d1"}, {Dispute: payments.DisputeKey{Source: "a", ID: "d1"}}, {Dispute: payments.DisputeKey{Source: "b", ID: "d1"}},
	}
	second := after
	put := func(c payments.Checkpoints, seconds ...int) {
		t.Helper()
		for _, n := range seconds {
			c.New = append(c.New, payments.Checkpoint{Before: second(n), State: fmt.Sprintf("%v of %v", n, c.Of), Rules: 7})
		}
		d.commit(&payments.Changes{Checkpoints: []*payments.Checkpoints{&c}})
	}
	want := func(of payments.Subject, notAfter, n int) {
		t.Helper()
		c, err := d.Checkpoint(t.Context(), of, second(notAfter))
		switch {
		case err != nil || (c == nil) != (n < 0):
			t.Errorf("Checkpoint(%v, %d) = %+v, %v, want %d", of, notAfter, c, err, n)
		case c != nil && *c != payments.Checkpoint{Before: second(n), State: fmt.Sprintf("%v of %v", n, of), Rules: 7}:
			t.Errorf("Checkpoint(%v, %d) = %+v, want the one of second %d", of, notAfter, c, n)
		}
	}
	for _, of := range subjects {
		want(of, 1000, -1)
		put(payments.Checkpoints{Of: of}, 10, 20, 30)
	}
	for _, of := range subjects {
		for notAfter, n := range map[int]int{9: -1, 10: 10, 15: 10, 20: 20, 29: 20, 30: 30, 1000: 30} {
			want(of, notAfter, n)
		}
	}
	put(payments.Checkpoints{Of: subjects[1], Replace: true, From: second(10), To: second(20)}, 15)
	put(payments.Checkpoints{Of: subjects[2], Replace: true, From: second(10)}, 12, 10)
	put(payments.Checkpoints{Of: subjects[3], Replace: true}, 5)
	for _, step := range []struct{ subject, notAfter, n int }{
		{0, 12, 10}, {0, 20, 20}, {0, 99, 30},
		{1, 14, 10}, {1, 29, 15}, {1, 99, 30},
		{2, 11, 10}, {2, 99, 12},
		{3, 4, -1}, {3, 99, 5},
	} {
		want(subjects[step.subject], step.notAfter, step.n)
	}
}

// longHistories compares the ledger with the oracle on a long history in random order of
// arrival.
func longHistories(t *testing.T, d *db) {
	const length = 2400
	rng := rand.New(rand.NewPCG(1, 8))
	updates := oracle.RandomHistory(rng, "long/", length)
	h := newHistory(d, "long/", updates)
	arrival := shuffled(rng, updates)
	// Two thirds come in order, so that there are checkpoints before the others come.
	slices.SortFunc(arrival[:2*length/3], func(a, b *payrelayv1.Update) int {
		return a.GetOccurredAt().AsTime().Compare(b.GetOccurredAt().AsTime())
	})
	for len(arrival) > 0 {
		n := min(1+rng.IntN(64), len(arrival))
		d.apply(arrival[:n]...)
		arrival = arrival[n:]
	}
	h.check(0)
	if c, err := d.Checkpoint(t.Context(), payments.Subject{Order: "long/o1"}, after(1<<20)); err != nil || c == nil {
		t.Errorf("Checkpoint = %v, %v, want one", c, err)
	}
}
