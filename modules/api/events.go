package api

import (
	"cmp"
	"encoding/hex"
	"net/http"

	"github.com/labstack/echo/v4"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// eventItem is a recorded event as the public API returns it.
type eventItem struct {
	// Sequence numbers all events in the order of their recording, with gaps.
	Sequence int64 `json:"sequence"`
	updateItem
	// RecordedAt is a time of payrelay's clock.
	RecordedAt string `json:"recorded_at"`
	Verdict    string `json:"verdict"`
	// Reason is why an event is dead-lettered.
	Reason string `json:"reason,omitempty"`
	// Forced means that an operator accepted the event although it contradicts the
	// history, and Discarded that an operator removed it from the history.
	Forced    bool `json:"forced,omitempty"`
	Discarded bool `json:"discarded,omitempty"`
	// BodySHA256 is the digest, in hexadecimal, of the webhook's body, or of the
	// update if it has no body.
	BodySHA256 string `json:"body_sha256"`
}

// updateItem is what an update reports.
type updateItem struct {
	// Provider is the name of the source in an older field, which clients may still use.
	Provider string `json:"provider"`
	Source   string `json:"source"`
	// Subject is the kind of the event: order, dispute or note. With Source and
	// EventID it is the idempotency key.
	Subject   string `json:"subject"`
	EventID   string `json:"event_id"`
	OrderID   string `json:"order_id"`
	DisputeID string `json:"dispute_id,omitempty"`
	UserID    string `json:"user_id,omitempty"`
	// Kind is the status that the provider reported, or the kind of a note. It is
	// absent if payrelay does not know the status; ProviderStatus then holds it in the
	// provider's words.
	Kind           string `json:"kind,omitempty"`
	ProviderStatus string `json:"provider_status,omitempty"`
	// Text is the text of a note.
	Text string `json:"text,omitempty"`
	// Part is the part of an order that the event is about. Stage is the stage of a
	// dispute.
	Part          string     `json:"part,omitempty"`
	Stage         string     `json:"stage,omitempty"`
	Amount        *moneyItem `json:"amount,omitempty"`
	Authorized    *moneyItem `json:"authorized,omitempty"`
	Captured      *moneyItem `json:"captured,omitempty"`
	Refunded      *moneyItem `json:"refunded,omitempty"`
	OutcomeAmount *moneyItem `json:"outcome_amount,omitempty"`
	// OccurredAt is a time of the provider's clock, ReceivedAt one of payrelay's.
	OccurredAt string `json:"occurred_at"`
	ReceivedAt string `json:"received_at,omitempty"`
	// RequestID is the request ID that the provider was given.
	RequestID string `json:"request_id,omitempty"`
}

func newEventItem(e *payrelayv1.Event) eventItem {
	return eventItem{
		Sequence: e.GetSequence(), updateItem: newUpdateItem(e.GetUpdate()), RecordedAt: formatTimestamp(e.GetRecordedAt()),
		Verdict: payments.Verdicts.Name(e.GetOutcome().GetVerdict()), Reason: payments.DeadLetterReasons.Name(e.GetOutcome().GetReason()),
		Forced: e.GetForced(), Discarded: e.GetDiscarded(), BodySHA256: hex.EncodeToString(e.GetUpdate().GetBodySha256()),
	}
}

func newUpdateItem(u *payrelayv1.Update) updateItem {
	item := updateItem{
		Provider: u.GetProvider(), Source: u.GetProvider(), EventID: u.GetEventId(), OrderID: u.GetOrderId(), UserID: u.GetUserId(),
		OccurredAt: formatTimestamp(u.GetOccurredAt()), ReceivedAt: formatTimestamp(u.GetReceivedAt()), RequestID: u.GetRequestId(),
	}
	switch u.GetSubject().(type) {
	case *payrelayv1.Update_Order:
		o := u.GetOrder()
		item.Subject = string(payments.KindOrder)
		item.Kind, item.ProviderStatus, item.Part = payments.OrderStatuses.Name(o.GetStatus()), o.GetProviderStatus(), o.GetPart()
		item.Amount, item.Authorized = newMoneyItem(o.GetAmount()), newMoneyItem(o.GetAuthorized())
		item.Captured, item.Refunded = newMoneyItem(o.GetCaptured()), newMoneyItem(o.GetRefunded())
	case *payrelayv1.Update_Dispute:
		d := u.GetDispute()
		item.Subject = string(payments.KindDispute)
		item.Kind, item.ProviderStatus = payments.DisputeStatuses.Name(d.GetStatus()), d.GetProviderStatus()
		// A source that sends no dispute id has one dispute for each order.
		item.DisputeID = cmp.Or(d.GetDisputeId(), u.GetOrderId())
		item.Stage = payments.DisputeStages.Name(d.GetStage())
		item.Amount, item.OutcomeAmount = newMoneyItem(d.GetAmount()), newMoneyItem(d.GetOutcomeAmount())
	case *payrelayv1.Update_Note:
		n := u.GetNote()
		item.Subject = string(payments.KindNote)
		item.Kind, item.Text, item.DisputeID = n.GetKind(), n.GetText(), n.GetDisputeId()
	}
	return item
}

func eventSequence(e payments.RecordedEvent) int64 { return e.Sequence }

// listOrderEvents serves GET /orders/events.
func (p *public) listOrderEvents(c echo.Context) error {
	return p.listEvents(c, readParams(c), new(payrelayv1.ListEventsRequest))
}

// listDisputeEvents serves GET /disputes/events.
func (p *public) listDisputeEvents(c echo.Context) error {
	in := readParams(c)
	return p.listEvents(c, in, &payrelayv1.ListEventsRequest{Disputes: true, DisputeIds: in.list("dispute_ids")})
}

// listEvents reads the common parameters of both event listings and answers.
func (p *public) listEvents(c echo.Context, in *params, req *payrelayv1.ListEventsRequest) error {
	req.Sources, req.OrderIds, req.UserIds, req.Kinds = in.list("sources"), in.list("order_ids"), in.list("user_ids"), in.list("kinds")
	req.TimeFrom, req.TimeTo, req.Page = in.time("time_from"), in.time("time_to"), in.page()
	if err := in.check(); err != nil {
		return err
	}
	page, err := p.query.ListEvents(c.Request().Context(), req)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newPageBody(page.GetEvents(), newEventItem, page.GetNextCursor()))
}
