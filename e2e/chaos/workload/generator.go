package workload

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// The generator's rates.
const (
	shuffledOrders   = 0.20 // orders whose webhooks are sent in random order
	disputedOrders   = 0.40 // orders with a dispute; one in four of them has two
	contradicted     = 0.02 // paid orders that fail or are canceled without a part
	otherCurrencies  = 0.02 // paid orders with a total in another currency
	mismatchedOrders = 0.02 // disputes with an update that names another order
	unknownStatuses  = 0.01 // orders with an update whose status is not known
	sentTwice        = 0.10 // webhooks that are sent again some time later
	sentAtOnce       = 0.05 // webhooks that are sent several times at once
	invalid          = 0.01 // webhooks that are followed by an invalid one
	odd              = 0.05 // webhooks in an odd form that is valid
	cosmetic         = 0.02 // webhooks that are repeated in another form, with the same facts
	conflicting      = 0.01 // webhooks that are repeated with other facts
	sameSecond       = 0.20 // webhooks with the time of the one before

	held     = 0.60 // orders of which one webhook is held back, if they are operated
	heldLate = 0.30 // late webhooks of a long history that are held back

	// OperatedOrders is the number of orders, from the first, whose dead letters an
	// operator decides before the end of a run.
	OperatedOrders = 300
	// operatedMistakes is how many times as often these have a mistake of the provider.
	operatedMistakes = 4

	copiesAtOnce = 5
	againWithin  = 3 * time.Second
)

// Generator generates the orders of a run. The same seed always generates the
// same orders.
type Generator struct{ Seed uint64 }

// Delivery is a webhook and how it is sent.
type Delivery struct {
	Webhook *history.Webhook
	// Copies is the number of times that it is sent at once.
	Copies int
	// Again, if not 0, is the time after which it is sent once more although it was
	// accepted.
	Again time.Duration
	// After is the time from the beginning of the order after which it is sent, beside
	// the other webhooks of the order; 0 for one that is sent when the one before it is
	// answered.
	After time.Duration
	// Held means that it is sent only after an operator has decided dead letters.
	Held bool
	// Then are webhooks with the same key, which are sent once this one is accepted.
	Then []*history.Webhook
}

// Order returns the webhooks of an order, numbered from 0, in the order in which
// they are sent.
func (g Generator) Order(number int) []Delivery {
	r := rand.New(rand.NewPCG(g.Seed, uint64(number)))
	l := &life{Rand: r, order: history.OrderID(number), clock: epoch.Add(time.Duration(number) * time.Second),
		events: make(map[string]int), late: make(map[*history.Webhook]bool)}
	if l.mistakes = 1; number < OperatedOrders {
		l.mistakes = operatedMistakes
	}
	if IsLong(number) {
		l.generateLong()
	} else {
		l.generate()
	}
	deliveries := make([]Delivery, 0, len(l.webhooks))
	for _, w := range l.webhooks {
		plain := *w
		if l.Float64() < odd {
			oddities[l.IntN(len(oddities))](w)
		}
		d := l.delivery(w)
		if l.Float64() < cosmetic {
			d.Then = append(d.Then, repeat(r, &plain))
		}
		if l.Float64() < conflicting && w.Facts.Status != "" {
			d.Then = append(d.Then, contradict(r, &plain))
		}
		deliveries = append(deliveries, d)
		if r.Float64() < invalid {
			deliveries = append(deliveries, Delivery{Webhook: invalidate(r, &plain), Copies: 1})
		}
	}
	switch {
	case IsLong(number):
		l.sendLateLast(deliveries)
	case r.Float64() < shuffledOrders:
		r.Shuffle(len(deliveries), func(i, j int) { deliveries[i], deliveries[j] = deliveries[j], deliveries[i] })
	}
	if number < OperatedOrders && r.Float64() < held {
		deliveries[r.IntN(len(deliveries))].Held = true
	}
	return g.sign(number, deliveries)
}

// sendLateLast puts the late webhooks of a long history after the others, in random
// order, and sends all of them side by side.
func (l *life) sendLateLast(deliveries []Delivery) {
	order := make(map[*history.Webhook]int)
	for _, d := range deliveries {
		if l.late[d.Webhook] {
			order[d.Webhook] = 1 + l.IntN(1000)
		}
	}
	slices.SortStableFunc(deliveries, func(a, b Delivery) int { return cmp.Compare(order[a.Webhook], order[b.Webhook]) })
	for i := range deliveries {
		d := &deliveries[i]
		d.After = time.Duration(1+i) * longPace
		d.Held = l.late[d.Webhook] && l.Float64() < heldLate
	}
}

// epoch is when order 0 was created.
var epoch = time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)

func (l *life) delivery(w *history.Webhook) Delivery {
	d := Delivery{Webhook: w, Copies: 1}
	if l.Float64() < sentAtOnce {
		d.Copies = copiesAtOnce
	}
	if l.Float64() < sentTwice {
		d.Again = time.Duration(1 + l.Int64N(int64(againWithin)))
	}
	return d
}
