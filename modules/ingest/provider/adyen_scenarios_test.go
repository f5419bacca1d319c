package provider

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
	model "github.com/payrelay/payrelay/modules/payments/oracle"
)

// day returns a time as Adyen writes it.
func day(days float64) string {
	at := time.Date(2026, 1, 1, 13, 0, 0, 0, time.FixedZone("", 3600)).Add(time.Duration(days * 24 * float64(time.Hour)))
	return at.Format("2006-01-02T15:04:05-07:00")
}

func euros(cents int64) payments.Money { return payments.Money{MinorUnits: cents, Currency: "EUR"} }

// about returns the members of an event about the dispute D1.
func about(code string, days float64, additional map[string]any) testItem {
	if additional == nil {
		additional = map[string]any{}
	}
	return testItem{"eventCode": code, "pspReference": "D1", "eventDate": day(days), "additionalData": additional, "amount": amountOf(1000, "EUR")}
}

// adyenScenario is a sequence of items, in the order of the provider's clock, and the
// state that they result in.
type adyenScenario struct {
	name  string
	items []testItem
	want  outcome
}

var adyenScenarios = []adyenScenario{
	{name: "S07 the failed capture is recovered",
		items: []testItem{
			{"eventCode": "AUTHORISATION", "pspReference": "P1", "originalReference": nil, "eventDate": day(0)},
			{"eventCode": "CAPTURE", "pspReference": "C1", "eventDate": day(0.1)},
			{"eventCode": "CAPTURE_FAILED", "pspReference": "C1", "eventDate": day(2)},
			{"eventCode": "CAPTURE", "pspReference": "C2", "eventDate": day(3)},
		},
		want: outcome{order: &model.Order{Status: "success", Authorized: euros(1000), Captured: euros(1000)}}},
	{name: "S17 a refund is reversed",
		items: []testItem{
			{"eventCode": "CAPTURE", "pspReference": "C1", "eventDate": day(0)},
			{"eventCode": "REFUND", "pspReference": "R1", "eventDate": day(1)},
			{"eventCode": "REFUNDED_REVERSED", "pspReference": "R1", "eventDate": day(5)},
		},
		want: outcome{order: &model.Order{Status: "success", Captured: euros(1000), Refunded: euros(0)}}},
	{name: "S35 a second chargeback after a won one",
		items: []testItem{
			about("CHARGEBACK", 1, nil),
			about("CHARGEBACK_REVERSED", 5, nil),
			about("SECOND_CHARGEBACK", 40, nil),
		},
		want: outcome{dispute: &payments.Dispute{Status: disputeLost, Stage: stagePreArbitration, Amount: euros(1000)}}},
	{name: "S49 arbitration is lost, and the second chargeback has fees",
		items: []testItem{
			about("PREARBITRATION_OPEN", 0, nil),
			about("SCHEME_ARBITRATION", 10, nil),
			about("SCHEME_ARBITRATION_LOST", 60, nil),
			{"eventCode": "SECOND_CHARGEBACK", "pspReference": "D1", "eventDate": day(61), "amount": amountOf(1500, "EUR")},
		},
		want: outcome{dispute: &payments.Dispute{Status: disputeLost, Stage: stageArbitration, Amount: euros(1500)}}},
	{name: "S53 the issuer withdraws pre-arbitration and opens it again",
		items: []testItem{
			about("PREARBITRATION_OPEN", 0, map[string]any{"disputeStatus": "Undefended"}),
			about("PREARBITRATION_ISSUER_WITHDRAWN", 5, map[string]any{"disputeStatus": "Won"}),
			about("PREARBITRATION_OPEN", 9, map[string]any{"disputeStatus": "Undefended", "defensePeriodEndsAt": day(20)}),
		},
		want: outcome{dispute: &payments.Dispute{Status: disputeOpen, Stage: stagePreArbitration, Amount: euros(1000), Reopened: 1,
			EvidenceDueAt: time.Date(2026, 1, 21, 12, 0, 0, 0, time.UTC)}}},
	{name: "a capture in parts, whose rest expires",
		items: []testItem{
			{"eventCode": "AUTHORISATION", "pspReference": "P1", "originalReference": nil, "eventDate": day(0), "amount": amountOf(5000, "EUR")},
			{"eventCode": "CAPTURE", "pspReference": "C1", "originalReference": "P1", "eventDate": day(1)},
			{"eventCode": "CAPTURE", "pspReference": "C2", "originalReference": "P1", "eventDate": day(2)},
			{"eventCode": "EXPIRE", "pspReference": "P1", "originalReference": nil, "eventDate": day(28), "amount": amountOf(5000, "EUR")},
		},
		want: outcome{order: &model.Order{Status: "success", Authorized: euros(5000), Captured: euros(2000)}}},
	{name: "a canceled authorization",
		items: []testItem{
			{"eventCode": "AUTHORISATION", "pspReference": "P0", "originalReference": nil, "eventDate": day(0), "success": "false"},
			{"eventCode": "AUTHORISATION", "pspReference": "P1", "originalReference": nil, "eventDate": day(1)},
			{"eventCode": "AUTHORISATION_ADJUSTMENT", "pspReference": "A1", "originalReference": "P1", "eventDate": day(2), "amount": amountOf(1200, "EUR")},
			{"eventCode": "CANCELLATION", "pspReference": "X1", "originalReference": "P1", "eventDate": day(3)},
		},
		want: outcome{order: &model.Order{Status: "canceled", Authorized: euros(1200)}}},
	{name: "a defended chargeback",
		items: []testItem{
			about("NOTIFICATION_OF_CHARGEBACK", 0, map[string]any{"disputeStatus": "Undefended", "defensePeriodEndsAt": day(18)}),
			about("CHARGEBACK", 1, map[string]any{"disputeStatus": "Undefended", "defensePeriodEndsAt": day(18)}),
			about("INFORMATION_SUPPLIED", 10, map[string]any{"disputeStatus": "Pending"}),
			about("CHARGEBACK_REVERSED", 11, map[string]any{"disputeStatus": "Pending"}),
			about("ISSUER_RESPONSE_TIMEFRAME_EXPIRED", 90, map[string]any{"disputeStatus": "Won"}),
		},
		want: outcome{dispute: &payments.Dispute{Status: disputeWon, Stage: stageChargeback, Amount: euros(1000)}}},
}

