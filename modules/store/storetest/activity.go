package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

func (d *db) auditListing(q payments.AuditQuery, want []payments.AuditEntry) listing[payments.AuditEntry] {
	text := func(e payments.AuditEntry) string {
		e.ID = 0
		return fmt.Sprintf("%T %+v", e, e)
	}
	return listing[payments.AuditEntry]{
		name: fmt.Sprintf("audit log %+v", q),
		read: func(page payments.PageRequest) (payments.Page[payments.AuditEntry], error) {
			q.Page = page
			return d.Audit(d.t.Context(), q)
		},
		cursor: func(e payments.AuditEntry) payments.Cursor { return payments.Cursor{Sequence: e.ID} },
		text:   text,
		want:   texts(want),
	}
}

// auditLog writes entries in several commits, and reads them by every filter, page by
// page.
func auditLog(t *testing.T, d *db) {
	actions := []payments.Action{payments.ActionReplay, payments.ActionAccept, payments.ActionDiscard, payments.ActionReadBody, payments.ActionRederive}
	var all []payments.AuditEntry
	for len(all) < 40 {
		changes := new(payments.Changes)
		for range 1 + len(all)%4 {
			i := len(all)
			all = append(all, payments.AuditEntry{
				At: after(i / 3), Who: []string{"ops (ann)", "ops", "\u00e9 \"'\\%"}[i%3], Action: actions[i%5], Target: fmt.Sprint("dead letter ", i),
				OrderID: []string{"", "o1", "o2"}[i/2%3], Why: "why not? \u20ac", Before: "open: contradiction", After: []string{"", "accepted: applied"}[i%2],
			})
			e := all[i]
			changes.Audit = append(changes.Audit, &e)
		}
		d.commit(changes)
	}
	d.reopen()
	d.auditListing(payments.AuditQuery{}, all).checkPages(t)
	tries := newTries(t, 4)
	for tries.next() {
		item := pick(tries.rng, all)
		q := payments.AuditQuery{
			Actions:  values(tries, 0, all, item, func(e payments.AuditEntry) string { return string(e.Action) }, "absent"),
			OrderIDs: values(tries, 1, all, item, func(e payments.AuditEntry) string { return e.OrderID }, "absent"),
			From:     tries.from(2, item.At), To: tries.to(3, item.At),
		}
		want := selected(all, func(e payments.AuditEntry) bool {
			return among(q.Actions, string(e.Action)) && among(q.OrderIDs, e.OrderID) && between(q.From, e.At, q.To)
		})
		d.auditListing(q, want).check(t, tries.page(len(want)))
	}
	page, err := d.Audit(t.Context(), payments.AuditQuery{Page: whole})
	d.check(err)
	for i := range page.Items[1:] {
		if was, is := page.Items[i].ID, page.Items[i+1].ID; is <= was {
			t.Errorf("the ids of two entries are %d and then %d, want them to ascend", was, is)
		}
	}
}

// subjectsOfEvents reads the orders and disputes of every period, source and order, in
// pages of several sizes, and compares them with a loop over the events.
func subjectsOfEvents(t *testing.T, d *db) {
	fill(d)
	changes := new(payments.Changes)
	for i := range 30 { // recorded out of the order of time
		e := event(order(fmt.Sprint("s", i), 0, orderCreated, of(fmt.Sprint("s", i%7)), from(sourceOf(i))), applied, noReason)
		e.RecordedAt = after(100 + i*11%30)
		changes.Events = append(changes.Events, e)
	}
	d.commit(changes)
	events := d.events()
	tries := newTries(t, 4)
	for tries.next() {
		item := pick(tries.rng, events)
		q := payments.SubjectQuery{
			Sources:  values(tries, 0, events, item, func(e payments.RecordedEvent) string { return e.Key.Source }, "absent"),
			OrderIDs: values(tries, 1, events, item, func(e payments.RecordedEvent) string { return e.Update.GetOrderId() }, "absent"),
			From:     tries.from(2, item.RecordedAt), To: tries.to(3, item.RecordedAt),
			Limit: pick(tries.rng, []int{1, 7, 1000}),
		}
		want := make(map[payments.Subject]bool)
		for _, e := range events {
			if e.Key.Kind != payments.KindNote && among(q.Sources, e.Key.Source) && among(q.OrderIDs, e.Update.GetOrderId()) && between(q.From, e.RecordedAt, q.To) {
				want[subjectOf(&e.Event)] = true
			}
		}
		tries.page(len(want))
		if got := readSubjects(d, q); !maps.Equal(got, want) {
			t.Errorf("Subjects(%+v) = %v, want %v", q, got, want)
		}
	}
}

