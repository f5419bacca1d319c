package api

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/payrelay/payrelay/modules/payments"
)

// listing names a list that is read page by page, sorted by the sequence in which its
// items were recorded. A cursor is valid for one listing and one direction only.
type listing string

const (
	orderListing        listing = "orders"
	disputeListing      listing = "disputes"
	orderEventListing   listing = "orders/events"
	disputeEventListing listing = "disputes/events"
	letterListing       listing = "deadletters"
	auditListing        listing = "audit"
)

// pageBody is the answer of every listing.
type pageBody[T any] struct {
	// Items is never null.
	Items []T `json:"items"`
	// NextCursor is the cursor of the next page; absent on the last page.
	NextCursor string `json:"next_cursor,omitempty"`
	HasMore    bool   `json:"has_more"`
}

// newPageBody returns the answer for the messages of a page. Its items are made by item.
func newPageBody[M, T any](messages []M, item func(M) T, nextCursor string) pageBody[T] {
	return pageBody[T]{Items: convert(messages, item), NextCursor: nextCursor, HasMore: nextCursor != ""}
}

// nextCursor returns the cursor of the page after this one, or nothing for the last page.
// The sequence of an item is what sequence returns.
func nextCursor[S any](l listing, asked payments.PageRequest, page payments.Page[S], sequence func(S) int64) string {
	if !page.More {
		return ""
	}
	return l.encode(sequence(page.Items[len(page.Items)-1]), asked.Ascending)
}

// encode returns a cursor of the listing as base64url. It holds no secret, and a
// forged one selects only items that a request without a cursor selects too.
func (l listing) encode(sequence int64, ascending bool) string {
	direction := "desc"
	if ascending {
		direction = "asc"
	}
	// The quotes make a text that was cut short invalid.
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `%s %s %d ""`, l, direction, sequence))
}

// decode parses a cursor, and reports whether encode returned it for the same
// listing and direction. An earlier release had cursors of a time and an id for orders and
// disputes, for which it reports false.
func (l listing) decode(cursor string, ascending bool) (*payments.Cursor, bool) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, false
	}
	fields := strings.Fields(string(text))
	if len(fields) != 4 {
		return nil, false
	}
	sequence, err := strconv.ParseInt(fields[2], 10, 64)
	// Several texts decode to one sequence; encode returns only one of them.
	if err != nil || sequence < 0 || l.encode(sequence, ascending) != cursor {
		return nil, false
	}
	return &payments.Cursor{Sequence: sequence}, true
}

// isID reports whether s can be the id of an order, a dispute or a user. Other
// texts must not reach the stores, some of which would return an error.
func isID(s string) bool {
	return s != "" && len(s) <= payments.MaxIDBytes && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
