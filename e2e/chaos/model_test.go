package chaos

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestFoldIgnoresSequence: what a set of webhooks amounts to does not depend on
// their sequence.
func TestFoldIgnoresSequence(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for number := range 500 {
		var webhooks []*Webhook
		for _, d := range (Generator{9}).Order(number) {
			webhooks = append(webhooks, d.Webhook)
		}
		want := Fold(orderID(number), webhooks)
		for range 20 {
			r.Shuffle(len(webhooks), func(i, j int) { webhooks[i], webhooks[j] = webhooks[j], webhooks[i] })
			if got := Fold(orderID(number), webhooks); !reflect.DeepEqual(got, want) {
				t.Fatalf("order %d amounts to %+v and to %+v", number, want, got)
			}
		}
	}
}

func TestFold(t *testing.T) {
	const second = 1_000_000
	say := func(event, status string, at, amount int64) *Webhook {
		return orderWebhook(event, Facts{Order: "o", User: "u", Status: status, Amount: amount, Currency: "USD", At: at * second, CreatedAt: second})
	}
	dispute := func(event, status string, at int64) *Webhook {
		return disputeWebhook(event, Facts{Order: "o", Dispute: "d", User: "u", Status: status, Reason: "fraud", Amount: 5, Currency: "USD", At: at * second, EvidenceDueAt: 0})
	}
	got := Fold("o", []*Webhook{
		say("e5", "updated", 9, 50), // after the end
		say("e3", "success", 3, 30),
		say("e2", "updated", 3, 20), // in the same second, but before
		say("e1", "created", 1, 10),
		orderWebhook("e4", Facts{Order: "o", ProviderStatus: "frozen", At: 4 * second}),
		dispute("d2", "won", 6), dispute("d1", "open", 5), dispute("d3", "lost", 7),
	})
	want := Outlook{
		Order:    Order{ID: "o", Status: "success", User: "u", Amount: 30, Currency: "USD", CreatedAt: second, UpdatedAt: 3 * second},
		Disputes: map[string]Dispute{"d": {ID: "d", Order: "o", Status: "won", User: "u", Reason: "fraud", Amount: 5, Currency: "USD", OpenedAt: 5 * second, UpdatedAt: 6 * second}},
		Refused:  map[string]string{"e4": "unknown_status", "e5": "illegal_transition", "d3": "illegal_transition"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
