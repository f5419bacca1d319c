package checker

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/chaos/workload"
)

// TestFoldIgnoresSequence: the model of webhooks does not depend on the sequence in
// which they come.
func TestFoldIgnoresSequence(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for number := range 500 {
		var facts []Fact
		for _, d := range (workload.Generator{Seed: 9}).Order(number) {
			facts = append(facts, Fact{Webhook: d.Webhook, Forced: r.IntN(20) == 0})
		}
		want := Fold(facts)
		for range 20 {
			r.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
			if got := Fold(facts); !reflect.DeepEqual(got, want) {
				t.Fatalf("Fold(order %d) = %+v, want %+v in any sequence", number, got, want)
			}
		}
	}
}

const second = 1_000_000

func usd(minor int64) history.Money { return history.Money{Minor: minor, Currency: "USD"} }

func TestFoldOrder(t *testing.T) {
	order := func(event, status string, at int64, f history.Facts) Fact {
		f.Order, f.User, f.Status, f.At, f.CreatedAt = "o", "u", status, at*second, second
		return Fact{Webhook: workload.OrderWebhook(event, f)}
	}
	for name, test := range map[string]struct {
		facts  []Fact
		status string
		parts  []history.Part
		dead   map[history.Key]string
	}{
		"a second card works, and a later failure names no part": {
			[]Fact{order("e3", "success", 3, history.Facts{Amount: usd(30)}), order("e2", "failed", 2, history.Facts{}), order("e4", "failed", 4, history.Facts{})},
			"success", []history.Part{{Captured: usd(30), Paid: true}}, map[history.Key]string{{Kind: "order", Event: "e4"}: "contradiction"},
		},
		"the part that paid fails": {
			[]Fact{order("e1", "success", 1, history.Facts{Part: "a", Captured: usd(30)}), order("e2", "failed", 2, history.Facts{Part: "a"}), order("e3", "failed", 2, history.Facts{Part: "b"})},
			"reversed", []history.Part{{Name: "a", Captured: usd(0)}}, map[history.Key]string{},
		},
		"refunded without a number, and in another currency": {
			[]Fact{order("e1", "success", 1, history.Facts{Amount: usd(30)}), order("e2", "refunded", 2, history.Facts{}),
				order("e3", "success", 3, history.Facts{Refunded: history.Money{Minor: 1, Currency: "EUR"}})},
			"success", []history.Part{{Captured: usd(30), Refunded: usd(30), Paid: true}}, map[history.Key]string{{Kind: "order", Event: "e3"}: "currency_mismatch"},
		},
	} {
		got := Fold(test.facts)
		if o := got.Orders["o"]; o.Status != test.status || o.Parts != history.NewParts(test.parts) || !reflect.DeepEqual(got.DeadLettered, test.dead) {
			t.Errorf("%s: Fold() = %+v, want %s, %s and %v", name, got, test.status, history.NewParts(test.parts), test.dead)
		}
	}
}

func TestFoldDispute(t *testing.T) {
	dispute := func(event, status, stage string, at int64) Fact {
		return Fact{Webhook: workload.DisputeWebhook(event, history.Facts{Order: "o", Dispute: "d", User: "u", Status: status, Stage: stage, Reason: "fraud", Amount: usd(5), At: at * second})}
	}
	for name, test := range map[string]struct {
		facts         []Fact
		status, stage string
		reopened      int
		dead          map[history.Key]string
	}{
		"a second chargeback after won": {
			[]Fact{dispute("d1", "open", "", 1), dispute("d2", "won", "", 2), dispute("d3", "open", "", 3), dispute("d4", "lost", "", 4)},
			"lost", "", 1, map[history.Key]string{},
		},
		"won and lost at one instant": {
			[]Fact{dispute("d1", "won", "", 2), dispute("d2", "lost", "", 2)},
			"lost", "", 0, map[history.Key]string{{Kind: "dispute", Event: "d1"}: "contradiction"},
		},
		"an outcome of a lower stage": {
			[]Fact{dispute("d1", "lost", "arbitration", 1), dispute("d2", "won", "chargeback", 2), dispute("d3", "lost", "chargeback", 3)},
			"lost", "arbitration", 0, map[history.Key]string{{Kind: "dispute", Event: "d2"}: "contradiction"},
		},
		"the stage goes back": {
			[]Fact{dispute("d1", "submitted", "pre_arbitration", 1), dispute("d2", "open", "chargeback", 2)},
			"open", "chargeback", 0, map[history.Key]string{},
		},
	} {
		got := Fold(test.facts)
		if d := got.Disputes["d"]; d.Status != test.status || d.Stage != test.stage || d.Reopened != test.reopened || !reflect.DeepEqual(got.DeadLettered, test.dead) {
			t.Errorf("%s: Fold() = %+v, want %s at stage %q, reopened %d, and %v", name, got, test.status, test.stage, test.reopened, test.dead)
		}
	}
}
