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
	}
)

// statesAreKeptExactly writes every status with every kind of time and amount, as a new
// order and over another state.
func statesAreKeptExactly(t *testing.T, d *db) {
	want := extremes()
	d.commit(&payments.Changes{Aggregates: want})
	wantKept(d, want)
	for i, a := range extremes() {
		over := want[(i+7)%len(want)]
		over.Version = 1
		over.Order.State, over.Order.Head = a.Order.State, a.Order.Head
		over.Order.State.ID = over.OrderID
		for j := range over.Disputes {
			id := over.Disputes[j].State.ID
			over.Disputes[j] = a.Disputes[j]
			over.Disputes[j].State.ID, over.Disputes[j].State.OrderID = id, over.OrderID
		}
	}
	d.commit(&payments.Changes{Aggregates: want})
	wantKept(d, want)
}

// wantKept checks what is stored after a restart, with the next version.
func wantKept(d *db, want []*payments.Aggregate) {
	d.t.Helper()
	d.reopen()
	for _, a := range want {
		got := d.aggregate(a.OrderID)
		if got.Version != a.Version+1 || got.Order != a.Order || !slices.Equal(got.Disputes, a.Disputes) {
			d.t.Errorf("loaded\n%+v, want with the next version\n%+v", got, a)
		}
		wantListed(d, a)
	}
}

// wantListed checks what the queries return for an order and its disputes.
func wantListed(d *db, a *payments.Aggregate) {
	d.t.Helper()
	state, err := d.Order(d.t.Context(), a.OrderID)
	if a.Order.State.Status == orderNone {
		d.wantNotFound(err, "order "+a.OrderID)
	} else if err != nil || state != a.Order.State {
		d.t.Errorf("read %+v (%v), want %+v", state, err, a.Order.State)
	}
	for _, folded := range a.Disputes {
		state, err := d.Dispute(d.t.Context(), folded.State.ID)
		if folded.State.Status == disputeNone {
			d.wantNotFound(err, "dispute "+folded.State.ID)
		} else if err != nil || state != folded.State {
			d.t.Errorf("read %+v (%v), want %+v", state, err, folded.State)
		}
	}
}

// extremes returns orders with two disputes each, sorted by id.
func extremes() []*payments.Aggregate {
	var list []*payments.Aggregate
	for i := range len(instants) * len(amounts) * len(payrelayv1.OrderStatus_name) {
		id := fmt.Sprintf("o%03d", i)
		list = append(list, &payments.Aggregate{
			OrderID: id,
			Order:   extremeOrder(id, i),
			Disputes: []payments.Folded[payments.Dispute]{
				extremeDispute(id, id+"/1", i), extremeDispute(id, id+"/2", i+1),
			},
		})
	}
	return list
}

// extremeOrder returns an order that has only an id if it has no status, as the fold
// leaves it.
func extremeOrder(id string, i int) (f payments.Folded[payments.Order]) {
	f.State.ID = id
	f.State.Status = payrelayv1.OrderStatus(i % len(payrelayv1.OrderStatus_name))
	if f.State.Status == orderNone {
		return f
	}
	f.State.UserID = []string{"", "user"}[i%2]
	f.State.Amount = amounts[i%len(amounts)]
	f.State.CreatedAt, f.State.UpdatedAt = cycled(i), cycled(i+1)
	f.Head = payments.Position{At: cycled(i + 2), Rank: i % 4, EventID: fmt.Sprint("head ", i)}
	return f
}

