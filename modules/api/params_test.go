package api

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

var firstPage = payments.PageRequest{Limit: 50}

func TestParametersBecomeTheQuery(t *testing.T) {
	ten := time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)
	after := payments.Cursor{Sequence: 5}
	cursor := disputeListing.encode(5, true)
	tests := []struct {
		target string
		want   any
	}{
		{"/orders", payments.OrderQuery{Page: firstPage}},
		{"/orders?order_ids=a", payments.OrderQuery{OrderIDs: []string{"a"}, Page: firstPage}},
		{"/orders?order_ids=a,b%2Cc&order_ids=d", payments.OrderQuery{OrderIDs: []string{"a", "b", "c", "d"}, Page: firstPage}},
		{"/orders?order_ids=events", payments.OrderQuery{OrderIDs: []string{"events"}, Page: firstPage}},
		{"/orders?order_ids=a%2Fb,c/d,e%252F,f+g,%C3%A9", payments.OrderQuery{OrderIDs: []string{"a/b", "c/d", "e%2F", "f g", "é"}, Page: firstPage}},
		{"/orders?user_ids=u,v", payments.OrderQuery{UserIDs: []string{"u", "v"}, Page: firstPage}},
		{"/orders?statuses=created,failed&statuses=success", payments.OrderQuery{Page: firstPage, Statuses: []payrelayv1.OrderStatus{
			payrelayv1.OrderStatus_ORDER_STATUS_CREATED, payrelayv1.OrderStatus_ORDER_STATUS_FAILED, payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS,
		}}},
		{"/orders?time_from=2026-01-04T10:00:00Z&time_to=2026-01-04T12:00:01%2B01:00",
			payments.OrderQuery{From: ten, To: ten.Add(time.Hour + time.Second), Page: firstPage}},
		{"/orders?time_from=2026-01-04T09:00:00.5-00:59&time_to=2026-01-05T10:00:00%2B23:59",
			payments.OrderQuery{From: ten.Add(-time.Minute + time.Second/2), To: ten.Add(time.Minute), Page: firstPage}},
		// Stored times have microseconds, so a finer bound is rounded up.
		{"/orders?time_from=2026-01-04T10:00:00.000001Z&time_to=2026-01-04T10:00:00.0000011Z",
			payments.OrderQuery{From: ten.Add(time.Microsecond), To: ten.Add(2 * time.Microsecond), Page: firstPage}},
		{"/orders?limit=1", payments.OrderQuery{Page: payments.PageRequest{Limit: 1}}},
		{"/orders?limit=200&sort_asc=true", payments.OrderQuery{Page: payments.PageRequest{Limit: 200, Ascending: true}}},
		{"/orders?sort_asc=false", payments.OrderQuery{Page: firstPage}},

		{"/disputes", payments.DisputeQuery{Page: firstPage}},
		{"/disputes?dispute_ids=d,e&order_ids=o&user_ids=u&sources=s,t", payments.DisputeQuery{
			Sources: []string{"s", "t"}, DisputeIDs: []string{"d", "e"}, OrderIDs: []string{"o"}, UserIDs: []string{"u"}, Page: firstPage,
		}},
		{"/disputes?statuses=under_review,won", payments.DisputeQuery{Page: firstPage, Statuses: []payrelayv1.DisputeStatus{
			payrelayv1.DisputeStatus_DISPUTE_STATUS_UNDER_REVIEW, payrelayv1.DisputeStatus_DISPUTE_STATUS_WON,
		}}},
		{"/disputes?time_from=2026-01-04T10:00:00Z&limit=2&sort_asc=true&cursor=" + cursor,
			payments.DisputeQuery{From: ten, Page: payments.PageRequest{Limit: 2, Ascending: true, After: &after}}},

		{"/orders/events", payments.EventQuery{Page: firstPage}},
		{"/orders/events?order_ids=o&user_ids=u&kinds=created,success&sources=s", payments.EventQuery{
			Sources:  []string{"s"},
			OrderIDs: []string{"o"}, UserIDs: []string{"u"}, Kinds: []string{"created", "success"}, Page: firstPage,
		}},
		{"/orders/events?sort_asc=true&cursor=" + orderEventListing.encode(7, true),
			payments.EventQuery{Page: payments.PageRequest{Limit: 50, Ascending: true, After: &payments.Cursor{Sequence: 7}}}},
		{"/disputes/events", payments.EventQuery{Disputes: true, Page: firstPage}},
		{"/disputes/events?order_ids=o&dispute_ids=d&user_ids=u&kinds=open&time_to=2026-01-04T10:00:00Z", payments.EventQuery{
			Disputes: true, OrderIDs: []string{"o"}, DisputeIDs: []string{"d"}, UserIDs: []string{"u"}, Kinds: []string{"open"}, To: ten, Page: firstPage,
		}},
	}
	for _, test := range tests {
		reader := new(memory)
		if r := get(t, publicRoutes(reader), test.target); r.status != 200 {
			t.Errorf("GET %s = %d %s, want 200", test.target, r.status, r.body)
		}
		if !reflect.DeepEqual(reader.asked, test.want) {
			t.Errorf("GET %s reads\n%+v, want\n%+v", test.target, reader.asked, test.want)
		}
	}
}

