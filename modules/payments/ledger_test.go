package payments_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// bench is a ledger with a model of a store and a clock that the test can set.
type bench struct {
	*payments.Ledger
	store *memory
	now   time.Time
	t     testing.TB
}

func newBench(t testing.TB) *bench {
	b := &bench{store: newMemory(t), now: today, t: t}
	b.Ledger = payments.NewLedgerAt(b.store, func() time.Time { return b.now })
	return b
}

// apply applies a batch, which must succeed.
func (b *bench) apply(updates ...*payrelayv1.Update) []*payrelayv1.Outcome {
	b.t.Helper()
	outcomes, err := b.Apply(b.t.Context(), updates)
	if err != nil {
		b.t.Fatal(err)
	}
	return outcomes
}

func TestEveryUpdateOfABatchGetsItsOwnVerdict(t *testing.T) {
	b := newBench(t)
	b.apply(order("known", 0, orderCreated), dispute("owner", 0, disputeOpen, disputeID("d1")))

	future := timestamppb.New(today.Add(24*time.Hour + time.Microsecond))
	got := b.apply(
		order("new", 1, orderUpdated),
		order("known", 0, orderCreated),
		order("known", 0, orderCreated, body("another body")),
		order("word", 2, orderNone, providerStatus("chargeback_pending")),
		order("number", 2, payrelayv1.OrderStatus(99)),
		order("ahead", 0, orderUpdated, func(u *payrelayv1.Update) { u.OccurredAt = future }),
		order("newer", 2, orderCreated, schema(2)),
		order("", 2, orderCreated),
		nil,
		order("back", 3, orderCreated),
		dispute("thief", 1, disputeOpen, of("o2"), disputeID("d1")),
		order("last", 4, orderSuccess),
	)
	wantOutcomes(t, got,
		verdict(applied), verdict(duplicate), refused(conflict), refused(unknownStatus), refused(unknownStatus),
		refused(futureTime), refused(unknownSchema), refused(undecodable), refused(undecodable),
		refused(illegal), refused(orderMismatch), verdict(applied))
	if status := b.store.order("o1").Status; status != orderSuccess {
		t.Errorf("status = %v, want SUCCESS of the last update", status)
	}
	if open := b.store.openLetters(); len(open) != 9 {
		t.Errorf("%d open dead letters, want 9", len(open))
	}
	if len(b.store.events) != 9 { // 2 updates before and 12 now, 5 of them without an event
		t.Errorf("%d events, want 9", len(b.store.events))
	}
	if b.store.orders["o2"] != nil {
		t.Error("order o2 exists, want none for a refused dispute")
	}
}

func TestExactlyADayAheadIsNotTheFuture(t *testing.T) {
	b := newBench(t)
	limit := func(u *payrelayv1.Update) { u.OccurredAt = timestamppb.New(today.Add(24 * time.Hour)) }
	wantOutcomes(t, b.apply(order("e1", 0, orderCreated, limit)), verdict(applied))
}

func TestRepeatsWithinOneBatch(t *testing.T) {
	b := newBench(t)
	good, other := order("e1", 0, orderCreated), order("e1", 0, orderCreated, body("other"))
	bad := order("", 0, orderCreated)
	later := proto.CloneOf(bad)
	later.ReceivedAt = timestamppb.New(today.Add(time.Second))

	got := b.apply(good, good, other, other, bad, later)
	wantOutcomes(t, got, verdict(applied), verdict(duplicate), refused(conflict), refused(conflict),
		refused(undecodable), refused(undecodable))
	if len(b.store.events) != 1 || len(b.store.openLetters()) != 2 {
		t.Errorf("%d events and %d dead letters, want 1 and 2", len(b.store.events), len(b.store.openLetters()))
	}

	wantOutcomes(t, b.apply(good, other, bad), verdict(duplicate), refused(conflict), refused(undecodable))
	if len(b.store.events) != 1 || len(b.store.openLetters()) != 2 {
		t.Errorf("after a resend: %d events and %d dead letters, want 1 and 2",
			len(b.store.events), len(b.store.openLetters()))
	}
}

