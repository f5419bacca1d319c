package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/store/retention"
	"google.golang.org/protobuf/proto"
)

// maintain calls use with a session.
func (d *db) maintain(use func(retention.Session)) {
	d.t.Helper()
	s, err := d.Maintain(d.t.Context())
	d.check(err)
	use(s)
	d.check(s.Close())
}

// retain removes what is older than a day, after a dry run that must report the same.
func (d *db) retain(before time.Time) (r retention.Report) {
	d.t.Helper()
	d.maintain(func(s retention.Session) {
		would, err := retention.DryRun(d.t.Context(), s, before)
		d.check(err)
		r, err = retention.Run(d.t.Context(), s, before)
		d.check(err)
		if !reflect.DeepEqual(would, r) {
			d.t.Errorf("Run = %+v, want what DryRun reports: %+v", r, would)
		}
	})
	return r
}

// wantBodies checks which events have a body.
func (d *db) wantBodies(want ...*payrelayv1.Update) {
	d.t.Helper()
	for _, e := range d.events() {
		body := ""
		for _, u := range want {
			if keyOf(u) == e.Key {
				body = string(u.GetRawBody())
			}
		}
		if got := string(d.body(e.Key)); got != body {
			d.t.Errorf("the body of %v is %q, want %q", e.Key, got, body)
		}
	}
}

// one counts the body of an update.
func one(u *payrelayv1.Update) retention.Count {
	return retention.Count{Bodies: 1, Bytes: int64(len(u.GetRawBody()))}
}

// tomorrow is a day before which everything is recorded that a test has recorded.
func tomorrow() time.Time { return retention.Day(time.Now()).AddDate(0, 0, 1) }

// oldBodiesLeave checks that bodies leave by days, and that everything else of their
// events stays.
func oldBodiesLeave(t *testing.T, d *db) {
	first, second, third := order("e1", 1, orderCreated), order("e2", 2, orderUpdated), dispute("e3", 3, disputeOpen)
	bodiless := order("e4", 4, orderUpdated, func(u *payrelayv1.Update) { u.RawBody = []byte{} })
	old := []*payments.Event{event(first, applied, noReason), event(second, applied, noReason), event(bodiless, applied, noReason)}
	march := func(day int) time.Time { return time.Date(2024, 3, day, 0, 0, 0, 0, time.UTC) }
	old[0].RecordedAt, old[1].RecordedAt = march(1), march(2).Add(24*time.Hour-time.Microsecond)
	d.commit(&payments.Changes{Events: old})
	d.apply(third)
	before := d.everything(d.all())

	for _, run := range []struct {
		before time.Time
		want   retention.Bodies
		left   []*payrelayv1.Update
	}{
		{march(1), retention.Bodies{}, []*payrelayv1.Update{first, second, third}},
		{march(2), retention.Bodies{march(1): one(first)}, []*payrelayv1.Update{second, third}},
		{march(2), retention.Bodies{}, []*payrelayv1.Update{second, third}},
		{march(3), retention.Bodies{march(2): one(second)}, []*payrelayv1.Update{third}},
		{tomorrow(), retention.Bodies{retention.Day(time.Now()): one(third)}, nil},
	} {
		if got := d.retain(run.before).Bodies; !reflect.DeepEqual(got, run.want) {
			t.Errorf("before %v Run removes %v, want %v", run.before, got, run.want)
		}
		d.wantBodies(run.left...)
	}
	wantLines(t, "without bodies", d.everything(d.all()), before)
	wantOutcomes(t, d.apply(first, second, third, bodiless), verdict(duplicate), verdict(duplicate), verdict(duplicate), verdict(duplicate))
	wantOutcomes(t, d.apply(order("e1", 1, orderFailed)), refused(conflict))

	// A body of a day that is gone already.
	late := order("e5", 5, orderSuccess)
	d.apply(late)
	d.wantBodies(late)
	if got := d.retain(tomorrow()).Bodies.Sum().Bodies; got != 1 {
		t.Errorf("Run removes %d bodies, want 1", got)
	}
	d.wantBodies()
}

// manyBodiesLeave checks more bodies than fit into a batch.
func manyBodiesLeave(t *testing.T, d *db) {
	const count = 2*retention.BatchSize + 1
	var old []*payments.Event
	var bytes int64
	for i := range count {
		e := event(order(fmt.Sprint("old", i), i, orderUpdated), applied, noReason)
		bytes += int64(len(e.Update.GetRawBody()))
		old = append(old, e)
	}
	d.commit(&payments.Changes{Events: old})
	kept := order("new", 1, orderUpdated)
	d.apply(kept)
	if got, want := d.retain(retention.Day(time.Now())).Bodies.Sum(), (retention.Count{Bodies: count, Bytes: bytes}); got != want {
		t.Errorf("Run removes %v, want %v", got, want)
	}
	if got := d.body(keyOf(kept)); got == nil {
		t.Error("Run removes a body of today")
	}
}

