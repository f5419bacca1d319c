package payments_test

import (
	"cmp"
	"slices"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// outcome is all that a set of updates leads to, whatever their arrival.
type outcome struct {
	order    payments.Order
	disputes map[string]payments.Dispute
	refused  map[payments.Key]payrelayv1.DeadLetterReason
}

// What may follow what, and what comes first of one instant: written out, for
// this fold shall share no rule with the code.
var (
	orderNext = map[payrelayv1.OrderStatus][]payrelayv1.OrderStatus{
		orderNone:    {orderCreated, orderUpdated, orderSuccess, orderFailed},
		orderCreated: {orderCreated, orderUpdated, orderSuccess, orderFailed},
		orderUpdated: {orderUpdated, orderSuccess, orderFailed},
		orderSuccess: {orderSuccess},
		orderFailed:  {orderFailed},
	}
	disputeNext = map[payrelayv1.DisputeStatus][]payrelayv1.DisputeStatus{
		disputeNone:      {disputeOpen, disputeReview, disputeSubmitted, disputeWon, disputeLost, disputeClosed, disputeCanceled},
		disputeOpen:      {disputeOpen, disputeReview, disputeSubmitted, disputeWon, disputeLost, disputeClosed, disputeCanceled},
		disputeReview:    {disputeReview, disputeSubmitted, disputeWon, disputeLost, disputeClosed, disputeCanceled},
		disputeSubmitted: {disputeReview, disputeSubmitted, disputeWon, disputeLost, disputeClosed, disputeCanceled},
		disputeWon:       {disputeWon},
		disputeLost:      {disputeLost},
		disputeClosed:    {disputeClosed},
		disputeCanceled:  {disputeCanceled},
	}
	sameInstant = map[string]int{
		"ORDER_STATUS_CREATED": 1, "ORDER_STATUS_UPDATED": 2, "ORDER_STATUS_SUCCESS": 3, "ORDER_STATUS_FAILED": 3,
		"DISPUTE_STATUS_OPEN": 1, "DISPUTE_STATUS_UNDER_REVIEW": 2, "DISPUTE_STATUS_SUBMITTED": 2, "DISPUTE_STATUS_WON": 3,
		"DISPUTE_STATUS_LOST": 3, "DISPUTE_STATUS_CLOSED": 3, "DISPUTE_STATUS_CANCELED": 3,
	}
)

// naiveFold sorts all updates of one order and walks through them: first the
// order's, for the disputes are judged by its currency, then the disputes'.
func naiveFold(updates []*payrelayv1.Update) outcome {
	result := outcome{
		disputes: make(map[string]payments.Dispute), refused: make(map[payments.Key]payrelayv1.DeadLetterReason),
	}
	result.order.ID = updates[0].GetOrderId()
	sorted := slices.SortedFunc(slices.Values(updates), func(a, b *payrelayv1.Update) int {
		return cmp.Or(micros(a).Compare(micros(b)), cmp.Compare(sameInstant[statusOf(a)], sameInstant[statusOf(b)]),
			cmp.Compare(a.GetEventId(), b.GetEventId()), cmp.Compare(a.GetProvider(), b.GetProvider()))
	})
	for _, u := range sorted {
		if sameInstant[statusOf(u)] == 0 {
			result.refused[keyOf(u)] = unknownStatus
		} else if u.GetOrder() != nil {
			result.walkOrder(u)
		}
	}
	for _, u := range sorted {
		if sameInstant[statusOf(u)] != 0 && u.GetDispute() != nil {
			result.walkDispute(u)
		}
	}
	return result
}

func statusOf(u *payrelayv1.Update) string {
	if u.GetOrder() != nil {
		return u.GetOrder().GetStatus().String()
	}
	return u.GetDispute().GetStatus().String()
}

func micros(u *payrelayv1.Update) time.Time {
	return u.GetOccurredAt().AsTime().Truncate(time.Microsecond)
}

func (r *outcome) walkOrder(u *payrelayv1.Update) {
	o, says := &r.order, u.GetOrder()
	if !slices.Contains(orderNext[o.Status], says.GetStatus()) {
		r.refused[keyOf(u)] = illegal
		return
	}
	if m := says.GetAmount(); m != nil && o.Amount.Currency != "" && m.GetCurrency() != o.Amount.Currency {
		r.refused[keyOf(u)] = currencyMismatch
		return
	}
	if o.Status == orderNone {
		o.CreatedAt = micros(u)
		if says.GetCreatedAt() != nil {
			o.CreatedAt = says.GetCreatedAt().AsTime().Truncate(time.Microsecond)
		}
	}
	o.Status, o.UpdatedAt = says.GetStatus(), micros(u)
	if u.GetUserId() != "" {
		o.UserID = u.GetUserId()
	}
	if m := says.GetAmount(); m != nil {
		o.Amount = payments.Money{MinorUnits: m.GetMinorUnits(), Currency: m.GetCurrency()}
	}
}

func (r *outcome) walkDispute(u *payrelayv1.Update) {
	says, id := u.GetDispute(), u.GetDispute().GetDisputeId()
	if id == "" {
		id = u.GetOrderId()
	}
	d, ok := r.disputes[id]
	if !ok {
		d = payments.Dispute{ID: id, OrderID: u.GetOrderId()}
		r.disputes[id] = d
	}
	if !slices.Contains(disputeNext[d.Status], says.GetStatus()) {
		r.refused[keyOf(u)] = illegal
		return
	}
	for _, known := range []payments.Money{d.Amount, r.order.Amount} {
		if m := says.GetAmount(); m != nil && known.Currency != "" && m.GetCurrency() != known.Currency {
			r.refused[keyOf(u)] = currencyMismatch
			return
		}
	}
	if d.Status == disputeNone {
		d.OpenedAt = micros(u)
	}
	d.Status, d.UpdatedAt = says.GetStatus(), micros(u)
	if u.GetUserId() != "" {
		d.UserID = u.GetUserId()
	}
	if says.GetReason() != "" {
		d.Reason = says.GetReason()
	}
	if m := says.GetAmount(); m != nil {
		d.Amount = payments.Money{MinorUnits: m.GetMinorUnits(), Currency: m.GetCurrency()}
	}
	if says.GetEvidenceDueAt() != nil {
		d.EvidenceDueAt = says.GetEvidenceDueAt().AsTime().Truncate(time.Microsecond)
	}
	r.disputes[id] = d
}
