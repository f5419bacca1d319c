package api

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// fullMemory returns a Reader with n orders, disputes and events. Their times and ids are
// not in the order of their sequences, and ten of each have the same time.
func fullMemory(n int) *memory {
	m := new(memory)
	for i := range n {
		at := time.UnixMicro(1_767_000_000_000_000 + int64(n-i/10)).UTC()
		id := fmt.Sprintf("id %d/%%2C é", (i*7919)%n)
		m.orders = append(m.orders, payments.Order{Sequence: int64(i*i + 1), ID: id, Status: payrelayv1.OrderStatus_ORDER_STATUS_CREATED, CreatedAt: at, UpdatedAt: at})
		m.disputes = append(m.disputes, payments.Dispute{Sequence: int64(i*i + 1), DisputeKey: payments.DisputeKey{Source: "generic", ID: id}, OrderID: "o", Status: payrelayv1.DisputeStatus_DISPUTE_STATUS_OPEN, OpenedAt: at, UpdatedAt: at})
		event := payments.Event{Key: payments.Key{Source: "generic", Kind: payments.KindOrder, EventID: id}, Update: orderUpdate(id), RecordedAt: at}
		m.events = append(m.events, payments.RecordedEvent{Sequence: int64(i*i + 1), Event: event})
	}
	return m
}

// listed holds the id of an item of any listing.
type listed struct {
	OrderID   string `json:"order_id"`
	DisputeID string `json:"dispute_id"`
	EventID   string `json:"event_id"`
}

// walk returns all items of a listing, read page by page, and the number of pages.
func walk(t *testing.T, handler http.Handler, path string, params url.Values) (items []listed, pages int) {
	t.Helper()
	params = maps.Clone(params)
	for {
		page := wantJSON[pageBody[listed]](t, get(t, handler, path+"?"+params.Encode()))
		items = append(items, page.Items...)
		pages++
		if page.HasMore != (page.NextCursor != "") {
			t.Fatalf("has_more, next_cursor = %t, %q", page.HasMore, page.NextCursor)
		}
		if !page.HasMore {
			return items, pages
		}
		if pages > 1000 {
			t.Fatal("the listing has more than 1000 pages")
		}
		params.Set("cursor", page.NextCursor)
	}
}

func TestPagesHaveEveryItemOnce(t *testing.T) {
	const count = 450
	memory := fullMemory(count)
	handler := publicRoutes(memory)
	var ids []string
	for _, order := range memory.orders {
		ids = append(ids, order.ID)
	}
	tests := []struct {
		path string
		want []string
		name func(listed) string
	}{
		{"/orders", ids, func(l listed) string { return l.OrderID }},
		{"/disputes", ids, func(l listed) string { return l.DisputeID }},
		{"/orders/events", ids, func(l listed) string { return l.EventID }},
		{"/disputes/events", ids, func(l listed) string { return l.EventID }},
	}
	for _, test := range tests {
		for _, limit := range []string{"7", "50", "200"} {
			for _, ascending := range []bool{true, false} {
				params := url.Values{"limit": {limit}, "sort_asc": {fmt.Sprint(ascending)}}
				items, _ := walk(t, handler, test.path, params)
				var got []string
				for _, item := range items {
					got = append(got, test.name(item))
				}
				want := slices.Clone(test.want)
				if !ascending {
					slices.Reverse(want)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s?%s returns %d items, want %d in the order of the listing", test.path, params.Encode(), len(got), len(want))
				}
			}
		}
	}
}

func TestNumberOfPages(t *testing.T) {
	for count, want := range map[int]int{0: 1, 1: 1, 49: 1, 50: 1, 51: 2, 100: 2, 101: 3} {
		items, pages := walk(t, publicRoutes(fullMemory(count)), "/orders", url.Values{})
		if len(items) != count || pages != want {
			t.Errorf("%d orders are listed as %d on %d pages, want %d pages", count, len(items), pages, want)
		}
	}
}

func TestEmptyPage(t *testing.T) {
	handler := publicRoutes(new(memory))
	for _, path := range []string{"/orders", "/disputes", "/orders/events", "/disputes/events"} {
		got := get(t, handler, path)
		if got.status != http.StatusOK || strings.TrimSpace(got.body) != `{"items":[],"has_more":false}` {
			t.Errorf("GET %s = %d %s, want an empty page", path, got.status, got.body)
		}
	}
}

func TestNewestItemsAreFirst(t *testing.T) {
	memory := fullMemory(30)
	first := wantJSON[pageBody[orderItem]](t, get(t, publicRoutes(memory), "/orders?limit=1")).Items[0]
	if want := formatTime(memory.orders[29].CreatedAt); first.CreatedAt != want {
		t.Errorf("created_at of the first item = %s, want %s", first.CreatedAt, want)
	}
}

