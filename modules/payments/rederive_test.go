package payments_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// rederive compares all orders and disputes, in pages of a few events.
func rederive(t *testing.T, ledger *payments.Ledger, m *memory, correct bool) *payments.Rederived {
	t.Helper()
	all := new(payments.Rederived)
	asked := payments.Rederivation{Query: payments.SubjectQuery{Limit: 50}, Correct: correct, By: "ann", Why: "a check"}
	for {
		part, err := ledger.Rederive(t.Context(), m, asked)
		if err != nil {
			t.Fatal(err)
		}
		all.Orders, all.Disputes, all.Events = all.Orders+part.Orders, all.Disputes+part.Disputes, all.Events+part.Events
		all.Differences = append(all.Differences, part.Differences...)
		if part.Next == 0 {
			return all
		}
		asked.Query.AfterSequence = part.Next
	}
}

// wantNoDifferences checks that the histories fold to what is stored.
func wantNoDifferences(t *testing.T, m *memory) {
	t.Helper()
	ledger := payments.NewLedgerAt(m, func() time.Time { return today })
	ledger.Limit(1, 64, 64+len(m.events)/8, 512)
	result, err := ledger.Rederive(t.Context(), m, payments.Rederivation{Query: payments.SubjectQuery{Limit: len(m.events) + 1}})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range result.Differences {
		t.Errorf("rederived %+v", d)
	}
}

