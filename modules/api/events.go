package api

import (
	"encoding/hex"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// eventItem is a recorded event as the public API shows it.
type eventItem struct {
	// Sequence counts the recording of all events, with gaps.
	Sequence  int64  `json:"sequence"`
	Provider  string `json:"provider"`
	EventID   string `json:"event_id"`
	OrderID   string `json:"order_id"`
	DisputeID string `json:"dispute_id,omitempty"`
	UserID    string `json:"user_id,omitempty"`
	// Kind is the status that the provider reported; absent if payrelay does
	// not know it, and then ProviderStatus has the provider's word.
	Kind           string     `json:"kind,omitempty"`
	ProviderStatus string     `json:"provider_status,omitempty"`
	Amount         *moneyItem `json:"amount,omitempty"`
	// OccurredAt is by the provider's clock, the other two are by ours.
	OccurredAt string `json:"occurred_at"`
	ReceivedAt string `json:"received_at,omitempty"`
	RecordedAt string `json:"recorded_at"`
	Verdict    string `json:"verdict"`
	// Reason says why an event is dead-lettered.
	Reason string `json:"reason,omitempty"`
	// BodySHA256 is in hex: of the webhook's body or, for a caller that sent
	// none, of the update.
	BodySHA256 string `json:"body_sha256"`
}

func newEventItem(e payments.RecordedEvent) eventItem {
	said := saidBy(e.Update)
	return eventItem{
		Sequence: e.Sequence, Provider: e.Key.Provider, EventID: e.Key.EventID,
		OrderID: e.Update.GetOrderId(), DisputeID: e.DisputeID(), UserID: e.Update.GetUserId(),
		Kind: said.kind, ProviderStatus: said.providerStatus,
		Amount:     newMoneyItem(said.amount.GetMinorUnits(), said.amount.GetCurrency()),
		OccurredAt: formatTimestamp(e.Update.GetOccurredAt()), ReceivedAt: formatTimestamp(e.Update.GetReceivedAt()), RecordedAt: formatTime(e.RecordedAt),
		Verdict: payments.Verdicts.Name(e.Verdict), Reason: payments.DeadLetterReasons.Name(e.Reason),
		BodySHA256: hex.EncodeToString(e.Digest[:]),
	}
}

// statement is what an event says, of an order or of a dispute.
type statement struct {
	kind, providerStatus string
	amount               *payrelayv1.Money
}

func saidBy(u *payrelayv1.Update) statement {
	if d := u.GetDispute(); d != nil {
		return statement{payments.DisputeStatuses.Name(d.GetStatus()), d.GetProviderStatus(), d.GetAmount()}
	}
	o := u.GetOrder()
	return statement{payments.OrderStatuses.Name(o.GetStatus()), o.GetProviderStatus(), o.GetAmount()}
}

func formatTimestamp(ts *timestamppb.Timestamp) string {
	if ts == nil {
		return ""
	}
	return formatTime(ts.AsTime().Truncate(time.Microsecond))
}

func eventPlace(e payments.RecordedEvent) payments.Cursor {
	return payments.Cursor{Sequence: e.Sequence}
}

// listOrderEvents serves GET /orders/events.
func (p *Public) listOrderEvents(c echo.Context) error {
	in := readParams(c)
	query := payments.EventQuery{
		OrderIDs: in.ids("order_ids"),
		Kinds:    kinds(in, payments.OrderStatuses),
	}
	return p.listEvents(c, in, orderEventListing, query)
}

// listDisputeEvents serves GET /disputes/events.
func (p *Public) listDisputeEvents(c echo.Context) error {
	in := readParams(c)
	query := payments.EventQuery{
		Disputes:   true,
		DisputeIDs: in.ids("dispute_ids"),
		OrderIDs:   in.ids("order_ids"),
		Kinds:      kinds(in, payments.DisputeStatuses),
	}
	return p.listEvents(c, in, disputeEventListing, query)
}

func kinds[E ~int32](in *params, known payments.Names[E]) []string {
	var kinds []string
	for _, kind := range names(in, "kinds", "kind", known) {
		kinds = append(kinds, known.Name(kind))
	}
	return kinds
}

// listEvents reads what both listings know and answers.
func (p *Public) listEvents(c echo.Context, in *params, l listing, query payments.EventQuery) error {
	query.UserIDs = in.ids("user_ids")
	query.From, query.To = in.period()
	query.Page = in.page(l)
	if err := in.check(); err != nil {
		return err
	}
	page, err := ask(p, c, p.reader.Events, query)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newPageBody(l, query.Page, page, newEventItem, eventPlace))
}
