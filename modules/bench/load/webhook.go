package load

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	ordersPath   = "/webhooks/payments/orders"
	disputesPath = "/webhooks/payments/chargebacks"
)

// Webhook is a request to send and what payrelay should store of it.
type Webhook struct {
	EventID, OrderID string
	// Kind is the status in the public API.
	Kind    string
	Dispute bool
	// At is when the change occurred, by the provider's clock.
	At   time.Time
	Body []byte
}

// Path returns the path of the URL.
func (w *Webhook) Path() string {
	if w.Dispute {
		return disputesPath
	}
	return ordersPath
}

// Digest returns the SHA-256 of the body in hexadecimal.
func (w *Webhook) Digest() string {
	sum := sha256.Sum256(w.Body)
	return hex.EncodeToString(sum[:])
}

// webhook returns the n-th webhook, with its body appended to the buffer.
func (s *Script) webhook(n int64, buffer []byte) Webhook { return s.at(s.position(n), buffer) }

// at returns the webhook at a position, with its body appended to the buffer.
func (s *Script) at(p position, buffer []byte) Webhook {
	c := s.change(p)
	w := Webhook{EventID: s.eventID(p), OrderID: s.orderID(p), Kind: c.kind, Dispute: c.dispute, At: s.occurredAt(p)}
	body := append(buffer, `{"provider_event_id":"`...)
	body = append(body, w.EventID...)
	body = append(body, `","order_id":"`...)
	body = append(body, w.OrderID...)
	body = append(body, `","user_id":"user-`...)
	body = strconv.AppendInt(body, p.order%1000, 10)
	body = append(body, `","status":"`...)
	body = append(body, c.status...)
	if c.dispute {
		body = append(body, `","reason":"fraud","amount":100.50,"currency":"USD","occurred_at":"`...)
		body = w.At.AppendFormat(body, time.RFC3339Nano)
		body = append(body, `","meta":{"resolution":"`...)
		body = append(body, c.resolution...)
	} else {
		body = append(body, `","created_at":"`...)
		body = s.start.AppendFormat(body, time.RFC3339Nano)
		body = append(body, `","updated_at":"`...)
		body = w.At.AppendFormat(body, time.RFC3339Nano)
		body = append(body, `","meta":{"amount":"100.50","currency":"USD`...)
	}
	body = append(body, `"}`...)
	if s.workload.realistic() {
		body = append(body, `,"event":`...)
		w.Body = append(payloadOf(p, c).append(body, &w), '}')
	} else {
		w.Body = pad(body, len(buffer)+s.workload.BodyBytes)
	}
	return w
}

// items fill larger bodies with members that a decoder has to skip, as real
// webhooks have them.
var items = func() []byte {
	var b strings.Builder
	for i := 0; b.Len() < maxBodyBytes; i++ {
		fmt.Fprintf(&b, `,{"sku":"sku-%04d","name":"A seat in row %02d","quantity":2,"price":"10.05","vat":7}`, i%10000, i%100)
	}
	return []byte(b.String())
}()

const (
	// itemBytes is the size of one item, including its comma.
	itemBytes = 82
	// note is cut to fill the rest when no more items fit.
	note = "It comes as it was ordered, and it was ordered as it comes, in one piece and on one day, with all that belongs to it."
)

// pad appends members to a body, so that it has the given size when its object is
// closed.
func pad(body []byte, size int) []byte {
	const list, last, end = `,"items":[`, `,"note":"`, `"}`
	if n := (size - len(body) - len(list) - len(last) - len(end) - 1) / itemBytes; n > 0 {
		body = append(body, list...)
		body = append(body, items[1:n*itemBytes]...)
		body = append(body, ']')
	}
	body = append(body, last...)
	body = append(body, note[:size-len(end)-len(body)]...)
	return append(body, end...)
}
