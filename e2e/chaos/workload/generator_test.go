package workload

import (
	"reflect"
	"testing"

	"github.com/payrelay/payrelay/e2e/chaos/checker"
	"github.com/payrelay/payrelay/e2e/chaos/history"
)

func TestGeneratorRepeats(t *testing.T) {
	for number := range 100 {
		if one, two := (Generator{3}).Order(number), (Generator{3}).Order(number); !reflect.DeepEqual(one, two) {
			t.Fatalf("Order(%d) = %+v, and then %+v", number, one, two)
		}
	}
	if one, other := (Generator{3}).Order(0), (Generator{4}).Order(0); reflect.DeepEqual(one, other) {
		t.Errorf("Order(0) is the same for two seeds: %+v", one)
	}
}

// TestGeneratorRates: the generator has the rates of the constants.
func TestGeneratorRates(t *testing.T) {
	const orders = 20_000
	var webhooks, twice, atOnce, bad, dead, inOrder, disputes float64
	for number := range orders {
		var events []string
		var valid []*history.Webhook
		for _, d := range (Generator{1}).Order(number) {
			if !d.Webhook.Valid() {
				bad++
				continue
			}
			webhooks++
			twice += count(d.Again > 0)
			atOnce += count(d.Copies > 1)
			events, valid = append(events, d.Webhook.Event), append(valid, d.Webhook)
		}
		model := checker.Fold(history.OrderID(number), valid)
		dead += count(len(model.DeadLettered) > 0)
		disputes += count(len(model.Disputes) > 0)
		inOrder += count(isSorted(events))
	}
	for name, rate := range map[string]struct{ got, want float64 }{
		"sent twice":   {twice / webhooks, sentTwice},
		"sent at once": {atOnce / webhooks, sentAtOnce},
		"invalid":      {bad / webhooks, invalid},
		"disputed":     {disputes / orders, disputedOrders},
		// A shuffle of few webhooks sometimes leaves them in order.
		"shuffled":      {1 - inOrder/orders, 0.93 * shuffledOrders},
		"dead-lettered": {dead / orders, 0.8*contradicted + unknownStatuses},
	} {
		if rate.got < 0.85*rate.want || rate.got > 1.15*rate.want {
			t.Errorf("%s: rate %.4f, want about %.4f", name, rate.got, rate.want)
		}
	}
}

func count(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// isSorted reports whether events are in the order of their numbers, which have
// one digit for nearly all orders.
func isSorted(events []string) bool {
	for i := 1; i < len(events); i++ {
		if len(events[i]) == len(events[i-1]) && events[i] < events[i-1] {
			return false
		}
	}
	return true
}

// TestMutations: each mutation changes the webhook, and sets how it must be
// refused.
func TestMutations(t *testing.T) {
	valid := Generator{1}.Order(0)[0].Webhook
	for i, mutate := range mutations {
		w := *valid
		mutate(&w)
		if w.Refusal/100 != 4 || w.Body == valid.Body && w.Path == valid.Path && w.ContentType == valid.ContentType {
			t.Errorf("mutation %d makes %+v", i, w)
		}
	}
}
