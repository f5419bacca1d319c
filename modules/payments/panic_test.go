package payments_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
)

// panicAt makes the folds of the updates of user "mallory" panic until the test ends or
// the returned function is called.
func panicAt(t *testing.T, value any) (restore func()) {
	restore = payments.PanicAt(func(u *payrelayv1.Update) any {
		if u.GetUserId() == "mallory" {
			return value
		}
		return nil
	})
	t.Cleanup(restore)
	return restore
}

// reported returns the panics that a ledger reports.
func (b *fixture) reported() *[]payments.Panic {
	panics := new([]payments.Panic)
	b.OnPanic(func(p payments.Panic) { *panics = append(*panics, p) })
	return panics
}

// wantOracleResultApart is wantOracleResult for a store whose only other open dead letter
// is that of the event "bad".
func wantOracleResultApart(t *testing.T, m *memory, updates []*payrelayv1.Update) {
	t.Helper()
	for _, letter := range m.openLetters() {
		if stored := m.letters[letterName{letter.Key, letter.Digest}]; letter.Key.EventID == "bad" {
			stored.Resolution = payments.Discarded
			defer func() { stored.Resolution = "" }()
		}
	}
	wantOracleResult(t, m, updates)
}

// mixedBatch returns updates of two orders and a dispute, some of them late, with the bad
// one at index 5, in the middle of the updates of its order.
func mixedBatch(bad *payrelayv1.Update) []*payrelayv1.Update {
	return []*payrelayv1.Update{
		order("e1", 1, orderCreated), dispute("d1", 5, disputeOpen, disputeID("d")), order("e2", 3, orderSuccess, amount(100, "USD")),
		order("f1", 9, orderUpdated, of("o2")), order("f2", 8, orderCreated, of("o2")), bad,
		order("e4", 2, orderUpdated), dispute("d2", 6, disputeWon, disputeID("d")), order("e5", 10, orderReversed),
	}
}

// An update whose fold panics is a dead letter. The others of its batch are applied as if
// it had not been there, also after a restart, when the whole batch arrives again.
func TestAnUpdateThatPanicsIsADeadLetter(t *testing.T) {
	for name, bad := range map[string]*payrelayv1.Update{
		"newest":        order("bad", 4, orderUpdated, user("mallory")),
		"late":          order("bad", 0, orderUpdated, user("mallory")),
		"of a dispute":  dispute("bad", 6, disputeReview, disputeID("d"), user("mallory")),
		"of its own":    order("bad", 0, orderCreated, of("o3"), user("mallory")),
		"has no fields": {Provider: "generic", EventId: "bad", UserId: "mallory", OrderId: "o1", Subject: (*payrelayv1.Update_Order)(nil)},
	} {
		t.Run(name, func(t *testing.T) {
			restore := panicAt(t, errors.New("no room for 4242 4242-42424242 and 4111111111111111"))
			b, good := newFixture(t), newFixture(t)
			panics := b.reported()
			batch := mixedBatch(bad)
			others := slices.Delete(slices.Clone(batch), 5, 6)
			for run := range int64(2) {
				outcomes, want := b.apply(batch...), slices.Insert(good.apply(others...), 5, refused(undecodable))
				if run > 0 {
					wantOutcomes(t, outcomes, want...)
				} else if !proto.Equal(outcomes[5], want[5]) {
					t.Errorf("outcome = %v, want %v", outcomes[5], want[5])
				}
				if len(*panics) != 1 {
					t.Fatalf("%d panics are reported, want 1", len(*panics))
				}
				wantPanic(t, (*panics)[0], b.store, run+1)
				b.useStore(b.store) // a restart
				panics = b.reported()
			}
			wantOracleResultApart(t, b.store, others)
			wantOracleResult(t, good.store, others)
			if name == "has no fields" {
				return // no release can apply it
			}
			for _, judge := range []func() error{
				func() error { _, err := b.Judge(t.Context(), 1); return err },
				func() error { _, err := b.Replay(t.Context(), 1, "ann", "again"); return err },
				func() error { _, err := b.Accept(t.Context(), 1, "ann", "again"); return err },
			} {
				if err := judge(); !errors.Is(err, payments.ErrPanic) {
					t.Errorf("judging the dead letter = %v, want ErrPanic", err)
				}
			}
			b.wantOpen(1)
			restore() // the next release has no defect
			b.replay(1)
			b.wantSettled(payments.Replayed)
			wantOracleResult(t, b.store, batch)
		})
	}
}

// wantPanic checks a panic at the update "bad" and its dead letter, which holds the whole
// update.
func wantPanic(t *testing.T, p payments.Panic, store *memory, deliveries int64) {
	t.Helper()
	open := store.openLetters()
	if len(open) != 1 || open[0].Deliveries != deliveries || open[0].Reason != undecodable || open[0].Key != p.Key || p.Key.EventID != "bad" {
		t.Fatalf("panic of %v, open dead letters = %+v, want one of event bad with %d deliveries", p.Key, open, deliveries)
	}
	if !strings.Contains(open[0].Detail, p.Text) || strings.Contains(p.Text, "4242") || strings.Contains(p.Text, "111") {
		t.Errorf("detail %q and text %q, want the text without the numbers", open[0].Detail, p.Text)
	}
	kept := new(payrelayv1.Update)
	if err := proto.Unmarshal(open[0].Payload, kept); err != nil || kept.GetEventId() != "bad" || kept.GetUserId() != "mallory" {
		t.Errorf("payload = %v, %v, want the whole update", kept, err)
	}
	if stack := string(p.Stack); !strings.Contains(stack, "payments.") || strings.Contains(stack, "4242") {
		t.Errorf("stack = %s", stack)
	}
}

