package api

import (
	"encoding/hex"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/payrelay/payrelay/modules/payments"
)

// orderItem is an order as the public API returns it. Its times are the provider's.
type orderItem struct {
	OrderID   string     `json:"order_id"`
	Status    string     `json:"status"`
	UserID    string     `json:"user_id,omitempty"`
	Amount    *moneyItem `json:"amount,omitempty"`
	CreatedAt string     `json:"created_at"`
	UpdatedAt string     `json:"updated_at"`
}

func newOrderItem(o payments.Order) orderItem {
	return orderItem{
		OrderID: o.ID, Status: payments.OrderStatuses.Name(o.Status), UserID: o.UserID,
		Amount:    newMoneyItem(o.Amount.MinorUnits, o.Amount.Currency),
		CreatedAt: formatTime(o.CreatedAt), UpdatedAt: formatTime(o.UpdatedAt),
	}
}

func orderCursor(o payments.Order) payments.Cursor {
	return payments.Cursor{At: o.CreatedAt, ID: o.ID}
}

// listOrders serves GET /orders.
func (p *public) listOrders(c echo.Context) error {
	in := readParams(c)
	query := payments.OrderQuery{
		OrderIDs: in.ids("order_ids"),
		UserIDs:  in.ids("user_ids"),
		Statuses: names(in, "statuses", "status", payments.OrderStatuses),
		Page:     in.page(orderListing),
	}
	query.From, query.To = in.period()
	if err := in.check(); err != nil {
		return err
	}
	page, err := read(p, c, p.reader.Orders, query)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newPageBody(orderListing, query.Page, page, newOrderItem, orderCursor))
}

// getOrder serves GET /orders/{order_id}.
func (p *public) getOrder(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	order, err := read(p, c, p.reader.Order, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newOrderItem(order))
}

// disputeItem is a dispute as the public API returns it. Its times are the
// provider's. Reason is the cardholder's reason in the provider's words.
type disputeItem struct {
	DisputeID     string     `json:"dispute_id"`
	OrderID       string     `json:"order_id"`
	Status        string     `json:"status"`
	UserID        string     `json:"user_id,omitempty"`
	Reason        string     `json:"reason,omitempty"`
	Amount        *moneyItem `json:"amount,omitempty"`
	OpenedAt      string     `json:"opened_at"`
	UpdatedAt     string     `json:"updated_at"`
	EvidenceDueAt string     `json:"evidence_due_at,omitempty"`
}

func newDisputeItem(d payments.Dispute) disputeItem {
	return disputeItem{
		DisputeID: d.ID, OrderID: d.OrderID, Status: payments.DisputeStatuses.Name(d.Status),
		UserID: d.UserID, Reason: d.Reason,
		Amount:   newMoneyItem(d.Amount.MinorUnits, d.Amount.Currency),
		OpenedAt: formatTime(d.OpenedAt), UpdatedAt: formatTime(d.UpdatedAt), EvidenceDueAt: formatTime(d.EvidenceDueAt),
	}
}

func disputeCursor(d payments.Dispute) payments.Cursor {
	return payments.Cursor{At: d.OpenedAt, ID: d.ID}
}

// listDisputes serves GET /disputes.
func (p *public) listDisputes(c echo.Context) error {
	in := readParams(c)
	query := payments.DisputeQuery{
		DisputeIDs: in.ids("dispute_ids"),
		OrderIDs:   in.ids("order_ids"),
		UserIDs:    in.ids("user_ids"),
		Statuses:   names(in, "statuses", "status", payments.DisputeStatuses),
		Page:       in.page(disputeListing),
	}
	query.From, query.To = in.period()
	if err := in.check(); err != nil {
		return err
	}
	page, err := read(p, c, p.reader.Disputes, query)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newPageBody(disputeListing, query.Page, page, newDisputeItem, disputeCursor))
}

// getDispute serves GET /disputes/{dispute_id}.
func (p *public) getDispute(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	dispute, err := read(p, c, p.reader.Dispute, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newDisputeItem(dispute))
}

// eventItem is a recorded event as the public API returns it.
type eventItem struct {
	// Sequence numbers all events in the order of their recording, with gaps.
	Sequence  int64  `json:"sequence"`
	Provider  string `json:"provider"`
	EventID   string `json:"event_id"`
	OrderID   string `json:"order_id"`
	DisputeID string `json:"dispute_id,omitempty"`
	UserID    string `json:"user_id,omitempty"`
	// Kind is the status that the provider reported. It is absent if payrelay does
	// not know the status; ProviderStatus then holds it in the provider's words.
	Kind           string     `json:"kind,omitempty"`
	ProviderStatus string     `json:"provider_status,omitempty"`
	Amount         *moneyItem `json:"amount,omitempty"`
	// OccurredAt is a time of the provider's clock, ReceivedAt and RecordedAt are
	// times of payrelay's.
	OccurredAt string `json:"occurred_at"`
	ReceivedAt string `json:"received_at,omitempty"`
	RecordedAt string `json:"recorded_at"`
	Verdict    string `json:"verdict"`
	// Reason is why an event is dead-lettered.
	Reason string `json:"reason,omitempty"`
	// BodySHA256 is the digest, in hexadecimal, of the webhook's body, or of the
	// update if it has no body.
	BodySHA256 string `json:"body_sha256"`
}

func newEventItem(e payments.RecordedEvent) eventItem {
	item := eventItem{
		Sequence: e.Sequence, Provider: e.Key.Provider, EventID: e.Key.EventID,
		OrderID: e.Update.GetOrderId(), DisputeID: e.DisputeID(), UserID: e.Update.GetUserId(),
		OccurredAt: formatTimestamp(e.Update.GetOccurredAt()), ReceivedAt: formatTimestamp(e.Update.GetReceivedAt()), RecordedAt: formatTime(e.RecordedAt),
		Verdict: payments.Verdicts.Name(e.Verdict), Reason: payments.DeadLetterReasons.Name(e.Reason),
		BodySHA256: hex.EncodeToString(e.Digest[:]),
	}
	if e.IsDispute() {
		d := e.Update.GetDispute()
		item.Kind, item.ProviderStatus = payments.DisputeStatuses.Name(d.GetStatus()), d.GetProviderStatus()
		item.Amount = newMoneyItem(d.GetAmount().GetMinorUnits(), d.GetAmount().GetCurrency())
	} else {
		o := e.Update.GetOrder()
		item.Kind, item.ProviderStatus = payments.OrderStatuses.Name(o.GetStatus()), o.GetProviderStatus()
		item.Amount = newMoneyItem(o.GetAmount().GetMinorUnits(), o.GetAmount().GetCurrency())
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

// listEvents reads the parameters that both event listings have, and answers.
func (p *public) listEvents(c echo.Context, in *params, l listing, query payments.EventQuery) error {
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

// moneyItem is an amount in minor units of its currency: 100.50 USD is
// {"minor_units":10050,"currency":"USD"}.
type moneyItem struct {
	MinorUnits int64  `json:"minor_units"`
	Currency   string `json:"currency"`
}

// newMoneyItem returns an amount or, if none is known, nil, which omits the field.
func newMoneyItem(minorUnits int64, currency string) *moneyItem {
	if currency == "" {
		return nil
	}
	return &moneyItem{MinorUnits: minorUnits, Currency: currency}
}

// formatTime returns a time in RFC 3339, in UTC and always with microseconds, so
// that the texts sort in the order of the times. It returns "" for the zero time,
// which leaves the field out.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}

func formatTimestamp(ts *timestamppb.Timestamp) string {
	if ts == nil {
		return ""
	}
	return formatTime(ts.AsTime())
}
