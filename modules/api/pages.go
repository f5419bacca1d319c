package api

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/payrelay/payrelay/modules/payments"
)

// listing is a sorted list that is read page by page. A cursor is valid for one
// listing and one direction only.
type listing struct {
	name string
	// bySequence reports whether items are sorted by the sequence of their recording
	// instead of by a time and an id.
	bySequence bool
	// bySource reports whether items of one time and id are sorted by their source.
	bySource bool
}

var (
	orderListing        = listing{name: "orders", bySequence: true}
	disputeListing      = listing{name: "disputes", bySequence: true}
	orderEventListing   = listing{name: "orders/events", bySequence: true}
	disputeEventListing = listing{name: "disputes/events", bySequence: true}
	letterListing       = listing{name: "deadletters", bySequence: true}
	auditListing        = listing{name: "audit", bySequence: true}
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
// The sort key of an item is what key returns.
func nextCursor[S any](l listing, asked payments.PageRequest, page payments.Page[S], key func(S) payments.Cursor) string {
	if !page.More {
		return ""
	}
	return l.encode(key(page.Items[len(page.Items)-1]), asked.Ascending)
}

// encode returns a cursor of the listing as base64url. It holds no secret, and a
// forged one selects only items that a request without a cursor selects too.
func (l listing) encode(after payments.Cursor, ascending bool) string {
	number := after.Sequence
	if !l.bySequence {
		number = after.At.UnixMicro()
	}
	// The quotes make a text that was cut short invalid.
	text := fmt.Sprintf("%s%d %+q", l.prefix(ascending), number, after.ID)
	if after.Source != "" {
		text += fmt.Sprintf(" %+q", after.Source)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// decode parses a cursor, and reports whether encode returned it for the same
// listing and direction.
func (l listing) decode(text string, ascending bool) (*payments.Cursor, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, false
	}
	key, _ := strings.CutPrefix(string(raw), l.prefix(ascending))
	digits, quoted, _ := strings.Cut(key, " ")
	number, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || number < 0 {
		return nil, false
	}
	first, err := strconv.QuotedPrefix(quoted)
	if err != nil {
		return nil, false
	}
	id, _ := strconv.Unquote(first)
	// A cursor of an earlier release has no source.
	source, _ := strconv.Unquote(strings.TrimPrefix(quoted[len(first):], " "))
	after := payments.Cursor{Sequence: number}
	if !l.bySequence {
		after = payments.Cursor{At: time.UnixMicro(number).UTC(), ID: id, Source: source}
	}
	// Several texts decode to one cursor; encode returns only one of them.
	genuine := l.encode(after, ascending) == text &&
		(l.bySequence || isID(id) && (source == "" || l.bySource && isID(source)))
	return &after, genuine
}

func (l listing) prefix(ascending bool) string {
	if ascending {
		return l.name + " asc "
	}
	return l.name + " desc "
}

// isID reports whether s can be the id of an order, a dispute or a user. Other
// texts must not reach the stores, some of which would return an error.
func isID(s string) bool {
	return s != "" && len(s) <= payments.MaxIDBytes && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
