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

// Webhook is what is sent, and what should be recorded of it.
type Webhook struct {
	EventID, OrderID string
	// Kind is the status as the public API shows it.
	Kind    string
	Dispute bool
	// At is when it happened, by the provider's clock.
	At   time.Time
	Body []byte
}

// Path is where it is sent to.
func (w *Webhook) Path() string {
	if w.Dispute {
		return disputesPath
	}
	return ordersPath
}

// Digest is the SHA-256 of the body in hex.
func (w *Webhook) Digest() string {
	sum := sha256.Sum256(w.Body)
	return hex.EncodeToString(sum[:])
}

// webhook is the n-th. Its body is appended to the buffer.
func (s *Script) webhook(n int64, buffer []byte) Webhook { return s.tell(s.place(n), buffer) }

func (s *Script) tell(p place, buffer []byte) Webhook {
	f := s.fact(p)
	w := Webhook{EventID: s.eventID(p), OrderID: s.orderID(p), Kind: f.kind, Dispute: f.dispute, At: s.occurredAt(p)}
	body := append(buffer, `{"provider_event_id":"`...)
	body = append(body, w.EventID...)
	body = append(body, `","order_id":"`...)
	body = append(body, w.OrderID...)
	body = append(body, `","user_id":"user-`...)
	body = strconv.AppendInt(body, p.order%1000, 10)
	body = append(body, `","status":"`...)
	body = append(body, f.status...)
	if f.dispute {
		body = append(body, `","reason":"fraud","amount":100.50,"currency":"USD","occurred_at":"`...)
		body = w.At.AppendFormat(body, time.RFC3339Nano)
		body = append(body, `","meta":{"resolution":"`...)
		body = append(body, f.resolution...)
	} else {
		body = append(body, `","created_at":"`...)
		body = s.start.AppendFormat(body, time.RFC3339Nano)
		body = append(body, `","updated_at":"`...)
		body = w.At.AppendFormat(body, time.RFC3339Nano)
		body = append(body, `","meta":{"amount":"100.50","currency":"USD`...)
	}
	body = append(body, `"}`...)
	if s.workload.real() {
		body = append(body, `,"event":`...)
		w.Body = append(eventOf(p, f).append(body, &w), '}')
	} else {
		w.Body = pad(body, len(buffer)+s.workload.BodyBytes)
	}
	return w
}

// items are what larger bodies carry, as real ones do: a reader has to walk
// through their members.
var items = func() []byte {
	var b strings.Builder
	for i := 0; b.Len() < maxBodyBytes; i++ {
		fmt.Fprintf(&b, `,{"sku":"sku-%04d","name":"A seat in row %02d","quantity":2,"price":"10.05","vat":7}`, i%10000, i%100)
	}
	return []byte(b.String())
}()

const (
	// itemBytes is the size of one of the items, with its comma.
	itemBytes = 82
	// note is longer than what is left when no more items fit.
	note = "It comes as it was ordered, and it was ordered as it comes, in one piece and on one day, with all that belongs to it."
)

// pad closes the object of a body after so many bytes.
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
