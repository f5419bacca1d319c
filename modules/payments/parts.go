package payments

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// part holds the stated amounts of one part of an order: a payment, a capture or a refund
// with its own id, or the order as a whole. The newest stated value of a total replaces
// the previous one, even if it is lower.
type part struct {
	Name       string `json:"part,omitempty"`
	Authorized Money  `json:"authorized,omitzero"`
	Captured   Money  `json:"captured,omitzero"`
	Refunded   Money  `json:"refunded,omitzero"`
	// Implied is the largest amount of a success without a captured total since the last
	// reversal. It is used until Captured is stated.
	Implied Money `json:"implied,omitzero"`
	// Paid reports whether the part is a success that was not reversed.
	Paid bool `json:"paid,omitempty"`
	// AllRefunded means that the part was refunded in full without a stated amount.
	AllRefunded bool `json:"all_refunded,omitempty"`
}

// captured returns the captured amount of the part, which may be unknown.
func (p part) captured() Money {
	if p.Captured.known() {
		return p.Captured
	}
	return p.Implied
}

// refunded returns the refunded amount of the part, which may be unknown.
func (p part) refunded() Money {
	if p.AllRefunded {
		return p.captured()
	}
	return p.Refunded
}

// holdsMoney reports whether the part has captured an amount that is not zero.
func (p part) holdsMoney() bool { return p.captured().MinorUnits > 0 }

// merge sets the totals that a snapshot states.
func (p *part) merge(s *payrelayv1.OrderSnapshot) {
	if m := moneyOf(s.GetAuthorized()); m.known() {
		p.Authorized = m
	}
	if m := moneyOf(s.GetCaptured()); m.known() {
		p.Captured = m
	}
	if m := moneyOf(s.GetRefunded()); m.known() {
		p.Refunded, p.AllRefunded = m, false
	}
}

// succeed records a snapshot with the status success or refunded.
func (p *part) succeed(s *payrelayv1.OrderSnapshot) {
	p.Paid = true
	amount := moneyOf(s.GetAmount())
	if s.GetCaptured() == nil && amount.known() &&
		(amount.Currency != p.Implied.Currency || amount.compare(p.Implied) > 0) {
		p.Implied = amount
	}
	if s.GetStatus() == payrelayv1.OrderStatus_ORDER_STATUS_REFUNDED && s.GetRefunded() == nil {
		p.AllRefunded, p.Refunded = true, Money{}
	}
}

// reverse takes the captured amount back. left is the captured amount after it; zero if
// it is unknown.
func (p *part) reverse(left Money) {
	if !left.known() {
		left = p.captured()
		left.MinorUnits = 0
	}
	p.Captured, p.Implied, p.Paid = Money{}, left, false
}

// parts holds the parts of an order, sorted by name. The order as a whole has no name
// and is the first.
type parts []part

// at returns the part with a name. It adds the part if there is none.
func (ps *parts) at(name string) *part {
	i, found := slices.BinarySearchFunc(*ps, name, func(p part, name string) int { return strings.Compare(p.Name, name) })
	if !found {
		*ps = slices.Insert(*ps, i, part{Name: name})
	}
	return &(*ps)[i]
}

// PartNames returns the provider's ids of the payments, captures and refunds of the order
// with a recorded amount or success, sorted. It returns none if they cannot be read.
func (o Order) PartNames() []string {
	ps, _ := decodeParts(o.Parts)
	var names []string
	for _, p := range ps {
		if p.Name != "" {
			names = append(names, p.Name)
		}
	}
	return names
}

// totals returns the totals of an order. A total of the order as a whole takes precedence
// over the sum of the parts. currency is preferred if the parts have several.
func (ps parts) totals(currency string) Totals {
	whole, named := part{}, ps
	if len(ps) > 0 && ps[0].Name == "" {
		whole, named = ps[0], ps[1:]
	}
	t := Totals{Authorized: whole.Authorized, Captured: whole.Captured, Refunded: whole.Refunded}
	if !t.Authorized.known() {
		t.Authorized = named.sum(currency, func(p part) Money { return p.Authorized })
	}
	if !t.Captured.known() {
		t.Captured = named.sum(currency, part.captured)
		if m := whole.Implied; !t.Captured.known() || m.Currency == t.Captured.Currency && m.compare(t.Captured) > 0 {
			t.Captured = m
		}
	}
	switch {
	case whole.AllRefunded:
		t.Refunded = t.Captured
	case !t.Refunded.known():
		t.Refunded = named.sum(currency, part.refunded)
	}
	return t
}

