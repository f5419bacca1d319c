package payments_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
)

func TestReplayOfAFutureTimeOnceItHasCome(t *testing.T) {
	b := newFixture(t)
	wantOutcomes(t, b.apply(order("e1", 0, orderSuccess, ahead(36)), order("e2", 0, orderCreated)),
		refused(futureTime), verdict(applied))

	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, refused(futureTime))
	b.wantOpen(1)

	b.now = today.Add(13 * time.Hour)
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, verdict(applied))
	b.wantOpen(0)
	b.wantSettled(payments.Replayed)
	if letter, _ := b.store.DeadLetter(t.Context(), 1); letter.By != "ann" || letter.Why != "try again" {
		t.Errorf("replayed by %q because %q, want ann", letter.By, letter.Why)
	}
	wantOutcomes(t, []*payrelayv1.Outcome{b.store.recorded("e1")}, verdict(applied))
	b.wantOrder(orderSuccess)

	version := b.store.orders["o1"].Version
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, verdict(applied))
	if len(b.store.events) != 2 || b.store.orders["o1"].Version != version {
		t.Error("a second replay wrote something")
	}
}

// Judge returns the verdict of a replay and writes nothing.
func TestJudge(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderSuccess, ahead(36)), order("e2", 0, orderCreated))
	commits := b.store.commits
	judge := func() *payrelayv1.Outcome {
		t.Helper()
		outcome, err := b.Judge(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		return outcome
	}
	wantOutcomes(t, []*payrelayv1.Outcome{judge()}, refused(futureTime))
	b.now = today.Add(13 * time.Hour)
	wantOutcomes(t, []*payrelayv1.Outcome{judge()}, verdict(applied))
	if b.store.commits != commits {
		t.Error("Judge() wrote something")
	}
	b.wantOpen(1)
	b.wantOrder(orderCreated)
	if _, err := b.Judge(t.Context(), 2); !errors.Is(err, payments.ErrNotFound) {
		t.Errorf("Judge(2) = %v, want ErrNotFound", err)
	}
	b.discard(1)
	if _, err := b.Judge(t.Context(), 1); !errors.Is(err, payments.ErrSettled) {
		t.Errorf("Judge() of a discarded dead letter = %v, want ErrSettled", err)
	}
}

// A replayed update takes its own position in the history, not the last one.
func TestReplayOfAFutureTimeThatIsLateByNow(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderUpdated, ahead(25), user("u1")))
	b.now = today.Add(48 * time.Hour)
	b.apply(order("e2", 0, orderSuccess, ahead(26), user("u2")))
	b.replay(1)
	if o := b.store.order("o1"); o.Status != orderSuccess || o.UserID != "u2" || !o.CreatedAt.Equal(today.Add(25*time.Hour)) {
		t.Errorf("order %+v", o)
	}
	wantOutcomes(t, []*payrelayv1.Outcome{b.store.recorded("e1")}, verdict(applied))
}

// An older release recorded an event with a status that it did not know, outside of the
// history. A newer release replays it.
func TestReplayOfAStatusThatIsKnownByNow(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderNone, providerStatus("settled")))
	stored, letter := b.store.events[orderKey("e1")], b.store.openLetters()[0]
	known := order("e1", 0, orderSuccess)
	stored.Update = known
	letter.Payload = payloadOf(t, known)

	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, verdict(applied))
	b.wantOpen(0)
	b.wantSettled(payments.Replayed)
	wantOutcomes(t, []*payrelayv1.Outcome{b.store.recorded("e1")}, verdict(applied))
	if string(stored.Update.GetRawBody()) != "generic e1" || len(b.store.events) != 1 {
		t.Error("the event was written again instead of revised")
	}
	b.wantOrder(orderSuccess)
	wantOutcomes(t, b.apply(order("e1", 0, orderNone, providerStatus("settled"))), verdict(duplicate))
}

func TestReplayOfAStatusThatIsStillUnknown(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderNone, providerStatus("settled")))
	before := b.store.dump()
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, refused(unknownStatus))
	b.wantOpen(1)
	b.store.audit = nil
	wantLines(t, "after the replay, without its audit entry", b.store.dump(), before)
}

