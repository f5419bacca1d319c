package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/payrelay/payrelay/modules/payments"
)

// memory is a Reader that returns its fields, page by page and without filters. It keeps
// the last query.
type memory struct {
	orders   []payments.Order
	disputes []payments.Dispute
	events   []payments.RecordedEvent
	asked    any
	// fail, if it is not nil, runs before every answer and may return its error.
	fail func(context.Context) error
}

func (m *memory) Orders(ctx context.Context, q payments.OrderQuery) (payments.Page[payments.Order], error) {
	return pageIn(ctx, m, q, m.orders, q.Page, orderCursor)
}

func (m *memory) Disputes(ctx context.Context, q payments.DisputeQuery) (payments.Page[payments.Dispute], error) {
	return pageIn(ctx, m, q, m.disputes, q.Page, disputeCursor)
}

func (m *memory) Events(ctx context.Context, q payments.EventQuery) (payments.Page[payments.RecordedEvent], error) {
	return pageIn(ctx, m, q, m.events, q.Page, eventCursor)
}

func (m *memory) Order(ctx context.Context, id string) (payments.Order, error) {
	return find(ctx, m, id, m.orders, orderCursor)
}

func (m *memory) Dispute(ctx context.Context, id string) (payments.Dispute, error) {
	return find(ctx, m, id, m.disputes, disputeCursor)
}

func (m *memory) ask(ctx context.Context, question any) error {
	m.asked = question
	if m.fail != nil {
		return m.fail(ctx)
	}
	return nil
}

func pageIn[T any](ctx context.Context, m *memory, question any, all []T, asked payments.PageRequest, cursor func(T) payments.Cursor) (payments.Page[T], error) {
	if err := m.ask(ctx, question); err != nil {
		return payments.Page[T]{}, err
	}
	compare := func(a, b payments.Cursor) int {
		order := cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Sequence, b.Sequence))
		if asked.Ascending {
			return order
		}
		return -order
	}
	items := slices.SortedFunc(slices.Values(all), func(a, b T) int { return compare(cursor(a), cursor(b)) })
	items = slices.DeleteFunc(items, func(item T) bool {
		return asked.After != nil && compare(cursor(item), *asked.After) <= 0
	})
	return payments.Page[T]{Items: items[:min(asked.Limit, len(items))], More: len(items) > asked.Limit}, nil
}

func find[T any](ctx context.Context, m *memory, id string, all []T, cursor func(T) payments.Cursor) (T, error) {
	var none T
	if err := m.ask(ctx, id); err != nil {
		return none, err
	}
	for _, item := range all {
		if cursor(item).ID == id {
			return item, nil
		}
	}
	return none, payments.ErrNotFound
}

// publicRoutes returns the handler of the public listener.
func publicRoutes(reader Reader) http.Handler {
	return (&public{reader: reader, log: quiet()}).routes()
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
