package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/payrelay/payrelay/e2e/program"
	"github.com/payrelay/payrelay/e2e/servers"
	"github.com/payrelay/payrelay/internal/wait"
	"github.com/payrelay/payrelay/modules/payments"
)

// setup is one way to deploy the program.
type setup struct {
	mode payments.Mode
	// lane is the servers that the program uses: embedded or production.
	lane string
	// layout is the number of processes: oneProcess, split or several.
	layout string
}

const (
	embedded   = "embedded"   // SQLite and the embedded broker
	production = "production" // PostgreSQL and Apache Kafka

	oneProcess = "all"     // every role in one process
	split      = "split"   // a process for each role
	several    = "several" // several processes for each role that allows it
)

var lanes = []string{embedded, production}

// layouts returns the layouts of a mode: direct cannot be split.
func layouts(mode payments.Mode) []string {
	if mode == payments.Direct {
		return []string{oneProcess}
	}
	return []string{oneProcess, split, several}
}

func isSplit(s setup) bool { return s.layout == split }

// answersVerdict reports whether webhooks are answered with their verdict, and not
// only "queued".
func (s setup) answersVerdict() bool { return s.mode != payments.Kafka }

// members returns the names of the processes in the order of their start. The
// second process of a role is called role-2, and so on.
func (s setup) members() []string {
	if s.layout == oneProcess {
		return []string{"all"}
	}
	var names []string
	if s.mode == payments.Kafka && s.lane == embedded {
		names = append(names, "broker")
	}
	return slices.Concat(names, numbered("api", s.count("api")), numbered("ingest", s.count("ingest")))
}

// count returns the number of processes of a role. SQLite allows one writer.
func (s setup) count(role string) int {
	switch {
	case s.layout != several, role == "api" && s.lane == embedded:
		return 1
	case role == "api" && s.mode == payments.Kafka:
		return 3
	default:
		return 2
	}
}

// numbered returns the names of n processes of a role.
func numbered(role string, n int) []string {
	names := []string{role}
	for i := 2; i <= n; i++ {
		names = append(names, fmt.Sprint(role, "-", i))
	}
	return names
}

// roleOf returns the role of a member, and the suffix of its name.
func roleOf(member string) (role, suffix string) {
	role, number, found := strings.Cut(member, "-")
	if !found {
		return role, ""
	}
	return role, "-" + number
}

// inEvery runs a test as <mode>/<lane>/<layout> in every setup that matches.
func inEvery(t *testing.T, match func(setup) bool, test func(t *testing.T, s setup)) {
	t.Parallel()
	for _, mode := range payments.Modes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			for _, lane := range lanes {
				t.Run(lane, func(t *testing.T) {
					t.Parallel()
					needLane(t, lane)
					for _, layout := range layouts(mode) {
						if s := (setup{mode, lane, layout}); match(s) {
							t.Run(layout, func(t *testing.T) {
								t.Parallel()
								test(t, s)
							})
						}
					}
				})
			}
		})
	}
}

func everySetup(setup) bool { return true }

// options are the changes of a test to a deployment.
type options struct {
	// wire has flags for every role but the broker, edge for the ingest role.
	wire, edge []string
	env        []string
	// own gives the deployment its own servers, which the test may kill or freeze;
	// nodes is the number of Kafka's nodes, if not 1.
	own   bool
	nodes int
}

// impatient makes ingest give up soon, for tests in which it waits for an answer
// that does not come.
var impatient = []string{"--api-timeout", "2s", "--ingest-timeout", "4s"}

// cluster is a deployment: processes that are connected, and their data.
type cluster struct {
	setup
	options
	backing
	dir string
	// addrs has the addresses of listeners, which processes that restart use again.
	addrs   map[string]string
	running map[string]*process
}

// startCluster starts a deployment.
func startCluster(t *testing.T, s setup, o options) *cluster {
	t.Helper()
	c := prepareCluster(t, s, o)
	for _, member := range s.members() {
		c.start(t, member)
	}
	return c
}

