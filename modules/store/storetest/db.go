package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// db is a database with a handle on it. Its methods end the test if a call fails.
type db struct {
	Engine
	Store
	t *testing.T
}

// check ends the test on an error.
func (d *db) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// reopen closes the handle and opens another, as a process does that restarts.
func (d *db) reopen() {
	d.t.Helper()
	d.check(d.Close())
	d.Store = d.Open(d.t)
}

// apply applies one batch with a new ledger, which is allowed because ledgers keep
// nothing in memory.
func (d *db) apply(updates ...*payrelayv1.Update) []*payrelayv1.Outcome {
	d.t.Helper()
	outcomes, err := payments.NewLedger(d.Store).Apply(d.t.Context(), updates)
	d.check(err)
	return outcomes
}

func (d *db) replay(id int64) *payrelayv1.Outcome {
	d.t.Helper()
	outcome, err := decideOne(d.t.Context(), d.Store, id, payments.Replayed, "ann", "a test")
	d.check(err)
	return outcome
}

func (d *db) accept(id int64) *payrelayv1.Outcome {
	d.t.Helper()
	outcome, err := decideOne(d.t.Context(), d.Store, id, payments.Accepted, "ann", "a test")
	d.check(err)
	return outcome
}

func (d *db) discard(id int64) {
	d.t.Helper()
	_, err := decideOne(d.t.Context(), d.Store, id, payments.Discarded, "ann", "a test")
	d.check(err)
}

// decideOne carries out a decision about one dead letter.
func decideOne(ctx context.Context, store payments.Store, id int64, how payments.Resolution, by, why string) (*payrelayv1.Outcome, error) {
	results, err := payments.NewLedger(store).Decide(ctx, []int64{id}, payments.Decision{Resolution: how, By: by, Why: why})
	if err != nil {
		return nil, err
	}
	return results[0].Outcome, results[0].Err
}

// decide carries out a decision about dead letters at once. It returns the number of those
// that were not settled by another of them.
func (d *db) decide(how payments.Resolution, letters ...*payments.DeadLetter) (decided int) {
	d.t.Helper()
	ids := make([]int64, len(letters))
	for i, l := range letters {
		ids[i] = l.ID
	}
	results, err := payments.NewLedger(d.Store).Decide(d.t.Context(), ids, payments.Decision{Resolution: how, By: "ann", Why: "a test"})
	d.check(err)
	for _, r := range results {
		switch {
		case r.Err == nil:
			decided++
		case !errors.Is(r.Err, payments.ErrSettled):
			d.t.Errorf("%s of dead letter %d = %v, want no error but ErrSettled", how, r.ID, r.Err)
		}
	}
	return decided
}

func (d *db) commit(changes *payments.Changes) {
	d.t.Helper()
	d.check(d.Commit(d.t.Context(), changes))
}

func (d *db) load(lookup payments.Lookup) *payments.Snapshot {
	d.t.Helper()
	snapshot, err := d.Load(d.t.Context(), lookup)
	d.check(err)
	return snapshot
}

type (
	storedOrder   = payments.Aggregate[payments.Order]
	storedDispute = payments.Aggregate[payments.Dispute]
)

// aggregate returns a stored order.
func (d *db) aggregate(id string) *storedOrder {
	d.t.Helper()
	a := d.load(payments.Lookup{Subjects: payments.Subjects{Orders: []string{id}}}).Orders[id]
	if a == nil {
		d.t.Fatalf("order %s is not stored", id)
	}
	return a
}

// disputeAggregate returns a stored dispute.
func (d *db) disputeAggregate(key payments.DisputeKey) *storedDispute {
	d.t.Helper()
	a := d.load(payments.Lookup{Subjects: payments.Subjects{Disputes: []payments.DisputeKey{key}}}).Disputes[key]
	if a == nil {
		d.t.Fatalf("dispute %v is not stored", key)
	}
	return a
}

func (d *db) order(id string) payments.Order {
	d.t.Helper()
	o, err := d.Order(d.t.Context(), id)
	d.check(err)
	return o
}

// dispute returns a dispute of the source "generic".
func (d *db) dispute(id string) payments.Dispute {
	d.t.Helper()
	state, err := d.Dispute(d.t.Context(), disputeKey(id))
	d.check(err)
	return state
}

// unlimited is a limit that no history of the tests reaches.
const unlimited = 1 << 20

func (d *db) history(orderIDs ...string) map[string][]*payments.Event {
	d.t.Helper()
	read, err := d.History(d.t.Context(), payments.Subjects{Orders: orderIDs}, unlimited)
	d.check(err)
	if len(read.Disputes) != 0 {
		d.t.Errorf("the history of orders has the disputes %v, want none", read.Disputes)
	}
	return read.Orders
}

// disputeHistory returns the histories of disputes.
func (d *db) disputeHistory(keys ...payments.DisputeKey) map[payments.DisputeKey][]*payments.Event {
	d.t.Helper()
	read, err := d.History(d.t.Context(), payments.Subjects{Disputes: keys}, unlimited)
	d.check(err)
	if len(read.Orders) != 0 {
		d.t.Errorf("the history of disputes has the orders %v, want none", read.Orders)
	}
	return read.Disputes
}

