package payments

import (
	"fmt"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	illegalStep = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ILLEGAL_TRANSITION
	otherMoney  = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CURRENCY_MISMATCH
)

// The legal steps of both state machines, marked with "x": from the status of the row
// to that of the column. The first row and column stand for the unspecified status, of
// an order or dispute without an applied update.
var (
	orderSteps = []string{
		//0 created updated success failed
		". x x x x", // unspecified
		". x x x x", // created
		". . x x x", // updated
		". . . x .", // success
		". . . . x", // failed
	}
	disputeSteps = []string{
		//0 open review submitted won lost closed canceled
		". x x x x x x x", // unspecified
		". x x x x x x x", // open
		". . x x x x x x", // under review
		". . x x x x x x", // submitted
		". . . . x . . .", // won
		". . . . . x . .", // lost
		". . . . . . x .", // closed
		". . . . . . . x", // canceled
	}
)

func TestOrderStateMachine(t *testing.T) {
	eachStep(t, orderSteps, len(payrelayv1.OrderStatus_name), func(from, to int32) (int32, payrelayv1.DeadLetterReason) {
		before := Order{ID: "o1", Status: payrelayv1.OrderStatus(from)}
		after, reason := stepOrder(before, snapshotOf(payrelayv1.OrderStatus(to)))
		if reason != noReason && after != before {
			t.Errorf("stepOrder(%d to %d) is refused and changes the order to %+v", from, to, after)
		}
		return int32(after.Status), reason
	})
}

func TestDisputeStateMachine(t *testing.T) {
	eachStep(t, disputeSteps, len(payrelayv1.DisputeStatus_name), func(from, to int32) (int32, payrelayv1.DeadLetterReason) {
		before := Dispute{ID: "d1", OrderID: "o1", Status: payrelayv1.DisputeStatus(from)}
		after, reason := stepDispute(before, claimOf(payrelayv1.DisputeStatus(to)), Money{})
		if reason != noReason && after != before {
			t.Errorf("stepDispute(%d to %d) is refused and changes the dispute to %+v", from, to, after)
		}
		return int32(after.Status), reason
	})
}

// eachStep checks every step of a matrix except those to the unspecified status,
// which never reaches a state machine.
func eachStep(t *testing.T, matrix []string, statuses int, step func(from, to int32) (int32, payrelayv1.DeadLetterReason)) {
	t.Helper()
	if len(matrix) != statuses {
		t.Fatalf("the matrix has %d rows for %d statuses", len(matrix), statuses)
	}
	for from, row := range matrix {
		for to := 1; to < statuses; to++ {
			wantStatus, wantReason := int32(from), illegalStep
			if row[2*to] == 'x' {
				wantStatus, wantReason = int32(to), noReason
			}
			status, reason := step(int32(from), int32(to))
			if status != wantStatus || reason != wantReason {
				t.Errorf("step(%d to %d) = %d, %v, want %d, %v", from, to, status, reason, wantStatus, wantReason)
			}
		}
	}
}

func snapshotOf(status payrelayv1.OrderStatus) *payrelayv1.Update {
	return &payrelayv1.Update{
		OrderId: "o1", OccurredAt: timestamppb.New(time.Unix(100, 0)),
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: status}},
	}
}

func claimOf(status payrelayv1.DisputeStatus) *payrelayv1.Update {
	return &payrelayv1.Update{
		OrderId: "o1", OccurredAt: timestamppb.New(time.Unix(100, 0)),
		Subject: &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{Status: status}},
	}
}

// A snapshot without a field does not change the field.
func TestAnOrderKeepsTheFieldsThatASnapshotLeavesOut(t *testing.T) {
	first := snapshotOf(payrelayv1.OrderStatus_ORDER_STATUS_CREATED)
	first.UserId = "u1"
	first.GetOrder().CreatedAt = timestamppb.New(time.Unix(50, 1999))
	first.GetOrder().Amount = &payrelayv1.Money{MinorUnits: 100, Currency: "USD"}
	o, _ := stepOrder(Order{ID: "o1"}, first)

	bare := snapshotOf(payrelayv1.OrderStatus_ORDER_STATUS_UPDATED)
	bare.OccurredAt = timestamppb.New(time.Unix(200, 0))
	bare.GetOrder().CreatedAt = timestamppb.New(time.Unix(60, 0)) // ignored: it has one
	o, _ = stepOrder(o, bare)
	want := Order{
		ID: "o1", Status: payrelayv1.OrderStatus_ORDER_STATUS_UPDATED, UserID: "u1", Amount: Money{100, "USD"},
		CreatedAt: time.Unix(50, 1000).UTC(), UpdatedAt: time.Unix(200, 0).UTC(),
	}
	if o != want {
		t.Errorf("stepOrder() = %+v, want %+v", o, want)
	}

	zero := snapshotOf(payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS)
	zero.UserId = "u2"
	zero.GetOrder().Amount = &payrelayv1.Money{Currency: "USD"}
	if o, _ = stepOrder(o, zero); o.Amount != (Money{0, "USD"}) || o.UserID != "u2" {
		t.Errorf("amount, user = %v, %s, want 0 USD, u2", o.Amount, o.UserID)
	}
}