func TestDuplicatesWriteNothing(t *testing.T) {
	b := newBench(t)
	u := order("e1", 0, orderCreated)
	b.apply(u)
	again := proto.CloneOf(u)
	again.ReceivedAt = timestamppb.New(today.Add(time.Minute))
	wantOutcomes(t, b.apply(again, u), verdict(duplicate), verdict(duplicate))
	if b.store.commits != 1 || b.store.orders["o1"].version != 1 {
		t.Errorf("%d commits, version %d after duplicates, want 1 and 1", b.store.commits, b.store.orders["o1"].version)
	}
	wantOutcomes(t, b.apply())
}

// Updates without a body are compared by their content, also if a caller sends the
// digest of the empty body.
func TestUpdatesWithoutABodyAreComparedByTheirContent(t *testing.T) {
	empty := func(u *payrelayv1.Update) { u.RawBody, u.BodySha256 = []byte{}, nil }
	for name, bodyless := range map[string]change{"no digest": empty, "digest of nothing": body("")} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			first := order("e1", 0, orderCreated, bodyless)
			b.apply(first)
			again := proto.CloneOf(first)
			again.ReceivedAt = timestamppb.New(today.Add(time.Minute))
			got := b.apply(again, order("e1", 0, orderFailed, bodyless))
			wantOutcomes(t, got, verdict(duplicate), refused(conflict))
		})
	}
}

func TestTheLedgerComputesAMissingDigest(t *testing.T) {
	b := newBench(t)
	hashed := order("e1", 0, orderCreated)
	plain := proto.CloneOf(hashed)
	plain.BodySha256 = nil
	wantOutcomes(t, b.apply(plain), verdict(applied))
	wantOutcomes(t, b.apply(hashed), verdict(duplicate))
}

func TestUpdatesAreNotModified(t *testing.T) {
	b := newBench(t)
	u := order("e1", 0, orderCreated, func(u *payrelayv1.Update) { u.OccurredAt = &timestamppb.Timestamp{Seconds: 1, Nanos: 1999} })
	before := proto.CloneOf(u)
	late := order("e0", 1, orderFailed)
	b.apply(late, u, u)
	if !proto.Equal(u, before) {
		t.Errorf("the caller's update became %v", u)
	}
	if got := b.store.order("o1").CreatedAt; got.Nanosecond() != 1000 {
		t.Errorf("created at %v: finer than microseconds", got)
	}
}

func TestAnEventKeepsItsBodyAndItsDeadLetterDoesNotRepeatIt(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderSuccess), order("e2", 1, orderFailed, body("the body")))
	event := b.store.events[payments.Key{Provider: "generic", EventID: "e2"}]
	if string(event.Update.GetRawBody()) != "the body" || !event.RecordedAt.Equal(today) {
		t.Errorf("stored body %q at %v", event.Update.GetRawBody(), event.RecordedAt)
	}
	letter := b.store.openLetters()[0]
	if letter.OrderID != "o1" || letter.DisputeID != "" || letter.Detail == "" || !letter.CreatedAt.Equal(today) {
		t.Errorf("dead letter %+v", letter)
	}
	if letter.Digest != event.Digest || bytes.Contains(letter.Payload, []byte("the body")) {
		t.Error("the dead letter repeats the body or is not the event's")
	}
}

func TestAConflictKeepsTheSecondBodyWhole(t *testing.T) {
	b := newBench(t)
	second := dispute("e1", 0, disputeOpen, disputeID("d7"), body("second"))
	b.apply(order("e1", 0, orderCreated, body("first")), second)
	letter := b.store.openLetters()[0]
	kept := new(payrelayv1.Update)
	if err := proto.Unmarshal(letter.Payload, kept); err != nil || !proto.Equal(kept, second) {
		t.Errorf("kept %v (%v), want %v", kept, err, second)
	}
	if letter.DisputeID != "d7" || letter.Reason != conflict {
		t.Errorf("dead letter %+v", letter)
	}
}

