package api

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

func TestDisputeItem(t *testing.T) {
	key := func(id string) payments.DisputeKey { return payments.DisputeKey{Source: "acme", ID: id} }
	full := payments.Dispute{
		DisputeKey: key("dispute-1"), OrderID: "order-1", Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_UNDER_REVIEW, UserID: "user-1", Reason: "fraud",
		Amount: payments.Money{MinorUnits: 999_999_999_999_999_999, Currency: "KWD"}, OpenedAt: noon, UpdatedAt: noon, EvidenceDueAt: noon.Add(time.Hour),
	}
	bare := payments.Dispute{DisputeKey: key("dispute-2"), OrderID: "order-2", Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN, OpenedAt: noon, UpdatedAt: noon}
	again := bare
	again.DisputeKey, again.OrderID, again.Status = key("dispute-3"), "order-1", payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST
	again.Stage, again.Reopened = payrelayv1.DisputeStage_DISPUTE_STAGE_ARBITRATION, 2
	again.Amount, again.OutcomeAmount = payments.Money{MinorUnits: 10051, Currency: "USD"}, payments.Money{MinorUnits: 50, Currency: "USD"}
	full.Sequence, bare.Sequence, again.Sequence = 1, 2, 3
	order := payments.Order{ID: "order-1", Amount: payments.Money{MinorUnits: 10050, Currency: "USD"}}
	handler := publicRoutes(&memory{disputes: []payments.Dispute{full, bare, again}, orders: []payments.Order{order}})
	for id, want := range map[string]string{
		"dispute-1": `{"dispute_id":"dispute-1","source":"acme","order_id":"order-1","status":"under_review","user_id":"user-1","reason":"fraud",` +
			`"amount":{"minor_units":999999999999999999,"currency":"KWD"},"flags":["currency_differs"],"opened_at":"2026-01-04T12:00:00.123456Z",` +
			`"updated_at":"2026-01-04T12:00:00.123456Z","evidence_due_at":"2026-01-04T13:00:00.123456Z"}`,
		"dispute-2": `{"dispute_id":"dispute-2","source":"acme","order_id":"order-2","status":"open","opened_at":"2026-01-04T12:00:00.123456Z","updated_at":"2026-01-04T12:00:00.123456Z"}`,
		"dispute-3": `{"dispute_id":"dispute-3","source":"acme","order_id":"order-1","stage":"arbitration","status":"lost","reopened":2,` +
			`"amount":{"minor_units":10051,"currency":"USD"},"outcome_amount":{"minor_units":50,"currency":"USD"},` +
			`"flags":["dispute_exceeds_order","reopened"],"opened_at":"2026-01-04T12:00:00.123456Z","updated_at":"2026-01-04T12:00:00.123456Z"}`,
	} {
		if got := get(t, handler, "/disputes/"+id); got.status != http.StatusOK || got.text() != want {
			t.Errorf("%s = %d %s\nwant %s", id, got.status, got.body, want)
		}
	}
	// The items of a listing have the flags too.
	page := wantJSON[pageBody[disputeItem]](t, get(t, handler, "/disputes"))
	if len(page.Items) != 3 || len(page.Items[0].Flags) != 2 {
		t.Errorf("GET /disputes = %+v, want 3 disputes, dispute-3 first with its flags", page.Items)
	}
}

// twoSources is a Reader of disputes of two sources with one id.
func twoSources() *memory {
	m := new(memory)
	for i, source := range []string{"shop b", "generic"} {
		m.disputes = append(m.disputes, payments.Dispute{
			Sequence: int64(2 - i), DisputeKey: payments.DisputeKey{Source: source, ID: "d"}, OrderID: "order of " + source, OpenedAt: noon, UpdatedAt: noon,
		})
	}
	return m
}

func TestDisputeOfOneSource(t *testing.T) {
	handler := publicRoutes(twoSources())
	for target, source := range map[string]string{"/disputes/d?source=generic": "generic", "/disputes/d?source=shop+b": "shop b"} {
		if got := wantJSON[disputeItem](t, get(t, handler, target)); got.Source != source || got.OrderID != "order of "+source {
			t.Errorf("GET %s = %+v, want the dispute of %s", target, got, source)
		}
	}
	get(t, handler, "/disputes/d?source=other").wantError(t, http.StatusNotFound, "not_found")
	for _, sources := range []string{"generic", "generic,shop+b"} {
		page := wantJSON[pageBody[disputeItem]](t, get(t, handler, "/disputes?sources="+sources))
		if want := 1 + strings.Count(sources, ","); len(page.Items) != want {
			t.Errorf("GET /disputes?sources=%s has %d items, want %d", sources, len(page.Items), want)
		}
	}
}

func TestDisputeIsReadByItsKey(t *testing.T) {
	for target, want := range map[string]payments.DisputeQuery{
		"/disputes/a%2Fb":          {DisputeIDs: []string{"a/b"}},
		"/disputes/a%2Fb?source=s": {DisputeIDs: []string{"a/b"}, Sources: []string{"s"}},
	} {
		m := new(memory)
		get(t, publicRoutes(m), target).wantError(t, http.StatusNotFound, "not_found")
		want.Page.Limit = payments.MaxPageSize
		if !reflect.DeepEqual(m.asked, want) {
			t.Errorf("GET %s reads %+v, want %+v", target, m.asked, want)
		}
	}
}

