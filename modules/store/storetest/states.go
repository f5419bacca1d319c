package storetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Values are kept to the microsecond and the byte: the ledger compares states with ==.

var (
	instants = []time.Time{
		noon, time.Unix(0, 0).UTC(), time.UnixMicro(1).UTC(), time.UnixMicro(1_709_294_400_123_456).UTC(),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
	}
	amounts = []payments.Money{
		{}, {Currency: "USD"}, {MinorUnits: 1, Currency: "JPY"}, {MinorUnits: math.MaxInt64, Currency: "BHD"},
		{MinorUnits: 12345, Currency: "USD", Exponent: 19}, {MinorUnits: 7, Currency: "XTS", Exponent: 1},
	}
	// Stores keep the text of parts, whatever it is.
	partTexts = []string{"", `[{"part":"p1","captured":{"MinorUnits":1}}]`, "  {\"b\": 1, \"a\": \"\u20ac'\\u0041\"}\n", strings.Repeat("part ", 4_000)}
)

// statesAreKeptExactly writes every status with every kind of time and amount, as a new
// order or dispute and over another state.
func statesAreKeptExactly(t *testing.T, d *db) {
	orders, disputes := extremes()
	d.commit(&payments.Changes{Orders: orders, Disputes: disputes})
	wantKept(d, orders, disputes)
	others, otherDisputes := extremes()
	for i, a := range orders {
		id, from := a.State.ID, others[(i+7)%len(others)]
		*a = *from
		a.Version, a.State.ID = 1, id
	}
	for i, a := range disputes {
		key, from := a.State.DisputeKey, otherDisputes[(i+7)%len(otherDisputes)]
		*a = *from
		a.Version, a.State.DisputeKey = 1, key
	}
	d.commit(&payments.Changes{Orders: orders, Disputes: disputes})
	wantKept(d, orders, disputes)
}

// wantKept checks what is stored after a restart, with the next version.
func wantKept(d *db, orders []*storedOrder, disputes []*storedDispute) {
	d.t.Helper()
	d.reopen()
	for _, a := range orders {
		want := *a
		want.Version++
		if got := d.aggregate(a.State.ID); *got != want {
			d.t.Errorf("loaded\n%.500s, want\n%.500s", fmt.Sprintf("%+v", *got), fmt.Sprintf("%+v", want))
		}
		wantListedOrder(d, a.State)
	}
	for _, a := range disputes {
		want := *a
		want.Version++
		if got := d.disputeAggregate(a.State.DisputeKey); *got != want {
			d.t.Errorf("loaded\n%+v, want\n%+v", *got, want)
		}
		wantListedDispute(d, a.State)
	}
}

// wantListedOrder checks what the query of one order returns.
func wantListedOrder(d *db, want payments.Order) {
	d.t.Helper()
	state, err := d.Order(d.t.Context(), want.ID)
	if want.Status == orderNone {
		d.wantNotFound(err, "order "+want.ID)
	} else if err != nil || state != want {
		d.t.Errorf("read %+v (%v), want %+v", state, err, want)
	}
}

func wantListedDispute(d *db, want payments.Dispute) {
	d.t.Helper()
	state, err := d.Dispute(d.t.Context(), want.DisputeKey)
	if want.Status == disputeNone {
		d.wantNotFound(err, "dispute "+want.ID)
	} else if err != nil || state != want {
		d.t.Errorf("read %+v (%v), want %+v", state, err, want)
	}
}

// extremes returns orders with two disputes each, of two sources and with one id.
func extremes() (orders []*storedOrder, disputes []*storedDispute) {
	for i := range len(instants) * len(amounts) * len(payrelayv1.OrderStatus_name) {
		id := fmt.Sprintf("o%03d", i)
		orders = append(orders, extremeOrder(id, i))
		for j, source := range []string{"generic", "other"} {
			disputes = append(disputes, extremeDispute(payments.DisputeKey{Source: source, ID: "d" + id}, id, i+j))
		}
	}
	sortDisputes(disputes)
	return orders, disputes
}

func sortDisputes(disputes []*storedDispute) {
	slices.SortFunc(disputes, func(a, b *storedDispute) int {
		return strings.Compare(a.State.Source+"\x00"+a.State.ID, b.State.Source+"\x00"+b.State.ID)
	})
}