// Text that is not UTF-8 cannot be marshalled. An update with such text, built in this
// process, becomes a dead letter with its body.
func TestUpdatesWithInvalidTextBecomeDeadLetters(t *testing.T) {
	b := newBench(t)
	got := b.apply(
		order("\xff", 0, orderCreated, body("one")),
		order("\xff", 0, orderCreated, body("two")),
		order("ok", 0, orderCreated, schema(9), user("\xff"), body("three")),
	)
	wantOutcomes(t, got, refused(undecodable), refused(undecodable), refused(unknownSchema))
	open := b.store.openLetters()
	if len(open) != 3 {
		t.Fatalf("%d dead letters, want 3", len(open))
	}
	for i, want := range []string{"one", "two", "three"} {
		if !bytes.Contains(open[i].Payload, []byte(want)) {
			t.Errorf("payload of dead letter %d = %q, want it to contain the body %q", i, open[i].Payload, want)
		}
	}
}

// A dead letter leaves out a key that a store cannot keep. The payload contains it.
func TestDeadLettersHaveStorableKeys(t *testing.T) {
	b := newBench(t)
	long := strings.Repeat("x", payments.MaxIDBytes+1)
	b.apply(order("e1", 0, orderCreated, of("")), order(long, 0, orderCreated), order("e\x00", 0, orderCreated), order("e2", 0, orderCreated, from(long)))
	want := []payments.Key{{Provider: "generic", EventID: "e1"}, {}, {}, {}}
	for i, letter := range b.store.openLetters() {
		if letter.Key != want[i] || letter.Detail == "" || len(letter.Payload) == 0 {
			t.Errorf("dead letter %d = %+v, want the key %v", i, letter, want[i])
		}
	}
	b.wantOpen(len(want))
}

func TestUndecodableRecords(t *testing.T) {
	b := newBench(t)
	record := &payrelayv1.UndecodableRecord{Topic: "webhooks.orders", Partition: 3, Offset: 42, Value: []byte("\x00garbage"), Detail: "bad wire type"}
	for range 2 {
		if err := b.DeadLetter(t.Context(), record); err != nil {
			t.Fatal(err)
		}
	}
	open := b.store.openLetters()
	if len(open) != 1 {
		t.Fatalf("%d dead letters, want 1", len(open))
	}
	letter := open[0]
	if letter.Key != (payments.Key{Provider: "webhooks.orders/3", EventID: "42"}) || letter.Reason != undecodable ||
		string(letter.Payload) != "\x00garbage" || letter.Detail != "the Kafka record is not an update: bad wire type" {
		t.Errorf("dead letter = %+v, want the key, value and detail of the record", letter)
	}

	b.store.beforeCommit = func() error { return errBroken }
	if err := b.DeadLetter(t.Context(), record); !errors.Is(err, errBroken) {
		t.Errorf("DeadLetter() = %v, want errBroken", err)
	}
}

var errBroken = errors.New("the disk is on fire")

// broken is a store whose selected methods fail.
type broken struct {
	payments.Store
	load, history, letter bool
}

func (b broken) Load(ctx context.Context, l payments.Lookup) (*payments.Snapshot, error) {
	if b.load {
		return nil, errBroken
	}
	return b.Store.Load(ctx, l)
}

func (b broken) History(ctx context.Context, ids []string) (map[string][]*payments.Event, error) {
	if b.history {
		return nil, errBroken
	}
	return b.Store.History(ctx, ids)
}

func (b broken) DeadLetter(ctx context.Context, id int64) (*payments.DeadLetter, error) {
	if b.letter {
		return nil, errBroken
	}
	return b.Store.DeadLetter(ctx, id)
}

