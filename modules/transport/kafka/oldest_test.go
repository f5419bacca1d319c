package kafka

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"
	"github.com/payrelay/payrelay/internal/wait"
)

// TestOldestOfABatchThatWaits checks that the oldest update of a batch is known while the
// database is down, between the attempts too, and not after it was applied.
func TestOldestOfABatchThatWaits(t *testing.T) {
	_, cfg := startKafka(t)
	client, err := NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	first := time.Unix(1_800_000_000, 0)
	var updates []*payrelayv1.Update
	for i, at := range []time.Time{first.Add(time.Hour), first, first.Add(time.Second)} {
		u := orderUpdate("event-" + string(rune('a'+i)))
		u.ReceivedAt = timestamppb.New(at)
		updates = append(updates, u)
	}
	if _, err := client.Apply(t.Context(), append(updates, orderUpdate("event-without-a-time"))); err != nil {
		t.Fatal(err)
	}
	l := &ledger{failing: true}
	consumer, _ := consume(t, cfg, l)
	wait.Until(t, patience, "the batch", func() bool { return consumer.Oldest().Equal(first) })
	begin := l.tried()
	wait.Until(t, patience, "another attempt", func() bool {
		if at := consumer.Oldest(); !at.Equal(first) {
			t.Errorf("Oldest() = %v while the batch waits, want %v", at, first)
		}
		return l.tried() > begin+1
	})
	l.heal()
	wait.Until(t, patience, "the batch to be applied", func() bool { return len(l.applied()) == 4 })
	wait.Until(t, patience, "nothing to wait", func() bool { return consumer.Oldest().IsZero() })
}
