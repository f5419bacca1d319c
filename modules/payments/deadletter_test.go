package payments

import (
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
)

func TestEveryReasonIsInTheTable(t *testing.T) {
	for number, name := range payrelayv1.DeadLetterReason_name {
		reason := payrelayv1.DeadLetterReason(number)
		properties, known := reasons[reason]
		if known != (reason != noReason) {
			t.Errorf("reasons[%s] exists = %t", name, known)
		}
		if known && properties.detail == "" {
			t.Errorf("reasons[%s] has no detail", name)
		}
		if properties.whole && properties.inHistory {
			t.Errorf("reasons[%s] is in a history, but has no event", name)
		}
	}
}
