package payments_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func (b *bench) replay(id int64) *payrelayv1.Outcome {
	b.t.Helper()
	outcome, err := b.Replay(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return outcome
}

// letterFrom stores a dead letter of an older release, which did not know the schema of
// the update or could not decode it.
func (b *bench) letterFrom(u *payrelayv1.Update, reason payrelayv1.DeadLetterReason, digest payments.Digest) {
	b.t.Helper()
	payload, err := proto.Marshal(u)
	if err != nil {
		b.t.Fatal(err)
	}
	b.seed(&payments.Changes{DeadLetters: []*payments.DeadLetter{{
		Key: keyOf(u), Digest: digest, Reason: reason, Payload: payload, CreatedAt: noon,
	}}})
}

func (b *bench) seed(c *payments.Changes) {
	b.t.Helper()
	if err := b.store.Commit(b.t.Context(), c); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) wantOpen(n int) {
	b.t.Helper()
	if open := b.store.openLetters(); len(open) != n {
		b.t.Errorf("%d open dead letters, want %d", len(open), n)
	}
}

// wantSettled checks the resolution of the first dead letter.
func (b *bench) wantSettled(want payments.Resolution) {
	b.t.Helper()
	letter, err := b.store.DeadLetter(b.t.Context(), 1)
	if err != nil {
		b.t.Fatal(err)
	}
	if letter.Resolution != want || !letter.ResolvedAt.Equal(b.now) {
		b.t.Errorf("resolution = %q at %v, want %q at %v", letter.Resolution, letter.ResolvedAt, want, b.now)
	}
}

func TestReplayOfAFutureTimeThatHasArrived(t *testing.T) {
	b := newBench(t)
	tomorrow := func(u *payrelayv1.Update) { u.OccurredAt = timestamppb.New(today.Add(36 * time.Hour)) }
	wantOutcomes(t, b.apply(order("e1", 0, orderSuccess, tomorrow), order("e2", 0, orderCreated)),
		refused(futureTime), verdict(applied))

	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, refused(futureTime))
	b.wantOpen(1)

	b.now = today.Add(13 * time.Hour)
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, verdict(applied))
	b.wantOpen(0)
	b.wantSettled(payments.Replayed)
	wantOutcomes(t, []*payrelayv1.Outcome{b.store.recorded("e1")}, verdict(applied))
	if o := b.store.order("o1"); o.Status != orderSuccess {
		t.Errorf("status = %v, want SUCCESS", o.Status)
	}

	version := b.store.orders["o1"].version
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, verdict(applied))
	if len(b.store.events) != 2 || b.store.orders["o1"].version != version {
		t.Error("a second replay changed the store")
	}
}

// A replayed update takes its place in the history, which need not be the last one.
func TestReplayOfAFutureTimeThatIsLateNow(t *testing.T) {
	b := newBench(t)
	ahead := func(u *payrelayv1.Update) { u.OccurredAt = timestamppb.New(today.Add(25 * time.Hour)) }
	later := func(u *payrelayv1.Update) { u.OccurredAt = timestamppb.New(today.Add(26 * time.Hour)) }
	b.apply(order("e1", 0, orderUpdated, ahead, user("u1")))
	b.now = today.Add(48 * time.Hour)
	b.apply(order("e2", 0, orderSuccess, later, user("u2")))
	b.replay(1)
	if o := b.store.order("o1"); o.Status != orderSuccess || o.UserID != "u2" || !o.CreatedAt.Equal(today.Add(25*time.Hour)) {
		t.Errorf("order = %+v, want SUCCESS, user u2, created by e1", o)
	}
	wantOutcomes(t, []*payrelayv1.Outcome{b.store.recorded("e1")}, verdict(applied))
}

// The event of a status that an older release did not know is recorded, but in no
// history.
func TestReplayOfAStatusThatIsKnownNow(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderNone, providerStatus("settled")))
	stored, letter := b.store.events[payments.Key{Provider: "generic", EventID: "e1"}], b.store.openLetters()[0]
	known := order("e1", 0, orderSuccess)
	stored.Update = known
	letter.Payload = payloadOf(t, known)

	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, verdict(applied))
	b.wantOpen(0)
	b.wantSettled(payments.Replayed)
	wantOutcomes(t, []*payrelayv1.Outcome{b.store.recorded("e1")}, verdict(applied))
	if string(stored.Update.GetRawBody()) != "generic e1" || len(b.store.events) != 1 {
		t.Errorf("%d events with the body %q, want 1 event, revised", len(b.store.events), stored.Update.GetRawBody())
	}
	wantOutcomes(t, b.apply(known), verdict(duplicate))
}

