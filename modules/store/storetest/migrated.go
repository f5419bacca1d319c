package storetest

import (
	"fmt"
	"slices"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/payments/oracle"
	"google.golang.org/protobuf/proto"
)

// goneKey is the key of the event whose dead letter was discarded.
var goneKey = orderKey("gone/2")

// CheckMigrated checks a database that was migrated from the first release with the rows
// of [OldTables]: the listings, redeliveries, and that the next update of an order or
// dispute folds its state from its history.
func CheckMigrated(t *testing.T, engine Engine) {
	d := &db{Engine: engine, Store: engine.Open(t), t: t}
	wantOldStates(t, d)
	events, letters := d.events(), d.letters()
	for _, e := range events {
		// The first release left the event of a discarded dead letter in its history.
		if e.Facts != payments.FactsDigest(e.Update) || e.Forced || e.Discarded != (e.Key == goneKey) {
			t.Errorf("event %s, want its facts, and only %v discarded", eventLine(&e.Event), goneKey)
		}
		if want := string(d.body(e.Key)); want == "" {
			t.Errorf("event %v has no body any more", e.Key)
		}
	}
	wantOldSequences(t, d, events)
	wantOldLetters(t, events, letters)
	wantNothingNew(t, d, events, letters)
	wantRefolded(t, d, events)
	wantOperable(t, d)
}

// wantOldStates compares the orders that are listed with the rows of the first release.
func wantOldStates(t *testing.T, d *db) {
	t.Helper()
	counts := make(map[string]int)
	for _, table := range OldTables(t) {
		counts[table.Name] = len(table.Rows)
		for _, row := range table.Rows {
			column := func(name string) any { return row[slices.Index(table.Columns, name)] }
			switch {
			case table.Name == "disputes" && column("status") != "":
				with, err := d.DisputesWith(t.Context(), column("dispute_id").(string))
				d.check(err)
				if len(with) != 1 || payments.DisputeStatuses.Name(with[0].Status) != column("status") || with[0].OrderID != column("order_id") ||
					with[0].Amount.MinorUnits != column("amount") || with[0].OpenedAt != column("opened_at") {
					t.Errorf("disputes %+v, want one as in %v", with, row)
				}
				if column("dispute_id") == "shared-d" && with[0].Source != "a" {
					t.Errorf("the dispute of several sources is that of %s, want a, which has the oldest event", with[0].Source)
				}
			case table.Name == "orders":
				id := column("order_id").(string)
				o, err := d.Order(t.Context(), id)
				if column("status") == "" {
					d.wantNotFound(err, "Order "+id)
				} else if err != nil || payments.OrderStatuses.Name(o.Status) != column("status") || o.UserID != column("user_id") ||
					o.Amount.MinorUnits != column("amount") || o.Amount.Currency != column("currency") || o.Amount.Exponent != 0 || o.Parts != "" ||
					o.CreatedAt != column("created_at") || o.UpdatedAt != column("updated_at") {
					t.Errorf("order %+v, %v, want it as in %v", o, err, row)
				}
			}
		}
	}
	if events, letters := len(d.events()), len(d.letters()); events != counts["events"] || letters != counts["dead_letters"] || events == 0 || letters == 0 {
		t.Errorf("got %d events and %d dead letters, want %v", events, letters, counts)
	}
}

// wantOldSequences checks that disputes are listed in the order of their first events.
func wantOldSequences(t *testing.T, d *db, events []payments.RecordedEvent) {
	t.Helper()
	first := make(map[payments.DisputeKey]int64)
	for _, e := range slices.Backward(events) {
		if e.Key.Kind == payments.KindDispute {
			first[e.Dispute()] = e.Sequence
		}
	}
	page, err := d.Disputes(t.Context(), payments.DisputeQuery{Page: whole})
	d.check(err)
	for _, c := range page.Items {
		if c.Sequence != first[c.DisputeKey] {
			t.Errorf("dispute %v has the sequence %d, want %d, that of its first event", c.DisputeKey, c.Sequence, first[c.DisputeKey])
		}
	}
}