// The reason of a dead letter may change: the status is known now, but the dispute belongs
// to another order.
func TestReplayCanRefuseForAnotherReason(t *testing.T) {
	b := newFixture(t)
	b.apply(dispute("e0", 0, disputeOpen, disputeID("d1"), of("o2")),
		dispute("e1", 0, disputeNone, disputeID("d1"), providerStatus("settled")))
	known := dispute("e1", 0, disputeWon, disputeID("d1"))
	b.store.events[keyOf(known)].Update = known
	b.store.openLetters()[0].Payload = payloadOf(t, known)

	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, refused(orderMismatch))
	wantOutcomes(t, []*payrelayv1.Outcome{b.store.recorded("e1")}, refused(orderMismatch))
	if open := b.store.openLetters(); len(open) != 1 || open[0].Reason != orderMismatch {
		t.Errorf("open dead letters %+v", open)
	}
}

// A replay does not change a contradiction under the same rules. If older rules refused
// the update, the whole history is judged again.
func TestReplayOfAContradiction(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderSuccess), order("e2", 1, orderFailed), dispute("e3", 2, disputeOpen))
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, refused(contradiction))
	b.wantOpen(1)

	// The older rules also refused a second success.
	b.apply(order("e4", 3, orderSuccess))
	old := b.store.events[orderKey("e4")]
	old.Verdict, old.Reason = dead, illegal
	b.store.open(&payments.DeadLetter{Key: old.Key, Digest: old.Facts, Reason: illegal, Payload: payloadOf(t, old.Update)})

	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(2)}, verdict(applied))
	wantOutcomes(t, []*payrelayv1.Outcome{b.store.recorded("e4"), b.store.recorded("e2")}, verdict(applied), refused(contradiction))
	if letter, _ := b.store.DeadLetter(t.Context(), 2); letter.Resolution != payments.Replayed {
		t.Errorf("settled %q, want %q", letter.Resolution, payments.Replayed)
	}
}

func TestReplayOfAConflict(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderCreated), order("e1", 0, orderFailed))
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, refused(conflict))
	b.wantOpen(1)
	b.wantOrder(orderCreated) // the first one is kept
}

func TestReplayOfAnUpdateThatCanBeReadByNow(t *testing.T) {
	for _, reason := range []payrelayv1.DeadLetterReason{unknownSchema, undecodable} {
		t.Run(reason.String(), func(t *testing.T) {
			b := newFixture(t)
			u := order("e1", 0, orderCreated)
			b.letterFrom(u, reason, payments.Digest{1})
			wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, verdict(applied))
			b.wantOpen(0)
			b.wantSettled(payments.Replayed)
			wantOutcomes(t, b.apply(u), verdict(duplicate))
		})
	}
}

// The update may have been recorded meanwhile by a release that can read it.
func TestReplayOfAnUnreadableUpdateThatWasRecordedMeanwhile(t *testing.T) {
	first := order("e1", 0, orderCreated)
	for name, test := range map[string]struct {
		recorded *payrelayv1.Update
		want     *payrelayv1.Outcome
		open     int
	}{
		"the same facts":                {first, verdict(duplicate), 0},
		"the same facts, dead-lettered": {proto.CloneOf(first), verdict(duplicate), 1},
		"other facts":                   {order("e1", 0, orderFailed, body("other")), refused(conflict), 1},
		"other facts, without history":  {order("e1", 0, orderNone, providerStatus("x"), body("other")), refused(conflict), 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			b.letterFrom(first, unknownSchema, payments.Digest{1})
			if name == "the same facts, dead-lettered" {
				b.now = noon.Add(-48 * time.Hour) // by this clock it is in the future
			}
			b.apply(test.recorded)
			b.now = today
			wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, test.want)
			b.wantSettled(payments.Replayed)
			b.wantOpen(test.open)
			if len(b.store.events) != 1 {
				t.Errorf("%d events, want 1", len(b.store.events))
			}
		})
	}
}

