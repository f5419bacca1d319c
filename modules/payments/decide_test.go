package payments_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
	"github.com/payrelay/payrelay/modules/payments/oracle"
	"google.golang.org/protobuf/proto"
)

var resolutions = []payments.Resolution{payments.Replayed, payments.Accepted, payments.Discarded}

// decide carries out a decision of ann, which must succeed as a whole.
func (b *fixture) decide(how payments.Resolution, ids ...int64) []payments.Decided {
	b.t.Helper()
	results, err := b.Decide(b.t.Context(), ids, payments.Decision{Resolution: how, By: "ann", Why: "a test"})
	if err != nil {
		b.t.Fatal(err)
	}
	return results
}

// dump returns all that is stored as sorted lines: dead letters, events, orders and
// disputes, and the audit log.
func (m *memory) dump() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lines []string
	add := func(format string, values ...any) { lines = append(lines, fmt.Sprintf(format, values...)) }
	for i, name := range m.sequence {
		add("letter %d %+v", i+1, *m.letters[name])
	}
	for key, e := range m.events {
		update, _ := proto.MarshalOptions{Deterministic: true}.Marshal(e.Update)
		add("event %v %x %v %v %v %v %v", key, update, e.Verdict, e.Reason, e.Forced, e.Discarded, e.RecordedAt)
	}
	for _, o := range m.orders {
		add("order %+v", o)
	}
	for _, d := range m.disputes {
		add("dispute %+v", d)
	}
	for of, checkpoints := range m.checkpoints {
		for _, c := range checkpoints {
			add("checkpoint %v %+v", of, c)
		}
	}
	for _, entry := range m.audit {
		add("audit %+v", entry)
	}
	slices.Sort(lines)
	return lines
}

// states returns what is stored without what depends on the number or order of commits: an
// event that two decisions of one commit change there and back has no trace of it in its
// dead letter.
func (m *memory) states() []string {
	lines := slices.DeleteFunc(m.dump(), func(line string) bool { return !strings.HasPrefix(line, "event ") })
	for _, l := range m.letters {
		if l.Resolution != payments.Reapplied && l.Resolution != payments.Replayed {
			lines = append(lines, fmt.Sprint("letter ", l.Key, l.Digest, l.Reason, l.Resolution, l.By, l.Why))
		}
	}
	for _, entry := range m.audit {
		entry.ID = 0
		lines = append(lines, fmt.Sprintf("audit %+v", entry))
	}
	for _, o := range m.orders {
		lines = append(lines, fmt.Sprintf("order %+v %+v", o.State, o.Head))
	}
	for _, d := range m.disputes {
		lines = append(lines, fmt.Sprintf("dispute %+v %+v", d.State, d.Head))
	}
	slices.Sort(lines)
	return lines
}

func wantLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("%s: got\n%s, which is not wanted", what, line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("%s: want\n%s", what, line)
		}
	}
}

// troubled returns a store with dead letters of every kind, from a random history. Its
// clock is after all of them, so that those from the future can be replayed.
func troubled(t *testing.T, seed uint64) *fixture {
	rng := rand.New(rand.NewPCG(seed, 50))
	b := newFixture(t)
	if rng.IntN(3) == 0 {
		b.Limit(1+rng.IntN(8), 1+rng.IntN(4), 1+rng.IntN(4), 1+rng.IntN(8))
	}
	updates := oracle.RandomHistory(rng, "", 10+rng.IntN(50))
	for i, u := range updates {
		switch rng.IntN(12) {
		case 0: // a conflict
			other := proto.CloneOf(u)
			other.EventId = updates[rng.IntN(i+1)].GetEventId()
			b.apply(other)
		case 1: // from the future, by the clock of this time
			b.now = u.GetOccurredAt().AsTime().Add(-48 * time.Hour)
		case 2: // of an older release
			b.letterFrom(u, unknownSchema, payments.Digest{byte(i)})
		case 3:
			u.SchemaVersion = 99
		}
		b.apply(u)
		b.now = today
	}
	if rng.IntN(8) == 0 {
		b.store.forgetRules()
	}
	return b
}

