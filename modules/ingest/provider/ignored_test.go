package provider

import (
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// TestAmountsAtTwoLevels checks which amount of an order counts, and that the members
// without an effect are named.
func TestAmountsAtTwoLevels(t *testing.T) {
	for _, c := range []struct {
		changes []string
		amount  int64 // in minor units; -1 if there is none
		in      string
		ignored string
	}{
		{[]string{"amount", `1`, "currency", `"USD"`}, 100, "USD", ""},
		{[]string{"amount", `1`, "currency", `"EUR"`, "meta", `{"amount":2,"currency":"USD"}`}, 200, "USD", "amount currency"},
		{[]string{"amount", `1`, "currency", `"USD"`, "meta", `{"amount":2,"currency":"USD"}`}, 200, "USD", "amount"},
		{[]string{"amount", `"2.00"`, "currency", `"usd"`, "meta", `{"amount":2,"currency":"USD"}`}, 200, "USD", ""},
		{[]string{"amount", `1`, "currency", `"EUR"`, "meta", `{"currency":"USD"}`}, 100, "EUR", "meta.currency"},
		{[]string{"amount", `1`, "meta", `{"currency":"USD"}`}, 100, "USD", ""},
		{[]string{"currency", `"USD"`, "meta", `{"amount":2}`}, 200, "USD", ""},
		{[]string{"amount", `1`, "meta", `{"amount":2}`}, -1, "", "meta.amount amount"},
		{[]string{"currency", `"EUR"`, "meta", `{"currency":"USD"}`}, -1, "", "meta.currency currency"},
		{[]string{"amount", `1`}, -1, "", "amount"},
		{[]string{"currency", `"USD"`}, -1, "", "currency"},
		{[]string{"meta", `{"amount":1}`}, -1, "", "meta.amount"},
		{[]string{"meta", `{"amount":"x"}`}, -1, "", "meta.amount"},
		{[]string{"meta", `{"amount":1,"currency":""}`}, -1, "", "meta.amount"},
		{[]string{"meta", `{"amount":"1","currency":null}`}, -1, "", "meta.amount"},
		{[]string{"meta", `{"amount":"","currency":"USD"}`}, -1, "", "meta.currency"},
		{[]string{"meta", `{"amount":null,"currency":"USD"}`}, -1, "", "meta.currency"},
		{[]string{"meta", `{"amount":"","currency":null}`}, -1, "", ""},
		{[]string{"meta", `{"currency":"USD"}`}, -1, "", "meta.currency"},
		{[]string{"meta", `{"currency":"USD","captured":1}`}, -1, "", ""},
		{[]string{"currency", `"USD"`, "meta", `{"captured":1}`}, -1, "", ""},
		{[]string{"meta", `{"captured":1,"refunded":true,"authorized":"-1"}`}, -1, "", "meta.authorized meta.captured meta.refunded"},
		{[]string{"amount", `{"value":1}`, "currency", `"USD"`}, -1, "", "amount currency"},
		{[]string{"amount", `-1`, "currency", `"USD"`, "meta", `{"amount":1,"currency":"USD"}`}, 100, "USD", "amount"},
		{[]string{"amount", `1`, "currency", `840`}, -1, "", "currency amount"},
		{[]string{"amount", `1`, "currency", `"US"`}, -1, "", "amount currency"},
		{[]string{"amount", `1`, "currency", "\"U\xffD\""}, -1, "", "currency amount"},
		{[]string{"part", `7`, "amount", `0`, "currency", `"USD"`}, 0, "USD", "part"},
		{[]string{"part", `"` + strings.Repeat("p", 256) + `"`}, -1, "", "part"},
		{[]string{"part", `"` + strings.Repeat("p", 255) + `"`}, -1, "", ""},
	} {
		u, ignored, err := decode(ordersPath, order(c.changes...))
		if err != nil || strings.Join(ignored, " ") != c.ignored {
			t.Errorf("decode(%q) ignores %q, %v, want %q", c.changes, ignored, err, c.ignored)
			continue
		}
		amount := u.GetOrder().GetAmount()
		if (amount == nil) != (c.amount < 0) || amount != nil && (amount.GetMinorUnits() != c.amount || amount.GetCurrency() != c.in) {
			t.Errorf("amount of %q = %v, want %d %s", c.changes, amount, c.amount, c.in)
		}
	}
}

func TestTotalsOfAnOrder(t *testing.T) {
	usd := func(units int64) *payrelayv1.Money { return &payrelayv1.Money{MinorUnits: units, Currency: "USD"} }
	want := &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS,
		Part: "pi_1", Authorized: usd(300), Captured: usd(200), Refunded: usd(0)}
	for _, meta := range []string{`{"authorized":3,"captured":"2","refunded":0,"currency":"USD"}`, `{"authorized":"3.00","captured":2.0,"refunded":"0","currency":"usd"}`} {
		got := accepted(t, ordersPath, order("status", `"success"`, "part", `"pi_1"`, "meta", meta))
		wantUpdate(t, got, &payrelayv1.Update{EventId: "evt-1", OrderId: "order-1", OccurredAt: at(t, "2026-01-04T10:00:00Z"),
			Subject: &payrelayv1.Update_Order{Order: want}})
	}
}

