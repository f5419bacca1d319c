package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"google.golang.org/protobuf/proto"
)

// deadLettered records an update as a ledger would that refused it, for a reason that
// no longer applies.
func (d *db) deadLettered(u *payrelayv1.Update, reason payrelayv1.DeadLetterReason) int64 {
	d.t.Helper()
	e := event(u, dead, reason)
	l := letter(e)
	bare := proto.CloneOf(u)
	bare.RawBody = nil // the event has it
	l.Payload = marshal(d.t, bare)
	d.commit(&payments.Changes{Events: []*payments.Event{e}, DeadLetters: []*payments.DeadLetter{l}})
	letters := d.letters()
	return letters[len(letters)-1].ID
}

func marshal(t *testing.T, u *payrelayv1.Update) []byte {
	t.Helper()
	data, err := proto.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// replayFits replays updates that were refused for their time or status, and that fit
// into the history now: as the newest, as a late one, and as one that changes nothing.
// Each becomes part of the history, and its dead letter is settled.
func replayFits(t *testing.T, d *db) {
	d.apply(order("e2", 2, orderUpdated), order("e4", 4, orderUpdated))
	for i, test := range []struct {
		update *payrelayv1.Update
		reason payrelayv1.DeadLetterReason
		want   *payrelayv1.Outcome
	}{
		{order("newest", 5, orderUpdated, user("u1")), futureTime, verdict(applied)},
		{order("late", 1, orderCreated), unknownStatus, verdict(applied)},
		{order("nothing", 3, orderUpdated), unknownStatus, verdict(stale)},
		{dispute("dispute", 3, disputeOpen, disputeID("d1")), orderMismatch, verdict(applied)},
		{order("refuted", 9, orderCreated), futureTime, refused(illegal)},
	} {
		id := d.deadLettered(test.update, test.reason)
		if before := d.history("o1")["o1"]; len(before) != 2+i {
			t.Errorf("%s is in the history before its replay", test.update.GetEventId())
		}
		wantOutcomes(t, []*payrelayv1.Outcome{d.replay(id), d.verdictOf(test.update.GetEventId())}, test.want, test.want)
		d.reopen()
		wantHistoryOf(d, 3+i)
		l, err := d.DeadLetter(t.Context(), id)
		d.check(err)
		resolution := payments.Replayed
		if test.want.GetVerdict() == dead {
			resolution = ""
		}
		if l.Resolution != resolution || time.Since(l.ResolvedAt) > time.Minute && resolution != "" || l.Reason == futureTime && resolution == "" {
			t.Errorf("the dead letter of %s is %+v, want it %q", test.update.GetEventId(), l, resolution)
		}
		wantOutcomes(t, d.apply(test.update), verdict(duplicate))
	}
	if got := d.order("o1"); got.CreatedAt != after(1) || got.UpdatedAt != after(5) || got.UserID != "u1" || d.dispute("d1").OrderID != "o1" {
		t.Errorf("got the order %+v, want it with what was replayed", got)
	}
}

func wantHistoryOf(d *db, events int) {
	d.t.Helper()
	if got := len(d.history("o1")["o1"]); got != events {
		d.t.Errorf("got %d events in the history, want %d", got, events)
	}
}

// replaySchema replays an update of a schema that was too new. It becomes an event
// only now.
func replaySchema(t *testing.T, d *db) {
	u := order("e1", 0, orderCreated)
	l := &payments.DeadLetter{
		Key: keyOf(u), Digest: payments.Digest{1}, Reason: unknownSchema, Detail: "why not", Payload: marshal(t, u), CreatedAt: noon,
	}
	d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{l}})
	id := d.theLetter().ID
	wantOutcomes(t, []*payrelayv1.Outcome{d.replay(id)}, verdict(applied))
	if d.order("o1").Status != orderCreated || d.theLetter().Resolution != payments.Replayed || string(d.Body(t, keyOf(u))) != "generic e1" {
		t.Errorf("got the order %+v and the dead letter %+v, want created and replayed", d.order("o1"), d.theLetter())
	}
	wantOutcomes(t, []*payrelayv1.Outcome{d.replay(id)}, verdict(duplicate))
	if got := d.load(payments.Lookup{Keys: []payments.Key{keyOf(u)}}).Recorded[keyOf(u)].Digest; got != digestOf(u) {
		t.Errorf("the digest is %x, want %x", got, digestOf(u))
	}
}

// replayRefused replays what is refused again, which changes nothing.
func replayRefused(t *testing.T, d *db) {
	d.apply(order("e1", 0, orderSuccess, amount(1, "USD")), dispute("owner", 0, disputeOpen, of("o2"), disputeID("d2")))
	got := d.apply(
		order("e1", 0, orderFailed, body("another")), order("e2", 1, orderFailed), dispute("e3", 1, disputeOpen, amount(1, "EUR")),
		dispute("e4", 1, disputeOpen, disputeID("d2")), order("e5", 0, orderCreated, happened(time.Now().Add(48*time.Hour))),
		order("e6", 1, orderNone, word("new")),
	)
	want := []*payrelayv1.Outcome{
		refused(conflict), refused(illegal), refused(currencyMismatch), refused(orderMismatch), refused(futureTime), refused(unknownStatus),
	}
	wantOutcomes(t, got, want...)
	open := d.openLetters()
	if len(open) != len(want) {
		t.Fatalf("got %d dead letters, want %d", len(open), len(want))
	}
	before := d.shown()
	for _, l := range open {
		wantOutcomes(t, []*payrelayv1.Outcome{d.replay(l.ID)}, refused(l.Reason))
	}
	wantLines(t, "after replays", d.shown(), before)

	d.apply(order("e7", 1, orderCreated, schema(9)))
	d.check(payments.NewLedger(d.Store).DeadLetter(t.Context(), &payrelayv1.UndecodableRecord{Topic: "t", Value: []byte("garbage")}))
	before = d.shown()
	for _, l := range d.openLetters()[len(want):] {
		if outcome, err := payments.NewLedger(d.Store).Replay(t.Context(), l.ID); err == nil {
			t.Errorf("Replay of a dead letter for %v = %v, want an error", l.Reason, outcome)
		}
	}
	_, err := payments.NewLedger(d.Store).Replay(t.Context(), 1<<40)
	d.wantNotFound(err, "Replay")
	wantLines(t, "after impossible replays", d.shown(), before)
}

// shown returns everything but the time of dead letters, which a replay may renew.
func (d *db) shown() []string {
	lines := d.everything(payments.Lookup{OrderIDs: []string{"o1", "o2"}, DisputeIDs: []string{"o1", "d2"}})
	var letters []string
	for _, l := range d.letters() {
		letters = append(letters, fmt.Sprint(l.ID, l.Key, l.Reason, l.Resolution))
	}
	return append(selected(lines, func(line string) bool { return !strings.HasPrefix(line, "dead letter") }), letters...)
}
