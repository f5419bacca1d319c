package payments

import (
	"slices"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// Order is the state of an order, folded from its history.
type Order struct {
	ID     string
	Status payrelayv1.OrderStatus
	UserID string
	// Amount is the newest stated amount of the order.
	Amount Money
	// CreatedAt and UpdatedAt are the provider's times of the first and of the last
	// update that was applied.
	CreatedAt time.Time
	UpdatedAt time.Time
	// Sequence is the number of the order in the order of recording. It is set only in a
	// page of a query.
	Sequence int64 `json:"-"`
	// Parts holds the stated amounts of the order and its parts, in a text form that only
	// this package reads. It is empty if none was stated.
	Parts string
}

// Totals holds the running totals of an order. An amount without a currency is unknown.
type Totals struct{ Authorized, Captured, Refunded Money }

// Totals returns the totals that were stated for the order as a whole. A total that was
// not stated is the sum over the parts.
func (o Order) Totals() Totals {
	ps, err := decodeParts(o.Parts)
	if err != nil {
		return Totals{}
	}
	return ps.totals(o.Amount.Currency)
}

// stepOrder returns the order after a newer snapshot, or the reason why the
// snapshot is refused. A forced snapshot is never refused.
func stepOrder(o Order, u *payrelayv1.Update, forced bool) (Order, payrelayv1.DeadLetterReason) {
	s := u.GetOrder()
	status := s.GetStatus()
	if status == payrelayv1.OrderStatus_ORDER_STATUS_REFUNDED {
		status = payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS
	}
	ps, err := decodeParts(o.Parts)
	if err != nil {
		return o, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_UNSTORABLE
	}
	next := orderMoves[[2]payrelayv1.OrderStatus{o.Status, s.GetStatus()}]
	paid := o.Status == payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS
	switch {
	case forced:
		next = set
	case next == attempt:
		switch ps.paidBy(s.GetPart()) {
		case paidByIt:
			next, status = set, payrelayv1.OrderStatus_ORDER_STATUS_REVERSED
		case paidByOthers:
			next = keep
		default:
			return o, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CONTRADICTION
		}
	case status == payrelayv1.OrderStatus_ORDER_STATUS_REVERSED && paid && s.GetPart() != "" && ps.paidBy(s.GetPart()) != paidByIt:
		next = keep // the part has not paid, so there is nothing to take back
	}
	if !forced && moneyMoved(o.Status) && contradictsMoney(s, ps.totals(o.Amount.Currency).Captured.Currency) {
		return o, payrelayv1.DeadLetterReason_DEAD_LETTER_REASON_CURRENCY_MISMATCH
	}
	if o.Status == payrelayv1.OrderStatus_ORDER_STATUS_UNSPECIFIED {
		o.CreatedAt = latest(timeOf(u.GetOccurredAt()), timeOf(s.GetCreatedAt()))
	}
	o.Amount = latest(o.Amount, moneyOf(s.GetAmount()))
	p := ps.at(s.GetPart())
	p.merge(s)
	if next == set {
		switch status {
		case payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS:
			p.succeed(s)
		case payrelayv1.OrderStatus_ORDER_STATUS_REVERSED:
			left := moneyOf(s.GetCaptured())
			p.reverse(left)
			if s.GetPart() == "" {
				for i := range ps[1:] {
					ps[1+i].reverse(Money{})
				}
			} else if paid && slices.ContainsFunc(ps, func(other part) bool { return other.Name != s.GetPart() && other.holdsMoney() }) {
				status = payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS
			}
		}
		o.Status = status
	}
	o.Parts = ps.encode()
	o.UserID = latest(o.UserID, u.GetUserId())
	o.UpdatedAt = timeOf(u.GetOccurredAt())
	return o, noReason
}

// payer is which part of an order paid, relative to a snapshot.
type payer int

const (
	// paidUnnamed means that it is unknown, because the snapshot or the success names
	// no part.
	paidUnnamed payer = iota
	paidByIt
	paidByOthers
)

// paidBy returns whether the named part has paid, or other parts have.
func (ps parts) paidBy(name string) payer {
	if name == "" {
		return paidUnnamed
	}
	by := paidByOthers
	for _, p := range ps {
		switch {
		case p.Paid && p.Name == name:
			return paidByIt
		case p.Paid && p.Name == "":
			by = paidUnnamed
		}
	}
	return by
}

// moneyMoved reports whether an order of the status has captured money.
func moneyMoved(s payrelayv1.OrderStatus) bool {
	return s == payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS || s == payrelayv1.OrderStatus_ORDER_STATUS_REVERSED
}

// contradictsMoney reports whether a snapshot states an amount in another currency than
// the captured one. Without a captured currency it returns false.
func contradictsMoney(s *payrelayv1.OrderSnapshot, captured string) bool {
	return captured != "" && slices.ContainsFunc(
		[]*payrelayv1.Money{s.GetAmount(), s.GetAuthorized(), s.GetCaptured(), s.GetRefunded()},
		func(m *payrelayv1.Money) bool { return m != nil && m.GetCurrency() != captured })
}

// orderPosition returns the position of a snapshot in the history of its order.
func orderPosition(u *payrelayv1.Update, key Key) Position {
	s := u.GetOrder()
	return Position{
		At: timeOf(u.GetOccurredAt()), Rank: orderRanks[s.GetStatus()],
		Refunded: s.GetRefunded().GetMinorUnits(), Captured: s.GetCaptured().GetMinorUnits(),
		EventID: key.EventID, Source: key.Source,
	}
}

// latest returns newer, or known if newer is the zero value.
func latest[T comparable](known, newer T) T {
	var none T
	if newer == none {
		return known
	}
	return newer
}
