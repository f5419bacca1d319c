package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// lettersAreKeptExactly stores every reason with every resolution, payloads that are
// not text or absent, and unknown ids.
func lettersAreKeptExactly(t *testing.T, d *db) {
	payloads := [][]byte{nil, {}, {0, 0xff, '\n', '\''}, []byte(strings.Repeat("\x00\x80", 1<<16))}
	resolutions := []payments.Resolution{"", payments.Reapplied, payments.Replayed, payments.Accepted, payments.Discarded}
	kinds := []payments.Kind{payments.KindOrder, payments.KindDispute, payments.KindNote, ""}
	changes, settled := new(payments.Changes), new(payments.Changes)
	var want []*payments.DeadLetter
	for i := range 5 * (len(payrelayv1.DeadLetterReason_name) - 1) {
		l := &payments.DeadLetter{
			Key:    payments.Key{Source: "webhooks.orders/3", Kind: kinds[i%len(kinds)], EventID: fmt.Sprint(i)},
			Digest: payments.Digest{byte(i), 31: 0xff}, Reason: payrelayv1.DeadLetterReason(1 + i/5), Detail: "a word: \u20ac \"'\\%",
			Payload: payloads[(i+i/5)%4], CreatedAt: cycled(i), Deliveries: int64(1 + i*i), LastAt: cycled(i + 2),
		}
		if l.Key.Kind != "" {
			l.OrderID, l.DisputeID = "o1", []string{"", "d1"}[i/2%2]
		}
		if i == 3 {
			l.Key = payments.Key{} // that of an update whose key no store can keep
		}
		changes.DeadLetters = append(changes.DeadLetters, l)
		kept := *l
		if how := resolutions[i%5]; how != "" {
			kept.Resolution, kept.ResolvedAt, kept.By, kept.Why = how, cycled(i+1), []string{"", "ann"}[i%2], []string{"", "because"}[i/2%2]
			s := settlement(l, how, kept.ResolvedAt)
			s.By, s.Why = kept.By, kept.Why
			settled.Settled = append(settled.Settled, s)
		}
		want = append(want, &kept)
	}
	d.commit(changes)
	d.commit(settled)
	d.reopen()

	got := d.letters()
	if len(got) != len(want) {
		t.Fatalf("got %d dead letters, want %d", len(got), len(want))
	}
	for i, l := range got {
		one, err := d.DeadLetter(t.Context(), l.ID)
		d.check(err)
		want[i].ID = l.ID
		if asText(l) != asText(want[i]) || asText(one) != asText(want[i]) {
			t.Errorf("listed\n%.400s, read\n%.400s, want\n%.400s", asText(l), asText(one), asText(want[i]))
		}
	}
}

// asText makes no difference between an absent and an empty payload.
func asText(l *payments.DeadLetter) string {
	shown := *l
	shown.Payload = nil
	return fmt.Sprintf("%+v %x", shown, l.Payload)
}

// wantLetters checks all dead letters, which have ids already.
func wantLetters(d *db, what string, want ...*payments.DeadLetter) {
	d.t.Helper()
	var got, wanted []string
	for _, l := range d.letters() {
		got = append(got, asText(l))
	}
	for _, l := range want {
		wanted = append(wanted, asText(l))
	}
	wantLines(d.t, what, got, wanted)
}

