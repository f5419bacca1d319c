package alerts

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/rules"
)

// TestDeadLetters: for each reason that a webhook can cause, an alert fires. A day later the
// oldest is reported too. One that a later webhook settles is not reported.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	p := launch(t, all(t, "direct", "--sources", openShop(t, time.Time{}).file))
	r := record(t, map[string]*process{"a": p})
	r.during(2*time.Minute, nothing)

	send := func(want, kind, body string) {
		t.Helper()
		status, answer := post(p.URL("internal")+"/internal/updates/"+kind, body)
		if status/100 != 2 {
			t.Fatalf("the update %s is answered %d %s, want 2xx", body, status, answer)
		}
	}
	at := func(minute int) string {
		return time.Now().Add(time.Duration(minute-60) * time.Minute).UTC().Format(time.RFC3339)
	}
	update := func(event, order string, minute int, facts string) string {
		return fmt.Sprintf(`{"provider": "shop", "event_id": %q, "order_id": %q, "occurred_at": %q, %s}`, event, order, at(minute), facts)
	}
	paid := `"order": {"status": "ORDER_STATUS_SUCCESS", "amount": {"minor_units": 1000, "currency": "USD"}}`
	for _, n := range []string{"1", "2", "3", "4"} {
		send("applied", "orders", update("paid-"+n, "order-"+n, 1, paid))
	}
	send("contradiction", "orders", update("failed-1", "order-1", 2, `"order": {"status": "ORDER_STATUS_FAILED"}`))
	send("currency_mismatch", "orders", update("refund-2", "order-2", 2, `"order": {"status": "ORDER_STATUS_SUCCESS", "refunded": {"minor_units": 500, "currency": "EUR"}}`))
	send("conflict", "orders", update("paid-3", "order-3", 1, `"order": {"status": "ORDER_STATUS_SUCCESS", "amount": {"minor_units": 2000, "currency": "USD"}}`))
	send("future_time", "orders", update("later-4", "order-4", 3*24*60, paid))
	send("unknown_status", "orders", update("odd-4", "order-4", 3, `"order": {"provider_status": "half_paid"}`))
	send("unknown_schema", "orders", update("new-4", "order-4", 4, `"schema_version": 99, `+paid))
	opened := `"dispute": {"dispute_id": "dispute-1", "status": "DISPUTE_STATUS_OPEN"}`
	send("applied", "disputes", update("opened-1", "order-1", 3, opened))
	send("order_mismatch", "disputes", update("opened-2", "order-2", 4, opened))

	await(t, "the gauge of dead letters", func() bool { return peek(p, "payrelay_dead_letters_open") == 7 })
	r.during(2*time.Minute, nothing)
	want := []string{"conflict", "contradiction", "currency_mismatch", "future_time", "order_mismatch", "unknown_schema", "unknown_status"}
	if got := r.labels("PayrelayDeadLetters", "reason"); !slices.Equal(got, want) {
		t.Errorf("the alert fires for the reasons %q, want %q", got, want)
	}
	r.hold(26*time.Hour, 5*time.Minute)
	r.want("a day later", "PayrelayDeadLettersOld (ticket)")
}

// labels returns the values of a label of the alerts of a name that fire, sorted.
func (r *recorder) labels(alert, label string) []string {
	var values []string
	for _, group := range r.groups {
		for _, rule := range group.AlertingRules() {
			for _, active := range rule.ActiveAlerts() {
				if rule.Name() == alert && active.State == rules.StateFiring {
					values = append(values, active.Labels.Get(label))
				}
			}
		}
	}
	slices.Sort(values)
	return values
}

// TestSettledDeadLetter: a contradiction that the next webhook resolves is not reported.
func TestSettledDeadLetter(t *testing.T) {
	p := launch(t, all(t, "direct", "--sources", openShop(t, time.Time{}).file))
	r := record(t, map[string]*process{"a": p})
	await(t, "the gauge of dead letters", func() bool { return peek(p, "payrelay_dead_letters_open") == 0 })
	r.scrape()
	// The reversal, which explains the failure, arrives last.
	for _, u := range []struct {
		status string
		minute int
	}{{"SUCCESS", 1}, {"FAILED", 3}, {"REVERSED", 2}} {
		body := fmt.Sprintf(`{"provider": "shop", "event_id": %q, "order_id": "order-1", "occurred_at": %q, "order": {"status": "ORDER_STATUS_%s"}}`,
			u.status, time.Now().Add(time.Duration(u.minute-60)*time.Minute).UTC().Format(time.RFC3339), u.status)
		if code, answer := post(p.URL("internal")+"/internal/updates/orders", body); code/100 != 2 {
			t.Fatalf("the update %s is answered %d %s, want 2xx", u.status, code, answer)
		}
	}
	r.scrape()
	if opened, settled := r.value("payrelay_dead_letters_total"), r.value("payrelay_dead_letters_settled_total"); opened != 1 || settled != 1 {
		t.Fatalf("%v dead letters were opened and %v settled, want 1 and 1", opened, settled)
	}
	r.during(5*time.Minute, nothing)
	r.want("after the settlement")
}

// TestDisputesDue: a dispute is due tonight, another one was due yesterday.
func TestDisputesDue(t *testing.T) {
	t.Parallel()
	p := launch(t, all(t, "direct"))
	r := record(t, map[string]*process{"a": p})
	now := time.Now().UTC()
	for i, due := range []time.Duration{12 * time.Hour, -24 * time.Hour, 60 * time.Hour} {
		id := fmt.Sprint(i)
		body := chargeback("event-"+id, "dispute-"+id, "order-"+id, "opened", now.Add(-48*time.Hour),
			fmt.Sprintf(`, "reason": "fraud", "amount": 10, "currency": "USD", "evidence_due_at": %q`, now.Add(due).Format(time.RFC3339)))
		if status, answer := post(p.URL("ingest")+"/webhooks/payments/chargebacks", body); status != 200 {
			t.Fatalf("a chargeback is answered %d %s, want 200", status, answer)
		}
	}
	await(t, "the gauge of disputes", func() bool { return peek(p, "payrelay_disputes_due", "within", "past") == 1 })
	r.scrape()
	r.hold(20*time.Minute, time.Minute)
	r.want("with disputes that are due", "PayrelayDisputePastDue (ticket)", "PayrelayDisputesDueSoon (ticket)", "PayrelayUnsigned (ticket)")
}
