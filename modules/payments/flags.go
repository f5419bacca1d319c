package payments

import (
	"slices"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// Flag names an unusual fact about an order or a dispute. It is not an error: the update
// that caused it was applied. Flags are computed when the state is read, and not stored.
type Flag string

const (
	// FlagOverRefunded means that more was refunded than captured.
	FlagOverRefunded Flag = "over_refunded"
	// FlagOverpaid means that more was captured than the amount of the order.
	FlagOverpaid Flag = "overpaid"
	// FlagCurrencyDiffers means that a dispute and its order have different currencies,
	// or that an order has amounts in several currencies. A total then holds only the
	// amounts of one currency.
	FlagCurrencyDiffers Flag = "currency_differs"
	// FlagDisputeExceedsOrder means that the amount at stake exceeds the captured amount
	// of the order, or its amount if nothing is known to be captured.
	FlagDisputeExceedsOrder Flag = "dispute_exceeds_order"
	// FlagCurrencyUnknown means that the currency of an amount is not in the table of ISO
	// 4217. The value of such an amount is unknown if it has no exponent.
	FlagCurrencyUnknown Flag = "currency_unknown"
	// FlagNonStandardExponent means that the exponent of an amount is not that of ISO
	// 4217.
	FlagNonStandardExponent Flag = "non_standard_exponent"
	// FlagReopened means that a dispute was opened again after an outcome.
	FlagReopened Flag = "reopened"
)

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

// Flags returns the flags of a dispute, sorted by name. The order is the one that the
// dispute belongs to, or nil if it is unknown.
func (d Dispute) Flags(order *Order) []Flag {
	flags := moneyFlags([]Money{d.Amount, d.OutcomeAmount})
	if d.Reopened > 0 {
		flags = append(flags, FlagReopened)
	}
	if order != nil {
		paid := order.Totals().Captured
		if !paid.known() {
			paid = order.Amount
		}
		if d.Amount.differs(paid) {
			flags = append(flags, FlagCurrencyDiffers)
		}
		if d.Amount.exceeds(paid) {
			flags = append(flags, FlagDisputeExceedsOrder)
		}
	}
	slices.Sort(flags)
	return flags
}

// moneyFlags returns the flags for the currencies and exponents of amounts.
func moneyFlags(amounts []Money) (flags []Flag) {
	isUnknown := func(m Money) bool { return m.known() && !inCurrencyTable(m.Currency) }
	isNonStandard := func(m Money) bool { return m.Exponent > 0 && inCurrencyTable(m.Currency) }
	if slices.ContainsFunc(amounts, isUnknown) {
		flags = append(flags, FlagCurrencyUnknown)
	}
	if slices.ContainsFunc(amounts, isNonStandard) {
		flags = append(flags, FlagNonStandardExponent)
	}
	return flags
}

func inCurrencyTable(currency string) bool {
	_, known := minorUnitDigits[currency]
	return known
}

// differs reports whether two amounts are known and have different currencies.
func (m Money) differs(n Money) bool {
	return m.known() && n.known() && m.Currency != n.Currency
}

// exceeds reports whether both amounts are known and in the same currency, and m is
// larger.
func (m Money) exceeds(n Money) bool {
	return m.known() && m.Currency == n.Currency && m.compare(n) > 0
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
