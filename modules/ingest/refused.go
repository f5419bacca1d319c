package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"

	"github.com/payrelay/payrelay/modules/ingest/provider"
	"github.com/payrelay/payrelay/modules/payments"
)

// refusedWebhook is the error of a webhook of a source that is not answered 2xx.
type refusedWebhook struct {
	error
	seen *Observation
	body []byte // nil if it was not read
}

func (r *refusedWebhook) Unwrap() error { return r.error }

// bodyError is an error about the content of a body.
type bodyError struct{ error }

func (e *bodyError) Unwrap() error { return e.error }

// unreadable returns the refusal of a body. It names the provider of a body in another
// contract, and sets the ids of its event and order if they can be read.
func (o *Observation) unreadable(err error, body []byte) error {
	o.readIDs(body)
	if name := provider.Contract(body); o.Provider == provider.Generic && name != "" && o.EventID == "" && o.OrderID == "" {
		err = badRequest("other_contract", "the body is "+name+", but this path takes payrelay's generic webhooks: add a source of that provider to --sources, as docs/providers.md shows")
	}
	return &bodyError{err}
}

// readIDs sets the ids of the event and the order of a body that is not decoded, if it
// has the generic contract.
func (o *Observation) readIDs(body []byte) {
	if o.Provider == provider.Generic && len(body) > 0 && o.EventID == "" && o.OrderID == "" {
		eventID, orderID := provider.IDs(body)
		o.EventID, o.OrderID = payments.ErrorMessage(eventID), payments.ErrorMessage(orderID)
	}
}

// attrs returns the log attributes of a webhook, without its request ID.
func (o *Observation) attrs(body []byte) []slog.Attr {
	digest := ""
	if len(body) > 0 {
		sum := sha256.Sum256(body)
		digest = hex.EncodeToString(sum[:])
	}
	return []slog.Attr{
		slog.String("source", o.Source), slog.String("event_id", o.EventID), slog.String("order_id", o.OrderID),
		slog.String("body_sha256", digest),
	}
}
