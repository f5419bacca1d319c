package transport

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	payrelayv1 "github.com/payrelay/payrelay/gen/payrelay/v1"

	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/modules/transport/transporttest"
)

// startApacheKafka starts a cluster of this test's own, which it may kill.
func startApacheKafka(t *testing.T, nodes int) *servers.Kafka {
	t.Helper()
	libs := servers.Need(t, servers.KafkaLibsVariable)[0]
	kafka, err := servers.StartKafka(libs, t.TempDir(), nodes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kafka.Stop(); err != nil {
			t.Errorf("stop Kafka: %v", err)
		}
	})
	return kafka
}

// newTopics creates topics that nobody else uses.
func newTopics(t *testing.T, kafka *servers.Kafka, spec TopicSpec) KafkaConfig {
	t.Helper()
	name := strings.ToLower(rand.Text())
	cfg := KafkaConfig{
		TopicConfig:   TopicConfig{OrdersTopic: name + ".orders", DisputesTopic: name + ".disputes", Group: name},
		ClusterConfig: ClusterConfig{Brokers: strings.Split(kafka.Brokers(), ",")},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := CreateTopics(ctx, cfg.ClusterConfig, cfg.TopicConfig, spec); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestConformanceOnApacheKafka(t *testing.T) {
	kafka := startApacheKafka(t, 1)
	node := kafka.Nodes()[0]
	for shape, unary := range map[string]bool{"batched": false, "unary": true} {
		t.Run(shape, func(t *testing.T) {
			transporttest.Run(t, transporttest.Harness{
				Verdict: payrelayv1.Verdict_VERDICT_QUEUED,
				Open: func(t *testing.T, far *transporttest.FarSide) *transporttest.Link {
					cfg := newTopics(t, kafka, TopicSpec{Partitions: 3, Replicas: 1, MinInSync: 1})
					cfg.Unary, cfg.InstanceID = unary, "test-0"
					link := linkKafka(t, far, cfg)
					if unary {
						return link // a start of Kafka takes its time: one shape is enough
					}
					link.Kill = func() {
						if err := node.Kill(); err != nil {
							t.Error(err)
						}
					}
					link.Revive = func() {
						if err := node.Start(); err != nil {
							t.Fatal(err)
						}
					}
					return link
				},
			})
		})
	}
}
