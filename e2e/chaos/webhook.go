package chaos

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

const (
	ordersPath   = "/webhooks/payments/orders"
	disputesPath = "/webhooks/payments/chargebacks"
	provider     = "generic"
	// cardNumber is in every webhook and must be in no log.
	cardNumber = "4111111111111111"
)

// Webhook is one event of the provider: what is sent, and what it says.
type Webhook struct {
	Event string `json:"event"`
	// Path, ContentType and Body are what is sent, byte for byte.
	Path        string `json:"path"`
	ContentType string `json:"content_type,omitempty"`
	Body        string `json:"body"`
	// Refused is the status that it must be answered with because it is wrong; 0
	// for a webhook that must be taken in.
	Refused int   `json:"refused,omitempty"`
	Says    Facts `json:"says"`
}

// Facts are what a webhook says in the words of the database. Times are
// microseconds since 1970, and 0 is none.
type Facts struct {
	Order string `json:"order"`
	// Dispute is empty for what is about the order itself.
	Dispute string `json:"dispute,omitempty"`
	User    string `json:"user,omitempty"`
	// Status is empty for one that payrelay does not know; ProviderStatus then has
	// the provider's word.
	Status         string `json:"status,omitempty"`
	ProviderStatus string `json:"provider_status,omitempty"`
	Reason         string `json:"reason,omitempty"`
	Amount         int64  `json:"amount,omitempty"`
	Currency       string `json:"currency,omitempty"`
	At             int64  `json:"at"`
	CreatedAt      int64  `json:"created_at,omitempty"`
	EvidenceDueAt  int64  `json:"evidence_due_at,omitempty"`
}

// Digest is the SHA-256 of the body, in hexadecimal.
func (w *Webhook) Digest() string { return digestOf([]byte(w.Body)) }

func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// orderWebhook is what the provider writes about an order. Status is the
// provider's word, which is ours too if it is known.
func orderWebhook(event string, f Facts) *Webhook {
	status := f.Status + f.ProviderStatus
	body := map[string]any{
		"provider_event_id": event, "order_id": f.Order, "user_id": f.User, "status": status,
		"created_at": instant(f.CreatedAt), "updated_at": instant(f.At),
		"meta": map[string]any{"amount": decimal(f.Amount), "currency": f.Currency, "card": cardNumber},
	}
	return &Webhook{Event: event, Path: ordersPath, Body: encode(body), Says: f}
}

// disputeWords are the provider's words for the statuses of a dispute.
var disputeWords = map[string]string{
	"open": "opened", "under_review": "updated", "submitted": "submitted", "canceled": "canceled",
	"won": "closed", "lost": "closed", "closed": "closed",
}

// disputeWebhook is what the provider writes about a dispute. A dispute that goes
// by the id of its order is written without an id of its own.
func disputeWebhook(event string, f Facts) *Webhook {
	body := map[string]any{
		"provider_event_id": event, "order_id": f.Order, "user_id": f.User, "status": disputeWords[f.Status],
		"reason": f.Reason, "amount": decimal(f.Amount), "currency": f.Currency, "occurred_at": instant(f.At), "card": cardNumber,
	}
	if f.Dispute != f.Order {
		body["dispute_id"] = f.Dispute
	}
	if f.EvidenceDueAt != 0 {
		body["evidence_due_at"] = instant(f.EvidenceDueAt)
	}
	if f.Status == "won" || f.Status == "lost" {
		body["meta"] = map[string]any{"resolution": f.Status}
	}
	return &Webhook{Event: event, Path: disputesPath, Body: encode(body), Says: f}
}

func encode(body map[string]any) string {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // texts and maps of texts can always be encoded
	}
	return string(text)
}

// decimal writes minor units of a currency that has two digits of them.
func decimal(minorUnits int64) string {
	return fmt.Sprintf("%d.%02d", minorUnits/100, minorUnits%100)
}

func instant(micros int64) string {
	return time.UnixMicro(micros).UTC().Format(time.RFC3339Nano)
}
