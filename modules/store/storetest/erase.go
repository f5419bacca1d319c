package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store"
	"github.com/payrelay/payrelay/modules/store/retention"
)

// jane is the user id to erase.
const jane = "jane-doe"

// janes fills a database with what there can be about a person, and about another one
// in the order "other". It returns the updates that were recorded as events.
func janes(d *db) (recorded []*payrelayv1.Update, kept *payrelayv1.Update) {
	recorded = []*payrelayv1.Update{
		order("e1", 1, orderCreated, user(jane), amount(700, "EUR")),
		order("e2", 2, orderSuccess), // without a user
		dispute("e3", 3, disputeOpen, disputeID("d1"), user(jane)),
		note("e4", 4, "jane doe called"),
		dispute("e5", 5, disputeOpen, disputeID("d2")),
		order("e6", 6, orderUpdated, of("o2"), user(jane)),
	}
	kept = order("e7", 7, orderCreated, of("other"), user("another"))
	for _, u := range append(recorded, kept) {
		wantOutcomes(d.t, d.apply(u), verdict(applied))
	}
	// One has its event, one holds its body, and one is no event at all.
	failed := order("e8", 8, orderFailed, user(jane))
	wantOutcomes(d.t, d.apply(failed, order("e2", 2, orderFailed, user(jane), body("jane")), order("e9", 9, orderCreated, user(jane), schema(99))),
		refused(contradiction), refused(conflict), refused(unknownSchema))
	return append(recorded, failed), kept
}

func (d *db) erase(r retention.Request) (erased retention.Erased) {
	d.t.Helper()
	d.maintain(func(s retention.Session) {
		var err error
		erased, err = retention.Erase(d.t.Context(), s, r)
		d.check(err)
	})
	return erased
}

// withoutJane checks that nothing is left of the person.
func (d *db) withoutJane(kept *payrelayv1.Update) {
	d.t.Helper()
	for _, line := range d.everything(d.all()) {
		if strings.Contains(line, jane) || strings.Contains(line, "jane") {
			d.t.Errorf("the database has %s", line)
		}
	}
	for _, l := range d.letters() {
		if strings.Contains(string(l.Payload), "jane") || strings.Contains(string(l.Payload), "generic e") {
			d.t.Errorf("the payload of dead letter %d is %q", l.ID, l.Payload)
		}
	}
	d.wantBodies(kept)
}

