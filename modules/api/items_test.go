package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/types/known/timestamppb"
)

var noon = time.Date(2026, 1, 4, 12, 0, 0, 123456000, time.UTC)

// text returns the body without the line break at its end.
func (r reply) text() string { return strings.TrimSpace(r.body) }

func TestOrderItem(t *testing.T) {
	full := payments.Order{
		ID: "order-1", Status: payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS, UserID: "user-1",
		Amount: payments.Money{MinorUnits: 10050, Currency: "USD"}, CreatedAt: noon, UpdatedAt: noon.Add(time.Second),
	}
	bare := payments.Order{ID: "order-2", Status: payrelayv1.OrderStatus_ORDER_STATUS_CREATED, CreatedAt: noon, UpdatedAt: noon}
	free := bare
	free.ID, free.Amount = "order-3", payments.Money{Currency: "JPY"}
	handler := publicRoutes(&memory{orders: []payments.Order{full, bare, free}})
	for id, want := range map[string]string{
		"order-1": `{"order_id":"order-1","status":"success","user_id":"user-1","amount":{"minor_units":10050,"currency":"USD"},` +
			`"created_at":"2026-01-04T12:00:00.123456Z","updated_at":"2026-01-04T12:00:01.123456Z"}`,
		"order-2": `{"order_id":"order-2","status":"created","created_at":"2026-01-04T12:00:00.123456Z","updated_at":"2026-01-04T12:00:00.123456Z"}`,
		"order-3": `{"order_id":"order-3","status":"created","amount":{"minor_units":0,"currency":"JPY"},` +
			`"created_at":"2026-01-04T12:00:00.123456Z","updated_at":"2026-01-04T12:00:00.123456Z"}`,
	} {
		if got := get(t, handler, "/orders/"+id); got.status != http.StatusOK || got.text() != want {
			t.Errorf("%s = %d %s\nwant %s", id, got.status, got.body, want)
		}
	}
	first := get(t, handler, "/orders?limit=1&sort_asc=true")
	if want := `{"items":[` + get(t, handler, "/orders/order-1").text() + `],"next_cursor":"`; !strings.HasPrefix(first.body, want) {
		t.Errorf("page = %s, want it to begin with %s", first.body, want)
	}
}

func TestDisputeItem(t *testing.T) {
	full := payments.Dispute{
		ID: "dispute-1", OrderID: "order-1", Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_UNDER_REVIEW, UserID: "user-1", Reason: "fraud",
		Amount: payments.Money{MinorUnits: 999_999_999_999_999_999, Currency: "KWD"}, OpenedAt: noon, UpdatedAt: noon, EvidenceDueAt: noon.Add(time.Hour),
	}
	bare := payments.Dispute{ID: "dispute-2", OrderID: "order-2", Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN, OpenedAt: noon, UpdatedAt: noon}
	handler := publicRoutes(&memory{disputes: []payments.Dispute{full, bare}})
	for id, want := range map[string]string{
		"dispute-1": `{"dispute_id":"dispute-1","order_id":"order-1","status":"under_review","user_id":"user-1","reason":"fraud",` +
			`"amount":{"minor_units":999999999999999999,"currency":"KWD"},"opened_at":"2026-01-04T12:00:00.123456Z",` +
			`"updated_at":"2026-01-04T12:00:00.123456Z","evidence_due_at":"2026-01-04T13:00:00.123456Z"}`,
		"dispute-2": `{"dispute_id":"dispute-2","order_id":"order-2","status":"open","opened_at":"2026-01-04T12:00:00.123456Z","updated_at":"2026-01-04T12:00:00.123456Z"}`,
	} {
		if got := get(t, handler, "/disputes/"+id); got.status != http.StatusOK || got.text() != want {
			t.Errorf("%s = %d %s\nwant %s", id, got.status, got.body, want)
		}
	}
}

