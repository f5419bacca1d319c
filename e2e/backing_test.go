package e2e

import (
	"testing"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/e2e/servers"
)

// backing is what a deployment of the production lane stands on.
type backing struct {
	// database is the URL of a database of its own.
	database string
	brokers  string
	topics   program.Topics
	// servers are those that the test may strike, by their names as members:
	// "database" and, in mode kafka, "broker", "broker-2" and so on.
	servers map[string]server
}

// strikable is a process that can be killed, or frozen for a while.
type strikable interface {
	Kill() error
	Freeze() error
	Thaw() error
}

// server is one that can be struck and comes back.
type server interface {
	strikable
	Start() error
}

// needLane skips the test, or fails it, where the lane cannot run.
func needLane(t *testing.T, lane string) {
	t.Helper()
	if lane == production {
		servers.Need(t, servers.PostgresVariable, servers.KafkaVariable, servers.KafkaLibsVariable)
	}
}

// partitions are more than there are consumers, and no multiple of three.
const partitions = 8

func startBacking(t *testing.T, s setup, o options) backing {
	t.Helper()
	b := backing{servers: make(map[string]server)}
	b.database = b.startDatabase(t, o.own)
	if s.mode == "kafka" {
		nodes := max(o.nodes, 1)
		b.brokers, b.topics = b.startBrokers(t, o.own, nodes), program.NewTopics()
		b.createTopics(t, nodes)
	}
	return b
}

func (b *backing) startDatabase(t *testing.T, own bool) string {
	t.Helper()
	serverURL := servers.Need(t, servers.PostgresVariable)[0]
	if own {
		postgres, err := servers.StartPostgres(t.TempDir())
		check(t, err)
		t.Cleanup(func() { check(t, postgres.Stop()) })
		b.servers["database"] = postgres
		serverURL = postgres.URL()
	}
	database, drop, err := servers.CreateDatabase(t.Context(), serverURL)
	check(t, err)
	if !own {
		t.Cleanup(func() { check(t, drop()) })
	}
	return database
}

func (b *backing) startBrokers(t *testing.T, own bool, nodes int) string {
	t.Helper()
	if !own {
		return servers.Need(t, servers.KafkaVariable)[0]
	}
	kafka, err := servers.StartKafka(servers.Need(t, servers.KafkaLibsVariable)[0], t.TempDir(), nodes)
	check(t, err)
	t.Cleanup(func() { check(t, kafka.Stop()) })
	for i, name := range numbered("broker", nodes) {
		b.servers[name] = kafka.Nodes()[i]
	}
	return kafka.Brokers()
}

// createTopics makes the topics with so many copies.
func (b *backing) createTopics(t *testing.T, copies int) {
	t.Helper()
	if r := runToEnd(t, nil, b.topics.CreateArgs(b.brokers, partitions, copies)...); r.Code != 0 {
		t.Fatalf("create the topics: %s%s", r.Stdout, r.Stderr)
	}
}
