// Package deployment runs the program under test as one cell asks for it: the
// processes of the program, the servers they need, the links between all of them,
// and the database, which it also reads and locks. It can kill, stop and freeze
// processes and disturb links; the nemesis decides when it does so, and to which.
package deployment

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/payrelay/payrelay/e2e/chaos/history"
	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/modules/payments"
)

const (
	// wireTimeout is the deadline for relaying one webhook.
	wireTimeout = 2500 * time.Millisecond
	// StartTimeout is long for a start: the checker judges how long it took.
	StartTimeout = 60 * time.Second
	// stopTimeout is the promise for a clean stop.
	stopTimeout = 15 * time.Second
)

// DataDir is the directory, in that of a run, where the program keeps its data.
const DataDir = "data"

// Servers are what a cell may need apart from the program. Those that it does not
// need may be nil.
type Servers struct {
	Postgres *servers.Postgres
	Kafka    *servers.Kafka
}

// Deployment is the processes, links and data of one cell.
type Deployment struct {
	history.Cell
	// Members are the processes of the program, in the order of their start.
	Members []*Member
	// Links are the connections of the members, to each other and to the servers.
	Links []*Link

	servers     Servers
	binary, dir string
	databaseURL string
	topics      program.Topics
	brokers     map[string]string // the addresses of the brokers themselves, not of links, by name
	closers     []func()
	calls       atomic.Int64 // of operators

	mu         sync.Mutex
	complaints []string
}

// New creates the database, the topics and the links of a cell. It starts no
// process of the program.
func New(cell history.Cell, s Servers, binary, dir string) (*Deployment, error) {
	d := &Deployment{Cell: cell, servers: s, binary: binary, dir: dir, brokers: make(map[string]string)}
	if err := os.MkdirAll(d.dataDir(), 0o700); err != nil {
		return nil, fmt.Errorf("create the data directory: %w", err)
	}
	for _, step := range []func() error{d.createDatabase, d.createTopics, d.writeSources, d.layOut} {
		if err := step(); err != nil {
			return nil, errors.Join(err, d.Close())
		}
	}
	return d, nil
}

func (d *Deployment) dataDir() string { return filepath.Join(d.dir, DataDir) }

// partitions is the number of partitions of each topic: more than there are
// processes that share them.
const partitions = 6

// createTopics names the topics and, on Apache Kafka, creates them under names
// that no other cell has. The embedded broker creates its own.
func (d *Deployment) createTopics() error {
	d.topics = program.Topics{Orders: "webhooks.orders", Disputes: "webhooks.disputes", Group: "payrelay"}
	if d.Broker != history.Apache {
		return nil
	}
	d.topics = program.NewTopics()
	create := program.Options{Name: "topics create", Binary: d.binary, Dir: d.dir,
		Args: d.topics.CreateArgs(d.servers.Kafka.Brokers(), partitions, len(d.servers.Kafka.Nodes()))}
	r, err := program.Run(create, StartTimeout)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	if err != nil {
		return fmt.Errorf("create the topics: %w", err)
	}
	return nil
}

func (d *Deployment) sourcesFile() string { return filepath.Join(d.dir, "sources.yaml") }

