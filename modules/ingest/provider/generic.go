package provider

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

// generic is the adapter of payrelay's own webhook format, for payment systems without
// a format of their own.
type generic struct {
	verifier
	orderIDPrefix string
}

// verifier is the signature scheme of a generic source.
type verifier interface {
	Verify(ctx context.Context, r *Request) (secret int, err error)
	// signedID returns the id of the event in the headers if the signature covers it, and
	// an empty one otherwise.
	signedID(header http.Header) string
}

// newGeneric returns an adapter that accepts every webhook if the source has no secrets.
func newGeneric(s Settings) (Adapter, error) {
	v, err := newVerifier(s)
	if err != nil {
		return nil, err
	}
	return generic{v, s.OrderIDPrefix}, nil
}

// unsigned accepts every webhook.
type unsigned struct{}

func (unsigned) Verify(context.Context, *Request) (int, error) { return 0, nil }

func (unsigned) signedID(http.Header) string { return "" }

// Decode decodes a webhook about an order or, on the path chargebacks, about a dispute.
// The id of the event, if the body has none, is one that is signed with it.
func (g generic) Decode(r *Request) (Webhook, error) {
	f := genericOrder
	if r.Path == "chargebacks" {
		f = genericDispute
	}
	update, ignored, err := f.read(r.Body, origin{eventID: g.signedID(r.Header)})
	if err != nil {
		return Webhook{}, err
	}
	update.RawBody = r.Body
	prefixOrderID(update, g.orderIDPrefix)
	return Webhook{Updates: []*payrelayv1.Update{update}, Ignored: ignored}, nil
}

// IDs returns the ids of the event and the order of a generic webhook, as far as they can
// be read.
func IDs(body []byte) (eventID, orderID string) {
	in := jsonbody.Fields{Document: jsonbody.NewDocument(genericOrder.form)}
	defer in.Release()
	_ = in.Parse(body) // members before the error have values
	return in.Optional("provider_event_id"), in.Optional("order_id")
}

// prefixOrderID puts a prefix before the order id of an update, if there is one.
func prefixOrderID(u *payrelayv1.Update, prefix string) {
	if u.OrderId != "" {
		u.OrderId = prefix + u.OrderId
	}
}

// format is a kind of generic webhook: the members that are read, and a decoder that
// returns the update that they report.
type format struct {
	form   *jsonbody.Form
	decode func(*genericFields) *payrelayv1.Update
}

// read decodes an object that states everything but, perhaps, its origin. Ignored has the
// paths of members that were read and have no effect.
func (f format) read(object []byte, from origin) (update *payrelayv1.Update, ignored []string, err error) {
	in := genericFields{Fields: jsonbody.Fields{Document: jsonbody.NewDocument(f.form)}, origin: from}
	defer in.Release()
	if err := in.Parse(object); err != nil {
		return nil, nil, err
	}
	update = f.decode(&in)
	if in.Err != nil {
		return nil, nil, in.Err
	}
	return update, in.Ignored, nil
}

// genericFields are the members of a generic webhook.
type genericFields struct {
	jsonbody.Fields
	origin origin
}

// origin is what is stated around a body about its event, and counts if the body does not
// state it.
type origin struct {
	eventID string
	at      *timestamppb.Timestamp
}