// TestMembersOfADispute checks which stage and amounts of a dispute count, and that the
// members without an effect are named.
func TestMembersOfADispute(t *testing.T) {
	for _, c := range []struct {
		changes         []string
		amount, outcome int64 // in minor units of USD; -1 if there is none
		stage           payrelayv1.DisputeStage
		ignored         string
	}{
		{[]string{"amount", `0`, "currency", `"USD"`, "outcome_amount", `"5"`}, -1, 500, 0, ""},
		{[]string{"amount", `0`}, -1, -1, 0, ""},
		{[]string{"amount", `0`, "currency", `"USD"`, "outcome_amount", `0`}, -1, 0, 0, ""},
		{[]string{"amount", `1`}, -1, -1, 0, "amount"},
		{[]string{"amount", `1`, "currency", `""`}, -1, -1, 0, "amount"},
		{[]string{"amount", `""`, "currency", `"USD"`}, -1, -1, 0, "currency"},
		{[]string{"amount", `null`, "currency", `"USD"`}, -1, -1, 0, "currency"},
		{[]string{"amount", `""`, "currency", `null`}, -1, -1, 0, ""},
		{[]string{"currency", `"USD"`}, -1, -1, 0, "currency"},
		{[]string{"currency", `"USD"`, "meta", `{"outcome_amount":1}`}, -1, 100, 0, ""},
		{[]string{"currency", `"USD"`, "outcome_amount", `true`, "meta", `{"outcome_amount":1}`}, -1, 100, 0, "outcome_amount"},
		{[]string{"amount", `3`, "currency", `"USD"`, "outcome_amount", `2`, "meta", `{"outcome_amount":1}`}, 300, 200, 0, "meta.outcome_amount"},
		{[]string{"amount", `3`, "currency", `"USD"`, "outcome_amount", `1`, "meta", `{"outcome_amount":"1.00"}`}, 300, 100, 0, ""},
		{[]string{"outcome_amount", `2`}, -1, -1, 0, "outcome_amount"},
		{[]string{"stage", `"arbitration"`}, -1, -1, payrelayv1.DisputeStage_DISPUTE_STAGE_ARBITRATION, ""},
		{[]string{"meta", `{"stage":"inquiry"}`}, -1, -1, payrelayv1.DisputeStage_DISPUTE_STAGE_INQUIRY, ""},
		{[]string{"stage", `"chargeback"`, "meta", `{"stage":"inquiry"}`}, -1, -1, payrelayv1.DisputeStage_DISPUTE_STAGE_CHARGEBACK, "meta.stage"},
		{[]string{"stage", `"chargeback"`, "meta", `{"stage":"chargeback"}`}, -1, -1, payrelayv1.DisputeStage_DISPUTE_STAGE_CHARGEBACK, ""},
		{[]string{"stage", `7`, "meta", `{"stage":"appeal"}`}, -1, -1, 0, "stage meta.stage"},
		{[]string{"stage", `"second"`, "meta", `{"stage":"pre_arbitration"}`}, -1, -1, payrelayv1.DisputeStage_DISPUTE_STAGE_PRE_ARBITRATION, "stage"},
	} {
		u, ignored, err := decode(disputesPath, dispute(c.changes...))
		if err != nil || strings.Join(ignored, " ") != c.ignored {
			t.Errorf("decode(%q) ignores %q, %v, want %q", c.changes, ignored, err, c.ignored)
			continue
		}
		d := u.GetDispute()
		for name, amount := range map[string]struct {
			got  *payrelayv1.Money
			want int64
		}{"amount": {d.Amount, c.amount}, "outcome_amount": {d.OutcomeAmount, c.outcome}} {
			if (amount.got == nil) != (amount.want < 0) || amount.got != nil && amount.got.GetMinorUnits() != amount.want {
				t.Errorf("%s of %q = %v, want %d", name, c.changes, amount.got, amount.want)
			}
		}
		if d.GetStage() != c.stage {
			t.Errorf("stage of %q = %s, want %s", c.changes, d.GetStage(), c.stage)
		}
	}
}
