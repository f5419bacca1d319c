package ingest

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"

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
func refusedBody(err error, body []byte, source string, f format) *bodyError {
	in := fields{document: newDocument(f.form)}
	defer in.putBack()
	_ = in.parse(body) // members before the error have values
	eventID, orderID := in.optional("provider_event_id"), in.optional("order_id")
	if name := otherContract(body); name != "" && eventID == "" && orderID == "" {
		err = badRequest("other_contract", "the body is "+name+", and this path takes payrelay's generic webhooks: see docs/webhooks.md")
	}
	return &bodyError{err, source, payments.ErrorMessage(eventID), payments.ErrorMessage(orderID), sha256.Sum256(body)}
}

// contracts has the members that distinguish the webhooks of providers.
var contracts = newForm("object", "id", "type", "notificationItems", "event_type", "resource",
	"order", "transactions", "transaction", "chargeback", "chargeback_flow")

// otherContract returns what a body is if it is a webhook of a known provider, such as
// "a Stripe event", and an empty text otherwise.
func otherContract(body []byte) string {
	d := newDocument(contracts)
	defer d.putBack()
	if d.parse(body) != nil {
		return ""
	}
	is := func(path string) bool { return d.value(path) != nil }
	object, _ := d.text("object")
	id, _ := d.text("id")
	switch {
	case (object == "event" || object == "v2.core.event") && strings.HasPrefix(id, "evt_") && is("type"):
		return "a Stripe event"
	case is("notificationItems"):
		return "an Adyen notification"
	case is("event_type") && is("resource"):
		return "a PayPal event"
	case is("order") && (is("transactions") || is("transaction")), is("chargeback") && is("chargeback_flow"):
		return "a Solidgate event"
	default:
		return ""
	}
}
