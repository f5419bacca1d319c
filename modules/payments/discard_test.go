package payments_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// wantDiscarded checks that an event is not in its history, and that ann settled its
// dead letter.
func (b *fixture) wantDiscarded(key payments.Key, want *payrelayv1.Outcome) {
	b.t.Helper()
	e := b.store.events[key]
	if !e.Discarded || e.InHistory() || e.Verdict != want.GetVerdict() || e.Reason != want.GetReason() {
		b.t.Errorf("event %+v, want it discarded as %v", e, want)
	}
	for _, letter := range b.store.letters {
		if letter.Key == key && (letter.Resolution != payments.Discarded || letter.By != "ann" || letter.Why != "a test payment") {
			b.t.Errorf("dead letter %+v, want it discarded by ann", letter)
		}
	}
	wantHeads(b.t.(*testing.T), b.store)
}

// A discarded event does not return to the history by a redelivery, by an update that
// would make it legal, by newer rules or by a replay.
func TestADiscardedEventStaysAway(t *testing.T) {
	b := newFixture(t)
	failed := order("e30", 30, orderFailed, user("u30"))
	lost := dispute("d2", 0, disputeWon)
	wantOutcomes(t, b.apply(order("e10", 10, orderSuccess), failed, dispute("d1", 0, disputeLost), lost),
		verdict(applied), refused(contradiction), verdict(applied), refused(contradiction))
	b.discard(1)
	b.discard(2)
	check := func() {
		t.Helper()
		b.wantDiscarded(orderKey("e30"), refused(contradiction))
		b.wantDiscarded(keyOf(lost), refused(contradiction))
		b.wantOpen(0)
	}
	check()
	b.wantSettled(payments.Discarded)
	if b.store.orders["o1"].Version != 2 {
		t.Errorf("version %d, want 2: another writer must notice", b.store.orders["o1"].Version)
	}

	wantOutcomes(t, b.apply(failed, lost, failed), verdict(duplicate), verdict(duplicate), verdict(duplicate))
	check()
	b.apply(order("e20", 20, orderReversed), order("e5", 5, orderCreated))
	b.apply(dispute("d0", -5, disputeOpen))
	check()
	b.wantOrder(orderReversed)
	a := b.store.orders["o1"]
	a.Rules = 1
	b.store.orders["o1"] = a
	b.apply(order("e21", 21, orderReversed))
	check()

	commits := b.store.commits
	b.discard(1) // a second discard changes nothing
	if b.store.commits != commits {
		t.Error("a second discard wrote something")
	}
	for id := int64(1); id <= 2; id++ {
		_, accepted := b.Accept(t.Context(), id, "bob", "")
		_, replayed := b.Replay(t.Context(), id, "bob", "")
		for _, err := range []error{accepted, replayed} {
			if !errors.Is(err, payments.ErrSettled) || !strings.Contains(err.Error(), "discarded at 2026-01-04T13:00:00Z by ann (a test payment)") {
				t.Errorf("dead letter %d: error %v, want one that says who discarded it", id, err)
			}
		}
	}
	check()
	if o := b.store.order("o1"); o.UserID != "" {
		t.Errorf("order %+v has facts of the discarded event", o)
	}
}

// An event outside of a history can be discarded.
func TestDiscardOfAnEventOutsideOfAHistory(t *testing.T) {
	b := newFixture(t)
	later := order("e2", 0, orderSuccess, ahead(48))
	b.apply(order("e1", 0, orderNone, providerStatus("settled")), later)
	commits := b.store.commits
	b.discard(1)
	b.discard(2)
	b.discard(2)
	if b.store.commits != commits+2 {
		t.Errorf("%d commits, want 2: a second discard wrote something", b.store.commits-commits)
	}
	b.wantDiscarded(orderKey("e1"), refused(unknownStatus))
	b.wantDiscarded(orderKey("e2"), refused(futureTime))
	b.now = today.Add(1000 * 3600e9)
	wantOutcomes(t, b.apply(later, order("e0", 0, orderCreated)), verdict(duplicate), verdict(applied))
	b.wantDiscarded(orderKey("e2"), refused(futureTime))
	b.wantOrder(orderCreated)
	b.wantOpen(0)
}

