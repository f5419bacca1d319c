package provider

import (
	"fmt"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	folds "github.com/payrelay/payrelay/modules/payments/oracle"
)

// stripeStep is an event of a scenario: an example with changes, some days after the
// first.
type stripeStep struct {
	day     int
	example string
	changes []string
}

// stripeScenarios are the lives of orders and disputes, and how they must end, whatever
// the order of arrival.
var stripeScenarios = []struct {
	name  string
	steps []stripeStep
	want  string
}{
	{"a bank debit is returned after the success", []stripeStep{ // S09
		{0, "payment_intent.processing", nil},
		{4, "payment_intent.succeeded", nil},
		{6, "charge.failed_after_success", nil},
	}, "reversed, amount 5000 USD, captured 0 USD"},
	{"the intent of the returned debit reports it too", []stripeStep{
		{0, "payment_intent.processing", nil},
		{4, "charge.succeeded", nil},
		{4, "payment_intent.succeeded", nil},
		{6, "payment_intent.payment_failed", nil},
		{6, "charge.failed_after_success", nil},
	}, "reversed, amount 5000 USD, captured 0 USD"},
	{"two partial refunds", []stripeStep{ // S13
		{0, "payment_intent.succeeded", nil},
		{1, "charge.refunded", []string{"data.object.amount_refunded", "1000"}},
		{2, "charge.refunded", nil},
	}, "success, amount 5000 USD, captured 5000 USD, refunded 1500 USD"},
	{"two partial refunds in one second", []stripeStep{
		{0, "payment_intent.succeeded", nil},
		{0, "charge.succeeded", nil},
		{0, "charge.refunded", []string{"data.object.amount_refunded", "1000"}},
		{0, "charge.refunded", nil},
	}, "success, amount 5000 USD, captured 5000 USD, refunded 1500 USD"},
	{"the refund fails later", []stripeStep{ // S15
		{0, "payment_intent.succeeded", nil},
		{1, "charge.refunded", []string{"data.object.amount_refunded", "1000"}},
		{6, "charge.refund.updated", []string{"data.object.metadata", `{"order_id":"A-1001"}`}},
		{6, "refund.failed_expanded", nil},
	}, "success, amount 5000 USD, captured 5000 USD, refunded 0 USD"},
	{"the charge shows that the refund failed", []stripeStep{
		{0, "charge.succeeded", nil},
		{1, "charge.refunded", []string{"data.object.amount_refunded", "1000"}},
		{6, "charge.refunded", []string{"type", `"charge.updated"`, "data.object.amount_refunded", "0"}},
	}, "success, amount 5000 USD, captured 5000 USD, refunded 0 USD"},
	{"multicapture", []stripeStep{ // S23
		{0, "payment_intent.amount_capturable_updated", []string{"data.object.amount_capturable", "5000", "data.object.amount_received", "0"}},
		{1, "payment_intent.amount_capturable_updated", nil},
		{2, "payment_intent.succeeded", nil},
	}, "success, amount 5000 USD, authorized 5000 USD, captured 5000 USD"},
	{"multicapture before its end", []stripeStep{
		{0, "payment_intent.amount_capturable_updated", []string{"data.object.amount_capturable", "5000", "data.object.amount_received", "0"}},
		{0, "charge.succeeded_uncaptured", nil},
		{1, "payment_intent.amount_capturable_updated", nil},
	}, "authorized, amount 5000 USD, authorized 5000 USD, captured 2000 USD"},
	{"the rest of a multicapture is canceled", []stripeStep{
		{0, "charge.succeeded_uncaptured", nil},
		{1, "payment_intent.amount_capturable_updated", nil},
		{2, "payment_intent.canceled", []string{"data.object.amount_received", "2000"}},
	}, "success, amount 5000 USD, authorized 5000 USD, captured 2000 USD"},
	{"less is captured than was authorized", []stripeStep{
		{0, "charge.succeeded_uncaptured", nil},
		{1, "charge.captured_partial", nil},
		{1, "charge.captured_partial", []string{"type", `"charge.refunded"`}},
		{1, "payment_intent.succeeded", []string{"data.object.amount_received", "3500"}},
		{2, "charge.refunded", []string{"data.object.amount_captured", "3500", "data.object.amount_refunded", "1800"}},
	}, "success, amount 5000 USD, authorized 5000 USD, captured 3500 USD, refunded 300 USD"},
	{"an authorization is void", []stripeStep{
		{0, "charge.succeeded_uncaptured", nil},
		{1, "charge.refunded_uncaptured", nil},
		{1, "payment_intent.canceled", nil},
	}, "canceled, amount 5000 USD, authorized 5000 USD"},
	{"an authorization expires", []stripeStep{
		{0, "charge.succeeded_uncaptured", nil},
		{7, "charge.refunded_uncaptured", []string{"type", `"charge.expired"`}},
	}, "canceled, amount 5000 USD, authorized 5000 USD"},
	{"a second card works", []stripeStep{
		{0, "payment_intent.created", nil},
		{0, "charge.failed", nil},
		{0, "payment_intent.payment_failed", nil},
		{0, "payment_intent.requires_action", nil},
		{0, "charge.succeeded", nil},
		{0, "payment_intent.succeeded", nil},
	}, "success, amount 5000 USD, captured 5000 USD"},
	{"two intents pay for one order", []stripeStep{
		{0, "payment_intent.succeeded", nil},
		{1, "payment_intent.succeeded", []string{"data.object.id", `"pi_2"`, "data.object.amount_received", "700", "data.object.amount", "700"}},
		{1, "charge.succeeded", []string{"data.object.payment_intent", `"pi_2"`, "data.object.amount_captured", "700", "data.object.amount", "700"}},
		{2, "payment_intent.canceled", []string{"data.object.id", `"pi_3"`, "data.object.amount", "700"}},
	}, "success, amount 700 USD, captured 5700 USD"},
	{"two events for one change", []stripeStep{ // S63
		{0, "payment_intent.succeeded", nil},
		{1, "charge.refunded", []string{"data.object.amount_refunded", "1000"}},
		{1, "charge.refunded", []string{"data.object.amount_refunded", "1000"}},
	}, "success, amount 5000 USD, captured 5000 USD, refunded 1000 USD"},
	{"a dispute is lost, appealed and won", []stripeStep{ // S45
		{0, "charge.dispute.created", nil},
		{5, "charge.dispute.created", []string{"type", `"charge.dispute.updated"`, "data.object.status", `"under_review"`}},
		{60, "charge.dispute.closed", nil},
		{62, "charge.dispute.updated_appeal", nil},
		{65, "charge.dispute.updated_appeal", []string{"data.object.status", `"appeal_under_review"`}},
		{120, "charge.dispute.closed", []string{"data.object.status", `"won"`}},
	}, "dispute won pre_arbitration, amount 5000 USD, reopened 1"},
	{"money moves, the dispute does not", []stripeStep{
		{0, "charge.dispute.created", nil},
		{0, "charge.dispute.funds_withdrawn", nil},
		{1, "charge.dispute.funds_withdrawn", []string{"type", `"charge.dispute.funds_reinstated"`}},
	}, "dispute open chargeback, amount 5000 USD, reopened 0, due"},
	{"an inquiry ends as one", []stripeStep{ // S43
		{0, "charge.dispute.created", []string{"data.object.status", `"warning_needs_response"`}},
		{2, "charge.dispute.created", []string{"data.object.status", `"warning_under_review"`}},
		{90, "charge.dispute.closed", []string{"data.object.status", `"warning_closed"`}},
	}, "dispute closed inquiry, amount 5000 USD, reopened 0"},
}

