package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// queryTimeout is the deadline of the store for one query.
const queryTimeout = 5 * time.Second

const (
	// maxExplanations is the largest number of explanations that are made at once. Each
	// needs up to 30 MiB while it reads events and dead letters, so that readers make the
	// process need at most 60 MiB more.
	maxExplanations = 2
	// explainPatience is how long a request waits for one of them.
	explainPatience = time.Second
)

// Reader reads the state and the events that the ledger recorded.
type Reader interface {
	payments.ExplainReader
	Orders(ctx context.Context, query payments.OrderQuery) (payments.Page[payments.Order], error)
}

// Query implements the generated QueryService, for RPC, for the REST paths, and for a
// caller in the same process. All errors have a Connect code.
type Query struct {
	reader Reader
	log    *slog.Logger
	// explaining holds a value for each explanation that is being made.
	explaining chan struct{}
}

// NewQuery returns a Query that reads from reader.
func NewQuery(reader Reader, log *slog.Logger) *Query {
	return &Query{reader: reader, log: log, explaining: make(chan struct{}, maxExplanations)}
}

// ListOrders returns one page of orders.
func (q *Query) ListOrders(ctx context.Context, req *payrelayv1.ListOrdersRequest) (*payrelayv1.ListOrdersResponse, error) {
	var in checks
	query := payments.OrderQuery{
		OrderIDs: in.ids("order_ids", req.GetOrderIds()),
		UserIDs:  in.ids("user_ids", req.GetUserIds()),
		Statuses: enums(&in, "statuses", "status", req.GetStatuses(), payments.OrderStatuses),
		Page:     in.page(orderListing, req.GetPage()),
	}
	query.From, query.To = in.period("time", req.GetTimeFrom(), req.GetTimeTo())
	if err := in.check(); err != nil {
		return nil, err
	}
	page, err := read(ctx, q.log, "ListOrders", q.reader.Orders, query)
	if err != nil {
		return nil, err
	}
	return &payrelayv1.ListOrdersResponse{Orders: convert(page.Items, orderMessage), NextCursor: nextCursor(orderListing, query.Page, page, orderSequence)}, nil
}

// GetOrder returns one order.
func (q *Query) GetOrder(ctx context.Context, req *payrelayv1.GetOrderRequest) (*payrelayv1.GetOrderResponse, error) {
	var in checks
	id := in.id("order_id", req.GetOrderId())
	if err := in.check(); err != nil {
		return nil, err
	}
	order, err := read(ctx, q.log, "GetOrder", q.reader.Order, id)
	if err != nil {
		return nil, err
	}
	return &payrelayv1.GetOrderResponse{Order: orderMessage(order)}, nil
}

// ListDisputes returns one page of disputes. A filter by orders also selects the disputes
// that name a part of one of them.
func (q *Query) ListDisputes(ctx context.Context, req *payrelayv1.ListDisputesRequest) (*payrelayv1.ListDisputesResponse, error) {
	var in checks
	query := payments.DisputeQuery{
		Sources:    in.ids("sources", req.GetSources()),
		DisputeIDs: in.ids("dispute_ids", req.GetDisputeIds()),
		OrderIDs:   in.ids("order_ids", req.GetOrderIds()),
		UserIDs:    in.ids("user_ids", req.GetUserIds()),
		Statuses:   enums(&in, "statuses", "status", req.GetStatuses(), payments.DisputeStatuses),
		Page:       in.page(disputeListing, req.GetPage()),
	}
	query.From, query.To = in.period("time", req.GetTimeFrom(), req.GetTimeTo())
	query.DueFrom, query.DueTo = in.period("due", req.GetDueFrom(), req.GetDueTo())
	if err := in.check(); err != nil {
		return nil, err
	}
	page, err := read(ctx, q.log, "ListDisputes", q.disputes, query)
	if err != nil {
		return nil, err
	}
	return &payrelayv1.ListDisputesResponse{
		Disputes: page.messages(), NextCursor: nextCursor(disputeListing, query.Page, page.Page, disputeSequence),
	}, nil
}