// A dead letter without an event is settled. A redelivery only raises its number of
// deliveries.
func TestDiscardOfADeadLetterWithoutAnEvent(t *testing.T) {
	b := newFixture(t)
	record := &payrelayv1.UndecodableRecord{Topic: "t", Offset: 1, Value: []byte("\xff")}
	newer, other := order("e2", 0, orderCreated, schema(2)), order("e1", 0, orderFailed)
	again := func() {
		t.Helper()
		if err := b.DeadLetter(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		b.apply(order("", 0, orderCreated), newer, order("e1", 0, orderCreated), other)
	}
	again()
	for range 2 {
		for id := int64(1); id <= 4; id++ {
			b.discard(id)
		}
	}
	commits := b.store.commits
	if want := 2 + 4; commits != want {
		t.Errorf("%d commits, want %d: a second discard wrote something", commits, want)
	}
	again()
	b.wantOpen(0)
	if len(b.store.letters) != 4 || len(b.store.events) != 1 || b.store.events[orderKey("e1")].Discarded {
		t.Errorf("%d dead letters and %d events, want 4 and 1", len(b.store.letters), len(b.store.events))
	}
	for _, letter := range b.store.letters {
		if letter.Resolution != payments.Discarded || letter.Deliveries != 2 || letter.By != "ann" {
			t.Errorf("dead letter %+v", letter)
		}
	}
	b.wantOrder(orderCreated)
}

// An event that newer rules would make legal can be discarded.
func TestDiscardFoldsOlderRulesAgain(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderFailed), order("e2", 10, orderSuccess, amount(5, "USD")), order("e3", 20, orderUpdated, user("u3")))
	b.setRules(1, map[payments.Key]*payrelayv1.Outcome{orderKey("e2"): refused(illegal), orderKey("e3"): verdict(stale)})
	b.discard(1)
	b.wantDiscarded(orderKey("e2"), refused(illegal))
	if o := b.store.order("o1"); o.Status != orderUpdated || o.UserID != "u3" || o.Parts != "" {
		t.Errorf("order %+v, want it without the success", o)
	}
	if b.store.orders["o1"].Rules != payments.Rules {
		t.Error("the order has the older rules still")
	}
}

func TestDiscardOfADeadLetterThatIsSettled(t *testing.T) {
	b := newFixture(t)
	if err := b.Discard(t.Context(), 1, "ann", ""); !errors.Is(err, payments.ErrNotFound) {
		t.Errorf("error %v, want ErrNotFound", err)
	}
	b.apply(order("e10", 10, orderSuccess), order("e30", 30, orderFailed))
	b.apply(order("e20", 20, orderReversed))
	if err := b.Discard(t.Context(), 1, "ann", ""); !errors.Is(err, payments.ErrSettled) {
		t.Errorf("error %v, want ErrSettled: it was reapplied", err)
	}
}

// Of two operators, or of an operator and an update, that act at the same time, the
// first one wins.
func TestOperationsThatRace(t *testing.T) {
	first := []*payrelayv1.Update{order("e10", 10, orderSuccess), order("e30", 30, orderFailed)}
	accept := func(b *fixture) error { _, err := b.Accept(t.Context(), 1, "bob", ""); return err }
	discard := func(b *fixture) error { return b.Discard(t.Context(), 1, "bob", "") }
	for name, test := range map[string]struct {
		first, second func(b *fixture) error
		want          payments.Resolution
		status        payrelayv1.OrderStatus
	}{
		"discarded first": {discard, accept, payments.Discarded, orderSuccess},
		"accepted first":  {accept, discard, payments.Accepted, orderFailed},
		"accepted twice":  {accept, accept, payments.Accepted, orderFailed},
		"reapplied first": {func(b *fixture) error {
			_, err := b.Apply(t.Context(), []*payrelayv1.Update{order("e20", 20, orderReversed)})
			return err
		}, discard, payments.Reapplied, orderReversed},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			b.apply(first...)
			b.store.beforeCommit = func() error { b.store.beforeCommit = nil; return test.first(b) }
			if err := test.second(b); !errors.Is(err, payments.ErrSettled) {
				t.Errorf("error %v, want ErrSettled", err)
			}
			b.wantSettled(test.want)
			b.wantOrder(test.status)
			if e := b.store.events[orderKey("e30")]; e.Discarded != (test.want == payments.Discarded) || e.Forced != (test.want == payments.Accepted) {
				t.Errorf("event %+v", e)
			}
		})
	}
}

