package checker

import (
	"maps"
	"slices"

	"github.com/payrelay/payrelay/e2e/chaos/history"
)

// orderModel is an order and its parts.
type orderModel struct {
	history.Order
	parts map[string]*partModel
}

// partModel is what was said about the money of a part.
type partModel struct {
	authorized, captured, refunded history.Money
	// implied is what the part captured by a success that has no total.
	implied     history.Money
	paid        bool
	allRefunded bool
}

func (p *partModel) holds() history.Money {
	if p.captured.Known() {
		return p.captured
	}
	return p.implied
}

// fold takes the next facts, or returns the reason why they are a dead letter.
func (o *orderModel) fold(f history.Facts, forced bool) string {
	status := f.Status
	if status == "refunded" {
		status = "success"
	}
	if o.parts[f.Part] == nil {
		o.parts[f.Part] = new(partModel)
	}
	p := o.parts[f.Part]
	sets := forced || o.leaves(status)
	if o.Status == "success" && !forced {
		switch status {
		case "failed", "canceled":
			switch {
			case f.Part != "" && p.paid:
				sets, status = true, "reversed" // the money that was there is lost
			case f.Part == "" || o.parts[""] != nil && o.parts[""].paid:
				return "contradiction" // no part says which attempt it is about
			}
		case "reversed":
			sets = f.Part == "" || p.paid
		}
	}
	if captured := o.currency(); captured != "" && !forced && (o.Status == "success" || o.Status == "reversed") {
		for _, m := range []history.Money{f.Amount, f.Authorized, f.Captured, f.Refunded} {
			if m.Known() && m.Currency != captured {
				return "currency_mismatch"
			}
		}
	}
	if o.Status == "" {
		o.CreatedAt = f.At
		take(&o.CreatedAt, f.CreatedAt)
	}
	take(&o.User, f.User)
	take(&o.Amount, f.Amount)
	o.UpdatedAt = f.At
	take(&p.authorized, f.Authorized)
	take(&p.captured, f.Captured)
	if take(&p.refunded, f.Refunded); f.Refunded.Known() {
		p.allRefunded = false
	}
	if !sets {
		return ""
	}
	switch status {
	case "success":
		p.paid = true
		if !f.Captured.Known() && f.Amount.Known() && (f.Amount.Currency != p.implied.Currency || f.Amount.Minor > p.implied.Minor) {
			p.implied = f.Amount
		}
		if f.Status == "refunded" && !f.Refunded.Known() {
			p.allRefunded = true
		}
	case "reversed":
		wasPaid := o.Status == "success"
		for name, other := range o.parts {
			if f.Part == "" || name == f.Part {
				other.captured, other.implied, other.paid = history.Money{}, history.Money{Currency: other.holds().Currency}, false
			}
		}
		take(&p.implied, f.Captured)
		for name, other := range o.parts {
			if wasPaid && f.Part != "" && name != f.Part && other.holds().Minor > 0 {
				status = "success" // another part still holds money
			}
		}
	}
	o.Status = status
	return ""
}

// leaves reports whether an order leaves its status for another one, apart from what
// parts change about it.
func (o *orderModel) leaves(status string) bool {
	return !slices.Contains(map[string][]string{
		"updated":    {"created"},
		"authorized": {"created", "updated"},
		"failed":     {"created"},
		"canceled":   {"created", "updated", "failed"},
		"success":    {"created", "updated", "authorized", "failed", "canceled"},
		"reversed":   {"created", "updated", "authorized", "failed", "canceled"},
	}[o.Status], status)
}

// currency returns the currency in which the order captured money, or "".
func (o *orderModel) currency() string {
	whole := o.parts[""]
	if whole != nil && whole.captured.Known() {
		return whole.captured.Currency
	}
	found := ""
	for _, name := range slices.Sorted(maps.Keys(o.parts)) {
		if c := o.parts[name].holds().Currency; name != "" && c != "" && (found == "" || c == o.Amount.Currency) {
			found = c
		}
	}
	if found == "" && whole != nil {
		return whole.implied.Currency
	}
	return found
}

func (o *orderModel) state() history.Order {
	var all []history.Part
	for name, p := range o.parts {
		part := history.Part{Name: name, Authorized: p.authorized, Captured: p.holds(), Refunded: p.refunded, Paid: p.paid}
		if p.allRefunded {
			part.Refunded = p.holds()
		}
		all = append(all, part)
	}
	state := o.Order
	state.Parts = history.NewParts(all)
	return state
}