func extremeDispute(orderID, id string, i int) (f payments.Folded[payments.Dispute]) {
	f.State.ID, f.State.OrderID = id, orderID
	f.Head = payments.Position{At: cycled(i + 3), Rank: i % 4, EventID: fmt.Sprint("head ", i)}
	f.State.Status = payrelayv1.DisputeStatus(i % len(payrelayv1.DisputeStatus_name))
	if f.State.Status == disputeNone {
		return f
	}
	f.State.UserID, f.State.Reason = []string{"", "user"}[i%2], []string{"", "fraud", "goods"}[i%3]
	f.State.Amount = amounts[i%len(amounts)]
	f.State.OpenedAt, f.State.UpdatedAt = cycled(i), cycled(i+1)
	if i%2 == 0 {
		f.State.EvidenceDueAt = cycled(i + 2)
	}
	return f
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
	changes := new(payments.Changes)
	for _, text := range slices.Sorted(slices.Values(awkward)) {
		a := &payments.Aggregate{OrderID: text}
		a.Order.State = payments.Order{ID: text, Status: orderCreated, UserID: text, CreatedAt: noon, UpdatedAt: noon}
		a.Order.Head = payments.Position{At: noon, Rank: 1, EventID: text}
		a.Disputes = make([]payments.Folded[payments.Dispute], 1)
		a.Disputes[0].State = payments.Dispute{
			ID: text, OrderID: text, Status: disputeOpen, UserID: text, Reason: text, OpenedAt: noon, UpdatedAt: noon,
		}
		changes.Aggregates = append(changes.Aggregates, a)
		e := event(dispute(text, 0, disputeOpen, from(text), of(text), disputeID(text), user(text)), applied, noReason)
		e.Update.GetDispute().Reason, e.Update.GetDispute().ProviderStatus = text, text
		changes.Events = append(changes.Events, e)
		changes.DeadLetters = append(changes.DeadLetters, &payments.DeadLetter{
			Key: e.Key, Reason: conflict, Detail: text, OrderID: text, DisputeID: text, CreatedAt: noon,
		})
	}
	d.commit(changes)
	d.reopen()

	for i, l := range d.letters() {
		if want := *changes.DeadLetters[i]; l.Key != want.Key || l.Detail != want.Detail || l.OrderID != want.OrderID || l.DisputeID != want.DisputeID {
			t.Errorf("got dead letter %+v, want %+v", l, want)
		}
	}
	for i, e := range changes.Events {
		wantOutcomeApart(d, e, changes.Aggregates[i])
	}
}

// wantDistinct looks a text up in every way, and checks that this finds exactly what
// was stored under it.
func wantOutcomeApart(d *db, e *payments.Event, a *payments.Aggregate) {
	d.t.Helper()
	id := []string{a.OrderID}
	got := d.load(payments.Lookup{Keys: []payments.Key{e.Key}, OrderIDs: id, DisputeIDs: id})
	if len(got.Recorded) != 1 || got.Recorded[e.Key].Digest != e.Digest || len(got.Aggregates) != 1 || len(got.DisputeOrders) != 1 || got.DisputeOrders[id[0]] != id[0] {
		d.t.Errorf("%q loads %+v, want exactly what is stored under it", id, got)
	}
	if stored := d.aggregate(id[0]); stored.Order != a.Order || !slices.Equal(stored.Disputes, a.Disputes) {
		d.t.Errorf("loaded %+v, want %+v", stored, a)
	}
	history := d.history(id...)[id[0]]
	if len(history) != 1 || eventLine(history[0]) != eventLine(asRead(e)) {
		d.t.Errorf("got the history %+v, want %v", history, e)
	}
	orders, err := d.Orders(d.t.Context(), payments.OrderQuery{OrderIDs: id, UserIDs: id, Page: whole})
	if err != nil || len(orders.Items) != 1 || orders.Items[0] != a.Order.State {
		d.t.Errorf("Orders = %+v, %v, want %+v", orders, err, a.Order.State)
	}
	disputes, err := d.Disputes(d.t.Context(), payments.DisputeQuery{DisputeIDs: id, OrderIDs: id, UserIDs: id, Page: whole})
	if err != nil || len(disputes.Items) != 1 || disputes.Items[0] != a.Disputes[0].State {
		d.t.Errorf("Disputes = %+v, %v, want %+v", disputes, err, a.Disputes[0].State)
	}
	events, err := d.Events(d.t.Context(), payments.EventQuery{Disputes: true, OrderIDs: id, DisputeIDs: id, UserIDs: id, Page: whole})
	if err != nil || len(events.Items) != 1 || events.Items[0].Key != e.Key {
		d.t.Errorf("Events = %+v, %v, want %v", events, err, e.Key)
	}
}
