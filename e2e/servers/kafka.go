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

// Kafka is a cluster of Apache Kafka nodes, each of them broker and controller.
type Kafka struct {
	nodes []*Node
}

// Node is one process of a cluster.
type Node struct {
	server
	id, port, controller int
	guarded              map[string]int // ports of the other listeners, by name
	// java are further options of the Java machine.
	java []string
}

// Listener is one more way into each node, beside the one that everybody may use.
type Listener struct {
	// Name is in capitals, and Protocol one of Kafka's, such as SASL_SSL.
	Name, Protocol string
	// Settings are Kafka's, without the listener's name in front of them.
	Settings map[string]string
}

// StartKafka starts a cluster of so many nodes, with its data in dir, out of the
// libraries of libs; see [KafkaLibs].
func StartKafka(libs, dir string, nodes int, more ...Listener) (*Kafka, error) {
	return startKafka(libs, dir, nodes, more)
}

// StartLastingKafka starts a lone node that compiles what it does often as well as
// it can, as one in production has: what is measured against it is worth that.
func StartLastingKafka(libs, dir string) (*Kafka, error) {
	return startKafka(libs, dir, 1, nil, "-XX:TieredStopAtLevel=4")
}

func startKafka(libs, dir string, nodes int, more []Listener, options ...string) (*Kafka, error) {
	java, err := program("java", "", "install Java 17 or newer (Debian's package default-jre-headless)")
	if err != nil {
		return nil, err
	}
	k := new(Kafka)
	for id := range nodes {
		n := &Node{id: id + 1, port: freePort(), controller: freePort(), guarded: make(map[string]int), java: options}
		for _, l := range more {
			n.guarded[l.Name] = freePort()
		}
		k.nodes = append(k.nodes, n)
	}
	for _, n := range k.nodes {
		if err := n.prepare(java, libs, filepath.Join(dir, fmt.Sprint("node", n.id)), k.properties(n, more)); err != nil {
			return nil, err
		}
	}
	if err := k.start(); err != nil {
		_ = k.Stop() // the start's error says what is wrong
		return nil, err
	}
	return k, nil
}

// start starts all nodes at once, for alone none of them has a quorum.
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

// Brokers are the bootstrap servers, separated by commas.
func (k *Kafka) Brokers() string {
	addrs := make([]string, len(k.nodes))
	for i, n := range k.nodes {
		addrs[i] = n.Addr()
	}
	return strings.Join(addrs, ",")
}

// Nodes are the cluster's, by ascending id from 1.
func (k *Kafka) Nodes() []*Node { return k.nodes }

// Stop ends all nodes.
func (k *Kafka) Stop() error {
	var first error
	for _, n := range k.nodes {
		// A node that is stopped cleanly looks for one that takes over its
		// partitions, and there is none.
		if err := n.Kill(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// ID is the node's number in the cluster.
func (n *Node) ID() int { return n.id }

// Addr is where clients reach the node.
func (n *Node) Addr() string { return address(n.port) }

// GuardedAddr is where clients reach the node by one of its other listeners.
func (n *Node) GuardedAddr(listener string) string { return address(n.guarded[listener]) }

// Start starts the node, again at the same address and with its data, and waits
// until it takes connections.
func (n *Node) Start() error {
	return n.launch(func() bool { return accepts(n.port) })
}

// Stop is a clean stop, for which the node hands its partitions over.
func (n *Node) Stop() error { return n.stop(syscall.SIGTERM) }

// prepare formats the node's storage.
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

// javaOptions make nodes small and soon there, for tests run several of them
// beside what they test: of the 5 s of processor time until a node serves, the
// simple compiler and the classes as an image in memory leave 1.7 s.
func javaOptions(libs string) []string {
	return []string{"-Xms64m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Xshare:auto", "-Xlog:cds=off", "-XX:SharedArchiveFile=" + imageOf(libs), "-cp", filepath.Join(libs, "*")}
}

// clusterID is one of the form that Kafka wants.
const clusterID = "cGF5cmVsYXktdGVzdC0wMA"

// properties are Kafka's defaults, but for the internal topics, which are small
// here, and for what makes a start wait. Topics are never created by accident.
func (k *Kafka) properties(n *Node, more []Listener) string {
	open, protocols, settings := n.listeners(more)
	voters := make([]string, len(k.nodes))
	for i, other := range k.nodes {
		voters[i] = fmt.Sprintf("%d@%s", other.id, address(other.controller))
	}
	copies := min(len(k.nodes), 3)
	// A node that was killed may not come back before its session has ended. Only
	// in a cluster is it of interest how long that takes by default.
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

// listeners are the addresses for clients, what each speaks, and the settings of
// those that not everybody may use.
func (n *Node) listeners(more []Listener) (addresses, protocols, settings string) {
	addresses, protocols = "PLAINTEXT://"+n.Addr(), "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
	for _, l := range more {
		addresses += "," + l.Name + "://" + n.GuardedAddr(l.Name)
		protocols += "," + l.Name + ":" + l.Protocol
		for name, value := range l.Settings {
			settings += fmt.Sprintf("listener.name.%s.%s=%s\n", strings.ToLower(l.Name), name, value)
		}
	}
	return addresses, protocols, settings
}
