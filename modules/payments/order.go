package payments

import (
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// Order is the state of an order: the fold of its history.
//
// An order that is known only through its disputes has the status
// ORDER_STATUS_UNSPECIFIED and nothing but its id.
type Order struct {
	ID     string
	Status payrelayv1.OrderStatus
	UserID string
	Amount Money
	// CreatedAt and UpdatedAt are the provider's times, of the first and of the
	// last update that counts.
	CreatedAt time.Time
	UpdatedAt time.Time
}

// stepOrder is the order's state machine:
//
//	created -> updated* -> success | failed
//
// An update is a snapshot, so the first one creates the order whatever its
// status, and the same status again is a newer snapshot of it.
func stepOrder(o Order, u *payrelayv1.Update) (Order, payrelayv1.DeadLetterReason) {
	snapshot := u.GetOrder()
	if !legalStep(orderRank, o.Status, snapshot.GetStatus()) {
		return o, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_ILLEGAL_TRANSITION
	}
	amount := moneyOf(snapshot.GetAmount())
	if contradicts(amount, o.Amount) {
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

const noReason = payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSPECIFIED

// finalRank is the rank of every status that ends an order or a dispute.
const finalRank = 3

// orderRank orders the statuses: it decides which of two updates of the same
// instant came first, and it only ever rises. 0 is no status that we know.
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

// legalStep is the one rule of both state machines: the same status again is a
// newer snapshot, a rank never falls, and a final status never changes.
func legalStep[S comparable](rank func(S) int, from, to S) bool {
	return from == to || (rank(from) < finalRank && rank(to) >= rank(from))
}

// contradicts says that an amount is in another currency than is established.
func contradicts(amount, established Money) bool {
	return amount.Currency != "" && established.Currency != "" && amount.Currency != established.Currency
}

// latest is the newer value, or the known one where the newer says nothing.
func latest[T comparable](known, newer T) T {
	var none T
	if newer == none {
		return known
	}
	return newer
}
