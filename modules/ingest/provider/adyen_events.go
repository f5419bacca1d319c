package provider

import (
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"

	"github.com/payrelay/payrelay/modules/ingest/jsonbody"
)

// adyenResult is an event code and whether the operation succeeded.
type adyenResult struct {
	code    string
	success bool
}

// adyenOrder is the meaning of an operation for an order. Adyen reports operations, and not
// the state of a payment: each amount is that of the operation, which is a part of the
// order with the operation's own pspReference.
type adyenOrder struct {
	status payrelayv1.OrderStatus
	of     adyenPart
	amount adyenMoney
}

// adyenPart is the part of an order that an operation is about.
type adyenPart int

const (
	ownPart     adyenPart = iota // the operation itself
	paymentPart                  // the payment that the operation changes
	wholeOrder
)

// adyenMoney is what the amount of an operation means for the part.
type adyenMoney int

const (
	noMoney adyenMoney = iota
	orderAmount
	isAuthorized
	isAuthorizedAndCaptured
	isCaptured
	isRefunded
	nothingCaptured
	nothingRefunded
)

// adyenOrders has the operations that change an order. The others are notes.
var adyenOrders = map[adyenResult]adyenOrder{
	{"AUTHORISATION", true}:            {payrelayv1.OrderStatus_ORDER_STATUS_AUTHORIZED, ownPart, isAuthorized},
	{"AUTHORISATION", false}:           {payrelayv1.OrderStatus_ORDER_STATUS_FAILED, ownPart, noMoney},
	{"AUTHORISATION_ADJUSTMENT", true}: {payrelayv1.OrderStatus_ORDER_STATUS_UPDATED, paymentPart, isAuthorized},
	{"CAPTURE", true}:                  {payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS, ownPart, isCaptured},
	{"CAPTURE", false}:                 {payrelayv1.OrderStatus_ORDER_STATUS_FAILED, ownPart, noMoney},
	{"CAPTURE_FAILED", true}:           {payrelayv1.OrderStatus_ORDER_STATUS_REVERSED, ownPart, nothingCaptured},
	{"CANCELLATION", true}:             {payrelayv1.OrderStatus_ORDER_STATUS_CANCELED, paymentPart, noMoney},
	{"TECHNICAL_CANCEL", true}:         {payrelayv1.OrderStatus_ORDER_STATUS_CANCELED, paymentPart, noMoney},
	{"EXPIRE", true}:                   {payrelayv1.OrderStatus_ORDER_STATUS_CANCELED, paymentPart, noMoney},
	{"OFFER_CLOSED", true}:             {payrelayv1.OrderStatus_ORDER_STATUS_CANCELED, paymentPart, noMoney},
	{"REFUND", true}:                   {payrelayv1.OrderStatus_ORDER_STATUS_UPDATED, ownPart, isRefunded},
	{"REFUND_FAILED", true}:            {payrelayv1.OrderStatus_ORDER_STATUS_UPDATED, ownPart, nothingRefunded},
	{"REFUNDED_REVERSED", true}:        {payrelayv1.OrderStatus_ORDER_STATUS_UPDATED, ownPart, nothingRefunded},
	// The payments of an order that is paid in parts have events of their own, with the
	// amounts. That the order is closed adds no money.
	{"ORDER_OPENED", true}:  {payrelayv1.OrderStatus_ORDER_STATUS_CREATED, wholeOrder, orderAmount},
	{"ORDER_CLOSED", true}:  {payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS, wholeOrder, noMoney},
	{"ORDER_CLOSED", false}: {payrelayv1.OrderStatus_ORDER_STATUS_FAILED, wholeOrder, noMoney},
}

// adyenAutomatic has the operations that mean something else in an account with automatic
// capture: Adyen then captures what is authorized, and sends an event of that only if it
// fails.
var adyenAutomatic = map[adyenResult]adyenOrder{
	{"AUTHORISATION", true}:  {payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS, ownPart, isAuthorizedAndCaptured},
	{"CAPTURE", true}:        {payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS, paymentPart, isCaptured},
	{"CAPTURE_FAILED", true}: {payrelayv1.OrderStatus_ORDER_STATUS_REVERSED, paymentPart, nothingCaptured},
}

// adyenReversals has the operation that CANCEL_OR_REFUND became, by modification.action.
var adyenReversals = map[jsonbody.Text]adyenOrder{
	"cancel": adyenOrders[adyenResult{"CANCELLATION", true}],
	"refund": adyenOrders[adyenResult{"REFUND", true}],
}

