package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/payrelay/payrelay/modules/payments"
)

// orderItem is an order as the public API shows it. Times are the provider's.
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

func orderPlace(o payments.Order) payments.Cursor {
	return payments.Cursor{At: o.CreatedAt, ID: o.ID}
}

// listOrders serves GET /orders.
func (p *Public) listOrders(c echo.Context) error {
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
	page, err := ask(p, c, p.reader.Orders, query)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newPageBody(orderListing, query.Page, page, newOrderItem, orderPlace))
}

// getOrder serves GET /orders/{order_id}.
func (p *Public) getOrder(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	order, err := ask(p, c, p.reader.Order, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newOrderItem(order))
}