func TestStripeScenarios(t *testing.T) {
	for _, scenario := range stripeScenarios {
		t.Run(scenario.name, func(t *testing.T) {
			var updates []*payrelayv1.Update
			for i, step := range scenario.steps {
				at := fmt.Sprint(stripeNow.Unix() + int64(step.day)*24*60*60)
				u := wantStripe(t, stripeWith(t, step.example, append(step.changes, "created", at, "id", fmt.Sprintf(`"evt_%d"`, 9-i))...))
				updates = append(updates, u)
			}
			arrivals := 0
			permuteStripe(updates, len(updates), func() {
				arrivals++
				result := folds.Fold(updates, nil)
				if got := stripeState(result); got != scenario.want || len(result.Refused) != 0 {
					t.Fatalf("state after %v =\n%s, refused %v, want\n%s, nothing refused", updates, got, result.Refused, scenario.want)
				}
			})
			if arrivals < 2 {
				t.Errorf("%d orders of arrival", arrivals)
			}
		})
	}
}

// permuteStripe calls visit with every order of the first n updates.
func permuteStripe(updates []*payrelayv1.Update, n int, visit func()) {
	if n <= 1 {
		visit()
		return
	}
	for i := range n {
		updates[i], updates[n-1] = updates[n-1], updates[i]
		permuteStripe(updates, n-1, visit)
		updates[i], updates[n-1] = updates[n-1], updates[i]
	}
}

// stripeState returns the only order or dispute as text.
func stripeState(result folds.Result) (state string) {
	for _, o := range result.Orders {
		state += o.Status
		for _, total := range []struct {
			name  string
			money payments.Money
		}{{"amount", o.Amount}, {"authorized", o.Authorized}, {"captured", o.Captured}, {"refunded", o.Refunded}} {
			if total.money.Currency != "" {
				state += fmt.Sprintf(", %s %d %s", total.name, total.money.MinorUnits, total.money.Currency)
			}
		}
	}
	for _, d := range result.Disputes {
		state += fmt.Sprintf("dispute %s %s, amount %d %s, reopened %d", payments.DisputeStatuses.Name(d.Status), payments.DisputeStages.Name(d.Stage),
			d.Amount.MinorUnits, d.Amount.Currency, d.Reopened)
		if !d.EvidenceDueAt.IsZero() {
			state += ", due"
		}
	}
	return state
}

// TestStripeRedelivery checks that what changes between deliveries of one event is no fact
// (S59).
func TestStripeRedelivery(t *testing.T) {
	for _, example := range []string{"payment_intent.succeeded", "charge.refunded", "charge.dispute.created", "radar.early_fraud_warning.created", "customer.created"} {
		first := wantStripe(t, stripeWith(t, example, "pending_webhooks", "2"))
		again := wantStripe(t, stripeWith(t, example, "pending_webhooks", "1", "request", `{"id":null}`, "api_version", `"2020-08-27"`))
		if first.GetEventId() != again.GetEventId() || payments.FactsDigest(first) != payments.FactsDigest(again) {
			t.Errorf("%s: the second delivery has other facts", example)
		}
		other := wantStripe(t, stripeWith(t, example, "type", `"customer.updated"`, "data.object.id", `"x"`))
		if payments.FactsDigest(first) == payments.FactsDigest(other) {
			t.Errorf("%s: another event has the same facts", example)
		}
	}
}