// GetDispute returns one dispute. The error is failed_precondition if several sources have
// a dispute with the id.
func (q *Query) GetDispute(ctx context.Context, req *payrelayv1.GetDisputeRequest) (*payrelayv1.GetDisputeResponse, error) {
	var in checks
	query := payments.DisputeQuery{
		DisputeIDs: []string{in.id("dispute_id", req.GetDisputeId())}, Sources: in.source(req.GetSource()),
		Page: payments.PageRequest{Limit: payments.MaxPageSize},
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	page, err := read(ctx, q.log, "GetDispute", q.disputes, query)
	switch {
	case err != nil:
		return nil, err
	case len(page.Items) == 0:
		return nil, rpcError(errNoSuchID)
	case len(page.Items) > 1:
		return nil, rpcError(ambiguous(page.Items))
	default:
		return &payrelayv1.GetDisputeResponse{Dispute: page.messages()[0]}, nil
	}
}

// ListEvents returns one page of recorded events.
func (q *Query) ListEvents(ctx context.Context, req *payrelayv1.ListEventsRequest) (*payrelayv1.ListEventsResponse, error) {
	var in checks
	l, kinds := orderEventListing, payments.OrderStatuses.All()
	if req.GetDisputes() {
		l, kinds = disputeEventListing, payments.DisputeStatuses.All()
	} else if len(req.GetDisputeIds()) > 0 {
		in.refuse("invalid_filter", "dispute_ids selects events of disputes only: set disputes too, or leave dispute_ids out")
	}
	query := payments.EventQuery{
		Disputes:   req.GetDisputes(),
		Sources:    in.ids("sources", req.GetSources()),
		OrderIDs:   in.ids("order_ids", req.GetOrderIds()),
		DisputeIDs: in.ids("dispute_ids", req.GetDisputeIds()),
		UserIDs:    in.ids("user_ids", req.GetUserIds()),
		Kinds:      in.oneOf("kinds", "kind", req.GetKinds(), kinds),
		Page:       in.page(l, req.GetPage()),
	}
	query.From, query.To = in.period("time", req.GetTimeFrom(), req.GetTimeTo())
	if err := in.check(); err != nil {
		return nil, err
	}
	page, err := read(ctx, q.log, "ListEvents", q.reader.Events, query)
	if err != nil {
		return nil, err
	}
	return &payrelayv1.ListEventsResponse{Events: convert(page.Items, eventMessage), NextCursor: nextCursor(l, query.Page, page, eventSequence)}, nil
}

// ExplainOrder returns an order with its timeline and the reasons for its state.
func (q *Query) ExplainOrder(ctx context.Context, req *payrelayv1.ExplainOrderRequest) (*payrelayv1.ExplainOrderResponse, error) {
	var in checks
	id := in.id("order_id", req.GetOrderId())
	if err := in.check(); err != nil {
		return nil, err
	}
	return read(ctx, q.log, "ExplainOrder", func(ctx context.Context, id string) (*payrelayv1.ExplainOrderResponse, error) {
		done, err := q.explain(ctx)
		if err != nil {
			return nil, err
		}
		defer done()
		found, err := payments.ExplainOrder(ctx, q.reader, id)
		if err != nil {
			return nil, err
		}
		orders, err := q.ordersOf(ctx, found.Disputes)
		if err != nil {
			return nil, err
		}
		answer := &payrelayv1.ExplainOrderResponse{
			Disputes:  disputePage{payments.Page[payments.Dispute]{Items: found.Disputes}, orders}.messages(),
			Sentences: found.Sentences, Timeline: convert(found.Timeline, timelineMessage), Earlier: found.Earlier,
			DeadLetters: convert(found.DeadLetters, letterMessage),
		}
		if found.Order != nil {
			answer.Order = orderMessage(*found.Order)
		}
		return answer, nil
	}, id)
}

// ExplainDispute returns a dispute with its timeline and the reasons for its state.
func (q *Query) ExplainDispute(ctx context.Context, req *payrelayv1.ExplainDisputeRequest) (*payrelayv1.ExplainDisputeResponse, error) {
	var in checks
	key := payments.DisputeKey{ID: in.id("dispute_id", req.GetDisputeId()), Source: req.GetSource()}
	in.source(key.Source)
	if err := in.check(); err != nil {
		return nil, err
	}
	return read(ctx, q.log, "ExplainDispute", func(ctx context.Context, key payments.DisputeKey) (*payrelayv1.ExplainDisputeResponse, error) {
		done, err := q.explain(ctx)
		if err != nil {
			return nil, err
		}
		defer done()
		if key.Source == "" {
			if key.Source, err = q.onlySource(ctx, key.ID); err != nil {
				return nil, err
			}
		}
		found, err := payments.ExplainDispute(ctx, q.reader, key)
		if err != nil {
			return nil, err
		}
		orders, err := q.ordersOf(ctx, found.Disputes)
		if err != nil {
			return nil, err
		}
		answer := &payrelayv1.ExplainDisputeResponse{
			Sentences: found.Sentences, Timeline: convert(found.Timeline, timelineMessage), Earlier: found.Earlier,
			DeadLetters: convert(found.DeadLetters, letterMessage),
		}
		for _, d := range found.Disputes {
			answer.Dispute = disputeMessage(d, orders[d.OrderID])
		}
		return answer, nil
	}, key)
}

// explain waits until another explanation may be made. The caller calls done after it.
func (q *Query) explain(ctx context.Context) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, explainPatience)
	defer cancel()
	select {
	case q.explaining <- struct{}{}:
		return func() { <-q.explaining }, nil
	case <-ctx.Done():
		return nil, &refusal{codeUnavailable, fmt.Sprintf("%d explanations are being made, which is the most at once: try again later", maxExplanations)}
	}
}

