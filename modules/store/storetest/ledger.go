package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
)

// The rules of the ledger are tested in payments, with a model. Here each way of the
// ledger through a store is taken once.

func lifeOfAnOrder(t *testing.T, d *db) {
	start := time.Now()
	wantOutcomes(t, d.apply(order("e1", 0, orderCreated, user("u1"), amount(10050, "USD"))), verdict(applied))
	d.reopen()
	wantOutcomes(t, d.apply(order("e2", 1, orderUpdated), dispute("e3", 2, disputeOpen, amount(5000, "USD"), chargeback)), verdict(applied), verdict(applied))
	wantOutcomes(t, d.apply(order("e4", 3, orderSuccess, captured(10000, "USD")), dispute("e5", 4, disputeWon)), verdict(applied), verdict(applied))
	d.reopen()

	want := payments.Order{
		ID: "o1", Status: orderSuccess, UserID: "u1", Amount: payments.Money{MinorUnits: 10050, Currency: "USD"}, CreatedAt: after(0), UpdatedAt: after(3),
	}
	got := d.order("o1")
	if captured := got.Totals().Captured; captured.MinorUnits != 10000 || captured.Currency != "USD" {
		t.Errorf("the order has captured %+v, want 10000 USD", captured)
	}
	want.Parts = got.Parts
	if got != want {
		t.Errorf("Order = %+v, want %+v", got, want)
	}
	wantDispute := payments.Dispute{
		DisputeKey: disputeKey("o1"), OrderID: "o1", Stage: payrelayv1.DisputeStage_DISPUTE_STAGE_CHARGEBACK, Status: disputeWon, StatusAt: after(4),
		Amount: payments.Money{MinorUnits: 5000, Currency: "USD"}, OpenedAt: after(2), UpdatedAt: after(4),
	}
	if got := d.dispute("o1"); got != wantDispute {
		t.Errorf("Dispute = %+v, want %+v", got, wantDispute)
	}
	if a, c := d.aggregate("o1"), d.disputeAggregate(disputeKey("o1")); a.Version != 3 || a.Head.EventID != "e4" || c.Version != 2 || c.Head.EventID != "e5" {
		t.Errorf("loaded %+v and %+v, want version 3 with the head e4, and 2 with e5", a, c)
	}
	for _, e := range d.events() {
		if e.Verdict != applied || e.RecordedAt.Before(start.Truncate(time.Microsecond)) || e.RecordedAt.After(time.Now()) {
			t.Errorf("event %v is recorded as %v at %v, want applied during the test", e.Key, e.Verdict, e.RecordedAt)
		}
	}
	if orders, disputes := d.history("o1")["o1"], d.disputeHistory(disputeKey("o1")); len(orders) != 3 || len(disputes[disputeKey("o1")]) != 2 {
		t.Errorf("got %d and %d events in the histories, want 3 and 2", len(orders), len(disputes[disputeKey("o1")]))
	}
}

// duplicates are detected within a batch, in a later batch and after a restart, and
// change nothing.
func duplicates(t *testing.T, d *db) {
	first, second := order("e1", 0, orderCreated), order("e2", 1, orderNone, word("new"), of("o2"))
	wantOutcomes(t, d.apply(first, first, second), verdict(applied), verdict(duplicate), refused(unknownStatus))
	lookup := payments.Lookup{Keys: []payments.Key{keyOf(first), keyOf(second)}, Subjects: payments.Subjects{Orders: []string{"o1", "o2"}}}
	before := d.everything(lookup)
	again := proto.CloneOf(first)
	again.ReceivedAt, again.RawBody = again.OccurredAt, []byte("the same facts in another body")
	wantOutcomes(t, d.apply(second, again, first), verdict(duplicate), verdict(duplicate), verdict(duplicate))
	wantLines(t, "after duplicates", d.everything(lookup), before)
	d.reopen()
	wantOutcomes(t, d.apply(first, order("e3", 2, orderUpdated), second), verdict(duplicate), verdict(applied), verdict(duplicate))
	if n := len(d.events()); n != 3 {
		t.Errorf("got %d events, want 3", n)
	}
	// The same event id from two sources is two events.
	wantOutcomes(t, d.apply(order("e1", 0, orderCreated, from("other"))), verdict(stale))
	if got := string(d.body(keyOf(first))); got != "generic e1" {
		t.Errorf("Body = %q, want that of the first update", got)
	}
}