func subjectOf(e *payments.Event) payments.Subject {
	if e.Key.Kind == payments.KindDispute {
		return payments.Subject{Dispute: e.Dispute()}
	}
	return payments.Subject{Order: e.Update.GetOrderId()}
}

// readSubjects reads all pages, which must not have duplicates.
func readSubjects(d *db, q payments.SubjectQuery) map[payments.Subject]bool {
	d.t.Helper()
	read := make(map[payments.Subject]bool)
	for more := true; more; {
		page, err := d.Subjects(d.t.Context(), q)
		d.check(err)
		onPage := make(map[payments.Subject]bool)
		for _, id := range page.Orders {
			onPage[payments.Subject{Order: id}] = true
		}
		for _, key := range page.Disputes {
			onPage[payments.Subject{Dispute: key}] = true
		}
		if n := len(page.Orders) + len(page.Disputes); n != len(onPage) || n > q.Limit || page.Next != 0 && page.Next <= q.AfterSequence {
			d.t.Fatalf("Subjects(%+v) = %+v, want no duplicate, at most the limit, and a later sequence", q, page)
		}
		for of := range onPage {
			if read[of] {
				d.t.Fatalf("Subjects(%+v) has %v again, want it on one page only", q, of)
			}
		}
		maps.Copy(read, onPage)
		more, q.AfterSequence = page.Next != 0, page.Next
	}
	return read
}

// sources reads sources with events only, with dead letters only, and with both.
func sources(t *testing.T, d *db) {
	want := func(want ...payments.SourceActivity) {
		t.Helper()
		got, err := d.Sources(t.Context())
		d.check(err)
		wantLines(t, "sources", texts(got), texts(want))
	}
	want()
	recorded := func(id, source string, second int, u func(string, int, payrelayv1.OrderStatus, ...change) *payrelayv1.Update) *payments.Event {
		e := event(u(id, 0, orderCreated, from(source)), applied, noReason)
		e.RecordedAt = after(second)
		return e
	}
	changes := &payments.Changes{Events: []*payments.Event{recorded("e1", "b", 9, order), recorded("e2", "b", 5, order), recorded("e3", "B", 7, order)}}
	for i, source := range []string{"b", "a", "b", "a"} {
		l := letter(event(order(fmt.Sprint("l", i), 0, orderCreated, from(source)), dead, []payrelayv1.DeadLetterReason{conflict, futureTime}[i/2]))
		changes.DeadLetters = append(changes.DeadLetters, l)
	}
	d.commit(changes)
	d.commit(&payments.Changes{Settled: []payments.Settlement{settlement(changes.DeadLetters[3], payments.Replayed, noon)}})
	want(payments.SourceActivity{Source: "B", LastEventAt: after(7)}, payments.SourceActivity{Source: "a", OpenDeadLetters: 1},
		payments.SourceActivity{Source: "b", LastEventAt: after(9), OpenDeadLetters: 2})
}

// disputesDue counts the open ones of disputes of every status, with deadlines around each
// bound.
func disputesDue(t *testing.T, d *db) {
	deadlines := []time.Duration{-time.Hour, 0, time.Microsecond, 24 * time.Hour, 24*time.Hour + time.Microsecond, 72 * time.Hour, 72*time.Hour + time.Microsecond}
	changes := new(payments.Changes)
	for status := range payrelayv1.DisputeStatus_name {
		for i, due := range append(deadlines, 0) {
			a := disputeOf("o1", fmt.Sprint(status, "/", i))
			a.State.Status = payrelayv1.DisputeStatus(status)
			if i < len(deadlines) {
				a.State.EvidenceDueAt = noon.Add(due)
			}
			changes.Disputes = append(changes.Disputes, a)
		}
	}
	sortDisputes(changes.Disputes)
	d.commit(changes)
	for at, want := range map[time.Duration]payments.DisputesDue{
		0:                {PastDue: 2, InDay: 2, InThreeDays: 4},
		-100 * time.Hour: {},
		100 * time.Hour:  {PastDue: 7},
	} {
		if got, err := d.DisputesDue(t.Context(), noon.Add(at)); err != nil || got != want {
			t.Errorf("DisputesDue after %v = %+v, %v, want %+v", at, got, err, want)
		}
	}
}