// onlySource returns the source of the dispute with an id. If there are several, it
// returns the refusal that names them.
func (q *Query) onlySource(ctx context.Context, id string) (string, error) {
	page := payments.PageRequest{Limit: payments.MaxPageSize}
	disputes, err := q.reader.Disputes(ctx, payments.DisputeQuery{DisputeIDs: []string{id}, Page: page})
	if err != nil {
		return "", err
	}
	if len(disputes.Items) == 0 {
		// No event of the dispute was applied.
		events, err := q.reader.Events(ctx, payments.EventQuery{Disputes: true, DisputeIDs: []string{id}, Page: page})
		if err != nil {
			return "", err
		}
		for _, e := range events.Items {
			if key := (payments.DisputeKey{Source: e.Key.Source, ID: id}); !slices.ContainsFunc(disputes.Items, func(d payments.Dispute) bool { return d.DisputeKey == key }) {
				disputes.Items = append(disputes.Items, payments.Dispute{DisputeKey: key})
			}
		}
	}
	switch len(disputes.Items) {
	case 0:
		return "", payments.ErrNotFound
	case 1:
		return disputes.Items[0].Source, nil
	default:
		return "", ambiguous(disputes.Items)
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

var errNoSuchID = &refusal{"not_found", "nothing has this id: check the id, and percent-encode its special characters"}

// read calls a method of the reader with a deadline. The error is one of the RPC
// protocols and meant for the client. Only the log has its cause, because clients must
// not see the errors of a database.
func read[Q, A any](ctx context.Context, log *slog.Logger, name string, method func(context.Context, Q) (A, error), query Q) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	answer, err := method(ctx, query)
	if err == nil {
		return answer, nil
	}
	var none A
	var known coded
	switch {
	case errors.As(err, &known):
		return none, rpcError(err)
	case errors.Is(err, payments.ErrNotFound):
		return none, rpcError(errNoSuchID)
	case ctx.Err() != nil:
		return none, rpcError(&refusal{codeDeadline, fmt.Sprintf("the query took longer than %s: select fewer items, or try again later", queryTimeout)})
	default:
		log.Warn("read failed", "request_id", requestIDOf(ctx), "method", name, "error", err)
		return none, rpcError(&refusal{codeUnavailable, "the database cannot be read at the moment: try again later"})
	}
}
