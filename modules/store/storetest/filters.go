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

// The filters are tested alone and in every combination, with values of a stored item,
// of other items and of none. The results are compared with those of a loop.

func orderFilters(t *testing.T, d *db) {
	s := fill(d)
	tries := newTries(t, 5)
	for tries.next() {
		item := pick(tries.rng, s.orders)
		q := payments.OrderQuery{
			OrderIDs: values(tries, 0, s.orders, item, func(o payments.Order) string { return o.ID }, "absent"),
			UserIDs:  values(tries, 1, s.orders, item, func(o payments.Order) string { return o.UserID }, "absent"),
			Statuses: values(tries, 2, s.orders, item, func(o payments.Order) payrelayv1.OrderStatus { return o.Status }, orderFailed),
			From:     tries.from(3, item.CreatedAt), To: tries.to(4, item.CreatedAt),
		}
		want := selected(s.orders, func(o payments.Order) bool {
			return among(q.OrderIDs, o.ID) && among(q.UserIDs, o.UserID) && among(q.Statuses, o.Status) && between(q.From, o.CreatedAt, q.To)
		})
		d.orderListing(q, want).check(t, tries.page(len(want)))
	}
}

func disputeFilters(t *testing.T, d *db) {
	s := fill(d)
	tries := newTries(t, 9)
	for tries.next() {
		item := pick(tries.rng, s.disputes)
		q := payments.DisputeQuery{
			DisputeIDs: values(tries, 0, s.disputes, item, func(o payments.Dispute) string { return o.ID }, "absent"),
			OrderIDs:   values(tries, 1, s.disputes, item, func(o payments.Dispute) string { return o.OrderID }, "absent"),
			UserIDs:    values(tries, 2, s.disputes, item, func(o payments.Dispute) string { return o.UserID }, "absent"),
			Statuses:   values(tries, 3, s.disputes, item, func(o payments.Dispute) payrelayv1.DisputeStatus { return o.Status }, disputeLost),
			From:       tries.from(4, item.OpenedAt), To: tries.to(5, item.OpenedAt),
			Sources: values(tries, 6, s.disputes, item, func(o payments.Dispute) string { return o.Source }, "absent"),
			DueFrom: tries.from(7, item.EvidenceDueAt), DueTo: tries.to(8, item.EvidenceDueAt),
		}
		due := func(o payments.Dispute) bool {
			return q.DueFrom.IsZero() && q.DueTo.IsZero() || !o.EvidenceDueAt.IsZero() && between(q.DueFrom, o.EvidenceDueAt, q.DueTo)
		}
		want := selected(s.disputes, func(o payments.Dispute) bool {
			return among(q.DisputeIDs, o.ID) && among(q.OrderIDs, o.OrderID) && among(q.UserIDs, o.UserID) &&
				among(q.Statuses, o.Status) && between(q.From, o.OpenedAt, q.To) && among(q.Sources, o.Source) && due(o)
		})
		d.disputeListing(q, want).check(t, tries.page(len(want)))
	}
}

func eventFilters(t *testing.T, d *db) {
	s := fill(d)
	for _, ofDisputes := range []bool{false, true} {
		events := s.events(ofDisputes)
		tries := newTries(t, 7)
		for tries.next() {
			item := pick(tries.rng, events)
			q := payments.EventQuery{
				Disputes:   ofDisputes,
				OrderIDs:   values(tries, 0, events, item, func(e *payments.Event) string { return e.Update.GetOrderId() }, "absent"),
				DisputeIDs: values(tries, 1, events, item, disputeIDOf, "absent"),
				UserIDs:    values(tries, 2, events, item, func(e *payments.Event) string { return e.Update.GetUserId() }, "absent"),
				Kinds:      values(tries, 3, events, item, kindOf, "absent"),
				From:       tries.from(4, happenedAt(item)), To: tries.to(5, happenedAt(item)),
				Sources: values(tries, 6, events, item, func(e *payments.Event) string { return e.Key.Source }, "absent"),
			}
			want := selected(events, func(e *payments.Event) bool {
				return among(q.OrderIDs, e.Update.GetOrderId()) && among(q.DisputeIDs, disputeIDOf(e)) && among(q.UserIDs, e.Update.GetUserId()) &&
					among(q.Kinds, kindOf(e)) && between(q.From, happenedAt(e), q.To) && among(q.Sources, e.Key.Source)
			})
			d.eventListing(q, want).check(t, tries.page(len(want)))
		}
	}
}