var (
	genericOrder = format{jsonbody.NewForm("provider_event_id", "order_id", "user_id", "status", "created_at", "updated_at", "part",
		"amount", "currency", "meta.amount", "meta.currency", "meta.authorized", "meta.captured", "meta.refunded"), decodeGenericOrder}
	genericDispute = format{jsonbody.NewForm("provider_event_id", "order_id", "user_id", "dispute_id", "status", "reason", "stage",
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
func decodeGenericOrder(in *genericFields) *payrelayv1.Update {
	u := in.generic("updated_at", "created_at")
	status := in.Words("status")
	order := &payrelayv1.OrderSnapshot{Status: genericOrderStatus[status], Part: in.part("part"), CreatedAt: in.Time("created_at")}
	if order.Status == payrelayv1.OrderStatus_ORDER_STATUS_UNSPECIFIED {
		order.ProviderStatus = payments.PlainText(status)
	}
	in.Object("meta")
	in.orderMoney(order)
	u.Subject = &payrelayv1.Update_Order{Order: order}
	return u
}

// orderMoney sets the amounts of an order. The amount in meta comes before the one at
// the top level, and each takes the currency that stands beside it before the other.
// An amount and a currency that have no effect are ignored.
func (in *genericFields) orderMoney(order *payrelayv1.OrderSnapshot) {
	inner, outer := in.Words("meta.currency"), in.Optional("currency")
	currency := cmp.Or(inner, outer)
	order.Amount = in.Money("meta.amount", currency)
	order.Authorized = in.OptionalMoney("meta.authorized", currency)
	order.Captured = in.OptionalMoney("meta.captured", currency)
	order.Refunded = in.OptionalMoney("meta.refunded", currency)
	second := in.OptionalMoney("amount", cmp.Or(outer, inner))
	switch {
	case order.Amount == nil:
		order.Amount = second
	case second != nil && !proto.Equal(order.Amount, second):
		in.Ignore("amount")
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
		in.Ignore("meta.currency")
	}
	if outer != "" && !states(outer) {
		in.Ignore("currency")
	}
}

// decodeGenericDispute decodes a webhook about a dispute. An amount of 0 is absent.
func decodeGenericDispute(in *genericFields) *payrelayv1.Update {
	u := in.generic("occurred_at", "")
	in.Object("meta")
	dispute := &payrelayv1.DisputeSnapshot{
		DisputeId: in.ID("dispute_id"), Reason: payments.PlainText(in.Words("reason")), EvidenceDueAt: in.Time("evidence_due_at"),
		Stage: in.stage("stage", "meta.stage"),
	}
	in.disputeMoney(dispute)
	status := in.Words("status")
	resolution := ""
	if status == "closed" {
		resolution = in.Words("meta.resolution")
	}
	dispute.Status, status = genericDisputeState(status, resolution)
	dispute.ProviderStatus = payments.PlainText(status)
	u.Subject = &payrelayv1.Update_Dispute{Dispute: dispute}
	return u
}

// disputeMoney sets the amounts of a dispute. A currency without an amount is
// ignored.
func (in *genericFields) disputeMoney(dispute *payrelayv1.DisputeSnapshot) {
	currency := in.Words("currency")
	if currency != "" || !in.Zero("amount") {
		dispute.Amount = in.Money("amount", currency)
	}
	if dispute.Amount.GetMinorUnits() == 0 {
		dispute.Amount = nil
	}
	for _, path := range []string{"outcome_amount", "meta.outcome_amount"} {
		switch amount := in.OptionalMoney(path, currency); {
		case dispute.OutcomeAmount == nil:
			dispute.OutcomeAmount = amount
		case amount != nil && !proto.Equal(dispute.OutcomeAmount, amount):
			in.Ignore(path)
		}
	}
	if currency != "" && in.Value("amount") == nil && dispute.OutcomeAmount == nil {
		in.Ignore("currency")
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
func (in *genericFields) generic(timeField, otherwise string) *payrelayv1.Update {
	u := &payrelayv1.Update{EventId: in.ID("provider_event_id"), OrderId: in.ID("order_id"), UserId: in.ID("user_id")}
	if u.OccurredAt = in.Time(timeField); u.OccurredAt == nil && otherwise != "" {
		u.OccurredAt = in.Time(otherwise)
	}
	if u.OccurredAt == nil {
		u.OccurredAt = in.origin.at
	}
	u.EventId = cmp.Or(u.EventId, in.origin.eventID)
	if u.EventId == "" {
		in.Fail("field_required", "provider_event_id must not be empty or blank")
	}
	if u.OccurredAt == nil {
		in.Fail("field_required", timeField+" is required, such as 2026-01-04T10:00:00Z")
	}
	return u
}

// part returns the part of an order that a snapshot is about. One that no update can
// hold is ignored.
func (in *genericFields) part(path string) string {
	part := in.Optional(path)
	if jsonbody.CheckID(path, part) != nil {
		in.Ignore(path)
		return ""
	}
	return part
}

// stage returns the stage of a dispute, from the first path that has one. A stage
// that is not known, or differs from that, is ignored.
func (in *genericFields) stage(paths ...string) (stage payrelayv1.DisputeStage) {
	for _, path := range paths {
		text := in.Optional(path)
		if text == "" {
			continue
		}
		stated, known := payments.DisputeStages.Parse(text)
		switch {
		case !known, stage != 0 && stage != stated:
			in.Ignore(path)
		default:
			stage = stated
		}
	}
	return stage
}
