package program

import (
	"crypto/rand"
	"fmt"
	"strings"
)

// Topics are the names of a deployment's topics and of its consumer group.
type Topics struct{ Orders, Disputes, Group string }

// NewTopics are names that no other deployment has.
func NewTopics() Topics {
	id := strings.ToLower(rand.Text())
	return Topics{"orders." + id, "disputes." + id, "payrelay-" + id}
}

// Flags say the names to any command.
func (t Topics) Flags() []string {
	return []string{"--kafka-orders-topic", t.Orders, "--kafka-disputes-topic", t.Disputes, "--kafka-group", t.Group}
}

// CreateArgs are the command that makes the topics as an operator does, with so
// many copies, of which one may be away.
func (t Topics) CreateArgs(brokers string, partitions, copies int) []string {
	return append([]string{"topics", "create", "--kafka-brokers", brokers, "--partitions", fmt.Sprint(partitions),
		"--replication-factor", fmt.Sprint(copies), "--min-insync-replicas", fmt.Sprint(max(copies-1, 1))}, t.Flags()...)
}
