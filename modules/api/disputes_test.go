package api

import (
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
	for _, source := range []string{"shop b", "generic"} {
		m.disputes = append(m.disputes, payments.Dispute{
			DisputeKey: payments.DisputeKey{Source: source, ID: "d"}, OrderID: "order of " + source, OpenedAt: noon, UpdatedAt: noon,
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

// Disputes of several sources with the same time and id can be on different pages.
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