func TestEventItems(t *testing.T) {
	order := orderUpdate("event-1")
	order.UserId, order.ReceivedAt, order.OccurredAt = "user-1", timestamppb.New(noon.Add(time.Second)), timestamppb.New(noon)
	order.GetOrder().Amount = &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"}
	unknown := orderUpdate("event-2")
	unknown.OccurredAt = timestamppb.New(noon)
	unknown.GetOrder().Status, unknown.GetOrder().ProviderStatus = 0, "paid_out"
	dispute := disputeUpdate("event-3") // without a dispute id
	dispute.OccurredAt = timestamppb.New(noon)
	digest := payments.Digest(sha256.Sum256([]byte("body")))
	sum := `"body_sha256":"` + hex.EncodeToString(digest[:]) + `"}`
	record := func(sequence int64, u *payrelayv1.Update, verdict payrelayv1.Verdict, reason payrelayv1.DeadLetterReason) payments.RecordedEvent {
		return payments.RecordedEvent{Sequence: sequence, Event: payments.Event{
			Key: payments.Key{Provider: u.GetProvider(), EventID: u.GetEventId()}, Digest: digest, Update: u,
			Verdict: verdict, Reason: reason, RecordedAt: noon.Add(2 * time.Second),
		}}
	}
	for _, test := range []struct {
		event payments.RecordedEvent
		want  string
	}{
		{record(1, order, payrelayv1.Verdict_VERDICT_APPLIED, 0),
			`{"sequence":1,"provider":"generic","event_id":"event-1","order_id":"order-1","user_id":"user-1","kind":"created",` +
				`"amount":{"minor_units":10050,"currency":"USD"},"occurred_at":"2026-01-04T12:00:00.123456Z","received_at":"2026-01-04T12:00:01.123456Z",` +
				`"recorded_at":"2026-01-04T12:00:02.123456Z","verdict":"applied",` + sum},
		{record(9007199254740993, unknown, payrelayv1.Verdict_VERDICT_DEAD_LETTERED, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_STATUS),
			`{"sequence":9007199254740993,"provider":"generic","event_id":"event-2","order_id":"order-1","provider_status":"paid_out",` +
				`"occurred_at":"2026-01-04T12:00:00.123456Z","recorded_at":"2026-01-04T12:00:02.123456Z","verdict":"dead_lettered","reason":"unknown_status",` + sum},
		{record(3, dispute, payrelayv1.Verdict_VERDICT_STALE, 0),
			`{"sequence":3,"provider":"generic","event_id":"event-3","order_id":"order-1","dispute_id":"order-1","kind":"open",` +
				`"occurred_at":"2026-01-04T12:00:00.123456Z","recorded_at":"2026-01-04T12:00:02.123456Z","verdict":"stale",` + sum},
	} {
		got := get(t, publicRoutes(&memory{events: []payments.RecordedEvent{test.event}}), "/disputes/events")
		if want := `{"items":[` + test.want + `],"has_more":false}`; got.text() != want {
			t.Errorf("event = %s\nwant %s", got.body, want)
		}
	}
}

