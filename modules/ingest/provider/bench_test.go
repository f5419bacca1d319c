package provider

import (
	"testing"

	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
)

// orderWebhook has about 400 bytes, like most webhooks.
const orderWebhook = `{"provider_event_id":"evt-0123456789abcdef","order_id":"order-0123456789","user_id":"4444-0123456789",` +
	`"status":"updated","created_at":"2026-01-04T10:00:00Z","updated_at":"2026-01-04T10:00:01.123456Z",` +
	`"meta":{"amount":"100.50","currency":"USD","card":{"brand":"visa","last4":"4242","exp_month":12,"exp_year":2030},` +
	`"risk":{"score":17,"level":"low"}},"description":"Two tickets, row 5","channel":"web","test":false}`

// BenchmarkDecode measures the work on a body before it is applied.
func BenchmarkDecode(b *testing.B) {
	body := []byte(orderWebhook)
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			d := jsonbody.NewDocument(genericOrder.form)
			if err := d.Parse(body); err != nil {
				b.Fatal(err)
			}
			d.Release()
		}
	})
	b.Run("decode and check", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, _, err := decode(ordersPath, orderWebhook); err != nil {
				b.Fatal(err)
			}
		}
	})
}
