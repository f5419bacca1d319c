package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// disputeItem is a dispute as the public API returns it. Source and DisputeID
// together identify it. Its times are the provider's. Reason is the cardholder's
// reason in the provider's words.
type disputeItem struct {
	DisputeID string `json:"dispute_id"`
	Source    string `json:"source"`
	OrderID   string `json:"order_id"`
	// Stage is absent if the provider states none.
	Stage  string `json:"stage,omitempty"`
	Status string `json:"status"`
	// Reopened is the number of times that the dispute was opened again after an
	// outcome.
	Reopened int32  `json:"reopened,omitempty"`
	UserID   string `json:"user_id,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// Amount is at stake; OutcomeAmount is what the merchant finally loses.
	Amount        *moneyItem `json:"amount,omitempty"`
	OutcomeAmount *moneyItem `json:"outcome_amount,omitempty"`
	Flags         []string   `json:"flags,omitempty"`
	OpenedAt      string     `json:"opened_at"`
	UpdatedAt     string     `json:"updated_at"`
	EvidenceDueAt string     `json:"evidence_due_at,omitempty"`
}

func newDisputeItem(d *payrelayv1.Dispute) disputeItem {
	return disputeItem{
		DisputeID: d.GetDisputeId(), Source: d.GetSource(), OrderID: d.GetOrderId(),
		Stage: payments.DisputeStages.Name(d.GetStage()), Status: payments.DisputeStatuses.Name(d.GetStatus()), Reopened: d.GetReopened(),
		UserID: d.GetUserId(), Reason: d.GetReason(),
		Amount: newMoneyItem(d.GetAmount()), OutcomeAmount: newMoneyItem(d.GetOutcomeAmount()), Flags: d.GetFlags(),
		OpenedAt: formatTimestamp(d.GetOpenedAt()), UpdatedAt: formatTimestamp(d.GetUpdatedAt()), EvidenceDueAt: formatTimestamp(d.GetEvidenceDueAt()),
	}
}

func disputeSequence(d payments.Dispute) int64 { return d.Sequence }

// disputePage is a page of disputes with their known orders.
type disputePage struct {
	payments.Page[payments.Dispute]
	orders map[string]*payments.Order
}

// messages returns the messages of the page.
func (p disputePage) messages() []*payrelayv1.Dispute {
	return convert(p.Items, func(d payments.Dispute) *payrelayv1.Dispute { return disputeMessage(d, p.orders[d.OrderID]) })
}

// disputes reads a page of disputes and their orders, which the flags of disputes depend
// on.
func (q *Query) disputes(ctx context.Context, query payments.DisputeQuery) (disputePage, error) {
	if err := q.addParts(ctx, &query); err != nil {
		return disputePage{}, err
	}
	page, err := q.reader.Disputes(ctx, query)
	if err != nil {
		return disputePage{}, err
	}
	orders, err := q.ordersOf(ctx, page.Items)
	return disputePage{page, orders}, err
}

// ordersOf returns the known orders of disputes by their ids.
func (q *Query) ordersOf(ctx context.Context, disputes []payments.Dispute) (map[string]*payments.Order, error) {
	if len(disputes) == 0 {
		return nil, nil
	}
	about := payments.OrderQuery{Page: payments.PageRequest{Limit: len(disputes)}}
	for _, d := range disputes {
		about.OrderIDs = append(about.OrderIDs, d.OrderID)
	}
	slices.Sort(about.OrderIDs)
	about.OrderIDs = slices.Compact(about.OrderIDs)
	page, err := q.reader.Orders(ctx, about)
	if err != nil {
		return nil, fmt.Errorf("read the orders of disputes: %w", err)
	}
	orders := make(map[string]*payments.Order)
	for i := range page.Items {
		orders[page.Items[i].ID] = &page.Items[i]
	}
	return orders, nil
}

// addParts adds the parts of the selected orders to the order ids of a query: a provider
// that knows a dispute only by its payment names the payment as the order. The query has
// at most maxValues order ids after it. The parts that are beyond it, by name, are not
// added.
func (q *Query) addParts(ctx context.Context, query *payments.DisputeQuery) error {
	if len(query.OrderIDs) == 0 {
		return nil
	}
	orders, err := q.reader.Orders(ctx, payments.OrderQuery{OrderIDs: query.OrderIDs, Page: payments.PageRequest{Limit: payments.MaxPageSize}})
	if err != nil {
		return fmt.Errorf("read the parts of orders: %w", err)
	}
	var parts []string
	for _, o := range orders.Items {
		parts = append(parts, o.PartNames()...)
	}
	slices.Sort(parts)
	parts = slices.Compact(parts)
	parts = slices.DeleteFunc(parts, func(name string) bool { return slices.Contains(query.OrderIDs, name) })
	query.OrderIDs = slices.Concat(query.OrderIDs, parts[:min(len(parts), maxValues-len(query.OrderIDs))])
	return nil
}

// listDisputes serves GET /disputes.
func (p *public) listDisputes(c echo.Context) error {
	in := readParams(c)
	req := &payrelayv1.ListDisputesRequest{
		Sources: in.list("sources"), DisputeIds: in.list("dispute_ids"), OrderIds: in.list("order_ids"), UserIds: in.list("user_ids"),
		Statuses: names(in, "statuses", "status", payments.DisputeStatuses),
		TimeFrom: in.time("time_from"), TimeTo: in.time("time_to"), DueFrom: in.time("due_from"), DueTo: in.time("due_to"),
		Page: in.page(),
	}
	if err := in.check(); err != nil {
		return err
	}
	page, err := p.query.ListDisputes(c.Request().Context(), req)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newPageBody(page.GetDisputes(), newDisputeItem, page.GetNextCursor()))
}

// getDispute serves GET /disputes/{dispute_id}. If several sources have a dispute with the
// id, it refuses a request without the parameter source.
func (p *public) getDispute(c echo.Context) error {
	in := readParams(c)
	source, given := in.one("source")
	if given && source == "" {
		in.refuse("invalid_id", "source is empty: leave it out, or send one that GET /disputes shows")
	}
	id, err := pathID(c, in)
	if err != nil {
		return err
	}
	answer, err := p.query.GetDispute(c.Request().Context(), &payrelayv1.GetDisputeRequest{DisputeId: id, Source: source})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newDisputeItem(answer.GetDispute()))
}
