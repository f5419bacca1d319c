package payments_test

import (
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// The names are stored in databases and returned in answers, so they must not change.
func TestNames(t *testing.T) {
	wantNames(t, payments.OrderStatuses, map[payrelayv1.OrderStatus]string{
		orderCreated: "created", orderUpdated: "updated", orderSuccess: "success", orderFailed: "failed",
		orderAuthorized: "authorized", orderCanceled: "canceled", orderReversed: "reversed", orderRefunded: "refunded",
	}, len(payrelayv1.OrderStatus_name))
	wantNames(t, payments.DisputeStatuses, map[payrelayv1.DisputeStatus]string{
		disputeOpen: "open", disputeReview: "under_review", disputeSubmitted: "submitted", disputeWon: "won",
		disputeLost: "lost", disputeClosed: "closed", disputeCanceled: "canceled",
	}, len(payrelayv1.DisputeStatus_name))
	wantNames(t, payments.DisputeStages, map[payrelayv1.DisputeStage]string{
		1: "inquiry", 2: "chargeback", 3: "pre_arbitration", 4: "arbitration",
	}, len(payrelayv1.DisputeStage_name))
	wantNames(t, payments.Verdicts, map[payrelayv1.Verdict]string{
		applied: "applied", duplicate: "duplicate", stale: "stale", dead: "dead_lettered",
		payrelayv1.Verdict_VERDICT_QUEUED: "queued",
	}, len(payrelayv1.Verdict_name))
	wantNames(t, payments.DeadLetterReasons, map[payrelayv1.DeadLetterReason]string{
		illegal: "illegal_transition", contradiction: "contradiction", conflict: "conflict", futureTime: "future_time",
		unknownStatus: "unknown_status", unknownSchema: "unknown_schema", currencyMismatch: "currency_mismatch",
		orderMismatch: "order_mismatch", undecodable: "undecodable", unstorable: "unstorable", wrongEnvironment: "wrong_environment",
	}, len(payrelayv1.DeadLetterReason_name))
}

func wantNames[E interface {
	~int32
	comparable
}](t *testing.T, names payments.Names[E], want map[E]string, values int) {
	t.Helper()
	if len(want) != values-1 { // the unspecified value has no name
		t.Errorf("this test has %d values, want %d", len(want), values-1)
	}
	if got := names.All(); len(got) != len(want) {
		t.Errorf("All() = %q, want %d names", got, len(want))
	}
	for value, name := range want {
		if got := names.Name(value); got != name {
			t.Errorf("Name(%v) = %q, want %q", value, got, name)
		}
		if got, ok := names.Parse(name); !ok || got != value {
			t.Errorf("Parse(%q) = %v, %t, want %v", name, got, ok, value)
		}
	}
	for _, unnamed := range []E{0, 99, -1} {
		if got := names.Name(unnamed); got != "" {
			t.Errorf("Name(%v) = %q, want none", unnamed, got)
		}
	}
	for _, unknown := range []string{"", "unspecified", "CREATED", "Applied", "nonsense", " open"} {
		if got, ok := names.Parse(unknown); ok {
			t.Errorf("Parse(%q) = %v, want none", unknown, got)
		}
	}
}