func differenceText(list []payments.Difference) string {
	var lines []string
	for _, d := range list {
		lines = append(lines, fmt.Sprintf("%s%s %s: %q, derived %q", d.Of.Order, d.Of.Dispute.ID, d.Field, d.Stored, d.Derived))
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

// corrupted returns a store with an order that paid, a contradiction of it, and a dispute.
func corrupted(t *testing.T, change func(*memory)) *fixture {
	b := newFixture(t)
	b.apply(order("e1", 1, orderCreated, amount(5000, "USD"), user("u1")), order("e2", 2, orderSuccess, amount(5000, "USD")), order("e3", 3, orderFailed),
		dispute("d1", 4, disputeOpen, disputeID("x"), amount(100, "USD")), dispute("d2", 5, disputeLost, disputeID("x")), order("e9", 1, orderCreated, of("o2")))
	change(b.store)
	return b
}

func changeOrder(id string, change func(*payments.Aggregate[payments.Order])) func(*memory) {
	return func(m *memory) {
		a := m.orders[id]
		change(&a)
		m.orders[id] = a
	}
}

func TestRederiveFindsAndCorrects(t *testing.T) {
	for name, test := range map[string]struct {
		corrupt func(*memory)
		want    string
	}{
		"a status": {
			changeOrder("o1", func(a *payments.Aggregate[payments.Order]) { a.State.Status = orderFailed }),
			`o1 status: "failed", derived "success"`,
		},
		"an amount and a user": {
			changeOrder("o1", func(a *payments.Aggregate[payments.Order]) { a.State.Amount.MinorUnits, a.State.UserID = 1, "" }),
			`o1 amount: "0.01 USD", derived "50.00 USD"` + "\n" + `o1 user_id: "", derived "u1"`,
		},
		"a head": {
			changeOrder("o1", func(a *payments.Aggregate[payments.Order]) { a.Head.EventID = "e0" }),
			`o1 head: "2026-01-04 12:00:03 UTC, stage 0, rank 4, refunded 0, captured 0, event \"e0\" of generic", derived ` +
				`"2026-01-04 12:00:03 UTC, stage 0, rank 4, refunded 0, captured 0, event \"e3\" of generic"`,
		},
		"a row that is lost": {
			func(m *memory) { delete(m.orders, "o2") },
			`o2 created_at: "", derived "2026-01-04 12:00:01 UTC"` + "\n" +
				`o2 head: "", derived "2026-01-04 12:00:01 UTC, stage 0, rank 1, refunded 0, captured 0, event \"e9\" of generic"` + "\n" +
				`o2 status: "", derived "created"` + "\n" + `o2 updated_at: "", derived "2026-01-04 12:00:01 UTC"`,
		},
		"a dispute": {
			func(m *memory) {
				key := payments.DisputeKey{Source: "generic", ID: "x"}
				a := m.disputes[key]
				a.State.Status, a.State.Reopened = disputeWon, 3
				m.disputes[key] = a
			},
			`x reopened: "3", derived "0"` + "\n" + `x status: "won", derived "lost"`,
		},
		"a verdict": {
			func(m *memory) {
				e := m.events[orderKey("e3")]
				e.Verdict, e.Reason = applied, noReason
				m.letters[letterName{e.Key, e.Facts}].Resolution = payments.Reapplied
			},
			`o1 verdict of event "e3" of generic: "applied", derived "dead_lettered: contradiction"`,
		},
		"a verdict that hides an event": {
			func(m *memory) {
				m.events[orderKey("e2")].Verdict, m.events[orderKey("e2")].Reason = dead, contradiction
			},
			`o1 verdict of event "e2" of generic: "dead_lettered: contradiction", derived "applied"`,
		},
		"nothing": {func(*memory) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := corrupted(t, test.corrupt)
			before := b.store.dump()
			if got := differenceText(rederive(t, b.Ledger, b.store, false).Differences); got != test.want {
				t.Errorf("differences\n%s, want\n%s", got, test.want)
			}
			wantLines(t, "after a comparison", b.store.dump(), before)
			result := rederive(t, b.Ledger, b.store, true)
			if got := differenceText(result.Differences); got != test.want || result.Orders != 2 || result.Disputes != 1 || result.Events != 6 {
				t.Errorf("corrected %+v, want\n%s", result, test.want)
			}
			healthy := corrupted(t, func(*memory) {})
			audit := b.store.audit
			b.store.audit = nil
			wantLines(t, "corrected", b.store.states(), healthy.store.states())
			wantNoDifferences(t, b.store)
			if test.want == "" {
				wantLines(t, "after nothing was corrected", b.store.dump(), before)
				return
			}
			if len(audit) != 1 || audit[0].Action != payments.ActionRederive || audit[0].Who != "ann" || audit[0].Why != "a check" || audit[0].Before == audit[0].After {
				t.Errorf("audit log %+v, want one entry of ann", audit)
			}
			if words := audit[0].Before + audit[0].After; strings.Contains(words, "u1") {
				t.Errorf("audit log %q names the user, whom no erasure finds there", words)
			}
		})
	}
}

// Every field of an order and of a dispute is compared.
func TestRederiveComparesEveryField(t *testing.T) {
	compare := func(state reflect.Value, field int, check func(m *memory) func()) {
		name := state.Type().Field(field).Name
		if name == "ID" || name == "DisputeKey" || name == "Sequence" { // they are not folded
			return
		}
		b := corrupted(t, func(*memory) {})
		store := check(b.store)
		switch f := state.Field(field); f.Interface().(type) {
		case string:
			f.SetString("corrupted")
		case time.Time:
			f.Set(reflect.ValueOf(noon.Add(time.Microsecond)))
		case payments.Money:
			f.Set(reflect.ValueOf(payments.Money{MinorUnits: 5000, Currency: "USD", Exponent: 3}))
		default:
			f.SetInt(f.Int() + 1)
		}
		store()
		if got := rederive(t, b.Ledger, b.store, false).Differences; len(got) == 0 {
			t.Errorf("no difference for %s of %s", name, state.Type())
		}
	}
	for i := range reflect.TypeFor[payments.Order]().NumField() {
		a := new(payments.Aggregate[payments.Order])
		compare(reflect.ValueOf(&a.State).Elem(), i, func(m *memory) func() {
			*a = m.orders["o1"]
			return func() { m.orders["o1"] = *a }
		})
	}
	key := payments.DisputeKey{Source: "generic", ID: "x"}
	for i := range reflect.TypeFor[payments.Dispute]().NumField() {
		a := new(payments.Aggregate[payments.Dispute])
		compare(reflect.ValueOf(&a.State).Elem(), i, func(m *memory) func() {
			*a = m.disputes[key]
			return func() { m.disputes[key] = *a }
		})
	}
}

// A long history is read in pages, and its checkpoints are written again.
func TestRederiveOfALongHistory(t *testing.T) {
	b := newFixture(t)
	b.Limit(64, 32, 50, 500)
	updates := longOrder(b, 5000)
	changeOrder("o1", func(a *payments.Aggregate[payments.Order]) { a.State.Amount.MinorUnits = 1 })(b.store)
	for i := range b.store.checkpoints[payments.Subject{Order: "o1"}] {
		b.store.checkpoints[payments.Subject{Order: "o1"}][i].State = "{}"
	}
	b.store.histories, b.store.pages, b.store.pageEvents = 0, 0, 0
	asked := payments.Rederivation{Query: payments.SubjectQuery{Limit: 5000}, Correct: true, By: "ann", Why: "a check"}
	result, err := b.Rederive(t.Context(), b.store, asked)
	if err != nil || differenceText(result.Differences) != `o1 amount: "0.01 USD", derived "49.99 USD"` || result.Events != 5000 {
		t.Fatalf("Rederive = %+v, %v, want the amount of 5000 events", result, err)
	}
	if b.store.histories != 0 || b.store.pages < 100 || b.store.pageEvents != 5000 {
		t.Errorf("%d pages with %d events and %d whole histories, want 100 small pages", b.store.pages, b.store.pageEvents, b.store.histories)
	}
	if n := len(b.store.checkpoints[payments.Subject{Order: "o1"}]); n < 100 {
		t.Errorf("%d checkpoints, want one for each 32 events", n)
	}
	late := order("late", 5001, orderUpdated, partOf("p9"), captured(5, "USD"))
	b.apply(late)
	wantOracleResult(t, b.store, append(updates, late))
}

// A long history is folded once, although its events are on many pages of subjects.
func TestRederiveFoldsALongHistoryOnce(t *testing.T) {
	b := newFixture(t)
	b.Limit(64, 32, 50, 500)
	b.apply(dispute("d1", 0, disputeOpen))
	longOrder(b, 500)
	b.store.pageEvents = 0
	result := rederive(t, b.Ledger, b.store, false)
	if result.Events > 1001 || b.store.pageEvents > 1001 || result.Orders == 0 || result.Disputes != 1 {
		t.Errorf("compared %+v by reading %d events, want 500 read once or twice", result, b.store.pageEvents)
	}
	b = newFixture(t)
	b.Limit(64, 32, 50, 500)
	longOrder(b, 500)
	if result := rederive(t, b.Ledger, b.store, false); result.Events != 500 || result.Orders != 1 {
		t.Errorf("compared %+v, want 500 events of 1 order", result)
	}
}

// Each order and dispute is counted once, although its events are on several pages.
func TestRederiveCountsOnce(t *testing.T) {
	b := newFixture(t)
	for i := range 5 {
		for o := range 3 {
			id := fmt.Sprintf("o%d", o)
			b.apply(order(fmt.Sprintf("e%d-%s", i, id), i, orderUpdated, of(id)), dispute(fmt.Sprintf("d%d-%s", i, id), i, disputeOpen, disputeID(id), of(id)))
		}
	}
	for _, limit := range []int{1, 2, 3, 7, 100} {
		var orders, disputes, events int64
		for asked := (payments.Rederivation{Query: payments.SubjectQuery{Limit: limit}}); ; {
			part, err := b.Rederive(t.Context(), b.store, asked)
			if err != nil {
				t.Fatal(err)
			}
			orders, disputes, events = orders+part.Orders, disputes+part.Disputes, events+part.Events
			if asked.Query.AfterSequence = part.Next; part.Next == 0 {
				break
			}
		}
		if orders != 3 || disputes != 3 || events != 30 {
			t.Errorf("with pages of %d events: compared %d orders, %d disputes and %d events, want 3, 3 and 30", limit, orders, disputes, events)
		}
	}
}

// An order that changes while its history is read is read again.
func TestRederiveMeanwhile(t *testing.T) {
	b := corrupted(t, func(*memory) {})
	other := payments.NewLedgerAt(b.store, func() time.Time { return b.now })
	acts := 0
	act := func() {
		acts++
		if _, err := other.Apply(t.Context(), []*payrelayv1.Update{order(fmt.Sprint("new", acts), 10+acts, orderRefunded)}); err != nil {
			t.Error(err)
		}
	}
	b.useStore(&racingOperator{Store: b.store, act: act})
	if got := rederive(t, b.Ledger, b.store, false); len(got.Differences) != 0 || acts != 1 {
		t.Errorf("differences %+v after %d changes, want none after 1", got.Differences, acts)
	}
	b.useStore(&alwaysRacing{Store: b.store, act: act})
	if _, err := b.Rederive(t.Context(), b.store, payments.Rederivation{Query: payments.SubjectQuery{Limit: 10}}); !errors.Is(err, payments.ErrRaced) {
		t.Errorf("Rederive of an order that always changes = %v, want ErrRaced", err)
	}
}

// alwaysRacing changes the store before each page of a history.
type alwaysRacing struct {
	payments.Store
	act func()
}

func (s *alwaysRacing) HistoryPage(ctx context.Context, of payments.Subject, from time.Time, limit int) (*payments.HistoryPage, error) {
	s.act()
	return s.Store.HistoryPage(ctx, of, from, limit)
}

// Whatever is corrupted is corrected, also in long histories and by older rules.
func TestRederiveCorrectsRandomStores(t *testing.T) {
	found := 0
	for seed := range uint64(200) {
		b := troubled(t, seed)
		wantNoDifferences(t, b.store)
		want := b.store.states()
		rng := rand.New(rand.NewPCG(seed, 95))
		for _, id := range []string{"o1", "o2"} {
			if a, ok := b.store.orders[id]; ok && rng.IntN(2) == 0 {
				a.State.Status, a.State.Parts = payrelayv1.OrderStatus(1+rng.Int32N(4)), ""
				b.store.orders[id] = a
			}
		}
		found += len(rederive(t, b.Ledger, b.store, true).Differences)
		wantNoDifferences(t, b.store)
		b.store.audit = nil
		wantLines(t, "corrected", b.store.states(), want)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if found < 100 {
		t.Errorf("%d differences found: too few", found)
	}
}
