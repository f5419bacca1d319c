package api

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/sqlite"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const storedOrders = 230

// second returns a time of the stored updates.
func second(n int) *timestamppb.Timestamp {
	return timestamppb.New(noon.Add(time.Duration(n) * time.Second))
}

// storedUpdates returns the updates of orders: ten orders are created in each second, by
// the same user. Every tenth order has a dispute, and every second one succeeds.
func storedUpdates() []*payrelayv1.Update {
	var updates []*payrelayv1.Update
	add := func(i int, event string, at *timestamppb.Timestamp, update *payrelayv1.Update) {
		update.EventId, update.OrderId, update.UserId = event, fmt.Sprintf("o/%d", i), fmt.Sprintf("user %d", i/10)
		update.OccurredAt = at
		updates = append(updates, update)
	}
	for i := range storedOrders {
		add(i, fmt.Sprintf("c%d", i), second(i/10), orderUpdate(""))
		if i%10 == 0 {
			dispute := disputeUpdate("")
			dispute.GetDispute().DisputeId = fmt.Sprintf("d%d", i)
			dispute.GetDispute().Amount = &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"}
			add(i, fmt.Sprintf("d%d", i), second(500+i), dispute)
		}
		if i%2 == 0 {
			done := orderUpdate("")
			done.GetOrder().Status = payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS
			add(i, fmt.Sprintf("s%d", i), second(1000+i), done)
		}
	}
	return updates
}

// publicOverSQLite returns the public API of a database to which the ledger applied the
// updates.
func publicOverSQLite(t *testing.T, updates []*payrelayv1.Update) http.Handler {
	t.Helper()
	store, err := sqlite.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "payrelay.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := payments.NewLedger(store).Apply(t.Context(), updates); err != nil {
		t.Fatal(err)
	}
	return publicRoutes(store)
}

func TestStoredItemsAreListed(t *testing.T) {
	handler := publicOverSQLite(t, storedUpdates())
	at := func(n int) string {
		return url.QueryEscape(formatTime(noon.Add(time.Duration(n) * time.Second)))
	}
	for _, test := range []struct {
		target string
		want   int
	}{
		{"/orders?", storedOrders},
		{"/orders?order_ids=o%2F1,o/2&order_ids=o/3,absent", 3},
		{"/orders?user_ids=user%203,user+4", 20},
		{"/orders?statuses=success", storedOrders / 2},
		{"/orders?statuses=success,created", storedOrders},
		{"/orders?statuses=failed", 0},
		{"/orders?time_from=" + at(3), storedOrders - 30},
		{"/orders?time_to=" + at(3), 30},
		{"/orders?time_from=" + at(3) + "&time_to=" + at(5), 20},
		{"/orders?time_from=" + at(3) + "&time_to=" + at(5) + "&statuses=created&user_ids=user+3", 5},
		{"/orders?user_ids=%25", 0},
		{"/orders?user_ids=user%20_", 0},
		{"/orders?user_ids=" + url.QueryEscape(`' OR 1=1 --`), 0},
		{"/disputes?", storedOrders / 10},
		{"/disputes?dispute_ids=d10,d20", 2},
		{"/disputes?dispute_ids=d10&sources=generic", 1},
		{"/disputes?sources=other", 0},
		{"/disputes?order_ids=o/30", 1},
		{"/disputes?user_ids=user+3,user+4", 2},
		{"/disputes?statuses=open", storedOrders / 10},
		{"/disputes?statuses=won", 0},
		{"/disputes?time_from=" + at(510) + "&time_to=" + at(530), 2},
		{"/orders/events?", storedOrders + storedOrders/2},
		{"/orders/events?order_ids=o/0", 2},
		{"/orders/events?kinds=created", storedOrders},
		{"/orders/events?kinds=success&user_ids=user+0", 5},
		{"/orders/events?time_from=" + at(1000), storedOrders / 2},
		{"/disputes/events?", storedOrders / 10},
		{"/disputes/events?dispute_ids=d10&order_ids=o/10&kinds=open", 1},
		{"/disputes/events?dispute_ids=d10&order_ids=o/20", 0},
		{"/disputes/events?sources=other", 0},
		{"/disputes/events?time_to=" + at(510), 1},
	} {
		path, params := parseTarget(t, test.target)
		for _, limit := range []string{"7", "200"} {
			for _, ascending := range []string{"true", "false"} {
				params.Set("limit", limit)
				params.Set("sort_asc", ascending)
				items, _ := walk(t, handler, path, params)
				if distinct(items) != test.want || len(items) != test.want {
					t.Errorf("%s, limit=%s, sort_asc=%s: %d items, %d of them distinct, want %d", test.target, limit, ascending, len(items), distinct(items), test.want)
				}
			}
		}
	}
}

