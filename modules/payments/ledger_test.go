package payments_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestEveryUpdateOfABatchGetsItsOwnVerdict(t *testing.T) {
	b := newFixture(t)
	b.apply(order("known", 0, orderCreated), dispute("owner", 0, disputeOpen, disputeID("d1")))

	future := timestamppb.New(today.Add(24*time.Hour + time.Microsecond))
	got := b.apply(
		order("new", 1, orderUpdated),
		order("known", 0, orderCreated),
		order("known", 0, orderCreated, amount(7, "USD")),
		order("word", 2, orderNone, providerStatus("chargeback_pending")),
		order("number", 2, payrelayv1.OrderStatus(99)),
		order("ahead", 0, orderUpdated, func(u *payrelayv1.Update) { u.OccurredAt = future }),
		order("newer", 2, orderCreated, schema(2)),
		order("", 2, orderCreated),
		nil,
		order("paid", 3, orderSuccess),
		order("void", 4, orderCanceled),
		dispute("thief", 1, disputeOpen, of("o2"), disputeID("d1")),
		note("note", 4, "comment"),
		order("last", 5, orderSuccess),
	)
	wantOutcomes(t, got,
		verdict(applied), verdict(duplicate), refused(conflict), refused(unknownStatus), refused(unknownStatus),
		refused(futureTime), refused(unknownSchema), refused(undecodable), refused(undecodable),
		verdict(applied), refused(contradiction), refused(orderMismatch), verdict(applied), verdict(applied))
	b.wantOrder(orderSuccess)
	if open := b.store.openLetters(); len(open) != 9 {
		t.Errorf("%d open dead letters, want 9", len(open))
	}
	if len(b.store.events) != 11 { // 14 updates and 2 before, 5 of which have no event
		t.Errorf("%d events, want 11", len(b.store.events))
	}
	if len(b.store.orders) != 1 {
		t.Error("a dispute created an order")
	}
}

func TestExactlyADayAheadIsNotTheFuture(t *testing.T) {
	b := newFixture(t)
	limit := func(u *payrelayv1.Update) { u.OccurredAt = timestamppb.New(today.Add(24 * time.Hour)) }
	wantOutcomes(t, b.apply(order("e1", 0, orderCreated, limit)), verdict(applied))
}

func TestRepeatsWithinOneBatch(t *testing.T) {
	b := newFixture(t)
	good, other := order("e1", 0, orderCreated), order("e1", 0, orderCreated, user("u1"), amount(1, "USD"))
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
	b := newFixture(t)
	u := order("e1", 0, orderCreated)
	b.apply(u)
	again := proto.CloneOf(u)
	again.ReceivedAt = timestamppb.New(today.Add(time.Minute))
	wantOutcomes(t, b.apply(again, u), verdict(duplicate), verdict(duplicate))
	if b.store.commits != 1 || b.store.orders["o1"].Version != 1 {
		t.Errorf("%d commits, version %d: a duplicate was written", b.store.commits, b.store.orders["o1"].Version)
	}
	wantOutcomes(t, b.apply())
}

// A provider may send an event again with other white space, another time and another
// signature. The facts are the same.
func TestARedeliveryInAnotherFormIsADuplicate(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderSuccess, amount(500, "JPY"), body(`{"a": 1}`)))
	digits := int32(2)
	got := b.apply(
		order("e1", 0, orderSuccess, amount(500, "JPY"), body(`{"a":1}`)),
		order("e1", 60, orderSuccess, amount(500, "JPY")),
		order("e1", 0, orderSuccess, amount(500, "JPY"), func(u *payrelayv1.Update) { u.RawBody, u.BodySha256 = []byte{}, nil }),
		order("e1", 0, orderSuccess, amount(500, "JPY"), func(u *payrelayv1.Update) { u.BodySha256 = nil }),
		order("e1", 0, orderSuccess, amount(50000, "JPY"), func(u *payrelayv1.Update) { u.GetOrder().GetAmount().Exponent = &digits }),
		order("e1", 0, orderSuccess, amount(501, "JPY"), body(`{"a": 1}`)),
	)
	wantOutcomes(t, got, verdict(duplicate), verdict(duplicate), verdict(duplicate), verdict(duplicate), verdict(duplicate), refused(conflict))
	if o := b.store.order("o1"); !o.UpdatedAt.Equal(noon) {
		t.Errorf("updated at %v, want the time of the first delivery", o.UpdatedAt)
	}
}