// writeSources writes the configuration of the source whose webhooks are signed.
func (d *Deployment) writeSources() error {
	text := "sources:\n  - name: " + history.Signed + "\n    provider: generic\n    secrets:\n      - secret: whsec_" + history.Secret + "\n"
	if err := os.WriteFile(d.sourcesFile(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the sources: %w", err)
	}
	return nil
}

// layOut adds the members, and the links by which they reach each other.
func (d *Deployment) layOut() error {
	switch d.Broker {
	case history.Embedded:
		addr := servers.FreeAddr()
		d.brokers["broker"] = addr
		d.add("broker", program.Serve{Role: "broker", Broker: addr, DataDir: d.dataDir()})
	case history.Apache:
		for _, n := range d.servers.Kafka.Nodes() {
			d.brokers[nodeName(n)] = n.Addr()
		}
	}
	var apis []*Member
	for i := range d.APIs() {
		api, err := d.addAPI(fmt.Sprint("api-", i+1))
		if err != nil {
			return err
		}
		apis = append(apis, api)
	}
	for i := range d.Processes {
		if err := d.addIngest(fmt.Sprint("ingest-", i+1), apis[i%len(apis)]); err != nil {
			return err
		}
	}
	return nil
}

func (d *Deployment) add(name string, s program.Serve) *Member {
	s.Admin, s.Topics = servers.FreeAddr(), d.topics
	m := &Member{Name: name, Serve: s}
	d.Members = append(d.Members, m)
	return m
}

func (d *Deployment) addAPI(name string) (m *Member, err error) {
	m = d.add(name, program.Serve{Role: "api", Mode: string(d.Mode), API: servers.FreeAddr(), Internal: servers.FreeAddr(), DataDir: d.dataDir()})
	if d.Store == history.Postgres {
		if m.Serve.DatabaseURL, err = d.linkDatabase(name); err != nil {
			return nil, err
		}
	}
	if d.Mode == payments.Kafka {
		m.Serve.InstanceID = name
		m.Serve.Brokers, err = d.linkBrokers(name)
	}
	return m, err
}

func (d *Deployment) addIngest(name string, api *Member) (err error) {
	m := d.add(name, program.Serve{Role: "ingest", Mode: string(d.Mode), Ingest: servers.FreeAddr(),
		// The flag keeps the built-in source beside that of the file.
		More: []string{"--ingest-timeout", history.IngestTimeout.String(), "--api-timeout", wireTimeout.String(),
			"--sources", d.sourcesFile(), "--insecure-no-signature"}})
	if _, err = d.link("provider", name).add(m.Serve.Ingest); err != nil {
		return err
	}
	if d.Mode == payments.Kafka {
		m.Serve.Brokers, err = d.linkBrokers(name)
		return err
	}
	addr, err := d.link(name, api.Name).add(api.Serve.Internal)
	m.Serve.APIURL = "http://" + addr
	return err
}

// link adds a link without a proxy yet.
func (d *Deployment) link(from, to string) *Link {
	l := newLink(from, to)
	d.Links = append(d.Links, l)
	return l
}

// linkBrokers adds one link from a process to all brokers, with a proxy and a
// gateway for each broker. It returns the addresses for the process.
func (d *Deployment) linkBrokers(from string) (string, error) {
	l := d.link(from, "broker")
	linked := make(map[string]string) // the proxy's address by the broker's
	for _, addr := range d.brokers {
		g, err := startGateway(addr, linked)
		if err != nil {
			return "", err
		}
		d.closers = append(d.closers, g.close)
		if linked[addr], err = l.add(g.addr()); err != nil {
			return "", err
		}
	}
	return strings.Join(slices.Collect(maps.Values(linked)), ","), nil
}

// IngestURLs returns where the provider sends webhooks, by the names of the ingest
// processes.
func (d *Deployment) IngestURLs() map[string]string {
	urls := make(map[string]string)
	for _, m := range d.Members {
		if m.Serve.Role == "ingest" {
			urls[m.Name] = "http://" + d.Link(history.ProviderLink(m.Name)).proxies[0].Listen
		}
	}
	return urls
}

// Brokers returns the addresses of the brokers themselves, not of links to them.
func (d *Deployment) Brokers() []string { return slices.Collect(maps.Values(d.brokers)) }

// Topics returns the names of the topics.
func (d *Deployment) Topics() []string { return []string{d.topics.Orders, d.topics.Disputes} }

// Link returns the link with a name, or nil.
func (d *Deployment) Link(name string) *Link {
	for _, l := range d.Links {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// Complain adds a complaint to those of the run, up to a limit: more would only
// repeat the first.
func (d *Deployment) Complain(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	const most = 50
	if len(d.complaints) < most {
		d.complaints = append(d.complaints, fmt.Sprintf(format, args...))
	}
}

// Complaints returns what went wrong with processes so far.
func (d *Deployment) Complaints() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.complaints)
}

// Close kills the members that still run and closes the links.
func (d *Deployment) Close() error {
	var failed error
	for _, m := range d.Members {
		if m.process != nil {
			failed = errors.Join(failed, m.process.Kill())
		}
	}
	for _, l := range d.Links {
		l.disable()
	}
	for _, end := range d.closers {
		end()
	}
	return failed
}
