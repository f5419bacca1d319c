package api

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

var listings = []listing{orderListing, disputeListing, orderEventListing, disputeEventListing}

// sampleCursors returns sort keys that items of the listing can have.
func sampleCursors(l listing) []payments.Cursor {
	if l.bySequence {
		return []payments.Cursor{{Sequence: 1}, {Sequence: 1<<63 - 1}}
	}
	at := time.Date(2026, 1, 4, 10, 0, 0, 123456000, time.UTC)
	return []payments.Cursor{
		{At: at, ID: "order-1"},
		{At: time.Unix(0, 0).UTC(), ID: "a b  c"},
		{At: time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC), ID: strings.Repeat("é", 127)},
		{At: at, ID: "'; DROP TABLE orders; --"},
	}
}

func TestCursorSurvivesEncoding(t *testing.T) {
	for _, l := range listings {
		for _, want := range sampleCursors(l) {
			for _, ascending := range []bool{true, false} {
				text := l.encode(want, ascending)
				got, ok := l.decode(text, ascending)
				if !ok || *got != want {
					t.Errorf("%s: decode(encode(%v)) = %v, %t", l.name, want, got, ok)
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
		text := from.encode(sampleCursors(from)[0], true)
		for _, to := range listings {
			if _, ok := to.decode(text, false); ok {
				t.Errorf("%s accepts a cursor of %s in the other direction", to.name, from.name)
			}
			if _, ok := to.decode(text, true); ok != (from == to) {
				t.Errorf("%s accepts a cursor of %s: %t, want %t", to.name, from.name, ok, from == to)
			}
		}
	}
}

func TestMalformedCursorsAreRefused(t *testing.T) {
	inside := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	if _, ok := orderListing.decode(inside(`orders desc 1 "id"`), false); !ok {
		t.Fatal("the valid cursor that the malformed ones are made from is refused")
	}
	genuine := orderListing.encode(sampleCursors(orderListing)[0], false)
	for _, text := range []string{
		"", "null", "abc", "!!!", "é", "\x00", genuine + "=", genuine[:len(genuine)-1], genuine + "\n", "\r" + genuine, genuine + genuine,
		inside(""), inside("orders desc"), inside("orders desc "), inside("orders desc 1"), inside("orders desc 1 "),
		inside(`orders desc x "id"`), inside(`orders desc -1 "id"`), inside(`orders desc +1 "id"`), inside(`orders desc 01 "id"`),
		inside(`orders desc 1.5 "id"`), inside(`orders desc 9223372036854775808 "id"`), inside(`orders desc 1 "id" `),
		inside(`ORDERS desc 1 "id"`), inside(`1 "id"`), inside(`orders asc 1 "id"`), inside(`orders desc 1 id`), inside(`orders desc 1 'i'`),
		inside(`orders desc 1 ""`), inside(`orders desc 1 "a\x00b"`), inside(`orders desc 1 "\xff"`), inside(`orders desc 1 "` + strings.Repeat("x", 256) + `"`),
		strings.Repeat("A", 1<<16),
	} {
		if got, ok := orderListing.decode(text, false); ok {
			t.Errorf("decode(%.40q) = %+v, want it refused", text, got)
		}
	}
	for _, text := range []string{inside(`orders/events desc 1`), inside(`orders/events desc 1 "x"`), inside(`orders/events desc -1 ""`)} {
		if got, ok := orderEventListing.decode(text, false); ok {
			t.Errorf("decode(%.40q) = %+v, want it refused", text, got)
		}
	}
}

// FuzzCursor checks that decode accepts only what encode returns, with values that a
// store can handle.
func FuzzCursor(f *testing.F) {
	for _, l := range listings {
		for _, cursor := range sampleCursors(l) {
			f.Add(l.encode(cursor, true), true)
			f.Add(l.encode(cursor, false), false)
		}
	}
	f.Fuzz(func(t *testing.T, text string, ascending bool) {
		for _, l := range listings {
			got, ok := l.decode(text, ascending)
			if !ok {
				continue
			}
			if l.encode(*got, ascending) != text {
				t.Errorf("%s: decode(%q) = %+v, whose cursor is another text", l.name, text, got)
			}
			if !l.bySequence && !isID(got.ID) || got.Sequence < 0 {
				t.Errorf("%s: decode(%q) = %+v, which no item can have", l.name, text, got)
			}
		}
	})
}