// lettersByKeyAndDigest checks that a dead letter that comes again is the same one:
// it takes the new reason, and the deliveries add up.
func lettersByKeyAndDigest(t *testing.T, d *db) {
	base := letter(event(order("e1", 0, orderCreated), dead, conflict))
	otherFacts, otherSource, otherEvent := *base, *base, *base
	otherFacts.Digest[31]++
	otherSource.Key.Source, otherEvent.Key.EventID = "other", "e2"
	// The facts of a dispute or a note with the same id have another digest.
	ofDispute := letter(event(dispute("e1", 0, disputeOpen), dead, conflict))
	ofNote := letter(event(note("e1", 0, "a note"), dead, conflict))
	d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{base, &otherFacts, &otherSource, &otherEvent, ofDispute, ofNote}})
	want := d.letters()
	if len(want) != 6 {
		t.Fatalf("got %d dead letters, want 6", len(want))
	}
	again := *base
	again.Reason, again.Detail, again.OrderID, again.DisputeID, again.Payload = futureTime, "another reason", "o2", "d2", []byte("another")
	again.CreatedAt, again.LastAt, again.Deliveries = after(7200), after(7201), 3
	d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{&again}})
	want[0].Reason, want[0].Detail, want[0].OrderID, want[0].DisputeID, want[0].Payload = futureTime, "another reason", "o2", "d2", []byte("another")
	want[0].LastAt, want[0].Deliveries = after(7201), 4
	wantLetters(d, "after the same dead letter came again", want...)
}

// settledOnce checks that only an open dead letter is settled, and no other one.
func settledOnce(t *testing.T, d *db) {
	e := event(order("e1", 0, orderCreated), dead, contradiction)
	other := letter(event(order("e2", 0, orderCreated), dead, contradiction))
	d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{letter(e), other}})
	want := d.letters()
	first, otherDigest, otherKey := settlement(letter(e), payments.Replayed, after(1)), settlement(other, payments.Reapplied, after(1)), settlement(other, payments.Reapplied, after(1))
	first.By, first.Why = "ann", "try again"
	otherDigest.Digest[0]++
	otherKey.Key.Source = "other"
	d.commit(&payments.Changes{Settled: []payments.Settlement{first, otherDigest, otherKey}})
	want[0].Resolution, want[0].ResolvedAt, want[0].By, want[0].Why = payments.Replayed, after(1), "ann", "try again"
	wantLetters(d, "after one settlement", want...)
	for _, how := range []payments.Resolution{payments.Reapplied, payments.Replayed, payments.Accepted, payments.Discarded} {
		second := settlement(letter(e), how, after(2))
		second.By, second.Why = "bob", "again"
		err := d.Commit(t.Context(), &payments.Changes{Settled: []payments.Settlement{second}})
		if decision := how != payments.Reapplied; decision != errors.Is(err, payments.ErrRaced) || !decision && err != nil {
			t.Errorf("Commit of a second settlement, %s = %v, want ErrRaced only for a decision of an operator", how, err)
		}
		wantLetters(d, "after a second settlement", want...)
	}
}

// openAgain checks that a redelivery opens a reapplied or replayed dead letter again.
func openAgain(t *testing.T, d *db) {
	for i, how := range []payments.Resolution{payments.Reapplied, payments.Replayed} {
		l := letter(event(order(fmt.Sprint("e", i), 0, orderCreated), dead, contradiction))
		d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{l}})
		s := settlement(l, how, noon)
		s.By, s.Why = "ann", "because"
		d.commit(&payments.Changes{Settled: []payments.Settlement{s}})
		want := *d.letters()[i]
		l.Reason, l.Detail, l.Deliveries, l.LastAt = currencyMismatch, "refused again", 2, after(9)
		d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{l}})
		want.Reason, want.Detail, want.Deliveries, want.LastAt = currencyMismatch, "refused again", 3, after(9)
		want.Resolution, want.ResolvedAt, want.By, want.Why = "", time.Time{}, "", ""
		if got := d.letters()[i]; asText(got) != asText(&want) {
			t.Errorf("after %s and another refusal got\n%s, want\n%s", how, asText(got), asText(&want))
		}
	}
}

