package provider

import (
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/bench/costtest"
)

func TestCosts(t *testing.T) {
	adapter, err := New(Settings{Source: "generic", Provider: Generic})
	if err != nil {
		t.Fatal(err)
	}
	received := time.Now()
	decode := func(path, body string) func() {
		return func() {
			if _, _, err := decodeOne(adapter, &Request{Path: path, Body: []byte(body), ReceivedAt: received}); err != nil {
				t.Fatal(err)
			}
		}
	}
	costtest.Allocations(t, "decode an order", decode(ordersPath, orderWebhook))
	costtest.Allocations(t, "decode a dispute", decode(disputesPath, `{"provider_event_id":"e","order_id":"o","status":"opened",`+
		`"reason":"fraud","amount":100.50,"currency":"USD","occurred_at":"2026-01-05T10:00:00Z"}`))
}
