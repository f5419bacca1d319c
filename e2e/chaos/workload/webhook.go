// Package workload is the provider of a run: it generates the lives of orders and
// disputes from a seed, sends their webhooks as a provider would, repeating each
// until it has a final answer, and records every attempt. It also writes poison
// records to the topics, and sends the sentinels that mark the end of a run.
//
// It knows the program by the addresses that it sends to, and judges no answer.
package workload

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

const (
	ordersPath   = unsignedPath + "orders"
	disputesPath = unsignedPath + "chargebacks"
	unsignedPath = "/webhooks/payments/"
	signedPath   = "/webhooks/" + history.Signed + "/"
)

// OrderWebhook returns a webhook about an order. Its status is the provider's
// word, which is the same as payrelay's if payrelay knows it.
func OrderWebhook(event string, f history.Facts) *history.Webhook {
	return orderWebhook(event, f, f.Status+f.ProviderStatus)
}

// orderWebhook returns a webhook about an order in the words of a provider.
func orderWebhook(event string, f history.Facts, word string) *history.Webhook {
	meta := map[string]any{"card": history.CardNumber}
	if f.Amount.Known() {
		meta["amount"], meta["currency"] = decimal(f.Amount.Minor), f.Amount.Currency
	}
	for name, total := range map[string]history.Money{"authorized": f.Authorized, "captured": f.Captured, "refunded": f.Refunded} {
		if total.Known() {
			meta[name], meta["currency"] = decimal(total.Minor), total.Currency
		}
	}
	body := map[string]any{
		"provider_event_id": event, "order_id": f.Order, "user_id": f.User, "status": word,
		"created_at": rfc3339(f.CreatedAt), "updated_at": rfc3339(f.At), "meta": meta,
	}
	if f.Part != "" {
		body["part"] = f.Part
	}
	return &history.Webhook{ID: "order " + event, Event: event, Path: ordersPath, Body: encode(body), Source: history.Unsigned, Facts: f}
}

// disputeStatuses are the provider's words for payrelay's statuses of a dispute.
var disputeStatuses = map[string]string{
	"open": "opened", "under_review": "updated", "submitted": "submitted", "canceled": "canceled",
	"won": "closed", "lost": "closed", "closed": "closed",
}

// DisputeWebhook returns a webhook about a dispute. It has no dispute_id if the
// dispute has the id of its order.
func DisputeWebhook(event string, f history.Facts) *history.Webhook {
	body := map[string]any{
		"provider_event_id": event, "order_id": f.Order, "user_id": f.User, "status": disputeStatuses[f.Status],
		"reason": f.Reason, "occurred_at": rfc3339(f.At), "card": history.CardNumber,
	}
	if f.Dispute != f.Order {
		body["dispute_id"] = f.Dispute
	}
	if f.Amount.Known() {
		body["amount"], body["currency"] = decimal(f.Amount.Minor), f.Amount.Currency
	}
	if f.OutcomeAmount.Known() {
		body["outcome_amount"], body["currency"] = decimal(f.OutcomeAmount.Minor), f.OutcomeAmount.Currency
	}
	if f.Stage != "" {
		body["stage"] = f.Stage
	}
	if f.EvidenceDueAt != 0 {
		body["evidence_due_at"] = rfc3339(f.EvidenceDueAt)
	}
	if f.Status == "won" || f.Status == "lost" {
		body["meta"] = map[string]any{"resolution": f.Status}
	}
	return &history.Webhook{ID: "dispute " + event, Event: event, Path: disputesPath, Body: encode(body), Source: history.Unsigned, Facts: f}
}

func encode(body map[string]any) string {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // strings, and maps of strings, can always be encoded
	}
	return string(text)
}

// decimal formats minor units of a currency with two decimals.
func decimal(minorUnits int64) string {
	return fmt.Sprintf("%d.%02d", minorUnits/100, minorUnits%100)
}

func rfc3339(micros int64) string {
	return time.UnixMicro(micros).UTC().Format(time.RFC3339Nano)
}