// A dead letter of a panic can be discarded without being judged.
func TestDiscardOfAnUpdateThatPanics(t *testing.T) {
	panicAt(t, "a defect")
	b := newFixture(t)
	b.apply(order("bad", 1, orderUpdated, user("mallory")))
	b.discard(1)
	b.wantSettled(payments.Discarded)
}

// A failure of the store while the dead letter is written is an error, and nothing is
// reported before the dead letter is recorded.
func TestTheDeadLetterOfAPanicMustBeStored(t *testing.T) {
	panicAt(t, "a defect")
	b := newFixture(t)
	panics := b.reported()
	b.store.beforeCommit = func() error { return errBroken }
	bad := order("bad", 1, orderUpdated, user("mallory"))
	if _, err := b.Apply(t.Context(), []*payrelayv1.Update{bad}); !errors.Is(err, errBroken) || len(*panics) != 0 {
		t.Errorf("Apply() = %v with %d reports, want the store's error and none", err, len(*panics))
	}
	b.store.beforeCommit = nil
	wantOutcomes(t, b.apply(bad), refused(undecodable))
	b.wantOpen(1)
	if len(*panics) != 1 {
		t.Errorf("%d panics are reported, want 1", len(*panics))
	}
}

// A panic in the store is not recovered: its connection may be within a transaction.
func TestAPanicOfTheStoreIsNotRecovered(t *testing.T) {
	b := newFixture(t)
	b.store.beforeCommit = func() error { panic("the store is broken") }
	defer func() {
		if p := recover(); p != "the store is broken" {
			t.Errorf("recover() = %v, want the panic of the store", p)
		}
		b.store.beforeCommit = nil
		b.wantOpen(0)
	}()
	b.apply(order("e1", 1, orderCreated))
}

// In a long history, an old event whose fold panics makes dead letters of the late updates
// before it, and of nothing else.
func TestAPanicInALongHistory(t *testing.T) {
	b := newFixture(t)
	b.Limit(16, 8, 16, 32)
	updates := longOrder(b, 200)
	odd := order("odd", 101, orderUpdated, user("mallory"))
	b.apply(odd)
	restore := panicAt(t, "a defect")
	panics := b.reported()
	late := []*payrelayv1.Update{
		order("late1", 99, orderUpdated, partOf("p9"), captured(5, "USD")), order("late2", 301, orderUpdated), order("new", 500, orderUpdated),
		order("other", 1, orderCreated, of("o2")),
	}
	outcomes := b.apply(late...)
	wantOutcomes(t, outcomes[:1], refused(undecodable))
	wantOutcomes(t, outcomes[2:], verdict(applied), verdict(applied))
	b.wantOpen(1)
	if len(*panics) != 1 || (*panics)[0].Key.EventID != "late1" {
		t.Errorf("panics = %+v, want one at late1", *panics)
	}
	restore()
	b.replay(1)
	wantOracleResult(t, b.store, append(append(updates, odd), late...))
}

// If the panic is in the rest of a fold that is pending after a commit, the update is
// recorded. The next update of the order is a dead letter until the defect is fixed.
func TestAPanicInAPendingFold(t *testing.T) {
	b := newFixture(t)
	b.Limit(16, 8, 16, 32)
	updates := longOrder(b, 500)
	odd := order("odd", 901, orderUpdated, user("mallory"))
	b.apply(odd)
	restore := panicAt(t, "a defect")
	panics := b.reported()
	late := order("late", 1, orderUpdated, partOf("p9"), captured(5, "USD"))
	wantOutcomes(t, b.apply(late), verdict(applied))
	if len(*panics) != 1 || (*panics)[0].Key != (payments.Key{}) || len((*panics)[0].Stack) == 0 {
		t.Errorf("panics = %+v, want one without a key", *panics)
	}
	b.wantOpen(0)
	next, other := order("next", 2000, orderUpdated), order("other", 1, orderCreated, of("o2"))
	wantOutcomes(t, b.apply(next, other), refused(undecodable), verdict(applied))
	restore()
	b.replay(1)
	wantOracleResult(t, b.store, append(updates, odd, late, next, other))
}

func TestTextOfAPanic(t *testing.T) {
	var none map[string]int
	for want, value := range map[string]any{
		"assignment to entry in nil map":              func() { none["4242424242424242"] = 1 },
		"index out of range [5] with length 0":        func() { _ = []int{}[len(mixedBatch(nil))-4] },
		"no card [number], no account [number], 2026": "no card 4242 4242 4242 4242, no account 1234567890123456789, 2026",
		"broken: [number]":                            fmt.Errorf("broken: %w", errors.New("4111-1111-1111-1111")),
		"a value of type *payrelayv1.Update":          order("e1", 1, orderCreated),
		"a value of type time.Duration":               time.Second,
	} {
		if got := payments.PanicText(value); !strings.HasSuffix(got, want) {
			t.Errorf("text of the panic = %q, want %q", got, want)
		}
	}
}
