package ingest

import (
	"crypto/sha256"
	"fmt"
	"log/slog"

	"github.com/payrelay/payrelay/modules/ingest/provider"
	"github.com/payrelay/payrelay/modules/ingest/source"
	"github.com/payrelay/payrelay/modules/payments"
)

// bodyError is the refusal of a body, with what the log has about it.
type bodyError struct {
	error
	source, eventID, orderID string
	digest                   [sha256.Size]byte
}

func (e *bodyError) Unwrap() error { return e.error }

func (e *bodyError) attrs() []slog.Attr {
	return []slog.Attr{
		slog.String("source", e.source), slog.String("event_id", e.eventID),
		slog.String("order_id", e.orderID), slog.String("body_sha256", fmt.Sprintf("%x", e.digest)),
	}
}

// refusedBody returns a refusal of a body, with the ids of its event and order if they
// can be read. It names the provider of a body in another contract.
func refusedBody(err error, body []byte, from *source.Source) *bodyError {
	refused := &bodyError{error: err, source: from.Name, digest: sha256.Sum256(body)}
	if from.Provider != provider.Generic {
		return refused
	}
	eventID, orderID := provider.IDs(body)
	if name := provider.Contract(body); name != "" && eventID == "" && orderID == "" {
		refused.error = badRequest("other_contract", "the body is "+name+", and this path takes payrelay's generic webhooks: add a source of that provider to --sources, as docs/providers.md shows")
	}
	refused.eventID, refused.orderID = payments.ErrorMessage(eventID), payments.ErrorMessage(orderID)
	return refused
}
