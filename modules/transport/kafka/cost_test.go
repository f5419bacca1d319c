package kafka

import (
	"fmt"
	"testing"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/modules/bench/costtest"
)

// TestCosts measures the record of a webhook of 400 bytes.
func TestCosts(t *testing.T) {
	u := orderUpdate(fmt.Sprintf("evt-%016d", 0))
	u.UserId, u.ReceivedAt, u.RawBody, u.BodySha256 = "user-1", u.GetOccurredAt(), make([]byte, 400), make([]byte, 32)
	u.GetOrder().Amount = &payrelayv1.Money{MinorUnits: 10050, Currency: "USD"}
	cfg := Config{TopicConfig: TopicConfig{OrdersTopic: "orders", DisputesTopic: "disputes"}}
	record, err := cfg.encode(u)
	if err != nil {
		t.Fatal(err)
	}
	value, _ := record.Value.Encode() // always nil: the value is bytes
	costtest.Size(t, "kafka, the value of a record", len(value))
	costtest.Allocations(t, "kafka, encode a record", func() { must(cfg.encode(u)) })
	costtest.Allocations(t, "kafka, decode a record", func() { must(decode(value)) })
}