// If the update has the digest of its dead letter, the dead letter must not be settled and
// opened in one commit.
func TestReplayThatLeavesTheSameDeadLetterOpen(t *testing.T) {
	bodyless := func(u *payrelayv1.Update) { u.RawBody, u.BodySha256 = []byte{}, nil }
	u := order("e1", 0, orderNone, providerStatus("settled"), bodyless)
	twin := newFixture(t)
	twin.apply(u)
	digest := twin.store.openLetters()[0].Digest

	b := newFixture(t)
	b.letterFrom(u, unknownSchema, digest)
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, refused(unknownStatus))
	if open := b.store.openLetters(); len(open) != 1 || open[0].Reason != unknownStatus || open[0].ID != 1 {
		t.Errorf("open dead letters %+v, want the first with its new reason", open)
	}
}

// An update that is readable now but cannot be applied becomes an event with a new dead
// letter.
func TestReplayOfAnUnreadableUpdateThatIsRefusedNow(t *testing.T) {
	b := newFixture(t)
	b.letterFrom(order("e1", 1, orderFailed), unknownSchema, payments.Digest{1})
	b.apply(order("e0", 0, orderSuccess))
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, refused(contradiction))
	b.wantSettled(payments.Replayed)
	if open := b.store.openLetters(); len(open) != 1 || open[0].Reason != contradiction || open[0].Digest == (payments.Digest{1}) {
		t.Errorf("open dead letters %+v", open)
	}
	b.apply(order("e0a", 0, orderSuccess, user("u")))
	wantOutcomes(t, []*payrelayv1.Outcome{b.store.recorded("e1")}, refused(contradiction))
}

func TestReplayIsRefusedWhereThereIsNothingToJudge(t *testing.T) {
	b := newFixture(t)
	_, err := b.Replay(t.Context(), 1, "ann", "")
	if !errors.Is(err, payments.ErrNotFound) {
		t.Errorf("error %v, want ErrNotFound", err)
	}

	for i, value := range []string{"\xff\xff not protobuf", ""} {
		record := &payrelayv1.UndecodableRecord{Topic: "t", Offset: int64(i), Value: []byte(value)}
		if err := b.DeadLetter(t.Context(), record); err != nil {
			t.Fatal(err)
		}
	}
	b.apply(order("e1", 0, orderCreated, schema(2)))
	for id := int64(1); id <= 3; id++ {
		_, err := b.Replay(t.Context(), id, "ann", "")
		if err == nil || !strings.Contains(err.Error(), "discard it") {
			t.Errorf("dead letter %d: error %v, want one that says how to settle it", id, err)
		}
	}
	b.wantOpen(3)
}

func TestReplayPassesOnTheStoresErrors(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderSuccess), order("e2", 1, orderFailed))
	for name, store := range map[string]payments.Store{
		"dead letter": failingStore{Store: b.store, letter: true},
		"load":        failingStore{Store: b.store, load: true},
		"history":     failingStore{Store: b.store, history: true},
	} {
		outcome, err := payments.NewLedger(store).Replay(t.Context(), 1, "ann", "")
		if !errors.Is(err, errBroken) || outcome != nil {
			t.Errorf("%s: got %v and error %v, want the store's error", name, outcome, err)
		}
	}
}

func TestReplayIsJudgedAgainAfterARace(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderSuccess, ahead(25)))
	b.now = today.Add(48 * time.Hour)
	b.store.beforeCommit = func() error {
		b.store.beforeCommit = nil
		b.apply(order("e2", 0, orderFailed, ahead(26)))
		return nil
	}
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, verdict(applied))
	wantOutcomes(t, []*payrelayv1.Outcome{b.store.recorded("e1"), b.store.recorded("e2")}, verdict(applied), refused(contradiction))
	b.wantOrder(orderSuccess)
}

// payloadOf returns the payload of a dead letter as the ledger writes it, without the body.
func payloadOf(t testing.TB, u *payrelayv1.Update) []byte {
	t.Helper()
	bare := proto.CloneOf(u)
	bare.RawBody, bare.BodySha256 = nil, nil
	data, err := proto.Marshal(bare)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
