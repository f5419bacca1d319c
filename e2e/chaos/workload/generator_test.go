package workload

import (
	"reflect"
	"slices"
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
	var webhooks, signed, fakes, twice, atOnce, bad, inOrder, disputes, again, conflicts float64
	reasons := make(map[string]int)
	for number := range orders {
		var events []int64
		var facts []checker.Fact
		for _, d := range (Generator{1}).Order(number) {
			switch {
			case d.Webhook.Forged():
				fakes++
				continue
			case !d.Webhook.Valid():
				bad++
				continue
			}
			webhooks++
			signed += count(d.Webhook.Signature == history.Authentic)
			twice += count(d.Again > 0)
			atOnce += count(d.Copies > 1)
			events, facts = append(events, d.Webhook.Facts.At), append(facts, checker.Fact{Webhook: d.Webhook})
			for _, w := range d.Then {
				if w.Facts.Same(d.Webhook.Facts) {
					again++
				} else {
					conflicts++
				}
			}
		}
		model := checker.Fold(facts)
		disputes += count(len(model.Disputes) > 0)
		for _, reason := range model.DeadLettered {
			reasons[reason]++
		}
		inOrder += count(slices.IsSorted(events))
	}
	for _, reason := range []string{"contradiction", "currency_mismatch", "order_mismatch", "unknown_status"} {
		if n := reasons[reason]; n < orders/500 || n > orders/20 {
			t.Errorf("%d orders have %d dead letters with the reason %s, want between 1 in 500 and 1 in 20", orders, n, reason)
		}
	}
	// Long histories, which are most of the webhooks, have no forged ones.
	if fakes < orders/50 || fakes > orders/10 {
		t.Errorf("%v webhooks are forged, want between %d and %d", fakes, orders/50, orders/10)
	}
	for name, rate := range map[string]struct{ got, want float64 }{
		"sent twice":   {twice / webhooks, sentTwice},
		"sent at once": {atOnce / webhooks, sentAtOnce},
		"invalid":      {bad / webhooks, invalid},
		"signed":       {signed / webhooks, signedOrders},
		"cosmetic":     {again / webhooks, cosmetic},
		"conflicting":  {conflicts / webhooks, conflicting},
		"disputed":     {disputes / orders, disputedOrders},
		// A shuffle of few webhooks sometimes leaves them in order.
		"shuffled": {1 - inOrder/orders, 0.93 * shuffledOrders},
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

// TestOddities: each oddity changes the webhook.
func TestOddities(t *testing.T) {
	for i, change := range oddities {
		changed := false
		for number := range 10 {
			for _, d := range (Generator{1}).Order(number) {
				w := *d.Webhook
				change(&w)
				changed = changed || w.Body != d.Webhook.Body || w.ContentType != d.Webhook.ContentType
			}
		}
		if !changed {
			t.Errorf("oddity %d changes no webhook", i)
		}
	}
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
