package provider

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

func at(t *testing.T, text string) *timestamppb.Timestamp {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return timestamppb.New(parsed)
}

func wantUpdate(t *testing.T, got, want *payrelayv1.Update) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("update = %v\nwant %v", got, want)
	}
}

func TestOrderBecomesUpdate(t *testing.T) {
	got := accepted(t, ordersPath, `{"provider_event_id":"evt-1","order_id":"order-1","user_id":"4444","status":"created",
		"created_at":"2026-01-04T10:00:00Z","updated_at":"2026-01-04T12:00:00.123456789+01:00","meta":{"amount":"100.50","currency":"USD"}}`)
	wantUpdate(t, got, &payrelayv1.Update{
		EventId: "evt-1", OrderId: "order-1", UserId: "4444", OccurredAt: at(t, "2026-01-04T11:00:00.123456Z"),
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{
			Status: payrelayv1.OrderStatus_ORDER_STATUS_CREATED, CreatedAt: at(t, "2026-01-04T10:00:00Z"),
			Amount: &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"},
		}},
	})
}

func TestOrderWithRequiredFieldsOnly(t *testing.T) {
	want := &payrelayv1.Update{
		EventId: "e", OrderId: "o", OccurredAt: at(t, "2026-01-04T10:00:00Z"),
		Subject: &payrelayv1.Update_Order{Order: &payrelayv1.OrderSnapshot{Status: payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS}},
	}
	wantUpdate(t, accepted(t, ordersPath, `{"provider_event_id":"e","order_id":"o","status":"success","updated_at":"2026-01-04T10:00:00Z"}`), want)
	t.Run("null counts as absent", func(t *testing.T) {
		wantUpdate(t, accepted(t, ordersPath, `{"provider_event_id":"e","order_id":"o","status":"success","updated_at":"2026-01-04T10:00:00Z",
			"created_at":null,"user_id":null,"meta":{"amount":null,"currency":null}}`), want)
		wantUpdate(t, accepted(t, ordersPath, `{"provider_event_id":"e","order_id":"o","status":"success","updated_at":"2026-01-04T10:00:00Z","meta":null}`), want)
	})
	t.Run("created_at replaces updated_at", func(t *testing.T) {
		got := accepted(t, ordersPath, `{"provider_event_id":"e","order_id":"o","status":"success","created_at":"2026-01-04T10:00:00Z"}`)
		want.GetOrder().CreatedAt = want.GetOccurredAt()
		wantUpdate(t, got, want)
	})
}

func TestOrderStatuses(t *testing.T) {
	for text, want := range map[string]payrelayv1.OrderStatus{
		"created":            payrelayv1.OrderStatus_ORDER_STATUS_CREATED,
		"updated":            payrelayv1.OrderStatus_ORDER_STATUS_UPDATED,
		"success":            payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS,
		"failed":             payrelayv1.OrderStatus_ORDER_STATUS_FAILED,
		"partially_refunded": payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS,
		"pending":            payrelayv1.OrderStatus_ORDER_STATUS_UPDATED,
		"processing":         payrelayv1.OrderStatus_ORDER_STATUS_UPDATED,
		"authorized":         payrelayv1.OrderStatus_ORDER_STATUS_AUTHORIZED,
		"canceled":           payrelayv1.OrderStatus_ORDER_STATUS_CANCELED,
		"expired":            payrelayv1.OrderStatus_ORDER_STATUS_CANCELED,
		"voided":             payrelayv1.OrderStatus_ORDER_STATUS_CANCELED,
		"refunded":           payrelayv1.OrderStatus_ORDER_STATUS_REFUNDED,
		"reversed":           payrelayv1.OrderStatus_ORDER_STATUS_REVERSED,
		"returned":           payrelayv1.OrderStatus_ORDER_STATUS_REVERSED,
		// Providers add statuses. The ledger decides what happens.
		"authorised": payrelayv1.OrderStatus_ORDER_STATUS_UNSPECIFIED,
		"CREATED":    payrelayv1.OrderStatus_ORDER_STATUS_UNSPECIFIED,
	} {
		got := accepted(t, ordersPath, order("status", `"`+text+`"`)).GetOrder()
		words := ""
		if want == payrelayv1.OrderStatus_ORDER_STATUS_UNSPECIFIED {
			words = text
		}
		if got.GetStatus() != want || got.GetProviderStatus() != words {
			t.Errorf("status %s = %v, want %v and the provider status %q", text, got, want, words)
		}
	}
}

func TestDisputeBecomesUpdate(t *testing.T) {
	got := accepted(t, disputesPath, `{"provider_event_id":"evt-2","order_id":"order-1","user_id":"4444","dispute_id":"dp-1",
		"status":"opened","reason":"fraud","amount":100.50,"currency":"USD","occurred_at":"2026-02-01T00:00:00Z",
		"evidence_due_at":"2026-02-15T23:59:59.9999999Z","meta":{}}`)
	wantUpdate(t, got, &payrelayv1.Update{
		EventId: "evt-2", OrderId: "order-1", UserId: "4444", OccurredAt: at(t, "2026-02-01T00:00:00Z"),
		Subject: &payrelayv1.Update_Dispute{Dispute: &payrelayv1.DisputeSnapshot{
			DisputeId: "dp-1", Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN, Reason: "fraud",
			Amount: &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"}, EvidenceDueAt: at(t, "2026-02-15T23:59:59.999999Z"),
		}},
	})
}

