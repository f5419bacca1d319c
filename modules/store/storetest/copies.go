package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Copier is a pair of databases, of which the target is empty.
type Copier interface {
	Source(t *testing.T) Engine
	Target(t *testing.T) Engine
	// Copy copies the source into the target.
	Copy(t *testing.T)
}

// RunCopies checks that a copy answers as the original does, and that a ledger can
// continue with it. It calls create for each test.
func RunCopies(t *testing.T, create func(t *testing.T) Copier) {
	for _, test := range []struct {
		name  string
		leave func(*testing.T, *db) // fills the source: a test of the suite
	}{
		{"Nothing", func(*testing.T, *db) {}},
		{"States", statesAreKeptExactly},
		{"Events", eventsAreKeptExactly},
		{"Bodies", bodiesAreKept},
		{"DeadLetters", lettersAreKeptExactly},
		{"DiscardedDeadLetters", discardedStaySo},
		{"AwkwardText", awkwardText},
		{"RefusedDispute", refusedDispute},
		{"RefutedAndReapplied", refutedAndReapplied},
		{"Refusals", refusals},
		{"UndecodableRecords", undecodableRecords},
	} {
		t.Run(test.name, func(t *testing.T) {
			copied(t, create(t), func(source *db) { test.leave(t, source) })
		})
	}
	t.Run("TheLedgerGoesOn", func(t *testing.T) { ledgerGoesOn(t, create(t)) })
}

// copied fills the source, copies it, and checks that both give the same answers.
func copied(t *testing.T, c Copier, leave func(source *db)) (target *db) {
	t.Helper()
	from, to := c.Source(t), c.Target(t)
	source := &db{Engine: from, Store: from.Open(t), t: t}
	leave(source)
	lookup := source.all()
	want, wantBodies := source.everything(lookup), source.bodies(lookup)
	source.check(source.Close())
	c.Copy(t)
	source.Store = from.Open(t)
	wantLines(t, "the source afterwards", source.everything(lookup), want)
	target = &db{Engine: to, Store: to.Open(t), t: t}
	wantLines(t, "the target", target.everything(lookup), want)
	if !slices.EqualFunc(target.bodies(lookup), wantBodies, bytes.Equal) {
		t.Error("the bodies of the target differ from those of the source")
	}
	return target
}

// all returns a lookup of everything that is stored.
func (d *db) all() (lookup payments.Lookup) {
	d.t.Helper()
	for _, e := range d.events() {
		lookup.Keys = append(lookup.Keys, e.Key)
		lookup.OrderIDs = append(lookup.OrderIDs, e.Update.GetOrderId())
		lookup.DisputeIDs = append(lookup.DisputeIDs, e.DisputeID())
	}
	for _, a := range extremes() { // which have no events
		lookup.OrderIDs = append(lookup.OrderIDs, a.OrderID)
		for _, folded := range a.Disputes {
			lookup.DisputeIDs = append(lookup.DisputeIDs, folded.State.ID)
		}
	}
	for _, ids := range []*[]string{&lookup.OrderIDs, &lookup.DisputeIDs} {
		slices.Sort(*ids)
		*ids = slices.Compact(*ids)
	}
	return lookup
}

func (d *db) bodies(lookup payments.Lookup) [][]byte {
	d.t.Helper()
	bodies := make([][]byte, len(lookup.Keys))
	for i, key := range lookup.Keys {
		bodies[i] = d.Body(d.t, key)
	}
	return bodies
}

// ledgerGoesOn stores something of each kind before the copy and continues with it
// afterwards.
func ledgerGoesOn(t *testing.T, c Copier) {
	first, refuted := order("e1", 1, orderCreated, amount(7, "EUR")), order("e9", 9, orderUpdated)
	var future int64
	d := copied(t, c, func(source *db) {
		source.apply(first, order("e8", 8, orderSuccess), dispute("c1", 2, disputeOpen, disputeID("d1")))
		wantOutcomes(t, source.apply(refuted, order("e1", 1, orderFailed, body("another"))), refused(illegal), refused(conflict))
		future = source.deadLettered(order("e5", 5, orderUpdated, user("u5")), futureTime)
		source.check(source.Discard(t.Context(), source.letters()[1].ID, noon))
		// There are more rows in each table than a ledger makes attempts, should a
		// number be taken already.
		for i := range 100 {
			source.apply(order(fmt.Sprint("odd", i), 0, orderNone, of(fmt.Sprint("odd", i)), word("new")))
		}
	})
	events, letters := d.events(), d.letters()

	wantOutcomes(t, d.apply(first, refuted), verdict(duplicate), verdict(duplicate))
	wantOutcomes(t, d.apply(order("e1", 1, orderFailed, body("another"))), refused(conflict))
	if len(d.events()) != len(events) || asText(d.letters()[1]) != asText(letters[1]) {
		t.Error("updates that were copied and are sent again are stored twice, or their dead letters are open again")
	}
	wantOutcomes(t, []*payrelayv1.Outcome{d.replay(future)}, verdict(applied))
	if got := d.order("o1"); got.UserID != "u5" || got.Status != orderSuccess {
		t.Errorf("after the replay of an old dead letter the order is %+v, want it successful and of user u5", got)
	}
	wantOutcomes(t, d.apply(order("e0", 0, orderCreated), dispute("c2", 3, disputeWon, disputeID("d1"))), verdict(applied), verdict(applied))
	if got := d.order("o1"); got.CreatedAt != after(0) || d.dispute("d1").Status != disputeWon {
		t.Errorf("after a late update got the order %+v and the dispute %+v, want the creation at second 0 and a dispute won", got, d.dispute("d1"))
	}
	wantOutcomes(t, d.apply(order("new", 0, orderCreated, of("o2")), order("odd", 1, orderNone, of("o3"), word("new"))), verdict(applied), refused(unknownStatus))
	wantNumberedAfter(d, events, letters)
}

// wantNumberedAfter checks that what is new has higher numbers than what was there
// before.
func wantNumberedAfter(d *db, events []payments.RecordedEvent, letters []*payments.DeadLetter) {
	d.t.Helper()
	highest := slices.MaxFunc(events, func(a, b payments.RecordedEvent) int { return int(a.Sequence - b.Sequence) }).Sequence
	for _, e := range d.events() {
		isNew := !slices.ContainsFunc(events, func(old payments.RecordedEvent) bool { return old.Key == e.Key })
		if isNew != (e.Sequence > highest) {
			d.t.Errorf("event %v has the sequence %d, the highest before the copy was %d", e.Key, e.Sequence, highest)
		}
	}
	last := d.letters()[len(letters):]
	if len(last) != 1 || last[0].ID <= letters[len(letters)-1].ID || time.Since(last[0].CreatedAt) > time.Hour {
		d.t.Errorf("the new dead letters are %+v, want one with the next number", last)
	}
}