// conflicts keep the first facts, and make a dead letter of all others, once each.
func conflicts(t *testing.T, d *db) {
	first := order("e1", 0, orderCreated, body("first"))
	second, third := order("e1", 0, orderFailed, body("second")), order("e1", 0, orderSuccess, of("o2"), body("third"))
	wantOutcomes(t, d.apply(first, second, second), verdict(applied), refused(conflict), refused(conflict))
	wantOutcomes(t, d.apply(second, third, first), refused(conflict), refused(conflict), verdict(duplicate))
	d.reopen()
	wantOutcomes(t, d.apply(third, second), refused(conflict), refused(conflict))
	letters := d.openLetters()
	if len(letters) != 2 || d.order("o1").Status != orderCreated || len(d.events()) != 1 {
		t.Fatalf("got %d dead letters, %d events and the order status %v, want 2, 1 and created", len(letters), len(d.events()), d.order("o1").Status)
	}
	for i, want := range []*payrelayv1.Update{second, third} {
		kept := new(payrelayv1.Update)
		if err := proto.Unmarshal(letters[i].Payload, kept); err != nil || !proto.Equal(kept, want) || letters[i].Deliveries != int64(4-2*i) {
			t.Errorf("dead letter %d contains %v (%v) with %d deliveries, want %v with %d", i, kept, err, letters[i].Deliveries, want, 4-2*i)
		}
	}
	d.discard(letters[0].ID)
	wantOutcomes(t, d.apply(second, third), refused(conflict), refused(conflict))
	if open := d.openLetters(); len(open) != 1 || open[0].ID != letters[1].ID {
		t.Errorf("after one was discarded and sent again, %d are open, want only the other one", len(open))
	}
	if got := d.body(keyOf(first)); string(got) != "first" {
		t.Errorf("Body = %q, want %q", got, "first")
	}
}

// lateUpdates are part of the history, whether or not they change the state.
func lateUpdates(t *testing.T, d *db) {
	d.apply(order("e2", 2, orderCreated, user("u2")), order("e5", 5, orderUpdated, user("u5")))
	wantOutcomes(t, d.apply(order("e4", 4, orderUpdated)), verdict(stale))
	head := d.aggregate("o1").Head
	if got := d.order("o1"); got.UserID != "u5" || got.CreatedAt != after(2) || got.UpdatedAt != after(5) || head.EventID != "e5" {
		t.Errorf("after a stale update got %+v and the head %+v, want no change", got, head)
	}
	wantOutcomes(t, d.apply(order("e1", 1, orderCreated, amount(7, "EUR"))), verdict(applied))
	if got := d.order("o1"); got.CreatedAt != after(1) || got.Amount != (payments.Money{MinorUnits: 7, Currency: "EUR"}) || got.UpdatedAt != after(5) {
		t.Errorf("after a late update with an amount got %+v, want its amount and time of creation", got)
	}
	wantOutcomes(t, d.apply(order("e3", 3, orderCreated), order("e6", 6, orderSuccess)), verdict(stale), verdict(applied))
	if a := d.aggregate("o1"); a.Version != 4 || a.Head.EventID != "e6" || len(d.history("o1")["o1"]) != 6 || len(d.letters()) != 0 {
		t.Errorf("got %+v and %d dead letters, want version 4 with 6 events and none", a, len(d.letters()))
	}
}

// sameInstant are updates of one instant, each of which has its place by another field
// of the position. Each is applied alone, and every one but the first must be judged to
// be newer than the head, or older, by what is stored of it.
func sameInstant(t *testing.T, d *db) {
	for _, test := range []struct {
		name         string
		older, newer *payrelayv1.Update
	}{
		{"rank", order("e2", 0, orderCreated), order("e1", 0, orderUpdated)},
		{"refunded", order("e2", 0, orderSuccess, refunded(1, "USD")), order("e1", 0, orderSuccess, refunded(2, "USD"))},
		{"captured", order("e2", 0, orderSuccess, captured(1, "USD")), order("e1", 0, orderSuccess, captured(2, "USD"))},
		{"event id", order("e1", 0, orderCreated), order("e2", 0, orderCreated)},
		{"source", order("e1", 0, orderCreated, from("a")), order("e1", 0, orderCreated, from("b"))},
		{"dispute rank", dispute("e2", 0, disputeOpen), dispute("e1", 0, disputeWon)},
		{"dispute stage", dispute("e2", 0, disputeWon), dispute("e1", 0, disputeOpen, chargeback)},
		{"dispute event id", dispute("e1", 0, disputeOpen), dispute("e2", 0, disputeOpen)},
	} {
		for _, inOrder := range []bool{true, false} {
			id := fmt.Sprint(test.name, inOrder)
			older, newer := proto.CloneOf(test.older), proto.CloneOf(test.newer)
			older.OrderId, newer.OrderId, older.UserId, newer.UserId = id, id, "older", "newer"
			older.EventId, newer.EventId = older.EventId+id, newer.EventId+id
			want := []*payrelayv1.Outcome{verdict(applied), verdict(applied)}
			if !inOrder {
				older, newer = newer, older
			}
			got := slices.Concat(d.apply(older), d.apply(newer))
			if !inOrder && got[1].GetVerdict() == stale {
				want[1] = verdict(stale)
			}
			wantOutcomes(t, got, want...)
			of, userID := d.history(id)[id], ""
			if test.newer.GetDispute() != nil {
				of, userID = d.disputeHistory(disputeKey(id))[disputeKey(id)], d.dispute(id).UserID
			} else {
				userID = d.order(id).UserID
			}
			if len(of) != 2 || userID != "newer" {
				t.Errorf("%s: got %d events and the user %q, want 2 and that of the newer one", id, len(of), userID)
			}
		}
	}
}

