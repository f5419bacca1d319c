package load

import (
	"cmp"
	"iter"
	"slices"
)

// Order is what was sent about an order and its dispute, in the sequence of
// their times.
type Order struct {
	ID       string
	Webhooks []Sent
}

// Sent is a webhook that was sent, be it several times.
type Sent struct {
	Webhook
	// Accepted says that it was answered 2xx at least once. If not, nobody knows
	// what became of it.
	Accepted bool
}

// Accepted is how many webhooks were answered 2xx so far, duplicates included.
func (p *Provider) Accepted() (count int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.attempts {
		if a.accepted {
			count++
		}
	}
	return count
}

// told is an attempt by what it told.
type told struct {
	place
	accepted bool
}

// Orders is all that was sent so far, by order. It must not be called while
// something is being sent.
func (p *Provider) Orders() iter.Seq[Order] {
	all := make([]told, len(p.attempts))
	for i, a := range p.attempts {
		all[i] = told{p.script.place(a.n), a.accepted}
	}
	slices.SortFunc(all, func(a, b told) int { return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.at, b.at)) })
	return func(yield func(Order) bool) {
		for len(all) > 0 {
			end := 1
			for end < len(all) && all[end].order == all[0].order {
				end++
			}
			if !yield(p.script.order(all[:end])) {
				return
			}
			all = all[end:]
		}
	}
}

// order is what was told of one order.
func (s *Script) order(all []told) Order {
	o := Order{ID: s.orderID(all[0].place)}
	for i, t := range all {
		if i > 0 && t.place == all[i-1].place { // a duplicate
			last := &o.Webhooks[len(o.Webhooks)-1]
			last.Accepted = last.Accepted || t.accepted
			continue
		}
		o.Webhooks = append(o.Webhooks, Sent{s.tell(t.place, nil), t.accepted})
	}
	return o
}
