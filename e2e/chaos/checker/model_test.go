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
		var webhooks []*history.Webhook
		for _, d := range (workload.Generator{Seed: 9}).Order(number) {
			webhooks = append(webhooks, d.Webhook)
		}
		want := Fold(history.OrderID(number), webhooks)
		for range 20 {
			r.Shuffle(len(webhooks), func(i, j int) { webhooks[i], webhooks[j] = webhooks[j], webhooks[i] })
			if got := Fold(history.OrderID(number), webhooks); !reflect.DeepEqual(got, want) {
				t.Fatalf("Fold(order %d) = %+v, want %+v in any sequence", number, got, want)
			}
		}
	}
}

func TestFold(t *testing.T) {
	const second = 1_000_000
	order := func(event, status string, at, amount int64) *history.Webhook {
		return workload.OrderWebhook(event, history.Facts{Order: "o", User: "u", Status: status, Amount: amount, Currency: "USD", At: at * second, CreatedAt: second})
	}
	dispute := func(event, status string, at int64) *history.Webhook {
		return workload.DisputeWebhook(event, history.Facts{Order: "o", Dispute: "d", User: "u", Status: status, Reason: "fraud", Amount: 5, Currency: "USD", At: at * second, EvidenceDueAt: 0})
	}
	got := Fold("o", []*history.Webhook{
		order("e5", "updated", 9, 50), // after the end
		order("e3", "success", 3, 30),
		order("e2", "updated", 3, 20), // in the same second, but of a lower rank
		order("e1", "created", 1, 10),
		workload.OrderWebhook("e4", history.Facts{Order: "o", ProviderStatus: "frozen", At: 4 * second}),
		dispute("d2", "won", 6), dispute("d1", "open", 5), dispute("d3", "lost", 7),
	})
	want := Model{
		Order:        history.Order{ID: "o", Status: "success", User: "u", Amount: 30, Currency: "USD", CreatedAt: second, UpdatedAt: 3 * second},
		Disputes:     map[string]history.Dispute{"d": {ID: "d", Order: "o", Status: "won", User: "u", Reason: "fraud", Amount: 5, Currency: "USD", OpenedAt: 5 * second, UpdatedAt: 6 * second}},
		DeadLettered: map[string]string{"e4": "unknown_status", "e5": "illegal_transition", "d3": "illegal_transition"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Fold() = %+v\nwant %+v", got, want)
	}
}
