package api

import (
	"encoding/hex"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/payrelay/payrelay/modules/payments"
)

// eventItem is a recorded event as the public API returns it.
type eventItem struct {
	// Sequence numbers all events in the order of their recording, with gaps.
	Sequence int64 `json:"sequence"`
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
	// OccurredAt is a time of the provider's clock, ReceivedAt and RecordedAt are
	// times of payrelay's.
	OccurredAt string `json:"occurred_at"`
	ReceivedAt string `json:"received_at,omitempty"`
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

func newEventItem(e payments.RecordedEvent) eventItem {
	item := eventItem{
		Sequence: e.Sequence, Provider: e.Key.Source, Source: e.Key.Source, Subject: string(e.Key.Kind), EventID: e.Key.EventID,
		OrderID: e.Update.GetOrderId(), DisputeID: e.Dispute().ID, UserID: e.Update.GetUserId(),
		OccurredAt: formatTimestamp(e.Update.GetOccurredAt()), ReceivedAt: formatTimestamp(e.Update.GetReceivedAt()), RecordedAt: formatTime(e.RecordedAt),
		Verdict: payments.Verdicts.Name(e.Verdict), Reason: payments.DeadLetterReasons.Name(e.Reason),
		Forced: e.Forced, Discarded: e.Discarded,
		BodySHA256: hex.EncodeToString(e.BodySHA256[:]),
	}
	switch e.Key.Kind {
	case payments.KindOrder:
		o := e.Update.GetOrder()
		item.Kind, item.ProviderStatus, item.Part = payments.OrderStatuses.Name(o.GetStatus()), o.GetProviderStatus(), o.GetPart()
		item.Amount, item.Authorized = statedMoney(o.GetAmount()), statedMoney(o.GetAuthorized())
		item.Captured, item.Refunded = statedMoney(o.GetCaptured()), statedMoney(o.GetRefunded())
	case payments.KindDispute:
		d := e.Update.GetDispute()
		item.Kind, item.ProviderStatus = payments.DisputeStatuses.Name(d.GetStatus()), d.GetProviderStatus()
		item.Stage = payments.DisputeStages.Name(d.GetStage())
		item.Amount, item.OutcomeAmount = statedMoney(d.GetAmount()), statedMoney(d.GetOutcomeAmount())
	case payments.KindNote:
		n := e.Update.GetNote()
		item.Kind, item.Text, item.DisputeID = n.GetKind(), n.GetText(), n.GetDisputeId()
	}
	return item
}

func eventCursor(e payments.RecordedEvent) payments.Cursor {
	return payments.Cursor{Sequence: e.Sequence}
}

// listOrderEvents serves GET /orders/events.
func (p *public) listOrderEvents(c echo.Context) error {
	in := readParams(c)
	return p.listEvents(c, in, orderEventListing, payments.EventQuery{
		OrderIDs: in.ids("order_ids"),
		Kinds:    kinds(in, payments.OrderStatuses),
	})
}

// listDisputeEvents serves GET /disputes/events.
func (p *public) listDisputeEvents(c echo.Context) error {
	in := readParams(c)
	return p.listEvents(c, in, disputeEventListing, payments.EventQuery{
		Disputes:   true,
		DisputeIDs: in.ids("dispute_ids"),
		OrderIDs:   in.ids("order_ids"),
		Kinds:      kinds(in, payments.DisputeStatuses),
	})
}

// listEvents reads the common parameters of both event listings and answers.
func (p *public) listEvents(c echo.Context, in *params, l listing, query payments.EventQuery) error {
	query.Sources = in.ids("sources")
	query.UserIDs = in.ids("user_ids")
	query.From, query.To = in.period()
	query.Page = in.page(l)
	if err := in.check(); err != nil {
		return err
	}
	page, err := read(p, c, p.reader.Events, query)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newPageBody(l, query.Page, page, newEventItem, eventCursor))
}

// kinds reads the filter kinds and returns the names of its values.
func kinds[E ~int32](in *params, known payments.Names[E]) []string {
	var kinds []string
	for _, kind := range names(in, "kinds", "kind", known) {
		kinds = append(kinds, known.Name(kind))
	}
	return kinds
}