func parseTarget(t *testing.T, target string) (string, url.Values) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return u.Path, u.Query()
}

func distinct(items []listed) int {
	items = slices.Clone(items)
	slices.SortFunc(items, func(a, b listed) int {
		return cmp.Or(cmp.Compare(a.OrderID, b.OrderID), cmp.Compare(a.DisputeID, b.DisputeID), cmp.Compare(a.EventID, b.EventID))
	})
	return len(slices.Compact(items))
}

// An item that is added between two pages, or whose time moves, neither hides nor repeats
// another one, because pages are sorted by the sequence of recording.
func TestPagesAreStableWhileItemsAreAdded(t *testing.T) {
	m := fullMemory(60)
	handler := publicRoutes(m)
	first := wantJSON[pageBody[orderItem]](t, get(t, handler, "/orders"))
	m.orders = append(m.orders, payments.Order{Sequence: 1 << 40, ID: "new", CreatedAt: noon.AddDate(-9, 0, 0)})
	m.orders[0].CreatedAt = noon.AddDate(9, 0, 0)
	second := wantJSON[pageBody[orderItem]](t, get(t, handler, "/orders?cursor="+first.NextCursor))
	if len(first.Items) != 50 || len(second.Items) != 10 || second.HasMore {
		t.Errorf("pages of %d and %d items, want 50 and 10", len(first.Items), len(second.Items))
	}
}

func TestStoredStateIsReturned(t *testing.T) {
	handler := publicOverSQLite(t, storedUpdates())
	order := wantJSON[orderItem](t, get(t, handler, "/orders/o%2F10"))
	want := orderItem{OrderID: "o/10", Status: "success", View: "success", UserID: "user 1", CreatedAt: formatTimestamp(second(1)), UpdatedAt: formatTimestamp(second(1010))}
	if !reflect.DeepEqual(order, want) {
		t.Errorf("order = %+v, want %+v", order, want)
	}
	dispute := wantJSON[disputeItem](t, get(t, handler, "/disputes/d10"))
	if dispute.Source != "generic" || dispute.OrderID != "o/10" || dispute.Status != "open" || dispute.Amount == nil || *dispute.Amount != (moneyItem{MinorUnits: 10050, Currency: "USD"}) {
		t.Errorf("dispute = %+v, want one of generic and o/10, open, 10050 USD", dispute)
	}
	get(t, handler, "/orders/d10").wantError(t, 404, "not_found")
	get(t, handler, "/disputes/o%2F10").wantError(t, 404, "not_found")
}

// The events of an order include dead letters with their reasons.
func TestDeadLettersAreListedAsEvents(t *testing.T) {
	done, back := orderUpdate("event-1"), orderUpdate("event-2")
	done.GetOrder().Status = payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS
	back.GetOrder().Status = payrelayv1.OrderStatus_ORDER_STATUS_FAILED
	back.OccurredAt = timestamppb.New(done.GetOccurredAt().AsTime().Add(time.Second))
	handler := publicOverSQLite(t, []*payrelayv1.Update{done, back})
	events := wantJSON[pageBody[eventItem]](t, get(t, handler, "/orders/events?order_ids=order-1")).Items
	if len(events) != 2 || events[0].EventID != "event-2" || events[0].Verdict != "dead_lettered" || events[0].Reason != "contradiction" ||
		events[1].Verdict != "applied" || events[1].Reason != "" || len(events[0].BodySHA256) != 64 {
		t.Errorf("events = %+v, want event-2 as a dead letter before event-1", events)
	}
}