// sum returns the sum of an amount over the parts, in the preferred currency or, if no
// part has it, in that of the first known amount.
func (ps parts) sum(preferred string, register func(part) Money) Money {
	sum := Money{}
	for _, p := range ps {
		switch m := register(p); {
		case !m.known():
		case !sum.known(), m.Currency == preferred && sum.Currency != preferred:
			sum = m
		case m.Currency == sum.Currency:
			sum = sum.add(m)
		}
	}
	return sum
}

// encode returns the parts as text. Equal parts have equal text.
func (ps parts) encode() string {
	stated := slices.DeleteFunc(slices.Clone(ps), func(p part) bool { return p == part{Name: p.Name} })
	if len(stated) == 0 {
		return ""
	}
	encoded, err := json.Marshal(stated)
	if err != nil {
		panic(err) // a struct of texts and numbers can be encoded
	}
	text := string(encoded)
	recentParts.put(text, stated)
	return text
}

func decodeParts(text string) (parts, error) {
	if text == "" {
		return nil, nil
	}
	if ps, known := recentParts.get(text); known {
		return ps, nil
	}
	var ps parts
	if err := json.Unmarshal([]byte(text), &ps); err != nil {
		return nil, fmt.Errorf("read the parts of an order: %w", err)
	}
	return ps, nil
}

// recentParts holds the parts that were encoded last, because each step of a fold
// decodes what the step before it encoded.
var recentParts partsCache

type partsCache struct {
	mu      sync.Mutex
	entries [8]struct {
		text string
		ps   parts
	}
	next int
}

// put keeps parts, which must not change any more.
func (c *partsCache) put(text string, ps parts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries[c.next].text, c.entries[c.next].ps = text, ps
	c.next = (c.next + 1) % len(c.entries)
}

// get returns a copy of the parts, with room for one more.
func (c *partsCache) get(text string) (parts, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.entries {
		if e := &c.entries[i]; e.text == text {
			return append(make(parts, 0, len(e.ps)+1), e.ps...), true
		}
	}
	return nil, false
}

// Flags returns the flags of an order, sorted by name.
func (o Order) Flags() []Flag {
	amounts, totals := o.amounts(), o.Totals()
	flags := moneyFlags(amounts)
	if totals.Refunded.exceeds(totals.Captured) {
		flags = append(flags, FlagOverRefunded)
	}
	if totals.Captured.exceeds(o.Amount) {
		flags = append(flags, FlagOverpaid)
	}
	if len(amounts) > 0 && slices.ContainsFunc(amounts, amounts[0].differs) {
		flags = append(flags, FlagCurrencyDiffers)
	}
	slices.Sort(flags)
	return flags
}

// amounts returns all known amounts of an order and its parts.
func (o Order) amounts() []Money {
	amounts := []Money{o.Amount}
	ps, _ := decodeParts(o.Parts) // unreadable parts have no amounts
	for _, p := range ps {
		amounts = append(amounts, p.Authorized, p.Captured, p.Refunded, p.Implied)
	}
	return slices.DeleteFunc(amounts, func(m Money) bool { return !m.known() })
}

// View returns refunded or partially_refunded for a success with refunds, and the name of
// the status otherwise.
func (o Order) View() string {
	t := o.Totals()
	if o.Status == payrelayv1.OrderStatus_ORDER_STATUS_SUCCESS && t.Refunded.MinorUnits > 0 {
		if t.Captured.exceeds(t.Refunded) {
			return "partially_refunded"
		}
		return "refunded"
	}
	return OrderStatuses.Name(o.Status)
}