// prepareCluster returns a deployment of which only the servers are started.
func prepareCluster(t *testing.T, s setup, o options) *cluster {
	t.Helper()
	c := &cluster{setup: s, options: o, dir: t.TempDir(), addrs: make(map[string]string), running: make(map[string]*process)}
	if s.lane == production {
		c.backing = startBacking(t, s, o)
	}
	return c
}

// start starts a member, or starts it again with its data and at its addresses.
func (c *cluster) start(t *testing.T, member string) {
	t.Helper()
	if server := c.servers[member]; server != nil {
		check(t, server.Start())
		return
	}
	p := launch(t, "serve "+member, c.env, c.serve(member).Args()...)
	c.running[member] = p
	wait.Until(t, startWithin, member+" is ready by its probe", func() bool {
		_, ok := program.Probe(p.URL("admin") + "/readyz")
		return ok
	})
}

// target returns a member to kill or freeze.
func (c *cluster) target(member string) strikable {
	if s := c.servers[member]; s != nil {
		return s
	}
	return c.running[member]
}

func (c *cluster) kill(t *testing.T, member string) {
	t.Helper()
	check(t, c.target(member).Kill())
}

func (c *cluster) terminate(t *testing.T, member string) {
	t.Helper()
	c.running[member].terminate(t)
}

func (c *cluster) freeze(t *testing.T, member string) {
	t.Helper()
	check(t, c.target(member).Freeze())
}

// thaw lets a frozen member continue.
func (c *cluster) thaw(t *testing.T, member string) {
	t.Helper()
	check(t, c.target(member).Thaw())
}

// check ends the test on an error.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve returns the command line of a member.
func (c *cluster) serve(member string) program.Serve {
	role, suffix := roleOf(member)
	s := program.Serve{Role: role, Admin: c.addr("admin of " + member)}
	if role == "broker" {
		s.Broker, s.DataDir = c.addr("broker"), c.dir
		return s
	}
	s.Mode, s.More = string(c.mode), c.wire
	if c.mode == payments.Kafka && !(c.lane == embedded && role == "all") {
		s.Brokers, s.Topics = c.addr("broker"), c.topics
		if c.lane == production {
			s.Brokers = c.brokers
		}
		if role != "ingest" {
			s.InstanceID = member
		}
	}
	if role != "ingest" {
		s.DataDir, s.DatabaseURL = c.dir, c.database
		s.API, s.Internal = c.addr("api"+suffix), c.addr("internal"+suffix)
	}
	if role != "api" {
		s.Ingest, s.More = c.addr("ingest"+suffix), slices.Concat(c.wire, c.edge)
	}
	if role == "ingest" {
		s.APIURL = "http://" + c.addr("internal"+c.partner(suffix))
	}
	return s
}

// partner returns the suffix of the api process that an ingest process calls. Each
// has its own, if there are several.
func (c *cluster) partner(suffix string) string {
	if c.count("api") < 2 {
		return ""
	}
	return suffix
}

// dataArgs returns the flags of the database for the commands of operators.
func (c *cluster) dataArgs() []string {
	args := []string{"--data-dir", c.dir}
	if c.database != "" {
		args = append(args, "--database-url", c.database)
	}
	return args
}

// addr returns the address of a listener, and chooses it at the first call.
func (c *cluster) addr(listener string) string {
	if c.addrs[listener] == "" {
		c.addrs[listener] = servers.FreeAddr()
	}
	return c.addrs[listener]
}

// url returns the URL that a running member has logged for a listener, or "".
func (c *cluster) url(listener string) string {
	for _, member := range c.members() {
		p := c.running[member]
		if p == nil || p.Gone() {
			continue
		}
		if url := p.URL(listener); url != "" {
			return url
		}
	}
	return ""
}

// ingests returns the URLs to which webhooks can be sent.
func (c *cluster) ingests() []string {
	var urls []string
	for _, member := range c.members() {
		if role, suffix := roleOf(member); role == "ingest" || role == "all" {
			urls = append(urls, "http://"+c.addr("ingest"+suffix))
		}
	}
	return urls
}
