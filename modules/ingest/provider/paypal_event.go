package provider

import (
	"cmp"
	"strings"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
	"github.com/payrelay/payrelay/modules/payments"
)

// paypalEvent is a webhook of PayPal. Versions of its API give the same name to different
// things: a member of another type than expected is absent.
type paypalEvent struct {
	ID         jsonbody.Text                   `json:"id"`
	Type       jsonbody.Text                   `json:"event_type"`
	CreateTime jsonbody.Text                   `json:"create_time"`
	Kind       jsonbody.Text                   `json:"resource_type"`
	Summary    jsonbody.Text                   `json:"summary"`
	Resource   jsonbody.Object[paypalResource] `json:"resource"`
}

// paypalResource has the members of an order, authorization, capture, refund or dispute.
type paypalResource struct {
	ID           jsonbody.Text                `json:"id"`
	Status       jsonbody.Text                `json:"status"`
	CreateTime   jsonbody.Text                `json:"create_time"`
	Amount       jsonbody.Object[paypalMoney] `json:"amount"`
	FinalCapture jsonbody.Text                `json:"final_capture"`
	CustomID     jsonbody.Text                `json:"custom_id"`
	InvoiceID    jsonbody.Text                `json:"invoice_id"`
	OrderID      jsonbody.Text                `json:"order_id"`
	Supplement   jsonbody.Object[struct {
		Related jsonbody.Object[struct {
			OrderID         jsonbody.Text `json:"order_id"`
			AuthorizationID jsonbody.Text `json:"authorization_id"`
			CaptureID       jsonbody.Text `json:"capture_id"`
		}] `json:"related_ids"`
	}] `json:"supplementary_data"`
	Units jsonbody.Array[paypalUnit] `json:"purchase_units"`
	Links jsonbody.Array[paypalLink] `json:"links"`

	DisputeID     jsonbody.Text                     `json:"dispute_id"`
	Transactions  jsonbody.Array[paypalTransaction] `json:"disputed_transactions"`
	Reason        jsonbody.Text                     `json:"reason"`
	DisputeAmount jsonbody.Object[paypalMoney]      `json:"dispute_amount"`
	Stage         jsonbody.Text                     `json:"dispute_life_cycle_stage"`
	ResponseDue   jsonbody.Text                     `json:"seller_response_due_date"`
	Outcome       jsonbody.Object[struct {
		Code     jsonbody.Text                `json:"outcome_code"`
		Refunded jsonbody.Object[paypalMoney] `json:"amount_refunded"`
	}] `json:"dispute_outcome"`
}

// paypalUnit is what one merchant sells in an order.
type paypalUnit struct {
	Amount    jsonbody.Object[paypalMoney] `json:"amount"`
	CustomID  jsonbody.Text                `json:"custom_id"`
	InvoiceID jsonbody.Text                `json:"invoice_id"`
}

type paypalLink struct {
	Rel  jsonbody.Text `json:"rel"`
	Href jsonbody.Text `json:"href"`
}

// paypalTransaction is a payment that a dispute is about.
type paypalTransaction struct {
	SellerID  jsonbody.Text                `json:"seller_transaction_id"`
	BuyerID   jsonbody.Text                `json:"buyer_transaction_id"`
	Invoice   jsonbody.Text                `json:"invoice_number"`
	Custom    jsonbody.Text                `json:"custom"`
	GrossPaid jsonbody.Object[paypalMoney] `json:"gross_amount"`
}

// captureID returns the id of the capture that a refund or a reversal is about, or "".
func (r *paypalResource) captureID() jsonbody.Text {
	for _, link := range r.Links {
		if _, id, found := strings.Cut(string(link.Href), "/captures/"); found && link.Rel == "up" {
			return jsonbody.Text(jsonbody.FirstText(r.Supplement.Value.Related.Value.CaptureID, jsonbody.Text(id)))
		}
	}
	return r.Supplement.Value.Related.Value.CaptureID
}

// paypalMoney is an amount in decimal text.
type paypalMoney struct {
	Currency jsonbody.Text `json:"currency_code"`
	Amount   jsonbody.Text `json:"value"`
}

// money returns the amount, or nil if there is none.
func (m paypalMoney) money() (*payrelayv1.Money, error) {
	if m.Amount == "" && m.Currency == "" {
		return nil, nil
	}
	return payments.ParseMoney(string(cmp.Or(m.Amount, "none")), string(m.Currency))
}

// paypalRule is what an event type reports.
type paypalRule struct {
	decode func(*paypalDecoder, payrelayv1.OrderStatus)
	status payrelayv1.OrderStatus // of an order
}

