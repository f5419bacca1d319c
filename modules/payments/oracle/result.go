package oracle

import (
	"fmt"
	"slices"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/payments"
)

// Result is the result of a set of updates, in any order of arrival.
type Result struct {
	// Orders and Disputes hold those with an applied update.
	Orders   map[string]Order
	Disputes map[payments.DisputeKey]payments.Dispute
	// Refused holds the name of the reason for each refused event.
	Refused map[payments.Key]string
}

// NewResult returns an empty result.
func NewResult() Result {
	return Result{map[string]Order{}, map[payments.DisputeKey]payments.Dispute{}, map[payments.Key]string{}}
}

// Order is an order with its totals, in types that == can compare.
type Order struct {
	Status, User                   string
	Amount                         payments.Money
	Created, Updated               time.Time
	Authorized, Captured, Refunded payments.Money
}

// OrderOf converts an order of the ledger.
func OrderOf(o payments.Order) Order {
	totals := o.Totals()
	return Order{
		Status: payments.OrderStatuses.Name(o.Status), User: o.UserID, Amount: o.Amount, Created: o.CreatedAt, Updated: o.UpdatedAt,
		Authorized: totals.Authorized, Captured: totals.Captured, Refunded: totals.Refunded,
	}
}

// Differences describes each difference between two results.
func (result Result) Differences(want Result) []string {
	return slices.Concat(
		differences("order", result.Orders, want.Orders), differences("dispute", result.Disputes, want.Disputes),
		differences("refusal", result.Refused, want.Refused))
}

func differences[K comparable, V comparable](what string, got, want map[K]V) (list []string) {
	for key, w := range want {
		if g, found := got[key]; !found {
			list = append(list, fmt.Sprintf("no %s %v, want\n%+v", what, key, w))
		} else if g != w {
			list = append(list, fmt.Sprintf("%s %v\n%+v, want\n%+v", what, key, g, w))
		}
	}
	for key, g := range got {
		if _, wanted := want[key]; !wanted {
			list = append(list, fmt.Sprintf("%s %v\n%+v, want none", what, key, g))
		}
	}
	return list
}

// KeyOf returns the key of an update.
func KeyOf(u *payrelayv1.Update) payments.Key {
	key := payments.Key{Source: u.GetProvider(), Kind: payments.KindOrder, EventID: u.GetEventId()}
	if u.GetDispute() != nil {
		key.Kind = payments.KindDispute
	} else if u.GetNote() != nil {
		key.Kind = payments.KindNote
	}
	return key
}