func TestReplayOfAStatusThatIsStillUnknown(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderNone, providerStatus("settled")))
	commits := b.store.commits
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, refused(unknownStatus))
	b.wantOpen(1)
	if b.store.commits != commits {
		t.Errorf("%d commits by a replay that changes nothing, want 0", b.store.commits-commits)
	}
}

// The reason of a dead letter can change: the status is known now, but the dispute
// belongs to another order.
func TestReplayCanRefuseForAnotherReason(t *testing.T) {
	b := newBench(t)
	b.apply(dispute("e0", 0, disputeOpen, disputeID("d1"), of("o2")),
		dispute("e1", 0, disputeNone, disputeID("d1"), providerStatus("settled")))
	known := dispute("e1", 0, disputeWon, disputeID("d1"))
	b.store.events[payments.Key{Provider: "generic", EventID: "e1"}].Update = known
	b.store.openLetters()[0].Payload = payloadOf(t, known)

	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, refused(orderMismatch))
	wantOutcomes(t, []*payrelayv1.Outcome{b.store.recorded("e1")}, refused(orderMismatch))
	if open := b.store.openLetters(); len(open) != 1 || open[0].Reason != orderMismatch {
		t.Errorf("open dead letters = %+v, want 1 with %v", open, orderMismatch)
	}
}

// An illegal step stays illegal unless the rules change. After a change of the rules, a
// replay judges the whole history again.
func TestReplayOfAnIllegalTransition(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderSuccess), order("e2", 1, orderFailed), dispute("e3", 2, disputeOpen))
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, refused(illegal))
	b.wantOpen(1)

	// The rules of the older release refused a second success.
	b.apply(order("e4", 3, orderSuccess))
	old := b.store.events[payments.Key{Provider: "generic", EventID: "e4"}]
	old.Verdict, old.Reason = dead, illegal
	b.store.open(&payments.DeadLetter{Key: old.Key, Digest: old.Digest, Reason: illegal, Payload: payloadOf(t, old.Update)})

	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(2)}, verdict(applied))
	wantOutcomes(t, []*payrelayv1.Outcome{b.store.recorded("e4"), b.store.recorded("e2")}, verdict(applied), refused(illegal))
	if letter, _ := b.store.DeadLetter(t.Context(), 2); letter.Resolution != payments.Replayed {
		t.Errorf("resolution = %q, want %q", letter.Resolution, payments.Replayed)
	}
}

func TestReplayOfAConflict(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderCreated), order("e1", 0, orderFailed, body("second")))
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, refused(conflict))
	b.wantOpen(1)
	if o := b.store.order("o1"); o.Status != orderCreated {
		t.Errorf("status = %v, want CREATED of the first body", o.Status)
	}
}

func TestReplayOfAnUpdateThatCanBeDecodedNow(t *testing.T) {
	for _, reason := range []payrelayv1.DeadLetterReason{unknownSchema, undecodable} {
		t.Run(reason.String(), func(t *testing.T) {
			b := newBench(t)
			u := order("e1", 0, orderCreated)
			b.letterFrom(u, reason, payments.Digest{1})
			wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, verdict(applied))
			b.wantOpen(0)
			b.wantSettled(payments.Replayed)
			wantOutcomes(t, b.apply(u), verdict(duplicate))
		})
	}
}

