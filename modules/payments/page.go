package payments

import (
	"iter"
	"maps"
	"slices"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// page is one order with its disputes in work: everything that has one version.
type page struct {
	orderID  string
	version  int64
	order    *track[Order]
	disputes map[string]*track[Dispute]
	// loaded says that the tracks hold their whole history; wanted is called
	// when they do not and should.
	loaded bool
	wanted func()
}

func newPage(orderID string, stored *Aggregate, history []*Event, loaded bool, wanted func()) *page {
	p := &page{orderID: orderID, disputes: make(map[string]*track[Dispute]), loaded: loaded, wanted: wanted}
	p.order = &track[Order]{start: Order{ID: orderID}, step: stepOrder}
	p.order.State = p.order.start
	if stored != nil {
		p.version, p.order.Folded = stored.Version, stored.Order
		for _, d := range stored.Disputes {
			p.dispute(d.State.ID).Folded = d
		}
	}
	for _, e := range history {
		p.file(recordedEntry(e))
	}
	if loaded {
		p.fold()
	}
	return p
}

// file puts a recorded event of the history where it belongs.
func (p *page) file(e *entry) {
	if e.IsDispute() {
		t := p.dispute(e.DisputeID())
		t.entries = append(t.entries, e)
		return
	}
	p.order.entries = append(p.order.entries, e)
}

// fold judges the whole history, as the rules are now: the order first, for its
// disputes go by its currency.
func (p *page) fold() {
	slices.SortFunc(p.order.entries, compareEntries)
	p.order.fold()
	for _, t := range p.disputes {
		slices.SortFunc(t.entries, compareEntries)
		t.fold()
	}
}

// dispute is the track of a dispute, a new one if the order has none of it yet.
func (p *page) dispute(id string) *track[Dispute] {
	if t, known := p.disputes[id]; known {
		return t
	}
	start := Dispute{ID: id, OrderID: p.orderID}
	t := &track[Dispute]{start: start, step: func(d Dispute, u *payrelayv1.Update) (Dispute, payrelayv1.DeadLetterReason) {
		return stepDispute(d, u, p.order.State.Amount)
	}}
	t.State = start
	p.disputes[id] = t
	return t
}

// record judges a new event.
func (p *page) record(e *entry) {
	if e.IsDispute() {
		recordIn(p, p.dispute(e.DisputeID()), e)
		return
	}
	currency := p.order.State.Amount.Currency
	recordIn(p, p.order, e)
	if currency != p.order.State.Amount.Currency {
		p.refoldDisputes()
	}
}

// recordIn takes the hot path where it can: one step, and no history read.
func recordIn[S comparable](p *page, t *track[S], e *entry) {
	switch {
	case t.isNewer(e):
		t.append(e)
	case p.loaded:
		t.insert(e)
	default:
		p.wanted()
	}
}

// refoldDisputes judges the disputes again: they must be in the currency of
// their order, and they may have been there before it.
func (p *page) refoldDisputes() {
	if len(p.disputes) > 0 && !p.loaded {
		p.wanted()
		return
	}
	for _, t := range p.disputes {
		t.fold()
	}
}

// aggregate is what is to be stored of the page.
func (p *page) aggregate() *Aggregate {
	a := &Aggregate{OrderID: p.orderID, Version: p.version, Order: p.order.Folded}
	for _, id := range slices.Sorted(maps.Keys(p.disputes)) {
		if p.disputes[id].dirty {
			a.Disputes = append(a.Disputes, p.disputes[id].Folded)
		}
	}
	return a
}

// entries are the events in work, the order's first.
func (p *page) entries() iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for _, e := range p.order.entries {
			if !yield(e) {
				return
			}
		}
		for _, id := range slices.Sorted(maps.Keys(p.disputes)) {
			for _, e := range p.disputes[id].entries {
				if !yield(e) {
					return
				}
			}
		}
	}
}