func TestDisputeOfSeveralSourcesIsAmbiguous(t *testing.T) {
	got := get(t, publicRoutes(twoSources()), "/disputes/d")
	got.wantError(t, http.StatusConflict, "ambiguous_id")
	if want := "add the parameter source with one of generic, shop b"; !strings.Contains(got.body, want) {
		t.Errorf("GET /disputes/d = %s, want it to contain %q", got.body, want)
	}
}

// Disputes of several sources with one id can be on different pages.
func TestPagesOfDisputesWithOneID(t *testing.T) {
	handler := publicRoutes(twoSources())
	for _, ascending := range []string{"true", "false"} {
		target, seen := "/disputes?limit=1&sort_asc="+ascending, ""
		page := wantJSON[pageBody[disputeItem]](t, get(t, handler, target))
		seen += page.Items[0].Source
		page = wantJSON[pageBody[disputeItem]](t, get(t, handler, target+"&cursor="+page.NextCursor))
		seen += page.Items[0].Source
		if want := map[string]string{"true": "genericshop b", "false": "shop bgeneric"}[ascending]; seen != want || page.HasMore {
			t.Errorf("sort_asc=%s: pages with the disputes of %q, want %q", ascending, seen, want)
		}
	}
}

// If the orders of disputes cannot be read, the request fails, because flags would be
// missing.
func TestDisputesNeedTheirOrders(t *testing.T) {
	m := twoSources()
	m.fail = failAfter(1)
	get(t, publicRoutes(m), "/disputes").wantError(t, http.StatusServiceUnavailable, "unavailable")
}

// paidUpdate returns a success of an order that names a payment.
func paidUpdate(order, payment string) *payrelayv1.Update {
	u := orderUpdate("paid " + order + payment)
	u.OrderId = order
	u.GetOrder().Status, u.GetOrder().Part = payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS, payment
	return u
}

// disputeOf returns a dispute that names an order.
func disputeOf(order, id string) *payrelayv1.Update {
	u := disputeUpdate("dispute " + id)
	u.OrderId = order
	u.GetDispute().DisputeId = id
	return u
}

// A dispute that names only a payment is found by the order of the payment.
func TestDisputesOfTheParts(t *testing.T) {
	handler := publicOverSQLite(t, []*payrelayv1.Update{
		paidUpdate("o1", "pi_1"), paidUpdate("o1", "pi_2"), paidUpdate("o2", "pi_3"), paidUpdate("o2", ""), paidUpdate("pi_4", "pi_4"),
		disputeOf("o1", "d0"), disputeOf("pi_1", "d1"), disputeOf("pi_2", "d2"), disputeOf("pi_3", "d3"), disputeOf("pi_4", "d4"), disputeOf("pi_9", "d9"),
	})
	for orders, want := range map[string]string{
		"o1": "d0 d1 d2", "o2": "d3", "o1,o2": "d0 d1 d2 d3", "pi_1": "d1", "pi_4": "d4", "pi_9": "d9", "o1,pi_1": "d0 d1 d2", "none": "",
		"o1&dispute_ids=d2,d3": "d2", "o1&sources=other": "", "o2,o2": "d3",
	} {
		for _, limit := range []string{"1", "200"} {
			target, params := parseTarget(t, "/disputes?sort_asc=true&order_ids="+orders)
			params.Set("limit", limit)
			items, _ := walk(t, handler, target, params)
			var got []string
			for _, item := range items {
				got = append(got, item.DisputeID)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("disputes of %s, limit %s = %q, want %s", orders, limit, got, want)
			}
		}
	}
	page := wantJSON[pageBody[disputeItem]](t, get(t, handler, "/disputes?order_ids=o2"))
	if len(page.Items) != 1 || page.Items[0].OrderID != "pi_3" {
		t.Errorf("disputes of o2 = %+v, want one with the order_id of the payment", page.Items)
	}
}

// The filter has at most 200 ids: those of the request first, then parts by name.
func TestPartsBeyondTheFilter(t *testing.T) {
	var updates []*payrelayv1.Update
	for i := range 250 {
		updates = append(updates, paidUpdate("o1", fmt.Sprintf("pi_%03d", i)))
	}
	updates = append(updates, disputeOf("pi_198", "d198"), disputeOf("pi_199", "d199"), disputeOf("zzz", "d0"))
	handler := publicOverSQLite(t, updates)
	for orders, want := range map[string]int{"o1": 1, "o1,zzz": 1, "o1,pi_199": 1, "zzz": 1, "pi_198,pi_199": 2} {
		page := wantJSON[pageBody[disputeItem]](t, get(t, handler, "/disputes?order_ids="+orders))
		if len(page.Items) != want {
			t.Errorf("disputes of %s = %+v, want %d", orders, page.Items, want)
		}
	}
	many := strings.TrimSuffix(strings.Repeat("x,", 199), ",")
	page := wantJSON[pageBody[disputeItem]](t, get(t, handler, "/disputes?order_ids=o1,"+many))
	if len(page.Items) != 0 {
		t.Errorf("disputes of 200 orders = %+v, want none of parts", page.Items)
	}
}

// Without the parts a dispute would be missing, so the request fails.
func TestDisputesNeedTheirParts(t *testing.T) {
	m := twoSources()
	m.fail = failAfter(0)
	get(t, publicRoutes(m), "/disputes?order_ids=o1").wantError(t, http.StatusServiceUnavailable, "unavailable")
}
