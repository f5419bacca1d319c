package api

import (
	_ "embed"
	"log/slog"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/labstack/echo/v4"

	"github.com/payrelay/payrelay/gen/payrelay/v1/payrelayv1connect"
)

const (
	// publicDrain gives an action in flight its whole timeout.
	publicDrain = actionTimeout + time.Second
	// publicHeaderBytes has room for a filter with the largest number of ids, each of
	// the largest size.
	publicHeaderBytes = 64 << 10
	// The clients of this listener are not known in advance, so it closes idle
	// connections early.
	publicIdle = 10 * time.Second
)

// NewPublic returns the server of the public listener, which serves
//
//	GET /orders    GET /orders/{order_id}      GET /orders/events
//	GET /disputes  GET /disputes/{dispute_id}  GET /disputes/events
//	GET /deadletters  GET /deadletters/{id}    GET /sources  GET /audit  GET /openapi.json
//
// and QueryService and OperatorService.
//
// Ids in paths are percent-encoded. An order with the id "events" is found with
// GET /orders?order_ids=events, and such a dispute with GET /disputes?dispute_ids=events.
//
// Two sources may use the same dispute id. GET /disputes/{dispute_id}?source= returns the
// dispute of one source. Without the parameter, if several sources have a dispute with
// the id, the answer is 409 ambiguous_id, and its message names the sources.
//
// A listing is sorted by the sequence in which its items were first recorded: newest first,
// or oldest first with sort_asc=true. Its parameters are limit (1 to 200, default 50),
// cursor (next_cursor of the previous page, with the same sort_asc and filters) and filters
// such as
//
//	order_ids, dispute_ids, user_ids, statuses   where the items have the field
//	sources, kinds                               of disputes and events; of events
//	time_from (inclusive), time_to (exclusive)   of created_at, opened_at or occurred_at
//
// The values of a filter are separated by commas or given in several parameters of
// the same name, at most 200 in total. An item is selected if it matches one value
// of every filter. An id that contains a comma can be used in a path only.
func NewPublic(cfg Config, listener net.Listener, query *Query, operator *Operator, log *slog.Logger) *Server {
	p := &public{query, operator, log}
	server := newServer("public listener", listener, publicDrain, http.MaxBytesHandler(cfg.wrapped(p.routes()), maxRequestBytes), log)
	server.serveHTTP2()
	server.http.MaxHeaderBytes = publicHeaderBytes
	server.http.IdleTimeout = publicIdle
	return server
}

// public holds the handlers of the public listener.
type public struct {
	query    *Query
	operator *Operator
	log      *slog.Logger
}

func (p *public) routes() http.Handler {
	e := newEcho(p.log)
	e.Use(keepRequestID, setDataHeaders, refuseOtherMethods)
	for path, read := range map[string]echo.HandlerFunc{
		"/orders": p.listOrders, "/orders/events": p.listOrderEvents, "/orders/:id": p.getOrder,
		"/disputes": p.listDisputes, "/disputes/events": p.listDisputeEvents, "/disputes/:id": p.getDispute,
		"/deadletters": p.listDeadLetters, "/deadletters/:id": p.getDeadLetter,
		"/sources": p.listSources, "/audit": p.listAudit, "/openapi.json": p.getOpenAPI,
	} {
		e.GET(path, read)
		e.HEAD(path, read) // net/http drops the body
	}
	mountCalls(e, p.log,
		service{payrelayv1connect.QueryServiceName, func(options ...connect.HandlerOption) (string, http.Handler) {
			return payrelayv1connect.NewQueryServiceHandler(p.query, append(options, strictJSON)...)
		}},
		service{payrelayv1connect.OperatorServiceName, func(options ...connect.HandlerOption) (string, http.Handler) {
			return payrelayv1connect.NewOperatorServiceHandler(p.operator, append(options, strictJSON)...)
		}})
	return e
}

// setDataHeaders keeps browsers from interpreting a provider's text as a page, and
// caches from storing it.
func setDataHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		header := c.Response().Header()
		header.Set(echo.HeaderXContentTypeOptions, "nosniff")
		header.Set(echo.HeaderCacheControl, "no-store")
		return next(c)
	}
}

// openAPI is the description of the REST paths. A test compares it with what the handlers
// answer.
//
//go:embed openapi.json
var openAPI []byte

// getOpenAPI serves GET /openapi.json.
func (p *public) getOpenAPI(c echo.Context) error {
	if err := readParams(c).check(); err != nil {
		return err
	}
	return c.JSONBlob(http.StatusOK, openAPI)
}