func TestBadParametersAreRefused(t *testing.T) {
	repeat := func(value string, n int) string { return strings.Join(slices.Repeat([]string{value}, n), ",") }
	everywhere := []struct{ query, code string }{
		{"limit=0", "invalid_limit"}, {"limit=-1", "invalid_limit"}, {"limit=abc", "invalid_limit"}, {"limit=", "invalid_limit"},
		{"limit=201", "invalid_limit"}, {"limit=1e9", "invalid_limit"}, {"limit=99999999999999999999", "invalid_limit"},
		{"limit=1.0", "invalid_limit"}, {"limit=0x10", "invalid_limit"}, {"limit=+5", "invalid_limit"},
		{"limit=1&limit=2", "repeated_parameter"},
		{"sort_asc=", "invalid_sort"}, {"sort_asc=1", "invalid_sort"}, {"sort_asc=TRUE", "invalid_sort"},
		{"sort_asc=id;drop%20table%20orders", "invalid_query"}, {"sort_asc=(select%201)", "invalid_sort"}, {"sort_asc=id%3Bdrop", "invalid_sort"},
		{"sort=created_at", "unknown_parameter"},
		{"cursor=", "invalid_cursor"}, {"cursor=abc", "invalid_cursor"}, {"cursor=%00", "invalid_cursor"}, {"cursor=!!!!", "invalid_cursor"},
		{"cursor=%7B%22id%22%3A1%7D", "invalid_cursor"}, {"cursor=a&cursor=b", "repeated_parameter"},
		{"time_from=", "invalid_time"}, {"time_from=yesterday", "invalid_time"}, {"time_from=2026-01-04", "invalid_time"},
		{"time_from=1767520800", "invalid_time"}, {"time_from=2026-01-04T10:00:00", "invalid_time"},
		{"time_from=2026-01-04T10:00:00+01:00", "invalid_time"}, {"time_to=2026-02-30T00:00:00Z", "invalid_time"},
		{"time_to=0001-01-01T00:00:00Z", "invalid_time"}, {"time_to=1969-12-31T23:59:59Z", "invalid_time"}, {"time_to=10000-01-01T00:00:00Z", "invalid_time"},
		// Accepted by time.Parse, but not in RFC 3339.
		{"time_from=2026-01-04T10:00:00,5Z", "invalid_time"}, {"time_to=2026-01-04T9:00:00Z", "invalid_time"},
		{"time_from=2026-01-04T10:00:00%2B24:00", "invalid_time"}, {"time_to=2026-01-04T10:00:00-24:00", "invalid_time"},
		{"time_from=2026-01-04T10:00:00%2B00:60", "invalid_time"}, {"time_to=2026-01-04T10:00:00-00:60", "invalid_time"},
		{"time_from=2026-01-04T10:00:00.Z", "invalid_time"}, {"time_to=2026-01-04T10:00:00Z%0A", "invalid_time"},
		{"time_from=2026-01-04T10:00:00Z&time_to=2026-01-04T10:00:00Z", "invalid_time"},
		{"time_from=2026-01-04T10:00:00Z&time_to=2025-01-04T10:00:00Z", "invalid_time"},
		{"time_from=2026-01-04T10:00:00Z&time_from=2026-01-04T10:00:00Z", "repeated_parameter"},
		{"order_ids=", "empty_value"}, {"order_ids=a,", "empty_value"}, {"order_ids=a,,b", "empty_value"}, {"order_ids", "empty_value"},
		{"order_ids=%00", "invalid_id"}, {"order_ids=a%0Ab", "invalid_id"}, {"order_ids=%FF", "invalid_id"}, {"order_ids=" + strings.Repeat("x", 256), "invalid_id"},
		{"order_ids=" + repeat("a", 201), "too_many_values"}, {"order_ids=" + repeat("a", 200) + "&order_ids=a", "too_many_values"},
		{"order_ids=" + repeat("a", 10_000), "too_many_values"}, {"user_ids=" + repeat("a", 201), "too_many_values"},
		{"order_id=a", "unknown_parameter"}, {"Order_ids=a", "unknown_parameter"}, {"order_ids[]=a", "unknown_parameter"}, {"page=2", "unknown_parameter"},
		{"=a", "unknown_parameter"}, {"pretty", "unknown_parameter"}, {"%3Cscript%3E=1", "unknown_parameter"}, {strings.Repeat("x", 1000) + "=1", "unknown_parameter"},
		// A query that cannot be parsed must not select everything.
		{"order_ids=%zz", "invalid_query"}, {"order_ids=a%2", "invalid_query"}, {"order_ids=a;user_ids=b", "invalid_query"}, {"limit=5&%", "invalid_query"},
	}
	for _, path := range []string{"/orders", "/disputes", "/orders/events", "/disputes/events"} {
		for _, test := range everywhere {
			refused(t, path, test.query, test.code)
		}
	}
	for _, test := range []struct{ path, query, code string }{
		{"/orders", "statuses=paid", "unknown_status"}, {"/orders", "statuses=created,CREATED", "unknown_status"}, {"/orders", "statuses=", "empty_value"},
		{"/orders", "statuses=unspecified", "unknown_status"}, {"/orders", "statuses=1", "unknown_status"}, {"/orders", "statuses=won", "unknown_status"},
		{"/orders", "statuses=" + repeat("created", 201), "too_many_values"}, {"/disputes", "statuses=created", "unknown_status"},
		{"/orders/events", "kinds=open", "unknown_kind"}, {"/disputes/events", "kinds=success", "unknown_kind"}, {"/disputes/events", "kinds=%27--", "unknown_kind"},
		{"/orders/events", "kinds=" + repeat("created", 201), "too_many_values"},
		// A filter of a field that the items do not have.
		{"/orders", "dispute_ids=d", "unknown_parameter"}, {"/orders/events", "dispute_ids=d", "unknown_parameter"}, {"/orders", "kinds=created", "unknown_parameter"},
		{"/orders/events", "statuses=created", "unknown_parameter"}, {"/disputes/events", "statuses=won", "unknown_parameter"},
		// A cursor of another listing or direction.
		{"/orders", "cursor=" + disputeListing.encode(5, false), "invalid_cursor"},
		{"/orders", "cursor=" + orderListing.encode(5, true), "invalid_cursor"},
		{"/orders", "sort_asc=true&cursor=" + orderListing.encode(5, false), "invalid_cursor"},
		{"/orders/events", "cursor=" + disputeEventListing.encode(5, false), "invalid_cursor"},
		{"/orders/order-1", "limit=1", "unknown_parameter"}, {"/disputes/d-1", "order_ids=a", "unknown_parameter"},
		{"/disputes/d-1", "source=a&source=b", "repeated_parameter"}, {"/disputes/d-1", "source=", "invalid_id"}, {"/disputes/d-1", "sources=a", "unknown_parameter"}, {"/orders/order-1", "source=a", "unknown_parameter"},
		{"/orders", "sources=a", "unknown_parameter"}, {"/disputes", "sources=", "empty_value"}, {"/disputes", "sources=%00", "invalid_id"},
		{"/orders/order-1", "a=%zz", "invalid_query"},
	} {
		refused(t, test.path, test.query, test.code)
	}
}

