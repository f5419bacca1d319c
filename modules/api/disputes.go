package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/payrelay/payrelay/modules/payments"
)

// disputeItem is a dispute as the public API shows it. Times are the
// provider's; Reason is its word for why the cardholder disputes.
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

func disputePlace(d payments.Dispute) payments.Cursor {
	return payments.Cursor{At: d.OpenedAt, ID: d.ID}
}

// listDisputes serves GET /disputes.
func (p *Public) listDisputes(c echo.Context) error {
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
	page, err := ask(p, c, p.reader.Disputes, query)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newPageBody(disputeListing, query.Page, page, newDisputeItem, disputePlace))
}

// getDispute serves GET /disputes/{dispute_id}.
func (p *Public) getDispute(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	dispute, err := ask(p, c, p.reader.Dispute, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newDisputeItem(dispute))
}
