package storetest

import (
	"fmt"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// manyDecisions decides about many dead letters at once, first dry and then for good.
func manyDecisions(t *testing.T, d *db) {
	var updates []*payrelayv1.Update
	subjects := payments.Subjects{}
	for i := range 300 {
		id := fmt.Sprint("o", i)
		subjects.Orders = append(subjects.Orders, id)
		updates = append(updates, order(fmt.Sprint("paid", i), 0, orderSuccess, of(id), amount(1, "USD")), order(fmt.Sprint("failed", i), 1, orderFailed, of(id)))
	}
	d.apply(updates...)
	letters := d.openLetters()
	if len(letters) != 300 {
		t.Fatalf("got %d dead letters, want 300", len(letters))
	}
	ids := make([]int64, len(letters))
	for i, l := range letters {
		ids[i] = l.ID
	}
	before := d.everything(payments.Lookup{Subjects: subjects})
	dry, err := payments.NewLedger(d.Store).Decide(t.Context(), ids, payments.Decision{Resolution: payments.Accepted, Dry: true})
	d.check(err)
	for _, r := range dry {
		if r.Err != nil || r.Outcome.GetVerdict() != applied {
			t.Errorf("a dry accept = %+v, want applied", r)
		}
	}
	wantLines(t, "after a dry decision", d.everything(payments.Lookup{Subjects: subjects}), before)
	if page, err := d.Audit(t.Context(), payments.AuditQuery{Page: whole}); err != nil || len(page.Items) != 0 {
		t.Errorf("the audit log of a dry decision = %+v, %v, want none", page.Items, err)
	}

	if n := d.decide(payments.Accepted, letters...); n != 300 {
		t.Errorf("%d are accepted, want 300", n)
	}
	if open := d.openLetters(); len(open) != 0 || d.order("o7").Status != orderFailed {
		t.Errorf("got %d open dead letters and %v, want none and failed", len(open), d.order("o7").Status)
	}
	entries := 0
	for q := (payments.AuditQuery{Page: whole}); ; {
		page, err := d.Audit(t.Context(), q)
		d.check(err)
		for _, e := range page.Items {
			if entries++; e.Action != payments.ActionAccept || e.After != "accepted: applied; order failed" || e.Who != "ann" {
				t.Errorf("audit entry %+v, want an accept by ann", e)
			}
			q.Page.After = &payments.Cursor{Sequence: e.ID}
		}
		if !page.More {
			break
		}
	}
	if entries != 300 {
		t.Errorf("got %d audit entries, want 300", entries)
	}
	if n := d.decide(payments.Accepted, letters...); n != 0 {
		t.Errorf("%d are accepted twice, want none", n)
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

// explained explains an order with the queries of the store.
func explained(t *testing.T, d *db) {
	d.apply(order("e1", 0, orderCreated, amount(500, "USD")), order("e3", 2, orderFailed), order("e9", 0, orderSuccess, of("o9")))
	d.apply(order("e2", 1, orderSuccess, amount(500, "USD")), dispute("c1", 3, disputeLost, disputeID("d1")), dispute("c2", 3, disputeWon, disputeID("d1")))
	x, err := payments.ExplainOrder(t.Context(), d.Store, "o1")
	d.check(err)
	text := strings.Join(x.Sentences, "\n")
	for _, want := range []string{
		`Order "o1" is paid: its status is success since `, `captured`, `Dispute "d1" of generic about order "o1" is lost`,
		`The order was success since`, `and this says failed at`, `app deadletters accept 1 --why`, `app deadletters accept 2 --why`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no sentence has %q:\n%s", want, text)
		}
	}
	if len(x.Timeline) != 5 || len(x.DeadLetters) != 2 || x.Earlier != 0 {
		t.Errorf("got %d events and %d dead letters, want 5 and 2", len(x.Timeline), len(x.DeadLetters))
	}
	for _, e := range x.Timeline {
		if e.Late != (e.Key.EventID == "e2") && e.Key.EventID != "c1" || e.Why == "" {
			t.Errorf("entry %+v, want only e2 late", e)
		}
	}
	d.decide(payments.Discarded, x.DeadLetters...)
	x, err = payments.ExplainDispute(t.Context(), d.Store, disputeKey("d1"))
	d.check(err)
	if last := x.Timeline[len(x.Timeline)-1]; !strings.Contains(last.Why, `discarded by "ann"`) || !strings.Contains(last.Why, `"a test"`) {
		t.Errorf("the discarded event is explained by %q, want by ann", last.Why)
	}
}