// Every scenario has the same result in every order of arrival, as one batch.
func TestAdyenScenarios(t *testing.T) {
	for _, s := range adyenScenarios {
		t.Run(strings.Fields(s.name)[0], func(t *testing.T) {
			for arrival := range permutationsOf(s.items) {
				var items []testItem
				for _, members := range arrival {
					items = append(items, newItem(t, members))
				}
				updates := receive(t, items...).Updates
				keys := make(map[payments.Key]bool)
				for _, u := range updates {
					keys[model.KeyOf(u)] = true
				}
				if len(keys) != len(updates) {
					t.Fatalf("%s: %d keys of %d events", s.name, len(keys), len(updates))
				}
				s.want.check(t, s.name, payments.DisputeKey{Source: "adyen-eu", ID: "D1"}, model.Fold(updates, nil))
			}
		})
	}
}

// outcome is the state that a scenario results in. The order and the dispute are compared
// without their times, if they are not nil.
type outcome struct {
	order   *model.Order
	dispute *payments.Dispute
}

// check compares the result with the order order-1 and the dispute with a key.
func (want outcome) check(t *testing.T, name string, key payments.DisputeKey, got model.Result) {
	t.Helper()
	if len(got.Refused) > 0 {
		t.Fatalf("%s: refused %v", name, got.Refused)
	}
	if want.order != nil {
		order := got.Orders["order-1"]
		order.Created, order.Updated = time.Time{}, time.Time{}
		if order != *want.order || len(got.Orders) != 1 {
			t.Fatalf("%s: order %+v of %d, want %+v", name, order, len(got.Orders), *want.order)
		}
	}
	if want.dispute != nil {
		expected := *want.dispute
		expected.DisputeKey, expected.OrderID = key, "order-1"
		dispute := got.Disputes[key]
		dispute.OpenedAt, dispute.UpdatedAt, dispute.StatusAt = time.Time{}, time.Time{}, time.Time{}
		if dispute != expected || len(got.Disputes) != 1 {
			t.Fatalf("%s: dispute %+v of %d, want %+v", name, dispute, len(got.Disputes), expected)
		}
	}
}

// permutationsOf yields every order of the items.
func permutationsOf[T any](items []T) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		var permute func(n int) bool
		items := slices.Clone(items)
		permute = func(n int) bool {
			if n == len(items) {
				return yield(items)
			}
			for i := n; i < len(items); i++ {
				items[n], items[i] = items[i], items[n]
				if !permute(n + 1) {
					return false
				}
				items[n], items[i] = items[i], items[n]
			}
			return true
		}
		permute(0)
	}
}
