package cmd

import (
	"strings"
	"testing"
	"time"

	"github.com/payrelay/payrelay/modules/transport/kafka"
	"github.com/payrelay/payrelay/modules/transport/kafka/topics"
)

func TestPrintReports(t *testing.T) {
	report := func(inSync ...int32) []topics.Report {
		return []topics.Report{{
			Topic: kafka.Topic{
				Name: "webhooks.orders", MinInSync: 2, CleanupPolicy: "delete", Retention: 30 * 24 * time.Hour, RetentionBytes: -1, MaxMessageBytes: 1 << 20,
				Partitions: []kafka.Partition{{Leader: 2, Replicas: []int32{1, 2, 3}, InSync: inSync}},
			},
			Progress: []topics.Progress{{Applied: -1, Oldest: 5, Newest: 12, Aged: 5}},
		}}
	}
	var out strings.Builder
	if err := printReports(&out, report(1, 2, 3), kafka.CopiesConfig{MinCopies: 2}); err != nil {
		t.Errorf("a safe topic: %v", err)
	}
	want := "TOPIC            PARTITIONS  REPLICAS  MIN IN SYNC  RETENTION  LEADERLESS  UNDER-REPLICATED\n" +
		"webhooks.orders  1           3         2            30 days    0           0\n" +
		"\n" +
		"TOPIC            PARTITION  LEADER  IN SYNC  OLDEST  APPLIED  NEWEST  LAG\n" +
		"webhooks.orders  0          2       3 of 3   5       -        12      7\n"
	if out.String() != want {
		t.Errorf("printed\n%s, want\n%s", out.String(), want)
	}
	out.Reset()
	if err := printReports(&out, report(1, 2), kafka.CopiesConfig{MinCopies: 3}); err == nil || !strings.Contains(err.Error(), "2") {
		t.Errorf("an unsafe topic: %v", err)
	}
	for _, says := range []string{"lacks replicas", "KAFKA_MIN_COPIES"} {
		if !strings.Contains(out.String(), says) {
			t.Errorf("it does not say %q:\n%s", says, out.String())
		}
	}
}
