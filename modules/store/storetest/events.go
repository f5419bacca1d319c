package storetest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// asRead returns an event as a store returns it: without its body, with times in
// microseconds, and with the dispute id that an absent one stands for.
func asRead(e *payments.Event) *payments.Event {
	read := *e
	u := proto.CloneOf(e.Update)
	u.RawBody, u.BodySha256 = nil, nil
	times := []*timestamppb.Timestamp{u.OccurredAt, u.ReceivedAt, u.GetOrder().GetCreatedAt(), u.GetDispute().GetEvidenceDueAt()}
	for _, ts := range times {
		if ts != nil {
			ts.Nanos -= ts.Nanos % 1000
		}
	}
	if u.GetDispute() != nil {
		u.GetDispute().DisputeId = e.Dispute().ID
	}
	read.Update = u
	return &read
}

// eventsAreKeptExactly stores every status with every verdict, with each field set and
// unset.
func eventsAreKeptExactly(t *testing.T, d *db) {
	want := map[string]*payments.Event{}
	changes := new(payments.Changes)
	for _, u := range variety() {
		e := event(u, verdicts[len(want)%len(verdicts)].GetVerdict(), verdicts[len(want)%len(verdicts)].GetReason())
		e.RecordedAt = cycled(len(want))
		e.Forced, e.Discarded = len(want)%3 == 1, len(want)%5 == 1
		want[e.Key.EventID] = asRead(e)
		changes.Events = append(changes.Events, e)
	}
	changes.Orders = []*storedOrder{stateOf("o1", orderCreated)}
	d.commit(changes)
	d.reopen()

	read := d.events()
	if len(read) != len(want) {
		t.Errorf("got %d events, want %d", len(read), len(want))
	}
	for _, e := range read {
		wantEvent(t, &e.Event, want[e.Key.EventID])
	}
	maps.DeleteFunc(want, func(_ string, e *payments.Event) bool { return !e.InHistory() })
	history := d.history("o1")["o1"]
	for _, events := range d.disputeHistory(disputeKeys("o1", "d1")...) {
		history = append(history, events...)
	}
	if len(history) != len(want) {
		t.Errorf("got %d events in the history, want %d", len(history), len(want))
	}
	for _, e := range history {
		wantEvent(t, e, want[e.Key.EventID])
	}
}

func wantEvent(t *testing.T, got, want *payments.Event) {
	t.Helper()
	if want == nil {
		t.Errorf("got event %v, which was not stored", got.Key)
		return
	}
	bare := *got
	bare.Update = want.Update
	if bare != *want || !proto.Equal(got.Update, want.Update) {
		t.Errorf("got\n%s, want\n%s", eventLine(got), eventLine(want))
	}
	if keyOf(got.Update) != got.Key || got.Update.RawBody != nil {
		t.Errorf("event %v has the update %v, want one with that key and without a body", got.Key, got.Update)
	}
}

// verdicts are all outcomes that an event can be recorded with.
var verdicts = func() []*payrelayv1.Outcome {
	list := []*payrelayv1.Outcome{verdict(applied), verdict(stale)}
	for _, number := range slices.Sorted(maps.Keys(payrelayv1.DeadLetterReason_name))[1:] {
		list = append(list, refused(payrelayv1.DeadLetterReason(number)))
	}
	return list
}()

// variety returns updates of order "o1" with different ids: all statuses, some that
// only a newer release knows, and times of every kind.
func variety() []*payrelayv1.Update {
	var list []*payrelayv1.Update
	id := func() string { return fmt.Sprint("e", len(list)) }
	for round := range 11 {
		for _, status := range append(slices.Sorted(maps.Keys(payrelayv1.OrderStatus_name)), 99, -1) {
			list = append(list, order(id(), 0, payrelayv1.OrderStatus(status), withOrder(round)))
		}
		for _, status := range append(slices.Sorted(maps.Keys(payrelayv1.DisputeStatus_name)), math.MaxInt32) {
			list = append(list, dispute(id(), 0, payrelayv1.DisputeStatus(status), withDispute(round)))
		}
		list = append(list, note(id(), 0, strings.Repeat("\u20ac", round), func(u *payrelayv1.Update) {
			withTimes(u, round)
			u.GetNote().DisputeId = []string{"", "d1"}[round%2]
		}))
	}
	// Each field that the first release did not have, alone.
	odd := payments.Money{MinorUnits: 5, Currency: "USD", Exponent: 4}.Proto()
	for _, alone := range []change{
		func(u *payrelayv1.Update) { u.GetOrder().Part = "p" }, func(u *payrelayv1.Update) { u.GetOrder().Amount = odd },
		func(u *payrelayv1.Update) { u.GetOrder().Authorized = odd }, captured(1, "USD"), refunded(0, "USD"),
	} {
		list = append(list, order(id(), 0, orderSuccess, alone))
	}
	for _, alone := range []change{
		chargeback, func(u *payrelayv1.Update) { u.GetDispute().Amount = odd }, func(u *payrelayv1.Update) { u.GetDispute().OutcomeAmount = odd },
	} {
		list = append(list, dispute(id(), 0, disputeLost, alone))
	}
	return list
}