// wantOldLetters checks that each dead letter has the kind of its update, and that the
// one of a recorded event has the digest of the facts.
func wantOldLetters(t *testing.T, events []payments.RecordedEvent, letters []*payments.DeadLetter) {
	t.Helper()
	own := make(map[payments.Key]bool)
	for _, l := range letters {
		if l.Deliveries != 1 || l.LastAt != l.CreatedAt || l.By != "" || l.Why != "" {
			t.Errorf("dead letter %s, want one delivery, when it was created", asText(l))
		}
		u := new(payrelayv1.Update)
		if l.Reason == undecodable || l.Reason == unknownSchema || proto.Unmarshal(l.Payload, u) != nil {
			continue
		}
		if l.Key != oracle.KeyOf(u) {
			t.Errorf("dead letter %s, want the key %v", asText(l), oracle.KeyOf(u))
		}
		if l.Digest == payments.FactsDigest(u) && l.Reason != conflict && l.Resolution != payments.Reapplied {
			own[l.Key] = true
		}
	}
	for _, e := range events {
		if own[e.Key] != (e.Verdict == dead) {
			t.Errorf("event %s, want a dead letter with its facts that is not reapplied, if it is refused", eventLine(&e.Event))
		}
	}
}

// wantNothingNew applies all recorded and refused updates again. They may add no dead
// letter, and only the event of the dispute that had the event id of an order.
func wantNothingNew(t *testing.T, d *db, events []payments.RecordedEvent, letters []*payments.DeadLetter) {
	t.Helper()
	for _, e := range events {
		again := proto.CloneOf(e.Update)
		again.RawBody = []byte("the same facts in another body")
		if got := d.apply(again)[0]; got.GetVerdict() != duplicate {
			t.Errorf("event %v, once more, is %v, want a duplicate", e.Key, got)
		}
	}
	facts := make(map[payments.Key]payments.Digest)
	for _, e := range events {
		facts[e.Key] = e.Facts
	}
	for _, l := range letters {
		u := new(payrelayv1.Update)
		if l.Key.Source == "webhooks.orders/3" {
			record := &payrelayv1.UndecodableRecord{Topic: "webhooks.orders", Partition: 3, Offset: 7, Value: l.Payload}
			d.check(payments.NewLedger(d.Store).DeadLetter(t.Context(), record))
		} else if err := proto.Unmarshal(l.Payload, u); err != nil {
			t.Fatal(err)
		}
		want := refused(l.Reason)
		switch key := oracle.KeyOf(u); {
		case u.GetProvider() == "":
			continue
		case key.Kind == payments.KindDispute && key.EventID == "same":
			want = verdict(applied)
		case facts[key] == payments.FactsDigest(u):
			want = verdict(duplicate)
		}
		wantOutcomes(t, d.apply(u), want)
	}
	if got := len(d.events()); got != len(events)+1 {
		t.Errorf("got %d events, want one more than %d", got, len(events))
	}
	for i, l := range d.letters() {
		if i >= len(letters) || l.ID != letters[i].ID || l.Resolution != letters[i].Resolution || l.Reason != letters[i].Reason {
			t.Errorf("got dead letter %s, want only those from before", asText(l))
		}
	}
}

