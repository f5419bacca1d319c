package workload

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// The generator's rates.
const (
	shuffledOrders  = 0.20 // orders whose webhooks are sent in random order
	disputedOrders  = 0.40 // orders with a dispute; one in four of them has two
	contradicted    = 0.02 // orders with an update after their final status
	unknownStatuses = 0.01 // orders with an update whose status is not known
	sentTwice       = 0.10 // webhooks that are sent again some time later
	sentAtOnce      = 0.05 // webhooks that are sent several times at once
	invalid         = 0.01 // webhooks that are followed by an invalid one
	sameSecond      = 0.20 // webhooks with the time of the one before

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
}

// Order returns the webhooks of an order, numbered from 0, in the order in which
// they are sent.
func (g Generator) Order(number int) []Delivery {
	r := rand.New(rand.NewPCG(g.Seed, uint64(number)))
	l := &life{Rand: r, order: history.OrderID(number), clock: epoch.Add(time.Duration(number) * time.Second)}
	l.generate()
	deliveries := make([]Delivery, 0, len(l.webhooks))
	for _, w := range l.webhooks {
		deliveries = append(deliveries, l.delivery(w))
		if r.Float64() < invalid {
			deliveries = append(deliveries, Delivery{Webhook: invalidate(r, w), Copies: 1})
		}
	}
	if r.Float64() < shuffledOrders {
		r.Shuffle(len(deliveries), func(i, j int) { deliveries[i], deliveries[j] = deliveries[j], deliveries[i] })
	}
	return deliveries
}

// epoch is when order 0 was created.
var epoch = time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)

// life is one order that is being generated, with its disputes.
type life struct {
	*rand.Rand
	order    string
	clock    time.Time
	webhooks []*history.Webhook
}

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

// generate takes the order through its states: created, some updates, usually a
// final one, and disputes that open, move and usually close. A few webhooks are
// mistakes of the provider.
func (l *life) generate() {
	f := history.Facts{Order: l.order, User: fmt.Sprintf("user-%d", l.IntN(1000)), Amount: 1 + l.Int64N(1_000_000), Currency: l.pick("USD", "EUR", "GBP")}
	f.CreatedAt = l.clock.UnixMicro()
	l.addOrder(f, "created")
	for range l.IntN(3) {
		f.Amount = 1 + l.Int64N(1_000_000)
		l.addOrder(f, "updated")
	}
	ended := l.Float64() < 0.8
	if ended {
		l.addOrder(f, l.pick("success", "failed"))
	}
	if l.Float64() < disputedOrders {
		l.dispute(f, l.order)
		if l.Float64() < 0.25 {
			l.dispute(f, l.order+"-second")
		}
	}
	if ended && l.Float64() < contradicted {
		l.addOrder(f, "updated")
	}
	if l.Float64() < unknownStatuses {
		l.addOrder(f, "")
	}
}

// addOrder adds a webhook about the order; an empty status stands for one that
// payrelay does not know.
func (l *life) addOrder(f history.Facts, status string) {
	f.At, f.Status = l.tick(), status
	if status == "" {
		f.ProviderStatus = "frozen"
	}
	l.webhooks = append(l.webhooks, OrderWebhook(l.nextEvent(), f))
}

func (l *life) dispute(order history.Facts, id string) {
	f := history.Facts{Order: l.order, Dispute: id, User: order.User, Currency: order.Currency,
		Amount: 1 + l.Int64N(order.Amount), Reason: l.pick("fraud", "not_received", "duplicate")}
	l.addDispute(f, "open")
	for range l.IntN(3) {
		f.EvidenceDueAt = l.clock.Add(14 * 24 * time.Hour).UnixMicro()
		l.addDispute(f, l.pick("under_review", "submitted"))
	}
	if l.Float64() < 0.8 {
		l.addDispute(f, l.pick("won", "lost", "closed", "canceled"))
	}
}

func (l *life) addDispute(f history.Facts, status string) {
	f.At, f.Status = l.tick(), status
	l.webhooks = append(l.webhooks, DisputeWebhook(l.nextEvent(), f))
}

// tick advances the provider's clock, which counts whole seconds.
func (l *life) tick() int64 {
	if l.Float64() >= sameSecond {
		l.clock = l.clock.Add(time.Duration(1+l.IntN(600)) * time.Second)
	}
	return l.clock.UnixMicro()
}

func (l *life) nextEvent() string { return fmt.Sprintf("%s-%d", l.order, len(l.webhooks)) }

func (l *life) pick(from ...string) string { return from[l.IntN(len(from))] }
