// Package oracle computes the result of a set of updates in the simplest way. The tests
// of package payments and of the stores compare the ledger with it. The package also
// has their input: random histories and scenarios.
package oracle

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Fold sorts all updates and applies them one after the other. It shares no code with
// the rules of the ledger, and supports only amounts in the minor units of ISO 4217.
// An operator accepted the updates whose keys are in forced.
func Fold(updates []*payrelayv1.Update, forced map[payments.Key]bool) Result {
	result := NewResult()
	sorted := slices.SortedStableFunc(slices.Values(updates), func(a, b *payrelayv1.Update) int {
		return cmp.Or(
			micros(a).Compare(micros(b)),
			cmp.Compare(a.GetDispute().GetStage(), b.GetDispute().GetStage()),
			cmp.Compare(rank(a), rank(b)),
			cmp.Compare(a.GetOrder().GetRefunded().GetMinorUnits(), b.GetOrder().GetRefunded().GetMinorUnits()),
			cmp.Compare(a.GetOrder().GetCaptured().GetMinorUnits(), b.GetOrder().GetCaptured().GetMinorUnits()),
			cmp.Compare(a.GetEventId(), b.GetEventId()), cmp.Compare(a.GetProvider(), b.GetProvider()))
	})
	orders := map[string]*orderFold{}
	for _, u := range sorted {
		switch {
		case u.GetNote() != nil:
		case rank(u) == 0:
			result.Refused[KeyOf(u)] = "unknown_status"
		case u.GetOrder() != nil:
			w := orders[u.GetOrderId()]
			if w == nil {
				w = newOrderFold()
				orders[u.GetOrderId()] = w
			}
			if why := w.step(u, forced[KeyOf(u)]); why != "" {
				result.Refused[KeyOf(u)] = why
			}
		default:
			if why := result.stepDispute(u, forced[KeyOf(u)]); why != "" {
				result.Refused[KeyOf(u)] = why
			}
		}
	}
	for id, w := range orders {
		if w.Status != "" {
			result.Orders[id] = w.order()
		}
	}
	return result
}

func micros(u *payrelayv1.Update) time.Time {
	return u.GetOccurredAt().AsTime().Truncate(time.Microsecond)
}

func rank(u *payrelayv1.Update) int {
	if u.GetDispute() != nil {
		return 1 + slices.Index(strings.Fields("open under_review submitted closed lost canceled won"), payments.DisputeStatuses.Name(u.GetDispute().GetStatus()))
	}
	return 1 + slices.Index(strings.Fields("created updated authorized failed canceled success refunded reversed"), payments.OrderStatuses.Name(u.GetOrder().GetStatus()))
}

// orderFold is the state of one order during a fold. The maps hold the stated values by
// the name of the part.
type orderFold struct {
	Order
	authorized, captured, refunded, implied map[string]payments.Money
	paid, allRefunded                       map[string]bool
}

func newOrderFold() *orderFold {
	return &orderFold{
		authorized: map[string]payments.Money{}, captured: map[string]payments.Money{}, refunded: map[string]payments.Money{},
		implied: map[string]payments.Money{}, paid: map[string]bool{}, allRefunded: map[string]bool{},
	}
}

func stated(m *payrelayv1.Money) payments.Money {
	return payments.Money{MinorUnits: m.GetMinorUnits(), Currency: m.GetCurrency()}
}