// wantRefolded changes every order and dispute, and compares them with the oracle.
func wantRefolded(t *testing.T, d *db, events []payments.RecordedEvent) {
	t.Helper()
	var updates []*payrelayv1.Update
	orders, disputes := make(map[string]bool), make(map[payments.DisputeKey]bool)
	add := func(u *payrelayv1.Update) {
		wantOutcomes(t, d.apply(u), verdict(applied))
	}
	for _, e := range events {
		id := fmt.Sprint("touch/", len(orders)+len(disputes))
		switch {
		case e.Key.Kind == payments.KindOrder && !orders[e.Update.GetOrderId()]:
			orders[e.Update.GetOrderId()] = true
			add(order(id, 86400, orderUpdated, of(e.Update.GetOrderId())))
		case e.Key.Kind == payments.KindDispute && !disputes[e.Dispute()]:
			disputes[e.Dispute()] = true
			add(dispute(id, 86400, payrelayv1.DisputeStatus_DISPUTE_STATUS_UNDER_REVIEW, of(e.Update.GetOrderId()), from(e.Key.Source), disputeID(e.Dispute().ID)))
		}
	}
	all := d.events()
	apart := make(map[payments.Key]bool)
	for _, e := range all {
		if apart[e.Key] = e.Reason == futureTime || e.Discarded; !apart[e.Key] {
			updates = append(updates, e.Update)
		}
	}
	want, got := oracle.Fold(updates, nil), oracle.NewResult()
	for _, o := range d.allOrders() {
		got.Orders[o.ID] = oracle.OrderOf(o)
	}
	page, err := d.Disputes(t.Context(), payments.DisputeQuery{Page: whole})
	d.check(err)
	for _, c := range page.Items {
		c.Sequence = 0
		got.Disputes[c.DisputeKey] = c
	}
	for _, e := range all {
		if e.Verdict == dead && !apart[e.Key] {
			got.Refused[e.Key] = payments.DeadLetterReasons.Name(e.Reason)
		}
	}
	for _, difference := range got.Differences(want) {
		t.Error(difference)
	}
	wantLettersOfRefused(t, d, want, all)
}

func (d *db) allOrders() []payments.Order {
	d.t.Helper()
	page, err := d.Orders(d.t.Context(), payments.OrderQuery{Page: whole})
	d.check(err)
	return page.Items
}

// wantLettersOfRefused checks that each refused event has one open dead letter, and
// that no other one is open.
func wantLettersOfRefused(t *testing.T, d *db, want oracle.Result, events []payments.RecordedEvent) {
	t.Helper()
	facts, open := make(map[payments.Key]payments.Digest), make(map[payments.Key]string)
	for _, e := range events {
		facts[e.Key] = e.Facts
	}
	for _, l := range d.letters() {
		if l.Key == goneKey && l.Resolution != payments.Discarded {
			t.Errorf("dead letter %s, want it discarded", asText(l))
		}
		apart := l.Reason == futureTime || l.Reason == conflict
		if !apart && facts[l.Key] == l.Digest && l.Resolution == "" {
			open[l.Key] = payments.DeadLetterReasons.Name(l.Reason)
		}
	}
	end := oracle.NewResult()
	end.Refused, want.Orders, want.Disputes = open, nil, nil
	for _, difference := range end.Differences(want) {
		t.Errorf("dead letters: %s", difference)
	}
}

// wantOperable checks that an operator can settle dead letters of the first release.
func wantOperable(t *testing.T, d *db) {
	t.Helper()
	byEvent := func(id string, reason payrelayv1.DeadLetterReason) *payments.DeadLetter {
		t.Helper()
		letters := selected(d.openLetters(), func(l *payments.DeadLetter) bool { return l.Key.EventID == id && l.Reason == reason })
		if len(letters) == 0 {
			t.Fatalf("no dead letter of %s with the reason %v is open", id, reason)
		}
		return letters[0]
	}
	wantOutcomes(t, []*payrelayv1.Outcome{d.accept(byEvent("failed/2", contradiction).ID)}, verdict(applied))
	d.wantJudged("failed/2", verdict(applied), true, false)
	// The dispute of another source with the same id is one of its own now.
	if c, err := d.Dispute(t.Context(), payments.DisputeKey{Source: "c", ID: "shared-d"}); err != nil || c.OrderID != "thief" {
		t.Errorf("the dispute is %+v, %v, want one of the order thief", c, err)
	}
	d.discard(byEvent("conflict3", contradiction).ID)
	conflicts := len(d.events())
	wantOutcomes(t, []*payrelayv1.Outcome{d.accept(byEvent("conflict", conflict).ID)}, verdict(stale))
	if n := len(d.events()); n != conflicts+1 {
		t.Errorf("an old conflict that was accepted made %d events, want 1", n-conflicts)
	}
	d.discard(byEvent("future", futureTime).ID)
	for _, l := range d.openLetters() {
		if id := l.Key.EventID; id == "conflict3" || id == "future" || id == "failed/2" || id == "thief/1" {
			t.Errorf("dead letter %s is open, want it settled", asText(l))
		}
	}
}