func withOrder(i int) change {
	return func(u *payrelayv1.Update) {
		withTimes(u, i)
		o := u.GetOrder()
		o.CreatedAt, o.Amount = maybe(i, 3), money(i)
		o.Part = []string{"", "", "part"}[i%3]
		if i%2 == 0 {
			o.Authorized, o.Captured, o.Refunded = money(i), money(i/2), money(i/4)
		}
		if o.Status == orderNone {
			o.ProviderStatus = "a new word"
		}
	}
}

func withDispute(i int) change {
	return func(u *payrelayv1.Update) {
		withTimes(u, i)
		c := u.GetDispute()
		c.EvidenceDueAt, c.Amount = maybe(i, 3), money(i)
		if i%4 > 1 {
			c.Stage, c.OutcomeAmount = payrelayv1.DisputeStage(i%len(payrelayv1.DisputeStage_name)), money(i/2)
		}
		c.DisputeId, c.Reason = []string{"", "d1"}[i%2], []string{"", "fraud", strings.Repeat("\u20ac", payments.MaxTextBytes/3)}[i%3]
		if c.Status == disputeNone {
			c.ProviderStatus = "a new word"
		}
	}
}

func withTimes(u *payrelayv1.Update, i int) {
	u.OccurredAt = timestamppb.New(cycled(i).Add(999)) // nanoseconds are not kept
	u.ReceivedAt = maybe(i, 2)
	u.SchemaVersion, u.UserId = uint32(i%2), []string{"", "u1"}[i%2]
}

// maybe returns a time, or nil for each i that often divides.
func maybe(i, often int) *timestamppb.Timestamp {
	if i%often == 0 {
		return nil
	}
	return timestamppb.New(cycled(i).Add(time.Duration(i)))
}

func money(i int) *payrelayv1.Money {
	m := amounts[i%len(amounts)]
	if m.Currency == "" {
		return nil
	}
	return m.Proto()
}

// stateOf returns a new order whose state does not matter.
func stateOf(orderID string, status payrelayv1.OrderStatus) *storedOrder {
	return &storedOrder{
		State: payments.Order{ID: orderID, Status: status, CreatedAt: noon, UpdatedAt: noon},
		Head:  payments.Position{At: noon, Rank: 1, EventID: "head", Source: "generic"},
		Rules: payments.Rules,
	}
}

// bodiesAreKept checks bodies that are text, are not text, and are absent.
func bodiesAreKept(t *testing.T, d *db) {
	bodies := [][]byte{
		nil, {}, {0}, []byte("{\"a\": \"\\u0000\"}\r\n"), []byte("\x00\xff\xfe'\"\\%"), bytes.Repeat([]byte{0, 1, 2, 0xff}, 1<<18),
		[]byte(strings.Repeat("\u20ac", 1000)),
	}
	changes := &payments.Changes{Orders: []*storedOrder{stateOf("o1", orderCreated)}}
	for i, raw := range bodies {
		e := event(order(fmt.Sprint("e", i), i, orderCreated), applied, noReason)
		e.Update.RawBody = raw
		changes.Events = append(changes.Events, e)
	}
	stated := payments.Digest{1, 2, 31: 3}
	changes.Events[1].Update.BodySha256 = stated[:]
	d.commit(changes)
	apart := event(order("apart", 0, orderNone, body("kept too")), dead, unknownStatus)
	d.commit(&payments.Changes{Events: []*payments.Event{apart}})
	d.reopen()
	for i, raw := range bodies {
		if got := d.body(changes.Events[i].Key); !bytes.Equal(got, raw) {
			t.Errorf("body %d has %d bytes, %.20q, want %d, %.20q", i, len(got), got, len(raw), raw)
		}
	}
	for _, e := range d.events() {
		want := payments.Digest(sha256.Sum256(d.body(e.Key)))
		if e.Key == changes.Events[1].Key {
			want = stated
		}
		if e.BodySHA256 != want {
			t.Errorf("BodySHA256 of event %v = %x, want %x", e.Key, e.BodySHA256, want)
		}
	}
	if got := d.body(apart.Key); string(got) != "kept too" {
		t.Errorf("the body of an event outside of the history = %q, want %q", got, "kept too")
	}
}
