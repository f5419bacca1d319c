package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/payments/oracle"
	"google.golang.org/protobuf/proto"
)

// everyArrival compares the ledger on this store with the oracle, on random histories
// in random order of arrival and in batches of 1 to 64. Some updates come twice, and some come
// again with other facts. Between the batches, an operator accepts, discards and replays
// dead letters, several at once.
func everyArrival(t *testing.T, d *db) {
	histories := 100
	if testing.Short() {
		histories = 20
	}
	accepted, discarded := 0, 0
	for seed := range uint64(histories) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h := newHistory(d, fmt.Sprint(seed, "/"), oracle.RandomHistory(rng, fmt.Sprint(seed, "/"), 1+rng.IntN(60)))
		arrival, conflicts := disturbed(rng, h.updates)
		size, operator := 1+rng.IntN(1<<rng.IntN(7)), rng.IntN(2) == 0
		for batch := range slices.Chunk(arrival, size) {
			d.apply(batch...)
			if open := h.open(); operator && len(open) > 0 {
				how := pick(rng, []payments.Resolution{payments.Accepted, payments.Accepted, payments.Discarded, payments.Replayed})
				n := d.decide(how, shuffled(rng, open)[:1+rng.IntN(len(open))]...)
				if how == payments.Accepted {
					accepted += n
				} else if how == payments.Discarded {
					discarded += n
				}
			}
		}
		h.check(conflicts)
		h.checkDerived()
		if t.Failed() {
			t.Fatalf("the first failure is in history %d", seed)
		}
	}
	if accepted < histories/4 || discarded < histories/20 {
		t.Errorf("%d dead letters were accepted and %d discarded, want more", accepted, discarded)
	}
}

// disturbed shuffles the updates, repeats some, and adds other facts under some of the
// keys, each after the first facts.
func disturbed(rng *rand.Rand, updates []*payrelayv1.Update) (arrival []*payrelayv1.Update, conflicts int) {
	arrival = shuffled(rng, updates)
	for range len(updates) / 8 {
		again := proto.CloneOf(pick(rng, updates))
		again.RawBody = []byte("the same facts in another body")
		arrival = slices.Insert(arrival, rng.IntN(len(arrival)+1), again)
	}
	for conflicts < len(updates)/8 {
		i := rng.IntN(len(arrival))
		key := oracle.KeyOf(arrival[i])
		first := slices.IndexFunc(arrival, func(u *payrelayv1.Update) bool { return oracle.KeyOf(u) == key })
		other := proto.CloneOf(arrival[i])
		conflicts++
		switch s := other.Subject.(type) {
		case *payrelayv1.Update_Order:
			s.Order.Part = fmt.Sprint("conflict ", conflicts)
		case *payrelayv1.Update_Dispute:
			s.Dispute.Reason = fmt.Sprint("conflict ", conflicts)
		case *payrelayv1.Update_Note:
			s.Note.Text = fmt.Sprint("conflict ", conflicts)
		}
		arrival = slices.Insert(arrival, first+1+rng.IntN(len(arrival)-first), other)
	}
	return arrival, conflicts
}

// randomHistory is a history of orders and disputes whose ids begin with a prefix.
type randomHistory struct {
	db      *db
	prefix  string
	updates []*payrelayv1.Update
	// before is the id of the last dead letter before the history.
	before int64
}

func newHistory(d *db, prefix string, updates []*payrelayv1.Update) *randomHistory {
	h := &randomHistory{db: d, prefix: prefix, updates: updates}
	if letters := d.letters(); len(letters) > 0 {
		h.before = letters[len(letters)-1].ID
	}
	return h
}

// letters returns the dead letters of the history.
func (h *randomHistory) letters() []*payments.DeadLetter {
	h.db.t.Helper()
	letters := h.db.lettersAfter(h.before)
	return selected(letters, func(l *payments.DeadLetter) bool { return strings.HasPrefix(l.OrderID, h.prefix) })
}

func (h *randomHistory) open() []*payments.DeadLetter {
	h.db.t.Helper()
	return selected(h.letters(), func(l *payments.DeadLetter) bool { return l.Resolution == "" })
}

// events returns the recorded events of the history.
func (h *randomHistory) events() (events []*payments.Event) {
	h.db.t.Helper()
	for _, ofDisputes := range []bool{false, true} {
		q := payments.EventQuery{Disputes: ofDisputes, OrderIDs: h.orderIDs(), Page: whole}
		for more := true; more; {
			page, err := h.db.Events(h.db.t.Context(), q)
			h.db.check(err)
			for _, e := range page.Items {
				events = append(events, &e.Event)
				q.Page.After = &payments.Cursor{Sequence: e.Sequence}
			}
			more = page.More
		}
	}
	return events
}

