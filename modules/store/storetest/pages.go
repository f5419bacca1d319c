package storetest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// listing is a query with its expected result.
type listing[T any] struct {
	name string
	read func(payments.PageRequest) (payments.Page[T], error)
	// cursor and text describe an item. want lists all selected items, ascending.
	cursor func(T) payments.Cursor
	text   func(T) string
	want   []string
}

func (d *db) orderListing(q payments.OrderQuery, want []payments.Order) listing[payments.Order] {
	return listing[payments.Order]{
		name: fmt.Sprintf("orders %+v", q),
		read: func(page payments.PageRequest) (payments.Page[payments.Order], error) {
			q.Page = page
			return d.Orders(d.t.Context(), q)
		},
		cursor: func(o payments.Order) payments.Cursor { return payments.Cursor{Sequence: o.Sequence} },
		text: func(o payments.Order) string {
			o.Sequence = 0
			return fmt.Sprintf("%T %+v", o, o)
		},
		want: texts(want),
	}
}

func (d *db) disputeListing(q payments.DisputeQuery, want []payments.Dispute) listing[payments.Dispute] {
	return listing[payments.Dispute]{
		name: fmt.Sprintf("disputes %+v", q),
		read: func(page payments.PageRequest) (payments.Page[payments.Dispute], error) {
			q.Page = page
			return d.Disputes(d.t.Context(), q)
		},
		cursor: func(o payments.Dispute) payments.Cursor { return payments.Cursor{Sequence: o.Sequence} },
		text: func(o payments.Dispute) string {
			o.Sequence = 0
			return fmt.Sprintf("%T %+v", o, o)
		},
		want: texts(want),
	}
}

func (d *db) eventListing(q payments.EventQuery, want []*payments.Event) listing[payments.RecordedEvent] {
	l := listing[payments.RecordedEvent]{
		name: fmt.Sprintf("events %+v", q),
		read: func(page payments.PageRequest) (payments.Page[payments.RecordedEvent], error) {
			q.Page = page
			return d.Events(d.t.Context(), q)
		},
		cursor: func(e payments.RecordedEvent) payments.Cursor { return payments.Cursor{Sequence: e.Sequence} },
		text:   func(e payments.RecordedEvent) string { return eventLine(&e.Event) },
	}
	for _, e := range want {
		l.want = append(l.want, eventLine(asRead(e)))
	}
	return l
}

// check reads all pages of one size in one direction.
func (l listing[T]) check(t *testing.T, page payments.PageRequest) {
	t.Helper()
	want := slices.Clone(l.want)
	if !page.Ascending {
		slices.Reverse(want)
	}
	var got []string
	for more := true; more; {
		read, err := l.read(page)
		if err != nil {
			t.Fatalf("%s: %v", l.name, err)
		}
		for _, item := range read.Items {
			got = append(got, l.text(item))
			page.After = new(payments.Cursor)
			*page.After = l.cursor(item)
		}
		more = read.More
		if full := len(read.Items) == page.Limit; len(read.Items) > page.Limit || more && !full || more != (len(got) < len(want)) {
			t.Fatalf("%s: after %d of %d items in pages of %d got a page of %d with More = %v",
				l.name, len(got), len(want), page.Limit, len(read.Items), more)
		}
	}
	wantLines(t, fmt.Sprintf("%s in pages of %d, ascending=%v", l.name, page.Limit, page.Ascending), got, want)
}

func (l listing[T]) checkPages(t *testing.T) {
	t.Helper()
	for _, limit := range []int{1, 2, 7, len(l.want) - 1, len(l.want), payments.MaxPageSize} {
		for _, ascending := range []bool{false, true} {
			l.check(t, payments.PageRequest{Limit: limit, Ascending: ascending})
		}
	}
}

// pages reads everything in both directions. Many items have the same time, and the
// last page may be full.
func pages(t *testing.T, d *db) {
	s := fill(d)
	d.orderListing(payments.OrderQuery{}, s.orders).checkPages(t)
	d.disputeListing(payments.DisputeQuery{}, s.disputes).checkPages(t)
	d.eventListing(payments.EventQuery{}, s.events(false)).checkPages(t)
	d.eventListing(payments.EventQuery{Disputes: true}, s.events(true)).checkPages(t)

	// A page begins after a number, whether or not there is an item with it.
	for ascending, want := range map[bool]payments.Order{true: s.orders[0], false: s.orders[len(s.orders)-1]} {
		gone := payments.PageRequest{After: &payments.Cursor{Sequence: map[bool]int64{true: -7, false: 1 << 40}[ascending]}, Ascending: ascending, Limit: 1}
		page, err := d.Orders(t.Context(), payments.OrderQuery{Page: gone})
		if err != nil || len(page.Items) != 1 || page.Items[0].ID != want.ID {
			t.Errorf("after %+v comes %+v (%v), want %+v", *gone.After, page.Items, err, want)
		}
	}
}

