package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/payments"
)

func hasConsumerGroup(s setup) bool {
	return s.mode == payments.Kafka && s.lane == production && s.layout == several
}

// TestGroup: the api processes of a consumer group share the partitions. They join,
// leave, are killed and restarted in turn while two ingest processes accept
// webhooks, and those that run apply all of them, in order.
func TestGroup(t *testing.T) {
	inEvery(t, hasConsumerGroup, func(t *testing.T, s setup) {
		c := prepareCluster(t, s, options{edge: impatient})
		for _, member := range []string{"api", "ingest", "ingest-2"} {
			c.start(t, member)
		}
		l := startLoad(t, c)
		step := func(what string, do func(*testing.T, string), members ...string) {
			l.awaitAcked(t, between)
			for _, member := range members {
				do(t, member)
			}
			l.awaitApplied(t, c)
			t.Logf("%s: %v", what, members)
		}
		step("join", c.start, "api-2", "api-3")
		step("leave", c.terminate, "api-2")
		step("kill", c.kill, "api")
		step("rejoin", c.start, "api", "api-2")
		step("rolling restart", func(t *testing.T, member string) {
			c.terminate(t, member)
			l.awaitAcked(t, between/4)
			c.start(t, member)
		}, s.members()...)
		c.wantShared(t)
		l.finish(t)
		l.check(t, c)
	})
}

// wantShared waits until every api process consumes some partitions, and all
// partitions are consumed.
func (c *cluster) wantShared(t *testing.T) {
	t.Helper()
	var counts map[string]int
	defer func() { t.Logf("the partitions of each process are %v", counts) }()
	wait.Until(t, appliedWithin, "all partitions are shared by all api processes", func() bool {
		counts = make(map[string]int)
		sum, none := 0, 0
		for _, member := range numbered("api", c.count("api")) {
			n := partitionsOf(t, c.running[member])
			counts[member] = n
			sum += n
			if n == 0 {
				none++
			}
		}
		return none == 0 && sum == 2*partitions
	})
}

// partitionsOf returns the number of partitions that a process consumes, by its
// metrics.
func partitionsOf(t *testing.T, p *process) int {
	t.Helper()
	answer, ok := program.Probe(p.URL("admin") + "/metrics")
	if !ok {
		t.Fatalf("GET /metrics: %s", answer)
	}
	return strings.Count(answer, "payrelay_consumer_partition_lag_records{")
}

// TestLeadersLost: each of three Kafka nodes is killed in turn under load, and the
// others take over the partitions that it led.
func TestLeadersLost(t *testing.T) {
	inEvery(t, hasConsumerGroup, func(t *testing.T, s setup) {
		c := startCluster(t, s, options{edge: impatient, own: true, nodes: 3})
		l := startLoad(t, c)
		for _, node := range numbered("broker", 3) {
			l.awaitAcked(t, between)
			c.kill(t, node)
			before := l.acked.Load()
			l.awaitAcked(t, 2*between) // the other nodes lead
			l.awaitApplied(t, c)
			c.start(t, node)
			c.awaitReplicas(t)
			t.Logf("%s: %d accepted while it was down", node, l.acked.Load()-before)
		}
		l.finish(t)
		l.check(t, c)
	})
}

// awaitReplicas waits until all replicas are in sync: three nodes tolerate one that
// is behind, not two.
func (c *cluster) awaitReplicas(t *testing.T) {
	t.Helper()
	wait.Until(t, 3*appliedWithin, "all replicas are in sync", func() bool {
		return runToEnd(t, nil, append([]string{"topics", "check", "--kafka-brokers", c.brokers}, c.topics.Flags()...)...).Code == 0
	})
}

// awaitApplied waits until every webhook that was accepted before is recorded.
func (l *load) awaitApplied(t *testing.T, c *cluster) {
	t.Helper()
	l.mu.Lock()
	missing := make(map[string]bool, len(l.sent))
	for _, f := range l.sent {
		missing[f.event] = f.prompt
	}
	l.mu.Unlock()
	wait.Until(t, 2*appliedWithin, fmt.Sprintf("all accepted webhooks of %d are recorded", len(missing)), func() bool {
		for _, path := range []string{"/orders/events", "/disputes/events"} {
			for _, e := range list[eventItem](t, c, path, nil) {
				delete(missing, e.EventID)
			}
		}
		for _, accepted := range missing {
			if accepted {
				return false
			}
		}
		return true
	})
}