// extremeOrder returns an order that has only an id if it has no status, as the fold
// leaves it.
func extremeOrder(id string, i int) *storedOrder {
	a := &storedOrder{State: payments.Order{ID: id, Status: payrelayv1.OrderStatus(i % len(payrelayv1.OrderStatus_name))}, Rules: 1 + i%3}
	if a.State.Status == orderNone {
		return a
	}
	a.State.UserID = []string{"", "user"}[i%2]
	a.State.Amount = amounts[i%len(amounts)]
	a.State.CreatedAt, a.State.UpdatedAt = cycled(i), cycled(i+1)
	a.State.Parts = partTexts[i%len(partTexts)]
	a.Events, a.Pending = []int{0, 1, math.MaxInt32}[i%3], cycled(i+4)
	a.Head = payments.Position{
		At: cycled(i + 2), Rank: i % 4, Refunded: amounts[(i+2)%len(amounts)].MinorUnits, Captured: amounts[(i+3)%len(amounts)].MinorUnits,
		EventID: fmt.Sprint("head ", i), Source: []string{"generic", "other"}[i%2],
	}
	return a
}

func extremeDispute(key payments.DisputeKey, orderID string, i int) *storedDispute {
	a := &storedDispute{State: payments.Dispute{DisputeKey: key}, Rules: 1 + i%3}
	a.State.Status = payrelayv1.DisputeStatus(i % len(payrelayv1.DisputeStatus_name))
	if a.State.Status == disputeNone {
		return a
	}
	a.State.OrderID, a.State.Stage = orderID, payrelayv1.DisputeStage(i/2%len(payrelayv1.DisputeStage_name))
	a.State.UserID, a.State.Reason = []string{"", "user"}[i%2], []string{"", "fraud", "goods"}[i%3]
	a.State.Amount, a.State.OutcomeAmount = amounts[i%len(amounts)], amounts[(i+i/7)%len(amounts)]
	a.State.OpenedAt, a.State.UpdatedAt, a.State.StatusAt = cycled(i), cycled(i+1), cycled(i+2)
	a.State.Reopened = []int{0, 1, math.MaxInt32}[i%3]
	a.Events, a.Pending = []int{0, 1, math.MaxInt32}[i%3], cycled(i+5)
	if i%2 == 0 {
		a.State.EvidenceDueAt = cycled(i + 2)
	}
	a.Head = payments.Position{
		At: cycled(i + 3), Stage: i % 5, Rank: i % 4, EventID: fmt.Sprint("head ", i), Source: []string{"generic", "other"}[i%2],
	}
	return a
}

func cycled(i int) time.Time { return instants[i%len(instants)] }

// awkward are valid ids that an engine could truncate, fold, pad, normalise or parse.
var awkward = []string{
	"plain", "PLAIN", "Plain", "plain ", " plain", "plain  ", "pla\u00edn", "plai\u0301n", "\ufb01", "fi", "\u00df", "ss",
	"100%", "100_", "%", "_", "o'clock", "''", `"quoted"`, `""`, `back\slash`, `\`, `\\`, `\'`, `\x41`, `\u0041`, "a;--", "/*", "NULL", "null",
	"0", "00", "0.0", "-0", "1e3", "1000", "[1]", "{}", "{a,b}", "a,b", "$1", "?", ":x", "@x", "<&>", "a\u2028b", "a\u00a0b", "a b", "a\u200bb",
	"\U0001f600", "\ufffd", "\U0010ffff", "\ud7ff", "\u05d0\u05d1",
	strings.Repeat("x", payments.MaxIDBytes), strings.Repeat("x", payments.MaxIDBytes-1) + "y", strings.Repeat("\u20ac", payments.MaxIDBytes/3),
}