// whole requests one page that is large enough for all items of the tests.
var whole = payments.PageRequest{Ascending: true, Limit: payments.MaxPageSize}

// events returns all events, those of orders first, each kind by its sequence.
func (d *db) events() []payments.RecordedEvent {
	d.t.Helper()
	var all []payments.RecordedEvent
	for _, ofDisputes := range []bool{false, true} {
		q := payments.EventQuery{Disputes: ofDisputes, Page: whole}
		for more := true; more; {
			page, err := d.Events(d.t.Context(), q)
			d.check(err)
			all, more = append(all, page.Items...), page.More
			if more {
				q.Page.After = &payments.Cursor{Sequence: all[len(all)-1].Sequence}
			}
		}
	}
	return all
}

// body returns the body of an event.
func (d *db) body(key payments.Key) []byte {
	d.t.Helper()
	data, _, err := d.Body(d.t.Context(), key)
	d.check(err)
	return data
}

// verdictOf returns the verdict with which an event is recorded.
func (d *db) verdictOf(eventID string) *payrelayv1.Outcome {
	d.t.Helper()
	for _, e := range d.events() {
		if e.Key.EventID == eventID {
			return &payrelayv1.Outcome{Verdict: e.Verdict, Reason: e.Reason}
		}
	}
	d.t.Fatalf("event %s is not recorded", eventID)
	return nil
}

// letters returns all dead letters, including settled ones.
func (d *db) letters() []*payments.DeadLetter {
	d.t.Helper()
	return d.lettersAfter(0)
}

// lettersAfter returns all dead letters after an id.
func (d *db) lettersAfter(id int64) (all []*payments.DeadLetter) {
	d.t.Helper()
	q := payments.DeadLetterQuery{Settled: true, AfterID: id, Limit: payments.MaxPageSize, WithPayload: true}
	for {
		page, err := d.DeadLetters(d.t.Context(), q)
		d.check(err)
		if all = append(all, page...); len(page) < q.Limit {
			return all
		}
		q.AfterID = page[len(page)-1].ID
	}
}

func (d *db) openLetters() []*payments.DeadLetter {
	d.t.Helper()
	return slices.DeleteFunc(d.letters(), func(l *payments.DeadLetter) bool { return l.Resolution != "" })
}

// theLetter returns the only dead letter.
func (d *db) theLetter() *payments.DeadLetter {
	d.t.Helper()
	letters := d.letters()
	if len(letters) != 1 {
		d.t.Fatalf("got %d dead letters, want 1", len(letters))
	}
	return letters[0]
}

func (d *db) wantNotFound(err error, what string) {
	d.t.Helper()
	if !errors.Is(err, payments.ErrNotFound) {
		d.t.Errorf("%s = %v, want ErrNotFound", what, err)
	}
}

// everything returns what the store returns for a lookup and everything that it lists,
// one line for each row.
func (d *db) everything(lookup payments.Lookup) []string {
	d.t.Helper()
	snapshot := d.load(lookup)
	lines := []string{fmt.Sprint("recorded ", snapshot.Recorded)}
	for _, a := range snapshot.Orders {
		lines = append(lines, fmt.Sprintf("order %+v", *a))
	}
	for _, a := range snapshot.Disputes {
		lines = append(lines, fmt.Sprintf("dispute %+v", *a))
	}
	for _, events := range d.disputeHistory(lookup.Disputes...) {
		for _, e := range events {
			lines = append(lines, eventLine(e))
		}
	}
	for _, id := range lookup.Orders {
		for _, e := range d.history(id)[id] {
			lines = append(lines, eventLine(e))
		}
	}
	orders, err := d.Orders(d.t.Context(), payments.OrderQuery{Page: whole})
	d.check(err)
	disputes, err := d.Disputes(d.t.Context(), payments.DisputeQuery{Page: whole})
	d.check(err)
	lines = slices.Concat(lines, texts(orders.Items), texts(disputes.Items))
	for _, e := range d.events() {
		lines = append(lines, fmt.Sprintf("recorded %d %s", e.Sequence, eventLine(&e.Event)))
	}
	for _, l := range d.letters() {
		lines = append(lines, fmt.Sprintf("dead letter %+v", *l))
	}
	audit, err := d.Audit(d.t.Context(), payments.AuditQuery{Page: whole})
	d.check(err)
	lines = append(lines, texts(audit.Items)...)
	slices.Sort(lines)
	return lines
}

func eventLine(e *payments.Event) string {
	return fmt.Sprintf("event %v %x %v %v forced=%v discarded=%v %v %v", e.Key, e.Facts, e.Verdict, e.Reason, e.Forced, e.Discarded, e.RecordedAt, e.Update)
}

func texts[T any](items []T) []string {
	lines := make([]string, len(items))
	for i, item := range items {
		lines[i] = fmt.Sprintf("%T %+v", item, item)
	}
	return lines
}

// wantLines reports the lines that are missing and those that are too many. If there
// are neither, their order is wrong.
func wantLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	t.Errorf("%s: got %d lines, want %d in this order", what, len(got), len(want))
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("missing: %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("too many: %s", line)
		}
	}
}
