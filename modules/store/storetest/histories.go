package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/payments/oracle"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
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

// scenariosFile is that of package payments, from the directory of an engine.
const scenariosFile = "../../payments/testdata/scenarios.txt"

// scenarios plays every scenario in every arrival, each arrival with an order of its
// own: one update after the other, and all in one batch.
func scenarios(t *testing.T, d *db) {
	for _, s := range oracle.ReadScenarios(t, scenariosFile) {
		for _, whole := range []bool{false, true} {
			arrivals := everyArrivalOf(s.Updates, fmt.Sprint(s.Name, " ", whole, " "))
			play(d, arrivals, whole)
			open := make(map[string][]*payments.DeadLetter)
			for _, l := range d.openLetters() {
				open[l.OrderID] = append(open[l.OrderID], l)
			}
			for _, id := range slices.Sorted(maps.Keys(arrivals)) {
				o, err := d.Order(t.Context(), id)
				c, disputeErr := d.Dispute(t.Context(), payments.DisputeKey{Source: id, ID: id})
				if err != nil && disputeErr != nil {
					t.Errorf("neither the order nor the dispute exists: %v, %v", err, disputeErr)
				}
				if s.Check(t, o, c, open[id]); t.Failed() {
					t.Fatalf("the first failure is the arrival %v", arrivals[id])
				}
			}
		}
	}
}

// pairs compares every pair of snapshots with the oracle, in both arrivals: of orders by
// their statuses and parts, and of disputes by their statuses and stages.
func pairs(t *testing.T, d *db) {
	var orders, disputes []*payrelayv1.Update
	for status := 1; status < len(payrelayv1.OrderStatus_name); status++ {
		for _, part := range []string{"", "p1", "p2"} {
			orders = append(orders, order("e", 0, payrelayv1.OrderStatus(status), amount(5, "USD"), func(u *payrelayv1.Update) { u.GetOrder().Part = part }))
		}
	}
	for status := 1; status < len(payrelayv1.DisputeStatus_name); status++ {
		for stage := range len(payrelayv1.DisputeStage_name) {
			disputes = append(disputes, dispute("e", 0, payrelayv1.DisputeStatus(status), func(u *payrelayv1.Update) { u.GetDispute().Stage = payrelayv1.DisputeStage(stage) }))
		}
	}
	for name, snapshots := range map[string][]*payrelayv1.Update{"order": orders, "dispute": disputes} {
		for i, older := range snapshots {
			arrivals := make(map[string][]*payrelayv1.Update)
			for j, newer := range snapshots {
				second := proto.CloneOf(newer)
				second.EventId = "e2"
				if j%2 == 0 { // the others are of one instant
					second.OccurredAt = timestamppb.New(after(60))
				}
				maps.Copy(arrivals, everyArrivalOf([]*payrelayv1.Update{older, second}, fmt.Sprint(name, i, "-", j, " ")))
			}
			play(d, arrivals, false)
			wantTold(d, arrivals)
			if t.Failed() {
				t.Fatalf("the first failure is a pair with %v", older)
			}
		}
	}
}

// everyArrivalOf returns the updates in every arrival. Those of each have an order and a
// source of their own, whose name begins with a prefix.
func everyArrivalOf(updates []*payrelayv1.Update, prefix string) map[string][]*payrelayv1.Update {
	arrivals := make(map[string][]*payrelayv1.Update)
	var permute func(chosen, left []*payrelayv1.Update)
	permute = func(chosen, left []*payrelayv1.Update) {
		if len(left) == 0 {
			id := fmt.Sprint(prefix, len(arrivals))
			for _, u := range chosen {
				own := proto.CloneOf(u)
				own.OrderId, own.Provider = id, id
				arrivals[id] = append(arrivals[id], own)
			}
		}
		for i := range left {
			permute(append(slices.Clone(chosen), left[i]), slices.Delete(slices.Clone(left), i, i+1))
		}
	}
	permute(nil, updates)
	return arrivals
}

// play applies all arrivals at once: the first update of each, then the second of each,
// and so on, or everything in one batch.
func play(d *db, arrivals map[string][]*payrelayv1.Update, whole bool) {
	d.t.Helper()
	var all []*payrelayv1.Update
	for step, more := 0, true; more; step++ {
		more = false
		var batch []*payrelayv1.Update
		for _, id := range slices.Sorted(maps.Keys(arrivals)) {
			if step < len(arrivals[id]) {
				batch, more = append(batch, arrivals[id][step]), true
			}
		}
		if all = append(all, batch...); !whole && more {
			d.apply(batch...)
		}
	}
	if whole {
		d.apply(all...)
	}
}

// wantTold compares the orders and disputes of the arrivals with the oracle.
func wantTold(d *db, arrivals map[string][]*payrelayv1.Update) {
	t, got := d.t, oracle.NewResult()
	t.Helper()
	for id := range arrivals {
		if o, err := d.Order(t.Context(), id); err == nil {
			got.Orders[id] = oracle.OrderOf(o)
		}
		key := payments.DisputeKey{Source: id, ID: id}
		if c, err := d.Dispute(t.Context(), key); err == nil {
			got.Disputes[key] = c
		}
	}
	for _, l := range d.openLetters() {
		if arrivals[l.OrderID] != nil {
			got.Refused[l.Key] = payments.DeadLetterReasons.Name(l.Reason)
		}
	}
	for _, difference := range got.Differences(oracle.Fold(slices.Concat(slices.Collect(maps.Values(arrivals))...), nil)) {
		t.Error(difference)
	}
}