// refusedAndReapplied applies updates each of which happened before the last one: the
// newest is applied, refused, applied again and refused again.
func refusedAndReapplied(t *testing.T, d *db) {
	wantOutcomes(t, d.apply(order("failed5", 5, orderFailed)), verdict(applied))
	var id int64
	for i, step := range []struct {
		late       *payrelayv1.Update
		status     payrelayv1.OrderStatus
		updated    int
		failed     *payrelayv1.Outcome
		resolution payments.Resolution
		deliveries int64
	}{
		{order("success2", 2, orderSuccess), orderSuccess, 2, refused(contradiction), "", 1},
		{order("reversed4", 4, orderReversed), orderReversed, 5, verdict(applied), payments.Reapplied, 1},
		{order("success4", 4, orderSuccess, eventID("x")), orderReversed, 5, verdict(applied), payments.Reapplied, 1},
		{order("success6", 4, orderSuccess, happened(after(4).Add(time.Microsecond))), orderSuccess, 4, refused(contradiction), "", 2},
	} {
		d.apply(step.late)
		d.reopen()
		if got := d.order("o1"); got.Status != step.status || got.UpdatedAt.Truncate(time.Second) != after(step.updated) {
			t.Errorf("step %d: the order is %+v, want %v", i, got, step.status)
		}
		wantOutcomes(t, []*payrelayv1.Outcome{d.verdictOf("failed5")}, step.failed)
		l := d.theLetter()
		if id == 0 {
			id = l.ID
		}
		if l.ID != id || l.Key.EventID != "failed5" || l.Reason != contradiction || l.Deliveries != step.deliveries ||
			l.Resolution != step.resolution || l.ResolvedAt.IsZero() != (step.resolution == "") {
			t.Errorf("step %d: the dead letter is %+v, want it %q", i, l, step.resolution)
		}
	}
	if bytes.Contains(d.theLetter().Payload, []byte("generic failed5")) || string(d.body(d.theLetter().Key)) != "generic failed5" {
		t.Error("the dead letter contains the body, or the event does not")
	}
}

// refusals are updates that no history can have. Each is recorded with its reason,
// once, and the rest of the batch is applied.
func refusals(t *testing.T, d *db) {
	d.apply(dispute("owner", 0, disputeOpen, disputeID("d1")))
	batch := []*payrelayv1.Update{
		order("thief", 0, orderCreated, of("o2")), dispute("e1", 1, disputeOpen, of("o2"), disputeID("d1")),
		order("e2", 0, orderCreated, happened(time.Now().Add(48*time.Hour))), order("e3", 1, orderNone, word("new")), order("e4", 1, 99),
		order("e5", 1, orderCreated, schema(7)), order("e6", 1, orderCreated, of("")),
		order("e7", 2, orderSuccess), payments.NewWrongEnvironment("shop", []byte("\x00{}"), noon),
	}
	outcomes := []*payrelayv1.Outcome{
		verdict(applied), refused(orderMismatch), refused(futureTime), refused(unknownStatus), refused(unknownStatus),
		refused(unknownSchema), refused(undecodable), verdict(applied), refused(wrongEnvironment),
	}
	wantOutcomes(t, d.apply(batch...), outcomes...)
	for i := range 5 { // these are events by now
		outcomes[i] = verdict(duplicate)
	}
	outcomes[7] = verdict(duplicate)
	wantOutcomes(t, d.apply(batch...), outcomes...)

	if d.order("o1").Status != orderSuccess || d.dispute("d1").OrderID != "o1" || len(d.events()) != 7 {
		t.Errorf("got the order %+v, the dispute %+v and %d events, want success, the dispute of o1 and 7", d.order("o1"), d.dispute("d1"), len(d.events()))
	}
	open := d.openLetters()
	if len(open) != 7 {
		t.Fatalf("got %d dead letters, want 7", len(open))
	}
	reasons := map[string]payrelayv1.DeadLetterReason{
		"e1": orderMismatch, "e2": futureTime, "e3": unknownStatus, "e4": unknownStatus, "e5": unknownSchema, "e6": undecodable,
		batch[8].GetEventId(): wrongEnvironment,
	}
	for _, l := range open {
		if reasons[l.Key.EventID] != l.Reason || l.Detail == "" || len(l.Payload) == 0 {
			t.Errorf("got dead letter %+v, want the reason %v", l, reasons[l.Key.EventID])
		}
	}
}