// decidedStaySettled checks that a redelivery does not open a dead letter that an operator
// accepted or discarded, and only raises its number of deliveries.
func decidedStaySettled(t *testing.T, d *db) {
	var want []*payments.DeadLetter
	for i, how := range []payments.Resolution{payments.Discarded, payments.Accepted} {
		l := letter(event(order(fmt.Sprint("e", i), 0, orderCreated), dead, conflict))
		s := settlement(l, how, after(1))
		s.By, s.Why = "ann", "the bank says so"
		d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{l}})
		d.commit(&payments.Changes{Settled: []payments.Settlement{s}})
		want = append(want, d.letters()[i])
	}
	first, second := *want[0], *want[1]
	for i, again := range []*payments.DeadLetter{&first, &second} {
		again.Reason, again.Detail, again.OrderID, again.DisputeID, again.Payload = futureTime, "again", "o2", "d2", []byte("again")
		again.CreatedAt, again.LastAt, again.Deliveries = after(9), after(10), int64(2+i)
		want[i].LastAt, want[i].Deliveries = after(10), int64(3+i)
	}
	other := letter(event(order("e2", 0, orderNone), dead, unknownStatus))
	d.commit(&payments.Changes{ // the rest of the commit is written
		Events:      []*payments.Event{event(order("e2", 0, orderNone), dead, unknownStatus)},
		DeadLetters: []*payments.DeadLetter{&first, other, &second},
		Settled:     []payments.Settlement{settlement(letter(event(order("e3", 0, orderCreated), dead, conflict)), payments.Reapplied, noon)},
	})
	letters := d.letters()
	if len(letters) != 3 || letters[2].Key != other.Key || len(d.events()) != 1 {
		t.Fatalf("got %d dead letters and %d events, want 3 and 1", len(letters), len(d.events()))
	}
	wantLetters(d, "after redeliveries of settled dead letters", want[0], want[1], letters[2])
}

// letterPages reads the dead letters of several selections in pages of several sizes.
func letterPages(t *testing.T, d *db) {
	reasons := []payrelayv1.DeadLetterReason{contradiction, conflict, futureTime}
	sources := []string{"a", "b", "B", "a%"}
	changes := new(payments.Changes)
	for i := range 60 {
		l := letter(event(order(fmt.Sprint("e", i), i, orderCreated, from(sources[i/2%4])), dead, reasons[i%3]))
		l.CreatedAt = after(i / 4)
		changes.DeadLetters = append(changes.DeadLetters, l)
	}
	d.commit(changes)
	settled := new(payments.Changes)
	for _, i := range []int{3, 4, 9, 29, 58, 59} {
		settled.Settled = append(settled.Settled, settlement(changes.DeadLetters[i], payments.Replayed, noon))
	}
	d.commit(settled)
	all := d.letters()
	for _, q := range []payments.DeadLetterQuery{
		{}, {Settled: true}, {Reasons: reasons[:1]}, {Reasons: reasons[:2]}, {Reasons: reasons[1:2], Settled: true}, {Reasons: []payrelayv1.DeadLetterReason{undecodable}},
		{Sources: sources[:1]}, {Sources: sources[1:3], Settled: true}, {Sources: []string{"A", "%", "absent"}},
		{From: after(3)}, {To: after(3)}, {From: after(3), To: after(9), Settled: true}, {From: after(3), To: after(3)},
		{From: after(2).Add(time.Microsecond), To: after(9).Add(time.Microsecond), Sources: sources[:2], Reasons: reasons[1:]},
	} {
		var want []int64
		for _, l := range all {
			if (q.Settled || l.Resolution == "") && among(q.Reasons, l.Reason) && among(q.Sources, l.Key.Source) && between(q.From, l.CreatedAt, q.To) {
				want = append(want, l.ID)
			}
		}
		for _, q.Limit = range []int{1, 7, payments.MaxPageSize} {
			if got := walkLetters(d, q); !slices.Equal(got, want) {
				t.Errorf("DeadLetters(%+v) = %v, want %v", q, got, want)
			}
		}
	}
}

