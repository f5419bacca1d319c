package storetest

import (
	"errors"
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
	d.apply(order("e2", 2, orderUpdated), order("e4", 4, orderSuccess, amount(5, "USD")))
	events := 2
	for _, test := range []struct {
		update *payrelayv1.Update
		reason payrelayv1.DeadLetterReason
		want   *payrelayv1.Outcome
	}{
		{order("newest", 5, orderUpdated, user("u1")), futureTime, verdict(applied)},
		{order("late", 1, orderCreated), unknownStatus, verdict(applied)},
		{order("nothing", 3, orderUpdated), unknownStatus, verdict(stale)},
		{dispute("dispute", 3, disputeOpen, disputeID("d1")), futureTime, verdict(applied)},
		{order("contradicts", 9, orderFailed), futureTime, refused(contradiction)},
	} {
		id := d.deadLettered(test.update, test.reason)
		wantHistoryOf(d, events)
		wantOutcomes(t, []*payrelayv1.Outcome{d.replay(id), d.verdictOf(test.update.GetEventId())}, test.want, test.want)
		d.reopen()
		events++
		wantHistoryOf(d, events)
		l, err := d.DeadLetter(t.Context(), id)
		d.check(err)
		if test.want.GetVerdict() == dead {
			if l.Resolution != "" || l.Reason != contradiction || l.Deliveries != 2 {
				t.Errorf("the dead letter of %s is %+v, want it open for the new reason", test.update.GetEventId(), l)
			}
		} else if l.Resolution != payments.Replayed || l.By != "ann" || l.Why != "a test" || time.Since(l.ResolvedAt) > time.Minute {
			t.Errorf("the dead letter of %s is %+v, want it replayed now by ann", test.update.GetEventId(), l)
		}
		wantOutcomes(t, d.apply(test.update), verdict(duplicate))
	}
	if got := d.order("o1"); got.CreatedAt != after(1) || got.UpdatedAt != after(5) || got.UserID != "u1" || d.dispute("d1").OrderID != "o1" {
		t.Errorf("got the order %+v, want it with what was replayed", got)
	}
}

// wantHistoryOf checks the number of events in the histories of o1 and d1.
func wantHistoryOf(d *db, events int) {
	d.t.Helper()
	if got := len(d.history("o1")["o1"]) + len(d.disputeHistory(disputeKey("d1"))[disputeKey("d1")]); got != events {
		d.t.Errorf("got %d events in the histories, want %d", got, events)
	}
}

// replaySchema replays an update of a schema that was too new. It becomes an event
// only now.
func replaySchema(t *testing.T, d *db) {
	u := order("e1", 0, orderCreated)
	l := &payments.DeadLetter{
		Key: keyOf(u), Digest: payments.Digest{1}, Reason: unknownSchema, Detail: "why not", Payload: marshal(t, u), CreatedAt: noon, LastAt: noon, Deliveries: 1,
	}
	d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{l}})
	id := d.theLetter().ID
	wantOutcomes(t, []*payrelayv1.Outcome{d.replay(id)}, verdict(applied))
	if d.order("o1").Status != orderCreated || d.theLetter().Resolution != payments.Replayed || string(d.body(keyOf(u))) != "generic e1" {
		t.Errorf("got the order %+v and the dead letter %+v, want created and replayed", d.order("o1"), d.theLetter())
	}
	wantOutcomes(t, []*payrelayv1.Outcome{d.replay(id)}, verdict(duplicate))
	if got := d.load(payments.Lookup{Keys: []payments.Key{keyOf(u)}}).Recorded[keyOf(u)].Facts; got != payments.FactsDigest(u) {
		t.Errorf("the facts are %x, want %x", got, payments.FactsDigest(u))
	}
}