// undecodableRecords become one dead letter each, also when they are read again.
func undecodableRecords(t *testing.T, d *db) {
	for range 2 {
		for offset := range int64(2) {
			record := &payrelayv1.UndecodableRecord{Topic: "webhooks.orders", Partition: 3, Offset: 1<<62 + offset, Value: []byte("\x00garbage\xff"), Detail: "bad wire type"}
			d.check(payments.NewLedger(d.Store).DeadLetter(t.Context(), record))
		}
		d.reopen()
	}
	letters := d.openLetters()
	if len(letters) != 2 || len(d.events()) != 0 {
		t.Fatalf("got %d dead letters and %d events, want 2 and none", len(letters), len(d.events()))
	}
	for i, l := range letters {
		want := payments.Key{Source: "webhooks.orders/3", EventID: fmt.Sprint(int64(1<<62) + int64(i))}
		if l.Key != want || l.Reason != undecodable || string(l.Payload) != "\x00garbage\xff" || l.OrderID != "" {
			t.Errorf("got dead letter %+v, want the key %v", l, want)
		}
	}
	d.discard(letters[0].ID)
	record := &payrelayv1.UndecodableRecord{Topic: "webhooks.orders", Partition: 3, Offset: 1 << 62, Value: []byte("\x00garbage\xff")}
	d.check(payments.NewLedger(d.Store).DeadLetter(t.Context(), record))
	if open := d.openLetters(); len(open) != 1 || open[0].ID != letters[1].ID {
		t.Errorf("after one was discarded and read again, %d are open, want only the other one", len(open))
	}
}

// correctedByHistory corrects an order and a dispute whose rows are not what their
// histories fold to.
func correctedByHistory(t *testing.T, d *db) {
	d.apply(order("e1", 0, orderSuccess, amount(5, "USD")), order("e2", 1, orderFailed), dispute("c1", 0, disputeLost, disputeID("d1")))
	o, c := *d.aggregate("o1"), *d.disputeAggregate(disputeKey("d1"))
	wantOrder, wantDispute := o.State, c.State
	o.State.Status, o.State.UserID, c.State.Reopened = orderCreated, "mallory", 4
	refused := event(order("e2", 1, orderFailed), applied, noReason)
	d.commit(&payments.Changes{Orders: []*storedOrder{&o}, Disputes: []*storedDispute{&c}, Revised: []*payments.Event{refused}})
	ledger := payments.NewLedger(d.Store)
	asked := payments.Rederivation{Query: payments.SubjectQuery{Limit: 100}, By: "ann", Why: "a check"}
	for _, correct := range []bool{false, true} {
		asked.Correct = correct
		result, err := ledger.Rederive(t.Context(), d.Store, asked)
		d.check(err)
		var fields []string
		for _, difference := range result.Differences {
			fields = append(fields, fmt.Sprintf("%s: %s, %s", difference.Field, difference.Stored, difference.Derived))
		}
		want := []string{"status: created, success", "user_id: mallory, ", `verdict of event "e2" of generic: applied, dead_lettered: contradiction`, "reopened: 4, 0"}
		wantLines(t, "differences", fields, want)
	}
	if got := d.aggregate("o1").State; got != wantOrder {
		t.Errorf("got %+v, want %+v", got, wantOrder)
	}
	if got := d.disputeAggregate(disputeKey("d1")).State; got != wantDispute {
		t.Errorf("got %+v, want %+v", got, wantDispute)
	}
	asked.Correct = false
	if result, err := ledger.Rederive(t.Context(), d.Store, asked); err != nil || len(result.Differences) != 0 || result.Events != 3 {
		t.Errorf("Rederive of what is corrected = %+v, %v, want no differences", result, err)
	}
	if page, err := d.Audit(t.Context(), payments.AuditQuery{Page: whole}); err != nil || len(page.Items) != 2 {
		t.Errorf("audit log %+v, %v, want one entry for each", page.Items, err)
	}
}