// pagesWhileItemsMove checks that each item which existed at the start is on exactly one
// page, while a writer changes the times of all items in both directions between two
// pages, and adds others.
func pagesWhileItemsMove(t *testing.T, d *db) {
	rng := rand.New(rand.NewPCG(3, 4))
	var orders []*storedOrder
	var disputes []*storedDispute
	for i := range 40 {
		id := fmt.Sprintf("%02d", i*17%40)
		orders, disputes = append(orders, stateOf(id, orderCreated)), append(disputes, disputeOf(id, "d"+id))
		d.commit(&payments.Changes{Orders: orders[i:], Disputes: disputes[i:]})
	}
	move := func() {
		changes := &payments.Changes{Orders: slices.Clone(orders), Disputes: slices.Clone(disputes)}
		for i := range orders {
			orders[i].Version++
			orders[i].State.CreatedAt = after(rng.IntN(2000) - 1000)
			disputes[i].Version++
			disputes[i].State.OpenedAt = after(rng.IntN(2000) - 1000)
		}
		slices.SortFunc(changes.Orders, func(x, y *storedOrder) int { return strings.Compare(x.State.ID, y.State.ID) })
		sortDisputes(changes.Disputes)
		d.commit(changes)
		id := fmt.Sprint("new/", rng.Int())
		d.commit(&payments.Changes{Orders: []*storedOrder{stateOf(id, orderCreated)}, Disputes: []*storedDispute{disputeOf(id, id)}})
	}
	for _, ascending := range []bool{false, true} {
		for _, limit := range []int{1, 3, 7} {
			page := payments.PageRequest{Limit: limit, Ascending: ascending}
			wantOnce(t, readMoving(d.orderListing(payments.OrderQuery{}, nil), page, move, func(o payments.Order) string { return o.ID }))
			wantOnce(t, readMoving(d.disputeListing(payments.DisputeQuery{}, nil), page, move, func(c payments.Dispute) string { return c.OrderID }))
		}
	}
}

// readMoving reads at most the first 200 pages of a listing, and returns how often each id
// is on them.
func readMoving[T any](l listing[T], page payments.PageRequest, move func(), id func(T) string) map[string]int {
	seen := make(map[string]int)
	for range 200 {
		read, err := l.read(page)
		if err != nil || len(read.Items) == 0 {
			break
		}
		for _, item := range read.Items {
			seen[id(item)]++
			page.After = new(payments.Cursor)
			*page.After = l.cursor(item)
		}
		move()
	}
	return seen
}

func wantOnce(t *testing.T, seen map[string]int) {
	t.Helper()
	for i := range 40 {
		if id := fmt.Sprintf("%02d", i); seen[id] != 1 {
			t.Errorf("item %s is on %d pages, want 1", id, seen[id])
		}
	}
}

// pageData holds the items that fill stored, each list sorted like its query.
type pageData struct {
	orders   []payments.Order
	disputes []payments.Dispute
	recorded []*payments.Event
}

func (s *pageData) events(ofDisputes bool) []*payments.Event {
	return selected(s.recorded, func(e *payments.Event) bool { return (disputeIDOf(e) != "") == ofDisputes })
}

// disputeIDOf returns the id of the dispute that an event or a note is about.
func disputeIDOf(e *payments.Event) string {
	return e.Dispute().ID + e.Update.GetNote().GetDisputeId()
}