// Two sources with the same dispute id have two disputes.
func TestStoredDisputesOfTwoSources(t *testing.T) {
	first, second := disputeUpdate("event-1"), disputeUpdate("event-1")
	first.GetDispute().DisputeId, second.GetDispute().DisputeId = "d", "d"
	second.Provider, second.OrderId, second.OccurredAt = "acme", "order-2", first.GetOccurredAt()
	handler := publicOverSQLite(t, []*payrelayv1.Update{first, second})
	get(t, handler, "/disputes/d").wantError(t, http.StatusConflict, "ambiguous_id")
	for source, order := range map[string]string{"generic": "order-1", "acme": "order-2"} {
		if got := wantJSON[disputeItem](t, get(t, handler, "/disputes/d?source="+source)); got.OrderID != order {
			t.Errorf("the dispute of %s = %+v, want one of %s", source, got, order)
		}
	}
	for _, ascending := range []string{"true", "false"} {
		if items, pages := walk(t, handler, "/disputes", url.Values{"limit": {"1"}, "sort_asc": {ascending}}); distinct(items) != 2 || pages != 2 {
			t.Errorf("sort_asc=%s: %+v on %d pages, want both disputes", ascending, items, pages)
		}
	}
}

// The answers show parts, stages, notes and refunds.
func TestStoredMoneyStagesAndNotes(t *testing.T) {
	usd := func(units int64) *payrelayv1.Money { return &payrelayv1.Money{MinorUnits: units, Currency: "USD"} }
	paid, refund, lost, note := orderUpdate("e1"), orderUpdate("e2"), disputeUpdate("e3"), orderUpdate("e4")
	paid.GetOrder().Status, paid.GetOrder().Amount = payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS, usd(100)
	refund.OccurredAt = timestamppb.New(paid.GetOccurredAt().AsTime().Add(time.Second))
	refund.GetOrder().Status, refund.GetOrder().Part, refund.GetOrder().Refunded = payrelayv1.OrderStatus_ORDER_STATUS_UPDATED, "r1", usd(30)
	lost.GetDispute().Status, lost.GetDispute().Stage = payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST, payrelayv1.DisputeStage_DISPUTE_STAGE_ARBITRATION
	lost.GetDispute().Amount, lost.GetDispute().OutcomeAmount = usd(120), usd(110)
	note.Subject = &payrelayv1.Update_Note{Note: &payrelayv1.Note{Kind: "fraud_warning", Text: "card testing"}}
	for _, u := range []*payrelayv1.Update{paid, refund, lost, note} {
		u.RawBody = []byte("the webhook " + u.GetEventId())
		sum := sha256.Sum256(u.GetRawBody())
		u.BodySha256 = sum[:]
	}
	handler := publicOverSQLite(t, []*payrelayv1.Update{paid, refund, lost, note})
	order := wantJSON[orderItem](t, get(t, handler, "/orders/order-1"))
	if order.View != "partially_refunded" || *order.Captured != (moneyItem{MinorUnits: 100, Currency: "USD"}) || *order.Refunded != (moneyItem{MinorUnits: 30, Currency: "USD"}) {
		t.Errorf("order = %+v, want one with 30 of 100 refunded", order)
	}
	dispute := wantJSON[disputeItem](t, get(t, handler, "/disputes/order-1"))
	if dispute.Stage != "arbitration" || dispute.OutcomeAmount.MinorUnits != 110 || !slices.Equal(dispute.Flags, []string{string(payments.FlagDisputeExceedsOrder)}) {
		t.Errorf("dispute = %+v, want one lost in arbitration that exceeds its order", dispute)
	}
	events := wantJSON[pageBody[eventItem]](t, get(t, handler, "/orders/events?sort_asc=true")).Items
	events = append(events, wantJSON[pageBody[eventItem]](t, get(t, handler, "/disputes/events")).Items...)
	if len(events) != 4 || events[1].Part != "r1" || events[2].Subject != "note" || events[2].Text != "card testing" || events[3].Stage != "arbitration" {
		t.Fatalf("events = %+v, want two of the order, a note and one of the dispute", events)
	}
	for i, u := range []*payrelayv1.Update{paid, refund, note, lost} {
		if want := hex.EncodeToString(u.GetBodySha256()); events[i].BodySHA256 != want {
			t.Errorf("body_sha256 of %s = %s, want %s", events[i].EventID, events[i].BodySHA256, want)
		}
	}
}