func TestDisputeStatuses(t *testing.T) {
	for _, c := range []struct {
		status, meta string
		want         payrelayv1.DisputeStatus
		words        string
	}{
		{"opened", `{}`, payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN, ""},
		{"updated", `{}`, payrelayv1.DisputeStatus_DISPUTE_STATUS_UNDER_REVIEW, ""},
		{"submitted", `{}`, payrelayv1.DisputeStatus_DISPUTE_STATUS_SUBMITTED, ""},
		{"canceled", `{}`, payrelayv1.DisputeStatus_DISPUTE_STATUS_CANCELED, ""},
		{"closed", `{"resolution":"won"}`, payrelayv1.DisputeStatus_DISPUTE_STATUS_WON, ""},
		{"closed", `{"resolution":"lost"}`, payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST, ""},
		{"closed", `{"resolution":"unspecified"}`, payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED, ""},
		{"closed", `{"resolution":null}`, payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED, ""},
		{"closed", `null`, payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED, ""},
		{"closed", `{"resolution":"split"}`, payrelayv1.DisputeStatus_DISPUTE_STATUS_UNSPECIFIED, "closed:split"},
		{"opened", `{"resolution":"won"}`, payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN, ""},
		{"arbitration", `{"resolution":"won"}`, payrelayv1.DisputeStatus_DISPUTE_STATUS_UNSPECIFIED, "arbitration"},
	} {
		got := accepted(t, disputesPath, dispute("status", `"`+c.status+`"`, "meta", c.meta)).GetDispute()
		if got.GetStatus() != c.want || got.GetProviderStatus() != c.words {
			t.Errorf("status %s with meta %s = %v, want %v and the provider status %q", c.status, c.meta, got, c.want, c.words)
		}
	}
}

// TestTimes uses times in RFC 3339, which are truncated to microseconds.
func TestTimes(t *testing.T) {
	for text, want := range map[string]string{
		"2026-01-04T00:00:00Z":              "2026-01-04T00:00:00Z",
		"2026-01-04T10:00:00.5Z":            "2026-01-04T10:00:00.5Z",
		"2026-01-04T10:00:00.123456789Z":    "2026-01-04T10:00:00.123456Z",
		"2026-01-04T10:00:00+23:59":         "2026-01-03T10:01:00Z",
		"2026-01-04T10:00:00.25-19:30":      "2026-01-05T05:30:00.25Z",
		"2026-01-04T10:00:00-00:00":         "2026-01-04T10:00:00Z",
		"2026-01-04T10:00:00.000000000001Z": "2026-01-04T10:00:00Z",
	} {
		got := accepted(t, ordersPath, order("updated_at", `"`+text+`"`)).GetOccurredAt()
		if !proto.Equal(got, at(t, want)) {
			t.Errorf("time of %s = %s, want %s", text, got.AsTime(), want)
		}
	}
}

// TestAmountsAreExact includes 2^53+1, the first integer that a float64 cannot hold.
func TestAmountsAreExact(t *testing.T) {
	for text, want := range map[string]int64{
		`"100.50"`: 10050, `100.50`: 10050, `100.5`: 10050, `100`: 10000, `0.29`: 29, `"0"`: 0,
		`90071992547409.93`: 9007199254740993, `"90071992547409.93"`: 9007199254740993, `"\u0031.10"`: 110,
	} {
		got := accepted(t, ordersPath, order("meta", `{"amount":`+text+`,"currency":"USD"}`)).GetOrder().GetAmount()
		if got.GetMinorUnits() != want || got.GetCurrency() != "USD" {
			t.Errorf("amount of %s = %v, want %d USD", text, got, want)
		}
	}
}

// TestHarmlessBodies uses bodies that look dangerous and are accepted unchanged.
func TestHarmlessBodies(t *testing.T) {
	for _, body := range []string{
		order("__proto__", `{"a":1}`, "constructor", `{"prototype":null}`),
		order("unknown", `[1,{"deep":[true,null]}]`),
		order("note", `"<img src=x onerror=alert(1)>"`),
		order("note", `"a \\u0000 that is no escape"`),
		order("note", `"\ud83d\ude00 😀"`),
		order("a", `{"id":1}`, "b", `{"id":2}`, "c", `[{"id":1},{"id":2}]`), // same names, other objects
		order("a", `{"meta":{"amount":1e9}}`),
		order("n", `12345678901234567890123456789012`),
		order("order_id", `"é"`),
		order("deep", strings.Repeat(`[`, jsonbody.MaxDepth-1)+strings.Repeat(`]`, jsonbody.MaxDepth-1)),
		" \r\n\t" + order() + "\n",
	} {
		accepted(t, ordersPath, body)
	}
	accepted(t, disputesPath, dispute("reason", `"=HYPERLINK(\"http://evil\") <img src=x onerror=alert(1)>"`))
	accepted(t, ordersPath, order("status", `"`+strings.Repeat("s", 4096)+`"`))
	long := accepted(t, disputesPath, dispute("reason", `"two\nlines`+strings.Repeat("r", 4096)+`"`)).GetDispute().GetReason()
	if want := "two lines" + strings.Repeat("r", payments.MaxTextBytes-9); long != want {
		t.Errorf("reason = %.20q..., %d bytes, want one line of %d", long, len(long), len(want))
	}
}