// fill stores, in one commit, orders with only a few different times, some with disputes
// of two sources, events of all kinds, and items that no query may list.
func fill(d *db) *pageData {
	s, changes := new(pageData), new(payments.Changes)
	for i := range 60 {
		// Ids are sorted by their bytes, in every locale: "B" "a" "é".
		id := fmt.Sprintf("%s%02d", []string{"a", "B", "\u00e9", "_"}[i%4], i*37%60)
		a := stateOf(id, payrelayv1.OrderStatus(1+i/3%4))
		a.State.CreatedAt, a.State.UserID = after(i%5), shelfUser(i)
		if i%7 == 0 { // an order that has no state
			a = &storedOrder{State: payments.Order{ID: id}, Rules: payments.Rules}
		} else {
			s.orders = append(s.orders, a.State)
		}
		changes.Orders = append(changes.Orders, a)
		s.record(order("e"+id, i%6, payrelayv1.OrderStatus(i%5), of(id), from(sourceOf(i)), user(shelfUser(i))), i)
		for j := range i % 3 {
			changes.Disputes = append(changes.Disputes, s.dispute(id, fmt.Sprintf("%s/%d", id, 9-j/2), i, j))
		}
		s.record(note("e"+id, i%6, "a note", of(id), from(sourceOf(i)), func(u *payrelayv1.Update) {
			u.GetNote().DisputeId = []string{"", id + "/9"}[i%2]
		}), 0)
	}
	slices.SortFunc(changes.Orders, func(x, y *storedOrder) int { return strings.Compare(x.State.ID, y.State.ID) })
	sortDisputes(changes.Disputes)
	slices.SortFunc(s.orders, func(x, y payments.Order) int { return strings.Compare(x.ID, y.ID) })
	slices.SortFunc(s.disputes, func(x, y payments.Dispute) int {
		return cmp.Or(strings.Compare(x.Source, y.Source), strings.Compare(x.ID, y.ID))
	})
	changes.Events = s.recorded
	d.commit(changes)
	return s
}

func (s *pageData) dispute(orderID, id string, i, j int) *storedDispute {
	key := payments.DisputeKey{Source: sourceOf(i + j), ID: id}
	a := disputeWith(key, orderID)
	a.State.Status, a.State.UserID = payrelayv1.DisputeStatus((i+j)%8), shelfUser(i+j)
	a.State.OpenedAt = after(i % 4)
	if i%3 > 0 {
		a.State.EvidenceDueAt = after(1000 + (i+j)%5)
	}
	if a.State.Status == disputeNone { // without an applied update
		a.State = payments.Dispute{DisputeKey: key}
	} else {
		s.disputes = append(s.disputes, a.State)
	}
	u := dispute("e"+id, i%6, payrelayv1.DisputeStatus((i+j)%8), from(key.Source), of(orderID), disputeID(id), user(shelfUser(i+j)))
	s.record(u, i)
	return a
}

func (s *pageData) record(u *payrelayv1.Update, i int) {
	outcome := verdicts[i%len(verdicts)]
	s.recorded = append(s.recorded, event(u, outcome.GetVerdict(), outcome.GetReason()))
}

func shelfUser(i int) string { return []string{"", "u1", "u2", "u3"}[i/2%4] }

// sourceOf returns a source; that of i+1 is another one.
func sourceOf(i int) string { return []string{"p1", "P1", "\u00e9"}[i%3] }

// timeBounds tests bounds before, at and after the times of items that are a
// microsecond apart.
func timeBounds(t *testing.T, d *db) {
	const items = 4
	at := func(i int) time.Time { return noon.Add(time.Duration(i) * time.Microsecond) }
	changes := new(payments.Changes)
	for i := range items {
		o, c := stateOf(fmt.Sprint("o", i), orderCreated), disputeOf(fmt.Sprint("o", i), fmt.Sprint("d", i))
		o.State.CreatedAt, c.State.OpenedAt = at(i), at(i)
		e := event(order(fmt.Sprint("e", i), 0, orderCreated, of(o.State.ID), happened(at(i))), applied, noReason)
		changes.Orders, changes.Disputes, changes.Events = append(changes.Orders, o), append(changes.Disputes, c), append(changes.Events, e)
	}
	d.commit(changes)
	elsewhere := time.FixedZone("elsewhere", -5*3600)
	for low := range items + 1 {
		for high := low; high <= items; high++ {
			from, to := at(low).In(elsewhere), at(high).In(elsewhere)
			var orders []payments.Order
			var disputes []payments.Dispute
			for i := low; i < high; i++ {
				orders, disputes = append(orders, changes.Orders[i].State), append(disputes, changes.Disputes[i].State)
			}
			d.orderListing(payments.OrderQuery{From: from, To: to}, orders).check(t, whole)
			d.disputeListing(payments.DisputeQuery{From: from, To: to}, disputes).check(t, whole)
			d.eventListing(payments.EventQuery{From: from, To: to}, changes.Events[low:high]).check(t, whole)
		}
	}
}
