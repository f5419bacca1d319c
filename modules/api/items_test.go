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
	parts := full
	parts.ID = "order-4"
	parts.Parts = `[{"authorized":{"MinorUnits":10050,"Currency":"USD"}},` +
		`{"part":"p","captured":{"MinorUnits":200505,"Currency":"USD","Exponent":4},"refunded":{"MinorUnits":5,"Currency":"USD"},"paid":true}]`
	handler := publicRoutes(&memory{orders: []payments.Order{full, bare, free, parts}})
	for id, want := range map[string]string{
		"order-1": `{"order_id":"order-1","status":"success","view":"success","user_id":"user-1","amount":{"minor_units":10050,"currency":"USD"},` +
			`"created_at":"2026-01-04T12:00:00.123456Z","updated_at":"2026-01-04T12:00:01.123456Z"}`,
		"order-2": `{"order_id":"order-2","status":"created","view":"created","created_at":"2026-01-04T12:00:00.123456Z","updated_at":"2026-01-04T12:00:00.123456Z"}`,
		"order-3": `{"order_id":"order-3","status":"created","view":"created","amount":{"minor_units":0,"currency":"JPY"},` +
			`"created_at":"2026-01-04T12:00:00.123456Z","updated_at":"2026-01-04T12:00:00.123456Z"}`,
		"order-4": `{"order_id":"order-4","status":"success","view":"partially_refunded","user_id":"user-1","amount":{"minor_units":10050,"currency":"USD"},` +
			`"authorized":{"minor_units":10050,"currency":"USD"},"captured":{"minor_units":200505,"currency":"USD","exponent":3},` +
			`"refunded":{"minor_units":5,"currency":"USD"},"flags":["non_standard_exponent","overpaid"],` +
			`"created_at":"2026-01-04T12:00:00.123456Z","updated_at":"2026-01-04T12:00:01.123456Z"}`,
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

func TestEventItems(t *testing.T) {
	digest := sha256.Sum256([]byte("body"))
	usd := func(units int64) *payrelayv1.Money { return &payrelayv1.Money{MinorUnits: units, Currency: "USD"} }
	order := orderUpdate("event-1")
	order.UserId, order.ReceivedAt = "user-1", timestamppb.New(noon.Add(time.Second))
	order.GetOrder().Amount = usd(10050)
	unknown := orderUpdate("event-2")
	unknown.GetOrder().Status, unknown.GetOrder().ProviderStatus = 0, "paid_out"
	dispute := disputeUpdate("event-3") // without a dispute id
	part := orderUpdate("event-4")
	part.GetOrder().Part, part.GetOrder().Authorized, part.GetOrder().Captured, part.GetOrder().Refunded = "p", usd(3), usd(2), usd(1)
	appeal := disputeUpdate("event-5")
	appeal.GetDispute().DisputeId, appeal.GetDispute().Stage = "d1", payrelayv1.DisputeStage_DISPUTE_STAGE_PRE_ARBITRATION
	appeal.GetDispute().Amount, appeal.GetDispute().OutcomeAmount = usd(2), usd(1)
	note := orderUpdate("event-6")
	note.Subject = &payrelayv1.Update_Note{Note: &payrelayv1.Note{Kind: "fraud_warning", Text: "card testing", DisputeId: "d1"}}
	record := func(sequence int64, u *payrelayv1.Update, kind payments.Kind, verdict payrelayv1.Verdict) payments.RecordedEvent {
		u.OccurredAt = timestamppb.New(noon)
		return payments.RecordedEvent{Sequence: sequence, BodySHA256: digest, Event: payments.Event{
			Key: payments.Key{Source: u.GetProvider(), Kind: kind, EventID: u.GetEventId()}, Update: u,
			Verdict: verdict, RecordedAt: noon.Add(2 * time.Second),
		}}
	}
	refused := record(9007199254740993, unknown, payments.KindOrder, payrelayv1.Verdict_VERDICT_DEAD_LETTERED)
	refused.Reason, refused.Discarded = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNKNOWN_STATUS, true
	forced := record(5, appeal, payments.KindDispute, payrelayv1.Verdict_VERDICT_APPLIED)
	forced.Forced = true
	begin := func(sequence, subject, event string) string {
		return `{"sequence":` + sequence + `,"provider":"generic","source":"generic","subject":"` + subject + `","event_id":"` + event + `","order_id":"order-1",`
	}
	const recorded = `"recorded_at":"2026-01-04T12:00:02.123456Z",`
	const times = `"occurred_at":"2026-01-04T12:00:00.123456Z",` + recorded
	sum := `"body_sha256":"` + hex.EncodeToString(digest[:]) + `"}`
	for _, test := range []struct {
		event payments.RecordedEvent
		want  string
	}{
		{record(1, order, payments.KindOrder, payrelayv1.Verdict_VERDICT_APPLIED),
			begin("1", "order", "event-1") + `"user_id":"user-1","kind":"created","amount":{"minor_units":10050,"currency":"USD"},` +
				`"occurred_at":"2026-01-04T12:00:00.123456Z","received_at":"2026-01-04T12:00:01.123456Z",` + recorded + `"verdict":"applied",` + sum},
		{refused, begin("9007199254740993", "order", "event-2") + `"provider_status":"paid_out",` + times +
			`"verdict":"dead_lettered","reason":"unknown_status","discarded":true,` + sum},
		{record(3, dispute, payments.KindDispute, payrelayv1.Verdict_VERDICT_STALE),
			begin("3", "dispute", "event-3") + `"dispute_id":"order-1","kind":"open",` + times + `"verdict":"stale",` + sum},
		{record(4, part, payments.KindOrder, payrelayv1.Verdict_VERDICT_APPLIED),
			begin("4", "order", "event-4") + `"kind":"created","part":"p","authorized":{"minor_units":3,"currency":"USD"},` +
				`"captured":{"minor_units":2,"currency":"USD"},"refunded":{"minor_units":1,"currency":"USD"},` + times + `"verdict":"applied",` + sum},
		{forced, begin("5", "dispute", "event-5") + `"dispute_id":"d1","kind":"open","stage":"pre_arbitration","amount":{"minor_units":2,"currency":"USD"},` +
			`"outcome_amount":{"minor_units":1,"currency":"USD"},` + times + `"verdict":"applied","forced":true,` + sum},
		{record(6, note, payments.KindNote, payrelayv1.Verdict_VERDICT_APPLIED),
			begin("6", "note", "event-6") + `"dispute_id":"d1","kind":"fraud_warning","text":"card testing",` + times + `"verdict":"applied",` + sum},
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
		dispute := payments.Dispute{DisputeKey: payments.DisputeKey{Source: text, ID: text}, OrderID: text, UserID: text, Reason: text, OpenedAt: noon, UpdatedAt: noon}
		r := get(t, publicRoutes(&memory{disputes: []payments.Dispute{dispute}}), "/disputes")
		items := wantJSON[pageBody[disputeItem]](t, r).Items
		if want := []disputeItem{newDisputeItem(disputeMessage(dispute, nil))}; !reflect.DeepEqual(items, want) || items[0].Reason != text {
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
		m := &memory{orders: []payments.Order{{ID: id}}, disputes: []payments.Dispute{{DisputeKey: payments.DisputeKey{ID: "decoy"}}, {DisputeKey: payments.DisputeKey{ID: id}}}}
		if got := wantJSON[orderItem](t, get(t, publicRoutes(m), "/orders/"+escaped)); got.OrderID != id || m.asked != id {
			t.Errorf("GET /orders/%s reads %q and returns %q, want %q", escaped, m.asked, got.OrderID, id)
		}
		if got := wantJSON[disputeItem](t, get(t, publicRoutes(m), "/disputes/"+escaped)); got.DisputeID != id {
			t.Errorf("GET /disputes/%s returns %q, want %q", escaped, got.DisputeID, id)
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
	m := &memory{orders: []payments.Order{{ID: "a"}}, disputes: []payments.Dispute{{DisputeKey: payments.DisputeKey{ID: "d"}}}}
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
