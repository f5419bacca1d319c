package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

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
	Reopened int    `json:"reopened,omitempty"`
	UserID   string `json:"user_id,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// Amount is at stake; OutcomeAmount is what the merchant finally loses.
	Amount        *moneyItem      `json:"amount,omitempty"`
	OutcomeAmount *moneyItem      `json:"outcome_amount,omitempty"`
	Flags         []payments.Flag `json:"flags,omitempty"`
	OpenedAt      string          `json:"opened_at"`
	UpdatedAt     string          `json:"updated_at"`
	EvidenceDueAt string          `json:"evidence_due_at,omitempty"`
}

// newDisputeItem returns the item of a dispute. The order is the one that the dispute
// belongs to, or nil if it is unknown.
func newDisputeItem(d payments.Dispute, order *payments.Order) disputeItem {
	return disputeItem{
		DisputeID: d.ID, Source: d.Source, OrderID: d.OrderID,
		Stage: payments.DisputeStages.Name(d.Stage), Status: payments.DisputeStatuses.Name(d.Status), Reopened: d.Reopened,
		UserID: d.UserID, Reason: d.Reason,
		Amount: newMoneyItem(d.Amount), OutcomeAmount: newMoneyItem(d.OutcomeAmount), Flags: d.Flags(order),
		OpenedAt: formatTime(d.OpenedAt), UpdatedAt: formatTime(d.UpdatedAt), EvidenceDueAt: formatTime(d.EvidenceDueAt),
	}
}

func disputeCursor(d payments.Dispute) payments.Cursor {
	return payments.Cursor{At: d.OpenedAt, ID: d.ID, Source: d.Source}
}

// disputePage is a page of disputes with their known orders.
type disputePage struct {
	payments.Page[payments.Dispute]
	orders map[string]*payments.Order
}

// readDisputes reads a page of disputes and their orders, which the flags of disputes
// depend on.
func (p *public) readDisputes(ctx context.Context, query payments.DisputeQuery) (disputePage, error) {
	if err := p.addParts(ctx, &query); err != nil {
		return disputePage{}, err
	}
	disputes, err := p.reader.Disputes(ctx, query)
	if err != nil || len(disputes.Items) == 0 {
		return disputePage{Page: disputes}, err
	}
	about := payments.OrderQuery{Page: payments.PageRequest{Limit: len(disputes.Items)}}
	for _, d := range disputes.Items {
		about.OrderIDs = append(about.OrderIDs, d.OrderID)
	}
	slices.Sort(about.OrderIDs)
	about.OrderIDs = slices.Compact(about.OrderIDs)
	orders, err := p.reader.Orders(ctx, about)
	if err != nil {
		return disputePage{}, fmt.Errorf("read the orders of disputes: %w", err)
	}
	page := disputePage{Page: disputes, orders: make(map[string]*payments.Order)}
	for i := range orders.Items {
		page.orders[orders.Items[i].ID] = &orders.Items[i]
	}
	return page, nil
}

// addParts adds the parts of the selected orders to the order ids of a query: a provider
// that knows a dispute only by its payment names the payment as the order. The query has
// at most maxValues order ids after it. The parts that are beyond it, by name, are not
// added.
func (p *public) addParts(ctx context.Context, query *payments.DisputeQuery) error {
	if len(query.OrderIDs) == 0 {
		return nil
	}
	orders, err := p.reader.Orders(ctx, payments.OrderQuery{OrderIDs: query.OrderIDs, Page: payments.PageRequest{Limit: payments.MaxPageSize}})
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

func (p disputePage) item(d payments.Dispute) disputeItem {
	return newDisputeItem(d, p.orders[d.OrderID])
}

// listDisputes serves GET /disputes.
func (p *public) listDisputes(c echo.Context) error {
	in := readParams(c)
	query := payments.DisputeQuery{
		Sources:    in.ids("sources"),
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
	page, err := read(p, c, p.readDisputes, query)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, newPageBody(disputeListing, query.Page, page.Page, page.item, disputeCursor))
}

// getDispute serves GET /disputes/{dispute_id}. If several sources have a dispute with the
// id, it refuses a request without the parameter source.
func (p *public) getDispute(c echo.Context) error {
	in := readParams(c)
	query := payments.DisputeQuery{Page: payments.PageRequest{Limit: payments.MaxPageSize}}
	if source, given := in.one("source"); given {
		if !isID(source) {
			in.refuse("invalid_id", "source is not the name of a source: leave it out, or send one that GET /disputes shows")
		}
		query.Sources = []string{source}
	}
	id, err := pathID(c, in)
	if err != nil {
		return err
	}
	query.DisputeIDs = []string{id}
	page, err := read(p, c, p.readDisputes, query)
	switch {
	case err != nil:
		return err
	case len(page.Items) == 0:
		return errNoSuchID
	case len(page.Items) > 1:
		return ambiguous(page.Items)
	default:
		return c.JSON(http.StatusOK, page.item(page.Items[0]))
	}
}

// ambiguous returns the refusal of a request that selects several disputes. Its message
// names their sources.
func ambiguous(disputes []payments.Dispute) error {
	sources := make([]string, len(disputes))
	for i, d := range disputes {
		sources[i] = d.Source
	}
	slices.Sort(sources)
	return &refusal{"ambiguous_id", fmt.Sprintf("%d sources have a dispute with this id: add the parameter source with one of %s", len(sources), strings.Join(sources, ", "))}
}