func eraseAPerson(t *testing.T, d *db) {
	recorded, kept := janes(d)
	touched := []payments.Subject{{Order: "o1"}, {Dispute: disputeKey("d1")}}
	for _, of := range append(touched, payments.Subject{Order: "not of jane"}) {
		c := &payments.Checkpoints{Of: of, New: []payments.Checkpoint{{Before: after(0), State: jane, Rules: 1}}}
		d.commit(&payments.Changes{Checkpoints: []*payments.Checkpoints{c}})
	}
	before, states := d.everything(d.all()), d.states()
	request := retention.Request{UserID: jane, By: "ann", Why: "she asked", DryRun: true}
	would := d.erase(request)
	wantLines(t, "after a dry run", d.everything(d.all()), before)
	want := retention.Erased{Orders: 2, Disputes: 2, Events: 4, Bodies: 7, DeadLetters: 3}
	if !reflect.DeepEqual(would, want) {
		t.Errorf("a dry run erases %+v, want %+v", would, want)
	}

	old := d.aggregate("o1")
	oldDispute := d.disputeAggregate(disputeKey("d1"))
	request.DryRun = false
	if got := d.erase(request); !reflect.DeepEqual(got, want) {
		t.Errorf("Erase = %+v, want %+v", got, want)
	}
	d.withoutJane(kept)
	for _, of := range touched {
		if c, err := d.Checkpoint(t.Context(), of, after(0)); err != nil || c != nil {
			t.Errorf("the checkpoint of %v is %v, %v, want none", of, c, err)
		}
	}
	if c, err := d.Checkpoint(t.Context(), payments.Subject{Order: "not of jane"}, after(0)); err != nil || c == nil {
		t.Errorf("the checkpoint of another order is %v, %v, want it kept", c, err)
	}
	if got := d.states(); !slices.Equal(got, states) {
		t.Errorf("afterwards the states are %q, want %q", got, states)
	}
	for _, changes := range []*payments.Changes{
		{Orders: []*storedOrder{old}, Events: []*payments.Event{event(order("race", 1, orderCreated), applied, noReason)}},
		{Disputes: []*storedDispute{oldDispute}, Events: []*payments.Event{event(dispute("race", 1, disputeOpen, disputeID("d1")), applied, noReason)}},
	} {
		if err := d.Commit(t.Context(), changes); !errors.Is(err, payments.ErrRaced) {
			t.Errorf("Commit of what was read before the erasure = %v, want ErrRaced", err)
		}
	}
	for _, u := range recorded {
		wantOutcomes(t, d.apply(u), verdict(duplicate))
	}
	d.withoutJane(kept)

	// Late updates have the histories folded again.
	late := []*payrelayv1.Update{order("e1 late", 1, orderUpdated), dispute("e1 late", 1, disputeOpen, disputeID("d1"))}
	wantOutcomes(t, d.apply(late...), verdict(stale), verdict(applied))
	if o, dispute := d.order("o1"), d.dispute("d1"); o.Status != orderSuccess || o.Amount.MinorUnits != 700 || o.UserID != "" || dispute.Status != disputeOpen || dispute.UserID != "" {
		t.Errorf("after late updates the order is %+v and the dispute %+v, want them as before", o, dispute)
	}
	d.maintain(func(s retention.Session) {
		records, err := retention.Records(t.Context(), s)
		d.check(err)
		person := sha256.Sum256([]byte(jane))
		if len(records) != 1 || records[0].By != "ann" || records[0].Why != "she asked" || !slices.Equal(records[0].Person, person[:]) ||
			!reflect.DeepEqual(records[0].Erased, want) || records[0].Started.After(records[0].Finished) || time.Since(records[0].Started) > time.Hour {
			t.Errorf("the records are %+v, want one with the counts %+v", records, want)
		}
	})
}

// states returns the states of all orders and disputes without their users.
func (d *db) states() (lines []string) {
	d.t.Helper()
	lookup := d.all()
	snapshot := d.load(lookup)
	for _, a := range snapshot.Orders {
		a.State.UserID = ""
		lines = append(lines, texts([]payments.Order{a.State})...)
	}
	for _, a := range snapshot.Disputes {
		a.State.UserID = ""
		lines = append(lines, texts([]payments.Dispute{a.State})...)
	}
	slices.Sort(lines)
	return lines
}

var errInterrupted = errors.New("interrupted")

// interrupted is a session that fails after some transactions.
type interrupted struct {
	retention.Session
	left int
}

func (s *interrupted) Transact(ctx context.Context, do func(store.Connection) error) error {
	if s.left--; s.left < 0 {
		return errInterrupted
	}
	return s.Session.Transact(ctx, do)
}

// eraseInterrupted checks that erasures that are interrupted are completed by the next
// one.
func eraseInterrupted(t *testing.T, d *db) {
	_, kept := janes(d)
	for left := 1; ; left++ {
		var err error
		d.maintain(func(s retention.Session) {
			_, err = retention.Erase(t.Context(), &interrupted{s, left}, retention.Request{UserID: jane, By: "ann", Why: "she asked"})
		})
		if err == nil {
			break
		}
		if !errors.Is(err, errInterrupted) || left > 100 {
			t.Fatalf("Erase = %v, want it interrupted", err)
		}
	}
	d.withoutJane(kept)
}

// eraseALongHistory checks an order with more events than a batch has.
func eraseALongHistory(t *testing.T, d *db) {
	var updates []*payrelayv1.Update
	for i := range 2*retention.BatchSize + 10 {
		u := order(string(rune('a'+i%26))+time.Duration(i).String(), i, orderUpdated)
		if i%2 == 0 {
			u.UserId = jane
		}
		updates = append(updates, u)
	}
	d.apply(updates...)
	count := int64(len(updates))
	want := retention.Erased{Orders: 1, Events: count / 2, Bodies: count}
	if got := d.erase(retention.Request{UserID: jane, By: "ann", Why: "she asked"}); !reflect.DeepEqual(got, want) {
		t.Errorf("Erase = %+v, want %+v", got, want)
	}
	d.withoutJane(order("none", 0, orderNone))
}