// A provider's text is returned unchanged, and no browser interprets it as a page.
func TestTextOfProvidersIsInert(t *testing.T) {
	for _, text := range []string{
		`<img src=x onerror=alert(1)>`, `</script><script>alert(1)</script>`, `'; DROP TABLE disputes; --`, `=HYPERLINK("http://x")`,
		`"},{"x":"`, `\u0000\`, "\u2028\u2029", "\u202e", `{{.}}`, `%00`, "日本語", "e\u0301",
	} {
		dispute := payments.Dispute{ID: text, OrderID: text, UserID: text, Reason: text, OpenedAt: noon, UpdatedAt: noon}
		r := get(t, publicRoutes(&memory{disputes: []payments.Dispute{dispute}}), "/disputes")
		items := wantJSON[pageBody[disputeItem]](t, r).Items
		if want := []disputeItem{newDisputeItem(dispute)}; !reflect.DeepEqual(items, want) || items[0].Reason != text {
			t.Errorf("dispute with %q = %+v", text, items)
		}
		if strings.ContainsAny(r.body, "<>") {
			t.Errorf("body with %q = %s, want no angle brackets", text, r.body)
		}
		if r.header.Get("Content-Type") != "application/json" || r.header.Get("X-Content-Type-Options") != "nosniff" || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("headers = %v, want JSON, nosniff and no-store", r.header)
		}
	}
}

// pathIDs maps the last part of a path to the id that it encodes.
var pathIDs = map[string]string{
	"a":                        "a",
	"a%2Fb":                    "a/b",
	"a%2fb":                    "a/b",
	"a/b":                      "a/b",
	"a%2Fb/c%2F":               "a/b/c/",
	"%2F":                      "/",
	"events%2Fx":               "events/x",
	"a%20b":                    "a b",
	"a+b":                      "a+b",
	"a%2Bb":                    "a+b",
	"a%252Fb":                  "a%2Fb",
	"a%25":                     "a%",
	"%25zz":                    "%zz",
	"a%2F%25%32%35":            "a/%25",
	"%3Fx=1":                   "?x=1",
	"a%23b":                    "a#b",
	"a,b;c:d@e":                "a,b;c:d@e",
	":id":                      ":id",
	"*":                        "*",
	"%C3%A9":                   "é",
	"e%CC%81":                  "e\u0301",
	"%22%3E%3Cscript%3E":       `"><script>`,
	"1%27%20OR%20%271%27=%271": "1' OR '1'='1",
	"orders":                   "orders",
	"Events":                   "Events",
}

func TestIDsInPathsAreDecodedOnce(t *testing.T) {
	for escaped, id := range pathIDs {
		m := &memory{orders: []payments.Order{{ID: id}}, disputes: []payments.Dispute{{ID: id}}}
		if got := wantJSON[orderItem](t, get(t, publicRoutes(m), "/orders/"+escaped)); got.OrderID != id || m.asked != id {
			t.Errorf("GET /orders/%s reads %q and returns %q, want %q", escaped, m.asked, got.OrderID, id)
		}
		if got := wantJSON[disputeItem](t, get(t, publicRoutes(m), "/disputes/"+escaped)); got.DisputeID != id || m.asked != id {
			t.Errorf("GET /disputes/%s reads %q and returns %q, want %q", escaped, m.asked, got.DisputeID, id)
		}
	}
}

func TestEveryIDHasAPath(t *testing.T) {
	for b := 0x20; b < 0x7f; b++ {
		id := fmt.Sprintf("%c-%c", b, b)
		m := &memory{orders: []payments.Order{{ID: id}}}
		if get(t, publicRoutes(m), "/orders/"+url.PathEscape(id)); m.asked != id {
			t.Errorf("GET /orders/%s reads %q, want %q", url.PathEscape(id), m.asked, id)
		}
	}
}

func TestUnknownIDs(t *testing.T) {
	m := &memory{orders: []payments.Order{{ID: "a"}}, disputes: []payments.Dispute{{ID: "d"}}}
	for _, path := range []string{"/orders/b", "/orders/A", "/orders/d", "/disputes/a", "/orders/a%00", "/orders/%FF", "/orders/", "/orders/" + strings.Repeat("x", 256)} {
		get(t, publicRoutes(m), path).wantError(t, 404, "not_found")
	}
	m.asked = nil
	for _, path := range []string{"/orders/%00", "/orders/a%0A", "/orders/%C3", "/disputes/" + strings.Repeat("x", 256)} {
		if get(t, publicRoutes(m), path); m.asked != nil {
			t.Errorf("GET %.30s reads %q, which cannot be an id", path, m.asked)
		}
	}
}

// An order with the id "events" is found with a filter, because its path is another.
func TestOrderWithTheIDEvents(t *testing.T) {
	m := &memory{orders: []payments.Order{{ID: "events"}}}
	get(t, publicRoutes(m), "/orders/events")
	if _, ok := m.asked.(payments.EventQuery); !ok {
		t.Errorf("GET /orders/events reads %+v, want an EventQuery", m.asked)
	}
	var page struct{ Items []json.RawMessage }
	r := get(t, publicRoutes(m), "/orders?order_ids=events")
	if err := json.Unmarshal([]byte(r.body), &page); err != nil || len(page.Items) != 1 {
		t.Errorf("GET /orders?order_ids=events = %d %s, want one order", r.status, r.body)
	}
}