// manyLetters stores dead letters with a few values in each field, some of them settled,
// and returns all.
func manyLetters(d *db) []*payments.DeadLetter {
	reasons := []payrelayv1.DeadLetterReason{contradiction, conflict, futureTime, undecodable}
	changes, settled := new(payments.Changes), new(payments.Changes)
	for i := range 120 {
		l := &payments.DeadLetter{
			Key:    payments.Key{Source: sourceOf(i), Kind: []payments.Kind{payments.KindOrder, payments.KindDispute, payments.KindNote, ""}[i/2%4], EventID: fmt.Sprint("Evt_", i)},
			Digest: payments.Digest{byte(i)}, Reason: reasons[i/3%4], Detail: []string{"100% Odd", `back\slash`, "\u00c9t\u00e9", "plain"}[i/5%4],
			OrderID: []string{"", "Order-1", "order-2", "o3"}[i/4%4], DisputeID: []string{"", "", "Dsp_1", "d2"}[i/7%4],
			Payload: []byte("odd"), CreatedAt: after(i / 4), LastAt: after(i / 4), Deliveries: 1,
		}
		if l.Key.Kind == "" { // it is not an update
			l.OrderID, l.DisputeID = "", ""
		}
		changes.DeadLetters = append(changes.DeadLetters, l)
		if i%3 == 0 {
			settled.Settled = append(settled.Settled, settlement(l, payments.Replayed, noon))
		}
	}
	d.commit(changes)
	d.commit(settled)
	return d.letters()
}

// lettersByID reads known, unknown and settled dead letters at once.
func lettersByID(t *testing.T, d *db) {
	all := manyLetters(d)
	want := []*payments.DeadLetter{all[0], all[7], all[119]}
	got, err := d.DeadLettersWith(t.Context(), []int64{all[119].ID, 1 << 40, all[0].ID, -1, all[7].ID})
	d.check(err)
	slices.SortFunc(got, func(a, b *payments.DeadLetter) int { return int(a.ID - b.ID) })
	if !slices.EqualFunc(got, want, func(a, b *payments.DeadLetter) bool { return asText(a) == asText(b) }) {
		t.Errorf("DeadLettersWith = %v, want %v", texts(got), texts(want))
	}
	if got, err := d.DeadLettersWith(t.Context(), nil); err != nil || len(got) > 0 {
		t.Errorf("DeadLettersWith no ids = %v, %v, want none", got, err)
	}
}

// oldestOpenLetter settles dead letters one by one. The one that was stored last is the
// oldest.
func oldestOpenLetter(t *testing.T, d *db) {
	want := func(want time.Time) {
		t.Helper()
		if got, err := d.OldestOpenDeadLetter(t.Context()); err != nil || !got.Equal(want) {
			t.Errorf("OldestOpenDeadLetter = %v, %v, want %v", got, err, want)
		}
	}
	want(time.Time{})
	var letters []*payments.DeadLetter
	for i, second := range []int{5, 7, 3} {
		l := letter(event(order(fmt.Sprint("e", i), 0, orderCreated), dead, conflict))
		l.CreatedAt = after(second)
		letters = append(letters, l)
	}
	d.commit(&payments.Changes{DeadLetters: letters})
	for _, i := range []int{2, 0, 1} {
		want(letters[i].CreatedAt)
		d.commit(&payments.Changes{Settled: []payments.Settlement{settlement(letters[i], payments.Replayed, noon)}})
	}
	want(time.Time{})
}

func walkLetters(d *db, q payments.DeadLetterQuery) (ids []int64) {
	d.t.Helper()
	for {
		page, err := d.DeadLetters(d.t.Context(), q)
		d.check(err)
		for _, l := range page {
			ids = append(ids, l.ID)
			if (len(l.Payload) > 0) != q.WithPayload {
				d.t.Errorf("DeadLetters(%+v) reads a payload of %d bytes", q, len(l.Payload))
			}
		}
		if len(page) > q.Limit {
			d.t.Errorf("got %d dead letters on a page, want at most %d", len(page), q.Limit)
		}
		if len(page) < q.Limit {
			return ids
		}
		q.AfterID = ids[len(ids)-1]
	}
}