// awkwardText stores each of them in every column of text.
func awkwardText(t *testing.T, d *db) {
	changes, settled := new(payments.Changes), new(payments.Changes)
	for _, text := range slices.Sorted(slices.Values(awkward)) {
		head := payments.Position{At: noon, Rank: 1, EventID: text, Source: text}
		changes.Orders = append(changes.Orders, &storedOrder{
			State: payments.Order{ID: text, Status: orderCreated, UserID: text, CreatedAt: noon, UpdatedAt: noon, Parts: text}, Head: head,
		})
		key := payments.DisputeKey{Source: text, ID: text}
		changes.Disputes = append(changes.Disputes, &storedDispute{State: payments.Dispute{
			DisputeKey: key, OrderID: text, Status: disputeOpen, UserID: text, Reason: text, OpenedAt: noon, UpdatedAt: noon,
		}, Head: head})
		changes.Events = append(changes.Events, awkwardEvents(text)...)
		l := &payments.DeadLetter{
			Key: changes.Events[len(changes.Events)-1].Key, Reason: conflict, Detail: text, OrderID: text, DisputeID: text, CreatedAt: noon, LastAt: noon, Deliveries: 1,
		}
		changes.DeadLetters = append(changes.DeadLetters, l)
		settled.Settled = append(settled.Settled, payments.Settlement{Key: l.Key, Resolution: payments.Accepted, At: noon, By: text, Why: text})
	}
	d.commit(changes)
	d.commit(settled)
	d.reopen()

	for i, l := range d.letters() {
		want := *changes.DeadLetters[i]
		want.ID, want.Resolution, want.ResolvedAt, want.By, want.Why = l.ID, payments.Accepted, noon, want.Detail, want.Detail
		if asText(l) != asText(&want) {
			t.Errorf("got dead letter\n%s, want\n%s", asText(l), asText(&want))
		}
	}
	for i := range changes.Orders {
		wantApart(d, changes.Events[3*i:3*i+3], changes.Orders[i], changes.Disputes[i])
	}
}

// awkwardEvents returns an event of each kind, with one source and id.
func awkwardEvents(text string) []*payments.Event {
	same := []change{from(text), of(text), user(text)}
	ofOrder := event(order(text, 0, orderCreated, same...), applied, noReason)
	ofOrder.Update.GetOrder().Part, ofOrder.Update.GetOrder().ProviderStatus = text, text
	ofDispute := event(dispute(text, 0, disputeOpen, append(same, disputeID(text))...), applied, noReason)
	ofDispute.Update.GetDispute().Reason, ofDispute.Update.GetDispute().ProviderStatus = text, text
	ofNote := event(note(text, 0, text, same...), applied, noReason)
	ofNote.Update.GetNote().DisputeId, ofNote.Update.GetNote().Kind = text, text
	return []*payments.Event{ofOrder, ofDispute, ofNote}
}

// wantApart looks a text up in every way, and checks that this finds exactly what was
// stored under it.
func wantApart(d *db, events []*payments.Event, o *storedOrder, c *storedDispute) {
	d.t.Helper()
	id, key := []string{o.State.ID}, c.State.DisputeKey
	keys := []payments.Key{events[0].Key, events[1].Key, events[2].Key}
	got := d.load(payments.Lookup{Keys: keys, Subjects: payments.Subjects{Orders: id, Disputes: []payments.DisputeKey{key}}})
	if len(got.Recorded) != 3 || len(got.Orders) != 1 || len(got.Disputes) != 1 {
		d.t.Errorf("%q loads %+v, want exactly what is stored under it", id, got)
	}
	for _, e := range events {
		if got.Recorded[e.Key].Facts != e.Facts {
			d.t.Errorf("%v is recorded with the facts %x, want %x", e.Key, got.Recorded[e.Key].Facts, e.Facts)
		}
	}
	if stored := d.aggregate(id[0]); stored.State != o.State || stored.Head != o.Head {
		d.t.Errorf("loaded %+v, want %+v", stored, o)
	}
	if stored := d.disputeAggregate(key); stored.State != c.State || stored.Head != c.Head {
		d.t.Errorf("loaded %+v, want %+v", stored, c)
	}
	if history := d.history(id...)[id[0]]; len(history) != 1 || eventLine(history[0]) != eventLine(asRead(events[0])) {
		d.t.Errorf("got the history %+v, want %v", history, events[0])
	}
	if history := d.disputeHistory(key)[key]; len(history) != 1 || eventLine(history[0]) != eventLine(asRead(events[1])) {
		d.t.Errorf("got the history %+v, want %v", history, events[1])
	}
	d.orderListing(payments.OrderQuery{OrderIDs: id, UserIDs: id}, []payments.Order{o.State}).check(d.t, whole)
	d.disputeListing(payments.DisputeQuery{Sources: id, DisputeIDs: id, OrderIDs: id, UserIDs: id}, []payments.Dispute{c.State}).check(d.t, whole)
	d.eventListing(payments.EventQuery{Sources: id, OrderIDs: id, UserIDs: id}, events[:1]).check(d.t, whole)
	d.eventListing(payments.EventQuery{Disputes: true, Sources: id, OrderIDs: id, DisputeIDs: id, UserIDs: id}, events[1:]).check(d.t, whole)
	if letters := walkLetters(d, payments.DeadLetterQuery{Sources: id, Settled: true, Limit: 2}); len(letters) != 1 {
		d.t.Errorf("got %d dead letters of the source %q, want 1", len(letters), id)
	}
}

