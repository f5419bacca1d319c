package api

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/payments"
)

var listings = []listing{orderListing, disputeListing, orderEventListing, disputeEventListing}

// places are sort keys as items of the listing can have them.
func places(l listing) []payments.Cursor {
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

func TestCursorComesBack(t *testing.T) {
	for _, l := range listings {
		for _, want := range places(l) {
			for _, ascending := range []bool{true, false} {
				text := l.encode(want, ascending)
				got, ok := l.decode(text, ascending)
				if !ok || *got != want {
					t.Errorf("%s: %v came back as %v, %t", l.name, want, got, ok)
				}
				if strings.ContainsAny(text, "+/=%& ") {
					t.Errorf("%q has to be encoded in a URL", text)
				}
			}
		}
	}
}

func TestCursorIsOfOneListingAndDirection(t *testing.T) {
	for _, from := range listings {
		text := from.encode(places(from)[0], true)
		for _, to := range listings {
			if _, ok := to.decode(text, false); ok {
				t.Errorf("a cursor of %s goes on with %s the other way round", from.name, to.name)
			}
			if _, ok := to.decode(text, true); ok != (from == to) {
				t.Errorf("a cursor of %s in %s: %t", from.name, to.name, ok)
			}
		}
	}
}

func TestGarbageIsNoCursor(t *testing.T) {
	inside := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	if _, ok := orderListing.decode(inside(`orders desc 1 "id"`), false); !ok {
		t.Fatal("the garbage below is not what is wrong with it")
	}
	genuine := orderListing.encode(places(orderListing)[0], false)
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
			t.Errorf("%.40q is taken for %+v", text, got)
		}
	}
	for _, text := range []string{inside(`orders/events desc 1`), inside(`orders/events desc 1 "x"`), inside(`orders/events desc -1 ""`)} {
		if got, ok := orderEventListing.decode(text, false); ok {
			t.Errorf("%.40q is taken for %+v", text, got)
		}
	}
}

// Whatever is taken for a cursor is one that encode writes, and safe for a store.
func FuzzCursor(f *testing.F) {
	for _, l := range listings {
		for _, place := range places(l) {
			f.Add(l.encode(place, true), true)
			f.Add(l.encode(place, false), false)
		}
	}
	f.Fuzz(func(t *testing.T, text string, ascending bool) {
		for _, l := range listings {
			got, ok := l.decode(text, ascending)
			if !ok {
				continue
			}
			if l.encode(*got, ascending) != text {
				t.Errorf("%s: %q is not the text of %+v", l.name, text, got)
			}
			if !l.bySequence && !isID(got.ID) || got.Sequence < 0 {
				t.Errorf("%s: %q gives %+v", l.name, text, got)
			}
		}
	})
}
