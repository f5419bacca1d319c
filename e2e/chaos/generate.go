package chaos

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Shares of what the generator does to the webhooks of an order.
const (
	shuffled     = 0.20 // of orders have their webhooks sent in any sequence
	sentTwice    = 0.10 // of webhooks are sent again some time later
	sentAtOnce   = 0.05 // of webhooks are sent by several senders at once
	bad          = 0.01 // of webhooks are followed by one that must be refused
	disputed     = 0.40 // of orders have a dispute, and a quarter of those a second one
	contradicted = 0.02 // of orders get an update after their end that contradicts it
	unheardOf    = 0.01 // of orders get an update with a status that nobody knows
	sameSecond   = 0.20 // of webhooks happened in the same second as the one before

	copiesAtOnce = 5
	againWithin  = 3 * time.Second
)

// Generator makes up what a provider has to tell. The same seed tells the same,
// whatever the program under test answers.
type Generator struct{ Seed uint64 }

// Delivery is a webhook and how it is sent.
type Delivery struct {
	Webhook *Webhook
	// Copies are sent at once, by as many senders.
	Copies int
	// Again, if not 0, is after which time it is sent once more although it was
	// accepted.
	Again time.Duration
}

// Order is all that there is to tell of the order of that number, which starts
// from 0, in the sequence in which it is sent.
func (g Generator) Order(number int) []Delivery {
	r := rand.New(rand.NewPCG(g.Seed, uint64(number)))
	s := &story{Rand: r, order: orderID(number), clock: birth.Add(time.Duration(number) * time.Second)}
	s.tell()
	deliveries := make([]Delivery, 0, len(s.webhooks))
	for _, w := range s.webhooks {
		deliveries = append(deliveries, s.delivery(w))
		if r.Float64() < bad {
			deliveries = append(deliveries, Delivery{Webhook: spoil(r, w), Copies: 1})
		}
	}
	if r.Float64() < shuffled {
		r.Shuffle(len(deliveries), func(i, j int) { deliveries[i], deliveries[j] = deliveries[j], deliveries[i] })
	}
	return deliveries
}

func orderID(number int) string { return fmt.Sprintf("o-%d", number) }

// birth is when the first order was made, long ago.
var birth = time.Date(2026, 1, 4, 10, 0, 0, 0, time.UTC)

// story is one order in the making.
type story struct {
	*rand.Rand
	order    string
	clock    time.Time
	webhooks []*Webhook
}

func (s *story) delivery(w *Webhook) Delivery {
	d := Delivery{Webhook: w, Copies: 1}
	if s.Float64() < sentAtOnce {
		d.Copies = copiesAtOnce
	}
	if s.Float64() < sentTwice {
		d.Again = time.Duration(1 + s.Int64N(int64(againWithin)))
	}
	return d
}

// tell is a valid walk: created, some updates, mostly an end, and disputes that
// open, move and mostly close. Now and then the provider errs.
func (s *story) tell() {
	f := Facts{Order: s.order, User: fmt.Sprintf("user-%d", s.IntN(1000)), Amount: 1 + s.Int64N(1_000_000), Currency: pick(s, "USD", "EUR", "GBP")}
	f.CreatedAt = s.clock.UnixMicro()
	s.say(f, "created")
	for range s.IntN(3) {
		f.Amount = 1 + s.Int64N(1_000_000)
		s.say(f, "updated")
	}
	ended := s.Float64() < 0.8
	if ended {
		s.say(f, pick(s, "success", "failed"))
	}
	if s.Float64() < disputed {
		s.dispute(f, s.order)
		if s.Float64() < 0.25 {
			s.dispute(f, s.order+"-second")
		}
	}
	if ended && s.Float64() < contradicted {
		s.say(f, "updated")
	}
	if s.Float64() < unheardOf {
		s.say(f, "")
	}
}

// say adds a webhook about the order; the empty status is one that nobody knows.
func (s *story) say(f Facts, status string) {
	f.At, f.Status = s.tick(), status
	if status == "" {
		f.ProviderStatus = "frozen"
	}
	s.webhooks = append(s.webhooks, orderWebhook(s.nextEvent(), f))
}

func (s *story) dispute(order Facts, id string) {
	f := Facts{Order: s.order, Dispute: id, User: order.User, Currency: order.Currency,
		Amount: 1 + s.Int64N(order.Amount), Reason: pick(s, "fraud", "not_received", "duplicate")}
	s.sayOf(f, "open")
	for range s.IntN(3) {
		f.EvidenceDueAt = s.clock.Add(14 * 24 * time.Hour).UnixMicro()
		s.sayOf(f, pick(s, "under_review", "submitted"))
	}
	if s.Float64() < 0.8 {
		s.sayOf(f, pick(s, "won", "lost", "closed", "canceled"))
	}
}

// sayOf adds a webhook about a dispute.
func (s *story) sayOf(f Facts, status string) {
	f.At, f.Status = s.tick(), status
	s.webhooks = append(s.webhooks, disputeWebhook(s.nextEvent(), f))
}

// tick moves the provider's clock, which knows seconds only.
func (s *story) tick() int64 {
	if s.Float64() >= sameSecond {
		s.clock = s.clock.Add(time.Duration(1+s.IntN(600)) * time.Second)
	}
	return s.clock.UnixMicro()
}

func (s *story) nextEvent() string { return fmt.Sprintf("%s-%d", s.order, len(s.webhooks)) }

func pick(s *story, from ...string) string { return from[s.IntN(len(from))] }
