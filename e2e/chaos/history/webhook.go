package history

import (
	"crypto/sha256"
	"encoding/hex"
)

// Provider is the name under which the database records the webhooks.
const Provider = "generic"

// CardNumber is in every webhook and must never be in a log or an answer.
const CardNumber = "4111111111111111"

// Webhook is one event of the provider: the request that is sent, and what the
// database must hold of it.
type Webhook struct {
	Event string `json:"event"`
	// Path, ContentType and Body are sent byte for byte.
	Path        string `json:"path"`
	ContentType string `json:"content_type,omitempty"`
	Body        string `json:"body"`
	// Refusal is the status that an invalid webhook must be answered with; 0 for a
	// valid one.
	Refusal int   `json:"refused,omitempty"`
	Facts   Facts `json:"says"`
}

// Valid reports whether the webhook must be accepted.
func (w *Webhook) Valid() bool { return w.Refusal == 0 }

// Facts are the contents of a webhook in the terms of the database. Times are in
// microseconds since 1970; 0 means none.
type Facts struct {
	Order string `json:"order"`
	// Dispute is empty for a webhook about the order itself.
	Dispute string `json:"dispute,omitempty"`
	User    string `json:"user,omitempty"`
	// Status is empty if payrelay does not know it; ProviderStatus then holds the
	// provider's word.
	Status         string `json:"status,omitempty"`
	ProviderStatus string `json:"provider_status,omitempty"`
	Reason         string `json:"reason,omitempty"`
	Amount         int64  `json:"amount,omitempty"` // in minor units
	Currency       string `json:"currency,omitempty"`
	At             int64  `json:"at"`
	CreatedAt      int64  `json:"created_at,omitempty"`
	EvidenceDueAt  int64  `json:"evidence_due_at,omitempty"`
}

// Digest returns the SHA-256 of the body in hexadecimal.
func (w *Webhook) Digest() string { return Digest([]byte(w.Body)) }

// Digest returns the SHA-256 of a body in hexadecimal.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