// severalSources have one dispute each with the same id, which live apart.
func severalSources(t *testing.T, d *db) {
	a, b, c := payments.DisputeKey{Source: "a", ID: "d1"}, payments.DisputeKey{Source: "b", ID: "d1"}, payments.DisputeKey{Source: "a", ID: "d2"}
	wantOutcomes(t, d.apply(
		dispute("e1", 0, disputeOpen, disputeID("d1"), from("b"), amount(1, "USD")),
		dispute("e1", 1, disputeOpen, disputeID("d1"), from("a"), of("o2"), amount(2, "EUR"), chargeback),
		dispute("e2", 2, disputeOpen, disputeID("d2"), from("a"), of("o2")),
	), verdict(applied), verdict(applied), verdict(applied))
	wantOutcomes(t, d.apply(dispute("e3", 3, disputeLost, disputeID("d1"), from("b"))), verdict(applied))
	d.reopen()

	want := map[payments.DisputeKey]payments.Dispute{
		a: {
			DisputeKey: a, OrderID: "o2", Stage: payrelayv1.DisputeStage_DISPUTE_STAGE_CHARGEBACK, Status: disputeOpen, StatusAt: after(1),
			Amount: payments.Money{MinorUnits: 2, Currency: "EUR"}, OpenedAt: after(1), UpdatedAt: after(1),
		},
		b: {
			DisputeKey: b, OrderID: "o1", Status: disputeLost, StatusAt: after(3), Amount: payments.Money{MinorUnits: 1, Currency: "USD"},
			OpenedAt: after(0), UpdatedAt: after(3),
		},
		c: {DisputeKey: c, OrderID: "o2", Status: disputeOpen, StatusAt: after(2), OpenedAt: after(2), UpdatedAt: after(2)},
	}
	for key, state := range want {
		wantListedDispute(d, state)
		if got := d.disputeAggregate(key); got.State != state || got.Head.Source != key.Source {
			t.Errorf("loaded %+v, want %+v", got, state)
		}
	}
	with, err := d.DisputesWith(t.Context(), "d1")
	d.check(err)
	if len(with) != 2 || want[with[0].DisputeKey] != with[0] || want[with[1].DisputeKey] != with[1] || with[0].Source == with[1].Source {
		t.Errorf("DisputesWith = %+v, want those of both sources", with)
	}
	history := d.disputeHistory(a, b, payments.DisputeKey{Source: "b", ID: "d2"})
	if len(history[a]) != 1 || len(history[b]) != 2 || len(history) != 2 {
		t.Errorf("got the histories %v, want one event of a and two of b", history)
	}
	got := d.load(payments.Lookup{Subjects: payments.Subjects{Disputes: []payments.DisputeKey{a, {Source: "b", ID: "d2"}}}}).Disputes
	if len(got) != 1 || got[a] == nil || got[a].Version != 1 {
		t.Errorf("loaded %+v, want only %v with version 1", got, a)
	}
	d.disputeListing(payments.DisputeQuery{Sources: []string{"b"}}, []payments.Dispute{want[b]}).check(t, whole)
	d.disputeListing(payments.DisputeQuery{DisputeIDs: []string{"d1"}}, []payments.Dispute{want[a], want[b]}).check(t, whole)
}