func (w *orderFold) step(u *payrelayv1.Update, forced bool) string {
	s, part := u.GetOrder(), u.GetOrder().GetPart()
	says := payments.OrderStatuses.Name(s.GetStatus())
	word := says
	if word == "refunded" {
		word = "success"
	}
	sets := true
	status := w.Status
	if forced {
		status = "" // every step is legal
	}
	switch status {
	case "updated":
		sets = word != "created"
	case "authorized":
		sets = word != "created" && word != "updated"
	case "failed":
		sets = word != "created"
	case "canceled":
		sets = word != "created" && word != "updated" && word != "failed"
	case "reversed":
		sets = word == "success" || word == "reversed"
	case "success":
		sets = word == "success" || word == "reversed"
		if word == "failed" || word == "canceled" {
			if part == "" || !w.paid[part] && w.paid[""] {
				return "contradiction"
			}
			if w.paid[part] {
				sets, word = true, "reversed"
			}
		} else if word == "reversed" && part != "" && !w.paid[part] {
			sets = false
		}
	}
	held := w.capturedTotal().Currency
	for _, m := range []*payrelayv1.Money{s.GetAmount(), s.GetAuthorized(), s.GetCaptured(), s.GetRefunded()} {
		if m != nil && !forced && (w.Status == "success" || w.Status == "reversed") && held != "" && m.GetCurrency() != held {
			return "currency_mismatch"
		}
	}
	if w.Status == "" {
		w.Created = micros(u)
		if s.GetCreatedAt() != nil {
			w.Created = s.GetCreatedAt().AsTime().Truncate(time.Microsecond)
		}
	}
	w.Updated = micros(u)
	if u.GetUserId() != "" {
		w.User = u.GetUserId()
	}
	if s.GetAmount() != nil {
		w.Amount = stated(s.GetAmount())
	}
	if s.GetAuthorized() != nil {
		w.authorized[part] = stated(s.GetAuthorized())
	}
	if s.GetCaptured() != nil {
		w.captured[part] = stated(s.GetCaptured())
	}
	if s.GetRefunded() != nil {
		w.refunded[part], w.allRefunded[part] = stated(s.GetRefunded()), false
	}
	if !sets {
		return ""
	}
	if word == "success" {
		w.paid[part] = true
		if m := stated(s.GetAmount()); s.GetAmount() != nil && s.GetCaptured() == nil {
			if before, known := w.implied[part]; !known || before.Currency != m.Currency || m.MinorUnits > before.MinorUnits {
				w.implied[part] = m
			}
		}
		if says == "refunded" && s.GetRefunded() == nil {
			w.allRefunded[part] = true
			delete(w.refunded, part)
		}
	}
	if word == "reversed" {
		undone := []string{part}
		if part == "" {
			undone = w.names()
		}
		for _, name := range undone {
			if m, known := w.of(name); known {
				w.implied[name] = payments.Money{Currency: m.Currency}
			}
			if name == part && s.GetCaptured() != nil {
				w.implied[name] = stated(s.GetCaptured())
			}
			delete(w.captured, name)
			w.paid[name] = false
		}
		if part != "" && w.Status == "success" {
			for _, name := range w.names() {
				if money, _ := w.of(name); name != part && money.MinorUnits > 0 {
					word = "success"
				}
			}
		}
	}
	w.Status = word
	return ""
}

// names returns the names of all parts, that of the whole order first.
func (w *orderFold) names() []string {
	names := map[string]bool{"": true}
	for _, m := range []map[string]payments.Money{w.captured, w.refunded, w.authorized, w.implied} {
		for name := range m {
			names[name] = true
		}
	}
	for _, m := range []map[string]bool{w.paid, w.allRefunded} {
		for name := range m {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// of returns the captured amount of a part.
func (w *orderFold) of(part string) (payments.Money, bool) {
	if m, known := w.captured[part]; known {
		return m, true
	}
	m, known := w.implied[part]
	return m, known
}

// sum returns the sum of the amounts in the currency of the order. If no amount has
// that currency, it uses the currency of the first amount.
func (w *orderFold) sum(register func(string) payments.Money) payments.Money {
	currency := ""
	for _, name := range w.names()[1:] {
		if m := register(name); m.Currency != "" && (currency == "" || m.Currency == w.Amount.Currency) {
			currency = m.Currency
		}
	}
	sum := payments.Money{Currency: currency}
	for _, name := range w.names()[1:] {
		if m := register(name); currency != "" && m.Currency == currency {
			sum.MinorUnits += m.MinorUnits
		}
	}
	return sum
}

func (w *orderFold) capturedTotal() payments.Money {
	if m, known := w.captured[""]; known {
		return m
	}
	sum := w.sum(func(name string) payments.Money { m, _ := w.of(name); return m })
	if m := w.implied[""]; sum.Currency == "" || m.Currency == sum.Currency && m.MinorUnits > sum.MinorUnits {
		return m
	}
	return sum
}

func (w *orderFold) order() Order {
	o := w.Order
	o.Captured = w.capturedTotal()
	if o.Authorized = w.authorized[""]; o.Authorized.Currency == "" {
		o.Authorized = w.sum(func(name string) payments.Money { return w.authorized[name] })
	}
	switch {
	case w.allRefunded[""]:
		o.Refunded = o.Captured
	case w.refunded[""].Currency != "":
		o.Refunded = w.refunded[""]
	default:
		o.Refunded = w.sum(func(name string) payments.Money {
			if w.allRefunded[name] {
				m, _ := w.of(name)
				return m
			}
			return w.refunded[name]
		})
	}
	return o
}