func TestADisputeKeepsTheFieldsThatASnapshotLeavesOut(t *testing.T) {
	first := claimOf(payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN)
	first.UserId = "u1"
	first.GetDispute().Reason = "fraud"
	first.GetDispute().Amount = &payrelayv1.Money{MinorUnits: 100, Currency: "USD"}
	first.GetDispute().EvidenceDueAt = timestamppb.New(time.Unix(900, 0))
	d, _ := stepDispute(Dispute{ID: "d1", OrderID: "o1"}, first, Money{})

	bare := claimOf(payrelayv1.DisputeStatus_DISPUTE_STATUS_WON)
	bare.OccurredAt = timestamppb.New(time.Unix(200, 0))
	d, _ = stepDispute(d, bare, Money{5, "USD"})
	want := Dispute{
		ID: "d1", OrderID: "o1", Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_WON, UserID: "u1", Reason: "fraud",
		Amount: Money{100, "USD"}, OpenedAt: time.Unix(100, 0).UTC(), UpdatedAt: time.Unix(200, 0).UTC(),
		EvidenceDueAt: time.Unix(900, 0).UTC(),
	}
	if d != want {
		t.Errorf("stepDispute() = %+v, want %+v", d, want)
	}
}

func TestCurrencies(t *testing.T) {
	for _, test := range []struct {
		update, dispute, order string
		want                   payrelayv1.DeadLetterReason
	}{
		{"", "", "", noReason},
		{"USD", "", "", noReason},
		{"", "USD", "USD", noReason},
		{"", "USD", "EUR", noReason}, // an update without an amount always fits
		{"USD", "USD", "", noReason},
		{"USD", "", "USD", noReason},
		{"USD", "USD", "USD", noReason},
		{"USD", "EUR", "", otherMoney},
		{"USD", "", "EUR", otherMoney},
		{"USD", "USD", "EUR", otherMoney},
		{"USD", "EUR", "USD", otherMoney},
	} {
		name := fmt.Sprintf("%q for a dispute in %q of an order in %q", test.update, test.dispute, test.order)
		claim, snapshot := claimOf(payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN), snapshotOf(payrelayv1.OrderStatus_ORDER_STATUS_CREATED)
		if test.update != "" {
			claim.GetDispute().Amount = &payrelayv1.Money{MinorUnits: 9, Currency: test.update}
			snapshot.GetOrder().Amount = claim.GetDispute().GetAmount()
		}
		before := Dispute{ID: "d1", Amount: Money{1, test.dispute}}
		after, reason := stepDispute(before, claim, Money{1, test.order})
		if reason != test.want || (reason != noReason && after != before) {
			t.Errorf("stepDispute(%s) = %+v, %v, want %v", name, after, reason, test.want)
		}
		if test.dispute != "" {
			continue
		}
		order := Order{ID: "o1", Amount: Money{1, test.order}}
		if changed, reason := stepOrder(order, snapshot); reason != test.want || (reason != noReason && changed != order) {
			t.Errorf("stepOrder(%s) = %+v, %v, want %v", name, changed, reason, test.want)
		}
	}
}

// An update with both faults is refused as an illegal step.
func TestAnIllegalStepComesBeforeItsCurrency(t *testing.T) {
	u := snapshotOf(payrelayv1.OrderStatus_ORDER_STATUS_CREATED)
	u.GetOrder().Amount = &payrelayv1.Money{MinorUnits: 1, Currency: "EUR"}
	ended := Order{Status: payrelayv1.OrderStatus_ORDER_STATUS_FAILED, Amount: Money{1, "USD"}}
	if _, reason := stepOrder(ended, u); reason != illegalStep {
		t.Errorf("stepOrder() = %v, want %v", reason, illegalStep)
	}
}
