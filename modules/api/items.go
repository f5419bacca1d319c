package api

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// orderItem is an order as the public API returns it. Its times are the provider's.
type orderItem struct {
	OrderID string `json:"order_id"`
	Status  string `json:"status"`
	// View is the status, or refunded or partially_refunded for a success.
	View   string     `json:"view"`
	UserID string     `json:"user_id,omitempty"`
	Amount *moneyItem `json:"amount,omitempty"`
	// The totals are those of all payments of the order.
	Authorized *moneyItem `json:"authorized,omitempty"`
	Captured   *moneyItem `json:"captured,omitempty"`
	Refunded   *moneyItem `json:"refunded,omitempty"`
	Flags      []string   `json:"flags,omitempty"`
	CreatedAt  string     `json:"created_at"`
	UpdatedAt  string     `json:"updated_at"`
}

func newOrderItem(o *payrelayv1.Order) orderItem {
	return orderItem{
		OrderID: o.GetOrderId(), Status: payments.OrderStatuses.Name(o.GetStatus()), View: o.GetView(), UserID: o.GetUserId(),
		Amount: newMoneyItem(o.GetAmount()), Authorized: newMoneyItem(o.GetAuthorized()),
		Captured: newMoneyItem(o.GetCaptured()), Refunded: newMoneyItem(o.GetRefunded()), Flags: o.GetFlags(),
		CreatedAt: formatTimestamp(o.GetCreatedAt()), UpdatedAt: formatTimestamp(o.GetUpdatedAt()),
	}
}

func orderSequence(o payments.Order) int64 { return o.Sequence }

// listOrders serves GET /orders.
func (p *public) listOrders(c echo.Context) error {
	in := readParams(c)
	req := &payrelayv1.ListOrdersRequest{
		OrderIds: in.list("order_ids"), UserIds: in.list("user_ids"),
		Statuses: names(in, "statuses", "status", payments.OrderStatuses),
		TimeFrom: in.time("time_from"), TimeTo: in.time("time_to"), Page: in.page(),
	}
	if err := in.check(); err != nil {
		return err
	}
	page, err := p.query.ListOrders(c.Request().Context(), req)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newPageBody(page.GetOrders(), newOrderItem, page.GetNextCursor()))
}

// getOrder serves GET /orders/{order_id}.
func (p *public) getOrder(c echo.Context) error {
	id, err := pathID(c, readParams(c))
	if err != nil {
		return err
	}
	answer, err := p.query.GetOrder(c.Request().Context(), &payrelayv1.GetOrderRequest{OrderId: id})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newOrderItem(answer.GetOrder()))
}

// moneyItem is an amount in minor units of its currency: 100.50 USD is
// {"minor_units":10050,"currency":"USD"}. Exponent is the number of decimal digits of
// the minor unit. It is absent if it is that of ISO 4217 or unknown.
type moneyItem struct {
	MinorUnits int64  `json:"minor_units"`
	Currency   string `json:"currency"`
	Exponent   *int32 `json:"exponent,omitempty"`
}

// newMoneyItem returns the item of an amount, or nil, which omits the field, if the amount
// is unknown.
func newMoneyItem(m *payrelayv1.Money) *moneyItem {
	if m.GetCurrency() == "" {
		return nil
	}
	return &moneyItem{MinorUnits: m.GetMinorUnits(), Currency: m.GetCurrency(), Exponent: m.Exponent}
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
