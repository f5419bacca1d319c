package history

import (
	"crypto/sha256"
	"encoding/hex"
)

// The sources of the webhooks, which are the names under which the database records them.
const (
	Unsigned = "generic" // built into the program, on the path payments
	Signed   = "signed"  // configured, with Secret
)

// Secret is the secret of the source Signed, in base64. It must never be in a log or an
// answer.
const Secret = "Y2hhb3MgY2hhb3MgY2hhb3MgY2hhb3MgY2hhb3MhIQ=="

// The signatures of the webhooks that are sent to the source Signed. All but Authentic are
// forged.
const (
	Authentic   = "authentic"
	WrongSecret = "wrong secret"
	ChangedBody = "changed body" // one byte is not the one that was signed
	Stale       = "stale"        // signed ten minutes ago
	Unspecified = "none"
)

// Forgeries are the signatures that must be refused.
var Forgeries = []string{WrongSecret, ChangedBody, Stale, Unspecified}

// CardNumber is in every webhook and must never be in a log or an answer.
const CardNumber = "4111111111111111"

// Webhook is one event of the provider: the request that is sent, and what the
// database must hold of it.
type Webhook struct {
	// ID names the webhook in the history. Several webhooks may have one Event, which
	// is the id that the provider sends.
	ID    string `json:"id"`
	Event string `json:"event"`
	// Path, ContentType and Body are sent byte for byte.
	Path        string `json:"path"`
	ContentType string `json:"content_type,omitempty"`
	Body        string `json:"body"`
	// Source is Unsigned or Signed, and Signature is empty for the first.
	Source    string `json:"source"`
	Signature string `json:"signature,omitempty"`
	// Refusal is the status that an invalid webhook must be answered with; 0 for a
	// valid one.
	Refusal int `json:"refused,omitempty"`
	// Repeats means that the webhook is sent only after another one with the same key
	// was accepted: it is a duplicate if its facts are the same, and otherwise a
	// conflict.
	Repeats bool  `json:"repeats,omitempty"`
	Facts   Facts `json:"says"`
}

// Valid reports whether the webhook must be accepted.
func (w *Webhook) Valid() bool { return w.Refusal == 0 }

// Forged reports whether the sender of the webhook does not have the secret, or sends what
// was signed long ago.
func (w *Webhook) Forged() bool { return w.Signature != "" && w.Signature != Authentic }

// Key returns the identity of the event.
func (w *Webhook) Key() Key { return Key{w.Facts.Kind(), w.Event} }

// Key is the identity of an event among those of its source: an order and a dispute
// may use the same id.
type Key struct {
	Kind  string `json:"kind"`
	Event string `json:"event"`
}

// String returns the kind and the id.
func (k Key) String() string { return k.Kind + " event " + k.Event }

// Money is an amount in minor units. It is not known if it has no currency.
type Money struct {
	Minor    int64  `json:"minor,omitempty"`
	Currency string `json:"currency,omitempty"`
}

// Known reports whether the amount is known.
func (m Money) Known() bool { return m.Currency != "" }

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
	Amount         Money  `json:"amount,omitzero"`
	At             int64  `json:"at"`
	CreatedAt      int64  `json:"created_at,omitempty"`
	EvidenceDueAt  int64  `json:"evidence_due_at,omitempty"`
	// The next ones are those of an order. Part is what the totals are about.
	Part       string `json:"part,omitempty"`
	Authorized Money  `json:"authorized,omitzero"`
	Captured   Money  `json:"captured,omitzero"`
	Refunded   Money  `json:"refunded,omitzero"`
	// The next ones are those of a dispute.
	Stage         string `json:"stage,omitempty"`
	OutcomeAmount Money  `json:"outcome_amount,omitzero"`
}

// Kind returns "order" or "dispute".
func (f Facts) Kind() string {
	if f.Dispute != "" {
		return "dispute"
	}
	return "order"
}

// Same reports whether two webhooks say the same. The times of the provider and the
// user do not count.
func (f Facts) Same(g Facts) bool {
	f.At, f.CreatedAt, f.User = g.At, g.CreatedAt, g.User
	return f == g
}

// Digest returns the SHA-256 of the body in hexadecimal.
func (w *Webhook) Digest() string { return Digest([]byte(w.Body)) }

// Digest returns the SHA-256 of a body in hexadecimal.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
