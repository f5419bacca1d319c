package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Kafka is a cluster of nodes, each of which is broker and controller.
type Kafka struct {
	nodes []*Node
}

// Node is one process of a cluster.
type Node struct {
	server
	id, port, controller int
	secured              map[string]int // the ports of further listeners, by name
	// java holds further options of the JVM.
	java []string
}

// Listener is a further listener of each node, in addition to the one in plain
// text.
type Listener struct {
	// Name is in capitals, and Protocol is one of Kafka's, such as SASL_SSL.
	Name, Protocol string
	// Settings are properties of Kafka without the prefix listener.name.NAME.
	Settings map[string]string
}

// StartKafka starts a cluster with its data in dir. libs is the directory of Kafka's
// libraries; see [KafkaLibs].
func StartKafka(libs, dir string, nodes int, more ...Listener) (*Kafka, error) {
	return startKafka(libs, dir, nodes, more)
}

// StartOptimizedKafka starts one node with the optimizing compiler of the JVM, as in
// production, for benchmarks. It takes longer to start.
func StartOptimizedKafka(libs, dir string) (*Kafka, error) {
	return startKafka(libs, dir, 1, nil, "-XX:TieredStopAtLevel=4")
}

func startKafka(libs, dir string, nodes int, more []Listener, options ...string) (*Kafka, error) {
	java, err := program("java", "", "install Java 17 or newer (Debian's package default-jre-headless)")
	if err != nil {
		return nil, err
	}
	k := new(Kafka)
	for id := range nodes {
		n := &Node{id: id + 1, port: freePort(), controller: freePort(), secured: make(map[string]int), java: options}
		for _, l := range more {
			n.secured[l.Name] = freePort()
		}
		k.nodes = append(k.nodes, n)
	}
	for _, n := range k.nodes {
		if err := n.prepare(java, libs, filepath.Join(dir, fmt.Sprint("node", n.id)), k.properties(n, more)); err != nil {
			return nil, err
		}
	}
	if err := k.start(); err != nil {
		_ = k.Stop() // the error of the start has the reason
		return nil, err
	}
	return k, nil
}

// start starts all nodes at once, because a single one has no quorum.
func (k *Kafka) start() error {
	failures := make(chan error, len(k.nodes))
	for _, n := range k.nodes {
		go func() { failures <- n.Start() }()
	}
	var first error
	for range k.nodes {
		if err := <-failures; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Brokers returns the bootstrap servers, separated by commas.
func (k *Kafka) Brokers() string {
	addrs := make([]string, len(k.nodes))
	for i, n := range k.nodes {
		addrs[i] = n.Addr()
	}
	return strings.Join(addrs, ",")
}

// Nodes returns the nodes by ascending ID, from 1.
func (k *Kafka) Nodes() []*Node { return k.nodes }

// Stop kills all nodes.
func (k *Kafka) Stop() error {
	var first error
	for _, n := range k.nodes {
		// A clean stop of the last node waits for another one to take over its
		// partitions.
		if err := n.Kill(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// ID returns the ID of the node in the cluster.
func (n *Node) ID() int { return n.id }

// Addr returns the address of the listener in plain text.
func (n *Node) Addr() string { return address(n.port) }

// ListenerAddr returns the address of one of the further listeners.
func (n *Node) ListenerAddr(listener string) string { return address(n.secured[listener]) }

// Start starts the node, again at the same address and with its data, and waits
// until it takes connections.
func (n *Node) Start() error {
	return n.launch(func() bool { return accepts(n.port) })
}

// Stop stops the node cleanly, after it has handed over its partitions.
func (n *Node) Stop() error { return n.stop(syscall.SIGTERM) }

// prepare writes the configuration and formats the storage of the node.
func (n *Node) prepare(java, libs, dir, properties string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("prepare Kafka: %w", err)
	}
	file := filepath.Join(dir, "server.properties")
	if err := os.WriteFile(file, []byte(properties+"log.dirs="+filepath.Join(dir, "data")+"\n"), 0o644); err != nil {
		return fmt.Errorf("prepare Kafka: %w", err)
	}
	run := func(args ...string) *exec.Cmd {
		command := exec.Command(java, append(javaOptions(libs), args...)...)
		command.Dir = dir
		return command
	}
	n.server = server{name: fmt.Sprint("Kafka node ", n.id), log: filepath.Join(dir, "log"), command: func() *exec.Cmd {
		return run(append(n.java, "kafka.Kafka", file)...)
	}}
	if out, err := run("kafka.tools.StorageTool", "format", "-t", clusterID, "-c", file).CombinedOutput(); err != nil {
		return fmt.Errorf("format Kafka's storage: %w: %s", err, out)
	}
	return nil
}

// javaOptions returns options for a small JVM that starts fast. The simple compiler and
// the archive of classes reduce the processor time until a node serves from 5 s to
// 1.7 s.
func javaOptions(libs string) []string {
	return []string{"-Xms64m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Xshare:auto", "-Xlog:cds=off", "-XX:SharedArchiveFile=" + archiveOf(libs), "-cp", filepath.Join(libs, "*")}
}

// clusterID is a valid ID of a cluster.
const clusterID = "cGF5cmVsYXktdGVzdC0wMA"

// properties returns the configuration of a node: the defaults of Kafka, but with small
// internal topics and without delays of the start. Topics are not created
// automatically.
func (k *Kafka) properties(n *Node, more []Listener) string {
	open, protocols, settings := n.listeners(more)
	voters := make([]string, len(k.nodes))
	for i, other := range k.nodes {
		voters[i] = fmt.Sprintf("%d@%s", other.id, address(other.controller))
	}
	copies := min(len(k.nodes), 3)
	// A node that was killed cannot join again before its session has expired. The
	// default matters only in a cluster.
	session := 9 * time.Second
	if len(k.nodes) == 1 {
		session = 2 * time.Second
	}
	return settings + strings.Join([]string{
		"process.roles=broker,controller",
		fmt.Sprint("node.id=", n.id),
		"controller.quorum.voters=" + strings.Join(voters, ","),
		"listeners=" + open + ",CONTROLLER://" + address(n.controller),
		"advertised.listeners=" + open,
		"listener.security.protocol.map=" + protocols,
		"controller.listener.names=CONTROLLER",
		"inter.broker.listener.name=PLAINTEXT",
		"auto.create.topics.enable=false",
		"offsets.topic.num.partitions=4",
		fmt.Sprint("offsets.topic.replication.factor=", copies),
		"transaction.state.log.num.partitions=1",
		fmt.Sprint("transaction.state.log.replication.factor=", copies),
		fmt.Sprint("transaction.state.log.min.isr=", max(copies-1, 1)),
		fmt.Sprint("broker.session.timeout.ms=", session.Milliseconds()),
		"broker.heartbeat.interval.ms=500",
		"group.initial.rebalance.delay.ms=0",
		"group.min.session.timeout.ms=1000",
		"",
	}, "\n")
}

// listeners returns the listeners for clients, the protocol of each, and the settings
// of the further ones.
func (n *Node) listeners(more []Listener) (addresses, protocols, settings string) {
	addresses, protocols = "PLAINTEXT://"+n.Addr(), "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
	for _, l := range more {
		addresses += "," + l.Name + "://" + n.ListenerAddr(l.Name)
		protocols += "," + l.Name + ":" + l.Protocol
		for name, value := range l.Settings {
			settings += fmt.Sprintf("listener.name.%s.%s=%s\n", strings.ToLower(l.Name), name, value)
		}
	}
	return addresses, protocols, settings
}