func TestAStoreThatFailsFailsTheBatch(t *testing.T) {
	late := []*payrelayv1.Update{order("e2", 1, orderUpdated), order("e1", 0, orderCreated)}
	for name, fail := range map[string]func(*memory) payments.Store{
		"load":    func(m *memory) payments.Store { return broken{Store: m, load: true} },
		"history": func(m *memory) payments.Store { return broken{Store: m, history: true} },
		"commit": func(m *memory) payments.Store {
			m.beforeCommit = func() error { return errBroken }
			return m
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := newMemory(t)
			seed := payments.NewLedgerAt(store, func() time.Time { return today })
			if _, err := seed.Apply(t.Context(), []*payrelayv1.Update{order("e9", 9, orderUpdated)}); err != nil {
				t.Fatal(err)
			}
			outcomes, err := payments.NewLedger(fail(store)).Apply(t.Context(), late)
			if !errors.Is(err, errBroken) || outcomes != nil {
				t.Errorf("Apply() = %v, %v, want errBroken", outcomes, err)
			}
			if len(store.events) != 1 {
				t.Errorf("%d events after the error, want 1", len(store.events))
			}
		})
	}
}

func TestTheLedgerJudgesAgainAfterARace(t *testing.T) {
	b := newBench(t)
	b.apply(order("e1", 0, orderCreated))
	rival := payments.NewLedgerAt(b.store, func() time.Time { return today })
	b.store.beforeCommit = func() error {
		b.store.beforeCommit = nil
		_, err := rival.Apply(t.Context(), []*payrelayv1.Update{order("e2", 1, orderSuccess), order("e4", 3, orderSuccess)})
		return err
	}
	// Before the commit of the rival, e3 would be applied and e4 new.
	got := b.apply(order("e3", 2, orderFailed), order("e4", 3, orderSuccess))
	wantOutcomes(t, got, refused(illegal), verdict(duplicate))
	if o := b.store.order("o1"); o.Status != orderSuccess || len(b.store.events) != 4 {
		t.Errorf("status = %v with %d events, want SUCCESS with 4", o.Status, len(b.store.events))
	}
}

func TestTwoOrdersRaceForOneDispute(t *testing.T) {
	b := newBench(t)
	rival := payments.NewLedgerAt(b.store, func() time.Time { return today })
	b.store.beforeCommit = func() error {
		b.store.beforeCommit = nil
		_, err := rival.Apply(t.Context(), []*payrelayv1.Update{dispute("e1", 0, disputeOpen, disputeID("d1"))})
		return err
	}
	got := b.apply(dispute("e2", 0, disputeOpen, of("o2"), disputeID("d1")))
	wantOutcomes(t, got, refused(orderMismatch))
	if owner := b.store.dispute("d1").OrderID; owner != "o1" {
		t.Errorf("order of the dispute = %q, want o1", owner)
	}
}

func TestTheLedgerGivesUpAfterTenRaces(t *testing.T) {
	b := newBench(t)
	tries := 0
	b.store.beforeCommit = func() error { tries++; return payments.ErrRaced }
	_, err := b.Apply(t.Context(), []*payrelayv1.Update{order("e1", 0, orderCreated)})
	if !errors.Is(err, payments.ErrRaced) || tries != 10 {
		t.Errorf("Apply() = %v after %d commits, want ErrRaced after 10", err, tries)
	}
}

func TestACommitThatReportsAFalseErrorIsADuplicateWhenSentAgain(t *testing.T) {
	b := newBench(t)
	batch := []*payrelayv1.Update{order("e1", 0, orderSuccess), order("e2", 1, orderFailed), order("", 0, orderCreated)}
	b.store.afterCommit = func() error { b.store.afterCommit = nil; return context.DeadlineExceeded }
	if _, err := b.Apply(t.Context(), batch); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Apply() = %v, want context.DeadlineExceeded", err)
	}
	wantOutcomes(t, b.apply(batch...), verdict(duplicate), verdict(duplicate), refused(undecodable))
	if len(b.store.events) != 2 || len(b.store.letters) != 2 {
		t.Errorf("%d events and %d dead letters, want 2 and 2", len(b.store.events), len(b.store.letters))
	}
}
