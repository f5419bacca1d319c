package chaos

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/e2e/servers"
)

// cluster is a deployment of one cell: processes that know each other by links,
// and their data.
type cluster struct {
	Cell
	Servers
	binary, dir string
	databaseURL string
	topics      program.Topics
	brokerAddrs []string

	// members are in the sequence in which they start.
	members []*member
	links   []*link
	closers []func()

	mu         sync.Mutex
	complaints []string
}

// member is a process of the program, which can be started again and again.
type member struct {
	name, role string
	args       []string
	admin      string // address
	process    *program.Process
}

func newCluster(cell Cell, s Servers, binary, dir string) (*cluster, error) {
	c := &cluster{Cell: cell, Servers: s, binary: binary, dir: dir}
	if err := os.MkdirAll(c.data(), 0o700); err != nil {
		return nil, fmt.Errorf("make a place for the data: %w", err)
	}
	for _, prepare := range []func() error{c.openDatabase, c.nameTopics, c.deploy} {
		if err := prepare(); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

// DataDir is where in its directory a run has what the program keeps.
const DataDir = "data"

func (c *cluster) data() string { return filepath.Join(c.dir, DataDir) }

// deploy decides who is there and who is reached by which link; nothing runs yet.
func (c *cluster) deploy() error {
	brokers := make(map[string]string) // the addresses of nodes, by name
	if c.Broker == Embedded {
		brokers["broker"] = servers.FreeAddr()
		c.add("broker", "broker", "--broker-addr", brokers["broker"], "--data-dir", c.data())
	}
	if c.Broker == Apache {
		for _, n := range c.Kafka.Nodes() {
			brokers[nodeName(n)] = n.Addr()
		}
	}
	c.brokerAddrs = slices.Collect(maps.Values(brokers))
	var internal []string
	for i := range c.apis() {
		internal = append(internal, servers.FreeAddr())
		if err := c.addAPI(fmt.Sprint("api-", i+1), internal[i], brokers); err != nil {
			return err
		}
	}
	for i := range c.Processes {
		at := i % len(internal)
		if err := c.addIngest(fmt.Sprint("ingest-", i+1), fmt.Sprint("api-", at+1), internal[at], brokers); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) add(name, role string, args ...string) *member {
	m := &member{name: name, role: role, admin: servers.FreeAddr()}
	m.args = slices.Concat([]string{"serve", role, "--log-format", "json", "--admin-addr", m.admin}, args, c.topics.Flags())
	c.members = append(c.members, m)
	return m
}

func (c *cluster) addAPI(name, internal string, brokers map[string]string) error {
	m := c.add(name, "api", "--mode", c.Mode, "--api-addr", servers.FreeAddr(), "--internal-addr", internal, "--data-dir", c.data())
	if c.Store == Postgres {
		url, err := c.linkDatabase(name)
		if err != nil {
			return err
		}
		m.args = append(m.args, "--database-url", url)
	}
	if c.Mode != Kafka {
		return nil
	}
	addrs, err := c.linkBrokers(name, brokers)
	m.args = append(m.args, "--kafka-brokers", addrs, "--kafka-instance-id", name)
	return err
}

func (c *cluster) addIngest(name, api, internal string, brokers map[string]string) error {
	m := c.add(name, "ingest", "--mode", c.Mode, "--ingest-addr", servers.FreeAddr(),
		"--ingest-timeout", edgeTimeout.String(), "--api-timeout", wireTimeout.String())
	if err := c.linkTo("provider", name, m.flag("--ingest-addr")); err != nil {
		return err
	}
	if c.Mode == Kafka {
		addrs, err := c.linkBrokers(name, brokers)
		m.args = append(m.args, "--kafka-brokers", addrs)
		return err
	}
	l := newLink(name, api)
	addr, err := l.add(internal)
	c.links = append(c.links, l)
	m.args = append(m.args, "--api-url", "http://"+addr)
	return err
}

// flag is the value of one of the member's flags.
func (m *member) flag(name string) string {
	for i, arg := range m.args {
		if arg == name {
			return m.args[i+1]
		}
	}
	return ""
}

func (c *cluster) linkTo(from, to, addr string) error {
	l := newLink(from, to)
	c.links = append(c.links, l)
	_, err := l.add(addr)
	return err
}

// linkBrokers makes one link from a process to all brokers, of which each has its
// own proxy and a gateway behind it. It gives the brokers as the process sees them.
func (c *cluster) linkBrokers(from string, brokers map[string]string) (string, error) {
	l := newLink(from, "broker")
	c.links = append(c.links, l)
	renamed := make(map[string]string)
	var seen []string
	for _, addr := range brokers {
		g, err := startGateway(addr, renamed)
		if err != nil {
			return "", err
		}
		c.closers = append(c.closers, g.close)
		if renamed[addr], err = l.add(g.addr()); err != nil {
			return "", err
		}
		seen = append(seen, renamed[addr])
	}
	return strings.Join(seen, ","), nil
}

// edges are where the provider sends to.
func (c *cluster) edges() []Edge {
	var edges []Edge
	for _, m := range c.members {
		if m.role == "ingest" {
			edges = append(edges, Edge{m.name, "http://" + c.link(linkName("provider", m.name)).proxies[0].Listen})
		}
	}
	return edges
}

func (c *cluster) link(name string) *link {
	for _, l := range c.links {
		if l.name == name {
			return l
		}
	}
	return nil
}

// linksTo are those that end at a process.
func (c *cluster) linksTo(name string) []*link {
	var links []*link
	for _, l := range c.links {
		if strings.HasSuffix(l.name, " to "+name) {
			links = append(links, l)
		}
	}
	return links
}

func (c *cluster) complain(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	const most = 50 // more only repeats what is wrong
	if len(c.complaints) < most {
		c.complaints = append(c.complaints, fmt.Sprintf(format, args...))
	}
}

// close ends what still runs, and the links.
func (c *cluster) close() error {
	var failed error
	for _, m := range c.members {
		if m.process != nil {
			failed = errors.Join(failed, m.process.Kill())
		}
	}
	for _, l := range c.links {
		l.cut()
	}
	for _, end := range c.closers {
		end()
	}
	return failed
}