// The update may have arrived again at a release that could decode it.
func TestReplayOfAnUndecodableUpdateThatWasRecordedSince(t *testing.T) {
	first := order("e1", 0, orderCreated)
	for name, test := range map[string]struct {
		recorded *payrelayv1.Update
		want     *payrelayv1.Outcome
		open     int
	}{
		"the same body":                 {first, verdict(duplicate), 0},
		"the same body, dead-lettered":  {proto.CloneOf(first), verdict(duplicate), 1},
		"another body":                  {order("e1", 0, orderFailed, body("other")), refused(conflict), 1},
		"another body, without history": {order("e1", 0, orderNone, providerStatus("x"), body("other")), refused(conflict), 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.letterFrom(first, unknownSchema, payments.Digest{1})
			if name == "the same body, dead-lettered" {
				b.now = noon.Add(-48 * time.Hour) // by this clock, the update is in the future
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

// An update without a body has the same digest as its dead letter, which must not be
// settled and opened in one commit.
func TestReplayThatLeavesTheSameDeadLetterOpen(t *testing.T) {
	bodyless := func(u *payrelayv1.Update) { u.RawBody, u.BodySha256 = []byte{}, nil }
	u := order("e1", 0, orderNone, providerStatus("settled"), bodyless)
	other := newBench(t)
	other.apply(u)
	digest := other.store.openLetters()[0].Digest

	b := newBench(t)
	b.letterFrom(u, unknownSchema, digest)
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, refused(unknownStatus))
	if open := b.store.openLetters(); len(open) != 1 || open[0].Reason != unknownStatus || open[0].ID != 1 {
		t.Errorf("open dead letters = %+v, want the first with %v", open, unknownStatus)
	}
}

// An update that can be decoded now and cannot be applied gets an event and a new dead
// letter.
func TestReplayOfAnUndecodableUpdateThatIsRefusedNow(t *testing.T) {
	b := newBench(t)
	b.letterFrom(order("e1", 1, orderFailed), unknownSchema, payments.Digest{1})
	b.apply(order("e0", 0, orderSuccess))
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, refused(illegal))
	b.wantSettled(payments.Replayed)
	if open := b.store.openLetters(); len(open) != 1 || open[0].Reason != illegal || open[0].Digest == (payments.Digest{1}) {
		t.Errorf("open dead letters = %+v, want a new one with %v", open, illegal)
	}
	b.apply(order("e0a", 0, orderSuccess, user("u")))
	wantOutcomes(t, []*payrelayv1.Outcome{b.store.recorded("e1")}, refused(illegal))
}

func TestReplayWithoutAnUpdateIsAnError(t *testing.T) {
	b := newBench(t)
	_, err := b.Replay(t.Context(), 1)
	if !errors.Is(err, payments.ErrNotFound) {
		t.Errorf("Replay(1) = %v, want ErrNotFound", err)
	}

	for i, value := range []string{"\xff\xff not protobuf", ""} {
		record := &payrelayv1.UndecodableRecord{Topic: "t", Offset: int64(i), Value: []byte(value)}
		if err := b.DeadLetter(t.Context(), record); err != nil {
			t.Fatal(err)
		}
	}
	b.apply(order("e1", 0, orderCreated, schema(2)))
	for id := int64(1); id <= 3; id++ {
		_, err := b.Replay(t.Context(), id)
		if err == nil || !strings.Contains(err.Error(), "discard it") {
			t.Errorf("Replay(%d) = %v, want an error with the advice to discard it", id, err)
		}
	}
	b.wantOpen(3)
}

func TestReplayReturnsTheErrorsOfTheStore(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderSuccess), order("e2", 1, orderFailed))
	for name, store := range map[string]payments.Store{
		"dead letter": broken{Store: b.store, letter: true},
		"load":        broken{Store: b.store, load: true},
		"history":     broken{Store: b.store, history: true},
	} {
		outcome, err := payments.NewLedger(store).Replay(t.Context(), 1)
		if !errors.Is(err, errBroken) || outcome != nil {
			t.Errorf("Replay(1) with a broken %s = %v, %v, want errBroken", name, outcome, err)
		}
	}
}

func TestReplayIsJudgedAgainAfterARace(t *testing.T) {
	b := newBench(t)
	ahead := func(u *payrelayv1.Update) { u.OccurredAt = timestamppb.New(today.Add(25 * time.Hour)) }
	later := func(u *payrelayv1.Update) { u.OccurredAt = timestamppb.New(today.Add(26 * time.Hour)) }
	b.apply(order("e1", 0, orderFailed, ahead))
	b.now = today.Add(48 * time.Hour)
	b.store.beforeCommit = func() error {
		b.store.beforeCommit = nil
		b.apply(order("e2", 0, orderSuccess, later))
		return nil
	}
	wantOutcomes(t, []*payrelayv1.Outcome{b.replay(1)}, verdict(applied))
	wantOutcomes(t, []*payrelayv1.Outcome{b.store.recorded("e1"), b.store.recorded("e2")}, verdict(applied), refused(illegal))
	if o := b.store.order("o1"); o.Status != orderFailed {
		t.Errorf("status = %v, want FAILED", o.Status)
	}
}

// payloadOf returns the payload that the ledger writes for an event: without the body.
func payloadOf(t *testing.T, u *payrelayv1.Update) []byte {
	t.Helper()
	bare := proto.CloneOf(u)
	bare.RawBody, bare.BodySha256 = nil, nil
	data, err := proto.Marshal(bare)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