// refused checks that a query is answered 400 without a read of the store.
func refused(t *testing.T, path, query, code string) reply {
	t.Helper()
	name := path + "?" + query[:min(len(query), 60)]
	reader := new(memory)
	r := get(t, publicRoutes(reader), path+"?"+query)
	if ok := t.Run(name, func(t *testing.T) { r.wantError(t, 400, code) }); ok && reader.asked != nil {
		t.Errorf("GET %s reads %+v, want nothing", name, reader.asked)
	}
	return r
}

func TestRefusalsOfParametersNameTheValidOnes(t *testing.T) {
	for _, test := range []struct{ path, query, code, want string }{
		{"/orders", "statuses=paid", "unknown_status", `\"paid\" in statuses: use created, updated, success, failed`},
		{"/disputes", "statuses=paid", "unknown_status", "open, under_review, submitted, won, lost, closed, canceled"},
		{"/orders/events", "kinds=paid", "unknown_kind", "created, updated, success, failed"},
		{"/orders", "order_id=1", "unknown_parameter", `\"order_id\": use cursor, limit, order_ids, sort_asc, statuses, time_from, time_to, user_ids`},
		{"/disputes/events", "x=1", "unknown_parameter", "cursor, dispute_ids, kinds, limit, order_ids, sort_asc, sources, time_from, time_to, user_ids"},
		{"/orders/1", "x=1", "unknown_parameter", "this path takes none"},
		{"/orders", "limit=201", "invalid_limit", "1 to 200"},
		{"/orders", "user_ids=" + strings.Repeat("u,", 200) + "u", "too_many_values", "user_ids has 201 values: send at most 200"},
	} {
		if r := refused(t, test.path, test.query, test.code); !strings.Contains(r.body, test.want) {
			t.Errorf("GET %s?%s = %s, want it to contain %s", test.path, test.query, r.body, test.want)
		}
	}
}

