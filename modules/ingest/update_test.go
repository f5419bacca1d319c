package ingest

import (
	"crypto/sha256"
	"net/http"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

func at(t *testing.T, text string) *timestamppb.Timestamp {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return timestamppb.New(parsed)
}

// accepted posts a body and returns the update that was applied. It checks the fields
// that newUpdate sets, and the provider, and removes them.
func accepted(t *testing.T, path, body string) *payrelayv1.Update {
	t.Helper()
	next := &recorder{}
	before := time.Now().Truncate(time.Microsecond)
	got := post(t, handler(t, next), path, body)
	if got.status != http.StatusOK || got.Verdict != "applied" {
		t.Fatalf("answer = %d %s, want 200 applied", got.status, got.raw)
	}
	u := proto.CloneOf(next.only(t))
	digest := sha256.Sum256([]byte(body))
	if string(u.GetRawBody()) != body || string(u.GetBodySha256()) != string(digest[:]) {
		t.Errorf("RawBody = %q, BodySha256 = %x, want those of the body", u.GetRawBody(), u.GetBodySha256())
	}
	received := u.GetReceivedAt().AsTime()
	if received.Before(before) || received.After(time.Now()) || received.Nanosecond()%1000 != 0 {
		t.Errorf("ReceivedAt = %s, want now in microseconds", received)
	}
	if u.GetRequestId() != got.RequestID || got.RequestID == "" {
		t.Errorf("RequestId = %q, want that of the answer, %q", u.GetRequestId(), got.RequestID)
	}
	if u.GetSchemaVersion() != 1 || u.GetProvider() != "generic" {
		t.Errorf("SchemaVersion, Provider = %d, %q, want 1, generic", u.GetSchemaVersion(), u.GetProvider())
	}
	u.SchemaVersion, u.Provider, u.RawBody, u.BodySha256, u.ReceivedAt, u.RequestId = 0, "", nil, nil, nil, ""
	return u
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