func (h *randomHistory) orderIDs() []string {
	ids := make(map[string]bool)
	for _, u := range h.updates {
		ids[u.GetOrderId()] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

// result returns what the queries show of the history.
func (h *randomHistory) result(events []*payments.Event) oracle.Result {
	h.db.t.Helper()
	ctx, end := h.db.t.Context(), oracle.NewResult()
	orders, err := h.db.Orders(ctx, payments.OrderQuery{OrderIDs: h.orderIDs(), Page: whole})
	h.db.check(err)
	for _, o := range orders.Items {
		end.Orders[o.ID] = oracle.OrderOf(o)
	}
	disputes, err := h.db.Disputes(ctx, payments.DisputeQuery{OrderIDs: h.orderIDs(), Page: whole})
	h.db.check(err)
	for _, c := range disputes.Items {
		c.Sequence = 0
		end.Disputes[c.DisputeKey] = c
	}
	for _, e := range events {
		if e.Verdict == dead && !e.Discarded {
			end.Refused[e.Key] = payments.DeadLetterReasons.Name(e.Reason)
		}
	}
	return end
}

// check compares the stored states, verdicts and dead letters with the oracle, and checks
// that each event is stored once. An accepted conflict is a second event.
func (h *randomHistory) check(conflicts int) {
	t, events := h.db.t, h.events()
	t.Helper()
	byKey, forced := make(map[payments.Key]*payments.Event), make(map[payments.Key]bool)
	var kept []*payrelayv1.Update
	for _, e := range events {
		byKey[e.Key], forced[e.Key] = e, e.Forced
		if !e.Discarded {
			kept = append(kept, e.Update)
		}
		if strings.Contains(e.Key.EventID, "#") {
			conflicts--
		}
	}
	for _, u := range h.updates {
		if e := byKey[oracle.KeyOf(u)]; e == nil || e.Facts != payments.FactsDigest(u) {
			t.Errorf("event %v is recorded as %v, want the facts that came first", oracle.KeyOf(u), e)
		}
	}
	want := oracle.Fold(kept, forced)
	for _, difference := range h.result(events).Differences(want) {
		t.Error(difference)
	}
	open := make(map[payments.Key]string)
	for _, l := range h.letters() {
		e := byKey[l.Key]
		switch {
		case l.Reason == conflict:
			if l.Resolution != payments.Accepted {
				conflicts--
			}
		case l.Resolution == "":
			open[l.Key] = payments.DeadLetterReasons.Name(l.Reason)
		case (l.Resolution == payments.Accepted) != e.Forced, (l.Resolution == payments.Discarded) != e.Discarded:
			t.Errorf("got dead letter %+v of the event %s", l, eventLine(e))
		}
	}
	if !maps.Equal(open, want.Refused) || conflicts != 0 || len(byKey) != len(events) {
		t.Errorf("open dead letters\n%v, want those of the refused events\n%v; %d conflicts are missing, and there are %d events with %d keys",
			open, want.Refused, conflicts, len(events), len(byKey))
	}
	h.checkHeads(events)
}

// checkDerived checks that the histories fold to what is stored.
func (h *randomHistory) checkDerived() {
	h.db.t.Helper()
	q := payments.SubjectQuery{OrderIDs: h.orderIDs(), Limit: 1000}
	result, err := payments.NewLedger(h.db.Store).Rederive(h.db.t.Context(), h.db.Store, payments.Rederivation{Query: q})
	h.db.check(err)
	if len(result.Differences) > 0 || result.Next != 0 || result.Orders+result.Disputes == 0 && len(h.updates) > 20 {
		h.db.t.Errorf("Rederive() = %+v, want no differences", result)
	}
}

// checkHeads checks that Load returns the states that the queries list.
func (h *randomHistory) checkHeads(events []*payments.Event) {
	t, inHistory := h.db.t, make(map[payments.DisputeKey]int)
	t.Helper()
	for _, e := range events {
		switch {
		case !e.InHistory():
		case e.Key.Kind == payments.KindDispute:
			inHistory[e.Dispute()]++
		default:
			inHistory[payments.DisputeKey{ID: e.Update.GetOrderId()}]++
		}
	}
	for subject, n := range inHistory {
		got := 0
		if subject.Source == "" {
			got = len(h.db.history(subject.ID)[subject.ID])
			if a := h.db.aggregate(subject.ID); a.State.Status != orderNone && a.State != h.db.order(subject.ID) {
				t.Errorf("loaded %+v, want what is listed", a)
			}
		} else {
			got = len(h.db.disputeHistory(subject)[subject])
			h.db.disputeAggregate(subject)
		}
		if got != n {
			t.Errorf("got %d events in the history of %v, want %d", got, subject, n)
		}
	}
}

func shuffled[T any](rng *rand.Rand, items []T) []T {
	items = slices.Clone(items)
	rng.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	return items
}