// The decisions about many dead letters have the results of the same decisions one by one:
// the same outcomes, errors, states, settlements and audit log.
func TestDecideIsTheSameAsOneByOne(t *testing.T) {
	decided := make(map[string]int)
	for seed := range uint64(1500) {
		one, many := troubled(t, seed), troubled(t, seed)
		rng := rand.New(rand.NewPCG(seed, 51))
		ids := make([]int64, 1+rng.IntN(40))
		for i := range ids {
			if ids[i] = rng.Int64N(int64(len(one.store.sequence) + 1)); ids[i] == 0 {
				ids[i] = 1 << 40 // there is none
			}
		}
		how := resolutions[rng.IntN(3)]
		var want []payments.Decided
		first := make(map[int64]payments.Decided)
		for _, id := range ids {
			if _, again := first[id]; !again {
				first[id] = one.decide(how, id)[0]
			}
			want = append(want, first[id])
		}
		for i, got := range many.decide(how, ids...) {
			if got.ID != want[i].ID || !proto.Equal(got.Outcome, want[i].Outcome) || fmt.Sprint(got.Err) != fmt.Sprint(want[i].Err) {
				t.Errorf("%s %d = %+v, want %+v", how, ids[i], got, want[i])
			}
			decided[fmt.Sprint(how, " ", got.Err == nil)]++
		}
		wantLines(t, string(how), many.store.states(), one.store.states())
		wantHeads(t, many.store)
		if t.Failed() {
			t.Fatalf("seed %d, ids %v", seed, ids)
		}
	}
	for _, how := range resolutions {
		if decided[string(how)+" true"] < 500 || decided[string(how)+" false"] < 500 {
			t.Errorf("too few results: %v", decided)
		}
	}
}

