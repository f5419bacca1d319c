package api

import (
	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// The functions below return what encoding/json turns into the JSON form of the REST paths,
// so that a program that prints messages has the same form. Messages that no REST path
// answers have the same style.

// OrderJSON returns the JSON form of an order.
func OrderJSON(o *payrelayv1.Order) any { return newOrderItem(o) }

// DisputeJSON returns the JSON form of a dispute.
func DisputeJSON(d *payrelayv1.Dispute) any { return newDisputeItem(d) }

// DeadLetterJSON returns the JSON form of a dead letter.
func DeadLetterJSON(d *payrelayv1.DeadLetter) any { return newLetterItem(d) }

// SourceJSON returns the JSON form of a source.
func SourceJSON(s *payrelayv1.Source) any { return newSourceItem(s) }

// AuditJSON returns the JSON form of an action of an operator.
func AuditJSON(a *payrelayv1.AuditEntry) any { return newAuditItem(a) }

// TimelineJSON returns the JSON form of an entry of a timeline.
func TimelineJSON(e *payrelayv1.TimelineEntry) any { return newTimelineItem(e) }

// ResultJSON returns the JSON form of the result of an action for one dead letter.
func ResultJSON(r *payrelayv1.ActionResult) any {
	return resultItem{
		ID: r.GetId(), Verdict: payments.Verdicts.Name(r.GetOutcome().GetVerdict()),
		Reason: payments.DeadLetterReasons.Name(r.GetOutcome().GetReason()), Skipped: r.GetSkipped(),
	}
}

// DifferenceJSON returns the JSON form of a difference.
func DifferenceJSON(d *payrelayv1.Difference) any {
	return differenceItem{
		OrderID: d.GetOrderId(), Source: d.GetSource(), DisputeID: d.GetDisputeId(),
		Field: d.GetField(), Stored: d.GetStored(), Derived: d.GetDerived(),
	}
}

// ExplainedOrderJSON returns the JSON form of an order with its timeline.
func ExplainedOrderJSON(e *payrelayv1.ExplainOrderResponse) any {
	disputes := convert(e.GetDisputes(), newDisputeItem)
	item := explanationItem{
		Disputes: &disputes, Sentences: append([]string{}, e.GetSentences()...), Timeline: convert(e.GetTimeline(), newTimelineItem),
		Earlier: e.GetEarlier(), DeadLetters: convert(e.GetDeadLetters(), newLetterItem),
	}
	if e.GetOrder() != nil {
		order := newOrderItem(e.GetOrder())
		item.Order = &order
	}
	return item
}

// ExplainedDisputeJSON returns the JSON form of a dispute with its timeline.
func ExplainedDisputeJSON(e *payrelayv1.ExplainDisputeResponse) any {
	item := explanationItem{
		Sentences: append([]string{}, e.GetSentences()...), Timeline: convert(e.GetTimeline(), newTimelineItem),
		Earlier: e.GetEarlier(), DeadLetters: convert(e.GetDeadLetters(), newLetterItem),
	}
	if e.GetDispute() != nil {
		dispute := newDisputeItem(e.GetDispute())
		item.Dispute = &dispute
	}
	return item
}

// explanationItem is an order or a dispute with the reasons for its state.
type explanationItem struct {
	// Order and Dispute are absent if none of their events was applied.
	Order   *orderItem   `json:"order,omitempty"`
	Dispute *disputeItem `json:"dispute,omitempty"`
	// Disputes has the disputes of an order.
	Disputes  *[]disputeItem `json:"disputes,omitempty"`
	Sentences []string       `json:"sentences"`
	// Timeline has the newest events, oldest first by the provider's order, and Earlier is
	// the number of events before them.
	Timeline    []timelineItem `json:"timeline"`
	Earlier     int64          `json:"earlier"`
	DeadLetters []letterItem   `json:"dead_letters"`
}

// timelineItem is an event at its position in the history.
type timelineItem struct {
	eventItem
	// StatusBefore and StatusAfter are absent before the first status.
	StatusBefore string `json:"status_before,omitempty"`
	StatusAfter  string `json:"status_after,omitempty"`
	// Late means that the event was recorded after a later one of the history.
	Late bool   `json:"late,omitempty"`
	Why  string `json:"why"`
}

func newTimelineItem(e *payrelayv1.TimelineEntry) timelineItem {
	return timelineItem{
		eventItem: newEventItem(e.GetEvent()), StatusBefore: e.GetStatusBefore(), StatusAfter: e.GetStatusAfter(), Late: e.GetLate(), Why: e.GetWhy(),
	}
}

// resultItem is the result of an action for one dead letter. Verdict is absent if it was
// skipped, or discarded.
type resultItem struct {
	ID      int64  `json:"id"`
	Verdict string `json:"verdict,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Skipped string `json:"skipped,omitempty"`
}

// differenceItem is a field of an order or a dispute that differs from its history.
type differenceItem struct {
	OrderID   string `json:"order_id,omitempty"`
	Source    string `json:"source,omitempty"`
	DisputeID string `json:"dispute_id,omitempty"`
	Field     string `json:"field"`
	Stored    string `json:"stored"`
	Derived   string `json:"derived"`
}
