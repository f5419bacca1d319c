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
	resolutions := []payments.Resolution{"", payments.Reapplied, payments.Replayed, payments.Discarded}
	changes, settled := new(payments.Changes), new(payments.Changes)
	var want []*payments.DeadLetter
	for i := range 4 * (len(payrelayv1.DeadLetterReason_name) - 1) {
		l := &payments.DeadLetter{
			Key: payments.Key{Provider: "webhooks.orders/3", EventID: fmt.Sprint(i)}, Digest: payments.Digest{byte(i), 31: 0xff},
			Reason: payrelayv1.DeadLetterReason(1 + i/4), Detail: "a word: \u20ac \"'\\%", Payload: payloads[(i+i/4)%4], CreatedAt: cycled(i),
		}
		if i%3 > 0 {
			l.OrderID, l.DisputeID = "o1", []string{"", "d1"}[i%2]
		}
		if i == 0 {
			l.Key = payments.Key{} // that of an update whose key no store can keep
		}
		changes.DeadLetters = append(changes.DeadLetters, l)
		kept := *l
		if how := resolutions[i%4]; how != "" {
			kept.Resolution, kept.ResolvedAt = how, cycled(i+1)
			settled.Settled = append(settled.Settled, settlement(l, how, kept.ResolvedAt))
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

func lettersByKeyAndDigest(t *testing.T, d *db) {
	base := letter(event(order("e1", 0, orderCreated), dead, conflict))
	otherBody, otherProvider, otherEvent, again := *base, *base, *base, *base
	otherBody.Digest[31]++
	otherProvider.Key.Provider, otherEvent.Key.EventID = "other", "e2"
	d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{base, &otherBody, &otherProvider, &otherEvent}})
	before := d.letters()
	if len(before) != 4 {
		t.Fatalf("got %d dead letters, want 4", len(before))
	}
	again.Reason, again.Detail = futureTime, "another reason"
	d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{&again}})
	letters := d.letters()
	if len(letters) != 4 || letters[0].ID != before[0].ID || letters[0].Reason != futureTime || letters[0].Detail != again.Detail {
		t.Errorf("after the same dead letter came again got %d, the first %+v, want 4 and the first with the new reason", len(letters), letters[0])
	}
	for i := range letters[1:] {
		if asText(letters[1+i]) != asText(before[1+i]) {
			t.Errorf("another dead letter became %+v, want no change", letters[1+i])
		}
	}
}

func settledOnce(t *testing.T, d *db) {
	e := event(order("e1", 0, orderCreated), dead, illegal)
	other := letter(event(order("e2", 0, orderCreated), dead, illegal))
	d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{letter(e), other}})
	otherDigest := settlement(other, payments.Reapplied, after(1))
	otherDigest.Digest[0]++
	d.commit(&payments.Changes{Settled: []payments.Settlement{settlement(letter(e), payments.Reapplied, after(1)), otherDigest}})
	d.commit(&payments.Changes{Settled: []payments.Settlement{settlement(letter(e), payments.Replayed, after(2))}})
	letters := d.letters()
	if l := letters[0]; l.Resolution != payments.Reapplied || !l.ResolvedAt.Equal(after(1)) {
		t.Errorf("the resolution is %q at %v, want reapplied at %v", l.Resolution, l.ResolvedAt, after(1))
	}
	if letters[1].Resolution != "" || len(letters) != 2 {
		t.Errorf("after a settlement of another digest got %s, want it open", asText(letters[1]))
	}
}

func openAgain(t *testing.T, d *db) {
	for i, how := range []payments.Resolution{payments.Reapplied, payments.Replayed} {
		l := letter(event(order(fmt.Sprint("e", i), 0, orderCreated), dead, illegal))
		d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{l}})
		d.commit(&payments.Changes{Settled: []payments.Settlement{settlement(l, how, noon)}})
		first := d.letters()[i]
		l.Reason, l.Detail = currencyMismatch, "refused again"
		d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{l}})
		got := d.letters()[i]
		if got.ID != first.ID || got.Resolution != "" || !got.ResolvedAt.IsZero() || got.Reason != currencyMismatch || got.Detail != "refused again" {
			t.Errorf("after %s and another refusal got %+v, want it open for the new reason", how, got)
		}
	}
}

// discardedStaySo checks that the decision of an operator lasts when the provider sends
// the same again, or a record is read again.
func discardedStaySo(t *testing.T, d *db) {
	l := letter(event(order("e1", 0, orderCreated), dead, conflict))
	d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{l}})
	d.check(d.Discard(t.Context(), d.theLetter().ID, noon))
	before := asText(d.theLetter())

	again, other := *l, letter(event(order("e2", 0, orderNone), dead, unknownStatus))
	again.Reason, again.Detail, again.CreatedAt = futureTime, "again", after(9)
	d.commit(&payments.Changes{ // the rest of the commit is written
		Events:      []*payments.Event{event(order("e2", 0, orderNone), dead, unknownStatus)},
		DeadLetters: []*payments.DeadLetter{&again, other},
		Settled:     []payments.Settlement{settlement(letter(event(order("e3", 0, orderCreated), dead, conflict)), payments.Reapplied, noon)},
	})
	letters := d.letters()
	if len(letters) != 2 || asText(letters[0]) != before || letters[1].Key != other.Key || len(d.events()) != 1 {
		t.Errorf("got %d dead letters, the first\n%s, want 2, the first as before\n%s", len(letters), asText(letters[0]), before)
	}
}

