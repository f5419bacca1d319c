package chaos

import (
	"fmt"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/e2e/servers"
)

// Servers are what a cell needs beside the program; what it does not need may be
// missing.
type Servers struct {
	Postgres *servers.Postgres
	Kafka    *servers.Kafka
}

// outsider is a process that is not the program's: PostgreSQL, or a node of Kafka.
type outsider struct {
	server
	name string
}

type server interface {
	Start() error
	Stop() error
	Kill() error
	Freeze() error
	Thaw() error
}

func (o outsider) kill() error      { return o.Kill() }
func (o outsider) terminate() error { return o.Stop() }
func (o outsider) start() error     { return o.Start() }
func (o outsider) freeze() error    { return o.Freeze() }
func (o outsider) thaw() error      { return o.Thaw() }

// outsiders are those that the cell stands on.
func (c *cluster) outsiders() []outsider {
	var all []outsider
	if c.Store == Postgres {
		all = append(all, outsider{c.Postgres, "postgres"})
	}
	if c.Broker == Apache {
		for _, n := range c.Kafka.Nodes() {
			all = append(all, outsider{n, nodeName(n)})
		}
	}
	return all
}

func nodeName(n *servers.Node) string { return fmt.Sprint("kafka-", n.ID()) }

// partitions of a topic are more than there are processes to share them.
const partitions = 6

// nameTopics gives the cell topics on its brokers: the embedded broker makes them
// itself, and Kafka is told to, by names that no other cell has.
func (c *cluster) nameTopics() error {
	c.topics = program.Topics{Orders: "webhooks.orders", Disputes: "webhooks.disputes", Group: "payrelay"}
	if c.Broker != Apache {
		return nil
	}
	c.topics = program.NewTopics()
	create := program.Options{Name: "topics create", Binary: c.binary, Dir: c.dir,
		Args: c.topics.CreateArgs(c.Kafka.Brokers(), partitions, len(c.Kafka.Nodes()))}
	r, err := program.Run(create, startWithin)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	if err != nil {
		return fmt.Errorf("create the topics: %w", err)
	}
	return nil
}
