package chaos

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

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
	PID() int
}

func (o outsider) kill() error      { return o.Kill() }
func (o outsider) terminate() error { return o.Stop() }
func (o outsider) start() error     { return o.Start() }
func (o outsider) freeze() error    { return signalTree(o.PID(), syscall.SIGSTOP) }
func (o outsider) thaw() error      { return signalTree(o.PID(), syscall.SIGCONT) }

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

// signalTree signals a process and its children, of which PostgreSQL has one for
// each connection. That one of them is gone by then is no error.
func signalTree(pid int, signal syscall.Signal) error {
	children, err := childrenOf(pid)
	if err != nil {
		return err
	}
	for _, p := range append([]int{pid}, children...) {
		if err := syscall.Kill(p, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("send %v to process %d: %w", signal, p, err)
		}
	}
	return nil
}

func childrenOf(pid int) (children []int, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it is gone
		}
		// The name, in brackets, may contain anything; state and parent follow it.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path))) // the pattern has numbers only
			children = append(children, child)
		}
	}
	return children, nil
}

// partitions of a topic are more than there are processes to share them.
const partitions = 6

// nameTopics gives the cell topics on its brokers: the embedded broker makes them
// itself, and Kafka is told to, by names that no other cell has.
func (c *cluster) nameTopics() error {
	c.topics = []string{"webhooks.orders", "webhooks.disputes"}
	if c.Broker != Apache {
		return nil
	}
	id := strings.ToLower(rand.Text())
	c.topics = []string{"orders." + id, "disputes." + id}
	copies := len(c.Kafka.Nodes())
	create := exec.Command(c.binary, append([]string{"topics", "create", "--kafka-brokers", c.Kafka.Brokers(),
		"--partitions", fmt.Sprint(partitions), "--replication-factor", fmt.Sprint(copies), "--min-insync-replicas", fmt.Sprint(max(copies-1, 1))},
		c.topicFlags()...)...)
	if out, err := create.CombinedOutput(); err != nil {
		return fmt.Errorf("create the topics: %w: %s", err, out)
	}
	return nil
}

func (c *cluster) topicFlags() []string {
	return []string{"--kafka-orders-topic", c.topics[0], "--kafka-disputes-topic", c.topics[1], "--kafka-group", c.topics[0]}
}