func TestUpdatesAreNotModified(t *testing.T) {
	b := newFixture(t)
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
	b := newFixture(t)
	b.apply(order("e1", 0, orderSuccess), order("e2", 1, orderFailed, body("the body")))
	event := b.store.events[orderKey("e2")]
	if string(event.Update.GetRawBody()) != "the body" || !event.RecordedAt.Equal(today) {
		t.Errorf("stored body %q at %v", event.Update.GetRawBody(), event.RecordedAt)
	}
	letter := b.store.openLetters()[0]
	if letter.OrderID != "o1" || letter.DisputeID != "" || letter.Detail == "" || !letter.CreatedAt.Equal(today) {
		t.Errorf("dead letter %+v", letter)
	}
	if letter.Digest != event.Facts || bytes.Contains(letter.Payload, []byte("the body")) {
		t.Error("the dead letter repeats the body or is not the event's")
	}
}

func TestAConflictKeepsTheSecondBodyWhole(t *testing.T) {
	b := newFixture(t)
	second := dispute("e1", 0, disputeOpen, disputeID("d7"), body("second"))
	b.apply(dispute("e1", 0, disputeOpen, body("first")), second)
	letter := b.store.openLetters()[0]
	kept := new(payrelayv1.Update)
	if err := proto.Unmarshal(letter.Payload, kept); err != nil || !proto.Equal(kept, second) {
		t.Errorf("kept %v (%v), want %v", kept, err, second)
	}
	if letter.DisputeID != "d7" || letter.Reason != conflict {
		t.Errorf("dead letter %+v", letter)
	}
}

// Protobuf cannot encode text that is not UTF-8. An update that was built in this process
// may contain some, and must not be lost.
func TestInvalidTextIsKeptAsADeadLetterEach(t *testing.T) {
	b := newFixture(t)
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
			t.Errorf("dead letter %d has the payload %q, want the body %q in it", i, open[i].Payload, want)
		}
	}
}

// A key that a store cannot keep is only in the payload of the dead letter.
func TestDeadLettersOfUnreadableUpdatesHaveReadableKeys(t *testing.T) {
	b := newFixture(t)
	long := strings.Repeat("x", payments.MaxIDBytes+1)
	b.apply(order("e1", 0, orderCreated, of("")), order(long, 0, orderCreated), order("e\x00", 0, orderCreated), order("e2", 0, orderCreated, from(long)))
	want := []payments.Key{orderKey("e1"), {}, {}, {}}
	for i, letter := range b.store.openLetters() {
		if letter.Key != want[i] || letter.Detail == "" || len(letter.Payload) == 0 {
			t.Errorf("dead letter %d: %+v, want the key %v", i, letter, want[i])
		}
	}
	b.wantOpen(len(want))
}

func TestUndecodableRecords(t *testing.T) {
	b := newFixture(t)
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
	if letter.Key != (payments.Key{Source: "webhooks.orders/3", EventID: "42"}) || letter.Reason != undecodable ||
		string(letter.Payload) != "\x00garbage" || letter.Detail != "the Kafka record is not an update: bad wire type" {
		t.Errorf("dead letter %+v", letter)
	}

	b.store.beforeCommit = func() error { return errBroken }
	if err := b.DeadLetter(t.Context(), record); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want the store's", err)
	}
}

// lastCommit is a store that keeps the last changes.
type lastCommit struct {
	*memory
	last *payments.Changes
}

func (l *lastCommit) Commit(ctx context.Context, c *payments.Changes) error {
	l.last = c
	return l.memory.Commit(ctx, c)
}

// The events of a batch are recorded in the order of arrival, regardless of their times
// and aggregates.
func TestABatchIsRecordedInTheSequenceOfItsArrival(t *testing.T) {
	b := newFixture(t)
	store := &lastCommit{memory: b.store}
	b.useStore(store)
	b.apply(
		order("e1", 3, orderSuccess, of("o2")),
		order("e2", 1, orderCreated, of("o2")),
		dispute("e3", 2, disputeOpen, of("o1"), disputeID("d2")),
		dispute("e4", 1, disputeOpen, of("o1"), disputeID("d1")),
		order("e5", 0, orderCreated, of("o1")),
		order("e6", 2, orderNone, providerStatus("a new word")),
		note("e6b", 2, "comment"),
		order("e7", 2, orderUpdated, of("o2")),
	)
	var events []string
	for _, e := range store.last.Events {
		events = append(events, e.Key.EventID)
	}
	if want := []string{"e1", "e2", "e3", "e4", "e5", "e6", "e6b", "e7"}; !slices.Equal(events, want) {
		t.Errorf("events are recorded as %q, want %q", events, want)
	}
}
