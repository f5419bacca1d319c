package payments_test

import (
	"cmp"
	"slices"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// result is the state that a set of updates leads to, in whatever order they arrive.
type result struct {
	order    payments.Order
	disputes map[string]payments.Dispute
	refused  map[payments.Key]payrelayv1.DeadLetterReason
}

// The legal steps, and the order of statuses with the same time. They are written out,
// because this fold must not share a rule with the code under test.
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

// naiveFold sorts all updates of one order and applies them one by one: first those of
// the order, because the disputes must be in its currency, and then those of the
// disputes.
func naiveFold(updates []*payrelayv1.Update) result {
	folded := result{
		disputes: make(map[string]payments.Dispute), refused: make(map[payments.Key]payrelayv1.DeadLetterReason),
	}
	folded.order.ID = updates[0].GetOrderId()
	sorted := slices.SortedFunc(slices.Values(updates), func(a, b *payrelayv1.Update) int {
		return cmp.Or(micros(a).Compare(micros(b)), cmp.Compare(sameInstant[statusOf(a)], sameInstant[statusOf(b)]),
			cmp.Compare(a.GetEventId(), b.GetEventId()), cmp.Compare(a.GetProvider(), b.GetProvider()))
	})
	for _, u := range sorted {
		if sameInstant[statusOf(u)] == 0 {
			folded.refused[keyOf(u)] = unknownStatus
		} else if u.GetOrder() != nil {
			folded.applyOrder(u)
		}
	}
	for _, u := range sorted {
		if sameInstant[statusOf(u)] != 0 && u.GetDispute() != nil {
			folded.applyDispute(u)
		}
	}
	return folded
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

func (r *result) applyOrder(u *payrelayv1.Update) {
	o, snapshot := &r.order, u.GetOrder()
	if !slices.Contains(orderNext[o.Status], snapshot.GetStatus()) {
		r.refused[keyOf(u)] = illegal
		return
	}
	if m := snapshot.GetAmount(); m != nil && o.Amount.Currency != "" && m.GetCurrency() != o.Amount.Currency {
		r.refused[keyOf(u)] = currencyMismatch
		return
	}
	if o.Status == orderNone {
		o.CreatedAt = micros(u)
		if snapshot.GetCreatedAt() != nil {
			o.CreatedAt = snapshot.GetCreatedAt().AsTime().Truncate(time.Microsecond)
		}
	}
	o.Status, o.UpdatedAt = snapshot.GetStatus(), micros(u)
	if u.GetUserId() != "" {
		o.UserID = u.GetUserId()
	}
	if m := snapshot.GetAmount(); m != nil {
		o.Amount = payments.Money{MinorUnits: m.GetMinorUnits(), Currency: m.GetCurrency()}
	}
}

func (r *result) applyDispute(u *payrelayv1.Update) {
	snapshot, id := u.GetDispute(), u.GetDispute().GetDisputeId()
	if id == "" {
		id = u.GetOrderId()
	}
	d, ok := r.disputes[id]
	if !ok {
		d = payments.Dispute{ID: id, OrderID: u.GetOrderId()}
		r.disputes[id] = d
	}
	if !slices.Contains(disputeNext[d.Status], snapshot.GetStatus()) {
		r.refused[keyOf(u)] = illegal
		return
	}
	for _, known := range []payments.Money{d.Amount, r.order.Amount} {
		if m := snapshot.GetAmount(); m != nil && known.Currency != "" && m.GetCurrency() != known.Currency {
			r.refused[keyOf(u)] = currencyMismatch
			return
		}
	}
	if d.Status == disputeNone {
		d.OpenedAt = micros(u)
	}
	d.Status, d.UpdatedAt = snapshot.GetStatus(), micros(u)
	if u.GetUserId() != "" {
		d.UserID = u.GetUserId()
	}
	if snapshot.GetReason() != "" {
		d.Reason = snapshot.GetReason()
	}
	if m := snapshot.GetAmount(); m != nil {
		d.Amount = payments.Money{MinorUnits: m.GetMinorUnits(), Currency: m.GetCurrency()}
	}
	if snapshot.GetEvidenceDueAt() != nil {
		d.EvidenceDueAt = snapshot.GetEvidenceDueAt().AsTime().Truncate(time.Microsecond)
	}
	r.disputes[id] = d
}
