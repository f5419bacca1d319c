package provider

import (
	"fmt"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
)

// TestUnreadMembersRefuseNothing uses members that no decoder reads.
func TestUnreadMembersRefuseNothing(t *testing.T) {
	for name, body := range map[string]string{
		"byte order mark":   "\ufeff" + order(),
		"twice":             order("x", `{"a":[{"b":1,"b":2}]}`),
		"other case":        order("straße", `1`, "STRAßE", `2`),
		"Kelvin sign":       order("K", `1`, "k", `2`),
		"depth 128":         order("x", strings.Repeat(`[`, jsonbody.MaxDepth-1)+strings.Repeat(`]`, jsonbody.MaxDepth-1)),
		"many siblings":     order("x", "["+strings.Repeat(`{"a":[]},`, 300)+`[]]`),
		"brackets in text":  order("x", `"`+strings.Repeat(`[\"`, 200)+`"`),
		"invalid UTF-8":     order("x", "\"\xff\xed\xa0\x80\xc0\xaf\""),
		"half a surrogate":  order("x", `"\ud800"`, "y", `"\udc00 \ud800\ud800"`),
		"surrogate in name": strings.Replace(order("x", `1`), `"x"`, `"\udfff"`, 1),
		"NUL":               order("x", `"a\u0000b"`),
		"NUL in a name":     strings.Replace(order("x", `1`), `"x"`, `"a\u0000"`, 1),
		"long number":       order("x", strings.Repeat("1", 200_000)),
		"dotted name":       order("meta.amount", `true`, "META.AMOUNT", `1`),
		"twin of no member": order("PART", `1`, "Part", `2`),
		"unread in meta":    order("meta", `{"x":1,"x":"\ud800","order_id":2}`),
		"dots in meta":      order("meta", `{"amount.x":1,"amount.x":2,".":3,"":4,"":5}`),
		"twin of meta":      order("META", `{"amount":-1}`, "Meta", `true`),
		"Meta of an order":  strings.Replace(order("x", `1`), `"x"`, `"\uff4deta"`, 1),
		"20,000 names":      strings.TrimSuffix(order(), "}") + strings.Repeat(`,"x":0,"X":1`, 10_000) + "}",
		"large":             order("x", `"`+strings.Repeat("a", 200_000)+`"`),
		"deep object":       order("x", strings.Repeat(`{"a":`, jsonbody.MaxDepth-1)+`1`+strings.Repeat(`}`, jsonbody.MaxDepth-1)),
	} {
		t.Run(name, func(t *testing.T) { // accepted checks that the body is kept
			wantUpdate(t, accepted(t, ordersPath, body), accepted(t, ordersPath, order()))
		})
	}
}

// TestAmbiguousMembers uses members that are read and whose names are there twice,
// exactly or but for letter case.
func TestAmbiguousMembers(t *testing.T) {
	for path, f := range map[string]format{ordersPath: genericOrder, disputesPath: genericDispute} {
		body := map[string]func(...string) string{ordersPath: order, disputesPath: dispute}[path]
		for _, member := range f.form.Paths() {
			for name, again := range map[string]string{
				"exactly": member, "in capitals": strings.ToUpper(member), "in one capital": member[:len(member)-1] + strings.ToUpper(member[len(member)-1:]),
				"by an escape": fmt.Sprintf(`\u%04x`, member[0]) + member[1:], "with a long s": strings.ReplaceAll(member, "s", "ſ"),
				"with a Kelvin sign": strings.ReplaceAll(member, "k", "\u212a"),
			} {
				if object, inner, nested := strings.Cut(member, "."); nested {
					again = again[strings.IndexByte(again, '.')+1:]
					text := body(object, `{"`+inner+`":null,"`+again+`":null}`)
					if again != inner || name == "exactly" {
						refused(t, path, text, "duplicate_key")
					}
					continue
				}
				if again == member && name != "exactly" {
					continue
				}
				for _, text := range []string{
					strings.TrimSuffix(body(member, `null`), "}") + `,"` + again + `":1}`,
					`{"` + again + `":{},` + body(member, `""`)[1:],
				} {
					refused(t, path, text, "duplicate_key")
				}
			}
		}
	}
}

func TestGenericOrderMoney(t *testing.T) {
	usd := func(units int64) *payrelayv1.Money { return &payrelayv1.Money{MinorUnits: units, Currency: "USD"} }
	for _, c := range []struct {
		changes []string
		want    *payrelayv1.OrderSnapshot
	}{
		{[]string{"amount", `"100.5000"`, "currency", `"usd"`}, &payrelayv1.OrderSnapshot{Amount: usd(10050)}},
		{[]string{"amount", `1`, "currency", `"EUR"`, "meta", `{"amount":2,"currency":"USD"}`}, &payrelayv1.OrderSnapshot{Amount: usd(200)}},
		{[]string{"meta", `{"amount":2}`}, &payrelayv1.OrderSnapshot{}},
		{[]string{"meta", `{"currency":"USD"}`}, &payrelayv1.OrderSnapshot{}},
		{[]string{"meta", `[]`, "user_id", `[]`, "created_at", `"0001-01-01T00:00:00"`, "amount", `""`}, &payrelayv1.OrderSnapshot{}},
		{[]string{"amount", `{"value":1}`, "part", `7`, "meta", `{"refunded":false}`}, &payrelayv1.OrderSnapshot{}},
		{[]string{"part", `"pi_1"`, "meta", `{"authorized":3,"captured":"2","refunded":0,"currency":"USD"}`},
			&payrelayv1.OrderSnapshot{Part: "pi_1", Authorized: usd(300), Captured: usd(200), Refunded: usd(0)}},
	} {
		c.want.Status = payrelayv1.OrderStatus_ORDER_STATUS_CREATED
		got := accepted(t, ordersPath, order(c.changes...))
		wantUpdate(t, got, &payrelayv1.Update{EventId: "evt-1", OrderId: "order-1", OccurredAt: at(t, "2026-01-04T10:00:00Z"),
			Subject: &payrelayv1.Update_Order{Order: c.want}})
	}
	stage := accepted(t, disputesPath, dispute("stage", `"arbitration"`, "amount", `0`, "outcome_amount", `"5"`, "currency", `"USD"`)).GetDispute()
	if stage.GetStage() != payrelayv1.DisputeStage_DISPUTE_STAGE_ARBITRATION || stage.Amount != nil || stage.GetOutcomeAmount().GetMinorUnits() != 500 {
		t.Errorf("dispute = %v, want stage arbitration, no amount and the outcome amount 5.00", stage)
	}
}
