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

// listing is one sorted list that pages are read from. A cursor of one listing
// says nothing about another, nor about the same one read the other way round.
type listing struct {
	name string
	// bySequence says that items are sorted by the sequence of their recording,
	// otherwise by a time and an id.
	bySequence bool
}

var (
	orderListing        = listing{name: "orders"}
	disputeListing      = listing{name: "disputes"}
	orderEventListing   = listing{name: "orders/events", bySequence: true}
	disputeEventListing = listing{name: "disputes/events", bySequence: true}
)

// encode writes a place in the listing as base64url. Nothing in it is secret,
// and a forged one selects nothing that a request without it does not.
func (l listing) encode(after payments.Cursor, ascending bool) string {
	number := after.Sequence
	if !l.bySequence {
		number = after.At.UnixMicro()
	}
	// The closing quote is missed when the text is cut short on its way.
	text := fmt.Sprintf("%s%d %+q", l.prefix(ascending), number, after.ID)
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// decode reads what encode wrote for this listing and direction, nothing else.
func (l listing) decode(text string, ascending bool) (*payments.Cursor, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, false
	}
	place, _ := strings.CutPrefix(string(raw), l.prefix(ascending))
	digits, quoted, _ := strings.Cut(place, " ")
	number, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || number < 0 {
		return nil, false
	}
	id, err := strconv.Unquote(quoted)
	if err != nil {
		return nil, false
	}
	after := payments.Cursor{Sequence: number}
	if !l.bySequence {
		after = payments.Cursor{At: time.UnixMicro(number).UTC(), ID: id}
	}
	// Many texts decode to one place; only one of them is what encode writes.
	genuine := l.encode(after, ascending) == text && (l.bySequence || isID(id))
	return &after, genuine
}

func (l listing) prefix(ascending bool) string {
	if ascending {
		return l.name + " asc "
	}
	return l.name + " desc "
}

// isID says whether an order, a dispute or a user can go by the text. What
// cannot be an id is kept from the stores: some of them would fail on it.
func isID(s string) bool {
	return s != "" && len(s) <= payments.MaxIDBytes && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
