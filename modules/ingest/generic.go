package ingest

import (
	"cmp"
	"strings"
	"unicode"

	"google.golang.org/protobuf/proto"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// genericSource is the source of the paths that need no configuration. They take
// payrelay's own webhook format, for payment systems without a format of their own.
const genericSource = "generic"

var (
	genericOrder = format{newForm("provider_event_id", "order_id", "user_id", "status", "created_at", "updated_at", "part",
		"amount", "currency", "meta.amount", "meta.currency", "meta.authorized", "meta.captured", "meta.refunded"), decodeGenericOrder}
	genericDispute = format{newForm("provider_event_id", "order_id", "user_id", "dispute_id", "status", "reason", "stage",
		"amount", "currency", "outcome_amount", "occurred_at", "evidence_due_at",
		"meta.resolution", "meta.stage", "meta.outcome_amount"), decodeGenericDispute}
)

// genericOrderStatus has the statuses of orders and their synonyms.
var genericOrderStatus = map[string]payrelayv1.OrderStatus{
	"created":            payrelayv1.OrderStatus_ORDER_STATUS_CREATED,
	"updated":            payrelayv1.OrderStatus_ORDER_STATUS_UPDATED,
	"pending":            payrelayv1.OrderStatus_ORDER_STATUS_UPDATED,
	"processing":         payrelayv1.OrderStatus_ORDER_STATUS_UPDATED,
	"authorized":         payrelayv1.OrderStatus_ORDER_STATUS_AUTHORIZED,
	"success":            payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS,
	"partially_refunded": payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS,
	"failed":             payrelayv1.OrderStatus_ORDER_STATUS_FAILED,
	"canceled":           payrelayv1.OrderStatus_ORDER_STATUS_CANCELED,
	"expired":            payrelayv1.OrderStatus_ORDER_STATUS_CANCELED,
	"voided":             payrelayv1.OrderStatus_ORDER_STATUS_CANCELED,
	"refunded":           payrelayv1.OrderStatus_ORDER_STATUS_REFUNDED,
	"reversed":           payrelayv1.OrderStatus_ORDER_STATUS_REVERSED,
	"returned":           payrelayv1.OrderStatus_ORDER_STATUS_REVERSED,
}

var genericDisputeStatus = map[string]payrelayv1.DisputeStatus{
	"opened":    payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN,
	"updated":   payrelayv1.DisputeStatus_DISPUTE_STATUS_UNDER_REVIEW,
	"submitted": payrelayv1.DisputeStatus_DISPUTE_STATUS_SUBMITTED,
	"canceled":  payrelayv1.DisputeStatus_DISPUTE_STATUS_CANCELED,
}

// genericResolution maps meta.resolution to the status of a closed dispute.
var genericResolution = map[string]payrelayv1.DisputeStatus{
	"":            payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED,
	"unspecified": payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED,
	"won":         payrelayv1.DisputeStatus_DISPUTE_STATUS_WON,
	"lost":        payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST,
}

// decodeGenericOrder decodes a webhook about an order. It occurred at updated_at, or
// at created_at if there is no updated_at.
func decodeGenericOrder(in *fields) *payrelayv1.Update {
	u := in.generic("updated_at", "created_at")
	status := in.words("status")
	order := &payrelayv1.OrderSnapshot{Status: genericOrderStatus[status], Part: in.part("part"), CreatedAt: in.time("created_at")}
	if order.Status == payrelayv1.OrderStatus_ORDER_STATUS_UNSPECIFIED {
		order.ProviderStatus = payments.PlainText(status)
	}
	in.object("meta")
	in.orderMoney(order)
	u.Subject = &payrelayv1.Update_Order{Order: order}
	return u
}

// orderMoney sets the amounts of an order. The amount in meta comes before the one at
// the top level, and each takes the currency that stands beside it before the other.
// An amount and a currency that have no effect are ignored.
func (in *fields) orderMoney(order *payrelayv1.OrderSnapshot) {
	inner, outer := in.words("meta.currency"), in.optional("currency")
	currency := cmp.Or(inner, outer)
	order.Amount = in.money("meta.amount", currency)
	order.Authorized = in.optionalMoney("meta.authorized", currency)
	order.Captured = in.optionalMoney("meta.captured", currency)
	order.Refunded = in.optionalMoney("meta.refunded", currency)
	second := in.optionalMoney("amount", cmp.Or(outer, inner))
	switch {
	case order.Amount == nil:
		order.Amount = second
	case second != nil && !proto.Equal(order.Amount, second):
		in.ignore("amount")
	}
	states := func(currency string) bool {
		for _, m := range []*payrelayv1.Money{order.Amount, order.Authorized, order.Captured, order.Refunded} {
			if m != nil && strings.EqualFold(m.GetCurrency(), strings.TrimSpace(currency)) {
				return true
			}
		}
		return false
	}
	if inner != "" && !states(inner) {
		in.ignore("meta.currency")
	}
	if outer != "" && !states(outer) {
		in.ignore("currency")
	}
}

// decodeGenericDispute decodes a webhook about a dispute. An amount of 0 is absent.
func decodeGenericDispute(in *fields) *payrelayv1.Update {
	u := in.generic("occurred_at", "")
	in.object("meta")
	dispute := &payrelayv1.DisputeSnapshot{
		DisputeId: in.id("dispute_id"), Reason: payments.PlainText(in.words("reason")), EvidenceDueAt: in.time("evidence_due_at"),
		Stage: in.stage("stage", "meta.stage"),
	}
	in.disputeMoney(dispute)
	status := in.words("status")
	resolution := ""
	if status == "closed" {
		resolution = in.words("meta.resolution")
	}
	dispute.Status, status = genericDisputeState(status, resolution)
	dispute.ProviderStatus = payments.PlainText(status)
	u.Subject = &payrelayv1.Update_Dispute{Dispute: dispute}
	return u
}

// disputeMoney sets the amounts of a dispute. A currency without an amount is
// ignored.
func (in *fields) disputeMoney(dispute *payrelayv1.DisputeSnapshot) {
	currency := in.words("currency")
	if currency != "" || !in.zero("amount") {
		dispute.Amount = in.money("amount", currency)
	}
	if dispute.Amount.GetMinorUnits() == 0 {
		dispute.Amount = nil
	}
	for _, path := range []string{"outcome_amount", "meta.outcome_amount"} {
		switch amount := in.optionalMoney(path, currency); {
		case dispute.OutcomeAmount == nil:
			dispute.OutcomeAmount = amount
		case amount != nil && !proto.Equal(dispute.OutcomeAmount, amount):
			in.ignore(path)
		}
	}
	if currency != "" && in.value("amount") == nil && dispute.OutcomeAmount == nil {
		in.ignore("currency")
	}
}

// genericDisputeState returns the status of the contract or, if the provider's is
// not known, the provider's words: the ledger decides what to do with those.
func genericDisputeState(status, resolution string) (_ payrelayv1.DisputeStatus, providerStatus string) {
	if status != "closed" {
		if known, ok := genericDisputeStatus[status]; ok {
			return known, ""
		}
		return payrelayv1.DisputeStatus_DISPUTE_STATUS_UNSPECIFIED, status
	}
	if known, ok := genericResolution[resolution]; ok {
		return known, ""
	}
	return payrelayv1.DisputeStatus_DISPUTE_STATUS_UNSPECIFIED, status + ":" + resolution
}

// generic returns an update with what orders and disputes have in common. It checks
// the required fields whose names differ from those of an update, so that a refusal
// has the name that the sender knows. The update occurred at timeField, or at
// otherwise, if that is not empty.
func (in *fields) generic(timeField, otherwise string) *payrelayv1.Update {
	u := &payrelayv1.Update{EventId: in.id("provider_event_id"), OrderId: in.id("order_id"), UserId: in.id("user_id")}
	if u.OccurredAt = in.time(timeField); u.OccurredAt == nil && otherwise != "" {
		u.OccurredAt = in.time(otherwise)
	}
	if u.EventId == "" {
		in.fail("field_required", "provider_event_id must not be empty or blank")
	}
	if u.OccurredAt == nil {
		in.fail("field_required", timeField+" is required, such as 2026-01-04T10:00:00Z")
	}
	return u
}

// part returns the part of an order that a snapshot is about. One that no update can
// hold is ignored.
func (in *fields) part(path string) string {
	part := in.optional(path)
	if len(part) > payments.MaxIDBytes || strings.ContainsFunc(part, unicode.IsControl) {
		in.ignore(path)
		return ""
	}
	return part
}

// stage returns the stage of a dispute, from the first path that has one. A stage
// that is not known, or differs from that, is ignored.
func (in *fields) stage(paths ...string) (stage payrelayv1.DisputeStage) {
	for _, path := range paths {
		text := in.optional(path)
		if text == "" {
			continue
		}
		stated, known := payments.DisputeStages.Parse(text)
		switch {
		case !known, stage != 0 && stage != stated:
			in.ignore(path)
		default:
			stage = stated
		}
	}
	return stage
}
