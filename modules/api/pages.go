package api

import (
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

// pageBody is the answer of every listing.
type pageBody[T any] struct {
	// Items are never null.
	Items []T `json:"items"`
	// NextCursor goes on after these items; absent on the last page.
	NextCursor string `json:"next_cursor,omitempty"`
	HasMore    bool   `json:"has_more"`
}

// newPageBody writes a page of a listing; place is an item's sort key.
func newPageBody[S, T any](l listing, asked payments.PageRequest, page payments.Page[S], item func(S) T, place func(S) payments.Cursor) pageBody[T] {
	answer := pageBody[T]{Items: make([]T, len(page.Items)), HasMore: page.More}
	for i, s := range page.Items {
		answer.Items[i] = item(s)
	}
	if page.More {
		last := page.Items[len(page.Items)-1]
		answer.NextCursor = l.encode(place(last), asked.Ascending)
	}
	return answer
}

// moneyItem is an amount in minor units of its currency: 100.50 USD is
// {"minor_units":10050,"currency":"USD"}. It is never a float.
type moneyItem struct {
	MinorUnits int64  `json:"minor_units"`
	Currency   string `json:"currency"`
}

// newMoneyItem is nil, and so left out, where no amount is known.
func newMoneyItem(minorUnits int64, currency string) *moneyItem {
	if currency == "" {
		return nil
	}
	return &moneyItem{MinorUnits: minorUnits, Currency: currency}
}

// formatTime writes a time as RFC 3339 in UTC, always with microseconds, so that
// the texts sort as the times do; empty, and so left out, for no time.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z")
}