func TestTimesHaveMicrosecondsInUTC(t *testing.T) {
	zone := time.FixedZone("", 2*60*60)
	for want, at := range map[string]time.Time{
		"":                            {},
		"2026-01-04T10:00:00.000000Z": time.Date(2026, 1, 4, 12, 0, 0, 0, zone),
		"2026-01-04T10:00:00.120000Z": time.Date(2026, 1, 4, 10, 0, 0, 120_000_000, time.UTC),
		"2026-01-04T10:00:00.000001Z": time.Date(2026, 1, 4, 10, 0, 0, 1999, time.UTC),
	} {
		if got := formatTime(at); got != want {
			t.Errorf("formatTime(%v) = %q, want %q", at, got, want)
		}
	}
}

var listings = []listing{orderListing, disputeListing, orderEventListing, disputeEventListing}

// sampleSequences are sequences that items of a listing can have.
var sampleSequences = []int64{1, 1<<63 - 1}

func TestCursorSurvivesEncoding(t *testing.T) {
	for _, l := range listings {
		for _, want := range sampleSequences {
			for _, ascending := range []bool{true, false} {
				text := l.encode(want, ascending)
				got, ok := l.decode(text, ascending)
				if !ok || *got != (payments.Cursor{Sequence: want}) {
					t.Errorf("%s: decode(encode(%v)) = %v, %t", l, want, got, ok)
				}
				if strings.ContainsAny(text, "+/=%& ") {
					t.Errorf("encode() = %q, which must be escaped in a URL", text)
				}
			}
		}
	}
}

func TestCursorIsValidForOneListingAndDirection(t *testing.T) {
	for _, from := range listings {
		text := from.encode(7, true)
		for _, to := range listings {
			if _, ok := to.decode(text, false); ok {
				t.Errorf("%s accepts a cursor of %s in the other direction", to, from)
			}
			if _, ok := to.decode(text, true); ok != (from == to) {
				t.Errorf("%s accepts a cursor of %s: %t, want %t", to, from, ok, from == to)
			}
		}
	}
}

func TestMalformedCursorsAreRefused(t *testing.T) {
	inside := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	if _, ok := orderListing.decode(inside(`orders desc 1 ""`), false); !ok {
		t.Fatal("the valid cursor that the malformed ones are made from is refused")
	}
	genuine := orderListing.encode(7, false)
	for _, text := range []string{
		"", "null", "abc", "!!!", "é", "\x00", genuine + "=", genuine[:len(genuine)-1], genuine + "\n", "\r" + genuine, genuine + genuine,
		inside(""), inside("orders desc"), inside("orders desc "), inside("orders desc 1"), inside("orders desc 1 "),
		inside(`orders desc x ""`), inside(`orders desc -1 ""`), inside(`orders desc +1 ""`), inside(`orders desc 01 ""`),
		inside(`orders desc 1.5 ""`), inside(`orders desc 9223372036854775808 ""`), inside(`orders desc 1 "" `),
		inside(`ORDERS desc 1 ""`), inside(`1 ""`), inside(`orders asc 1 ""`), inside(`orders desc 1 id`), inside(`orders desc 1 ''`), inside(`orders desc  1 ""`),
		inside(`orders desc 1 "" "x"`), strings.Repeat("A", 1<<16),
		// Of an earlier release, which sorted by time.
		inside(`orders desc 1767520800000000 "order-1"`),
	} {
		if got, ok := orderListing.decode(text, false); ok {
			t.Errorf("decode(%.40q) = %+v, want it refused", text, got)
		}
	}
	for _, text := range []string{`disputes desc 1767520800000000 "d"`, `disputes desc 1767520800000000 "d" "generic"`} {
		if got, ok := disputeListing.decode(inside(text), false); ok {
			t.Errorf("decode(%s) = %+v, want the cursor of an earlier release refused", text, got)
		}
	}
}

// A client with the cursor of an earlier release learns what to do.
func TestCursorOfAnEarlierRelease(t *testing.T) {
	old := base64.RawURLEncoding.EncodeToString([]byte(`orders desc 1767520800000000 "order-1"`))
	if r := refused(t, "/orders", "cursor="+old, "invalid_cursor"); !strings.Contains(r.body, "leave it out for the first page") {
		t.Errorf("answer = %s, want a sentence", r.body)
	}
}

// FuzzCursor checks that decode accepts only what encode returns, with values that a
// store can handle.
func FuzzCursor(f *testing.F) {
	for _, l := range listings {
		for _, sequence := range sampleSequences {
			f.Add(l.encode(sequence, true), true)
			f.Add(l.encode(sequence, false), false)
		}
	}
	f.Fuzz(func(t *testing.T, text string, ascending bool) {
		for _, l := range listings {
			got, ok := l.decode(text, ascending)
			if !ok {
				continue
			}
			if l.encode(got.Sequence, ascending) != text {
				t.Errorf("%s: decode(%q) = %+v, whose cursor is another text", l, text, got)
			}
			if *got != (payments.Cursor{Sequence: got.Sequence}) || got.Sequence < 0 {
				t.Errorf("%s: decode(%q) = %+v, which no item can have", l, text, got)
			}
		}
	})
}