// letterFilters also checks the counts, and a limit that keeps new dead letters out.
func letterFilters(t *testing.T, d *db) {
	all := manyLetters(d)
	tries := newTries(t, 9)
	texts := []string{"ODD", "evt_1", "_1", "%", `\`, "\u00c9t\u00e9", "ORDER-", "dsp_", "absent", "t", "\n"}
	for tries.next() {
		item := pick(tries.rng, all)
		q := payments.DeadLetterQuery{
			Reasons:    values(tries, 0, all, item, func(l *payments.DeadLetter) payrelayv1.DeadLetterReason { return l.Reason }, orderMismatch),
			Sources:    values(tries, 1, all, item, func(l *payments.DeadLetter) string { return l.Key.Source }, "absent"),
			Kinds:      values(tries, 2, all, item, func(l *payments.DeadLetter) payments.Kind { return l.Key.Kind }, "absent"),
			OrderIDs:   values(tries, 3, all, item, func(l *payments.DeadLetter) string { return l.OrderID }, "absent"),
			DisputeIDs: values(tries, 4, all, item, func(l *payments.DeadLetter) string { return l.DisputeID }, "absent"),
			From:       tries.from(5, item.CreatedAt), To: tries.to(6, item.CreatedAt),
			Settled: tries.uses(7), Descending: tries.rng.IntN(2) == 0, Limit: pick(tries.rng, []int{1, 7, payments.MaxPageSize}),
			WithPayload: tries.rng.IntN(2) == 0,
		}
		if tries.uses(8) {
			q.Text = pick(tries.rng, texts)
		}
		if tries.rng.IntN(3) == 0 {
			q.UpToID = pick(tries.rng, all).ID
		}
		var want []int64
		counts := make(map[string]int64)
		for _, l := range selected(all, func(l *payments.DeadLetter) bool { return selectsLetter(q, l) }) {
			want = append(want, l.ID)
			counts[fmt.Sprint(l.Reason, " ", l.Key.Source)]++
		}
		if q.Descending {
			slices.Reverse(want)
		}
		tries.page(len(want))
		if got := walkLetters(d, q); !slices.Equal(got, want) {
			t.Errorf("DeadLetters(%+v) = %v, want %v", q, got, want)
		}
		rest := q
		if len(want) > 0 && tries.rng.IntN(3) > 0 {
			rest.AfterID = pick(tries.rng, want)
			want = want[slices.Index(want, rest.AfterID)+1:]
		}
		if n, err := d.RemainingDeadLetters(t.Context(), rest); err != nil || n != int64(len(want)) {
			t.Errorf("RemainingDeadLetters(%+v) = %d, %v, want %d", rest, n, err, len(want))
		}
		got, err := d.CountDeadLetters(t.Context(), q)
		d.check(err)
		for _, c := range got {
			counts[fmt.Sprint(c.Reason, " ", c.Source)] -= c.Count
		}
		for name, difference := range counts {
			if difference != 0 {
				t.Errorf("CountDeadLetters(%+v) = %v, which differs by %d for %s", q, got, difference, name)
			}
		}
		if sorted := slices.IsSortedFunc(got, compareCounts); !sorted {
			t.Errorf("CountDeadLetters = %v, want it sorted", got)
		}
	}
}

// compareCounts has no equal counts in a sorted list, because a repeated one would come
// before itself.
func compareCounts(a, b payments.DeadLetterCount) int {
	if order := cmp.Or(cmp.Compare(a.Reason, b.Reason), strings.Compare(a.Source, b.Source)); order != 0 {
		return order
	}
	return -1
}

func selectsLetter(q payments.DeadLetterQuery, l *payments.DeadLetter) bool {
	text := strings.ToLower(strings.Join([]string{l.Key.EventID, l.OrderID, l.DisputeID, l.Detail}, "\x00"))
	return (q.Settled || l.Resolution == "") && among(q.Reasons, l.Reason) && among(q.Sources, l.Key.Source) && among(q.Kinds, l.Key.Kind) &&
		among(q.OrderIDs, l.OrderID) && among(q.DisputeIDs, l.DisputeID) && between(q.From, l.CreatedAt, q.To) &&
		strings.Contains(text, strings.ToLower(q.Text)) && (q.UpToID == 0 || l.ID <= q.UpToID)
}

// kindOf returns the name of the status that an event reports; a note reports none.
func kindOf(e *payments.Event) string {
	return payments.DisputeStatuses.Name(e.Update.GetDispute().GetStatus()) + payments.OrderStatuses.Name(e.Update.GetOrder().GetStatus())
}

func happenedAt(e *payments.Event) time.Time { return e.Update.GetOccurredAt().AsTime() }

// tries iterates over all combinations of a number of filters, each a few times.
type tries struct {
	t       *testing.T
	rng     *rand.Rand
	filters int
	done    int
	// hits counts the tries that selected something.
	hits int
}

func newTries(t *testing.T, filters int) *tries {
	return &tries{t: t, rng: rand.New(rand.NewPCG(1, 2)), filters: filters, done: -1}
}

func (s *tries) next() bool {
	s.done++
	all := 2 << s.filters
	if s.done == all && s.hits < all/4 {
		s.t.Errorf("%d of %d queries select something, want at least a quarter", s.hits, all)
	}
	return s.done < all
}

// uses reports whether a filter is part of the combination.
func (s *tries) uses(filter int) bool { return s.done>>filter&1 == 1 }

// page returns a request for pages, and counts the tries that select something.
func (s *tries) page(want int) payments.PageRequest {
	s.hits += min(want, 1)
	return payments.PageRequest{Ascending: s.rng.IntN(2) == 0, Limit: pick(s.rng, []int{2, 7, payments.MaxPageSize})}
}

// from and to return a bound near the time of an item, or none.
func (s *tries) from(filter int, at time.Time) (none time.Time) {
	if !s.uses(filter) {
		return none
	}
	return at.Add(-pick(s.rng, []time.Duration{0, time.Microsecond, 2 * time.Second}))
}

func (s *tries) to(filter int, at time.Time) (none time.Time) {
	if !s.uses(filter) {
		return none
	}
	return at.Add(pick(s.rng, []time.Duration{0, time.Microsecond, time.Microsecond, 2 * time.Second}))
}

// values returns distinct values to filter by: mostly that of the item, some of other
// items, and one that no item has.
func values[T any, V comparable](s *tries, filter int, items []T, item T, value func(T) V, absent V) []V {
	if !s.uses(filter) {
		return nil
	}
	list := []V{absent}
	if s.rng.IntN(6) > 0 {
		list = append(list, value(item))
	}
	for range s.rng.IntN(3) {
		list = append(list, value(pick(s.rng, items)))
	}
	list = slices.DeleteFunc(list, func(v V) bool { var none V; return v == none })
	s.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func pick[T any](rng *rand.Rand, items []T) T { return items[rng.IntN(len(items))] }

func selected[T any](items []T, selects func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(items), func(item T) bool { return !selects(item) })
}

func among[V comparable](filter []V, value V) bool {
	return len(filter) == 0 || slices.Contains(filter, value)
}

func between(from, at, to time.Time) bool {
	return (from.IsZero() || !at.Before(from)) && (to.IsZero() || at.Before(to))
}

// literalFilters checks that the text of a filter is only ever a value, here one that
// no item has.
func literalFilters(t *testing.T, d *db) {
	fill(d)
	d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{letter(event(order("e1", 0, orderCreated, from("p1")), dead, conflict))}})
	for _, text := range []string{
		"%", "_", "a%", "_00", "a__", "*", "?", "A08", "a08 ", "'", "''", `"`, `\`, "' OR ''='", "a08' --", "a08,a16", `["a08"]`, "{a08}", "NULL", "u_", "u%", "U1", "p_", "p%", "CREATED",
	} {
		values := []string{text}
		for _, q := range []payments.OrderQuery{{OrderIDs: values}, {UserIDs: values}} {
			d.orderListing(q, nil).check(t, whole)
		}
		for _, q := range []payments.DisputeQuery{{Sources: values}, {DisputeIDs: values}, {OrderIDs: values}, {UserIDs: values}} {
			d.disputeListing(q, nil).check(t, whole)
		}
		for _, q := range []payments.EventQuery{{Sources: values}, {OrderIDs: values}, {DisputeIDs: values}, {UserIDs: values}, {Kinds: values}} {
			d.eventListing(q, nil).check(t, whole)
			q.Disputes = true
			d.eventListing(q, nil).check(t, whole)
		}
		if ids := walkLetters(d, payments.DeadLetterQuery{Sources: values, Settled: true, Limit: 7}); len(ids) != 0 {
			t.Errorf("the source %q selects the dead letters %v, want none", text, ids)
		}
	}
}

