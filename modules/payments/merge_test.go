package payments

import (
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A snapshot without a field keeps the known value.
func TestAnOrderKeepsWhatASnapshotLeavesOut(t *testing.T) {
	first := orderUpdate("e1", 100, "created")
	first.UserId = "u1"
	first.GetOrder().CreatedAt = timestamppb.New(time.Unix(50, 1999))
	first.GetOrder().Amount = usd(100).Proto()
	o, _ := stepOrder(Order{ID: "o1"}, first, false)

	bare := orderUpdate("e2", 200, "updated")
	bare.GetOrder().CreatedAt = timestamppb.New(time.Unix(60, 0)) // only that of the first snapshot counts
	o, _ = stepOrder(o, bare, false)
	want := Order{
		ID: "o1", Status: payrelayv1.OrderStatus_ORDER_STATUS_UPDATED, UserID: "u1", Amount: usd(100),
		CreatedAt: time.Unix(50, 1000).UTC(), UpdatedAt: time.Unix(200, 0).UTC(),
	}
	if o != want {
		t.Errorf("order %+v, want %+v", o, want)
	}

	zero := orderUpdate("e3", 300, "success")
	zero.UserId = "u2"
	zero.GetOrder().Amount = usd(0).Proto()
	if o, _ = stepOrder(o, zero, false); o.Amount != usd(0) || o.UserID != "u2" {
		t.Errorf("amount %v of user %s, want the newer 0 USD of u2", o.Amount, o.UserID)
	}
}

func TestADisputeKeepsWhatASnapshotLeavesOut(t *testing.T) {
	first := disputeUpdate("e1", 100, "open", 2)
	first.UserId = "u1"
	first.GetDispute().Reason = "fraud"
	first.GetDispute().Amount = usd(100).Proto()
	first.GetDispute().OutcomeAmount = usd(40).Proto()
	first.GetDispute().EvidenceDueAt = timestamppb.New(time.Unix(900, 1999))
	d, _ := stepDispute(Dispute{DisputeKey: DisputeKey{"generic", "d1"}}, first, false)

	bare := disputeUpdate("e2", 200, "submitted", 0)
	bare.GetDispute().Amount = usd(0).Proto() // means no amount
	d, _ = stepDispute(d, bare, false)
	want := Dispute{
		DisputeKey: DisputeKey{"generic", "d1"}, OrderID: "o1", Stage: 2, Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_SUBMITTED,
		StatusAt: time.Unix(200, 0).UTC(), UserID: "u1", Reason: "fraud", Amount: usd(100), OutcomeAmount: usd(40),
		OpenedAt: time.Unix(100, 0).UTC(), UpdatedAt: time.Unix(200, 0).UTC(), EvidenceDueAt: time.Unix(900, 1000).UTC(),
	}
	if d != want {
		t.Errorf("dispute %+v, want %+v", d, want)
	}

	vague := disputeUpdate("e3", 300, "won", 0)
	d, _ = stepDispute(d, vague, false)
	vague = disputeUpdate("e4", 400, "under_review", 0) // adds facts and keeps the outcome
	vague.GetDispute().Reason, vague.GetDispute().Amount = "goods", &payrelayv1.Money{MinorUnits: 7, Currency: "EUR"}
	vague.GetDispute().EvidenceDueAt = timestamppb.New(time.Unix(950, 0))
	d, _ = stepDispute(d, vague, false)
	want.Status, want.StatusAt, want.UpdatedAt = payrelayv1.DisputeStatus_DISPUTE_STATUS_WON, time.Unix(300, 0).UTC(), time.Unix(400, 0).UTC()
	want.Reason, want.Amount, want.EvidenceDueAt = "goods", Money{MinorUnits: 7, Currency: "EUR"}, time.Time{}
	if d != want {
		t.Errorf("dispute %+v, want %+v", d, want)
	}
}

// A deadline belongs to one stage and one round of a dispute.
func TestEvidenceDueAt(t *testing.T) {
	dueAt := func(u *payrelayv1.Update, second int64) *payrelayv1.Update {
		if second > 0 {
			u.GetDispute().EvidenceDueAt = timestamppb.New(time.Unix(second, 0))
		}
		return u
	}
	for name, test := range map[string]struct {
		status string
		stage  payrelayv1.DisputeStage
		says   int64
		want   int64
	}{
		"the same stage":           {"submitted", 2, 0, 500},
		"no stage":                 {"submitted", 0, 0, 500},
		"a newer deadline":         {"submitted", 2, 400, 400},
		"a later stage":            {"open", 3, 0, 0},
		"an earlier stage":         {"open", 1, 0, 0},
		"a later stage with one":   {"open", 3, 800, 800},
		"a vague later stage":      {"under_review", 3, 0, 0},
		"an outcome":               {"lost", 2, 800, 0},
		"an outcome without stage": {"closed", 0, 0, 0},
	} {
		d, _ := stepDispute(Dispute{}, dueAt(disputeUpdate("e1", 100, "open", 2), 500), false)
		d, _ = stepDispute(d, dueAt(disputeUpdate("e2", 200, test.status, test.stage), test.says), false)
		want := time.Time{}
		if test.want > 0 {
			want = time.Unix(test.want, 0).UTC()
		}
		if !d.EvidenceDueAt.Equal(want) {
			t.Errorf("%s: due at %v, want %v", name, d.EvidenceDueAt, want)
		}
	}
}

// The currency of an order may change until money is captured. Later amounts must be in
// the captured currency.
func TestCurrenciesOfAnOrder(t *testing.T) {
	set := map[string]func(*payrelayv1.OrderSnapshot, *payrelayv1.Money){
		"amount":     func(s *payrelayv1.OrderSnapshot, m *payrelayv1.Money) { s.Amount = m },
		"authorized": func(s *payrelayv1.OrderSnapshot, m *payrelayv1.Money) { s.Authorized = m },
		"captured":   func(s *payrelayv1.OrderSnapshot, m *payrelayv1.Money) { s.Captured = m },
		"refunded":   func(s *payrelayv1.OrderSnapshot, m *payrelayv1.Money) { s.Refunded = m },
	}
	for _, status := range []string{"created", "updated", "authorized", "failed", "canceled", "success", "reversed"} {
		for field, put := range set {
			for _, says := range []string{"USD", "EUR"} {
				first := orderUpdate("e1", 100, status)
				first.GetOrder().Amount = usd(5).Proto()
				first.GetOrder().Captured = usd(5).Proto()
				before, _ := stepOrder(Order{ID: "o1"}, first, false)
				newer := orderUpdate("e2", 200, "success")
				put(newer.GetOrder(), &payrelayv1.Money{MinorUnits: 3, Currency: says})
				after, reason := stepOrder(before, newer, false)
				want := noReason
				if says == "EUR" && (status == "success" || status == "reversed") {
					want = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CURRENCY_MISMATCH
				}
				if reason != want || reason != noReason && after != before {
					t.Errorf("%s, then %s in %s: %v, want %v; order %+v", status, field, says, reason, want, after)
				}
				if after, reason = stepOrder(before, newer, true); reason != noReason || after == before {
					t.Errorf("%s, then %s in %s by force: %v", status, field, says, reason)
				}
			}
		}
	}
}

// A success without an amount accepts later amounts in any currency.
func TestASuccessWithoutMoneyHasNoCurrency(t *testing.T) {
	o, _ := stepOrder(Order{ID: "o1"}, orderUpdate("e1", 100, "success"), false)
	newer := orderUpdate("e2", 200, "success")
	newer.GetOrder().Amount = &payrelayv1.Money{MinorUnits: 3, Currency: "EUR"}
	if o, reason := stepOrder(o, newer, false); reason != noReason || o.Amount.Currency != "EUR" {
		t.Errorf("order %+v, %v", o, reason)
	}
}

// If a snapshot is both a contradiction and in another currency, the reason is the
// contradiction.
func TestAContradictionComesBeforeItsCurrency(t *testing.T) {
	first := orderUpdate("e1", 100, "success")
	first.GetOrder().Amount = usd(5).Proto()
	paid, _ := stepOrder(Order{ID: "o1"}, first, false)
	u := orderUpdate("e2", 200, "failed")
	u.GetOrder().Amount = &payrelayv1.Money{MinorUnits: 1, Currency: "EUR"}
	if after, reason := stepOrder(paid, u, false); reason != payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION || after != paid {
		t.Errorf("%v, want a contradiction; order %+v", reason, after)
	}
}

// A refused snapshot does not change a dispute.
func TestARefusedSnapshotLeavesADisputeAlone(t *testing.T) {
	d, _ := stepDispute(Dispute{}, disputeUpdate("e1", 100, "lost", 2), false)
	for name, u := range map[string]*payrelayv1.Update{
		"won at that time": disputeUpdate("e2", 100, "won", 0),
		"won at a lower":   disputeUpdate("e2", 200, "won", 1),
		"another order":    disputeUpdate("e2", 200, "open", 3),
	} {
		u.GetDispute().Reason, u.UserId = "new", "new"
		if name == "another order" {
			u.OrderId = "o2"
		}
		if after, reason := stepDispute(d, u, false); reason == noReason || after != d {
			t.Errorf("%s: %v, dispute %+v", name, reason, after)
		}
	}
}

func usd(units int64) Money { return Money{MinorUnits: units, Currency: "USD"} }