// adyenDispute is the meaning of an event for a dispute.
type adyenDispute struct {
	stage payrelayv1.DisputeStage
	// status is that of an item without disputeStatus, which is absent in Brazil, and of
	// every item if statuses is nil.
	status   payrelayv1.DisputeStatus
	statuses map[jsonbody.Text]payrelayv1.DisputeStatus
	// orPayment means that pspReference is that of the dispute only if there is an
	// originalReference, which is a setting of the account. Otherwise it is that of the
	// payment, of which several disputes are possible.
	orPayment bool
}

const (
	disputeOpen      = payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN
	disputeSubmitted = payrelayv1.DisputeStatus_DISPUTE_STATUS_SUBMITTED
	disputeWon       = payrelayv1.DisputeStatus_DISPUTE_STATUS_WON
	disputeLost      = payrelayv1.DisputeStatus_DISPUTE_STATUS_LOST
	disputeClosed    = payrelayv1.DisputeStatus_DISPUTE_STATUS_CLOSED

	stageInquiry        = payrelayv1.DisputeStage_DISPUTE_STAGE_INQUIRY
	stageChargeback     = payrelayv1.DisputeStage_DISPUTE_STAGE_CHARGEBACK
	stagePreArbitration = payrelayv1.DisputeStage_DISPUTE_STAGE_PRE_ARBITRATION
	stageArbitration    = payrelayv1.DisputeStage_DISPUTE_STAGE_ARBITRATION
	stageNotStated      = payrelayv1.DisputeStage_DISPUTE_STAGE_UNSPECIFIED
)

var (
	// A request for information that expires is closed: no money has moved.
	inquiryStatuses = map[jsonbody.Text]payrelayv1.DisputeStatus{
		"Unresponded": disputeOpen, "Responded": disputeSubmitted, "Expired": disputeClosed,
	}
	noticeStatuses = map[jsonbody.Text]payrelayv1.DisputeStatus{
		"Unresponded": disputeOpen, "Responded": disputeOpen, "Pending": disputeOpen, "Undefended": disputeOpen,
		"Won": disputeWon, "Lost": disputeLost, "Accepted": disputeLost, "Expired": disputeLost,
	}
	chargebackStatuses = map[jsonbody.Text]payrelayv1.DisputeStatus{
		"Unresponded": disputeOpen, "Responded": disputeOpen, "Pending": disputeOpen, "Undefended": disputeLost,
		"Won": disputeWon, "Lost": disputeLost, "Accepted": disputeLost, "Expired": disputeLost,
	}
	reversalStatuses   = map[jsonbody.Text]payrelayv1.DisputeStatus{"Pending": disputeSubmitted, "Won": disputeWon}
	undefendedStatuses = map[jsonbody.Text]payrelayv1.DisputeStatus{
		"Accepted": disputeLost, "Expired": disputeLost, "Undefended": disputeLost, "Lost": disputeLost,
	}
)

// adyenDisputes has the events of disputes.
var adyenDisputes = map[string]adyenDispute{
	"REQUEST_FOR_INFORMATION":           {stageInquiry, disputeOpen, inquiryStatuses, false},
	"NOTIFICATION_OF_CHARGEBACK":        {stageChargeback, disputeOpen, noticeStatuses, false},
	"CHARGEBACK":                        {stageChargeback, disputeOpen, chargebackStatuses, false},
	"INFORMATION_SUPPLIED":              {stageNotStated, disputeSubmitted, nil, false},
	"CHARGEBACK_REVERSED":               {stageChargeback, disputeWon, reversalStatuses, true}, // not final
	"ISSUER_RESPONSE_TIMEFRAME_EXPIRED": {stageChargeback, disputeWon, nil, false},
	"DISPUTE_DEFENSE_PERIOD_ENDED":      {stageNotStated, disputeLost, undefendedStatuses, false},
	"PREARBITRATION_OPEN":               {stagePreArbitration, disputeOpen, nil, false},
	"PREARBITRATION_DECLINED":           {stagePreArbitration, disputeSubmitted, nil, false},
	"PREARBITRATION_ACCEPTED":           {stagePreArbitration, disputeLost, nil, false},
	"PREARBITRATION_WON":                {stagePreArbitration, disputeWon, nil, true},
	"PREARBITRATION_LOST":               {stagePreArbitration, disputeLost, nil, true},
	"PREARBITRATION_ISSUER_WITHDRAWN":   {stagePreArbitration, disputeWon, nil, false},
	"SECOND_CHARGEBACK":                 {stagePreArbitration, disputeLost, nil, true},
	"SCHEME_ARBITRATION":                {stageArbitration, disputeSubmitted, nil, false},
	"SCHEME_ARBITRATION_WON":            {stageArbitration, disputeWon, nil, false},
	"SCHEME_ARBITRATION_LOST":           {stageArbitration, disputeLost, nil, false},
}