// longFilters use the maximum number of values in every filter at once.
func longFilters(t *testing.T, d *db) {
	s := fill(d)
	ids := make([]string, payments.MaxPageSize)
	for i := range ids {
		ids[i] = fmt.Sprint("absent ", i)
	}
	kinds := slices.Clone(ids)
	o, ofDisputes := s.orders[7], s.events(true)
	e := ofDisputes[slices.IndexFunc(ofDisputes, func(e *payments.Event) bool { return kindOf(e) != "" && e.Update.GetUserId() != "" })]
	c := s.disputes[slices.IndexFunc(s.disputes, func(c payments.Dispute) bool { return c.UserID != "" })]
	ids[50], ids[100], ids[150] = o.ID, c.ID, disputeIDOf(e)
	ids[51], ids[101], ids[151] = "u1", c.OrderID, e.Update.GetOrderId()
	ids[199], ids[0], kinds[199] = "u2", "u3", kindOf(e)
	ids[1], ids[198] = c.Source, e.Key.Source
	in := func(value string) bool { return slices.Contains(ids, value) }

	d.orderListing(payments.OrderQuery{OrderIDs: ids, UserIDs: ids}, selected(s.orders, func(o payments.Order) bool {
		return in(o.ID) && in(o.UserID)
	})).check(t, whole)
	d.disputeListing(payments.DisputeQuery{Sources: ids, DisputeIDs: ids, OrderIDs: ids, UserIDs: ids}, selected(s.disputes, func(c payments.Dispute) bool {
		return in(c.ID) && in(c.OrderID) && in(c.UserID) && in(c.Source)
	})).check(t, whole)
	q := payments.EventQuery{Disputes: true, Sources: ids, OrderIDs: ids, DisputeIDs: ids, UserIDs: ids, Kinds: kinds}
	d.eventListing(q, selected(s.events(true), func(e *payments.Event) bool {
		return in(e.Key.Source) && in(disputeIDOf(e)) && in(e.Update.GetOrderId()) && in(e.Update.GetUserId()) && slices.Contains(kinds, kindOf(e))
	})).check(t, whole)
}