// settledAfterDiscard checks that a dead letter does not contradict the state. The
// state is the fold of the history: an update that fits in by now is applied although
// an operator had discarded it.
func settledAfterDiscard(t *testing.T, d *db) {
	discardAll := func() {
		for _, l := range d.openLetters() {
			d.check(d.Discard(t.Context(), l.ID, noon))
		}
		d.reopen()
	}
	d.apply(order("success5", 5, orderSuccess), order("failed3", 3, orderFailed))
	discardAll()
	wantOutcomes(t, d.apply(order("success2", 2, orderSuccess)), verdict(applied))
	wantOutcomes(t, []*payrelayv1.Outcome{d.verdictOf("success5")}, verdict(applied))
	if l := d.letters()[0]; l.Key.EventID != "success5" || l.Resolution != payments.Reapplied || time.Since(l.ResolvedAt) > time.Minute {
		t.Errorf("the dead letter of the update that was applied is %+v, want it reapplied now", l)
	}

	// It is refused again, and the operator decides again.
	wantOutcomes(t, d.apply(order("failed1", 1, orderFailed)), verdict(applied))
	if l := d.letters()[0]; l.Key.EventID != "success5" || l.Resolution != "" {
		t.Errorf("the dead letter of the update that is refused again is %+v, want it open", l)
	}

	id := d.deadLettered(order("replayed", 0, orderCreated, of("o2")), futureTime)
	discardAll()
	wantOutcomes(t, []*payrelayv1.Outcome{d.replay(id)}, verdict(applied))
	l, err := d.DeadLetter(t.Context(), id)
	d.check(err)
	if l.Resolution != payments.Replayed || time.Since(l.ResolvedAt) > time.Minute {
		t.Errorf("the dead letter of the update that was replayed is %+v, want it replayed now", l)
	}
}

func discard(t *testing.T, d *db) {
	open := letter(event(order("e1", 0, orderCreated), dead, illegal))
	settled := letter(event(order("e2", 0, orderCreated), dead, illegal))
	bystander := letter(event(order("e3", 0, orderCreated), dead, illegal))
	d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{open, settled, bystander}})
	d.commit(&payments.Changes{Settled: []payments.Settlement{settlement(settled, payments.Reapplied, noon)}})
	before := d.letters()

	for range 2 {
		d.check(d.Discard(t.Context(), before[0].ID, after(5)))
		d.reopen()
	}
	d.check(d.Discard(t.Context(), before[0].ID, after(6))) // it was discarded before that
	if l := d.letters()[0]; l.Resolution != payments.Discarded || !l.ResolvedAt.Equal(after(5)) {
		t.Errorf("the resolution is %q at %v, want discarded at %v", l.Resolution, l.ResolvedAt, after(5))
	}
	err := d.Discard(t.Context(), before[1].ID, after(5))
	if err == nil || errors.Is(err, payments.ErrNotFound) || !strings.Contains(err.Error(), string(payments.Reapplied)) {
		t.Errorf("Discard = %v, want the error that it was reapplied", err)
	}
	d.wantNotFound(d.Discard(t.Context(), before[2].ID+1, after(5)), "Discard")
	if l := d.letters(); asText(l[1]) != asText(before[1]) || asText(l[2]) != asText(before[2]) {
		t.Errorf("other dead letters became %+v and %+v, want no change", l[1], l[2])
	}
}

// letterPages reads the dead letters of several selections in pages of several sizes.
func letterPages(t *testing.T, d *db) {
	reasons := []payrelayv1.DeadLetterReason{illegal, conflict, futureTime}
	changes := new(payments.Changes)
	for i := range 30 {
		changes.DeadLetters = append(changes.DeadLetters, letter(event(order(fmt.Sprint("e", i), i, orderCreated), dead, reasons[i%3])))
	}
	d.commit(changes)
	settled := new(payments.Changes)
	for _, i := range []int{3, 4, 9, 29} {
		settled.Settled = append(settled.Settled, settlement(changes.DeadLetters[i], payments.Replayed, noon))
	}
	d.commit(settled)
	all := d.letters()
	for _, q := range []payments.DeadLetterQuery{
		{}, {Settled: true}, {Reasons: reasons[:1]}, {Reasons: reasons[:2]}, {Reasons: reasons[1:2], Settled: true}, {Reasons: []payrelayv1.DeadLetterReason{undecodable}},
	} {
		var want []int64
		for _, l := range all {
			if (q.Settled || l.Resolution == "") && (q.Reasons == nil || slices.Contains(q.Reasons, l.Reason)) {
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

func walkLetters(d *db, q payments.DeadLetterQuery) (ids []int64) {
	d.t.Helper()
	for {
		page, err := d.DeadLetters(d.t.Context(), q)
		d.check(err)
		for _, l := range page {
			ids = append(ids, l.ID)
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