// paypalEvents has the event types that change orders and disputes. The others are
// notes. A completed order is not a success, since its captures may be pending or
// declined: their events state it.
var paypalEvents = map[string]paypalRule{
	"CHECKOUT.ORDER.SAVED":          {(*paypalDecoder).order, payrelayv1.OrderStatus_ORDER_STATUS_UPDATED},
	"CHECKOUT.ORDER.APPROVED":       {(*paypalDecoder).order, payrelayv1.OrderStatus_ORDER_STATUS_UPDATED},
	"CHECKOUT.ORDER.PROCESSED":      {(*paypalDecoder).order, payrelayv1.OrderStatus_ORDER_STATUS_UPDATED},
	"CHECKOUT.ORDER.COMPLETED":      {(*paypalDecoder).order, payrelayv1.OrderStatus_ORDER_STATUS_UPDATED},
	"CHECKOUT.ORDER.DECLINED":       {(*paypalDecoder).order, payrelayv1.OrderStatus_ORDER_STATUS_FAILED},
	"CHECKOUT.ORDER.VOIDED":         {(*paypalDecoder).order, payrelayv1.OrderStatus_ORDER_STATUS_CANCELED},
	"PAYMENT.AUTHORIZATION.CREATED": {(*paypalDecoder).authorization, payrelayv1.OrderStatus_ORDER_STATUS_AUTHORIZED},
	"PAYMENT.AUTHORIZATION.VOIDED":  {(*paypalDecoder).authorization, payrelayv1.OrderStatus_ORDER_STATUS_CANCELED},
	"PAYMENT.CAPTURE.PENDING":       {(*paypalDecoder).capture, payrelayv1.OrderStatus_ORDER_STATUS_UPDATED},
	"PAYMENT.CAPTURE.COMPLETED":     {(*paypalDecoder).capture, payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS},
	"PAYMENT.CAPTURE.DENIED":        {(*paypalDecoder).capture, payrelayv1.OrderStatus_ORDER_STATUS_FAILED},
	"PAYMENT.CAPTURE.DECLINED":      {(*paypalDecoder).capture, payrelayv1.OrderStatus_ORDER_STATUS_FAILED},
	"PAYMENT.CAPTURE.REVERSED":      {(*paypalDecoder).capture, payrelayv1.OrderStatus_ORDER_STATUS_REVERSED},
	"PAYMENT.CAPTURE.REFUNDED":      {(*paypalDecoder).refund, payrelayv1.OrderStatus_ORDER_STATUS_UPDATED},
	"PAYMENT.REFUND.PENDING":        {(*paypalDecoder).refund, payrelayv1.OrderStatus_ORDER_STATUS_UPDATED},
	"PAYMENT.REFUND.COMPLETED":      {(*paypalDecoder).refund, payrelayv1.OrderStatus_ORDER_STATUS_UPDATED},
	"PAYMENT.REFUND.FAILED":         {(*paypalDecoder).refund, payrelayv1.OrderStatus_ORDER_STATUS_UPDATED},
	"CUSTOMER.DISPUTE.CREATED":      {(*paypalDecoder).dispute, 0},
	"CUSTOMER.DISPUTE.UPDATED":      {(*paypalDecoder).dispute, 0},
	"CUSTOMER.DISPUTE.RESOLVED":     {(*paypalDecoder).dispute, 0},
}

var paypalStages = map[jsonbody.Text]payrelayv1.DisputeStage{
	"INQUIRY":         stageInquiry,
	"CHARGEBACK":      stageChargeback,
	"PRE_ARBITRATION": stagePreArbitration,
	"ARBITRATION":     stageArbitration,
}

// paypalDisputeStatus maps the status of a dispute. OTHER is the status of a dispute that
// is in none of the others.
var paypalDisputeStatus = map[jsonbody.Text]payrelayv1.DisputeStatus{
	"OPEN":                        disputeOpen,
	"WAITING_FOR_SELLER_RESPONSE": disputeOpen,
	"WAITING_FOR_BUYER_RESPONSE":  disputeSubmitted,
	"UNDER_REVIEW":                disputeSubmitted,
	"OTHER":                       payrelayv1.DisputeStatus_DISPUTE_STATUS_UNDER_REVIEW,
}

// paypalOutcome maps the outcome code of a dispute with the status RESOLVED.
var paypalOutcome = map[jsonbody.Text]payrelayv1.DisputeStatus{
	"RESOLVED_SELLER_FAVOUR": disputeWon,
	"RESOLVED_WITH_PAYOUT":   disputeWon,
	"DENIED":                 disputeWon,
	"RESOLVED_BUYER_FAVOUR":  disputeLost,
	"ACCEPTED":               disputeLost,
	"CANCELED_BY_BUYER":      payrelayv1.DisputeStatus_DISPUTE_STATUS_CANCELED,
	"NONE":                   disputeClosed,
	"":                       disputeClosed,
}
