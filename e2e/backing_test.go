package e2e

import (
	"testing"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/modules/payments"
)

// backing is the servers of a deployment in the production lane.
type backing struct {
	// database is the URL of the deployment's own database.
	database string
	brokers  string
	topics   program.Topics
	// servers has the servers that the test may strike, by their names as members:
	// "database" and, in mode kafka, "broker", "broker-2" and so on.
	servers map[string]server
}

// strikable is a process that can be killed or frozen.
type strikable interface {
	Kill() error
	Freeze() error
	Thaw() error
}

// server is a process that can be struck and started again.
type server interface {
	strikable
	Start() error
}

// needLane skips or fails the test if the lane cannot run; see servers.Need.
func needLane(t *testing.T, lane string) {
	t.Helper()
	if lane == production {
		servers.Need(t, servers.PostgresVariable, servers.KafkaVariable, servers.KafkaLibsVariable)
	}
}

// partitions is the number of partitions of a topic: more than there are consumers,
// and not a multiple of three.
const partitions = 8

func startBacking(t *testing.T, s setup, o options) backing {
	t.Helper()
	b := backing{servers: make(map[string]server)}
	b.database = b.startDatabase(t, o.own)
	if s.mode == payments.Kafka {
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

// createTopics creates the topics with a number of replicas.
func (b *backing) createTopics(t *testing.T, copies int) {
	t.Helper()
	if r := runToEnd(t, nil, b.topics.CreateArgs(b.brokers, partitions, copies)...); r.Code != 0 {
		t.Fatalf("create the topics: %s%s", r.Stdout, r.Stderr)
	}
}