// A dry decision judges each dead letter alone, as the only decision, and writes nothing.
func TestADryDecisionWritesNothing(t *testing.T) {
	folding := 0
	for seed := range uint64(60) {
		b := troubled(t, seed)
		var ids []int64
		for id := range len(b.store.sequence) {
			ids = append(ids, int64(id+1))
		}
		ids = append(ids, 1<<40)
		before, commits := b.store.dump(), b.store.commits
		how := resolutions[seed%3]
		got, err := b.Decide(t.Context(), ids, payments.Decision{Resolution: how, Dry: true})
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, "after a dry decision", b.store.dump(), before)
		if b.store.commits != commits {
			t.Errorf("%d commits, want none", b.store.commits-commits)
		}
		for i, id := range ids {
			if got[i].Err != nil && strings.Contains(got[i].Err.Error(), "is being folded again") {
				folding++
				continue
			}
			want := troubled(t, seed).decide(how, id)[0]
			if !proto.Equal(got[i].Outcome, want.Outcome) || fmt.Sprint(got[i].Err) != fmt.Sprint(want.Err) {
				t.Errorf("dry %s %d = %+v, want %+v", how, id, got[i], want)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if folding == 0 {
		t.Error("no history had to be folded first")
	}
}

// Two dead letters of one order see each other in the order of the ids.
func TestDecisionsAboutOneOrderInOrder(t *testing.T) {
	arrange := func() *fixture {
		b := newFixture(t)
		b.apply(order("e1", 1, orderSuccess), order("e2", 2, orderFailed), order("e3", 3, orderFailed))
		b.wantOpen(2)
		return b
	}
	// Once the first is accepted, the second contradicts nothing and is applied.
	b := arrange()
	results := b.decide(payments.Accepted, 1, 2)
	if results[0].Err != nil || !errors.Is(results[1].Err, payments.ErrSettled) || !strings.Contains(results[1].Err.Error(), "reapplied at") {
		t.Errorf("accept 1 and 2 = %+v, want the second settled by the first", results)
	}
	// In the other order, both are accepted.
	b = arrange()
	for _, r := range b.decide(payments.Accepted, 2, 1, 2) {
		if r.Err != nil || r.Outcome.GetVerdict() != applied {
			t.Errorf("accept 2 and 1: %d is %+v, want applied", r.ID, r)
		}
	}
	if n := len(b.store.audit); n != 2 {
		t.Errorf("%d audit entries, want 2", n)
	}
}

// manyLetters records dead letters of different orders, and returns their ids.
func manyLetters(b *fixture, n int) []int64 {
	ids := make([]int64, n)
	updates := make([]*payrelayv1.Update, n)
	for i := range n {
		updates[i] = order(fmt.Sprint("e", i), 0, orderSuccess, of(fmt.Sprint("o", i)), user(fmt.Sprint("u", i)), ahead(36))
		ids[i] = int64(i + 1)
	}
	b.apply(updates...)
	b.now = today.Add(48 * time.Hour)
	return ids
}

func TestDecisionsShareTransactions(t *testing.T) {
	b := newFixture(t)
	ids := manyLetters(b, 500)
	b.store.loads, b.store.commits = 0, 0
	for _, r := range b.decide(payments.Replayed, ids...) {
		if r.Err != nil || r.Outcome.GetVerdict() != applied {
			t.Fatalf("replay = %+v, want applied", r)
		}
	}
	b.wantOpen(0)
	if b.store.loads != 2 || b.store.commits != 2 {
		t.Errorf("%d loads and %d commits, want 2 of each", b.store.loads, b.store.commits)
	}
}

// Letters of one event are in different commits, but not each in its own.
func TestDecisionsAboutOneEvent(t *testing.T) {
	b := newFixture(t)
	b.apply(order("e1", 0, orderCreated))
	var ids []int64
	for i := range 20 {
		b.apply(order("e1", 0, orderCreated, amount(int64(i+1), "USD")))
		ids = append(ids, int64(i+1))
	}
	for _, r := range b.decide(payments.Accepted, ids...) {
		if r.Err != nil || r.Outcome.GetVerdict() != applied && r.Outcome.GetVerdict() != stale {
			t.Errorf("accept = %+v, want applied or stale", r)
		}
	}
	b.wantOpen(0)
	if len(b.store.events) != 21 {
		t.Errorf("%d events, want 21", len(b.store.events))
	}
}

// A value that the database refuses, and an update whose fold panics, fail alone.
func TestADecisionThatFailsIsAlone(t *testing.T) {
	t.Run("unstorable", func(t *testing.T) {
		b := newFixture(t)
		ids := manyLetters(b, 64)
		b.store.beforeCommitOf = func(c *payments.Changes) error {
			for _, e := range c.Revised {
				if e.Key.EventID == "e41" {
					return payments.ErrUnstorable
				}
			}
			return nil
		}
		wantOnly(t, b.decide(payments.Replayed, ids...), 42, payments.ErrUnstorable)
		b.wantOpen(1)
	})
	t.Run("panic", func(t *testing.T) {
		b := newFixture(t)
		ids := manyLetters(b, 64)
		t.Cleanup(payments.PanicAt(func(u *payrelayv1.Update) any {
			if u.GetUserId() == "u41" {
				return "a defect"
			}
			return nil
		}))
		wantOnly(t, b.decide(payments.Replayed, ids...), 42, payments.ErrPanic)
		b.wantOpen(1)
	})
	t.Run("settled meanwhile", func(t *testing.T) {
		b := newFixture(t)
		ids := manyLetters(b, 64)
		b.store.beforeCommit = func() error {
			b.store.beforeCommit = nil
			b.discard(42)
			return nil
		}
		wantOnly(t, b.decide(payments.Accepted, ids...), 42, payments.ErrSettled)
		b.wantOpen(0)
	})
	t.Run("no such dead letter, and one that is not an update", func(t *testing.T) {
		b := newFixture(t)
		ids := manyLetters(b, 8)
		if err := b.DeadLetter(t.Context(), &payrelayv1.UndecodableRecord{Topic: "t", Value: []byte("\xff")}); err != nil {
			t.Fatal(err)
		}
		results := b.decide(payments.Replayed, append(ids, 9, 10)...)
		if !errors.Is(results[8].Err, payments.ErrNotJudgeable) || !errors.Is(results[9].Err, payments.ErrNotFound) {
			t.Errorf("results %+v, want ErrNotJudgeable and ErrNotFound", results[8:])
		}
		b.wantOpen(1)
	})
}

// wantOnly checks that only the decision about one dead letter failed.
func wantOnly(t *testing.T, results []payments.Decided, id int64, want error) {
	t.Helper()
	for _, r := range results {
		if (r.ID == id) != (r.Err != nil) || r.ID == id && !errors.Is(r.Err, want) {
			t.Errorf("decision about %d: %v, want %v only about %d", r.ID, r.Err, want, id)
		}
	}
}

// Long histories are decided alone, and the other dead letters together.
func TestDecisionsAboutLongHistories(t *testing.T) {
	b := newFixture(t)
	b.Limit(16, 8, 16, 32)
	updates := longOrder(b, 100)
	failures := []*payrelayv1.Update{order("f1", 301, orderFailed), order("f2", 303, orderFailed)}
	b.apply(append([]*payrelayv1.Update{order("paid", 299, orderSuccess)}, failures...)...)
	var others []*payrelayv1.Update
	for i := range 30 {
		id := of(fmt.Sprint("other", i))
		others = append(others, order(fmt.Sprint("s", i), 1, orderSuccess, id), order(fmt.Sprint("x", i), 2, orderFailed, id))
	}
	b.apply(others...)
	b.wantOpen(32)
	var ids []int64
	for _, letter := range b.store.openLetters() {
		ids = append(ids, letter.ID)
	}
	b.store.commits = 0
	for _, r := range b.decide(payments.Discarded, ids...) {
		if r.Err != nil {
			t.Errorf("discard %d: %v", r.ID, r.Err)
		}
	}
	b.wantOpen(0)
	if b.store.commits > 6 {
		t.Errorf("%d commits, want the others together", b.store.commits)
	}
	wantOracleResult(t, b.store, slices.Concat(updates, []*payrelayv1.Update{order("paid", 299, orderSuccess)}, failures, others))
}

func TestDecideNothing(t *testing.T) {
	b := newFixture(t)
	if got := b.decide(payments.Discarded); len(got) != 0 || b.store.commits+b.store.loads != 0 {
		t.Errorf("Decide() = %v with %d commits, want nothing", got, b.store.commits)
	}
}

func wantCounts(t *testing.T, what string, got, want map[string]int) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s: got\n%v, want\n%v", what, got, want)
	}
}
