package payments

import (
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// Order is the state of an order: the fold of its history.
//
// An order that is known only through its disputes has an id and the status
// ORDER_STATUS_UNSPECIFIED, and nothing else.
type Order struct {
	ID     string
	Status payrelayv1.OrderStatus
	UserID string
	Amount Money
	// CreatedAt and UpdatedAt are the provider's times of the first and of the last
	// update that was applied.
	CreatedAt time.Time
	UpdatedAt time.Time
}

// stepOrder is the state machine of an order:
//
//	created -> updated* -> success | failed
//
// An update is a snapshot: the first one creates the order whatever its status, and
// one with the same status again is a newer snapshot.
func stepOrder(o Order, u *payrelayv1.Update) (Order, payrelayv1.DeadLetterReason) {
	snapshot := u.GetOrder()
	if !legalStep(orderRank, o.Status, snapshot.GetStatus()) {
		return o, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ILLEGAL_TRANSITION
	}
	amount := moneyOf(snapshot.GetAmount())
	if differs(amount, o.Amount) {
		return o, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CURRENCY_MISMATCH
	}
	if o.Status == payrelayv1.OrderStatus_ORDER_STATUS_UNSPECIFIED {
		o.CreatedAt = latest(timeOf(u.GetOccurredAt()), timeOf(snapshot.GetCreatedAt()))
	}
	o.Status = snapshot.GetStatus()
	o.UserID = latest(o.UserID, u.GetUserId())
	o.Amount = latest(o.Amount, amount)
	o.UpdatedAt = timeOf(u.GetOccurredAt())
	return o, noReason
}

// finalRank is the rank of every status that ends an order or a dispute.
const finalRank = 3

// orderRank returns the rank of a status, or 0 if the status is not known. The rank
// of an order never falls, and of two updates of the same time the one with the
// lower rank came first.
func orderRank(s payrelayv1.OrderStatus) int {
	switch s {
	case payrelayv1.OrderStatus_ORDER_STATUS_CREATED:
		return 1
	case payrelayv1.OrderStatus_ORDER_STATUS_UPDATED:
		return 2
	case payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS, payrelayv1.OrderStatus_ORDER_STATUS_FAILED:
		return finalRank
	default:
		return 0
	}
}

// legalStep is the rule of both state machines: the same status again is legal, the
// rank never falls, and a final status never changes.
func legalStep[S comparable](rank func(S) int, from, to S) bool {
	return from == to || (rank(from) < finalRank && rank(to) >= rank(from))
}

// differs reports whether an amount is in another currency than the known one.
func differs(amount, known Money) bool {
	return amount.Currency != "" && known.Currency != "" && amount.Currency != known.Currency
}

// latest returns newer, or known if newer is the zero value.
func latest[T comparable](known, newer T) T {
	var none T
	if newer == none {
		return known
	}
	return newer
}
