package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/payrelay/payrelay/modules/payments"
)

const (
	// queryTimeout bounds what one request asks of the store.
	queryTimeout = 5 * time.Second
	// publicDrain outlasts a query that is under way.
	publicDrain = queryTimeout + time.Second
	// publicHeaderBytes has room for a filter with as many ids as it takes, each
	// as long as it may be.
	publicHeaderBytes = 64 << 10
	// publicConnections and publicIdle: who connects here is not known, so that
	// clients who only keep their connections must not keep others out for long.
	publicConnections = 8192
	publicIdle        = 10 * time.Second
)

// Reader reads what the ledger wrote. Order and Dispute return
// payments.ErrNotFound for an id that they do not have.
type Reader interface {
	Orders(ctx context.Context, query payments.OrderQuery) (payments.Page[payments.Order], error)
	Order(ctx context.Context, id string) (payments.Order, error)
	Disputes(ctx context.Context, query payments.DisputeQuery) (payments.Page[payments.Dispute], error)
	Dispute(ctx context.Context, id string) (payments.Dispute, error)
	Events(ctx context.Context, query payments.EventQuery) (payments.Page[payments.RecordedEvent], error)
}

// Public is the listener on which people and their programs read:
//
//	GET /orders    GET /orders/{order_id}      GET /orders/events
//	GET /disputes  GET /disputes/{dispute_id}  GET /disputes/events
//
// Ids in paths are percent-encoded. The order whose id is "events" is found
// with GET /orders?order_ids=events, and such a dispute likewise.
//
// A listing is sorted by created_at, opened_at or, for events, sequence: newest
// first, or with sort_asc=true oldest first. It takes limit (1 to 200, 50 if
// absent), cursor (the next_cursor of the page before; sort_asc and filters have
// to be given again) and the filters
//
//	order_ids, dispute_ids, user_ids, statuses, kinds   as far as its items have them
//	time_from (included), time_to (excluded)            created_at, opened_at or occurred_at
//
// Several values of a filter have commas between them or come in parameters of
// the same name, at most 200 together; an item has to match one of them, and
// every filter. An id with a comma in it is found by its path only.
type Public struct {
	reader Reader
	log    *slog.Logger
	server *server
}

// NewPublic opens the listener, so that a port that is taken fails the start.
func NewPublic(cfg Config, reader Reader, log *slog.Logger) (*Public, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Public{reader: reader, log: log}
	server, err := newServer("public listener (API_ADDR)", cfg.Addr, publicDrain, p.routes(), log)
	if err != nil {
		return nil, err
	}
	server.maxConnections = publicConnections
	server.http.MaxHeaderBytes = publicHeaderBytes
	server.http.IdleTimeout = publicIdle
	p.server = server
	return p, nil
}

// Addr is the address listened on, with its real port.
func (p *Public) Addr() string { return p.server.addr() }

// Run serves until ctx is cancelled and the requests under way are answered or
// cut off, which the log tells. It must be called once, also to release the
// listener of a start that failed: then with a cancelled context.
func (p *Public) Run(ctx context.Context) error { return p.server.run(ctx) }

func (p *Public) routes() http.Handler {
	e := newEcho(p.log)
	e.Use(asData, declaredMethods)
	e.GET("/orders", p.listOrders)
	e.GET("/orders/events", p.listOrderEvents)
	e.GET("/orders/:id", p.getOrder)
	e.GET("/disputes", p.listDisputes)
	e.GET("/disputes/events", p.listDisputeEvents)
	e.GET("/disputes/:id", p.getDispute)
	return e
}

// asData keeps browsers from taking what a provider wrote for a page, and
// everybody from keeping copies of it.
func asData(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		header := c.Response().Header()
		header.Set(echo.HeaderXContentTypeOptions, "nosniff")
		header.Set(echo.HeaderCacheControl, "no-store")
		return next(c)
	}
}

// ask asks the reader one question, within its deadline, and says what an error
// means to the caller. Why it came goes to the log: what a database says about
// itself is not for others.
func ask[Q, A any](p *Public, c echo.Context, read func(context.Context, Q) (A, error), question Q) (A, error) {
	ctx, cancel := context.WithTimeout(c.Request().Context(), queryTimeout)
	defer cancel()
	answer, err := read(ctx, question)
	switch {
	case err == nil:
		return answer, nil
	case errors.Is(err, payments.ErrNotFound):
		return answer, errNoSuchID
	case ctx.Err() != nil:
		return answer, &Error{codeDeadline, fmt.Sprintf("reading took longer than %s: ask for less at once, or again later", queryTimeout)}
	default:
		id := c.Response().Header().Get(echo.HeaderXRequestID)
		p.log.Warn("read failed", "request_id", id, "path", c.Path(), "error", err)
		return answer, &Error{codeUnavailable, "the store cannot be read at the moment: ask again"}
	}
}