func TestLargestNumberOfValues(t *testing.T) {
	var ids []string
	for i := range 200 {
		ids = append(ids, fmt.Sprintf("order-%03d", i))
	}
	for _, query := range []string{
		"order_ids=" + strings.Join(ids, ","),
		url.Values{"order_ids": {strings.Join(ids, ",")}}.Encode(),
		url.Values{"order_ids": ids}.Encode(),
		"order_ids=" + strings.Join(ids[:150], ",") + "&order_ids=" + strings.Join(ids[150:], ","),
	} {
		reader := new(memory)
		get(t, publicRoutes(reader), "/orders?"+query)
		if asked, _ := reader.asked.(payments.OrderQuery); !slices.Equal(asked.OrderIDs, ids) {
			t.Errorf("GET /orders?%.40s... reads %v, want %v", query, asked.OrderIDs, ids)
		}
	}
}

func TestFilterValuesAreLiteral(t *testing.T) {
	for _, text := range []string{`%`, `_`, `\`, `*`, `' OR '1'='1`, `"; DROP TABLE orders; --`, `<img src=x onerror=alert(1)>`, `$1`, `?`, `é`, "e\u0301"} {
		reader := new(memory)
		get(t, publicRoutes(reader), "/orders?"+url.Values{"user_ids": {text}}.Encode())
		if asked, _ := reader.asked.(payments.OrderQuery); !slices.Equal(asked.UserIDs, []string{text}) {
			t.Errorf("user_ids=%q reads %q", text, asked.UserIDs)
		}
	}
}