func TestOperationsPassOnTheStoresErrors(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderSuccess), order("e2", 1, orderFailed))
	for name, store := range map[string]payments.Store{
		"dead letter": failingStore{Store: b.store, letter: true},
		"load":        failingStore{Store: b.store, load: true},
		"history":     failingStore{Store: b.store, history: true},
	} {
		ledger := payments.NewLedger(store)
		outcome, err := ledger.Accept(t.Context(), 1, "ann", "")
		if !errors.Is(err, errBroken) || outcome != nil {
			t.Errorf("%s: Accept = %v, %v, want the store's error", name, outcome, err)
		}
		if err := ledger.Discard(t.Context(), 1, "ann", ""); !errors.Is(err, errBroken) {
			t.Errorf("%s: Discard = %v, want the store's error", name, err)
		}
	}
	b.wantOpen(1)
}

// racingOperator is a store on which another operator acts after the ledger has read
// the versions, and before it reads the history.
type racingOperator struct {
	payments.Store
	act func()
}

func (h *racingOperator) now() {
	if act := h.act; act != nil {
		h.act = nil
		act()
	}
}

func (h *racingOperator) History(ctx context.Context, of payments.Subjects, limit int) (*payments.Histories, error) {
	h.now()
	return h.Store.History(ctx, of, limit)
}

func (h *racingOperator) HistoryPage(ctx context.Context, of payments.Subject, from time.Time, limit int) (*payments.HistoryPage, error) {
	h.now()
	return h.Store.HistoryPage(ctx, of, from, limit)
}

func TestAcceptAfterAnotherOperatorHasDiscarded(t *testing.T) {
	for name, whole := range map[string]int{"short history": 512, "long history": 1} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			b.apply(order("e1", 0, orderSuccess), order("e2", 1, orderFailed), order("e3", 2, orderUpdated))
			b.useStore(&racingOperator{Store: b.store, act: func() {
				other := payments.NewLedgerAt(b.store, func() time.Time { return b.now })
				if err := other.Discard(t.Context(), 1, "bob", "it is not real"); err != nil {
					t.Error(err)
				}
			}})
			b.Limit(whole, 8, 8, 64)
			if _, err := b.Accept(t.Context(), 1, "ann", "it is real"); !errors.Is(err, payments.ErrSettled) {
				t.Errorf("Accept = %v, want ErrSettled", err)
			}
			b.wantSettled(payments.Discarded)
		})
	}
}

// operatorStore is a store that calls happens after dead letters were read for the
// second time: after the versions, and before the history.
type operatorStore struct {
	*memory
	reads   int
	happens func()
}

func (m *operatorStore) DeadLettersWith(ctx context.Context, ids []int64) ([]*payments.DeadLetter, error) {
	letters, err := m.memory.DeadLettersWith(ctx, ids)
	if m.reads++; m.reads == 2 {
		m.happens()
	}
	return letters, err
}

// The second operator gets ErrSettled, even if there is nothing to write after the
// decision of the first.
func TestAnotherOperatorDecidesMeanwhile(t *testing.T) {
	for name, happens := range map[string]func(*fixture){
		"discard": func(b *fixture) { b.discard(1) },
		"accept":  func(b *fixture) { b.accept(1) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			b.apply(order("e1", 1, orderSuccess), order("e2", 2, orderFailed))
			store := &operatorStore{memory: b.store, happens: func() { happens(b) }}
			second := payments.NewLedgerAt(store, func() time.Time { return b.now })
			if _, err := second.Accept(t.Context(), 1, "bob", ""); !errors.Is(err, payments.ErrSettled) {
				t.Errorf("Accept = %v, want ErrSettled", err)
			}
		})
	}
}