// replayRefused replays dead letters that are refused again, which changes nothing.
func replayRefused(t *testing.T, d *db) {
	d.apply(order("e1", 0, orderSuccess, amount(1, "USD")), dispute("owner", 0, disputeLost, of("o2"), disputeID("d2")))
	got := d.apply(
		order("e1", 0, orderFailed), order("e2", 1, orderFailed), order("e3", 1, orderUpdated, amount(1, "EUR")),
		dispute("e4", 1, disputeOpen, disputeID("d2")), order("e5", 0, orderCreated, happened(time.Now().Add(48*time.Hour))),
		order("e6", 1, orderNone, word("new")), dispute("e7", 0, disputeWon, of("o2"), disputeID("d2")),
	)
	want := []*payrelayv1.Outcome{
		refused(conflict), refused(contradiction), refused(currencyMismatch), refused(orderMismatch), refused(futureTime), refused(unknownStatus), refused(contradiction),
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

	d.apply(order("e8", 1, orderCreated, schema(9)))
	d.check(payments.NewLedger(d.Store).DeadLetter(t.Context(), &payrelayv1.UndecodableRecord{Topic: "t", Value: []byte("garbage")}))
	before = d.shown()
	for _, l := range d.openLetters()[len(want):] {
		if outcome, err := decideOne(t.Context(), d.Store, l.ID, payments.Replayed, "ann", "a test"); err == nil {
			t.Errorf("Replay of a dead letter for %v = %v, want an error", l.Reason, outcome)
		}
	}
	_, err := decideOne(t.Context(), d.Store, 1<<40, payments.Replayed, "ann", "a test")
	d.wantNotFound(err, "Replay")
	wantLines(t, "after impossible replays", d.shown(), before)
}

// shown returns everything except the audit log, and the times and deliveries of dead letters, which a replay
// may change.
func (d *db) shown() []string {
	lines := d.everything(payments.Lookup{Subjects: payments.Subjects{Orders: []string{"o1", "o2"}, Disputes: disputeKeys("o1", "d2")}})
	var letters []string
	for _, l := range d.letters() {
		letters = append(letters, fmt.Sprint(l.ID, l.Key, l.Reason, l.Resolution))
	}
	lines = selected(lines, func(line string) bool {
		return !strings.HasPrefix(line, "dead letter") && !strings.HasPrefix(line, "payments.AuditEntry") && !isAggregate(line)
	})
	return append(lines, letters...)
}

// isAggregate reports whether a line is of an aggregate, whose version may rise.
func isAggregate(line string) bool {
	return strings.HasPrefix(line, "order {") || strings.HasPrefix(line, "dispute {")
}

// operators accept, discard and replay dead letters of each kind.
func operators(t *testing.T, d *db) {
	d.apply(order("e1", 0, orderSuccess, amount(5, "USD")), dispute("c1", 0, disputeLost, disputeID("d1")))
	d.apply(
		order("e2", 1, orderFailed, user("discarded")), order("e3", 2, orderFailed, user("accepted")),
		dispute("c2", 0, disputeWon, disputeID("d1"), user("accepted")),
		order("e1", 3, orderFailed, user("conflict")), order("e4", 0, orderNone, word("new")),
		order("e5", 0, orderUpdated, happened(time.Now().Add(48*time.Hour)), user("future")),
	)
	letters := make(map[string]*payments.DeadLetter)
	for _, l := range d.openLetters() {
		letters[l.Key.EventID] = l
	}
	if len(letters) != 6 {
		t.Fatalf("got %d dead letters, want 6", len(letters))
	}

	d.discard(letters["e2"].ID)
	d.wantJudged("e2", refused(contradiction), false, true)
	if a := d.aggregate("o1"); a.Version != 3 || a.Head.EventID != "e3" {
		t.Errorf("after a discard got %+v, want version 3 and the head e3", a)
	}
	wantOutcomes(t, []*payrelayv1.Outcome{d.accept(letters["e3"].ID)}, verdict(applied))
	d.wantJudged("e3", verdict(applied), true, false)
	wantOutcomes(t, []*payrelayv1.Outcome{d.accept(letters["c2"].ID)}, verdict(applied))
	d.reopen()
	if o, c := d.order("o1"), d.dispute("d1"); o.Status != orderFailed || o.UserID != "accepted" || c.Status != disputeWon || c.UserID != "accepted" {
		t.Errorf("after two were accepted got %+v and %+v, want failed and won", o, c)
	}
	wantOutcomes(t, []*payrelayv1.Outcome{d.accept(letters["e1"].ID), d.accept(letters["e4"].ID), d.accept(letters["e5"].ID)},
		verdict(applied), refused(unknownStatus), verdict(applied))
	d.discard(letters["e4"].ID)
	d.wantJudged("e4", refused(unknownStatus), false, true)
	d.wantJudged("e5", verdict(applied), true, false)
	if o := d.order("o1"); o.UserID != "future" || len(d.events()) != 8 {
		t.Errorf("after those outside of the history were accepted got %+v and %d events, want the user of the last and 8", o, len(d.events()))
	}
	want := map[string]payments.Resolution{
		"e1": payments.Accepted, "e2": payments.Discarded, "e3": payments.Accepted, "c2": payments.Accepted, "e4": payments.Discarded, "e5": payments.Accepted,
	}
	for id, l := range letters {
		got, err := d.DeadLetter(t.Context(), l.ID)
		d.check(err)
		if got.Resolution != want[id] || got.By != "ann" || got.Why != "a test" || time.Since(got.ResolvedAt) > time.Minute {
			t.Errorf("the dead letter of %s is %+v, want it %q by ann", id, got, want[id])
		}
	}
	d.discard(letters["e2"].ID) // once more does nothing
	for _, id := range []string{"e2", "e3"} {
		if _, err := decideOne(t.Context(), d.Store, letters[id].ID, payments.Accepted, "bob", ""); !errors.Is(err, payments.ErrSettled) {
			t.Errorf("Accept of %s, which is settled = %v, want ErrSettled", id, err)
		}
	}
	_, err := decideOne(t.Context(), d.Store, 1<<40, payments.Discarded, "ann", "")
	d.wantNotFound(err, "Discard")
}

// wantJudged checks how an event of an order is recorded.
func (d *db) wantJudged(eventID string, want *payrelayv1.Outcome, forced, discarded bool) {
	d.t.Helper()
	for _, e := range d.events() {
		if e.Key != orderKey(eventID) {
			continue
		}
		if e.Verdict != want.GetVerdict() || e.Reason != want.GetReason() || e.Forced != forced || e.Discarded != discarded {
			d.t.Errorf("event %s, want %v, forced %v, discarded %v", eventLine(&e.Event), want, forced, discarded)
		}
		recorded := d.load(payments.Lookup{Keys: []payments.Key{e.Key}}).Recorded[e.Key]
		if recorded.InHistory != e.InHistory() {
			d.t.Errorf("event %v is recorded as %+v, want the facts and the state of the event", e.Key, recorded)
		}
		return
	}
	d.t.Errorf("event %s is not recorded", eventID)
}

// discardedNeverReturn checks that a redelivery, an update that would make it legal, and
// newer rules do not return a discarded event to the history.
func discardedNeverReturn(t *testing.T, d *db) {
	gone, goneToo := order("e30", 30, orderFailed, user("gone")), dispute("c2", 0, disputeWon, user("gone"))
	d.apply(order("e10", 10, orderSuccess), gone, dispute("c1", 0, disputeLost), goneToo)
	for _, l := range d.openLetters() {
		d.discard(l.ID)
	}
	check := func(when string) {
		t.Helper()
		d.reopen()
		d.wantJudged("e30", refused(contradiction), false, true)
		if o, c := d.order("o1"), d.dispute("o1"); o.UserID != "" || c.UserID != "" || c.Status != disputeLost {
			t.Errorf("%s got %+v and %+v, want nothing of what was discarded", when, o, c)
		}
		if open := d.openLetters(); len(open) != 0 {
			t.Errorf("%s %d dead letters are open, want none", when, len(open))
		}
		for _, id := range eventIDs(append(d.history("o1")["o1"], d.disputeHistory(disputeKey("o1"))[disputeKey("o1")]...)) {
			if id == "e30" || id == "c2" {
				t.Errorf("%s event %s is in the history", when, id)
			}
		}
	}
	check("after the discard")
	if a, c := d.aggregate("o1"), d.disputeAggregate(disputeKey("o1")); a.Version != 2 || c.Version != 2 || a.Head.EventID != "e10" || c.Head.EventID != "c1" {
		t.Errorf("after the discard loaded %+v and %+v, want version 2 without the discarded heads", a, c)
	}
	wantOutcomes(t, d.apply(gone, goneToo), verdict(duplicate), verdict(duplicate))
	check("after the same came again")
	d.apply(order("e20", 20, orderReversed), order("e5", 5, orderCreated), dispute("c0", -5, disputeOpen))
	check("after what makes it legal")
	old, oldDispute := *d.aggregate("o1"), *d.disputeAggregate(disputeKey("o1"))
	old.Rules, oldDispute.Rules = 1, 1
	d.commit(&payments.Changes{Orders: []*storedOrder{&old}, Disputes: []*storedDispute{&oldDispute}})
	wantOutcomes(t, d.apply(order("e40", 40, orderReversed), dispute("c3", 9, disputeLost)), verdict(applied), verdict(applied))
	check("after newer rules")
	if a, c := d.aggregate("o1"), d.disputeAggregate(disputeKey("o1")); a.Rules != payments.Rules || c.Rules != payments.Rules {
		t.Errorf("the rules are %d and %d, want %d", a.Rules, c.Rules, payments.Rules)
	}
}

// manyDecisions decides about many dead letters at once, first dry and then for good.
func manyDecisions(t *testing.T, d *db) {
	var updates []*payrelayv1.Update
	subjects := payments.Subjects{}
	for i := range 300 {
		id := fmt.Sprint("o", i)
		subjects.Orders = append(subjects.Orders, id)
		updates = append(updates, order(fmt.Sprint("paid", i), 0, orderSuccess, of(id), amount(1, "USD")), order(fmt.Sprint("failed", i), 1, orderFailed, of(id)))
	}
	d.apply(updates...)
	letters := d.openLetters()
	if len(letters) != 300 {
		t.Fatalf("got %d dead letters, want 300", len(letters))
	}
	ids := make([]int64, len(letters))
	for i, l := range letters {
		ids[i] = l.ID
	}
	before := d.everything(payments.Lookup{Subjects: subjects})
	dry, err := payments.NewLedger(d.Store).Decide(t.Context(), ids, payments.Decision{Resolution: payments.Accepted, Dry: true})
	d.check(err)
	for _, r := range dry {
		if r.Err != nil || r.Outcome.GetVerdict() != applied {
			t.Errorf("a dry accept = %+v, want applied", r)
		}
	}
	wantLines(t, "after a dry decision", d.everything(payments.Lookup{Subjects: subjects}), before)
	if page, err := d.Audit(t.Context(), payments.AuditQuery{Page: whole}); err != nil || len(page.Items) != 0 {
		t.Errorf("the audit log of a dry decision = %+v, %v, want none", page.Items, err)
	}

	if n := d.decide(payments.Accepted, letters...); n != 300 {
		t.Errorf("%d are accepted, want 300", n)
	}
	if open := d.openLetters(); len(open) != 0 || d.order("o7").Status != orderFailed {
		t.Errorf("got %d open dead letters and %v, want none and failed", len(open), d.order("o7").Status)
	}
	entries := 0
	for q := (payments.AuditQuery{Page: whole}); ; {
		page, err := d.Audit(t.Context(), q)
		d.check(err)
		for _, e := range page.Items {
			if entries++; e.Action != payments.ActionAccept || e.After != "accepted: applied; order failed" || e.Who != "ann" {
				t.Errorf("audit entry %+v, want an accept by ann", e)
			}
			q.Page.After = &payments.Cursor{Sequence: e.ID}
		}
		if !page.More {
			break
		}
	}
	if entries != 300 {
		t.Errorf("got %d audit entries, want 300", entries)
	}
	if n := d.decide(payments.Accepted, letters...); n != 0 {
		t.Errorf("%d are accepted twice, want none", n)
	}
}