// oldLettersLoseTheirBodies checks that an open dead letter keeps its body, and that a
// settled one keeps everything else.
func oldLettersLoseTheirBodies(t *testing.T, d *db) {
	d.apply(order("e1", 1, orderCreated), order("e2", 2, orderUpdated), order("e3", 3, orderUpdated))
	settled, open := order("e1", 1, orderFailed, body("settled")), order("e3", 3, orderFailed, body("open"))
	record := &payrelayv1.UndecodableRecord{Topic: "t", Value: []byte("not an update"), Detail: "why"}
	wantOutcomes(t, d.apply(settled, open), refused(conflict), refused(conflict))
	d.check(payments.NewLedger(d.Store).DeadLetter(t.Context(), record))
	ids := make(map[payments.Key]int64)
	for _, l := range d.letters() {
		ids[l.Key] = l.ID
	}
	d.discard(ids[keyOf(settled)])
	if got := d.retain(retention.Day(time.Now())).DeadLetters; got.Bodies != 0 {
		t.Errorf("Run removes %v from dead letters of today, want nothing", got)
	}
	if got, want := d.retain(tomorrow()).DeadLetters, (retention.Count{Bodies: 1, Bytes: int64(len("settled"))}); got != want {
		t.Errorf("Run removes %v from dead letters, want %v", got, want)
	}
	for _, l := range d.letters() {
		u := new(payrelayv1.Update)
		switch l.ID {
		case ids[keyOf(settled)]:
			sum := sha256.Sum256(settled.GetRawBody())
			want := proto.CloneOf(settled)
			want.RawBody, want.BodySha256 = nil, sum[:]
			if d.check(proto.Unmarshal(l.Payload, u)); !proto.Equal(u, want) {
				t.Errorf("the payload of the settled dead letter is %v, want %v", u, want)
			}
		case ids[keyOf(open)]:
			if d.check(proto.Unmarshal(l.Payload, u)); !proto.Equal(u, open) {
				t.Errorf("the payload of the open dead letter is %v, want %v", u, open)
			}
		default:
			if !slices.Equal(l.Payload, record.Value) {
				t.Errorf("the payload of the record is %q, want it as before", l.Payload)
			}
			d.discard(l.ID)
		}
	}
	if got, want := d.retain(tomorrow()).DeadLetters, (retention.Count{Bodies: 1, Bytes: int64(len(record.Value))}); got != want {
		t.Errorf("Run removes %v of a record that was discarded, want %v", got, want)
	}
	// The same updates again: one stays settled, the other is still open.
	wantOutcomes(t, d.apply(settled, open), refused(conflict), refused(conflict))
	if got := d.retain(tomorrow()).DeadLetters.Bodies; got != 0 || len(d.openLetters()) != 1 {
		t.Errorf("Run removes %d bodies, and %d dead letters are open, want none and one", got, len(d.openLetters()))
	}
	wantOutcomes(t, []*payrelayv1.Outcome{d.accept(ids[keyOf(open)])}, verdict(applied))
}

// lettersThatOpenAgain checks that a dead letter that was settled, lost its body and came
// again loses it again.
func lettersThatOpenAgain(t *testing.T, d *db) {
	u := order("e1", 1, orderFailed)
	payload, err := proto.Marshal(u)
	d.check(err)
	l := letter(event(u, dead, conflict))
	l.Payload = payload
	for range 2 {
		d.commit(&payments.Changes{DeadLetters: []*payments.DeadLetter{l}})
		d.commit(&payments.Changes{Settled: []payments.Settlement{settlement(l, payments.Reapplied, after(60))}})
		if got := d.retain(tomorrow()).DeadLetters; got != one(u) {
			t.Errorf("Run removes %v from dead letters, want %v", got, one(u))
		}
	}
}

// oneSession checks that two cannot maintain a database at once.
func oneSession(t *testing.T, d *db) {
	d.maintain(func(retention.Session) {
		if _, err := d.Maintain(t.Context()); !errors.Is(err, retention.ErrBusy) {
			t.Errorf("a second Maintain = %v, want ErrBusy", err)
		}
	})
	d.maintain(func(retention.Session) {})
}
