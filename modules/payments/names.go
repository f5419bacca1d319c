package payments

import (
	"strings"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

// The contract's enums as people and databases see them: "under_review" for
// DISPUTE_STATUS_UNDER_REVIEW, and the empty text for the unspecified value.
var (
	OrderStatuses     = newNames[payrelayv1.OrderStatus](payrelayv1.OrderStatus_name, "ORDER_STATUS_")
	DisputeStatuses   = newNames[payrelayv1.DisputeStatus](payrelayv1.DisputeStatus_name, "DISPUTE_STATUS_")
	Verdicts          = newNames[payrelayv1.Verdict](payrelayv1.Verdict_name, "VERDICT_")
	DeadLetterReasons = newNames[payrelayv1.DeadLetterReason](payrelayv1.DeadLetterReason_name, "DEAD_LETTER_REASON_")
)

// Names translates between an enum's values and their names.
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

// Name is the name of a value; empty for the unspecified and for an unknown one.
func (n Names[E]) Name(value E) string { return n.names[value] }

// Parse is the value of a name; false if no value, or only the unspecified one,
// goes by it.
func (n Names[E]) Parse(name string) (E, bool) {
	value, ok := n.values[name]
	return value, ok
}
