package ingest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// orderWebhook has about 400 bytes, like most webhooks.
const orderWebhook = `{"provider_event_id":"evt-0123456789abcdef","order_id":"order-0123456789","user_id":"4444-0123456789",` +
	`"status":"updated","created_at":"2026-01-04T10:00:00Z","updated_at":"2026-01-04T10:00:01.123456Z",` +
	`"meta":{"amount":"100.50","currency":"USD","card":{"brand":"visa","last4":"4242","exp_month":12,"exp_year":2030},` +
	`"risk":{"score":17,"level":"low"}},"description":"Two tickets, row 5","channel":"web","test":false}`

// BenchmarkWebhook measures a whole webhook without the network.
func BenchmarkWebhook(b *testing.B) {
	h := handler(b, &recorder{})
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, ordersPath, strings.NewReader(orderWebhook))
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
	}
}