// bodiesByKey reads the bodies of events of one id, of one without a body, and of none.
func bodiesByKey(t *testing.T, d *db) {
	updates := []*payrelayv1.Update{
		order("e1", 0, orderCreated, body("of an order")), order("e1", 0, orderCreated, from("other"), body("of another source")),
		dispute("e1", 0, disputeOpen, body("of a dispute")), note("e1", 0, "a note", body("of a note")), order("e2", 1, orderUpdated, body("")),
	}
	d.apply(updates...)
	for _, u := range updates {
		got, orderID, err := d.Body(t.Context(), keyOf(u))
		if err != nil || !slices.Equal(got, u.GetRawBody()) || orderID != u.GetOrderId() {
			t.Errorf("Body(%v) = %q, %q, %v, want %q of order %q", keyOf(u), got, orderID, err, u.GetRawBody(), u.GetOrderId())
		}
	}
	for _, key := range []payments.Key{orderKey("e3"), {Source: "generic", Kind: "absent", EventID: "e1"}, {}} {
		_, _, err := d.Body(t.Context(), key)
		d.wantNotFound(err, fmt.Sprint("Body of ", key))
	}
}

// stats checks that the size grows with what is stored.
func stats(t *testing.T, d *db) {
	read := func() int64 {
		t.Helper()
		s, err := d.Stats(t.Context())
		if err != nil || s.Max < 2 || s.InUse < 0 || s.Idle < 1 || s.InUse+s.Idle > s.Max || s.SizeBytes <= 0 {
			t.Errorf("Stats = %+v, %v, want idle connections and a size", s, err)
		}
		return s.SizeBytes
	}
	d.apply(order("e1", 0, orderCreated))
	before := read()
	var updates []*payrelayv1.Update
	random := rand.NewChaCha8([32]byte{}) // which no database compresses
	for i := range 200 {
		data := make([]byte, 8000)
		_, _ = random.Read(data) // it never fails
		updates = append(updates, order(fmt.Sprint("large", i), i, orderUpdated, body(string(data))))
	}
	d.apply(updates...)
	if grown := read() - before; grown < 1<<19 {
		t.Errorf("the size grew by %d bytes, want more", grown)
	}
}

// explained explains an order with the queries of the store.
func explained(t *testing.T, d *db) {
	d.apply(order("e1", 0, orderCreated, amount(500, "USD")), order("e3", 2, orderFailed), order("e9", 0, orderSuccess, of("o9")))
	d.apply(order("e2", 1, orderSuccess, amount(500, "USD")), dispute("c1", 3, disputeLost, disputeID("d1")), dispute("c2", 3, disputeWon, disputeID("d1")))
	x, err := payments.ExplainOrder(t.Context(), d.Store, "o1")
	d.check(err)
	text := strings.Join(x.Sentences, "\n")
	for _, want := range []string{
		`Order "o1" is paid: it has had the status success since `, `captured`, `Dispute "d1" of generic about order "o1" has had the status lost`,
		`The order had the status success from`, `but this event says failed at`, `app deadletters accept 1 --why`, `app deadletters accept 2 --why`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no sentence has %q:\n%s", want, text)
		}
	}
	if len(x.Timeline) != 5 || len(x.DeadLetters) != 2 || x.Earlier != 0 {
		t.Errorf("got %d events and %d dead letters, want 5 and 2", len(x.Timeline), len(x.DeadLetters))
	}
	for _, e := range x.Timeline {
		if e.Late != (e.Key.EventID == "e2") && e.Key.EventID != "c1" || e.Why == "" {
			t.Errorf("entry %+v, want only e2 late", e)
		}
	}
	d.decide(payments.Discarded, x.DeadLetters...)
	x, err = payments.ExplainDispute(t.Context(), d.Store, disputeKey("d1"))
	d.check(err)
	if last := x.Timeline[len(x.Timeline)-1]; !strings.Contains(last.Why, `discarded by "ann"`) || !strings.Contains(last.Why, `"a test"`) {
		t.Errorf("the discarded event is explained by %q, want by ann", last.Why)
	}
}
