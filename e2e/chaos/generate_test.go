package chaos

import (
	"reflect"
	"testing"
)

func TestGeneratorRepeats(t *testing.T) {
	for number := range 100 {
		if one, two := (Generator{3}).Order(number), (Generator{3}).Order(number); !reflect.DeepEqual(one, two) {
			t.Fatalf("order %d is told in two ways: %+v and %+v", number, one, two)
		}
	}
	if one, other := (Generator{3}).Order(0), (Generator{4}).Order(0); reflect.DeepEqual(one, other) {
		t.Error("two seeds tell the same")
	}
}

// TestGeneratorShares: the generator does as often what it says it does.
func TestGeneratorShares(t *testing.T) {
	const orders = 20_000
	var webhooks, twice, atOnce, spoiled, dead, inSequence, disputes float64
	for number := range orders {
		var events []string
		var taken []*Webhook
		for _, d := range (Generator{1}).Order(number) {
			if d.Webhook.Refused != 0 {
				spoiled++
				continue
			}
			webhooks++
			twice += truth(d.Again > 0)
			atOnce += truth(d.Copies > 1)
			events, taken = append(events, d.Webhook.Event), append(taken, d.Webhook)
		}
		outlook := Fold(orderID(number), taken)
		dead += truth(len(outlook.Refused) > 0)
		disputes += truth(len(outlook.Disputes) > 0)
		inSequence += truth(isSorted(events))
	}
	for name, share := range map[string][2]float64{
		"sent twice":   {twice / webhooks, sentTwice},
		"sent at once": {atOnce / webhooks, sentAtOnce},
		"bad":          {spoiled / webhooks, bad},
		"disputed":     {disputes / orders, disputed},
		// Of few webhooks, some sequences that are drawn by lot are the same.
		"shuffled":      {1 - inSequence/orders, 0.93 * shuffled},
		"dead-lettered": {dead / orders, 0.8*contradicted + unheardOf},
	} {
		if share[0] < 0.85*share[1] || share[0] > 1.15*share[1] {
			t.Errorf("%s: a share of %.4f, want about %.4f", name, share[0], share[1])
		}
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// isSorted says whether events are in the sequence of their numbers, which are
// less than 10 for nearly all orders.
func isSorted(events []string) bool {
	for i := 1; i < len(events); i++ {
		if len(events[i]) == len(events[i-1]) && events[i] < events[i-1] {
			return false
		}
	}
	return true
}

// TestSpoiledIsBad: each way to spoil a webhook changes it, and says what the
// answer must be.
func TestSpoiledIsBad(t *testing.T) {
	good := Generator{1}.Order(0)[0].Webhook
	for i, spoil := range spoilings {
		w := *good
		spoil(&w)
		if w.Refused/100 != 4 || w.Body == good.Body && w.Path == good.Path && w.ContentType == good.ContentType {
			t.Errorf("spoiling %d leaves %+v", i, w)
		}
	}
}
