package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

const (
	ordersPath   = "/webhooks/payments/orders"
	disputesPath = "/webhooks/payments/chargebacks"

	// cardNumber is in every webhook and must never be in a log.
	cardNumber = "4111111111111111"
)

// day is the time of every webhook, apart from seconds.
var day = time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)

// webhook is a request of the provider.
type webhook struct{ path, event, body string }

// digest returns the SHA-256 of the body in hexadecimal.
func (w webhook) digest() string {
	sum := sha256.Sum256([]byte(w.body))
	return hex.EncodeToString(sum[:])
}

// orderWebhook returns a webhook about an order that was created at day, with an
// update some seconds later. amount is JSON, such as 100.50 with or without quotes.
func orderWebhook(event, order, status string, seconds int, amount, currency string) webhook {
	body := fmt.Sprintf(`{"provider_event_id":%q,"order_id":%q,"user_id":"user-1","status":%q,"created_at":%q,"updated_at":%q,`+
		`"meta":{"amount":%s,"currency":%q,"card":%q}}`,
		event, order, status, after(0), after(seconds), amount, currency, cardNumber)
	return webhook{ordersPath, event, body}
}

// disputeWebhook returns a webhook about a dispute; more has further members.
func disputeWebhook(event, order, status string, seconds int, more string) webhook {
	body := fmt.Sprintf(`{"provider_event_id":%q,"order_id":%q,"user_id":"user-1","status":%q,"reason":"fraud",`+
		`"amount":100.50,"currency":"USD","occurred_at":%q,"card":%q%s}`,
		event, order, status, after(seconds), cardNumber, more)
	return webhook{disputesPath, event, body}
}

// after returns the time some seconds after day in the format of webhooks.
func after(seconds int) string {
	return day.Add(time.Duration(seconds) * time.Second).Format(time.RFC3339)
}

// shown returns the same time in the format of the public API.
func shown(seconds int) string {
	return day.Add(time.Duration(seconds) * time.Second).Format("2006-01-02T15:04:05.000000Z")
}
