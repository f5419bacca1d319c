package program

import (
	"crypto/rand"
	"fmt"
	"strings"
)

// Topics has the names of the topics and the consumer group of a deployment.
type Topics struct{ Orders, Disputes, Group string }

// NewTopics returns names that no other deployment has.
func NewTopics() Topics {
	id := strings.ToLower(rand.Text())
	return Topics{"orders." + id, "disputes." + id, "payrelay-" + id}
}

// Flags returns the flags with the names, which every command has.
func (t Topics) Flags() []string {
	return []string{"--kafka-orders-topic", t.Orders, "--kafka-disputes-topic", t.Disputes, "--kafka-group", t.Group}
}

// CreateArgs returns the arguments that create the topics, with a number of replicas
// of which one may be down.
func (t Topics) CreateArgs(brokers string, partitions, copies int) []string {
	return append([]string{"topics", "create", "--kafka-brokers", brokers, "--partitions", fmt.Sprint(partitions),
		"--replication-factor", fmt.Sprint(copies), "--min-insync-replicas", fmt.Sprint(max(copies-1, 1))}, t.Flags()...)
}
