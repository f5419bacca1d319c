package payments

import (
	"maps"
	"slices"
	"strings"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// The names of the contract's enums, as people, databases and metrics use them:
// "under_review" for DISPUTE_STATUS_UNDER_REVIEW.
var (
	OrderStatuses     = newNames[payrelayv1.OrderStatus](payrelayv1.OrderStatus_name, "ORDER_STATUS_")
	DisputeStatuses   = newNames[payrelayv1.DisputeStatus](payrelayv1.DisputeStatus_name, "DISPUTE_STATUS_")
	Verdicts          = newNames[payrelayv1.Verdict](payrelayv1.Verdict_name, "VERDICT_")
	DeadLetterReasons = newNames[payrelayv1.DeadLetterReason](payrelayv1.DeadLetterReason_name, "DEAD_LETTER_REASON_")
)

// Names translates between the values of an enum and their names.
type Names[E ~int32] struct {
	names  map[E]string
	values map[string]E
}

func newNames[E ~int32](generated map[int32]string, prefix string) Names[E] {
	n := Names[E]{names: make(map[E]string), values: make(map[string]E)}
	for number, long := range generated {
		if name := strings.ToLower(strings.TrimPrefix(long, prefix)); number != 0 {
			n.names[E(number)] = name
			n.values[name] = E(number)
		}
	}
	return n
}

// Name returns the name of a value. It is empty for the unspecified value and for
// one that this release does not know.
func (n Names[E]) Name(value E) string { return n.names[value] }

// All returns the names of all values, in the order of their numbers.
func (n Names[E]) All() []string {
	var all []string
	for _, value := range slices.Sorted(maps.Keys(n.names)) {
		all = append(all, n.names[value])
	}
	return all
}

// Parse returns the value of a name, and whether there is one. The unspecified
// value has no name.
func (n Names[E]) Parse(name string) (value E, ok bool) {
	value, ok = n.values[name]
	return value, ok
}
