package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
)

// memory is a Reader that returns its fields, page by page, filtered only by ids and
// sources. It keeps the last query.
type memory struct {
	orders   []payments.Order
	disputes []payments.Dispute
	events   []payments.RecordedEvent
	letters  []*payments.DeadLetter // by ascending id
	audit    []payments.AuditEntry
	activity []payments.SourceActivity
	bodies   map[payments.Key][]byte
	mu       sync.Mutex // guards asked
	asked    any
	// counted is the last query of CountDeadLetters or RemainingDeadLetters.
	counted payments.DeadLetterQuery
	// fail, if it is not nil, runs before every answer and may return its error.
	fail func(context.Context) error
}

func (m *memory) Orders(ctx context.Context, q payments.OrderQuery) (payments.Page[payments.Order], error) {
	return pageIn(ctx, m, q, among(m.orders, q.OrderIDs, func(o payments.Order) string { return o.ID }), q.Page, orderSequence)
}

func (m *memory) Disputes(ctx context.Context, q payments.DisputeQuery) (payments.Page[payments.Dispute], error) {
	found := among(m.disputes, q.DisputeIDs, func(d payments.Dispute) string { return d.ID })
	found = among(found, q.Sources, func(d payments.Dispute) string { return d.Source })
	found = among(found, q.OrderIDs, func(d payments.Dispute) string { return d.OrderID })
	return pageIn(ctx, m, q, found, q.Page, disputeSequence)
}

func (m *memory) Events(ctx context.Context, q payments.EventQuery) (payments.Page[payments.RecordedEvent], error) {
	return pageIn(ctx, m, q, m.events, q.Page, eventSequence)
}

func (m *memory) Order(ctx context.Context, id string) (payments.Order, error) {
	if err := m.ask(ctx, id); err != nil {
		return payments.Order{}, err
	}
	for _, order := range m.orders {
		if order.ID == id {
			return order, nil
		}
	}
	return payments.Order{}, payments.ErrNotFound
}

func (m *memory) Dispute(ctx context.Context, key payments.DisputeKey) (payments.Dispute, error) {
	if err := m.ask(ctx, key); err != nil {
		return payments.Dispute{}, err
	}
	for _, dispute := range m.disputes {
		if dispute.DisputeKey == key {
			return dispute, nil
		}
	}
	return payments.Dispute{}, payments.ErrNotFound
}

// among returns the items that have one of the names, or all items if names is empty.
func among[T any](items []T, names []string, name func(T) string) []T {
	if len(names) == 0 {
		return items
	}
	return slices.DeleteFunc(slices.Clone(items), func(item T) bool { return !slices.Contains(names, name(item)) })
}

func (m *memory) ask(ctx context.Context, question any) error {
	m.mu.Lock()
	m.asked = question
	m.mu.Unlock()
	if m.fail != nil {
		return m.fail(ctx)
	}
	return nil
}

func pageIn[T any](ctx context.Context, m *memory, question any, all []T, asked payments.PageRequest, sequence func(T) int64) (payments.Page[T], error) {
	if err := m.ask(ctx, question); err != nil {
		return payments.Page[T]{}, err
	}
	compare := func(a, b int64) int {
		if asked.Ascending {
			return cmp.Compare(a, b)
		}
		return cmp.Compare(b, a)
	}
	items := slices.SortedStableFunc(slices.Values(all), func(a, b T) int { return compare(sequence(a), sequence(b)) })
	items = slices.DeleteFunc(items, func(item T) bool {
		return asked.After != nil && compare(sequence(item), asked.After.Sequence) <= 0
	})
	return payments.Page[T]{Items: items[:min(asked.Limit, len(items))], More: len(items) > asked.Limit}, nil
}

// failAfter returns a function that fails after a number of calls.
func failAfter(calls int) func(context.Context) error {
	return func(context.Context) error {
		if calls--; calls < 0 {
			return errors.New("the database is gone")
		}
		return nil
	}
}

// routesWith returns the handler of the public listener that logs to log.
func routesWith(reader testReader, log *slog.Logger) http.Handler {
	return (&public{NewQuery(reader, log), NewOperator(OperatorConfig{Store: reader, Log: log}), log}).routes()
}

// newTestPublic returns a public listener.
func newTestPublic(t *testing.T, cfg Config, reader testReader, log *slog.Logger) *Server {
	t.Helper()
	return NewPublic(cfg, listen(t), NewQuery(reader, log), NewOperator(OperatorConfig{Store: reader, Log: log}), log)
}

// testReader reads all that the public listener shows.
type testReader interface {
	Reader
	OperatorStore
}

// publicRoutes returns the handler of the public listener.
func publicRoutes(reader testReader) http.Handler {
	return routesWith(reader, quiet())
}

// get sends a GET request with the target of its request line.
func get(t *testing.T, handler http.Handler, target string) reply {
	t.Helper()
	return request(t, handler, http.MethodGet, target)
}

func request(t *testing.T, handler http.Handler, method, target string) reply {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, nil))
	return reply{w.Code, w.Header(), w.Body.String()}
}

// wantJSON returns the decoded body of an answer, which must be 200.
func wantJSON[T any](t *testing.T, r reply) T {
	t.Helper()
	var body T
	if r.status != http.StatusOK {
		t.Fatalf("answer = %d %s, want 200", r.status, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), &body); err != nil {
		t.Fatalf("decode %q: %v", r.body, err)
	}
	return body
}
