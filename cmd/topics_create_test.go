package cmd

import (
	"strings"
	"testing"

	"github.com/payrelay/payrelay/modules/transport/kafka"
	"github.com/payrelay/payrelay/modules/transport/kafka/topics"
)

func TestPrintCreated(t *testing.T) {
	topic := kafka.Topic{Name: "webhooks.orders", MinInSync: 2, Partitions: []kafka.Partition{{Replicas: []int32{1, 2, 3}}}}
	for want, created := range map[string]topics.Created{
		"created webhooks.orders: 1 partitions, replication factor 3, min.insync.replicas 2\n": {Topic: topic, Created: true},
		"webhooks.orders exists: 1 partitions, replication factor 3, min.insync.replicas 2\n":  {Topic: topic},
		"webhooks.orders exists and was not changed: a is 1, not 2; b is 3, not 4\n":           {Topic: topic, Differences: []string{"a is 1, not 2", "b is 3, not 4"}},
	} {
		var out strings.Builder
		printCreated(&out, created)
		if out.String() != want {
			t.Errorf("printed %q, want %q", out.String(), want)
		}
	}
}
